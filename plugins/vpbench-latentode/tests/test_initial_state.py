"""The fitted start of a trajectory, where the trajectory is known in closed form."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from vpbench_latentode.initial_state import fit_initial_state

TIMES = torch.linspace(0.1, 3, 12, dtype=torch.float64)


def logistic(starts: Tensor) -> Tensor:
    """Two growths x' = x (1 - x) and their product, (N, 2) to (N, T, 3): not linear in the start."""
    decay = torch.exp(-TIMES)
    first, second = (1 / (1 + (1 / starts[:, axis, None] - 1) * decay) for axis in (0, 1))
    return torch.stack([first, second, first * second], dim=2)


def rotation(starts: Tensor) -> Tensor:
    """(N, 2) to (N, T, 1): the first coordinate of a rotation, which tells of both where it is seen twice."""
    return (starts[:, :1] * torch.cos(TIMES) - starts[:, 1:] * torch.sin(TIMES)).unsqueeze(2)


def every(clips: int) -> Tensor:
    return torch.ones(clips, len(TIMES), dtype=torch.bool)


def test_a_planted_start_is_found() -> None:
    planted = torch.rand(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2
    guess = torch.full_like(planted, 0.5)
    found = fit_initial_state(logistic, guess, logistic(planted), every(7), iterations=8)
    torch.testing.assert_close(found, planted, rtol=0, atol=1e-8)
    assert (guess == 0.5).all()


def test_in_float32_it_is_found_as_far_as_that_tells() -> None:
    planted = torch.tensor([[0.3, 0.7], [0.6, 0.2]])
    seen = logistic(planted.double()).float()

    def solve(starts: Tensor) -> Tensor:
        return logistic(starts.double()).float()

    found = fit_initial_state(solve, torch.full_like(planted, 0.5), seen, every(2), iterations=8)
    torch.testing.assert_close(found, planted, rtol=0, atol=1e-4)


def test_of_noisy_frames_it_is_the_least_squares_solution() -> None:
    random = np.random.default_rng(0)
    seen = torch.from_numpy(random.normal(size=(3, len(TIMES), 1)))
    known = torch.from_numpy(random.random((3, len(TIMES))) < 0.7)
    found = fit_initial_state(rotation, torch.zeros(3, 2, dtype=torch.float64), seen, known, iterations=6)
    for clip in range(3):
        rows = known[clip].numpy()
        matrix = np.stack([np.cos(TIMES.numpy()), -np.sin(TIMES.numpy())], axis=1)[rows]
        expected, *_ = np.linalg.lstsq(matrix, seen[clip, rows, 0].numpy(), rcond=None)
        np.testing.assert_allclose(found[clip], expected, atol=1e-7)


def test_frames_that_are_not_known_do_not_count() -> None:
    planted = torch.tensor([[0.3, 0.7]], dtype=torch.float64)
    seen, known = logistic(planted), every(1)
    seen[:, 3:6], known[:, 3:6] = 9.0, False
    found = fit_initial_state(logistic, torch.full_like(planted, 0.5), seen, known, iterations=8)
    torch.testing.assert_close(found, planted, rtol=0, atol=1e-8)


def test_clips_do_not_know_of_each_other() -> None:
    seen = torch.rand(5, len(TIMES), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    guess = torch.rand(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 0.5 + 0.25
    together = fit_initial_state(logistic, guess, seen, every(5), iterations=5)
    for clip in range(5):
        alone = fit_initial_state(logistic, guess[clip, None], seen[clip, None], every(1), iterations=5)
        torch.testing.assert_close(alone[0], together[clip], rtol=0, atol=1e-12)


def test_what_no_frame_depends_on_stays_as_guessed() -> None:
    def first_only(starts: Tensor) -> Tensor:
        return logistic(starts)[..., :1]

    planted = torch.tensor([[0.3, 0.7]], dtype=torch.float64)
    found = fit_initial_state(first_only, torch.full_like(planted, 0.5), first_only(planted), every(1), iterations=8)
    torch.testing.assert_close(found, torch.tensor([[0.3, 0.5]], dtype=torch.float64), rtol=0, atol=1e-8)


def test_it_never_fits_worse_than_the_guess_even_where_trajectories_blow_up() -> None:
    def explosive(starts: Tensor) -> Tensor:
        blown = torch.where(starts[:, :1].abs() > 0.6, torch.nan, starts[:, :1])
        return torch.tan(blown.unsqueeze(1) * TIMES.view(1, -1, 1))

    guess = torch.tensor([[0.5], [0.1]], dtype=torch.float64)
    seen = torch.full((2, len(TIMES), 1), 50.0, dtype=torch.float64)
    found = fit_initial_state(explosive, guess, seen, every(2), iterations=6)

    def cost(starts: Tensor) -> Tensor:
        return (explosive(starts) - seen).square().sum(dim=(1, 2))

    assert found.isfinite().all()
    assert (cost(found) <= cost(guess)).all()
    assert (cost(found) < cost(guess)).any()
