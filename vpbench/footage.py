"""Frames of chosen clips of records: from files beside them or, where those lack a clip, predicted again.

Files are the exhibit and the kept predictions of the rollout that a record is from. What is predicted again must give
the statistics that the record has of these clips. From files alone this needs no torch and no plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import exhibits, kept
from .comparison.labels import labels, short_folders
from .errors import RecordError, UsageError, VpbenchError
from .film import Scene, Take
from .methods import check_same_question
from .results import Record, cell_id, read_record
from .tasks import Task
from .tolerance import alike

if TYPE_CHECKING:
    import torch

    from .registry import Registry


@dataclass(frozen=True)
class Footage:
    """One clip, and what the model of one record made of it."""

    clip: int
    truth: np.ndarray  #: uint8 (Tc + Tt, C, H, W): context, then targets
    predicted: np.ndarray  #: uint8 (Tt, C, H, W), clamped
    said: str = ""  #: what is known of it, in a few words


#: Predicts clips of a record again; without clips, the first of the record.
Predict = Callable[[Record, Sequence[int]], Mapping[int, Footage]]


def shown_records(paths: Sequence[Path]) -> list[Record]:
    """The records to show together. Raises RecordError, UsageError for those that cannot be."""
    records = [read_record(path) for path in {path.resolve(): path for path in paths}.values()]
    for record in records:
        if record.status != "ok":
            raise RecordError(f"{record.path} is the record of a {record.status} cell: there is nothing to show")
        try:
            Task(**record.task)
        except (UsageError, TypeError) as error:
            raise RecordError(f"{record.path} has a task that cannot be shown here: {error}") from error
        check_same_question(records[0], record)
    return records


def scenes(records: Sequence[Record], clips: Sequence[int], predict: Predict) -> list[Scene]:
    """What there is to see of these clips, of all records together.

    clips    ids; none: one that the first record has at hand, of an exhibit the first
    predict  for clips that no file holds, see `predicted_again`

    Raises RecordError, UsageError for clips that cannot be had, or files that contradict each other.
    """
    first = footage(records[0], list(dict.fromkeys(clips)), predict)
    ids = [each.clip for each in first]
    found = [first, *(footage(record, ids, predict) for record in records[1:])]
    names = _names(records)
    made = []
    for place, clip in enumerate(ids):
        takes = [each[place] for each in found]
        for record, take in zip(records, takes, strict=True):
            if not np.array_equal(take.truth, takes[0].truth):
                raise RecordError(
                    f"{records[0].path} and {record.path} have other true frames of clip {clip} beside them, and their "
                    "dataset is the same: delete what is not theirs and run the cell again with --rerun all"
                )
        told = [Take(name, take.said, take.predicted) for name, take in zip(names, takes, strict=True)]
        made.append(Scene(f"clip {clip}", records[0].task["context"], takes[0].truth, told))
    return made


def _names(records: Sequence[Record]) -> list[str]:
    """As boards name them, and what is no contender."""
    found = labels([(record,) for record in records], short_folders(records))
    roles = [record.about.get("role", "contender") for record in records]
    return [name if role == "contender" else f"{name} ({role})" for name, role in zip(found, roles, strict=True)]


def footage(record: Record, clips: Sequence[int], predict: Predict) -> list[Footage]:
    """These clips of a record, in this order; without any, one that is at hand. Raises RecordError, UsageError."""
    exhibited = _exhibited(record)
    if exhibited and all(clip in exhibited for clip in clips):
        return [exhibited[clip] for clip in clips or list(exhibited)[:1]]
    there = {**_kept(record), **exhibited}
    if there and not clips:
        return list(there.values())[:1]
    missing = [clip for clip in clips if clip not in there]
    if not missing and clips:
        return [there[clip] for clip in clips]
    try:
        again = predict(record, missing)
    except VpbenchError as error:
        what = f"clip {missing[0]} is not" if missing else "no clip is"
        others = f" ({', '.join(map(str, there))} are)" if there else ""
        kind = UsageError if isinstance(error, UsageError) else RecordError
        raise kind(
            f"{record.path}: {what} in the files beside it{others}, and predicting it again did not work: {error}"
        ) from error
    return [{**there, **again}[clip] for clip in clips or again]


def _exhibited(record: Record) -> dict[int, Footage]:
    """The clips of the exhibit of a record's rollout, if there is one; those that all models show first."""
    path = exhibits.exhibit_path(kept.rollout_record(record))
    if not path.exists():
        return {}
    exhibit = exhibits.read(path)
    context, horizon = record.task["context"], record.task["horizon"]
    of_rollout = {**record.identity, "task": {**record.task, "horizon": exhibit.horizon}}
    if exhibit.cell != cell_id(of_rollout) or exhibit.context != context or exhibit.horizon < horizon:
        raise RecordError(f"{path} is of cell {exhibit.cell}, not of the record beside it: delete it")
    found = {}
    for clip in exhibit.clips:
        whole = exhibit.horizon == horizon  # what chose a clip is of all steps of the exhibit
        said = _said(record, exhibit.metric, clip) if whole else ""
        found[clip.id] = Footage(clip.id, clip.truth[: context + horizon], clip.predicted[:horizon], said)
    return found


