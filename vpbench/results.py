"""Records on disk: one JSON file per cell, never half written, never lost to another process.

``results/<dataset>/<model>/<task>-<cell id>.json``. The identity of a cell is hashed into its name, so contributors'
files never conflict, resume is a file test, and a crash costs one cell. Everything outside the identity is observation.

Statistics are stored, scores are derived: ``statistics`` holds, per clip, the mean over steps (NaN left out, null where
nothing is left); their mean over clips (nulls left out) goes through a metric's ``score``. So any score, interval or
paired test can be recomputed from a clone, for any prefix of the clips.

Standard library only: `vpbench --help` imports this.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from .errors import RecordError
from .storage import holding, replacing

if TYPE_CHECKING:
    import numpy as np

#: Number of the record format that this vpbench writes. Older files are upgraded when read, newer ones refused.
SCHEMA = 1

#: ``UPGRADES[k]`` turns a document of schema k into one of schema k + 1. It may rewrite the identity: the cell id is
#: checked before and derived afterwards.
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}

Status = Literal["ok", "failed", "skipped"]

_OBJECTS = ("about", "scores", "statistics", "cost", "software", "machine")
_KEYS = ("schema", "cell", "identity", "status", "reason", *_OBJECTS, "started", "finished")
_IDENTITY_KEYS = ("model", "dataset", "split", "task", "clips", "seed", "dtype")
_MODEL_KEYS = ("name", "version", "config", "weights_sha256")
_DATASET_KEYS = ("name", "version", "config", "fingerprint")
_SCORE_KEYS = (
    *("version", "definition", "unit", "convention", "higher_is_better", "distribution", "statistics"),
    *("value", "low", "high", "n", "per_step", "per_step_stderr"),
)

#: Six digits are 5e-6 relative: 2e-5 dB of PSNR, far below any interval, and a third of the bytes in git.
_DIGITS = 6

_LARGEST = sys.float_info.max

_SAFE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no file may be named so on Windows


# ------------------------------------------------------------------------------------------------------------ identity


def identity_of(
    *,
    model: Mapping[str, Any],
    dataset: Mapping[str, Any],
    split: str,
    task: Mapping[str, Any],
    clips: int,
    seed: int,
    dtype: str = "float32",
) -> dict[str, Any]:
    """The identity of a cell: all that decides its numbers, checked and made of plain JSON values.

    model    {name, version, config {..}, weights_sha256 (None: no weights)}
    dataset  {name, version, config {..}, fingerprint}
    task     {kind, context, horizon, ...}

    Raises `RecordError` where a key is missing, a name cannot be part of a path, or a value is not JSON.
    """
    given = {
        "model": model,
        "dataset": dataset,
        "split": split,
        "task": task,
        "clips": clips,
        "seed": seed,
        "dtype": dtype,
    }
    identity = _plain(given, "identity")
    _check_identity(identity)
    return identity


def cell_id(identity: Mapping[str, Any]) -> str:
    """First 12 hex digits of the sha256 of the canonical JSON of an identity."""
    return hashlib.sha256(canonical(identity).encode()).hexdigest()[:12]


def canonical(value: Any) -> str:
    """One text per JSON value: keys sorted, no spaces, floats as Python prints them. For hashing and grouping."""
    plain = _plain(value, "identity")
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def question_of(identity: Mapping[str, Any]) -> str:
    """What records must agree in to stand on one board: dataset, split and task."""
    return canonical([identity["dataset"], identity["split"], identity["task"]])


def task_slug(task: Mapping[str, Any]) -> str:
    """``"extrapolate-10-90"``: kind, context, horizon. For people; what else a task holds is in the cell id."""
    return "-".join([str(task["kind"]), *(str(task[key]) for key in ("context", "horizon") if key in task)])


def record_path(results: str | Path, identity: Mapping[str, Any]) -> Path:
    """Where the record of this cell is, or will be.

    Raises `RecordError` for a name that cannot safely be part of a path.
    """
    folder = Path(results) / _path_part("dataset name", identity["dataset"]["name"])
    folder = folder / _path_part("model name", identity["model"]["name"])
    return folder / f"{_path_part('task', task_slug(identity['task']))}-{cell_id(identity)}.json"


def _path_part(what: str, name: Any) -> str:
    if not isinstance(name, str) or not _SAFE.fullmatch(name) or _RESERVED.fullmatch(name):
        raise RecordError(f"{what} {name!r} cannot be part of a path: use letters, digits, dashes (at most 100)")
    return name


def _check_identity(identity: Any) -> None:
    _require(identity, _IDENTITY_KEYS, "identity")
    _require(identity["model"], _MODEL_KEYS, "identity.model")
    _require(identity["dataset"], _DATASET_KEYS, "identity.dataset")
    _require(identity["task"], ("kind",), "identity.task")
    model, dataset, task = (identity[key] for key in ("model", "dataset", "task"))
    texts = {"model.version": model["version"], "dataset.version": dataset["version"]}
    texts |= {"dataset.fingerprint": dataset["fingerprint"], "task.kind": task["kind"]}
    texts |= {key: identity[key] for key in ("split", "dtype")}
    if model["weights_sha256"] is not None:
        texts["model.weights_sha256"] = model["weights_sha256"]
    for key, value in texts.items():
        if not isinstance(value, str):
            raise RecordError(f"identity.{key} is {_kind(value)}, it must be a string")
    numbers = {key: identity[key] for key in ("clips", "seed")}
    numbers |= {f"task.{key}": task[key] for key in ("context", "horizon") if key in task}
    for key, value in numbers.items():
        if type(value) is not int or value < 0:
            raise RecordError(f"identity.{key} is {value!r}, it must be a whole number from 0")
    _require(model["config"], (), "identity.model.config")
    _require(dataset["config"], (), "identity.dataset.config")
    record_path("", identity)


def _require(value: Any, keys: tuple[str, ...], where: str) -> None:
    if not isinstance(value, Mapping):
        raise RecordError(f"{where} is {_kind(value)}, it must be an object")
    if missing := [key for key in keys if key not in value]:
        raise RecordError(f"{where} lacks {', '.join(missing)}")


# -------------------------------------------------------------------------------------------------------------- record


@dataclass(frozen=True, kw_only=True)
class Record:
    """The record of one cell; the fields are the keys of the file, mappings stay mappings.

    Keys that this version does not know are kept, in the mappings and (top level) in `extra`.
    """

    identity: Mapping[str, Any]
    status: Status
    reason: Mapping[str, Any] | None = None  #: {phase, type, message}; None for status ok
    about: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  #: by metric name
    statistics: Mapping[str, Any] = field(default_factory=dict)  #: "<distribution>/<statistic>": n values, None or NaN
    cost: Mapping[str, Any] = field(default_factory=dict)
    software: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    started: str = ""  #: UTC, ISO 8601
    finished: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = field(default=None, compare=False)  #: the file it was read from

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise RecordError(f"status is {self.status!r}, it must be one of {', '.join(get_args(Status))}")
        if (self.status == "ok") != (self.reason is None):
            raise RecordError(
                f"status is {self.status!r} and reason is {self.reason!r}: a reason belongs to all but ok"
            )

    @property
    def cell(self) -> str:
        return cell_id(self.identity)

    @property
    def model(self) -> Mapping[str, Any]:
        return self.identity["model"]

    @property
    def dataset(self) -> Mapping[str, Any]:
        return self.identity["dataset"]

    @property
    def task(self) -> Mapping[str, Any]:
        return self.identity["task"]

    @property
    def slug(self) -> str:
        return task_slug(self.task)

    def to_dict(self) -> dict[str, Any]:
        """The document as it is written, but for rounding: plain JSON values, NaN of statistics as None.

        Raises `RecordError` that names the key of a value JSON cannot hold (an object, NaN, infinity).
        """
        document = {
            "schema": SCHEMA,
            "cell": self.cell,
            "identity": _plain(self.identity, "identity"),
            "status": self.status,
            "reason": _plain(self.reason, "reason"),
            "about": _plain(self.about, "about"),
            "scores": _plain(self.scores, "scores", nan_is_null=True),
            "statistics": _plain(self.statistics, "statistics", nan_is_null=True),
            "cost": _plain(self.cost, "cost"),
            "software": _plain(self.software, "software"),
            "machine": _plain(self.machine, "machine"),
            "started": self.started,
            "finished": self.finished,
        }
        return document | {key: _plain(self.extra[key], key) for key in sorted(self.extra.keys() - document.keys())}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], *, path: Path | None = None) -> Record:
        """The record of a document of any schema up to `SCHEMA`.

        Raises `RecordError`, without the file's name, where something is missing, contradictory or newer than we are.
        """
        document = _upgraded(document)
        _require(document, _KEYS, "the record")
        _check_identity(document["identity"])
        for key in _OBJECTS:
            _require(document[key], (), key)
        if document["reason"] is not None:
            _require(document["reason"], ("phase", "type", "message"), "reason")
        _check_scores(document["scores"], document["statistics"])
        known = {key: document[key] for key in _KEYS if key not in ("schema", "cell")}
        extra = {key: value for key, value in document.items() if key not in _KEYS}
        return cls(**known, extra=extra, path=path)


def _upgraded(document: Any) -> dict[str, Any]:
    """The document at the current schema; its cell id is checked against its identity as it was written."""
    _require(document, ("schema", "cell", "identity"), "the record")
    schema = document["schema"]
    if type(schema) is not int or schema < 1:
        raise RecordError(f"schema is {schema!r}, it must be a number from 1")
    if schema > SCHEMA:
        raise RecordError(f"it has schema {schema}, this vpbench reads up to {SCHEMA}: upgrade vpbench")
    if (expected := cell_id(document["identity"])) != document["cell"]:
        raise RecordError(
            f"cell is {document['cell']!r} but its identity hashes to {expected!r}: one of them was edited"
        )
    current = dict(document)
    while schema < SCHEMA:
        try:
            current = UPGRADES[schema](current)
        except (KeyError, TypeError, ValueError) as error:
            raise RecordError(f"it cannot be upgraded from schema {schema}: {error!r}") from error
        schema += 1
    current["schema"] = SCHEMA
    return current


def _check_scores(scores: Mapping[str, Any], statistics: Mapping[str, Any]) -> None:
    """What boards rely on: every score is complete, and its per-clip statistics are there, n numbers or nulls each."""
    for name, values in statistics.items():
        _check_values(values, f"statistics[{name!r}]")
    for name, score in scores.items():
        where = f"scores[{name!r}]"
        _require(score, _SCORE_KEYS, where)
        for key in ("version", "definition", "unit", "convention", "distribution"):
            if not isinstance(score[key], str):
                raise RecordError(f"{where}.{key} is {_kind(score[key])}, it must be a string")
        if not isinstance(score["higher_is_better"], bool):
            raise RecordError(f"{where}.higher_is_better must be true or false")
        for key in ("value", "low", "high"):
            if score[key] is not None and not _is_number(score[key]):
                raise RecordError(f"{where}.{key} is {_kind(score[key])}, it must be a finite number or null")
        for key in ("per_step", "per_step_stderr"):
            _check_values(score[key], f"{where}.{key}")
        if type(score["n"]) is not int or not isinstance(score["statistics"], list):
            raise RecordError(f"{where} must have a whole number n and a list of statistics")
        for statistic in score["statistics"]:
            if not isinstance(statistic, str) or statistic not in statistics:
                raise RecordError(f"{where} is made from {statistic!r}, which is not in statistics")
            if len(statistics[statistic]) != score["n"]:
                found = len(statistics[statistic])
                raise RecordError(f"{where} has n {score['n']} but statistics[{statistic!r}] has {found} values")


def _check_values(values: Any, where: str) -> None:
    if not isinstance(values, list) or not all(value is None or _is_number(value) for value in values):
        raise RecordError(f"{where} must be a list of finite numbers and nulls")


def _is_number(value: Any) -> bool:
    # bool is an int, and would be averaged without a word; 1e400 is read as infinity, and a long integer fits no float.
    return type(value) in (int, float) and -_LARGEST <= value <= _LARGEST


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    names |= {int: "a number", float: "a number"}
    return names.get(type(value), f"a {type(value).__name__}")


def _plain(value: Any, where: str, *, nan_is_null: bool = False) -> Any:
    """The value as plain JSON types: mappings, sequences and numpy values are converted, anything else is refused."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        if nan_is_null and math.isnan(value):
            return None
        raise RecordError(f"{where} is {value}, which a record cannot hold: only finite numbers")
    if isinstance(value, Mapping):
        if bad := [key for key in value if not isinstance(key, str)]:
            raise RecordError(f"{where} has the key {bad[0]!r}: only strings can be keys of a record")
        return {key: _plain(value[key], f"{where}.{key}", nan_is_null=nan_is_null) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]", nan_is_null=nan_is_null) for index, item in enumerate(value)]
    if callable(tolist := getattr(value, "tolist", None)):  # numpy scalars and arrays, without importing numpy
        return _plain(tolist(), where, nan_is_null=nan_is_null)
    raise RecordError(
        f"{where} is of type {type(value).__name__}, which a record cannot hold: use text, numbers, lists"
    )


