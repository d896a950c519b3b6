"""Frames of the kinds that break metrics, and independent references in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import vpbench_metrics
from skimage.metrics import structural_similarity

from vpbench import MetricSpec, Scored

Frames = np.ndarray  # float32 (B, T, C, H, W)

#: The default convention; the tests of the others name what they test.
SPECS = {spec.name: spec for spec in vpbench_metrics.vpbench_metrics() if spec.convention == "vpbench"}


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
    pair = staticmethod(pair)
    strokes = staticmethod(strokes)
    reference_ssim = staticmethod(reference_ssim)
    batch = staticmethod(batch)
    statistics = staticmethod(statistics)
    score = staticmethod(score)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    return Kit
