"""Imports point one way, as the table below says; plugins see the public names only, and never each other.

Lazy imports inside functions and imports for type checking count too: what may not be known may not be known later.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import vpbench

ROOT = Path(__file__).parents[1]
CORE = ROOT / "vpbench"

CONTRACT = {"errors", "specs", "hookspecs", "protocols"}
SERVICES = {"registry", "config", "tasks", "results", "stats", "weights", "device", "storage", "batches", "progress"}
SERVICES |= {"instances", "interrupts", "settings", "software", "tolerance", "reach"}

#: Module (or subpackage) of vpbench -> what of vpbench it may import. Top to bottom: a module only looks up this list.
ALLOWED: dict[str, set[str]] = {
    # the contract
    "errors": set(),
    "specs": {"errors"},
    "hookspecs": {"errors", "specs"},
    "protocols": {"errors", "specs"},
    # one service each, which know the contract and little of each other
    "storage": CONTRACT,
    "progress": CONTRACT,
    "device": CONTRACT,
    "tasks": CONTRACT,
    "batches": CONTRACT,
    "config": CONTRACT,
    "interrupts": set(),
    "registry": CONTRACT | {"config", "interrupts"},
    "instances": CONTRACT | {"config", "registry"},
    "settings": CONTRACT | {"config", "registry", "instances"},
    "software": CONTRACT | {"registry"},
    "tolerance": set(),
    "reach": set(),
    "codes": CONTRACT,
    "step_convolution": set(),
    "recurrent": CONTRACT | {"step_convolution"},
    "weights": CONTRACT | {"storage"},
    "results": CONTRACT | {"storage"},
    "exhibits": CONTRACT | {"storage"},
    "kept": CONTRACT | {"results"},
    "film": CONTRACT,
    "stats": CONTRACT | {"results"},
    # one cell, one training run
    "contamination": CONTRACT | {"instances", "registry"},
    "scoring": CONTRACT | SERVICES,
    "inference": CONTRACT | {"registry", "instances", "device", "weights", "reach"},
    "questions": CONTRACT | SERVICES,
    "in_time": CONTRACT | {"inference"},
    "evaluation": CONTRACT | SERVICES | {"scoring", "inference", "questions", "in_time"},
    "sampling": CONTRACT | {"batches"},
    "checkpoints": CONTRACT,
    "training": CONTRACT | SERVICES | {"contamination", "sampling", "checkpoints"},
    # many cells
    "suitability": CONTRACT | {"registry", "instances", "weights"},
    "importing": CONTRACT | SERVICES | {"suitability"},
    "trained": CONTRACT | SERVICES | {"contamination", "training"},
    "plan": CONTRACT
    | SERVICES
    | {"contamination", "evaluation", "suitability", "training", "trained", "questions", "in_time"},
    "grid": CONTRACT | SERVICES | {"plan", "trained"},
    "runner": CONTRACT | SERVICES | {"scoring", "evaluation", "plan", "exhibits", "trained"},
    "distributed": CONTRACT | SERVICES | {"evaluation", "plan", "runner"},
    "remake": CONTRACT | SERVICES | {"contamination", "evaluation"},
    "verify": CONTRACT | SERVICES | {"scoring", "evaluation", "remake"},
    "rescore": CONTRACT | SERVICES | {"scoring", "evaluation", "remake", "plan", "kept", "questions"},
    # what is made of records: neither models nor torch
    "published": CONTRACT,
    "comparison": CONTRACT | {"results", "stats", "published", "tolerance"},
    "leaderboard": CONTRACT | {"tasks", "results", "stats", "published", "comparison"},
    "weights_facts": CONTRACT | {"weights", "leaderboard"},
    "methods": CONTRACT | {"results", "comparison"},
    "compare": CONTRACT | {"results", "stats", "comparison", "methods"},
    "verdict": CONTRACT | {"stats", "comparison", "methods", "compare"},
    "footage": CONTRACT
    | SERVICES
    | {"exhibits", "kept", "film", "scoring", "evaluation", "remake", "comparison", "methods"},
    "report": CONTRACT | {"results", "stats", "exhibits", "published", "comparison", "leaderboard"},
    "doctor": CONTRACT | SERVICES | {"evaluation", "scoring"},
    # the conformance kit of plugin authors
    "testing": CONTRACT | SERVICES | {"contamination", "scoring", "inference", "evaluation", "training", "codes"},
    # new plugins, for their authors
    "scaffold": CONTRACT | {"registry"},
    "deprecations": CONTRACT | {"registry"},
    # what a model author's CI asks
    "thresholds": CONTRACT | SERVICES | {"plan"},
    # what a paper cites
    "citations": CONTRACT | {"config", "registry", "results"},
    # from Python
    "perform": CONTRACT | SERVICES | {"plan", "runner", "leaderboard"},
    "in_memory": CONTRACT | {"registry", "reach", "device"},
    "arguments": CONTRACT | SERVICES | {"plan", "grid", "in_memory", "trained"},
    "forecast": CONTRACT
    | SERVICES
    | {"inference", "evaluation", "suitability", "in_memory", "arguments", "exhibits", "film"},
    "probing": CONTRACT | SERVICES | {"evaluation", "questions", "plan", "arguments", "codes"},
    "tables": CONTRACT | {"results", "comparison", "leaderboard"},
    "elsewhere": CONTRACT | SERVICES | {"plan", "arguments", "perform", "tables"},
    "display": CONTRACT | {"results", "comparison", "leaderboard", "film", "footage"},
    "api": CONTRACT
    | SERVICES
    | {"evaluation", "plan", "runner", "comparison", "leaderboard"}
    | {"perform", "in_memory", "arguments", "tables", "display"},
    # the front
    "__init__": CONTRACT | {"api", "elsewhere", "tables", "forecast", "probing"},
    "cli": CONTRACT
    | SERVICES
    | {"__init__", "evaluation", "training", "trained", "plan", "grid", "runner", "verify", "rescore", "distributed"}
    | {"leaderboard", "report", "doctor", "testing", "scaffold", "deprecations", "perform"}
    | {"methods", "compare", "verdict", "footage", "film", "forecast", "probing"}
    | {"elsewhere", "thresholds", "citations", "importing", "suitability", "weights_facts"},
    "__main__": {"cli"},
}

#: Names that say nothing about what is inside, and so collect everything.
NAMES_WITHOUT_MEANING = {"utils", "util", "core", "base", "common", "helpers", "misc"}

SOURCES = sorted(CORE.rglob("*.py"))
PLUGIN_SOURCES = sorted(ROOT.glob("plugins/*/src/**/*.py"))
PLUGINS = {path.name for path in ROOT.glob("plugins/*/src/*") if (path / "__init__.py").exists()}

#: What a plugin may take from us: the public names, and these modules.
OPEN_MODULES = {"errors", "recurrent", "testing"}


def imported(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(line, dotted name in parts) of every import; ``from a import b`` is a.b, as b may be a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            origin = package[: len(package) - node.level + 1] if node.level else ()
            origin += tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                yield node.lineno, (*origin, alias.name)


def upward_imports(module: str, source: str, package: tuple[str, ...]) -> list[str]:
    """What a module of vpbench imports against the table, and any plugin."""
    wrong = []
    for line, name in imported(ast.parse(source), package):
        if name[0] in PLUGINS:
            wrong.append(f"line {line}: the core knows no plugin, so not {'.'.join(name)}")
        elif name[0] == "vpbench":
            # `from vpbench import ModelSpec` is an import of the package itself
            target = name[1] if len(name) > 1 and name[1] in ALLOWED else "__init__"
            if target != module and target not in ALLOWED[module]:
                wrong.append(f"line {line}: {module} may not import {target}; it may import {sorted(ALLOWED[module])}")
    return wrong


def closed_names(source: str, package: tuple[str, ...]) -> list[str]:
    """What a plugin's module uses of vpbench that is not public, and what it uses of other plugins."""
    tree = ast.parse(source)
    used = list(imported(tree, package))
    used += [
        (node.lineno, ("vpbench", node.attr))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "vpbench"
    ]
    wrong = []
    for line, name in used:
        if name[0] in PLUGINS and name[0] != package[0]:
            wrong.append(f"line {line}: a plugin never imports another, so not {'.'.join(name)}")
        elif name[0] == "vpbench" and len(name) > 1 and name[1] not in {*vpbench.__all__, *OPEN_MODULES}:
            wrong.append(f"line {line}: {'.'.join(name)} is not public; public are {', '.join(vpbench.__all__)}")
    return wrong


