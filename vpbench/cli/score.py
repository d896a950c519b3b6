"""`vpbench score`: predictions that another program made, on the board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..interrupts import terminate_like_interrupt
from . import names
from .group import EPILOG, conclude, main, positive, several, warn, warn_of_problems, with_thresholds


@main.command(epilog=EPILOG)
@click.argument("predictions", type=click.Path(path_type=Path), metavar="PREDICTIONS.npz")
@click.option("--model-name", required=True, metavar="NAME", help="What the model is called on boards.")
@click.option(
    "--asked",
    type=click.Path(path_type=Path),
    metavar="CONTEXT.npz",
    help="The context file that was answered, where PREDICTIONS does not hold its request.",
)
@click.option(
    "--model-version",
    metavar="V",
    help="Version of the model; a digest of the predictions is added.  [default: the digest]",
)
@click.option(
    "--prefix-stable",
    is_flag=True,
    help="A longer horizon leaves the earlier frames of this model alone: score horizons 1, 5, 10, ... too.",
)
@several(
    "--metric",
    "--metrics",
    "metrics",
    shell_complete=names.metrics_and_conventions,
    metavar="NAME",
    help="Metric, or convention (openstl, ...) for all of its metrics; `default` for those that are on by default.",
)
@several("--set", "settings", metavar="KEY=VALUE", help="Where the files of the dataset are; config of metrics.")
@click.option("--results", type=click.Path(path_type=Path), metavar="DIR", help="Folder of records.  [default: runs]")
@click.option("--batch-size", type=positive, metavar="N", help="Clips scored at once.  [default: 16]")
@click.option(
    "--device",
    metavar="auto|cpu|cuda[:n]|mps",
    shell_complete=names.devices,
    help="Where floors and metrics run.  [default: auto]",
)
@click.option(
    "--keep-predictions",
    type=click.IntRange(min=0),
    metavar="N",
    help="Write the predicted frames of the first N clips beside the records.",
)
@with_thresholds
def score(
    predictions: Path,
    model_name: str,
    asked: Path | None,
    model_version: str | None,
    prefix_stable: bool,
    settings: tuple[str, ...],
    fail_under: tuple[str, ...],
    fail_over: tuple[str, ...],
    **options: Any,
) -> int:
    """Score predictions that were made elsewhere.

    \b
      vpbench score predictions.npz --model-name mine
      vpbench score predictions.npz --model-name mine --asked context.npz --metric openstl

    PREDICTIONS is an .npz with `predicted` (clips, steps, channels, height, width), floating point in [0, 1] or uint8
    in 0..255, and the `request` of the context file that `vpbench export-context` wrote. Rows are in the order of that
    file, or as `ids` says; there may be fewer, the first ones. The record is as any other, with floors and ceilings
    beside it, and says that the predictions were made elsewhere: no speed, no size, and no proof that no target was
    seen.
    """
    from .. import registry
    from ..elsewhere import plan_scoring
    from ..perform import perform
    from ..thresholds import thresholds_of

    terminate_like_interrupt()
    installed = registry.load()
    warn_of_problems(installed)
    plan = plan_scoring(
        predictions,
        installed,
        model_name=model_name,
        model_version=model_version,
        asked=asked,
        prefix_stable=prefix_stable,
        settings=settings,
        **{key: value for key, value in options.items() if value not in (None, ())},
    )
    held_to = thresholds_of(fail_under, fail_over, plan)
    return conclude(plan, perform(plan, say=click.echo, warn=warn), held_to)
