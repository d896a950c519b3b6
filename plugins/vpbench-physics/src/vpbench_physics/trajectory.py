"""Dataset "trajectory": a point that moves in the plane, shown as a frame of two channels of one pixel."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

import vpbench

from . import TRAJECTORY_VERSION, draws
from .limits import check_numbers, check_steps
from .motion import Law, Rotation, Spring
from .questions import checked, known

START = (1.0, 1.0)  # of the circle and the spiral (the author's notebooks)
#: Shares of one trajectory: to choose by, to learn from (which ends where what is tested begins), and all of it.
SPANS = {"val": (0.0, 0.1), "train": (0.1, 0.8), "test": (0.0, 1.0)}
ROOM = 1.05  # the box is so much wider than what is reached: a prediction may be a little off and yet inside
LONGEST = 1_000_000  # points: noise is drawn for all of them at once


@dataclass(frozen=True)
class Config:
    """Which motion, and how it is measured. Units are those of the plane, seconds, radians."""

    #: "circle", "spiral": one trajectory, learnt from its beginning and tested on its end (report, 5.1.2);
    #: "damped-rotation", "spring": a family in (X0, V0), a trajectory per clip (report, 5.1.3)
    dynamics: Literal["circle", "spiral", "damped-rotation", "spring"] = "circle"
    w0: float = 10.0  #: angular velocity of all but the spring, radians/s
    decay: float = 1.0  #: of spiral and damped rotation, 1/s
    stiffness: float = 100.0  #: of the spring, 1/s²
    damping: float = 1.5  #: of the spring, 1/s
    speed: float = 5.0  #: of families: coordinates of V0 are up to this, units/s
    dt: float = 0.001  #: seconds from one frame to the next
    points: int = 1000  #: frames of a trajectory
    noise: float = 0.0  #: standard deviation of what is measured, units; what is tested against has none
    scheme: Literal["exact", "euler"] = "exact"  #: the closed form, or steps of dt as in the report's equation 4

    def __post_init__(self) -> None:
        check_numbers(self, positive=("w0", "stiffness", "speed", "dt"), not_negative=("decay", "damping", "noise"))
        if not 10 <= self.points <= LONGEST:
            raise ValueError(f"points must be from 10 to {LONGEST}, got {self.points}")
        check_steps(self.law, self.dt if self.scheme == "euler" else None)

    @property
    def single(self) -> bool:
        """One trajectory, whose end is what is tested."""
        return self.dynamics in ("circle", "spiral")

    @property
    def law(self) -> Law:
        if self.dynamics == "spring":
            return Spring(self.stiffness, self.damping)
        return Rotation(self.w0, 0.0 if self.dynamics == "circle" else self.decay)


class Trajectory:
    """Frame k is the point k dt seconds after its start, x and y mapped from a fixed box to [0, 1].

    Nothing is ever clipped: the box is a bound on all that the config allows, noise included; `info.value_range`, in
    units, the same for both channels.

    One trajectory (circle, spiral): clip i of train is the points from i on, of those between 10 % and 80 %; clips of
    val lie in the first 10 %; test has one clip, the whole. So ``--context 800 --horizon 200`` is the report's
    experiment: what is scored has never been learnt from. Families have a trajectory of their own per clip.

    With noise, clips to learn from and to choose by are what was measured; those of test are true, and a model is shown
    what was measured of them.

    positions   float64 (B, T, 2), units: (x, y)
    velocities  float64 (B, T, 2), units/s
    scale       float64 (B,), units: what an intensity of 1 stands for, the side of the box
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config = config or Config()
        low, high = self._box()
        self.info = vpbench.DatasetInfo(
            frame_shape=(2, 1, 1),
            max_length=config.points,
            fractional=config.scheme == "exact" and config.noise == 0,
            frame_period_s=config.dt,
            value_range=(low, high),
            value_unit="units",
        )

    def _box(self) -> tuple[float, float]:
        """A square that every coordinate stays in."""
        config = self.config
        step = config.dt if config.scheme == "euler" else None
        if config.single:
            reach = config.law.reach(0.0, config.w0 / math.sqrt(2), step)  # about X0; |V0| is w0
            low, high = START[0] - reach, START[0] + reach
        elif config.dynamics == "spring":
            high = config.law.reach(1.0, config.speed, step)
            low = -high
        else:
            reach = config.law.reach(0.0, config.speed, step)
            low, high = -reach, 1.0 + reach
        middle, half = (low + high) / 2, ROOM * (high - low) / 2 + draws.FURTHEST * config.noise
        return middle - half, middle + half

    # ------------------------------------------------------------------------------------------------------- contract

    def ids(self, split: str, *, n_frames: int) -> Sequence[int]:
        there = self._there(split)
        if n_frames > self.config.points:
            return range(0)
        if not self.config.single:
            return there
        return range(there.start, max(there.start, min(there.stop, self._span(split)[1] - n_frames + 1)))

    def _there(self, split: str) -> range:
        known("trajectory", split, draws.CLIPS)
        if not self.config.single:
            return draws.CLIPS[split]
        first, end = self._span(split)
        return range(first, 1 if split == "test" else end)

    def _span(self, split: str) -> tuple[int, int]:
        """The points of a split of one trajectory, up to the second one."""
        first, end = SPANS[split]
        begin = 1 if split == "val" else 0  # so that no clip of val is the beginning of that of test
        return max(begin, round(first * self.config.points)), round(end * self.config.points)

    def clips(self, split: str, ids: Sequence[int], times: np.ndarray) -> vpbench.Clips:
        """Frames, float32 (B, T, 2, 1, 1), of these clips at these times."""
        config, there = self.config, self._there(split)
        first = np.asarray(ids, dtype=np.int64) if config.single else np.zeros(len(ids), dtype=np.int64)
        last = self._span(split)[1] - 1 - first if config.single else np.full(len(ids), config.points - 1)
        clips, times = checked(ids, times, there, last, whole=not self.info.fractional)
        x0, v0 = self._starts(split, clips)
        since_start = times + first[:, None]
        if config.scheme == "euler":
            positions, velocities = config.law.euler(x0, v0, since_start.astype(np.int64), config.dt)
        else:
            positions, velocities = config.law.exact(x0, v0, since_start * config.dt)
        frames, shown = self._frames(positions), None
        if config.noise:
            measured = self._frames(positions + self._noise(split, clips, since_start.astype(np.int64)))
            frames, shown = (frames, measured) if split == "test" else (measured, None)
        low, high = self.info.value_range
        return vpbench.Clips(
            frames=frames,
            times=times,
            ids=ids,
            shown=shown,
            truth={
                "positions": positions,
                "velocities": velocities,
                "scale": np.full(len(clips), high - low),
            },
        )

    def _starts(self, split: str, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """X0 and V0 (B, 2)."""
        config = self.config
        if config.single:
            return np.tile(START, (len(clips), 1)), np.tile([0.0, config.w0], (len(clips), 1))
        drawn = draws.uniform(f"trajectory/{split}", clips, 4)  # Z(0) in the unit cube, as in the report's equation 6
        if config.dynamics == "spring":  # about the origin, and to all sides
            drawn = 2 * drawn - 1
        return drawn[:, :2], config.speed * drawn[:, 2:]

    def _frames(self, positions: np.ndarray) -> np.ndarray:
        low, high = self.info.value_range
        scaled = (positions - low) / (high - low)
        assert ((scaled >= 0) & (scaled <= 1)).all(), "the box is a bound"
        return scaled.astype(np.float32)[..., None, None]

    def _noise(self, split: str, clips: np.ndarray, points: np.ndarray) -> np.ndarray:
        """What the measurement adds, (B, T, 2), units: of one trajectory the same for every clip of it."""
        if self.config.single:
            return self.config.noise * _noise_of_one(self.config.points)[points]
        each = [draws.normal(f"trajectory/{split}/noise", int(clip), self.config.points) for clip in clips]
        return self.config.noise * np.stack([noise[chosen] for noise, chosen in zip(each, points, strict=True)])

    def swapped(
        self, split: str, dynamics: Sequence[int], appearance: Sequence[int], times: np.ndarray
    ) -> vpbench.Clips:
        """All points look alike: a clip with the looks of another is itself."""
        checked(appearance, np.asarray(times)[:, :0], self._there(split), 0.0, whole=True)  # there must be one
        return self.clips(split, dynamics, times)

    def fingerprint(self, split: str) -> str:
        """sha256 of what decides the frames, and of 8 clips × 10 frames, which show drifting code."""
        identity = {
            "name": "trajectory",
            "version": TRAJECTORY_VERSION,
            "config": {each.name: getattr(self.config, each.name) for each in fields(self.config)},
            "split": known("trajectory", split, draws.CLIPS),
        }
        return hashed(self, split, identity, self.ids(split, n_frames=10)[:8])


@functools.cache
def _noise_of_one(points: int) -> np.ndarray:
    return draws.normal("trajectory/noise", 0, points)


def hashed(dataset: Any, split: str, identity: dict[str, Any], ids: Sequence[int]) -> str:
    """sha256 of an identity and of the first 10 frames of some clips, rounded to where libraries agree."""
    found = hashlib.sha256(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode())
    sample = dataset.clips(split, ids, np.tile(np.arange(10.0), (len(ids), 1)))
    for frames in (sample.frames, sample.shown):
        if frames is not None:
            found.update(np.round(np.asarray(frames, dtype=np.float64) * 1e4).astype("<i4").tobytes())
    return found.hexdigest()
