"""The solver against closed forms, textbook arithmetic and a float64 dopri5 of torchdiffeq at 1e-10."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from torch import Tensor
from torchdiffeq import odeint
from vpbench_latentode.config import ADAPTIVE_SOLVERS, FIXED_SOLVERS, Config
from vpbench_latentode.network import VectorField
from vpbench_latentode.ode import rk4_hermite, rk4_step, torchdiffeq_solve

Field = Callable[[Tensor], Tensor]
STEP = 0.2  # latent time; the default config: two frames of 0.1


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def network_field(*, activation: str = "tanh", dtype: torch.dtype = torch.float64) -> VectorField:
    """The model's own vector field, small, with its quiet last layer made strong enough to bend the trajectories."""
    field = VectorField(Config(dynamics=6, hidden=24, activation=activation)).to(dtype)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in field.layers[-1].parameters():
            parameter.mul_(30)
    return field.requires_grad_(False)


def states(clips: int = 3, *, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(clips, 12, dtype=dtype)


def per_clip(times: Tensor | list[float], clips: int = 3) -> Tensor:
    return torch.as_tensor(times, dtype=torch.float64).expand(clips, -1)


def reference(f: Field, y0: Tensor, times: Tensor) -> Tensor:
    """float64 dopri5 at 1e-10, one clip and one time at a time: (B, T, D)."""
    rows = []
    for state, asked in zip(y0, times, strict=True):
        found = []
        for time in asked:
            if time == 0:
                found.append(state)
                continue
            grid = torch.stack([torch.zeros_like(time), time])
            solved = odeint(lambda _, y: f(y), state[None], grid, method="dopri5", rtol=1e-10, atol=1e-10)
            found.append(solved[-1, 0])
        rows.append(torch.stack(found))
    return torch.stack(rows)


def largest(difference: Tensor) -> float:
    return difference.abs().max().item()


# ------------------------------------------------------------------------------------------------------- correctness


@pytest.mark.parametrize("activation", ["tanh", "softplus", "silu"])
def test_agrees_with_dopri5_forwards_and_backwards(activation: str) -> None:
    field, y0 = network_field(activation=activation), states()
    times = per_clip([-1.1, -0.45, 0.0, 0.07, 0.2, 1.03, 2.5])
    expected = reference(field, y0, times)
    assert largest(expected[:, -1] - expected[:, 2]) > 1  # there is something to be wrong about
    coarse = rk4_hermite(field, y0, times, step=STEP)
    fine = rk4_hermite(field, y0, times, step=STEP / 16)
    assert largest(coarse - expected) < 2e-5 * largest(expected)
    assert largest(fine - expected) < 1e-7 * largest(expected)


def test_float32_loses_nothing_to_the_solver() -> None:
    field, y0, times = network_field(), states(), per_clip([-0.9, 0.3, 2.2, 9.0])
    exact = rk4_hermite(field, y0, times, step=STEP)
    single = rk4_hermite(field.float(), y0.float(), times, step=STEP)
    assert single.dtype == torch.float32
    assert largest(single - exact) < 1e-5 * largest(exact)


def oscillator(y: Tensor) -> Tensor:
    return torch.stack([y[:, 1], -4 * y[:, 0]], dim=1)  # angular frequency 2


def damped_rotation(y: Tensor) -> Tensor:
    return torch.stack([-0.3 * y[:, 0] - y[:, 1], y[:, 0] - 0.3 * y[:, 1]], dim=1)


@pytest.mark.parametrize(
    ("field", "start", "solution"),
    [
        (lambda y: -y, [1.5], lambda t: [1.5 * math.exp(-t)]),
        (oscillator, [1.0, 0.5], lambda t: [math.cos(2 * t) + 0.25 * math.sin(2 * t), None]),
        (
            damped_rotation,
            [1.0, 0.0],
            lambda t: [math.exp(-0.3 * t) * math.cos(t), math.exp(-0.3 * t) * math.sin(t)],
        ),
    ],
    ids=["decay", "oscillator", "damped rotation"],
)
def test_agrees_with_closed_forms(
    field: Field, start: list[float], solution: Callable[[float], list[float | None]]
) -> None:
    times = [-2.0, -0.33, 0.0, 0.05, 1.0, math.pi]
    solved = rk4_hermite(field, torch.tensor([start], dtype=torch.float64), per_clip(times, 1), step=0.05)[0]
    for row, time in zip(solved, times, strict=True):
        for value, expected in zip(row, solution(time), strict=True):
            assert expected is None or value.item() == pytest.approx(expected, abs=5e-6)


def test_one_step_is_the_classical_tableau() -> None:
    field, y0, h = network_field(), states(1), 0.37
    a = np.array([[0, 0, 0, 0], [0.5, 0, 0, 0], [0, 0.5, 0, 0], [0, 0, 1, 0]])
    b = np.array([1, 2, 2, 1]) / 6
    slopes = np.zeros((4, 12))
    for stage in range(4):
        y = y0.numpy() + h * a[stage] @ slopes
        slopes[stage] = field(torch.from_numpy(y)).numpy()
    expected = y0.numpy() + h * b @ slopes
    np.testing.assert_allclose(rk4_step(field, y0, field(y0), h).numpy(), expected, rtol=0, atol=1e-14)


def powers(y: Tensor) -> Tensor:
    """Solved by y_k = t^k / k! from (1, 0, 0, ...)."""
    return torch.cat([torch.zeros_like(y[:, :1]), y[:, :-1]], dim=1)


def test_cubics_are_reproduced_between_grid_points() -> None:
    times = torch.linspace(-2.9, 3.1, 41, dtype=torch.float64)
    start = torch.tensor([[1.0, 0, 0, 0, 0]], dtype=torch.float64)
    solved = rk4_hermite(powers, start, times[None], step=1.0)[0]
    for k in range(4):
        assert largest(solved[:, k] - times**k / math.factorial(k)) < 1e-14 * 10**k
    # One degree more is exact at the grid points only: the Hermite error is (theta (1 - theta))^2 / 4!.
    theta = times - times.floor()
    quartic = solved[:, 4] - times**4 / 24
    assert largest(quartic + (theta * (1 - theta)) ** 2 / 24) < 1e-13


@pytest.mark.parametrize("times", [[-1.6, 1.6], np.linspace(-1.6, 1.6, 401)], ids=["at grid points", "between them"])
@pytest.mark.parametrize("activation", ["tanh", "softplus", "silu"])
def test_order_of_convergence_is_four(activation: str, times: list[float]) -> None:
    # Not asserted of relu, whose kinks cap the order of any Runge-Kutta method, nor of celu, which has one derivative.
    field, y0 = network_field(activation=activation), states()
    asked = per_clip(times)
    exact = rk4_hermite(field, y0, asked, step=0.2 / 32)
    errors = [largest(rk4_hermite(field, y0, asked, step=step) - exact) for step in (0.2, 0.1, 0.05)]
    for coarse, fine in itertools.pairwise(errors):
        assert 11 < coarse / fine < 24, errors


def test_going_there_and_back_returns_to_the_start() -> None:
    field, y0 = network_field(), states()
    for time in (0.5, 1.37, -1.37):
        there = rk4_hermite(field, y0, per_clip([time]), step=0.02)[:, 0]
        back = rk4_hermite(field, there, per_clip([-time]), step=0.02)[:, 0]
        assert largest(there - y0) > 0.1
        assert largest(back - y0) < 1e-6


# --------------------------------------------------------------------------------------- what does not move an answer


def test_other_times_in_any_order_move_no_bit() -> None:
    field, y0 = network_field(dtype=torch.float32), states(dtype=torch.float32)
    rng = np.random.default_rng(0)
    times = np.concatenate([rng.uniform(-0.9, 4, 12), np.arange(0, 20) * 0.1, [0.0, 0.6000000001, 3.9999999999]])
    alone = {time: rk4_hermite(field, y0, per_clip([time]), step=STEP)[:, 0] for time in times}
    for extra in ([], [50.0], [-7.3], [-7.3, 50.0]):
        asked = rng.permutation([*times, *times[:5], *extra])
        together = rk4_hermite(field, y0, per_clip(asked), step=STEP)
        for place, time in enumerate(asked):
            if time in alone:
                assert torch.equal(together[:, place], alone[time])


def test_each_clip_has_times_of_its_own() -> None:
    field, y0 = network_field(dtype=torch.float32), states(dtype=torch.float32)
    times = torch.tensor([[0.1, 0.5, 3.0], [-1.0, 0.0, 0.25], [7.7, 7.7, -0.2]], dtype=torch.float64)
    solved = rk4_hermite(field, y0, times, step=STEP)
    for clip in range(3):
        everyone = rk4_hermite(field, y0, times[clip].expand(3, -1), step=STEP)
        assert torch.equal(solved[clip], everyone[clip])


def test_other_clips_do_not_matter() -> None:
    field, y0, times = network_field(dtype=torch.float32), states(8, dtype=torch.float32), per_clip([-0.3, 0.9, 4.0], 8)
    together = rk4_hermite(field, y0, times, step=STEP)
    for clip in range(8):
        alone = rk4_hermite(field, y0[clip, None], times[clip, None], step=STEP)
        # Matrix products of another size may add up in another order.
        torch.testing.assert_close(together[clip], alone[0], rtol=1e-5, atol=1e-5)


def test_what_blows_up_later_or_elsewhere_leaves_the_rest_alone() -> None:
    y0 = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)  # y' = y^2: 1 / (1 - t) and -1 / (1 + t)
    times = [0.2, 0.4, 0.5, 30.0]
    near = rk4_hermite(lambda y: y**2, y0, per_clip(times[:3], 2), step=STEP)
    far = rk4_hermite(lambda y: y**2, y0, per_clip(times, 2), step=STEP)
    assert not far[0, -1].isfinite()
    assert torch.equal(far[:, :3], near)
    assert far[1, -1].item() == pytest.approx(-1 / 31, rel=1e-3)


