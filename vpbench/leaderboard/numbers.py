"""Numbers for people: a value with as many decimals as its interval deserves, and large ones short."""

from __future__ import annotations

import math
import sys
from typing import Any

from ..protocols import Score

DASH = "–"


def with_interval(score: Score | None, *, scale: float = 1.0) -> str:
    """``"14.32 ±0.05"``: half the width of the interval, and the value to the same decimals.

    The value alone where there is no interval (one clip) or one of no width (all clips alike).
    """
    if score is None or math.isnan(score.value):
        return DASH
    value, half = score.value * scale, (score.high - score.low) / 2 * scale
    if not math.isfinite(half) or half <= 0:
        return f"{value + 0.0:.4g}"  # + 0.0: no "-0"
    places = decimals(half)
    if places > 6:
        return f"{value:.3g} ±{half:.1g}"
    return f"{round(value, places) + 0.0:.{places}f} ±{half:.{places}f}"


def decimals(half: float) -> int:
    """Decimals that show two significant digits up to 3.5, else one: the rule of the Particle Data Group."""
    exponent = math.floor(math.log10(half))
    return max(0, -exponent + (1 if half / 10**exponent < 3.55 else 0))


def large(value: Any, *, digits: int = 3) -> str:
    """``"1.83 M"``."""
    if not is_number(value):
        return DASH
    rounded = _rounded(value, digits)  # before the unit is chosen: 999,999 is 1 M, not 1000 k
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(rounded) >= size:
            return f"{rounded / size:g} {unit}"
    return f"{rounded:g}"


def duration(seconds: Any) -> str:
    """``"1.3 h"``."""
    if is_number(seconds):
        for unit, size in (("h", 3600), ("min", 60), ("s", 1)):
            if seconds >= size or unit == "s":
                return f"{_rounded(seconds / size, 2):g} {unit}"
    return ""


def is_number(value: Any) -> bool:
    """Whether there is a number to show: of costs a record may say anything."""
    return type(value) in (int, float) and -sys.float_info.max <= value <= sys.float_info.max


def _rounded(value: float, digits: int) -> float:
    """To significant digits."""
    return float(f"{value:.{digits}g}")
