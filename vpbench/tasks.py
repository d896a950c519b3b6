"""What is asked of a model: how many frames it is given, and the times it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from .errors import UsageError

#: A long rollout is also reported at these horizons, so that boards of different papers have a row in common.
REPORTING_HORIZONS = (1, 5, 10, 20, 40, 90)


@dataclass(frozen=True)
class Task:
    """`extrapolate`: the first `context` frames are given, the `horizon` frames after them are wanted."""

    context: int
    horizon: int
    kind: Literal["extrapolate"] = "extrapolate"

    def __post_init__(self) -> None:
        for name in ("context", "horizon"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def n_frames(self) -> int:
        """Frames a clip must have."""
        return self.context + self.horizon

    @property
    def needs(self) -> frozenset[str]:
        """Capabilities a model must have for this task."""
        return frozenset()

    def identity(self) -> dict[str, Any]:
        return {"kind": self.kind, "context": self.context, "horizon": self.horizon}

    def __str__(self) -> str:
        return f"{self.context}→{self.horizon}"


def reported(horizons: Iterable[int]) -> tuple[int, ...]:
    """Horizons that a run writes records for, ascending: those asked for, and the reporting ones below the largest."""
    asked = set(horizons)
    return tuple(sorted({*asked, *(h for h in REPORTING_HORIZONS if h < max(asked, default=0))}))
