"""What probes are to find: the truth of clips, as values and classes, in an order of objects that frames do tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import PluginError
from ..specs import TruthField

CLASS, INDEX = "class", "index"  # units of truth that is no number

#: Of several objects: each by itself, in an order; or their mean.
Objects = Literal["sorted", "mean"]

#: Which context frame the truth of a code of the whole clip is of.
At = Literal["last", "mean"]

#: Times of the truth, in words.
OF_CLIP, LAST, MEAN, TARGETS = "the clip", "the last context frame", "the mean over the context", "the target times"


@dataclass(frozen=True)
class ClipTruth:
    """Truth of n clips, by the name of its field."""

    of_clip: Mapping[str, np.ndarray]  #: (n, ...), of fields per clip
    context: Mapping[str, np.ndarray]  #: (n, Tc, ...), of fields per frame
    targets: Mapping[str, np.ndarray]  #: (n, Tt, ...), of fields per frame


@dataclass(frozen=True)
class Order:
    """By what objects are told apart."""

    field: TruthField | None  #: whose last component sorts them; None: there is nothing to sort by
    count: int  #: of objects
    how: Objects = "sorted"

    def __str__(self) -> str:
        if self.how == "mean":
            return f"the mean over the {self.count} objects of a clip"
        if self.field is None:
            return f"the {self.count} objects of a clip in the order in which the dataset names them"
        when = " at the last context frame" if self.field.per == "frame" else ""
        return f"the {self.count} objects of a clip in the order of {self.field.name}{when}, last component first"


def order_of(fields: Sequence[TruthField], truth: ClipTruth, how: Objects) -> Order | None:
    """How several objects are told apart; None where no field has several. Raises PluginError for counts that differ.

    The first field that is a value per frame and object sorts them (a position is one), else the first per object.
    """
    counted = [each for each in fields if each.objects]
    counts = {each.name: _count(each, truth) for each in counted}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise PluginError(f"fields of truth differ in how many objects a clip has: {told}")
    if not counts or (count := next(iter(counts.values()))) < 2:
        return None
    values = [each for each in counted if each.unit not in (CLASS, INDEX)]
    by = [each for each in values if each.per == "frame"] or values
    return Order(by[0] if by else None, count, how)


def _count(field: TruthField, truth: ClipTruth) -> int:
    axis = 2 if field.per == "frame" else 1
    values = truth.context[field.name] if field.per == "frame" else truth.of_clip[field.name]
    if values.ndim <= axis:
        raise PluginError(f"truth {field.name} is said to count objects, and has shape {values.shape}")
    return values.shape[axis]


def places_of(order: Order, truth: ClipTruth) -> np.ndarray | None:
    """int64 (n, D): the objects of each clip in their order; None where they stay as they are.

    Sorted by the last component, where that is the same by the one before it, and so on.
    """
    if order.field is None or order.how == "mean":
        return None
    name = order.field.name
    values = truth.context[name][:, -1] if order.field.per == "frame" else truth.of_clip[name]
    keys = np.moveaxis(values.reshape(*values.shape[:2], -1), 2, 0)
    return np.lexsort(keys, axis=-1)


def answers(
    field: TruthField, truth: ClipTruth, *, steps: int | None, at: At, order: Order | None
) -> tuple[np.ndarray, str]:
    """What a probe for a field is to answer, (n, T, ...), and of which times it is, in words.

    steps  of a code at target times: how many, which is T; None: of a code of the clip, where T is 1
    at     the context frame that a code of the clip is held against
    """
    if field.per == "clip":
        values, when = truth.of_clip[field.name][:, None], OF_CLIP
    elif steps is not None:
        values, when = truth.targets[field.name], TARGETS
    elif at == "last":
        values, when = truth.context[field.name][:, -1:], LAST
    else:
        values, when = truth.context[field.name].mean(axis=1, keepdims=True, dtype=np.float64), MEAN
    if field.objects and order is not None:
        places = places_of(order, truth)
        if order.how == "mean":
            values = values.mean(axis=2, dtype=np.float64)
        elif places is not None:
            spread = places[:, None].reshape(len(places), 1, order.count, *[1] * (values.ndim - 3))
            values = np.take_along_axis(values, spread, axis=2)
    if field.per == "clip" and steps is not None:  # the same at all times
        values = np.broadcast_to(values, (len(values), steps, *values.shape[2:]))
    return values, when
