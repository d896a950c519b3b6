"""Columns, one per definition of a metric, and the scores of each row on the clips that all rows have.

Scores are recomputed from the per-clip statistics, never taken on trust: what a record's own statistics do not give is
left out and reported.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import RecordError, VpbenchError
from ..protocols import Score
from ..results import Record, canonical
from ..stats import ScoreFunction, score_of, seeds_interval
from ..tolerance import alike
from .board import LEADING, Column, Row, per_clip
from .seeds import cell_of_any_size

#: A recorded value and the one its own statistics give may differ by this much: statistics are rounded to six digits.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-5


# ------------------------------------------------------------------------------------------------------------- columns


def column_of(metric: str, score: Mapping[str, Any]) -> Column:
    """The definition that a recorded score was made by; what is optional and not of its type is not used."""
    names = ("convention", "version", "distribution", "higher_is_better", "unit", "definition")
    ideal, config = score.get("ideal"), score.get("config")
    return Column(
        metric=metric,
        statistics=tuple(score["statistics"]),
        over_steps=str(score.get("over_steps", "mean")),
        config=canonical(config if isinstance(config, Mapping) else {}),
        ranks=score.get("ranks", True) is True and ideal is None,
        ideal=float(ideal) if isinstance(ideal, int | float) and not isinstance(ideal, bool) else None,
        mean_optimal=score.get("mean_optimal") is True,
        **{name: score[name] for name in names},
    )


def columns_of(records: Sequence[Record], ranking_metric: str | None = None) -> tuple[Column, ...]:
    """All definitions that these records hold: leading metrics first, then by convention, exhibits last.

    What one record says of a definition holds for all; of their texts, which may differ, the last is taken.
    """
    found: dict[Column, Column] = {}
    for record in records:
        for column in record_columns(record):
            found[column] = column.agreeing(found.get(column, column))
    leading = [ranking_metric, *LEADING]

    def order(column: Column) -> tuple[Any, ...]:
        place = leading.index(column.metric) if column.metric in leading else len(leading)
        foreign = "" if place < len(leading) or column.convention == "vpbench" else column.convention
        return (column.exhibit, place, foreign, column.key, column.higher_is_better)

    return tuple(sorted(found.values(), key=order))


def record_columns(record: Record) -> list[Column]:
    """The definitions that a record holds scores of."""
    return [column_of(metric, score) for metric, score in sorted(record.scores.items())]


# -------------------------------------------------------------------------------------------------------------- scores


def scores_of(
    records: Sequence[Record],
    columns: Sequence[Column],
    n: int,
    scorers: Mapping[str, ScoreFunction],
    problems: list[VpbenchError],
) -> tuple[dict[Column, Score], ...]:
    """Scores of the first n clips: of all records together, then of each; one dict where there is one record.

    What a record's own statistics do not give is left out, here and of the whole, and goes to the problems.
    """
    each: list[dict[Column, Score]] = [{} for _ in records]
    for record, scores in zip(records, each, strict=True):
        own = set(record_columns(record))
        for column in columns:
            if column in own and (score := _score(record, column, n, scorers.get(column.metric), problems)) is not None:
                scores[column] = score
    if len(records) == 1:
        return tuple(each)
    together: dict[Column, Score] = {}
    for column in columns:
        scorer = scorers.get(column.metric)
        if not all(column in scores for scores in each):
            continue
        if scorer is not None and column.statistics:
            together[column] = seeds_interval([per_clip(record, column, n) for record in records], scorer)
        else:
            mean = float(np.mean([scores[column].value for scores in each]))
            together[column] = Score(mean, math.nan, math.nan)
    return (together, *each)


def _score(
    record: Record, column: Column, n: int, scorer: ScoreFunction | None, problems: list[VpbenchError]
) -> Score | None:
    recorded = record.scores[column.metric]
    if scorer is None or not column.statistics:
        if recorded["n"] != n or recorded["value"] is None:
            return None
        return Score(*(_number(recorded[key]) for key in ("value", "low", "high")))
    try:
        _check_recorded(record, column, scorer)
        return seeds_interval([per_clip(record, column, n)], scorer)
    except VpbenchError as problem:
        problems.append(problem)
    except Exception as error:  # a score function is plugin code, and may be of another version than the record
        why = f"{type(error).__name__}: {error}".replace("\n", " ")
        problems.append(RecordError(f"{place_of(record)}: {column.metric} version {column.version}: {why}"))
    return None


def _check_recorded(record: Record, column: Column, scorer: ScoreFunction) -> None:
    """A score that its own statistics do not give was edited, or made by another definition than the installed one."""
    value = _number(record.scores[column.metric]["value"])
    found = score_of(per_clip(record, column), scorer)
    if not (
        math.isclose(value, found, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE) or (math.isnan(value) and math.isnan(found))
    ):
        raise RecordError(
            f"{place_of(record)}: {column.metric} version {column.version} is recorded as {value:.6g}, but its "
            f"statistics give {found:.6g} with the installed metric: left out; run the cell again"
        )


def place_of(record: Record) -> str:
    """The file of a record, or its cell."""
    return str(record.path or record.cell)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


# ---------------------------------------------------------------------------------------------------- what is left out


def without_value(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Which scores are of nothing, as where a metric was applicable to no clip, in a sentence; "" where none is."""
    said = []
    for column in columns:
        empty = [single.label for single, score in _held(rows, column) if score["value"] is None]
        if empty:
            said.append(f"{column.metric} for {listed(sorted(empty))}")
    return f"No value, so left out and never averaged: {'; '.join(said)}." if said else ""


