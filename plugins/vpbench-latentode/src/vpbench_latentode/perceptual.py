"""Differences in what a small network sees (report, section 6.4.2; there VGG16, which needs weights from elsewhere).

The network reads digits: it was trained on the digits of Moving MNIST's train split, by
`training/train_perceptual.py`, and lies in this package.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

import torch
from torch import Tensor, nn

from vpbench.errors import ModelFailed, Refused

FILE = "weights/perceptual.safetensors"
SHA256 = "10575c42ac0c63b3f4cb7c17d801c6608e0d320a189f4426396efb89368736c6"
WIDTHS = (16, 32, 64)
CLASSES = 10
SMALLEST_SIDE = 16  # pixels: two strides must leave something to look at
LEAST_LENGTH = 0.1  # of a feature vector: next to nothing stays next to nothing


class DigitFeatures(nn.Module):
    """Three convolutions, at full, half and quarter size; and a head, which is for training alone."""

    def __init__(self) -> None:
        super().__init__()
        strides = (1, 2, 2)
        incoming = (1, *WIDTHS)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride=stride, padding=1), nn.ReLU())
            for a, b, stride in zip(incoming, WIDTHS, strides, strict=False)
        )

    def forward(self, frames: Tensor) -> list[Tensor]:
        """(N, 1, H, W) to the features of each stage, (N, K, h, w)."""
        found = []
        for stage in self.stages:
            frames = stage(frames)
            found.append(frames)
        return found


def trained_features(frame_shape: tuple[int, int, int]) -> DigitFeatures:
    """The network, fixed. Raises Refused for frames it cannot look at, ModelFailed for a damaged or missing file."""
    from safetensors.torch import load

    _, height, width = frame_shape
    if min(height, width) < SMALLEST_SIDE:
        raise Refused(f"perceptual_weight needs frames of at least {SMALLEST_SIDE} pixels a side, got {height}×{width}")
    try:
        content = files("vpbench_latentode").joinpath(FILE).read_bytes()
    except OSError:
        content = b""
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ModelFailed(f"{FILE} of vpbench-latentode is not the file that belongs there: install the package again")
    network = DigitFeatures()
    network.load_state_dict({name: value.float() for name, value in load(content).items()})
    return network.requires_grad_(False).eval()


def perceptual_loss(network: DigitFeatures, predicted: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of feature vectors of about unit length, mean over stages. Frames (N, C, H, W).

    Colours are looked at one by one: the network knows grey digits.
    """
    one, other = (network(frames.flatten(0, 1).unsqueeze(1)) for frames in (predicted, target))
    apart = [(_unit(a) - _unit(b)).abs().sum(dim=1).mean() for a, b in zip(one, other, strict=True)]
    return torch.stack(apart).mean()


def _unit(features: Tensor) -> Tensor:
    return features * (features.square().sum(dim=1, keepdim=True) + LEAST_LENGTH**2).rsqrt()
