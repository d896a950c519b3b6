"""Files as clips: which installed dataset reads a file, and what it makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..batches import check_clips
from ..errors import DataError, PluginError, UsageError
from ..instances import blaming
from ..protocols import Clips
from ..registry import Provided, Registry
from ..specs import DatasetSpec, resolve

#: What to install where nothing that is installed reads a file.
SUGGESTED = "vpbench-clips"


def reader_of(path: Path, registry: Registry, dataset: str | None = None) -> Provided[DatasetSpec]:
    """The dataset that reads files of this ending; of several the one that is asked for.

    Raises UsageError where there is none, or several and none is asked for.
    """
    if dataset is not None:
        asked = registry.dataset(dataset)
        if not _reads(asked.spec, path):
            there = f"only {', '.join(asked.spec.reads)}" if asked.spec.reads else "no files"
            raise UsageError(f"{dataset} cannot read {path.name}: it reads {there}")
        return asked
    found = [each for each in registry.datasets().values() if _reads(each.spec, path)]
    if len(found) == 1:
        return found[0]
    if found:
        names = [each.spec.name for each in found]
        raise UsageError(f"{path.name} can be read by {' and by '.join(names)}: say --dataset {names[0]}, or another")
    endings = sorted({ending for each in registry.datasets().values() for ending in each.spec.reads})
    if endings:
        raise UsageError(f"nothing installed reads {path.name}: convert it to one of {', '.join(endings)}")
    raise UsageError(f"nothing installed reads {path.name}: pip install {SUGGESTED} for videos, GIFs and arrays")


def _reads(spec: DatasetSpec, path: Path) -> bool:
    return path.name.lower().endswith(spec.reads)


def read_clip(
    path: Path, reader: Provided[DatasetSpec], frame_shape: Sequence[int] | None = None, *, last: int | None = None
) -> Clips:
    """A file as one clip, (1, T, C, H, W), at times that count from its first frame.

    frame_shape  (C, H, W) that its frames are to be brought to; None: as they are
    last         how many frames from the end are wanted, all where it has fewer; None: all

    Raises DataError for what is no file that can be read, PluginError for a reader against the contract.
    """
    if not path.is_file():
        raise DataError(f"cannot read {path}: {'it is a folder' if path.is_dir() else 'there is no such file'}")
    assert reader.spec.reader is not None  # it reads something
    with blaming(reader, "reading", path.name):
        wanted = None if frame_shape is None else tuple(frame_shape)
        clips = resolve(reader.spec.reader)(path, frame_shape=wanted, last=last)
        shape = tuple(getattr(getattr(clips, "frames", None), "shape", ()))
        if len(shape) != 5 or shape[0] != 1 or shape[1] < 1:
            raise PluginError(f"it gave frames of shape {shape}, the contract is one clip (1, T, C, H, W)")
        if last is not None and shape[1] > last:
            raise PluginError(f"it gave {shape[1]} frames, the last {last} were asked for")
        check_clips(clips, [0], (*shape[:2], *(frame_shape or shape[2:])), frozenset())
        times = np.asarray(clips.times, dtype=np.float64)
        if times.shape != shape[:2] or not np.isfinite(times).all() or not (np.diff(times) > 0).all():
            raise PluginError(f"its times, of shape {times.shape}, must increase and be finite, one for each frame")
    return clips
