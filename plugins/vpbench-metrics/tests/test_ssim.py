"""SSIM: both implementations against scikit-image, and the dispatch between them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from vpbench_metrics.ssim import ssim
from vpbench_metrics.ssim_cpu import ssim_cpu
from vpbench_metrics.ssim_definition import check_images, window
from vpbench_metrics.ssim_torch import ssim_torch

ATOL = 1e-9  # promised: 1e-5; measured: 1e-12

SIZES = [(11, 11), (28, 28), (32, 32), (64, 64), (33, 47)]


def both(predicted: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
    """(B, T) from each implementation."""
    x, y = (frames.reshape(-1, *frames.shape[-2:]) for frames in (predicted, target))
    values = {"cpu": ssim_cpu(x, y), "torch": ssim_torch(torch.from_numpy(x), torch.from_numpy(y)).numpy()}
    return {name: value.reshape(predicted.shape[:3]).mean(-1) for name, value in values.items()}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("implementation", ["cpu", "torch"])
def test_equals_scikit_image_on_every_kind_of_frame(kit, implementation, size, channels):
    for kind in kit.kinds:
        predicted, target = kit.pair(kind, (2, 2, channels, *size))
        found = both(predicted, target)[implementation]
        np.testing.assert_allclose(found, kit.reference_ssim(predicted, target), rtol=0, atol=ATOL, err_msg=kind)


def test_equals_the_textbook_formula_in_the_middle_of_one_window():
    """An 11x11 frame holds one window: five weighted sums, no filtering, no library."""
    rng = np.random.default_rng(3)
    x, y = rng.random((2, 11, 11))
    offsets = np.arange(-5, 6)
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2
    ux, uy = (weights * x).sum(), (weights * y).sum()
    vx, vy = (weights * (x - ux) ** 2).sum(), (weights * (y - uy) ** 2).sum()
    vxy = (weights * (x - ux) * (y - uy)).sum()
    c1, c2 = 0.01**2, 0.03**2
    expected = (2 * ux * uy + c1) * (2 * vxy + c2) / ((ux**2 + uy**2 + c1) * (vx + vy + c2))
    assert ssim_cpu(x[None], y[None])[0] == pytest.approx(expected, abs=1e-13)


def test_window_is_normalised_symmetric_and_eleven_wide():
    weights = window()
    assert len(weights) == 11
    assert sum(weights) == pytest.approx(1, abs=1e-15)
    assert weights == weights[::-1]
    assert weights[5] / weights[4] == pytest.approx(np.exp(0.5 / 1.5**2))


@pytest.mark.parametrize("kind", ["perfect", "all black"])
def test_equal_frames_score_exactly_one(kit, kind):
    for value in both(*kit.pair(kind, (2, 3, 1, 33, 47))).values():
        assert (value == 1).all()


def test_black_on_a_lit_flat_frame_is_near_zero_and_inverted_noise_is_negative():
    shape = (1, 1, 1, 32, 32)
    assert both(np.zeros(shape), np.ones(shape))["cpu"][0, 0] == pytest.approx(1e-4 / (1 + 1e-4))
    noise = np.random.default_rng(0).random(shape)
    assert both(1 - noise, noise)["cpu"][0, 0] < -0.5


def test_double_precision_inputs_give_the_same(kit):
    predicted, target = kit.pair("noisy", (1, 4, 1, 32, 32))
    single = both(predicted, target)
    double = both(predicted.astype(np.float64), target.astype(np.float64))
    for name, value in single.items():
        np.testing.assert_array_equal(value, double[name])


def layouts(frames: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same values in other memory layouts; `expanded` repeats the first clip."""
    wide = torch.zeros(*frames.shape[:-1], 2 * frames.shape[-1])
    wide[..., ::2] = frames
    return {
        "strided": wide[..., ::2],
        "transposed": frames.transpose(-1, -2).contiguous().transpose(-1, -2),
        "time first": frames.transpose(0, 1).contiguous().transpose(0, 1),
        "expanded": frames[:1].expand(frames.shape),
    }


@pytest.mark.parametrize("layout", ["strided", "transposed", "time first", "expanded"])
def test_memory_layout_does_not_matter(kit, layout):
    predicted, target = map(torch.from_numpy, kit.pair("noisy", (3, 2, 3, 28, 32)))
    predicted, target = layouts(predicted)[layout], layouts(target)[layout]
    assert layout == "expanded" or not predicted.is_contiguous()
    expected = kit.reference_ssim(predicted.numpy(), target.numpy())
    np.testing.assert_allclose(ssim(predicted, target), expected, rtol=0, atol=ATOL)
    flat = [frames.flatten(0, 2) for frames in (predicted, target)]
    np.testing.assert_allclose(ssim_torch(*flat).view(3, 2, 3).mean(-1), expected, rtol=0, atol=ATOL)


@pytest.mark.parametrize("threads", [1, 2, 3, 64])
def test_threads_do_not_change_a_bit(kit, threads):
    predicted, target = (frames.reshape(-1, 28, 28) for frames in kit.pair("noisy", (1, 130, 1, 28, 28)))
    np.testing.assert_array_equal(ssim_cpu(predicted, target, threads=threads), ssim_cpu(predicted, target))


