"""How often intervals cover, tests alarm falsely and find what is there: simulation, as docs/statistics.md shows it.

Test sets are drawn from distributions whose true score is known; everything goes through the public functions of
`vpbench.stats`, as boards and `vpbench compare` call them. tests/test_coverage.py holds the same cases to their values
with fewer repetitions.

    python benchmarks/interval_coverage.py --repetitions 4000
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import click
import numpy as np
from scipy.special import stdtrit
from tabulate import tabulate

from vpbench.stats import (
    bootstrap_weights,
    detectable_difference,
    interval,
    paired_test,
    ranks,
    seeds_detectable_difference,
    seeds_difference,
    seeds_interval,
)

Means = Mapping[str, np.ndarray]


class Share(NamedTuple):
    """What came out of a number of repetitions."""

    case: str
    nominal: float
    found: float
    repetitions: int

    @property
    def error(self) -> float:
        """One standard error of a share."""
        return math.sqrt(self.found * (1 - self.found) / self.repetitions)


def mean(means: Means) -> np.ndarray:
    return means["x"]


def pooled_psnr(means: Means) -> np.ndarray:
    return -10 * np.log10(means["x"])


def ratio(means: Means) -> np.ndarray:
    return means["x"] / means["y"]


# ---------------------------------------------------------------------------------------------------- one seed: clips


def mean_coverage(n: int, repetitions: int, *, sigma: float) -> Share:
    """Of the mean of lognormal errors; skewness is 1.8 at sigma .5 and 6.2 at sigma 1."""
    rng = np.random.default_rng([1, n])
    truth = math.exp(sigma**2 / 2)
    covered = [_covers(interval({"x": rng.lognormal(0, sigma, n)}, mean), truth) for _ in range(repetitions)]
    return Share(f"mean, lognormal, sigma {sigma:g}, n = {n}", 0.95, float(np.mean(covered)), repetitions)


def psnr_coverage(n: int, repetitions: int, *, sigma: float = 0.5) -> Share:
    """Of the pooled PSNR of such errors."""
    rng = np.random.default_rng([2, n])
    truth = -10 * (sigma**2 / 2 - 3) / math.log(10)
    covered = [_covers(interval({"x": rng.lognormal(-3, sigma, n)}, pooled_psnr), truth) for _ in range(repetitions)]
    return Share(f"pooled PSNR, sigma {sigma:g}, n = {n}", 0.95, float(np.mean(covered)), repetitions)


def ratio_coverage(n: int, repetitions: int) -> Share:
    """Of a ratio of two means, as IoU is: the intersection is a share of each clip's union, beta with mean 2/5."""
    rng = np.random.default_rng([3, n])
    covered = []
    for _ in range(repetitions):
        union = rng.lognormal(5, 0.4, n)
        covered.append(_covers(interval({"x": union * rng.beta(2, 3, n), "y": union}, ratio), 0.4))
    return Share(f"ratio of means, n = {n}", 0.95, float(np.mean(covered)), repetitions)


def _covers(limits: Sequence[float], truth: float) -> bool:
    return limits[1] <= truth <= limits[2]


# ------------------------------------------------------------------------------------------------- several seeds: both

#: Spread of one seed's score, in times the standard error that the clips alone give.
SEED_SPREADS = {"none": 0.0, "as the clips": 1.0, "5 times the clips": 5.0}


def trainings(rng: np.random.Generator, seeds: int, n: int, spread: float, *, level: float = 0.0) -> list[Means]:
    """Squared errors of several trainings of one method on the same n clips; the expected PSNR is -10 level / ln 10.

    A clip is as hard for every seed (sigma .4), a seed is as good on every clip (sigma so that its share of the PSNR is
    `spread` times that of the clips), and the rest is of the pair (sigma .2).
    """
    clip, pair = 0.4, 0.2
    total = clip**2 + pair**2
    alone = math.sqrt(math.expm1(total) / n)  # of log mean error, to first order
    hard = rng.normal(-total / 2, clip, n)
    return [{"x": np.exp(level + hard + rng.normal(0, spread * alone) + rng.normal(0, pair, n))} for _ in range(seeds)]


