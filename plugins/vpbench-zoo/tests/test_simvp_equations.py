"""SimVP, SimVPv2 and TAU against their equations: loops over pixels and kernel taps, float64, one clip at a time.

The reference below is written from the published structure and takes a checkpoint of the published layout, whose names
and shapes are written out here on their own. So one comparison holds layers, roll-out and importers at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from vpbench_zoo.simvp import BlockModel, SimVP, SimVPGSTA
from vpbench_zoo.simvp_config import GSTAConfig, IncepUConfig, TAUConfig
from vpbench_zoo.simvp_gsta import DepthwiseConv
from vpbench_zoo.simvp_importing import import_simvp, import_simvp_gsta, import_tau
from vpbench_zoo.tau import TAU, difference_divergence

from vpbench import Context, TrainBatch

Array = NDArray[np.float64]
State = dict[str, Array]

CHANNELS, SIDE, CONTEXT = 2, 8, 2
WIDTH, HIDDEN, LAYERS, GROUPS = 4, 8, 3, 2


# ----------------------------------------------------------------------------------------- layers, on maps (C, H, W)


def convolved(x: Array, w: Array, b: Array | float = 0.0, *, stride=1, padding=0, dilation=1, groups=1) -> Array:
    k = w.shape[-1]
    into, out = x.shape[0] // groups, w.shape[0] // groups
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    sides = [(side + 2 * padding - dilation * (k - 1) - 1) // stride + 1 for side in x.shape[1:]]
    found = np.zeros((w.shape[0], *sides)) + np.reshape(b, (-1, 1, 1))
    for group in range(groups):
        maps, kernels = padded[group * into : (group + 1) * into], w[group * out : (group + 1) * out]
        for row in range(sides[0]):
            for column in range(sides[1]):
                for i in range(k):
                    for j in range(k):
                        pixel = maps[:, row * stride + i * dilation, column * stride + j * dilation]
                        found[group * out : (group + 1) * out, row, column] += kernels[:, :, i, j] @ pixel
    return found


def doubled(x: Array, w: Array, b: Array) -> Array:
    """Transposed convolution 3×3 of stride 2, padding 1, output padding 1: each pixel paints its kernel."""
    _, height, width = x.shape
    painted = np.zeros((w.shape[1], 2 * height + 2, 2 * width + 2))
    for row in range(height):
        for column in range(width):
            for i in range(3):
                for j in range(3):
                    painted[:, 2 * row + i, 2 * column + j] += x[:, row, column] @ w[:, :, i, j]
    return painted[:, 1 : 1 + 2 * height, 1 : 1 + 2 * width] + b[:, None, None]


def shuffled(x: Array) -> Array:
    """Map 4c + 2i + j is pixel (2·row + i, 2·column + j) of map c."""
    _, height, width = x.shape
    found = np.zeros((len(x) // 4, 2 * height, 2 * width))
    for i in range(2):
        for j in range(2):
            found[:, i::2, j::2] = x[2 * i + j :: 4]
    return found


def group_normed(x: Array, groups: int, w: Array, b: Array) -> Array:
    parts = [(part - part.mean()) / np.sqrt(part.var() + 1e-5) for part in np.split(x, groups)]
    return np.concatenate(parts) * w[:, None, None] + b[:, None, None]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def leaky(x: Array) -> Array:
    return np.where(x > 0, x, 0.2 * x)


def gelu(x: Array) -> Array:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


# ----------------------------------------------------------- the published models, with the names of their checkpoints


class Published:
    """One pass of a block, frames (T, C, H, W) to frames (T, C, H, W), from tensors under their published names."""

    def __init__(self, kind: str, frames: int) -> None:
        self.kind, self.frames, self.state = kind, frames, State()
        self.original = kind == "original"
        self.random = np.random.default_rng(sum(map(ord, kind)))
        self._make()

    def _draw(self, name: str, *shape: int, mean: float = 0.0, spread: float | None = None) -> None:
        spread = 1.5 / math.sqrt(math.prod(shape[1:])) if spread is None else spread
        self.state[name] = mean + spread * self.random.standard_normal(shape)

    def _layer(self, name: str, *shape: int, outputs: int | None = None) -> None:
        self._draw(f"{name}.weight", *shape)
        self._draw(f"{name}.bias", outputs or shape[0], spread=0.3)

    def _affine(self, name: str, width: int) -> None:
        self._draw(f"{name}.weight", width, mean=1.0, spread=0.2)
        self._draw(f"{name}.bias", width, spread=0.2)

    def _make(self) -> None:
        stacked = WIDTH * self.frames
        for at in range(4):
            self._layer(f"enc.enc.{at}.conv.conv", WIDTH, WIDTH if at else CHANNELS, 3, 3)
            self._affine(f"enc.enc.{at}.conv.norm", WIDTH)
            if at % 2 and self.original and at == 3:
                self._layer(f"dec.dec.{at}.conv.conv", WIDTH, 2 * WIDTH, 3, 3)
            elif at % 2 or self.original:  # a transposed convolution has inputs first, and here as many outputs
                self._layer(f"dec.dec.{at}.conv.conv", WIDTH, WIDTH, 3, 3)
            else:
                self._layer(f"dec.dec.{at}.conv.conv.0", 4 * WIDTH, WIDTH, 3, 3)
            self._affine(f"dec.dec.{at}.conv.norm", WIDTH)
        self._layer("dec.readout", CHANNELS, WIDTH, 1, 1)
        if self.kind in ("IncepU", "original"):
            for at in range(LAYERS):
                self._inception(f"hid.enc.{at}", HIDDEN if at else stacked, HIDDEN)
                last = at == LAYERS - 1
                self._inception(f"hid.dec.{at}", 2 * HIDDEN if at else HIDDEN, stacked if last else HIDDEN)
        else:
            for at in range(LAYERS):
                self._meta(f"hid.enc.{at}", HIDDEN if at else stacked, stacked if at == LAYERS - 1 else HIDDEN)

    def _inception(self, name: str, inputs: int, outputs: int) -> None:
        self._layer(f"{name}.conv1", HIDDEN // 2, inputs, 1, 1)
        for branch, kernel in enumerate((3, 5, 7, 11)):
            self._layer(f"{name}.layers.{branch}.conv", outputs, HIDDEN // 2 // GROUPS, kernel, kernel)
            self._affine(f"{name}.layers.{branch}.norm", outputs)

    def _meta(self, name: str, width: int, outputs: int) -> None:
        for norm in ("norm1", "norm2"):
            self._affine(f"{name}.block.{norm}", width)
            self._draw(f"{name}.block.{norm}.running_mean", width, spread=0.3)
            self.state[f"{name}.block.{norm}.running_var"] = self.random.uniform(0.5, 2, width)
            self.state[f"{name}.block.{norm}.num_batches_tracked"] = np.array(7.0)
        for scale in ("layer_scale_1", "layer_scale_2"):
            self._draw(f"{name}.block.{scale}", width, spread=0.7)
        attention = f"{name}.block.attn"
        self._layer(f"{attention}.proj_1", width, width, 1, 1)
        self._layer(f"{attention}.proj_2", width, width, 1, 1)
        self._layer(f"{attention}.spatial_gating_unit.conv0", width, 1, 5, 5)
        self._layer(f"{attention}.spatial_gating_unit.conv_spatial", width, 1, 7, 7)
        if self.kind == "gSTA":
            self._layer(f"{attention}.spatial_gating_unit.conv1", 2 * width, width, 1, 1)
        else:
            self._layer(f"{attention}.spatial_gating_unit.conv1", width, width, 1, 1)
            hidden = width // max(width // 16, 4)
            self._draw(f"{attention}.spatial_gating_unit.fc.0.weight", hidden, width)
            self._draw(f"{attention}.spatial_gating_unit.fc.2.weight", width, hidden)
        self._layer(f"{name}.block.mlp.fc1", 2 * width, width, 1, 1)
        self._layer(f"{name}.block.mlp.dwconv.dwconv", 2 * width, 1, 3, 3)
        self._layer(f"{name}.block.mlp.fc2", width, 2 * width, 1, 1)
        if width != outputs:
            self._layer(f"{name}.reduction", outputs, width, 1, 1)

    # ------------------------------------------------------------------------------------------------- one pass

    def __call__(self, frames: Array) -> Array:
        coded = [self._encoded(frame) for frame in frames]
        stack = np.concatenate([maps for maps, _ in coded])
        moved = self._incepu(stack) if self.kind in ("IncepU", "original") else self._metas(stack)
        parts = np.split(moved, self.frames)
        return np.stack([self._decoded(maps, first) for maps, (_, first) in zip(parts, coded, strict=True)])

    def _conv(self, name: str, x: Array, **how: int) -> Array:
        return convolved(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"], **how)

    def _finished(self, name: str, x: Array) -> Array:
        x = group_normed(x, 2, self.state[f"{name}.norm.weight"], self.state[f"{name}.norm.bias"])
        return leaky(x) if self.original else x * sigmoid(x)

    def _encoded(self, x: Array) -> tuple[Array, Array]:
        kept = []
        for at, stride in enumerate((1, 2, 1, 2)):
            name = f"enc.enc.{at}.conv"
            x = self._finished(name, self._conv(f"{name}.conv", x, stride=stride, padding=1))
            kept.append(x)
        return x, kept[0]

    def _decoded(self, x: Array, first: Array) -> Array:
        for at in range(4):
            name = f"dec.dec.{at}.conv"
            if at == 3:
                x = np.concatenate([x, first]) if self.original else x + first
            if at % 2:
                x = self._conv(f"{name}.conv", x, padding=1)
            elif self.original:
                x = doubled(x, self.state[f"{name}.conv.weight"], self.state[f"{name}.conv.bias"])
            else:
                x = shuffled(self._conv(f"{name}.conv.0", x, padding=1))
            x = self._finished(name, x)
        return self._conv("dec.readout", x)

    def _incepu(self, x: Array) -> Array:
        kept = []
        for at in range(LAYERS):
            x = self._inception_of(f"hid.enc.{at}", x)
            kept.append(x)
        for at in range(LAYERS):
            x = self._inception_of(f"hid.dec.{at}", x if at == 0 else np.concatenate([x, kept[LAYERS - 1 - at]]))
        return x

    def _inception_of(self, name: str, x: Array) -> Array:
        x = self._conv(f"{name}.conv1", x)
        total: Array | float = 0.0
        for branch, kernel in enumerate((3, 5, 7, 11)):
            part = f"{name}.layers.{branch}"
            y = self._conv(f"{part}.conv", x, padding=kernel // 2, groups=GROUPS)
            total = total + leaky(
                group_normed(y, GROUPS, self.state[f"{part}.norm.weight"], self.state[f"{part}.norm.bias"])
            )
        assert isinstance(total, np.ndarray)
        return total

    def _metas(self, x: Array) -> Array:
        for at in range(LAYERS):
            name = f"hid.enc.{at}"
            scales = [self.state[f"{name}.block.layer_scale_{n}"][:, None, None] for n in (1, 2)]
            x = x + scales[0] * self._attention(f"{name}.block.attn", self._batch_normed(f"{name}.block.norm1", x))
            x = x + scales[1] * self._mlp(f"{name}.block.mlp", self._batch_normed(f"{name}.block.norm2", x))
            if f"{name}.reduction.weight" in self.state:
                x = self._conv(f"{name}.reduction", x)
        return x

    def _batch_normed(self, name: str, x: Array) -> Array:
        w, b, mean, var = (
            self.state[f"{name}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(var + 1e-5) * w + b

    def _attention(self, name: str, x: Array) -> Array:
        unit = f"{name}.spatial_gating_unit"
        y = gelu(self._conv(f"{name}.proj_1", x))
        seen = self._conv(f"{unit}.conv0", y, padding=2, groups=len(y))
        seen = self._conv(f"{unit}.conv_spatial", seen, padding=9, dilation=3, groups=len(y))
        seen = self._conv(f"{unit}.conv1", seen)
        if self.kind == "gSTA":
            seen = seen[: len(y)] * sigmoid(seen[len(y) :])
        else:
            hidden = np.maximum(self.state[f"{unit}.fc.0.weight"] @ y.mean(axis=(1, 2)), 0)
            seen = sigmoid(self.state[f"{unit}.fc.2.weight"] @ hidden)[:, None, None] * seen * y
        return self._conv(f"{name}.proj_2", seen) + x

    def _mlp(self, name: str, x: Array) -> Array:
        y = self._conv(f"{name}.fc1", x)
        y = gelu(self._conv(f"{name}.dwconv.dwconv", y, padding=1, groups=len(y)))
        return self._conv(f"{name}.fc2", y)


# --------------------------------------------------------------------------------------------------- what is compared

SIZES = {"hid_s": WIDTH, "hid_t": HIDDEN, "n_s": 4, "n_t": LAYERS}


def imported(published: Published, block: int) -> BlockModel:
    """The model with the tensors of a published checkpoint; nothing is left over on either side."""
    state = {name: torch.tensor(value) for name, value in published.state.items()}
    frames = {"frame_shape": (CHANNELS, SIDE, SIDE), "context_length": CONTEXT}
    model: BlockModel
    if published.kind in ("IncepU", "original"):
        edition = "original" if published.original else "openstl"
        config = IncepUConfig(**SIZES, groups=GROUPS, edition=edition, block=block)
        model, moved = SimVP(config, **frames), import_simvp(state, config)
    elif published.kind == "gSTA":
        gsta = GSTAConfig(**SIZES, mlp_ratio=2.0, block=block)
        model, moved = SimVPGSTA(gsta, **frames), import_simvp_gsta(state, gsta)
    else:
        tau = TAUConfig(**SIZES, mlp_ratio=2.0, block=block)
        model, moved = TAU(tau, **frames), import_tau(state, tau)
    assert not state
    model.double().load_state_dict(moved, strict=True)
    return model.eval()


def asked(frames: Array, n: int) -> tuple[Context, torch.Tensor]:
    """Context of clips (B, T, C, H, W), and the times of the n frames after it."""
    batch, length = frames.shape[:2]
    times = torch.arange(length + n, dtype=torch.float64).expand(batch, -1)
    seeds = torch.zeros(batch, dtype=torch.int64)
    return Context(torch.tensor(frames), times[:, :length], seeds), times[:, length:]


def clips(n: int, length: int = CONTEXT) -> Array:
    return np.random.default_rng(5).random((n, length, CHANNELS, SIDE, SIDE))


@pytest.mark.parametrize("kind", ["IncepU", "original", "gSTA", "tau"])
def test_a_published_checkpoint_predicts_what_the_published_structure_does(kind: str) -> None:
    published = Published(kind, CONTEXT)
    model, frames = imported(published, block=0), clips(1)
    first = published(frames[0])
    naive = np.concatenate([first, published(first)])[:3]  # what comes out goes in; the last block is cut
    with torch.no_grad():
        predicted = model.predict(*asked(frames, 3))[0].numpy()
    assert np.abs(naive).max() > 0.5
    np.testing.assert_allclose(predicted, naive, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["IncepU", "tau"])
def test_a_block_longer_than_the_context_is_filled_up_with_its_last_frame(kind: str) -> None:
    published = Published(kind, 3)
    frames = clips(1)
    naive = published(np.concatenate([frames[0], frames[0, -1:]]))
    with torch.no_grad():
        predicted = imported(published, block=3).predict(*asked(frames, 2))[0].numpy()
    np.testing.assert_allclose(predicted, naive[:2], atol=1e-5, rtol=0)


def test_a_block_shorter_than_the_context_is_given_its_last_frames() -> None:
    published = Published("gSTA", 1)
    frames = clips(1)
    with torch.no_grad():
        predicted = imported(published, block=1).predict(*asked(frames, 1))[0].numpy()
    np.testing.assert_allclose(predicted, published(frames[0, -1:]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("sides", [(16, 16), (7, 10), (2, 3)])
def test_a_dilated_depthwise_convolution_by_phases_has_the_sums_of_the_plain_one(sides: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = DepthwiseConv(3, 7, dilation=3).double()
    maps = torch.randn(2, 3, *sides, dtype=torch.float64, requires_grad=True)
    assert layer.bias is not None
    naive = convolved(
        maps[1].detach().numpy(),
        layer.weight.detach().numpy(),
        layer.bias.detach().numpy(),
        padding=9,
        dilation=3,
        groups=3,
    )
    with torch.no_grad():
        np.testing.assert_allclose(layer(maps)[1].numpy(), naive, atol=1e-12)


def kl_by_loops(predicted: Array, target: Array, temperature: float) -> float:
    """Mean over clips, differences and pixels of p log(p / q), p and q softmaxes of differences / temperature."""
    found = []
    for ours, theirs in zip(predicted, target, strict=True):
        for at in range(1, len(ours)):
            changes = [np.ravel(clip[at] - clip[at - 1]) / temperature for clip in (ours, theirs)]
            p, q = (np.exp(change) / sum(math.exp(value) for value in change) for change in changes)
            found += [float(a * math.log(a / b)) for a, b in zip(p, q, strict=True)]
    return sum(found) / len(found)


def test_the_divergence_of_differences_is_that_of_the_loops() -> None:
    random = np.random.default_rng(1)
    predicted, target = random.random((2, 3, 2, 4, 5)), random.random((2, 3, 2, 4, 5))
    found = difference_divergence(torch.tensor(predicted), torch.tensor(target), 0.1)
    assert found.item() == pytest.approx(kl_by_loops(predicted, target, 0.1), rel=1e-10)
    assert found.item() != pytest.approx(kl_by_loops(target, predicted, 0.1), rel=1e-2)  # which is which matters


def test_the_divergence_of_large_differences_is_finite_and_so_is_its_gradient() -> None:
    predicted = (100 * torch.randn(1, 3, 1, 4, 4)).requires_grad_()
    found = difference_divergence(predicted, -100 * torch.randn(1, 3, 1, 4, 4), 0.1)
    found.backward()
    assert torch.isfinite(found)
    assert torch.isfinite(predicted.grad).all()


@pytest.mark.parametrize("kind", ["IncepU", "tau"])
def test_the_loss_is_of_the_frames_after_the_context(kind: str) -> None:
    model = imported(Published(kind, CONTEXT), block=0)
    frames = clips(2, CONTEXT + 2)
    context, times = asked(frames[:, :CONTEXT], 2)

    def loss(target: Array, context: Context = context) -> Mapping[str, torch.Tensor]:
        batch = TrainBatch(context=context, target_times=times, target=torch.tensor(target))
        with torch.no_grad():
            return model.loss(batch, progress=0.5)

    with torch.no_grad():
        predicted = model.predict(context, times).double().numpy()
    target = frames[:, CONTEXT:]
    naive = float(np.mean((predicted - target) ** 2))
    if kind == "tau":
        naive += 0.1 * kl_by_loops(predicted, target, 0.1)
    assert loss(target)["loss"].item() == pytest.approx(naive, rel=1e-6)
    for wrong in (frames[:, :CONTEXT], frames[:, CONTEXT - 1 : -1]):  # the context, and a frame too early
        assert loss(wrong)["loss"].item() != pytest.approx(naive, rel=1e-2)


@pytest.mark.parametrize("kind", ["IncepU", "gSTA", "tau"])
def test_the_gradient_of_the_loss_is_its_finite_difference(kind: str) -> None:
    model = imported(Published(kind, CONTEXT), block=0)
    frames = clips(2, CONTEXT + 2)
    context, times = asked(frames[:, :CONTEXT], 2)
    batch = TrainBatch(context=context, target_times=times, target=torch.tensor(frames[:, CONTEXT:]))
    weight = model.encoder.blocks[2].conv.weight
    model.loss(batch, progress=0.0)["loss"].backward()
    assert isinstance(weight.grad, torch.Tensor)
    found, step = weight.grad[1, 2, 0, 1].item(), 1e-2
    values = []
    for change in (step, -2 * step):
        with torch.no_grad():
            weight[1, 2, 0, 1] += change
            values.append(model.loss(batch, progress=0.0)["loss"].item())
    assert found == pytest.approx((values[0] - values[1]) / (2 * step), rel=2e-2)
