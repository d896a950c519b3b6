"""Frames of the kinds that break metrics, and independent references in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import vpbench_metrics
from skimage.metrics import structural_similarity

from vpbench import MetricSpec, Scored

Frames = np.ndarray  # float32 (B, T, C, H, W)

ALL_SPECS = {spec.name: spec for spec in vpbench_metrics.vpbench_metrics()}
#: The default convention, those that need no files; the tests of the others name what they test.
SPECS = {name: spec for name, spec in ALL_SPECS.items() if spec.convention == "vpbench" and spec.config is None}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "spec" in metafunc.fixturenames:
        metafunc.parametrize("spec", SPECS.values(), ids=SPECS.keys())


def strokes(shape: tuple[int, ...], seed: int) -> Frames:
    """Mostly black with a few bright bars that have soft ends: as sparse as Moving MNIST."""
    rng = np.random.default_rng(seed)
    frames = np.zeros(shape, dtype=np.float32)
    height, width = shape[-2:]
    for frame in frames.reshape(-1, height, width):
        for _ in range(2):
            top, left = rng.integers(height - 6), rng.integers(width - 6)
            tall, wide = (6, 2) if rng.random() < 0.5 else (2, 6)
            frame[top : top + tall, left : left + wide] = rng.uniform(0.6, 1)
    return frames


def pair(kind: str, shape: tuple[int, ...], seed: int = 0) -> tuple[Frames, Frames]:
    """A prediction and a truth, float32 in [0, 1]."""
    rng = np.random.default_rng(seed)
    noise = rng.random(shape, dtype=np.float32)
    truth = strokes(shape, seed)
    match kind:
        case "random":
            return noise, rng.random(shape, dtype=np.float32)
        case "sparse":
            return np.roll(truth, 1, axis=-1) * np.float32(0.9), truth
        case "noisy":
            return np.clip(truth + 0.2 * (noise - 0.5), 0, 1, dtype=np.float32), truth
        case "constant":  # bright and flat: where float32 variances lose their digits
            return np.full(shape, 0.93, dtype=np.float32), np.full(shape, 0.9, dtype=np.float32)
        case "near constant":
            return 0.95 + 0.001 * noise, np.full(shape, 0.95, dtype=np.float32)
        case "black":
            return np.zeros(shape, dtype=np.float32), truth
        case "all black":
            return np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        case "perfect":
            return noise, noise.copy()
    raise ValueError(kind)


KINDS = ("random", "sparse", "noisy", "constant", "near constant", "black", "all black", "perfect")


def reference_ssim(predicted: Frames, target: Frames) -> np.ndarray:
    """scikit-image, every argument written out, frame by frame: (B, T)."""
    values = [
        [
            structural_similarity(
                x.astype(np.float64),
                y.astype(np.float64),
                win_size=11,
                gradient=False,
                data_range=1.0,
                channel_axis=0,
                gaussian_weights=True,
                full=False,
                sigma=1.5,
                use_sample_covariance=False,
                K1=0.01,
                K2=0.03,
            )
            for x, y in zip(*clip, strict=True)
        ]
        for clip in zip(predicted, target, strict=True)
    ]
    return np.array(values)


def reference_foreground_ssim(predicted: Frames, target: Frames) -> dict[str, np.ndarray]:
    """Map and mean of energy by scikit-image and plain sums, window by window: {statistic: (B, T)}."""
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weights = np.outer(line, line) / line.sum() ** 2
    found = {name: np.zeros(predicted.shape[:2]) for name in ("energy_weighted_ssim", "window_energy")}
    for clip, step in np.ndindex(predicted.shape[:2]):
        for x, y in zip(predicted[clip, step].astype(np.float64), target[clip, step].astype(np.float64), strict=True):
            _, similarity = structural_similarity(
                x, y, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
            )
            places = np.array(x.shape) - 10
            energy = np.array(
                [(weights * (x**2 + y**2)[i : i + 11, j : j + 11]).sum() for i, j in np.ndindex(*places)]
            ).reshape(places)
            channels = predicted.shape[2]
            found["energy_weighted_ssim"][clip, step] += (
                energy * np.maximum(similarity, 0)[5:-5, 5:-5]
            ).mean() / channels
            found["window_energy"][clip, step] += energy.mean() / channels
    return found


def batch(predicted: Frames, target: Frames) -> Scored:
    return Scored(predicted=torch.from_numpy(predicted.copy()), target=torch.from_numpy(target.copy()))


def statistics(spec: MetricSpec, scored: Scored) -> dict[str, np.ndarray]:
    """Statistics as the core stores them."""
    return {name: values.cpu().numpy() for name, values in spec.load()(None).statistics(scored).items()}


def score(spec: MetricSpec, scored: Scored) -> float:
    """The score of a batch: means over clips and steps, as the core takes them."""
    means = {name: values.mean() for name, values in statistics(spec, scored).items()}
    return float(spec.load()(None).score(means))


class Kit:
    """What the tests share; a fixture, since test modules are not importable from each other."""

    kinds = KINDS
    specs = SPECS
    all_specs = ALL_SPECS
    pair = staticmethod(pair)
    strokes = staticmethod(strokes)
    reference_ssim = staticmethod(reference_ssim)
    reference_foreground_ssim = staticmethod(reference_foreground_ssim)
    batch = staticmethod(batch)
    statistics = staticmethod(statistics)
    score = staticmethod(score)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    return Kit
