"""Training as part of a run: which models are trained, how long, where their weights lie, and how far each has come.

Each model and seed has weights of its own, in one folder. What is finished there is kept, and a checkpoint is resumed;
so the command that trains and evaluates goes on after an interruption, and in slices, by being given again.
"""

from __future__ import annotations

import dataclasses
import gc
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from . import device as devices
from .config import did_you_mean
from .errors import StorageError, UsageError, VpbenchError
from .instances import fingerprint_of
from .progress import seconds
from .protocols import Dataset
from .training import Budget, Trainer, TrainingProgress, TrainingRun, all_learnt_from, progress_of
from .weights import WeightsFile

NEAR = 10  # steps; the training horizon where nobody says one: the longest asked for that is not beyond it
FOLDER = "weights"  # in the folder of records


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """How models of a run are to be trained: the table [train] of a grid file. Seeds and device are those of the run.

    What makes no sense is said by `check`, so that parts of it may come from different places.
    """

    budget: str = ""  #: of each model and seed: "20m", "5000updates", "48000sequences"
    slice: str = ""  #: no more than so long in one run, which then evaluates a snapshot; "": to the end
    context: int | None = (
        None  #: frames given in training, for models of any context length; None: as many as in the run
    )
    horizon: int | None = None  #: frames ahead to learn; None: see `horizon_among`
    start: Path | None = None  #: weights to start from, of the one model that is trained; None: drawn by the seed
    batch_size: int = 32
    precision: str = "float32"
    models: tuple[str, ...] = ()  #: those to train, by the names the run has; (): all that learn weights
    weights: Path | None = None  #: folder of weights and checkpoints; None: "weights" in the folder of records

    def but(self, **changes: Any) -> TrainRequest:
        """The same with what is not None changed."""
        return dataclasses.replace(self, **{name: value for name, value in changes.items() if value is not None})

    def check(self) -> None:
        """Raise UsageError for what makes no sense."""
        if not self.budget:
            raise UsageError("how long is to be trained? give a budget, like 20m or 48000sequences")
        Budget.parse(self.budget)
        try:
            self.parsed_slice  # noqa: B018
        except UsageError as error:
            raise UsageError(f"train slice: {error}") from None
        for name in ("context", "horizon", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"train {name} must be at least 1, got {value}")
        if self.precision not in devices.PRECISIONS:
            raise UsageError(f"train precision must be one of {', '.join(devices.PRECISIONS)}, got {self.precision!r}")

    @property
    def parsed_slice(self) -> Budget | None:
        return Budget.parse(self.slice) if self.slice else None

    def horizon_among(self, asked: Iterable[int]) -> int:
        """The training horizon: the one given, else the longest asked for up to `NEAR`, else the shortest."""
        if self.horizon is not None:
            return self.horizon
        near = [horizon for horizon in asked if horizon <= NEAR]
        return max(near) if near else min(asked)


_TYPES: Mapping[str, type] = {"context": int, "horizon": int, "batch_size": int, "models": str}  # of all others: text


def read_train(given: Any) -> dict[str, Any]:
    """Fields of a TrainRequest as people write them: a table, or a budget alone.

    Raises UsageError for an unknown key, or a value of a wrong type.
    """
    table = {"budget": given} if isinstance(given, str) else given
    if not isinstance(table, Mapping):
        raise UsageError(f"train must be a budget like '20m', or a table with one, got {given!r}")
    known = [each.name for each in dataclasses.fields(TrainRequest)]
    found: dict[str, Any] = {}
    for key, value in table.items():
        field = str(key).replace("-", "_")
        if field not in known:
            raise UsageError(f"train has no key {key!r}; {did_you_mean(str(key), known)}known: {', '.join(known)}")
        wanted = _TYPES.get(field, str)
        if field == "models":
            names = value if isinstance(value, list | tuple) else [value]
            if not all(isinstance(name, str) for name in names):
                raise UsageError(f"train {key} must be a list of str, got {value!r}")
            found[field] = tuple(names)
        elif field in ("weights", "start") and isinstance(value, str | Path):
            found[field] = Path(value)
        elif type(value) is not wanted:  # exactly: true is no int
            raise UsageError(f"train {key} must be {wanted.__name__}, got {value!r}")
        else:
            found[field] = value
    return found


