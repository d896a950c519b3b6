"""`vpbench run`: evaluate models and print the board."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from ..interrupts import terminate_like_interrupt
from . import names
from .group import EPILOG, conclude, main, positive, several, warn, warn_of_problems, with_thresholds


@main.command(epilog=EPILOG)
@click.argument("grid", required=False, type=click.Path(path_type=Path))
@several("--part", metavar="NAME", help="Of a grid file with parts, those to run.  [default: all]")
@several(
    "--model",
    "models",
    metavar="NAME|FILE.py:CLASS",
    shell_complete=names.models,
    help="Model: one that `vpbench plugins` lists, or a class in a file of yours.",
)
@several(
    "--horizon",
    "horizons",
    type=positive,
    metavar="N",
    help="Frames to predict; of 1, 5, 10, 20, 40, 90 the smaller ones come along.",
)
@several(
    "--dataset",
    "datasets",
    metavar="NAME",
    shell_complete=names.datasets,
    help="Dataset.  [default: the one the model's weights are for]",
)
@click.option(
    "--task",
    metavar="KIND[,OPTION=VALUE]",
    help="extrapolate, fractional, irregular, interpolate, swap or reconstruct: see docs/tasks.md.  "
    "[default: extrapolate]",
)
@click.option(
    "--in-time",
    type=click.Choice(["refuse", "nearest", "linear"]),
    help="What becomes of models that know whole steps only, where a task asks for other times: refused, or the "
    "nearest or the blend of their steps, which their rows say.  [default: refuse]",
)
@several("--seed", "seeds", type=int, metavar="N", help="Seed of the model; the clips stay the same.  [default: 0]")
@several(
    "--metric",
    "--metrics",
    "metrics",
    shell_complete=names.metrics_and_conventions,
    metavar="NAME",
    help="Metric, or convention (openstl, ...) for all of its metrics; `default` for those that are on by default.",
)
@click.option("--context", type=positive, metavar="N", help="Frames the model is given.  [default: 10]")
@click.option("--clips", type=positive, metavar="N", help="Use the first N clips of the test split.  [default: 100]")
@click.option("--batch-size", type=positive, metavar="N", help="Clips predicted at once.  [default: 16]")
@click.option(
    "--device", metavar="auto|cpu|cuda[:n]|mps", shell_complete=names.devices, help="Where models run.  [default: auto]"
)
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), help="Of the models.  [default: float32]")
@several(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Weights that `vpbench train` wrote; the file says which model they are for.",
)
@several(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    help="Change the config of models and datasets; NAME.KEY=VALUE of one of them.",
)
@click.option(
    "--train",
    "train_budget",
    metavar="20m|5000updates|48000sequences",
    help="Train the models that learn weights first, each seed for so long.",
)
@click.option(
    "--train-horizon",
    type=positive,
    metavar="N",
    help="Frames ahead to learn.  [default: the longest --horizon up to 10]",
)
@click.option("--results", type=click.Path(path_type=Path), metavar="DIR", help="Folder of records.  [default: runs]")
@click.option(
    "--rerun",
    type=click.Choice(["missing", "failed", "all"]),
    help="What to compute: cells without a record, those that failed too, or all.  [default: missing]",
)
@click.option(
    "--keep-predictions",
    type=click.IntRange(min=0),
    metavar="N",
    help="Write the predicted frames of the first N clips beside the records.",
)
@click.option(
    "--exhibit/--no-exhibit",
    default=None,
    help="Write a few clips beside each record, which pages and pictures are made of.  [default: exhibit]",
)
@click.option("--allow-untrained", is_flag=True, default=None, help="Also run models without weights; boards say so.")
@click.option("--dry-run", is_flag=True, help="Print the plan and how long it will take, write nothing.")
@with_thresholds
def run(
    grid: Path | None,
    train_budget: str | None,
    train_horizon: int | None,
    dry_run: bool,
    part: tuple[str, ...],
    fail_under: tuple[str, ...],
    fail_over: tuple[str, ...],
    **options: Any,
) -> int:
    """Evaluate models and print the board.

    \b
      vpbench run --model latentode --horizon 90
      vpbench run --model my_model.py:MyModel --dataset moving-mnist --horizon 10
      vpbench run --model latentode --horizon 10 --train 20m
      vpbench run grid.toml --dry-run

    Give --model, --horizon, --dataset, --seed, --metric, --weights and --set as often as you like; every combination of
    model, dataset, horizon and seed is a cell, and every cell gets a record. Finished cells are skipped, so the same
    command goes on after an interruption. Floors (black,
    copy-last, ...), and ceilings where the dataset has them, are added to every board.

    GRID is a TOML file that says the same: models, horizons, datasets, seeds, metrics, weights and set are lists;
    context, task, in_time, clips, batch_size, device, precision, results, rerun, keep_predictions, exhibit and
    allow_untrained are values; a table [train] says how models are trained first: budget, slice, context, horizon,
    start, batch_size, precision, models, weights. It may have parts: tables [[grid]] with a name, whose values win
    over those above them. What is given as an option wins over it.
    """
    from .. import registry
    from ..errors import ExitCode, UsageError, VpbenchError
    from ..grid import read_grids
    from ..perform import perform
    from ..plan import Request, check_names, make_plan
    from ..thresholds import OVER, UNDER, read_threshold, thresholds_of
    from ..trained import TrainRequest

    given = {key: value for key, value in options.items() if value not in (None, ())}
    if part and not grid:
        raise UsageError("--part is of a grid file with parts: name the file")
    parts = read_grids(grid, part) if grid else {"": {}}
    requests: dict[str, Request] = {}
    terminate_like_interrupt()
    installed = registry.load()
    warn_of_problems(installed)
    for option, texts in ((UNDER, fail_under), (OVER, fail_over)):
        for text in texts:
            read_threshold(option, text)
    for name, written in parts.items():  # all of them before the first one runs
        wanted = dict(given)
        try:
            if train_budget is not None or train_horizon is not None:
                wanted["train"] = written.get("train", TrainRequest()).but(budget=train_budget, horizon=train_horizon)
            requests[name] = Request(**{**written, **wanted})
            if name:
                check_names(requests[name], installed)
        except VpbenchError as error:
            if name:
                error.args = (f"{grid}, part {name}: {error}",)
            raise

    def carried_out(request: Request) -> ExitCode:
        plan = make_plan(request, installed)
        to_come.update(training.run.output.resolve() for training in plan.trainings())
        held_to = thresholds_of(fail_under, fail_over, plan)  # before hours are spent on what cannot be judged
        done = perform(plan, say=click.echo, warn=warn, dry_run=dry_run)
        return conclude(plan, done, () if dry_run else held_to)

    codes, to_come = [], set[Path]()
    for name, request in requests.items():
        if name:
            click.echo(f"{name}:")
        train = request.train
        if dry_run and train and train.start and train.start.resolve() in to_come:
            click.echo(f"  starts from {train.start}, which a part before it trains")
            request = dataclasses.replace(request, train=dataclasses.replace(train, start=None))
        try:
            codes.append(carried_out(request))
        except VpbenchError as error:
            if len(requests) == 1:
                raise
            warn(f"{name}: {error}")  # the other parts are not to be lost for it
            codes.append(error.exit_code)
    return next((code for code in codes if code != ExitCode.OK), ExitCode.OK)
