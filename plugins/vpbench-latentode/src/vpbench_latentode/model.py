"""`latentode`: encode the context into state and appearance, move the state by an ODE, decode (report, Figure 8)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench import Context, TrainBatch, TrainTask
from vpbench.errors import ModelFailed, Refused

from .config import ADAPTIVE_SOLVERS, Config
from .network import SMALLEST_SIDE, Decoder, Encoder, VectorField
from .ode import Field, rk4_hermite, torchdiffeq_solve

DECODE_CHUNK = 256  # frames decoded at once: large enough to keep every core busy, small enough for any memory


class LatentODE(nn.Module):
    """The disentangled latent ODE of "Continuous motion interpolation with neural differential equations", section 6.

    The appearance code is constant in time, only the state moves: so two clips that swap codes swap their looks.
    Protocols: `Model`, `Swappable`, `Trainable`.
    """

    def __init__(self, config: Config, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        super().__init__()
        if min(frame_shape[1:]) < SMALLEST_SIDE:
            height, width = frame_shape[1:]
            raise Refused(f"latentode needs frames of at least {SMALLEST_SIDE} pixels a side, got {height}×{width}")
        self.config = config
        self.context_length = context_length
        self.encoder = Encoder(config, frame_shape, context_length)
        self.field = VectorField(config)
        self.decoder = Decoder(config, frame_shape, self.encoder.grid)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs do not know it
        self._evaluations = 0

    # ------------------------------------------------------------------------------------------------------ prediction

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """float32 (B, Tt, C, H, W) in [0, 1]; target times may be fractional and before the last context frame."""
        state, appearance = self.encoder(context.frames)
        return self._decode(self._evolve(state, context, target_times), appearance)

    def swap(self, dynamics: Context, appearance: Context, target_times: Tensor) -> Tensor:
        """As `predict` for the motion of `dynamics`, with the looks of `appearance` (report, Figure 12)."""
        state, _ = self.encoder(dynamics.frames)
        _, looks = self.encoder(appearance.frames)
        return self._decode(self._evolve(state, dynamics, target_times), looks)

    def stats(self) -> Mapping[str, float]:
        """What the last solve took: "nfe", evaluations of the vector field, each for the whole batch."""
        return {"nfe": self._evaluations}

    def _decode(self, states: Tensor, appearance: Tensor) -> Tensor:
        code = self._code(states, appearance)
        frames = [torch.sigmoid(self.decoder(part).float()) for part in code.flatten(0, 1).split(DECODE_CHUNK)]
        return torch.cat(frames).unflatten(0, code.shape[:2])

    def _evolve(self, state: Tensor, context: Context, target_times: Tensor) -> Tensor:
        """(B, state) at the anchor to float32 (B, Tt, state) at the target times."""
        config = self.config
        anchor = context.times[:, -1:] + (1.0 if config.anchor == "first-output" else 0.0)
        times = (target_times - anchor) * config.frame_dt
        step = config.frames_per_step * config.frame_dt
        field = _Counted(self.field)
        # The state is integrated in float32 whatever the precision around it: rounding errors add up over many steps.
        state = state.float()
        with torch.autocast(state.device.type, enabled=False):
            if config.solver == "rk4-hermite":
                states = rk4_hermite(field, state, times, step=step)
            else:
                adaptive = config.solver in ADAPTIVE_SOLVERS
                try:
                    states = torchdiffeq_solve(
                        field,
                        state,
                        times,
                        method=config.solver,
                        rtol=config.rtol,
                        atol=config.atol,
                        step=None if adaptive else step,
                    )
                except AssertionError as error:
                    reason = str(error).partition("\n")[0][:100]
                    raise ModelFailed(f"{config.solver} gave up: {reason}") from error
        self._evaluations = field.calls
        return states

    def _code(self, states: Tensor, appearance: Tensor) -> Tensor:
        """(B, Tt, state) and (B, appearance) to what the decoder sees: float32 (B, Tt, dynamics + appearance)."""
        readout = states if self.config.dyn_readout == "full" else states[..., : self.config.dynamics]
        return torch.cat([readout, appearance.float().unsqueeze(1).expand(-1, states.shape[1], -1)], dim=-1)

    # -------------------------------------------------------------------------------------------------------- training

    def loss(self, batch: TrainBatch, *, progress: float, part: str = "main") -> Mapping[str, Tensor]:
        """Mean squared error of the decoded targets + penalty on the mean norm of the position latent (report, 6.3)."""
        state, appearance = self.encoder(batch.context.frames)
        states = self._evolve(state, batch.context, batch.target_times)
        # In one piece: batch norm learns from all frames of the batch alike.
        predicted = torch.sigmoid(self.decoder(self._code(states, appearance).flatten(0, 1)).float())
        mse = F.mse_loss(predicted, batch.target.flatten(0, 1))
        norm = states[..., : self.config.state // 2].norm(dim=-1).mean()
        return {"loss": mse + self.config.latent_penalty * norm, "mse": mse, "latent_norm": norm}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        config = self.config
        return {"main": torch.optim.AdamW(self.parameters(), config.learning_rate, weight_decay=config.weight_decay)}

    def sampling(self, progress: float) -> TrainTask:
        """The near future most, for it can be known; the far future enough to learn when not to know."""
        config = self.config
        return TrainTask(
            context=self.context_length,
            first=1 - self.context_length if config.train_past else 1,
            targets=config.train_targets,
            emphasis=config.target_emphasis,
        )


class _Counted:
    """A vector field that counts how often it is asked; one per solve, so that threads cannot mix up their counts."""

    def __init__(self, field: Field) -> None:
        self.field, self.calls = field, 0

    def __call__(self, state: Tensor) -> Tensor:
        self.calls += 1
        return self.field(state)
