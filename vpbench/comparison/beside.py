"""Where published rows may stand: beside measured ones where everything agrees, else apart, with the reason.

Everything is dataset (name and settings), split, task, and the convention of the metric. A published row takes part in
no test and no rank: of its clips nothing is known but the mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..published import UNKNOWN, PublishedRow
from ..results import canonical
from .board import Board, Column


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A published row that may stand on a board."""

    row: PublishedRow
    quantities: Mapping[Column, str]  #: which of its scores stands in which column

    @property
    def scores(self) -> dict[Column, float]:
        return {column: self.row.scores[quantity] for column, quantity in self.quantities.items()}


@dataclass(frozen=True, kw_only=True)
class Apart:
    """Published rows of one protocol that may stand beside nothing measured, at least not in all scores."""

    dataset: str
    split: str
    task: Mapping[str, object]
    convention: str
    rows: tuple[PublishedRow, ...]
    why: str  #: one sentence

    @property
    def title(self) -> str:
        """The sources."""
        return "; ".join(dict.fromkeys(row.title for row in self.rows))


def beside(board: Board, published: Sequence[PublishedRow]) -> list[Beside]:
    """The published rows that agree with a board in everything, with the scores that do; a wrong number never does."""
    found = []
    for row in published:
        if _same_question(board, row):
            quantities = {column: name for column in board.columns if (name := _quantity(row, column)) is not None}
            if quantities:
                found.append(Beside(row=row, quantities=quantities))
    return found


def apart(boards: Sequence[Board], published: Sequence[PublishedRow]) -> list[Apart]:
    """The published rows that do not stand on these boards with every score, a group per protocol."""
    groups: dict[tuple[str | int, ...], list[PublishedRow]] = {}
    for row in published:
        placed = {_quantity(row, column) for board in boards if _same_question(board, row) for column in board.columns}
        if not row.scores.keys() <= placed:
            place = (row.dataset, canonical(row.dataset_config), row.split, row.kind)
            key = (*place, row.context, row.horizon, row.convention)
            groups.setdefault(key, []).append(row)
    return [
        Apart(
            dataset=rows[0].dataset,
            split=rows[0].split,
            task=rows[0].task,
            convention=rows[0].convention,
            rows=tuple(rows),
            why=_why(rows[0], boards),
        )
        for _, rows in sorted(groups.items(), key=lambda group: group[0])
    ]


def _same_question(board: Board, row: PublishedRow) -> bool:
    dataset = {"name": row.dataset, "config": dict(row.dataset_config)}
    same = canonical({key: board.dataset[key] for key in dataset}) == canonical(dataset)
    return same and board.split == row.split and canonical(board.task) == canonical(row.task)


def _quantity(row: PublishedRow, column: Column) -> str | None:
    """Which score of a published row is of this definition; a wrong number is of none."""
    if column.convention != row.convention or row.convention == UNKNOWN or column.config != "{}":
        return None
    own = column.metric.removeprefix(f"{row.convention}-")
    return next((name for name in (column.metric, own) if name in row.scores and name not in row.wrong), None)


def _why(row: PublishedRow, boards: Sequence[Board]) -> str:
    """Why a published row stands apart from what was measured."""
    if row.convention == UNKNOWN:
        return "By whose definition these scores were computed is not known, so they compare with nothing."
    asked = f"{row.dataset} {row.context}→{row.horizon}"
    same = [board for board in boards if _same_question(board, row)]
    if not same:
        return f"No measured row here is of {asked} ({row.split} split), so they stand beside none."
    if not any(column.convention == row.convention for board in same for column in board.columns):
        return (
            f"The measured rows of {asked} have no metric of the convention {row.convention}, so they stand beside "
            f"none: measure with --metrics {row.convention}."
        )
    return f"Beside the measured rows of {asked} stand the scores that are of one definition; here are all of them."
