"""A function called in a fresh interpreter: what holds there too depends on nothing that happened here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

PATIENCE_S = 120.0

#: The answer is the last line: what a plugin prints comes before it.
_PROGRAM = """
import json, sys
from vpbench.specs import resolve
print("\\n" + json.dumps(resolve(sys.argv[1])(json.load(sys.stdin))))
"""


class ProcessFailed(RuntimeError):
    """The other process raised; the message is the last line of what it said."""


def in_another_process(function: str, argument: Any) -> Any:
    """What ``"module:function"`` answers to one argument, both as JSON has them.

    The other interpreter finds the modules that this one finds, and has other hashes of text: an order that comes out
    of a set, or a seed made with hash(), is another one there. Raises ProcessFailed.
    """
    other_hashes = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    path = os.pathsep.join(os.path.abspath(each) for each in sys.path)  # noqa: PTH100 ("" is the working directory)
    environment = {**os.environ, "PYTHONHASHSEED": other_hashes, "PYTHONPATH": path}
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM, function],
        input=json.dumps(argument),
        capture_output=True,
        text=True,
        env=environment,
        timeout=PATIENCE_S,
    )
    if ran.returncode:
        said = ran.stderr.strip().splitlines()
        raise ProcessFailed(f"in another process: {said[-1] if said else f'exit {ran.returncode}'}")
    return json.loads(ran.stdout.strip().splitlines()[-1])
