"""The named conventions, each against a straight-line account of what its code base does, frame by frame in float64."""

from __future__ import annotations

import io
import itertools
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
import vpbench_metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from vpbench import MetricSpec, Scored

SPECS = {spec.name: spec for spec in vpbench_metrics.vpbench_metrics() if spec.convention != "vpbench"}
ATOL = 1e-9  # promised: 1e-6

Frames = np.ndarray  # float32 (B, T, C, H, W); predictions are raw, with values outside [0, 1]


@pytest.fixture(params=SPECS.values(), ids=SPECS.keys())
def convention_spec(request: pytest.FixtureRequest) -> MetricSpec:
    return request.param


def scored_of(raw: Frames, target: Frames) -> Scored:
    """As the core hands it over."""
    prediction = torch.from_numpy(raw.copy())
    return Scored(predicted=prediction.clamp(0, 1), target=torch.from_numpy(target.copy()), raw=prediction)


def statistics(spec: MetricSpec, scored: Scored) -> dict[str, np.ndarray]:
    return {name: values.cpu().numpy() for name, values in spec.load()(None).statistics(scored).items()}


def score(name: str, raw: Frames, target: Frames) -> float:
    """The score of a batch: over the steps of each clip, then the mean over clips, as the core does."""
    spec = SPECS[name]
    over_steps = np.sum if spec.over_steps == "sum" else np.mean
    found = statistics(spec, scored_of(raw, target))
    return float(spec.load()(None).score({key: over_steps(values, axis=1).mean() for key, values in found.items()}))


# ------------------------------------------------------------------------------------------- what the originals compute


def pairs(raw: Frames, target: Frames) -> list[tuple[Any, Any]]:
    """Every predicted frame with its truth, (C, H, W) float32."""
    return [(raw[b, t], target[b, t]) for b in range(raw.shape[0]) for t in range(raw.shape[1])]


def mean(values: Any) -> float:
    values = list(values)
    return math.fsum(values) / len(values)


def capped(peak: float, squared_error: float) -> float:
    return 100.0 if squared_error == 0 else min(100.0, 10 * math.log10(peak**2 / squared_error))


def wide(frame: np.ndarray) -> np.ndarray:
    return frame.astype(np.float64)