def test_an_error_in_a_thread_is_raised(kit):
    frames = np.zeros((64, 11, 11), dtype=np.complex64)
    with pytest.raises(Exception, match=r"(?i)typing|float"):
        ssim_cpu(frames, frames, threads=2)


def test_torch_path_in_pieces_equals_the_whole(kit, monkeypatch):
    x, y = (torch.from_numpy(frames).flatten(0, 2) for frames in kit.pair("noisy", (2, 5, 1, 16, 16)))
    whole = ssim_torch(x, y)
    monkeypatch.setattr("vpbench_metrics.ssim_torch._VALUES_AT_ONCE", {"cpu": 3 * 16 * 16})
    torch.testing.assert_close(ssim_torch(x, y), whole, rtol=0, atol=1e-14)


@pytest.mark.parametrize("size", [(10, 64), (64, 10), (1, 1)])
def test_frames_smaller_than_the_window_are_refused(size):
    frames = torch.zeros(1, 1, 1, *size)
    with pytest.raises(ValueError, match=rf"window of 11x11 pixels: frames of {size[0]}x{size[1]} are too small"):
        ssim(frames, frames)
    with pytest.raises(ValueError, match="11x11"):
        ssim_torch(frames[0, 0], frames[0, 0])


@pytest.mark.parametrize("other", [(2, 12, 11), (1, 11, 11), (2, 1, 11, 11)])
def test_unlike_stacks_are_refused_before_the_kernel_reads_out_of_bounds(other):
    with pytest.raises(ValueError, match="one by one"):
        check_images(np.zeros((2, 11, 11)), np.zeros(other))
    with pytest.raises(ValueError, match="one by one"):
        ssim_cpu(np.zeros((2, 11, 11)), np.zeros(other))


def test_no_frames_no_values():
    empty = torch.zeros(0, 4, 1, 16, 16)
    assert ssim(empty, empty).shape == (0, 4)
    assert ssim_torch(empty.flatten(0, 2), empty.flatten(0, 2)).shape == (0,)


def test_the_device_chooses_the_implementation(kit, monkeypatch):
    """On a CPU the kernel runs, and torch never stands in for it."""
    monkeypatch.setattr("vpbench_metrics.ssim.ssim_torch", lambda *_: pytest.fail("torch path on a CPU"))
    predicted, target = map(torch.from_numpy, kit.pair("noisy", (1, 1, 1, 16, 16)))
    ssim(predicted, target)

    def broken(*_, threads):
        raise RuntimeError(f"broken kernel on {threads}")

    monkeypatch.setattr("vpbench_metrics.ssim_cpu.ssim_cpu", broken)
    with pytest.raises(RuntimeError, match=f"broken kernel on {torch.get_num_threads()}"):
        ssim(predicted, target)


def test_without_numba_the_error_says_what_is_missing():
    code = "import sys; sys.modules['numba'] = None; import vpbench_metrics.ssim_cpu"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "numba cannot be imported" in ran.stderr
    assert "vpbench-metrics" in ran.stderr


def test_kernel_works_where_compiled_code_cannot_be_kept():
    code = (
        "import numpy, vpbench_metrics.ssim_cpu as it\n"
        "x = numpy.full((1, 11, 11), .5, dtype=numpy.float32)\n"
        "assert type(it._ssim._cache).__name__ == 'NullCache', it._ssim._cache\n"
        "print(it.ssim_cpu(x, x)[0])"
    )
    # a locator that finds no place unless NUMBA_CACHE_DIR is set: as on a read-only disk
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    environment["NUMBA_CACHE_LOCATOR_CLASSES"] = "UserProvidedCacheLocator"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "1.0"


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(11, 40),
    width=st.integers(11, 40),
    scale=st.sampled_from([0.0, 1e-3, 0.1, 1.0]),
    level=st.floats(0, 1),
)
def test_bounded_symmetric_and_blind_to_mirrors(seed, height, width, scale, level):
    rng = np.random.default_rng(seed)
    x = np.clip(level + scale * (rng.random((2, height, width)) - 0.5), 0, 1).astype(np.float32)
    y = np.clip(level + scale * (rng.random((2, height, width)) - 0.5), 0, 1).astype(np.float32)
    value = ssim_cpu(x, y)
    assert (np.abs(value) <= 1 + 1e-12).all()
    np.testing.assert_allclose(ssim_cpu(y, x), value, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ssim_cpu(x[:, ::-1], y[:, ::-1]), value, rtol=0, atol=1e-10)
    np.testing.assert_allclose(ssim_cpu(x.swapaxes(1, 2), y.swapaxes(1, 2)), value, rtol=0, atol=1e-10)
    np.testing.assert_allclose(ssim_torch(torch.from_numpy(x), torch.from_numpy(y)), value, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(ssim_cpu(x[1:], y[1:]), value[1:])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("channels", [1, 3])
def test_on_a_gpu_equals_the_kernel_and_stays_there(kit, channels):
    for kind in kit.kinds:
        predicted, target = map(torch.from_numpy, kit.pair(kind, (2, 3, channels, 33, 47)))
        found = ssim(predicted.cuda(), target.cuda())
        assert found.device.type == "cuda"
        torch.testing.assert_close(found.cpu(), ssim(predicted, target), rtol=0, atol=ATOL, msg=kind)
