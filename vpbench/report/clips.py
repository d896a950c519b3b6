"""Predictions to look at: the clips kept beside records, as sprite sheets small enough to carry on a page.

A sprite sheet is all frames of one clip in one lossy WebP image, so that a browser can show any step at once and every
model the same step. Truth and prediction of a clip that several boards show are on the page once.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from .. import exhibits
from ..comparison import Board, Row
from ..errors import RecordError, VpbenchError
from ..results import Record, canonical
from .models import Model

#: Of WebP. The page shows what frames look like; numbers come from the records, never from these pictures.
QUALITY = 60

#: WebP holds no more pixels a side.
_LONGEST_SIDE = 16383

#: Why a clip was kept, in the order in which it is offered.
_REASONS = ("fixed", "best", "median", "worst")

#: Who stays where there is no room for all: what shows all models on one clip says most, and failures more than the
#: usual.
_PRIORITY = ("fixed", "worst", "best", "median")

#: Of all sheets of a page, in characters as they stand there: with everything else a page stays below 10 MB.
MOST = 7_500_000


class Sheets:
    """The sprite sheets of a page, each picture once."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self.size = 0  #: characters
        self._places: dict[str, int] = {}

    def add(self, frames: np.ndarray) -> int:
        """The place of these frames, uint8 (T, C, H, W), among the sheets."""
        frames = np.ascontiguousarray(frames)
        content = hashlib.sha256(f"{frames.shape}".encode() + frames.tobytes()).hexdigest()
        if content not in self._places:
            self._places[content] = len(self.made)
            self.made.append(sheet(frames))
            self.size += len(self.made[-1]["image"])
        return self._places[content]


