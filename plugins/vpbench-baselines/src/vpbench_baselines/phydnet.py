"""`phydnet`: one branch moves the frame by learnt derivatives, another adds what physics does not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vpbench import Context, TrainBatch, TrainTask
from vpbench.errors import Refused
from vpbench.recurrent import (
    Read,
    StepConvolution,
    at_steps,
    learnt_at_once,
    next_frame_error,
    predict_next,
    published_update,
    require_divisible,
    roll_out,
    steps_of,
    whole_clip,
)

from .convlstm import ConvLSTMCell
from .moments import moment_loss
from .phydnet_config import GROUPS, Config

STRIDE = 4  # of the encoder
LEAST_CONTEXT = 2
UPDATES_PER_EPOCH = 625  # 10,000 clips, 16 at a time
PUBLISHED_UPDATES = 2001 * UPDATES_PER_EPOCH
LESS_TRUTH_PER_EPOCH = 0.003


def teacher_forcing(update: float) -> float:
    """Probability that a batch is fed the truth after its context too, at an update of the published training."""
    return max(0.0, 1.0 - LESS_TRUTH_PER_EPOCH * (update // UPDATES_PER_EPOCH))


def _down(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    convolution = StepConvolution(inputs, outputs, 3, stride=stride, padding=1)
    return nn.Sequential(convolution, nn.GroupNorm(GROUPS, outputs), nn.LeakyReLU(0.2))


def _up(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(inputs, outputs, 3, stride=stride, padding=1, output_padding=stride - 1)
    return nn.Sequential(convolution, nn.GroupNorm(GROUPS, outputs), nn.LeakyReLU(0.2))


class PhyCell(nn.Module):
    """Predict by derivatives, then correct by what is seen, as a Kalman filter does (equations 5-7)::

    h̃ = h + Φ(h)    K = σ(W [u, h])    h' = h̃ + K·(u - h̃)

    Φ is a linear combination (1×1) of group-normalised derivatives, each taken by a filter of its own.
    """

    def __init__(self, maps: int, side: int) -> None:
        super().__init__()
        self.derivatives = StepConvolution(maps, side * side, side, padding=side // 2)
        self.norm = nn.GroupNorm(side, side * side)
        self.combine = StepConvolution(side * side, maps, 1)
        self.gain = StepConvolution(2 * maps, maps, 3, padding=1)

    def forward(self, u: Tensor, h: Tensor) -> Tensor:
        """What is seen and the state, (B, maps, H, W) each: the next state, float32."""
        predicted = h + self.combine(self.norm(self.derivatives(h)))
        gain = torch.sigmoid(self.gain(torch.cat([u, h], dim=1)))
        return predicted + gain * (u - predicted)


class State(NamedTuple):
    """What is kept from one frame to the next, (B, maps, H / 4, W / 4) each."""

    physical: Tensor  #: float32
    h: tuple[Tensor, ...]  #: per layer of the ConvLSTM branch
    c: tuple[Tensor, ...]  #: float32


class PhyDNet(nn.Module):
    """PhyDNet (Le Guen & Thome 2020, CVPR), as the authors' code has it.

    Both branches see the frame through the same encoder and one of their own; the sum of what they give back goes
    through the same decoder. 3,091,732 parameters at (1, 64, 64), all of which are used.

    Where a frame of the context is missing (`Context.observed`), the model is fed its own prediction of it, and is not
    trained on it. Frames have any number of channels, and sides that are multiples of 4.
    Protocols: `Model`, `Trainable`.
    """

    def __init__(self, config: Config, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        super().__init__()
        require_divisible("phydnet", frame_shape, STRIDE, "stride")
        if context_length < LEAST_CONTEXT:
            raise Refused(
                f"phydnet needs {LEAST_CONTEXT} context frames to see anything move, got {context_length}: "
                f"give a context of {LEAST_CONTEXT} or more"
            )
        self.config = config
        self.context_length = context_length
        channels, width, maps = frame_shape[0], config.width, 2 * config.width
        self.encoder = nn.Sequential(_down(channels, width, 2), _down(width, width, 1), _down(width, maps, 2))
        self.to_physical = nn.Sequential(_down(maps, maps, 1), _down(maps, maps, 1))
        self.to_residual = nn.Sequential(_down(maps, maps, 1), _down(maps, maps, 1))
        self.physical = PhyCell(maps, config.derivatives)
        hidden = [config.hidden] * (config.layers - 1) + [maps]
        self.residual = nn.ModuleList(
            ConvLSTMCell(inputs, outputs, 3, bias=True)
            for inputs, outputs in zip([maps, *hidden[:-1]], hidden, strict=True)
        )
        self.from_physical = nn.Sequential(_up(maps, maps, 1), _up(maps, maps, 1))
        self.from_residual = nn.Sequential(_up(maps, maps, 1), _up(maps, maps, 1))
        last = nn.ConvTranspose2d(width, channels, 3, stride=2, padding=1, output_padding=1)
        self.decoder = nn.Sequential(_up(maps, width, 2), _up(width, width, 1), last)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs do not know it
        self._sizes = (maps, *hidden)
        self._advance = torch.compile(self.advance) if config.compile else self.advance
        self._reads: Read | None = None if config.compile else self.read

    def advance(self, frame: Tensor, state: State) -> tuple[Tensor, State]:
        """A frame (B, C, H, W) to the next one, float32 in (0, 1), and the state after it."""
        state = self._move(*self._see(frame), state)
        return self._show(state.physical, state.h[-1]), state

    def read(self, frames: Tensor, every: bool) -> tuple[Tensor, State]:
        """Frames (B, T, C, H, W), all known, to what follows each, or the last; and the state after them.

        What needs no state does all frames at once: encoders, and the decoders of what is asked for.
        """
        clips = len(frames)
        state = self._first_state(frames[:, 0])
        seen = self._see(frames.transpose(0, 1).flatten(0, 1))  # frame by frame, so that those of a step lie together
        shown = []
        for physical, residual in zip(*(maps.split(clips) for maps in seen), strict=True):
            state = self._move(physical, residual, state)
            shown.append((state.physical, state.h[-1]))
        physical, residual = (torch.cat(maps) for maps in zip(*(shown if every else shown[-1:]), strict=True))
        return self._show(physical, residual).unflatten(0, (-1, clips)).transpose(0, 1), state

    def _see(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) to what each branch sees of it."""
        seen = self.encoder(frames.contiguous(memory_format=torch.channels_last))
        return self.to_physical(seen), self.to_residual(seen)

    def _move(self, physical: Tensor, residual: Tensor, state: State) -> State:
        """One step of both branches."""
        x, h, c = residual, [], []
        for cell, last_h, last_c in zip(self.residual, state.h, state.c, strict=True):
            x, memory = cell(x, last_h, last_c)
            h.append(x)
            c.append(memory)
        return State(self.physical(physical, state.physical), tuple(h), tuple(c))

    def _show(self, physical: Tensor, residual: Tensor) -> Tensor:
        """States of both branches, (N, maps, H / 4, W / 4), to frames, float32 in (0, 1)."""
        predicted = self.decoder(self.from_physical(physical) + self.from_residual(residual))
        return torch.sigmoid(predicted.float()).contiguous()

    # ------------------------------------------------------------------------------------------------------ prediction

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """float32 (B, Tt, C, H, W) in (0, 1); target times are whole frame periods after the context."""
        steps = steps_of(context, target_times)
        n = int(steps.max())
        frames = roll_out(self.step, context.frames, n, observed=context.observed, read=self._reads)
        return at_steps(frames, steps)

    def step(self, frame: Tensor, state: State | None) -> tuple[Tensor, State]:
        """As `advance`; at first from a state of zeros."""
        predicted, state = self._advance(frame, state or self._first_state(frame))
        return predicted, state

    def _first_state(self, frame: Tensor) -> State:
        batch, _, height, width = frame.shape
        physical, *hidden = (
            torch.zeros(batch, height // STRIDE, width // STRIDE, maps, device=frame.device).permute(0, 3, 1, 2)
            for maps in self._sizes
        )
        return State(physical, tuple(hidden), tuple(hidden))

    # -------------------------------------------------------------------------------------------------------- training

    def loss(self, batch: TrainBatch, *, progress: float, part: str = "main") -> Mapping[str, Tensor]:
        """Mean squared errors of frames 2 to the last, those of the context too, added up; and the moment loss.

        The context is fed as it is. Whether a batch is fed the truth after it, at all steps, or what was predicted, is
        drawn by `teacher_forcing`. "mse" is the mean over these frames, "moment" that of `moment_loss`.
        """
        frames, observed = whole_clip(batch)
        config, context, length = self.config, batch.context.frames.shape[1], frames.shape[1]
        update = published_update(config.schedule, update=batch.update, progress=progress, of=PUBLISHED_UPDATES)
        given = torch.ones(length - 1, len(frames), dtype=torch.bool)
        given[context:] = torch.rand(()) < teacher_forcing(update)
        if observed is not None:
            given[1:] &= observed[:, 1:-1].T
        with learnt_at_once(self):
            predicted = predict_next(self.step, frames, given, read=self._reads)
        mse = next_frame_error(predicted, frames, observed)
        moment = moment_loss(self.physical.derivatives.weight)
        return {"loss": (length - 1) * mse + config.moments * moment, "mse": mse, "moment": moment}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"main": torch.optim.Adam(self.parameters(), self.config.learning_rate)}

    def sampling(self, progress: float) -> TrainTask:
        """The frames right after the context; more of them than the command asks for are not drawn."""
        return TrainTask(context=self.context_length, horizon=self.config.train_horizon)
