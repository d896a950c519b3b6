"""The ablations, the ODE of the appearance, and the losses that the report proposes: each against what it should be."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from vpbench_latentode import perceptual
from vpbench_latentode.config import Config
from vpbench_latentode.critics import Critic, of_frames, of_sequences
from vpbench_latentode.losses import critic_loss, other_order, permutation_loss, shuffled
from vpbench_latentode.model import LatentODE
from vpbench_latentode.network import Encoder, TimeNetwork, VectorField

from vpbench import Context, TrainBatch
from vpbench.cli import main
from vpbench.config import config_to_dict, make_config
from vpbench.errors import ConfigError, ExitCode, ModelFailed, Refused
from vpbench.registry import load
from vpbench.testing import checks_for, installed

SIDE, CONTEXT, CLIPS = 16, 3, 3
SMALL = {"dynamics": 4, "appearance": 3, "hidden": 8, "width": 4}
CRITICS = {"frame_critic_weight": 0.1, "sequence_critic_weight": 0.2}


def make(*, channels: int = 1, context: int = CONTEXT, **config: Any) -> LatentODE:
    """A small model in eval mode with random weights, whose states move and whose frames differ."""
    torch.manual_seed(0)
    model = LatentODE(Config(**{**SMALL, **config}), frame_shape=(channels, SIDE, SIDE), context_length=context)
    with torch.no_grad():
        for parameter in model.field.layers[-1].parameters():
            parameter.mul_(30)
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        model.train().predict(contexts(8, seed=9, channels=channels, length=context), at([0.0, 3.0, 9.0], 8))
        for norm in norms:
            norm.momentum = 0.1
    return model.eval()


def contexts(clips: int = CLIPS, *, seed: int = 1, channels: int = 1, length: int = CONTEXT) -> Context:
    frames = torch.rand(clips, length, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    return Context(frames, torch.arange(float(length), dtype=torch.float64).expand(clips, -1), torch.arange(clips))


def at(times: list[float], clips: int = CLIPS) -> Tensor:
    return torch.tensor(times, dtype=torch.float64).expand(clips, -1)


def batch(clips: int = 4, *, channels: int = 1, length: int = CONTEXT, seed: int = 5) -> TrainBatch:
    """Targets 1, which is one of the context, 3, 4 and 6."""
    target = torch.rand(clips, 4, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    return TrainBatch(contexts(clips, channels=channels, length=length), at([1.0, 3.0, 4.0, 6.0], clips), target)


def ask(model: LatentODE, context: Context, times: Tensor) -> Tensor:
    with torch.inference_mode():
        return model.predict(context, times)


def codes(model: LatentODE, context: Context, times: Tensor) -> dict[str, Tensor]:
    with torch.inference_mode():
        return dict(model.codes(context, times))


def losses(model: LatentODE, given: TrainBatch, *, progress: float = 0.5, part: str = "main") -> Mapping[str, Tensor]:
    with torch.no_grad():
        return model.loss(given, progress=progress, part=part)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# ---------------------------------------------------------------------------------------------- what was there before


def test_weights_of_before_fit_the_default_config() -> None:
    """The file is older than the options: it has a tensor for each of the model's, and no other."""
    spec = load().model("latentode").spec
    path = files("vpbench_latentode").joinpath(spec.weights[0].file.partition(":")[2])
    with safe_open(str(path), "pt") as file:
        bundled = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    state = LatentODE(Config(), frame_shape=(1, 64, 64), context_length=10).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == bundled


