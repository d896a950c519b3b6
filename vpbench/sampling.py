"""What a training update sees: which clips, and which of their steps. All of it follows from seeds, nothing is kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .batches import stream
from .errors import PluginError
from .protocols import TrainTask

WALK_SHIFT = 1_000_003  # a prime
ENDLESS = 1 << 24  # a split with more clips than this is generated: it is walked through, not shuffled


class ClipOrder:
    """Which clips update k sees: a new shuffle each epoch, or a walk through an endless split."""

    def __init__(self, ids: Sequence[int], batch_size: int, seed: int) -> None:
        self.ids, self.batch_size, self.seed = ids, batch_size, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def __getitem__(self, update: int) -> list[int]:
        n = len(self.ids)
        first = update * self.batch_size
        if n > ENDLESS:
            # Generated clips are independent, so their order is as good as any; seeds walk through different stretches,
            # and where there are more seeds than stretches, at least from different clips on.
            start = self.seed * ENDLESS + self.seed // (n // ENDLESS) * WALK_SHIFT
            return [self.ids[(start + first + j) % n] for j in range(self.batch_size)]
        return [self.ids[self._shuffled(k // n, k % n)] for k in range(first, first + self.batch_size)]

    def _shuffled(self, epoch: int, place: int) -> int:
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(stream("epoch", self.seed, epoch))
            self._epoch, self._order = epoch, torch.randperm(len(self.ids), generator=generator)
        return int(self._order[place])


def draw_steps(task: TrainTask, horizon: int, batch: int, generator: torch.Generator) -> Tensor:
    """Target steps, int64 (batch, targets), increasing, drawn per clip as the task says; step 1 follows the context."""
    steps = torch.arange(task.first, horizon + 1)
    if task.targets is None or task.targets >= len(steps):
        return steps.expand(batch, -1)
    # The largest of log-weight + Gumbel noise are a draw without replacement in proportion to the weights.
    log_weight = -task.emphasis * steps.abs().clamp(min=1).double().log()
    uniform = torch.rand(batch, len(steps), generator=generator, dtype=torch.float64).clamp_(min=1e-12)
    keys = log_weight - torch.log(-torch.log(uniform))
    chosen = keys.topk(task.targets, dim=1).indices
    return steps[chosen].sort(dim=1).values


def checked_task(task: Any, context: int, horizon: int) -> TrainTask:
    """What a model's sampling() returned, its horizon filled in and held to that of the command. Raises PluginError."""
    if not isinstance(task, TrainTask):
        raise PluginError(f"it must return a TrainTask, got a {type(task).__name__}")
    last = horizon if task.horizon is None else min(task.horizon, horizon)
    if task.context < 1 or task.context + last > context + horizon:
        raise PluginError(f"context {task.context} and horizon {last} do not fit into {context + horizon} frames")
    if not 1 - task.context <= task.first <= last:
        raise PluginError(f"first={task.first} must be from {1 - task.context} to the horizon, {last}")
    if task.targets is not None and task.targets < 1:
        raise PluginError(f"targets={task.targets} must be at least 1")
    return dataclasses.replace(task, horizon=last)
