"""Array files: which arrays are in them, and parts of those. Nothing pickled is ever opened.

`.npy` and uncompressed `.npz` are memory-mapped, zarr and HDF5 are read in pieces; a compressed `.npz` can only be
unpacked whole, so its arrays are held to a bound.
"""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vpbench.errors import DataError

from .files import unreadable
from .memory import Memory

ENDINGS = (".npy", ".npz", ".zarr", ".h5", ".hdf5", ".hdf")

#: Bytes that the arrays of one compressed file may take: what a small zip unpacks to can be anything.
MAX_UNPACKED = 4 << 30

_UNPACKED = Memory(MAX_UNPACKED)

_ZARR_METADATA = (".zarray", ".zgroup", ".zmetadata", "zarr.json")


class Form(NamedTuple):
    """Shape and type of an array in a file."""

    shape: tuple[int, ...]
    dtype: np.dtype


def is_zarr(folder: Path) -> bool:
    """Whether a folder is a zarr store, whatever its name."""
    return folder.suffix.lower() == ".zarr" or any((folder / name).is_file() for name in _ZARR_METADATA)


def is_zarr_metadata(file: Path) -> bool:
    """Whether a file of a zarr store says what its arrays are; it is written anew where they are."""
    return file.name in _ZARR_METADATA


def forms(path: Path) -> dict[str, Form]:
    """The arrays of numbers in a file, by name; that of a file with a single nameless one is "". Raises Unreadable."""
    with opened(path) as arrays:
        return {
            name: Form(tuple(map(int, array.shape)), np.dtype(array.dtype))
            for name, array in arrays.items()
            if np.dtype(array.dtype).kind in "biuf"
        }


@contextlib.contextmanager
def opened(path: Path) -> Iterator[dict[str, Any]]:
    """The arrays of a file by name: things with shape, dtype and basic slicing. Raises Unreadable."""
    with contextlib.ExitStack() as stack:
        try:
            ending = path.suffix.lower()
            if ending == ".npy":
                arrays: dict[str, Any] = {"": _map_npy(path)}
            elif ending == ".npz":
                arrays = _npz(path)
            elif path.is_dir():
                arrays = _zarr(path)
            else:
                arrays = stack.enter_context(_hdf5(path))
        except DataError:
            raise
        except Exception as error:  # whatever a damaged header makes numpy, zipfile, zarr and HDF5 raise
            raise unreadable(path, error) from error
        yield arrays


# ----------------------------------------------------------------------------------------------------------- npy, npz


def _map_npy(path: Path) -> np.ndarray:
    with open(path, "rb") as file:
        return _mapped(path, file, path.name)


def _header(path: Path, file: Any, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type, as the header of a .npy file says; the file is left at the first value."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise unreadable(path, f"{name} has fields with names, not plain numbers")
    if dtype.hasobject:
        raise unreadable(path, f"{name} holds pickled objects, which are never opened: save plain numbers")
    return shape, fortran, dtype


def _mapped(path: Path, file: Any, name: str) -> np.ndarray:
    """The array at the position of an open file."""
    shape, fortran, dtype = _header(path, file, name)
    if not all(shape):
        return np.zeros(shape, dtype)
    order: Any = "F" if fortran else "C"
    try:
        return np.memmap(path, dtype, "r", offset=file.tell(), shape=shape, order=order)
    except (ValueError, OverflowError) as error:
        raise unreadable(path, f"{name} is cut off: it claims {dtype} {shape}") from error


class _Packed:
    """A compressed member of an .npz file: unpacked when it is first read."""

    def __init__(self, path: Path, member: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.path, self.member, self.shape, self.dtype = path, member, shape, dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        facts = self.path.stat()
        key = (self.path, facts.st_mtime_ns, facts.st_size, self.member)
        array = _UNPACKED[key]
        if array is None:
            try:
                with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
                    array = np.lib.format.read_array(file, allow_pickle=False)
            except Exception as error:  # whatever damaged compressed data make zipfile and its decompressors raise
                raise unreadable(self.path, error) from error
            _UNPACKED[key] = array
        return array[index]


def _npz(path: Path) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    unpacked = 0
    with zipfile.ZipFile(path) as archive, open(path, "rb") as raw:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name == member.filename:
                continue
            with archive.open(member) as file:
                shape, _, dtype = _header(path, file, name)
            if member.compress_type == zipfile.ZIP_STORED:
                raw.seek(member.header_offset + 26)  # lengths of name and extra field, of the header right there
                lengths = int.from_bytes(raw.read(2), "little") + int.from_bytes(raw.read(2), "little")
                raw.seek(lengths, 1)
                arrays[name] = _mapped(path, raw, name)
                continue
            size = dtype.itemsize * int(np.prod(shape, dtype=object))
            unpacked += max(size, member.file_size)
            if unpacked > MAX_UNPACKED:
                raise unreadable(
                    path,
                    f"its arrays unpack to more than {MAX_UNPACKED >> 30} GiB: save them as .npy or zarr, which are "
                    "read in pieces",
                )
            arrays[name] = _Packed(path, member.filename, shape, dtype)
    return arrays


# --------------------------------------------------------------------------------------------------------- zarr, HDF5


def _zarr(path: Path) -> dict[str, Any]:
    for metadata in (each for name in _ZARR_METADATA for each in path.rglob(name)):
        if _names_pickle(json.loads(metadata.read_bytes())):
            raise unreadable(path, "it holds pickled objects, which are never opened: save plain numbers")
    try:
        import zarr
    except ImportError:
        raise DataError(f"{path}: reading .zarr needs zarr: pip install 'vpbench-clips[zarr]'") from None
    store = zarr.open(str(path), mode="r")
    if isinstance(store, zarr.Array):
        return {"": store}
    return dict(_in_group(store, zarr.Group, ""))


def _in_group(group: Any, group_type: type, prefix: str) -> Iterator[tuple[str, Any]]:
    """Arrays of a group and of those inside it, by path."""
    for name in sorted(group):
        each = group[name]
        if isinstance(each, group_type):
            yield from _in_group(each, group_type, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", each


def _names_pickle(metadata: Any) -> bool:
    """Whether a codec or filter of zarr metadata is the one that unpickles."""
    if isinstance(metadata, dict):
        named = (metadata.get("id"), metadata.get("name"))
        return "pickle" in str(named).lower() or any(map(_names_pickle, metadata.values()))
    return isinstance(metadata, list) and any(map(_names_pickle, metadata))


@contextlib.contextmanager
def _hdf5(path: Path) -> Iterator[dict[str, Any]]:
    try:
        import h5py
    except ImportError:
        raise DataError(f"{path}: reading {path.suffix} needs h5py: pip install 'vpbench-clips[h5py]'") from None
    with h5py.File(path, "r") as file:
        arrays: dict[str, Any] = {}

        def collect(name: str, each: Any) -> None:
            if isinstance(each, h5py.Dataset) and each.shape is not None:
                arrays[name] = each

        file.visititems(collect)  # follows no link to another file
        yield arrays
