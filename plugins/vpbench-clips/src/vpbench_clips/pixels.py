"""From a frame as it is in its file to a frame of the dataset: channels, then size."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

from vpbench.errors import DataError

#: ITU-R BT.601 luma in units of 2^-16, which add up to 1.
_LUMA = (19595, 38470, 7471)


def with_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    """(H, W, C) with another number of channels: grey is 0.299 R + 0.587 G + 0.114 B, RGB of grey is three times it.

    Raises DataError where neither is asked for.
    """
    have = picture.shape[2]
    if have == channels:
        return picture
    if have == 1:
        return np.repeat(picture, channels, axis=2)
    if (have, channels) != (3, 1):
        raise DataError(f"frames of {have} channels cannot become frames of {channels}: only RGB and grey are changed")
    if picture.dtype == np.uint8:
        weighted = picture.astype(np.uint32) @ np.array(_LUMA, dtype=np.uint32)
        return ((weighted + 2**15) >> 16).astype(np.uint8)[..., None]
    return np.clip(picture @ (np.array(_LUMA) / 2**16), 0, 1).astype(np.float32)[..., None]


def with_size(
    picture: np.ndarray, size: tuple[int, int] | None, fit: Literal["crop", "stretch", "pad"] = "crop"
) -> np.ndarray:
    """(H, W, C), uint8 or float32, brought to (height, width).

    Bilinear; where it gets smaller, over the whole area that becomes a pixel. "crop" fills the size and cuts off what
    sticks out on both sides alike, "pad" shows all and adds black on both sides, "stretch" changes the proportions.
    """
    if size is None or picture.shape[:2] == size:
        return picture
    height, width = picture.shape[:2]
    if fit == "stretch":
        return _resized(picture, size, (0, 0, width, height))
    ratios = size[0] / height, size[1] / width
    if fit == "crop":
        scale = max(ratios)
        seen_height, seen_width = min(height, size[0] / scale), min(width, size[1] / scale)
        top, left = (height - seen_height) / 2, (width - seen_width) / 2
        return _resized(picture, size, (left, top, left + seen_width, top + seen_height))
    scale = min(ratios)
    inside = max(1, round(height * scale)), max(1, round(width * scale))
    padded = np.zeros((*size, picture.shape[2]), dtype=picture.dtype)
    top, left = (size[0] - inside[0]) // 2, (size[1] - inside[1]) // 2
    padded[top : top + inside[0], left : left + inside[1]] = _resized(picture, inside, (0, 0, width, height))
    return padded


def _resized(picture: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float]) -> np.ndarray:
    """The part of a picture inside a box (left, top, right, bottom), which may cut through pixels."""
    planes = []
    for channel in range(picture.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(picture[..., channel]))  # 8 bits or float32, as the array has it
        planes.append(np.asarray(plane.resize((size[1], size[0]), Image.Resampling.BILINEAR, box=box)))
    resized = np.stack(planes, axis=2)
    return resized if resized.dtype == np.uint8 else np.clip(resized, 0, 1)
