"""The state from which a solved trajectory fits what was seen best: nonlinear least squares, clip by clip."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Solve = Callable[[Tensor], Tensor]

#: Of a number of the state, of order 1, for central differences; the best of both errors, by number of digits.
PERTURBATION = {torch.float64: 1e-5, torch.float32: 1e-3}
FIRST_DAMPING, DAMPING_FACTOR = 1e-3, 10.0  # Marquardt's, of the diagonal
RIDGE = 1e-10  # what no frame depends on stays where it is, and the matrix regular


@torch.no_grad()
def fit_initial_state(solve: Solve, guess: Tensor, seen: Tensor, known: Tensor, *, iterations: int) -> Tensor:
    """Gauss-Newton with Levenberg-Marquardt damping from a guess, a fixed number of steps, each clip on its own.

    solve       initial states (N, D) to trajectories (N, T, K) at the times of the frames; N is a multiple of B, whose
                row i belongs to clip i % B
    guess       (B, D), float64 or float32, as all the rest
    seen        (B, T, K): what the trajectories are to fit
    known       bool (B, T) on the device of seen: the frames that count
    returns     (B, D); never fits worse than the guess

    The Jacobian is of central differences, all perturbed states in one solve. A step that does not lower the squared
    error of a clip is not taken, and the clip's damping rises (Nocedal and Wright, Numerical Optimization, 2006, 10.3).
    """
    clips, size = guess.shape
    weight = known.unsqueeze(-1).to(seen.dtype)

    def residual(trajectory: Tensor) -> Tensor:
        return ((trajectory - seen) * weight).flatten(1)

    perturbation = PERTURBATION[guess.dtype]
    directions = torch.eye(size, dtype=guess.dtype, device=guess.device) * perturbation
    shifts = torch.cat([directions, -directions]).unsqueeze(1)  # (2D, 1, D)
    state, error = guess, residual(solve(guess))
    cost = error.square().sum(dim=1)
    damping = torch.full_like(cost, FIRST_DAMPING)
    for _ in range(iterations):
        ahead, behind = solve((state + shifts).flatten(0, 1)).unflatten(0, (2, size, clips)).unbind(0)
        slopes = ((ahead - behind) * weight / (2 * perturbation)).flatten(2)  # (D, B, T * K)
        jacobian = slopes.permute(1, 2, 0)
        normal = jacobian.mT @ jacobian
        downhill = (jacobian.mT @ error.unsqueeze(-1)).squeeze(-1)
        diagonal = normal.diagonal(dim1=1, dim2=2)
        damped = normal + torch.diag_embed(damping.unsqueeze(1) * diagonal + RIDGE)
        step, _ = torch.linalg.solve_ex(damped, downhill)
        tried = state - step
        tried_error = residual(solve(tried))
        tried_cost = tried_error.square().sum(dim=1)
        better = tried_cost < cost  # never where it is not finite
        state = torch.where(better.unsqueeze(1), tried, state)
        error = torch.where(better.unsqueeze(1), tried_error, error)
        cost = torch.where(better, tried_cost, cost)
        damping = torch.where(better, damping / DAMPING_FACTOR, damping * DAMPING_FACTOR)
    return state
