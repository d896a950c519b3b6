"""What is asked of a model: which frames it is given, and the times it is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from .errors import UsageError

Kind = Literal["extrapolate", "fractional", "irregular", "interpolate", "swap", "reconstruct"]

#: Every kind of task, and what it asks.
KINDS: dict[Kind, str] = {
    "extrapolate": "the first frames are given, the frames after them are wanted",
    "fractional": "the first frames are given, frames between those after them are wanted",
    "irregular": "of every two frames one, drawn by lot, is given, then of every two one is wanted",
    "interpolate": "every second frame is given, those in between are wanted",
    "swap": "the first frames of two clips are given, one to move and one to look like: the frames after them are "
    "wanted with the motion of the one and the looks of the other",
    "reconstruct": "the first frames are given, and wanted",
}

#: A long rollout is also reported at these horizons, so that boards of different papers have a row in common.
REPORTING_HORIZONS = (1, 5, 10, 20, 40, 90)

#: The options of a task: of which kind, and what they are where nothing is said.
_OPTIONS: dict[str, tuple[Kind, float | int]] = {
    "offset": ("fractional", 0.5),
    "spacing": ("interpolate", 2),
    "seed": ("irregular", 0),
}

NEAREST = 0.001  # frame periods; what is nearer to a frame is not told from it

Id = TypeVar("Id")


@dataclass(frozen=True)
class Task:
    """A kind of question, see `KINDS`, for so many given and so many wanted frames. Raises UsageError.

    offset   of `fractional`: the wanted times are so far, .001 to .999, behind frames
    spacing  of `interpolate`: frame periods between two given frames. 2: every second frame of 2n - 1 is held out, as
             recordings allow; 1: the frames given are one period apart, those between them are at half times
    seed     of `irregular`: which frames are drawn follows from it and the clip
    """

    context: int
    horizon: int
    kind: Kind = "extrapolate"
    offset: float | None = None
    spacing: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"no kind of task {self.kind!r}; there are {', '.join(KINDS)}")
        for name in ("context", "horizon"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name, (kind, default) in _OPTIONS.items():
            value = getattr(self, name)
            if self.kind == kind and value is None:
                object.__setattr__(self, name, default)
            elif self.kind != kind and value is not None:
                raise UsageError(f"{name} is an option of the task {kind}, not of {self.kind}: leave it out")
        if self.offset is not None:
            apart = isinstance(self.offset, int | float) and NEAREST <= self.offset <= 1 - NEAREST
            if not apart:
                raise UsageError(
                    f"offset must be from {NEAREST} to {1 - NEAREST}, between two frames, got {self.offset!r}"
                )
            object.__setattr__(self, "offset", float(self.offset))
        if self.spacing is not None and (type(self.spacing) is not int or self.spacing not in (1, 2)):
            raise UsageError(f"spacing must be 1 or 2 frame periods, got {self.spacing!r}")
        if self.seed is not None and (type(self.seed) is not int or not 0 <= self.seed < 2**63):
            raise UsageError(f"the seed of a task must be between 0 and 2^63 - 1, got {self.seed!r}")
        if self.horizon != (fixed := fixed_horizon(self.kind, self.context)) and fixed is not None:
            raise UsageError(f"{self.kind} with {self.context} frames given has horizon {fixed}, got {self.horizon}")

    @property
    def n_frames(self) -> int:
        """Frames a clip must have."""
        if self.kind == "irregular":
            return 2 * (self.context + self.horizon)
        if self.kind == "interpolate":
            assert self.spacing is not None
            return self.spacing * (self.context - 1) + 1
        return self.context if self.kind == "reconstruct" else self.context + self.horizon

    @property
    def needs(self) -> frozenset[str]:
        """Capabilities a model must have for this task."""
        needed: dict[Kind, set[str]] = {
            "fractional": {"fractional"},
            "irregular": {"irregular-context"},
            "interpolate": {"before-context-end", "fractional" if self.spacing == 1 else "irregular-context"},
            "swap": {"swap"},
            "reconstruct": {"before-context-end"},
        }
        return frozenset(needed.get(self.kind, ()))

    @property
    def between_frames(self) -> bool:
        """Whether frames at other than whole times are wanted, which not every dataset has."""
        return self.kind == "fractional" or self.spacing == 1

    @property
    def grows(self) -> bool:
        """Whether a shorter horizon is the beginning of a longer one."""
        return fixed_horizon(self.kind, self.context) is None

    def shortened(self, horizon: int) -> Task:
        """The same with a horizon of at most so many frames; itself where the horizon is no choice."""
        if not self.grows or horizon >= self.horizon:
            return self
        return Task(self.context, horizon, self.kind, self.offset, self.spacing, self.seed)

    def rows(self, ids: Sequence[Id]) -> Sequence[Id]:
        """The clips that are asked about, each a row of the result, of those that a split has in order.

        Of a swap: those that move, which are the first of each pair of clips.
        """
        return ids[: len(ids) // 2 * 2 : 2] if self.kind == "swap" else ids

    def identity(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in _OPTIONS if getattr(self, name) is not None}
        return {"kind": self.kind, "context": self.context, "horizon": self.horizon, **own}

    def __str__(self) -> str:
        steps = f"{self.context}→{self.horizon}"
        return steps if self.kind == "extrapolate" else f"{self.kind} {steps}"


def fixed_horizon(kind: str, context: int) -> int | None:
    """The horizon where it follows from the number of frames given; None where it is a choice."""
    if kind == "interpolate":
        if context < 2:
            raise UsageError(f"between {context} frame there is nothing to interpolate: give a context of 2 or more")
        return context - 1
    return context if kind == "reconstruct" else None


def read_task(text: str) -> dict[str, Any]:
    """Kind and options of ``"irregular"`` or ``"interpolate,spacing=1"``, by the names of `Task`. Raises UsageError."""
    kind, *options = [part.strip() for part in text.split(",")]
    if kind not in KINDS:
        raise UsageError(f"no kind of task {kind!r}; there are {', '.join(get_args(Kind))}")
    found: dict[str, Any] = {"kind": kind}
    own = [name for name, (of, _) in _OPTIONS.items() if of == kind]
    for option in options:
        name, equals, value = (part.strip() for part in option.partition("="))
        if not equals or name not in own:
            known = ", ".join(f"{each}={_OPTIONS[each][1]}" for each in own) or "none"
            raise UsageError(f"the task {kind} has no option {option!r}; its options: {known}")
        if name in found:
            raise UsageError(f"the task {kind} is given {name} twice: leave out one")
        number = type(_OPTIONS[name][1])
        try:
            found[name] = number(value)
        except ValueError:
            raise UsageError(f"{name} of the task {kind} must be a number, got {value!r}") from None
        if isinstance(found[name], float) and not math.isfinite(found[name]):
            raise UsageError(f"{name} of the task {kind} must be finite, got {value}")
    return found


def reported(horizons: Iterable[int]) -> tuple[int, ...]:
    """Horizons that a run writes records for, ascending: those asked for, and the reporting ones below the largest."""
    asked = set(horizons)
    return tuple(sorted({*asked, *(h for h in REPORTING_HORIZONS if h < max(asked, default=0))}))
