"""One function per statistic of the named conventions, as `vpbench_metrics.statistics` has them for the default one.

`Scored` in, float64 (B, Tt) out, on the device of the frames. A name says all that differs from the default:
"unclamped" measures the prediction as the model gave it, "truncated" and "rounded" measure 8-bit levels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vpbench import Scored

from .definitions import PSNR_CAP_DB
from .frames import checked, difference, per_frame
from .quantisation import LEVELS, luma, rounded, truncated
from .ssim import ssim
from .ssim_definition import GAUSSIAN_11, Definition, window
from .statistics import squared_error_sum

#: scikit-image's default window and covariance, and the value range it took for float images as long as it was not
#: told: they may lie in [-1, 1]. Later versions refuse float images without a range.
UNIFORM_7_RANGE_2 = Definition((1 / 7,) * 7, value_range=2.0, sample_covariance=True)
#: The same for 8-bit images, whose range it knows.
UNIFORM_7_RANGE_255 = Definition((1 / 7,) * 7, value_range=255.0, sample_covariance=True)
#: pytorch-ignite: a window around every pixel, frames mirrored beyond their edges.
GAUSSIAN_11_REFLECT = Definition(window(), padding="reflect")

#: Values whose prepared copies exist at a time: 16 MiB of float64, enough frames for every thread of the kernel.
_PREPARED_AT_ONCE = 2**20

_FRAME, _PIXELS = (-3, -2, -1), (-2, -1)  # C, H, W; H, W


# ----------------------------------------------------------------------------------------------------- errors of values


def squared_error_unclamped(scored: Scored) -> Tensor:
    """Mean over C, H, W of (raw - target)²."""
    return per_frame(lambda p, t: difference(p, t).square_().mean(_FRAME), *_unclamped(scored))


def squared_error_sum_unclamped(scored: Scored) -> Tensor:
    """Sum over C, H, W of (raw - target)²."""
    return per_frame(lambda p, t: difference(p, t).square_().sum(_FRAME), *_unclamped(scored))


def absolute_error_sum_unclamped(scored: Scored) -> Tensor:
    """Sum over C, H, W of |raw - target|."""
    return per_frame(lambda p, t: difference(p, t).abs_().sum(_FRAME), *_unclamped(scored))


def squared_error_sum_per_channel_unclamped(scored: Scored) -> Tensor:
    """Sum over H, W of (raw - target)², mean over C."""
    return per_frame(lambda p, t: difference(p, t).square_().sum(_PIXELS).mean(-1), *_unclamped(scored))


def absolute_error_sum_per_channel_unclamped(scored: Scored) -> Tensor:
    """Sum over H, W of |raw - target|, mean over C."""
    return per_frame(lambda p, t: difference(p, t).abs_().sum(_PIXELS).mean(-1), *_unclamped(scored))


def squared_error_sum_of_three_channels_unclamped(scored: Scored) -> Tensor:
    """Sum over C, H, W of (raw - target)², grey frames taken as three equal channels."""
    copies = 3 if _colours(scored) == 1 else 1
    return squared_error_sum_unclamped(scored).mul_(copies)


def squared_error_sum_of_sequence(scored: Scored) -> Tensor:
    """Sum over C, H, W of (predicted - target)², clamped; of a clip the sum over its steps is taken."""
    return squared_error_sum(scored)


def psnr_unclamped(scored: Scored) -> Tensor:
    """10 log10(1 / mean over C, H, W of (raw - target)²), at most 100 dB."""
    return _decibels(squared_error_unclamped(scored), peak=1)


# ----------------------------------------------------------------------------------------------- errors of 8-bit levels


def psnr_truncated(scored: Scored) -> Tensor:
    """10 log10(255² / mean squared difference of the truncated levels over C, H, W), at most 100 dB."""
    squared = per_frame(lambda p, t: difference(truncated(p), truncated(t)).square_().mean(_FRAME), *checked(scored))
    return _decibels(squared, peak=LEVELS)


def psnr_truncated_overflow(scored: Scored) -> Tensor:
    """As psnr_truncated, with differences and their squares taken modulo 256, as uint8 arithmetic gives them."""

    def wrapped(predicted: Tensor, target: Tensor) -> Tensor:
        apart = truncated(predicted) - truncated(target)  # uint8: wraps
        return (apart * apart).double().mean(_FRAME)  # and again

    return _decibels(per_frame(wrapped, *checked(scored)), peak=LEVELS)


def squared_error_rounded(scored: Scored) -> Tensor:
    """Mean over C, H, W of the squared difference of the rounded levels, as fractions of 255."""
    return per_frame(
        lambda p, t: difference(rounded(p), rounded(t)).div_(LEVELS).square_().mean(_FRAME), *checked(scored)
    )


# ------------------------------------------------------------------------------------------------ structural similarity


def ssim_uniform7_range2(scored: Scored) -> Tensor:
    """Of the clamped prediction: uniform window 7x7, sample covariance, value range 2; mean over C."""
    return ssim(*checked(scored), UNIFORM_7_RANGE_2)


def ssim_uniform7_range2_first_channel_unclamped(scored: Scored) -> Tensor:
    """Of the raw prediction, its first channel: uniform window 7x7, sample covariance, value range 2."""
    predicted, target = _unclamped(scored)
    return ssim(predicted[:, :, :1], target[:, :, :1], UNIFORM_7_RANGE_2)


def ssim_uniform7_truncated(scored: Scored) -> Tensor:
    """Of truncated levels: uniform window 7x7, sample covariance, value range 255; mean over C."""
    return _ssim_of(lambda frames: truncated(frames).double(), *checked(scored), UNIFORM_7_RANGE_255)


def ssim_gaussian11_reflect_unclamped(scored: Scored) -> Tensor:
    """Of the raw prediction: Gaussian window 11x11 at every pixel, edges mirrored, value range 1; mean over C."""
    return ssim(*_unclamped(scored), GAUSSIAN_11_REFLECT)


def ssim_gaussian11_rounded_luma(scored: Scored) -> Tensor:
    """Of rounded levels turned to grey, as fractions of 255: Gaussian window 11x11, value range 1."""
    return _ssim_of(lambda frames: luma(rounded(frames)).double().div_(LEVELS), *checked(scored), GAUSSIAN_11)


def ssim_gaussian11_halved_unclamped(scored: Scored) -> Tensor:
    """Of (raw + 1) / 2 and (target + 1) / 2, then clamped: Gaussian window 11x11, value range 1; mean over C."""
    _colours(scored)
    return _ssim_of(lambda frames: (frames.double() + 1).div_(2).clamp_(0, 1), *_unclamped(scored), GAUSSIAN_11)


# --------------------------------------------------------------------------------------------------------------- shared


def _unclamped(scored: Scored) -> tuple[Tensor, Tensor]:
    """The prediction before clamping and the truth, checked in the same way."""
    if scored.raw is None:
        raise ValueError("this metric measures the prediction before clamping: give it as Scored.raw")
    return checked(Scored(predicted=scored.raw, target=scored.target))


def _colours(scored: Scored) -> int:
    """Number of channels. Raises ValueError unless it is 1, to be repeated, or 3."""
    channels = scored.target.shape[2]
    if channels not in (1, 3):
        raise ValueError(
            f"this convention takes colour, or grey as three equal channels: 1 or 3 channels, not {channels}"
        )
    return channels


def _decibels(squared_error: Tensor, *, peak: float) -> Tensor:
    return (peak**2 / squared_error).log10_().mul_(10.0).clamp_(max=PSNR_CAP_DB)


def _ssim_of(prepared: Callable[[Tensor], Tensor], predicted: Tensor, target: Tensor, definition: Definition) -> Tensor:
    """Structural similarity of what `prepared` makes of the frames, some clips at a time."""
    clips = max(1, _PREPARED_AT_ONCE // max(1, predicted.shape[1:].numel()))
    parts = zip(predicted.split(clips), target.split(clips), strict=True)
    return torch.cat([ssim(prepared(p), prepared(t), definition) for p, t in parts])
