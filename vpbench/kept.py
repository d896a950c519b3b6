"""What a run left beside its records: where it is, and the predictions among it read back.

A rollout serves the records of all its horizons, and what it leaves is beside the longest of them.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import RecordError
from .results import Record, record_path


@dataclass(frozen=True)
class Kept:
    """Predictions that a run left (`--keep-predictions`)."""

    path: Path
    ids: tuple[int, ...]
    context: np.ndarray  #: float32 (n, Tc, C, H, W) in [0, 1]
    predicted: np.ndarray  #: float32 (n, Tt, C, H, W), before clamping
    target: np.ndarray  #: float32 (n, Tt, C, H, W) in [0, 1]


def rollout_record(record: Record) -> Path:
    """The file of the record that was made of the whole rollout: this one, or one of a longer horizon."""
    assert record.path is not None
    longest = record.cost.get("rollout_horizon", record.task["horizon"])
    if longest == record.task["horizon"]:
        return record.path
    of_rollout = {**record.identity, "task": {**record.task, "horizon": longest}}
    return record.path.with_name(record_path("", of_rollout).name)


def predictions_path(record: Record) -> Path:
    """Where the predictions of a record's rollout are, if they were kept."""
    return rollout_record(record).with_suffix(".predictions.npz")


def kept_predictions(record: Record) -> Kept:
    """The predictions beside a record, cut to its horizon. Raises RecordError where there are none, or no such file."""
    path, steps = predictions_path(record), record.task["horizon"]
    if not path.is_file():
        raise RecordError(
            f"{record.path}: no predictions were kept ({path.name} is not there): run the cell again with "
            f"--keep-predictions {record.identity['clips']} --rerun all"
        )
    try:
        arrays = np.load(path, allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise ValueError("a single array")
        with arrays:
            ids, context, predicted, target = (arrays[key] for key in ("ids", "context", "predicted", "target"))
        if predicted.shape != target.shape or predicted.ndim != 5 or len(ids) != len(predicted):
            raise ValueError(f"predicted {predicted.shape}, target {target.shape}, ids {ids.shape} do not fit")
        if context.shape != (len(ids), record.task["context"], *predicted.shape[2:]):
            raise ValueError(f"context {context.shape} does not fit predicted {predicted.shape}")
        if ids.dtype.kind not in "iu" or len(np.unique(ids)) < len(ids):
            raise ValueError("ids must be whole numbers, each once")
        if any(frames.dtype.kind != "f" for frames in (context, predicted, target)):
            raise ValueError(f"frames of type {context.dtype}, {predicted.dtype} and {target.dtype}")
        if predicted.shape[1] < steps:
            raise ValueError(f"{predicted.shape[1]} steps are kept, the record has {steps}")
        if not all(np.isfinite(frames).all() for frames in (context, predicted, target)):
            raise ValueError("some values are not finite")
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise RecordError(f"{path}: these are no kept predictions ({why}): run the cell again") from error
    return Kept(path, tuple(int(i) for i in ids), context, predicted[:, :steps], target[:, :steps])
