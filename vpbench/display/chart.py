"""A small chart of one metric, step by step: one row of a board against floors, ceilings and the others, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from ..comparison import Board, Column, Curve, Row
from ..leaderboard import headers

_WIDTH, _HEIGHT = 560, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 152, 26, 34
_LINE = 14  # between two labels, pixels
_OTHERS = 4  # contenders beside the own row, the best ones; a small chart of all is none

#: Legible on white and on black: stroke, width and dashes.
_OWN = ("#3b82f6", 2.6, "")
_STYLES = {
    "contender": ("#22a06b", 1.5, ""),
    "floor": ("#8b919c", 1.3, ""),
    "ceiling": ("#e08a1e", 1.5, "5 3"),
}


@dataclass(frozen=True)
class _Line:
    label: str
    role: str
    own: bool
    curve: Curve

    @property
    def style(self) -> tuple[str, float, str]:
        return _OWN if self.own else _STYLES.get(self.role, _STYLES["contender"])

    @property
    def end(self) -> float:
        """The last value there is."""
        there = self.curve.values[np.isfinite(self.curve.values)]
        return float(there[-1])


@dataclass(frozen=True)
class _Scale:
    """Where steps and values are, in pixels."""

    steps: int
    low: float
    high: float

    def x(self, step: int) -> float:
        return _LEFT + (step - 1) / (self.steps - 1) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _TOP + (self.high - value) / (self.high - self.low) * (_HEIGHT - _TOP - _BOTTOM)


def chart(board: Board, own: Row, column: Column) -> str:
    """The SVG; "" where there is no curve of two steps or more to draw."""
    lines = _lines(board, own, column)
    if not any(line.own for line in lines):
        return ""
    steps = max(len(line.curve.values) for line in lines)
    values = np.concatenate([line.curve.values for line in lines])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    scale = _Scale(steps, low - room, high + room)
    (title,) = headers([column])
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)} at each step" '
        f'style="width:100%;max-width:{_WIDTH}px;height:auto" font-size="11" fill="currentColor">',
        f'<text x="{_LEFT}" y="14" font-weight="600">{escape(title)} at each step</text>',
        *_axes(scale),
        *(part for line in lines for part in _drawn(line, scale)),
        *_labels(lines, scale),
        "</svg>",
    ]
    return "".join(parts)


def _lines(board: Board, own: Row, column: Column) -> list[_Line]:
    """Those that have a curve; the own one last, so that it lies on top."""
    contenders = [row for row in board.rows if row.role == "contender" and row is not own][:_OTHERS]
    rows = [row for row in board.rows if row.role != "contender" and row is not own] + contenders + [own]
    lines = []
    for row in rows:
        curve = row.curve(column, board.n)
        if curve is not None and len(curve.values) > 1 and np.isfinite(curve.values).any():
            lines.append(_Line(row.label, row.role, row is own, curve))
    return lines


def _axes(scale: _Scale) -> list[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for value in _ticks(scale.low, scale.high):
        y = scale.y(value)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="currentColor" stroke-opacity=".14"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" opacity=".75">{value:g}</text>')
    for step in _marked_steps(scale.steps):
        place = f'x="{scale.x(step):.1f}" y="{bottom + 15}"'
        parts.append(f'<text {place} text-anchor="middle" opacity=".75">{step}</text>')
    parts.append(f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 4}" text-anchor="middle" opacity=".75">step</text>')
    parts.append(f'<path d="M{_LEFT} {bottom}H{right}" stroke="currentColor" stroke-opacity=".45"/>')
    return parts


def _drawn(line: _Line, scale: _Scale) -> list[str]:
    colour, width, dashes = line.style
    parts = []
    if line.own and np.isfinite(line.curve.stderr).any():
        parts += [
            f'<path d="{_band(stretch, line.curve, scale)}" fill="{colour}" fill-opacity=".18"/>'
            for stretch in _stretches(line.curve.values + line.curve.stderr)
        ]
    path = "".join(
        "M" + "L".join(f"{scale.x(place + 1):.1f} {scale.y(line.curve.values[place]):.1f}" for place in stretch)
        for stretch in _stretches(line.curve.values)
    )
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>')
    return parts


def _band(stretch: Sequence[int], curve: Curve, scale: _Scale) -> str:
    """1.96 standard errors to both sides, cut at the frame of the chart."""
    half = 1.96 * curve.stderr
    upper = [(place, min(curve.values[place] + half[place], scale.high)) for place in stretch]
    lower = [(place, max(curve.values[place] - half[place], scale.low)) for place in reversed(stretch)]
    return "M" + "L".join(f"{scale.x(place + 1):.1f} {scale.y(value):.1f}" for place, value in [*upper, *lower]) + "Z"


def _stretches(values: np.ndarray) -> list[list[int]]:
    """Places of finite values, those without a gap together."""
    stretches: list[list[int]] = []
    for place in np.flatnonzero(np.isfinite(values)).tolist():
        if stretches and stretches[-1][-1] == place - 1:
            stretches[-1].append(place)
        else:
            stretches.append([place])
    return stretches


def _labels(lines: Sequence[_Line], scale: _Scale) -> list[str]:
    """A name at the end of each line, moved down where two would overlap, and all of them up again where that is too
    far."""
    ordered = sorted(lines, key=lambda line: -line.end)
    places: list[float] = []
    for line in ordered:
        wanted = scale.y(line.end)
        places.append(max(wanted, places[-1] + _LINE) if places else wanted)
    lowest = _HEIGHT - _BOTTOM + 4.0
    for index in reversed(range(len(places))):
        places[index] = min(places[index], lowest)
        lowest = places[index] - _LINE
    x = _WIDTH - _RIGHT
    parts = []
    for line, y in zip(ordered, places, strict=True):
        name = line.label if len(line.label) <= 22 else f"{line.label[:21]}…"
        weight = ' font-weight="600"' if line.own else ""
        leader = f"M{x + 2} {scale.y(line.end):.1f}L{x + 10} {y:.1f}"
        parts.append(f'<path d="{leader}" fill="none" stroke="{line.style[0]}" stroke-width="1"/>')
        parts.append(f'<text x="{x + 14}" y="{y + 4:.1f}"{weight}>{escape(name)}</text>')
    return parts


def _ticks(low: float, high: float) -> list[float]:
    """About five round values between two numbers."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    return [round(step * k, 12) + 0.0 for k in range(first, math.floor(high / step) + 1)]


def _marked_steps(steps: int) -> list[int]:
    """1, the last, and some round ones between that leave room for both."""
    apart = next(k for k in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, steps) if steps <= 10 * k or k == steps)
    return [1, *(step for step in range(apart, steps, apart) if min(step - 1, steps - step) > apart / 2), steps]
