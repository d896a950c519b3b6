"""`vpbench show`: what is in the pictures, where it comes from, and what cannot be shown."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from vpbench import exhibits, film
from vpbench.errors import UsageError
from vpbench.exhibits import Exhibit, ExhibitClip
from vpbench.film import canvas
from vpbench.results import cell_id

CONTEXT = 10


# ------------------------------------------------------------------------------------------------------ looking closely


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def enlarged(frame: np.ndarray, scale: int) -> np.ndarray:
    """uint8 (C, H, W), each pixel as a square, as RGB (H, W, 3)."""
    grey_or_rgb = np.stack([frame[min(channel, len(frame) - 1)] for channel in range(3)], axis=-1)
    return np.kron(grey_or_rgb, np.ones((scale, scale, 1), dtype=np.uint8))


def places(picture: np.ndarray, wanted: np.ndarray) -> list[tuple[int, int]]:
    """Where (y, x) this is in a picture, pixel for pixel."""
    height, width = wanted.shape[:2]
    y, x = np.unravel_index(wanted.sum(axis=-1).argmax(), (height, width))  # most of a picture is dark
    corners = np.argwhere((picture == wanted[y, x]).all(axis=-1)) - (y, x)
    last = np.array(picture.shape[:2]) - (height, width)
    corners = corners[((corners >= 0) & (corners <= last)).all(axis=1)]
    for y, x in np.random.default_rng(0).integers(0, (height, width), (24, 2)):
        corners = corners[(picture[corners[:, 0] + y, corners[:, 1] + x] == wanted[y, x]).all(axis=1)]
    return [(int(y), int(x)) for y, x in corners if np.array_equal(picture[y : y + height, x : x + width], wanted)]


def kept(record: dict[str, Any]) -> dict[str, np.ndarray]:
    """What the run itself kept beside a record, as levels: an independent witness of what was predicted."""
    with np.load(record["path"].with_suffix(".predictions.npz")) as arrays:
        return {key: np.rint(np.clip(arrays[key], 0, 1) * 255).astype(np.uint8) for key in arrays if key != "ids"}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def scene(
    *,
    context: int = 3,
    horizon: int = 4,
    channels: int = 1,
    side: tuple[int, int] = (9, 7),
    names: tuple[str, ...] = ("a",),
) -> film.Scene:
    truth = noise(context + horizon, channels, *side)
    takes = [film.Take(name, "psnr 1 dB", noise(horizon, channels, *side, seed=k + 1)) for k, name in enumerate(names)]
    return film.Scene("clip 0", context, truth, takes)


class TestStrip:
    def test_each_frame_is_in_the_column_of_its_step(self) -> None:
        shown = scene(names=("a", "b"), channels=3)
        picture = np.asarray(film.strip("title", [shown], steps=[1, 2, 4], scale=3))
        columns = []
        for step in (1, 2, 4):
            frames = [shown.truth[2 + step], *(take.predicted[step - 1] for take in shown.takes)]
            found = [places(picture, enlarged(frame, 3)) for frame in frames]
            assert [len(each) for each in found] == [1, 1, 1]
            ys, xs = zip(*(each[0] for each in found), strict=True)
            assert len(set(xs)) == 1
            assert list(ys) == sorted(ys)
            columns.append(xs[0])
        given = [places(picture, enlarged(frame, 3)) for frame in shown.truth[:3]]
        assert [len(each) for each in given] == [1, 1, 1]
        xs = [each[0][1] for each in given] + columns
        assert xs == sorted(xs)
        assert not places(picture, enlarged(shown.truth[5], 3))  # step 3 was not asked for

    def test_below_each_prediction_is_its_difference(self) -> None:
        shown = scene()
        picture = np.asarray(film.strip("title", [shown], scale=2))
        for step in range(1, 5):
            ((y, x),) = places(picture, enlarged(shown.takes[0].predicted[step - 1], 2))
            colours = canvas.difference(shown.takes[0].predicted[step - 1], shown.truth[2 + step])
            ((below, same),) = places(picture, np.kron(colours, np.ones((2, 2, 1), dtype=np.uint8)))
            assert (same, below > y) == (x, True)
        without = np.asarray(film.strip("title", [shown], scale=2, differences=False))
        assert without.shape[0] < picture.shape[0]
        assert not places(without, np.kron(colours, np.ones((2, 2, 1), dtype=np.uint8)))

    def test_clips_are_one_below_the_other(self) -> None:
        one, other = scene(), scene(context=3, names=("b",))
        other = film.Scene("clip 1", 3, 255 - other.truth, other.takes)
        picture = np.asarray(film.strip("title", [one, other], scale=2))
        ((upper, x),) = places(picture, enlarged(one.truth[3], 2))
        ((lower, same),) = places(picture, enlarged(other.truth[3], 2))
        assert (upper < lower, x) == (True, same)

    @settings(max_examples=30, deadline=None)
    @given(data=st.data())
    def test_nothing_is_cut_off_or_reaches_into_the_margin(self, data: st.DataObject) -> None:
        words = st.text(alphabet="Wijg-, 0→é", max_size=40)
        shown = scene(
            context=data.draw(st.integers(1, 12)),
            horizon=data.draw(st.integers(1, 30)),
            side=(data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))),
            channels=data.draw(st.sampled_from([1, 3])),
            names=tuple(data.draw(st.lists(words, min_size=1, max_size=3))),
        )
        title, scale = data.draw(words), data.draw(st.integers(1, 2))
        differences = data.draw(st.booleans())
        strip = film.strip(title, [shown], scale=scale, differences=differences)
        moving = film.animation(title, [shown], scale=scale, differences=differences)
        for picture in map(np.asarray, (strip, moving[0], moving[-1])):
            inner = picture[20:-20, 20:-20]
            assert (inner != canvas.BACKGROUND).any()
            edge = picture.copy()
            edge[20:-20, 20:-20] = canvas.BACKGROUND
            assert (edge == canvas.BACKGROUND).all()

    def test_the_same_scenes_are_the_same_bytes(self) -> None:
        one, other = (film.as_png(film.strip("title", [scene()])) for _ in range(2))
        assert one == other

    @pytest.mark.parametrize("steps", [[0], [5], [1, 99]])
    def test_a_step_that_was_not_predicted_is_refused(self, steps: list[int]) -> None:
        with pytest.raises(UsageError, match=rf"there is no step {steps[-1]}: 4 were predicted"):
            film.strip("title", [scene()], steps=steps)

    def test_what_would_be_too_large_is_refused_before_it_is_drawn(self) -> None:
        with pytest.raises(UsageError, match="smaller --scale"):
            film.strip("title", [scene(side=(64, 64))], scale=10**6)
        with pytest.raises(UsageError, match="smaller --scale"):
            film.animation("title", [scene(side=(64, 64), horizon=200)], scale=20)

    @given(horizon=st.integers(1, 5000), every=st.none() | st.integers(1, 6000))
    def test_steps_are_spread_from_the_first_to_the_last(self, horizon: int, every: int | None) -> None:
        steps = film.spread_steps(horizon, every)
        assert steps == sorted(set(steps))
        assert (steps[0], steps[-1]) == (1, horizon)
        assert len(steps) <= (12 if every is None else horizon)
        assert all(step % every == 0 for step in steps[1:-1]) if every else True

    def test_usual_horizons_have_round_steps(self) -> None:
        assert film.spread_steps(90) == [1, 10, 20, 30, 40, 50, 60, 70, 80, 90]
        assert film.spread_steps(10) == list(range(1, 11))
        assert film.spread_steps(40) == [1, 5, 10, 15, 20, 25, 30, 35, 40]
        assert film.spread_steps(90, 40) == [1, 40, 80, 90]


class TestDifference:
    def test_too_bright_is_warm_too_dark_is_cold_and_nothing_is_dark(self) -> None:
        truth = np.array([[[0, 255, 100]]], dtype=np.uint8)
        predicted = np.array([[[255, 0, 100]]], dtype=np.uint8)
        ((made_up, missing, same),) = canvas.difference(predicted, truth).astype(int)
        assert made_up[0] > made_up[2] + 60
        assert missing[2] > missing[0] + 60
        assert same.max() < 40

    def test_larger_differences_are_lighter(self) -> None:
        levels = canvas.colours(np.linspace(0, 1, 64)) @ [0.2126, 0.7152, 0.0722]
        other = canvas.colours(np.linspace(0, -1, 64)) @ [0.2126, 0.7152, 0.0722]
        assert (np.diff(levels) > 0).all()
        assert (np.diff(other) > 0).all()

    def test_of_colours_it_is_the_mean_over_channels(self) -> None:
        truth = np.zeros((3, 1, 1), dtype=np.uint8)
        predicted = np.array([60, 90, 0], dtype=np.uint8).reshape(3, 1, 1)
        np.testing.assert_array_equal(canvas.difference(predicted, truth)[0, 0], canvas.colours(np.array(50 / 255)))


class TestAnimation:
    def test_it_shows_what_was_given_then_truth_beside_predictions(self) -> None:
        shown = scene(names=("a", "b"))
        pictures = [np.asarray(picture) for picture in film.animation("title", [shown], scale=2)]
        assert len(pictures) == 7
        for place, picture in enumerate(pictures):
            truth = enlarged(shown.truth[place], 2)
            if place < 3:
                assert len(places(picture, truth)) == 3  # in every panel
                continue
            ((y, x),) = places(picture, truth)
            for take in shown.takes:
                ((same, right),) = places(picture, enlarged(take.predicted[place - 3], 2))
                assert (same, right > x) == (y, True)
                x = right
                colours = canvas.difference(take.predicted[place - 3], shown.truth[place])
                ((below, left),) = places(picture, np.kron(colours, np.ones((2, 2, 1), dtype=np.uint8)))
                assert (below > y, left) == (True, right)

    def test_the_end_of_the_given_frames_can_be_seen(self) -> None:
        def marked(picture: Image.Image) -> int:
            return int((np.asarray(picture) == canvas.PREDICTED).all(axis=-1).sum())

        counts = [marked(picture) for picture in film.animation("title", [scene()])]
        assert counts[:3] == [0, 0, 0]
        assert min(counts[3:]) > 100

    @pytest.mark.parametrize("ending", [".gif", ".webp"])
    def test_it_plays_as_it_was_drawn(self, ending: str) -> None:
        pictures = film.animation("title", [scene(channels=3)], scale=3)
        content = film.as_animation(pictures, ending, context=3, rate=10)
        with Image.open(io.BytesIO(content)) as image:
            found = [(frame.convert("RGB"), frame.info["duration"]) for frame in ImageSequence.Iterator(image)]
            assert image.info["loop"] == 0
        assert len(found) == len(pictures)
        assert [duration for _, duration in found] == [100, 100, 1000, 100, 100, 100, 1000]
        for (shown, _), drawn in zip(found, pictures, strict=True):
            off = np.abs(np.asarray(shown).astype(int) - np.asarray(drawn))
            assert off.max() == 0 if ending == ".webp" else off.mean() < 3  # a GIF has 256 colours

    def test_channels_that_no_picture_has_are_refused(self) -> None:
        with pytest.raises(UsageError, match="the frames of clip 0 have 2 channels"):
            scene(channels=2)


# ---------------------------------------------------------------------------------------------------- the command line


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs of two models, made once; tests get a copy."""
    return tmp_path_factory.mktemp("made") / "runs"


