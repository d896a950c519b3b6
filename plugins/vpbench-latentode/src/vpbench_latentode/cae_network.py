"""Encoder and decoder of single frames: the author's variant of DCEC (Guo et al., ICONIP 2017; report, Figure 10)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vpbench.errors import Refused

from .network import spatial_encoding

WIDTHS = (32, 64, 128)
SMALLEST_SIDE = 16
CHUNK = 512  # frames at once, where nothing is learnt: any number of frames fits into memory


def require_large_enough(model: str, frame_shape: tuple[int, int, int]) -> None:
    """Raises Refused for frames that three strided convolutions leave nothing of."""
    if min(frame_shape[1:]) < SMALLEST_SIDE:
        height, width = frame_shape[1:]
        raise Refused(f"{model} needs frames of at least {SMALLEST_SIDE} pixels a side, got {height}×{width}")


class FrameEncoder(nn.Module):
    """A frame beside its coordinate maps to a code: strided convolutions 28 → 13 → 6 → 3, then one linear layer."""

    def __init__(self, frame_shape: tuple[int, int, int], latent: int, *, coordinates: bool, frequencies: int) -> None:
        super().__init__()
        channels, height, width = frame_shape
        maps = spatial_encoding(height, width, frequencies) if coordinates else torch.zeros(0, height, width)
        self.register_buffer("coordinates", maps, persistent=False)
        self.coordinates: Tensor
        first, second, third = WIDTHS
        self.layers = nn.Sequential(
            nn.Conv2d(channels + len(maps), first, 5, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(second, third, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.code = nn.Linear(third * _encoded(height) * _encoded(width), latent)

    def forward(self, frames: Tensor) -> Tensor:
        """(N, C, H, W) to (N, latent)."""
        coordinates = self.coordinates.to(frames.dtype).expand(len(frames), -1, -1, -1)
        code: Tensor = self.code(self.layers(torch.cat([frames, coordinates], dim=1)))
        return code


class FrameDecoder(nn.Module):
    """A code to a frame: one linear layer, then transposed convolutions 3 → 7 → 14 → 28.

    They make sides of 8n + 4. For other frames the next larger ones are made, and cut to size about the middle.
    """

    def __init__(self, frame_shape: tuple[int, int, int], latent: int, *, output_bias: float) -> None:
        super().__init__()
        channels, *size = frame_shape
        self.size = tuple(size)
        first, second, third = WIDTHS
        self.grid = tuple(-(-(side - 4) // 8) for side in size)
        self.dense = nn.Linear(latent, third * self.grid[0] * self.grid[1])
        last = nn.ConvTranspose2d(first, channels, 4, stride=2, padding=1)
        assert last.bias is not None
        with torch.no_grad():
            last.bias.add_(output_bias)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.Unflatten(1, (third, *self.grid)),
            nn.ConvTranspose2d(third, second, 3, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(second, first, 4, stride=2, padding=1),
            nn.ReLU(),
            last,
        )

    def forward(self, code: Tensor) -> Tensor:
        """(N, latent) to frames, float32 (N, C, H, W) in [0, 1]."""
        drawn = self.layers(self.dense(code))
        top, left = ((made - side) // 2 for made, side in zip(drawn.shape[2:], self.size, strict=True))
        height, width = self.size
        return torch.sigmoid(drawn[..., top : top + height, left : left + width].float())


def in_chunks(part: nn.Module, rows: Tensor) -> Tensor:
    """What a part of a network makes of rows (N, ...), some at a time."""
    return torch.cat([part(some) for some in rows.split(CHUNK)])


def _encoded(side: int) -> int:
    """Side of the last maps of the encoder."""
    for kernel in (5, 4, 3):
        side = (side + 2 - kernel) // 2 + 1
    return side
