"""Bounds that the configs of several models share. Each check raises ValueError, in words."""

from __future__ import annotations

import math

MOST_FREQUENCIES = 16  # octaves; finer waves than 2^15 half ones a frame lie between any pixels
LEAST, MOST = 1e-3, 1e4  # frame periods per step, each of four evaluations of the field; time units per frame period


def check_steps(*, frames_per_step: float, frame_dt: float) -> None:
    """Steps that a solver can take in the time there is."""
    for name, value in (("frames_per_step", frames_per_step), ("frame_dt", frame_dt)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value}")
        if not LEAST <= value <= MOST:
            raise ValueError(f"{name} must be from {LEAST:g} to {MOST:g}, got {value:g}")


def check_coordinates(*, spatial_encoding: bool, spatial_frequencies: int) -> None:
    """Waves only where there are coordinates, and no finer ones than pixels show."""
    if not 0 <= spatial_frequencies <= MOST_FREQUENCIES:
        raise ValueError(f"spatial_frequencies must be from 0 to {MOST_FREQUENCIES}, got {spatial_frequencies}")
    if spatial_frequencies and not spatial_encoding:
        raise ValueError("spatial_encoding=false leaves out all coordinate maps, so spatial_frequencies must be 0")
