"""`vpbench data`: datasets that have to be downloaded."""

from __future__ import annotations

import click

from ..errors import ExitCode
from ..interrupts import terminate_like_interrupt
from . import names
from .group import EPILOG, main, warn_of_problems


@main.group(epilog=EPILOG, invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """Get datasets that have to be downloaded.

    \b
      vpbench data get moving-mnist-toronto
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@data.command(epilog=EPILOG)
@click.argument("name", metavar="DATASET", shell_complete=names.downloads)
def get(name: str) -> int:
    """Download DATASET.

    A download that was cut off is continued, and what arrives is verified. Nothing else ever downloads anything.
    """
    from .. import registry
    from ..instances import blaming
    from ..progress import Progress
    from ..specs import resolve

    terminate_like_interrupt()
    installed = registry.load()
    warn_of_problems(installed)
    provided = installed.dataset(name)
    if provided.spec.fetch is None:
        raise click.UsageError(f"{name} needs no download")
    with Progress(f"getting {name}", None, unit="bytes") as progress:

        def report(done: int, total: int | None) -> None:
            progress.total = total
            progress.advance(done - progress.done)

        with blaming(provided, "fetch"):
            path = resolve(provided.spec.fetch)(report)
    click.echo(f"{name}: {path}")
    return ExitCode.OK
