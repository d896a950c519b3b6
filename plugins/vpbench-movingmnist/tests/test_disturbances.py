"""Noise and missing frames against a plain loop, against their distributions, and through a run."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from vpbench_movingmnist import disturbances
from vpbench_movingmnist.dataset import Config, MovingMNIST

from vpbench.cli import main


def steps(n: int, clips: int = 1) -> np.ndarray:
    return np.tile(np.arange(float(n)), (clips, 1))


def numpys_words(split: str, what: str, block: int, time: float, clip: int) -> list[int]:
    """The four words of numpy's own Philox under the documented key and counter."""
    key = int.from_bytes(hashlib.sha256(f"moving-mnist/{split}/{what}".encode()).digest()[:16], "little")
    counter = block + (int(np.float64(time).view(np.uint64)) << 64) + (clip << 128)
    before = (counter - 1) % 2**256  # numpy counts up before it draws
    return np.random.Philox(counter=before, key=key).random_raw(4).tolist()


def uniform(word: int) -> float:
    return ((word >> 11) + 0.5) / 2**53


@pytest.mark.parametrize("size", [28, 64])
@pytest.mark.parametrize("time", [0.0, 7.0, 2.5])
def test_noise_is_what_a_plain_loop_draws(size: int, time: float) -> None:
    std, clip = 0.2, 9_999
    read = MovingMNIST(Config(frame_size=size, noise=std)).clips("test", [clip], np.array([[time]]))
    assert read.shown is not None
    expected = []
    for block in range(size * size // 4):
        words = [uniform(word) for word in numpys_words("test", "noise", block, time, clip)]
        for a, b in (words[:2], words[2:]):
            radius = math.sqrt(-2 * math.log(a))
            expected += [radius * math.cos(2 * math.pi * b), radius * math.sin(2 * math.pi * b)]
    level = np.asarray(read.frames).reshape(-1) + np.floor(255 * std * np.array(expected) + 0.5)
    np.testing.assert_array_equal(read.shown.reshape(-1), np.clip(level, 0, 255))


def test_noise_is_gaussian_of_the_std_asked_for_and_independent_from_pixel_to_pixel() -> None:
    grey = np.full((4, 5, 1, 64, 64), 128, dtype=np.uint8)
    shown = disturbances.noisy(grey, 0.1, "train", np.arange(4), steps(5, 4))
    noise = (shown.astype(np.float64) - 128) / 255
    dithered = noise + np.random.default_rng(0).uniform(-0.5, 0.5, noise.shape) / 255  # undoes the rounding
    std = math.hypot(0.1, 1 / 255 / math.sqrt(12))
    assert kstest(dithered.ravel() / std, "norm").pvalue > 1e-4
    assert noise.std() == pytest.approx(0.1, rel=0.01)
    n = noise.size
    for other in (noise[..., ::-1], noise[..., ::-1, :], np.roll(noise, 1, 1), np.roll(noise, 1, 0)):
        assert abs((noise * other).mean()) < 5 * 0.01 / math.sqrt(n / 2)
    for shift in range(1, 5):  # the four draws of a block are of one counter
        assert abs((noise[..., shift:] * noise[..., :-shift]).mean()) < 5 * 0.01 / math.sqrt(n)


def test_only_what_models_are_shown_is_noisy() -> None:
    clean = MovingMNIST().clips("test", range(3), steps(6, 3))
    noisy = MovingMNIST(Config(noise=0.3)).clips("test", range(3), steps(6, 3))
    np.testing.assert_array_equal(noisy.frames, clean.frames)
    assert noisy.shown is not None
    assert (noisy.shown.dtype, noisy.shown.shape) == (np.uint8, clean.frames.shape)
    black = np.asarray(clean.frames) == 0
    assert (noisy.shown[black] == 0).mean() == pytest.approx(0.5, abs=0.01)  # the negative half is clipped
    for name, values in clean.truth.items():
        np.testing.assert_array_equal(noisy.truth[name], values)


def test_more_noise_is_the_same_noise_stronger() -> None:
    grey = np.full((1, 1, 1, 64, 64), 128, dtype=np.uint8)
    weak, strong = (
        disturbances.noisy(grey, std, "val", np.array([3]), np.zeros((1, 1))).astype(float) - 128 for std in (0.05, 0.1)
    )
    assert abs(strong - 2 * weak).max() <= 2  # levels, of rounding


def test_splits_clips_and_times_have_noise_of_their_own() -> None:
    grey = np.full((1, 1, 1, 28, 28), 128, dtype=np.uint8)
    drawn = {
        disturbances.noisy(grey, 0.1, split, np.array([clip]), np.array([[time]])).tobytes()
        for split in ("train", "val", "test")
        for clip in (0, 1)
        for time in (0.0, 0.5, 1.0)
    }
    assert len(drawn) == 18


@given(ids=st.lists(st.integers(0, 9_999), min_size=1, max_size=4), data=st.data())
@settings(max_examples=30, deadline=None)
def test_what_is_shown_of_a_frame_is_the_same_in_any_batch_and_any_order_of_times(
    ids: list[int], data: st.DataObject
) -> None:
    dataset = MovingMNIST(Config(frame_size=28, noise=0.2, missing=0.5))
    row = st.lists(st.floats(0, 60) | st.integers(0, 60).map(float) | st.just(-0.0), min_size=3, max_size=3)
    times = np.array([data.draw(row) for _ in ids])
    batch = dataset.clips("test", ids, times)
    assert batch.shown is not None
    assert batch.observed is not None
    order = data.draw(st.permutations(range(3)))
    for b, clip in enumerate(ids):
        alone = dataset.clips("test", [clip], np.abs(times[[b]][:, order]))
        assert alone.shown is not None
        assert alone.observed is not None
        np.testing.assert_array_equal(alone.shown[0], batch.shown[b][order])
        np.testing.assert_array_equal(alone.observed[0], batch.observed[b][order])


@pytest.mark.parametrize("missing", [0.2, 0.7])
def test_the_share_of_missing_frames_is_the_one_asked_for_and_the_first_is_always_there(missing: float) -> None:
    observed = MovingMNIST(Config(frame_size=28, missing=missing)).clips("test", range(500), steps(21, 500)).observed
    assert observed is not None
    assert observed[:, 0].all()
    n = observed[:, 1:].size
    assert abs(observed[:, 1:].mean() - (1 - missing)) < 5 * math.sqrt(missing * (1 - missing) / n)
    assert (observed[:, 1:].mean(axis=0) < 1).all()
    expected = [uniform(numpys_words("test", "missing", 0, t, 7)[0]) >= missing for t in range(1, 21)]
    assert observed[7, 1:].tolist() == expected


def test_where_more_frames_are_missing_those_that_were_are_so_still() -> None:
    clips = np.arange(100)
    few, many = (disturbances.observed(share, "test", clips, steps(20, 100)) for share in (0.2, 0.6))
    assert not (many & ~few).any()
    assert many.sum() < few.sum()


def run(folder: Path, *options: str) -> dict[str, dict[str, float]]:
    """Scores by model of a small run: {"bayes": {"mse": ...}}."""
    arguments = (
        "run --model copy-last --dataset moving-mnist --context 4 --horizon 2 --clips 20 --device cpu --no-exhibit "
        f"--metric mse --metric digit-position-error --results {folder}"
    )
    result = CliRunner().invoke(main, [*arguments.split(), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    scores = {}
    for path in folder.glob("**/extrapolate-4-2-*.json"):
        record = json.loads(path.read_text())
        assert record["status"] == "ok", record
        scores[path.parent.name] = {name: score["value"] for name, score in record["scores"].items()}
    return scores


def test_noise_reaches_models_and_neither_the_ceilings_nor_the_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VPBENCH_PLUGINS", "movingmnist,metrics,baselines")
    clean, noisy = run(tmp_path / "clean"), run(tmp_path / "noisy", "--set", "noise=0.3")
    for name in ("bayes", "bayes-sample", "black", "train-mean"):
        assert noisy[name] == clean[name]
    # black pixels show max(0, n): E[max(0, n)²] = std² / 2, which is less of an error where the truth is bright
    assert 0.7 * 0.3**2 / 2 < noisy["copy-last"]["mse"] - clean["copy-last"]["mse"] < 0.3**2 / 2


def test_ceilings_and_digit_metrics_work_at_another_speed_and_with_missing_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VPBENCH_PLUGINS", "movingmnist,metrics,baselines")
    scores = run(tmp_path, "--set", "speed=2", "--set", "missing=0.4", "--set", "digits=1")
    assert scores["bayes"]["mse"] < 0.3 * scores["copy-last"]["mse"]
    assert scores["bayes"]["digit-position-error"] < 3 < scores["copy-last"]["digit-position-error"]