def test_times_on_grid_points_are_the_grid_points() -> None:
    field, y0 = network_field(dtype=torch.float32), states(dtype=torch.float32)
    node, expected = y0, [y0]
    for _ in range(30):
        node = rk4_step(field, node, field(node), STEP)
        expected.append(node)
    back = rk4_step(field, y0, field(y0), -STEP)
    times = [2 * k * 0.1 for k in range(31)]
    solved = rk4_hermite(field, y0, per_clip([*times, -0.2]), step=STEP)
    assert torch.equal(solved, torch.stack([*expected, back], dim=1))


def counted(field: Field) -> tuple[Field, list[int]]:
    calls = [0]

    def count(y: Tensor) -> Tensor:
        calls[0] += 1
        return field(y)

    return count, calls


def test_rounded_times_open_no_step_of_their_own() -> None:
    y0 = torch.ones(1, 1, dtype=torch.float64)
    sums = np.cumsum(np.full(400, 0.1))  # 0.1 + 0.1 + ...: off by many last bits
    for k in (*range(1, 40), *range(391, 400)):
        for time in (k * 0.1, sums[k - 1]):
            for sign in (1, -1):
                field, calls = counted(lambda y: -0.01 * y)
                rk4_hermite(field, y0, per_clip([0.0, sign * time], 1), step=STEP)
                steps = math.ceil(k / 2) + (sign < 0)  # the first step ahead is always made
                assert calls == [4 * steps + 1], (k, time)