def squared(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (wide(x) - wide(y)) ** 2


def absolute(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(wide(x) - wide(y))


def bytes_of(frame: np.ndarray) -> np.ndarray:
    return np.uint8(np.clip(frame, 0, 1) * 255)


def skimage_7(x: np.ndarray, y: np.ndarray) -> float:
    """Of float images, with the range that scikit-image once took for them and now has to be told."""
    return structural_similarity(wide(x), wide(y), channel_axis=0, data_range=2.0)


def png(frame: np.ndarray) -> Image.Image:
    """The image that torchvision's save_image writes of a frame, read back."""
    levels = (frame * np.float32(255) + np.float32(0.5)).clip(0, 255).astype(np.uint8)
    if len(levels) == 1:
        levels = np.repeat(levels, 3, axis=0)
    file = io.BytesIO()
    Image.fromarray(levels.transpose(1, 2, 0)).save(file, "png")
    return Image.open(file)


def png_squared(x: np.ndarray, y: np.ndarray) -> float:
    return np.mean((np.asarray(png(x)) / 255.0 - np.asarray(png(y)) / 255.0) ** 2)


def png_ssim(x: np.ndarray, y: np.ndarray) -> float:
    grey = [np.asarray(png(frame).convert("L")) for frame in (x, y)]
    return structural_similarity(*grey, data_range=255, gaussian_weights=True, use_sample_covariance=False)


def windowed_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al.'s formula over every 11x11 Gaussian window of two (C, H, W) images: no filtering, no library."""
    offsets = np.arange(-5, 6)
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2

    def average(image: np.ndarray) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(image, (11, 11), axis=(1, 2))
        return np.einsum("chwij,ij->chw", windows, weights)

    ux, uy = average(x), average(y)
    vx, vy, vxy = average(x * x) - ux**2, average(y * y) - uy**2, average(x * y) - ux * uy
    c1, c2 = 0.01**2, 0.03**2
    return np.mean((2 * ux * uy + c1) * (2 * vxy + c2) / ((ux**2 + uy**2 + c1) * (vx + vy + c2)))


def mirrored(frame: np.ndarray) -> np.ndarray:
    return np.pad(wide(frame), ((0, 0), (5, 5), (5, 5)), mode="reflect")


def three(frame: np.ndarray) -> np.ndarray:
    return np.repeat(frame, 3, axis=0) if len(frame) == 1 else frame


def halved(frame: np.ndarray) -> np.ndarray:
    return np.clip((wide(three(frame)) + 1) / 2, 0, 1)


def clipped(frame: np.ndarray) -> np.ndarray:
    return np.clip(frame, 0, 1)


def frame_sum(x: np.ndarray, y: np.ndarray) -> float:
    return squared(x, y).sum()


def wrapping_psnr(x: np.ndarray, y: np.ndarray) -> float:
    return capped(255, np.mean((bytes_of(x) - bytes_of(y)) ** 2))  # uint8 throughout: numpy wraps


ORIGINALS = {
    "openstl-mse": lambda p, t: mean(frame_sum(x, y) for x, y in pairs(p, t)),
    "openstl-mae": lambda p, t: mean(absolute(x, y).sum() for x, y in pairs(p, t)),
    "openstl-rmse": lambda p, t: math.sqrt(mean(frame_sum(x, y) for x, y in pairs(p, t))),
    "openstl-ssim": lambda p, t: mean(skimage_7(clipped(x), y) for x, y in pairs(p, t)),
    "openstl-psnr": lambda p, t: mean(capped(1, squared(clipped(x), y).mean()) for x, y in pairs(p, t)),
    "phydnet-mse": lambda p, t: squared(p, t).mean(axis=(0, 1, 2)).sum(),
    "phydnet-mae": lambda p, t: absolute(p, t).mean(axis=(0, 1, 2)).sum(),
    "phydnet-ssim": lambda p, t: mean(skimage_7(y[:1], x[:1]) for x, y in pairs(p, t)),
    "predrnn-mse-seq": lambda p, t: squared(clipped(p), t).sum() / len(p),
    "predrnn-mse": lambda p, t: mean(frame_sum(clipped(x), y) for x, y in pairs(p, t)),
    "predrnn-ssim": lambda p, t: mean(
        structural_similarity(bytes_of(x), bytes_of(y), channel_axis=0) for x, y in pairs(p, t)
    ),
    "predrnn-psnr": lambda p, t: mean(capped(255, squared(bytes_of(x), bytes_of(y)).mean()) for x, y in pairs(p, t)),
    "vidode-mse": lambda p, t: mean(png_squared(x, y) for x, y in pairs(p, t)),
    "vidode-psnr": lambda p, t: capped(1, mean(png_squared(x, y) for x, y in pairs(p, t))),
    "vidode-ssim": lambda p, t: mean(png_ssim(y, x) for x, y in pairs(p, t)),
    "ignite-mse": lambda p, t: mean(squared(x, y).mean() for x, y in pairs(p, t)),
    "ignite-psnr": lambda p, t: mean(capped(1, squared(x, y).mean()) for x, y in pairs(p, t)),
    "ignite-ssim": lambda p, t: mean(windowed_ssim(mirrored(x), mirrored(y)) for x, y in pairs(p, t)),
    "vpsuite-mse": lambda p, t: mean(frame_sum(three(x), three(y)) for x, y in pairs(p, t)),
    "vpsuite-psnr": lambda p, t: mean(capped(1, squared(three(x), three(y)).mean()) for x, y in pairs(p, t)),
    "vpsuite-ssim": lambda p, t: mean(windowed_ssim(halved(x), halved(y)) for x, y in pairs(p, t)),
    "simvp-v1-mse": lambda p, t: mean(frame_sum(x, y) for x, y in pairs(p, t)),
    "simvp-v1-mae": lambda p, t: mean(absolute(x, y).sum() for x, y in pairs(p, t)),
    "simvp-v1-ssim": lambda p, t: mean(skimage_7(clipped(x), y) for x, y in pairs(p, t)),
    "simvp-v1-psnr": lambda p, t: mean(wrapping_psnr(x, y) for x, y in pairs(p, t)),
    "valid-gauss-ssim": lambda p, t: mean(windowed_ssim(wide(clipped(x)), wide(y)) for x, y in pairs(p, t)),
    "valid-gauss-psnr": lambda p, t: mean(capped(1, squared(clipped(x), y).mean()) for x, y in pairs(p, t)),
}


# --------------------------------------------------------------------------------------------------------- their frames


def as_levels(frames: np.ndarray) -> Frames:
    """Values that a dataset of bytes has: k / 255 in float32."""
    return np.round(frames * 255).astype(np.uint8).astype(np.float32) / np.float32(255)


def golden(kit: Any, kind: str, shape: tuple[int, ...]) -> tuple[Frames, Frames]:
    """A raw prediction and a truth."""
    rng = np.random.default_rng(7)
    truth = as_levels(kit.strokes(shape, 3))
    match kind:
        case "out of range":
            return (truth + rng.normal(0, 0.25, shape)).astype(np.float32), truth
        case "far out of range":  # below -1 too, where even (x + 1) / 2 is cut
            return (4 * rng.random(shape) - 2).astype(np.float32), truth
        case "random":
            return rng.random(shape, dtype=np.float32), rng.random(shape, dtype=np.float32)
        case "blurred":
            return gaussian_filter(truth, sigma=(0, 0, 0, 1, 1)), truth
        case "flat":
            return np.full(shape, 0.93, dtype=np.float32), np.full(shape, 0.9, dtype=np.float32)
        case "black":
            return np.zeros(shape, dtype=np.float32), truth
        case "one perfect frame":
            raw = gaussian_filter(truth, sigma=(0, 0, 0, 1, 1))
            raw[0, 0] = truth[0, 0]
            return raw, truth
    raise ValueError(kind)


KINDS = ("out of range", "far out of range", "random", "blurred", "flat", "black", "one perfect frame")
SHAPES = [(2, 3, 1, 20, 24), (1, 2, 3, 15, 17), (1, 1, 1, 11, 11)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_what_the_original_computes(kit, convention_spec, kind, shape):
    raw, target = golden(kit, kind, shape)
    name = convention_spec.name
    expected = float(ORIGINALS[name](raw, target))
    assert score(name, raw, target) == pytest.approx(expected, rel=ATOL, abs=ATOL)


def test_each_metric_has_an_original_and_each_convention_its_metrics():
    assert ORIGINALS.keys() == SPECS.keys()
    found = {}
    for spec in SPECS.values():
        assert spec.name.startswith(f"{spec.convention}-")
        found.setdefault(spec.convention, set()).add(spec.name.removeprefix(f"{spec.convention}-"))
    assert found == {
        "openstl": {"mse", "mae", "rmse", "ssim", "psnr"},
        "phydnet": {"mse", "mae", "ssim"},
        "predrnn": {"mse-seq", "mse", "ssim", "psnr"},
        "vidode": {"mse", "psnr", "ssim"},
        "ignite": {"mse", "psnr", "ssim"},
        "vpsuite": {"mse", "psnr", "ssim"},
        "simvp-v1": {"mse", "mae", "ssim", "psnr"},
        "valid-gauss": {"psnr", "ssim"},
    }


def test_sample_covariance_divides_by_one_less_than_the_pixels_of_the_window():
    """A 7x7 frame holds one window: two means and one covariance matrix, no filtering, no library for SSIM."""
    rng = np.random.default_rng(3)
    x, y = rng.random((2, 1, 1, 1, 7, 7), dtype=np.float32)
    ux, uy = wide(x).mean(), wide(y).mean()
    ((vx, vxy), (_, vy)) = np.cov(wide(x).ravel(), wide(y).ravel(), ddof=1)
    c1, c2 = 0.02**2, 0.06**2
    expected = (2 * ux * uy + c1) * (2 * vxy + c2) / ((ux**2 + uy**2 + c1) * (vx + vy + c2))
    assert score("openstl-ssim", x, y) == pytest.approx(expected, abs=1e-13)
    assert score("phydnet-ssim", x, y) == pytest.approx(expected, abs=1e-13)


# ----------------------------------------------------------------------------------------- closed forms: black, perfect

PERFECT = {"mse": 0, "mae": 0, "rmse": 0, "mse-seq": 0, "psnr": 100, "ssim": 1}


@pytest.mark.parametrize("shape", [(2, 2, 1, 20, 20), (1, 1, 3, 13, 19)], ids=str)
def test_a_perfect_prediction_has_a_finite_and_perfect_score(kit, convention_spec, shape):
    target = as_levels(kit.strokes(shape, 0))
    kind = convention_spec.name.removeprefix(f"{convention_spec.convention}-")
    assert score(convention_spec.name, target, target) == PERFECT[kind]


# A black frame where the truth is white, 12x12: every value is off by 1, and windows are flat.
BLACK_ON_WHITE = {
    "openstl-mse": 144,
    "openstl-mae": 144,
    "openstl-rmse": 12,
    "openstl-ssim": 4e-4 / (1 + 4e-4),
    "openstl-psnr": 0,
    "phydnet-mse": 144,
    "phydnet-mae": 144,
    "phydnet-ssim": 4e-4 / (1 + 4e-4),
    "predrnn-mse-seq": 2 * 144,
    "predrnn-mse": 144,
    "predrnn-ssim": 1e-4 / (1 + 1e-4),
    "predrnn-psnr": 0,
    "vidode-mse": 1,
    "vidode-psnr": 0,
    "vidode-ssim": 1e-4 / (1 + 1e-4),
    "ignite-mse": 1,
    "ignite-psnr": 0,
    "ignite-ssim": 1e-4 / (1 + 1e-4),
    "vpsuite-mse": 3 * 144,
    "vpsuite-psnr": 0,
    "vpsuite-ssim": (2 * 0.5 + 1e-4) / (0.5**2 + 1 + 1e-4),  # 1/2 against 1: .80 for the worst there is
    "simvp-v1-mse": 144,
    "simvp-v1-mae": 144,
    "simvp-v1-ssim": 4e-4 / (1 + 4e-4),
    "simvp-v1-psnr": 20 * math.log10(255),  # 0 - 255 is 1 in uint8: 48 dB for the worst there is
    "valid-gauss-ssim": 1e-4 / (1 + 1e-4),
    "valid-gauss-psnr": 0,
}


def test_a_black_frame_where_all_is_white(convention_spec):
    black = np.zeros((3, 2, 1, 12, 12), dtype=np.float32)
    value = score(convention_spec.name, black, black + 1)
    assert value == pytest.approx(BLACK_ON_WHITE[convention_spec.name], abs=1e-12)


def test_a_black_frame_on_sparse_strokes_has_a_high_ssim_in_every_convention(kit):
    """Windows of nothing but background count as perfect."""
    target = as_levels(kit.strokes((3, 2, 1, 48, 48), 1))
    for name in (name for name in SPECS if name.endswith("ssim")):
        assert score(name, np.zeros_like(target), target) > 0.5, name


# ----------------------------------------------------------------------------------------------- how conventions relate


def moving(kit: Any) -> tuple[Frames, Frames, Frames]:
    """A truth that moves by 3 pixels a step, its first frame held still, and its blur."""
    first = as_levels(kit.strokes((4, 1, 1, 48, 48), 2))
    truth = np.concatenate([np.roll(first, 3 * step, axis=-1) for step in range(1, 5)], axis=1)
    return truth, np.repeat(first, 4, axis=1), gaussian_filter(truth, sigma=(0, 0, 0, 1.2, 1.2))


def test_overflow_ranks_a_frame_held_still_above_a_blur_of_the_truth(kit):
    truth, still, blur = moving(kit)
    assert score("simvp-v1-psnr", still, truth) > score("simvp-v1-psnr", blur, truth)
    for honest in ("openstl-psnr", "predrnn-psnr", "vidode-psnr", "ignite-psnr", "vpsuite-psnr", "valid-gauss-psnr"):
        assert score(honest, still, truth) < score(honest, blur, truth), honest


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), low=st.floats(-2, 1), high=st.floats(0, 3))
def test_overflow_gives_24_dB_to_anything(seed, low, high):
    rng = np.random.default_rng(seed)
    raw = (low + (high - low) * rng.random((1, 2, 1, 12, 12))).astype(np.float32)
    target = as_levels(rng.random(raw.shape))
    assert score("simvp-v1-psnr", raw, target) >= 10 * math.log10(255**2 / 249) > 24.16


def test_overflow_takes_an_error_of_16_levels_for_none():
    target = np.zeros((1, 1, 1, 8, 8), dtype=np.float32)
    raw = target + np.float32(16.5 / 255)
    assert score("simvp-v1-psnr", raw, target) == 100
    assert score("predrnn-psnr", raw, target) == pytest.approx(20 * math.log10(255 / 16))


def test_only_the_psnr_with_overflow_is_an_exhibit_and_ranks_nothing():
    assert [spec.name for spec in SPECS.values() if not spec.ranks] == ["simvp-v1-psnr"]
    assert SPECS["simvp-v1-psnr"].exhibit


def test_a_value_range_of_2_raises_the_ssim_of_the_same_prediction(kit):
    """Twice the range, four times the constants: differences weigh less. PredRNN's is the same window with range 1."""
    truth, still, blur = moving(kit)
    for prediction in (still, as_levels(blur)):  # levels, so that rounding down changes nothing
        assert score("openstl-ssim", prediction, truth) > score("predrnn-ssim", prediction, truth)


def test_mirrored_edges_raise_the_ssim_of_frames_with_a_dark_border(kit):
    truth = np.pad(as_levels(kit.strokes((3, 2, 1, 36, 36), 0)), [(0, 0)] * 3 + [(6, 6)] * 2)
    blur = gaussian_filter(truth, sigma=(0, 0, 0, 1, 1))
    assert score("ignite-ssim", blur, truth) > score("valid-gauss-ssim", blur, truth)


def test_frames_squeezed_into_half_the_range_raise_the_ssim(kit):
    truth, still, blur = moving(kit)
    for prediction in (still, blur):
        assert score("vpsuite-ssim", prediction, truth) > score("valid-gauss-ssim", prediction, truth)


def test_vp_suite_counts_grey_three_times_and_colour_once(kit):
    for channels, times in ((1, 3), (3, 1)):
        raw, target = golden(kit, "out of range", (2, 2, channels, 16, 16))
        assert score("vpsuite-mse", raw, target) == pytest.approx(times * score("openstl-mse", raw, target), rel=1e-12)


def test_mse_per_sequence_is_that_of_a_frame_times_the_horizon(kit):
    for horizon in (1, 5):
        raw, target = golden(kit, "out of range", (2, horizon, 1, 16, 16))
        per_frame = score("predrnn-mse", raw, target)
        assert score("predrnn-mse-seq", raw, target) == pytest.approx(horizon * per_frame, rel=1e-12)


def test_clamping_is_what_tells_phydnet_from_openstl_on_grey_frames(kit):
    raw, target = golden(kit, "out of range", (2, 2, 1, 20, 20))
    inside = raw.clip(0, 1)
    for metric in ("mse", "mae", "ssim"):
        assert score(f"phydnet-{metric}", inside, target) == score(f"openstl-{metric}", inside, target)
    assert score("phydnet-ssim", raw, target) != score("openstl-ssim", raw, target)
    assert score("predrnn-mse", raw, target) < score("openstl-mse", raw, target)


def test_valid_gauss_is_the_default_under_its_own_name(kit):
    raw, target = golden(kit, "out of range", (2, 2, 1, 20, 20))
    for metric in ("ssim", "psnr"):
        spec, default = SPECS[f"valid-gauss-{metric}"], kit.specs[metric]
        assert (spec.factory, spec.statistics) == (default.factory, default.statistics)
        assert score(spec.name, raw, target) == pytest.approx(kit.score(default, scored_of(raw, target)), rel=1e-14)


def test_only_functions_of_the_mean_squared_error_are_bounded_by_the_posterior_mean(kit):
    named = {spec.name for spec in [*kit.specs.values(), *SPECS.values()] if spec.mean_optimal}
    assert named == {
        *("mse", "mse-sum", "psnr-pooled", "openstl-mse", "openstl-rmse", "phydnet-mse", "predrnn-mse"),
        *("predrnn-mse-seq", "ignite-mse", "vpsuite-mse", "simvp-v1-mse"),
    }


@pytest.mark.parametrize("clip", range(3))
def test_nothing_beats_the_mean_of_two_futures_where_that_is_said(kit, clip):
    """Two equally likely truths: what is off by half of their difference in both has the least squared error."""
    one, other = (as_levels(kit.strokes((1, 1, 1, 16, 16), seed)) for seed in (clip, clip + 9))
    rng = np.random.default_rng(clip)
    for name in (spec.name for spec in SPECS.values() if spec.mean_optimal):
        truths = np.concatenate([one, other])

        def of(prediction, name=name, truths=truths):
            return score(name, np.repeat(prediction, 2, axis=0).astype(np.float32), truths)

        best = of((one + other) / 2)
        for prediction in (one, other, 0 * one, (one + other) / 2 + rng.normal(0, 0.1, one.shape)):
            assert of(prediction) > best, name


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0, 3), height=st.integers(11, 24), width=st.integers(11, 24))
def test_similarity_is_at_most_1_and_blind_to_mirrors(seed, spread, height, width):
    rng = np.random.default_rng(seed)
    raw = (0.5 + spread * (rng.random((1, 2, 1, height, width)) - 0.5)).astype(np.float32)
    target = as_levels(rng.random(raw.shape))
    for name in (name for name in SPECS if name.endswith("ssim")):
        value = score(name, raw, target)
        assert value <= 1 + 1e-12, name
        assert score(name, raw[..., ::-1], target[..., ::-1]) == pytest.approx(value, abs=1e-10), name
        turned = score(name, raw.swapaxes(-1, -2), target.swapaxes(-1, -2))
        assert turned == pytest.approx(value, abs=1e-10), name


