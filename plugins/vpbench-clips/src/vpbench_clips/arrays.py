"""Recordings in arrays: which axis is what, which values are black and white, and one recording's frames."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.errors import DataError

from . import containers
from .containers import Form
from .files import Mark, Unreadable, require_unchanged, unreadable

#: Layouts that a shape is held against where none is given.
_USUAL = ("THW", "TCHW", "THWC", "NTHW", "TNHW", "NTCHW", "NTHWC")

#: Frames that are read in one piece.
_PIECE = 64

#: Values that are looked at in one piece.
_SCANNED = 1 << 24

_SPLIT_WORDS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def layout_of(shape: Sequence[int], given: str | None, name: str) -> str:
    """A letter per axis, such as "NTCHW". Raises DataError where it is not given and the shape allows several."""
    if given is not None:
        if len(given) != len(shape):
            raise DataError(f"{name} has {len(shape)} axes {tuple(shape)}, layout {given} names {len(given)}")
        return given
    possible = [layout for layout in _USUAL if len(layout) == len(shape) and _plausible(layout, shape)]
    if len(possible) == 1:
        return possible[0]
    if not possible:
        raise DataError(f"{name} has shape {tuple(shape)}: say which axis is which, such as --set layout=NTCHW")
    options = " or ".join(f"--set layout={layout} ({_in_words(layout, shape)})" for layout in possible)
    raise DataError(f"{name} has shape {tuple(shape)}, which can be several things: {options}")


def layout_of_one_clip(shape: Sequence[int], name: str) -> str:
    """As `layout_of`, of an array that must be a single clip. Raises DataError where it is none."""
    possible = [layout for layout in _USUAL if len(layout) == len(shape) and _plausible(layout, shape)]
    single = [layout for layout in possible if "N" not in layout or shape[layout.index("N")] == 1]
    if len(single) == 1:
        return single[0]
    raise DataError(
        f"{name} has shape {tuple(shape)}: save one clip as (frames, height, width), with 1 to 4 channels before or "
        "after height and width"
    )


def _plausible(layout: str, shape: Sequence[int]) -> bool:
    axis = dict(zip(layout, shape, strict=True))
    if axis.get("C", 1) > 4 or min(axis["H"], axis["W"]) <= 4 or axis["T"] < 2:
        return False
    return layout != "TNHW" or axis["T"] <= axis["N"]  # fewer clips than frames, time first: hardly


def _in_words(layout: str, shape: Sequence[int]) -> str:
    axis = dict(zip(layout, shape, strict=True))
    clips = f"{axis['N']} clips of " if "N" in axis else ""
    return f"{clips}{axis['T']} frames of {axis['H']}×{axis['W']}"


@dataclass(frozen=True)
class Values:
    """How the values of an array become frames."""

    dtype: str  #: of the array
    black: float = 0.0
    white: float = 1.0

    def frames(self, values: np.ndarray) -> np.ndarray:
        """uint8 in 0..255 as it is, all else float32 in [0, 1]."""
        if self.as_they_are:
            return values if values.dtype == np.uint8 else values.astype(np.uint8) * np.uint8(255)
        scaled = (values.astype(np.float64) - self.black) / (self.white - self.black)
        return np.clip(scaled, 0, 1).astype(np.float32)  # only rounding is clipped: the values were looked at

    @property
    def as_they_are(self) -> bool:
        """Whether frames stay uint8."""
        return self.dtype in ("uint8", "bool") and (self.black, self.white) == (0.0, 1.0)


def values_of(form: Form, given: tuple[float, float] | None, bounds: tuple[float, float], name: str) -> Values:
    """How values become frames. Raises DataError where that is not said, or not true.

    given   black and white; None: 0 and 255 of uint8, false and true, 0 and 1 of floats
    bounds  the least and the largest value that there is
    """
    kind = form.dtype.kind
    if given is None and (form.dtype == np.uint8 or kind == "b"):
        return Values(str(form.dtype))
    low, high = bounds
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DataError(f"{name} has values that are NaN or infinite: replace them, no model can be held against them")
    if given is None and kind != "f":
        raise DataError(
            f"{name} has {form.dtype} values from {low:g} to {high:g}: say which are black and white, such as "
            f"--set value_range=0,{_full(form, high):g}"
        )
    black, white = given or (0.0, 1.0)
    if low < black or high > white:
        raise DataError(
            f"{name} has values from {low:g} to {high:g}, outside {black:g}..{white:g}: say which are black and white, "
            f"such as --set value_range={low:g},{high:g}"
        )
    return Values(str(form.dtype), black, white)


def _full(form: Form, high: float) -> float:
    return 255 if 0 <= high <= 255 else float(np.iinfo(form.dtype).max)


def bounds_of(path: Path, key: str) -> tuple[float, float]:
    """The least and the largest value of an array, read in pieces; NaN where there is one. Raises Unreadable."""
    low, high = math.inf, -math.inf
    with containers.opened(path) as there:
        for index in _pieces(there[key].shape):
            piece = _read(path, there[key], index)
            if piece.size:
                low, high = float(np.minimum(low, piece.min())), float(np.maximum(high, piece.max()))
    return low, high


def _pieces(shape: Sequence[int]) -> Iterator[tuple[int | slice, ...]]:
    """Indices that cover an array, few values each."""
    row = math.prod(shape[1:])
    if row > _SCANNED and len(shape) > 1:
        for number in range(shape[0]):
            yield from ((number, *rest) for rest in _pieces(shape[1:]))
        return
    rows = max(1, _SCANNED // max(1, row))
    for start in range(0, shape[0], rows):
        yield (slice(start, start + rows),)


def _read(path: Path, array: Any, index: Any) -> np.ndarray:
    """A part of an array. Raises Unreadable for damaged or missing chunks."""
    try:
        return np.asarray(array[index])
    except Unreadable:
        raise
    except Exception as error:  # whatever damaged chunks make their decompressors raise
        raise unreadable(path, error) from error


@dataclass(frozen=True)
class Part:
    """One array that holds some frames of recordings."""

    key: str
    layout: str
    form: Form
    values: Values

    @property
    def axis(self) -> Mapping[str, int]:
        """Length by letter; N and C are 1 where there is no such axis."""
        return {"N": 1, "C": 1, **dict(zip(self.layout, self.form.shape, strict=True))}


@dataclass(frozen=True)
class ArrayRecording:
    """One recording in an array file, whose parts follow each other in time."""

    path: Path
    parts: tuple[Part, ...]
    row: int  #: along N
    marks: Mapping[Path, Mark] = field(default_factory=dict, repr=False)  #: of files that change where the array does

    @property
    def length(self) -> int:
        """Frames."""
        return sum(part.axis["T"] for part in self.parts)

    def read(self, wanted: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Frames by number, rising: (number, (H, W, C)), uint8, or float32 in [0, 1] where any part is so."""
        floats = not all(part.values.as_they_are for part in self.parts)
        first = 0
        with containers.opened(self.path) as arrays:
            for part in self.parts:
                length = part.axis["T"]
                here = [number for number in wanted if first <= number < first + length]
                for start in range(0, len(here), _PIECE):
                    some = here[start : start + _PIECE]
                    for run in _runs(some):
                        begin, end = run[0] - first, run[-1] - first + 1
                        piece = part.values.frames(self._piece(arrays[part.key], part, begin, end))
                        for path, mark in self.marks.items():
                            require_unchanged(path, mark)
                        if floats and piece.dtype == np.uint8:
                            piece = piece.astype(np.float32) / np.float32(255)
                        yield from ((number, piece[number - run[0]]) for number in run)
                first += length

    def _piece(self, array: Any, part: Part, begin: int, end: int) -> np.ndarray:
        """Frames begin..end of this recording as (T, H, W, C)."""
        index = {"N": self.row, "T": slice(begin, end)}
        piece = _read(self.path, array, tuple(index.get(letter, slice(None)) for letter in part.layout))
        left = part.layout.replace("N", "")
        order = [left.index(letter) for letter in ("T", "H", "W", "C") if letter in left]
        piece = piece.transpose(order)
        return piece if "C" in left else piece[..., None]


