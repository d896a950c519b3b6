"""Boards for a terminal: the tables without the legend."""

from __future__ import annotations

from collections.abc import Sequence

from ..comparison import Board
from ..published import PublishedRow
from .pipes import tabulated
from .tables import sections


def to_text(shown: Sequence[Board], published: Sequence[PublishedRow] = ()) -> str:
    """Boards, then published rows that stand apart; scores per step and budget curves are left to the other forms."""
    lines = []
    for section in sections(shown, published):
        lines += [_text(section.title), _text(section.subtitle), ""]
        if section.main and section.main.cells:
            lines += [tabulated(section.main, "simple", _text, " [{}]"), ""]
        for table in section.more:
            lines += [_text(table.caption), "", tabulated(table, "simple", _text, " [{}]"), ""]
        lines += [f"[{number}] {_text(note)}" for number, note in enumerate(section.footnotes, 1)]
        lines += [*map(_text, (*section.warnings, *section.remarks, *section.not_run)), ""]
    return "\n".join(lines)


def _text(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
