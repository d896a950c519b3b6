"""Boards as CSV, long and tidy: a line per row or seed of it, and metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..comparison import Board, Column, Row, beside, role_of, training_of
from ..protocols import Score
from ..published import EVIDENCE, PublishedRow
from ..results import Record, canonical
from .budget_curves import history_of
from .provenance import full_device, why_not

if TYPE_CHECKING:
    import pandas as pd

#: What else is told of how weights were trained.
_TRAINING = ("updates", "total_updates", "batch_size", "budget", "precision", "threads")


def frame(shown: Sequence[Board], published: Sequence[PublishedRow] = ()) -> pd.DataFrame:
    """A line per row and metric, and per seed of rows of several seeds; a record without scores has one line, with its
    reason if any. A training's validations are JSON in the first line of its record, {key: [value, ..]}, as they would
    be most of the table. Published rows follow, a line per score, with status "published"."""
    import pandas as pd

    lines: list[dict[str, Any]] = []
    for board in shown:
        for row in board.rows:
            for each in (row, *row.members):
                whole = None if each is row else row.label
                lines += [
                    _facts(board, each.record, each.label, each, *one, member_of=whole, first=not place)
                    for place, one in enumerate(each.scores.items() or [(None, None)])
                ]
        lines += [_facts(board, record, label) for label, record in board.not_run]
    lines += _published(shown, published)
    # As objects: where one rank is missing the others would become floats.
    return pd.DataFrame(lines, dtype=object)


def to_csv(shown: Sequence[Board], published: Sequence[PublishedRow] = ()) -> str:
    """`frame` as text; numbers have six significant digits, as many as the statistics have."""
    return frame(shown, published).to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _facts(
    board: Board,
    record: Record,
    label: str,
    row: Row | None = None,
    column: Column | None = None,
    score: Score | None = None,
    *,
    member_of: str | None = None,
    first: bool = True,
) -> dict[str, Any]:
    about, training = record.about, training_of(record)
    return {
        "dataset": board.dataset["name"],
        "dataset_version": board.dataset["version"],
        "dataset_config": canonical(board.dataset["config"]),
        "fingerprint": board.dataset["fingerprint"],
        "split": board.split,
        "task": board.task["kind"],
        "context": board.task.get("context"),
        "horizon": board.task.get("horizon"),
        "rank": row.rank if row else None,
        "label": label,
        "model": record.model["name"],
        "model_version": record.model["version"],
        "model_config": canonical(record.model["config"]),
        "weights_sha256": record.model["weights_sha256"],
        "seed": record.identity["seed"] if not (row and row.members) else None,
        "seeds": len(row.records) if row else None,
        "member_of": member_of,
        "dtype": record.identity["dtype"],
        "role": role_of(record),
        "metric": column.metric if column else None,
        "convention": column.convention if column else None,
        "version": column.version if column else None,
        "distribution": column.distribution if column else None,
        "metric_config": column.config if column else None,
        "unit": column.unit if column else None,
        "higher_is_better": column.higher_is_better if column else None,
        "ideal": column.ideal if column else None,
        "ranks": column.ranks if column else None,
        "value": score.value if score else None,
        "low": score.low if score else None,
        "high": score.high if score else None,
        "n": board.n if score else None,
        "is_ranking": column == board.ranking if column else None,
        "headroom": row.headroom.value if row and row.headroom else None,
        "headroom_low": row.headroom.low if row and row.headroom else None,
        "headroom_high": row.headroom.high if row and row.headroom else None,
        "below_floor": row.below_floor if row else None,
        "not_above_floor": row.not_above_floor if row else None,
        "above_ceiling": bool(row.above_ceiling) if row else None,
        "status": record.status,
        "reason": why_not(label, record) if record.reason else None,
        "parameters": record.cost.get("parameters"),
        "learns": about.get("learns"),
        "trained": about.get("trained"),
        "training_sequences": training.get("sequences"),
        "training_seconds": training.get("seconds"),
        "training_device": training.get("device"),
        "training_seed": training.get("seed"),
        **{f"training_{key}": training.get(key) for key in _TRAINING},
        "training_history": _history(training) if first else None,
        "frames_per_s": record.cost.get("frames_per_s"),
        "rollout_horizon": record.cost.get("rollout_horizon"),
        "batch_size": record.cost.get("batch_size"),
        "device": full_device(record.machine),
        "assumptions": about.get("assumptions") or None,
        "caveat": about.get("caveat") or None,
        "source": row.source if row else None,
        "cell": record.cell if not (row and row.members) else None,
        "definition": " ".join(column.definition.split()) if column else None,
    }


def _history(training: Mapping[str, Any]) -> str | None:
    """The validations of a training by key, in order; None where there are none."""
    history = history_of(training)
    return canonical({key: [entry[key] for entry in history] for key in history[0]}) if history else None


def _published(shown: Sequence[Board], published: Sequence[PublishedRow]) -> list[dict[str, Any]]:
    """A line per published score; the metric is that of a board where it may stand beside, else the bare quantity."""
    placed: dict[tuple[str, int], dict[str, Column]] = {}
    for board in shown:
        for each in beside(board, published):
            names = placed.setdefault((each.row.file, each.row.number), {})
            names.update({quantity: column for column, quantity in each.quantities.items()})
    lines = []
    for row in published:
        for quantity, value in row.scores.items():
            column = placed.get((row.file, row.number), {}).get(quantity)
            lines.append(
                {
                    "dataset": row.dataset,
                    "dataset_config": canonical(row.dataset_config),
                    "split": row.split,
                    "task": row.kind,
                    "context": row.context,
                    "horizon": row.horizon,
                    "label": row.model,
                    "model": row.model,
                    "metric": column.metric if column else quantity,
                    "convention": row.convention,
                    "value": value,
                    "status": "published",
                    "reason": f"wrong number: {row.wrong[quantity]}" if quantity in row.wrong else None,
                    "parameters": row.parameters,
                    "caveat": " ".join((row.training, *row.caveats)).strip() or None,
                    "source": f"{row.title}: {row.document} ({EVIDENCE[row.evidence]})",
                }
            )
    return lines
