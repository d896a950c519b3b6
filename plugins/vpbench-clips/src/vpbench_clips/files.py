"""Where this package remembers what it found out about files, and what it says of files that cannot be read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import platformdirs

from vpbench.errors import DataError


class Unreadable(DataError):
    """One file cannot be read; where the others are enough, it may be left out and counted."""


class Mark(NamedTuple):
    """What is seen of a file without reading it."""

    size: int  #: bytes
    written_ns: int
    changed_ns: int  #: also by a new name, a link or other rights; unlike the time it was written, nobody can set it

    @classmethod
    def of(cls, path: Path) -> Mark:
        """Raises Unreadable."""
        try:
            facts = path.stat()
        except OSError as error:
            raise unreadable(path, error) from error
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)


def require_unchanged(path: Path, mark: Mark) -> None:
    """Raise Unreadable where a file was written since: its frames would pass for those that the fingerprint is of."""
    if Mark.of(path)[:2] != mark[:2]:
        raise unreadable(path, "it has changed since it was first looked at")


def cache_folder() -> Path:
    """Files that can be made again: $VPBENCH_CACHE, or the user's cache folder."""
    return Path(os.environ.get("VPBENCH_CACHE") or platformdirs.user_cache_dir("vpbench"))


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[BinaryIO]:
    """A file to write, renamed to `target` at the end: readers see a whole file or none, and the last of a race stays.

    Raises OSError where nothing can be written, and leaves nothing behind.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
        temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def content_sha256(files: Iterable[tuple[str, Path]]) -> str:
    """sha256 of one file; of several, of their names inside what they make up and their sums. Raises DataError."""
    sums = [(name, _sha256(path)) for name, path in files]
    if len(sums) == 1:
        return sums[0][1]
    found = hashlib.sha256()
    for name, each in sums:
        found.update(os.fsencode(f"{name}\0{each}\0"))
    return found.hexdigest()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                go_on()
                digest.update(block)
    except OSError as error:
        raise unreadable(path, error) from error
    return digest.hexdigest()


class Stopped(Exception):
    """Nobody waits for the result any more."""


class _Here(threading.local):
    """Of each thread that looks through files: what tells it to stop."""

    stop: threading.Event | None = None


_here = _Here()


def stop_at(event: threading.Event) -> None:
    """From here on `go_on` in this thread heeds this event."""
    _here.stop = event


def go_on() -> None:
    """Raise Stopped where this thread is to stop: called between pieces of work that take long together."""
    if _here.stop is not None and _here.stop.is_set():
        raise Stopped


def unreadable(path: Path, why: object) -> Unreadable:
    """What is said of a file that cannot be read: its name, one line of reason, and what to do."""
    reason = why
    if isinstance(why, BaseException):
        told = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
        lines = told.strip().splitlines()
        reason = lines[0][:200] if lines else type(why).__name__
    return Unreadable(f"{on_one_line(path)} cannot be read ({reason})")


def on_one_line(name: object) -> str:
    """A name as people can read it: one with a line break, or that is no UTF-8, has that escaped."""
    text = str(name)
    return text if text.isprintable() else repr(text)
