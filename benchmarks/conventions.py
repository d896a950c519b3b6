"""One prediction under all metric conventions: latentode with its bundled weights on test clips of Moving MNIST, 10→10.

Beside it the truth itself, blurred (Gaussian, sigma 1.1 px: about as sharp as the better published models), the last
context frame held still, and a black frame. Everything is measured from the predictions that `vpbench run` keeps.

    python benchmarks/conventions.py --output docs/metrics.md
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import click
import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from tabulate import tabulate
from vpbench_metrics import vpbench_metrics

from vpbench import MetricSpec, Scored

START, END = "<!-- conventions: python benchmarks/conventions.py -->", "<!-- /conventions -->"

#: Metrics that claim to be the same thing, by how their names end, in the order of the table.
KINDS = {
    "SSIM ↑": ("ssim",),
    "PSNR, dB ↑": ("psnr", "psnr-pooled"),
    "squared error ↓": ("mse", "mse-sum", "mse-seq", "rmse"),
    "absolute error ↓": ("mae", "mae-sum"),
}
TRIVIAL = ("copy-last", "black")
BATCH = 10


def kept_predictions(clips: int, results: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Raw predictions by name, and the truth, float32 (B, T, C, H, W), as a run keeps them."""
    command = ["run", "--model", "latentode", "--dataset", "moving-mnist", "--horizon", "10", "--metrics", "mse"]
    command += ["--clips", str(clips), "--keep-predictions", str(clips), "--results", str(results)]
    subprocess.run([sys.executable, "-c", "from vpbench.cli import main; main()", *command], check=True)
    predictions, target = {}, None
    for name in ("latentode", *TRIVIAL):
        (path,) = results.glob(f"moving-mnist/{name}/extrapolate-10-10-*.predictions.npz")
        with np.load(path) as kept:
            predictions[name], target = kept["predicted"], kept["target"]
    assert target is not None
    blurred = gaussian_filter(target, sigma=(0, 0, 0, 1.1, 1.1))
    return {"latentode": predictions.pop("latentode"), "blurred truth": blurred, **predictions}, target


def score(spec: MetricSpec, raw: np.ndarray, target: np.ndarray) -> float:
    """The score of all clips, a few at a time, as an evaluation takes it."""
    metric = spec.load()(None)
    parts = []
    for start in range(0, len(raw), BATCH):
        some = torch.from_numpy(raw[start : start + BATCH])
        scored = Scored(predicted=some.clamp(0, 1), target=torch.from_numpy(target[start : start + BATCH]), raw=some)
        parts.append(metric.statistics(scored))
    steps = target.shape[1] if spec.over_steps == "sum" else 1
    means = {name: torch.cat([part[name] for part in parts]).mean().numpy() * steps for name in spec.statistics}
    return float(metric.score(means))


def kind_of(spec: MetricSpec) -> str | None:
    """The kind of a metric; None for those that no convention has."""
    own = spec.name if spec.convention == "vpbench" else spec.name.removeprefix(f"{spec.convention}-")
    return next((kind for kind, names in KINDS.items() if own in names), None)


def written(kind: str, value: float) -> str:
    digits = {"SSIM ↑": 4, "PSNR, dB ↑": 2}.get(kind, 4 if value < 1 else 2)
    return f"{value:.{digits}f}"


def table(predictions: dict[str, np.ndarray], target: np.ndarray) -> str:
    """Markdown, the metrics of a kind together; in bold what beats the model without predicting anything."""
    by_kind = {kind: [spec for spec in vpbench_metrics() if kind_of(spec) == kind] for kind in KINDS}
    rows = []
    for kind, specs in by_kind.items():
        rows.append([f"**{kind}**", *[""] * len(predictions)])
        for spec in specs:
            values = [score(spec, raw, target) for raw in predictions.values()]
            sign = 1 if spec.higher_is_better else -1
            cells = [written(kind, each) for each in values]
            for place, name in enumerate(predictions):
                if name in TRIVIAL and sign * values[place] > sign * values[0]:
                    cells[place] = f"**{cells[place]}**"
            rows.append([f"`{spec.name}`", *cells])
    return tabulate(
        rows,
        headers=["", *predictions],
        tablefmt="pipe",
        colalign=["left", *["right"] * len(predictions)],
        disable_numparse=True,
    )


def show(text: str, output: Path | None, start: str, end: str) -> None:
    """Print a table, or put it into a file in place of what is between two markers."""
    if output is None:
        click.echo(text)
        return
    before, opened, after = output.read_text(encoding="utf-8").partition(start)
    _, closed, rest = after.partition(end)
    if not (opened and closed):
        raise click.UsageError(f"{output} has no markers {start} and {end}: put both where the table belongs")
    output.write_text(f"{before}{start}\n{text}\n{end}{rest}", encoding="utf-8")
    click.echo(f"table: {output}")


@click.command(help=__doc__)
@click.option("--clips", default=100, show_default=True, help="Clips of the test split.")
@click.option("--output", type=click.Path(path_type=Path), help="Markdown file to renew between its markers.")
def main(clips: int, output: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = table(*kept_predictions(clips, Path(folder)))
    show(text, output, START, END)


if __name__ == "__main__":
    main()
