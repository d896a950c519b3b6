"""Boards: tables of records that may be compared, and nothing else.

One board per dataset (name, version, config, fingerprint), split and task. Its rows are compared on the clips they all
have: datasets give clips in a fixed order, so n clips of one record are the first n of another, and scores, intervals
and tests are recomputed for these from the per-clip statistics. A column is one definition of a metric (convention,
version, distribution): scores under another definition get a column of their own and are never ranked together.

`boards` decides what is compared, the renderers only write it down. The same records give the same bytes, whatever the
order of files. Needs records and score functions; no torch, no registry, no plugin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
        return str(self.record.about.get("role") or "contender")


@dataclass(frozen=True, kw_only=True)
class Board:
    """Rows that may be compared, best first."""

    dataset: Mapping[str, Any]
    split: str
    task: Mapping[str, Any]
    n: int  #: clips that all rows have
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    metric: str  #: that ranks the rows, if any has it
    ranking: Column | None  #: by this definition; None: no row has that metric
    footnotes: tuple[str, ...]  #: what single rows are told beyond the frames, or are to be taken with
    remarks: tuple[str, ...]  #: sentences about the whole board
    not_run: tuple[tuple[str, Record], ...]  #: label and record of what failed or was skipped

    @property
    def title(self) -> str:
        return f"{self.dataset['name']}, {_task_name(self.task)}"

    @property
    def subtitle(self) -> str:
        config = _settings(self.dataset["config"])
        compared = f"{_count(self.n, 'clip')} of the {self.split} split" if self.rows else f"{self.split} split"
        dataset = f"{self.dataset['name']} version {self.dataset['version']}{f' ({config})' if config else ''}"
        return f"{compared}; {dataset}, fingerprint {str(self.dataset['fingerprint'])[:12]}"


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
    metric: str | None = None,
    horizons: Iterable[int] | None = None,
) -> Rendered:
    """The boards of all records in one or several results folders.

    scorers   `Metric.score` by metric name. Where one is missing, recorded values are shown if they are of the same
              clips, without rank
    format    "markdown", "text" (a terminal), "csv" or "latex"
    metric    ranks the rows; None: `METRIC`, and on boards without it their first metric
    horizons  boards with other horizons are left out; None: all

    Records that cannot be read come back as problems, one line each. Raises `UsageError` for an unknown format, a
    metric that no record holds, or horizons that leave nothing.
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
    metric: str | None = None,
    horizons: Iterable[int] | None = None,
) -> tuple[list[Board], list[VpbenchError]]:
    """The boards of these records, ordered by dataset, split and task, and what is wrong with single scores.

    Arguments and errors as in `render`.
    """
    records = sorted(records, key=lambda record: (canonical(record.identity), str(record.path)))
    held = sorted({name for record in records for name in record.scores})
    if held and metric is not None and metric not in held:
        raise UsageError(f"no record holds the metric {metric!r}; there is: {', '.join(held)}")
    if horizons is not None:
        wanted = set(horizons)
        there = sorted({record.task["horizon"] for record in records if _is_whole(record.task.get("horizon"))})
        records = [r for r in records if _is_whole(r.task.get("horizon")) and r.task["horizon"] in wanted]
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
            raise UsageError(
                f"the marker {marker} must be there once, found {found} times: put {START} and {END} around"
            )
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
    metric: str | None,
    sources: Mapping[Path | None, str],
    problems: list[VpbenchError],
) -> Board:
    first = group[0]
    finished = _largest([record for record in group if record.status == "ok"])
    others = [record for record in group if record.status != "ok"]
    n = min((_clips(record) for record in finished), default=0)
    columns = _columns(finished, metric or METRIC)
    metric = metric or (columns[0].metric if columns else METRIC)
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
    remarks = _remarks(rows, ranking, metric, n, installed=metric in scorers)
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
    """Of records of one folder that differ in the number of clips alone, the one with most: it holds the others."""
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
    if not (
        math.isclose(value, found, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE) or (math.isnan(value) and math.isnan(found))
    ):
        raise RecordError(
            f"{_name(record)}: {column.metric} version {column.version} is recorded as {value:.6g}, but its statistics "
            f"give {found:.6g} with the installed metric: left out; run the cell again"
        )


