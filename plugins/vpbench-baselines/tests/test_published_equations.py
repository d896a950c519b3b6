"""ConvLSTM and PhyDNet are what their equations say, with weights in the layouts that others publish.

The equations are written out here one clip at a time: loops over pixels and kernel taps, float64, one convolution per
input where the published code has that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from vpbench_baselines import convlstm_config, phydnet_config
from vpbench_baselines.convlstm import ConvLSTM, ConvLSTMCell
from vpbench_baselines.importing import import_convlstm, import_phydnet
from vpbench_baselines.phydnet import PhyDNet

from vpbench import Context

Array = np.ndarray
Weights = dict[str, Array]


def convolved(maps: Array, weight: Array, bias: Array | float = 0.0, stride: int = 1) -> Array:
    """(I, H, W) under (O, I, k, k) with (k - 1) / 2 zeros around: (O, H / stride, W / stride)."""
    kernel, (_, height, width) = weight.shape[-1], maps.shape
    out = np.zeros((len(weight), height // stride, width // stride))
    for row in range(out.shape[1]):
        for column in range(out.shape[2]):
            for tap_row in range(kernel):
                for tap_column in range(kernel):
                    from_row = stride * row + tap_row - kernel // 2
                    from_column = stride * column + tap_column - kernel // 2
                    if 0 <= from_row < height and 0 <= from_column < width:
                        out[:, row, column] += weight[:, :, tap_row, tap_column] @ maps[:, from_row, from_column]
    return out + np.reshape(bias, (-1, 1, 1))


def spread(maps: Array, weight: Array, bias: Array, stride: int) -> Array:
    """Transposed convolution: (I, H, W) under (I, O, 3, 3) to (O, H · stride, W · stride)."""
    _, height, width = maps.shape
    out = np.zeros((weight.shape[1], height * stride, width * stride))
    for row in range(height):
        for column in range(width):
            for tap_row in range(3):
                for tap_column in range(3):
                    to_row, to_column = stride * row + tap_row - 1, stride * column + tap_column - 1
                    if 0 <= to_row < out.shape[1] and 0 <= to_column < out.shape[2]:
                        out[:, to_row, to_column] += maps[:, row, column] @ weight[:, :, tap_row, tap_column]
    return out + bias[:, None, None]


def group_normalised(maps: Array, groups: int, weight: Array, bias: Array) -> Array:
    out = np.empty_like(maps)
    size = len(maps) // groups
    for group in range(groups):
        part = maps[group * size : (group + 1) * size]
        out[group * size : (group + 1) * size] = (part - part.mean()) / np.sqrt(part.var() + 1e-5)
    return out * weight[:, None, None] + bias[:, None, None]


def sigmoid(maps: Array) -> Array:
    return 1 / (1 + np.exp(-maps))


def leaky(maps: Array) -> Array:
    return np.where(maps > 0, maps, 0.2 * maps)


class Published:
    """What both have: random weights under published names, and a roll-out."""

    def __init__(self, shapes: dict[str, tuple[int, ...]], scale: float) -> None:
        draw = np.random.default_rng(3)
        self.weights = {name: draw.uniform(-scale, scale, shape) for name, shape in shapes.items()}

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {name: torch.tensor(value, dtype=torch.float32) for name, value in self.weights.items()}

    def advanced(self, frame: Array) -> Array:
        raise NotImplementedError

    def forget(self) -> None:
        raise NotImplementedError

    def predict(self, frames: Array, n: int) -> Array:
        """The n frames after (T, C, H, W)."""
        self.forget()
        for frame in frames:
            predicted = self.advanced(frame)
        found = [predicted]
        while len(found) < n:
            found.append(self.advanced(found[-1]))
        return np.stack(found)


class PublishedConvLSTM(Published):
    def __init__(self, *, channels: int, hidden: int, layers: int, kernel: int, patch: int) -> None:
        self.hidden, self.layers, self.patch, self.channels = hidden, layers, patch, channels
        depth = channels * patch**2
        shapes: dict[str, tuple[int, ...]] = {"conv_last.weight": (depth, hidden, 1, 1)}
        for layer in range(layers):
            cell = f"cell_list.{layer}"
            shapes[f"{cell}.conv_x.0.weight"] = (4 * hidden, hidden if layer else depth, kernel, kernel)
            shapes[f"{cell}.conv_h.0.weight"] = (4 * hidden, hidden, kernel, kernel)
            shapes[f"{cell}.conv_o.0.weight"] = (hidden, 2 * hidden, kernel, kernel)
            shapes[f"{cell}.conv_last.weight"] = (hidden, 2 * hidden, 1, 1)
        super().__init__(shapes, 0.6)

    def forget(self) -> None:
        self.h: list[Array] = []
        self.c: list[Array] = []

    def advanced(self, frame: Array) -> Array:
        x = self._patches(frame)
        if not self.h:
            self.h = [np.zeros((self.hidden, *x.shape[1:]))] * self.layers
            self.c = list(self.h)
        for layer in range(self.layers):
            x_maps = np.split(convolved(x, self.weights[f"cell_list.{layer}.conv_x.0.weight"]), 4)
            h_maps = np.split(convolved(self.h[layer], self.weights[f"cell_list.{layer}.conv_h.0.weight"]), 4)
            i, f, g, o = (of_x + of_h for of_x, of_h in zip(x_maps, h_maps, strict=True))
            self.c[layer] = sigmoid(f) * self.c[layer] + sigmoid(i) * np.tanh(g)
            x = self.h[layer] = sigmoid(o) * np.tanh(self.c[layer])
        return self._frame(convolved(x, self.weights["conv_last.weight"]))

    def _places(self, height: int, width: int) -> list[tuple[tuple[int, int, int], tuple[int, int, int]]]:
        """Where each value of a frame is among its patches."""
        side = self.patch
        return [
            (
                (channel, row, column),
                (((row % side) * side + column % side) * self.channels + channel, row // side, column // side),
            )
            for channel in range(self.channels)
            for row in range(height)
            for column in range(width)
        ]

    def _patches(self, frame: Array) -> Array:
        channels, height, width = frame.shape
        patches = np.zeros((channels * self.patch**2, height // self.patch, width // self.patch))
        for place, in_patches in self._places(height, width):
            patches[in_patches] = frame[place]
        return patches

    def _frame(self, patches: Array) -> Array:
        height, width = patches.shape[1] * self.patch, patches.shape[2] * self.patch
        frame = np.zeros((self.channels, height, width))
        for place, in_patches in self._places(height, width):
            frame[place] = patches[in_patches]
        return frame


class PublishedPhyDNet(Published):
    """The authors' code: width 32 and hidden 128, 128, 64 there."""

    def __init__(self, *, channels: int, width: int, hidden: tuple[int, ...]) -> None:
        self.maps, self.hidden = 2 * width, hidden
        maps = self.maps
        shapes: dict[str, tuple[int, ...]] = {}

        def block(name: str, weight: tuple[int, ...], out: int) -> None:
            shapes.update({f"{name}.main.0.weight": weight, f"{name}.main.0.bias": (out,)})
            shapes.update({f"{name}.main.1.weight": (out,), f"{name}.main.1.bias": (out,)})

        for name, inputs, outputs in (("c1", channels, width), ("c2", width, width), ("c3", width, maps)):
            block(f"encoder_E.{name}", (outputs, inputs, 3, 3), outputs)
        for branch in "pr":
            for place in (1, 2):
                block(f"encoder_E{branch}.c{place}", (maps, maps, 3, 3), maps)
                block(f"decoder_D{branch}.upc{place}", (maps, maps, 3, 3), maps)
        block("decoder_D.upc1", (maps, width, 3, 3), width)
        block("decoder_D.upc2", (width, width, 3, 3), width)
        shapes |= {"decoder_D.upc3.weight": (width, channels, 3, 3), "decoder_D.upc3.bias": (channels,)}
        cell = "phycell.cell_list.0"
        shapes |= {f"{cell}.F.conv1.weight": (49, maps, 7, 7), f"{cell}.F.conv1.bias": (49,)}
        shapes |= {f"{cell}.F.bn1.weight": (49,), f"{cell}.F.bn1.bias": (49,)}
        shapes |= {f"{cell}.F.conv2.weight": (maps, 49, 1, 1), f"{cell}.F.conv2.bias": (maps,)}
        shapes |= {f"{cell}.convgate.weight": (maps, 2 * maps, 3, 3), f"{cell}.convgate.bias": (maps,)}
        for layer, (inputs, outputs) in enumerate(zip((maps, *hidden), hidden, strict=False)):
            name = f"convcell.cell_list.{layer}.conv"
            shapes |= {f"{name}.weight": (4 * outputs, inputs + outputs, 3, 3), f"{name}.bias": (4 * outputs,)}
        super().__init__(shapes, 0.3)

    def openstl_state_dict(self) -> dict[str, torch.Tensor]:
        """OpenSTL holds both cells twice, and the matrices of the moment loss."""
        own = self.state_dict()
        cells = {name: value for name, value in own.items() if name.startswith(("phycell.", "convcell."))}
        k2m = {f"k2m.{name}": torch.eye(7, dtype=torch.float64) for name in ("_M0", "_invM0", "_M1", "_invM1")}
        return cells | {f"encoder.{name}": value for name, value in own.items()} | k2m

    def forget(self) -> None:
        self.physical: Array | None = None
        self.h: list[Array] = []
        self.c: list[Array] = []

    def _block(self, maps: Array, name: str, change: Callable[[Array, Array, Array], Array]) -> Array:
        convolution, norm = ([self.weights[f"{name}.main.{at}.{end}"] for end in ("weight", "bias")] for at in (0, 1))
        return leaky(group_normalised(change(maps, *convolution), 16, *norm))

    def _down(self, maps: Array, name: str, stride: int) -> Array:
        return self._block(maps, name, lambda maps, weight, bias: convolved(maps, weight, bias, stride))

    def _up(self, maps: Array, name: str, stride: int) -> Array:
        return self._block(maps, name, lambda maps, weight, bias: spread(maps, weight, bias, stride))

    def _both(self, name: str) -> tuple[Array, Array]:
        return self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]

    def advanced(self, frame: Array) -> Array:
        seen = self._down(self._down(self._down(frame, "encoder_E.c1", 2), "encoder_E.c2", 1), "encoder_E.c3", 2)
        u, x = (self._down(self._down(seen, f"encoder_E{b}.c1", 1), f"encoder_E{b}.c2", 1) for b in "pr")
        side = seen.shape[1:]
        if self.physical is None:
            self.physical = np.zeros((self.maps, *side))
            self.h = [np.zeros((maps, *side)) for maps in self.hidden]
            self.c = [np.zeros((maps, *side)) for maps in self.hidden]
        cell = "phycell.cell_list.0"
        derivatives = convolved(self.physical, *self._both(f"{cell}.F.conv1"))
        normalised = group_normalised(derivatives, 7, *self._both(f"{cell}.F.bn1"))
        moved = self.physical + convolved(normalised, *self._both(f"{cell}.F.conv2"))
        gain = sigmoid(convolved(np.concatenate([u, self.physical]), *self._both(f"{cell}.convgate")))
        self.physical = moved + gain * (u - moved)
        for layer, (h, c) in enumerate(zip(list(self.h), list(self.c), strict=True)):
            both = np.concatenate([x, h])
            i, f, o, g = np.split(convolved(both, *self._both(f"convcell.cell_list.{layer}.conv")), 4)
            self.c[layer] = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            x = self.h[layer] = sigmoid(o) * np.tanh(self.c[layer])
        physical = self._up(self._up(self.physical, "decoder_Dp.upc1", 1), "decoder_Dp.upc2", 1)
        residual = self._up(self._up(x, "decoder_Dr.upc1", 1), "decoder_Dr.upc2", 1)
        decoded = self._up(self._up(physical + residual, "decoder_D.upc1", 2), "decoder_D.upc2", 1)
        return sigmoid(spread(decoded, *self._both("decoder_D.upc3"), 2))


