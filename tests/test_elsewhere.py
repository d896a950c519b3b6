"""Predictions made elsewhere: what `vpbench export-context` asks, and what `vpbench score` makes of the answer."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vpbench
from vpbench.elsewhere import prediction_files
from vpbench.elsewhere.context_files import Asked
from vpbench.elsewhere.prediction_files import opened
from vpbench.errors import VpbenchError

#: A model in a file that writes down all it is told, with numpy alone.
SPY = """
import numpy as np
import vpbench

class Spy:
    spec = vpbench.ModelSpec(
        name="spy", factory="m:M", summary="Writes down what it is told", version="1",
        capabilities=frozenset({"fractional", "irregular-context"}),
    )

    def __init__(self, config, **_):
        pass

    def predict(self, context, target_times):
        told = {"frames": context.frames, "times": context.times, "seeds": context.seeds, "target_times": target_times}
        if context.observed is not None:
            told["observed"] = context.observed
        np.savez("told.npz", **{name: tensor.numpy() for name, tensor in told.items()})
        return context.frames[:, -1:].repeat(1, target_times.shape[1], 1, 1, 1)
"""


@pytest.fixture
def ask(bench) -> Callable[..., dict[str, np.ndarray]]:
    """`vpbench export-context` on a small dataset; its arrays."""

    def asked(*args: object, dataset: str = "squares", horizon: int = 3, clips: int = 4) -> dict[str, np.ndarray]:
        result = bench(
            *("export-context", "--dataset", dataset, "--horizon", horizon, "--clips", clips, "-o", "context.npz"),
            *args,
        )
        assert result.exit_code == 0, result.stderr
        return arrays("context.npz")

    return asked


@pytest.fixture
def score(bench) -> Callable[..., Any]:
    """Save these arrays as predictions and score them."""

    def scored(*args: object, compressed: bool = False, **content: Any) -> Any:
        (np.savez_compressed if compressed else np.savez)("predictions.npz", **content)
        return bench("score", "predictions.npz", "--model-name", "mine", *args)

    return scored


def arrays(path: str | Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def last(context: dict[str, np.ndarray]) -> np.ndarray:
    """What the model `Last` of tests/fakes predicts."""
    return np.repeat(context["frames"][:, -1:], context["target_times"].shape[1], axis=1)


def answer(context: dict[str, np.ndarray], **changed: Any) -> dict[str, Any]:
    return {"predicted": last(context), "request": context["request"], **changed}


def numbers(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in ("scores", "statistics", "status")}


class TestContextFiles:
    @pytest.mark.parametrize(
        ("dataset", "config", "dtype"),
        [
            ("squares", (), "uint8"),
            ("squares", ("floats=true",), "float32"),
            ("squares", ("channels=3", "order=down"), "uint8"),
            ("ramps", ("irregular=true",), "float32"),
            ("ramps", ("shown=dimmed", "missing=4"), "float32"),
        ],
    )
    def test_it_holds_what_a_model_in_a_run_is_told(self, bench, ask, dataset: str, config, dtype: str) -> None:
        Path("spy.py").write_text(SPY)
        lines = [word for each in config for word in ("--set", each)]
        clips = ("--dataset", dataset, "--clips", 3, "--horizon", 4)
        assert bench("run", "--model", "spy.py:Spy", *clips, "--no-exhibit", *lines).exit_code == 0
        told, context = arrays("told.npz"), ask(*lines, dataset=dataset, clips=3, horizon=4)
        assert context["frames"].dtype == dtype
        frames = context.pop("frames")
        np.testing.assert_array_equal(frames.astype("f4") / (255 if dtype == "uint8" else 1), told.pop("frames"))
        assert context.keys() == told.keys() | {"ids", "request"}
        for name, values in told.items():
            np.testing.assert_array_equal(context[name], values, strict=True)

    def test_nothing_of_the_future_is_in_it(self, ask) -> None:
        futures = [ask("--set", f"future={future}") for future in ("true", "noise")]
        for name in futures[0].keys() - {"request"}:
            np.testing.assert_array_equal(futures[0][name], futures[1][name])
        assert sorted(futures[0]) == ["frames", "ids", "request", "seeds", "target_times", "times"]

    def test_more_clips_than_a_batch_are_in_their_order(self, ask) -> None:
        from fake_datasets import Squares, SquaresConfig

        context = ask(clips=37)
        clips = Squares(SquaresConfig()).clips("test", range(37), np.tile(np.arange(10.0), (37, 1)))
        np.testing.assert_array_equal(context["frames"], clips.frames)
        assert context["ids"].tolist() == list(range(37))
        assert len(set(context["seeds"].tolist())) == 37

    def test_the_same_request_gives_the_same_bytes(self, ask) -> None:
        ask()
        first = Path("context.npz").read_bytes()
        ask()
        assert Path("context.npz").read_bytes() == first
        with zipfile.ZipFile("context.npz") as archive:
            assert archive.testzip() is None

    def test_all_clips_are_taken_where_there_are_fewer(self, ask) -> None:
        assert len(ask("--set", "clips=3", clips=100)["frames"]) == 3

    @pytest.mark.parametrize(
        ("args", "code", "message"),
        [
            (("--dataset", "sqares"), 2, "no dataset 'sqares'; did you mean squares?"),
            (("--set", "length=12"), 2, "horizon 3 needs 13 frames, squares has 12"),
            (("--set", "colour=1"), 2, "no config key 'colour'"),
            (("--clips", "0"), 2, "0 is not in the range x>=1"),
            (("--dataset", "broken-dataset", "--set", "fails=shape"), 1, "the dataset gave frames of shape"),
        ],
    )
    def test_what_cannot_be_asked_is_said_and_leaves_no_file(self, bench, ends_with, args, code, message) -> None:
        command = ("export-context", "--dataset", "squares", "--horizon", 3, "-o", "context.npz")
        ends_with(bench(*command, *args), code, message)
        assert list(bench.folder.iterdir()) == []

    def test_a_place_that_cannot_be_written_is_said(self, bench, ends_with) -> None:
        (bench.folder / "file").touch()
        result = bench("export-context", "--dataset", "squares", "--horizon", 3, "-o", "file/context.npz")
        ends_with(result, 5, "cannot write file/context.npz", "choose another folder")


class TestScores:
    @pytest.mark.parametrize("floats", [False, True], ids=["uint8", "float32"])
    def test_they_are_those_of_the_same_model_in_a_run(self, bench, ask, score, floats: bool) -> None:
        assert bench.run("Last", clips=4, horizon=3).exit_code == 0
        context = ask()
        predicted = last(context).astype("f4") / np.float32(255) if floats else last(context)
        result = score(**answer(context, predicted=predicted))
        assert result.exit_code == 0, result.stderr
        assert numbers(bench.record("mine", 3)) == numbers(bench.record("last", 3))

    def test_they_are_what_the_definition_says(self, bench, ask, score) -> None:
        from fake_datasets import Squares, SquaresConfig

        context = ask()
        predicted = np.random.default_rng(0).random((4, 3, 1, 16, 16))
        assert score(**answer(context, predicted=predicted)).exit_code == 0
        times = np.tile(np.arange(10.0, 13.0), (4, 1))
        target = Squares(SquaresConfig()).clips("test", range(4), times).frames.astype(np.float64) / 255
        expected = np.mean([(predicted[i] - target[i]) ** 2 for i in range(4)])
        assert bench.record("mine", 3)["scores"]["mse"]["value"] == pytest.approx(expected, rel=1e-5)

    def test_each_clip_is_held_against_its_own_truth_whatever_the_batch(self, bench, ask, score) -> None:
        context = ask(clips=5)
        assert score("--batch-size", 2, **answer(context)).exit_code == 0
        two = bench.record("mine", 3)
        assert score("--results", "others", "--batch-size", 5, **answer(context)).exit_code == 0
        assert numbers(bench.record("mine", 3, "others")) == numbers(two)

    @pytest.mark.parametrize(
        ("dataset", "config"),
        [("squares", "channels=3"), ("squares", "order=down"), ("ramps", "irregular=true"), ("ramps", "missing=4")],
    )
    def test_the_dataset_is_configured_as_it_was_asked(self, bench, ask, score, dataset: str, config: str) -> None:
        context = ask("--set", config, dataset=dataset, clips=3)
        result = score(**answer(context))
        assert result.exit_code == 0, result.stderr
        key, value = config.split("=")
        recorded = bench.record("mine", 3)["identity"]["dataset"]["config"][key]
        assert str(recorded).lower() == value

    def test_floors_come_along(self, with_floors, ask, score) -> None:
        result = score(**answer(ask()))
        assert result.exit_code == 0
        assert {name for name, _ in with_floors.records()} == {
            *("mine", "black", "context-mean", "copy-last", "train-mean")
        }
        mine, floor = with_floors.record("mine", 3), with_floors.record("copy-last", 3)
        assert numbers(mine) == numbers(floor)
        assert "mine" in result.stdout

    def test_only_what_was_asked_is_scored_of_a_model_that_may_see_its_horizon(self, bench, ask, score) -> None:
        assert score(**answer(ask(horizon=10))).exit_code == 0
        assert set(bench.records()) == {("mine", 10)}

    def test_a_prefix_stable_model_has_the_reporting_horizons_too(self, bench, ask, score) -> None:
        assert bench.run("Last", clips=4, horizon=10).exit_code == 0
        assert score("--prefix-stable", **answer(ask(horizon=10))).exit_code == 0
        assert {horizon for name, horizon in bench.records() if name == "mine"} == {1, 5, 10}
        for horizon in (1, 5, 10):
            assert numbers(bench.record("mine", horizon)) == numbers(bench.record("last", horizon))

    def test_the_first_clips_are_a_record_of_fewer(self, bench, ask, score) -> None:
        context = ask()
        result = score(**answer(context, predicted=last(context)[:2]))
        assert result.exit_code == 0
        assert "predictions of the first 2 of the 4 clips that were asked for" in result.stdout
        assert bench.record("mine", 3)["identity"]["clips"] == 2
        assert len(bench.record("mine", 3)["statistics"]["vpbench-metrics/squared_error"]) == 2

    def test_the_context_file_can_say_what_was_asked(self, bench, ask, score) -> None:
        context = ask()
        result = score("--asked", "context.npz", predicted=last(context))
        assert result.exit_code == 0, result.stderr
        assert bench.record("mine", 3)["status"] == "ok"

    def test_more_metrics_are_added_when_asked_for(self, bench, ask, score) -> None:
        context = ask()
        assert score("--metric", "mse", **answer(context)).exit_code == 0
        assert sorted(bench.record("mine", 3)["scores"]) == ["mse"]
        assert score("--metric", "mae", "--metric", "sets", "--set", "brightness-distance.scale=2", **answer(context))
        assert sorted(bench.record("mine", 3)["scores"]) == ["brightness-distance", "mae", "mse"]


class TestFiles:
    """One set of predictions, written in many ways."""

    @pytest.fixture
    def reference(self, bench, ask, score) -> dict[str, Any]:
        assert score("--results", "reference", **answer(ask())).exit_code == 0
        return bench.record("mine", 3, "reference")

    def test_ids_say_which_row_is_which_clip(self, bench, ask, score, reference) -> None:
        context, order = arrays("context.npz"), [2, 0, 3, 1]
        assert score(**answer(context, predicted=last(context)[order], ids=context["ids"][order])).exit_code == 0
        assert numbers(bench.record("mine", 3)) == numbers(reference)
        assert bench.record("mine", 3)["cell"] == reference["cell"]

    @pytest.mark.parametrize("compressed", [False, True])
    @pytest.mark.parametrize(
        "change", [np.asfortranarray, lambda x: x.astype("f8") / 255, lambda x: x / np.float32(255)]
    )
    def test_the_layout_of_the_file_is_of_no_influence(self, bench, score, reference, change, compressed) -> None:
        context = arrays("context.npz")
        predicted = change(last(context))
        assert score(**answer(context, predicted=predicted), compressed=compressed).exit_code == 0
        assert numbers(bench.record("mine", 3)) == numbers(reference)

    def test_other_byte_orders_are_the_same_predictions(self, bench, ask, score) -> None:
        context, cells = ask(), []
        for kind in ("<f4", ">f4"):
            predicted = (last(context) / np.float32(255)).astype(kind)
            assert score("--results", kind[1:] + kind[:0], **answer(context, predicted=predicted)).exit_code == 0
            cells.append(bench.record("mine", 3, "f4")["cell"])
        assert cells[0] == cells[1]

    def test_half_precision_is_taken_as_it_is(self, bench, ask, score) -> None:
        context = ask()
        half = (last(context) / 255).astype(np.float16)
        assert score(**answer(context, predicted=half)).exit_code == 0
        value = bench.record("mine", 3)["scores"]["mse"]["value"]
        assert score("--results", "single", **answer(context, predicted=half.astype("f4"))).exit_code == 0
        assert bench.record("mine", 3, "single")["scores"]["mse"]["value"] == value

    @settings(max_examples=25, deadline=None)
    @given(data=st.data())
    def test_any_first_clips_in_any_order_are_found_again(self, data, tmp_path_factory) -> None:
        n = data.draw(st.integers(1, 6))
        asked = data.draw(st.permutations(range(0, 60, 10)))
        order = data.draw(st.permutations(range(n)))
        fortran, compressed = data.draw(st.booleans()), data.draw(st.booleans())
        kind = data.draw(st.sampled_from(["u1", "f2", "<f4", ">f8"]))
        values = np.random.default_rng(n).integers(0, 256, (n, 2, 1, 3, 4))
        predicted = values.astype(kind) if kind == "u1" else (values / 255).astype(kind)
        written = np.asarray(predicted[list(order)], order="F" if fortran else "C")
        path = tmp_path_factory.mktemp("property") / "p.npz"
        save = np.savez_compressed if compressed else np.savez
        save(path, predicted=written, ids=np.array(asked)[list(order)])
        with opened(path) as file:
            found = file.predictions(asked, (2, 1, 3, 4))
        for place in range(n):
            np.testing.assert_array_equal(
                found.of(place, 1), predicted[place, :1].astype("u1" if kind == "u1" else "f4")
            )

    def test_predictions_that_are_stored_are_read_in_place(self, score, ask, ends_with, monkeypatch) -> None:
        """Whatever their size; what would have to be unpacked in memory is bounded."""
        monkeypatch.setattr(prediction_files, "UNPACKED_LIMIT", 1000)
        context = ask()
        assert score(**answer(context)).exit_code == 0
        with opened(Path("predictions.npz")) as file:
            assert isinstance(file.predictions(context["ids"], (3, 1, 16, 16)).frames, np.memmap)
        ends_with(score(**answer(context), compressed=True), 4, "predicted is compressed", "save it with numpy.savez")


class TestRecords:
    def test_it_says_that_the_predictions_were_made_elsewhere(self, bench, ask, score) -> None:
        result = score(**answer(ask()))
        about = bench.record("mine", 3)["about"]
        assert re.fullmatch("[0-9a-f]{64}", about["elsewhere"])
        assert about["assumptions"] == "predictions were made elsewhere: that no target was seen cannot be checked"
        assert about["caveat"] == "made up"  # of the dataset
        assert "Predictions were made elsewhere: that no target was seen cannot be checked." in result.stdout
        assert "no trained weights" not in result.stdout  # nobody knows

    def test_it_claims_neither_speed_nor_size(self, with_floors, ask, score) -> None:
        assert score(**answer(ask())).exit_code == 0
        cost = with_floors.record("mine", 3)["cost"]
        assert {key: cost[key] for key in ("frames_per_s", "predict_s", "parameters", "peak_memory_mb")} == {
            **dict.fromkeys(("frames_per_s", "predict_s", "parameters", "peak_memory_mb"))
        }
        assert with_floors.record("black", 3)["cost"]["frames_per_s"] > 0

    def test_its_version_is_its_predictions(self, bench, ask, score) -> None:
        context = ask()
        assert score(**answer(context)).exit_code == 0
        digest = bench.record("mine", 3)["about"]["elsewhere"][:12]
        assert bench.record("mine", 3)["identity"]["model"]["version"] == digest
        assert "1 done" in score(**answer(context)).stdout
        assert score("--model-version", "2", "--results", "second", **answer(context)).exit_code == 0
        assert bench.record("mine", 3, "second")["identity"]["model"]["version"] == f"2+{digest}"

    def test_other_predictions_never_pass_for_those_before(self, bench, ask, score) -> None:
        context = ask()
        assert score("--model-version", "1", **answer(context)).exit_code == 0
        changed = last(context)
        changed[3, 2, 0, 15, 15] += 1
        result = score("--model-version", "1", **answer(context, predicted=changed))
        assert result.exit_code == 0
        assert len(list(bench.folder.glob("runs/squares/mine/*.json"))) == 2
        assert len(set(re.findall(r"mine, version 1\+[0-9a-f]{12}", result.stdout))) == 2

    def test_boards_of_all_kinds_show_it_without_speed_and_size(self, with_floors, ask, score) -> None:
        assert score(**answer(ask())).exit_code == 0
        for ending in ("md", "csv", "tex", "json"):
            result = with_floors("leaderboard", "--results", "runs", "--output", f"board.{ending}")
            assert result.exit_code == 0, result.stderr
        (board,) = json.loads(Path("board.json").read_text())["boards"]
        rows = {row["label"]: row for row in board["rows"]}
        assert rows["mine"]["parameters"] is None
        assert rows["mine"]["speed"]["frames_per_s"] is None
        assert rows["black"]["speed"]["frames_per_s"] > 0
        line = next(line for line in Path("board.md").read_text().splitlines() if "| mine" in line)
        assert [cell.strip() for cell in line.split("|")][-4:-1] == ["–", "–", "not known"]

    def test_reports_comparisons_and_pictures_are_made_of_it(self, with_floors, ask, score) -> None:
        assert score(**answer(ask(clips=8))).exit_code == 0
        assert with_floors("report", "--results", "runs", "--output", "page.html").exit_code == 0
        assert "Predictions made elsewhere" in Path("page.html").read_text()
        compared = with_floors("compare", "mine", "black", "--results", "runs", "--horizon", 3)
        assert compared.exit_code == 0, compared.stderr
        path = with_floors.record("mine", 3)["path"]
        shown = with_floors("show", path, "--output", "strip.png")
        assert shown.exit_code == 0, shown.stderr
        assert Path("strip.png").stat().st_size > 0

    def test_it_cannot_be_verified_and_says_why(self, bench, ask, score, ends_with) -> None:
        assert score(**answer(ask())).exit_code == 0
        path = bench.record("mine", 3)["path"]
        ends_with(bench("verify", path), 4, str(path), "were made elsewhere", "vpbench score")
        path.with_suffix(".exhibit.zip").unlink()
        ends_with(bench("show", path), 4, "were made elsewhere")

    def test_kept_predictions_can_be_rescored(self, bench, ask, score) -> None:
        context = ask()
        assert score("--keep-predictions", 4, **answer(context)).exit_code == 0
        path = bench.record("mine", 3)["path"]
        np.testing.assert_allclose(arrays(path.with_suffix(".predictions.npz"))["predicted"], last(context) / 255)
        result = bench("rescore", path, "--metric", "error")
        assert result.exit_code == 0, result.stderr
        assert "error" in bench.record("mine", 3)["scores"]


def again(request: np.ndarray, **changed: Any) -> np.ndarray:
    """A request that is not edited but of something else."""
    asked = Asked.from_json(str(request))
    if dataset := changed.pop("dataset", {}):
        changed["dataset"] = {**asked.dataset, **dataset}
    return np.array(replace(asked, **changed).to_json())


class Detonator:
    """Unpickled, it leaves a file behind."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


