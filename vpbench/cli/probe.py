"""`vpbench probe`: how much of the truth lies in the codes of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import ExitCode
from ..interrupts import terminate_like_interrupt
from . import names
from .group import EPILOG, main, positive, several, warn_of_problems


@main.command(epilog=EPILOG)
@click.option(
    "--model",
    required=True,
    shell_complete=names.models,
    metavar="NAME|FILE.py:CLASS",
    help="Model with codes(): one that `vpbench plugins` lists, or a class in a file of yours.",
)
@click.option(
    "--dataset",
    "datasets",
    shell_complete=names.datasets,
    metavar="NAME",
    help="Dataset that knows the truth of its clips.  [default: the one the model's weights are for]",
)
@several("--set", "settings", metavar="KEY=VALUE", help="Change the config of the model and the dataset.")
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Weights that `vpbench train` wrote.  [default: those that ship with the model]",
)
@click.option("--context", type=positive, metavar="N", help="Frames the model is given.  [default: 10]")
@click.option(
    "--horizon", type=positive, metavar="N", help="Target times that codes are asked for.  [default: as the context]"
)
@click.option(
    "--task",
    metavar="KIND[,OPTION=VALUE]",
    help="Which frames are given and which times are wanted, see docs/tasks.md; `reconstruct` asks for codes at the "
    "context frames themselves.  [default: extrapolate]",
)
@click.option(
    "--clips",
    type=positive,
    metavar="N",
    help="Test clips, the first of the split; as many of the val split choose the strength.  [default: 500]",
)
@click.option(
    "--train-clips",
    type=click.IntRange(min=2),
    metavar="N",
    help="Train clips that probes are fitted on, spread over the split.  [default: 2000]",
)
@click.option(
    "--at",
    type=click.Choice(["last", "mean"]),
    help="What a code of the clip is held against, of truth per frame: that of the last context frame, or the mean "
    "over the context.  [default: last]",
)
@click.option(
    "--objects",
    type=click.Choice(["sorted", "mean"]),
    help="Several objects of a clip, whose order frames do not tell: each, sorted by where it is, or their mean.  "
    "[default: sorted]",
)
@click.option("--allow-untrained", is_flag=True, default=None, help="Also probe a model without weights.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    help="Of untrained weights, models that draw, and the control.  [default: 0]",
)
@click.option("--batch-size", type=positive, metavar="N", help="Clips encoded at once.  [default: 16]")
@click.option(
    "--device",
    metavar="auto|cpu|cuda[:n]|mps",
    shell_complete=names.devices,
    help="Where the model runs.  [default: auto]",
)
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), help="Of the model.  [default: float32]")
@click.option(
    "--json",
    "document",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write all numbers: components, steps, strengths, identity, versions.",
)
def probe(document: Path | None, **options: Any) -> int:
    """Say how much of the truth lies in each code of a model.

    \b
      vpbench probe --model latentode
      vpbench probe --model my_model.py:MyModel --dataset moving-mnist --set digits=1 --json probe.json

    A linear map from each code to each thing the dataset knows of its clips is fitted on train clips, how strongly it
    is held back is chosen on val clips, and it is tested on test clips: R² of values, the share of right answers of
    classes, with 95 % intervals, beside chance and beside the same with the truth of another clip.
    """
    from .. import registry
    from ..probing import probe_codes, probe_request

    terminate_like_interrupt()
    request = probe_request(**{key: value for key, value in options.items() if value not in (None, ())})
    installed = registry.load()
    warn_of_problems(installed)
    found = probe_codes(request, installed)
    if document is not None:
        found.write(document)
    click.echo(found)
    if document is not None:
        click.echo(f"numbers: {document}")
    return ExitCode.OK
