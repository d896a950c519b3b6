"""Where the files of this package live, and how they are written."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import platformdirs


def cache_folder() -> Path:
    """Files that can be made again: $VPBENCH_CACHE, or the user's cache folder."""
    return Path(os.environ.get("VPBENCH_CACHE") or platformdirs.user_cache_dir("vpbench"))


def data_folder() -> Path:
    """Files that were downloaded: $VPBENCH_DATA, or the user's data folder."""
    return Path(os.environ.get("VPBENCH_DATA") or platformdirs.user_data_dir("vpbench"))


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[BinaryIO]:
    """A file to write, renamed to `target` at the end: readers see a whole file or none, and the last of a race stays.

    Raises OSError where nothing can be written, and leaves nothing behind.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:  # not mkstemp: the file is to have the user's usual permissions
            yield file
        temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
