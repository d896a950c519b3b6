"""Dataset "moving-mnist-toronto": the test file that Srivastava, Mansimov and Salakhutdinov (2015) published.

`mnist_test_seq.npy` is uint8 (20, 10000, 64, 64), time first, 819 MB. It is memory-mapped, never loaded whole. Its form
is checked whenever it is opened, its md5 on the first use of frames or fingerprint; since that takes seconds, the
cache remembers which file (path, size, time of change) had which sum.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import vpbench
from vpbench.errors import DataError, UsageError

from . import TORONTO_VERSION
from .download import Report, download
from .files import cache_folder, data_folder, written_whole

#: What every complaint about the file ends with.
REMEDY = "run `vpbench data get moving-mnist-toronto`, or name the file with `--set path=FILE`"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TorontoFile:
    """The published file, as it must be."""

    url: str = "http://www.cs.toronto.edu/~nitish/unsupervised_video/mnist_test_seq.npy"
    md5: str = "be083ec986bfe91a449d63653c411eb2"
    shape: tuple[int, int, int, int] = (20, 10_000, 64, 64)  #: uint8 (T, clips, H, W)


@dataclass(frozen=True)
class Config:
    """Where the file is; its content is known."""

    #: None: where `vpbench data get moving-mnist-toronto` puts it. The fingerprint is of the content, wherever it is.
    path: str | None = field(default=None, metadata={"identity": False})

    def __post_init__(self) -> None:
        if self.path is not None and not (isinstance(self.path, str) and self.path):
            raise ValueError(f"path must name a file, got {self.path!r}")


class MovingMNISTToronto:
    """The published test clips. No positions or labels come with them.

    Making one looks at the form of the file, so that a plan fails before anything is computed; nothing stays open.
    """

    def __init__(self, config: Config | None = None, *, file: TorontoFile | None = None) -> None:
        self.config = config or Config()
        self._file = file or TorontoFile()
        self._path = Path(self.config.path).expanduser() if self.config.path else fetched_path()
        self._verified = False
        length, self._clips, height, width = self._file.shape
        self.info = vpbench.DatasetInfo(frame_shape=(1, height, width), max_length=length)
        self._open()

    def ids(self, split: str, *, n_frames: int) -> Sequence[int]:
        """All clips, or none where more frames are asked for than there are."""
        _require_test(split)
        return range(self._clips if n_frames <= self._file.shape[0] else 0)

    def clips(self, split: str, ids: Sequence[int], times: np.ndarray) -> vpbench.Clips:
        """Frames, uint8 (B, T, 1, 64, 64), at whole times, float64 (B, T)."""
        _require_test(split)
        self._verify()
        clips = np.asarray(ids, dtype=np.int64)
        times = np.asarray(times, dtype=np.float64)
        if clips.ndim != 1 or times.ndim != 2 or len(clips) != len(times):
            raise ValueError(f"ids (B,) and times (B, T) do not fit: got shapes {clips.shape} and {times.shape}")
        outside = (clips < 0) | (clips >= self._clips)
        if outside.any():
            raise ValueError(f"no clip {clips[outside][0]}: ids are 0..{self._clips - 1}")
        last = self._file.shape[0] - 1
        fine = (times >= 0) & (times <= last) & (times == np.floor(times))
        if not fine.all():
            raise ValueError(f"no frame at time {times[~fine][0]}: moving-mnist-toronto has whole times 0..{last}")
        frames = self._open()[times.astype(np.int64), clips[:, None]]  # (B, T, H, W)
        return vpbench.Clips(frames=np.asarray(frames)[:, :, None], times=times, ids=ids)

    def fingerprint(self, split: str) -> str:
        """sha256 of name, version and the md5 of the file, which is checked first."""
        _require_test(split)
        self._verify()
        identity = {"name": "moving-mnist-toronto", "version": TORONTO_VERSION, "split": split, "md5": self._file.md5}
        return hashlib.sha256(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def _open(self) -> np.ndarray:
        """The memory-mapped file, its form checked: 0.1 ms, so it is opened for each batch and pickles as a path."""
        try:
            array = np.lib.format.open_memmap(self._path, mode="r")
        except FileNotFoundError:
            raise DataError(f"{self._path} is not there: {REMEDY}") from None
        except OSError as error:
            raise DataError(f"{self._path} cannot be read ({error.strerror or error}): {REMEDY}") from error
        except Exception as error:  # whatever a damaged header makes numpy raise
            raise self._refused("truncated, or no .npy file of numbers") from error
        if array.dtype != np.uint8 or array.shape != self._file.shape:
            raise self._refused(f"{array.dtype} {array.shape}, expected uint8 {self._file.shape}")
        return array

    def _verify(self) -> None:
        if not self._verified:
            md5 = remembered_md5(self._path)
            if md5 != self._file.md5:
                raise self._refused(f"md5 {md5}, expected {self._file.md5}")
            self._verified = True

    def _refused(self, reason: str) -> DataError:
        return DataError(f"{self._path} is not the Moving MNIST test file ({reason}): {REMEDY}")


def fetched_path() -> Path:
    """Where the downloaded file is."""
    return data_folder() / "mnist_test_seq.npy"


def fetch(report: Report) -> Path:
    """Download the file unless it is there, from $VPBENCH_TORONTO_URL where set; `report(done, total)` in bytes."""
    return fetch_file(TorontoFile(url=os.environ.get("VPBENCH_TORONTO_URL") or TorontoFile.url), report)


def fetch_file(file: TorontoFile, report: Report) -> Path:
    """As `fetch`, for any file."""
    path = fetched_path()
    if not path.is_file() or remembered_md5(path) != file.md5:
        try:
            download(file.url, path, md5=file.md5, report=report)
        except DataError as error:
            raise DataError(
                f"{error}: try again (a partial download is continued), set VPBENCH_TORONTO_URL to a mirror, "
                "or name a copy of mnist_test_seq.npy with `--set path=FILE`"
            ) from error
        remembered_md5(path)
    return path


def remembered_md5(path: Path) -> str:
    """The md5 of a file; computed once for as long as its size and its time of change stay."""
    notes = cache_folder() / "md5.json"
    path = path.absolute()
    try:
        facts = path.stat()
        seen = {"size": facts.st_size, "mtime_ns": facts.st_mtime_ns}
        known = _read_notes(notes)
        match known.get(str(path)):
            case {"md5": str(md5), **rest} if rest == seen:
                return md5
        with open(path, "rb") as file:
            md5 = hashlib.file_digest(file, "md5").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}): {REMEDY}") from error
    try:
        with written_whole(notes) as out:
            out.write(json.dumps({**known, str(path): {**seen, "md5": md5}}, indent=1).encode())
    except OSError as error:
        _log.warning("cannot remember the md5 of %s (%s): it is computed in every process", path, error)
    return md5


def _read_notes(notes: Path) -> dict[str, object]:
    try:
        known = json.loads(notes.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _require_test(split: str) -> None:
    if split != "test":
        raise UsageError(
            f"moving-mnist-toronto has only a test split, not {split!r}: train and validate on moving-mnist"
        )
