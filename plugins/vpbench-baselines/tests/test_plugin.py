"""How the plugin presents itself: found by its entry point, light to list, and fit to be copied from its README."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import vpbench_baselines.floors

from vpbench import Context
from vpbench.registry import load

README = Path(__file__).parents[1] / "README.md"


FLOORS = {"black", "context-mean", "copy-last", "train-mean", "copy-appearance", "linear-blend"}
LEARNERS = {"convlstm", "convlstm-large", "convlstm-small", "phydnet", "phydnet-small"}


def test_the_registry_finds_all_floors_and_learners() -> None:
    provided = load().models()
    mine = [name for name, each in provided.items() if each.distribution == "vpbench-baselines"]
    assert set(mine) == FLOORS | LEARNERS
    assert {name for name in mine if provided[name].spec.role == "floor"} == FLOORS


def test_entry_module_imports_nothing_heavy() -> None:
    code = (
        "import sys, vpbench_baselines as b; list(b.vpbench_models()); print({'torch', 'numpy'} & sys.modules.keys())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_readme_shows_black_as_it_is() -> None:
    assert inspect.getsource(vpbench_baselines.floors.Black) in README.read_text(encoding="utf-8")


def test_readme_template_works_when_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = README.read_text(encoding="utf-8")
    files = dict(re.findall(r"`([\w./]+)`:\n\n```\w+\n(.*?)```", text, flags=re.DOTALL))
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text(files["my_package/__init__.py"])
    (package / "models.py").write_text(files["my_package/models.py"])
    entry_point = re.search(r"\[project\.entry-points\.vpbench\]\n(.*)", files["pyproject.toml"])
    assert entry_point
    installed = tmp_path / "my_package-0.1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 0.1.0\n")
    (installed / "entry_points.txt").write_text(f"[vpbench]\n{entry_point[1].replace(chr(34), '')}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("VPBENCH_PLUGINS", "my-package")

    registry = load()

    assert registry.problems == ()
    assert registry.model("my-model").source == "my-package 0.1.0 (my-package)"
    from_file = registry.model(f"{package / 'models.py'}:Black")
    for provided in (registry.model("my-model"), from_file):
        model = provided.spec.load()(None, frame_shape=(1, 4, 4), context_length=2)
        given = Context(torch.rand(2, 2, 1, 4, 4), torch.arange(2.0).double().expand(2, 2), torch.arange(2))
        assert model.predict(given, torch.tensor([[2.0, 3.0]] * 2)).shape == (2, 2, 1, 4, 4)
