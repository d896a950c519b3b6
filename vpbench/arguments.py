"""What a Python call asks for, as a `Request`: one value or several, plain types, one line for what does not fit."""

from __future__ import annotations

import dataclasses
import json
import operator
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .config import did_you_mean
from .errors import UsageError
from .grid import read_grids
from .plan import Request
from .trained import TrainRequest, read_train

_TEXTS = ("models", "datasets", "metrics")
_NUMBERS = ("horizons", "seeds")
_NUMBER = ("context", "clips", "batch_size", "keep_predictions")
_TEXT = ("precision", "rerun", "task", "in_time")
_FLAGS = ("exhibit", "allow_untrained")


def request_of(grid: str | Path | None = None, **asked: Any) -> Request:
    """The one request of `requests_of`. Raises UsageError for a grid file with several parts, too."""
    requests = requests_of(grid, **asked)
    if len(requests) > 1:
        raise UsageError(f"grid file {grid} has several parts: name one of {', '.join(requests)}")
    return next(iter(requests.values()))


def requests_of(grid: str | Path | None = None, part: Any = (), **asked: Any) -> dict[str, Request]:
    """A Request of values as people write them; those that are None are not given.

    grid   a TOML file (see `grid`) whose values hold where nothing is given; for each of its parts a request
    part   names of the parts that are wanted; none: all
    asked  fields of `Request`; where it has several values, one or an iterable of them. settings: a mapping, a line
           "key=value", or several lines; device: also a torch.device; train: a budget, or a mapping of what the table
           [train] of a grid file holds

    Raises UsageError: an unknown name, a value of a wrong type.
    """
    known = [each.name for each in dataclasses.fields(Request)]
    if unknown := [name for name in asked if name not in known]:
        raise UsageError(
            f"no argument {unknown[0]!r}; {did_you_mean(unknown[0], known)}there is: {', '.join(sorted(known))}"
        )
    given = {name: _read(name, value) for name, value in asked.items() if value is not None}
    given = {name: value for name, value in given.items() if value != ()}
    parts = (
        read_grids(Path(grid), tuple(text("part", each) for each in several(part))) if grid is not None else {"": {}}
    )
    return {name: _request(written, given) for name, written in parts.items()}


def _request(written: Mapping[str, Any], given: Mapping[str, Any]) -> Request:
    """What is given wins over what is written."""
    if "train" in given:
        given = {**given, "train": written.get("train", TrainRequest()).but(**given["train"])}
    return Request(**{**written, **given})


def _read(name: str, value: Any) -> Any:
    if name in _TEXTS:
        return tuple(text(name, each) for each in several(value))
    if name in _NUMBERS:
        return tuple(whole(name, each) for each in several(value))
    if name in _NUMBER:
        return whole(name, value)
    if name == "weights":
        return tuple(_path(name, each) for each in several(value))
    if name == "settings":
        return setting_lines(value)
    if name == "results":
        return _path(name, value)
    if name in _FLAGS:
        if not isinstance(value, bool):
            raise UsageError(f"{name} must be True or False, got {value!r}")
        return value
    if name == "device":
        return str(value)
    if name == "train":
        return read_train(value)
    assert name in _TEXT
    return text(name, value)


def several(value: Any) -> list[Any]:
    """One value, or those of a list, tuple, range or the like."""
    if isinstance(value, str | bytes | Mapping) or callable(value) or not isinstance(value, Iterable):
        return [value]
    return list(value)


def text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{name} must be text, got {value!r}")
    return value


def whole(name: str, value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)  # also of numpy
    except TypeError:
        raise UsageError(f"{name} must be a whole number, got {value!r}") from None


def _path(name: str, value: Any) -> Path:
    try:
        return Path(value)
    except TypeError:
        raise UsageError(f"{name} must be a path, got {value!r}") from None


def setting_lines(value: Any) -> tuple[str, ...]:
    """Lines "key=value" of a mapping, a line or several."""
    if isinstance(value, Mapping):
        return tuple(f"{text('a key of settings', key)}={_written(each)}" for key, each in value.items())
    return tuple(text("a line of settings", each) for each in several(value))


def _written(value: Any) -> str:
    """A value as --set takes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return json.dumps(list(value), default=lambda each: each.item() if hasattr(each, "item") else str(each))
    return str(value)
