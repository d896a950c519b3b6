"""Dataset gaussian-ball: where the ball is drawn and how brightly, and that it moves as its truth says."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vpbench_physics.gaussian_ball import Config, GaussianBall

from vpbench import Clips
from vpbench.errors import UsageError

DYNAMICS = ("circle", "spiral", "damped-rotation", "spring")

#: Centres, px, of the default dataset: test clips 0 and 9999 at time 0
CENTRES = [[10.419866201611367, 15.853606149131773], [17.40360542427435, 13.766266126654074]]


def made(**options: Any) -> GaussianBall:
    return GaussianBall(Config(**options))


def steps(n: int, clips: int = 1) -> np.ndarray:
    return np.tile(np.arange(float(n)), (clips, 1))


def same(one: Clips, other: Clips) -> bool:
    truth = [(one.truth[name], other.truth[name]) for name in one.truth]
    return all(np.array_equal(a, b) for a, b in [(one.frames, other.frames), *truth])


# ------------------------------------------------------------------------------------------------------- how it looks


def drawn_pixel_by_pixel(y: float, x: float, config: Config) -> np.ndarray:
    """By the report's formula, its indices from 0 and its norms as they are named."""
    size, sigma = config.frame_size, config.sigma
    frame = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            frame[i, j] = math.exp(-((i - y) ** 2 + (j - x) ** 2) / (2 * sigma**2))
    if config.norm == "density1d":
        return frame / (math.sqrt(2 * math.pi) * sigma)
    if config.norm == "density2d":
        return frame / (2 * math.pi * sigma**2)
    return (frame - frame.min()) / (frame.max() - frame.min()) if config.norm == "minmax" else frame


@pytest.mark.parametrize("norm", ["peak", "density1d", "density2d", "minmax"])
@pytest.mark.parametrize(("frame_size", "sigma", "margin"), [(28, 3.0, 5.0), (16, 1.0, 2.5), (9, 0.4, 0.0)])
def test_frames_are_drawn_as_pixel_by_pixel(norm: Any, frame_size: int, sigma: float, margin: float) -> None:
    config = Config(norm=norm, frame_size=frame_size, sigma=sigma, margin=margin)
    clips = GaussianBall(config).clips("test", [3, 8], np.array([[0.0, 6.5], [2.25, 31.0]]))
    frames = np.asarray(clips.frames)
    assert frames.dtype == np.float32
    assert frames.shape == (2, 2, 1, frame_size, frame_size)
    assert frames.min() >= 0
    assert frames.max() <= 1
    for clip in range(2):
        for time in range(2):
            y, x = clips.truth["positions"][clip, time, 0]
            np.testing.assert_allclose(frames[clip, time, 0], drawn_pixel_by_pixel(y, x, config), rtol=1e-5, atol=1e-7)


def test_a_peak_is_1_and_densities_are_dim() -> None:
    """Why frames are not of 256 levels; and the likely reason for the report's black auto-encoders."""
    dataset = {norm: made(norm=norm, dynamics="circle") for norm in ("peak", "density1d", "density2d", "minmax")}
    brightest = {norm: each.draw(np.array([13.0, 14.0])).max() for norm, each in dataset.items()}
    assert brightest == pytest.approx({"peak": 1, "density1d": 0.13298, "density2d": 0.017684, "minmax": 1}, rel=1e-4)
    assert made(norm="density2d").draw(np.array([13.3, 13.8])).sum() == pytest.approx(1, abs=1e-3)  # as a density has


def test_the_ball_is_where_the_truth_says() -> None:
    """By its centre of mass, with a ball so small that all of it is in the frame."""
    clips = made(sigma=1.0).clips("test", range(6), steps(20, 6))
    frames, pixel = np.asarray(clips.frames, dtype=np.float64)[:, :, 0], np.arange(28.0)
    mass = frames.sum(axis=(2, 3))
    centres = np.stack([(frames.sum(axis=3) @ pixel) / mass, (frames.sum(axis=2) @ pixel) / mass], axis=-1)
    np.testing.assert_allclose(centres, clips.truth["positions"][:, :, 0], atol=2e-5)


# -------------------------------------------------------------------------------------------------------- how it moves


@pytest.mark.parametrize("scheme", ["exact", "euler"])
@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_velocities_are_the_slopes_of_the_positions_in_pixels_per_frame(dynamics: str, scheme: str) -> None:
    truth = made(dynamics=dynamics, scheme=scheme).clips("test", [7], steps(60)).truth
    assert truth["positions"].shape == truth["velocities"].shape == (1, 60, 1, 2)
    positions, velocities = truth["positions"][0, :, 0], truth["velocities"][0, :, 0]
    if scheme == "exact":
        np.testing.assert_allclose((positions[2:] - positions[:-2]) / 2, velocities[1:-1], atol=2e-3)
    else:
        used = velocities[1:] if dynamics == "spring" else velocities[:-1]
        np.testing.assert_allclose(np.diff(positions, axis=0), used, atol=1e-12)
    assert np.abs(velocities).max() > 0.05  # one sees it move


