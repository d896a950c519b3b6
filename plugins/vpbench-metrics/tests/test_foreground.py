"""Metrics that black cannot win: nor can grey, noise, specks, or whatever else shows nothing of the truth."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import gaussian_filter, maximum_filter
from vpbench_metrics.ssim import foreground_ssim
from vpbench_metrics.ssim_cpu import foreground_ssim_cpu, ssim_cpu
from vpbench_metrics.ssim_torch import foreground_ssim_torch

from vpbench import registry

NAMES = ("foreground-mse", "foreground-ssim")


@pytest.fixture(scope="module")
def digits():
    """(last context frames repeated, truth): test clips 0 to 11 of Moving MNIST, float32 (12, 5, 1, 64, 64)."""
    pytest.importorskip("vpbench_movingmnist")
    spec = registry.load().dataset("moving-mnist").spec
    dataset = spec.load()(spec.load_config()())
    ids = dataset.ids("test", n_frames=30)[:12]
    frames = np.asarray(dataset.clips("test", ids, np.tile(np.arange(30.0), (12, 1))).frames)
    frames = frames.astype(np.float32) / np.float32(255 if frames.dtype == np.uint8 else 1)
    truth = frames[:, 10::4]
    return np.repeat(frames[:, 9:10], truth.shape[1], axis=1), truth


def blurred(frames, sigma):
    return gaussian_filter(frames, (0, 0, 0, sigma, sigma)).astype(np.float32)


def lattice(shape, level):
    """Specks of one pixel, five pixels apart: their dilation by 5x5 is the whole frame."""
    frames = np.zeros(shape, dtype=np.float32)
    frames[..., 2::5, 2::5] = level
    return frames


def attempts(last, truth):
    """Predictions that show something of the truth, or of what it was."""
    found = {f"blurred by {sigma}": blurred(truth, sigma) for sigma in (1, 2, 4)}
    found |= {f"{pixels} px aside": np.roll(truth, pixels, axis=-1) for pixels in (1, 2, 4, 16)}
    found |= {f"faded to {share}": truth * np.float32(share) for share in (0.1, 0.3, 0.6)}
    return found | {"last frame": last, "other clips": np.roll(truth, 1, axis=0)}


def evasions(truth):
    """Predictions that show nothing of the truth."""
    rng = np.random.default_rng(0)
    found = {f"grey {level}": np.full_like(truth, level) for level in (0.03, 0.11, 0.2, 0.35, 0.49, 0.51, 1)}
    found |= {f"specks {level}": lattice(truth.shape, level) for level in (0.11, 0.2, 0.51, 1)}
    found["noise"] = rng.random(truth.shape, dtype=np.float32)
    found["faint noise"] = np.clip(rng.normal(0, 0.1, truth.shape), 0, 1).astype(np.float32)
    return found


def goodness(kit, name, predicted, truth):
    """The score, more is better."""
    value = kit.score(kit.specs[name], kit.batch(predicted, truth))
    return value if kit.specs[name].higher_is_better else -value


# ------------------------------------------------------------------------------------------- what black and others get


@pytest.mark.parametrize("name", NAMES)
def test_every_attempt_beats_black(kit, digits, name):
    last, truth = digits
    black = goodness(kit, name, np.zeros_like(truth), truth)
    scores = {what: goodness(kit, name, predicted, truth) for what, predicted in attempts(last, truth).items()}
    assert min(scores.values()) > black, scores


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_much_worse_than_black(kit, digits, name):
    _, truth = digits
    black = goodness(kit, name, np.zeros_like(truth), truth)
    for what, predicted in evasions(truth).items():
        assert goodness(kit, name, predicted, truth) > black - 0.002, what


@pytest.mark.parametrize("name", NAMES)
def test_what_shows_nothing_of_the_truth_never_beats_what_is_two_pixels_off(kit, digits, name):
    _, truth = digits
    near = goodness(kit, name, np.roll(truth, 2, axis=-1), truth)
    for what, predicted in evasions(truth).items():
        assert goodness(kit, name, predicted, truth) < near - 0.2, what


@pytest.mark.parametrize(("name", "gain"), [("foreground-mse", 0), ("foreground-ssim", 1e-3)])
def test_specks_on_black_ground_never_improve_a_prediction(kit, digits, name, gain):
    """A theorem for the error; specks of .05, which nobody would see, add 1e-4 to a similarity of .66."""
    _, truth = digits
    ground = maximum_filter(truth, (1, 1, 1, 11, 11)) < 0.02
    for predicted in (blurred(truth, 1), np.roll(truth, 1, axis=-1)):
        without = goodness(kit, name, predicted, truth)
        for level in (0.05, 0.11, 0.2, 0.51, 1):
            for added in (lattice(truth.shape, level), np.full_like(truth, level)):
                found = goodness(kit, name, np.maximum(predicted, added * ground), truth)
                assert found < without + gain, level


def test_a_mask_with_a_threshold_would_have_been_fooled(digits):
    """What the usual definition gives for the same frames, as the docstring of the module says."""
    _, truth = digits

    def masked_mse(predicted):
        inside = maximum_filter(((predicted > 0.1) | (truth > 0.1)).astype(np.uint8), (1, 1, 1, 5, 5)) > 0
        return ((predicted - truth)[inside].astype(np.float64) ** 2).mean()

    assert masked_mse(np.full_like(truth, 0.11)) == pytest.approx(0.047, abs=5e-4)
    assert masked_mse(np.roll(truth, 1, axis=-1)) == pytest.approx(0.077, abs=5e-4)
    with_specks = np.maximum(blurred(truth, 1), lattice(truth.shape, 0.11))
    assert masked_mse(blurred(truth, 1)) / masked_mse(with_specks) > 4


def test_black_is_ahead_of_the_last_frame_in_plain_mse_and_ssim_but_not_here(kit, digits):
    last, truth = digits
    black = np.zeros_like(truth)
    for name, wins in (("mse", True), ("ssim", True), ("foreground-mse", False), ("foreground-ssim", False)):
        assert (goodness(kit, name, black, truth) > goodness(kit, name, last, truth)) is wins, name


def test_grey_is_ahead_of_the_last_frame_in_foreground_mse_alone(kit, digits):
    """The best grey has 1 - mean / rms of the truth: hedging pays in a squared error, as the docs say."""
    last, truth = digits
    rms = np.sqrt(np.mean(truth.astype(np.float64) ** 2))
    grey = np.full_like(truth, rms)
    found = goodness(kit, "foreground-mse", grey, truth)
    assert -found == pytest.approx(1 - truth.mean(dtype=np.float64) / rms, rel=1e-6)
    assert found > goodness(kit, "foreground-mse", last, truth)
    assert goodness(kit, "foreground-ssim", grey, truth) < goodness(kit, "foreground-ssim", last, truth)


# ------------------------------------------------------------------------------------------------------- foreground-mse

frames = arrays.arrays(
    np.float32, (2, 2, 1, 11, 12), elements=st.floats(0, 1, width=32, allow_subnormal=False), fill=st.just(0.0)
)


@settings(max_examples=50, deadline=None)
@given(predicted=frames, target=frames)
def test_no_prediction_is_worse_than_black_and_it_has_exactly_1(kit, predicted, target):
    spec = kit.specs["foreground-mse"]
    black = kit.score(spec, kit.batch(np.zeros_like(target), target))
    assert black == 1 if (target.astype(np.float64) ** 2).any() else math.isnan(black)
    assert not kit.score(spec, kit.batch(predicted, target)) > 1 + 1e-12


def test_foreground_mse_is_one_minus_the_dice_coefficient_of_soft_masks(kit):
    predicted, target = kit.pair("noisy", (2, 3, 3, 16, 16))
    p, t = predicted.astype(np.float64), target.astype(np.float64)
    dice = 2 * (p * t).sum() / ((p**2).sum() + (t**2).sum())
    assert kit.score(kit.specs["foreground-mse"], kit.batch(predicted, target)) == pytest.approx(1 - dice, rel=1e-12)


@pytest.mark.parametrize(("contrast", "expected"), [(1, 0), (0.5, 0.2), (0.25, 9 / 17), (0, 1)])
def test_foreground_mse_of_faded_frames(kit, contrast, expected):
    target = kit.strokes((2, 2, 1, 16, 16), 0)
    value = kit.score(kit.specs["foreground-mse"], kit.batch(target * np.float32(contrast), target))
    assert value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_weighs_as_much_as_there_is_in_it(kit, name):
    """Ten frames with nothing to see, predicted black, change nothing; in plain MSE they would divide the error."""
    predicted, target = kit.pair("sparse", (1, 2, 1, 32, 32))
    empty = np.zeros((1, 10, 1, 32, 32), dtype=np.float32)
    longer = [np.concatenate([frames, empty], axis=1) for frames in (predicted, target)]
    alone, among = (kit.score(kit.specs[name], kit.batch(*pair)) for pair in ((predicted, target), longer))
    assert among == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("name", [*NAMES, "ink-mass"])
def test_nan_where_neither_shows_anything(kit, name):
    black = np.zeros((1, 1, 1, 16, 16), dtype=np.float32)
    assert math.isnan(kit.score(kit.specs[name], kit.batch(black, black)))


# ------------------------------------------------------------------------------------------------------ foreground-ssim


def test_black_has_hardly_any_foreground_ssim_where_it_has_most_of_the_plain_one(kit, digits):
    _, truth = digits
    black = kit.batch(np.zeros_like(truth), truth)
    assert kit.score(kit.specs["ssim"], black) > 0.7
    assert 0 < kit.score(kit.specs["foreground-ssim"], black) < 0.002


def test_structure_that_runs_against_the_truth_counts_as_none(kit):
    checks = (np.indices((16, 16)).sum(axis=0) % 2).astype(np.float32)[None, None, None]
    assert kit.score(kit.specs["ssim"], kit.batch(1 - checks, checks)) < -0.5
    assert kit.score(kit.specs["foreground-ssim"], kit.batch(1 - checks, checks)) == 0


def test_windows_are_those_of_ssim(kit):
    """A frame with one window has one weight, so the weighted mean is the plain one."""
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 5, 11, 11))
    weighted, energy = foreground_ssim_cpu(x, y)
    np.testing.assert_allclose(weighted / energy, np.maximum(ssim_cpu(x, y), 0), rtol=1e-12)


@pytest.mark.parametrize("size", [(11, 11), (33, 47), (64, 64)], ids=str)
def test_kernel_and_torch_agree(kit, size):
    for kind in kit.kinds:
        x, y = (frames.reshape(-1, *size) for frames in kit.pair(kind, (2, 2, 1, *size)))
        both = zip(foreground_ssim_cpu(x, y), foreground_ssim_torch(*map(torch.from_numpy, (x, y))), strict=True)
        for here, there in both:
            np.testing.assert_allclose(here, there, rtol=0, atol=1e-12, err_msg=kind)


def test_threads_do_not_change_a_bit(kit):
    x, y = (frames.reshape(-1, 28, 28) for frames in kit.pair("noisy", (1, 130, 1, 28, 28)))
    np.testing.assert_array_equal(foreground_ssim_cpu(x, y, threads=3), foreground_ssim_cpu(x, y))


def test_on_a_cpu_the_kernel_runs(kit, monkeypatch):
    monkeypatch.setattr("vpbench_metrics.ssim.foreground_ssim_torch", lambda *_: pytest.fail("torch path on a CPU"))
    predicted, target = map(torch.from_numpy, kit.pair("noisy", (2, 3, 3, 16, 16)))
    weighted, energy = foreground_ssim(predicted, target)
    expected = kit.reference_foreground_ssim(predicted.numpy(), target.numpy())
    np.testing.assert_allclose(weighted, expected["energy_weighted_ssim"], atol=1e-12)
    np.testing.assert_allclose(energy, expected["window_energy"], atol=1e-12)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_it_equals_the_kernel_and_stays_there(kit):
    for kind in kit.kinds:
        predicted, target = map(torch.from_numpy, kit.pair(kind, (2, 3, 3, 33, 47)))
        for there, here in zip(
            foreground_ssim(predicted.cuda(), target.cuda()), foreground_ssim(predicted, target), strict=True
        ):
            assert there.device.type == "cuda"
            torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-12, msg=kind)


# ------------------------------------------------------------------------------------------------------------- ink-mass


@pytest.mark.parametrize(("contrast", "expected"), [(0, 0), (0.5, 0.5), (1, 1)])
def test_ink_mass_is_the_contrast_of_a_prediction(kit, contrast, expected):
    target = kit.strokes((2, 2, 3, 16, 16), 0)
    value = kit.score(kit.specs["ink-mass"], kit.batch(target * np.float32(contrast), target))
    assert value == pytest.approx(expected)


def test_ink_mass_pools_before_it_divides_and_has_no_answer_where_there_is_no_ink(kit):
    means = {"intensity_predicted": np.array([4.0, 1.0, 3.0]), "intensity_target": np.array([1.0, 4.0, 0.0])}
    np.testing.assert_array_equal(kit.specs["ink-mass"].load()(None).score(means), [4, 0.25, np.nan])


def test_boards_rank_by_no_metric_whose_best_is_in_the_middle(kit):
    assert {name for name, spec in kit.specs.items() if spec.ideal is not None} == {"sharpness", "ink-mass"}
    assert not any(kit.specs[name].ranks for name in ("sharpness", "ink-mass"))
    assert all(kit.specs[name].ranks for name in NAMES)


# ----------------------------------------------------------------------------------------------------------- front door


def test_a_run_measures_them_by_default_and_black_is_last(tmp_path):
    pytest.importorskip("vpbench_movingmnist")
    pytest.importorskip("vpbench_baselines")
    from vpbench.cli import main

    arguments = ["run", "--model", "black", "--model", "copy-last", "--dataset", "moving-mnist", "--horizon", "1"]
    ran = CliRunner().invoke(main, [*arguments, "--clips", "4", "--device", "cpu", "--results", str(tmp_path)])
    assert ran.exit_code == 0, ran.output
    (black,) = (json.loads(path.read_text(encoding="utf-8"))["scores"] for path in tmp_path.glob("*/black/*.json"))
    (last,) = (json.loads(path.read_text(encoding="utf-8"))["scores"] for path in tmp_path.glob("*/copy-last/*.json"))
    assert black["foreground-mse"]["value"] == 1
    assert black["foreground-mse"]["low"] == black["foreground-mse"]["high"] == 1
    assert black["ink-mass"]["value"] == 0
    assert last["foreground-mse"]["value"] < 0.8
    assert last["foreground-ssim"]["value"] > black["foreground-ssim"]["value"]
    assert last["ink-mass"]["value"] == pytest.approx(1, abs=0.1)
