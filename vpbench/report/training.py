"""Budget curves on the page: numbers for the charts, and the same as tables for whoever does not see or use these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..comparison import Row, listed
from ..leaderboard import BUDGET_CURVES, BudgetChart, BudgetTable, budget_charts, budget_tables
from .models import Model


@dataclass(frozen=True)
class TrainingTable:
    """Scores after equal budgets."""

    caption: str
    headers: tuple[str, ...]
    lines: tuple[tuple[Model, tuple[str, ...]], ...]  #: with the cells, of which the first is the name


@dataclass(frozen=True)
class TrainingView:
    """What the page shows of how the models of a board were trained."""

    charts: tuple[Mapping[str, Any], ...]  #: {title, lines: [{model, label, sequences, seconds, psnr}]}, for a script
    tables: tuple[TrainingTable, ...]
    explained: tuple[str, ...]  #: sentences


def training_view(rows: Sequence[Row], models: Mapping[tuple[str, str], Model]) -> TrainingView | None:
    """The budget curves of these rows; None where no record holds the history of its training."""
    charts = budget_charts(rows)
    if not charts:
        return None
    return TrainingView(
        charts=tuple(_chart(chart, models) for chart in charts),
        tables=tuple(_table(table, models) for chart in charts for table in budget_tables(chart)),
        explained=tuple(_explained(charts)),
    )


def _chart(chart: BudgetChart, models: Mapping[tuple[str, str], Model]) -> dict[str, Any]:
    return {
        "title": chart.title,
        "lines": [
            {
                "model": models[line.row.role, line.row.label].key,
                "label": line.label,
                "sequences": list(line.curve.sequences),
                "seconds": None if line.curve.seconds is None else list(line.curve.seconds),
                "psnr": [round(value, 4) for value in line.curve.psnr],
            }
            for line in chart.lines
        ],
    }


def _table(table: BudgetTable, models: Mapping[tuple[str, str], Model]) -> TrainingTable:
    lines = zip(table.lines, table.cells, strict=True)
    return TrainingTable(
        caption=table.caption,
        headers=table.headers,
        lines=tuple((models[line.row.role, line.row.label], cells) for line, cells in lines),
    )


def _explained(charts: Sequence[BudgetChart]) -> list[str]:
    """What has to be known to read the curves."""
    said = [f"{BUDGET_CURVES}."]
    if devices := sorted({device for chart in charts if len(chart.devices) > 1 for device in chart.devices}):
        named = listed([device or "an unknown one" for device in devices])
        said.append(f"Seconds are of different devices ({named}), so equal times are not equal budgets.")
    timed = [line.label for chart in charts for line in chart.lines if line.curve.seconds is not None]
    untimed = [line.label for chart in charts for line in chart.lines if line.curve.seconds is None]
    if timed and untimed:
        said.append(f"Not drawn over seconds, as these were not written down: {listed(untimed)}.")
    return said
