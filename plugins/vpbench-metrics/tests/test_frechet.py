"""The Fréchet distance against closed forms, and against matrix roots where those are accurate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from vpbench_metrics.frechet import frechet_distance


def spread_as(deviations, mean, *, n=50, seed=0):
    """n vectors whose sample means and standard deviations are exactly these, up to rounding, and no correlations."""
    rng = np.random.default_rng(seed)
    centred = rng.standard_normal((n, len(mean)))
    centred -= centred.mean(axis=0)
    white, _ = np.linalg.qr(centred)
    return white * deviations * np.sqrt(n - 1) + mean


def textbook(first, second):
    """|m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½), each term as it is written."""
    c1, c2 = (np.cov(vectors, rowvar=False) for vectors in (first, second))
    root = np.real(sqrtm(c1 @ c2))
    return np.sum((first.mean(axis=0) - second.mean(axis=0)) ** 2) + np.trace(c1 + c2 - 2 * root)


def test_of_gaussians_with_diagonal_covariances():
    """There it is |m1 - m2|² + sum of (s1 - s2)² over standard deviations."""
    s1, s2 = np.array([1.0, 0.5, 3.0, 0.0]), np.array([2.0, 0.5, 0.1, 1.0])
    m1, m2 = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 1.0, 0.0, 3.0])
    found = frechet_distance(spread_as(s1, m1), spread_as(s2, m2, n=70, seed=1))
    assert found == pytest.approx(np.sum((m1 - m2) ** 2) + np.sum((s1 - s2) ** 2), rel=1e-12)


def test_in_one_dimension_by_hand():
    """Means 2 and 3, variances 4 and 1: 1 + (2 - 1)²."""
    assert frechet_distance(np.array([[0.0], [2.0], [4.0]]), np.array([[2.0], [3.0], [4.0]])) == pytest.approx(2)


@pytest.mark.parametrize(("n", "m"), [(40, 40), (40, 300), (300, 40)])
def test_equals_the_textbook_formula_for_full_covariances(n, m):
    rng = np.random.default_rng(0)
    first = rng.standard_normal((n, 12)) @ rng.standard_normal((12, 12)) + 3
    second = rng.standard_normal((m, 12)) @ rng.standard_normal((12, 12))
    assert frechet_distance(first, second) == pytest.approx(textbook(first, second), rel=1e-10)


def test_covariances_of_one_rank_less_than_vectors_need_no_offset():
    """5 vectors of 40 numbers, rotated from a plane where the closed form is known."""
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((40, 40)))
    spread = np.zeros((5, 40))
    spread[:, :2] = [[1, 0], [-1, 0], [0, 1], [0, -1], [0, 0]]
    expected = 2 * (np.sqrt(0.5) * (3 - 1)) ** 2  # two axes with variance 2/4, one set three times as wide
    assert frechet_distance(spread @ rotation, 3 * spread @ rotation) == pytest.approx(expected, rel=1e-12)


def test_equal_sets_are_at_zero_to_the_precision_of_float64():
    """A root of eigenvalues would leave 1e-8 of the spread here: its square is all that float64 resolves."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((100, 80)) * np.logspace(0, -9, 80)
    assert 0 <= frechet_distance(vectors, vectors) < 1e-13
    assert frechet_distance(vectors, vectors[::-1]) < 1e-13


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 12), m=st.integers(2, 12), length=st.integers(1, 8))
def test_symmetric_and_blind_to_order_rotation_and_shift(seed, n, m, length):
    rng = np.random.default_rng(seed)
    first, second = rng.standard_normal((n, length)), 2 * rng.standard_normal((m, length)) + 1
    rotation, _ = np.linalg.qr(rng.standard_normal((length, length)))
    found = frechet_distance(first, second)
    assert found >= 0
    for other in (
        frechet_distance(second, first),
        frechet_distance(first[::-1], second),
        frechet_distance(first @ rotation + 5, second @ rotation + 5),
        frechet_distance(3 * first, 3 * second) / 9,
    ):
        assert other == pytest.approx(found, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("first", "second"), [((3, 2), (3, 4)), ((1, 2), (3, 2)), ((3,), (3,)), ((2, 3, 2), (2, 3, 2))]
)
def test_sets_of_another_shape_are_refused(first, second):
    with pytest.raises(ValueError, match="at least 2 vectors of one length"):
        frechet_distance(np.zeros(first), np.zeros(second))
