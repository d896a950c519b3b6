"""`node` against closed forms: planted linear fields, planted starts, and the loss as a plain loop has it."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from vpbench_latentode.node import NeuralODE
from vpbench_latentode.node_config import NodeConfig

from vpbench import Context, TrainBatch
from vpbench.config import make_config
from vpbench.errors import ConfigError, ModelFailed, Refused
from vpbench.protocols import Coded, Trainable
from vpbench.registry import load
from vpbench.testing import checks_for, installed

FRAME = (2, 1, 1)
DECAY, TURN = 1.0, 10.0  # per time of the field
SPIRAL = np.array([[-DECAY, -TURN], [TURN, -DECAY]])
STIFFNESS, DAMPING = 100.0, 1.5


def with_linear_field(model: NeuralODE, matrix: np.ndarray) -> NeuralODE:
    """The field of the model made Z -> matrix Z, exactly: max(a, 0) - max(-a, 0) is a."""
    state = matrix.shape[1]
    first, second, last = (layer for layer in model.field.layers if isinstance(layer, torch.nn.Linear))
    both = torch.cat([torch.eye(state), -torch.eye(state)])
    with torch.no_grad():
        for layer, weight in (
            (first, both),
            (second, torch.eye(2 * state)),
            (last, torch.from_numpy(matrix).float() @ both.T),
        ):
            layer.weight.copy_(weight)
            layer.bias.zero_()
    return model.eval()


def spiral_model(**config: Any) -> NeuralODE:
    settings = {"hidden": 4, "activation": "relu", "frames_per_step": 2.0, "frame_dt": 0.005, **config}
    return with_linear_field(NeuralODE(NodeConfig(**settings), frame_shape=FRAME, context_length=1), SPIRAL)


def spring_model(**config: Any) -> NeuralODE:
    settings = {"structure": "second-order", "hidden": 8, "activation": "relu", "frames_per_step": 2.0, **config}
    model = NeuralODE(NodeConfig(**settings), frame_shape=FRAME, context_length=2)
    return with_linear_field(model, np.hstack([-STIFFNESS * np.eye(2), -DAMPING * np.eye(2)]))


def spiral(start: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(B, 2) and (B, T) in time of the field to (B, T, 2), by complex numbers."""
    z = (start[:, :1] + 1j * start[:, 1:]) * np.exp((1j * TURN - DECAY) * times)
    return np.stack([z.real, z.imag], axis=2)