def test_records_of_before_keep_their_identity() -> None:
    later = {field.name for field in dataclasses.fields(Config) if field.metadata.get("identity")}
    assert {"transport", "spatial_encoding", "appearance_dynamics", "mse_weight", "mae_weight", *CRITICS} <= later
    assert not later & config_to_dict(Config()).keys()
    assert config_to_dict(Config(transport="mlp"))["transport"] == "mlp"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["spatial_encoding=false", "spatial_frequencies=2"], "so spatial_frequencies must be 0"),
        (["appearance=0", "appearance_dynamics=ode"], "appearance=0 leaves nothing for appearance_dynamics=ode"),
        (["appearance=0", "permutation_weight=0.1"], "leaves nothing for appearance_dynamics=ode and permutation_"),
        (["transport=rnn"], "'rnn' is not one of ode, mlp"),
        (["appearance_dynamics=moving"], "'moving' is not one of fixed, ode"),
        (["permutation_weight=-1"], "permutation_weight must be finite and not negative, got -1.0"),
        (["mse_weight=0"], "mse_weight=0 leaves nothing to learn frames from: give mae_weight or perceptual_weight"),
        (["mse_weight=-1", "mae_weight=1"], "mse_weight must be finite and not negative, got -1.0"),
        (["mae_weight=inf"], "mae_weight must be finite and not negative"),
        (["perceptual_weight=-0.1"], "perceptual_weight must be finite and not negative"),
        (["frame_critic_weight=-0.1"], "frame_critic_weight must be finite and not negative"),
        (["sequence_critic_weight=inf"], "sequence_critic_weight must be finite and not negative"),
        (["critic_learning_rate=0"], "critic_learning_rate must be positive and finite, got 0.0"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_line(settings: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(Config, dict(setting.split("=") for setting in settings), owner="latentode")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------- without coordinates


@pytest.mark.parametrize("channels", [1, 3])
def test_without_spatial_encoding_the_encoder_sees_the_frames_alone(channels: int) -> None:
    shape, frames = (channels, SIDE, SIDE), torch.rand(2, CONTEXT, channels, SIDE, SIDE)
    seen: list[Tensor] = []
    for config, maps in ((Config(**SMALL), 2), (Config(**SMALL, spatial_encoding=False), 0)):
        encoder = Encoder(config, shape, CONTEXT).eval()
        assert encoder.layers[0].in_channels == CONTEXT * channels + maps
        encoder.layers[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
        encoder(frames)
    assert torch.equal(seen[1], frames.flatten(1, 2))
    assert torch.equal(seen[0][:, : CONTEXT * channels], seen[1])


def test_without_spatial_encoding_it_still_predicts_and_learns() -> None:
    model = make(spatial_encoding=False)
    assert ask(model, contexts(), at([1.5, 4.0])).std(dim=0).mean() > 0.01
    model.train().loss(batch(), progress=0.0)["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


# ------------------------------------------------------------------------------------------------------ without an ODE


def test_the_network_of_time_is_as_large_as_the_field_it_stands_for() -> None:
    field, network = parameters(VectorField(Config())), parameters(TimeNetwork(Config(transport="mlp")))
    assert (field, network) == (139_872, 140_128)  # as its docstring says
    assert abs(network / field - 1) < 0.01


@pytest.mark.parametrize("readout", ["position", "full"])
def test_the_network_of_time_sees_the_encoded_state_and_the_time(readout: Any) -> None:
    """Against its layers one by one, in float64, for one clip and one time after the other."""
    model = make(transport="mlp", dyn_readout=readout, frame_dt=0.3)
    context, times = contexts(), at([-1.5, 0.0, 2.0, 3.7, 12.0])
    found = codes(model, context, times)["dynamics"]
    state, _ = model.encoder(context.frames)
    layers = model.field.layers
    for clip, place in itertools.product(range(CLIPS), range(5)):
        latent_time = (times[clip, place] - context.times[clip, -1]).item() * 0.3
        values = torch.cat([state[clip].double(), torch.tensor([latent_time])])
        for layer in (layers[0], layers[2], layers[4]):
            values = layer.weight.double() @ values + layer.bias.double()
            values = values if layer is layers[4] else values.tanh()
        expected = (state[clip, :4].double() + values).float()
        torch.testing.assert_close(found[clip, place], expected, rtol=1e-4, atol=1e-5)


def test_the_network_of_time_answers_any_question_alone_as_among_others() -> None:
    model, context = make(transport="mlp"), contexts()
    times = [-2.5, 0.0, 1.3, 3.0, 4.0, 30.0]
    together = ask(model, context, at(times))
    assert together.isfinite().all()
    assert together.std(dim=1).mean() > 1e-3  # it depends on time
    for place, time in enumerate(times):
        torch.testing.assert_close(ask(model, context, at([time]))[:, 0], together[:, place], rtol=0, atol=1e-5)
    torch.testing.assert_close(ask(model, context, at(times[:3])), together[:, :3], rtol=0, atol=1e-5)
    for clip in range(CLIPS):
        rows = slice(clip, clip + 1)
        alone = Context(context.frames[rows], context.times[rows], context.seeds[rows])
        torch.testing.assert_close(ask(model, alone, at(times, 1)), together[rows], rtol=0, atol=1e-5)


def test_without_an_ode_solver_and_structure_say_nothing() -> None:
    model, context, times = make(transport="mlp"), contexts(), at([1.0, 3.5, 9.0])
    expected = ask(model, context, times)
    assert model.stats() == {"nfe": 1}
    other = make(transport="mlp", structure="first-order", solver="dopri5", frames_per_step=0.5, rtol=1e-9)
    other.load_state_dict(model.state_dict())
    assert torch.equal(ask(other, context, times), expected)
    assert "velocity" not in codes(model, context, times)


# --------------------------------------------------------------------------------------------------- appearance moves


@pytest.mark.parametrize("transport", ["ode", "mlp"])
def test_at_first_the_appearance_stays(transport: Any) -> None:
    fixed, moving = make(transport=transport), make(transport=transport, appearance_dynamics="ode")
    names = fixed.state_dict().keys()
    assert all(torch.equal(fixed.state_dict()[name], moving.state_dict()[name]) for name in names)
    assert {name.partition(".")[0] for name in moving.state_dict().keys() - names} == {"appearance_field"}
    context, times = contexts(), at([-1.0, 2.0, 2.7, 40.0])
    torch.testing.assert_close(ask(moving, context, times), ask(fixed, context, times), rtol=0, atol=1e-6)


def test_a_constant_field_moves_the_appearance_on_a_line() -> None:
    model, context, times = make(appearance_dynamics="ode"), contexts(), at([-3.0, 2.0, 2.7, 9.0])
    with torch.no_grad():
        model.appearance_field.layers[0].weight.zero_()
        model.appearance_field.layers[-1].weight.normal_()
    inner, outer = model.appearance_field.layers[0], model.appearance_field.layers[-1]
    speed = outer.weight @ inner.bias.tanh() + outer.bias
    _, start = model.encoder(context.frames)
    elapsed = (times - 2.0).float() * model.config.frame_dt
    found = codes(model, context, times)["appearance"]
    assert found.shape == (CLIPS, 4, 3)
    torch.testing.assert_close(found, start[:, None] + elapsed[..., None] * speed, rtol=1e-4, atol=1e-5)
    assert speed.abs().min() > 0.05


def test_a_linear_field_moves_the_appearance_exponentially() -> None:
    """The layers as A tanh(e z) / e, which is A z for small e."""
    model, context, times = make(appearance_dynamics="ode", frame_dt=0.05), contexts(), at([-2.0, 2.0, 3.3, 12.0])
    planted, small = torch.tensor([[-0.8, 0.5, 0.0], [-0.5, -0.8, 0.0], [0.0, 0.3, 0.6]]), 1e-3
    with torch.no_grad():
        model.appearance_field.layers[0].weight.copy_(small * torch.eye(3))
        model.appearance_field.layers[0].bias.zero_()
        model.appearance_field.layers[-1].weight.copy_(planted / small)
    _, start = model.encoder(context.frames)
    flow = torch.linalg.matrix_exp(planted.double() * ((times[0] - 2.0) * 0.05)[:, None, None])
    expected = torch.einsum("tij,bj->bti", flow, start.double()).float()
    torch.testing.assert_close(codes(model, context, times)["appearance"], expected, rtol=1e-3, atol=1e-4)
    assert (expected[:, 0] - expected[:, -1]).abs().max() > 0.1


def test_both_solves_are_counted() -> None:
    model, context = make(appearance_dynamics="ode"), contexts()
    ask(model, context, at([3.0, 6.0]))  # two steps of two frames
    assert model.stats() == {"nfe": 2 * (4 * 2 + 1)}
    model = make(appearance_dynamics="ode", transport="mlp")
    ask(model, context, at([3.0, 6.0]))
    assert model.stats() == {"nfe": 1 + 4 * 2 + 1}


def test_a_moving_appearance_is_swapped_and_learnt() -> None:
    model, mover, looker, times = make(appearance_dynamics="ode"), contexts(), contexts(seed=2), at([1.0, 6.0])
    with torch.no_grad():
        model.appearance_field.layers[-1].bias.fill_(5.0)
    seen: list[Tensor] = []
    handle = model.decoder.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].unflatten(0, (3, 2))))
    with torch.inference_mode():
        model.swap(mover, looker, times)
    handle.remove()
    torch.testing.assert_close(seen[0][..., :4], codes(model, mover, times)["dynamics"])
    torch.testing.assert_close(seen[0][..., 4:], codes(model, looker, times)["appearance"])
    model.train().loss(batch(), progress=0.0)["loss"].backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in model.appearance_field.layers[-1].parameters())


