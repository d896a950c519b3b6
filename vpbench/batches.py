"""Clips in, batches out: reading a dataset for training and for evaluation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

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

    context: Context  #: of the clips, which for a swap are those that move
    target_times: Tensor  #: float64 (B, Tt) on the CPU
    target: Tensor  #: float32 (B, Tt, C, H, W) in [0, 1], on the device
    context_truth: Mapping[str, np.ndarray]  #: per-frame fields cut to the context rows
    target_truth: Mapping[str, np.ndarray]  #: per-frame fields cut to the target rows
    appearance: Context | None = None  #: for a swap: of the clips whose looks are wanted


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
    """Read clips: their first `context` frames, and their frames at the target steps, int64 (B, Tt).

    Step 1 is the first frame after the context, at time `context` or, of an irregular dataset, at its own.

    per_frame: names of the truth fields that have a row per frame. Raises PluginError for frames against the contract.
    """
    times = torch.from_numpy(first_times(dataset, split, ids, context + int(steps.max())))
    wanted = times.gather(1, steps + (context - 1))
    return read_at(dataset, split, ids, times[:, :context].numpy(), wanted.numpy(), device, seed, per_frame)


def read_at(
    dataset: Dataset,
    split: str,
    ids: Sequence[int],
    given: np.ndarray,
    wanted: np.ndarray,
    device: torch.device,
    seed: int,
    per_frame: frozenset[str] = frozenset(),
) -> Batch:
    """Read clips at the times of the context, float64 (B, Tc), and those of the targets, (B, Tt); as `read_batch`."""
    asked = np.concatenate([given, wanted], axis=1)
    clips = dataset.clips(split, ids, asked)
    check_clips(clips, ids, (*asked.shape, *dataset.info.frame_shape), per_frame)
    before, after = split_truth(clips, given.shape[1], per_frame)
    return Batch(
        context=given_context(clips, given, clip_seeds(split, ids, seed), device),
        target_times=torch.from_numpy(wanted),
        target=to_frames(clips.frames, device)[:, given.shape[1] :],
        context_truth=before,
        target_truth=after,
    )


def clip_seeds(split: str, ids: Sequence[int], seed: int) -> Tensor:
    """int64 (B,): a clip's seed is its own; neither batch nor shard decides what a sampling model draws for it."""
    return torch.tensor([stream("context", seed, split, int(i)) for i in ids])


def split_truth(
    clips: Clips, context: int, per_frame: frozenset[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Truth of the context frames, which come first, and of the targets."""
    before = {k: v[:, :context] if k in per_frame else v for k, v in clips.truth.items()}
    after = {k: v[:, context:] if k in per_frame else v for k, v in clips.truth.items()}
    return before, after


def given_context(clips: Clips, times: np.ndarray, seeds: Tensor, device: torch.device) -> Context:
    """The first frames of clips as a model is given them, at these times, float64 (B, Tc)."""
    context = times.shape[1]
    return Context(
        frames=given_frames(clips, to_frames(clips.frames[:, :context], device), context, device),
        times=torch.from_numpy(times),
        seeds=seeds,
        observed=None if clips.observed is None else torch.from_numpy(np.array(clips.observed[:, :context])),
    )


def first_times(dataset: Dataset, split: str, ids: Sequence[int], n_frames: int) -> np.ndarray:
    """When the first frames of these clips are, float64 (B, n_frames). PluginError where they do not increase."""
    if not dataset.info.irregular:
        return np.tile(np.arange(float(n_frames)), (len(ids), 1))
    times = np.asarray(dataset.times(split, ids, n_frames=n_frames), dtype=np.float64)  # type: ignore[attr-defined]
    if times.shape != (len(ids), n_frames):
        raise PluginError(f"the dataset gave times of shape {times.shape}, asked for {(len(ids), n_frames)}")
    rising = (np.isfinite(times).all(axis=1)) & (times[:, 0] >= 0) & (np.diff(times, axis=1) > 0).all(axis=1)
    if not rising.all():
        clip = ids[int(np.argmin(rising))]
        raise PluginError(f"the times of clip {clip} do not increase from 0 on, or are not finite")
    return times


def given_frames(clips: Clips, frames: Tensor, context: int, device: torch.device) -> Tensor:
    """The context as a model is given it: as the dataset shows it, black where there is no frame.

    frames  those of the clips, as `to_frames` has them
    """
    given = frames[:, :context] if clips.shown is None else to_frames(clips.shown[:, :context], device)
    if clips.observed is not None:
        there = torch.from_numpy(np.array(clips.observed[:, :context])).to(device)
        given = torch.where(there[:, :, None, None, None], given, 0.0)
    return given


def check_clips(clips: Any, ids: Sequence[int], expected: tuple[int, ...], per_frame: frozenset[str]) -> None:
    """Hold what a dataset gave to the contract; expected: the shape of its frames. Raises PluginError."""
    if not isinstance(clips, Clips):
        raise PluginError(f"the dataset gave a {type(clips).__name__}, the contract is vpbench.Clips")
    _check_frames(clips.frames, expected, "frames")
    if clips.shown is not None:
        _check_frames(clips.shown, expected, "shown frames")
    if clips.observed is not None and (clips.observed.shape != expected[:2] or clips.observed.dtype != bool):
        given = f"{clips.observed.dtype} {clips.observed.shape}"
        raise PluginError(f"the dataset gave observed as {given}, the contract is bool {expected[:2]}")
    if list(map(int, clips.ids)) != list(map(int, ids)):
        raise PluginError(f"the dataset gave clips {list(clips.ids)[:4]}, asked for {list(ids)[:4]}")
    if not isinstance(clips.truth, Mapping):
        raise PluginError(f"the dataset gave truth as a {type(clips.truth).__name__}, the contract is a mapping")
    for name, values in clips.truth.items():
        first = expected[: 2 if name in per_frame else 1]
        if not isinstance(values, np.ndarray) or values.shape[: len(first)] != first:
            given = f"shape {values.shape}" if isinstance(values, np.ndarray) else f"a {type(values).__name__}"
            raise PluginError(f"the dataset gave truth {name} as {given}, the contract is an array {first} and on")


def _check_frames(frames: Any, expected: tuple[int, ...], what: str) -> None:
    if not isinstance(frames, np.ndarray | Tensor):
        raise PluginError(f"the dataset gave {what} as a {type(frames).__name__}, the contract is an array or tensor")
    if tuple(frames.shape) != expected:
        raise PluginError(f"the dataset gave {what} of shape {tuple(frames.shape)}, asked for {expected}")
    kind = str(frames.dtype).removeprefix("torch.")
    if kind not in ("uint8", "float32"):
        raise PluginError(f"the dataset gave {what} of type {frames.dtype}, the contract is uint8 or float32")
    if kind == "float32" and frames.shape[0]:
        low, high = float(frames.min()), float(frames.max())
        if not (low >= 0 and high <= 1):  # also where one is NaN
            raise PluginError(f"the dataset gave float {what} from {low:g} to {high:g}, the contract is [0, 1]")


def told(batch: Batch) -> tuple[Context, Tensor]:
    """What a model is told: context and target times, in memory of their own.

    Of a slice, `storage` and `base` would lead to the targets; and what a model writes there changes nothing.
    """
    return own(batch.context), batch.target_times.clone()


def own(given: Context) -> Context:
    """The same in memory of its own."""
    return Context(
        frames=given.frames.clone(),
        times=given.times.clone(),
        seeds=given.seeds.clone(),
        observed=None if given.observed is None else given.observed.clone(),
    )


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