def inside(path: Path) -> Path:
    return path.relative_to(ROOT)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(inside(path)))
def test_core_imports_point_one_way(path: Path) -> None:
    module = path.relative_to(CORE).parts[0].removesuffix(".py")
    assert module in ALLOWED, f"{inside(path)} is not in the table of tests/test_layers.py: give it its place"
    assert not upward_imports(module, path.read_text(encoding="utf-8"), inside(path).parent.parts)


@pytest.mark.parametrize("path", PLUGIN_SOURCES, ids=lambda path: str(path.relative_to(ROOT / "plugins")))
def test_plugins_use_public_names_only(path: Path) -> None:
    package = inside(path).parent.parts[3:]  # below plugins/<distribution>/src
    assert not closed_names(path.read_text(encoding="utf-8"), package)


def test_table_has_no_circle_and_no_stranger() -> None:
    assert set().union(*ALLOWED.values()) <= ALLOWED.keys()
    order = list(TopologicalSorter(ALLOWED).static_order())  # raises on a circle
    assert set(order) == set(ALLOWED)
    seen: set[str] = set()
    for module, allowed in ALLOWED.items():
        assert allowed <= seen, f"{module} stands above something it imports"
        seen.add(module)


def test_names_say_what_is_inside() -> None:
    parts = {
        path: {*path.parts, path.stem} & NAMES_WITHOUT_MEANING for path in map(inside, [*SOURCES, *PLUGIN_SOURCES])
    }
    assert not {path: found for path, found in parts.items() if found}


