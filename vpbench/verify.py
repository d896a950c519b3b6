"""Does a record hold? Compare what it says with what is installed, derive its scores again, run some clips again.

The first finds a word that was edited, the second a score that was, the third a statistic that was, or code, data or
weights that are not the same any more. The clips are spread over the whole record, from a place that follows from the
cell id: nobody chooses them. With all clips run again, the curves over steps are compared too.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import stats
from .errors import RecordError
from .evaluation import Cell, Evaluation, rows_of
from .instances import Metrics, blaming
from .protocols import SetMetric
from .registry import Registry
from .remake import metrics_of, remade
from .results import Record, read_record
from .scoring import Partial, described, over_steps, summarise
from .settings import Settings
from .tolerance import LEAST, tolerance, usual

#: Scores follow from the statistics of the record, but for these being rounded to six digits.
ROUNDING = 5e-5


@dataclass(frozen=True)
class Verdict:
    """What the comparison of one record found."""

    path: Path
    false: tuple[str, ...] = ()  #: what the record says that is not so; if there is anything, nothing was run
    clips: int = 0  #: how many were run again
    of: int = 0  #: how many the record has
    first: int = 0  #: the place of the first of them, from 0; the others follow evenly
    worst: str = ""  #: the value that differs most
    difference: float = 0.0  #: its largest difference, as a share of what is tolerated
    unchecked: tuple[str, ...] = ()  #: metrics of the record that are not installed at its version

    @property
    def agrees(self) -> bool:
        return not self.false and self.difference <= 1

    def __str__(self) -> str:
        if self.false:
            return f"{self.path}: DOES NOT HOLD: {'; '.join(self.false)}"
        by = f"{self.worst} differs most ({self.difference:.2g} of the tolerance)"
        ran = f"{self.clips} of {self.of} clips run again"
        if self.clips < self.of:
            ran += f", evenly spread from number {self.first + 1}; "
            ran += f"curves over steps and distances between sets need --clips {self.of}"
        not_all = f"; not checked, as not installed at its version: {', '.join(self.unchecked)}" * bool(self.unchecked)
        return (
            f"{self.path}: holds; {ran}; {by}{not_all}"
            if self.agrees
            else (f"{self.path}: DOES NOT HOLD: {by}; {ran}{not_all}")
        )


def verify(
    path: Path,
    registry: Registry,
    *,
    clips: int,
    device: torch.device,
    batch_size: int,
    weights: Sequence[Path] = (),
    model: str | None = None,
    settings: Sequence[str] = (),
) -> Verdict:
    """Compare a record with what is installed, and evaluate some clips of its cell again.

    weights   files to take the record's weights from, where no plugin ships them
    model     file of the model, where it is no plugin's: path/to/file.py:Class
    settings  key=value lines that say where the files of the dataset are

    Raises RecordError where the record is of another version of model, dataset or metric than is installed, or not ok;
    WeightsError where its weights are not there; CellFailed where it cannot be run.
    """
    record = read_record(path)
    if record.status != "ok":
        raise RecordError(f"{path} is the record of a {record.status} cell: there is nothing to verify")
    lines = Settings(settings)
    cell, dataset = remade(record, registry, weights, model, lines)
    lines.check_all_used()
    metrics, unchecked = metrics_of(record, registry)
    if not metrics:
        raise RecordError(f"{path}: none of its metrics is installed at its version, or can be computed here")
    ids = rows_of(cell, dataset)
    if false := [*_false_of_cell(record, cell, len(ids)), *_false_of_scores(record, cell, metrics)]:
        return Verdict(path, tuple(false))
    places = spread(min(clips, len(ids)), len(ids), record.cell)
    evaluation = Evaluation(cell, dataset, metrics, device=device, batch_size=batch_size)
    partial = evaluation([ids[place] for place in places])
    for failure in evaluation.broken.values():
        raise failure
    parameters = evaluation.cost(partial)["parameters"]
    if parameters != record.cost.get("parameters", parameters):
        return Verdict(path, (f"cost.parameters is {record.cost['parameters']!r}, the model has {parameters}",))
    differences = _of_statistics(record, partial, metrics, places) | _of_scores(record, metrics)
    differences |= _of_mean_curves(record, partial, metrics)
    if len(places) == len(ids):
        differences |= _of_curves(record, partial, metrics)
    worst = max(differences, key=lambda name: differences[name])
    return Verdict(path, (), len(places), len(ids), places[0], worst, differences[worst], unchecked)


def spread(n: int, of: int, cell: str) -> list[int]:
    """n different places among `of`, evenly spread from one that follows from the cell id."""
    shift = int(cell, 16) % of
    return [(k * of + shift) // n for k in range(n)]


# ---------------------------------------------------------------------------------------------- what the record says


def _false_of_cell(record: Record, cell: Cell, clips: int) -> list[str]:
    """What a record says of its model, dataset, weights and clips that is not so."""
    spec = cell.model.spec
    expected = {"role": spec.role, "learns": spec.learns, "assumptions": spec.assumptions, "trained": cell.trained}
    expected["caveat"] = cell.caveat
    if "posterior_mean" in record.about:  # not in records from before there was such a thing
        expected["posterior_mean"] = spec.posterior_mean
    false = [_not("about", key, record.about.get(key), value) for key, value in expected.items()]
    false += _false_of_training(record, cell)
    if clips < cell.clips or not clips:
        false.append(f"it has {cell.clips} clips, the {cell.split} split of {cell.dataset.spec.name} has {clips}")
    for name, values in record.statistics.items():
        if len(values) != cell.clips:
            false.append(f"statistic {name} has {len(values)} values for {cell.clips} clips")
    return [text for text in false if text]


def _false_of_training(record: Record, cell: Cell) -> list[str]:
    """What a record says of the training of its weights that their header does not."""
    training = record.about.get("training")
    if cell.weights is None:
        return [_not("about", "training", training, None)]
    if not isinstance(training, Mapping):
        return [_not("about", "training", training, "in the header of its weights")]
    header = cell.weights.header
    said_elsewhere = {"model", "frame_shape"}
    if "history" not in training:  # in records from before it was kept there
        said_elsewhere.add("history")
    expected = {key: value for key, value in header.items() if key not in said_elsewhere}
    expected["model_version"] = header["model"].get("version")
    keys = sorted(expected.keys() | training.keys())
    return [_not("about.training", key, training.get(key), expected.get(key), "the weights say") for key in keys]


def _false_of_scores(record: Record, cell: Cell, metrics: Metrics) -> list[str]:
    """What a record says of its scores, beside values, that the installed metrics do not."""
    false = []
    for name, made in metrics.items():
        score = record.scores[name]
        # Keys that came later than the record are not missing in it.
        false += [_not(name, key, score[key], value) for key, value in described(made).items() if key in score]
        false.append(_not(name, "n", score["n"], cell.clips, "the cell says"))
        steps = cell.task.horizon if made.spec.window is None else 0
        for key in ("per_step", "per_step_stderr"):
            if len(score[key]) != steps:
                false.append(f"{name}.{key} has {len(score[key])} values for {steps} steps")
    return [text for text in false if text]


def _not(where: str, key: str, recorded: Any, expected: Any, by: str = "installed is") -> str:
    """One clause that says how they differ; empty where they do not."""
    if recorded == expected and type(recorded) is type(expected):
        return ""
    start = 0
    if isinstance(recorded, str) and isinstance(expected, str):  # of long texts the place where they part
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(recorded, expected, strict=False))
        start = max(0, len(list(same)) - 20)
    return f"{where}.{key} is {_short(recorded, start)}, {by} {_short(expected, start)}"


def _short(value: Any, start: int) -> str:
    text = repr(value[start:]) if isinstance(value, str) else repr(value)
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return f"...{text}" if start else text


# ------------------------------------------------------------------------------------------------- what it has measured


def _of_statistics(record: Record, partial: Partial, metrics: Metrics, places: Sequence[int]) -> dict[str, float]:
    """How far the recorded statistics of these clips are from those measured now."""
    found = {}
    for name, values in over_steps(partial, metrics, partial.steps).items():
        recorded = _array(record.statistics[name])
        found[f"statistic {name}"] = _share(values, recorded[list(places)], tolerance(recorded)[list(places)])
    return found


def _of_scores(record: Record, metrics: Metrics) -> dict[str, float]:
    """How far the recorded scores are from those that the recorded statistics of all clips give."""
    found = {}
    for name, made in metrics.items():
        score = record.scores[name]
        if isinstance(made.metric, SetMetric):
            continue
        per_clip = {short: _array(record.statistics[key]) for short, key in made.statistics.items()}
        with blaming(made.provided, "score"):
            again = stats.interval(per_clip, made.score)
            # How far rounding can move the score: near 0 dB, say, much further than a share of the value.
            moved = [
                stats.score_of(per_clip | {short: values + ROUNDING * usual(values)}, made.score) - again.value
                for short, values in per_clip.items()
            ]
        recorded = _array([score[key] for key in ("value", "low", "high")])
        room = LEAST + ROUNDING * np.abs(recorded) + float(np.nansum(np.abs(moved)))
        found[f"score {name}"] = _share(np.array(again), recorded, room)
    return found


def _of_mean_curves(record: Record, partial: Partial, metrics: Metrics) -> dict[str, float]:
    """Where a score is a plain mean, how far the mean of its curve over steps is from that over clips.

    Not where values are missing: then steps do not weigh the same.
    """
    found = {}
    for name, made in metrics.items():
        keys, curve = made.statistics, _array(record.scores[name]["per_step"])
        if len(keys) != 1 or np.isnan(curve).any() or isinstance(made.metric, SetMetric):
            continue
        ((short, key),) = keys.items()
        values = _array(record.statistics[key])
        if np.isnan(values).any() or np.isnan(partial.statistics[key]).any():
            continue
        if made.spec.over_steps == "sum":
            values = values / len(curve)
        with blaming(made.provided, "score"):
            plain = np.array_equal(np.asarray(made.score({short: values.copy()})), values)
        if plain:
            room = LEAST + ROUNDING * usual(curve)
            found[f"{name} per step, on average,"] = _share(curve.mean(keepdims=True), values.mean(keepdims=True), room)
    return found


def _of_curves(record: Record, partial: Partial, metrics: Metrics) -> dict[str, float]:
    """How far the recorded scores per step and their standard errors are from those measured now, on all clips."""
    scores, _ = summarise(partial, metrics, partial.steps)
    found = {}
    for name, score in scores.items():
        if metrics[name].spec.window is not None:  # of a set there is one value, of all clips
            value = _array([record.scores[name]["value"]])
            found[f"score {name}"] = _share(_array([score["value"]]), value, tolerance(value))
            continue
        curve, errors = (_array(record.scores[name][key]) for key in ("per_step", "per_step_stderr"))
        found[f"{name} per step"] = _share(_array(score["per_step"]), curve, tolerance(curve))
        # Where clips are nearly alike, what is left of their differences is rounding.
        room = tolerance(errors) + ROUNDING * usual(curve)
        found[f"standard error of {name} per step"] = _share(_array(score["per_step_stderr"]), errors, room)
    return found


def _array(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _share(found: np.ndarray, recorded: np.ndarray, room: np.ndarray | float) -> float:
    """Largest difference between values, as a share of the tolerance; infinite where only one of two has a value."""
    if len(found) != len(recorded) or (np.isnan(found) != np.isnan(recorded)).any():
        return float("inf")
    return float(np.nanmax(np.abs(found - recorded) / room, initial=0.0))
