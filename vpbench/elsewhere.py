"""Models that ran in another program: what they are asked, and their predictions scored like those of any other model.

The predictions become a model that looks its answers up by the seeds of the clips, and so an ordinary plan, run and
record. What a record cannot say of them it does not say: how fast and how large the model was, and that it never saw a
target.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from . import prediction_files
from .batches import stream, to_frames
from .config import config_to_dict
from .context_files import SEED, SPLIT, Asked, ids_digest, write_context
from .errors import DataError, ModelFailed, UsageError
from .instances import configured, fingerprint_of, open_dataset
from .plan import Opened, Plan, Request, make_plan
from .prediction_files import PredictionFile, Predictions
from .protocols import Context
from .registry import Provided, Registry
from .settings import Settings
from .specs import ModelSpec
from .tasks import Task

ASSUMPTIONS = "predictions were made elsewhere: that no target was seen cannot be checked"

#: Whatever the task: what it was asked is what was answered.
_CAPABILITIES = frozenset({"fractional", "before-context-end", "irregular-context", "any-context-length"})


# -------------------------------------------------------------------------------------------------------------- asking


def ask(
    path: Path,
    registry: Registry,
    *,
    dataset: str,
    horizon: int,
    context: int = 10,
    clips: int = 100,
    settings: Sequence[str] = (),
    quiet: bool = False,
) -> Asked:
    """Write a context file: what a model is told about the first test clips, for one that runs elsewhere.

    settings  `key=value` lines that change the config of the dataset

    Raises UsageError where the dataset has no clip for that, StorageError, CellFailed for a dataset that fails.
    """
    if clips < 1:
        raise UsageError(f"clips must be at least 1, got {clips}")
    lines = Settings(settings)
    provided = registry.dataset(dataset)
    config = configured(provided, lines.of(provided))
    lines.check_all_used()
    opened_dataset = open_dataset(provided, config)
    opened = Opened(
        provided=provided,
        config=config,
        dataset=opened_dataset,
        fingerprint=fingerprint_of(provided, opened_dataset, SPLIT),
    )
    return write_context(path, opened, Task(context=context, horizon=horizon), clips, quiet=quiet)


# ------------------------------------------------------------------------------------------------------------- scoring


def plan_scoring(
    path: Path,
    registry: Registry,
    *,
    model_name: str,
    model_version: str | None = None,
    asked: Path | None = None,
    prefix_stable: bool = False,
    settings: Sequence[str] = (),
    **request: Any,
) -> Plan:
    """The plan that scores a file of predictions, floors and ceilings beside it.

    model_version  None: a digest of the predictions, which is part of the version in any case
    asked          the context file that was answered, where the predictions do not hold its request
    prefix_stable  a longer horizon would have left the earlier frames alone: the reporting horizons are scored too
    settings       `key=value` lines: where the files of the dataset are, and the config of metrics
    request        what else `Request` takes: results, metrics, device, batch_size, ...

    Raises DataError for what is wrong with the files, UsageError, and what `make_plan` raises.
    """
    spec = _spec(model_name, "" if model_version is None else model_version, prefix_stable)
    if model_version == "":
        raise UsageError("--model-version is empty: leave it out, and the predictions are their own version")
    registry.including(_provided(spec, path))  # a name that is taken is said before gigabytes are read
    with prediction_files.opened(path) as file:
        question = _question(file, asked)
        opened, lines = _opened(question, path, registry, settings)
        ids = [int(clip) for clip in opened.ids(question.task)[: question.clips]]
        if len(ids) != question.clips or ids_digest(ids) != question.ids_sha256:
            raise DataError(f"{path}: {opened.name} has other test clips here than were asked for: export it again")
        predictions = file.predictions(ids, (question.task.horizon, *opened.frame_shape))
    n = len(predictions.rows)
    seeds = {stream("context", SEED, SPLIT, clip): place for place, clip in enumerate(ids[:n])}
    digest = predictions.sha256[:12]
    model = replace(
        spec,
        version=digest if model_version is None else f"{model_version}+{digest}",
        elsewhere=predictions.sha256,
        factory=lambda config, **_: LookUp(predictions, seeds),
    )
    plan = make_plan(
        Request(
            models=(model_name,),
            horizons=(question.task.horizon,),
            datasets=(opened.name,),
            context=question.task.context,
            clips=n,
            settings=(*lines, *settings),
            **request,
        ),
        registry.including(_provided(model, path)),
    )
    if not prefix_stable:
        plan.cells = [planned for planned in plan.cells if planned.cell.task == question.task]
    if n < question.clips:
        plan.notes.append(f"{path}: predictions of the first {n} of the {question.clips} clips that were asked for")
    return plan


class LookUp:
    """A model whose answers are there already."""

    def __init__(self, predictions: Predictions, places: Mapping[int, int]) -> None:
        """places: the seed of each clip -> its place among the clips asked for."""
        self._predictions, self._places = predictions, places

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """See `vpbench.protocols.Model`."""
        found = [self._places.get(int(seed)) for seed in context.seeds]
        if None in found:
            raise ModelFailed(f"{self._predictions.path} holds no prediction of one of the clips")
        frames = [self._predictions.of(place, target_times.shape[1]) for place in found if place is not None]
        return to_frames(np.stack(frames), context.frames.device)


def _spec(name: str, version: str, prefix_stable: bool) -> ModelSpec:
    """Of a model of this name, without its predictions."""
    try:
        return ModelSpec(
            name=name,
            factory=LookUp,
            summary="Predictions made elsewhere",
            version=version or "-",
            prefix_stable=prefix_stable,
            capabilities=_CAPABILITIES,
            assumptions=ASSUMPTIONS,
        )
    except ValueError as error:
        raise UsageError(f"--model-name: {error}") from error


def _provided(spec: ModelSpec, path: Path) -> Provided[ModelSpec]:
    return Provided(spec, path.name, spec.version, spec.name)


def _question(file: PredictionFile, asked: Path | None) -> Asked:
    """What was asked: by the predictions themselves, or by the context file given."""
    own = file.request()
    if asked is None:
        if own is None:
            raise DataError(
                f"{file.path}: it does not say what was asked: save the request of the context file with it "
                "(request=context['request']), or give that file with --asked"
            )
        return _parsed(own, file.path)
    with prediction_files.opened(asked) as context_file:
        given = context_file.request()
    if given is None:
        raise DataError(f"{asked}: it holds no request: it is no file of vpbench export-context")
    if own is not None and own != given:
        raise DataError(f"{file.path}: these predictions answer another request than the one of {asked}")
    return _parsed(given, asked)


def _parsed(text: str, path: Path) -> Asked:
    try:
        return Asked.from_json(text)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _opened(question: Asked, path: Path, registry: Registry, settings: Sequence[str]) -> tuple[Opened, tuple[str, ...]]:
    """The dataset of a request, which must be the very one that is here, and its config as settings."""
    was = question.dataset
    provided = registry.dataset(was["name"])
    again = "ask again with vpbench export-context"
    if provided.spec.version != was["version"]:
        raise DataError(
            f"{path}: asked on {provided.spec.name} version {was['version']}, installed is {provided.spec.version}: "
            f"install that version, or {again}"
        )
    given = Settings(settings).of(provided)
    config = configured(provided, {**was["config"], **given})
    if config_to_dict(config) != was["config"]:
        raise UsageError(
            f"--set {', '.join(given)}: the request says the config of {provided.spec.name}, only where its files are "
            "can be set"
        )
    dataset = open_dataset(provided, config)
    fingerprint = fingerprint_of(provided, dataset, SPLIT)
    if fingerprint != was["fingerprint"]:
        raise DataError(
            f"{path}: asked on {provided.spec.name} with fingerprint {was['fingerprint'][:12]}, here it is "
            f"{fingerprint[:12]}: these are other frames; {again}"
        )
    opened = Opened(provided=provided, config=config, dataset=dataset, fingerprint=fingerprint)
    lines = tuple(f"{provided.spec.name}.{key}={_as_text(value)}" for key, value in was["config"].items())
    return opened, lines


def _as_text(value: Any) -> str:
    """A value of a config as `--set` has it."""
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else str(value).lower()
    return json.dumps(value)
