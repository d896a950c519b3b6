"""`--set` lines, and whom each of them is for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from .config import did_you_mean, parse_setting
from .errors import ConfigError
from .instances import config_class
from .registry import Provided


class Settings:
    """`--set` lines, given to whom they are for: a bare key goes to every asked-for model and dataset that has it.

    A metric takes only what is said by its name.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = [(line, *parse_setting(line)) for line in lines]
        self._keys: dict[str, set[str]] = {}  # whom was asked about -> the keys it takes without its name before them
        self._by_name: dict[str, set[str]] = {}  # ... and those that it takes with its name before them only

    def of(self, provided: Provided[Any], *, bare: bool = True) -> dict[str, str]:
        """The settings meant for a model, dataset or metric; bare=False: only those that name it."""
        config = config_class(provided)
        keys = {each.name for each in dataclasses.fields(config)} if config else set()
        name = provided.spec.name
        if bare:
            self._keys.setdefault(name, set()).update(keys)
        else:
            self._by_name.setdefault(name, set()).update(keys)
        return {
            key: value
            for named in (False, True)  # what is said by name wins
            for _, target, key, value in self._lines
            if (target == name if named else target is None and bare and key in keys)
        }

    def places_of(self, provided: Provided[Any]) -> dict[str, str]:
        """The settings meant for a thing that say where something is, which is all that may be said of a finished cell.

        Raises ConfigError for one that is part of what the cell is.
        """
        given, config = self.of(provided), config_class(provided)
        places = (
            [each.name for each in dataclasses.fields(config) if not each.metadata.get("identity", True)]
            if config
            else []
        )
        if others := [key for key in given if key not in places]:
            there = f"only {', '.join(places)} can be set" if places else "nothing of it can be set"
            raise ConfigError(f"--set {others[0]}: of {provided.spec.name} the record says it; {there}")
        return given

    def lines_for(self, *names: str) -> list[str]:
        """The lines that one of these, which have been asked about, takes."""
        keys = set().union(*(self._keys.get(name, set()) for name in names))
        return [line for line, target, key, _ in self._lines if target in names or (target is None and key in keys)]

    def check_all_used(self) -> None:
        """Raise ConfigError for a setting that nobody took."""
        known = {key for keys in self._keys.values() for key in keys}
        for _, target, key, _ in self._lines:
            if target is not None and target not in self._keys.keys() | self._by_name.keys():
                hint = did_you_mean(target, [*self._keys, *self._by_name])
                raise ConfigError(f"--set {target}.{key}: no {target!r} takes part; {hint}there is: {self._listed()}")
            if target is None and key not in known:
                raise ConfigError(f"no config key {key!r}; {did_you_mean(key, known)}there is: {self._listed()}")

    def _listed(self) -> str:
        bare = [f"{name} ({', '.join(sorted(keys)) or 'no keys'})" for name, keys in self._keys.items()]
        by_name = [f"{name}.{key}" for name, keys in self._by_name.items() for key in sorted(keys)]
        return "; ".join([*bare, *by_name])
