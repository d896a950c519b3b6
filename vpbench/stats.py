"""Error bars and comparisons, from per-clip statistics alone.

One definition everywhere: a statistic is averaged over the steps of a clip, then over clips, and a metric's `score`
turns the mean statistics into a number. NaN means "not applicable": such steps, and clips with no other, are left out
of the mean. Clips are the sampling unit, so an interval says how the score moves with other test clips, for these
weights; it says nothing about other training seeds, unless several of them are given (`seeds_interval`).

Intervals and tests are percentile bootstraps over clips (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
chapters 13, 15, 16), corrected for many comparisons by Holm (A simple sequentially rejective multiple test procedure,
Scandinavian Journal of Statistics 6, 1979). All rows are resampled with the same draws, so comparing two is paired.

Limits: with few clips percentile intervals are too narrow (about 88 % instead of 95 % at 10 clips); heavy tails make it
worse. Clips are taken as independent. docs/statistics.md has the coverage that simulation finds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from .protocols import Score

#: `Metric.score`: mean statistics, arrays of any one shape, to scores of that shape.
ScoreFunction = Callable[[Mapping[str, np.ndarray]], np.ndarray]
#: Statistics by bare name ("squared_error").
Statistics = Mapping[str, np.ndarray]

DRAWS = 2000
ALPHA = 0.05
POWER = 0.8

#: Weights are made in blocks of about this many entries (16 MB), whatever the number of clips and draws.
_BLOCK = 2**21


class PairedDifference(NamedTuple):
    """Score of a minus score of b on the clips both have."""

    difference: float
    low: float
    high: float
    p: float  #: two-sided


class Ranking(NamedTuple):
    """What can be said about the order of R rows."""

    ranks: tuple[int | None, ...]  #: 1 + number of rows significantly better; None: the row has no score
    better: np.ndarray  #: bool (R, R): row i is significantly better than row j
    p: np.ndarray  #: float64 (R, R): adjusted two-sided p of each pair; NaN on the diagonal and for rows without score


# --------------------------------------------------------------------------------------------------------------- means


def mean_over_steps(values: np.ndarray) -> np.ndarray:
    """(n, T) to (n,) float64: the mean of each clip over the steps where it applies, NaN where there is none."""
    return _mean(np.asarray(values, dtype=np.float64), axis=1)


def mean_over_clips(values: np.ndarray) -> np.ndarray:
    """(n, ...) to (...) float64: the mean over the clips that have a value, NaN where none has."""
    return _mean(np.asarray(values, dtype=np.float64), axis=0)


def score_of(per_clip: Statistics, score: ScoreFunction) -> float:
    """The score of all clips, from {name: (n,)}."""
    with _quiet():
        return float(np.asarray(score({name: mean_over_clips(values)[None] for name, values in per_clip.items()}))[0])


def score_per_step(statistics: Statistics, score: ScoreFunction) -> tuple[np.ndarray, np.ndarray]:
    """Score of the mean statistics at each step and its standard error, float64 (T,) each, from {name: (n, T)}.

    The standard error is the jackknife's (Efron and Tibshirani 1993, chapter 11): scores without each clip in turn. It
    needs no derivative of the score, takes the correlation of several statistics into account, is the delta method to
    first order, and is exactly s / sqrt(n) where the score is a mean. NaN where fewer than two clips have a value, or
    where the score is not finite without one of them.
    """
    values, left_out, used = _leave_one_out(statistics, score)
    return values, _jackknife_stderr(left_out, used)


def _leave_one_out(statistics: Statistics, score: ScoreFunction) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (T,) of {name: (n, T)}, scores without each clip in turn (n, T), and which clips have a value (n, T)."""
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in statistics.items()}
    present = {name: ~np.isnan(values) for name, values in arrays.items()}
    filled = {name: np.where(present[name], values, 0.0) for name, values in arrays.items()}
    totals = {name: values.sum(axis=0) for name, values in filled.items()}
    counts = {name: mask.sum(axis=0) for name, mask in present.items()}
    with _quiet():
        values = np.asarray(score({name: totals[name] / counts[name] for name in arrays}), dtype=np.float64)
        without = {name: (totals[name] - filled[name]) / (counts[name] - present[name]) for name in arrays}
        left_out = np.asarray(score(without), dtype=np.float64)
    # Leaving out a clip that has nothing changes nothing.
    return values, left_out, np.any([present[name] for name in arrays], axis=0)


