"""The command line. Parsing only: each command imports what it needs when it runs, so `--help` stays fast."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from .errors import ExitCode, VpbenchError
from .interrupts import terminate_like_interrupt

if TYPE_CHECKING:
    from .plan import Plan
    from .registry import Registry

EPILOG = (
    "Exit codes: "
    + ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ExitCode)
    + ". docs/exit-codes.md says what each one means."
)


INTERRUPTED = "interrupted; what is finished is kept, and the same command goes on from there"


class OneLineErrors(click.Group):
    """Whatever ends a command ends it with one line and a documented exit code; a traceback means a bug of ours."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["standalone_mode"] = False
        for stream in (sys.stdout, sys.stderr):  # a console of few characters must not end a run
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")
        try:
            code = super().main(*args, **kwargs)
        except click.ClickException as error:
            fail(" ".join(error.format_message().split()), ExitCode.USAGE)
        except click.Abort:
            fail(INTERRUPTED, ExitCode.INTERRUPTED)
        except VpbenchError as error:
            fail(str(error), error.exit_code)
        except OSError as error:  # of the places we read and write; files of plugins have errors of their own
            where = f"{error.filename}: " if error.filename else ""
            fail(f"{where}{error.strerror or error}", ExitCode.STORAGE)
        else:
            sys.exit(code if isinstance(code, int) else ExitCode.OK)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            fail(INTERRUPTED, ExitCode.INTERRUPTED)


def warn(message: str) -> None:
    """One line on stderr."""
    first = next((line for line in message.splitlines() if line.strip()), "unknown error")
    click.echo(f"vpbench: {first.strip()}", err=True)


def fail(message: str, code: ExitCode) -> NoReturn:
    warn(message)
    sys.exit(int(code))


