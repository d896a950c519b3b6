"""Boards written down: as Markdown, for a terminal, as CSV or LaTeX, and between the markers of a README.

What is compared is decided in `comparison`; nothing here changes a number. The same records give the same bytes,
whatever the order of files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .comparison import Board, Column, Row, boards, role_of, settings
from .errors import UsageError, VpbenchError
from .protocols import Score
from .results import Record, canonical, iter_records
from .stats import ALPHA, ScoreFunction

if TYPE_CHECKING:
    import pandas as pd

START = "<!-- vpbench:leaderboard -->"
END = "<!-- /vpbench:leaderboard -->"

_DASH = "–"
_BELOW, _NOT_ABOVE = "▼ below floor", "▽ not above floor"


class Rendered(NamedTuple):
    """A text, and what could not go into it."""

    text: str
    problems: list[VpbenchError]


def render(
    results: str | Path | Sequence[str | Path],
    scorers: Mapping[str, ScoreFunction],
    *,
    format: str = "markdown",
    metric: str | None = None,
    horizons: Iterable[int] | None = None,
) -> Rendered:
    """The boards of all records in one or several results folders.

    format  "markdown", "text" (a terminal), "csv" or "latex"

    The other arguments, and what they raise, are those of `comparison.boards`. Records that cannot be read come back as
    problems, one line each. Raises `UsageError` for an unknown format.
    """
    if format not in RENDERERS:
        raise UsageError(f"no format {format!r}; there is: {', '.join(RENDERERS)}")
    folders = [results] if isinstance(results, str | Path) else list(results)
    records: list[Record] = []
    problems: list[VpbenchError] = []
    for folder in folders:
        found, bad = iter_records(folder)
        records += found
        problems += bad
    if not records:
        return Rendered(f"No records in {', '.join(str(folder) for folder in folders)}.\n", problems)
    shown, more = boards(records, scorers, metric=metric, horizons=horizons)
    return Rendered(RENDERERS[format](shown), problems + more)


def update_between_markers(text: str, board: str) -> str:
    """The text with `board` between `START` and `END`, for a README that holds a board.

    Raises `UsageError` unless each marker is there exactly once, in this order.
    """
    for marker in (START, END):
        if (found := text.count(marker)) != 1:
            raise UsageError(
                f"the marker {marker} must be there once, found {found} times: put {START} and {END} around"
            )
    before, rest = text.split(START)
    if END not in rest:
        raise UsageError(f"the marker {END} must come after {START}")
    return f"{before}{START}\n{board.strip()}\n{END}{rest.split(END)[1]}"


# --------------------------------------------------------------------------------------------------------------- table


@dataclass(frozen=True)
class _Table:
    """A board as plain text, the same for every form but CSV."""

    title: str
    subtitle: str
    headers: list[str]
    numeric: list[bool]  #: columns aligned to the right
    cells: list[list[str]]
    marks: list[list[int]]  #: numbers of the footnotes of each row; they go to its name
    footnotes: list[str]  #: what single rows are told beyond the frames, or are to be taken with
    remarks: list[str]  #: sentences about the whole board
    not_run: list[str]  #: what failed or was skipped, and why


#: The column of names in a table.
_NAME = 1


def _table(board: Board) -> _Table:
    rows = board.rows
    parts: list[tuple[str, list[str], bool]] = [
        ("rank", [str(row.rank) if row.rank is not None else _DASH for row in rows], True),
        ("model", [_label(row) for row in rows], False),
    ]
    for header, column in zip(_headers(board.columns), board.columns, strict=True):
        parts.append((header, [_with_interval(row.scores.get(column)) for row in rows], True))
        if column == board.ranking and any(row.headroom for row in rows):
            parts.append(("headroom (%) ↑", [_with_interval(row.headroom, scale=100) for row in rows], True))
    speeds, measured = _speeds([row.record for row in rows])
    parts += [
        ("frames/s", speeds, True),
        ("parameters", [_large(row.record.cost.get("parameters")) for row in rows], True),
        ("training", [_training(row.record) for row in rows], False),
    ]
    marks, footnotes, shared = _notes(rows)
    remarks = [*board.remarks, *shared, *measured]
    return _Table(
        title=f"{board.dataset['name']}, {_task_name(board.task)}",
        subtitle=_subtitle(board),
        headers=[header for header, _, _ in parts],
        numeric=[numeric for _, _, numeric in parts],
        cells=[list(line) for line in zip(*(cells for _, cells, _ in parts), strict=True)],
        marks=marks,
        footnotes=footnotes,
        remarks=remarks,
        not_run=[_why_not(label, record) for label, record in board.not_run],
    )


def _subtitle(board: Board) -> str:
    clips = f"{board.n} clip{'' if board.n == 1 else 's'} of the " if board.rows else ""
    version = f"version {board.dataset['version']}"
    config = settings(board.dataset["config"])
    fingerprint = f"fingerprint {str(board.dataset['fingerprint'])[:12]}"
    return f"{clips}{board.split} split; {', '.join(part for part in (version, config, fingerprint) if part)}."


def _task_name(task: Mapping[str, Any]) -> str:
    steps = "→".join(str(task[key]) for key in ("context", "horizon") if key in task)
    rest = settings({key: value for key, value in task.items() if key not in ("kind", "context", "horizon")})
    kind = "" if task["kind"] == "extrapolate" and steps else str(task["kind"])
    return " ".join(part for part in (kind, steps, rest) if part)


def _label(row: Row) -> str:
    role = "" if row.role == "contender" else f" ({row.role})"
    mark = _BELOW if row.below_floor else _NOT_ABOVE if row.not_above_floor else ""
    return f"{row.label}{role} {mark}".rstrip()


def _headers(columns: Sequence[Column]) -> list[str]:
    """``"psnr-pooled (dB) ↑"``, with as much of the definition as tells two columns of one metric apart."""
    names = [column.metric for column in columns]
    for key, form in (("convention", "{}"), ("version", "v{}"), ("distribution", "{}"), ("statistics", "of {}")):
        told = {
            name: {getattr(c, key) for c, other in zip(columns, names, strict=True) if other == name} for name in names
        }
        names = [
            f"{name} {form.format(_plain_text(getattr(column, key)))}" if len(told[name]) > 1 else name
            for column, name in zip(columns, names, strict=True)
        ]
    units = [f" ({column.unit})" if column.unit else "" for column in columns]
    arrows = ["↑" if column.higher_is_better else "↓" for column in columns]
    return [f"{name}{unit} {arrow}" for name, unit, arrow in zip(names, units, arrows, strict=True)]


def _plain_text(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _training(record: Record) -> str:
    """How much training the weights have seen, where there is anything to learn."""
    about = record.about
    if about.get("learns") == "statistics":
        took = _duration(record.cost.get("fit_s"))
        return f"fitted in {took}" if took else "fitted"
    if about.get("learns") != "weights":
        return _DASH
    if not about.get("trained"):
        return "untrained"
    training = _training_of(record)
    sequences = f"{_large(training['sequences'])} sequences" if "sequences" in training else ""
    parts = (sequences, _duration(training.get("seconds")), _short_device(training.get("device")))
    return ", ".join(part for part in parts if part) or "trained"


def _training_of(record: Record) -> Mapping[str, Any]:
    training = record.about.get("training")
    return training if isinstance(training, Mapping) else {}


def _speeds(records: Sequence[Record]) -> tuple[list[str], list[str]]:
    """The cell of each record with its speed, and the sentence on how these were measured, if there are any.

    One rollout serves several horizons, so a speed is that of its rollout, whatever the horizon of the board. What the
    records do not share is said beside the speed.
    """
    speeds = [_large(record.cost.get("frames_per_s"), digits=2) for record in records]
    timed = [record for record, speed in zip(records, speeds, strict=True) if speed != _DASH]
    if not timed:
        return speeds, []
    rollouts, devices = {_rollout(record) for record in timed}, {_device(record) for record in timed}
    for index, record in enumerate(records):
        if speeds[index] == _DASH:
            continue
        if len(rollouts) > 1:
            speeds[index] += f" ({_rollout(record) or 'rollout unknown'})"
        if len(devices) > 1:
            speeds[index] += f", {_device(record)}"
    sentence = "frames/s over the whole rollout"
    if len(rollouts) > 1:
        sentence += ", whose length is named,"
    elif rollout := rollouts.pop():
        sentence += f" ({rollout})"
    sentence += f" on {devices.pop()}." if len(devices) == 1 else " on the device named."
    return speeds, [sentence]


def _rollout(record: Record) -> str:
    """``"90 steps, batches of 16"``: what a speed was measured on, as far as the record says."""
    steps, batch = (record.cost.get(key) for key in ("rollout_horizon", "batch_size"))
    parts = [f"{steps} step{'' if steps == 1 else 's'}"] if type(steps) is int else []
    return ", ".join([*parts, f"batches of {batch}"] if type(batch) is int else parts)


def _device(record: Record) -> str:
    """What predicted, for people; on a CPU the number of threads belongs to a speed."""
    machine = record.machine
    name = _short_device(_full_device(machine))
    threads = machine.get("threads")
    if machine.get("device") == "cpu" and threads is not None:
        return f"{name} ({threads} thread{'' if threads == 1 else 's'})"
    return name


def _full_device(machine: Mapping[str, Any]) -> str:
    return str(machine.get("device_name") or machine.get("device") or "unknown device")


def _short_device(name: Any) -> str:
    """``"Intel Xeon"`` of "Intel(R) Xeon(R) Processor @ 2.20GHz"."""
    full = " ".join(str(name or "").split())
    return " ".join(re.sub(r"\((R|TM)\)|\b(CPU|Processor)\b|@.*", " ", full, flags=re.IGNORECASE).split()) or full


def _notes(rows: Sequence[Row]) -> tuple[list[list[int]], list[str], list[str]]:
    """The numbers of each row's footnotes, the footnotes, and what holds for all rows and so is said once."""
    said = [[text for key in ("assumptions", "caveat") if (text := _sentence(row.record, key))] for row in rows]
    shared = [text for text in said[0] if all(text in texts for texts in said)] if len(rows) > 1 else []
    own = [[text for text in texts if text not in shared] for texts in said]
    footnotes = list(dict.fromkeys(text for texts in own for text in texts))
    return [[footnotes.index(text) + 1 for text in texts] for texts in own], footnotes, shared