def _jackknife_stderr(left_out: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Standard errors (T,) from the scores without each clip in turn, (n, T); NaN where they break down."""
    with _quiet():
        n = used.sum(axis=0)
        left_out = np.where(used, left_out, 0.0)
        centre = left_out.sum(axis=0) / n
        squares = (np.where(used, left_out - centre, 0.0) ** 2).sum(axis=0)
        stderr = np.where(n > 1, np.sqrt(squares * (n - 1) / n), np.nan)
    return np.where(np.isfinite(stderr), stderr, np.nan)


def _mean(values: np.ndarray, *, axis: int) -> np.ndarray:
    """nanmean without its warning about nothing to average."""
    present = ~np.isnan(values)
    with _quiet():
        return np.where(present, values, 0.0).sum(axis=axis) / present.sum(axis=axis)


def _quiet() -> np.errstate:
    """Scores of nothing and of resamples at the edge of their domain are NaN or infinite; that is no news."""
    return np.errstate(divide="ignore", invalid="ignore", over="ignore")


# ----------------------------------------------------------------------------------------------------------- resampling


@lru_cache(maxsize=2)
def bootstrap_weights(n: int, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """float64 (draws, n), read-only: how often each of n clips occurs in each resample of size n.

    A function of (n, draws, seed) only; more draws extend fewer. Built from the raw output of Philox (Salmon et al.
    2011), which no version of numpy may change. Kept for the next call: 16 MB per thousand clips at 2000 draws.
    """
    weights = np.concatenate(list(_weight_blocks(n, draws, seed)))
    weights.setflags(write=False)
    return weights


def _weight_blocks(n: int, draws: int, seed: int) -> Iterator[np.ndarray]:
    """The rows of `bootstrap_weights` in blocks of bounded size."""
    bits = np.random.Philox(key=seed)
    rows = max(1, _BLOCK // n)
    for start in range(0, draws, rows):
        size = min(rows, draws - start)
        uniform = (bits.random_raw(size * n) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        picked = (uniform * n).astype(np.int64).reshape(size, n)
        picked += np.arange(size)[:, None] * n
        yield np.bincount(picked.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def _resampled(weights: np.ndarray, columns: Statistics, score: ScoreFunction) -> np.ndarray:
    """Scores of every resample: weights (draws, n), statistics {name: (n, ...)} with NaN, to (draws, ...).

    A clip without a value has weight 0 and the others share its place; a resample without any value is NaN.
    """
    means = {}
    with _quiet():
        for name, values in columns.items():
            present = ~np.isnan(values)
            total = weights @ np.where(present, values, 0.0)
            # All there is the usual case, and its count is n for every draw.
            means[name] = total / (len(values) if present.all() else weights @ present.astype(np.float64))
        return np.asarray(score(means), dtype=np.float64)


def _limits(scores: np.ndarray, confidence: float) -> tuple[float, float]:
    """Percentile limits over the resamples that have a score."""
    scores = scores[~np.isnan(scores)]
    if not len(scores):
        return math.nan, math.nan
    tail = (1 - confidence) / 2
    # "nearest" of the two neighbours: no interpolation, so infinite scores of single resamples do no harm.
    low, high = np.quantile(scores, [tail, 1 - tail], method="nearest")
    return float(low), float(high)


def _columns(per_clip: Statistics) -> dict[str, np.ndarray]:
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in per_clip.items()}
    if len({values.shape for values in columns.values()}) != 1:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in columns.items())
        raise ValueError(f"statistics must be at least one array, all of one length, not: {shapes or 'none'}")
    return columns


def _clips_with_values(columns: Statistics) -> int:
    """The number of clips that the scarcest statistic has."""
    return min(int(np.sum(~np.isnan(values))) for values in columns.values())


# ------------------------------------------------------------------------------------------------------------ intervals


def interval(
    per_clip: Statistics, score: ScoreFunction, *, draws: int = DRAWS, confidence: float = 0.95, seed: int = 0
) -> Score:
    """The score with its percentile bootstrap interval over clips, from {name: (n,)} with NaN.

    With fewer than two clips nothing is known about others: low and high are NaN.
    """
    columns = _columns(per_clip)
    value = score_of(columns, score)
    if _clips_with_values(columns) < 2 or math.isnan(value):
        return Score(value, math.nan, math.nan)
    weights = bootstrap_weights(len(next(iter(columns.values()))), draws, seed)
    return Score(value, *_limits(_resampled(weights, columns, score), confidence))


def seeds_interval(
    per_seed: Sequence[Statistics],
    score: ScoreFunction,
    *,
    draws: int = DRAWS,
    confidence: float = 0.95,
    seed: int = 0,
) -> Score:
    """The score to expect of a method, from several training seeds of it on the same clips, {name: (n,)} each.

    The value is the mean over seeds of the score, not the score of the mean statistics: that is what one more training
    run can be expected to give, it does not move with the number of seeds (for pooled PSNR the other one does, by
    Jensen's inequality), and one seed is the case S = 1 of it.

    The interval covers both the choice of clips and what training again would give. The first is the percentile
    bootstrap of the mean over seeds, all of which are scored on the same resample; the second is Student's t with S - 1
    degrees of freedom on the scores of the S seeds. They are joined in quadrature, which covers at least as often as it
    says whatever the two variances are (Banerjee, Approximate confidence interval for linear functions of means of k
    populations when the population variances are not equal, Sankhya 22, 1960). Welch and Satterthwaite's degrees of
    freedom do not: two seeds that are alike by chance make them claim 95 % and cover 88 %. The price is width: with two
    seeds t is 12.7.

    With one seed it is `interval`, which is of these weights alone. One seed without a score, and there is no value.
    """
    if len(per_seed) == 1:
        return interval(per_seed[0], score, draws=draws, confidence=confidence, seed=seed)
    rows = [_columns(row) for row in per_seed]
    _check_alike(rows)
    scores = np.array([score_of(row, score) for row in rows])
    value = float(np.mean(scores)) if len(scores) else math.nan
    if math.isnan(value) or min(_clips_with_values(row) for row in rows) < 2:
        return Score(value, math.nan, math.nan)
    resampled = _resampled(_weights_for(rows, draws, seed), _stacked(rows), score).mean(axis=1)
    between = float(_seed_margin([scores], 1 - confidence))
    return Score(value, *_widened(value, _limits(resampled, confidence), between))


def _stacked(rows: Sequence[Statistics]) -> dict[str, np.ndarray]:
    """R rows of {name: (n,)} as one {name: (n, R)}."""
    return {name: np.stack([row[name] for row in rows], axis=1) for name in rows[0]}


def _weights_for(rows: Sequence[Statistics], draws: int, seed: int) -> np.ndarray:
    return bootstrap_weights(len(next(iter(rows[0].values()))), draws, seed)


def _seed_margin(groups: Sequence[np.ndarray], alpha: float | np.ndarray) -> np.ndarray:
    """Half the width, at level alpha, that the choice of training seeds adds to a sum or difference of means of groups.

    groups  scores of the seeds of each method, (S,) with S from 2
    """
    from scipy.special import stdtrit  # at the moment of use: one seed, the usual case, needs no scipy

    with _quiet():
        squares = [
            (stdtrit(len(scores) - 1, 1 - np.asarray(alpha) / 2) * np.std(scores, ddof=1)) ** 2 / len(scores)
            for scores in groups
        ]
    return np.sqrt(np.sum(squares, axis=0))


def _widened(value: float, limits: tuple[float, float], margin: float) -> tuple[float, float]:
    """Limits around the value with one more independent source of error, in quadrature on either side."""
    low, high = limits
    return value - math.hypot(max(0.0, value - low), margin), value + math.hypot(max(0.0, high - value), margin)


# ---------------------------------------------------------------------------------------------------------- comparisons


def paired_test(
    a: Statistics,
    b: Statistics,
    score: ScoreFunction,
    *,
    draws: int = DRAWS,
    confidence: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Whether a and b score differently on the same clips: paired percentile bootstrap, from {name: (n,)} each.

    Only clips that both have count. p is twice the smaller share of resampled differences on either side of 0,
    with (1 + count) / (1 + draws) so that it is never 0 (Davison and Hinkley, Bootstrap Methods and their Application,
    1997, section 4.2.5). Nor is it smaller than 2^(1 - n), the least that n clips can tell by the signs of their
    differences: without that, two clips that agree would be proof. Limits of few clips: as for all intervals here.
    """
    first, second = _columns(a), _columns(b)
    _check_alike([first, second])
    first, second = _shared(first, second)
    clips = _clips_with_values(first)
    difference = score_of(first, score) - score_of(second, score)
    if clips < 2 or math.isnan(difference):
        return PairedDifference(difference, math.nan, math.nan, 1.0)
    weights = bootstrap_weights(len(next(iter(first.values()))), draws, seed)
    with _quiet():
        differences = _resampled(weights, first, score) - _resampled(weights, second, score)
    p = _two_sided(np.sum(~(differences > 0)), np.sum(~(differences < 0)), draws, clips)
    return PairedDifference(difference, *_limits(differences, confidence), float(p))


def seeds_difference(
    a: Sequence[Statistics],
    b: Sequence[Statistics],
    score: ScoreFunction,
    *,
    draws: int = DRAWS,
    confidence: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Whether method a scores differently from method b, from training seeds of each on the same clips.

    The difference is that of `seeds_interval`'s values on the clips that all have. Where both have two seeds or more it
    is a statement on the methods: clips are paired, seeds are not (seed 3 of one has nothing to do with seed 3 of the
    other), and clips and the seeds of either are joined as in `seeds_interval`; p is the level at which the interval
    reaches 0. Where one of them has a single seed nothing is known of its others, so it is a statement on the mean of
    these weights, as `paired_test` makes it.
    """
    first, second = [_columns(row) for row in a], [_columns(row) for row in b]
    rows = [*first, *second]
    _check_alike(rows)
    if len(first) == len(second) == 1:
        return paired_test(first[0], second[0], score, draws=draws, confidence=confidence, seed=seed)
    rows = _shared_by_all(rows)
    scores = np.array([score_of(row, score) for row in rows])
    groups = [scores[: len(first)], scores[len(first) :]]
    difference = float(groups[0].mean() - groups[1].mean())
    clips = _clips_with_values(rows[0])
    if clips < 2 or math.isnan(difference):
        return PairedDifference(difference, math.nan, math.nan, 1.0)
    known = groups if min(len(first), len(second)) > 1 else []
    with _quiet():
        resampled = _resampled(_weights_for(rows, draws, seed), _stacked(rows), score)
        differences = resampled[:, : len(first)].mean(axis=1) - resampled[:, len(first) :].mean(axis=1)
    margin = float(_seed_margin(known, 1 - confidence)) if known else 0.0
    limits = _widened(difference, _limits(differences, confidence), margin)
    # Resamples by how far they are towards 0 and beyond; what has no score speaks against a difference.
    towards = np.sort(np.where(np.isnan(differences), -np.inf, differences * np.sign(difference)))
    levels = 2 * np.arange(1, draws // 2 + 1) / (1 + draws)
    reach = np.hypot(
        np.maximum(0.0, abs(difference) - towards[: len(levels)]), _seed_margin(known, levels) if known else 0.0
    )
    unclear = int(np.sum(~(reach < abs(difference))))  # levels at which the interval still has 0 in it
    return PairedDifference(difference, *limits, float(_two_sided(unclear, unclear, draws, clips)))


def _shared_by_all(rows: Sequence[Statistics]) -> list[dict[str, np.ndarray]]:
    """All rows, with NaN wherever one of them has NaN."""
    missing = {name: np.any([np.isnan(row[name]) for row in rows], axis=0) for name in rows[0]}
    return [{name: np.where(missing[name], np.nan, row[name]) for name in row} for row in rows]


def _two_sided(
    not_above: np.ndarray | int, not_below: np.ndarray | int, draws: int, clips: np.ndarray | int
) -> np.ndarray:
    """p from the numbers of resampled differences that are not above and not below 0."""
    p = 2 * (1 + np.minimum(not_above, not_below)) / (1 + draws)
    return np.clip(p, 2.0 ** (1 - np.asarray(clips, dtype=np.float64)), 1.0)


def _shared(a: Statistics, b: Statistics) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Both, with NaN wherever either has NaN."""
    missing = {name: np.isnan(a[name]) | np.isnan(b[name]) for name in a}
    return (
        {name: np.where(missing[name], np.nan, a[name]) for name in a},
        {name: np.where(missing[name], np.nan, b[name]) for name in a},
    )


def _check_alike(rows: Sequence[Statistics]) -> None:
    kinds = {(tuple(sorted(row)), len(next(iter(row.values())))) for row in rows}
    if len(kinds) > 1:
        found = "; ".join(f"{', '.join(names)} of {n} clips" for names, n in sorted(kinds))
        raise ValueError(f"rows can be compared only with the same statistics of the same clips, not: {found}")


def detectable_difference(
    a: Statistics, b: Statistics, score: ScoreFunction, *, power: float = POWER, alpha: float = ALPHA
) -> float:
    """The smallest true difference that `paired_test` on this many such clips finds with probability `power`.

    (z of 1 - alpha/2 plus z of power) times the jackknife's standard error of the paired difference, in the unit of the
    score (Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988, chapter 2, with that standard error for
    sigma / sqrt(n)). Below it, "no significant difference" says little. Infinite where so few clips prove nothing at
    this alpha however clear they are, NaN where the standard error breaks down.
    """
    stderr, clips = _paired_stderr([a], [b], score)
    if clips < least_clips(alpha):
        return math.inf
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)) * stderr


def clips_needed(
    a: Statistics,
    b: Statistics,
    score: ScoreFunction,
    difference: float,
    *,
    power: float = POWER,
    alpha: float = ALPHA,
) -> int:
    """How many clips like these make a true difference of this size detectable: n (`detectable_difference` / it)^2.

    Raises `ValueError` for a difference of 0, or where these clips are too few to know how much they scatter.
    """
    if not (math.isfinite(difference) and difference):
        raise ValueError(f"difference {difference!r}: give a size other than 0")
    stderr, clips = _paired_stderr([a], [b], score)
    if math.isnan(stderr):
        raise ValueError(f"{clips} clips do not tell how much differences scatter from clip to clip")
    normal = NormalDist()
    detectable = (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)) * stderr
    return max(least_clips(alpha), math.ceil(clips * (detectable / difference) ** 2))


