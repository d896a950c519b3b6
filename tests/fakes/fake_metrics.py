"""Metrics of the test plugin."""

from dataclasses import dataclass

import numpy as np


class AbsoluteError:
    def __init__(self, config):
        pass

    def statistics(self, scored):
        return {"absolute": (scored.predicted - scored.target).abs().mean(dim=(2, 3, 4))}

    def score(self, means):
        return means["absolute"]


class InfiniteScore(AbsoluteError):
    def score(self, means):
        return means["absolute"] + np.inf


class WrongShape(AbsoluteError):
    def statistics(self, scored):
        return {"absolute": super().statistics(scored)["absolute"][:, :1]}


class Raising(AbsoluteError):
    def statistics(self, scored):
        raise ZeroDivisionError("division by zero\nin the metric")


class FailsLater(AbsoluteError):
    """Well with full batches, and not with the last one of three clips in twos."""

    def statistics(self, scored):
        if len(scored.target) == 1:
            raise ValueError("one clip is no batch")
        return super().statistics(scored)


class NotMakeable(AbsoluteError):
    def __init__(self, config):
        raise ImportError("No module named 'a_library'")


class Summed(AbsoluteError):
    def statistics(self, scored):
        return {"absolute_sum": super().statistics(scored)["absolute"]}

    def score(self, means):
        return means["absolute_sum"]


@dataclass(frozen=True)
class BrightnessConfig:
    scale: float = 0.0  #: 0: not given


class BrightnessDistance:
    """A set metric: |mean of the brightness of the predicted stretches - that of the true ones|."""

    def __init__(self, config):
        self.scale = config.scale

    def why_not(self):
        return "" if self.scale else "needs a scale: --set brightness-distance.scale=NUMBER"

    def features(self, frames):
        assert frames.shape[1] == 2
        return frames.mean(dim=(1, 2, 3, 4))[:, None]

    def distance(self, predicted, target):
        return self.scale * abs(predicted.mean() - target.mean())
