"""Losses that the report proposes beside the squared error (section 6.4)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEAST_VARIANCE = 1e-6  # of an appearance number over the clips of a batch


def shuffled(frames: Tensor) -> Tensor:
    """Context frames (B, T, C, H, W) in one other order, drawn from torch's generator: as exact to resume as that."""
    count = frames.shape[1]
    order = torch.randperm(count)
    if bool((order == torch.arange(count)).all()):  # of the identity there is nothing to learn
        order = order.roll(1)
    return frames[:, order.to(frames.device)]


def permutation_loss(appearance: Tensor, of_shuffled: Tensor) -> Tensor:
    """Squared difference of two appearances (B, A) of the same clips, in units of the variance over clips (eq. 8).

    As printed, without a unit, it is least where the encoder makes the appearance small and the decoder large again.
    """
    scale = appearance.detach().var(dim=0, unbiased=False).clamp(min=LEAST_VARIANCE)
    return ((appearance - of_shuffled).square() / scale).mean()


def critic_loss(of_real: Tensor, of_predicted: Tensor) -> Tensor:
    """Hinge loss of a critic (Lim and Ye 2017): real above 1, predicted below -1."""
    return F.relu(1 - of_real).mean() + F.relu(1 + of_predicted).mean()


def fooling_loss(of_predicted: Tensor) -> Tensor:
    """What the predictor pays for a critic that is not convinced."""
    return -of_predicted.mean()
