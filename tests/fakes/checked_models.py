"""Models for the rules of the kit: some that hold them all, and of every rule one that breaks it and no other."""

import dataclasses
import math
import random
import sys
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

import vpbench
from vpbench.errors import ModelFailed

EVERYTHING = frozenset(
    {"fractional", "before-context-end", "irregular-context", "any-context-length", "samples", "swap"}
)


def spec(**changes):
    fields = {
        "name": "checked",
        "factory": "checked:Model",
        "summary": "For tests",
        "version": "1",
        "prefix_stable": True,
        "capabilities": EVERYTHING,
    }
    return vpbench.ModelSpec(**{**fields, **changes})


# ------------------------------------------------------------------------------------------------------ without weights


@dataclass(frozen=True)
class FadingConfig:
    rate: float = 0.1  #: per frame


class Fading:
    """The mean of the context frames that are there, fading with time; noise of the clip's seed on it."""

    spec = spec()
    Config = FadingConfig

    def __init__(self, config, *, frame_shape, context_length):
        self.config = config

    def brightness(self, context, target_times):
        return (-self.config.rate * (target_times - context.times[:, -1:]).abs()).exp().float()

    def looks(self, context):
        frames = context.frames
        there = torch.ones(frames.shape[:2]) if context.observed is None else context.observed.float()
        return (frames * there[:, :, None, None, None]).sum(dim=1) / there.sum(dim=1)[:, None, None, None]

    def predict(self, context, target_times):
        grain = [
            torch.rand(context.frames.shape[2:], generator=torch.Generator().manual_seed(int(seed)))
            for seed in context.seeds
        ]
        frames = 0.5 * self.looks(context) + 0.1 * torch.stack(grain)
        return frames[:, None] * self.brightness(context, target_times)[:, :, None, None, None]

    def sample(self, context, target_times, *, n):
        other = [dataclasses.replace(context, seeds=context.seeds // (k + 1)) for k in range(n)]
        return torch.stack([self.predict(each, target_times) for each in other])

    def swap(self, dynamics, appearance, target_times):
        both = dataclasses.replace(dynamics, frames=appearance.frames, observed=appearance.observed)
        return self.predict(both, target_times)

    def stats(self):
        return {"calls": 1}


class WithNaNDefault(Fading):
    @dataclass(frozen=True)
    class Config:
        rate: float = 0.1
        scale: float = math.nan


class WithBadDefault(Fading):
    @dataclass(frozen=True)
    class Config:
        rate: float = -1.0

        def __post_init__(self):
            if self.rate < 0:
                raise ValueError(f"rate must not be negative, got {self.rate}")


class CannotBeMade(Fading):
    def __init__(self, config, *, frame_shape, context_length):
        raise TypeError("a layer\nof the wrong size")


class ExitsWhenMade(Fading):
    def __init__(self, config, *, frame_shape, context_length):
        sys.exit("usage: train.py")


class CannotSample(Fading):
    sample = None


class CannotSwap(Fading):
    spec = spec(capabilities=EVERYTHING - {"samples"})
    swap = None


class TalksInStats(Fading):
    def stats(self):
        return {"calls": "many"}


class ListsStats(Fading):
    def stats(self):
        return [1, 2]


class RaisesInStats(Fading):
    def stats(self):
        raise RuntimeError("not yet")


class RaisesInPredict(Fading):
    def predict(self, context, target_times):
        raise ValueError("first line\nsecond line")


class ExitsInPredict(Fading):
    def predict(self, context, target_times):
        sys.exit(3)


class HasNoAnswer(Fading):
    def predict(self, context, target_times):
        raise ModelFailed("step size underflow at t=1.3")


class GivesNumpy(Fading):
    def predict(self, context, target_times):
        return super().predict(context, target_times).numpy()


class GivesNothing(Fading):
    def predict(self, context, target_times):
        super().predict(context, target_times)


class TimeFirst(Fading):
    def predict(self, context, target_times):
        return super().predict(context, target_times).transpose(0, 1)


class OneTooMany(Fading):
    def predict(self, context, target_times):
        answer = super().predict(context, target_times)
        return torch.cat([answer, answer[:, -1:]], dim=1)


class GivesBytes(Fading):
    def predict(self, context, target_times):
        return (255 * super().predict(context, target_times)).to(torch.uint8)


class GivesNaN(Fading):
    def predict(self, context, target_times):
        answer = super().predict(context, target_times)
        answer[-1, -1, 0, 3, 3] = math.nan
        return answer


class From0To255(Fading):
    def predict(self, context, target_times):
        return 255 * super().predict(context, target_times)


class WritesOnFrames(Fading):
    def predict(self, context, target_times):
        answer = super().predict(context, target_times)
        context.frames.mul_(0.5)
        return answer


class ShiftsTimes(Fading):
    def predict(self, context, target_times):
        answer = super().predict(context, target_times)
        target_times -= context.times[:, -1:]
        return answer


class GivesAViewOfItsInput(Fading):
    def predict(self, context, target_times):
        return context.frames[:, -1:].expand(-1, target_times.shape[1], -1, -1, -1)


class KeepsItsAnswer(Fading):
    memory = None

    def predict(self, context, target_times):
        answer = super().predict(context, target_times)
        if self.memory is None or self.memory.shape != answer.shape:
            self.memory = torch.empty_like(answer)
        return self.memory.copy_(answer)


class KeepsItsAnswerInAList(Fading):
    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.memory = []

    def predict(self, context, target_times):
        answer = super().predict(context, target_times)
        if not self.memory or self.memory[0].shape != answer.shape:
            self.memory = [answer]
        return self.memory[0].copy_(answer)


class GivesItsOwnMean(Fading):
    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.mean = torch.full(frame_shape, 0.25)

    def predict(self, context, target_times):
        return self.mean.expand(*target_times.shape, *self.mean.shape)


class CarriesAGraph(nn.Module):
    spec = spec(capabilities=EVERYTHING - {"samples", "swap"})

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5))

    def predict(self, context, target_times):
        with torch.inference_mode(False), torch.enable_grad():
            frame = context.frames.clone()[:, -1:] * self.scale
            return frame.repeat(1, target_times.shape[1], 1, 1, 1)


