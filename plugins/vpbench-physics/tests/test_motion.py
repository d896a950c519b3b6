"""The laws of motion: closed forms against integration, Euler's scheme against plain loops, bounds against samples."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vpbench_physics.motion import Law, Rotation, Spring

Acceleration = Callable[[np.ndarray, np.ndarray], np.ndarray]

SPIRAL, CIRCLE, SPRING = Rotation(10.0, 1.0), Rotation(3.0, 0.0), Spring(100.0, 1.5)


def turning(w: float, decay: float) -> Acceleration:
    """dV/dt of equation 4, by its components."""
    return lambda x, v: np.stack([-decay * v[:, 0] - w * v[:, 1], w * v[:, 0] - decay * v[:, 1]], axis=1)


def pulled(stiffness: float, damping: float) -> Acceleration:
    return lambda x, v: -stiffness * x - damping * v


LAWS: dict[str, tuple[Law, Acceleration]] = {
    "spiral": (SPIRAL, turning(10.0, 1.0)),
    "circle": (CIRCLE, turning(3.0, 0.0)),
    "spring": (SPRING, pulled(100.0, 1.5)),
    "undamped spring": (Spring(4.0, 0.0), pulled(4.0, 0.0)),
}


def integrated(acceleration: Acceleration, x: np.ndarray, v: np.ndarray, t: float) -> tuple[np.ndarray, np.ndarray]:
    """Position and velocity after t seconds, by 1,000 steps of the classical Runge-Kutta scheme."""
    h = t / 1000
    for _ in range(1000):
        x1, v1 = v, acceleration(x, v)
        x2, v2 = v + h / 2 * v1, acceleration(x + h / 2 * x1, v + h / 2 * v1)
        x3, v3 = v + h / 2 * v2, acceleration(x + h / 2 * x2, v + h / 2 * v2)
        x4, v4 = v + h * v3, acceleration(x + h * x3, v + h * v3)
        x, v = x + h / 6 * (x1 + 2 * x2 + 2 * x3 + x4), v + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
    return x, v


def starts(clips: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    return generator.normal(size=(clips, 2)), 5 * generator.normal(size=(clips, 2))


@pytest.mark.parametrize("name", LAWS)
def test_closed_forms_are_what_integration_comes_to(name: str) -> None:
    law, acceleration = LAWS[name]
    x0, v0 = starts()
    positions, velocities = law.exact(x0, v0, np.full((4, 1), 1.3))
    expected_x, expected_v = integrated(acceleration, x0, v0, 1.3)
    np.testing.assert_allclose(positions[:, 0], expected_x, atol=1e-9)
    np.testing.assert_allclose(velocities[:, 0], expected_v, atol=1e-8)


@pytest.mark.parametrize("name", LAWS)
def test_every_motion_begins_at_its_start(name: str) -> None:
    law, _ = LAWS[name]
    x0, v0 = starts()
    for positions, velocities in (
        law.exact(x0, v0, np.zeros((4, 1))),
        law.euler(x0, v0, np.zeros((4, 1), dtype=np.int64), 0.01),
    ):
        np.testing.assert_array_equal(positions[:, 0], x0)
        np.testing.assert_allclose(velocities[:, 0], v0, rtol=1e-15)


def test_a_spiral_is_the_orbit_of_a_linear_field_about_its_centre() -> None:
    """dX/dt = [[-λ, -w], [w, -λ]] (X - X∞), though equation 4 depends on time: what an autonomous network can learn."""
    w, decay, x0 = 10.0, 1.0, np.array([[1.0, 1.0]])
    centre = x0 + np.array([[-(w**2), w * decay]]) / (w**2 + decay**2)
    positions, velocities = SPIRAL.exact(x0, np.array([[0.0, w]]), np.linspace(0, 2, 50)[None])
    field = np.array([[-decay, -w], [w, -decay]])
    np.testing.assert_allclose(velocities[0], (positions[0] - centre) @ field.T, atol=1e-12)
    long_after, _ = SPIRAL.exact(x0, np.array([[0.0, w]]), np.array([[60.0]]))
    np.testing.assert_allclose(long_after[0], centre, atol=1e-12)


@pytest.mark.parametrize(("decay", "apart"), [(0.0, 0.0100), (1.0, 0.0087)])
def test_eulers_rotation_is_the_loop_of_equation_4(decay: float, apart: float) -> None:
    dt, w, x = 0.001, 10.0, [1.0, 1.0]
    walked = [list(x)]
    for n in range(999):
        speed = w * math.exp(-decay * n * dt)
        x = [x[0] - dt * speed * math.sin(w * n * dt), x[1] + dt * speed * math.cos(w * n * dt)]
        walked.append(x)
    law, x0, v0, steps = Rotation(w, decay), np.ones((1, 2)), np.array([[0.0, w]]), np.arange(1000)[None]
    stepped, velocities = law.euler(x0, v0, steps, dt)
    exact, exact_velocities = law.exact(x0, v0, steps * dt)
    np.testing.assert_allclose(stepped[0], walked, atol=1e-12)
    np.testing.assert_allclose(velocities, exact_velocities, rtol=1e-12, atol=1e-11)
    assert np.linalg.norm(stepped - exact, axis=2).max() == pytest.approx(apart, abs=5e-5)


def test_eulers_spring_moves_the_velocity_first() -> None:
    dt, stiffness, damping = 1 / 300, 100.0, 1.5
    x0, v0 = starts(3)
    x, v, walked = x0, v0, []
    for _ in range(301):
        walked.append((x, v))
        v = v + dt * (-stiffness * x - damping * v)
        x = x + dt * v
    positions, velocities = Spring(stiffness, damping).euler(x0, v0, np.tile(np.arange(301), (3, 1)), dt)
    np.testing.assert_allclose(positions, np.stack([each for each, _ in walked], axis=1), atol=1e-12)
    np.testing.assert_allclose(velocities, np.stack([each for _, each in walked], axis=1), atol=1e-11)


def test_only_small_enough_steps_are_stable() -> None:
    """Semi-implicit Euler of an undamped spring is stable up to dt √stiffness = 2."""
    assert Spring(100.0, 0.0).stable(0.199)
    assert not Spring(100.0, 0.0).stable(0.201)


@pytest.mark.parametrize(("stiffness", "damping", "dt"), [(1.0, 1.5, 0.5), (0.6, 1.5, 0.5), (100.0, 0.0, 0.1999)])
def test_steps_that_hardly_swing_are_told_from_those_that_do(stiffness: float, damping: float, dt: float) -> None:
    """Both modes are the same, or both are real, or both are nearly -1; with a tenth of the step none of it is so."""
    assert not Spring(stiffness, damping).oscillates(dt)
    law = Spring(stiffness, damping)
    assert law.oscillates(dt / 10)
    assert law.reach(1.0, 2.0, dt / 10) < 1.5 * law.reach(1.0, 2.0, None)


COORDINATE = st.floats(-1, 1)


@settings(max_examples=40, deadline=None)
@given(
    law=st.one_of(
        st.builds(Rotation, st.floats(0.5, 20), st.floats(0, 5)),
        st.builds(Spring, st.floats(4, 200), st.floats(0, 3.9)),
    ),
    corner=st.tuples(COORDINATE, COORDINATE, COORDINATE, COORDINATE),
    speed=st.floats(0.1, 20),
    dt=st.sampled_from([None, 0.001, 0.05]),
)
def test_nothing_goes_further_than_reach(law: Law, corner: tuple[float, ...], speed: float, dt: float | None) -> None:
    x0, v0 = np.array([corner[:2]]), speed * np.array([corner[2:]])
    steps = np.arange(2000)[None]
    positions, _ = law.exact(x0, v0, steps * 0.013) if dt is None else law.euler(x0, v0, steps, dt)
    assert np.abs(positions).max() <= law.reach(1.0, speed, dt) * (1 + 1e-9)


def test_reach_is_of_all_corners_where_steps_are_large() -> None:
    """Semi-implicit steps lean to one side: a start that moves outwards goes further than one that moves inwards."""
    law, steps = Spring(100.0, 0.0), np.arange(500)[None]
    furthest = [
        np.abs(law.euler(np.ones((1, 2)), np.full((1, 2), velocity), steps, 0.1)[0]).max() for velocity in (10.0, -10.0)
    ]
    assert abs(furthest[0] - furthest[1]) > 0.1
    assert 0.9 * law.reach(1.0, 10.0, 0.1) < max(furthest) <= law.reach(1.0, 10.0, 0.1) * (1 + 1e-9)


@pytest.mark.parametrize("dt", [None, 0.01])
@pytest.mark.parametrize("law", [Rotation(5.0, 0.0), Spring(20.0, 0.0)], ids=["rotation", "spring"])
def test_reach_is_not_much_further_than_what_is_reached(law: Law, dt: float | None) -> None:
    """A bound of ten times as much would hold, too, and make the motion a tenth of the frame."""
    sides = np.linspace(-1, 1, 9)
    grid = np.stack(np.meshgrid(sides, sides, sides, sides), axis=-1).reshape(-1, 4)
    steps = np.tile(np.arange(0, 200, 2), (len(grid), 1))
    x0, v0 = grid[:, :2], 3 * grid[:, 2:]
    positions, _ = law.exact(x0, v0, steps * 0.01) if dt is None else law.euler(x0, v0, steps, dt)
    assert np.abs(positions).max() > 0.8 * law.reach(1.0, 3.0, dt)
