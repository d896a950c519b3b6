"""What a function or an object of a program is made of: the torch modules it reaches, and a digest of all of it.

Two models that may answer differently must not pass for one another, so the digest takes in source and state: the code
of functions and methods, what they capture (closures, globals, defaults), weights and buffers, and plain values. What
comes from installed packages counts by its name and their version (of torch and numpy a record tells the version). It
cannot see everything (a file that is read, an object inside an object), so it tells versions apart and proves nothing.
"""

from __future__ import annotations

import dataclasses
import dis
import functools
import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

#: Where the standard library and installed packages are, and what their folders are called anywhere.
_INSTALLED = tuple(Path(sysconfig.get_paths()[key]).resolve() for key in ("stdlib", "purelib", "platlib"))
_PACKAGES = frozenset({"site-packages", "dist-packages"})

#: Packages whose version is said elsewhere: of another torch, a model is no other model.
_RECORDED = frozenset({"builtins", "torch", "numpy", "vpbench"})

#: What every torch module has: not what makes one differ from another of its class.
_OF_EVERY_MODULE = frozenset(nn.Module().__dict__)

_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, Path)


def modules_in(thing: Any) -> list[nn.Module]:
    """The torch modules that a model is, holds as attributes, or, being a function, captures. Each once, in order."""
    found: dict[int, nn.Module] = {}
    seen: set[int] = set()

    def look(at: Any, *, inside: bool) -> None:
        if id(at) in seen:
            return
        seen.add(id(at))
        if isinstance(at, nn.Module):
            found[id(at)] = at
        elif isinstance(at, MethodType):
            look(at.__self__, inside=True)
            look(at.__func__, inside=True)
        elif isinstance(at, functools.partial):
            for part in (at.func, *at.args, *at.keywords.values()):
                look(part, inside=True)
        elif isinstance(at, FunctionType):
            if not _installed(at):
                for _, value in captured(at):
                    look(value, inside=True)
        elif inside and not isinstance(at, type):
            for value in getattr(at, "__dict__", {}).values():
                if isinstance(value, nn.Module):
                    look(value, inside=False)
            for method in ("predict", "__call__"):
                look(getattr(type(at), method, None), inside=False)

    look(thing, inside=True)
    return list(found.values())


