"""Losses that the report proposes beside the squared error (section 6.4)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from vpbench import TrainBatch
from vpbench.errors import ModelFailed

LEAST_VARIANCE = 1e-6  # of an appearance number over the clips of a batch


def other_order(count: int, batch: TrainBatch) -> list[int]:
    """0 .. count - 1 in one of the other orders, all equally likely.

    It follows from the clips and the number of the update, so that a training that is resumed draws the same ones.
    """
    generator = torch.Generator().manual_seed(int(batch.context.seeds.sum()) + batch.update)
    order = unchanged = list(range(count))
    while order == unchanged:  # of the identity there is nothing to learn
        order = torch.randperm(count, generator=generator).tolist()
    return order


def shuffled(batch: TrainBatch) -> Tensor:
    """The context frames, 2 or more of each clip, in one other order: (B, T, C, H, W)."""
    frames = batch.context.frames
    order = other_order(frames.shape[1], batch)
    return torch.stack([frames[:, place] for place in order], dim=1)  # by numbers, so that no GPU is waited for


def permutation_loss(appearance: Tensor, of_shuffled: Tensor) -> Tensor:
    """Squared difference of two appearances (B, A) of the same clips, in units of the variance over clips (eq. 8).

    As printed, without a unit, it is least where the encoder makes the appearance small and the decoder large again.
    The unit has a gradient too: were it held fixed, each update would make the appearance smaller and gain nothing.
    Raises ModelFailed for a single clip, which has no variance.
    """
    if len(appearance) < 2:
        raise ModelFailed("permutation_weight compares the clips of a batch: give a batch size of 2 or more")
    scale = appearance.var(dim=0, unbiased=False).clamp(min=LEAST_VARIANCE)
    return ((appearance - of_shuffled).square() / scale).mean()


def critic_loss(of_real: Tensor, of_predicted: Tensor) -> Tensor:
    """Hinge loss of a critic (Lim and Ye 2017): real above 1, predicted below -1."""
    return F.relu(1 - of_real).mean() + F.relu(1 + of_predicted).mean()


def fooling_loss(of_predicted: Tensor) -> Tensor:
    """What the predictor pays for a critic that is not convinced."""
    return -of_predicted.mean()
