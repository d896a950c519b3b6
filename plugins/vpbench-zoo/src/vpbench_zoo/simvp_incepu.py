"""The translator of SimVP's first version: Inception blocks with grouped convolutions, in a U of equal sides."""

from __future__ import annotations

import torch
from torch import Tensor, nn

KERNELS = (3, 5, 7, 11)


class Branch(nn.Module):
    """Grouped convolution, group norm over the same groups, leaky ReLU; (B, in, H, W) to (B, out, H, W)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups)
        self.norm = nn.GroupNorm(groups, outputs)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, maps: Tensor) -> Tensor:
        return self.activation(self.norm(self.conv(maps)))


class Inception(nn.Module):
    """1×1 convolution, then the sum of four branches of different kernels; (B, in, H, W) to (B, out, H, W)."""

    def __init__(self, inputs: int, hidden: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(inputs, hidden, 1)
        self.branches = nn.ModuleList(Branch(hidden, outputs, kernel, groups) for kernel in KERNELS)

    def forward(self, maps: Tensor) -> Tensor:
        maps = self.reduce(maps)
        total = self.branches[0](maps)
        for branch in self.branches[1:]:
            total = total + branch(maps)
        return total


class IncepU(nn.Module):
    """n_t blocks down and n_t up, (B, stacked, H, W) to the same shape (Gao et al. 2022, "SimVP", section 3.3).

    No block changes the sides. Each block on the way up but the first is also given, as further maps, what a block
    on the way down gave: the last but one first.
    """

    def __init__(self, stacked: int, width: int, depth: int, groups: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(Inception(width if at else stacked, width // 2, width, groups) for at in range(depth))
        self.up = nn.ModuleList(
            Inception(2 * width if at else width, width // 2, width if at < depth - 1 else stacked, groups)
            for at in range(depth)
        )

    def forward(self, maps: Tensor) -> Tensor:
        kept = []
        for block in self.down:
            maps = block(maps)
            kept.append(maps)
        kept.pop()
        for at, block in enumerate(self.up):
            maps = block(torch.cat([maps, kept.pop()], dim=1) if at else maps)
        return maps
