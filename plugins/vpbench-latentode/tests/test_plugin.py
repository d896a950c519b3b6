"""How the plugin presents itself: light to list, and documented as it is."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from vpbench_latentode.config import Config
from vpbench_latentode.model import LatentODE
from vpbench_latentode.perceptual import FILE

from vpbench import Context
from vpbench.registry import load

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")

#: Options of `latentode` in the README: name -> (default, choices, whether trained weights stay valid).
ROWS = {
    name: (default, re.findall(r"`([\w-]+)`", choices), valid.strip() == "✓")
    for name, default, choices, valid in re.findall(
        r"^\| `(\w+)` \| `(.*?)` \| (.*?) ?\| (.*?) ?\| .* \|$",
        README.partition("\n## Options\n")[2].partition("\n## ")[0],
        flags=re.MULTILINE,
    )
}


def test_the_registry_finds_it() -> None:
    provided = load().model("latentode")
    assert provided.distribution == "vpbench-latentode"
    assert provided.spec.learns == "weights"


def test_entry_module_imports_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "torchdiffeq", "safetensors"}
    code = f"import sys, vpbench_latentode as p; list(p.vpbench_models()); print({heavy} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_torchdiffeq_is_imported_only_where_it_solves() -> None:
    code = "import sys, vpbench_latentode.model; print('torchdiffeq' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_readme_lists_every_option_with_its_default_and_choices() -> None:
    hints = get_type_hints(Config)
    documented = {name: (default, choices) for name, (default, choices, _) in ROWS.items()}
    assert documented == {
        field.name: (
            str(field.default),
            list(get_args(hints[field.name])) if get_origin(hints[field.name]) is Literal else [],
        )
        for field in dataclasses.fields(Config)
    }


#: Another value for each option that the README says may change on trained weights.
OTHER = {
    "solver": "bosh3",
    "frames_per_step": 1.0,
    "rtol": 1e-4,
    "atol": 1e-4,
    "learning_rate": 3e-4,
    "weight_decay": 0.0,
    "latent_penalty": 0.0,
    "train_targets": 2,
    "train_past": False,
    "target_emphasis": 0.0,
    "output_bias": 0.0,
    "mse_weight": 0.5,
    "permutation_weight": 0.1,
    "mae_weight": 0.1,
    "perceptual_weight": 0.1,
    "critic_learning_rate": 1e-4,
}


def test_options_that_may_change_on_trained_weights_leave_the_frames_alone() -> None:
    assert {name for name, (_, _, valid) in ROWS.items() if valid} == OTHER.keys()
    small = Config(dynamics=4, appearance=3, hidden=8)
    shape, frames = (1, 16, 16), torch.rand(2, 3, 1, 16, 16)
    trained = LatentODE(small, frame_shape=shape, context_length=3).eval()
    times = torch.tensor([[1.5, 4.0], [3.0, 7.0]], dtype=torch.float64)
    given = Context(frames, torch.arange(3, dtype=torch.float64).expand(2, -1), torch.arange(2))
    with torch.inference_mode():
        expected = trained.predict(given, times)
        for name, value in OTHER.items():
            other = LatentODE(dataclasses.replace(small, **{name: value}), frame_shape=shape, context_length=3).eval()
            other.load_state_dict(trained.state_dict())
            torch.testing.assert_close(other.predict(given, times), expected, rtol=0, atol=1e-3, msg=name)


@pytest.mark.parametrize(("structure", "millions"), [("second-order", "3.63 M"), ("first-order", "3.66 M")])
def test_readme_counts_the_parameters(structure: Literal["second-order", "first-order"], millions: str) -> None:
    model = LatentODE(Config(structure=structure), frame_shape=(1, 64, 64), context_length=10)
    assert f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.2f} M" == millions
    assert millions in README


def test_readme_shows_how_to_print_the_provenance() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for file in (*(weights.file.partition(":")[2] for weights in load().model("latentode").spec.weights), FILE):
        assert Path(file).name in ran.stdout