# --------------------------------------------------------------------------------------------------------- quantisation


@pytest.mark.parametrize(("part", "name"), [(0, "predrnn-psnr"), (0.5, "vidode-psnr")])
def test_levels_are_found_in_float32_as_the_originals_find_them(part, name):
    """The values where one level ends and the next begins, and the floats next to them."""
    at = ((np.arange(256) + part) / 255).astype(np.float32)
    values = np.concatenate([at, np.nextafter(at, np.float32(-1)), np.nextafter(at, np.float32(2))]).clip(0, 1)
    raw = values.reshape(1, 1, 1, 32, 24)
    for level in (0, 37, 255):
        target = np.full_like(raw, np.float32(level) / np.float32(255))
        assert score(name, raw, target) == pytest.approx(ORIGINALS[name](raw, target), rel=1e-13)
    if part:
        in_single = np.floor(values * np.float32(255) + np.float32(0.5))
        assert (in_single != np.floor(values.astype(np.float64) * 255 + 0.5)).any()


def test_truncation_hides_what_is_less_than_a_level_and_rounding_what_is_less_than_half_of_one():
    target = np.zeros((1, 1, 1, 12, 12), dtype=np.float32)
    for part, cut, nearest in ((0.4, 0, 0), (0.9, 0, 1), (1.1, 1, 1)):
        raw = target + np.float32(part / 255)
        assert score("predrnn-psnr", raw, target) == pytest.approx(capped(255, cut))
        assert score("vidode-psnr", raw, target) == pytest.approx(capped(255, nearest))


