"""A stated fallback for models that know whole steps only: asked for those, and blended in time to what is wanted.

Nobody's own answer, so it is never given silently: it is asked for, it is part of what a cell is, and its row says so.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .inference import Inference
from .protocols import Context

Blend = Literal["nearest", "linear"]

#: What a row says of it.
BLENDS: Mapping[Blend, str] = {
    "nearest": "the nearest in time of the context and of whole steps",
    "linear": "blended linearly in time from the context and whole steps",
}

#: What can be made of whole steps. Not frames before the end of the context: a blend of the frames that are given would
#: be nothing of the model's.
BRIDGED = frozenset({"fractional", "irregular-context"})


class InTime:
    """A model that is asked for whole steps after its context, and whatever else is wanted is made of these.

    The frames that are known lie on one axis of time: those of the context, and what the model says of the whole steps
    after it. A frame at another time is the nearest of them (of two the earlier), or the linear blend of the two around
    it. A model that needs a regular context is given one, one frame period apart up to the last frame, made in the same
    way of the context there is; one that knows all times is then asked for those that are wanted.
    """

    def __init__(self, inference: Inference, blend: Blend, capabilities: Collection[str]) -> None:
        self.inference, self.blend = inference, blend
        self.any_context = "irregular-context" in capabilities
        self.any_time = {"fractional", "before-context-end"} <= set(capabilities)

    def __call__(self, context: Context, target_times: Tensor, *, truth: Mapping[str, np.ndarray]) -> Tensor:
        """float32 (B, Tt, C, H, W), as of `Inference`."""
        given = self._regular(context)
        if self.any_time:
            return self.inference(given, target_times, truth=truth)
        last = context.times[:, -1:]
        steps = max(0, math.ceil((target_times - last).max().item()))
        times, frames = context.times, context.frames
        if steps:
            asked = last + torch.arange(1, steps + 1, dtype=torch.float64)
            predicted = self.inference(given, asked.clone(), truth=truth)
            times, frames = torch.cat([times, asked], dim=1), torch.cat([frames, predicted], dim=1)
        return blended(frames, times, target_times, self.blend)

    def _regular(self, context: Context) -> Context:
        """What the model is given."""
        count = context.times.shape[1]
        regular = context.times[:, -1:] + torch.arange(1 - count, 1, dtype=torch.float64)
        if self.any_context or torch.equal(regular, context.times):
            return context
        return Context(
            frames=blended(context.frames, context.times, regular, self.blend),
            times=regular,
            seeds=context.seeds,
            observed=None if context.observed is None else torch.ones_like(regular, dtype=torch.bool),
        )


def blended(frames: Tensor, times: Tensor, wanted: Tensor, blend: Blend) -> Tensor:
    """Frames at other times: before the first and after the last one as those.

    frames  (B, T, C, H, W), at times float64 (B, T), strictly increasing, on the CPU
    wanted  float64 (B, W)

    Returns (B, W, C, H, W).
    """
    right = torch.searchsorted(times, wanted.contiguous()).clamp(1, max(1, times.shape[1] - 1))
    right = right.clamp(max=times.shape[1] - 1)  # of one frame both neighbours are that one
    left = (right - 1).clamp(min=0)
    before, after = times.gather(1, left), times.gather(1, right)
    share = ((wanted - before) / (after - before).clamp(min=torch.finfo(torch.float64).tiny)).clamp(0, 1)
    if blend == "nearest":
        share = (share > 0.5).to(share.dtype)
    weight = share.to(frames.device, frames.dtype)[..., None, None, None]
    clip = torch.arange(len(frames), device=frames.device)[:, None]
    return torch.lerp(frames[clip, left.to(frames.device)], frames[clip, right.to(frames.device)], weight)
