"""What black and real attempts score in the digit metrics: Moving MNIST test clips, 10→10. And what the metrics cost.

python benchmarks/digit_metrics.py --output docs/metrics.md
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import numpy as np
import torch
from conventions import BATCH, kept_predictions, show
from scipy.ndimage import gaussian_filter
from tabulate import tabulate
from vpbench_movingmnist import digits, vpbench_metrics
from vpbench_movingmnist.dataset import MovingMNIST
from vpbench_movingmnist.generator import render

from vpbench import Clips, Scored

START, END = "<!-- digit metrics: python benchmarks/digit_metrics.py -->", "<!-- /digit metrics -->"
CONTEXT, HORIZON = 10, 10
SPECS = {spec.name: spec for spec in vpbench_metrics()}


def target_rows(clips: int) -> Clips:
    """The truth of the target frames, as an evaluation gives it to metrics."""
    return MovingMNIST().clips("test", range(clips), np.tile(np.arange(CONTEXT, float(CONTEXT + HORIZON)), (clips, 1)))


def drawn(numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    return render(digits.images()[numbers], positions, size=64).astype(np.float32) / 255


def aside(positions: np.ndarray, pixels: int) -> np.ndarray:
    """All digits moved along x, those near the right wall to the left."""
    moved = np.floor(positions)
    moved[..., 1] += np.where(moved[..., 1] + pixels > 36, -pixels, pixels)
    return moved


def shown(
    predictions: dict[str, np.ndarray], target: np.ndarray, truth: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Predictions, the better ones first, those that show nothing of the truth and worse ones last."""
    numbers, positions = truth["digits"], truth["positions"]
    ceilings = {f"`{name}`": predictions[name] for name in ("bayes-sample", "bayes") if name in predictions}
    return {
        "the truth": target,
        "a tenth of the contrast": target / 10,
        "blurred, σ 1.1": predictions["blurred truth"],
        "blurred, σ 3": gaussian_filter(target, sigma=(0, 0, 0, 3, 3)),
        "1 px aside": drawn(numbers, aside(positions, 1)),
        "4 px aside": drawn(numbers, aside(positions, 4)),
        "other digits, in place": drawn(np.roll(numbers, 1, axis=0), positions),
        "one digit missing": drawn(numbers[:, :1], positions[:, :, :1]),
        **ceilings,
        "`latentode`": predictions["latentode"],
        "`copy-last`": predictions["copy-last"],
        "another clip": np.roll(target, 1, axis=0),
        "noise": np.random.default_rng(0).random(target.shape, dtype=np.float32),
        "grey .2": np.full_like(target, 0.2),
        "`black`": predictions["black"],
        "in the corners furthest off": drawn(numbers, np.where(positions < 18, 36.0, 0.0)),
    }


def measured(predicted: np.ndarray, target: np.ndarray, truth: dict[str, np.ndarray]) -> tuple[dict[str, float], float]:
    """The score of each metric, and the CPU seconds that all took."""
    values: dict[str, list[np.ndarray]] = {}
    start = time.process_time()
    for first in range(0, len(target), BATCH):
        rows = slice(first, first + BATCH)
        scored = Scored(
            predicted=torch.from_numpy(np.ascontiguousarray(predicted[rows])).clamp(0, 1),
            target=torch.from_numpy(target[rows]),
            truth={name: value[rows] for name, value in truth.items()},
        )
        done: set[str] = set()
        for spec in SPECS.values():
            if not done >= set(spec.statistics):
                with torch.inference_mode():
                    for name, each in spec.load()(None).statistics(scored).items():
                        values.setdefault(name, []).append(each.numpy())
                done |= set(spec.statistics)
    spent = time.process_time() - start
    means = {name: np.concatenate(parts).mean() for name, parts in values.items()}
    return {name: float(spec.load()(None).score(means)) for name, spec in SPECS.items()}, spent


@click.command(help=__doc__)
@click.option("--clips", default=100, show_default=True, help="Clips of the test split.")
@click.option("--output", type=click.Path(path_type=Path), help="Markdown file to renew between its markers.")
def main(clips: int, output: Path | None) -> None:
    torch.set_num_threads(1)
    truth = dict(target_rows(clips).truth)
    with tempfile.TemporaryDirectory() as folder:
        predictions, target = kept_predictions(clips, Path(folder))
        for name in ("bayes-sample", "bayes"):
            for path in Path(folder).glob(f"moving-mnist/{name}/extrapolate-{CONTEXT}-{HORIZON}-*.predictions.npz"):
                with np.load(path) as kept:
                    predictions[name] = kept["predicted"]
    measured(target, target, truth)  # compiles
    rows, spent = [], 0.0
    for what, predicted in shown(predictions, target, truth).items():
        scores, seconds = measured(predicted, target, truth)
        rows.append([what, *(f"{scores[name]:.{1 if spec.unit else 3}f}" for name, spec in SPECS.items())])
        spent += seconds
    frames = len(rows) * clips * HORIZON
    click.echo(f"{1e3 * spent / frames:.2f} ms of CPU per frame, all three metrics, one thread, {frames} frames")
    headers = ["", *(f"`{name}`{' ↑' if spec.higher_is_better else ' ↓'}" for name, spec in SPECS.items())]
    text = tabulate(rows, headers, tablefmt="pipe", colalign=["left", *["right"] * len(SPECS)], disable_numparse=True)
    show(text, output, START, END)


if __name__ == "__main__":
    main()