def _said(record: Record, metric: str, clip: exhibits.ExhibitClip) -> str:
    """``"psnr-pooled 9.1 dB, its worst"``."""
    score = record.scores.get(metric)
    parts = [f"{metric} {clip.value:.3g} {score['unit']}".strip()] if score and clip.value is not None else []
    parts += [f"its {why}" for why in clip.why if why != "fixed"]
    return ", ".join(parts)


def _kept(record: Record) -> dict[int, Footage]:
    """The clips whose predictions were kept beside a record, if any were."""
    if not kept.predictions_path(record).is_file():
        return {}
    found = kept.kept_predictions(record)
    truth = exhibits.as_levels(np.concatenate([found.context, found.target], axis=1))
    predicted = exhibits.as_levels(found.predicted)
    return {clip: Footage(clip, truth[row], predicted[row]) for row, clip in enumerate(found.ids)}


def predicted_again(
    record: Record,
    clips: Sequence[int],
    registry: Registry,
    *,
    device: torch.device,
    weights: Sequence[Path] = (),
    file: str | None = None,
    settings: Sequence[str] = (),
) -> dict[int, Footage]:
    """These clips of a record, or the first one, predicted by the model that is installed.

    weights, file  as of `remake.remade`
    settings       key=value lines that say where the files of the dataset are

    Raises UsageError for a clip that the record does not have; RecordError, WeightsError, CellFailed where it cannot be
    made again, or comes out otherwise than the record says.
    """
    from .evaluation import Evaluation, rows_of
    from .remake import metrics_of, remade
    from .scoring import over_steps
    from .settings import Settings

    lines = Settings(settings)
    cell, dataset = remade(record, registry, weights, file, lines)
    lines.check_all_used()
    metrics = {name: made for name, made in metrics_of(record, registry)[0].items() if made.spec.window is None}
    if not metrics:
        raise RecordError("none of its metrics is installed at its version, so nothing shows that they are its own")
    ids = [int(clip) for clip in rows_of(cell, dataset)]
    if unknown := [clip for clip in clips if clip not in ids]:
        some = ", ".join(map(str, ids[:4])) + (", ..." if len(ids) > 4 else "")
        raise UsageError(f"the record has no clip {unknown[0]}; it has {len(ids)}: {some}")
    wanted = list(clips) or ids[:1]
    evaluation = Evaluation(cell, dataset, metrics, device=device, batch_size=_BATCH, keep=len(wanted))
    partial = evaluation(wanted)
    for failure in evaluation.broken.values():
        raise failure
    places = [ids.index(clip) for clip in wanted]
    for name, found in over_steps(partial, metrics, partial.steps).items():
        recorded = [np.nan if value is None else value for value in record.statistics.get(name, [])]
        if not alike(found, np.array([recorded[place] for place in places if place < len(recorded)], dtype=np.float64)):
            raise RecordError(f"its {name} is not the one of the record, vpbench verify tells more")
    frames = {key: exhibits.as_levels(partial.kept[key]) for key in ("context", "target", "predicted")}
    truth = np.concatenate([frames["context"], frames["target"]], axis=1)
    return {clip: Footage(clip, truth[row], frames["predicted"][row]) for row, clip in enumerate(wanted)}


_BATCH = 16
