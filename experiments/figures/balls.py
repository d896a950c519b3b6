"""Figures 3, 4, 5, 7 and 11: the Gaussian ball, its auto-encoders and the latent ODE that moves it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from . import style
from .trained import Part, Trained, question, trained

CODED = [Part("ball-cae.toml", name) for name in ("ball-plain", "ball-encoded", "ball-plain-after-digits", "ball-d-16")]
DIGITS_FIRST = Part("ball-cae.toml", "digits-first")  # which one of these starts from
CODED_HOW = (
    "no coordinates,\ngrey start, rate .01",
    "coordinates,\ngrey start, rate .01",
    "no coordinates,\nafter digits, rate .01",
    "coordinates, d = 16,\ndark start, rate .001",
)
SIZES = [Part("ball-cae.toml", f"ball-d-{size}") for size in (3, 4, 8, 16)]
GRIDS = [Part("ball-cae.toml", name) for name in ("ball-d-2", "ball-d-2-penalty")]
MOVED = Part("ball-ode.toml", "ball-ode")
CLIP, FRAMES = 0, 80


def _codes(model: Trained, frames: np.ndarray | Tensor) -> np.ndarray:
    """Codes (N, d) of frames (N, 1, S, S)."""
    with torch.inference_mode():
        found: np.ndarray = model.model.encode(torch.as_tensor(frames)).numpy()
    return found


def explained(codes: np.ndarray, positions: np.ndarray) -> float:
    """R² of the affine map from codes (N, d) to positions (N, 2) that fits them best."""
    design = np.column_stack([codes, np.ones(len(codes))])
    left = positions - design @ np.linalg.lstsq(design, positions, rcond=None)[0]
    return float(1 - left.var(axis=0).sum() / positions.var(axis=0).sum())


def figure_3() -> tuple[Figure, dict[str, Any]]:
    shown = 7
    figure, axes = style.panels(shown, 2 * len(CODED), height=10.8)
    numbers: dict[str, Any] = {}
    for row, (part, what) in enumerate(zip(CODED, CODED_HOW, strict=True)):
        model = trained(part)
        clip = model.clips("test", range(shown), np.array([0.0]))
        made = model.predict(clip.frames, np.array([0.0]), np.array([0.0]))
        top = float(clip.frames.max())
        for column in range(shown):
            style.picture(axes[2 * row, column], made[column, 0, 0], top=top)
            style.picture(axes[2 * row + 1, column], np.asarray(clip.frames)[column, 0, 0], top=top)
        axes[2 * row, 0].set_ylabel(f"{what}\npredicted", fontsize=7)
        axes[2 * row + 1, 0].set_ylabel(f"true\n(white: {top:.2g})", fontsize=7)
        many = model.clips("test", range(200), np.array([0.0])).frames
        made = model.predict(many, np.array([0.0]), np.array([0.0]))
        numbers[part.name] = {"brightness_of_true": float(made.mean() / many.mean())}
    return figure, numbers


def figure_4() -> tuple[Figure, dict[str, Any]]:
    figure, axes = style.panels(1 + len(SIZES), height=2.6)
    numbers: dict[str, Any] = {}
    for column, part in enumerate([None, *SIZES]):
        model = trained(part or SIZES[0])
        clip = model.clips("test", [CLIP], np.arange(float(FRAMES)))
        place = axes[0, column]
        positions = np.asarray(clip.truth["positions"])[0, :, 0, ::-1]
        if part is None:
            path, title = positions, "positions, px"
        else:
            cloud = model.clips("test", range(300), np.array([0.0]))
            mean, directions, share = style.principal(_codes(model, cloud.frames[:, 0]))
            path = (_codes(model, clip.frames[0]) - mean) @ directions.T
            whole = explained(_codes(model, cloud.frames[:, 0]), np.asarray(cloud.truth["positions"])[:, 0, 0])
            size = part.name.rsplit("-", 1)[1]
            title = f"codes, d = {size}, R² {whole:.4f}"
            numbers[part.name] = {"r2_affine": whole, "variance_of_two": float(share.sum())}
        dots = place.scatter(*path.T, c=np.arange(len(path)), cmap="viridis", s=6)
        place.set_title(title, fontsize=8)
        place.tick_params(labelsize=7)
        if part is None:
            place.invert_yaxis()  # as in a frame
            place.set(xlabel="x", ylabel="y")
        else:
            place.set_xlabel("principal component 1", fontsize=8)
    axes[0, 1].set_ylabel("principal component 2", fontsize=8)
    figure.colorbar(dots, ax=axes[0, -1], label="frame")
    return figure, numbers


def figure_5() -> tuple[Figure, dict[str, Any]]:
    figure, axes = style.panels(3, height=3.2)
    numbers: dict[str, Any] = {}
    lines = np.linspace(6, 21, 11)
    fine = np.linspace(6, 21, 61)
    grid = [np.column_stack([np.full(61, at), fine]) for at in lines]
    grid += [line[:, ::-1] for line in grid]
    for column, part in enumerate([GRIDS[1], None, GRIDS[0]]):
        place = axes[0, column]
        for index, line in enumerate(grid):
            path = line[:, ::-1]
            if part is not None:
                model = trained(part)
                drawn = model.dataset.draw(line)  # type: ignore[attr-defined]
                path = _codes(model, drawn)
            place.plot(path[:, 0], path[:, 1], color=style.BLUE if index < 11 else style.ORANGE, linewidth=0.9)
        place.set_title({0: "codes, with a penalty", 1: "positions, px", 2: "codes, without"}[column])
        place.set(xlabel="x" if part is None else "code 1", ylabel="y" if part is None else "code 2")
        if part is None:
            place.set_aspect(1)
        if part is not None:
            model = trained(part)
            codes = _codes(model, model.dataset.draw(np.concatenate(grid)))  # type: ignore[attr-defined]
            numbers[part.name] = {"r2_affine": explained(codes, np.concatenate(grid))}
    return figure, numbers


def _moved() -> tuple[Trained, Any, np.ndarray, np.ndarray]:
    """The model, a clip, the codes that its encoder sees from the third frame on, and those that the ODE comes to."""
    model = trained(MOVED)
    times = np.arange(float(FRAMES))
    clip = model.clips("test", [CLIP], times)
    context, wanted = question(clip.frames[:, :2], times[:2], times[2:])
    with torch.inference_mode():
        predicted = model.model.codes(context, wanted)["dynamics"][0].numpy()
    return model, clip, _codes(model, clip.frames[0, 2:]), predicted


def figure_7() -> tuple[Figure, dict[str, Any]]:
    model, _, encoded, predicted = _moved()
    mean, directions, share = style.principal(encoded)
    paths = {"encoded": (encoded - mean) @ directions.T, "predicted by the ODE": (predicted - mean) @ directions.T}
    trained_to = int(model.header["horizon"])
    apart = np.linalg.norm(encoded - predicted, axis=1) / np.sqrt(encoded.var(axis=0).sum())
    figure, axes = style.panels(4, height=2.8)
    steps = np.arange(1, len(encoded) + 1)
    for (name, path), colour in zip(paths.items(), (style.BLUE, style.ORANGE), strict=True):
        axes[0, 0].plot(steps, path[:, 0], color=colour, label=name)
        axes[0, 1].plot(*path.T, color=colour)
        axes[0, 1].plot(*path[0], "o", color=colour, markersize=4)
        axes[0, 2].plot(steps, path[:, 1], color=colour)
    axes[0, 3].plot(steps, apart, color=style.INK)
    titles = ("component 1", "components 1 and 2", "component 2", "distance in all")
    for place, title in zip(axes[0], titles, strict=True):
        place.set_title(title)
        place.tick_params(labelsize=8)
    for place in (axes[0, 0], axes[0, 2], axes[0, 3]):
        place.axvspan(0, trained_to, color=style.GREY, alpha=0.2, linewidth=0)
        place.set_xlabel(f"frames ahead\n(grey: trained, {trained_to})", fontsize=8)
    axes[0, 1].set_xlabel("dots: first frame", fontsize=8)
    axes[0, 3].set_ylabel("spreads of the codes", fontsize=8)
    figure.legend(loc="outside lower center", ncols=2)
    return figure, {
        "variance_of_two": float(share.sum()),
        "apart_in_trained_span": float(apart[:trained_to].mean()),
        "apart_beyond": float(apart[trained_to:].mean()),
    }


def _shape(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Brightest pixel, and root mean square distance of the light from its centre, px, of frames (T, S, S)."""
    rows, columns = np.mgrid[: frames.shape[1], : frames.shape[2]]
    weight = frames / frames.sum(axis=(1, 2), keepdims=True)
    centre = [(weight * axis).sum(axis=(1, 2)) for axis in (rows, columns)]
    spread = sum(
        (weight * (axis - middle[:, None, None]) ** 2).sum(axis=(1, 2))
        for axis, middle in zip((rows, columns), centre, strict=True)
    )
    return frames.max(axis=(1, 2)), np.sqrt(spread / 2)


