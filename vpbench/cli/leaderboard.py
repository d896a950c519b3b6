"""`vpbench leaderboard`: boards of records."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ExitCode
from . import names
from .group import EPILOG, fail, main, positive, read_text, score_functions, several, warn, warn_of_problems

#: Folder of published rows inside a results folder.
PUBLISHED = "published"


@main.command(epilog=EPILOG)
@several(
    "--results",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of records; several are shown together.  [default: results]",
)
@several("--horizon", "horizons", type=positive, metavar="N", help="Only boards of these horizons.")
@several("--context", "contexts", type=positive, metavar="N", help="Only boards of so many context frames.")
@click.option("--clips", type=positive, metavar="N", help="Only records of at least N clips.")
@click.option(
    "--metric", metavar="NAME", shell_complete=names.metrics, help="Metric to rank by.  [default: psnr-pooled]"
)
@click.option(
    "--published",
    is_flag=False,
    flag_value="",
    metavar="[DIR]",
    help="Published rows too.  [default folder: published in the results folder]",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "markdown", "csv", "latex", "json"]),
    help="[default: by the ending of --output, else text]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File to write. In a markdown file that is there, the board goes between its markers.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if --output is not up to date.")
def leaderboard(
    results: tuple[Path, ...],
    horizons: tuple[int, ...],
    contexts: tuple[int, ...],
    clips: int | None,
    metric: str | None,
    published: str | None,
    format_: str | None,
    output: Path | None,
    check: bool,
) -> int:
    """Make boards of records: text, markdown, CSV, LaTeX, JSON.

    \b
      vpbench leaderboard --results runs
      vpbench leaderboard --results results --output README.md
      vpbench leaderboard --results results --results runs --output board.tex
      vpbench leaderboard --results results --published --output board.json

    Records that may not be compared (another dataset version, horizon, definition of a metric) never share a table;
    those that differ in their seed alone are one row. Published rows stand beside measured ones only where dataset,
    split, task and convention agree. The same records give the same bytes. A record that cannot be read or trusted
    costs a line on stderr, and the exit code is 4.
    """
    from .. import leaderboard as boards
    from .. import registry
    from ..storage import write_atomically

    if check and not output:
        raise click.UsageError("--check compares with a file: give --output FILE")
    folders = results or (Path("results"),)
    for folder in folders:
        if not folder.is_dir():
            raise click.UsageError(f"there is no results folder {folder}: name one with --results")
    installed = registry.load()
    warn_of_problems(installed)
    endings = {".md": "markdown", ".csv": "csv", ".tex": "latex", ".json": "json"}
    format_ = format_ or (endings.get(output.suffix, "text") if output else "text")
    rendered = boards.render(
        folders,
        score_functions(installed),
        format=format_,
        metric=metric,
        horizons=horizons or None,
        contexts=contexts or None,
        clips=clips,
        published=published_folders(published, folders),
    )
    for problem in rendered.problems:
        warn(str(problem))
    for line in rendered.warnings:
        warn(line)
    code = ExitCode.DATA if rendered.problems else ExitCode.OK
    if not output:
        click.echo(rendered.text)
        return code
    before, text = read_text(output), rendered.text
    if format_ == "markdown":
        text = boards.update_between_markers(before or f"{boards.START}\n{boards.END}\n", text)
    if check:
        if before != text:
            fail(f"{output} is not up to date: run vpbench leaderboard without --check", ExitCode.FAILED)
        return code
    write_atomically(output, text.encode())
    click.echo(f"board: {output}")
    return code


def published_folders(published: str | None, results: tuple[Path, ...]) -> list[Path]:
    """Where published rows are: nowhere unless asked for, in the folder named, or in those inside results folders."""
    if published is None:
        return []
    if published:
        return [Path(published)]
    folders = [folder / PUBLISHED for folder in results]
    return [folder for folder in folders if folder.is_dir()] or folders[:1]
