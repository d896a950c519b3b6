"""One cell: predict clips, measure them, and keep what was measured per clip and step.

A cell is evaluated in shards, each a range of clip ids that yields a `Partial`. Merging partials is order-free and
gives what one run over all ids would have given, because nothing is averaged before `summarise`. Frames never pile up:
of a clip there remain a handful of numbers per step.
"""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import device as devices
from . import stats
from .batches import Batch, in_parts, prefetched, read_batch
from .config import config_to_dict
from .errors import CellFailed, ModelFailed, PluginError, StorageError, WeightsError
from .progress import Progress
from .protocols import Clips, Dataset, Fittable, Oracle, Scored
from .registry import Provided
from .results import identity_of
from .specs import DatasetSpec, MetricSpec, ModelSpec
from .tasks import Task
from .weights import WeightsFile, load_into

FIT_CLIPS, FIT_FRAMES, FIT_BATCH = 2000, 20, 100  # what a model that learns statistics sees of the train split
PROBE_CLIPS, PROBE_HORIZON = 2, 10  # for the estimate of time
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

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What is hashed into the name of the record."""
        return identity_of(
            model={
                "name": self.model.spec.name,
                "version": self.model.spec.version,
                "config": config_to_dict(self.config),
                "weights_sha256": self.weights.sha256 if self.weights else None,
            },
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
    def trained(self) -> bool:
        """False for a model that learns weights and has none."""
        return self.weights is not None or self.model.spec.learns != "weights"

    def __str__(self) -> str:
        return f"{self.model.spec.name} on {self.dataset.spec.name} {self.task}"


@dataclass(frozen=True)
class Partial:
    """What was measured on some clips."""

    ids: tuple[int, ...]
    statistics: Mapping[str, np.ndarray]  #: "<distribution>/<statistic>" -> float64 (n, T), rows as ids
    predict_s: float  #: seconds spent in predict
    out_of_range: float = 0.0  #: number of predicted values outside [0, 1]
    kept: Mapping[str, np.ndarray] = field(default_factory=dict)  #: predictions of the first clips, if asked for

    @property
    def steps(self) -> int:
        return next(iter(self.statistics.values())).shape[1]


def merge(partials: Sequence[Partial]) -> Partial:
    """One partial of all clips, sorted by id; the order of the parts does not matter. ValueError for a clip twice."""
    ids = np.concatenate([np.asarray(part.ids, dtype=np.int64) for part in partials])
    order = np.argsort(ids, kind="stable")
    if len(np.unique(ids)) != len(ids):
        raise ValueError("some clips are in more than one partial")
    kept = [part for part in partials if part.kept]
    kept.sort(key=lambda part: part.ids)
    return Partial(
        ids=tuple(int(i) for i in ids[order]),
        statistics={
            name: np.concatenate([part.statistics[name] for part in partials])[order] for name in partials[0].statistics
        },
        predict_s=sum(part.predict_s for part in partials),
        out_of_range=sum(part.out_of_range for part in partials),
        kept={name: np.concatenate([part.kept[name] for part in kept]) for name in kept[0].kept} if kept else {},
    )


def summarise(
    partial: Partial, metrics: Mapping[str, tuple[Provided[MetricSpec], Any]], horizon: int
) -> tuple[dict[str, dict[str, Any]], dict[str, np.ndarray]]:
    """Scores and per-clip statistics of the first `horizon` steps, as a record stores them.

    Raises CellFailed (phase score) where a metric gives no finite score although it has values.
    """
    cut = {name: values[:, :horizon] for name, values in partial.statistics.items()}
    per_clip = {name: stats.mean_over_steps(values) for name, values in cut.items()}
    scores = {}
    for name, (provided, metric) in metrics.items():
        spec = provided.spec
        keys = [f"{provided.distribution}/{statistic}" for statistic in spec.statistics]
        bare = dict(zip(spec.statistics, keys, strict=True))
        with failing_in("score"):
            score = stats.interval({short: per_clip[key] for short, key in bare.items()}, metric.score)
            steps, stderr = stats.score_per_step({short: cut[key] for short, key in bare.items()}, metric.score)
        scores[name] = {
            "version": spec.version,
            "definition": spec.definition,
            "unit": spec.unit,
            "convention": spec.convention,
            "higher_is_better": spec.higher_is_better,
            "distribution": provided.distribution,
            "statistics": keys,
            "value": score.value,
            "low": score.low,
            "high": score.high,
            "n": len(partial.ids),
            "per_step": steps.tolist(),
            "per_step_stderr": stderr.tolist(),
        }
    return scores, per_clip


@contextlib.contextmanager
def failing_in(phase: str) -> Iterator[None]:
    """Turn whatever goes wrong in other people's code into the failure of this cell, with its phase."""
    try:
        yield
    except (CellFailed, StorageError):
        raise
    except Exception as error:
        raise CellFailed(phase, error) from error


