"""Numbers that others published, as data: TOML files, each the rows of one source.

A published number is worth what is known of it, so a file says where its numbers are from and how they came about, and
a row that does not is left out by name. Nothing here compares: where a row may stand beside a measured one is for
`comparison`. The form of a file, whose tables hold for all its rows unless a row says otherwise:

::

    schema = 1

    [source]
    title = "OpenSTL model zoo"            # what tables are headed by
    document = "docs/.../video_benchmarks.md of chengtan9907/OpenSTL"
    table = "Moving MNIST"                 # optional: where in the document
    url = "https://..."                    # optional
    evidence = "read"                      # how the numbers got here: see EVIDENCE
    caveats = ["selection"]                # optional: those of all rows

    [protocol]
    dataset = "moving-mnist-toronto"       # the name of a dataset here, or any other for data that nobody here has
    dataset_config = {}                    # optional: its settings that are not the defaults
    split = "test"
    context = 10
    horizon = 10
    convention = "openstl"                 # whose definition the scores are by, or "unknown"

    [caveats]                              # key = what has to be known; rows name keys
    selection = "The checkpoint was chosen on the test set."

    [[row]]
    model = "ConvLSTM-S"
    scores = { mse = 29.80, psnr = 22.10 } # mse is the metric openstl-mse, or one named mse of that convention
    wrong = { psnr = "overflow" }          # optional: scores that are wrong numbers, with the key of the caveat
    caveats = ["one-seed"]                 # optional: more of this row
    training = "200 epochs"                # optional: the budget, in words
    parameters = 15.0e6                    # optional, and so are flops and fps as the source states them
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from .errors import RecordError, UsageError

#: Number of the form above.
SCHEMA = 1

#: How a number got into the file.
EVIDENCE: Mapping[str, str] = {
    "read": "read in the source",
    "second hand": "quoted from another document than the source",
    "memory": "quoted from memory of the source: check before citing",
}

#: A convention that nobody knows. Such rows stand beside nothing.
UNKNOWN = "unknown"

_SOURCE = {"title": True, "document": True, "evidence": True, "table": False, "url": False}
_PROTOCOL = ("dataset", "dataset_config", "split", "kind", "context", "horizon", "convention")
_ROW = ("model", "scores", "wrong", "caveats", "training", "parameters", "flops", "fps")
_OPTIONAL = ("dataset_config", "kind")


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One model in one table of one source."""

    file: str  #: name of the file it was read from
    number: int  #: of the row in the file, from 1
    title: str  #: of the source
    document: str
    table: str = ""
    url: str = ""
    evidence: str  #: a key of EVIDENCE
    dataset: str
    dataset_config: Mapping[str, Any] = field(default_factory=dict)
    split: str
    kind: str = "extrapolate"  #: of the task
    context: int  #: frames given
    horizon: int  #: frames predicted
    convention: str  #: of the scores
    model: str
    scores: Mapping[str, float]  #: {quantity: value}, as published
    wrong: Mapping[str, str] = field(default_factory=dict)  #: {quantity: why the number is wrong}
    caveats: tuple[str, ...] = ()  #: sentences
    training: str = ""
    parameters: float | None = None
    flops: float | None = None
    fps: float | None = None  #: as the source states it: often sequences per second

    @property
    def task(self) -> dict[str, Any]:
        """As a record holds it."""
        return {"kind": self.kind, "context": self.context, "horizon": self.horizon}


