"""`vpbench new`: write the package of a plugin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ExitCode
from .group import EPILOG, main, warn_of_problems

if TYPE_CHECKING:
    from ..scaffold import Kind


@main.group(epilog=EPILOG, invoke_without_command=True)
@click.pass_context
def new(context: click.Context) -> None:
    """Write the package of a new plugin.

    \b
      vpbench new model slow-motion
      vpbench new model tiny-net --trainable
      vpbench new dataset bouncing-ball --author "Ada Lovelace <ada@example.org>"
      vpbench new metric root-error --directory plugins/root-error

    It works as it is: it installs, passes `vpbench check` and its own tests, and can be published. Then make it yours.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def package_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What the packages of all kinds of plugins are told."""
    for decorate in (
        click.option("--author", metavar="'NAME <MAIL>'", help="Who is named as its author.  [default: nobody]"),
        click.option(
            "--directory",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Folder to write, new or empty.  [default: NAME]",
        ),
        click.argument("name"),
    ):
        command = decorate(command)
    return command


@new.command(epilog=EPILOG)
@package_options
@click.option("--trainable", is_flag=True, help="A torch module with loss(), whose weights `vpbench train` learns.")
def model(name: str, directory: Path | None, author: str | None, trainable: bool) -> int:
    """Write the package of a model.

    NAME is in lower case, with dashes. Until you make it yours, it carries the last change of each pixel on; a
    trainable one is two convolutions.
    """
    return write_package("model", name, directory, author, trainable)


@new.command(epilog=EPILOG)
@package_options
def dataset(name: str, directory: Path | None, author: str | None) -> int:
    """Write the package of a dataset.

    NAME is in lower case, with dashes. Until you make it yours, it is a ball in a box, generated.
    """
    return write_package("dataset", name, directory, author)


@new.command(epilog=EPILOG)
@package_options
def metric(name: str, directory: Path | None, author: str | None) -> int:
    """Write the package of a metric.

    NAME is in lower case, with dashes. Until you make it yours, it is the root of the mean squared error.
    """
    return write_package("metric", name, directory, author)


def write_package(kind: Kind, name: str, directory: Path | None, author: str | None, trainable: bool = False) -> int:
    """Write it, and say what to type next."""
    from importlib.metadata import version

    from .. import registry, scaffold

    installed = registry.load()
    warn_of_problems(installed)
    names = scaffold.names_for(kind, name, installed)
    by = scaffold.Author.parse(author) if author is not None else None
    texts = scaffold.render(kind, names, version=version("vpbench"), author=by, trainable=trainable)
    folder = directory or Path(name)
    scaffold.write(folder, texts)
    click.echo(f"{folder}: {len(texts)} files")
    click.echo("next:")
    for line in scaffold.next_commands(kind, names, folder, trainable=trainable):
        click.echo(f"  {line}")
    return ExitCode.OK
