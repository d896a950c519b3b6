"""Options of `node`: the report's experiments on trajectories, sections 5.1.2 and 5.1.3."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from .limits import check_steps
from .state_field import Activation, Structure


@dataclass(frozen=True)
class NodeConfig:
    """Options of `node`; `vpbench run --model node --set key=value`."""

    #: "first-order": X' = f(X), one trajectory that does not cross itself (report, Figures 1 and 2);
    #: "second-order": X' = V, V' = g(X, V), many trajectories (report, equation 6)
    structure: Structure = "first-order"
    hidden: int = 100  #: width of the two hidden layers of f or g
    activation: Activation = "silu"  #: "relu" is the author's, whose field is not smooth
    #: the state at the first frame: "least-squares" of all frames that are known (of the context when it predicts, of
    #: the whole segment when it learns), or "first": the first frame, with the velocity to the second one
    initial: Literal["least-squares", "first"] = "least-squares"
    iterations: int = 12  #: Gauss-Newton steps of "least-squares" when it predicts
    frames_per_step: float = 20.0  #: frame periods per step of the solver
    frame_dt: float = 0.01  #: time of the field that passes in one frame period

    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    train_targets: int = 50  #: frames of a segment that count in one update, drawn anew for each
    train_iterations: int = 2  #: Gauss-Newton steps of "least-squares" per update

    def __post_init__(self) -> None:
        for name in ("hidden", "iterations", "train_targets", "train_iterations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        check_steps(frames_per_step=self.frames_per_step, frame_dt=self.frame_dt)
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive and finite, got {self.learning_rate}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be finite and not negative, got {self.weight_decay}")
