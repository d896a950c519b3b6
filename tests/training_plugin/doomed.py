"""Training in processes that are going to be killed: forked from this one, which has imported what takes long.

Reads jobs from stdin, JSON lines of {"line": [..], "environment": {..}, "write": which fsync to die in, 0 for none},
and answers each with the exit code of its process.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from typing import Any

import safetensors.torch  # noqa: F401
import torch

import vpbench.training  # noqa: F401
from vpbench.cli import main


def run(job: dict[str, Any]) -> None:
    os.environ.update(job["environment"])
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    fsync, calls = os.fsync, itertools.count(1)

    def die_or_sync(descriptor: int) -> None:
        if next(calls) == job["write"]:
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)

    os.fsync = die_or_sync
    main(job["line"])


if __name__ == "__main__":
    torch.set_num_threads(1)
    for text in sys.stdin:
        child = os.fork()
        if not child:
            run(json.loads(text))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
