"""Every choice the report leaves open, as one frozen config; the defaults are the report's final model (section 6)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from .limits import check_coordinates, check_steps

#: Of options that came later: records of before say nothing of them, and keep their identity.
_LATER: dict[str, object] = {"identity": "unless default"}

ADAPTIVE_SOLVERS = ("dopri5", "dopri8", "bosh3", "adaptive_heun")
FIXED_SOLVERS = ("euler", "midpoint", "rk4")

#: Weights of the losses beside squared error and latent norm.
EXTRA_LOSSES = tuple(
    f"{loss}_weight" for loss in ("permutation", "mae", "perceptual", "frame_critic", "sequence_critic")
)


@dataclass(frozen=True)
class Config:
    """Options of `latentode`; `vpbench run --model latentode --set key=value`."""

    # --- sizes of the latent code (Table 1: 96 and 64; Table 2: 160 = 96 + 64)
    dynamics: int = 96  #: dynamics numbers the decoder sees
    appearance: int = 64  #: appearance numbers the decoder sees, constant in time; 0: it sees the dynamics alone
    hidden: int = 256  #: width of the vector field's two hidden layers
    #: maps of the encoder's first stage and the decoder's last but one; the tables' other widths go with it
    width: int = field(default=64, metadata=_LATER)

    # --- readings of the report
    #: "position": the decoder sees the position half of a state of 2 x dynamics numbers (the author's code);
    #: "full": it sees the whole state, which then has dynamics numbers, half of them velocities (Table 1, literally)
    dyn_readout: Literal["position", "full"] = "position"
    #: "report-table": 4x4 up-convolution to 32 maps, ReLU, batch norm, then 1x1 (Table 2, but its padding 1 is 0);
    #: "author": 4x4 up-convolution straight to the frame (the author's code)
    decoder_tail: Literal["report-table", "author"] = "report-table"
    #: where the encoded state sits in time: at the last context frame, or one frame later (the author's code)
    anchor: Literal["last-input", "first-output"] = "last-input"
    spatial_frequencies: int = 0  #: octaves of sine and cosine coordinate maps beside the two linear ones

    #: whether the encoder sees the two linear coordinate maps; without, where things are is told by borders alone
    spatial_encoding: bool = field(default=True, metadata=_LATER)

    # --- dynamics
    #: "ode": the state is moved by a vector field; "mlp": a network of as many parameters says what the decoder sees of
    #: it from the encoded state and the time, with no ODE (an ablation)
    transport: Literal["ode", "mlp"] = field(default="ode", metadata=_LATER)
    #: "fixed": one appearance for all times; "ode": an ODE of its own moves it, at first not at all (report, 6.4.1)
    appearance_dynamics: Literal["fixed", "ode"] = field(default="fixed", metadata=_LATER)
    #: "second-order": x' = v, v' = g(x, v);
    #: "first-order": (x, v)' = f(x, v), where nothing ties x' to v (the author's code)
    structure: Literal["second-order", "first-order"] = "second-order"
    activation: Literal["tanh", "softplus", "celu", "silu", "relu"] = "tanh"
    #: "rk4-hermite": fixed steps on a grid tied to the anchor, cubic Hermite in between; others: torchdiffeq's
    solver: Literal["rk4-hermite", "dopri5", "dopri8", "bosh3", "adaptive_heun", "euler", "midpoint", "rk4"] = (
        "rk4-hermite"
    )
    frames_per_step: float = 2.0  #: frame periods per step of a fixed-step solver
    rtol: float = 1e-3  #: of the adaptive solvers
    atol: float = 1e-3
    frame_dt: float = 0.1  #: latent time that passes in one frame period

    # --- training
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    latent_penalty: float = 1e-5  #: weight of the mean norm of the position latent (not squared, as in the report)
    train_targets: int = 4  #: frames decoded per clip and update
    train_past: bool = True  #: also decode context frames, which pins the autoencoder down and backward times too
    target_emphasis: float = 1.0  #: step k is drawn with weight |k|^-emphasis: the near future is what can be known
    output_bias: float = -3.0  #: first bias before the sigmoid: a dark frame instead of a grey one to start from

    # --- losses that the report proposes beside the squared error, or in its place (6.4); 0: left out
    mse_weight: float = field(default=1.0, metadata=_LATER)  #: the squared error itself
    permutation_weight: float = field(default=0.0, metadata=_LATER)  #: appearance of shuffled context frames (eq. 8)
    mae_weight: float = field(default=0.0, metadata=_LATER)  #: mean absolute error; beside mse, from 0 to this
    perceptual_weight: float = field(default=0.0, metadata=_LATER)  #: difference in features of a network for digits
    frame_critic_weight: float = field(default=0.0, metadata=_LATER)  #: a critic that sees single frames
    sequence_critic_weight: float = field(default=0.0, metadata=_LATER)  #: a critic that sees the frames of a clip
    critic_learning_rate: float = field(default=5e-4, metadata=_LATER)  #: of both critics (the author's)

    def __post_init__(self) -> None:
        for name in ("dynamics", "hidden", "train_targets"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        check_steps(frames_per_step=self.frames_per_step, frame_dt=self.frame_dt)
        for name in ("rtol", "atol", "learning_rate", "critic_learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)}")
        if self.appearance < 0:
            raise ValueError(f"appearance must not be negative, got {self.appearance}")
        if self.appearance == 0 and (self.appearance_dynamics == "ode" or self.permutation_weight):
            raise ValueError("appearance=0 leaves nothing for appearance_dynamics=ode and permutation_weight")
        check_coordinates(spatial_encoding=self.spatial_encoding, spatial_frequencies=self.spatial_frequencies)
        for name in ("weight_decay", "latent_penalty", "mse_weight", *EXTRA_LOSSES):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be finite and not negative, got {getattr(self, name)}")
        if not (self.mse_weight or self.mae_weight or self.perceptual_weight):
            raise ValueError("mse_weight=0 leaves nothing to learn frames from: give mae_weight or perceptual_weight")
        for name in ("target_emphasis", "output_bias"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be finite, got {getattr(self, name)}")
        if self.dyn_readout == "full" and self.dynamics % 2:
            raise ValueError(f"dyn_readout=full halves dynamics, so it must be even, got {self.dynamics}")
        if self.width < 2 or self.width % 2:
            raise ValueError(f"width must be even (the decoder's last maps are half of it), got {self.width}")

    @property
    def state(self) -> int:
        """Numbers in the ODE state: positions and velocities."""
        return 2 * self.dynamics if self.dyn_readout == "position" else self.dynamics


@dataclass(frozen=True)
class SmallConfig(Config):
    """Options of `latentode-small`: as many multiply-adds as the other small models, on frames of 32×32."""

    dynamics: int = 48
    appearance: int = 32
    hidden: int = 128
    width: int = field(default=60, metadata=_LATER)
