"""Ctrl-C and SIGTERM: when they may come through."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any


def terminate_like_interrupt() -> None:
    """A scheduler's SIGTERM is a Ctrl-C: finish the file being written, keep what is done, leave a checkpoint."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the block is done, so that it is done whole; a second one gets through.

    Only signals that somebody handles (in Python) are held back, and only in the main thread, where they arrive.
    """
    came: list[int] = []
    handlers: dict[int, Any] = {}

    def hold_back(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            handlers[number](number, frame)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if callable(handler := signal.getsignal(number)):
                handlers[number] = handler
                signal.signal(number, hold_back)
    try:
        yield
    finally:
        for held, handler in handlers.items():
            signal.signal(held, handler)
    if came:
        handlers[came[0]](came[0], None)
