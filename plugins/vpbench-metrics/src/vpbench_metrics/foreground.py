"""Metrics that a black frame cannot win, for bright things on a dark ground.

Where little of a frame is lit, its mean error and its mean similarity are decided by the ground that every prediction
gets right: on Moving MNIST a black prediction has an SSIM of .72 and a lower MSE than the last frame repeated. These
metrics look at the *foreground*, the union of what the truth shows and what the prediction shows.

The usual way to say so is a mask: values above a threshold in either, dilated by a few pixels, and the mean error
inside. That mean can be had cheaply, because a prediction has a say in the area it is divided by: a grey level just
above the threshold, or a few specks of noise, make the whole frame foreground, where they cost next to nothing. On
Moving MNIST (test clips 0 to 11, threshold .1, dilation 5x5) a frame of grey .11 then has a lower error than the true
digits one pixel aside, .047 and .077, and specks added to a blurred truth divide its error by four. A threshold of .5
leaves all that is fainter uncounted instead.

So the union is soft here: every value belongs to it by its *energy*, predicted² + target². There is no threshold to
stay under or to jump over: what is faint counts for little, as much as it costs, and nothing is free.

As in `vpbench_metrics.metrics`: statistics are per clip and step, their means become the score, and torch is imported
inside `statistics` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .metrics import MetricByName

if TYPE_CHECKING:
    from torch import Tensor

    from vpbench import Scored


class _Ratio(MetricByName):
    """The mean of the first statistic over that of the second; NaN where that is 0."""

    def score(self, means: Mapping[str, np.ndarray]) -> np.ndarray:
        part, whole = (np.asarray(means[name], dtype=np.float64) for name in self.names)
        return np.asarray(part / np.where(whole == 0, np.nan, whole))  # never infinite, and no warning


class ForegroundMSE(_Ratio):
    """Squared error of the clamped prediction per energy of the foreground; no unit, in [0, 1], 0 if all is equal.

    Sum of (predicted - target)² over the sum of predicted² + target², both over C, H, W, clips and steps before the
    division, so a frame weighs as much as there is in it. It is 1 - D with D the Dice coefficient of soft masks
    (Milletari, Navab and Ahmadi 2016). NaN where neither shows anything.

    - 1 is the worst: all that is shown is wrong and all that should be is missing. Black scores exactly 1 on every
      frame that is not black, so no prediction is worse; digits in places where there are none score 1 as well.
    - What is shown on black ground costs all of its energy, so adding it never makes a score below 1 better.
    - Half the contrast scores .2, as an error of .5² per energy of 1 + .5².

    The dilation of the usual mask is left out: all it adds is ground on which neither shows anything.
    """

    names = ("squared_error", "energy")


class ForegroundSSIM(_Ratio):
    """Structural similarity of the foreground of the clamped prediction; no unit, in [0, 1], 1 if all is equal.

    As `SSIM`, but the mean over windows, channels, clips and steps is weighted with the energy of each window: the mean
    of predicted² + target² under its Gaussian. The window is the dilation, so the ground near a digit counts, the more
    the nearer; a window that shows nothing, where black has its similarity of 1, counts nothing. NaN where none does.

    - Black scores close to 0: in any window with something in it, it has neither the brightness nor the structure.
    - A negative similarity, of structure that runs against that of the truth, counts as 0. Otherwise nothing would be
      better than a digit four pixels aside, and black better than the last frame repeated.
    - What is shown on black ground adds windows that are close to 0: faint specks have some similarity to black there,
      but then no weight.

    H and W are at least 11.
    """

    names = ("energy_weighted_ssim", "window_energy")

    def statistics(self, scored: Scored) -> Mapping[str, Tensor]:
        from . import statistics

        return dict(zip(self.names, statistics.energy_weighted_ssim_and_window_energy(scored), strict=True))


class InkMass(_Ratio):
    """Sum of the clamped prediction over the sum of the truth; no unit, from 0 upwards, 1 is as much.

    Both sums are over C, H, W, clips and steps before the division. Below 1 ink has faded or got lost, above 1 it has
    multiplied, wherever it is: place is for the other metrics to judge. A prediction that hedges, a little ink in every
    place where there may be some, keeps a mass of 1; one that gives up fades to 0, which black has. NaN where the truth
    has no ink.
    """

    names = ("intensity_predicted", "intensity_target")
