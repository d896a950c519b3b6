"""Figures 6 and 8: what the two latent ODEs are made of, with the sizes of the models themselves."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from . import style
from .balls import MOVED
from .trained import bundled, trained


def _box(axes: Axes, x: float, y: float, text: str, colour: str, width: float = 1.5) -> None:
    axes.add_patch(
        FancyBboxPatch((x, y - 0.3), width, 0.6, boxstyle="round,pad=0.06", facecolor=colour, alpha=0.25, linewidth=0.8)
    )
    axes.text(x + width / 2, y, text, ha="center", va="center", fontsize=8)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "linewidth": 0.9, "color": style.INK})


def _canvas() -> tuple[Figure, Axes]:
    figure, axes = style.panels(1, height=2.6)
    place: Axes = axes[0, 0]
    place.set(xlim=(-0.2, 11.4), ylim=(-1.4, 1.4))
    place.axis("off")
    return figure, place


def figure_6() -> tuple[Figure, dict[str, Any]]:
    """`latentode-entangled`."""
    model = trained(MOVED).model
    size = int(model.config.latent)
    figure, axes = _canvas()
    for y, name in ((0.7, "last frame"), (-0.7, "frame before")):
        _box(axes, 0, y, f"{name}\n+ coordinates", style.SKY)
        _box(axes, 2.3, y, f"encoder E\n{size} numbers", style.BLUE)
        _arrow(axes, (1.6, y), (2.2, y))
        _arrow(axes, (3.9, y), (4.5, y / 3))
    _box(axes, 4.6, 0, f"Z = (z, Δz/Δt)\n{2 * size} numbers", style.GREEN)
    _box(axes, 6.9, 0, "neural ODE\nto any time", style.ORANGE)
    _box(axes, 9.2, 0, f"decoder D\nof z, {size} numbers", style.BLUE, 1.8)
    for x in (6.2, 8.5):
        _arrow(axes, (x, 0), (x + 0.6, 0))
    return figure, {"latent": size, "parameters": sum(each.numel() for each in model.parameters())}


def figure_8() -> tuple[Figure, dict[str, Any]]:
    """`latentode`."""
    model = bundled("latentode", 10).model
    config = model.config
    figure, axes = _canvas()
    _box(axes, 0, 0, "10 frames stacked\n+ coordinates", style.SKY, 1.7)
    _box(axes, 2.4, 0, "encoder\n(Table 1)", style.BLUE)
    _box(axes, 4.7, 0.7, f"state (x, v)\n{config.state} numbers", style.GREEN)
    _box(axes, 4.7, -0.7, f"appearance\n{config.appearance} numbers", style.RED)
    _box(axes, 6.9, 0.7, "neural ODE\nto any time", style.ORANGE)
    _box(axes, 9.2, 0, f"decoder (Table 2) of\nx {config.dynamics} + {config.appearance} numbers", style.BLUE, 1.9)
    _arrow(axes, (1.8, 0), (2.3, 0))
    for y in (0.7, -0.7):
        _arrow(axes, (4.0, 0), (4.6, y))
    _arrow(axes, (6.3, 0.7), (6.8, 0.7))
    _arrow(axes, (8.5, 0.7), (9.1, 0.2))
    _arrow(axes, (6.3, -0.7), (9.1, -0.2))
    return figure, {"state": config.state, "parameters": sum(each.numel() for each in model.parameters())}
