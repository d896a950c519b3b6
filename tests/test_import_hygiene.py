"""Starting up imports nothing heavy. Judged by module names, not by the clock, in fresh interpreters.

`--help` must answer at once, also on a machine with a hundred plugins; torch alone takes over a second.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import pytest

HEAVY = {"torch", "numpy", "pandas", "skimage", "tabulate", "torchdiffeq", "numba"}
NOT_AT_IMPORT = HEAVY | {"importlib.metadata"}  # the latter takes 30 ms, and only the registry needs it

#: Runs a command as the console script does, and says at the end what was imported on the way.
COMMAND = """
import sys
from vpbench.cli import main
sys.argv = ["vpbench", *{args!r}]
try:
    main()
except SystemExit as end:
    print("exit", end.code or 0, file=sys.stderr)
"""


def run(code: str) -> tuple[set[str], str]:
    """Names of the modules that were imported by some code, and stderr with the output of ``-X importtime``."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VPBENCH_")}
    code += "\nprint('modules', *sys.modules, file=sys.stderr)"
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )
    assert ran.returncode == 0, "\n".join(
        line for line in ran.stderr.splitlines() if not line.startswith("import time")
    )
    (modules,) = re.findall(r"^modules (.*)$", ran.stderr, flags=re.MULTILINE)
    return set(modules.split()), ran.stderr


def why(module: str, importtime: str) -> str:
    """The lines of ``-X importtime`` that led to a module: its own and those of the modules that imported it."""
    lines = [line for line in importtime.splitlines() if line.startswith("import time:")]
    names = [line.rpartition("|")[2] for line in lines]
    depth = 10**6
    led = []
    for line, name in zip(lines, names, strict=True):
        indent = len(name) - len(name.lstrip())
        # a line comes after those of what it imports, which are indented more
        if (led and indent < depth) or (not led and name.strip() == module):
            led.append(line)
            depth = indent
            if indent <= 1:
                break
    return "\n".join(led)


def assert_none_of(unwanted: set[str], modules: set[str], importtime: str) -> None:
    found = sorted(unwanted & modules)
    assert not found, "\n\n".join(f"{module} was imported:\n{why(module, importtime)}" for module in found)


def test_importing_vpbench_is_light() -> None:
    assert_none_of(NOT_AT_IMPORT, *run("import sys, vpbench"))


@pytest.mark.parametrize(
    "module",
    ["specs", "hookspecs", "protocols", "errors", "config", "registry", "tasks", "results", "progress", "storage"],
)
def test_modules_that_every_command_needs_are_light(module: str) -> None:
    assert_none_of(NOT_AT_IMPORT, *run(f"import sys, vpbench.{module}"))


def test_importing_the_command_line_is_light_and_touches_no_plugin() -> None:
    assert importlib.util.find_spec("vpbench.cli"), "vpbench/cli is missing"
    modules, importtime = run("import sys, vpbench.cli")
    assert_none_of(NOT_AT_IMPORT, modules, importtime)
    assert not {name for name in modules if name.startswith("vpbench_")}


def test_loading_all_installed_plugins_is_light() -> None:
    modules, importtime = run("import sys, vpbench.registry\nassert vpbench.registry.load().models()")
    assert_none_of(HEAVY, modules, importtime)
    assert "vpbench_baselines" in modules
    assert "vpbench_baselines.floors" not in modules


@pytest.mark.parametrize("args", [["--help"], ["run", "--help"]], ids=" ".join)
def test_help_is_light_and_touches_no_plugin(args: list[str]) -> None:
    assert importlib.util.find_spec("vpbench.cli"), "vpbench/cli is missing"
    modules, importtime = run(COMMAND.format(args=args))
    assert "\nexit 0\n" in importtime
    assert_none_of(NOT_AT_IMPORT, modules, importtime)
    assert not {name for name in modules if name.startswith("vpbench_")}


def test_listing_the_plugins_is_light() -> None:
    assert importlib.util.find_spec("vpbench.cli"), "vpbench/cli is missing"
    modules, importtime = run(COMMAND.format(args=["plugins"]))
    assert_none_of(HEAVY, modules, importtime)
    assert "vpbench_baselines" in modules


def test_a_heavy_import_is_seen_and_explained() -> None:
    modules, importtime = run("import sys, vpbench_baselines.floors")
    with pytest.raises(AssertionError, match=r"numpy was imported:\n(.*\n)*.*vpbench_baselines.floors"):
        assert_none_of(HEAVY, modules, importtime)