def wrong(change: Callable[..., dict[str, Any]], *messages: str) -> Any:
    """What is changed in a good answer to this context (None: left out), and what is said about it."""
    return pytest.param(change, messages, id=messages[0])


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "messages"),
        [
            wrong(lambda c: {"predicted": None}, "no array 'predicted'; there is: request; save it with numpy.savez"),
            wrong(lambda c: {"request": None}, "does not say what was asked", "request=context['request']", "--asked"),
            wrong(lambda c: {"predicted": last(c)[:, :, 0]}, "shape (4, 3, 16, 16), asked were (4, 3, 1, 16, 16)"),
            wrong(
                lambda c: {"predicted": last(c)[:, :2]}, "(4, 2, 1, 16, 16)", "clips, steps, channels, height, width"
            ),
            wrong(lambda c: {"predicted": np.array(0.5)}, "predicted has shape ()"),
            wrong(lambda c: {"predicted": last(c).repeat(2, axis=0)}, "predicted has 8 clips, asked were 4"),
            wrong(lambda c: {"predicted": last(c)[:0]}, "predicted has 0 clips"),
            wrong(lambda c: {"predicted": last(c).astype(int)}, "predicted is int64", "uint8 in 0..255"),
            wrong(lambda c: {"predicted": last(c) > 9}, "predicted is bool"),
            wrong(lambda c: {"predicted": last(c).astype("c8")}, "predicted is complex64"),
            wrong(
                lambda c: {"predicted": last(c).astype("f4")},
                "values from 0 to 103",
                "divided by 255, or saved as uint8",
            ),
            wrong(lambda c: {"predicted": last(c) / 127.5 - 1}, "[-1, 1] are to be given as (x + 1) / 2"),
            wrong(lambda c: {"predicted": last(c) - 7e4}, "scale them to [0, 1], or clip"),
            wrong(lambda c: {"predicted": (last(c) > 9).astype("u1")}, "uint8 and nowhere above 1"),
            wrong(lambda c: {"ids": [0, 1, 2, 9]}, "clip 9 was not asked for; asked were 0, 1, 2, 3"),
            wrong(lambda c: {"ids": [0, 1, 2, 1]}, "clip 1 is there twice"),
            wrong(lambda c: {"ids": [0, 1, 2]}, "ids cannot be read", "4 whole numbers, one per row"),
            wrong(lambda c: {"ids": [0.0, 1.0, 2.0, 3.0]}, "ids cannot be read (they are float64"),
            wrong(lambda c: {"predicted": last(c)[2:], "ids": [2, 3]}, "not the first 2", "predict clip 0 too"),
            wrong(lambda c: {"request": "{"}, "its request is no JSON", "copy it from the context file"),
            wrong(lambda c: {"request": "[]"}, "none of vpbench export-context"),
            wrong(lambda c: {"request": '{"schema": 2}'}, "schema 2, this vpbench reads up to 1: upgrade"),
            wrong(lambda c: {"request": np.array([1, 2])}, "request cannot be read (it is int64 (2,) and no text)"),
            wrong(lambda c: {"request": str(c["request"]).replace('"clips":4', '"clips":3')}, "its request was edited"),
            wrong(lambda c: {"request": again(c["request"], dataset={"version": "0"})}, "version 0, installed is 1"),
            wrong(
                lambda c: {"request": again(c["request"], dataset={"fingerprint": "f00"})},
                "f00, here it is",
                "ask again",
            ),
            wrong(lambda c: {"request": again(c["request"], ids_sha256="0")}, "other test clips here than were asked"),
            wrong(lambda c: {"request": again(c["request"], clips=500)}, "other test clips here than were asked"),
        ],
    )
    def test_one_line_says_what_to_do(self, bench, ask, score, ends_with, change, messages) -> None:
        context = ask()
        content = {**answer(context), **change(context)}
        result = score(**{name: values for name, values in content.items() if values is not None})
        ends_with(result, 4, "predictions.npz: ", *messages)
        assert not (bench.folder / "runs").exists()

    def test_what_is_not_finite_is_named(self, ask, score, ends_with) -> None:
        context = ask("--set", "order=down")
        predicted = last(context) / 255
        predicted[1, 2, 0, 3, 3] = np.nan
        result = score(**answer(context, predicted=predicted))
        ends_with(result, 4, f"NaN or infinity, first at step 3 of clip {context['ids'][1]}")

    def test_pickled_objects_are_refused_and_not_run(self, bench, ask, score, ends_with) -> None:
        context = ask()
        objects = np.full(4, Detonator(), dtype=object)
        for content in (
            answer(context, predicted=objects),
            answer(context, ids=objects),
            answer(context, request=objects),
        ):
            ends_with(score(**content), 4, "holds pickled objects, which can run code when they are read: refused")
        assert not Path("exploded").exists()
        np.load("predictions.npz", allow_pickle=True)["request"]
        assert Path("exploded").exists()  # it would have

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "predictions.npz: cannot be read: No such file or directory"),
            (b"", "predictions.npz: no .npz file"),
            (b"PK\x03\x04 half a file", "predictions.npz: no .npz file"),
            (b"\x93NUMPY\x01\x00", "predictions.npz: no .npz file"),
        ],
    )
    def test_a_file_that_is_no_npz_is_said_to_be_none(self, bench, ends_with, content, message) -> None:
        if content is not None:
            Path("predictions.npz").write_bytes(content)
        ends_with(bench("score", "predictions.npz", "--model-name", "mine"), 4, message)

    @pytest.mark.parametrize("compressed", [False, True])
    def test_a_damaged_file_is_found(self, bench, ask, score, ends_with, compressed: bool) -> None:
        assert score(**answer(ask()), compressed=compressed).exit_code == 0
        good = Path("predictions.npz").read_bytes()
        with zipfile.ZipFile("predictions.npz") as archive:
            member = archive.getinfo("predicted.npy")
            middle = member.header_offset + 30 + member.compress_size // 2
        Path("predictions.npz").write_bytes(good[:middle] + bytes([good[middle] ^ 255]) + good[middle + 1 :])
        score_again = ("score", "predictions.npz", "--model-name", "mine")
        ends_with(bench(*score_again), 4, "predictions.npz: predicted cannot be read", "write the file again")
        Path("predictions.npz").write_bytes(good[: len(good) // 2])
        ends_with(bench(*score_again), 4, "predictions.npz: no .npz file")

    @pytest.mark.parametrize("header", ["{'descr': (\n", "{'descr':", "'", "", "{" * 200, "\x00"])
    def test_a_header_that_is_none_is_one_line(self, bench, ask, ends_with, header: str) -> None:
        ask()
        begin = b"\x93NUMPY\x01\x00" + (len(header) + 2).to_bytes(2, "little") + header.encode() + b" \n"
        with zipfile.ZipFile("predictions.npz", "w") as archive:
            archive.writestr("predicted.npy", begin + b"0" * 100)
        result = bench("score", "predictions.npz", "--model-name", "mine", "--asked", "context.npz")
        ends_with(result, 4, "predictions.npz: predicted cannot be read")

    @pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_however_it_is_packed_damage_is_one_line(self, bench, ask, ends_with, method: int) -> None:
        file = io.BytesIO()
        np.save(file, last(ask()))
        with zipfile.ZipFile("predictions.npz", "w", method) as archive:
            archive.writestr("predicted.npy", file.getvalue())
        packed = bytearray(Path("predictions.npz").read_bytes())
        packed[60:120] = bytes(byte ^ 0x55 for byte in packed[60:120])
        Path("predictions.npz").write_bytes(packed)
        result = bench("score", "predictions.npz", "--model-name", "mine", "--asked", "context.npz")
        ends_with(result, 4, "predictions.npz: predicted cannot be read")

    @pytest.mark.parametrize("shape", ["(4, 3, 1, 16, 17)", "(4, 3, 1, 16, 15)", "(4, 3, 1, 16, -16)"])
    def test_a_header_that_lies_about_the_size_is_found(self, bench, ask, ends_with, shape: str) -> None:
        context = ask()
        file = io.BytesIO()
        np.save(file, last(context))
        lying = file.getvalue().replace(b"(4, 3, 1, 16, 16)", shape.encode(), 1)
        with zipfile.ZipFile("predictions.npz", "w") as archive:
            archive.writestr("predicted.npy", lying.replace(b" \n", b"\n", len(shape) - 17))
            archive.write("context.npz", "other.bin")
        result = bench("score", "predictions.npz", "--model-name", "mine", "--asked", "context.npz")
        ends_with(result, 4, "predictions.npz: predicted ")

    def test_an_answer_to_another_request_is_not_taken(self, bench, ask, score, ends_with) -> None:
        first = ask()
        ask("--set", "size=20")
        result = score("--asked", "context.npz", **answer(first))
        ends_with(result, 4, "these predictions answer another request than the one of context.npz")
        np.savez("other.npz", frames=first["frames"])
        ends_with(score("--asked", "other.npz", **answer(first)), 4, "other.npz: it holds no request")

    @pytest.mark.parametrize(
        ("args", "code", "messages"),
        [
            (("--model-name", "Mine"), 2, ("--model-name: name 'Mine': use lower case letters, digits",)),
            (("--model-name", "copy-last"), 2, ("model 'copy-last' is provided by", "give yours another name")),
            (("--model-name", "squares"), 2, ("--model-name squares: that is the dataset",)),
            (("--model-version", ""), 2, ("--model-version '' is no text that can be shown: leave it out",)),
            (("--model-version", "1\n2"), 2, ("--model-version '1\\n2' is no text that can be shown",)),
            (("--metric", "sim"), 2, ("no metric or convention 'sim'; did you mean ssim?",)),
            (("--set", "size=20"), 2, ("--set size: the request says the config of squares",)),
            (("--set", "nothing=1"), 2, ("no config key 'nothing'",)),
        ],
    )
    def test_options_that_make_no_sense_are_usage_errors(
        self, with_floors, ask, score, ends_with, args, code, messages
    ):
        ends_with(score(*args, **answer(ask())), code, *messages)

    def test_a_dataset_that_is_not_installed_is_named(self, bench, ask, score, ends_with) -> None:
        request = again(ask()["request"], dataset={"name": "circles"})
        ends_with(score(**answer(arrays("context.npz"), request=request)), 2, "no dataset 'circles'")


class TestFromPython:
    """`vpbench.export_context` and `vpbench.score` do what the commands do."""

    def test_they_write_the_same_files_and_records(self, bench, ask, score) -> None:
        context = ask()
        path = vpbench.export_context("squares", 3, "here.npz", clips=4, progress=False)
        assert path.read_bytes() == Path("context.npz").read_bytes()
        assert score(**answer(context)).exit_code == 0
        table = vpbench.score("predictions.npz", "mine", results="here", progress=False)
        assert numbers(bench.record("mine", 3, "here")) == numbers(bench.record("mine", 3))
        assert set(table.model) == {"mine"}

    def test_settings_and_metrics_are_as_people_write_them(self, bench, capsys) -> None:
        vpbench.export_context("squares", 2, "c.npz", clips=3, settings={"size": 12}, progress=False)
        context = arrays("c.npz")
        assert context["frames"].shape == (3, 10, 1, 12, 12)
        np.savez("p.npz", predicted=last(context))
        table = vpbench.score("p.npz", "mine", asked="c.npz", metrics="mse", prefix_stable=True, model_version="7")
        assert set(table.horizon) == {1, 2}
        assert bench.record("mine", 2)["identity"]["model"]["version"].startswith("7+")
        assert "ok   mine on squares 10→2" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: vpbench.export_context("squares", "3", "c.npz"), "horizon must be a whole number, got '3'"),
            (lambda: vpbench.export_context("squares", 3, "c.npz", clips=0), "clips must be at least 1, got 0"),
            (lambda: vpbench.export_context("squares", 0, "c.npz"), "horizon must be at least 1, got 0"),
            (lambda: vpbench.score("p.npz", "mine", seeds=[1]), "no argument 'seeds'; there is: results, metrics"),
            (lambda: vpbench.score("p.npz", "Mine"), "name 'Mine': use lower case letters"),
            (lambda: vpbench.score("p.npz", "mine"), "p.npz: cannot be read: No such file"),
        ],
    )
    def test_errors_are_one_line(self, bench, call, message: str) -> None:
        with pytest.raises(VpbenchError, match=re.escape(message)) as error:
            call()
        assert len(str(error.value).splitlines()) == 1
