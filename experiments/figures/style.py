"""One look for all figures: thin lines, few colours that all eyes tell apart (Okabe and Ito 2008), no frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")  # no window anywhere

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, GREY = "#222222", "#9a9a9a"
BLUE, SKY, ORANGE, GREEN, RED = "#0072b2", "#56b4e9", "#d55e00", "#009e73", "#cc79a7"
WIDTH = 9.0  # inches; 100 dots each
DPI = 100

plt.rcParams.update(
    {
        "font.size": 10,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "savefig.dpi": DPI,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
    }
)


def panels(columns: int, rows: int = 1, *, height: float = 3.0, **options: Any) -> tuple[Figure, Any]:
    """A figure of the common width with a grid of axes, which is never squeezed to fewer dimensions."""
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, height), squeeze=False, layout="constrained", **options)
    return figure, axes


def picture(axes: Axes, frame: np.ndarray, *, top: float = 1.0, title: str = "", below: str = "") -> None:
    """A frame (H, W) in [0, 1], as it is: no smoothing, black is 0 and white is `top`."""
    axes.imshow(np.clip(frame, 0, top), cmap="gray", vmin=0, vmax=top, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title(title, fontsize=8, loc="center")
    axes.set_xlabel(below, fontsize=7)


def save(figure: Figure, path: Path, key: str) -> None:
    """Write a PNG that says what it was made of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"vpbench": key, "Software": None})
    plt.close(figure)


def made_of(path: Path) -> str:
    """What a PNG says that it was made of; empty where there is none."""
    if not path.exists():
        return ""
    from PIL import Image

    with Image.open(path) as image:
        return str(getattr(image, "text", {}).get("vpbench", ""))


def principal(values: np.ndarray, count: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal components of rows (N, D): mean (D,), directions (count, D), and the share of variance of each.

    Signs are such that the largest entry of a direction is positive: so a picture does not turn by chance.
    """
    mean = values.mean(axis=0)
    _, spread, directions = np.linalg.svd(values - mean, full_matrices=False)
    count = min(count, len(directions))
    signs = np.sign(directions[np.arange(count), np.abs(directions[:count]).argmax(axis=1)])
    return mean, directions[:count] * signs[:, None], spread[:count] ** 2 / (spread**2).sum()