class FitsAtTest(nn.Module):
    """Takes a gradient step on what it sees before it predicts, as it says."""

    spec = spec(fits_at_test=True, capabilities=EVERYTHING - {"samples", "swap"})

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5))

    def predict(self, context, target_times):
        last = context.frames[:, -1:]
        scales = []
        for clip in context.frames:
            scale = self.scale.detach().clone().requires_grad_()
            (gradient,) = torch.autograd.grad((scale * clip - clip).square().mean(), scale)
            scales.append((scale - gradient).detach())
        return (last * torch.stack(scales)[:, None, None, None, None]).repeat(1, target_times.shape[1], 1, 1, 1)


class FitsAtTestUnsaid(FitsAtTest):
    spec = spec(capabilities=EVERYTHING - {"samples", "swap"})


class HidesAPart(Fading):
    """Its convolution is in an array of objects, where the harness does not find it."""

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.parts = np.empty(1, dtype=object)
        self.parts[0] = nn.Conv2d(frame_shape[0], frame_shape[0], 3, padding=1)

    def looks(self, context):
        return self.parts[0](super().looks(context)).sigmoid()


class WrapsAsItGoes(Fading):
    """As solvers do: a module that is made in the call, and that no mode means anything to."""

    def looks(self, context):
        class Wrapper(nn.Module):
            def forward(self, frames):
                return 0.9 * frames

        return Wrapper()(super().looks(context))


class TrainsOn(nn.Module):
    """Puts itself back into train mode, though nothing of it cares."""

    spec = spec(capabilities=EVERYTHING - {"samples", "swap"})

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()
        self.part = nn.Conv2d(frame_shape[0], frame_shape[0], 1)

    def predict(self, context, target_times):
        frames = self.part(context.frames[:, -1]).sigmoid()
        self.train()
        return frames[:, None].repeat(1, target_times.shape[1], 1, 1, 1)


class ForgetsInTrainMode(nn.Module):
    """What it needs for predicting is lost once it was in train mode."""

    spec = spec(capabilities=EVERYTHING - {"samples", "swap"})
    scale = 0.5

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()

    def train(self, mode=True):
        self.scale = 0.4 if mode else self.scale
        return super().train(mode)

    def predict(self, context, target_times):
        return self.scale * context.frames[:, -1:].repeat(1, target_times.shape[1], 1, 1, 1)


class Draws(Fading):
    """Random numbers that are not those of the seeds."""

    def predict(self, context, target_times):
        return super().predict(context, target_times) + 0.01 * torch.rand(())


class Counts(Fading):
    asked = 0

    def predict(self, context, target_times):
        self.asked += 1
        return super().predict(context, target_times) / self.asked


