"""What a row was made with and how, in words: training, speed, what it is told, and why others have no result."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..comparison import Board, Row, count, listed, settings, training_of
from ..results import Record
from .numbers import DASH, duration, is_number, large


def subtitle(board: Board) -> str:
    """Clips, split and dataset of a board."""
    clips = f"{count(board.n, 'clip')} of the " if board.rows else ""
    version = f"version {board.dataset['version']}"
    config = settings(board.dataset["config"])
    fingerprint = f"fingerprint {str(board.dataset['fingerprint'])[:12]}"
    return f"{clips}{board.split} split; {', '.join(part for part in (version, config, fingerprint) if part)}."


def task_name(task: Mapping[str, Any]) -> str:
    """``"10→90"``: context and horizon, and whatever else a task holds."""
    steps = "→".join(str(task[key]) for key in ("context", "horizon") if key in task)
    rest = settings({key: value for key, value in task.items() if key not in ("kind", "context", "horizon")})
    kind = "" if task["kind"] == "extrapolate" and steps else str(task["kind"])
    return " ".join(part for part in (kind, steps, rest) if part)


def typical(row: Row) -> Record:
    """The record of a row; of several seeds the first, with the mean over them of what took time."""
    if not row.members:
        return row.record
    records = row.records
    cost, about = dict(row.record.cost), dict(row.record.about)
    speeds = [record.cost.get("frames_per_s") for record in records]
    if len({(rollout(record), device(record)) for record in records}) == 1:
        cost["frames_per_s"] = _mean(speeds)
    seconds = _mean([training_of(record).get("seconds") for record in records])
    if seconds is not None:
        about["training"] = {**training_of(row.record), "seconds": seconds}
    return replace(row.record, cost=cost, about=about)


def _mean(values: Sequence[Any]) -> float | None:
    numbers = [value for value in values if is_number(value)]
    return sum(numbers) / len(numbers) if numbers and len(numbers) == len(values) else None


# ------------------------------------------------------------------------------------------------------------ training


def training_of_row(row: Row) -> str:
    """How much training a row has seen, per seed where it has several."""
    text = training(typical(row))
    return text if text == DASH or not row.members else f"{len(row.members)} × ({text})"


def training(record: Record) -> str:
    """How much training the weights have seen, where there is anything to learn."""
    about = record.about
    if about.get("elsewhere") or (about.get("in_memory") and record.cost.get("parameters")):
        return "not known"
    if about.get("learns") == "statistics":
        took = duration(record.cost.get("fit_s"))
        return f"fitted in {took}" if took else "fitted"
    if about.get("learns") != "weights":
        return DASH
    if not about.get("trained"):
        return "untrained"
    budget = training_of(record)
    if isinstance(origin := budget.get("imported_from"), Mapping):
        return f"imported: {' '.join(str(origin.get('source') or 'source unknown').split())}"
    sequences = f"{large(budget['sequences'])} sequences" if "sequences" in budget else ""
    if stopped := unfinished(budget):
        done, total = stopped
        sequences = f"{sequences} ({done:,} of {total:,} updates)".strip()
    parts = (sequences, duration(budget.get("seconds")), short_device(budget.get("device")))
    return ", ".join(part for part in parts if part) or "trained"


def unfinished(training: Mapping[str, Any]) -> tuple[int, int] | None:
    """The updates done and those of the whole training, where it has not come to its end."""
    done, total = training.get("updates"), training.get("total_updates")
    if type(done) is not int or type(total) is not int or not is_number(total):
        return None
    return (done, total) if 0 <= done < total else None


def training_details(row: Row) -> str:
    """``"5,000 updates of 32 sequences, bfloat16, 2 threads, seed 0"``: what the column of the training leaves out."""
    training = training_of(row.record)
    updates, batch, threads = (training.get(key) for key in ("updates", "batch_size", "threads"))
    parts = []
    if type(updates) is int and is_number(updates):
        parts.append(f"{updates:,} updates" + (f" of {batch} sequences" if type(batch) is int else ""))
    parts += [precision] if isinstance(precision := training.get("precision"), str) else []
    parts += [count(threads, "thread")] if type(threads) is int else []
    seeds = [str(seed) for record in row.records if type(seed := training_of(record).get("seed")) is int]
    parts += [f"seed{'' if len(seeds) == 1 else 's'} {', '.join(seeds)}"] if seeds else []
    return ", ".join(parts)


# --------------------------------------------------------------------------------------------------------------- speed


def speeds(records: Sequence[Record]) -> tuple[list[str], list[str]]:
    """The cell of each record with its speed, and the sentence on how these were measured, if there are any.

    One rollout serves several horizons, so a speed is that of its rollout, whatever the horizon of the board. What the
    records do not share is said beside the speed.
    """
    told = [large(record.cost.get("frames_per_s"), digits=2) for record in records]
    timed = [record for record, speed in zip(records, told, strict=True) if speed != DASH]
    if not timed:
        return told, []
    rollouts, machines = {rollout(record) for record in timed}, {device(record) for record in timed}
    for index, record in enumerate(records):
        if told[index] == DASH:
            continue
        if len(rollouts) > 1:
            told[index] += f" ({rollout(record) or 'rollout unknown'})"
        if len(machines) > 1:
            told[index] += f", {device(record)}"
    sentence = "frames/s over the whole rollout"
    if len(rollouts) > 1:
        sentence += ", whose length is named,"
    elif length := rollouts.pop():
        sentence += f" ({length})"
    sentence += f" on {machines.pop()}." if len(machines) == 1 else " on the device named."
    return told, [sentence]


def rollout(record: Record) -> str:
    """``"90 steps, batches of 16"``: what a speed was measured on, as far as the record says."""
    steps, batch = (record.cost.get(key) for key in ("rollout_horizon", "batch_size"))
    parts = [count(steps, "step")] if type(steps) is int else []
    return ", ".join([*parts, f"batches of {batch}"] if type(batch) is int else parts)


def device(record: Record) -> str:
    """What predicted, for people; on a CPU the number of threads belongs to a speed."""
    machine = record.machine
    name = short_device(full_device(machine))
    threads = machine.get("threads")
    if machine.get("device") == "cpu" and threads is not None:
        return f"{name} ({threads} thread{'' if threads == 1 else 's'})"
    return name


def full_device(machine: Mapping[str, Any]) -> str:
    """The device as the machine names it."""
    return str(machine.get("device_name") or machine.get("device") or "unknown device")


def short_device(name: Any) -> str:
    """``"Intel Xeon"`` of "Intel(R) Xeon(R) Processor @ 2.20GHz"."""
    full = " ".join(str(name or "").split())
    return " ".join(re.sub(r"\((R|TM)\)|\b(CPU|Processor)\b|@.*", " ", full, flags=re.IGNORECASE).split()) or full


# --------------------------------------------------------------------------------------------------------------- notes


def notes(rows: Sequence[Row]) -> tuple[list[list[int]], list[str], list[str]]:
    """The numbers of each row's footnotes, the footnotes, and what holds for all rows and so is said once."""
    said = [
        list(
            dict.fromkeys(
                text
                for record in row.records
                for key in ("assumptions", "caveat")
                if (text := sentence(record.about.get(key)))
            )
        )
        for row in rows
    ]
    shared = [text for text in said[0] if all(text in texts for texts in said)] if len(rows) > 1 else []
    own = [[text for text in texts if text not in shared] for texts in said]
    footnotes = list(dict.fromkeys(text for texts in own for text in texts))
    return [[footnotes.index(text) + 1 for text in texts] for texts in own], footnotes, shared


def sentence(text: Any) -> str:
    """With a capital and a full stop; "" of nothing."""
    plain = " ".join(str(text or "").split()).rstrip(".")
    return f"{plain[:1].upper()}{plain[1:]}." if plain else ""


def not_computed(rows: Sequence[Row]) -> list[str]:
    """Metrics that records give a reason for not having, rows with the same reason together."""
    said: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        reasons = row.record.about.get("not_computed")
        for metric, reason in sorted(reasons.items()) if isinstance(reasons, Mapping) else ():
            said.setdefault((str(metric), " ".join(str(reason).split())), []).append(row.label)
    return [
        f"{metric} not computed{'' if len(labels) == len(rows) else f' for {listed(labels)}'}: {reason.rstrip('.')}."
        for (metric, reason), labels in said.items()
    ]


def why_not(label: str, record: Record) -> str:
    """Why a cell has no result."""
    reason = record.reason or {}
    message = " ".join(str(reason.get("message", "")).split())
    return f"{label}: {record.status} in {reason.get('phase')} ({reason.get('type')}): {message}"
