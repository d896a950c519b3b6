"""Boards as tables of plain text, the same for Markdown, a terminal and LaTeX.

A table that is too wide is not read: with many metrics the first table holds the leading ones, and the others follow in
tables of their own, by convention. Of the scores per step there is a table per metric, for the longest horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..comparison import Apart, Beside, Board, Column, apart, beside
from ..protocols import Score
from ..published import EVIDENCE, PublishedRow
from ..results import canonical
from .budget_curves import BudgetCurve, budget_charts, budget_tables
from .budgets import budgets
from .headers import headers, row_name
from .numbers import DASH, large, with_interval
from .provenance import not_computed, notes, sentence, speeds, subtitle, task_name, training_of_row, typical, why_not

#: So many metrics go into one table; if there are more, the first table has only the leading ones.
_FITS, _LEADING = 7, 5

#: Steps that tables of scores per step show, and the last one.
_STEPS = (1, 5, 10, 20, 40, 90)

#: Half the width of a 95 % interval in standard errors.
_NORMAL_95 = 1.96

#: Quantities that published rows have, in the order of their columns, with whether more is better.
_QUANTITIES = {"mse": "↓", "mae": "↓", "rmse": "↓", "ssim": "↑", "psnr": "↑", "lpips": "↓"}

WRONG = "✗"


@dataclass(frozen=True)
class Table:
    """Lines of cells."""

    headers: list[str]
    numeric: list[bool]  #: columns aligned to the right
    cells: list[list[str]]
    marks: list[list[int]]  #: numbers of the footnotes of each line; they go to its name
    name_at: int = 0  #: the column of names
    cost_at: int | None = None  #: from this column on it is about cost and not about scores
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A board, or published rows that stand apart."""

    title: str
    subtitle: str
    main: Table | None
    more: list[Table] = field(default_factory=list)  #: the other metrics
    curves: list[Table] = field(default_factory=list)  #: scores at single steps
    budgets: list[Table] = field(default_factory=list)  #: scores on the val split after parts of the training
    footnotes: list[str] = field(default_factory=list)  #: what single lines are to be taken with
    warnings: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)  #: sentences about the whole
    not_run: list[str] = field(default_factory=list)  #: what failed or was skipped, and why
    measured: bool = True  #: False: published rows that stand apart


def sections(shown: Sequence[Board], published: Sequence[PublishedRow] = ()) -> list[Section]:
    """A section per board, then one per protocol of published rows that stand apart.

    What stands on several boards is told once: scores at single steps with the longest horizon, budget curves with the
    first board that has them.
    """
    longest: dict[str, Board] = {}
    for board in shown:
        if board.rows:
            key = canonical([board.dataset, board.split, {k: v for k, v in board.task.items() if k != "horizon"}])
            longest[key] = max(longest.get(key, board), board, key=_horizon)
    curved = {id(board) for board in longest.values()}
    drawn: set[tuple[str, str, BudgetCurve]] = set()
    measured = [_board(board, beside(board, published), drawn, curves=id(board) in curved) for board in shown]
    return measured + [_apart(group) for group in apart(shown, published)]


def _horizon(board: Board) -> int:
    horizon = board.task.get("horizon")
    return horizon if type(horizon) is int else 0


# -------------------------------------------------------------------------------------------------------------- boards


def _board(
    board: Board, others: Sequence[Beside], drawn: set[tuple[str, str, BudgetCurve]], *, curves: bool
) -> Section:
    rows = board.rows
    marks, footnotes, shared = notes(rows) if rows else ([], [], [])
    same = budgets(rows)
    told, measured = speeds([typical(row) for row in rows])
    footnotes, other_marks = _with_sources(footnotes, [each.row for each in others])
    main, more = _shared_out(board.columns)
    return Section(
        title=f"{board.dataset['name']}, {task_name(board.task)}",
        subtitle=subtitle(board),
        main=_scores(board, main, others, marks, other_marks, speeds=told) if rows else None,
        more=[_scores(board, columns, others, marks, other_marks, caption=caption) for caption, columns in more],
        curves=[_curve(board, column, marks) for column in board.columns if _has_curve(board, column)]
        if curves
        else [],
        budgets=_budget_curves(board, drawn),
        footnotes=footnotes,
        warnings=list(board.warnings),
        remarks=[*board.remarks, *([same.sentence] if same else []), *shared, *measured, *not_computed(rows)],
        not_run=[why_not(label, record) for label, record in board.not_run],
    )


