"""A digest of all that a function or an object of a program is made of.

Two models that may answer differently must not pass for one another, so the digest takes in source and state: the code
of functions and methods, what they capture (closures, globals, defaults), weights and buffers, and plain values. What
comes from installed packages counts by its name and their version (of torch and numpy a record tells the version). It
cannot see everything (a file that is read, an object inside an object), so it tells versions apart and proves nothing.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..reach import OF_EVERY_MODULE, RECORDED, captured, is_installed, modules_in, unwrapped

#: What counts by its type and how it is written.
_PLAIN = (type(None), bool, int, float, complex, str, bytes, Path, slice, range, np.generic, torch.dtype, torch.device)

#: What a module does before and after it is called: functions, by the order they were added.
_HOOKS = ("_forward_pre_hooks", "_forward_hooks")


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
        self._attributes({key: value for key, value in vars(module).items() if key not in OF_EVERY_MODULE})
        own: dict[str, Any] = {}
        for kind in (module._parameters, module._buffers, module._modules):
            own |= {name: value for name, value in kind.items() if value is not None}
        self._attributes(own)
        for hooks in _HOOKS:
            self.take(list(getattr(module, hooks).values()))

    def _function(self, function: FunctionType) -> None:
        self.say("function", function.__qualname__)
        self._attributes(vars(function))  # behind a decorator: __wrapped__
        if is_installed(function):
            self.say(*_origin(function))
            return
        self._source(function)
        for name, value in captured(function):
            self.say("captured", name)
            self.take(value)

    def _source(self, function: FunctionType) -> None:
        """The text of a function; of a lambda, whose lines hold more than itself, and without a text, its code."""
        code = function.__code__  # of the function itself, not of what it wraps
        if code.co_name != "<lambda>":
            try:
                self.say("source", dedent(inspect.getsource(code)))
                return
            except (OSError, TypeError):
                pass
        self._code(code)

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
        if is_installed(of):
            self.say(*_origin(of))
            return
        for each in of.__mro__[1:]:
            self.take(each)
        for name, value in sorted(vars(of).items()):
            member = unwrapped(value)
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
    version = "" if root in RECORDED else str(getattr(sys.modules.get(root), "__version__", ""))
    return module, version
