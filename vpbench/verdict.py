"""A comparison of two methods written down: as a table and sentences for a terminal or Markdown, or as JSON.

What is compared is decided in `compare`; nothing here changes a number. Every sentence says what its interval covers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from .compare import Comparison, MetricDifference
from .comparison import count, few_clips, seed_of
from .errors import UsageError
from .methods import Method
from .protocols import Score
from .stats import ALPHA, POWER

_NONE = "–"


def render(comparison: Comparison, format: str = "text") -> str:
    """The comparison as "text" (a terminal), "markdown" or "json". Raises `UsageError` for another format."""
    if format not in RENDERERS:
        raise UsageError(f"no format {format!r}; there is: {', '.join(RENDERERS)}")
    return RENDERERS[format](comparison)


# ------------------------------------------------------------------------------------------------------------ in words


def in_words(comparison: Comparison) -> list[str]:
    """The verdict: on the first metric, on the others, and what the intervals cover."""
    first, *others = comparison.metrics
    sentences = [_on(first, comparison)]
    if others:
        sentences.append(_on_others(others, comparison))
    few = few_clips(comparison.clips)
    return [*sentences, _covered(comparison), *([few] if few else []), *_survivors(comparison)]


def _on(metric: MetricDifference, comparison: Comparison) -> str:
    """``"A is better than B in psnr-pooled by 1.69 dB (95 % interval 1.63 to 1.75, p < 0.001) on 1000 clips; ..."``"""
    a, b = comparison.a.label, comparison.b.label
    found = metric.difference
    # Told from the side of the larger score where they are known to differ, so that the difference is positive.
    sign = math.copysign(1.0, found.difference) if metric.significant else 1.0
    if metric.better:
        better, worse = (a, b) if metric.better == "a" else (b, a)
        said = f"{better} is better than {worse} in {metric.column.metric} by"
    elif metric.significant:
        more, less = (a, b) if sign > 0 else (b, a)
        said = f"{more} has more {metric.column.metric} than {less}, of which {metric.column.ideal:g} is ideal, by"
    else:
        said = f"No difference between {a} and {b} was found in {metric.column.metric}: {a} minus {b} is"
    p = f"p {_p(found.p)}"
    if len(comparison.metrics) > 1:
        p += f", or {_p(metric.p_adjusted, alone=True)} corrected for {len(comparison.metrics)} metrics"
    interval = _interval(metric, sign)
    interval = "no interval" if interval == _NONE else f"95 % interval {interval}"
    on = f"on {count(comparison.clips, 'clip')}"
    value = _with_unit(_number(sign * found.difference, metric), metric)
    return f"{said} {value} ({interval}, {p}) {on}; {_power(metric)}."


def _power(metric: MetricDifference) -> str:
    if math.isinf(metric.detectable):
        return "so few clips could not have shown any difference"
    if math.isnan(metric.detectable):
        return "what could have been found is unknown"
    return f"differences down to {_with_unit(f'{metric.detectable:.2g}', metric)} could have been found"


def _on_others(others: list[MetricDifference], comparison: Comparison) -> str:
    kinds = {
        f"{comparison.a.label} is better in": [each.column.metric for each in others if each.better == "a"],
        f"{comparison.b.label} is better in": [each.column.metric for each in others if each.better == "b"],
        "they differ, and neither is better, in": [
            each.column.metric for each in others if each.significant and not each.better
        ],
        "no difference was found in": [each.column.metric for each in others if not each.significant],
    }
    said = "; ".join(f"{kind} {', '.join(names)}" for kind, names in kinds.items() if names)
    return f"By the other metrics, corrected together: {said}."


def _covered(comparison: Comparison) -> str:
    """What the intervals are of, and what nobody knows."""
    a, b = comparison.a, comparison.b
    if comparison.level == "methods":
        seeds = " and ".join(f"{len(side.records)} of {side.label}" for side in (a, b))
        again = "training again" if a.learns or b.learns else "another seed"
        return f"The intervals cover the choice of clips and what {again} would give, from {seeds} seeds."
    if not a.learns and not b.learns:
        return "The intervals cover the choice of clips; neither is trained."
    alone = [side for side in (a, b) if len(side.records) == 1 and side.learns]
    if len(alone) == 2:
        unknown = "with one seed each, nothing is known about training again"
    elif alone:
        unknown = f"with one seed of {alone[0].label}, nothing is known about training it again"
    else:
        # A single record of what is not trained: whether another seed of it would differ, its record does not say.
        single = a if len(a.records) == 1 else b
        unknown = f"with one seed of {single.label}, what training again would give is not in them"
    return f"The intervals cover the choice of clips, for these weights; {unknown}."


def _survivors(comparison: Comparison) -> list[str]:
    """A mean over the seeds that got through is not one over all."""
    return [
        f"{count(len(side.without_result), 'more seed')} of {side.label} gave no result: all this is of those that did."
        for side in (comparison.a, comparison.b)
        if side.without_result
    ]


# --------------------------------------------------------------------------------------------------------------- table


def _text(comparison: Comparison) -> str:
    from tabulate import tabulate

    rows = [_row(metric, comparison) for metric in comparison.metrics]
    headers = [header for header, _ in rows[0]]
    right = ("left", *["right"] * 3, "left", "right", "right", "left", "right")
    align = ["right" if side == "right" else "left" for side in right]
    table = tabulate(
        [[cell for _, cell in row] for row in rows],
        headers=headers,
        tablefmt="simple",
        colalign=align,
        disable_numparse=True,
    )
    lines = [_title(comparison), "", table, "", *in_words(comparison)]
    if comparison.left_out:
        lines += ["", *(f"left out: {each}" for each in comparison.left_out)]
    return "".join(map(_printable, "\n".join(lines))) + "\n"


def _printable(character: str) -> str:
    """What a terminal would not obey."""
    return character if character.isprintable() or character == "\n" else "\ufffd"


def _markdown(comparison: Comparison) -> str:
    rows = [[(_escaped(key), _escaped(value)) for key, value in _row(m, comparison)] for m in comparison.metrics]
    lines = [f"**{_escaped(_title(comparison))}**", ""]
    lines += ["| " + " | ".join(key for key, _ in rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(value for _, value in row) + " |" for row in rows]
    lines += ["", *(f"{_escaped(sentence)}" for sentence in in_words(comparison))]
    if comparison.left_out:
        lines += ["", "Left out:", "", *(f"- {_escaped(each)}" for each in comparison.left_out)]
    return "\n".join(lines) + "\n"


def _title(comparison: Comparison) -> str:
    first = comparison.a.records[0]
    sides = " and ".join(f"{side.label}{_seeds(side)}" for side in (comparison.a, comparison.b))
    clips = count(comparison.clips, "clip")
    return f"{sides}: {first.dataset['name']} {first.slug}, {clips} of the {first.identity['split']} split"


def _seeds(side: Method) -> str:
    return f" ({len(side.records)} seeds)" if len(side.records) > 1 else ""


def _row(metric: MetricDifference, comparison: Comparison) -> list[tuple[str, str]]:
    """(header, cell) of each column; a model may be called as a column is."""
    unit = f" ({_plain(metric.column.unit)})" if metric.column.unit else ""
    better = {"a": comparison.a.label, "b": comparison.b.label, None: _NONE}[metric.better]
    found = metric.difference
    return [
        ("metric", f"{metric.column.metric}{unit} {metric.column.arrow}"),
        (comparison.a.label, _with_interval(metric.a, metric)),
        (comparison.b.label, _with_interval(metric.b, metric)),
        ("difference", _number(found.difference, metric)),
        ("95 % interval", _interval(metric)),
        ("p", _p(found.p, alone=True)),
        ("p (Holm)", _p(metric.p_adjusted, alone=True)),
        ("better", better),
        ("detectable", _NONE if not math.isfinite(metric.detectable) else f"{metric.detectable:.2g}"),
    ]


def _escaped(text: str) -> str:
    """Text of records in Markdown: it may not end a cell, nor start markup."""
    plain = _plain(text)
    for character in "\\`*_<>[]|":
        plain = plain.replace(character, f"\\{character}")
    return plain


def _plain(text: str) -> str:
    return "".join(map(_printable, " ".join(str(text).split())))


# ---------------------------------------------------------------------------------------------------------------- JSON


def _json(comparison: Comparison) -> str:
    first = comparison.a.records[0]
    document = {
        "a": _side(comparison.a),
        "b": _side(comparison.b),
        "dataset": dict(first.dataset),
        "split": first.identity["split"],
        "task": dict(first.task),
        "clips": comparison.clips,
        "level": comparison.level,
        "confidence": 1 - ALPHA,
        "alpha": ALPHA,
        "power": POWER,
        "metrics": [
            {
                "metric": metric.column.metric,
                "unit": metric.column.unit,
                "convention": metric.column.convention,
                "higher_is_better": metric.column.higher_is_better,
                "ideal": metric.column.ideal,
                "a": _numbers(metric.a._asdict()),
                "b": _numbers(metric.b._asdict()),
                "difference": _numbers(
                    {
                        "value": metric.difference.difference,
                        "low": metric.difference.low,
                        "high": metric.difference.high,
                    }
                ),
                "p": metric.difference.p,
                "p_adjusted": metric.p_adjusted,
                "better": metric.better,
                "detectable": _number_or_none(metric.detectable),
            }
            for metric in comparison.metrics
        ],
        "left_out": list(comparison.left_out),
        "verdict": in_words(comparison),
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _side(side: Method) -> dict[str, Any]:
    return {
        "label": side.label,
        "cells": [record.cell for record in side.records],
        "seeds": [seed_of(record) for record in side.records],
        "files": [str(record.path) for record in side.records if record.path],
        "without_result": [record.cell for record in side.without_result],
    }


def _numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    return {key: _number_or_none(value) for key, value in values.items()}


def _number_or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


# ------------------------------------------------------------------------------------------------------------- numbers


def _number(value: float, metric: MetricDifference) -> str:
    """To the decimals that the interval of the difference makes meaningful."""
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else f"{value}"
    half = (metric.difference.high - metric.difference.low) / 2
    if not math.isfinite(half) or half <= 0:
        return f"{value + 0.0:.4g}"  # + 0.0: no "-0"
    exponent = math.floor(math.log10(half))
    decimals = max(0, 1 - exponent)  # two digits of the half width
    return f"{round(value, decimals) + 0.0:.{decimals}f}" if decimals <= 8 else f"{value:.3g}"


def _interval(metric: MetricDifference, sign: float = 1.0) -> str:
    """``"0.785 to 0.807"`` of the difference, or of its opposite; a dash where nothing is known of other clips."""
    low, high = sorted((sign * metric.difference.low, sign * metric.difference.high))
    return _NONE if math.isnan(low) else f"{_number(low, metric)} to {_number(high, metric)}"


def _with_interval(score: Score, metric: MetricDifference) -> str:
    half = (score.high - score.low) / 2
    return f"{_number(score.value, metric)} ±{_number(half, metric)}" if half > 0 else _number(score.value, metric)


def _with_unit(number: str, metric: MetricDifference) -> str:
    return f"{number} {_plain(metric.column.unit)}" if metric.column.unit else number


def _p(p: float, *, alone: bool = False) -> str:
    """``"< 0.001"`` and ``"= 0.012"``; alone in a cell ``"0.012"``."""
    if p < 0.001:
        return "< 0.001"
    return f"{'' if alone else '= '}{p:.2g}"


#: Every form a comparison can be written in.
RENDERERS: Mapping[str, Callable[[Comparison], str]] = {"text": _text, "markdown": _markdown, "json": _json}
