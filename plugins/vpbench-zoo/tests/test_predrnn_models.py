"""PredRNN, PredRNN++ and PredRNN-V2 as models of the harness: sizes, loss, what training shows, precision, refusals."""

from __future__ import annotations

import copy
import functools
from typing import Any

import pytest
import torch
import vpbench_zoo.predrnn_family as family
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from vpbench_zoo.predrnn import PredRNN
from vpbench_zoo.predrnn_config import (
    PredRNNConfig,
    PredRNNPPConfig,
    PredRNNV2Config,
    SmallPredRNNConfig,
    SmallPredRNNPPConfig,
    SmallPredRNNV2Config,
)
from vpbench_zoo.predrnn_family import Family
from vpbench_zoo.predrnn_pp import PredRNNPP
from vpbench_zoo.predrnn_v2 import PredRNNV2

from vpbench import Context, TrainBatch, TrainTask
from vpbench.errors import ModelFailed, Refused

KINDS: dict[str, tuple[type[Family], type, type]] = {
    "predrnn": (PredRNN, PredRNNConfig, SmallPredRNNConfig),
    "predrnn-pp": (PredRNNPP, PredRNNPPConfig, SmallPredRNNPPConfig),
    "predrnn-v2": (PredRNNV2, PredRNNV2Config, SmallPredRNNV2Config),
}
each_kind = pytest.mark.parametrize("kind", KINDS)
TINY: dict[str, Any] = {"hidden": 4, "layers": 2, "kernel": 3, "patch": 2}


def made(kind: str, *, shape: tuple[int, int, int] = (1, 6, 8), **options: Any) -> Family:
    torch.manual_seed(0)
    factory, config, _ = KINDS[kind]
    model = factory(config(**TINY | options), frame_shape=shape, context_length=3)
    with torch.no_grad():
        for parameter in model.parameters():  # large enough for what is fed to matter
            parameter.uniform_(-0.5, 0.5)
    return model


def clips(
    batch: int = 2, context: int = 3, horizon: int = 4, shape: tuple[int, int, int] = (1, 6, 8), update: int = 0
) -> TrainBatch:
    torch.manual_seed(1)
    frames = torch.rand(batch, context + horizon, *shape)
    times = torch.arange(context + horizon, dtype=torch.float64).expand(batch, -1)
    given = Context(frames[:, :context], times[:, :context], torch.arange(batch))
    return TrainBatch(given, times[:, context:], frames[:, context:], update)


def next_frames(model: Family, batch: TrainBatch) -> Tensor:
    """Predictions of frames 2 to the last by `predict` alone: where the context has been fed, what was predicted is."""
    frames, times = batch.context.frames, batch.context.times
    found = []
    with torch.no_grad():
        for known in range(1, frames.shape[1]):
            shown = Context(frames[:, :known], times[:, :known], batch.context.seeds)
            found.append(model.predict(shown, times[:, known : known + 1]))
        found.append(model.predict(batch.context, batch.target_times))
    return torch.cat(found, dim=1)


# --------------------------------------------------------------------------------------------------------------- sizes


def parameters(model: Family) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("kind", "count"), [("predrnn", 23_838_720), ("predrnn-pp", 35_307_520), ("predrnn-v2", 23_855_104)]
)
def test_the_full_size_is_the_published_one(kind: str, count: int) -> None:
    factory, config, _ = KINDS[kind]
    with torch.device("meta"):
        model = factory(config(), frame_shape=(1, 64, 64), context_length=10)
    assert parameters(model) == count
    if kind == "predrnn-pp":  # what OpenSTL reports has a convolution of c and m in each cell that is never used
        assert count + 4 * (2 * 128 * 128 * 5 * 5) == 38_584_320


@each_kind
def test_the_small_size_costs_what_the_other_small_models_do(kind: str) -> None:
    factory, _, small = KINDS[kind]
    model, frames = factory(small(), frame_shape=(1, 32, 32), context_length=10), torch.rand(1, 10, 1, 32, 32)
    times = torch.arange(20, dtype=torch.float64).expand(1, -1)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.predict(Context(frames, times[:, :10], torch.zeros(1, dtype=torch.int64)), times[:, 10:])
    assert 1.5e9 < counter.get_total_flops() < 2.9e9
    assert parameters(model) < 1_000_000


