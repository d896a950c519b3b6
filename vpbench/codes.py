"""What a model has encoded (`vpbench.protocols.Coded`), held to the contract: the same for probes and for the kit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .errors import PluginError


def checked_codes(given: Any, clips: int, steps: int) -> dict[str, Tensor]:
    """Codes by name, detached: floating point, finite, (B, K) of clips or (B, Tt, K) at the target times.

    given  what codes() returned for so many clips and target times

    Raises PluginError that says what the contract is.
    """
    if not isinstance(given, Mapping):
        raise PluginError(f"it returned a {type(given).__name__}, the contract is a mapping of names to codes")
    if not given:
        raise PluginError("it returned no codes, the contract is at least one")
    for name, code in given.items():
        if not isinstance(name, str) or not name or not name.isprintable():
            raise PluginError(f"{name!r:.60} is no name of a code, the contract is text")
        if not isinstance(code, Tensor):
            raise PluginError(f"{name} is a {type(code).__name__}, the contract is a torch tensor")
        if not code.is_floating_point():
            raise PluginError(f"{name} is {code.dtype}, the contract is floating point")
        rows = (clips, steps)[: code.ndim - 1]
        if code.ndim not in (2, 3) or code.shape[:-1] != rows or not code.shape[-1]:
            wanted = f"({clips}, K) of clips or ({clips}, {steps}, K) at the target times"
            raise PluginError(f"{name} has shape {tuple(code.shape)}, the contract is {wanted}")
        if not bool(code.isfinite().all()):
            raise PluginError(f"{name} holds NaN or infinity")
    return {name: code.detach() for name, code in given.items()}


def kinds_of(codes: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Of each code its axes and its size, which must be the same for all clips and times."""
    return {name: (code.ndim, code.shape[-1]) for name, code in codes.items()}


def in_words(kinds: Mapping[str, tuple[int, int]]) -> str:
    """ "appearance (B, 64), dynamics (B, Tt, 16)" """
    return ", ".join(f"{name} ({'B, ' if axes == 2 else 'B, Tt, '}{size})" for name, (axes, size) in kinds.items())