def _sentence(record: Record, key: str) -> str:
    text = " ".join(str(record.about.get(key) or "").split()).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _why_not(label: str, record: Record) -> str:
    reason = record.reason or {}
    message = " ".join(str(reason.get("message", "")).split())
    return f"{label}: {record.status} in {reason.get('phase')} ({reason.get('type')}): {message}"


# ------------------------------------------------------------------------------------------------------------- numbers


def _with_interval(score: Score | None, *, scale: float = 1.0) -> str:
    """``"14.32 ±0.05"``: half the width of the interval, and the value to the same decimals.

    The value alone where there is no interval (one clip) or one of no width (all clips alike).
    """
    if score is None or math.isnan(score.value):
        return _DASH
    value, half = score.value * scale, (score.high - score.low) / 2 * scale
    if not math.isfinite(half) or half <= 0:
        return f"{value + 0.0:.4g}"  # + 0.0: no "-0"
    decimals = _decimals(half)
    if decimals > 6:
        return f"{value:.3g} ±{half:.1g}"
    return f"{round(value, decimals) + 0.0:.{decimals}f} ±{half:.{decimals}f}"


def _decimals(half: float) -> int:
    """Decimals that show two significant digits up to 3.5, else one: the rule of the Particle Data Group."""
    exponent = math.floor(math.log10(half))
    return max(0, -exponent + (1 if half / 10**exponent < 3.55 else 0))


