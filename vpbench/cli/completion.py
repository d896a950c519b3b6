"""`vpbench completion`: what makes TAB work in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ..errors import ExitCode
from .group import EPILOG, main

#: Shell -> what its user does once.
INSTALL = {
    "bash": """echo 'eval "$(vpbench completion bash)"' >> ~/.bashrc""",
    "zsh": """echo 'eval "$(vpbench completion zsh)"' >> ~/.zshrc""",
    "fish": "vpbench completion fish > ~/.config/fish/completions/vpbench.fish",
}


@main.command(epilog=EPILOG)
@click.argument("shell", type=click.Choice(list(INSTALL)))
def completion(shell: str) -> int:
    """Print the script for TAB completion in a shell.

    \b
      eval "$(vpbench completion bash)"      # in this shell; the script says how to have it in all

    On TAB the shell then offers commands, options, files, and the names of installed models, datasets, metrics and
    conventions.
    """
    kind = get_completion_class(shell)
    assert kind is not None  # the choices above are those that click has
    script = kind(main, {}, "vpbench", "_VPBENCH_COMPLETE").source()
    click.echo(f"{script.strip()}\n\n# To have it in every new shell, once:  {INSTALL[shell]}")
    return ExitCode.OK
