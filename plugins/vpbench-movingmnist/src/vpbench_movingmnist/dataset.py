"""Dataset "moving-mnist": generated clips of any length, with digits disjoint by split."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

import vpbench
from vpbench.errors import UsageError

from . import MOVING_MNIST_VERSION, digits, generator

#: The train split is endless for any purpose; val and test have as many clips as the Toronto file.
CLIPS = {"train": range(2**31), "val": range(10_000), "test": range(10_000)}

#: frame size -> glyph size, pixels
GLYPHS = {64: 28, 32: 14, 28: 14}

#: A time is reached by walking there from frame 0: 2^31 moves take seconds, more is a mistake.
MAX_TIME = 2.0**31

_MOST_DIGITS = min(len(pool) for pool in digits.POOLS.values())  # they are drawn without replacement


@dataclass(frozen=True)
class Config:
    """What the frames depend on, beside split and clip. The motion and the digits do not depend on the frame size."""

    digits: int = 2  #: digits in a clip
    frame_size: int = 64  #: pixels: 64 as published, 32 and 28 with digits of 14 pixels

    def __post_init__(self) -> None:
        if type(self.digits) is not int or not 1 <= self.digits <= _MOST_DIGITS:
            raise ValueError(f"digits must be 1..{_MOST_DIGITS}, got {self.digits!r}")
        if type(self.frame_size) is not int or self.frame_size not in GLYPHS:
            raise ValueError(f"frame_size must be one of {', '.join(map(str, GLYPHS))}, got {self.frame_size!r}")


class MovingMNIST:
    """Clips of the generator of Srivastava et al. (2015), see `vpbench_movingmnist.generator`.

    Frame k is at time k; frame 0 is the first the generator records, after one move. Truth:

    positions   float64 (B, T, D, 2), px: (y, x) of each digit's top-left corner before truncation, 0..canvas
    velocities  float64 (B, T, D, 2), px/frame: (v_y, v_x) from this time until the next whole time
    digits      int64 (B, D): number in MNIST, 0..59999 of the training set, 60000..69999 of the test set
    labels      int64 (B, D): class, 0..9
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        size = self.config.frame_size
        self.info = vpbench.DatasetInfo(frame_shape=(1, size, size), max_length=None, fractional=True)

    def ids(self, split: str, *, n_frames: int) -> Sequence[int]:
        """All clips of the split: each has any number of frames."""
        return CLIPS[_known(split)]

    def clips(self, split: str, ids: Sequence[int], times: np.ndarray) -> vpbench.Clips:
        """Frames, uint8 (B, T, 1, S, S), of these clips at these times, float64 (B, T), >= 0, in any order."""
        clips, times = _checked(split, ids, times)
        pool = digits.POOLS[split]
        canvas = self.config.frame_size - GLYPHS[self.config.frame_size]
        draws = generator.draw(split_key(split), clips, digits=self.config.digits, pool=len(pool))
        positions, velocities = generator.move(draws.start, draws.velocity, times, canvas=canvas)
        chosen = draws.digits + pool.start
        glyphs = digits.images()[chosen]
        if GLYPHS[self.config.frame_size] != digits.SIZE:
            glyphs = digits.half_size(glyphs)
        return vpbench.Clips(
            frames=generator.render(glyphs, positions, size=self.config.frame_size),
            times=times,
            ids=ids,
            truth={
                "positions": positions,
                "velocities": velocities,
                "digits": chosen,
                "labels": digits.labels()[chosen],
            },
        )

    def sources(self, split: str) -> dict[str, list[tuple[int, int]]]:
        """The digits its clips are made of: their numbers in MNIST, training set first."""
        pool = digits.POOLS[_known(split)]
        return {"mnist": [(pool.start, pool.stop)]}

    def fingerprint(self, split: str) -> str:
        """sha256 of what decides the frames, and of the pixels of 16 clips × 20 frames, which show drifting code."""
        identity = {
            "name": "moving-mnist",
            "version": MOVING_MNIST_VERSION,
            "config": asdict(self.config),
            "split": _known(split),
            "images": digits.IMAGES_SHA256,
            "labels": digits.LABELS_SHA256,
        }
        sample = self.clips(split, range(16), np.tile(np.arange(20.0), (16, 1)))
        canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode() + np.asarray(sample.frames).tobytes()).hexdigest()


@functools.cache
def split_key(split: str) -> tuple[int, int]:
    """The Philox key of a split: the first 16 bytes of sha256("moving-mnist/<split>"), two little-endian uint64."""
    name = hashlib.sha256(f"moving-mnist/{split}".encode()).digest()
    return int.from_bytes(name[:8], "little"), int.from_bytes(name[8:16], "little")


def _known(split: str) -> str:
    if split not in CLIPS:
        raise UsageError(f"moving-mnist has no split {split!r}: one of {', '.join(CLIPS)}")
    return split


def _checked(split: str, ids: Sequence[int], times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clip ids as int64 (B,) and times as float64 (B, T), or a ValueError that names the first bad one."""
    known = CLIPS[_known(split)]
    clips = np.asarray(ids, dtype=np.int64)
    times = np.ascontiguousarray(times, dtype=np.float64)
    if clips.ndim != 1 or times.ndim != 2 or len(clips) != len(times):
        raise ValueError(f"ids (B,) and times (B, T) do not fit: got shapes {clips.shape} and {times.shape}")
    outside = (clips < known.start) | (clips >= known.stop)
    if outside.any():
        raise ValueError(f"no clip {clips[outside][0]} in split {split!r}: ids are {known.start}..{known.stop - 1}")
    fine = (times >= 0) & (times < MAX_TIME)
    if not fine.all():
        raise ValueError(
            f"no frame at time {times[~fine][0]}: times are 0 (the first frame) to {MAX_TIME:.0f}, in frames"
        )
    return clips, times
