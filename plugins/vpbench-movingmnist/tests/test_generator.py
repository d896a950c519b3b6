"""The compiled generator against a plain float64 loop that shares no code with it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from fractions import Fraction

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vpbench_movingmnist import digits, generator
from vpbench_movingmnist.dataset import Config, MovingMNIST

MASK = 2**64 - 1


def philox_words(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x64-10 in whole numbers, from the paper."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [(p1 >> 64) ^ c[1] ^ k[0], p1 & MASK, (p0 >> 64) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B97F4A7C15) & MASK, (k[1] + 0xBB67AE8584CAA73B) & MASK]
    return c


def plain_clip(
    split: str, clip: int, n_frames: int, n_digits: int, size: int, step: float = 0.1
) -> tuple[list, list, np.ndarray]:
    """Digit numbers, positions [frame][digit][y, x] and frames (T, 1, S, S) of a clip, one number after another."""
    name = hashlib.sha256(f"moving-mnist/{split}".encode()).digest()
    key = [int.from_bytes(name[:8], "little"), int.from_bytes(name[8:16], "little")]
    first, count = {"train": (0, 55_000), "val": (55_000, 5_000), "test": (60_000, 10_000)}[split]
    chosen: list[int] = []
    movers = []
    for digit in range(n_digits):
        attempt = 0
        words = philox_words([attempt, digit, clip, 0], key)
        x, y, turn = ((word >> 11) / 2**53 for word in words[:3])
        while (number := first + (words[3] * count >> 64)) in chosen:
            attempt += 1
            words = philox_words([attempt, digit, clip, 0], key)
        chosen.append(number)
        theta = 2 * math.pi * turn
        movers.append([x, y, math.cos(theta), math.sin(theta)])

    glyph_size = {64: 28, 32: 14, 28: 14}[size]
    canvas = size - glyph_size
    positions = []
    frames = np.zeros((n_frames, 1, size, size), dtype=np.uint8)
    for k in range(n_frames):
        positions.append([])
        for number, mover in zip(chosen, movers, strict=True):
            x, y, v_x, v_y = mover
            y += v_y * step
            x += v_x * step
            if x <= 0:
                x, v_x = 0.0, -v_x
            if x >= 1.0:
                x, v_x = 1.0, -v_x
            if y <= 0:
                y, v_y = 0.0, -v_y
            if y >= 1.0:
                y, v_y = 1.0, -v_y
            mover[:] = x, y, v_x, v_y
            positions[k].append([canvas * y, canvas * x])
            top, left = int(canvas * y), int(canvas * x)
            glyph = digits.images()[number]
            if glyph_size == 14:
                glyph = (glyph.astype(int)[::2, ::2] + glyph[1::2, ::2] + glyph[::2, 1::2] + glyph[1::2, 1::2]) // 4
            window = frames[k, 0, top : top + glyph_size, left : left + glyph_size]
            np.maximum(window, glyph.astype(np.uint8), out=window)
    return chosen, positions, frames


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize(("n_digits", "size"), [(1, 64), (2, 64), (2, 32), (2, 28), (5, 64)])
def test_clips_equal_a_plain_float64_loop_bit_for_bit(split: str, n_digits: int, size: int) -> None:
    ids, n_frames = [0, 1, 7, 9_999], 150
    times = np.tile(np.arange(float(n_frames)), (len(ids), 1))
    clips = MovingMNIST(Config(digits=n_digits, frame_size=size)).clips(split, ids, times)
    for b, clip in enumerate(ids):
        chosen, positions, frames = plain_clip(split, clip, n_frames, n_digits, size)
        assert clips.truth["digits"][b].tolist() == chosen
        assert clips.truth["positions"][b].tolist() == positions
        np.testing.assert_array_equal(clips.frames[b], frames)


@pytest.mark.parametrize("speed", [0.5, 1.5, 2.0, 3.7, 10.0])
def test_a_clip_at_another_speed_is_the_same_loop_with_another_step(speed: float) -> None:
    n_frames = 60
    clips = MovingMNIST(Config(speed=speed)).clips("test", [0, 5], np.tile(np.arange(float(n_frames)), (2, 1)))
    for b, clip in enumerate([0, 5]):
        chosen, positions, frames = plain_clip("test", clip, n_frames, 2, 64, step=0.1 * speed)
        assert clips.truth["digits"][b].tolist() == chosen
        assert clips.truth["positions"][b].tolist() == positions
        np.testing.assert_array_equal(clips.frames[b], frames)
    assert clips.truth["stride"].tolist() == [0.1 * speed] * 2
    np.testing.assert_allclose(np.hypot(*np.moveaxis(clips.truth["velocities"], -1, 0)), 3.6 * speed)


def test_plain_loop_and_generator_agree_after_ten_thousand_moves() -> None:
    clips = MovingMNIST(Config(digits=1)).clips("train", [2**31 - 1], np.array([[9_999.0]]))
    _, positions, _ = plain_clip("train", 2**31 - 1, 10_000, 1, 64)
    assert clips.truth["positions"][0, 0].tolist() == positions[-1]


def test_philox_is_numpys() -> None:
    for counter, key in ([0, 0, 0, 0], [0, 0]), ([7, 3, 9_999, 0], [MASK, 12345]), ([MASK] * 4, [1, MASK]):
        words = generator.philox(*map(np.uint64, counter), *map(np.uint64, key))
        whole = sum(word << 64 * i for i, word in enumerate(counter))
        before = (whole - 1) % 2**256  # numpy counts up before it draws
        numpys = np.random.Philox(counter=before, key=key[0] + (key[1] << 64)).random_raw(4)
        assert [int(word) for word in words] == numpys.tolist() == philox_words(counter, key)


def test_draws_are_uniform_and_digits_are_distinct() -> None:
    n = 20_000
    draws = generator.draw((1, 2), np.arange(n), digits=3, pool=10)
    for axis in range(2):
        assert abs(draws.start[..., axis].mean() - 0.5) < 5 / math.sqrt(12 * 3 * n)
    assert abs(draws.velocity.mean(axis=(0, 1))).max() < 5 / math.sqrt(2 * 3 * n)
    np.testing.assert_allclose(np.hypot(*np.moveaxis(draws.velocity, -1, 0)), 1.0, rtol=1e-15)
    assert all(len(set(row)) == 3 for row in draws.digits.tolist())
    for d in range(3):  # each place of a clip sees each digit of the pool equally often
        counts = np.bincount(draws.digits[:, d], minlength=10)
        assert ((counts - n / 10) ** 2 / (n / 10)).sum() < 40  # chi-square, 9 degrees of freedom: p = 1e-5


def test_a_clip_can_use_every_digit_of_the_pool() -> None:
    draws = generator.draw((1, 2), np.arange(5), digits=10, pool=10)
    assert np.sort(draws.digits).tolist() == [list(range(10))] * 5


def test_a_digit_moving_along_an_axis_meets_the_wall_after_eleven_steps_not_ten() -> None:
    start, velocity = np.array([[[0.5, 0.0]]]), np.array([[[0.0, 1.0]]])
    positions, velocities = generator.move(start, velocity, np.arange(12.0)[None], canvas=36)
    x, v = positions[0, :, 0, 1], velocities[0, :, 0, 1]
    assert 35.999 < x[9] < 36.0  # after ten moves: 0.1 added ten times is 0.9999...
    assert int(x[9]) == 35
    assert x[10] == 36.0  # after eleven
    assert v[9] > 0 > v[10]
    assert x[11] == 36 * 0.9  # and back, at full speed
    assert (positions[0, :, 0, 0] == 18.0).all()


def test_a_digit_that_meets_a_wall_is_held_there_for_one_frame() -> None:
    start, velocity = np.array([[[0.05, 0.95]]]), np.array([[[-0.6, 0.8]]])
    positions, velocities = generator.move(start, velocity, np.arange(2.0)[None], canvas=36)
    assert positions[0, 0, 0].tolist() == [0.0, 36.0]  # 0.05 - 0.06 < 0 and 0.95 + 0.08 > 1: the overshoot is lost
    assert velocities[0, 0, 0] == pytest.approx([36 * 0.06, -36 * 0.08])
    assert positions[0, 1, 0] == pytest.approx([36 * 0.06, 36 * 0.92])


def test_a_digit_that_comes_to_lie_exactly_on_a_wall_turns() -> None:
    start, velocity = np.array([[[0.1, 0.9]]]), np.array([[[-1.0, 1.0]]])
    positions, velocities = generator.move(start, velocity, np.zeros((1, 1)), canvas=36)
    assert positions[0, 0, 0].tolist() == [0.0, 36.0]  # 0.1 - 0.1 = 0 and 0.9 + 0.1 = 1, in float64 too
    assert (np.sign(velocities[0, 0, 0]) == [1, -1]).all()


unit = st.floats(0, 1, exclude_max=True)
angle = st.floats(0, 2 * math.pi)
some_times = st.lists(st.floats(0, 300) | st.integers(0, 300).map(float), min_size=1, max_size=12)


@given(y=unit, x=unit, theta=angle, times=some_times)
@settings(max_examples=200, deadline=None)
def test_motion_stays_inside_keeps_its_speed_and_does_not_depend_on_what_is_asked(
    y: float, x: float, theta: float, times: list[float]
) -> None:
    start, velocity = np.array([[[y, x]]]), np.array([[[math.sin(theta), math.cos(theta)]]])
    positions, velocities = generator.move(start, velocity, np.array([times]), canvas=36)
    assert ((positions >= 0) & (positions <= 36)).all()
    assert (abs(velocities) == abs(36 * (0.1 * velocity))[:, None]).all()
    for i, t in enumerate(times):
        alone, _ = generator.move(start, velocity, np.array([[t]]), canvas=36)
        assert (alone[0, 0] == positions[0, i]).all()
        for j, s in enumerate(times):  # never faster than the walls allow
            assert (abs(positions[0, i] - positions[0, j]) <= 3.6 * abs(t - s) + 1e-9).all()


@given(y=unit, x=unit, theta=angle, k=st.integers(0, 200), between=st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_between_frames_a_digit_is_on_the_line_from_one_to_the_next(
    y: float, x: float, theta: float, k: int, between: float
) -> None:
    start, velocity = np.array([[[y, x]]]), np.array([[[math.sin(theta), math.cos(theta)]]])
    times = np.array([[k, k + between, k + 1.0]])
    (here, there, after), (leaving, _, _) = (a[0, :, 0] for a in generator.move(start, velocity, times, canvas=36))
    # the next frame is where this line ends, or the wall where it leaves the canvas: so is every point of it
    line = np.clip(here + leaving * (times[0, 1] - k), 0, 36)
    np.testing.assert_allclose(there, line, rtol=0, atol=1e-9)
    np.testing.assert_allclose(after, np.clip(here + leaving, 0, 36), rtol=0, atol=1e-9)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_overlay_is_the_maximum_whatever_the_order_of_digits(data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 2**32))
    random = np.random.default_rng(seed)
    glyphs = random.integers(0, 256, (2, 3, 28, 28), dtype=np.uint8)
    positions = random.uniform(0, 36, (2, 4, 3, 2))
    frames = generator.render(glyphs, positions, size=64)
    order = data.draw(st.permutations(range(3)))
    assert (generator.render(glyphs[:, order], positions[:, :, order], size=64) == frames).all()
    apart = [generator.render(glyphs[:, [d]], positions[:, :, [d]], size=64) for d in range(3)]
    assert (np.maximum.reduce(apart) == frames).all()


def test_offsets_are_truncated_and_36_is_reached_only_at_the_wall() -> None:
    glyph = np.full((1, 1, 28, 28), 9, dtype=np.uint8)
    positions = np.array([[[[35.999999, 0.999999]], [[36.0, 1.0]]]])
    frames = generator.render(glyph, positions, size=64)
    assert [np.argwhere(frame[0])[0].tolist() for frame in frames[0]] == [[35, 0], [36, 1]]


@given(st.lists(st.integers(0, 255), min_size=4, max_size=4))
def test_half_size_is_the_exact_mean_without_its_fraction(pixels: list[int]) -> None:
    glyph = np.array(pixels, dtype=np.uint8).reshape(2, 2)
    assert digits.half_size(glyph).tolist() == [[math.floor(Fraction(sum(pixels), 4))]]


def test_half_size_takes_each_block_of_a_digit() -> None:
    glyph = digits.images()[0]
    small = digits.half_size(glyph)
    assert small.shape == (14, 14)
    assert small.dtype == np.uint8
    for row in range(14):
        for column in range(14):
            assert small[row, column] == glyph[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].sum() // 4


def test_functions_are_compiled_where_the_result_cannot_be_kept() -> None:
    namespace: dict[str, Callable[[int], int]] = {}
    exec("def double(x): return 2 * x", namespace)  # no file, so numba has no place for its cache
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(namespace["double"])
    assert generator.compiled(namespace["double"])(4) == 8
