"""One function per statistic, under its name: `Scored` in, float64 (B, Tt) out, on the device of the frames.

A statistic is named once per distribution: two metrics that name "squared_error" mean these values. Inputs are left
unchanged and no gradient is kept. MPS has no float64: there the frames are copied to the CPU and so is the result.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vpbench import Scored

from .metrics import FOREGROUND, PSNR_CAP_DB
from .ssim import ssim as _ssim

#: Values that are widened to float64 at a time: 8 MiB, so that the memory of metrics does not grow with the batch.
_VALUES_AT_ONCE = 2**20

_FRAME = (-3, -2, -1)  # C, H, W


def squared_error(scored: Scored) -> Tensor:
    """Mean over C, H, W of (predicted - target)²."""
    return _per_clip(lambda p, t: (p - t).square_().mean(_FRAME), *_frames(scored))


def absolute_error(scored: Scored) -> Tensor:
    """Mean over C, H, W of |predicted - target|."""
    return _per_clip(lambda p, t: (p - t).abs_().mean(_FRAME), *_frames(scored))


def squared_error_sum(scored: Scored) -> Tensor:
    """Sum over C, H, W of (predicted - target)²."""
    return _per_clip(lambda p, t: (p - t).square_().sum(_FRAME), *_frames(scored))


def absolute_error_sum(scored: Scored) -> Tensor:
    """Sum over C, H, W of |predicted - target|."""
    return _per_clip(lambda p, t: (p - t).abs_().sum(_FRAME), *_frames(scored))


def psnr(scored: Scored) -> Tensor:
    """10 log10(1 / mean squared error of the frame), at most 100 dB."""
    return squared_error(scored).reciprocal_().log10_().mul_(10.0).clamp_(max=PSNR_CAP_DB)


def ssim(scored: Scored) -> Tensor:
    """Mean structural similarity over the windows inside the frame, then over C; see `vpbench_metrics.ssim`."""
    return _ssim(*_frames(scored))


def foreground_intersection(scored: Scored) -> Tensor:
    """Number of values that are foreground in both."""
    return _per_clip(lambda p, t: ((p > FOREGROUND) & (t > FOREGROUND)).sum(_FRAME).double(), *_frames(scored))


def foreground_union(scored: Scored) -> Tensor:
    """Number of values that are foreground in either."""
    return _per_clip(lambda p, t: ((p > FOREGROUND) | (t > FOREGROUND)).sum(_FRAME).double(), *_frames(scored))


def gradient_energy_predicted(scored: Scored) -> Tensor:
    """Mean squared difference of horizontal neighbours plus that of vertical neighbours, of the prediction."""
    predicted, _ = _frames(scored)
    return _per_clip(_gradient_energy, predicted)


def gradient_energy_target(scored: Scored) -> Tensor:
    """Mean squared difference of horizontal neighbours plus that of vertical neighbours, of the truth."""
    _, target = _frames(scored)
    return _per_clip(_gradient_energy, target)


def _gradient_energy(frames: Tensor) -> Tensor:
    if min(frames.shape[-2:]) < 2:
        height, width = frames.shape[-2:]
        raise ValueError(f"sharpness compares neighbours: it needs frames of at least 2x2 pixels, not {height}x{width}")
    return frames.diff(dim=-1).square_().mean(_FRAME) + frames.diff(dim=-2).square_().mean(_FRAME)


def _frames(scored: Scored) -> tuple[Tensor, Tensor]:
    """The clamped prediction and the truth, checked so that nothing is ever broadcast."""
    predicted, target = scored.predicted.detach(), scored.target.detach()
    if predicted.shape != target.shape or predicted.ndim != 5:
        raise ValueError(
            f"predicted {tuple(predicted.shape)} and target {tuple(target.shape)}: give both one shape (B, Tt, C, H, W)"
        )
    if predicted.device.type == "mps":
        return predicted.cpu(), target.cpu()
    return predicted, target


def _per_clip(measure: Callable[..., Tensor], *frames: Tensor) -> Tensor:
    """`measure` of float64 copies of the frames, a few clips at a time: (B, Tt, C, H, W) each, to (B, Tt)."""
    values_per_clip = frames[0].shape[1:].numel()
    clips = max(1, _VALUES_AT_ONCE // max(1, values_per_clip))
    parts = zip(*(batch.split(clips) for batch in frames), strict=True)
    return torch.cat([measure(*(part.double() for part in some)) for some in parts])
