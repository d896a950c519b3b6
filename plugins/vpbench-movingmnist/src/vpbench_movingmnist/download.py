"""Download one file over HTTP: resumed, retried and verified."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from io import BufferedRandom
from pathlib import Path

from vpbench.errors import Busy, DataError, StorageError

Report = Callable[[int, "int | None"], None]  #: (bytes done, bytes in total or None where the server does not say)

_CHUNK = 1 << 20
_TIMEOUT_S = 30
_ATTEMPTS = 4  #: in a row that bring nothing new
_PASSING = {408, 425, 429, 500, 502, 503, 504}  #: HTTP errors that may be gone at the next attempt


class _Interrupted(Exception):
    """The connection failed; another attempt may bring the rest."""


def download(url: str, target: Path, *, md5: str, report: Report, wait_s: float = 1.0) -> Path:
    """Download to `target`, by way of `<target>.part`, which survives a failure and is continued by the next call.

    wait_s    pause before the second attempt; doubled with every further one

    Raises DataError where the file cannot be had, StorageError where it cannot be written, Busy where another process
    is downloading it.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "ab+") as file:
            _lock(file, part)
            inherited = file.seek(0, 2) > 0
            _fetch_all(url, file, report, wait_s)
            found = _md5(file)
            if found != md5 and inherited:  # the beginning may be of another file: once more, from nothing
                file.truncate(0)
                _fetch_all(url, file, report, wait_s)
                found = _md5(file)
            size = file.seek(0, 2)
        if found != md5:
            part.unlink()
            raise DataError(f"{url} is another file: {size} bytes with md5 {found}, expected md5 {md5}")
        part.replace(target)
    except OSError as error:
        raise StorageError(f"{target} cannot be written ({error.strerror or error})") from error
    return target


def _fetch_all(url: str, file: BufferedRandom, report: Report, wait_s: float) -> None:
    """Append to the file until all is there."""
    in_vain = 0
    furthest = file.seek(0, 2)
    while True:
        try:
            return _fetch_rest(url, file, file.seek(0, 2), report)
        except _Interrupted as error:
            reached = file.seek(0, 2)
            in_vain = 0 if reached > furthest else in_vain + 1
            furthest = max(furthest, reached)
            if in_vain == _ATTEMPTS:
                raise DataError(f"{url} cannot be downloaded ({error})") from error
        time.sleep(wait_s * 2 ** max(in_vain - 1, 0))


def _fetch_rest(url: str, file: BufferedRandom, done: int, report: Report) -> None:
    """One request, for what is missing after `done` bytes."""
    try:
        request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # nothing after `done`: all is here, or too much, which the md5 shows
                return
            if error.code in _PASSING:
                raise _Interrupted(f"HTTP {error.code}") from error
            raise DataError(f"{url} cannot be downloaded (HTTP {error.code} {error.reason})") from error
    except ValueError as error:
        raise DataError(f"{url!r} is not a URL ({error})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(_reason(error)) from error
    with response:
        if done and not _continues(response, done):  # the server sends all of it
            file.truncate(0)
            done = 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length and length.isdigit() else None
        report(done, total)
        while chunk := _read(response):
            file.write(chunk)
            done += len(chunk)
            report(done, total)
        file.flush()
        if total is not None and done < total:
            raise _Interrupted(f"the connection closed after {done} of {total} bytes")


def _continues(response: http.client.HTTPResponse, done: int) -> bool:
    """Whether the answer to a range request starts where the file ends."""
    start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return start is not None and int(start[1]) == done


def _read(response: http.client.HTTPResponse) -> bytes:
    """The next bytes; network errors are told from those of the disk here, where only the network is used."""
    try:
        return response.read(_CHUNK)
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(_reason(error)) from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error) or type(error).__name__


def _md5(file: BufferedRandom) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "md5").hexdigest()


def _lock(file: BufferedRandom, part: Path) -> None:
    """Two processes must not append to one file. The lock goes with the process."""
    with contextlib.suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{part} is being downloaded by another process: wait for it") from None
        except OSError:  # a file system without locks
            return
