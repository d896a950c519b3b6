"""The datasets that take part: those asked for, or the one that the weights of the models name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..config import config_to_dict
from ..errors import ConfigError, UsageError, VpbenchError, WeightsError
from ..instances import blaming, configured, fingerprint_of, ids_of, one_line, open_dataset
from ..protocols import Dataset
from ..questions import why_no_truth
from ..registry import Provided, Registry
from ..settings import Settings
from ..specs import DatasetSpec, Weights
from ..suitability import shipped, small_sibling
from ..tasks import Task
from ..weights import WeightsFile
from .entrants import Entrant
from .request import Request


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A dataset that takes part."""

    provided: Provided[DatasetSpec]
    config: Any
    dataset: Dataset
    fingerprint: str

    @property
    def name(self) -> str:
        return self.provided.spec.name

    @property
    def frame_shape(self) -> tuple[int, ...]:
        return tuple(self.dataset.info.frame_shape)

    @property
    def trains(self) -> bool:
        """Whether there are clips to learn from; a published test file has none."""
        try:
            return len(ids_of(self.provided, self.dataset, "train", 1)) > 0
        except VpbenchError:
            return False

    def left_out(self, task: Task) -> str:
        """What of its files has no part in a task, in words; empty if nothing."""
        told = getattr(self.dataset, "left_out", None)
        if told is None:
            return ""
        with blaming(self.provided, "left_out()"):
            return one_line(told("test", n_frames=task.n_frames))

    def why_not(self, task: Task) -> str:
        """Why it has no clip for a task; empty if it has some."""
        longest = self.dataset.info.max_length
        if longest is not None and task.n_frames > longest:
            what = f"horizon {task.horizon}" if task.kind == "extrapolate" else str(task)
            return f"{what} needs {task.n_frames} frames, {self.name} has {longest}"
        if why_not := why_no_truth(task, self.dataset, self.name):
            return why_not
        if len(self.ids(task)):
            return ""
        if task.kind == "swap" and len(ids_of(self.provided, self.dataset, "test", task.n_frames)):
            return f"a swap is of two clips, {self.name} has one test clip of {task.n_frames} frames"
        left_out = self.left_out(task)
        return f"{self.name} has no test clip of {task.n_frames} frames{left_out and f' ({left_out})'}"

    def ids(self, task: Task) -> Sequence[int]:
        """Test clips that are long enough for a task, each a row of its result."""
        return task.rows(ids_of(self.provided, self.dataset, "test", task.n_frames))


@dataclass(frozen=True, kw_only=True)
class DatasetAsked:
    """A dataset that is to be evaluated on, or that nobody named and weights lead to."""

    provided: Provided[DatasetSpec]
    config: Mapping[str, Any] = field(default_factory=dict)  #: where no setting says otherwise
    note: str = ""  #: how it came to be chosen, where there is something to say


def datasets_of(
    request: Request, registry: Registry, entrants: Sequence[Entrant], settings: Settings
) -> list[DatasetAsked]:
    """The datasets asked for; where none is, the one that all weights were trained on, configured as it was then."""
    if request.datasets:
        return [DatasetAsked(provided=registry.dataset(name)) for name in dict.fromkeys(request.datasets)]
    asked = [each for each in entrants if each.asked]
    found = {
        each.name: trained_on
        for each in asked
        if (trained_on := _trained_on(each, request.context, registry, settings))
    }
    if not found:
        return [_dataset_nobody_names(asked, registry)]
    shared = [each for each in next(iter(found.values())) if all(each in others for others in found.values())]
    if not shared:
        raise UsageError(f"which dataset? {_disagreement(found)}; add --dataset NAME, with --set KEY=VALUE as needed")
    default = [each for each in shared if each.config == each.default]
    chosen = default[0] if default else shared[0]
    changed = {key: value for key, value in chosen.config.items() if chosen.default.get(key) != value}
    said = " ".join(f"{key}={json.dumps(value)}" for key, value in changed.items())
    note = f"{chosen.name} with {said}, as the weights of {', '.join(found)} were trained on" if said else ""
    return [DatasetAsked(provided=registry.dataset(chosen.name), config=chosen.config, note=note)]


@dataclass(frozen=True)
class TrainedOn:
    """What weights were trained on, but for what the user sets otherwise."""

    name: str
    config: Mapping[str, Any]
    default: Mapping[str, Any] = field(compare=False)  #: what it would be if the weights said nothing


def _trained_on(entrant: Entrant, context: int, registry: Registry, settings: Settings) -> list[TrainedOn]:
    """The datasets that a model has weights for: those given, else those in its wheel; none if it has none."""
    if entrant.weights is not None:
        named = [entrant.weights.header["dataset"]]
    else:
        own = shipped(entrant.spec, frame_shape=None, context=context) or entrant.spec.weights
        named = [_dataset_of_bundled(each) for each in own]
    found: list[TrainedOn] = []
    for was in named:
        provided = registry.dataset(was["name"])
        given = settings.of(provided)
        default = config_to_dict(configured(provided, given))
        try:
            config = config_to_dict(configured(provided, {**(was.get("config") or {}), **given}))
        except ConfigError as error:
            raise UsageError(
                f"which dataset? that of the weights of {entrant.name} is of another version ({error}); "
                "add --dataset NAME"
            ) from error
        each = TrainedOn(was["name"], config, default)
        found += [each] if each not in found else []
    return found


def _dataset_of_bundled(weights: Weights) -> Mapping[str, Any]:
    """Name and config of the dataset of weights that ship with a model; that they cannot be read is said elsewhere."""
    try:
        return WeightsFile.bundled(weights).header["dataset"]
    except WeightsError:
        return {"name": weights.dataset}


def _disagreement(found: Mapping[str, Sequence[TrainedOn]]) -> str:
    """Which weights are for what, as far as that differs."""
    every = [each for several in found.values() for each in several]
    keys = sorted({key for each in every for key in each.config})
    differing = [key for key in keys if len({json.dumps(each.config.get(key)) for each in every}) > 1]

    def told(each: TrainedOn) -> str:
        return " ".join(
            [each.name, *(f"{key}={json.dumps(each.config[key])}" for key in differing if key in each.config)]
        )

    return "; ".join(f"the weights of {name} are for {' or '.join(map(told, each))}" for name, each in found.items())


def _dataset_nobody_names(asked: Sequence[Entrant], registry: Registry) -> DatasetAsked:
    """For what is trained here the dataset that all installed weights are for. Raises UsageError."""
    there = ", ".join(registry.datasets()) or "none"
    if any(each.learns_here for each in asked):
        named = {weights.dataset for each in registry.models().values() for weights in each.spec.weights}
        if len(named) == 1:
            (name,) = named
            note = f"on {name}, which the weights of all installed models are for (--dataset names another)"
            return DatasetAsked(provided=registry.dataset(name), note=note)
    why = "the model has no weights that name one"
    for each in asked:
        if each.spec.learns == "weights" and not each.learns_here:
            sibling = small_sibling(each.spec, registry.models())
            why = f"{each.name} has no weights that name one: make some with vpbench train --model {each.name} ..., or "
            why += f"here with --train 20m{sibling and f'; {sibling}'}"
            break
    raise UsageError(f"which dataset? {why}; add --dataset NAME, installed: {there}")


def open_asked(asked: DatasetAsked, settings: Settings) -> Opened:
    provided = asked.provided
    config = configured(provided, {**asked.config, **settings.of(provided)})
    dataset = open_dataset(provided, config)
    fingerprint = fingerprint_of(provided, dataset, "test")
    return Opened(provided=provided, config=config, dataset=dataset, fingerprint=fingerprint)
