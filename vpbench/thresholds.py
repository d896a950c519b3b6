"""Thresholds for the CI of a model: scores that a change must not fall short of.

``ssim=0.8`` of `--fail-under` is broken by a lower score, ``mse=0.02`` of `--fail-over` by a higher one; a score that
is just there keeps it. Where a score should be but there is none, the threshold is broken too: what was not measured
has not been reached.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .config import did_you_mean
from .errors import RecordError, UnknownName, UsageError
from .plan import Plan, Planned
from .results import Record, read_record

UNDER, OVER = "--fail-under", "--fail-over"


@dataclass(frozen=True)
class Threshold:
    """How bad a score may be."""

    metric: str
    bound: float
    option: str  #: UNDER: the score must not be less; OVER: not more

    def broken_by(self, value: float) -> bool:
        return value < self.bound if self.option == UNDER else value > self.bound


def thresholds_of(under: Sequence[str], over: Sequence[str], plan: Plan) -> tuple[Threshold, ...]:
    """The thresholds that ``"ssim=0.8"`` texts say, for a plan that measures these metrics.

    Raises UsageError for one that is no number, of a metric that the plan does not measure, or that fails what is
    better; UnknownName.
    """
    found: dict[tuple[str, str], Threshold] = {}
    for option, texts in ((UNDER, under), (OVER, over)):
        for text in texts:
            each = _threshold(option, text, plan)
            if found.setdefault((option, each.metric), each) != each:
                raise UsageError(f"{option} {each.metric} is given twice: say one value")
    return tuple(found.values())


def read_threshold(option: str, text: str) -> tuple[str, float]:
    """Metric and bound of ``"ssim=0.8"``. Raises UsageError."""
    metric, _, given = (part.strip() for part in text.partition("="))
    try:
        bound = float(given)
    except ValueError:
        bound = math.nan
    if not metric or not math.isfinite(bound):
        raise UsageError(f"{option} {text!r}: write it as metric=number, like {option} ssim=0.8")
    return metric, bound


def _threshold(option: str, text: str, plan: Plan) -> Threshold:
    metric, bound = read_threshold(option, text)
    made = plan.metrics.get(metric)
    if made is None:
        if metric in plan.others:
            raise UsageError(f"{option} {text}: {metric} is not measured by this command: add --metric {metric}")
        known = [*plan.metrics, *plan.others]
        raise UnknownName(f"{option} {text}: no metric {metric!r}; {did_you_mean(metric, known)}see vpbench plugins")
    spec = made.spec
    if spec.ideal is None and spec.higher_is_better != (option == UNDER):
        better, other = ("higher", UNDER) if spec.higher_is_better else ("lower", OVER)
        raise UsageError(f"{option} {text}: {better} {metric} is better, so use {other} {metric}={bound:g}")
    return Threshold(metric, bound, option)


def broken(held_to: Iterable[Threshold], plan: Plan) -> list[str]:
    """What broke thresholds, a line each: of the models asked for, at the horizons asked for, done now or before."""
    wanted = [cell for cell in plan.cells if cell.asked and cell.cell.task.horizon in plan.request.horizons]
    seeds = {planned.cell.seed for planned in wanted}
    lines = []
    for each in held_to:
        for planned in wanted:
            if said := why_broken(each, planned, _record(planned)):
                seed = f" (seed {planned.cell.seed})" if len(seeds) > 1 else ""
                lines.append(f"{each.metric} {said[0]}of {planned.cell}{seed} {said[1]}")
    return lines


def why_broken(threshold: Threshold, planned: Planned, record: Record | None) -> tuple[str, str] | None:
    """The value and what is wrong with it, in words; None where a record keeps to the threshold."""
    metric = threshold.metric
    if record is None or record.status != "ok":
        return "", f"was not measured: {_why_no_result(planned, record)}"
    score: Any = record.scores.get(metric)
    if score is None:
        return "", f"was not measured: {planned.not_computed.get(metric, 'its record does not hold it')}"
    if score["value"] is None or math.isnan(score["value"]):
        return "", "has no value: it applied to no clip"
    value = float(score["value"])
    if not threshold.broken_by(value):
        return None
    side = "under" if threshold.option == UNDER else "over"
    unit = f" {score['unit']}" if score["unit"] else ""
    return f"{told_apart(value, threshold.bound)}{unit} ", f"is {side} {threshold.bound:g}{unit}"


def _why_no_result(planned: Planned, record: Record | None) -> str:
    if planned.action == "refused":
        return planned.reason
    reason = (record.reason if record else None) or {}
    message = " ".join(str(reason.get("message", "")).split())
    return f"the cell failed in {reason.get('phase')}: {message}" if record else "there is no record of it"


def _record(planned: Planned) -> Record | None:
    try:
        return read_record(planned.path) if planned.path.exists() else None
    except RecordError:
        return None


def told_apart(value: float, bound: float) -> str:
    """With as few digits, from four on, as show that it is not the bound."""
    for digits in range(4, 17):
        text = f"{value:.{digits}g}"
        if float(text) != bound:
            return text
    return repr(value)
