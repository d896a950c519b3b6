"""How far one statistic of one cell may differ between two measurements and still be the same.

Other machines add in another order: float32 convolutions differ by about 1e-6, and thresholds flip single pixels. So a
value may differ by a share of itself and of the usual size of its kind; the least is for what is 0 throughout.
"""

from __future__ import annotations

import numpy as np

RELATIVE, OF_USUAL, LEAST = 2e-3, 1e-3, 1e-9


def tolerance(recorded: np.ndarray) -> np.ndarray:
    """How far each of these values may be from the same measured elsewhere; NaN where there is no value."""
    return LEAST + RELATIVE * np.abs(recorded) + OF_USUAL * usual(recorded)


def usual(values: np.ndarray) -> float:
    """Mean magnitude of those that are there; 0 where none is."""
    there = np.abs(values[~np.isnan(values)])
    return float(there.mean()) if len(there) else 0.0


def alike(found: np.ndarray, recorded: np.ndarray) -> bool:
    """Whether these are the same values, measured twice; missing ones must be missing in both."""
    missing = np.isnan(recorded)
    if found.shape != recorded.shape or (np.isnan(found) != missing).any():
        return False
    return bool((np.abs(found - recorded) <= tolerance(recorded))[~missing].all())
