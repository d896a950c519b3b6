"""A model's codes of clips, held to the contract, and the truth of the same clips: all that stays of a split."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import device as devices
from ..batches import Batch, in_parts, prefetched, told
from ..errors import PluginError
from ..evaluation import Cell
from ..instances import blaming
from ..progress import Progress
from ..protocols import Coded, Context, Dataset
from ..questions import read_question
from ..specs import TruthField
from .answers import ClipTruth


@dataclass(frozen=True)
class Encoded:
    """Clips as a model encodes them, and what is true of them."""

    codes: Mapping[str, np.ndarray]  #: float64 (n, K) of clips, (n, Tt, K) at the target times
    truth: ClipTruth


class Encoder:
    """Asks a model for the codes of the clips of a cell's question, of any split. Raises PluginError, ModelFailed."""

    def __init__(
        self, cell: Cell, model: Coded, dataset: Dataset, *, device: torch.device, batch_size: int, quiet: bool = False
    ) -> None:
        self._cell, self._model, self._dataset = cell, model, dataset
        self._device, self._batch_size, self._quiet = device, batch_size, quiet
        self._kinds: dict[str, tuple[int, int]] = {}  # name -> axes and size of each code, as first seen

    def __call__(self, split: str, ids: Sequence[int], fields: Sequence[TruthField]) -> Encoded:
        """Codes and truth of these clips, rows in their order; of a clip nothing else stays."""
        codes: dict[str, list[np.ndarray]] = defaultdict(list)
        parts: dict[str, dict[str, list[np.ndarray]]] = {name: defaultdict(list) for name in _PARTS}
        per_frame = frozenset(each.name for each in self._cell.dataset.spec.truth if each.per == "frame")

        def read(part: list[int]) -> Batch:
            with blaming(self._cell.dataset, "clips()"):
                return read_question(
                    self._dataset, self._cell.task, split, part, self._device, self._cell.seed, per_frame
                )

        label = f"codes of {self._cell.model.spec.name}, {split}"
        with (
            Progress(label, total=len(ids), unit="clips", quiet=self._quiet) as progress,
            contextlib.closing(prefetched(read, in_parts(ids, self._batch_size))) as batches,
        ):
            for batch in batches:
                with blaming(self._cell.model, "codes()"):
                    found = self._checked(self._ask(*told(batch)), *batch.target_times.shape)
                for name, values in found.items():
                    codes[name].append(values)
                for field in fields:
                    for part, value in self._truth_of(field, batch):
                        parts[part][field.name].append(value)
                progress.advance(len(batch.target))
        joined = {part: {name: np.concatenate(rows) for name, rows in of.items()} for part, of in parts.items()}
        return Encoded({name: np.concatenate(rows) for name, rows in codes.items()}, ClipTruth(**joined))

    def _ask(self, context: Context, target_times: Tensor) -> Any:
        mode = torch.enable_grad() if self._cell.model.spec.fits_at_test else torch.inference_mode()
        with mode, devices.precision(self._device, self._cell.precision):
            return self._model.codes(context, target_times)

    def _checked(self, given: Any, clips: int, steps: int) -> dict[str, np.ndarray]:
        """What a model gave, held to the contract. Raises PluginError."""
        if not isinstance(given, Mapping):
            raise PluginError(f"it returned a {type(given).__name__}, the contract is a mapping of names to codes")
        if not given:
            raise PluginError("it returned no codes, the contract is at least one")
        found = {}
        for name, code in given.items():
            if not isinstance(name, str) or not name or not name.isprintable():
                raise PluginError(f"{name!r:.60} is no name of a code, the contract is text")
            if not isinstance(code, Tensor):
                raise PluginError(f"{name} is a {type(code).__name__}, the contract is a torch tensor")
            if not code.is_floating_point():
                raise PluginError(f"{name} is {code.dtype}, the contract is floating point")
            of_clip, at_times = code.ndim == 2, code.ndim == 3
            if not (of_clip or at_times) or code.shape[:-1] != (clips, steps)[: code.ndim - 1] or not code.shape[-1]:
                wanted = f"({clips}, K) of clips or ({clips}, {steps}, K) at the target times"
                raise PluginError(f"{name} has shape {tuple(code.shape)}, the contract is {wanted}")
            if not bool(code.isfinite().all()):
                raise PluginError(f"{name} holds NaN or infinity")
            found[name] = code.detach().cpu().double().numpy().copy()  # a model may use its memory again
        kinds = {name: (values.ndim, values.shape[-1]) for name, values in found.items()}
        if (self._kinds or kinds) != kinds:
            raise PluginError(f"it returned {_told(kinds)} after {_told(self._kinds)}: codes must be the same of all")
        self._kinds = kinds
        return found

    def _truth_of(self, field: TruthField, batch: Batch) -> list[tuple[str, np.ndarray]]:
        if field.name not in batch.target_truth:
            there = ", ".join(batch.target_truth) or "none"
            source = self._cell.dataset.source
            raise PluginError(
                f"{source}: its clips hold no truth {field.name}, which its spec names; there is: {there}"
            )
        if field.per == "clip":
            return [("of_clip", np.array(batch.target_truth[field.name]))]
        return [
            ("context", np.array(batch.context_truth[field.name])),
            ("targets", np.array(batch.target_truth[field.name])),
        ]


_PARTS = ("of_clip", "context", "targets")


def _told(kinds: Mapping[str, tuple[int, int]]) -> str:
    """ "appearance (B, 64), dynamics (B, Tt, 16)" """
    return ", ".join(f"{name} ({'B, ' if axes == 2 else 'B, Tt, '}{size})" for name, (axes, size) in kinds.items())
