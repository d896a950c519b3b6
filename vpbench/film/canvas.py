"""Colours, type, and how a frame becomes pixels."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import UsageError

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

Colour = tuple[int, int, int]

BACKGROUND: Colour = (20, 21, 26)
INK: Colour = (236, 237, 241)
QUIET: Colour = (150, 153, 164)
RULE: Colour = (62, 65, 77)
PREDICTED: Colour = (255, 184, 77)  #: whatever lies beyond the frames that were given

#: Of differences, from -1 over 0 to 1: light where they are large, as dark as the background where there is none, so
#: that what is missing (blue) and what was made up (orange) stand out, and told apart without seeing red and green.
_STOPS = (-1.0, -0.5, 0.0, 0.5, 1.0)
_DIVERGING = np.array([(178, 221, 255), (44, 118, 214), (24, 25, 30), (214, 88, 28), (255, 214, 150)], dtype=np.float64)

#: Pixels: of type, and of a picture as a whole. WebP holds no more a side.
TITLE, TEXT, SMALL = 20, 15, 13
SIDE_LIMIT = 16383
AREA_LIMIT = 10**8


def pixels(frame: np.ndarray) -> np.ndarray:
    """A frame, uint8 (C, H, W) grey or RGB, as uint8 (H, W, 3)."""
    return np.broadcast_to(frame.transpose(1, 2, 0), (*frame.shape[1:], 3))


def difference(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Predicted minus true, uint8 (C, H, W) each, as colours, uint8 (H, W, 3); of RGB the mean over channels."""
    return colours((predicted.astype(np.float64) - truth).mean(axis=0) / 255)


def colours(differences: np.ndarray) -> np.ndarray:
    """Differences in [-1, 1], (...), as uint8 (..., 3)."""
    channels = [np.interp(differences, _STOPS, _DIVERGING[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


class Size(NamedTuple):
    width: int
    height: int


@cache
def _type(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def width_of(text: str, size: int) -> int:
    """Pixels that a line of text takes."""
    return int(np.ceil(_type(size).getlength(drawable(text))))


def drawable(text: str) -> str:
    """The text with what the typeface lacks replaced; it has Latin-1, and no arrows, dashes or mathematics."""
    for there, instead in (("→", "->"), ("−", "-"), ("–", "-"), ("×", "x"), ("…", "...")):
        text = text.replace(there, instead)
    return text.encode("latin-1", errors="replace").decode("latin-1")


class Canvas:
    """A picture being drawn; positions are pixels from the top left corner."""

    def __init__(self, size: Size) -> None:
        """Raises UsageError for a picture that is too large."""
        from PIL import Image, ImageDraw

        if max(size) > SIDE_LIMIT or size.width * size.height > AREA_LIMIT:
            raise UsageError(
                f"the picture would have {size.width} by {size.height} pixels, {SIDE_LIMIT} a side and "
                f"{AREA_LIMIT // 10**6} million are the most: show fewer steps, clips or records, or give a "
                "smaller --scale"
            )
        self.image: Image.Image = Image.new("RGB", size, BACKGROUND)
        self._draw: ImageDraw.ImageDraw = ImageDraw.Draw(self.image)

    def text(self, x: float, y: float, text: str, size: int, colour: Colour = INK, *, anchor: str = "la") -> None:
        """A line of text; anchor as Pillow has it: "la" is its left end and the top of its tall letters."""
        self._draw.text((x, y), drawable(text), fill=colour, font=_type(size), anchor=anchor)

    def frame(self, x: int, y: int, frame: np.ndarray, scale: int, outline: Colour = RULE) -> None:
        """Pixels, uint8 (H, W, 3), each as a square of `scale`, with an outline around them."""
        from PIL import Image

        enlarged = frame.repeat(scale, axis=0).repeat(scale, axis=1)
        height, width = enlarged.shape[:2]
        self.image.paste(Image.fromarray(np.ascontiguousarray(enlarged)), (x, y))
        self.box(x - 1, y - 1, x + width, y + height, outline)

    def box(self, left: int, top: int, right: int, bottom: int, colour: Colour) -> None:
        """The outline of a rectangle, its corners included."""
        self._draw.rectangle((left, top, right, bottom), outline=colour)

    def bar(self, left: int, top: int, right: int, bottom: int, colour: Colour) -> None:
        """A filled rectangle, its corners included."""
        self._draw.rectangle((left, top, right, bottom), fill=colour)

    def legend(self, x: int, y: int, channels: int) -> None:
        """What the colours of differences mean, as large as `legend_size` says."""
        self.text(x, y, _legend_title(channels), SMALL, QUIET)
        self.frame(x + 1, y + 20, np.broadcast_to(colours(np.linspace(-1, 1, _RAMP)), (9, _RAMP, 3)), 1)
        for place, anchor, text in ((0, "la", "-1 too dark"), (_RAMP / 2, "ma", "0"), (_RAMP, "ra", "too bright 1")):
            self.text(x + 1 + place, y + 35, text, SMALL, QUIET, anchor=anchor)


_RAMP = 220  # pixels of the scale in a legend


def legend_size(channels: int) -> Size:
    return Size(max(_RAMP + 2, width_of(_legend_title(channels), SMALL)), 50)


def _legend_title(channels: int) -> str:
    return f"difference: predicted minus true{'' if channels == 1 else ', mean of the channels'}"
