"""What benchmarks/model_speed.py times against each other is the same computation, written in two ways."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from vpbench import registry

FOLDER = Path(__file__).parents[1] / "benchmarks"
CELLS = {"hidden": "4", "kernel": "3", "layers": "3", "patch": "2"}
BLOCKS = {"hid_s": "8", "hid_t": "16", "n_s": "2", "n_t": "3"}
SETTINGS = {
    "convlstm": CELLS,
    "phydnet": {"width": "16", "hidden": "4", "layers": "2", "derivatives": "3"},
    "predrnn": CELLS,
    "predrnn-pp": CELLS,
    "predrnn-v2": CELLS,
    "simvp": {**BLOCKS, "groups": "4"},
    "simvp-gsta": {**BLOCKS, "mlp_ratio": "2"},
    "tau": {**BLOCKS, "mlp_ratio": "2"},
}


@pytest.fixture(scope="module")
def speed():
    sys.path.insert(0, str(FOLDER))  # where Python finds textbook_models when it runs the script
    try:
        spec = importlib.util.spec_from_file_location("model_speed", FOLDER / "model_speed.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look themselves up
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(FOLDER))
        sys.modules.pop("model_speed", None)
        sys.modules.pop("textbook_models", None)


def test_every_model_has_a_textbook_form(speed):
    assert set(SETTINGS) == set(speed.TEXTBOOK)


@pytest.mark.parametrize("name", SETTINGS)
def test_both_forms_predict_the_same_and_learn_the_same(speed, name):
    frames = speed.clips(2, 5, 8)
    forms = speed.Forms.of(registry.load().model(name), SETTINGS[name], frames, 3, compiled=False)
    assert forms.difference("roll-out") < 1e-5
    assert forms.difference("training") < 1e-4
    forms.own.model.load_state_dict({key: 1.01 * value for key, value in forms.own.model.state_dict().items()})
    assert forms.difference("roll-out") > 1e-4, "the comparison sees nothing"
