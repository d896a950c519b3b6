"""What both implementations of structural similarity share: constants, the window, and which images it fits.

SSIM compares Gaussian-weighted means, variances and covariances of two images x, y in a sliding window (Wang et al.
2004)::

    (2 ux uy + C1) (2 vxy + C2) / ((ux² + uy² + C1) (vx + vy + C2))

Both implementations evaluate the same formula in the terms of the difference d = x - y, with ud and vd its mean and
variance in the window::

    (1 - ud² / (ux² + uy² + C1)) (1 - vd / (vx + vy + C2))

It needs four filtered images (x, y, x² + y², d²) where the textbook form takes five, is exactly 1 for equal images, and
keeps its digits near 1. Variances are small differences of large numbers, to be compared with C2 = 9e-4: float32 is
good for about four digits on bright flat images, so both work in float64.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

SIGMA = 1.5  #: of the Gaussian window, pixels
RADIUS = 5  #: of the window, pixels: 3.5 sigma rounded, as in Wang et al. and scikit-image
SIDE = 2 * RADIUS + 1  #: smallest frame that holds a window
C1 = (0.01 * 1.0) ** 2  #: (K1 · value range)²
C2 = (0.03 * 1.0) ** 2  #: (K2 · value range)²


def window() -> tuple[float, ...]:
    """The 11 weights of the separable window, which sum to 1."""
    weights = [math.exp(-0.5 * (offset / SIGMA) ** 2) for offset in range(-RADIUS, RADIUS + 1)]
    return tuple(weight / sum(weights) for weight in weights)


def check_images(predicted: np.ndarray | Tensor, target: np.ndarray | Tensor) -> None:
    """Refuse all but two stacks of images (N, H, W) that a window fits in: the kernel reads without checking bounds."""
    if predicted.shape != target.shape or predicted.ndim != 3:
        raise ValueError(f"ssim compares images (N, H, W) one by one: {tuple(predicted.shape)}, {tuple(target.shape)}")
    _, height, width = predicted.shape
    if min(height, width) < SIDE:
        raise ValueError(f"ssim has a window of {SIDE}x{SIDE} pixels: frames of {height}x{width} are too small for it")
