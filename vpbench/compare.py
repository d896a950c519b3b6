"""Two methods on the same clips: which is better in what, how surely, and what could have been found at all.

Two methods (`methods`) are compared only where they answer the same question (dataset, split, task), on the clips that
all records have, in the metrics that all of them have by one definition. With two seeds or more of both it is a
statement on the methods, else on these weights (`stats.seeds_difference`). How a comparison is written down is for
`verdict`.

Needs records and score functions; no torch, no registry, no plugin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from .comparison import LEADING, Column, clips_of, listed
from .comparison.board import per_clip
from .comparison.scores import column_of, scores_of
from .errors import UsageError, VpbenchError
from .methods import Method, check_same_question, told_apart
from .protocols import Score
from .stats import ALPHA, PairedDifference, ScoreFunction, holm, seeds_detectable_difference, seeds_difference


@dataclass(frozen=True, kw_only=True)
class MetricDifference:
    """What two methods score in one metric, and whether they differ."""

    column: Column  #: the definition that both scores are by
    a: Score
    b: Score
    difference: PairedDifference  #: a minus b
    p_adjusted: float  #: by Holm over the metrics of the comparison
    detectable: float  #: the smallest true difference that such clips and seeds show with 80 % probability

    @property
    def significant(self) -> bool:
        return self.p_adjusted < ALPHA

    @property
    def better(self) -> Literal["a", "b"] | None:
        """Which is significantly better; None: neither, or a metric of which more and less are both worse."""
        if not self.significant or self.column.ideal is not None:
            return None
        return "a" if (self.difference.difference > 0) == self.column.higher_is_better else "b"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two methods, metric by metric."""

    a: Method
    b: Method
    clips: int  #: that all records have, the first of the split
    metrics: tuple[MetricDifference, ...]
    left_out: tuple[str, ...]  #: "metric: why it could not be compared"

    @property
    def level(self) -> Literal["methods", "weights"]:
        """What the differences are a statement on: methods where each has several seeds, else these weights."""
        return "methods" if min(len(self.a.records), len(self.b.records)) > 1 else "weights"


# --------------------------------------------------------------------------------------------------------- comparing


def compare(
    a: Method,
    b: Method,
    scorers: Mapping[str, ScoreFunction],
    *,
    metrics: Sequence[str] = (),
) -> tuple[Comparison, list[VpbenchError]]:
    """Two methods compared, and what is wrong with single scores.

    scorers  `Metric.score` by metric name
    metrics  only these, in this order; (): all that can be compared, those of boards first

    Raises `UsageError` where they answer different questions, are the same, or have nothing that can be compared.
    """
    check_same_question(a.records[0], b.records[0])
    if shared := {record.cell for record in a.records} & {record.cell for record in b.records}:
        raise UsageError(f"both sides are the record {min(shared)}: name two different ones")
    a, b = told_apart(a, b)
    records = [*a.records, *b.records]
    clips = min(clips_of(record) for record in records)
    held = {name for record in records for name in record.scores}
    if unknown := sorted(set(metrics) - held):
        raise UsageError(f"no record here holds the metric {unknown[0]!r}; there is: {listed(sorted(held))}")
    left_out: list[str] = []
    problems: list[VpbenchError] = []
    found: list[MetricDifference] = []
    for name in dict.fromkeys(metrics) or sorted(held, key=_metric_order):
        why = _why_not(name, a, b, scorers)
        if not why:
            column = column_of(name, a.records[0].scores[name])
            scores = [scores_of(side.records, [column], clips, scorers, problems)[0].get(column) for side in (a, b)]
            if not (why := _without_score(a, b, scores)):
                found.append(_difference(column, a, b, scorers[name], clips, [score for score in scores if score]))
        if why:
            left_out.append(f"{name}: {why}")
    if not found:
        if problems:
            raise problems[0]
        raise UsageError(f"{a.label} and {b.label} cannot be compared in any metric: {'; '.join(left_out) or 'none'}")
    adjusted = holm([each.difference.p for each in found])
    compared = tuple(replace(each, p_adjusted=float(p)) for each, p in zip(found, adjusted, strict=True))
    return Comparison(a=a, b=b, clips=clips, metrics=compared, left_out=tuple(left_out)), problems


def _difference(
    column: Column, a: Method, b: Method, scorer: ScoreFunction, clips: int, scores: Sequence[Score]
) -> MetricDifference:
    first, second = ([per_clip(record, column, clips) for record in side.records] for side in (a, b))
    difference = seeds_difference(first, second, scorer)
    return MetricDifference(
        column=column,
        a=scores[0],
        b=scores[1],
        difference=difference,
        p_adjusted=difference.p,
        detectable=seeds_detectable_difference(first, second, scorer),
    )


def _why_not(name: str, a: Method, b: Method, scorers: Mapping[str, ScoreFunction]) -> str:
    """Why two methods cannot be compared in a metric; "" if they can."""
    for side in (a, b):
        if lacking := sum(name not in record.scores for record in side.records):
            return f"not in {'any' if lacking == len(side.records) else 'every'} record of {side.label}"
    columns = [column_of(name, record.scores[name]) for record in (*a.records, *b.records)]
    for other in columns[1:]:
        if other != columns[0]:
            return f"defined differently: {_what_differs(columns[0], other)}"
    if any(column.exhibit for column in columns):
        return "an exhibit, a number nobody should compare"
    if not columns[0].statistics:
        return "it has no value per clip, so no paired test"
    if name not in scorers:
        return "the metric is not installed here"
    return ""


def _what_differs(one: Column, other: Column) -> str:
    """``"version 1 and 2"``."""
    keys = ("convention", "version", "distribution", "statistics", "over_steps", "config", "higher_is_better")
    differing = [key for key in keys if getattr(one, key) != getattr(other, key)]
    return ", ".join(f"{key} {getattr(one, key)} and {getattr(other, key)}" for key in differing)


def _without_score(a: Method, b: Method, scores: Sequence[Score | None]) -> str:
    """Which side has nothing to compare; "" if both have."""
    for side, score in zip((a, b), scores, strict=True):
        if score is None:
            return f"a record of {side.label} does not follow from its own statistics"
        if math.isnan(score.value):
            return f"{side.label} has no score: nothing on these clips that it applies to"
    return ""


def _metric_order(name: str) -> tuple[int, str]:
    return (LEADING.index(name) if name in LEADING else len(LEADING), name)
