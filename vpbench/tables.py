"""Records as pandas tables, for people who go on with them: nothing is recomputed, ranked or left out. No torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from .comparison import Column, role_of, settings
from .comparison.scores import columns_of
from .errors import UsageError, VpbenchWarning
from .leaderboard import column_names
from .results import Record, iter_records

#: Columns that a table of records has before the scores, in this order.
LEADING = (
    *("model", "role", "model_version", "model_config", "weights_sha256"),
    *("dataset", "dataset_version", "dataset_config", "split", "task", "context", "horizon", "seed", "clips", "dtype"),
    *("status", "reason"),
)


Per = Literal["record", "step", "clip"]


def load_results(results: str | Path | Iterable[str | Path] = "results", *, per: Per = "record") -> pd.DataFrame:
    """The records of one or several folders as a table, failed and refused cells too.

    per  "record": a row per record, with value and interval of every metric, and what it cost
         "step": a row per record, metric and step, with value and standard error over clips
         "clip": a row per record, statistic and clip; a score is made of means of these

    The first columns are `LEADING`. A file that cannot be read costs itself and gives a warning. Raises UsageError for
    a folder that is not there.
    """
    if per not in (forms := {"record": per_record, "step": per_step, "clip": per_clip}):
        raise UsageError(f"per must be one of {', '.join(forms)}, got {per!r}")
    records: list[Record] = []
    for folder in map(Path, [results] if isinstance(results, str | Path) else results):
        if not folder.is_dir():
            raise UsageError(f"there is no results folder {folder}: name one that vpbench run wrote to")
        found, problems = iter_records(folder)
        records += found
        for problem in problems:
            warnings.warn(str(problem), VpbenchWarning, stacklevel=2)
    return forms[per](records)


def per_record(records: Sequence[Record]) -> pd.DataFrame:
    """A row per record: `LEADING`, then per metric its value and `<metric> low` and `<metric> high` (the 95 % interval,
    NaN where there is none), then what it cost, and the path of its file.

    Two definitions of one metric have a column each, named by what tells them apart, as on boards.
    """
    names = _names(records)
    costs = list(dict.fromkeys(key for record in records for key in record.cost if key != "model_stats"))
    lines = []
    for record in records:
        line = dict(_leading(record))
        for column, score in _scores(record):
            name = names[column]
            line |= {name: score["value"], f"{name} low": score["low"], f"{name} high": score["high"]}
        line |= {key: record.cost.get(key) for key in costs}
        lines.append({**line, "path": str(record.path)})
    scores = [f"{name}{end}" for name in names.values() for end in ("", " low", " high")]
    table = pd.DataFrame(lines, columns=[*LEADING, *scores, *costs, "path"])
    return table.astype(dict.fromkeys(scores, "float64"))


def per_step(records: Sequence[Record]) -> pd.DataFrame:
    """A row per record, metric and step from 1: `LEADING`, metric, step, value, and its standard error over clips."""
    names = _names(records)

    def rows(record: Record) -> Iterable[Mapping[str, Any]]:
        for column, score in _scores(record):
            values = np.array(score["per_step"], dtype=np.float64)
            stderr = np.array(score["per_step_stderr"], dtype=np.float64)
            if len(values):
                steps = np.arange(1, len(values) + 1)
                yield {"metric": names[column], "step": steps, "value": values, "stderr": _as_long(stderr, values)}

    return _long(records, rows, ["metric", "step", "value", "stderr"])


def per_clip(records: Sequence[Record]) -> pd.DataFrame:
    """A row per record, statistic and clip: `LEADING`, statistic ("<distribution>/<name>"), clip, value.

    clip is the place of a clip in the test split, from 0: the same one in all records of a dataset. value is the mean
    over the steps of that clip, NaN where there is none. What a score makes of the statistics is for its metric.
    """

    def rows(record: Record) -> Iterable[Mapping[str, Any]]:
        for name, values in sorted(record.statistics.items()):
            yield {"statistic": name, "clip": np.arange(len(values)), "value": np.array(values, dtype=np.float64)}

    return _long(records, rows, ["statistic", "clip", "value"])


def scores_of(record: Record) -> pd.DataFrame:
    """The scores of one record: metric, value, low, high (95 % interval over clips), unit, and what is better."""
    lines = [
        {
            "metric": column.metric,
            "value": score["value"],
            "low": score["low"],
            "high": score["high"],
            "unit": column.unit,
            "better": _better(column),
        }
        for column, score in _scores(record)
    ]
    table = pd.DataFrame(lines, columns=["metric", "value", "low", "high", "unit", "better"])
    return table.astype(dict.fromkeys(("value", "low", "high"), "float64"))


def steps_of(record: Record) -> pd.DataFrame:
    """The scores of one record at each step from 1, a column per metric."""
    curves = {
        column.metric: pd.Series(score["per_step"], index=range(1, len(score["per_step"]) + 1), dtype="float64")
        for column, score in _scores(record)
        if score["per_step"]
    }
    return pd.DataFrame(curves).rename_axis(index="step")


def _better(column: Column) -> str:
    if column.ideal is not None:
        return f"near {column.ideal:g}"
    return "higher" if column.higher_is_better else "lower"


def _scores(record: Record) -> list[tuple[Column, Mapping[str, Any]]]:
    """In the order of boards."""
    return [(column, record.scores[column.metric]) for column in columns_of([record])]


def _names(records: Sequence[Record]) -> dict[Column, str]:
    columns = columns_of(records)
    return dict(zip(columns, column_names(columns), strict=True))


def _leading(record: Record) -> dict[str, Any]:
    model, dataset, task = record.model, record.dataset, record.task
    reason = record.reason or {}
    return {
        "model": model["name"],
        "role": role_of(record),
        "model_version": model["version"],
        "model_config": settings(model["config"]),
        "weights_sha256": model["weights_sha256"],
        "dataset": dataset["name"],
        "dataset_version": dataset["version"],
        "dataset_config": settings(dataset["config"]),
        "split": record.identity["split"],
        "task": task.get("kind"),
        "context": task.get("context"),
        "horizon": task.get("horizon"),
        "seed": record.identity["seed"],
        "clips": record.identity["clips"],
        "dtype": record.identity["dtype"],
        "status": record.status,
        "reason": f"{reason['phase']}: {reason['message']}" if reason else None,
    }


def _long(
    records: Sequence[Record], rows: Callable[[Record], Iterable[Mapping[str, Any]]], columns: Sequence[str]
) -> pd.DataFrame:
    parts = [pd.DataFrame({**_leading(record), **block}) for record in records for block in rows(record)]
    if not parts:
        return pd.DataFrame(columns=[*LEADING, *columns])
    return pd.concat(parts, ignore_index=True)[[*LEADING, *columns]]


def _as_long(stderr: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A record from elsewhere may lack standard errors."""
    return stderr if len(stderr) == len(values) else np.full(len(values), np.nan)
