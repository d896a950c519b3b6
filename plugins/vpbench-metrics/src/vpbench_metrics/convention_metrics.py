"""The metric classes of the named conventions, each by what it measures: several code bases share some of them.

As in `vpbench_metrics.metrics`: `statistics` takes a batch of frames and gives float64 (B, Tt), `score` takes means of
them; torch is imported inside `statistics` only. Where a convention measures what the default does, its spec names the
class of the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .definitions import PSNR_CAP_DB
from .metrics import MetricByName

if TYPE_CHECKING:
    from torch import Tensor

    from vpbench import Scored


class _Conventional(MetricByName):
    """Takes the statistics it names, each computed by the function of that name in `convention_statistics`."""

    def statistics(self, scored: Scored) -> Mapping[str, Tensor]:
        from . import convention_statistics

        return {name: getattr(convention_statistics, name)(scored) for name in self.names}


class UnclampedMSE(_Conventional):
    """Mean squared error of the unclamped prediction per pixel; value range 1, no unit, from 0 upwards."""

    names = ("squared_error_unclamped",)


class UnclampedMSESum(_Conventional):
    """Squared error of the unclamped prediction summed over a frame; value range 1, no unit, from 0 upwards."""

    names = ("squared_error_sum_unclamped",)


class UnclampedMAESum(_Conventional):
    """Absolute error of the unclamped prediction summed over a frame; value range 1, no unit, from 0 upwards."""

    names = ("absolute_error_sum_unclamped",)


class UnclampedRMSESum(_Conventional):
    """Root of the mean of the squared errors that `UnclampedMSESum` sums over a frame; no unit, from 0 upwards.

    One root, of the mean over all clips and steps: not a mean of roots.
    """

    names = ("squared_error_sum_unclamped",)

    def score(self, means: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.sqrt(super().score(means))


class UnclampedMSEPerChannel(_Conventional):
    """Squared error of the unclamped prediction summed over the pixels of a channel; no unit, from 0 upwards."""

    names = ("squared_error_sum_per_channel_unclamped",)


class UnclampedMAEPerChannel(_Conventional):
    """Absolute error of the unclamped prediction summed over the pixels of a channel; no unit, from 0 upwards."""

    names = ("absolute_error_sum_per_channel_unclamped",)


class UnclampedMSESumOfThreeChannels(_Conventional):
    """Squared error of the unclamped prediction summed over a frame of three channels; no unit, from 0 upwards.

    A grey frame counts as three equal channels, and so three times. Frames have 1 or 3 channels.
    """

    names = ("squared_error_sum_of_three_channels_unclamped",)


class UnclampedPSNR(_Conventional):
    """Peak signal-to-noise ratio of each frame of the unclamped prediction, then averaged; dB, peak 1, at most 100."""

    names = ("psnr_unclamped",)


class SequenceMSESum(_Conventional):
    """Squared error of the clamped prediction summed over all predicted frames of a clip; no unit, from 0 upwards.

    Its spec says that steps add up. The statistic has a name of its own, as a record holds one value per clip of each.
    """

    names = ("squared_error_sum_of_sequence",)


class TruncatedPSNR(_Conventional):
    """Peak signal-to-noise ratio of each frame in 8-bit levels, rounded down, then averaged; dB, peak 255, to 100."""

    names = ("psnr_truncated",)


class OverflowPSNR(_Conventional):
    """What uint8 arithmetic makes of the PSNR of each frame: a warning, no measure; dB, in [24.16, 100].

    Differences of levels and their squares are taken modulo 256, so that an error of 16 levels counts as none and one
    of 255 as one of 1. No square exceeds 249: whatever is predicted scores at least 10 log10(255² / 249) = 24.17 dB.
    """

    names = ("psnr_truncated_overflow",)


class RoundedMSE(_Conventional):
    """Mean squared error per pixel of frames rounded to 8 bits; value range 1, no unit, in [0, 1]."""

    names = ("squared_error_rounded",)


class RoundedPooledPSNR(_Conventional):
    """Peak signal-to-noise ratio of the mean squared error of frames rounded to 8 bits; dB, peak 1, in [0, 100]."""

    names = ("squared_error_rounded",)

    def score(self, means: Mapping[str, np.ndarray]) -> np.ndarray:
        with np.errstate(divide="ignore"):  # perfect: infinity, then the cap
            return np.minimum(10.0 * np.log10(1.0 / super().score(means)), PSNR_CAP_DB)


class SSIMUniform7Range2(_Conventional):
    """Structural similarity, uniform window 7x7, sample covariance, value range 2; no unit, in [-1, 1].

    Of the clamped prediction and the truth, mean over the windows inside the frame and over channels. Equal to
    ``skimage.metrics.structural_similarity(..., win_size=7, data_range=2.0)`` of float64 images.
    """

    names = ("ssim_uniform7_range2",)


class UnclampedSSIMUniform7Range2(_Conventional):
    """As `SSIMUniform7Range2`, of the first channel of the unclamped prediction; no unit, at most 1."""

    names = ("ssim_uniform7_range2_first_channel_unclamped",)


class TruncatedSSIM(_Conventional):
    """Structural similarity of 8-bit levels, rounded down: uniform window 7x7, sample covariance, value range 255.

    No unit, in [-1, 1]. Equal to ``skimage.metrics.structural_similarity`` of uint8 images with nothing else said.
    """

    names = ("ssim_uniform7_truncated",)


class RoundedLumaSSIM(_Conventional):
    """Structural similarity of grey images rounded to 8 bits: Gaussian window 11x11; no unit, in [-1, 1].

    Frames have 1 or 3 channels. Equal to ``skimage.metrics.structural_similarity(..., gaussian_weights=True,
    use_sample_covariance=False, data_range=255)`` of uint8 images.
    """

    names = ("ssim_gaussian11_rounded_luma",)


class UnclampedReflectSSIM(_Conventional):
    """Structural similarity of the unclamped prediction, Gaussian window 11x11 at every pixel; no unit, at most 1.

    Frames are mirrored beyond their edges, so windows there see the border twice. Equal to ``ignite.metrics.SSIM`` with
    data_range=1.0.
    """

    names = ("ssim_gaussian11_reflect_unclamped",)


class HalvedSSIM(_Conventional):
    """Structural similarity of (frame + 1) / 2 clamped to [0, 1], Gaussian window 11x11; no unit, in [-1, 1].

    Meant for frames in [-1, 1]; those in [0, 1] lose half their contrast. Frames have 1 or 3 channels.
    """

    names = ("ssim_gaussian11_halved_unclamped",)
