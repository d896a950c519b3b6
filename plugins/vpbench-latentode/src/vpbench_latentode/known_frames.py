"""Which frames of a context are there to be used: the first ones, the last ones, the last before a time."""

from __future__ import annotations

import torch
from torch import Tensor

from vpbench import Context
from vpbench.errors import ModelFailed

SAME_TIME = 1e-9  # frame periods


def there(context: Context) -> Tensor:
    """bool (B, Tc) on the CPU: the frames that were observed."""
    if context.observed is None:
        return torch.ones(context.times.shape, dtype=torch.bool)
    return context.observed


def first_known(context: Context, n: int) -> Tensor:
    """int64 (B, n) on the CPU: places of the first n observed frames, in order. ModelFailed where there are fewer."""
    return _known(context, n).topk(n, dim=1, largest=False).indices.sort(dim=1).values


def last_known(context: Context, n: int) -> Tensor:
    """int64 (B, n) on the CPU: places of the last n observed frames, in order. ModelFailed where there are fewer."""
    places = torch.arange(context.times.shape[1]).expand(context.times.shape)
    _known(context, n)
    return torch.where(there(context), places, -1).topk(n, dim=1).indices.sort(dim=1).values


def _known(context: Context, n: int) -> Tensor:
    """int64 (B, Tc): the place of each observed frame, beyond all places of those that are not."""
    known = there(context)
    fewest = int(known.sum(dim=1).min())
    if fewest < n:
        raise ModelFailed(f"it needs {n} observed context frame{'s' * (n > 1)} of each clip, one clip has {fewest}")
    return torch.where(known, torch.arange(known.shape[1]), known.shape[1])


def last_known_before(context: Context, times: Tensor) -> Tensor:
    """Places of the last observed frames at or before these times, int64 (B, Tt) on the CPU; before all: the first.

    times  float64 (B, Tt) on the CPU
    """
    usable = there(context).unsqueeze(1) & (context.times.unsqueeze(1) <= times.unsqueeze(2) + SAME_TIME)
    places = torch.arange(context.times.shape[1])
    last = torch.where(usable, places, -1).amax(dim=2)
    return torch.where(last < 0, first_known(context, 1), last)
