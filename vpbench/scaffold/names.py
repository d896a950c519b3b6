"""What a new plugin may be called: one name that has to work on boards, in paths, for pip and for Python."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Callable, Mapping
from importlib.machinery import PathFinder
from typing import Any, NamedTuple

from ..errors import UnknownName, UsageError
from ..registry import Provided, Registry
from ..specs import Spec

#: It becomes names of folders and files, which most systems limit to 255 bytes, together with what is appended.
LONGEST = 60

#: Classes that the templates bring along, and what Python keeps for itself.
_CLASSES = ("Config", "None", "True", "False")


class Names(NamedTuple):
    """The forms of one name."""

    plugin: str  #: "slow-motion": of the model, dataset or metric, of its distribution and its entry point
    package: str  #: "slow_motion"
    class_name: str  #: "SlowMotion"


def names_for(kind: str, name: str, registry: Registry) -> Names:
    """The names that a new model, dataset or metric goes by.

    registry  what is installed, none of which may be meant by the name too

    Raises UsageError for a name that cannot be one, or that is taken.
    """
    try:
        Spec(name=name, factory="package:Factory", summary="", version="1")  # which holds the rule
    except ValueError as error:
        usual = _kebab_case(name)
        hint = f" (perhaps {usual})" if usual and usual != name else ""
        raise UsageError(f"{error}{hint}") from None
    if len(name) > LONGEST:
        raise UsageError(f"name {name!r} has {len(name)} characters: at most {LONGEST}, it becomes names of files")
    package = name.replace("-", "_")
    class_name = "".join(word.capitalize() for word in name.split("-"))
    if not package.isidentifier():
        raise UsageError(f"name {name!r} would be package {package!r}, which Python cannot import: begin with a letter")
    if keyword.iskeyword(package) or class_name in _CLASSES:
        taken = package if keyword.iskeyword(package) else class_name
        raise UsageError(f"name {name!r} would be {taken!r} in Python, which means something else: take another name")
    if package in sys.stdlib_module_names:
        raise UsageError(f"name {name!r} would be package {package!r}, a module of Python itself: take another name")
    _refuse_plugin(kind, name, registry)
    _refuse_installed(name, package)
    return Names(name, package, class_name)


def _refuse_plugin(kind: str, name: str, registry: Registry) -> None:
    ways: Mapping[str, Callable[[str], Provided[Any]]] = {
        "model": registry.model,
        "dataset": registry.dataset,
        "metric": registry.metric,
    }
    try:
        provided = ways[kind](name)
    except UnknownName:
        return
    raise UsageError(f"{kind} {name!r} is provided by {provided.source}: take another name")


def _refuse_installed(name: str, package: str) -> None:
    """Neither `import` nor `pip install` may come to mean the new package where it meant another one."""
    from importlib.metadata import PackageNotFoundError, version

    found = PathFinder.find_spec(package)
    if found is not None and found.origin is not None:  # a mere folder of this name has none
        raise UsageError(f"name {name!r} would be package {package!r}, as is {found.origin}: take another name")
    try:
        installed = version(name)
    except PackageNotFoundError:
        return
    raise UsageError(f"name {name!r} is that of an installed distribution ({installed}): take another name")


def _kebab_case(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
    return re.sub(r"[^a-z0-9]+", "-", words).strip("-")
