"""Predictions that another program wrote: an ``.npz`` read with care, and checked before anything is made of it.

predicted  (N, Tt, C, H, W): uint8 in 0..255, or floating point in [0, 1]
request    the text of the context file that was answered, unless that file is given too
ids        (N,), optional: which clip each row is of; without it the rows are in the order of the context file

Nothing in such a file is ever unpickled. A member that is stored, as `numpy.savez` does, is read in place whatever its
size; a compressed one is unpacked in memory, up to a limit.
"""

from __future__ import annotations

import hashlib
import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from ..errors import DataError

UNPACKED_LIMIT = 4 * 2**30  #: bytes of an array that is unpacked in memory
LOW, HIGH = -0.5, 1.5  #: no model that means [0, 1] is further out; what is a little out is clamped, and that is said

PREDICTED = "predicted"

_SMALL = 2**24  # bytes that ids and request may have

#: What zipfile (RuntimeError: encrypted) and the unpackers raise, and numpy for a header that is none (TokenError).
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    TokenError,
)


@dataclass(frozen=True)
class Predictions:
    """Predicted frames of some clips, in the order of the clips asked for."""

    path: Path
    frames: np.ndarray  #: uint8 or floating (N, Tt, C, H, W), rows as in the file, perhaps on the disk
    rows: tuple[int, ...]  #: the row of each clip: of the first one asked for, the second one, ...
    sha256: str  #: of their values, in the order of the clips

    def of(self, place: int, steps: int) -> np.ndarray:
        """The first steps of a clip: uint8, or float32."""
        frames = self.frames[self.rows[place], :steps]
        return np.array(frames) if frames.dtype == np.uint8 else frames.astype(np.float32)


