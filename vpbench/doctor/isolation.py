"""The examination in a process of its own, so that what crashes or hangs there is a finding and not the end."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO, Any

from .findings import Finding

#: How long a step may be silent, seconds: torch on a cold network disk takes a while.
PATIENCE_S = 120.0

#: Modules are looked for exactly where the process that asks would look.
START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from vpbench.doctor.examination import main
main(sys.argv[2:])
"""


def examine(*, quick: bool = False, patience_s: float = PATIENCE_S) -> Iterator[Finding]:
    """What `examination` finds. A step that ends its process is broken, and the others go on in a new one."""
    words = ["--quick"] if quick else []
    while True:
        begun = ""
        watched = _Watched(words, patience_s)
        for kind, content in watched.lines():
            if kind == "finding":
                yield Finding(**content)
            elif kind == "begin":
                begun = content
            elif kind == "end":
                words, begun = [*words, content], ""
        if not watched.why:
            return
        what = begun or "start"
        yield Finding(what.split()[0], what, watched.why, "broken", _advice(what))
        if what in ("torch", "start"):  # without it there is nothing more to examine
            return
        words = [*words, "--no-plugins" if what == "plugins" else what]


def _advice(step: str) -> str:
    if step == "torch":
        return "reinstall torch, of a build for this processor; nothing that needs it was examined"
    if step == "plugins":
        return "a plugin does that when it is imported: find it with VPBENCH_PLUGINS=NAME, and uninstall it"
    return "" if step == "start" else "reinstall the plugin it is from, or uninstall it"


class _Watched:
    """One process of `examination`, from start to end."""

    def __init__(self, words: list[str], patience_s: float) -> None:
        self.words, self.patience_s = words, patience_s
        self.why = ""  #: how it ended, where that was not as it should

    def lines(self) -> Iterator[tuple[str, Any]]:
        """(kind, content) of each line, as they come."""
        with tempfile.TemporaryFile() as errors:
            command = [sys.executable, "-P", "-c", START, json.dumps(sys.path), *self.words]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
            assert process.stdout is not None
            coming: queue.Queue[bytes | None] = queue.Queue()
            threading.Thread(target=_forward, args=(process.stdout, coming), daemon=True).start()
            try:
                while (line := coming.get(timeout=self.patience_s)) is not None:
                    ((kind, content),) = json.loads(line).items()
                    yield kind, content
                code = process.wait(timeout=self.patience_s)
                self.why = _ending(code, errors) if code else ""
            except (queue.Empty, subprocess.TimeoutExpired):
                self.why = f"not done after {self.patience_s:g} s"
            finally:
                process.kill()
                process.wait()


def _forward(stream: IO[bytes], coming: queue.Queue[bytes | None]) -> None:
    for line in stream:
        coming.put(line)
    coming.put(None)


def _ending(code: int, errors: IO[bytes]) -> str:
    """How a process ended: its signal, or the last line it left."""
    if code < 0:
        try:
            return f"ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"ended by signal {-code}"
    errors.seek(0)
    said = errors.read().decode("utf-8", "replace").strip().splitlines()
    return f"ended with code {code}" + (f": {said[-1].strip()[:300]}" if said else "")