def _large(value: Any, *, digits: int = 3) -> str:
    """``"1.83 M"``."""
    if type(value) not in (int, float) or not math.isfinite(value):
        return _DASH
    rounded = _rounded(value, digits)  # before the unit is chosen: 999,999 is 1 M, not 1000 k
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(rounded) >= size:
            return f"{rounded / size:g} {unit}"
    return f"{rounded:g}"


def _duration(seconds: Any) -> str:
    """``"1.3 h"``."""
    if type(seconds) in (int, float):
        for unit, size in (("h", 3600), ("min", 60), ("s", 1)):
            if seconds >= size or unit == "s":
                return f"{_rounded(seconds / size, 2):g} {unit}"
    return ""


def _rounded(value: float, digits: int) -> float:
    """To significant digits."""
    return float(f"{value:.{digits}g}")


# -------------------------------------------------------------------------------------------------------------- legend


def _legend(shown: Sequence[Board]) -> list[tuple[str, str]]:
    """(what, meaning) of all that the tables hold."""
    rows = [row for board in shown for row in board.rows]
    columns = {column: column for board in shown for column in board.columns}
    ranking = ", ".join(sorted({board.metric for board in shown}))
    legend = []
    if tasks := [board.task for board in shown if {"context", "horizon"} <= board.task.keys()]:
        context, horizon = tasks[-1]["context"], tasks[-1]["horizon"]
        legend.append(
            (f"{context}→{horizon}", f"{context} frames given, the {horizon} after them predicted and scored")
        )
    legend += [
        (
            "rank",
            f"1 + the number of rows that are significantly better in {ranking} (paired bootstrap over clips, Holm "
            f"over all pairs of a board, α = {ALPHA:g}). Rows see the same clips, so overlapping intervals "
            "do not mean that they tie",
        ),
        (
            "±",
            "half the width of the 95 % percentile bootstrap interval over clips; left out where there is one clip, or "
            "all have the same value",
        ),
    ]
    if any(row.role == "floor" for row in rows):
        legend.append(("floor", "trivial baseline"))
    if any(row.below_floor for row in rows):
        legend.append((_BELOW, f"significantly worse in {ranking} than the best floor, by the test of the ranks"))
    if any(row.not_above_floor for row in rows):
        legend.append(
            (
                _NOT_ABOVE,
                f"not significantly better in {ranking} than the best floor, nor worse, by the test of the ranks",
            )
        )
    if any(row.role == "ceiling" for row in rows):
        legend.append(("ceiling", "told what no contender is, so not ranked"))
    if any(row.headroom for row in rows):
        legend.append(("headroom", "share of the way from the best floor to the best ceiling, in the mean statistic"))
    origins = {column: _origin(column) for column in columns}
    one_origin = len(set(origins.values())) == 1
    for column in columns.values():
        unit = f" ({column.unit})" if column.unit else ""
        origin = "" if one_origin else f" ({origins[column]})"
        legend.append((f"{column.metric}{unit}", f"{' '.join(column.definition.split()).rstrip('.')}{origin}"))
    if one_origin:
        legend.append(("all metrics", next(iter(origins.values()))))
    return legend


