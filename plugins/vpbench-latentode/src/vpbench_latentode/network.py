"""Encoder, vector field and decoder: Tables 1 and 2 of the report."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .config import Config

STAGES = (1, 2, 4)  # Table 1: 64, 128, 256 maps, which is width times these; two convolutions each, then pooling
TABLE_SIZE = 64  # the frame side for which the tables' unpadded convolutions fit
SMALLEST_SIDE = 8  # three poolings must leave a pixel

ACTIVATIONS = {"tanh": nn.Tanh, "softplus": nn.Softplus, "celu": nn.CELU, "silu": nn.SiLU, "relu": nn.ReLU}


def spatial_encoding(height: int, width: int, frequencies: int) -> Tensor:
    """Coordinate maps, float32 (2 + 4 * frequencies, H, W): x and y from 0 to 1, then sin and cos of 2^(l-1) pi x, y.

    Report section 5.2.2; its integer coordinates would make every sine vanish, so they are scaled to [0, 1] first.
    """
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    maps = [x, y]
    for octave in range(frequencies):
        scale = 2.0**octave * math.pi
        maps += [torch.sin(scale * x), torch.sin(scale * y), torch.cos(scale * x), torch.cos(scale * y)]
    return torch.stack(maps)


def _conv(channels: int, width: int, *, padding: int) -> list[nn.Module]:
    # Batch norm after ReLU, the order of the tables.
    return [nn.Conv2d(channels, width, 3, padding=padding), nn.ReLU(), nn.BatchNorm2d(width)]


def _up_conv(channels: int, width: int, kernel: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(channels, width, kernel), nn.ReLU(), nn.BatchNorm2d(width)]


class Encoder(nn.Module):
    """Stacked frames and coordinate maps to (state, appearance): Table 1.

    At 64x64 the convolutions have no padding and the maps shrink 64, 60, 30, 26, 13, 9, 4. At other sizes the table
    does not fit, so the convolutions keep the size (padding 1) and only the poolings shrink it.
    """

    def __init__(self, config: Config, frame_shape: tuple[int, int, int], context_length: int) -> None:
        super().__init__()
        channels, height, width = frame_shape
        maps = spatial_encoding(height, width, config.spatial_frequencies)
        if not config.spatial_encoding:
            maps = maps[:0]
        self.register_buffer("coordinates", maps, persistent=False)
        self.coordinates: Tensor
        padding = 0 if (height, width) == (TABLE_SIZE, TABLE_SIZE) else 1
        layers: list[nn.Module] = []
        incoming = context_length * channels + len(maps)
        for outgoing in (config.width * stage for stage in STAGES):
            layers += _conv(incoming, outgoing, padding=padding) + _conv(outgoing, outgoing, padding=padding)
            layers.append(nn.MaxPool2d(2))
            incoming = outgoing
        self.layers = nn.Sequential(*layers)
        self.grid = (4, 4) if padding == 0 else (height // 8, width // 8)
        # The author's one linear layer: first the state (positions, velocities), then the appearance.
        self.code = nn.Linear(incoming * self.grid[0] * self.grid[1], config.state + config.appearance)
        self.state = config.state

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, C, H, W) to (B, state) and (B, appearance)."""
        coordinates = self.coordinates.to(frames.dtype).expand(len(frames), -1, -1, -1)
        stacked = torch.cat([frames.flatten(1, 2), coordinates], dim=1)
        features = self.layers(stacked.contiguous(memory_format=torch.channels_last))
        code = self.code(features.flatten(1))
        return code[:, : self.state], code[:, self.state :]


