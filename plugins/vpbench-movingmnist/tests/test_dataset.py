from __future__ import annotations

import hashlib
import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vpbench_movingmnist import digits
from vpbench_movingmnist.dataset import CLIPS, Config, MovingMNIST

from vpbench.config import config_to_dict
from vpbench.errors import UsageError

#: sha256 of the first 1,000 test clips × 100 frames: uint8 (1000, 100, 1, 64, 64) in C order. Published; never changes
#: without a new version of the dataset.
GOLDEN = "35369c44823cbd34d1d21f3792b507b22ce4e47495016ebcdd0e11b4946f8c95"

#: Of the test split, in every record of it that is published.
FINGERPRINT = "3fc6e6ea375bdfa8038c8914f629d5ab3042e4fa8b37c5b9fd60a3ab6d986c13"


def steps(n: int, clips: int = 1) -> np.ndarray:
    return np.tile(np.arange(float(n)), (clips, 1))


def test_the_published_test_clips_are_these() -> None:
    dataset, found = MovingMNIST(), hashlib.sha256()
    for first in range(0, 1000, 100):
        found.update(dataset.clips("test", range(first, first + 100), steps(100, 100)).frames)
    assert found.hexdigest() == GOLDEN


def test_frames_have_the_statistics_of_the_published_generator() -> None:
    clips = MovingMNIST().clips("test", range(400), steps(20, 400))
    x = clips.frames / 255.0
    assert (x**2).sum(axis=(2, 3, 4)).mean() == pytest.approx(172.5, rel=0.02)
    assert x.mean() == pytest.approx(0.049, rel=0.02)
    assert (x > 0.1).mean() == pytest.approx(0.064, rel=0.02)
    long = MovingMNIST().clips("test", range(400), steps(91, 400)).truth["velocities"]
    bounces = (np.diff(np.sign(long), axis=1) != 0).sum(axis=(1, 2, 3))
    assert bounces.mean() / 90 == pytest.approx(0.245, rel=0.02)
    assert bounces.min() > 0


def test_shapes_types_and_truth_are_as_documented() -> None:
    dataset = MovingMNIST(Config(digits=3))
    times = np.array([[0.0, 2.5, 1.0, 2.5], [7.0, 0.0, 0.0, 3.25]])
    clips = dataset.clips("val", [5, 2], times)
    assert dataset.info.frame_shape == (1, 64, 64)
    assert dataset.info.max_length is None
    assert dataset.info.fractional
    assert clips.frames.dtype == np.uint8
    assert clips.frames.shape == (2, 4, 1, 64, 64)
    assert (clips.times == times).all()
    assert list(clips.ids) == [5, 2]
    truth = clips.truth
    assert {name: (a.shape, a.dtype) for name, a in truth.items()} == {
        "positions": ((2, 4, 3, 2), np.float64),
        "velocities": ((2, 4, 3, 2), np.float64),
        "digits": ((2, 3), np.int64),
        "labels": ((2, 3), np.int64),
        "stride": ((2,), np.float64),
        "angles": ((2, 4, 3), np.float64),
        "scales": ((2, 4, 3), np.float64),
        "spins": ((2, 3), np.float64),
        "phases": ((2, 3), np.float64),
        "scaling": ((2,), np.float64),
    }
    assert clips.shown is None
    assert clips.observed is None
    assert (truth["labels"] == digits.labels()[truth["digits"]]).all()
    np.testing.assert_allclose(np.hypot(*np.moveaxis(truth["velocities"], -1, 0)), 3.6)


def test_positions_say_where_the_digits_are_drawn() -> None:
    clips = MovingMNIST(Config(digits=1)).clips("test", range(20), steps(30, 20))
    for b in range(20):
        glyph = digits.images()[clips.truth["digits"][b, 0]]
        for t in range(30):
            y, x = clips.truth["positions"][b, t, 0].astype(int)
            assert (clips.frames[b, t, 0, y : y + 28, x : x + 28] == glyph).all()
            assert clips.frames[b, t].sum(dtype=int) == glyph.sum(dtype=int)


some_clips = st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=5)


