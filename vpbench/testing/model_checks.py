"""What the contract asks of a model: `vpbench.protocols.Model` and what its spec declares, rule by rule.

It is tried on a few clips, made and asked as the harness makes and asks it, so the rules can find faults and cannot
prove that there are none. A model that breaks one rule is not to break all of them: where there is no answer to look
at, the others say so.
"""

from __future__ import annotations

import dataclasses
import math
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..batches import first_times
from ..codes import checked_codes, kinds_of
from ..codes import in_words as kinds_in_words
from ..config import config_to_dict, make_config
from ..errors import CellFailed, ConfigError, DataError, ModelFailed, PluginError, Refused, VpbenchError, WeightsError
from ..instances import config_class
from ..protocols import Clips, Coded, Context, Dataset, Fittable, Oracle, Sampler, Swappable, TrainBatch
from ..reach import modules_in
from ..specs import resolve
from ..training import Trainer, checked_loss
from ..weights import WeightsFile, load_into, save
from .check import NotApplicable, Rule, Violation, in_words
from .clock import an_hour_later
from .entry_module import check_light_entry_module as hold_light_entry_module
from .model_subject import (
    ALIKE,
    CPU,
    FIT_CLIPS,
    ModelSubject,
    Question,
    answered,
    dtype_fault,
    form_fault,
    shape_fault,
    type_fault,
    value_fault,
)

#: Share of the values that may be outside [0, 1] by more than the margin: a prediction is clamped before it is scored,
#: so a little costs nothing, and a lot is a forgotten sigmoid or frames of 0 to 255.
RANGE_MARGIN, RANGE_SHARE = 0.1, 0.01

SAMPLES = 3


# ------------------------------------------------------------------------------------------------- what its plugin says


def check_light_entry_module(subject: ModelSubject) -> None:
    """The entry module of its plugin imports vpbench and nothing heavy, so that listing plugins stays quick."""
    hold_light_entry_module(subject.provided)


