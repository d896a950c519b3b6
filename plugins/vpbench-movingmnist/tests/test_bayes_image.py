"""The mean overlay against enumeration of all places."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vpbench_movingmnist import generator
from vpbench_movingmnist.bayes_image import mean_overlay
from vpbench_movingmnist.digits import images


def enumerated(glyphs: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Every combination of places is overlaid and weighted by its probability; float64 (S, S) in [0, 1]."""
    reach = maps.shape[1]
    size = glyphs.shape[1] + reach - 1
    mean = np.zeros((size, size))
    for places in itertools.product(*(list(zip(*np.nonzero(each), strict=True)) for each in maps)):
        frame, probability = np.zeros((size, size)), 1.0
        for d, (i, j) in enumerate(places):
            window = frame[i : i + glyphs.shape[1], j : j + glyphs.shape[1]]
            np.maximum(window, glyphs[d] / 255, out=window)
            probability *= maps[d, i, j]
        mean += probability * frame
    return mean


def random_maps(rng: np.random.Generator, n_digits: int, reach: int, possible: int) -> np.ndarray:
    maps = np.zeros((n_digits, reach * reach))
    for each in maps:
        each[rng.choice(reach * reach, possible, replace=False)] = rng.dirichlet(np.ones(possible))
    return maps.reshape(n_digits, reach, reach)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_digits=st.integers(1, 3),
    reach=st.integers(1, 5),
    glyph_size=st.integers(1, 5),
    possible=st.integers(1, 6),
    inked=st.floats(0, 1),
)
def test_equals_the_mean_over_all_combinations_of_places(
    seed: int, n_digits: int, reach: int, glyph_size: int, possible: int, inked: float
) -> None:
    rng = np.random.default_rng(seed)
    glyphs = rng.integers(0, 256, (n_digits, glyph_size, glyph_size), dtype=np.uint8)
    glyphs[rng.uniform(size=glyphs.shape) > inked] = 0
    maps = random_maps(rng, n_digits, reach, min(possible, reach * reach))
    np.testing.assert_allclose(mean_overlay(glyphs, maps[None])[0], enumerated(glyphs, maps), atol=1e-6)


@pytest.mark.parametrize(("n_digits", "possible"), [(1, 200), (2, 12), (3, 4)])
def test_digits_of_full_size_equal_the_mean_over_all_combinations(n_digits: int, possible: int) -> None:
    glyphs = images()[[60_000, 60_001, 60_002][:n_digits]]
    maps = np.zeros((n_digits, 37, 37))
    maps[:, 10:25, 8:23] = random_maps(np.random.default_rng(2), n_digits, 15, possible)
    np.testing.assert_allclose(mean_overlay(glyphs, maps[None])[0], enumerated(glyphs, maps), atol=1e-6)


def test_certain_places_give_the_frame_itself() -> None:
    glyphs = images()[[60_010, 60_011]]
    places = np.array([[(0, 36), (4, 20)], [(17, 17), (20, 19)]])  # (T, D, 2); overlapping in the second
    maps = np.zeros((2, 2, 37, 37))
    for t, d in np.ndindex(2, 2):
        maps[t, d, places[t, d, 0], places[t, d, 1]] = 1.0
    expected = generator.render(glyphs[None], places[None].astype(float), size=64)[0, :, 0] / np.float32(255)
    np.testing.assert_allclose(mean_overlay(glyphs, maps), expected, atol=1e-7, rtol=0)


def test_maps_of_another_number_of_digits_are_refused() -> None:
    with pytest.raises(ValueError, match="2 glyphs do not fit the maps of 3 digits"):
        mean_overlay(images()[:2], np.zeros((1, 3, 37, 37)))