# ------------------------------------------------------------------------------------------------------------- writing


def encode(record: Record) -> str:
    """The text of a record's file: the same record gives the same bytes.

    Indented, but a list of plain values is one line. Statistics and per-step values are rounded to 6 significant
    digits; nothing of the identity is.
    """
    document = record.to_dict()
    for score in document["scores"].values():
        for key in ("per_step", "per_step_stderr"):
            if isinstance(score.get(key), list):
                score[key] = _Rounded(score[key])
    document["statistics"] = {
        name: _Rounded(values) if isinstance(values, list) else values
        for name, values in document["statistics"].items()
    }
    return _encoded(document, "") + "\n"


class _Rounded(list[Any]):
    """A list of numbers and None to be written with few digits."""


def _encoded(value: Any, indent: str) -> str:
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        items = (f"{deeper}{json.dumps(key, ensure_ascii=False)}: {_encoded(value[key], deeper)}" for key in value)
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if isinstance(value, _Rounded):
        return "[" + ",".join("null" if item is None else f"{item:.{_DIGITS}g}" for item in value) + "]"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return "[\n" + ",\n".join(deeper + _encoded(item, deeper) for item in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def write_record(results: str | Path, record: Record) -> Path:
    """Write the record into its place under `results`, as a whole or not at all; returns the path.

    Raises `StorageError` where the disk does not let us, `RecordError` where the record holds what JSON cannot.
    """
    try:
        _check_identity(record.identity)
        path = record_path(results, record.identity)
        Record.from_dict(record.to_dict())  # what could not be read again is not written
    except RecordError as error:
        raise RecordError(f"the record of {_name_of(record)} cannot be written: {error}") from error
    data = encode(record).encode()
    with replacing(path) as file:
        file.write(data)
    return path


def _name_of(record: Record) -> str:
    model = record.identity.get("model")
    return repr(model.get("name")) if isinstance(model, Mapping) else "a cell"


def write_sidecar(path: str | Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """Write full statistics {"<distribution>/<statistic>": (n, T)} beside the record at `path`, as ``.npz``.

    Not part of the record: git ignores it and nothing needs it. Read it with `numpy.load`. Returns the path written.
    """
    import numpy as np

    sidecar = Path(path).with_suffix(".npz")
    with replacing(sidecar) as file:
        np.savez_compressed(file, **{name: np.asarray(arrays[name]) for name in sorted(arrays)})  # type: ignore[arg-type]
    return sidecar


# ------------------------------------------------------------------------------------------------------------- reading


def read_record(path: str | Path) -> Record:
    """The record in a file.

    Raises `RecordError`, one line with the file, what is wrong with it and what to do.
    """
    path = Path(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        return Record.from_dict(document, path=path)
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror or type(error).__name__}") from error
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8
        why = f"not a whole JSON file ({error})".replace("\n", " ")
        raise RecordError(f"{path}: {why}: delete it and run the cell again") from error
    except RecordError as error:
        remedy = "" if "upgrade vpbench" in str(error) else "; delete it and run the cell again"
        raise RecordError(f"{path}: {error}{remedy}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def iter_records(results: str | Path) -> tuple[list[Record], list[RecordError]]:
    """All records under a results folder in the order of their paths, and what is wrong with the files that are none.

    One bad file costs itself and nothing else. A cell that is there twice counts once, the first path. A folder that
    does not exist holds no records.
    """
    records: list[Record] = []
    problems: list[RecordError] = []
    seen: dict[str, Path] = {}
    paths = [path for path in Path(results).glob("*/*/*.json") if not path.name.startswith(".")]
    for path in sorted(paths, key=lambda path: path.parts):
        try:
            record = read_record(path)
        except RecordError as problem:
            problems.append(problem)
            continue
        if (first := seen.setdefault(record.cell, path)) is not path:
            problems.append(RecordError(f"{path}: the same cell as {first}: delete one of them"))
            continue
        records.append(record)
    return records, problems


# ------------------------------------------------------------------------------------------------------------- locking


@contextmanager
def claim(results: str | Path, identity: Mapping[str, Any]) -> Iterator[Path]:
    """Hold a cell while computing it, so that no other process computes it too; yields the path of its record.

    Raises `Busy` that names the holder. See `holding` for what a lock can and cannot do. Temporary files that a killed
    process left for this cell are removed: nobody else can be writing it.
    """
    path = record_path(results, identity)
    with holding(path.with_suffix(".lock"), what=f"cell {path.stem} of {identity['model']['name']}"):
        for left_over in path.parent.glob(f".{path.name}.*.tmp"):
            with suppress(OSError):
                left_over.unlink()
        yield path