def test_colour_is_turned_to_grey_as_pillow_does():
    """Where the fixed-point weights round: all corners of the colour cube and a random sample, as two flat frames."""
    from vpbench_metrics.quantisation import luma

    rng = np.random.default_rng(0)
    corners = np.array(list(itertools.product((0, 1, 127, 128, 254, 255), repeat=3)), dtype=np.uint8)
    colours = np.concatenate([corners, rng.integers(0, 256, (4096 - len(corners), 3), dtype=np.uint8)])
    image = colours.reshape(64, 64, 3)
    expected = np.asarray(Image.fromarray(image).convert("L"))
    found = luma(torch.from_numpy(image.transpose(2, 0, 1).copy()))
    np.testing.assert_array_equal(found[0], expected)


# --------------------------------------------------------------------------------------- what every metric must hold to


def test_statistics_are_those_the_spec_names_float64_per_clip_and_step(kit, convention_spec):
    scored = scored_of(*golden(kit, "out of range", (3, 4, 1, 16, 16)))
    before = [frames.clone() for frames in (scored.predicted, scored.target, scored.raw)]
    scored.raw.requires_grad_()
    found = convention_spec.load()(None).statistics(scored)
    assert tuple(found) == convention_spec.statistics == convention_spec.load().names
    for values in found.values():
        assert values.shape == (3, 4)
        assert values.dtype == torch.float64
        assert not values.requires_grad
    for frames, as_it_was in zip((scored.predicted, scored.target, scored.raw), before, strict=True):
        assert torch.equal(frames, as_it_was)


