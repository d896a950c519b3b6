"""The committed records keep what the project promises about them, and the README shows them."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from vpbench.cli import main
from vpbench.results import iter_records

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
FLOORS = ("black", "copy-last", "context-mean", "train-mean")


@pytest.fixture(scope="module")
def records():
    found, problems = iter_records(RESULTS)
    assert not problems
    return {
        (record.model["name"], record.task["horizon"]): record
        for record in found
        if record.dataset["name"] == "moving-mnist" and record.identity["clips"] == 1000
    }


@pytest.mark.parametrize("horizon", [10, 90])
def test_floors_and_latentode_are_there_with_1000_clips(records, horizon):
    for model in (*FLOORS, "latentode"):
        assert records[model, horizon].status == "ok"


def psnr_per_step(record):
    return np.array(record.scores["psnr-pooled"]["per_step"])


@pytest.mark.parametrize("floor", ["black", "copy-last", "context-mean"])
def test_latentode_is_above_the_trivial_floors_at_every_step(records, floor):
    gain = psnr_per_step(records["latentode", 90]) - psnr_per_step(records[floor, 90])
    assert gain.min() > 0, f"step {gain.argmin() + 1}: {gain.min():.3f} dB against {floor}"


def test_latentode_falls_back_to_the_mean_where_it_does_not_know(records):
    gain = psnr_per_step(records["latentode", 90]) - psnr_per_step(records["train-mean", 90])
    assert gain.min() >= -0.1, f"step {gain.argmin() + 1}: {gain.min():.3f} dB against train-mean"


def test_latentode_knows_more_than_the_mean_over_the_first_ten_steps(records):
    model, mean = records["latentode", 10].scores["psnr-pooled"], records["train-mean", 10].scores["psnr-pooled"]
    assert model["low"] > mean["high"]


def test_shorter_horizons_are_prefixes_of_the_longest(records):
    for model in (*FLOORS, "latentode"):
        long, short = psnr_per_step(records[model, 90]), psnr_per_step(records[model, 10])
        np.testing.assert_array_equal(long[:10], short)


def test_scores_of_the_floors_are_what_the_literature_measured(records):
    """Independent measurements on the same generator with other digits and seeds (200-400 clips), so wide margins."""
    assert records["black", 10].scores["psnr-pooled"]["value"] == pytest.approx(13.7, abs=0.25)
    assert records["black", 10].scores["ssim"]["value"] == pytest.approx(0.722, abs=0.01)
    assert records["copy-last", 90].scores["psnr-pooled"]["value"] == pytest.approx(11.3, abs=0.3)
    assert records["train-mean", 90].scores["psnr-pooled"]["value"] == pytest.approx(14.3, abs=0.2)


def test_latentode_says_what_it_was_trained_with(records):
    training = records["latentode", 90].about["training"]
    assert training["sequences"] == training["updates"] * training["batch_size"]
    assert {"seconds", "device", "seed", "code_version", "dataset", "precision"} <= training.keys()


def test_readme_shows_the_board_of_the_committed_records():
    arguments = ["leaderboard", "--results", str(RESULTS), "--horizon", "10", "--horizon", "90"]
    result = CliRunner().invoke(main, [*arguments, "--output", str(ROOT / "README.md"), "--check"])
    assert result.exit_code == 0, result.output


def test_records_are_readable_json_of_bounded_size():
    for path in RESULTS.glob("*/*/*.json"):
        assert path.stat().st_size < 1_000_000
        json.loads(path.read_text())
