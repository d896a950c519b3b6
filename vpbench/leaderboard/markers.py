"""A board between the markers of a README."""

from __future__ import annotations

from ..errors import UsageError

START = "<!-- vpbench:leaderboard -->"
END = "<!-- /vpbench:leaderboard -->"


def update_between_markers(text: str, board: str) -> str:
    """The text with `board` between `START` and `END`, for a README that holds a board.

    Raises `UsageError` unless each marker is there exactly once, in this order.
    """
    for marker in (START, END):
        if (found := text.count(marker)) != 1:
            raise UsageError(
                f"the marker {marker} must be there once, found {found} times: put {START} and {END} around"
            )
    before, rest = text.split(START)
    if END not in rest:
        raise UsageError(f"the marker {END} must come after {START}")
    return f"{before}{START}\n{board.strip()}\n{END}{rest.split(END)[1]}"
