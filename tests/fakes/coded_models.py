"""Models with codes, given as a file: `coded_models.py:Class`. Each does one thing."""

from dataclasses import dataclass

import torch
from torch import nn

import vpbench


def corner(frames):
    """Where the square of the dataset `squares` begins: (..., C, H, W) to (row, column), float (..., 2)."""
    seen = frames[..., 0, :, :] > 0
    rows, columns = seen.any(-1), seen.any(-2)
    begins = [(there & ~there.roll(1, dims=-1)).float().argmax(-1) for there in (rows, columns)]
    return torch.stack(begins, dim=-1).float()


class Seeing:
    """Sees where the square is, and how it moves."""

    spec = vpbench.ModelSpec(
        name="seeing",
        factory="m:M",
        summary="Sees",
        version="1",
        capabilities=frozenset({"before-context-end", "swap"}),
    )

    def __init__(self, config, *, frame_shape, context_length):
        self.size = frame_shape[-1]

    def predict(self, context, target_times):
        return context.frames[:, -1:].repeat(1, target_times.shape[1], 1, 1, 1)

    def codes(self, context, target_times):
        ahead = (target_times - context.times[:, -1:])[:, :, None].float()
        place, before = corner(context.frames[:, -1]), corner(context.frames[:, -2])
        half = self.size / 2
        velocity = (place - before + half) % self.size - half
        later = (place[:, None] + ahead * velocity[:, None]) % self.size
        context.frames.zero_()  # what is written there must not matter
        return {"appearance": place @ torch.tensor([[2.0, 1.0], [-1.0, 3.0]]) + 5, "dynamics": 7 - later}


class Blind(Seeing):
    """Codes that follow from the clips' seeds alone."""

    spec = vpbench.ModelSpec(name="blind", factory="m:M", summary="Sees nothing", version="1")

    def codes(self, context, target_times):
        drawn = [
            torch.randn(*target_times.shape[1:], 3, generator=torch.Generator().manual_seed(int(seed)))
            for seed in context.seeds
        ]
        return {"noise": torch.stack(drawn)}


@dataclass(frozen=True)
class WrongConfig:
    fault: str = "none"


class Wrong(Seeing):
    """Wrong in the way that --set fault=... names."""

    spec = vpbench.ModelSpec(name="wrong", factory="m:M", summary="Wrong", version="1")
    Config = WrongConfig

    def __init__(self, config, *, frame_shape, context_length):
        self.fault, self.asked = config.fault, 0
        self.codes = None if config.fault == "absent" else self.codes

    def codes(self, context, target_times):
        self.asked += 1
        good = torch.ones(len(context.frames), 4)
        match self.fault:
            case "nothing":
                return None
            case "empty":
                return {}
            case "name":
                return {3: good}
            case "array":
                return {"code": good.numpy()}
            case "integers":
                return {"code": good.long()}
            case "clips":
                return {"code": good[:1]}
            case "steps":
                return {"code": good[:, None].repeat(1, target_times.shape[1] + 1, 1)}
            case "axes":
                return {"code": good[..., None, None]}
            case "no-numbers":
                return {"code": good[:, :0]}
            case "nan":
                return {"code": good / (good - 1) * 0}
            case "moody":
                return {"code": torch.ones(len(good), self.asked)}
            case "raises":
                raise ValueError("no idea\nat all")
        return {"code": good}


class Learner(nn.Module):
    """Has to be trained first; codes of its own random numbers."""

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3))

    def predict(self, context, target_times):
        return context.frames[:, -1:].repeat(1, target_times.shape[1], 1, 1, 1)

    def loss(self, batch, *, progress, part="main"):
        return {"loss": self.weight.square().sum()}

    def codes(self, context, target_times):
        return {"code": corner(context.frames[:, -1]) @ self.weight}


class Averaging(Seeing):
    """Learns the mean frame of the train clips; its code is what differs from it."""

    spec = vpbench.ModelSpec(name="averaging", factory="m:M", summary="Mean frame", version="1", learns="statistics")

    def fit(self, clips):
        frames = [torch.as_tensor(each.frames).float().mean(dim=(0, 1)) / 255 for each in clips]
        self.mean = torch.stack(frames).mean(dim=0)

    def codes(self, context, target_times):
        return {"difference": (context.frames[:, -1] - self.mean).flatten(1)}