@each_kind
def test_nothing_is_waited_for_in_prediction_or_training(kind: str) -> None:
    with torch.device("meta"):  # where no value can be looked at
        model = made(kind, reverse_input=True)
    batch = clips(context=2, horizon=2)
    there = Context(batch.context.frames.to("meta"), batch.context.times, batch.context.seeds)
    assert model.predict(there, batch.target_times).shape == batch.target.shape
    losses = model.loss(TrainBatch(there, batch.target_times, batch.target.to("meta")), progress=0.3)
    losses["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


# ---------------------------------------------------------------------------------------------------------- prediction


@each_kind
def test_it_goes_no_further_than_it_is_asked(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = made(kind), clips()
    calls = []
    monkeypatch.setattr(model, "_advance", lambda *given, inner=model._advance: (calls.append(1), inner(*given))[1])
    everything = model.predict(batch.context, batch.target_times)
    calls.clear()
    some = model.predict(batch.context, batch.target_times[:, [0, 2]])
    assert len(calls) == 3 + 3 - 1
    assert torch.equal(some, everything[:, [0, 2]])


def test_what_adds_up_over_time_does_so_in_float32_under_autocast() -> None:
    for kind in KINDS:
        model = made(kind)
        patches = torch.rand(1, 4, 3, 4)
        state = model.first_state(patches)
        with torch.autocast("cpu", torch.bfloat16):
            for _ in range(2):
                predicted, state = model.advance(patches, state)
        kept = [*state.c, predicted, state.m if state.z is None else state.z]
        assert {each.dtype for each in kept} == {torch.float32}, kind


@each_kind
def test_half_precision_changes_little(kind: str) -> None:
    factory, config, _ = KINDS[kind]
    torch.manual_seed(0)
    model = factory(config(**TINY | {"hidden": 8}), frame_shape=(1, 6, 8), context_length=3)
    batch = clips(horizon=8)
    exact = model.predict(batch.context, batch.target_times)
    loss = model.loss(batch, progress=1.0)["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.predict(batch.context, batch.target_times)
        rough_loss = model.loss(batch, progress=1.0)["loss"]
    assert rough.dtype == rough_loss.dtype == torch.float32
    assert float((rough - exact).detach().abs().max()) < 0.02 * float(exact.detach().abs().max())
    assert float(rough_loss.detach()) == pytest.approx(float(loss.detach()), rel=0.01)


@pytest.mark.parametrize("kind", ["predrnn-pp", "predrnn-v2"])  # which steps as PredRNN does
def test_compiled_it_is_the_same_model(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Traced as for any compiler, in one graph or not at all, and run without one: that takes a second and not a minute.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager", fullgraph=True))
    plain, compiled = made(kind), made(kind, compile=True)
    assert compiled._advance != compiled.advance
    assert plain.state_dict().keys() == compiled.state_dict().keys()
    batch = clips(context=2, horizon=2)
    with torch.no_grad():
        predicted, expected = (each.predict(batch.context, batch.target_times) for each in (compiled, plain))
        torch.testing.assert_close(predicted, expected)
        torch.testing.assert_close(compiled.loss(batch, progress=1.0), plain.loss(batch, progress=1.0))


@each_kind
def test_frames_that_no_patch_fits_are_refused(kind: str) -> None:
    with pytest.raises(Refused, match=rf"{kind} needs frames .* multiples of 4 \(its patch\), got 30×32: 32 would do"):
        KINDS[kind][0](KINDS[kind][1](hidden=2), frame_shape=(1, 30, 32), context_length=10)


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("predrnn", {"hidden": 0}, "hidden must be at least 1, got 0"),
        ("predrnn", {"kernel": 4}, "kernel must be odd, got 4"),
        ("predrnn", {"train_horizon": 0}, "train_horizon must be at least 1"),
        ("predrnn", {"learning_rate": 0.0}, "learning_rate must be positive"),
        ("predrnn", {"learning_rate": float("nan")}, "learning_rate must be positive"),
        ("predrnn-pp", {"layers": 1}, "layers must be at least 2 .*highway"),
        ("predrnn-v2", {"decoupling": -0.1}, "decoupling must be finite and not negative"),
        ("predrnn-v2", {"alpha": 0.0}, "alpha must be positive"),
    ],
)
def test_options_that_make_no_sense_are_refused(kind: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        KINDS[kind][1](**options)


# ------------------------------------------------------------------------------------------------------------ the loss


@each_kind
def test_the_loss_is_that_of_frames_2_to_the_last(kind: str) -> None:
    model, batch = made(kind), clips()
    found = model.loss(batch, progress=1.0)  # the context is shown, and nothing after it
    truth = torch.cat([batch.context.frames, batch.target], dim=1)[:, 1:]
    expected = (next_frames(model, batch).double() - truth.double()).square().mean()
    assert float(found["mse"].detach()) == pytest.approx(float(expected), rel=1e-5)
    assert float(found["loss"].detach()) == pytest.approx(
        float(found["mse"].detach()) + float(found.get("decoupling", torch.zeros(())).detach()), rel=1e-6
    )
    assert ("decoupling" in found) == (kind == "predrnn-v2")


@each_kind
def test_the_gradient_is_that_of_the_loss(kind: str) -> None:
    model, batch = made(kind), clips()
    loss = functools.partial(model.loss, batch, progress=1.0)
    loss()["loss"].backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(float(gradient.abs().max()) > 0 for gradient in gradients)
    squared = sum(float(gradient.double().square().sum()) for gradient in gradients)
    by, sides = 3e-3 / squared**0.5, []
    with torch.no_grad():
        for sign in (1, -1):
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter.add_(gradient, alpha=sign * by)
            sides.append(float(loss()["loss"]))
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter.sub_(gradient, alpha=sign * by)
    assert (sides[0] - sides[1]) / (2 * by) == pytest.approx(squared, rel=0.01)


def with_a_gap(batch: TrainBatch, pixels: Tensor | float) -> TrainBatch:
    """The same, where the second frame of the first clip is missing and has these values, which mean nothing."""
    frames, observed = batch.context.frames.clone(), torch.ones(batch.context.frames.shape[:2], dtype=torch.bool)
    frames[0, 1], observed[0, 1] = pixels, False
    context = Context(frames, batch.context.times, batch.context.seeds, observed)
    return TrainBatch(context, batch.target_times, batch.target)


@pytest.mark.parametrize("reverse_input", [False, True])
def test_nothing_is_learnt_from_missing_frames(reverse_input: bool) -> None:
    model, batch = made("predrnn", reverse_input=reverse_input), clips()
    black, grey = (model.loss(with_a_gap(batch, pixels), progress=1.0)["loss"] for pixels in (0.0, 0.7))
    assert torch.equal(black, grey)


def test_in_place_of_a_missing_frame_its_prediction_is_fed() -> None:
    model, batch = made("predrnn"), clips()
    frames, times, seeds = batch.context.frames, batch.context.times, batch.context.seeds
    of_it = model.predict(Context(frames[:, :1], times[:, :1], seeds), times[:, 1:2])[0, 0].detach()
    filled = Context(with_a_gap(batch, of_it).context.frames, times, seeds)
    predicted = next_frames(model, TrainBatch(filled, batch.target_times, batch.target))
    errors = (predicted - torch.cat([frames, batch.target], dim=1)[:, 1:]).square().mean(dim=(2, 3, 4))
    expected = (errors.sum() - errors[0, 0]) / (errors.numel() - 1)
    found = model.loss(with_a_gap(batch, 0.0), progress=1.0)["loss"]
    assert float(found.detach()) == pytest.approx(float(expected), rel=1e-5)


def test_reversed_clips_count_as_much_as_the_others() -> None:
    batch = clips(horizon=3)
    frames = torch.cat([batch.context.frames, batch.target], dim=1).flip(1)
    turned = TrainBatch(
        Context(frames[:, :3], batch.context.times, batch.context.seeds), batch.target_times, frames[:, 3:]
    )
    both = made("predrnn", reverse_input=True).loss(batch, progress=1.0)["loss"]
    one_way = made("predrnn")
    forwards, backwards = (float(one_way.loss(each, progress=1.0)["loss"].detach()) for each in (batch, turned))
    assert abs(forwards - backwards) > 1e-4 * forwards
    assert float(both.detach()) == pytest.approx((forwards + backwards) / 2, rel=1e-5)


def test_targets_that_are_not_the_next_frames_are_named() -> None:
    model, batch = made("predrnn"), clips()
    with pytest.raises(ModelFailed, match="frames right after the context, all of them"):
        model.loss(TrainBatch(batch.context, batch.target_times[:, 1:], batch.target[:, 1:]), progress=0.0)


def test_training_is_on_the_published_horizon_whatever_is_asked_for_later() -> None:
    assert made("predrnn").sampling(0.0) == TrainTask(context=3, horizon=10)
    assert made("predrnn", train_horizon=25).sampling(0.9) == TrainTask(context=3, horizon=25)


# --------------------------------------------------------------------------------------------- what it is shown, when


@each_kind
@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_what_is_predicted_of_a_frame_does_not_depend_on_it_nor_on_later_ones(kind: str, k: int) -> None:
    model, frames = made(kind), torch.rand(2, 7, 1, 6, 8)
    every = torch.ones(6, 2, dtype=torch.bool)
    predicted, _ = model.training_roll_out(model._cut(frames), every)
    frames[:, k:] = torch.nan
    blind, _ = model.training_roll_out(model._cut(frames), every)
    assert torch.equal(blind[:, :k], predicted[:, :k])  # those of frames 1 to k
    assert k == 6 or bool(blind[:, k:].isnan().any())  # the last frame is never fed, all others are


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `draw_given` is asked for."""
    asked: list[dict[str, Any]] = []

    def spy(context: int, horizon: int, batch: int, **chances: float) -> Tensor:
        asked.append({"context": context, "horizon": horizon, "batch": batch, **chances})
        return torch.ones(context + horizon - 1, batch, dtype=torch.bool)

    monkeypatch.setattr(family, "draw_given", spy)
    return asked


@pytest.mark.parametrize("kind", ["predrnn", "predrnn-pp"])
@pytest.mark.parametrize(
    ("schedule", "progress", "update", "after"),
    [("scaled", 0.25, 3, 0.6), ("scaled", 0.7, 3, 0.0), ("absolute", 0.9, 20_000, 0.6), ("absolute", 0.0, 60_000, 0.0)],
)
def test_the_truth_is_shown_less_and_less(shown, kind, schedule, progress, update, after) -> None:
    made(kind, schedule=schedule).loss(clips(update=update), progress=progress)
    chances = {"in_context": 1.0, "after": pytest.approx(after)}
    assert shown == [{"context": 3, "horizon": 4, "batch": 2, **chances}]


@pytest.mark.parametrize(
    ("progress", "alpha", "in_context", "after"),
    [
        (0.1, 5000.0, 0.5, 0.5),
        (0.375, 5000.0, 1 - 0.5 * 0.36787944117144233, 0.4),  # update 30,000: one e-folding past 25,000
        (0.375, 2500.0, 1 - 0.5 * 0.1353352832366127, 0.4),
        (0.8, 5000.0, 1.0, 0.0),
    ],
)
def test_v2_is_shown_more_of_the_context_and_less_of_what_follows(shown, progress, alpha, in_context, after) -> None:
    made("predrnn-v2", alpha=alpha).loss(clips(), progress=progress)
    assert shown[0]["in_context"] == pytest.approx(in_context)
    assert shown[0]["after"] == pytest.approx(after)


@each_kind
def test_what_is_shown_follows_from_the_seed(kind: str) -> None:
    model, batch = made(kind), clips(batch=4)

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        return float(model.loss(batch, progress=0.3)["loss"].detach())

    assert loss(3) == loss(3)
    assert len({loss(seed) for seed in range(5)}) > 1


# ------------------------------------------------------------------------------------------------------ PredRNN-V2's


def test_without_decoupling_v2_has_the_loss_of_predrnn() -> None:
    batch = clips()
    v2, v1 = made("predrnn-v2", decoupling=0.0), made("predrnn")
    v1.load_state_dict({name: value for name, value in v2.state_dict().items() if name != "adapter.weight"})
    assert torch.equal(v2.loss(batch, progress=1.0)["loss"], v1.loss(batch, progress=1.0)["loss"])
    assert v2.loss(batch, progress=1.0).keys() == {"loss", "mse"}


def test_decoupling_is_in_proportion_to_its_weight_and_teaches_every_cell() -> None:
    batch = clips()
    once, twice = made("predrnn-v2"), made("predrnn-v2", decoupling=0.2)
    found = once.loss(batch, progress=1.0)
    assert 0 < float(found["decoupling"].detach()) <= 0.1
    torch.testing.assert_close(twice.loss(batch, progress=1.0)["decoupling"], 2 * found["decoupling"])
    found["decoupling"].backward()
    reached = {name for name, parameter in once.named_parameters() if parameter.grad is not None}
    assert {"adapter.weight", "cells.0.temporal.weight", "cells.1.spatial.weight"} <= reached


def test_v2_predicts_without_its_adapter() -> None:
    model, batch = made("predrnn-v2"), clips()
    other = copy.deepcopy(model)
    torch.nn.init.normal_(other.adapter.weight)
    asked = (batch.context, batch.target_times)
    assert torch.equal(model.predict(*asked), other.predict(*asked))
