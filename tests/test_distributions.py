"""What every distribution of this repository has in common; .ci/distributions builds, installs and runs them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

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