def _shared_out(columns: Sequence[Column]) -> tuple[list[Column], list[tuple[str, list[Column]]]]:
    """The columns of the first table, and those of the others with what to call them."""
    if len(columns) <= _FITS:
        return list(columns), []
    main = [column for column in columns if not column.exhibit][:_LEADING] or list(columns[:_LEADING])
    groups: dict[str, list[Column]] = {}
    for column in columns:
        if column not in main:
            groups.setdefault(column.convention, []).append(column)
    more = []
    for convention, group in groups.items():
        caption = "Other metrics" if convention == "vpbench" else f"Convention {convention}"
        count = -(-len(group) // _FITS)
        parts = [group[index * len(group) // count : (index + 1) * len(group) // count] for index in range(count)]
        more += [(caption if index == 0 else f"{caption}, continued", part) for index, part in enumerate(parts)]
    return main, more


def _scores(
    board: Board,
    columns: Sequence[Column],
    others: Sequence[Beside],
    marks: list[list[int]],
    other_marks: list[list[int]],
    *,
    speeds: list[str] | None = None,
    caption: str = "",
) -> Table:
    """A line per row and per published row that has any of these scores; with speeds it is the first table."""
    rows = board.rows
    here = [index for index, each in enumerate(others) if any(column in each.scores for column in columns)]
    also = [others[index] for index in here]
    parts: list[tuple[str, list[str], list[str], bool]] = [
        ("rank", [str(row.rank) if row.rank is not None else DASH for row in rows], [DASH] * len(also), True),
        ("model", [row_name(row) for row in rows], [f"{_named(each.row)} (published)" for each in also], False),
    ]
    for header, column in zip(headers(board.columns), board.columns, strict=True):
        if column in columns:
            published = [f"{each.scores[column]:.6g}" if column in each.scores else DASH for each in also]
            parts.append((header, [with_interval(row.scores.get(column)) for row in rows], published, True))
    nothing = [DASH] * len(also)
    cost_at = None
    if speeds is not None:
        if any(row.headroom for row in rows):
            shares = [with_interval(row.headroom, scale=100) for row in rows]
            parts.append(("headroom (%) ↑", shares, nothing, True))
        cost_at = len(parts)
        sizes = [large(row.record.cost.get("parameters")) for row in rows]
        budgets = [each.row.training or DASH for each in also]
        parts += [
            ("frames/s", speeds, nothing, True),
            ("parameters", sizes, [large(each.row.parameters) for each in also], True),
            ("training", [training_of_row(row) for row in rows], budgets, False),
        ]
    return Table(
        headers=[header for header, _, _, _ in parts],
        numeric=[numeric for _, _, _, numeric in parts],
        cells=[list(line) for line in zip(*(ours + theirs for _, ours, theirs, _ in parts), strict=True)],
        marks=[*marks, *(other_marks[index] for index in here)],
        name_at=1,
        cost_at=cost_at,
        caption=caption,
    )


def _has_curve(board: Board, column: Column) -> bool:
    curves = [row.curve(column, board.n) for row in board.rows]
    return any(curve is not None and len(curve.values) > 1 for curve in curves)


def _curve(board: Board, column: Column, marks: list[list[int]]) -> Table:
    """The score of each row at some steps, with the normal interval over clips."""
    curves = [row.curve(column, board.n) for row in board.rows]
    length = max(len(curve.values) for curve in curves if curve is not None)
    steps = sorted({step for step in (*_STEPS, length) if step <= length})
    cells = []
    for row, curve in zip(board.rows, curves, strict=True):
        line = [row_name(row)]
        for step in steps:
            if curve is None or step > len(curve.values):
                line.append(DASH)
                continue
            value, half = curve.values[step - 1], _NORMAL_95 * curve.stderr[step - 1]
            line.append(with_interval(Score(value, value - half, value + half)))
        cells.append(line)
    (header,) = headers([column])
    return Table(
        headers=["model", *(f"step {step}" for step in steps)],
        numeric=[False, *(True for _ in steps)],
        cells=cells,
        marks=marks,
        caption=f"{header} per step",
    )


def _budget_curves(board: Board, drawn: set[tuple[str, str, BudgetCurve]]) -> list[Table]:
    """The budget curves that were not all on boards before, which are noted down."""
    tables = []
    for chart in budget_charts(board.rows):
        lines = {(chart.title, line.label, line.curve) for line in chart.lines}
        if lines <= drawn:
            continue
        drawn |= lines
        for each in budget_tables(chart):
            tables.append(
                Table(
                    headers=list(each.headers),
                    numeric=[False, *(True for _ in each.headers[1:])],
                    cells=[list(line) for line in each.cells],
                    marks=[[] for _ in each.cells],
                    caption=each.caption,
                )
            )
    return tables


# ----------------------------------------------------------------------------------------------------- published rows


def _apart(group: Apart) -> Section:
    rows = group.rows
    quantities = sorted({quantity for row in rows for quantity in row.scores}, key=_quantity_order)
    footnotes, marks = _with_sources([], rows)
    parts: list[tuple[str, list[str], bool]] = [
        ("model", [row.model for row in rows], False),
        ("training", [row.training or DASH for row in rows], False),
        *((_quantity(name), [_published_score(row, name) for row in rows], True) for name in quantities),
        ("parameters", [large(row.parameters) for row in rows], True),
        ("FLOPs", [large(row.flops) for row in rows], True),
        ("FPS as stated", [large(row.fps) for row in rows], True),
        ("source", [row.title for row in rows], False),
    ]
    parts = [part for part in parts if any(cell != DASH for cell in part[1])]
    return Section(
        title=f"Published: {group.dataset}, {task_name(group.task)}, convention {group.convention}",
        subtitle=f"{sentence(f'{group.split} split')} {group.why}",
        main=Table(
            headers=[header for header, _, _ in parts],
            numeric=[numeric for _, _, numeric in parts],
            cells=[list(line) for line in zip(*(cells for _, cells, _ in parts), strict=True)],
            marks=marks,
        ),
        footnotes=footnotes,
        measured=False,
    )


def _with_sources(footnotes: list[str], rows: Sequence[PublishedRow]) -> tuple[list[str], list[list[int]]]:
    """The footnotes with those of published rows, and the numbers of each row's."""
    said = [[_source(row), *map(sentence, row.caveats)] for row in rows]
    together = list(dict.fromkeys([*footnotes, *(text for texts in said for text in texts)]))
    return together, [[together.index(text) + 1 for text in texts] for texts in said]


def _source(row: PublishedRow) -> str:
    """Where a number is from and how it got here."""
    parts = (row.document, row.table, row.url)
    return f"{', '.join(part for part in parts if part)} ({EVIDENCE[row.evidence]})."


def _named(row: PublishedRow) -> str:
    return f"{row.model}, {row.training}" if row.training else row.model


def _quantity(name: str) -> str:
    return f"{name} {_QUANTITIES[name]}" if name in _QUANTITIES else name


def _quantity_order(name: str) -> tuple[int, str]:
    return (list(_QUANTITIES).index(name) if name in _QUANTITIES else len(_QUANTITIES), name)


def _published_score(row: PublishedRow, name: str) -> str:
    if name not in row.scores:
        return DASH
    return f"{WRONG} {row.scores[name]:.6g}" if name in row.wrong else f"{row.scores[name]:.6g}"
