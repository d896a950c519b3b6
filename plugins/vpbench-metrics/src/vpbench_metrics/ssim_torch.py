"""Structural similarity in plain torch: for frames on a GPU. Correct, but slow, on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from .ssim import C1, C2, SIDE, check_images, window

#: Values filtered at a time. Some ten float64 temporaries of this size live at once: about 300 MiB.
_VALUES_AT_ONCE = 2**22


def ssim_torch(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean structural similarity of images.

    predicted, target  floating point (N, H, W) in [0, 1], on one device that has float64; H and W at least 11
    returns            float64 (N,) on that device
    """
    check_images(predicted, target)
    images = max(1, _VALUES_AT_ONCE // max(1, predicted.shape[1:].numel()))
    parts = zip(predicted.split(images), target.split(images), strict=True)
    return torch.cat([_similarity(x.double(), y.double()) for x, y in parts])


def _similarity(x: Tensor, y: Tensor) -> Tensor:
    # float64 also because float32 convolutions may silently run in TF32, which is good for three digits
    weights = torch.tensor(window(), dtype=torch.float64, device=x.device)
    maps = torch.stack([x, y, x * x + y * y, (x - y).square_()]).flatten(0, 1).unsqueeze(1)
    maps = conv2d(maps, weights.view(1, 1, SIDE, 1))
    maps = conv2d(maps, weights.view(1, 1, 1, SIDE))
    mean_x, mean_y, mean_squares, mean_squared_difference = maps.squeeze(1).unflatten(0, (4, -1))

    squared_means = mean_x * mean_x + mean_y * mean_y
    difference = (mean_x - mean_y).square_()
    luminance = 1 - difference / (squared_means + C1)
    structure = 1 - (mean_squared_difference - difference) / (mean_squares - squared_means + C2)
    return (luminance * structure).mean((-2, -1))
