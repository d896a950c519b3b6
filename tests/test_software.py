"""Records and weights name all the code that a number came from, and none that had no hand in it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import torch
from click.testing import CliRunner

from vpbench.cli import main
from vpbench.registry import Registry, load
from vpbench.results import read_record
from vpbench.software import code_version, plugin_versions, software


def test_a_model_that_is_a_name_for_another_packages_brings_that_package_along() -> None:
    small = load().model("latentode-small")
    assert plugin_versions(small) == {
        "vpbench-latentode": version("vpbench-latentode"),
        "vpbench-latentode-small": version("vpbench-latentode-small"),
    }


def test_what_a_package_needs_for_its_tests_alone_is_not_named() -> None:
    """vpbench-latentode-small asks for vpbench-metrics in its extra `test`, and vpbench-latentode for several."""
    assert "vpbench-metrics" not in plugin_versions(load().model("latentode-small"))
    assert list(plugin_versions(load().model("latentode"))) == ["vpbench-latentode"]


def test_a_model_of_a_file_is_named_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("class Mine:\n    def predict(self, context, target_times):\n        raise NotImplementedError\n")
    mine = Registry([]).model(f"{file}:Mine")
    assert plugin_versions(mine) == {"mine.py": mine.version}


def test_records_and_weights_agree_on_the_versions() -> None:
    small = load().model("latentode-small")
    said = software(small)
    assert code_version(small) == {"vpbench": said["vpbench"], **said["plugins"], "torch": torch.__version__}


def test_a_record_names_the_package_whose_code_ran(tmp_path: Path) -> None:
    command = (
        "run --model latentode-small --dataset moving-mnist --set frame_size=32 --context 10 --horizon 1 --clips 2"
    )
    result = CliRunner().invoke(main, [*command.split(), "--metric", "mse", "--results", str(tmp_path)])
    assert result.exit_code == 0, result.output
    (record,) = (read_record(path) for path in tmp_path.glob("moving-mnist/latentode-small/*.json"))
    assert set(record.software["plugins"]) >= {"vpbench-latentode", "vpbench-latentode-small", "vpbench-movingmnist"}
