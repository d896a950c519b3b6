"""Recordings: what is continuous in time, with all that is known about it before a clip is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vpbench.errors import DataError

from . import arrays, containers, images, video
from .arrays import ArrayRecording, Part
from .config import Config
from .containers import Form
from .files import Mark, Unreadable, content_sha256
from .folder import Source, listed
from .images import ImageFolder
from .index import Index, Job
from .video import Video, VideoFacts

#: Clips in one array, and frames in one of those; a sparse file can claim any number.
MAX_ROWS = 10**7


#: File -> what was seen of it, before it was looked at.
Marks = Mapping[Path, Mark]


class Reader(Protocol):
    """Frames by number."""

    def read(self, wanted: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """(number, (H, W, C)) of rising numbers: uint8, or float32 in [0, 1]."""
        ...


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A video, an image folder, or one row of an array."""

    name: str  #: as splits go by it: the path inside the folder, and for an array its key and row
    source: str  #: the path inside the folder
    path: Path
    reader: Reader
    identity: str  #: by content: sha256 of its files, and for an array its key and row
    length: int  #: frames
    shape: tuple[int, int, int]  #: height, width, channels
    floats: bool = False
    named_split: str | None = None  #: by the names of arrays
    times: np.ndarray | None = field(default=None, repr=False)  #: float64 (length,), rising; None: one frame each
    period_s: float | None = None  #: usual seconds between frames, where the file tells
    items: tuple[str, int] | None = None  #: (collection, number) of a row of an array, for `Dataset.sources`


@dataclass
class Found:
    """What is at a path."""

    recordings: list[Recording] = field(default_factory=list)
    unreadable: list[tuple[str, Unreadable]] = field(default_factory=list)  #: source, why


def recordings(root: Path, config: Config) -> Found:
    """All recordings at a path, in natural order. Raises DataError, Unreadable unless those are to be left out."""
    index = Index(root)
    try:
        return _found(listed(root).sources, config, index)
    finally:
        index.save()


def _found(sources: Sequence[Source], config: Config, index: Index) -> Found:
    found = Found()
    there: list[tuple[Source, Marks]] = []
    jobs = []
    for source in sources:
        try:
            marks = source.marks()
        except Unreadable as error:
            _left_out(source, error, config, found)
            continue
        there.append((source, marks))
        jobs.append(Job(source.name, source.stamp(marks), partial(_look, source)))
    readable: list[tuple[Source, Marks, dict[str, Any]]] = []
    for (source, marks), facts in zip(there, index.facts(jobs), strict=True):
        if isinstance(facts, DataError):
            _left_out(source, facts, config, found)
        else:
            readable.append((source, marks, facts))
    if not readable:
        raise found.unreadable[0][1]
    for source, marks, facts in readable:
        try:
            found.recordings += _recordings_of(source, marks, facts, config, index)
        except Unreadable as error:
            _left_out(source, error, config, found)
    return found


def _left_out(source: Source, error: DataError, config: Config, found: Found) -> None:
    """Count what cannot be read, or refuse it all."""
    if not isinstance(error, Unreadable):
        raise error
    if not config.skip_unreadable:
        raise Unreadable(f"{error}: repair or remove it, or leave such files out with --set skip_unreadable=true")
    found.unreadable.append((source.name, error))


def _look(source: Source) -> dict[str, Any]:
    """What there is to know about a source whatever the config says, as JSON has it. Raises Unreadable."""
    if source.kind == "video":
        return video.examine(source.path).to_json()
    if source.kind == "images":
        shape = images.examine(source.files)
        return {"sha256": content_sha256((str(k), path) for k, path in enumerate(source.files)), "shape": shape}
    found = containers.forms(source.path)
    return {
        "sha256": content_sha256(source.contents()),
        "arrays": {key: [form.shape, form.dtype.str] for key, form in found.items()},
    }


def _recordings_of(
    source: Source, marks: Marks, facts: dict[str, Any], config: Config, index: Index
) -> Iterator[Recording]:
    if source.kind == "video":
        yield _of_video(source, VideoFacts.from_json(facts), config)
    elif source.kind == "images":
        height, width, channels = facts["shape"]
        length = len(source.files)
        yield Recording(
            name=source.name,
            source=source.name,
            path=source.path,
            reader=ImageFolder(marks, channels),
            identity=facts["sha256"],
            length=length,
            shape=(height, width, channels),
            times=_times_beside(source.path, (length,), config),
        )
    else:
        yield from _of_arrays(source, marks, facts, config, index)


def _of_video(source: Source, facts: VideoFacts, config: Config) -> Recording:
    ticks, length = facts.ticks, len(facts.checksums)
    times = None if ticks is None else (np.array(ticks, dtype=np.float64) - ticks[0]) * float(facts.time_base)
    if config.times == "file" and times is None:
        frame = video.first_bad_tick(source.path)
        raise DataError(
            f"{source.path}: the time of frame {frame} is missing, or not after that of the frame before: "
            "--set times=frames goes by frame numbers"
        )
    if config.times not in ("file", "frames"):
        raise DataError(f"{source.path}: a video has no array {config.times!r} of times; --set times=file are its own")
    return Recording(
        name=source.name,
        source=source.name,
        path=source.path,
        reader=Video(source.path, facts),
        identity=facts.sha256,
        length=length,
        shape=(facts.height, facts.width, facts.channels),
        times=times if config.times == "file" else None,
        period_s=None if times is None or length < 2 else float(times[-1]) / (length - 1),
    )


# -------------------------------------------------------------------------------------------------------------- arrays


