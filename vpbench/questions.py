"""What a task asks of clips: at which times they are shown, and at which they are wanted; read from a dataset.

One place for all kinds of task, so that running, verifying and measuring again read the same frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .batches import Batch, check_clips, clip_seeds, first_times, given_context, read_at, split_truth, stream, to_frames
from .errors import PluginError
from .protocols import Clips, Dataset
from .tasks import Task


def places(task: Task, ids: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Where given and wanted frames lie in these clips, in frames from their start: float64 (B, Tc) and (B, Tt).

    Whole numbers, but for a task `between_frames`. Each depends on the task and the clip, not on the other clips; and
    if the task grows, a longer horizon adds to a shorter one.
    """
    context, horizon = np.arange(float(task.context)), np.arange(float(task.horizon))
    if task.kind == "irregular":
        drawn = np.stack([_drawn(task, each) for each in ids])
        return drawn[:, : task.context], drawn[:, task.context :]
    if task.kind == "interpolate":
        assert task.spacing is not None
        given, wanted = task.spacing * context, task.spacing * (horizon + 0.5)
    elif task.kind == "fractional":
        assert task.offset is not None
        given, wanted = context, task.context - 1 + task.offset + horizon
    elif task.kind == "reconstruct":
        given, wanted = context, context
    else:
        given, wanted = context, task.context + horizon
    return np.tile(given, (len(ids), 1)), np.tile(wanted, (len(ids), 1))


def _drawn(task: Task, clip: int) -> np.ndarray:
    """Of each two frames of a clip one, float64 (context + horizon,)."""
    pairs = task.context + task.horizon
    generator = np.random.Generator(np.random.Philox(stream("irregular", task.seed, int(clip))))
    return 2.0 * np.arange(pairs) + (generator.random(pairs) < 0.5)


def times_of(task: Task, dataset: Dataset, split: str, ids: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Times of the given and the wanted frames of these clips, float64 (B, Tc) and (B, Tt), in frame periods."""
    given, wanted = places(task, ids)
    if not dataset.info.irregular:
        return given, wanted
    own = first_times(dataset, split, ids, task.n_frames)  # such a dataset has frames at times of its own only
    return tuple(np.take_along_axis(own, each.astype(np.int64), axis=1) for each in (given, wanted))  # type: ignore[return-value]


def why_no_truth(task: Task, dataset: Dataset, name: str) -> str:
    """Why a dataset cannot say what is right for a task; empty if it can."""
    if task.between_frames and not dataset.info.fractional:
        return f"{task} asks for frames between frames, {name} has none there"
    if task.kind == "swap" and not callable(getattr(dataset, "swapped", None)):
        return (
            f"{name} does not know how a clip looks with the looks of another, so there is nothing to score {task} by"
        )
    return ""


def read_question(
    dataset: Dataset,
    task: Task,
    split: str,
    ids: Sequence[int],
    device: torch.device,
    seed: int,
    per_frame: frozenset[str] = frozenset(),
) -> Batch:
    """Read what is given and what is wanted of these clips, which are rows of the task (`Task.rows`).

    per_frame  names of the truth fields that have a row per frame

    Raises PluginError for frames against the contract.
    """
    given, wanted = times_of(task, dataset, split, ids)
    if task.kind == "swap":
        return _read_swap(dataset, task, split, ids, given, wanted, device, seed, per_frame)
    return read_at(dataset, split, ids, given, wanted, device, seed, per_frame)


def partners(task: Task, dataset: Dataset, split: str, ids: Sequence[int]) -> list[int]:
    """The clips whose looks these take on: of each pair of clips of the split the second."""
    there = dataset.ids(split, n_frames=task.n_frames)
    if isinstance(there, range):  # which may be endless
        return [there[there.index(int(each)) + 1] for each in ids]
    second = {int(first): int(second) for first, second in zip(there[::2], there[1::2], strict=False)}
    return [second[int(each)] for each in ids]


def _read_swap(
    dataset: Any,
    task: Task,
    split: str,
    ids: Sequence[int],
    given: np.ndarray,
    wanted: np.ndarray,
    device: torch.device,
    seed: int,
    per_frame: frozenset[str],
) -> Batch:
    """Context of either clip, and what the dataset says the two come to; the truth is that of the swapped clip."""
    looks = partners(task, dataset, split, ids)
    asked = np.concatenate([given, wanted], axis=1)
    swapped = dataset.swapped(split, ids, looks, asked)
    shape = dataset.info.frame_shape
    check_clips(swapped, ids, (*asked.shape, *shape), per_frame)

    def shown(clips: Sequence[int]) -> Clips:
        found: Clips = dataset.clips(split, clips, given)
        check_clips(found, clips, (*given.shape, *shape), per_frame)
        return found

    if swapped.times is not None and np.shape(swapped.times) != asked.shape:
        raise PluginError(f"swapped() gave times of shape {np.shape(swapped.times)}, asked for {asked.shape}")
    before, after = split_truth(swapped, given.shape[1], per_frame)
    return Batch(
        context=given_context(shown(ids), given, clip_seeds(split, ids, seed), device),
        appearance=given_context(shown(looks), given, clip_seeds(split, looks, seed), device),
        target_times=torch.from_numpy(wanted),
        target=to_frames(swapped.frames, device)[:, given.shape[1] :],
        context_truth=before,
        target_truth=after,
    )
