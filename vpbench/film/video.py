"""Pictures as a video that plays anywhere: H.264 where this build of PyAV has an encoder for it, else MPEG-4."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
from av.video.stream import VideoStream

from .canvas import BACKGROUND

if TYPE_CHECKING:
    from PIL import Image

#: Encoders from the best one down, with options for pictures that look like the ones given.
_ENCODERS = (
    ("libx264", {"crf": "16", "preset": "slow", "tune": "animation"}),
    ("libopenh264", {"b": "4000000"}),
    ("mpeg4", {"qmin": "1", "qmax": "3"}),
)


def as_mp4(pictures: Sequence[Image.Image], *, rate: float) -> bytes:
    """The bytes of an MP4 file, one picture after the other.

    rate  pictures a second

    Colours are stored for every 2×2 pixels together (yuv420p, which all players know), so sizes are made even by a
    line of background.
    """
    name, options = next((name, options) for name, options in _ENCODERS if name in av.codecs_available)
    width, height = pictures[0].size
    width, height = width + width % 2, height + height % 2
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(name, rate=Fraction(rate).limit_denominator(1000), options=dict(options))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in pictures:
            even = np.empty((height, width, 3), dtype=np.uint8)
            even[:] = BACKGROUND
            even[: picture.height, : picture.width] = np.asarray(picture)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()
