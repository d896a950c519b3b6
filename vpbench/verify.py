"""Does a record hold? Derive its scores from its statistics again, run its first clips again, and compare.

The first finds a score that was edited, the second a statistic that was, or code, data or weights that are not the same
any more. With all clips run again, the curve over steps is compared too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import stats
from .errors import ConfigError, RecordError, UsageError, WeightsError
from .evaluate import Cell, Evaluation, Metrics, Partial, statistic_keys, summarise
from .instances import blaming, configured, make_metric, open_dataset
from .registry import Registry
from .results import Record, read_record
from .specs import ModelSpec
from .tasks import Task
from .weights import WeightsFile

#: Other machines add in another order: float32 convolutions differ by about 1e-6, and thresholds flip single pixels.
RELATIVE, ABSOLUTE = 2e-3, 1e-4


@dataclass(frozen=True)
class Verdict:
    """What the comparison of one record found."""

    path: Path
    clips: int
    worst: str  #: the value that differs most
    difference: float  #: its largest difference, as a share of what is tolerated
    unchecked: tuple[str, ...] = ()  #: metrics of the record that are not installed at its version

    @property
    def agrees(self) -> bool:
        return self.difference <= 1

    def __str__(self) -> str:
        word = "holds" if self.agrees else "DOES NOT HOLD"
        by = f"{self.worst} differs most ({self.difference:.2g} of the tolerance)"
        not_all = f"; not checked, as not installed at its version: {', '.join(self.unchecked)}" * bool(self.unchecked)
        return f"{self.path}: {word}; {self.clips} clips run again, {by}{not_all}"


def verify(
    path: Path,
    registry: Registry,
    *,
    clips: int,
    device: torch.device,
    batch_size: int,
    weights: Sequence[Path] = (),
    model: str | None = None,
) -> Verdict:
    """Evaluate the first clips of a record's cell again.

    weights  files to take the record's weights from, where no plugin ships them
    model    file of the model, where it is no plugin's: path/to/file.py:Class

    Raises RecordError where the record is of another version of model, dataset or metric than is installed, or not ok;
    WeightsError where its weights are not there; CellFailed where it cannot be run.
    """
    record = read_record(path)
    if record.status != "ok":
        raise RecordError(f"{path} is the record of a {record.status} cell: there is nothing to verify")
    try:
        cell, dataset = _remade(record, registry, weights, model)
    except (ConfigError, TypeError) as error:  # a config or task that this version does not know
        raise RecordError(f"{path} cannot be made again here: {error}") from error
    metrics, unchecked = _metrics(record, registry)
    evaluation = Evaluation(cell, dataset, metrics, device=device, batch_size=batch_size)
    ids = list(dataset.ids(cell.split, n_frames=cell.task.n_frames)[: min(clips, cell.clips)])
    partial = evaluation(ids)
    differences = _of_statistics(record, partial) | _of_scores(record, metrics)
    if len(ids) == cell.clips:
        differences |= _of_steps(record, partial, metrics)
    worst = max(differences, key=lambda name: differences[name])
    return Verdict(path, len(ids), worst, differences[worst], unchecked)


# ---------------------------------------------------------------------------------------------------------- the cell


def _remade(record: Record, registry: Registry, weights: Sequence[Path], file: str | None) -> tuple[Cell, Any]:
    """The cell of a record and its dataset, from what is installed."""
    identity, path = record.identity, record.path
    model = registry.model(file or identity["model"]["name"])
    dataset = registry.dataset(identity["dataset"]["name"])
    if model.spec.name != identity["model"]["name"]:
        raise UsageError(f"{path} is of model {identity['model']['name']}, {file} is {model.spec.name}")
    for what, spec, recorded in (
        ("model", model.spec, identity["model"]),
        ("dataset", dataset.spec, identity["dataset"]),
    ):
        if spec.version != recorded["version"]:
            was, name = recorded["version"], spec.name
            raise RecordError(f"{path} was made with {what} {name} version {was}, installed is {spec.version}")
    dataset_config = configured(dataset, identity["dataset"]["config"])
    opened = open_dataset(dataset, dataset_config)
    with blaming(dataset, "fingerprint"):
        fingerprint = opened.fingerprint(identity["split"])
    cell = Cell(
        model=model,
        config=configured(model, identity["model"]["config"]),
        weights=_weights(record, model.spec, weights),
        dataset=dataset,
        dataset_config=dataset_config,
        fingerprint=fingerprint,
        task=Task(**identity["task"]),
        clips=identity["clips"],
        seed=identity["seed"],
        split=identity["split"],
        precision=identity["dtype"],
    )
    if cell.identity != identity:
        differing = [key for key in identity if cell.identity.get(key) != identity[key]]
        raise RecordError(f"{path} cannot be made again here: {', '.join(differing)} differ from what is installed")
    return cell, opened


def _weights(record: Record, spec: ModelSpec, given: Sequence[Path]) -> WeightsFile | None:
    sha256 = record.model["weights_sha256"]
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
        f"{record.path}: its weights ({sha256[:12]}…) do not ship with {spec.name}: give them with --weights FILE"
    )


def _metrics(record: Record, registry: Registry) -> tuple[Metrics, tuple[str, ...]]:
    """The record's metrics, and the names of those that are not installed at its version."""
    made = {}
    for name, score in record.scores.items():
        provided = registry.metrics().get(name)
        if provided is None:
            continue
        here = (provided.spec.version, provided.distribution, list(statistic_keys(provided).values()))
        if here == (score["version"], score["distribution"], score["statistics"]):
            made[name] = (provided, make_metric(provided))
    if not made:
        raise RecordError(f"{record.path}: none of its metrics is installed at its version")
    return made, tuple(name for name in record.scores if name not in made)


# ---------------------------------------------------------------------------------------------------------- comparing


def _of_statistics(record: Record, partial: Partial) -> dict[str, float]:
    """How far the recorded statistics of the first clips are from those measured now."""
    return {
        f"statistic {name}": _share(stats.mean_over_steps(values), record.statistics[name][: len(values)])
        for name, values in partial.statistics.items()
    }


def _of_scores(record: Record, metrics: Metrics) -> dict[str, float]:
    """How far the recorded scores are from those that the recorded statistics of all clips give."""
    found = {}
    for name, (provided, metric) in metrics.items():
        score = record.scores[name]
        per_clip = {short: _array(record.statistics[key]) for short, key in statistic_keys(provided).items()}
        with blaming(provided, "score"):
            again = stats.interval(per_clip, metric.score)
        found[f"score {name}"] = _share(np.array(again), [score[key] for key in ("value", "low", "high")])
    return found


def _of_steps(record: Record, partial: Partial, metrics: Metrics) -> dict[str, float]:
    """How far the recorded scores per step are from those measured now, on all clips."""
    scores, _ = summarise(partial, metrics, partial.steps)
    return {
        f"{name} per step": _share(_array(score["per_step"]), record.scores[name]["per_step"])
        for name, score in scores.items()
    }


def _array(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _share(found: np.ndarray, recorded: Sequence[float | None]) -> float:
    """Largest difference between values, as a share of the tolerance; infinite where only one of two has a value."""
    stored = _array(recorded)
    if len(found) != len(stored) or (np.isnan(found) != np.isnan(stored)).any():
        return float("inf")
    tolerance = ABSOLUTE + RELATIVE * np.abs(stored)
    return float(np.nanmax(np.abs(found - stored) / tolerance, initial=0.0))
