"""Intervals and comparisons against closed forms, naive loops and simulation."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from vpbench.stats import (
    bootstrap_weights,
    clips_needed,
    detectable_difference,
    holm,
    interval,
    mean_over_clips,
    mean_over_steps,
    paired_test,
    ranks,
    score_of,
    score_per_step,
    seeds_detectable_difference,
    seeds_difference,
    seeds_interval,
)

#: 97.5 % points of Student's t, from any table.
T_975 = {199: 1.9720}

#: bootstrap_weights(6, 3, 0) as first released.
FROZEN_WEIGHTS = [[2, 2, 0, 2, 0, 0], [1, 2, 0, 0, 1, 2], [0, 3, 0, 1, 1, 1]]


def mean(means):
    return means["x"]


def psnr(means):
    return -10 * np.log10(means["x"])


def ratio(means):
    """A score of two statistics."""
    return means["x"] / means["y"]


def normal(n, *, at=0.0, seed=0):
    return np.random.default_rng(seed).normal(at, 1.0, n)


# --------------------------------------------------------------------------------------------------------------- means


def test_steps_are_averaged_first_and_what_does_not_apply_is_left_out():
    values = np.array([[1.0, 3.0], [10.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(mean_over_steps(values), [2.0, 10.0, np.nan])
    # Clip 1 counts as much as clip 0 although it has half the steps, and clip 2 does not count.
    assert score_of({"x": mean_over_steps(values)}, mean) == 6.0
    np.testing.assert_array_equal(mean_over_clips(values), [5.5, 3.0])


def test_means_of_nothing_are_nan_without_a_warning():
    with np.errstate(all="raise"):
        assert np.isnan(mean_over_clips(np.full((3, 2), np.nan))).all()
        assert math.isnan(score_of({"x": np.full(3, np.nan)}, mean))


def test_means_of_float32_are_taken_in_float64():
    values = np.full((1000, 1), 0.1, dtype=np.float32)
    assert score_per_step({"x": values}, mean)[0][0] == pytest.approx(float(np.float32(0.1)), rel=1e-15)


def test_one_clip_has_no_stderr():
    assert np.isnan(score_per_step({"x": np.ones((1, 4))}, mean)[1]).all()


def test_stderr_per_step_of_a_mean_is_the_textbook_one():
    values = np.random.default_rng(2).normal(size=(50, 4))
    values[3:9, 2] = np.nan
    got, stderr = score_per_step({"x": values}, mean)
    for step in range(4):
        column = values[:, step][~np.isnan(values[:, step])]
        assert got[step] == pytest.approx(column.mean())
        assert stderr[step] == pytest.approx(column.std(ddof=1) / math.sqrt(len(column)))


def test_score_per_step_is_the_score_of_the_mean_statistics_at_that_step():
    values = np.random.default_rng(3).lognormal(-3, 0.5, size=(40, 5))
    np.testing.assert_allclose(score_per_step({"x": values}, psnr)[0], -10 * np.log10(values.mean(axis=0)))


@pytest.mark.parametrize("score", [psnr, ratio])
def test_stderr_per_step_of_a_derived_score_matches_simulation(score):
    """The spread of the score over many test sets is what the standard error of one of them claims."""
    rng = np.random.default_rng(4)

    def draw(sets):
        x = rng.lognormal(-3, 0.5, size=(100, sets))
        return {"x": x, "y": x * rng.lognormal(0, 0.2, size=x.shape) + 0.01}  # correlated on purpose

    many = score({name: values.mean(axis=0) for name, values in draw(4000).items()})
    _, stderr = score_per_step(draw(200), score)  # 200 "steps" are 200 test sets
    assert np.median(stderr) == pytest.approx(many.std(ddof=1), rel=0.06)


def test_stderr_is_nan_where_the_score_breaks_down_without_one_clip():
    values = np.zeros((5, 1))
    values[0] = 0.5
    got, stderr = score_per_step({"x": values}, psnr)
    assert got[0] == pytest.approx(10.0)
    assert np.isnan(stderr[0])


# ------------------------------------------------------------------------------------------------------------- weights


def test_weights_count_each_resample_of_size_n():
    weights = bootstrap_weights(13, 500, 0)
    assert weights.shape == (500, 13)
    np.testing.assert_array_equal(weights.sum(axis=1), 13)
    assert (weights == weights.round()).all()
    assert (weights >= 0).all()


def test_weights_have_the_moments_of_the_multinomial():
    n, draws = 10, 50_000
    weights = bootstrap_weights(n, draws, 1)
    assert weights.mean(axis=0) == pytest.approx(np.ones(n), abs=0.02)
    assert weights.var(axis=0) == pytest.approx(np.full(n, 1 - 1 / n), abs=0.03)
    assert np.cov(weights[:, 0], weights[:, 1])[0, 1] == pytest.approx(-1 / n, abs=0.02)


def test_more_draws_extend_fewer_across_blocks():
    n = 3000  # 699 draws to a block
    np.testing.assert_array_equal(bootstrap_weights(n, 1500, 0)[:900], bootstrap_weights(n, 900, 0))


def test_weights_depend_on_the_seed_alone_in_any_process():
    code = "import numpy as np; np.random.seed(7); from vpbench.stats import bootstrap_weights as w; print(w(7, 5, 3))"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert there.strip() == str(bootstrap_weights(7, 5, 3))
    assert (bootstrap_weights(7, 5, 3) != bootstrap_weights(7, 5, 4)).any()


def test_first_weights_are_frozen():
    """Boards are compared byte by byte, so neither we nor numpy may change the stream."""
    np.testing.assert_array_equal(bootstrap_weights(6, 3, 0), FROZEN_WEIGHTS)


def test_kept_weights_cannot_be_changed_by_a_caller():
    with pytest.raises(ValueError, match="read-only"):
        bootstrap_weights(5, 10, 0)[0, 0] = 99


# ----------------------------------------------------------------------------------------------------------- intervals


def test_interval_of_a_mean_is_close_to_the_t_interval():
    x = normal(200)
    value, low, high = interval({"x": x}, mean, draws=20_000)
    half = T_975[199] * x.std(ddof=1) / math.sqrt(200)
    assert value == x.mean()
    assert low == pytest.approx(x.mean() - half, abs=0.08 * half)
    assert high == pytest.approx(x.mean() + half, abs=0.08 * half)


def test_interval_equals_a_naive_loop():
    rng = np.random.default_rng(5)
    columns = {"x": rng.lognormal(size=30), "y": rng.lognormal(size=30)}
    columns["x"][4] = columns["x"][9] = columns["y"][9] = np.nan
    scores = []
    for weights in bootstrap_weights(30, 400, 2):
        resample = np.repeat(np.arange(30), weights.astype(int))
        scores.append(np.nanmean(columns["x"][resample]) / np.nanmean(columns["y"][resample]))
    value, low, high = interval(columns, ratio, draws=400, seed=2, confidence=0.9)
    assert value == pytest.approx(np.nanmean(columns["x"]) / np.nanmean(columns["y"]))
    expected = np.quantile(scores, [0.05, 0.95], method="nearest")
    assert (low, high) == pytest.approx(tuple(expected))


def test_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(6)
    truth = math.exp(0.5 * 0.25)  # the mean of this lognormal
    covered = 0
    for _ in range(600):
        _, low, high = interval({"x": rng.lognormal(0, 0.5, 60)}, psnr, draws=1000)
        covered += low <= -10 * math.log10(truth) <= high
    # 93 % is what percentile intervals reach at 60 skewed clips; the binomial error of 600 is 1 %.
    assert 0.90 < covered / 600 < 0.98


@pytest.mark.parametrize("x", [[3.0], [3.0, np.nan], [np.nan, 3.0, np.nan]])
def test_one_clip_has_a_value_and_no_interval(x):
    value, low, high = interval({"x": np.array(x)}, mean)
    assert value == 3.0
    assert math.isnan(low)
    assert math.isnan(high)


def test_no_clip_has_no_value():
    assert all(map(math.isnan, interval({"x": np.full(4, np.nan)}, mean)))


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"x \(3,\), y \(2,\)"):
        interval({"x": np.ones(3), "y": np.ones(2)}, ratio)


@settings(max_examples=50, deadline=None)
@given(
    x=st.lists(st.floats(0.01, 100) | st.just(math.nan), min_size=2, max_size=40),
    scale=st.floats(0.1, 10),
    shift=st.floats(0, 10),
)
def test_interval_of_a_mean_moves_with_the_values(x, scale, shift):
    x = np.array(x)
    value, low, high = interval({"x": x}, mean, draws=200)
    moved = interval({"x": scale * x + shift}, mean, draws=200)
    if np.sum(~np.isnan(x)) < 2:
        assert math.isnan(low)
        return
    assert low <= high
    assert x[~np.isnan(x)].min() <= low * (1 + 1e-12)
    assert moved == pytest.approx((scale * value + shift, scale * low + shift, scale * high + shift))


# --------------------------------------------------------------------------------------------------------------- seeds


def trainings(*levels, n=60, noise=0.1):
    """One row per seed: the same clips, each seed with errors of its own level."""
    clips = np.random.default_rng(10).lognormal(-3, 0.4, n)
    return [
        {"x": clips * level * np.random.default_rng(200 + i).lognormal(0, noise, n)} for i, level in enumerate(levels)
    ]


def without_scatter(*scores):
    """Seeds that score the same on every clip: what is left is the scatter of the seeds."""
    return [{"x": np.full(50, float(score))} for score in scores]


def test_one_seed_is_an_interval_over_clips():
    rows = trainings(1.0)
    assert seeds_interval(rows, psnr) == interval(rows[0], psnr)


def test_several_seeds_score_the_mean_of_their_scores():
    rows = trainings(0.5, 1.0, 2.0)
    expected = np.mean([-10 * math.log10(row["x"].mean()) for row in rows])
    assert seeds_interval(rows, psnr).value == pytest.approx(expected)
    assert seeds_interval(rows, psnr).value > psnr({"x": np.mean([row["x"].mean() for row in rows])})  # Jensen


def test_interval_of_several_seeds_equals_a_naive_loop():
    rows = trainings(0.9, 1.0, 1.2)
    rows[1]["x"][7] = np.nan
    resampled = []
    for weights in bootstrap_weights(60, 400, 2):
        resample = np.repeat(np.arange(60), weights.astype(int))
        resampled.append(np.mean([-10 * math.log10(np.nanmean(row["x"][resample])) for row in rows]))
    scores = [-10 * math.log10(np.nanmean(row["x"])) for row in rows]
    low, high = np.quantile(resampled, [0.05, 0.95], method="nearest")
    of_seeds = scipy_stats.t.ppf(0.95, 2) * np.std(scores, ddof=1) / math.sqrt(3)
    value = np.mean(scores)
    expected = (value, value - math.hypot(value - low, of_seeds), value + math.hypot(high - value, of_seeds))
    assert seeds_interval(rows, psnr, draws=400, seed=2, confidence=0.9) == pytest.approx(expected)


def test_seeds_that_agree_on_every_clip_add_nothing():
    row = trainings(1.0)[0]
    assert seeds_interval([row, dict(row), dict(row)], psnr) == pytest.approx(interval(row, psnr))


def test_where_clips_tell_nothing_apart_the_interval_is_student_s():
    found = seeds_interval(without_scatter(1.0, 2.0, 4.0), mean)
    expected = scipy_stats.t.interval(0.95, 2, loc=7 / 3, scale=scipy_stats.sem([1.0, 2.0, 4.0]))
    assert found == pytest.approx((7 / 3, *expected))


def test_a_seed_without_score_is_never_averaged_away():
    rows = [*trainings(1.0, 1.0), {"x": np.full(60, np.nan)}]
    assert all(map(math.isnan, seeds_interval(rows, psnr)))
    assert math.isnan(seeds_difference(rows, trainings(1.0, 1.0), psnr).difference)
    assert seeds_difference(rows, trainings(1.0, 1.0), psnr).p == 1.0


def test_seeds_on_other_clips_are_refused():
    with pytest.raises(ValueError, match="x of 3 clips; x of 4 clips"):
        seeds_interval([{"x": np.ones(3)}, {"x": np.ones(4)}], mean)
    with pytest.raises(ValueError, match="same statistics of the same clips"):
        seeds_difference([{"x": np.ones(3)}] * 2, [{"y": np.ones(3)}] * 2, mean)


def test_one_seed_each_is_the_paired_test():
    a, b = trainings(1.0, 1.1)
    b["x"][3] = np.nan
    assert seeds_difference([a], [b], psnr) == paired_test(a, b, psnr)


def test_one_seed_on_either_side_is_a_statement_on_these_weights():
    """Nothing is known of the spread of one seed, so that of the others does not make it a statement on methods."""
    a, b = trainings(0.5, 1.0, 2.0), trainings(1.5)
    clips_alone = seeds_difference(a, b, psnr)
    resampled = []
    for weights in bootstrap_weights(60):
        scores = [-10 * math.log10(weights @ row["x"] / 60) for row in (*a, *b)]
        resampled.append(np.mean(scores[:3]) - scores[3])
    assert (clips_alone.low, clips_alone.high) == pytest.approx(
        tuple(np.quantile(resampled, [0.025, 0.975], method="nearest"))
    )
    both = seeds_difference(a, trainings(1.5, 1.5), psnr)
    assert both.high - both.low > 5 * (clips_alone.high - clips_alone.low)


def test_where_clips_tell_nothing_apart_a_difference_is_student_s_t_test():
    a, b = [1.0, 2.0, 4.0], [0.5, 0.5, 0.5]
    found = seeds_difference(without_scatter(*a), without_scatter(*b), mean)
    assert found.p == pytest.approx(scipy_stats.ttest_1samp(a, 0.5).pvalue, abs=0.001)
    assert found.difference == pytest.approx(7 / 3 - 0.5)


@settings(max_examples=60, deadline=None)
@given(
    a=st.lists(st.floats(0.8, 1.25), min_size=2, max_size=4), b=st.lists(st.floats(0.8, 1.25), min_size=2, max_size=4)
)
def test_p_is_below_alpha_just_where_the_interval_leaves_zero_out(a, b):
    first, second = trainings(*a), trainings(*b, noise=0.12)
    found = seeds_difference(first, second, psnr)
    if not 0.045 < found.p < 0.055:  # the draws are 2000, so the two may differ by one of them
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)
    back = seeds_difference(second, first, psnr)
    assert (back.difference, back.p) == pytest.approx((-found.difference, found.p), abs=0.004)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low), rel=0.02, abs=0.02)


# -------------------------------------------------------------------------------------------------- what could be found


def test_detectable_difference_of_means_is_the_textbook_one():
    a, b = normal(80), normal(80, seed=1)
    expected = (1.959964 + 0.841621) * (a - b).std(ddof=1) / math.sqrt(80)
    assert detectable_difference({"x": a}, {"x": b}, mean) == pytest.approx(expected, rel=1e-5)
    stricter = (2.575829 + 1.281552) / (1.959964 + 0.841621)
    assert detectable_difference({"x": a}, {"x": b}, mean, power=0.9, alpha=0.01) == pytest.approx(stricter * expected)


def test_clips_that_neither_row_scatters_on_differently_show_any_difference():
    a = {"x": normal(30)}
    assert detectable_difference(a, {"x": a["x"] + 1}, mean) == pytest.approx(0, abs=1e-12)
    assert clips_needed(a, {"x": a["x"] + 1}, mean, 0.1) == 6  # which is what the test asks for at least


def test_clips_needed_make_a_difference_detectable():
    a, b = {"x": normal(80)}, {"x": normal(80, seed=1)}
    detectable = detectable_difference(a, b, mean)
    assert clips_needed(a, b, mean, detectable * (1 + 1e-9)) == 80
    assert clips_needed(a, b, mean, -detectable / 2 * (1 + 1e-9)) == 320
    longer = [{"x": np.tile(row["x"], 4)} for row in (a, b)]
    assert detectable_difference(*longer, mean) == pytest.approx(detectable / 2, rel=0.01)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_handful_of_clips_shows_nothing_however_large(n):
    a, b = {"x": normal(n)}, {"x": normal(n, seed=1)}
    assert detectable_difference(a, b, mean) == math.inf
    assert seeds_detectable_difference([a] * 2, [b] * 2, mean) == math.inf


def test_clips_needed_for_nothing_or_from_nothing_is_refused():
    row = {"x": normal(9)}
    with pytest.raises(ValueError, match="other than 0"):
        clips_needed(row, row, mean, 0.0)
    with pytest.raises(ValueError, match="1 clips do not tell"):
        clips_needed({"x": normal(1)}, {"x": normal(1, seed=1)}, mean, 0.5)


def test_detectable_difference_of_one_seed_each_is_that_of_the_weights():
    a, b = trainings(1.0, 1.1)
    assert seeds_detectable_difference([a], [b], psnr) == detectable_difference(a, b, psnr)
    assert seeds_detectable_difference([a, a], [b], psnr) == pytest.approx(detectable_difference(a, b, psnr))


@pytest.mark.parametrize("a", [(1.0, 2.0), (1.0, 2.0, 4.0), (1.0, 1.5, 2.0, 1.0, 1.3)])
def test_detectable_difference_of_methods_has_the_power_of_student_s_test(a):
    """Where clips tell nothing apart: power of the t test by the noncentral t distribution."""
    told = seeds_detectable_difference(without_scatter(*a), without_scatter(0.5, 0.5), mean)
    away, freedom = told / scipy_stats.sem(a), len(a) - 1
    critical = scipy_stats.t.ppf(0.975, freedom)
    power = scipy_stats.nct.sf(critical, freedom, away) + scipy_stats.nct.cdf(-critical, freedom, away)
    assert power == pytest.approx(0.8, abs=0.005)


def test_more_seeds_find_less():
    two, five = trainings(1.0, 1.1), trainings(1.0, 1.1, 1.0, 1.1, 1.05)
    assert seeds_detectable_difference(five, five, psnr) < seeds_detectable_difference(two, two, psnr) / 3


# --------------------------------------------------------------------------------------------------------- comparisons


def test_pairing_sees_a_difference_that_separate_intervals_hide():
    clips = normal(100)
    a, b = {"x": clips + 0.1 + 0.05 * normal(100, seed=1)}, {"x": clips}
    assert interval(a, mean).low < interval(b, mean).high
    found = paired_test(a, b, mean)
    assert found.low < found.difference < found.high
    assert found.low > 0
    assert found.p == 2 / 2001
    assert found.difference == pytest.approx(a["x"].mean() - b["x"].mean())


def test_paired_difference_of_a_mean_is_close_to_the_paired_t_interval():
    a, b = normal(200), normal(200, seed=1)
    found = paired_test({"x": a}, {"x": b}, mean, draws=20_000)
    half = T_975[199] * (a - b).std(ddof=1) / math.sqrt(200)
    assert (found.low, found.high) == pytest.approx((np.mean(a - b) - half, np.mean(a - b) + half), abs=0.08 * half)


def test_swapping_the_rows_mirrors_the_difference():
    a, b = {"x": normal(30, at=0.3)}, {"x": normal(30, seed=1)}
    forth, back = paired_test(a, b, mean), paired_test(b, a, mean)
    assert back.difference == -forth.difference
    assert back.p == forth.p
    assert (back.low, back.high) == pytest.approx((-forth.high, -forth.low), abs=0.02)


def test_a_row_does_not_differ_from_itself():
    x = {"x": normal(50)}
    assert paired_test(x, x, mean) == (0.0, 0.0, 0.0, 1.0)


def test_false_alarms_are_as_rare_as_alpha():
    rng = np.random.default_rng(7)
    alarms = sum(
        paired_test({"x": rng.normal(size=50)}, {"x": rng.normal(size=50)}, mean, draws=500).p < 0.05
        for _ in range(600)
    )
    assert 0.02 < alarms / 600 < 0.09


@pytest.mark.parametrize("n", [2, 4, 5])
def test_a_handful_of_clips_is_never_proof(n):
    """However clear: n signs that agree have probability 2^(1-n)."""
    assert paired_test({"x": np.arange(n) + 100.0}, {"x": np.zeros(n)}, mean).p == 2.0 ** (1 - n)


def test_one_common_clip_proves_nothing():
    found = paired_test({"x": np.array([1.0, np.nan])}, {"x": np.array([0.0, 0.0])}, mean)
    assert found.difference == 1.0
    assert found.p == 1.0
    assert math.isnan(found.low)


def test_only_clips_that_both_have_are_compared():
    a = {"x": np.array([1.0, 2.0, np.nan, 1000.0])}
    b = {"x": np.array([0.0, 1.0, -1000.0, np.nan])}
    assert paired_test(a, b, mean).difference == 1.0


def test_rows_of_other_clips_or_statistics_are_refused():
    with pytest.raises(ValueError, match="same statistics of the same clips"):
        paired_test({"x": np.ones(3)}, {"x": np.ones(4)}, mean)
    with pytest.raises(ValueError, match="x of 3 clips; y of 3 clips"):
        ranks([{"x": np.ones(3)}, {"y": np.ones(3)}], mean, higher_is_better=True)


def test_holm_on_the_textbook_example():
    """As R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") is 0.03 0.06 0.06 0.02."""
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert holm([]).shape == (0,)
    np.testing.assert_array_equal(holm([0.7, 0.9]), [1.0, 1.0])


