"""`vpbench train`: train a model and write its weights."""

from __future__ import annotations

import shlex
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
    metavar="NAME|FILE.py:CLASS",
    shell_complete=names.models,
    help="Model: one that `vpbench plugins` lists, or a class in a file of yours.",
)
@click.option(
    "--dataset",
    required=True,
    metavar="NAME",
    shell_complete=names.datasets,
    help="Dataset; its train split is learnt from.",
)
@click.option("--context", type=positive, default=10, show_default=True, metavar="N", help="Frames the model is given.")
@click.option(
    "--horizon",
    type=positive,
    default=10,
    show_default=True,
    metavar="N",
    help="Frames ahead that it learns to predict.",
)
@click.option(
    "--budget",
    required=True,
    metavar="20m|5000updates|48000sequences",
    help="How long: a time (s, m, h), turned into updates at the start, or a number of updates or sequences.",
)
@click.option("--batch-size", type=positive, default=32, show_default=True, metavar="N", help="Clips per update.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Of first weights and draws.")
@click.option(
    "--device",
    default="auto",
    metavar="auto|cpu|cuda[:n]|mps",
    show_default=True,
    shell_complete=names.devices,
    help="Where the model is trained.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="bfloat16: autocast, faster where the device has it.",
)
@several(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    help="Change the config of model and dataset; NAME.KEY=VALUE of one of them.",
)
@click.option(
    "--start",
    "start_from",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Weights to start from, of the same model and frame size, with their config.  [default: drawn by the seed]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Weights file to write.  [default: MODEL-DATASET-CONTEXT.safetensors]",
)
def train(
    model: str,
    dataset: str,
    context: int,
    horizon: int,
    budget: str,
    batch_size: int,
    seed: int,
    device: str,
    precision: str,
    settings: tuple[str, ...],
    start_from: Path | None,
    output: Path | None,
) -> int:
    """Train a model and write its weights.

    \b
      vpbench train --model latentode --dataset moving-mnist --budget 20m

    Checkpoints are written on the way, and on Ctrl-C. The same command resumes from them, and what comes out is what an
    uninterrupted run would have given, bit for bit on a CPU. The line printed at the end uses the weights.
    """
    from .. import device as devices
    from .. import registry
    from ..instances import configured
    from ..settings import Settings
    from ..suitability import config_to_start_with
    from ..training import Budget, Trainer, TrainingRun
    from ..weights import WeightsFile

    terminate_like_interrupt()
    length = Budget.parse(budget)
    installed = registry.load()
    warn_of_problems(installed)
    learner, data = installed.model(model), installed.dataset(dataset)
    given = Settings(settings)
    start = WeightsFile.open(start_from) if start_from else None
    config = config_to_start_with(learner, start, given.of(learner))
    dataset_config = configured(data, given.of(data))
    given.check_all_used()
    path = Trainer(
        TrainingRun(
            model=learner,
            config=config,
            dataset=data,
            dataset_config=dataset_config,
            context=context,
            horizon=horizon,
            budget=length,
            output=output or Path(f"{learner.spec.name}-{data.spec.name}-{context}.safetensors"),
            batch_size=batch_size,
            seed=seed,
            precision=precision,
            device=devices.resolve(device),
            start=start,
        )
    ).train()
    use = ["vpbench", "run", "--model", model, "--dataset", dataset, "--weights", str(path)]
    use += ["--context", str(context), "--horizon", str(horizon)]
    for line in given.lines_for(data.spec.name):  # the config of the model is in the weights
        use += ["--set", line]
    click.echo(f"weights: {path}   use them: {shlex.join(use)}")
    return ExitCode.OK
