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

#: Part of a cell where it is set: records name what was asked for, and keys that are added later change no record.
_IF_SET = {"identity": "unless default"}


@dataclass(frozen=True)
class Config:
    """Where the clips are, what is taken of them, and who belongs to which split."""

    #: A folder of videos or image folders, a video, or an array file; None: what $VPBENCH_CLIPS names.
    path: str | None = field(default=None, metadata=_ELSEWHERE)

    # what a frame is
    #: 1 grey, 3 RGB; None: as the files have it
    channels: int | None = field(default=None, metadata=_IF_SET)
    #: height, width in pixels, or one number for both; None: as it is
    size: int | tuple[int, int] | None = field(default=None, metadata=_IF_SET)
    #: how another shape gets that size: scaled and cut in the centre, stretched, or black added
    fit: Fit = field(default="crop", metadata=_IF_SET)
    #: values of an array that are black and white; None: see README
    value_range: tuple[float, float] | None = field(default=None, metadata=_IF_SET)

    # what a clip is
    #: every so manieth frame
    stride: int = field(default=1, metadata=_IF_SET)
    #: frames per clip, cut from longer ones one after another; None: a clip per recording
    cut: int | None = field(default=None, metadata=_IF_SET)
    #: "frames": by number; "file": of the video or NAME.times.npy; else: key of an array file
    times: str = field(default="frames", metadata=_IF_SET)
    #: one frame period in the unit of the times; None: their usual spacing
    period: float | None = field(default=None, metadata=_IF_SET)

    # what of an array is what
    #: a letter per axis: NTHW, NTCHW, TNHW, THW, ...; None: where the shape leaves no choice
    layout: str | None = field(default=None, metadata=_IF_SET)
    #: arrays to read of npz, zarr, HDF5; A+B: one after another in time; *: each
    keys: tuple[str, ...] | None = field(default=None, metadata=_IF_SET)

    # who belongs to which split
    #: auto: folders train/val/test, else lists, else names of arrays, else by name in shares
    splits: Splits = field(default="auto", metadata=_IF_SET)
    #: of train, val, test, where names decide
    shares: tuple[float, float, float] = field(default=(0.8, 0.1, 0.1), metadata=_IF_SET)
    #: regular expressions that are looked for in names: what they match is in that split
    train_if: str | None = field(default=None, metadata=_IF_SET)
    val_if: str | None = field(default=None, metadata=_IF_SET)
    test_if: str | None = field(default=None, metadata=_IF_SET)

    #: leave out and count files that cannot be read, instead of refusing them all
    skip_unreadable: bool = field(default=False, metadata=_IF_SET)
    #: of decoded frames that are kept at hand
    memory_mb: int = field(default=512, metadata=_ELSEWHERE)

    def __post_init__(self) -> None:
        if self.path is not None and not self.path:
            raise ValueError("path must name a folder or a file")
        for name in ("channels", "stride", "cut", "memory_mb"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if isinstance(self.size, int):  # one spelling of one size, so that it is one dataset
            object.__setattr__(self, "size", (self.size, self.size))
        if self.value_range is not None:
            object.__setattr__(self, "value_range", tuple(map(float, self.value_range)))
        if self.period is not None:
            object.__setattr__(self, "period", float(self.period))
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
