"""Ranks: how many rows are significantly better, by paired tests of all pairs on the same clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from ..stats import (
    ALPHA,
    DRAWS,
    Ranking,
    ScoreFunction,
    Statistics,
    holm,
    mean_over_clips,
    ranks,
    score_of,
    seeds_difference,
)
from .board import Column, Row
from .seeds import cell_of_any_size

#: Tests over seeds hold all resamples at once: at most so many weights (400 MB).
_WEIGHTS = 50_000_000


def rank_rows(rows: Sequence[Row], ranking: Column, n: int, scorer: ScoreFunction) -> tuple[list[Row], str]:
    """The rows with ranks, and with how contenders stand to the best floor by the same tests; and what to say of it.

    Ceilings are not ranked: they are told what no contender is. A cell is tested once, also where several folders have
    a record of it.
    """
    places: dict[tuple[str, ...], int] = {}
    methods: list[list[Statistics]] = []
    for row in rows:
        if ranking in row.scores and row.role != "ceiling" and _cells(row) not in places:
            places[_cells(row)] = len(methods)
            methods.append(row.per_clip(ranking, n))
    if not methods:
        return list(rows), ""
    found, remark = rank_methods(methods, scorer, higher_is_better=ranking.higher_is_better)
    best = best_row(rows, "floor", ranking)
    floor = places[_cells(best)] if best else None
    placed = []
    for row in rows:
        place = places.get(_cells(row)) if ranking in row.scores and row.role != "ceiling" else None
        rank = None if place is None else found.ranks[place]
        if rank is not None and floor is not None and row.role == "contender":
            below, above = bool(found.better[floor, place]), bool(found.better[place, floor])
            row = replace(row, below_floor=below, not_above_floor=not below and not above)
        placed.append(replace(row, rank=rank))
    return placed, remark


def rank_methods(
    methods: Sequence[Sequence[Statistics]], scorer: ScoreFunction, *, higher_is_better: bool
) -> tuple[Ranking, str]:
    """Every pair of methods tested, from {name: (n,)} per seed of each, corrected by Holm; and what to say of it.

    A pair of several seeds each is a statement on the methods, any other one on (the mean of) these weights: see
    `stats.seeds_difference`. Where that would need too many resamples for the memory, the seeds of each method are
    averaged clip by clip, which says nothing of other seeds, and the remark says so.
    """
    if all(len(method) == 1 for method in methods):
        return ranks([method[0] for method in methods], scorer, higher_is_better=higher_is_better), ""
    values = [float(np.mean([score_of(seed, scorer) for seed in method])) for method in methods]
    scored = [index for index, value in enumerate(values) if not math.isnan(value)]
    pairs = list(combinations(scored, 2))
    draws = max(DRAWS, math.ceil(4 * len(pairs) / ALPHA))
    clips = len(next(iter(methods[0][0].values())))
    if draws * clips > _WEIGHTS:
        averaged = [
            {name: mean_over_clips(np.stack([seed[name] for seed in method])) for name in method[0]}
            for method in methods
        ]
        remark = "So many rows are tested for these weights only, the seeds of each averaged, and not over seeds."
        return ranks(averaged, scorer, higher_is_better=higher_is_better), remark
    better = np.zeros((len(methods), len(methods)), dtype=bool)
    adjusted = np.full((len(methods), len(methods)), np.nan)
    found = [seeds_difference(methods[i], methods[j], scorer, draws=draws) for i, j in pairs]
    p_values = holm([difference.p for difference in found])
    for (i, j), difference, p in zip(pairs, found, p_values, strict=True):
        adjusted[i, j] = adjusted[j, i] = p
        if p < ALPHA and difference.difference:
            winner, loser = (i, j) if (difference.difference > 0) == higher_is_better else (j, i)
            better[winner, loser] = True
    beaten_by = better.sum(axis=0)
    order = tuple(1 + int(beaten_by[i]) if i in scored else None for i in range(len(methods)))
    return Ranking(order, better, adjusted), ""


def best_row(rows: Sequence[Row], role: str, column: Column) -> Row | None:
    """The row of this role with the best score; of equal ones the last by label."""
    candidates = [row for row in rows if row.role == role and column in row.scores]
    candidates = [row for row in candidates if not math.isnan(row.scores[column].value)]
    best: Row | None = None
    for row in sorted(candidates, key=lambda row: (row.label, row.source)):
        if best is None or not column.better(best.scores[column].value, row.scores[column].value):
            best = row
    return best


def row_order(row: Row, ranking: Column | None) -> tuple[int, int, float, str, str]:
    """Ceilings first, then by rank, score and name; rows without a score last."""
    score = row.scores.get(ranking) if ranking else None
    if score is None or math.isnan(score.value):
        return (2, 0, 0.0, row.label, row.source)
    value = -score.value if ranking and ranking.higher_is_better else score.value
    return (0 if row.role == "ceiling" else 1, row.rank or 0, value, row.label, row.source)


def _cells(row: Row) -> tuple[str, ...]:
    return tuple(cell_of_any_size(record) for record in row.records)
