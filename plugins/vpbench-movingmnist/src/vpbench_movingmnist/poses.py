"""Digits that turn and change size: their pose at a time, and what they look like in it.

A digit stands upright in frame 0 and turns at a spin of its own; its size goes up and down between full size and
1 - `scaling`, a cycle in 20 frames that it enters at a phase of its own:

    angle(t) = spin t                                               degrees, counter-clockwise as one sees it
    scale(t) = 1 - scaling (1 - cos(2 pi (t / 20 + phase))) / 2     1 is full size

both exact at any time, also between frames. A digit turns and shrinks about the middle of its window of a glyph's size,
which is where it was without that: so it stays on the canvas. Ink further from the middle than half a side is cut off
where it turns out of the window: 0.05 % of all ink of MNIST is so far out, at most 7 % of that of a digit.

Draws come from Philox4x64-10, see `generator`, under a key of their own, that of `disturbances.key` for "poses", with
the counter (0, digit, clip, 0); the first words are the spin, uniform in [-rotation, rotation), and the phase, uniform
in [0, 1) turns. So neither motion nor digits depend on them; and more rotation is the same, faster.

B clips, T times, D digits, G glyph size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from . import digits
from .disturbances import key
from .generator import compiled, philox

PERIOD = 20.0  #: frames in which a digit shrinks and is of full size again

#: Below half its size a digit would lose strokes between the places where the glyph is looked up.
MOST_SCALING = 0.5

MOST_ROTATION = 180.0  #: degrees per frame: half a turn, more looks like less in the other direction


class Poses(NamedTuple):
    """What decides angle and size at all times."""

    spins: np.ndarray  #: float64 (B, D), degrees/frame
    phases: np.ndarray  #: float64 (B, D), turns: where in the cycle the size is at time 0, 0 is full size
    scaling: np.ndarray  #: float64 (B,): full size less the smallest

    def at(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Angles, degrees, and scales, float64 (B, T, D), at times float64 (B, T), frames."""
        angles = times[:, :, None] * self.spins[:, None] + 0.0  # no -0.0
        turns = (times[:, :, None] / PERIOD + self.phases[:, None]) % 1.0
        shrunk = (1.0 - _of_each(math.cos, 2.0 * math.pi * turns)) / 2.0
        return angles, 1.0 - self.scaling[:, None, None] * shrunk


def draw(split: str, clips: np.ndarray, *, digits: int, rotation: float, scaling: float) -> Poses:
    """The poses of clips, int64 (B,).

    rotation  degrees/frame: the largest spin
    scaling   full size less the smallest, from 0 to below 1
    """
    uniform = np.zeros((len(clips), digits, 2))
    if rotation or scaling:
        k0, k1 = key(split, "poses")
        _draw(np.uint64(k0), np.uint64(k1), clips.astype(np.uint64), uniform)
        uniform[..., 0] = rotation * (2.0 * uniform[..., 0] - 1.0) + 0.0  # no -0.0
        uniform[..., 1] *= scaling > 0  # where no size changes there is no phase
    return Poses(uniform[..., 0], uniform[..., 1], np.full(len(clips), float(scaling)))


def glyphs(numbers: np.ndarray, angles: np.ndarray, scales: np.ndarray, *, size: int) -> np.ndarray:
    """What digits look like in their poses: uint8 (B, D, G, G) where all stand upright, else (B, T, D, G, G).

    numbers  int64 (B, D), in MNIST
    angles   float64 (B, T, D), degrees
    scales   float64 (B, T, D)
    size     of a glyph, px: 28, or 14, of which each pixel is the mean of 2×2 with the fraction dropped
    """
    found = digits.images()[numbers]
    if angles.any() or (scales != 1).any():
        found = posed(found, angles, scales)
    return found if size == digits.SIZE else digits.half_size(found)


def posed(upright: np.ndarray, angles: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Glyphs uint8 (B, D, G, G), turned and shrunk about their middle, looked up bilinearly: uint8 (B, T, D, G, G).

    An angle of 0 at full size is the glyph itself, to the last bit.
    """
    out = np.empty((*angles.shape, *upright.shape[2:]), dtype=np.uint8)
    radians = np.radians(angles % 360.0)
    _posed(upright, _of_each(math.cos, radians) / scales, _of_each(math.sin, radians) / scales, out)
    return out


def _of_each(function: Callable[[float], float], values: np.ndarray) -> np.ndarray:
    """libm through `math`: numpy's vectorised sin and cos differ in the last bit between processors."""
    return np.array([function(value) for value in values.ravel().tolist()], dtype=np.float64).reshape(values.shape)


@compiled
def _draw(k0, k1, clips, uniform):  # type: ignore[no-untyped-def]
    """uniform: float64 (B, D, words), out: in [0, 1)."""
    zero = np.uint64(0)
    for b in range(len(clips)):
        for d in range(uniform.shape[1]):
            words = philox(zero, np.uint64(d), clips[b], zero, k0, k1)
            for n in range(uniform.shape[2]):
                uniform[b, d, n] = np.float64(np.int64(words[n] >> np.uint64(11))) * 2.0**-53


@compiled
def _posed(upright, cosines, sines, out):  # type: ignore[no-untyped-def]
    """cosines, sines: float64 (B, T, D), of the angle, over the scale: where in the upright glyph a pixel is."""
    clips, times, n_digits, size, _ = out.shape
    middle = (size - 1) / 2.0
    for b in range(clips):
        for t in range(times):
            for d in range(n_digits):
                glyph, cosine, sine = upright[b, d], cosines[b, t, d], sines[b, t, d]
                for row in range(size):
                    for column in range(size):
                        y, x = row - middle, column - middle
                        value = _looked_up(glyph, middle + cosine * y + sine * x, middle - sine * y + cosine * x)
                        out[b, t, d, row, column] = np.uint8(value + 0.5)


@compiled
def _looked_up(glyph, y, x):  # type: ignore[no-untyped-def]
    """The glyph between its pixels, bilinear; outside it is paper."""
    top, left = math.floor(y), math.floor(x)
    down, right = y - top, x - left
    value = 0.0
    for i in range(2):
        for j in range(2):
            row, column = int(top) + i, int(left) + j
            if 0 <= row < glyph.shape[0] and 0 <= column < glyph.shape[1]:
                weight = (down if i else 1.0 - down) * (right if j else 1.0 - right)
                value += weight * glyph[row, column]
    return value
