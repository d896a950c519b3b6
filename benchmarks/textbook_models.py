"""The baselines as textbooks write them: what `model_speed.py` holds the models of the plugins against.

One convolution for each input of a cell, whose outputs are added up; contiguous memory; what is fed is blended of truth
and prediction by a mask; predictions are kept in a list. Modules and tensors have the names that published checkpoints
have, so that the importers of the plugins (`ModelSpec.importer`) turn these weights into theirs. What published cells
make and never use is there for that reason, and takes no time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench.recurrent import (
    depth_to_space,
    draw_given,
    published_update,
    reverse_scheduled_sampling,
    scheduled_sampling,
    space_to_depth,
)

# ------------------------------------------------------------------------------------------------------ frame by frame


class NextFrame(nn.Module):
    """What predicts the next frame from a frame and a state; the first state is None."""

    patch = 1

    def step(self, frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        raise NotImplementedError

    def draw(self, context: int, horizon: int, clips: int, progress: float) -> Tensor:
        """Which frames of a training clip are fed as they are, bool (context + horizon - 1, clips)."""
        raise NotImplementedError

    def roll_out(self, frames: Tensor, given: Tensor) -> Tensor:
        """Predictions of frames 2 to T of (B, T, C, H, W); given (T - 1, B)."""
        mask = given.to(frames)[:, :, None, None, None]
        found: list[Tensor] = []
        state = None
        for at in range(frames.shape[1] - 1):
            frame = mask[at] * frames[:, at] + (1 - mask[at]) * found[-1] if at else frames[:, 0]
            predicted, state = self.step(frame, state)
            found.append(predicted)
        return torch.stack(found, dim=1)

    def predict(self, context: Tensor, horizon: int) -> Tensor:
        """(B, Tc, C, H, W) to (B, horizon, C, H, W)."""
        clips, length, *shape = context.shape
        frames = torch.cat([context, context.new_zeros(clips, horizon, *shape)], dim=1)
        given = (torch.arange(length + horizon - 1) < length)[:, None].expand(-1, clips)
        predicted = self.roll_out(space_to_depth(frames, self.patch).contiguous(), given)
        return depth_to_space(predicted[:, length - 1 :], self.patch)

    def loss(self, context: Tensor, target: Tensor, progress: float) -> Tensor:
        frames = space_to_depth(torch.cat([context, target], dim=1), self.patch).contiguous()
        given = self.draw(context.shape[1], target.shape[1], len(frames), progress)
        return F.mse_loss(self.roll_out(frames, given), frames[:, 1:])


def _sum_of(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """A convolution whose outputs are added to those of others."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False))


class Layers(NextFrame):
    """Layers of cells on patches of frames, and a 1×1 convolution of the last one's output."""

    updates = 80_000
    Cell: Callable[[int, int, int], nn.Module]

    def __init__(self, config: Any, frame_shape: tuple[int, int, int], context: int) -> None:
        super().__init__()
        self.config, self.patch = config, config.patch
        depth = frame_shape[0] * config.patch**2
        self.cell_list = nn.ModuleList(
            type(self).Cell(config.hidden if layer else depth, config.hidden, config.kernel)
            for layer in range(config.layers)
        )
        self.conv_last = nn.Conv2d(config.hidden, depth, 1, bias=False)

    def draw(self, context: int, horizon: int, clips: int, progress: float) -> Tensor:
        update = published_update(self.config.schedule, update=0, progress=progress, of=self.updates)
        return draw_given(context, horizon, clips, in_context=1.0, after=scheduled_sampling(update))

    def zeros(self, frame: Tensor) -> Tensor:
        return torch.zeros(len(frame), self.config.hidden, *frame.shape[2:], device=frame.device)


