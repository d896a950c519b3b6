"""From specs to things: configs filled, datasets opened, metrics made. Whatever goes wrong says whose plugin it was."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from .config import make_config
from .errors import PluginError, VpbenchError
from .protocols import Dataset, Metric
from .registry import Provided
from .specs import DatasetSpec, MetricSpec


def authoring() -> bool:
    """Whether a plugin author asked for tracebacks: VPBENCH_PLUGIN_ERRORS=raise."""
    return os.environ.get("VPBENCH_PLUGIN_ERRORS") == "raise"


@contextlib.contextmanager
def blaming(provided: Provided[Any], doing: str) -> Iterator[None]:
    """Turn whatever a plugin's code raises into a PluginError of one line that names the plugin."""
    try:
        yield
    except (VpbenchError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit too: research code calls sys.exit
        if authoring():
            raise
        lines = str(error).strip().splitlines()
        why = ": ".join([type(error).__name__, *lines[:1]])
        raise PluginError(f"{provided.source}: {doing} of {provided.spec.name}: {why}") from error


def config_class(provided: Provided[Any]) -> type | None:
    """The config dataclass of a model, dataset or metric. Raises PluginError."""
    with blaming(provided, "config"):
        return provided.spec.load_config()


def configured(provided: Provided[Any], settings: Mapping[str, Any]) -> Any:
    """The config of a model, dataset or metric, defaults replaced by the settings. Raises ConfigError, PluginError."""
    found = config_class(provided)
    with blaming(provided, "config"):
        return make_config(found, settings, owner=provided.spec.name)


def open_dataset(provided: Provided[DatasetSpec], config: Any) -> Dataset:
    """The dataset of this config. Raises DataError where its files are missing, PluginError."""
    with blaming(provided, "opening"):
        return provided.spec.load()(config)


def make_metric(provided: Provided[MetricSpec]) -> Metric:
    """The metric in its default config. Raises PluginError."""
    config = configured(provided, {})
    with blaming(provided, "making"):
        return provided.spec.load()(config)
