"""Solving dy/dt = f(y) at any times, per clip, forwards and backwards from one anchor.

The default is a fixed-step RK4 whose grid is tied to the anchor and not to the questions, with cubic Hermite
interpolation in between. So the cost does not depend on how many times are asked for, every clip may have times of its
own, and no answer depends on what else is asked or on who else is in the batch. torchdiffeq's solvers are there for
parity with the report, which used dopri5; with those one step size serves the whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

VectorField = Callable[[Tensor], Tensor]


def rk4_step(f: VectorField, y: Tensor, slope: Tensor, h: float) -> Tensor:
    """One classical Runge-Kutta step of order 4. `slope` is f(y), already known from the step before."""
    k2 = f(y + (h / 2) * slope)
    k3 = f(y + (h / 2) * k2)
    k4 = f(y + h * k3)
    return y + (h / 6) * (slope + 2 * (k2 + k3) + k4)


def _march(f: VectorField, y0: Tensor, slope0: Tensor, h: float, n: int) -> tuple[list[Tensor], list[Tensor]]:
    """States and slopes at h, 2h, ..., nh."""
    states, slopes, y, slope = [], [], y0, slope0
    for _ in range(n):
        y = rk4_step(f, y, slope, h)
        slope = f(y)
        states.append(y)
        slopes.append(slope)
    return states, slopes


def rk4_hermite(f: VectorField, y0: Tensor, times: Tensor, *, step: float) -> Tensor:
    """Solve from y(0) = y0 with steps of fixed size, answer between the grid points by cubic Hermite.

    y0      (B, D)
    times   (B, T) in the same unit as step, any order, negative ones are solved backwards
    step    positive; a Python float, so that a GPU never waits for the host
    returns (B, T, D); global error of order 4 in step for a smooth f (Hairer, Norsett, Wanner 1993, II.1 and II.6)
    """
    if times.shape[0] != y0.shape[0]:
        raise ValueError(f"times are for {times.shape[0]} clips, states for {y0.shape[0]}")
    first, last = times.min().item(), times.max().item()
    # A query on a grid point must not open a step of its own because of the last bit of its time.
    ahead = max(1, math.ceil(last / step - 1e-6))
    behind = max(0, math.ceil(-first / step - 1e-6))
    slope0 = f(y0)
    states, slopes = _march(f, y0, slope0, step, ahead)
    past_states, past_slopes = _march(f, y0, slope0, -step, behind)
    y = torch.stack([*reversed(past_states), y0, *states], dim=1)  # (B, behind + 1 + ahead, D)
    dy = torch.stack([*reversed(past_slopes), slope0, *slopes], dim=1) * step

    position = times / step + behind
    segment = position.floor().clamp(0, ahead + behind - 1)
    theta = (position - segment).to(y.dtype).unsqueeze(-1)
    left = segment.long().unsqueeze(-1).expand(-1, -1, y.shape[-1])
    y_left, y_right = y.gather(1, left), y.gather(1, left + 1)
    dy_left, dy_right = dy.gather(1, left), dy.gather(1, left + 1)
    rest = 1 - theta
    return (
        (1 + 2 * theta) * rest**2 * y_left
        + theta**2 * (3 - 2 * theta) * y_right
        + theta * rest * (rest * dy_left - theta * dy_right)
    )


def torchdiffeq_solve(
    f: VectorField,
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
    ones); with it they interpolate, so that the answer at one time does not depend on the other times.
    Raises RuntimeError or AssertionError where an adaptive step underflows.
    """
    from torchdiffeq import odeint

    options = {} if step is None else {"step_size": step, "interp": "cubic"}
    union, place = torch.unique(times.to(y0.dtype), sorted=True, return_inverse=True)
    zero = union.new_zeros(1)
    pieces = []
    for side, order in ((union[union < 0].flip(0), -1), (union[union >= 0], 1)):
        if not len(side):
            continue
        starts_at_anchor = bool(side[0] == 0)
        grid = side if starts_at_anchor else torch.cat([zero, side])
        if len(grid) == 1:
            solved = y0.unsqueeze(0)
        else:
            solved = odeint(lambda _, y: f(y), y0, grid, method=method, rtol=rtol, atol=atol, options=options)
        solved = solved if starts_at_anchor else solved[1:]
        pieces.append(solved if order > 0 else solved.flip(0))
    trajectory = torch.cat(pieces)  # (number of different times, B, D)
    clip = torch.arange(len(y0), device=y0.device).unsqueeze(1)
    return trajectory[place, clip]
