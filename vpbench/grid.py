"""Grid files: what `vpbench run` is asked for, as TOML. Paths in it are relative to where the command runs.

models = ["latentode", "my_model.py:MyModel"]
horizons = [10, 90]
clips = 1000
set = ["latentode.solver=dopri5"]

[train]  # the models that learn weights, before they are evaluated: see `trained.TrainRequest`
budget = "3m"

A file may have several parts, tables [[grid]] with a name each. What a part says wins over what stands above the
parts, but for `set`, whose lines are added; its table [grid.train] likewise wins over [train]. Each part has a folder
of weights of its own, so that one model may be trained in several ways, unless its [grid.train] names one.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .config import did_you_mean
from .errors import UsageError
from .plan import Request
from .trained import FOLDER, TrainRequest, read_train

PARTS = "grid"  # the tables of a file with several parts
_PART = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

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
    """Fields of a Request, from a file without parts. Raises UsageError as `read_grids` does, and for a file with some.

    It is what asks one question; `read_grids` reads every file.
    """
    parts = read_grids(path)
    if "" not in parts:
        raise UsageError(f"grid file {path} has parts: name one of {', '.join(parts)}")
    return parts[""]


def read_grids(path: Path, only: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Fields of a Request by the name of each part, in order; of a file without parts, by the empty name.

    only  names of the parts that are wanted; none: all

    Raises UsageError: not there, not TOML, an unknown key or part, a value of a wrong type.
    """
    content = _content(path)
    written = content.pop(PARTS, None)
    if written is None:
        if only:
            raise UsageError(f"grid file {path} has no parts, asked for {', '.join(only)}")
        return {"": _fields(path, content)}
    if not isinstance(written, list) or not all(isinstance(each, dict) for each in written) or not written:
        raise UsageError(f"grid file {path}: {PARTS} must be tables, write [[{PARTS}]]")
    parts: dict[str, dict[str, Any]] = {}
    for table in written:
        name = table.pop("name", None)
        if not isinstance(name, str) or not _PART.fullmatch(name):
            wanted = "a name of lower case letters, digits and dashes"
            raise UsageError(f"grid file {path}: each [[{PARTS}]] needs {wanted}, got {name!r}")
        if name in parts:
            raise UsageError(f"grid file {path} has two parts {name!r}: give each a name of its own")
        # A part that names a folder of weights shares it with whoever names it, too: one training, several questions.
        own_folder = isinstance(train := table.get("train"), dict) and "weights" in train
        parts[name] = _fields(path, _joined(path, content, table), "" if own_folder else name)
    if unknown := [name for name in only if name not in parts]:
        close = did_you_mean(unknown[0], parts)
        raise UsageError(f"grid file {path} has no part {unknown[0]!r}; {close}it has {', '.join(parts)}")
    return {name: fields for name, fields in parts.items() if not only or name in only}


def _joined(path: Path, shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What a part asks for: what all parts have alike, and what it says itself."""
    found = {**shared, **own}
    lines = [table["set"] for table in (shared, own) if "set" in table]
    if lines:
        found["set"] = [line for each in lines for line in (each if isinstance(each, list) else [each])]
    try:
        tables = [read_train(table["train"]) for table in (shared, own) if "train" in table]
    except UsageError as error:
        raise UsageError(f"grid file {path}: {error}") from error
    if tables:
        found["train"] = {key: value for table in tables for key, value in table.items()}
    return found


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read grid file {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"grid file {path} is not valid TOML: {error}") from error


def _fields(path: Path, content: Mapping[str, Any], part: str = "") -> dict[str, Any]:
    """Fields of a Request, checked; the weights of a part lie in a folder of its name."""
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
    if part and "train" in found:
        folder = found["train"].weights or Path(found.get("results", Request.results)) / FOLDER
        found["train"] = found["train"].but(weights=folder / part)
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
