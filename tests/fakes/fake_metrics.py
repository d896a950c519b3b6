"""Metrics of the test plugin."""

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


class NotMakeable(AbsoluteError):
    def __init__(self, config):
        raise ImportError("No module named 'a_library'")
