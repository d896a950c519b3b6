"""More metrics from kept predictions: what a run would have given, and nothing from predictions of something else."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vpbench.results import cell_id


@pytest.fixture
def kept(bench) -> Path:
    """The record of a run of two horizons that kept all of its predictions."""
    assert bench.run("Counting", "--keep-predictions", 4, horizon=5, clips=4).exit_code == 0
    return bench.record("counting", 5)["path"]


def same_but_for_time(one: dict, other: dict) -> None:
    assert one["scores"] == other["scores"]
    assert one["statistics"] == other["statistics"]
    assert one["identity"] == other["identity"]


def test_it_adds_what_a_run_with_these_metrics_would_have_given(bench, kept: Path) -> None:
    before = json.loads(kept.read_text())
    result = bench("rescore", kept, "--metrics", "openstl", "--metric", "error-of-clip", "--batch-size", 3)
    assert result.exit_code == 0, result.output
    assert "openstl-mse" in result.stdout
    again = json.loads(kept.read_text())
    assert set(again["scores"]) > set(before["scores"])
    assert [note["metrics"] for note in again["rescored"]] == [sorted(set(again["scores"]) - set(before["scores"]))]
    options = ("--metrics", "default", "--metrics", "openstl", "--metric", "error-of-clip", "--results", "direct")
    assert bench.run("Counting", *options, horizon=5, clips=4).exit_code == 0
    same_but_for_time(again, json.loads(bench.record("counting", 5, "direct")["path"].read_text()))


def test_shorter_horizons_are_cut_from_the_predictions_of_their_rollout(bench, kept: Path) -> None:
    short = bench.record("counting", 1)["path"]
    assert bench("rescore", short, "--metric", "openstl-mse").exit_code == 0
    assert bench.run("Counting", "--metrics", "default", "--metrics", "openstl-mse", "--results", "direct", horizon=1,
                     clips=4).exit_code == 0  # fmt: skip
    same_but_for_time(
        json.loads(short.read_text()), json.loads(bench.record("counting", 1, "direct")["path"].read_text())
    )


def test_where_some_clips_were_kept_the_record_of_fewer_goes_elsewhere(bench, ends_with) -> None:
    assert bench.run("Counting", "--keep-predictions", 2, horizon=2, clips=4).exit_code == 0
    path = bench.record("counting", 2)["path"]
    ends_with(
        bench("rescore", path, "--metric", "openstl-mse"), 4, "has 4 clips, predictions of 2 were kept", "--to DIR"
    )
    assert bench("rescore", path, "--metric", "openstl-mse", "--to", "fewer").exit_code == 0
    fewer = json.loads(bench.record("counting", 2, "fewer")["path"].read_text())
    options = ("--metrics", "default", "--metrics", "openstl-mse", "--results", "direct")
    assert bench.run("Counting", *options, horizon=2, clips=2).exit_code == 0
    same_but_for_time(fewer, json.loads(bench.record("counting", 2, "direct")["path"].read_text()))
    assert bench("leaderboard", "--results", "fewer").exit_code == 0


def test_the_model_need_not_be_installed(bench, kept: Path) -> None:
    assert "counting" not in bench("plugins").stdout
    assert bench("rescore", kept, "--metric", "openstl-mse").exit_code == 0


def test_a_metric_that_cannot_be_computed_is_named_with_the_reason(bench, kept: Path, ends_with) -> None:
    result = bench("rescore", kept, "--metric", "openstl-mse", "--metric", "brightness-distance")
    assert result.exit_code == 0
    assert "brightness-distance is not computed: needs a scale" in result.stdout
    alone = bench("rescore", kept, "--metric", "brightness-distance")
    ends_with(alone, 2, "brightness-distance is not computed: needs a scale")
    options = ("--metric", "brightness-distance", "--set", "brightness-distance.scale=2")
    assert bench("rescore", kept, *options).exit_code == 0
    assert json.loads(kept.read_text())["scores"]["brightness-distance"]["value"] is not None


class TestPredictionsThatAreNotItsOwn:
    def spoil(self, record: Path, **changed: np.ndarray) -> None:
        path = record.with_suffix(".predictions.npz")
        with np.load(path) as arrays:
            content = {**arrays, **changed}
        np.savez_compressed(path, **content)

    def test_other_predictions_do_not_give_its_statistics(self, bench, kept: Path, ends_with) -> None:
        before = kept.read_bytes()
        with np.load(kept.with_suffix(".predictions.npz")) as arrays:
            self.spoil(kept, predicted=arrays["predicted"] * 0.9)
        ends_with(bench("rescore", kept, "--metric", "openstl-mse"), 4, "these predictions do not give", "counting")
        assert kept.read_bytes() == before

    def test_other_clips_are_noticed_by_their_targets(self, bench, kept: Path, ends_with) -> None:
        self.spoil(kept, ids=np.array([0, 1, 2, 9]))
        ends_with(bench("rescore", kept, "--metric", "openstl-mse"), 4, "kept with other target frames")

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"predicted": np.zeros((4, 2, 1, 16, 16), np.float32)}, "do not fit"),
            ({"ids": np.arange(3)}, "do not fit"),
            ({"ids": np.array([0, 1, 1, 3])}, "ids must be whole numbers, each once"),
            ({"ids": np.array(["a", "b", "c", "d"])}, "ids must be whole numbers, each once"),
            (
                {"predicted": np.full((4, 5, 1, 16, 16), "x"), "target": np.full((4, 5, 1, 16, 16), "x")},
                "frames of type",
            ),
            ({"predicted": np.full((4, 5, 1, 16, 16), np.nan, np.float32)}, "not finite"),
        ],
    )
    def test_arrays_that_do_not_fit_are_refused(self, bench, kept: Path, ends_with, change, why: str) -> None:
        self.spoil(kept, **change)
        ends_with(bench("rescore", kept, "--metric", "openstl-mse"), 4, "no kept predictions", why)

    def test_a_damaged_file_is_refused(self, bench, kept: Path, ends_with) -> None:
        kept.with_suffix(".predictions.npz").write_bytes(b"PK\x03\x04 and no more")
        ends_with(bench("rescore", kept, "--metric", "openstl-mse"), 4, "no kept predictions")

    def test_a_single_array_is_refused(self, bench, kept: Path, ends_with) -> None:
        with kept.with_suffix(".predictions.npz").open("wb") as file:
            np.save(file, np.zeros(3))
        ends_with(bench("rescore", kept, "--metric", "openstl-mse"), 4, "no kept predictions", "a single array")

    def test_a_stream_that_was_hit_is_refused(self, bench, kept: Path, ends_with) -> None:
        path = kept.with_suffix(".predictions.npz")
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo("predicted.npy")
        content = bytearray(path.read_bytes())
        start = member.header_offset + 30 + len(member.filename) + 40
        content[start : start + 40] = bytes(255 - byte for byte in content[start : start + 40])
        path.write_bytes(content)
        ends_with(bench("rescore", kept, "--metric", "openstl-mse"), 4, "no kept predictions")

    def test_none_kept_says_how_to_keep_them(self, bench, ends_with) -> None:
        assert bench.run("Counting", clips=4).exit_code == 0
        result = bench("rescore", bench.record("counting")["path"], "--metric", "openstl-mse")
        ends_with(result, 4, "no predictions were kept", "--keep-predictions 4 --rerun all")


def test_of_fewer_clips_what_cannot_be_measured_again_is_named(bench) -> None:
    assert bench.run("Counting", "--keep-predictions", 2, horizon=2, clips=4).exit_code == 0
    path = bench.record("counting", 2)["path"]
    document = json.loads(path.read_text())
    document["scores"]["of-another-time"] = {**document["scores"]["mse"], "version": "0"}
    path.write_text(json.dumps(document))
    result = bench("rescore", path, "--metric", "openstl-mse", "--to", "fewer")
    assert result.exit_code == 0, result.output
    assert "of-another-time is not computed: not installed here as the record has it" in result.stdout


def test_a_task_of_another_time_costs_a_line(bench, kept: Path, ends_with) -> None:
    document = json.loads(kept.read_text())
    document["identity"]["task"]["stride"] = 2
    document["cell"] = cell_id(document["identity"])
    kept.write_text(json.dumps(document))
    ends_with(bench("rescore", kept, "--metric", "openstl-mse"), 4, "has a task that cannot be made here", "stride")


def test_a_failed_cell_has_nothing_to_rescore(bench, ends_with) -> None:
    bench.run("Faulty", "--set", "fault=raises")
    ends_with(bench("rescore", bench.record("faulty")["path"], "--metric", "mse"), 4, "a failed cell")


def test_what_is_wrong_with_the_request_is_said_once(bench, kept: Path, ends_with) -> None:
    for wrong in (("--metric", "nope"), ("--metric", "openstl-mse", "--set", "openstl-mse.nope=1")):
        result = bench("rescore", kept, bench.record("counting", 1)["path"], *wrong)
        ends_with(result, 2, "nope")
        assert result.stderr.count("vpbench:") == 1


def test_a_record_outside_a_results_folder_is_not_rescored_somewhere_else(
    bench, kept: Path, tmp_path: Path, ends_with
) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    for file in (kept, kept.with_suffix(".predictions.npz")):
        shutil.copy(file, tmp_path / "a" / "b" / "c")
    alone = tmp_path / "a" / "b" / "c" / kept.name
    before = sorted(tmp_path.rglob("*.json"))
    ends_with(bench("rescore", alone, "--metric", "openstl-mse"), 4, "does not lie in a results folder", "--to DIR")
    assert sorted(tmp_path.rglob("*.json")) == before
    assert bench("rescore", alone, "--metric", "openstl-mse", "--to", "elsewhere").exit_code == 0


def test_one_bad_record_does_not_stop_the_others(bench, kept: Path) -> None:
    result = bench("rescore", "missing.json", kept, "--metric", "openstl-mse")
    assert result.exit_code == 4
    assert "openstl-mse" in result.stdout
    assert "openstl-mse" in json.loads(kept.read_text())["scores"]
