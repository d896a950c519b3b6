"""What a comparison results in: boards of rows and columns, frozen and free of layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ..protocols import Score
from ..results import Record, canonical
from ..stats import PairedDifference, Statistics

#: Ranks a board unless told otherwise.
METRIC = "psnr-pooled"

#: Metrics that come first, if they are there; the others follow by convention and name.
LEADING = (METRIC, "psnr", "ssim", "foreground-mse", "digit-position-error")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One definition of one metric."""

    metric: str
    convention: str
    version: str
    distribution: str
    statistics: tuple[str, ...]  #: names in a record; (): a distance between sets, one value for all clips
    higher_is_better: bool
    over_steps: str = "mean"  #: "sum": a clip's statistic is summed over its steps
    config: str = "{}"  #: canonical JSON of the metric's configuration, as far as the record has it
    unit: str = field(compare=False)
    definition: str = field(compare=False)
    ranks: bool = field(default=True, compare=False)  #: whether rows may be ordered by it
    ideal: float | None = field(default=None, compare=False)  #: the perfect score, where more is as wrong as less
    mean_optimal: bool = field(default=False, compare=False)  #: the posterior mean is the best that can be expected

    @property
    def key(self) -> tuple[str, ...]:
        return (
            *(self.metric, self.convention, self.version, self.distribution),
            *self.statistics,
            *(self.over_steps, self.config),
        )

    @property
    def exhibit(self) -> bool:
        """A number that others publish and nobody should compare: shown as a warning only."""
        return not self.ranks and self.ideal is None

    @property
    def arrow(self) -> str:
        """``"↑"``, ``"↓"`` or, where more is as wrong as less, ``"→ 1"``."""
        if self.ideal is not None:
            return f"→ {self.ideal:g}"
        return "↑" if self.higher_is_better else "↓"

    def better(self, a: float, b: float) -> bool:
        """Whether a is a better score than b."""
        if self.ideal is not None:
            return abs(a - self.ideal) < abs(b - self.ideal)
        return a > b if self.higher_is_better else a < b

    def agreeing(self, other: Column) -> Column:
        """This definition with what another record says of it: records from before a fact was written down lack it."""
        return replace(
            self,
            ranks=self.ranks and other.ranks,
            ideal=other.ideal if self.ideal is None else self.ideal,
            mean_optimal=self.mean_optimal or other.mean_optimal,
        )


class Curve(NamedTuple):
    """The score at each step, NaN where there is none."""

    values: np.ndarray  #: float64 (T,)
    stderr: np.ndarray  #: float64 (T,), over clips


@dataclass(frozen=True, kw_only=True)
class Row:
    """One record on a board, or several that differ in their seed alone."""

    record: Record  #: of several seeds the first: for what they have in common
    label: str  #: the model, and what tells this row from others of the same model
    source: str  #: the results folder, as short as tells the folders apart
    scores: Mapping[Column, Score]  #: on the clips of the board; of several seeds over clips and seeds
    members: tuple[Row, ...] = ()  #: a row per seed, without rank; (): one record
    rank: int | None = None  #: None: a ceiling, or there is nothing to rank by
    below_floor: bool = False  #: significantly worse than the best floor, by the test of the ranks
    not_above_floor: bool = False  #: neither significantly worse nor better than the best floor
    above_ceiling: PairedDifference | None = None  #: row minus ceiling, where that is what no honest prediction can be
    headroom: Score | None = None  #: share of the way from the best floor to the ceiling, in mean squared error

    @property
    def role(self) -> str:
        return role_of(self.record)

    @property
    def records(self) -> tuple[Record, ...]:
        """All records of this row, by seed."""
        return tuple(member.record for member in self.members) or (self.record,)

    def per_clip(self, column: Column, n: int | None = None) -> list[Statistics]:
        """Per-clip statistics {bare name: (n,)} of each record of this row, NaN where it has null."""
        return [per_clip(record, column, n) for record in self.records]

    def curve(self, column: Column, n: int) -> Curve | None:
        """The score per step, of several seeds its mean over them (without standard error).

        None unless the records hold a curve of this definition over just the n clips of the board.
        """
        curves = []
        for record in self.records:
            score = record.scores.get(column.metric)
            if column not in self.scores or score is None or score["n"] != n or not score["per_step"]:
                return None
            if len(score["per_step"]) != len(score["per_step_stderr"]):
                return None
            curves.append(np.array([score["per_step"], score["per_step_stderr"]], dtype=np.float64))
        if len({curve.shape for curve in curves}) != 1:
            return None
        values, stderr = np.mean(curves, axis=0)
        return Curve(values, stderr if len(curves) == 1 else np.full_like(stderr, np.nan))


@dataclass(frozen=True, kw_only=True)
class Board:
    """Rows that may be compared, best first."""

    dataset: Mapping[str, Any]
    split: str
    task: Mapping[str, Any]
    n: int  #: clips that all rows have
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]  #: the ranking and other leading metrics first, then by convention; exhibits last
    metric: str  #: that ranks the rows, if any has it
    ranking: Column | None  #: by this definition; None: no row has that metric
    remarks: tuple[str, ...]  #: sentences that the comparison is to be read with
    not_run: tuple[tuple[str, Record], ...]  #: label and record of what failed or was skipped
    headroom_in: Column | None = None  #: whose mean statistic the headroom is measured in
    warnings: tuple[str, ...] = ()  #: sentences about rows that cannot be what they claim to be
    left_out: tuple[str, ...] = ()  #: sentences about definitions of one metric that are not the same, so not ranked


def role_of(record: Record) -> str:
    return str(record.about.get("role") or "contender")


def per_clip(record: Record, column: Column, n: int | None = None) -> dict[str, np.ndarray]:
    """Per-clip statistics {bare name: (n,)} float64, NaN where the record has null."""
    return {
        name.partition("/")[2] or name: np.array(record.statistics[name][:n], dtype=np.float64)
        for name in column.statistics
    }


def settings(config: Mapping[str, Any], others: tuple[Mapping[str, Any], ...] | list[Mapping[str, Any]] = ()) -> str:
    """``"key=value key=value"`` of a config; with others, only the keys that are not the same in all of them."""
    keys = [key for key in config if not others or any(_json(other, key) != _json(config, key) for other in others)]
    texts = {key: value if isinstance(value := config[key], str) else canonical(value) for key in keys}
    return " ".join(f"{key}={texts[key]}" for key in sorted(keys))


def _json(config: Mapping[str, Any], key: str) -> str | None:
    return canonical(config[key]) if key in config else None