class PredictionFile:
    """An open ``.npz`` of predictions. Raises DataError, one line with the file, for all that is wrong with it."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self._archive = path, archive
        self.names = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}

    def request(self) -> str | None:
        """The request that it answers; None where there is none."""
        if "request" not in self.names:
            return None
        with self._reading("request"):
            text = self._array("request", _SMALL)
            if text.size != 1 or text.dtype.kind not in "US":
                raise ValueError(f"it is {text.dtype} {text.shape} and no text")
            value = text.reshape(-1)[0]
            return value.decode() if isinstance(value, bytes) else str(value)

    def predictions(self, ids: Sequence[int], shape: tuple[int, ...]) -> Predictions:
        """The predictions, checked: of which clips, their shape and type, all values finite and in range.

        ids    the clips asked for, in their order; the file may hold all or the first ones
        shape  (Tt, C, H, W) of each
        """
        rows = self._rows(ids, shape)
        frames = self._frames((len(rows), *shape))
        digest = hashlib.sha256(f"{frames.dtype.newbyteorder('<').str} {frames.shape}".encode())
        low, high = math.inf, -math.inf
        with self._reading(PREDICTED):
            for place, row in enumerate(rows):
                values = np.ascontiguousarray(frames[row])
                digest.update(values.astype(values.dtype.newbyteorder("<"), copy=False).data)
                if values.dtype.kind == "f" and not np.isfinite(values).all():
                    step = int(np.argmin(np.isfinite(values).reshape(len(values), -1).all(axis=1))) + 1
                    raise DataError(
                        f"{self.path}: predicted holds NaN or infinity, first at step {step} of clip {ids[place]}: a "
                        "frame that is not there cannot be scored"
                    )
                low, high = min(low, float(values.min())), max(high, float(values.max()))
        self._check_range(frames.dtype, low, high)
        return Predictions(self.path, frames, tuple(rows), digest.hexdigest())

    def _rows(self, ids: Sequence[int], shape: tuple[int, ...]) -> list[int]:
        """The row of each clip that is there, in the order asked for: of all clips, or of the first ones."""
        found, expected = self._shape(PREDICTED)[:1], (len(ids), *shape)
        if not found:
            raise self._wrong_shape((), expected)
        n = found[0]
        if "ids" not in self.names:
            if n > len(ids) or not n:
                raise DataError(f"{self.path}: predicted has {n} clips, asked were {len(ids)}: leave out the others")
            return list(range(n))
        with self._reading("ids"):
            given = self._array("ids", _SMALL)
            if given.shape != (n,) or given.dtype.kind not in "iu":
                raise ValueError(
                    f"they are {given.dtype} {given.shape} and not {n} whole numbers, one per row of predicted"
                )
        row_of = {int(clip): row for row, clip in enumerate(given)}
        if len(row_of) < n:
            twice = next(int(clip) for row, clip in enumerate(given) if row_of[int(clip)] != row)
            raise DataError(f"{self.path}: clip {twice} is there twice: a clip is predicted once")
        asked = {int(clip) for clip in ids}
        if unknown := [clip for clip in row_of if clip not in asked]:
            some = ", ".join(map(str, list(ids)[:4])) + (", ..." if len(ids) > 4 else "")
            raise DataError(f"{self.path}: clip {unknown[0]} was not asked for; asked were {some}")
        first = [int(clip) for clip in ids[:n]]
        if missing := [clip for clip in first if clip not in row_of]:
            raise DataError(
                f"{self.path}: its {n} clips are not the first {n} that were asked for: a record is of the first clips "
                f"of a split, so that all are compared on the same ones; predict clip {missing[0]} too"
            )
        if not n:
            raise DataError(f"{self.path}: predicted has no clips")
        return [row_of[clip] for clip in first]

    def _check_range(self, dtype: np.dtype[Any], low: float, high: float) -> None:
        if dtype == np.uint8:
            if high == 1:
                raise DataError(
                    f"{self.path}: predicted is uint8 and nowhere above 1, where uint8 means 0..255: save the floats "
                    "in [0, 1] themselves, or 255 times their value"
                )
        elif low < LOW or high > HIGH:
            remedy = "scale them to [0, 1], or clip what a model put out of range"
            if low >= LOW and high <= 260:
                remedy = "values in 0..255 are to be divided by 255, or saved as uint8"
            elif low >= -1.1 and high <= 1.1:
                remedy = "values in [-1, 1] are to be given as (x + 1) / 2"
            raise DataError(f"{self.path}: predicted has values from {low:g} to {high:g}, it must be [0, 1]: {remedy}")

    # -------------------------------------------------------------------------------------------------------- members

    def _frames(self, expected: tuple[int, ...]) -> np.ndarray:
        """The predicted frames, of which only the header was read so far."""
        with self._reading(PREDICTED):
            shape, _, dtype, _ = self._header(PREDICTED)
            if shape != expected:
                raise self._wrong_shape(shape, expected)
            if dtype != np.uint8 and dtype.kind != "f":
                raise DataError(
                    f"{self.path}: predicted is {dtype}, it must be floating point in [0, 1] or uint8 in 0..255"
                )
            return self._array(PREDICTED, UNPACKED_LIMIT)

    def _wrong_shape(self, shape: tuple[int, ...], expected: tuple[int, ...]) -> DataError:
        return DataError(
            f"{self.path}: predicted has shape {shape}, asked were {expected}: clips, steps, channels, height, width"
        )

    def _shape(self, name: str) -> tuple[int, ...]:
        if name not in self.names:
            there = ", ".join(sorted(self.names)) or "no array"
            raise DataError(f"{self.path}: it holds no array {name!r}; there is: {there}; save it with numpy.savez")
        with self._reading(name):
            return self._header(name)[0]

    def _header(self, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
        """Shape, Fortran order, type, and where in the member the values begin."""
        with self._archive.open(f"{name}.npy") as file:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            if version not in read:
                raise ValueError(f"an array of format {version[0]}.{version[1]}")
            shape, fortran, dtype = read[version](file)
            if dtype.hasobject:
                raise DataError(
                    f"{self.path}: {name} holds pickled objects, which can run code when they are read: refused; save "
                    "plain numbers"
                )
            return shape, fortran, dtype, file.tell()

    def _array(self, name: str, limit: int) -> np.ndarray:
        """An array, read in place where it is stored as it is; what is unpacked must not be larger than the limit."""
        shape, fortran, dtype, begin = self._header(name)
        size = math.prod(shape) * dtype.itemsize
        member = self._archive.getinfo(f"{name}.npy")
        if begin + size != member.file_size:
            raise ValueError(f"{member.file_size} bytes, its header says {begin + size}")
        if member.compress_type == zipfile.ZIP_STORED and name == PREDICTED:
            with self._archive.open(member) as file:  # its checksum, which reading in place does not look at
                while file.read(2**20):
                    pass
            offset = self._offset(member) + begin
            return np.memmap(
                self.path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C"
            )
        if size > limit:
            raise DataError(
                f"{self.path}: {name} is compressed and takes {size / 2**30:.3g} GiB unpacked, of which "
                f"{limit / 2**30:.3g} fit: save it with numpy.savez, which is read in place, or as uint8"
            )
        with self._archive.open(member) as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    def _offset(self, member: zipfile.ZipInfo) -> int:
        """Where in the file a member begins: after its local header, whose names may be longer than in the index."""
        with self.path.open("rb") as file:
            file.seek(member.header_offset + 26)
            name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
        return member.header_offset + 30 + name + extra

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except _DAMAGED as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{self.path}: {name} cannot be read ({why}): write the file again") from error


@contextmanager
def opened(path: Path) -> Iterator[PredictionFile]:
    """A file of predictions, or a context file. Raises DataError where it is none."""
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or type(error).__name__}") from error
    except (ValueError, zipfile.BadZipFile, RuntimeError) as error:
        raise DataError(f"{path}: no .npz file ({error}): write it with numpy.savez(path, predicted=...)") from error
    with archive:
        yield PredictionFile(path, archive)
