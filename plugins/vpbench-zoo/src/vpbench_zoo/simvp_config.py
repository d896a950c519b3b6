"""Options of `simvp`, `simvp-gsta`, `tau` and of their small ones; the defaults are OpenSTL's for Moving MNIST.

hid_s, hid_t, n_s and n_t are the names of the papers: widths and numbers of layers, of the coders (spatial) and of the
translator (temporal).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

Edition = Literal["openstl", "original"]


@dataclass(frozen=True, kw_only=True)
class _Config:
    """What the three have in common."""

    #: frames that one pass takes and gives; 0: as many as the context has, as published. More than that: the context is
    #: filled up with its last frame; fewer: it is cut to its last frames
    block: int = 0
    hid_s: int = 64  #: maps per frame in encoder and decoder
    hid_t: int = 512  #: maps in the translator, which has all frames of a block as one stack of maps
    n_s: int = 4  #: blocks of the encoder, and of the decoder: every other one halves, or doubles, the sides; even
    n_t: int = 8  #: blocks of the translator
    learning_rate: float = 1e-3  #: of Adam, after the warm-up
    #: torch.compile a pass: slow to start, then faster on a GPU; the weights are the same
    compile: bool = field(default=False, metadata={"identity": False})

    def __post_init__(self) -> None:
        if self.block < 0:
            raise ValueError(f"block must be a number of frames, or 0 for as many as the context has, got {self.block}")
        for name in ("hid_s", "n_s"):
            if getattr(self, name) < 2 or getattr(self, name) % 2:
                raise ValueError(f"{name} must be even and at least 2, got {getattr(self, name)}")
        if self.n_t < 2:
            raise ValueError(f"n_t must be at least 2 (the first block and the last one), got {self.n_t}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive and finite, got {self.learning_rate}")


@dataclass(frozen=True, kw_only=True)
class IncepUConfig(_Config):
    """Options of `simvp`; `vpbench run --model simvp --set key=value`."""

    groups: int = 8  #: of the grouped convolutions, whose kernels are 3, 5, 7 and 11
    #: "openstl": sub-pixel convolutions, SiLU, skip added (58.0 M parameters); "original": transposed convolutions,
    #: leaky ReLU, skip concatenated, as the authors' first code has it (with hid_t=256)
    edition: Edition = "openstl"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.groups < 1:
            raise ValueError(f"groups must be at least 1, got {self.groups}")
        if self.hid_s % self.groups:
            raise ValueError(f"hid_s must be a multiple of groups={self.groups}, got {self.hid_s}")
        if self.hid_t < 1 or self.hid_t % (2 * self.groups):
            raise ValueError(f"hid_t must be a multiple of 2·groups={2 * self.groups}, got {self.hid_t}")


@dataclass(frozen=True, kw_only=True)
class GSTAConfig(_Config):
    """Options of `simvp-gsta`."""

    mlp_ratio: float = 8.0  #: maps between the two 1×1 convolutions of a block, as a multiple of those around them

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hid_t < 4:
            raise ValueError(f"hid_t must be at least 4, got {self.hid_t}")
        if not 1 <= self.mlp_ratio < math.inf:
            raise ValueError(f"mlp_ratio must be at least 1 and finite, got {self.mlp_ratio}")


@dataclass(frozen=True, kw_only=True)
class TAUConfig(GSTAConfig):
    """Options of `tau`."""

    alpha: float = 0.1  #: weight of the divergence of frame differences in the loss
    temperature: float = 0.1  #: what differences are divided by before the softmax

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.alpha < math.inf:
            raise ValueError(f"alpha must be finite and not negative, got {self.alpha}")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be positive and finite, got {self.temperature}")
        if self.block == 1:
            raise ValueError("block must be at least 2, or 0: the loss is of differences between the frames of a block")


@dataclass(frozen=True, kw_only=True)
class SmallIncepUConfig(IncepUConfig):
    """Options of `simvp-small`."""

    hid_s: int = 48
    hid_t: int = 112
    n_s: int = 2
    n_t: int = 4


@dataclass(frozen=True, kw_only=True)
class SmallGSTAConfig(GSTAConfig):
    """Options of `simvp-gsta-small`."""

    hid_s: int = 32
    hid_t: int = 192
    n_s: int = 2
    n_t: int = 7
    mlp_ratio: float = 2.0


@dataclass(frozen=True, kw_only=True)
class SmallTAUConfig(TAUConfig):
    """Options of `tau-small`."""

    hid_s: int = 32
    hid_t: int = 192
    n_s: int = 2
    n_t: int = 7
    mlp_ratio: float = 2.0