def _origin(column: Column) -> str:
    return f"version {column.version}, convention {column.convention}, {column.distribution}"


# --------------------------------------------------------------------------------------------------------------- forms


def to_markdown(shown: Sequence[Board]) -> str:
    """Sections with pipe tables, and one legend at the end, folded up."""
    lines = []
    for table in map(_table, shown):
        lines += [f"### {_markdown(table.title)}", "", _markdown(table.subtitle), ""]
        if table.cells:
            lines += [_tabulated(table, "pipe", _markdown, "<sup>{}</sup>"), ""]
        if table.footnotes:
            lines += [f"<sup>{number}</sup> {_markdown(note)}  " for number, note in enumerate(table.footnotes, 1)]
            lines += [""]
        if table.remarks:
            lines += [_markdown(" ".join(table.remarks)), ""]
        if table.not_run:
            lines += ["Without a result:", "", *(f"- {_markdown(line)}" for line in table.not_run), ""]
    lines += ["<details><summary>What the columns mean</summary>", ""]
    lines += [f"- **{_markdown(what)}**: {_markdown(meaning)}." for what, meaning in _legend(shown)]
    return "\n".join([*lines, "", "</details>"]) + "\n"


def to_text(shown: Sequence[Board]) -> str:
    """The same for a terminal, without the legend."""
    lines = []
    for table in map(_table, shown):
        lines += [table.title, table.subtitle, ""]
        if table.cells:
            lines += [_tabulated(table, "simple", str, " [{}]"), ""]
        lines += [f"[{number}] {note}" for number, note in enumerate(table.footnotes, 1)]
        lines += [*table.remarks, *table.not_run, ""]
    return "\n".join(lines)


def _tabulated(table: _Table, form: str, escape: Callable[[str], str], mark: str) -> str:
    from tabulate import tabulate

    align = ["right" if numeric else "left" for numeric in table.numeric]
    headers = [escape(header) for header in table.headers]
    return tabulate(_marked(table, escape, mark), headers, tablefmt=form, colalign=align, disable_numparse=True)


def _marked(table: _Table, escape: Callable[[str], str], mark: str) -> list[list[str]]:
    """The escaped cells, with the marks of footnotes behind the names."""
    cells = [[escape(cell) for cell in line] for line in table.cells]
    for line, numbers in zip(cells, table.marks, strict=True):
        line[_NAME] += "".join(mark.format(number) for number in numbers)
    return cells