def _of_arrays(
    source: Source, marks: Marks, facts: dict[str, Any], config: Config, index: Index
) -> Iterator[Recording]:
    """A recording per row of the arrays that hold clips."""
    stamp = source.stamp(marks)
    if source.path.is_dir():  # of zarr: there can be thousands of chunks, too many to look at with every clip
        marks = {path: mark for path, mark in marks.items() if containers.is_zarr_metadata(path)}
    found = {key: Form(tuple(shape), np.dtype(dtype)) for key, (shape, dtype) in facts["arrays"].items()}
    for group in arrays.chosen(source.path, found, config.keys):
        parts = tuple(_part(source, stamp, key, found[key], config, index) for key in group)
        label = "+".join(group)
        rows = parts[0].axis["N"]
        shape = tuple(parts[0].axis[letter] for letter in "HWC")
        for part in parts[1:]:
            if (part.axis["N"], *(part.axis[letter] for letter in "HWC")) != (rows, *shape):
                raise DataError(
                    f"{source.path}: {label} cannot follow each other in time: "
                    f"{parts[0].form.shape} and {part.form.shape}, {parts[0].layout} and {part.layout}"
                )
        length = ArrayRecording(source.path, parts, 0).length
        times = _times_of_array(source, (rows, length), config)
        many = "N" in parts[0].layout
        for row in range(rows):
            inside = f"{label}[{row}]" if many else label
            reader = ArrayRecording(source.path, parts, row, marks)
            yield Recording(
                name=f"{source.name}:{inside}" if inside else source.name,
                source=source.name,
                path=source.path,
                reader=reader,
                identity=f"{facts['sha256']}:{inside}",
                length=length,
                shape=(shape[0], shape[1], shape[2]),
                floats=not all(part.values.as_they_are for part in parts),
                named_split=arrays.split_of_name(group),
                times=None if times is None else times[row],
                items=(f"array {label} of sha256 {facts['sha256'][:16]}", row),
            )


def _part(source: Source, stamp: str, key: str, form: Form, config: Config, index: Index) -> Part:
    name = f"{source.path}: {key}" if key else str(source.path)
    layout = arrays.layout_of(form.shape, config.layout, name)
    axis = dict(zip(layout, form.shape, strict=True))
    if not all(form.shape):
        raise Unreadable(f"{name} is empty: its shape is {form.shape}")
    if axis["H"] * axis["W"] > video.MAX_PIXELS or max(axis.get("N", 1), axis["T"]) > MAX_ROWS:
        most = f"{video.MAX_PIXELS} pixels, {MAX_ROWS} frames and {MAX_ROWS} clips"
        raise Unreadable(f"{name} claims shape {form.shape}, at most {most} are read: is layout {layout} right?")
    job = Job(f"{source.name}:{key}:bounds", stamp, partial(_bounds, source.path, key))
    (facts,) = index.facts([job])  # all of it is read, whatever its type: damage is found now or never
    if isinstance(facts, DataError):
        raise facts
    bounds = (float(facts["low"]), float(facts["high"]))
    return Part(key, layout, form, arrays.values_of(form, config.value_range, bounds, name))


def _bounds(path: Path, key: str) -> dict[str, str]:
    low, high = arrays.bounds_of(path, key)
    return {"low": str(low), "high": str(high)}  # NaN is no JSON


# --------------------------------------------------------------------------------------------------------------- times


def _times_of_array(source: Source, expected: tuple[int, int], config: Config) -> np.ndarray | None:
    """float64 (N, T) of an array file, None where frames go by their numbers."""
    if config.times in ("frames", "file"):
        return _times_beside(source.path, expected, config)
    with containers.opened(source.path) as there:
        if config.times not in there or "" in there:
            named = ", ".join(filter(None, there)) or "one array without a name"
            raise DataError(f"{source.path} has no array {config.times!r} of times; it has {named}")
        found = np.asarray(there[config.times][...])
    return _checked_times(found, expected, f"{source.path}: {config.times}")


def _times_beside(path: Path, expected: tuple[int, ...], config: Config) -> np.ndarray | None:
    """Times of NAME.times.npy beside a file or folder, of this shape; None where frames go by their numbers."""
    if config.times == "frames":
        return None
    beside = path.with_name(f"{path.stem if path.is_file() else path.name}.times.npy")
    if config.times != "file":
        raise DataError(
            f"{path} has no array {config.times!r} of times; --set times=file reads {beside.name} beside it"
        )
    if not beside.is_file():
        raise DataError(f"{beside} is not there: times=file reads the times of {path.name} from it, float64 (frames,)")
    with containers.opened(beside) as there:
        return _checked_times(np.asarray(there[""]), expected, str(beside))


def _checked_times(found: np.ndarray, expected: tuple[int, ...], name: str) -> np.ndarray:
    if found.dtype.kind not in "iuf" or found.shape not in (expected, expected[-1:]):
        shapes = " or ".join(str(shape) for shape in dict.fromkeys((expected[-1:], expected)))
        raise DataError(f"{name} is {found.dtype} {found.shape}, the times of these frames are numbers {shapes}")
    times = np.broadcast_to(found.astype(np.float64), expected)
    rows = times.reshape(-1, expected[-1])
    wrong = ~np.isfinite(rows)
    wrong[:, 1:] |= ~(np.diff(rows, axis=1) > 0)
    if wrong.any():
        row, frame = (int(k) for k in np.argwhere(wrong)[0])
        clip = f" of clip {row}" if len(expected) > 1 and found.ndim > 1 else ""
        before = f", frame {frame - 1} at {rows[row, frame - 1]:g}" if frame else ""
        raise DataError(f"{name}: times must increase, frame {frame}{clip} is at {rows[row, frame]:g}{before}")
    return times
