"""What black, grey, specks and real attempts score in the metrics of the foreground: Moving MNIST test clips, 10→10.

python benchmarks/foreground.py --output docs/metrics.md
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np
from conventions import kept_predictions, score, show
from tabulate import tabulate
from vpbench_metrics import vpbench_metrics

START, END = "<!-- foreground: python benchmarks/foreground.py -->", "<!-- /foreground -->"

METRICS = {"mse": 4, "ssim": 3, "foreground-mse": 3, "foreground-ssim": 3, "iou": 3, "ink-mass": 2}  # name: digits


def shown(predictions: dict[str, np.ndarray], target: np.ndarray) -> dict[str, np.ndarray]:
    """Predictions that show something, and after them those that show nothing of the truth."""
    specks = np.zeros_like(target)
    specks[..., 2::5, 2::5] = 0.11
    return {
        "the truth": target,
        "blurred, σ 1.1": predictions["blurred truth"],
        "1 px aside": np.roll(target, 1, axis=-1),
        "4 px aside": np.roll(target, 4, axis=-1),
        "half the contrast": target / 2,
        "`latentode`": predictions["latentode"],
        "`copy-last`": predictions["copy-last"],
        "`black`": predictions["black"],
        "grey .11": np.full_like(target, 0.11),
        "specks of .11, 5 px apart": specks,
        "white": np.ones_like(target),
        "the truth inverted": 1 - target,
        "noise": np.random.default_rng(0).random(target.shape, dtype=np.float32),
    }


@click.command(help=__doc__)
@click.option("--clips", default=100, show_default=True, help="Clips of the test split.")
@click.option("--output", type=click.Path(path_type=Path), help="Markdown file to renew between its markers.")
def main(clips: int, output: Path | None) -> None:
    specs = {spec.name: spec for spec in vpbench_metrics()}
    with tempfile.TemporaryDirectory() as folder:
        predictions, target = kept_predictions(clips, Path(folder))
    rows = [
        [what, *(f"{score(specs[name], predicted, target):.{digits}f}" for name, digits in METRICS.items())]
        for what, predicted in shown(predictions, target).items()
    ]
    arrows = [
        "" if specs[name].ideal is not None else " ↑" if specs[name].higher_is_better else " ↓" for name in METRICS
    ]
    headers = ["", *(f"`{name}`{arrow}" for name, arrow in zip(METRICS, arrows, strict=True))]
    alignment = ["left", *["right"] * len(METRICS)]
    text = tabulate(rows, headers=headers, tablefmt="pipe", colalign=alignment, disable_numparse=True)
    show(text, output, START, END)


if __name__ == "__main__":
    main()
