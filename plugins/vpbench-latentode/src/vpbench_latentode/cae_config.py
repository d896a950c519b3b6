"""Options of `cae`: the report's convolutional auto-encoder, section 5.2.2."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .limits import check_coordinates


@dataclass(frozen=True)
class CAEConfig:
    """Options of `cae`; `vpbench run --model cae --set key=value`."""

    latent: int = 10  #: numbers in the code of a frame
    spatial_encoding: bool = True  #: coordinate maps beside the frame; without them, the report says, it stays black
    spatial_frequencies: int = 0  #: octaves of sine and cosine coordinate maps beside the two linear ones

    learning_rate: float = 1e-3  #: of Adam; the report's is 1e-2 on balls
    latent_penalty: float = 0.0  #: weight of the mean norm of the code in the loss (not squared)
    train_frames: int = 1  #: frames of each clip to learn from in one update, drawn anew for each
    #: where the last bias starts. -5: a dark frame; the author's is 0, a grey one: most of what is learnt first is then
    #: to be dark, and on dim balls that goes so far that nothing more is learnt
    output_bias: float = -5.0

    def __post_init__(self) -> None:
        for name in ("latent", "train_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        check_coordinates(spatial_encoding=self.spatial_encoding, spatial_frequencies=self.spatial_frequencies)
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive and finite, got {self.learning_rate}")
        if not 0 <= self.latent_penalty < math.inf:
            raise ValueError(f"latent_penalty must be finite and not negative, got {self.latent_penalty}")
        if not math.isfinite(self.output_bias):
            raise ValueError(f"output_bias must be finite, got {self.output_bias}")
