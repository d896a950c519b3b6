"""Metrics for the conformance kit: good ones, and of every rule some that break it and no other."""

from __future__ import annotations

import numpy as np


class Error:
    """Mean absolute error of the clamped prediction."""

    def __init__(self, config):
        pass

    def errors(self, scored):
        return (scored.predicted - scored.target).abs().mean(dim=(2, 3, 4)).double()

    def statistics(self, scored):
        return {"error": self.errors(scored)}

    def score(self, means):
        return means["error"]


class Overlap:
    """Share of the light that the prediction and the truth have in common: higher is better, two statistics."""

    def __init__(self, config):
        pass

    def statistics(self, scored):
        import torch

        common = torch.minimum(scored.predicted, scored.target).sum(dim=(2, 3, 4))
        return {"common": common, "light": (scored.predicted + scored.target).sum(dim=(2, 3, 4)) / 2}

    def score(self, means):
        return np.asarray(means["common"] / np.where(means["light"] == 0, np.nan, means["light"]))


class Brightness:
    """Brightness of the prediction over that of the truth: 1 is ideal."""

    def __init__(self, config):
        pass

    def statistics(self, scored):
        return {"predicted": scored.predicted.mean(dim=(2, 3, 4)), "target": scored.target.mean(dim=(2, 3, 4))}

    def score(self, means):
        return np.asarray(means["predicted"] / means["target"])


class Offset:
    """How far the brightness of the prediction is from what the dataset says it is."""

    def __init__(self, config):
        pass

    def statistics(self, scored):
        import torch

        said = torch.from_numpy(scored.truth["brightness"]) / 255
        return {"offset": (scored.predicted.double().mean(dim=(2, 3, 4)) - said).abs()}

    def score(self, means):
        return means["offset"]


class Spread:
    """A distance between sets: of the means and standard deviations of two features of stretches of 2 frames."""

    def __init__(self, config):
        pass

    def features(self, frames):
        import torch

        return torch.stack([frames.mean(dim=(1, 2, 3, 4)), frames.std(dim=(1, 2, 3, 4))], dim=1)

    def distance(self, predicted, target):
        if len(predicted) < 3:
            return float("nan")
        means = np.abs(predicted.mean(axis=0) - target.mean(axis=0)).sum()
        return float(means + np.abs(predicted.std(axis=0) - target.std(axis=0)).sum())


# --------------------------------------------------------------------------------------------------------- wrong ones


class NoReason(Error):
    def why_not(self):
        return None


class FailsWithoutItsFile(Error):
    def why_not(self):
        return "needs a file: --set error.file=FILE"

    def score(self, means):
        raise FileNotFoundError("the file")


class OtherNames(Error):
    def statistics(self, scored):
        return {"mistake": self.errors(scored)}


class MoreNames(Error):
    def statistics(self, scored):
        return {"error": self.errors(scored), "mistake": self.errors(scored)}


class OfClips(Error):
    def errors(self, scored):
        return super().errors(scored).mean(dim=1)


class WholeNumbers(Error):
    def errors(self, scored):
        return (super().errors(scored) * 1000).long()


class Infinite(Error):
    def errors(self, scored):
        return super().errors(scored) + float("inf")


class Flat(Spread):
    def features(self, frames):
        return super().features(frames)[:, 0]


class Missing(Spread):
    def features(self, frames):
        return super().features(frames) * float("nan")


class Jitters(Error):
    def errors(self, scored):
        import torch

        found = super().errors(scored)
        return found + 1e-9 * torch.rand(found.shape, dtype=found.dtype)


class TimesTheBatch(Error):
    def errors(self, scored):
        return super().errors(scored) * len(scored.target)


class FirstOfTheBatch(Spread):
    def features(self, frames):
        found = super().features(frames)
        return found - found[:1] * 0.1


class CountsItsBatches(Error):
    batches = 0

    def statistics(self, scored):
        self.batches += 1
        return super().statistics(scored)

    def score(self, means):
        return means["error"] * (1 + 0.1 * self.batches)


class WorksInPlace(Error):
    def errors(self, scored):
        return scored.predicted.sub_(scored.target).abs().mean(dim=(2, 3, 4)).double()


class ForgetsTheContext(Error):
    def errors(self, scored):
        found = super().errors(scored)
        scored.context.frames.zero_()
        return found


class UsesRaw(Error):
    def errors(self, scored):
        return (scored.raw - scored.target).abs().mean(dim=(2, 3, 4)).double()


class UsesRawIfItIsThere(Error):
    def errors(self, scored):
        return UsesRaw.errors(self, scored) if scored.raw is not None else super().errors(scored)


class UsesContext(Error):
    def errors(self, scored):
        return super().errors(scored) * (2 - scored.context.frames.mean(dim=(1, 2, 3, 4)))[:, None]


class UsesOtherTruth(Offset):
    def statistics(self, scored):
        import torch

        found = super().statistics(scored)["offset"]
        return {"offset": found * (1 + torch.from_numpy(scored.truth["first"])[:, None] / 255)}


class NeedsNinePixels(Error):
    def errors(self, scored):
        from torch.nn.functional import avg_pool3d

        return avg_pool3d((scored.predicted - scored.target).abs(), (1, 9, 9)).mean(dim=(2, 3, 4)).double()


class NeedsGrey(Error):
    def errors(self, scored):
        if scored.target.shape[2] != 1:
            raise ValueError("grey frames only")
        return super().errors(scored)


class NeedsSquares(Error):
    """Sides of one pixel, and equal ones, hide that height is taken for width."""

    def errors(self, scored):
        found = (scored.predicted - scored.target).abs()
        return ((found + found.transpose(-1, -2)) / 2).mean(dim=(2, 3, 4)).double()


class LikesItDim(Error):
    def errors(self, scored):
        return (scored.predicted - 0.8 * scored.target).abs().mean(dim=(2, 3, 4)).double()


class TwiceTheBrightness(Brightness):
    def score(self, means):
        return 2 * super().score(means)


class LikesNoise(Error):
    def score(self, means):
        return np.where(means["error"] == 0, 0.0, 1.0 - means["error"])


class TellsNothing(Error):
    def score(self, means):
        return means["error"] * 0


class TimesTheirNumber(Error):
    def score(self, means):
        return means["error"] * means["error"].size


class NothingIsPerfect(Error):
    def score(self, means):
        return np.nan_to_num(means["error"])


class ScoresWithTorch(Error):
    def score(self, means):
        import torch

        return torch.from_numpy(means["error"]).numpy()


class TwiceTheError(Error):
    def errors(self, scored):
        return 2 * super().errors(scored)


class Paired(Spread):
    def distance(self, predicted, target):
        return float(np.abs(predicted - target).sum(axis=1).mean())


class NeedsThree(Spread):
    def distance(self, predicted, target):
        if len(predicted) < 3:
            raise ValueError("too few")
        return super().distance(predicted, target)


class InfinitelyFar(Spread):
    def distance(self, predicted, target):
        return super().distance(predicted, target) if len(predicted) >= 3 else float("inf")
