"""Named conventions through the front door: `--metrics openstl` measures what OpenSTL's code would of that rollout."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity

CONVENTIONS = ("openstl", "phydnet", "predrnn", "vidode", "ignite", "vpsuite", "simvp-v1", "valid-gauss")


@pytest.fixture
def measured(bench):
    """Scores of a rollout far out of range in some pixels under all conventions, its raw predictions and the truth."""
    names = [word for name in CONVENTIONS for word in ("--metrics", name)]
    result = bench.run("Unnormal", *names, "--keep-predictions", 4, horizon=5, clips=4)
    assert result.exit_code == 0, result.output
    record = bench.record("unnormal", 5)
    kept = np.load(record["path"].with_suffix(".predictions.npz"))
    values = {name: score["value"] for name, score in record["scores"].items()}
    return record["scores"], values, kept["predicted"].astype(np.float64), kept["target"].astype(np.float64)


def test_a_convention_is_all_of_its_metrics_and_no_other(measured):
    scores, *_ = measured
    assert {score["convention"] for score in scores.values()} == set(CONVENTIONS)
    assert {name for name, score in scores.items() if score["convention"] == "openstl"} == {
        *("openstl-mse", "openstl-mae", "openstl-rmse", "openstl-ssim", "openstl-psnr")
    }


def test_scores_are_those_of_the_raw_prediction_where_the_convention_measures_it(measured):
    _, values, raw, target = measured
    assert raw.max() > 1
    squared = (raw - target) ** 2
    assert values["openstl-mse"] == pytest.approx(squared.sum(axis=(2, 3, 4)).mean(), rel=1e-9)
    assert values["openstl-rmse"] == pytest.approx(values["openstl-mse"] ** 0.5, rel=1e-12)
    assert values["phydnet-mae"] == pytest.approx(np.abs(raw - target).sum(axis=(2, 3, 4)).mean(), rel=1e-9)
    assert values["ignite-psnr"] == pytest.approx((-10 * np.log10(squared.mean(axis=(2, 3, 4)))).mean(), rel=1e-9)
    clamped = raw.clip(0, 1)
    similarities = {
        which: np.mean(
            [
                structural_similarity(x, y, data_range=2.0)
                for x, y in zip(frames.reshape(-1, 16, 16), target.reshape(-1, 16, 16), strict=True)
            ]
        )
        for which, frames in (("openstl-ssim", clamped), ("phydnet-ssim", raw))
    }
    for name, expected in similarities.items():
        assert values[name] == pytest.approx(expected, rel=1e-9)
    assert values["openstl-ssim"] != pytest.approx(values["phydnet-ssim"], abs=1e-4)


def test_errors_per_sequence_add_up_over_the_steps_of_a_record(measured):
    scores, values, raw, target = measured
    per_clip = ((raw.clip(0, 1) - target) ** 2).sum(axis=(1, 2, 3, 4))
    assert values["predrnn-mse-seq"] == pytest.approx(per_clip.mean(), rel=1e-9)
    assert values["predrnn-mse-seq"] == pytest.approx(5 * values["predrnn-mse"], rel=1e-12)
    assert sum(scores["predrnn-mse-seq"]["per_step"]) == pytest.approx(values["predrnn-mse-seq"], rel=1e-5)
    assert scores["predrnn-mse-seq"]["low"] <= values["predrnn-mse-seq"] <= scores["predrnn-mse-seq"]["high"]


def test_no_board_is_ranked_by_the_psnr_that_overflows(measured, bench):
    scores, values, *_ = measured
    assert not scores["simvp-v1-psnr"]["ranks"]
    assert values["simvp-v1-psnr"] > 24.16
    assert scores["openstl-psnr"]["ranks"]


def test_what_is_too_small_for_a_window_is_said_and_the_rest_of_the_convention_is_measured(bench):
    result = bench.run("Last", "--metrics", "vidode", "--set", "size=8")
    assert result.exit_code == 0, result.output
    assert "needs frames of 11 pixels a side, squares has 8" in result.output
    assert bench.record("last")["scores"].keys() == {"vidode-mse", "vidode-psnr"}
