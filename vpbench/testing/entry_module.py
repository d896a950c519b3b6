"""The entry module of a plugin, imported in an interpreter of its own: what comes with it delays every command."""

from __future__ import annotations

import sys
from typing import Any

from .. import registry
from ..registry import GROUP, Provided
from .another_process import in_another_process
from .check import NotApplicable, Violation

#: Each of these takes a tenth of a second or several to import. Others count too, but not by name.
HEAVY = frozenset(
    {"PIL", "cv2", "jax", "keras", "lightning", "matplotlib", "numba", "numpy", "pandas", "scipy", "skimage", "sklearn"}
    | {"tensorflow", "torch", "torchdiffeq", "torchvision", "transformers", "xarray"}
)


def check_light_entry_module(provided: Provided[Any]) -> None:
    """The entry module imports nothing heavy, neither when it is loaded nor when it names what the plugin offers."""
    from importlib.metadata import entry_points

    named = [
        point
        for point in entry_points(group=GROUP, name=provided.entry_point)
        if point.dist and point.dist.name == provided.distribution
    ]
    if not named:
        raise NotApplicable(f"it is not installed: no entry point {provided.entry_point!r} of {provided.distribution}")
    found = in_another_process(f"{__name__}:imported_by", [named[0].name, named[0].value])
    if found["problems"]:
        raise Violation(found["problems"][0])
    if found["heavy"]:
        raise Violation(
            f"{named[0].value} imports {', '.join(found['heavy'])}: name factory and config by strings, "
            "'module:Class', and import such things there"
        )


def imported_by(point: tuple[str, str]) -> dict[str, list[str]]:
    """What is heavy of all that is imported once a plugin has said what it offers. Called in another process."""
    from importlib.metadata import EntryPoint

    name, value = point
    loaded = registry.load([EntryPoint(name, value, GROUP)])
    return {
        "heavy": sorted(HEAVY & sys.modules.keys()),
        "problems": [f"{problem.phase}: {problem.message}" for problem in loaded.problems],
    }