def _runs(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Numbers that lie close together, so that reading what is between them costs less than reading twice."""
    run: list[int] = []
    for number in numbers:
        if run and number - run[-1] > 8:
            yield run
            run = []
        run.append(number)
    if run:
        yield run


# ------------------------------------------------------------------------------------------------- names of arrays


def chosen(path: Path, found: Mapping[str, Form], keys: Sequence[str] | None) -> list[tuple[str, ...]]:
    """Which arrays hold recordings: groups of those that follow each other in time.

    keys  as the config has them; None: the only array of three axes and more, or X_train, Y_train, X_test, ...

    Raises DataError where it cannot be told.
    """
    pictures = [key for key, form in found.items() if len(form.shape) >= 3]
    named = f"{path.name} has {', '.join(f'{key} {form.shape}' for key, form in found.items()) or 'no arrays'}"
    groups: list[tuple[str, ...]]
    if keys == ("*",):
        groups = [(key,) for key in pictures]
    elif keys is not None and "" not in found:
        groups = [tuple(group.split("+")) for group in keys]
        if missing := [key for group in groups for key in group if key not in found]:
            raise DataError(f"{path}: no array {missing[0]!r} of numbers; {named}")
        return groups
    elif len(pictures) == 1:
        groups = [(pictures[0],)]
    else:
        groups = _inputs_and_targets(pictures)
    if not groups:
        hint = "name them with --set keys=NAME, A+B for one after the other in time, * for each on its own"
        raise DataError(f"{path}: which arrays are clips? {named}; {hint}")
    return groups


def _inputs_and_targets(pictures: Sequence[str]) -> list[tuple[str, ...]]:
    """X_train with Y_train, X_test with Y_test, ...; nothing where that is not all there is."""
    matched = [re.fullmatch(r"([xy])_(\w+)", key, re.IGNORECASE) for key in pictures]
    if not all(matched) or not pictures:
        return []
    pairs: dict[str, dict[str, str]] = {}
    for key, match in zip(pictures, matched, strict=True):
        assert match is not None
        pairs.setdefault(match[2].lower(), {})[match[1].lower()] = key
    if any(pair.keys() != {"x", "y"} or split not in _SPLIT_WORDS for split, pair in pairs.items()):
        return []
    return [(pair["x"], pair["y"]) for pair in pairs.values()]


def split_of_name(keys: Sequence[str]) -> str | None:
    """The split that the names of arrays speak of, if all speak of the same one."""
    words = [set(re.split(r"[^a-z]+", key.lower())) & _SPLIT_WORDS.keys() for key in keys]
    splits = {_SPLIT_WORDS[word] for found in words for word in found}
    return splits.pop() if len(splits) == 1 and all(words) else None
