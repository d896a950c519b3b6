"""SSIM of many frames: the loop over scikit-image a user would write, next to what vpbench-metrics does.

All rows are timed in one run on the same frames, in turns, so that a busy machine slows all of them; the ratios are the
result. scikit-image runs on one thread whatever `--threads` says. Differences are to scikit-image in float64.

    python benchmarks/metrics_ssim.py --threads 2
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version

import click
import numpy as np
import torch
from skimage.metrics import structural_similarity
from tabulate import tabulate
from vpbench_metrics.convention_statistics import UNIFORM_7_RANGE_2
from vpbench_metrics.ssim_cpu import ssim_cpu
from vpbench_metrics.ssim_torch import ssim_torch

from vpbench.device import describe


def clips(frames: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A noisy prediction and a sparse truth, float32 (N, size, size) in [0, 1]."""
    rng = np.random.default_rng(0)
    target = np.zeros((frames, size, size), dtype=np.float32)
    for frame in target:
        top, left = rng.integers(size // 2, size=2)
        frame[top : top + size // 3, left : left + size // 6] = rng.uniform(0.6, 1)
    noise = rng.normal(0, 0.1, target.shape)
    return np.clip(target + noise, 0, 1).astype(np.float32), target


def scikit_image(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.array(
        [
            structural_similarity(
                x, y, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, K1=0.01, K2=0.03
            )
            for x, y in zip(predicted, target, strict=True)
        ]
    )


def scikit_image_uniform(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """As the tables of OpenSTL have it."""
    return np.array([structural_similarity(x, y, data_range=2.0) for x, y in zip(predicted, target, strict=True)])


def processor() -> str:
    """What the tables were timed on."""
    return f"{describe(torch.device('cpu'))['cpu']}, {os.cpu_count()} CPUs"


@click.command(help=__doc__)
@click.option("--frames", default=512, show_default=True, help="Frames per repetition.")
@click.option("--size", default=64, show_default=True, help="Side of a frame, pixels.")
@click.option("--threads", default=1, show_default=True, help="Threads of the kernel and of torch.")
@click.option("--repeats", default=7, show_default=True, help="Repetitions; the fastest of each row counts.")
def main(frames: int, size: int, threads: int, repeats: int) -> None:
    torch.set_num_threads(threads)
    predicted, target = clips(frames, size)
    x, y = torch.from_numpy(predicted), torch.from_numpy(target)

    rows: dict[str, Callable[[], np.ndarray]] = {
        "scikit-image loop, float32": lambda: scikit_image(predicted, target),
        "scikit-image loop, float64": lambda: scikit_image(predicted.astype(np.float64), target.astype(np.float64)),
        "vpbench kernel (numba)": lambda: ssim_cpu(predicted, target, threads=threads),
        "vpbench torch path on the CPU": lambda: ssim_torch(x, y).numpy(),
        "uniform 7x7: scikit-image loop, float64": lambda: scikit_image_uniform(
            predicted.astype(np.float64), target.astype(np.float64)
        ),
        "uniform 7x7: vpbench torch path on the CPU": lambda: ssim_torch(x, y, UNIFORM_7_RANGE_2).numpy(),
    }
    if torch.cuda.is_available():
        x_cuda, y_cuda = x.cuda(), y.cuda()
        rows[f"vpbench torch path on {torch.cuda.get_device_name()}"] = lambda: ssim_torch(x_cuda, y_cuda).cpu().numpy()

    window = {name: "uniform 7x7: " if name.startswith("uniform") else "" for name in rows}
    exact = {each: rows[f"{each}scikit-image loop, float64"]() for each in set(window.values())}
    differences = {name: np.abs(row() - exact[window[name]]).max() for name, row in rows.items()}  # compiles, too
    seconds = dict.fromkeys(rows, float("inf"))
    for _ in range(repeats):
        for name, row in rows.items():
            start = time.perf_counter()
            row()
            seconds[name] = min(seconds[name], time.perf_counter() - start)

    baseline = {each: seconds[f"{each}scikit-image loop, float64"] for each in exact}
    table = [
        (name, f"{1e6 * taken / frames:.1f}", f"{baseline[window[name]] / taken:.2f}", f"{differences[name]:.1e}")
        for name, taken in seconds.items()
    ]
    packages = ("numpy", "scikit-image", "numba", "torch")
    click.echo(f"{frames} frames of {size}x{size}, {threads} thread(s), best of {repeats}; {processor()}")
    click.echo(", ".join([f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)]))
    click.echo(tabulate(table, headers=["", "µs/frame", "times as fast", "max difference"], disable_numparse=True))


if __name__ == "__main__":
    main()
