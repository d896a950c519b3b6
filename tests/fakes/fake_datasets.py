"""Datasets of the test plugin."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

import vpbench

CONTEXT = 10  # frames that are never spoilt


@dataclass(frozen=True)
class SquaresConfig:
    size: int = 16
    channels: int = 1
    length: int | None = None  #: frames in a clip; None: any number
    clips: int = 200  #: of the test split
    train: bool = True  #: whether there is a train split
    order: Literal["up", "down", "twice"] = "up"  #: of the ids
    future: Literal["true", "noise", "nan"] = "true"  #: what the frames after the context are
    floats: bool = False  #: float32 frames that stay in the dataset's own memory
    made_of: Literal["", "stones", "nonsense"] = ""  #: the collection whose items the clips are made of, if it is known


class Squares:
    """Clip i: a square of side 4 and brightness 100 + i % 100 that moves by a velocity of its own."""

    def __init__(self, config):
        self.config = config
        self.info = vpbench.DatasetInfo(
            frame_shape=(config.channels, config.size, config.size), max_length=config.length
        )
        self._memory = {}

    def ids(self, split, *, n_frames):
        if split == "train" and not self.config.train:
            raise ValueError("no train split")
        if self.config.length is not None and n_frames > self.config.length:
            return range(0)
        ids = range(self.config.clips) if split == "test" else range(40)
        return {"up": ids, "down": ids[::-1], "twice": [0, *ids]}[self.config.order]

    def clips(self, split, ids, times):
        size = self.config.size
        offset = {"train": 1000, "val": 2000, "test": 0}[split]
        frames = np.zeros((len(ids), times.shape[1], self.config.channels, size, size), dtype=np.uint8)
        corners = np.zeros((len(ids), times.shape[1], 2))
        for b, clip in enumerate(ids):
            rng = np.random.default_rng(offset + int(clip))
            start, velocity = rng.integers(0, size, 2), rng.integers(-2, 3, 2)
            for t, time in enumerate(times[b]):
                corner = (start + velocity * int(time)) % size
                corners[b, t] = corner
                rows, columns = (corner[0] + np.arange(4)) % size, (corner[1] + np.arange(4)) % size
                frames[b, t][:, rows[:, None], columns] = 100 + int(clip) % 100
                if self.config.future != "true" and time >= CONTEXT:
                    frames[b, t] = rng.integers(0, 256, frames[b, t].shape)
        if self.config.floats or self.config.future == "nan":
            frames = frames.astype(np.float32) / 255
            frames = self._memory.setdefault((split, tuple(ids), times.tobytes()), frames)
        if self.config.future == "nan":
            frames[times >= CONTEXT] = np.nan
        return vpbench.Clips(frames=frames, times=times, ids=list(ids), truth={"corner": corners})

    def fingerprint(self, split):
        return f"{split} squares {self.config}"

    def __getattr__(self, name):
        if name != "sources" or not self.config.made_of:
            raise AttributeError(name)
        if self.config.made_of == "nonsense":
            return lambda split: {"stones": [(5, 2)]}
        return lambda split: {"stones": [{"train": (0, 60), "val": (60, 80), "test": (80, 100)}[split]]}


@dataclass(frozen=True)
class RampsConfig:
    irregular: bool = False
    fractional: bool = False
    shown: Literal["", "dimmed", "wrong-shape"] = ""
    missing: int | None = None  #: number of the frame that models are not given
    observed: Literal["bool", "int"] = "bool"
    times: Literal["rising", "falling", "nan", "few", "negative"] = "rising"
    short: int = field(default=0, metadata={"identity": "unless default"})  #: clip 0 has so many frames; 0: any number


class Ramps:
    """Every pixel of clip i at time t is (i + 1) t / 255; clip i of an irregular set has its frames at k + k² / 100."""

    def __init__(self, config):
        self.config = config
        self.info = vpbench.DatasetInfo(
            frame_shape=(1, 12, 12), max_length=None, irregular=config.irregular, fractional=config.fractional
        )

    def ids(self, split, *, n_frames):
        if not self.config.short:
            return range(3)
        return np.array([clip for clip in range(3) if clip or n_frames <= self.config.short])

    def times(self, split, ids, *, n_frames):
        k = np.arange(float(n_frames))
        times = np.tile(k + k**2 / 100, (len(ids), 1))
        match self.config.times:
            case "falling":
                times[-1, 1] = times[-1, 2]
            case "nan":
                times[0, 1] = np.nan
            case "few":
                times = times[:, 1:]
            case "negative":
                times -= 1
        return times

    def clips(self, split, ids, times):
        values = np.minimum((np.asarray(ids)[:, None] + 1) * times / 255, 1).astype(np.float32)
        frames = np.broadcast_to(values[:, :, None, None, None], (*times.shape, 1, 12, 12)).copy()
        shown = {"": None, "dimmed": frames / 2, "wrong-shape": frames[:, :, :, 1:]}[self.config.shown]
        observed = None
        if self.config.missing is not None:
            observed = (times != self.config.missing).astype(self.config.observed)
        return vpbench.Clips(frames=frames, times=times, ids=ids, shown=shown, observed=observed)

    def fingerprint(self, split):
        return f"{split} ramps {self.config}"

    def left_out(self, split, *, n_frames):
        return "" if n_frames < 20 else f"1 of 4 files has fewer than {n_frames} frames"


def fetch(report):
    """Make a file where VPBENCH_TEST_LOG is, or fail."""
    report(0, 3)
    if "fetch-fails" in os.environ["VPBENCH_TEST_LOG"]:
        raise RuntimeError("a bug of the plugin")
    path = Path(os.environ["VPBENCH_TEST_LOG"])
    path.write_text("abc")
    report(3, 3)
    return path


@dataclass(frozen=True)
class BrokenConfig:
    fails: Literal["opening", "fingerprint", "ids", "shape", "dtype"] = "opening"


class Broken:
    def __init__(self, config):
        self.config = config
        self.info = vpbench.DatasetInfo(frame_shape=(1, 16, 16), max_length=None)
        self._fail_in("opening")

    def _fail_in(self, where):
        if self.config.fails == where:
            raise OSError(f"no disk\nfor {where}")

    def ids(self, split, *, n_frames):
        self._fail_in("ids")
        return range(10)

    def fingerprint(self, split):
        self._fail_in("fingerprint")
        return "f"

    def clips(self, split, ids, times):
        dtype = np.float64 if self.config.fails == "dtype" else np.uint8
        rows = times.shape[1] - (self.config.fails == "shape")
        return vpbench.Clips(frames=np.zeros((len(ids), rows, 1, 16, 16), dtype), times=times, ids=ids)
