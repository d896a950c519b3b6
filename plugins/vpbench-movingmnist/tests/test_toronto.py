from __future__ import annotations

import hashlib
import json
import os
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vpbench_movingmnist.files import cache_folder
from vpbench_movingmnist.toronto import REMEDY, Config, MovingMNISTToronto, TorontoFile, fetch, fetch_file, fetched_path

from vpbench.errors import DataError, UsageError

SHAPE = (5, 7, 8, 8)  # (T, clips, H, W)
ARRAY = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VPBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("VPBENCH_TORONTO_URL", raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    np.save(tmp_path / "seq.npy", ARRAY)
    return tmp_path / "seq.npy"


def expected(path: Path, *, url: str = "http://127.0.0.1:1/", shape: tuple[int, int, int, int] = SHAPE) -> TorontoFile:
    return TorontoFile(url=url, md5=hashlib.md5(path.read_bytes()).hexdigest(), shape=shape)


def made(path: Path, file: TorontoFile | None = None) -> MovingMNISTToronto:
    return MovingMNISTToronto(Config(path=str(path)), file=file or expected(path))


def used(path: Path, file: TorontoFile) -> Any:
    return made(path, file).clips("test", [0], np.array([[0.0]])).frames


def test_the_published_file_is_known() -> None:
    assert TorontoFile().md5 == "be083ec986bfe91a449d63653c411eb2"
    assert TorontoFile().shape == (20, 10_000, 64, 64)
    assert TorontoFile().url == "http://www.cs.toronto.edu/~nitish/unsupervised_video/mnist_test_seq.npy"


def test_clips_are_those_of_the_file(path: Path) -> None:
    dataset = made(path)
    assert (dataset.info.frame_shape, dataset.info.max_length, dataset.info.fractional) == ((1, 8, 8), 5, False)
    assert dataset.ids("test", n_frames=5) == range(7)
    assert list(dataset.ids("test", n_frames=6)) == []
    times = np.array([[0.0, 1.0, 4.0], [3.0, 2.0, 2.0]])
    clips = dataset.clips("test", [6, 2], times)
    assert clips.frames.dtype == np.uint8
    assert clips.frames.shape == (2, 3, 1, 8, 8)
    for b, clip in enumerate([6, 2]):
        for i, t in enumerate(times[b].astype(int)):
            assert (clips.frames[b, i, 0] == ARRAY[t, clip]).all()
    assert (clips.times == times).all()
    assert list(clips.ids) == [6, 2]
    assert not clips.truth


def test_the_file_is_never_loaded_whole(tmp_path: Path) -> None:
    shape = (20, 500, 64, 64)
    big = np.lib.format.open_memmap(tmp_path / "big.npy", mode="w+", dtype=np.uint8, shape=shape)
    big.flush()
    file = TorontoFile(md5=hashlib.md5((tmp_path / "big.npy").read_bytes()).hexdigest(), shape=shape)
    tracemalloc.start()
    made(tmp_path / "big.npy", file).clips("test", [3, 4], np.tile(np.arange(20.0), (2, 1)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6  # of 41 MB


def test_it_has_only_a_test_split(path: Path) -> None:
    for split in ("train", "val"):
        for call in (
            lambda split: made(path).ids(split, n_frames=1),
            lambda split: made(path).clips(split, [0], np.zeros((1, 1))),
            lambda split: made(path).fingerprint(split),
        ):
            with pytest.raises(UsageError, match=f"only a test split, not '{split}': train .* on moving-mnist"):
                call(split)


@pytest.mark.parametrize(
    ("ids", "times", "complaint"),
    [
        ([0], [[0.5]], r"no frame at time 0\.5: .* whole times 0\.\.4"),
        ([0], [[-1.0]], r"no frame at time -1\.0"),
        ([0], [[5.0]], r"no frame at time 5\.0"),
        ([0], [[float("nan")]], r"no frame at time nan"),
        ([7], [[0.0]], r"no clip 7: ids are 0\.\.6"),
        ([-1], [[0.0]], r"no clip -1"),
        ([0, 1], [[0.0]], r"got shapes \(2,\) and \(1, 1\)"),
    ],
)
def test_clips_that_do_not_exist_are_refused(path: Path, ids: list, times: list, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        made(path).clips("test", ids, np.array(times))


def saved(array: np.ndarray) -> Callable[[Path], None]:
    return lambda path: np.save(path, array)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthened(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def objects(path: Path) -> None:
    np.save(path, np.array([[1], None], dtype=object))


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(ARRAY))


def archived(path: Path) -> None:
    with open(path, "wb") as file:
        np.savez(file, ARRAY)


def gone(path: Path) -> None:
    path.unlink()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (gone, "is not there"),
        (folder, "cannot be read"),
        (cut, "truncated"),
        (lambda path: path.write_bytes(b""), "truncated, or no .npy file"),
        (lambda path: path.write_bytes(b"<html>moved</html>"), "no .npy file"),
        (objects, "no .npy file of numbers"),
        (pickled, "no .npy file"),
        (archived, "no .npy file"),
        (saved(ARRAY.astype(np.float32)), r"float32 \(5, 7, 8, 8\), expected uint8 \(5, 7, 8, 8\)"),
        (saved(ARRAY.swapaxes(0, 1)), r"uint8 \(7, 5, 8, 8\), expected uint8 \(5, 7, 8, 8\)"),
    ],
)
def test_a_file_of_another_form_is_refused_before_anything_runs(
    path: Path, damage: Callable[[Path], None], complaint: str
) -> None:
    file = expected(path)
    damage(path)
    with pytest.raises(DataError, match=complaint) as caught:
        made(path, file)
    message = str(caught.value)
    assert str(path) in message
    assert message.endswith(REMEDY)
    assert "\n" not in message


@pytest.mark.parametrize("damage", [saved(ARRAY ^ 1), saved(np.asfortranarray(ARRAY)), lengthened])
def test_a_file_with_another_sum_is_refused_when_it_is_used(path: Path, damage: Callable[[Path], None]) -> None:
    file = expected(path)
    damage(path)
    for use in (lambda d: d.fingerprint("test"), lambda d: d.clips("test", [0], np.zeros((1, 1)))):
        with pytest.raises(DataError, match=f"md5 .*, expected {file.md5}.*vpbench data get moving-mnist-toronto"):
            use(made(path, file))


def test_the_fetched_file_is_the_default() -> None:
    with pytest.raises(DataError, match=r"mnist_test_seq\.npy is not there") as caught:
        MovingMNISTToronto()
    assert str(fetched_path()) in str(caught.value)


def test_a_path_may_start_at_home(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(path.parent))
    assert made(Path("~/seq.npy"), expected(path)).fingerprint("test")


@pytest.mark.parametrize("path", ["", 3])
def test_config_says_what_it_takes(path: Any) -> None:
    with pytest.raises(ValueError, match="path must name a file"):
        Config(path=path)


def test_the_sum_is_computed_once_for_a_file_that_does_not_change(path: Path) -> None:
    file, facts = expected(path), path.stat()
    used(path, file)
    notes = json.loads((cache_folder() / "md5.json").read_text())
    assert notes == {str(path): {"size": facts.st_size, "mtime_ns": facts.st_mtime_ns, "md5": file.md5}}

    np.save(path, ARRAY ^ 1)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    used(path, file)  # same path, size and time: the note is believed
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    with pytest.raises(DataError, match="md5"):
        used(path, file)


@pytest.mark.parametrize("notes", ["", "[]", '{"PATH": 3}', '{"PATH": {"md5": 7}}', "{", "\x00"])
def test_damaged_notes_are_computed_anew(path: Path, notes: str) -> None:
    cache_folder().mkdir()
    (cache_folder() / "md5.json").write_text(notes.replace("PATH", str(path)))
    used(path, expected(path))
    assert json.loads((cache_folder() / "md5.json").read_text())[str(path)]["md5"] == expected(path).md5


def test_notes_that_cannot_be_kept_are_done_without(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("VPBENCH_CACHE", str(path / "cache"))
    dataset = made(path)
    for clip in range(3):
        dataset.clips("test", [clip], np.zeros((1, 1)))
    assert len(caplog.records) == 1
    assert "cannot remember the md5" in caplog.text


def test_fingerprint_is_of_the_content_wherever_it_lies(path: Path) -> None:
    copy = path.with_name("copy.npy")
    copy.write_bytes(path.read_bytes())
    assert made(path).fingerprint("test") == made(copy).fingerprint("test")
    np.save(copy, ARRAY ^ 1)
    assert made(path).fingerprint("test") != made(copy).fingerprint("test")


def test_a_dataset_pickles_without_its_file(path: Path) -> None:
    dataset = made(path)
    frames = dataset.clips("test", [1], np.array([[2.0]])).frames
    packed = pickle.dumps(dataset)
    assert len(packed) < 2_000
    assert (pickle.loads(packed).clips("test", [1], np.array([[2.0]])).frames == frames).all()


def test_fetch_downloads_once_and_the_dataset_finds_it(path: Path, server: Any) -> None:
    server.content = path.read_bytes()
    file = expected(path, url=server.url)
    seen: list[tuple[int, int | None]] = []
    assert fetch_file(file, lambda done, total: seen.append((done, total))) == fetched_path()
    assert seen[-1] == (len(server.content), len(server.content))
    assert (MovingMNISTToronto(file=file).clips("test", [4], np.array([[1.0]])).frames[0, 0, 0] == ARRAY[1, 4]).all()
    fetch_file(file, lambda done, total: None)
    assert len(server.ranges) == 1


def test_fetch_replaces_a_file_that_is_not_the_published_one(path: Path, server: Any) -> None:
    server.content = path.read_bytes()
    fetched_path().parent.mkdir(parents=True)
    fetched_path().write_bytes(b"something else")
    fetch_file(expected(path, url=server.url), lambda done, total: None)
    assert fetched_path().read_bytes() == server.content


def test_fetch_takes_a_mirror_and_says_what_to_do_when_it_fails(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VPBENCH_TORONTO_URL", server.url)
    with pytest.raises(DataError) as caught:
        fetch(lambda done, total: None)
    message = str(caught.value)
    assert message.startswith(f"{server.url} is another file")
    assert "set VPBENCH_TORONTO_URL to a mirror" in message
    assert "`--set path=FILE`" in message
    assert "\n" not in message
    assert not fetched_path().exists()
