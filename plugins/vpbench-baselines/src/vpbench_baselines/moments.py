"""What derivative a filter takes: moments of convolution kernels, and the loss that ties them down."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def kernel_moments(kernels: Tensor) -> Tensor:
    """Moments of kernels (..., k, k), k odd, float64 of the same shape: m = M K Mᵀ, M[i, u] = (u - (k - 1) / 2)^i / i!.

    Moment (i, j) is what the kernel makes of the i-th derivative down and the j-th one across (Long et al. 2018,
    "PDE-Net"). Powers up to 3^6 and their like: in float64 whatever the precision around it.
    """
    side = kernels.shape[-1]
    places = torch.arange(side, dtype=torch.float64, device=kernels.device) - (side - 1) // 2
    powers = torch.stack([places**i / math.factorial(i) for i in range(side)])
    with torch.autocast(kernels.device.type, enabled=False):
        return powers @ kernels.double() @ powers.T


def moment_loss(weight: Tensor) -> Tensor:
    """How far filters are from taking one derivative each, float32 scalar (Le Guen & Thome 2020, equation 8).

    weight  (k², inputs, k, k): of a convolution whose filter j is to take derivative (j // k, j % k) of its inputs

    The squared differences of the moments to a single 1 are averaged over filters and moments, and added over inputs.
    """
    filters, _, side, _ = weight.shape
    wanted = torch.eye(filters, dtype=torch.float64, device=weight.device).reshape(filters, 1, side, side)
    return (kernel_moments(weight) - wanted).square().mean(dim=(0, 2, 3)).sum().float()
