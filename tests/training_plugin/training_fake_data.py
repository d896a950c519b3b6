"""A dataset for the tests of training. Whoever asks it for the test split is told off."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

import vpbench

SIDE = 8


@dataclass(frozen=True)
class Config:
    """What it holds, and what it does wrong."""

    clips: int = 24  #: in the train split
    val_clips: int = 6
    endless: bool = False
    length: int = 20
    train_variant: int = 0  #: other frames in the train split
    val_variant: int = 0
    black: bool = False
    fault: Literal["none", "raises", "shape", "float64", "range", "nan", "exits", "opening"] = "none"
    fault_at: int = 0  #: number of the read of training clips from which on it misbehaves


class Squares:
    """Frames (1, 8, 8) of a 2x2 square that moves a pixel a frame; place and brightness are a function of the clip."""

    #: (split, ids, times) of every call of `clips`, of all instances
    asked: ClassVar[list[tuple[str, tuple[int, ...], np.ndarray]]] = []

    def __init__(self, config: Config) -> None:
        if config.fault == "opening":
            raise FileNotFoundError("frames.bin")
        self.config = config
        self.info = vpbench.DatasetInfo(frame_shape=(1, SIDE, SIDE), max_length=config.length)
        self.reads = 0

    def ids(self, split: str, *, n_frames: int) -> Sequence[int]:
        self._refuse_test(split)
        if n_frames > self.config.length:
            return range(0)
        if split == "val":
            return range(self.config.val_clips)
        return range(2**40) if self.config.endless else range(self.config.clips)

    def clips(self, split: str, ids: Sequence[int], times: np.ndarray) -> vpbench.Clips:
        self._refuse_test(split)
        self.asked.append((split, tuple(int(i) for i in ids), times.copy()))
        frames = np.zeros((*times.shape, 1, SIDE, SIDE), dtype=np.uint8)
        for row, i in enumerate(ids):
            x, y, value = self._look(split, int(i))
            for t, time in enumerate(times[row]):
                left = (x + int(time)) % (SIDE - 1)
                frames[row, t, 0, y : y + 2, left : left + 2] = value
        if split == "train":
            self.reads += 1
            if os.environ.get("READ_SIGNAL") and self.reads == 5:
                os.kill(os.getpid(), getattr(signal, os.environ.pop("READ_SIGNAL")))
            frames = self._spoilt(frames)
        return vpbench.Clips(frames=frames, times=times, ids=list(ids))

    def fingerprint(self, split: str) -> str:
        self._refuse_test(split)
        return f"squares-{split}-{self._variant(split)}"

    def _variant(self, split: str) -> int:
        return self.config.train_variant if split == "train" else self.config.val_variant

    def _look(self, split: str, i: int) -> tuple[int, int, int]:
        digest = hashlib.sha256(f"{split} {i} {self._variant(split)}".encode()).digest()
        value = 0 if self.config.black else 100 + digest[2] % 156
        return digest[0] % SIDE, digest[1] % (SIDE - 1), value

    def _spoilt(self, frames: np.ndarray) -> np.ndarray:
        fault = self.config.fault
        if fault in ("none", "opening") or self.reads <= self.config.fault_at:
            return frames
        if fault == "raises":
            raise OSError("the disk has gone")
        if fault == "exits":
            raise SystemExit("no licence for these frames")
        if fault == "shape":
            return frames[:, :-1]
        if fault == "float64":
            return frames / 255.0
        floats = frames.astype(np.float32)
        if fault == "nan":
            floats /= 255
            floats[0, 0, 0, 0, 0] = np.nan
        return floats

    @staticmethod
    def _refuse_test(split: str) -> None:
        if split == "test":
            raise AssertionError("training asked for the test split")
