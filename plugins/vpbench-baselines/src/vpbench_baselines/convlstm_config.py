"""Options of ConvLSTM; the defaults are the sizes of OpenSTL's Moving MNIST settings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from vpbench.recurrent import Schedule


@dataclass(frozen=True, kw_only=True)
class Config:
    """Options of `convlstm`; `vpbench run --model convlstm --set key=value`."""

    hidden: int = 128  #: maps of each layer
    layers: int = 4
    kernel: int = 5  #: side of the convolutions, odd
    patch: int = 4  #: side of the squares that frames are cut into

    # --- training
    learning_rate: float = 5e-4  #: of Adam, after the warm-up
    train_horizon: int = 10  #: frames after the context in training; a model is asked for any number
    #: "scaled": the schedule of the published 125,000 updates, at the share of the way; "absolute": update by update
    schedule: Schedule = "scaled"
    #: torch.compile a step: slow to start, then faster on a GPU; the weights are the same
    compile: bool = field(default=False, metadata={"identity": False})

    def __post_init__(self) -> None:
        for name in ("hidden", "layers", "patch", "train_horizon"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {self.kernel}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive and finite, got {self.learning_rate}")


@dataclass(frozen=True, kw_only=True)
class LargeConfig(Config):
    """Options of `convlstm-large`."""

    hidden: int = 192


@dataclass(frozen=True, kw_only=True)
class SmallConfig(Config):
    """Options of `convlstm-small`."""

    hidden: int = 32
    learning_rate: float = 1e-3
