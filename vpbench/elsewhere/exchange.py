"""Models that ran in another program: what they are asked, and their predictions scored like those of any other model.

The predictions become a model that looks its answers up by the seeds of the clips, and so an ordinary plan, run and
record. What a record cannot say of them it does not say: how fast and how large the model was, and that it never saw a
target.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ..arguments import request_of, setting_lines, text, whole
from ..batches import stream, to_frames
from ..config import config_to_dict
from ..device import random_numbers_kept
from ..errors import DataError, ModelFailed, UsageError, VpbenchWarning
from ..instances import configured, fingerprint_of, open_dataset
from ..perform import perform
from ..plan import Opened, Plan, make_plan
from ..protocols import Context
from ..registry import Provided, Registry, load
from ..results import read_record
from ..settings import Settings
from ..specs import ModelSpec
from ..tables import per_record
from ..tasks import Task
from . import prediction_files
from .context_files import SEED, SPLIT, Asked, ids_digest, write_context
from .prediction_files import PredictionFile, Predictions

if TYPE_CHECKING:
    import pandas as pd

#: A mapping of keys to values, or lines "key=value".
Settable = Mapping[str, Any] | Sequence[str] | str

ASSUMPTIONS = "predictions were made elsewhere: that no target was seen cannot be checked"

#: Of a request, what the files do not settle.
_FREE = ("results", "metrics", "device", "batch_size", "rerun", "keep_predictions", "exhibit")

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
    settings: Settable = (),
    quiet: bool = False,
) -> Asked:
    """Write a context file: what a model is told about the first test clips, for one that runs elsewhere.

    settings  what to change in the config of the dataset

    Raises UsageError where the dataset has no clip for that, StorageError, CellFailed for a dataset that fails.
    """
    if clips < 1:
        raise UsageError(f"clips must be at least 1, got {clips}")
    lines = Settings(setting_lines(settings))
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
    settings: Settable = (),
    **request: Any,
) -> Plan:
    """The plan that scores a file of predictions, floors and ceilings beside it.

    model_version  None: a digest of the predictions, which is part of the version in any case
    asked          the context file that was answered, where the predictions do not hold its request
    prefix_stable  a longer horizon would have left the earlier frames alone: the reporting horizons are scored too
    settings       where the files of the dataset are, and the config of metrics
    request        of `Request`: results, metrics, device, batch_size, rerun, keep_predictions, exhibit

    Raises DataError for what is wrong with the files, UsageError, and what `make_plan` raises.
    """
    spec = _spec(model_name, prefix_stable)
    if model_version is not None and (not model_version or not model_version.isprintable()):
        raise UsageError(
            f"--model-version {model_version!r} is no text that can be shown: leave it out, and the predictions are "
            "their own version"
        )
    if unknown := [name for name in request if name not in _FREE]:
        raise UsageError(f"no argument {unknown[0]!r}; there is: {', '.join(_FREE)}")
    wanted = request_of(models=model_name, horizons=1, settings=settings, **request)  # the horizon is in the files
    registry.including(_provided(spec, path))  # a name that is taken is said before gigabytes are read
    with prediction_files.opened(path) as file:
        question = _question(file, asked)
        if model_name == question.dataset["name"]:
            raise UsageError(f"--model-name {model_name}: that is the dataset; give the model a name of its own")
        opened, lines = _opened(question, path, registry, wanted.settings)
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
        replace(
            wanted,
            horizons=(question.task.horizon,),
            datasets=(opened.name,),
            context=question.task.context,
            clips=n,
            settings=(*lines, *wanted.settings),
        ),
        registry.including(_provided(model, path)),
        shorter=prefix_stable,
    )
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


def _spec(name: str, prefix_stable: bool) -> ModelSpec:
    """Of a model of this name, without its predictions."""
    try:
        return ModelSpec(
            name=name,
            factory=LookUp,
            summary="Predictions made elsewhere",
            version="-",
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


def _parsed(request: str, path: Path) -> Asked:
    try:
        return Asked.from_json(request)
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
        if not given:
            raise DataError(f"{path}: the config of {provided.spec.name} is another one by now; {again}")
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


# --------------------------------------------------------------------------------------------------------- from Python


def export_context(
    dataset: str,
    horizon: int,
    output: str | Path,
    *,
    context: int = 10,
    clips: int = 100,
    settings: Settable = (),
    progress: bool = True,
) -> Path:
    """Write what a model is told about the first test clips of a dataset, for one that runs elsewhere.

    horizon   frames to predict
    output    the .npz to write: `vpbench.elsewhere.context_files` says what is in it
    context   frames that are given
    clips     the first so many of the test split; all, where there are fewer
    settings  config of the dataset: {"digits": 3}, or lines "digits=3"

    As `vpbench export-context` does. Returns the path. Raises VpbenchError, one line.
    """
    path = Path(output)
    ask(
        path,
        _installed(),
        dataset=text("dataset", dataset),
        horizon=whole("horizon", horizon),
        context=whole("context", context),
        clips=whole("clips", clips),
        settings=settings,
        quiet=not progress,
    )
    return path


def score(
    predictions: str | Path,
    model_name: str,
    *,
    asked: str | Path | None = None,
    model_version: str | None = None,
    prefix_stable: bool = False,
    metrics: str | Sequence[str] = (),
    settings: Settable = (),
    results: str | Path = "runs",
    progress: bool = True,
    **request: Any,
) -> pd.DataFrame:
    """Score predictions that were made elsewhere: a row per record, of the floors and ceilings too.

    predictions    an .npz: `vpbench.elsewhere.prediction_files` says what has to be in it
    model_name     on boards
    asked          the context file that was answered, where `predictions` does not hold its request
    model_version  a digest of the predictions is added to it; None: the digest
    prefix_stable  a longer horizon leaves the earlier frames of the model alone: shorter horizons are scored too
    metrics        of metrics, of conventions, or "default"; none: all that are on by default
    settings       where the files of the dataset are, and the config of metrics
    results        folder of records
    progress       print the plan, a line per finished cell, and bars
    request        device, batch_size, rerun, keep_predictions, exhibit: see `vpbench.plan.Request`

    As `vpbench score` does; the columns are those of ``load_results(per="record")``. Raises VpbenchError, one line.
    """
    plan = plan_scoring(
        Path(predictions),
        _installed(),
        model_name=text("model_name", model_name),
        model_version=None if model_version is None else text("model_version", model_version),
        asked=None if asked is None else Path(asked),
        prefix_stable=prefix_stable,
        metrics=metrics,
        settings=settings,
        results=results,
        **request,
    )
    with random_numbers_kept(plan.device):
        perform(plan, say=print if progress else lambda line: None, warn=_warn, quiet=not progress)
    return per_record([read_record(planned.path) for planned in plan.cells if planned.path.exists()])


def _installed() -> Registry:
    found = load()
    for problem in found.problems:
        _warn(f"plugin left out: {problem}")
    return found


def _warn(message: str) -> None:
    warnings.warn(message.strip(), VpbenchWarning, stacklevel=3)
