"""Models for the tests of training, each given as ``models.py:Class``: one that works, and one per way to be odd.

Where signals are wanted, MODEL_SIGNAL="moment share SIGNAL [times]" says at which moment of the first update that is
past this share of the run the process sends itself which signal, and how often. MODEL_PAUSE slows updates down by
so many seconds, and by twenty times as many towards the end, which is then never reached.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

import vpbench


class Signals:
    """Fires once, at the moment that MODEL_SIGNAL names."""

    armed = False

    @classmethod
    def reached(cls, progress: float) -> None:
        wanted = os.environ.get("MODEL_SIGNAL", "").split()
        cls.armed = bool(wanted) and progress >= float(wanted[1])

    @classmethod
    def moment(cls, name: str) -> None:
        wanted = os.environ.get("MODEL_SIGNAL", "").split()
        if cls.armed and wanted and wanted[0] == name:
            cls.armed = False
            del os.environ["MODEL_SIGNAL"]
            for _ in range(int(wanted[3]) if len(wanted) > 3 else 1):
                os.kill(os.getpid(), getattr(signal, wanted[2]))
                time.sleep(0)  # where Python looks for signals


class Watched(torch.optim.AdamW):
    """AdamW that writes down its learning rate and the norm of the gradient it is given."""

    log: ClassVar[list[tuple[float, float]]] = []

    def step(self, closure=None):
        every = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        gradients = [gradient.double().square().sum() for gradient in every]
        self.log.append((self.param_groups[0]["lr"], float(torch.stack(gradients).sum().sqrt())))
        super().step()
        Signals.moment("step")


class Tiny(nn.Module):
    """Two linear layers from the context to a frame, with the time as one more input."""

    @dataclass(frozen=True)
    class Config:
        width: int = 8
        learning_rate: float = 0.02

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()
        self.config, self.frame_shape, self.context_length = config, frame_shape, context_length
        pixels = int(np.prod(frame_shape))
        self.first = nn.Linear(context_length * pixels + 1, config.width)
        self.last = nn.Linear(config.width, pixels)

    def logits(self, context, target_times):
        given = context.frames.flatten(1).unsqueeze(1).expand(-1, target_times.shape[1], -1)
        times = (target_times - self.context_length).to(given).unsqueeze(-1) / 10
        return self.last(torch.tanh(self.first(torch.cat([given, times], dim=-1))))

    def predict(self, context, target_times):
        Signals.moment("predict" if self.training else "validate")
        return torch.sigmoid(self.logits(context, target_times)).unflatten(-1, self.frame_shape)

    def loss(self, batch, *, progress, part="main"):
        Signals.reached(progress)
        Signals.moment("loss")
        time.sleep(float(os.environ.get("MODEL_PAUSE", "0")) * (20 if progress > 0.8 else 1))
        predicted = self.predict(batch.context, batch.target_times)
        loss = (predicted.float() - batch.target).square().mean()
        if loss.requires_grad:
            loss.register_hook(lambda _: Signals.moment("backward"))
        return {"loss": loss}

    def optimisers(self):
        return {"main": Watched(self.parameters(), self.config.learning_rate)}

    def state_dict(self, *args, **kwargs):
        Signals.moment("average")
        return super().state_dict(*args, **kwargs)


class Remembers(Tiny):
    """Writes down what each update was given, and the parameters it found."""

    seen: ClassVar[list[dict]] = []

    def loss(self, batch, *, progress, part="main"):
        parameters = {name: value.detach().clone() for name, value in super().state_dict().items()}
        self.seen.append({"batch": batch, "progress": progress, "parameters": parameters, "model": self})
        return super().loss(batch, progress=progress, part=part)


class Dice(Tiny):
    """Draws from every generator there is; a resumed run must draw the same."""

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        with torch.no_grad():
            self.last.bias += random.random() + np.random.rand()

    def loss(self, batch, *, progress, part="main"):
        loss = super().loss(batch, progress=progress, part=part)["loss"]
        return {"loss": loss * (random.random() + np.random.rand() + torch.rand(()))}


class Normed(Tiny):
    """With batch normalisation: running statistics and an integer count among its state."""

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.norm = nn.BatchNorm1d(config.width)
        self.last = nn.Sequential(nn.Flatten(0, 1), self.norm, nn.Linear(config.width, int(np.prod(frame_shape))))

    def predict(self, context, target_times):
        return super().predict(context, target_times).unflatten(0, target_times.shape)


class Adversary(Tiny):
    """Two parts with an optimiser each: the second learns to tell targets from predictions."""

    calls: ClassVar[list[str]] = []

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.critic = nn.Linear(int(np.prod(frame_shape)), 1)

    def loss(self, batch, *, progress, part="main"):
        self.calls.append(part)
        predicted = self.predict(batch.context, batch.target_times)
        if part == "critic":
            return {"loss": (self.critic(predicted.detach().flatten(2)) - self.critic(batch.target.flatten(2))).mean()}
        return {"loss": (predicted - batch.target).square().mean() - 1e-3 * self.critic(predicted.flatten(2)).mean()}

    def optimisers(self):
        generator = [*self.first.parameters(), *self.last.parameters()]
        return {
            "generator": torch.optim.AdamW(generator, 0.02),
            "critic": torch.optim.SGD(self.critic.parameters(), 0.1),
        }


class Curriculum(Remembers):
    """Near targets first; always one frame of the past among those it may draw."""

    def sampling(self, progress):
        return vpbench.TrainTask(context=self.context_length, first=-1, targets=2, horizon=1 + int(4 * progress))


class Repeats(Remembers):
    """Learns to show what it is given, and nothing after it."""

    def sampling(self, progress):
        return vpbench.TrainTask(context=self.context_length, first=1 - self.context_length, horizon=0)


class Bfloat(Tiny):
    """Writes down the type that its layers compute in."""

    types: ClassVar[set[tuple[str, bool, torch.dtype]]] = set()

    def predict(self, context, target_times):
        logits = self.logits(context, target_times)
        self.types.add(("train" if self.training else "eval", torch.is_inference_mode_enabled(), logits.dtype))
        return torch.sigmoid(logits).unflatten(-1, self.frame_shape)


class NeedsPrecision(Tiny):
    """A matrix whose tenth bit turns the picture over: half precision loses it."""

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.phase = nn.Parameter(torch.tensor([[1.0003]]))

    def predict(self, context, target_times):
        return super().predict(context, target_times) * (0.5 + 0.5 * torch.cos(1e4 * self.phase.squeeze()))


class HasHugeWeights(Tiny):
    """A matrix that half precision cannot hold, and that predictions do not depend on."""

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.only_for_training = nn.Parameter(torch.full((2, 2), 1e6), requires_grad=False)


class SteepLoss(Tiny):
    """Gradients far above the norm they are clipped to."""

    def loss(self, batch, *, progress, part="main"):
        return {"loss": 1e4 * super().loss(batch, progress=progress)["loss"]}


class Plain(Tiny):
    """Without optimisers of its own."""

    optimisers = None


class FitsAtTest(Tiny):
    """Takes gradient steps when it predicts."""

    spec = vpbench.ModelSpec(
        name="fits-at-test", factory="models:FitsAtTest", summary="", version="1", learns="weights", fits_at_test=True
    )

    def predict(self, context, target_times):
        frames = context.frames.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(frames.square().sum(), frames)
        assert gradient.abs().sum() > 0
        return super().predict(context, target_times)


class SeesBlack(Tiny):
    """Predicts black."""

    def predict(self, context, target_times):
        return super().predict(context, target_times) * 0


# ------------------------------------------------------------------------------------------------------ wrong ones


class Ends(Tiny):
    """Base of models whose loss turns bad at 40 % of the run."""

    def loss(self, batch, *, progress, part="main"):
        losses = super().loss(batch, progress=progress)
        return self.bad(losses) if progress >= 0.4 else losses


class LossNaN(Ends):
    def bad(self, losses):
        return {"loss": losses["loss"] * float("nan")}


class LossInfinite(Ends):
    def bad(self, losses):
        return {"loss": losses["loss"] + float("inf")}


class GradientNaN(Ends):
    def bad(self, losses):
        return {"loss": losses["loss"] + (self.last.bias * 0).square().sum().sqrt()}


class LossRaises(Ends):
    def bad(self, losses):
        raise ValueError("shapes (3,) and (4,)\ndo not fit")


class LossExits(Ends):
    def bad(self, losses):
        sys.exit("licence expired")


class LossNotScalar(Tiny):
    def loss(self, batch, *, progress, part="main"):
        return {"loss": super().loss(batch, progress=progress)["loss"].expand(3)}


class LossNotMapping(Tiny):
    def loss(self, batch, *, progress, part="main"):
        return super().loss(batch, progress=progress)["loss"]


class LossWithoutKey(Tiny):
    def loss(self, batch, *, progress, part="main"):
        return {"mse": super().loss(batch, progress=progress)["loss"]}


class LossNumber(Tiny):
    def loss(self, batch, *, progress, part="main"):
        return {"loss": super().loss(batch, progress=progress)["loss"].item()}


class LossDetached(Tiny):
    def loss(self, batch, *, progress, part="main"):
        return {"loss": super().loss(batch, progress=progress)["loss"].detach()}


class LossOfOthers(Tiny):
    """Its loss depends on something the optimiser does not have."""

    def optimisers(self):
        return {"main": torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1)}


class CriticNaN(Adversary):
    def loss(self, batch, *, progress, part="main"):
        loss = super().loss(batch, progress=progress, part=part)["loss"]
        return {"loss": loss * float("nan") if part == "critic" else loss}


class NoParameters(Tiny):
    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.requires_grad_(False)


class NotModule:
    """Has all a trainable model needs, but is no Module: refused before any of it is called."""

    def __init__(self, config, *, frame_shape, context_length):
        pass

    def predict(self, context, target_times):
        raise NotImplementedError

    loss = predict


class MakingRaises(Tiny):
    def __init__(self, config, *, frame_shape, context_length):
        raise ValueError(f"needs frames of 64 pixels, got {frame_shape[1:]}")


class OptimisersList(Tiny):
    def optimisers(self):
        return [torch.optim.SGD(self.parameters(), 0.1)]


class OptimisersEmpty(Tiny):
    def optimisers(self):
        return {}


class OptimisersWrong(Tiny):
    def optimisers(self):
        return {"main": self.parameters()}


class OptimiserRaises(Tiny):
    def optimisers(self):
        return {"main": torch.optim.LBFGS(self.parameters())}  # wants a closure


class PredictShape(Tiny):
    def predict(self, context, target_times):
        predicted = super().predict(context, target_times)
        return predicted if self.training else predicted[:, :1]


class PredictRaises(Tiny):
    def predict(self, context, target_times):
        if not self.training:
            raise KeyError("cache")
        return super().predict(context, target_times)


class PredictNaN(Tiny):
    def predict(self, context, target_times):
        predicted = super().predict(context, target_times)
        return predicted if self.training else predicted.index_fill(1, torch.tensor([1]), float("nan"))


class SamplingWrong(Tiny):
    def sampling(self, progress):
        return {"context": 2}


class SamplingTooFar(Tiny):
    def sampling(self, progress):
        return vpbench.TrainTask(context=100)


class SamplingTooEarly(Tiny):
    def sampling(self, progress):
        return vpbench.TrainTask(context=2, first=-2)


class SamplingNothing(Tiny):
    def sampling(self, progress):
        return vpbench.TrainTask(context=2, targets=0)


class ExtraState(Tiny):
    def get_extra_state(self):
        return {"step": 1}

    def set_extra_state(self, state):
        pass


class InfiniteMask(Tiny):
    """A moving average of minus infinity is NaN."""

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.register_buffer("mask", torch.full((3, 3), -torch.inf).triu(1))


class WeightsOverflow(Tiny):
    """Losses and gradients are finite, and the fourth of four updates throws a weight out of what float32 can hold."""

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__(config, frame_shape=frame_shape, context_length=context_length)
        self.growing = nn.Parameter(torch.zeros(1))

    def optimisers(self):
        return {"main": torch.optim.SGD(self.parameters(), 1.2e38, maximize=True)}

    def loss(self, batch, *, progress, part="main"):
        return {"loss": self.growing.sum() + 0 * super().loss(batch, progress=progress)["loss"]}
