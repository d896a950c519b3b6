"""What `--set` can say about dataset "clips"."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal

SPLITS = ("train", "val", "test")

Splits = Literal["auto", "folders", "lists", "keys", "shares", "test"]
Fit = Literal["crop", "stretch", "pad"]

#: Not part of a cell: it says where or how the clips are read, not what they are.
_ELSEWHERE = {"identity": False}


@dataclass(frozen=True)
class Config:
    """Where the clips are, what is taken of them, and who belongs to which split."""

    #: A folder of videos or image folders, a video, or an array file; None: what $VPBENCH_CLIPS names.
    path: str | None = field(default=None, metadata=_ELSEWHERE)

    # what a frame is
    channels: int | None = None  #: 1 grey, 3 RGB; None: as the files have it
    size: int | tuple[int, int] | None = None  #: height, width in pixels, or one number for both; None: as it is
    fit: Fit = "crop"  #: how another shape gets that size: scaled and cut in the centre, stretched, or black added
    value_range: tuple[float, float] | None = None  #: values of an array that are black and white; None: see README

    # what a clip is
    stride: int = 1  #: every so manieth frame
    cut: int | None = None  #: frames per clip, cut from longer ones one after another; None: a clip per recording
    times: str = "frames"  #: "frames": by number; "file": of the video or NAME.times.npy; else: key of an array file
    period: float | None = None  #: one frame period in the unit of the times; None: their usual spacing

    # what of an array is what
    layout: str | None = None  #: a letter per axis: NTHW, NTCHW, TNHW, THW, ...; None: where the shape leaves no choice
    keys: tuple[str, ...] | None = None  #: arrays to read of npz, zarr, HDF5; A+B: one after another in time; *: each

    # who belongs to which split
    splits: Splits = "auto"  #: auto: folders train/val/test, else lists, else names of arrays, else by name in shares
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)  #: of train, val, test, where names decide
    train_if: str | None = None  #: regular expressions that are looked for in names: what they match is in that split
    val_if: str | None = None
    test_if: str | None = None

    skip_unreadable: bool = False  #: leave out and count files that cannot be read, instead of refusing them all
    memory_mb: int = field(default=512, metadata=_ELSEWHERE)  #: of decoded frames that are kept at hand

    def __post_init__(self) -> None:
        if self.path is not None and not self.path:
            raise ValueError("path must name a folder or a file")
        for name in ("channels", "stride", "cut", "memory_mb"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if isinstance(self.size, int):  # one spelling of one size, so that it is one dataset
            object.__setattr__(self, "size", (self.size, self.size))
        if self.size is not None and not all(1 <= side <= 2**13 for side in self.frame_size or ()):
            raise ValueError(f"size must be two sides of 1..8192 pixels, got {self.size}")
        if self.value_range is not None and not _rises(self.value_range):
            raise ValueError(f"value_range must be two numbers, black before white, got {self.value_range}")
        if self.period is not None and not (math.isfinite(self.period) and self.period > 0):
            raise ValueError(f"period must be a positive number, got {self.period}")
        self._check_layout()
        self._check_splits()

    @property
    def frame_size(self) -> tuple[int, int] | None:
        """(height, width) that all frames are brought to, None for as they are."""
        return self.size if isinstance(self.size, tuple) else None

    @property
    def patterns(self) -> dict[str, re.Pattern[str]]:
        """Split -> what its names match, for those that were given."""
        given = {split: getattr(self, f"{split}_if") for split in SPLITS}
        return {split: re.compile(text) for split, text in given.items() if text is not None}

    def _check_layout(self) -> None:
        layout = self.layout
        if layout is None:
            return
        if len(set(layout)) != len(layout) or not set("THW") <= set(layout) <= set("NTCHW"):
            raise ValueError(f"layout {layout!r}: one letter per axis, T, H, W and perhaps N and C, such as NTCHW")

    def _check_splits(self) -> None:
        if any(share < 0 for share in self.shares) or not math.isclose(sum(self.shares), 1, abs_tol=1e-6):
            raise ValueError(f"shares of train, val and test must add up to 1, got {self.shares}")
        try:
            patterns = self.patterns
        except re.error as error:
            raise ValueError(f"train_if, val_if, test_if are regular expressions: {error}") from error
        if patterns and self.splits not in ("auto", "shares"):
            raise ValueError(f"splits={self.splits} leaves nothing to {next(iter(patterns))}_if: drop one of the two")
        if self.keys is not None and not (self.keys and all(self.keys)):
            raise ValueError("keys must name arrays")
        if not self.times:
            raise ValueError("times must be frames, file or the name of an array")


def _rises(bounds: tuple[float, float]) -> bool:
    return math.isfinite(bounds[0]) and math.isfinite(bounds[1]) and bounds[0] < bounds[1]
