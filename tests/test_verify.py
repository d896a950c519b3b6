"""`vpbench verify`: a record that was made here holds, one that was changed does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vpbench.results import cell_id


@pytest.fixture
def record(bench) -> Path:
    """A record of an installed floor."""
    bench.environment["VPBENCH_PLUGINS"] += ",baselines"
    import os

    os.environ["VPBENCH_PLUGINS"] = bench.environment["VPBENCH_PLUGINS"]  # restored by the fixture `bench`
    assert bench.run("copy-last", horizon=3, clips=6).exit_code == 0
    return bench.record("copy-last", 3)["path"]


def edit(path: Path, change: Callable[[dict[str, Any]], Any], *, hashed: bool = False) -> None:
    """Change a record; hashed: give it the cell id that belongs to its new identity."""
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    if hashed:
        document["cell"] = cell_id(document["identity"])
    path.write_text(json.dumps(document), encoding="utf-8")


def test_a_record_holds(bench, record: Path) -> None:
    result = bench("verify", record)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"{record}: holds; 4 clips run again, ")


def test_all_of_several_records_are_looked_at(bench, record: Path) -> None:
    paths = sorted((bench.folder / "runs").glob("*/*/*.json"))
    result = bench("verify", *paths, "--clips", 1)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == len(paths) == 8


@pytest.mark.parametrize("clips", [4, 100])
@pytest.mark.parametrize("order", ["up", "down"], ids=["ids in order", "ids that do not start with the smallest"])
def test_the_first_clips_are_those_of_the_dataset(bench, clips: int, order: str) -> None:
    assert bench.run("Last", "--set", f"order={order}", clips=6).exit_code == 0
    path = bench.record("last")["path"]
    result = bench("verify", path, "--clips", clips, "--model", bench.model("Last"))
    assert result.exit_code == 0, result.stderr + result.stdout
    assert f"holds; {min(clips, 6)} clips" in result.stdout


def tampered_statistic(document: dict[str, Any]) -> None:
    document["statistics"]["vpbench-metrics/squared_error"][2] *= 0.99


def tampered_value(document: dict[str, Any]) -> None:
    document["scores"]["ssim"]["value"] += 0.01


def tampered_interval(document: dict[str, Any]) -> None:
    document["scores"]["psnr-pooled"]["low"] += 1


def removed_value(document: dict[str, Any]) -> None:
    document["statistics"]["vpbench-metrics/squared_error"][0] = None


@pytest.mark.parametrize(
    ("change", "worst"),
    [
        (tampered_statistic, "statistic vpbench-metrics/squared_error"),
        (tampered_value, "score ssim"),
        (tampered_interval, "score psnr-pooled"),
        (removed_value, "statistic vpbench-metrics/squared_error"),
    ],
)
def test_a_record_that_was_changed_does_not_hold(bench, record: Path, change: Any, worst: str) -> None:
    edit(record, change)
    result = bench("verify", record)
    assert result.exit_code == 1
    assert "DOES NOT HOLD" in result.stdout
    assert f"{worst} differs most" in result.stdout


def test_a_changed_curve_over_steps_is_found_with_all_clips(bench, record: Path) -> None:
    edit(record, lambda document: document["scores"]["mse"]["per_step"].__setitem__(1, 0.5))
    assert bench("verify", record).exit_code == 0  # four clips cannot tell
    result = bench("verify", record, "--clips", 6)
    assert result.exit_code == 1
    assert "mse per step differs most" in result.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda identity: identity["model"].update(version="0"), "made with model copy-last version 0, installed is 1"),
        (
            lambda identity: identity["dataset"].update(version="7"),
            "made with dataset squares version 7, installed is 1",
        ),
        (lambda identity: identity["dataset"].update(fingerprint="x"), "dataset differ from what is installed"),
        (lambda identity: identity["dataset"]["config"].update(colour=1), "squares has no config key 'colour'"),
        (lambda identity: identity["task"].update(stride=2), "cannot be made again here: "),
    ],
)
def test_a_record_of_something_else_cannot_be_verified(bench, record: Path, ends_with, change, message: str) -> None:
    edit(record, lambda document: change(document["identity"]), hashed=True)
    ends_with(bench("verify", record), 4, str(record), message)


def test_metrics_of_another_version_are_left_out_and_named(bench, record: Path, ends_with) -> None:
    edit(record, lambda document: document["scores"]["ssim"].update(version="0"))
    result = bench("verify", record)
    assert result.exit_code == 0
    assert "not checked, as not installed at its version: ssim" in result.stdout
    edit(record, lambda document: [score.update(version="0") for score in document["scores"].values()])
    ends_with(bench("verify", record), 4, "none of its metrics is installed at its version")


def test_an_edited_identity_is_seen(bench, record: Path, ends_with) -> None:
    edit(record, lambda document: document["identity"].update(clips=1000))
    ends_with(bench("verify", record), 4, "but its identity hashes to")


def test_what_is_wrong_with_one_record_costs_no_other(bench, record: Path) -> None:
    half = record.with_name("half.json")
    half.write_bytes(record.read_bytes()[:300])
    edited = record.with_name("edited.json")
    shutil.copy(record, edited)
    edit(edited, tampered_statistic)
    result = bench("verify", half, edited, record, "no-such.json")
    assert [line.startswith("vpbench: ") for line in result.stderr.splitlines()] == [True, True]
    assert [word for line in result.stdout.splitlines() for word in ("NOT HOLD", "holds") if word in line] == [
        "NOT HOLD",
        "holds",
    ]
    assert result.exit_code in (1, 4)


def test_a_failure_is_nothing_to_verify(bench, ends_with) -> None:
    assert bench.run("Faulty", "--set", "fault=raises").exit_code == 1
    ends_with(bench("verify", bench.record("faulty")["path"]), 4, "is the record of a failed cell")


def test_a_model_in_a_file_has_to_be_given(bench, ends_with) -> None:
    assert bench.run("Last").exit_code == 0
    path = bench.record("last")["path"]
    ends_with(bench("verify", path), 2, "no model 'last'")
    ends_with(bench("verify", path, "--model", bench.model("Other")), 2, "is of model last", "is other")
    assert bench("verify", path, "--model", bench.model("Last")).exit_code == 0


def test_weights_that_do_not_ship_with_the_model_have_to_be_given(bench, ends_with) -> None:
    model = bench.model("Tiny")
    train = ("train", "--model", model, "--dataset", "squares", "--budget", "1updates", "--batch-size", 2)
    for name, seed in (("right", 0), ("wrong", 1)):
        assert bench(*train, "--output", f"{name}.safetensors", "--seed", seed).exit_code == 0
    assert bench.run("Tiny", "--weights", "right.safetensors").exit_code == 0
    path = bench.record("tiny")["path"]
    remedy = "do not ship with tiny: give them with --weights FILE"
    ends_with(bench("verify", path, "--model", model), 4, remedy)
    ends_with(bench("verify", path, "--model", model, "--weights", "wrong.safetensors"), 4, remedy)
    result = bench("verify", path, "--model", model, "--weights", "wrong.safetensors", "--weights", "right.safetensors")
    assert result.exit_code == 0, result.stderr
