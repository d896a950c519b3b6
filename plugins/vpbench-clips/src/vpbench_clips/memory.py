"""What was decoded last, kept for as long as it fits into so many bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

import numpy as np


class Memory:
    """Arrays by key; those used longest ago go first. Threads may share it; it pickles empty."""

    def __init__(self, limit: int) -> None:
        """limit: bytes."""
        self.limit = limit
        self.used = 0  #: bytes
        self._arrays: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, key: Hashable) -> np.ndarray | None:
        """The array of a key, None where it is not there (any more)."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
            return self._arrays.get(key)

    def __setitem__(self, key: Hashable, array: np.ndarray) -> None:
        """Keep an array, if it fits at all."""
        with self._lock:
            if key in self._arrays:
                self.used -= self._arrays.pop(key).nbytes
            if array.nbytes > self.limit:
                return
            self._arrays[key] = array
            self.used += array.nbytes
            while self.used > self.limit:
                self.used -= self._arrays.popitem(last=False)[1].nbytes

    def __reduce__(self) -> tuple[type[Memory], tuple[int]]:
        return Memory, (self.limit,)
