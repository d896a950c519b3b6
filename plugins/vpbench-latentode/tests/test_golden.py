"""The bundled weights still predict what they predicted when they were made, so a refactoring keeps them valid.

What they predicted is in golden/: means over 8x8 blocks of four frames, for a context that is computed here. New
weights get their file by ``python tests/make_golden.py``. That is also how a change that is meant is accepted; bump the
version of the model in its spec then.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vpbench import Context, Weights
from vpbench.config import make_config
from vpbench.registry import load
from vpbench.weights import WeightsFile, bundled_path, load_into

GOLDEN = Path(__file__).parent / "golden"
TOLERANCE = 2e-3  # intensity, of a mean over 64 pixels: half a grey level
LARGEST_WHEEL = 16_000_000  # bytes; half-precision weights hardly compress

SPEC = load().model("latentode").spec


def name_of(weights: Weights) -> str:
    return Path(weights.file.partition(":")[2]).stem


def golden_path(weights: Weights) -> Path:
    return GOLDEN / f"{name_of(weights)}.json"


def config_of(weights: Weights) -> Any:
    return make_config(SPEC.load_config(), WeightsFile.bundled(weights).config, owner=SPEC.name)


def context_of(weights: Weights) -> Context:
    """One clip of two bright blobs that move towards each other: the size of digits, and no dataset needed."""
    channels, height, width = weights.frame_shape
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, None, None]
    frames = []
    for k in range(weights.context):
        way = k / 20
        blobs = [(0.25 + 0.3 * way, 0.3 + 0.4 * way, 0.06), (0.75 - 0.3 * way, 0.7 - 0.5 * way, 0.09)]
        frames.append(np.max([np.exp(-((y - b) ** 2 + (x - a) ** 2) / (2 * s**2)) for a, b, s in blobs], axis=0))
    stacked = torch.tensor(np.array(frames), dtype=torch.float32)[None, :, None].expand(-1, -1, channels, -1, -1)
    return Context(stacked, torch.arange(weights.context, dtype=torch.float64)[None], torch.zeros(1, dtype=torch.int64))


def times_of(weights: Weights) -> list[float]:
    """Between two context frames, at the last one, between two frames soon after, and far ahead."""
    last = weights.context - 1
    return [last / 2 + 0.25, last, last + 2.5, last + 60]


def prediction(weights: Weights, config: Any) -> np.ndarray:
    """Block means of the predicted frames: float64 (4, channels, 8, 8)."""
    model = SPEC.load()(config, frame_shape=weights.frame_shape, context_length=weights.context)
    load_into(model, bundled_path(weights))
    with torch.inference_mode():
        times = torch.tensor([times_of(weights)], dtype=torch.float64)
        frames = model.eval().predict(context_of(weights), times)[0]
    return F.adaptive_avg_pool2d(frames, 8).double().numpy()


def test_weights_are_bundled() -> None:
    assert SPEC.weights, "no weights are named in the spec: nothing of this file is tested"


def test_every_golden_file_has_its_weights() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == {name_of(weights) for weights in SPEC.weights}


def test_all_weights_together_keep_the_wheel_small() -> None:
    """Whoever wants one file downloads all of them: a further size of the model is a distribution of its own."""
    folder = bundled_path(SPEC.weights[0]).parent
    assert {path.name for path in folder.iterdir()} >= {f"{name_of(weights)}.safetensors" for weights in SPEC.weights}
    assert sum(path.stat().st_size for path in folder.iterdir()) < LARGEST_WHEEL


@pytest.mark.parametrize("weights", SPEC.weights, ids=name_of)
def test_bundled_weights_are_the_file_that_the_spec_names(weights: Weights) -> None:
    file = WeightsFile.bundled(weights)  # compares the sha256
    assert file.model == SPEC.name
    assert file.header["dataset"]["name"] == weights.dataset
    assert tuple(file.frame_shape) == tuple(weights.frame_shape)
    assert file.context == weights.context
    assert config_of(weights) == make_config(SPEC.load_config(), weights.config, owner=SPEC.name)


@pytest.mark.parametrize("weights", SPEC.weights, ids=name_of)
def test_bundled_weights_predict_what_they_did(weights: Weights) -> None:
    golden = json.loads(golden_path(weights).read_text(encoding="utf-8"))
    assert golden["sha256"] == weights.sha256
    assert golden["times"] == times_of(weights)
    expected = np.array(golden["block_means"])
    assert np.ptp(expected[1]) > 50 * TOLERANCE  # there is something in the picture that could go wrong
    np.testing.assert_allclose(prediction(weights, config_of(weights)), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("weights", SPEC.weights, ids=name_of)
def test_a_changed_meaning_of_time_would_be_seen(weights: Weights) -> None:
    config = config_of(weights)
    later = dataclasses.replace(config, frame_dt=1.1 * config.frame_dt)
    expected = np.array(json.loads(golden_path(weights).read_text(encoding="utf-8"))["block_means"])
    assert np.abs(prediction(weights, later) - expected).max() > 2 * TOLERANCE
