"""What the package promises to the core, and what its README promises to everybody."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields, is_dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import vpbench_physics

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SPECS = {spec.name: spec for spec in vpbench_physics.vpbench_datasets()}


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after running the code."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_entry_point_is_found() -> None:
    assert [point.value for point in entry_points(group="vpbench", name="physics")] == ["vpbench_physics"]


def test_listing_the_plugin_imports_nothing_heavy() -> None:
    loaded = loaded_after("import vpbench_physics as p; list(p.vpbench_datasets()); list(p.vpbench_metrics())")
    assert loaded.isdisjoint({"numpy", "torch", "scipy"})


def test_frames_and_scores_cost_no_torch() -> None:
    code = "import numpy as np\nfrom vpbench_physics import gaussian_ball, state_metric, trajectory\n"
    code += "for make in (trajectory.Trajectory, gaussian_ball.GaussianBall):\n"
    code += "    make().clips('test', [0], np.zeros((1, 1)))\n"
    code += "state_metric.StateRMSE().score({'state_squared_error': np.ones(3)})"
    assert "torch" not in loaded_after(code)


@pytest.mark.parametrize("name", SPECS)
def test_what_the_specs_name_is_there(name: str) -> None:
    spec = SPECS[name]
    config = spec.load_config()
    assert config is not None
    assert is_dataclass(config)
    dataset = spec.load()(config())
    truth = dataset.clips("test", [0], [[0.0, 1.0, 2.0]]).truth
    assert [field.name for field in spec.truth] == list(truth)
    for field in spec.truth:
        assert truth[field.name].shape[:2] == (1, 3) if field.per == "frame" else truth[field.name].shape == (1,)


@pytest.mark.parametrize("name", SPECS)
def test_the_readme_tells_every_option_and_its_default(name: str) -> None:
    section = README.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", section, flags=re.MULTILINE))
    config = SPECS[name].load_config()
    assert config is not None
    assert told == {field.name: str(field.default) for field in fields(config)}
