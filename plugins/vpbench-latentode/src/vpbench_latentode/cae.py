"""`cae`: the convolutional auto-encoder of single frames, with coordinates beside them (report, section 5.2.2)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench import Context, TrainBatch, TrainTask

from .cae_config import CAEConfig
from .cae_network import FrameDecoder, FrameEncoder, in_chunks, require_large_enough
from .known_frames import last_known_before


class ConvolutionalAutoencoder(nn.Module):
    """A frame to a code of few numbers and back. It knows nothing of time: a frame stays until the next one is known.

    Protocols: `Model`, `Trainable`, `Coded`.
    """

    def __init__(self, config: CAEConfig, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        super().__init__()
        require_large_enough("cae", frame_shape)
        self.config = config
        self.encoder = FrameEncoder(
            frame_shape, config.latent, coordinates=config.spatial_encoding, frequencies=config.spatial_frequencies
        )
        self.decoder = FrameDecoder(frame_shape, config.latent, output_bias=config.output_bias)

    def encode(self, frames: Tensor) -> Tensor:
        """Frames (..., C, H, W) in [0, 1] to their codes, float32 (..., latent)."""
        codes = in_chunks(self.encoder, frames.flatten(0, -4)).float()
        return codes.unflatten(0, frames.shape[:-3])

    # ------------------------------------------------------------------------------------------------------ prediction

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """float32 (B, Tt, C, H, W) in [0, 1]: the last context frame at or before each time, through the code."""
        codes, place = self._needed_codes(context, target_times)
        return in_chunks(self.decoder, codes)[place]

    def codes(self, context: Context, target_times: Tensor) -> Mapping[str, Tensor]:
        """ "dynamics" (B, Tt, latent): the code of the last context frame at or before each time."""
        codes, place = self._needed_codes(context, target_times)
        return {"dynamics": codes[place]}

    def _needed_codes(self, context: Context, target_times: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (N, latent) of the frames that are asked for, each once, and which of them where, (B, Tt)."""
        clips, frames = context.times.shape
        source = last_known_before(context, target_times) + torch.arange(clips).unsqueeze(1) * frames
        needed, place = torch.unique(source, return_inverse=True)
        device = context.frames.device
        return self.encode(context.frames.flatten(0, 1)[needed.to(device)]), place.to(device)

    # -------------------------------------------------------------------------------------------------------- training

    def loss(self, batch: TrainBatch, *, progress: float, part: str = "main") -> Mapping[str, Tensor]:
        """Mean squared error of the targets through their own code (equation 7), and a penalty on its mean norm."""
        frames = batch.target.flatten(0, 1)
        code = self.encoder(frames)
        mse = F.mse_loss(self.decoder(code), frames)
        norm = code.float().norm(dim=-1).mean()
        return {"loss": mse + self.config.latent_penalty * norm, "mse": mse, "latent_norm": norm}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"main": torch.optim.Adam(self.parameters(), self.config.learning_rate)}

    def sampling(self, progress: float) -> TrainTask:
        """Any frames of the clips: what comes before them is of no use here."""
        return TrainTask(context=1, first=0, targets=self.config.train_frames)
