"""Solving dy/dt = f(y) at any times, per clip, forwards and backwards from one anchor.

The default is a fixed-step RK4 whose grid is tied to the anchor and not to the questions, with cubic Hermite
interpolation in between. So the cost does not depend on how many times are asked for, every clip may have times of its
own, and no answer depends on what else is asked or on who else is in the batch. torchdiffeq's solvers are there for
parity with the report, which used dopri5; with those one step size serves the whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Field = Callable[[Tensor], Tensor]

ON_THE_GRID = 1e-6  # steps: 0.1 * 6 is on the grid of step 0.2, whatever the last bits of either say


def _in_steps(times: Tensor, step: float) -> Tensor:
    """Times in steps from the anchor, float64 on the CPU so that no GPU is waited for; beside a grid point is on it."""
    position = times.to("cpu", torch.float64) / step
    nearest = position.round()
    return torch.where((position - nearest).abs() < ON_THE_GRID, nearest, position)


def rk4_step(f: Field, y: Tensor, slope: Tensor, h: float) -> Tensor:
    """One classical Runge-Kutta step of order 4. `slope` is f(y), already known from the step before."""
    k2 = f(y + (h / 2) * slope)
    k3 = f(y + (h / 2) * k2)
    k4 = f(y + h * k3)
    return y + (h / 6) * (slope + 2 * (k2 + k3) + k4)


def _march(f: Field, y0: Tensor, slope0: Tensor, h: float, n: int) -> tuple[list[Tensor], list[Tensor]]:
    """States and slopes at h, 2h, ..., nh."""
    states, slopes, y, slope = [], [], y0, slope0
    for _ in range(n):
        y = rk4_step(f, y, slope, h)
        slope = f(y)
        states.append(y)
        slopes.append(slope)
    return states, slopes


def rk4_hermite(f: Field, y0: Tensor, times: Tensor, *, step: float) -> Tensor:
    """Solve from y(0) = y0 with steps of fixed size, answer between the grid points by cubic Hermite.

    y0      (B, D)
    times   (B, T) in the same unit as step, any order, negative ones are solved backwards; best float64 on the CPU
    step    positive; a Python float, so that a GPU never waits for the host
    returns (B, T, D); global error of order 4 in step for a smooth f (Hairer, Norsett, Wanner 1993, II.1 and II.6)

    An answer is made of the grid points from the anchor to the one at or beyond its time, and of nothing else: further
    times move no bit of it. f is evaluated 4 times per step and once at the anchor.
    """
    if times.shape[0] != y0.shape[0]:
        raise ValueError(f"times are for {times.shape[0]} clips, states for {y0.shape[0]}")
    position = _in_steps(times, step)
    ahead = max(1, math.ceil(position.max().item()))
    behind = max(0, math.ceil(-position.min().item()))
    slope0 = f(y0)
    states, slopes = _march(f, y0, slope0, step, ahead)
    past_states, past_slopes = _march(f, y0, slope0, -step, behind)
    y = torch.stack([*reversed(past_states), y0, *states], dim=1)  # (B, behind + 1 + ahead, D)
    dy = torch.stack([*reversed(past_slopes), slope0, *slopes], dim=1) * step

    # A time on a grid point belongs to the segment on the anchor's side, so that it needs no further step.
    segment = torch.where(position > 0, position.ceil() - 1, position.floor())
    theta = (position - segment).to(y.device, y.dtype).unsqueeze(-1)
    left = (segment + behind).to(y.device, torch.int64).unsqueeze(-1).expand(-1, -1, y.shape[-1])
    y_left, y_right = y.gather(1, left), y.gather(1, left + 1)
    dy_left, dy_right = dy.gather(1, left), dy.gather(1, left + 1)
    rest = 1 - theta
    return (
        (1 + 2 * theta) * rest**2 * y_left
        + theta**2 * (3 - 2 * theta) * y_right
        + theta * rest * (rest * dy_left - theta * dy_right)
    )


def torchdiffeq_solve(
    f: Field,
    y0: Tensor,
    times: Tensor,
    *,
    method: str,
    rtol: float,
    atol: float,
    step: float | None,
) -> Tensor:
    """The same question to torchdiffeq: one solve over the union of all clips' times, each clip then picks its own.

    y0 (B, D), times (B, T), returns (B, T, D). `step` is the step size of the fixed-grid methods (None for adaptive
    ones); they take whole steps and interpolate, so that the answer at one time does not depend on the other times.
    Raises AssertionError where an adaptive solver gives up (its step underflows, the state is not finite).
    """
    from torchdiffeq import odeint

    if step is None:
        asked, ends = times.to("cpu", torch.float64), (0, 0)
    else:
        # Left alone, torchdiffeq cuts the last step short at the last time asked for, and so the answers around it.
        position = _in_steps(times, step)
        ends = min(0, math.floor(position.min().item())), max(0, math.ceil(position.max().item()))
        asked = position * step
    marks = torch.tensor([0.0, *(end * (step or 0.0) for end in ends)], dtype=torch.float64)
    union, place = torch.unique(torch.cat([asked.flatten(), marks]).to(y0.dtype), sorted=True, return_inverse=True)
    union, place = union.to(y0.device), place[: asked.numel()].view(asked.shape).to(y0.device)

    def solve(side: Tensor, end: int) -> Tensor:
        """States at the times of one side, which start at the anchor."""
        if len(side) == 1:
            return y0.unsqueeze(0)
        options: dict[str, Any] = {}
        if step is not None:
            grid = torch.arange(abs(end) + 1, dtype=torch.float64) * math.copysign(step, end)
            options = {"grid_constructor": lambda *_: grid.to(y0.device, y0.dtype), "interp": "cubic"}
        return odeint(lambda _, y: f(y), y0, side, method=method, rtol=rtol, atol=atol, options=options)

    behind = solve(union[union <= 0].flip(0), ends[0]).flip(0)
    ahead = solve(union[union >= 0], ends[1])
    trajectory = torch.cat([behind[:-1], ahead])  # (number of different times, B, D)
    clip = torch.arange(len(y0), device=y0.device).unsqueeze(1)
    return trajectory[place, clip]