@pytest.mark.parametrize("times", [[18.0], np.linspace(0, 18, 1000)], ids=["one time", "a thousand"])
def test_evaluations_do_not_grow_with_the_number_of_times(times: list[float]) -> None:
    field, calls = counted(lambda y: -0.1 * y)
    rk4_hermite(field, torch.ones(2, 1), per_clip(times, 2), step=STEP)
    assert calls == [4 * 90 + 1]


def test_times_and_states_of_different_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="times are for 2 clips, states for 3"):
        rk4_hermite(lambda y: y, torch.zeros(3, 1), torch.zeros(2, 4), step=0.1)


# ---------------------------------------------------------------------------------------------------------- gradients


def test_gradients_agree_with_finite_differences() -> None:
    first, second = torch.randn(3, 4, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    y0 = torch.randn(2, 3, dtype=torch.float64)
    times = torch.tensor([[-0.5, 0.0, 0.13], [0.4, -0.21, 0.9]], dtype=torch.float64)

    def solve(y0: Tensor, first: Tensor, second: Tensor) -> Tensor:
        return rk4_hermite(lambda y: torch.tanh(y @ first) @ second, y0, times, step=0.4)

    inputs = tuple(each.requires_grad_() for each in (y0, first, second))
    assert torch.autograd.gradcheck(solve, inputs, eps=1e-6, atol=1e-7)


# --------------------------------------------------------------------------------------------------------- torchdiffeq


@pytest.mark.parametrize(
    ("method", "step", "tolerance"),
    [
        *((method, None, 1e-5) for method in ADAPTIVE_SOLVERS),  # their interpolants are less exact than their steps
        ("rk4", 0.02, 1e-5),
        ("midpoint", 0.01, 2e-3),
        ("euler", 0.001, 2e-2),
    ],
)
def test_torchdiffeq_solvers_give_the_same_answer(method: str, step: float | None, tolerance: float) -> None:
    field, y0 = network_field(), states(2)
    times = torch.tensor([[-0.4, 0.0, 0.31, 0.7], [0.1, 0.31, -0.23, 0.1]], dtype=torch.float64)
    expected = rk4_hermite(field, y0, times, step=0.2 / 32)
    solved = torchdiffeq_solve(field, y0, times, method=method, rtol=1e-8, atol=1e-8, step=step)
    assert solved.shape == expected.shape
    assert largest(solved - expected) < tolerance * largest(expected)


def test_every_torchdiffeq_solver_of_the_config_is_tested_above() -> None:
    assert {*ADAPTIVE_SOLVERS, *FIXED_SOLVERS, "rk4-hermite"} == set(get_args(get_type_hints(Config)["solver"]))


@pytest.mark.parametrize("method", FIXED_SOLVERS)
def test_fixed_torchdiffeq_solvers_take_whole_steps(method: str) -> None:
    """Asking for further times does not shorten the last step, which would move the answers in it."""
    field, y0 = network_field(dtype=torch.float32), states(dtype=torch.float32)

    def solve(times: list[float]) -> Tensor:
        return torchdiffeq_solve(field, y0, per_clip(times), method=method, rtol=1e-3, atol=1e-3, step=STEP)

    times = [-0.35, -0.2, 0.0, 0.05, 0.6, 0.65]
    alone = torch.cat([solve([time]) for time in times], dim=1)
    assert torch.equal(solve(times), alone)
    assert torch.equal(solve([*reversed(times), 3.0, -1.11])[:, :6].flip(1), alone)
    regular = [k * 0.1 for k in range(61)]
    long = solve(regular)
    for k in (1, 3, 6, 7, 12, 14, 35, 46, 60):
        assert torch.equal(solve(regular[: k + 1]), long[:, : k + 1])


@pytest.mark.parametrize("method", ADAPTIVE_SOLVERS)
def test_adaptive_torchdiffeq_solvers_do_not_mind_a_longer_horizon(method: str) -> None:
    field, y0 = network_field(dtype=torch.float32), states(dtype=torch.float32)
    times = [0.1, 0.2, 0.77]
    near = torchdiffeq_solve(field, y0, per_clip(times), method=method, rtol=1e-3, atol=1e-3, step=None)
    far = torchdiffeq_solve(field, y0, per_clip([*times, 4.0]), method=method, rtol=1e-3, atol=1e-3, step=None)
    assert torch.equal(far[:, :3], near)


def test_an_adaptive_solver_that_gives_up_says_so() -> None:
    with pytest.raises(AssertionError, match="underflow"):
        torchdiffeq_solve(
            lambda y: y * math.nan, states(), per_clip([1.0]), method="dopri5", rtol=1e-3, atol=1e-3, step=None
        )
