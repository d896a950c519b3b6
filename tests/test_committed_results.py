"""The committed records keep what the project promises about them, and the README shows them."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from vpbench import exhibits
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
        if record.task["context"] == 10 and record.identity["clips"] == 1000
    }


@pytest.fixture(scope="module")
def from_two_frames():
    found, _ = iter_records(RESULTS)
    return {(record.model["name"], record.task["horizon"]): record for record in found if record.task["context"] == 2}


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


def mse_of_a_frame(record):
    """Squared error summed over a frame, and half the width of its interval."""
    score = record.scores["mse"]
    return score["value"] * 64 * 64, (score["high"] - score["low"]) / 2 * 64 * 64


@pytest.mark.parametrize(
    ("context", "horizon", "reference", "standard_error"),
    # Measured elsewhere by rejection sampling, 64 samples a clip, which adds 1/64; N = 60 to 400 clips, whose standard
    # errors are those of our 1,000 clips times the root of 1000 / N.
    [(10, 10, 10.8, 1.1), (10, 90, 38.7, 3.6), (2, 18, 84.5, 1.2), (2, 38, 101.9, 1.4)],
)
def test_the_ceiling_is_where_rejection_sampling_found_it(
    records, from_two_frames, context, horizon, reference, standard_error
):
    value, half = mse_of_a_frame((records if context == 10 else from_two_frames)["bayes", horizon])
    assert value == pytest.approx(reference / (1 + 1 / 64), abs=2.6 * standard_error)
    assert half < 1.96 * standard_error  # ours is the tighter one


@pytest.mark.parametrize("horizon", [1, 5, 10, 20, 40, 90])
def test_nobody_has_less_squared_error_than_the_posterior_mean_and_a_sample_has_twice_it(records, horizon):
    errors = {name: record.scores["mse"]["value"] for (name, h), record in records.items() if h == horizon}
    assert min(errors, key=errors.get) == "bayes"
    assert errors["bayes-sample"] / errors["bayes"] == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize("metric", ["foreground-mse", "foreground-ssim", "digit-identity", "digit-feature-distance"])
def test_black_does_not_win_what_it_cannot_win(records, metric):
    scores = {name: record.scores[metric] for (name, h), record in records.items() if h == 90}
    sign = 1 if scores["black"]["higher_is_better"] else -1
    assert min(scores, key=lambda name: sign * scores[name]["value"]) == "black"


def test_every_rollout_has_its_exhibit(records):
    for (_, horizon), record in records.items():
        if horizon == 90:
            exhibit = exhibits.read(exhibits.exhibit_path(record.path))
            assert (exhibit.cell, exhibit.context, exhibit.horizon) == (record.cell, 10, 90)
            assert {why for clip in exhibit.clips for why in clip.why} == {"fixed", "best", "median", "worst"}


def test_latentode_says_what_it_was_trained_with(records):
    training = records["latentode", 90].about["training"]
    assert training["sequences"] == training["updates"] * training["batch_size"]
    assert {"seconds", "device", "seed", "code_version", "dataset", "precision"} <= training.keys()


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("README.md", ["--context", "10", "--horizon", "10", "--horizon", "90"]),
        ("results/board.md", ["--published"]),
    ],
)
def test_boards_in_files_are_those_of_the_committed_records(file, options):
    arguments = ["leaderboard", *options, "--results", str(RESULTS), "--output", str(ROOT / file), "--check"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output


def test_records_are_readable_json_of_bounded_size():
    for path in RESULTS.glob("*/*/*.json"):
        assert path.stat().st_size < 1_000_000
        json.loads(path.read_text())
