"""The translator of SimVP's second version: gated attention of large kernels, in blocks like those of a transformer."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LAYER_SCALE = 1e-2  # what a block adds is multiplied by at first
DILATION = 3
KERNELS = (5, 7)  # 5×5, then 7×7 with dilation 3: what each pixel sees is that of a kernel of 21 + 2, in 74 numbers


class DepthwiseConv(nn.Conv2d):
    """One k×k kernel per map, sides kept; (B, C, H, W) to the same shape."""

    def __init__(self, width: int, kernel: int, *, dilation: int = 1) -> None:
        super().__init__(width, width, kernel, padding=dilation * (kernel // 2), dilation=dilation, groups=width)

    def forward(self, maps: Tensor) -> Tensor:
        if not maps.is_cpu:
            return super().forward(maps)
        if torch.is_grad_enabled() and self.kernel_size[0] > 3:
            # Of such kernels oneDNN's gradient takes three to five times as long in bfloat16.
            with torch.autocast("cpu", enabled=False):
                return self._on_cpu(maps.to(self.weight.dtype))
        return self._on_cpu(maps)

    def _on_cpu(self, maps: Tensor) -> Tensor:
        dilation = int(self.dilation[0])
        return super().forward(maps) if dilation == 1 else self._by_phase(maps, dilation)

    def _by_phase(self, maps: Tensor, d: int) -> Tensor:
        """The same sums. Pixels that are d apart see only each other, so they are an image of their own, without gaps.

        oneDNN has no fast path for depthwise convolutions with dilation: this is 6 to 20 times as fast on a CPU.
        """
        batch, width, height, breadth = maps.shape
        rows, columns = -(-height // d), -(-breadth // d)
        pixels = F.pad(maps.permute(0, 2, 3, 1), (0, 0, 0, columns * d - breadth, 0, rows * d - height))
        phases = pixels.view(batch, rows, d, columns, d, width).permute(0, 2, 4, 1, 3, 5)
        images = phases.reshape(batch * d * d, rows, columns, width).permute(0, 3, 1, 2)
        found = F.conv2d(images, self.weight, self.bias, padding=self.kernel_size[0] // 2, groups=self.groups)
        back = found.permute(0, 2, 3, 1).reshape(batch, d, d, rows, columns, width).permute(0, 3, 1, 4, 2, 5)
        return back.reshape(batch, rows * d, columns * d, width)[:, :height, :breadth].permute(0, 3, 1, 2)


class LargeKernel(nn.Module):
    """Depthwise 5×5, then depthwise 7×7 with dilation 3, then 1×1; (B, C, H, W) to (B, outputs, H, W).

    Guo et al. 2022, "Visual attention network", take a convolution of 21×21 apart in this way.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.near = DepthwiseConv(width, KERNELS[0])
        self.far = DepthwiseConv(width, KERNELS[1], dilation=DILATION)
        self.mix = nn.Conv2d(width, outputs, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return self.mix(self.far(self.near(maps)))


class GatedKernel(nn.Module):
    """f · sigmoid(g), where f and g are the two halves of a large kernel's maps; (B, C, H, W) to the same shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.kernel = LargeKernel(width, 2 * width)

    def forward(self, maps: Tensor) -> Tensor:
        value, gate = self.kernel(maps).chunk(2, dim=1)
        return value * torch.sigmoid(gate)


class Attention(nn.Module):
    """1×1, GELU, a unit that looks around, 1×1, and what came in added; (B, C, H, W) to the same shape."""

    def __init__(self, width: int, unit: nn.Module) -> None:
        super().__init__()
        self.before = nn.Conv2d(width, width, 1)
        self.unit = unit
        self.after = nn.Conv2d(width, width, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.after(self.unit(F.gelu(self.before(maps))))


class ConvMLP(nn.Module):
    """1×1, depthwise 3×3, GELU, 1×1; (B, C, H, W) to the same shape."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(width, hidden, 1)
        self.depthwise = DepthwiseConv(hidden, 3)
        self.narrow = nn.Conv2d(hidden, width, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return self.narrow(F.gelu(self.depthwise(self.widen(maps))))


class MetaBlock(nn.Module):
    """x + γ₁·Attention(BN(x)), then x + γ₂·MLP(BN(x)), then 1×1 if widths differ; (B, in, H, W) to (B, out, H, W).

    Tan et al. 2022, "SimVPv2", Figure 4. The γ are per map and start at 0.01; attention and MLP start as in OpenSTL.
    """

    def __init__(self, inputs: int, outputs: int, mlp_ratio: float, unit: nn.Module) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.attention = Attention(inputs, unit)
        self.scale1 = nn.Parameter(torch.full((inputs,), LAYER_SCALE))
        self.norm2 = nn.BatchNorm2d(inputs)
        self.mlp = ConvMLP(inputs, int(inputs * mlp_ratio))
        self.scale2 = nn.Parameter(torch.full((inputs,), LAYER_SCALE))
        self.resize = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        start_as_published(self.mlp)

    def forward(self, maps: Tensor) -> Tensor:
        maps = maps + self.scale1[:, None, None] * self.attention(self.norm1(maps))
        maps = maps + self.scale2[:, None, None] * self.mlp(self.norm2(maps))
        return self.resize(maps)


class MetaTranslator(nn.Module):
    """n_t blocks one after another, (B, stacked, H, W) to the same shape: the first and the last change the width.

    unit(width)  makes what looks around in the attention of a block
    """

    def __init__(
        self, stacked: int, width: int, depth: int, mlp_ratio: float, unit: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        widths = [stacked, *[width] * (depth - 1), stacked]
        self.blocks = nn.ModuleList(
            MetaBlock(inputs, outputs, mlp_ratio, unit(inputs)) for inputs, outputs in pairwise(widths)
        )

    def forward(self, maps: Tensor) -> Tensor:
        for block in self.blocks:
            maps = block(maps)
        return maps


def start_as_published(module: nn.Module) -> None:
    """Convolutions from N(0, 2 / (k² · outputs / groups)), biases 0: how OpenSTL starts them in gSTA."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            fan_out = part.kernel_size[0] * part.kernel_size[1] * part.out_channels // part.groups
            nn.init.normal_(part.weight, std=math.sqrt(2.0 / fan_out))
            assert part.bias is not None
            nn.init.zeros_(part.bias)
