from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

import vpbench
from vpbench.errors import ModelFailed


@dataclass(frozen=True)
class FadeConfig:
    fade: float = 0.5  #: share of the brightness that is left after a frame period


class Fade:
    def __init__(self, config, *, frame_shape, context_length):
        self.fade = config.fade
        self.asked = 0

    def predict(self, context: vpbench.Context, target_times: torch.Tensor) -> torch.Tensor:
        if context.observed is not None and not context.observed[:, -1].all():
            raise ModelFailed("the last frame is missing")
        self.asked += 1
        left = self.fade ** (target_times - context.times[:, -1:])
        return context.frames[:, -1:] * left.to(context.frames)[:, :, None, None, None]

    def stats(self) -> Mapping[str, float]:
        return {"asked": self.asked}


class Mean:
    def __init__(self, config, *, frame_shape, context_length):
        self.mean = 0.0

    def fit(self, clips):
        frames = [torch.as_tensor(each.frames).double() / 255 for each in clips]
        self.mean = float(torch.cat(frames).mean())

    def predict(self, context, target_times):
        return context.frames.new_full((*target_times.shape, *context.frames.shape[2:]), self.mean)


class Knowing(Mean):
    def predict_knowing(self, context, target_times, *, truth):
        last = torch.from_numpy(truth["brightness"][:, -1:])
        level = last + (target_times - context.times[:, -1:]) / 255
        shape = (*target_times.shape, *context.frames.shape[2:])
        return level.to(context.frames)[:, :, None, None, None].expand(shape)


@dataclass(frozen=True)
class SlopeConfig:
    first: float = 0.0  #: the slope before training
    rate: float = 0.02  #: learning rate


class Slope(nn.Module):
    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()
        self.rate, self.context_length = config.rate, context_length
        self.slope = nn.Parameter(torch.tensor([config.first]))
        self.register_buffer("seen", torch.zeros(1))

    def predict(self, context, target_times):
        steps = (target_times - context.times[:, -1:]).to(context.frames)
        return context.frames[:, -1:] + self.slope * steps[:, :, None, None, None]

    def loss(self, batch, *, progress, part="main"):
        assert part == "line"
        assert 0 <= progress < 1
        self.seen += 1
        predicted = self.predict(batch.context, batch.target_times)
        return {"loss": (predicted - batch.target).square().mean(), "slope": self.slope.detach()}

    def optimisers(self):
        return {"line": torch.optim.Adam(self.parameters(), self.rate)}

    def sampling(self, progress):
        return vpbench.TrainTask(
            context=self.context_length, horizon=3 if progress > 0.5 else None, first=1, targets=2, emphasis=1.0
        )
