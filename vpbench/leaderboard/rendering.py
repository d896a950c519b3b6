"""From folders of records to a board in one of its forms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..comparison import Board, boards
from ..errors import UsageError, VpbenchError
from ..published import PublishedRow, read_published
from ..results import Record, iter_records
from ..stats import ScoreFunction
from .as_csv import to_csv
from .as_json import to_json
from .as_latex import to_latex
from .as_markdown import to_markdown
from .as_text import to_text
from .provenance import task_name

#: By name: boards, and published rows, to text.
RENDERERS: Mapping[str, Callable[..., str]] = {
    "markdown": to_markdown,
    "text": to_text,
    "csv": to_csv,
    "latex": to_latex,
    "json": to_json,
}


class Rendered(NamedTuple):
    """A text, and what could not go into it."""

    text: str
    problems: list[VpbenchError]  #: records and published rows that cannot be trusted or read
    warnings: Sequence[str] = ()  #: definitions that disagree, and rows that cannot be honest


def render(
    results: str | Path | Sequence[str | Path],
    scorers: Mapping[str, ScoreFunction],
    *,
    format: str = "markdown",
    metric: str | None = None,
    horizons: Iterable[int] | None = None,
    contexts: Iterable[int] | None = None,
    clips: int | None = None,
    published: Sequence[str | Path] = (),
    only: Callable[[Record], bool] | None = None,
) -> Rendered:
    """The boards of all records in one or several results folders.

    format     "markdown", "text" (a terminal), "csv", "latex" or "json"
    published  folders of published rows, which stand beside the measured ones where everything agrees, else apart
    clips      records of fewer are left out; None: all are there
    only       which records; None: all

    The other arguments, and what they raise, are those of `comparison.boards`; horizons and contexts hold for
    published rows too. What cannot be read comes back as problems, one line each. Raises `UsageError` for an unknown
    format, a folder that is not there, records of fewer clips alone, and where a form has no way to say that there is
    nothing.
    """
    if format not in RENDERERS:
        raise UsageError(f"no format {format!r}; there is: {', '.join(RENDERERS)}")
    folders = [results] if isinstance(results, str | Path) else list(results)
    records: list[Record] = []
    problems: list[VpbenchError] = []
    for folder in folders:
        found, bad = iter_records(folder)
        records += filter(only, found) if only else found
        problems += bad
    if clips is not None and records:
        held = [record.identity["clips"] for record in records]
        records = [record for record, n in zip(records, held, strict=True) if n >= clips]
        if not records:
            raise UsageError(f"no record has {clips} clips or more; the most is {max(held)}")
    others: list[PublishedRow] = []
    for folder in published:
        rows, wrong = read_published(folder)
        others += rows
        problems += wrong
    if horizons is not None:
        horizons = set(horizons)
        others = [row for row in others if row.horizon in horizons]
    if contexts is not None:
        contexts = set(contexts)
        others = [row for row in others if row.context in contexts]
    if not records and not others and format != "json":
        nothing = f"No records in {', '.join(str(folder) for folder in folders)}."
        if format in ("csv", "latex"):  # a table of nothing would be taken for one
            raise UsageError(nothing)
        return Rendered(f"{nothing}\n", problems)
    shown: list[Board] = []
    if records:
        shown, more = boards(records, scorers, metric=metric, horizons=horizons, contexts=contexts)
        problems += more
    said = [f"{_name(board)}: {line}" for board in shown for line in (*board.left_out, *board.warnings)]
    return Rendered(RENDERERS[format](shown, others), problems, said)


def _name(board: Board) -> str:
    return f"{board.dataset['name']} {task_name(board.task)}"