def seeds_coverage(seeds: int, spread: str, repetitions: int, *, n: int = 200) -> dict[str, Share]:
    """Of the pooled PSNR to expect of a method: ours, and what one might use instead."""
    rng = np.random.default_rng([4, seeds, *spread.encode()])
    names = ("seeds_interval", "clips alone", "percentile, seeds and clips", "Welch and Satterthwaite")
    covered: dict[str, list[bool]] = {name: [] for name in names}
    weights, seed_weights = bootstrap_weights(n), bootstrap_weights(seeds, seed=1) / seeds
    for _ in range(repetitions):
        rows = trainings(rng, seeds, n, SEED_SPREADS[spread])
        covered["seeds_interval"].append(_covers(seeds_interval(rows, pooled_psnr), 0.0))
        scores = pooled_psnr({"x": weights @ np.stack([row["x"] for row in rows], axis=1) / n})
        for name, resampled in (
            ("clips alone", scores.mean(axis=1)),
            ("percentile, seeds and clips", (scores * seed_weights).sum(axis=1)),
        ):
            low, high = np.quantile(resampled, [0.025, 0.975])
            covered[name].append(bool(low <= 0.0 <= high))
        # The squared errors of both levels added, and t with as many degrees of freedom as their estimates suggest.
        own = [float(pooled_psnr({"x": row["x"].mean()})) for row in rows]
        parts, freedoms = np.array([np.var(own, ddof=1) / seeds, scores.mean(axis=1).var()]), (seeds - 1, n - 1)
        freedom = parts.sum() ** 2 / (parts**2 / freedoms).sum()
        half = stdtrit(freedom, 0.975) * math.sqrt(parts.sum())
        covered["Welch and Satterthwaite"].append(bool(abs(np.mean(own)) <= half))
    case = f"{seeds} seeds, spread of seeds: {spread}"
    return {name: Share(case, 0.95, float(np.mean(found)), repetitions) for name, found in covered.items()}


# ---------------------------------------------------------------------------------------------------------------- tests


def pair_of_rows(rng: np.random.Generator, n: int, *, better: float = 0.0) -> tuple[Means, Means]:
    """Two models on the same clips; the pooled PSNR of the first is higher by `better` dB."""
    hard = rng.normal(-3, 0.4, n)
    rows = [{"x": np.exp(hard + rng.normal(0, 0.2, n))} for _ in range(2)]
    return {"x": rows[0]["x"] * 10 ** (-better / 10)}, rows[1]


def size(n: int, repetitions: int) -> Share:
    """How often `paired_test` finds a difference where there is none."""
    rng = np.random.default_rng([5, n])
    alarms = [paired_test(*pair_of_rows(rng, n), pooled_psnr).p < 0.05 for _ in range(repetitions)]
    return Share(f"paired_test, no difference, n = {n}", 0.05, float(np.mean(alarms)), repetitions)


def family_wise(rows: int, repetitions: int, *, n: int = 100) -> Share:
    """How often `ranks` places any of equal rows above another."""
    rng = np.random.default_rng([6, rows])
    alarms = []
    for _ in range(repetitions):
        hard = rng.normal(-3, 0.4, n)
        board = [{"x": np.exp(hard + rng.normal(0, 0.2, n))} for _ in range(rows)]
        alarms.append(bool(ranks(board, pooled_psnr, higher_is_better=True).better.any()))
    return Share(f"ranks, {rows} equal rows, n = {n}", 0.05, float(np.mean(alarms)), repetitions)


