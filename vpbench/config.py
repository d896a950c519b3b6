"""Config dataclasses: filled from ``--set key=value``, and written down in records.

A config class is a frozen dataclass whose fields are int, float, bool, str, Literal, tuples of those, or any of those
`| None`. Text is parsed as the field's type says, so that neither the user nor the plugin author writes a parser.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import types
from collections.abc import Collection, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from .errors import ConfigError, PluginError

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
_NONE = "none"
_SETTING = re.compile(r"(?:(?P<target>[a-z0-9]+(?:-[a-z0-9]+)*)\.)?(?P<key>[A-Za-z_][\w-]*)")


def did_you_mean(wanted: str, known: Collection[str]) -> str:
    """``"did you mean latentode? "`` where a known name is close to the wanted one, else nothing."""
    from difflib import get_close_matches

    close = get_close_matches(wanted, known, n=1)
    return f"did you mean {close[0]}? " if close else ""


def parse_setting(text: str) -> tuple[str | None, str, str]:
    """Split ``"key=value"`` or ``"name.key=value"`` into (name or None, key, value).

    The name is that of the model, dataset or metric it is meant for. The value may contain anything, also "=" and ".".
    """
    left, equals, value = text.partition("=")
    match = _SETTING.fullmatch(left)
    if not equals or not match:
        raise ConfigError(f"--set {text!r}: write it as key=value or name.key=value")
    return match["target"], match["key"], value


def make_config(config_class: type[Any] | None, settings: Mapping[str, Any], *, owner: str) -> Any:
    """An instance of the config class, defaults replaced by the settings; None where there is nothing to configure.

    settings  key -> text from the command line, or a value as JSON has it (of weights, of a record)
    owner     name of the model, dataset or metric, for messages

    Raises `ConfigError` for an unknown or missing key and for a value that does not fit, and `PluginError` for a config
    class that is not a frozen dataclass of the types above.
    """
    if config_class is None:
        if settings:
            raise ConfigError(
                f"{owner} has nothing to configure, so it has no config key {', '.join(map(repr, settings))}"
            )
        return None
    hints = _hints(config_class, owner)
    if unknown := [key for key in settings if key not in hints]:
        listed = ", ".join(_listed(field, hints[field.name]) for field in _fields(config_class))
        raise ConfigError(
            f"{owner} has no config key {unknown[0]!r}; {did_you_mean(unknown[0], hints)}known: {listed or 'none'}"
        )
    values = {}
    for key, value in settings.items():
        try:
            values[key] = _read(hints[key], value)
        except ValueError:
            raise ConfigError(f"{owner} config key {key!r}: {value!r} is not {_expected(hints[key])}") from None
    for field in _fields(config_class):
        if field.name not in values and _required(field):
            raise ConfigError(
                f"{owner} needs config key {field.name!r} ({_typename(hints[field.name])}): give it with --set"
            )
    try:
        return config_class(**values)
    except (ValueError, ArithmeticError) as error:  # what __post_init__ checks beyond types, and what it stumbles over
        raise ConfigError(f"{owner} config: {error}") from error


def config_to_dict(config: Any) -> dict[str, Any]:
    """All values of a config in the form that JSON keeps: tuples as lists, infinity as text. {} for None.

    Equal configs give equal dicts, and `make_config` makes an equal config of it; a value for which that does not hold
    (NaN, the text "none" where None is allowed too) is a `ConfigError`, since a record of it would be wrong.

    A field with ``metadata={"identity": False}`` is left out: it says where something is, not what it is, and the same
    file in another folder must not make another cell. One with ``metadata={"identity": "unless default"}`` is left out
    where it has its default, which must mean what there was before the field: an option that is added later does not
    make other cells of the records that are there.
    """
    if config is None:
        return {}
    owner = type(config).__qualname__
    left_out = {field.name for field in dataclasses.fields(config) if _left_out(field, config)}
    written = {}
    for key, hint in _hints(type(config), owner).items():
        if key in left_out:
            continue
        value = getattr(config, key)
        try:
            kept = _read(hint, value)  # makes 1 a 1.0 where the type says float: equal configs are written alike
            written[key] = _plain(kept)
            same = kept == value and _read(hint, written[key]) == value
        except ValueError:
            same = False
        if not same:
            raise ConfigError(f"{owner}.{key} = {value!r} cannot be written down as {_typename(hint)}")
    return written


def _left_out(field: dataclasses.Field[Any], config: Any) -> bool:
    """Whether a field takes no part in identities."""
    part = field.metadata.get("identity", True)
    if part not in (True, False, "unless default"):
        raise PluginError(f"identity of {field.name!r} is {part!r}: True, False or 'unless default'")
    return not part or (part == "unless default" and getattr(config, field.name) == _default(field))


# -------------------------------------------------------------------------------------------------------------- fields


def _fields(config_class: type[Any]) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(config_class) if field.init]


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _hints(config_class: type[Any], owner: str) -> dict[str, Any]:
    """Key -> type, in the order of the fields; whatever is wrong with the class itself is the plugin's fault."""
    params = getattr(config_class, "__dataclass_params__", None)
    if params is None or not params.frozen:
        raise PluginError(f"config class {config_class.__qualname__!r} of {owner} is not a frozen dataclass")
    try:
        hints = get_type_hints(config_class)
    except (NameError, TypeError) as error:
        raise PluginError(f"config class {config_class.__qualname__!r} of {owner}: {error}") from error
    found = {field.name: hints[field.name] for field in _fields(config_class)}
    for key, hint in found.items():
        if not _supported(hint):
            raise PluginError(f"config key {key!r} of {owner} has type {_typename(hint)}, which --set cannot fill")
    return found


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _supported(hint: Any) -> bool:
    if hint in (int, float, bool, str, types.NoneType):
        return True
    members = get_args(hint)
    if get_origin(hint) is Literal:
        return all(type(member) in (int, bool, str, types.NoneType) for member in members)
    if get_origin(hint) is tuple:
        return all(member is ... or _supported(member) for member in members)
    # Free text beside a number could not be told apart: is "5" the number or the text?
    alone = str not in members or set(members) == {str, types.NoneType}
    return _is_union(hint) and alone and all(map(_supported, members))