def test_the_sources_are_found() -> None:
    assert {"registry.py", "specs.py"} <= {path.name for path in SOURCES}
    assert "vpbench_baselines" in PLUGINS
    assert {"__init__.py", "floors.py"} <= {path.name for path in PLUGIN_SOURCES if "vpbench_baselines" in path.parts}


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("results", "from .errors import RecordError", False),
        ("results", "import json, numpy as np", False),
        ("evaluation", "from . import device as devices, stats", False),
        ("cli", "def run():\n    from .runner import run_grid", False),
        ("testing", "from .fakes import Fake", False),
        ("specs", "from .registry import load", True),
        ("results", "from . import evaluation", True),
        ("results", "import vpbench.runner", True),
        ("results", "from vpbench.runner import run", True),
        ("results", "def f():\n    from .evaluation import Cell", True),
        ("results", "if TYPE_CHECKING:\n    from .evaluation import Cell", True),
        ("specs", "from . import ModelSpec", True),
        ("leaderboard", "from .evaluation import Cell", True),
        ("evaluation", "import vpbench_baselines", True),
    ],
)
def test_an_arrow_that_points_up_is_seen(module: str, source: str, wrong: bool) -> None:
    package = ("vpbench", "testing") if module == "testing" else ("vpbench",)
    assert bool(upward_imports(module, source, package)) == wrong


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("import vpbench\nspec = vpbench.ModelSpec", False),
        ("from vpbench import Context, hookimpl", False),
        ("from vpbench.errors import ModelFailed", False),
        ("from vpbench.testing import checks_for", False),
        ("from .models import Black\nfrom vpbench_baselines import floors", False),
        ("from vpbench import registry", True),
        ("import vpbench.registry", True),
        ("from vpbench.protocols import Context", True),
        ("import vpbench\nvpbench.registry.load()", True),
        ("def f():\n    import vpbench_metrics.ssim", True),
    ],
)
def test_a_plugin_behind_the_counter_is_seen(source: str, wrong: bool) -> None:
    assert {"vpbench_baselines", "vpbench_metrics"} <= PLUGINS
    assert bool(closed_names(source, ("vpbench_baselines",))) == wrong