def read_published(folder: str | Path) -> tuple[list[PublishedRow], list[RecordError]]:
    """The rows of all ``*.toml`` files in a folder, by file and order, and what is wrong with the others.

    A file that cannot be read costs itself, a row that lacks something costs itself: one line each, with the name of
    the file and the row. Raises `UsageError` where there is no such folder, or no file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"there is no folder of published rows {folder}: name one with --published DIR")
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise UsageError(f"the folder {folder} holds no published rows (*.toml): name another one with --published DIR")
    rows: list[PublishedRow] = []
    problems: list[RecordError] = []
    for path in files:
        try:
            document = _document(path)
        except RecordError as problem:
            problems.append(problem)
            continue
        for number, row in enumerate(document["row"], 1):
            try:
                rows.append(_row(path, number, row, document))
            except RecordError as problem:
                problems.append(problem)
    return rows, problems


def _document(path: Path) -> dict[str, Any]:
    """What holds for all rows of a file, checked, and its rows as they are."""

    def wrong(why: str) -> NoReturn:
        raise RecordError(f"{path}: {why}: left out")

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        wrong(f"cannot be read ({error.strerror or type(error).__name__})")
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8
        wrong(f"not a TOML file ({' '.join(str(error).split())})")
    if document.get("schema") != SCHEMA or isinstance(document["schema"], bool):
        wrong(f"schema is {document.get('schema')!r}, this vpbench reads {SCHEMA}")
    if unknown := sorted(document.keys() - {"schema", "source", "protocol", "caveats", "row"}):
        wrong(f"unknown key {unknown[0]!r}; there is: schema, source, protocol, caveats, row")
    for table in ("source", "protocol", "caveats"):
        if not isinstance(document.setdefault(table, {}), dict):
            wrong(f"{table} must be a table")
    if not isinstance(document.setdefault("row", []), list) or not all(
        isinstance(row, dict) for row in document["row"]
    ):
        wrong("rows must be tables: write [[row]]")
    for table, keys in (("source", (*_SOURCE, "caveats")), ("protocol", _PROTOCOL)):
        if unknown := sorted(document[table].keys() - set(keys)):
            wrong(f"unknown key {unknown[0]!r} in [{table}]; there is: {', '.join(keys)}")
    if not isinstance(document["source"].setdefault("caveats", []), list):
        wrong("caveats of [source] must be a list of keys of [caveats]")
    for key, sentence in document["caveats"].items():
        if not isinstance(sentence, str) or not sentence.strip():
            wrong(f"caveat {key!r} must be a sentence")
    return document


def _row(path: Path, number: int, row: Mapping[str, Any], document: Mapping[str, Any]) -> PublishedRow:
    model = row.get("model")
    name = f"{path}: row {number}" + (f" ({' '.join(model.split())})" if isinstance(model, str) else "")

    def wrong(why: str) -> NoReturn:
        raise RecordError(f"{name}: {why}: left out")

    if unknown := sorted(row.keys() - {*_SOURCE, *_PROTOCOL, *_ROW}):
        wrong(f"unknown key {unknown[0]!r}; there is: {', '.join((*_ROW, *_PROTOCOL, *_SOURCE))}")
    given = {**document["source"], **document["protocol"], **row}
    if "convention" not in given:
        wrong(f"no convention: say whose definition the scores are by, or {UNKNOWN!r}")
    required = ("model", "scores", *(key for key, needed in _SOURCE.items() if needed))
    for key in (*required, *(key for key in _PROTOCOL if key not in _OPTIONAL)):
        if key not in given:
            where = "[source]" if key in _SOURCE else "[protocol]" if key in _PROTOCOL else "the row"
            wrong(f"no {key}: give it in {where}")
    for key in ("model", "split", "kind", "dataset", "convention", "training", *_SOURCE):
        if key in given and (not isinstance(given[key], str) or not given[key].strip()):
            wrong(f"{key} must be a text that is not empty")
    if given["evidence"] not in EVIDENCE:
        wrong(f"evidence {given['evidence']!r}: one of {', '.join(map(repr, EVIDENCE))}")
    for key in ("context", "horizon"):
        if type(given[key]) is not int or given[key] < 1:
            wrong(f"{key} is {given[key]!r}, it must be a whole number from 1")
    for key in ("parameters", "flops", "fps"):
        if key in given and not (_is_number(given[key]) and given[key] > 0):
            wrong(f"{key} is {given[key]!r}, it must be a number above 0")
    scores, flagged, own = given["scores"], given.get("wrong", {}), row.get("caveats", [])
    if not isinstance(scores, dict) or not scores:
        wrong("scores must be a table of at least one number")
    for quantity, value in scores.items():
        if not _is_number(value):
            wrong(f"the score {quantity} is {value!r}, it must be a finite number")
    if not isinstance(given.get("dataset_config", {}), dict) or not _is_json(given.get("dataset_config", {})):
        wrong("dataset_config must be a table of texts and numbers")
    if not isinstance(flagged, dict) or not flagged.keys() <= scores.keys():
        wrong("wrong must be a table whose keys are among those of scores")
    if not isinstance(own, list):
        wrong("caveats must be a list of keys of [caveats]")
    sentences, keys = document["caveats"], [*document["source"]["caveats"], *own]
    for key in (*keys, *flagged.values()):
        if not isinstance(key, str) or key not in sentences:
            wrong(f"caveat {key!r} is not in [caveats]; there is: {', '.join(sentences) or 'none'}")
    values: dict[str, Any] = {
        key: " ".join(given[key].split()) for key in (*_SOURCE, "model", "training") if key in given
    }
    values |= {key: given[key] for key in (*_PROTOCOL, "parameters", "flops", "fps") if key in given}
    return PublishedRow(
        file=path.name,
        number=number,
        scores={quantity: float(value) for quantity, value in scores.items()},
        wrong={quantity: sentences[key] for quantity, key in flagged.items()},
        caveats=tuple(dict.fromkeys(sentences[key] for key in (*keys, *flagged.values()))),
        **values,
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -sys.float_info.max <= value <= sys.float_info.max


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):  # dates, NaN
        return False
    return True