def test_one_law_holds_for_all_clips_in_pixels() -> None:
    """d²X/dt² = -G X - μ dX/dt about the middle, per frame: stretched clip by clip there would be a law for each."""
    positions = made().clips("test", range(50), np.tile([10.0, 10.001, 10.002], (50, 1))).truth["positions"][:, :, 0]
    velocities = made().clips("test", range(50), np.full((50, 1), 10.001)).truth["velocities"][:, 0, 0]
    acceleration = (positions[:, 2] - 2 * positions[:, 1] + positions[:, 0]) / 0.001**2
    dt = 0.05
    expected = -4.0 * dt**2 * (positions[:, 1] - 13.5) - 0.3 * dt * velocities
    np.testing.assert_allclose(acceleration, expected, atol=1e-6)


def test_a_hundred_frames_show_as_much_as_the_authors_three_hundred() -> None:
    """One and a half swings: √100 / 2π × 301/301 s of his spring, √4 / 2π × 5 s of this one."""
    config = Config()
    his = math.sqrt(100 - 1.5**2 / 4) * 1.0
    assert math.sqrt(config.stiffness - config.damping**2 / 4) * 100 * config.dt == pytest.approx(his, rel=0.01)
    fading = math.exp(-config.damping / 2 * 100 * config.dt)
    assert fading == pytest.approx(math.exp(-1.5 / 2), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    dynamics=st.sampled_from(DYNAMICS),
    scheme=st.sampled_from(["exact", "euler"]),
    w0=st.floats(0.5, 30),
    decay=st.floats(0, 3),
    stiffness=st.floats(1, 300),
    damping=st.floats(0, 1.9),
    speed=st.floats(0.1, 20),
    margin=st.floats(0, 12),
    clip=st.integers(0, 9999),
)
def test_the_ball_never_comes_nearer_to_the_border_than_the_margin(clip: int, margin: float, **options: Any) -> None:
    dataset = made(margin=margin, **options)
    positions = dataset.clips("test", [clip], steps(500)).truth["positions"]
    assert positions.min() >= margin - 1e-9
    assert positions.max() <= 27 - margin + 1e-9


@pytest.mark.parametrize(("dynamics", "least"), [("circle", 0.9), ("spiral", 0.8), ("spring", 0.85)])
def test_the_balls_use_the_room_they_have(dynamics: str, least: float) -> None:
    positions = made(dynamics=dynamics).clips("test", range(200), steps(100, 200)).truth["positions"]
    assert np.abs(positions - 13.5).max() > least * 8.5


def test_draws_fill_the_square_and_splits_draw_their_own() -> None:
    dataset = made(dynamics="damped-rotation", speed=1.0)  # of the report: X0 and V0 in [-1, 1]²
    found = set()
    for split in ("train", "val", "test"):
        truth = dataset.clips(split, range(400), np.zeros((400, 1))).truth
        state = np.concatenate([truth["positions"][:, 0, 0] - 13.5, truth["velocities"][:, 0, 0] / 0.05], axis=1)
        state /= np.abs(state[:, :2]).max()
        np.testing.assert_allclose(state.min(axis=0), -1, atol=0.05)
        np.testing.assert_allclose(state.max(axis=0), 1, atol=0.05)
        np.testing.assert_allclose(np.corrcoef(state.T), np.eye(4), atol=0.2)
        found |= {tuple(row) for row in state}
    assert len(found) == 1200


@pytest.mark.parametrize("dynamics", ["circle", "spiral"])
def test_circles_and_spirals_begin_at_one_speed_in_all_directions(dynamics: str) -> None:
    velocity = made(dynamics=dynamics).clips("test", range(400), np.zeros((400, 1))).truth["velocities"][:, 0, 0]
    speed = np.linalg.norm(velocity, axis=1)
    np.testing.assert_allclose(speed, speed[0], rtol=1e-12)
    assert np.linalg.norm(velocity.mean(axis=0)) < 3 * speed[0] / math.sqrt(400)


def test_the_draws_are_these() -> None:
    """Published numbers rest on them: other ones are another dataset, and need another version."""
    positions = made().clips("test", [0, 9999], np.zeros((2, 1))).truth["positions"][:, 0, 0]
    np.testing.assert_allclose(positions, CENTRES, rtol=1e-12)


# --------------------------------------------------------------------------------------------------- what is the same


@pytest.mark.parametrize("scheme", ["exact", "euler"])
@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_a_frame_follows_from_split_clip_and_time_alone(dynamics: str, scheme: str) -> None:
    dataset = made(dynamics=dynamics, scheme=scheme)
    ids = [2**31 - 1, 0, 5]
    whole = dataset.clips("train", ids, steps(12, 3))
    assert same(whole, made(dynamics=dynamics, scheme=scheme).clips("train", ids, steps(12, 3)))
    assert np.array_equal(np.asarray(dataset.clips("train", ids, steps(30, 3)).frames)[:, :12], whole.frames)
    backwards = dataset.clips("train", ids[::-1], steps(12, 3)[:, ::-1])
    assert np.array_equal(np.asarray(backwards.frames)[::-1, ::-1], whole.frames)
    alone = dataset.clips("train", ids[1:2], np.array([[7.0]]))
    assert np.array_equal(alone.frames[0, 0], whole.frames[1, 7])


