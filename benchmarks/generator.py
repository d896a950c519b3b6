"""Frames per second of the Moving MNIST generator, beside the plain slice loop that others use, in one run.

python benchmarks/generator.py
"""

import math
import os
import platform
import time

import numpy as np
from vpbench_movingmnist import digits
from vpbench_movingmnist.dataset import MovingMNIST

CLIPS, FRAMES, ROUNDS = 32, 100, 7


def slice_loop(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The published generator as it is usually written: Python loops over frames and digits, numpy slices."""
    frames = np.zeros((FRAMES, 64, 64), np.uint8)
    for image in images:
        x, y = random.random(2)
        angle = 2 * math.pi * random.random()
        vx, vy = math.cos(angle), math.sin(angle)
        for frame in frames:
            y += 0.1 * vy
            x += 0.1 * vx
            if x <= 0 or x >= 1:
                x, vx = min(max(x, 0.0), 1.0), -vx
            if y <= 0 or y >= 1:
                y, vy = min(max(y, 0.0), 1.0), -vy
            top, left = int(36 * y), int(36 * x)
            window = frame[top : top + 28, left : left + 28]
            np.maximum(window, image, out=window)
    return frames


def main() -> None:
    dataset = MovingMNIST()
    times = np.tile(np.arange(float(FRAMES)), (CLIPS, 1))
    pool = digits.images()
    dataset.clips("train", range(CLIPS), times)  # compiled once, then cached
    ours, loop = [], []
    for round_ in range(ROUNDS):
        ids = range(round_ * CLIPS, (round_ + 1) * CLIPS)
        start = time.perf_counter()
        dataset.clips("train", ids, times)
        ours.append(time.perf_counter() - start)
        random = np.random.default_rng(round_)
        start = time.perf_counter()
        for _ in range(CLIPS):
            slice_loop(pool[random.integers(0, 60000, 2)], random)
        loop.append(time.perf_counter() - start)
    frames = CLIPS * FRAMES
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    print(f"{versions}, {os.cpu_count()} cores; best of {ROUNDS}, interleaved\n")
    print("| generator | frames/s | µs/frame | ratio |\n|---|---|---|---|")
    for name, spent in (("slice loop", min(loop)), ("vpbench-movingmnist", min(ours))):
        print(f"| {name} | {frames / spent:,.0f} | {1e6 * spent / frames:.1f} | {min(loop) / spent:.1f} |")


if __name__ == "__main__":
    main()
