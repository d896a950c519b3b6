"""Structural similarity of frames: which implementation of `ssim_definition` measures them."""

from __future__ import annotations

import torch
from torch import Tensor

from .ssim_definition import GAUSSIAN_11, Definition
from .ssim_torch import foreground_ssim_torch, ssim_torch


def ssim(predicted: Tensor, target: Tensor, definition: Definition = GAUSSIAN_11) -> Tensor:
    """Structural similarity per frame, mean over channels.

    predicted, target  float32 or float64 (B, Tt, C, H, W), on one device; H and W at least definition.smallest
    returns            float64 (B, Tt) on that device

    The default definition on the CPU is measured by a compiled kernel, on as many threads as torch may use; all else by
    torch, where the frames are. They agree to 1e-12, and neither ever stands in for the other.
    """
    x, y = predicted.detach().flatten(0, 2), target.detach().flatten(0, 2)
    if predicted.device.type == "cpu" and definition == GAUSSIAN_11:
        from .ssim_cpu import ssim_cpu  # here, as it needs numba, which everything else does without

        similarity = torch.from_numpy(ssim_cpu(x.numpy(), y.numpy(), threads=torch.get_num_threads()))
    else:
        similarity = ssim_torch(x, y, definition)
    return similarity.reshape(predicted.shape[:3]).mean(-1)


def foreground_ssim(predicted: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Structural similarity per frame in which a window counts as much as there is in it, and how much that is.

    predicted, target  float32 or float64 (B, Tt, C, H, W), on one device; H and W at least 11
    returns            float64 (B, Tt) twice, on that device: means over windows and channels of energy · similarity,
                       where that is positive, and of energy, that of a window being its weighted mean of
                       predicted² + target²

    Their ratio is the mean similarity of all windows, each weighted with its energy, negative ones taken as 0.
    Similarity is of the default definition, by the implementation that `ssim` takes.
    """
    x, y = predicted.detach().flatten(0, 2), target.detach().flatten(0, 2)
    if predicted.device.type == "cpu":
        from .ssim_cpu import foreground_ssim_cpu  # here, as it needs numba, which everything else does without

        means = foreground_ssim_cpu(x.numpy(), y.numpy(), threads=torch.get_num_threads())
        weighted, energy = (torch.from_numpy(values) for values in means)
    else:
        weighted, energy = foreground_ssim_torch(x, y)
    return weighted.reshape(predicted.shape[:3]).mean(-1), energy.reshape(predicted.shape[:3]).mean(-1)
