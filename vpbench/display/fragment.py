"""The fragment: what was asked, the board with the own row marked, the curve, the strip, and what else to know."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from ..comparison import Board, Row, count
from ..leaderboard import legend, marks, task_name, with_interval
from ..leaderboard.as_markdown import to_markdown
from ..leaderboard.tables import Section, Table, sections
from ..results import Record
from .chart import chart

#: Greys are of the text's own colour, so that they suit whatever is behind them.
_STYLE = """
.vpbench-result { font-size: 13px; line-height: 1.45; max-width: 1100px; margin: 4px 0 8px; }
.vpbench-result p { margin: 4px 0; }
.vpbench-result .vpb-head { font-size: 15px; }
.vpbench-result .vpb-quiet { opacity: .75; }
.vpbench-result .vpb-warn { border-left: 3px solid #e08a1e; padding-left: 8px; font-weight: 600; }
.vpbench-result .vpb-scroll { overflow-x: auto; }
.vpbench-result table { border-collapse: collapse; margin: 8px 0; font: inherit; font-variant-numeric: tabular-nums;
  color: inherit; }
.vpbench-result th, .vpbench-result td { padding: 3px 9px; text-align: left; white-space: nowrap; border: 0;
  background: none; color: inherit; border-bottom: 1px solid rgba(128, 128, 128, .28); }
.vpbench-result th { font-weight: 600; border-bottom-color: rgba(128, 128, 128, .7); }
.vpbench-result .vpb-number { text-align: right; }
.vpbench-result tr.vpb-own td { background: rgba(59, 130, 246, .17); font-weight: 600; }
.vpbench-result svg, .vpbench-result img { display: block; max-width: 100%; height: auto; margin: 8px 0; }
.vpbench-result img { border-radius: 6px; }
.vpbench-result summary { cursor: pointer; }
.vpbench-result ul { margin: 4px 0; padding-left: 20px; }
""".strip()


def own_row(record: Record, board: Board) -> Row | None:
    """The row of a record, which may be one of several seeds."""
    return next((row for row in board.rows if any(each.cell == record.cell for each in row.records)), None)


def headline(record: Record, board: Board) -> str:
    """``"net on moving-mnist 10→5, 8 clips: psnr-pooled 14.32 ±0.05 dB, rank 2 of 4 ▼ below floor"``."""
    row = own_row(record, board)
    name = row.label if row else record.model["name"]
    where = f"{name} on {board.dataset['name']} {task_name(board.task)}, {count(record.identity['clips'], 'clip')}"
    column = board.ranking
    if row is None or column is None or column not in row.scores:
        return where
    ranked = sum(each.rank is not None for each in board.rows)
    told = [f"{column.metric} {with_interval(row.scores[column])} {column.unit}".strip()]
    told += [f"rank {row.rank} of {ranked}"] if row.rank is not None else []
    return " ".join([f"{where}: {', '.join(told)}", *marks(row)])


def as_html(record: Record, board: Board, notes: Sequence[str], *, strip: bytes | None) -> str:
    """The fragment.

    notes  what is to be known beside the board
    strip  a PNG; None: none
    """
    (section,) = sections([board])
    own = own_row(record, board)
    place = board.rows.index(own) if own is not None else -1
    column = board.ranking or next(iter(board.columns), None)
    curve = chart(board, own, column) if own and column else ""
    picture = ""
    if strip is not None:
        alt = escape(f"What {record.model['name']} predicted of one clip, below the truth")
        picture = f'<img alt="{alt}" src="data:image/png;base64,{b64encode(strip).decode()}">'
    parts = [
        f'<div class="vpbench-result"><style>{_STYLE}</style>',
        f'<p class="vpb-head">{_head(record, board)}</p>',
        f'<p class="vpb-quiet">{escape(section.subtitle)}</p>',
        *(f'<p class="vpb-warn">{escape(warning)}</p>' for warning in section.warnings),
        _table(section.main, place) if section.main else "",
        curve,
        picture,
        _footnotes(section),
        _list("Notes", [*notes, *section.not_run]),
        _folded("More metrics", "".join(_table(table, place, caption=True) for table in section.more)),
        _folded("What the columns mean", _meanings(board)),
        "</div>",
    ]
    return "".join(parts)


def as_markdown(record: Record, board: Board, notes: Sequence[str]) -> str:
    """The same for where HTML is not shown: the headline, the notes, the board."""
    plain = str.maketrans({"<": "&lt;", ">": "&gt;", **{character: f"\\{character}" for character in "\\|`*_[~$"}})
    said = [f"- {' '.join(note.split()).translate(plain)}" for note in notes]
    return "\n".join([f"**{headline(record, board).translate(plain)}**", "", *said, "", to_markdown([board])])


def _head(record: Record, board: Board) -> str:
    """The headline, its first part bold."""
    name, colon, rest = headline(record, board).partition(": ")
    return f"<b>{escape(name)}</b>{escape(colon + rest)}"


def _table(table: Table, own: int, *, caption: bool = False) -> str:
    kinds = [' class="vpb-number"' if numeric else "" for numeric in table.numeric]
    head = "".join(f"<th{kind}>{escape(text)}</th>" for kind, text in zip(kinds, table.headers, strict=True))
    lines = []
    for index, cells in enumerate(table.cells):
        texts = [escape(cell) for cell in cells]
        if numbers := table.marks[index]:
            texts[table.name_at] += f" <sup>{' '.join(map(str, numbers))}</sup>"
        row = "".join(f"<td{kind}>{text}</td>" for kind, text in zip(kinds, texts, strict=True))
        lines.append(f'<tr class="vpb-own">{row}</tr>' if index == own else f"<tr>{row}</tr>")
    title = f"<p><b>{escape(table.caption)}</b></p>" if caption and table.caption else ""
    return f'{title}<div class="vpb-scroll"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def _footnotes(section: Section) -> str:
    notes = [f"<sup>{number}</sup> {escape(note)}" for number, note in enumerate(section.footnotes, 1)]
    return "".join(f'<p class="vpb-quiet">{text}</p>' for text in [*notes, *map(escape, section.remarks)])


def _list(title: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<p><b>{title}</b></p><ul>{items}</ul>" if items else ""


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>{content}</details>" if content else ""


def _meanings(board: Board) -> str:
    lines = "".join(f"<li><b>{escape(what)}</b>: {escape(meaning)}.</li>" for what, meaning in legend([board]))
    return f"<ul>{lines}</ul>" if lines else ""
