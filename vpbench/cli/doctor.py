"""`vpbench doctor`: what a report of a bug needs, and whether everything works."""

from __future__ import annotations

import json

import click

from ..errors import ExitCode
from .group import EPILOG, main, warn


@main.command(epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of text.")
@click.option(
    "--quick", is_flag=True, help="Import neither torch nor what plugins name: versions, files, folders only."
)
def doctor(as_json: bool, quick: bool) -> int:
    """Say what is installed, and whether it works.

    \b
      vpbench doctor
      vpbench doctor --json

    Paste the text into a report of a bug: it has versions, devices, plugins, environment variables and folders, whether
    datasets and weights are there, and whether a tiny evaluation in memory gives the score that it must. The home
    folder is written as ~, and names of user and host are left out. Nothing is downloaded. What is broken costs a line
    on stderr that says what to do, and the exit code is 1.
    """
    from ..doctor import diagnose

    found = diagnose(quick=quick)
    click.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False) if as_json else found.as_text(), nl=as_json)
    for each in found.broken:
        warn(str(each))
    return ExitCode.FAILED if found.broken else ExitCode.OK
