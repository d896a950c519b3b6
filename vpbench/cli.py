"""The command line. Parsing only: each command imports what it needs when it runs, so `--help` stays fast."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .errors import ExitCode, VpbenchError

if TYPE_CHECKING:
    from .registry import Registry

EPILOG = (
    "Exit codes: "
    + ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ExitCode)
    + ". docs/exit-codes.md says what each one means."
)


class OneLineErrors(click.Group):
    """Whatever ends a command ends it with one line and a documented exit code; a traceback means a bug of ours."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, **kwargs)
        except click.ClickException as error:
            fail(error.format_message().replace("\n", " "), ExitCode.USAGE)
        except click.Abort:
            fail("interrupted; what was finished is kept", ExitCode.INTERRUPTED)
        except VpbenchError as error:
            fail(str(error), error.exit_code)
        else:
            sys.exit(code if isinstance(code, int) else ExitCode.OK)


def fail(message: str, code: ExitCode) -> None:
    click.echo(f"vpbench: {message}", err=True)
    sys.exit(int(code))


@click.group(cls=OneLineErrors, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vpbench")
def main() -> None:
    """Train, roll out, score and rank video-prediction models."""


positive = click.IntRange(min=1)


def several(*names: str, **options: Any) -> Callable[[Any], Any]:
    """An option that may be given any number of times."""
    return click.option(*names, multiple=True, **options)


# ----------------------------------------------------------------------------------------------------------------- run


@main.command(epilog=EPILOG)
@click.argument("grid", required=False, type=click.Path(path_type=Path))
@several("--model", "models", metavar="NAME|FILE.py:CLASS", help="Model to run; any number of them.")
@several("--dataset", "datasets", metavar="NAME", help="Dataset; default: the one the model's weights name.")
@several("--horizon", "horizons", type=positive, help="Frames to predict; shorter reporting horizons come along.")
@several(
    "--seed", "seeds", type=int, help="Training or sampling seed of the model; never changes the clips. [default: 0]"
)
@several("--metric", "metrics", metavar="NAME", help="Metric; default: all installed.")
@click.option("--context", type=positive, help="Context frames.  [default: 10]")
@click.option("--clips", type=positive, help="Clips of the test split, the first ones.  [default: 100]")
@click.option("--batch-size", type=positive, help="Clips predicted at once.  [default: 16]")
@click.option("--device", metavar="auto|cpu|cuda[:n]|mps", help="[default: auto]")
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), help="[default: float32]")
@several("--weights", type=click.Path(path_type=Path), help="Weights file; its header says which model it is for.")
@several(
    "--set", "settings", metavar="KEY=VALUE", help="Config of a model or dataset; NAME.KEY=VALUE for one of several."
)
@click.option("--results", type=click.Path(path_type=Path), help="Folder of records.  [default: runs]")
@click.option(
    "--rerun", type=click.Choice(["missing", "failed", "all"]), help="Which cells to compute.  [default: missing]"
)
@click.option(
    "--keep-predictions", type=click.IntRange(min=0), metavar="N", help="Keep the frames of the first N clips."
)
@click.option("--allow-untrained", is_flag=True, default=None, help="Run models without weights; boards mark them.")
@click.option("--dry-run", is_flag=True, help="Print the plan and the estimate of time, compute nothing.")
def run(grid: Path | None, dry_run: bool, **options: Any) -> int:
    """Evaluate models on datasets at horizons, and print the board.

    GRID is a TOML file with the same names (models, horizons, ...); options win over it.
    """
    from . import registry, runner
    from .grid import read_grid

    given = {key: value for key, value in options.items() if value not in (None, ())}
    fields = {**(read_grid(grid) if grid else {}), **given}
    for name, option in (("models", "--model"), ("horizons", "--horizon")):
        if not fields.get(name):
            raise click.UsageError(f"nothing to run: give at least one {option}")
    request = runner.Request(**fields)
    terminate_like_interrupt()
    installed = registry.load()
    warn_of_problems(installed)
    plan = runner.make_plan(request, installed)
    for line in runner.describe(plan):
        click.echo(line)
    if plan.count("run"):
        click.echo(f"  {runner.estimate_line(plan)}")
    if dry_run:
        return ExitCode.OK
    outcome = runner.run_plan(plan, say=click.echo)
    show_board(request.results, installed, request.horizons)
    return outcome.exit_code