def test_the_raw_prediction_is_looked_at_where_the_spec_says_so_and_nowhere_else(kit, convention_spec):
    raw, target = golden(kit, "out of range", (2, 2, 1, 16, 16))
    full = scored_of(raw, target)
    metric = convention_spec.load()(None)
    without = Scored(predicted=full.predicted, target=full.target)
    if "raw" in convention_spec.needs:
        with pytest.raises(ValueError, match=r"before clamping: give it as Scored\.raw"):
            metric.statistics(without)
        changed = metric.statistics(scored_of(2 * raw, target))
        assert any(not torch.equal(changed[name], values) for name, values in metric.statistics(full).items())
    else:
        for name, values in metric.statistics(full).items():
            assert torch.equal(metric.statistics(without)[name], values)


def test_statistics_of_parts_are_those_of_the_whole(kit, convention_spec, monkeypatch):
    raw, target = golden(kit, "out of range", (5, 3, 1, 16, 16))
    whole = statistics(convention_spec, scored_of(raw, target))
    order = [3, 0, 4, 2, 1]
    permuted = statistics(convention_spec, scored_of(raw[order], target[order]))
    for place, at_once in {
        "frames._VALUES_AT_ONCE": {"cpu": 2 * 16 * 16},
        "ssim_torch._VALUES_AT_ONCE": {"cpu": 2 * 16 * 16},
        "convention_statistics._PREPARED_AT_ONCE": 2 * 3 * 16 * 16,
    }.items():
        monkeypatch.setattr(f"vpbench_metrics.{place}", at_once)
    in_pieces = statistics(convention_spec, scored_of(raw, target))
    for name, values in whole.items():
        np.testing.assert_allclose(permuted[name], values[order], rtol=1e-12)
        np.testing.assert_allclose(in_pieces[name], values, rtol=1e-12)


