"""Options of the PredRNN family; the defaults are the sizes of OpenSTL's and the authors' Moving MNIST settings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from vpbench.recurrent import Schedule


@dataclass(frozen=True, kw_only=True)
class _Config:
    """What the three have in common."""

    hidden: int = 128  #: maps of each state of each layer
    layers: int = 4
    kernel: int = 5  #: side of the convolutions, odd
    patch: int = 4  #: side of the squares that frames are cut into

    # --- training
    learning_rate: float  #: of Adam, after the warm-up
    train_horizon: int = 10  #: frames after the context in training; a model is asked for any number
    #: "scaled": the schedule of the published 80,000 updates, at the share of the way; "absolute": update by update
    schedule: Schedule = "scaled"
    #: learn from each clip backwards too, as the authors do and OpenSTL does not: updates take twice as long
    reverse_input: bool = False
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
class PredRNNConfig(_Config):
    """Options of `predrnn`; `vpbench run --model predrnn --set key=value`."""

    learning_rate: float = 3e-4


@dataclass(frozen=True, kw_only=True)
class PredRNNPPConfig(_Config):
    """Options of `predrnn-pp`."""

    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 2:
            raise ValueError(f"layers must be at least 2 (the highway is between the first two), got {self.layers}")


@dataclass(frozen=True, kw_only=True)
class PredRNNV2Config(_Config):
    """Options of `predrnn-v2`."""

    learning_rate: float = 1e-4
    decoupling: float = 0.1  #: weight of the decoupling loss, the β of the paper
    #: how fast the truth is shown more often while the context is read: 5,000 in OpenSTL, 2,500 in the authors' script
    alpha: float = 5000.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.decoupling < math.inf:
            raise ValueError(f"decoupling must be finite and not negative, got {self.decoupling}")
        if not 0 < self.alpha < math.inf:
            raise ValueError(f"alpha must be positive and finite, got {self.alpha}")


@dataclass(frozen=True, kw_only=True)
class SmallPredRNNConfig(PredRNNConfig):
    """Options of `predrnn-small`."""

    hidden: int = 24
    learning_rate: float = 1e-3


@dataclass(frozen=True, kw_only=True)
class SmallPredRNNPPConfig(PredRNNPPConfig):
    """Options of `predrnn-pp-small`."""

    hidden: int = 20
    learning_rate: float = 1e-3


@dataclass(frozen=True, kw_only=True)
class SmallPredRNNV2Config(PredRNNV2Config):
    """Options of `predrnn-v2-small`."""

    hidden: int = 24
    learning_rate: float = 1e-3
