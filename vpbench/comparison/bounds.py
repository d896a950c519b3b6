"""Floor and ceiling: how far each contender is on the way between them, and who is where nobody honest can be.

Of all predictions the posterior mean has the least expected squared error (Lehmann and Casella, Theory of Point
Estimation, 1998, section 4.1), so a ceiling that is one bounds metrics that are a function of the mean squared error
alone, and no others: there it is a line for reference, as ceilings of another kind (a sample of the posterior) are
everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..protocols import Score
from ..stats import (
    ALPHA,
    DRAWS,
    PairedDifference,
    ScoreFunction,
    Statistics,
    holm,
    interval,
    mean_over_clips,
    seeds_difference,
    seeds_interval,
)
from .board import Column, Row
from .ranking import best_row
from .seeds import cell_of_any_size


def with_headroom(rows: Sequence[Row], columns: Sequence[Column], n: int) -> tuple[list[Row], Column | None]:
    """The rows with the headroom of each contender, and the column in whose mean statistic it is measured.

    That is the first bounded one of a single statistic (the squared error) that most contenders have beside a floor and
    a ceiling: shares add up in the mean of a statistic, not in a score made of it. Floor and ceiling are those of least
    error. No headroom where the floor is not clearly worse than the ceiling: then there is no way to have a share of.
    """
    contenders = [row for row in rows if row.role == "contender"]
    best: tuple[int, Column, Row, Row] | None = None
    for column in columns:
        if not column.mean_optimal or len(column.statistics) != 1:
            continue
        floor, ceiling = best_row(rows, "floor", column), _bound(rows, column)
        having = sum(_has(row, column) for row in contenders)
        if floor and ceiling and having > (best[0] if best else 0):
            best = (having, column, floor, ceiling)
    if best is None:
        return list(rows), None
    _, column, floor, ceiling = best
    (name,) = floor.per_clip(column, n)[0]
    ends = {
        "floor": _averaged(floor.per_clip(column, n))[name],
        "ceiling": _averaged(ceiling.per_clip(column, n))[name],
    }
    if not interval(ends, lambda means: means["floor"] - means["ceiling"]).low > 0:
        return list(rows), None
    found = []
    for row in rows:
        if row.role == "contender" and _has(row, column):
            row = replace(row, headroom=_headroom([each[name] for each in row.per_clip(column, n)], ends))
        found.append(row)
    return found, column


def _headroom(seeds: Sequence[np.ndarray], ends: Mapping[str, np.ndarray]) -> Score | None:
    """All three are resampled together, so the interval is of the ratio and not of its parts."""
    score = seeds_interval(
        [{"row": seed, **ends} for seed in seeds],
        lambda means: (means["floor"] - means["row"]) / (means["floor"] - means["ceiling"]),
    )
    return score if math.isfinite(score.value) else None


def with_leaks(
    rows: Sequence[Row], columns: Sequence[Column], n: int, scorers: Mapping[str, ScoreFunction]
) -> tuple[list[Row], list[str]]:
    """The rows, those better than the ceiling marked, and a sentence about each.

    Each contender and floor is held to the ceiling of least error in the first bounded column that both have, by a
    paired test on the same clips, corrected by Holm over all rows tested. It is the test of being better, so rows that
    are not count with p = 1: were they counted with how surely they are worse, many of them would make an accusation
    of the next one easier, and not harder. A cell is tested once.
    """
    bounded = [column for column in columns if column.mean_optimal and column.statistics and column.metric in scorers]
    against = {column: _bound(rows, column) for column in bounded}
    tested: dict[tuple[str, ...], tuple[Column, Row]] = {}
    for row in rows:
        column = next((each for each in bounded if against[each] is not None and _has(row, each)), None)
        ceiling = against[column] if column else None
        if column is not None and ceiling is not None and row.role != "ceiling":
            tested.setdefault(_cells(row), (column, ceiling))
    if not tested:
        return list(rows), []
    draws = max(DRAWS, math.ceil(4 * len(tested) / ALPHA))
    found: dict[tuple[str, ...], PairedDifference] = {}
    for row in rows:
        if _cells(row) in tested and _cells(row) not in found and row.role != "ceiling":
            column, ceiling = tested[_cells(row)]
            found[_cells(row)] = seeds_difference(
                row.per_clip(column, n), ceiling.per_clip(column, n), scorers[column.metric], draws=draws
            )
    better = [tested[cells][0].better(difference.difference, 0.0) for cells, difference in found.items()]
    p_values = [each.p if is_better else 1.0 for each, is_better in zip(found.values(), better, strict=True)]
    adjusted = dict(zip(found, holm(p_values), strict=True))
    marked, said = [], []
    for row in rows:
        cells = _cells(row)
        if row.role != "ceiling" and cells in found:
            (column, ceiling), difference = tested[cells], found[cells]._replace(p=float(adjusted[cells]))
            if difference.p < ALPHA:
                row = replace(row, above_ceiling=difference)
                said.append(_in_words(row, ceiling, column, difference))
        marked.append(row)
    return marked, said


def _in_words(row: Row, ceiling: Row, column: Column, difference: PairedDifference) -> str:
    unit = f" {column.unit}" if column.unit else ""
    p = f"p = {difference.p:.2g}" if difference.p >= 0.001 else "p < 0.001"
    return (
        f"Probable leakage: {row.label} is better than {ceiling.label}, the posterior mean that knows the generator, "
        f"which no honest prediction can be, by {abs(difference.difference):.3g}{unit} in {column.metric} "
        f"({p}, paired test on the same clips)."
    )


def _bound(rows: Sequence[Row], column: Column) -> Row | None:
    """The posterior mean of least error."""
    means = [row for row in rows if row.record.about.get("posterior_mean") is True]
    return best_row(means, "ceiling", column)


def _has(row: Row, column: Column) -> bool:
    return column in row.scores and not math.isnan(row.scores[column].value)


def _averaged(seeds: Sequence[Statistics]) -> dict[str, np.ndarray]:
    """The mean over seeds of each statistic of each clip."""
    return {name: mean_over_clips(np.stack([seed[name] for seed in seeds])) for name in seeds[0]}


def _cells(row: Row) -> tuple[str, ...]:
    return tuple(cell_of_any_size(record) for record in row.records)
