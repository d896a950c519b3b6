"""What is already on disk: cells that are done, or failed before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .. import errors
from ..errors import RecordError
from ..instances import Metrics
from ..results import Record, read_record
from .cells import Plan, Planned


def look_up(plan: Plan, planned: Planned) -> None:
    """Settle what is to become of a cell by the record that is there now."""
    planned.action, planned.reason, planned.also, planned.broken = "run", "", (), ()
    try:
        record = read_record(planned.path) if planned.path.exists() else None
    except RecordError as error:
        plan.notes.append(f"{error}: it is computed again")
        return
    if record is None:
        return
    if planned.training and planned.cell.weights is None:  # of its records there is only that of this training failing
        same = record.about.get("training") == planned.training.identity
        if record.status != "failed" or not same:
            return
    if record.status == "ok":
        planned.also = _also_held(plan, record)
        planned.broken = _broken_in(record, plan.metrics) if plan.request.rerun == "missing" else ()
        without = planned.not_computed.keys() | set(planned.broken)
        if plan.request.rerun != "all" and not planned.again and _holds_all(record, plan.metrics, without):
            planned.action = "done"
            for name in planned.broken:
                plan.notes.append(f"{name} failed on {planned.cell} before (--rerun failed tries again)")
    elif record.status == "failed" and plan.request.rerun == "missing" and not planned.again:
        planned.action, planned.reason = "failed before", _told(record.reason or {})


def _told(reason: Mapping[str, Any]) -> str:
    """The reason of a record as it was said when it happened; our own errors need no type."""
    kind = "" if hasattr(errors, str(reason.get("type"))) else f"{reason.get('type')}: "
    return f"{reason.get('phase')}: {kind}{reason.get('message')}"


def failed_at(version: str, why: str = "") -> str:
    """What a record says of a metric that failed when the others were measured."""
    return f"version {version} failed: {why}"


def _broken_in(record: Record, metrics: Metrics) -> tuple[str, ...]:
    """Metrics that failed when the record was made, at the version that is installed."""
    told = record.about.get("not_computed", {})
    return tuple(name for name, made in metrics.items() if str(told.get(name)).startswith(failed_at(made.spec.version)))


def _holds_all(record: Record, metrics: Metrics, without: Collection[str]) -> bool:
    """Whether a record holds every metric but these, at the installed version and in this config."""
    return all(
        name in record.scores
        and record.scores[name]["version"] == made.spec.version
        and record.scores[name].get("config", {}) == made.settings
        for name, made in metrics.items()
        if name not in without
    )


def _also_held(plan: Plan, record: Record) -> tuple[str, ...]:
    """What a record holds beside the metrics of the plan: computing it anew must not lose them."""
    names = sorted(record.scores.keys() - plan.metrics.keys())
    held = tuple(name for name in names if name in plan.others and not plan.others[name].why_not)
    for name in names:
        if name not in held:
            why = plan.others[name].why_not if name in plan.others else "is not installed"
            plan.notes.append(f"{record.path} holds {name}, which {why}: it is lost if the cell is computed again")
    return held
