"""How each model is drawn: the same colour and dashes in every table, chart and clip of the page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..comparison import Board

#: Contenders are drawn in these colours of the style sheet, one after another, then again with the next dashes.
COLOURS = 8
_CONTENDER_DASHES: tuple[tuple[int, ...], ...] = ((), (8, 4), (3, 3), (10, 3, 2, 3))
_FLOOR_DASHES: tuple[tuple[int, ...], ...] = ((6, 4), (2, 3), (10, 4), (8, 3, 2, 3))
_CEILING_DASHES: tuple[tuple[int, ...], ...] = ((12, 3, 2, 3), (2, 2))


@dataclass(frozen=True)
class Model:
    """One name in every table, curve and clip: drawn the same way on all boards."""

    key: str  #: "m0"
    label: str
    role: str
    colour: str  #: of the style sheet: "0".. for contenders, "floor", "ceiling"
    dash: tuple[int, ...]


def models_of(boards: Iterable[Board]) -> dict[tuple[str, str], Model]:
    """How each (role, label) of these boards is drawn: ceilings, then contenders, then floors, each as they appear."""
    seen = dict.fromkeys((row.role, row.label) for board in boards for row in board.rows)
    kinds = {key: key[0] if key[0] in ("floor", "ceiling") else "contender" for key in seen}
    found: dict[tuple[str, str], Model] = {}
    for kind in ("ceiling", "contender", "floor"):
        for index, (role, label) in enumerate(key for key in seen if kinds[key] == kind):
            if kind != "contender":
                dashes = _FLOOR_DASHES if kind == "floor" else _CEILING_DASHES
                colour, dash = kind, dashes[index % len(dashes)]
            else:
                colour = str(index % COLOURS)
                dash = _CONTENDER_DASHES[index // COLOURS % len(_CONTENDER_DASHES)]
            found[role, label] = Model(f"m{len(found)}", label, role, colour, dash)
    return found