@given(p=st.lists(st.floats(1e-6, 1), min_size=1, max_size=30), data=st.data())
def test_holm_keeps_order_and_is_between_the_raw_and_bonferroni(p, data):
    adjusted = holm(p)
    assert (adjusted >= np.array(p) * (1 - 1e-12)).all()
    assert (adjusted <= np.minimum(1, np.array(p) * len(p)) * (1 + 1e-12)).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
    shuffle = data.draw(st.permutations(range(len(p))))
    np.testing.assert_allclose(holm([p[i] for i in shuffle]), adjusted[list(shuffle)])


# --------------------------------------------------------------------------------------------------------------- ranks


def rows_at(*levels, n=60, noise=0.05):
    clips = np.random.default_rng(8).lognormal(-3, 0.4, n)
    return [
        {"x": clips * level * np.random.default_rng(100 + i).lognormal(0, noise, n)} for i, level in enumerate(levels)
    ]


def test_rank_is_one_more_than_the_rows_significantly_better():
    found = ranks(rows_at(1.0, 1.001, 2.0, 4.0), psnr, higher_is_better=True)
    assert found.ranks == (1, 1, 3, 4)
    assert found.better.sum(axis=0).tolist() == [0, 0, 2, 3]
    assert found.p[0, 1] == found.p[1, 0] > 0.05
    assert np.isnan(np.diag(found.p)).all()


