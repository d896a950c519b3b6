"""Budget curves: what trained weights had come to on the way, after so many sequences and so many seconds.

A point is a validation during training: clips of the val split, at the context and horizon of the training, predicted
by the moving average of the weights. Curves of trainings that were validated on something else never share a chart.
Records may say anything there, so only what is a number and goes on from what was before is taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..comparison import Row, settings, training_of
from ..results import canonical
from .numbers import DASH, duration, is_number, large
from .provenance import short_device

#: What a validation holds, in the order in which machines are told it.
_KEYS = ("update", "sequences", "seconds", "loss", "val_mse", "val_mse_first_10")

#: Tables say the score at these shares of the smallest budget.
_SHARES = (0.1, 0.25, 0.5, 1.0)

#: Trainings that end within this share of each other end at the same budget.
_SAME_END = 0.02

#: What a reader has to know of any point, for legends and captions.
BUDGET_CURVES = (
    "PSNR in dB during training, pooled over all clips and steps, measured on clips of the val split at the horizon of "
    "the training, of the moving average of the weights. The learning rate falls to the end of each budget, so a point "
    "on the way is below what a whole training of that length would reach: only ends of equal budgets compare methods"
)

#: The same in short, for what stands beside the numbers.
ON_THE_WAY = (
    "Measured during training, under a learning rate that falls to the end of each budget: a score on the way is below "
    "what a whole training of that length would reach."
)


@dataclass(frozen=True)
class BudgetCurve:
    """The validations of one training."""

    sequences: tuple[float, ...]  #: seen by then, increasing
    seconds: tuple[float, ...] | None  #: spent by then, increasing; None where some validation does not say
    psnr: tuple[float, ...]  #: dB


@dataclass(frozen=True)
class BudgetLine:
    """The curve of one row, or of one seed of it."""

    row: Row
    label: str
    device: str  #: that it was trained on; "" where that is not known
    curve: BudgetCurve


@dataclass(frozen=True)
class BudgetChart:
    """Curves of trainings that were validated on the same."""

    title: str  #: "moving-mnist 10→10, digits=2 frame_size=32"
    lines: tuple[BudgetLine, ...]

    @property
    def devices(self) -> list[str]:
        """The devices of those trainings that say their seconds."""
        return sorted({line.device for line in self.lines if line.curve.seconds is not None})


@dataclass(frozen=True)
class BudgetTable:
    """Scores after equal budgets: a line of cells per training, the first of which is its name."""

    caption: str
    headers: tuple[str, ...]
    lines: tuple[BudgetLine, ...]
    cells: tuple[tuple[str, ...], ...]


def history_of(training: Mapping[str, Any]) -> list[dict[str, int | float | None]]:
    """The validations of a training, in order, each {update, sequences, seconds, loss, val_mse, val_mse_first_10}.

    None stands where there is no number. Sequences that older weights do not say are updates times batch size.
    """
    found = []
    history = training.get("history")
    for entry in history if isinstance(history, list | tuple) else ():
        if isinstance(entry, Mapping):
            told = {key: entry[key] if is_number(entry.get(key)) else None for key in _KEYS}
            update, batch = told["update"], training.get("batch_size")
            if told["sequences"] is None and update is not None and is_number(batch):
                told["sequences"] = seen if is_number(seen := update * batch) else None
            found.append(told)
    return found


def curve_of(training: Mapping[str, Any]) -> BudgetCurve | None:
    """The budget curve of a training; None where it holds no validation."""
    points: list[tuple[float, float | None, float]] = []
    for entry in history_of(training):
        sequences, seconds, error = (entry[key] for key in ("sequences", "seconds", "val_mse"))
        if sequences is None or error is None or error <= 0:
            continue
        if sequences > (points[-1][0] if points else 0):
            points.append((sequences, seconds, -10 * math.log10(error)))
    if not points:
        return None
    times = tuple(seconds for _, seconds, _ in points if seconds is not None)
    timed = len(times) == len(points) and all(b > a for a, b in zip((0.0, *times), times, strict=False))
    return BudgetCurve(
        sequences=tuple(sequences for sequences, _, _ in points),
        seconds=times if timed else None,
        psnr=tuple(psnr for _, _, psnr in points),
    )


def budget_charts(rows: Sequence[Row]) -> list[BudgetChart]:
    """The budget curves of these rows, a line per seed, those together that were validated on the same."""
    groups: dict[str, list[BudgetLine]] = {}
    titles: dict[str, str] = {}
    for row in rows:
        for member in row.members or (row,):
            training = training_of(member.record)
            if (curve := curve_of(training)) is None:
                continue
            question = [training.get(key) for key in ("dataset", "context", "horizon")]
            titles.setdefault(canonical(question), _title(*question))
            device = short_device(training.get("device")) if isinstance(training.get("device"), str) else ""
            groups.setdefault(canonical(question), []).append(BudgetLine(row, member.label, device, curve))
    return [BudgetChart(titles[question], tuple(lines)) for question, lines in groups.items()]


def _title(dataset: Any, context: Any, horizon: Any) -> str:
    """``"moving-mnist 10→10, digits=2 frame_size=32"``."""
    told = dataset if isinstance(dataset, Mapping) else {}
    config = told.get("config")
    steps = "→".join(" ".join(str(each).split()) for each in (context, horizon) if each is not None)
    name = " ".join(part for part in (str(told.get("name") or "an unknown dataset"), steps) if part)
    return ", ".join(part for part in (name, settings(config) if isinstance(config, Mapping) else "") if part)


def budget_tables(chart: BudgetChart) -> list[BudgetTable]:
    """The scores after equal numbers of sequences, and, where all seconds are of one device, after equal seconds."""
    ends = [line.curve.sequences[-1] for line in chart.lines]
    tables = [
        _table(
            f"Validation PSNR (dB) of {chart.title} after so many sequences",
            chart.lines,
            [line.curve.sequences for line in chart.lines],
            [large(share * min(ends)) for share in _SHARES],
        )
    ]
    timed = [(line, line.curve.seconds) for line in chart.lines if line.curve.seconds is not None]
    if timed and len(chart.devices) == 1:
        least = min(seconds[-1] for _, seconds in timed)
        where = f" on {chart.devices[0]}" if chart.devices[0] else ""
        tables.append(
            _table(
                f"Validation PSNR (dB) of {chart.title} after so much time{where}",
                [line for line, _ in timed],
                [seconds for _, seconds in timed],
                [duration(share * least) for share in _SHARES],
            )
        )
    return tables


def _table(
    caption: str, lines: Sequence[BudgetLine], spent: Sequence[tuple[float, ...]], names: Sequence[str]
) -> BudgetTable:
    """Scores at the shares of the smallest budget that any has come to, and at the end of each where they end apart."""
    least, most = min(each[-1] for each in spent), max(each[-1] for each in spent)
    columns = {
        name: [_at(share * least, xs, line.curve.psnr) for line, xs in zip(lines, spent, strict=True)]
        for name, share in zip(names, _SHARES, strict=True)
        if any(xs[0] <= share * least for xs in spent)
    }
    if most > least * (1 + _SAME_END):
        columns["at its end"] = [line.curve.psnr[-1] for line in lines]
    cells = [
        (line.label, *(DASH if score is None else f"{score:.2f}" for score in scores))
        for line, *scores in zip(lines, *columns.values(), strict=True)
    ]
    return BudgetTable(caption, ("model", *columns), tuple(lines), tuple(cells))


def _at(x: float, xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """The curve at x, between two validations on the line between them; None before the first one."""
    if x < xs[0]:
        return None
    after = next((index for index, each in enumerate(xs) if each >= x), len(xs) - 1)
    if xs[after] <= x:
        return ys[after]
    share = (x - xs[after - 1]) / (xs[after] - xs[after - 1])
    return ys[after - 1] + share * (ys[after] - ys[after - 1])
