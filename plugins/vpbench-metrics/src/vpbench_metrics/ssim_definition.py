"""What every implementation of structural similarity shares: its formula, its free choices, and which images it fits.

SSIM compares weighted means, variances and covariances of two images x, y in a sliding window (Wang et al. 2004)::

    (2 ux uy + C1) (2 vxy + C2) / ((ux² + uy² + C1) (vx + vy + C2)),   C1 = (K1 L)²,  C2 = (K2 L)²,  K1 .01,  K2 .03

The implementations evaluate the same formula in the terms of the difference d = x - y, with ud and vd its mean and
variance in the window::

    (1 - ud² / (ux² + uy² + C1)) (1 - vd / (vx + vy + C2))

It needs four filtered images (x, y, x² + y², d²) where the textbook form takes five, is exactly 1 for equal images, and
keeps its digits near 1. Variances are small differences of large numbers, to be compared with C2 = 9e-4: float32 is
good for about four digits on bright flat images, so all work in float64.

The formula leaves four choices open, which code bases take differently (`Definition`). `GAUSSIAN_11` is that of the
default metric; the kernel for frames on a CPU (`ssim_cpu`) knows no other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

SIGMA = 1.5  #: of the Gaussian window, pixels
RADIUS = 5  #: of the Gaussian window, pixels: 3.5 sigma rounded, as in Wang et al. and scikit-image
C1 = (0.01 * 1.0) ** 2  #: (K1 · value range)², of value range 1
C2 = (0.03 * 1.0) ** 2  #: (K2 · value range)², of value range 1


def window() -> tuple[float, ...]:
    """The 11 weights of the separable Gaussian window, which sum to 1."""
    weights = [math.exp(-0.5 * (offset / SIGMA) ** 2) for offset in range(-RADIUS, RADIUS + 1)]
    return tuple(weight / sum(weights) for weight in weights)


@dataclass(frozen=True)
class Definition:
    """One way to measure structural similarity: the choices that its formula leaves open."""

    weights: tuple[float, ...]  #: of the separable window, an odd number of them, which sum to 1
    padding: Literal["valid", "reflect"] = "valid"  #: windows inside the frame, or one per pixel of it, mirrored there
    value_range: float = 1.0  #: L, which scales C1 and C2
    sample_covariance: bool = False  #: variances over N - 1 instead of N values, N being the pixels of the window

    @property
    def side(self) -> int:
        """Of the window, pixels."""
        return len(self.weights)

    @property
    def margin(self) -> int:
        """Pixels by which a frame is continued at each edge: mirrored about its outermost pixels."""
        return self.side // 2 if self.padding == "reflect" else 0

    @property
    def smallest(self) -> int:
        """Smallest side of a frame that has a window, or that can be mirrored, pixels."""
        return self.margin + 1 if self.padding == "reflect" else self.side

    @property
    def c1(self) -> float:
        return C1 * self.value_range**2

    @property
    def c2(self) -> float:
        return C2 * self.value_range**2

    @property
    def normalisation(self) -> float:
        """What variances over N values are multiplied by."""
        pixels = self.side**2
        return pixels / (pixels - 1) if self.sample_covariance else 1.0


#: The default metric: windows inside the frame, population covariance, value range 1.
GAUSSIAN_11 = Definition(window())


def check_images(
    predicted: np.ndarray | Tensor, target: np.ndarray | Tensor, definition: Definition = GAUSSIAN_11
) -> None:
    """Refuse all but two stacks of images (N, H, W) that a window fits in: the kernel reads without checking bounds."""
    if predicted.shape != target.shape or predicted.ndim != 3:
        raise ValueError(f"ssim compares images (N, H, W) one by one: {tuple(predicted.shape)}, {tuple(target.shape)}")
    _, height, width = predicted.shape
    if min(height, width) < definition.smallest:
        mirrored = f" over {definition.margin} mirrored ones" if definition.margin else ""
        raise ValueError(
            f"ssim has a window of {definition.side}x{definition.side} pixels{mirrored}: "
            f"frames of {height}x{width} are too small for it"
        )