class Evaluation:
    """A cell made ready: dataset open, model built, weights in it, metrics made. Raises CellFailed."""

    def __init__(
        self,
        cell: Cell,
        dataset: Dataset,
        metrics: Mapping[str, tuple[Provided[MetricSpec], Any]],
        *,
        device: torch.device,
        batch_size: int,
        keep: int = 0,
    ) -> None:
        self.cell, self.dataset, self.metrics = cell, dataset, metrics
        self.device, self.batch_size, self.keep = device, batch_size, keep
        self.per_frame = frozenset(f.name for f in cell.dataset.spec.truth if f.per == "frame")
        self.fit_s = 0.0
        self.said: list[str] = []
        with failing_in("load"):
            self.model = self._build()
        if cell.model.spec.learns == "statistics":
            with failing_in("fit"):
                self._fit()

    def _build(self) -> Any:
        cell = self.cell
        torch.manual_seed(cell.seed)  # of untrained weights, where those are allowed
        model = cell.model.spec.load()(
            cell.config, frame_shape=self.dataset.info.frame_shape, context_length=cell.task.context
        )
        if cell.weights:
            if not isinstance(model, nn.Module):
                raise WeightsError(f"{cell.model.spec.name} is no torch Module, so it can take no weights")
            load_into(model, cell.weights.path)
        return model.to(self.device).eval() if isinstance(model, nn.Module) else model

    def _fit(self) -> None:
        """Give the model a fixed selection of the train split, spread over all of it."""
        if not isinstance(self.model, Fittable):
            raise PluginError(f"{self.cell.model.spec.name} learns statistics, so it must have fit(clips)")
        length = min(FIT_FRAMES, self.dataset.info.max_length or FIT_FRAMES)
        ids = self.dataset.ids("train", n_frames=length)
        n = min(FIT_CLIPS, len(ids))
        chosen = [ids[k * len(ids) // n] for k in range(n)]

        def read(part: list[int]) -> Clips:
            return self.dataset.clips("train", part, np.tile(np.arange(float(length)), (len(part), 1)))

        start = time.perf_counter()
        self.model.fit(prefetched(read, in_parts(chosen, FIT_BATCH)))
        self.fit_s = time.perf_counter() - start

    # ------------------------------------------------------------------------------------------------------ prediction

    def __call__(self, ids: Sequence[int], progress: Progress | None = None) -> Partial:
        """Predict and measure these clips. Raises CellFailed; memory does not grow with their number."""
        batches = in_parts(ids, self.batch_size)
        parts = []
        for batch in prefetched(self._read, batches):
            if not parts and self.device.type == "cuda":
                self._predict(batch)  # kernels are chosen and compiled on first use: not part of the timing
            part = self._evaluate(batch, first=sum(len(p.ids) for p in parts))
            parts.append(part)
            if progress:
                progress.advance(len(part.ids), self._note(parts))
        return merge(parts)

    def _read(self, ids: list[int]) -> tuple[list[int], Batch]:
        task = self.cell.task
        steps = torch.arange(1, task.horizon + 1).expand(len(ids), -1)
        with failing_in("data"):
            return ids, read_batch(
                self.dataset, self.cell.split, ids, task.context, steps, self.device, self.cell.seed, self.per_frame
            )

    def _evaluate(self, read: tuple[list[int], Batch], first: int) -> Partial:
        ids, batch = read
        devices.synchronize(self.device)
        start = time.perf_counter()
        raw = self._predict(read)
        devices.synchronize(self.device)
        predict_s = time.perf_counter() - start
        predicted = raw.clamp(0, 1)
        outside = ((raw < -OUT_OF_RANGE) | (raw > 1 + OUT_OF_RANGE)).sum().item()
        scored = Scored(
            predicted=predicted, target=batch.target, raw=raw, context=batch.context, truth=batch.target_truth
        )
        n = max(0, min(self.keep - first, len(ids)))
        kept = {}
        if n:
            kept = {
                "predicted": raw[:n].cpu().numpy(),
                "target": batch.target[:n].cpu().numpy(),
                "context": batch.context.frames[:n].cpu().numpy(),
                "target_times": batch.target_times[:n].numpy(),
                "ids": np.asarray(ids[:n]),
            }
        return Partial(tuple(ids), self._measure(scored), predict_s, outside, kept)

    def _predict(self, read: tuple[list[int], Batch]) -> Tensor:
        """float32 (B, Tt, C, H, W), checked. On a GPU that is too small the batch is halved, and that is said."""
        _, batch = read
        try:
            with failing_in("predict"):
                return self._checked(self._ask(batch), batch)
        except CellFailed as failure:
            too_large = isinstance(failure.__cause__, torch.OutOfMemoryError) and self.device.type == "cuda"
            if not too_large or len(batch.target) == 1:
                raise
            torch.cuda.empty_cache()
        half = (len(batch.target) + 1) // 2
        self.batch_size = half
        self.said.append(f"out of GPU memory: batches of {half} from here on")
        return torch.cat([self._predict(([], part)) for part in (_rows(batch, 0, half), _rows(batch, half, None))])

    def _ask(self, batch: Batch) -> Any:
        mode = torch.enable_grad() if self.cell.model.spec.fits_at_test else torch.inference_mode()
        with mode, devices.precision(self.device, self.cell.precision):
            if isinstance(self.model, Oracle) and self.cell.model.spec.role == "ceiling":
                return self.model.predict_knowing(batch.context, batch.target_times, truth=batch.context_truth)
            return self.model.predict(batch.context, batch.target_times)

    def _checked(self, predicted: Any, batch: Batch) -> Tensor:
        name = self.cell.model.spec.name
        if not isinstance(predicted, Tensor):
            raise ModelFailed(f"{name} returned a {type(predicted).__name__}, the contract is a torch tensor")
        if predicted.shape != batch.target.shape:
            raise ModelFailed(f"{name} returned shape {tuple(predicted.shape)}, asked for {tuple(batch.target.shape)}")
        if not predicted.is_floating_point():
            raise ModelFailed(f"{name} returned {predicted.dtype}, the contract is a floating point tensor in [0, 1]")
        predicted = predicted.detach().to(self.device, torch.float32)
        finite = predicted.isfinite().flatten(2).all(dim=2).all(dim=0)
        if not finite.all():
            step = int((~finite).nonzero()[0]) + 1
            raise ModelFailed(f"{name} predicted NaN or infinity, first at step {step} of {len(finite)}")
        return predicted

    def _measure(self, scored: Scored) -> dict[str, np.ndarray]:
        """Statistics of all metrics, each named one once: "<distribution>/<statistic>" -> float64 (B, Tt)."""
        found: dict[str, np.ndarray] = {}
        shape = scored.target.shape[:2]
        for name, (provided, metric) in self.metrics.items():
            keys = {statistic: f"{provided.distribution}/{statistic}" for statistic in provided.spec.statistics}
            if found.keys() >= set(keys.values()):
                continue
            with failing_in("score"), torch.inference_mode():
                statistics = metric.statistics(scored)
                for statistic, key in keys.items():
                    value = statistics[statistic]
                    if tuple(value.shape) != tuple(shape):
                        raise PluginError(
                            f"metric {name} of {provided.source} gave {statistic} of shape {tuple(value.shape)}, "
                            f"the contract is {tuple(shape)}"
                        )
                    found[key] = value.detach().double().cpu().numpy()
                    if np.isinf(found[key]).any():
                        raise PluginError(f"metric {name} of {provided.source} gave an infinite {statistic}")
        return found

    def _note(self, parts: Sequence[Partial]) -> str:
        frames = sum(len(p.ids) for p in parts) * self.cell.task.horizon
        spent = sum(p.predict_s for p in parts)
        return f"{frames / spent:.0f} frames/s" if spent else ""

    # ------------------------------------------------------------------------------------------------------------ cost

    def probe(self) -> float:
        """Seconds that a clip will take, estimated from a short prediction of black frames."""
        task = self.cell.task
        horizon = min(task.horizon, PROBE_HORIZON)
        steps = torch.arange(1, horizon + 1).expand(PROBE_CLIPS, -1)
        ids = list(self.dataset.ids(self.cell.split, n_frames=task.n_frames)[:PROBE_CLIPS])
        with failing_in("data"):
            batch = read_batch(
                self.dataset,
                self.cell.split,
                ids,
                task.context,
                steps[: len(ids)],
                self.device,
                self.cell.seed,
                self.per_frame,
            )
        self._predict((ids, batch))
        start = time.perf_counter()
        self._predict((ids, batch))
        devices.synchronize(self.device)
        return (time.perf_counter() - start) / len(ids) * (task.horizon / horizon)

    def cost(self, partial: Partial, horizon: int) -> dict[str, Any]:
        """What the prediction took; of a shared rollout, measured over the whole of it."""
        parameters = sum(p.numel() for p in self.model.parameters()) if isinstance(self.model, nn.Module) else 0
        frames = len(partial.ids) * partial.steps
        cost: dict[str, Any] = {
            "frames_per_s": round(frames / partial.predict_s, 2) if partial.predict_s else None,
            "predict_s": round(partial.predict_s, 4),
            "rollout_horizon": partial.steps,
            "batch_size": self.batch_size,
            "parameters": parameters,
            "peak_memory_mb": round(devices.peak_memory_mb(self.device), 1),
            "out_of_range_share": partial.out_of_range / max(1, frames * int(np.prod(self.dataset.info.frame_shape))),
        }
        if self.cell.model.spec.learns == "statistics":
            cost["fit_s"] = round(self.fit_s, 3)
        observed = getattr(self.model, "stats", None)
        if observed is not None:
            with failing_in("score"):
                cost |= {str(key): float(value) for key, value in observed().items()}
        return cost


def _rows(batch: Batch, start: int, stop: int | None) -> Batch:
    """Some clips of a batch."""
    rows = slice(start, stop)
    context = batch.context
    observed = None if context.observed is None else context.observed[rows]
    return Batch(
        context=type(context)(context.frames[rows], context.times[rows], context.seeds[rows], observed),
        target_times=batch.target_times[rows],
        target=batch.target[rows],
        context_truth={name: value[rows] for name, value in batch.context_truth.items()},
        target_truth={name: value[rows] for name, value in batch.target_truth.items()},
    )


def software(*provided: Provided[Any]) -> dict[str, Any]:
    """Versions of everything that had a hand in a number."""
    from importlib.metadata import version

    return {
        "vpbench": version("vpbench"),
        "plugins": {each.distribution: each.version for each in sorted(provided, key=lambda each: each.distribution)},
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
