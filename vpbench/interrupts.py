"""Signals: when Ctrl-C and SIGTERM may come through, and an alarm for code that does not come to an end."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
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


class TookTooLong(BaseException):
    """Other people's code did not come to an end. No Exception, so that their `except Exception` does not hold it."""


@contextlib.contextmanager
def time_limit(limit_s: float) -> Iterator[None]:
    """Raise TookTooLong where the body is still at work after so many seconds; 0: never.

    It ends sleeping, waiting for a socket and endless loops of Python; not a C function that never returns to Python.
    Without effect where the system has no interval timers (Windows), and in other threads than the main one.
    """
    able = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not limit_s or not able:
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"not done after {limit_s:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    start = time.monotonic()
    others, _ = signal.setitimer(signal.ITIMER_REAL, limit_s)  # an alarm that somebody else had set
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
        if others:
            signal.setitimer(signal.ITIMER_REAL, max(others - (time.monotonic() - start), 1e-3))
