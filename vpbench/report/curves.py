"""Scores per step, as numbers for the charts of a board."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..comparison import Board, Column
from .models import Model
from .view import Heading


def curves(
    board: Board, names: Mapping[Column, Heading], models: Mapping[tuple[str, str], Model]
) -> list[dict[str, Any]]:
    """A chart per column that any row has a curve of: {column, title, unit, arrow, lines: [{model, value, stderr}]}.

    A line per seed. Only curves over just the clips that the board compares; null where there is no value.
    """
    charts = []
    for column in board.columns:
        heading = names[column]
        lines = [
            {
                "model": models[row.role, row.label].key,
                "value": _short(curve.values, 6),
                "stderr": _short(curve.stderr, 3),
            }
            for row in board.rows
            for member in row.members or (row,)
            if (curve := member.curve(column, board.n)) is not None
        ]
        if lines:
            charts.append(
                {
                    "column": heading.key,
                    "title": heading.name,
                    "unit": heading.unit,
                    "arrow": heading.arrow,
                    "lines": lines,
                }
            )
    return charts


def without_curves(board: Board) -> list[str]:
    """Labels of rows whose curves are over other clips than the board compares, so that they are not drawn."""
    return [
        row.label
        for row in board.rows
        if any(row.record.scores[column.metric]["per_step"] for column in row.scores)
        and not any(member.curve(column, board.n) for column in row.scores for member in row.members or (row,))
    ]


def _short(values: np.ndarray, digits: int) -> list[float | None]:
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values.tolist()]
