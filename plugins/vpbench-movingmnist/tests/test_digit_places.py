"""The search for digits, against dense images and brute force."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from vpbench_movingmnist import digits
from vpbench_movingmnist.dataset import GLYPHS, Config, MovingMNIST
from vpbench_movingmnist.digit_places import EXCHANGES, INK, Places, distances, find_digits, paired


def drawn(glyph: np.ndarray, place: tuple[int, int], brightness: float, size: int) -> np.ndarray:
    """A frame with one glyph, float64 (S, S)."""
    frame = np.zeros((size, size))
    frame[place[0] : place[0] + len(glyph), place[1] : place[1] + len(glyph)] = brightness * glyph / 255
    return frame


def squared_error(frame: np.ndarray, explained: np.ndarray) -> float:
    return float(((frame - explained) ** 2).sum())


def naive_search(frame: np.ndarray, glyphs: np.ndarray) -> tuple[list[tuple[int, int]], list[float]]:
    """The definition, in whole images: squared errors before and after, at every offset."""
    size, count = len(frame), len(glyphs)
    offsets = list(product(range(size - glyphs.shape[1] + 1), repeat=2))
    left = np.where(frame < INK, 0.0, frame)
    image = left.copy()
    found: dict[int, tuple[tuple[int, int], float]] = {}
    while len(found) < count:
        options = []
        for d in set(range(count)) - found.keys():
            shape = {place: drawn(glyphs[d], place, 1.0, size) for place in offsets}
            place = max(offsets, key=lambda place: (left * shape[place]).sum())
            bright = min(1.0, (left * shape[place]).sum() / (shape[place] ** 2).sum())
            lowered = squared_error(left, 0 * left) - squared_error(left, bright * shape[place])
            options.append((lowered, d, place, bright))
        _, d, place, bright = max(options)
        found[d] = place, bright
        left = left - drawn(glyphs[d], place, bright, size)
        left[left < INK] = 0.0
    for _ in range(EXCHANGES):
        before = dict(found)
        brightened = False
        for d in range(count):
            rest = np.zeros_like(frame)
            for e in set(range(count)) - {d}:
                rest = np.maximum(rest, drawn(glyphs[e], *found[e], size))
            place, bright = found[d]
            if bright == 0:
                continue
            best = squared_error(image, np.maximum(rest, drawn(glyphs[d], place, bright, size)))
            for level in (bright, 1.0):
                for other in offsets:
                    error = squared_error(image, np.maximum(rest, drawn(glyphs[d], other, level, size)))
                    if error < best - 1e-12:
                        brightened |= level > bright
                        best, place = error, other
                        found[d] = place, level
            place, bright = found[d]
            shape, seen = drawn(glyphs[d], place, 1.0, size), drawn(glyphs[d], place, bright, size) > rest
            if seen.any():
                found[d] = place, min(1.0, (shape * image)[seen].sum() / (shape**2)[seen].sum())
        if not brightened and all(found[d][0] == before[d][0] for d in found):
            break
    return [found[d][0] for d in range(count)], [found[d][1] for d in range(count)]


def scene(seed: int, *, count: int, size: int, glyph: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """A frame of overlapping glyphs of random brightness with noise, float32 (S, S), and the glyphs, with holes."""
    rng = np.random.default_rng(seed)
    glyphs = (rng.integers(30, 256, (count, glyph, glyph)) * (rng.random((count, glyph, glyph)) < 0.6)).astype(np.uint8)
    frame = np.zeros((size, size))
    for each in glyphs:
        place = tuple(rng.integers(0, size - glyph + 1, 2))
        frame = np.maximum(frame, drawn(each, place, rng.uniform(0.4, 1), size))
    frame = np.clip(frame + noise * rng.standard_normal(frame.shape), 0, 1)
    return frame.astype(np.float32), glyphs


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_search_is_that_of_whole_images(count: int, noise: float) -> None:
    for seed in range(8):
        frame, glyphs = scene(seed, count=count, size=11, glyph=5, noise=noise)
        found = find_digits(frame[None, None], glyphs[None])
        places, brightness = naive_search(frame.astype(np.float64), glyphs)
        assert found.positions[0, 0].tolist() == [list(place) for place in places]
        np.testing.assert_allclose(found.brightness[0, 0], brightness, rtol=1e-9)


def clips_of(count: int, size: int, clips: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Test clips × 10 frames: frames float32 in [0, 1], glyphs, and true whole-pixel places."""
    made = MovingMNIST(Config(digits=count, frame_size=size)).clips(
        "test", range(clips), np.tile(np.arange(10.0), (clips, 1))
    )
    glyphs = digits.images()[made.truth["digits"]]
    if GLYPHS[size] != digits.SIZE:
        glyphs = digits.half_size(glyphs)
    return (made.frames[:, :, 0] / 255).astype(np.float32), glyphs, made.truth["positions"].astype(np.int64)


@pytest.mark.parametrize(
    ("count", "size", "clips"), [(1, 64, 30), (2, 64, 200), (3, 64, 30), (2, 32, 100), (2, 28, 100)]
)
def test_digits_of_a_true_frame_are_where_they_were_drawn_overlapping_or_not(count: int, size: int, clips: int) -> None:
    frames, glyphs, true = clips_of(count, size, clips)
    apart = distances(find_digits(frames, glyphs), true, canvas=size - GLYPHS[size])
    assert not np.take_along_axis(apart, paired(apart)[..., None], axis=-1).any()


