"""Options of `latentode-entangled`: the report's first latent ODE, section 5.3, Figure 6."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .limits import check_coordinates, check_steps
from .state_field import Activation, Structure


@dataclass(frozen=True)
class EntangledConfig:
    """Options of `latentode-entangled`; `vpbench run --model latentode-entangled --set key=value`."""

    latent: int = 16  #: numbers in the code of a frame: half of the state, the other half are velocities
    hidden: int = 128  #: width of the two hidden layers of the vector field
    #: "second-order": z' = v, v' = g(z, v); "first-order": (z, v)' = f(z, v), where nothing ties z' to v (the author's)
    structure: Structure = "second-order"
    activation: Activation = "tanh"  #: "relu" is the author's, whose field is not smooth
    spatial_encoding: bool = True  #: coordinate maps beside the frame
    spatial_frequencies: int = 0  #: octaves of sine and cosine coordinate maps beside the two linear ones

    frames_per_step: float = 2.0  #: frame periods per step of the solver
    frame_dt: float = 0.1  #: latent time that passes in one frame period

    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    latent_penalty: float = (
        1e-5  #: weight of the mean norm of the positions in the loss (not squared, as in the report)
    )
    train_targets: int = 8  #: frames decoded per clip and update
    train_past: bool = True  #: the two frames that the state is made of are among them
    output_bias: float = -5.0  #: where the last bias starts: a dark frame; the author's is 0, a grey one

    def __post_init__(self) -> None:
        for name in ("latent", "hidden", "train_targets"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        check_steps(frames_per_step=self.frames_per_step, frame_dt=self.frame_dt)
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive and finite, got {self.learning_rate}")
        for name in ("weight_decay", "latent_penalty"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be finite and not negative, got {getattr(self, name)}")
        if not math.isfinite(self.output_bias):
            raise ValueError(f"output_bias must be finite, got {self.output_bias}")
        check_coordinates(spatial_encoding=self.spatial_encoding, spatial_frequencies=self.spatial_frequencies)
