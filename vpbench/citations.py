"""What a board used, as BibTeX: vpbench, and the works that datasets, models and metrics name.

Specs cite either by BibTeX entries, which are passed on as they are, or in words, which become a ``@misc`` with a note.
A work is listed once: two entries of one title and year are the same one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .config import did_you_mean
from .errors import UsageError
from .registry import Provided, Registry
from .results import Record

_ENTRY = re.compile(r"@\s*([A-Za-z]+)\s*(\{)\s*([^\s,{}\"#%'=~\\]+)\s*,")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_NO_WORKS = {"string", "preamble", "comment"}

#: What LaTeX would take for something else in a note. Braces would have to be balanced, so they go.
_IN_NOTES = str.maketrans(
    {each: f"\\{each}" for each in "#$%&_"}
    | {"\\": r"\textbackslash ", "~": r"\textasciitilde ", "^": r"\textasciicircum ", "{": "(", "}": ")"}
)


User = tuple[str, str]  #: "dataset", "model" or "metric", and its name


@dataclass(frozen=True)
class Work:
    """Something to cite."""

    key: str
    before: str  #: of the text of its entry what comes before the key
    after: str
    identity: str  #: the same for two entries of one work

    def entry(self, key: str) -> str:
        return f"{self.before}{key}{self.after}"


def bibliography(
    records: Iterable[Record],
    registry: Registry,
    *,
    datasets: Collection[str] = (),
    models: Collection[str] = (),
    where: str = "the results",
) -> str:
    """The BibTeX of what finished records used; the same records give the same text.

    datasets, models  only records of these; none: of all
    where             the folders, for messages

    A record says what its model and dataset cite; what its metrics cite it says since there is such a thing, and else
    the installed metric does. Raises UsageError where no finished record is left.
    """
    used = _wanted([record for record in records if record.status == "ok"], datasets, models, where)
    found = _Citations()
    for record in sorted(used, key=lambda record: (str(record.dataset["name"]), str(record.model["name"]))):
        _of_record(record, registry, found)
    return found.as_bibtex(sorted({str(record.software.get("vpbench")) for record in used} - {"None"}))


def _wanted(
    records: Sequence[Record], datasets: Collection[str], models: Collection[str], where: str
) -> Sequence[Record]:
    for what, asked in (("dataset", datasets), ("model", models)):
        there = sorted({str(getattr(record, what)["name"]) for record in records})
        if unknown := [name for name in asked if name not in there]:
            hint = did_you_mean(unknown[0], there)
            raise UsageError(
                f"no finished record of {what} {unknown[0]!r} in {where}; {hint}there is: {_listed(there)}"
            )
    left = [
        record
        for record in records
        if (not datasets or record.dataset["name"] in datasets) and (not models or record.model["name"] in models)
    ]
    if not left:
        both = f" of {_listed(models)} on {_listed(datasets)}" if datasets and models else ""
        raise UsageError(f"no finished record{both} in {where}: name another folder with --results")
    return left


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


# ------------------------------------------------------------------------------------------------------------- records


def _of_record(record: Record, registry: Registry, found: _Citations) -> None:
    """Add what a record used."""
    name, on = str(record.model["name"]), str(record.dataset["name"])
    model, dataset = registry.models().get(name), registry.datasets().get(on)
    own = _texts(record.about.get("cites"))
    if own is None:
        found.add("model", name, _installed(model))
        found.add("dataset", on, _installed(dataset))
    else:  # those of the model and then those of the dataset; where the dataset is not installed nothing parts them
        of_dataset = [text for text in own if dataset and text in dataset.spec.cites]
        if dataset:
            found.add("dataset", on, of_dataset)
        found.add("model", name if dataset else f"{name} on {on}", [text for text in own if text not in of_dataset])
    told = record.about.get("metric_cites")
    recorded = told if isinstance(told, Mapping) else {}
    for metric, score in record.scores.items():
        provided = registry.metrics().get(metric)
        if (of_metric := _texts(recorded.get(metric))) is not None:
            found.add("metric", metric, of_metric)
        elif provided is not None and provided.distribution == score["distribution"]:
            found.add("metric", metric, provided.spec.cites)
        else:
            found.add("metric", f"{metric} of {score['distribution']}", None)


def _installed(provided: Provided[Any] | None) -> Sequence[str] | None:
    return provided.spec.cites if provided else None


def _texts(value: Any) -> list[str] | None:
    """Of a record, which may say anything there."""
    return [str(each) for each in value] if isinstance(value, list) else None


class _Citations:
    """Works, who uses each, and who names none."""

    def __init__(self) -> None:
        self._works: dict[str, tuple[Work, set[User]]] = {}
        self._silent: set[User] = set()
        self._unknown: set[User] = set()

    def add(self, kind: str, name: str, cites: Sequence[str] | None) -> None:
        """What a thing cites; None: nobody knows."""
        user = (kind, name)
        if cites is None:
            self._unknown.add(user)
            return
        works = [work for text in cites for work in works_of(text)]
        if not works:
            self._silent.add(user)
        for work in works:
            self._works.setdefault(work.identity, (work, set()))[1].add(user)

    def as_bibtex(self, versions: Sequence[str]) -> str:
        """The text of a .bib file: vpbench, then what datasets cite, models, metrics; then who cites nothing."""
        parts = [_vpbench(versions).entry("vpbench")]
        keys = {"vpbench"}
        cited = set().union(*(users for _, users in self._works.values()))
        for work, users in sorted(self._works.values(), key=lambda each: (min(map(_order, each[1])), each[0].key)):
            parts.append(f"% for {_named(users)}\n{work.entry(_unique(work.key, keys))}")
        if silent := self._silent - cited:
            parts.append(f"% no citation of their own: {_named(silent)}")
        if unknown := self._unknown - cited:
            parts.append(f"% not installed here, and their records do not say what they cite: {_named(unknown)}")
        return "\n\n".join(parts) + "\n"


def _order(user: User) -> tuple[int, str]:
    kind, name = user
    return (("dataset", "model", "metric").index(kind), name)


def _named(users: Iterable[User]) -> str:
    """In a comment, where an @ would begin an entry all the same."""
    return _plain(", ".join(" ".join(user) for user in sorted(users, key=_order))).replace("@", "(at)")


def _vpbench(versions: Sequence[str]) -> Work:
    from importlib.metadata import metadata

    about = metadata("vpbench")
    said = [
        ("title", f"{{vpbench}}: {about['Summary']}"),
        ("note", f"Version {', '.join(versions or [about['Version']])}"),
    ]
    return _misc("vpbench", said, "vpbench")


# --------------------------------------------------------------------------------------------------------------- works


def works_of(text: str) -> list[Work]:
    """The works that a citation names: the entries of a BibTeX text, or one of which only words are known."""
    entries = _entries(text)
    if entries is not None:
        return entries
    note = " ".join(_plain(text).split())
    if not note:
        return []
    year = _YEAR.findall(note)[-1:]
    words = re.findall(r"[a-z]+", "".join(c for c in unicodedata.normalize("NFKD", note.lower()) if c.isascii()))
    key = f"{words[0] if words else 'work'}{''.join(year)}"
    fields = [("note", note.translate(_IN_NOTES)), *(("year", each) for each in year)]
    return [_misc(key, fields, _folded(note) or note)]


def _misc(key: str, fields: Sequence[tuple[str, str]], identity: str) -> Work:
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields)
    return Work(key, "@misc{", f",\n{lines}\n}}", identity)


def _entries(text: str) -> list[Work] | None:
    """The entries of a BibTeX text; None where it is none, or not a whole one."""
    found = []
    rest = _plain(text).strip()
    while rest:
        match = _ENTRY.match(rest)
        end = _closing(rest, match.start(2)) if match else None
        if match is None or end is None or match[1].lower() in _NO_WORKS:
            return None
        fields = rest[match.end(3) : end]
        title, year = _field(fields, "title"), _field(fields, "year")
        identity = f"{_folded(title) or title} {year}" if title else _folded(fields) or fields
        found.append(Work(match[3], rest[: match.start(3)], fields, identity))
        rest = rest[end:].lstrip()
    return found or None


def _closing(text: str, start: int) -> int | None:
    """Where the brace that opens at `start` is closed, one further; None where it is not."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if not depth:
            return place + 1
    return None


def _field(body: str, name: str) -> str:
    """The value of a field of an entry; empty where it has none."""
    match = re.search(rf"[,\s]{name}\s*=\s*([{{\"]?)", body, flags=re.IGNORECASE)
    if not match:
        return ""
    if match[1] == "{":
        end = _closing(body, match.end() - 1)
        return body[match.end() : end - 1 if end else None]
    return re.split(r'"' if match[1] else r"[,\s}]", body[match.end() :], maxsplit=1)[0]


def _folded(text: str) -> str:
    """Letters and digits alone, in lower case: texts of one title are the same however it is written."""
    plain = unicodedata.normalize("NFKD", text).lower()
    return re.sub(r"[\W_]+", " ", re.sub(r"\\[a-z]+|[^\w\s]", "", plain)).strip()


def _plain(text: str) -> str:
    """Without what a terminal would obey: records are other people's files."""
    return "".join(each if each.isprintable() or each == "\n" else " " for each in text)


def _unique(key: str, taken: set[str]) -> str:
    """The key, or one that nobody has; BibTeX does not tell upper from lower case."""
    plain, number = key, 1
    while key.lower() in taken:
        number += 1
        key = f"{plain}-{number}"
    taken.add(key.lower())
    return key
