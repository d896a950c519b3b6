"""What the package promises to the core."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import is_dataclass
from importlib.metadata import entry_points

import vpbench_clips
from vpbench_clips.config import Config
from vpbench_clips.dataset import Clips

from vpbench.config import config_to_dict, make_config

(SPEC,) = vpbench_clips.vpbench_datasets()


def test_the_entry_point_is_found() -> None:
    assert [point.value for point in entry_points(group="vpbench", name="clips")] == ["vpbench_clips"]


def test_the_entry_module_imports_nothing_heavy() -> None:
    code = (
        "import sys, vpbench_clips as plugin; list(plugin.vpbench_datasets())\n"
        "print(*{'numpy', 'av', 'PIL', 'zarr', 'h5py', 'platformdirs'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_what_the_spec_names_is_there() -> None:
    from vpbench_clips.reader import read

    assert SPEC.load() is Clips
    assert SPEC.load_config() is Config
    assert is_dataclass(Config)
    assert SPEC.reader == f"{read.__module__}:{read.__name__}"
    assert {".mp4", ".gif", ".webm", ".avi", ".npy"} <= set(SPEC.reads)


def test_every_key_can_be_set_and_kept() -> None:
    given = {
        "path": "here",
        "channels": "1",
        "size": "64,48",
        "fit": "pad",
        "value_range": "-1,1",
        "stride": "2",
        "cut": "20",
        "times": "seconds",
        "period": "0.5",
        "layout": "NTHW",
        "keys": "X_train+Y_train,X_test+Y_test",
        "splits": "shares",
        "shares": "0.5,0.25,0.25",
        "train_if": "a|b",
        "val_if": "c{1,2}",
        "test_if": "[d,e]f",
        "skip_unreadable": "true",
        "memory_mb": "64",
    }
    config = make_config(Config, given, owner="clips")
    assert given.keys() == Config.__dataclass_fields__.keys()
    kept = json.loads(json.dumps(config_to_dict(config)))
    assert kept.keys() == given.keys() - {"path", "memory_mb"}
    again = make_config(Config, {**kept, "path": "here", "memory_mb": 64}, owner="clips")
    assert again == config
    assert (config.size, config.keys, config.test_if) == ((64, 48), ("X_train+Y_train", "X_test+Y_test"), "[d,e]f")


def test_a_record_names_what_was_set_alone() -> None:
    assert config_to_dict(Config(path="here")) == {}
    assert config_to_dict(Config(path="there", cut=20, memory_mb=1)) == {"cut": 20}
