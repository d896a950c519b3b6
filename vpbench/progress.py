"""One progress display for every long command: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

LOG_INTERVAL_S = 30.0


class Progress:
    """Counts towards a total and says what is happening, on stderr.

    with Progress("latentode", total=100, unit="clips") as progress:
        progress.advance(4, "18.2 dB")
    """

    def __init__(self, label: str, total: int | None, *, unit: str = "", done: int = 0, quiet: bool = False) -> None:
        self.label, self.total, self.unit, self.done = label, total, unit, done
        self.quiet = quiet
        self._started_at = done
        self._start = self._said = time.monotonic()
        self._bar: Any = None  # of rich, which is imported only where there is a terminal

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
        return self

    def advance(self, n: int, note: str | None = None) -> None:
        self.done += n
        if self._bar is not None:
            fields = {} if note is None else {"note": note}
            self._bar.update(self._task, total=self.total, completed=self.done, **fields)
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

    def _line(self, note: str | None) -> str:
        elapsed = time.monotonic() - self._start
        pace = (self.done - self._started_at) / elapsed if elapsed else 0.0
        line = f"{self.label}: {self.done}" + (f"/{self.total}" if self.total else "")
        line += f" {self.unit}" if self.unit else ""
        if self.total and pace:
            line += f", {seconds((self.total - self.done) / pace)} left"
        return line + (f", {note}" if note else "")

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()


def seconds(value: float) -> str:
    """A duration as people say it: 8 s, 3 min, 2.1 h."""
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"
