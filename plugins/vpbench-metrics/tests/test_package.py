"""The distribution: found by its entry point, described without being imported, light for boards."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import numpy as np
import pytest
import vpbench_metrics

from vpbench import MetricSpec

HEAVY = ("torch", "numba", "skimage", "scipy", "pandas")


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after running the code."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_entry_point_names_the_module_that_implements_the_hook():
    (found,) = [entry for entry in entry_points(group="vpbench") if entry.dist and entry.dist.name == "vpbench-metrics"]
    assert found.load() is vpbench_metrics
    assert all(isinstance(spec, MetricSpec) for spec in vpbench_metrics.vpbench_metrics())


def test_metrics_are_these_and_the_rescalings_are_not_measured_by_default(kit):
    by_default = {name: spec.default for name, spec in kit.specs.items()}
    assert by_default == {
        "mse": True,
        "mae": True,
        "mse-sum": False,
        "mae-sum": False,
        "psnr": True,
        "psnr-pooled": True,
        "ssim": True,
        "iou": True,
        "sharpness": True,
        "foreground-mse": True,
        "foreground-ssim": True,
        "ink-mass": True,
    }


def test_listing_the_metrics_imports_nothing_heavy():
    loaded = loaded_after("import vpbench_metrics; list(vpbench_metrics.vpbench_metrics())")
    assert loaded.isdisjoint({*HEAVY, "numpy"})


def test_scoring_needs_numpy_alone(spec):
    assert isinstance(spec.factory, str)
    loaded = loaded_after(
        "import vpbench_metrics\n"
        f"spec = {{spec.name: spec for spec in vpbench_metrics.vpbench_metrics()}}[{spec.name!r}]\n"
        "import numpy\n"
        "spec.load()(None).score({name: numpy.ones((2, 3)) for name in spec.statistics})"
    )
    assert loaded.isdisjoint(HEAVY)


def test_spec_and_class_name_the_same_statistics(spec):
    assert spec.load().names == spec.statistics


def test_metrics_that_share_a_statistic_share_its_values(kit):
    scored = kit.batch(*kit.pair("noisy", (2, 2, 1, 16, 16)))
    seen: dict[str, np.ndarray] = {}
    for spec in kit.specs.values():
        for name, values in kit.statistics(spec, scored).items():
            np.testing.assert_array_equal(seen.setdefault(name, values), values)
    assert kit.specs["mse"].statistics == kit.specs["psnr-pooled"].statistics


def test_definition_is_one_sentence_that_says_clamped_and_in_what_order_it_averages(spec):
    assert spec.definition.endswith(".")
    assert spec.definition.count(". ") == 0
    assert "clamped" in spec.definition
    assert "clips and steps" in spec.definition
    assert spec.convention == "vpbench"


def test_every_class_says_what_it_measures_in_what_unit(spec):
    doc = spec.load().__doc__
    assert ("dB" if spec.unit else "no unit") in doc
    assert "clamped prediction" in " ".join(doc.split())


@pytest.mark.parametrize(
    ("name", "better"), [("mse", "lower"), ("mae", "lower"), ("psnr", "higher"), ("ssim", "higher")]
)
def test_direction(kit, name, better):
    assert kit.specs[name].higher_is_better is (better == "higher")
