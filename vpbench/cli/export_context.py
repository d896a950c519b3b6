"""`vpbench export-context`: what a model that runs in another program is asked."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ExitCode
from ..interrupts import terminate_like_interrupt
from . import names
from .group import EPILOG, main, positive, several, warn_of_problems


@main.command(epilog=EPILOG)
@click.option(
    "--dataset",
    required=True,
    metavar="NAME",
    shell_complete=names.datasets,
    help="Dataset: one that `vpbench plugins` lists.",
)
@click.option("--horizon", required=True, type=positive, metavar="N", help="Frames to predict.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.npz",
    help="File to write.",
)
@click.option("--context", type=positive, default=10, show_default=True, metavar="N", help="Frames the model is given.")
@click.option(
    "--clips",
    type=positive,
    default=100,
    show_default=True,
    metavar="N",
    help="The first N clips of the test split.",
)
@several("--set", "settings", metavar="KEY=VALUE", help="Change the config of the dataset.")
def export_context(
    dataset: str, horizon: int, output: Path, context: int, clips: int, settings: tuple[str, ...]
) -> int:
    """Write the context for a model that runs elsewhere.

    \b
      vpbench export-context --dataset moving-mnist --horizon 90 -o context.npz
      ... predict: another framework, an old environment ...
      vpbench score predictions.npz --model-name mine --asked context.npz

    The .npz holds the context frames, their times, the times asked for and the clips' seeds, and no target. It also
    holds the request: copy that into the file of predictions, or give this file to `vpbench score --asked`.
    """
    from .. import registry
    from ..elsewhere import ask

    terminate_like_interrupt()
    installed = registry.load()
    warn_of_problems(installed)
    asked = ask(output, installed, dataset=dataset, horizon=horizon, context=context, clips=clips, settings=settings)
    click.echo(f"{output}: {asked}")
    return ExitCode.OK
