"""Pictures written down: PNG for one, GIF, WebP or MP4 for a moving one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

#: Ending of a file -> whether it moves.
FORMATS = {".png": False, ".gif": True, ".webp": True, ".mp4": True}

PAUSE_MS = 900  #: at the last given frame and at the end, beside the time of every frame


def as_png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def check_writable(ending: str) -> None:
    """Raise UsageError where files of this ending cannot be written here, and say what to do."""
    from PIL import features

    if ending == ".webp" and not features.check("webp"):
        raise UsageError("this installation of Pillow has no WebP: name a .gif file")
    if ending == ".mp4" and find_spec("av") is None:
        raise UsageError("writing .mp4 needs PyAV: pip install 'vpbench[video]', or name a .gif file")


def as_animation(pictures: Sequence[Image.Image], ending: str, *, context: int, rate: float) -> bytes:
    """The bytes of a GIF (`.gif`) or WebP (`.webp`, lossless) that plays for ever, or of a video (`.mp4`).

    context  number of pictures after which it pauses, as at the end; a video does not
    rate     pictures a second

    A GIF has 256 colours, one palette for all pictures; times are rounded to hundredths of a second there. Raises
    UsageError for an ending that cannot be written here.
    """
    check_writable(ending)
    if ending == ".mp4":
        from .video import as_mp4

        return as_mp4(pictures, rate=rate)
    durations = [round(1000 / rate)] * len(pictures)
    for place in (context - 1, len(pictures) - 1):
        durations[place] += PAUSE_MS
    file = io.BytesIO()
    if ending == ".gif":
        first, *rest = _in_one_palette(pictures)
        first.save(file, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)
        return file.getvalue()
    first, *rest = pictures
    first.save(
        file, "WEBP", save_all=True, append_images=rest, duration=durations, loop=0, lossless=True, method=2, quality=50
    )
    return file.getvalue()


def _in_one_palette(pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """All pictures in the colours that suit them together: with a palette each, they would flicker."""
    from PIL import Image

    some = pictures[:: max(1, len(pictures) // 12)]
    width, height = pictures[0].size
    together = Image.new("RGB", (width, height * len(some)))
    for number, picture in enumerate(some):
        together.paste(picture, (0, number * height))
    palette = together.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=1)
    return [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
