"""Clip i of a split at time t has the brightness (10 offset + 10 i + t) / 255 in every pixel."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

import vpbench
from vpbench.errors import DataError

OFFSET = {"train": 0, "val": 4, "test": 8}
CLIPS = 4


@dataclass(frozen=True)
class Config:
    size: int = 4
    kind: Literal["bytes", "floats"] = "bytes"
    shown: bool = True  #: whether models are shown the frames as they are; else half as bright
    missing: tuple[int, ...] = ()  #: numbers of the frames that models are not shown
    places: str = field(default=".", metadata={"identity": False})
    later: float = field(default=0.0, metadata={"identity": "unless default"})

    def __post_init__(self):
        if self.size < 1:
            raise ValueError(f"size must be at least 1, got {self.size}")


class Growing:
    def __init__(self, config):
        if config.places == "nowhere":
            raise DataError("api1-growing is not at nowhere: set places")
        self.config = config
        self.info = vpbench.DatasetInfo(
            frame_shape=(1, config.size, config.size),
            max_length=40,
            fractional=False,
            frame_period_s=0.5,
            value_range=(0.0, 255.0),
            value_unit="grey level",
        )

    def ids(self, split, *, n_frames):
        return range(CLIPS if n_frames <= 40 else 0) if split in OFFSET else range(0)

    def clips(self, split, ids, times):
        level = 10 * (OFFSET[split] + np.asarray(ids)[:, None]) + times
        frames = np.tile(level[:, :, None, None, None], (1, 1, *self.info.frame_shape)).astype(np.uint8)
        if self.config.kind == "floats":
            frames = frames.astype(np.float32) / 255
        observed = ~np.isin(times, self.config.missing) if self.config.missing else None
        return vpbench.Clips(
            frames=frames,
            times=times,
            ids=ids,
            truth={"brightness": level / 255, "number": np.asarray(ids)},
            shown=None if self.config.shown else (frames / 2).astype(frames.dtype),
            observed=observed,
        )

    def fingerprint(self, split):
        return f"growing {split} {self.config.size} {self.config.kind} {self.config.shown} {self.config.missing}"

    def left_out(self, split, *, n_frames):
        return "" if n_frames < 20 else "1 of 5 clips is too short"

    def sources(self, split):
        return {"levels": [(10 * OFFSET[split], 10 * (OFFSET[split] + CLIPS))]}


def fetch(report):
    report(0, None)
    report(1, 1)
    return Path(__file__)
