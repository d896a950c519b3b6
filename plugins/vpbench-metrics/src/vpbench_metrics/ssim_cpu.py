"""Structural similarity as a compiled kernel: for frames on a CPU. Knows numpy and numba, not torch.

The kernel runs one frame at a time with the lock of the interpreter released, and plain threads share out the frames.
Numba's own threads are not used: its default pool aborts the process when two threads enter it, and another one does
when a process forks, which is what loaders and schedulers do.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np

try:
    from numba import njit
except ImportError as error:
    raise ImportError(
        f"ssim of frames on a CPU is a numba kernel, and numba cannot be imported ({error}): "
        "install the dependencies of vpbench-metrics"
    ) from error

from .ssim_definition import C1, C2, RADIUS, check_images, window

W0, W1, W2, W3, W4, W5 = window()[: RADIUS + 1]  # symmetric: W5 is the middle

#: Fewer images than this are not worth a thread: at 64x64 it is half a millisecond of work.
_IMAGES_PER_THREAD = 32


def ssim_cpu(predicted: np.ndarray, target: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """Mean structural similarity of images.

    predicted, target  float32 or float64 (N, H, W) in [0, 1]; H and W at least 11
    threads            at most, among which the images are shared out; the result does not depend on it
    returns            float64 (N,)
    """
    return np.ascontiguousarray(_means(predicted, target, threads)[:, 0])


def foreground_ssim_cpu(
    predicted: np.ndarray, target: np.ndarray, *, threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """What `foreground_ssim` is made of.

    predicted, target, threads  as of `ssim_cpu`
    returns                     float64 (N,) twice: means over the windows of energy · similarity, where that is
                                positive, and of energy, that of a window being its weighted mean of
                                predicted² + target²
    """
    means = _means(predicted, target, threads)
    return np.ascontiguousarray(means[:, 1]), np.ascontiguousarray(means[:, 2])


def _means(predicted: np.ndarray, target: np.ndarray, threads: int) -> np.ndarray:
    """What the kernel gives, (N, 3), the images shared out among threads."""
    check_images(predicted, target)
    predicted, target = np.ascontiguousarray(predicted), np.ascontiguousarray(target)
    means = np.empty((len(predicted), 3))
    threads = min(threads, len(predicted) // _IMAGES_PER_THREAD)
    if threads <= 1:
        _ssim(predicted, target, means)
        return means
    bounds = [len(predicted) * part // threads for part in range(threads + 1)]
    parts = [slice(*pair) for pair in pairwise(bounds)]
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(_ssim, predicted[part], target[part], means[part]) for part in parts]:
            done.result()
    return means


def _compiled(function: Callable[..., None]) -> Any:
    # contract: fused multiply-add, 15 % faster; division as in numpy, since a check for zero would end vectorisation
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep compiled code in, e.g. a read-only container: compile in every process
        return njit(**options)(function)


@_compiled
def _ssim(x, y, means):  # type: ignore[no-untyped-def]  # numba reads the types off the arguments
    """means[n] = means over the windows of x[n] and y[n] of s, e · max(s, 0) and e: structural similarity s, energy e.

    The energy, which is the mean of x² + y² in the window, is at hand anyway: all three cost 2 % more than s alone.

    `rows` holds the four images that are filtered side by side, (H, 4·W): x, y, x² + y², (x - y)². One row of windows
    is then filtered down the columns and after that along the row, each a single long loop without branches, which is
    what the compiler can vectorise; the few values that straddle two images are computed and not used.
    """
    count, height, width = x.shape
    rows = np.empty((height, 4 * width))
    column = np.empty(4 * width)  # one row of windows, filtered vertically
    mean = np.empty(4 * width)  # ... and horizontally
    totals = np.empty((3, width))
    for n in range(count):
        for i in range(height):
            for j in range(width):
                a = np.float64(x[n, i, j])
                b = np.float64(y[n, i, j])
                rows[i, j] = a
                rows[i, width + j] = b
                rows[i, 2 * width + j] = a * a + b * b
                rows[i, 3 * width + j] = (a - b) * (a - b)
        totals[:] = 0.0
        for i in range(height - 10):
            for j in range(4 * width):
                column[j] = (
                    W5 * rows[i + 5, j]
                    + W4 * (rows[i + 4, j] + rows[i + 6, j])
                    + W3 * (rows[i + 3, j] + rows[i + 7, j])
                    + W2 * (rows[i + 2, j] + rows[i + 8, j])
                    + W1 * (rows[i + 1, j] + rows[i + 9, j])
                    + W0 * (rows[i, j] + rows[i + 10, j])
                )
            for j in range(4 * width - 10):
                mean[j] = (
                    W5 * column[j + 5]
                    + W4 * (column[j + 4] + column[j + 6])
                    + W3 * (column[j + 3] + column[j + 7])
                    + W2 * (column[j + 2] + column[j + 8])
                    + W1 * (column[j + 1] + column[j + 9])
                    + W0 * (column[j] + column[j + 10])
                )
            for j in range(width - 10):
                a = mean[j]
                b = mean[width + j]
                squared_means = a * a + b * b
                difference = (a - b) * (a - b)
                luminance = 1.0 - difference / (squared_means + C1)
                structure = 1.0 - (mean[3 * width + j] - difference) / (mean[2 * width + j] - squared_means + C2)
                energy = mean[2 * width + j]
                totals[0, j] += luminance * structure
                totals[1, j] += energy * luminance * max(structure, 0.0)
                totals[2, j] += energy
        for k in range(3):
            summed = 0.0
            for j in range(width - 10):
                summed += totals[k, j]
            means[n, k] = summed / ((height - 10) * (width - 10))
