"""How the plugin presents itself: light to list, and documented as it is."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
from vpbench_zoo import predrnn_specs, simvp_specs

from vpbench.registry import load
from vpbench.specs import resolve

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SPECS = [*predrnn_specs.SPECS, *simvp_specs.SPECS]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_registry_finds_it_and_all_that_it_names(spec) -> None:
    provided = load().model(spec.name)
    assert provided.distribution == "vpbench-zoo"
    assert provided.spec == spec
    assert callable(spec.load())
    assert dataclasses.is_dataclass(resolve(spec.config))
    assert callable(resolve(spec.importer))
    assert f"`{spec.name}`" in README


def test_each_model_comes_in_two_sizes_of_one_kind() -> None:
    by_name = {spec.name: spec for spec in SPECS}
    full = [name for name in by_name if not name.endswith("-small")]
    assert sorted(by_name) == sorted([*full, *(f"{name}-small" for name in full)])
    for name in full:
        large, small = by_name[name], by_name[f"{name}-small"]
        assert (large.factory, large.importer, large.capabilities) == (
            small.factory,
            small.importer,
            small.capabilities,
        )
        assert issubclass(resolve(small.config), resolve(large.config))


def test_entry_module_imports_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "safetensors"}
    code = f"import sys, vpbench_zoo as p; list(p.vpbench_models()); print({heavy} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


#: The section of the PredRNN family.
(FAMILY,) = re.findall(r"^## PredRNN.*?(?=^## )", README, flags=re.MULTILINE | re.DOTALL)


def test_readme_lists_every_option_of_the_predrnn_family_with_its_defaults() -> None:
    configs = [resolve(spec.config)() for spec in predrnn_specs.SPECS if not spec.name.endswith("-small")]
    defaults: dict[str, list[str]] = {}
    for config in configs:
        for field in dataclasses.fields(config):
            value = str(getattr(config, field.name))
            if value not in defaults.setdefault(field.name, []):
                defaults[field.name].append(value)
    rows = dict(re.findall(r"^\| `(\w+)` \| (`[^|]*`) \|", FAMILY, flags=re.MULTILINE))
    assert {name: re.findall(r"`([^`]+)`", cell) for name, cell in rows.items()} == defaults


def test_readme_counts_the_parameters_of_the_predrnn_family() -> None:
    import torch

    rows = dict(re.findall(r"^\| `(predrnn[\w-]*)` \| [^|]* \| ([\d,]+) \|", FAMILY, flags=re.MULTILINE))
    assert rows.keys() == {spec.name for spec in predrnn_specs.SPECS}
    for spec in predrnn_specs.SPECS:
        side = 32 if spec.name.endswith("-small") else 64
        with torch.device("meta"):
            model = spec.load()(resolve(spec.config)(), frame_shape=(1, side, side), context_length=10)
        assert rows[spec.name] == f"{sum(parameter.numel() for parameter in model.parameters()):,}"