def seeds_size(seeds: tuple[int, int], spread: str, repetitions: int, *, n: int = 200) -> Share:
    """How often `seeds_difference` finds a difference between methods that are equal on average."""
    rng = np.random.default_rng([7, *seeds, *spread.encode()])
    alarms = []
    for _ in range(repetitions):
        a, b = (trainings(rng, count, n, SEED_SPREADS[spread]) for count in seeds)
        alarms.append(seeds_difference(a, b, pooled_psnr).p < 0.05)
    case = f"seeds_difference, {seeds[0]} and {seeds[1]} seeds, spread: {spread}"
    return Share(case, 0.05, float(np.mean(alarms)), repetitions)


def power(n: int, repetitions: int) -> Share:
    """How often `paired_test` finds a difference of the size that `detectable_difference` gives."""
    rng = np.random.default_rng([8, n])
    told = np.median([detectable_difference(*pair_of_rows(rng, n), pooled_psnr) for _ in range(1000)])
    found = [paired_test(*pair_of_rows(rng, n, better=float(told)), pooled_psnr).p < 0.05 for _ in range(repetitions)]
    return Share(f"paired_test at the detectable difference, n = {n}", 0.8, float(np.mean(found)), repetitions)


def seeds_power(seeds: int, repetitions: int, *, n: int = 200) -> Share:
    """The same of methods with several seeds each, whose true spread a great many seeds tell."""
    rng = np.random.default_rng([9, seeds])
    told = []
    for _ in range(400):
        # Of few seeds the spread is a guess: the root mean square of many guesses is what the formula wants.
        a, b = (trainings(rng, seeds, n, 1.0) for _ in range(2))
        told.append(seeds_detectable_difference(a, b, pooled_psnr))
    true = float(np.sqrt(np.mean(np.square(told))))
    found = []
    for _ in range(repetitions):
        a = trainings(rng, seeds, n, 1.0, level=-true * math.log(10) / 10)
        found.append(seeds_difference(a, trainings(rng, seeds, n, 1.0), pooled_psnr).p < 0.05)
    case = f"seeds_difference at the detectable difference, {seeds} seeds each"
    return Share(case, 0.8, float(np.mean(found)), repetitions)


# --------------------------------------------------------------------------------------------------------------- tables


def of_clips(repetitions: int) -> Iterator[Share]:
    for n in (10, 20, 50, 200, 1000):
        yield mean_coverage(n, repetitions, sigma=0.5)
    for n in (50, 200, 1000):
        yield mean_coverage(n, repetitions, sigma=1.0)
    for n in (50, 200, 1000):
        yield psnr_coverage(n, repetitions)
    for n in (50, 200, 1000):
        yield ratio_coverage(n, repetitions)


def of_tests(repetitions: int) -> Iterator[Share]:
    for n in (10, 20, 50, 200):
        yield size(n, repetitions)
    for rows in (3, 5, 10):
        yield family_wise(rows, repetitions // 2)
    for seeds in ((2, 2), (2, 5), (3, 3), (5, 5)):
        for spread in SEED_SPREADS:
            yield seeds_size(seeds, spread, repetitions)
    for n in (20, 50, 200):
        yield power(n, repetitions)
    for seeds_each in (2, 3, 5):
        yield seeds_power(seeds_each, repetitions)


@click.command(help=__doc__)
@click.option("--repetitions", default=4000, show_default=True, help="Test sets drawn for each line.")
def main(repetitions: int) -> None:
    def percent(share: Share) -> str:
        return f"{100 * share.found:.1f} ±{100 * share.error:.1f}"

    for title, shares in (("Coverage", of_clips(repetitions)), ("Tests", of_tests(repetitions))):
        lines = [(share.case, f"{100 * share.nominal:.0f}", percent(share)) for share in shares]
        click.echo(tabulate(lines, headers=[title, "nominal %", "found %"], tablefmt="github", disable_numparse=True))
        click.echo()
    table = []
    for seeds in (2, 3, 5):
        for spread in SEED_SPREADS:
            found = seeds_coverage(seeds, spread, repetitions)
            table.append((str(seeds), spread, *map(percent, found.values())))
            names = list(found)
    click.echo(tabulate(table, headers=["seeds", "spread of seeds", *names], tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
