"""Channels and sizes, against plain loops in float64."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from vpbench_clips.pixels import with_channels, with_size

from vpbench.errors import DataError


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (12, 18, 3), dtype=np.uint8)


def test_grey_is_the_luma_of_bt601(picture):
    grey = with_channels(picture, 1)
    exact = picture.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    assert grey.shape == (12, 18, 1)
    assert grey.dtype == np.uint8
    assert np.abs(grey[..., 0] - exact).max() <= 0.5 + 255 * 2e-5
    assert np.array_equal(grey[..., 0], np.asarray(Image.fromarray(picture).convert("L")))


def test_grey_of_floats_is_the_same_luma(picture):
    floats = (picture / 255).astype(np.float32)
    grey = with_channels(floats, 1)
    assert grey.dtype == np.float32
    assert grey[..., 0] == pytest.approx(floats @ np.array([0.299, 0.587, 0.114]), abs=1e-5)


def test_colour_of_grey_is_three_times_it_and_back(picture):
    grey = picture[..., :1]
    assert np.array_equal(with_channels(grey, 3), np.concatenate([grey] * 3, axis=2))
    assert np.array_equal(with_channels(with_channels(grey, 3), 1), grey)


def test_other_channels_are_left_alone():
    two = np.zeros((4, 4, 2), dtype=np.uint8)
    assert with_channels(two, 2) is two
    with pytest.raises(DataError, match="2 channels cannot become frames of 1"):
        with_channels(two, 1)


def triangle(values, size, start, extent):
    """A row of pixels resampled by the triangle filter over the area that becomes a pixel, as a plain loop."""
    scale = extent / size
    reach = max(scale, 1.0)
    row = np.zeros(size)
    for k in range(size):
        centre = start + (k + 0.5) * scale
        weights = np.array([max(0.0, 1 - abs((i + 0.5 - centre) / reach)) for i in range(len(values))])
        row[k] = (weights * values).sum() / weights.sum()
    return row


def resampled(plane, size, box):
    left, top, right, bottom = box
    rows = np.stack([triangle(row, size[1], left, right - left) for row in plane.astype(np.float64)])
    return np.stack([triangle(column, size[0], top, bottom - top) for column in rows.T], axis=1)


@pytest.mark.parametrize(
    ("fit", "size", "box"),
    [
        ("stretch", (6, 6), (0, 0, 18, 12)),
        ("crop", (6, 6), (3, 0, 15, 12)),
        ("crop", (4, 12), (0, 3, 18, 9)),
        ("stretch", (24, 20), (0, 0, 18, 12)),  # larger
    ],
)
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_sizes_are_those_of_a_plain_loop(picture, fit, size, box, kind):
    given = picture if kind == "uint8" else (picture / 255).astype(np.float32)
    found = with_size(given, size, fit)
    expected = np.stack([resampled(given[..., c], size, box) for c in range(3)], axis=2)
    assert found.shape == (*size, 3)
    assert found.dtype == given.dtype
    # Pillow rounds 8 bits after each of two passes
    assert np.abs(found - expected).max() <= (1.01 if kind == "uint8" else 1e-5)


def test_padding_shows_all_between_black_bars(picture):
    found = with_size(picture, (12, 12), "pad")
    assert not found[:2].any()
    assert not found[10:].any()
    assert np.array_equal(found[2:10], with_size(picture, (8, 12), "stretch"))


def test_frames_of_that_size_are_left_alone(picture):
    assert with_size(picture, (12, 18), "crop") is picture
    assert with_size(picture, None) is picture


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_the_mean_of_a_flat_picture_stays(fit):
    flat = np.full((10, 10, 1), 77, dtype=np.uint8)
    assert (with_size(flat, (4, 4), fit) == 77).all()