def show_board(results: Path, installed: Registry, horizons: tuple[int, ...]) -> None:
    """Print the board of a results folder, and write it beside the records."""
    from . import leaderboard
    from .storage import write_atomically

    scorers = score_functions(installed)
    board = leaderboard.render(results, scorers, format="text", horizons=horizons)
    for problem in board.problems:
        click.echo(f"vpbench: {problem}", err=True)
    click.echo()
    click.echo(board.text)
    path = results / "board.md"
    write_atomically(path, leaderboard.render(results, scorers, format="markdown").text.encode())
    click.echo(f"records: {results}/   board: {path}")


# --------------------------------------------------------------------------------------------------------------- train


@main.command(epilog=EPILOG)
@click.option("--model", required=True, metavar="NAME|FILE.py:CLASS")
@click.option("--dataset", required=True, metavar="NAME")
@click.option("--context", type=positive, default=10, show_default=True, help="Context frames.")
@click.option("--horizon", type=positive, default=10, show_default=True, help="Steps that targets are drawn from.")
@click.option(
    "--budget", required=True, metavar="20m|5000updates", help="Time (turned into updates at the start) or updates."
)
@click.option("--batch-size", type=positive, default=32, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="auto", metavar="auto|cpu|cuda[:n]|mps", show_default=True)
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True)
@several("--set", "settings", metavar="KEY=VALUE", help="Config of the model or dataset.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Weights file.  [default: MODEL-DATASET-CONTEXT.safetensors]"
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
    """Train a model. The same command again resumes where a killed one stopped, bit for bit."""
    from . import device as devices
    from . import registry
    from .config import make_config
    from .runner import Settings
    from .training import Budget, Trainer, TrainingRun

    terminate_like_interrupt()
    length = Budget.parse(budget)
    installed = registry.load()
    warn_of_problems(installed)
    learner, data = installed.model(model), installed.dataset(dataset)
    given = Settings(settings)
    config = make_config(learner.spec.load_config(), given.of(learner.spec), owner=learner.spec.name)
    dataset_config = make_config(data.spec.load_config(), given.of(data.spec), owner=data.spec.name)
    given.check_all_used()
    name = f"{learner.spec.name}-{data.spec.name}-{context}.safetensors"
    path = Trainer(
        TrainingRun(
            model=learner,
            config=config,
            dataset=data,
            dataset_config=dataset_config,
            context=context,
            horizon=horizon,
            budget=length,
            output=output or Path(name),
            batch_size=batch_size,
            seed=seed,
            precision=precision,
            device=devices.resolve(device),
        )
    ).train()
    use = f"vpbench run --model {model} --dataset {dataset} --weights {path} --horizon {horizon}"
    click.echo(f"weights: {path}   use them: {use}")
    return ExitCode.OK


# -------------------------------------------------------------------------------------------------------------- others


@main.command(epilog=EPILOG)
def plugins() -> int:
    """List installed models, datasets and metrics, and what is wrong with any plugin."""
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
    help="Folder of records; several are shown together.  [default: results]",
)
@several("--horizon", "horizons", type=positive, help="Only boards of these horizons.")
@click.option("--metric", metavar="NAME", help="Metric to rank by.  [default: psnr-pooled]")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "markdown", "csv", "latex"]),
    help="[default: by the file's ending, else text]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="File to write; markdown goes between the markers of an existing one.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if the file is not up to date.")
