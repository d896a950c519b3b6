"""From specs to things: configs filled, datasets opened, metrics made. Whatever goes wrong says whose plugin it was."""

from __future__ import annotations

import contextlib
import inspect
import operator
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Any

import numpy as np

from .config import config_to_dict, make_config
from .errors import CellFailed, MetricFailed, PluginError, StorageError, VpbenchError, message_of
from .protocols import Dataset, DatasetInfo, Metric, SetMetric
from .registry import Provided
from .specs import DatasetSpec, MetricSpec, ModelSpec


def authoring() -> bool:
    """Whether a plugin author asked for tracebacks: VPBENCH_PLUGIN_ERRORS=raise."""
    return os.environ.get("VPBENCH_PLUGIN_ERRORS") == "raise"


@contextlib.contextmanager
def blaming(provided: Provided[Any], doing: str, when: str = "") -> Iterator[None]:
    """Whatever goes wrong in a plugin's code becomes a PluginError: one line that says whose it is, what it did, where.

    doing, when  "loss()", "at update 3"; the name of the thing comes between them
    """
    whose = f"{provided.source}: {doing} of {provided.spec.name}{when and ' ' + when}"
    try:
        yield
    except PluginError as error:
        raise PluginError(f"{whose}: {error}") from error
    except (VpbenchError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit too: research code calls sys.exit
        if authoring():
            error.add_note(whose)
            raise
        lines = message_of(error).splitlines()
        why = ": ".join([type(error).__name__, *(line[:200] for line in lines[:1])])
        last = extract_tb(error.__traceback__)[-1]
        raise PluginError(f"{whose}: {why} ({Path(last.filename).name}, line {last.lineno})") from error


@contextlib.contextmanager
def failing_in(phase: str) -> Iterator[None]:
    """Turn whatever goes wrong in other people's code into the failure of this cell, with its phase."""
    try:
        yield
    except (CellFailed, StorageError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit too: research code calls sys.exit
        if authoring():
            raise
        raise CellFailed(phase, error) from error


@contextlib.contextmanager
def measuring(metric: str) -> Iterator[None]:
    """As `failing_in` the phase score, of which metric being known."""
    try:
        with failing_in("score"):
            yield
    except MetricFailed:
        raise
    except CellFailed as failure:
        raise MetricFailed(metric, failure.__cause__ or failure) from failure.__cause__


def config_class(provided: Provided[Any]) -> type | None:
    """The config dataclass of a model, dataset or metric. Raises PluginError."""
    with blaming(provided, "config"):
        return provided.spec.load_config()


def configured(provided: Provided[Any], settings: Mapping[str, Any]) -> Any:
    """The config of a model, dataset or metric, defaults replaced by the settings. Raises ConfigError, PluginError."""
    found = config_class(provided)
    with blaming(provided, "config"):
        return make_config(found, settings, owner=provided.spec.name)


def make_model(spec: ModelSpec, config: Any, *, frame_shape: tuple[int, int, int], context_length: int) -> Any:
    """A new model; its first weights are of torch's random numbers.

    Raises PluginError where it cannot be made in the way that the contract says, and whatever the model raises.
    """
    factory = spec.load()
    arguments = {"frame_shape": frame_shape, "context_length": context_length}
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # of compiled code: the call shows
        return factory(config, **arguments)
    try:
        signature.bind(config, **arguments)
    except TypeError:
        wanted = "(config, *, frame_shape, context_length)"
        raise PluginError(
            f"{spec.name} must be made with {wanted}, and takes {signature}: change its __init__"
        ) from None
    return factory(config, **arguments)


def open_dataset(provided: Provided[DatasetSpec], config: Any) -> Dataset:
    """The dataset of this config. Raises DataError where its files are missing, PluginError."""
    with blaming(provided, "opening"):
        dataset = provided.spec.load()(config)
        if not isinstance(info := getattr(dataset, "info", None), DatasetInfo):
            raise PluginError(f"its info is {_named(info)}, the contract is a vpbench.DatasetInfo")
        return dataset


def ids_of(provided: Provided[DatasetSpec], dataset: Dataset, split: str, n_frames: int) -> Sequence[int]:
    """Ids of the clips of a split that have so many frames. Raises PluginError for what is no sequence of numbers."""
    with blaming(provided, "ids"):
        ids = dataset.ids(split, n_frames=n_frames)
        if not (hasattr(ids, "__len__") and hasattr(ids, "__getitem__")) or isinstance(ids, str | bytes | Mapping):
            raise PluginError(f"it gave {_named(ids)}, the contract is a sequence of whole numbers")
        if len(ids):
            try:
                operator.index(ids[0])
            except TypeError:
                raise PluginError(f"it gave {_named(ids[0])} for an id, the contract is whole numbers") from None
        return ids


def fingerprint_of(provided: Provided[DatasetSpec], dataset: Dataset, split: str) -> str:
    """Hash of what decides the frames of a split. Raises PluginError for what is no text."""
    with blaming(provided, "fingerprint"):
        found = dataset.fingerprint(split)
        if not isinstance(found, str) or not found:
            raise PluginError(f"it gave {found!r:.60}, the contract is a non-empty string")
        return found


@dataclass(frozen=True)
class Made:
    """A metric ready to measure."""

    provided: Provided[MetricSpec]
    metric: Metric | SetMetric
    config: Any = None  #: what it was made with

    @property
    def spec(self) -> MetricSpec:
        return self.provided.spec

    @property
    def key(self) -> str:
        """Its name among those of all distributions."""
        return f"{self.provided.distribution}/{self.spec.name}"

    @property
    def statistics(self) -> dict[str, str]:
        """Its statistics: bare name -> name in a record, which is unique among distributions."""
        return {name: f"{self.provided.distribution}/{name}" for name in self.spec.statistics}

    @property
    def settings(self) -> dict[str, Any]:
        """What differs from its default config, as JSON has it; empty for most metrics."""
        if self.config is None:
            return {}
        default = config_to_dict(configured(self.provided, {}))
        return {key: value for key, value in config_to_dict(self.config).items() if value != default[key]}

    def score(self, means: Mapping[str, np.ndarray]) -> np.ndarray:
        """`Metric.score`, its answer held to the contract: float64, as many values as there are means of each name."""
        assert not isinstance(self.metric, SetMetric)
        given = self.metric.score(means)
        expected = np.broadcast_shapes(*(np.shape(values) for values in means.values()))
        if not isinstance(given, np.ndarray | np.generic) or given.dtype.kind not in "fiub":
            raise PluginError(f"it gave {_named(given)}, the contract is a numpy array of numbers")
        if given.shape != expected:
            raise PluginError(f"it gave shape {given.shape} for means of shape {expected}, the contract is the same")
        return np.asarray(given, dtype=np.float64)

    @property
    def why_not(self) -> str:
        """Why it cannot be computed as it is configured; empty if it can."""
        told = getattr(self.metric, "why_not", None)
        if told is None:
            return ""
        with blaming(self.provided, "why_not()"):
            return one_line(told())


def one_line(told: Any) -> str:
    """What a plugin has to say, without line breaks. Raises PluginError for what is no text."""
    if not isinstance(told, str):
        raise PluginError(f"it gave {told!r:.60}, the contract is text, empty where there is nothing to say")
    return " ".join(told.split())


def _named(thing: Any) -> str:
    name = type(thing).__name__
    return "None" if thing is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


#: By name.
Metrics = Mapping[str, Made]


def make_metric(provided: Provided[MetricSpec], settings: Mapping[str, Any] | None = None) -> Made:
    """The metric, its default config changed by the settings. Raises ConfigError, PluginError."""
    config = configured(provided, settings or {})
    with blaming(provided, "making"):
        return Made(provided, provided.spec.load()(config), config)
