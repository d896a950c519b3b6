"""Config classes: filled from text, written down, and read back as the same values."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpbench.config import config_to_dict, did_you_mean, make_config, parse_setting
from vpbench.errors import ConfigError, ExitCode, PluginError


@dataclass(frozen=True, kw_only=True)
class Everything:
    """One field of each type that --set can fill."""

    steps: int = 4
    rate: float = 1e-3
    fast: bool = False
    solver: str = "rk4"
    norm: Literal["batch", "group", "none"] = "group"
    level: Literal[1, 2, "auto"] = "auto"
    limit: int | None = None
    scale: Optional[float] = None  # noqa: UP045 -- authors write it this way too
    label: str | None = None
    widths: tuple[int, ...] = (32, 64)
    size: tuple[int, float] = (8, 0.5)
    names: tuple[str, ...] = ()
    grid: tuple[tuple[int, int], ...] = ()
    gains: tuple[float, ...] | None = None
    clip: float | Literal["off"] = "off"
    derived: int = field(default=0, init=False)
    constant: ClassVar[int] = 3


@dataclass(frozen=True)
class Checked:
    hidden: int
    heads: int = 2

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} is no multiple of heads {self.heads}")


def make(**settings: Any) -> Any:
    return make_config(Everything, settings, owner="latentode")


class TestParseSetting:
    @pytest.mark.parametrize(
        ("text", "parsed"),
        [
            ("solver=rk4", (None, "solver", "rk4")),
            ("latentode.solver=rk4", ("latentode", "solver", "rk4")),
            ("copy-last.x_1=", ("copy-last", "x_1", "")),
            ("path=a.b=c,d.e", (None, "path", "a.b=c,d.e")),
            ("psnr.range= 255", ("psnr", "range", " 255")),
        ],
    )
    def test_splits(self, text: str, parsed: tuple[str | None, str, str]) -> None:
        assert parse_setting(text) == parsed

    @pytest.mark.parametrize("text", ["solver", "", "=", "=3", ".x=3", "a.=3", "a.b.c=3", "Model.x=3", "a b=3", "1x=3"])
    def test_says_how_to_write_it(self, text: str) -> None:
        with pytest.raises(ConfigError, match=r"write it as key=value or name.key=value"):
            parse_setting(text)

    @given(
        st.none() | st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True),
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True),
        st.text(),
    )
    def test_any_name_key_and_value(self, target: str | None, key: str, value: str) -> None:
        text = f"{target}.{key}={value}" if target else f"{key}={value}"
        assert parse_setting(text) == (target, key, value)


class TestText:
    @pytest.mark.parametrize(
        ("key", "text", "value"),
        [
            ("steps", "12", 12),
            ("steps", " -3 ", -3),
            ("rate", "1", 1.0),
            ("rate", "1e-4", 1e-4),
            ("rate", "inf", math.inf),
            ("fast", "true", True),
            ("fast", "ON", True),
            ("fast", "0", False),
            ("fast", "No", False),
            ("solver", " dopri5 ", " dopri5 "),
            ("solver", "none", "none"),
            ("solver", "", ""),
            ("norm", "none", "none"),
            ("level", "2", 2),
            ("level", "auto", "auto"),
            ("limit", "none", None),
            ("limit", "None", None),
            ("limit", "7", 7),
            ("scale", "7", 7.0),
            ("label", "none", None),
            ("label", "5", "5"),
            ("widths", "1,2, 3", (1, 2, 3)),
            ("widths", "5", (5,)),
            ("widths", "", ()),
            ("widths", "[1, 2]", (1, 2)),
            ("size", "4,1", (4, 1.0)),
            ("names", "a, b", ("a", "b")),
            ("names", '["a, b", "c"]', ("a, b", "c")),
            ("grid", "[[1,2],[3,4]]", ((1, 2), (3, 4))),
            ("gains", "none", None),
            ("gains", "1,2", (1.0, 2.0)),
            ("clip", "off", "off"),
            ("clip", "3", 3.0),
        ],
    )
    def test_is_read_as_the_type_says(self, key: str, text: str, value: Any) -> None:
        read = getattr(make(**{key: text}), key)
        assert read == value
        assert type(read) is type(value)
        if isinstance(value, tuple):
            assert list(map(type, read)) == list(map(type, value))

    @pytest.mark.parametrize(
        ("key", "value", "expected"),
        [
            ("steps", "four", "'four' is not int"),
            ("steps", "4.0", "'4.0' is not int"),
            ("steps", 4.0, "4.0 is not int"),
            ("steps", True, "True is not int"),
            ("steps", None, "None is not int"),
            ("rate", "fast", "'fast' is not float"),
            ("rate", "nan", "'nan' is not float"),
            ("rate", False, "False is not float"),
            ("fast", "maybe", "'maybe' is not bool (true or false)"),
            ("fast", 1, "1 is not bool (true or false)"),
            ("solver", 5, "5 is not str"),
            ("norm", "layer", "'layer' is not one of batch, group, none"),
            ("level", "3", "'3' is not one of 1, 2, auto"),
            ("level", True, "True is not one of 1, 2, auto"),
            ("limit", "x", "'x' is not int | None"),
            ("scale", "x", "'x' is not float | None"),
            ("widths", "1,x", "'1,x' is not tuple[int, ...] (write it as 1,2,3)"),
            ("widths", "[1,", "'[1,' is not tuple[int, ...] (write it as 1,2,3)"),
            ("widths", 3, "3 is not tuple[int, ...] (write it as 1,2,3)"),
            ("size", "1,2,3", "'1,2,3' is not tuple[int, float] (write it as 1,2,3)"),
            ("clip", "on", "'on' is not float | 'off'"),
        ],
    )
    def test_that_does_not_fit_is_an_error_with_key_value_and_type(self, key: str, value: Any, expected: str) -> None:
        with pytest.raises(ConfigError) as raised:
            make(**{key: value})
        assert str(raised.value) == f"latentode config key {key!r}: {expected}"
        assert raised.value.exit_code == ExitCode.USAGE


class TestKeys:
    def test_defaults_are_kept(self) -> None:
        assert make() == Everything()
        assert make(steps="5") == Everything(steps=5)

    def test_unknown_key_lists_what_there_is(self) -> None:
        with pytest.raises(ConfigError) as raised:
            make(solvr="rk4")
        message = str(raised.value)
        assert message.startswith(
            "latentode has no config key 'solvr'; did you mean solver? known: steps (int, 4), rate (float, 0.001), "
            "fast (bool, False), solver (str, 'rk4'), norm ('batch' | 'group' | 'none', 'group'), "
        )
        assert "widths (tuple[int, ...], (32, 64))" in message
        assert "limit (int | None, None)" in message

    @pytest.mark.parametrize("key", ["derived", "constant", "rk4"])
    def test_only_fields_of_the_constructor_are_keys(self, key: str) -> None:
        with pytest.raises(ConfigError, match=f"latentode has no config key '{key}'"):
            make(**{key: "1"})

    def test_dash_for_underscore_is_suggested_away(self) -> None:
        assert did_you_mean("weight-decay", ["weight_decay", "steps"]) == "did you mean weight_decay? "

    def test_required_key_is_asked_for(self) -> None:
        with pytest.raises(ConfigError, match=r"net needs config key 'hidden' \(int\): give it with --set"):
            make_config(Checked, {}, owner="net")
        with pytest.raises(ConfigError, match=r"known: hidden \(int, required\), heads \(int, 2\)"):
            make_config(Checked, {"head": 1}, owner="net")

    def test_what_the_class_checks_is_a_config_error(self) -> None:
        with pytest.raises(ConfigError, match=r"^net config: hidden 5 is no multiple of heads 2$"):
            make_config(Checked, {"hidden": "5"}, owner="net")

    def test_nothing_to_configure(self) -> None:
        assert make_config(None, {}, owner="black") is None
        with pytest.raises(ConfigError, match=r"^black has nothing to configure, so it has no config key 'steps'$"):
            make_config(None, {"steps": "3"}, owner="black")
        assert config_to_dict(None) == {}


class TestClassesAtFault:
    def test_not_a_dataclass(self) -> None:
        with pytest.raises(PluginError, match="config class 'dict' of net is not a frozen dataclass"):
            make_config(dict, {}, owner="net")

    def test_not_frozen(self) -> None:
        @dataclass
        class Loose:
            steps: int = 1

        with pytest.raises(PluginError, match="is not a frozen dataclass"):
            make_config(Loose, {}, owner="net")

    @pytest.mark.parametrize(
        "hint", [list[int], dict, int | str, Any, tuple, tuple[int, ...] | list[int], Literal[b"x"]]
    )
    def test_type_that_text_cannot_fill(self, hint: Any) -> None:
        Odd = dataclass(frozen=True)(type("Odd", (), {"__annotations__": {"key": hint}, "key": None}))
        with pytest.raises(PluginError, match=r"config key 'key' of net has type .*, which --set cannot fill"):
            make_config(Odd, {}, owner="net")

    def test_name_that_is_not_there(self) -> None:
        Odd = dataclass(frozen=True)(type("Odd", (), {"__annotations__": {"key": "NoSuchType"}, "key": None}))
        with pytest.raises(PluginError, match=r"config class 'Odd' of net: name 'NoSuchType' is not defined"):
            make_config(Odd, {}, owner="net")


configs = st.builds(
    Everything,
    steps=st.integers(),
    rate=st.floats(allow_nan=False) | st.integers(-(2**53), 2**53),
    fast=st.booleans(),
    solver=st.text(),
    norm=st.sampled_from(["batch", "group", "none"]),
    level=st.sampled_from([1, 2, "auto"]),
    limit=st.none() | st.integers(),
    scale=st.none() | st.floats(allow_nan=False),
    label=st.none() | st.text().filter(lambda text: text.strip().lower() != "none"),
    widths=st.lists(st.integers()).map(tuple),
    size=st.tuples(st.integers(), st.floats(allow_nan=False)),
    names=st.lists(st.text()).map(tuple),
    grid=st.lists(st.tuples(st.integers(), st.integers())).map(tuple),
    gains=st.none() | st.lists(st.floats(allow_nan=False)).map(tuple),
    clip=st.floats(allow_nan=False) | st.just("off"),
)


class TestWrittenDown:
    @given(configs)
    def test_reads_back_as_the_same_config_also_through_json(self, config: Everything) -> None:
        written = config_to_dict(config)
        text = json.dumps(written, allow_nan=False)
        assert make_config(Everything, written, owner="x") == config
        assert make_config(Everything, json.loads(text), owner="x") == config

    @given(configs)
    def test_equal_configs_are_written_alike(self, config: Everything) -> None:
        again = make_config(Everything, config_to_dict(config), owner="x")
        assert json.dumps(config_to_dict(again)) == json.dumps(config_to_dict(config))

    def test_number_types_do_not_make_two_of_one_config(self) -> None:
        one, other = Everything(rate=1, size=(1, 2), gains=(0,)), Everything(rate=1.0, size=(1, 2.0), gains=(-0.0,))
        assert one == other
        assert json.dumps(config_to_dict(one)) == json.dumps(config_to_dict(other))

    def test_all_keys_are_there_in_order(self) -> None:
        assert config_to_dict(Everything(rate=math.inf)) == {
            "steps": 4,
            "rate": "inf",
            "fast": False,
            "solver": "rk4",
            "norm": "group",
            "level": "auto",
            "limit": None,
            "scale": None,
            "label": None,
            "widths": [32, 64],
            "size": [8, 0.5],
            "names": [],
            "grid": [],
            "gains": None,
            "clip": "off",
        }

    @pytest.mark.parametrize(
        "wrong",
        [
            {"rate": math.nan},
            {"label": "none"},  # would be read back as None
            {"steps": 4.0},
            {"steps": "4"},
            {"fast": 1},
            {"widths": [1, 2]},
            {"solver": None},
        ],
    )
    def test_value_that_would_be_read_back_as_another_is_refused(self, wrong: dict[str, Any]) -> None:
        (key,) = wrong
        with pytest.raises(ConfigError, match=f"Everything.{key} = .* cannot be written down as "):
            config_to_dict(Everything(**wrong))


def test_where_a_file_is_does_not_decide_what_a_config_is():
    @dataclasses.dataclass(frozen=True)
    class Located:
        size: int = 1
        path: str | None = dataclasses.field(default=None, metadata={"identity": False})

    given = make_config(Located, {"path": "somewhere/else"}, owner="toy")
    assert given.path == "somewhere/else"
    assert config_to_dict(given) == {"size": 1}


def test_an_option_that_is_added_later_leaves_the_cells_that_are_there():
    @dataclasses.dataclass(frozen=True)
    class Grown:
        size: int = 1
        speed: float = dataclasses.field(default=1.0, metadata={"identity": "unless default"})

    assert config_to_dict(make_config(Grown, {"size": 2}, owner="toy")) == {"size": 2}
    assert config_to_dict(make_config(Grown, {"speed": "1"}, owner="toy")) == {"size": 1}
    changed = make_config(Grown, {"speed": 0.5}, owner="toy")
    assert config_to_dict(changed) == {"size": 1, "speed": 0.5}
    assert make_config(Grown, config_to_dict(changed), owner="toy") == changed


def test_a_part_in_identities_that_nobody_knows_is_the_plugins_fault():
    @dataclasses.dataclass(frozen=True)
    class Odd:
        size: int = dataclasses.field(default=1, metadata={"identity": "sometimes"})

    with pytest.raises(PluginError, match="identity of 'size' is 'sometimes'"):
        config_to_dict(Odd())