@click.group(
    cls=OneLineErrors,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.version_option(package_name="vpbench")
@click.pass_context
def main(context: click.Context) -> None:
    """Train, roll out, score and rank video-prediction models.

    A first board, with the weights that ship with the model:

    \b
      vpbench run --model latentode --horizon 90
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


positive = click.IntRange(min=1)


def several(*names: str, **options: Any) -> Callable[[Any], Any]:
    """An option that may be given any number of times."""
    return click.option(*names, multiple=True, **options)


# ----------------------------------------------------------------------------------------------------------------- run


@main.command(epilog=EPILOG)
@click.argument("grid", required=False, type=click.Path(path_type=Path))
@several(
    "--model",
    "models",
    metavar="NAME|FILE.py:CLASS",
    help="Model: one that `vpbench plugins` lists, or a class in a file of yours.",
)
@several(
    "--horizon",
    "horizons",
    type=positive,
    metavar="N",
    help="Frames to predict; of 1, 5, 10, 20, 40, 90 the smaller ones come along.",
)
@several("--dataset", "datasets", metavar="NAME", help="Dataset.  [default: the one the model's weights are for]")
@several("--seed", "seeds", type=int, metavar="N", help="Seed of the model; the clips stay the same.  [default: 0]")
@several("--metric", "metrics", metavar="NAME", help="Metric.  [default: all that are on by default]")
@click.option("--context", type=positive, metavar="N", help="Frames the model is given.  [default: 10]")
@click.option("--clips", type=positive, metavar="N", help="Use the first N clips of the test split.  [default: 100]")
@click.option("--batch-size", type=positive, metavar="N", help="Clips predicted at once.  [default: 16]")
@click.option("--device", metavar="auto|cpu|cuda[:n]|mps", help="Where models run.  [default: auto]")
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
@click.option("--allow-untrained", is_flag=True, default=None, help="Also run models without weights; boards say so.")
@click.option("--dry-run", is_flag=True, help="Print the plan and how long it will take, write nothing.")
def run(grid: Path | None, dry_run: bool, **options: Any) -> int:
    """Evaluate models and print the board.

    \b
      vpbench run --model latentode --horizon 90
      vpbench run --model my_model.py:MyModel --dataset moving-mnist --horizon 10
      vpbench run grid.toml --dry-run

    Give --model, --horizon, --dataset, --seed, --metric, --weights and --set as often as you like; every combination of
    model, dataset, horizon and seed is a cell, and every cell gets a record. Finished cells are skipped, so the same
    command goes on after an interruption. Floors (black, copy-last, ...) are added to every board.

    GRID is a TOML file that says the same: models, horizons, datasets, seeds, metrics, weights and set are lists;
    context, clips, batch_size, device, precision, results, rerun, keep_predictions and allow_untrained are values. What
    is given as an option wins over it.
    """
    from . import registry, runner
    from .grid import read_grid
    from .plan import Request, describe, make_plan
    from .progress import seconds

    given = {key: value for key, value in options.items() if value not in (None, ())}
    request = Request(**{**(read_grid(grid) if grid else {}), **given})
    terminate_like_interrupt()
    installed = registry.load()
    warn_of_problems(installed)
    plan = make_plan(request, installed)
    for line in describe(plan):
        click.echo(line)
    if plan.count("run"):
        click.echo(f"  about {seconds(max(1.0, runner.estimate(plan)))} on this machine")
    outcome = runner.Outcome() if dry_run else runner.run_plan(plan, say=click.echo, warn=warn)
    if plan.nothing_to_run:
        fail(plan.nothing_to_run, ExitCode.NOTHING_TO_RUN)
    if not dry_run:
        show_board(plan)
    return outcome.exit_code


def show_board(plan: Plan) -> None:
    """Print the board of a results folder, and write it beside the records."""
    from . import leaderboard
    from .storage import write_atomically

    there = {planned.cell.task.horizon for planned in plan.cells if planned.path.exists()}
    horizons = there.intersection(plan.request.horizons)
    if not horizons:
        return
    results = plan.request.results
    scorers = {name: metric.score for name, (_, metric) in {**plan.others, **plan.metrics}.items()}
    board = leaderboard.render(results, scorers, format="text", horizons=horizons)
    for problem in board.problems:
        warn(str(problem))
    click.echo()
    click.echo(board.text)
    path = results / "board.md"
    markdown = leaderboard.render(results, scorers, format="markdown").text
    # With markers, so that `vpbench leaderboard --output` can renew it and --check it.
    blank = f"{leaderboard.START}\n{leaderboard.END}\n"
    write_atomically(path, leaderboard.update_between_markers(blank, markdown).encode())
    click.echo(f"records: {results}/   board: {path}")


# --------------------------------------------------------------------------------------------------------------- train


@main.command(epilog=EPILOG)
@click.option(
    "--model",
    required=True,
    metavar="NAME|FILE.py:CLASS",
    help="Model: one that `vpbench plugins` lists, or a class in a file of yours.",
)
@click.option("--dataset", required=True, metavar="NAME", help="Dataset; its train split is learnt from.")
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
    metavar="20m|5000updates",
    help="How long: a time (s, m, h), turned into updates at the start, or a number of updates.",
)
@click.option("--batch-size", type=positive, default=32, show_default=True, metavar="N", help="Clips per update.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Of first weights and draws.")
@click.option(
    "--device", default="auto", metavar="auto|cpu|cuda[:n]|mps", show_default=True, help="Where the model is trained."
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
    output: Path | None,
) -> int:
    """Train a model and write its weights.

    \b
      vpbench train --model latentode --dataset moving-mnist --budget 20m

    Checkpoints are written on the way, and on Ctrl-C. The same command resumes from them, and what comes out is what an
    uninterrupted run would have given, bit for bit on a CPU. The line printed at the end uses the weights.
    """
    from . import device as devices
    from . import registry
    from .instances import configured
    from .plan import Settings
    from .training import Budget, Trainer, TrainingRun

    terminate_like_interrupt()
    length = Budget.parse(budget)
    installed = registry.load()
    warn_of_problems(installed)
    learner, data = installed.model(model), installed.dataset(dataset)
    given = Settings(settings)
    config = configured(learner, given.of(learner))
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
        )
    ).train()
    use = ["vpbench", "run", "--model", model, "--dataset", dataset, "--weights", str(path)]
    use += ["--context", str(context), "--horizon", str(horizon)]
    for line in given.lines_for(data.spec.name):  # the config of the model is in the weights
        use += ["--set", line]
    click.echo(f"weights: {path}   use them: {shlex.join(use)}")
    return ExitCode.OK


# -------------------------------------------------------------------------------------------------------------- others


@main.command(epilog=EPILOG)
def plugins() -> int:
    """List models, datasets and metrics, and what is wrong.

    Everything installed, with its version and where it is from. A plugin that cannot be loaded costs a line on stderr,
    and the exit code is 1.
    """
    from . import registry

    installed = registry.load()
    rows = [("kind", "name", "version", "from", "summary")]
    for kind, found in (
        ("model", installed.models()),
        ("dataset", installed.datasets()),
        ("metric", installed.metrics()),
    ):
        rows += [
            (kind, name, each.spec.version, f"{each.distribution} {each.version}", each.spec.summary)
            for name, each in found.items()
        ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)), row[4]]))
    warn_of_problems(installed)
    return ExitCode.FAILED if installed.problems else ExitCode.OK


@main.command(epilog=EPILOG)
@several(
    "--results",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of records; several are shown together.  [default: results]",
)
@several("--horizon", "horizons", type=positive, metavar="N", help="Only boards of these horizons.")
@click.option("--metric", metavar="NAME", help="Metric to rank by.  [default: psnr-pooled]")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "markdown", "csv", "latex"]),
    help="[default: by the ending of --output, else text]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File to write. In a markdown file that is there, the board goes between its markers.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if --output is not up to date.")
def leaderboard(
    results: tuple[Path, ...],
    horizons: tuple[int, ...],
    metric: str | None,
    format_: str | None,
    output: Path | None,
    check: bool,
) -> int:
    """Make boards of records: text, markdown, CSV, LaTeX.

    \b
      vpbench leaderboard --results runs
      vpbench leaderboard --results results --output README.md
      vpbench leaderboard --results results --results runs --output board.tex

    Records that may not be compared (another dataset version, horizon, definition of a metric) never share a table.
    The same records give the same bytes. A record that cannot be read costs a line on stderr, and the exit code is 4.
    """
    from . import leaderboard as boards
    from . import registry
    from .storage import write_atomically

    if check and not output:
        raise click.UsageError("--check compares with a file: give --output FILE")
    folders = results or (Path("results"),)
    for folder in folders:
        if not folder.is_dir():
            raise click.UsageError(f"there is no results folder {folder}: name one with --results")
    installed = registry.load()
    warn_of_problems(installed)
    endings = {".md": "markdown", ".csv": "csv", ".tex": "latex"}
    format_ = format_ or (endings.get(output.suffix, "text") if output else "text")
    rendered = boards.render(
        folders, score_functions(installed), format=format_, metric=metric, horizons=horizons or None
    )
    for problem in rendered.problems:
        warn(str(problem))
    code = ExitCode.DATA if rendered.problems else ExitCode.OK
    if not output:
        click.echo(rendered.text)
        return code
    before, text = read_text(output), rendered.text
    if format_ == "markdown":
        text = boards.update_between_markers(before or f"{boards.START}\n{boards.END}\n", text)
    if check:
        if before != text:
            fail(f"{output} is not up to date: run vpbench leaderboard without --check", ExitCode.FAILED)
        return code
    write_atomically(output, text.encode())
    click.echo(f"board: {output}")
    return code


@main.command(epilog=EPILOG)
@click.argument("records", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--clips", type=positive, default=4, show_default=True, metavar="N", help="How many of the clips to run again."
)
@click.option(
    "--batch-size", type=positive, default=16, show_default=True, metavar="N", help="Clips predicted at once."
)
@click.option(
    "--device", default="auto", metavar="auto|cpu|cuda[:n]|mps", show_default=True, help="Where the model runs."
)
@several(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Weights that a record used, where they do not ship with the model.",
)
@click.option("--model", metavar="FILE.py:CLASS", help="The model of the records, where it is a class in a file.")
def verify(
    records: tuple[Path, ...], clips: int, batch_size: int, device: str, weights: tuple[Path, ...], model: str | None
) -> int:
    """Does a record hold? Run some of its clips again.

    \b
      vpbench verify results/moving-mnist/latentode/*.json

    The scores of each of RECORDS are derived from its statistics again, some of its clips are predicted and measured
    again, and all is compared. The exit code is 1 where one does not hold.
    """
    from . import device as devices
    from . import registry
    from .verify import verify as verify_record

    terminate_like_interrupt()
    installed = registry.load()
    warn_of_problems(installed)
    where = devices.resolve(device)
    code = ExitCode.OK
    for path in records:
        try:
            verdict = verify_record(
                path, installed, clips=clips, device=where, batch_size=batch_size, weights=weights, model=model
            )
        except VpbenchError as error:  # the others can still be looked at
            warn(str(error))
            code = code or error.exit_code
            continue
        click.echo(str(verdict))
        code = code if verdict.agrees else ExitCode.FAILED
    return code


@main.group(epilog=EPILOG, invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """Get datasets that have to be downloaded."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@data.command(epilog=EPILOG)
@click.argument("name", metavar="DATASET")
def get(name: str) -> int:
    """Download DATASET.

    A download that was cut off is continued, and what arrives is verified. Nothing else ever downloads anything.
    """
    from . import registry
    from .instances import blaming
    from .progress import Progress
    from .specs import resolve

    terminate_like_interrupt()
    installed = registry.load()
    warn_of_problems(installed)
    provided = installed.dataset(name)
    if provided.spec.fetch is None:
        raise click.UsageError(f"{name} needs no download")
    with Progress(f"getting {name}", None, unit="bytes") as progress:

        def report(done: int, total: int | None) -> None:
            progress.total = total
            progress.advance(done - progress.done)

        with blaming(provided, "fetch"):
            path = resolve(provided.spec.fetch)(report)
    click.echo(f"{name}: {path}")
    return ExitCode.OK


# -------------------------------------------------------------------------------------------------------------- shared


def warn_of_problems(installed: Registry) -> None:
    """One line on stderr for each plugin that could not be loaded; the rest works on."""
    for problem in installed.problems:
        warn(f"plugin left out: {problem}")


def score_functions(installed: Registry) -> dict[str, Any]:
    """`Metric.score` of every installed metric that works, for boards."""
    from .instances import make_metric

    scorers = {}
    for name, each in installed.metrics().items():
        try:
            scorers[name] = make_metric(each).score
        except VpbenchError as error:
            if each.spec.default:  # of the others there will hardly be a score
                warn(str(error))
    return scorers


def read_text(path: Path) -> str | None:
    """What a file holds; None where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"cannot read {path}: {error}") from error
