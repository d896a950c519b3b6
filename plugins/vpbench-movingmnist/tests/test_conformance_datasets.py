"""Both datasets, and the metrics that need their truth, hold what the contract of vpbench asks of them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from vpbench_movingmnist.toronto import MovingMNISTToronto, TorontoFile

from vpbench import registry
from vpbench.errors import DataError
from vpbench.testing import Check, Finding, checks_for, given, installed

#: Settings of moving-mnist, and whether a model is then shown something else than the frames.
SETTINGS = {
    "as published": ([], False),
    "one small digit": (["digits=1", "frame_size=28"], False),
    "faster": (["digits=3", "frame_size=32", "speed=1.7"], False),
    "turning, and of changing size": (["digits=1", "frame_size=28", "rotation=15", "scaling=0.4"], False),
    "noisy and incomplete": (["noise=0.1", "missing=0.3"], True),
}


@pytest.fixture(scope="module")
def there() -> registry.Registry:
    return registry.load()


def holding(checks: list[Check]) -> dict[str, Finding]:
    """What became of the checks, by name; those that do not hold are a failure."""
    found = {check.name: check.finding() for check in checks}
    assert not [f"{each.check}: {each.detail}" for each in found.values() if not each.holds]
    return found


def not_applicable(found: dict[str, Finding]) -> set[str]:
    return {name for name, each in found.items() if each.status == "not applicable"}


@pytest.mark.parametrize("case", SETTINGS)
def test_moving_mnist_conforms(there: registry.Registry, case: str) -> None:
    settings, shown = SETTINGS[case]
    subject = installed("dataset", "moving-mnist", settings, registry=there)
    expected = {
        "check_irregular_times",
        "check_what_is_left_out_is_one_line",
        "check_named_functions_are_there",
    }
    found = holding(checks_for(subject))
    assert not_applicable(found) == expected | (set() if shown else {"check_what_a_model_is_shown"})


def test_the_published_file_conforms(there: registry.Registry, tmp_path: Path) -> None:
    """A file of its form, smaller: the code does not know the difference."""
    shape = (9, 7, 8, 8)
    path = tmp_path / "seq.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    file = TorontoFile(md5=hashlib.md5(path.read_bytes()).hexdigest(), shape=shape)

    provided = there.dataset("moving-mnist-toronto")
    spec = replace(provided.spec, factory=lambda config: MovingMNISTToronto(config, file=file))
    small = replace(provided, spec=spec)
    found = holding(checks_for(given(small, [f"path={path}"])))
    assert not_applicable(found) == {
        "check_another_process_gives_the_same",  # it would be the real file there
        "check_fingerprint_is_the_same_in_another_process",
        "check_fingerprint_tells_splits_apart",
        "check_fingerprint_tells_configs_apart",
        "check_irregular_times",
        "check_swapped",
        "check_test_clips_are_made_of_other_things",
        "check_truth_is_as_declared",
        "check_what_a_model_is_shown",
        "check_what_is_left_out_is_one_line",
    }


def test_without_the_published_file_nothing_is_held_against_it(there: registry.Registry) -> None:
    with pytest.raises(DataError, match="vpbench data get moving-mnist-toronto"):
        installed("dataset", "moving-mnist-toronto", registry=there)


@pytest.mark.parametrize("name", ["digit-position-error", "digit-identity", "digit-feature-distance"])
def test_digit_metrics_conform(there: registry.Registry, name: str) -> None:
    found = holding(checks_for(installed("metric", name, registry=there)))
    expected = {
        "check_why_not_is_a_reason",
        "check_features_are_a_row_per_stretch",
        "check_frames_of_any_size",
        "check_the_order_of_stretches_does_not_matter",
        "check_few_stretches_are_no_error",
    }
    shared = name != "digit-feature-distance"
    assert not_applicable(found) == expected | (set() if shared else {"check_shared_statistics_are_the_same"})