# ------------------------------------------------------------------------------------------------------ no appearance


def test_without_appearance_the_dynamics_are_all_there_is() -> None:
    model, mover, other, times = make(appearance=0), contexts(), contexts(seed=2), at([1.0, 2.5, 7.0])
    assert model.decoder.dense.in_features == SMALL["dynamics"]
    predicted = ask(model, mover, times)
    assert predicted.std(dim=0).mean() > 0.01
    with torch.inference_mode():
        assert torch.equal(model.swap(mover, other, times), predicted)
    assert codes(model, mover, times).keys() == {"dynamics", "velocity"}
    model.train().loss(batch(), progress=0.0)["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


# ------------------------------------------------------------------------------------------------- shuffled context


def test_permutation_loss_is_the_formula() -> None:
    """Against a loop over clips and numbers in float64; the variance is of clips, and has a gradient too."""
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(5, 3, generator=generator), torch.randn(5, 3, generator=generator)
    one[:, 1] = 0.7  # a number that all clips share: its variance is taken as 1e-6
    one.requires_grad_()
    found = permutation_loss(one, other)
    total, gradient = 0.0, torch.zeros(5, 3, dtype=torch.float64)
    for number in range(3):
        column = [float(value) for value in one[:, number].detach()]
        mean = sum(column) / 5
        variance = max(sum((value - mean) ** 2 for value in column) / 5, 1e-6)
        apart = [value - float(other[clip, number]) for clip, value in enumerate(column)]
        squares = sum(each**2 for each in apart)
        total += squares / variance / 15
        for clip, value in enumerate(column):
            of_variance = 2 * (value - mean) / 5 if variance > 1e-6 else 0.0
            gradient[clip, number] = (2 * apart[clip] / variance - squares / variance**2 * of_variance) / 15
    assert found.item() == pytest.approx(total, rel=1e-5)
    found.backward()
    torch.testing.assert_close(one.grad, gradient.float(), rtol=1e-4, atol=1e-6)


def test_scaling_the_appearance_does_not_buy_a_smaller_permutation_loss() -> None:
    """Not by its value, and no update that follows its gradient goes that way either."""
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(6, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    scale = torch.ones(4, dtype=torch.float64, requires_grad=True)
    loss = permutation_loss(scale * one, scale * other)
    torch.testing.assert_close(permutation_loss(0.1 * one, 0.1 * other), loss.detach())
    loss.backward()
    torch.testing.assert_close(scale.grad, torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-12)


def test_a_single_clip_has_no_variance_and_is_refused() -> None:
    with pytest.raises(ModelFailed, match=r"^permutation_weight [^\n]* batch size of 2 or more$"):
        make(permutation_weight=0.1).loss(batch(1), progress=0.0)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_all_other_orders_are_equally_likely(count: int) -> None:
    others = set(itertools.permutations(range(count))) - {tuple(range(count))}
    draws = 60 * len(others)
    given = batch(length=count)
    found = Counter(tuple(other_order(count, dataclasses.replace(given, update=update))) for update in range(draws))
    assert found.keys() == others
    spread = math.sqrt(60)  # of how often each comes, at most
    assert all(abs(times - 60) < 4 * spread for times in found.values())


def test_the_order_follows_from_the_clips_and_the_update_alone() -> None:
    count, given, drawn = 7, batch(length=7), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        drawn.append(other_order(count, given))
        assert torch.equal(torch.get_rng_state(), torch.manual_seed(seed).get_state())  # nobody else's draws are moved
    assert drawn[0] == drawn[1]
    assert other_order(count, dataclasses.replace(given, update=1)) != drawn[0]
    for seeds in (given.context.seeds + 1, torch.full((4,), 2**63 - 1), torch.full((4,), -(2**62))):
        other = dataclasses.replace(given.context, seeds=seeds)
        assert other_order(count, dataclasses.replace(given, context=other)) != drawn[0]


def test_shuffled_frames_of_all_clips_are_in_the_order_that_was_drawn() -> None:
    given = batch(length=4)
    order, frames = other_order(4, given), shuffled(given)
    for clip, place in itertools.product(range(4), range(4)):
        assert torch.equal(frames[clip, place], given.context.frames[clip, order[place]])


def test_one_context_frame_cannot_be_shuffled() -> None:
    with pytest.raises(Refused, match="permutation_weight shuffles context frames, so it needs a context of 2 or more"):
        LatentODE(Config(**SMALL, permutation_weight=0.1), frame_shape=(1, SIDE, SIDE), context_length=1)


def test_permutation_loss_is_that_of_the_context_shuffled() -> None:
    """In eval mode, with two frames, of which there is one other order only."""
    model, given = make(context=2, permutation_weight=0.3), batch(length=2)
    found = losses(model, given)
    backwards = given.context.frames.flip(1)
    with torch.no_grad():
        expected = permutation_loss(model.encoder(given.context.frames)[1], model.encoder(backwards)[1])
    torch.testing.assert_close(found["permutation"], expected, rtol=1e-4, atol=1e-7)
    plain = found["mse"] + model.config.latent_penalty * found["latent_norm"]
    torch.testing.assert_close(found["loss"], plain + 0.3 * expected, rtol=1e-4, atol=1e-7)


def test_batch_norm_sees_both_orders_in_one_batch() -> None:
    model, given = make(permutation_weight=0.3).train(), batch()
    seen: list[Tensor] = []
    model.encoder.layers[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0][:, :CONTEXT]))
    losses(model, given)
    (views,) = seen
    frames = given.context.frames[:, :, 0]
    assert len(views) == 2 * len(frames)
    assert torch.equal(views[: len(frames)], frames)
    assert not torch.equal(views[len(frames) :], frames)
    assert torch.equal(views[len(frames) :].sort(dim=1).values, frames.sort(dim=1).values)


