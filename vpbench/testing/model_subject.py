"""A model as the checks look at it: made as the harness makes it, and asked for a few frames of a few clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..batches import read_batch, to_frames, told
from ..errors import CellFailed, UsageError, VpbenchError
from ..evaluation import Cell, Evaluation
from ..instances import blaming, configured, ids_of, open_dataset
from ..protocols import Context, Dataset, DatasetInfo, Oracle
from ..registry import Provided
from ..settings import Settings
from ..specs import DatasetSpec, ModelSpec
from ..tasks import Task
from ..training import Budget, Trainer, TrainingRun
from ..weights import WeightsFile
from . import moving_patterns
from .check import NotApplicable, Violation, in_words

FrameShape = tuple[int, int, int]

#: What is tried, unless the dataset has less: enough for a batch to have an order and a rollout to have a beginning.
CLIPS, CONTEXT, HORIZON = 3, 4, 6
FIT_CLIPS = 16  #: that a model which learns statistics sees
SIDE = 16  #: pixels, of frames that neither weights nor dataset decide

#: How far two answers may be apart that the contract wants to be the same, where frames are 0 to 1: matrix products of
#: another shape add up in another order, and deep networks make the difference grow.
ALIKE = 1e-4

CPU = torch.device("cpu")


class Question(NamedTuple):
    """What a model is asked, and told for it."""

    context: Context
    target_times: Tensor  #: float64 (B, Tt)
    truth: Mapping[str, np.ndarray]  #: of the context frames: only ceilings are told

    def copied(self) -> Question:
        """The same in memory of its own."""
        given = self.context
        observed = None if given.observed is None else given.observed.clone()
        context = Context(given.frames.clone(), given.times.clone(), given.seeds.clone(), observed)
        return Question(context, self.target_times.clone(), {name: np.array(v) for name, v in self.truth.items()})

    def rows(self, rows: Sequence[int]) -> Question:
        """Some of the clips."""
        given, chosen = self.context, list(rows)
        observed = None if given.observed is None else given.observed[chosen]
        context = Context(given.frames[chosen], given.times[chosen], given.seeds[chosen], observed)
        return Question(
            context, self.target_times[chosen], {name: values[chosen] for name, values in self.truth.items()}
        ).copied()

    def turned(self) -> Question:
        """The same clips in the opposite order."""
        return self.rows(range(len(self.target_times))[::-1])

    def at(self, target_times: Tensor) -> Question:
        """The same clips at other times, float64 (B, Tt)."""
        return self._replace(target_times=target_times).copied()

    @property
    def asked_shape(self) -> tuple[int, ...]:
        """Of the answer: (B, Tt, C, H, W)."""
        return (*self.target_times.shape, *self.context.frames.shape[2:])

    def tensors(self) -> dict[str, Tensor]:
        """All that is given to the model, by name."""
        found = {
            "context.frames": self.context.frames,
            "context.times": self.context.times,
            "context.seeds": self.context.seeds,
            "target_times": self.target_times,
        }
        if self.context.observed is not None:
            found["context.observed"] = self.context.observed
        return found | {f"truth of {name}": torch.from_numpy(values) for name, values in self.truth.items()}


@dataclass(frozen=True)
class ModelSubject:
    """A model that is held against the rules, with one config and what it is tried on."""

    provided: Provided[ModelSpec]
    config: Any
    data: Provided[DatasetSpec]
    data_config: Any
    weights: WeightsFile | None  #: of the first that the plugin ships for such frames
    weights_error: str  #: why they cannot be used; empty if they can, or if there are none
    context: int  #: frames
    horizon: int  #: frames
    chosen: bool = False  #: the author named dataset or frame shape

    @classmethod
    def of(
        cls,
        provided: Provided[ModelSpec],
        settings: Sequence[str] = (),
        *,
        dataset: Provided[DatasetSpec] | None = None,
        frame_shape: FrameShape | None = None,
    ) -> ModelSubject:
        """
        settings     as of `--set`, for the model and the dataset that is named
        dataset      what it is tried on; None: patterns that move
        frame_shape  of those; None: that of the first weights it ships, else one channel (or the only number that the
                     model takes) of 16×16 pixels

        Raises UsageError, ConfigError, PluginError or DataError for what cannot be tried at all.
        """
        if dataset is not None and frame_shape is not None:
            raise UsageError(f"{dataset.spec.name} decides the frame shape: name one of them, not both")
        spec, given = provided.spec, Settings(settings)
        if dataset is None:
            shape = frame_shape or _usual_frame_shape(spec)
            data, data_config = moving_patterns.PROVIDED, moving_patterns.Config(*shape)
        else:
            data, data_config = dataset, configured(dataset, given.of(dataset))
        info = open_dataset(data, data_config).info
        _require_that_it_takes(spec, data.spec.name, info)
        weights, context, weights_error = _weights_for(provided, info.frame_shape)
        config = configured(provided, {**(weights.config if weights else {}), **given.of(provided)})
        given.check_all_used()
        horizon = HORIZON if info.max_length is None else min(HORIZON, info.max_length - context)
        if horizon < 1:
            raise UsageError(
                f"clips of {data.spec.name} have {info.max_length} frames, {spec.name} needs {context} of context and "
                "one to predict: try it on another dataset"
            )
        return cls(
            provided, config, data, data_config, weights, weights_error, context, horizon, bool(dataset or frame_shape)
        )

    @property
    def spec(self) -> ModelSpec:
        return self.provided.spec

    @property
    def frame_shape(self) -> FrameShape:
        return self.dataset.info.frame_shape

    @property
    def trained(self) -> bool:
        """Whether its predictions are more than those of random weights."""
        return self.weights is not None or self.spec.learns != "weights"

    @property
    def tried_on(self) -> str:
        """In words: clips, frames and weights."""
        channels, height, width = self.frame_shape
        weights = f", weights {self.weights.path.name}" if self.weights else ("" if self.trained else ", untrained")
        return (
            f"{CLIPS} clips of {self.data.spec.name}, {channels}×{height}×{width}, context {self.context}, "
            f"horizon {self.horizon}{weights}"
        )

    # ----------------------------------------------------------------------------------------------------- what is made

    @cached_property
    def dataset(self) -> Dataset:
        return open_dataset(self.data, self.data_config)

    @cached_property
    def split(self) -> str:
        """The first of test, val and train that has long enough clips."""
        for split in ("test", "val", "train"):
            if self._ids(split):
                return split
        raise UsageError(f"{self.data.spec.name} has no clip of {self.context + self.horizon} frames in any split")

    def _ids(self, split: str) -> list[int]:
        with blaming(self.data, "ids"):
            ids = ids_of(self.data, self.dataset, split, self.context + self.horizon)
            return [int(clip) for clip in ids[:CLIPS]]

    @property
    def ids(self) -> list[int]:
        return self._ids(self.split)

    def evaluation(self, dataset: Dataset | None = None, *, context: int | None = None) -> Evaluation:
        """The model made ready by the harness: built, weights in it or fitted, in eval mode. Raises CellFailed."""
        dataset = dataset or self.dataset
        cell = Cell(
            model=self.provided,
            config=self.config,
            weights=self.weights if dataset.info.frame_shape == self.frame_shape else None,
            dataset=self.data,
            dataset_config=self.data_config,
            fingerprint="",
            task=Task(context or self.context, self.horizon),
            clips=len(self.ids),
            split=self.split,
        )
        return Evaluation(cell, dataset, {}, device=CPU, batch_size=CLIPS, keep=CLIPS, fit_clips=FIT_CLIPS)

    @cached_property
    def made(self) -> Evaluation:
        """The one that rules share. NotApplicable where it cannot be made, which is a rule of its own."""
        if self.weights_error:
            raise NotApplicable("the weights it ships cannot be used, which is a rule of its own")
        try:
            return self.evaluation()
        except CellFailed as failure:
            raise NotApplicable(f"it cannot be made, which is a rule of its own ({failure})") from failure

    @property
    def model(self) -> Any:
        return self.made.model

    def trainer(
        self, *, updates: int = 10, data: Provided[DatasetSpec] | None = None, batch_size: int = CLIPS
    ) -> Trainer:
        """The harness's trainer of this model, before the first update. Raises VpbenchError.

        data  what it learns from; None: the dataset it is tried on
        """
        run = TrainingRun(
            model=self.provided,
            config=self.config,
            dataset=data or self.data,
            dataset_config=self.data_config,
            context=self.context,
            horizon=self.horizon,
            budget=Budget(updates=updates),
            output=Path("never-written.safetensors"),
            batch_size=batch_size,
        )
        return Trainer(run, quiet=True)

    @cached_property
    def batch_invariant(self) -> bool:
        """Whether each clip alone is what it is in the batch, at the plain times: where not, one rule is broken."""
        together, question = self.repeatable, self.question()
        try:
            alone = [self.answer(question.rows([row]), "asked for one clip") for row in range(len(together))]
        except Violation:
            return False
        return bool(((torch.cat(alone) - together).abs() <= ALIKE).all())

    def with_channels(self, channels: int) -> ModelSubject:
        """The same on moving patterns of this number of channels, without weights."""
        return self._on_patterns((channels, *self.frame_shape[1:]), self.context)

    def with_small_frames(self) -> ModelSubject:
        """The same on small moving patterns, without weights; itself where its author named what it is tried on."""
        if self.chosen or self.spec.datasets:
            return self
        return self._on_patterns((self.frame_shape[0], SIDE, SIDE), CONTEXT)

    def _on_patterns(self, shape: FrameShape, context: int) -> ModelSubject:
        return replace(
            self,
            data=moving_patterns.PROVIDED,
            data_config=moving_patterns.Config(*shape),
            weights=None,
            weights_error="",
            context=context,
        )

    # ---------------------------------------------------------------------------------------------------- what is asked

    def question(self, *, context: int | None = None, dataset: Dataset | None = None) -> Question:
        """The frames after the context of a few clips. Raises PluginError for a dataset that cannot say."""
        context = context or self.context
        steps = torch.arange(1, self.horizon + 1).expand(len(self.ids), -1)
        per_frame = frozenset(field.name for field in self.data.spec.truth if field.per == "frame")
        with blaming(self.data, f"reading {self.split} clips"):
            batch = read_batch(dataset or self.dataset, self.split, self.ids, context, steps, CPU, 0, per_frame)
        given, times = told(batch)
        return Question(given, times, batch.context_truth)

    def question_at(self, context_times: np.ndarray, target_times: np.ndarray) -> Question:
        """Context frames at these times, float64 (B, Tc), and targets at these, (B, Tt)."""
        asked = self.question()
        with blaming(self.data, f"reading {self.split} clips"):
            clips = self.dataset.clips(self.split, self.ids, context_times)
            frames = to_frames(clips.frames if clips.shown is None else clips.shown, CPU)
            observed = None if clips.observed is None else torch.from_numpy(np.array(clips.observed))
        if observed is not None:
            frames = torch.where(observed[:, :, None, None, None], frames, 0.0)
        context = Context(frames, torch.from_numpy(context_times), asked.context.seeds, observed)
        return Question(context, torch.from_numpy(target_times), dict(clips.truth)).copied()

    def ask(self, question: Question, model: Any = None) -> Any:
        """What the model answers, as it is, asked as the harness asks. Raises whatever the model raises."""
        model = self.model if model is None else model
        mode = torch.enable_grad() if self.spec.fits_at_test else torch.inference_mode()
        with mode:
            if isinstance(model, Oracle) and self.spec.role == "ceiling":
                return model.predict_knowing(question.context, question.target_times, truth=question.truth)
            return model.predict(question.context, question.target_times)

    def answer(self, question: Question, asked: str, model: Any = None) -> Tensor:
        """float32, as asked for, finite. Violation where it is not.

        asked  in words, for the message: "asked for one clip"
        """
        given = answered(lambda: self.ask(question.copied(), model), asked)
        if fault := form_fault(given, question) or value_fault(given):
            raise Violation(f"{asked}, {fault}")
        return given.detach().float()

    @cached_property
    def first(self) -> Tensor:
        """The answer to the plain question. NotApplicable where there is none, which is a rule of its own."""
        question = self.question()
        try:
            given = self.ask(question.copied())
        except (KeyboardInterrupt, NotApplicable):
            raise
        except BaseException as error:  # SystemExit too: research code calls sys.exit
            raise NotApplicable(f"it does not predict, which is a rule of its own ({in_words(error)})") from error
        if fault := form_fault(given, question) or value_fault(given):
            raise NotApplicable(f"{fault}, which is a rule of its own")
        return given.detach().float().clone()

    @cached_property
    def repeatable(self) -> Tensor:
        """The first answer. NotApplicable where the model gives another one when asked again: nothing to compare."""
        first, question = self.first, self.question()
        for asked in (question, question.turned(), question):
            again = self.answer(asked, "asked again")
        if not torch.equal(first, again):
            raise NotApplicable("it gives another answer when it is asked again, which is a rule of its own")
        return first


def _require_that_it_takes(spec: ModelSpec, data: str, info: DatasetInfo) -> None:
    """Raises UsageError for frames that the spec says it cannot do anything with."""
    if missing := sorted(info.needs - spec.capabilities):
        raise UsageError(
            f"{data} has frames at times of their own, {spec.name} does not say that it can do {', '.join(missing)}: "
            "try it on another dataset"
        )
    if spec.channels not in (None, info.frame_shape[0]):
        raise UsageError(
            f"{spec.name} takes frames of {spec.channels} channels, those of {data} have {info.frame_shape[0]}: try it "
            "on others"
        )


def _weights_for(provided: Provided[ModelSpec], shape: FrameShape) -> tuple[WeightsFile | None, int, str]:
    """The first weights that a plugin ships for such frames, their context, and why they cannot be used, if so."""
    for each in provided.spec.weights:
        if tuple(each.frame_shape) == shape:
            try:
                weights = WeightsFile.bundled(each)
                configured(provided, weights.config)
            except VpbenchError as error:
                return None, each.context, str(error)
            return weights, each.context, ""
    return None, CONTEXT, ""


def _usual_frame_shape(spec: ModelSpec) -> FrameShape:
    return spec.weights[0].frame_shape if spec.weights else (spec.channels or 1, SIDE, SIDE)


def answered(call: Any, asked: str) -> Any:
    """What a call returns; what it raises becomes a Violation that says what was asked."""
    try:
        return call()
    except (KeyboardInterrupt, NotApplicable, Violation):
        raise
    except BaseException as error:  # SystemExit too: research code calls sys.exit
        said = in_words(error)
        named = f"{type(error).__name__}: {said}" if isinstance(error, VpbenchError) else said
        raise Violation(f"{asked}, it raised {named}") from error


def form_fault(given: Any, question: Question) -> str:
    """What is wrong with type, shape and dtype of an answer; empty if nothing is."""
    return type_fault(given) or shape_fault(given, question.asked_shape) or dtype_fault(given)


def type_fault(given: Any) -> str:
    return "" if isinstance(given, Tensor) else f"it gave {_a(given)}, the contract is a torch tensor"


def shape_fault(given: Tensor, asked: tuple[int, ...]) -> str:
    return "" if given.shape == asked else f"it gave shape {tuple(given.shape)}, asked for {asked}"


def dtype_fault(given: Tensor) -> str:
    return "" if given.is_floating_point() else f"it gave {given.dtype}, the contract is floating point in [0, 1]"


def value_fault(given: Tensor) -> str:
    """Where an answer (B, Tt, C, H, W) is not finite; empty if it is everywhere."""
    finite = given.isfinite().flatten(2).all(dim=2)
    if finite.all():
        return ""
    clip, step = (~finite).nonzero()[0].tolist()
    return f"it gave NaN or infinity, first for clip {clip + 1} of {len(finite)} at step {step + 1}"


def _a(thing: Any) -> str:
    name = type(thing).__name__
    return "None" if thing is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
