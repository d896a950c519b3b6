"""A model, the importer of what "others published" of it, and importers that break the contract."""

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Config:
    gains: int = 3  #: numbers whose mean the sum is multiplied with
    checked: bool = False  #: refuses to be made, as a model of odd frames would


class Mixture(nn.Module):
    """Frame k after the context is the sum of (near + k far) times the context frames, times the mean gain."""

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()
        if config.checked:
            raise ValueError(f"frames of {frame_shape} do not suit")
        self.near = nn.Parameter(torch.rand(1, context_length))
        self.far = nn.Parameter(torch.rand(1, context_length))
        self.gains = nn.Parameter(torch.rand(config.gains))
        self.register_buffer("updates", torch.tensor(0))

    def predict(self, context, target_times):
        k = (target_times - context.times[:, -1:]).float()[:, :, None]
        weights = self.near + k * self.far  # (B, Tt, Tc)
        return torch.einsum("bkt,btchw->bkchw", weights, context.frames) * self.gains.mean()

    def loss(self, batch, *, progress, part="main"):
        return {"loss": (self.predict(batch.context, batch.target_times) - batch.target).square().mean()}


def import_mixture(state, config):
    """`mix.weight` (2, context) is cut in two, `helper.weight` is of the training and left out."""
    state.pop("helper.weight")
    near, far = state.pop("mix.weight").chunk(2)
    return {"near": near, "far": far, "gains": state.pop("gain.weight"), "updates": state.pop("gain.count")}


def gives_nothing(state, config):
    return state.clear()


def gives_numbers(state, config):
    state.clear()
    return {"near": 1.0}


def takes_twice(state, config):
    state.pop("mix.weight")
    return {"near": state.pop("mix.weight")}


def breaks(state, config):
    raise AttributeError("no such thing")


def renames_nothing(state, config):
    found = dict(state)
    state.clear()
    return found
