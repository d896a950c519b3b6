"""`vpbench cite`: the BibTeX of what a board used."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ExitCode
from . import names
from .group import EPILOG, main, several, warn, warn_of_problems


@main.command(epilog=EPILOG)
@several(
    "--results",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of records; several are cited together.  [default: results]",
)
@several(
    "--dataset",
    "datasets",
    metavar="NAME",
    shell_complete=names.datasets,
    help="Only what boards of this dataset used.",
)
@several(
    "--model", "models", metavar="NAME", shell_complete=names.models, help="Only this model, and what measured it."
)
def cite(results: tuple[Path, ...], datasets: tuple[str, ...], models: tuple[str, ...]) -> int:
    """Print the BibTeX of what a board used.

    \b
      vpbench cite --results results > used.bib
      vpbench cite --results runs --dataset moving-mnist --model latentode

    That is vpbench itself, and the datasets, models and metrics of all finished records, each work once. What is cited
    in words becomes a @misc with a note. What cites no work, or is not installed and left no citation in the record, is
    listed in a comment.
    """
    from .. import registry
    from ..citations import bibliography
    from ..results import iter_records

    folders = results or (Path("results"),)
    for folder in folders:
        if not folder.is_dir():
            raise click.UsageError(f"there is no results folder {folder}: name one with --results")
    installed = registry.load()
    warn_of_problems(installed)
    records, problems = [], []
    for folder in folders:
        found, bad = iter_records(folder)
        records += found
        problems += bad
    for problem in problems:
        warn(str(problem))
    where = ", ".join(map(str, folders))
    click.echo(bibliography(records, installed, datasets=datasets, models=models, where=where), nl=False)
    return ExitCode.DATA if problems else ExitCode.OK