def test_metrics_that_share_a_statistic_share_its_values(kit):
    scored = scored_of(*golden(kit, "out of range", (2, 2, 1, 16, 16)))
    seen: dict[str, np.ndarray] = {}
    for spec in [*kit.specs.values(), *SPECS.values()]:
        for name, values in statistics(spec, scored).items():
            np.testing.assert_array_equal(seen.setdefault(name, values), values, err_msg=name)
    for one, other in (("simvp-v1-mse", "openstl-mse"), ("simvp-v1-ssim", "openstl-ssim")):
        assert SPECS[one].statistics == SPECS[other].statistics
    assert SPECS["predrnn-mse"].statistics == kit.specs["mse-sum"].statistics


@pytest.mark.parametrize("shape", [(0, 3, 1, 16, 16), (2, 0, 1, 16, 16)], ids=str)
def test_no_clips_or_no_steps_give_no_values(convention_spec, shape):
    empty = np.zeros(shape, np.float32)
    for values in statistics(convention_spec, scored_of(empty, empty)).values():
        assert values.shape == shape[:2]


def test_the_smallest_frame_is_what_the_spec_says(convention_spec):
    smallest = convention_spec.min_size
    frames = np.random.default_rng(0).random((2, 1, 1, 1, smallest, smallest), dtype=np.float32)
    for values in statistics(convention_spec, scored_of(*frames)).values():
        assert np.isfinite(values).all()
    if smallest > 1:
        small = np.zeros((1, 1, 1, smallest - 1, 64), dtype=np.float32)
        with pytest.raises(ValueError, match=rf"frames of {smallest - 1}x64 are too small"):
            statistics(convention_spec, scored_of(small, small))


