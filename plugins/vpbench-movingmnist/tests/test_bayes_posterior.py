"""The posterior of a digit's places against rejection sampling, and against where digits really go."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from vpbench_movingmnist import generator
from vpbench_movingmnist.bayes_posterior import UNKNOWN, condition, draw, forecast
from vpbench_movingmnist.dataset import Config, MovingMNIST


def true_places(clip: int, frames: int, *, size: int = 64, speed: float = 1.0, split: str = "train") -> np.ndarray:
    """Places of both digits of a clip, int64 (D, frames, 2)."""
    truth = MovingMNIST(Config(frame_size=size, speed=speed)).clips(split, [clip], np.arange(float(frames))[None]).truth
    return np.ascontiguousarray(truth["positions"][0].astype(np.int64).swapaxes(0, 1))


def simulated(observed: np.ndarray, moves: list[int], canvas: int, draws: int, stride: float = 0.1) -> np.ndarray:
    """Places after these moves, (n, T, 2), of trajectories of the generator that were seen at these places.

    Plain rejection: any direction, a start from which the first place can be reached, kept where all places agree.
    """
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * math.pi, draws)
    v = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    first = observed[0] / canvas
    x = first + rng.uniform(0, 1 / canvas, (draws, 2)) - stride * v
    for axis in range(2):
        if observed[0, axis] in (0, canvas):  # at a wall a digit may have been stopped
            x[:, axis] = rng.uniform(first[axis] - stride, first[axis] + stride + 1 / canvas, draws)
    inside = ((x >= 0) & (x < 1)).all(axis=1)
    x, v = x[inside], v[inside]
    there = []
    for move in range(1, max(moves) + 1):
        x = x + stride * v
        v = np.where((x <= 0) | (x >= 1), -v, v)
        x = np.clip(x, 0, 1)
        if move <= len(observed) and observed[move - 1, 0] != UNKNOWN:
            agrees = ((canvas * x).astype(int) == observed[move - 1]).all(axis=1)
            x, v = x[agrees], v[agrees]
        if move in moves:
            there.append((canvas * x).astype(int))
    return np.stack(there, axis=1)


def chi_square(counts: np.ndarray, probabilities: np.ndarray) -> tuple[float, int]:
    """Pearson's statistic and its degrees of freedom; places expected fewer than 5 times are one."""
    expected = counts.sum() * probabilities
    rare = expected < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], max(expected[rare].sum(), 1.0))
    return float(((observed - expected) ** 2 / expected).sum()), len(observed) - 1


def assert_drawn_from(places: np.ndarray, probabilities: np.ndarray) -> None:
    """Places (n, 2) could well be a sample of these probabilities: within five standard deviations of the statistic."""
    counts = np.zeros(probabilities.shape)
    np.add.at(counts, tuple(places.T), 1)
    statistic, freedom = chi_square(counts, probabilities)
    assert statistic < freedom + 5 * math.sqrt(2 * freedom) + 5


@pytest.mark.parametrize(
    ("observed", "canvas"),
    [
        ([(17, 20), (19, 22)], 36),
        ([(17, 20), (17, 17)], 36),  # hardly any motion along one axis
        ([(1, 20), (0, 17)], 36),  # in the first row: at the wall, or before it
        ([(0, 0), (0, 2)], 36),
        ([(35, 34), (36, 35)], 36),  # the last row is the wall
        ([(34, 3), (36, 1), (33, 0), (31, 2)], 36),
        ([(12, 20), (UNKNOWN, UNKNOWN), (16, 14)], 36),  # the second frame was not seen
        ([(9, 0)], 18),
        ([(3, 13), (2, 14), (1, 13)], 14),
    ],
)
def test_forecast_agrees_with_rejection_sampling(observed: list[tuple[int, int]], canvas: int) -> None:
    places = np.array(observed)
    moves = [len(places) + ahead for ahead in (1, 3, 12, 30)]
    sample = simulated(places, moves, canvas, draws=300_000)
    assert len(sample) > 500
    maps = forecast(condition(places, canvas=canvas), np.array(moves))
    for t in range(len(moves)):
        assert_drawn_from(sample[:, t], maps[t])


@pytest.mark.parametrize("speed", [0.5, 1.5, 2.0, 10.0])
@pytest.mark.parametrize("clip", [0, 1, 2, 3])
def test_forecast_at_other_speeds_agrees_with_rejection_sampling(speed: float, clip: int) -> None:
    for canvas, seen in ((36, [0, 1]), (36, [0, 2]), (18, [0, 1, 2])):
        frames = max(seen) + 1
        places = np.full((frames, 2), UNKNOWN)
        places[seen] = true_places(clip, frames, size=64 if canvas == 36 else 32, speed=speed)[0, seen]
        moves = [frames + ahead for ahead in (1, 4, 20)]
        sample = simulated(places, moves, canvas, draws=400_000, stride=0.1 * speed)
        assert len(sample) > 300
        maps = forecast(condition(places, canvas=canvas, stride=0.1 * speed), np.array(moves))
        for t in range(len(moves)):
            assert_drawn_from(sample[:, t], maps[t])


@pytest.mark.parametrize("speed", [0.5, 1.5, 2.0, 10.0])
@pytest.mark.parametrize("context", [1, 3, 10, 40])
def test_forecasts_at_other_speeds_hold_the_truth_as_possible_as_they_say(speed: float, context: int) -> None:
    """Where the truth is drawn from P, the mean of P(truth) is the mean of the sum of P²."""
    ahead = 12
    moves = np.arange(context + 1, context + ahead + 1)
    excess = []
    for clip in range(60):
        for places in true_places(clip, context + ahead, speed=speed):
            maps = forecast(condition(places[:context], canvas=36, stride=0.1 * speed, directions=512), moves)
            y, x = places[context:].T
            excess.append((maps[np.arange(ahead), y, x] - np.square(maps).sum(axis=(1, 2))).mean())
    assert abs(np.mean(excess)) < 4 * np.std(excess) / math.sqrt(len(excess))


