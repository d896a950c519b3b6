"""`latentode-entangled`: the code of a frame and its speed, moved by an ODE and decoded (report, Figure 6)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench import Context, TrainBatch, TrainTask
from vpbench.errors import Refused

from .cae_network import FrameDecoder, FrameEncoder, in_chunks, require_large_enough
from .entangled_config import EntangledConfig
from .known_frames import last_known
from .ode import rk4_hermite
from .state_field import StateField


class EntangledLatentODE(nn.Module):
    """Motion and appearance in one code: Z = (z, v), z the code of the last frame, v its change since the one before.

    Z sits at the last observed frame; only that and the one before it are looked at. Positions z are decoded.
    Protocols: `Model`, `Trainable`, `Coded`.
    """

    def __init__(self, config: EntangledConfig, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        super().__init__()
        require_large_enough("latentode-entangled", frame_shape)
        if context_length < 2:
            raise Refused(
                f"latentode-entangled reads a velocity off two frames: it needs a context of 2, got {context_length}"
            )
        self.config = config
        self.encoder = FrameEncoder(
            frame_shape, config.latent, coordinates=config.spatial_encoding, frequencies=config.spatial_frequencies
        )
        self.field = StateField(
            2 * config.latent, config.hidden, structure=config.structure, activation=config.activation
        )
        self.decoder = FrameDecoder(frame_shape, config.latent, output_bias=config.output_bias)

    def encode(self, frames: Tensor) -> Tensor:
        """Frames (..., C, H, W) in [0, 1] to their codes, float32 (..., latent)."""
        codes = in_chunks(self.encoder, frames.flatten(0, -4)).float()
        return codes.unflatten(0, frames.shape[:-3])

    # ------------------------------------------------------------------------------------------------------ prediction

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """float32 (B, Tt, C, H, W) in [0, 1]; target times may be fractional and before the last context frame."""
        positions = self._states(context, target_times)[..., : self.config.latent]
        return in_chunks(self.decoder, positions.flatten(0, 1)).unflatten(0, target_times.shape)

    def codes(self, context: Context, target_times: Tensor) -> Mapping[str, Tensor]:
        """The state at the target times: "dynamics", what is decoded, and "velocity", both (B, Tt, latent)."""
        position, velocity = self._states(context, target_times).chunk(2, dim=2)
        return {"dynamics": position, "velocity": velocity}

    def _states(self, context: Context, target_times: Tensor) -> Tensor:
        """float32 (B, Tt, 2 * latent) at the target times."""
        config = self.config
        places = last_known(context, 2)
        clips = torch.arange(len(places), device=context.frames.device).unsqueeze(1)
        before, last = self.encode(context.frames[clips, places.to(context.frames.device)]).unbind(1)
        times = context.times.gather(1, places)
        apart = ((times[:, 1:] - times[:, :1]) * config.frame_dt).to(last)
        # The state is integrated in float32 whatever the precision around it: rounding errors add up over many steps.
        with torch.autocast(last.device.type, enabled=False):
            state = torch.cat([last, (last - before) / apart], dim=1)
            later = (target_times - times[:, 1:]) * config.frame_dt
            return rk4_hermite(self.field, state, later, step=config.frames_per_step * config.frame_dt)

    # -------------------------------------------------------------------------------------------------------- training

    def loss(self, batch: TrainBatch, *, progress: float, part: str = "main") -> Mapping[str, Tensor]:
        """Mean squared error of the decoded targets, and a penalty on the mean norm of the positions (section 5.3)."""
        positions = self._states(batch.context, batch.target_times)[..., : self.config.latent]
        mse = F.mse_loss(self.decoder(positions.flatten(0, 1)), batch.target.flatten(0, 1))
        norm = positions.norm(dim=-1).mean()
        return {"loss": mse + self.config.latent_penalty * norm, "mse": mse, "latent_norm": norm}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        config = self.config
        return {"main": torch.optim.AdamW(self.parameters(), config.learning_rate, weight_decay=config.weight_decay)}

    def sampling(self, progress: float) -> TrainTask:
        """Two frames are given; of them and those after them, some are decoded."""
        return TrainTask(context=2, first=-1 if self.config.train_past else 1, targets=self.config.train_targets)
