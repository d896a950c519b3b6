"""Methods by name: which records a name on a board means.

A method is one record, or several that differ in their seed alone. It is named as boards name it: by its model, and by
what tells it from others of that model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from .comparison import listed, settings
from .comparison.labels import count, folder_of, labels, short_folders
from .comparison.scores import place_of
from .comparison.seeds import (
    by_method,
    cell_of_any_size,
    largest,
    same_method,
    training_of,
    training_seed,
    without_earlier_snapshots,
)
from .errors import UsageError
from .results import Record, canonical


@dataclass(frozen=True, kw_only=True)
class Method:
    """One record, or several that differ in their seed alone."""

    label: str
    records: tuple[Record, ...]  #: with scores, by seed
    without_result: tuple[Record, ...] = ()  #: seeds of it that failed or were skipped

    @property
    def learns(self) -> bool:
        """Whether training it again could give something else; where nobody here knows it is taken to be so."""
        about = self.records[0].about
        unknown = about.get("elsewhere") or about.get("in_memory")
        return about.get("learns") in ("weights", "statistics") or bool(unknown)


def method_of(
    record: Record, *, dataset: str | None = None, horizon: int | None = None, context: int | None = None
) -> Method:
    """One record as a method of one seed.

    Raises `UsageError` where the record is of a cell without result, or not of what was asked for.
    """
    _only("dataset", dataset, place_of(record), [record], lambda record: record.dataset["name"])
    _only("horizon", horizon, place_of(record), [record], lambda record: record.task.get("horizon"))
    _only("context", context, place_of(record), [record], lambda record: record.task.get("context"))
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
    context: int | None = None,
    like: Record | None = None,
) -> Method:
    """The method of this name among records: one record, or all seeds of one method.

    name     as boards write it, "latentode", with what tells it from others of the model where there are any:
             "latentode, trained with seed 1", "latentode, solver=rk4", "latentode, weights ca7ba0f6"; or a cell id
    dataset  only records of this dataset; None: any
    horizon  only records of this horizon; None: any
    context  only records of so many context frames; None: any
    like     only records that answer the same question as this one

    Of records that differ in the number of clips alone the largest counts. Raises `UsageError`, with what there is,
    where nothing or more than one thing has the name.
    """
    records = list(records)
    named: Sequence[Record] = [record for record in records if _is_called(name, record)]
    named = without_earlier_snapshots(named, folder_of)
    if not named:
        there = sorted({str(record.model["name"]) for record in records})
        raise UsageError(f"no record is named {name!r}; there is: {listed(there)}")
    named = _only("dataset", dataset, name, named, lambda record: record.dataset["name"])
    named = _only("horizon", horizon, name, named, lambda record: record.task.get("horizon"))
    named = _only("context", context, name, named, lambda record: record.task.get("context"))
    if like is not None:
        alike = [record for record in named if _question(record) == _question(like)]
        if not alike:
            check_same_question(like, named[0])
        named = alike
    if len(questions := {_question(record): record for record in named}) > 1:
        told = sorted({_question_in_words(record) for record in questions.values()}, key=_by_number)
        raise UsageError(
            f"{name!r} has records of {len(questions)} questions: {listed(told)}; say which with --horizon, "
            "--context and --dataset, or name a record file"
        )
    finished = largest(sorted((record for record in named if record.status == "ok"), key=place_of), folder_of)
    if not finished:
        return method_of(named[0])  # which says what became of it
    methods = by_method(finished, folder_of)
    if len(methods) > 1:
        raise UsageError(f"{name!r} is {len(methods)} methods: {_told(methods)}; name one of them")
    (found,) = methods
    if (said := re.search(r", (\d+) seeds?$", name)) and int(said[1]) != len(found):
        raise UsageError(f"{name!r} has {count(len(found), 'seed')} there: {listed(map(place_of, found))}")
    done = {cell_of_any_size(record) for record in found}
    return Method(
        label=str(found[0].model["name"]),
        records=found,
        without_result=tuple(
            record
            for record in named
            if record.status != "ok" and same_method(record, found[0]) and cell_of_any_size(record) not in done
        ),
    )


def _only(
    what: str, value: Any, name: str, records: Sequence[Record], found: Callable[[Record], Any]
) -> Sequence[Record]:
    """Those of the records for which something is as asked; all where nothing is asked."""
    if value is None:
        return records
    kept = [record for record in records if found(record) == value]
    if not kept:
        there = sorted({str(found(record)) for record in records}, key=_by_number)
        raise UsageError(f"{name!r} has no record with {what} {value}; there is: {listed(there)}")
    return kept


# --------------------------------------------------------------------------------------------------------- questions


def check_same_question(a: Record, b: Record) -> None:
    """Records of another dataset, split or task say nothing about each other: `UsageError` that says what differs."""
    differing = []
    for what, one, other in (("dataset ", a.dataset, b.dataset), ("", a.task, b.task)):
        for key in sorted({*one, *other}):
            if canonical(one.get(key)) != canonical(other.get(key)):
                name = "dataset" if what and key == "name" else f"{what}{key}"
                differing.append(f"{name} {_short(one.get(key))} and {_short(other.get(key))}")
    if a.identity["split"] != b.identity["split"]:
        differing.append(f"split {a.identity['split']} and {b.identity['split']}")
    if differing:
        raise UsageError(
            f"{a.model['name']} and {b.model['name']} answer different questions: {'; '.join(differing)}; "
            "name records of one dataset, split and task"
        )


def _question(record: Record) -> str:
    return canonical([record.dataset, record.identity["split"], record.task])


def _question_in_words(record: Record) -> str:
    """``"moving-mnist extrapolate-10-90"``, and the split where it is not the usual one."""
    split = "" if record.identity["split"] == "test" else f" ({record.identity['split']})"
    return f"{record.dataset['name']} {record.slug}{split}"


def _short(value: Any) -> str:
    """Of a fingerprint the beginning; in one line."""
    text = " ".join(value.split()) if isinstance(value, str) else canonical(value)
    return f"{text[:12]}..." if len(text) > 40 else text


def _by_number(text: str) -> list[tuple[int, str]]:
    """Sorts 5 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


