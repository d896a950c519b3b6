"""A finding: one fact of an installation, whether it is as it should be, and what to do where it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: "note": it works without, but somebody may wonder.
Status = Literal["ok", "note", "broken"]


@dataclass(frozen=True)
class Finding:
    """One fact. Texts are single lines."""

    part: str  #: "python", "torch", "plugins": what it belongs to
    what: str  #: "version"
    found: str  #: "3.11.2"
    status: Status = "ok"
    advice: str = ""  #: what to do; given with everything that is broken

    def __str__(self) -> str:
        return f"{self.part}: {self.what}: {self.found}" + (f"; {self.advice}" if self.advice else "")


def one_line(error: BaseException) -> str:
    """Type and message of an error, without line breaks."""
    message = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
