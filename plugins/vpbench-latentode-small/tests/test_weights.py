"""The weights lie in one distribution and the model they are for in another: do the two still fit?

What tells is in the file itself: its header has the error on the val split that the weights had when training ended.
"""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
import torch

from vpbench import Context
from vpbench.config import make_config
from vpbench.registry import load
from vpbench.weights import WeightsFile, load_into

INSTALLED = load()
SPEC = INSTALLED.model("latentode-small").spec
FILE = WeightsFile.bundled(SPEC.weights[0])  # compares the sha256
VAL_CLIPS = 64  # of which the trainer takes the error

#: The error in the header is of bfloat16 predictions and float32 weights, the one taken here of the other way round.
TOLERANCE = 0.002


@cache
def val_clips() -> tuple[torch.Tensor, torch.Tensor]:
    """Frames, float32 (64, T, 1, 32, 32) in [0, 1], and their times, float64 (64, T), of the dataset trained on."""
    provided = INSTALLED.dataset(FILE.header["dataset"]["name"])
    config = make_config(provided.spec.load_config(), FILE.header["dataset"]["config"], owner=provided.spec.name)
    times = np.tile(np.arange(FILE.context + FILE.header["horizon"], dtype=np.float64), (VAL_CLIPS, 1))
    clips = provided.spec.load()(config).clips("val", range(VAL_CLIPS), times)
    return torch.from_numpy(clips.frames).float() / 255, torch.from_numpy(times)


def val_error(**options: float) -> float:
    """Mean squared error of the bundled weights on the first val clips, with options other than those trained with."""
    config = dataclasses.replace(make_config(SPEC.load_config(), FILE.config, owner=SPEC.name), **options)
    model = SPEC.load()(config, frame_shape=FILE.frame_shape, context_length=FILE.context)
    load_into(model, FILE.path)

    (frames, times), known = val_clips(), FILE.context
    given = Context(frames[:, :known], times[:, :known], torch.arange(VAL_CLIPS))
    with torch.inference_mode():
        predicted = model.eval().predict(given, times[:, known:])
    return float((predicted.clamp(0, 1) - frames[:, known:]).double().square().mean())


def test_the_file_is_what_the_spec_says_of_it() -> None:
    (told,) = SPEC.weights
    assert FILE.model == SPEC.name
    assert FILE.header["dataset"]["name"] == told.dataset
    assert tuple(FILE.frame_shape) == told.frame_shape
    assert FILE.context == told.context


def test_the_weights_are_as_good_as_when_training_ended() -> None:
    assert val_error() == pytest.approx(FILE.header["history"][-1]["val_mse"], rel=TOLERANCE)


def test_a_changed_meaning_of_time_would_be_seen() -> None:
    later = 1.1 * FILE.config["frame_dt"]
    assert val_error(frame_dt=later) > (1 + 3 * TOLERANCE) * FILE.header["history"][-1]["val_mse"]
