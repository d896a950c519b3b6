"""The PredRNN family is what its equations say: against loops over pixels and kernel taps in float64, cell by cell, and
roll-out by roll-out with weights in the layout that the authors and OpenSTL publish."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from vpbench_zoo.predrnn import PredRNN
from vpbench_zoo.predrnn_cells import CausalLSTMCell, GradientHighway, STLSTMCell
from vpbench_zoo.predrnn_config import PredRNNConfig, PredRNNPPConfig, PredRNNV2Config
from vpbench_zoo.predrnn_importing import import_predrnn, import_predrnn_pp, import_predrnn_v2
from vpbench_zoo.predrnn_pp import PredRNNPP
from vpbench_zoo.predrnn_v2 import PredRNNV2

from vpbench import Context, TrainBatch

Array = np.ndarray
Weights = dict[str, Array]

TOLERANCE = 1e-5


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# ------------------------------------------------------------------------------------- the equations, one pixel a time


def convolved(weight: Array, maps: Array) -> Array:
    """(O, I, k, k) over (I, H, W) with zeros around it: (O, H, W)."""
    kernel, (_, height, width) = weight.shape[-1], maps.shape
    out = np.zeros((len(weight), height, width))
    for row in range(height):
        for column in range(width):
            for tap_row in range(kernel):
                for tap_column in range(kernel):
                    from_row, from_column = row + tap_row - kernel // 2, column + tap_column - kernel // 2
                    if 0 <= from_row < height and 0 <= from_column < width:
                        out[:, row, column] += weight[:, :, tap_row, tap_column] @ maps[:, from_row, from_column]
    return out


def sigmoid(maps: Array) -> Array:
    return 1 / (1 + np.exp(-maps))


def st_lstm(weights: Weights, x: Array, h: Array, c: Array, m: Array) -> tuple[Array, Array, Array, Array, Array]:
    """PredRNN's cell with the published convolutions: new h, c, m, and what was added to c and to m."""
    i_x, f_x, g_x, i_x2, f_x2, g_x2, o_x = np.split(convolved(weights["conv_x.0.weight"], x), 7)
    i_h, f_h, g_h, o_h = np.split(convolved(weights["conv_h.0.weight"], h), 4)
    i_m, f_m, g_m = np.split(convolved(weights["conv_m.0.weight"], m), 3)
    to_c = sigmoid(i_x + i_h) * np.tanh(g_x + g_h)
    new_c = sigmoid(f_x + f_h + 1.0) * c + to_c
    to_m = sigmoid(i_x2 + i_m) * np.tanh(g_x2 + g_m)
    new_m = sigmoid(f_x2 + f_m + 1.0) * m + to_m
    both = np.concatenate([new_c, new_m])
    o = sigmoid(o_x + o_h + convolved(weights["conv_o.0.weight"], both))
    return o * np.tanh(convolved(weights["conv_last.weight"], both)), new_c, new_m, to_c, to_m


def causal_lstm(weights: Weights, x: Array, h: Array, c: Array, m: Array) -> tuple[Array, Array, Array]:
    """PredRNN++'s cell with the published convolutions."""
    i_x, f_x, g_x, i_x2, f_x2, g_x2, o_x = np.split(convolved(weights["conv_x.0.weight"], x), 7)
    i_h, f_h, g_h, o_h = np.split(convolved(weights["conv_h.0.weight"], h), 4)
    i_c, f_c, g_c = np.split(convolved(weights["conv_c.0.weight"], c), 3)
    i_m, f_m, m_m = np.split(convolved(weights["conv_m.0.weight"], m), 3)
    new_c = sigmoid(f_x + f_h + f_c + 1.0) * c + sigmoid(i_x + i_h + i_c) * np.tanh(g_x + g_h + g_c)
    i_c2, g_c2, f_c2, o_c2 = np.split(convolved(weights["conv_c2m.0.weight"], new_c), 4)
    new_m = sigmoid(f_x2 + f_m + f_c2 + 1.0) * np.tanh(m_m) + sigmoid(i_x2 + i_m + i_c2) * np.tanh(g_x2 + g_c2)
    o = np.tanh(o_x + o_h + o_c2 + convolved(weights["conv_om.0.weight"], new_m))
    return o * np.tanh(convolved(weights["conv_last.weight"], np.concatenate([new_c, new_m]))), new_c, new_m


