"""`latentode-entangled`: what its state is made of, where it sits in time, and that it learns motion."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from vpbench_latentode.entangled import EntangledLatentODE
from vpbench_latentode.entangled_config import EntangledConfig

from vpbench import Context, TrainBatch
from vpbench.config import make_config
from vpbench.errors import ConfigError, ModelFailed, Refused
from vpbench.protocols import Coded, Trainable
from vpbench.registry import load
from vpbench.testing import checks_for, installed

SIDE = 16
SMALL = {"latent": 3, "hidden": 8}


def make(**config: Any) -> EntangledLatentODE:
    """A small one in eval mode, with random weights."""
    torch.manual_seed(0)
    settings = EntangledConfig(**{**SMALL, **config})
    return EntangledLatentODE(settings, frame_shape=(1, SIDE, SIDE), context_length=2).eval()


def contexts(clips: int = 3, frames: int = 4) -> Context:
    """Noise at times of each clip's own, scaled up so that codes differ."""
    generator = torch.Generator().manual_seed(1)
    times = torch.rand(clips, frames, dtype=torch.float64, generator=generator).add(0.5).cumsum(dim=1)
    return Context(torch.rand(clips, frames, 1, SIDE, SIDE, generator=generator), times, torch.arange(clips))


def ask(model: EntangledLatentODE, context: Context, times: Tensor) -> Tensor:
    with torch.inference_mode():
        return model.predict(context, times)


def codes_of(model: EntangledLatentODE, context: Context, times: Tensor) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        codes = model.codes(context, times)
    assert codes.keys() == {"dynamics", "velocity"}
    return codes["dynamics"], codes["velocity"]


def test_the_spec_says_what_the_class_can_do() -> None:
    spec = load().model("latentode-entangled").spec
    assert (spec.load(), spec.load_config(), spec.learns) == (EntangledLatentODE, EntangledConfig, "weights")
    assert spec.prefix_stable
    assert isinstance(make(), Trainable)
    assert isinstance(make(), Coded)


NO_VELOCITY = {"check_any_context_length": "one frame tells no velocity, and it says so"}


@pytest.mark.parametrize("check", checks_for(installed("model", "latentode-entangled"), NO_VELOCITY), ids=str)
def test_it_keeps_the_contract(check: Any) -> None:
    check()


@pytest.mark.parametrize(("structure", "numbers"), [("first-order", 32), ("second-order", 16)])
def test_the_field_is_the_authors(structure: Any, numbers: int) -> None:
    field = EntangledLatentODE(EntangledConfig(structure=structure), frame_shape=(1, 28, 28), context_length=2).field
    assert sum(parameter.numel() for parameter in field.parameters()) == (32 + 1) * 128 + 129 * 128 + 129 * numbers


# --------------------------------------------------------------------------------------------------------- the state


@pytest.mark.parametrize("structure", ["first-order", "second-order"])
def test_at_the_last_frame_the_state_is_its_code_and_the_difference_of_two_over_their_time(structure: Any) -> None:
    model, context = make(structure=structure), contexts()
    position, velocity = codes_of(model, context, context.times[:, -1:])
    for clip in range(3):
        with torch.inference_mode():
            before, last = model.encode(context.frames[clip, -2:])
        apart = float(context.times[clip, -1] - context.times[clip, -2]) * model.config.frame_dt
        torch.testing.assert_close(position[clip, 0], last, rtol=0, atol=1e-6)
        torch.testing.assert_close(velocity[clip, 0], (last - before) / apart, rtol=1e-4, atol=1e-5)
    with torch.inference_mode():
        shown = model.decoder(model.encode(context.frames[:, -1]))
    torch.testing.assert_close(ask(model, context, context.times[:, -1:])[:, 0], shown, rtol=0, atol=1e-6)


def test_only_the_last_two_observed_frames_count() -> None:
    model, context = make(), contexts()
    times = context.times[:, -1:] + torch.tensor([-2.0, 0.3, 1.0, 7.0])
    expected = ask(model, context, times)
    changed = context.frames.clone()
    changed[:, :2] = 1 - changed[:, :2]
    assert torch.equal(ask(model, dataclasses.replace(context, frames=changed), times), expected)
    two = Context(context.frames[:, 2:], context.times[:, 2:], context.seeds)
    assert torch.equal(ask(model, two, times), expected)
    told = torch.tensor([[True, True, True, True, False]] * 3)
    beyond = Context(
        torch.cat([context.frames, torch.zeros(3, 1, 1, SIDE, SIDE)], dim=1),
        torch.cat([context.times, context.times[:, -1:] + 1], dim=1),
        context.seeds,
        told,
    )
    assert torch.equal(ask(model, beyond, times), expected)


def test_positions_move_at_exactly_the_velocities() -> None:
    model, context, h = make(frames_per_step=0.5), contexts(), 0.02
    times = context.times[:, -1:] + torch.tensor([-1.2, 0.7, 3.3])
    later, earlier = (codes_of(model, context, times + shift)[0] for shift in (h, -h))
    velocity = codes_of(model, context, times)[1]
    torch.testing.assert_close((later - earlier) / (2 * h * 0.1), velocity, rtol=0.01, atol=1e-2)
    loose = make(frames_per_step=0.5, structure="first-order")
    later, earlier = (codes_of(loose, context, times + shift)[0] for shift in (h, -h))
    assert ((later - earlier) / (2 * h * 0.1) - codes_of(loose, context, times)[1]).abs().max() > 0.1


