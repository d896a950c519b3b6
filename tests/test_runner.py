"""Plan and run: what is computed, what is skipped, refused and kept, seen from the command line."""

from __future__ import annotations

import re
import shlex
from typing import Any

import numpy as np
import pytest

#: What a direct run and a shared rollout must agree on, to the last bit.
NUMBERS = ("scores", "statistics")


def numbers(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in (*NUMBERS, "identity", "status")}


class TestRollouts:
    def test_one_rollout_serves_all_shorter_horizons_and_equals_direct_runs(self, bench) -> None:
        assert bench.run("Counting", "--no-exhibit", "--horizon", 20, horizon=7, clips=4).exit_code == 0
        predicts = bench.log()
        assert set(bench.records()) == {("counting", h) for h in (1, 5, 7, 10, 20)}
        # two calls of the trial for the estimate: two clips, ten steps
        assert predicts == [{"clips": 2, "steps": 10}] * 2 + [{"clips": 4, "steps": 20}]
        for horizon in (1, 5, 7, 10, 20):
            assert bench.run("Counting", "--results", f"direct{horizon}", horizon=horizon, clips=4).exit_code == 0
            assert numbers(bench.record("counting", horizon, f"direct{horizon}")) == numbers(
                bench.record("counting", horizon)
            )

    def test_a_model_that_is_not_prefix_stable_gets_a_rollout_for_each_horizon(self, bench) -> None:
        assert bench.run("CountingUnstable", "--no-exhibit", horizon=10).exit_code == 0
        rollouts = [each["steps"] for each in bench.log() if each["clips"] == 3]
        assert sorted(rollouts) == [1, 5, 10]

    def test_the_estimate_costs_one_short_trial_per_model(self, bench) -> None:
        assert bench.run("Fitted", "--horizon", 40, "--seed", 0, "--seed", 1, horizon=20).exit_code == 0
        # 20 clips for the estimate, all 40 for each of two seeds
        assert [each["fitted"] for each in bench.log()] == [20, 40, 40]

    def test_a_dry_run_plans_and_writes_nothing(self, bench) -> None:
        result = bench.run("Last", "--dry-run", horizon=20)
        assert result.exit_code == 0
        assert "last on squares, horizons 1, 5, 10, 20, context 10, 3 clips" in result.stdout
        assert re.search(r"about \d+ s on this machine", result.stdout)
        assert not (bench.folder / "runs").exists()

    def test_horizons_that_fail_leave_shorter_ones_their_chance(self, bench) -> None:
        result = bench.run("Faulty", "--set", "fault=nan", "--set", "step=7", horizon=20)
        assert result.exit_code == 1
        states = {horizon: record["status"] for (_, horizon), record in bench.records().items()}
        assert states == {1: "ok", 5: "ok", 10: "failed", 20: "failed"}
        reason = bench.record("faulty", 20)["reason"]
        assert reason == {
            "phase": "predict",
            "type": "ModelFailed",
            "message": "faulty predicted NaN or infinity, first at step 7 of 20",
        }
        assert [line for line in result.stderr.splitlines() if "FAILED" in line] == [
            "vpbench: FAILED faulty on squares 10→20: predict: faulty predicted NaN or infinity, first at step 7 of 20",
            "vpbench: FAILED faulty on squares 10→10: predict: faulty predicted NaN or infinity, first at step 7 of 10",
        ]

    def test_a_failed_model_is_recorded_and_the_others_go_on(self, bench) -> None:
        result = bench.run("Faulty", "--model", bench.model("Last"), "--set", "fault=raises")
        assert result.exit_code == 1
        assert bench.record("faulty")["status"] == "failed"
        assert bench.record("last")["status"] == "ok"


