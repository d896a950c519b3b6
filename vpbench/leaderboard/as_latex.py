"""Boards as LaTeX: tables for a paper (booktabs), and the legend as a description list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..comparison import Board
from ..published import PublishedRow
from .legend import legend
from .pipes import marked
from .tables import Section, Table, sections

_PREAMBLE = (
    r"% needs \usepackage[T1]{fontenc}, \usepackage{amssymb}, \usepackage{booktabs} and \usepackage{graphicx}"
    "\n% with more than some fifty tables on a run also \\extrafloats{100}"
)

#: More columns would be too small to read: what is about cost goes into a table of its own.
_COLUMNS = 8

#: More lines do not fit on a page: the rest goes into another table.
_LINES = 35

#: As wide as the line where it would be wider.
_SHRUNK = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"

_SUPERSCRIPT = r"\textsuperscript{{{}}}"

_ESCAPED = {
    **{character: f"\\{character}" for character in "{}$&#_%"},
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "/": r"/\allowbreak{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "▲": r"$\blacktriangle$",
    "▼": r"$\blacktriangledown$",
    "▽": r"$\triangledown$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "²": r"$^2$",
    "³": r"$^3$",
    "¹": r"$^1$",
    "µ": r"$\mu$",
    "¬": r"$\neg$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "σ": r"$\sigma$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "−": r"$-$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "’": "'",
    "⚠": r"(!)",
    "✗": r"\textit{wrong:}",
    "\u00a0": "~",
    "\u00ad": "",
}


def to_latex(shown: Sequence[Board], published: Sequence[PublishedRow] = ()) -> str:
    """A table per board with its notes, then its further tables; published rows that stand apart; the legend."""
    lines = [_PREAMBLE]
    for section in sections(shown, published):
        lines += _section(section)
    lines += ["", r"\begin{description}"]
    lines += [
        rf"\item[{{{_text(what)}}}] {_text(meaning)}." for what, meaning in legend(shown, published=bool(published))
    ]
    return "\n".join([*lines, r"\end{description}"]) + "\n"


def _section(section: Section) -> list[str]:
    lines = ["", r"\begin{table}[htbp]", r"\centering"]
    lines += [rf"\caption{{{_text(section.title)}: {_text(section.subtitle)}}}"]
    first, *rest = _pages(section.main) if section.main else [None]
    if first:
        lines += _tabular(first)
    notes = [rf"\textsuperscript{{{number}}} {_text(note)}" for number, note in enumerate(section.footnotes, 1)]
    notes += [rf"\textbf{{{_text(line)}}}" for line in section.warnings]
    notes += [_text(line) for line in (*section.remarks, *section.not_run)]
    if notes:
        lines += [r"\par\smallskip", r"{\footnotesize\raggedright", *(rf"{note}\par" for note in notes), "}"]
    lines += [r"\end{table}"]
    others = (*section.more, *section.curves, *section.budgets)
    for page in [*rest, *(page for table in others for page in _pages(table))]:
        lines += ["", r"\begin{table}[htbp]", r"\centering"]
        lines += [rf"\caption{{{_text(section.title)}: {_text(page.caption)}}}", *_tabular(page), r"\end{table}"]
    return [*lines, r"\clearpage"]


def _pages(table: Table) -> list[Table]:
    """The table in parts that fit on a page."""
    if table.cost_at is not None and len(table.headers) > _COLUMNS:
        names, scores = range(table.cost_at)[: table.name_at + 1], range(table.cost_at)
        cost = [*names, *range(table.cost_at, len(table.headers))]
        return [*_pages(_columns(table, scores)), *_pages(_columns(table, cost, caption="Cost"))]
    parts = []
    for start in range(0, len(table.cells), _LINES):
        lines = slice(start, start + _LINES)
        caption = ", ".join(part for part in (table.caption, "continued" if start else "") if part)
        parts.append(replace(table, cells=table.cells[lines], marks=table.marks[lines], caption=caption))
    return parts or [table]


def _columns(table: Table, chosen: Sequence[int], *, caption: str = "") -> Table:
    return replace(
        table,
        headers=[table.headers[index] for index in chosen],
        numeric=[table.numeric[index] for index in chosen],
        cells=[[line[index] for index in chosen] for line in table.cells],
        cost_at=None,
        caption=caption or table.caption,
    )


def _tabular(table: Table) -> list[str]:
    columns = "".join("r" if numeric else "l" for numeric in table.numeric)
    lines = [_SHRUNK, rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [" & ".join(_text(header) for header in table.headers) + r" \\", r"\midrule"]
    lines += [" & ".join(line) + r" \\" for line in marked(table, _text, _SUPERSCRIPT)]
    return [*lines, r"\bottomrule", r"\end{tabular}}"]


def _text(text: str) -> str:
    return "".join(map(_character, " ".join(text.split())))


def _character(character: str) -> str:
    """Typeset where pdfLaTeX knows it, by its number where it does not: an unknown one would end the run."""
    if character in _ESCAPED:
        return _ESCAPED[character]
    known = " " <= character <= "~" or "\u00a1" <= character <= "\u00ff"
    return character if known else f"[U+{ord(character):04X}]"
