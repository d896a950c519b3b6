"""`simvp` and `simvp-gsta`: a block of frames in, the next block of frames out, by convolutions alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench import Context, TrainBatch, TrainTask
from vpbench.recurrent import at_steps, require_divisible, steps_of

from .simvp_coders import Decoder, Encoder
from .simvp_config import Edition, GSTAConfig, IncepUConfig
from .simvp_gsta import Attention, GatedKernel, MetaTranslator, start_as_published
from .simvp_incepu import IncepU

CHUNK = 256  # frames coded at once where no gradient is asked for: keeps every core busy, and fits into any memory


class BlockModel(nn.Module):
    """What SimVP and its successors have in common (Gao et al. 2022, "SimVP: simpler yet better video prediction").

    Each frame of a block is encoded by itself, the maps of all frames are stacked, a translator turns the stack into
    that of the next block, and each of its frames is decoded by itself, given the first maps of the frame that went in
    at its place. One pass takes `block` frames and gives the `block` frames that follow:

    - block = context (`block=0`, as published): the context goes in;
    - block > context: the context goes in, its last frame repeated until the block is full;
    - block < context: the last `block` frames of the context go in.

    Beyond one pass, what came out goes in again, as it is (unclamped), and the last block is cut: 2 → 18 takes 9 passes
    of 2, or one with `block=18`. So a longer horizon leaves earlier frames alone. Training is on one pass.

    Where a frame of the context is missing (`Context.observed`), the one before it stands for it; a missing first
    frame stays as it is given. Frames have any number of channels, and sides that are multiples of 2^(n_s / 2).
    Protocols: `Model`, `Trainable`.
    """

    name: ClassVar[str]

    def __init__(
        self,
        config: IncepUConfig | GSTAConfig,
        edition: Edition,
        frame_shape: tuple[int, int, int],
        context_length: int,
    ) -> None:
        super().__init__()
        require_divisible(self.name, frame_shape, 2 ** (config.n_s // 2), "stride")
        self.rate = config.learning_rate
        self.context_length = context_length
        self.block = config.block or context_length
        channels, width = frame_shape[0], config.hid_s
        self.encoder = Encoder(channels, width, config.n_s, edition)
        self.translator = self.make_translator(config, self.block * width)
        self.decoder = Decoder(width, channels, config.n_s, edition)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs do not know it
        self._compiled: Callable[[Tensor, int], Tensor] | None = torch.compile(self._pass) if config.compile else None

    def make_translator(self, config: IncepUConfig | GSTAConfig, stacked: int) -> nn.Module:
        """What turns (B, stacked, H / d, W / d) into the same shape."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------------ prediction

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """float32 (B, Tt, C, H, W), nominally in [0, 1]; target times are whole frame periods after the context."""
        steps = steps_of(context, target_times)
        return at_steps(self._following(context, int(steps.max())), steps)

    def _following(self, context: Context, n: int) -> Tensor:
        """The n frames after the context, float32 (B, n, C, H, W)."""
        one_pass = self._compiled or self._pass
        given = _held(context)[:, -self.block :]
        found: list[Tensor] = []
        for left in range(n, 0, -self.block):
            given = one_pass(given, min(left, self.block))
            found.append(given)
        return found[0] if len(found) == 1 else torch.cat(found, dim=1)

    def _pass(self, given: Tensor, n: int) -> Tensor:
        """At most `block` frames (B, T, C, H, W) to (B, n, C, H, W), the first of the block after them.

        What repeats the last frame is made of its maps: it is encoded once.
        """
        batch = given.shape[0]
        frames = given.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        coded = [self.encoder(part) for part in self._parts(frames)]
        maps, first = (
            _by_clip(torch.cat(each) if len(each) > 1 else each[0], batch) for each in zip(*coded, strict=True)
        )
        moved = self.translator(_stacked(_filled(maps, self.block)))
        maps = moved.permute(0, 2, 3, 1).unflatten(3, (self.block, -1))[:, :, :, :n]  # (B, h, w, n, S)
        maps = maps.permute(0, 3, 1, 2, 4).flatten(0, 1).permute(0, 3, 1, 2)  # (B·n, S, h, w), channels last
        first = _filled(first, n).permute(0, 1, 3, 4, 2).flatten(0, 1).permute(0, 3, 1, 2)
        parts = zip(self._parts(maps), self._parts(first), strict=True)
        decoded = [self.decoder(*part).to(given.dtype) for part in parts]
        return torch.cat(decoded).contiguous().unflatten(0, (batch, n))

    def _parts(self, frames: Tensor) -> tuple[Tensor, ...]:
        return (frames,) if torch.is_grad_enabled() else frames.split(CHUNK)

    # -------------------------------------------------------------------------------------------------------- training

    def loss(self, batch: TrainBatch, *, progress: float, part: str = "main") -> Mapping[str, Tensor]:
        """Mean squared error over all pixels, frames and clips."""
        mse = F.mse_loss(self._predicted_targets(batch), batch.target)
        return {"loss": mse, "mse": mse}

    def _predicted_targets(self, batch: TrainBatch) -> Tensor:
        """float32, of the shape of the targets."""
        steps = steps_of(batch.context, batch.target_times)
        return at_steps(self._following(batch.context, int(steps.max())), steps)

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"main": torch.optim.Adam(self.parameters(), self.rate)}

    def sampling(self, progress: float) -> TrainTask:
        """One pass: as many targets as a block has, or as the command asks for if those are fewer."""
        return TrainTask(context=self.context_length, horizon=self.block)


