"""Which records differ in their seed alone, and so are one method that was trained or drawn several times; and which of
them, of one cell in several sizes, counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from ..results import Record, canonical

#: What has to agree for two trainings to be of one method; how long they took, and on what, may differ.
_TRAINING = ("updates", "batch_size", "context", "horizon", "precision", "dataset", "model_version")

#: What decides one training, however far it has come.
_ONE_TRAINING = ("budget", "batch_size", "context", "horizon", "precision", "dataset", "seed", "model_version")


def seed_of(record: Record) -> Any:
    """What was drawn anew for this record: of trained weights the seed of their training, else that of the run."""
    seed = training_seed(record)
    return record.identity["seed"] if seed is None else seed


def training_seed(record: Record) -> Any:
    """The seed that the weights were trained with; None where there are no weights, or it is not known."""
    return training_of(record).get("seed") if record.model["weights_sha256"] else None


def training_of(record: Record) -> Mapping[str, Any]:
    """What the record says of how its weights were trained; {} where it says nothing."""
    training = record.about.get("training")
    return training if isinstance(training, Mapping) else {}


def cell_of_any_size(record: Record) -> str:
    """What records have in common that are of one cell, whatever their number of clips."""
    return canonical({key: value for key, value in record.identity.items() if key != "clips"})


def clips_of(record: Record) -> int:
    """How many clips the record has statistics for."""
    return min((len(values) for values in record.statistics.values()), default=record.identity["clips"])


def largest(records: Iterable[Record], place: Callable[[Record], Any]) -> list[Record]:
    """Of records of one folder that differ in the number of clips alone, the one with most: it holds the others.

    place  the folder of a record

    Those with most clips first; of equal ones the first in order counts.
    """
    found: dict[Hashable, Record] = {}
    for record in sorted(records, key=lambda record: -clips_of(record)):
        found.setdefault((place(record), cell_of_any_size(record)), record)
    return list(found.values())


def without_earlier_snapshots(records: Iterable[Record], place: Callable[[Record], Any]) -> list[Record]:
    """Records but for those of a part of a training of which the same folder holds a result with more of it.

    place  the folder of a record
    """
    records = list(records)
    farthest: dict[Hashable, int] = {}
    for record in records:
        if record.status == "ok" and (part := _part_of(record)):
            key = (place(record), _one_training(record))
            farthest[key] = max(part[0], farthest.get(key, 0))
    return [
        record for record in records if not _is_earlier(record, farthest.get((place(record), _one_training(record))))
    ]


def _is_earlier(record: Record, farthest: int | None) -> bool:
    part = _part_of(record)
    return part is not None and farthest is not None and part[0] < min(part[1], farthest)


def _part_of(record: Record) -> tuple[int, int] | None:
    """The updates done and those of the whole training; None where that is not known."""
    training = training_of(record)
    done, total = training.get("updates"), training.get("total_updates")
    return (done, total) if record.model["weights_sha256"] and type(done) is type(total) is int else None


def _one_training(record: Record) -> str:
    """What records of one training have in common, on one task."""
    training = training_of(record)
    model = {key: value for key, value in record.model.items() if key != "weights_sha256"}
    rest = {key: record.identity[key] for key in ("split", "task", "dataset", "dtype", "seed")}
    return canonical([model, rest, {key: training.get(key) for key in _ONE_TRAINING}])


def same_method(one: Record, other: Record) -> bool:
    """Whether two records differ in their seed alone, and perhaps in the number of clips; whatever became of them."""
    return _method(one) == _method(other)


def by_method(records: Iterable[Record], place: Callable[[Record], Any]) -> list[tuple[Record, ...]]:
    """The records of one board as methods: those that differ in their seed alone together, by seed.

    place  the folder of a record: methods reach across folders only where no cell is in two of them

    Weights whose training says no seed are a method of their own, and so are the same weights run with another seed:
    that is no new training.
    """
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[_method(record)].append(record)
    methods: list[tuple[Record, ...]] = []
    for group in groups.values():
        for part in _unless(_seeds_of_one_method, group, place):
            methods += [tuple(part)] if _seeds_of_one_method(part) else [(record,) for record in part]
    return [tuple(sorted(method, key=_by_seed)) for method in methods]


def _by_seed(record: Record) -> tuple[bool, float, str]:
    """Numbers as numbers; a record may say anything there."""
    seed = seed_of(record)
    number = isinstance(seed, int | float)
    return (not number, seed if number else 0.0, canonical(seed))


def _unless(fits: Callable[[Sequence[Record]], bool], group: list[Record], place: Callable[[Record], Any]) -> list[Any]:
    """The group whole where it fits, else one part per folder."""
    if fits(group):
        return [group]
    parts: dict[Any, list[Record]] = defaultdict(list)
    for record in group:
        parts[place(record)].append(record)
    return list(parts.values())


def _seeds_of_one_method(records: Sequence[Record]) -> bool:
    weights = {record.model["weights_sha256"] for record in records}
    different = len(weights) == len(records) or weights == {None}
    return different and len({canonical(seed_of(record)) for record in records}) == len(records)


def _method(record: Record) -> str:
    """What records have in common that differ in their seed alone."""
    model, rest = dict(record.model), {key: record.identity[key] for key in ("split", "task", "dataset", "dtype")}
    if not model["weights_sha256"]:
        return canonical([model, rest])
    seed = training_seed(record)
    if seed is None:
        return canonical([model, rest, record.identity["seed"]])
    del model["weights_sha256"]
    training = training_of(record)
    return canonical([model, rest, {key: training.get(key) for key in _TRAINING}])
