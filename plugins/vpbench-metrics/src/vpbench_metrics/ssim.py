"""Structural similarity of frames, by one of two implementations of `ssim_definition`; the device decides which."""

from __future__ import annotations

import torch
from torch import Tensor

from .ssim_torch import ssim_torch


def ssim(predicted: Tensor, target: Tensor) -> Tensor:
    """Structural similarity per frame, mean over channels.

    predicted, target  float32 or float64 (B, Tt, C, H, W) in [0, 1], on one device; H and W at least 11
    returns            float64 (B, Tt) on that device

    The device decides: on the CPU a compiled kernel on as many threads as torch may use, elsewhere torch where the
    frames are. They agree to 1e-12, and neither ever stands in for the other.
    """
    x, y = predicted.detach().flatten(0, 2), target.detach().flatten(0, 2)
    if predicted.device.type == "cpu":
        from .ssim_cpu import ssim_cpu  # here, as it needs numba, which frames on a GPU do without

        similarity = torch.from_numpy(ssim_cpu(x.numpy(), y.numpy(), threads=torch.get_num_threads()))
    else:
        similarity = ssim_torch(x, y)
    return similarity.reshape(predicted.shape[:3]).mean(-1)
