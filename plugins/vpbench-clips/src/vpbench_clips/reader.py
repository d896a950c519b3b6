"""One file as one clip, for `vpbench predict`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import vpbench
from vpbench.errors import DataError

from . import arrays, containers
from .arrays import ArrayRecording, Part
from .files import Unreadable, unreadable
from .folder import kind_of
from .pixels import with_channels, with_size
from .video import decoded, picture_of

#: Bytes that the frames of a clip may take.
MAX_BYTES = 1 << 30


def read(
    path: str | Path, *, frame_shape: tuple[int, int, int] | None = None, last: int | None = None
) -> vpbench.Clips:
    """A video, or an array of one clip (`.npy`, `.npz`), as a clip.

    frame_shape  (C, H, W) to bring the frames to: grey or RGB, scaled and cut in the centre; None: as they are
    last         how many frames from the end, all where it has fewer; None: all

    Returns frames (1, T, C, H, W), uint8, or float32 in [0, 1] of a float array, at their numbers in the file, from 0.
    Raises DataError for a file that cannot be read, is no single clip, or takes more than a gibibyte.
    """
    path = Path(path)
    kind = kind_of(path)
    if kind == "video":
        pictures = _of_video(path)
    elif kind == "arrays":
        pictures = _of_array(path)
    else:
        raise DataError(f"{path}: neither a video nor an array, by its ending")
    frames: deque[np.ndarray] = deque(maxlen=last)
    shape: tuple[int, ...] = ()
    count = 0
    for picture in pictures:
        if shape and picture.shape != shape:
            raise unreadable(path, f"its frames change their size at number {count}")
        shape, count = picture.shape, count + 1
        if last is None:  # else most of them are let go again
            picture = _brought_to(picture, frame_shape)
        frames.append(picture)
        if len(frames) * picture.nbytes > MAX_BYTES:
            raise DataError(f"{path}: {len(frames)} frames of it take over {MAX_BYTES >> 30} GiB: cut it shorter")
    if not frames:
        raise unreadable(path, "no frame in it")
    wanted = [_brought_to(picture, None if last is None else frame_shape).transpose(2, 0, 1) for picture in frames]
    times = np.arange(float(count))[None, -len(wanted) :]
    return vpbench.Clips(frames=np.stack(wanted)[None], times=times, ids=[0])


def _brought_to(picture: np.ndarray, frame_shape: tuple[int, int, int] | None) -> np.ndarray:
    """(H, W, C), grey or RGB as asked for, scaled and cut in the centre."""
    if frame_shape is None:
        return picture
    channels, height, width = frame_shape
    return with_channels(with_size(picture, (height, width)), channels)


def _of_video(path: Path) -> Iterator[np.ndarray]:
    try:
        for frame in decoded(path, whole=True):
            yield picture_of(frame)
    except Unreadable:
        raise
    except Exception as error:  # whatever damaged data make the decoder raise
        raise unreadable(path, error) from error


def _of_array(path: Path) -> Iterator[np.ndarray]:
    forms = containers.forms(path)
    groups = [key for key, form in forms.items() if len(form.shape) >= 3]
    if len(groups) != 1:
        named = ", ".join(f"{key} {form.shape}" for key, form in forms.items()) or "no arrays of numbers"
        raise DataError(
            f"{path} must hold one array (frames, height, width), with channels last or before; it has {named}"
        )
    key, form = groups[0], forms[groups[0]]
    layout = arrays.layout_of_one_clip(form.shape, str(path))
    low, high = arrays.bounds_of(path, key)
    if form.dtype != np.uint8 and form.dtype.kind != "b" and not (form.dtype.kind == "f" and low >= 0 and high <= 1):
        raise DataError(
            f"{path} has {form.dtype} values from {low:g} to {high:g}: save it as uint8, or as floats from 0 to 1"
        )
    part = Part(key, layout, form, arrays.values_of(form, None, (low, high), str(path)))
    for _, picture in ArrayRecording(path, (part,), 0).read(range(part.axis["T"])):
        yield picture
