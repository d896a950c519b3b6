"""`vpbench show`: look at predictions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ExitCode
from ..interrupts import terminate_like_interrupt
from . import names
from .group import EPILOG, main, positive, several, warn_of_problems

if TYPE_CHECKING:
    from ..footage import Footage
    from ..results import Record

#: Pictures a second.
RATE = 8.0


class StepList(click.ParamType):
    """Whole numbers with commas between them."""

    name = "steps"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> list[int]:
        if isinstance(value, list):
            return value
        if not re.fullmatch(r"\s*\d+(\s*,\s*\d+)*\s*", str(value)):
            self.fail(f"{value!r} is no list of steps, write it like 1,5,10", param, context)
        return [int(part) for part in str(value).split(",")]


@main.command(epilog=EPILOG)
@click.argument("records", nargs=-1, required=True, type=click.Path(path_type=Path))
@several("--clip", "clips", type=int, metavar="ID", help="Clip to show.  [default: the first that is at hand]")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write: .png for a strip, .gif, .webp or .mp4 for an animation.  "
    "[default: a .png named after the records]",
)
@click.option(
    "--steps", type=StepList(), metavar="N,N,...", help="Steps of a strip.  [default: about ten, spread over all]"
)
@click.option("--every", type=positive, metavar="K", help="Steps of a strip: the first, every K-th, and the last.")
@click.option(
    "--scale", type=positive, metavar="N", help="Enlarge frames so many times.  [default: to about 128 pixels]"
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0.5, max=50),
    metavar="N",
    help=f"Frames a second of an animation.  [default: {RATE:g}]",
)
@click.option(
    "--difference/--no-difference", default=True, show_default=True, help="Also show predicted minus true, in colours."
)
@click.option(
    "--device",
    default="auto",
    metavar="auto|cpu|cuda[:n]|mps",
    shell_complete=names.devices,
    show_default=True,
    help="Where models run, if they must.",
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
def show(
    records: tuple[Path, ...],
    clips: tuple[int, ...],
    output: Path | None,
    steps: list[int] | None,
    every: int | None,
    scale: int | None,
    rate: float | None,
    difference: bool,
    device: str,
    weights: tuple[Path, ...],
    model: str | None,
    settings: tuple[str, ...],
) -> int:
    """Draw predictions as a film strip or an animation.

    \b
      vpbench show results/moving-mnist/*/extrapolate-10-90-*.json
      vpbench show runs/moving-mnist/latentode/extrapolate-10-10-*.json --clip 3 --clip 7 --steps 1,2,5,10
      vpbench show results/moving-mnist/latentode/extrapolate-10-90-*.json --output clip.gif

    The truth is at the top, then what each of RECORDS predicted, and how far that is from the truth. The records must
    be of one dataset and task. Clips come from the files beside a record: its exhibit, or its kept predictions. A clip
    that is not there is predicted again, where the model of the record is installed, and must come out as scored.
    """
    from .. import film
    from ..footage import scenes, shown_records
    from ..storage import write_atomically

    ending = output.suffix.lower() if output else ".png"
    if ending not in film.FORMATS:
        raise click.UsageError(f"cannot write {output}: name a .png (strip), .gif, .webp or .mp4 (animation) file")
    moving = film.FORMATS[ending]
    if moving and (steps or every):
        raise click.UsageError(f"--steps and --every are for strips (.png), {output} is an animation of all steps")
    if not moving and rate:
        raise click.UsageError("--rate is for animations: name a .gif, .webp or .mp4 file with --output")
    if steps and every:
        raise click.UsageError("give --steps or --every, not both")
    film.check_writable(ending)
    terminate_like_interrupt()
    found = shown_records(records)

    def predict(record: Record, wanted: Sequence[int]) -> Mapping[int, Footage]:
        from .. import device as devices
        from .. import registry
        from ..footage import predicted_again

        installed = registry.load()
        warn_of_problems(installed)
        where = devices.resolve(device)
        # of several records only those that are of a class in a file are meant
        file = model if model and record.model["name"] not in installed.models() else None
        return predicted_again(record, wanted, installed, device=where, weights=weights, file=file, settings=settings)

    shown = scenes(found, clips, predict)
    task, dataset = found[0].task, found[0].dataset["name"]
    title = f"{dataset}: {task['context']} frames given, {task['horizon']} predicted"
    if moving:
        pictures = film.animation(title, shown, scale=scale, differences=difference)
        content = film.as_animation(pictures, ending, context=task["context"], rate=rate or RATE)
    else:
        chosen = film.spread_steps(task["horizon"], every) if every else steps
        content = film.as_png(film.strip(title, shown, steps=chosen, scale=scale, differences=difference))
    path = output or Path(_default_name(found, [scene.title for scene in shown]))
    write_atomically(path, content)
    click.echo(f"{'animation' if moving else 'strip'}: {path}")
    return ExitCode.OK


def _default_name(records: Sequence[Record], clips: Sequence[str]) -> str:
    """``"latentode-moving-mnist-10-90-clip-0.png"``."""
    models = list(dict.fromkeys(record.model["name"] for record in records))
    who = models if len(models) <= 3 else [f"{len(models)}-models"]
    which = clips if len(clips) <= 3 else [f"{len(clips)}-clips"]
    task = records[0].task
    parts = [*who, records[0].dataset["name"], str(task["context"]), str(task["horizon"]), *which]
    return f"{'-'.join(parts).replace(' ', '-')}.png"
