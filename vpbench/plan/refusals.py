"""Why a model cannot do what is asked, and what to do about it."""

from __future__ import annotations

import shlex

from ..in_time import BRIDGED, Blend
from ..registry import Registry
from ..settings import Settings
from ..specs import CAPABILITIES, ModelSpec
from ..suitability import misfit, shape_text, small_sibling, unsuited
from ..tasks import Task
from ..weights import WeightsFile
from .datasets import Opened
from .entrants import Entrant
from .request import Request


def able(spec: ModelSpec, task: Task, opened: Opened, blend: Blend | None) -> tuple[str, Blend | None]:
    """Why a model cannot do a task (empty: it can), and the fallback that it takes for that."""
    if spec.tasks and task.kind not in spec.tasks:
        return f"{spec.name} makes sense for {', '.join(spec.tasks)} only, not for {task.kind}", None
    missing = task.needs - spec.capabilities
    own = opened.dataset.info.needs - spec.capabilities
    bridged = missing | own <= BRIDGED and "before-context-end" not in task.needs  # what was given is no answer
    if blend and bridged and spec.role != "ceiling":  # of a ceiling it would be none
        return "", blend if missing | own else None
    if own:
        names = ", ".join(sorted(own))
        return f"{opened.name} has frames at times of their own, {spec.name} cannot do {names}{_way(bridged)}", None
    if missing:
        what = "; ".join(f"{name} ({CAPABILITIES[name]})" for name in sorted(missing))
        return f"{spec.name} cannot do {what}, which the task {task.kind} needs{_way(bridged)}", None
    return "", None


def _way(bridged: bool) -> str:
    """The way round, where there is one."""
    if not bridged:
        return ""
    return "; --in-time linear or nearest approximates it from whole steps, and the row says so"


def refusal_of(
    request: Request,
    opened: Opened,
    entrant: Entrant,
    weights: WeightsFile | None,
    settings: Settings,
    registry: Registry,
) -> str:
    """Why this model cannot work on this dataset; empty if it can."""
    spec, shape, context = entrant.spec, opened.frame_shape, request.context
    if why_not := unsuited(spec, opened.name, shape, opened.name):
        return why_not
    if spec.learns == "statistics" and not opened.trains:
        return f"{spec.name} learns from training clips, {opened.name} has none"
    if weights is not None:
        return misfit(spec, weights, shape, context, opened.name)
    if spec.learns == "weights" and not request.allow_untrained:
        remedy = _remedy(request, opened, entrant, settings)
        sibling = small_sibling(spec, registry.models())
        lacking = f"{spec.name} has no weights for {opened.name} {shape_text(shape)} with context {context}"
        return "; ".join(filter(None, [lacking, sibling, remedy]))
    return ""


def _remedy(request: Request, opened: Opened, entrant: Entrant, settings: Settings) -> str:
    """How to come by weights: the exact command, and the option that then uses them."""
    if not opened.trains:
        return "it has no training clips: give weights trained on other clips of this size with --weights FILE"
    words = ["vpbench", "train", "--model", entrant.name, "--dataset", opened.name]
    for line in settings.lines_for(entrant.spec.name, opened.name):
        words += ["--set", line]
    output = f"{entrant.spec.name}-{opened.name}-{request.context}.safetensors"
    words += ["--context", str(request.context), "--horizon", str(max(request.horizons))]
    words += ["--budget", "20m", "--output", output]
    return (
        f"train them: {shlex.join(words)}   then add --weights {output} "
        "(or train them in this run with --train 20m, or --allow-untrained)"
    )
