"""What is compared: boards of records that may stand in one table, and nothing else.

One board per dataset (name, version, config, fingerprint), split and task. Its rows are compared on the clips they all
have: datasets give clips in a fixed order, so n clips of one record are the first n of another, and scores, intervals
and tests are recomputed for these from the per-clip statistics. A column is one definition of a metric (convention,
version, distribution): scores under another definition get a column of their own and are never ranked together.

How a board is written down is for `leaderboard`. Needs records and score functions; no torch, no registry, no plugin.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .errors import RecordError, UsageError, VpbenchError
from .protocols import Score
from .results import Record, canonical
from .stats import ScoreFunction, interval, ranks, score_of

#: Ranks a board unless told otherwise.
METRIC = "psnr-pooled"

#: Metrics that come first, if they are there; the others follow by name.
LEADING = (METRIC, "psnr", "ssim")

#: A recorded value and the one its own statistics give may differ by this much: statistics are rounded to six digits.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-5

#: Two records of one cell may differ in a statistic as much as `vpbench verify` lets a record differ from a second run:
#: by a share of the value, one of the usual size of its kind, and next to nothing where that is 0.
_TWINS = (2e-3, 1e-3, 1e-9)


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
    below_floor: bool = False  #: significantly worse than the best floor, by the test of the ranks
    not_above_floor: bool = False  #: neither significantly worse nor better than the best floor
    headroom: Score | None = None  #: share of the way from the best floor to the ceiling

    @property
    def role(self) -> str:
        return role_of(self.record)


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
    remarks: tuple[str, ...]  #: sentences that the comparison is to be read with
    not_run: tuple[tuple[str, Record], ...]  #: label and record of what failed or was skipped


def boards(
    records: Iterable[Record],
    scorers: Mapping[str, ScoreFunction],
    *,
    metric: str | None = None,
    horizons: Iterable[int] | None = None,
) -> tuple[list[Board], list[VpbenchError]]:
    """The boards of these records, ordered by dataset, split and task, and what is wrong with single scores.

    scorers   `Metric.score` by metric name. Where one is missing, recorded values are shown if they are of the same
              clips, without rank
    metric    ranks the rows; None: `METRIC`, and on boards without it their first metric
    horizons  boards with other horizons are left out; None: all

    The order of records is of no influence. Raises `UsageError` for a metric that no record holds, or horizons that
    leave nothing.
    """
    records = sorted(records, key=lambda record: (canonical(record.identity), str(record.path)))
    held = sorted({name for record in records for name in record.scores})
    if held and metric is not None and metric not in held:
        raise UsageError(f"no record holds the metric {metric!r}; there is: {', '.join(held)}")
    if horizons is not None:
        wanted = set(horizons)
        there = {horizon for record in records if (horizon := _steps(record.task, "horizon")) is not None}
        records = [record for record in records if _steps(record.task, "horizon") in wanted]
        if not records:
            raise UsageError(f"no record has horizon {_listed(sorted(wanted))}; there is: {_listed(sorted(there))}")
    sources = _short_folders(records)
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[canonical([record.dataset, record.identity["split"], record.task])].append(record)
    problems: list[VpbenchError] = []
    made = [_board(group, scorers, metric, sources, problems) for group in groups.values()]
    return sorted(made, key=_board_order), problems


# --------------------------------------------------------------------------------------------------- making one board


def _board(
    group: Sequence[Record],
    scorers: Mapping[str, ScoreFunction],
    metric: str | None,
    sources: Mapping[Path | None, str],
    problems: list[VpbenchError],
) -> Board:
    first = group[0]
    # Where several folders have one cell, the record with most clips is the one that counts.
    finished = sorted(_largest([record for record in group if record.status == "ok"]), key=lambda r: -_clips(r))
    others = [record for record in group if record.status != "ok"]
    n = min((_clips(record) for record in finished), default=0)
    problems += _contradictions(finished)
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
        rows = _with_headroom(rows, ranking, n)
    rows.sort(key=lambda row: _row_order(row, ranking))
    return Board(
        dataset=first.dataset,
        split=first.identity["split"],
        task=first.task,
        n=n,
        rows=tuple(rows),
        columns=columns,
        metric=metric,
        ranking=ranking,
        remarks=_remarks(rows, ranking, metric, n, installed=metric in scorers),
        not_run=tuple(sorted(zip(_labels(others, sources), others, strict=True), key=lambda item: item[0])),
    )


def _largest(records: Sequence[Record]) -> list[Record]:
    """Of records of one folder that differ in the number of clips alone, the one with most: it holds the others."""
    largest: dict[Hashable, Record] = {}
    for record in records:
        key = (_folder(record), _cell_of_any_size(record))
        if key not in largest or _clips(record) > _clips(largest[key]):
            largest[key] = record
    return list(largest.values())


def _cell_of_any_size(record: Record) -> str:
    """What records have in common that are of one cell, whatever their number of clips."""
    return canonical({key: value for key, value in record.identity.items() if key != "clips"})


def _contradictions(records: Sequence[Record]) -> list[RecordError]:
    """Pairs of records of one cell, from several folders, whose statistics are not the same on their common clips."""
    first: dict[str, Record] = {}
    found = []
    for record in records:
        other = first.setdefault(_cell_of_any_size(record), record)
        mine, theirs = _record_columns(record), _record_columns(other)
        shared = sorted({name for column in set(mine) & set(theirs) for name in column.statistics})
        if differing := [name for name in shared if not _alike(record.statistics[name], other.statistics[name])]:
            found.append(
                RecordError(
                    f"{_name(record)} and {_name(other)} are of the same cell, but differ in {', '.join(differing)} "
                    "on clips that both have: check both with vpbench verify, and delete what does not hold"
                )
            )
    return found


def _alike(a: Sequence[float | None], b: Sequence[float | None]) -> bool:
    n = min(len(a), len(b))
    one, two = (np.array(values[:n], dtype=np.float64) for values in (a, b))
    if (np.isnan(one) != np.isnan(two)).any():
        return False
    sizes = np.maximum(np.abs(one), np.abs(two))[~np.isnan(one)]
    relative, of_usual, least = _TWINS
    room = least + relative * sizes + of_usual * (sizes.mean() if len(sizes) else 0.0)
    return bool((np.abs(one - two)[~np.isnan(one)] <= room).all())


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
    """Ranks, and how contenders stand to the best floor by the same tests.

    Ceilings are not ranked: they are told what no contender is. A cell is tested once, also where several folders have
    a record of it.
    """
    scorer = scorers.get(ranking.metric)
    if scorer is None or not ranking.statistics:
        return rows
    cells: dict[str, int] = {}
    per_clip: list[dict[str, np.ndarray]] = []
    for row in rows:
        cell = _cell_of_any_size(row.record)
        if ranking in row.scores and row.role != "ceiling" and cell not in cells:
            cells[cell] = len(per_clip)
            per_clip.append(_statistics(row.record, ranking, n))
    if not per_clip:
        return rows
    found = ranks(per_clip, scorer, higher_is_better=ranking.higher_is_better)
    best = _best(rows, "floor", ranking)
    floor = cells[_cell_of_any_size(best.record)] if best else None
    placed = []
    for row in rows:
        place = cells.get(_cell_of_any_size(row.record)) if ranking in row.scores and row.role != "ceiling" else None
        rank = None if place is None else found.ranks[place]
        if rank is not None and floor is not None and row.role == "contender":
            below, above = bool(found.better[floor, place]), bool(found.better[place, floor])
            row = replace(row, below_floor=below, not_above_floor=not below and not above)
        placed.append(replace(row, rank=rank))
    return placed


def _with_headroom(rows: list[Row], ranking: Column, n: int) -> list[Row]:
    """Say how far each contender is on the way from the best floor to the best ceiling."""
    floor = _best(rows, "floor", ranking)
    ceiling = _best(rows, "ceiling", ranking)
    # In the mean statistic (for pooled PSNR: MSE), where shares add up; a score of several has no such scale.
    if floor is None or ceiling is None or len(ranking.statistics) != 1:
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
        lambda record, alike: settings(record.model["config"], [other.model["config"] for other in alike]),
        lambda record, alike: f"seed {record.identity['seed']}",
        lambda record, alike: (
            "" if (seed := _training_seed(record)) is None else f"trained with seed {canonical(seed)}"
        ),
        lambda record, alike: str(record.identity["dtype"]),
        lambda record, alike: f"weights {(record.model['weights_sha256'] or 'none')[:8]}",
        lambda record, alike: f"in {sources[_folder(record)]}",
        lambda record, alike: _count(record.identity["clips"], "clip"),
    ]
    for teller in tellers:
        same: dict[str, list[int]] = defaultdict(list)
        for index, label in enumerate(labels):
            same[label].append(index)
        for label, indices in same.items():
            alike = [records[index] for index in indices]
            told = [teller(record, alike) for record in alike]
            if len(set(told)) > 1:
                for index, text in zip(indices, told, strict=True):
                    labels[index] = f"{label}, {text}" if text else label
    return labels


def settings(config: Mapping[str, Any], others: Sequence[Mapping[str, Any]] = ()) -> str:
    """``"key=value key=value"`` of a config; with others, only the keys that are not the same in all of them."""
    keys = [key for key in config if not others or any(_json(other, key) != _json(config, key) for other in others)]
    texts = {key: value if isinstance(value := config[key], str) else canonical(value) for key in keys}
    return " ".join(f"{key}={texts[key]}" for key in sorted(keys))


def _json(config: Mapping[str, Any], key: str) -> str | None:
    return canonical(config[key]) if key in config else None


def _remarks(rows: Sequence[Row], ranking: Column | None, metric: str, n: int, *, installed: bool) -> tuple[str, ...]:
    """What has to be known to read this board."""
    if not rows:
        return ()
    remarks = []
    shortest = sorted(row.label for row in rows if _clips(row.record) == n)
    if len(shortest) < len(rows):
        most = max(_clips(row.record) for row in rows)
        # One row that cuts the others short is worth its name; of a whole folder of short runs the reader knows.
        who = f"{shortest[0]} has" if len(shortest) == 1 else f"{len(shortest)} rows have"
        remarks.append(f"Compared on the first {_count(n, 'clip')}: {who} no more (others up to {most}).")
    if len({_cell_of_any_size(row.record) for row in rows}) < len(rows):
        remarks.append("Records of one cell in several folders are tested once and share a rank.")
    seeds: dict[str, set[Any]] = {}
    for row in rows:
        model = {key: value for key, value in row.record.model.items() if key != "weights_sha256"}
        seeds.setdefault(canonical(model), set()).add(canonical(_seed(row.record)))
    if all(len(found) == 1 for found in seeds.values()):
        remarks.append(
            "One seed per model: intervals cover the choice of test clips, not what training again would give."
        )
    else:
        remarks.append("Every seed is a row of its own: intervals cover the choice of test clips.")
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
    return tuple(remarks)


# ------------------------------------------------------------------------------------------------------------- details


def _seed(record: Record) -> Any:
    """What was drawn anew for this record: of trained weights the seed of their training, else that of the run."""
    seed = _training_seed(record)
    return record.identity["seed"] if seed is None else seed


def _training_seed(record: Record) -> Any:
    training = record.about.get("training")
    return training.get("seed") if record.model["weights_sha256"] and isinstance(training, Mapping) else None


def role_of(record: Record) -> str:
    return str(record.about.get("role") or "contender")


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _steps(task: Mapping[str, Any], key: str) -> int | None:
    """Context or horizon, where the task has one; a record may say anything there."""
    return steps if type(steps := task.get(key)) is int else None


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _listed(items: Sequence[Any]) -> str:
    return ", ".join(str(item) for item in items) or "none"


def _board_order(board: Board) -> tuple[Any, ...]:
    dataset = (str(board.dataset["name"]), canonical(board.dataset), str(board.split))
    steps = (_steps(board.task, key) for key in ("context", "horizon"))
    task = (str(board.task["kind"]), *(-1 if n is None else n for n in steps), canonical(board.task))
    return (*dataset, *task)
