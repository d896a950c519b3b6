"""What all commands share: the group, how it fails, and the options and lookups that several of them need."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ..errors import ExitCode, VpbenchError

if TYPE_CHECKING:
    from ..perform import Performed
    from ..plan import Plan
    from ..registry import Registry
    from ..thresholds import Threshold

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
    """One line on stderr, without what a terminal would obey: messages quote files and plugins."""
    first = next((line for line in message.splitlines() if line.strip()), "unknown error")
    plain = "".join(character if character.isprintable() else "\ufffd" for character in first.strip())
    click.echo(f"vpbench: {plain}", err=True)


def fail(message: str, code: ExitCode) -> NoReturn:
    warn(message)
    sys.exit(int(code))


#: The commands as `vpbench --help` lists them, by what one wants to do.
SECTIONS = {
    "Evaluate": ("run", "train", "weights", "export-context", "score"),
    "Read results": ("leaderboard", "compare", "report", "show", "verify", "rescore", "cite"),
    "Use a model": ("predict", "probe"),
    "Write a plugin": ("new", "check"),
    "Set up": ("plugins", "data", "doctor", "completion"),
}


class Program(OneLineErrors):
    """The command line as a whole: its help lists commands by purpose."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.commands))
        room = formatter.width - width - 6
        for section, names in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl(
                    [(name.ljust(width), self.commands[name].get_short_help_str(room)) for name in names]
                )


@click.group(
    cls=Program,
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

    `vpbench COMMAND --help` has examples of each command.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


positive = click.IntRange(min=1)


def several(*names: str, **options: Any) -> Callable[[Any], Any]:
    """An option that may be given any number of times."""
    return click.option(*names, multiple=True, **options)


def with_thresholds(command: Any) -> Any:
    """The options --fail-under and --fail-over, for a command that takes `fail_under` and `fail_over`."""
    over = several(
        "--fail-over",
        "fail_over",
        metavar="METRIC=VALUE",
        help="The same for a metric of which less is better: mse=0.02.",
    )
    under = several(
        "--fail-under",
        "fail_under",
        metavar="METRIC=VALUE",
        help="End with 1 where a model asked for scores less at a horizon asked for: ssim=0.8.",
    )
    return under(over(command))


def conclude(plan: Plan, done: Performed, held_to: Iterable[Threshold]) -> ExitCode:
    """Say what a plan that was carried out came to: the board, and which thresholds are broken."""
    from ..thresholds import broken

    if done.board:
        click.echo(f"\n{done.board}\nrecords: {plan.request.results}/   board: {done.board_file}")
    lines = broken(held_to, plan)
    for line in lines:
        warn(line)
    return ExitCode.FAILED if lines else done.outcome.exit_code


def warn_of_problems(installed: Registry) -> None:
    """One line on stderr for each plugin that could not be loaded, or will not be for long; the rest works on."""
    from .. import deprecations, specs

    for problem in installed.problems:
        warn(f"plugin left out: {problem}")
    for line in deprecations.deprecation_lines(installed, deprecations.DEPRECATIONS, specs.APIS):
        warn(f"plugin to be upgraded: {line}")


def score_functions(installed: Registry) -> dict[str, Any]:
    """`Metric.score` of every installed metric that works, for boards."""
    from ..instances import make_metric

    scorers = {}
    for name, each in installed.metrics().items():
        try:
            made = make_metric(each).metric
            scorers[name] = getattr(made, "score", None)
        except VpbenchError as error:
            if each.spec.default:  # of the others there will hardly be a score
                warn(str(error))
    return {name: score for name, score in scorers.items() if score is not None}  # distances of sets have none


def read_text(path: Path) -> str | None:
    """What a file holds; None where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"cannot read {path}: {error}") from error