class SimVP(BlockModel):
    """SimVP's first version, with the IncepU translator.

    At the defaults it is OpenSTL's (hid_s 64, hid_t 512): 57,946,113 parameters at (1, 64, 64) and 10 context frames,
    all of which are used; OpenSTL reports 58.0 M.
    """

    name = "simvp"

    def __init__(self, config: IncepUConfig, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        super().__init__(config, config.edition, frame_shape, context_length)

    def make_translator(self, config: IncepUConfig | GSTAConfig, stacked: int) -> nn.Module:
        assert isinstance(config, IncepUConfig)
        return IncepU(stacked, config.hid_t, config.n_t, config.groups)


class SimVPGSTA(BlockModel):
    """SimVP's second version, with gated spatiotemporal attention (Tan et al. 2022, "SimVPv2").

    46,769,665 parameters at (1, 64, 64) and 10 context frames, all of which are used; OpenSTL reports 46.8 M. No path
    is dropped (OpenSTL drops 1 % in the first block, falling to none in the last, even where its config says none).
    """

    name = "simvp-gsta"

    def __init__(self, config: GSTAConfig, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        super().__init__(config, "openstl", frame_shape, context_length)

    def make_translator(self, config: IncepUConfig | GSTAConfig, stacked: int) -> nn.Module:
        assert isinstance(config, GSTAConfig)
        translator = MetaTranslator(stacked, config.hid_t, config.n_t, config.mlp_ratio, GatedKernel)
        for part in translator.modules():
            if isinstance(part, Attention):
                start_as_published(part)
        return translator


# ----------------------------------------------------------------------------------------------------- shapes of frames


def _held(context: Context) -> Tensor:
    """The frames of the context, in place of one that is missing the last one before it that is not."""
    frames, observed = context.frames, context.observed
    if observed is None or bool(observed.all()):
        return frames
    places = torch.where(observed, torch.arange(observed.shape[1]), 0).cummax(dim=1).values.to(frames.device)
    return frames[torch.arange(len(frames), device=frames.device)[:, None], places]


def _by_clip(maps: Tensor, batch: int) -> Tensor:
    """(B·T, S, h, w) to (B, T, S, h, w)."""
    return maps.unflatten(0, (batch, -1))


def _filled(maps: Tensor, n: int) -> Tensor:
    """(B, T, ...) to (B, n, ...): the last one repeated, or what is beyond n left out."""
    more = n - maps.shape[1]
    return maps[:, :n] if more <= 0 else torch.cat([maps, maps[:, -1:].expand(-1, more, -1, -1, -1)], dim=1)


def _stacked(maps: Tensor) -> Tensor:
    """(B, T, S, h, w) to (B, T·S, h, w), channels last in memory."""
    return maps.permute(0, 3, 4, 1, 2).flatten(3).permute(0, 3, 1, 2)
