"""`vpbench rescore`: more metrics for records, from kept predictions."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ExitCode, VpbenchError
from ..interrupts import terminate_like_interrupt
from . import names
from .group import EPILOG, main, positive, several, warn, warn_of_problems


@main.command(epilog=EPILOG)
@click.argument("records", nargs=-1, required=True, type=click.Path(path_type=Path))
@several(
    "--metric",
    "--metrics",
    "metrics",
    shell_complete=names.metrics_and_conventions,
    required=True,
    metavar="NAME",
    help="Metric, or convention (openstl, ...) for all of its metrics; `default` for those that are on by default.",
)
@several(
    "--set",
    "settings",
    metavar="NAME.KEY=VALUE",
    help="Change the config of a metric; path=... where the files of the dataset are.",
)
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Results folder to write to.  [default: the record itself, where all of its clips were kept]",
)
@click.option("--batch-size", type=positive, default=16, show_default=True, metavar="N", help="Clips measured at once.")
@click.option(
    "--device",
    default="auto",
    metavar="auto|cpu|cuda[:n]|mps",
    show_default=True,
    shell_complete=names.devices,
    help="Where metrics are computed.",
)
def rescore(
    records: tuple[Path, ...],
    metrics: tuple[str, ...],
    settings: tuple[str, ...],
    to: Path | None,
    batch_size: int,
    device: str,
) -> int:
    """Measure more metrics on kept predictions.

    \b
      vpbench run --model latentode --horizon 10 --keep-predictions 100
      vpbench rescore runs/moving-mnist/latentode/*.json --metrics openstl --metrics predrnn

    Works on records of `vpbench run --keep-predictions`, without the model. The metrics that a record has are measured
    again too, and must come out as they are there. A record that cannot be rescored costs a line, and the others go on.
    """
    from .. import device as devices
    from .. import registry
    from ..rescore import rescore as rescore_record
    from ..rescore import wanted_metrics
    from ..settings import Settings

    terminate_like_interrupt()
    installed = registry.load()
    warn_of_problems(installed)
    where = devices.resolve(device)
    wanted_metrics(
        metrics, Settings(settings), installed
    )  # what is wrong with the request is said once, not of every record
    code = ExitCode.OK
    for path in records:
        try:
            done = rescore_record(
                path, installed, metrics=metrics, settings=settings, device=where, batch_size=batch_size, to=to
            )
        except VpbenchError as error:  # the others can still be rescored
            warn(str(error))
            code = code or error.exit_code
            continue
        values = ", ".join(f"{name} {each['value']:.6g} {each['unit']}".strip() for name, each in done.added.items())
        click.echo(f"{done.path}: {done.clips} clips: {values}")
        for name, why in done.not_computed.items():
            click.echo(f"  {name} is not computed: {why}")
    return code
