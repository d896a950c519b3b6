"""The metric classes: which statistics each one takes of a batch, and the score it makes of their means.

Everywhere below, `statistics` takes a batch of float32 frames (B, Tt, C, H, W) in [0, 1] on any one device and gives
float64 (B, Tt), one value per clip and step; `score` takes their means, float64 arrays of any one shape, and works
element by element. Boards call `score` alone, so torch is imported inside `statistics` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from .definitions import PSNR_CAP_DB

if TYPE_CHECKING:
    from torch import Tensor

    from vpbench import Scored


class MetricByName:
    """Takes the statistics it names; each is computed by the function of that name in `vpbench_metrics.statistics`."""

    names: ClassVar[tuple[str, ...]]

    def __init__(self, config: None = None) -> None:
        del config  # a metric with options would be another metric: its numbers could not share a column

    def statistics(self, scored: Scored) -> Mapping[str, Tensor]:
        from . import statistics

        return {name: getattr(statistics, name)(scored) for name in self.names}

    def score(self, means: Mapping[str, np.ndarray]) -> np.ndarray:
        """The mean of the only statistic; metrics with another order of averaging say so."""
        (name,) = self.names
        return np.asarray(means[name], dtype=np.float64)


class MSE(MetricByName):
    """Mean squared error of the clamped prediction per pixel; value range 1, no unit, in [0, 1].

    Mean over C, H, W of a frame, then over clips and steps. Times C·H·W it is the "MSE" of most published tables, up to
    their not clamping (see `MSESum`).
    """

    names = ("squared_error",)


class MAE(MetricByName):
    """Mean absolute error of the clamped prediction per pixel; value range 1, no unit, in [0, 1].

    Mean over C, H, W of a frame, then over clips and steps.
    """

    names = ("absolute_error",)


class MSESum(MetricByName):
    """Squared error of the clamped prediction summed over a frame; value range 1, no unit, in [0, C·H·W].

    Sum over C, H, W of a frame, then mean over clips and steps: the scale of the Moving MNIST tables since PredRNN and
    PhyDNet, which measure the prediction before clamping; models with a sigmoid at the end have the same value in both.
    """

    names = ("squared_error_sum",)


class MAESum(MetricByName):
    """Absolute error of the clamped prediction summed over a frame; value range 1, no unit, in [0, C·H·W].

    Sum over C, H, W of a frame, then mean over clips and steps.
    """

    names = ("absolute_error_sum",)


class PSNR(MetricByName):
    """Peak signal-to-noise ratio per frame, then averaged; dB, peak 1, in [0, 100].

    10 log10(1 / MSE) of each frame, MSE of the clamped prediction over C, H, W, capped at 100 dB; then mean over clips
    and steps. Near-perfect frames dominate the mean, and the cap decides what they count: rank by `PooledPSNR`.
    """

    names = ("psnr",)


class PooledPSNR(MetricByName):
    """Peak signal-to-noise ratio of the mean squared error; dB, peak 1, in [0, 100].

    10 log10(1 / MSE) of the MSE of the clamped prediction averaged over C, H, W, clips and steps (over clips alone for
    the score of one step), capped at 100 dB. Never above the mean of the per-frame values (Jensen).
    """

    names = ("squared_error",)

    def score(self, means: Mapping[str, np.ndarray]) -> np.ndarray:
        mse = np.asarray(means["squared_error"], dtype=np.float64)
        with np.errstate(divide="ignore"):  # perfect: infinity, then the cap
            return np.minimum(10.0 * np.log10(1.0 / mse), PSNR_CAP_DB)


class SSIM(MetricByName):
    """Structural similarity (Wang, Bovik, Sheikh and Simoncelli 2004); no unit, in [-1, 1], 1 only where all is equal.

    Of the clamped prediction and the truth, channel by channel: Gaussian window 11x11 with sigma 1.5, population
    covariance, K1 .01, K2 .03, value range 1; mean over the (H-10)·(W-10) windows that lie wholly inside the frame,
    then over channels, clips and steps. H and W are at least 11.

    Equal to ``skimage.metrics.structural_similarity(..., gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=1.0)`` of float64 images; the paper's index without its downsampling.
    """

    names = ("ssim",)


class IoU(MetricByName):
    """Intersection over union of the foreground, pooled; no unit, in [0, 1].

    Foreground is every value > 0.5 of the clamped prediction or the truth, each channel by itself. Counts per frame are
    averaged over clips and steps, then divided: the sum of all intersections over the sum of all unions, so a frame
    weighs as much as it has ink. NaN where neither prediction nor truth has foreground: nothing was there to be found.
    """

    names = ("foreground_intersection", "foreground_union")

    def score(self, means: Mapping[str, np.ndarray]) -> np.ndarray:
        intersection = np.asarray(means["foreground_intersection"], dtype=np.float64)
        union = np.asarray(means["foreground_union"], dtype=np.float64)
        with np.errstate(invalid="ignore"):  # 0/0 is NaN on purpose
            return np.asarray(intersection / union)


class Sharpness(MetricByName):
    """Strength of edges in the clamped prediction over that in the truth, a ratio; no unit, from 0 upwards, 1 is alike.

    The edge strength of frames is the root of their gradient energy (Subbarao, Choi and Nikzad 1993): the mean squared
    difference of horizontally adjacent pixels plus that of vertically adjacent ones, averaged over channels, clips and
    steps. The score is the strength of the prediction / the strength of the truth.

    - 1 is as sharp as the truth, wherever the edges are: position is for the other metrics to judge.
    - Below 1 is blurred or faded: black scores 0, half the contrast scores .5, and blurring only lowers it.
    - Above 1 is noisier or sharper than the truth, and more is not better: noise scores highest of all. "Higher is
      better" holds up to 1 only, so read the distance from 1; boards never rank by this metric by default.
    - NaN where the truth has no edge.

    The ratio is not folded at 1 (r and 1/r alike), which would rank: the fold has its peak where a good model is, and
    no bootstrap interval of it would reach 1.

    Squared differences, because the sum of absolute ones (total variation) does not change at all when a straight edge
    is blurred; first differences rather than the Laplacian, which answers white noise of variance s² with 20 s² where
    these give 4 s².
    """

    names = ("gradient_energy_predicted", "gradient_energy_target")

    def score(self, means: Mapping[str, np.ndarray]) -> np.ndarray:
        predicted = np.asarray(means["gradient_energy_predicted"], dtype=np.float64)
        target = np.asarray(means["gradient_energy_target"], dtype=np.float64)
        return np.asarray(np.sqrt(predicted / np.where(target == 0, np.nan, target)))  # never infinite
