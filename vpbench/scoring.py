"""From predictions to scores: what is measured of a batch, how parts are merged, and what a record stores of it.

Nothing is averaged before `summarise`, so merging is order-free and equals one run over all clips. Of a clip there
remain a handful of numbers per step, and for distances between sets its features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from . import stats
from .errors import PluginError
from .instances import Made, Metrics, blaming, failing_in, measuring
from .protocols import Scored, SetMetric


@dataclass(frozen=True)
class Partial:
    """What was measured on some clips."""

    ids: tuple[int, ...]
    steps: int  #: target frames per clip
    statistics: Mapping[str, np.ndarray]  #: "<distribution>/<statistic>" -> float64 (n, T), rows as ids
    predict_s: float = 0.0  #: seconds spent in predict
    out_of_range: int = 0  #: number of predicted values outside [0, 1]
    kept: Mapping[str, np.ndarray] = field(default_factory=dict)  #: predictions of the first clips, if asked for
    features: Mapping[str, np.ndarray] = field(default_factory=dict)
    #: "<distribution>/<set metric>" -> float32 (n, stretches, 2, D): of predictions, and of the truth


def measure(scored: Scored, metrics: Metrics) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Statistics and features of a batch, named and shaped as in `Partial`; each statistic is computed once.

    Raises MetricFailed for a metric that fails, or gives infinity or another shape than the contract's.
    """
    statistics: dict[str, np.ndarray] = {}
    features: dict[str, np.ndarray] = {}
    for name, made in metrics.items():
        with measuring(name), torch.inference_mode():
            if made.spec.window is not None:
                features[made.key] = _features(scored, made, made.spec.window)
            elif not statistics.keys() >= set(made.statistics.values()):
                statistics |= _statistics(scored, made)
    return statistics, features


def _statistics(scored: Scored, made: Made) -> dict[str, np.ndarray]:
    shape = tuple(scored.target.shape[:2])
    found = {}
    assert not isinstance(made.metric, SetMetric)
    with blaming(made.provided, "statistics"):
        given = made.metric.statistics(scored)
        if not isinstance(given, Mapping):
            raise PluginError(f"it gave a {type(given).__name__}, the contract is a mapping of names to tensors")
        for name, key in made.statistics.items():
            if not isinstance(given.get(name), torch.Tensor) or given[name].is_complex():
                there = f"{name} as {type(given[name]).__name__}" if name in given else f"no {name}"
                raise PluginError(f"it gave {there}, the contract is a real tensor {shape} of each name in the spec")
            if tuple(given[name].shape) != shape:
                raise PluginError(f"it gave {name} of shape {tuple(given[name].shape)}, the contract is {shape}")
            found[key] = given[name].detach().double().cpu().numpy()
            if np.isinf(found[key]).any():
                raise PluginError(f"it gave an infinite {name}")
    return found


def _features(scored: Scored, made: Made, window: int) -> np.ndarray:
    """float32 (B, stretches, 2, D)."""
    assert isinstance(made.metric, SetMetric)
    clips, steps = scored.target.shape[:2]
    parts = []
    with blaming(made.provided, "features"):
        for start in range(0, steps - window + 1, window):
            stretch = slice(start, start + window)
            pair = [made.metric.features(frames[:, stretch]) for frames in (scored.predicted, scored.target)]
            both = torch.stack(pair, dim=1).float().cpu()
            if both.ndim != 3 or len(both) != clips:
                raise PluginError(f"it gave features of shape {tuple(pair[0].shape)}, the contract is ({clips}, D)")
            if not both.isfinite().all():
                raise PluginError("it gave features that are not finite")
            parts.append(both.numpy())
    return np.stack(parts, axis=1) if parts else np.empty((clips, 0, 2, 0), dtype=np.float32)


def only(partial: Partial, metrics: Metrics) -> Partial:
    """What of a partial these metrics are made of: one that failed on a later batch is not in all parts."""
    keys = {key for made in metrics.values() for key in (*made.statistics.values(), made.key)}
    return replace(
        partial,
        statistics={key: values for key, values in partial.statistics.items() if key in keys},
        features={key: values for key, values in partial.features.items() if key in keys},
    )


