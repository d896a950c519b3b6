"""Figures 1 and 2: one trajectory, learnt from its first 80 % and continued to its end."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from . import style
from .trained import Part, Trained, trained

CLEAN = [Part("trajectory.toml", "circle"), Part("trajectory.toml", "spiral")]
NOISY = [Part("trajectory.toml", "circle-noisy"), Part("trajectory.toml", "spiral-noisy")]


def _asked(model: Trained) -> dict[str, np.ndarray]:
    """True, measured and predicted positions (1000, 2), in units; the model is given the first 80 %."""
    low, high = model.dataset.info.value_range
    times = np.arange(1000.0)
    clip = model.clips("test", [0], times)
    shown = clip.frames if clip.shown is None else clip.shown
    predicted = model.predict(shown[:, :800], times[:800], times)
    true = np.asarray(clip.truth["positions"])[0]
    return {
        "true": true,
        "measured": low + (high - low) * np.asarray(shown)[0, :, :, 0, 0],
        "predicted": low + (high - low) * predicted[0, :, :, 0, 0],
    }


def _rmse(found: dict[str, np.ndarray], span: slice) -> float:
    return float(np.sqrt(((found["predicted"][span] - found["true"][span]) ** 2).mean()))


def figure_1() -> tuple[Figure, dict[str, Any]]:
    figure, axes = style.panels(2, height=4.2)
    numbers: dict[str, Any] = {}
    for place, part in zip(axes[0], CLEAN, strict=True):
        found = _asked(trained(part))
        place.plot(
            *found["true"][:800].T,
            color=style.BLUE,
            linewidth=4,
            label="known, 0–0.8 s (segments of 0.1–0.8 s are learnt)",
        )
        place.plot(*found["true"][800:].T, color=style.SKY, linewidth=4, label="tested, 0.8–1 s")
        place.plot(*found["predicted"].T, color=style.ORANGE, label="neural ODE, 0–1 s")
        errors = [_rmse(found, slice(0, 800)), _rmse(found, slice(800, None))]
        numbers[part.name] = {"rmse_train_span": errors[0], "rmse_test_span": errors[1]}
        place.set(title=f"{part.name}: RMSE {errors[0]:.4f}, then {errors[1]:.4f}", xlabel="x", ylabel="y", aspect=1)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure, numbers


def figure_2() -> tuple[Figure, dict[str, Any]]:
    figure, axes = style.panels(2, height=3.4)
    numbers: dict[str, Any] = {}
    seconds = np.arange(1000) / 1000
    for place, part in zip(axes[0], NOISY, strict=True):
        model = trained(part)
        found = _asked(model)
        for span, colour, label in (
            (slice(0, 800), style.BLUE, "measured, 0–0.8 s"),
            (slice(800, None), style.SKY, "measured, 0.8–1 s"),
        ):
            place.plot(seconds[span], found["measured"][span, 0], ".", color=colour, markersize=2, label=label)
        place.plot(seconds, found["true"][:, 0], color=style.INK, linewidth=0.8, label="true")
        place.plot(seconds, found["predicted"][:, 0], color=style.ORANGE, label="neural ODE")
        errors = [_rmse(found, slice(0, 800)), _rmse(found, slice(800, None))]
        noise = float(model.header["dataset"]["config"]["noise"])
        numbers[part.name] = {"noise": noise, "rmse_train_span": errors[0], "rmse_test_span": errors[1]}
        title = f"{part.name.removesuffix('-noisy')}, noise {noise:g}: RMSE {errors[0]:.3f}, then {errors[1]:.3f}"
        place.set(title=title, xlabel="time, s", ylabel="x")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, markerscale=4)
    return figure, numbers
