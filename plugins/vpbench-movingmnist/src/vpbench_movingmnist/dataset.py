"""Dataset "moving-mnist": generated clips of any length, with digits disjoint by split."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

import vpbench
from vpbench.errors import UsageError

from . import MOVING_MNIST_VERSION, digits, disturbances, generator, poses

#: The train split is endless for any purpose; val and test have as many clips as the Toronto file.
CLIPS = {"train": range(2**31), "val": range(10_000), "test": range(10_000)}

#: frame size -> glyph size, pixels
GLYPHS = {64: 28, 32: 14, 28: 14}

#: A time is reached by walking there from frame 0: 2^31 moves take seconds, more is a mistake.
MAX_TIME = 2.0**31

#: The largest `speed`: a digit then crosses the whole canvas in a frame.
_MOST_SPEED = 10.0

_MOST_DIGITS = min(len(pool) for pool in digits.POOLS.values())  # they are drawn without replacement


@dataclass(frozen=True)
class Config:
    """What the frames depend on, beside split and clip. The motion and the digits do not depend on the frame size.

    `noise` and `missing` are of what models are given. What they are scored against is clean and complete.
    """

    digits: int = 2  #: digits in a clip
    frame_size: int = 64  #: pixels: 64 as published, 32 and 28 with digits of 14 pixels
    #: in tenths of the canvas per frame: 1 as published
    speed: float = field(default=1.0, metadata={"identity": "unless default"})
    #: standard deviation of Gaussian noise on the frames a model is given, where 1 is white; clipped to [0, 1]
    noise: float = field(default=0.0, metadata={"identity": "unless default"})
    #: share of the context frames a model is not given; the first one is always there
    missing: float = field(default=0.0, metadata={"identity": "unless default"})
    #: each digit turns by a number of degrees per frame of its own, up to this, in either direction
    rotation: float = field(default=0.0, metadata={"identity": "unless default"})
    #: each digit shrinks by up to this share of its size and grows again, in 20 frames
    scaling: float = field(default=0.0, metadata={"identity": "unless default"})

    def __post_init__(self) -> None:
        if type(self.digits) is not int or not 1 <= self.digits <= _MOST_DIGITS:
            raise ValueError(f"digits must be 1..{_MOST_DIGITS}, got {self.digits!r}")
        if type(self.frame_size) is not int or self.frame_size not in GLYPHS:
            raise ValueError(f"frame_size must be one of {', '.join(map(str, GLYPHS))}, got {self.frame_size!r}")
        if not (_is_number(self.speed) and 0 < self.speed <= _MOST_SPEED):
            raise ValueError(f"speed must be above 0 and at most {_MOST_SPEED:g}, got {self.speed!r}")
        if not (_is_number(self.noise) and 0 <= self.noise < math.inf):
            raise ValueError(f"noise must be a standard deviation, 0 or more, got {self.noise!r}")
        if not (_is_number(self.missing) and 0 <= self.missing < 1):
            raise ValueError(f"missing must be a share of the frames, from 0 to below 1, got {self.missing!r}")
        for name, most, what in (
            ("rotation", poses.MOST_ROTATION, "degrees per frame"),
            ("scaling", poses.MOST_SCALING, "a share of the size"),
        ):
            if not (_is_number(value := getattr(self, name)) and 0 <= value <= most):
                raise ValueError(f"{name} must be {what}, from 0 to {most:g}, got {value!r}")
        for name in ("speed", "noise", "missing", "rotation", "scaling"):  # 2 and 2.0 are one dataset
            object.__setattr__(self, name, float(getattr(self, name)))

    @property
    def stride(self) -> float:
        """How far a digit moves per frame, share of the canvas."""
        return generator.STEP * self.speed

    def identity(self) -> dict[str, Any]:
        """What the frames follow from: options that came later, where they are not at the default."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        later = {each.name: each.default for each in fields(self) if each.metadata.get("identity") == "unless default"}
        return {name: value for name, value in values.items() if name not in later or value != later[name]}


