"""`vpbench predict`: what comes after the end of a video."""

from __future__ import annotations

from pathlib import Path

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
    help="Model: one that `vpbench plugins` lists, or a class in a file of yours.",
)
@click.option(
    "--input",
    "source",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Video to continue: a file that an installed dataset reads (vpbench-clips: videos, GIFs, arrays).",
)
@click.option("--horizon", required=True, type=positive, metavar="N", help="Frames to predict.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write: .gif, .webp or .mp4 for an animation, .png for a strip, .npz for the numbers.",
)
@click.option(
    "--context",
    type=positive,
    metavar="N",
    help="Frames the model is given, the last ones of the video.  [default: as many as its weights are for, else 10]",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Weights that `vpbench train` wrote.  [default: those that ship with the model]",
)
@several("--set", "settings", metavar="KEY=VALUE", help="Change the config of the model.")
@click.option(
    "--dataset",
    shell_complete=names.datasets,
    metavar="NAME",
    help="Dataset to read the video with, where several can.",
)
@click.option(
    "--device",
    default="auto",
    shell_complete=names.devices,
    metavar="auto|cpu|cuda[:n]|mps",
    show_default=True,
    help="Where the model runs.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Of models that draw.")
@click.option(
    "--scale", type=positive, metavar="N", help="Enlarge frames so many times.  [default: to about 128 pixels]"
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0.5, max=50),
    metavar="N",
    help="Frames a second of an animation.  [default: 8]",
)
def predict(
    model: str,
    source: Path,
    horizon: int,
    output: Path,
    context: int | None,
    weights: Path | None,
    settings: tuple[str, ...],
    dataset: str | None,
    device: str,
    seed: int,
    scale: int | None,
    rate: float | None,
) -> int:
    """Continue a video beyond its end.

    \b
      vpbench predict --model latentode --input my.gif --horizon 30 --output out.gif
      vpbench predict --model copy-last --input my.mp4 --horizon 30 --output out.npz --context 5

    The model is given the last frames of the video and predicts those after them; there is no ground truth,
    and no score. With weights the video is brought to their frame size: scaled, and cropped in the centre where the
    proportions differ. An animation shows what was given, then what was predicted. A .npz file holds `predicted` and
    `context`, float32 (frames, channels, height, width), `times` and `target_times` in frame periods, and
    `provenance`, a JSON text.
    """
    from .. import device as devices
    from .. import film, registry
    from ..forecast.continuation import ARRAYS, RATE, continued
    from ..settings import Settings
    from ..storage import write_atomically
    from ..weights import WeightsFile

    ending = output.suffix.lower()
    if ending != ARRAYS and ending not in film.FORMATS:
        raise click.UsageError(
            f"cannot write {output}: name a .gif, .webp or .mp4 (animation), .png (strip) or {ARRAYS} (numbers) file"
        )
    moving = film.FORMATS.get(ending, False)
    if rate and not moving:
        raise click.UsageError(f"--rate is for animations, {output} is none")
    if scale and ending == ARRAYS:
        raise click.UsageError(f"--scale is for pictures, {output} holds numbers")
    if output.exists() and source.exists() and output.samefile(source):
        raise click.UsageError(f"--output {output} is the video itself, which would be lost: name another file")
    film.check_writable(ending)
    terminate_like_interrupt()
    where = devices.resolve(device)
    installed = registry.load()
    warn_of_problems(installed)
    provided = installed.model(model)
    lines = Settings(settings)
    given = lines.of(provided)
    lines.check_all_used()
    found = continued(
        source,
        provided,
        installed,
        horizon=horizon,
        context=context,
        weights=WeightsFile.open(weights) if weights else None,
        settings=given,
        dataset=dataset,
        seed=seed,
        device=where,
    )
    write_atomically(output, found.content(ending, scale=scale, rate=rate or RATE))
    if found.resized:
        click.echo(found.resized)
    if found.clamped and ending != ARRAYS:
        click.echo(found.clamped)
    click.echo(found)
    click.echo(f"{'arrays' if ending == ARRAYS else 'animation' if moving else 'strip'}: {output}")
    return ExitCode.OK
