"""Does a record hold? Run its first clips again and compare what was measured, clip by clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import stats
from .config import make_config
from .errors import RecordError, WeightsError
from .evaluate import Cell, Evaluation
from .protocols import Dataset
from .registry import Provided, Registry
from .results import Record, read_record
from .specs import MetricSpec, ModelSpec
from .tasks import Task
from .weights import WeightsFile

#: Other machines add in another order: float32 convolutions differ by about 1e-6, and thresholds flip single pixels.
RELATIVE, ABSOLUTE = 2e-3, 1e-4


@dataclass(frozen=True)
class Verdict:
    """What the comparison of one record found."""

    path: Path
    clips: int
    worst: str  #: the statistic that differs most
    difference: float  #: its largest difference, as a share of what is tolerated
    agrees: bool

    def __str__(self) -> str:
        word = "holds" if self.agrees else "DOES NOT HOLD"
        by = f"{self.worst} differs most ({self.difference:.2g} of the tolerance)"
        return f"{self.path}: {word}; {self.clips} clips, {by}"


def verify(
    path: Path, registry: Registry, *, clips: int, device: torch.device, batch_size: int, weights: Sequence[Path] = ()
) -> Verdict:
    """Evaluate the first clips of a record's cell again.

    Raises RecordError where the record is of another version of model, dataset or metric than is installed, or not ok;
    WeightsError where its weights are not there.
    """
    record = read_record(path)
    if record.status != "ok":
        raise RecordError(f"{path} is the record of a {record.status} cell: there is nothing to verify")
    identity = record.identity
    model = registry.model(identity["model"]["name"])
    dataset = registry.dataset(identity["dataset"]["name"])
    for what, spec, recorded in (
        ("model", model.spec, identity["model"]),
        ("dataset", dataset.spec, identity["dataset"]),
    ):
        if spec.version != recorded["version"]:
            raise RecordError(
                f"{path} was made with {what} {spec.name} version {recorded['version']}, installed is {spec.version}"
            )
    dataset_config = make_config(
        dataset.spec.load_config(), identity["dataset"]["config"] or {}, owner=dataset.spec.name
    )
    opened: Dataset = dataset.spec.load()(dataset_config)
    cell = Cell(
        model=model,
        config=make_config(model.spec.load_config(), identity["model"]["config"] or {}, owner=model.spec.name),
        weights=_weights(model.spec, identity["model"]["weights_sha256"], weights),
        dataset=dataset,
        dataset_config=dataset_config,
        fingerprint=opened.fingerprint(identity["split"]),
        task=Task(**identity["task"]),
        clips=identity["clips"],
        seed=identity["seed"],
        split=identity["split"],
        precision=identity["dtype"],
    )
    if cell.identity != identity:
        differing = [key for key in identity if cell.identity.get(key) != identity[key]]
        raise RecordError(f"{path} cannot be made again here: {', '.join(differing)} differ from what is installed")
    evaluation = Evaluation(cell, opened, _metrics(record, registry), device=device, batch_size=batch_size)
    ids = opened.ids(cell.split, n_frames=cell.task.n_frames)[: min(clips, cell.clips)]
    partial = evaluation(ids)
    shares = {
        name: _share(stats.mean_over_steps(values), record.statistics[name])
        for name, values in partial.statistics.items()
    }
    worst = max(shares, key=lambda name: shares[name])
    return Verdict(path, len(ids), worst, shares[worst], shares[worst] <= 1)


def _metrics(record: Record, registry: Registry) -> dict[str, tuple[Provided[MetricSpec], Any]]:
    """The record's metrics; those that are not installed at its version cannot be measured again."""
    made = {}
    for name, score in record.scores.items():
        provided = registry.metric(name)
        if provided.spec.version == score["version"] and provided.distribution == score["distribution"]:
            made[name] = (provided, provided.spec.load()(make_config(provided.spec.load_config(), {}, owner=name)))
    if not made:
        raise RecordError("none of the record's metrics is installed at its version")
    return made


def _weights(spec: ModelSpec, sha256: str | None, given: Sequence[Path]) -> WeightsFile | None:
    if sha256 is None:
        return None
    for each in spec.weights:
        if each.sha256 == sha256:
            return WeightsFile.bundled(each)
    for path in given:
        file = WeightsFile.open(path)
        if file.sha256 == sha256:
            return file
    raise WeightsError(
        f"the weights of this record (sha256 {sha256[:12]}…) are not installed; give them with --weights FILE"
    )


def _share(found: np.ndarray, recorded: Sequence[float | None]) -> float:
    """Largest difference between per-clip values, as a share of the tolerance; infinite if only one has a value."""
    stored = np.array([np.nan if value is None else value for value in recorded[: len(found)]], dtype=np.float64)
    if (np.isnan(found) != np.isnan(stored)).any():
        return float("inf")
    tolerance = ABSOLUTE + RELATIVE * np.abs(stored)
    return float(np.nanmax(np.abs(found - stored) / tolerance, initial=0.0))