def seeds_detectable_difference(
    a: Sequence[Statistics],
    b: Sequence[Statistics],
    score: ScoreFunction,
    *,
    power: float = POWER,
    alpha: float = ALPHA,
) -> float:
    """The smallest true difference of two methods that `seeds_difference` finds with probability `power`.

    As if the scatter of these seeds were the true one, which few of them tell badly: an order of magnitude with two
    seeds. Of the test's two parts the width of the one for clips is taken as known, and the one for seeds as varying
    from experiment to experiment, as chi-squared; the rest is solved numerically. Where one method has a single seed
    the seeds have no part, as in `seeds_difference`.
    """
    stderr, clips = _paired_stderr(a, b, score)
    if clips < least_clips(alpha):
        return math.inf
    normal = NormalDist()
    z = normal.inv_cdf(1 - alpha / 2)
    smallest = (z + normal.inv_cdf(power)) * stderr
    if min(len(a), len(b)) < 2 or math.isnan(smallest):
        return smallest
    from scipy.special import chdtri, ndtr, stdtrit

    rows = _shared_by_all([_columns(row) for row in (*a, *b)])
    scores = np.array([score_of(row, score) for row in rows])
    variance, squares = stderr**2, np.array((z * stderr) ** 2)
    # The middle of each of 64 slices of equal probability, for either method: within 0.2 % of what 1000 give.
    slices = (np.arange(64) + 0.5) / 64
    for scores_of_one, axis in ((scores[: len(a)], 0), (scores[len(a) :], 1)):
        freedom = len(scores_of_one) - 1
        part = float(np.var(scores_of_one, ddof=1)) / len(scores_of_one)
        variance += part
        drawn = chdtri(freedom, slices) / freedom  # relative estimates of `part`
        squares = squares + np.expand_dims(stdtrit(freedom, 1 - alpha / 2) ** 2 * part * drawn, 1 - axis)
    halves, total = np.sqrt(squares), math.sqrt(variance)
    if total == 0 or not math.isfinite(total):
        return 0.0 if total == 0 else math.nan

    def found(difference: float) -> float:
        return float(np.mean(ndtr((difference - halves) / total) + ndtr((-difference - halves) / total)))

    low, high = 0.0, float(halves.max()) + 10 * total
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if found(middle) < power else (low, middle)
    return high


