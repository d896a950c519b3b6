"""The Moving MNIST generator of Srivastava, Mansimov and Salakhutdinov (2015), as pure functions on arrays.

The motion is that of the released code (`BouncingMNISTDataHandler` in data_handler.py), not of the paper's text: the
speed is the same for all digits. It lives in the unit square: x, y ~ U(0, 1), theta ~ U(0, 2 pi), velocity
(cos theta, sin theta), and per frame, *first* move then record::

    y += 0.1 v_y;  x += 0.1 v_x;  each coordinate <= 0 is set to 0, >= 1 to 1, and its velocity flipped

A digit's top-left pixel is ``int(canvas * coordinate)`` (truncated), canvas = frame size - digit size. Digits overlay
by maximum. All is float64 in that order of operations: 0.1 added ten times is 0.9999..., so a digit moving exactly
along an axis from 0 meets the wall after 11 steps, not 10.

Between frames a digit moves on a straight line, ``x(t) = x_k + 0.1 v_k (t - k)``, clamped to the walls: equal to the
generator at whole times, where its rule of bouncing is defined. (A generator run with smaller steps overshoots less
at the walls and is another dataset.)

Draws come from Philox4x64-10 (Salmon et al. 2011), the bit generator `numpy.random.Philox`, with

    key      (k0, k1), 128 bits that name the split
    counter  (attempt, digit, clip, 0), 64 bits each

whose four words are x, y, theta (top 53 bits of each, times 2^-53; theta times 2 pi) and the choice of the digit (the
high 64 bits of word * pool size). A choice that an earlier digit of the clip has taken is drawn anew from the next
attempt. So a draw depends on (split, clip, digit) alone: not on batches, frame size, length or the number of digits.

B clips, T times, D digits, G glyph size, S frame size. Coordinates are (y, x): row, then column, as in a frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np

STEP = 0.1  #: of the canvas per frame, for every digit, as published; another one is another dataset

_MULTIPLIER = (np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157))
_WEYL = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B))
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ROUNDS = 10


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without fastmath, so nothing is fused or reordered, and without the GIL, so that threads can generate."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder for compiled code can be written: compile in every process
        return numba.njit(nogil=True)(function)


class Draws(NamedTuple):
    """What is random in a clip."""

    digits: np.ndarray  #: int64 (B, D), index into the pool, distinct within a clip
    start: np.ndarray  #: float64 (B, D, 2), (y, x) in [0, 1) before the first move
    velocity: np.ndarray  #: float64 (B, D, 2), (v_y, v_x) of length 1


def draw(key: tuple[int, int], clips: np.ndarray, *, digits: int, pool: int) -> Draws:
    """Draw digits, starting points and directions of clips, int64 (B,), under a 128-bit key."""
    uniform, chosen = _draw(np.uint64(key[0]), np.uint64(key[1]), clips.astype(np.uint64), digits, np.uint64(pool))
    angles = (2.0 * math.pi * uniform[..., 2]).ravel().tolist()
    # libm through `math`: numpy's vectorised sin and cos differ in the last bit between processors
    direction = np.array([(math.sin(angle), math.cos(angle)) for angle in angles], dtype=np.float64)
    start = np.ascontiguousarray(uniform[..., 1::-1])  # drawn as x, y
    return Draws(chosen, start, direction.reshape(start.shape))


def move(
    start: np.ndarray, velocity: np.ndarray, times: np.ndarray, *, canvas: int, stride: float = STEP
) -> tuple[np.ndarray, np.ndarray]:
    """Where the digits are, and how they move on, at times float64 (B, T), in frames, >= 0, in any order.

    start, velocity   float64 (B, D, 2), see `Draws`
    stride            how far a digit moves per frame, share of the canvas
    returns           positions, px of the top-left corner, and velocities, px/frame until the next whole time:
                      float64 (B, T, D, 2)
    """
    return _move(start, velocity, times, np.argsort(times, axis=1, kind="stable"), float(canvas), float(stride))


def render(glyphs: np.ndarray, positions: np.ndarray, *, size: int) -> np.ndarray:
    """Overlay glyphs by maximum.

    glyphs      uint8 (B, D, G, G), or (B, T, D, G, G) where they change with time
    positions   float64 (B, T, D, 2), px, truncated to whole pixels
    returns     uint8 (B, T, 1, S, S)
    """
    clips, times = positions.shape[:2]
    frames = np.zeros((clips, times, 1, size, size), dtype=np.uint8)
    _render(glyphs[:, None] if glyphs.ndim == 4 else glyphs, positions, frames)
    return frames


@compiled
def _multiply(a, b):  # type: ignore[no-untyped-def]
    """High and low 64 bits of the 128-bit product."""
    a_low, a_high, b_low, b_high = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    low = a_low * b_low
    middle = a_high * b_low + (low >> _HALF)
    cross = a_low * b_high + (middle & _LOW)
    return a_high * b_high + (middle >> _HALF) + (cross >> _HALF), a * b


@compiled
def philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """The four uint64 words of Philox4x64-10 for a counter (c0 lowest) and a key."""
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(_MULTIPLIER[0], c0)
        high1, low1 = _multiply(_MULTIPLIER[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0 += _WEYL[0]
        k1 += _WEYL[1]
    return c0, c1, c2, c3


@compiled
def _uniform(word):  # type: ignore[no-untyped-def]
    """A word to [0, 1), as numpy's `Generator.random` does."""
    return np.float64(np.int64(word >> np.uint64(11))) * 2.0**-53


