"""Every metric holds what the contract of vpbench asks of metrics, all conventions included."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest
import torch
import vpbench_metrics
from safetensors.torch import save_file
from torch import Tensor, nn
from vpbench_metrics.lpips_network import backbone_shapes, head_shapes

from vpbench import MetricSpec, registry
from vpbench.testing import Finding, checks_for, installed

ALL_SPECS = {spec.name: spec for spec in vpbench_metrics.vpbench_metrics()}
NEED_FILES = ("lpips", "fvd")

#: How many metrics name each statistic.
NAMED_BY = Counter(name for spec in ALL_SPECS.values() for name in spec.statistics)

OF_SETS = {
    "check_features_are_a_row_per_stretch",
    "check_the_order_of_stretches_does_not_matter",
    "check_few_stretches_are_no_error",
}
OF_CLIPS = {
    "check_statistics_are_as_declared",
    "check_score_works_element_by_element",
    "check_score_of_nothing_is_nothing",
}

#: What can be held against a metric that cannot be computed.
WITHOUT_COMPUTING = {
    "check_it_says_what_it_is",
    "check_why_not_is_a_reason",
    "check_score_needs_no_torch",
    "check_light_entry_module",
}


@pytest.fixture(scope="module")
def there() -> registry.Registry:
    return registry.load()


@pytest.fixture
def findings(there):
    """What becomes of the checks, by name; those that do not hold are a failure."""

    def found(name: str, *settings: str) -> dict[str, Finding]:
        checks = checks_for(installed("metric", name, settings, registry=there))
        results = {check.name: check.finding() for check in checks}
        assert not [f"{each.check}: {each.detail}" for each in results.values() if not each.holds]
        return results

    return found


def not_applicable(found: dict[str, Finding]) -> set[str]:
    return {name for name, each in found.items() if each.status == "not applicable"}


def says_nothing_of(spec: MetricSpec) -> set[str]:
    """The rules that are about metrics of another kind."""
    found = OF_SETS if spec.window is None else OF_CLIPS
    found = found if spec.name in NEED_FILES else found | {"check_why_not_is_a_reason"}
    found = found if spec.ranks else found | {"check_more_noise_is_never_better"}
    shared = any(NAMED_BY[name] > 1 for name in spec.statistics)
    return found if shared else found | {"check_shared_statistics_are_the_same"}


@pytest.mark.parametrize("name", sorted(ALL_SPECS.keys() - set(NEED_FILES)))
def test_it_conforms(findings, name):
    assert not_applicable(findings(name)) == says_nothing_of(ALL_SPECS[name])


@pytest.mark.parametrize("name", NEED_FILES)
def test_without_its_files_it_says_so_and_conforms(findings, name):
    found = findings(name)
    assert {check for check, each in found.items() if each.status == "passed"} == WITHOUT_COMPUTING
    assert f"--set {name}." in found["check_more_noise_is_never_better"].detail


def test_lpips_conforms_with_files(findings, tmp_path):
    """Random weights of the published shapes: what it computes is held elsewhere, how it behaves is held here."""
    generator = torch.Generator().manual_seed(0)
    settings: list[str] = []
    for key, shapes in {"backbone": backbone_shapes(), "heads": head_shapes()}.items():
        tensors = {
            name: torch.rand(shape, generator=generator) / shape[0] ** 0.5 - (key == "backbone") * 0.05
            for name, shape in shapes.items()
        }
        path = tmp_path / f"{key}.safetensors"
        save_file(tensors, path)
        settings += file_settings(key, path)
    assert not_applicable(findings("lpips", *settings)) == says_nothing_of(ALL_SPECS["lpips"])


class Moments(nn.Module):
    """A detector with three features, of the interface of the published one."""

    def forward(self, x: Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False) -> Tensor:
        motion = x[:, :, 1:] - x[:, :, :-1]
        found = [x.mean(dim=[1, 2, 3, 4]), x.std(dim=[1, 2, 3, 4]), motion.abs().mean(dim=[1, 2, 3, 4])]
        return torch.stack(found, dim=1) / 255


@pytest.mark.filterwarnings("ignore:`torch.jit.*is deprecated:DeprecationWarning")
def test_fvd_conforms_with_a_detector(findings, tmp_path):
    torch.jit.script(Moments()).save(str(tmp_path / "detector.pt"))
    found = findings("fvd", *file_settings("detector", tmp_path / "detector.pt"))
    assert not_applicable(found) == says_nothing_of(ALL_SPECS["fvd"])


def file_settings(key: str, path: Path) -> list[str]:
    return [f"{key}={path}", f"{key}_sha256={hashlib.sha256(path.read_bytes()).hexdigest()}"]