def _name(record: Record) -> str:
    return str(record.path or record.cell)


def _with_ranks(rows: list[Row], ranking: Column, n: int, scorers: Mapping[str, ScoreFunction]) -> list[Row]:
    """Ceilings are not ranked: they are told what no contender is."""
    scorer = scorers.get(ranking.metric)
    ranked = [row for row in rows if ranking in row.scores and row.role != "ceiling"]
    if scorer is None or not ranking.statistics or not ranked:
        return rows
    per_clip = [_statistics(row.record, ranking, n) for row in ranked]
    found = ranks(per_clip, scorer, higher_is_better=ranking.higher_is_better)
    by_row = {id(row): rank for row, rank in zip(ranked, found.ranks, strict=True)}
    return [replace(row, rank=by_row.get(id(row))) for row in rows]


def _with_floor_and_ceiling(rows: list[Row], ranking: Column, n: int) -> list[Row]:
    """Mark contenders that score worse than the best floor, and say how far each row is on the way to the ceiling."""
    floor = _best(rows, "floor", ranking)
    ceiling = _best(rows, "ceiling", ranking)
    if floor is None:
        return rows
    best = floor.scores[ranking].value

    def below(row: Row) -> bool:
        return row.role == "contender" and ranking in row.scores and ranking.better(best, row.scores[ranking].value)

    rows = [replace(row, below_floor=below(row)) for row in rows]
    # In the mean statistic (for pooled PSNR: MSE), where shares add up; a score of several has no such scale.
    if ceiling is None or len(ranking.statistics) != 1:
        return rows
    return [replace(row, headroom=_headroom(row, floor, ceiling, ranking, n)) for row in rows]


def _headroom(row: Row, floor: Row, ceiling: Row, ranking: Column, n: int) -> Score | None:
    if ranking not in row.scores or row.role != "contender":
        return None
    three = {"row": row, "floor": floor, "ceiling": ceiling}
    (name,) = _statistics(row.record, ranking, n)
    per_clip = {key: _statistics(one.record, ranking, n)[name] for key, one in three.items()}
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


# ------------------------------------------------------------------------------------------------------ labels, notes


def _folder(record: Record) -> Path | None:
    """The results folder a record was read from."""
    return record.path.parents[2] if record.path is not None and len(record.path.parents) > 2 else None


def _short_folders(records: Iterable[Record]) -> dict[Path | None, str]:
    """The shortest endings of the folders' paths that tell them apart."""
    folders = sorted({folder for record in records if (folder := _folder(record)) is not None})
    names: dict[Path | None, str] = {None: ""}
    for folder in folders:
        for length in range(1, len(folder.parts) + 1):
            ending = folder.parts[-length:]
            if sum(other.parts[-length:] == ending for other in folders) == 1:
                break
        names[folder] = Path(*folder.parts[-length:]).as_posix() if folder.parts else "."
    return names


def _labels(records: Sequence[Record], sources: Mapping[Path | None, str]) -> list[str]:
    """The name of each record's model, and of what differs among records of one name only what tells them apart."""
    labels = [str(record.model["name"]) for record in records]
    tellers: list[Callable[[Record, Sequence[Record]], str]] = [
        lambda record, alike: f"version {record.model['version']}",
        lambda record, alike: _settings(record.model["config"], [other.model["config"] for other in alike]),
        lambda record, alike: f"seed {record.identity['seed']}",
        lambda record, alike: str(record.identity["dtype"]),
        lambda record, alike: f"weights {(record.model['weights_sha256'] or 'none')[:8]}",
        lambda record, alike: f"in {sources[_folder(record)]}",
        lambda record, alike: _count(record.identity["clips"], "clip"),
    ]
    for teller in tellers:
        alike = {label: [r for r, other in zip(records, labels, strict=True) if other == label] for label in labels}
        said = [teller(record, alike[label]) for record, label in zip(records, labels, strict=True)]
        differs = {
            label: len({text for text, other in zip(said, labels, strict=True) if other == label}) > 1
            for label in alike
        }
        labels = [
            f"{label}, {text}" if differs[label] and text else label for label, text in zip(labels, said, strict=True)
        ]
    return labels


