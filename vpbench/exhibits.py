"""Exhibits: a few predicted clips in a small file beside a record, so that a page can show them from a clone.

``<record>.exhibit.zip``, a plain ZIP archive with `exhibit.json` and, per clip, two sprite sheets: what was given and
what came (``<n>-truth.webp``), and what was predicted (``<n>-predicted.webp``). Lossless: a pixel differs from the
prediction by its rounding to 256 levels alone. The same exhibit gives the same bytes with the same image library.

Which clips: the first ones of the test split, the same for every model, and the best, the median and the worst by what
the record measured. Records of shorter horizons have none of their own: the clips of the longest hold theirs.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import RecordError
from .storage import replacing

SCHEMA = 1
FIXED = 2  #: clips that every model shows: the first ones

#: Why a clip is shown.
WHY = ("fixed", "best", "median", "worst")

_COLUMNS = 10  # of frames in a sheet: 16383 pixels are the most that WebP has a side
_SIDE_LIMIT = 16383
_JSON_LIMIT, _SHEET_LIMIT = 2**20, 2**27  # bytes: what a file may make us read
_PIXEL_LIMIT = 2**28
_LARGEST = sys.float_info.max
_KEYS = ("schema", "cell", "context", "horizon", "metric", "frame_shape", "clips")


@dataclass(frozen=True)
class ExhibitClip:
    """One clip and what a model made of it."""

    id: int
    why: tuple[str, ...]  #: of WHY
    value: float | None  #: what chose it: the statistic of this clip, over all steps
    truth: np.ndarray  #: uint8 (Tc + Tt, C, H, W): context, then targets
    predicted: np.ndarray  #: uint8 (Tt, C, H, W), clamped


@dataclass(frozen=True)
class Exhibit:
    """Clips of one cell."""

    cell: str  #: id of the cell
    context: int  #: frames
    horizon: int  #: frames
    metric: str  #: whose statistic chose the clips
    clips: tuple[ExhibitClip, ...]


def exhibit_path(record: Path) -> Path:
    """Where the exhibit of a record is, or would be."""
    return record.with_suffix(".exhibit.zip")


def chosen(ids: Sequence[int], errors: np.ndarray) -> dict[int, tuple[str, ...]]:
    """Which clips to show, and why, in the order of WHY; errors are the smaller the better, NaN where there is none.

    Of clips with equal errors the first counts; the median is the lower of two.
    """
    why: dict[int, list[str]] = {int(clip): ["fixed"] for clip in ids[:FIXED]}
    order = [int(place) for place in np.argsort(errors, kind="stable")]
    order = [place for place in order if not np.isnan(errors[place])]
    if order:
        places = {"best": order[0], "median": order[(len(order) - 1) // 2], "worst": order[-1]}
        for name, place in places.items():
            why.setdefault(int(ids[place]), []).append(name)
    return {clip: tuple(reasons) for clip, reasons in why.items()}


# ------------------------------------------------------------------------------------------------------------- writing


def write(record: Path, exhibit: Exhibit) -> Path:
    """Write the exhibit of a record, whole or not at all; returns its path. Raises StorageError.

    Raises ValueError for frames that no picture can hold: channels other than one (grey) or three (RGB), too large.
    """
    first = exhibit.clips[0]
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "cell": exhibit.cell,
        "context": exhibit.context,
        "horizon": exhibit.horizon,
        "metric": exhibit.metric,
        "frame_shape": list(first.truth.shape[1:]),
        "clips": [{"id": clip.id, "why": list(clip.why), "value": clip.value} for clip in exhibit.clips],
    }
    members = {"exhibit.json": json.dumps(document, indent=1, allow_nan=False).encode()}
    for place, clip in enumerate(exhibit.clips):
        members[_sheet_name(place, "truth")] = _encoded(clip.truth)
        members[_sheet_name(place, "predicted")] = _encoded(clip.predicted)
    path = exhibit_path(record)
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return path


def _sheet_name(place: int, what: str) -> str:
    return f"{place:03}-{what}.webp"


def _encoded(frames: np.ndarray) -> bytes:
    """A sprite sheet: frames (T, C, H, W) from left to right, then down."""
    from PIL import Image

    steps, channels, height, width = frames.shape
    if channels not in (1, 3):
        raise ValueError(f"pictures are grey or RGB, the frames have {channels} channels")
    rows, columns = -(-steps // _COLUMNS), min(steps, _COLUMNS)
    if rows * height > _SIDE_LIMIT or columns * width > _SIDE_LIMIT:
        raise ValueError(f"{steps} frames of {height}×{width} are too large for one picture")
    sheet = np.zeros((rows * columns, channels, height, width), dtype=np.uint8)
    sheet[:steps] = frames
    grid = sheet.reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    pixels = grid.reshape(rows * height, columns * width, channels)
    pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "WEBP", lossless=True, quality=100, method=4, exact=True)
    return file.getvalue()


# ------------------------------------------------------------------------------------------------------------- reading


def read(path: Path) -> Exhibit:
    """The exhibit in a file. Raises RecordError, one line, where it is not there, damaged, or of a newer schema."""
    try:
        with zipfile.ZipFile(path) as archive:
            document = json.loads(_member(archive, "exhibit.json", _JSON_LIMIT))
            _check(document)
            clips = tuple(_clip(archive, document, place) for place in range(len(document["clips"])))
    except FileNotFoundError:
        raise RecordError(f"{path} is not there: run the cell again with --rerun all") from None
    except (OSError, KeyError, ValueError, RecursionError, zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise RecordError(f"{path} is no exhibit ({why}): delete it and run the cell again") from error
    return Exhibit(document["cell"], document["context"], document["horizon"], document["metric"], clips)


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    member = archive.getinfo(name)
    if member.file_size > limit:
        raise ValueError(f"{name} is larger than {limit} bytes")
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
        raise ValueError(f"{name} is compressed or encrypted")
    return archive.read(name)


def _check(document: Any) -> None:
    if not isinstance(document, Mapping) or (missing := [key for key in _KEYS if key not in document]):
        raise ValueError(f"it lacks {', '.join(missing)}" if isinstance(document, Mapping) else "no JSON object")
    if type(document["schema"]) is not int or document["schema"] > SCHEMA:
        raise ValueError(f"schema {document['schema']!r}, this vpbench reads up to {SCHEMA}: upgrade vpbench")
    shape, counts = document["frame_shape"], [document["context"], document["horizon"]]
    if not isinstance(shape, list) or len(shape) != 3 or not all(type(n) is int and n > 0 for n in [*shape, *counts]):
        raise ValueError("frame_shape, context and horizon must be whole numbers from 1")
    if shape[0] not in (1, 3) or sum(counts) * shape[0] * shape[1] * shape[2] > _PIXEL_LIMIT:
        raise ValueError(f"{sum(counts)} frames of {shape}")
    if not isinstance(document["cell"], str) or not isinstance(document["metric"], str):
        raise ValueError("cell and metric must be text")
    if not isinstance(document["clips"], list) or not document["clips"]:
        raise ValueError("it names no clips")
    for clip in document["clips"]:
        if not isinstance(clip, Mapping) or "value" not in clip:
            raise ValueError("a clip must be an object with id, why and value")
        value = clip["value"]
        why = clip.get("why")
        if type(clip.get("id")) is not int or not isinstance(why, list) or any(each not in WHY for each in why):
            raise ValueError(f"a clip must have an id and reasons of {', '.join(WHY)}")
        if value is not None and not (type(value) in (int, float) and -_LARGEST <= value <= _LARGEST):
            raise ValueError("the value of a clip must be a finite number or null")


def _clip(archive: zipfile.ZipFile, document: Mapping[str, Any], place: int) -> ExhibitClip:
    said = document["clips"][place]
    context, horizon, shape = document["context"], document["horizon"], tuple(document["frame_shape"])
    sheets = {what: _member(archive, _sheet_name(place, what), _SHEET_LIMIT) for what in ("truth", "predicted")}
    return ExhibitClip(
        id=said["id"],
        why=tuple(said["why"]),
        value=said["value"],
        truth=_decoded(sheets["truth"], context + horizon, shape),
        predicted=_decoded(sheets["predicted"], horizon, shape),
    )


def _decoded(sheet: bytes, steps: int, frame_shape: tuple[int, ...]) -> np.ndarray:
    from PIL import Image

    channels, height, width = frame_shape
    rows, columns = -(-steps // _COLUMNS), min(steps, _COLUMNS)
    try:
        opened = Image.open(io.BytesIO(sheet), formats=["WEBP"])
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from error
    with opened as image:
        if image.size != (columns * width, rows * height):
            raise ValueError(f"a sheet of {image.size}, {steps} frames of {height}×{width} are expected")
        pixels = np.asarray(image.convert("RGB"))[..., :channels]
    grid = pixels.reshape(rows, height, columns, width, channels).transpose(0, 2, 4, 1, 3)
    return np.ascontiguousarray(grid.reshape(rows * columns, channels, height, width)[:steps])


def as_levels(frames: np.ndarray) -> np.ndarray:
    """Frames in [0, 1], clamped, as uint8, rounded to the nearest of 256 levels."""
    return np.rint(np.clip(frames, 0, 1) * 255).astype(np.uint8)