@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_frames_between_frames_are_exact_at_any_length(dynamics: str) -> None:
    dataset = made(dynamics=dynamics)
    assert dataset.info.fractional
    assert dataset.info.max_length is None
    halves = dataset.clips("test", [4], np.arange(0, 20, 0.5)[None])
    assert np.array_equal(np.asarray(halves.frames)[:, ::2], dataset.clips("test", [4], steps(20)).frames)
    twice = made(dynamics=dynamics, dt=0.025).clips("test", [4], steps(40))  # the same motion, looked at twice as often
    np.testing.assert_allclose(halves.truth["positions"], twice.truth["positions"], atol=1e-12)
    far = dataset.clips("test", [4], np.array([[1e6, 1e6 + 0.5]])).truth["positions"]
    assert np.isfinite(far).all()


def test_steps_of_eulers_scheme_have_an_end_and_nothing_in_between() -> None:
    dataset = made(scheme="euler")
    assert not dataset.info.fractional
    assert dataset.info.max_length == 10_000
    assert not dataset.ids("test", n_frames=10_001)
    for time in (0.5, 10_000.0):
        with pytest.raises(ValueError, match=f"no frame at time {time:g} of clip 0: there are 0 to 9999, at whole"):
            dataset.clips("test", [0], np.array([[time]]))


# ----------------------------------------------------------------------------------------------- identity and refusals


def test_all_that_decides_the_frames_is_in_the_fingerprint() -> None:
    changed: list[dict[str, Any]] = [{}, *({"dynamics": each} for each in DYNAMICS[:3]), {"w0": 3.0}, {"decay": 2.0}]
    changed += [{"stiffness": 5.0}, {"damping": 1.0}, {"speed": 4.0}, {"dt": 0.02}, {"scheme": "euler"}]
    changed += [{"frame_size": 32}, {"sigma": 2.0}, {"norm": "minmax"}, {"margin": 4.0}]
    found = [made(**each).fingerprint(split) for each in changed for split in ("train", "val", "test")]
    assert len(set(found)) == 3 * len(changed)
    assert made().fingerprint("val") == made().fingerprint("val")


def test_a_clip_with_the_looks_of_another_is_itself() -> None:
    dataset = made()
    assert same(dataset.swapped("test", [3, 4], [5, 6], steps(9, 2)), dataset.clips("test", [3, 4], steps(9, 2)))
    with pytest.raises(ValueError, match="no clip 10000"):
        dataset.swapped("test", [3, 4], [5, 10_000], steps(9, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"w0": -1.0}, "w0 must be positive and finite, got -1.0"),
        ({"dt": 0.0}, "dt must be positive and finite, got 0.0"),
        ({"stiffness": math.nan}, "stiffness must be positive and finite, got nan"),
        ({"margin": -1.0}, "margin must be finite and not negative, got -1.0"),
        ({"decay": 1e200}, "decay must be at most 1e+06, got 1e+200"),
        ({"margin": 13.5}, "a frame of 28 pixels leaves no room between margins of 13.5"),
        ({"frame_size": 3, "margin": 0.0}, "a frame of 3 pixels leaves no room"),
        ({"sigma": 0.3}, "sigma must be from 0.4 to frame_size, 28, got 0.3"),
        ({"sigma": 28.5}, "sigma must be from 0.4 to frame_size, 28, got 28.5"),
        ({"damping": 4.0}, "must oscillate: damping 4 must be below 2 √stiffness = 4"),
        ({"stiffness": 400.0, "dt": 0.11, "damping": 0.0, "scheme": "euler"}, "grows with dt 0.11 and stiffness 400"),
        (
            {"stiffness": 1.0, "damping": 1.5, "dt": 0.5, "scheme": "euler"},
            "hardly swings with dt 0.5, stiffness 1 and damping 1.5: take smaller steps",
        ),
        ({"dynamics": "circle", "w0": 63.0, "scheme": "euler"}, "w0 63 and dt 0.05 are half a turn or more per step"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        Config(**options)
    assert "\n" not in str(caught.value)


def test_a_split_or_a_clip_that_is_not_there_is_named() -> None:
    dataset = made()
    for ask in (lambda: dataset.ids("dev", n_frames=1), lambda: dataset.clips("dev", [0], steps(1))):
        with pytest.raises(UsageError, match="gaussian-ball has no split 'dev': one of train, val, test"):
            ask()
    with pytest.raises(ValueError, match=r"no clip 10000: ids are 0\.\.9999"):
        dataset.clips("test", [10_000], steps(1))
    with pytest.raises(ValueError, match="no frame at time -1 of clip 2"):
        dataset.clips("test", [1, 2], np.array([[0.0], [-1.0]]))
