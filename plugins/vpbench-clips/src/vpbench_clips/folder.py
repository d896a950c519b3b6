"""What is at a path: which files and folders are recordings, and which are something else."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vpbench.errors import DataError

from . import VIDEO_ENDINGS, containers, images
from .files import Mark, unreadable

Kind = Literal["video", "images", "arrays"]

#: What other systems leave behind.
_LEFT_BEHIND = {"__MACOSX", "Thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Source:
    """A video, an image folder or an array file."""

    name: str  #: path inside the folder that was asked for, with "/" between its parts
    path: Path
    kind: Kind
    files: tuple[Path, ...]  #: what it consists of, in order

    def marks(self) -> Mapping[Path, Mark]:
        """What is seen of its files without reading them. Raises Unreadable."""
        return {path: Mark.of(path) for path in self.files}

    def stamp(self, marks: Mapping[Path, Mark]) -> str:
        """A hash of names and marks of its files: the same stamp, the same content."""
        found = hashlib.sha256()
        for path, mark in marks.items():
            name = os.fsencode(path.relative_to(self.path.parent))  # which may be no UTF-8
            found.update(b"%s\0%d\0%d\0%d\0" % (name, *mark))
        return found.hexdigest()

    def contents(self) -> list[tuple[str, Path]]:
        """Its files by a name that does not depend on where it is."""
        return [(path.relative_to(self.path).as_posix() if path != self.path else "", path) for path in self.files]


@dataclass
class Listing:
    """What is below a path."""

    sources: list[Source] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)  #: files that are not read, by ending


def listed(root: Path) -> Listing:
    """All recordings at a path, in natural order. Raises DataError where it is nothing, or nothing is in it."""
    try:
        facts = root.stat()
    except OSError as error:
        raise DataError(f"{root} is not there or not readable ({error.strerror}): --set path=FOLDER names it") from None
    if stat.S_ISDIR(facts.st_mode):
        found = Listing()
        if containers.is_zarr(root):
            found.sources.append(_zarr(root.name, root))
        else:
            _walk(root, root, (), found)
    elif stat.S_ISREG(facts.st_mode):
        found = Listing()
        kind = kind_of(root)
        if kind not in ("video", "arrays"):
            raise DataError(f"{root}: files that are read end in {', '.join((*VIDEO_ENDINGS, *containers.ENDINGS))}")
        found.sources.append(Source(root.name, root, kind, (root,)))
    else:
        raise DataError(f"{root} is neither a file nor a folder")
    if not found.sources:
        others = ", ".join(f"{n} {ending or 'without ending'}" for ending, n in found.others.most_common(4))
        raise DataError(f"{root} holds no video, image folder or array{others and f' (but files: {others})'}")
    found.sources.sort(key=lambda source: images.natural(source.name))
    return found


def kind_of(path: Path) -> Kind | None:
    """What a file is by its ending; a picture is a frame of an image folder."""
    ending = path.suffix.lower()
    if ending in VIDEO_ENDINGS:
        return "video"
    if ending in containers.ENDINGS:
        return "arrays"
    return "images" if ending in images.ENDINGS else None


def _walk(folder: Path, root: Path, above: tuple[tuple[int, int], ...], found: Listing) -> None:
    """Collect what is in a folder and below it. A link back to a folder above is not followed: nothing new is there."""
    try:
        facts = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: images.natural(entry.name))
    except OSError as error:
        raise unreadable(folder, error) from error
    own = (facts.st_dev, facts.st_ino)
    if own in above:
        return
    pictures, before = [], len(found.sources)
    for entry in entries:
        path = Path(entry.path)
        name = path.relative_to(root).as_posix()
        if entry.name.startswith(".") or entry.name in _LEFT_BEHIND:
            continue
        if entry.is_dir():
            if containers.is_zarr(path):
                found.sources.append(_zarr(name, path))
            else:
                _walk(path, root, (*above, own), found)
            continue
        kind = kind_of(path)
        if kind == "images" and entry.is_file():
            pictures.append(path)
        elif kind is None or entry.name.endswith(".times.npy") or not (entry.is_file() or entry.is_symlink()):
            found.others[path.suffix.lower()] += 1
        else:
            found.sources.append(Source(name, path, kind, (path,)))
    if pictures:
        beside = [source for source in found.sources[before:] if source.path.parent == folder]
        if beside:  # thumbnails and posters
            for path in pictures:
                found.others[path.suffix.lower()] += 1
        else:
            found.sources.append(Source(folder.relative_to(root).as_posix(), folder, "images", tuple(pictures)))


def _zarr(name: str, path: Path) -> Source:
    return Source(name, path, "arrays", tuple(sorted(_files_below(path))))


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):  # follows no links
        yield from (Path(parent) / name for name in names)
