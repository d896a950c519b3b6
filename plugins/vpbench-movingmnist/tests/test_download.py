from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from vpbench_movingmnist.download import download as patient_download

from vpbench.errors import Busy, DataError, StorageError

download = partial(patient_download, wait_s=0.0)


class Progress(list[tuple[int, int | None]]):
    """What was reported."""

    def __call__(self, done: int, total: int | None) -> None:
        self.append((done, total))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new" / "file.npy"


@pytest.fixture
def part(target: Path) -> Path:
    target.parent.mkdir()
    return target.with_name("file.npy.part")


def md5(server: Any) -> str:
    return hashlib.md5(server.content).hexdigest()


def test_a_file_is_downloaded_and_its_progress_reported(server: Any, target: Path) -> None:
    progress = Progress()
    assert download(server.url, target, md5=md5(server), report=progress) == target
    assert target.read_bytes() == server.content
    assert [path.name for path in target.parent.iterdir()] == ["file.npy"]
    assert progress[0] == (0, 10_240)
    assert progress[-1] == (10_240, 10_240)
    assert progress == sorted(progress)


def test_a_partial_file_is_continued_where_it_ends(server: Any, target: Path, part: Path) -> None:
    part.write_bytes(server.content[:3_000])
    progress = Progress()
    download(server.url, target, md5=md5(server), report=progress)
    assert target.read_bytes() == server.content
    assert server.ranges == ["bytes=3000-"]
    assert progress[0] == (3_000, 10_240)
    assert not part.exists()


def test_a_server_without_ranges_is_asked_for_all_of_it(server: Any, target: Path, part: Path) -> None:
    server.knows_ranges = False
    part.write_bytes(server.content[:3_000])
    download(server.url, target, md5=md5(server), report=Progress())
    assert target.read_bytes() == server.content


def test_a_server_that_does_not_say_the_length_is_fine(server: Any, target: Path) -> None:
    server.says_length = False
    progress = Progress()
    download(server.url, target, md5=md5(server), report=progress)
    assert target.read_bytes() == server.content
    assert progress[-1] == (10_240, None)


def test_a_broken_connection_is_resumed(server: Any, target: Path) -> None:
    server.faults = [1_000, 503, 50, 2_000]
    download(server.url, target, md5=md5(server), report=Progress())
    assert target.read_bytes() == server.content
    assert server.ranges == [None, "bytes=1000-", "bytes=1000-", "bytes=1050-", "bytes=3050-"]


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_server_that_stays_broken_is_given_up_and_what_came_is_kept(
    server: Any, target: Path, part: Path, knows_ranges: bool
) -> None:
    server.knows_ranges = knows_ranges
    server.faults = [1_000, 503, 503, 503, 503]
    with pytest.raises(DataError, match=r"cannot be downloaded \(HTTP 503\)"):
        download(server.url, target, md5=md5(server), report=Progress())
    assert part.read_bytes() == server.content[:1_000]
    assert not target.exists()
    download(server.url, target, md5=md5(server), report=Progress())
    assert target.read_bytes() == server.content


def test_a_server_that_always_stops_at_the_same_byte_is_given_up(server: Any, target: Path) -> None:
    server.knows_ranges = False
    server.faults = [1_000, 900, 1_000, 900, 1_000]
    with pytest.raises(DataError, match=r"the connection closed after 1000 of 10240 bytes"):
        download(server.url, target, md5=md5(server), report=Progress())
    assert len(server.ranges) == 5


def test_a_missing_page_is_not_asked_for_twice(server: Any, target: Path) -> None:
    server.faults = [404, 404]
    with pytest.raises(DataError, match="HTTP 404"):
        download(server.url, target, md5=md5(server), report=Progress())
    assert len(server.ranges) == 1


def test_another_file_is_refused_and_leaves_nothing(server: Any, target: Path, part: Path) -> None:
    target.write_bytes(b"older")
    with pytest.raises(DataError, match=f"another file: 10240 bytes with md5 {md5(server)}, expected md5 {'0' * 32}"):
        download(server.url, target, md5="0" * 32, report=Progress())
    assert len(server.ranges) == 1
    assert [path.read_bytes() for path in target.parent.iterdir()] == [b"older"]


def test_a_partial_file_of_something_else_is_started_over(server: Any, target: Path, part: Path) -> None:
    part.write_bytes(b"x" * 3_000)
    download(server.url, target, md5=md5(server), report=Progress())
    assert target.read_bytes() == server.content
    assert server.ranges == ["bytes=3000-", None]


def test_a_partial_file_that_is_whole_is_taken(server: Any, target: Path, part: Path) -> None:
    part.write_bytes(server.content)
    download(server.url, target, md5=md5(server), report=Progress())
    assert target.read_bytes() == server.content


def test_a_partial_file_that_is_too_long_is_started_over(server: Any, target: Path, part: Path) -> None:
    part.write_bytes(server.content + b"more")
    download(server.url, target, md5=md5(server), report=Progress())
    assert target.read_bytes() == server.content


def test_no_network_is_a_data_error(server: Any, target: Path) -> None:
    server.server_close()
    with pytest.raises(DataError, match=r"cannot be downloaded \(.*refused"):
        download(server.url, target, md5=md5(server), report=Progress())


@pytest.mark.parametrize("url", ["mnist_test_seq.npy", "", "gopher://x/y", "http://"])
def test_what_is_no_url_is_a_data_error(url: str, target: Path) -> None:
    with pytest.raises(DataError):
        download(url, target, md5="", report=Progress())


def test_a_place_that_cannot_be_written_is_a_storage_error(server: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        download(server.url, tmp_path / "file" / "x.npy", md5=md5(server), report=Progress())


def test_two_downloads_of_one_file_do_not_mix(server: Any, target: Path, part: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    with open(part, "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Busy, match="another process"):
            download(server.url, target, md5=md5(server), report=Progress())
    download(server.url, target, md5=md5(server), report=Progress())


def test_interrupting_keeps_what_came(server: Any, target: Path, part: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server.url, target, md5=md5(server), report=interrupt)
    assert part.read_bytes() == server.content
