"""Intervals cover as often as docs/statistics.md says, tests alarm as rarely, and find what they say they can find.

The simulations are those of benchmarks/interval_coverage.py with fewer repetitions; seeded, so a run is like any other.
"""

import importlib.util
import math
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "interval_coverage.py"
REPETITIONS = 400


@pytest.fixture(scope="module")
def simulations():
    spec = importlib.util.spec_from_file_location("interval_coverage", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def is_within(share, low, high):
    """Whether a share found may be of a true one in [low, high]: three binomial standard errors beyond either."""
    below, above = (3 * math.sqrt(p * (1 - p) / share.repetitions) for p in (low, high))
    assert low - below <= share.found <= high + above, share
    return True


@pytest.mark.parametrize(("n", "low"), [(10, 0.88), (50, 0.93), (200, 0.94), (1000, 0.94)])
def test_intervals_of_a_skewed_mean(simulations, n, low):
    """Percentile intervals are too narrow for few clips, which the documentation says."""
    assert is_within(simulations.mean_coverage(n, REPETITIONS, sigma=0.5), low, 0.95)


def test_intervals_of_few_clips_with_heavy_tails_cover_less_than_they_say(simulations):
    assert is_within(simulations.mean_coverage(50, REPETITIONS, sigma=1.0), 0.88, 0.91)


@pytest.mark.parametrize("n", [50, 200])
def test_intervals_of_pooled_psnr(simulations, n):
    assert is_within(simulations.psnr_coverage(n, REPETITIONS), 0.93, 0.95)


@pytest.mark.parametrize("n", [50, 200])
def test_intervals_of_a_ratio_of_means(simulations, n):
    assert is_within(simulations.ratio_coverage(n, REPETITIONS), 0.93, 0.95)


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("spread", ["none", "as the clips", "5 times the clips"])
def test_intervals_of_several_seeds_cover_at_least_as_often_as_they_say(simulations, seeds, spread):
    """Whatever the two variances are; the price is that they cover up to 99 % in between."""
    assert is_within(simulations.seeds_coverage(seeds, spread, REPETITIONS // 2)["seeds_interval"], 0.95, 0.995)


def test_what_one_might_use_instead_does_not_cover_the_choice_of_seeds(simulations):
    found = simulations.seeds_coverage(2, "5 times the clips", REPETITIONS // 2)
    assert found["clips alone"].found < 0.6
    assert found["percentile, seeds and clips"].found < 0.8
    assert found["Welch and Satterthwaite"].found < 0.92 < found["seeds_interval"].found


@pytest.mark.parametrize("n", [50, 200])
def test_a_paired_test_alarms_as_rarely_as_alpha(simulations, n):
    assert is_within(simulations.size(n, REPETITIONS), 0.05, 0.065)


def test_ranks_of_equal_rows_keep_the_family_wise_error(simulations):
    assert is_within(simulations.family_wise(5, REPETITIONS // 2), 0.03, 0.065)


@pytest.mark.parametrize("seeds", [(2, 2), (2, 5), (3, 3)])
@pytest.mark.parametrize("spread", ["none", "5 times the clips"])
def test_methods_that_are_equal_on_average_are_told_apart_at_most_as_often_as_alpha(simulations, seeds, spread):
    assert is_within(simulations.seeds_size(seeds, spread, REPETITIONS // 2), 0.0, 0.05)


@pytest.mark.parametrize("n", [20, 50, 200])
def test_the_detectable_difference_is_found_four_times_of_five(simulations, n):
    assert is_within(simulations.power(n, REPETITIONS), 0.77, 0.82)


@pytest.mark.parametrize("seeds", [2, 3])
def test_so_is_that_of_methods_with_several_seeds(simulations, seeds):
    assert is_within(simulations.seeds_power(seeds, REPETITIONS // 2), 0.77, 0.83)