class MovingMNIST:
    """Clips of the generator of Srivastava et al. (2015), see `vpbench_movingmnist.generator`.

    Frame k is at time k; frame 0 is the first the generator records, after one move. Truth:

    positions   float64 (B, T, D, 2), px: (y, x) of each digit's top-left corner before truncation, 0..canvas
    velocities  float64 (B, T, D, 2), px/frame: (v_y, v_x) from this time until the next whole time
    digits      int64 (B, D): number in MNIST, 0..59999 of the training set, 60000..69999 of the test set
    labels      int64 (B, D): class, 0..9
    stride      float64 (B,), canvas/frame: how far the digits move per frame, 0.1 as published
    angles      float64 (B, T, D), degrees: how far each digit has turned, counter-clockwise; 0 where none does
    scales      float64 (B, T, D): size of each digit, 1 where none changes it
    spins       float64 (B, D), degrees/frame
    phases      float64 (B, D), turns: where in the cycle of its size a digit is at time 0; 0 where none changes it
    scaling     float64 (B,): share of their size that digits lose and win back

    Angles and scales are about the middle of the window that `positions` tell the corner of, see `poses`.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        size = self.config.frame_size
        self.info = vpbench.DatasetInfo(frame_shape=(1, size, size), max_length=None, fractional=True)

    def ids(self, split: str, *, n_frames: int) -> Sequence[int]:
        """All clips of the split: each has any number of frames."""
        return CLIPS[_known(split)]

    def clips(self, split: str, ids: Sequence[int], times: np.ndarray) -> vpbench.Clips:
        """Frames, uint8 (B, T, 1, S, S), of these clips at these times, float64 (B, T), >= 0, in any order.

        With noise, what a model is shown comes beside them, uint8 too; with missing frames, which of them it is given.
        """
        return self._made(split, ids, ids, times)

    def swapped(
        self, split: str, dynamics: Sequence[int], appearance: Sequence[int], times: np.ndarray
    ) -> vpbench.Clips:
        """Clips that move as some do and show the digits of others, float64 times (B, T) as of `clips`.

        dynamics    ids (B,): positions, how digits turn and change size, noise, and which frames are missing
        appearance  ids (B,): the digits; the first takes the place of the first, and so on
        """
        if len(appearance) != len(dynamics):
            raise ValueError(f"{len(dynamics)} clips to move as and {len(appearance)} to look like: give one of each")
        return self._made(split, dynamics, appearance, times)

    def _made(self, split: str, dynamics: Sequence[int], appearance: Sequence[int], times: np.ndarray) -> vpbench.Clips:
        clips, times = _checked(split, dynamics, times)
        looks, _ = _checked(split, appearance, times)
        config, pool = self.config, digits.POOLS[split]
        glyph = GLYPHS[config.frame_size]
        draws, others = (
            generator.draw(split_key(split), each, digits=config.digits, pool=len(pool)) for each in (clips, looks)
        )
        positions, velocities = generator.move(
            draws.start, draws.velocity, times, canvas=config.frame_size - glyph, stride=config.stride
        )
        posed = poses.draw(split, clips, digits=config.digits, rotation=config.rotation, scaling=config.scaling)
        angles, scales = posed.at(times)
        chosen = others.digits + pool.start
        glyphs = poses.glyphs(chosen, angles, scales, size=glyph)
        frames = generator.render(glyphs, positions, size=config.frame_size)
        return vpbench.Clips(
            frames=frames,
            times=times,
            ids=dynamics,
            truth={
                "positions": positions,
                "velocities": velocities,
                "digits": chosen,
                "labels": digits.labels()[chosen],
                "stride": np.full(len(clips), config.stride),
                "angles": angles,
                "scales": scales,
                "spins": posed.spins,
                "phases": posed.phases,
                "scaling": posed.scaling,
            },
            shown=disturbances.noisy(frames, config.noise, split, clips, times) if config.noise else None,
            observed=disturbances.observed(config.missing, split, clips, times) if config.missing else None,
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
            "config": self.config.identity(),
            "split": _known(split),
            "images": digits.IMAGES_SHA256,
            "labels": digits.LABELS_SHA256,
        }
        sample = self.clips(split, range(16), np.tile(np.arange(20.0), (16, 1)))
        canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        found = hashlib.sha256(canonical.encode())
        for pixels in (sample.frames, sample.shown, sample.observed):
            if pixels is not None:
                found.update(np.asarray(pixels).tobytes())
        return found.hexdigest()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
