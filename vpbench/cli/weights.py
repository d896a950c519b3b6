"""`vpbench weights`: weights files that others published, and what is in one."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import DataError, ExitCode
from ..interrupts import terminate_like_interrupt
from . import names
from .group import EPILOG, main, positive, several, warn_of_problems

if TYPE_CHECKING:
    from ..weights import WeightsFile


class FrameShape(click.ParamType):
    """Channels, height and width with commas between them."""

    name = "shape"

    def convert(
        self, value: object, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[int, int, int]:
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"0*[1-9]\d*(,0*[1-9]\d*){2}", str(value)):
            self.fail(f"{value!r} is no frame shape, write it as channels,height,width: 1,64,64", param, context)
        channels, height, width = map(int, str(value).split(","))
        return channels, height, width


@main.group(epilog=EPILOG, invoke_without_command=True)
@click.pass_context
def weights(context: click.Context) -> None:
    """Import published weights; show what a file holds.

    \b
      vpbench weights show --model latentode
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@weights.command("import", epilog=EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--model",
    required=True,
    metavar="NAME",
    shell_complete=names.models,
    help="Model that the weights are of.",
)
@click.option(
    "--dataset",
    required=True,
    metavar="NAME",
    shell_complete=names.datasets,
    help="Dataset that they were trained for.",
)
@click.option(
    "--source",
    required=True,
    metavar="TEXT",
    help="Who published them and where, a URL or a citation: one line, which boards print.",
)
@click.option(
    "--trained-on", default="", metavar="TEXT", help="What their publishers say of the training, in one line."
)
@click.option("--context", type=positive, default=10, show_default=True, metavar="N", help="Frames the model is given.")
@click.option(
    "--frame-shape",
    type=FrameShape(),
    metavar="C,H,W",
    help="Channels, height and width of the frames.  [default: those of the dataset]",
)
@several(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    help="Config that the weights were trained with, and of the dataset; NAME.KEY=VALUE of one of them.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Weights file to write.  [default: MODEL-DATASET-CONTEXT-imported.safetensors]",
)
def import_(
    file: Path,
    model: str,
    dataset: str,
    source: str,
    trained_on: str,
    context: int,
    frame_shape: tuple[int, int, int] | None,
    settings: tuple[str, ...],
    output: Path | None,
) -> int:
    """Make a weights file of a checkpoint that others published.

    \b
      vpbench weights import checkpoint.pth --model predrnn --dataset moving-mnist \\
        --source "https://github.com/thuml/predrnn-pytorch"

    FILE is of torch.save or of safetensors. None of its code is run: one that holds more than tensors is refused, and
    docs/published-weights.md says what to do. Every tensor has to have its place in the model, and the other way
    round. The line printed at the end uses the weights.
    """
    from .. import registry
    from ..importing import Purpose, import_weights
    from ..instances import configured, open_dataset
    from ..settings import Settings

    terminate_like_interrupt()
    installed = registry.load()
    warn_of_problems(installed)
    taker, data = installed.model(model), installed.dataset(dataset)
    if taker.spec.importer is None:
        able = [name for name, each in installed.models().items() if each.spec.importer]
        raise click.UsageError(f"{model} imports no published weights; {', '.join(able) or 'no installed model'} can")
    given = Settings(settings)
    config = configured(taker, given.of(taker))
    dataset_config = configured(data, given.of(data))
    given.check_all_used()
    if frame_shape is None:
        try:
            frame_shape = open_dataset(data, dataset_config).info.frame_shape
        except DataError as error:  # its frames are not wanted, only their shape
            raise DataError(f"{error}; or say --frame-shape") from error
    path = output or Path(f"{taker.spec.name}-{data.spec.name}-{context}-imported.safetensors")
    purpose = Purpose(
        model=taker,
        config=config,
        dataset=data.spec.name,
        frame_shape=frame_shape,
        context=context,
        source=source.strip(),
        trained_on=trained_on.strip(),
    )
    if not import_weights(file, path, purpose):
        click.echo(f"{path} is imported already", err=True)
    use = ["vpbench", "run", "--model", model, "--dataset", dataset, "--weights", str(path)]
    use += ["--context", str(context), "--horizon", "10"]
    for line in given.lines_for(data.spec.name):  # the config of the model is in the weights
        use += ["--set", line]
    click.echo(f"weights: {path}   use them: {shlex.join(use)}")
    return ExitCode.OK


@weights.command(epilog=EPILOG)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--model", metavar="NAME", shell_complete=names.models, help="The weights that ship with a model.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the headers as they are.")
def show(files: tuple[Path, ...], model: str | None, as_json: bool) -> int:
    """Say what is in weights FILES: model, training, origin.

    \b
      vpbench weights show --model latentode
      vpbench weights show mine.safetensors --json
    """
    from .. import weights_facts
    from ..weights import WeightsFile

    if bool(files) == bool(model):
        raise click.UsageError("name weights files, or a --model that ships some")
    found = _shipped_with(model) if model else [WeightsFile.open(path) for path in files]
    if as_json:
        told = {"weights": [weights_facts.as_json(file) for file in found]}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        click.echo("\n\n".join(map(weights_facts.as_text, found)))
    return ExitCode.OK


def _shipped_with(model: str) -> list[WeightsFile]:
    from .. import registry
    from ..weights import WeightsFile

    installed = registry.load()
    warn_of_problems(installed)
    spec = installed.model(model).spec
    if not spec.weights:
        raise click.UsageError(f"{spec.name} ships no weights: name a file")
    return [WeightsFile.bundled(each) for each in spec.weights]