def test_blurred_faded_and_noisy_digits_are_still_found() -> None:
    frames, glyphs, true = clips_of(2, 64, 30)
    noise = np.random.default_rng(0).normal(0, 0.1, frames.shape)
    for changed, error in (
        (frames * 0.1, 0.01),
        (gaussian_filter(frames, (0, 0, 1, 1)), 0.02),
        (gaussian_filter(frames, (0, 0, 2, 2)), 0.25),
        (np.clip(frames + noise, 0, 1), 0.01),
    ):
        apart = distances(find_digits(changed.astype(np.float32), glyphs), true, canvas=36)
        assert np.take_along_axis(apart, paired(apart)[..., None], axis=-1).mean() < error


@given(
    brightness=st.floats(0.02, 1), place=st.tuples(st.integers(0, 36), st.integers(0, 36)), digit=st.integers(0, 69_999)
)
@settings(max_examples=40, deadline=None)
def test_a_digit_is_found_however_faded(brightness: float, place: tuple[int, int], digit: int) -> None:
    glyph = digits.images()[digit]
    found = find_digits(drawn(glyph, place, brightness, 64).astype(np.float32)[None, None], glyph[None, None])
    assert found.positions[0, 0, 0].tolist() == list(place)
    assert found.brightness[0, 0, 0] == pytest.approx(brightness, rel=0.01)  # what is darker than ink is gone


@pytest.mark.parametrize("level", [0.0, INK / 2])
def test_where_there_is_no_ink_there_is_no_digit(level: float) -> None:
    glyphs = digits.images()[None, :2]
    found = find_digits(np.full((1, 1, 64, 64), level, dtype=np.float32), glyphs)
    assert not found.brightness.any()


def test_a_digit_that_is_missing_beside_another_is_nowhere() -> None:
    glyphs = digits.images()[None, :2]
    found = find_digits(drawn(glyphs[0, 1], (5, 30), 1.0, 64).astype(np.float32)[None, None], glyphs)
    assert found.brightness[0, 0].tolist() == [0.0, 1.0]
    assert found.positions[0, 0, 1].tolist() == [5, 30]


@pytest.mark.parametrize("size", [64, 32, 28])
def test_where_all_places_are_alike_the_centre_is_taken(size: int) -> None:
    glyphs = digits.images()[None, :1] if size == 64 else digits.half_size(digits.images()[None, :1])
    found = find_digits(np.full((1, 2, size, size), 0.7, dtype=np.float32), glyphs)
    assert (found.positions == (size - GLYPHS[size]) // 2).all()


def test_batches_and_threads_change_nothing() -> None:
    frames, glyphs, _ = clips_of(2, 32, 12)
    frames = frames * np.float32(0.5) + np.random.default_rng(0).random(frames.shape, dtype=np.float32) * np.float32(
        0.5
    )
    whole = find_digits(frames, glyphs)
    threaded = find_digits(frames, glyphs, threads=3)
    assert all((one == other).all() for one, other in zip(whole, threaded, strict=True))
    for b in (0, 7):
        alone = find_digits(frames[b : b + 1, 3:5], glyphs[b : b + 1])
        assert (alone.positions[0] == whole.positions[b, 3:5]).all()
        assert (alone.brightness[0] == whole.brightness[b, 3:5]).all()


def test_glyphs_that_change_with_time_are_those_of_each_frame() -> None:
    frames, glyphs, _ = clips_of(2, 32, 6)
    turned = np.stack([np.rot90(glyphs, k, axes=(2, 3)) for k in range(10)], axis=1)
    whole = find_digits(frames, turned, threads=2)
    for t in range(10):
        alone = find_digits(frames[:, t : t + 1], turned[:, t])
        assert (alone.positions[:, 0] == whole.positions[:, t]).all()
        assert (alone.brightness[:, 0] == whole.brightness[:, t]).all()
    same = find_digits(frames, np.repeat(glyphs[:, None], 10, axis=1))
    assert all((one == other).all() for one, other in zip(same, find_digits(frames, glyphs), strict=True))


def test_frames_and_glyphs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"frames \(2, 3, 64, 64\) and glyphs \(2, 4, 1, 28, 28\) do not fit"):
        find_digits(np.zeros((2, 3, 64, 64), dtype=np.float32), np.zeros((2, 4, 1, 28, 28), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"frames \(1, 1, 20, 20\) and glyphs \(1, 1, 28, 28\) do not fit"):
        find_digits(np.zeros((1, 1, 20, 20), dtype=np.float32), digits.images()[None, :1])


def test_distance_of_what_is_nowhere_is_that_of_a_random_place() -> None:
    canvas = 5
    everywhere = np.array(list(product(range(canvas + 1), repeat=2)))
    true = everywhere[None, :, None]  # one clip, a frame per place, one digit
    zeros = np.zeros_like(true)
    nowhere = distances(Places(zeros, np.zeros(true.shape[:3])), true, canvas=canvas)
    seen = distances(Places(zeros, np.ones(true.shape[:3])), true, canvas=canvas)
    for frame, (y, x) in enumerate(everywhere):
        at_random = np.mean([np.hypot(y - i, x - j) for i, j in everywhere])
        assert nowhere[0, frame, 0, 0] == pytest.approx(at_random, rel=1e-12)
        assert seen[0, frame, 0, 0] == pytest.approx(np.hypot(y, x), rel=1e-15)


@given(data=st.data(), count=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_pairs_have_the_smallest_sum_of_all_permutations(data: st.DataObject, count: int) -> None:
    values = data.draw(st.lists(st.integers(0, 50), min_size=count**2, max_size=count**2))
    apart = np.array(values, dtype=np.float64).reshape(1, 1, count, count)
    pairs = paired(apart)[0, 0]
    assert sorted(pairs) == list(range(count))
    least = min(sum(apart[0, 0, k, each[k]] for k in range(count)) for each in permutations(range(count)))
    assert sum(apart[0, 0, k, pairs[k]] for k in range(count)) == least
