"""What has to be known to read a board, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from .board import Column, Row
from .labels import count
from .scores import clips_of, listed
from .seeds import cell_of_any_size


def remarks(rows: Sequence[Row], ranking: Column | None, metric: str, n: int, *, installed: bool) -> tuple[str, ...]:
    """On which clips rows are compared, what their intervals cover, and why there are no ranks where there are none."""
    if not rows:
        return ()
    said = [*_clips(rows, n)]
    singles = [cell_of_any_size(record) for row in rows for record in row.records]
    if len(set(singles)) < len(singles):
        said.append("Records of one cell in several folders are tested once and share a rank.")
    said.append(_coverage(rows))
    if ranking is None:
        said.append(f"No row has {metric}, so there are no ranks.")
    elif not installed:
        said.append(f"The metric {metric} is not installed here: values as recorded, no ranks.")
    elif not ranking.statistics:
        said.append(f"{metric} has no value per clip, so there are no ranks.")
    elif others := sorted(r.label for r in rows if ranking not in r.scores and metric in r.record.scores):
        said.append(f"Without rank, because {metric} is by another definition than in other rows: {listed(others)}.")
    return tuple(said)


def _clips(rows: Sequence[Row], n: int) -> list[str]:
    held = {row.label: min(clips_of(record) for record in row.records) for row in rows}
    shortest = sorted(label for label, clips in held.items() if clips == n)
    if len(shortest) == len(held):
        return []
    # One row that cuts the others short is worth its name; of a whole folder of short runs the reader knows.
    who = f"{shortest[0]} has" if len(shortest) == 1 else f"{len(shortest)} rows have"
    return [f"Compared on the first {count(n, 'clip')}: {who} no more (others up to {max(held.values())})."]


def _coverage(rows: Sequence[Row]) -> str:
    several = [row for row in rows if row.members]
    if not several:
        return (
            "One seed per row: intervals cover the choice of test clips for these weights. They are of the weights "
            "and not of the method: training again gives different ones."
        )
    over_seeds = "of clips and of seeds, so what training again can be expected to give"
    if len(several) == len(rows):
        return f"Intervals cover the choice {over_seeds}."
    return (
        f"Where a row has several seeds its interval covers the choice {over_seeds}; where it has one, the choice of "
        "test clips for these weights, and so the weights and not the method."
    )
