"""One file as one clip, as `vpbench predict` reads it."""

from __future__ import annotations

import numpy as np
import pytest
from vpbench_clips import reader
from vpbench_clips.pixels import with_channels, with_size
from vpbench_clips.reader import read

from vpbench.errors import DataError


@pytest.mark.parametrize("name", ["a.mkv", "a.avi"])
def test_a_video_is_one_clip(folder, video, movie, name):
    clips = read(video(folder / name, movie(7), "ffv1"))
    assert np.array_equal(clips.frames, movie(7).transpose(0, 3, 1, 2)[None])
    assert clips.times.tolist() == [[0, 1, 2, 3, 4, 5, 6]]
    assert list(clips.ids) == [0]


def test_it_is_brought_to_the_shape_that_is_asked_for(folder, video, movie):
    path = video(folder / "a.mkv", movie(4))
    found = read(path, frame_shape=(1, 8, 8)).frames
    assert found.shape == (1, 4, 1, 8, 8)
    assert np.array_equal(found[0, 2].transpose(1, 2, 0), with_channels(with_size(movie(4)[2], (8, 8)), 1))


@pytest.mark.parametrize("axes", ["THW", "TCHW", "THWC", "NTHWC"])
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_an_array_of_one_clip_is_one_too(folder, axes, name):
    values = np.random.default_rng(0).integers(0, 256, (1, 6, 3, 9, 10), dtype=np.uint8)
    values = values if "C" in axes else values[:, :, :1]
    given = values.transpose(["NTCHW".index(letter) for letter in axes + "".join(set("NC") - set(axes))])
    given = given.reshape([size for size, letter in zip(given.shape, axes, strict=False)])
    np.save(folder / "a.npy", given) if name == "a.npy" else np.savez(folder / "a.npz", frames=given)
    assert np.array_equal(read(folder / name).frames, values)


def test_floats_stay_floats(folder):
    values = np.random.default_rng(0).random((5, 8, 8), dtype=np.float32)
    np.save(folder / "a.npy", values)
    assert np.array_equal(read(folder / "a.npy").frames[0, :, 0], values)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("a.npy", np.zeros((4, 8, 8)) + 7.0, "float64 values from 7 to 7: save it as uint8, or as floats from 0 to 1"),
        ("a.npy", np.zeros((4, 8, 8), dtype=np.int32), "int32 values"),
        ("a.npy", np.full((4, 8, 8), np.nan), "float64 values from nan"),
        (
            "a.npy",
            np.zeros((9, 4, 3, 8, 8), dtype=np.uint8),
            r"shape \(9, 4, 3, 8, 8\): save one clip as \(frames, height, width\)",
        ),
        ("a.npy", np.zeros((9, 9), dtype=np.uint8), "must hold one array"),
        ("a.npy", np.zeros((9, 9, 16, 16), dtype=np.uint8), "save one clip as"),
        ("a.npy", np.zeros((9, 2, 16, 16, 3), dtype=np.uint8), "save one clip as"),
        ("a.npy", np.array([{}]), "pickled objects, which are never opened"),
    ],
)
def test_an_array_that_is_no_clip_says_why(folder, name, values, said):
    np.save(folder / name, values)
    with pytest.raises(DataError, match=said):
        read(folder / name)


@pytest.mark.parametrize("content", [b"", b"nothing" * 100])
@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.npy", "a.npz"])
def test_a_damaged_file_is_named(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} cannot be read \("):
        read(folder / name)


def test_what_is_not_there_and_what_is_no_clip_is_said(folder):
    with pytest.raises(DataError, match=r"gone\.mp4 cannot be read \(No such file"):
        read(folder / "gone.mp4")
    with pytest.raises(DataError, match="neither a video nor an array, by its ending"):
        read(folder / "a.txt")


def test_the_last_frames_are_those_of_the_whole_at_their_times_and_need_no_memory_for_the_rest(
    folder, video, movie, monkeypatch
):
    path = video(folder / "a.mkv", movie(20))
    for frame_shape in (None, (1, 8, 8)):
        whole, end = (reader.read(path, frame_shape=frame_shape, last=last) for last in (None, 4))
        assert np.array_equal(end.frames, whole.frames[:, -4:])
        assert end.times.tolist() == [[16, 17, 18, 19]]
    assert reader.read(path, last=50).frames.shape == reader.read(path).frames.shape
    monkeypatch.setattr(reader, "MAX_BYTES", 16 * 24 * 3 * 5)
    assert reader.read(path, last=5).frames.shape[1] == 5


def test_a_clip_too_large_for_memory_is_refused_while_it_is_read(folder, video, movie, monkeypatch):
    path = video(folder / "a.mkv", movie(20))
    monkeypatch.setattr(reader, "MAX_BYTES", 16 * 24 * 3 * 5)
    with pytest.raises(DataError, match=r"a\.mkv: 6 frames of it take over 0 GiB: cut it shorter"):
        read(path)
    assert read(path, frame_shape=(1, 8, 8)).frames.shape[1] == 20
