"""A stated fallback for models that know whole steps only: asked for those, and blended in time to what is wanted.

Nobody's own answer, so it is never given silently: it is asked for, it is part of what a cell is, and its row says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .inference import Inference
from .protocols import Context
from .specs import ModelSpec

Blend = Literal["nearest", "linear"]

#: What a row says of it.
BLENDS: Mapping[Blend, str] = {
    "nearest": "the nearest in time of the context and of whole steps",
    "linear": "blended linearly in time from the context and whole steps",
}

#: What can be made of whole steps, for tasks that want nothing before the end of the context: there a blend of the
#: frames that are given would be nothing of the model's.
BRIDGED = frozenset({"fractional", "irregular-context"})


class InTime:
    """A model that is asked for whole steps after its context, and whatever else is wanted is made of these.

    The frames that are known lie on one axis of time: those of the context, and what the model says of the whole steps
    after it. A frame at another time is the nearest of them (of two the earlier), or the linear blend of the two around
    it. A model that needs a regular context is given one, one frame period apart up to the last frame, made in the same
    way of the context there is; one that knows all times is then asked for those that are wanted.
    """

    def __init__(self, inference: Inference, blend: Blend, spec: ModelSpec) -> None:
        self.inference, self.blend = inference, blend
        self.any_context = "irregular-context" in spec.capabilities
        self.any_time = spec.capabilities >= {"fractional", "before-context-end"}
        self.prefix_stable = spec.prefix_stable

    def __call__(self, context: Context, target_times: Tensor, *, truth: Mapping[str, np.ndarray]) -> Tensor:
        """float32 (B, Tt, C, H, W), as of `Inference`."""
        given = self._regular(context)
        if self.any_time:
            return self.inference(given, target_times, truth=truth)
        last = context.times[:, -1:]
        steps = (target_times - last).amax(dim=1).ceil().clamp(min=1).long()  # of each clip
        if self.prefix_stable:
            return self._from_steps(context, given, target_times, int(steps.max()), truth)
        # How far a clip is asked for must not follow from the other clips of its batch.
        answers = torch.empty(*target_times.shape, *given.frames.shape[2:], device=given.frames.device)
        for count in steps.unique().tolist():
            rows = (steps == count).nonzero()[:, 0]
            own = {name: values[rows.numpy()] for name, values in truth.items()}
            answers[rows.to(answers.device)] = self._from_steps(
                _rows(context, rows), _rows(given, rows), target_times[rows], count, own
            )
        return answers

    def _from_steps(
        self, context: Context, given: Context, target_times: Tensor, steps: int, truth: Mapping[str, np.ndarray]
    ) -> Tensor:
        """What is wanted, of the frames of the context and of so many whole steps after it."""
        asked = context.times[:, -1:] + torch.arange(1, steps + 1, dtype=torch.float64)
        predicted = self.inference(given, asked.clone(), truth=truth)
        known = None
        if context.observed is not None:
            known = torch.cat([context.observed, torch.ones_like(asked, dtype=torch.bool)], dim=1)
        times, frames = torch.cat([context.times, asked], dim=1), torch.cat([context.frames, predicted], dim=1)
        return blended(frames, times, target_times, self.blend, known)

    def _regular(self, context: Context) -> Context:
        """What the model is given."""
        count = context.times.shape[1]
        regular = context.times[:, -1:] + torch.arange(1 - count, 1, dtype=torch.float64)
        if self.any_context or torch.equal(regular, context.times):
            return context
        return Context(
            frames=blended(context.frames, context.times, regular, self.blend, context.observed),
            times=regular,
            seeds=context.seeds,
            observed=None if context.observed is None else torch.ones_like(regular, dtype=torch.bool),
        )


def _rows(context: Context, rows: Tensor) -> Context:
    place = rows.to(context.frames.device)
    return Context(
        frames=context.frames[place],
        times=context.times[rows],
        seeds=context.seeds[rows],
        observed=None if context.observed is None else context.observed[rows],
    )


def blended(frames: Tensor, times: Tensor, wanted: Tensor, blend: Blend, known: Tensor | None = None) -> Tensor:
    """Frames at other times: before the first and after the last one as those.

    frames  (B, T, C, H, W), at times float64 (B, T), strictly increasing, on the CPU
    wanted  float64 (B, W)
    known   bool (B, T), on the CPU: where there is a frame, black ones where a clip has none; None: everywhere

    Returns (B, W, C, H, W).
    """
    count = times.shape[1]
    there = torch.ones_like(times, dtype=torch.bool) if known is None else known | ~known.any(dim=1, keepdim=True)
    place = torch.arange(count)
    not_after = there[:, None] & (times[:, None] <= wanted[..., None])  # (B, W, T)
    not_before = there[:, None] & (times[:, None] >= wanted[..., None])
    left = torch.where(not_after, place, -1).amax(dim=-1)
    right = torch.where(not_before, place, count).amin(dim=-1)
    left, right = torch.where(left < 0, right, left), torch.where(right == count, left, right)
    before, after = times.gather(1, left), times.gather(1, right)
    share = ((wanted - before) / (after - before).clamp(min=torch.finfo(torch.float64).tiny)).clamp(0, 1)
    if blend == "nearest":
        share = (share > 0.5).to(share.dtype)
    weight = share.to(frames.device, frames.dtype)[..., None, None, None]
    clip = torch.arange(len(frames), device=frames.device)[:, None]
    return torch.lerp(frames[clip, left.to(frames.device)], frames[clip, right.to(frames.device)], weight)
