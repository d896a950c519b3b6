"""Exhibits: clips that can be shown from a clone, exact but for rounding, chosen by what was measured."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vpbench import exhibits
from vpbench.errors import RecordError, StorageError
from vpbench.exhibits import Exhibit, ExhibitClip


def some(steps: int = 4, channels: int = 1, side: int = 16, clips: int = 2) -> Exhibit:
    rng = np.random.default_rng(steps)
    return Exhibit(
        "0123456789ab",
        3,
        steps,
        "psnr-pooled",
        tuple(
            ExhibitClip(
                id=place,
                why=("fixed",),
                value=None if place else 12.5,
                truth=rng.integers(0, 256, (3 + steps, channels, side, side), dtype=np.uint8),
                predicted=rng.integers(0, 256, (steps, channels, side, side), dtype=np.uint8),
            )
            for place in range(clips)
        ),
    )


def same(one: Exhibit, other: Exhibit) -> None:
    assert (one.cell, one.context, one.horizon, one.metric) == (other.cell, other.context, other.horizon, other.metric)
    for a, b in zip(one.clips, other.clips, strict=True):
        assert (a.id, a.why, a.value) == (b.id, b.why, b.value)
        np.testing.assert_array_equal(a.truth, b.truth)
        np.testing.assert_array_equal(a.predicted, b.predicted)


class TestTheFile:
    @settings(max_examples=12, deadline=None)
    @given(steps=st.integers(1, 23), channels=st.sampled_from([1, 3]), side=st.integers(3, 17))
    def test_comes_back_pixel_for_pixel(self, tmp_path_factory, steps: int, channels: int, side: int) -> None:
        record = tmp_path_factory.mktemp("exhibit") / "extrapolate-3-4-0123456789ab.json"
        exhibit = some(steps, channels, side)
        path = exhibits.write(record, exhibit)
        assert path == exhibits.exhibit_path(record) == record.with_name("extrapolate-3-4-0123456789ab.exhibit.zip")
        same(exhibits.read(path), exhibit)

    def test_is_the_same_bytes_for_the_same_clips(self, tmp_path: Path) -> None:
        one, other = exhibits.write(tmp_path / "a.json", some()), exhibits.write(tmp_path / "b.json", some())
        assert one.read_bytes() == other.read_bytes()

    def test_any_program_can_open_its_pictures(self, tmp_path: Path) -> None:
        exhibit = some(steps=12, side=8)
        with zipfile.ZipFile(exhibits.write(tmp_path / "a.json", exhibit)) as archive:
            assert archive.testzip() is None
            with Image.open(io.BytesIO(archive.read("000-predicted.webp"))) as sheet:
                pixels = np.asarray(sheet.convert("L"))
        assert pixels.shape == (16, 80)  # ten frames a row
        np.testing.assert_array_equal(pixels[8:, 8:16], exhibit.clips[0].predicted[11, 0])

    @pytest.mark.parametrize(
        ("exhibit", "why"), [(some(channels=2), "2 channels"), (some(side=1700, steps=10, clips=1), "too large")]
    )
    def test_frames_that_no_picture_holds_are_refused(self, tmp_path: Path, exhibit: Exhibit, why: str) -> None:
        with pytest.raises(ValueError, match=why):
            exhibits.write(tmp_path / "a.json", exhibit)
        assert not list(tmp_path.iterdir())

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_where_there_is_no_place_for_it_is_a_storage_error(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        with pytest.raises(StorageError):
            exhibits.write(tmp_path / "a.json", some())


class TestDamage:
    def rewritten(self, tmp_path: Path, change: dict[str, object] | None = None, without: str = "") -> Path:
        path = exhibits.write(tmp_path / "a.json", some())
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist() if name != without}
        if change is not None:
            members["exhibit.json"] = json.dumps(json.loads(members["exhibit.json"]) | change).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"schema": 2}, "upgrade vpbench"),
            ({"schema": "1"}, "schema"),
            ({"frame_shape": [1, 16]}, "whole numbers"),
            ({"frame_shape": [2, 16, 16]}, "frames of"),
            ({"frame_shape": [1, 8, 16]}, "a sheet of"),
            ({"horizon": 400000000}, "frames of"),
            ({"horizon": 20}, "a sheet of"),
            ({"clips": []}, "no clips"),
            ({"clips": [{"id": "one", "why": [], "value": 1}]}, "an id and reasons"),
            ({"clips": [{"id": 1, "why": ["<b>"], "value": 1}]}, "an id and reasons"),
            ({"clips": [{"id": 1, "why": [], "value": "high"}]}, "a finite number or null"),
            ({"clips": [{"id": 1, "why": [], "value": 10**400}]}, "a finite number or null"),
            ({"clips": [{"id": 1, "why": [["best"]], "value": 1}]}, "an id and reasons"),
            ({"clips": [7]}, "a clip must be an object"),
            ({"cell": 7}, "text"),
        ],
    )
    def test_a_document_that_is_wrong_is_named(self, tmp_path: Path, change: dict[str, object], why: str) -> None:
        with pytest.raises(RecordError, match=why) as caught:
            exhibits.read(self.rewritten(tmp_path, change))
        assert "a.exhibit.zip is no exhibit" in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("member", ["exhibit.json", "001-truth.webp"])
    def test_a_member_that_is_missing_is_named(self, tmp_path: Path, member: str) -> None:
        with pytest.raises(RecordError, match=member):
            exhibits.read(self.rewritten(tmp_path, without=member))

    def test_a_member_that_may_hold_more_than_it_says_is_refused(self, tmp_path: Path) -> None:
        path = self.rewritten(tmp_path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        with pytest.raises(RecordError, match=r"exhibit\.json is compressed or encrypted"):
            exhibits.read(path)

    def test_a_picture_far_beyond_its_frames_is_refused(self, tmp_path: Path, monkeypatch) -> None:
        path = exhibits.write(tmp_path / "a.json", some())
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # so that these pictures are what Pillow calls bombs
        with pytest.raises(RecordError, match="no exhibit"):
            exhibits.read(path)

    @pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"no archive"])
    def test_a_file_that_is_no_archive_is_refused(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.exhibit.zip"
        path.write_bytes(content)
        with pytest.raises(RecordError, match="no exhibit"):
            exhibits.read(path)

    def test_a_missing_file_says_how_to_make_one(self, tmp_path: Path) -> None:
        with pytest.raises(RecordError, match="--rerun all"):
            exhibits.read(tmp_path / "a.exhibit.zip")


class TestChoice:
    def test_best_median_and_worst_by_error(self) -> None:
        found = exhibits.chosen([10, 11, 12, 13, 14, 15], np.array([3.0, 1.0, 9.0, 0.5, 4.0, 2.0]))
        assert found == {10: ("fixed",), 11: ("fixed",), 13: ("best",), 15: ("median",), 12: ("worst",)}

    def test_a_clip_may_have_several_reasons(self) -> None:
        assert exhibits.chosen([7], np.array([1.0])) == {7: ("fixed", "best", "median", "worst")}

    def test_clips_without_a_value_are_only_shown_as_fixed(self) -> None:
        assert exhibits.chosen([7, 8, 9], np.array([np.nan] * 3)) == {7: ("fixed",), 8: ("fixed",)}
        assert exhibits.chosen([7, 8, 9], np.array([np.nan, 2.0, 1.0]))[9] == ("best", "median")


class TestOfARun:
    def read(self, bench, model: str, horizon: int) -> Exhibit:
        return exhibits.read(exhibits.exhibit_path(bench.record(model, horizon)["path"]))

    def test_it_holds_what_was_predicted_and_scored(self, bench) -> None:
        assert bench.run("Counting", "--keep-predictions", 6, horizon=5, clips=6).exit_code == 0
        exhibit, record = self.read(bench, "counting", 5), bench.record("counting", 5)
        assert (exhibit.cell, exhibit.context, exhibit.horizon) == (record["cell"], 10, 5)
        errors = np.array(record["statistics"]["vpbench-metrics/squared_error"])
        by_reason = {why: clip for clip in exhibit.clips for why in clip.why}
        assert by_reason["best"].id == errors.argmin()
        assert by_reason["worst"].id == errors.argmax()
        assert by_reason["best"].value == pytest.approx(10 * np.log10(1 / errors.min()), rel=1e-5)
        assert [clip.id for clip in exhibit.clips][:2] == [0, 1]
        with np.load(record["path"].with_suffix(".predictions.npz")) as kept:
            for clip in exhibit.clips:
                np.testing.assert_allclose(clip.predicted / 255, kept["predicted"][clip.id], atol=0.5 / 255 + 1e-6)
                np.testing.assert_allclose(clip.truth[:10] / 255, kept["context"][clip.id], atol=1e-6)
                np.testing.assert_allclose(clip.truth[10:] / 255, kept["target"][clip.id], atol=1e-6)

    def test_only_the_longest_horizon_has_one(self, bench) -> None:
        assert bench.run("Counting", horizon=5).exit_code == 0
        assert len(list((bench.folder / "runs").glob("**/*.exhibit.zip"))) == 1
        assert not exhibits.exhibit_path(bench.record("counting", 1)["path"]).exists()

    def test_it_can_be_done_without(self, bench) -> None:
        assert bench.run("Counting", "--no-exhibit", horizon=5).exit_code == 0
        assert not list((bench.folder / "runs").glob("**/*.exhibit.zip"))

    def test_a_model_that_answers_otherwise_the_second_time_has_none(self, bench) -> None:
        result = bench.run("Moody", horizon=2)
        assert result.exit_code == 0
        assert "no exhibit: predicted again, these clips come out otherwise" in result.stdout
        assert bench.record("moody", 2)["status"] == "ok"

    def test_a_record_made_anew_does_not_keep_pictures_of_other_predictions(self, bench) -> None:
        assert bench.run("Counting", horizon=5).exit_code == 0
        path = exhibits.exhibit_path(bench.record("counting", 5)["path"])
        assert path.exists()
        assert bench.run("Counting", "--rerun", "all", "--no-exhibit", horizon=5).exit_code == 0
        assert not path.exists()

    def test_an_image_library_that_fails_costs_a_line(self, bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(Image.SAVE, "WEBP")  # as where Pillow was built without it
        result = bench.run("Last", horizon=2)
        assert result.exit_code == 0
        assert "no exhibit: KeyError: 'WEBP'" in result.stdout
        assert bench.record("last", 2)["status"] == "ok"

    def test_frames_that_no_picture_holds_cost_a_line(self, bench) -> None:
        result = bench.run("Last", "--set", "channels=2")
        assert result.exit_code == 0
        assert "no exhibit: pictures are grey or RGB, the frames have 2 channels" in result.stdout

    def test_boards_do_not_take_it_for_a_record(self, bench) -> None:
        assert bench.run("Last").exit_code == 0
        result = bench("leaderboard", "--results", "runs")
        assert (result.exit_code, result.stderr) == (0, "")
