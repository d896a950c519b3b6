"""What the package promises to the core, and what its README promises to everybody."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from dataclasses import is_dataclass
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

import pytest
import vpbench_movingmnist
from vpbench_movingmnist import digits
from vpbench_movingmnist.dataset import MovingMNIST

README = (Path(__file__).parent.parent / "README.md").read_text()
SPECS = {spec.name: spec for spec in vpbench_movingmnist.vpbench_datasets()}


def test_the_entry_point_is_found() -> None:
    assert [point.value for point in entry_points(group="vpbench", name="movingmnist")] == ["vpbench_movingmnist"]


def test_the_entry_module_imports_nothing_heavy() -> None:
    code = (
        "import sys, vpbench_movingmnist as plugin; list(plugin.vpbench_datasets())\n"
        "print(*{'numpy', 'numba', 'torch', 'platformdirs', 'urllib.request'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


@pytest.mark.parametrize("name", ["moving-mnist", "moving-mnist-toronto"])
def test_what_the_specs_name_is_there(name: str) -> None:
    spec = SPECS[name]
    assert callable(spec.load())
    config = spec.load_config()
    assert config is not None
    assert is_dataclass(config)
    assert config() == config()
    assert spec.license


def test_truth_is_what_the_spec_says() -> None:
    spec = SPECS["moving-mnist"]
    truth = MovingMNIST().clips("test", [0, 1], [[0.0, 1.0, 2.0]] * 2).truth
    assert [field.name for field in spec.truth] == list(truth)
    for field in spec.truth:
        assert truth[field.name].shape[: 2 if field.per == "frame" else 1] == ((2, 3) if field.per == "frame" else (2,))


def test_toronto_can_be_fetched_and_carries_its_caveat() -> None:
    spec = SPECS["moving-mnist-toronto"]
    assert spec.fetch == "vpbench_movingmnist.toronto:fetch"
    assert "training digits" in spec.caveat


def test_the_digits_ship_with_their_licence() -> None:
    data = files("vpbench_movingmnist") / "data"
    licence = (data / "DATA_LICENSE").read_text()
    for word in ("LeCun", "Cortes", "Burges", "ShareAlike 3.0"):
        assert word in licence
    for name, sha256 in digits.PACKED_SHA256.items():
        assert hashlib.sha256((data / name).read_bytes()).hexdigest() == sha256


def test_the_readme_runs_and_tells_the_truth(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(block, namespace)
    assert capsys.readouterr().out.strip() in README  # the published sum
