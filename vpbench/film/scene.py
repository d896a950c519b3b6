"""What a picture is of: one clip, and what models made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UsageError


@dataclass(frozen=True)
class Take:
    """What one model predicted."""

    name: str
    detail: str  #: a few words below its name
    predicted: np.ndarray  #: uint8 (Tt, C, H, W)


@dataclass(frozen=True)
class Scene:
    """One clip and its takes; what comes after the given frames need not be known.

    Raises UsageError for frames that no picture can show.
    """

    title: str
    context: int  #: number of frames that were given
    truth: np.ndarray  #: uint8 (Tc + Tt, C, H, W); (Tc, C, H, W) where nobody knows what comes
    takes: Sequence[Take]

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise UsageError(f"pictures are grey or RGB, the frames of {self.title} have {self.channels} channels")
        if not self.known and not self.takes:
            raise ValueError(f"{self.title}: neither what comes nor a prediction")
        for take in self.takes:
            if take.predicted.shape != (self.horizon, *self.truth.shape[1:]):
                raise ValueError(f"{take.name}: predicted {take.predicted.shape}, truth {self.truth.shape}")

    @property
    def known(self) -> bool:
        """Whether the true frames after the given ones are there."""
        return len(self.truth) > self.context

    @property
    def horizon(self) -> int:
        """Number of frames predicted."""
        return len(self.truth) - self.context if self.known else len(self.takes[0].predicted)

    @property
    def channels(self) -> int:
        return int(self.truth.shape[1])

    def frame(self, step: int) -> np.ndarray:
        """The true frame of a step, uint8 (C, H, W): 0 is the last one given, 1 the first one to predict."""
        return self.truth[self.context - 1 + step]
