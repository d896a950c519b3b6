"""What all that the tables hold means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..comparison import Board
from ..stats import ALPHA
from ..tasks import KINDS
from .budget_curves import BUDGET_CURVES, budget_charts
from .headers import ABOVE, BELOW, EXHIBIT, NOT_ABOVE, origin
from .provenance import task_name


def legend(shown: Sequence[Board], *, published: bool = False) -> list[tuple[str, str]]:
    """(what, meaning) of all that is shown."""
    rows = [row for board in shown for row in board.rows]
    columns = {column: column for board in shown for column in board.columns}
    ranking = ", ".join(sorted({board.metric for board in shown}))
    told = []
    tasks = {board.task["kind"]: board.task for board in shown if {"context", "horizon"} <= board.task.keys()}
    told += [(task_name(task), _asked(task)) for task in tasks.values()]
    if rows:
        told += [("rank", _rank(ranking, several=any(row.members for row in rows))), ("±", _interval())]
    if ideals := sorted({column.arrow for column in columns.values() if column.ideal is not None}):
        meaning = "a perfect prediction has this score; more is as wrong as less, so nothing is ranked by it"
        told.append((", ".join(ideals), meaning))
    if any(column.exhibit for column in columns.values()):
        told.append(
            (
                EXHIBIT,
                "warning exhibit: a number that others publish and nobody should compare, shown for what it would "
                "have claimed; nothing is ranked by it",
            )
        )
    if any(row.role == "floor" for row in rows):
        told.append(("floor", "trivial baseline"))
    if any(row.below_floor for row in rows):
        told.append((BELOW, f"significantly worse in {ranking} than the best floor, by the test of the ranks"))
    if any(row.not_above_floor for row in rows):
        told.append(
            (
                NOT_ABOVE,
                f"not significantly better in {ranking} than the best floor, nor worse, by the test of the ranks",
            )
        )
    if any(row.role == "ceiling" for row in rows):
        told.append(("ceiling", _ceiling(shown)))
    if any(row.above_ceiling for row in rows):
        told.append(
            (
                ABOVE,
                "significantly better than the ceiling in a metric that it bounds (paired bootstrap over clips, Holm "
                f"over the rows tested, α = {ALPHA:g}): probable leakage",
            )
        )
    if any(row.headroom for row in rows):
        told.append(
            (
                "headroom",
                "share of the way from the best floor to the ceiling in mean squared error, those of least error, "
                "whatever ranks; the interval is of the ratio, all three resampled together",
            )
        )
    if any(budget_charts(board.rows) for board in shown):
        told.append(("budget curves", BUDGET_CURVES))
    if published:
        told.append(
            (
                "published",
                "as its source states it; nothing is known of single clips: no rank, no interval, no test",
            )
        )
    origins = {column: origin(column) for column in columns}
    one_origin = len(set(origins.values())) == 1
    for column in columns.values():
        unit = f" ({column.unit})" if column.unit else ""
        whose = "" if one_origin else f" ({origins[column]})"
        told.append((f"{column.metric}{unit}", f"{' '.join(column.definition.split()).rstrip('.')}{whose}"))
    if one_origin:
        told.append(("all metrics", next(iter(origins.values()))))
    return told


def _asked(task: Mapping[str, Any]) -> str:
    """What a task asks for, in words."""
    context, horizon = task["context"], task["horizon"]
    if task["kind"] == "extrapolate":
        return f"{context} frames given, the {horizon} after them predicted and scored"
    return f"{context} frames given, {horizon} predicted and scored: {KINDS.get(task['kind'], 'of another version')}"


def _rank(ranking: str, *, several: bool) -> str:
    seeds = (
        ". Rows of several seeds are tested as methods, over clips and seeds, where both have two or more; against a "
        "row of one seed the mean over these weights is tested"
    )
    return (
        f"1 + the number of rows that are significantly better in {ranking} (paired bootstrap over clips, Holm over "
        f"all pairs of a board, α = {ALPHA:g}). Rows see the same clips, so overlapping intervals do not mean that "
        f"they tie{seeds if several else ''}"
    )


def _interval() -> str:
    return (
        "half the width of the 95 % percentile bootstrap interval over clips, at single steps 1.96 standard errors; "
        "left out where there is one clip, or all have the same value"
    )


def _ceiling(shown: Sequence[Board]) -> str:
    bounded = {column.metric: None for board in shown for column in board.columns if column.mean_optimal}
    if not bounded:
        return "told what no contender is, so not ranked; in these metrics a line for reference"
    others = len({column for board in shown for column in board.columns}) > len(bounded)
    return (
        f"told what no contender is, so not ranked. The posterior mean is the best that can be expected in "
        f"{', '.join(bounded)}" + ("; in the other metrics ceilings are lines for reference" if others else "")
    )
