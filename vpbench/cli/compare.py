"""`vpbench compare`: two methods on the same clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import ExitCode
from . import names
from .group import EPILOG, main, positive, score_functions, several, warn, warn_of_problems


@main.command(epilog=EPILOG)
@click.argument("a", shell_complete=names.models)
@click.argument("b", shell_complete=names.models)
@several(
    "--results",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of records that names are looked up in; may be several.  [default: results]",
)
@click.option("--horizon", type=positive, metavar="N", help="Of records with this horizon.")
@click.option("--context", type=positive, metavar="N", help="Of records with so many context frames.")
@click.option("--dataset", metavar="NAME", shell_complete=names.datasets, help="Of records on this dataset.")
@several(
    "--metric",
    "metrics",
    metavar="NAME",
    shell_complete=names.metrics,
    help="Metric to compare in.  [default: all that both have]",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="How it is written down.",
)
def compare(
    a: str,
    b: str,
    results: tuple[Path, ...],
    horizon: int | None,
    context: int | None,
    dataset: str | None,
    metrics: tuple[str, ...],
    format_: str,
) -> int:
    """Compare two methods: which is better, and how surely?

    \b
      vpbench compare latentode copy-last --horizon 10
      vpbench compare "mine, size=64" "mine, size=128" --results runs
      vpbench compare runs/moving-mnist/mine/RECORD.json latentode

    A and B are record files, or names as on a board: the model, and where there are several of it what tells them
    apart. Records that differ in the seed of their training alone are one method. Both are scored on the clips that all
    have; differences are tested on the same clips and corrected for the number of metrics. docs/statistics.md says how
    to read the output.
    """
    from .. import registry
    from ..compare import compare as compare_methods
    from ..methods import find_method, method_of
    from ..results import iter_records, read_record
    from ..verdict import render

    asked: dict[str, Any] = {"dataset": dataset, "horizon": horizon, "context": context}
    files = {side: method_of(read_record(side), **asked) for side in (a, b) if _is_file(side)}
    folders = results or (Path("results"),)
    records = []
    code = ExitCode.OK
    if len(files) < len({a, b}):
        for folder in folders:
            if not folder.is_dir():
                raise click.UsageError(f"there is no results folder {folder}: name one with --results")
            found, problems = iter_records(folder)
            records += found
            for problem in problems:
                warn(str(problem))
                code = ExitCode.DATA
    like = next((method.records[0] for method in files.values()), None)
    one, other = (files.get(side) or find_method(side, records, **asked, like=like) for side in (a, b))
    installed = registry.load()
    warn_of_problems(installed)
    compared, wrong = compare_methods(one, other, score_functions(installed), metrics=metrics)
    for each in wrong:
        warn(str(each))
        code = ExitCode.DATA
    click.echo(render(compared, format_), nl=False)
    return code


def _is_file(side: str) -> bool:
    return side.endswith(".json") or Path(side).is_file()
