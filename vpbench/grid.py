"""Grid files: what `vpbench run` is asked for, as TOML.

models = ["latentode", "my_model.py:MyModel"]
horizons = [10, 90]
clips = 1000
set = ["latentode.solver=dopri5"]
"""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from .config import did_you_mean
from .errors import UsageError
from .runner import Request

#: Names in the file that differ from the fields of Request.
_FIELDS = {"set": "settings"}
_LISTS = {
    "models": str,
    "datasets": str,
    "metrics": str,
    "settings": str,
    "weights": str,
    "horizons": int,
    "seeds": int,
}
_CHOICES = {"rerun": ("missing", "failed", "all")}


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
    names = {each.name for each in dataclasses.fields(Request)}
    known = sorted((names - set(_FIELDS.values())) | _FIELDS.keys())
    found = {}
    for key, value in content.items():
        name = _FIELDS.get(key, key.replace("-", "_"))
        if name not in names or key in _FIELDS.values():
            raise UsageError(
                f"grid file {path}: unknown key {key!r}; {did_you_mean(key, known)}known: {', '.join(known)}"
            )
        found[name] = _value(path, key, name, value)
    return found


def _value(path: Path, key: str, name: str, value: Any) -> Any:
    if name in _LISTS:
        wanted = _LISTS[name]
        values = value if isinstance(value, list) else [value]
        if not all(type(each) is wanted for each in values):
            raise UsageError(f"grid file {path}: {key} must be a list of {wanted.__name__}, got {value!r}")
        return tuple(Path(each) for each in values) if name == "weights" else tuple(values)
    default = next(each.default for each in dataclasses.fields(Request) if each.name == name)
    wanted = str if isinstance(default, Path) else type(default)
    if type(value) is not wanted:
        raise UsageError(f"grid file {path}: {key} must be {wanted.__name__}, got {value!r}")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise UsageError(f"grid file {path}: {key} must be one of {', '.join(_CHOICES[name])}, got {value!r}")
    return Path(value) if isinstance(default, Path) else value
