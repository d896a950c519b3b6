"""What probes came to: a table for people, and a document for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..evaluation import Cell
from ..protocols import Score
from ..storage import write_atomically
from .answers import At, Objects
from .probes import Component, Probe, Probes

SCHEMA = 1
#: Version of the method: it changes when numbers do.
METHOD = "1"

_MEASURES = {"r2": "R²", "accuracy": "accuracy"}


@dataclass(frozen=True, kw_only=True)
class ProbeReport:
    """How much of the truth lies in the codes of a model. Print it for the table."""

    cell: Cell  #: model, weights, dataset, question and test clips
    train_clips: int
    val_clips: int
    fingerprints: Mapping[str, str]  #: by split
    at: At
    objects: Objects
    found: Probes
    never: Mapping[str, str]  #: fields that no code is probed for -> why
    notes: Sequence[str]
    software: Mapping[str, Any]
    machine: Mapping[str, Any]
    started: str
    finished: str

    @property
    def probes(self) -> tuple[Probe, ...]:
        return self.found.probes

    def __getitem__(self, code_and_field: tuple[str, str]) -> Probe:
        """``report["appearance", "labels"]``; KeyError where there is no such probe."""
        for each in self.probes:
            if (each.code, each.field.name) == code_and_field:
                return each
        raise KeyError(code_and_field)

    def identity(self) -> dict[str, Any]:
        """All that decides the numbers, but for what rounding does."""
        of_cell = self.cell.identity
        dataset = {key: value for key, value in of_cell["dataset"].items() if key != "fingerprint"}
        return {
            "method": METHOD,
            "model": of_cell["model"],
            "dataset": {**dataset, "fingerprints": dict(self.fingerprints)},
            "task": of_cell["task"],
            "clips": {"train": self.train_clips, "val": self.val_clips, "test": self.cell.clips},
            "seed": of_cell["seed"],
            "dtype": of_cell["dtype"],
            "at": self.at,
            "objects": self.objects,
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is not a number is None."""
        return {
            "schema": SCHEMA,
            "kind": "probe",
            "identity": self.identity(),
            "about": {
                "caveat": self.cell.caveat,
                "trained": self.cell.trained,
                "objects": None if self.found.order is None else str(self.found.order),
                "notes": list(dict.fromkeys(self.notes)),
                "interval": "95 %, percentile bootstrap over test clips",
                "shuffled": "the same with the truth of another clip",
            },
            "probes": [_as_json(each) for each in self.probes],
            "skipped": [{"code": None, "field": name, "why": why} for name, why in self.never.items()]
            + [{"code": code, "field": name, "why": why} for (code, name), why in self.found.skipped.items()],
            "software": dict(self.software),
            "machine": dict(self.machine),
            "started": self.started,
            "finished": self.finished,
        }

    def write(self, path: Any) -> None:
        """The document in a file, whole or not at all. Raises StorageError."""
        content = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(path, content.encode())

    def __str__(self) -> str:
        cell = self.cell
        weights = f" with {cell.weights.path.name}" if cell.weights else ("" if cell.trained else ", untrained")
        lines = [
            f"{cell.model.spec.name}{weights} on {cell.dataset.spec.name} {cell.task}: linear probes on {cell.clips} "
            f"test clips, fitted on {self.train_clips} train clips, strength chosen on {self.val_clips} val clips"
        ]
        if self.found.order is not None:
            lines.append(f"truth of objects: {self.found.order}")
        scored = [each for each in self.probes if not math.isnan(each.score.value)]
        lines += ["", *_table(scored)] if scored else []
        lines += ["", "[95 % interval over test clips]; shuffled: the same with the truth of another clip"]
        lines += [f"{name}: {why}" for name, why in self._left_out()]
        lines += [f"note: {note}" for note in dict.fromkeys(self.notes)]
        return "\n".join(lines)

    __repr__ = __str__

    def _left_out(self) -> list[tuple[str, str]]:
        """What has no number, and why: fields that were not probed for, and components of those that were."""
        told: dict[str, dict[str, None]] = {}  # reason -> of what, each once
        for name, why in self.never.items():
            told.setdefault(f"not probed, {why}", {})[name] = None
        for (code, name), why in self.found.skipped.items():
            told.setdefault(f"not probed, {why}", {})[f"{name} in {code}"] = None
        for each in self.probes:
            for component in each.components:
                part = each.field.name + _place(component.index)
                if component.why:
                    told.setdefault(f"no score, {component.why}", {})[part] = None
                elif not component.converged:
                    told.setdefault("perhaps too low, the optimiser was not done", {})[f"{part} in {each.code}"] = None
        return [(", ".join(names), why) for why, names in told.items()]


def _table(probes: Sequence[Probe]) -> list[str]:
    head = ("code", "size", "truth", "unit", "of", "measure", "score", "", "shuffled", "chance")
    rows = [head]
    last = ""
    for each in probes:
        value, limits = _number(each.score.value), _limits(each.score)
        shuffled = f"{_number(each.shuffled.value)} {_limits(each.shuffled)}".rstrip()
        chance = "0" if each.measure == "r2" else _number(math.nan if each.chance is None else each.chance)
        code = (each.code, str(each.size)) if each.code != last else ("", "")
        row = (*code, each.field.name, each.field.unit, each.when, _MEASURES[each.measure])
        rows.append((*row, value, limits, shuffled, chance))
        last = each.code
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    right = {1, 6, 9}

    def line(row: tuple[str, ...]) -> str:
        cells = (
            f"{cell:>{width}}" if k in right else f"{cell:<{width}}"
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return [line(row) for row in rows]


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _limits(score: Score) -> str:
    return "" if math.isnan(score.low) else f"[{_number(score.low)}, {_number(score.high)}]"


def _place(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]" if index else ""


def _as_json(probe: Probe) -> dict[str, Any]:
    found: dict[str, Any] = {
        "code": probe.code,
        "per": probe.per,
        "size": probe.size,
        "field": probe.field.name,
        "unit": probe.field.unit,
        "of": probe.when,
        "measure": probe.measure,
        **_score(probe.score),
        "shuffled": _score(probe.shuffled),
        "chance": None if probe.chance is None else _finite(probe.chance),
        "components": [_component(each) for each in probe.components],
    }
    if len(probe.per_step):
        found["per_step"] = [_finite(value) for value in probe.per_step]
        found["per_step_stderr"] = [_finite(value) for value in probe.per_step_stderr]
    return found


def _component(component: Component) -> dict[str, Any]:
    return {
        "index": list(component.index),
        **_score(component.score),
        "shuffled": _score(component.shuffled),
        "chance": None if component.chance is None else _finite(component.chance),
        "strength": _finite(component.strength),
        "converged": component.converged,
        "why": component.why or None,
    }


def _score(score: Score) -> dict[str, float | None]:
    return {"value": _finite(score.value), "low": _finite(score.low), "high": _finite(score.high)}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
