"""Where the digits of a frame are, given what they look like: a matched filter with the true glyphs.

The frame is explained as glyphs overlaid by maximum, each at one place and of one brightness in [0, 1], which is how
frames are made. Two stages look for the places with the smallest squared error:

1. Matching pursuit (Mallat and Zhang, Matching pursuits with time-frequency dictionaries, IEEE Transactions on Signal
   Processing 41(12), 1993). Of all glyphs and offsets, take the one that lowers the squared error most at its best
   brightness, subtract it, keep what is left of the ink, go on with the other glyphs. With the correlation c of glyph
   and frame and the energy E of the glyph, that brightness is b = min(1, c / E), and it lowers the error by
   b (2 c - b E).
2. Exchange. Each digit in turn is taken out and put where the error of the overlay is smallest, the others staying, at
   its brightness and at full brightness (a digit half hidden behind another seemed faint in stage 1); then its
   brightness is fitted to what is seen of it. Until nothing moves, at most `EXCHANGES` times.

A glyph lies inside the frame wherever it is put, so its energy is the same everywhere, and the best place for one glyph
is the largest correlation, however faded or blurred it was drawn: places are judged, brightness is not.

Sums run over the pixels of ink of a glyph, a fifth of it, in one order for all offsets. So exact ties stay ties, as
they would not with Fourier transforms, which are no quicker here: they go to the offset nearest the centre.

A digit of which nothing is to be seen is nowhere; its distance from a true place is the mean over all offsets, that of
a digit put down at random. So to draw nothing is as bad as to draw digits without looking.

B clips, T frames, D digits, G glyph size, S frame size; offsets are (y, x) of the top-left corner, 0..S - G.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .generator import compiled

#: Anything darker is black in a picture of 8 bits, and here.
INK = 0.5 / 255

#: The truth of Moving MNIST needs two; more are for frames that no overlay explains.
EXCHANGES = 4

#: Fewer frames than this are not worth a thread.
_FRAMES_PER_THREAD = 16


class Places(NamedTuple):
    """Where the glyphs were found."""

    positions: np.ndarray  #: int64 (B, T, D, 2), px: (y, x) of the top-left corner, in the order of the glyphs
    brightness: np.ndarray  #: float64 (B, T, D): 1 is as bright as the glyph, 0 is nowhere and its position void


def find_digits(frames: np.ndarray, glyphs: np.ndarray, *, threads: int = 1) -> Places:
    """Look for the glyphs of each clip in its frames, each glyph once.

    frames   float32 (B, T, S, S) in [0, 1]
    glyphs   uint8 (B, D, G, G), 255 is full ink, or (B, T, D, G, G) where they change with time
    threads  at most, among which the frames are shared out; the result does not depend on it
    """
    clips, times, size, _ = frames.shape
    changing = glyphs.ndim == 5
    count, glyph, width = glyphs.shape[-3:]
    fits = glyphs.shape[:-3] == ((clips, times) if changing else (clips,))
    if not fits or frames.shape[3] != size or width != glyph or glyph > size:
        raise ValueError(f"frames {frames.shape} and glyphs {glyphs.shape} do not fit: (B, T, S, S), (B, D, G, G)")
    flat = np.ascontiguousarray(frames, dtype=np.float32).reshape(clips * times, size, size)
    ink = np.ascontiguousarray(glyphs / 255.0).reshape(-1, count, glyph, glyph)
    positions = np.empty((clips * times, count, 2), dtype=np.int64)
    brightness = np.empty((clips * times, count), dtype=np.float64)
    parts = max(1, min(threads, len(flat) // _FRAMES_PER_THREAD))
    bounds = [len(flat) * part // parts for part in range(parts + 1)]
    with ThreadPoolExecutor(parts) as pool:
        alike = 1 if changing else times  # frames in a row with the same glyphs
        for done in [pool.submit(_find, flat, ink, alike, *each, positions, brightness) for each in pairwise(bounds)]:
            done.result()
    return Places(positions.reshape(clips, times, count, 2), brightness.reshape(clips, times, count))


def distances(places: Places, true: np.ndarray, *, canvas: int) -> np.ndarray:
    """How far each found digit is from each true place: float64 (B, T, D found, D true), px.

    true    integers (B, T, D, 2), px, in 0..canvas
    canvas  the largest offset, S - G
    """
    away = places.positions[..., :, None, :] - true[..., None, :, :]
    nowhere = _mean_distance(canvas)[true[..., 0], true[..., 1]][..., None, :]
    return np.where(places.brightness[..., None] > 0, np.hypot(away[..., 0], away[..., 1]), nowhere)


def paired(distances: np.ndarray) -> np.ndarray:
    """The true place that each found digit is held against: the smallest sum of distances (Hungarian method).

    distances  (..., D found, D true)
    returns    int64 (..., D found), a permutation of the true places
    """
    from scipy.optimize import linear_sum_assignment

    pairs = np.empty(distances.shape[:-1], dtype=np.int64)
    for frame in np.ndindex(distances.shape[:-2]):
        pairs[frame] = linear_sum_assignment(distances[frame])[1]
    return pairs


@functools.cache
def _mean_distance(canvas: int) -> np.ndarray:
    """Mean distance from each offset to all offsets, float64 (canvas + 1, canvas + 1), px."""
    steps = np.arange(canvas + 1)
    apart = abs(steps[:, None] - steps)  # from a row to a row
    number = np.stack([np.bincount(row, minlength=canvas + 1) for row in apart])  # of rows that are so far away
    lengths = np.hypot(steps[:, None], steps)
    return number @ lengths @ number.T / (canvas + 1) ** 2


@compiled
def _darkened(image):  # type: ignore[no-untyped-def]
    """What is not ink is black: rounding that is left where a digit was taken out is no sign of another one."""
    return np.where(image < INK, 0.0, image)


@compiled
def _correlate(image, glyph, gain):  # type: ignore[no-untyped-def]
    """gain[y, x] = sum of glyph * image under it. Offsets of a row are the inner loop, which becomes vectors."""
    gain[:] = 0.0
    for y in range(len(gain)):
        for i in range(len(glyph)):
            row = image[y + i]
            for j in range(len(glyph)):
                ink = glyph[i, j]
                if ink > 0.0:
                    for x in range(len(gain)):
                        gain[y, x] += ink * row[x + j]


@compiled
def _overlay_gain(image, rest, glyph, brightness, gain):  # type: ignore[no-untyped-def]
    """gain[y, x] = how much lower the squared error is with the glyph there, over what the other digits show."""
    gain[:] = 0.0
    for y in range(len(gain)):
        for i in range(len(glyph)):
            row, others = image[y + i], rest[y + i]
            for j in range(len(glyph)):
                ink = brightness * glyph[i, j]
                if ink > 0.0:
                    for x in range(len(gain)):
                        without = row[x + j] - others[x + j]
                        beside = row[x + j] - max(others[x + j], ink)
                        gain[y, x] += without * without - beside * beside


@compiled
def _best(gain):  # type: ignore[no-untyped-def]
    """The offset of the largest gain; among equals the one nearest the centre, then the first."""
    size = len(gain)
    best_y, best_x, nearest = 0, 0, np.inf
    for y in range(size):
        for x in range(size):
            away = (2 * y - size + 1) ** 2 + (2 * x - size + 1) ** 2
            if gain[y, x] > gain[best_y, best_x] or (gain[y, x] == gain[best_y, best_x] and away < nearest):
                best_y, best_x, nearest = y, x, away
    return best_y, best_x


@compiled
def _pursue(image, glyphs, position, brightness, gain):  # type: ignore[no-untyped-def]
    """Stage 1: places and brightness of all glyphs, the most telling first."""
    count, size, _ = glyphs.shape
    left = image.copy()
    waiting = np.ones(count, dtype=np.bool_)
    for _ in range(count):
        taken, lowered = -1, -1.0
        for d in range(count):
            if waiting[d]:
                _correlate(left, glyphs[d], gain)
                y, x = _best(gain)
                energy = np.sum(glyphs[d] * glyphs[d])
                bright = min(1.0, gain[y, x] / energy) if energy > 0.0 else 0.0
                if bright * (2.0 * gain[y, x] - bright * energy) > lowered:
                    taken, lowered = d, bright * (2.0 * gain[y, x] - bright * energy)
                    position[d, 0], position[d, 1], brightness[d] = y, x, bright
        waiting[taken] = False
        y, x = position[taken]
        window = left[y : y + size, x : x + size]
        window[:] = _darkened(window - brightness[taken] * glyphs[taken])


@compiled
def _seen_brightness(image, rest, glyph, position, brightness):  # type: ignore[no-untyped-def]
    """The brightness that fits best where the glyph is brighter than all others; as it was where it is nowhere."""
    product = energy = 0.0
    y, x = position
    for i in range(len(glyph)):
        for j in range(len(glyph)):
            if brightness * glyph[i, j] > rest[y + i, x + j]:
                product += glyph[i, j] * image[y + i, x + j]
                energy += glyph[i, j] * glyph[i, j]
    return min(1.0, product / energy) if energy > 0.0 else brightness


@compiled
def _exchange(image, glyphs, position, brightness, gain):  # type: ignore[no-untyped-def]
    """Stage 2, once over all digits; whether one moved or became bright. It moves only where the error falls."""
    count, size, _ = glyphs.shape
    moved = False
    for d in range(count):
        if brightness[d] == 0.0:
            continue
        rest = np.zeros_like(image)
        for e in range(count):
            if e != d:
                y, x = position[e]
                window = rest[y : y + size, x : x + size]
                window[:] = np.maximum(window, brightness[e] * glyphs[e])
        _overlay_gain(image, rest, glyphs[d], brightness[d], gain)
        y, x = position[d]
        lowered = gain[y, x]
        best_y, best_x = _best(gain)
        if gain[best_y, best_x] > lowered:
            lowered, moved = gain[best_y, best_x], True
            position[d, 0], position[d, 1] = best_y, best_x
        if brightness[d] < 1.0:
            _overlay_gain(image, rest, glyphs[d], 1.0, gain)
            best_y, best_x = _best(gain)
            if gain[best_y, best_x] > lowered:
                brightness[d], moved = 1.0, True
                position[d, 0], position[d, 1] = best_y, best_x
        brightness[d] = _seen_brightness(image, rest, glyphs[d], position[d], brightness[d])
    return moved


@compiled
def _find(frames, glyphs, alike, start, stop, positions, brightness):  # type: ignore[no-untyped-def]
    """Frames start..stop of all clips, one after the other; `alike` of them in a row have the same glyphs."""
    size = frames.shape[1] - glyphs.shape[2] + 1
    gain = np.empty((size, size))
    for n in range(start, stop):
        image = _darkened(frames[n].astype(np.float64))
        clip = glyphs[n // alike]
        _pursue(image, clip, positions[n], brightness[n], gain)
        for _ in range(EXCHANGES):
            if not _exchange(image, clip, positions[n], brightness[n], gain):
                break
