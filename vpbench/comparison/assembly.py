"""From records to boards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import UsageError, VpbenchError
from ..results import Record, canonical, question_of
from ..stats import ScoreFunction
from .board import METRIC, Board, Column, Row
from .bounds import with_headroom, with_leaks
from .labels import folder_of, labels, seed_label, short_folders, source_of
from .ranking import rank_rows, row_order
from .remarks import remarks
from .scores import (
    columns_of,
    contradictions,
    disagreements,
    listed,
    record_columns,
    scores_of,
    without_value,
)
from .seeds import by_method, clips_of, largest, without_earlier_snapshots


def boards(
    records: Iterable[Record],
    scorers: Mapping[str, ScoreFunction],
    *,
    metric: str | None = None,
    horizons: Iterable[int] | None = None,
    contexts: Iterable[int] | None = None,
) -> tuple[list[Board], list[VpbenchError]]:
    """The boards of these records, ordered by dataset, split and task, and what is wrong with single scores.

    scorers   `Metric.score` by metric name. Where one is missing, recorded values are shown if they are of the same
              clips, without rank
    metric    ranks the rows; None: `METRIC`, and on boards without it their first metric that ranks
    horizons  boards with other horizons are left out; None: all
    contexts  boards with other numbers of context frames are left out; None: all

    The order of records is of no influence. Raises `UsageError` for a metric that no record holds or that ranks
    nothing, or horizons or contexts that leave nothing.
    """
    records = sorted(records, key=lambda record: (canonical(record.identity), str(record.path)))
    if metric is not None:
        _check_ranks(metric, records)
    for key, asked in (("horizon", horizons), ("context", contexts)):
        if asked is None:
            continue
        wanted = set(asked)
        there = {steps for record in records if (steps := _steps(record.task, key)) is not None}
        records = [record for record in records if _steps(record.task, key) in wanted]
        if not records:
            raise UsageError(f"no record has {key} {listed(sorted(wanted))}; there is: {listed(sorted(there))}")
    sources = short_folders(records)
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[question_of(record.identity)].append(record)
    problems: list[VpbenchError] = []
    made = [_board(group, scorers, metric, sources, problems) for group in groups.values()]
    return sorted(made, key=_board_order), problems


def _check_ranks(metric: str, records: Sequence[Record]) -> None:
    held = {column.metric: column for record in records for column in record_columns(record)}
    if not held:
        return
    if metric not in held:
        raise UsageError(f"no record holds the metric {metric!r}; there is: {listed(sorted(held))}")
    if not held[metric].ranks:
        why = (
            "is a warning exhibit, a number that nobody should compare"
            if held[metric].exhibit
            else f"is best at {held[metric].ideal:g}, and more is as wrong as less"
        )
        ranking = sorted(name for name, column in held.items() if column.ranks)
        raise UsageError(f"nothing is ranked by {metric!r}: it {why}; rank by: {listed(ranking)}")


def _board(
    group: Sequence[Record],
    scorers: Mapping[str, ScoreFunction],
    metric: str | None,
    sources: Mapping[Path | None, str],
    problems: list[VpbenchError],
) -> Board:
    group = without_earlier_snapshots(group, folder_of)
    first = group[0]
    finished = largest((record for record in group if record.status == "ok"), folder_of)
    n = min((clips_of(record) for record in finished), default=0)
    problems += contradictions(finished)
    columns = columns_of(finished, metric or METRIC)
    if metric is None:
        metric = next((column.metric for column in columns if column.ranks), METRIC)
    methods = by_method(finished, folder_of)
    rows = [
        _row(method, label, columns, n, scorers, sources, problems)
        for method, label in zip(methods, labels(methods, sources), strict=True)
    ]
    ranking = _ranking_column(rows, columns, metric)
    remark = ""
    if ranking is not None and ranking.statistics and ranking.metric in scorers:
        rows, remark = rank_rows(rows, ranking, n, scorers[ranking.metric])
    rows, headroom_in = with_headroom(rows, columns, n)
    rows, warnings = with_leaks(rows, columns, n, scorers)
    rows.sort(key=lambda row: row_order(row, ranking))
    others = [(record,) for record in group if record.status != "ok"]
    not_run = [(label, record) for label, (record,) in zip(labels(others, sources), others, strict=True)]
    said = (*remarks(rows, ranking, metric, n, installed=metric in scorers), remark, without_value(rows, columns))
    return Board(
        dataset=first.dataset,
        split=first.identity["split"],
        task=first.task,
        n=n,
        rows=tuple(rows),
        columns=columns,
        metric=metric,
        ranking=ranking,
        remarks=tuple(text for text in said if text),
        not_run=tuple(sorted(not_run, key=lambda item: item[0])),
        headroom_in=headroom_in,
        warnings=tuple(sorted(warnings)),
        left_out=tuple(disagreements(rows, columns)),
    )


def _row(
    method: tuple[Record, ...],
    label: str,
    columns: Sequence[Column],
    n: int,
    scorers: Mapping[str, ScoreFunction],
    sources: Mapping[Path | None, str],
    problems: list[VpbenchError],
) -> Row:
    scores = scores_of(method, columns, n, scorers, problems)
    row = Row(record=method[0], label=label, source=source_of(method, sources), scores=scores[0])
    if len(method) == 1:
        return row
    name = label.removesuffix(f", {len(method)} seeds")
    members = tuple(
        Row(
            record=record,
            label=f"{name}, {seed_label(record)}",
            source=source_of((record,), sources),
            scores=each,
        )
        for record, each in zip(method, scores[1:], strict=True)
    )
    return replace(row, members=members)


def _ranking_column(rows: Sequence[Row], columns: Sequence[Column], metric: str) -> Column | None:
    """Of several definitions of the ranking metric the one that most rows have; among equals the last in order."""
    candidates = [column for column in columns if column.metric == metric and column.ranks]
    return max(candidates, key=lambda column: (sum(column in row.scores for row in rows), column.key), default=None)


def _steps(task: Mapping[str, Any], key: str) -> int | None:
    """Context or horizon, where the task has one; a record may say anything there."""
    return steps if type(steps := task.get(key)) is int else None


def _board_order(board: Board) -> tuple[Any, ...]:
    dataset = (str(board.dataset["name"]), canonical(board.dataset), str(board.split))
    steps = (_steps(board.task, key) for key in ("context", "horizon"))
    task = (str(board.task["kind"]), *(-1 if n is None else n for n in steps), canonical(board.task))
    return (*dataset, *task)
