"""Some frames of one clip of a record, from the exhibit beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import UsageError, VpbenchError
from ..film import as_png, strip
from ..footage import Footage, scenes
from ..results import Record

_SIDE = 64  #: pixels of a frame, about


def picture_of(record: Record) -> bytes | None:
    """A film strip as PNG; None where no frames lie beside the record: nothing is predicted for a picture."""
    try:
        shown = scenes([record], (), _not_again)
        scale = max(1, round(_SIDE / max(shown[0].truth.shape[2:])))
        return as_png(strip(f"{record.model['name']}, {shown[0].title}", shown, scale=scale))
    except VpbenchError:
        return None


def _not_again(record: Record, clips: Sequence[int]) -> Mapping[int, Footage]:
    raise UsageError("nothing is predicted for a picture")
