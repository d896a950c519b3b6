"""A film strip: a row of true frames, a row for each model below it, at chosen steps.

Where nobody knows what comes there is no row of true frames, and the given ones begin the row of each model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError
from .canvas import (
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
from .scene import Scene, Take

if TYPE_CHECKING:
    from PIL import Image

#: Columns that a strip has by default: of given frames, and about so many of predicted ones.
GIVEN, STEPS = 4, 10

_MARGIN, _GAP, _GUTTER = 28, 6, 22
_HEADING, _NUMBERS, _BETWEEN = 44, 54, 30  # heights: of the title, of a scene's column heads, between scenes


def spread_steps(horizon: int, every: int | None = None) -> list[int]:
    """Step 1, every k-th one, and the last; by default k is the round number that gives about `STEPS` of them."""
    if every is None:
        round_numbers = (digit * 10**power for power in range(10) for digit in (1, 2, 5))
        every = next(k for k in round_numbers if horizon <= STEPS * k)
    return sorted({1, *range(every, horizon + 1, every), horizon})


def strip(
    title: str,
    scenes: Sequence[Scene],
    *,
    steps: Sequence[int] | None = None,
    scale: int | None = None,
    differences: bool = True,
) -> Image.Image:
    """The strip of one or several clips, one below the other; all have the same number of frames.

    steps        which of the predicted frames, from 1; by default about ten, spread over all
    scale        pixels a side that a pixel of a frame becomes; by default frames are about 128 high
    differences  whether each model has a second row, predicted minus true, where that is known

    Raises UsageError for steps that are not there, or a picture that would be too large.
    """
    steps = spread_steps(scenes[0].horizon) if steps is None else sorted(set(steps))
    if wrong := [step for step in steps if not 1 <= step <= scenes[0].horizon]:
        raise UsageError(f"there is no step {wrong[0]}: {scenes[0].horizon} were predicted, from 1")
    differences = differences and scenes[0].known
    layout = _Layout.of(scenes, steps, scale or default_scale(scenes[0]), differences)
    canvas = Canvas(layout.size(title, scenes))
    canvas.text(_MARGIN, _MARGIN, title, TITLE)
    y = _MARGIN + _HEADING
    for scene in scenes:
        y = _draw_scene(canvas, layout, scene, y) + _BETWEEN
    if differences:
        canvas.legend(_MARGIN, y, scenes[0].channels)
    return canvas.image


def default_scale(scene: Scene) -> int:
    """Frames of 64 pixels are shown at twice their size, smaller ones larger."""
    return max(1, round(128 / max(scene.truth.shape[2:])))


@dataclass(frozen=True)
class _Layout:
    """Where things go, in pixels."""

    scale: int
    frame: Size  #: as drawn
    given: list[int]  #: steps of the given frames that are shown, up to 0
    steps: list[int]
    differences: bool
    names: int  #: width of the names at the left
    pitch: int  #: from column to column

    @classmethod
    def of(cls, scenes: Sequence[Scene], steps: Sequence[int], scale: int, differences: bool) -> _Layout:
        height, width = (side * scale for side in scenes[0].truth.shape[2:])
        context = scenes[0].context
        given = sorted({round(step) for step in np.linspace(1 - context, 0, min(GIVEN, context))})
        numbers = max(width_of(str(step), TEXT) for step in [*given, *steps])
        texts = [("difference", SMALL), ("truth", TEXT)] if scenes[0].known else []
        texts += [(scene.title, TEXT) for scene in scenes]
        for take in (take for scene in scenes for take in scene.takes):
            texts += [(take.name, TEXT), (take.detail, SMALL)]
        names = max(width_of(*text) for text in texts)
        pitch = max(width, numbers + _GAP, _caption_width(given, "given"), _caption_width(steps, "predicted")) + _GAP
        return cls(scale, Size(width, height), given, list(steps), differences, names, pitch)

    @property
    def row(self) -> int:
        """Height of a row: two lines of text fit beside a frame."""
        return max(self.frame.height, 40) + _GAP

    def x_of(self, step: int) -> int:
        """The left of a step's column."""
        if step <= 0:
            return _MARGIN + self.names + _GUTTER + self.given.index(step) * self.pitch
        return self.boundary + _GUTTER // 2 + self.steps.index(step) * self.pitch

    @property
    def boundary(self) -> int:
        """Where the frames that were given end."""
        return _MARGIN + self.names + _GUTTER + len(self.given) * self.pitch - _GAP + _GUTTER // 2

    def rows(self, scene: Scene) -> int:
        return scene.known + len(scene.takes) * (2 if self.differences else 1)

    def size(self, title: str, scenes: Sequence[Scene]) -> Size:
        right = self.x_of(self.steps[-1]) + self.pitch - _GAP
        legend = legend_size(scenes[0].channels) if self.differences else Size(0, 0)
        width = max(right, _MARGIN + width_of(title, TITLE), _MARGIN + legend.width) + _MARGIN
        blocks = sum(_NUMBERS + self.rows(scene) * self.row + _BETWEEN for scene in scenes)
        height = _MARGIN + _HEADING + blocks + (legend.height if self.differences else -_BETWEEN) + _MARGIN
        return Size(width, height)


