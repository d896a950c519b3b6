"""Figures 12, 13 and 14: digits that swap their looks, and what becomes of two digits that cross."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from . import style
from .trained import Part, Trained, bundled, question, trained

SWAPPED = Part("digit.toml", "digit")
PAIRS, AHEAD = 100, 18
SHOWN = 4


def _errors() -> tuple[Trained, dict[str, np.ndarray], np.ndarray]:
    """Frames of the last step of pairs of test clips, and the squared error of the swapped ones."""
    model = trained(SWAPPED)
    times = np.arange(2.0 + AHEAD)
    movers, looks = list(range(0, 2 * PAIRS, 2)), list(range(1, 2 * PAIRS, 2))
    motion, look = model.clips("test", movers, times), model.clips("test", looks, times)
    every = np.tile(times, (PAIRS, 1))
    right = model.dataset.swapped("test", movers, looks, every)  # type: ignore[attr-defined]
    context, wanted = question(motion.frames[:, :2], times[:2], times[2:])
    appearance, _ = question(look.frames[:, :2], times[:2], times[2:])
    with torch.inference_mode():
        made = model.model.swap(context, appearance, wanted).numpy()[:, -1, 0]
    frames = {
        "motion of": np.asarray(motion.frames)[:, -1, 0] / 255,
        "swapped": made,
        "truth": np.asarray(right.frames)[:, -1, 0] / 255,
        "looks of": np.asarray(look.frames)[:, -1, 0] / 255,
    }
    return model, frames, ((made - frames["truth"]) ** 2).mean(axis=(1, 2))


def _triptychs(rank: str) -> tuple[Figure, dict[str, Any]]:
    _, frames, errors = _errors()
    order = np.argsort(errors, kind="stable")
    chosen = order[:SHOWN] if rank == "least" else order[::-1][:SHOWN]
    figure, axes = style.panels(len(frames) * SHOWN // 2 + 1, 2, height=2.6)
    for place, pair in enumerate(chosen):
        row, first = divmod(place, SHOWN // 2)
        for offset, (name, values) in enumerate(frames.items()):
            title = name if row == 0 else ""
            column = (len(frames) + 1) * first + offset  # between two pairs one place is left empty
            style.picture(axes[row, column], values[pair], title=title)
    for place in axes[:, len(frames)]:
        place.axis("off")
    return figure, {
        "pairs": [int(pair) for pair in chosen],
        "squared_error": [float(errors[pair]) for pair in chosen],
        "of_all_pairs": float(errors.mean()),
    }


def figure_12() -> tuple[Figure, dict[str, Any]]:
    """The pairs of least error."""
    return _triptychs("least")


def figure_13() -> tuple[Figure, dict[str, Any]]:
    """The pairs of most error."""
    return _triptychs("most")


def figure_14() -> tuple[Figure, dict[str, Any]]:
    """The two of 100 test clips whose digits overlap most over 2→18."""
    model = bundled("latentode", 2)
    times = np.arange(20.0)
    clips = model.clips("test", range(100), times)
    places = np.asarray(clips.truth["positions"])
    apart = np.abs(places[:, :, 0] - places[:, :, 1]).max(axis=-1)  # (100, 20)
    chosen = np.argsort(-(np.clip(28 - apart[:, 2:], 0, None).mean(axis=1)), kind="stable")[:2]
    made = model.predict(clips.frames[chosen, :2], times[:2], times[2:])[:, :, 0]
    steps = np.array([1, 3, 5, 7, 9, 11, 13, 15, 18])
    figure, axes = style.panels(2 + len(steps), 4, height=3.6)
    for row, clip in enumerate(chosen):
        true = np.asarray(clips.frames)[clip, :, 0] / 255
        for column in range(2 + len(steps)):
            at = column if column < 2 else int(steps[column - 2]) + 1
            title = ("given" if column < 2 else f"+{at - 1}") if row == 0 else ""
            style.picture(axes[2 * row, column], true[at], title=title)
            if column >= 2:
                style.picture(axes[2 * row + 1, column], made[row, at - 2])
            else:  # it is given these, and predicts none
                axes[2 * row + 1, column].axis("off")
        axes[2 * row, 0].set_ylabel(f"clip {clip},\ntruth", fontsize=8)
        axes[2 * row + 1, 2].set_ylabel("latentode", fontsize=8)
    return figure, {"clips": [int(each) for each in chosen]}
