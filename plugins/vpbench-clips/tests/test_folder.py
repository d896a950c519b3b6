"""What is found at a path."""

from __future__ import annotations

import os

import numpy as np
import pytest
from vpbench_clips.config import Config
from vpbench_clips.dataset import Clips
from vpbench_clips.folder import listed

from vpbench.errors import DataError


def names(root):
    return {source.name: source.kind for source in listed(root).sources}


def test_videos_image_folders_and_arrays_are_found_at_any_depth_in_natural_order(folder, image_folder, movie):
    for name in ("walking/person10.avi", "walking/person9.avi", "a.GIF", "b.h5"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    image_folder(folder / "pictures" / "one", movie(2))
    np.save(folder / "c.npy", np.zeros(3))
    (folder / "d.zarr" / "c").mkdir(parents=True)
    (folder / "d.zarr" / "zarr.json").touch()
    assert list(names(folder).items()) == [
        ("a.GIF", "video"),
        ("b.h5", "arrays"),
        ("c.npy", "arrays"),
        ("d.zarr", "arrays"),
        ("pictures/one", "images"),
        ("walking/person9.avi", "video"),
        ("walking/person10.avi", "video"),
    ]


def test_what_lies_beside_is_no_clip(folder):
    for name in ("a.mp4", "a.jpg", "README.txt", ".hidden.mp4", "Thumbs.db", "a.times.npy"):
        (folder / name).touch()
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "b.mp4").touch()
    assert names(folder) == {"a.mp4": "video"}
    assert listed(folder).others == {".jpg": 1, ".txt": 1, ".npy": 1}


@pytest.mark.parametrize("name", [b"caf\xe9", b"100%03d", b"a:b;c", b"line\nbreak", b"-y", b"concat:x|y"])
def test_any_name_of_a_file_will_do(folder, video, movie, name):
    video(folder / "a.mkv", movie(5)).rename(folder / os.fsdecode(name + b".mkv"))
    np.save(folder / os.fsdecode(name + b".npy"), movie(5, seed=1))
    dataset = Clips(Config(path=str(folder), splits="test"))
    frames = dataset.clips("test", [0, 1], np.tile(np.arange(5.0), (2, 1))).frames
    assert np.array_equal(frames, np.stack([movie(5), movie(5, seed=1)]).transpose(0, 1, 4, 2, 3))
    assert dataset.fingerprint("test")
    assert dataset.ids("test", n_frames=5) == Clips(Config(path=str(folder), splits="test")).ids("test", n_frames=5)


def test_a_circle_of_links_ends(folder):
    (folder / "in").mkdir()
    (folder / "in" / "a.mp4").touch()
    (folder / "in" / "back").symlink_to(folder)
    (folder / "in" / "self").symlink_to(folder / "in")
    assert names(folder) == {"in/a.mp4": "video"}


def test_a_link_to_a_folder_elsewhere_is_followed(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.mp4").touch()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    assert names(folder) == {"linked/a.mp4": "video"}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "is not there or not readable"),
        (lambda path: path.mkdir(), "holds no video, image folder or array$"),
        (lambda path: (path.mkdir(), (path / "a.xyz").touch(), (path / "b.xyz").touch()), r"but files: 2 \.xyz"),
        (lambda path: path.write_text("hello"), r"files that are read end in \.mp4, "),
        (os.mkfifo, "is neither a file nor a folder"),
    ],
)
def test_where_nothing_can_be_read_that_is_said(tmp_path, make, said):
    make(tmp_path / "here")
    with pytest.raises(DataError, match=said):
        listed(tmp_path / "here")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_read_is_named(folder):
    (folder / "in").mkdir(mode=0)
    with pytest.raises(DataError, match=r"in cannot be read \(Permission denied\)"):
        listed(folder)
