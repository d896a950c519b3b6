"""Who a package is by, as ``--author`` has it."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import UsageError

_AUTHOR = re.compile(r"(?P<name>[^<>]*[^<>\s])(?:\s*<(?P<mail>[^<>\s@]+@[^<>\s@]+)>)?")


class Author(NamedTuple):
    """A person, or several in one name."""

    name: str
    mail: str = ""  #: empty: not given

    @classmethod
    def parse(cls, text: str) -> Author:
        """`Ada Lovelace` or `Ada Lovelace <ada@example.org>`. Raises UsageError."""
        match = _AUTHOR.fullmatch(text.strip())
        if not match or not text.isprintable():
            raise UsageError(f"--author {text!r}: write it as 'Ada Lovelace' or 'Ada Lovelace <ada@example.org>'")
        return cls(match["name"], match["mail"] or "")
