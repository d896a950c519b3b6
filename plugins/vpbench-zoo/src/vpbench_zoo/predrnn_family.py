"""What PredRNN and its successors have in common: patches, states of layers, the roll-out, and how they are trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from vpbench import Context, TrainBatch, TrainTask
from vpbench.recurrent import (
    StepConvolution,
    at_steps,
    depth_to_space,
    draw_given,
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

from .predrnn_config import PredRNNConfig, PredRNNPPConfig, PredRNNV2Config

Config = PredRNNConfig | PredRNNPPConfig | PredRNNV2Config

PUBLISHED_UPDATES = 80_000


class State(NamedTuple):
    """What is kept from one frame to the next, (B, hidden, H / patch, W / patch) each."""

    h: tuple[Tensor, ...]  #: per layer
    c: tuple[Tensor, ...]  #: per layer
    m: Tensor  #: the memory that has gone up through all layers, and goes into the first one next
    z: Tensor | None = None  #: of the gradient highway, in PredRNN++


class Family(nn.Module):
    """Frames are cut into patches, layers of cells predict the patches of the next frame, one frame at a time.

    The memory m zig-zags: in each frame it goes from the first layer to the last, and from there into the first layer
    of the next frame. The prediction is a 1×1 convolution of the last layer's h.

    Where a frame of the context is missing (`Context.observed`), the model is fed its own prediction of it, and is not
    trained on it. Frames have any number of channels, and sides that are multiples of the patch.
    Protocols: `Model`, `Trainable`.
    """

    name: ClassVar[str]

    def __init__(self, config: Config, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        super().__init__()
        require_divisible(self.name, frame_shape, config.patch)
        self.hidden, self.patch, self.reverse_input = config.hidden, config.patch, config.reverse_input
        self.rate, self.schedule, self.train_horizon = config.learning_rate, config.schedule, config.train_horizon
        self.context_length = context_length
        depth = frame_shape[0] * config.patch**2
        self.cells = nn.ModuleList(
            self.make_cell(config.hidden if layer else depth, config.hidden, config.kernel)
            for layer in range(config.layers)
        )
        self.readout = StepConvolution(config.hidden, depth, 1, bias=False)
        self.make_further_parts(config)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs do not know it
        self._advance = torch.compile(self.advance) if config.compile else self.advance

    def make_cell(self, inputs: int, hidden: int, kernel: int) -> nn.Module:
        """One layer."""
        raise NotImplementedError

    def make_further_parts(self, config: Config) -> None:
        """What a model has beside cells and readout."""

    def advance(self, patches: Tensor, state: State) -> tuple[Tensor, State]:
        """Patches of a frame (B, D, H, W) to those of the next one, float32, and the state after them."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------------ prediction

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """float32 (B, Tt, C, H, W), nominally in [0, 1]; target times are whole frame periods after the context."""
        steps = steps_of(context, target_times)
        patches = roll_out(self.step, self._cut(context.frames), int(steps.max()), observed=context.observed)
        return depth_to_space(at_steps(patches, steps), self.patch)

    def step(self, patches: Tensor, state: State | None) -> tuple[Tensor, State]:
        """As `advance`; from no state at first."""
        predicted, state = self._advance(patches, state or self.first_state(patches))
        return predicted, state

    def first_state(self, patches: Tensor) -> State:
        """All zeros, each in memory of its own: torch.compile tells apart whether two are one."""

        def zeros() -> Tensor:
            batch, _, height, width = patches.shape
            return torch.zeros(batch, height, width, self.hidden, device=patches.device).permute(0, 3, 1, 2)

        return State(tuple(zeros() for _ in self.cells), tuple(zeros() for _ in self.cells), zeros())

    def _cut(self, frames: Tensor) -> Tensor:
        """(B, T, C, H, W) to patches (B, T, D, H', W'), channels last in memory."""
        return space_to_depth(frames, self.patch).permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)

    # -------------------------------------------------------------------------------------------------------- training

    def loss(self, batch: TrainBatch, *, progress: float, part: str = "main") -> Mapping[str, Tensor]:
        """Mean squared error of frames 2 to the last, those of the context too, each predicted from those before it.

        Which of them the model is fed, and which of its own predictions instead, is drawn (`probabilities`).
        """
        frames, observed = whole_clip(batch)
        in_context, after = self.probabilities(
            published_update(self.schedule, update=batch.update, progress=progress, of=PUBLISHED_UPDATES)
        )
        clips, length = frames.shape[:2]
        context = batch.context.frames.shape[1]
        given = draw_given(context, length - context, clips, in_context=in_context, after=after)
        if self.reverse_input:
            frames, given = torch.cat([frames, frames.flip(1)]), torch.cat([given, given], dim=1)
            observed = None if observed is None else torch.cat([observed, observed.flip(1)])
        if observed is not None:
            given[1:] &= observed[:, 1:-1].T
        patches = self._cut(frames)
        with learnt_at_once(self):
            predicted, penalties = self.training_roll_out(patches, given)
        mse = next_frame_error(predicted, patches, observed)
        return {"loss": sum(penalties.values(), mse), "mse": mse, **penalties}

    def training_roll_out(self, patches: Tensor, given: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Predictions of frames 2 to the last, (B, T - 1, D, H, W), and what else is to be small, by name."""
        return predict_next(self.step, patches, given), {}

    def probabilities(self, update: float) -> tuple[float, float]:
        """How probable it is that the truth is fed: while the context is read (after its first frame), and after it.

        update  of the published training
        """
        return 1.0, scheduled_sampling(update)

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"main": torch.optim.Adam(self.parameters(), self.rate)}

    def sampling(self, progress: float) -> TrainTask:
        """The frames right after the context; more of them than the command asks for are not drawn."""
        return TrainTask(context=self.context_length, horizon=self.train_horizon)
