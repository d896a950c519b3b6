"""One file in, one file out: a video read, continued by a model, and written down as a picture or as numbers."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import device as devices
from .. import film
from ..config import config_to_dict
from ..evaluation import OUT_OF_RANGE
from ..exhibits import as_levels
from ..protocols import Clips
from ..registry import Provided, Registry
from ..software import software
from ..specs import DatasetSpec, ModelSpec
from ..suitability import shape_text
from ..weights import WeightsFile
from .forecaster import CONTEXT, Forecast, Forecaster, forecaster
from .readers import read_clip, reader_of

#: Ending of a file of numbers; the others are those of `film.FORMATS`.
ARRAYS = ".npz"

#: Pictures a second.
RATE = 8.0

#: A share of values outside [0, 1].
WORTH_A_LINE = 1e-3


@dataclass(frozen=True)
class Continuation:
    """A video and what a model makes of its end."""

    video: Path
    frames: int | None  #: of the video; None: not known
    shape: tuple[int, ...]  #: (C, H, W) of the video as it is in its file
    reader: Provided[DatasetSpec]
    made: Forecaster
    forecast: Forecast
    seed: int
    device: torch.device

    @property
    def resized(self) -> str:
        """How its frames were changed for the model, in words; empty if they were not."""
        given = self.forecast.context.shape[1:]
        if given == self.shape:
            return ""
        why = "its weights are for those" if self.made.weights else f"it takes {given[0]} channels"
        was, name = shape_text(self.shape), self.made.spec.name
        return f"{self.video.name} has frames {was}, {name} is given {shape_text(given)}: {why}"

    @property
    def clamped(self) -> str:
        """How much of the prediction no picture can show, in words; empty if that is hardly anything."""
        predicted = self.forecast.predicted
        share = float(((predicted < -OUT_OF_RANGE) | (predicted > 1 + OUT_OF_RANGE)).mean())
        if share < WORTH_A_LINE:
            return ""
        return f"{self.made.spec.name}: {share:.1%} of the predicted values are outside [0, 1], and are shown clamped"

    def __str__(self) -> str:
        weights = self.made.weights
        trained = f", with weights trained on {weights.header['dataset']['name']}" if weights else ""
        given, horizon = len(self.forecast.context), len(self.forecast.predicted)
        of = "" if self.frames is None else f" of {self.frames}"
        return f"{self.made.spec.name}: {given}{of} frames given, {horizon} predicted{trained}"

    def content(self, ending: str, *, scale: int | None = None, rate: float = RATE) -> bytes:
        """The bytes of a file of this ending: `ARRAYS`, or one of `film.FORMATS`.

        scale  of pictures: pixels a side that a pixel of a frame becomes; None: frames are about 128 high
        rate   of animations: pictures a second

        Raises UsageError for pictures that would be too large, and for frames that are neither grey nor RGB.
        """
        if ending == ARRAYS:
            return self._arrays()
        given, horizon = len(self.forecast.context), len(self.forecast.predicted)
        take = film.Take(self.made.spec.name, "", as_levels(self.forecast.predicted))
        scene = film.Scene(self.video.name, given, as_levels(self.forecast.context), [take])
        title = f"{self.video.name}: {given} frames given, {horizon} predicted"
        if film.FORMATS[ending]:
            return film.as_animation(film.animation(title, [scene], scale=scale), ending, context=given, rate=rate)
        return film.as_png(film.strip(title, [scene], scale=scale))

    def _arrays(self) -> bytes:
        file = io.BytesIO()
        np.savez_compressed(
            file,
            predicted=self.forecast.predicted,
            context=self.forecast.context,
            times=self.forecast.times,
            target_times=self.forecast.target_times,
            provenance=np.array(json.dumps(self.provenance(), sort_keys=True)),
        )
        return file.getvalue()

    def provenance(self) -> dict[str, Any]:
        """What the prediction was made of, as JSON has it."""
        spec, weights = self.made.spec, self.made.weights
        return {
            "model": {
                "name": spec.name,
                "version": spec.version,
                "config": config_to_dict(self.made.config),
                "weights_sha256": weights.sha256 if weights else None,
            },
            "video": {
                "name": self.video.name,
                "sha256": _sha256(self.video),
                "frames": self.frames,
                "frame_shape": list(self.shape),
                "read_by": self.reader.spec.name,
                "first_context_frame": None if self.frames is None else self.frames - len(self.forecast.context),
            },
            "frame_shape": list(self.forecast.context.shape[1:]),
            "context": len(self.forecast.context),
            "horizon": len(self.forecast.predicted),
            "seed": self.seed,
            "software": software(self.made.provided, self.reader),
            "machine": devices.describe(self.device),
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def continued(
    video: Path,
    model: Provided[ModelSpec],
    registry: Registry,
    *,
    horizon: int,
    context: int | None = None,
    weights: WeightsFile | None = None,
    settings: Mapping[str, str] | None = None,
    dataset: str | None = None,
    seed: int = 0,
    device: torch.device,
) -> Continuation:
    """The frames after the end of a video file, predicted. It is brought to the shape that the model is for.

    dataset  that reads the file, where several can

    Raises as `readers` and `forecast` do.
    """
    reader = reader_of(video, registry, dataset)
    end = read_clip(video, reader, last=1)  # the frames before it may be more than fits into memory
    shape = tuple(end.frames.shape[2:])
    made = forecaster(
        model,
        shape=shape,
        resizable=True,
        context=context,
        weights=weights,
        settings=settings,
        models=registry.models(),
    )
    wanted = made.frame_shape(shape)
    clip = read_clip(video, reader, None if wanted == shape else wanted, last=context or made.context_length(CONTEXT))
    forecast = made(clip, name=video.name, horizon=horizon, context=context, seed=seed, device=device)
    return Continuation(video, _number_of_frames(clip), shape, reader, made, forecast, seed, device)


def _number_of_frames(clip: Clips) -> int | None:
    """Of the file, told by the time of its last frame; None where its frames are at times of their own."""
    times = np.asarray(clip.times)[0]
    return int(times[-1]) + 1 if np.array_equal(times, np.rint(times)) else None


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
