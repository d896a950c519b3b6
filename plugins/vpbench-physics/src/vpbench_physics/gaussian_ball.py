"""Dataset "gaussian-ball": a soft ball that moves in the plane, drawn at its exact position (report, section 5.2.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

import vpbench

from . import BALL_VERSION, draws
from .limits import check_numbers, check_steps
from .motion import Law, Rotation, Spring
from .questions import checked, known
from .trajectory import hashed

LONGEST_EULER = 10_000  # frames: steps are walked one by one
MAX_TIME = 2.0**31  # as of Moving MNIST: more is a mistake
SHARPEST = 0.4  # pixels: a density of a sharper ball is brighter than 1, and between pixels nothing is seen of it


@dataclass(frozen=True)
class Config:
    """Which motion, and how the ball is drawn. Units are those of the plane, seconds, radians, pixels."""

    #: "damped-rotation" and "spring" are families in (X0, V0), both drawn from [-1, 1]² (V0 times speed);
    #: "circle" and "spiral" begin at a random point with a random direction, at the report's speed w0
    dynamics: Literal["circle", "spiral", "damped-rotation", "spring"] = "spring"
    w0: float = 2.0  #: angular velocity of all but the spring, radians/s
    decay: float = 0.3  #: of spiral and damped rotation, 1/s
    stiffness: float = 4.0  #: of the spring, 1/s²
    damping: float = 0.3  #: of the spring, 1/s
    speed: float = 2.0  #: coordinates of V0 are up to this, units/s
    dt: float = 0.05  #: seconds from one frame to the next
    scheme: Literal["exact", "euler"] = "exact"  #: the closed form, or steps of dt
    frame_size: int = 28  #: pixels
    sigma: float = 3.0  #: of the ball, pixels
    #: what the brightest pixel is: "peak" 1 at the centre; "density1d" 1/(√(2π) σ), as printed in the report;
    #: "density2d" 1/(2π σ²); "minmax": each frame is stretched from 0 to 1, as in the author's code
    norm: Literal["peak", "density1d", "density2d", "minmax"] = "peak"
    margin: float = 5.0  #: pixels that the centre of the ball stays away from the border

    def __post_init__(self) -> None:
        check_numbers(self, positive=("w0", "stiffness", "speed", "dt"), not_negative=("decay", "damping", "margin"))
        if self.frame_size < 4 or 2 * self.margin >= self.frame_size - 1:
            raise ValueError(f"a frame of {self.frame_size} pixels leaves no room between margins of {self.margin:g}")
        if not SHARPEST <= self.sigma <= self.frame_size:
            raise ValueError(f"sigma must be from {SHARPEST} to frame_size, {self.frame_size}, got {self.sigma:g}")
        check_steps(self.law, self.dt if self.scheme == "euler" else None)

    @property
    def law(self) -> Law:
        if self.dynamics == "spring":
            return Spring(self.stiffness, self.damping)
        return Rotation(self.w0, 0.0 if self.dynamics == "circle" else self.decay)


class GaussianBall:
    """Pixel (i, j) is exp(-((i - y)² + (j - x)²) / (2 σ²)) of the ball's centre (y, x), for the norm "peak".

    The plane is mapped to pixels by one fixed square that no trajectory leaves, so one law of motion holds in pixels,
    too; scaling each trajectory to its own extent, as printed in the report, would give each a law of its own.
    Frames are float32 (1, S, S): the densities are too dim for 256 levels. Any time >= 0, any length. Truth:

    positions   float64 (B, T, 1, 2), px: (y, x) of the centre
    velocities  float64 (B, T, 1, 2), px/frame
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config = config or Config()
        exact = config.scheme == "exact"
        size = config.frame_size
        self.info = vpbench.DatasetInfo(
            frame_shape=(1, size, size),
            max_length=None if exact else LONGEST_EULER,
            fractional=exact,
            frame_period_s=config.dt,
        )
        self._reach = self._furthest()

    def _furthest(self) -> float:
        """Units from the middle of the frame to its margin."""
        config = self.config
        step = config.dt if config.scheme == "euler" else None
        if config.dynamics in ("circle", "spiral"):
            return config.law.reach(1.0, config.speed / math.sqrt(2), step)
        return config.law.reach(1.0, config.speed, step)

    def ids(self, split: str, *, n_frames: int) -> Sequence[int]:
        known("gaussian-ball", split, draws.CLIPS)
        longest = self.info.max_length
        return range(0) if longest is not None and n_frames > longest else draws.CLIPS[split]

    def clips(self, split: str, ids: Sequence[int], times: np.ndarray) -> vpbench.Clips:
        """Frames, float32 (B, T, 1, S, S), of these clips at these times, float64 (B, T), >= 0, in any order."""
        config = self.config
        known("gaussian-ball", split, draws.CLIPS)
        last = MAX_TIME if self.info.max_length is None else self.info.max_length - 1.0
        clips, times = checked(ids, times, draws.CLIPS[split], last, whole=config.scheme == "euler")
        x0, v0 = self._starts(split, clips)
        if config.scheme == "euler":
            positions, velocities = config.law.euler(x0, v0, times.astype(np.int64), config.dt)
        else:
            positions, velocities = config.law.exact(x0, v0, times * config.dt)
        pixels = self._per_unit * positions + (config.frame_size - 1) / 2
        return vpbench.Clips(
            frames=self.draw(pixels[..., ::-1]),
            times=times,
            ids=ids,
            truth={
                "positions": np.ascontiguousarray(pixels[:, :, None, ::-1]),
                "velocities": np.ascontiguousarray(self._per_unit * config.dt * velocities[:, :, None, ::-1]),
            },
        )

    @property
    def _per_unit(self) -> float:
        """Pixels."""
        return ((self.config.frame_size - 1) / 2 - self.config.margin) / self._reach

    def _starts(self, split: str, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """X0 and V0 (B, 2), units and units/s."""
        config = self.config
        drawn = 2 * draws.uniform(f"gaussian-ball/{split}", clips, 4) - 1
        if config.dynamics in ("circle", "spiral"):  # of one speed
            angle = math.pi * drawn[:, 2]
            return drawn[:, :2], config.speed * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return drawn[:, :2], config.speed * drawn[:, 2:]

    def draw(self, centres: np.ndarray) -> np.ndarray:
        """Frames, float32 (..., 1, S, S), of balls at (y, x), px, float64 (..., 2)."""
        config = self.config
        pixel = np.arange(config.frame_size, dtype=np.float64)
        # The Gaussian is a product of one of rows and one of columns.
        rows, columns = (np.exp(-((pixel - centres[..., axis, None]) ** 2) / (2 * config.sigma**2)) for axis in (0, 1))
        frames = rows[..., :, None] * columns[..., None, :]
        if config.norm == "density1d":
            frames /= math.sqrt(2 * math.pi) * config.sigma
        elif config.norm == "density2d":
            frames /= 2 * math.pi * config.sigma**2
        elif config.norm == "minmax":
            low, high = (extreme(frames, axis=(-2, -1), keepdims=True) for extreme in (np.min, np.max))
            frames = (frames - low) / (high - low)
        return frames.astype(np.float32)[..., None, :, :]

    def swapped(
        self, split: str, dynamics: Sequence[int], appearance: Sequence[int], times: np.ndarray
    ) -> vpbench.Clips:
        """All balls look alike: a clip with the looks of another is itself."""
        known("gaussian-ball", split, draws.CLIPS)
        checked(appearance, np.asarray(times)[:, :0], draws.CLIPS[split], 0.0, whole=False)  # there must be one
        return self.clips(split, dynamics, times)

    def fingerprint(self, split: str) -> str:
        """sha256 of what decides the frames, and of 8 clips × 10 frames, which show drifting code."""
        identity = {
            "name": "gaussian-ball",
            "version": BALL_VERSION,
            "config": {each.name: getattr(self.config, each.name) for each in fields(self.config)},
            "split": known("gaussian-ball", split, draws.CLIPS),
        }
        return hashed(self, split, identity, range(8))
