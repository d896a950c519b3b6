"""`--fail-under` and `--fail-over`: the CI of a model fails where its scores do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpbench.thresholds import OVER, UNDER, Threshold, told_apart


def value(bench, model: str, metric: str, horizon: int = 1) -> float:
    return bench.record(model, horizon)["scores"][metric]["value"]


class TestRun:
    def test_a_score_under_its_threshold_fails_the_run_after_all_is_written(self, bench, ends_with) -> None:
        result = bench.run("Last", "--fail-under", "ssim=0.99")
        line = ends_with(result, 1, "of last on squares 10→1 is under 0.99")
        assert line == f"vpbench: ssim {value(bench, 'last', 'ssim'):.4g} of last on squares 10→1 is under 0.99"
        assert "psnr-pooled (dB)" in result.stdout  # the board

    def test_a_score_over_its_threshold_fails_where_less_is_better(self, bench, ends_with) -> None:
        ends_with(bench.run("Last", "--fail-over", "mse=1e-6"), 1, "mse ", " of last on squares 10→1 is over 1e-06")

    def test_a_run_that_keeps_to_all_thresholds_is_fine(self, bench) -> None:
        result = bench.run("Last", "--fail-under", "ssim=0.01", "--fail-over", "mse=0.9", "--fail-under", "psnr=1")
        assert result.exit_code == 0
        assert result.stderr == ""

    def test_a_score_that_is_just_there_keeps_to_it(self, bench) -> None:
        assert bench.run("Last").exit_code == 0
        for option, metric in (("--fail-under", "ssim"), ("--fail-over", "mse")):
            assert bench.run("Last", option, f"{metric}={value(bench, 'last', metric)!r}").exit_code == 0

    def test_each_violation_is_a_line(self, bench) -> None:
        models = ("--model", bench.model("Other"), "--horizon", 2)
        result = bench.run("Last", *models, "--fail-under", "ssim=0.999", "--fail-over", "mse=0")
        assert result.exit_code == 1
        found = {tuple(line.split()[position] for position in (1, 4, 7, 10)) for line in result.stderr.splitlines()}
        assert found == {
            (metric, model, f"10→{horizon}", bound)
            for metric, bound in (("ssim", "0.999"), ("mse", "0"))
            for model in ("last", "other")
            for horizon in (1, 2)
        }

    def test_it_is_about_what_was_asked_for_only(self, with_floors) -> None:
        """Not about floors that come along, nor about reporting horizons on the way."""
        result = with_floors.run("Last", "--fail-over", "mse=0", horizon=5)
        assert result.exit_code == 1
        (line,) = result.stderr.splitlines()
        assert "of last on squares 10→5 is over 0" in line

    def test_seeds_are_told_apart(self, bench) -> None:
        result = bench.run("Random", "--seed", 3, "--seed", 4, "--fail-over", "mse=0")
        assert [line.split(" of ")[1] for line in result.stderr.splitlines()] == [
            "random on squares 10→1 (seed 3) is over 0",
            "random on squares 10→1 (seed 4) is over 0",
        ]

    def test_units_are_said(self, bench, ends_with) -> None:
        ends_with(bench.run("Last", "--fail-under", "psnr-pooled=99"), 1, " dB of last on squares 10→1 is under 99 dB")

    def test_cells_that_were_done_before_count(self, bench, ends_with) -> None:
        assert bench.run("Last").exit_code == 0
        result = bench.run("Last", "--fail-over", "mse=0")
        assert "1 done" in result.stdout
        ends_with(result, 1, "is over 0")

    def test_where_more_is_as_wrong_as_less_both_sides_can_be_held(self, bench, ends_with) -> None:
        assert bench.run("Other", "--fail-over", "ink-mass=1.1").exit_code == 0
        ends_with(bench.run("Other", "--fail-under", "ink-mass=0.9"), 1, "ink-mass 0.5 of other on squares")

    def test_a_dry_run_holds_nobody_to_anything(self, bench) -> None:
        assert bench.run("Last", "--dry-run", "--fail-over", "mse=0").exit_code == 0

    @pytest.mark.parametrize(
        ("args", "messages"),
        [
            (("--fail-under", "mse=0.02"), ("lower mse is better, so use --fail-over mse=0.02",)),
            (("--fail-over", "ssim=0.8"), ("higher ssim is better, so use --fail-under ssim=0.8",)),
            (("--fail-under", "sim=0.8"), ("no metric 'sim'; did you mean ssim?",)),
            (("--fail-over", "error=0.8"), ("error is not measured by this command: add --metric error",)),
            (("--metric", "mse", "--fail-under", "ssim=0.8"), ("ssim is not measured", "add --metric ssim")),
            (("--fail-under", "ssim"), ("write it as metric=number, like --fail-under ssim=0.8",)),
            (("--fail-under", "ssim=high"), ("write it as metric=number",)),
            (("--fail-under", "ssim=nan"), ("write it as metric=number",)),
            (("--fail-under", "=0.8"), ("write it as metric=number",)),
            (("--fail-under", "ssim=0.8", "--fail-under", "ssim=0.9"), ("ssim is given twice: say one value",)),
        ],
    )
    def test_what_makes_no_sense_is_said_before_anything_is_computed(self, bench, ends_with, args, messages) -> None:
        ends_with(bench.run("Last", *args), 2, *messages)
        assert not (bench.folder / "runs").exists()


class TestWithoutScore:
    """What was not measured has not been reached."""

    def test_a_cell_that_failed(self, bench) -> None:
        result = bench.run("Faulty", "--set", "fault=raises", "--fail-under", "ssim=0.1")
        assert result.exit_code == 1
        assert "ssim of faulty on squares 10→1 was not measured: the cell failed in predict: " in result.stderr

    def test_a_cell_that_was_refused_beside_one_that_works(self, bench, ends_with) -> None:
        result = bench.run("Last", "--horizon", 3, "--set", "length=12", "--fail-under", "ssim=0", horizon=2)
        ends_with(result, 1, "ssim of last on squares 10→3 was not measured: horizon 3 needs 13 frames")

    def test_a_run_with_nothing_to_run_says_that(self, bench, ends_with) -> None:
        ends_with(bench.run("Last", "--set", "length=10", "--fail-under", "ssim=0"), 3, "nothing to run")

    def test_a_metric_that_cannot_be_computed_there(self, bench, ends_with) -> None:
        result = bench.run("Last", "--set", "size=8", "--fail-under", "ssim=0")
        ends_with(result, 1, "ssim of last on squares 10→1 was not measured: needs frames of 11 pixels a side")

    def test_a_score_that_is_of_no_clip(self, bench, ends_with) -> None:
        """No pixel of these clips is above 0.5, nor is any predicted so."""
        result = bench.run("Last", "--fail-under", "iou=0")
        ends_with(result, 1, "iou of last on squares 10→1 has no value: it applied to no clip")


def test_scored_predictions_are_held_to_thresholds(bench, ends_with) -> None:
    assert bench("export-context", "--dataset", "squares", "--horizon", 2, "--clips", 3, "-o", "c.npz").exit_code == 0
    with np.load("c.npz") as context:
        np.savez("p.npz", predicted=np.repeat(context["frames"][:, -1:], 2, axis=1), request=context["request"])
    score = ("score", "p.npz", "--model-name", "mine")
    assert bench(*score, "--fail-over", "mse=0.9").exit_code == 0
    ends_with(bench(*score, "--fail-under", "ssim=0.999"), 1, " of mine on squares 10→2 is under 0.999")
    ends_with(bench(*score, "--fail-under", "mse=1"), 2, "use --fail-over mse=1")


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.sampled_from([UNDER, OVER]))
def test_what_is_said_of_a_broken_threshold_shows_that_it_is_broken(value: float, bound: float, option: str) -> None:
    threshold = Threshold("metric", bound, option)
    assert threshold.broken_by(value) == (value < bound if option == UNDER else bound < value)
    if threshold.broken_by(value):
        assert threshold.broken_by(float(told_apart(value, bound)))