def merge(partials: Sequence[Partial], ids: Sequence[int]) -> Partial:
    """One partial of the clips `ids`, rows in their order; the order of the parts does not matter.

    Raises ValueError unless each of the clips is in exactly one part, and all parts hold the same statistics and steps.
    """
    rows = {int(clip): row for row, clip in enumerate(ids)}
    there = [clip for part in partials for clip in part.ids]
    if sorted(there) != sorted(int(clip) for clip in ids) or len(rows) != len(there) or not there:
        raise ValueError(f"the parts hold {len(there)} clips, each of these {len(ids)} is needed once")
    if len({(part.steps, *sorted(part.statistics), *sorted(part.features)) for part in partials}) > 1:
        raise ValueError("the parts hold different statistics or steps")
    order = np.argsort([rows[clip] for clip in there])
    kept = [part.kept for part in partials if part.kept]
    together = {name: np.concatenate([each[name] for each in kept]) for name in kept[0]} if kept else {}
    kept_order = np.argsort([rows[int(clip)] for clip in together.get("ids", ())])
    first = partials[0]
    return Partial(
        ids=tuple(rows),
        steps=first.steps,
        statistics={k: np.concatenate([part.statistics[k] for part in partials])[order] for k in first.statistics},
        predict_s=math.fsum(part.predict_s for part in partials),
        out_of_range=sum(part.out_of_range for part in partials),
        kept={name: values[kept_order] for name, values in together.items()},
        features={k: np.concatenate([part.features[k] for part in partials])[order] for k in first.features},
    )


def over_steps(partial: Partial, metrics: Metrics, horizon: int) -> dict[str, np.ndarray]:
    """Each statistic of each clip over its first `horizon` steps, float64 (n,), as a record stores it.

    Raises CellFailed (phase score) where two metrics want the mean and the sum of one statistic.
    """
    found: dict[str, np.ndarray] = {}
    summed: dict[str, str] = {}
    for made in metrics.values():
        for key in made.statistics.values():
            with failing_in("score"), blaming(made.provided, "over_steps"):
                if summed.setdefault(key, made.spec.over_steps) != made.spec.over_steps:
                    raise PluginError(f"{key} is a mean over steps for one metric and a sum for another")
            means = stats.mean_over_steps(partial.statistics[key][:, :horizon])
            found[key] = means * horizon if made.spec.over_steps == "sum" else means
    return found


def summarise(
    partial: Partial, metrics: Metrics, horizon: int
) -> tuple[dict[str, dict[str, Any]], dict[str, np.ndarray]]:
    """Scores and per-clip statistics of the first `horizon` steps, as a record stores them.

    A score is NaN where nothing was applicable. Raises MetricFailed where a metric fails or gives infinity.
    """
    per_clip = over_steps(partial, metrics, horizon)
    scores = {}
    for name, made in metrics.items():
        with measuring(name), blaming(made.provided, "score" if made.spec.window is None else "distance"):
            found = (
                _score(partial, made, per_clip, horizon)
                if made.spec.window is None
                else _distance(partial, made, made.spec.window, horizon)
            )
            values = (found["value"], found["low"], found["high"], *found["per_step"])
            if np.isinf(np.array(values, dtype=np.float64)).any():
                raise PluginError("it gave an infinite score")
        scores[name] = {**described(made), **found, "n": len(partial.ids)}
    return scores, per_clip


def described(made: Made) -> dict[str, Any]:
    """What a record says of a metric, beside its values."""
    spec = made.spec
    return {
        "version": spec.version,
        "definition": spec.definition,
        "unit": spec.unit,
        "convention": spec.convention,
        "higher_is_better": spec.higher_is_better,
        "ranks": spec.ranks,
        "ideal": spec.ideal,
        "mean_optimal": spec.mean_optimal,
        "over_steps": spec.over_steps,
        "config": made.settings,
        "distribution": made.provided.distribution,
        "statistics": list(made.statistics.values()),
    }


def _score(partial: Partial, made: Made, per_clip: Mapping[str, np.ndarray], horizon: int) -> dict[str, Any]:
    assert not isinstance(made.metric, SetMetric)
    keys = made.statistics
    score = stats.interval({short: per_clip[key] for short, key in keys.items()}, made.score)
    cut = {short: partial.statistics[key][:, :horizon] for short, key in keys.items()}
    steps, stderr = stats.score_per_step(cut, made.score)
    return {**score._asdict(), "per_step": steps.tolist(), "per_step_stderr": stderr.tolist()}


def _distance(partial: Partial, made: Made, window: int, horizon: int) -> dict[str, Any]:
    """No interval: a resample holds some clips twice, which makes the two sets look further apart than they are."""
    assert isinstance(made.metric, SetMetric)
    features = partial.features[made.key][:, : horizon // window].astype(np.float64)
    predicted, target = (features[:, :, which].reshape(-1, features.shape[-1]) for which in (0, 1))
    value = float(made.metric.distance(predicted, target)) if len(predicted) else math.nan
    return {"value": value, "low": math.nan, "high": math.nan, "per_step": [], "per_step_stderr": []}
