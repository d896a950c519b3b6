"""What is known of a weights file, for people and as JSON: `vpbench weights show`.

Headers are written by others too, so nothing of them is taken for granted, and nothing reaches a terminal unprinted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import WeightsError
from .leaderboard.numbers import duration, large
from .weights import WeightsFile

#: Columns of the history, as training writes them, and how they are headed.
_HISTORY = {
    "update": "update",
    "sequences": "sequences",
    "seconds": "seconds",
    "loss": "loss",
    "val_mse": "val mse",
    "val_mse_first_10": "over steps 1-10",
}


def as_json(file: WeightsFile) -> dict[str, Any]:
    """{file, sha256, bytes, tensors, values, header}: the header as it is in the file."""
    tensors = _shapes(file)
    return {
        "file": str(file.path),
        "sha256": file.sha256,
        "bytes": file.path.stat().st_size,
        "tensors": len(tensors),
        "values": sum(map(math.prod, tensors.values())),
        "header": dict(file.header),
    }


def as_text(file: WeightsFile) -> str:
    """A line per fact, then the history of the training as a table where there is one."""
    facts = [(what, text) for what, text in _facts(file) if text]
    width = max(len(what) for what, _ in facts)
    lines = [_printable(str(file.path)), *(f"  {what.ljust(width)}  {_printable(text)}" for what, text in facts)]
    table = _table(file.header.get("history"))
    return "\n".join([*lines, *(["", *table] if table else [])])


def _facts(file: WeightsFile) -> Iterable[tuple[str, str]]:
    header, model, dataset = file.header, file.header["model"], file.header["dataset"]
    said = as_json(file)
    yield "model", _named(model)
    yield "dataset", _named(dataset)
    channels, height, width = file.frame_shape
    horizon = header.get("horizon")
    ahead = f", {horizon} to predict" if horizon is not None else ""
    yield "frames", f"{channels}×{height}×{width}; {file.context} given{ahead}"
    if file.imported_from:
        yield from _origin(file.imported_from)
    else:
        yield "trained", _training(header)
        yield "on", ", ".join(map(str, filter(None, [header.get("device"), _threads(header), header.get("precision")])))
        versions = header.get("code_version")
        yield "by", ", ".join(f"{k} {v}" for k, v in versions.items()) if isinstance(versions, Mapping) else ""
    stored = str(header.get("stored_as") or "")
    yield (
        "holds",
        ", ".join(
            filter(
                None, [f"{said['tensors']} tensors", f"{large(said['values'])} values", stored, _size(said["bytes"])]
            )
        ),
    )
    yield "sha256", file.sha256


def _origin(origin: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield "imported", f"{origin.get('file')} (sha256 {origin.get('sha256')})"
    yield "source", str(origin.get("source"))
    yield "trained on", str(origin.get("trained_on") or "not told")


def _training(header: Mapping[str, Any]) -> str:
    """``"128 k sequences: 4000 of 9000 updates of 32 (budget 7m), in 6.9 min, with seed 0"``, as far as it is there."""
    updates, total, batch, budget = (header.get(key) for key in ("updates", "total_updates", "batch_size", "budget"))
    way = f"{updates} of {total}" if total is not None and total != updates else f"{updates}"
    sequences = f"{large(header['sequences'])} sequences: " if "sequences" in header else ""
    steps = f"{way} updates" if updates is not None else ""
    steps += f" of {batch}" if steps and batch is not None else ""
    steps += f" (budget {budget})" if budget is not None else ""
    took = duration(header.get("seconds"))
    seed = f"with seed {header['seed']}" if "seed" in header else ""
    return sequences + ", ".join(part for part in (steps, took and f"in {took}", seed) if part)


def _threads(header: Mapping[str, Any]) -> str:
    threads = header.get("threads")
    return "" if threads is None else f"{threads} thread{'' if threads == 1 else 's'}"


def _named(thing: Mapping[str, Any]) -> str:
    """``"convlstm 1, hidden 32,32"``: name, version and config."""
    config = thing.get("config")
    values = config.items() if isinstance(config, Mapping) else ()
    version = thing.get("version")
    return ", ".join(
        [f"{thing['name']} {version}" if version else thing["name"], *(f"{k}={_value(v)}" for k, v in values)]
    )


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def _table(history: Any) -> list[str]:
    """The validations of a training, right-aligned; none of what is not a list of them."""
    rows = [each for each in history if isinstance(each, Mapping)] if isinstance(history, list) else []
    columns = [key for key in _HISTORY if any(key in row for row in rows)]
    if not columns:
        return []
    cells = [[_HISTORY[key] for key in columns]]
    cells += [[_printable(_number(row.get(key))) for key in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _size(count: int) -> str:
    return f"{large(count)}B" if count >= 1000 else f"{count} bytes"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _shapes(file: WeightsFile) -> dict[str, list[int]]:
    """Shape of every tensor, none of them read. Raises WeightsError where the file has been replaced since."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file.path, framework="np") as opened:
            return {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"weights {file.path} cannot be read any more ({error}): try again") from error
