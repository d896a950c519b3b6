"""`cae` against plain loops in float64: its layers, which frame it shows when, and what it learns from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from vpbench_latentode import cae_network
from vpbench_latentode.cae import ConvolutionalAutoencoder
from vpbench_latentode.cae_config import CAEConfig

from vpbench import Context, TrainBatch
from vpbench.config import make_config
from vpbench.errors import ConfigError, Refused
from vpbench.protocols import Coded, Trainable
from vpbench.registry import load
from vpbench.testing import checks_for, installed

Array = np.ndarray[Any, np.dtype[np.float64]]


def make(size: tuple[int, int, int] = (1, 16, 16), **config: Any) -> ConvolutionalAutoencoder:
    torch.manual_seed(0)
    return ConvolutionalAutoencoder(CAEConfig(**{"latent": 3, **config}), frame_shape=size, context_length=2).eval()


def contexts(clips: int = 3, frames: int = 4, size: tuple[int, int, int] = (1, 16, 16)) -> Context:
    generator = torch.Generator().manual_seed(1)
    times = torch.rand(clips, frames, dtype=torch.float64, generator=generator).add(0.2).cumsum(dim=1)
    return Context(torch.rand(clips, frames, *size, generator=generator), times, torch.arange(clips))


def balls(n: int, side: int = 16, seed: int = 0) -> Tensor:
    """Gaussian balls at random places, float32 (n, 1, side, side)."""
    centre = (0.25 + 0.5 * torch.rand(n, 2, 1, generator=torch.Generator().manual_seed(seed))) * side
    rows, columns = torch.exp(-((torch.arange(side) - centre) ** 2) / (2 * 2.0**2)).unbind(1)
    return (rows[:, :, None] * columns[:, None, :]).unsqueeze(1)


# ------------------------------------------------------------------------------------------------------------- layers


def convolution(maps: Array, layer: torch.nn.Conv2d) -> Array:
    """A convolution, one output number at a time."""
    assert layer.bias is not None
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    (padding, _), (stride, _), kernel = layer.padding, layer.stride, weight.shape[2]  # type: ignore[misc]
    _, height, width = maps.shape
    padded = np.zeros((len(maps), height + 2 * padding, width + 2 * padding))
    padded[:, padding : padding + height, padding : padding + width] = maps
    rows, columns = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
    out = np.zeros((len(weight), rows, columns))
    for i in range(rows):
        for j in range(columns):
            patch = padded[:, i * stride : i * stride + kernel, j * stride : j * stride + kernel]
            for map_ in range(len(weight)):
                out[map_, i, j] = (weight[map_] * patch).sum() + bias[map_]
    return out


def transposed_convolution(maps: Array, layer: torch.nn.ConvTranspose2d) -> Array:
    """Each input number paints its kernel; what is painted into the padding is cut off."""
    assert layer.bias is not None
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    (padding, _), (stride, _), kernel = layer.padding, layer.stride, weight.shape[2]  # type: ignore[misc]
    _, height, width = maps.shape
    painted = np.zeros((weight.shape[1], (height - 1) * stride + kernel, (width - 1) * stride + kernel))
    for i in range(height):
        for j in range(width):
            stamp = np.tensordot(maps[:, i, j], weight, axes=1)
            painted[:, i * stride : i * stride + kernel, j * stride : j * stride + kernel] += stamp
    rows, columns = painted.shape[1:]
    return painted[:, padding : rows - padding, padding : columns - padding] + bias[:, None, None]


def linear(values: Array, layer: torch.nn.Linear) -> Array:
    return layer.weight.detach().double().numpy() @ values + layer.bias.detach().double().numpy()


@pytest.mark.parametrize("encoded", [True, False])
def test_the_encoder_is_three_convolutions_and_a_linear_layer_of_frame_and_coordinates(encoded: bool) -> None:
    model, frame = make((1, 16, 18), spatial_encoding=encoded), np.random.default_rng(0).random((1, 16, 18))
    maps = frame
    if encoded:
        rows, columns = np.meshgrid(np.arange(16) / 15, np.arange(18) / 17, indexing="ij")
        maps = np.stack([frame[0], columns, rows])
    for layer in model.encoder.layers:
        if isinstance(layer, torch.nn.Conv2d):
            maps = np.maximum(convolution(maps, layer), 0)
    expected = linear(maps.reshape(-1), model.encoder.code)
    found = model.encode(torch.from_numpy(frame).float()[None])[0]
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(2, 20, 20), (1, 16, 17)], ids=["whole", "cut"])
def test_the_decoder_is_a_linear_layer_and_three_transposed_convolutions(size: tuple[int, int, int]) -> None:
    model, code = make(size), np.random.default_rng(0).normal(size=3)
    maps = np.maximum(linear(code, model.decoder.dense), 0).reshape(128, 2, 2)
    layers = [layer for layer in model.decoder.layers if isinstance(layer, torch.nn.ConvTranspose2d)]
    for place, layer in enumerate(layers):
        maps = transposed_convolution(maps, layer)
        if place < 2:
            maps = np.maximum(maps, 0)
    assert maps.shape == (size[0], 20, 20)
    _, height, width = size
    top, left = (20 - height) // 2, (20 - width) // 2
    expected = 1 / (1 + np.exp(-maps[:, top : top + height, left : left + width]))
    found = model.decoder(torch.from_numpy(code).float()[None])[0]
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)


def test_it_has_as_many_parameters_as_the_authors() -> None:
    model = make((1, 28, 28), latent=10, spatial_encoding=False)
    assert sum(parameter.numel() for parameter in model.parameters()) == 238_827
    assert sum(parameter.numel() for parameter in make((1, 28, 28), latent=10).parameters()) == 238_827 + 2 * 25 * 32


@pytest.mark.parametrize("size", [(1, 28, 28), (3, 64, 64), (1, 33, 16), (2, 47, 52)])
def test_frames_come_back_in_their_size(size: tuple[int, int, int]) -> None:
    model, context = make(size), contexts(2, 2, size)
    with torch.inference_mode():
        assert model.predict(context, context.times).shape == context.frames.shape


def test_a_fresh_one_draws_dark_frames_where_the_authors_draws_grey_ones() -> None:
    dark, grey = make(output_bias=-3.0), make(output_bias=0.0)
    code = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert abs(dark.decoder(code).mean() - 1 / (1 + np.exp(3))) < 0.02
        assert abs(grey.decoder(code).mean() - 0.5) < 0.05


# --------------------------------------------------------------------------------------------------------- the contract


def test_the_spec_says_what_the_class_can_do() -> None:
    spec = load().model("cae").spec
    assert (spec.load(), spec.load_config(), spec.learns) == (ConvolutionalAutoencoder, CAEConfig, "weights")
    assert isinstance(make(), Trainable)
    assert isinstance(make(), Coded)


@pytest.mark.parametrize("check", checks_for(installed("model", "cae")), ids=str)
def test_it_keeps_the_contract(check: Any) -> None:
    check()


@pytest.mark.parametrize("observed", [None, [True, False, True, True]], ids=["all", "some"])
def test_it_shows_the_last_known_frame_through_its_code(
    observed: list[bool] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cae_network, "CHUNK", 2)
    model, context = make(), contexts()
    if observed is not None:
        context = Context(context.frames, context.times, context.seeds, torch.tensor([observed] * 3))
    times = torch.cat([context.times[:, :1] - 1, context.times, context.times + 0.1, context.times[:, -1:] + 30], dim=1)
    with torch.inference_mode():
        frames, codes = model.predict(context, times), model.codes(context, times)["dynamics"]
    assert codes.shape == (3, 10, 3)
    usable = [k for k in range(4) if observed is None or observed[k]]
    for clip in range(3):
        for place, time in enumerate(times[clip].tolist()):
            before = [k for k in usable if context.times[clip, k] <= time]
            frame = context.frames[clip, None, before[-1] if before else usable[0]]
            with torch.inference_mode():
                code = model.encode(frame)
                torch.testing.assert_close(codes[clip, place], code[0], rtol=0, atol=1e-6)
                torch.testing.assert_close(frames[clip, place], model.decoder(code)[0], rtol=0, atol=1e-6)


def test_encode_takes_frames_of_clips() -> None:
    model, frames = make(), torch.rand(2, 5, 1, 16, 16)
    with torch.inference_mode():
        assert model.encode(frames).shape == (2, 5, 3)
        torch.testing.assert_close(model.encode(frames)[1, 3], model.encode(frames[1, 3:4])[0], rtol=0, atol=1e-6)


# ----------------------------------------------------------------------------------------------------------- training


def of_frames(frames: Tensor) -> TrainBatch:
    """Frames (n, C, H, W) to learn from: those of the context are others."""
    times = torch.zeros(len(frames), 1, dtype=torch.float64)
    black = Context(torch.zeros_like(frames).unsqueeze(1), times, torch.arange(len(frames)))
    return TrainBatch(black, times, frames.unsqueeze(1))


def test_the_loss_is_the_error_of_reconstruction_and_the_mean_norm_of_the_code() -> None:
    model, frames = make(latent_penalty=0.3), balls(4)
    with torch.no_grad():
        found = model.loss(of_frames(frames), progress=0.0)
        codes = model.encode(frames)
        error = float(((model.decoder(codes) - frames).double() ** 2).sum()) / (4 * 16 * 16)
    norm = sum(float(sum(number**2 for number in code)) ** 0.5 for code in codes.double().tolist()) / 4
    assert found["mse"].item() == pytest.approx(error, rel=1e-5)
    assert found["loss"].item() == pytest.approx(error + 0.3 * norm, rel=1e-5)


@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "encoded"])
def test_from_grey_frames_it_falls_into_black_and_from_dark_ones_it_learns(encoded: bool) -> None:
    """The report's black frames: they come from where training starts, with and without coordinates alike."""
    held_out = balls(64, seed=10_000)
    of_black, of_mean = (float((frame - held_out).square().mean()) for frame in (torch.tensor(0.0), held_out.mean(0)))
    errors, pull = {}, {}
    for bias in (0.0, -3.0):
        model = make(spatial_encoding=encoded, learning_rate=3e-3, latent=4, output_bias=bias).train()
        (optimiser,) = model.optimisers().values()
        for update in range(60):
            optimiser.zero_grad()
            model.loss(of_frames(balls(16, seed=update)), progress=0.0)["loss"].backward()
            optimiser.step()
        pull[bias] = max(float(each.grad.abs().max()) for each in model.parameters() if each.grad is not None)
        with torch.inference_mode():
            errors[bias] = float((model.eval().decoder(model.encode(held_out)) - held_out).square().mean())
    assert errors[0.0] == pytest.approx(of_black, rel=1e-3)
    assert pull[0.0] < 1e-6  # and nothing leads out
    assert errors[-3.0] < 0.6 * of_mean
    assert pull[-3.0] > 1e-4


