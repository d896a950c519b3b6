"""What has to be known to read a board, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from ..results import Record
from ..stats import ALPHA, least_clips
from .board import Column, Row
from .labels import count
from .scores import listed
from .seeds import cell_of_any_size, clips_of

_DOCS = "docs/statistics.md"

#: With fewer clips intervals cover markedly less, and tests alarm more, than they say: simulated in docs/statistics.md.
FEW = 50


def few_clips(n: int) -> str:
    """What to know of intervals and tests of so few clips; "" where there are enough."""
    if n >= FEW:
        return ""
    if n < 2:
        return "Of fewer than two clips there are no intervals and no tests."
    if n < (least := least_clips(ALPHA)):
        return f"Fewer than {least} clips: intervals are too narrow, and no test can find anything, see {_DOCS}."
    return f"Fewer than {FEW} clips: intervals are too narrow and tests alarm too often, see {_DOCS}."


def remarks(rows: Sequence[Row], ranking: Column | None, metric: str, n: int, *, installed: bool) -> tuple[str, ...]:
    """On which clips rows are compared, what their intervals cover, and why there are no ranks where there are none."""
    if not rows:
        return ()
    said = [*_clips(rows, n)]
    singles = [cell_of_any_size(record) for row in rows for record in row.records]
    if len(set(singles)) < len(singles):
        said.append("Records of one cell in several folders are tested once and share a rank.")
    said.append(_coverage(rows))
    if few := few_clips(n):
        said.append(few)
    if ranking is None:
        said.append(f"No row has {metric}, so there are no ranks.")
    elif not installed:
        said.append(f"The metric {metric} is not installed here: values as recorded, no ranks.")
    elif not ranking.statistics:
        said.append(f"{metric} has no value per clip, so there are no ranks.")
    elif others := sorted(r.label for r in rows if ranking not in r.scores and metric in r.record.scores):
        said.append(f"Without rank, having no {metric} by the definition of the other rows: {listed(others)}.")
    return tuple(said)


def _clips(rows: Sequence[Row], n: int) -> list[str]:
    held = {row.label: min(clips_of(record) for record in row.records) for row in rows}
    shortest = sorted(label for label, clips in held.items() if clips == n)
    if len(shortest) == len(held):
        return []
    # One row that cuts the others short is worth its name; of a whole folder of short runs the reader knows.
    who = f"{shortest[0]} has" if len(shortest) == 1 else f"{len(shortest)} rows have"
    return [f"Compared on the first {count(n, 'clip')}: {who} no more (others up to {max(held.values())})."]


def _may_be_trained(record: Record) -> bool:
    """Of a model that ran elsewhere, or of weights in memory, nobody here knows: as likely as not it was."""
    about = record.about
    in_memory = about.get("in_memory") and record.cost.get("parameters")
    return bool(about.get("learns", "weights") == "weights" or about.get("elsewhere") or in_memory)


def _coverage(rows: Sequence[Row]) -> str:
    several = [row for row in rows if row.members]
    trained = any(_may_be_trained(row.record) for row in rows)
    if not several and not trained:
        return "One seed per row, and no trained weights: intervals cover the choice of test clips."
    if not several:
        return (
            "One seed per row: intervals cover the choice of test clips for these weights. They are of the weights "
            "and not of the method: training again gives different ones."
        )
    over_seeds = "of clips and of seeds" + (", so what training again can be expected to give" if trained else "")
    if len(several) == len(rows):
        return f"Intervals cover the choice {over_seeds}."
    one_seed = "the choice of test clips"
    if trained:
        one_seed += " for these weights, and so the weights and not the method"
    return f"Where a row has several seeds its interval covers the choice {over_seeds}; where it has one, {one_seed}."