@given(ids=some_clips, data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_clip_is_the_same_in_any_batch_and_any_order_of_times(ids: list[int], data: st.DataObject) -> None:
    dataset = MovingMNIST()
    n = data.draw(st.integers(1, 6))
    row = st.lists(st.floats(0, 60) | st.integers(0, 60).map(float), min_size=n, max_size=n)
    times = np.array([data.draw(row) for _ in ids])
    batch = dataset.clips("train", ids, times)
    for b, clip in enumerate(ids):
        order = data.draw(st.permutations(range(n)))
        alone = dataset.clips("train", [clip], times[[b]][:, order])
        assert (alone.frames[0] == batch.frames[b][order]).all()
        for name, per_frame in (("positions", True), ("velocities", True), ("digits", False), ("labels", False)):
            whole = batch.truth[name][b]
            assert (alone.truth[name][0] == (whole[order] if per_frame else whole)).all()


def test_a_longer_clip_extends_a_shorter_one() -> None:
    dataset = MovingMNIST()
    short, long = (dataset.clips("test", range(8), steps(n, 8)) for n in (20, 100))
    assert (long.frames[:, :20] == short.frames).all()
    assert (long.truth["positions"][:, :20] == short.truth["positions"]).all()


def test_more_digits_leave_the_first_ones_alone() -> None:
    two, four = (MovingMNIST(Config(digits=d)).clips("test", range(50), steps(20, 50)) for d in (2, 4))
    for name in ("digits", "labels"):
        assert (four.truth[name][:, :2] == two.truth[name]).all()
    assert (four.truth["positions"][:, :, :2] == two.truth["positions"]).all()
    assert (four.frames >= two.frames).all()


def test_frame_size_changes_neither_motion_nor_digits() -> None:
    large, medium, small = (
        MovingMNIST(Config(frame_size=s)).clips("val", range(50), steps(60, 50)) for s in (64, 32, 28)
    )
    for other, canvas in ((medium, 18), (small, 14)):
        assert (other.truth["digits"] == large.truth["digits"]).all()
        np.testing.assert_allclose(other.truth["positions"] / canvas, large.truth["positions"] / 36, atol=1e-14)
        np.testing.assert_allclose(other.truth["velocities"] / canvas, large.truth["velocities"] / 36, atol=1e-14)
    assert medium.frames.shape[2:] == (1, 32, 32)
    assert small.frames.shape[2:] == (1, 28, 28)


def test_whole_times_are_frames_and_times_between_them_move() -> None:
    dataset = MovingMNIST(Config(digits=1))
    halves = dataset.clips("test", range(50), np.tile(np.arange(0, 20, 0.5), (50, 1)))
    whole = dataset.clips("test", range(50), steps(20, 50))
    assert (halves.frames[:, ::2] == whole.frames).all()
    assert (halves.truth["positions"][:, ::2] == whole.truth["positions"]).all()
    moved = abs(np.diff(halves.truth["positions"], axis=1)).max(axis=(2, 3))
    assert (moved > 0).mean() > 0.99  # a corner can hold a digit for a part of a step
    assert moved.max() <= 1.8 + 1e-12


def test_splits_share_no_digit_and_no_clip() -> None:
    dataset = MovingMNIST()
    drawn: dict[str, set[int]] = {}
    starts: dict[str, set[tuple[float, ...]]] = {}
    for split in CLIPS:
        truth = dataset.clips(split, range(5_000), np.zeros((5_000, 1))).truth
        drawn[split] = set(truth["digits"].ravel().tolist())
        starts[split] = set(map(tuple, truth["positions"].reshape(5_000, -1).tolist()))
        assert drawn[split] <= set(digits.POOLS[split])
        assert len(starts[split]) == 5_000
    for one, other in itertools.combinations(CLIPS, 2):
        assert not drawn[one] & drawn[other]
        assert not starts[one] & starts[other]
    assert [len(pool) for pool in digits.POOLS.values()] == [55_000, 5_000, 10_000]


def test_ids_are_endless_for_training_and_ten_thousand_else_at_any_length() -> None:
    dataset = MovingMNIST()
    assert [dataset.ids(split, n_frames=1000) for split in CLIPS] == [range(2**31), range(10_000), range(10_000)]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"digits": 0}, r"digits must be 1\.\.5000, got 0"),
        ({"digits": 5001}, r"digits must be 1\.\.5000, got 5001"),
        ({"digits": 2.0}, r"digits must be 1\.\.5000, got 2\.0"),
        ({"digits": True}, r"digits must be 1\.\.5000, got True"),
        ({"frame_size": 48}, r"frame_size must be one of 64, 32, 28, got 48"),
        ({"frame_size": "64"}, r"frame_size must be one of 64, 32, 28, got '64'"),
        ({"speed": 0.0}, r"speed must be above 0 and at most 10, got 0\.0"),
        ({"speed": 10.5}, r"speed must be above 0 and at most 10, got 10\.5"),
        ({"speed": float("nan")}, r"speed must be above 0 and at most 10, got nan"),
        ({"speed": True}, r"speed must be above 0 and at most 10, got True"),
        ({"noise": -0.1}, r"noise must be a standard deviation, 0 or more, got -0\.1"),
        ({"noise": float("inf")}, r"noise must be a standard deviation, 0 or more, got inf"),
        ({"missing": 1.0}, r"missing must be a share of the frames, from 0 to below 1, got 1\.0"),
        ({"missing": -0.5}, r"missing must be a share of the frames, from 0 to below 1, got -0\.5"),
        ({"missing": "0.5"}, r"missing must be a share of the frames, from 0 to below 1, got '0\.5'"),
    ],
)
def test_config_says_what_it_takes(settings: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Config(**settings)


@pytest.mark.parametrize(
    ("ids", "times", "complaint"),
    [
        ([0], [[-0.5]], r"no frame at time -0\.5"),
        ([0], [[1.0, float("nan")]], r"no frame at time nan"),
        ([0], [[float("inf")]], r"no frame at time inf"),
        ([10_000], [[0.0]], r"no clip 10000 in split 'test': ids are 0\.\.9999"),
        ([-1], [[0.0]], r"no clip -1 in split 'test'"),
        ([0, 1], [[0.0]], r"got shapes \(2,\) and \(1, 1\)"),
        ([0], [0.0], r"got shapes \(1,\) and \(1,\)"),
    ],
)
def test_clips_that_do_not_exist_are_refused(ids: list, times: list, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        MovingMNIST().clips("test", ids, np.array(times))


def test_an_unknown_split_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no split 'dev': one of train, val, test"):
        MovingMNIST().ids("dev", n_frames=1)


def test_nothing_asked_for_is_nothing_given() -> None:
    assert MovingMNIST().clips("test", [], np.zeros((0, 4))).frames.shape == (0, 4, 1, 64, 64)
    assert MovingMNIST().clips("test", [3], np.zeros((1, 0))).frames.shape == (1, 0, 1, 64, 64)


def test_fingerprint_is_the_same_in_another_process_and_tells_splits_and_configs_apart() -> None:
    configs = [Config(), Config(digits=3), Config(frame_size=32), Config(speed=2.0)]
    configs += [Config(noise=0.1), Config(noise=0.2), Config(missing=0.2), Config(missing=0.1, noise=0.1)]
    here = [MovingMNIST(config).fingerprint(split) for config in configs for split in CLIPS]
    code = (
        "from vpbench_movingmnist.dataset import *\n"
        "d = MovingMNIST(); d.clips('test', [9], np.array([[3.5, 1.0]]))\n"
        "print(*(d.fingerprint(s) for s in CLIPS))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert here[:3] == there
    assert len(set(here)) == len(here)


def test_the_dataset_of_the_published_records_keeps_its_fingerprint_and_identity() -> None:
    assert MovingMNIST().fingerprint("test") == FINGERPRINT
    assert MovingMNIST(Config(speed=1, noise=0, missing=0)).fingerprint("test") == FINGERPRINT
    assert config_to_dict(Config()) == Config().identity() == {"digits": 2, "frame_size": 64}
    other = Config(speed=2, noise=0.5)
    assert config_to_dict(other) == other.identity() == {"digits": 2, "frame_size": 64, "speed": 2.0, "noise": 0.5}


def test_a_dataset_pickles_without_its_digits() -> None:
    dataset = MovingMNIST(Config(frame_size=32))
    expected = dataset.clips("test", [1], steps(3)).frames
    packed = pickle.dumps(dataset)
    assert len(packed) < 1_000
    assert (pickle.loads(packed).clips("test", [1], steps(3)).frames == expected).all()


def test_every_digit_of_a_split_is_among_its_sources_and_splits_share_none() -> None:
    pools = {}
    for split in ("train", "val", "test"):
        ((start, stop),) = MovingMNIST().sources(split)["mnist"]
        shown = MovingMNIST().clips(split, range(200), np.zeros((200, 1))).truth["digits"]
        assert start <= shown.min() < shown.max() < stop
        pools[split] = set(range(start, stop))
    assert not pools["train"] & pools["val"]
    assert not pools["test"] & (pools["train"] | pools["val"])
