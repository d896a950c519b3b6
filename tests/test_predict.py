"""Videos continued after their end: what comes out, of what, and what cannot be continued."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import re
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

import vpbench
from vpbench import film
from vpbench.errors import ConfigError, ModelFailed, PluginError, Refused, UsageError
from vpbench.film import canvas
from vpbench.forecast.readers import read_clip, reader_of
from vpbench.instances import configured
from vpbench.registry import Provided, Registry, load
from vpbench.weights import save

MODELS = """
import torch
import vpbench

class Grey:
    "Takes grey frames, and writes into what it is given."
    spec = vpbench.ModelSpec(name="grey", factory="m:M", summary="Grey", version="1", channels=1)

    def __init__(self, config, *, frame_shape, context_length):
        assert frame_shape[0] == 1

    def predict(self, context, target_times):
        answer = context.frames[:, -1:].repeat(1, target_times.shape[1], 1, 1, 1)
        context.frames.zero_()
        context.times.zero_()
        target_times.zero_()
        return answer

class Learner(torch.nn.Module):
    "Has to be trained first."
    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()

    def loss(self, batch, *, progress, part="main"):
        raise NotImplementedError

    def predict(self, context, target_times):
        raise NotImplementedError

class Drawn(Grey):
    "Noise that follows from the seeds."
    spec = vpbench.ModelSpec(name="drawn", factory="m:M", summary="Noise", version="1")

    def __init__(self, config, *, frame_shape, context_length):
        pass

    def predict(self, context, target_times):
        generator = torch.Generator().manual_seed(int(context.seeds[0]))
        return torch.rand((*target_times.shape, *context.frames.shape[2:]), generator=generator)

class Wrong(Drawn):
    "One frame too few."
    spec = None
    def predict(self, context, target_times):
        return context.frames[:, :1].repeat(1, target_times.shape[1] - 1, 1, 1, 1)

class Nan(Wrong):
    def predict(self, context, target_times):
        return Drawn.predict(self, context, target_times) / (target_times < 12)[..., None, None, None] * float("inf")

class Raising(Wrong):
    def predict(self, context, target_times):
        raise RuntimeError("no idea")

class Bright(Wrong):
    "Half of its values are not between 0 and 1."
    def predict(self, context, target_times):
        return Drawn.predict(self, context, target_times).round() * 2
