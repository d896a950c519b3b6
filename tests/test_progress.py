"""The progress display, on a terminal and in a log."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time

import pytest

from vpbench import progress
from vpbench.progress import Progress, seconds


class Terminal:
    """A pseudo-terminal that takes the place of stderr; to be made in the test itself, as pytest takes stderr back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._master, slave = pty.openpty()
        self._stderr = os.fdopen(slave, "w")
        monkeypatch.setattr(sys, "stderr", self._stderr)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "200")

    def shown(self) -> str:
        """What has been written since, without control sequences."""
        self._stderr.flush()
        found = b""
        until = time.monotonic() + 0.3  # a bar draws itself again ten times a second
        while (left := until - time.monotonic()) > 0:
            if select.select([self._master], [], [], left)[0]:
                found += os.read(self._master, 65536)
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", found.decode())


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line in the log at every advance instead of every half minute."""
    monkeypatch.setattr(progress, "LOG_INTERVAL_S", -1.0)


class TestTerminal:
    def test_shows_a_bar_with_counts_unit_and_note(self, monkeypatch: pytest.MonkeyPatch) -> None:
        terminal = Terminal(monkeypatch)
        with Progress("training toy", 10, unit="updates") as bar:
            bar.advance(3, "loss 0.25")
            shown = terminal.shown()
        assert "training toy" in shown
        assert "3/10" in shown
        assert "updates" in shown
        assert "loss 0.25" in shown

    def test_lines_stay_and_are_taken_literally(self, monkeypatch: pytest.MonkeyPatch) -> None:
        terminal = Terminal(monkeypatch)
        with Progress("toy [1/2]", 10) as bar:
            bar.advance(1, "[bold]0.5[/bold]")
            bar.say("update 1: [red]18.2[/red] dB")
            shown = terminal.shown()
        assert "update 1: [red]18.2[/red] dB" in shown
        assert "toy [1/2]" in shown
        assert "[bold]0.5[/bold]" in shown

    def test_a_resumed_count_starts_where_it_was(self, monkeypatch: pytest.MonkeyPatch) -> None:
        terminal = Terminal(monkeypatch)
        with Progress("toy", 10, done=7) as bar:
            bar.advance(1)
            assert "8/10" in terminal.shown()

    def test_a_total_may_become_known_on_the_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        terminal = Terminal(monkeypatch)
        with Progress("getting", None, unit="bytes") as bar:
            bar.advance(10)
            bar.total = 100
            bar.advance(10)
            assert "20/100" in terminal.shown()

    def test_ends_with_the_block_also_by_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        terminal = Terminal(monkeypatch)
        bar = Progress("toy", 10)
        with pytest.raises(KeyboardInterrupt), bar:
            raise KeyboardInterrupt
        terminal.shown()
        assert terminal.shown() == ""

    def test_quiet_is_quiet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        terminal = Terminal(monkeypatch)
        with Progress("toy", 10, quiet=True) as bar:
            bar.advance(1)
            bar.say("hello")
        assert terminal.shown() == ""


class TestLog:
    def test_is_left_alone_for_half_a_minute(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Progress("toy", 10) as bar:
            for _ in range(10):
                bar.advance(1)
        assert capsys.readouterr().err == ""

    def test_gets_a_line_now_and_then(self, capsys: pytest.CaptureFixture[str], talkative: None) -> None:
        with Progress("training toy", 10, unit="updates") as bar:
            time.sleep(0.01)
            bar.advance(4, "loss 0.25")
        out, err = capsys.readouterr()
        assert re.fullmatch(r"training toy: 4/10 updates, \d+ s left, loss 0\.25\n", err)
        assert out == ""

    def test_without_total_and_unit_is_a_count(self, capsys: pytest.CaptureFixture[str], talkative: None) -> None:
        with Progress("toy", None) as bar:
            bar.advance(4)
        assert capsys.readouterr().err == "toy: 4\n"

    def test_time_left_counts_what_this_process_did(
        self, capsys: pytest.CaptureFixture[str], talkative: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """7 were done before; 1 took 10 s; so the other 2 take 20 s."""
        now = iter([100.0, *[110.0] * 9])
        monkeypatch.setattr(time, "monotonic", lambda: next(now))
        with Progress("toy", 10, done=7) as bar:
            bar.advance(1)
        assert "20 s left" in capsys.readouterr().err

    def test_lines_are_said_as_they_are(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Progress("toy", 10) as bar:
            bar.say("[red]hello[/red]")
        assert capsys.readouterr().err == "[red]hello[/red]\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 s"), (0.4, "0 s"), (89, "89 s"), (90, "2 min"), (3000, "50 min"), (5400, "1.5 h"), (360_000, "100.0 h")],
)
def test_durations_are_said_as_people_say_them(value: float, text: str) -> None:
    assert seconds(value) == text