def _paired_stderr(a: Sequence[Statistics], b: Sequence[Statistics], score: ScoreFunction) -> tuple[float, int]:
    """Jackknife standard error of the mean score of a minus that of b, over the clips all have, and their number."""
    rows = [_columns(row) for row in (*a, *b)]
    _check_alike(rows)
    rows = _shared_by_all(rows)
    _, left_out, used = _leave_one_out(_stacked(rows), score)
    with _quiet():
        differences = left_out[:, : len(a)].mean(axis=1) - left_out[:, len(a) :].mean(axis=1)
    return float(_jackknife_stderr(differences[:, None], used[:, :1])[0]), _clips_with_values(rows[0])


def least_clips(alpha: float) -> int:
    """The least number of clips that `paired_test` can find a difference with: 2^(1 - n) < alpha."""
    return math.floor(1 - math.log2(alpha)) + 1


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p values (m,) in the order given: below alpha, all of them together are wrong with at most alpha.

    Step-down (Holm 1979): the k-th smallest times m - k + 1, made non-decreasing, at most 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def ranks(
    rows: Sequence[Statistics],
    score: ScoreFunction,
    *,
    higher_is_better: bool,
    alpha: float = ALPHA,
    draws: int = DRAWS,
    seed: int = 0,
) -> Ranking:
    """Rank of each of R rows = 1 + number of rows significantly better, from {name: (n,)} each, the same clips.

    All pairs are tested as in `paired_test` and corrected together by Holm. `draws` is raised where so many pairs need
    more to reach alpha at all (m pairs: 4 m / alpha), since a bootstrap p is at least 2 / (1 + draws). Rows that tie
    share a rank; the order of rows is of no influence.
    """
    columns = [_columns(row) for row in rows]
    _check_alike(columns)
    values = [score_of(row, score) for row in columns]
    scored = [index for index, value in enumerate(values) if not math.isnan(value)]
    pairs = list(combinations(scored, 2))
    adjusted = np.full((len(rows), len(rows)), np.nan)
    better = np.zeros((len(rows), len(rows)), dtype=bool)
    if pairs:
        draws = max(draws, math.ceil(4 * len(pairs) / alpha))
        signs, p_values = _compare_pairs(columns, pairs, score, draws=draws, seed=seed)
        for (i, j), sign, p in zip(pairs, signs, holm(p_values), strict=True):
            adjusted[i, j] = adjusted[j, i] = p
            if p < alpha and sign:
                winner, loser = (i, j) if (sign > 0) == higher_is_better else (j, i)
                better[winner, loser] = True
    beaten_by = better.sum(axis=0)
    return Ranking(tuple(1 + int(beaten_by[i]) if i in scored else None for i in range(len(rows))), better, adjusted)