def disagreements(rows: Sequence[Row], columns: Sequence[Column]) -> list[str]:
    """Definitions of one metric that do not agree, a sentence each."""
    said = []
    for column in columns:
        texts = {" ".join(score["definition"].split()): single.label for single, score in _held(rows, column)}
        if len(texts) > 1:
            said.append(
                f"{column.metric} version {column.version} is defined in {len(texts)} texts, as by "
                f"{listed(texts.values())}: one was edited, or the version should have been raised"
            )
    definitions: dict[str, list[Column]] = defaultdict(list)
    for column in columns:
        definitions[column.metric].append(column)
    for metric, several in definitions.items():
        if len(several) > 1:
            said.append(f"{metric} is recorded by {len(several)} definitions: a column each, never ranked together")
    return said


def _held(rows: Sequence[Row], column: Column) -> list[tuple[Row, Mapping[str, Any]]]:
    """The recorded scores of this definition, with the row of their record."""
    singles = [single for row in rows for single in (row.members or (row,))]
    return [(row, row.record.scores[column.metric]) for row in singles if column in record_columns(row.record)]


def contradictions(records: Sequence[Record]) -> list[RecordError]:
    """Pairs of records of one cell, from several folders, whose statistics are not the same on their common clips."""
    first: dict[str, Record] = {}
    found = []
    for record in records:
        other = first.setdefault(cell_of_any_size(record), record)
        mine, theirs = record_columns(record), record_columns(other)
        shared = sorted({name for column in set(mine) & set(theirs) for name in column.statistics})
        if differing := [name for name in shared if not _same_values(record.statistics[name], other.statistics[name])]:
            found.append(
                RecordError(
                    f"{place_of(record)} and {place_of(other)} are of the same cell, but differ in "
                    f"{', '.join(differing)} on clips that both have: check both with vpbench verify, and delete what "
                    "does not hold"
                )
            )
    return found


def _same_values(a: Sequence[float | None], b: Sequence[float | None]) -> bool:
    """Whether two records of one cell agree on the clips both have, as `vpbench verify` would let them differ."""
    n = min(len(a), len(b))
    return alike(*(np.array(values[:n], dtype=np.float64) for values in (a, b)))


def listed(items: Any) -> str:
    """``"a, b"``; "none" of nothing."""
    return ", ".join(str(item) for item in items) or "none"