@settings(max_examples=60, deadline=None, derandomize=True)  # a place of probability 1e-5 may be missed
@given(
    clip=st.integers(0, 2**31 - 1),
    context=st.sampled_from([1, 2, 5, 10, 25]),
    size=st.sampled_from([64, 32, 28]),
)
@example(clip=0, context=60, size=64)  # several walls within the context
def test_forecasts_are_proper_and_hold_the_truth_possible(clip: int, context: int, size: int) -> None:
    ahead = 25
    moves = np.arange(context + 1, context + ahead + 1)
    for places in true_places(clip, context + ahead, size=size):
        maps = forecast(condition(places[:context], canvas=int(36 * size / 64) if size != 28 else 14), moves)
        np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1.0, atol=1e-12)
        assert maps.min() >= 0
        y, x = places[context:].T
        assert (maps[np.arange(ahead), y, x] > 0).all()


@pytest.mark.parametrize("context", [1, 2, 5, 10])
def test_the_truth_is_as_probable_as_forecasts_say(context: int) -> None:
    """Where the truth is drawn from P, the mean of P(truth) is the mean of the sum of P²."""
    ahead = 12
    moves = np.arange(context + 1, context + ahead + 1)
    excess = []
    for clip in range(100):
        for places in true_places(clip, context + ahead):
            maps = forecast(condition(places[:context], canvas=36, directions=512), moves)
            y, x = places[context:].T
            excess.append((maps[np.arange(ahead), y, x] - np.square(maps).sum(axis=(1, 2))).mean())
    assert abs(np.mean(excess)) < 4 * np.std(excess) / math.sqrt(len(excess))


@settings(max_examples=100, deadline=None)
@given(clip=st.integers(0, 2**31 - 1), context=st.integers(1, 80), speed=st.just(1.0) | st.floats(0.01, 10.0))
@example(clip=1, context=40, speed=10.0)
@example(clip=1, context=40, speed=5.0)
def test_the_true_direction_is_always_among_the_possible_ones(clip: int, context: int, speed: float) -> None:
    truth = MovingMNIST(Config(speed=speed)).clips("train", [clip], np.arange(context + 0.0)[None]).truth
    for digit in range(2):
        posterior = condition(truth["positions"][0, :, digit].astype(np.int64), canvas=36, stride=0.1 * speed)
        velocity = np.abs(truth["velocities"][0, -1, digit]) / (3.6 * speed)  # walls change signs alone
        distance = np.arccos(np.clip(np.abs(posterior.directions) @ velocity, -1, 1))
        nearest = np.argmin(distance)
        assert distance[nearest] <= posterior.spans[nearest] + 1e-7  # arccos near 1 is good to 1e-8


def test_more_frames_leave_fewer_directions() -> None:
    (places, _) = true_places(3, 40)
    angles = [condition(places[:context], canvas=36).spans.sum() for context in (1, 2, 5, 10, 20, 40)]
    assert angles == sorted(angles, reverse=True)
    assert angles[0] > 100 * angles[-1]


def test_doubling_the_directions_changes_little() -> None:
    for clip in range(5):
        for places in true_places(clip, 10):
            moves = np.array([11, 20, 50, 100])
            once, twice = (forecast(condition(places, canvas=36, directions=n), moves) for n in (2048, 4096))
            assert np.abs(once - twice).sum(axis=(1, 2)).max() / 2 < 3e-3


def test_a_time_has_the_same_bits_whatever_is_asked_beside_it() -> None:
    for places in true_places(5, 4):
        posterior = condition(places, canvas=36)
        whole = forecast(posterior, np.arange(5, 60))
        np.testing.assert_array_equal(forecast(posterior, np.array([5, 9, 31])), whole[[0, 4, 26]])


def test_draws_go_through_the_observed_places_and_on_as_forecast() -> None:
    observed = np.array([(2, 20), (0, 22)])
    posterior = condition(observed, canvas=36, directions=256)
    uniform = np.random.default_rng(1).uniform(size=(2000, 3))
    start, velocity = (np.stack(each)[:, None] for each in zip(*(draw(posterior, u) for u in uniform), strict=True))
    times = np.tile([0.0, 1.0, 2.0, 9.0], (len(uniform), 1))
    places = generator.move(start, velocity, times, canvas=36)[0][:, :, 0].astype(int)
    np.testing.assert_allclose(np.hypot(velocity[..., 0], velocity[..., 1]), 1.0)
    assert (places[:, :2] == observed).all()
    maps = forecast(posterior, np.array([3, 10]))
    assert_drawn_from(places[:, 2], maps[0])
    assert_drawn_from(places[:, 3], maps[1])


@pytest.mark.parametrize(
    "observed",
    [
        [(5, 5), (15, 5)],  # too fast
        [(5, 5), (5, 5)],  # too slow
        [(5, 5), (8, 5), (5, 5)],  # turned without a wall
        [(36, 5), (36, 5)],  # a wall holds a digit for one frame
    ],
)
def test_places_that_no_trajectory_goes_through_are_refused(observed: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="no trajectory of the generator goes through these places"):
        condition(np.array(observed), canvas=36)


def test_the_past_is_no_forecast() -> None:
    (places, _) = true_places(0, 3)
    with pytest.raises(ValueError, match="2 moves are asked for"):
        forecast(condition(places, canvas=36), np.array([2, 5]))