def captured(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function uses beside its arguments, by name: closure, defaults, globals; modules of Python left out."""
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
    for name in sorted(found):
        if not isinstance(found[name], ModuleType):
            yield name, found[name]


def _globals_of(code: CodeType) -> set[str]:
    """Names that code looks up as globals, its inner functions included."""
    names = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return names.union(*(_globals_of(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def digest(thing: Any) -> str:
    """64 hex digits, the same for the same code and state, in every process."""
    taking = _Digest()
    taking.take(thing, whole=True)
    for module in modules_in(thing):  # also those that lie deeper than what counts of other objects
        taking.take(module)
    return taking.sha.hexdigest()


class _Digest:
    """Takes in one thing after another; what was taken before counts by its number, so circles end."""

    def __init__(self) -> None:
        self.sha = hashlib.sha256()
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # alive, so that no id is used twice

    def say(self, *words: object) -> None:
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            self.sha.update(len(data).to_bytes(8, "little") + data)

    def take(self, thing: Any, *, whole: bool = False) -> None:
        """whole: of any other object its attributes count too, and not only its class"""
        if isinstance(thing, _PLAIN):
            self.say(type(thing).__name__, repr(thing))
            return
        if id(thing) in self._seen:
            self.say("seen", self._seen[id(thing)])
            return
        self._seen[id(thing)] = len(self._seen)
        self._kept.append(thing)
        match thing:
            case Tensor():
                self._tensor(thing)
            case np.ndarray():
                self.say("array", thing.dtype, thing.shape)
                self.say(b"" if thing.dtype.hasobject else np.ascontiguousarray(thing).tobytes())
            case nn.Module():
                self._module(thing)
            case FunctionType():
                self._function(thing)
            case MethodType():
                self.take(thing.__func__)
                self.take(thing.__self__, whole=True)
            case functools.partial():
                self.say("partial")
                for part in (thing.func, thing.args, thing.keywords):
                    self.take(part, whole=True)
            case type():
                self._class(thing)
            case BuiltinFunctionType():
                self.say("builtin", thing.__module__, thing.__qualname__)
            case Mapping():
                self.say("mapping", len(thing))
                for key in sorted(thing, key=_in_words):
                    self.take(key)
                    self.take(thing[key])
            case list() | tuple():
                self.say(type(thing).__name__, len(thing))
                for each in thing:
                    self.take(each)
            case set() | frozenset():
                self.say("set", *sorted(map(_in_words, thing)))
            case _:
                self.take(type(thing))
                if whole or dataclasses.is_dataclass(thing) or isinstance(thing, SimpleNamespace):
                    self._attributes(getattr(thing, "__dict__", {}))

    def _attributes(self, attributes: Mapping[str, Any]) -> None:
        for name in sorted(attributes):
            self.say("attribute", name)
            self.take(attributes[name])

    def _tensor(self, tensor: Tensor) -> None:
        self.say("tensor", tensor.dtype, tuple(tensor.shape))
        if is_lazy(tensor) or tensor.device.type == "meta":
            return
        plain = tensor.detach()
        plain = plain.dequantize() if plain.is_quantized else plain
        plain = plain.to_dense() if plain.layout != torch.strided else plain
        plain = plain.resolve_conj().resolve_neg().cpu().contiguous().flatten()
        self.say(plain.view(torch.uint8).numpy().tobytes())

    def _module(self, module: nn.Module) -> None:
        self.take(type(module))
        if isinstance(
            code := getattr(module, "code", None), str
        ):  # of torch.jit and torch.fx, whose classes say nothing
            self.say("code", code)
        self._attributes({key: value for key, value in vars(module).items() if key not in _OF_EVERY_MODULE})
        own: dict[str, Any] = {}
        for kind in (module._parameters, module._buffers, module._modules):
            own |= {name: value for name, value in kind.items() if value is not None}
        self._attributes(own)

    def _function(self, function: FunctionType) -> None:
        self.say("function", function.__qualname__)
        if _installed(function):
            self.say(*_origin(function))
            return
        self._source(function)
        for name, value in captured(function):
            self.say("captured", name)
            self.take(value)

    def _source(self, function: FunctionType) -> None:
        """The text of a function; of a lambda, whose lines hold more than itself, and without a text, its code."""
        if function.__name__ != "<lambda>":
            try:
                self.say("source", dedent(inspect.getsource(function)))
                return
            except (OSError, TypeError):
                pass
        self._code(function.__code__)

    def _code(self, code: CodeType) -> None:
        self.say("code", code.co_code, code.co_names, code.co_varnames, code.co_freevars)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._code(constant)
            else:
                self.take(constant)

    def _class(self, of: type) -> None:
        """By its methods: the text of a class itself cannot be had in a notebook."""
        self.say("class", of.__qualname__)
        if _installed(of):
            self.say(*_origin(of))
            return
        for each in of.__mro__[1:]:
            self.take(each)
        for name, value in sorted(vars(of).items()):
            member = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
            plain = isinstance(member, (*_PLAIN, tuple, list, dict, Tensor)) and not name.startswith("__")
            if plain or isinstance(member, FunctionType | type):
                self.say("member", name)
                self.take(member)


def _in_words(thing: Any) -> str:
    """Never an address, which is another one in every process."""
    return repr(thing) if isinstance(thing, _PLAIN) else type(thing).__qualname__


def _origin(thing: Any) -> tuple[str, str]:
    """Module, and version of its package where it says one."""
    module = str(thing.__module__)
    root = module.partition(".")[0]
    version = "" if root in _RECORDED else str(getattr(sys.modules.get(root), "__version__", ""))
    return module, version


def _installed(thing: Any) -> bool:
    """Whether it comes with Python or an installed package, so that its name says what it is."""
    if str(thing.__module__).partition(".")[0] in _RECORDED:
        return True
    if thing.__module__ == "__main__":  # also where what runs it is installed: a notebook
        return False
    try:
        return is_installed_file(Path(inspect.getfile(thing)))
    except (TypeError, OSError):  # made in C
        return True


def is_installed_file(path: Path) -> bool:
    """Whether a source file belongs to the standard library or an installed package."""
    file = path.resolve()
    return bool(_PACKAGES.intersection(file.parts)) or any(file.is_relative_to(folder) for folder in _INSTALLED)
