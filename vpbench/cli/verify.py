"""`vpbench verify`: does a record hold?"""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ExitCode, VpbenchError
from ..interrupts import terminate_like_interrupt
from . import names
from .group import EPILOG, main, positive, several, warn, warn_of_problems


@main.command(epilog=EPILOG)
@click.argument("records", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--clips", type=positive, default=4, show_default=True, metavar="N", help="How many of the clips to run again."
)
@click.option(
    "--batch-size", type=positive, default=16, show_default=True, metavar="N", help="Clips predicted at once."
)
@click.option(
    "--device",
    default="auto",
    metavar="auto|cpu|cuda[:n]|mps",
    show_default=True,
    shell_complete=names.devices,
    help="Where the model runs.",
)
@several(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Weights that a record used, where they do not ship with the model.",
)
@click.option(
    "--model",
    metavar="FILE.py:CLASS",
    shell_complete=names.model_files,
    help="The model of the records, where it is a class in a file.",
)
@several("--set", "settings", metavar="KEY=VALUE", help="Where the files of the dataset are: path=...")
def verify(
    records: tuple[Path, ...],
    clips: int,
    batch_size: int,
    device: str,
    weights: tuple[Path, ...],
    model: str | None,
    settings: tuple[str, ...],
) -> int:
    """Check that records hold: run some of their clips again.

    \b
      vpbench verify results/moving-mnist/latentode/*.json

    The scores of each of RECORDS are derived from its statistics again, some of its clips are predicted and measured
    again, and all is compared. The exit code is 1 if one does not hold.
    """
    from .. import device as devices
    from .. import registry
    from ..verify import verify as verify_record

    terminate_like_interrupt()
    installed = registry.load()
    warn_of_problems(installed)
    where = devices.resolve(device)
    code = ExitCode.OK
    for path in records:
        try:
            verdict = verify_record(
                path,
                installed,
                clips=clips,
                device=where,
                batch_size=batch_size,
                weights=weights,
                model=model,
                settings=settings,
            )
        except VpbenchError as error:  # the others can still be looked at
            warn(str(error))
            code = code or error.exit_code
            continue
        click.echo(str(verdict))
        code = code if verdict.agrees else ExitCode.FAILED
    return code
