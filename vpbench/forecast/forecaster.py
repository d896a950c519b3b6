"""A video continued after its end: what a model makes of its last frames, with nothing to hold it against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import device as devices
from .. import registry as registries
from ..arguments import request_of
from ..batches import given_frames, stream, to_frames
from ..errors import Refused, UsageError
from ..in_memory import in_memory, lent
from ..inference import Inference
from ..instances import blaming
from ..protocols import Clips, Context
from ..registry import Provided
from ..settings import Settings
from ..specs import ModelSpec
from ..suitability import config_of, misfit, shape_text, shipped, small_sibling, unsuited
from ..weights import WeightsFile

#: Frames a model is given where it takes any number and none is asked for, if there are as many.
CONTEXT = 10

#: Bytes that predicted frames may take.
MAX_BYTES = 1 << 32

#: Times closer to whole frame periods than this are on the grid.
_ON_GRID = 1e-6


@dataclass(frozen=True)
class Forecast:
    """What a model was given and what it predicted."""

    context: np.ndarray  #: float32 (Tc, C, H, W) in [0, 1]
    times: np.ndarray  #: float64 (Tc,), frame periods from the first context frame on
    predicted: np.ndarray  #: float32 (Tt, C, H, W), not clamped
    target_times: np.ndarray  #: float64 (Tt,)


@dataclass(frozen=True, kw_only=True)
class Forecaster:
    """A model that is to continue videos, and with what weights."""

    provided: Provided[ModelSpec]
    config: Any
    weights: WeightsFile | None
    sibling: str = ""  #: that a smaller form of the model has weights, in words

    @property
    def spec(self) -> ModelSpec:
        return self.provided.spec

    def frame_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """(C, H, W) that it takes videos of this shape in: that of its weights, else their own size."""
        if self.weights is not None:
            return self.weights.frame_shape
        return (self.spec.channels or shape[0], *shape[1:])

    def context_length(self, frames: int) -> int:
        """Frames it is given of so many, where nobody says how many."""
        return min(CONTEXT, frames) if self.weights is None else self.weights.context

    def __call__(
        self,
        clip: Clips,
        *,
        name: str,
        horizon: int,
        context: int | None = None,
        seed: int = 0,
        device: torch.device,
    ) -> Forecast:
        """The `horizon` frames after a clip, (1, T, C, H, W), predicted from its last frames.

        name     of the video, for messages
        context  how many of its frames the model is given; None: as many as its weights are for, else 10 or all

        Times start at 0 with the first frame given, and targets are one frame period apart. Raises UsageError, Refused
        for a video that it cannot take, ModelFailed, PluginError.
        """
        shape = tuple(clip.frames.shape[2:])
        there = clip.frames.shape[1]
        length = context or self.context_length(there)
        times = _from_zero(np.asarray(clip.times, dtype=np.float64)[0, -length:])
        if why_not := self._why_not(name, shape, there, length, times):
            raise Refused(why_not)
        if horizon * int(np.prod(shape)) * 4 > MAX_BYTES:
            raise UsageError(f"{horizon} frames of {shape_text(shape)} are over {MAX_BYTES >> 30} GiB: ask for fewer")
        last = _last(clip, length)
        frames = given_frames(last, to_frames(last.frames, device), length, device)
        targets = times[-1] + np.arange(1.0, horizon + 1)
        given = Context(
            frames=frames.clone(),
            times=torch.from_numpy(times.copy())[None],
            seeds=torch.tensor([stream("predict", seed)]),
            observed=None if last.observed is None else torch.from_numpy(np.array(last.observed)),
        )
        with blaming(self.provided, "making"):
            inference = Inference(
                self.provided,
                self.config,
                self.weights,
                frame_shape=shape,
                context_length=length,
                seed=seed,
                device=device,
            )
        with blaming(self.provided, "predict()"):
            predicted = inference(given, torch.from_numpy(targets.copy())[None], truth={})
        return Forecast(frames[0].cpu().numpy(), times, predicted[0].cpu().numpy(), targets)

    def _why_not(self, name: str, shape: tuple[int, ...], there: int, length: int, times: np.ndarray) -> str:
        """Why this model cannot continue this video; empty if it can."""
        spec = self.spec
        if why_not := unsuited(spec, "", shape, name):
            return why_not
        if spec.learns == "statistics":
            return f"{spec.name} learns from training clips, and {name} comes with none"
        if spec.learns == "weights" and self.weights is None:
            own = [f"{shape_text(each.frame_shape)} after {each.context} given" for each in spec.weights]
            there_are = f" (its own are for {' and '.join(own)})" if own else ""
            wanted = f"frames {shape_text(shape)} after {length} given"
            sibling = self.sibling and f"; {self.sibling}"
            return f"{spec.name} has no weights for {wanted}{there_are}: give some that vpbench train wrote{sibling}"
        if self.weights is not None and (why_not := misfit(spec, self.weights, shape, length, name)):
            return why_not
        if there < length:
            return f"{name} has {there} frame{'s' * (there > 1)}, {spec.name} is given {length}: give a longer video"
        irregular = len(times) > 1 and not np.array_equal(times, np.arange(len(times)))
        if irregular and (missing := sorted({"irregular-context", "fractional"} - spec.capabilities)):
            return f"{name} has frames at times of their own, {spec.name} cannot do {', '.join(missing)}"
        return ""


def forecaster(
    provided: Provided[ModelSpec],
    *,
    shape: Sequence[int],
    resizable: bool,
    context: int | None = None,
    weights: WeightsFile | None = None,
    settings: Mapping[str, str] | None = None,
    models: Mapping[str, Provided[ModelSpec]] | None = None,
) -> Forecaster:
    """A model made ready to be asked, with the weights given or those that ship with it.

    shape      (C, H, W) of the video
    resizable  whether its frames can be brought to the shape that weights are for
    settings   config values, which win over those that the weights were trained with
    models     all that are installed: where this one has no weights, another may be worth naming

    Raises UsageError for weights of another model, WeightsError, ConfigError.
    """
    spec = provided.spec
    if weights is not None and weights.model != spec.name:
        raise UsageError(f"{weights.path} holds weights of {weights.model}, asked for is {spec.name}")
    found = weights or _bundled(spec, shape, resizable, context)
    return Forecaster(
        provided=provided,
        config=config_of(provided, found, settings or {}),
        weights=found,
        sibling=small_sibling(spec, models or {}),
    )


def _bundled(spec: ModelSpec, shape: Sequence[int], resizable: bool, context: int | None) -> WeightsFile | None:
    """The weights a plugin ships for such frames; where they can be resized, those for frames most alike."""
    fitting = shipped(spec, frame_shape=None if resizable else shape, context=context)
    if not fitting:
        return None

    def unlike(own: Sequence[int]) -> tuple[bool, float]:
        return own[0] != shape[0], sum(abs(float(np.log(a / b))) for a, b in zip(own[1:], shape[1:], strict=True))

    return WeightsFile.bundled(min(fitting, key=lambda each: unlike(each.frame_shape)))


def _from_zero(times: np.ndarray) -> np.ndarray:
    """Times from the first one on; on the grid exactly, where they are as good as on it."""
    times = times - times[0]
    grid = np.arange(float(len(times)))
    return grid if np.allclose(times, grid, rtol=0, atol=_ON_GRID) else times


def _last(clip: Clips, length: int) -> Clips:
    """Its last frames, as a clip."""
    frames, shown = clip.frames[:, -length:], None if clip.shown is None else clip.shown[:, -length:]
    observed = None if clip.observed is None else clip.observed[:, -length:]
    return Clips(frames=frames, times=clip.times[:, -length:], ids=clip.ids, shown=shown, observed=observed)


def predict(
    model: Any,
    frames: np.ndarray | Tensor,
    horizon: int,
    *,
    times: Sequence[float] | np.ndarray | None = None,
    context: int | None = None,
    weights: str | Path | None = None,
    settings: Any = None,
    seed: int = 0,
    device: str | torch.device = "auto",
) -> np.ndarray:
    """The next `horizon` frames of a video.

    model     name of an installed one, "file.py:Class", or what `vpbench.evaluate` takes: a torch module, a function of
              frames, an object with predict(context, target_times)
    frames    (T, C, H, W): uint8 in 0..255, or floating point in [0, 1]; numpy array or torch tensor
    times     when the frames are, increasing, in frame periods; None: one after the other
    context   how many of the frames, from the last one back, the model is given; None: as many as its weights are for,
              else 10, or all where there are fewer
    weights   a file that `vpbench train` wrote; None: those that ship with the model for such frames
    settings  config of the model: a mapping, or lines "key=value"

    Returns float32 (horizon, C, H, W), as the model gave it: nominally in [0, 1]. Raises UsageError for what makes no
    sense, Refused for a video that the model cannot take, ModelFailed where it has no answer.
    """
    own = None if isinstance(model, str) else in_memory(model)
    asked = request_of(
        models=own.name if own else model,
        horizons=[horizon],
        context=context,
        weights=weights,
        settings=settings,
        seeds=[seed],
        device=device,
    )
    where = devices.resolve(asked.device)
    length = None if context is None else asked.context
    clip = _clip_of(frames, times)
    models: Mapping[str, Provided[ModelSpec]] = {}
    if own:
        provided = own.provided
    else:
        installed = registries.load()
        provided, models = installed.model(model), installed.models()
    lines = Settings(asked.settings)
    given = lines.of(provided)
    lines.check_all_used()
    made = forecaster(
        provided,
        shape=clip.frames.shape[2:],
        resizable=False,
        context=length,
        weights=WeightsFile.open(asked.weights[0]) if asked.weights else None,
        settings=given,
        models=models,
    )
    with lent(own.modules if own else (), where):
        return made(
            clip, name="the video", horizon=asked.horizons[0], context=length, seed=seed, device=where
        ).predicted


def _clip_of(frames: Any, times: Any) -> Clips:
    """Frames of a program as a clip. Raises UsageError for what is no video."""
    if not isinstance(frames, np.ndarray | Tensor):
        raise UsageError(f"frames must be a numpy array or a torch tensor, got {type(frames).__name__}")
    if isinstance(frames, Tensor):
        frames = (frames.float() if frames.is_floating_point() else frames).detach().cpu().numpy()
    values = frames
    if values.ndim != 4 or not values.size:
        raise UsageError(f"frames must be (T, C, H, W), got shape {values.shape}")
    if values.shape[1] > 4 and values.shape[3] in (1, 3):
        raise UsageError(
            f"frames must be (T, C, H, W), shape {values.shape} has channels last: give frames.transpose(0, 3, 1, 2)"
        )
    if values.dtype != np.uint8:
        if values.dtype.kind != "f":
            raise UsageError(f"frames must be uint8 in 0..255 or floating point in [0, 1], got {values.dtype}")
        low, high = values.min(), values.max()
        if not (low >= 0 and high <= 1):  # also where one is NaN
            raise UsageError(f"frames of floating point values must be in [0, 1], these go from {low:g} to {high:g}")
        values = values.astype(np.float32)
    try:
        when = np.arange(float(len(values))) if times is None else np.asarray(times, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"times must be numbers, in frame periods ({error})") from error
    if when.shape != (len(values),) or not np.isfinite(when).all() or not (np.diff(when) > 0).all():
        raise UsageError(f"times must increase, be finite, and be as many as the {len(values)} frames")
    return Clips(frames=values[None], times=when[None], ids=[0])
