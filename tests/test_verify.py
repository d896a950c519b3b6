"""`vpbench verify`: a record that was made here holds, one that was changed does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vpbench.results import cell_id
from vpbench.stats import interval
from vpbench.tolerance import tolerance
from vpbench.verify import spread


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
    assert result.stdout.startswith(f"{record}: holds; 4 of 6 clips run again, evenly spread from number ")
    assert "curves over steps and distances between sets need --clips 6; " in result.stdout
    assert f"{record}: holds; 6 of 6 clips run again; " in bench("verify", record, "--clips", 100).stdout


def test_all_of_several_records_are_looked_at(bench, record: Path) -> None:
    paths = sorted((bench.folder / "runs").glob("*/*/*.json"))
    result = bench("verify", *paths, "--clips", 1)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == len(paths) == 8


@pytest.mark.parametrize("clips", [4, 100])
@pytest.mark.parametrize("order", ["up", "down"], ids=["ids in order", "ids that do not start with the smallest"])
def test_the_clips_are_those_of_the_dataset(bench, clips: int, order: str) -> None:
    assert bench.run("Last", "--set", f"order={order}", clips=6).exit_code == 0
    path = bench.record("last")["path"]
    result = bench("verify", path, "--clips", clips, "--model", bench.model("Last"))
    assert result.exit_code == 0, result.stderr + result.stdout
    assert f"holds; {min(clips, 6)} of 6 clips" in result.stdout


def test_clips_are_evenly_spread_from_a_place_that_the_cell_decides() -> None:
    firsts = set()
    for cell in ("70a96cd1b253", "70a96cd1b254", "ffffffffffff", "000000000000"):
        for n, of in ((1, 1), (4, 1000), (7, 1000), (6, 6), (5, 6)):
            places = spread(n, of, cell)
            gaps = {after - before for before, after in pairwise([*places, places[0] + of])}
            assert places == spread(n, of, cell)
            assert 0 <= places[0] <= places[-1] < of
            assert gaps <= {of // n, of // n + 1} - {0}
            firsts.add((n, of, places[0]))
    assert len({first for first in firsts if first[:2] == (4, 1000)}) > 1


def test_a_statistic_beyond_the_first_clips_is_looked_at(bench) -> None:
    """Six clips, edited in all but the first four, with scores to match: what a verifier of the first ones believes."""
    assert bench.run("Last", clips=6).exit_code == 0
    path = bench.record("last")["path"]

    def change(document: dict[str, Any]) -> None:
        values = document["statistics"]["vpbench-metrics/squared_error"]
        values[4:] = [value / 2 for value in values[4:]]
        document["scores"] = {"mse": document["scores"]["mse"]}
        again = interval({"x": np.array(values)}, lambda means: means["x"])
        document["scores"]["mse"].update(again._asdict(), per_step=[again.value])

    edit(path, change)
    result = bench("verify", path, "--model", bench.model("Last"))
    assert result.exit_code == 1, result.stdout
    assert "DOES NOT HOLD: statistic vpbench-metrics/squared_error differs most" in result.stdout


def tampered_statistic(document: dict[str, Any]) -> None:
    document["statistics"]["vpbench-metrics/squared_error"][2] *= 0.99


def tampered_value(document: dict[str, Any]) -> None:
    document["scores"]["ssim"]["value"] += 0.01


def tampered_interval(document: dict[str, Any]) -> None:
    document["scores"]["psnr-pooled"]["low"] += 1


def tampered_small_value(document: dict[str, Any]) -> None:
    document["scores"]["mse"]["value"] *= 1.002


def tampered_mean_curve(document: dict[str, Any]) -> None:
    document["scores"]["mse"]["per_step"][1] *= 1.01


def removed_value(document: dict[str, Any]) -> None:
    document["statistics"]["vpbench-metrics/squared_error"][0] = None


@pytest.mark.parametrize(
    ("change", "worst"),
    [
        (tampered_statistic, "mse per step, on average,"),
        (tampered_value, "score ssim"),
        (tampered_small_value, "score mse"),
        (tampered_mean_curve, "mse per step, on average,"),
        (tampered_interval, "score psnr-pooled"),
        (removed_value, "statistic vpbench-metrics/squared_error"),
    ],
)
def test_a_record_that_was_changed_does_not_hold(bench, record: Path, change: Any, worst: str) -> None:
    edit(record, change)
    result = bench("verify", record)
    assert result.exit_code == 1
    assert f"{record}: DOES NOT HOLD: {worst} differs most" in result.stdout
    assert len(result.stdout.splitlines()) == 1


def test_a_statistic_is_held_to_its_own_size(bench, record: Path) -> None:
    """An error of 1e-4 is nothing for a sum over pixels and all of it for a small mean square."""
    path = "vpbench-metrics/squared_error"
    recorded = np.array(json.loads(record.read_text())["statistics"][path])
    assert (tolerance(recorded) < 0.01 * recorded.mean()).all()
    np.testing.assert_allclose(tolerance(recorded / 10), tolerance(recorded) / 10, rtol=1e-3)
    assert (tolerance(np.zeros(4)) < 1e-8).all()


@pytest.mark.parametrize("key", ["per_step", "per_step_stderr"])
def test_a_changed_curve_over_steps_is_found_with_all_clips(bench, record: Path, key: str) -> None:
    """Of a score that is no plain mean; fewer clips cannot tell, and that is said."""
    edit(record, lambda document: document["scores"]["psnr-pooled"][key].__setitem__(1, 11.0))
    result = bench("verify", record)
    assert result.exit_code == 0
    assert "curves over steps and distances between sets need --clips 6" in result.stdout
    result = bench("verify", record, "--clips", 6)
    assert result.exit_code == 1
    worst = {"per_step": "psnr-pooled per step", "per_step_stderr": "standard error of psnr-pooled per step"}[key]
    assert f"DOES NOT HOLD: {worst} differs most" in result.stdout


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda d: d["scores"]["mse"].update(definition="Squared, roughly."), "mse.definition is "),
        (lambda d: d["scores"]["mse"].update(unit="dB"), "mse.unit is 'dB', installed is ''"),
        (lambda d: d["scores"]["mse"].update(convention="openstl"), "mse.convention is 'openstl', installed is 'vp"),
        (lambda d: d["scores"]["mse"].update(higher_is_better=True), "mse.higher_is_better is True, installed is Fa"),
        (lambda d: d["scores"]["mse"].update(statistics=["vpbench-metrics/ssim"]), "mse.statistics is ['vpbench-me"),
        (lambda d: d["scores"]["mse"].update(n=600, statistics=[]), "mse.n is 600, the cell says 6"),
        (lambda d: d["scores"]["mse"].update(per_step=[]), "mse.per_step has 0 values for 3 steps"),
        (lambda d: d["statistics"].update(more=[1.0]), "statistic more has 1 values for 6 clips"),
        (lambda d: d["about"].update(role="contender"), "about.role is 'contender', installed is 'floor'"),
        (lambda d: d["about"].update(learns="weights"), "about.learns is 'weights', installed is 'nothing'"),
        (lambda d: d["about"].update(assumptions="none"), "about.assumptions is 'none', installed is ''"),
        (lambda d: d["about"].update(trained=False), "about.trained is False, installed is True"),
        (lambda d: d["about"].update(caveat="none"), "about.caveat is 'none', installed is 'made up'"),
        (lambda d: d["about"].update(training={"seed": 1}), "about.training is {'seed': 1}, installed is None"),
        (lambda d: d["cost"].update(parameters=7), "cost.parameters is 7, the model has 0"),
    ],
)
def test_words_that_were_changed_do_not_hold(bench, record: Path, change: Any, what: str) -> None:
    edit(record, change)
    result = bench("verify", record)
    assert result.exit_code == 1, result.stderr
    (line,) = result.stdout.splitlines()
    assert line.startswith(f"{record}: DOES NOT HOLD: ")
    assert what in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda identity: identity["model"].update(version="0"), "made with model copy-last version 0, installed is 1"),
        (
            lambda identity: identity["dataset"].update(version="7"),
            "made with dataset squares version 7, installed is 1",
        ),
        (lambda identity: identity["dataset"].update(fingerprint="x"), "has other frames here than it was made with"),
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
    assert result.exit_code == 1  # a record that does not hold outweighs one that cannot be read


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
    both = ("--model", model, "--weights", "wrong.safetensors", "--weights", "right.safetensors")
    result = bench("verify", path, *both)
    assert result.exit_code == 0, result.stderr + result.stdout
    for change, what in (
        ({"seed": 7}, "about.training.seed is 7, the weights say 0"),
        ({"favour": "asked"}, "about.training.favour is 'asked', the weights say None"),
    ):
        before = path.read_bytes()
        edit(path, lambda document, change=change: document["about"]["training"].update(change))
        result = bench("verify", path, *both)
        assert result.exit_code == 1
        assert f"DOES NOT HOLD: {what}" in result.stdout
        path.write_bytes(before)
