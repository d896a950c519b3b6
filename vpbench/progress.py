"""One progress display for everything long: a bar on a terminal, a line that changes in a notebook, a line now and then
in a log."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from types import TracebackType
from typing import Any

LOG_INTERVAL_S = 30.0
NOTEBOOK_INTERVAL_S = 0.5  # also how long something takes before it is worth a line in a notebook


class Progress:
    """Counts towards a total and says what is happening, on stderr; in a notebook, below the cell.

    with Progress("latentode", total=100, unit="clips") as progress:
        progress.advance(4, "18.2 dB")
    """

    def __init__(self, label: str, total: int | None, *, unit: str = "", done: int = 0, quiet: bool = False) -> None:
        self.label, self.total, self.unit, self.done = label, total, unit, done
        self.quiet = quiet
        self._started_at = done
        self._start = self._said = time.monotonic()
        self._bar: Any = None  # of rich, which is imported only where there is a terminal
        self._display: Any = None  # of IPython, in a notebook
        self._shown: Any = None  # what it displays

    def __enter__(self) -> Progress:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(self.unit),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self.label, total=self.total, completed=self.done, note="")
        elif not self.quiet:
            self._display = _notebook()
        return self

    def advance(self, n: int, note: str | None = None) -> None:
        self.done += n
        if self._bar is not None:
            fields = {} if note is None else {"note": note}
            self._bar.update(self._task, total=self.total, completed=self.done, **fields)
        elif self._display is not None:
            if time.monotonic() - self._said > NOTEBOOK_INTERVAL_S:
                self._said = time.monotonic()
                self._show(self._line(note))
        elif not self.quiet and time.monotonic() - self._said > LOG_INTERVAL_S:
            self._said = time.monotonic()
            print(self._line(note), file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """A line that stays, above the bar."""
        if self.quiet:
            return
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def _show(self, line: str) -> None:
        """A line in a notebook, in the place of the one before."""
        content = {"text/plain": line}
        if self._shown is None:
            self._shown = self._display(content, raw=True, display_id=True)
        else:
            self._shown.update(content, raw=True)

    def _count(self) -> str:
        line = f"{self.label}: {self.done}" + (f"/{self.total}" if self.total else "")
        return line + (f" {self.unit}" if self.unit else "")

    def _line(self, note: str | None) -> str:
        elapsed = time.monotonic() - self._start
        pace = (self.done - self._started_at) / elapsed if elapsed else 0.0
        line = self._count()
        if self.total and pace:
            line += f", {seconds((self.total - self.done) / pace)} left"
        return line + (f", {note}" if note else "")

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._shown is not None:
            self._show(f"{self._count()} in {seconds(time.monotonic() - self._start)}")


def _notebook() -> Any:
    """What displays things below the cell of a notebook that runs this; None elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return import_module("IPython.display").display if hasattr(shell, "kernel") else None


def seconds(value: float) -> str:
    """A duration as people say it: 8 s, 3 min, 2.1 h."""
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"
