"""From specs to things: configs filled, datasets opened, metrics made. Whatever goes wrong says whose plugin it was."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from traceback import extract_tb
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
        lines = str(error).strip().splitlines()
        why = ": ".join([type(error).__name__, *(line[:200] for line in lines[:1])])
        last = extract_tb(error.__traceback__)[-1]
        raise PluginError(f"{whose}: {why} ({Path(last.filename).name}, line {last.lineno})") from error


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
