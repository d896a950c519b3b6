"""Boards as Markdown: sections with pipe tables, what is long folded up, and one legend at the end."""

from __future__ import annotations

from collections.abc import Sequence

from ..comparison import Board
from ..published import PublishedRow
from .budget_curves import ON_THE_WAY
from .legend import legend
from .pipes import tabulated
from .tables import Section, Table, sections

#: What would end a cell, start a tag (so also a marker), strike or typeset. Underscores within words are safe.
_ESCAPED = str.maketrans({"<": "&lt;", ">": "&gt;", **{character: f"\\{character}" for character in "\\|`*[~$"}})


def to_markdown(shown: Sequence[Board], published: Sequence[PublishedRow] = ()) -> str:
    """Boards, then published rows that stand apart."""
    found = sections(shown, published)
    lines = [line for section in found if section.measured for line in _section(section)]
    if apart := [line for section in found if not section.measured for line in _section(section)]:
        lines += ["<details><summary>Published rows that stand apart</summary>", "", *apart, "</details>", ""]
    lines += ["<details><summary>What the columns mean</summary>", ""]
    lines += [f"- **{_text(what)}**: {_text(meaning)}." for what, meaning in legend(shown, published=bool(published))]
    return "\n".join([*lines, "", "</details>"]) + "\n"


def _section(section: Section) -> list[str]:
    lines = [f"### {_text(section.title)}", "", _text(section.subtitle), ""]
    for warning in section.warnings:
        lines += [f"**{_text(warning)}**", ""]
    if section.main and section.main.cells:
        lines += [_table(section.main), ""]
    if section.footnotes:
        lines += [f"<sup>{number}</sup> {_text(note)}  " for number, note in enumerate(section.footnotes, 1)]
        lines += [""]
    if section.remarks:
        lines += [_text(" ".join(section.remarks)), ""]
    lines += _folded("More metrics", section.more)
    lines += _folded("Scores at single steps", section.curves)
    lines += _folded("Budget curves", section.budgets, ON_THE_WAY)
    if section.not_run:
        lines += ["Without a result:", "", *(f"- {_text(line)}" for line in section.not_run), ""]
    return lines


def _folded(summary: str, tables: Sequence[Table], note: str = "") -> list[str]:
    if not tables:
        return []
    lines = [f"<details><summary>{summary}</summary>", "", *([note, ""] if note else [])]
    for table in tables:
        lines += [f"{_text(table.caption)}:", "", _table(table), ""]
    return [*lines, "</details>", ""]


def _table(table: Table) -> str:
    return tabulated(table, "pipe", _text, "<sup>{}</sup>")


def _text(text: str) -> str:
    printable = "".join(character if character.isprintable() else "\ufffd" for character in " ".join(text.split()))
    return printable.translate(_ESCAPED)