@pytest.mark.parametrize("name", ["vidode-ssim", "vpsuite-ssim", "vpsuite-mse"])
def test_what_needs_colour_or_grey_refuses_other_channels(name):
    frames = np.zeros((1, 1, 2, 16, 16), dtype=np.float32)
    with pytest.raises(ValueError, match="1 or 3 channels, not 2"):
        score(name, frames, frames)


def test_nothing_is_broadcast(convention_spec):
    prediction = torch.zeros(2, 2, 3, 16, 16)
    with pytest.raises(ValueError, match="one shape"):
        convention_spec.load()(None).statistics(
            Scored(predicted=prediction, target=torch.zeros(2, 2, 1, 16, 16), raw=prediction)
        )


def test_scores_work_element_by_element_and_pass_nan_on(convention_spec):
    rng = np.random.default_rng(1)
    metric = convention_spec.load()(None)
    means = {name: rng.random((3, 4)) for name in convention_spec.statistics}
    for values in means.values():
        values[0, 0] = np.nan
    whole = metric.score(means)
    assert whole.shape == (3, 4)
    assert whole.dtype == np.float64
    assert np.isnan(whole).sum() == 1
    for index in np.ndindex(3, 4):
        alone = metric.score({name: values[index] for name, values in means.items()})
        np.testing.assert_array_equal(alone, whole[index])


