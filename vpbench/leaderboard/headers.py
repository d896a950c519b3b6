"""What columns are called, and what marks a row."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..comparison import Column, Row, settings

BELOW, NOT_ABOVE, ABOVE = "▼ below floor", "▽ not above floor", "▲ above ceiling"
EXHIBIT = "⚠"


def column_names(columns: Sequence[Column]) -> list[str]:
    """``"psnr-pooled"``, with as much of the definition as tells two columns of one metric apart."""
    names = [column.metric for column in columns]
    for key, form in (
        ("convention", "{}"),
        ("version", "v{}"),
        ("distribution", "{}"),
        ("statistics", "of {}"),
        ("over_steps", "({} over steps)"),
        ("config", "{}"),
    ):
        told = {
            name: {getattr(c, key) for c, other in zip(columns, names, strict=True) if other == name} for name in names
        }
        names = [
            f"{name} {form.format(_plain(key, getattr(column, key)))}".rstrip() if len(told[name]) > 1 else name
            for column, name in zip(columns, names, strict=True)
        ]
    return names


def headers(columns: Sequence[Column]) -> list[str]:
    """``"psnr-pooled (dB) ↑"``; of what nobody should compare ``"simvp-v1-psnr (dB) ⚠"``."""
    return [
        f"{name}{f' ({column.unit})' if column.unit else ''} {EXHIBIT if column.exhibit else column.arrow}"
        for name, column in zip(column_names(columns), columns, strict=True)
    ]


def _plain(key: str, value: str | tuple[str, ...]) -> str:
    if key == "config":
        return settings(json.loads(str(value))) or "as configured by default"
    return value if isinstance(value, str) else ", ".join(value)


def origin(column: Column) -> str:
    """Whose definition a column is."""
    return f"version {column.version}, convention {column.convention}, {column.distribution}"


def row_name(row: Row) -> str:
    """The label of a row, its role unless it is a contender, and its marks."""
    role = "" if row.role == "contender" else f" ({row.role})"
    return " ".join([f"{row.label}{role}", *marks(row)])


def marks(row: Row) -> list[str]:
    """How a row stands to floor and ceiling, where there is something to be told."""
    told = [ABOVE] if row.above_ceiling else []
    return told + ([BELOW] if row.below_floor else [NOT_ABOVE] if row.not_above_floor else [])
