"""A plugin that fails costs what it offers: other metrics are measured, other models and datasets run."""

from __future__ import annotations

import math

import pytest


def lines(result) -> list[str]:
    return result.stderr.splitlines()


class TestMetrics:
    @pytest.mark.parametrize(
        ("metric", "why"),
        [
            ("raising", "statistics of raising: ZeroDivisionError: division by zero"),
            ("fails-later", "statistics of fails-later: ValueError: one clip is no batch"),
            ("infinite-score", "score of infinite-score: it gave an infinite score"),
        ],
    )
    def test_one_that_fails_is_left_out_with_its_reason(self, bench, metric: str, why: str) -> None:
        options = ("--metric", metric, "--metric", "mae", "--metric", "error-of-clip", "--batch-size", 2)
        result = bench.run("Last", *options, horizon=1)
        assert result.exit_code == 1
        (line,) = lines(result)
        assert line.startswith(f"vpbench: {metric} is left out, first on last on squares 10→1: score: ")
        assert why in line
        record = bench.record("last")
        assert record["status"] == "ok"
        assert set(record["scores"]) == {"mae", "error-of-clip"}
        assert why.removesuffix("division by zero") in record["about"]["not_computed"][metric]
        alone = bench.run("Last", "--metric", "mae", "--metric", "error-of-clip", "--results", "alone", horizon=1)
        assert alone.exit_code == 0
        assert bench.record("last", results="alone")["scores"] == record["scores"]
        assert bench.record("last", results="alone")["statistics"].keys() == record["statistics"].keys()

    def test_it_is_said_once_however_many_models_there_are(self, with_floors) -> None:
        result = with_floors.run("Last", "--metric", "raising", "--metric", "mae", horizon=5)
        assert result.exit_code == 1
        assert len(lines(result)) == 1
        assert all(record["status"] == "ok" for record in with_floors.records().values())
        assert "raising not computed: version 1 failed: " in result.stdout

    def test_the_same_command_leaves_it_so_until_it_is_told_to_try_again(self, bench) -> None:
        given = ("--metric", "raising", "--metric", "mae")
        bench.run("Counting", *given)
        bench.log()
        again = bench.run("Counting", *given)
        assert again.exit_code == 1
        assert "raising failed on counting on squares 10→1 before (--rerun failed tries again)" in again.stdout
        assert bench.log() == []
        bench.run("Counting", *given, "--rerun", "failed")
        assert bench.log()

    def test_without_it_the_cell_is_done(self, bench) -> None:
        bench.run("Last", "--metric", "raising", "--metric", "mae")
        result = bench.run("Last", "--metric", "mae")
        assert (result.exit_code, result.stderr) == (0, "")
        assert "1 done" in result.stdout

    def test_a_finished_score_is_not_lost_to_one_that_fails_now(self, bench, monkeypatch) -> None:
        assert bench.run("Last", "--metric", "error").exit_code == 0
        before = bench.record("last")
        monkeypatch.setattr("fake_metrics.AbsoluteError.score", lambda self, means: math.inf * means["absolute"])
        result = bench.run("Last", "--metric", "error", "--metric", "mae", "--rerun", "all")
        assert result.exit_code == 1
        assert "(its finished record is kept)" in lines(result)[0]
        assert bench.record("last") == before

    def test_the_only_one_fails_the_cell(self, bench) -> None:
        assert bench.run("Last", "--metric", "raising").exit_code == 1
        assert bench.record("last")["status"] == "failed"

    def test_a_record_does_not_hold_where_its_metric_fails(self, bench, monkeypatch, ends_with) -> None:
        assert bench.run("Last", "--metric", "error", "--metric", "mae").exit_code == 0

        def fails(self, scored):
            raise ValueError("not today")

        monkeypatch.setattr("fake_metrics.AbsoluteError.statistics", fails)
        result = bench("verify", "--model", bench.model("Last"), bench.record("last")["path"])
        ends_with(result, 1, "statistics of error: ValueError: not today")


class TestDatasetsAndModels:
    def test_a_dataset_that_cannot_be_opened_leaves_the_others(self, bench) -> None:
        result = bench.run("Last", "--dataset", "broken-dataset", "--set", "fails=opening", "--metric", "mae")
        assert result.exit_code == 1
        (line,) = lines(result)
        assert "vpbench-fakes 0.1 (fakes): opening of broken-dataset: OSError: no disk" in line
        assert bench.record("last")["identity"]["dataset"]["name"] == "squares"

    def test_a_model_whose_config_cannot_be_made_leaves_the_others(self, bench, monkeypatch) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "fakes,metrics,fakes_broken")
        result = bench.run("Last", "--model", "broken-floor", "--metric", "mae")
        assert result.exit_code == 1
        assert any("config of broken-floor" in line for line in lines(result))
        assert bench.record("last")["status"] == "ok"

    def test_the_only_one_ends_the_command(self, bench, ends_with) -> None:
        result = bench.run("Last", "--set", "fails=opening", "--metric", "mae", dataset="broken-dataset")
        ends_with(result, 1, "opening of broken-dataset: OSError: no disk")
