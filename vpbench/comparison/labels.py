"""What rows are called: the model, and as much as tells it from others of that model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ..results import Record, canonical
from .board import settings
from .seeds import training_of, training_seed

Method = tuple[Record, ...]


def labels(methods: Sequence[Method], sources: Mapping[Path | None, str]) -> list[str]:
    """The name of each method's model, of what differs among those of one name only what tells them apart, and the
    number of its seeds where it has several."""
    found = [_named(method[0]) for method in methods]
    tellers: list[Callable[[Method, Sequence[Method]], str]] = [
        lambda method, alike: f"version {method[0].model['version']}",
        lambda method, alike: settings(method[0].model["config"], [other[0].model["config"] for other in alike]),
        lambda method, alike: str(method[0].identity["dtype"]),
        _of_one("trained for {}", lambda record: training_of(record).get("budget")),
        _of_one("seed {}", lambda record: record.identity["seed"]),
        _of_one("trained with seed {}", training_seed),
        _of_one("weights {}", lambda record: (record.model["weights_sha256"] or "none")[:8]),
        lambda method, alike: f"in {source_of(method, sources)}",
        lambda method, alike: count(method[0].identity["clips"], "clip"),
    ]
    for teller in tellers:
        same: dict[str, list[int]] = defaultdict(list)
        for index, label in enumerate(found):
            same[label].append(index)
        for label, indices in same.items():
            alike = [methods[index] for index in indices]
            told = [teller(method, alike) for method in alike]
            if len(set(told)) > 1:
                for index, text in zip(indices, told, strict=True):
                    found[index] = f"{label}, {text}" if text else label
    return [
        label if len(method) == 1 else f"{label}, {len(method)} seeds"
        for label, method in zip(found, methods, strict=True)
    ]


def _named(record: Record) -> str:
    """The model, and the fallback that made its frames where it could not be asked itself: never left out."""
    name, in_time = str(record.model["name"]), record.model.get("in_time")
    return f"{name} ({in_time} in time)" if in_time else name


def _of_one(form: str, told: Callable[[Record], object]) -> Callable[[Method, Sequence[Method]], str]:
    """What all records of a method have alike; "" where they differ or do not say."""

    def teller(method: Method, alike: Sequence[Method]) -> str:
        values = {canonical(told(record)) for record in method}
        value = told(method[0])
        if len(values) > 1 or value is None:
            return ""
        return form.format(value if isinstance(value, str) else canonical(value))

    return teller


def seed_label(record: Record) -> str:
    """What tells a record from the other seeds of its method."""
    seed = training_seed(record)
    return f"seed {record.identity['seed']}" if seed is None else f"trained with seed {canonical(seed)}"


def folder_of(record: Record) -> Path | None:
    """The results folder a record was read from."""
    return record.path.parents[2] if record.path is not None and len(record.path.parents) > 2 else None


def short_folders(records: Iterable[Record]) -> dict[Path | None, str]:
    """The shortest endings of the folders' paths that tell them apart."""
    folders = sorted({folder for record in records if (folder := folder_of(record)) is not None})
    names: dict[Path | None, str] = {None: ""}
    for folder in folders:
        for length in range(1, len(folder.parts) + 1):
            ending = folder.parts[-length:]
            if sum(other.parts[-length:] == ending for other in folders) == 1:
                break
        names[folder] = Path(*folder.parts[-length:]).as_posix() if folder.parts else "."
    return names


def source_of(method: Method, sources: Mapping[Path | None, str]) -> str:
    """The results folder of a method, or several."""
    return ", ".join(dict.fromkeys(sources[folder_of(record)] for record in method))


def count(n: int, what: str) -> str:
    """``"1 clip"``, ``"2 clips"``."""
    return f"{n} {what}{'' if n == 1 else 's'}"
