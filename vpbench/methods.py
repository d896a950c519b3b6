"""Which records are one method, and what it is called.

A method is one record, or several that differ in the seed of their training alone. It is named as boards name it: by
its model, and by what tells it from others of that model.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .comparison import settings
from .errors import UsageError
from .results import Record, canonical

#: What has to agree for two trainings to be of one method; how long it took, and where, may differ.
_TRAINING = ("budget", "batch_size", "context", "horizon", "precision", "dataset")


@dataclass(frozen=True, kw_only=True)
class Method:
    """One record, or several of one method that differ in the seed alone."""

    label: str
    records: tuple[Record, ...]  #: with scores, by seed
    without_result: tuple[Record, ...] = ()  #: seeds of it that failed or were skipped

    @property
    def learns(self) -> bool:
        """Whether training it again could give something else."""
        return self.records[0].about.get("learns") in ("weights", "statistics")


# ----------------------------------------------------------------------------------------------------------- finding


def method_of(record: Record) -> Method:
    """One record as a method of one seed. Raises `UsageError` where the record is of a cell without result."""
    if record.status != "ok":
        reason = record.reason or {}
        message = " ".join(str(reason.get("message", "")).split())
        raise UsageError(f"{place_of(record)}: {record.status} in {reason.get('phase')}: {message}: nothing to compare")
    return Method(label=str(record.model["name"]), records=(record,))


def find_method(
    name: str,
    records: Iterable[Record],
    *,
    dataset: str | None = None,
    horizon: int | None = None,
    like: Record | None = None,
) -> Method:
    """The method of this name among records: one record, or all seeds of one method.

    name     a model's name, as on the board with what tells it from others: "latentode", "latentode, seed 1",
             "latentode, weights ca7ba0f6", "latentode, solver=rk4"; or a cell id
    dataset  only records of this dataset; None: any
    horizon  only records of this horizon; None: any
    like     only records that answer the same question as this one

    Of records that differ in the number of clips alone the largest counts. Raises `UsageError`, with what there is,
    where nothing or more than one thing has the name.
    """
    records = list(records)
    wanted = set(re.split(r",\s+", name.strip()))
    named = [record for record in records if _matches(record, wanted)]
    if not named:
        there = sorted({str(record.model["name"]) for record in records})
        raise UsageError(f"no record is named {name!r}; there is: {listed(there)}")
    for what, value, of in (
        ("dataset", dataset, lambda record: record.dataset["name"]),
        ("horizon", horizon, lambda record: record.task.get("horizon")),
    ):
        if value is not None:
            there = sorted({of(record) for record in named}, key=lambda each: (str(type(each)), each))
            named = [record for record in named if of(record) == value]
            if not named:
                raise UsageError(f"{name!r} has no record with {what} {value}; there is: {listed(there)}")
    if like is not None:
        alike = [record for record in named if _question(record) == _question(like)]
        if not alike:
            check_same_question(like, named[0])
        named = alike
    if len(questions := {_question(record): record for record in named}) > 1:
        told = sorted(map(_question_in_words, questions.values()), key=_natural)
        raise UsageError(
            f"{name!r} has records of {len(questions)} questions: {listed(told)}; say which with --horizon and "
            "--dataset, or name a record file"
        )
    finished = [record for record in named if record.status == "ok"] or [method_of(named[0]).records[0]]
    unfinished = [record for record in named if record.status != "ok"]
    return _one_method(name, _largest(name, finished), unfinished)


def _one_method(name: str, records: Sequence[Record], unfinished: Sequence[Record]) -> Method:
    """The records as seeds of one method; `UsageError` if they differ in anything else."""
    methods: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        methods[_method_key(record)].append(record)
    seeds = {canonical(seed_of(record)) for record in records}
    weights = {record.model["weights_sha256"] for record in records}
    trained_alike = len(weights) < len(records) and weights != {None}
    if len(methods) > 1 or len(seeds) < len(records) or trained_alike:
        told = [f"{_what_differs(record, records)} (cell {record.cell})" for record in records]
        raise UsageError(
            f"{name!r} names {len(records)} records that are not seeds of one method: {'; '.join(sorted(told))}; "
            "name one of them by its cell or by what tells it apart"
        )
    order = sorted(records, key=lambda record: canonical(seed_of(record)))
    done = {_cell_of_any_size(record) for record in records}
    without_result = tuple(record for record in unfinished if _cell_of_any_size(record) not in done)
    return Method(label=str(records[0].model["name"]), records=tuple(order), without_result=without_result)


def _largest(name: str, records: Sequence[Record]) -> list[Record]:
    """Of records that differ in the number of clips alone, the one with most: it holds the others."""
    largest: dict[str, Record] = {}
    for record in sorted(records, key=lambda record: (-clips_of(record), str(record.path))):
        first = largest.setdefault(_cell_of_any_size(record), record)
        if first is not record and first.cell == record.cell:
            raise UsageError(
                f"{name!r} is the same cell in {place_of(first)} and {place_of(record)}: name one of these files, or "
                "one folder with --results"
            )
    return list(largest.values())


def _cell_of_any_size(record: Record) -> str:
    return canonical({key: value for key, value in record.identity.items() if key != "clips"})


def seed_of(record: Record) -> Any:
    """What was drawn anew for this record: of trained weights the seed of their training, else that of the run."""
    training = _training(record)
    seed = training.get("seed") if record.model["weights_sha256"] else None
    return record.identity["seed"] if seed is None else seed


def _method_key(record: Record) -> str:
    """What records have in common that differ in their seed alone."""
    model = {key: value for key, value in record.model.items() if key != "weights_sha256"}
    training = {key: _training(record).get(key) for key in _TRAINING} if record.model["weights_sha256"] else {}
    return canonical([model, bool(record.model["weights_sha256"]), training, record.identity["dtype"]])


def _training(record: Record) -> Mapping[str, Any]:
    training = record.about.get("training")
    return training if isinstance(training, Mapping) else {}


def _question(record: Record) -> str:
    return canonical([record.dataset, record.identity["split"], record.task])


def _question_in_words(record: Record) -> str:
    """``"moving-mnist extrapolate-10-90"``, and the split where it is not the usual one."""
    split = "" if record.identity["split"] == "test" else f" ({record.identity['split']})"
    return f"{record.dataset['name']} {record.slug}{split}"


# --------------------------------------------------------------------------------------------------------- questions


def check_same_question(a: Record, b: Record) -> None:
    """Records of another dataset, split or task say nothing about each other."""
    differing = []
    for what, one, other in (("dataset", a.dataset, b.dataset), ("task", a.task, b.task)):
        for key in sorted({*one, *other}):
            if canonical(one.get(key)) != canonical(other.get(key)):
                name = what if key == "name" else f"{what} {key}" if what == "dataset" else key
                differing.append(f"{name} {short(one.get(key))} and {short(other.get(key))}")
    if a.identity["split"] != b.identity["split"]:
        differing.append(f"split {a.identity['split']} and {b.identity['split']}")
    if differing:
        raise UsageError(
            f"{a.model['name']} and {b.model['name']} answer different questions: {'; '.join(differing)}; "
            "name records of one dataset, split and task"
        )


# ------------------------------------------------------------------------------------------------------------- names

#: What may tell a record from others of its model, as boards write it, and as it may be asked for.
_TELLERS: tuple[Callable[[Record], str], ...] = (
    lambda record: f"version {record.model['version']}",
    lambda record: settings(record.model["config"]),
    lambda record: str(record.identity["dtype"]),
    lambda record: f"seed {record.identity['seed']}",
    lambda record: f"trained with seed {canonical(_training(record)['seed'])}" if "seed" in _training(record) else "",
    lambda record: f"weights {(record.model['weights_sha256'] or 'none')[:8]}",
    lambda record: f"trained for {_training(record)['budget']}" if "budget" in _training(record) else "",
    lambda record: f"in {record.path.parents[2].as_posix()}" if record.path and len(record.path.parents) > 2 else "",
)


def _matches(record: Record, wanted: set[str]) -> bool:
    names = {str(record.model["name"]), record.cell}
    told = {teller(record) for teller in _TELLERS}
    told |= {settings({key: value}) for key, value in record.model["config"].items()}
    asked = {each for part in wanted - names - told for each in part.split()}  # "key=value key=value" of the board
    return bool(wanted & names) and asked <= told


def _what_differs(record: Record, others: Sequence[Record]) -> str:
    """What tells a record from others of its model, in the words that `find_method` takes."""
    told = [teller(record) for teller in _TELLERS if len({teller(other) for other in others}) > 1]
    whole = settings(record.model["config"])
    if whole in told:
        told[told.index(whole)] = settings(record.model["config"], [other.model["config"] for other in others])
    return ", ".join(text for text in told if text) or record.cell


def told_apart(a: Method, b: Method) -> tuple[Method, Method]:
    """Both with labels that differ."""
    if a.label != b.label:
        return a, b
    firsts = (a.records[0], b.records[0])
    told = [_what_differs(first, firsts) for first in firsts]
    return replace(a, label=f"{a.label}, {told[0]}"), replace(b, label=f"{b.label}, {told[1]}")


def clips_of(record: Record) -> int:
    """How many clips the record has statistics for."""
    return min((len(values) for values in record.statistics.values()), default=record.identity["clips"])


def place_of(record: Record) -> str:
    return str(record.path or record.cell)


def short(value: Any) -> str:
    text = value if isinstance(value, str) else canonical(value)
    return f"{text[:12]}..." if len(text) > 40 else text


def _natural(text: str) -> list[tuple[int, str]]:
    """Sorts 5 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in text.replace("-", " - ").split()]


def listed(items: Iterable[Any]) -> str:
    return ", ".join(str(item) for item in items) or "none"
