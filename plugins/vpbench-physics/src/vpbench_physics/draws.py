"""What is random: draws that depend on (split, clip) alone, and noise on (split, clip, frame) alone.

Bits are of Philox4x64-10 (Salmon et al. 2011), numpy's `Philox`, under a 128-bit key that names dataset, split and what
is drawn; the clip is in its counter. So neither batches nor other clips matter.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable

import numpy as np

#: As many as nobody will ever use up; val and test as many as other generated sets have.
CLIPS = {"train": range(2**31), "val": range(10_000), "test": range(10_000)}

#: Standard deviations that no noise is beyond, so that a box can hold all of it; of 16,000 numbers one would be.
FURTHEST = 4.0


@functools.cache
def _key(name: str) -> np.ndarray:
    return np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], dtype="<u8").astype(np.uint64)


def _generator(name: str, clip: int) -> np.random.Generator:
    # The clip is the third word: a counter moves up from its first one, and never comes so far.
    counter = np.array([0, 0, clip, 0], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=_key(name), counter=counter))


def uniform(name: str, clips: Iterable[int], count: int) -> np.ndarray:
    """float64 (B, count) in [0, 1), a row for each clip."""
    return np.stack([_generator(name, int(clip)).random(count) for clip in clips])


def normal(name: str, clip: int, frames: int) -> np.ndarray:
    """float64 (frames, 2) of standard deviation 1, within FURTHEST; more frames leave the first ones as they are."""
    return _generator(name, clip).standard_normal(2 * frames).clip(-FURTHEST, FURTHEST).reshape(frames, 2)