@pytest.fixture
def runs(bench, made: Path) -> Path:
    """Records of counting and other, horizons 1 and 3, six clips, the first five of them kept; exhibits."""
    folder = bench.folder / "runs"
    if not made.exists():
        result = bench.run("Counting", "--model", bench.model("Other"), "--keep-predictions", 5, horizon=3, clips=6)
        assert result.exit_code == 0, result.stderr
        shutil.copytree(folder, made)
    else:
        shutil.copytree(made, folder)
    return folder


def path_of(bench, model: str = "counting", horizon: int = 3) -> Path:
    return bench.record(model, horizon)["path"]


def shown(bench, *args: object, output: str = "out.png") -> np.ndarray:
    result = bench("show", *args, "--output", output)
    assert result.exit_code == 0, result.stderr
    return read(bench.folder / output)


def without_files(record: Path, *what: str) -> None:
    for suffix in what or (".exhibit.zip", ".predictions.npz"):
        record.with_suffix(suffix).unlink()


def edit(path: Path, change: Any, *, hashed: bool = False) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    if hashed:
        document["cell"] = cell_id(document["identity"])
    path.write_text(json.dumps(document), encoding="utf-8")


class TestCommand:
    def test_a_strip_of_several_records_holds_what_they_predicted(self, bench, runs: Path) -> None:
        picture = shown(bench, path_of(bench), path_of(bench, "other"), "--scale", 2)
        for model in ("counting", "other"):
            frames = kept(bench.record(model, 3))
            for step in range(3):
                assert places(picture, enlarged(frames["target"][0, step], 2))
                assert places(picture, enlarged(frames["predicted"][0, step], 2))

    def test_the_file_is_named_after_the_records(self, bench, runs: Path) -> None:
        result = bench("show", path_of(bench), path_of(bench, "other"), "--clip", 1)
        assert result.stdout == "strip: counting-other-squares-10-3-clip-1.png\n"
        assert read(bench.folder / "counting-other-squares-10-3-clip-1.png").ndim == 3

    def test_several_clips_and_chosen_steps(self, bench, runs: Path) -> None:
        picture = shown(bench, path_of(bench), "--clip", 0, "--clip", 1, "--steps", "1,3", "--scale", 2)
        frames = kept(bench.record("counting", 3))
        for clip in (0, 1):
            assert places(picture, enlarged(frames["predicted"][clip, 0], 2))
            assert places(picture, enlarged(frames["predicted"][clip, 2], 2))
            assert not places(picture, enlarged(frames["predicted"][clip, 1], 2))

    def test_an_animation(self, bench, runs: Path) -> None:
        result = bench("show", path_of(bench), "--output", "clip.webp", "--scale", 2, "--rate", 10, "--no-difference")
        assert result.stdout == "animation: clip.webp\n"
        frames = kept(bench.record("counting", 3))
        with Image.open(bench.folder / "clip.webp") as image:
            pictures = [np.asarray(each.convert("RGB")) for each in ImageSequence.Iterator(image)]
        assert len(pictures) == CONTEXT + 3
        assert len(places(pictures[0], enlarged(frames["context"][0, 0], 2))) == 2
        assert places(pictures[-1], enlarged(frames["predicted"][0, 2], 2))

    def test_from_files_alone_neither_torch_nor_a_plugin_is_needed(self, bench, runs: Path) -> None:
        code = (
            "import sys; from vpbench.cli import main\n"
            "try: main(prog_name='vpbench')\n"
            "finally: assert not {'torch', 'pandas'} & set(sys.modules)"
        )
        done = bench.start_python(code, "show", path_of(bench), "--output", "out.png")
        out, err = done.communicate(timeout=60)
        assert (out, err, done.returncode) == ("strip: out.png\n", "", 0)