def figure_11() -> tuple[Figure, dict[str, Any]]:
    model = trained(MOVED)
    steps = np.array([1, 5, 10, 20, 30, 40, 50, 60])
    times = np.arange(62.0)
    clip = model.clips("test", [CLIP], times)
    made = model.predict(clip.frames[:, :2], times[:2], times[2:])[0, :, 0]
    true = np.asarray(clip.frames)[0, 2:, 0]
    peaks, widths = _shape(made)
    figure, axes = style.panels(len(steps), 2, height=3.0)
    for column, step in enumerate(steps):
        style.picture(axes[0, column], true[step - 1], title=f"+{step}")
        below = f"peak {peaks[step - 1]:.2f}\nwidth {widths[step - 1]:.1f} px"
        style.picture(axes[1, column], made[step - 1], below=below)
    axes[0, 0].set_ylabel("true", fontsize=8)
    axes[1, 0].set_ylabel("predicted", fontsize=8)
    true_peaks, true_widths = _shape(true)
    return figure, {
        "peak_at_20_and_60": [float(peaks[19]), float(peaks[59])],
        "width_at_20_and_60": [float(widths[19]), float(widths[59])],
        "true_peak_and_width": [float(true_peaks.mean()), float(true_widths.mean())],
        "ink_of_true_at_20_and_60": [float(made[at].sum() / true[at].sum()) for at in (19, 59)],
    }