def sheet(frames: np.ndarray) -> dict[str, Any]:
    """{image, frames, columns, width, height}: frames in reading order in a WebP image, as a data address.

    frames  uint8 (T, C, H, W); of one channel they are grey, of three red, green, blue; else the first channel is shown
    """
    from PIL import Image

    steps, channels, height, width = frames.shape
    pixels = frames if channels == 3 else np.repeat(frames[:, :1], 3, axis=1)
    columns = max(1, min(steps, math.ceil(math.sqrt(steps * height / width)), _LONGEST_SIDE // width))
    rows = math.ceil(steps / columns)
    canvas = np.zeros((rows * columns, 3, height, width), dtype=np.uint8)
    canvas[:steps] = pixels
    grid = canvas.reshape(rows, columns, 3, height, width).transpose(0, 3, 1, 4, 2)
    image = Image.fromarray(np.ascontiguousarray(grid.reshape(rows * height, columns * width, 3)))
    file = io.BytesIO()
    image.save(file, "WEBP", quality=QUALITY, method=4)
    address = f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
    return {"image": address, "frames": steps, "columns": columns, "width": width, "height": height}


class Kept(NamedTuple):
    """A record and the clips kept beside it."""

    record: Record
    exhibit: exhibits.Exhibit


def kept_clips(records: Iterable[Record]) -> tuple[list[Kept], list[VpbenchError]]:
    """The clips beside these records, and what is wrong with files that cannot be read."""
    found: list[Kept] = []
    problems: list[VpbenchError] = []
    for record in records:
        if record.path is None or not (path := exhibits.exhibit_path(record.path)).exists():
            continue
        try:
            exhibit = exhibits.read(path)
        except VpbenchError as problem:
            problems.append(problem)
            continue
        if exhibit.cell != record.cell:
            problems.append(RecordError(f"{path} is of cell {exhibit.cell}, not of the record beside it: delete it"))
            continue
        found.append(Kept(record, exhibit))
    return found, problems


def within(kept: Sequence[Kept], sheets: Sheets, *, most: int = MOST) -> tuple[list[Kept], int]:
    """Those of the clips that a page has room for, with their sheets made, and how many are left out."""
    chosen: set[tuple[int, int]] = set()  # place among the kept, id of the clip
    left_out = 0
    queue = [(_rank(clip.why), place, clip) for place, one in enumerate(kept) for clip in one.exhibit.clips]
    for _, place, clip in sorted(queue, key=lambda item: item[:2]):
        if sheets.size >= most:
            left_out += 1
            continue
        sheets.add(clip.truth)
        sheets.add(clip.predicted)
        chosen.add((place, clip.id))
    fitting = [
        Kept(one.record, replace(one.exhibit, clips=tuple(c for c in one.exhibit.clips if (place, c.id) in chosen)))
        for place, one in enumerate(kept)
    ]
    return fitting, left_out


def _rank(why: Sequence[str]) -> int:
    return min((_PRIORITY.index(reason) for reason in why if reason in _PRIORITY), default=len(_PRIORITY))


def shown_clips(
    board: Board, kept: Sequence[Kept], models: Mapping[tuple[str, str], Model], sheets: Sheets
) -> list[dict[str, Any]]:
    """The clips a board can show: {id, why, context, steps, truth, predicted {model: sheet}}, fixed ones first.

    why  [{reason, models, steps}]: who it was chosen for, and by how many steps where the board has fewer (else null);
         a fixed clip was chosen for everyone
    """
    truths: dict[int, tuple[int, np.ndarray]] = {}
    predicted: dict[int, dict[str, np.ndarray]] = {}
    why: dict[int, dict[tuple[str, int | None], list[str]]] = {}
    horizon = board.task.get("horizon")
    for row in board.rows:
        model = models[row.role, row.label]
        exhibit = _exhibit_of(row, kept)
        if exhibit is None:
            continue
        for clip in exhibit.clips:
            context, truth = truths.setdefault(clip.id, (exhibit.context, clip.truth))
            if context != exhibit.context:
                continue
            if len(clip.truth) > len(truth):
                truths[clip.id] = (context, clip.truth)
            predicted.setdefault(clip.id, {})[model.key] = clip.predicted
            for reason in clip.why:
                by = None if reason == "fixed" or exhibit.horizon == horizon else exhibit.horizon
                why.setdefault(clip.id, {}).setdefault((reason, by), []).append(model.label)
    shown = []
    for clip_id in sorted(predicted, key=lambda clip_id: _order(clip_id, why.get(clip_id, {}))):
        context, truth = truths[clip_id]
        longest = max(len(frames) for frames in predicted[clip_id].values())
        shown.append(
            {
                "id": clip_id,
                "why": [
                    {"reason": reason, "models": [] if reason == "fixed" else labels, "steps": steps}
                    for (reason, steps), labels in sorted(
                        why.get(clip_id, {}).items(), key=lambda item: (_place(item[0][0]), item[0][1] or 0)
                    )
                ],
                "context": context,
                "steps": min(longest, horizon) if isinstance(horizon, int) else longest,
                "truth": sheets.add(truth),
                "predicted": {key: sheets.add(frames) for key, frames in predicted[clip_id].items()},
            }
        )
    return shown


def _exhibit_of(row: Row, kept: Sequence[Kept]) -> exhibits.Exhibit | None:
    """The clips of this row's cell, else those of the longer rollout that its record was cut from."""
    longer = None
    for one in kept:
        if one.record.cell == row.record.cell:
            return one.exhibit
        same = _rollout(one.record) == _rollout(row.record)
        if same and one.record.task.get("horizon") == row.record.cost.get("rollout_horizon"):
            longer = one.exhibit
    return longer


def _rollout(record: Record) -> str:
    """What records of one rollout have in common."""
    identity = {key: value for key, value in record.identity.items() if key not in ("clips", "task")}
    return canonical([identity, {key: value for key, value in record.task.items() if key != "horizon"}])


def _order(clip_id: int, why: Iterable[tuple[str, int | None]]) -> tuple[int, int]:
    return (min((_place(reason) for reason, _ in why), default=len(_REASONS)), clip_id)


def _place(reason: str) -> int:
    return _REASONS.index(reason) if reason in _REASONS else len(_REASONS)