def _settings(config: Mapping[str, Any], others: Sequence[Mapping[str, Any]] = ()) -> str:
    """``"key=value key=value"`` of a config; with others, only the keys that are not the same in all of them."""
    keys = [key for key in config if not others or any(_json(other, key) != _json(config, key) for other in others)]
    return " ".join(f"{key}={_short(config[key])}" for key in sorted(keys))


def _json(config: Mapping[str, Any], key: str) -> str | None:
    return canonical(config[key]) if key in config else None


def _short(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)


def _with_footnotes(rows: Sequence[Row]) -> tuple[list[Row], tuple[str, ...], tuple[str, ...]]:
    """Rows with the numbers of their notes, the notes, and what holds for all rows and so is said once."""
    said = [[f"{text}." for key in ("assumptions", "caveat") if (text := _sentence(row, key))] for row in rows]
    shared = [text for text in said[0] if len(rows) > 1 and all(text in texts for texts in said)] if rows else []
    footnotes: list[str] = []
    noted = []
    for row, texts in zip(rows, said, strict=True):
        own = [text for text in texts if text not in shared]
        footnotes += [text for text in own if text not in footnotes]
        noted.append(replace(row, notes=tuple(footnotes.index(text) + 1 for text in own)))
    return noted, tuple(footnotes), tuple(shared)


def _sentence(row: Row, key: str) -> str:
    text = " ".join(str(row.record.about.get(key) or "").split()).rstrip(".")
    return text[:1].upper() + text[1:]


def _remarks(rows: Sequence[Row], ranking: Column | None, metric: str, n: int, *, installed: bool) -> list[str]:
    """What has to be known to read this board."""
    if not rows:
        return []
    remarks = []
    shortest = sorted(row.label for row in rows if _clips(row.record) == n)
    if len(shortest) < len(rows):
        most = max(_clips(row.record) for row in rows)
        remarks.append(
            f"Compared on the first {_count(n, 'clip')}, which all rows have: {_listed(shortest)} has no more "
            f"(others up to {most})."
        )
    seeds: dict[str, set[Any]] = {}
    for row in rows:
        model = {key: value for key, value in row.record.model.items() if key != "weights_sha256"}
        seeds.setdefault(canonical(model), set()).add(row.record.identity["seed"])
    if all(len(found) == 1 for found in seeds.values()):
        remarks.append(
            "One seed per model: intervals cover the choice of test clips for these weights, not what training the "
            "method again would give."
        )
    else:
        remarks.append("Every seed is a row of its own: intervals cover the choice of test clips for these weights.")
    if ranking is None:
        remarks.append(f"No row has {metric}, so there are no ranks.")
    elif not installed:
        remarks.append(f"The metric {metric} is not installed here: values as recorded, no ranks.")
    elif not ranking.statistics:
        remarks.append(f"{metric} has no value per clip, so there are no ranks.")
    elif others := sorted(r.label for r in rows if ranking not in r.scores and metric in r.record.scores):
        remarks.append(
            f"Without rank, because {metric} is by another definition than in other rows: {_listed(others)}."
        )
    return remarks


def _why_not(label: str, record: Record) -> str:
    reason = record.reason or {}
    message = " ".join(str(reason.get("message", "")).split())
    return f"{label}: {record.status} in {reason.get('phase')} ({reason.get('type')}): {message}"


# ------------------------------------------------------------------------------------------------------------- numbers


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _whole(value: Any) -> int | None:
    return value if _is_whole(value) else None


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _listed(items: Sequence[Any]) -> str:
    return ", ".join(str(item) for item in items) or "none"


def _half(score: Score) -> float:
    return (score.high - score.low) / 2