def leaderboard(
    results: tuple[Path, ...],
    horizons: tuple[int, ...],
    metric: str | None,
    format_: str | None,
    output: Path | None,
    check: bool,
) -> int:
    """Render boards from records."""
    from . import leaderboard as boards
    from . import registry
    from .storage import write_atomically

    if check and not output:
        raise click.UsageError("--check compares with a file: give --output FILE")
    installed = registry.load()
    warn_of_problems(installed)
    endings = {".md": "markdown", ".csv": "csv", ".tex": "latex"}
    format_ = format_ or (endings.get(output.suffix, "text") if output else "text")
    folders = results or (Path("results"),)
    rendered = boards.render(
        folders, score_functions(installed), format=format_, metric=metric or boards.METRIC, horizons=horizons or None
    )
    for problem in rendered.problems:
        click.echo(f"vpbench: {problem}", err=True)
    if not output:
        click.echo(rendered.text)
        return ExitCode.OK
    before = read_text(output)
    between = format_ == "markdown" and before
    text = boards.update_between_markers(before, rendered.text) if between else rendered.text
    if check:
        if before != text:
            click.echo(f"vpbench: {output} is not up to date: run vpbench leaderboard without --check", err=True)
            return ExitCode.FAILED
        return ExitCode.OK
    write_atomically(output, text.encode())
    click.echo(f"board: {output}")
    return ExitCode.OK


@main.command(epilog=EPILOG)
@click.argument("records", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--clips", type=positive, default=4, show_default=True, help="How many of the record's clips to run again."
)
@click.option("--batch-size", type=positive, default=16, show_default=True)
@click.option("--device", default="auto", metavar="auto|cpu|cuda[:n]|mps", show_default=True)
@several("--weights", type=click.Path(path_type=Path), help="Weights that the record used, where they are not bundled.")
def verify(records: tuple[Path, ...], clips: int, batch_size: int, device: str, weights: tuple[Path, ...]) -> int:
    """Run the first clips of RECORDS again and compare: does the number hold on this machine?"""
    from . import device as devices
    from . import registry
    from .verify import verify as verify_record

    installed = registry.load()
    warn_of_problems(installed)
    where = devices.resolve(device)
    code = ExitCode.OK
    for path in records:
        verdict = verify_record(path, installed, clips=clips, device=where, batch_size=batch_size, weights=weights)
        click.echo(str(verdict))
        if not verdict.agrees:
            code = ExitCode.FAILED
    return code


@main.group()
def data() -> None:
    """Get datasets that have to be downloaded."""


@data.command(epilog=EPILOG)
@click.argument("name")
def get(name: str) -> int:
    """Download dataset NAME, resuming and verifying; nothing else ever downloads."""
    from . import registry
    from .progress import Progress
    from .specs import resolve

    spec = registry.load().dataset(name).spec
    if spec.fetch is None:
        raise click.UsageError(f"{name} needs no download")
    with Progress(f"getting {name}", None, unit="bytes") as progress:

        def report(done: int, total: int | None) -> None:
            progress.total = total
            progress.advance(done - progress.done)

        path = resolve(spec.fetch)(report)
    click.echo(f"{name}: {path}")
    return ExitCode.OK


# -------------------------------------------------------------------------------------------------------------- shared


def warn_of_problems(installed: Registry) -> None:
    """One line on stderr for each plugin that could not be loaded; the rest works on."""
    for problem in installed.problems:
        click.echo(f"vpbench: plugin left out: {problem}", err=True)


def score_functions(installed: Registry) -> dict[str, Any]:
    """`Metric.score` of every installed metric, for boards."""
    from .config import make_config

    return {
        name: each.spec.load()(make_config(each.spec.load_config(), {}, owner=name)).score
        for name, each in installed.metrics().items()
    }


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"cannot read {path}: {error}") from error


def terminate_like_interrupt() -> None:
    """A scheduler's SIGTERM is a Ctrl-C: finish the file being written, keep what is done, leave a checkpoint."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
