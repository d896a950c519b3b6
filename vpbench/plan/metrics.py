"""What is measured: metrics by name, and those that cannot be computed on a dataset."""

from __future__ import annotations

from collections.abc import Sequence

from ..config import did_you_mean
from ..errors import ConfigError, UnknownName, UsageError
from ..instances import Made, Metrics, make_metric
from ..protocols import Dataset
from ..registry import Provided, Registry
from ..settings import Settings
from ..specs import DatasetSpec
from .request import Request

DEFAULT = "default"  # the metrics that are on by default, where others are asked for too


def metrics_of(request: Request, registry: Registry, settings: Settings) -> tuple[Metrics, Metrics, list[str]]:
    """The metrics asked for (by default those that are on), all others, and notes on those that do not work."""
    asked = named_metrics(request.metrics, registry)
    chosen: dict[str, Made] = {}
    others: dict[str, Made] = {}
    notes: list[str] = []
    for name, provided in registry.metrics().items():
        on = name in asked or (provided.spec.default and not request.metrics)
        try:
            (chosen if on else others)[name] = make_metric(provided, settings.of(provided, bare=False))
        except ConfigError:
            raise
        except Exception as error:  # where nobody asked for it, it must not cost the run
            if name in asked:
                raise
            notes += [f"left out: {error}"] * on
    if not chosen:
        raise UsageError("; ".join([*notes, "no metric is installed: pip install vpbench-metrics"]))
    return {name: chosen[name] for name in asked or chosen}, others, notes


def named_metrics(names: Sequence[str], registry: Registry) -> list[str]:
    """The metrics that these are, in their order: each is a metric, a convention (all of its metrics) or "default".

    Raises UnknownName.
    """
    installed = registry.metrics()
    conventions = sorted({each.spec.convention for each in installed.values()})
    found: dict[str, None] = {}
    for name in names:
        if name == DEFAULT:
            group = [key for key, each in installed.items() if each.spec.default]
        elif name in installed:
            group = [name]
        else:
            group = [key for key, each in installed.items() if each.spec.convention == name]
        if not group:
            known = [*installed, *conventions]
            raise UnknownName(
                f"no metric or convention {name!r}; {did_you_mean(name, known)}"
                f"metrics: {', '.join(installed) or 'none'}; conventions: {', '.join(conventions) or 'none'}"
            )
        found |= dict.fromkeys(group)
    return list(found)


def not_computable(made: Made, provided: Provided[DatasetSpec], dataset: Dataset, horizon: int) -> str:
    """Why a metric cannot be computed on a dataset; empty if it can."""
    truth = {f"truth:{each.name}" for each in provided.spec.truth}
    spec, side = made.spec, min(dataset.info.frame_shape[1:])
    if missing := sorted(spec.needs - {"raw", "context"} - truth):
        return f"needs {', '.join(missing)}"
    if side < spec.min_size:
        return f"needs frames of {spec.min_size} pixels a side, {provided.spec.name} has {side}"
    if spec.window is not None and horizon < spec.window:
        return f"needs {spec.window} steps, the horizon is {horizon}"
    return made.why_not
