"""Which numbers make a motion that can be computed; whatever else is refused when the config is made."""

from __future__ import annotations

import math
from collections.abc import Iterable

from .motion import Law, Rotation, Spring

LEAST, MOST = 1e-6, 1e6  # beyond these, closed forms lose the digits that frames are made of


def check_numbers(config: object, *, positive: Iterable[str], not_negative: Iterable[str]) -> None:
    """Raise ValueError for a field of a config that is none, or is beyond `LEAST` and `MOST`."""
    for name in positive:
        value = getattr(config, name)
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value}")
        if not LEAST <= value <= MOST:
            raise ValueError(f"{name} must be from {LEAST:g} to {MOST:g}, got {value:g}")
    for name in not_negative:
        value = getattr(config, name)
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be finite and not negative, got {value}")
        if value > MOST:
            raise ValueError(f"{name} must be at most {MOST:g}, got {value:g}")


def check_steps(law: Law, dt: float | None) -> None:
    """Raise ValueError for a spring that does not oscillate, or for steps of Euler's scheme that are too large.

    dt  the step, seconds; None: the motion is exact
    """
    if isinstance(law, Spring) and law.damping**2 / 4 >= law.stiffness:
        most = 2 * math.sqrt(law.stiffness)
        raise ValueError(f"the spring must oscillate: damping {law.damping:g} must be below 2 √stiffness = {most:g}")
    if dt is None:
        return
    if isinstance(law, Spring) and not law.stable(dt):
        raise ValueError(f"Euler's scheme grows with dt {dt:g} and stiffness {law.stiffness:g}: take smaller steps")
    if isinstance(law, Spring) and not law.oscillates(dt):
        raise ValueError(
            f"Euler's scheme hardly swings with dt {dt:g}, stiffness {law.stiffness:g} and damping {law.damping:g}: "
            "take smaller steps"
        )
    if isinstance(law, Rotation) and law.w * dt >= math.pi:  # the sum of steps of whole turns has no bound
        raise ValueError(f"w0 {law.w:g} and dt {dt:g} are half a turn or more per step of Euler's scheme: lower dt")
