"""What was found out about files, remembered for as long as their sizes and times of change stay.

Looking at a file means decoding all of it, so this is done once, by several threads, and kept in the cache folder: one
file per folder of clips.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import av

from vpbench.errors import DataError

from .files import cache_folder, stop_at, written_whole

#: Changes with what is kept and with what decodes; older files are not used.
FORMAT = f"1, libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}"

_SAVE_S = 30.0  # so that looking through a large folder can be interrupted
_SAY_S = 5.0

_log = logging.getLogger(__name__)


class Job(NamedTuple):
    """Something to find out about a source."""

    name: str
    stamp: str  #: of its files
    look: Callable[[], dict[str, Any]]  #: finds out, as plain JSON values; may raise Unreadable


class Index:
    """Facts by name; `changed` ones are found out again."""

    def __init__(self, root: Path) -> None:
        place = hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:32]
        self.path = cache_folder() / "clips" / f"{place}.json"
        self.root = root
        self._kept = self._read()
        self._saved = time.monotonic()
        self._unsaved = False

    def facts(self, jobs: Sequence[Job]) -> list[dict[str, Any] | DataError]:
        """What is known about each, in their order; a DataError where looking at it has raised one."""
        found: dict[str, dict[str, Any] | DataError] = {}
        todo = []
        for job in jobs:
            kept = self._kept.get(job.name)
            if kept is not None and kept["stamp"] == job.stamp:
                found[job.name] = kept["facts"]
            else:
                todo.append(job)
        if todo:
            self._look(todo, found)
        return [found[job.name] for job in jobs]

    def _look(self, todo: Sequence[Job], found: dict[str, dict[str, Any] | DataError]) -> None:
        said = time.monotonic()
        stop = threading.Event()
        pool = ThreadPoolExecutor(os.cpu_count(), initializer=stop_at, initargs=(stop,))
        try:
            running = {pool.submit(_facts_of, job): job for job in todo}
            for done, future in enumerate(as_completed(running), 1):
                job = running[future]
                found[job.name] = facts = future.result()
                if not isinstance(facts, DataError):
                    self._kept[job.name] = {"stamp": job.stamp, "facts": facts}
                    self._unsaved = True
                now = time.monotonic()
                if now - said > _SAY_S and done < len(todo):
                    _log.warning("clips: looked through %d of %d files of %s, once", done, len(todo), self.root)
                    said = now
                if now - self._saved > _SAVE_S:
                    self.save()
        finally:
            stop.set()  # Ctrl-C does not wait for the end of a large file
            pool.shutdown(cancel_futures=True)

    def _read(self) -> dict[str, Any]:
        try:
            digest, _, kept = self.path.read_bytes().partition(b"\n")
        except OSError:
            return {}
        return json.loads(kept) if digest == _digest(kept) else {}

    def save(self) -> None:
        """Keep what was found out; where that cannot be done it is said, and costs time the next time."""
        if not self._unsaved:
            return
        kept = json.dumps(self._kept).encode()
        self._saved, self._unsaved = time.monotonic(), False
        try:
            with written_whole(self.path) as out:
                out.write(_digest(kept) + b"\n" + kept)
        except OSError as error:
            _log.warning("clips: cannot keep what was found out in %s (%s): next time takes as long", self.path, error)


def _digest(kept: bytes) -> bytes:
    """What an index begins with. Of one that was damaged, or is of another format, nothing is used."""
    return hashlib.sha256(FORMAT.encode() + kept).hexdigest().encode()


def _facts_of(job: Job) -> dict[str, Any] | DataError:
    try:
        return json.loads(json.dumps(job.look()))  # as it will be read back
    except DataError as error:
        return error
