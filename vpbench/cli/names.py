"""What the shell offers on TAB where an option takes the name of a model, a dataset or a metric.

Called by click while a line is being typed: fast, silent, and never a reason for a traceback between two keys.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from ..registry import Provided, Registry

#: How long a plugin may take while somebody waits for a name, seconds.
PATIENCE_S = "2"


def models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Installed models; files too, as a model may be a class in one."""
    found = [(name, each.spec.summary) for name, each in _installed().models().items()]
    return [*_files(incomplete), *_matching(found, incomplete)]


def model_files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, for options that take FILE.py:CLASS and no name."""
    return _files(incomplete)


def datasets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Installed datasets."""
    return _matching(((name, each.spec.summary) for name, each in _installed().datasets().items()), incomplete)


def downloads(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Installed datasets that have something to download."""
    found = _installed().datasets().items()
    return _matching(((name, each.spec.summary) for name, each in found if each.spec.fetch), incomplete)


def metrics(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Installed metrics."""
    return _matching(((name, each.spec.summary) for name, each in _installed().metrics().items()), incomplete)


def metrics_and_conventions(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Installed metrics, and the groups of them that have a name."""
    found = _installed().metrics()
    conventions = sorted({each.spec.convention for each in found.values()})
    offered = [(name, f"all metrics of the convention {name}") for name in conventions]
    offered += [("default", "the metrics that are measured where none is named")]
    return _matching([*((name, each.spec.summary) for name, each in found.items()), *offered], incomplete)


def anything_installed(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Models, datasets and metrics; files too."""
    registry = _installed()
    found: dict[str, Provided[Any]] = {**registry.models(), **registry.datasets(), **registry.metrics()}
    return [*_files(incomplete), *_matching(((name, each.spec.summary) for name, each in found.items()), incomplete)]


def devices(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Kinds of devices; which of them are there only torch could tell, and it takes a second to ask."""
    kinds = [("auto", "the best there is"), ("cpu", ""), ("cuda", "the first NVIDIA GPU"), ("mps", "GPU of Apple")]
    return _matching(kinds, incomplete)


def _matching(found: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name, help=summary or None) for name, summary in found if name.startswith(incomplete)]


def _files(incomplete: str) -> list[CompletionItem]:
    """Let the shell offer files as it does elsewhere. It comes first: bash forgets what was offered before it."""
    return [CompletionItem(incomplete, type="file")]


def _installed() -> Registry:
    """All there is; a plugin that fails, prints or hangs is none, and nobody is told before a command runs."""
    from .. import registry

    before = dict(os.environ)
    os.environ["VPBENCH_PLUGIN_SECONDS"] = PATIENCE_S
    os.environ.pop("VPBENCH_PLUGIN_ERRORS", None)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return registry.load()
    finally:
        os.environ.clear()
        os.environ.update(before)
