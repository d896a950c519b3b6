"""A name for the architecture of another distribution, light to list, and documented as it is."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vpbench.registry import load
from vpbench.specs import resolve

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")

INSTALLED = load()
SMALL, LARGE = INSTALLED.model("latentode-small"), INSTALLED.model("latentode")


def test_the_registry_finds_it_here_and_nothing_else() -> None:
    mine = [name for name, each in INSTALLED.models().items() if each.distribution == "vpbench-latentode-small"]
    assert mine == ["latentode-small"]
    assert LARGE.distribution == "vpbench-latentode"


def test_it_is_latentode_with_another_config() -> None:
    assert SMALL.spec.factory == LARGE.spec.factory
    assert issubclass(resolve(SMALL.spec.config), resolve(LARGE.spec.config))
    for field in ("learns", "prefix_stable", "capabilities", "cites"):
        assert getattr(SMALL.spec, field) == getattr(LARGE.spec, field), field


def test_listing_it_imports_neither_anything_heavy_nor_the_other_plugin() -> None:
    unwanted = {"torch", "numpy", "torchdiffeq", "safetensors", "vpbench_latentode"}
    code = f"import sys, vpbench_latentode_small as p; list(p.vpbench_models()); print({unwanted} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_the_other_plugin_may_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """VPBENCH_PLUGINS limits which models have names; the module that this one is made of is imported all the same."""
    monkeypatch.setenv("VPBENCH_PLUGINS", "latentode-small")
    alone = load()
    assert not alone.problems
    assert list(alone.models()) == ["latentode-small"]
    assert callable(alone.model("latentode-small").spec.load())


def test_readme_lists_every_option_that_differs_from_latentode() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \| `(.*?)` \|", README, flags=re.MULTILINE)
    small, large = (dataclasses.asdict(resolve(each.spec.config)()) for each in (SMALL, LARGE))
    differing = {name: (str(small[name]), str(large[name])) for name in small if small[name] != large[name]}
    assert {name: (here, there) for name, here, there in rows} == differing


def test_readme_counts_the_parameters() -> None:
    with torch.device("meta"):
        model = SMALL.spec.load()(resolve(SMALL.spec.config)(), frame_shape=(1, 32, 32), context_length=10)
    (told,) = re.findall(r"([\d,]+) parameters", README)
    assert told == f"{sum(parameter.numel() for parameter in model.parameters()):,}"