# ------------------------------------------------------------------------------------------------------------- names


def _is_called(name: str, record: Record) -> bool:
    """Whether each part of the name is the model or the cell, one of them at least, or something the record is."""
    parts = re.split(r",\s+", name.strip())
    names = {str(record.model["name"]), record.cell}
    return bool(names.intersection(parts)) and all(part in names or _is(part, record) for part in parts)


def _is(part: str, record: Record) -> bool:
    """Whether a record is what a part of a label says, in the words of `comparison.labels`."""
    config = record.model["config"]
    budget, seed = training_of(record).get("budget"), training_seed(record)
    told = {
        f"version {record.model['version']}",
        str(record.identity["dtype"]),
        f"seed {record.identity['seed']}",
        f"weights {(record.model['weights_sha256'] or 'none')[:8]}",
        count(record.identity["clips"], "clip"),
        settings(config),
    }
    told |= {f"trained for {budget}"} if budget is not None else set()
    told |= {f"trained with seed {canonical(seed)}"} if seed is not None else set()
    if part in told or re.fullmatch(r"\d+ seeds?", part):  # the number of seeds is of all records together
        return True
    if part.startswith("in ") and (folder := folder_of(record)) is not None:
        ending = PurePath(part.removeprefix("in ")).parts
        return folder.parts[-len(ending) :] == ending if ending else True
    single = {settings({key: value}) for key, value in config.items()}
    return "=" in part and (part in single or all(each in single for each in part.split()))


def told_apart(a: Method, b: Method) -> tuple[Method, Method]:
    """Both with labels as a board would give them, without the number of seeds, that differ."""
    found = labels([a.records, b.records], short_folders([*a.records, *b.records]))
    first, second = (re.sub(r", \d+ seeds$", "", label) for label in found)
    if first == second:
        first, second = f"{first}, {a.records[0].cell}", f"{second}, {b.records[0].cell}"
    return replace(a, label=first), replace(b, label=second)


def _told(methods: Sequence[tuple[Record, ...]]) -> str:
    sources = short_folders(record for method in methods for record in method)
    return "; ".join(
        f"{label} (cell {method[0].cell})" if len(method) == 1 else label
        for label, method in zip(labels(methods, sources), methods, strict=True)
    )
