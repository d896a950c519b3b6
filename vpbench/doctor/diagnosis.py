"""All findings together, as text for people and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, groupby
from typing import Any

from . import surroundings
from .findings import Finding, one_line
from .isolation import PATIENCE_S, examine
from .privacy import anonymous

#: Of the JSON; higher where a key changes its meaning.
SCHEMA = 1


@dataclass(frozen=True)
class Diagnosis:
    """What was found."""

    findings: Sequence[Finding]

    @property
    def broken(self) -> list[Finding]:
        """What does not work."""
        return [each for each in self.findings if each.status == "broken"]

    def as_json(self) -> dict[str, Any]:
        """``{"schema": 1, "works": bool, "findings": [{"part", "what", "found", "status", "advice"}, ...]}``."""
        return {
            "schema": SCHEMA,
            "works": not self.broken,
            "findings": [asdict(each) for each in self.findings],
        }

    def as_text(self) -> str:
        """A block per part, a line per finding; ``!`` is before what is broken, ``-`` before what is only noted."""
        blocks = []
        for part, group in groupby(self.findings, key=lambda each: each.part):
            there = list(group)
            width = min(max(len(each.what) for each in there), 42)
            lines = [f"{_SIGNS[each.status]} {each.what:<{width}}  {_told(each)}" for each in there]
            blocks.append("\n".join([part, *lines]))
        return "\n\n".join(blocks) + "\n"


_SIGNS = {"ok": " ", "note": "-", "broken": "!"}


def _told(finding: Finding) -> str:
    return f"{finding.found}; {finding.advice}" if finding.advice else finding.found


def diagnose(*, quick: bool = False, patience_s: float = PATIENCE_S) -> Diagnosis:
    """Look at everything; quick: at nothing that imports torch or the body of a plugin.

    patience_s  seconds that a step of the examination may take before it is given up
    """
    found = chain(
        _guarded("vpbench", surroundings.program),
        _guarded("python", surroundings.machine),
        _guarded("packages", surroundings.packages),
        _guarded("environment", surroundings.environment),
        _guarded("folders", surroundings.folders),
        examine(quick=quick, patience_s=patience_s),
    )
    hide = anonymous()
    return Diagnosis(
        [
            replace(each, what=hide(each.what), found=hide(each.found), advice=hide(each.advice))
            for each in _grouped(list(found))
        ]
    )


def _guarded(part: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a look finds; where it fails itself, that is a finding: a report with a hole is better than none."""
    try:
        yield from look()
    except Exception as error:
        yield Finding(part, "examination", one_line(error), "broken", "please report this as a bug of vpbench")


def _grouped(findings: list[Finding]) -> list[Finding]:
    """Those of one part together, parts in the order in which they first came up."""
    order = list(dict.fromkeys(each.part for each in findings))
    return sorted(findings, key=lambda each: order.index(each.part))