def check_config_can_be_written_down(subject: ModelSubject) -> None:
    """Its config has defaults that work, and comes back the same from the form that records and weights keep."""
    found = config_class(subject.provided)
    if found is None:
        raise NotApplicable("it has nothing to configure")
    name = subject.spec.name
    written = config_to_dict(subject.config) | _places(subject.config)
    if (again := make_config(found, written, owner=name)) != subject.config:
        raise Violation(f"{subject.config} is {again} once it is written down and read")
    required = [
        field.name
        for field in dataclasses.fields(found)
        if field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if not required:
        make_config(found, {}, owner=name)


def _places(config: Any) -> dict[str, Any]:
    """The values that say where something is, which records leave out."""
    fields = [field for field in dataclasses.fields(config) if field.init and not field.metadata.get("identity", True)]
    return {field.name: getattr(config, field.name) for field in fields}


def check_bundled_weights(subject: ModelSubject) -> None:
    """The weights it ships are there, are the files that the spec names, for such frames, and fit the model."""
    spec = subject.spec
    if not spec.weights:
        raise NotApplicable("it ships no weights")
    for each in spec.weights:
        try:
            file = WeightsFile.bundled(each)
            if file.model != spec.name:
                raise Violation(f"{each.file} holds weights of {file.model!r}")
            for what, said, there in (
                ("frame_shape", tuple(each.frame_shape), file.frame_shape),
                ("context", each.context, file.context),
                ("dataset", each.dataset, file.header["dataset"]["name"]),
            ):
                if said != there:
                    raise Violation(f"{what} of {each.file} is {said} in the spec and {there} in the file")
            config = make_config(config_class(subject.provided), file.config, owner=spec.name)
            model = spec.load()(config, frame_shape=tuple(each.frame_shape), context_length=each.context)
            if not isinstance(model, nn.Module):
                raise Violation("it ships weights, so it must be a torch Module")
            load_into(model, file.path, sha256=file.sha256)
        except (WeightsError, ConfigError) as error:
            raise Violation(str(error)) from error


def check_importer_makes_up_nothing(subject: ModelSubject) -> None:
    """Its importer of published weights is there, and makes no tensor of a checkpoint that has none."""
    if subject.spec.importer is None:
        raise NotApplicable("it imports no published weights")
    try:
        importer = resolve(subject.spec.importer)
    except Exception as error:
        raise Violation(in_words(error)) from error
    try:
        made = importer({}, subject.config)
    except (KeyError, VpbenchError):  # that it misses something
        return
    except Exception as error:
        raise Violation(f"given no tensors it raised {in_words(error)}, which is no KeyError of a tensor") from error
    if not isinstance(made, dict):
        raise Violation(f"it gave {type(made).__name__}, the contract is a dict of tensors")
    if made:
        raise Violation(f"given no tensors it gave {next(iter(made))}")


def check_is_made(subject: ModelSubject) -> None:
    """The factory makes a model from config, frame_shape and context_length, and it learns what it is to learn."""
    try:
        _made(subject)
    except Violation as violation:
        if isinstance(violation.__cause__, WeightsError):
            raise NotApplicable("the weights it ships cannot be used, which is a rule of its own") from violation
        raise


def _made(subject: ModelSubject) -> Any:
    """A model of its own. Raises Violation."""
    if subject.weights_error:
        raise NotApplicable("the weights it ships cannot be used, which is a rule of its own")
    try:
        return subject.evaluation().model
    except CellFailed as failure:
        cause = failure.__cause__ or failure
        raise Violation(f"{failure.phase}: {in_words(cause)}") from cause


def check_has_what_it_declares(subject: ModelSubject) -> None:
    """What its spec declares has its method: "samples" sample, "swap" swap, statistics fit, and stats gives numbers."""
    spec, model = subject.spec, subject.model
    for declared, protocol, method in (
        ("samples" in spec.capabilities, Sampler, "sample"),
        ("swap" in spec.capabilities and not _is_told_of_swaps(subject), Swappable, "swap"),
        (spec.learns == "statistics", Fittable, "fit"),
    ):
        if declared and not isinstance(model, protocol):
            raise Violation(f"its spec says that it has {method}(), and it has not")


def check_stats_are_numbers(subject: ModelSubject) -> None:
    """stats() tells numbers by name."""
    told = getattr(subject.model, "stats", None)
    if told is None:
        raise NotApplicable("it has no stats()")
    subject.first  # noqa: B018 (they are those of the last prediction)
    found = answered(told, "after a prediction asked for its stats()")
    if not isinstance(found, Mapping):
        raise Violation(f"stats() gave {found!r:.60}, the contract is a mapping of names to numbers")
    for name, value in found.items():
        try:
            float(value)
        except (TypeError, ValueError):
            raise Violation(f"stats() gave {value!r:.60} for {name!r}, the contract is a number") from None


# ------------------------------------------------------------------------------------------------------- one prediction


def check_predicts(subject: ModelSubject) -> None:
    """Asked for the frames after the context, it gives a torch tensor."""
    question = subject.question()
    given = answered(lambda: subject.ask(question.copied(), subject.model), "asked for the next frames")
    if fault := type_fault(given):
        raise Violation(fault)


def check_shape(subject: ModelSubject) -> None:
    """A prediction is (B, Tt, C, H, W): a row per clip, a frame per time that was asked for."""
    question, given = _asked_plainly(subject)
    if fault := shape_fault(given, question.asked_shape):
        raise Violation(fault)


def check_dtype(subject: ModelSubject) -> None:
    """A prediction is of floating point numbers."""
    if fault := dtype_fault(_asked_plainly(subject)[1]):
        raise Violation(fault)


def check_finite(subject: ModelSubject) -> None:
    """A prediction has no NaN and no infinity in it."""
    question, given = _asked_plainly(subject)
    if form_fault(given, question):
        raise NotApplicable("its answer is not what was asked for, which is a rule of its own")
    if fault := value_fault(given):
        raise Violation(fault)


def check_range(subject: ModelSubject) -> None:
    """A prediction is nominally in [0, 1]: at most 1 in 100 values are outside by more than 0.1."""
    if not subject.trained:
        raise NotApplicable("its weights are untrained, so its values say nothing")
    values = subject.first
    share = float(((values < -RANGE_MARGIN) | (values > 1 + RANGE_MARGIN)).float().mean())
    if share > RANGE_SHARE:
        raise Violation(
            f"{share:.0%} of the values are outside [0, 1] by more than {RANGE_MARGIN}: from {float(values.min()):.3g} "
            f"to {float(values.max()):.3g}"
        )


def check_inputs_unchanged(subject: ModelSubject) -> None:
    """What it is given, it leaves as it is: frames, times, seeds, and truth where it is told that."""
    subject.first  # noqa: B018 (without an answer there is nothing to see)
    asked = subject.question()
    given = asked.copied()
    subject.ask(given)
    before = asked.tensors()
    for name, values in given.tensors().items():
        if not torch.equal(values, before[name]):
            raise Violation(f"{name} is changed by the prediction: work on a copy")


def check_memory_of_its_own(subject: ModelSubject) -> None:
    """A prediction shares memory with nothing: not with what it was made from, nor with the prediction after it."""
    subject.first  # noqa: B018
    question = subject.question()
    answer = subject.ask(question)
    for name, tensor in {**question.tensors(), **_kept_tensors(subject.model)}.items():
        if _memory(tensor) == _memory(answer):
            raise Violation(f"the prediction lies in the memory of {name}: give a copy, clone() makes one")
    kept = answer.clone()
    subject.ask(subject.question().turned())
    if not torch.equal(answer, kept):
        raise Violation("a prediction changes when the next one is made: it is to have memory of its own")


def check_no_graph(subject: ModelSubject) -> None:
    """A prediction carries no graph, which would keep all that it was made from in memory."""
    subject.first  # noqa: B018
    if subject.ask(subject.question()).requires_grad:
        raise Violation("the prediction requires gradients: detach() it")


def check_eval_mode(subject: ModelSubject) -> None:
    """All its parts are in eval mode when it predicts, and stay so: in train mode they would see their batch."""
    subject.first  # noqa: B018
    model = _made(subject)  # one of its own: train mode may leave a trace
    modules = modules_in(model)
    training: list[str] = []

    def note(module: nn.Module, _: Any) -> None:
        if module.training and _cares(module):
            training.append(type(module).__name__)

    watching = nn.modules.module.register_module_forward_pre_hook(note)
    try:
        first = subject.answer(subject.question(), "made anew", model).clone()
    finally:
        watching.remove()
    if subject.spec.fits_at_test:
        training.clear()  # it learns in predict, in which mode is its own affair
    training += [type(part).__name__ for module in modules for part in module.modules() if part.training]
    if training:
        raise Violation(
            f"a {training[0]} is in train mode: the harness finds what is in attributes, lists and dicts, at any "
            "depth, and what it put into eval mode is to stay there"
        )
    if not modules:
        raise NotApplicable("it has no torch modules")
    subject.repeatable  # noqa: B018 (what differs anyway says nothing of the mode)
    for module in modules:
        module.train()
        module.eval()
    again = subject.answer(subject.question(), "back from train mode", model)
    _require_alike(first, again, "in eval mode again, after train mode")


def _cares(module: nn.Module) -> bool:
    """Whether a mode may mean something to it: solvers wrap functions in modules that they make as they go."""
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    return bool(own) or type(module).__module__.startswith("torch.nn.")


# ------------------------------------------------------------------------------------------------------- the same again


def check_the_same_call_twice(subject: ModelSubject) -> None:
    """The same question has the same answer: nothing is drawn but from context.seeds, and no call leaves a trace."""
    subject.first  # noqa: B018
    question = subject.question()
    first = subject.answer(question, "asked again")
    for how in ("when it is asked again", "after others were asked for", "an hour later"):
        if how.startswith("after"):
            subject.answer(question.turned(), "asked for the same clips in the opposite order")
        torch.manual_seed(123_456_789)
        np.random.seed(123_456_789)
        random.seed(123_456_789)
        with an_hour_later() if how == "an hour later" else nullcontext():
            again = subject.answer(question, "asked again")
        _require_alike(first, again, how, exactly=True)
    _require_alike(subject.first, first, "when it is asked again", exactly=True)


def check_another_instance_answers_alike(subject: ModelSubject) -> None:
    """Made anew with the same seed it answers the same: untrained weights come from torch's generator alone."""
    first = subject.repeatable
    random.seed(987_654_321)
    np.random.seed(987_654_321)
    with an_hour_later():
        other = _made(subject)
    _require_alike(first, subject.answer(subject.question(), "made anew", other), "of another instance")


def check_batch_of_one(subject: ModelSubject) -> None:
    """A clip alone is predicted as well."""
    subject.first  # noqa: B018
    subject.answer(subject.question().rows([0]), "asked for one clip")


def check_batch_invariance(subject: ModelSubject) -> None:
    """The prediction of a clip depends on no other clip of its batch: alone, and in another order, it is the same."""
    question, together = subject.question(), subject.repeatable
    clips = range(len(together))
    if len(clips) < 2:
        raise NotApplicable(f"{subject.data.spec.name} has one clip that is long enough")
    _require_rows_alone(subject, question, together)
    turned = subject.answer(question.turned(), "asked for the same clips in the opposite order")
    _require_alike(together, turned[list(reversed(clips))], "in a batch of the opposite order")


# ---------------------------------------------------------------------------------------------------------------- times


def check_prefix_stability(subject: ModelSubject) -> None:
    """As its spec is prefix_stable, a longer horizon leaves the earlier frames alone."""
    if not subject.spec.prefix_stable:
        raise NotApplicable("its spec does not say prefix_stable")
    question, whole = subject.question(), subject.repeatable
    horizon = question.target_times.shape[1]
    if horizon < 2:
        raise NotApplicable(f"clips of {subject.data.spec.name} are too short for two horizons")
    for length in sorted({1, math.ceil(horizon / 2)} - {horizon}):
        part = subject.answer(question.at(question.target_times[:, :length]), f"asked for {length} frames")
        _require_alike(whole[:, :length], part, f"where {length} frames are asked for, not {horizon},")


def check_query_invariance(subject: ModelSubject) -> None:
    """As it can do "fractional", a frame at a time is the same, whatever other times before the last are asked for."""
    _require_capability(subject, "fractional")
    subject.repeatable  # noqa: B018
    question = subject.question()
    whole = question.target_times
    before = torch.cat([question.context.times[:, -1:], whole[:, :-1]], dim=1)
    between = before + 0.3 * (whole - before)
    dense = torch.stack([between, whole], dim=2).flatten(1)
    all_frames = subject.answer(question.at(dense), "asked for frames between the frames")
    last = dense.shape[1] - 1
    for said, places in (
        ("whole ones", range(1, last, 2)),
        ("those between", range(0, last, 2)),
        ("the first", [0]),
        ("none", []),
    ):
        chosen = [*places, last]  # always the last: that it may go is a rule of its own
        fewer = subject.answer(question.at(dense[:, chosen]), f"asked for {said} and the last")
        _require_alike(all_frames[:, chosen], fewer, f"where of the times before the last only {said} are asked for")


def check_before_context_end(subject: ModelSubject) -> None:
    """As it can do "before-context-end", it gives frames at the times of the context, and those after it."""
    _require_capability(subject, "before-context-end")
    subject.first  # noqa: B018
    question = subject.question()
    all_times = torch.cat([question.context.times, question.target_times], dim=1)
    subject.answer(question.at(all_times), "asked for frames at the times of the context")


def check_irregular_context(subject: ModelSubject) -> None:
    """As it can do "irregular-context", it takes context frames at odd times, of each clip others."""
    _require_capability(subject, "irregular-context")
    info, fractional = subject.dataset.info, "fractional" in subject.spec.capabilities
    subject.repeatable  # noqa: B018
    if info.irregular:
        question = subject.question()
    else:
        if not info.fractional and info.max_length is not None:
            raise NotApplicable(f"{subject.data.spec.name} has no frames that are not one period apart")
        question = subject.question_at(*_odd_times(subject, between=info.fractional, targets_between=fractional))
    together = subject.answer(question, "given context frames at odd times")
    if subject.batch_invariant:
        _require_rows_alone(subject, question, together)


def _odd_times(subject: ModelSubject, *, between: bool, targets_between: bool) -> tuple[np.ndarray, np.ndarray]:
    """Times of context and targets, of each clip others; between: also between the whole times."""
    drawn = np.random.default_rng(0)
    gaps = drawn.integers(1, 4, (len(subject.ids), subject.context + subject.horizon)).astype(np.float64)
    gaps[:, 1] = 2.0  # never all alike
    if between:
        gaps *= 0.5 + drawn.random(gaps.shape)
    times = gaps.cumsum(axis=1) - gaps[:, :1]
    context, targets = times[:, : subject.context], times[:, subject.context :]
    if not targets_between:
        targets = np.floor(context[:, -1:]) + 1 + np.arange(subject.horizon)
    return context, targets


def check_any_context_length(subject: ModelSubject) -> None:
    """As it can do "any-context-length", it takes one context frame, or more than it was built for."""
    _require_capability(subject, "any-context-length")
    subject.first  # noqa: B018
    longest = subject.dataset.info.max_length
    for length in sorted({1, subject.context - 1, subject.context + 2} - {0, subject.context}):
        if longest is None or length + subject.horizon <= longest:
            subject.answer(
                subject.question(context=length), f"given a context of {length}, built for {subject.context}"
            )


def check_missing_frames(subject: ModelSubject) -> None:
    """Told that context frames are missing it answers all the same; told that none is, as if it had not been told."""
    question, first = subject.question(), subject.repeatable
    if subject.context < 2:
        raise NotApplicable("it is built for one context frame, and one is always there")
    there = torch.ones(question.context.frames.shape[:2], dtype=torch.bool)
    missing = there.clone()
    missing[:, 1:] = torch.rand(missing[:, 1:].shape, generator=torch.Generator().manual_seed(0)) < 0.5
    missing[0, -1] = False
    for observed in (there, missing):
        frames = torch.where(observed[:, :, None, None, None], question.context.frames, 0.0)
        context = dataclasses.replace(question.context, frames=frames, observed=observed)
        told = question._replace(context=context)
        try:
            answer = subject.answer(told, "told which context frames are there")
        except Violation as violation:
            if isinstance(violation.__cause__, ModelFailed):
                raise NotApplicable(f"it says that it has no answer ({violation.__cause__})") from violation
            raise
        if observed is there and question.context.observed is None:
            _require_alike(first, answer, "told that all context frames are there,")


# ---------------------------------------------------------------------------------------------------- the whole harness


def check_no_access_to_the_future(subject: ModelSubject) -> None:
    """A prediction follows from the context alone: it stays the same where the frames after it are others."""
    subject.repeatable  # noqa: B018

    def predicted(dataset: Dataset) -> Tensor:
        try:
            kept = subject.evaluation(dataset)(subject.ids).kept
        except CellFailed as failure:
            raise Violation(f"in a run it fails: {in_words(failure.__cause__ or failure)}") from failure
        return torch.from_numpy(kept["predicted"])

    real = predicted(subject.dataset)
    if not torch.equal(real, predicted(subject.dataset)):
        raise NotApplicable("two runs give different predictions, which is a rule of its own")
    per_frame = frozenset(field.name for field in subject.data.spec.truth if field.per == "frame")
    other = predicted(OtherFuture(subject.dataset, subject.context, per_frame))
    _require_alike(real, other, "where the frames after the context are noise", exactly=True)


class OtherFuture:
    """A dataset whose clips go on as noise after the context, and whose truth there is of other values."""

    def __init__(self, dataset: Dataset, context: int, per_frame: frozenset[str]) -> None:
        self._dataset, self._context, self._per_frame = dataset, context, per_frame

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def clips(self, split: str, ids: Sequence[int], times: np.ndarray) -> Clips:
        """Of train the real ones: what a model learns from is not its future."""
        clips = self._dataset.clips(split, ids, times)
        if split == "train":
            return clips
        drawn, after = np.random.default_rng(1), slice(self._context, None)
        frames = np.array(clips.frames)
        noise = drawn.random(frames[:, after].shape, dtype=np.float32)
        frames[:, after] = (255 * noise).astype(np.uint8) if frames.dtype == np.uint8 else noise
        truth = {name: np.array(values) for name, values in clips.truth.items()}
        for name in truth.keys() & self._per_frame:
            truth[name][:, after] = truth[name][:, after][::-1, ::-1]
        return dataclasses.replace(clips, frames=frames, truth=truth)


def check_any_number_of_channels(subject: ModelSubject) -> None:
    """As its spec names no number of channels, it predicts frames of 3 where it was tried with 1, or of 1."""
    if subject.spec.channels is not None:
        raise NotApplicable(f"its spec says that it takes {subject.spec.channels} channels only")
    if subject.spec.datasets:
        raise NotApplicable(f"it is for {', '.join(subject.spec.datasets)} only")
    subject.first  # noqa: B018
    channels = 1 if subject.frame_shape[0] == 3 else 3
    other = subject.with_channels(channels)
    asked = f"given frames of {channels} channel{'s' * (channels > 1)}, as its spec names no number"
    try:
        model = other.evaluation().model
    except CellFailed as failure:
        raise Violation(f"{asked}, it cannot be made: {in_words(failure.__cause__ or failure)}") from failure
    other.answer(other.question(), asked, model)


def check_samples(subject: ModelSubject) -> None:
    """As it can do "samples", sample gives (n, B, Tt, C, H, W), drawn from context.seeds alone."""
    _require_capability(subject, "samples")
    subject.repeatable  # noqa: B018
    if not isinstance(subject.model, Sampler):
        raise NotApplicable("it has no sample(), which is a rule of its own")
    question = subject.question()

    def drawn(asked: Question) -> Tensor:
        given = answered(lambda: _sampled(subject.model, asked.copied()), f"asked for {SAMPLES} futures")
        wanted = (SAMPLES, *asked.asked_shape)
        if fault := type_fault(given) or shape_fault(given, wanted) or dtype_fault(given) or value_fault(given[0]):
            raise Violation(f"asked for {SAMPLES} futures, {fault}")
        return given.float()

    first = drawn(question)
    torch.manual_seed(123_456_789)
    _require_alike(first.flatten(0, 1), drawn(question).flatten(0, 1), "drawn again with the same seeds", exactly=True)
    for row in range(first.shape[1]) if subject.batch_invariant else ():
        alone = drawn(question.rows([row]))
        _require_alike(first[:, row], alone[:, 0], f"alone (clip {row + 1})")


def _sampled(model: Sampler, question: Question) -> Any:
    with torch.inference_mode():
        return model.sample(question.context, question.target_times, n=SAMPLES)


def check_swap(subject: ModelSubject) -> None:
    """As it can do "swap", swap gives frames as predict does, for the motion of one clip and the looks of another."""
    _swapped(subject, subject.question(), subject.question().turned().context, "asked for a swap")


def check_swap_of_a_clip_with_itself(subject: ModelSubject) -> None:
    """As it can do "swap", a clip that is to move as itself and to look like itself is what predict gives of it."""
    predicted, question = subject.repeatable, subject.question()
    try:
        given = _swapped(subject, question, question.context, "asked for a swap of clips with themselves")
    except Violation as fault:
        raise NotApplicable(f"{fault}, which is a rule of its own") from fault
    _require_alike(predicted, given, "of clips swapped with themselves")


def check_the_same_swap_twice(subject: ModelSubject) -> None:
    """As it can do "swap", the same swap has the same frames: nothing is drawn but from seeds."""
    _require_of_predict(subject, check_the_same_call_twice)
    question, looks, first = _plainly_swapped(subject)
    torch.manual_seed(987_654_321)  # another one than before
    again = _swapped(subject, question, looks.context, "asked for a swap again")
    _require_alike(first, again, "of a swap that is asked for again", exactly=True)


def check_swap_batch_invariance(subject: ModelSubject) -> None:
    """As it can do "swap", what comes of two clips depends on no others of their batch."""
    _require_of_predict(subject, check_the_same_call_twice, check_batch_of_one, check_batch_invariance)
    question, looks, together = _plainly_swapped(subject)
    if len(together) < 2:
        raise NotApplicable(f"{subject.data.spec.name} has one clip that is long enough")
    if not torch.equal(together, _plainly_swapped(subject)[2]):
        raise NotApplicable("a swap that is asked for again is another one, which is a rule of its own")
    for row in range(len(together)):
        alone = _swapped(subject, question.rows([row]), looks.rows([row]).context, "asked for a swap of one clip")
        _require_alike(together[row : row + 1], alone, f"of a swap alone (clip {row + 1})")


def check_swap_inputs_unchanged(subject: ModelSubject) -> None:
    """As it can do "swap", it leaves what it is given as it is, and its frames lie in memory of their own."""
    _require_of_predict(subject, check_inputs_unchanged, check_memory_of_its_own)
    question, looks, _ = _plainly_swapped(subject)
    given, shown = question.copied(), looks.copied()
    found = _asked_to_swap(subject, given, shown, "asked for a swap")
    for whose, now, before in (("dynamics", given, question), ("appearance", shown, looks)):
        for name, values in now.tensors().items():
            if not torch.equal(values, before.tensors()[name]):
                raise Violation(f"{name} of the {whose} is changed by the swap: work on a copy")
            if _memory(values) == _memory(found):
                raise Violation(f"the frames lie in the memory of {name} of the {whose}: clone() makes a copy")


def _require_of_predict(subject: ModelSubject, *rules: Callable[[ModelSubject], None]) -> None:
    """Raise NotApplicable where predict breaks the same rule: it is said once."""
    _require_capability(subject, "swap")
    for rule in rules:
        try:
            rule(subject)
        except Violation as fault:
            raise NotApplicable(f"predict breaks this rule, too ({fault})") from fault


def _plainly_swapped(subject: ModelSubject) -> tuple[Question, Question, Tensor]:
    """A question, one whose clips are looked like, and what comes of it. NotApplicable where that are no frames."""
    question, looks = subject.question(), subject.question().turned()
    try:
        return question, looks, _swapped(subject, question, looks.context, "asked for a swap")
    except Violation as fault:
        raise NotApplicable(f"{fault}, which is a rule of its own") from fault


def _swapped(subject: ModelSubject, question: Question, looks: Context, asked: str) -> Tensor:
    """Frames of a swap. Raises Violation where they are none, NotApplicable where it does not say that it can."""
    found = _asked_to_swap(subject, question.copied(), question._replace(context=looks).copied(), asked)
    return found.detach().float()


def _asked_to_swap(subject: ModelSubject, given: Question, shown: Question, asked: str) -> Tensor:
    """What swap() gives, as it gives it."""
    _require_capability(subject, "swap")
    subject.first  # noqa: B018
    if _is_told_of_swaps(subject):
        raise NotApplicable("it is a ceiling, and told the truth of the swapped clip: no swap() is asked for")
    if not isinstance(subject.model, Swappable):
        raise NotApplicable("it has no swap(), which is a rule of its own")
    mode = torch.enable_grad() if subject.spec.fits_at_test else torch.inference_mode()

    def swapped() -> Any:
        with mode:
            return subject.model.swap(given.context, shown.context, given.target_times)

    found = answered(swapped, asked)
    if fault := form_fault(found, given) or value_fault(found):
        raise Violation(f"{asked}, {fault}")
    frames: Tensor = found
    return frames


def _is_told_of_swaps(subject: ModelSubject) -> bool:
    """Whether of a swap it is told the truth, as `predict_knowing` is of any clip."""
    return subject.spec.role == "ceiling" and isinstance(subject.model, Oracle)


def check_codes(subject: ModelSubject) -> None:
    """codes() gives finite floating point (B, K) or (B, Tt, K) by name, of a clip alone as in a batch."""
    if not isinstance(subject.model, Coded):
        raise NotApplicable("it has no codes()")
    subject.first  # noqa: B018
    question = subject.question()
    together = _codes(subject, question, "asked for codes")
    for how, asked in (
        ("of one clip", question.rows([0])),
        ("at one target time", question.at(question.target_times[:, :1])),
    ):
        found = _codes(subject, asked, f"asked for codes {how}")
        if kinds_of(found) != kinds_of(together):
            raise Violation(
                f"codes {how} are {kinds_in_words(kinds_of(found))}, else {kinds_in_words(kinds_of(together))}"
            )
    for name, alone in _codes(subject, question.rows([0]), "asked for codes of one clip").items():
        apart = float((alone[0] - together[name][0]).abs().max())
        if apart > ALIKE * max(1.0, float(together[name].abs().max())):
            raise Violation(f"the code {name} of a clip alone is another one than in a batch: off by up to {apart:.3g}")


def _codes(subject: ModelSubject, question: Question, asked: str) -> dict[str, Tensor]:
    given = question.copied()
    mode = torch.enable_grad() if subject.spec.fits_at_test else torch.inference_mode()

    def coded() -> Any:
        with mode:
            return subject.model.codes(given.context, given.target_times)

    try:
        return checked_codes(answered(coded, asked), *question.target_times.shape)
    except PluginError as error:
        raise Violation(f"{asked}, {error}") from error


# ------------------------------------------------------------------------------------------------------------- learning


def check_fits_in_one_pass(subject: ModelSubject) -> None:
    """fit goes over the clips once, as they come: from a stream it learns what it learns from a list."""
    if subject.spec.learns != "statistics":
        raise NotApplicable("it learns no statistics")
    subject.repeatable  # noqa: B018
    streamed, listed = _unfitted(subject), _unfitted(subject)
    if not isinstance(streamed, Fittable):
        raise NotApplicable("it has no fit(), which is a rule of its own")
    clips = _some_clips(subject)
    answered(lambda: streamed.fit(iter(clips)), "given clips one after the other to fit")
    answered(lambda: listed.fit(clips), "given a list of clips to fit")
    question = subject.question()
    once, often = (subject.answer(question, "after fit", each) for each in (streamed, listed))
    _require_alike(often, once, "after a fit that could read its clips only once")


def _unfitted(subject: ModelSubject) -> Any:
    torch.manual_seed(0)
    return subject.spec.load()(subject.config, frame_shape=subject.frame_shape, context_length=subject.context)


def _some_clips(subject: ModelSubject) -> list[Clips]:
    """Two batches of training clips."""
    length = subject.context + subject.horizon
    ids = [int(clip) for clip in subject.dataset.ids("train", n_frames=length)[:FIT_CLIPS]]
    times = first_times(subject.dataset, "train", ids, length)
    half = (len(ids) + 1) // 2
    return [
        subject.dataset.clips("train", ids[part], times[part])
        for part in (slice(half), slice(half, None))
        if len(ids[part])
    ]


def check_can_be_trained(subject: ModelSubject) -> None:
    """The trainer takes it: a torch module with loss(), parameters, a finite state and, if any, its own optimisers."""
    _require_learning(subject)
    subject.made  # noqa: B018 (that it can be made is a rule of its own)
    try:
        subject.trainer()
    except (Refused, DataError) as error:
        raise NotApplicable(str(error)) from error  # of clips too short, or none to learn from
    except VpbenchError as error:
        raise Violation(str(error)) from error


def check_sampling(subject: ModelSubject) -> None:
    """sampling() gives a TrainTask that fits into the clips, from the first update to the last."""
    trainer = _trainer(subject)
    if not hasattr(trainer.model, "sampling"):
        raise NotApplicable("it has no sampling()")
    for update in (0, 1, 5, 9):
        try:
            trainer.task_at(update)
        except PluginError as error:
            raise Violation(f"at progress {trainer.progress_at(update):g}: {error}") from error


def check_loss(subject: ModelSubject) -> None:
    """loss() gives a finite scalar "loss" whose gradient is finite and reaches the optimiser that is about to step."""
    trainer = _trainer(subject)
    for update in (0, 9):
        batch, progress = _training_batch(trainer, update), trainer.progress_at(update)
        for part in trainer.optimisers:
            _require_gradient(trainer, batch, part, progress)


def _require_gradient(trainer: Trainer, batch: TrainBatch, part: str, progress: float) -> None:
    """Raises Violation where the loss of a part is no loss, or leads nowhere."""
    asked = f"asked for the loss of part {part!r} at progress {progress:g}"
    trainer.model.zero_grad(set_to_none=True)
    try:
        loss = checked_loss(answered(lambda: trainer.model.loss(batch, progress=progress, part=part), asked))
    except PluginError as error:
        raise Violation(f"{asked}: {error}") from error
    if not math.isfinite(loss.item()):
        raise Violation(f"{asked}, it gave {loss.item()}")
    answered(loss.backward, f"{asked}, and then for its gradient")
    parameters = [each for group in trainer.optimisers[part].param_groups for each in group["params"]]
    gradients = [each.grad for each in parameters if each.grad is not None]
    if not gradients:
        raise Violation(f"{asked}: it depends on no parameter of the optimiser {part!r}")
    if not all(bool(each.isfinite().all()) for each in gradients):
        raise Violation(f"{asked}: its gradient is not finite")


def check_optimisers_have_all_parameters(subject: ModelSubject) -> None:
    """Every parameter that wants a gradient is in an optimiser, or it would stay as it was drawn."""
    trainer = _trainer(subject)
    optimised = {
        id(each)
        for optimiser in trainer.optimisers.values()
        for group in optimiser.param_groups
        for each in group["params"]
    }
    left = [name for name, each in trainer.model.named_parameters() if each.requires_grad and id(each) not in optimised]
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise Violation(f"{left[0]}{more} is in no optimiser: add it, or freeze it with requires_grad_(False)")


def check_weights_keep_all_it_learns(subject: ModelSubject) -> None:
    """Two updates, saved to a file and loaded into a new model, give the predictions they gave before."""
    trainer = _trainer(subject)
    subject.repeatable  # noqa: B018
    try:
        for update in range(2):
            trainer.do_update(trainer.batch_at(update))
    except VpbenchError as error:
        raise NotApplicable(f"it cannot be trained, which is a rule of its own ({error})") from error
    question = subject.question()
    trained = trainer.model.eval()
    before = subject.answer(question, "after two updates", trained)
    torch.manual_seed(2)  # another start: what is not in the file would show
    fresh = subject.spec.load()(subject.config, frame_shape=subject.frame_shape, context_length=subject.context)
    state = {name: value.detach().clone() for name, value in trained.state_dict().items()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "two-updates.safetensors"
        save(file, state, {}, half=False)
        try:
            load_into(fresh, file)
        except WeightsError as error:
            raise Violation(f"loaded into a new model: {error}") from error
    after = subject.answer(question, "with the weights of a file", fresh.to(CPU).eval())
    hint = "is there something outside of parameters and buffers?"
    _require_alike(before, after, "with the weights of a file", hint=hint)


# --------------------------------------------------------------------------------------------------- looking and saying


def _asked_plainly(subject: ModelSubject) -> tuple[Question, Tensor]:
    """The plain question and what is given for it. NotApplicable where that is no tensor."""
    question = subject.question()
    model = subject.model
    try:
        given = answered(lambda: subject.ask(question.copied(), model), "asked for the next frames")
    except Violation as violation:
        raise NotApplicable(f"it does not predict, which is a rule of its own ({violation})") from violation
    if type_fault(given):
        raise NotApplicable("it gives no tensor, which is a rule of its own")
    return question, given


def _require_rows_alone(subject: ModelSubject, question: Question, together: Tensor) -> None:
    """Each clip is alone what it is in the batch. NotApplicable where one alone has no answer."""
    for row in range(len(together)):
        try:
            alone = subject.answer(question.rows([row]), "asked for one clip")
        except Violation as violation:
            raise NotApplicable(f"a clip alone has no answer, which is a rule of its own ({violation})") from violation
        _require_alike(together[row : row + 1], alone, f"alone (clip {row + 1})")


def _require_alike(first: Tensor, other: Tensor, how: str, *, exactly: bool = False, hint: str = "") -> None:
    """Frames (B, Tt, C, H, W). Raises Violation with the first clip and step that differ, and by how much."""
    limit = 0.0 if exactly else ALIKE
    apart = (first - other).abs().flatten(2).amax(dim=2)  # (B, Tt)
    if not (apart > limit).any():
        return
    clip, step = (apart > limit).nonzero()[0].tolist()
    which = f"clip {clip + 1}, " if len(first) > 1 else ""
    allowed = "" if exactly else f" ({limit:g} may be rounding)"
    raise Violation(
        f"the prediction {how} is another one: off by up to {float(apart.max()):.3g}{allowed}, first at {which}"
        f"step {step + 1}{hint and ': ' + hint}"
    )


def _require_capability(subject: ModelSubject, capability: str) -> None:
    if capability not in subject.spec.capabilities:
        raise NotApplicable(f"its spec does not say {capability!r}")


def _require_learning(subject: ModelSubject) -> None:
    if subject.spec.learns != "weights":
        raise NotApplicable("it learns no weights")


def _trainer(subject: ModelSubject) -> Trainer:
    """A trainer before its first update. NotApplicable where there is none to be had."""
    _require_learning(subject)
    try:
        return subject.trainer()
    except VpbenchError as error:
        raise NotApplicable(f"it cannot be trained, which is a rule of its own ({error})") from error


def _training_batch(trainer: Trainer, update: int) -> TrainBatch:
    try:
        return trainer.batch_at(update)
    except VpbenchError as error:
        raise NotApplicable(f"there is nothing to learn from, which is a rule of its own ({error})") from error


def _kept_tensors(model: Any) -> dict[str, Tensor]:
    """What a model keeps: parameters and buffers, and tensors that are attributes."""
    found = {
        f"its {name}": value for name, value in getattr(model, "__dict__", {}).items() if isinstance(value, Tensor)
    }
    for module in modules_in(model):
        found |= {f"its {name}": value for name, value in [*module.named_parameters(), *module.named_buffers()]}
    return found


def _memory(tensor: Tensor) -> int:
    """Where its memory begins; what is empty has none, so it is nobody else's."""
    return tensor.untyped_storage().data_ptr() or id(tensor)


MODEL_RULES: tuple[Rule, ...] = (
    check_light_entry_module,
    check_config_can_be_written_down,
    check_bundled_weights,
    check_importer_makes_up_nothing,
    check_is_made,
    check_has_what_it_declares,
    check_predicts,
    check_shape,
    check_dtype,
    check_finite,
    check_range,
    check_inputs_unchanged,
    check_memory_of_its_own,
    check_no_graph,
    check_eval_mode,
    check_stats_are_numbers,
    check_the_same_call_twice,
    check_another_instance_answers_alike,
    check_batch_of_one,
    check_batch_invariance,
    check_prefix_stability,
    check_query_invariance,
    check_before_context_end,
    check_irregular_context,
    check_any_context_length,
    check_missing_frames,
    check_no_access_to_the_future,
    check_any_number_of_channels,
    check_samples,
    check_swap,
    check_swap_of_a_clip_with_itself,
    check_the_same_swap_twice,
    check_swap_batch_invariance,
    check_swap_inputs_unchanged,
    check_codes,
    check_fits_in_one_pass,
    check_can_be_trained,
    check_sampling,
    check_loss,
    check_optimisers_have_all_parameters,
    check_weights_keep_all_it_learns,
)