def test_lower_can_be_better():
    assert ranks(rows_at(1.0, 2.0, 4.0), mean, higher_is_better=False).ranks == (1, 2, 3)
    assert ranks(rows_at(1.0, 2.0, 4.0), mean, higher_is_better=True).ranks == (3, 2, 1)


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(6)))
def test_order_of_rows_is_of_no_influence(order):
    rows = rows_at(1.0, 1.0, 1.02, 1.05, 2.0, 1.0)
    expected = ranks(rows, psnr, higher_is_better=True).ranks
    found = ranks([rows[i] for i in order], psnr, higher_is_better=True).ranks
    assert found == tuple(expected[i] for i in order)


def test_many_rows_can_still_be_told_apart():
    """2000 draws give no p below 0.001, which Holm over 276 pairs would never let pass."""
    found = ranks(rows_at(*[1.5**i for i in range(24)]), psnr, higher_is_better=True)
    assert found.ranks == tuple(range(1, 25))


def test_pairs_of_ranks_agree_with_the_paired_test():
    a, b = rows_at(1.0, 1.02)
    assert ranks([a, b], psnr, higher_is_better=True).p[0, 1] == paired_test(a, b, psnr).p


def test_missing_clips_are_left_out_pair_by_pair():
    rows = rows_at(1.0, 1.5, 2.0)
    rows[0]["x"][:7] = np.nan
    rows[2]["x"][5:20] = np.nan
    found = ranks(rows, psnr, higher_is_better=True)
    assert found.ranks == (1, 2, 3)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert found.p[i, j] <= 3 * paired_test(rows[i], rows[j], psnr).p


def test_a_row_without_any_value_has_no_rank_and_costs_the_others_nothing():
    rows = rows_at(1.0, 2.0)
    found = ranks([rows[0], {"x": np.full(60, np.nan)}, rows[1]], psnr, higher_is_better=True)
    assert found.ranks == (1, None, 2)
    assert found.p[0, 2] == ranks(rows, psnr, higher_is_better=True).p[0, 1]


def test_equal_rows_share_a_rank():
    row = rows_at(1.0)[0]
    assert ranks([row, dict(row), dict(row)], psnr, higher_is_better=True).ranks == (1, 1, 1)
    assert ranks([row], psnr, higher_is_better=True).ranks == (1,)


def test_ranks_keep_the_family_wise_error():
    """Among five equal rows, a false winner somewhere on the board is about as rare as alpha."""
    rng = np.random.default_rng(9)
    boards = [[{"x": rng.normal(size=60)} for _ in range(5)] for _ in range(200)]
    false = sum(max(ranks(rows, mean, higher_is_better=True).ranks) > 1 for rows in boards)
    assert false / 200 < 0.12


def test_no_torch_and_no_pandas_is_imported():
    code = "import sys, vpbench.stats; print([m for m in ('torch', 'pandas', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