def to_latex(shown: Sequence[Board]) -> str:
    """Tables for a paper, and the legend as a description list."""
    lines = [r"% needs \usepackage{booktabs} and \usepackage{amssymb}"]
    for table in map(_table, shown):
        lines += ["", r"\begin{table}", r"\centering"]
        lines += [rf"\caption{{{_latex(table.title)}: {_latex(table.subtitle)}}}"]
        if table.cells:
            columns = "".join("r" if numeric else "l" for numeric in table.numeric)
            lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
            lines += [" & ".join(_latex(header) for header in table.headers) + r" \\", r"\midrule"]
            lines += [" & ".join(line) + r" \\" for line in _marked(table, _latex, r"\textsuperscript{{{}}}")]
            lines += [r"\bottomrule", r"\end{tabular}"]
        notes = [rf"\textsuperscript{{{number}}} {_latex(note)}" for number, note in enumerate(table.footnotes, 1)]
        notes += [_latex(line) for line in (*table.remarks, *table.not_run)]
        lines += [rf"\par\smallskip {note}" for note in notes]
        lines += [r"\end{table}"]
    lines += ["", r"\begin{description}"]
    lines += [rf"\item[{{{_latex(what)}}}] {_latex(meaning)}." for what, meaning in _legend(shown)]
    return "\n".join([*lines, r"\end{description}"]) + "\n"


#: What would end a cell or start a tag (so also a marker); underscores within words and dashes are safe.
_MARKDOWN = str.maketrans({"<": "&lt;", ">": "&gt;", **{character: f"\\{character}" for character in "\\|`*["}})

_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "{}$&#_%"},
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "→": r"$\rightarrow$",
        "▼": r"$\blacktriangledown$",
        "▽": r"$\triangledown$",
        "±": r"$\pm$",
        "×": r"$\times$",
        "α": r"$\alpha$",
        "σ": r"$\sigma$",
        "–": "--",
    }
)


def _markdown(text: str) -> str:
    return " ".join(text.split()).translate(_MARKDOWN)


def _latex(text: str) -> str:
    return " ".join(text.split()).translate(_LATEX)


# ----------------------------------------------------------------------------------------------------------------- csv


def frame(shown: Sequence[Board]) -> pd.DataFrame:
    """Long and tidy: a line per record and metric; a record without scores has one line, with its reason if any."""
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for board in shown:
        for row in board.rows:
            lines += [_facts(board, row.record, row.label, row, *one) for one in row.scores.items() or [(None, None)]]
        lines += [_facts(board, record, label) for label, record in board.not_run]
    # As objects: where one rank is missing the others would become floats.
    return pd.DataFrame(lines, dtype=object)


def to_csv(shown: Sequence[Board]) -> str:
    """`frame` as text; numbers have six significant digits, as many as the statistics have."""
    return frame(shown).to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _facts(
    board: Board,
    record: Record,
    label: str,
    row: Row | None = None,
    column: Column | None = None,
    score: Score | None = None,
) -> dict[str, Any]:
    about, training = record.about, _training_of(record)
    return {
        "dataset": board.dataset["name"],
        "dataset_version": board.dataset["version"],
        "dataset_config": canonical(board.dataset["config"]),
        "fingerprint": board.dataset["fingerprint"],
        "split": board.split,
        "task": board.task["kind"],
        "context": board.task.get("context"),
        "horizon": board.task.get("horizon"),
        "rank": row.rank if row else None,
        "label": label,
        "model": record.model["name"],
        "model_version": record.model["version"],
        "model_config": canonical(record.model["config"]),
        "weights_sha256": record.model["weights_sha256"],
        "seed": record.identity["seed"],
        "dtype": record.identity["dtype"],
        "role": role_of(record),
        "metric": column.metric if column else None,
        "convention": column.convention if column else None,
        "version": column.version if column else None,
        "distribution": column.distribution if column else None,
        "unit": column.unit if column else None,
        "higher_is_better": column.higher_is_better if column else None,
        "value": score.value if score else None,
        "low": score.low if score else None,
        "high": score.high if score else None,
        "n": board.n if score else None,
        "is_ranking": column == board.ranking if column else None,
        "below_floor": row.below_floor if row else None,
        "not_above_floor": row.not_above_floor if row else None,
        "status": record.status,
        "reason": _why_not(label, record) if record.reason else None,
        "parameters": record.cost.get("parameters"),
        "learns": about.get("learns"),
        "trained": about.get("trained"),
        "training_sequences": training.get("sequences"),
        "training_seconds": training.get("seconds"),
        "training_device": training.get("device"),
        "frames_per_s": record.cost.get("frames_per_s"),
        "rollout_horizon": record.cost.get("rollout_horizon"),
        "batch_size": record.cost.get("batch_size"),
        "device": _full_device(record.machine),
        "source": row.source if row else None,
        "cell": record.cell,
        "definition": " ".join(column.definition.split()) if column else None,
    }


RENDERERS: Mapping[str, Callable[[Sequence[Board]], str]] = {
    "markdown": to_markdown,
    "text": to_text,
    "csv": to_csv,
    "latex": to_latex,
}
