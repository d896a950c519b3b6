"""The digit metrics of Moving MNIST, which a black frame cannot win. Boards call `score` alone, so no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from vpbench import Scored


class _FoundDigits:
    """Both metrics of the found digits name both statistics: the digits are then looked for once."""

    def __init__(self, config: None = None) -> None:
        del config  # a metric with options would be another metric

    def statistics(self, scored: Scored) -> Mapping[str, Tensor]:
        from .digit_statistics import places_and_identities

        return places_and_identities(scored)


class DigitPositionError(_FoundDigits):
    """How far the digits of the prediction are from where they should be; px, 0 is perfect.

    The true glyphs are looked for in the predicted frame (see `digit_places`), the places found are paired with the
    true ones, truncated to whole pixels as they are drawn, by the Hungarian method; mean distance over digits, steps
    and clips. It asks where the digits are, not how bright or sharp: a digit faded to a tenth but in place scores 0.

    A digit of which nothing is to be seen has the error of one put down at random, its mean distance to all places on
    the canvas: so to draw nothing is as bad as to draw digits without looking, and black gains nothing. It is not the
    worst there is: digits in the corners furthest off are. Where all places look alike the centre is taken.
    """

    def score(self, means: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.asarray(means["digit_position_error"], dtype=np.float64)


class DigitIdentity(_FoundDigits):
    """Share of the digits that can still be read where they were found; no unit, in [0, 1], chance is about 0.1.

    The network of `digit_network` reads the window of a glyph's size at each place that was found, and is to say the
    class of the true digit that this place was paired with. A digit of which nothing is to be seen is wrong, so black
    scores 0. The truth does not score 1: where digits overlap, its windows cannot all be read either.
    """

    def score(self, means: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.asarray(means["digit_identity"], dtype=np.float64)


class DigitFeatureDistance:
    """Difference of the whole frames in the features of a network that reads digits; no unit, from 0 upwards.

    Of the form of LPIPS (Zhang, Isola, Efros, Shechtman and Wang 2018): squared difference of the feature vectors of
    every layer, brought to unit length. But the network is ours, small, and knows nothing but digits, its layers not
    weighted by human judgements, and the difference is relative to what features there are: black has 1, and little has
    more. It is neither LPIPS nor FVD, and comparable to neither.
    """

    def __init__(self, config: None = None) -> None:
        del config

    def statistics(self, scored: Scored) -> Mapping[str, Tensor]:
        from .digit_statistics import digit_feature_distance

        return {"digit_feature_distance": digit_feature_distance(scored)}

    def score(self, means: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.asarray(means["digit_feature_distance"], dtype=np.float64)
