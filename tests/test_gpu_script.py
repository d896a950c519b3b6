"""benchmarks/gpu: what is run where there is a GPU names what there is, so no hour there begins with a typing error."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vpbench import registry
from vpbench.grid import read_grid
from vpbench.plan import Request

FOLDER = Path(__file__).parents[1] / "benchmarks" / "gpu"
GRID = FOLDER / "64.toml"
SCRIPT = (FOLDER / "run.sh").read_text(encoding="utf-8")


def test_the_grid_trains_every_model_of_published_size() -> None:
    request = Request(**read_grid(GRID))
    assert request.train is not None
    request.train.check()
    installed = registry.load().models()
    assert set(request.models) == {name.removesuffix("-small") for name in installed if name.endswith("-small")}
    assert set(request.models) <= set(installed)


def test_the_script_gives_the_same_models_a_turn() -> None:
    match = re.search(r"MODELS=\$\{MODELS:-([a-z0-9 -]+)\}", SCRIPT)
    assert match is not None
    assert tuple(match[1].split()) == read_grid(GRID)["models"]
    budget = re.search(r"^BUDGET=\$\{BUDGET:-(\w+)\}", SCRIPT, re.MULTILINE)
    assert budget is not None
    assert budget[1] == read_grid(GRID)["train"].budget


def test_files_that_the_script_names_are_there() -> None:
    named = set(re.findall(r"\b(?:benchmarks|results)/[\w./-]+\.(?:py|toml)", SCRIPT))
    assert len(named) >= 4
    assert [name for name in named if not (FOLDER.parents[1] / name).is_file()] == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_script_is_bash() -> None:
    subprocess.run(["bash", "-n", str(FOLDER / "run.sh")], check=True)