def test_frames_are_decoded_from_the_positions() -> None:
    model, context = make(), contexts()
    times = context.times[:, -1:] + torch.tensor([-1.0, 0.5, 9.0])
    position, _ = codes_of(model, context, times)
    with torch.inference_mode():
        expected = model.decoder(position.flatten(0, 1)).unflatten(0, (3, 3))
    torch.testing.assert_close(ask(model, context, times), expected, rtol=0, atol=1e-6)


# ----------------------------------------------------------------------------------------------------------- training


def moving_balls(clips: int, frames: int, seed: int = 0) -> Tensor:
    """Gaussian balls in uniform motion, float32 (B, T, 1, SIDE, SIDE)."""
    generator = torch.Generator().manual_seed(seed)
    middle = (0.4 + 0.2 * torch.rand(clips, 2, 1, generator=generator)) * SIDE
    speed = (torch.rand(clips, 2, 1, generator=generator) - 0.5) * 2.4
    y, x = (middle + speed * (torch.arange(frames) - 1)).unsqueeze(3).unbind(1)
    rows, columns = (torch.exp(-((torch.arange(SIDE) - centre) ** 2) / (2 * 2.0**2)) for centre in (y, x))
    return (rows[..., :, None] * columns[..., None, :]).unsqueeze(2)


def batch(clips: int, seed: int = 0) -> TrainBatch:
    frames = moving_balls(clips, 5, seed)
    times = torch.arange(5, dtype=torch.float64).expand(clips, -1)
    wanted = [0, 1, 2, 3, 4]
    return TrainBatch(Context(frames[:, :2], times[:, :2], torch.arange(clips)), times[:, wanted], frames[:, wanted])


def test_the_loss_is_the_error_of_the_prediction_and_the_mean_norm_of_the_positions() -> None:
    model, given = make(latent_penalty=0.2), batch(3)
    with torch.no_grad():
        found = model.loss(given, progress=0.0)
    mse = F.mse_loss(ask(model, given.context, given.target_times), given.target)
    position, _ = codes_of(model, given.context, given.target_times)
    norm = torch.stack([code.square().sum().sqrt() for code in position.flatten(0, 1)]).mean()
    torch.testing.assert_close(found["loss"], mse + 0.2 * norm, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("structure", ["first-order", "second-order"])
def test_the_loss_depends_on_every_parameter(structure: Any) -> None:
    model = make(structure=structure, spatial_frequencies=1).train()
    model.loss(batch(4), progress=0.0)["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_motion_is_learnt_by_heart() -> None:
    model, given = make(latent=8, hidden=32, learning_rate=3e-3).train(), batch(4)
    (optimiser,) = model.optimisers().values()
    for _ in range(100):
        optimiser.zero_grad()
        model.loss(given, progress=0.0)["loss"].backward()
        optimiser.step()
    predicted = ask(model.eval(), given.context, given.target_times)
    last = given.context.frames[:, -1:].expand_as(given.target)
    ahead = slice(2, None)
    error, of_last = (F.mse_loss(frames[:, ahead], given.target[:, ahead]) for frames in (predicted, last))
    assert error < 0.5 * of_last


def test_sampling_follows_the_config() -> None:
    task = make(train_targets=5).sampling(0.3)
    assert (task.context, task.first, task.horizon, task.targets) == (2, -1, None, 5)
    assert make(train_past=False).sampling(0.0).first == 1


# ---------------------------------------------------------------------------------------------------------- bad input


def test_one_frame_is_refused() -> None:
    with pytest.raises(Refused, match="reads a velocity off two frames: it needs a context of 2, got 1"):
        EntangledLatentODE(EntangledConfig(), frame_shape=(1, 28, 28), context_length=1)
    with pytest.raises(ModelFailed, match="needs 2 observed context frames of each clip, one clip has 1"):
        ask(make(), contexts(frames=1), torch.ones(3, 1, dtype=torch.float64))


def test_frames_that_are_too_small_are_refused() -> None:
    with pytest.raises(Refused, match="latentode-entangled needs frames of at least 16 pixels a side, got 8×28"):
        EntangledLatentODE(EntangledConfig(), frame_shape=(1, 8, 28), context_length=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latent": "0"}, "latent must be at least 1, got 0"),
        ({"train_targets": "0"}, "train_targets must be at least 1"),
        ({"frames_per_step": "0"}, "frames_per_step must be positive and finite"),
        ({"latent_penalty": "-1"}, "latent_penalty must be finite and not negative"),
        ({"output_bias": "inf"}, "output_bias must be finite"),
        ({"spatial_encoding": "false", "spatial_frequencies": "2"}, "leaves out all coordinate maps"),
        ({"activation": "sin"}, "'sin' is not one of relu, tanh"),
    ],
)
def test_config_values_without_sense_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(EntangledConfig, settings, owner="latentode-entangled")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
