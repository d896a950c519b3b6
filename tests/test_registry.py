"""The registry, with distributions that are installed as far as importlib.metadata can tell (tests/data/badplugins)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

import pytest

from vpbench.config import config_to_dict, make_config
from vpbench.errors import ExitCode, PluginError, UnknownName, UsageError
from vpbench.registry import Problem, Provided, Registry, load, model_from_file
from vpbench.specs import ModelSpec

BADPLUGINS = Path(__file__).parent / "data" / "badplugins"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VPBENCH_PLUGINS", raising=False)
    monkeypatch.delenv("VPBENCH_PLUGIN_ERRORS", raising=False)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, EntryPoint]]:
    """The entry points of the fake distributions by name, importable while the test runs."""
    monkeypatch.syspath_prepend(BADPLUGINS)
    yield {
        point.name: point
        for distribution in distributions(path=[str(BADPLUGINS)])
        for point in distribution.entry_points.select(group="vpbench")
    }
    for module in BADPLUGINS.glob("*.py"):
        sys.modules.pop(module.stem, None)


def problem_of(registry: Registry, entry_point: str) -> Problem:
    """The only problem of this entry point."""
    (problem,) = (each for each in registry.problems if each.source == f"broken-plugins 2.0 ({entry_point})")
    return problem


class TestWhatIsOffered:
    def test_each_kind_is_listed_with_its_origin(self, installed: dict[str, EntryPoint]) -> None:
        registry = load([installed["good"]])
        assert registry.problems == ()
        assert (list(registry.models()), list(registry.datasets()), list(registry.metrics())) == (
            ["good-model"],
            ["good-dataset"],
            ["good-metric"],
        )
        for provided in (
            registry.model("good-model"),
            registry.dataset("good-dataset"),
            registry.metric("good-metric"),
        ):
            assert (provided.distribution, provided.version, provided.entry_point) == ("good-plugin", "1.0", "good")
            assert provided.source == "good-plugin 1.0 (good)"
        assert registry.model("good-model") is registry.models()["good-model"]
        assert registry.model("good-model").spec.version == "1"

    def test_what_is_listed_cannot_be_changed(self, installed: dict[str, EntryPoint]) -> None:
        registry = load([installed["good"]])
        with pytest.raises(TypeError):
            registry.models()["other"] = registry.model("good-model")  # type: ignore[index]
        with pytest.raises(AttributeError):
            registry.model("good-model").version = "9"  # type: ignore[misc]

    def test_listing_imports_no_factory(self, installed: dict[str, EntryPoint]) -> None:
        spec = load([installed["good"]]).model("good-model").spec
        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            spec.load()

    def test_order_of_entry_points_does_not_matter(self, installed: dict[str, EntryPoint]) -> None:
        one, other = load(installed.values()), load(reversed(installed.values()))
        assert one.problems == other.problems
        assert one.models() == other.models()
        assert list(one.models()) == sorted(one.models())

    def test_installed_distributions_are_found_without_being_told(self, installed: dict[str, EntryPoint]) -> None:
        registry = load()  # the fake ones are on sys.path, beside whatever this environment has
        assert registry.model("good-model").source == "good-plugin 1.0 (good)"
        assert {point for point in installed if point not in ("good", "a", "b", "damaged", "optional")} == {
            problem.source.partition("(")[2].rstrip(")")
            for problem in registry.problems
            if problem.source.startswith("broken-plugins 2.0")
        }

    def test_nothing_installed_is_an_empty_registry(self) -> None:
        registry = load([])
        assert not registry.models()
        with pytest.raises(UnknownName, match=r"^no model 'x'; installed: none$"):
            registry.model("x")


class TestBrokenPlugins:
    @pytest.mark.parametrize(
        ("entry_point", "phase", "message"),
        [
            ("bad-name", "vpbench_models", "ValueError: name 'CapitalLetters': use lower case letters"),
            (
                "empty",
                "registration",
                "broken_empty implements none of vpbench_models, vpbench_datasets, vpbench_metrics",
            ),
            ("exits", "import", "SystemExit: usage: this was a script"),
            ("forgot-yield", "vpbench_models", "returned a ModelSpec, not an iterable of ModelSpec: yield them"),
            ("import-error", "import", "ModuleNotFoundError: No module named 'a_package_that_is_not_installed'"),
            ("missing-attribute", "import", "AttributeError: module 'broken_empty' has no attribute 'no_such_thing'"),
            ("missing-module", "import", "ModuleNotFoundError: No module named 'no_such_module'"),
            (
                "newer-api",
                "vpbench_models",
                "ValueError: 'from-the-future' was written for plugin api 99, this vpbench",
            ),
            (
                "newer-field",
                "vpbench_models",
                "TypeError: ModelSpec.__init__() got an unexpected keyword argument 'brand_new'; it may need a newer",
            ),
            ("raises-midway", "vpbench_models", "RuntimeError: the second model is gone"),
            ("repeats", "names", "more than one model 'repeated'; that is an error in this plugin"),
            ("returns-none", "vpbench_models", "returned None, not an iterable of ModelSpec: yield them"),
            ("signature", "registration", "PluginValidationError: Plugin 'broken-plugins 2.0 (signature)' for hook"),
            ("syntax-error", "import", "SyntaxError: not a chance (broken_syntax_error.py, line 2)"),
            ("unknown-hook", "registration", "hook 'vpbench_boards' is unknown; it may need a newer vpbench"),
            ("unmarked", "registration", "vpbench_models is not marked with @vpbench.hookimpl"),
            ("unprintable-error", "import", "Unprintable"),
        ],
    )
    def test_costs_one_line_that_says_who_and_where(
        self, installed: dict[str, EntryPoint], entry_point: str, phase: str, message: str
    ) -> None:
        registry = load([installed[entry_point], installed["good"]])
        problem = problem_of(registry, entry_point)
        assert problem.phase == phase
        assert problem.message.startswith(message)
        assert str(problem) == f"broken-plugins 2.0 ({entry_point}): {phase}: {problem.message}"
        assert "\n" not in str(problem)
        assert registry.model("good-model").spec.name == "good-model"

    def test_all_at_once_leave_the_good_one_alone(self, installed: dict[str, EntryPoint]) -> None:
        registry = load(installed.values())
        assert set(registry.datasets()) == {"good-dataset", "beside-the-fall"}
        assert set(registry.metrics()) == {"good-metric"}
        assert "good-model" in registry.models()

    def test_wrong_records_are_left_out_alone(self, installed: dict[str, EntryPoint]) -> None:
        registry = load([installed["wrong-type"]])
        assert [problem.message for problem in registry.problems] == [
            "yielded a dict, not a ModelSpec",
            "yielded a DatasetSpec, not a ModelSpec",
        ]
        assert list(registry.models()) == ["after-the-wrong-ones"]
        assert not registry.datasets()

    def test_what_came_before_a_failure_is_kept(self, installed: dict[str, EntryPoint]) -> None:
        registry = load([installed["raises-midway"], installed["unknown-hook"]])
        assert list(registry.models()) == ["before-the-fall", "beside-an-unknown-hook"]
        assert list(registry.datasets()) == ["beside-the-fall"]

    def test_an_optional_unknown_hook_is_no_problem(self, installed: dict[str, EntryPoint]) -> None:
        assert load([installed["optional"]]).problems == ()

    def test_damaged_metadata_does_not_lose_the_plugin(self, installed: dict[str, EntryPoint]) -> None:
        registry = load([installed["damaged"]])
        assert registry.problems == ()
        assert registry.model("of-a-damaged-install").source == "unknown ? (damaged)"

    def test_an_entry_point_that_is_no_reference_is_a_problem(self) -> None:
        registry = load([EntryPoint(name="nonsense", value="not a module!", group="vpbench")])
        assert [(problem.source, problem.phase) for problem in registry.problems] == [
            ("unknown ? (nonsense)", "import")
        ]

    def test_ctrl_c_passes_through(self, installed: dict[str, EntryPoint]) -> None:
        with pytest.raises(KeyboardInterrupt):
            load([EntryPoint(name="interrupts", value="interrupts", group="vpbench"), installed["good"]])

    def test_problems_follow_an_unknown_name(self, installed: dict[str, EntryPoint]) -> None:
        registry = load([installed["good"], installed["import-error"]])
        with pytest.raises(UnknownName) as raised:
            registry.model("good-mode")
        first, *rest = str(raised.value).splitlines()
        assert first == "no model 'good-mode'; did you mean good-model? installed: good-model"
        assert rest == [f"not loaded: {problem_of(registry, 'import-error')}"]
        assert raised.value.exit_code == ExitCode.USAGE

    def test_a_dataset_is_no_model(self, installed: dict[str, EntryPoint]) -> None:
        registry = load([installed["good"]])
        for lookup, kind in ((registry.model, "model"), (registry.metric, "metric")):
            with pytest.raises(UnknownName, match=f"no {kind} 'good-dataset'"):
                lookup("good-dataset")


class TestHangingPlugins:
    @pytest.fixture
    def hanging(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, EntryPoint]]:
        folder = BADPLUGINS.with_name("hangingplugins")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("VPBENCH_PLUGIN_SECONDS", "0.3")
        yield {point.name: point for found in distributions(path=[str(folder)]) for point in found.entry_points}
        for module in folder.glob("*.py"):
            sys.modules.pop(module.stem, None)

    @pytest.mark.parametrize("entry_point", ["sleeps", "spins", "waits"])
    def test_is_given_up_with_one_line_and_the_others_load(
        self, installed: dict[str, EntryPoint], hanging: dict[str, EntryPoint], entry_point: str
    ) -> None:
        registry = load([hanging[entry_point], installed["good"]])
        (problem,) = registry.problems
        assert str(problem) == (
            f"hanging-plugins 3.0 ({entry_point}): import: TookTooLong: not done after 0.3 s "
            "(VPBENCH_PLUGIN_SECONDS): uninstall it, or give it more"
        )
        assert "good-model" in registry.models()

    def test_what_a_hook_gave_before_it_hung_is_kept(self, hanging: dict[str, EntryPoint]) -> None:
        registry = load([hanging["yields"]])
        (problem,) = registry.problems
        assert problem.phase == "vpbench_models"
        assert "before-it-hangs" in registry.models()

    def test_nothing_is_left_ticking(self, hanging: dict[str, EntryPoint]) -> None:
        before = signal.getsignal(signal.SIGALRM)
        load([hanging["sleeps"]])
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        assert signal.getsignal(signal.SIGALRM) == before

    def test_an_alarm_of_the_program_around_it_still_comes(self, hanging: dict[str, EntryPoint]) -> None:
        came = []
        before = signal.signal(signal.SIGALRM, lambda *_: came.append(True))
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            load([hanging["sleeps"]])
            assert not came
            deadline = time.monotonic() + 10
            while not came and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert came

    def test_other_threads_can_load_plugins_too(self, installed: dict[str, EntryPoint]) -> None:
        found: list[Registry] = []
        thread = threading.Thread(target=lambda: found.append(load([installed["good"]])))
        thread.start()
        thread.join()
        assert found[0].problems == ()

    @pytest.mark.parametrize("given", ["soon", "-1", "nan"])
    def test_a_limit_that_is_no_number_of_seconds(self, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
        monkeypatch.setenv("VPBENCH_PLUGIN_SECONDS", given)
        with pytest.raises(UsageError, match=f"VPBENCH_PLUGIN_SECONDS={given}: a number of seconds, 0 for no limit"):
            load([])


class TestIncluding:
    def test_something_of_the_program_that_asks_stands_beside_the_installed(
        self, installed: dict[str, EntryPoint]
    ) -> None:
        mine = Provided(ModelSpec(name="mine", factory=dict, summary="For a test", version="1"), "a-test", "0", "mine")
        registry = load([installed["good"], installed["import-error"]])
        both = registry.including(mine)
        assert set(both.models()) == {"good-model", "mine"}
        assert both.problems == registry.problems
        assert "mine" not in registry.models()

    def test_a_name_that_a_plugin_has_is_taken(self, installed: dict[str, EntryPoint]) -> None:
        spec = ModelSpec(name="good-model", factory=dict, summary="For a test", version="1")
        with pytest.raises(UsageError, match=r"'good-model' is provided by good-plugin 1.0 \(good\): give yours"):
            load([installed["good"]]).including(Provided(spec, "a-test", "0", "mine"))


class TestClashes:
    def test_neither_wins_and_both_are_named(self, installed: dict[str, EntryPoint]) -> None:
        registry = load([installed["a"], installed["b"]])
        assert list(registry.models()) == ["only-a", "only-b"]
        assert list(map(str, registry.problems)) == [
            "twin-a 1.1 (a) and twin-b 2.2 (b): names: more than one model 'twin'; uninstall one"
        ]
        with pytest.raises(
            UsageError,
            match=r"^model 'twin' is provided by twin-a 1.1 \(a\) and by twin-b 2.2 \(b\); uninstall one$",
        ):
            registry.model("twin")

    def test_without_the_other_each_can_be_used(self, installed: dict[str, EntryPoint]) -> None:
        for name in ("a", "b"):
            assert load([installed[name]]).model("twin").entry_point == name


class TestEnvironment:
    def test_only_the_named_plugins_are_loaded(
        self, installed: dict[str, EntryPoint], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "a, good")
        registry = load()
        assert list(registry.models()) == ["good-model", "only-a", "twin"]
        assert registry.problems == ()
        with pytest.raises(UnknownName, match=r"\(VPBENCH_PLUGINS=a, good limits what is loaded\)"):
            registry.model("only-b")

    def test_empty_loads_none(self, installed: dict[str, EntryPoint], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "")
        registry = load()
        assert not registry.models()
        assert registry.problems == ()

    def test_a_name_that_is_not_installed_is_a_problem(
        self, installed: dict[str, EntryPoint], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "good,optionl")
        (problem,) = load().problems
        assert str(problem).startswith("VPBENCH_PLUGINS: selection: no entry point 'optionl'; did you mean optional? ")

    def test_entry_points_that_are_handed_over_are_all_loaded(
        self, installed: dict[str, EntryPoint], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "")
        assert list(load([installed["good"]]).models()) == ["good-model"]

    @pytest.mark.parametrize(
        ("entry_point", "error", "message"),
        [
            ("import-error", ModuleNotFoundError, "a_package_that_is_not_installed"),
            ("raises-midway", RuntimeError, "the second"),
            ("exits", PluginError, r"broken-plugins 2.0 \(exits\): import: SystemExit: usage"),
            ("unknown-hook", PluginError, r"broken-plugins 2.0 \(unknown-hook\): registration: hook 'vpbench_boards'"),
            ("repeats", PluginError, "more than one model 'repeated'"),
        ],
    )
    def test_authors_get_the_error_itself(
        self,
        installed: dict[str, EntryPoint],
        monkeypatch: pytest.MonkeyPatch,
        entry_point: str,
        error: type[Exception],
        message: str,
    ) -> None:
        monkeypatch.setenv("VPBENCH_PLUGIN_ERRORS", "raise")
        with pytest.raises(error, match=message) as raised:
            load([installed[entry_point]])
        said = [str(raised.value), *getattr(raised.value, "__notes__", [])]
        assert any(f"broken-plugins 2.0 ({entry_point})" in each for each in said)


MODEL = '''
from dataclasses import dataclass

class ConvLSTM2D:
    """A recurrent net.

    More about it.
    """

    @dataclass(frozen=True)
    class Config:
        layers: int = 3

    capabilities = {"any-context-length"}

    def __init__(self, config, *, frame_shape, context_length):
        self.config = config

    def predict(self, context, target_times):
        return "frames"

class WithLoss(ConvLSTM2D):
    def loss(self, batch, *, progress, part="main"): ...

class With_Fit:
    def predict(self, context, target_times): ...
    def fit(self, clips): ...

class LatentODE(ConvLSTM2D): ...
class ODE2VAE(ConvLSTM2D): ...
class My2Nets(ConvLSTM2D): ...

class NoPredict: ...

def function(config): ...
'''

WITH_SPEC = """
import vpbench

