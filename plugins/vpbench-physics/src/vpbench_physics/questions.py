"""What a dataset is asked for, checked once for both of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vpbench.errors import UsageError


def known(dataset: str, split: str, clips: Mapping[str, object]) -> str:
    """The split. Raises UsageError for one that there is not."""
    if split not in clips:
        raise UsageError(f"{dataset} has no split {split!r}: one of {', '.join(clips)}")
    return split


def checked(
    ids: Sequence[int], times: np.ndarray, there: range, last: np.ndarray | float, *, whole: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Clips int64 (B,) and times float64 (B, T). Raises ValueError that names the first one that is not there.

    there  the ids of the split
    last   the last time of each clip
    whole  frames are at whole times only
    """
    clips, times = np.asarray(ids, dtype=np.int64), np.ascontiguousarray(times, dtype=np.float64)
    if clips.ndim != 1 or times.ndim != 2 or len(clips) != len(times):
        raise ValueError(f"ids (B,) and times (B, T) do not fit: got shapes {clips.shape} and {times.shape}")
    outside = (clips < there.start) | (clips >= there.stop)
    if outside.any():
        raise ValueError(f"no clip {clips[outside][0]}: ids are {there.start}..{there.stop - 1}")
    lasts = np.broadcast_to(np.asarray(last, dtype=np.float64), len(clips))
    fine = (times >= 0) & (times <= lasts[:, None])
    if whole:
        fine &= times == np.floor(times)
    if not fine.all():
        row = int(np.argmin(fine.all(axis=1)))
        between = "at whole times only" if whole else "and any time between them"
        raise ValueError(
            f"no frame at time {times[row][~fine[row]][0]:g} of clip {clips[row]}: there are 0 to "
            f"{lasts[row]:g}, {between}"
        )
    return clips, times