class TestWhereClipsComeFrom:
    def test_a_record_of_a_shorter_horizon_shows_the_beginning_of_its_rollout(self, bench, runs: Path) -> None:
        picture = shown(bench, path_of(bench, horizon=1), "--scale", 2)
        frames = kept(bench.record("counting", 3))
        assert places(picture, enlarged(frames["predicted"][0, 0], 2))
        assert not places(picture, enlarged(frames["predicted"][0, 1], 2))

    def test_a_clip_is_the_same_from_every_source(self, bench, runs: Path) -> None:
        """Kept by the run, or predicted again when nothing is there any more: the same picture."""
        record, clip = path_of(bench), ("--clip", 3, "--scale", 2)
        without_files(record, ".exhibit.zip")
        from_kept = shown(bench, record, *clip)
        assert places(from_kept, enlarged(kept(bench.record("counting", 3))["predicted"][3, 1], 2))
        without_files(record, ".predictions.npz")
        again = shown(bench, record, *clip, "--model", bench.model("Counting"))
        np.testing.assert_array_equal(from_kept, again)

    def test_without_a_clip_the_first_of_the_record_is_predicted_again(self, bench, runs: Path) -> None:
        record, frames = path_of(bench), kept(bench.record("counting", 3))
        without_files(record)
        picture = shown(bench, record, "--model", bench.model("Counting"), "--scale", 2)
        assert places(picture, enlarged(frames["predicted"][0, 2], 2))

    def test_installed_models_are_found_by_their_name(self, with_floors) -> None:
        bench = with_floors
        assert bench.run("copy-last", "--no-exhibit", horizon=2).exit_code == 0
        picture = shown(bench, bench.record("copy-last", 2)["path"], bench.record("black", 2)["path"], "--scale", 2)
        assert picture.ndim == 3

    def test_only_what_is_missing_is_predicted_again(self, bench, runs: Path) -> None:
        without_files(path_of(bench), ".exhibit.zip")
        bench.log()
        shown(bench, path_of(bench), "--clip", 5, "--clip", 2, "--model", bench.model("Counting"))
        assert [each["clips"] for each in bench.log()] == [1]


