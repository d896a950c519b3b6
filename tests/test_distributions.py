"""What every distribution of this repository has in common; .ci/distributions builds, installs and runs them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from vpbench import registry

ROOT = Path(__file__).parents[1]
PROJECTS = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
NAMES = [tomllib.loads((project / "pyproject.toml").read_text())["project"]["name"] for project in PROJECTS]

each_project = pytest.mark.parametrize("project", PROJECTS, ids=NAMES)


def metadata(project: Path) -> dict:
    return tomllib.loads((project / "pyproject.toml").read_text())["project"]


@each_project
def test_its_licence_is_an_expression_and_its_texts_are_there(project: Path) -> None:
    told = metadata(project)
    assert re.fullmatch(r"Apache-2\.0( AND [A-Za-z0-9.-]+)*", told["license"])
    assert (project / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert told["license-files"][0] == "LICENSE"
    assert len(told["license-files"]) == len(told["license"].split(" AND "))
    assert all((project / file).is_file() for file in told["license-files"])


@each_project
def test_it_says_that_it_is_typed_and_is(project: Path) -> None:
    assert "Typing :: Typed" in metadata(project)["classifiers"]
    source = project / "src" if project != ROOT else project
    assert (source / metadata(project)["name"].replace("-", "_") / "py.typed").is_file()


@each_project
def test_it_is_installed_by_make_run(project: Path) -> None:
    wanted = "-e ." if project == ROOT else f"-e ./{project.relative_to(ROOT)}"
    assert wanted in (ROOT / "requirements.txt").read_text().splitlines()


@pytest.mark.parametrize("project", PROJECTS[1:], ids=NAMES[1:])
def test_a_plugin_fits_the_core_beside_it(project: Path) -> None:
    major, minor, *_ = metadata(ROOT)["version"].split(".")
    assert metadata(project)["version"] == metadata(ROOT)["version"]
    assert f"vpbench>={major}.{minor},<{major}.{int(minor) + 1}" in metadata(project)["dependencies"]


def modules_named_by(spec: object) -> Iterator[str]:
    """Modules in the strings of a spec, "module:thing" or "package:file", which nobody sees in its imports."""
    strings = [getattr(spec, field, None) for field in ("factory", "config", "importer")]
    strings += [weights.file for weights in getattr(spec, "weights", ())]
    yield from (string.partition(":")[0] for string in strings if isinstance(string, str))


@pytest.mark.parametrize("project", PROJECTS[1:], ids=NAMES[1:])
def test_a_plugin_depends_on_every_distribution_whose_modules_its_specs_name(project: Path) -> None:
    """No plugin imports another, but a spec may name the model of one, to give it weights or a size of its own."""
    told = metadata(project)
    installed = registry.load()
    provided = [*installed.models().values(), *installed.datasets().values(), *installed.metrics().values()]
    specs = [each.spec for each in provided if each.distribution == told["name"]]
    assert specs, f"{told['name']} is not installed from this checkout: pip install -r requirements.txt"
    owners = {module.partition(".")[0].replace("_", "-") for spec in specs for module in modules_named_by(spec)}
    assert told["name"] in owners
    needed = {re.split(r"[<>=!~ \[;]", line)[0] for line in told["dependencies"]}
    assert owners - {told["name"]} <= needed