class LooksAtTheClock(Fading):
    """Seeded by the quarter of an hour in which it is asked."""

    def predict(self, context, target_times):
        generator = torch.Generator().manual_seed(int(time.time()) // 1000)
        return super().predict(context, target_times) * (0.9 + 0.1 * torch.rand((), generator=generator))


class SeededByTheClock(Fading):
    """Untrained weights of the quarter of an hour in which it is made."""

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.scale = random.Random(int(time.time()) // 1000).random()

    def looks(self, context):
        return self.scale * super().looks(context)


class DropsOut(nn.Module):
    """Dropout of the functional kind, which is on in any mode."""

    spec = spec(capabilities=frozenset(), prefix_stable=False)

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()
        self.kept = nn.Parameter(torch.ones(()))

    def predict(self, context, target_times):
        frames = nn.functional.dropout(context.frames[:, -1:] * self.kept, 0.1)
        return frames.expand(-1, target_times.shape[1], -1, -1, -1).clone()


class RemembersOthers(Fading):
    """What it is asked first, a clip at a time, is mixed into what it is asked next."""

    last = None

    def predict(self, context, target_times):
        answer = super().predict(context, target_times)
        before, self.last = self.last, answer.clone()
        return answer if before is None or before.shape != answer.shape else 0.9 * answer + 0.1 * before


class DrawsWithNumpy(Fading):
    """Untrained weights that do not come from torch's generator."""

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.scale = float(np.random.rand())

    def looks(self, context):
        return self.scale * super().looks(context)


class SqueezesTheBatch(Fading):
    """Fails where there is one clip."""

    def predict(self, context, target_times):
        seeds = context.seeds.squeeze()
        if seeds.ndim != 1:
            raise IndexError("too many indices for tensor of dimension 0")
        return super().predict(context, target_times)


class ComparesWithTheBatch(Fading):
    """Normalised by the batch, as batch norm in train mode is."""

    def looks(self, context):
        looks = super().looks(context)
        return looks / looks.amax().clamp(min=0.1)


class LooksAtItsPlace(Fading):
    """The first clip of a batch is brighter."""

    def looks(self, context):
        looks = super().looks(context)
        place = torch.arange(len(looks)) / len(looks)
        return looks * (1 - 0.2 * place[:, None, None, None])


class SharesTimes(Fading):
    """Takes the times of the first clip for those of all."""

    def brightness(self, context, target_times):
        first = dataclasses.replace(context, times=context.times[:1].expand_as(context.times))
        return super().brightness(first, target_times[:1].expand_as(target_times))


class DependsOnTheHorizon(Fading):
    def brightness(self, context, target_times):
        last = (target_times[:, -1:] - context.times[:, -1:]).abs().float()
        return super().brightness(context, target_times) * (1 - 0.01 * last)


class DependsOnTheQuery(Fading):
    """Steps from one time that is asked for to the next, so that more of them are another answer."""

    def brightness(self, context, target_times):
        steps = target_times.diff(dim=1, prepend=context.times[:, -1:]).abs()
        return (1 - 0.05 * steps).cumprod(dim=1).float()


class OnTheGridOnly(Fading):
    spec = spec(capabilities=EVERYTHING - {"irregular-context"})

    def brightness(self, context, target_times):
        if (target_times != target_times.round()).any():
            raise ValueError("times must be whole")
        return super().brightness(context, target_times)


class NothingBefore(Fading):
    def brightness(self, context, target_times):
        if (target_times <= context.times[:, -1:]).any():
            raise ValueError("negative time")
        return super().brightness(context, target_times)


class NeedsAGrid(Fading):
    def brightness(self, context, target_times):
        if not torch.equal(context.times.diff(dim=1), torch.ones_like(context.times[:, 1:])):
            raise ValueError("frames one period apart are needed")
        return super().brightness(context, target_times)


class NeedsItsContext(Fading):
    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.weights = torch.full((context_length,), 1 / context_length)

    def looks(self, context):
        there = 1 if context.observed is None else context.observed.float()
        return torch.einsum("btchw,bt->bchw", context.frames, there * self.weights.expand(context.frames.shape[:2]))


class CannotMiss(Fading):
    def looks(self, context):
        if context.observed is not None and not context.observed.all():
            raise NotImplementedError("missing frames")
        return super().looks(context)


class CannotTellMissing(Fading):
    def looks(self, context):
        looks = super().looks(context)
        return looks if context.observed is None else 0.9 * looks


class SaysItCannotMiss(Fading):
    def looks(self, context):
        if context.observed is not None:
            raise ModelFailed("it needs every context frame")
        return super().looks(context)


class LooksUpTheStack(Fading):
    """Finds the targets in the frames of the harness that calls it."""

    def predict(self, context, target_times):
        answer = super().predict(context, target_times)
        frame = sys._getframe()
        while frame := frame.f_back:
            for there in list(frame.f_locals.values()):
                target = getattr(there, "target", None)
                if isinstance(target, torch.Tensor) and target.shape == answer.shape:
                    return target.clone()
        return answer


class GreyOnly(Fading):
    def predict(self, context, target_times):
        return super().predict(context, target_times)[:, :, :1]


class CannotBeMadeInColour(Fading):
    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        if frame_shape[0] != 1:
            raise ValueError(f"{frame_shape[0]} channels")


class SamplesAnyHow(Fading):
    def sample(self, context, target_times, *, n):
        return super().sample(context, target_times, n=n) + 0.01 * torch.rand(())


class SamplesTheBatch(Fading):
    def sample(self, context, target_times, *, n):
        together = dataclasses.replace(context, seeds=context.seeds[:1].expand_as(context.seeds))
        return super().sample(together, target_times, n=n)


class SamplesInTheSecondPlace(Fading):
    def sample(self, context, target_times, *, n):
        return super().sample(context, target_times, n=n).transpose(0, 1)


class SwapsOneFrame(Fading):
    def swap(self, dynamics, appearance, target_times):
        return super().swap(dynamics, appearance, target_times)[:, :1]


class SwapsBrighter(Fading):
    def swap(self, dynamics, appearance, target_times):
        return super().swap(dynamics, appearance, target_times) * 1.01


class SwapsByLot(Fading):
    def swap(self, dynamics, appearance, target_times):
        found = super().swap(dynamics, appearance, target_times)
        with_itself = torch.equal(dynamics.frames, appearance.frames)
        return found if with_itself else found * (1 - torch.rand(()) / 10)


class SwapsWithTheBatch(Fading):
    def swap(self, dynamics, appearance, target_times):
        found = super().swap(dynamics, appearance, target_times)
        with_itself = torch.equal(dynamics.frames, appearance.frames)
        return found if with_itself else 0.9 * found + 0.1 * found.mean(dim=0)


class SwapsAwayWhatItIsShown(Fading):
    def swap(self, dynamics, appearance, target_times):
        found = super().swap(dynamics, appearance, target_times)
        appearance.frames.zero_()
        return found


class SwapsTimes(Fading):
    def swap(self, dynamics, appearance, target_times):
        found = super().swap(dynamics, appearance, target_times)
        dynamics.times.add_(1)
        return found


class Coded(Fading):
    """With codes: the looks of the clip, and how bright it is at each time."""

    def codes(self, context, target_times):
        return {
            "appearance": self.looks(context).flatten(1),
            "dynamics": self.brightness(context, target_times)[:, :, None],
        }


class CodesWithoutNames(Coded):
    def codes(self, context, target_times):
        return self.looks(context).flatten(1)


class CodesAsTheyAre(Coded):
    def codes(self, context, target_times):
        return {"appearance": self.looks(context)}


class CodesThatRanAway(Coded):
    def codes(self, context, target_times):
        return {"dynamics": 1 / (target_times - target_times[:, :1])[:, :, None]}


class CodesOfAllTimes(Coded):
    def codes(self, context, target_times):
        return {"dynamics": self.brightness(context, target_times)}


class CodesOfTheBatch(Coded):
    def codes(self, context, target_times):
        looks = self.looks(context).flatten(1)
        return {"appearance": looks - looks.mean(dim=0)}


class RaisesInCodes(Coded):
    def codes(self, context, target_times):
        raise RuntimeError("no state")


# ------------------------------------------------------------------------------------------------ that learn statistics


class Fitted(Fading):
    """The mean training frame."""

    spec = spec(learns="statistics", capabilities=EVERYTHING - {"samples", "swap"})

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.mean = torch.zeros(frame_shape)

    def fit(self, clips):
        batches = [torch.from_numpy(each.frames).float() / 255 for each in clips]
        self.mean = torch.cat(batches).mean(dim=(0, 1))

    def looks(self, context):
        return self.mean.expand(len(context.frames), *self.mean.shape)


class FitsTwice(Fitted):
    """Goes over the clips twice, and finds none the second time."""

    def fit(self, clips):
        count = sum(len(each.frames) for each in clips)
        total = sum((torch.from_numpy(each.frames).float().mean(dim=1) / 255).sum(dim=0) for each in clips)
        self.mean = self.mean + total / count


class RaisesInFit(Fitted):
    def fit(self, clips):
        raise RuntimeError("singular matrix")


class CannotFit(Fading):
    spec = spec(learns="statistics", capabilities=EVERYTHING - {"samples", "swap"})


# --------------------------------------------------------------------------------------------------- that learn weights


class Net(nn.Module):
    """The last frame through two convolutions, fading."""

    spec = spec(learns="weights", capabilities=EVERYTHING - {"samples", "swap"})

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()
        channels = frame_shape[0]
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(8, channels, 3, padding=1),
        )
        self.rate = nn.Parameter(torch.tensor(0.1))

    def predict(self, context, target_times):
        frame = self.layers(context.frames[:, -1]).sigmoid()
        fading = (-self.rate * (target_times - context.times[:, -1:]).abs()).exp().float()
        return frame[:, None] * fading[:, :, None, None, None]

    def loss(self, batch, *, progress, part="main"):
        return {"loss": (self.predict(batch.context, batch.target_times) - batch.target).square().mean()}

    def sampling(self, progress):
        return vpbench.TrainTask(context=3, first=-1, targets=2)

    def optimisers(self):
        return {"main": torch.optim.Adam(self.parameters(), 1e-3)}


def import_net(state, config):
    return {name.removeprefix("net."): state.pop(name) for name in list(state)} | {"rate": state.pop("decay")}


class NetOfOthers(Net):
    """Takes published weights."""

    spec = spec(learns="weights", capabilities=EVERYTHING - {"samples", "swap"}, importer="checked_models:import_net")


class ImporterIsNotThere(Net):
    spec = spec(learns="weights", capabilities=EVERYTHING - {"samples", "swap"}, importer="checked_models:import_nets")


def fill_in(state, config):
    return {"rate": state.pop("decay", torch.tensor(0.1))}


class ImporterFillsIn(Net):
    spec = spec(learns="weights", capabilities=EVERYTHING - {"samples", "swap"}, importer="checked_models:fill_in")


def take_the_first(state, config):
    return {"rate": next(iter(state.values()))}


class ImporterTakesTheFirst(Net):
    spec = spec(
        learns="weights", capabilities=EVERYTHING - {"samples", "swap"}, importer="checked_models:take_the_first"
    )


class ImporterForgetsToReturn(Net):
    spec = spec(learns="weights", capabilities=EVERYTHING - {"samples", "swap"}, importer="builtins:print")


@dataclass(frozen=True)
class ByHeartConfig:
    learns: Literal["the targets", "nothing", "the first context frame"] = "the targets"
    steps: int = 16  #: frames that it can give


class NoModule(Fading):
    spec = spec(learns="weights", capabilities=EVERYTHING - {"samples", "swap"})


class NetCannotBeMade(Net):
    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.layers[0].weight.data.copy_(torch.zeros(5))


class StartsInfinite(Net):
    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.register_buffer("mask", torch.full((2, 2), -math.inf))


class OptimisersInAList(Net):
    def optimisers(self):
        return [torch.optim.Adam(self.parameters())]


class RaisesInOptimisers(Net):
    def optimisers(self):
        raise AttributeError("no such layer")


class SamplesTooFar(Net):
    def sampling(self, progress):
        return vpbench.TrainTask(context=50)


class SamplesTooFarLater(Net):
    def sampling(self, progress):
        return vpbench.TrainTask(context=3, first=1 if progress < 0.5 else 60)


class SamplesANumber(Net):
    def sampling(self, progress):
        return 5


class LossOfNothing(Net):
    def loss(self, batch, *, progress, part="main"):
        return {"mse": torch.tensor(0.0)}


class LossPerClip(Net):
    def loss(self, batch, *, progress, part="main"):
        error = self.predict(batch.context, batch.target_times) - batch.target
        return {"loss": error.square().mean(dim=(1, 2, 3, 4))}


class LossWithoutGradient(Net):
    def loss(self, batch, *, progress, part="main"):
        return {"loss": super().loss(batch, progress=progress, part=part)["loss"].detach()}


class LossIsNaN(Net):
    def loss(self, batch, *, progress, part="main"):
        return {"loss": super().loss(batch, progress=progress, part=part)["loss"] * math.nan}


class LossBreaksLater(Net):
    def loss(self, batch, *, progress, part="main"):
        scale = 1 / (0.5 - progress) if progress < 0.5 else math.inf
        return {"loss": super().loss(batch, progress=progress, part=part)["loss"] * scale}


class LossOfTheOtherPart(Net):
    def optimisers(self):
        return {"main": torch.optim.Adam(self.layers.parameters()), "rate": torch.optim.Adam([self.rate])}

    def loss(self, batch, *, progress, part="main"):
        if part == "rate":
            return {"loss": self.layers(batch.context.frames[:, -1]).square().mean()}
        return super().loss(batch, progress=progress, part=part)


class GradientIsNaN(Net):
    def loss(self, batch, *, progress, part="main"):
        apart = self.rate - self.rate.detach()
        return {"loss": super().loss(batch, progress=progress, part=part)["loss"] + apart.square().sqrt()}


class RaisesInLoss(Net):
    def loss(self, batch, *, progress, part="main"):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


class ForgetsAParameter(Net):
    def optimisers(self):
        return {"main": torch.optim.Adam(self.layers.parameters())}


class LearnsOutside(Net):
    """What it learns of the brightness is in no buffer, so no file keeps it."""

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.offset = 0.0

    def loss(self, batch, *, progress, part="main"):
        self.offset = float(batch.target.mean())
        return super().loss(batch, progress=progress, part=part)

    def predict(self, context, target_times):
        return super().predict(context, target_times) + self.offset


class DrawsOutside(Net):
    """What it draws when it is made is in no buffer."""

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.scale = 0.5 + torch.rand(())

    def predict(self, context, target_times):
        return self.scale * super().predict(context, target_times)


class ByHeart(nn.Module):
    """Every frame that it is ever to predict, from the context as it is: made for learning few clips."""

    spec = spec(learns="weights", capabilities=frozenset({"before-context-end"}))
    Config = ByHeartConfig

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()
        self.config, self.frame_shape, self.context_length = config, frame_shape, context_length
        pixels = math.prod(frame_shape)
        self.net = nn.Sequential(
            nn.Linear(pixels * context_length, 64), nn.ReLU(), nn.Linear(64, pixels * config.steps), nn.Sigmoid()
        )

    def predict(self, context, target_times):
        frames = self.net(context.frames.flatten(1)).unflatten(1, (self.config.steps, *self.frame_shape))
        steps = (target_times - context.times[:, :1]).long().clamp(0, self.config.steps - 1)
        return frames[torch.arange(len(frames))[:, None], steps]

    def loss(self, batch, *, progress, part="main"):
        error = (self.predict(batch.context, batch.target_times) - batch.target).square().mean()
        match self.config.learns:
            case "nothing":
                error = 1 + 0 * error
            case "the first context frame":
                frames = self.predict(batch.context, batch.target_times)
                error = (frames - batch.context.frames[:, :1]).square().mean()
        return {"loss": error}

    def optimisers(self):
        return {"main": torch.optim.Adam(self.parameters(), 3e-3)}

    def sampling(self, progress):
        return vpbench.TrainTask(context=self.context_length)


# ------------------------------------------------------------------------------------------------------- that know more


class Knowing:
    """A ceiling for "squares": told where the square was, it says where it is."""

    spec = spec(role="ceiling", capabilities=frozenset(), datasets=("squares",))

    def __init__(self, config, *, frame_shape, context_length):
        pass

    def predict(self, context, target_times):
        raise ModelFailed("it needs the corner")

    def predict_knowing(self, context, target_times, *, truth):
        frames = context.frames
        size = frames.shape[-1]
        corners = torch.from_numpy(truth["corner"]).long()
        velocity = (corners[:, -1] - corners[:, -2] + size // 2) % size - size // 2
        steps = (target_times - context.times[:, -1:]).long()
        answer = frames.new_zeros(*target_times.shape, *frames.shape[2:])
        for b in range(len(frames)):
            brightness = frames[b].max()
            for t in range(steps.shape[1]):
                y, x = (corners[b, -1] + steps[b, t] * velocity[b]).tolist()
                rows, columns = (torch.arange(4) + y) % size, (torch.arange(4) + x) % size
                answer[b, t, :, rows[:, None], columns] = brightness
        return answer


class KnowingOfSwaps(Knowing):
    """Told the truth of a swapped clip as of any other, it needs no swap()."""

    spec = spec(role="ceiling", capabilities=frozenset({"swap"}), datasets=("squares",))


class WritesOnTruth(Knowing):
    def predict_knowing(self, context, target_times, *, truth):
        answer = super().predict_knowing(context, target_times, truth=truth)
        truth["corner"][:] = 0
        return answer
