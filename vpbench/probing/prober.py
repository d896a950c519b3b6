"""What is probed, with which clips: the model, its weights, the dataset and its test clips are found as by a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast, get_args

from .. import device as devices
from .. import registry as registries
from ..arguments import request_of, text, whole
from ..device import random_numbers_kept
from ..errors import CellFailed, PluginError, Refused, UsageError
from ..evaluation import Cell, Evaluation, rows_of
from ..instances import blaming, fingerprint_of, ids_of
from ..plan import Plan, Request, make_plan
from ..protocols import Coded, Dataset
from ..registry import Provided, Registry
from ..software import software
from ..specs import ModelSpec
from ..tasks import fixed_horizon, read_task
from .answers import At, Objects
from .probes import never, probe_all
from .reading import Encoder
from .report import ProbeReport

CONTEXT, CLIPS, TRAIN_CLIPS = 10, 500, 2000

#: Probes are no cells: nothing is taken from a folder of records, and nothing is written to one.
_NO_RECORDS = Path(os.devnull, "records")


@dataclass(frozen=True, kw_only=True)
class ProbeRequest:
    """What `vpbench probe` was asked for. Raises UsageError for what makes no sense."""

    run: Request  #: of one model: how it, its weights and the clips are found
    train_clips: int = TRAIN_CLIPS  #: clips of the train split that probes are fitted on, spread over all of it
    at: At = "last"  #: the context frame whose truth a code of the clip is held against
    objects: Objects = "sorted"  #: how several objects of a clip are told apart

    def __post_init__(self) -> None:
        if len(self.run.models) != 1 or len(self.run.datasets) > 1 or len(self.run.seeds) != 1:
            raise UsageError("probe one model on one dataset, with one seed")
        if read_task(self.run.task)["kind"] == "swap":
            raise UsageError("codes are of one clip, and the task swap is of two: probe with another task")
        if self.train_clips < 2:
            raise UsageError(f"train_clips must be at least 2, got {self.train_clips}")
        for name, choices in (("at", get_args(At)), ("objects", get_args(Objects))):
            if getattr(self, name) not in choices:
                raise UsageError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")


def probe_codes(request: ProbeRequest, installed: Registry, *, quiet: bool = False) -> ProbeReport:
    """Probe the codes of a model for the truth of a dataset.

    Raises UsageError, Refused for what a run would refuse, PluginError, ModelFailed, DataError, WeightsError.
    """
    asked = installed.model(request.run.models[0])
    _check_class(asked, installed)
    started = _now()
    plan = make_plan(replace(request.run, results=_NO_RECORDS, rerun="all"), installed, shorter=False)
    (planned,) = (each for each in plan.cells if each.asked)
    if planned.action == "refused":
        raise Refused(planned.reason)
    cell = planned.cell
    dataset = plan.datasets[cell.dataset.spec.name]
    truth = cell.dataset.spec.truth
    skipped = {field.name: why for field in truth if (why := never(field, request.objects))}
    fields = [field for field in truth if field.name not in skipped]
    if not fields:
        told = "; ".join(f"{name}: {why}" for name, why in skipped.items()) or "none"
        raise Refused(f"{cell.dataset.spec.name} tells no truth that could be probed for ({told})")
    clips = {
        "train": _spread(_ids(cell, dataset, "train"), request.train_clips),
        "val": _ids(cell, dataset, "val")[: request.run.clips],
        "test": rows_of(cell, dataset)[: cell.clips],
    }
    with random_numbers_kept(plan.device):
        encode = Encoder(
            cell,
            _model(plan, cell, dataset, installed),
            dataset,
            device=plan.device,
            batch_size=request.run.batch_size,
            quiet=quiet,
        )
        splits = {split: encode(split, ids, fields) for split, ids in clips.items()}
    with blaming(cell.dataset, "truth"):
        found = probe_all(fields, splits, at=request.at, objects=request.objects, seed=cell.seed)
    return ProbeReport(
        cell=cell,
        train_clips=len(clips["train"]),
        val_clips=len(clips["val"]),
        fingerprints={split: fingerprint_of(cell.dataset, dataset, split) for split in clips},
        at=request.at,
        objects=request.objects,
        found=found,
        never=skipped,
        notes=tuple(plan.notes),
        software=software(cell.model, cell.dataset),
        machine=devices.describe(plan.device),
        started=started,
        finished=_now(),
    )


def _check_class(asked: Provided[ModelSpec], installed: Registry) -> None:
    """Say that a model has no codes before anything is read, where its class tells."""
    with blaming(asked, "import"):
        factory = asked.spec.load()
    if isinstance(factory, type) and not callable(getattr(factory, "codes", None)):
        raise UsageError(_no_codes(asked.spec.name, installed))


def _no_codes(name: str, installed: Registry) -> str:
    having = []
    for other, each in installed.models().items():
        try:
            if callable(getattr(each.spec.load(), "codes", None)):
                having.append(other)
        except Exception:  # what cannot be imported is no advice
            continue
    there = f"installed models that have them: {', '.join(having)}" if having else "no installed model has them"
    return f"{name} has no codes(context, target_times), so there is nothing to probe; {there}"


def _model(plan: Plan, cell: Cell, dataset: Dataset, installed: Registry) -> Coded:
    """The model with its weights on the device; one that learns statistics has learnt them."""
    with blaming(cell.model, "making"):
        try:
            made = Evaluation(cell, dataset, {}, device=plan.device, batch_size=plan.request.batch_size).model
        except CellFailed as failure:
            raise failure.__cause__ or failure from None
    if not callable(getattr(made, "codes", None)):
        raise UsageError(_no_codes(cell.model.spec.name, installed))
    return cast(Coded, made)


def _ids(cell: Cell, dataset: Dataset, split: str) -> Sequence[int]:
    """Clips of a split that are long enough. Raises Refused where there are too few."""
    try:
        found = cell.task.rows(ids_of(cell.dataset, dataset, split, cell.task.n_frames))
    except PluginError as error:  # a dataset may have no such split
        raise Refused(f"{_without(cell, split)} ({error})") from error
    if len(found) < 2:
        raise Refused(_without(cell, split))
    return found


def _without(cell: Cell, split: str) -> str:
    use = {"train": "probes are fitted on", "val": "the strength of probes is chosen on"}[split]
    return f"{cell.dataset.spec.name} has no two {split} clips of {cell.task.n_frames} frames, which {use}"


def _spread(ids: Sequence[int], clips: int) -> list[int]:
    """So many of these, at equal distances."""
    n = min(clips, len(ids))
    return [ids[k * len(ids) // n] for k in range(n)]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def probe_request(
    model: str,
    *,
    horizon: int | None = None,
    context: int = CONTEXT,
    task: str = "extrapolate",
    train_clips: int = TRAIN_CLIPS,
    at: At = "last",
    objects: Objects = "sorted",
    seed: int = 0,
    **run: Any,
) -> ProbeRequest:
    """What is asked for, of values as people write them; run: further fields of `vpbench.plan.Request`.

    horizon  None: as many frames as are given, where the task does not settle it. Raises UsageError.
    """
    settled = fixed_horizon(read_task(text("task", task))["kind"], whole("context", context)) is not None
    wanted = request_of(
        models=text("model", model),
        horizons=context if horizon is None and not settled else horizon,
        context=context,
        task=task,
        seeds=whole("seed", seed),
        **{"clips": CLIPS, **run},
    )
    return ProbeRequest(run=wanted, train_clips=whole("train_clips", train_clips), at=at, objects=objects)


def probe(
    model: str,
    *,
    dataset: str | None = None,
    horizon: int | None = None,
    context: int = CONTEXT,
    task: str = "extrapolate",
    clips: int = CLIPS,
    train_clips: int = TRAIN_CLIPS,
    at: At = "last",
    objects: Objects = "sorted",
    weights: str | Path | None = None,
    settings: Any = None,
    allow_untrained: bool = False,
    seed: int = 0,
    device: Any = "auto",
    precision: str = "float32",
    batch_size: int = 16,
    progress: bool = True,
) -> ProbeReport:
    """How much of the truth of clips lies, linearly, in each code of a model: what `vpbench probe` prints.

    model        name of an installed one with codes(context, target_times), or "file.py:Class"
    dataset      of the clips; None: the one the model's weights are for, in its config
    horizon      target times that codes are asked for; None: as many as context frames
    context      frames that are given
    task         which frames are given and wanted, as of `vpbench.run`; "reconstruct": codes at the context frames
    clips        of the test split, the first so many; as many of the val split
    train_clips  of the train split, spread over all of it
    at           what a code of the clip is held against, of truth per frame: "last" context frame, "mean" over them
    objects      several objects of a clip: "sorted" by a rule that the report states, or their "mean"
    seed         of untrained weights, of models that draw, and of the control

    The rest is as in `vpbench.evaluate`. Raises VpbenchError, one line.
    """
    request = probe_request(
        model,
        horizon=horizon,
        context=context,
        task=task,
        train_clips=train_clips,
        at=at,
        objects=objects,
        seed=seed,
        datasets=None if dataset is None else text("dataset", dataset),
        clips=clips,
        batch_size=batch_size,
        device=device,
        precision=precision,
        weights=weights,
        settings=settings,
        allow_untrained=allow_untrained,
    )
    return probe_codes(request, registries.load(), quiet=not progress)
