"""Frames as 8-bit grey levels, as image files and byte arrays hold them.

All is done in the float32 of the frames, as it is where these conventions come from: in float64, 127 of the values that
are half way between two levels would go to the other one.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEVELS = 255  #: the level of value 1


def truncated(frames: Tensor) -> Tensor:
    """``numpy.uint8(frames * 255)``: float32 in [0, 1] to uint8, towards 0, so half a level too dark on average."""
    return (frames * LEVELS).to(torch.uint8)


def rounded(frames: Tensor) -> Tensor:
    """To the nearest level, as torchvision writes a PNG (``save_image``): float32 in [0, 1] to uint8."""
    return (frames * LEVELS + 0.5).clamp_(0, LEVELS).to(torch.uint8)


def luma(levels: Tensor) -> Tensor:
    """Colour to grey, as Pillow does (``convert("L")``): uint8 (..., 1 or 3, H, W) to uint8 (..., 1, H, W).

    ITU-R 601: .299 R + .587 G + .114 B, in fixed point with 16 bits after it, rounded. Grey stays as it is.
    """
    channels = levels.shape[-3]
    if channels == 1:
        return levels
    if channels != 3:
        raise ValueError(f"a frame has a grey image if it has 1 or 3 channels, not {channels}")
    weights = torch.tensor([19595, 38470, 7471], dtype=torch.int32, device=levels.device)
    weighted = (levels.int() * weights[:, None, None]).sum(-3, keepdim=True)
    return ((weighted + 2**15) >> 16).to(torch.uint8)