def _caption_width(steps: Sequence[int], caption: str) -> int:
    """What one of these columns must be wide for the caption over all of them."""
    return -(-width_of(caption, SMALL) // len(steps))


def _draw_scene(canvas: Canvas, layout: _Layout, scene: Scene, top: int) -> int:
    """Draw a clip, and say where it ends."""
    canvas.text(_MARGIN, top + 26, scene.title, TEXT)
    for steps, caption, colour in ((layout.given, "given", QUIET), (layout.steps, "predicted", PREDICTED)):
        left, right = layout.x_of(steps[0]), layout.x_of(steps[-1]) + layout.frame.width
        canvas.text(left, top, caption, SMALL, colour)
        canvas.bar(left, top + 19, right - 1, top + 19, RULE if colour == QUIET else PREDICTED)
        for step in steps:
            x = layout.x_of(step) + layout.frame.width / 2
            canvas.text(x, top + 26, str(step), TEXT, QUIET if step <= 0 else INK, anchor="ma")
    y = top + _NUMBERS
    end = y + layout.rows(scene) * layout.row - _GAP
    for start, stop in pairwise(range(y, end, 8)):  # dashes
        canvas.bar(layout.boundary - 1, start, layout.boundary - 1, min(stop - 4, end), PREDICTED)
    if scene.known:
        _name(canvas, layout, y, "truth", "")
        for step in [*layout.given, *layout.steps]:
            canvas.frame(layout.x_of(step), y, pixels(scene.frame(step)), layout.scale)
        y += layout.row
    for take in scene.takes:
        y = _draw_take(canvas, layout, scene, take, y) + layout.row
    return y - _GAP


def _draw_take(canvas: Canvas, layout: _Layout, scene: Scene, take: Take, y: int) -> int:
    """Draw the rows of a model, and say where the last one starts."""
    _name(canvas, layout, y, take.name, take.detail)
    for step in [] if scene.known else layout.given:
        canvas.frame(layout.x_of(step), y, pixels(scene.frame(step)), layout.scale)
    for step in layout.steps:
        canvas.frame(layout.x_of(step), y, pixels(take.predicted[step - 1]), layout.scale)
    if not layout.differences:
        return y
    y += layout.row
    canvas.text(_MARGIN, y + layout.frame.height / 2, "difference", SMALL, QUIET, anchor="lm")
    for step in layout.steps:
        colours = difference(take.predicted[step - 1], scene.frame(step))
        canvas.frame(layout.x_of(step), y, colours, layout.scale)
    return y


def _name(canvas: Canvas, layout: _Layout, y: int, name: str, detail: str) -> None:
    """A name and what is said of it, in the middle of the row."""
    middle = y + layout.frame.height / 2
    canvas.text(_MARGIN, middle - (10 if detail else 0), name, TEXT, anchor="lm")
    canvas.text(_MARGIN, middle + 10, detail, SMALL, QUIET, anchor="lm")