def _compare_pairs(
    rows: Sequence[Statistics], pairs: Sequence[tuple[int, int]], score: ScoreFunction, *, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sign of the difference and two-sided p of every pair; resamples are shared by all of them.

    A row is resampled once per set of missing clips, so once where nothing is missing, however many pairs it is in.
    Rows of equal values are one column: the same sum in two columns may differ in the last bit, which is no difference.
    """
    distinct: dict[bytes, int] = {}
    columns: list[Statistics] = []
    left: list[int] = []
    right: list[int] = []
    clips, signs = [], []
    for i, j in pairs:
        both = _shared(rows[i], rows[j])
        for row, side in zip(both, (left, right), strict=True):
            content = b"".join(row[name].tobytes() for name in sorted(row))
            if content not in distinct:
                distinct[content] = len(columns)
                columns.append(row)
            side.append(distinct[content])
        clips.append(_clips_with_values(both[0]))
        signs.append(np.sign(score_of(both[0], score) - score_of(both[1], score)))
    stacked = {name: np.stack([row[name] for row in columns], axis=1) for name in columns[0]}  # (n, distinct)
    not_above = np.zeros(len(pairs), dtype=np.int64)
    not_below = np.zeros(len(pairs), dtype=np.int64)
    for weights in _weight_blocks(len(next(iter(stacked.values()))), draws, seed):
        scores = _resampled(weights, stacked, score)
        with _quiet():
            differences = scores[:, np.asarray(left)] - scores[:, np.asarray(right)]
        not_above += np.sum(~(differences > 0), axis=0)  # NaN counts on both sides: against significance
        not_below += np.sum(~(differences < 0), axis=0)
    return np.asarray(signs), _two_sided(not_above, not_below, draws, np.asarray(clips))
