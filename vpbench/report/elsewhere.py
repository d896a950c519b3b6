"""Published rows as the page shows them: below a board where they answer its question, else in tables of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .. import comparison
from ..comparison import Apart, Board, Column, apart, settings
from ..leaderboard import DASH, large, task_name
from ..published import EVIDENCE, PublishedRow


@dataclass(frozen=True)
class PublishedLine:
    model: str
    scores: tuple[tuple[str, bool], ...]  #: (value, whether it is a wrong number), in the order of the quantities
    parameters: str
    training: str
    source: str
    notes: tuple[int, ...]  #: numbers of its caveats


@dataclass(frozen=True)
class PublishedTable:
    title: str
    question: str  #: dataset, task, split
    convention: str
    why: str
    quantities: tuple[str, ...]
    rows: tuple[PublishedLine, ...]
    caveats: tuple[str, ...]


@dataclass(frozen=True)
class Beside:
    """A published row whose scores are of the definitions of a board."""

    model: str
    source: str
    caveats: tuple[str, ...]
    scores: Mapping[str, str]  #: by key of the heading


def published_beside(board: Board, published: Sequence[PublishedRow], keys: Mapping[Column, str]) -> tuple[Beside, ...]:
    """The published rows that may stand on a board."""
    return tuple(
        Beside(
            model=each.row.model,
            source=_source(each.row),
            caveats=each.row.caveats,
            scores={keys[column]: f"{value:g}" for column, value in each.scores.items()},
        )
        for each in comparison.beside(board, published)
    )


def published_tables(boards: Sequence[Board], published: Sequence[PublishedRow]) -> list[PublishedTable]:
    """A table per source, protocol and convention."""
    return [_table(each) for each in apart(boards, published)]


def _table(group: Apart) -> PublishedTable:
    quantities = tuple(dict.fromkeys(name for row in group.rows for name in row.scores))
    caveats = tuple(dict.fromkeys(sentence for row in group.rows for sentence in row.caveats))
    config = settings(group.rows[0].dataset_config)
    dataset = f"{group.dataset} ({config})" if config else group.dataset
    return PublishedTable(
        title=group.title,
        question=f"{dataset} {task_name(group.task)}, {group.split} split",
        convention=group.convention,
        why=group.why,
        quantities=quantities,
        rows=tuple(_line(row, quantities, caveats) for row in group.rows),
        caveats=caveats,
    )


def _line(row: PublishedRow, quantities: Sequence[str], caveats: Sequence[str]) -> PublishedLine:
    return PublishedLine(
        model=row.model,
        scores=tuple(
            (f"{row.scores[name]:g}" if name in row.scores else DASH, name in row.wrong) for name in quantities
        ),
        parameters=large(row.parameters),
        training=row.training or DASH,
        source=_source(row),
        notes=tuple(caveats.index(sentence) + 1 for sentence in row.caveats),
    )


def _source(row: PublishedRow) -> str:
    return ", ".join(part for part in (row.document, row.table, row.url, EVIDENCE[row.evidence]) if part)
