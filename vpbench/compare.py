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

import numpy as np

from .comparison import LEADING
from .errors import RecordError, UsageError
from .methods import Method, check_same_question, clips_of, listed, place_of, short, told_apart
from .protocols import Score
from .results import Record, canonical
from .stats import (
    ALPHA,
    PairedDifference,
    ScoreFunction,
    holm,
    score_of,
    seeds_detectable_difference,
    seeds_difference,
    seeds_interval,
)

#: A recorded value and the one its own statistics give may differ by this much: statistics are rounded to six digits.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-5

#: What has to agree for two scores of one name to be of one definition.
_DEFINITION = ("convention", "version", "distribution", "statistics", "higher_is_better", "over_steps", "config")


@dataclass(frozen=True, kw_only=True)
class MetricDifference:
    """What two methods score in one metric, and whether they differ."""

    metric: str
    unit: str
    convention: str
    higher_is_better: bool
    ideal: float | None  #: more and less than this are both worse, so neither method is called better
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
        """Which is significantly better; None: neither, or the metric has no better."""
        if not self.significant or self.ideal is not None:
            return None
        return "a" if (self.difference.difference > 0) == self.higher_is_better else "b"


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
) -> tuple[Comparison, list[RecordError]]:
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
    problems: list[RecordError] = []
    found: list[MetricDifference] = []
    for name in dict.fromkeys(metrics) or sorted(held, key=_metric_order):
        if why := _why_not(name, a, b, scorers):
            left_out.append(f"{name}: {why}")
            continue
        if wrong := [problem for record in records if (problem := _contradiction(record, name, scorers[name]))]:
            problems += wrong
            left_out.append(f"{name}: a recorded score does not follow from the record's own statistics")
            continue
        measured = _difference(name, a, b, scorers[name], clips)
        if math.isnan(measured.difference.difference):
            left_out.append(f"{name}: {_without_score(name, a, b, scorers[name], clips)}")
            continue
        found.append(measured)
    if not found:
        if problems:
            raise problems[0]
        raise UsageError(f"{a.label} and {b.label} cannot be compared in any metric: {'; '.join(left_out) or 'none'}")
    adjusted = holm([each.difference.p for each in found])
    return (
        Comparison(
            a=a,
            b=b,
            clips=clips,
            metrics=tuple(replace(each, p_adjusted=float(p)) for each, p in zip(found, adjusted, strict=True)),
            left_out=tuple(left_out),
        ),
        problems,
    )


def _difference(name: str, a: Method, b: Method, score: ScoreFunction, clips: int) -> MetricDifference:
    first, second = ([_statistics(record, name, clips) for record in side.records] for side in (a, b))
    difference = seeds_difference(first, second, score)
    recorded = a.records[0].scores[name]
    return MetricDifference(
        metric=name,
        unit=recorded["unit"],
        convention=recorded["convention"],
        higher_is_better=recorded["higher_is_better"],
        ideal=recorded.get("ideal"),
        a=seeds_interval(first, score),
        b=seeds_interval(second, score),
        difference=difference,
        p_adjusted=difference.p,
        detectable=seeds_detectable_difference(first, second, score),
    )


def _why_not(name: str, a: Method, b: Method, scorers: Mapping[str, ScoreFunction]) -> str:
    """Why two methods cannot be compared in a metric; "" if they can."""
    for side in (a, b):
        if lacking := sum(name not in record.scores for record in side.records):
            return f"not in {'any' if lacking == len(side.records) else 'every'} record of {side.label}"
    scores = [record.scores[name] for record in (*a.records, *b.records)]
    for key in _DEFINITION:
        # Records from before a key was written down have the value that was then the only one.
        texts = sorted({canonical(score[key]) for score in scores if key in score})
        if len(texts) > 1:
            return f"defined differently: {key} {' and '.join(short(text) for text in texts)}"
    if not scores[0].get("ranks", True) and scores[0].get("ideal") is None:
        return "an exhibit, a number nobody should compare"
    if not scores[0]["statistics"]:
        return "it has no value per clip, so no paired test"
    if name not in scorers:
        return "the metric is not installed here"
    return ""


def _contradiction(record: Record, name: str, score: ScoreFunction) -> RecordError | None:
    """A score that its own statistics do not give was edited, or made by another definition than the installed one."""
    recorded = record.scores[name]
    value = math.nan if recorded["value"] is None else float(recorded["value"])
    try:
        found = score_of(_statistics(record, name), score)
    except Exception as error:  # a score function is plugin code, and may be of another version than the record
        why = f"{type(error).__name__}: {error}".replace("\n", " ")
        return RecordError(f"{place_of(record)}: {name} version {recorded['version']}: {why}")
    if math.isclose(value, found, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE) or (math.isnan(value) and math.isnan(found)):
        return None
    return RecordError(
        f"{place_of(record)}: {name} version {recorded['version']} is recorded as {value:.6g}, but its statistics give "
        f"{found:.6g} with the installed metric: left out; run the cell again"
    )


def _without_score(name: str, a: Method, b: Method, score: ScoreFunction, clips: int) -> str:
    """Whose records have nothing to compare on these clips."""
    for side in (a, b):
        missing = [record for record in side.records if math.isnan(score_of(_statistics(record, name, clips), score))]
        if missing:
            return f"no score in {place_of(missing[0])}: it was not applicable to any of these clips"
    return "no clip has a value in all records"


def _statistics(record: Record, name: str, clips: int | None = None) -> dict[str, np.ndarray]:
    """Per-clip statistics {bare name: (n,)} float64 of a metric, NaN where the record has null."""
    return {
        key.partition("/")[2] or key: np.array(record.statistics[key][:clips], dtype=np.float64)
        for key in record.scores[name]["statistics"]
    }


def _metric_order(name: str) -> tuple[int, str]:
    return (LEADING.index(name) if name in LEADING else len(LEADING), name)