@compiled
def _draw(k0, k1, clips, n_digits, pool):  # type: ignore[no-untyped-def]
    zero = np.uint64(0)
    uniform = np.empty((len(clips), n_digits, 3), dtype=np.float64)
    chosen = np.empty((len(clips), n_digits), dtype=np.int64)
    for b in range(len(clips)):
        for d in range(n_digits):
            attempt = zero
            words = philox(attempt, np.uint64(d), clips[b], zero, k0, k1)
            for axis in range(3):
                uniform[b, d, axis] = _uniform(words[axis])
            choice = np.int64(_multiply(words[3], pool)[0])
            while np.any(chosen[b, :d] == choice):
                attempt += np.uint64(1)
                words = philox(attempt, np.uint64(d), clips[b], zero, k0, k1)
                choice = np.int64(_multiply(words[3], pool)[0])
            chosen[b, d] = choice
    return uniform, chosen


@compiled
def step(coordinate, velocity, stride):  # type: ignore[no-untyped-def]
    """One move along one axis; a wall holds the digit until the next move."""
    coordinate += stride * velocity
    if coordinate <= 0.0:
        return 0.0, -velocity
    if coordinate >= 1.0:
        return 1.0, -velocity
    return coordinate, velocity


@compiled
def _move(start, velocity, times, order, canvas, stride):  # type: ignore[no-untyped-def]
    clips, n_digits, axes = start.shape
    positions = np.empty((clips, times.shape[1], n_digits, axes), dtype=np.float64)
    velocities = np.empty_like(positions)
    for b in range(clips):
        for d in range(n_digits):
            for axis in range(axes):  # the axes do not touch each other, so one after the other
                x, v = start[b, d, axis], velocity[b, d, axis]
                moves = 0  # made so far; frame k is recorded after k + 1 of them
                for t in order[b]:
                    whole = np.int64(times[b, t])
                    while moves <= whole:
                        x, v = step(x, v, stride)
                        moves += 1
                    between = x + stride * v * (times[b, t] - whole)
                    positions[b, t, d, axis] = canvas * min(max(between, 0.0), 1.0)
                    velocities[b, t, d, axis] = canvas * (stride * v)
    return positions, velocities


@compiled
def _render(glyphs, positions, frames):  # type: ignore[no-untyped-def]
    """glyphs: uint8 (B, T, D, G, G), or (B, 1, D, G, G) for all times."""
    clips, times, n_digits, glyph_size, _ = glyphs.shape
    for b in range(clips):
        for t in range(positions.shape[1]):
            at = min(t, times - 1)
            for d in range(n_digits):
                top, left = int(positions[b, t, d, 0]), int(positions[b, t, d, 1])
                window = frames[b, t, 0, top : top + glyph_size, left : left + glyph_size]
                for row in range(glyph_size):
                    for column in range(glyph_size):  # without a branch it becomes vector instructions
                        window[row, column] = max(window[row, column], glyphs[b, at, d, row, column])
