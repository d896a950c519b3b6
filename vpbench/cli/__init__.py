"""The command line, a module per command. Parsing only: each imports what it needs when it runs, so help stays fast."""

from . import (
    cite,
    compare,
    completion,
    data,
    doctor,
    export_context,
    leaderboard,
    new,
    plugins,
    predict,
    report,
    rescore,
    run,
    score,
    show,
    train,
    verify,
)
from .group import main

__all__ = [
    "cite",
    "compare",
    "completion",
    "data",
    "doctor",
    "export_context",
    "leaderboard",
    "main",
    "new",
    "plugins",
    "predict",
    "report",
    "rescore",
    "run",
    "score",
    "show",
    "train",
    "verify",
]