class ConvLSTMCell(nn.Module):
    def __init__(self, inputs: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.conv_x = _sum_of(inputs, 4 * hidden, kernel)
        self.conv_h = _sum_of(hidden, 4 * hidden, kernel)
        self.conv_o = _sum_of(2 * hidden, hidden, kernel)  # never used
        self.conv_last = nn.Conv2d(2 * hidden, hidden, 1, bias=False)  # never used

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i_x, f_x, g_x, o_x = self.conv_x(x).chunk(4, dim=1)
        i_h, f_h, g_h, o_h = self.conv_h(h).chunk(4, dim=1)
        c = torch.sigmoid(f_x + f_h) * c + torch.sigmoid(i_x + i_h) * torch.tanh(g_x + g_h)
        return torch.sigmoid(o_x + o_h) * torch.tanh(c), c


class ConvLSTM(Layers):
    updates = 125_000
    Cell = ConvLSTMCell

    def step(self, frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        state = state or [(self.zeros(frame), self.zeros(frame)) for _ in self.cell_list]
        x, after = frame, []
        for cell, (h, c) in zip(self.cell_list, state, strict=True):
            x, c = cell(x, h, c)
            after.append((x, c))
        return self.conv_last(x), after


class STLSTMCell(nn.Module):
    def __init__(self, inputs: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.conv_x = _sum_of(inputs, 7 * hidden, kernel)
        self.conv_h = _sum_of(hidden, 4 * hidden, kernel)
        self.conv_m = _sum_of(hidden, 3 * hidden, kernel)
        self.conv_o = _sum_of(2 * hidden, hidden, kernel)
        self.conv_last = nn.Conv2d(2 * hidden, hidden, 1, bias=False)

    def forward(self, x: Tensor, h: Tensor, c: Tensor, m: Tensor) -> tuple[Tensor, ...]:
        """h, c and m after the frame, and what was added to c and to m."""
        i_x, f_x, g_x, i_xm, f_xm, g_xm, o_x = self.conv_x(x).chunk(7, dim=1)
        i_h, f_h, g_h, o_h = self.conv_h(h).chunk(4, dim=1)
        i_m, f_m, g_m = self.conv_m(m).chunk(3, dim=1)
        added_to_c = torch.sigmoid(i_x + i_h) * torch.tanh(g_x + g_h)
        c = torch.sigmoid(f_x + f_h + 1) * c + added_to_c
        added_to_m = torch.sigmoid(i_xm + i_m) * torch.tanh(g_xm + g_m)
        m = torch.sigmoid(f_xm + f_m + 1) * m + added_to_m
        memories = torch.cat([c, m], dim=1)
        o = torch.sigmoid(o_x + o_h + self.conv_o(memories))
        return o * torch.tanh(self.conv_last(memories)), c, m, added_to_c, added_to_m


class PredRNN(Layers):
    Cell = STLSTMCell

    def step(self, frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        layers, m = state or ([(self.zeros(frame), self.zeros(frame)) for _ in self.cell_list], self.zeros(frame))
        x, after = frame, []
        for cell, (h, c) in zip(self.cell_list, layers, strict=True):
            x, c, m, *added = cell(x, h, c, m)
            after.append((x, c))
            self.note(*added)
        return self.conv_last(x), (after, m)

    def note(self, added_to_c: Tensor, added_to_m: Tensor) -> None:
        """Of each layer and frame."""


class PredRNNV2(PredRNN):
    def __init__(self, config: Any, frame_shape: tuple[int, int, int], context: int) -> None:
        super().__init__(config, frame_shape, context)
        self.adapter = nn.Conv2d(config.hidden, config.hidden, 1, bias=False)
        self.alike: list[Tensor] = []

    def draw(self, context: int, horizon: int, clips: int, progress: float) -> Tensor:
        update = published_update(self.config.schedule, update=0, progress=progress, of=self.updates)
        in_context, after = reverse_scheduled_sampling(update, alpha=self.config.alpha)
        return draw_given(context, horizon, clips, in_context=in_context, after=after)

    def note(self, added_to_c: Tensor, added_to_m: Tensor) -> None:
        if self.training:
            c = F.normalize(self.adapter(added_to_c).flatten(2), dim=2)
            m = F.normalize(self.adapter(added_to_m).flatten(2), dim=2)
            self.alike.append((c * m).sum(dim=2).abs().mean())

    def loss(self, context: Tensor, target: Tensor, progress: float) -> Tensor:
        self.alike = []
        return super().loss(context, target, progress) + self.config.decoupling * torch.stack(self.alike).mean()


class CausalLSTMCell(nn.Module):
    def __init__(self, inputs: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.conv_x = _sum_of(inputs, 7 * hidden, kernel)
        self.conv_h = _sum_of(hidden, 4 * hidden, kernel)
        self.conv_c = _sum_of(hidden, 3 * hidden, kernel)
        self.conv_m = _sum_of(hidden, 3 * hidden, kernel)
        self.conv_c2m = _sum_of(hidden, 4 * hidden, kernel)
        self.conv_om = _sum_of(hidden, hidden, kernel)
        self.conv_o = _sum_of(2 * hidden, hidden, kernel)  # never used
        self.conv_last = nn.Conv2d(2 * hidden, hidden, 1, bias=False)

    def forward(self, x: Tensor, h: Tensor, c: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        i_x, f_x, g_x, i_xm, f_xm, g_xm, o_x = self.conv_x(x).chunk(7, dim=1)
        i_h, f_h, g_h, o_h = self.conv_h(h).chunk(4, dim=1)
        i_c, f_c, g_c = self.conv_c(c).chunk(3, dim=1)
        i_m, f_m, m_m = self.conv_m(m).chunk(3, dim=1)
        c = torch.sigmoid(f_x + f_h + f_c + 1) * c + torch.sigmoid(i_x + i_h + i_c) * torch.tanh(g_x + g_h + g_c)
        i_cm, g_cm, f_cm, o_c = self.conv_c2m(c).chunk(4, dim=1)
        kept = torch.sigmoid(f_xm + f_m + f_cm + 1) * torch.tanh(m_m)
        m = kept + torch.sigmoid(i_xm + i_m + i_cm) * torch.tanh(g_xm + g_cm)
        o = torch.tanh(o_x + o_h + o_c + self.conv_om(m))
        return o * torch.tanh(self.conv_last(torch.cat([c, m], dim=1))), c, m


class GradientHighway(nn.Module):
    def __init__(self, hidden: int, kernel: int) -> None:
        super().__init__()
        self.x_concat = _sum_of(hidden, 2 * hidden, kernel)
        self.z_concat = _sum_of(hidden, 2 * hidden, kernel)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        p_x, u_x = self.x_concat(x).chunk(2, dim=1)
        p_z, u_z = self.z_concat(z).chunk(2, dim=1)
        u = torch.sigmoid(u_x + u_z)
        return u * torch.tanh(p_x + p_z) + (1 - u) * z


class PredRNNPP(Layers):
    Cell = CausalLSTMCell

    def __init__(self, config: Any, frame_shape: tuple[int, int, int], context: int) -> None:
        super().__init__(config, frame_shape, context)
        self.gradient_highway = GradientHighway(config.hidden, config.kernel)

    def step(self, frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        first = [(self.zeros(frame), self.zeros(frame)) for _ in self.cell_list]
        layers, m, z = state or (first, self.zeros(frame), self.zeros(frame))
        x, after = frame, []
        for layer, (cell, (h, c)) in enumerate(zip(self.cell_list, layers, strict=True)):
            x, c, m = cell(x, h, c, m)
            after.append((x, c))
            if layer == 0:
                x = z = self.gradient_highway(x, z)
        return self.conv_last(x), (after, m, z)


# ------------------------------------------------------------------------------------------------------------- PhyDNet


class DownBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
        self.main = nn.Sequential(convolution, nn.GroupNorm(16, outputs), nn.LeakyReLU(0.2))

    def forward(self, maps: Tensor) -> Tensor:
        return self.main(maps)


class UpBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        convolution = nn.ConvTranspose2d(inputs, outputs, 3, stride=stride, padding=1, output_padding=stride - 1)
        self.main = nn.Sequential(convolution, nn.GroupNorm(16, outputs), nn.LeakyReLU(0.2))

    def forward(self, maps: Tensor) -> Tensor:
        return self.main(maps)


class PhyCell(nn.Module):
    def __init__(self, maps: int, side: int) -> None:
        super().__init__()
        self.F = nn.Sequential()
        self.F.add_module("conv1", nn.Conv2d(maps, side**2, side, padding=side // 2))
        self.F.add_module("bn1", nn.GroupNorm(side, side**2))
        self.F.add_module("conv2", nn.Conv2d(side**2, maps, 1))
        self.convgate = nn.Conv2d(2 * maps, maps, 3, padding=1)

    def forward(self, u: Tensor, h: Tensor) -> Tensor:
        gain = torch.sigmoid(self.convgate(torch.cat([u, h], dim=1)))
        predicted = h + self.F(h)
        return predicted + gain * (u - predicted)


class BiasedConvLSTMCell(nn.Module):
    """PhyDNet's, whose textbook has one convolution of both inputs too."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs + hidden, 4 * hidden, 3, padding=1)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i, f, o, g = self.conv(torch.cat([x, h], dim=1)).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class PhyDNet(NextFrame):
    def __init__(self, config: Any, frame_shape: tuple[int, int, int], context: int) -> None:
        super().__init__()
        self.config = config
        channels, width, maps = frame_shape[0], config.width, 2 * config.width
        self.hidden = [config.hidden] * (config.layers - 1) + [maps]
        self.encoder_E = _blocks(
            c1=DownBlock(channels, width, 2), c2=DownBlock(width, width, 1), c3=DownBlock(width, maps, 2)
        )
        self.encoder_Ep, self.encoder_Er = (
            _blocks(c1=DownBlock(maps, maps, 1), c2=DownBlock(maps, maps, 1)) for _ in range(2)
        )
        self.decoder_Dp, self.decoder_Dr = (
            _blocks(upc1=UpBlock(maps, maps, 1), upc2=UpBlock(maps, maps, 1)) for _ in range(2)
        )
        self.decoder_D = _blocks(
            upc1=UpBlock(maps, width, 2),
            upc2=UpBlock(width, width, 1),
            upc3=nn.ConvTranspose2d(width, channels, 3, stride=2, padding=1, output_padding=1),
        )
        self.phycell, self.convcell = nn.Module(), nn.Module()
        self.phycell.cell_list = nn.ModuleList([PhyCell(maps, config.derivatives)])
        self.convcell.cell_list = nn.ModuleList(map(BiasedConvLSTMCell, [maps, *self.hidden[:-1]], self.hidden))

    def step(self, frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        seen = self.encoder_E(frame)
        to_physical, x = self.encoder_Ep(seen), self.encoder_Er(seen)
        physical, layers = state or (torch.zeros_like(seen.float()), [self.zeros(seen, n) for n in self.hidden])
        (cell,) = self.phycell.cell_list
        physical = cell(to_physical, physical)
        after = []
        for cell, (h, c) in zip(self.convcell.cell_list, layers, strict=True):
            x, c = cell(x, h, c)
            after.append((x, c))
        decoded = self.decoder_D(self.decoder_Dp(physical) + self.decoder_Dr(x))
        return torch.sigmoid(decoded), (physical, after)

    def zeros(self, maps: Tensor, width: int) -> tuple[Tensor, Tensor]:
        zeros = torch.zeros(len(maps), width, *maps.shape[2:], device=maps.device)
        return zeros, zeros

    def draw(self, context: int, horizon: int, clips: int, progress: float) -> Tensor:
        """One for all clips of a batch and steps after the context; less often from epoch to epoch, of 2,001."""
        epoch = published_update(self.config.schedule, update=0, progress=progress, of=2001 * 625) // 625
        given = torch.ones(context + horizon - 1, clips, dtype=torch.bool)
        given[context:] = torch.rand(()) < max(0.0, 1 - 0.003 * epoch)
        return given

    def loss(self, context: Tensor, target: Tensor, progress: float) -> Tensor:
        """Summed over frames, and the moment loss, input by input."""
        frames = torch.cat([context, target], dim=1)
        given = self.draw(context.shape[1], target.shape[1], len(frames), progress)
        predicted = self.roll_out(frames, given)
        loss = torch.stack(
            [F.mse_loss(a, b) for a, b in zip(predicted.unbind(1), frames[:, 1:].unbind(1), strict=True)]
        ).sum()
        side = self.config.derivatives
        places = torch.arange(side, dtype=torch.float64, device=frames.device) - side // 2
        powers = torch.stack([places**i / math.factorial(i) for i in range(side)])
        wanted = torch.eye(side**2, dtype=torch.float64, device=frames.device).view(-1, side, side)
        for kernels in self.phycell.cell_list[0].F.conv1.weight.unbind(1):
            loss = loss + F.mse_loss(powers @ kernels.double() @ powers.T, wanted).float()
        return loss


def _blocks(**blocks: nn.Module) -> nn.Sequential:
    found = nn.Sequential()
    for name, block in blocks.items():
        found.add_module(name, block)
    return found


# ------------------------------------------------------------------------------------------------------- SimVP and TAU


class NormedConv(nn.Module):
    """Convolution, group norm, SiLU; `double` the sides by a sub-pixel convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, double: bool = False) -> None:
        super().__init__()
        self.conv: nn.Module = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
        if double:
            self.conv = nn.Sequential(nn.Conv2d(inputs, 4 * outputs, 3, padding=1), nn.PixelShuffle(2))
        self.norm = nn.GroupNorm(2, outputs)

    def forward(self, maps: Tensor) -> Tensor:
        return F.silu(self.norm(self.conv(maps)))


def _under(name: str, module: nn.Module) -> nn.Sequential:
    """Published names have one level more."""
    return _blocks(**{name: module})


class Block(nn.Module):
    """A block of frames to the next block of as many."""

    def __init__(self, config: Any, frame_shape: tuple[int, int, int], context: int) -> None:
        super().__init__()
        channels, width, n = frame_shape[0], config.hid_s, config.n_s
        self.config = config
        self.enc, self.dec = nn.Module(), nn.Module()
        self.enc.enc = nn.ModuleList(
            _under("conv", NormedConv(width if at else channels, width, stride=1 + at % 2)) for at in range(n)
        )
        self.dec.dec = nn.ModuleList(_under("conv", NormedConv(width, width, double=at % 2 == 0)) for at in range(n))
        self.dec.dec[-1] = _under("conv", NormedConv(width, width))
        self.dec.readout = nn.Conv2d(width, channels, 1)
        self.hid = self.translator(config, context * width)

    def translator(self, config: Any, stacked: int) -> nn.Module:
        raise NotImplementedError

    def forward(self, frames: Tensor) -> Tensor:
        clips, length = frames.shape[:2]
        first = maps = self.enc.enc[0](frames.flatten(0, 1))
        for block in self.enc.enc[1:]:
            maps = block(maps)
        stacked = maps.reshape(clips, -1, *maps.shape[2:])
        maps = self.hid(stacked).reshape(maps.shape)
        for block in self.dec.dec[:-1]:
            maps = block(maps)
        found = self.dec.readout(self.dec.dec[-1](maps + first))
        return found.reshape(clips, length, *found.shape[1:])

    def predict(self, context: Tensor, horizon: int) -> Tensor:
        """As many frames as are given, or fewer."""
        return self(context)[:, :horizon].float()

    def loss(self, context: Tensor, target: Tensor, progress: float) -> Tensor:
        return F.mse_loss(self.predict(context, target.shape[1]), target)


class GroupedConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups)
        self.norm = nn.GroupNorm(groups, outputs)

    def forward(self, maps: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.conv(maps)), 0.2)


class Inception(nn.Module):
    def __init__(self, inputs: int, hidden: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, hidden, 1)
        self.layers = nn.Sequential(*(GroupedConv(hidden, outputs, kernel, groups) for kernel in (3, 5, 7, 11)))

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.conv1(maps)
        total: Any = 0
        for layer in self.layers:
            total = total + layer(maps)
        return total


class IncepU(nn.Module):
    def __init__(self, stacked: int, width: int, depth: int, groups: int) -> None:
        super().__init__()
        inputs, outputs = [stacked] + [width] * (depth - 1), [width] * (depth - 1) + [stacked]
        self.enc = nn.Sequential(*(Inception(n, width // 2, width, groups) for n in inputs))
        up_inputs = [width] + [2 * width] * (depth - 1)
        self.dec = nn.Sequential(
            *(Inception(n, width // 2, m, groups) for n, m in zip(up_inputs, outputs, strict=True))
        )

    def forward(self, maps: Tensor) -> Tensor:
        skips = []
        for block in self.enc:
            maps = block(maps)
            skips.append(maps)
        maps = self.dec[0](maps)
        for at in range(1, len(self.dec)):
            maps = self.dec[at](torch.cat([maps, skips[-1 - at]], dim=1))
        return maps


class SimVP(Block):
    def translator(self, config: Any, stacked: int) -> nn.Module:
        return IncepU(stacked, config.hid_t, config.n_t, config.groups)


def _depthwise(width: int, kernel: int, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(width, width, kernel, padding=dilation * (kernel // 2), dilation=dilation, groups=width)


class GatedAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv0, self.conv_spatial = _depthwise(width, 5), _depthwise(width, 7, dilation=3)
        self.conv1 = nn.Conv2d(width, 2 * width, 1)

    def forward(self, maps: Tensor) -> Tensor:
        value, gate = self.conv1(self.conv_spatial(self.conv0(maps))).chunk(2, dim=1)
        return torch.sigmoid(gate) * value


class TemporalAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv0, self.conv_spatial = _depthwise(width, 5), _depthwise(width, 7, dilation=3)
        self.conv1 = nn.Conv2d(width, width, 1)
        hidden = width // max(width // 16, 4)
        self.fc = nn.Sequential(
            nn.Linear(width, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, width, bias=False), nn.Sigmoid()
        )

    def forward(self, maps: Tensor) -> Tensor:
        kernel = self.conv1(self.conv_spatial(self.conv0(maps)))
        weights = self.fc(F.adaptive_avg_pool2d(maps, 1).flatten(1))
        return weights[:, :, None, None] * kernel * maps


class AttentionBlock(nn.Module):
    def __init__(self, width: int, ratio: float, unit: nn.Module) -> None:
        super().__init__()
        hidden = int(ratio * width)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.proj_1, self.attn.proj_2 = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.attn.spatial_gating_unit = unit
        self.mlp.fc1, self.mlp.fc2 = nn.Conv2d(width, hidden, 1), nn.Conv2d(hidden, width, 1)
        self.mlp.dwconv = _under("dwconv", _depthwise(hidden, 3))
        self.layer_scale_1, self.layer_scale_2 = (nn.Parameter(0.01 * torch.ones(width)) for _ in range(2))

    def forward(self, maps: Tensor) -> Tensor:
        normed = self.norm1(maps)
        looked = self.attn.spatial_gating_unit(F.gelu(self.attn.proj_1(normed)))
        maps = maps + self.layer_scale_1[:, None, None] * (normed + self.attn.proj_2(looked))
        mixed = self.mlp.fc2(F.gelu(self.mlp.dwconv(self.mlp.fc1(self.norm2(maps)))))
        return maps + self.layer_scale_2[:, None, None] * mixed


class Meta(nn.Module):
    def __init__(self, config: Any, stacked: int, unit: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.enc = nn.ModuleList()
        widths = [stacked] + [config.hid_t] * (config.n_t - 1) + [stacked]
        for inputs, outputs in pairwise(widths):
            layer = nn.Module()
            layer.block = AttentionBlock(inputs, config.mlp_ratio, unit(inputs))
            if inputs != outputs:
                layer.reduction = nn.Conv2d(inputs, outputs, 1)
            self.enc.append(layer)

    def forward(self, maps: Tensor) -> Tensor:
        for layer in self.enc:
            maps = layer.block(maps)
            if hasattr(layer, "reduction"):
                maps = layer.reduction(maps)
        return maps


class SimVPGSTA(Block):
    def translator(self, config: Any, stacked: int) -> nn.Module:
        return Meta(config, stacked, GatedAttention)


class TAU(Block):
    def translator(self, config: Any, stacked: int) -> nn.Module:
        return Meta(config, stacked, TemporalAttention)

    def loss(self, context: Tensor, target: Tensor, progress: float) -> Tensor:
        """And how unlike the changes from frame to frame are, as distributions over pixels."""
        predicted = self.predict(context, target.shape[1])
        ours, theirs = (
            F.softmax((frames[:, 1:] - frames[:, :-1]).flatten(2) / self.config.temperature, dim=-1)
            for frames in (predicted, target)
        )
        divergence = (ours * torch.log(ours / theirs)).mean()
        return F.mse_loss(predicted, target) + self.config.alpha * divergence


# ---------------------------------------------------------------------------------------------------------- all of them

#: By the names of the plugins; each is made of (config, frame shape, frames of context), where config is the plugin's.
TEXTBOOK: dict[str, Callable[[Any, tuple[int, int, int], int], Any]] = {
    "convlstm": ConvLSTM,
    "phydnet": PhyDNet,
    "predrnn": PredRNN,
    "predrnn-pp": PredRNNPP,
    "predrnn-v2": PredRNNV2,
    "simvp": SimVP,
    "simvp-gsta": SimVPGSTA,
    "tau": TAU,
}
