"""Dataset trajectory: what its frames stand for, what is noisy and what is not, and which points are in which split."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from vpbench_physics.limits import LEAST, MOST
from vpbench_physics.trajectory import SPANS, Config, Trajectory

from vpbench import Clips
from vpbench.cli import main
from vpbench.errors import UsageError

DYNAMICS = ("circle", "spiral", "damped-rotation", "spring")
FAMILIES = DYNAMICS[2:]

#: X0 and V0 of damped rotation, clips 0 and 9999 of test
POSITIONS = [[0.882340839229478, 0.08409947040003762], [0.6084741015192607, 0.39579605767268855]]
VELOCITIES = [[4.932033166889827, 3.448771378722899], [0.7480247573512289, 2.8399215684031764]]


def made(**options: Any) -> Trajectory:
    return Trajectory(Config(**options))


def steps(n: int, clips: int = 1) -> np.ndarray:
    return np.tile(np.arange(float(n)), (clips, 1))


def in_units(dataset: Trajectory, frames: Any) -> np.ndarray:
    """(B, T, 2) of frames, by what info says that 0 and 1 stand for."""
    low, high = dataset.info.value_range
    return low + (high - low) * np.asarray(frames, dtype=np.float64)[..., 0, 0]


def same(one: Clips, other: Clips) -> bool:
    fields = [(one.frames, other.frames), *((one.truth[name], other.truth[name]) for name in one.truth)]
    if one.shown is not None and other.shown is not None:
        fields.append((one.shown, other.shown))
    return (one.shown is None) == (other.shown is None) and all(np.array_equal(a, b) for a, b in fields)


# ----------------------------------------------------------------------------------------------- frames and the truth


@pytest.mark.parametrize("scheme", ["exact", "euler"])
@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_a_frame_is_the_position_in_the_box_that_info_tells(dynamics: str, scheme: str) -> None:
    dataset = made(dynamics=dynamics, scheme=scheme)
    clips = dataset.clips("train", [101, 102], steps(300, 2))
    assert clips.frames.dtype == np.float32
    assert clips.frames.shape == (2, 300, 2, 1, 1)
    low, high = dataset.info.value_range
    np.testing.assert_allclose(in_units(dataset, clips.frames), clips.truth["positions"], atol=1e-6 * (high - low))
    np.testing.assert_array_equal(clips.truth["scale"], [high - low] * 2)
    assert dataset.info.value_unit == "units"
    assert dataset.info.frame_period_s == 0.001


@pytest.mark.parametrize("scheme", ["exact", "euler"])
@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_velocities_are_the_slopes_of_the_positions(dynamics: str, scheme: str) -> None:
    clips = made(dynamics=dynamics, scheme=scheme).clips("test", [0], steps(500))
    positions, velocities = clips.truth["positions"][0], clips.truth["velocities"][0]
    if scheme == "exact":
        np.testing.assert_allclose((positions[2:] - positions[:-2]) / 0.002, velocities[1:-1], atol=2e-3)
    else:  # the very step that the scheme takes; the spring's is that of the new velocity
        used = velocities[1:] if dynamics == "spring" else velocities[:-1]
        np.testing.assert_allclose((positions[1:] - positions[:-1]) / 0.001, used, atol=1e-8)


def test_the_circle_and_the_spiral_are_those_of_the_report() -> None:
    """From (1, 1) with speed w0 upwards; a circle about (0, 1), closed after 2π/w0 seconds."""
    circle = made(w0=2 * math.pi, dt=0.01).clips("test", [0], steps(201)).truth["positions"][0]
    np.testing.assert_allclose(np.linalg.norm(circle - [0.0, 1.0], axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(circle[[0, 100, 200]], [[1.0, 1.0]] * 3, atol=1e-12)
    spiral = made(dynamics="spiral").clips("test", [0], steps(1000)).truth["positions"][0]
    centre = np.array([1.0, 1.0]) + np.array([-100.0, 10.0]) / 101
    radius = np.linalg.norm(spiral - centre, axis=1)
    np.testing.assert_allclose(radius, radius[0] * np.exp(-np.arange(1000) / 1000), rtol=1e-12)


@settings(max_examples=50, deadline=None)
@given(
    dynamics=st.sampled_from(DYNAMICS),
    scheme=st.sampled_from(["exact", "euler"]),
    w0=st.floats(0.5, 30),
    decay=st.floats(0, 5),
    stiffness=st.floats(10, 200),
    damping=st.floats(0, 6),
    speed=st.floats(0.1, 20),
    noise=st.sampled_from([0.0, 0.3, 5.0]),
    clip=st.integers(0, 9999),
)
def test_nothing_is_ever_clipped(clip: int, **options: Any) -> None:
    """Not the noise, either: cut off at the box it would be less, and its mean another one."""
    dataset = made(points=400, dt=0.01, **options)
    clips = dataset.clips("test", [0 if dataset.config.single else clip], steps(400))
    for frames in (clips.frames, clips.frames if clips.shown is None else clips.shown):
        assert np.min(frames) > 0
        assert np.max(frames) < 1


@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_there_are_frames_between_frames_and_they_are_on_the_way(dynamics: str) -> None:
    dataset = made(dynamics=dynamics)
    assert dataset.info.fractional
    halves = dataset.clips("test", [0], np.arange(0, 40, 0.5)[None])
    assert np.array_equal(halves.frames[:, ::2], dataset.clips("test", [0], steps(40)).frames)
    positions = halves.truth["positions"][0]
    middles = (positions[:-2:2] + positions[2::2]) / 2
    np.testing.assert_allclose(positions[1:-1:2], middles, atol=5e-4)
    assert np.abs(positions[1:-1:2] - middles).max() > 1e-7  # not by interpolation


def test_steps_of_eulers_scheme_and_measured_points_have_nothing_in_between() -> None:
    for dataset in (made(scheme="euler"), made(noise=0.1)):
        assert not dataset.info.fractional
        with pytest.raises(ValueError, match=r"no frame at time 0\.5 of clip 0: there are 0 to 999, at whole"):
            dataset.clips("test", [0], np.array([[0.0, 0.5]]))


# --------------------------------------------------------------------------------------------------- what is the same


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_a_frame_follows_from_split_clip_and_time_alone(dynamics: str, noise: float) -> None:
    dataset = made(dynamics=dynamics, noise=noise)
    ids = [300, 101, 250]
    whole = dataset.clips("train", ids, steps(30, 3))
    assert same(whole, made(dynamics=dynamics, noise=noise).clips("train", ids, steps(30, 3)))
    longer = dataset.clips("train", ids, steps(60, 3))
    assert np.array_equal(longer.frames[:, :30], whole.frames)
    backwards = dataset.clips("train", ids[::-1], steps(30, 3)[:, ::-1])
    assert np.array_equal(np.asarray(backwards.frames)[::-1, ::-1], whole.frames)
    alone = dataset.clips("train", ids[1:2], np.array([[7.0]]))
    assert np.array_equal(alone.frames[0, 0], whole.frames[1, 7])


@pytest.mark.parametrize("dynamics", FAMILIES)
def test_starts_fill_what_they_are_drawn_from_and_splits_draw_their_own(dynamics: str) -> None:
    dataset = made(dynamics=dynamics, speed=5.0)
    low = -1.0 if dynamics == "spring" else 0.0
    found = {}
    for split in ("train", "val", "test"):
        truth = dataset.clips(split, range(500), np.zeros((500, 1))).truth
        state = np.concatenate([truth["positions"][:, 0], truth["velocities"][:, 0] / 5.0], axis=1)
        assert state.min() >= low
        assert state.max() <= 1
        np.testing.assert_allclose(state.min(axis=0), low, atol=0.05)
        np.testing.assert_allclose(state.max(axis=0), 1, atol=0.05)
        np.testing.assert_allclose(np.corrcoef(state.T), np.eye(4), atol=0.2)
        found[split] = {tuple(row) for row in state}
    assert len(found["train"] | found["val"] | found["test"]) == 1500


def test_the_draws_are_these() -> None:
    """Published numbers rest on them: other ones are another dataset, and need another version."""
    truth = made(dynamics="damped-rotation").clips("test", [0, 9999], np.zeros((2, 1))).truth
    np.testing.assert_allclose(truth["positions"][:, 0], POSITIONS, atol=1e-15)
    np.testing.assert_allclose(truth["velocities"][:, 0], VELOCITIES, atol=1e-14)


# ---------------------------------------------------------------------------------------------- one trajectory, splits


def test_what_is_tested_on_was_never_learnt_from() -> None:
    dataset = made(dynamics="spiral")
    truth = dataset.clips("test", [0], steps(1000)).truth["positions"][0]
    points = {tuple(point): number for number, point in enumerate(truth)}
    seen = {}
    for split in ("val", "train"):
        ids = dataset.ids(split, n_frames=1)
        positions = dataset.clips(split, ids, np.zeros((len(ids), 1))).truth["positions"][:, 0]
        seen[split] = {points[tuple(point)] for point in positions}
    assert seen == {"val": set(range(1, 100)), "train": set(range(100, 800))}
    assert list(dataset.ids("test", n_frames=1000)) == [0]
    assert SPANS["train"][1] == 0.8  # of the report: so 800 given and 200 wanted


def test_a_clip_of_one_trajectory_is_its_points_from_there_on() -> None:
    dataset = made(dynamics="spiral", noise=0.1)
    whole = dataset.clips("test", [0], steps(1000))
    some = dataset.clips("train", [100, 790], steps(10, 2))
    assert whole.shown is not None
    np.testing.assert_array_equal(some.truth["positions"][1], whole.truth["positions"][0, 790:800])
    np.testing.assert_array_equal(some.frames[1], whole.shown[0, 790:800])


@pytest.mark.parametrize(
    ("split", "n_frames", "expected"),
    [
        ("train", 1, range(100, 800)),
        ("train", 200, range(100, 601)),
        ("train", 700, range(100, 101)),
        ("train", 701, range(0)),
        ("val", 99, range(1, 2)),
        ("val", 100, range(0)),
        ("test", 1000, range(1)),
        ("test", 1001, range(0)),
    ],
)
def test_clips_of_one_trajectory_begin_where_so_many_points_are_left(
    split: str, n_frames: int, expected: range
) -> None:
    dataset = made()
    found = dataset.ids(split, n_frames=n_frames)
    assert list(found) == list(expected)
    if found:
        assert dataset.clips(split, [found[-1]], steps(n_frames)).frames.shape[1] == n_frames
        if split != "test":
            with pytest.raises(ValueError, match="no frame at time"):
                dataset.clips(split, [found[-1]], np.array([[float(n_frames)]]))


@pytest.mark.parametrize("dynamics", FAMILIES)
def test_families_have_many_clips_of_all_points(dynamics: str) -> None:
    dataset = made(dynamics=dynamics, points=50)
    assert [len(dataset.ids(split, n_frames=50)) for split in ("train", "val", "test")] == [2**31, 10_000, 10_000]
    assert not dataset.ids("train", n_frames=51)
    with pytest.raises(ValueError, match="no frame at time 50 of clip 4: there are 0 to 49, and any time between them"):
        dataset.clips("val", [3, 4], np.array([[0.0], [50.0]]))


# ------------------------------------------------------------------------------------------------------------- noise


@pytest.mark.parametrize("dynamics", DYNAMICS)
@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_what_is_measured_is_off_by_gaussian_noise_in_units(dynamics: str, noise: float) -> None:
    dataset, clean = made(dynamics=dynamics, noise=noise), made(dynamics=dynamics)
    clips = dataset.clips("test", [0], steps(1000))
    assert clips.shown is not None
    np.testing.assert_array_equal(clips.truth["positions"], clean.clips("test", [0], steps(1000)).truth["positions"])
    np.testing.assert_allclose(in_units(dataset, clips.frames), clips.truth["positions"], atol=1e-5)
    off = (in_units(dataset, clips.shown) - clips.truth["positions"]).ravel() / noise
    error = 1 / math.sqrt(len(off))
    assert abs(off.mean()) < 3 * error
    assert abs(off.std() - 1) < 3 * error / math.sqrt(2)
    assert abs((off**4).mean() - 3) < 3 * math.sqrt(96) * error  # of a Gaussian
    assert abs(np.corrcoef(off[::2], off[1::2])[0, 1]) < 3 * math.sqrt(2) * error  # x and y
    assert abs(np.corrcoef(off[:-2], off[2:])[0, 1]) < 3 * error  # one point and the next


@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_who_learns_sees_what_was_measured_and_no_more(dynamics: str) -> None:
    dataset = made(dynamics=dynamics, noise=0.1)
    for split, clip in (("train", 200), ("val", 3)):
        clips = dataset.clips(split, [clip], steps(90))
        assert clips.shown is None
        off = in_units(dataset, clips.frames) - clips.truth["positions"]
        assert 0.08 < off.std() < 0.12
    test = dataset.clips("test", [0], steps(90))
    assert test.shown is not None
    assert np.abs(np.asarray(test.shown) - test.frames).max() > 0


def test_a_point_of_one_trajectory_was_measured_once() -> None:
    dataset = made(noise=0.3)
    early, late = dataset.clips("train", [150, 160], steps(30, 2)).frames
    np.testing.assert_array_equal(early[10:], late[:20])


def test_noise_of_a_family_is_of_each_clip_its_own() -> None:
    dataset = made(dynamics="spring", noise=0.3)
    off = []
    for split, clip in (("train", 1), ("train", 2), ("val", 1), ("test", 1)):
        clips = dataset.clips(split, [clip], steps(200))
        measured = in_units(dataset, clips.frames if clips.shown is None else clips.shown)
        off.append((measured - clips.truth["positions"]).ravel())
    alike = np.corrcoef(off) - np.eye(4)
    assert np.abs(alike).max() < 3.5 / math.sqrt(400)


# ----------------------------------------------------------------------------------------------- identity and refusals


def test_all_that_decides_the_frames_is_in_the_fingerprint() -> None:
    changed: list[dict[str, Any]] = [{}, {"dynamics": "spiral"}, {"w0": 9.0}, {"decay": 2.0}, {"stiffness": 90.0}]
    changed += [{"damping": 1.0}, {"speed": 4.0}, {"dt": 0.002}, {"points": 900}, {"noise": 0.1}, {"scheme": "euler"}]
    found = [made(**each).fingerprint(split) for each in changed for split in ("train", "val", "test")]
    assert len(set(found)) == 3 * len(changed)
    assert made().fingerprint("val") == made().fingerprint("val")


def test_a_clip_with_the_looks_of_another_is_itself() -> None:
    dataset = made(dynamics="spring")
    assert same(dataset.swapped("test", [3, 4], [5, 6], steps(9, 2)), dataset.clips("test", [3, 4], steps(9, 2)))
    with pytest.raises(ValueError, match="no clip 10000"):
        dataset.swapped("test", [3, 4], [5, 10_000], steps(9, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"w0": 0.0}, "w0 must be positive and finite, got 0.0"),
        ({"dt": math.inf}, "dt must be positive and finite, got inf"),
        ({"speed": -1.0}, "speed must be positive and finite, got -1.0"),
        ({"decay": -0.1}, "decay must be finite and not negative, got -0.1"),
        ({"noise": math.nan}, "noise must be finite and not negative, got nan"),
        ({"damping": 1e200}, "damping must be at most 1e+06, got 1e+200"),
        ({"w0": 1e-300}, "w0 must be from 1e-06 to 1e+06, got 1e-300"),
        ({"points": 9}, "points must be from 10 to 1000000, got 9"),
        ({"dynamics": "spring", "damping": 20.0}, "must oscillate: damping 20 must be below 2 √stiffness = 20"),
        ({"dynamics": "spring", "dt": 0.21, "damping": 0.0, "scheme": "euler"}, "grows with dt 0.21 and stiffness 100"),
        ({"dt": 0.4, "scheme": "euler"}, "w0 10 and dt 0.4 are half a turn or more per step"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        Config(**options)
    assert "\n" not in str(caught.value)


def test_what_another_motion_needs_is_no_reason_to_refuse() -> None:
    Config(dynamics="spiral", damping=50.0)
    Config(dynamics="spring", stiffness=100.0, w0=1e4, scheme="euler")
    Config(dynamics="spring", dt=0.5)


def test_a_split_or_a_clip_that_is_not_there_is_named() -> None:
    dataset = made()
    with pytest.raises(UsageError, match="trajectory has no split 'dev': one of train, val, test"):
        dataset.ids("dev", n_frames=1)
    with pytest.raises(UsageError, match="no split 'dev'"):
        dataset.clips("dev", [0], steps(1))
    with pytest.raises(ValueError, match=r"no clip 99: ids are 100\.\.799"):
        dataset.clips("train", [99], steps(1))
    with pytest.raises(ValueError, match=r"got shapes \(2,\) and \(1, 3\)"):
        dataset.clips("train", [100, 101], steps(3))


@pytest.mark.parametrize("dynamics", ["circle", "spiral", "damped-rotation", "spring"])
@pytest.mark.parametrize("scheme", ["exact", "euler"])
def test_whatever_config_is_taken_gives_frames_in_the_box(dynamics: str, scheme: str) -> None:
    """All corners of what numbers may be: either refused when it is made, or frames from 0 to 1."""
    extreme = (LEAST, 1.0, MOST)
    taken = 0
    for w0, decay, dt in itertools.product(extreme, (0.0, *extreme), extreme):
        names = {"stiffness": w0, "damping": decay} if dynamics == "spring" else {"w0": w0, "decay": decay}
        try:
            config = Config(dynamics=dynamics, scheme=scheme, dt=dt, points=100, **names)  # type: ignore[arg-type]
        except ValueError:
            continue
        taken += 1
        frames = Trajectory(config).clips("test", [0], np.arange(20.0)[None]).frames
        assert frames.min() >= 0, config
        assert frames.max() <= 1, config
    assert taken >= 4


def test_floors_fit_to_clips_that_are_shorter_than_those_that_are_tested(tmp_path: Path) -> None:
    """The train split of 20 points has 14 of them; train-mean, which comes along, usually sees 20 frames of a clip."""
    command = "run --model copy-last --dataset trajectory --set points=20 --context 2 --horizon 2 --metric mse"
    result = CliRunner().invoke(main, [*command.split(), "--results", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "train-mean" in result.stdout
