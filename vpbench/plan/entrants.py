"""The models that take part: those asked for, and the floors and ceilings that belong on every board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..config import did_you_mean
from ..errors import UsageError
from ..registry import Provided, Registry
from ..specs import ModelSpec
from ..trained import TrainRequest
from ..training import untrainable
from ..weights import WeightsFile
from .request import Request


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """A model that takes part."""

    provided: Provided[ModelSpec]
    name: str  #: as the user wrote it, which for a model in a file is the file
    asked: bool  #: False for floors and ceilings that the runner adds
    weights: WeightsFile | None  #: given with --weights
    seeds: tuple[int, ...]
    learns_here: bool = False  #: is trained in this run

    @property
    def spec(self) -> ModelSpec:
        return self.provided.spec


def entrants_of(request: Request, registry: Registry) -> list[Entrant]:
    """The models asked for, then the floors and ceilings that belong on every board."""
    asked = {name: registry.model(name) for name in dict.fromkeys(request.models)}
    weights = _weights_by_model([WeightsFile.open(path) for path in request.weights], list(asked.values()))
    learners = _learners(request.train, asked, weights) if request.train else ()
    entrants = [
        Entrant(
            provided=each,
            name=name,
            asked=True,
            weights=weights.get(each.spec.name),
            seeds=_unique(request.seeds),
            learns_here=name in learners,
        )
        for name, each in asked.items()
    ]
    for name, each in registry.models().items():
        if each.spec.role != "contender" and each not in asked.values():
            # One seed, and always the same: a floor is one row of a board, whatever seeds the others have.
            entrants.append(Entrant(provided=each, name=name, asked=False, weights=None, seeds=(0,)))
    return entrants


def check_learners(train: TrainRequest, asked: Mapping[str, Provided[ModelSpec]]) -> list[str]:
    """The names of the models to be trained. Raises UsageError where that makes no sense."""
    for name in train.models:
        if name not in asked:
            raise UsageError(
                f"train models: {name!r} is not asked for; {did_you_mean(name, asked)}{', '.join(asked)} is"
            )
        if why_not := untrainable(asked[name].spec):
            raise UsageError(f"train models: {why_not}")
    learners = list(train.models) or [name for name, each in asked.items() if not untrainable(each.spec)]
    if not learners:
        raise UsageError(f"nothing to train: {', '.join(asked)} learns no weights; leave out train")
    return learners


def _learners(
    train: TrainRequest, asked: Mapping[str, Provided[ModelSpec]], weights: Mapping[str, WeightsFile]
) -> list[str]:
    """The same, where none of them is given weights."""
    learners = check_learners(train, asked)
    for name in learners:
        if file := weights.get(asked[name].spec.name):
            raise UsageError(
                f"{name} is given weights ({file.path}) and is to be trained: leave out one of them "
                "(in a grid file, train.models says which models are trained)"
            )
    return learners


def _unique(seeds: Sequence[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(seeds))


def _weights_by_model(files: Sequence[WeightsFile], asked: Sequence[Provided[ModelSpec]]) -> dict[str, WeightsFile]:
    names = [each.spec.name for each in asked]
    found: dict[str, WeightsFile] = {}
    for file in files:
        if file.model not in names:
            raise UsageError(f"{file.path} holds weights of {file.model}, this run asks for {', '.join(names)}")
        if file.model in found:
            raise UsageError(f"two weights files of {file.model}: {found[file.model].path} and {file.path}; give one")
        found[file.model] = file
    return found
