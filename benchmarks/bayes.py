"""The ceilings of Moving MNIST on test clips: scores with intervals, how well calibrated, how accurate, how fast.

python benchmarks/bayes.py [clips, 1000 by default]
"""

import os
import platform
import sys
import time

import numba
import numpy as np
import torch
from vpbench_metrics.ssim import ssim
from vpbench_movingmnist.bayes import Bayes, BayesSample
from vpbench_movingmnist.bayes_image import mean_overlay
from vpbench_movingmnist.bayes_posterior import DIRECTIONS, condition, forecast
from vpbench_movingmnist.dataset import MovingMNIST
from vpbench_movingmnist.digits import images

from vpbench import stats
from vpbench.batches import in_parts, read_batch

#: context -> horizons; the longest is predicted, and the others are its beginnings
PROTOCOLS = {10: (10, 90), 2: (18, 38)}
BATCH = 50
PIXELS = 64 * 64
FINE = 16 * DIRECTIONS  #: directions of the reference that the quadrature is held against
CONVERGENCE_CLIPS = 30

DATASET = MovingMNIST()


def main() -> None:
    clips = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, numba {numba.__version__}"
    print(f"{versions}; {torch.get_num_threads()} threads; first {clips} test clips\n")
    scores(clips)
    calibration(clips)
    convergence(min(clips, CONVERGENCE_CLIPS))


def scores(clips: int) -> None:
    """What each ceiling scores under each protocol."""
    print("| | model | MSE per frame | pooled PSNR, dB | PSNR per frame, dB | SSIM | frames/s |\n" + "|---" * 7 + "|")
    for context, horizons in PROTOCOLS.items():
        for model in (Bayes, BayesSample):
            per_step, speed = measured(model, context, max(horizons), clips)
            for horizon in horizons:
                means = {name: stats.mean_over_steps(values[:, :horizon]) for name, values in per_step.items()}
                cells = [
                    shown(stats.interval(means, lambda m: m["squared error"]), 2),
                    shown(stats.interval(means, lambda m: 10 * np.log10(PIXELS / m["squared error"])), 2),
                    shown(stats.interval(means, lambda m: m["psnr"]), 2),
                    shown(stats.interval(means, lambda m: m["ssim"]), 4),
                ]
                name = f"{context}→{horizon} | {model.name}"
                print(f"| {name} | {' | '.join(cells)} | {speed:.0f} |", flush=True)


def measured(
    model: type[Bayes] | type[BayesSample], context: int, horizon: int, clips: int
) -> tuple[dict[str, np.ndarray], float]:
    """Statistics per clip and step, float64 (clips, horizon), and frames predicted per second."""
    ceiling = model(None, frame_shape=(1, 64, 64), context_length=context)
    found: dict[str, list[np.ndarray]] = {"squared error": [], "psnr": [], "ssim": []}
    spent = 0.0
    for ids in in_parts(range(clips), BATCH):
        steps = torch.arange(1, horizon + 1).expand(len(ids), -1)
        per_frame = frozenset({"positions", "velocities"})
        batch = read_batch(DATASET, "test", ids, context, steps, torch.device("cpu"), 0, per_frame)
        if not spent:  # compiled once, then cached
            ceiling.predict_knowing(batch.context, batch.target_times, truth=batch.context_truth)
        start = time.perf_counter()
        predicted = ceiling.predict_knowing(batch.context, batch.target_times, truth=batch.context_truth)
        spent += time.perf_counter() - start
        error = (predicted.double() - batch.target.double()).square().sum(dim=(2, 3, 4)).numpy()
        found["squared error"].append(error)
        with np.errstate(divide="ignore"):  # perfect: infinity, then the cap
            found["psnr"].append(np.minimum(10 * np.log10(PIXELS / error), 100.0))
        found["ssim"].append(ssim(predicted, batch.target).double().numpy())
    return {name: np.concatenate(values) for name, values in found.items()}, clips * horizon / spent


def calibration(clips: int) -> None:
    """The probability of where the digit really goes is on average what it should be: E[P(true)] = E[sum of P²]."""
    print("\n| | mean of P(true place) | mean of ΣP² | difference |\n|---|---|---|---|")
    for context, horizons in PROTOCOLS.items():
        for horizon in horizons:
            times = np.tile(np.arange(float(context + horizon)), (clips, 1))
            places = DATASET.clips("test", range(clips), times).truth["positions"].astype(np.int64)
            moves = np.arange(context + 1, context + horizon + 1)
            of_true, squared = np.zeros((2, clips))
            for clip in range(clips):
                for digit in range(places.shape[2]):
                    maps = forecast(condition(places[clip, :context, digit], canvas=36), moves)
                    y, x = places[clip, context:, digit].T
                    of_true[clip] += maps[np.arange(horizon), y, x].mean() / places.shape[2]
                    squared[clip] += np.square(maps).sum(axis=(1, 2)).mean() / places.shape[2]
            difference = stats.interval({"p": of_true - squared}, lambda m: m["p"])
            print(
                f"| {context}→{horizon} | {of_true.mean():.4f} | {squared.mean():.4f} | {shown(difference, 4)} |",
                flush=True,
            )


def convergence(clips: int) -> None:
    """What the quadrature costs: squared error of its mean image against one with many more directions."""
    print(f"\nAgainst {FINE} directions, {clips} clips:\n")
    print("| | directions | squared error of the mean image, per frame | largest of a frame |\n|---|---|---|---|")
    for context, horizons in PROTOCOLS.items():
        horizon = max(horizons)
        fine = mean_images(context, horizon, clips, FINE)
        for directions in (DIRECTIONS // 4, DIRECTIONS // 2, DIRECTIONS, 2 * DIRECTIONS):
            error = np.square(mean_images(context, horizon, clips, directions) - fine).sum(axis=(2, 3))
            print(f"| {context}→{horizon} | {directions} | {error.mean():.1e} | {error.max():.1e} |", flush=True)


def mean_images(context: int, horizon: int, clips: int, directions: int) -> np.ndarray:
    """float64 (clips, horizon, 64, 64)."""
    read = DATASET.clips("test", range(clips), np.tile(np.arange(float(context)), (clips, 1)))
    places = read.truth["positions"].astype(np.int64)
    moves = np.arange(context + 1, context + horizon + 1)
    frames = []
    for clip, chosen in enumerate(read.truth["digits"]):
        posteriors = [condition(each, canvas=36, directions=directions) for each in places[clip].swapaxes(0, 1)]
        maps = np.stack([forecast(posterior, moves) for posterior in posteriors], axis=1)
        frames.append(mean_overlay(images()[chosen], maps).astype(np.float64))
    return np.stack(frames)


def shown(score: stats.Score, digits: int) -> str:
    return f"{score.value:.{digits}f} [{score.low:.{digits}f}, {score.high:.{digits}f}]"


if __name__ == "__main__":
    main()
