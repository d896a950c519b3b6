"""Intervals and ranks: `scipy.stats.bootstrap`, one call a metric, next to `vpbench.stats`.

Both take percentile intervals of the same ten metrics of the same clips with the same number of resamples: six means,
two pooled PSNRs and two ratios of means. "cold" is the first interval of a number of clips, which draws the resamples;
"warm" reuses them, as a board does for all of its rows. All rows are timed in one run, in turns, so that a busy machine
slows all of them; the ratios are the result.

    python benchmarks/intervals.py
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version

import click
import numpy as np
import torch
from scipy.stats import bootstrap
from tabulate import tabulate

from vpbench.device import describe
from vpbench.stats import ScoreFunction, bootstrap_weights, interval, ranks

Means = Mapping[str, np.ndarray]


def mean(means: Means) -> np.ndarray:
    return means["x"]


def pooled_psnr(means: Means) -> np.ndarray:
    return -10 * np.log10(means["x"])


def ratio(means: Means) -> np.ndarray:
    return means["x"] / means["y"]


SCORES = [mean] * 6 + [pooled_psnr] * 2 + [ratio] * 2


def clips_of(n: int, seed: int) -> dict[str, np.ndarray]:
    """Statistics of n clips, skewed as squared errors are."""
    rng = np.random.default_rng(seed)
    x = rng.lognormal(-3, 0.5, n)
    return {"x": x, "y": x + rng.lognormal(-3, 0.5, n)}


def ours(n: int, draws: int, *, cold: bool) -> list[tuple[float, float]]:
    if cold:
        bootstrap_weights.cache_clear()
    return [
        interval(clips_of(n, index) if score is ratio else {"x": clips_of(n, index)["x"]}, score, draws=draws)[1:]
        for index, score in enumerate(SCORES)
    ]


def score_of_samples(score: ScoreFunction, names: tuple[str, ...], *samples: np.ndarray, axis: int) -> np.ndarray:
    return score({name: sample.mean(axis=axis) for name, sample in zip(names, samples, strict=True)})


def scipys(n: int, draws: int) -> list[tuple[float, float]]:
    found = []
    for index, score in enumerate(SCORES):
        statistics = clips_of(n, index)
        names = ("x", "y") if score is ratio else ("x",)

        limits = bootstrap(
            tuple(statistics[name] for name in names),
            partial(score_of_samples, score, names),
            n_resamples=draws,
            paired=True,
            vectorized=True,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        found.append((float(limits.low), float(limits.high)))
    return found


@click.command(help=__doc__)
@click.option("--clips", "sizes", multiple=True, type=int, default=(1000, 10_000), show_default=True)
@click.option("--draws", default=2000, show_default=True, help="Resamples of an interval.")
@click.option("--rows", default=50, show_default=True, help="Rows that are ranked.")
@click.option("--repeats", default=3, show_default=True, help="Repetitions; the fastest of each row counts.")
def main(sizes: tuple[int, ...], draws: int, rows: int, repeats: int) -> None:
    click.echo(f"{draws} draws, best of {repeats}; {describe(torch.device('cpu'))['cpu']}, {os.cpu_count()} CPUs")
    click.echo(f"python {platform.python_version()}, numpy {version('numpy')}, scipy {version('scipy')}")
    table = []
    for n in sizes:
        calls: dict[str, Callable[[], list[tuple[float, float]]]] = {
            "scipy.stats.bootstrap": partial(scipys, n, draws),
            "vpbench, cold": partial(ours, n, draws, cold=True),
            "vpbench, warm": partial(ours, n, draws, cold=False),
        }
        reference = np.array(calls["scipy.stats.bootstrap"]())
        width = reference[:, 1] - reference[:, 0]
        seconds = dict.fromkeys(calls, float("inf"))
        farthest = dict.fromkeys(calls, 0.0)
        for _ in range(repeats):
            for name, call in calls.items():
                start = time.perf_counter()
                found = np.array(call())
                seconds[name] = min(seconds[name], time.perf_counter() - start)
                farthest[name] = float((np.abs(found - reference) / width[:, None]).max())
        table += [
            (
                f"{n} clips, 10 metrics",
                name,
                f"{1e3 * taken:.0f}",
                f"{seconds['scipy.stats.bootstrap'] / taken:.1f}",
                f"{100 * farthest[name]:.0f} %",
            )
            for name, taken in seconds.items()
        ]
        bootstrap_weights.cache_clear()
    board = [{"x": clips_of(sizes[0], index)["x"] * (1 + 0.02 * index)} for index in range(rows)]
    taken = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        ranks(board, pooled_psnr, higher_is_better=True)
        taken = min(taken, time.perf_counter() - start)
    table.append((f"{sizes[0]} clips, ranks of {rows} rows", "vpbench", f"{1e3 * taken:.0f}", "", ""))
    click.echo(
        tabulate(
            table, headers=["", "", "ms", "times as fast", "limits differ by, of the width"], disable_numparse=True
        )
    )


if __name__ == "__main__":
    main()