def spring(start: np.ndarray, speed: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Damped oscillation, (B, 2), (B, 2) and (B, T) to (B, T, 2)."""
    rate = math.sqrt(STIFFNESS - DAMPING**2 / 4)
    phase, start, speed = rate * times[..., None], start[:, None], speed[:, None]
    swing = start * np.cos(phase) + (speed + DAMPING / 2 * start) / rate * np.sin(phase)
    return np.exp(-DAMPING / 2 * times[..., None]) * swing


def frames_of(positions: np.ndarray) -> Tensor:
    """Positions (B, T, 2) in [-1, 1] to frames."""
    return torch.from_numpy(positions / 2 + 0.5).float()[..., None, None]


def positions_of(frames: Tensor) -> np.ndarray:
    return 2 * frames.double().numpy()[..., 0, 0] - 1


def given(positions: np.ndarray, times: np.ndarray, observed: np.ndarray | None = None) -> Context:
    told = None if observed is None else torch.from_numpy(observed)
    return Context(frames_of(positions), torch.from_numpy(times), torch.arange(len(times)), told)


def ask(model: NeuralODE, context: Context, times: np.ndarray) -> Tensor:
    with torch.inference_mode():
        return model.predict(context, torch.from_numpy(times))


START = np.array([[0.7, -0.2], [-0.4, 0.5], [0.1, 0.9]])
SPEED = np.array([[2.0, -5.0], [0.0, 4.0], [-3.0, -3.0]])
#: Whole, fractional, and before the first frame, in frame periods.
WANTED = np.array([[-8.0, 0.0, 3.5, 60.0], [0.25, 5.0, 7.75, 90.0], [-1.5, 1.0, 2.0, 41.3]])


def test_it_has_as_many_parameters_as_the_reports() -> None:
    model = NeuralODE(NodeConfig(), frame_shape=FRAME, context_length=1)
    assert sum(parameter.numel() for parameter in model.parameters()) == 10_602


def test_the_spec_says_what_the_class_can_do() -> None:
    spec = load().model("node").spec
    assert (spec.load(), spec.load_config(), spec.learns) == (NeuralODE, NodeConfig, "weights")
    assert spec.prefix_stable
    model = spiral_model()
    assert isinstance(model, Trainable)
    assert isinstance(model, Coded)


@pytest.mark.parametrize("check", checks_for(installed("model", "node", ("hidden=8",), frame_shape=FRAME)), ids=str)
def test_it_keeps_the_contract(check: Any) -> None:
    check()


NO_VELOCITY = {"check_any_context_length": "one frame tells no velocity, and it says so"}


@pytest.mark.parametrize(
    "check",
    checks_for(installed("model", "node", ("hidden=8", "structure=second-order"), frame_shape=FRAME), NO_VELOCITY),
    ids=str,
)
def test_of_second_order_it_keeps_the_contract(check: Any) -> None:
    check()


# ------------------------------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("initial", ["first", "least-squares"])
def test_a_planted_spiral_is_followed_at_any_time(initial: Any) -> None:
    model = spiral_model(initial=initial)
    times = np.tile([4.0], (3, 1))  # the clock of a clip starts anywhere
    found = positions_of(ask(model, given(START[:, None], times), WANTED + 4))
    np.testing.assert_allclose(found, spiral(START, WANTED * model.config.frame_dt), atol=1e-5)


def test_a_planted_spring_is_followed_at_any_time() -> None:
    model = spring_model()
    times = np.array([[0.0, 1.0, 4.0, 9.5], [0.0, 0.5, 2.0, 30.0], [0.0, 3.0, 4.0, 5.0]])
    context = given(spring(START, SPEED, times * model.config.frame_dt), times)
    found = positions_of(ask(model, context, WANTED))
    np.testing.assert_allclose(found, spring(START, SPEED, WANTED * model.config.frame_dt), atol=2e-4)


def test_least_squares_finds_the_planted_state_which_two_frames_do_not_tell() -> None:
    times = np.tile(np.arange(0.0, 40.0, 4.0), (3, 1))
    context = given(spring(START, SPEED, times * 0.01), times)
    at_start = torch.zeros(3, 1, dtype=torch.float64)
    planted = np.hstack([START, SPEED])
    found = {}
    for initial in ("first", "least-squares"):
        codes = spring_model(initial=initial, frames_per_step=1.0).codes(context, at_start)
        found[initial] = torch.cat([codes["dynamics"], codes["velocity"]], dim=2)[:, 0].detach().numpy()
    np.testing.assert_allclose(found["least-squares"], planted, atol=1e-4)
    np.testing.assert_allclose(found["first"][:, :2], START, atol=1e-6)
    two_frames = (spring(START, SPEED, times * 0.01)[:, 1] - START) / 0.04
    np.testing.assert_allclose(found["first"][:, 2:], two_frames, atol=1e-4)
    assert np.abs(two_frames - SPEED).max() > 1


def test_noise_of_many_frames_is_averaged_out() -> None:
    times = np.tile(np.arange(200.0), (3, 1))
    truth = spiral(START, times * 0.005)
    noisy = truth + np.random.default_rng(0).normal(0, 0.1, truth.shape)
    ahead = np.tile(np.arange(200.0, 240.0), (3, 1))
    expected = spiral(START, ahead * 0.005)
    error = {}
    for initial in ("first", "least-squares"):
        model = spiral_model(initial=initial, frames_per_step=5.0)
        found = positions_of(ask(model, given(noisy, times), ahead))
        error[initial] = np.sqrt(np.mean((found - expected) ** 2))
    assert error["least-squares"] < 0.3 * error["first"]


def test_missing_frames_are_as_if_they_had_not_been() -> None:
    times = np.tile([0.0, 2.0, 3.0, 5.0, 9.0], (3, 1))
    positions = spring(START, SPEED, times * 0.01)
    observed = np.array([[False, True, True, False, True]] * 3)
    positions[~observed] = -1  # black
    found = ask(spring_model(), given(positions, times, observed), WANTED)
    there = [1, 2, 4]
    expected = ask(spring_model(), given(positions[:, there], times[:, there]), WANTED)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_codes_are_the_state() -> None:
    model, times = spring_model(), torch.from_numpy(WANTED)
    context = given(spring(START, SPEED, np.array([[0.0, 0.01, 0.03]] * 3)), np.array([[0.0, 1.0, 3.0]] * 3))
    codes = model.codes(context, times)
    assert {name: tuple(code.shape) for name, code in codes.items()} == {"dynamics": (3, 4, 2), "velocity": (3, 4, 2)}
    frames = ask(model, context, WANTED)
    np.testing.assert_allclose(codes["dynamics"].detach().numpy(), positions_of(frames), atol=1e-5)
    h = 0.02
    later, earlier = (model.codes(context, times + shift)["dynamics"] for shift in (h, -h))
    torch.testing.assert_close((later - earlier) / (2 * h * 0.01), codes["velocity"], rtol=0, atol=0.05)
    assert spiral_model().codes(given(START[:, None], np.zeros((3, 1))), times).keys() == {"dynamics"}


# ----------------------------------------------------------------------------------------------------------- training


def small(**config: Any) -> NeuralODE:
    torch.manual_seed(0)
    settings = {"hidden": 6, "activation": "tanh", "frames_per_step": 1.0, "frame_dt": 0.1, **config}
    return NeuralODE(NodeConfig(**settings), frame_shape=FRAME, context_length=1)


def noisy_segments() -> TrainBatch:
    times = np.tile(np.arange(5.0), (3, 1))
    positions = spiral(START, times * 0.02) + np.random.default_rng(1).normal(0, 0.05, (3, 5, 2))
    context = given(positions[:, :1], times[:, :1])
    return TrainBatch(context, torch.from_numpy(times[:, 1:]), frames_of(positions[:, 1:]))


def test_the_loss_is_a_hundred_times_the_mean_squared_error_of_a_plain_loop() -> None:
    model, batch = small(initial="first"), noisy_segments()
    layers = [layer for layer in model.field.layers if isinstance(layer, torch.nn.Linear)]
    weights = [(layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()) for layer in layers]

    def field(state: np.ndarray) -> np.ndarray:
        for weight, bias in weights[:2]:
            state = np.tanh(weight @ state + bias)
        weight, bias = weights[2]
        return weight @ state + bias

    total, count = 0.0, 0
    for clip in range(3):
        state = positions_of(batch.context.frames)[clip, 0]
        for step in range(4):
            for _ in range(50):
                k1 = field(state)
                k2 = field(state + 0.001 * k1)
                state = state + 0.002 * k2
            frame = state / 2 + 0.5
            total += float(((frame - batch.target[clip, step, :, 0, 0].double().numpy()) ** 2).sum())
            count += 2
    found = model.loss(batch, progress=0.0)
    # The first frame, which the solution starts at, is of the mean, too.
    assert found["loss"].item() == pytest.approx(100 * total / (count + 3 * 2), rel=1e-4)


def test_with_fitted_starts_the_gradient_is_that_of_the_error_that_is_left() -> None:
    model, batch = small(train_iterations=8), noisy_segments()
    model.loss(batch, progress=0.0)["loss"].backward()
    generator = torch.Generator().manual_seed(3)
    ways = [torch.randn(parameter.shape, generator=generator) for parameter in model.parameters()]
    slope = sum(
        float((parameter.grad * way).sum())
        for parameter, way in zip(model.parameters(), ways, strict=True)
        if parameter.grad is not None
    )

    def moved(distance: float) -> float:
        other = copy.deepcopy(model)
        with torch.no_grad():
            for parameter, way in zip(other.parameters(), ways, strict=True):
                parameter.add_(distance * way)
            return other.loss(batch, progress=0.0)["loss"].item()

    assert slope == pytest.approx((moved(3e-3) - moved(-3e-3)) / 6e-3, rel=0.02)
    assert abs(slope) > 0.1


def test_a_fitted_start_leaves_less_error_than_a_noisy_one() -> None:
    batch = noisy_segments()
    fitted, first = (small(initial=initial).loss(batch, progress=0.0)["mse"] for initial in ("least-squares", "first"))
    assert fitted < 0.9 * first


def test_a_field_is_learnt_from_segments() -> None:
    torch.manual_seed(0)
    model = NeuralODE(
        NodeConfig(hidden=32, learning_rate=1e-2, train_iterations=1), frame_shape=FRAME, context_length=1
    ).train()
    starts = np.random.default_rng(0).uniform(-0.7, 0.7, (32, 2))
    times = np.tile(np.arange(0.0, 100.0, 10.0), (32, 1))
    positions = spiral(starts, times * 0.001)
    batch = TrainBatch(
        given(positions[:, :1], times[:, :1]), torch.from_numpy(times[:, 1:]), frames_of(positions[:, 1:])
    )
    (optimiser,) = model.optimisers().values()
    losses = []
    for _ in range(50):
        optimiser.zero_grad()
        loss = model.loss(batch, progress=0.0)["loss"]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.02 * losses[0]
    held_out = np.array([[0.5, 0.3], [-0.3, 0.4]])
    found = positions_of(ask(model.eval(), given(held_out[:, None], np.zeros((2, 1))), times[:2]))
    resting = np.sqrt(np.mean((held_out[:, None] - spiral(held_out, times[:2] * 0.001)) ** 2))
    assert np.sqrt(np.mean((found - spiral(held_out, times[:2] * 0.001)) ** 2)) < 0.2 * resting


def test_sampling_draws_some_frames_of_a_segment() -> None:
    task = small(train_targets=7).sampling(0.5)
    assert (task.context, task.first, task.horizon, task.targets) == (1, 1, None, 7)


# ---------------------------------------------------------------------------------------------------------- bad input


def test_frames_of_too_many_numbers_are_refused() -> None:
    with pytest.raises(Refused, match="at most 16 numbers; one of 1×28×28 has 784"):
        NeuralODE(NodeConfig(), frame_shape=(1, 28, 28), context_length=1)


def test_second_order_needs_two_frames() -> None:
    with pytest.raises(Refused, match="a context of at least 2 frames, got 1"):
        NeuralODE(NodeConfig(structure="second-order"), frame_shape=FRAME, context_length=1)
    with pytest.raises(ModelFailed, match="needs 2 observed context frames of each clip, one clip has 1"):
        ask(spring_model(), given(START[:, None], np.zeros((3, 1))), WANTED)


def test_a_state_that_runs_away_is_a_failure_in_one_line() -> None:
    model = with_linear_field(small(hidden=4, activation="relu"), 1e4 * np.eye(2))
    with pytest.raises(ModelFailed, match="the state ran away: train it longer, or ask for less far"):
        ask(model, given(START[:, None], np.zeros((3, 1))), WANTED + 500)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": "0"}, "hidden must be at least 1, got 0"),
        ({"train_targets": "0"}, "train_targets must be at least 1"),
        ({"iterations": "-1"}, "iterations must be at least 1"),
        ({"frame_dt": "0"}, "frame_dt must be positive and finite"),
        ({"learning_rate": "inf"}, "learning_rate must be positive and finite"),
        ({"weight_decay": "-0.1"}, "weight_decay must be finite and not negative"),
        ({"initial": "second"}, "'second' is not one of least-squares, first"),
        ({"structure": "third"}, "'third' is not one of first-order, second-order"),
    ],
)
def test_config_values_without_sense_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(NodeConfig, settings, owner="node")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_input_is_left_as_it_is() -> None:
    context = given(START[:, None], np.zeros((3, 1)))
    before = dataclasses.replace(context, frames=context.frames.clone(), times=context.times.clone())
    ask(spiral_model(), context, WANTED)
    assert torch.equal(context.frames, before.frames)
    assert torch.equal(context.times, before.times)
