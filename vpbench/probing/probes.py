"""Linear probes of codes for truth: what each finds on test clips, how sure that is, and what chance would find.

R² of a value is 1 - squared error / squared distance to the mean, both over the test clips (and the target times, of a
code that has a row per time): 0 for the mean of the test clips, negative for worse. Of a class it is the share of right
answers. Both of several components are the mean over them; a component without variance has no part in it.

Alain and Bengio, Understanding intermediate layers using linear classifier probes, arXiv:1610.01644; the control is of
Hewitt and Liang, Designing and interpreting probes with control tasks, EMNLP 2019, in its simplest form: the truth of
another clip, drawn once, instead of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from ..batches import stream
from ..protocols import Score
from ..specs import TruthField
from ..stats import interval, mean_over_steps, score_per_step
from .answers import CLASS, INDEX, At, Objects, Order, answers, order_of
from .linear import CONSTANT, Codes, LinearMap
from .reading import Encoded

Measure = Literal["r2", "accuracy"]

NOTHING = Score(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Component:
    """One number, or one class, of a field."""

    index: tuple[int, ...]  #: its place in the field, object first where there are several; (): the field is one
    score: Score
    shuffled: Score
    chance: float | None  #: of a class: share of the most frequent one in the train clips
    strength: float  #: penalty, chosen on the val clips
    converged: bool = True
    why: str = ""  #: it has no score


@dataclass(frozen=True)
class Probe:
    """How much of a field of truth lies in a code, linearly."""

    code: str
    per: Literal["clip", "frame"]  #: what the code has a row for
    size: int  #: numbers in a row of the code
    field: TruthField
    when: str  #: which times the truth is of, in words
    measure: Measure
    score: Score
    shuffled: Score  #: the same with the truth of another clip
    chance: float | None  #: of classes, mean over components
    components: tuple[Component, ...]
    per_step: np.ndarray  #: float64 (Tt,); empty of a code of the clip
    per_step_stderr: np.ndarray


@dataclass(frozen=True)
class Probes:
    """All codes probed for all fields."""

    probes: tuple[Probe, ...]
    skipped: Mapping[tuple[str, str], str]  #: (code, field) -> why it was not probed for
    order: Order | None  #: by what several objects are told apart


def never(field: TruthField, objects: Objects) -> str:
    """Why a field cannot be probed for, whatever the code; empty if it can."""
    if field.unit == INDEX:
        return "an index: numbers that are only names"
    if field.unit == CLASS and field.objects and objects == "mean":
        return "classes of several objects have no mean"
    return ""


def probe_all(
    fields: Sequence[TruthField],
    splits: Mapping[str, Encoded],
    *,
    at: At = "last",
    objects: Objects = "sorted",
    seed: int = 0,
) -> Probes:
    """Probe each code for each field that can be probed for.

    fields  that can be probed for, see `never`; those of the truth that was read
    splits  "train", to fit on; "val", to choose how strongly; "test", what is reported
    seed    of the control

    Raises PluginError for truth against what the fields say of it.
    """
    order = order_of(fields, splits["test"].truth, objects)
    found: list[Probe] = []
    skipped: dict[tuple[str, str], str] = {}
    for code, values in splits["test"].codes.items():
        per_frame = values.ndim == 3
        flat = {split: each.codes[code].reshape(-1, values.shape[-1]) for split, each in splits.items()}
        ready = Codes(flat["train"], flat["val"])
        for field in fields:
            if field.unit == CLASS and field.per == "frame" and at == "mean" and not per_frame:
                skipped[code, field.name] = "classes have no mean over the context"
                continue
            steps = values.shape[1] if per_frame else None
            told = {
                split: answers(field, each.truth, steps=steps, at=at, order=order) for split, each in splits.items()
            }
            wanted = {split: truth for split, (truth, _) in told.items()}
            if reason := _unfit(wanted, field):
                skipped[code, field.name] = reason
                continue
            found.append(_probed(code, values, ready, flat["test"], field, wanted, told["test"][1], seed))
    return Probes(tuple(found), skipped, order)


def _unfit(wanted: Mapping[str, np.ndarray], field: TruthField) -> str:
    """Why such truth cannot be probed for; empty if it can."""
    if len({values.shape[2:] for values in wanted.values()}) > 1:
        return f"its shape differs: {', '.join(f'{name} {values.shape[2:]}' for name, values in wanted.items())}"
    if not all(math.prod(values.shape[2:]) for values in wanted.values()):
        return "it is empty"
    if field.unit == CLASS:
        kinds = {values.dtype.kind for values in wanted.values()}
        return "" if kinds <= set("iubUS") else "classes must be whole numbers or text"
    if any(values.dtype.kind not in "fiub" for values in wanted.values()):
        return "its values are no numbers"
    if not all(np.isfinite(values).all() for values in wanted.values()):
        return "some of its values are not finite"
    return ""


def _probed(
    code: str,
    values: np.ndarray,
    ready: Codes,
    tested: np.ndarray,
    field: TruthField,
    wanted: Mapping[str, np.ndarray],
    when: str,
    seed: int,
) -> Probe:
    """One probe and its control. tested: rows of the code of the test clips; wanted: (n, T, ...) by split."""
    inner = wanted["test"].shape[2:]
    columns = {split: each.reshape(*each.shape[:2], -1) for split, each in wanted.items()}
    others = {split: each[_shuffle(len(each), split, seed)] for split, each in columns.items()}
    classes = field.unit == CLASS
    asked = _Classes if classes else _Values
    own, control = asked(ready, tested, columns), asked(ready, tested, others)
    score, components = own.score(), own.components()
    of_others = control.components()
    per_step = own.per_step() if values.ndim == 3 else (np.empty(0), np.empty(0))
    chances = [each for each in own.chances if not math.isnan(each)]
    return Probe(
        code=code,
        per="frame" if values.ndim == 3 else "clip",
        size=values.shape[-1],
        field=field,
        when=when,
        measure="accuracy" if classes else "r2",
        score=score,
        shuffled=control.score(),
        chance=float(np.mean(chances)) if classes and chances else None,
        components=tuple(
            Component(
                index=index,
                score=components[place],
                shuffled=of_others[place],
                chance=own.chances[place] if classes and not own.why[place] else None,
                strength=own.strengths[place],
                converged=own.converged[place],
                why=own.why[place],
            )
            for place, index in enumerate(product(*map(range, inner)))
        ),
        per_step=per_step[0],
        per_step_stderr=per_step[1],
    )


def _shuffle(clips: int, split: str, seed: int) -> np.ndarray:
    """Which clip each is told the truth of; a function of its arguments."""
    return np.random.Generator(np.random.Philox(stream("probe control", split, seed))).permutation(clips)


class _Asked:
    """What probes of one code find of a field: per component statistics (n, T), whose means are a score."""

    def __init__(self, ready: Codes, tested: np.ndarray, columns: Mapping[str, np.ndarray]) -> None:
        """columns: (n, T, C) by split; rows of codes are those of clips, then times"""
        self.columns = columns
        size = columns["test"].shape[2]
        self.why = [self._why_not(place) for place in range(size)]
        self.strengths = [math.nan] * size
        self.converged = [True] * size
        self.chances = [math.nan] * size
        self.statistics: dict[str, np.ndarray] = {}
        self._ask(ready, tested)

    def _why_not(self, place: int) -> str:
        raise NotImplementedError

    def _ask(self, ready: Codes, tested: np.ndarray) -> None:
        raise NotImplementedError

    def _score_of(self, means: Mapping[str, np.ndarray], place: int) -> np.ndarray:
        raise NotImplementedError

    @property
    def there(self) -> list[int]:
        """Components that have a score."""
        return [place for place, why in enumerate(self.why) if not why]

    def _keep(self, place: int, fitted: LinearMap, strength: float, **statistics: np.ndarray) -> None:
        self.strengths[place], self.converged[place] = strength, fitted.converged
        self.statistics |= {f"{place} {name}": values for name, values in statistics.items()}

    def _score(self, places: Sequence[int]) -> Score:
        per_clip = {
            name: mean_over_steps(values) for name, values in self.statistics.items() if int(name.split()[0]) in places
        }
        if not per_clip:
            return NOTHING
        return interval(per_clip, lambda means: np.mean([self._score_of(means, each) for each in places], axis=0))

    def score(self) -> Score:
        """Mean over components."""
        return self._score(self.there)

    def components(self) -> list[Score]:
        return [NOTHING if why else self._score([place]) for place, why in enumerate(self.why)]

    def per_step(self) -> tuple[np.ndarray, np.ndarray]:
        """The score at each target time and its standard error, float64 (T,) each; mean over components."""
        if not self.statistics:
            nothing = np.full(self.columns["test"].shape[1], math.nan)
            return nothing, nothing
        places = self.there
        return score_per_step(
            self.statistics, lambda means: np.mean([self._score_of(means, each) for each in places], axis=0)
        )


class _Values(_Asked):
    """Ridge regression: R²."""

    def _why_not(self, place: int) -> str:
        for split in ("train", "test"):
            values = self.columns[split][:, :, place].astype(np.float64)
            if np.ptp(values) <= CONSTANT * np.abs(values).max():
                return f"it does not vary among the {split} clips"
        return ""

    def _ask(self, ready: Codes, tested: np.ndarray) -> None:
        there = self.there
        if not there:
            return
        chosen = {split: values[:, :, there].astype(np.float64) for split, values in self.columns.items()}
        fitted = ready.ridge(*(chosen[split].reshape(-1, len(there)) for split in ("train", "val")))
        truth = chosen["test"]
        found = fitted(tested).reshape(truth.shape)
        spread, centre = truth.std(axis=(0, 1)), truth.mean(axis=(0, 1))
        errors, own = (found - truth) / spread, (truth - centre) / spread  # of the order of 1: no digits are lost
        for column, place in enumerate(there):
            error, value = errors[:, :, column], own[:, :, column]
            statistics = {"error": np.square(error), "value": value, "square": np.square(value)}
            self._keep(place, fitted, fitted.strengths[column], **statistics)

    def _score_of(self, means: Mapping[str, np.ndarray], place: int) -> np.ndarray:
        variance = means[f"{place} square"] - np.square(means[f"{place} value"])
        # Clips that are all alike have no R²; what rounding leaves of their variance is none.
        return 1 - means[f"{place} error"] / np.where(variance > CONSTANT, variance, np.nan)


class _Classes(_Asked):
    """Multinomial logistic regression: the share of right answers."""

    def _why_not(self, place: int) -> str:
        known = np.unique(self.columns["train"][:, :, place])
        return "" if len(known) > 1 else "the train clips are all of one class"

    def _ask(self, ready: Codes, tested: np.ndarray) -> None:
        for place in self.there:
            column = {split: values[:, :, place] for split, values in self.columns.items()}
            known, train, counts = np.unique(column["train"].ravel(), return_inverse=True, return_counts=True)
            numbers = {split: _numbered(values.ravel(), known) for split, values in column.items()}
            fitted = ready.logistic(train.ravel(), numbers["val"], len(known))
            right = fitted(tested).argmax(axis=1) == numbers["test"]
            self.chances[place] = float(counts.max() / counts.sum())
            self._keep(place, fitted, fitted.strengths[0], right=right.reshape(column["test"].shape).astype(np.float64))

    def _score_of(self, means: Mapping[str, np.ndarray], place: int) -> np.ndarray:
        return means[f"{place} right"]


def _numbered(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The place of each class among those known, int64; -1 of one that is not."""
    places = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.where(known[places] == values, places, -1)
