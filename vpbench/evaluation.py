"""One cell: predict clips, measure them, and keep what was measured per clip and step.

A cell is evaluated in shards, each some of its clips, that yield a `Partial` (see `scoring`). Frames never pile up: of
a clip there remain a handful of numbers per step.

A model is told the context and the times, in memory of its own: there is no way from it to the targets, and nothing it
writes there changes what its prediction is held against.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import device as devices
from .batches import Batch, first_times, in_parts, own, prefetched, told
from .config import config_to_dict
from .errors import CellFailed, MetricFailed, PluginError
from .in_time import BLENDS, Blend, InTime
from .inference import Inference
from .instances import Metrics, failing_in, fingerprint_of, ids_of
from .progress import Progress
from .protocols import Clips, Context, Dataset, Fittable, Scored
from .questions import partners, read_question
from .reach import modules_in
from .registry import Provided
from .results import identity_of
from .scoring import Partial, measure, merge, only
from .specs import DatasetSpec, ModelSpec
from .tasks import Task
from .weights import WeightsFile

FIT_CLIPS, FIT_FRAMES, FIT_BATCH = 2000, 20, 100  # what a model that learns statistics sees of the train split
OUT_OF_RANGE = 1e-6  # a sigmoid's rounding is no news


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One model × dataset × task × seed, with all that decides its numbers."""

    model: Provided[ModelSpec]
    config: Any
    weights: WeightsFile | None
    dataset: Provided[DatasetSpec]
    dataset_config: Any
    fingerprint: str
    task: Task
    clips: int
    seed: int = 0
    split: str = "test"
    precision: str = "float32"
    fitted_on: str | None = None  #: fingerprint of the train split, for a model that learns statistics of it
    seen: str | None = None  #: of the split by its weights, in words; None: not known
    in_time: Blend | None = None  #: how whole steps are made into what it cannot be asked for; None: it is asked as is

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What is hashed into the name of the record."""
        model = {
            "name": self.model.spec.name,
            "version": self.model.spec.version,
            "config": config_to_dict(self.config),
            "weights_sha256": self.weights.sha256 if self.weights else None,
        }
        if self.fitted_on is not None:
            model["fit"] = {"fingerprint": self.fitted_on, "clips": FIT_CLIPS, "frames": FIT_FRAMES}
        if self.in_time is not None:
            model["in_time"] = self.in_time
        return identity_of(
            model=model,
            dataset={
                "name": self.dataset.spec.name,
                "version": self.dataset.spec.version,
                "config": config_to_dict(self.dataset_config),
                "fingerprint": self.fingerprint,
            },
            split=self.split,
            task=self.task.identity(),
            clips=self.clips,
            seed=self.seed,
            dtype=self.precision,
        )

    @property
    def zero_shot(self) -> str:
        """What the weights were trained on, where that is another dataset or another config of it, or is only told by
        those who published them; else empty."""
        if self.weights is None:
            return ""
        was, spec = self.weights.header.get("dataset", {}), self.dataset.spec
        config = config_to_dict(self.dataset_config)
        unknown = "; whether it has seen these clips is not known" * (self.seen is None)
        if origin := self.weights.imported_from:
            told = " ".join(str(origin.get("trained_on") or "").split())
            trained = f"trained elsewhere, for {was.get('name')}{told and f' ({told})'}{unknown}"
            return trained if was.get("name") == spec.name else f"zero-shot: {trained}"
        if (was.get("name"), was.get("version"), was.get("config")) == (spec.name, spec.version, config):
            return ""
        return f"zero-shot: trained on {was.get('name')} {was.get('version')} {json.dumps(was.get('config'))}{unknown}"

    @property
    def caveat(self) -> str:
        """What its numbers are to be taken with; empty if nothing."""
        blended = f"frames at these times are {BLENDS[self.in_time]}" if self.in_time else ""
        return "; ".join(filter(None, [self.dataset.spec.caveat, self.zero_shot, blended]))

    @property
    def trained(self) -> bool:
        """False for a model that learns weights and has none."""
        return self.weights is not None or self.model.spec.learns != "weights"

    def __str__(self) -> str:
        return f"{self.model.spec.name} on {self.dataset.spec.name} {self.task}"


class Evaluation:
    """A cell made ready: model built, weights in it or fitted. Raises CellFailed."""

    def __init__(
        self,
        cell: Cell,
        dataset: Dataset,
        metrics: Metrics,
        *,
        device: torch.device,
        batch_size: int,
        keep: int = 0,
        fit_clips: int = FIT_CLIPS,
    ) -> None:
        """
        keep       number of clips whose predictions stay in the partial: the first of each call
        fit_clips  how many training clips a model that learns statistics sees; fewer only to see how long that takes
        """
        self.cell, self.dataset, self.metrics = cell, dataset, metrics
        self.device, self.batch_size, self.keep = device, batch_size, keep
        self.per_frame = frozenset(f.name for f in cell.dataset.spec.truth if f.per == "frame")
        self.fit_s = 0.0
        self.said: list[str] = []  #: what the user should know about how it went
        self.broken: dict[str, MetricFailed] = {}  #: metrics that failed and are not among `metrics` any more
        with failing_in("load"):
            self._inference = self._made_ready()
        self.model = self._inference.model
        self._blend = InTime(self._inference, cell.in_time, cell.model.spec) if cell.in_time else None
        if cell.model.spec.learns == "statistics":
            with failing_in("fit"):
                self._fit(fit_clips)

    def _made_ready(self) -> Inference:
        cell = self.cell
        return Inference(
            cell.model,
            cell.config,
            cell.weights,
            frame_shape=self.dataset.info.frame_shape,
            context_length=cell.task.context,
            seed=cell.seed,
            device=self.device,
            precision=cell.precision,
        )

    def _fit(self, clips: int) -> None:
        """Give the model a fixed selection of the train split, spread over all of it."""
        if not isinstance(self.model, Fittable):
            raise PluginError(f"{self.cell.model.spec.name} learns statistics, so it must have fit(clips)")
        longest = min(FIT_FRAMES, self.dataset.info.max_length or FIT_FRAMES)
        lengths = range(longest, 0, -1)  # clips to learn from may be shorter than those that are tested
        there = ((length, ids_of(self.cell.dataset, self.dataset, "train", length)) for length in lengths)
        length, ids = next(found for found in there if len(found[1]) or found[0] == 1)
        n = min(clips, len(ids))
        chosen = [ids[k * len(ids) // n] for k in range(n)]

        def read(part: list[int]) -> Clips:
            return self.dataset.clips("train", part, first_times(self.dataset, "train", part, length))

        start = time.perf_counter()
        self.model.fit(prefetched(read, in_parts(chosen, FIT_BATCH)))
        self.fit_s = time.perf_counter() - start

    # ------------------------------------------------------------------------------------------------------ prediction

    def __call__(self, ids: Sequence[int], progress: Progress | None = None) -> Partial:
        """Predict and measure these clips, rows in their order. Raises CellFailed.

        Memory does not grow with the number of clips, but for the few numbers per step that are the result.
        """
        with failing_in("data"):
            if not len(ids) or len(set(ids)) != len(ids):
                raise PluginError(f"{self.cell.dataset.source} names no clips, or the same clip twice")
        devices.reset_peak_memory(self.device)
        parts: list[Partial] = []
        done, spent_s = 0, 0.0
        with contextlib.closing(prefetched(self._read, in_parts(ids, self.batch_size))) as batches:
            for some, batch in batches:
                if not parts and self.device.type == "cuda":
                    self._predict(batch)  # kernels are chosen and compiled on first use: not part of the timing
                part = self._evaluate(some, batch, keep=max(0, self.keep - done))
                parts.append(part)
                done, spent_s = done + len(some), spent_s + part.predict_s
                if progress:
                    pace = done * self.cell.task.horizon / spent_s if spent_s else 0.0
                    progress.advance(len(some), f"{pace:.0f} frames/s")
        return merge([only(part, self.metrics) for part in parts], ids)

    def _measure(self, scored: Scored) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """As `measure`; a metric that fails is left out from here on, unless it is the last one."""
        while True:
            try:
                return measure(scored, self.metrics)
            except MetricFailed as failure:
                if len(self.metrics) == 1:
                    raise
                self.broken[failure.metric] = failure
                self.metrics = {name: made for name, made in self.metrics.items() if name != failure.metric}

    def _read(self, ids: list[int]) -> tuple[list[int], Batch]:
        cell = self.cell
        with failing_in("data"):
            return ids, read_question(self.dataset, cell.task, cell.split, ids, self.device, cell.seed, self.per_frame)

    def _evaluate(self, ids: list[int], batch: Batch, *, keep: int) -> Partial:
        devices.synchronize(self.device)
        start = time.perf_counter()
        raw = self._predict(batch)
        devices.synchronize(self.device)
        predict_s = time.perf_counter() - start
        scored = Scored(
            predicted=raw.clamp(0, 1),
            target=batch.target,
            raw=raw,
            context=batch.context,
            truth=batch.target_truth,
        )
        outside = int(((raw < -OUT_OF_RANGE) | (raw > 1 + OUT_OF_RANGE)).sum())
        kept = _first(keep, ids, raw, batch) if keep else {}
        statistics, features = self._measure(scored)
        return Partial(
            ids=tuple(int(i) for i in ids),
            steps=self.cell.task.horizon,
            statistics=statistics,
            predict_s=predict_s,
            out_of_range=outside,
            kept=kept,
            features=features,
        )

    def _predict(self, batch: Batch) -> Tensor:
        """float32 (B, Tt, C, H, W), checked. On a GPU that is too small batches are halved, and that is said."""
        while True:
            size = min(self.batch_size, len(batch.target))
            try:
                with failing_in("predict"):
                    parts = [_rows(batch, i, i + size) for i in range(0, len(batch.target), size)]
                    predicted = [self._ask(part) for part in parts]
                    return predicted[0] if len(predicted) == 1 else torch.cat(predicted)
            except CellFailed as failure:
                if size == 1 or not isinstance(failure.__cause__, torch.cuda.OutOfMemoryError):
                    raise
            torch.cuda.empty_cache()
            self.batch_size = (size + 1) // 2
            self.said.append(f"out of GPU memory: batches of {self.batch_size} from here on")

    def _ask(self, batch: Batch) -> Tensor:
        """What the model answers, checked."""
        context, times = told(batch)
        looks = None if batch.appearance is None else own(batch.appearance)
        if self._blend is not None:
            return self._blend(context, times, truth=batch.context_truth)
        return self._inference(context, times, truth=batch.context_truth, appearance=looks)

    # ------------------------------------------------------------------------------------------------------------ cost

    def cost(self, partial: Partial) -> dict[str, Any]:
        """What the prediction took; of a rollout that serves several horizons, over the whole of it."""
        parameters = sum(p.numel() for module in modules_in(self.model) for p in module.parameters())
        frames = len(partial.ids) * partial.steps
        cost: dict[str, Any] = {
            "frames_per_s": round(frames / partial.predict_s, 2) if partial.predict_s else None,
            "predict_s": round(partial.predict_s, 4),
            "rollout_horizon": partial.steps,
            "batch_size": self.batch_size,
            "parameters": parameters,
            "peak_memory_mb": round(devices.peak_memory_mb(self.device), 1),
            "out_of_range_share": partial.out_of_range / (frames * math.prod(self.dataset.info.frame_shape)),
        }
        if self.cell.model.spec.elsewhere:  # looking its predictions up says nothing of the model that made them
            cost |= dict.fromkeys(("frames_per_s", "predict_s", "parameters", "peak_memory_mb"))
        if self.cell.model.spec.learns == "statistics":
            cost["fit_s"] = round(self.fit_s, 3)
        observed = getattr(self.model, "stats", None)
        if observed is not None:
            # Under a key of their own: what a model says of itself must not pass for what was measured here.
            with failing_in("score"):
                values = {str(key): float(value) for key, value in observed().items()}
            cost["model_stats"] = {key: value if math.isfinite(value) else None for key, value in values.items()}
        return cost


def _rows(batch: Batch, start: int, stop: int) -> Batch:
    """Some clips of a batch."""
    rows = slice(start, stop)

    def some(context: Context) -> Context:
        observed = None if context.observed is None else context.observed[rows]
        return Context(context.frames[rows], context.times[rows], context.seeds[rows], observed)

    return Batch(
        context=some(batch.context),
        appearance=None if batch.appearance is None else some(batch.appearance),
        target_times=batch.target_times[rows],
        target=batch.target[rows],
        context_truth={name: value[rows] for name, value in batch.context_truth.items()},
        target_truth={name: value[rows] for name, value in batch.target_truth.items()},
    )


def rows_of(cell: Cell, dataset: Dataset) -> list[int]:
    """The clips of a cell, in order. Raises PluginError for ids against the contract."""
    return list(cell.task.rows(ids_of(cell.dataset, dataset, cell.split, cell.task.n_frames))[: cell.clips])


def asked_of(cell: Cell, dataset: Dataset) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The clips of a cell, and for a swap those whose looks they take on. A longer horizon may leave short clips out,
    so cells that differ in nothing but their horizon may still differ here."""
    rows = rows_of(cell, dataset)
    looks = partners(cell.task, dataset, cell.split, rows) if cell.task.kind == "swap" else ()
    return tuple(rows), tuple(looks)


def fitted_on(model: Provided[ModelSpec], provided: Provided[DatasetSpec], dataset: Dataset) -> str | None:
    """Fingerprint of what a model fits itself to before a run, for the identity of its cells; None if it does not."""
    if model.spec.learns != "statistics":
        return None
    return fingerprint_of(provided, dataset, "train")


def _first(n: int, ids: list[int], raw: Tensor, batch: Batch) -> dict[str, np.ndarray]:
    """Predictions to keep, copied: a view would hold the memory of the whole batch, and a model may reuse its own."""
    kept = {
        "predicted": raw,
        "target": batch.target,
        "context": batch.context.frames,
        "target_times": batch.target_times,
    }
    return {name: values[:n].cpu().numpy().copy() for name, values in kept.items()} | {"ids": np.asarray(ids[:n])}
