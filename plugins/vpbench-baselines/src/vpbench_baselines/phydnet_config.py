"""Options of PhyDNet; the defaults are the sizes of the authors' code."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from vpbench.recurrent import Schedule

GROUPS = 16  # of the group norms of encoders and decoders


@dataclass(frozen=True, kw_only=True)
class Config:
    """Options of `phydnet`; `vpbench run --model phydnet --set key=value`."""

    width: int = 32  #: maps of the first convolutions; the state has twice as many
    hidden: int = 128  #: maps of the layers of the ConvLSTM branch, but for the last one, which has those of the state
    layers: int = 3  #: of the ConvLSTM branch
    derivatives: int = 7  #: side of the physical filters; there is one for each derivative they could stand for

    # --- training
    moments: float = 1.0  #: weight of the loss that makes filter j the derivative j
    learning_rate: float = 1e-3  #: of Adam, after the warm-up
    train_horizon: int = 10  #: frames after the context in training; a model is asked for any number
    #: "scaled": the schedule of the published 2,001 epochs, at the share of the way; "absolute": update by update
    schedule: Schedule = "scaled"
    #: torch.compile a step: slow to start, then faster on a GPU; the weights are the same
    compile: bool = field(default=False, metadata={"identity": False})

    def __post_init__(self) -> None:
        for name in ("hidden", "layers", "train_horizon"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.width < GROUPS or self.width % GROUPS:
            raise ValueError(f"width must be a multiple of {GROUPS} (groups of its norms), got {self.width}")
        if self.derivatives < 1 or self.derivatives % 2 == 0:
            raise ValueError(f"derivatives must be odd, got {self.derivatives}")
        if not 0 <= self.moments < math.inf:
            raise ValueError(f"moments must be finite and not negative, got {self.moments}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive and finite, got {self.learning_rate}")


@dataclass(frozen=True, kw_only=True)
class SmallConfig(Config):
    """Options of `phydnet-small`."""

    width: int = 16
    hidden: int = 64
