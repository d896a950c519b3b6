"""What a model reaches: what its functions use, and the torch modules among it, however it holds them.

A module that is not found stays in train mode and sees its batch, so this looks where people put modules: attributes,
lists and dicts of any depth, objects inside objects, what functions capture, functions behind decorators.
"""

from __future__ import annotations

import dis
import functools
import inspect
import sysconfig
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor, nn

#: Where the standard library and installed packages are, and what their folders are called anywhere.
_INSTALLED = tuple(Path(sysconfig.get_paths()[key]).resolve() for key in ("stdlib", "purelib", "platlib"))
_PACKAGES = frozenset({"site-packages", "dist-packages"})

#: Packages whose version is said elsewhere: of another torch, a model is no other model.
RECORDED = frozenset({"builtins", "torch", "numpy", "vpbench"})

#: What every torch module has: not what makes one differ from another of its class.
OF_EVERY_MODULE = frozenset(nn.Module().__dict__)

_CONTAINERS = (list, tuple, set, frozenset, deque)
_ENDS = (type(None), bool, int, float, complex, str, bytes, Path, np.ndarray, Tensor, type, ModuleType)

#: Methods that are called from outside.
_ENTRIES = ("predict", "__call__", "forward")


# ------------------------------------------------------------------------------------------------------------- modules


def modules_in(thing: Any) -> list[nn.Module]:
    """The torch modules that a model is or reaches, in the order they are found; none that is part of another."""
    found: list[nn.Module] = []
    seen: dict[int, Any] = {}  # alive, so that no id is used twice
    todo = [thing, *_held(thing)]
    while todo:  # no recursion: what people hold may be deep
        at = todo.pop()
        if isinstance(at, _ENDS) or id(at) in seen:
            continue
        seen[id(at)] = at
        if isinstance(at, nn.Module):
            found.append(at)
        todo += reversed(list(_inside(at)))
    parts = {id(part) for whole in found for part in whole.modules() if part is not whole}
    return [each for each in found if id(each) not in parts]


def _held(thing: Any) -> Iterator[Any]:
    """What the model itself holds, even if it is an object of ours that stands for another."""
    if _root(type(thing)) in RECORDED and not isinstance(thing, (*_ENDS, nn.Module, FunctionType)):
        yield from getattr(thing, "__dict__", {}).values()


def _inside(at: Any) -> Iterator[Any]:
    """What a thing holds or uses, one step further."""
    if isinstance(at, dict):
        yield from at.values()
    elif isinstance(at, _CONTAINERS):
        yield from at
    elif isinstance(at, MethodType):
        yield from (at.__self__, at.__func__)
    elif isinstance(at, functools.partial):
        yield from (at.func, *at.args, *at.keywords.values())
    elif isinstance(at, FunctionType):
        yield from vars(at).values()  # behind a decorator: __wrapped__
        if not is_installed(at):
            yield from (value for _, value in captured(at))
    elif isinstance(at, nn.Module):
        for part in at.modules():
            yield from (value for name, value in vars(part).items() if name not in OF_EVERY_MODULE)
            yield from _methods(type(part))
    elif _root(type(at)) not in RECORDED:
        yield from vars(at).values() if hasattr(at, "__dict__") else ()
        yield from (getattr(at, name, None) for of in type(at).__mro__ for name in _slots(of))
        yield from _methods(type(at))


def _slots(of: type) -> tuple[str, ...]:
    names = vars(of).get("__slots__", ())
    return (names,) if isinstance(names, str) else tuple(names)


def _methods(of: type) -> Iterator[Any]:
    """Methods that are called from outside, and what of its class they name: methods, modules that all objects share.

    Not all methods: what only a loss uses has no part in a prediction.
    """
    members = {
        name: value for each in reversed(of.__mro__) if not is_installed(each) for name, value in vars(each).items()
    }
    todo, seen = list(_ENTRIES), set[str]()
    while todo:
        name = todo.pop()
        if name in seen or name not in members:
            continue
        seen.add(name)
        member = unwrapped(members[name])
        yield member
        if isinstance(member, FunctionType):
            todo += _names_in(member.__code__)


def unwrapped(member: Any) -> Any:
    """The function of a static or class method or a property; what is none of them as it is."""
    return getattr(member, "__func__", None) or getattr(member, "fget", None) or member


# ----------------------------------------------------------------------------------------------------------- functions


def captured(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function uses beside its arguments, by name: closure, defaults, globals.

    Of a Python module that is not installed, those of its attributes that the function names; others are left out.
    """
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    found: dict[str, Any] = {}
    for name, cell in cells:
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    found |= {name: function.__globals__[name] for name in _globals_of(function.__code__) & function.__globals__.keys()}
    found |= {f"default {place}": value for place, value in enumerate(function.__defaults__ or ())}
    found |= {f"default {name}": value for name, value in (function.__kwdefaults__ or {}).items()}
    names = _names_in(function.__code__)
    seen: set[int] = set()
    for name in sorted(found):
        yield from _named(name, found[name], names, seen)


def _named(name: str, value: Any, names: set[str], seen: set[int]) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, ModuleType):
        yield name, value
    elif id(value) not in seen and not is_installed(value):
        seen.add(id(value))
        for attribute in sorted(names & vars(value).keys()):
            yield from _named(f"{name}.{attribute}", vars(value)[attribute], names, seen)


def _globals_of(code: CodeType) -> set[str]:
    """Names that code looks up as globals, its inner functions included."""
    names = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return names.union(*(_globals_of(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def _names_in(code: CodeType) -> set[str]:
    """All names of globals and attributes in code, its inner functions included."""
    return set(code.co_names).union(*(_names_in(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


# ----------------------------------------------------------------------------------------------------------- installed


def is_installed(thing: Any) -> bool:
    """Whether a function, class or module comes with Python or a package, so that its name says what it is."""
    name = str(thing.__name__ if isinstance(thing, ModuleType) else thing.__module__)
    if name.partition(".")[0] in RECORDED:
        return True
    if name == "__main__":  # also where what runs it is installed: a notebook
        return False
    try:
        # Of a function the file of its own code: that of what a decorator wraps is another one.
        return is_installed_file(Path(inspect.getfile(thing.__code__ if isinstance(thing, FunctionType) else thing)))
    except (TypeError, OSError):  # made in C
        return True


def is_installed_file(path: Path) -> bool:
    """Whether a source file belongs to the standard library or an installed package."""
    file = path.resolve()
    return bool(_PACKAGES.intersection(file.parts)) or any(file.is_relative_to(folder) for folder in _INSTALLED)


def _root(of: type) -> str:
    return of.__module__.partition(".")[0]
