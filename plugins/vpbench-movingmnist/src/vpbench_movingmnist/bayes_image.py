"""The mean image of digits whose places are uncertain, where digits overlay by maximum.

Digits are independent given what is known of each. With A_d(z) the probability that digit d shows more than z at a
pixel, the mean of the maximum is

    E[max_d a_d] = integral over z of 1 - product_d (1 - A_d(z)),

a sum over the values that the glyphs have, since A_d is constant between them. Where one digit alone can have ink that
is its mean, E[a_d] = sum over places of P(place) times the glyph's value there. So nothing is approximated, for any
number of digits; and each clip is computed by itself, in an order of its own, so its bits depend on nothing else.

T times, D digits, G glyph size, S frame size, N = S - G + 1 places along an axis. Axes are (y, x).
"""

from __future__ import annotations

import numpy as np

from .generator import compiled

_LEVELS = 256  #: of uint8 glyphs


def mean_overlay(glyphs: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """The mean of all overlays.

    glyphs    uint8 (D, G, G)
    maps      float64 (T, D, N, N): probability of each place of the top-left corner of each digit, their sum is 1
    returns   float32 (T, S, S) in [0, 1]
    """
    times, n_digits, reach, _ = maps.shape
    if glyphs.shape[0] != n_digits:
        raise ValueError(f"{glyphs.shape[0]} glyphs do not fit the maps of {n_digits} digits")
    size = glyphs.shape[1] + reach - 1
    frames = np.empty((times, size, size), dtype=np.float32)
    values = np.unique(np.concatenate([np.zeros(1, dtype=np.uint8), glyphs.ravel()]))
    levels = np.zeros(_LEVELS, dtype=np.int64)
    levels[values] = np.arange(len(values))
    _mean_overlay(levels[glyphs], values.astype(np.float64) / 255.0, maps, frames)
    return frames


@compiled
def _mean_overlay(levels, values, maps, frames):  # type: ignore[no-untyped-def]
    """levels: int64 (D, G, G), index of each pixel of the glyphs into values, increasing from 0.0.

    Row by row of the image. `mass[d, x, l]` is the probability that digit d shows value l at column x; where only one
    digit has any, its mean is taken, and elsewhere the integral.
    """
    times, size, _ = frames.shape
    _, n_digits, reach, _ = maps.shape
    glyph_size = levels.shape[1]
    mass = np.zeros((n_digits, size, len(values)))
    first, last = np.empty((n_digits, reach), dtype=np.int64), np.empty((n_digits, reach), dtype=np.int64)
    ink = _ink_columns(levels)
    inked = np.empty((n_digits, size), dtype=np.bool_)
    above = np.empty(n_digits)
    for t in range(times):
        _extents(maps[t], first, last)
        for row in range(size):
            inked[:] = False
            for d in range(n_digits):
                for i in range(max(0, row - glyph_size + 1), min(reach, row + 1)):
                    glyph_row = row - i
                    for j in range(first[d, i], last[d, i]):
                        p = maps[t, d, i, j]
                        if p > 0.0:
                            for column in range(ink[d, glyph_row, 0], ink[d, glyph_row, 1]):
                                level = levels[d, glyph_row, column]
                                if level > 0:
                                    mass[d, j + column, level] += p
                                    inked[d, j + column] = True
            for x in range(size):
                frames[t, row, x] = _mean_of_maximum(mass[:, x], inked[:, x], values, above)


@compiled
def _mean_of_maximum(mass, inked, values, above):  # type: ignore[no-untyped-def]
    """The mean of the maximum of D independent values; their mass, (D, levels), is zero afterwards.

    above   scratch, (D,): the probability that a digit shows this value or more
    """
    mean = 0.0
    if inked.sum() == 1:
        for d in range(len(inked)):
            if inked[d]:
                for level in range(1, len(values)):
                    mean += mass[d, level] * values[level]
                    mass[d, level] = 0.0
    elif inked.any():
        above[:] = 0.0
        for level in range(len(values) - 1, 0, -1):
            none = 1.0  # the probability that no digit shows this value or more
            for d in range(len(inked)):
                above[d] += mass[d, level]
                mass[d, level] = 0.0
                none *= 1.0 - above[d]
            mean += (values[level] - values[level - 1]) * (1.0 - none)
    return min(mean, 1.0)


@compiled
def _ink_columns(levels):  # type: ignore[no-untyped-def]
    """The columns from the first with ink to behind the last, of each row of each glyph: int64 (D, G, 2)."""
    n_digits, glyph_size, _ = levels.shape
    columns = np.zeros((n_digits, glyph_size, 2), dtype=np.int64)
    for d in range(n_digits):
        for row in range(glyph_size):
            for column in range(glyph_size):
                if levels[d, row, column] > 0:
                    if columns[d, row, 1] == 0:
                        columns[d, row, 0] = column
                    columns[d, row, 1] = column + 1
    return columns


@compiled
def _extents(maps, first, last):  # type: ignore[no-untyped-def]
    """In each row of each map: the first place that is possible, and the one behind the last. Out: (D, N) each."""
    n_digits, reach, _ = maps.shape
    for d in range(n_digits):
        for i in range(reach):
            first[d, i], last[d, i] = reach, 0
            for j in range(reach):
                if maps[d, i, j] > 0.0:
                    first[d, i] = min(first[d, i], j)
                    last[d, i] = j + 1