def test_a_penalty_makes_codes_small() -> None:
    norms = []
    for penalty in (0.0, 1.0):
        model = make(latent_penalty=penalty, learning_rate=3e-3).train()
        (optimiser,) = model.optimisers().values()
        for update in range(12):
            optimiser.zero_grad()
            losses = model.loss(of_frames(balls(8, seed=update)), progress=0.0)
            losses["loss"].backward()
            optimiser.step()
        norms.append(losses["latent_norm"].item())
    assert norms[1] < 0.5 * norms[0]


def test_it_learns_from_single_frames_of_clips() -> None:
    task = make(train_frames=5).sampling(0.0)
    assert (task.context, task.first, task.horizon, task.targets) == (1, 0, None, 5)
    assert isinstance(make().optimisers()["main"], torch.optim.Adam)


# ---------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("size", [(1, 15, 28), (1, 28, 12)])
def test_frames_that_are_too_small_are_refused(size: tuple[int, int, int]) -> None:
    with pytest.raises(Refused, match=f"cae needs frames of at least 16 pixels a side, got {size[1]}×{size[2]}"):
        make(size)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latent": "0"}, "latent must be at least 1, got 0"),
        ({"train_frames": "0"}, "train_frames must be at least 1"),
        ({"learning_rate": "0"}, "learning_rate must be positive and finite"),
        ({"latent_penalty": "-1"}, "latent_penalty must be finite and not negative"),
        ({"output_bias": "inf"}, "output_bias must be finite"),
        ({"spatial_frequencies": "-1"}, "spatial_frequencies must be from 0 to 16, got -1"),
        (
            {"spatial_encoding": "false", "spatial_frequencies": "2"},
            "spatial_encoding=false leaves out all coordinate maps, so spatial_frequencies must be 0",
        ),
    ],
)
def test_config_values_without_sense_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(CAEConfig, settings, owner="cae")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