class Net:
    spec = vpbench.ModelSpec(name="my-net", factory="of_no_matter:Net", summary="Mine", version="2", role="ceiling",
                             prefix_stable=True, assumptions="knows the digits")
    def predict(self, context, target_times): ...
"""


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "my nets.py"
    path.write_text(MODEL)
    return path


class TestModelFromFile:
    def test_spec_is_made_from_the_class(self, model_file: Path) -> None:
        provided = load([]).model(f"{model_file}:ConvLSTM2D")
        spec = provided.spec
        assert (spec.name, spec.summary, spec.learns, spec.role) == (
            "conv-lstm2d",
            "A recurrent net.",
            "nothing",
            "contender",
        )
        assert spec.capabilities == {"any-context-length"}
        assert not spec.prefix_stable
        assert len(spec.version) == 12
        assert provided.source == f"my nets.py {spec.version} (ConvLSTM2D)"

    def test_model_is_made_as_one_of_a_plugin_is(self, model_file: Path) -> None:
        spec = load([]).model(f"{model_file}:ConvLSTM2D").spec
        config = make_config(spec.load_config(), {"layers": "5"}, owner=spec.name)
        model = spec.load()(config, frame_shape=(1, 8, 8), context_length=4)
        assert model.predict(None, None) == "frames"
        assert config_to_dict(model.config) == {"layers": 5}

    @pytest.mark.parametrize(
        ("name", "kebab", "learns"),
        [
            ("WithLoss", "with-loss", "weights"),
            ("With_Fit", "with-fit", "statistics"),
            ("LatentODE", "latent-ode", "nothing"),
            ("ODE2VAE", "ode2vae", "nothing"),
            ("My2Nets", "my2-nets", "nothing"),
        ],
    )
    def test_what_it_learns_shows_in_its_methods(self, model_file: Path, name: str, kebab: str, learns: str) -> None:
        spec = load([]).model(f"{model_file}:{name}").spec
        assert (spec.name, spec.learns) == (kebab, learns)

    def test_spec_of_the_class_is_taken_but_for_factory_and_version(self, tmp_path: Path) -> None:
        path = tmp_path / "net.py"
        path.write_text(WITH_SPEC)
        provided = load([]).model(f"{path}:Net")
        spec = provided.spec
        assert (spec.name, spec.role, spec.assumptions, spec.prefix_stable) == (
            "my-net",
            "ceiling",
            "knows the digits",
            True,
        )
        assert spec.version == f"2+{provided.version}"
        assert spec.load().__name__ == "Net"

    def test_an_edit_is_another_version_even_within_the_same_second(self, tmp_path: Path) -> None:
        path = tmp_path / "net.py"
        seen = set()
        for value in ("1", "2", "3"):  # same size, same time: bytecode of the first would pass for all
            path.write_text(f"class Net:\n    value = {value}\n    def predict(self, context, target_times): ...\n")
            os.utime(path, (1e9, 1e9))
            spec = model_from_file(f"{path}:Net").spec
            assert str(spec.load().value) == value
            seen.add(spec.version)
        assert len(seen) == 3
        assert not list(tmp_path.rglob("*.pyc"))

    def test_same_file_twice_is_the_same_class(self, model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        registry = load([])
        first = registry.model(f"{model_file}:ConvLSTM2D")
        assert registry.model(f"{model_file}:ConvLSTM2D") == first
        monkeypatch.chdir(model_file.parent)
        assert load([]).model("my nets.py:ConvLSTM2D").spec.load() is first.spec.load()

    def test_its_folder_is_not_put_on_the_import_path(self, tmp_path: Path) -> None:
        (tmp_path / "my_helper.py").write_text("")
        path = tmp_path / "net.py"
        path.write_text("import my_helper\n")
        before = list(sys.path)
        with pytest.raises(UsageError, match=r"net.py, line 1: ModuleNotFoundError: .*my_helper.* must be one file"):
            load([]).model(f"{path}:Net")
        assert sys.path == before

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("class Net\n    pass\n", r"net.py: SyntaxError: .*\(net.py, line 1\)"),
            ("\n1 / 0\n", r"net.py, line 2: ZeroDivisionError: division by zero"),
            ("import sys\nsys.exit(3)\n", r"net.py, line 2: SystemExit: 3"),
            ("x = '\0'", r"net.py: SyntaxError: source code string cannot contain null bytes"),
            ("Net = 3", r"net.py has no class 'Net' with a predict method; found there: none"),
            ("class Nett:\n    def predict(self): ...", r"did you mean Nett\? found there: Nett"),
            ("class Net:\n    spec = 3\n    def predict(self): ...", r"spec of Net is an int, not a ModelSpec"),
            ("class Net:\n    capabilities = {'fly'}\n    def predict(self): ...", r"capabilities \['fly'\] of 'net'"),
            ("class Nét:\n    def predict(self): ...", r"has no class 'Net'"),
        ],
    )
    def test_whatever_is_wrong_with_the_file_is_one_line(self, tmp_path: Path, text: str, message: str) -> None:
        path = tmp_path / "net.py"
        path.write_text(text, encoding="utf-8")
        modules = set(sys.modules)
        with pytest.raises(UsageError, match=message) as raised:
            load([]).model(f"{path}:Net")
        assert "\n" not in str(raised.value)
        if "Error" in message or "Exit" in message:
            assert not {each for each in set(sys.modules) - modules if each.startswith("vpbench_file_")}

    @pytest.mark.parametrize("reference", ["net.py", "net.py:", ":Net", "some/where", "net.py:not a name"])
    def test_a_reference_that_names_no_class(self, reference: str) -> None:
        with pytest.raises(UsageError, match=r"as path/to/file.py:Class"):
            load([]).model(reference)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"cannot read .*: No such file or directory"):
            load([]).model(f"{tmp_path / 'none.py'}:Net")
        with pytest.raises(UsageError, match=r"cannot read .*: Is a directory"):
            load([]).model(f"{tmp_path}:Net")

    def test_the_name_of_an_installed_model_is_taken(self, installed: dict[str, EntryPoint], tmp_path: Path) -> None:
        path = tmp_path / "net.py"
        path.write_text("class GoodModel:\n    def predict(self): ...\nclass Twin(GoodModel): ...\n")
        registry = load([installed["good"], installed["a"], installed["b"]])
        with pytest.raises(UsageError, match=r"would be model 'good-model', as is good-plugin 1.0 \(good\): rename"):
            registry.model(f"{path}:GoodModel")
        with pytest.raises(UsageError, match=r"as is twin-a 1.1 \(a\) and twin-b 2.2 \(b\)"):
            registry.model(f"{path}:Twin")

    def test_two_files_cannot_share_a_name(self, tmp_path: Path) -> None:
        registry = load([])
        old, new = tmp_path / "old.py", tmp_path / "new.py"
        for path in (old, new):
            path.write_text("class Net:\n    def predict(self): ...\n")
        registry.model(f"{old}:Net")
        with pytest.raises(UsageError, match=r"new.py:Net would be model 'net', as is .*old.py:Net"):
            registry.model(f"{new}:Net")

    def test_it_is_not_listed_among_the_installed(self, model_file: Path) -> None:
        registry = load([])
        registry.model(f"{model_file}:ConvLSTM2D")
        assert not registry.models()

    def test_ctrl_c_passes_through(self) -> None:
        with pytest.raises(KeyboardInterrupt):
            load([]).model(f"{BADPLUGINS / 'interrupts.py'}:Net")


def test_provided_can_be_made_by_hand_for_a_registry_without_plugins() -> None:
    spec = ModelSpec(name="fake", factory=dict, summary="For a test", version="1")
    registry = Registry([Provided(spec, "a-test", "0", "fake")])
    assert registry.model("fake").spec is spec


def test_a_broken_plugin_does_not_end_a_program_that_lists_what_is_installed() -> None:
    code = "from vpbench.registry import load; r = load(); print(len(r.problems), 'good-model' in r.models())"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=BADPLUGINS,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(BADPLUGINS)},
    )
    assert ran.returncode == 0, ran.stderr
    count, good = ran.stdout.split()
    assert int(count) >= 19
    assert good == "True"
