"""Tables of text characters."""

from __future__ import annotations

from collections.abc import Callable

from .tables import Table


def tabulated(table: Table, form: str, escape: Callable[[str], str], mark: str) -> str:
    """The table in a form of `tabulate`, its cells escaped."""
    from tabulate import tabulate

    align = ["right" if numeric else "left" for numeric in table.numeric]
    headers = [escape(header) for header in table.headers]
    return tabulate(marked(table, escape, mark), headers, tablefmt=form, colalign=align, disable_numparse=True)


def marked(table: Table, escape: Callable[[str], str], mark: str) -> list[list[str]]:
    """The escaped cells, with the marks of footnotes behind the names."""
    cells = [[escape(cell) for cell in line] for line in table.cells]
    for line, numbers in zip(cells, table.marks, strict=True):
        line[table.name_at] += mark.format(", ".join(map(str, numbers))) if numbers else ""
    return cells
