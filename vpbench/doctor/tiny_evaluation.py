"""A cell in memory whose score is known in closed form, through the same functions as every record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from .. import device as devices
from ..evaluation import Cell, Evaluation
from ..instances import Made
from ..protocols import Clips, Context, DatasetInfo, Scored
from ..registry import Provided
from ..scoring import summarise
from ..specs import DatasetSpec, MetricSpec, ModelSpec
from ..tasks import Task

CONTEXT, HORIZON, CLIPS = 3, 5, 4

#: Mean of k² over the steps k = 1..HORIZON, in squared levels of 1/255: what is wrong with holding the last frame.
EXPECTED_ERROR = (HORIZON + 1) * (2 * HORIZON + 1) / 6 / 255**2


class Brightening:
    """A dataset in memory: all pixels of clip i have the level 20 i + t at time t."""

    def __init__(self, config: None) -> None:
        self.info = DatasetInfo(frame_shape=(1, 4, 4), max_length=None)

    def ids(self, split: str, *, n_frames: int) -> range:
        return range(CLIPS)

    def clips(self, split: str, ids: Any, times: np.ndarray) -> Clips:
        levels = 20 * np.asarray(ids)[:, None] + times
        frames = np.broadcast_to(levels[:, :, None, None, None], (*levels.shape, 1, 4, 4)).astype(np.uint8)
        return Clips(frames=frames, times=times, ids=list(ids))

    def fingerprint(self, split: str) -> str:
        return "in memory"


class LastFrame:
    """A model that holds the last context frame."""

    def __init__(self, config: None, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        pass

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        return context.frames[:, -1:].repeat(1, target_times.shape[1], 1, 1, 1)


class SquaredError:
    """A metric: mean squared error."""

    def __init__(self, config: None) -> None:
        pass

    def statistics(self, scored: Scored) -> Mapping[str, Tensor]:
        return {"squared_error": (scored.predicted - scored.target).square().flatten(2).mean(dim=2)}

    def score(self, means: Mapping[str, np.ndarray]) -> np.ndarray:
        return means["squared_error"]


def tiny_score(device: str) -> float:
    """The score of `LastFrame` on `Brightening` on this device; no plugin takes part."""

    def provided(spec: Any) -> Provided[Any]:
        return Provided(spec, "vpbench", "0", "doctor")

    common: dict[str, Any] = {"summary": "of the doctor", "version": "1"}
    model = provided(ModelSpec(name="last-frame", factory=LastFrame, **common))
    dataset = provided(DatasetSpec(name="brightening", factory=Brightening, license="Apache-2.0", **common))
    metric = provided(
        MetricSpec(
            name="squared-error",
            factory=SquaredError,
            statistics=("squared_error",),
            higher_is_better=False,
            definition="squared difference, mean over pixels, steps and clips",
            **common,
        )
    )
    task = Task(context=CONTEXT, horizon=HORIZON)
    cell = Cell(
        model=model,
        config=None,
        weights=None,
        dataset=dataset,
        dataset_config=None,
        fingerprint="in memory",
        task=task,
        clips=CLIPS,
    )
    metrics = {"squared-error": Made(metric, SquaredError(None))}
    evaluation = Evaluation(cell, Brightening(None), metrics, device=devices.resolve(device), batch_size=3)
    scores, _ = summarise(evaluation(range(CLIPS)), metrics, HORIZON)
    return float(scores["squared-error"]["value"])
