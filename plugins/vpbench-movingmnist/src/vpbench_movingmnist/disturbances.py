"""What comes between the frames of a clip and who is shown them: noise, and frames that are missing.

Draws come from Philox4x64-10, see `generator`, under a key that names the split and what is drawn, with the counter

    (block, time, clip, 0), 64 bits each

where `time` is the float64 itself, bit for bit, and a block is four pixels for noise, and 0 for missing frames. So a
draw depends on (split, clip, time, pixel) alone: not on batches, on the other times asked for, or on the strength
of what is drawn. More noise is the same noise, stronger; where more frames are missing, those that were are so still.

B clips, T times, S frame size.
"""

from __future__ import annotations

import functools
import hashlib
import math

import numpy as np

from .generator import compiled, philox


@functools.cache
def key(split: str, what: str) -> tuple[int, int]:
    """The Philox key: the first 16 bytes of sha256("moving-mnist/<split>/<what>"), two little-endian uint64."""
    name = hashlib.sha256(f"moving-mnist/{split}/{what}".encode()).digest()
    return int.from_bytes(name[:8], "little"), int.from_bytes(name[8:16], "little")


def noisy(frames: np.ndarray, std: float, split: str, clips: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Frames with Gaussian noise on every pixel, clipped to what a pixel can be and rounded to its 256 levels.

    frames  uint8 (B, T, 1, S, S)
    std     of the noise, where 1 is white
    clips   int64 (B,)
    times   float64 (B, T), >= 0

    Returns uint8 (B, T, 1, S, S). Rounding leaves no trace of how a processor takes a logarithm, but of std below 0.002
    it leaves little else either.
    """
    k0, k1 = key(split, "noise")
    given = np.empty_like(frames)
    pixels = frames.reshape(*times.shape, math.prod(frames.shape[2:]))
    _noisy(pixels, 255.0 * std, np.uint64(k0), np.uint64(k1), _word(clips), _bits(times), given.reshape(pixels.shape))
    return given


def observed(missing: float, split: str, clips: np.ndarray, times: np.ndarray) -> np.ndarray:
    """bool (B, T): False for the share `missing` of the frames, never for that at time 0; clips and times as above."""
    k0, k1 = key(split, "missing")
    there = np.empty(times.shape, dtype=np.bool_)
    _observed(missing, np.uint64(k0), np.uint64(k1), _word(clips), _bits(times), there)
    return there | (times == 0)


def _word(clips: np.ndarray) -> np.ndarray:
    return clips.astype(np.uint64)


def _bits(times: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(times + 0.0).view(np.uint64)  # -0.0 + 0.0 is 0.0


@compiled
def _uniform(word):  # type: ignore[no-untyped-def]
    """A word to (0, 1): never 0, of which there is no logarithm."""
    return (np.float64(np.int64(word >> np.uint64(11))) + 0.5) * 2.0**-53


@compiled
def _noisy(pixels, levels, k0, k1, clips, times, given):  # type: ignore[no-untyped-def]
    """pixels, given: uint8 (B, T, P); levels: standard deviation in levels of a pixel."""
    zero = np.uint64(0)
    normal = np.empty(4)
    for b in range(pixels.shape[0]):
        for t in range(pixels.shape[1]):
            for block in range((pixels.shape[2] + 3) // 4):
                words = philox(np.uint64(block), times[b, t], clips[b], zero, k0, k1)
                for pair in range(2):  # Box and Muller
                    radius = math.sqrt(-2.0 * math.log(_uniform(words[2 * pair])))
                    turn = 2.0 * math.pi * _uniform(words[2 * pair + 1])
                    normal[2 * pair], normal[2 * pair + 1] = radius * math.cos(turn), radius * math.sin(turn)
                for place in range(4 * block, min(4 * block + 4, pixels.shape[2])):
                    level = pixels[b, t, place] + math.floor(levels * normal[place % 4] + 0.5)
                    given[b, t, place] = np.uint8(min(max(level, 0.0), 255.0))


@compiled
def _observed(missing, k0, k1, clips, times, there):  # type: ignore[no-untyped-def]
    zero = np.uint64(0)
    for b in range(there.shape[0]):
        for t in range(there.shape[1]):
            there[b, t] = _uniform(philox(zero, times[b, t], clips[b], zero, k0, k1)[0]) >= missing
