"""Two critics for adversarial training: one of single frames, one of the frames of a clip (report, section 6.4.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

WIDTHS = (32, 64, 128)
LEAK = 0.2


class Critic(nn.Module):
    """How real frames look, a number each: three convolutions of stride 2, mean over space, one linear layer.

    Every layer has spectral norm 1 (Miyato et al. 2018), which keeps the game with a hinge loss from running away; the
    author's has batch norm and a cross entropy.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        incoming = channels
        for outgoing in WIDTHS:
            layers += [spectral_norm(nn.Conv2d(incoming, outgoing, 4, stride=2, padding=1)), nn.LeakyReLU(LEAK)]
            incoming = outgoing
        self.layers = nn.Sequential(*layers)
        self.verdict = spectral_norm(nn.Linear(incoming, 1))

    def forward(self, frames: Tensor) -> Tensor:
        """(N, channels, H, W) to float32 (N,)."""
        verdict: Tensor = self.verdict(self.layers(frames).mean(dim=(2, 3)))
        return verdict[:, 0].float()


def of_frames(frames: Tensor) -> Tensor:
    """(B, T, C, H, W) as a critic of frames sees them: (B T, C, H, W)."""
    return frames.flatten(0, 1)


def of_sequences(frames: Tensor, count: int) -> Tensor:
    """(B, T, C, H, W) as a critic of `count` frames sees them, stacked as channels: (B, count C, H, W).

    Of more frames the first ones; of fewer the last one again, as at the end of a short clip.
    """
    places = torch.arange(count, device=frames.device).clamp(max=frames.shape[1] - 1)
    return frames[:, places].flatten(1, 2)
