"""The README's tables of options of the smaller models are their configs."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from vpbench_latentode.cae_config import CAEConfig
from vpbench_latentode.entangled_config import EntangledConfig
from vpbench_latentode.node_config import NodeConfig

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "config"), [("node", NodeConfig), ("cae", CAEConfig), ("latentode-entangled", EntangledConfig)]
)
def test_readme_lists_every_option_with_its_default_and_choices(name: str, config: Any) -> None:
    _, _, section = README.partition(f"\n### `{name}`:")
    section = re.split(r"\n##", section)[0]
    documented = {
        option: (default, sorted(re.findall(r"`([\w-]+)`", choices)))
        for option, default, choices in re.findall(
            r"^\| `(\w+)` \| `(.*?)` \| (.*?) ?\| [^|]* \|$", section, flags=re.MULTILINE
        )
    }
    hints = get_type_hints(config)
    assert documented == {
        field.name: (
            str(field.default),
            sorted(get_args(hints[field.name])) if get_origin(hints[field.name]) is Literal else [],
        )
        for field in dataclasses.fields(config)
    }
