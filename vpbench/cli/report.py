"""`vpbench report`: boards, curves, differences and clips as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ExitCode
from . import names
from .group import EPILOG, main, positive, score_functions, several, warn, warn_of_problems


@main.command(epilog=EPILOG)
@several(
    "--results",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of records; several are shown together.  [default: results]",
)
@several("--horizon", "horizons", type=positive, metavar="N", help="Only boards of these horizons.")
@several("--context", "contexts", type=positive, metavar="N", help="Only boards of so many context frames.")
@click.option(
    "--metric", metavar="NAME", shell_complete=names.metrics, help="Metric to rank by.  [default: psnr-pooled]"
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    default=Path("report.html"),
    show_default=True,
    help="File to write.",
)
def report(
    results: tuple[Path, ...],
    horizons: tuple[int, ...],
    contexts: tuple[int, ...],
    metric: str | None,
    output: Path,
) -> int:
    """Make one HTML page: tables, curves, differences, clips.

    \b
      vpbench report --results runs
      vpbench report --results results --results runs --output board.html

    The file needs a browser and nothing else: no server, no network. The same records give the same bytes. A record
    that cannot be read costs a line on stderr and on the page, and the exit code is 4.
    """
    from .. import registry
    from ..report import page
    from ..storage import write_atomically

    folders = results or (Path("results"),)
    for folder in folders:
        if not folder.is_dir():
            raise click.UsageError(f"there is no results folder {folder}: name one with --results")
    installed = registry.load()
    warn_of_problems(installed)
    made = page(
        folders, score_functions(installed), metric=metric, horizons=horizons or None, contexts=contexts or None
    )
    for problem in made.problems:
        warn(str(problem))
    for line in made.warnings:
        warn(line)
    write_atomically(output, made.html.encode())
    click.echo(f"page: {output}")
    return ExitCode.DATA if made.problems else ExitCode.OK
