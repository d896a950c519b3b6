"""Encoder and decoder of SimVP: they see one frame at a time, so all frames of a batch go through them at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .simvp_config import Edition

NORM_GROUPS = 2


class ConvBlock(nn.Module):
    """Convolution 3×3, group norm, activation; sides as they are, halved or doubled.

    (N, in, H, W) to (N, out, H', W'). Gao et al. 2022, "SimVP", section 3.2; the activation is SiLU in OpenSTL, leaky
    ReLU in the authors' first code, and sides are doubled by a sub-pixel or by a transposed convolution.
    """

    def __init__(
        self, inputs: int, outputs: int, *, halve: bool = False, double: bool = False, edition: Edition
    ) -> None:
        super().__init__()
        self.shuffle = nn.PixelShuffle(2) if double and edition == "openstl" else None
        self.conv: nn.Conv2d | nn.ConvTranspose2d
        if double and edition == "original":
            self.conv = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
        else:
            self.conv = nn.Conv2d(inputs, outputs * (4 if double else 1), 3, stride=2 if halve else 1, padding=1)
        self.norm = nn.GroupNorm(NORM_GROUPS, outputs)
        self.activation = nn.SiLU() if edition == "openstl" else nn.LeakyReLU(0.2)
        if edition == "openstl":
            nn.init.trunc_normal_(self.conv.weight, std=0.02)
            assert self.conv.bias is not None
            nn.init.zeros_(self.conv.bias)

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.conv(maps)
        return self.activation(self.norm(maps if self.shuffle is None else self.shuffle(maps)))


class Encoder(nn.Module):
    """(N, C, H, W) to maps (N, hid_s, H / d, W / d), and the first block's maps (N, hid_s, H, W); d = 2^(n_s / 2).

    Every second block halves the sides.
    """

    def __init__(self, channels: int, width: int, depth: int, edition: Edition) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ConvBlock(width if at else channels, width, halve=at % 2 == 1, edition=edition) for at in range(depth)
        )

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        first = maps = self.blocks[0](frames)
        for block in self.blocks[1:]:
            maps = block(maps)
        return maps, first


class Decoder(nn.Module):
    """Maps (N, hid_s, H / d, W / d) and the encoder's first maps (N, hid_s, H, W) to frames (N, C, H, W), unbounded.

    Every second block, from the first one on, doubles the sides. The last one is given the encoder's first maps too:
    added (OpenSTL), or as further maps (the authors' first code).
    """

    def __init__(self, width: int, channels: int, depth: int, edition: Edition) -> None:
        super().__init__()
        self.add = edition == "openstl"
        self.blocks = nn.ModuleList(
            ConvBlock(width, width, double=at % 2 == 0, edition=edition) for at in range(depth - 1)
        )
        self.blocks.append(ConvBlock(width if self.add else 2 * width, width, edition=edition))
        self.readout = nn.Conv2d(width, channels, 1)

    def forward(self, maps: Tensor, first: Tensor) -> Tensor:
        for block in self.blocks[:-1]:
            maps = block(maps)
        return self.readout(self.blocks[-1](maps + first if self.add else torch.cat([maps, first], dim=1)))
