"""The plan itself, put together of entrants, datasets and tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .. import device as devices
from ..errors import DataError, PluginError, StorageError, UsageError, VpbenchError
from ..evaluation import Cell, fitted_on
from ..in_time import BLENDS, Blend
from ..registry import Registry
from ..results import record_path
from ..settings import Settings
from ..specs import ModelSpec
from ..tasks import Task, reported
from .cells import Plan, Planned
from .datasets import Opened, datasets_of, open_asked
from .entrants import Entrant, entrants_of
from .metrics import metrics_of, not_computable
from .readiness import ready_by_seed
from .recorded import look_up
from .refusals import able
from .request import Request


def make_plan(request: Request, registry: Registry, *, shorter: bool = True) -> Plan:
    """What will be run, what is done, what cannot work and why.

    shorter  the reporting horizons on the way to the longest come along

    Raises VpbenchError for a request without sense.
    """
    if request.results.exists() and not request.results.is_dir():
        raise StorageError(f"results folder {request.results} is a file: name another place")
    device = devices.resolve(request.device)
    entrants = entrants_of(request, registry)
    settings = Settings(request.settings)
    datasets = datasets_of(request, registry, entrants, settings)
    metrics, others, notes = metrics_of(request, registry, settings)
    plan = Plan(request=request, device=device, metrics=metrics, others=others, notes=notes, shorter=shorter)
    plan.notes += [each.note for each in datasets if each.note]
    there: list[Opened] = []
    for each in datasets:
        try:
            there.append(open_asked(each, settings))
        except (PluginError, DataError) as error:
            plan.failures.append(error)
    if request.train is not None:  # what is learnt from comes first: the others may need its weights
        there.sort(key=lambda opened: not opened.trains)
    for opened in there:
        try:
            plan.cells += _cells_with(plan, opened, entrants, settings, registry)
        except (PluginError, DataError) as error:
            plan.failures.append(error)
    if plan.failures and not any(planned.asked for planned in plan.cells):
        raise plan.failures[0]
    settings.check_all_used()
    if request.keep_predictions and plan.count("done"):
        plan.notes.append("of cells that are done no predictions are kept now; --rerun all computes them again")
    return plan


def _cells_with(
    plan: Plan, opened: Opened, entrants: Sequence[Entrant], settings: Settings, registry: Registry
) -> list[Planned]:
    """The cells of one dataset."""
    plan.datasets[opened.name] = opened.dataset
    longest = max(plan.request.horizons)
    told = {name: not_computable(made, opened.provided, opened.dataset, longest) for name, made in plan.metrics.items()}
    reasons = {name: why for name, why in told.items() if why}
    if reasons.keys() == plan.metrics.keys():
        why = "; ".join(f"{name} {why}" for name, why in reasons.items())
        raise UsageError(f"no metric can be computed on {opened.name}: {why}")
    return _cells_on(plan, opened, entrants, settings, registry)


def _cells_on(
    plan: Plan, opened: Opened, entrants: Sequence[Entrant], settings: Settings, registry: Registry
) -> list[Planned]:
    """The cells of one dataset. Floors come along where something asked for can work: alone they say nothing."""
    cells: list[Planned] = []
    tasks = _tasks(plan, opened)
    for entrant in entrants:
        if not entrant.asked and not _made_for(entrant.spec, opened, tasks[0], plan.request.blend):
            continue
        try:
            cells += _cells_of(plan, opened, entrant, settings, registry)
        except VpbenchError as error:
            if entrant.asked and isinstance(error, PluginError):
                plan.failures.append(error)  # of other models there may be cells all the same
                continue
            if entrant.asked:
                raise
            plan.notes.append(f"left out: {error}")  # nobody asked for it, so it must not cost the run
    works = {planned.cell.task for planned in cells if planned.asked and planned.action != "refused"}
    return [planned for planned in cells if planned.asked or planned.cell.task in works]


def _made_for(spec: ModelSpec, opened: Opened, task: Task, blend: Blend | None) -> bool:
    """Whether a model that nobody asked for makes sense here: an oracle knows one generator, and not all times."""
    return (not spec.datasets or opened.name in spec.datasets) and not able(spec, task, opened, blend)[0]


def _cells_of(
    plan: Plan, opened: Opened, entrant: Entrant, settings: Settings, registry: Registry
) -> Iterator[Planned]:
    """The cells of one model on one dataset."""
    request = plan.request
    ready = ready_by_seed(plan, opened, entrant, settings, registry)
    for task in _tasks(plan, opened):
        cannot = opened.why_not(task)
        available = 0 if cannot else len(opened.ids(task))
        reasons = {
            name: not_computable(made, opened.provided, opened.dataset, task.horizon)
            for name, made in plan.metrics.items()
        }
        left_out = opened.left_out(task)
        if left_out and not cannot:
            plan.notes.append(f"{opened.name} {task}: {left_out}")
        if 0 < available < request.clips:
            plan.notes.append(f"{opened.name} has {available} test clips of {task.n_frames} frames; all are used")
        for seed, made in ready.items():
            why_not, blend = able(entrant.spec, task, opened, request.blend)
            why_not = cannot or made.refusal or why_not
            cell = Cell(
                model=entrant.provided,
                config=made.config,
                weights=made.weights,
                dataset=opened.provided,
                dataset_config=opened.config,
                fingerprint=opened.fingerprint,
                fitted_on=None if why_not else fitted_on(entrant.provided, opened.provided, opened.dataset),
                task=task,
                clips=min(request.clips, available or request.clips),
                seed=seed,
                precision=request.precision,
                seen=made.seen,
                in_time=None if why_not else blend,
            )
            if cell.in_time:
                plan.notes.append(f"{cell}: frames at these times are {BLENDS[cell.in_time]}")
            if cell.zero_shot:
                plan.notes.append(f"{cell}: {cell.zero_shot}")
            planned = Planned(cell, record_path(request.results, cell.identity), "run", asked=entrant.asked)
            planned.left_out = left_out
            planned.not_computed = {name: why for name, why in reasons.items() if why}
            planned.training = made.training
            if why_not:
                planned.action, planned.reason = "refused", why_not
            else:
                look_up(plan, planned)
            yield planned


def _tasks(plan: Plan, opened: Opened) -> list[Task]:
    """What is asked for, and the reporting horizons on the way to the longest that the dataset has."""
    request, asked = plan.request, plan.request.horizons
    works = [h for h in asked if not opened.why_not(request.task_of(h)) and request.task_of(h).grows]
    return [request.task_of(h) for h in sorted({*asked, *(reported(works) if plan.shorter else ())})]