class TestWhatCannotBeShown:
    def test_a_clip_the_record_does_not_have(self, bench, runs: Path, ends_with) -> None:
        result = bench("show", path_of(bench), "--clip", 77, "--model", bench.model("Counting"))
        ends_with(result, 2, "clip 77 is not in the files beside it (", "has no clip 77; it has 6: 0, 1, 2, 3, ...")

    def test_a_clip_of_a_model_that_is_not_here(self, bench, runs: Path, ends_with) -> None:
        without_files(path_of(bench), ".exhibit.zip")
        line = ends_with(bench("show", path_of(bench), "--clip", 5, "--clip", 0), 2, "clip 5 is not in the files")
        assert "predicting it again did not work: no model 'counting'" in line
        without_files(path_of(bench), ".predictions.npz")
        ends_with(bench("show", path_of(bench)), 2, "no clip is in the files beside it, and predicting")

    def test_a_clip_that_comes_out_otherwise_than_it_was_scored(self, bench, runs: Path, ends_with) -> None:
        without_files(path_of(bench), ".exhibit.zip")

        def worse(document: dict[str, Any]) -> None:
            document["statistics"]["vpbench-metrics/squared_error"][5] *= 1.1

        edit(path_of(bench), worse)
        result = bench("show", path_of(bench), "--clip", 5, "--model", bench.model("Counting"))
        ends_with(result, 4, "its vpbench-metrics/squared_error is not the one of the record")

    def test_a_clip_whose_statistics_are_missing(self, bench, runs: Path, ends_with) -> None:
        without_files(path_of(bench), ".exhibit.zip")

        def cut(document: dict[str, Any]) -> None:
            document["scores"] = {"mse": document["scores"]["mse"] | {"n": 5}}
            name = "vpbench-metrics/squared_error"
            document["statistics"] = {name: document["statistics"][name][:5]}

        edit(path_of(bench), cut)
        result = bench("show", path_of(bench), "--clip", 5, "--model", bench.model("Counting"))
        ends_with(result, 4, "its vpbench-metrics/squared_error is not the one of the record")

    def test_a_record_whose_metrics_are_not_installed(self, bench, runs: Path, ends_with) -> None:
        without_files(path_of(bench), ".exhibit.zip")
        edit(path_of(bench), lambda document: document["scores"].clear())
        result = bench("show", path_of(bench), "--clip", 5, "--model", bench.model("Counting"))
        ends_with(result, 4, "none of its metrics is installed at its version")

    def test_a_failed_cell(self, bench, ends_with) -> None:
        assert bench.run("Faulty", "--set", "fault=raises").exit_code == 1
        ends_with(bench("show", bench.record("faulty")["path"]), 4, "record of a failed cell: there is nothing to show")

    @pytest.mark.parametrize(
        ("change", "what"),
        [
            (lambda identity: identity["task"].update(horizon=1), "horizon 3 and 1"),
            (lambda identity: identity["task"].update(context=9), "context 10 and 9"),
            (lambda identity: identity["dataset"].update(fingerprint="other"), "dataset fingerprint"),
            (lambda identity: identity.update(split="val"), "split test and val"),
        ],
    )
    def test_records_of_different_questions(self, bench, runs: Path, ends_with, change: Any, what: str) -> None:
        other = path_of(bench, "other")
        edit(other, lambda document: change(document["identity"]), hashed=True)
        ends_with(bench("show", path_of(bench), other), 2, "answer different questions", what)

    def test_a_task_this_version_does_not_know(self, bench, runs: Path, ends_with) -> None:
        edit(path_of(bench), lambda document: document["identity"]["task"].update(stride=2), hashed=True)
        ends_with(bench("show", path_of(bench)), 4, "has a task that cannot be shown here")

    def test_no_record(self, bench, ends_with) -> None:
        ends_with(bench("show", "nowhere.json"), 4, "nowhere.json: cannot be read")
        ends_with(bench("show"), 2, "RECORDS")

    def test_a_damaged_exhibit(self, bench, runs: Path, ends_with) -> None:
        exhibit = path_of(bench).with_suffix(".exhibit.zip")
        exhibit.write_bytes(exhibit.read_bytes()[:-100])
        ends_with(bench("show", path_of(bench)), 4, f"{exhibit} is no exhibit", "delete it and run the cell again")

    def test_the_exhibit_of_another_cell(self, bench, runs: Path, ends_with) -> None:
        exhibit = path_of(bench).with_suffix(".exhibit.zip")
        shutil.copy(path_of(bench, "other").with_suffix(".exhibit.zip"), exhibit)
        ends_with(bench("show", path_of(bench)), 4, f"{exhibit} is of cell {path_of(bench, 'other').stem[-12:]}")

    @pytest.mark.parametrize("damage", ["cut", "text", "array", "missing", "shape", "nan"])
    def test_damaged_predictions(self, bench, runs: Path, ends_with, damage: str) -> None:
        without_files(path_of(bench), ".exhibit.zip")
        path = path_of(bench).with_suffix(".predictions.npz")
        with np.load(path) as file:
            arrays = dict(file)
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:-100])
        elif damage == "text":
            path.write_text("no predictions")
        elif damage == "array":
            with open(path, "wb") as file:
                np.save(file, arrays["predicted"])
        else:
            change = {
                "missing": {"ids": None},
                "shape": {"context": arrays["context"][:, 1:]},
                "nan": {"predicted": arrays["predicted"] * np.nan},
            }[damage]
            np.savez(path, **{key: value for key, value in (arrays | change).items() if value is not None})
        ends_with(bench("show", path_of(bench)), 4, f"{path}: these are no kept predictions")

    def test_files_that_contradict_each_other_about_the_truth(self, bench, runs: Path, ends_with) -> None:
        record = path_of(bench)
        exhibit = exhibits.read(exhibits.exhibit_path(record))
        clips = tuple(
            ExhibitClip(clip.id, clip.why, clip.value, 255 - clip.truth, clip.predicted) for clip in exhibit.clips
        )
        exhibits.write(record, Exhibit(exhibit.cell, exhibit.context, exhibit.horizon, exhibit.metric, clips))
        ends_with(bench("show", record, path_of(bench, "other")), 4, "other true frames of clip 0")

    def test_frames_that_are_no_pictures(self, bench, ends_with) -> None:
        assert bench.run("Last", "--set", "channels=2", "--keep-predictions", 1).exit_code == 0
        ends_with(bench("show", bench.record("last")["path"]), 2, "grey or RGB, the frames of clip 0 have 2 channels")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--output", "strip.jpg"), "cannot write strip.jpg: name a .png (strip), .gif, .webp or .mp4"),
            (("--output", "strip"), "name a .png (strip)"),
            (("--output", "clip.gif", "--steps", "1"), "--steps and --every are for strips"),
            (("--rate", "5"), "--rate is for animations"),
            (("--steps", "1", "--every", "2"), "give --steps or --every, not both"),
            (("--steps", "1;2"), "'1;2' is no list of steps, write it like 1,5,10"),
            (("--steps", "4"), "there is no step 4: 3 were predicted, from 1"),
            (("--scale", "100000"), "smaller --scale"),
        ],
    )
    def test_options_without_sense(self, bench, runs: Path, ends_with, options: tuple[str, ...], message: str) -> None:
        ends_with(bench("show", path_of(bench), *options), 2, message)
        assert {path.name for path in bench.folder.iterdir()} == {"runs"}

    def test_a_place_where_nothing_can_be_written(self, bench, runs: Path, ends_with) -> None:
        (bench.folder / "file").write_text("")
        ends_with(bench("show", path_of(bench), "--output", "file/out.png"), 5, "cannot write file/out.png")
        assert (bench.folder / "file").read_text() == ""
