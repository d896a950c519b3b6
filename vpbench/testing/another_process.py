"""A function called in a fresh interpreter: what holds there too depends on nothing that happened here."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from ..config import make_config
from ..specs import Spec, resolve
from .check import NotApplicable

PATIENCE_S = 120.0

#: The answer is the last line: what a plugin prints comes before it.
_PROGRAM = """
import json, sys
from vpbench.specs import resolve
print("\\n" + json.dumps(resolve(sys.argv[1])(json.load(sys.stdin))))
"""


class ProcessFailed(RuntimeError):
    """The other process raised; the message is the last line of what it said."""


def in_another_process(function: str, argument: Any) -> Any:
    """What ``"module:function"`` answers to one argument, both as JSON has them.

    The other interpreter finds the modules that this one finds, and has other hashes of text: an order that comes out
    of a set, or a seed made with hash(), is another one there. Raises ProcessFailed.
    """
    other_hashes = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    path = os.pathsep.join(os.path.abspath(each) for each in sys.path)  # noqa: PTH100 ("" is the working directory)
    environment = {**os.environ, "PYTHONHASHSEED": other_hashes, "PYTHONPATH": path}
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM, function],
        input=json.dumps(argument),
        capture_output=True,
        text=True,
        env=environment,
        timeout=PATIENCE_S,
    )
    if ran.returncode:
        said = ran.stderr.strip().splitlines()
        raise ProcessFailed(f"in another process: {said[-1] if said else f'exit {ran.returncode}'}")
    return json.loads(ran.stdout.strip().splitlines()[-1])


def recipe(spec: Spec, config: Any) -> dict[str, Any]:
    """How something is made, as JSON has it, for `made_from` in another process.

    Of the config all fields, also those that say where files are. NotApplicable for what has no name to be found by.
    """
    if not isinstance(spec.factory, str) or (config is not None and not spec.config):
        raise NotApplicable("another process cannot make it: its factory or config has no name to be found by")
    fields = [field.name for field in dataclasses.fields(config) if field.init] if config is not None else []
    return {
        "factory": spec.factory,
        "config": spec.config if config is not None else None,
        "settings": {name: getattr(config, name) for name in fields},
    }


def made_from(recipe: Mapping[str, Any]) -> Any:
    """The dataset or metric of a recipe."""
    config_class = resolve(recipe["config"]) if recipe["config"] else None
    return resolve(recipe["factory"])(make_config(config_class, recipe["settings"], owner=recipe["factory"]))
