"""What a model is evaluated with: weights given, bundled or to be trained here, and which clips they saw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..contamination import seen
from ..errors import WeightsError
from ..instances import configured
from ..registry import Registry
from ..settings import Settings
from ..suitability import config_of, config_to_start_with, shipped, unsuited
from ..trained import Training, looked_up, weights_folder, weights_name
from ..training import Budget, TrainingRun, unfit
from ..weights import WeightsFile
from .cells import Plan
from .datasets import Opened
from .entrants import Entrant
from .refusals import refusal_of


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What a model is evaluated with."""

    config: Any
    weights: WeightsFile | None
    refusal: str  #: why it cannot do what is asked; empty: it can
    seen: str | None  #: of the test split by its weights, in words; None: not known
    training: Training | None = None  #: what makes its weights, where they are not there or not finished


def ready_by_seed(
    plan: Plan, opened: Opened, entrant: Entrant, settings: Settings, registry: Registry
) -> dict[int, Ready]:
    """What each seed of a model is evaluated with on a dataset."""
    if entrant.learns_here:
        return {seed: _trained(plan, opened, entrant, settings, registry, seed) for seed in entrant.seeds}
    config, weights, refusal = _made_ready(plan, opened, entrant, settings, registry)
    known = seen(weights.header, opened.provided, opened.dataset, "test", registry) if weights else ""
    if weights and known and not refusal:
        refusal = f"weights {weights.path} were trained on what {opened.name} tests with: {known}"
    return dict.fromkeys(entrant.seeds, Ready(config=config, weights=weights, refusal=refusal, seen=known))


def _trained(plan: Plan, opened: Opened, entrant: Entrant, settings: Settings, registry: Registry, seed: int) -> Ready:
    """A model with the weights of its training, or with the training that will make them."""
    request, asked = plan.request, plan.request.train
    assert asked is not None
    start = WeightsFile.open(asked.start) if asked.start else None
    config = config_to_start_with(entrant.provided, start, settings.of(entrant.provided))
    context = asked.context or request.context
    name = weights_name(entrant.spec.name, opened.name, context, seed)
    run = TrainingRun(
        model=entrant.provided,
        config=config,
        dataset=opened.provided,
        dataset_config=opened.config,
        context=context,
        horizon=asked.horizon_among(request.horizons),
        budget=Budget.parse(asked.budget),
        output=weights_folder(asked, request.results) / name,
        batch_size=asked.batch_size,
        seed=seed,
        precision=asked.precision,
        device=plan.device,
        start=start,
        slice=asked.parsed_slice,
        remedy="name another folder of weights in [train]",
    )
    place = (entrant.name, seed, opened.frame_shape)
    why_not = unsuited(entrant.spec, opened.name, opened.frame_shape, opened.name)
    if not why_not and not opened.trains and place in plan.learnt:
        return _learnt_elsewhere(plan, opened, entrant, plan.learnt[place], registry)
    if not why_not and not opened.trains:
        why_not = (
            f"{opened.name} has no training clips, and {entrant.spec.name} is trained on no other frames of this size"
        )
    if not why_not and context != request.context and "any-context-length" not in entrant.spec.capabilities:
        why_not = (
            f"{entrant.spec.name} is of one context length: it cannot learn from {context} frames for {request.context}"
        )
    if start and (so_far := start.part_of_training):
        why_not = f"{start.path}, which it starts from, is a snapshot of {so_far} updates: finish that training first"
    if why_not := why_not or unfit(run, opened.dataset):
        return Ready(config=config, weights=None, refusal=why_not, seen="")
    training = looked_up(run, opened.dataset)
    made = Ready(config=config, weights=training.weights, refusal="", seen="", training=training)
    plan.learnt.setdefault(place, made)
    return _unseen(made, opened, entrant, registry)


def _learnt_elsewhere(plan: Plan, opened: Opened, entrant: Entrant, made: Ready, registry: Registry) -> Ready:
    """For a dataset with nothing to learn from: what is trained on another one of the run, with frames of its size."""
    assert made.training is not None
    plan.notes.append(
        f"{entrant.spec.name} on {opened.name}: with weights trained on {made.training.run.dataset.spec.name}"
    )
    return _unseen(made, opened, entrant, registry)


def _unseen(made: Ready, opened: Opened, entrant: Entrant, registry: Registry) -> Ready:
    """What is trained here, refused where it would be tested on what it has learnt from."""
    training = made.training
    assert training is not None
    known = seen(training.header, opened.provided, opened.dataset, "test", registry)
    refusal = f"{entrant.spec.name} would be trained on what {opened.name} tests with: {known}" if known else ""
    return replace(made, seen=known, refusal=refusal, training=None if made.weights else training)


def _made_ready(
    plan: Plan, opened: Opened, entrant: Entrant, settings: Settings, registry: Registry
) -> tuple[Any, WeightsFile | None, str]:
    """Config and weights of a model for a dataset, and why it cannot do what is asked there (empty: it can)."""
    given = settings.of(entrant.provided, bare=entrant.asked)
    try:
        weights = entrant.weights or _bundled(plan, opened, entrant)
        config = config_of(entrant.provided, weights, given)
    except WeightsError as error:
        return configured(entrant.provided, given), None, str(error)
    if weights:
        _note_on(plan, entrant, weights)
    return config, weights, refusal_of(plan.request, opened, entrant, weights, settings, registry)


def _bundled(plan: Plan, opened: Opened, entrant: Entrant) -> WeightsFile | None:
    """The weights a plugin ships for this dataset; where nothing can be trained on it, any for such frames."""
    spec = entrant.spec
    fitting = shipped(spec, frame_shape=opened.frame_shape, context=plan.request.context)
    own = [each for each in fitting if each.dataset == opened.name]
    if not own and fitting and not opened.trains:
        plan.notes.append(f"{spec.name} on {opened.name}: with weights trained on {fitting[0].dataset}")
        return WeightsFile.bundled(fitting[0])
    return WeightsFile.bundled(own[0]) if own else None


def _note_on(plan: Plan, entrant: Entrant, weights: WeightsFile) -> None:
    """What is to be known about weights that work."""
    name, version = entrant.spec.name, weights.header["model"].get("version")
    if version is not None and version != entrant.spec.version:
        plan.notes.append(
            f"weights {weights.path} were trained with {name} {version}, now it is {entrant.spec.version}"
        )
    if len(entrant.seeds) > 1 and "samples" not in entrant.spec.capabilities:
        plan.notes.append(f"{name}: all seeds use the same weights, so they are no sign of what training again gives")
