"""Dataset "moving-patterns": what models are tried on where no other dataset is named. Soft spots that drift.

It needs no files, has any frame shape, clips of any length, and frames between the frames.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..protocols import Clips, DatasetInfo
from ..registry import Provided
from ..specs import DatasetSpec

CLIPS = {"train": range(256), "val": range(256, 288), "test": range(288, 320)}
SPOTS = 2


@dataclass(frozen=True)
class Config:
    """The frame shape."""

    channels: int = 1
    height: int = 16  #: pixels
    width: int = 16  #: pixels


class MovingPatterns:
    """Clip i: spots of its own width, colour and velocity, Gaussian on a torus; frames are uint8."""

    def __init__(self, config: Config) -> None:
        self.config = config
        shape = (config.channels, config.height, config.width)
        self.info = DatasetInfo(frame_shape=shape, max_length=None, fractional=True)

    def ids(self, split: str, *, n_frames: int) -> Sequence[int]:
        """All clips of the split: each has any number of frames."""
        return CLIPS[split]

    def clips(self, split: str, ids: Sequence[int], times: np.ndarray) -> Clips:
        """Frames, uint8 (B, T, C, H, W), at any times."""
        if strange := [clip for clip in ids if clip not in CLIPS[split]]:
            raise ValueError(f"no clip {strange[0]} in split {split!r}")
        frames = [self._clip(int(clip), at) for clip, at in zip(ids, times, strict=True)]
        return Clips(frames=np.stack(frames), times=times, ids=ids)

    def _clip(self, clip: int, times: np.ndarray) -> np.ndarray:
        """uint8 (T, C, H, W)."""
        random = np.random.default_rng(clip)
        sides = np.array([self.config.height, self.config.width], dtype=np.float64)
        start = random.random((SPOTS, 2)) * sides
        velocity = (random.random((SPOTS, 2)) - 0.5) * sides / 5  # px/frame
        width = (0.06 + 0.06 * random.random(SPOTS)) * sides.min()  # standard deviation, px
        colour = 0.5 + 0.5 * random.random((SPOTS, self.config.channels))
        centre = start + velocity * times[:, None, None]  # (T, spots, 2)
        along = []
        for axis, side in enumerate(sides):
            apart = np.abs(np.arange(side) - centre[:, :, axis, None] % side)
            apart = np.minimum(apart, side - apart)
            along.append(np.exp(-0.5 * (apart / width[:, None]) ** 2))  # (T, spots, side)
        frames = np.einsum("sc,tsh,tsw->tchw", colour, *along)
        return np.round(255 * np.minimum(frames, 1)).astype(np.uint8)

    def fingerprint(self, split: str) -> str:
        """sha256 of what decides the frames."""
        return hashlib.sha256(f"moving-patterns 1 {self.config} {CLIPS[split]}".encode()).hexdigest()


PROVIDED: Provided[DatasetSpec] = Provided(
    DatasetSpec(
        name="moving-patterns",
        factory=f"{__name__}:MovingPatterns",
        config=f"{__name__}:Config",
        summary="Soft spots that drift: what the conformance kit tries models on",
        version="1",
        license="Apache-2.0",
    ),
    distribution="vpbench",
    version="1",
    entry_point="testing",
)