class VectorField(nn.Module):
    """f in dz/dt = f(z), z = (x, v). Second order by construction (x' = v) unless the config says otherwise."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.second_order = config.structure == "second-order"
        activation = ACTIVATIONS[config.activation]
        out = config.state // 2 if self.second_order else config.state
        self.layers = nn.Sequential(
            nn.Linear(config.state, config.hidden),
            activation(),
            nn.Linear(config.hidden, config.hidden),
            activation(),
            nn.Linear(config.hidden, out),
        )
        # Training starts near uniform motion: a strong random field would scatter the states before anything is learnt.
        with torch.no_grad():
            for parameter in self.layers[-1].parameters():
                parameter.mul_(0.1)

    def forward(self, state: Tensor) -> Tensor:
        """(B, state) to its time derivative, same shape."""
        change = self.layers(state)
        if not self.second_order:
            return change
        velocity = state[:, state.shape[1] // 2 :]
        return torch.cat([velocity, change], dim=1)


class TimeNetwork(nn.Module):
    """What the decoder sees of the state at a time, from the encoded state and that time alone: no ODE (an ablation).

    As large as the vector field it stands for: 140,128 parameters by default, the field has 139,872.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        activation = ACTIVATIONS[config.activation]
        self.readout = config.dynamics
        self.layers = nn.Sequential(
            nn.Linear(config.state + 1, config.hidden),
            activation(),
            nn.Linear(config.hidden, config.hidden),
            activation(),
            nn.Linear(config.hidden, config.dynamics),
        )

    def forward(self, state: Tensor, times: Tensor) -> Tensor:
        """(B, state) and latent times (B, T) to (B, T, dynamics)."""
        start = state.unsqueeze(1).expand(-1, times.shape[1], -1)
        change = self.layers(torch.cat([start, times.to(state.device, state.dtype).unsqueeze(2)], dim=2))
        return start[..., : self.readout] + change


class AppearanceField(nn.Module):
    """h in dz_a/dt = h(z_a). Zero to start with, so that training begins with the appearance that stays (6.4.1)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, size))
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, appearance: Tensor) -> Tensor:
        """(B, appearance) to its time derivative, same shape."""
        change: Tensor = self.layers(appearance)
        return change


class Decoder(nn.Module):
    """(dynamics, appearance) to a frame's logits: Table 2.

    At 64x64 the maps grow 4, 8, 10, 12, 24, 26, 29, 58, 61, 64 through stride-1 up-convolutions without padding. At
    other sizes each bilinear upsampling goes straight to the encoder's size before pooling; the convolutions keep it.
    """

    def __init__(self, config: Config, frame_shape: tuple[int, int, int], grid: tuple[int, int]) -> None:
        super().__init__()
        channels, height, width = frame_shape
        self.grid = grid
        few, some, many, self.deepest = (config.width * stage // 2 for stage in (1, 2, 4, 8))  # Table 2: 32 to 256 maps
        self.dense = nn.Linear(config.dynamics + config.appearance, self.deepest * grid[0] * grid[1])
        tables = (height, width) == (TABLE_SIZE, TABLE_SIZE)

        def up(divisor: int) -> nn.Module:
            if tables:
                return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
            return nn.Upsample(size=(height // divisor, width // divisor), mode="bilinear", align_corners=False)

        def block(incoming: int, outgoing: int, kernel: int) -> list[nn.Module]:
            return _up_conv(incoming, outgoing, kernel) if tables else _conv(incoming, outgoing, padding=1)

        layers = [up(4), *block(self.deepest, many, 3), *block(many, many, 3)]
        layers += [up(2), *block(many, some, 3), *block(some, some, 4)]
        layers += [up(1), *block(some, few, 4)]
        last: nn.ConvTranspose2d | nn.Conv2d
        if config.decoder_tail == "report-table":
            last = nn.Conv2d(few, channels, 1)
            layers += [*block(few, few, 4), last]
        else:
            last = nn.ConvTranspose2d(few, channels, 4) if tables else nn.Conv2d(few, channels, 3, padding=1)
            layers.append(last)
        assert last.bias is not None
        nn.init.constant_(last.bias, config.output_bias)
        self.layers = nn.Sequential(*layers)

    def forward(self, code: Tensor) -> Tensor:
        """(N, dynamics + appearance) to logits (N, C, H, W)."""
        features = torch.relu(self.dense(code)).unflatten(1, (self.deepest, *self.grid))
        return self.layers(features.contiguous(memory_format=torch.channels_last))
