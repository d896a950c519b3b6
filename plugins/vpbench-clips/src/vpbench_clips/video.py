"""One video: what it holds, and any of its frames.

A video is decoded once from its first frame to its last, when it is first looked at. That counts its frames, finds
out that all of them can be had, and keeps a checksum of each. Later reads go to a key frame nearby, and what comes out
must have those checksums: where seeking in a file leads astray it is decoded from the start, so that a frame never
depends on how it was reached.
"""

from __future__ import annotations

import contextlib
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from .files import Stopped, Unreadable, content_sha256, go_on, unreadable

#: Frames of more pixels than this (8192 × 8192) are not decoded: a header can claim any size.
MAX_PIXELS = 2**26

#: Fewer frames than this before the first wanted one are decoded and thrown away: faster than seeking.
SEEK_FROM = 32

#: Chroma at full resolution, the same on every processor.
_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT

#: Lists of other files, which may be anywhere.
_PLAYLISTS = {"hls", "concat", "dash", "applehttp", "imf", "image2", "sdp", "rtsp"}

#: Containers whose header has the number of frames, and the share that a whole file may lack: AVI writers miscount.
_COUNTED = {"mov": 0.0, "avi": 0.05}


@dataclass(frozen=True)
class VideoFacts:
    """What decoding all of it has shown."""

    sha256: str  #: of the file
    height: int
    width: int
    channels: int  #: 1 of a grey pixel format, else 3
    checksums: array[int]  #: CRC-32 of each frame as `Video.read` gives it
    ticks: array[int] | None  #: when the frames are shown, rising, in units of time_base; None: it does not tell
    time_base: Fraction  #: seconds

    def to_json(self) -> dict[str, Any]:
        """As an index keeps it."""
        return {
            "sha256": self.sha256,
            "shape": [self.height, self.width, self.channels],
            "checksums": "".join(f"{each:08x}" for each in self.checksums),
            "ticks": None if self.ticks is None else list(self.ticks),
            "time_base": [self.time_base.numerator, self.time_base.denominator],
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> VideoFacts:
        """Raises KeyError, TypeError or ValueError where it is no such thing."""
        text, ticks = kept["checksums"], kept["ticks"]
        height, width, channels = kept["shape"]
        return cls(
            kept["sha256"],
            height,
            width,
            channels,
            checksums=array("I", (int(text[i : i + 8], 16) for i in range(0, len(text), 8))),
            ticks=None if ticks is None else array("q", ticks),
            time_base=Fraction(*kept["time_base"]),
        )


@dataclass(frozen=True)
class Video:
    """A video file that was looked at."""

    path: Path
    facts: VideoFacts

    def read(self, wanted: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Frames by number, rising: (number, uint8 (H, W, C)). Raises Unreadable where they are not what they were."""
        done = 0
        if self.facts.ticks is not None and wanted[0] >= SEEK_FROM:
            for number, picture in self._from_key_frame(wanted):
                if number != wanted[done] or not self._is(number, picture):
                    break
                yield number, picture
                done += 1
        if rest := wanted[done:]:
            yield from self._from_start(rest)

    def _from_start(self, wanted: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        remaining = iter(wanted)
        following = next(remaining)
        for number, frame in enumerate(decoded(self.path)):
            if number < following:
                continue
            picture = picture_of(frame)
            if not self._is(number, picture):
                raise unreadable(self.path, f"frame {number} is not what it was when the file was first looked at")
            yield number, picture
            try:
                following = next(remaining)
            except StopIteration:
                return
        raise unreadable(self.path, f"it ends before frame {following}, which it had when it was first looked at")

    def _from_key_frame(self, wanted: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """As far as it goes; nothing is raised, since decoding from the start may be able to do what this is not."""
        ticks = self.facts.ticks
        assert ticks is not None
        numbers = set(wanted)
        with contextlib.suppress(av.FFmpegError, OSError):
            for frame in decoded(self.path, start=ticks[wanted[0]]):
                number = -1 if frame.pts is None else bisect_left(ticks, frame.pts)
                if number in numbers and ticks[number] == frame.pts:
                    yield number, picture_of(frame)
                if number >= wanted[-1]:
                    return

    def _is(self, number: int, picture: np.ndarray) -> bool:
        return picture.shape[:2] == (self.facts.height, self.facts.width) and (
            zlib.crc32(picture.data) == self.facts.checksums[number]
        )


def examine(path: Path) -> VideoFacts:
    """Decode all of a video. Raises Unreadable where not every frame can be had."""
    checksums = array("I")
    ticks: list[int | None] = []
    shape: tuple[int, ...] = ()
    base = Fraction(0)
    sha256 = content_sha256([(path.name, path)])
    try:
        for frame in decoded(path, whole=True):
            go_on()
            picture = picture_of(frame)
            if shape and picture.shape != shape:
                there, here = (f"{height}×{width}×{n}" for height, width, n in (shape, picture.shape))
                raise unreadable(path, f"frames of {there} and, from number {len(ticks)} on, of {here}")
            shape, base = picture.shape, frame.time_base or base
            checksums.append(zlib.crc32(picture.data))
            ticks.append(frame.pts)
    except (Unreadable, Stopped):
        raise
    except (PermissionError, FileNotFoundError) as error:
        raise unreadable(path, error) from error
    except Exception as error:  # whatever damaged data make the decoder raise
        where = f"damaged after {len(ticks)} frames: " if ticks else "no video that can be decoded: "
        raise unreadable(path, f"{where}{_told(error)}") from error
    if not ticks:
        raise unreadable(path, "no frame in it")
    height, width, channels = shape
    known = [tick for tick in ticks if tick is not None]
    rising = len(known) == len(ticks) and all(a < b for a, b in pairwise(known)) and base > 0
    return VideoFacts(
        sha256, height, width, channels, checksums, array("q", known) if rising else None, base or Fraction(1)
    )


def first_bad_tick(path: Path) -> int:
    """Number of the first frame that is not shown after the one before it, of a video whose ticks do not rise."""
    last: int | None = None
    for number, frame in enumerate(decoded(path)):
        if frame.pts is None or (last is not None and frame.pts <= last):
            return number
        last = frame.pts
    return 0


def decoded(path: Path, *, start: int | None = None, whole: bool = False) -> Iterator[VideoFrame]:
    """Frames in the order in which they are shown; start: from the key frame at or before this tick.

    Raises av.FFmpegError, OSError, Unreadable. whole: also Unreadable where fewer frames come than the header claims.
    """
    with _opened(path) as (container, stream):
        if start is not None:
            container.seek(start, stream=stream)
        packets = frames = 0
        for packet in container.demux(stream):
            packets += packet.size > 0 or packet.dts is not None
            if packet.is_corrupt:
                raise unreadable(path, f"cut off after {frames} frames")
            for frame in packet.decode():
                if not isinstance(frame, VideoFrame):
                    continue
                if frame.is_corrupt and start is None:
                    raise unreadable(path, f"frame {frames} is damaged")
                frames += 1
                yield frame
        lacking = _COUNTED.get(container.format.name.split(",")[0])
        if whole and lacking is not None and packets < stream.frames * (1 - lacking):
            raise unreadable(path, f"cut off: {packets} of the {stream.frames} frames that its header claims")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A video file and its first video stream. No other file and no network is touched."""
    limits = {"protocol_whitelist": "file", "max_pixels": str(MAX_PIXELS)}
    if path.stat().st_size == 0:
        raise unreadable(path, "it is empty")
    with av.open(f"file:{path}", "r", options=limits, metadata_errors="replace") as container:
        if _PLAYLISTS & set(container.format.name.split(",")):
            raise unreadable(path, f"a list of other files ({container.format.name})")
        if not container.streams.video:
            raise unreadable(path, "no picture in it, sound only" if container.streams.audio else "no picture in it")
        stream = container.streams.video[0]
        height, width = stream.codec_context.height, stream.codec_context.width
        if height * width > MAX_PIXELS:
            raise unreadable(path, f"it claims frames of {height}×{width}, at most {MAX_PIXELS} pixels are decoded")
        yield container, stream


def picture_of(frame: VideoFrame) -> np.ndarray:
    """A frame as uint8 (H, W, C), C 1 for grey pixel formats, else 3 (RGB); upright, what is transparent is black."""
    parts = frame.format.components
    picture: np.ndarray
    if frame.format.has_palette or any(part.is_alpha for part in parts):
        rgba: np.ndarray = frame.to_ndarray(format="rgba", interpolation=_EXACT)
        opaque = rgba[..., 3:].astype(np.uint16)
        picture = ((rgba[..., :3] * opaque + 127) // 255).astype(np.uint8)
    elif len(parts) == 1:
        picture = frame.to_ndarray(format="gray", interpolation=_EXACT)[..., None]
    else:
        picture = frame.to_ndarray(format="rgb24", interpolation=_EXACT)
    turns = round(frame.rotation / 90) % 4  # as phones write it
    return np.ascontiguousarray(np.rot90(picture, turns) if turns else picture)


def _told(error: BaseException) -> str:
    """What the decoder says, without its file name, which is said already."""
    told = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(told).strip().splitlines()[0]
