"""Every pair of rows of a board: how far apart they are, and whether that is more than chance.

The tests are those behind the ranks: paired over the clips of the board, over seeds where both rows have several,
corrected by Holm over all pairs that are ranked. Intervals are of single pairs, not corrected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from ..comparison import Board, Row, cell_of_any_size, rank_methods
from ..stats import ScoreFunction, seeds_detectable_difference, seeds_difference


class Pair(NamedTuple):
    """Score of the first row minus score of the second."""

    difference: float
    low: float  #: 95 % interval; NaN where there are fewer than two clips
    high: float
    p: float | None  #: two-sided, Holm-corrected; None: one of them is not ranked, so not tested
    better: int  #: 1: the first is significantly better, -1: the second is, 0: neither
    detectable: float  #: true difference that such a test finds with 80 % power, uncorrected


class Matrix(NamedTuple):
    """All pairs of the rows that have a score in the ranking metric."""

    rows: tuple[Row, ...]
    pairs: tuple[tuple[Pair | None, ...], ...]  #: (R, R), None on the diagonal


def differences(board: Board, scorer: ScoreFunction | None) -> Matrix | None:
    """The pairs of a board; None where it has no ranks, or fewer than two rows to compare."""
    ranking = board.ranking
    if ranking is None or scorer is None or not ranking.statistics:
        return None
    rows = [row for row in board.rows if ranking in row.scores and not math.isnan(row.scores[ranking].value)]
    if len(rows) < 2:
        return None
    per_clip = [row.per_clip(ranking, board.n) for row in rows]
    tested = _tested(rows)
    found, _ = rank_methods(
        [per_clip[index] for index in tested.values()], scorer, higher_is_better=ranking.higher_is_better
    )
    place = {cell: position for position, cell in enumerate(tested)}
    places = [place.get(_cells(row)) if row.role != "ceiling" else None for row in rows]
    pairs: list[list[Pair | None]] = [[None] * len(rows) for _ in rows]
    for i, j in combinations(range(len(rows)), 2):
        difference = seeds_difference(per_clip[i], per_clip[j], scorer)
        detectable = seeds_detectable_difference(per_clip[i], per_clip[j], scorer)
        p, better = None, 0
        first, second = places[i], places[j]
        if first is not None and second is not None and first != second:
            p = float(found.p[first, second])
            better = int(found.better[first, second]) - int(found.better[second, first])
        pairs[i][j] = Pair(difference.difference, difference.low, difference.high, p, better, detectable)
        pairs[j][i] = Pair(-difference.difference, -difference.high, -difference.low, p, -better, detectable)
    return Matrix(tuple(rows), tuple(tuple(line) for line in pairs))


def _tested(rows: Sequence[Row]) -> dict[tuple[str, ...], int]:
    """The rows among which ranks are given: ceilings are told what no contender is, and a cell is tested once."""
    first: dict[tuple[str, ...], int] = {}
    for index, row in enumerate(rows):
        if row.role != "ceiling":
            first.setdefault(_cells(row), index)
    return first


def _cells(row: Row) -> tuple[str, ...]:
    return tuple(cell_of_any_size(record) for record in row.records)
