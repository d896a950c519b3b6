"""A board as the page shows it: every text written, every cell with the number it is sorted by.

Frozen and free of HTML: the templates put these on the page, and escape them there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..comparison import Board, Column, Row, listed, settings, training_of
from ..leaderboard import (
    DASH,
    budgets,
    column_names,
    decimals,
    large,
    marks,
    not_computed,
    notes,
    speeds,
    task_name,
    training_of_row,
    typical,
    why_not,
    with_interval,
)
from ..protocols import Score
from ..published import PublishedRow
from ..results import Record, canonical
from ..stats import ScoreFunction
from .differences import Matrix, Pair, differences
from .elsewhere import Beside, published_beside
from .models import Model
from .training import TrainingView, training_view

#: Differences are coloured in this many strengths, by their share of the largest one of the board.
STRENGTHS = 4


@dataclass(frozen=True)
class Cell:
    """A number as text, and as what it is sorted by."""

    text: str
    half: str = ""  #: "±0.05"
    limits: str = ""  #: "14.27 to 14.37"
    value: float | None = None  #: None is sorted last


@dataclass(frozen=True)
class Heading:
    """A column of scores."""

    key: str  #: "c0", unique on the board
    name: str  #: as much of the definition as tells it from other columns
    unit: str
    arrow: str
    better: Literal["higher", "lower", "nearest"]  #: nearest to the ideal, where more is as wrong as less
    ideal: str  #: "1" where nearest to it is best, else ""
    ranking: bool
    exhibit: bool  #: a warning, not a score to compare


@dataclass(frozen=True)
class Group:
    """Neighbouring columns of one convention."""

    key: str
    name: str
    columns: tuple[Heading, ...]
    shown: bool  #: when the page opens
    exhibit: bool


@dataclass(frozen=True)
class Line:
    """A row of the table of scores."""

    model: Model
    rank: Cell
    marks: tuple[tuple[str, str], ...]  #: (kind, text): "below", "▼ below floor"
    notes: tuple[int, ...]  #: numbers of its footnotes
    scores: Mapping[str, Cell]  #: by key of the heading
    headroom: Cell
    speed: Cell
    parameters: Cell
    training: Cell


@dataclass(frozen=True)
class Difference:
    """A cell of the matrix."""

    text: str  #: "+1.69"
    verdict: Literal["better", "worse", "tie", "untested"]
    strength: int  #: 1 .. STRENGTHS where better or worse, else 0
    sentence: str  #: all that is known of the pair


@dataclass(frozen=True)
class MatrixView:
    models: tuple[Model, ...]
    cells: tuple[tuple[Difference | None, ...], ...]
    unit: str


@dataclass(frozen=True)
class BoardView:
    id: str  #: "board-1": the fragment of its address
    dataset: str
    task: str  #: "10→90"
    facts: tuple[tuple[str, str], ...]
    findings: tuple[str, ...]  #: sentences: what the tests say
    metric: str
    groups: tuple[Group, ...]
    lines: tuple[Line, ...]
    has_headroom: bool
    footnotes: tuple[str, ...]
    remarks: tuple[str, ...]
    warnings: tuple[str, ...]  #: rows that cannot be what they claim to be
    left_out: tuple[str, ...]
    not_run: tuple[str, ...]
    matrix: MatrixView | None
    training: TrainingView | None  #: None: no record holds the history of its training
    published: tuple[Beside, ...]  #: rows of others that answer the same question by the same definition

    @property
    def published_columns(self) -> set[str]:
        """Keys of the columns that published rows have scores in."""
        return {key for row in self.published for key in row.scores}

    @property
    def headings(self) -> list[Heading]:
        return [heading for group in self.groups for heading in group.columns]


# --------------------------------------------------------------------------------------------------------------- boards


def view(
    board: Board,
    number: int,
    models: Mapping[tuple[str, str], Model],
    scorers: Mapping[str, ScoreFunction],
    published: Sequence[PublishedRow],
) -> BoardView:
    """What the page shows of a board."""
    rows = board.rows
    scorer = scorers.get(board.ranking.metric) if board.ranking else None
    matrix = differences(board, scorer)
    names = headings(board)
    groups = _groups(board, names)
    numbers, footnotes, shared = notes(rows) if rows else ([], [], [])
    records = [typical(row) for row in rows]
    told, measured = speeds(records)
    same = budgets(rows)
    lines = tuple(
        Line(
            model=models[row.role, row.label],
            rank=Cell(DASH) if row.rank is None else Cell(str(row.rank), value=row.rank),
            marks=tuple((_KINDS[text[0]], text) for text in marks(row)),
            notes=tuple(own),
            scores={names[column].key: _score_of(row, column) for column in board.columns},
            headroom=score_cell(row.headroom, scale=100),
            speed=Cell(speed, value=_number(record.cost.get("frames_per_s"))),
            parameters=Cell(large(record.cost.get("parameters")), value=_number(record.cost.get("parameters"))),
            training=Cell(training_of_row(row), value=_number(training_of(record).get("sequences"))),
        )
        for row, record, own, speed in zip(rows, records, numbers, told, strict=True)
    )
    return BoardView(
        id=f"board-{number}",
        dataset=str(board.dataset["name"]),
        task=task_name(board.task),
        facts=_facts(board),
        findings=tuple(_findings(board, matrix)),
        metric=board.metric,
        groups=groups,
        lines=lines,
        has_headroom=any(row.headroom for row in rows),
        footnotes=tuple(footnotes),
        remarks=(
            *board.remarks,
            *([same.sentence] if same else []),
            *_headroom_remark(board),
            *shared,
            *measured,
        ),
        warnings=board.warnings,
        left_out=board.left_out,
        not_run=(*(why_not(label, record) for label, record in board.not_run), *not_computed(rows)),
        matrix=_matrix_view(matrix, board, models),
        training=training_view(rows, models),
        published=published_beside(board, published, {column: heading.key for column, heading in names.items()}),
    )


#: What marks of a row are drawn as, by their first character.
_KINDS = {"▲": "leak", "▼": "below", "▽": "level"}


def headings(board: Board) -> dict[Column, Heading]:
    """A heading per column; names as on every other form of the board."""
    names = column_names(board.columns)
    return {
        column: Heading(
            key=f"c{index}",
            name=name,
            unit=column.unit,
            arrow=column.arrow,
            better="nearest" if column.ideal is not None else "higher" if column.higher_is_better else "lower",
            ideal="" if column.ideal is None else f"{column.ideal:g}",
            ranking=column == board.ranking,
            exhibit=column.exhibit,
        )
        for index, (column, name) in enumerate(zip(board.columns, names, strict=True))
    }


def _groups(board: Board, names: Mapping[Column, Heading]) -> tuple[Group, ...]:
    """By convention, that of the ranking metric first, warning exhibits last; all but the first open folded in."""
    groups: dict[tuple[bool, str], list[Column]] = {}
    for column in board.columns:
        groups.setdefault((column.exhibit, column.convention), []).append(column)
    first = (False, board.ranking.convention) if board.ranking else next(iter(groups), None)
    return tuple(
        Group(
            key=f"g{index}",
            name=group[1],
            columns=tuple(names[column] for column in groups[group]),
            shown=group == first,
            exhibit=group[0],
        )
        for index, group in enumerate(sorted(groups, key=lambda group: (group != first, group[0])))
    )


def _facts(board: Board) -> tuple[tuple[str, str], ...]:
    """What was predicted, and on what."""
    config = settings(board.dataset["config"])
    facts = [
        ("dataset", f"{board.dataset['name']}, version {board.dataset['version']}" + (f", {config}" if config else "")),
        ("fingerprint", str(board.dataset["fingerprint"])),
        ("split", str(board.split)),
        ("clips", str(board.n)),
        ("task", str(board.task["kind"])),
    ]
    for key, what in (("context", "frames given"), ("horizon", "frames predicted")):
        if key in board.task:
            facts.append((what, str(board.task[key])))
    facts.append(("ranked by", board.metric))
    return tuple(facts)


def _headroom_remark(board: Board) -> list[str]:
    column = board.headroom_in
    return [] if column is None else [f"Headroom is measured in the squared error that {column.metric} is made of."]


# -------------------------------------------------------------------------------------------------------------- numbers


def _score_of(row: Row, column: Column) -> Cell:
    """A score; where more is as wrong as less it is sorted by how wrong it is."""
    cell = score_cell(row.scores.get(column))
    if column.ideal is None or cell.value is None:
        return cell
    return replace(cell, value=abs(cell.value - column.ideal))


def score_cell(score: Score | None, *, scale: float = 1.0) -> Cell:
    """A score as on every other form of the board, with both limits beside."""
    text = with_interval(score, scale=scale)
    if score is None or math.isnan(score.value):
        return Cell(text)
    value, _, half = text.partition(" ")
    limits = ""
    if half:
        places = len(half.partition(".")[2])
        form = f".{places}f" if "e" not in half else ".3g"
        limits = f"{score.low * scale + 0.0:{form}} to {score.high * scale + 0.0:{form}}"
    return Cell(value, half, limits, score.value)


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and math.isfinite(value) else None


# ---------------------------------------------------------------------------------------------------------- differences


def _matrix_view(matrix: Matrix | None, board: Board, models: Mapping[tuple[str, str], Model]) -> MatrixView | None:
    if matrix is None or board.ranking is None:
        return None
    unit = board.ranking.unit
    sizes = [abs(pair.difference) for line in matrix.pairs for pair in line if pair is not None and pair.better]
    largest = max(sizes, default=0.0)
    cells = tuple(
        tuple(
            None if pair is None else _difference(pair, first, second, unit, largest)
            for second, pair in zip(matrix.rows, line, strict=True)
        )
        for first, line in zip(matrix.rows, matrix.pairs, strict=True)
    )
    return MatrixView(tuple(models[row.role, row.label] for row in matrix.rows), cells, unit)


def _difference(pair: Pair, first: Row, second: Row, unit: str, largest: float) -> Difference:
    strength = max(1, math.ceil(STRENGTHS * abs(pair.difference) / largest)) if pair.better and largest else 0
    verdicts: dict[int, Literal["better", "worse", "tie"]] = {1: "better", -1: "worse", 0: "tie"}
    units = f" {unit}" if unit else ""
    places = _places(pair)
    text = _signed(pair.difference, places)
    interval = ""
    if not math.isnan(pair.low):
        interval = f", 95 % interval {_signed(pair.low, places)} to {_signed(pair.high, places)}"
    said = f"{first.label} − {second.label}: {text}{units}{interval}"
    if pair.p is None:
        return Difference(text, "untested", 0, f"{said}; a ceiling is not ranked, so the pair is not tested")
    p = f"Holm p {_p(pair.p)}"
    if pair.better:
        winner = first if pair.better > 0 else second
        return Difference(text, verdicts[pair.better], strength, f"{said}; {winner.label} is significantly better, {p}")
    found = f"; so many clips show a true difference of {pair.detectable:.2g}{units} four times in five"
    power = found if math.isfinite(pair.detectable) else ""
    return Difference(text, "tie", 0, f"{said}; no significant difference, {p}{power}")


def _places(pair: Pair) -> int:
    half = (pair.high - pair.low) / 2
    size = half if math.isfinite(half) and half > 0 else abs(pair.difference)
    return min(6, decimals(size)) if size > 0 else 2


def _signed(value: float, places: int) -> str:
    text = f"{abs(value):.{places}f}"
    return ("−" if value < 0 and float(text) else "+" if float(text) else "") + text


def _p(p: float) -> str:
    return f"{p:.2g}" if p >= 0.001 else "< 0.001"


# ------------------------------------------------------------------------------------------------------------- findings


def _findings(board: Board, matrix: Matrix | None) -> Iterable[str]:
    """What the tests of a board say, in words."""
    if matrix is None or board.ranking is None:
        return
    unit = f" {board.ranking.unit}" if board.ranking.unit else ""
    ranked = [(index, row) for index, row in enumerate(matrix.rows) if row.rank is not None]
    first = [(index, row) for index, row in ranked if row.rank == 1]
    labels = [row.label for _, row in first]
    if len(first) > 1:
        yield f"{_and(labels)} share first place: no test on these clips tells them apart."
    elif first and first[0][1].above_ceiling is not None:
        yield f"{_and(labels)} is first in {board.metric}, with a score that no honest prediction can have."
    elif first and len(ranked) > 1:
        index, leader = first[0]
        score = score_cell(leader.scores[board.ranking])
        half = f" ({score.half})" if score.half else ""
        yield (
            f"{_who(leader)} is first in {board.metric} with {score.text}{unit}{half}, significantly better than every "
            "other ranked row."
        )
        behind = [(abs(pair.difference), row, pair) for row, pair in _others(matrix, index) if row.rank is not None]
        if behind:
            _, row, pair = min(behind, key=lambda item: item[0])
            places = _places(pair)
            low, high = sorted((abs(pair.low), abs(pair.high)))
            between = f" ({low:.{places}f} to {high:.{places}f})" if math.isfinite(low) else ""
            yield f"Next is {_who(row)}, {abs(pair.difference):.{places}f}{unit}{between} behind."
    if headroom := [row for row in board.rows if row.headroom and row.rank == 1 and row.above_ceiling is None]:
        cells = [score_cell(row.headroom, scale=100) for row in headroom]
        shares = [f"{cell.text} %" for cell in cells]
        who = f"{_and([row.label for row in headroom])} {'covers' if len(headroom) == 1 else 'cover'}"
        yield f"{who} {_and(shares)} of the way from the best floor to the ceiling in squared error."
    below = [row.label for row in matrix.rows if row.below_floor]
    if below:
        yield f"Significantly worse than the best trivial baseline: {_and(below)}."
    level = [row.label for row in matrix.rows if row.not_above_floor]
    if level:
        yield f"Not shown to be better than the best trivial baseline: {_and(level)}."


def _who(row: Row) -> str:
    return row.label if row.role == "contender" else f"{row.label} ({row.role})"


def _and(labels: Sequence[str]) -> str:
    return listed(labels) if len(labels) < 2 else f"{listed(labels[:-1])} and {labels[-1]}"


def _others(matrix: Matrix, index: int) -> list[tuple[Row, Pair]]:
    pairs = zip(matrix.rows, matrix.pairs[index], strict=True)
    return [(row, pair) for row, pair in pairs if pair is not None]


# ---------------------------------------------------------------------------------------------------------- environment


def environment(records: Sequence[Record]) -> list[tuple[str, list[tuple[str, int]]]]:
    """(fact, [(value, number of records)]) of software and machines, most frequent values first."""
    counts: dict[str, dict[str, int]] = {}
    for record in records:
        software = dict(record.software)
        plugins = software.pop("plugins", None)
        if isinstance(plugins, Mapping):
            software |= {str(name): version for name, version in plugins.items()}
        machine = {f"machine: {key}".replace("_", " "): value for key, value in record.machine.items()}
        for key, value in {**software, **machine}.items():
            text = value if isinstance(value, str) else canonical(value)
            held = counts.setdefault(key, {})
            held[text] = held.get(text, 0) + 1
    return [
        (key, sorted(counts[key].items(), key=lambda item: (-item[1], item[0])))
        for key in sorted(counts, key=lambda key: (key.startswith("machine: "), key))
    ]
