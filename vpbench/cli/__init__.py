"""The command line, a module per command. Parsing only: each imports what it needs when it runs, so help stays fast."""

from . import compare, data, leaderboard, new, plugins, report, rescore, run, show, train, verify
from .group import main

__all__ = [
    "compare",
    "data",
    "leaderboard",
    "main",
    "new",
    "plugins",
    "report",
    "rescore",
    "run",
    "show",
    "train",
    "verify",
]
