"""Structural similarity in plain torch: by any definition, on any device that has float64."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .ssim_definition import GAUSSIAN_11, Definition, check_images

#: Values filtered at a time; some ten float64 temporaries of this size live at once. On a CPU they stay in its cache
#: (3 to 4 times as fast as 2**22); on a GPU they take about 300 MiB, to keep launches few.
_VALUES_AT_ONCE = {"cpu": 2**16, "gpu": 2**22}


def ssim_torch(predicted: Tensor, target: Tensor, definition: Definition = GAUSSIAN_11) -> Tensor:
    """Mean structural similarity of images.

    predicted, target  floating point (N, H, W), on one device that has float64; H and W at least definition.smallest
    returns            float64 (N,) on that device
    """
    return torch.cat([similarity.mean((-2, -1)) for similarity, _ in _maps(predicted, target, definition)])


def foreground_ssim_torch(predicted: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """What `foreground_ssim` is made of.

    predicted, target  as of `ssim_torch`, by the default definition
    returns            float64 (N,) twice: means over the windows of energy · similarity, where that is positive, and of
                       energy, that of a window being its weighted mean of predicted² + target²
    """
    maps = _maps(predicted, target, GAUSSIAN_11)
    means = [torch.stack([energy * similarity.clamp(min=0), energy]).mean((-2, -1)) for similarity, energy in maps]
    weighted, energy = torch.cat(means, dim=1)
    return weighted, energy


def _maps(predicted: Tensor, target: Tensor, definition: Definition) -> Iterator[tuple[Tensor, Tensor]]:
    """Similarity and energy in every window, (n, places down, places across) each, of some images at a time."""
    check_images(predicted, target, definition)
    _, height, width = predicted.shape
    down, across = (_filter_matrix(size, definition).to(predicted.device) for size in (height, width))
    at_once = _VALUES_AT_ONCE["cpu" if predicted.device.type == "cpu" else "gpu"]
    images = max(1, at_once // (height * width))
    for x, y in zip(predicted.split(images), target.split(images), strict=True):
        yield _similarity(x.double(), y.double(), down, across, definition)


def _filter_matrix(size: int, definition: Definition) -> Tensor:
    """The window at each of its places: (places, size), multiplied from the left it filters columns.

    A product of matrices suits float64 on any device, where a convolution with one channel does not (on a CPU it took
    four times as long); and float32 would not do, as it may silently run in TF32, which is good for three digits. It
    also takes mirrored edges without a larger image: a window that leaves the frame has its weights where it re-enters.
    """
    source = torch.arange(-definition.margin, size + definition.margin).abs()
    source = (size - 1) - ((size - 1) - source).abs()
    places = torch.arange(len(source) - definition.side + 1)
    matrix = torch.zeros(len(places), size, dtype=torch.float64)
    for offset, weight in enumerate(definition.weights):
        matrix[places, source[places + offset]] += weight
    return matrix


def _similarity(x: Tensor, y: Tensor, down: Tensor, across: Tensor, definition: Definition) -> tuple[Tensor, Tensor]:
    images = torch.stack([x, y, x * x + y * y, (x - y).square_()])
    mean_x, mean_y, mean_squares, mean_squared_difference = down @ images @ across.T

    squared_means = mean_x * mean_x + mean_y * mean_y
    difference = (mean_x - mean_y).square_()
    variances = (mean_squares - squared_means).mul_(definition.normalisation)
    variance_of_difference = (mean_squared_difference - difference).mul_(definition.normalisation)
    luminance = 1 - difference / (squared_means + definition.c1)
    structure = 1 - variance_of_difference / (variances + definition.c2)
    return luminance * structure, mean_squares
