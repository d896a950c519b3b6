"""Which code had a hand in a number: versions for records and weights."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from typing import Any

from .registry import GROUP, Provided


def software(*provided: Provided[Any]) -> dict[str, Any]:
    """Versions of the core, of the plugins behind these specs, and of what they compute with."""
    import numpy as np
    import torch

    return {
        "vpbench": version("vpbench"),
        "plugins": plugin_versions(*provided),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def code_version(*provided: Provided[Any]) -> dict[str, str]:
    """The same for the header of a weights file, in one level."""
    import torch

    return {"vpbench": version("vpbench"), **plugin_versions(*provided), "torch": torch.__version__}


def plugin_versions(*provided: Provided[Any]) -> dict[str, str]:
    """Distribution -> version of these specs, and of every plugin that theirs builds on, as they require it.

    A spec may be a mere name for another package's model, with weights: then it is that package whose code runs.
    """
    found = {each.distribution: each.version for each in provided}
    for each in provided:
        for needed in _plugins_required(each.distribution, {each.distribution}):
            found.setdefault(needed.name, needed.version)
    return dict(sorted(found.items()))


def _plugins_required(name: str, seen: set[str]) -> Iterator[Distribution]:
    asking = _installed(name)
    for requirement in (asking and asking.requires) or ():
        named = re.match(r"[\w.-]+", requirement)
        needed = _installed(named[0]) if named and "extra ==" not in requirement else None  # extras: tests and the like
        if needed is None or needed.name in seen:
            continue
        seen.add(needed.name)
        if any(point.group == GROUP for point in needed.entry_points):
            yield needed
            yield from _plugins_required(needed.name, seen)


def _installed(name: str) -> Distribution | None:
    """None for what is no distribution, such as the file of a model that was given as a file."""
    try:
        return distribution(name)
    except (PackageNotFoundError, ValueError):
        return None
