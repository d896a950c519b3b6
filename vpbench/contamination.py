"""Has a model seen what it is tested on? Overlap of what its weights were trained on with the test split.

A dataset may say what its splits are made of (`Dataset.sources`): ranges of items of named collections, such as the
digits of MNIST. Weights keep that of their training in their header, so they can be held against any dataset made of
the same collection, whatever its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .errors import PluginError, VpbenchError, WeightsError
from .instances import blaming, configured, fingerprint_of, open_dataset
from .protocols import Dataset
from .registry import Provided, Registry
from .specs import DatasetSpec

#: Ranges that an overlap is told with: of files there may be one each.
_LISTED = 3

#: Collection -> half-open ranges of its items.
Sources = Mapping[str, Sequence[Sequence[int]]]


def sources_of(provided: Provided[DatasetSpec], dataset: Dataset, split: str) -> dict[str, list[list[int]]] | None:
    """What a split is made of, as JSON has it; None where the dataset does not know. Raises PluginError."""
    told = getattr(dataset, "sources", None)
    if told is None:
        return None
    with blaming(provided, "sources()"):
        found = told(split)
        for collection, ranges in found.items():
            for each in ranges:
                if len(each) != 2 or not all(type(bound) is int for bound in each) or not each[0] < each[1]:
                    raise PluginError(f"{collection} {each!r}: the contract is ranges (first, last + 1)")
        return {str(collection): [list(each) for each in ranges] for collection, ranges in found.items()}


def overlap(learnt_from: Sources, tested_on: Sources) -> str:
    """What is in both, in words with numbers; empty if nothing is."""
    found = []
    for collection in sorted(learnt_from.keys() & tested_on.keys()):
        tested = _merged(tested_on[collection])
        shared = [
            (max(a, c), min(b, d)) for a, b in _merged(learnt_from[collection]) for c, d in tested if a < d and c < b
        ]
        if shared:
            ranges = ", ".join([*(f"{a}..{b - 1}" for a, b in shared[:_LISTED]), *["..."][: len(shared) - _LISTED]])
            found.append(f"{_size(shared)} of the {_size(tested)} items of {collection} it is made of ({ranges})")
    return "; ".join(found)


def joined(one: Any, other: Any) -> dict[str, list[list[int]]] | None:
    """What is in either; None where one of them is not known, or cannot be read."""
    if one is None or other is None or not _well_formed(one) or not _well_formed(other):
        return None
    return {
        collection: [list(each) for each in _merged([*one.get(collection, []), *other.get(collection, [])])]
        for collection in sorted({*one, *other})
    }


def learnt_from(header: Mapping[str, Any], registry: Registry) -> Sources | None:
    """What weights were trained on: as their header declares it, or as the dataset it names tells it.

    None where neither does: the dataset is not installed, or not at the version and fingerprint of the training.
    """
    declared = header.get("learnt_from")
    if declared is not None:
        if not _well_formed(declared):
            raise WeightsError("the weights declare learnt_from in a form that cannot be read: train anew")
        return declared
    was = header["dataset"]
    provided = registry.datasets().get(was["name"])
    if provided is None or was.get("version") != provided.spec.version:
        return None
    try:
        dataset = open_dataset(provided, configured(provided, was.get("config", {})))
        same = fingerprint_of(provided, dataset, "train") == was.get("fingerprint")
        return sources_of(provided, dataset, "train") if same else None
    except VpbenchError:  # a config of another time, files that are not here: then it is not known
        return None


def seen(
    header: Mapping[str, Any], provided: Provided[DatasetSpec], dataset: Dataset, split: str, registry: Registry
) -> str | None:
    """How much of a split weights were trained on, in words; empty if nothing of it, None if that is not known.

    Raises WeightsError for a declaration that cannot be read, PluginError.
    """
    given, tested = learnt_from(header, registry), sources_of(provided, dataset, split)
    return None if given is None or tested is None else overlap(given, tested)


def _well_formed(declared: Any) -> bool:
    return isinstance(declared, Mapping) and all(
        isinstance(ranges, list)
        and all(
            isinstance(each, list) and len(each) == 2 and all(type(n) is int for n in each) and each[0] < each[1]
            for each in ranges
        )
        for ranges in declared.values()
    )


def _merged(ranges: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    """The same items, each in one range."""
    merged: list[tuple[int, int]] = []
    for start, stop in sorted((int(a), int(b)) for a, b in ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def _size(ranges: Iterable[Sequence[int]]) -> int:
    return sum(stop - start for start, stop in ranges)
