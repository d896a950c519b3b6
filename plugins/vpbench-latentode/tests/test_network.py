"""Every layer against Tables 1 and 2 of the report, and every reading of them that the config offers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from vpbench_latentode.config import Config
from vpbench_latentode.model import LatentODE
from vpbench_latentode.network import ACTIVATIONS, Decoder, Encoder, VectorField, spatial_encoding

SMALL = {"dynamics": 4, "appearance": 3, "hidden": 8}


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def sizes(network: nn.Module, *inputs: Tensor) -> list[tuple[int, ...]]:
    """(channels, height, width) after each layer that changes them, in order."""
    seen: list[tuple[int, ...]] = []
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d, nn.Upsample)
    for module in network.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda _, __, output: seen.append(tuple(output.shape[1:])))
    with torch.no_grad():
        network.eval()(*inputs)
    return seen


# ------------------------------------------------------------------------------------------------------------ encoder


def test_encoder_has_the_sizes_of_table_1() -> None:
    encoder = Encoder(Config(), (1, 64, 64), 10)
    assert encoder.layers[0].in_channels == 12
    assert sizes(encoder, torch.rand(1, 10, 1, 64, 64)) == [
        (64, 62, 62),
        (64, 60, 60),
        (64, 30, 30),
        (128, 28, 28),
        (128, 26, 26),
        (128, 13, 13),
        (256, 11, 11),
        (256, 9, 9),
        (256, 4, 4),
    ]


def test_encoder_has_the_layers_of_table_1_in_its_order() -> None:
    block = [nn.Conv2d, nn.ReLU, nn.BatchNorm2d] * 2 + [nn.MaxPool2d]
    encoder = Encoder(Config(), (1, 64, 64), 2)
    assert [type(layer) for layer in encoder.layers] == block * 3
    for layer in encoder.layers:
        if isinstance(layer, nn.Conv2d):
            assert (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (0, 0))
        if isinstance(layer, nn.MaxPool2d):
            assert (layer.kernel_size, layer.stride, layer.padding) == (2, 2, 0)


def test_parameter_counts_are_those_of_the_tables() -> None:
    model = LatentODE(Config(structure="first-order"), frame_shape=(1, 64, 64), context_length=10)
    assert parameters(model.encoder.layers) == 1_152_384
    assert parameters(Encoder(Config(), (1, 64, 64), 2).layers) == 1_147_776
    assert (model.encoder.code.in_features, model.encoder.code.out_features) == (256 * 4 * 4, 2 * 96 + 64)
    assert parameters(model.decoder.dense) == 659_456
    assert parameters(model.decoder.layers) == 632_161
    assert parameters(Decoder(Config(decoder_tail="author"), (1, 64, 64), (4, 4)).layers) == 616_161
    assert parameters(model.field) == 164_544
    assert round(parameters(model) / 1e6, 2) == 3.66


def test_context_frames_and_colours_are_stacked_as_channels() -> None:
    encoder = Encoder(Config(**SMALL, spatial_frequencies=3), (3, 16, 16), 5)
    assert encoder.layers[0].in_channels == 5 * 3 + 2 + 4 * 3
    seen: list[Tensor] = []
    encoder.layers[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    frames = torch.rand(2, 5, 3, 16, 16)
    encoder.eval()(frames)
    assert torch.equal(seen[0][:, :15], frames.reshape(2, 15, 16, 16))
    assert torch.equal(seen[0][:, 15:], spatial_encoding(16, 16, 3).expand(2, -1, -1, -1))


def test_state_comes_first_in_the_code_then_appearance() -> None:
    encoder = Encoder(Config(**SMALL), (1, 16, 16), 2).eval()
    seen: list[Tensor] = []
    encoder.code.register_forward_hook(lambda _, __, output: seen.append(output))
    state, appearance = encoder(torch.rand(3, 2, 1, 16, 16))
    assert state.shape == (3, 8)  # 4 positions, 4 velocities
    assert torch.equal(torch.cat([state, appearance], dim=1), seen[0])


@pytest.mark.parametrize("decoder_tail", ["report-table", "author"])
@pytest.mark.parametrize("size", [16, 64])
def test_width_scales_all_maps_of_the_tables(decoder_tail: Any, size: int) -> None:
    config = Config(**SMALL, width=6, decoder_tail=decoder_tail)
    model = LatentODE(config, frame_shape=(1, size, size), context_length=2)
    full = LatentODE(Config(**SMALL, decoder_tail=decoder_tail), frame_shape=(1, size, size), context_length=2)

    def maps(network: nn.Module) -> list[int]:
        return [layer.out_channels for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]

    assert maps(full.encoder) == [64, 64, 128, 128, 256, 256]
    assert maps(model.encoder) == [6, 6, 12, 12, 24, 24]
    assert [64 * n for n in maps(model.decoder)[:-1]] == [6 * n for n in maps(full.decoder)[:-1]]
    assert model.decoder(torch.rand(3, 7)).shape == (3, 1, size, size)


# --------------------------------------------------------------------------------------------------- spatial encoding


def test_spatial_encoding_is_the_formula() -> None:
    height, width, frequencies = 5, 7, 3
    maps = spatial_encoding(height, width, frequencies)
    assert maps.shape == (2 + 4 * frequencies, height, width)
    for row in range(height):
        for column in range(width):
            x, y = column / (width - 1), row / (height - 1)
            expected = [x, y]
            for octave in range(1, frequencies + 1):
                for wave in (math.sin, math.cos):
                    expected += [wave(2 ** (octave - 1) * math.pi * x), wave(2 ** (octave - 1) * math.pi * y)]
            assert maps[:, row, column].tolist() == pytest.approx(expected, abs=1e-6)


def test_integer_coordinates_would_make_every_sine_vanish() -> None:
    """Why the maps are scaled to [0, 1], where the report counts pixels."""
    pixels = torch.arange(64, dtype=torch.float64)
    for octave in range(4):
        assert torch.sin(2.0**octave * math.pi * pixels).abs().max() < 1e-12
        rows = spatial_encoding(64, 64, 4)[2 + 4 * octave]
        assert rows.abs().max() > 0.99


def test_coordinates_are_no_part_of_the_weights() -> None:
    assert not [name for name in Encoder(Config(**SMALL), (1, 16, 16), 2).state_dict() if "coordinates" in name]


# ------------------------------------------------------------------------------------------------------------ decoder

TABLE_2 = [
    (256, 8, 8),
    (128, 10, 10),
    (128, 12, 12),
    (128, 24, 24),
    (64, 26, 26),
    (64, 29, 29),
    (64, 58, 58),
    (32, 61, 61),
]


@pytest.mark.parametrize(("tail", "last"), [("report-table", [(32, 64, 64), (1, 64, 64)]), ("author", [(1, 64, 64)])])
def test_decoder_has_the_sizes_of_table_2(tail: Any, last: list[tuple[int, ...]]) -> None:
    decoder = Decoder(Config(decoder_tail=tail), (1, 64, 64), (4, 4))
    assert decoder.dense.in_features == 160
    assert decoder.dense.out_features == 256 * 4 * 4
    assert sizes(decoder, torch.rand(1, 160)) == TABLE_2 + last


def test_decoder_has_the_layers_of_table_2_in_its_order() -> None:
    up, unit = [nn.Upsample], [nn.ConvTranspose2d, nn.ReLU, nn.BatchNorm2d]
    by_tail = {
        "report-table": (up + unit * 2) * 3 + [nn.Conv2d],
        "author": (up + unit * 2) * 2 + up + unit + [nn.ConvTranspose2d],
    }
    for tail, expected in by_tail.items():
        decoder = Decoder(Config(decoder_tail=tail), (1, 64, 64), (4, 4))  # type: ignore[arg-type]
        assert [type(layer) for layer in decoder.layers] == expected
        convolutions = [layer for layer in decoder.layers if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
        kernels = [layer.kernel_size[0] for layer in convolutions]
        assert kernels == [3, 3, 3, 4, 4, 4] + ([1] if tail == "report-table" else [])
        assert all(layer.stride == (1, 1) and layer.padding == (0, 0) for layer in convolutions)
        for layer in decoder.layers:
            if isinstance(layer, nn.Upsample):
                assert (layer.scale_factor, layer.mode, layer.align_corners) == (2, "bilinear", False)


def test_a_relu_follows_the_dense_layer() -> None:
    decoder = Decoder(Config(), (1, 64, 64), (4, 4)).eval()
    seen: list[Tensor] = []
    decoder.layers[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    code = torch.randn(2, 160)
    with torch.no_grad():
        decoder(code)
        assert torch.equal(seen[0], decoder.dense(code).clamp(min=0).reshape(2, 256, 4, 4))


@pytest.mark.parametrize("padding", [0, 1])
def test_the_padding_that_table_2_prints_would_not_give_64(padding: int) -> None:
    last = nn.ConvTranspose2d(32, 1, 1, padding=padding)
    assert last(torch.rand(1, 32, 64, 64)).shape[-1] == {0: 64, 1: 62}[padding]


@pytest.mark.parametrize("tail", ["report-table", "author"])
def test_an_untrained_decoder_draws_dark_frames(tail: Any) -> None:
    for shape, grid in (((1, 64, 64), (4, 4)), ((3, 28, 28), (3, 3))):
        decoder = Decoder(Config(**SMALL, decoder_tail=tail, output_bias=-3.0), shape, grid).eval()
        assert decoder.layers[-1].bias.tolist() == [-3.0] * shape[0]
        with torch.no_grad():
            assert torch.sigmoid(decoder(torch.randn(8, 7))).mean() < 0.2


@pytest.mark.parametrize(("readout", "state"), [("position", 192), ("full", 96)])
def test_both_readouts_give_160_numbers_to_the_decoder(readout: Any, state: int) -> None:
    config = Config(dyn_readout=readout)
    assert config.state == state
    model = LatentODE(config, frame_shape=(1, 64, 64), context_length=2)
    assert model.decoder.dense.in_features == 160
    assert model.encoder.code.out_features == state + 64
    assert model.field.layers[0].in_features == state
    assert model.field.layers[-1].out_features == state // 2


# -------------------------------------------------------------------------------------------------------- other sizes


@pytest.mark.parametrize(
    "shape",
    [(1, 28, 28), (1, 32, 32), (3, 64, 64), (1, 128, 128), (1, 64, 48), (2, 31, 17), (1, 8, 8)],
    ids=lambda shape: "x".join(map(str, shape)),
)
@pytest.mark.parametrize("tail", ["report-table", "author"])
def test_other_sizes_come_back_as_they_went_in(shape: tuple[int, int, int], tail: Any) -> None:
    config = Config(**SMALL, decoder_tail=tail)
    encoder = Encoder(config, shape, 2).eval()
    with torch.no_grad():
        state, appearance = encoder(torch.rand(2, 2, *shape))
        frames = Decoder(config, shape, encoder.grid).eval()(torch.cat([state[:, :4], appearance], dim=1))
    assert frames.shape == (2, *shape)
    assert frames.isfinite().all()


def test_below_64_the_convolutions_keep_the_size() -> None:
    encoder = Encoder(Config(**SMALL), (1, 28, 28), 2)
    found = sizes(encoder, torch.rand(1, 2, 1, 28, 28))
    assert [size[-1] for size in found] == [28, 28, 14, 14, 14, 7, 7, 7, 3]
    found = sizes(Decoder(Config(**SMALL), (1, 28, 28), encoder.grid), torch.rand(1, 7))
    assert [size[-1] for size in found] == [7, 7, 7, 14, 14, 14, 28, 28, 28, 28]


# ------------------------------------------------------------------------------------------------------- vector field


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("readout", ["position", "full"])
def test_second_order_field_moves_positions_by_the_velocities(activation: Any, readout: Any) -> None:
    config = Config(**SMALL, activation=activation, dyn_readout=readout)
    state = torch.randn(5, config.state)
    change = VectorField(config)(state)
    half = config.state // 2
    assert change.shape == state.shape
    assert torch.equal(change[:, :half], state[:, half:])


def test_first_order_field_ties_nothing_to_the_velocities() -> None:
    state = torch.randn(5, 8)
    change = VectorField(Config(**SMALL, structure="first-order"))(state)
    assert change.shape == state.shape
    assert not torch.allclose(change[:, :4], state[:, 4:], atol=0.1)


def test_the_field_starts_gentle() -> None:
    config = Config()
    torch.manual_seed(0)
    field = VectorField(config)
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(192, 256), nn.Tanh(), nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 96))
    state = torch.randn(4, 192)
    torch.testing.assert_close(field(state)[:, 96:], 0.1 * plain(state))