# ------------------------------------------------------------------------------------------------------------- parity

TOLERANCE = 1e-5
TINY_CONVLSTM = convlstm_config.Config(hidden=3, layers=2, kernel=3, patch=2)
TINY_PHYDNET = phydnet_config.Config(width=16, hidden=8, layers=2)
TINY: dict[type, Any] = {ConvLSTM: TINY_CONVLSTM, PhyDNet: TINY_PHYDNET}
CONVLSTM = PublishedConvLSTM(channels=2, hidden=3, layers=2, kernel=3, patch=2)
PHYDNET = PublishedPhyDNet(channels=2, width=16, hidden=(8, 32))


def test_the_cell_is_its_equations_gate_by_gate() -> None:
    cell = ConvLSTMCell(2, 3, 3, bias=True)
    x, h, c = (torch.randn(1, maps, 4, 5) for maps in (2, 3, 3))
    weight, bias = (value.detach().double().numpy() for value in (cell.gates.weight, cell.gates.bias))
    gates = convolved(np.concatenate([x[0], h[0]]).astype(float), weight, bias)
    expected_c, expected_h = np.zeros((3, 4, 5)), np.zeros((3, 4, 5))
    for place in np.ndindex(3, 4, 5):
        i, f, g, o = (gates[gate * 3 + place[0], place[1], place[2]] for gate in range(4))
        remembered = c[0].double().numpy()[place] / (1 + math.exp(-f)) + math.tanh(g) / (1 + math.exp(-i))
        expected_c[place], expected_h[place] = remembered, math.tanh(remembered) / (1 + math.exp(-o))
    with torch.no_grad():
        found_h, found_c = cell(x, h, c)
    np.testing.assert_allclose(found_c[0].numpy(), expected_c, atol=TOLERANCE)
    np.testing.assert_allclose(found_h[0].numpy(), expected_h, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("published", "state", "model"),
    [
        (CONVLSTM, import_convlstm(CONVLSTM.state_dict(), TINY_CONVLSTM), ConvLSTM),
        (PHYDNET, import_phydnet(PHYDNET.state_dict(), TINY_PHYDNET), PhyDNet),
        (PHYDNET, import_phydnet(PHYDNET.openstl_state_dict(), TINY_PHYDNET), PhyDNet),
    ],
    ids=["convlstm-openstl", "phydnet-authors", "phydnet-openstl"],
)
def test_published_weights_predict_here_what_the_published_equations_do(
    published: Published, state: dict[str, Tensor], model: Any
) -> None:
    config = TINY[model]
    imported = model(config, frame_shape=(2, 8, 8), context_length=3).eval()
    imported.load_state_dict(state)
    frames = torch.rand(2, 3, 2, 8, 8)
    times = torch.arange(7, dtype=torch.float64).expand(2, -1)
    context = Context(frames, times[:, :3], torch.arange(2))
    with torch.inference_mode():
        found = imported.predict(context, times[:, 3:])
    for clip in range(2):
        expected = published.predict(frames[clip].double().numpy(), 4)
        np.testing.assert_allclose(found[clip].numpy(), expected, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("published", "take", "config"),
    [(CONVLSTM, import_convlstm, TINY_CONVLSTM), (PHYDNET, import_phydnet, TINY_PHYDNET)],
    ids=["convlstm", "phydnet"],
)
def test_an_importer_takes_every_tensor_and_misses_none(published: Published, take: Any, config: Any) -> None:
    state = published.state_dict()
    take(state, config)
    assert not state
    for missing in published.state_dict():
        short = published.state_dict()
        del short[missing]
        with pytest.raises(KeyError, match=missing):
            take(short, config)
