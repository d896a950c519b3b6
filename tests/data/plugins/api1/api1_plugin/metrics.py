from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ErrorConfig:
    scale: float = 1.0


class Error:
    def __init__(self, config):
        self.scale = config.scale

    def statistics(self, scored):
        return {"squared": (scored.predicted - scored.target).square().mean(dim=(2, 3, 4))}

    def score(self, means):
        return self.scale * np.sqrt(means["squared"])

    def why_not(self):
        return "needs a scale that is not 0" if self.scale == 0 else ""


class BeyondRange:
    def __init__(self, config):
        pass

    def statistics(self, scored):
        import torch

        assert scored.context is not None
        truth = torch.from_numpy(scored.truth["brightness"]).to(scored.target)
        return {
            "beyond": (scored.raw - scored.predicted).abs().mean(dim=(2, 3, 4)),
            "disagreement": (scored.target.mean(dim=(2, 3, 4)) - truth).abs(),
        }

    def score(self, means):
        return means["beyond"] + means["disagreement"]


class MeanDistance:
    def __init__(self, config):
        pass

    def features(self, frames):
        return frames.mean(dim=(2, 3, 4))

    def distance(self, predicted, target):
        return float(abs(predicted.mean() - target.mean()))