"""


def video(frames: int = 14, *, channels: int = 1, size: tuple[int, int] = (12, 16)) -> np.ndarray:
    """A bright square that moves over a gradient, uint8 (T, C, H, W)."""
    ground = np.add.outer(np.arange(size[0]), np.arange(size[1])) * 3
    made = np.broadcast_to(ground, (frames, channels, *size)).astype(np.uint8)
    for step in range(frames):
        made[step, :, 2:6, step % (size[1] - 4) : step % (size[1] - 4) + 4] = 250 - step
    return made


def save_gif(path: Path, frames: np.ndarray) -> None:
    pictures = [Image.fromarray(np.broadcast_to(f.transpose(1, 2, 0), (*f.shape[1:], 3))) for f in frames]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)


@pytest.fixture
def shell(bench, monkeypatch: pytest.MonkeyPatch):
    """The command line with the plugins that read files and continue them, and a video of 14 frames of 12×16."""
    monkeypatch.setenv("VPBENCH_PLUGINS", "clips,baselines,latentode,movingmnist")
    np.save(bench.folder / "my.npy", video())
    (bench.folder / "models.py").write_text(MODELS)
    return bench


def predicted(shell, model: str, *options: object, source: str = "my.npy", horizon: int = 3) -> dict[str, np.ndarray]:
    """What `vpbench predict` writes into a .npz file."""
    options = ("--model", model, "--input", source, "--horizon", horizon, "--output", "out.npz", *options)
    result = shell("predict", *options)
    assert result.exit_code == 0, result.stderr
    with np.load(shell.folder / "out.npz", allow_pickle=False) as arrays:
        return dict(arrays)


# ---------------------------------------------------------------------------------------------------------- the numbers


def test_copy_last_repeats_the_last_frame_bit_for_bit(shell) -> None:
    found, frames = predicted(shell, "copy-last"), video().astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(found["predicted"], np.broadcast_to(frames[-1], (3, 1, 12, 16)))
    np.testing.assert_array_equal(found["context"], frames[4:])
    assert found["predicted"].dtype == found["context"].dtype == np.float32
    assert found["times"].tolist() == [float(k) for k in range(10)]
    assert found["target_times"].tolist() == [10.0, 11.0, 12.0]


def test_the_file_says_what_it_was_made_of(shell) -> None:
    told = json.loads(str(predicted(shell, "copy-last", "--seed", 3)["provenance"]))
    assert told["model"] == {"name": "copy-last", "version": "1", "config": {}, "weights_sha256": None}
    assert told["video"] == {
        "name": "my.npy",
        "sha256": hashlib.sha256((shell.folder / "my.npy").read_bytes()).hexdigest(),
        "frames": 14,
        "frame_shape": [1, 12, 16],
        "read_by": "clips",
        "first_context_frame": 4,
    }
    assert (told["context"], told["horizon"], told["seed"]) == (10, 3, 3)
    assert set(told["software"]["plugins"]) == {"vpbench-baselines", "vpbench-clips"}


def test_context_is_that_many_of_the_last_frames(shell) -> None:
    found, frames = predicted(shell, "context-mean", "--context", 4), video()[-4:].astype(np.float64) / 255
    np.testing.assert_allclose(found["predicted"][0], frames.mean(axis=0), atol=1e-6)
    assert found["times"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert len(predicted(shell, "copy-last", "--context", 14)["context"]) == 14


def test_a_shorter_video_than_usual_is_given_whole(shell) -> None:
    np.save(shell.folder / "short.npy", video(6))
    assert len(predicted(shell, "copy-last", source="short.npy")["context"]) == 6


def test_a_prediction_is_that_of_a_run_on_the_same_frames(shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VPBENCH_PLUGINS", "clips,latentode,movingmnist,metrics")
    arguments = "run --model latentode --dataset moving-mnist --horizon 4 --clips 1 --metric mse --keep-predictions 1"
    assert shell(*arguments.split(), "--device", "cpu", "--batch-size", 1).exit_code == 0
    with np.load(next(shell.folder.glob("runs/*/latentode/extrapolate-10-4-*.predictions.npz"))) as kept:
        context, expected = kept["context"][0], kept["predicted"][0]
    np.save(shell.folder / "clip.npy", np.rint(context * 255).astype(np.uint8))
    found = predicted(shell, "latentode", "--device", "cpu", source="clip.npy", horizon=4)
    np.testing.assert_array_equal(found["context"], context)
    np.testing.assert_array_equal(found["predicted"], expected)
    np.testing.assert_array_equal(vpbench.predict("latentode", context, 4, device="cpu"), expected)


def test_a_video_is_brought_to_the_frames_that_weights_are_for_and_that_is_said(shell) -> None:
    grey = np.full((12, 3, 96, 144), 100, dtype=np.uint8)
    grey[:, :, :, :24] = np.arange(12)[:, None, None, None] * 20  # what sticks out at the sides is cut
    grey[:, :, :, -24:] = 0
    save_gif(shell.folder / "my.gif", grey)
    found = predicted(shell, "latentode", source="my.gif")
    assert found["predicted"].shape == (3, 1, 64, 64)
    inside = found["context"][..., 1:-1]  # a pixel at the edge sees a bit beyond it
    np.testing.assert_array_equal(inside, np.full((10, 1, 64, 62), 100 / 255, dtype=np.float32))
    result = shell("predict", "--model", "latentode", "--input", "my.gif", "--horizon", 3, "--output", "out.npz")
    assert result.stdout.splitlines() == [
        "my.gif has frames 3×96×144, latentode is given 1×64×64: its weights are for those",
        "latentode: 10 of 12 frames given, 3 predicted, with weights trained on moving-mnist",
        "arrays: out.npz",
    ]


def test_floors_work_at_the_size_of_the_video_in_colour(shell) -> None:
    frames = np.zeros((4, 3, 7, 9), dtype=np.uint8)
    frames[:, 0], frames[:, 2, 3] = 200, 90
    np.save(shell.folder / "rgb.npy", frames)
    np.testing.assert_array_equal(
        predicted(shell, "copy-last", source="rgb.npy", horizon=1)["predicted"][0], frames[-1] / np.float32(255)
    )


def test_a_model_of_grey_frames_is_given_grey_and_cannot_change_what_is_kept(shell) -> None:
    np.save(shell.folder / "rgb.npy", np.repeat(video(), 3, axis=1))
    found = predicted(shell, "models.py:Grey", source="rgb.npy")
    assert found["context"].shape == (10, 1, 12, 16)
    np.testing.assert_array_equal(found["context"], video()[4:] / np.float32(255))
    np.testing.assert_array_equal(found["predicted"][1], found["context"][-1])
    assert found["target_times"].tolist() == [10.0, 11.0, 12.0]


def test_what_a_model_draws_follows_from_the_seed(shell) -> None:
    first, again, other = (predicted(shell, "models.py:Drawn", "--seed", seed)["predicted"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9


def test_weights_of_ones_own_and_settings(shell) -> None:
    small = {"dynamics": 4, "hidden": 8}
    latentode = load().model("latentode")
    network = latentode.spec.load()(configured(latentode, small), frame_shape=(1, 32, 32), context_length=4)
    header = {"model": {"name": "latentode", "version": "1", "config": small}, "frame_shape": [1, 32, 32], "context": 4}
    header["dataset"] = {"name": "moving-mnist", "version": "1", "config": {"frame_size": 32}, "fingerprint": "-"}
    save(shell.folder / "own.safetensors", network.state_dict(), header, half=False)
    found = predicted(shell, "latentode", "--weights", "own.safetensors", "--set", "frames_per_step=1")
    assert (found["context"].shape, found["predicted"].shape) == ((4, 1, 32, 32), (3, 1, 32, 32))
    told = json.loads(str(found["provenance"]))["model"]
    assert told["weights_sha256"] == hashlib.sha256((shell.folder / "own.safetensors").read_bytes()).hexdigest()
    assert (told["config"]["dynamics"], told["config"]["frames_per_step"]) == (4, 1.0)
    other = "predict --model copy-last --input my.npy --horizon 1 --output x.npz --weights own.safetensors"
    result = shell(*other.split())
    assert "own.safetensors holds weights of latentode, asked for is copy-last" in result.stderr
    other = "predict --model latentode --input my.npy --horizon 1 --output x.npz --weights own.safetensors --context 5"
    refused = shell(*other.split())
    assert refused.exit_code == 3
    assert "weights own.safetensors are for context 4, asked for 5" in refused.stderr


# --------------------------------------------------------------------------------------------------------- the pictures


def scene(given: int = 3, horizon: int = 4, takes: int = 1, channels: int = 1) -> film.Scene:
    frames = video(given + horizon * takes, channels=channels, size=(8, 10))
    parts = [frames[given + horizon * number :][:horizon] for number in range(takes)]
    return film.Scene("my.gif", given, frames[:given], [film.Take(f"model {n}", "", p) for n, p in enumerate(parts)])


def places(picture: np.ndarray, frame: np.ndarray, scale: int) -> list[tuple[int, int]]:
    """Where a frame, uint8 (C, H, W), enlarged, is in a picture, (H, W, 3)."""
    looked_for = np.kron(np.broadcast_to(frame.transpose(1, 2, 0), (*frame.shape[1:], 3)), np.ones((scale, scale, 1)))
    height, width = looked_for.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(picture, (height, width), axis=(0, 1))
    corner = (windows[..., 0, 0] == looked_for[0, 0]).all(axis=-1)
    found = [(int(y), int(x)) for y, x in np.argwhere(corner)]
    return [(y, x) for y, x in found if (picture[y : y + height, x : x + width] == looked_for).all()]


@pytest.mark.parametrize(("takes", "channels"), [(1, 1), (2, 3)])
def test_an_animation_shows_what_was_given_then_what_was_predicted_and_no_truth(takes: int, channels: int) -> None:
    shown = scene(takes=takes, channels=channels)
    pictures = [np.asarray(picture) for picture in film.animation("title", [shown], scale=2)]
    assert len(pictures) == 7
    for step, picture in enumerate(pictures):
        for number, take in enumerate(shown.takes):
            frame = shown.truth[step] if step < 3 else take.predicted[step - 3]
            found = places(picture, frame, 2)
            assert len(found) == (takes if step < 3 else 1), (step, number)
        marked = (picture == canvas.PREDICTED).all(axis=-1).sum()
        assert (marked > 0) == (step >= 3)


def test_a_strip_has_the_given_frames_in_the_row_of_the_model() -> None:
    shown = scene()
    picture = np.asarray(film.strip("title", [shown], scale=2))
    rows = {places(picture, frame, 2)[0][0] for frame in [*shown.truth, *shown.takes[0].predicted]}
    columns = [places(picture, frame, 2)[0][1] for frame in [*shown.truth, *shown.takes[0].predicted]]
    assert len(rows) == 1
    assert columns == sorted(columns)


def test_a_scene_of_nothing_but_given_frames_is_none() -> None:
    with pytest.raises(ValueError, match="neither what comes nor a prediction"):
        film.Scene("clip", 3, video(3), [])


def test_a_video_plays_as_it_was_drawn_one_frame_per_picture() -> None:
    pictures = film.animation("title", [scene(channels=3)], scale=7)
    pictures = [picture.crop((0, 0, picture.width - 1 + picture.width % 2, picture.height)) for picture in pictures]
    assert pictures[0].width % 2 == 1
    content = film.as_animation(pictures, ".mp4", context=3, rate=12.5)
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        assert (stream.pix_fmt, float(stream.average_rate)) == ("yuv420p", 12.5)
        assert (stream.width % 2, stream.height % 2) == (0, 0)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(frames) == len(pictures)
    for shown, drawn in zip(frames, pictures, strict=True):
        expected = np.asarray(drawn).astype(int)
        assert np.abs(shown[: drawn.height, : drawn.width] - expected).mean() < 3
        assert np.abs(shown[:, drawn.width :] - np.array(canvas.BACKGROUND)).max() < 20


def test_without_pyav_a_video_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match=r"pip install 'vpbench\[video\]'"):
        film.check_writable(".mp4")
    film.check_writable(".gif")


@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_an_animation_from_the_command_line(shell, ending: str) -> None:
    out = f"out{ending}"
    options = ("--horizon", 3, "--output", out, "--scale", 2, "--rate", 20)
    result = shell("predict", "--model", "copy-last", "--input", "my.npy", *options)
    assert result.stdout.splitlines() == ["copy-last: 10 of 14 frames given, 3 predicted", f"animation: {out}"]
    with Image.open(shell.folder / out) as image:
        pictures = [np.asarray(each.convert("RGB")) for each in ImageSequence.Iterator(image)]
    if ending == ".webp":  # of a GIF the colours are not exact
        assert len(pictures) == 13
        assert places(pictures[0], video()[4], 2)
        assert places(pictures[-1], video()[-1], 2)


def test_a_strip_and_a_video_from_the_command_line(shell) -> None:
    for out, kind in (("out.png", "strip"), ("out.MP4", "animation")):
        result = shell("predict", "--model", "copy-last", "--input", "my.npy", "--horizon", 3, "--output", out)
        assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, f"{kind}: {out}"), result.stderr
    with Image.open(shell.folder / "out.png") as image:
        scale = round(128 / 16)
        assert places(np.asarray(image.convert("RGB")), video()[-1], scale)
    with av.open(str(shell.folder / "out.MP4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 13


def test_a_video_of_a_run_can_be_shown_too(bench) -> None:
    assert bench.run("Last", horizon=2).exit_code == 0
    result = bench("show", bench.record("last", 2)["path"], "--output", "clip.mp4")
    assert (result.exit_code, result.stdout) == (0, "animation: clip.mp4\n"), result.stderr
    with av.open(str(bench.folder / "clip.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 12


# ------------------------------------------------------------------------------------------------------- what cannot be


def refused(shell, ends_with, code: int, *texts: str, **options: Any) -> None:
    given = {"model": "copy-last", "input": "my.npy", "horizon": 3, "output": "out.npz", **options}
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    ends_with(shell("predict", *words), code, *texts)
    assert not (shell.folder / str(given["output"])).exists()


@pytest.mark.parametrize("link", [None, "symlink_to", "hardlink_to"])
def test_the_video_itself_is_not_written_over(shell, ends_with, link: str | None) -> None:
    source = shell.folder / "my.npz"
    np.savez(source, frames=video())
    before = source.read_bytes()
    output = "my.npz" if link is None else "other.npz"
    if link is not None:
        getattr(shell.folder / output, link)(source)
    words = ("--model", "copy-last", "--input", "my.npz", "--horizon", 3, "--output", output)
    ends_with(shell("predict", *words), 2, f"--output {output} is the video itself, which would be lost")
    assert source.read_bytes() == before


def test_what_pictures_cannot_show_is_said(shell) -> None:
    shown = shell("predict", "--model", "models.py:Bright", "--input", "my.npy", "--horizon", 3, "--output", "out.gif")
    share = float(re.search(r"bright: ([\d.]+)% of the predicted values are outside \[0, 1\]", shown.stdout)[1])
    assert share == pytest.approx(100 * (predicted(shell, "models.py:Bright")["predicted"] > 1).mean(), abs=0.05)
    quiet = shell("predict", "--model", "copy-last", "--input", "my.npy", "--horizon", 3, "--output", "out.gif")
    assert "outside" not in quiet.stdout


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"model": "copy-lost"}, 2, "no model 'copy-lost'; did you mean copy-last?"),
        (
            {"output": "out.avi"},
            2,
            "cannot write out.avi: name a .gif, .webp or .mp4 (animation), .png (strip) or .npz",
        ),
        ({"output": "out.npz", "scale": 2}, 2, "--scale is for pictures, out.npz holds numbers"),
        ({"output": "out.png", "rate": 5}, 2, "--rate is for animations, out.png is none"),
        ({"output": "out.gif", "scale": 5000}, 2, "smaller --scale"),
        ({"output": "my.npy/out.npz"}, 5, "cannot write my.npy/out.npz"),
        ({"input": "no.gif"}, 4, "cannot read no.gif: there is no such file"),
        ({"input": "."}, 2, "nothing installed reads"),
        ({"input": "models.py"}, 2, "nothing installed reads models.py: convert it to one of"),
        ({"dataset": "clip"}, 2, "no dataset 'clip'; did you mean clips?"),
        ({"dataset": "moving-mnist"}, 2, "moving-mnist cannot read my.npy: it reads no files"),
        ({"context": 15}, 3, "my.npy has 14 frames, copy-last is given 15: give a longer video"),
        ({"horizon": 10**9}, 2, "1000000000 frames of 1×12×16 are over 4 GiB: ask for fewer"),
        ({"set": "depth=3"}, 2, "no config key 'depth'"),
        ({"weights": "my.npy"}, 4, "my.npy is not a readable safetensors file"),
        (
            {"model": "latentode", "context": 5},
            3,
            "no weights for frames 1×12×16 after 5 given (its own are for 1×64×64",
        ),
        ({"model": "train-mean"}, 3, "train-mean learns from training clips, and my.npy comes with none"),
        ({"model": "bayes"}, 3, "bayes makes sense on moving-mnist only, not on my.npy"),
        ({"model": "models.py:Learner"}, 3, "learner has no weights for frames 1×12×16 after 10 given: give some"),
        ({"model": "models.py:Wrong"}, 1, "wrong returned shape (1, 2, 1, 12, 16), asked for (1, 3, 1, 12, 16)"),
        ({"model": "models.py:Nan"}, 1, "nan predicted NaN or infinity, first at step 1 of 3"),
        ({"model": "models.py:Raising"}, 1, "predict() of raising: RuntimeError: no idea (models.py, line"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_what_cannot_be_done_is_one_line(shell, ends_with, options: dict[str, Any], code: int, message: str) -> None:
    refused(shell, ends_with, code, message, **options)


@pytest.mark.parametrize(
    "name", ["empty.gif", "text.gif", "cut.gif", "text.mp4", "empty.npy", "pickled.npy", "cut.npy"]
)
def test_files_that_cannot_be_read_are_one_line_that_names_them(shell, ends_with, name: str) -> None:
    path = shell.folder / name
    save_gif(path.with_suffix(".whole.gif"), video(6))
    whole = {".gif": path.with_suffix(".whole.gif").read_bytes(), ".npy": (shell.folder / "my.npy").read_bytes()}
    match path.stem:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("this is no video at all " * 20)
        case "cut":
            path.write_bytes(whole[path.suffix][: len(whole[path.suffix]) // 2])
        case "pickled":
            np.save(path, np.array([_Bomb(str(shell.folder / "ran"))], dtype=object), allow_pickle=True)
    refused(shell, ends_with, 4, name, input=name)
    assert not (shell.folder / "ran").exists()


class _Bomb:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path, "w")


def test_the_bomb_goes_off_where_pickles_are_read(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(_Bomb(str(tmp_path / "ran"))))
    assert (tmp_path / "ran").exists()


def test_a_video_too_short_for_the_weights(shell, ends_with) -> None:
    np.save(shell.folder / "short.npy", video(6))
    message = "short.npy has 6 frames, latentode is given 10: give a longer video"
    refused(shell, ends_with, 3, message, model="latentode", input="short.npy")


def test_where_nothing_reads_files_it_says_what_to_install(shell, ends_with, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VPBENCH_PLUGINS", "baselines")
    refused(shell, ends_with, 2, "nothing installed reads my.npy: pip install vpbench-clips")


READERS = """
import numpy as np
import vpbench

