"""`vpbench plugins`: what is installed, and what is wrong with it."""

from __future__ import annotations

import click

from ..errors import ExitCode
from .group import EPILOG, main, warn_of_problems


@main.command(epilog=EPILOG)
def plugins() -> int:
    """List models, datasets and metrics, and what is broken.

    Everything installed, with its version and where it is from. A plugin that cannot be loaded costs a line on stderr,
    and the exit code is 1.
    """
    from .. import registry

    installed = registry.load()
    rows = [("kind", "name", "version", "from", "summary")]
    for kind, found in (
        ("model", installed.models()),
        ("dataset", installed.datasets()),
        ("metric", installed.metrics()),
    ):
        rows += [
            (kind, name, each.spec.version, f"{each.distribution} {each.version}", each.spec.summary)
            for name, each in found.items()
        ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)), row[4]]))
    warn_of_problems(installed)
    return ExitCode.FAILED if installed.problems else ExitCode.OK
