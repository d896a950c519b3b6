"""Boards as JSON: all that the other forms show, with every number and flag, for a machine."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..comparison import Board, Column, Row, apart, beside, seed_of, training_of
from ..protocols import Score
from ..published import PublishedRow
from ..results import Record
from .budget_curves import history_of
from .budgets import budgets
from .headers import column_names

#: Number of the document's form: raised when a key goes or changes its meaning, not when one is added.
SCHEMA = 1

_TRAINING = (
    *("sequences", "updates", "seconds", "device", "seed", "batch_size", "budget", "precision", "dataset"),
    *("total_updates", "threads", "context", "horizon", "imported_from"),
)
_SPEED = ("frames_per_s", "rollout_horizon", "batch_size")


def to_json(shown: Sequence[Board], published: Sequence[PublishedRow] = ()) -> str:
    """The boards as one document; computed numbers have six significant digits, what is not there is null.

    {schema, boards: [{dataset, split, task, clips, ranking, headroom_in, columns, rows, published, remarks, warnings,
    left_out, training_budgets, not_run}], published: [..], apart: [{dataset, split, task, convention, why, rows}]}.
    Columns and published rows are referred to by their place in the list; the scores of a row are in the order of its
    board's columns, null where it has none.
    """
    place = {(row.file, row.number): index for index, row in enumerate(published)}
    document = {
        "schema": SCHEMA,
        "boards": [_board(board, published, place) for board in shown],
        "published": [_plain(dataclasses.asdict(row)) for row in published],
        "apart": [
            {
                "dataset": group.dataset,
                "split": group.split,
                "task": _plain(group.task),
                "convention": group.convention,
                "why": group.why,
                "rows": [place[row.file, row.number] for row in group.rows],
            }
            for group in apart(shown, published)
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _board(board: Board, published: Sequence[PublishedRow], place: dict[tuple[str, int], int]) -> dict[str, Any]:
    columns = list(board.columns)
    return {
        "dataset": _plain(dict(board.dataset)),
        "split": board.split,
        "task": _plain(dict(board.task)),
        "clips": board.n,
        "ranking": columns.index(board.ranking) if board.ranking else None,
        "headroom_in": columns.index(board.headroom_in) if board.headroom_in else None,
        "columns": [_column(column, name) for column, name in zip(columns, column_names(board.columns), strict=True)],
        "rows": [_row(board, row) for row in board.rows],
        "published": [
            {
                "row": place[each.row.file, each.row.number],
                "scores": [_plain(each.scores.get(column)) for column in columns],
            }
            for each in beside(board, published)
        ],
        "remarks": list(board.remarks),
        "warnings": list(board.warnings),
        "left_out": list(board.left_out),
        "training_budgets": same._asdict() if (same := budgets(board.rows)) else None,
        "not_run": [
            {
                "label": label,
                "model": _plain(dict(record.model)),
                "status": record.status,
                "reason": _plain(record.reason),
            }
            for label, record in board.not_run
        ],
    }


def _column(column: Column, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "metric": column.metric,
        "convention": column.convention,
        "version": column.version,
        "distribution": column.distribution,
        "statistics": list(column.statistics),
        "over_steps": column.over_steps,
        "config": json.loads(column.config),
        "unit": column.unit,
        "higher_is_better": column.higher_is_better,
        "ideal": column.ideal,
        "ranks": column.ranks,
        "exhibit": column.exhibit,
        "mean_optimal": column.mean_optimal,
        "definition": " ".join(column.definition.split()),
    }


def _row(board: Board, row: Row) -> dict[str, Any]:
    """A row, with a row of the same form for each of its seeds, if there are several."""
    record = row.record
    above = row.above_ceiling
    return {
        "label": row.label,
        "role": row.role,
        "rank": row.rank,
        "model": _plain(dict(record.model)) if not row.members else _common(row),
        "dtype": record.identity["dtype"],
        "seeds": [_plain(seed_of(each)) for each in row.records],
        "cells": [each.cell for each in row.records],
        "source": row.source,
        "below_floor": row.below_floor,
        "not_above_floor": row.not_above_floor,
        "above_ceiling": _plain(above._asdict()) if above else None,
        "headroom": _score(row.headroom),
        "scores": [_scored(board, row, column) for column in board.columns],
        "members": [_row(board, member) for member in row.members],
        **_facts(record),
    }


def _common(row: Row) -> dict[str, Any]:
    """The model of several seeds: their weights differ."""
    return {**_plain(dict(row.record.model)), "weights_sha256": None}


def _facts(record: Record) -> dict[str, Any]:
    about, training = record.about, training_of(record)
    machine = {"device": record.machine.get("device_name") or record.machine.get("device")}
    return {
        "learns": _plain(about.get("learns")),
        "trained": _plain(about.get("trained")),
        "training": _training(training) if training else None,
        "fit_s": _plain(record.cost.get("fit_s")),
        "parameters": _plain(record.cost.get("parameters")),
        "speed": _plain(
            {key: record.cost.get(key) for key in _SPEED} | machine | {"threads": record.machine.get("threads")}
        ),
        "assumptions": _plain(about.get("assumptions") or ""),
        "caveat": _plain(about.get("caveat") or ""),
        "not_computed": _plain(about.get("not_computed") or {}),
    }


def _training(training: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain(training.get(key)) for key in _TRAINING} | {"history": _plain(history_of(training))}


def _scored(board: Board, row: Row, column: Column) -> dict[str, Any] | None:
    score = row.scores.get(column)
    if score is None:
        return None
    curve = row.curve(column, board.n)
    return {
        **_score_of(score),
        "n": board.n,
        "per_step": _plain(curve.values) if curve else None,
        "per_step_stderr": _plain(curve.stderr) if curve else None,
    }


def _score(score: Score | None) -> dict[str, Any] | None:
    return None if score is None else _score_of(score)


def _score_of(score: Score) -> dict[str, Any]:
    return {key: _plain(float(value)) for key, value in score._asdict().items()}


def _plain(value: Any) -> Any:
    """As JSON has it: six significant digits, null for what is no number."""
    if isinstance(value, np.ndarray):
        return [_plain(each) for each in value.tolist()]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(value[key]) for key in value}
    if hasattr(value, "items"):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
