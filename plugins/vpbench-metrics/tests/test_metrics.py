"""Every metric: against plain loops and scikit-image, and what each must hold as a member of a board."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import gaussian_filter
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

from vpbench import Scored
from vpbench.stats import interval

SHAPES = [(2, 3, 1, 16, 16), (1, 2, 3, 11, 19)]

# ------------------------------------------------------ references: one frame (C, H, W) at a time, float64, plain loops


def loop_sum(x, y, term):
    """Sum of term(x, y) over a frame, value by value."""
    return math.fsum(term(float(a), float(b)) for a, b in zip(x.ravel(), y.ravel(), strict=True))


def loop_gradient_energy(frame):
    channels, height, width = frame.shape
    across = [
        (float(frame[c, i, j + 1]) - float(frame[c, i, j])) ** 2
        for c in range(channels)
        for i in range(height)
        for j in range(width - 1)
    ]
    down = [
        (float(frame[c, i + 1, j]) - float(frame[c, i, j])) ** 2
        for c in range(channels)
        for i in range(height - 1)
        for j in range(width)
    ]
    return math.fsum(across) / len(across) + math.fsum(down) / len(down)


def library_psnr(x, y):
    if np.array_equal(x, y):
        return 100.0
    return min(100.0, peak_signal_noise_ratio(y.astype(np.float64), x.astype(np.float64), data_range=1.0))


REFERENCES = {
    "squared_error": lambda x, y: mean_squared_error(x.astype(np.float64), y.astype(np.float64)),
    "absolute_error": lambda x, y: loop_sum(x, y, lambda a, b: abs(a - b)) / x.size,
    "squared_error_sum": lambda x, y: loop_sum(x, y, lambda a, b: (a - b) ** 2),
    "absolute_error_sum": lambda x, y: loop_sum(x, y, lambda a, b: abs(a - b)),
    "psnr": library_psnr,
    "energy": lambda x, y: loop_sum(x, y, lambda a, b: a * a + b * b) / x.size,
    "intensity_predicted": lambda x, y: loop_sum(x, y, lambda a, b: a) / x.size,
    "intensity_target": lambda x, y: loop_sum(x, y, lambda a, b: b) / x.size,
    "foreground_intersection": lambda x, y: loop_sum(x, y, lambda a, b: a > 0.5 and b > 0.5),
    "foreground_union": lambda x, y: loop_sum(x, y, lambda a, b: a > 0.5 or b > 0.5),
    "gradient_energy_predicted": lambda x, y: loop_gradient_energy(x),
    "gradient_energy_target": lambda x, y: loop_gradient_energy(y),
}


def reference(kit, name, predicted, target):
    if name == "ssim":
        return kit.reference_ssim(predicted, target)
    if name in ("energy_weighted_ssim", "window_energy"):
        return kit.reference_foreground_ssim(predicted, target)[name]
    return np.array(
        [
            [REFERENCES[name](*frames) for frames in zip(*clip, strict=True)]
            for clip in zip(predicted, target, strict=True)
        ]
    )


# ----------------------------------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_statistics_equal_the_reference_on_every_kind_of_frame(kit, spec, shape):
    for kind in kit.kinds:
        predicted, target = kit.pair(kind, shape)
        for name, found in kit.statistics(spec, kit.batch(predicted, target)).items():
            expected = reference(kit, name, predicted, target)
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10, err_msg=f"{name} of {kind}")


def test_statistics_are_those_the_spec_names_float64_per_clip_and_step(kit, spec):
    scored = kit.batch(*kit.pair("noisy", (3, 4, 1, 16, 16)))
    found = spec.load()(None).statistics(scored)
    assert tuple(found) == spec.statistics
    for values in found.values():
        assert values.shape == (3, 4)
        assert values.dtype == torch.float64
        assert values.device == scored.predicted.device
        assert not values.requires_grad


def test_statistics_leave_the_frames_alone_and_keep_no_graph(kit, spec):
    scored = kit.batch(*kit.pair("noisy", (2, 2, 1, 16, 16)))
    before = [frames.clone() for frames in (scored.predicted, scored.target)]
    scored.predicted.requires_grad_()
    found = spec.load()(None).statistics(scored)
    assert torch.equal(scored.predicted, before[0])
    assert torch.equal(scored.target, before[1])
    assert not any(values.requires_grad for values in found.values())


def test_the_prediction_before_clamping_is_not_looked_at(kit, spec):
    predicted, target = map(torch.from_numpy, kit.pair("noisy", (2, 2, 1, 16, 16)))
    with_raw = Scored(predicted=predicted, target=target, raw=predicted * torch.nan)
    assert kit.score(spec, with_raw) == kit.score(spec, Scored(predicted=predicted, target=target))
    assert "raw" not in spec.needs


def test_statistics_of_parts_are_those_of_the_whole(kit, spec, monkeypatch):
    predicted, target = kit.pair("noisy", (5, 3, 1, 16, 16))
    whole = kit.statistics(spec, kit.batch(predicted, target))
    parts = [kit.statistics(spec, kit.batch(predicted[rows], target[rows])) for rows in (slice(0, 1), slice(1, 5))]
    monkeypatch.setattr("vpbench_metrics.frames._VALUES_AT_ONCE", {"cpu": 2 * 16 * 16})
    in_pieces = kit.statistics(spec, kit.batch(predicted, target))
    for name, values in whole.items():
        np.testing.assert_allclose(np.concatenate([part[name] for part in parts]), values, rtol=1e-13)
        np.testing.assert_allclose(in_pieces[name], values, rtol=1e-13)


def test_permuted_clips_give_permuted_statistics(kit, spec):
    predicted, target = kit.pair("noisy", (5, 2, 1, 16, 16))
    order = [3, 0, 4, 2, 1]
    permuted = kit.statistics(spec, kit.batch(predicted[order], target[order]))
    for name, values in kit.statistics(spec, kit.batch(predicted, target)).items():
        np.testing.assert_array_equal(permuted[name], values[order])


def test_memory_layout_does_not_matter(kit, spec):
    predicted, target = map(torch.from_numpy, kit.pair("noisy", (3, 2, 3, 16, 16)))
    expected = kit.statistics(spec, Scored(predicted=predicted, target=target))
    by_time = [frames.transpose(0, 1).contiguous().transpose(0, 1) for frames in (predicted, target)]
    last = [frames.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3) for frames in (predicted, target)]
    for x, y in (by_time, last):
        assert not x.is_contiguous()
        for name, values in kit.statistics(spec, Scored(predicted=x, target=y)).items():
            np.testing.assert_allclose(values, expected[name], rtol=1e-12)
    still = Scored(predicted=predicted[:, :1].expand(3, 2, 3, 16, 16), target=target[:1].expand(3, 2, 3, 16, 16))
    copied = Scored(predicted=still.predicted.contiguous(), target=still.target.contiguous())
    for name, values in kit.statistics(spec, still).items():
        np.testing.assert_allclose(values, kit.statistics(spec, copied)[name], rtol=1e-12)


@pytest.mark.parametrize("other", [(2, 2, 1, 16, 16), (2, 2, 3, 1, 16), (1, 2, 3, 16, 16), (2, 3, 16, 16)], ids=str)
def test_nothing_is_broadcast(spec, other):
    with pytest.raises(ValueError, match="one shape"):
        spec.load()(None).statistics(Scored(predicted=torch.zeros(2, 2, 3, 16, 16), target=torch.zeros(other)))


@pytest.mark.parametrize("shape", [(0, 3, 1, 16, 16), (2, 0, 1, 16, 16)], ids=str)
def test_no_clips_or_no_steps_give_no_values(kit, spec, shape):
    for values in kit.statistics(spec, kit.batch(np.zeros(shape, np.float32), np.zeros(shape, np.float32))).values():
        assert values.shape == shape[:2]


def test_the_smallest_frame_is_what_the_spec_says(kit, spec):
    frames = np.random.default_rng(0).random((2, 1, 1, 1, spec.min_size, spec.min_size), dtype=np.float32)
    for name, values in kit.statistics(spec, kit.batch(*frames)).items():
        assert np.isfinite(values).all(), name
    if spec.min_size > 1:
        small = torch.zeros(1, 1, 1, spec.min_size - 1, 64)
        with pytest.raises(ValueError, match=f"{spec.min_size - 1}x64"):
            spec.load()(None).statistics(Scored(predicted=small, target=small))


# --------------------------------------------------------------------------------------------------------------- scores


def test_scores_work_element_by_element_over_any_axes(spec):
    rng = np.random.default_rng(1)
    means = {name: rng.random((3, 4, 5)) for name in spec.statistics}
    metric = spec.load()(None)
    whole = metric.score(means)
    assert isinstance(whole, np.ndarray)
    assert whole.shape == (3, 4, 5)
    assert whole.dtype == np.float64
    for index in np.ndindex(3, 4, 5):
        assert metric.score({name: values[index] for name, values in means.items()}) == whole[index]


def test_scores_pass_nan_on_without_a_warning(spec):
    means = {name: np.array([np.nan, 0.5, 0.0]) for name in spec.statistics}
    before = {name: values.copy() for name, values in means.items()}
    with np.errstate(all="raise"):
        value = spec.load()(None).score(means)
    assert np.isnan(value[0])
    assert np.isfinite(value[1])
    for name, values in means.items():
        np.testing.assert_array_equal(values, before[name])


def test_nothing_beats_a_perfect_prediction(kit, spec):
    _, target = kit.pair("noisy", (3, 2, 1, 32, 32))
    best = kit.score(spec, kit.batch(target, target))
    errors = dict.fromkeys(("mse", "mae", "mse-sum", "mae-sum", "foreground-mse"), 0)
    assert best == {**errors, "psnr": 100, "psnr-pooled": 100}.get(spec.name, 1)
    rng = np.random.default_rng(5)
    others = {
        "black": np.zeros_like(target),
        "white": np.ones_like(target),
        "noise": rng.random(target.shape, dtype=np.float32),
        "inverted": 1 - target,
        "shifted": np.roll(target, 2, axis=-1),
        "faded": target * np.float32(0.4),
        "blurred": gaussian_filter(target, sigma=(0, 0, 0, 1, 1)),
        "noisy": np.clip(target + rng.normal(0, 0.1, target.shape), 0, 1, dtype=np.float32),
    }
    sign = 1 if spec.higher_is_better else -1
    blind = {"iou": {"noisy"}, "sharpness": {"inverted", "shifted"}, "ink-mass": {"shifted", "blurred"}}
    blind_to = blind.get(spec.name, set())  # equal is allowed, not more
    for what, predicted in others.items():
        value = kit.score(spec, kit.batch(predicted, target))
        if spec.ideal is not None:  # best is 1, not the most
            value, best = -abs(math.log(max(value, 1e-9))), 0
        assert sign * value <= sign * best + (1e-12 if what in blind_to else 0), what
        assert what in blind_to or sign * value < sign * best, what


@pytest.mark.parametrize("seed", range(3))
def test_more_noise_is_never_better(kit, spec, seed):
    target = kit.strokes((3, 2, 1, 32, 32), seed)
    noise = np.random.default_rng(seed).normal(0, 1, target.shape)
    levels = (0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
    predictions = [np.clip(target + level * noise, 0, 1).astype(np.float32) for level in levels]
    values = [kit.score(spec, kit.batch(predicted, target)) for predicted in predictions]
    worse = np.diff(values) * (-1 if spec.higher_is_better and spec.ideal is None else 1)  # which noise raises
    assert (worse >= 0).all(), values
    assert values[0] != values[-1]


@pytest.mark.parametrize("seed", range(3))
def test_more_blur_is_never_better(kit, spec, seed):
    target = kit.strokes((3, 2, 1, 32, 32), seed)
    predictions = [gaussian_filter(target, sigma=(0, 0, 0, s, s)) for s in (0, 0.6, 0.9, 1.3, 2, 4)]
    values = [kit.score(spec, kit.batch(predicted, target)) for predicted in predictions]
    worse = np.diff(values) * (-1 if spec.higher_is_better else 1)
    assert (worse >= (-1e-6 if spec.name == "ink-mass" else 0)).all(), values  # blur leaves the mass alone


# ---------------------------------------------------------------------------------------------------- metric by metric


def test_sums_are_the_means_times_the_values_in_a_frame(kit):
    scored = kit.batch(*kit.pair("noisy", (2, 3, 3, 16, 12)))
    for name in ("mse", "mae"):
        mean, total = (kit.score(kit.specs[which], scored) for which in (name, f"{name}-sum"))
        assert total == pytest.approx(mean * 3 * 16 * 12, rel=1e-12)


@pytest.mark.parametrize("name", ["psnr", "psnr-pooled"])
@pytest.mark.parametrize(
    ("error", "decibels"),
    [(0, 100), (1e-6, 100), (2e-5, 93.9794), (1 / 255, 48.1308), (0.1, 20), (0.5, 6.0206), (1, 0)],
)
def test_psnr_of_a_flat_error_and_its_cap(kit, name, error, decibels):
    target = np.zeros((1, 2, 1, 8, 8), dtype=np.float32)
    value = kit.score(kit.specs[name], kit.batch(target + np.float32(error), target))
    assert value == pytest.approx(decibels, abs=1e-4)
    assert math.copysign(1, value) == 1


def test_psnr_averages_frames_and_pooled_psnr_averages_errors(kit):
    """One perfect frame and one that is off by .1: (100 + 20) / 2 against 10 log10(1 / .005)."""
    target = np.zeros((1, 2, 1, 8, 8), dtype=np.float32)
    predicted = target.copy()
    predicted[0, 1] = 0.1
    scored = kit.batch(predicted, target)
    assert kit.score(kit.specs["psnr"], scored) == pytest.approx(60, abs=1e-5)
    assert kit.score(kit.specs["psnr-pooled"], scored) == pytest.approx(23.0103, abs=1e-4)


def test_pooled_psnr_of_a_perfect_and_a_noisy_step_side_by_side(kit):
    metric = kit.specs["psnr-pooled"].load()(None)
    np.testing.assert_allclose(metric.score({"squared_error": np.array([0.0, 0.01, 1.0])}), [100, 20, 0], atol=1e-12)


def test_foreground_begins_above_one_half(kit):
    target = np.full((1, 1, 1, 4, 4), 0.5, dtype=np.float32)
    counts = kit.statistics(kit.specs["iou"], kit.batch(np.nextafter(target, np.float32(1)), target))
    assert counts["foreground_intersection"] == 0
    assert counts["foreground_union"] == 16


def test_iou_pools_counts_so_that_a_frame_weighs_as_much_as_its_ink(kit):
    target = np.zeros((2, 1, 1, 8, 8), dtype=np.float32)
    target[0, 0, 0, :4] = 1  # 32 pixels, all found
    target[1, 0, 0, 0, :4] = 1  # 4 pixels, none found
    predicted = target.copy()
    predicted[1] = 0
    assert kit.score(kit.specs["iou"], kit.batch(predicted, target)) == pytest.approx(32 / 36)


def test_iou_is_nan_where_there_is_no_foreground_and_zero_where_it_is_invented(kit):
    black = np.zeros((1, 1, 1, 8, 8), dtype=np.float32)
    assert math.isnan(kit.score(kit.specs["iou"], kit.batch(black, black)))
    assert kit.score(kit.specs["iou"], kit.batch(black + 1, black)) == 0


def test_sharpness_is_nan_where_the_truth_has_no_edges_and_zero_where_they_are_lost(kit):
    flat = np.full((1, 1, 1, 8, 8), 0.3, dtype=np.float32)
    edges = kit.strokes(flat.shape, 0)
    assert math.isnan(kit.score(kit.specs["sharpness"], kit.batch(flat, flat)))
    assert kit.score(kit.specs["sharpness"], kit.batch(flat, edges)) == 0
    assert math.isnan(kit.score(kit.specs["sharpness"], kit.batch(edges, flat)))  # no record can hold infinity


def test_sharpness_is_the_contrast_of_a_prediction(kit):
    target = kit.strokes((2, 2, 1, 32, 32), 0)
    assert kit.score(kit.specs["sharpness"], kit.batch(target * np.float32(0.25), target)) == pytest.approx(0.25)
    assert kit.score(kit.specs["sharpness"], kit.batch(target, target * np.float32(0.25))) == pytest.approx(4)


def test_sharpness_pools_energies_before_it_divides(kit):
    means = {
        "gradient_energy_predicted": np.array([4.0, 1.0, 0.0]),
        "gradient_energy_target": np.array([1.0, 4.0, 1.0]),
    }
    np.testing.assert_array_equal(kit.specs["sharpness"].load()(None).score(means), [2, 0.5, 0])


def test_intervals_of_sharpness_cover_a_true_ratio_of_1(kit):
    """Folded at 1, none would have covered 1. 200 simulations: 95 % ± 1.5 % (one standard error)."""
    score = kit.specs["sharpness"].load()(None).score
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        shared = rng.gamma(8, 1, 100)  # clips with much ink have many edges in both
        found = interval(
            {
                "gradient_energy_predicted": shared * rng.gamma(20, 1 / 20, 100),
                "gradient_energy_target": shared * rng.gamma(20, 1 / 20, 100),
            },
            score,
        )
        covered += found.low <= 1 <= found.high
    assert 0.9 <= covered / 200 <= 0.99


def test_sharpness_does_not_care_where_the_edges_are(kit):
    target = kit.strokes((2, 2, 1, 32, 32), 0)
    turned = target[..., ::-1, ::-1]
    assert kit.score(kit.specs["sharpness"], kit.batch(turned, target)) == pytest.approx(1)


def test_sharpness_sees_the_blur_of_a_single_straight_edge(kit):
    """Which total variation would not: the height of the edge is all it knows."""
    target = np.zeros((1, 1, 1, 32, 32), dtype=np.float32)
    target[..., 16:] = 1
    blurred = gaussian_filter(target, sigma=(0, 0, 0, 0, 1.5), mode="nearest")
    assert np.abs(np.diff(blurred)).sum() == pytest.approx(np.abs(np.diff(target)).sum(), rel=1e-4)
    assert kit.score(kit.specs["sharpness"], kit.batch(blurred, target)) < 0.5


def test_colour_counts_every_channel_alike(kit, spec):
    predicted, target = kit.pair("noisy", (2, 2, 1, 16, 16))
    grey = kit.score(spec, kit.batch(predicted, target))
    rgb = kit.score(spec, kit.batch(*(np.repeat(frames, 3, axis=2) for frames in (predicted, target))))
    assert rgb == pytest.approx(grey * (3 if spec.name.endswith("-sum") else 1), rel=1e-12)


# ----------------------------------------------------------------------------------------------------------- properties

frames = arrays.arrays(
    np.float32, (2, 2, 1, 11, 12), elements=st.floats(0, 1, width=32, allow_subnormal=False), fill=st.just(0.0)
)


@settings(max_examples=25, deadline=None)
@given(predicted=frames, target=frames)
def test_statistics_and_scores_stay_within_their_bounds(kit, predicted, target):
    scored = kit.batch(predicted, target)
    bounds = {"mse": 1, "mae": 1, "mse-sum": 132, "mae-sum": 132, "psnr": 100, "psnr-pooled": 100, "ssim": 1}
    for name, spec in kit.specs.items():
        value = kit.score(spec, scored)
        low = -1 if name == "ssim" else 0
        high = bounds.get(name, 1) + 1e-12 if spec.ideal is None else sys.float_info.max  # any ratio, never infinite
        undefined = {"iou", "sharpness", "foreground-mse", "foreground-ssim", "ink-mass"}
        assert low - 1e-12 <= value <= high or (math.isnan(value) and name in undefined)


@settings(max_examples=25, deadline=None)
@given(predicted=frames, target=frames)
def test_scores_do_not_tell_prediction_from_truth(kit, predicted, target):
    """Every metric is a distance, a likeness or a ratio: exchanging its arguments changes nothing or inverts it."""
    for spec in kit.specs.values():
        there, back = (kit.score(spec, kit.batch(*pair)) for pair in ((predicted, target), (target, predicted)))
        if spec.ideal is not None:
            back = 1 / back if back else math.nan
            there = there or math.nan
        assert there == pytest.approx(back, rel=1e-9, abs=1e-12, nan_ok=True), spec.name


@settings(max_examples=25, deadline=None)
@given(predicted=frames, target=frames)
def test_the_mean_of_psnr_is_never_below_the_psnr_of_the_mean(kit, predicted, target):
    scored = kit.batch(predicted, target)
    assert kit.score(kit.specs["psnr"], scored) >= kit.score(kit.specs["psnr-pooled"], scored) - 1e-9


# ------------------------------------------------------------------------------------------------------------------ GPU


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_statistics_on_a_gpu_equal_those_on_the_cpu_and_stay_there(kit, spec):
    for kind in kit.kinds:
        here = kit.batch(*kit.pair(kind, (3, 2, 3, 16, 19)))
        there = Scored(predicted=here.predicted.cuda(), target=here.target.cuda())
        expected = kit.statistics(spec, here)
        for name, values in spec.load()(None).statistics(there).items():
            assert values.device.type == "cuda"
            np.testing.assert_allclose(
                values.cpu(), expected[name], rtol=1e-10, atol=1e-10, err_msg=f"{name} of {kind}"
            )
