"""Clips in, batches out: reading a dataset for training and for evaluation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from .errors import PluginError
from .protocols import Clips, Context, Dataset

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True)
class Batch:
    """Clips split into what is given and what is to be predicted."""

    context: Context
    target_times: Tensor  #: float64 (B, Tt) on the CPU
    target: Tensor  #: float32 (B, Tt, C, H, W) in [0, 1], on the device
    context_truth: Mapping[str, np.ndarray]  #: per-frame fields cut to the context rows
    target_truth: Mapping[str, np.ndarray]  #: per-frame fields cut to the target rows


def stream(*parts: object) -> int:
    """A 63-bit seed that is a function of its parts alone."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def to_frames(frames: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """A dataset's frames as float32 in [0, 1] on the device."""
    if isinstance(frames, np.ndarray) and (not frames.flags.writeable or any(stride < 0 for stride in frames.strides)):
        frames = frames.copy()  # views that torch cannot take: read-only ones (memory maps) and mirrored ones
    tensor = torch.as_tensor(frames).to(device, non_blocking=True)
    return tensor.float().div_(255) if tensor.dtype == torch.uint8 else tensor.float()


def read_batch(
    dataset: Dataset,
    split: str,
    ids: Sequence[int],
    context: int,
    steps: Tensor,
    device: torch.device,
    seed: int,
    per_frame: frozenset[str] = frozenset(),
) -> Batch:
    """Read clips: their first `context` frames, and their frames at the target steps, int64 (B, Tt), from 1 on.

    per_frame: names of the truth fields that have a row per frame. Raises PluginError for frames against the contract.
    """
    context_times = torch.arange(context, dtype=torch.float64).expand(len(ids), -1)
    target_times = steps.double() + (context - 1)
    times = torch.cat([context_times, target_times], dim=1)
    clips = dataset.clips(split, ids, times.numpy())
    _check(clips, (*times.shape, *dataset.info.frame_shape))
    frames = to_frames(clips.frames, device)
    # A clip's seed is its own: neither batch nor shard decides what a sampling model draws for it.
    seeds = torch.tensor([stream("context", seed, split, int(i)) for i in ids])
    return Batch(
        context=Context(frames=frames[:, :context], times=context_times, seeds=seeds),
        target_times=target_times,
        target=frames[:, context:],
        context_truth={k: v[:, :context] if k in per_frame else v for k, v in clips.truth.items()},
        target_truth={k: v[:, context:] if k in per_frame else v for k, v in clips.truth.items()},
    )


def _check(clips: Clips, expected: tuple[int, ...]) -> None:
    if tuple(clips.frames.shape) != expected:
        raise PluginError(f"the dataset gave frames of shape {tuple(clips.frames.shape)}, asked for {expected}")
    kind = str(clips.frames.dtype).removeprefix("torch.")
    if kind not in ("uint8", "float32"):
        raise PluginError(f"the dataset gave frames of type {clips.frames.dtype}, the contract is uint8 or float32")
    if kind == "float32" and clips.frames.shape[0]:
        low, high = float(clips.frames.min()), float(clips.frames.max())
        if not (low >= 0 and high <= 1):  # also where one is NaN
            raise PluginError(f"the dataset gave float frames from {low:g} to {high:g}, the contract is [0, 1]")


def told(batch: Batch) -> tuple[Context, Tensor]:
    """What a model is told: context and target times, in memory of their own.

    Of a slice, `storage` and `base` would lead to the targets; and what a model writes there changes nothing.
    """
    given = batch.context
    context = Context(
        frames=given.frames.clone(),
        times=given.times.clone(),
        seeds=given.seeds.clone(),
        observed=None if given.observed is None else given.observed.clone(),
    )
    return context, batch.target_times.clone()


def prefetched(read: Callable[[K], T], keys: Iterable[K]) -> Generator[T, None, None]:
    """read(key) for each key in order, the next one being read while this one is used.

    What a read raises is raised where its value would have come. Closing the generator waits for the read under way.
    """
    todo = iter(keys)
    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(read, key) for key in islice(todo, 1)]
        while coming:
            value = coming.pop().result()
            coming = [pool.submit(read, key) for key in islice(todo, 1)]
            yield value


def in_parts(ids: Sequence[int], size: int) -> list[list[int]]:
    """Consecutive pieces of at most `size` ids."""
    return [list(ids[i : i + size]) for i in range(0, len(ids), size)]
