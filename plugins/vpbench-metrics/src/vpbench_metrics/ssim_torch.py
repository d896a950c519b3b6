"""Structural similarity in plain torch: for frames on a GPU."""

from __future__ import annotations

import torch
from torch import Tensor

from .ssim_definition import C1, C2, check_images, window

#: Values filtered at a time. Some ten float64 temporaries of this size live at once: about 300 MiB.
_VALUES_AT_ONCE = 2**22


def ssim_torch(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean structural similarity of images.

    predicted, target  floating point (N, H, W) in [0, 1], on one device that has float64; H and W at least 11
    returns            float64 (N,) on that device
    """
    check_images(predicted, target)
    _, height, width = predicted.shape
    down, across = _filter_matrix(height, predicted.device), _filter_matrix(width, predicted.device)
    images = max(1, _VALUES_AT_ONCE // (height * width))
    parts = zip(predicted.split(images), target.split(images), strict=True)
    return torch.cat([_similarity(x.double(), y.double(), down, across) for x, y in parts])


def _filter_matrix(size: int, device: torch.device) -> Tensor:
    """The window at every place where it fits: (size - 10, size), multiplied from the left it filters columns.

    A product of matrices suits float64 on any device, where a convolution with one channel does not (on a CPU it took
    four times as long); and float32 would not do, as it may silently run in TF32, which is good for three digits.
    """
    weights = window()
    rows = size - len(weights) + 1
    matrix = torch.zeros(rows, size, dtype=torch.float64)
    for offset, weight in enumerate(weights):
        matrix.diagonal(offset)[:rows] = weight
    return matrix.to(device)


def _similarity(x: Tensor, y: Tensor, down: Tensor, across: Tensor) -> Tensor:
    images = torch.stack([x, y, x * x + y * y, (x - y).square_()])
    mean_x, mean_y, mean_squares, mean_squared_difference = down @ images @ across.T

    squared_means = mean_x * mean_x + mean_y * mean_y
    difference = (mean_x - mean_y).square_()
    luminance = 1 - difference / (squared_means + C1)
    structure = 1 - (mean_squared_difference - difference) / (mean_squares - squared_means + C2)
    return (luminance * structure).mean((-2, -1))