def test_permutation_loss_falls_where_it_is_trained_alone_and_the_appearance_stays_large() -> None:
    model, given = make(permutation_weight=1.0).train(), batch()
    optimiser = torch.optim.Adam(model.encoder.parameters(), 5e-3)
    spread = model.encoder(given.context.frames)[1].std(dim=0).mean().item()
    values = []
    for update in range(40):  # the orders change
        optimiser.zero_grad()
        loss = model.loss(dataclasses.replace(given, update=update), progress=0.0)["permutation"]
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert sum(values[-10:]) < 0.3 * sum(values[:10])
    assert model.encoder(given.context.frames)[1].std(dim=0).mean().item() > 0.5 * spread


def test_each_update_shuffles_anew() -> None:
    model, given = make(permutation_weight=1.0), batch()
    updates = (0, 0, *range(40))
    values = [losses(model, dataclasses.replace(given, update=update))["permutation"].item() for update in updates]
    assert values[0] == values[1]
    assert len(set(values)) == 5  # the other orders of three frames


# ------------------------------------------------------------------------------------------------ mean absolute error


@pytest.mark.parametrize("progress", [0.25, 1.0])
def test_absolute_error_comes_in_as_training_goes_on(progress: float) -> None:
    model, given = make(mae_weight=0.4), batch()
    early, late = (losses(model, given, progress=each)["loss"].double() for each in (0.0, progress))
    error = (ask(model, given.context, given.target_times) - given.target).double().abs().mean()
    torch.testing.assert_close(late - early, progress * 0.4 * error, rtol=1e-5, atol=1e-6)
    without = losses(make(), given, progress=progress)["loss"].double()
    torch.testing.assert_close(early, without, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("progress", [0.0, 0.5])
def test_absolute_error_alone_counts_from_the_start(progress: float) -> None:
    model, given = make(mse_weight=0.0, mae_weight=0.4, latent_penalty=0.0), batch()
    found = losses(model, given, progress=progress)
    error = (ask(model, given.context, given.target_times) - given.target).double().abs().mean()
    torch.testing.assert_close(found["loss"].double(), 0.4 * error, rtol=1e-5, atol=1e-6)
    assert found["mse"] > 0  # still told


# ------------------------------------------------------------------------------------------------- features of digits


def features(channels: int = 1, side: int = SIDE) -> perceptual.DigitFeatures:
    return perceptual.trained_features((channels, side, side))


def digits(frames: int = 6, *, seed: int = 0) -> Tensor:
    """Strokes on black, float32 (N, 1, 16, 16)."""
    drawn = torch.rand(frames, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate((drawn > 0.7).float(), size=SIDE, mode="bilinear")


def test_perceptual_loss_is_the_distance_of_feature_vectors() -> None:
    """Against loops over stages, places and maps in float64."""
    network, one, other = features(), digits(2), digits(2, seed=1)
    found = perceptual.perceptual_loss(network, one, other)
    network = network.double()
    total = 0.0
    for stage in range(3):
        a, b = network(one.double())[stage], network(other.double())[stage]
        assert a.shape == (2, (16, 32, 64)[stage], SIDE >> stage, SIDE >> stage)
        distances = []
        for frame, row, column in itertools.product(range(2), range(SIDE >> stage), range(SIDE >> stage)):
            u, v = a[frame, :, row, column].tolist(), b[frame, :, row, column].tolist()
            lengths = [math.sqrt(sum(x * x for x in vector) + 0.01) for vector in (u, v)]
            distances.append(sum(abs(x / lengths[0] - y / lengths[1]) for x, y in zip(u, v, strict=True)))
        total += sum(distances) / len(distances) / 3
    assert found.item() == pytest.approx(total, rel=1e-4)
    assert found > 0.1


def test_perceptual_loss_of_equal_frames_is_nothing() -> None:
    assert perceptual.perceptual_loss(features(), digits(), digits()).item() == 0


def test_perceptual_loss_teaches_the_prediction_and_not_the_features() -> None:
    network, predicted = features(), digits().requires_grad_()
    perceptual.perceptual_loss(network, predicted, digits(seed=1)).backward()
    assert predicted.grad is not None
    assert predicted.grad.abs().max() > 0
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in network.parameters())


def test_colours_are_looked_at_one_by_one() -> None:
    one, other = (torch.cat([digits(seed=seed) for seed in seeds], dim=1) for seeds in ((0, 1, 2), (3, 4, 2)))
    network = features(3)
    of_each = [perceptual.perceptual_loss(network, one[:, c : c + 1], other[:, c : c + 1]).item() for c in range(3)]
    assert of_each[2] == 0
    assert perceptual.perceptual_loss(network, one, other).item() == pytest.approx(sum(of_each) / 3, rel=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_perceptual_weight_weighs_the_perceptual_loss(channels: int) -> None:
    model, given = make(channels=channels, perceptual_weight=0.3), batch(channels=channels)
    found = losses(model, given)
    predicted = ask(model, given.context, given.target_times).flatten(0, 1)
    expected = perceptual.perceptual_loss(features(channels), predicted, given.target.flatten(0, 1))
    torch.testing.assert_close(found["perceptual"], expected, rtol=1e-4, atol=1e-6)
    without = losses(make(channels=channels), given)
    torch.testing.assert_close(found["loss"], without["loss"] + 0.3 * expected, rtol=1e-4, atol=1e-6)


def test_features_are_no_part_of_the_model() -> None:
    with_them, without = make(perceptual_weight=0.1), make()
    assert with_them.state_dict().keys() == without.state_dict().keys()
    assert parameters(with_them) == parameters(without)
    assert not [module for module in with_them.modules() if isinstance(module, perceptual.DigitFeatures)]


def test_features_are_those_that_were_trained() -> None:
    """Float16 in the file, with what they were made of in its header; a new network is not like them."""
    with safe_open(str(files("vpbench_latentode").joinpath(perceptual.FILE)), "pt") as file:
        header = json.loads(file.metadata()["vpbench"])
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    state = features().state_dict()
    assert state.keys() == stored.keys()
    assert all(torch.equal(state[name], stored[name].float()) for name in stored)
    assert all(value.dtype == torch.float16 for value in stored.values())
    assert header["dataset"]["split"] == "train"
    assert min(header["val_digits_read"].values()) > 0.9


@pytest.mark.parametrize("harm", ["a bit flipped", "cut short", "gone"])
def test_a_damaged_file_of_features_is_one_line(harm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(files("vpbench_latentode").joinpath(perceptual.FILE).read_bytes())
    content[-100] ^= 1
    path = tmp_path / perceptual.FILE
    path.parent.mkdir()
    if harm != "gone":
        path.write_bytes(content if harm == "a bit flipped" else content[:1000])
    monkeypatch.setattr(perceptual, "files", lambda _: tmp_path)
    with pytest.raises(ModelFailed, match=r"^weights/perceptual\.safetensors [^\n]+: install the package again$"):
        make(perceptual_weight=0.1)


def test_frames_too_small_for_the_features_are_refused() -> None:
    with pytest.raises(Refused, match=r"^perceptual_weight needs frames of at least 16 pixels a side, got 15×28$"):
        LatentODE(Config(**SMALL, perceptual_weight=0.1), frame_shape=(1, 15, 28), context_length=2)


# -------------------------------------------------------------------------------------------------- adversarial losses


def test_hinge_loss_by_hand() -> None:
    """Real 2 and 0.5 lack 0 and 0.5 to 1; predicted -3, 0 and 1 are 0, 1 and 2 above -1."""
    found = critic_loss(torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0, 1.0]))
    assert found.item() == pytest.approx(0.5 / 2 + 3 / 3)


def test_each_critic_sees_its_part_of_the_clips() -> None:
    frames = torch.rand(2, 3, 2, 8, 8)
    singles = of_frames(frames)
    assert singles.shape == (6, 2, 8, 8)
    for clip, frame in itertools.product(range(2), range(3)):
        assert torch.equal(singles[3 * clip + frame], frames[clip, frame])
    for count, places in ((2, [0, 1]), (3, [0, 1, 2]), (5, [0, 1, 2, 2, 2])):
        stacked = of_sequences(frames, count)
        assert torch.equal(stacked, torch.cat([frames[:, place] for place in places], dim=1))


def test_no_layer_of_a_critic_stretches() -> None:
    """Spectral norm 1 of each layer's matrix, however large its weights become."""
    torch.manual_seed(0)
    critic = Critic(1).train()
    layers = [module for module in critic.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == 4
    with torch.no_grad():
        for layer in layers:
            layer.parametrizations.weight.original.mul_(50)
        for _ in range(100):  # a step of the power method each
            critic(torch.rand(2, 1, 8, 8))
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1.0, abs=0.02)


def test_critics_are_there_only_where_they_are_asked_for() -> None:
    assert not len(make().critics)
    assert make().optimisers().keys() == {"main"}
    assert set(make(frame_critic_weight=0.1).critics) == {"frame"}
    assert set(make(sequence_critic_weight=0.1).critics) == {"sequence"}
    both = make(**CRITICS, train_targets=4, channels=3)
    assert {name: critic.layers[0].in_channels for name, critic in both.critics.items()} == {"frame": 3, "sequence": 12}


def test_predictor_and_critics_have_an_optimiser_each_and_share_no_parameter() -> None:
    model = make(**CRITICS, critic_learning_rate=3e-4)
    parts = model.optimisers()
    assert list(parts) == ["main", "critics"]  # in this order: critics look at what was just predicted
    held = {
        part: {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
        for part, optimiser in parts.items()
    }
    assert not held["main"] & held["critics"]
    assert held["critics"] == {id(parameter) for parameter in model.critics.parameters()}
    assert held["main"] | held["critics"] == {id(parameter) for parameter in model.parameters()}
    assert (parts["main"].param_groups[0]["lr"], parts["critics"].param_groups[0]["lr"]) == (1e-3, 3e-4)


def test_the_predictor_pays_for_critics_that_are_not_convinced() -> None:
    model, given = make(**CRITICS), batch()
    found = losses(model, given)
    clips = ask(model, given.context, given.target_times)
    with torch.no_grad():
        of_each = {"frame": -model.critics["frame"](clips.flatten(0, 1)).mean()}
        of_each["sequence"] = -model.critics["sequence"](clips.flatten(1, 2)).mean()
    for name, value in of_each.items():
        torch.testing.assert_close(found[f"{name}_critic"], value, rtol=1e-4, atol=1e-6)
    plain = found["mse"] + model.config.latent_penalty * found["latent_norm"]
    expected = plain + 0.1 * of_each["frame"] + 0.2 * of_each["sequence"]
    torch.testing.assert_close(found["loss"], expected, rtol=1e-4, atol=1e-6)


def test_critics_are_taught_the_frames_that_were_just_predicted_and_nothing_else_learns_of_it() -> None:
    model, given = make(**CRITICS).train(), batch()
    shown: list[Tensor] = []
    handle = model.decoder.register_forward_hook(lambda _, __, output: shown.append(torch.sigmoid(output.detach())))
    model.loss(given, progress=0.0)
    model.critics.eval()  # no further step of the power method
    found = model.loss(given, progress=0.0, part="critics")
    handle.remove()
    (clips,) = shown  # decoded once for both parts
    clips = clips.unflatten(0, (4, 4))
    frame, sequence = model.critics["frame"], model.critics["sequence"]
    by_hand = critic_loss(frame(given.target.flatten(0, 1)), frame(clips.flatten(0, 1)))
    by_hand = by_hand + critic_loss(sequence(given.target.flatten(1, 2)), sequence(clips.flatten(1, 2)))
    torch.testing.assert_close(found["loss"], by_hand)
    found["loss"].backward()
    judging = {id(parameter) for parameter in model.critics.parameters()}
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (id(parameter) in judging), name


def test_critics_are_not_taught_the_frames_of_another_batch() -> None:
    """Two batches may have the same number: outside of training all have number 0."""
    model, one, other = make(**CRITICS), batch(), batch(3, seed=6)
    losses(model, one)
    after_another = losses(model, other, part="critics")["loss"]
    losses(model, other)
    torch.testing.assert_close(losses(model, other, part="critics")["loss"], after_another, rtol=1e-4, atol=1e-6)


def test_critics_learn_to_tell_frames_apart() -> None:
    model, given = make(**CRITICS).train(), batch()
    optimiser = model.optimisers()["critics"]
    values = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = model.loss(given, progress=0.0, part="critics")["loss"]
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert values[0] == pytest.approx(4.0, abs=1.0)  # two critics that know nothing
    assert values[-1] < 0.8 * values[0]


# ------------------------------------------------------------------------------------------------- through the harness


DATA = "--model latentode --dataset moving-mnist --set moving-mnist.frame_size=28 --device cpu --context 2 --horizon 3"
TINY = "--set dynamics=4 --set appearance=3 --set hidden=8 --set width=2"
ADVERSARIAL = "--set frame_critic_weight=0.1 --set sequence_critic_weight=0.1 --set permutation_weight=0.1"
PARTS = ("main", "critics")


@pytest.fixture(scope="module")
def vpbench() -> Iterator[Callable[[str], Result]]:
    """The command line on this plugin's dependencies alone, one thread; the process is put back as it was."""
    threads = torch.get_num_threads()
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start out deaf to it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VPBENCH_PLUGINS", "latentode,movingmnist,metrics")
        torch.set_num_threads(1)
        yield lambda line: CliRunner().invoke(main, line.split())
    torch.set_num_threads(threads)
    for each, handler in handlers.items():
        signal.signal(each, handler)


def trained(vpbench: Callable[[str], Result], output: Path) -> Result:
    return vpbench(f"train {DATA} {TINY} {ADVERSARIAL} --budget 6updates --batch-size 4 --output {output}")


@pytest.fixture(scope="module")
def adversarial(vpbench: Callable[[str], Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a training that nothing interrupted."""
    path = tmp_path_factory.mktemp("adversarial") / "whole.safetensors"
    result = trained(vpbench, path)
    assert result.exit_code == 0, result.output
    return path


def test_adversarial_training_that_is_stopped_goes_on_bit_for_bit(
    vpbench: Callable[[str], Result], adversarial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before the predictor's step of one update, and between the steps of both in another."""
    loss, calls, stops = LatentODE.loss, [], [(1, "main"), (3, "critics")]

    def interrupted(self: LatentODE, batch: TrainBatch, *, progress: float, part: str = "main") -> Any:
        calls.append((batch.update, part))
        if calls[-1] in stops:
            stops.remove(calls[-1])
            signal.raise_signal(signal.SIGINT)
        return loss(self, batch, progress=progress, part=part)

    monkeypatch.setattr(LatentODE, "loss", interrupted)
    path = tmp_path / "resumed.safetensors"
    for done in (2, 4):
        stopped = trained(vpbench, path)
        assert stopped.exit_code == ExitCode.INTERRUPTED, stopped.output
        assert f"stopped at update {done} of 6" in stopped.stderr
    resumed = trained(vpbench, path)
    assert resumed.exit_code == 0, resumed.output
    assert calls == [(update, part) for update in range(6) for part in PARTS]
    one, other = load_file(adversarial), load_file(path)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert {name.split(".")[1] for name in one if name.startswith("critics.")} == {"frame", "sequence"}


def test_weights_of_adversarial_training_predict(
    vpbench: Callable[[str], Result], adversarial: Path, tmp_path: Path
) -> None:
    ran = vpbench(f"run {DATA} --weights {adversarial} --clips 2 --metric mse --results {tmp_path}")
    assert ran.exit_code == 0, ran.output
    records = [path.read_text() for path in tmp_path.glob("moving-mnist/latentode/*.json")]
    assert records
    assert all('"frame_critic_weight": 0.1' in record and '"mse"' in record for record in records)


# ------------------------------------------------------------------------------------------------- no wait for a GPU


class Waits(TorchDispatchMode):
    """Counts where a program would wait for the device; the meta device stands for one: its tensors have no numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name == "_local_scalar_dense" and args[0].is_meta:
            self.found["a number is read off the device"] += 1
        if name == "_to_copy" and not kwargs.get("non_blocking"):
            wanted = torch.device(kwargs.get("device") or args[0].device)
            self.found["a copy to or from the device"] += (wanted.type == "meta") != args[0].is_meta
        if name == "copy_" and args[0].is_meta != args[1].is_meta and not (len(args) > 2 and args[2]):
            self.found["a copy to or from the device"] += 1
        return func(*args, **kwargs)


def waits_of_an_update(config: dict[str, Any]) -> Counter[str]:
    """Of the loss of each part and its gradient, once what is copied only once has been."""
    small = Config(**{**SMALL, **config})
    model = LatentODE(small, frame_shape=(1, SIDE, SIDE), context_length=CONTEXT).to("meta").train()
    given = batch()
    context = dataclasses.replace(given.context, frames=given.context.frames.to("meta"))
    given = dataclasses.replace(given, context=context, target=given.target.to("meta"))
    for _ in range(2):
        with Waits() as waits:
            for part in model.optimisers():
                model.loss(given, progress=0.5, part=part)["loss"].backward()
    return +waits.found


def test_what_counts_waits_finds_them() -> None:
    x = torch.ones(3, device="meta")
    with Waits() as waits:
        torch.ones(3).to("meta", non_blocking=True)
        torch.ones(3).to("meta")
        with pytest.raises((RuntimeError, NotImplementedError)):
            float(x.sum())
    assert waits.found["a copy to or from the device"] == 1
    assert waits.found["a number is read off the device"] == 1


@pytest.mark.parametrize(
    ("config", "times_copied"),
    [
        ({}, 1),
        ({"transport": "mlp"}, 1),
        ({"appearance_dynamics": "ode"}, 2),
        ({"appearance": 0, "spatial_encoding": False}, 1),
        ({"permutation_weight": 0.1, "mae_weight": 0.1}, 1),
        ({"perceptual_weight": 0.1}, 1),
        (CRITICS, 1),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_no_option_makes_an_update_wait_for_the_device(
    config: dict[str, Any], times_copied: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But to bring it the times asked for, once per solve: the place of each on the grid, as two tensors."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # the meta device has none
    each = 1 if config.get("transport") == "mlp" else 2
    assert waits_of_an_update(config) == {"a copy to or from the device": each * times_copied}


# -------------------------------------------------------------------------------------------------------- the contract

CHEAP = (
    "check_config_can_be_written_down",
    "check_predicts",
    "check_batch_invariance",
    "check_prefix_stability",
    "check_query_invariance",
    "check_before_context_end",
    "check_any_number_of_channels",
    "check_swap",
    "check_swap_of_a_clip_with_itself",
    "check_the_same_swap_twice",
    "check_swap_batch_invariance",
    "check_codes",
    "check_can_be_trained",
    "check_loss",
    "check_optimisers_have_all_parameters",
    "check_weights_keep_all_it_learns",
)
COMBINED = {
    "ablated": ("transport=mlp", "appearance=0", "spatial_encoding=false"),
    "proposed": ("appearance_dynamics=ode", "permutation_weight=0.1", "mae_weight=0.1"),
    "adversarial": ("frame_critic_weight=0.1", "sequence_critic_weight=0.1", "perceptual_weight=0.1"),
}


def kept(combined: str) -> list[Any]:
    settings = (*COMBINED[combined], *(f"{name}={value}" for name, value in SMALL.items()))
    checks = checks_for(installed("model", "latentode", settings, frame_shape=(1, SIDE, SIDE)))
    return [pytest.param(check, id=f"{combined}-{check}") for check in checks if check.name in CHEAP]


@pytest.mark.parametrize("check", [check for combined in COMBINED for check in kept(combined)])
def test_with_other_options_it_keeps_the_contract(check: Any) -> None:
    check()


def test_the_contract_is_looked_at_where_it_matters() -> None:
    assert all(len(kept(combined)) == len(CHEAP) for combined in COMBINED)
