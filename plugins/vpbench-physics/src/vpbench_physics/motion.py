"""Laws of motion in the plane with closed forms, and the steps of Euler's scheme.

A law says where a point is, (x, y) in units, t seconds after it was at X0 with velocity V0. All laws are linear, so
positions and velocities are known exactly at any time, and so is what Euler's scheme with a fixed step comes to.

Rotation (report, equation 4)   dV/dt = (-λ + i w) V in the complex plane: circle for λ = 0, spiral for λ > 0. The
                                report's own X0 = (1, 1), V0 = i w is one of them; any V0 is a family.
Spring                          d²X/dt² = -G X - μ dX/dt about the origin, damped and oscillating.

B clips, T times. Everything is float64.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Law(Protocol):
    """A law of motion."""

    def exact(self, x0: np.ndarray, v0: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities (B, T, 2), from X0 and V0 (B, 2) at seconds t (B, T)."""
        ...

    def euler(self, x0: np.ndarray, v0: np.ndarray, steps: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
        """The same after whole numbers of steps of dt seconds, int64 (B, T)."""
        ...

    def reach(self, x0: float, v0: float, dt: float | None) -> float:
        """A bound on |coordinate| at all times where no coordinate of X0 is beyond x0 and none of V0 beyond v0.

        dt  the step of Euler's scheme; None: of the exact motion
        """
        ...


def _complex(plane: np.ndarray) -> np.ndarray:
    return plane[..., 0] + 1j * plane[..., 1]


def _plane(complex_numbers: np.ndarray) -> np.ndarray:
    return np.stack([complex_numbers.real, complex_numbers.imag], axis=-1)


@dataclass(frozen=True)
class Rotation:
    """The velocity turns by w radians a second and fades by exp(-decay t)."""

    w: float
    decay: float

    @property
    def _rate(self) -> complex:
        return complex(-self.decay, self.w)

    def exact(self, x0: np.ndarray, v0: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        turned = np.exp(self._rate * t)
        start, velocity = _complex(x0)[:, None], _complex(v0)[:, None]
        return _plane(start + velocity * (turned - 1) / self._rate), _plane(velocity * turned)

    def euler(self, x0: np.ndarray, v0: np.ndarray, steps: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
        """Equation 4: X moves on by dt V(t), where V is exact; the steps are a geometric series."""
        turn = cmath.exp(self._rate * dt)
        powers = np.exp(self._rate * dt * steps)
        start, velocity = _complex(x0)[:, None], _complex(v0)[:, None]
        return _plane(start + velocity * dt * (powers - 1) / (turn - 1)), _plane(velocity * powers)

    def reach(self, x0: float, v0: float, dt: float | None) -> float:
        # It turns about a point that is no further than a radius from X0, and stays within a radius of that.
        speed = math.hypot(v0, v0)
        radius = speed / abs(self._rate)
        if dt is not None:
            radius = speed * dt / abs(cmath.exp(self._rate * dt) - 1)
        return x0 + 2 * radius


@dataclass(frozen=True)
class Spring:
    """Drawn to the origin by stiffness times the distance, slowed down by damping times the velocity."""

    stiffness: float
    damping: float

    @property
    def _frequency(self) -> float:
        return math.sqrt(self.stiffness - self.damping**2 / 4)

    def exact(self, x0: np.ndarray, v0: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        half, frequency = self.damping / 2, self._frequency
        start, t = x0[:, None], t[..., None]
        swing = (v0[:, None] + half * start) / frequency
        fading, cosine, sine = np.exp(-half * t), np.cos(frequency * t), np.sin(frequency * t)
        positions = fading * (start * cosine + swing * sine)
        return positions, fading * frequency * (swing * cosine - start * sine) - half * positions

    def euler(self, x0: np.ndarray, v0: np.ndarray, steps: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
        """Semi-implicit: V moves on by dt times the force, then X by dt times the new V."""
        powers = self._powers(int(steps.max(initial=0)), dt)[steps]  # (B, T, 2, 2)
        state = np.stack([x0, v0], axis=1)  # (B, 2, 2): position and velocity of x and y
        moved = np.einsum("btij,bjc->btic", powers, state)
        return moved[:, :, 0], moved[:, :, 1]

    def _powers(self, n: int, dt: float) -> np.ndarray:
        """The powers 0..n of the matrix that takes (X, V) one step on, (n + 1, 2, 2)."""
        velocity = np.array([-dt * self.stiffness, 1 - dt * self.damping])
        step = np.stack([np.array([1.0, 0.0]) + dt * velocity, velocity])
        powers = np.empty((n + 1, 2, 2))
        powers[0] = np.eye(2)
        for k in range(n):
            powers[k + 1] = step @ powers[k]
        return powers

    def reach(self, x0: float, v0: float, dt: float | None) -> float:
        if dt is None:
            return math.hypot(x0, (v0 + self.damping / 2 * x0) / self._frequency)
        # In the coordinates where a step is a turn, and perhaps a shrinking one, no length grows. A length is largest
        # at a corner of what is allowed.
        _, vectors = np.linalg.eig(self._powers(1, dt)[1])
        lengths = np.abs(np.linalg.inv(vectors) @ np.array([[x0, x0], [v0, -v0]]))
        return float((np.abs(vectors[0]) @ lengths).max())

    def stable(self, dt: float) -> bool:
        """Whether Euler's scheme does not grow with this step."""
        return bool(np.abs(np.linalg.eigvals(self._powers(1, dt)[1])).max() <= 1 + 1e-12)

    def oscillates(self, dt: float) -> bool:
        """Whether Euler's scheme still swings with this step: a tenth of the swing that there is, or more.

        With less its two modes are nearly one, and the box that holds their sum is so wide that nothing moves in it.
        """
        swing = np.abs(np.linalg.eigvals(self._powers(1, dt)[1]).imag).max()
        return bool(swing >= 0.1 * self._frequency * dt)
