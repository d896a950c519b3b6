"""An image folder as a recording: one picture per frame, in natural order."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .files import Mark, Unreadable, require_unchanged, unreadable
from .pixels import with_channels
from .video import MAX_PIXELS

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")

# Of sizes and odd tags: sizes are bounded below, and what cannot be decoded raises. Several threads decode at once, and
# filters cannot be changed for one of them.
warnings.filterwarnings("ignore", module=r"PIL\.")


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key by which frame 9 comes before frame 10."""
    parts = re.split(r"(\d+)", name)
    return tuple((1, int(part)) if part.isdigit() and part.isascii() else (0, part) for part in parts)


@dataclass(frozen=True)
class ImageFolder:
    """Pictures of one size, in order."""

    marks: Mapping[Path, Mark]  #: when it was looked at
    channels: int  #: 3 where any of them has a colour

    def read(self, wanted: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Frames by number, rising: (number, uint8 (H, W, C))."""
        files = tuple(self.marks)
        for number in wanted:
            picture = read_image(files[number])
            require_unchanged(files[number], self.marks[files[number]])
            yield number, picture if picture.shape[2] == self.channels else with_channels(picture, self.channels)


def examine(files: Sequence[Path]) -> tuple[int, int, int]:
    """(height, width, channels) of all pictures of a folder, which are decoded. Raises Unreadable."""
    shapes = [read_image(path).shape for path in files]
    for path, shape in zip(files, shapes, strict=True):
        if shape[:2] != shapes[0][:2]:
            sizes = f"{files[0].name} is {shapes[0][0]}×{shapes[0][1]}, {path.name} {shape[0]}×{shape[1]}"
            raise unreadable(path.parent, f"its pictures have several sizes: {sizes}")
    return shapes[0][0], shapes[0][1], max(shape[2] for shape in shapes)


def read_image(path: Path) -> np.ndarray:
    """A picture as uint8 (H, W, C), upright, C 1 for grey, else 3; 16 bits are rounded to 8, transparent is black.

    Raises Unreadable.
    """
    try:
        with Image.open(path) as image:
            _check_header(path, image)
            image.load()
            return _pixels(path, ImageOps.exif_transpose(image))  # upright, as phones write it
    except Unreadable:
        raise
    except Exception as error:  # whatever a damaged picture makes its decoder raise
        why = "no picture in it" if isinstance(error, Image.UnidentifiedImageError) else error
        raise unreadable(path, why) from error


def _check_header(path: Path, image: Image.Image) -> None:
    if image.height * image.width > MAX_PIXELS:
        claim = f"{image.height}×{image.width}"
        raise unreadable(path, f"it claims frames of {claim}, at most {MAX_PIXELS} pixels are decoded")
    if getattr(image, "n_frames", 1) > 1:
        raise unreadable(path, "it holds several pictures; an image folder has one per file")
    if image.mode in ("I", "F"):
        raise unreadable(path, f"pixels of mode {image.mode}, 32 bits; save such values as an array")


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I;16")


def _pixels(path: Path, image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16"):
        deep = np.asarray(image).astype(np.uint32)
        return ((deep * 255 + 32767) // 65535).astype(np.uint8)[..., None]
    mode = "L" if _is_grey(image) else "RGB"
    if image.has_transparency_data:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    pixels = np.asarray(image.convert(mode))
    return pixels[..., None] if mode == "L" else pixels
