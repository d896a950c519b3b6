"""Grid files: what `vpbench run` is asked for, as TOML. Paths in it are relative to where the command runs.

models = ["latentode", "my_model.py:MyModel"]
horizons = [10, 90]
clips = 1000
set = ["latentode.solver=dopri5"]

[train]  # the models that learn weights, before they are evaluated: see `trained.TrainRequest`
budget = "3m"
"""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from .config import did_you_mean
from .errors import UsageError
from .plan import Request
from .trained import TrainRequest, read_train

#: Keys of the file -> fields of Request. They have the same names, but for one: "set" is no good name in Python.
FIELDS = {each.name: each.name for each in dataclasses.fields(Request) if each.name != "settings"} | {"set": "settings"}

#: Fields that hold several values, and the type of each.
_LISTS = {
    "models": str,
    "datasets": str,
    "metrics": str,
    "settings": str,
    "weights": str,
    "horizons": int,
    "seeds": int,
}


def read_grid(path: Path) -> dict[str, Any]:
    """Fields of a Request, from a file.

    Raises UsageError: not there, not TOML, an unknown key, a value of a wrong type.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read grid file {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"grid file {path} is not valid TOML: {error}") from error
    found: dict[str, Any] = {}
    for key, value in content.items():
        field = FIELDS.get(key.replace("-", "_"))
        if field is None:
            known = sorted(FIELDS)
            raise UsageError(
                f"grid file {path}: unknown key {key!r}; {did_you_mean(key, known)}known: {', '.join(known)}"
            )
        if field == "train":
            found[field] = _train(path, value)
            continue
        try:
            found[field] = _several(field, value) if field in _LISTS else _one(field, value)
        except TypeError as error:
            raise UsageError(f"grid file {path}: {key} must be {error}, got {value!r}") from error
    return found


def _train(path: Path, value: Any) -> TrainRequest:
    try:
        return TrainRequest(**read_train(value))
    except UsageError as error:
        raise UsageError(f"grid file {path}: {error}") from error


def _several(field: str, value: Any) -> tuple[Any, ...]:
    values, wanted = value if isinstance(value, list) else [value], _LISTS[field]
    if not all(type(each) is wanted for each in values):  # exactly: true is no int
        raise TypeError(f"a list of {wanted.__name__}")
    return tuple(Path(each) if field == "weights" else each for each in values)


def _one(field: str, value: Any) -> Any:
    default: Any = next(each.default for each in dataclasses.fields(Request) if each.name == field)
    wanted = str if isinstance(default, Path) else type(default)
    if type(value) is not wanted:
        raise TypeError(wanted.__name__)
    return Path(value) if isinstance(default, Path) else value
