"""An animation: what was given, then what each model predicted, beside the truth where it is known, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError
from .canvas import (
    BACKGROUND,
    INK,
    PREDICTED,
    QUIET,
    RULE,
    SMALL,
    TEXT,
    TITLE,
    Canvas,
    Size,
    difference,
    legend_size,
    pixels,
    width_of,
)
from .scene import Scene
from .strip import default_scale

if TYPE_CHECKING:
    from PIL import Image

#: All pixels of all frames together: they are in memory at once.
PIXEL_LIMIT = 4 * 10**8

_MARGIN, _GAP, _LINE = 24, 20, 4
_HEADING, _NAMES, _TIMELINE = 64, 44, 34  # heights


def animation(
    title: str, scenes: Sequence[Scene], *, scale: int | None = None, differences: bool = True
) -> list[Image.Image]:
    """One picture per step, from the first given frame to the last predicted one; clips are one below the other.

    A bar at the bottom fills as time goes; where the given frames end there is a mark, and from there on the counter
    and the outlines of the predictions have the colour of what is predicted. `scale` and `differences` are those of
    `strip`; where the truth is not known there are neither it nor differences. Raises UsageError where this would be
    too large.
    """
    known = scenes[0].known
    layout = _Layout.of(title, scenes, scale or default_scale(scenes[0]), differences and known)
    count = scenes[0].context + scenes[0].horizon
    if count * layout.size.width * layout.size.height > PIXEL_LIMIT:
        raise UsageError(
            f"{count} frames of {layout.size.width} by {layout.size.height} pixels are too large an animation: show "
            "fewer clips or records, or give a smaller --scale"
        )
    return [_drawn(title, scenes, layout, step) for step in range(1 - scenes[0].context, scenes[0].horizon + 1)]


@dataclass(frozen=True)
class _Layout:
    """Where things go, in pixels. A clip is a row of panels: the truth, if it is known, then a panel per model."""

    scale: int
    frame: Size  #: as drawn
    widths: list[int]  #: of each panel, of which the names may be wider than the frames
    scene: int  #: height of a clip
    below: int  #: height of what is below the panels of a clip: differences and their legend
    size: Size

    @classmethod
    def of(cls, title: str, scenes: Sequence[Scene], scale: int, differences: bool) -> _Layout:
        height, width = (side * scale for side in scenes[0].truth.shape[2:])
        legend = legend_size(scenes[0].channels) if differences else Size(0, 0)
        truth = max(width, *(width_of(scene.title, SMALL) for scene in scenes), width_of("truth", TEXT))
        widths = [truth] if scenes[0].known else []
        for number in range(len(scenes[0].takes)):
            takes = [scene.takes[number] for scene in scenes]
            names = [width_of(text, size) for take in takes for text, size in ((take.name, TEXT), (take.detail, SMALL))]
            widths.append(max(width, *names))
        below = height + _GAP if differences else 0
        panels = sum(widths) + _GAP * (len(widths) - 1)
        counter = max(width_of(_told(step, scenes[0]), TEXT) for step in (1 - scenes[0].context, scenes[0].horizon))
        wide = 2 * _MARGIN + max(panels, width_of(title, TITLE), counter, legend.width)
        block = _NAMES + height + below + _GAP
        high = _MARGIN + _HEADING + len(scenes) * block + _TIMELINE + (legend.height + _GAP if differences else 0)
        return cls(scale, Size(width, height), widths, block, below, Size(wide, high + _MARGIN - _GAP))

    def panels(self) -> Iterator[int]:
        """The left of each panel."""
        for number in range(len(self.widths)):
            yield _MARGIN + sum(self.widths[:number]) + number * _GAP


def _told(step: int, scene: Scene) -> str:
    if step <= 0:
        return f"frame {step + scene.context} of {scene.context}, given"
    return f"step {step} of {scene.horizon}, predicted"


def _drawn(title: str, scenes: Sequence[Scene], layout: _Layout, step: int) -> Image.Image:
    canvas = Canvas(layout.size)
    given = step <= 0
    canvas.text(_MARGIN, _MARGIN, title, TITLE)
    canvas.text(_MARGIN, _MARGIN + 32, _told(step, scenes[0]), TEXT, QUIET if given else PREDICTED)
    for number, scene in enumerate(scenes):
        _draw_scene(canvas, layout, scene, step, _MARGIN + _HEADING + number * layout.scene)
    y = _MARGIN + _HEADING + len(scenes) * layout.scene
    _draw_timeline(canvas, layout, scenes[0], step, y)
    if layout.below:
        canvas.legend(_MARGIN, y + _TIMELINE, scenes[0].channels)
    return canvas.image


def _draw_scene(canvas: Canvas, layout: _Layout, scene: Scene, step: int, top: int) -> None:
    outline = RULE if step <= 0 else PREDICTED
    y, panels = top + _NAMES, list(layout.panels())
    if scene.known:
        x = panels.pop(0)
        canvas.text(x, top, "truth", TEXT)
        canvas.text(x, top + 20, scene.title, SMALL, QUIET)
        canvas.frame(x, y, pixels(scene.frame(step)), layout.scale)
    for x, take in zip(panels, scene.takes, strict=True):
        canvas.text(x, top, take.name, TEXT)
        canvas.text(x, top + 20, take.detail, SMALL, QUIET)
        shown = scene.frame(step) if step <= 0 else take.predicted[step - 1]
        canvas.frame(x, y, pixels(shown), layout.scale, outline)
        if layout.below:
            below = y + layout.frame.height + _GAP
            canvas.frame(x, below, difference(shown, scene.frame(step)), layout.scale)


def _draw_timeline(canvas: Canvas, layout: _Layout, scene: Scene, step: int, top: int) -> None:
    """A bar as wide as the picture: what is over is filled, up to the mark in grey and beyond it in colour."""
    left, right = _MARGIN, layout.size.width - _MARGIN
    places = np.linspace(left, right, scene.context + scene.horizon + 1).round().astype(int)
    mark, now = int(places[scene.context]), int(places[scene.context + step])
    canvas.bar(left, top, right, top + _LINE, RULE)
    canvas.bar(left, top, min(now, mark), top + _LINE, QUIET)
    if step > 0:
        canvas.bar(mark, top, now, top + _LINE, PREDICTED)
    canvas.bar(mark - 1, top - 4, mark + 1, top + _LINE + 4, BACKGROUND)
    canvas.bar(mark, top - 4, mark, top + _LINE + 4, INK)
