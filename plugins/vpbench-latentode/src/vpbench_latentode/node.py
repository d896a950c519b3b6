"""`node`: a neural ODE whose state is the frame itself, for trajectories (report, Figures 1 and 2, equation 6)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vpbench import Context, TrainBatch, TrainTask
from vpbench.errors import ModelFailed, Refused

from .initial_state import fit_initial_state
from .known_frames import first_known, there
from .node_config import NodeConfig
from .ode import Field, rk4_hermite
from .state_field import StateField

LARGEST_FRAME = 16  # numbers: a state is fitted by solving once per number and direction
LOSS_SCALE = 100.0  # the author's: squared errors of a trajectory in [0, 1] are small


class NeuralODE(nn.Module):
    """A frame of few numbers is a position X, scaled to [-1, 1]; an ODE moves it, alone or with its velocity.

    The solution starts at the first observed frame. Where more frames are known than the state needs, it starts at the
    state from which it fits all of them best, which averages the noise of observations out: over the context when it
    predicts; over all frames of a segment when it learns, so that the field is never asked to follow from a noisy
    start. That is variable projection (Golub and Pereyra, Inverse Problems 19, 2003): at the best start, the gradient
    of the error with respect to the field is the one with the start held.

    Protocols: `Model`, `Trainable`, `Coded`.
    """

    def __init__(self, config: NodeConfig, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        super().__init__()
        channels, height, width = frame_shape
        self.numbers = channels * height * width
        if self.numbers > LARGEST_FRAME:
            raise Refused(
                f"node takes a frame for a position, of at most {LARGEST_FRAME} numbers; one of {channels}×{height}×"
                f"{width} has {self.numbers}: use latentode or latentode-entangled"
            )
        self.second_order = config.structure == "second-order"
        if context_length < self._fewest:
            raise Refused(
                f"node with structure=second-order needs a velocity, so a context of at least 2 frames, got "
                f"{context_length}"
            )
        self.config = config
        self.frame_shape = frame_shape
        self.context_length = context_length
        state = 2 * self.numbers if self.second_order else self.numbers
        self.field = StateField(state, config.hidden, structure=config.structure, activation=config.activation)

    @property
    def _fewest(self) -> int:
        """Context frames that tell a state."""
        return 2 if self.second_order else 1

    # ------------------------------------------------------------------------------------------------------ prediction

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """float32 (B, Tt, C, H, W), not clamped; target times may be fractional, and anywhere."""
        return (self._positions(context, target_times) / 2 + 0.5).unflatten(2, self.frame_shape)

    def codes(self, context: Context, target_times: Tensor) -> Mapping[str, Tensor]:
        """The state at the target times: "dynamics" (B, Tt, C·H·W), and "velocity", per time of the field."""
        states = self._states(context, target_times)
        position, velocity = states[..., : self.numbers], states[..., self.numbers :]
        return {"dynamics": position, "velocity": velocity} if self.second_order else {"dynamics": position}

    def _positions(self, context: Context, target_times: Tensor) -> Tensor:
        return self._states(context, target_times)[..., : self.numbers]

    def _states(self, context: Context, target_times: Tensor) -> Tensor:
        """float32 (B, Tt, state) at the target times."""
        positions = _scaled(context.frames)
        with torch.autocast(positions.device.type, enabled=False):
            start, first = self._start(context, positions, self.config.iterations)
            states = self._solve(start, target_times - first)
        if not states.isfinite().all():
            raise ModelFailed("the state ran away: train it longer, or ask for less far")
        return states

    # ---------------------------------------------------------------------------------------------------- the solution

    def _solve(self, start: Tensor, frames_later: Tensor, field: Field | None = None) -> Tensor:
        """States (N, state) at the first frame to those, (N, T, state), so many frame periods later."""
        dt = self.config.frame_dt
        return rk4_hermite(field or self.field, start, frames_later * dt, step=self.config.frames_per_step * dt)

    def _start(self, context: Context, positions: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
        """The state (B, state) at the first observed frame, and the time of that, float64 (B, 1)."""
        places = first_known(context, self._fewest)
        times = context.times.gather(1, places)
        first = times[:, :1]
        at = places.to(positions.device).unsqueeze(-1).expand(-1, -1, self.numbers)
        seen = positions.gather(1, at)
        guess = seen[:, 0]
        if self.second_order:
            apart = ((times[:, 1] - times[:, 0]) * self.config.frame_dt).to(seen)
            velocity = (seen[:, 1] - seen[:, 0]) / apart.unsqueeze(1)
            guess = torch.cat([guess, velocity], dim=1)
        if self.config.initial == "first":
            return guess, first

        frames_later = context.times - first
        known = there(context)
        # The times before the first observed frame are of no weight; asking there would only solve backwards.
        frames_later = torch.where(known, frames_later, 0.0)
        known = known.to(positions.device)

        # In float64, where there is any: near the best start, the error changes by less than float32 can tell.
        exact = torch.float32 if positions.device.type == "mps" else torch.float64
        field = _in_precision(self.field, exact)
        positions, guess, seen = positions.to(exact), guess.to(exact), seen.to(exact)

        @torch.no_grad()
        def trajectory(starts: Tensor) -> Tensor:
            times = frames_later.repeat(len(starts) // len(frames_later), 1)
            return self._solve(starts, times, field)[..., : self.numbers]

        if self.second_order:
            # The difference of two noisy frames is a poor velocity to start the search from, rest may be a better one.
            rest = torch.cat([seen[:, 0], torch.zeros_like(seen[:, 0])], dim=1)
            error = (trajectory(torch.cat([guess, rest])) - positions.repeat(2, 1, 1)).square().sum(dim=2)
            moving, resting = (error * known.repeat(2, 1)).sum(dim=1).chunk(2)
            guess = torch.where((resting < moving).unsqueeze(1), rest, guess)
        return fit_initial_state(trajectory, guess, positions, known, iterations=iterations).float(), first

    # -------------------------------------------------------------------------------------------------------- training

    def loss(self, batch: TrainBatch, *, progress: float, part: str = "main") -> Mapping[str, Tensor]:
        """100 × mean squared error of the solution over all frames of a segment, as the author's (frames in [0, 1])."""
        given = batch.context
        segment = Context(
            frames=torch.cat([given.frames, batch.target], dim=1),
            times=torch.cat([given.times, batch.target_times], dim=1),
            seeds=given.seeds,
            observed=torch.cat([there(given), torch.ones(batch.target_times.shape, dtype=torch.bool)], dim=1),
        )
        positions = _scaled(segment.frames)
        with torch.autocast(positions.device.type, enabled=False):
            start, first = self._start(segment, positions, self.config.train_iterations)
            solved = self._solve(start, segment.times - first)[..., : self.numbers]
        known = there(segment).to(solved.device).unsqueeze(-1)
        error = ((solved - positions) / 2).square()
        mse = (error * known).sum() / (known.sum() * self.numbers)
        return {"loss": LOSS_SCALE * mse, "mse": mse}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        config = self.config
        return {"main": torch.optim.AdamW(self.parameters(), config.learning_rate, weight_decay=config.weight_decay)}

    def sampling(self, progress: float) -> TrainTask:
        """Some frames of a segment: solving costs the same for few as for all."""
        return TrainTask(context=self.context_length, targets=self.config.train_targets)


def _in_precision(field: nn.Module, dtype: torch.dtype) -> Field:
    """The same field with its parameters in another precision, which nothing is learnt from."""
    parameters = {name: value.detach().to(dtype) for name, value in field.named_parameters()}
    return lambda state: torch.func.functional_call(field, parameters, (state,))


def _scaled(frames: Tensor) -> Tensor:
    """Frames (B, T, C, H, W) in [0, 1] to positions float32 (B, T, C·H·W) in [-1, 1]."""
    return 2 * frames.float().flatten(2) - 1
