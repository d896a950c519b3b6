"""Both datasets, and the metric that needs the truth of one, hold what the contract of vpbench asks of them."""

from __future__ import annotations

from typing import Literal

import pytest

from vpbench import registry
from vpbench.testing import Finding, checks_for, installed

#: Each kind of split, of noise and of scheme once.
SETTINGS = {
    "one trajectory, in time": ("trajectory", []),
    "one trajectory, measured": ("trajectory", ["dynamics=spiral", "noise=0.3"]),
    "a family, measured, in steps": ("trajectory", ["dynamics=spring", "noise=0.1", "scheme=euler", "points=40"]),
    "the ball": ("gaussian-ball", []),
    "a dim ball, in steps": ("gaussian-ball", ["dynamics=circle", "norm=density2d", "scheme=euler", "frame_size=16"]),
}

#: These datasets are made of nothing, are complete, regular and bring no files.
NEVER = {
    "check_irregular_times",
    "check_test_clips_are_made_of_other_things",
    "check_what_is_left_out_is_one_line",
    "check_named_functions_are_there",
}


@pytest.fixture(scope="module")
def there() -> registry.Registry:
    return registry.load()


def not_applicable(
    kind: Literal["dataset", "metric"], name: str, settings: list[str], there: registry.Registry
) -> set[str]:
    """The checks that have nothing to hold; those that do not hold are a failure."""
    found: dict[str, Finding] = {
        check.name: check.finding() for check in checks_for(installed(kind, name, settings, registry=there))
    }
    assert not [f"{each.check}: {each.detail}" for each in found.values() if not each.holds]
    return {each for each, finding in found.items() if finding.status == "not applicable"}


@pytest.mark.parametrize("case", SETTINGS)
def test_the_datasets_conform(there: registry.Registry, case: str) -> None:
    name, settings = SETTINGS[case]
    shown = any(each.startswith("noise") for each in settings)
    expected = NEVER | (set() if shown else {"check_what_a_model_is_shown"})
    assert not_applicable("dataset", name, settings, there) == expected


def test_the_metric_conforms(there: registry.Registry) -> None:
    assert not_applicable("metric", "state-rmse", [], there) == {
        "check_why_not_is_a_reason",
        "check_features_are_a_row_per_stretch",
        "check_frames_of_any_size",  # the truth that it needs comes with frames of one size
        "check_shared_statistics_are_the_same",
        "check_the_order_of_stretches_does_not_matter",
        "check_few_stretches_are_no_error",
    }
