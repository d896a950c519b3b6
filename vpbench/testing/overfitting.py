"""Four clips learnt by heart: the test that finds a loss that is not of the targets, and a gradient that gets lost.

A model that cannot reproduce four clips it is shown again and again has a fault, whatever its size. It is trained by
the harness's own trainer, and asked as it will be asked in a run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..batches import read_batch, told
from ..errors import VpbenchError
from ..protocols import Dataset
from ..registry import Provided
from ..specs import DatasetSpec
from ..training import Trainer
from .check import NotApplicable, Violation
from .model_subject import CPU, ModelSubject, Question

CLIPS = 4
UPDATES, LOOK_EVERY = 600, 100  #: at most so many; it has passed where it has learnt enough before

#: What the loss must have fallen to, of what it was at first; the mean of the last 10 updates, of the first 3.
LOSS_SHARE = 0.2


def check_overfits_four_clips(subject: ModelSubject) -> None:
    """Trained on four clips its loss falls to a fifth, and it predicts them better than any of the simplest answers."""
    if subject.spec.learns != "weights":
        raise NotApplicable("it learns no weights")
    subject = subject.with_small_frames()
    try:
        trainer = subject.trainer(updates=UPDATES, data=_only(subject, CLIPS), batch_size=CLIPS)
    except VpbenchError as error:
        raise NotApplicable(f"it cannot be trained, which is a rule of its own ({error})") from error
    losses: list[float] = []
    fault = "it has not been trained"
    while fault and len(losses) < UPDATES:
        losses += [trainer.do_update(trainer.batch_at(trainer.update)) for _ in range(LOOK_EVERY)]
        fault = _fault_of(losses) or _fault_of_prediction(subject, trainer)
    if fault:
        curve = ", ".join(f"{losses[at]:.3g}" for at in _spread(len(losses)))
        raise Violation(f"after {len(losses)} updates on {CLIPS} clips {fault} (loss on the way: {curve})")


def _fault_of(losses: list[float]) -> str:
    first, last = float(np.mean(losses[:3])), float(np.mean(losses[-10:]))
    if last <= LOSS_SHARE * first:
        return ""
    return f"the loss has gone from {first:.3g} to {last:.3g}, at most {LOSS_SHARE * first:.3g} shows that it learns"


def _fault_of_prediction(subject: ModelSubject, trainer: Trainer) -> str:
    own, floors = _errors(subject, trainer)
    name, best = min(floors.items(), key=lambda floor: floor[1])
    if own < best:
        return ""
    return f"its prediction of them has mean squared error {own:.3g}, {name} has {best:.3g}"


def _spread(n: int) -> list[int]:
    """Some ten places from the first to the last of n, close together where a loss changes most."""
    return sorted({round(place) - 1 for place in np.geomspace(1, n, 10)})


def _errors(subject: ModelSubject, trainer: Trainer) -> tuple[float, dict[str, float]]:
    """Mean squared error of the trained model on its clips, and of the simplest answers."""
    steps = torch.arange(1, subject.horizon + 1).expand(CLIPS, -1)
    batch = read_batch(trainer.dataset, "train", trainer.order[0], subject.context, steps, CPU, 0)
    context, times = told(batch)
    target = batch.target
    trainer.model.eval()
    try:
        predicted = subject.answer(Question(context, times, {}), "after training on four clips", trainer.model)
    finally:
        trainer.model.train()
    frames = context.frames
    answers: dict[str, Tensor] = {
        "black": torch.zeros_like(target),
        "the last frame": frames[:, -1:].expand_as(target),
        "the mean of the context": frames.mean(dim=1, keepdim=True).expand_as(target),
        "the mean of the clips": target.mean(dim=(0, 1)).expand_as(target),
    }
    answers["its own"] = predicted.clamp(0, 1)
    errors = {name: float((values - target).double().square().mean()) for name, values in answers.items()}
    return errors.pop("its own"), errors


def _only(subject: ModelSubject, n_clips: int) -> Provided[DatasetSpec]:
    """The dataset with the first training clips alone."""

    def opened(config: Any) -> Dataset:
        return FirstClips(subject.data.spec.load()(config), n_clips)

    return dataclasses.replace(subject.data, spec=dataclasses.replace(subject.data.spec, factory=opened))


class FirstClips:
    """A dataset that has few clips."""

    def __init__(self, dataset: Dataset, n_clips: int) -> None:
        self._dataset, self._n_clips = dataset, n_clips

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def ids(self, split: str, *, n_frames: int) -> Sequence[int]:
        return self._dataset.ids(split, n_frames=n_frames)[: self._n_clips]
