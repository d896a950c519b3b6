"""Cells and what is to become of them: `Planned`, and the `Plan` that holds them all in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from ..errors import VpbenchError
from ..evaluation import Cell, asked_of
from ..instances import Metrics
from ..protocols import Dataset
from ..trained import Training
from .request import Request

if TYPE_CHECKING:
    from .readiness import Ready

Action = Literal["run", "done", "failed before", "refused"]


@dataclass
class Planned:
    """A cell and what is to become of it."""

    cell: Cell
    path: Path  #: of its record
    action: Action
    reason: str = ""
    asked: bool = True  #: False for floors and ceilings that the runner adds
    again: bool = False  #: computed whatever is there: nobody can see whether it is the same model
    also: tuple[str, ...] = ()  #: metrics that the record holds beside those of the plan: they are measured again
    not_computed: Mapping[str, str] = field(default_factory=dict)  #: metric -> why it is not measured here
    broken: tuple[str, ...] = ()  #: metrics that failed when its record was made, and are not tried again
    left_out: str = ""  #: what of the dataset's files has no part in it, in words
    training: Training | None = None  #: what makes its weights first; until then its cell and path are without weights


@dataclass
class Plan:
    """All cells of a request, in the order they will run."""

    request: Request
    device: torch.device
    metrics: Metrics  #: those asked for
    others: Metrics  #: all others that are installed and work
    cells: list[Planned] = field(default_factory=list)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failures: list[VpbenchError] = field(default_factory=list)  #: of plugins that have no cells because of it
    shorter: bool = True  #: with the reporting horizons on the way to the longest
    #: By model, seed and frame shape: what is trained here, for datasets without clips to learn from.
    learnt: dict[tuple[str, int, tuple[int, ...]], Ready] = field(default_factory=dict)

    def count(self, action: Action) -> int:
        return sum(planned.action == action for planned in self.cells)

    @property
    def nothing_to_run(self) -> str:
        """Why nothing that was asked for can work, in one line; empty if something can."""
        if any(planned.action != "refused" for planned in self.cells if planned.asked):
            return ""
        reasons = list(dict.fromkeys(planned.reason for planned in self.cells))
        more = f" (and {len(reasons) - 1} more reasons above)" if len(reasons) > 1 else ""
        return f"nothing to run: {reasons[0]}{more}"

    def groups(self) -> Iterator[list[Planned]]:
        """Cells to run that one rollout serves, horizons ascending: all but the horizon alike, and prefix-stable."""
        groups: dict[Any, list[Planned]] = defaultdict(list)
        for place, planned in enumerate(self.cells):
            if planned.action == "run":
                alone = None if planned.cell.model.spec.prefix_stable else place
                identity = {**planned.cell.identity, "task": None}
                clips = asked_of(planned.cell, self.datasets[planned.cell.dataset.spec.name])
                groups[str(identity), alone, clips].append(planned)
        for group in groups.values():
            yield sorted(group, key=lambda planned: planned.cell.task.horizon)

    def trainings(self) -> list[Training]:
        """What is trained for the cells to run, in order, each once."""
        found = {group[0].training.run.output: group[0].training for group in self.groups() if group[0].training}
        return list(found.values())

    def metrics_for(self, group: Sequence[Planned]) -> Metrics:
        """What is measured for these cells: what was asked for, and what their records already hold."""
        also = {name: self.others[name] for planned in group for name in planned.also}
        wanted = {**self.metrics, **also}
        return {name: made for name, made in wanted.items() if any(name not in each.not_computed for each in group)}
