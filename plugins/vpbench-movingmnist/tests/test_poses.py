"""Digits that turn and change size, against scipy's resampling and numpy's draws; and that all else stays as it was."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import affine_transform
from vpbench_movingmnist import digits, poses
from vpbench_movingmnist.dataset import Config, MovingMNIST

TURNING = Config(rotation=12.0, scaling=0.4)


def steps(n: int, clips: int = 1) -> np.ndarray:
    return np.tile(np.arange(float(n)), (clips, 1))


def turned(glyph: np.ndarray, angle: float, scale: float) -> np.ndarray:
    """The glyph turned counter-clockwise and shrunk about its middle, by scipy, float64 before rounding."""
    a = math.radians(angle)
    back = np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]]) / scale  # (y, x) drawn -> upright
    middle = np.array([13.5, 13.5])
    return affine_transform(
        glyph.astype(np.float64), back, offset=middle - back @ middle, order=1, mode="grid-constant", cval=0.0
    )


@given(angle=st.floats(-1000, 1000), scale=st.floats(1 - poses.MOST_SCALING, 1), digit=st.integers(0, digits.COUNT - 1))
@settings(max_examples=60, deadline=None)
def test_a_pose_is_that_of_scipy(angle: float, scale: float, digit: int) -> None:
    glyph = digits.images()[digit]
    found = poses.posed(glyph[None, None], np.full((1, 1, 1), angle), np.full((1, 1, 1), scale))[0, 0, 0]
    assert abs(found - turned(glyph, angle, scale)).max() < 0.5 + 1e-6


def test_quarter_turns_are_those_of_numpy_counter_clockwise_as_one_sees_them() -> None:
    glyphs = digits.images()[None, :3]
    angles = np.array([-90.0, 0.0, 90.0, 180.0, 360.0, 450.0])
    found = poses.posed(glyphs, np.tile(angles[:, None], (1, 1, 3)), np.ones((1, 6, 3)))
    for t, quarters in enumerate((-1, 0, 1, 2, 0, 1)):
        np.testing.assert_array_equal(found[0, t], np.rot90(glyphs[0], quarters, axes=(1, 2)))


def test_draws_are_those_of_numpys_philox_under_a_key_of_their_own() -> None:
    key = int.from_bytes(hashlib.sha256(b"moving-mnist/val/poses").digest()[:16], "little")
    drawn = poses.draw("val", np.array([0, 7, 9_999]), digits=3, rotation=10.0, scaling=0.3)
    for b, clip in enumerate((0, 7, 9_999)):
        for d in range(3):
            before = ((d << 64) + (clip << 128) - 1) % 2**256  # numpy counts up before it draws
            words = np.random.Philox(counter=before, key=key).random_raw(2)
            spin, phase = ((int(word) >> 11) / 2**53 for word in words)
            assert drawn.spins[b, d] == 10.0 * (2 * spin - 1)
            assert drawn.phases[b, d] == phase
    assert drawn.scaling.tolist() == [0.3] * 3


def test_spins_and_phases_are_spread_over_all_there_is() -> None:
    drawn = poses.draw("train", np.arange(5_000), digits=2, rotation=5.0, scaling=0.1)
    assert -5 <= drawn.spins.min() < -4.99
    assert 4.99 < drawn.spins.max() < 5
    assert abs(drawn.spins.mean()) < 5 * 5 / math.sqrt(3 * 10_000)
    assert abs(drawn.phases.mean() - 0.5) < 5 / math.sqrt(12 * 10_000)


def test_angle_and_size_follow_their_formula_at_all_times() -> None:
    times = np.array([[0.0, 0.25, 3.0, 1e6 + 0.5]])
    truth = MovingMNIST(TURNING).clips("test", [5], times).truth
    for t, time in enumerate(times[0]):
        for d in range(2):
            assert truth["angles"][0, t, d] == truth["spins"][0, d] * time
            shrunk = (1 - math.cos(2 * math.pi * (time / 20 + truth["phases"][0, d]))) / 2
            assert truth["scales"][0, t, d] == pytest.approx(1 - 0.4 * shrunk, abs=1e-9)
    assert truth["scaling"].tolist() == [0.4]


@pytest.mark.parametrize(("size", "glyph"), [(64, 28), (32, 14), (28, 14)])
def test_frames_show_each_digit_in_its_pose_at_its_place(size: int, glyph: int) -> None:
    clips = MovingMNIST(Config(digits=1, frame_size=size, rotation=20, scaling=0.5)).clips(
        "test", range(6), steps(9, 6)
    )
    truth = clips.truth
    for b in range(6):
        for t in range(9):
            upright = digits.images()[truth["digits"][b, 0]]
            pose = np.floor(turned(upright, truth["angles"][b, t, 0], truth["scales"][b, t, 0]) + 0.5)
            if glyph == 14:
                pose = np.floor((pose[::2, ::2] + pose[1::2, ::2] + pose[::2, 1::2] + pose[1::2, 1::2]) / 4)
            expected = np.zeros((size, size))
            y, x = truth["positions"][b, t, 0].astype(int)
            expected[y : y + glyph, x : x + glyph] = pose
            assert abs(clips.frames[b, t, 0] - expected).max() <= 1  # where rounding is a toss-up


def test_turning_leaves_motion_and_digits_alone_and_more_of_it_is_the_same_faster() -> None:
    plain, slow, fast = (
        MovingMNIST(config).clips("test", range(20), steps(10, 20)).truth
        for config in (Config(), Config(rotation=4), Config(rotation=8, scaling=0.2))
    )
    for name in ("positions", "velocities", "digits", "labels", "stride"):
        assert (slow[name] == plain[name]).all()
        assert (fast[name] == plain[name]).all()
    np.testing.assert_allclose(fast["angles"], 2 * slow["angles"])
    assert (slow["scales"] == 1).all()
    assert not slow["phases"].any()
    assert not plain["angles"].any()
    assert (plain["scales"] == 1).all()
    assert not np.signbit(plain["angles"]).any()


def test_more_digits_leave_the_poses_of_the_first_ones_alone() -> None:
    two, four = (
        MovingMNIST(Config(digits=n, rotation=9, scaling=0.1)).clips("val", range(10), steps(5, 10)) for n in (2, 4)
    )
    for name in ("angles", "scales"):
        assert (four.truth[name][:, :, :2] == two.truth[name]).all()
    assert (four.frames >= two.frames).all()


@given(ids=st.lists(st.integers(0, 9_999), min_size=1, max_size=4), data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_clip_is_the_same_in_any_batch_and_any_order_of_times(ids: list[int], data: st.DataObject) -> None:
    dataset = MovingMNIST(TURNING)
    row = st.lists(st.floats(0, 60), min_size=3, max_size=3)
    times = np.array([data.draw(row) for _ in ids])
    batch = dataset.clips("test", ids, times)
    for b, clip in enumerate(ids):
        order = data.draw(st.permutations(range(3)))
        alone = dataset.clips("test", [clip], times[[b]][:, order])
        assert (alone.frames[0] == batch.frames[b][order]).all()
        for name in ("angles", "scales"):
            assert (alone.truth[name][0] == batch.truth[name][b][order]).all()


def test_between_two_times_a_pose_changes_as_little_as_they_are_apart() -> None:
    """Exact at fractional times: no jumps from frame to frame."""
    close = np.tile(np.linspace(3, 4, 33), (10, 1))
    truth = MovingMNIST(TURNING).clips("test", range(10), close).truth
    assert abs(np.diff(truth["angles"], axis=1)).max() <= 12 / 32 + 1e-9
    assert abs(np.diff(truth["scales"], axis=1)).max() <= 0.4 * math.pi / 20 / 32 + 1e-9


def test_a_digit_is_of_full_size_once_a_cycle_and_never_below_what_was_asked_for() -> None:
    scales = MovingMNIST(TURNING).clips("test", range(9), np.tile(np.arange(0, 40, 0.1), (9, 1))).truth["scales"]
    np.testing.assert_allclose(scales.max(axis=1), 1.0, atol=2e-4)
    np.testing.assert_allclose(scales.min(axis=1), 0.6, atol=2e-4)
    np.testing.assert_allclose(scales[:, :200], scales[:, 200:], atol=1e-12)


def test_as_little_ink_is_cut_off_as_is_said() -> None:
    """The share of the ink that is further from the middle than half a side."""
    away = np.hypot(*(np.mgrid[:28, :28] - 13.5))
    shares = []
    for some in np.array_split(digits.images(), 20):
        shares.append((some * (away > 14)).sum((1, 2)) / some.sum((1, 2)))
    lost = np.concatenate(shares)
    assert 0.0004 < lost.mean() < 0.0005
    assert 0.06 < lost.max() < 0.07


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"rotation": -1}, "rotation must be degrees per frame, from 0 to 180, got -1"),
        ({"rotation": 181.0}, r"rotation must be degrees per frame, from 0 to 180, got 181\.0"),
        ({"rotation": float("nan")}, "rotation must be degrees per frame, from 0 to 180, got nan"),
        ({"rotation": True}, "rotation must be degrees per frame, from 0 to 180, got True"),
        ({"scaling": -0.1}, r"scaling must be a share of the size, from 0 to 0\.5, got -0\.1"),
        ({"scaling": 0.6}, r"scaling must be a share of the size, from 0 to 0\.5, got 0\.6"),
        ({"scaling": "half"}, r"scaling must be a share of the size, from 0 to 0\.5, got 'half'"),
    ],
)
def test_config_says_what_it_takes(settings: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Config(**settings)


def test_each_is_another_dataset_and_none_of_it_is_the_old_one() -> None:
    configs = [Config(), Config(rotation=5), Config(rotation=10), Config(scaling=0.1), Config(rotation=5, scaling=0.1)]
    found = [MovingMNIST(config).fingerprint("test") for config in configs]
    assert len(set(found)) == len(found)
    assert Config(rotation=0, scaling=0) == Config()
    assert Config(rotation=5).identity() == {"digits": 2, "frame_size": 64, "rotation": 5.0}


# ------------------------------------------------------------------------------------------------------------- swapped


@pytest.mark.parametrize("config", [Config(), Config(digits=1, frame_size=28), TURNING, Config(noise=0.1, missing=0.3)])
def test_a_clip_swapped_with_itself_is_that_clip(config: Config) -> None:
    dataset, times = MovingMNIST(config), steps(7, 3) + 0.25
    clips, swapped = dataset.clips("test", [4, 0, 9], times), dataset.swapped("test", [4, 0, 9], [4, 0, 9], times)
    for name in ("frames", "times", "shown", "observed"):
        np.testing.assert_array_equal(getattr(swapped, name), getattr(clips, name))
    assert list(swapped.ids) == list(clips.ids)
    assert swapped.truth.keys() == clips.truth.keys()
    for name, values in clips.truth.items():
        np.testing.assert_array_equal(swapped.truth[name], values)


@pytest.mark.parametrize("size", [64, 28])
def test_a_swapped_clip_moves_as_the_one_and_shows_the_digits_of_the_other(size: int) -> None:
    dataset, times = MovingMNIST(Config(frame_size=size)), steps(8, 4)
    moves, looks = [0, 1, 2, 3], [9, 8, 1, 6]
    swapped = dataset.swapped("test", moves, looks, times)
    one, other = dataset.clips("test", moves, times), dataset.clips("test", looks, times)
    assert list(swapped.ids) == moves
    for name in ("positions", "velocities", "stride", "spins", "phases", "angles", "scales"):
        np.testing.assert_array_equal(swapped.truth[name], one.truth[name])
    for name in ("digits", "labels"):
        np.testing.assert_array_equal(swapped.truth[name], other.truth[name])
    glyph = 28 if size == 64 else 14
    for b in range(4):
        for t in range(8):
            expected = np.zeros((size, size), dtype=np.uint8)
            for d in range(2):  # the first takes the place of the first
                image = digits.images()[other.truth["digits"][b, d]]
                if glyph == 14:
                    image = digits.half_size(image)
                y, x = one.truth["positions"][b, t, d].astype(int)
                window = expected[y : y + glyph, x : x + glyph]
                np.maximum(window, image, out=window)
            np.testing.assert_array_equal(swapped.frames[b, t, 0], expected)


def test_a_swapped_clip_turns_and_is_disturbed_as_the_one_that_moves() -> None:
    dataset = MovingMNIST(Config(rotation=15, scaling=0.3, noise=0.2, missing=0.4))
    times = steps(12, 2)
    swapped, one = dataset.swapped("test", [3, 5], [7, 1], times), dataset.clips("test", [3, 5], times)
    for name in ("angles", "scales", "spins", "phases"):
        np.testing.assert_array_equal(swapped.truth[name], one.truth[name])
    np.testing.assert_array_equal(swapped.observed, one.observed)
    paper = (swapped.frames == 0) & (one.frames == 0)  # the noise is that of the clip, whatever it falls on
    np.testing.assert_array_equal(swapped.shown[paper], one.shown[paper])


def test_swapping_does_not_depend_on_the_batch() -> None:
    dataset = MovingMNIST(TURNING)
    both = dataset.swapped("test", [2, 4], [3, 5], steps(5, 2))
    for row, (move, look) in enumerate(((2, 3), (4, 5))):
        alone = dataset.swapped("test", [move], [look], steps(5))
        np.testing.assert_array_equal(alone.frames[0], both.frames[row])


@pytest.mark.parametrize(
    ("moves", "looks", "complaint"),
    [([0, 1], [2], "2 clips to move as and 1 to look like"), ([0], [10_000], "no clip 10000 in split 'test'")],
)
def test_swaps_that_cannot_be_are_refused(moves: list[int], looks: list[int], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        MovingMNIST().swapped("test", moves, looks, steps(2, len(moves)))
