"""Files that a crash, a full disk or a second process never leave half written, and locks between processes."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NoReturn

from .errors import Busy, StorageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def write_atomically(path: str | Path, content: bytes) -> None:
    """Replace a file in one step, see `replacing`."""
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of `path` when the block ends well, and leaves no trace when it does not.

    Missing folders are made. The bytes are on the disk before the name points at them (fsync, then rename within the
    folder), so a reader, a crash or a power cut sees the old file or the new one. Raises `StorageError` in one line.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)  # noqa: PTH105 (tests fill the disk here)
        except BaseException:  # Ctrl-C too
            with suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(path.parent)
    except OSError as error:
        _raise_storage_error(path, error)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where folders can be synced (not on Windows, nor on every network disk)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_REMEDIES: Mapping[int, str] = {
    errno.ENOSPC: "free some space or choose another folder",
    getattr(errno, "EDQUOT", errno.ENOSPC): "free some of your quota or choose another folder",
    errno.EFBIG: "raise the limit on file sizes or choose another folder",
    errno.EROFS: "choose a folder on a disk that can be written",
    errno.EACCES: "choose a folder you may write to, or change its permissions",
    errno.EPERM: "choose a folder you may write to, or change its permissions",
    errno.ENOTDIR: "a part of this path is a file: choose another folder",
    errno.EEXIST: "a part of this path is a file: choose another folder",
    errno.EISDIR: "there is a folder of this name: move it away",
    errno.ENAMETOOLONG: "choose a folder with a shorter path",
}


def _raise_storage_error(path: Path, error: OSError) -> NoReturn:
    cause = error.strerror or type(error).__name__
    remedy = _REMEDIES.get(error.errno or 0, "choose another folder")
    raise StorageError(f"cannot write {path}: {cause}; {remedy}") from error


# ------------------------------------------------------------------------------------------------------------ locks


@contextmanager
def holding(lock: str | Path, *, what: str) -> Iterator[None]:
    """Hold the lock file at this path; raises `Busy` if someone does, `StorageError` if it cannot be made.

    With flock (POSIX) the system lets go when the process dies, however it dies; a child forked by the holder keeps the
    lock until it ends too. Without flock (Windows, some network disks) the mere existence of the file is the lock, and
    after a kill it has to be deleted by hand, which the message says.
    """
    lock = Path(lock)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(lock, what)
    except OSError as error:
        _raise_storage_error(lock, error)
    try:
        yield
    finally:
        # The name goes while the lock is still held: whoever opened the old file before finds out in _acquire.
        with suppress(OSError):
            lock.unlink()
        os.close(descriptor)
        if os.name == "nt":  # which removes no open file
            with suppress(OSError):
                lock.unlink()


def _acquire(lock: Path, what: str) -> int:
    """An open descriptor of the locked file."""
    if fcntl is None or not _can_flock(lock.parent):
        return _create(lock, what)
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(lock, descriptor):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, _self().encode())
                return descriptor
        except BlockingIOError:
            holder = _holder(lock)
            os.close(descriptor)
            raise Busy(f"{what} is being worked on by {holder}: wait for it, or end it") from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the holder removed this file between our open and our lock: try again with the new one


def _can_flock(folder: Path) -> bool:
    """Whether the disk of this folder knows flock; Lustre and NFS often do not."""
    import tempfile

    with tempfile.TemporaryFile(dir=folder) as probe:
        try:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def _create(lock: Path, what: str) -> int:
    """The lock where there is no flock: whoever creates the file has it."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        holder = _holder(lock)
        raise Busy(f"{what} is being worked on by {holder}; if that process is gone, delete {lock}") from None
    os.write(descriptor, _self().encode())
    return descriptor


def _is_still(lock: Path, descriptor: int) -> bool:
    """Whether the path still names the file we opened."""
    try:
        return os.path.samestat(lock.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _self() -> str:
    import platform

    return f"{os.getpid()}@{platform.node()}"


def _holder(lock: Path) -> str:
    with suppress(OSError, ValueError):
        if holder := lock.read_text(encoding="utf-8").strip():
            return f"process {holder}"
    return "another process"
