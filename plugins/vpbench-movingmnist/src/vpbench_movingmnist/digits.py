"""The 70,000 MNIST digits, shipped in this package and decoded once into the user's cache.

Digits are numbered 0..69999: the 60,000 of MNIST's training set in its order, then the 10,000 of its test set. A split
of the dataset is a range of these numbers, so no digit is in two splits.

The decoded images are a .npy file in the cache, memory-mapped, so that processes share them. A process that opens it
checks its sha256 once; a damaged file is made anew. Where nothing can be written, digits are decoded in memory.

By Yann LeCun, Corinna Cortes and Christopher J.C. Burges, CC BY-SA 3.0; see data/DATA_LICENSE.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import lzma
from importlib import resources
from pathlib import Path

import numpy as np

from vpbench.errors import DataError

from .files import cache_folder, written_whole

#: split -> numbers of its digits
POOLS = {"train": range(55_000), "val": range(55_000, 60_000), "test": range(60_000, 70_000)}
COUNT = 70_000
SIZE = 28  #: pixels

#: sha256 of the packed files, and of the decoded bytes; printed by tools/pack_mnist.py
PACKED_SHA256 = {
    "mnist-images.xz": "0c57bc46dd8132a3ecbb2802bd2533abe594b5567871888ffe5bfa76740f7f4e",
    "mnist-labels.xz": "69dbd62ee57d2f2d97ba539b8763e2b9bfc487722c27d503e4731d95e337d8f8",
}
IMAGES_SHA256 = "5b92582eb909c82a9bfefcd44acbe9233be3eb5b419a44cf211022ad2bf4bf96"
LABELS_SHA256 = "671ff9d70b4811116d55c3dd479efa7a981e2e62753ef7a6d5c15fea81e63d27"

_log = logging.getLogger(__name__)


def images() -> np.ndarray:
    """All digits, uint8 (70000, 28, 28), 0 is paper and 255 is ink; read-only, opened and checked once per process."""
    return _images(cache_folder() / f"mnist-images-{IMAGES_SHA256[:16]}.npy")


@functools.cache
def labels() -> np.ndarray:
    """The class 0..9 of each digit, int64 (70000,)."""
    return np.frombuffer(_unpack("mnist-labels.xz", LABELS_SHA256), dtype=np.uint8).astype(np.int64)


def half_size(glyphs: np.ndarray) -> np.ndarray:
    """Glyphs uint8 (..., 28, 28) at half size, uint8 (..., 14, 14): means over 2×2 pixels, the fraction dropped."""
    *lead, height, width = glyphs.shape
    blocks = glyphs.reshape(*lead, height // 2, 2, width // 2, 2)
    return (blocks.sum(axis=(-3, -1), dtype=np.uint16) // 4).astype(np.uint8)


@functools.cache
def _images(cached: Path) -> np.ndarray:
    array = _open(cached)
    if array is not None:
        return array
    decoded = np.frombuffer(_unpack("mnist-images.xz", IMAGES_SHA256), dtype=np.uint8).reshape(COUNT, SIZE, SIZE)
    try:
        with written_whole(cached) as file:
            np.save(file, decoded)
    except OSError as error:
        _log.warning("cannot cache the MNIST digits (%s): decoding them in every process", error)
        return decoded
    array = _open(cached)
    return decoded if array is None else array


def _open(cached: Path) -> np.ndarray | None:
    """The memory-mapped cache file, None where it is absent or not what it should be."""
    try:
        array = np.lib.format.open_memmap(cached, mode="r")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # whatever a damaged header makes numpy raise
        reason = str(error)
    else:
        if _is_images(array):
            return np.asarray(array)
        reason = "other content"
    _log.warning("%s is damaged (%s): decoding the MNIST digits anew", cached, reason)
    return None


def _is_images(array: np.ndarray) -> bool:
    if array.dtype != np.uint8 or array.shape != (COUNT, SIZE, SIZE):
        return False
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest() == IMAGES_SHA256


def _unpack(name: str, sha256: str) -> bytes:
    """The content of a packed file of this package, checked before and after."""
    try:
        packed = resources.files(__package__).joinpath("data", name).read_bytes()
    except OSError as error:
        raise DataError(f"{name} of vpbench-movingmnist cannot be read ({error}): reinstall the package") from error
    if hashlib.sha256(packed).hexdigest() == PACKED_SHA256[name]:
        with contextlib.suppress(lzma.LZMAError):
            content = lzma.decompress(packed)
            if hashlib.sha256(content).hexdigest() == sha256:
                return content
    raise DataError(f"{name} of vpbench-movingmnist is damaged ({len(packed)} bytes): reinstall the package")