def read(path, *, frame_shape, last):
    frames = np.zeros((1, 4, *(frame_shape or (1, 5, 6))), dtype=np.uint8)[:, -(last or 4) :]
    return vpbench.Clips(frames=frames, times=np.arange(4.0)[None, -(last or 4) :], ids=[0])

def two_clips(path, *, frame_shape, last):
    return vpbench.Clips(frames=np.zeros((2, 4, 1, 5, 6), dtype=np.uint8), times=np.zeros((2, 4)), ids=[0, 1])

def no_times(path, *, frame_shape, last):
    return vpbench.Clips(frames=np.zeros((1, 4, 1, 5, 6), dtype=np.uint8), times=np.zeros((1, 4)), ids=[0])

def an_array(path, *, frame_shape, last):
    return np.zeros((1, 4, 1, 5, 6), dtype=np.uint8)

def stubborn(path, *, frame_shape, last):
    return vpbench.Clips(frames=np.zeros((1, 4, 1, 5, 6), dtype=np.uint8), times=np.arange(4.0)[None], ids=[0])

def too_bright(path, *, frame_shape, last):
    return vpbench.Clips(frames=np.full((1, 4, 1, 5, 6), 255, dtype=np.float32), times=np.arange(4.0)[None], ids=[0])

def raising(path, *, frame_shape, last):
    raise ValueError("bad magic")
