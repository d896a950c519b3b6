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
from ..codes import checked_codes, in_words, kinds_of
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
        """What a model gave, held to the contract, as float64. Raises PluginError."""
        found = checked_codes(given, clips, steps)
        kinds = kinds_of(found)
        if (self._kinds or kinds) != kinds:
            was, is_now = in_words(self._kinds), in_words(kinds)
            raise PluginError(f"it returned {is_now} after {was}: codes must be the same of all clips")
        self._kinds = kinds
        # Copies: a model may use its memory again.
        return {name: code.cpu().double().numpy().copy() for name, code in found.items()}

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
