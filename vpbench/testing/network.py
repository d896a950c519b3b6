"""No network for a while: whoever tries to reach it fails, and is noted."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch


class NetworkForbidden(OSError):
    """Somebody reached for the network where there must be none. An OSError, as without a network it would be."""


@contextlib.contextmanager
def no_network() -> Iterator[list[str]]:
    """Python's sockets reach no host within the body, of any thread; yields what was asked for, as it is asked.

    What is caught by the caller's own ``except`` is noted all the same. Sockets inside this machine's file system
    (AF_UNIX) work on, and other programs that are started are not watched.
    """
    asked: list[str] = []

    def refuse(what: str) -> NetworkForbidden:
        asked.append(what)
        return NetworkForbidden(f"there is no network here, and {what} was asked for")

    def guarded(method: str) -> Callable[..., Any]:
        original = getattr(socket.socket, method)

        def call(self: socket.socket, *arguments: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                raise refuse(_named(arguments[-1]))  # the address comes last, in all of these
            return original(self, *arguments)

        return call

    def look_up(host: Any, *_: Any, **__: Any) -> Any:
        raise refuse(_named(host))

    with contextlib.ExitStack() as stack:
        for method in ("connect", "connect_ex", "sendto", "sendmsg"):
            stack.enter_context(patch.object(socket.socket, method, guarded(method), create=True))
        for function in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            stack.enter_context(patch.object(socket, function, look_up))
        yield asked


def _named(address: Any) -> str:
    """An address as people write it: ``"example.org:80"``."""
    if isinstance(address, tuple) and len(address) >= 2:
        return f"{_named(address[0])}:{address[1]}"
    return address.decode(errors="replace") if isinstance(address, bytes) else str(address)
