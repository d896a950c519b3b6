"""Boards: tables of records that may be compared, and nothing else.

One board per dataset (name, version, config, fingerprint), split and task. Its rows are compared on the clips they all
have: datasets give clips in a fixed order, so n clips of one record are the first n of another, and scores, intervals and
tests are recomputed for these from the per-clip statistics. A column is one definition of a metric (convention, version,
distribution): scores under another definition get a column of their own and are never ranked together.

`boards` decides what is compared, the renderers only write it down. The same records give the same bytes, whatever the
order of files. Needs records and score functions; no torch, no registry, no plugin.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np

from .errors import RecordError, UsageError, VpbenchError
from .protocols import Score
from .results import Record, canonical, iter_records
from .stats import ALPHA, ScoreFunction, interval, ranks, score_of

if TYPE_CHECKING:
    import pandas as pd

#: Ranks a board unless told otherwise.
METRIC = "psnr-pooled"

#: Metrics that come first, if they are there; the others follow by name.
LEADING = (METRIC, "psnr", "ssim")

START = "<!-- vpbench:leaderboard -->"
END = "<!-- /vpbench:leaderboard -->"

#: A recorded value and the one its own statistics give may differ by this much: statistics are rounded to six digits.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-5

_DASH = "–"


# --------------------------------------------------------------------------------------------------------- what it is


@dataclass(frozen=True, kw_only=True)
class Column:
    """One definition of one metric."""

    metric: str
    convention: str
    version: str
    distribution: str
    statistics: tuple[str, ...]
    higher_is_better: bool
    unit: str = field(compare=False)
    definition: str = field(compare=False)

    @property
    def key(self) -> tuple[str, ...]:
        return (self.metric, self.convention, self.version, self.distribution, *self.statistics)

    def better(self, a: float, b: float) -> bool:
        """Whether a is a better score than b."""
        return a > b if self.higher_is_better else a < b


@dataclass(frozen=True, kw_only=True)
class Row:
    """One record on a board."""

    record: Record
    label: str  #: the model, and what tells this row from others of the same model
    source: str  #: the results folder, as short as tells the folders apart
    scores: Mapping[Column, Score]  #: on the clips of the board
    rank: int | None = None  #: None: a ceiling, or there is nothing to rank by
    below_floor: bool = False
    headroom: Score | None = None  #: share of the way from the best floor to the ceiling
    notes: tuple[int, ...] = ()  #: numbers of the board's footnotes, from 1

    @property
    def role(self) -> str:
        return self.record.about.get("role", "contender")


@dataclass(frozen=True, kw_only=True)
class Board:
    """Rows that may be compared, best first."""

    dataset: Mapping[str, Any]
    split: str
    task: Mapping[str, Any]
    n: int  #: clips that all rows have
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    metric: str  #: asked for as ranking metric
    ranking: Column | None  #: None: no row has that metric
    footnotes: tuple[str, ...]  #: what single rows are told beyond the frames, or are to be taken with
    remarks: tuple[str, ...]  #: sentences about the whole board
    not_run: tuple[tuple[str, Record], ...]  #: label and record of what failed or was skipped

    @property
    def title(self) -> str:
        return f"{self.dataset['name']}, {_task_name(self.task)}"

    @property
    def subtitle(self) -> str:
        config = _settings(self.dataset["config"])
        return (
            f"{_count(self.n, 'clip')} of the {self.split} split; {self.dataset['name']} version "
            f"{self.dataset['version']}{f' ({config})' if config else ''}, fingerprint {self.dataset['fingerprint']}"[:400]
        )


class Rendered(NamedTuple):
    """A text, and what could not go into it."""

    text: str
    problems: list[VpbenchError]


# ------------------------------------------------------------------------------------------------------- entry points


def render(
    results: str | Path | Sequence[str | Path],
    scorers: Mapping[str, ScoreFunction],
    *,
    format: str = "markdown",
    metric: str = METRIC,
    horizons: Iterable[int] | None = None,
) -> Rendered:
    """The boards of all records in one or several results folders.

    scorers   `Metric.score` by metric name. Where one is missing, recorded values are shown if they are of the same
              clips, without rank
    format    "markdown", "text" (a terminal), "csv" or "latex"
    metric    ranks the rows
    horizons  boards with other horizons are left out; None: all

    Records that cannot be read come back as problems, one line each. Raises `UsageError` for an unknown format, a metric
    that no record holds, or horizons that leave nothing.
    """
    if format not in RENDERERS:
        raise UsageError(f"no format {format!r}; there is: {', '.join(RENDERERS)}")
    folders = [results] if isinstance(results, str | Path) else list(results)
    records: list[Record] = []
    problems: list[VpbenchError] = []
    for folder in folders:
        found, bad = iter_records(folder)
        records += found
        problems += bad
    if not records:
        return Rendered(f"No records in {', '.join(str(folder) for folder in folders)}.\n", problems)
    shown, more = boards(records, scorers, metric=metric, horizons=horizons)
    return Rendered(RENDERERS[format](shown), problems + more)


def boards(
    records: Iterable[Record],
    scorers: Mapping[str, ScoreFunction],
    *,
    metric: str = METRIC,
    horizons: Iterable[int] | None = None,
) -> tuple[list[Board], list[VpbenchError]]:
    """The boards of these records, ordered by dataset, split and task, and what is wrong with single scores.

    Arguments and errors as in `render`.
    """
    records = sorted(records, key=lambda record: (canonical(record.identity), str(record.path)))
    held = sorted({name for record in records for name in record.scores})
    if held and metric not in held:
        raise UsageError(f"no record holds the metric {metric!r}; there is: {', '.join(held)}")
    if horizons is not None:
        wanted = set(horizons)
        there = sorted({record.task["horizon"] for record in records if _is_whole(record.task.get("horizon"))})
        records = [record for record in records if record.task.get("horizon") in wanted]
        if not records:
            raise UsageError(f"no record has horizon {_listed(sorted(wanted))}; there is: {_listed(there)}")
    sources = _short_folders(records)
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(canonical([record.dataset, record.identity["split"], record.task]), []).append(record)
    problems: list[VpbenchError] = []
    made = [_board(group, scorers, metric, sources, problems) for group in groups.values()]
    return sorted(made, key=_board_order), problems


def update_between_markers(text: str, board: str) -> str:
    """The text with `board` between `START` and `END`, for a README that holds a board.

    Raises `UsageError` unless each marker is there exactly once, in this order.
    """
    for marker in (START, END):
        if (found := text.count(marker)) != 1:
            raise UsageError(f"the marker {marker} must be there once, found {found} times: put {START} and {END} around")
    before, rest = text.split(START)
    if END not in rest:
        raise UsageError(f"the marker {END} must come after {START}")
    return f"{before}{START}\n{board.strip()}\n{END}{rest.split(END)[1]}"


def is_stale(text: str, board: str) -> bool:
    """Whether the text holds another board than this one; raises as `update_between_markers`."""
    return update_between_markers(text, board) != text


# --------------------------------------------------------------------------------------------------- making one board


def _board(
    group: Sequence[Record],
    scorers: Mapping[str, ScoreFunction],
    metric: str,
    sources: Mapping[Path | None, str],
    problems: list[VpbenchError],
) -> Board:
    first = group[0]
    finished = _largest([record for record in group if record.status == "ok"])
    others = [record for record in group if record.status != "ok"]
    n = min((_clips(record) for record in finished), default=0)
    columns = _columns(finished, metric)
    rows = [
        Row(
            record=record,
            label=label,
            source=sources[_folder(record)],
            scores=_scores(record, columns, n, scorers, problems),
        )
        for record, label in zip(finished, _labels(finished, sources), strict=True)
    ]
    ranking = _ranking_column(rows, columns, metric)
    if ranking is not None:
        rows = _with_ranks(rows, ranking, n, scorers)
        rows = _with_floor_and_ceiling(rows, ranking, n)
    rows.sort(key=lambda row: _row_order(row, ranking))
    remarks = _remarks(rows, ranking, metric, n)
    rows, footnotes, shared = _with_footnotes(rows)
    return Board(
        dataset=first.dataset,
        split=first.identity["split"],
        task=first.task,
        n=n,
        rows=tuple(rows),
        columns=columns,
        metric=metric,
        ranking=ranking,
        footnotes=footnotes,
        remarks=(*remarks, *shared),
        not_run=tuple(sorted(zip(_labels(others, sources), others, strict=True), key=lambda item: item[0])),
    )


def _largest(records: Sequence[Record]) -> list[Record]:
    """Of records of one folder that differ in the number of clips alone, the one with most: the others are part of it."""
    largest: dict[Hashable, Record] = {}
    for record in records:
        rest = {key: value for key, value in record.identity.items() if key != "clips"}
        key = (_folder(record), canonical(rest))
        if key not in largest or _clips(record) > _clips(largest[key]):
            largest[key] = record
    return list(largest.values())


def _clips(record: Record) -> int:
    """How many clips the record has statistics for."""
    return min((len(values) for values in record.statistics.values()), default=record.identity["clips"])


def _column(metric: str, score: Mapping[str, Any]) -> Column:
    """The definition that a recorded score was made by."""
    names = ("convention", "version", "distribution", "higher_is_better", "unit", "definition")
    return Column(metric=metric, statistics=tuple(score["statistics"]), **{name: score[name] for name in names})


def _columns(records: Sequence[Record], ranking_metric: str) -> tuple[Column, ...]:
    # The last of equal ones stays, in the order of identities: their texts may differ, and one has to be chosen.
    found = {column: column for record in records for column in _record_columns(record)}
    leading = [ranking_metric, *LEADING]

    def order(column: Column) -> tuple[Any, ...]:
        place = leading.index(column.metric) if column.metric in leading else len(leading)
        return (place, column.key, column.higher_is_better)

    return tuple(sorted(found.values(), key=order))


def _record_columns(record: Record) -> list[Column]:
    return [_column(metric, score) for metric, score in sorted(record.scores.items())]


def _ranking_column(rows: Sequence[Row], columns: Sequence[Column], metric: str) -> Column | None:
    """Of several definitions of the ranking metric the one that most rows have; among equals the last in order."""
    candidates = [column for column in columns if column.metric == metric]
    return max(candidates, key=lambda column: (sum(column in row.scores for row in rows), column.key), default=None)


# ------------------------------------------------------------------------------------------------------- scores, ranks


def _scores(
    record: Record,
    columns: Sequence[Column],
    n: int,
    scorers: Mapping[str, ScoreFunction],
    problems: list[VpbenchError],
) -> dict[Column, Score]:
    """Scores of the first n clips of a record."""
    own = set(_record_columns(record))
    scores: dict[Column, Score] = {}
    for column in columns:
        if column not in own:
            continue
        recorded = record.scores[column.metric]
        scorer = scorers.get(column.metric)
        if scorer is None or not column.statistics:
            if recorded["n"] == n and recorded["value"] is not None:
                scores[column] = Score(*(_number(recorded[key]) for key in ("value", "low", "high")))
            continue
        try:
            _check_recorded(record, column, scorer)
            scores[column] = interval(_statistics(record, column, n), scorer)
        except VpbenchError as problem:
            problems.append(problem)
        except Exception as error:  # a score function is plugin code, and may be of another version than the record
            why = f"{type(error).__name__}: {error}".replace("\n", " ")
            problems.append(RecordError(f"{_name(record)}: {column.metric} version {column.version}: {why}"))
    return scores


def _statistics(record: Record, column: Column, n: int | None = None) -> dict[str, np.ndarray]:
    """Per-clip statistics {bare name: (n,)} float64, NaN where the record has null."""
    return {
        name.partition("/")[2] or name: np.array(record.statistics[name][:n], dtype=np.float64)
        for name in column.statistics
    }


def _check_recorded(record: Record, column: Column, scorer: ScoreFunction) -> None:
    """A score that its own statistics do not give was edited, or made by another definition than the installed one."""
    value = _number(record.scores[column.metric]["value"])
    found = score_of(_statistics(record, column), scorer)
    if not (math.isclose(value, found, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE) or (math.isnan(value) and math.isnan(found))):
        raise RecordError(
            f"{_name(record)}: {column.metric} version {column.version} is recorded as {value:.6g}, but its statistics give "
            f"{found:.6g} with the installed metric: it is left out; run the cell again"
        )


def _with_ranks(rows: list[Row], ranking: Column, n: int, scorers: Mapping[str, ScoreFunction]) -> list[Row]:
    """Ceilings are not ranked: they are told what no contender is."""
    scorer = scorers.get(ranking.metric)
    ranked = [row for row in rows if ranking in row.scores and row.role != "ceiling"]
    if scorer is None or not ranking.statistics or not ranked:
        return rows
    per_clip = [_statistics(row.record, ranking, n) for row in ranked]
    found = ranks(per_clip, scorer, higher_is_better=ranking.higher_is_better)
    by_row = {id(row): rank for row, rank in zip(ranked, found.ranks, strict=True)}
    return [_changed(row, rank=by_row.get(id(row))) for row in rows]


def _with_floor_and_ceiling(rows: list[Row], ranking: Column, n: int) -> list[Row]:
    """Mark contenders that score worse than the best floor, and say how far each row is on the way to the ceiling."""
    floor = _best(rows, "floor", ranking)
    ceiling = _best(rows, "ceiling", ranking)
    if floor is None:
        return rows
    best = floor.scores[ranking].value

    def below(row: Row) -> bool:
        return row.role == "contender" and ranking in row.scores and ranking.better(best, row.scores[ranking].value)

    rows = [_changed(row, below_floor=below(row)) for row in rows]
    # In the mean statistic (for pooled PSNR: MSE), where shares add up; a score of several has no such scale.
    if ceiling is None or len(ranking.statistics) != 1:
        return rows
    return [_changed(row, headroom=_headroom(row, floor, ceiling, ranking, n)) for row in rows]


def _headroom(row: Row, floor: Row, ceiling: Row, ranking: Column, n: int) -> Score | None:
    if ranking not in row.scores or row.role != "contender":
        return None
    three = {"row": row, "floor": floor, "ceiling": ceiling}
    (values,) = zip(*({key: _statistics(r.record, ranking, n)} for key, r in three.items()), strict=False) or ((),)
    per_clip = {}
    for key, one in three.items():
        (per_clip[key],) = _statistics(one.record, ranking, n).values()
    return interval(per_clip, lambda m: (m["floor"] - m["row"]) / (m["floor"] - m["ceiling"]))


def _best(rows: Sequence[Row], role: str, column: Column) -> Row | None:
    candidates = [row for row in rows if row.role == role and column in row.scores]
    candidates = [row for row in candidates if not math.isnan(row.scores[column].value)]
    sign = 1 if column.higher_is_better else -1
    return max(candidates, key=lambda row: (sign * row.scores[column].value, row.label), default=None)


def _row_order(row: Row, ranking: Column | None) -> tuple[Any, ...]:
    """Ceilings first, then by rank, score and name; rows without a score last."""
    score = row.scores.get(ranking) if ranking else None
    if score is None or math.isnan(score.value):
        return (2, 0, 0.0, row.label, row.source)
    value = -score.value if ranking and ranking.higher_is_better else score.value
    return (0 if row.role == "ceiling" else 1, row.rank or 0, value, row.label, row.source)


def _changed(row: Row, **changes: Any) -> Row:
    from dataclasses import replace

    return replace(row, **changes)
