"""The page of all commands, written from the command line itself when the site is built."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterator

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from vpbench.cli import main

PAGE = "commands.md"

HEAD = """# Commands

What `vpbench COMMAND --help` says, of this version. Every command ends with a [documented exit code](exit-codes.md),
and what went wrong is one line on stderr. [`vpbench completion`](#vpbench-completion) makes TAB complete all of it.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, PAGE, content=page(main)))
    return files


def page(group: click.Group) -> str:
    """All commands of a group as markdown."""
    found = list(commands(group, "vpbench"))
    overview = [
        f"| [`{name}`](#{name.replace(' ', '-')}) | {command.get_short_help_str(200)} |" for name, command in found
    ]
    parts = [HEAD, "\n".join(["| command | does |", "|---|---|", *overview])]
    parts += [section(name, command) for name, command in found]
    return "\n\n".join(parts) + "\n"


def commands(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    """(words, command) of all commands that do something, in alphabetical order."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def section(name: str, command: click.Command) -> str:
    """One command: what it is for, how it is called, its options."""
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f"## {name}", *prose(command.help or ""), f"```\n{name} {usage}\n```"]
    records = [record for each in command.get_params(context) if (record := each.get_help_record(context))]
    options = [f"| {code(names)} | {cell(told)} |" for names, told in records if told and "--help" not in names]
    if options:
        parts.append("\n".join(["| option | does |", "|---|---|", *options]))
    return "\n\n".join(parts)


def prose(text: str) -> Iterator[str]:
    """Paragraphs of a help text; what click is told not to wrap is code."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        if paragraph.startswith("\b"):
            lines = paragraph.splitlines()[1:]
            yield "\n".join(["```", *(line.removeprefix("  ") for line in lines), "```"])
        else:
            text = re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", " ".join(paragraph.split()))
            yield re.sub(r"(?<![\w`-])(--[a-z][\w-]*)(?!`)", r"`\1`", text)


def code(names: str) -> str:
    """Option names as code, in a cell of a table."""
    return f"<code>{html.escape(names).replace('|', '&#124;')}</code>"


def cell(text: str) -> str:
    """A help text in a cell of a table; defaults in brackets are no links."""
    return " ".join(text.split()).replace("|", "\\|").replace("[", "\\[").replace("]", "\\]")