def _typename(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " | ".join(map(repr, get_args(hint)))
    if _is_union(hint):
        return " | ".join(map(_typename, get_args(hint)))
    if get_origin(hint) is tuple:
        return f"tuple[{', '.join('...' if member is ... else _typename(member) for member in get_args(hint))}]"
    if hint is types.NoneType:
        return "None"
    return getattr(hint, "__name__", None) or str(hint)


def _expected(hint: Any) -> str:
    """The type as a person would put it, with how to write it where that is not obvious."""
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if get_origin(hint) is tuple:
        return f"{_typename(hint)} (write it as 1,2,3)"
    if hint is bool:
        return "bool (true or false)"
    return _typename(hint)


def _listed(field: dataclasses.Field[Any], hint: Any) -> str:
    if _required(field):
        return f"{field.name} ({_typename(hint)}, required)"
    return f"{field.name} ({_typename(hint)}, {_default(field)!r})"


# -------------------------------------------------------------------------------------------------------------- values


def _read(hint: Any, value: Any) -> Any:
    """The value as the type has it, from text or from JSON; ValueError where it does not fit."""
    if _is_union(hint):
        # None first: a text "none" means None, also where other text is allowed.
        for member in sorted(get_args(hint), key=lambda member: member is not types.NoneType):
            try:
                return _read(member, value)
            except ValueError:
                continue
        raise ValueError(value)
    if get_origin(hint) is Literal:
        for choice in get_args(hint):
            try:
                if _read(type(choice), value) == choice:
                    return choice
            except ValueError:
                continue
        raise ValueError(value)
    if get_origin(hint) is tuple:
        return _read_tuple(get_args(hint), value)
    return _read_text(hint, value) if isinstance(value, str) else _read_value(hint, value)


def _read_tuple(members: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        text = value.strip()
        value = [item.strip() for item in text.split(",")] if text else []
        if text.startswith("["):  # as in JSON: for nested tuples, and for texts with commas
            value = json.loads(text)  # its error is a ValueError
    if not isinstance(value, list | tuple):
        raise ValueError(value)
    if len(members) == 2 and members[1] is ...:
        members = (members[0],) * len(value)
    if len(members) != len(value):
        raise ValueError(value)
    return tuple(_read(member, item) for member, item in zip(members, value, strict=True))


def _read_text(hint: Any, text: str) -> Any:
    if hint is str:
        return text
    text = text.strip()
    if hint is int:
        return int(text)
    if hint is float:
        number = float(text)
        if math.isnan(number):  # never equal to itself, so never a value that two runs share
            raise ValueError(text)
        return number
    lower = text.lower()
    if hint is bool and lower in _TRUE + _FALSE:
        return lower in _TRUE
    if hint is types.NoneType and lower == _NONE:
        return None
    raise ValueError(text)


def _read_value(hint: Any, value: Any) -> Any:
    if hint is float and type(value) in (int, float) and not math.isnan(value):
        return float(value)
    if type(value) is hint:  # exactly: True is no int
        return value
    raise ValueError(value)


def _plain(value: Any) -> Any:
    """The value as JSON can hold it."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else str(value)  # + 0.0 makes 0.0 of -0.0, which equals it
    return value