def _decimals(scores: Sequence[Score]) -> int:
    """Decimals for a column: those of its narrowest interval, within reason, so that no row shows ±0 without need."""
    halves = sorted(half for score in scores if math.isfinite(half := _half(score)) and half > 0)
    if not halves:
        largest = max((abs(score.value) for score in scores if math.isfinite(score.value)), default=1.0)
        return 2 if largest >= 10 else 4
    narrow, usual = _places(halves[0]), _places(halves[len(halves) // 2])
    return min(narrow, usual + 2, 8)


def _places(half: float) -> int:
    """Decimals that show one significant digit, or two if the first is a 1."""
    exponent = math.floor(math.log10(half))
    leading = half / 10**exponent
    return max(0, -exponent + (1 if leading < 1.95 else 0))


def _with_interval(score: Score | None, decimals: int, *, scale: float = 1.0) -> str:
    """``"14.32 ±0.05"``: half the width of the interval; the value alone where there is none."""
    if score is None or math.isnan(score.value):
        return _DASH
    text = f"{score.value * scale:.{decimals}f}"
    half = _half(score) * scale
    if not math.isfinite(half):
        return text
    smallest = 10.0**-decimals
    shown = f"<{smallest:.{decimals}f}" if 0 < half < smallest / 2 else f"{half:.{decimals}f}"
    return f"{text} ±{shown}"


def _large(value: Any) -> str:
    """``"1.83 M"``: three digits."""
    if type(value) not in (int, float) or not math.isfinite(value):
        return _DASH
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= 0.9995 * size:  # 999,999 is 1 M, not 1e+03 k
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def _duration(seconds: Any) -> str:
    if type(seconds) not in (int, float):
        return ""
    for unit, size, least in (("h", 3600, 5400), ("min", 60, 90), ("s", 1, 0)):
        if seconds >= least:
            return f"{seconds / size:.3g} {unit}" if seconds < 999 * size else f"{seconds / size:.0f} {unit}"
    return ""


# --------------------------------------------------------------------------------------------------------------- cells


def _task_name(task: Mapping[str, Any]) -> str:
    steps = "→".join(str(task[key]) for key in ("context", "horizon") if key in task)
    known = {"kind", "context", "horizon"}
    rest = " ".join(f"{key}={_short(task[key])}" for key in sorted(task.keys() - known))
    kind = "" if task["kind"] == "extrapolate" and steps else str(task["kind"])
    return " ".join(part for part in (kind, steps, rest) if part)


def _board_order(board: Board) -> tuple[Any, ...]:
    def number(key: str) -> int:
        return board.task[key] if _is_whole(board.task.get(key)) else -1

    dataset = (str(board.dataset["name"]), canonical(board.dataset), str(board.split))
    return (*dataset, str(board.task["kind"]), number("context"), number("horizon"), canonical(board.task))


def _headers(columns: Sequence[Column]) -> list[str]:
    """``"psnr-pooled [dB]"``, with as much of the definition as tells two columns of one metric apart."""
    names = [column.metric for column in columns]
    for key, form in (("convention", "{}"), ("version", "v{}"), ("distribution", "{}"), ("statistics", "of {}")):
        told = {
            name: {getattr(c, key) for c, other in zip(columns, names, strict=True) if other == name} for name in names
        }
        names = [
            f"{name} {form.format(_plain_text(getattr(column, key)))}" if len(told[name]) > 1 else name
            for column, name in zip(columns, names, strict=True)
        ]
    return [f"{name} [{column.unit}]" if column.unit else name for name, column in zip(names, columns, strict=True)]


def _plain_text(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _training(record: Record) -> str:
    """How much training the weights have seen."""
    about = record.about
    training = about.get("training")
    if about.get("learns") == "weights" and not about.get("trained"):
        return "untrained"
    if isinstance(training, Mapping):
        sequences = f"{_large(training['sequences'])} sequences" if "sequences" in training else ""
        parts = (sequences, _duration(training.get("seconds")), str(training.get("device") or ""))
        return ", ".join(part for part in parts if part) or "trained"
    if about.get("learns") == "statistics":
        return f"fitted in {_duration(record.cost.get('fit_s'))}" if record.cost.get("fit_s") else "fitted"
    return "trained" if about.get("trained") else _DASH


def _device(record: Record) -> str:
    return str(record.machine.get("device_name") or record.machine.get("device") or "unknown device")


def _label(row: Row) -> str:
    role = "" if row.role == "contender" else f" ({row.role})"
    return f"{row.label}{role}{' ▼ below floor' if row.below_floor else ''}"


@dataclass(frozen=True)
class _Table:
    """The cells of a board as plain text, the same for every renderer."""

    headers: list[str]
    cells: list[list[str]]
    label: int  #: index of the column that footnote numbers go to
    numeric: list[bool]  #: columns aligned to the right


def _table(board: Board) -> _Table:
    rows = board.rows
    parts: list[tuple[str, list[str], bool]] = [
        ("rank", [str(row.rank) if row.rank is not None else _DASH for row in rows], True),
        ("model", [_label(row) for row in rows], False),
        ("parameters", [_large(row.record.cost.get("parameters")) for row in rows], True),
        ("training", [_training(row.record) for row in rows], False),
    ]
    for header, column in zip(_headers(board.columns), board.columns, strict=True):
        decimals = _decimals([row.scores[column] for row in rows if column in row.scores])
        arrow = "↑" if column.higher_is_better else "↓"
        cells = [_with_interval(row.scores.get(column), decimals) for row in rows]
        parts.append((f"{header} {arrow}", cells, True))
        if column == board.ranking and any(row.headroom for row in rows):
            cells = [_with_interval(row.headroom, 1, scale=100) for row in rows]
            parts.append(("headroom [%] ↑", cells, True))
    speeds = [_large(row.record.cost.get("frames_per_s")) for row in rows]
    if len({_device(row.record) for row in rows}) > 1:
        speeds = [f"{speed}, {_device(row.record)}" for speed, row in zip(speeds, rows, strict=True)]
    parts.append(("frames/s", speeds, True))
    return _Table(
        headers=[header for header, _, _ in parts],
        cells=[list(line) for line in zip(*(cells for _, cells, _ in parts), strict=True)],
        label=1,
        numeric=[numeric for _, _, numeric in parts],
    )


def _lines_below(board: Board) -> list[str]:
    """The remarks as sentences; footnotes and what did not run are lists of their own."""
    lines = list(board.remarks)
    if len(devices := {_device(row.record) for row in board.rows}) == 1:
        lines.append(f"frames/s at this horizon on {devices.pop()}.")
    elif devices:
        lines.append("frames/s at this horizon, on the device named.")
    return lines


def _legend(shown: Sequence[Board]) -> list[tuple[str, str]]:
    """(what, definition) of all that the tables hold."""
    columns = {column: column for board in shown for column in board.columns}
    ranking = sorted({board.metric for board in shown})
    legend = [
        (
            "rank",
            f"1 + the number of rows that are significantly better in {_listed(ranking)}: paired bootstrap over clips, "
            f"all pairs of a board corrected by Holm, α = {ALPHA:g}. Rows whose intervals overlap can differ "
            "significantly, since all see the same clips. Ceilings are not ranked",
        ),
        ("±", "half the width of the 95 % percentile bootstrap interval over clips"),
    ]
    if any(row.below_floor for board in shown for row in board.rows):
        legend.append(
            ("▼ below floor", f"a lower place in {_listed(ranking)} than the best trivial baseline of the board")
        )
    if any(row.headroom for board in shown for row in board.rows):
        legend.append(("headroom", "share of the way from the best floor to the best ceiling, in the mean statistic"))
    for column in columns.values():
        origin = f"version {column.version}, convention {column.convention}, {column.distribution}"
        unit = f" [{column.unit}]" if column.unit else ""
        legend.append((f"{column.metric}{unit}", f"{' '.join(column.definition.split()).rstrip('.')} ({origin})"))
    return legend


# ----------------------------------------------------------------------------------------------------------- renderers


def to_markdown(shown: Sequence[Board]) -> str:
    """Sections with pipe tables, and one legend at the end."""
    lines = []
    for board in shown:
        lines += [f"### {_markdown(board.title)}", "", f"{_markdown(board.subtitle)}.", ""]
        if board.rows:
            lines += [_tabulated(board, "pipe", _markdown, "<sup>{}</sup>"), ""]
        if board.footnotes:
            lines += [f"<sup>{number}</sup> {_markdown(note)}  " for number, note in enumerate(board.footnotes, 1)]
            lines += [""]
        if below := _lines_below(board):
            lines += [_markdown(" ".join(below)), ""]
        if board.not_run:
            lines += ["Without a result:", ""]
            lines += [f"- {_markdown(_why_not(label, record))}" for label, record in board.not_run]
            lines += [""]
    legend = [f"- **{_markdown(what)}**: {_markdown(meaning)}." for what, meaning in _legend(shown)]
    return "\n".join([*lines, "What the columns mean:", "", *legend]) + "\n"


def to_text(shown: Sequence[Board]) -> str:
    """The same for a terminal, without the legend."""
    lines = []
    for board in shown:
        lines += [board.title, f"{board.subtitle}.", ""]
        if board.rows:
            lines += [_tabulated(board, "simple", str, " [{}]"), ""]
        lines += [f"[{number}] {note}" for number, note in enumerate(board.footnotes, 1)]
        lines += _lines_below(board)
        lines += [_why_not(label, record) for label, record in board.not_run]
        lines += [""]
    return "\n".join(lines)


def _tabulated(board: Board, form: str, escape: Callable[[str], str], mark: str) -> str:
    from tabulate import tabulate

    table = _table(board)
    cells = _cells(board, table, escape, mark)
    align = ["right" if numeric else "left" for numeric in table.numeric]
    headers = [escape(header) for header in table.headers]
    return tabulate(cells, headers, tablefmt=form, colalign=align, disable_numparse=True)


def _cells(board: Board, table: _Table, escape: Callable[[str], str], mark: str) -> list[list[str]]:
    """The escaped cells, with the marks of footnotes behind the names."""
    cells = [[escape(cell) for cell in line] for line in table.cells]
    for row, line in zip(board.rows, cells, strict=True):
        line[table.label] += "".join(mark.format(number) for number in row.notes)
    return cells


def to_latex(shown: Sequence[Board]) -> str:
    """Tables for a paper, and the legend as a description list."""
    lines = [r"% needs \usepackage{booktabs} and \usepackage{amssymb}"]
    for board in shown:
        lines += ["", r"\begin{table}", r"\centering"]
        lines += [rf"\caption{{{_latex(board.title)}: {_latex(board.subtitle)}.}}"]
        if board.rows:
            table = _table(board)
            columns = "".join("r" if numeric else "l" for numeric in table.numeric)
            lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
            lines += [" & ".join(_latex(header) for header in table.headers) + r" \\", r"\midrule"]
            cells = _cells(board, table, _latex, r"\textsuperscript{{{}}}")
            lines += [" & ".join(line) + r" \\" for line in cells]
            lines += [r"\bottomrule", r"\end{tabular}"]
        notes = [rf"\textsuperscript{{{number}}} {_latex(note)}" for number, note in enumerate(board.footnotes, 1)]
        notes += [_latex(line) for line in _lines_below(board)]
        notes += [_latex(_why_not(label, record)) for label, record in board.not_run]
        lines += [rf"\par\smallskip {note}" for note in notes]
        lines += [r"\end{table}"]
    lines += ["", r"\begin{description}"]
    lines += [rf"\item[{{{_latex(what)}}}] {_latex(meaning)}." for what, meaning in _legend(shown)]
    return "\n".join([*lines, r"\end{description}"]) + "\n"


def to_csv(shown: Sequence[Board]) -> str:
    """`frame` with six significant digits, as many as the statistics have."""
    return frame(shown).to_csv(index=False, lineterminator="\n", float_format="%.6g")


def frame(shown: Sequence[Board]) -> pd.DataFrame:
    """Long and tidy: a line per record and metric; a record without scores has one line, with its reason if any."""
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for board in shown:
        for row in board.rows:
            facts = _facts(board, row.record, row.label) | {"rank": row.rank, "below_floor": row.below_floor}
            scores = [_score_facts(board, column, score) for column, score in row.scores.items()]
            lines += [facts | {"source": row.source} | score for score in scores or [{}]]
        lines += [_facts(board, record, label) for label, record in board.not_run]
    return pd.DataFrame(lines, columns=list(_FRAME_COLUMNS)).astype(dict.fromkeys(_WHOLE, "Int64"))


_WHOLE = ("rank", "n", "parameters", "training_sequences")  # as floats they would lose digits
_FRAME_COLUMNS = (
    *("dataset", "dataset_version", "dataset_config", "fingerprint", "split", "task", "context", "horizon"),
    *("rank", "label", "model", "model_version", "model_config", "weights_sha256", "seed", "dtype", "role"),
    *("metric", "convention", "version", "distribution", "unit", "higher_is_better", "value", "low", "high", "n"),
    *("is_ranking", "below_floor", "status", "reason", "parameters", "learns", "trained", "training_sequences"),
    *("training_seconds", "training_device", "frames_per_s", "device", "source", "cell", "definition"),
)


def _facts(board: Board, record: Record, label: str) -> dict[str, Any]:
    about, cost = record.about, record.cost
    training = about.get("training")
    training = training if isinstance(training, Mapping) else {}
    return {
        "dataset": board.dataset["name"],
        "dataset_version": board.dataset["version"],
        "dataset_config": canonical(board.dataset["config"]),
        "fingerprint": board.dataset["fingerprint"],
        "split": board.split,
        "task": board.task["kind"],
        "context": board.task.get("context"),
        "horizon": board.task.get("horizon"),
        "label": label,
        "model": record.model["name"],
        "model_version": record.model["version"],
        "model_config": canonical(record.model["config"]),
        "weights_sha256": record.model["weights_sha256"],
        "seed": record.identity["seed"],
        "dtype": record.identity["dtype"],
        "role": str(about.get("role") or "contender"),
        "status": record.status,
        "reason": _why_not(label, record) if record.reason else None,
        "parameters": _whole(cost.get("parameters")),
        "learns": about.get("learns"),
        "trained": about.get("trained"),
        "training_sequences": _whole(training.get("sequences")),
        "training_seconds": training.get("seconds"),
        "training_device": training.get("device"),
        "frames_per_s": cost.get("frames_per_s"),
        "device": _device(record),
        "cell": record.cell,
    }


def _score_facts(board: Board, column: Column, score: Score) -> dict[str, Any]:
    return {
        "metric": column.metric,
        "convention": column.convention,
        "version": column.version,
        "distribution": column.distribution,
        "unit": column.unit,
        "higher_is_better": column.higher_is_better,
        **score._asdict(),
        "n": board.n,
        "is_ranking": column == board.ranking,
        "definition": " ".join(column.definition.split()),
    }


#: What would end a cell or start a tag (so also a marker); underscores within words and dashes are safe.
_MARKDOWN = str.maketrans({"<": "&lt;", ">": "&gt;", **{character: f"\\{character}" for character in "\\|`*["}})

_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "{}$&#_%"},
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "→": r"$\rightarrow$",
        "▼": r"$\blacktriangledown$",
        "±": r"$\pm$",
        "×": r"$\times$",
        "α": r"$\alpha$",
        "σ": r"$\sigma$",
        "–": "--",
    }
)


def _markdown(text: str) -> str:
    return " ".join(text.split()).translate(_MARKDOWN)


def _latex(text: str) -> str:
    return " ".join(text.split()).translate(_LATEX)


RENDERERS: Mapping[str, Callable[[Sequence[Board]], str]] = {
    "markdown": to_markdown,
    "text": to_text,
    "csv": to_csv,
    "latex": to_latex,
}
