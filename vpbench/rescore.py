"""More metrics for a record, from the predictions that were kept beside it; the model is not needed.

The clips and their truth come from the dataset again, which must be the one of the record. Before anything is added,
the metrics that the record has are measured again too: predictions that do not give its statistics are not its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .batches import in_parts
from .errors import ConfigError, RecordError, UsageError
from .instances import Metrics, failing_in, make_metric
from .kept import Kept, kept_predictions
from .plan import named_metrics, not_computable
from .protocols import Dataset, Scored
from .questions import read_question
from .registry import Registry
from .remake import dataset_of, metrics_of
from .results import Record, claim, read_record, record_path, write_record
from .scoring import Partial, measure, merge, over_steps, summarise
from .settings import Settings
from .software import software
from .tasks import Task
from .tolerance import alike


@dataclass(frozen=True)
class Rescored:
    """What became of one record."""

    path: Path  #: of the record that was written
    added: Mapping[str, Mapping[str, Any]]  #: scores by metric
    not_computed: Mapping[str, str]  #: metric -> why not
    clips: int


def rescore(
    path: Path,
    registry: Registry,
    *,
    metrics: Sequence[str],
    settings: Sequence[str] = (),
    device: torch.device,
    batch_size: int,
    to: Path | None = None,
) -> Rescored:
    """Measure these metrics, or all of a convention, on the predictions kept beside a record, and add them to it.

    settings  `name.key=value` lines, for metrics that take any, and where the files of the dataset are
    to        results folder to write to instead. It must be given where not all clips of the record were kept: what is
              written then is the record of fewer clips, with the metrics of the record and those asked for

    Raises RecordError where the record, its dataset or its predictions are not what they must be, UsageError.
    """
    record = read_record(path)
    if record.status != "ok":
        raise RecordError(f"{path} is the record of a {record.status} cell: there is nothing to rescore")
    lines = Settings(settings)
    provided, dataset = dataset_of(record, registry, lines)
    task = _task(record)
    wanted = wanted_metrics(metrics, lines, registry)
    lines.check_all_used()
    reasons = {name: not_computable(made, provided, dataset, task.horizon) for name, made in wanted.items()}
    without = {name: why for name, why in reasons.items() if why}
    if without.keys() == wanted.keys():
        raise UsageError("; ".join(f"{name} is not computed: {why}" for name, why in without.items()))
    added = {name: made for name, made in wanted.items() if name not in without}
    own, gone = metrics_of(record, registry)
    of_all = [name for name, made in own.items() if made.spec.window is not None]
    own = {name: made for name, made in own.items() if made.spec.window is None}

    kept = kept_predictions(record)
    whole = len(kept.ids) == record.identity["clips"]
    if not whole and to is None:
        raise RecordError(
            f"{path} has {record.identity['clips']} clips, predictions of {len(kept.ids)} were kept: give --to DIR for "
            f"a record of these, or run the cell again with --keep-predictions {record.identity['clips']} --rerun all"
        )
    per_frame = frozenset(field.name for field in provided.spec.truth if field.per == "frame")
    partial = _measured(record, dataset, kept, {**own, **added}, task, device, batch_size, per_frame)
    _check_own(record, partial, own, kept)
    scores, statistics = summarise(partial, {**own, **added} if not whole else added, task.horizon)
    installed = software(*(made.provided for made in added.values()))
    note = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "metrics": sorted(added), "software": installed}
    listed = {name: values.tolist() for name, values in statistics.items()}
    result = replace(
        record,
        identity={**record.identity, "clips": len(kept.ids)},
        scores={**record.scores, **scores} if whole else scores,
        statistics={**record.statistics, **listed} if whole else listed,
        extra={**record.extra, "rescored": [*record.extra.get("rescored", []), note]},
    )
    results = to or _results_of(path, record)
    with claim(results, result.identity):
        written = write_record(results, result)
    if not whole:
        without |= {name: "not installed here as the record has it" for name in gone if name not in scores}
        without |= {name: "it is of all clips of the record" for name in of_all if name not in scores}
    return Rescored(written, {name: scores[name] for name in added}, without, len(kept.ids))


def _results_of(path: Path, record: Record) -> Path:
    """The results folder that a record is in. Raises RecordError for one that lies elsewhere."""
    place = path.resolve()
    results = place.parents[min(2, len(place.parents) - 1)]
    if record_path(results, record.identity) != place:
        raise RecordError(
            f"{path} does not lie in a results folder as {record_path('RESULTS', record.identity)}: give --to DIR"
        )
    return results


def _task(record: Record) -> Task:
    try:
        return Task(**record.task)
    except (ConfigError, TypeError) as error:  # a task that this version does not know
        raise RecordError(f"{record.path} has a task that cannot be made here: {error}") from error


def wanted_metrics(names: Sequence[str], lines: Settings, registry: Registry) -> Metrics:
    """The metrics asked for, by name. Raises UnknownName, ConfigError and what making one raises."""
    installed = registry.metrics()
    return {
        name: make_metric(installed[name], lines.of(installed[name], bare=False))
        for name in named_metrics(names, registry)
    }


def _measured(
    record: Record,
    dataset: Dataset,
    kept: Kept,
    metrics: Metrics,
    task: Task,
    device: torch.device,
    batch_size: int,
    per_frame: frozenset[str],
) -> Partial:
    parts = []
    split, seed = record.identity["split"], record.identity["seed"]
    for places in in_parts(range(len(kept.ids)), batch_size):
        ids = [kept.ids[place] for place in places]
        with failing_in("data"):
            batch = read_question(dataset, task, split, ids, device, seed, per_frame)
        if not np.array_equal(batch.target.cpu().numpy(), kept.target[places]):
            raise RecordError(f"{kept.path}: kept with other target frames than {record.dataset['name']} has here")
        raw = torch.from_numpy(kept.predicted[places]).to(device, torch.float32)
        scored = Scored(
            predicted=raw.clamp(0, 1), target=batch.target, raw=raw, context=batch.context, truth=batch.target_truth
        )
        statistics, features = measure(scored, metrics)
        parts.append(Partial(tuple(ids), task.horizon, statistics, features=features))
    return merge(parts, kept.ids)


def _check_own(record: Record, partial: Partial, own: Metrics, kept: Kept) -> None:
    """The predictions give the statistics that the record has, or they are not its own."""
    if not own:
        raise RecordError(
            f"{record.path}: none of its metrics is installed at its version, so nothing shows that {kept.path.name} "
            "holds its predictions"
        )
    for name, values in over_steps(partial, own, partial.steps).items():
        if name not in record.statistics:
            raise RecordError(f"{record.path} has no {name}, which its metrics are made of: run the cell again")
        recorded = np.array([np.nan if v is None else v for v in record.statistics[name]], dtype=np.float64)
        if not alike(values, recorded[: len(values)]):
            raise RecordError(f"{kept.path}: these predictions do not give {name} of {record.path}")