def test_definition_is_one_sentence_that_says_how_values_are_bounded_and_averaged(convention_spec):
    definition = convention_spec.definition
    assert definition.endswith(".")
    assert definition.count(". ") == 0
    assert "clamped" in definition  # or unclamped
    assert ("unclamped" in definition) == ("raw" in convention_spec.needs)
    assert "clips and steps" in definition
    assert ("window" in definition) == convention_spec.name.endswith("ssim")
    assert ("100 dB" in definition) == (convention_spec.unit == "dB")
    assert convention_spec.cites
    assert not convention_spec.default
    assert ("dB" if convention_spec.unit else "o unit") in convention_spec.load().__doc__


def test_listing_and_scoring_need_numpy_alone():
    code = (
        "import sys, vpbench_metrics\n"
        "specs = list(vpbench_metrics.vpbench_metrics())\n"
        "assert 'numpy' not in sys.modules\n"
        "import numpy\n"
        "for spec in specs:\n"
        "    if spec.convention != 'vpbench':\n"
        "        spec.load()(None).score({name: numpy.ones(2) for name in spec.statistics})\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()).isdisjoint({"torch", "numba", "skimage", "scipy", "pandas", "PIL"})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_statistics_on_a_gpu_equal_those_on_the_cpu_and_stay_there(kit, convention_spec):
    for kind in KINDS:
        here = scored_of(*golden(kit, kind, (3, 2, 3, 16, 19)))
        there = Scored(predicted=here.predicted.cuda(), target=here.target.cuda(), raw=here.raw.cuda())
        expected = statistics(convention_spec, here)
        for name, values in convention_spec.load()(None).statistics(there).items():
            assert values.device.type == "cuda"
            np.testing.assert_allclose(values.cpu(), expected[name], rtol=1e-10, atol=1e-10, err_msg=f"{name}, {kind}")
