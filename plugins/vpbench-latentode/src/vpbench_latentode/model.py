"""`latentode`: encode the context into a state and an appearance, move the state by an ODE, decode (report, Figure 8)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench import Context, TrainBatch, TrainTask
from vpbench.errors import ModelFailed

from .config import ADAPTIVE_SOLVERS, Config
from .network import SMALLEST_SIDE, Decoder, Encoder, VectorField
from .ode import rk4_hermite, torchdiffeq_solve

DECODE_CHUNK = 256  # frames decoded at once: large enough to keep every core busy, small enough for any memory


class LatentODE(nn.Module):
    """The disentangled latent ODE of "Continuous motion interpolation with neural differential equations", section 6.

    The appearance code is constant in time; only the state moves, so the swap of two clips' codes exchanges their looks.
    Protocols: `Model`, `Trainable`.
    """

    def __init__(self, config: Config, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        super().__init__()
        if min(frame_shape[1:]) < SMALLEST_SIDE:
            raise ValueError(f"latentode needs frames of at least {SMALLEST_SIDE} pixels a side, got {frame_shape[1:]}")
        self.config = config
        self.context_length = context_length
        self.encoder = Encoder(config, frame_shape, context_length)
        self.field = VectorField(config)
        self.decoder = Decoder(config, frame_shape, self.encoder.grid)
        self.to(memory_format=torch.channels_last)

    # ------------------------------------------------------------------------------------------------------ prediction

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """float32 (B, Tt, C, H, W) in [0, 1]; target times may be fractional and before the last context frame."""
        state, appearance = self.encoder(context.frames)
        readout = self._readout(self._evolve(state.float(), context, target_times))
        code = torch.cat([readout, appearance.float().unsqueeze(1).expand(-1, readout.shape[1], -1)], dim=-1)
        frames = [torch.sigmoid(self.decoder(part).float()) for part in code.flatten(0, 1).split(DECODE_CHUNK)]
        return torch.cat(frames).unflatten(0, code.shape[:2])

    def _evolve(self, state: Tensor, context: Context, target_times: Tensor) -> Tensor:
        """(B, state) at the anchor to (B, Tt, state) at the target times."""
        config = self.config
        anchor = context.times[:, -1:] + (1.0 if config.anchor == "first-output" else 0.0)
        times = ((target_times - anchor) * config.frame_dt).to(state.device, state.dtype)
        step = config.frames_per_step * config.frame_dt
        # The state is integrated in float32 whatever the precision around it: rounding errors add up over many steps.
        with torch.autocast(state.device.type, enabled=False):
            if config.solver == "rk4-hermite":
                return rk4_hermite(self.field, state, times, step=step)
            adaptive = config.solver in ADAPTIVE_SOLVERS
            try:
                return torchdiffeq_solve(
                    self.field,
                    state,
                    times,
                    method=config.solver,
                    rtol=config.rtol,
                    atol=config.atol,
                    step=None if adaptive else step,
                )
            except (AssertionError, RuntimeError) as error:
                raise ModelFailed(f"{config.solver} gave up: {error}") from error

    def _readout(self, states: Tensor) -> Tensor:
        """What the decoder sees of the state: positions, or all of it."""
        return states if self.config.dyn_readout == "full" else states[..., : self.config.dynamics]

    # -------------------------------------------------------------------------------------------------------- training

    def loss(self, batch: TrainBatch, *, progress: float, part: str = "main") -> Mapping[str, Tensor]:
        """Mean squared error of the decoded targets + penalty on the mean norm of the position latent (report, 6.3)."""
        state, appearance = self.encoder(batch.context.frames)
        states = self._evolve(state.float(), batch.context, batch.target_times)
        readout = self._readout(states)
        code = torch.cat([readout, appearance.float().unsqueeze(1).expand(-1, readout.shape[1], -1)], dim=-1)
        predicted = torch.sigmoid(self.decoder(code.flatten(0, 1)).float())
        mse = F.mse_loss(predicted, batch.target.flatten(0, 1))
        norm = states[..., : self.config.state // 2].norm(dim=-1).mean()
        return {"loss": mse + self.config.latent_penalty * norm, "mse": mse, "latent_norm": norm}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        config = self.config
        return {"main": torch.optim.AdamW(self.parameters(), config.learning_rate, weight_decay=config.weight_decay)}

    def sampling(self, progress: float) -> TrainTask:
        """Past and future frames alike: the context pins the autoencoder down, the far future teaches when not to know."""
        config = self.config
        return TrainTask(
            context=self.context_length,
            first=1 - self.context_length,
            targets=config.train_targets,
            emphasis=config.target_emphasis,
        )
