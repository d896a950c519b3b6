"""What of the contract will end, and what is said of a plugin that uses it until then (docs/compatibility.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

from .registry import Registry
from .specs import Spec


@dataclass(frozen=True, kw_only=True)
class Deprecation:
    """A field of a spec that will end."""

    record: type[Spec]  #: whose field it is
    field: str  #: its name; using it is to give it another value than its default
    ends: str  #: the release of vpbench that no longer has it
    instead: str  #: what to write, as an order: "give capabilities"

    def concerns(self, spec: Spec) -> bool:
        """Whether a spec uses it."""
        if not isinstance(spec, self.record):
            return False
        (default,) = (each.default for each in fields(spec) if each.name == self.field)
        return getattr(spec, self.field) != default


#: Nothing so far.
DEPRECATIONS: tuple[Deprecation, ...] = ()


def deprecation_lines(
    registry: Registry, deprecations: Iterable[Deprecation], apis: Mapping[int, str | None]
) -> list[str]:
    """A line for each installed plugin that uses what will end: whose it is, what ends when, and what to do.

    deprecations, apis  what ends, as `DEPRECATIONS` and `specs.APIS` have it
    """
    told: dict[str, dict[str, None]] = defaultdict(dict)
    for found in (registry.models(), registry.datasets(), registry.metrics()):
        for each in found.values():
            told[each.source] |= dict.fromkeys(_endings(each.spec, deprecations, apis))
    return [f"{source}: {'; '.join(endings)}" for source, endings in sorted(told.items()) if endings]


def _endings(spec: Spec, deprecations: Iterable[Deprecation], apis: Mapping[int, str | None]) -> Iterator[str]:
    if (ends := apis[spec.api]) is not None:
        yield f"it was written for plugin api {spec.api}, which ends with vpbench {ends}: upgrade it to api {max(apis)}"
    for each in deprecations:
        if each.concerns(spec):
            yield f"{each.record.__name__}.{each.field} ends with vpbench {each.ends}: {each.instead}"
