"""Whether the contenders of a board had the same training budget: in sequences, in seconds, in both or in neither."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..comparison import Row, training_of
from ..results import Record
from .numbers import duration, is_number, large
from .provenance import short_device, unfinished

#: Sequences come in whole batches, and a calibrated number of updates takes about the seconds it was made for.
SAME_SEQUENCES, SAME_SECONDS = 0.02, 0.05

_TIME_BUDGET = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)s")  # as the trainer writes it, whatever the unit it was given in


class Budgets(NamedTuple):
    """What the trained contenders of a board were trained for."""

    equal_sequences: bool
    equal_seconds: bool  #: given, or else taken, on one device with one number of threads
    sentence: str


def budgets(rows: Sequence[Row]) -> Budgets | None:
    """How the training budgets of a board's contenders compare; None unless two of them say theirs."""
    contenders = [row for row in rows if row.role not in ("floor", "ceiling")]
    trained = [row for row in contenders if any(_is_trained(record) for record in row.records)]
    known = [row for row in trained if all(_sequences(record) is not None for record in row.records)]
    if len(known) < 2:
        return None
    records = [record for row in known for record in row.records]
    sequences = [count for record in records if (count := _sequences(record)) is not None]
    times = [time for record in records if (time := _positive(training_of(record).get("seconds"))) is not None]
    seconds = times if len(times) == len(records) else []
    machines = {(training_of(r).get("device"), training_of(r).get("threads")) for r in records if _has_machine(r)}
    one_machine = len(machines) == 1 and all(_has_machine(record) for record in records)
    given = _time_given(records)
    equal_sequences = _alike(sequences, SAME_SEQUENCES)
    equal_seconds = one_machine and bool(seconds) and (given is not None or _alike(seconds, SAME_SECONDS))
    where = f" on {short_device(machines.pop()[0])}" if one_machine else ""
    who = "All trained contenders" if len(known) == len(trained) else "Contenders whose training is known"
    if equal_sequences:
        took = f", in {_span([duration(each) for each in sorted(seconds)])}{where}" if seconds else ""
        said = f"{who} saw {_counted(sequences)} each{took}."
    elif equal_seconds:
        said = f"{who} {_took(given, seconds, where)}: {_counted(sequences)}."
    else:
        spans = [f"{_span([large(each) for each in sorted(sequences)])} sequences"]
        if seconds:
            spans.append(_span([duration(each) for each in sorted(seconds)]) + (where or ", on different machines"))
        said = f"Contenders differ in training budget: {', '.join(spans)}."
    return Budgets(equal_sequences, equal_seconds, said)


def _is_trained(record: Record) -> bool:
    """Whether the weights are known to be trained, or may be: of models that ran elsewhere nobody here knows."""
    about = record.about
    if about.get("elsewhere") or about.get("in_memory"):
        return True
    return about.get("learns") == "weights" and bool(about.get("trained"))


def _sequences(record: Record) -> float | None:
    return _positive(training_of(record).get("sequences"))


def _positive(value: Any) -> float | None:
    return value if is_number(value) and value > 0 else None


def _has_machine(record: Record) -> bool:
    """Whether its device and threads are texts and numbers, as the trainer writes them."""
    training = training_of(record)
    device, threads = training.get("device"), training.get("threads")
    return isinstance(device, str) and bool(device) and (threads is None or type(threads) is int)


def _time_given(records: Sequence[Record]) -> float | None:
    """The seconds that all trainings were given and have come to the end of; None unless there is one such budget."""
    stated = {str(training_of(record).get("budget")) for record in records}
    if len(stated) > 1 or any(unfinished(training_of(record)) for record in records):
        return None
    match = _TIME_BUDGET.fullmatch(stated.pop())
    return float(match[1]) if match and float(match[1]) > 0 else None


def _took(given: float | None, seconds: Sequence[float], where: str) -> str:
    """The time of each: as given, with what it came to where that is something else."""
    came_to = _span([duration(each) for each in sorted(seconds)])
    if given is None:
        return f"were trained for {came_to} each{where}"
    if _alike([given, *seconds], SAME_SECONDS):
        return f"were trained for {duration(given)} each{where}"
    return f"were given {duration(given)} each{where}, and took {came_to}"


def _alike(values: Sequence[float], tolerance: float) -> bool:
    return max(values) <= min(values) * (1 + tolerance)


def _counted(sequences: Sequence[float]) -> str:
    return f"{_span([f'{each:,.0f}' for each in sorted(sequences)])} sequences"


def _span(texts: Sequence[str]) -> str:
    """``"2.8 min to 5 min"`` of texts in order."""
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"