class TestFinishedCells:
    def test_finished_cells_are_skipped(self, bench) -> None:
        assert bench.run("Counting").exit_code == 0
        before = bench.record("counting")["path"].read_bytes()
        bench.log()
        result = bench.run("Counting")
        assert result.exit_code == 0
        assert "1 cells on cpu: 1 done" in result.stdout
        assert bench.log() == []
        assert bench.record("counting")["path"].read_bytes() == before

    def test_all_computes_them_again(self, bench) -> None:
        assert bench.run("Counting").exit_code == 0
        bench.log()
        assert bench.run("Counting", "--rerun", "all", "--no-exhibit").exit_code == 0
        assert len(bench.log()) == 3

    @pytest.mark.parametrize("changed", [("--seed", 1), ("--clips", 2), ("--context", 9), ("--precision", "bfloat16")])
    def test_another_question_is_another_cell(self, bench, changed: tuple[str, object]) -> None:
        assert bench.run("Last").exit_code == 0
        assert bench.run("Last", *changed).exit_code == 0
        assert len(list((bench.folder / "runs").glob("*/*/*.json"))) == 2

    def test_batch_size_and_device_are_no_other_question(self, bench) -> None:
        assert bench.run("Last").exit_code == 0
        assert "1 done" in bench.run("Last", "--batch-size", 1, "--device", "cpu").stdout

    def test_failures_are_tried_again_only_when_asked(self, bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("VPBENCH_TEST_LOG")  # the model fails where it cannot write its log
        assert bench.run("Counting").exit_code == 1
        monkeypatch.setenv("VPBENCH_TEST_LOG", str(bench.log_path))
        again = bench.run("Counting")
        assert again.exit_code == 1
        assert "failed before: predict: KeyError" in again.stdout
        assert "(--rerun failed tries again)" in again.stdout
        assert bench.log() == []
        assert bench.run("Counting", "--rerun", "failed").exit_code == 0
        assert bench.record("counting")["status"] == "ok"

    def test_a_failure_never_takes_the_place_of_a_finished_record(self, bench, monkeypatch: pytest.MonkeyPatch) -> None:
        assert bench.run("Counting").exit_code == 0
        before = bench.record("counting")["path"].read_bytes()
        monkeypatch.delenv("VPBENCH_TEST_LOG")
        result = bench.run("Counting", "--rerun", "all")
        assert result.exit_code == 1
        assert "(its finished record is kept)" in result.stderr
        assert bench.record("counting")["path"].read_bytes() == before

    def test_a_refusal_never_takes_the_place_of_a_finished_record(self, bench) -> None:
        assert bench.run("Tiny", "--allow-untrained").exit_code == 0
        assert bench.run("Tiny").exit_code == 3
        assert bench.record("tiny")["status"] == "ok"

    def test_a_metric_asked_for_later_is_computed_and_loses_none_that_is_there(self, bench) -> None:
        assert bench.run("Last", "--metric", "mse").exit_code == 0
        assert list(bench.record("last")["scores"]) == ["mse"]
        result = bench.run("Last", "--metric", "error")
        assert "1 to run" in result.stdout
        record = bench.record("last")
        assert set(record["scores"]) == {"mse", "error"}
        assert record["software"]["plugins"].keys() >= {"vpbench-fakes", "vpbench-metrics"}
        assert "1 done" in bench.run("Last", "--metric", "mse").stdout

    def test_kept_predictions_of_finished_cells_are_said_to_need_a_rerun(self, bench) -> None:
        assert bench.run("Last").exit_code == 0
        assert "--rerun all computes them again" in bench.run("Last", "--keep-predictions", 1).stdout


class TestRefusals:
    def test_what_cannot_work_is_refused_before_compute_and_recorded(self, bench, ends_with) -> None:
        result = bench.run("Counting", "--set", "length=20", horizon=15)
        ends_with(result, 3, "nothing to run: horizon 15 needs 25 frames, squares has 20")
        assert bench.log() == []
        assert set(bench.records()) == {("counting", 15)}
        record = bench.record("counting", 15)
        assert (record["status"], record["reason"]["phase"], record["reason"]["type"]) == ("skipped", "plan", "Refused")

    def test_what_can_work_runs_beside_it(self, bench) -> None:
        result = bench.run("Last", "--set", "length=20", "--horizon", 15, horizon=10)
        assert result.exit_code == 0
        assert {h: r["status"] for (_, h), r in bench.records().items()} == {1: "ok", 5: "ok", 10: "ok", 15: "skipped"}
        assert "last on squares, horizon 15: refused: horizon 15 needs 25 frames" in result.stdout

    def test_a_refusal_that_is_the_same_for_all_horizons_is_said_once(self, bench) -> None:
        result = bench.run("Tiny", "--model", bench.model("Last"), horizon=20)
        assert result.exit_code == 0
        assert result.stdout.count("has no weights for") == 2  # in the plan, and below the board
        assert "  tiny on squares, horizons 1, 5, 10, 20: refused: tiny has no weights" in result.stdout

    def test_a_dry_run_of_what_cannot_work_says_so_too(self, bench, ends_with) -> None:
        ends_with(bench.run("Tiny", "--dry-run"), 3, "nothing to run: tiny has no weights for squares 1×16×16")
        assert not (bench.folder / "runs").exists()

    def test_fewer_clips_than_asked_for_are_used_and_said(self, bench) -> None:
        result = bench.run("Last", "--set", "clips=4", clips=50)
        assert result.exit_code == 0
        assert "squares has 4 test clips of 11 frames; all are used" in result.stdout
        record = bench.record("last")
        assert record["identity"]["clips"] == record["scores"]["mse"]["n"] == 4

    def test_metrics_that_make_no_sense_here_are_said_and_written_down(self, bench) -> None:
        result = bench.run("Last", "--set", "size=8")
        assert result.exit_code == 0
        assert "ssim is not computed on squares: needs frames of 11 pixels a side, squares has 8" in result.stdout
        record = bench.record("last")
        assert record["scores"].keys().isdisjoint({"ssim", "foreground-ssim"})
        why = "needs frames of 11 pixels a side, squares has 8"
        assert record["about"]["not_computed"] == {"ssim": why, "foreground-ssim": why}
        assert "1 done" in bench.run("Last", "--set", "size=8").stdout

    def test_no_metric_that_can_be_computed_is_an_error(self, bench, ends_with) -> None:
        result = bench.run("Last", "--metric", "of-samples")
        ends_with(result, 2, "no metric can be computed on squares: of-samples needs samples")


class TestPrintedBoards:
    """The terminal answers what was asked; board.md, beside the records, has everything."""

    def test_boards_of_other_configs_are_not_printed(self, bench) -> None:
        assert bench.run("Last", "--set", "size=8").exit_code == 0
        result = bench.run("Other")
        assert result.stdout.count("squares, 10→1\n") == 1
        assert "last" not in result.stdout.partition("squares, 10→1\n")[2]
        assert (bench.folder / "runs" / "board.md").read_text(encoding="utf-8").count("### squares, 10→1\n") == 2

    def test_an_earlier_try_on_fewer_clips_does_not_cut_this_run_short(self, bench) -> None:
        assert bench.run("Other", clips=2).exit_code == 0
        result = bench.run("Last", clips=4)
        board = result.stdout.partition("squares, 10→1\n")[2]
        assert board.startswith("4 clips of the test split")
        assert re.search(r"\nOn fewer clips than this run, so not above: other \(version [^)]+\)\. `vpbench", board)

    def test_what_was_run_again_on_more_clips_is_not_missed(self, bench) -> None:
        assert bench.run("Last", clips=2).exit_code == 0
        result = bench.run("Last", clips=4)
        assert "4 clips of the test split" in result.stdout
        assert "On fewer clips" not in result.stdout

    def test_earlier_runs_on_more_clips_are_compared_on_those_of_this_one(self, bench) -> None:
        assert bench.run("Other", clips=4).exit_code == 0
        board = bench.run("Last", clips=2).stdout.partition("squares, 10→1\n")[2]
        assert board.startswith("2 clips of the test split")
        assert re.search(r"^ +\d  other ", board, flags=re.MULTILINE)


class TestFloors:
    FLOORS = ("black", "context-mean", "copy-last", "train-mean")

    def test_floors_are_on_every_board(self, with_floors) -> None:
        bench = with_floors
        result = bench.run("Last", "--seed", 3, horizon=5)
        assert result.exit_code == 0
        assert set(bench.records()) == {(name, h) for name in (*self.FLOORS, "last") for h in (1, 5)}
        for floor in self.FLOORS:
            assert f"{floor} (floor)" in result.stdout
            assert bench.record(floor)["about"]["role"] == "floor"
            # another seed of a contender must not give the board another row of each floor
            assert bench.record(floor)["identity"]["seed"] == 0

    def test_floors_that_are_asked_for_are_there_once(self, with_floors) -> None:
        assert "8 cells on cpu" in with_floors.run("copy-last", horizon=5).stdout

    def test_floors_alone_are_not_run(self, with_floors) -> None:
        assert with_floors.run("Tiny").exit_code == 3
        assert {name for name, _ in with_floors.records()} == {"tiny"}

    def test_a_floor_that_cannot_learn_here_is_refused_and_the_others_are_there(self, with_floors) -> None:
        result = with_floors.run("Last", "--set", "train=false")
        assert result.exit_code == 0
        assert "train-mean learns from training clips, squares has none" in result.stdout
        assert with_floors.record("train-mean")["status"] == "skipped"
        assert with_floors.record("black")["status"] == "ok"


class TestWeights:
    TRAIN = ("--budget", "2updates", "--batch-size", 2, "--device", "cpu")

    def trained(self, bench, *args: object) -> str:
        """Train Tiny as the refusal of a run says, and give back the line that uses the weights."""
        refused = bench.run("Tiny", *args)
        assert refused.exit_code == 3
        (line,) = re.findall(r"train them: vpbench (train .*?)   then add --weights (\S+)", refused.stderr)
        words = shlex.split(line[0])
        # as printed, but for the 20 minutes
        words[words.index("--budget") + 1] = "2updates"
        trained = bench(*words)
        assert trained.exit_code == 0, trained.stderr
        assert (bench.folder / line[1]).is_file()
        return re.findall(r"use them: vpbench (run .*)", trained.stdout)[0]

    def test_the_line_that_a_refusal_prints_works_and_so_does_the_one_that_training_prints(self, bench) -> None:
        use = self.trained(bench, "--set", "tiny.width=3", "--set", "size=12", "--context", 8)
        result = bench(*shlex.split(use), "--clips", 3)
        assert result.exit_code == 0, result.stderr
        record = bench.record("tiny")
        assert record["status"] == "ok"  # and the one that said there were no weights is gone
        assert len(list((bench.folder / "runs").glob("*/*/*.json"))) == 1
        assert record["identity"]["model"]["config"] == {"width": 3}
        assert record["identity"]["dataset"]["config"]["size"] == 12
        assert record["identity"]["task"]["context"] == 8
        training = record["about"]["training"]
        assert (training["updates"], training["dataset"]["name"], training["seed"]) == (2, "squares", 0)
        assert training["model_version"] == record["identity"]["model"]["version"]
        assert record["about"]["trained"] is True

    def test_the_dataset_is_by_default_the_one_that_the_weights_name(self, bench) -> None:
        self.trained(bench)
        weights = ("--weights", "tiny-squares-10.safetensors", "--horizon", 1, "--clips", 2)
        assert bench("run", "--model", bench.model("Tiny"), *weights).exit_code == 0
        assert bench.record("tiny")["identity"]["dataset"]["name"] == "squares"

    def test_without_weights_that_name_one_the_dataset_must_be_given(self, bench, ends_with) -> None:
        result = bench("run", "--model", bench.model("Last"), "--horizon", 1)
        ends_with(result, 2, "which dataset?", "add --dataset NAME, installed: broken-dataset, ramps, squares")

    def test_untrained_models_run_when_allowed_and_boards_say_so(self, bench) -> None:
        result = bench.run("Tiny", "--allow-untrained")
        assert result.exit_code == 0
        assert "tiny on squares, horizon 1, context 10, 3 clips, untrained" in result.stdout
        assert bench.record("tiny")["about"]["trained"] is False
        row, *_ = [line for line in result.stdout.splitlines() if re.match(r"\s+1\s+tiny", line)]
        assert "untrained" in row

    def test_weights_of_an_edited_model_are_used_with_a_note(self, bench) -> None:
        self.trained(bench)
        edited = bench.folder / "edited.py"
        original = bench.model("Tiny").rpartition(":")[0]
        with open(original, encoding="utf-8") as file:
            edited.write_text(file.read() + "\n# edited\n", encoding="utf-8")
        args = ("--weights", "tiny-squares-10.safetensors", "--dataset", "squares", "--horizon", 1, "--clips", 2)
        result = bench("run", "--model", f"{edited}:Tiny", *args)
        assert result.exit_code == 0
        assert "tiny-squares-10.safetensors were trained with tiny " in result.stdout

    def test_several_seeds_of_one_weights_file_are_said_to_be_no_evidence(self, bench) -> None:
        self.trained(bench)
        args = ("--weights", "tiny-squares-10.safetensors", "--seed", 0, "--seed", 1, "--dry-run")
        assert "tiny: all seeds use the same weights" in bench.run("Tiny", *args).stdout

    def test_the_line_names_what_this_model_needs_and_nothing_of_the_others(self, bench) -> None:
        result = bench.run("Tiny", "--model", bench.model("Faulty"), "--set", "fault=fine", "--set", "tiny.width=2")
        assert result.exit_code == 0
        (line,) = set(re.findall(r"train them: (vpbench train .*?)   then", result.stdout))
        assert line.split() == [
            *("vpbench", "train", "--model", bench.model("Tiny"), "--dataset", "squares", "--set", "tiny.width=2"),
            *("--context", "10", "--horizon", "1", "--budget", "20m", "--output", "tiny-squares-10.safetensors"),
        ]

    def test_where_nothing_can_be_trained_no_line_is_printed(self, bench, ends_with) -> None:
        line = ends_with(bench.run("Tiny", "--set", "train=false"), 3, "it has no training clips")
        assert "vpbench train" not in line


class TestSettings:
    def test_a_bare_key_goes_to_whoever_has_it_and_a_named_one_wins(self, bench) -> None:
        assert bench.run("Tiny", "--allow-untrained", "--set", "width=2", "--set", "size=12").exit_code == 0
        identity = bench.record("tiny")["identity"]
        assert (identity["model"]["config"]["width"], identity["dataset"]["config"]["size"]) == (2, 12)
        args = ("--set", "tiny.width=5", "--set", "width=2", "--results", "named")
        assert bench.run("Tiny", "--allow-untrained", *args).exit_code == 0
        assert bench.record("tiny", results="named")["identity"]["model"]["config"]["width"] == 5


class TestRecords:
    def test_a_record_says_all_that_it_rests_on(self, with_floors) -> None:
        bench = with_floors
        assert bench.run("Last").exit_code == 0
        record = bench.record("train-mean")
        assert record["about"]["assumptions"] == "the mean frame of training clips"
        assert record["about"]["caveat"] == "made up"
        assert record["about"]["not_computed"] == {}
        assert record["cost"]["fit_s"] > 0
        assert record["cost"]["batch_size"] == 16
        assert record["machine"]["device"] == "cpu"
        assert {"vpbench", "plugins", "python", "torch", "numpy"} <= record["software"].keys()
        assert record["started"] <= record["finished"]
        assert record["started"].endswith("+00:00")

    def test_full_statistics_lie_beside_a_record(self, bench) -> None:
        assert bench.run("Last", horizon=5).exit_code == 0
        record = bench.record("last", 5)
        with np.load(record["path"].with_suffix(".npz")) as sidecar:
            error = sidecar["vpbench-metrics.squared_error"]
        assert error.shape == (3, 5)
        np.testing.assert_allclose(error.mean(axis=0), record["scores"]["mse"]["per_step"], rtol=1e-5)

    def test_a_board_is_printed_and_lies_beside_the_records(self, bench) -> None:
        result = bench.run("Last")
        assert "squares, 10→1" in result.stdout
        assert result.stdout.splitlines()[-1] == "records: runs/   board: runs/board.md"
        assert "| last" in (bench.folder / "runs" / "board.md").read_text(encoding="utf-8")

    def test_a_run_with_one_metric_has_a_board_too(self, bench) -> None:
        assert bench.run("Last", "--metric", "ssim").exit_code == 0