def highway(weights: Weights, x: Array, z: Array) -> Array:
    """PredRNN++'s gradient highway unit with the published convolutions."""
    p, u = np.split(convolved(weights["x_concat.0.weight"], x) + convolved(weights["z_concat.0.weight"], z), 2)
    return sigmoid(u) * np.tanh(p) + (1 - sigmoid(u)) * z


# --------------------------------------------------------------------------------------------- a model, clip for clip


def patches_of(frame: Array, side: int) -> Array:
    """(C, H, W) to (side · side · C, H / side, W / side): rows in the patch, then columns, then channels."""
    channels, height, width = frame.shape
    patches = np.zeros((side * side * channels, height // side, width // side))
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                depth = ((row % side) * side + column % side) * channels + channel
                patches[depth, row // side, column // side] = frame[channel, row, column]
    return patches


def frame_of(patches: Array, side: int, channels: int) -> Array:
    """The inverse of `patches_of`."""
    height, width = patches.shape[1] * side, patches.shape[2] * side
    frame = np.zeros((channels, height, width))
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                depth = ((row % side) * side + column % side) * channels + channel
                frame[channel, row, column] = patches[depth, row // side, column // side]
    return frame


class Published:
    """A stack of the published cells with random weights under the published names, and its predictions."""

    def __init__(self, kind: str, *, channels: int, hidden: int, layers: int, kernel: int, patch: int) -> None:
        self.kind, self.channels, self.hidden, self.layers, self.patch = kind, channels, hidden, layers, patch
        draw = np.random.default_rng(7)
        depth = channels * patch**2
        of_cell = {"conv_h.0": (4, 1), "conv_m.0": (3, 1), "conv_o.0": (1, 2)}  # maps out and in, in units of hidden
        if kind == "predrnn-pp":
            of_cell |= {"conv_c.0": (3, 1), "conv_c2m.0": (4, 1), "conv_om.0": (1, 1)}
        shapes = {"conv_last.weight": (depth, hidden, 1, 1)}
        for layer in range(layers):
            cell, inputs = f"cell_list.{layer}", hidden if layer else depth
            shapes[f"{cell}.conv_x.0.weight"] = (7 * hidden, inputs, kernel, kernel)
            shapes[f"{cell}.conv_last.weight"] = (hidden, 2 * hidden, 1, 1)
            for name, (out, into) in of_cell.items():
                shapes[f"{cell}.{name}.weight"] = (out * hidden, into * hidden, kernel, kernel)
        if kind == "predrnn-pp":
            for name in ("x_concat", "z_concat"):
                shapes[f"gradient_highway.{name}.0.weight"] = (2 * hidden, hidden, kernel, kernel)
        if kind == "predrnn-v2":
            shapes["adapter.weight"] = (hidden, hidden, 1, 1)
        self.added: list[tuple[Array, Array]] = []  # to c and to m, by each ST-LSTM cell in each step
        self.weights = {name: draw.uniform(-0.7, 0.7, shape) for name, shape in shapes.items()}

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {name: torch.tensor(value, dtype=torch.float32) for name, value in self.weights.items()}

    def part(self, prefix: str) -> Weights:
        return {name[len(prefix) :]: value for name, value in self.weights.items() if name.startswith(prefix)}

    def predict(self, frames: Array, n: int, observed: list[bool] | None = None) -> Array:
        """The n frames after (T, C, H, W) of one clip: truth is fed where there is any, then what is predicted."""
        fed = [patches_of(frame, self.patch) for frame in frames]
        side = fed[0].shape[1:]
        zeros = np.zeros((self.hidden, *side))
        h, c, m, z = [zeros] * self.layers, [zeros] * self.layers, zeros, zeros
        predicted: list[Array] = []
        for at in range(len(frames) + n - 1):
            known = at < len(frames) and (at == 0 or observed is None or observed[at])
            x = fed[at] if known else predicted[-1]
            for layer in range(self.layers):
                weights = self.part(f"cell_list.{layer}.")
                if self.kind == "predrnn-pp":
                    h[layer], c[layer], m = causal_lstm(weights, x, h[layer], c[layer], m)
                else:
                    h[layer], c[layer], m, *added = st_lstm(weights, x, h[layer], c[layer], m)
                    self.added.append((added[0], added[1]))
                x = h[layer]
                if self.kind == "predrnn-pp" and layer == 0:
                    x = z = highway(self.part("gradient_highway."), x, z)
            predicted.append(convolved(self.weights["conv_last.weight"], x))
        return np.stack([frame_of(each, self.patch, self.channels) for each in predicted[-n:]])


KINDS: dict[str, tuple[type, type, Callable]] = {
    "predrnn": (PredRNN, PredRNNConfig, import_predrnn),
    "predrnn-pp": (PredRNNPP, PredRNNPPConfig, import_predrnn_pp),
    "predrnn-v2": (PredRNNV2, PredRNNV2Config, import_predrnn_v2),
}


def published_and_ours(kind: str, shape: tuple[int, int, int], layers: int = 3, kernel: int = 3):
    """The naive model, and this package's with the same weights by way of the importer."""
    naive = Published(kind, channels=shape[0], hidden=3, layers=layers, kernel=kernel, patch=2)
    factory, config_class, importer = KINDS[kind]
    config = config_class(hidden=3, layers=layers, kernel=kernel, patch=2)
    ours = factory(config, frame_shape=shape, context_length=3).eval()
    state = naive.state_dict()
    ours.load_state_dict(importer(state, config))
    assert not state  # nothing of the checkpoint is left over
    return naive, ours


def asked(frames: torch.Tensor, n: int, observed: torch.Tensor | None = None) -> tuple[Context, torch.Tensor]:
    clips, length = frames.shape[:2]
    times = torch.arange(length + n, dtype=torch.float64).expand(clips, -1)
    return Context(frames, times[:, :length], torch.arange(clips), observed), times[:, length:]


@pytest.mark.parametrize("kind", KINDS)
def test_a_roll_out_is_that_of_the_published_network(kind: str) -> None:
    naive, ours = published_and_ours(kind, (2, 6, 4))
    frames = torch.rand(2, 3, 2, 6, 4)
    predicted = ours.predict(*asked(frames, 4)).detach().numpy()
    expected = np.stack([naive.predict(clip.numpy().astype(np.float64), 4) for clip in frames])
    assert np.abs(expected).max() > 0.1
    assert np.abs(np.diff(expected, axis=1)).max() > 0.01  # else a state that stays would pass
    assert np.abs(predicted - expected).max() < TOLERANCE


def test_missing_frames_are_filled_by_its_own_predictions() -> None:
    naive, ours = published_and_ours("predrnn", (1, 4, 4), layers=2)
    frames = torch.rand(1, 3, 1, 4, 4)
    frames[0, 1] = 0
    predicted = ours.predict(*asked(frames, 2, torch.tensor([[True, False, True]]))).detach().numpy()
    expected = naive.predict(frames[0].numpy().astype(np.float64), 2, [True, False, True])
    assert np.abs(predicted[0] - expected).max() < TOLERANCE


def test_the_decoupling_loss_is_its_equation() -> None:
    naive, ours = published_and_ours("predrnn-v2", (2, 6, 4))
    frames = torch.rand(2, 5, 2, 6, 4)
    context, times = asked(frames[:, :3], 2)
    found = ours.loss(TrainBatch(context, times, frames[:, 3:]), progress=1.0)["decoupling"]  # nothing is drawn there
    for clip in frames:
        naive.predict(clip[:3].numpy().astype(np.float64), 2)
    assert len(naive.added) == 2 * 4 * 3  # clips, steps, layers
    cosines = []
    for both in naive.added:
        to_c, to_m = (convolved(naive.weights["adapter.weight"], each).reshape(naive.hidden, -1) for each in both)
        for of_c, of_m in zip(to_c, to_m, strict=True):
            cosines.append(abs(of_c @ of_m) / np.sqrt((of_c @ of_c) * (of_m @ of_m)))
    assert 0.05 < np.mean(cosines) < 0.95
    assert float(found.detach()) == pytest.approx(0.1 * np.mean(cosines), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_that_lacks_a_tensor_or_has_others_is_not_taken_for_one_that_fits(kind: str) -> None:
    naive = Published(kind, channels=1, hidden=3, layers=2, kernel=3, patch=2)
    _, config_class, importer = KINDS[kind]
    config = config_class(hidden=3, layers=2, kernel=3, patch=2)
    for missing in naive.weights:
        state = naive.state_dict()
        del state[missing]
        with pytest.raises(KeyError, match=missing):
            importer(state, config)
    normed = naive.state_dict() | {"cell_list.0.conv_x.1.weight": torch.ones(21, 2, 2)}  # of a layer norm
    importer(normed, config)
    assert list(normed) == ["cell_list.0.conv_x.1.weight"]
    deeper = Published(kind, channels=1, hidden=3, layers=3, kernel=3, patch=2).state_dict()
    importer(deeper, config)
    assert deeper
    assert all(name.startswith("cell_list.2.") for name in deeper)


# ------------------------------------------------------------------------------------------------------- cell by cell


def halves(weight: torch.Tensor, *channels: int) -> list[Array]:
    """A fused kernel's shares of its inputs, float64."""
    return [part.detach().numpy().astype(np.float64) for part in weight.split(list(channels), dim=1)]


def drawn(n: int, maps: int, height: int = 4, width: int = 5) -> list[torch.Tensor]:
    """Inputs of a cell, one clip each."""
    return [torch.randn(1, maps, height, width) for _ in range(n)]


def doubles(tensors: list[torch.Tensor]) -> list[Array]:
    return [each[0].detach().numpy().astype(np.float64) for each in tensors]


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_the_st_lstm_cell_is_its_equations(kernel: int) -> None:
    cell = STLSTMCell(2, 3, kernel)
    (x,), states = drawn(1, 2), drawn(3, 3)
    temporal, spatial = halves(cell.temporal.weight, 2, 3), halves(cell.spatial.weight, 2, 3)
    (output,), (merge,) = halves(cell.output.weight, 6), halves(cell.merge.weight, 6)
    weights = {
        # of x: i, f, g, then i', f', g', then o
        "conv_x.0.weight": np.concatenate([temporal[0][:9], spatial[0], temporal[0][9:]]),
        "conv_h.0.weight": temporal[1],
        "conv_m.0.weight": spatial[1],
        "conv_o.0.weight": output,
        "conv_last.weight": merge,
    }
    for found, expected in zip(cell(x, *states), st_lstm(weights, *doubles([x, *states])), strict=True):
        assert np.abs(found[0].detach().numpy() - expected).max() < TOLERANCE


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_the_causal_lstm_cell_is_its_equations(kernel: int) -> None:
    cell = CausalLSTMCell(2, 3, kernel)
    (x,), states = drawn(1, 2), drawn(3, 3)
    x_temporal, h_temporal, c_temporal = halves(cell.temporal.weight, 2, 3, 3)
    x_cascade, c_cascade = halves(cell.cascade.weight, 2, 3)
    (m_spatial,), (merge,) = halves(cell.spatial.weight, 3), halves(cell.merge.weight, 6)
    h_output, m_output = halves(cell.output.weight, 3, 3)
    i, f, g, o = np.split(c_cascade, 4)
    weights = {
        "conv_x.0.weight": np.concatenate([x_temporal, x_cascade]),
        "conv_h.0.weight": np.concatenate([h_temporal, h_output]),
        "conv_c.0.weight": c_temporal,
        "conv_m.0.weight": m_spatial,
        "conv_c2m.0.weight": np.concatenate([i, g, f, o]),
        "conv_om.0.weight": m_output,
        "conv_last.weight": merge,
    }
    for found, expected in zip(cell(x, *states), causal_lstm(weights, *doubles([x, *states])), strict=True):
        assert np.abs(found[0].detach().numpy() - expected).max() < TOLERANCE


def test_the_highway_is_its_equations() -> None:
    unit = GradientHighway(3, 5)
    assert 0.0009 < float(unit.gates.weight.detach().abs().max()) <= 0.001
    torch.nn.init.normal_(unit.gates.weight)
    x, z = drawn(2, 3)
    of_x, of_z = halves(unit.gates.weight, 3, 3)
    expected = highway({"x_concat.0.weight": of_x, "z_concat.0.weight": of_z}, *doubles([x, z]))
    assert np.abs(unit(x, z)[0].detach().numpy() - expected).max() < TOLERANCE