# ------------------------------------------------------------------------------------------------------- one training


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training run that belongs to cells, and how far it has come."""

    run: TrainingRun
    dataset: Dataset
    fingerprint: str  #: of the train split
    progress: TrainingProgress

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the weights, and so what a record says where there are none yet."""
        return self.run.identity(self.fingerprint)

    @property
    def header(self) -> dict[str, Any]:
        """As much of the header of its weights as says what they are learnt from."""
        return {**self.identity, "learnt_from": all_learnt_from(self.run, self.dataset)}

    @property
    def weights(self) -> WeightsFile | None:
        """The finished weights; None where there are none yet."""
        return WeightsFile.open(self.run.output) if self.progress.finished else None

    @property
    def remaining_s(self) -> float | None:
        """Seconds it may still take in this run; None where its budget is no time."""
        budget, part = self.run.budget.seconds, self.run.slice
        if budget is not None and self.progress.total:
            budget *= 1 - self.progress.updates / self.progress.total
        bounds = [each for each in (budget, part.seconds if part else None) if each is not None]
        return min(bounds, default=None)

    def __str__(self) -> str:
        """ "latentode on moving-mnist 10→10, seed 0: 3 min in batches of 32, weights runs/weights/..." """
        run, there = self.run, self.progress
        text = f"{run.model.spec.name} on {run.dataset.spec.name} {run.context}→{run.horizon}, seed {run.seed}: "
        text += f"{in_words(run.slice)} of {in_words(run.budget)}" if run.slice else in_words(run.budget)
        if there.updates:
            text += f", from update {there.updates} of {there.total} on"
        return f"{text}, batches of {run.batch_size}, weights {run.output}"


def in_words(budget: Budget) -> str:
    """``"3 min"``, ``"5000 updates"``"""
    if budget.seconds is not None:
        return seconds(budget.seconds)
    what, n = ("update", budget.updates) if budget.sequences is None else ("sequence", budget.sequences)
    return f"{n} {what}{'s' * (n != 1)}"


def weights_folder(asked: TrainRequest, results: Path) -> Path:
    """Where weights are written. Raises StorageError where there is a file."""
    folder = asked.weights or results / FOLDER
    if folder.exists() and not folder.is_dir():
        raise StorageError(f"weights folder {folder} is a file: name another place")
    return folder


def weights_name(model: str, dataset: str, context: int, seed: int | str) -> str:
    """``"latentode-moving-mnist-10-seed0.safetensors"``"""
    return f"{model}-{dataset}-{context}-seed{seed}.safetensors"


def looked_up(run: TrainingRun, dataset: Dataset) -> Training:
    """A run with how far it has come. Raises UsageError where the weights of another run lie in its place."""
    fingerprint = fingerprint_of(run.dataset, dataset, "train")
    return Training(run=run, dataset=dataset, fingerprint=fingerprint, progress=progress_of(run, fingerprint))


def carry_out(training: Training, *, quiet: bool = False) -> WeightsFile:
    """Train, to the end or for a slice, and give back the weights. Raises VpbenchError."""
    run = training.run
    if run.budget.seconds is not None:
        run = dataclasses.replace(run, known_total=settled_total(run, training.fingerprint))
    _free_memory(run.device)
    with devices.random_numbers_kept(run.device):
        path = Trainer(run, quiet=quiet).train()
    _free_memory(run.device)
    return WeightsFile.open(path)


def _free_memory(device: torch.device) -> None:
    """Let go of what models and optimisers of trainings before left in cycles: on a GPU it is missing, and measured."""
    if device.type != "cpu":
        gc.collect()


def settled_total(run: TrainingRun, fingerprint: str) -> int | None:
    """Updates that the budget came to for another seed of a run: seeds of one method get the same number of them."""

    def name(seed: str) -> str:
        return weights_name(run.model.spec.name, run.dataset.spec.name, run.context, seed)

    there = [path.name for path in run.output.parent.iterdir()] if run.output.parent.is_dir() else []
    pattern = re.compile(re.escape(name("SEED")).replace("SEED", r"(\d+)") + r"(\.checkpoint)?")
    for seed in sorted({match[1] for each in there if (match := pattern.fullmatch(each))}):
        other = dataclasses.replace(run, seed=int(seed), output=run.output.with_name(name(seed)))
        with suppress(VpbenchError):  # of another method: then it settles nothing
            if total := progress_of(other, fingerprint).total:
                return total
    return None
