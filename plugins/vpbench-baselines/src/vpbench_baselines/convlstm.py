"""`convlstm`: layers of convolutional LSTMs on patches predict the next frame, one frame at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vpbench import Context, TrainBatch, TrainTask
from vpbench.recurrent import (
    StepConvolution,
    at_steps,
    depth_to_space,
    draw_given,
    fused_convolution,
    learnt_at_once,
    next_frame_error,
    predict_next,
    published_update,
    require_divisible,
    roll_out,
    scheduled_sampling,
    space_to_depth,
    steps_of,
    whole_clip,
)

from .convlstm_config import Config

PUBLISHED_UPDATES = 125_000  # 200 epochs of 10,000 clips, 16 at a time


class ConvLSTMCell(nn.Module):
    """One layer (Shi et al. 2015, equation 3, without its peepholes, as the PredRNN family and OpenSTL have it)::

    i, f, g, o of x, h    c' = σ(f)·c + σ(i)·tanh(g)    h' = σ(o)·tanh(c')

    The four gates of both inputs are one convolution, which keeps the sides. c adds up over time: float32 under
    autocast.
    """

    def __init__(self, inputs: int, hidden: int, kernel: int, *, bias: bool = False) -> None:
        super().__init__()
        self.gates = fused_convolution([inputs, hidden], 4 * hidden, kernel, bias=bias)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, inputs, H, W), h and c (B, hidden, H, W): the new h and c."""
        i, f, g, o = self.gates(torch.cat([x, h], dim=1)).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class State(NamedTuple):
    """What is kept from one frame to the next: per layer, (B, hidden, H / patch, W / patch)."""

    h: tuple[Tensor, ...]
    c: tuple[Tensor, ...]  #: float32


class ConvLSTM(nn.Module):
    """ConvLSTM as a predictor of the next frame (Shi et al. 2015; this form: OpenSTL's ConvLSTM-S and -L).

    Frames are cut into patches of 4×4, four layers of cells follow each other, a 1×1 convolution reads the patches of
    the next frame off the last one. No biases, no norms, nothing squeezes the output. At (1, 64, 64) `convlstm` has
    11,675,648 parameters and `convlstm-large` 26,115,072; OpenSTL reports 15,083,520 and 33,782,784, which counts
    convolutions that it makes and never uses.

    Where a frame of the context is missing (`Context.observed`), the model is fed its own prediction of it, and is not
    trained on it. Frames have any number of channels, and sides that are multiples of the patch.
    Protocols: `Model`, `Trainable`.
    """

    def __init__(self, config: Config, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        super().__init__()
        require_divisible("convlstm", frame_shape, config.patch)
        self.config = config
        self.context_length = context_length
        depth = frame_shape[0] * config.patch**2
        self.cells = nn.ModuleList(
            ConvLSTMCell(config.hidden if layer else depth, config.hidden, config.kernel)
            for layer in range(config.layers)
        )
        self.readout = StepConvolution(config.hidden, depth, 1, bias=False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs do not know it
        self._advance = torch.compile(self.advance) if config.compile else self.advance

    def advance(self, patches: Tensor, state: State) -> tuple[Tensor, State]:
        """Patches of a frame (B, D, H, W) to those of the next one, float32, and the state after them."""
        x, h, c = patches, [], []
        for cell, last_h, last_c in zip(self.cells, *state, strict=True):
            x, memory = cell(x, last_h, last_c)
            h.append(x)
            c.append(memory)
        return self.readout(x).float(), State(tuple(h), tuple(c))

    # ------------------------------------------------------------------------------------------------------ prediction

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """float32 (B, Tt, C, H, W), nominally in [0, 1]; target times are whole frame periods after the context."""
        steps = steps_of(context, target_times)
        patches = roll_out(self.step, self._cut(context.frames), int(steps.max()), observed=context.observed)
        return depth_to_space(at_steps(patches, steps), self.config.patch)

    def step(self, patches: Tensor, state: State | None) -> tuple[Tensor, State]:
        """As `advance`; at first from a state of zeros."""
        predicted, state = self._advance(patches, state or self._first_state(patches))
        return predicted, state

    def _first_state(self, patches: Tensor) -> State:
        batch, _, height, width = patches.shape
        zeros = torch.zeros(batch, height, width, self.config.hidden, device=patches.device).permute(0, 3, 1, 2)
        return State((zeros,) * len(self.cells), (zeros,) * len(self.cells))

    def _cut(self, frames: Tensor) -> Tensor:
        """(B, T, C, H, W) to patches (B, T, D, H', W'), channels last in memory."""
        return space_to_depth(frames, self.config.patch).permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)

    # -------------------------------------------------------------------------------------------------------- training

    def loss(self, batch: TrainBatch, *, progress: float, part: str = "main") -> Mapping[str, Tensor]:
        """Mean squared error of frames 2 to the last, those of the context too, each predicted from those before it.

        The context is fed as it is; after it each clip and step is fed the truth by scheduled sampling, else what was
        predicted.
        """
        frames, observed = whole_clip(batch)
        config, context = self.config, batch.context.frames.shape[1]
        update = published_update(config.schedule, update=batch.update, progress=progress, of=PUBLISHED_UPDATES)
        given = draw_given(
            context, frames.shape[1] - context, len(frames), in_context=1.0, after=scheduled_sampling(update)
        )
        if observed is not None:
            given[1:] &= observed[:, 1:-1].T
        patches = self._cut(frames)
        with learnt_at_once(self):
            predicted = predict_next(self.step, patches, given)
        mse = next_frame_error(predicted, patches, observed)
        return {"loss": mse, "mse": mse}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"main": torch.optim.Adam(self.parameters(), self.config.learning_rate)}

    def sampling(self, progress: float) -> TrainTask:
        """The frames right after the context; more of them than the command asks for are not drawn."""
        return TrainTask(context=self.context_length, horizon=self.config.train_horizon)
