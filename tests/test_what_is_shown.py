"""Datasets with frames at times of their own, with frames that are not shown as they are, or not at all."""

from __future__ import annotations

import pytest


def told(bench) -> dict:
    """What the model was told of the first clip, in the last of its rollouts."""
    return bench.log()[-1]


@pytest.fixture
def run(bench):
    """Run a model on the dataset `ramps`, the first clip of which has brightness t / 255 at time t."""

    def go(model: str, *settings: str, horizon: int = 2):
        lines = [word for each in settings for word in ("--set", each)]
        options = ("--context", 4, "--metric", "mae", "--no-exhibit", *lines)
        return bench.run(model, *options, horizon=horizon, dataset="ramps")

    return go


class TestTimesOfTheirOwn:
    def test_models_are_told_the_times_and_asked_at_the_times_of_the_frames(self, run, bench) -> None:
        assert run("Recounting", "irregular=true").exit_code == 0
        last = told(bench)
        assert last["times"] == pytest.approx([0, 1.01, 2.04, 3.09])
        assert last["asked"] == pytest.approx([4.16, 5.25])
        assert last["levels"] == pytest.approx([0, 1.01, 2.04, 3.09], abs=1e-3)

    def test_the_frames_at_these_times_are_what_is_scored(self, run, bench) -> None:
        assert run("Recounting", "irregular=true").exit_code == 0
        clips = (1, 2, 3)  # brightness per time; the prediction stays where the context ended, at 3.09
        errors = [clip * (time - 3.09) / 255 for clip in clips for time in (4.16, 5.25)]
        value = bench.record("recounting", 2)["scores"]["mae"]["value"]
        assert value == pytest.approx(sum(errors) / len(errors), rel=1e-5)

    def test_a_model_that_cannot_take_them_is_refused_with_the_reason(self, run, ends_with) -> None:
        result = run("Last", "irregular=true")
        ends_with(result, 3, "ramps has frames at times of their own, last cannot do fractional, irregular-context")

    def test_a_model_that_learns_statistics_is_given_frames_at_these_times(self, bench) -> None:
        bench.environment["VPBENCH_PLUGINS"] = "fakes,metrics,baselines"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VPBENCH_PLUGINS", "fakes,metrics,baselines")
            options = ("--context", 4, "--metric", "mae", "--set", "irregular=true")
            assert bench.run("train-mean", *options, horizon=2, dataset="ramps").exit_code == 0
        times = [k + k**2 / 100 for k in range(20)]
        mean = sum(clip * time / 255 for clip in (1, 2, 3) for time in times) / 60
        errors = [abs(clip * time / 255 - mean) for clip in (1, 2, 3) for time in (4.16, 5.25)]
        value = bench.record("train-mean", 2)["scores"]["mae"]["value"]
        assert value == pytest.approx(sum(errors) / len(errors), rel=1e-5)

    @pytest.mark.parametrize(
        ("times", "says"),
        [
            ("falling", "the times of clip 2 do not increase from 0 on, or are not finite"),
            ("nan", "the times of clip 0 do not increase from 0 on, or are not finite"),
            ("negative", "the times of clip 0 do not increase from 0 on, or are not finite"),
            ("few", "the dataset gave times of shape (3, 4), asked for (3, 5)"),
        ],
    )
    def test_times_against_the_contract_fail_the_cell_with_one_line(self, run, ends_with, times: str, says: str):
        ends_with(run("Recounting", "irregular=true", f"times={times}", horizon=1), 1, "data: ", says)


class TestTraining:
    def train(self, bench, model: str):
        options = (
            "--context",
            3,
            "--horizon",
            4,
            "--batch-size",
            2,
            "--budget",
            "2updates",
            "--output",
            "w.safetensors",
        )
        return bench(
            *("train", "--model", bench.model(model), "--dataset", "ramps", "--set", "irregular=true"), *options
        )

    def test_targets_are_drawn_from_the_times_of_the_frames(self, bench) -> None:
        assert self.train(bench, "TellsTimes").exit_code == 0
        own = {k + k**2 / 100 for k in range(7)}
        updates = [each for each in bench.log() if each["training"]]
        assert updates
        for each in updates:
            assert each["times"] == pytest.approx([0, 1.01, 2.04])
            assert all(min(abs(time - there) for there in own) < 1e-9 for time in each["asked"])

    def test_a_model_that_cannot_take_them_is_refused(self, bench, ends_with) -> None:
        says = "ramps has frames at times of their own, tiny cannot do fractional, irregular-context"
        ends_with(self.train(bench, "Tiny"), 3, says)


class TestShownAndObserved:
    def test_a_model_is_given_what_is_shown_and_scored_against_the_truth(self, run, bench) -> None:
        assert run("Recounting", "shown=dimmed").exit_code == 0
        assert told(bench)["levels"] == pytest.approx([0, 0.5, 1, 1.5], abs=1e-3)
        errors = [clip * (time - 1.5) / 255 for clip in (1, 2, 3) for time in (4, 5)]
        value = bench.record("recounting", 2)["scores"]["mae"]["value"]
        assert value == pytest.approx(sum(errors) / len(errors), rel=1e-5)

    def test_a_missing_frame_is_black_and_said_to_be_missing(self, run, bench) -> None:
        assert run("Recounting", "missing=2").exit_code == 0
        last = told(bench)
        assert last["levels"] == pytest.approx([0, 1, 0, 3], abs=1e-3)
        assert last["observed"] == [True, True, False, True]

    def test_a_frame_that_is_missing_among_the_targets_is_scored_all_the_same(self, run, bench) -> None:
        assert run("Recounting", "missing=4").exit_code == 0
        assert told(bench)["observed"] == [True] * 4
        assert bench.record("recounting", 2)["scores"]["mae"]["value"] == pytest.approx(2 * 1.5 / 255, rel=1e-5)

    @pytest.mark.parametrize(
        ("settings", "says"),
        [
            (["shown=wrong-shape"], "shown frames of shape (3, 5, 1, 11, 12), asked for (3, 5, 1, 12, 12)"),
            (["missing=1", "observed=int"], "observed as int64 (3, 5), the contract is bool (3, 5)"),
        ],
    )
    def test_what_is_against_the_contract_fails_the_cell_with_one_line(self, run, ends_with, settings, says) -> None:
        ends_with(run("Last", *settings, horizon=1), 1, "data: ", says)


class TestLeftOut:
    def test_what_has_no_part_is_said_and_recorded(self, run, bench) -> None:
        result = run("Last", horizon=17)
        assert "ramps 4→17: 1 of 4 files has fewer than 21 frames" in result.stdout
        assert "ramps 4→10: 1 of" not in result.stdout
        assert bench.record("last", 17)["about"]["left_out"] == "1 of 4 files has fewer than 21 frames"
        assert bench.record("last", 10)["about"]["left_out"] == ""