"""


def reader(name: str, function: str = "read") -> Provided[vpbench.DatasetSpec]:
    spec = vpbench.DatasetSpec(
        name=name,
        factory="some_readers:None",
        summary="",
        version="1",
        license="",
        reads=(".vid", ".v2"),
        reader=f"some_readers:{function}",
    )
    return Provided(spec, f"vpbench-{name}", "1.0", name)


@pytest.fixture
def vid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "some_readers.py").write_text(READERS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "some_readers", raising=False)
    (tmp_path / "my.VID").write_bytes(b"vid")
    return tmp_path / "my.VID"


def test_of_several_that_read_a_file_one_has_to_be_chosen(vid: Path) -> None:
    both = Registry([reader("one"), reader("two")])
    with pytest.raises(UsageError, match=r"my\.VID can be read by one and by two: say --dataset one, or another"):
        reader_of(vid, both)
    assert reader_of(vid, both, "two").spec.name == "two"
    assert reader_of(vid, Registry([reader("one")])).spec.name == "one"
    assert read_clip(vid, reader("one"), (3, 2, 2)).frames.shape == (1, 4, 3, 2, 2)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("two_clips", r"it gave frames of shape \(2, 4, 1, 5, 6\), the contract is one clip"),
        ("no_times", "must increase and be finite"),
        ("an_array", "it gave frames of shape|the dataset gave a ndarray"),
        ("stubborn", r"frames of shape \(1, 4, 1, 5, 6\), asked for \(1, 4, 3, 5, 6\)"),
        ("too_bright", r"from 255 to 255, the contract is \[0, 1\]"),
        ("raising", r"ValueError: bad magic \(some_readers.py, line"),
    ],
)
def test_a_reader_against_the_contract_is_named(vid: Path, function: str, message: str) -> None:
    with pytest.raises(PluginError, match=rf"^vpbench-one 1\.0 \(one\): reading of one my\.VID: .*({message})"):
        read_clip(vid, reader("one", function), (3, 5, 6) if function == "stubborn" else None)


# ---------------------------------------------------------------------------------------------------------- from Python


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64", "tensor", "with a graph"])
def test_from_python_frames_may_be_arrays_or_tensors(kind: str) -> None:
    frames = video()
    given = {
        "uint8": frames,
        "float32": frames / np.float32(255),
        "float64": frames / 255,
        "tensor": torch.from_numpy(frames),
        "with a graph": torch.from_numpy(frames / np.float32(255)).requires_grad_(),
    }[kind]
    found = vpbench.predict("copy-last", given, 2, device="cpu")
    assert (found.dtype, found.shape) == (np.float32, (2, 1, 12, 16))
    np.testing.assert_array_equal(found[1], frames[-1] / np.float32(255))


def test_from_python_half_precision_is_rounded_and_nothing_else() -> None:
    given = torch.from_numpy(video()).bfloat16() / 255
    found = vpbench.predict("copy-last", given, 1, device="cpu")
    np.testing.assert_array_equal(found[0], given[-1].double().numpy())


def test_from_python_a_rollout_is_what_it_is_by_hand_and_what_is_given_stays() -> None:
    """A linear model that writes into what it is given; by hand in float64."""
    weights = torch.rand(10, generator=torch.Generator().manual_seed(0)) / 10
    frames = (video() / 255).astype(np.float32)

    def linear(given: torch.Tensor) -> torch.Tensor:
        answer = torch.einsum("t,btchw->bchw", weights, given)[:, None]
        given.zero_()
        return answer

    sequence = [frame.astype(np.float64) for frame in frames]
    for _ in range(6):
        sequence.append(sum(float(w) * frame for w, frame in zip(weights, sequence[-10:], strict=True)))
    np.testing.assert_allclose(vpbench.predict(linear, frames, 6, device="cpu"), sequence[14:], atol=1e-6)
    np.testing.assert_array_equal(frames, (video() / 255).astype(np.float32))


def test_from_python_a_module_or_a_function_is_a_model_and_comes_back_as_it_was() -> None:
    module = torch.nn.Conv3d(1, 1, 1).train()
    found = vpbench.predict(lambda frames, horizon: frames[:, -horizon:].flip(1), video(), 2, device="cpu")
    np.testing.assert_array_equal(found, video()[:-3:-1] / np.float32(255))
    expected = module(torch.from_numpy(video()[-1:] / np.float32(255)).transpose(0, 1)).transpose(0, 1)

    def one_step(frames: torch.Tensor) -> torch.Tensor:
        return module(frames[:, -1:].transpose(1, 2)).transpose(1, 2)

    found = vpbench.predict(one_step, video(), 1, device="cpu")
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-6)
    assert module.training


def test_frames_at_times_of_their_own_go_to_models_that_can_take_them() -> None:
    asked: list[tuple[list[float], list[float]]] = []

    class Watching:
        capabilities = ("irregular-context", "fractional")

        def predict(self, context: vpbench.Context, target_times: torch.Tensor) -> torch.Tensor:
            asked.append((context.times[0].tolist(), target_times[0].tolist()))
            return context.frames[:, -1:].repeat(1, target_times.shape[1], 1, 1, 1)

    times = [5.0, 6.5, 7.0, 9.25]
    vpbench.predict(Watching(), video(4), 2, times=times, device="cpu")
    vpbench.predict(Watching(), video(4), 1, times=times, context=2, device="cpu")
    vpbench.predict(Watching(), video(4), 1, times=[7.0, 8.0, 9.0, 10.0], device="cpu")
    assert asked == [([0, 1.5, 2, 4.25], [5.25, 6.25]), ([0, 2.25], [3.25]), ([0, 1, 2, 3], [4])]
    frames = np.zeros((10, 1, 64, 64), dtype=np.uint8)
    with pytest.raises(
        Refused, match="the video has frames at times of their own, latentode cannot do irregular-conte"
    ):
        vpbench.predict("latentode", frames, 1, times=[*range(9), 10], device="cpu")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"frames": [[1]]}, UsageError, "frames must be a numpy array or a torch tensor, got list"),
        ({"frames": video()[0]}, UsageError, r"frames must be \(T, C, H, W\), got shape \(1, 12, 16\)"),
        ({"frames": video()[:0]}, UsageError, r"frames must be \(T, C, H, W\), got shape \(0, 1, 12, 16\)"),
        ({"frames": np.zeros((9, 16, 20, 3), np.uint8)}, UsageError, r"has channels last: give frames\.transpose"),
        ({"frames": video().astype(int)}, UsageError, "frames must be uint8 in 0..255 or floating point"),
        ({"frames": video() * 1.0}, UsageError, r"must be in \[0, 1\], these go from"),
        ({"frames": video() * np.nan}, UsageError, r"must be in \[0, 1\], these go from nan to nan"),
        ({"horizon": 0}, UsageError, "horizons must be at least 1, got 0"),
        ({"horizon": 1.5}, UsageError, "horizons must be a whole number, got 1.5"),
        ({"context": 0}, UsageError, "context must be at least 1, got 0"),
        ({"context": 20}, Refused, "the video has 14 frames, copy-last is given 20"),
        ({"times": ["now"] * 14}, UsageError, "times must be numbers, in frame periods"),
        ({"times": [1, 2]}, UsageError, "times must increase, be finite, and be as many as the 14 frames"),
        ({"times": [*range(13), 12]}, UsageError, "times must increase"),
        ({"settings": {"depth": 3}}, ConfigError, "no config key 'depth'"),
        ({"model": "latentode"}, Refused, "latentode has no weights for frames 1×12×16 after 10 given"),
        ({"model": lambda frames: frames[..., :3]}, ModelFailed, "returned shape"),
    ],
    ids=lambda value: re.sub(r" at 0x\w+", "", str(value)),  # an address would be another one in each worker
)
def test_from_python_what_makes_no_sense_is_one_line(change: dict[str, Any], error: type, message: str) -> None:
    asked = {"model": "copy-last", "frames": video(), "horizon": 2, "device": "cpu", **change}
    with pytest.raises(error, match=message):
        vpbench.predict(asked.pop("model"), asked.pop("frames"), asked.pop("horizon"), **asked)
