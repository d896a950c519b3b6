"""One function per statistic, under its name: `Scored` in, float64 (B, Tt) out, on the device of the frames.

A statistic is named once per distribution: two metrics that name "squared_error" mean these values. Inputs are left
unchanged and no gradient is kept. MPS has no float64: there the frames are copied to the CPU and so is the result.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vpbench import Scored

from .definitions import FOREGROUND, PSNR_CAP_DB
from .ssim import foreground_ssim as _foreground_ssim
from .ssim import ssim as _ssim

#: Values that are worked on at a time, so that the memory of metrics does not grow with the batch. On a CPU half a MiB
#: of float64, which stays in its cache (3 to 6 times as fast as whole batches); on a GPU 128 MiB, to keep launches few.
_VALUES_AT_ONCE = {"cpu": 2**16, "gpu": 2**24}

_FRAME = (-3, -2, -1)  # C, H, W


def squared_error(scored: Scored) -> Tensor:
    """Mean over C, H, W of (predicted - target)²."""
    return _per_frame(lambda p, t: _difference(p, t).square_().mean(_FRAME), *_frames(scored))


def absolute_error(scored: Scored) -> Tensor:
    """Mean over C, H, W of |predicted - target|."""
    return _per_frame(lambda p, t: _difference(p, t).abs_().mean(_FRAME), *_frames(scored))


def squared_error_sum(scored: Scored) -> Tensor:
    """Sum over C, H, W of (predicted - target)²."""
    return _per_frame(lambda p, t: _difference(p, t).square_().sum(_FRAME), *_frames(scored))


def absolute_error_sum(scored: Scored) -> Tensor:
    """Sum over C, H, W of |predicted - target|."""
    return _per_frame(lambda p, t: _difference(p, t).abs_().sum(_FRAME), *_frames(scored))


def psnr(scored: Scored) -> Tensor:
    """10 log10(1 / mean squared error of the frame), at most 100 dB."""
    return squared_error(scored).reciprocal_().log10_().mul_(10.0).clamp_(max=PSNR_CAP_DB)


def ssim(scored: Scored) -> Tensor:
    """Mean structural similarity over the windows inside the frame, then over C; see `vpbench_metrics.ssim`."""
    return _ssim(*_frames(scored))


def foreground_intersection(scored: Scored) -> Tensor:
    """Number of values over C, H, W that are foreground in both."""
    return _per_frame(lambda p, t: (torch.minimum(p, t) > FOREGROUND).sum(_FRAME).double(), *_frames(scored))


def foreground_union(scored: Scored) -> Tensor:
    """Number of values over C, H, W that are foreground in either."""
    return _per_frame(lambda p, t: (torch.maximum(p, t) > FOREGROUND).sum(_FRAME).double(), *_frames(scored))


def energy(scored: Scored) -> Tensor:
    """Mean over C, H, W of predicted² + target²."""
    return _per_frame(lambda p, t: (p.double().square_() + t.double().square_()).mean(_FRAME), *_frames(scored))


def energy_weighted_ssim_and_window_energy(scored: Scored) -> tuple[Tensor, Tensor]:
    """Two that are measured at once, see `vpbench_metrics.ssim.foreground_ssim`."""
    return _foreground_ssim(*_frames(scored))


def intensity_predicted(scored: Scored) -> Tensor:
    """Mean over C, H, W of the prediction."""
    predicted, _ = _frames(scored)
    return _per_frame(lambda frames: frames.double().mean(_FRAME), predicted)


def intensity_target(scored: Scored) -> Tensor:
    """Mean over C, H, W of the truth."""
    _, target = _frames(scored)
    return _per_frame(lambda frames: frames.double().mean(_FRAME), target)


def gradient_energy_predicted(scored: Scored) -> Tensor:
    """Mean squared difference of horizontal neighbours plus that of vertical neighbours, of the prediction."""
    predicted, _ = _frames(scored)
    return _per_frame(_gradient_energy, predicted)


def gradient_energy_target(scored: Scored) -> Tensor:
    """Mean squared difference of horizontal neighbours plus that of vertical neighbours, of the truth."""
    _, target = _frames(scored)
    return _per_frame(_gradient_energy, target)


def _difference(predicted: Tensor, target: Tensor) -> Tensor:
    """In float64, a new tensor."""
    return predicted.to(torch.float64, copy=True).sub_(target)


def _gradient_energy(frames: Tensor) -> Tensor:
    if min(frames.shape[-2:]) < 2:
        height, width = frames.shape[-2:]
        raise ValueError(f"sharpness compares neighbours: it needs frames of at least 2x2 pixels, not {height}x{width}")
    frames = frames.double()
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


def _per_frame(measure: Callable[..., Tensor], *frames: Tensor) -> Tensor:
    """`measure` of (n, C, H, W) frames, some at a time, to (n,) float64; of (B, Tt, C, H, W) in all, to (B, Tt)."""
    first = frames[0]
    at_once = _VALUES_AT_ONCE["cpu" if first.device.type == "cpu" else "gpu"]
    count = max(1, at_once // max(1, first.shape[2:].numel()))
    parts = zip(*(batch.flatten(0, 1).split(count) for batch in frames), strict=True)
    return torch.cat([measure(*some) for some in parts]).reshape(first.shape[:2])
