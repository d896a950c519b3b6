"""Another time of day, for code that must not look at the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch


@contextmanager
def an_hour_later() -> Iterator[None]:
    """Inside, `time.time` tells an hour more: what is seeded by it is drawn anew, though no second has passed."""
    seconds, nanoseconds = time.time, time.time_ns

    def later() -> float:
        return seconds() + 3600

    def later_ns() -> int:
        return nanoseconds() + 3600 * 10**9

    with patch.object(time, "time", later), patch.object(time, "time_ns", later_ns):
        yield
