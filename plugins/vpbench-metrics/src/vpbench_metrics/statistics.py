"""One function per statistic, under its name: `Scored` in, float64 (B, Tt) out, on the device of the frames.

A statistic is named once per distribution: two metrics that name "squared_error" mean these values. Inputs are left
unchanged and no gradient is kept. MPS has no float64: there the frames are copied to the CPU and so is the result.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vpbench import Scored

from .definitions import FOREGROUND, PSNR_CAP_DB
from .frames import checked, difference, per_frame
from .ssim import foreground_ssim as _foreground_ssim
from .ssim import ssim as _ssim

_FRAME = (-3, -2, -1)  # C, H, W


def squared_error(scored: Scored) -> Tensor:
    """Mean over C, H, W of (predicted - target)²."""
    return per_frame(lambda p, t: difference(p, t).square_().mean(_FRAME), *checked(scored))


def absolute_error(scored: Scored) -> Tensor:
    """Mean over C, H, W of |predicted - target|."""
    return per_frame(lambda p, t: difference(p, t).abs_().mean(_FRAME), *checked(scored))


def squared_error_sum(scored: Scored) -> Tensor:
    """Sum over C, H, W of (predicted - target)²."""
    return per_frame(lambda p, t: difference(p, t).square_().sum(_FRAME), *checked(scored))


def absolute_error_sum(scored: Scored) -> Tensor:
    """Sum over C, H, W of |predicted - target|."""
    return per_frame(lambda p, t: difference(p, t).abs_().sum(_FRAME), *checked(scored))


def psnr(scored: Scored) -> Tensor:
    """10 log10(1 / mean squared error of the frame), at most 100 dB."""
    return squared_error(scored).reciprocal_().log10_().mul_(10.0).clamp_(max=PSNR_CAP_DB)


def ssim(scored: Scored) -> Tensor:
    """Mean structural similarity over the windows inside the frame, then over C; see `vpbench_metrics.ssim`."""
    return _ssim(*checked(scored))


def foreground_intersection(scored: Scored) -> Tensor:
    """Number of values over C, H, W that are foreground in both."""
    return per_frame(lambda p, t: (torch.minimum(p, t) > FOREGROUND).sum(_FRAME).double(), *checked(scored))


def foreground_union(scored: Scored) -> Tensor:
    """Number of values over C, H, W that are foreground in either."""
    return per_frame(lambda p, t: (torch.maximum(p, t) > FOREGROUND).sum(_FRAME).double(), *checked(scored))


def energy(scored: Scored) -> Tensor:
    """Mean over C, H, W of predicted² + target²."""
    return per_frame(lambda p, t: (p.double().square_() + t.double().square_()).mean(_FRAME), *checked(scored))


def energy_weighted_ssim_and_window_energy(scored: Scored) -> tuple[Tensor, Tensor]:
    """Two that are measured at once, see `vpbench_metrics.ssim.foreground_ssim`."""
    return _foreground_ssim(*checked(scored))


def intensity_predicted(scored: Scored) -> Tensor:
    """Mean over C, H, W of the prediction."""
    predicted, _ = checked(scored)
    return per_frame(lambda frames: frames.double().mean(_FRAME), predicted)


def intensity_target(scored: Scored) -> Tensor:
    """Mean over C, H, W of the truth."""
    _, target = checked(scored)
    return per_frame(lambda frames: frames.double().mean(_FRAME), target)


def gradient_energy_predicted(scored: Scored) -> Tensor:
    """Mean squared difference of horizontal neighbours plus that of vertical neighbours, of the prediction."""
    predicted, _ = checked(scored)
    return per_frame(_gradient_energy, predicted)


def gradient_energy_target(scored: Scored) -> Tensor:
    """Mean squared difference of horizontal neighbours plus that of vertical neighbours, of the truth."""
    _, target = checked(scored)
    return per_frame(_gradient_energy, target)


def _gradient_energy(frames: Tensor) -> Tensor:
    if min(frames.shape[-2:]) < 2:
        height, width = frames.shape[-2:]
        raise ValueError(f"sharpness compares neighbours: it needs frames of at least 2x2 pixels, not {height}x{width}")
    frames = frames.double()
    return frames.diff(dim=-1).square_().mean(_FRAME) + frames.diff(dim=-2).square_().mean(_FRAME)
