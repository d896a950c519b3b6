"""A report that is made to be posted says nothing of who made it: no home folder, no user, no host, no password."""

from __future__ import annotations

import getpass
import platform
import re
from collections.abc import Callable
from pathlib import Path

_WITH_ACCESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^\s/@]+@", flags=re.IGNORECASE)
_QUERY = re.compile(r"(?P<address>[a-z][a-z0-9+.-]*://[^\s?#]+)[?#]\S*", flags=re.IGNORECASE)
_SECRET = re.compile(r"(TOKEN|SECRET|PASSWORD|CREDENTIAL|KEY)", flags=re.IGNORECASE)


def anonymous() -> Callable[[str], str]:
    """A function that takes out of a text what identifies its owner.

    The home folder becomes ``~``; elsewhere in paths the user is ``USER`` and the host ``HOST``; an address on the web
    loses name, password and query.
    """
    homes = {str(home) for home in _homes()} - {"/", ""}
    names = [(_path_part(user), "USER") for user in _user()] + [(_word(host), "HOST") for host in _hosts()]

    def without_names(text: str) -> str:
        for home in sorted(homes, key=len, reverse=True):
            text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
        text = _QUERY.sub(r"\g<address>?…", _WITH_ACCESS.sub(r"\g<scheme>…@", text))
        for pattern, instead in names:
            text = pattern.sub(instead, text)
        return text

    return without_names


def is_secret(variable: str) -> bool:
    """Whether the value of an environment variable of this name had better not be shown."""
    return _SECRET.search(variable) is not None


def _homes() -> list[Path]:
    try:
        home = Path.home()
        return [home, home.resolve()]
    except (OSError, RuntimeError):  # a user without a home
        return []


def _user() -> list[str]:
    try:
        return [getpass.getuser()]
    except (OSError, KeyError):  # a process of no known user, as in some containers
        return []


def _hosts() -> list[str]:
    host = platform.node()
    return [name for name in dict.fromkeys([host, host.partition(".")[0]]) if len(name) > 2 and name != "localhost"]


def _path_part(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=[/\\]){re.escape(name)}(?=[/\\:\s'\")]|$)")


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")
