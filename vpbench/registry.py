"""What is installed: entry points of group ``vpbench`` become a `Registry` of models, datasets and metrics.

Other people's code runs here, so each plugin is on its own: whatever goes wrong in one of them becomes a `Problem` that
says whose it is, and costs nothing but that plugin's offer. No factory is imported; listing everything stays cheap.

Environment variables:
``VPBENCH_PLUGINS=a,b`` loads only the entry points of these names (empty: none);
``VPBENCH_PLUGIN_SECONDS=60`` is how long the import and each hook of a plugin may take (0: as long as they like);
``VPBENCH_PLUGIN_ERRORS=raise`` is for plugin authors: the first problem is raised, with its traceback.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import walk_tb
from types import CodeType, MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pluggy

from . import hookspecs
from .config import did_you_mean
from .errors import PluginError, UnknownName, UsageError, message_of
from .interrupts import TookTooLong, time_limit
from .specs import DatasetSpec, Learns, MetricSpec, ModelSpec, Spec

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "vpbench"
PREFIX = "vpbench_"

#: Stands where other models have the name of their distribution: an object of the program that asks.
IN_MEMORY = "in-memory"

#: Hook -> (what it offers, the record it yields).
HOOKS: Mapping[str, tuple[str, type[Spec]]] = {
    "vpbench_models": ("model", ModelSpec),
    "vpbench_datasets": ("dataset", DatasetSpec),
    "vpbench_metrics": ("metric", MetricSpec),
}

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Problem:
    """Something a plugin did wrong, in one line; the rest of what is installed works on."""

    source: str  #: "distribution version (entry point)"
    phase: str  #: "import", "registration", the name of a hook, or "names"
    message: str

    def __str__(self) -> str:
        return f"{self.source}: {self.phase}: {self.message}"


@dataclass(frozen=True)
class Provided(Generic[S]):
    """A spec and where it comes from."""

    spec: S
    distribution: str  #: "vpbench-latentode"; the file's name for a model given as a file
    version: str  #: of the distribution
    entry_point: str

    @property
    def source(self) -> str:
        """For people: "vpbench-latentode 0.1.0 (latentode)"."""
        return _source(self.distribution, self.version, self.entry_point)


class Registry:
    """Models, datasets and metrics by name, and what could not be loaded."""

    def __init__(
        self, provided: Iterable[Provided[Any]], problems: Iterable[Problem] = (), *, limited: str = ""
    ) -> None:
        """
        provided  all there is, also several of one name: of those, none can be looked up
        limited   why some of what is installed is not here, for the message about an unknown name
        """
        self.problems: tuple[Problem, ...] = tuple(problems)
        self._limited = limited
        self._found: dict[tuple[str, str], list[Provided[Any]]] = defaultdict(list)
        for each in provided:
            self._found[_kind(each.spec), each.spec.name].append(each)
        self._files: dict[str, str] = {}

    def models(self) -> Mapping[str, Provided[ModelSpec]]:
        """Installed models by name."""
        return self._all("model")

    def datasets(self) -> Mapping[str, Provided[DatasetSpec]]:
        """Installed datasets by name."""
        return self._all("dataset")

    def metrics(self) -> Mapping[str, Provided[MetricSpec]]:
        """Installed metrics by name."""
        return self._all("metric")

    def model(self, name: str) -> Provided[ModelSpec]:
        """The model of this name, or of a file: ``"path/to/file.py:Class"`` needs no packaging (see `model_from_file`).

        Raises `UnknownName`, or `UsageError` for a name that several plugins provide and for a file that does not work.
        """
        return self._file(name) if is_file_reference(name) else self._one("model", name)

    def dataset(self, name: str) -> Provided[DatasetSpec]:
        """The dataset of this name; raises as `model` does."""
        return self._one("dataset", name)

    def metric(self, name: str) -> Provided[MetricSpec]:
        """The metric of this name; raises as `model` does."""
        return self._one("metric", name)

    def including(self, extra: Provided[Any]) -> Registry:
        """This one, and something of the program that asks. Raises UsageError where a plugin has its name."""
        kind, name = _kind(extra.spec), extra.spec.name
        if others := [each.source for each in self._found.get((kind, name), [])]:
            raise UsageError(f"{kind} {name!r} is provided by {' and by '.join(others)}: give yours another name")
        there = [each for found in self._found.values() for each in found]
        return Registry([*there, extra], self.problems, limited=self._limited)

    def _all(self, kind: str) -> Mapping[str, Provided[Any]]:
        found = {name: each[0] for (of, name), each in sorted(self._found.items()) if of == kind and len(each) == 1}
        return MappingProxyType(found)

    def _one(self, kind: str, name: str) -> Provided[Any]:
        providers = self._found.get((kind, name), [])
        if len(providers) == 1:
            return providers[0]
        if providers:
            sources = [each.source for each in providers]
            raise UsageError(f"{kind} {name!r} is provided by {' and by '.join(sources)}; {_remedy(sources)}")
        installed = self._all(kind)
        message = f"no {kind} {name!r}; {did_you_mean(name, installed)}installed: {', '.join(installed) or 'none'}"
        if self._limited:
            message += f" ({self._limited})"
        # The wanted one may live in a plugin that failed.
        raise UnknownName("\n".join([message, *(f"not loaded: {problem}" for problem in self.problems)]))

    def _file(self, reference: str) -> Provided[ModelSpec]:
        provided = model_from_file(reference)
        name = provided.spec.name
        others = [each.source for each in self._found.get(("model", name), [])]
        if self._files.setdefault(name, reference) != reference:
            others.append(self._files[name])
        if others:
            raise UsageError(
                f"{reference} would be model {name!r}, as is {' and '.join(others)}: rename the class, or give it "
                "spec = ModelSpec(name=...)"
            )
        return provided


# ------------------------------------------------------------------------------------------------------------- loading


def load(points: Iterable[EntryPoint] | None = None) -> Registry:
    """Import the entry modules, ask each for what it offers, and keep the answers that hold.

    points  entry points to load instead of the installed ones (tests); VPBENCH_PLUGINS does not apply to them

    Never fails because of a plugin (unless VPBENCH_PLUGIN_ERRORS=raise): see `Registry.problems`. KeyboardInterrupt
    passes through. A plugin that hangs is given up after VPBENCH_PLUGIN_SECONDS, where the system has interval timers
    and this is the main thread: elsewhere nothing can end it but Ctrl-C.
    """
    loading = _Loading(_patience())
    limited = ""
    if points is None:
        from importlib.metadata import entry_points  # 30 ms, so not for those who only want --help

        points = entry_points(group=GROUP)
        wanted = os.environ.get("VPBENCH_PLUGINS")
        if wanted is not None:
            names = {name.strip() for name in wanted.split(",")} - {""}
            limited = f"VPBENCH_PLUGINS={wanted} limits what is loaded"
            present = {point.name for point in points}
            for name in sorted(names - present):
                hint = f"{did_you_mean(name, present)}installed: {', '.join(sorted(present)) or 'none'}"
                loading.failed("VPBENCH_PLUGINS", "selection", f"no entry point {name!r}; {hint}")
            points = [point for point in points if point.name in names]
    attributed = [(point, *_distribution(point)) for point in points]
    for point, distribution, version in sorted(attributed, key=lambda each: (each[0].name, *each[1:])):
        loading.plugin(point, distribution, version)
    loading.clashes()
    return Registry(loading.provided, loading.problems, limited=limited)


class _Manager(pluggy.PluginManager):
    """Looks at names with our prefix only: an entry module may have lazy attributes that are costly to touch."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        return super().parse_hookimpl_opts(plugin, name) if name.startswith(PREFIX) else None


class _Loading:
    """What one call of `load` has found so far."""

    def __init__(self, patience: float) -> None:
        self.patience = patience  # seconds
        self.provided: list[Provided[Any]] = []
        self.problems: list[Problem] = []

    def failed(self, source: str, phase: str, cause: BaseException | str) -> None:
        """Note a problem and go on, or raise it for an author who asked for that."""
        problem = Problem(source, phase, cause if isinstance(cause, str) else _one_line(cause))
        if _authoring():
            if isinstance(cause, Exception):
                cause.add_note(str(problem))
                raise cause
            # Also for SystemExit: raised as it is, it would end the program without a word.
            raise PluginError(str(problem)) from (None if isinstance(cause, str) else cause)
        self.problems.append(problem)

    def plugin(self, point: EntryPoint, distribution: str, version: str) -> None:
        """Import one entry module, register it and call its hooks."""
        source = _source(distribution, version, point.name)
        try:
            with time_limit(self.patience):
                plugin = point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: a script without a main guard calls sys.exit when imported
            self.failed(source, "import", error)
            return
        manager = _Manager(GROUP)  # one for each plugin: what one registers cannot touch the others
        manager.add_hookspecs(hookspecs)
        try:
            manager.register(plugin, source)
            present = {name for name in dir(plugin) if name in HOOKS}
            found = [
                (caller.name, implementation)
                for caller in manager.get_hookcallers(plugin) or ()
                for implementation in caller.get_hookimpls()
            ]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.failed(source, "registration", error)
            return
        unmarked = sorted(present - {hook for hook, _ in found})
        for hook in unmarked:
            self.failed(source, "registration", f"{hook} is not marked with @vpbench.hookimpl")
        if not found and not unmarked:
            self.failed(source, "registration", f"{point.value} implements none of {', '.join(HOOKS)}")
        for hook, implementation in found:
            if hook in HOOKS:
                for spec in self.offered(source, hook, implementation.function):
                    self.provided.append(Provided(spec, distribution, version, point.name))
            elif not implementation.optionalhook:
                self.failed(source, "registration", f"hook {hook!r} is unknown; it may need a newer vpbench")

    def offered(self, source: str, hook: str, function: Callable[[], Any]) -> list[Spec]:
        """What one hook yields, up to where it fails; a wrong record is left out, alone."""
        wanted = HOOKS[hook][1]
        answers: list[Any] = []
        failure: BaseException | str | None = None
        try:
            with time_limit(self.patience):
                answer = function()
            if not isinstance(answer, Iterable) or isinstance(answer, str | Mapping):
                failure = f"returned {_described(answer)}, not an iterable of {wanted.__name__}: yield them"
                answer = ()
            with time_limit(self.patience):
                for each in answer:
                    answers.append(each)  # one by one: list(answer) would lose what comes before a failure
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failure = error
        for each in answers:
            if not isinstance(each, wanted):
                self.failed(source, hook, f"yielded {_described(each)}, not a {wanted.__name__}")
        if failure is not None:
            self.failed(source, hook, failure)
        return [each for each in answers if isinstance(each, wanted)]

    def clashes(self) -> None:
        """Note each name that is given more than once. None of its providers wins: a number must have one origin."""
        by_name = defaultdict(list)
        for each in self.provided:
            by_name[_kind(each.spec), each.spec.name].append(each.source)
        for (kind, name), sources in sorted(by_name.items()):
            if len(sources) > 1:
                self.failed(
                    " and ".join(dict.fromkeys(sources)), "names", f"more than one {kind} {name!r}; {_remedy(sources)}"
                )


def _remedy(sources: Collection[str]) -> str:
    return "uninstall one" if len(set(sources)) > 1 else "that is an error in this plugin"


def _kind(spec: Spec) -> str:
    return next(kind for kind, record in HOOKS.values() if isinstance(spec, record))


def _source(distribution: str, version: str, entry_point: str) -> str:
    return f"{distribution} {version} ({entry_point})"


def _distribution(point: EntryPoint) -> tuple[str, str]:
    """Name and version of what ships an entry point; a damaged METADATA file is no reason to lose the plugin."""
    try:
        return (point.dist.name or "unknown", point.dist.version or "?") if point.dist else ("unknown", "?")
    except Exception:  # how importlib.metadata fails on a missing METADATA differs between versions
        return "unknown", "?"


def _described(thing: Any) -> str:
    name = type(thing).__name__
    return "None" if thing is None else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _one_line(error: BaseException) -> str:
    """Type and message of an error without line breaks (messages of pluggy have several)."""
    message = " ".join(message_of(error).split())
    if isinstance(error, TypeError) and "Spec.__init__() got an unexpected keyword" in message:
        message += "; it may need a newer vpbench"
    if isinstance(error, TookTooLong):
        message += " (VPBENCH_PLUGIN_SECONDS): uninstall it, or give it more"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _patience() -> float:
    given = os.environ.get("VPBENCH_PLUGIN_SECONDS", "60")
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise UsageError(f"VPBENCH_PLUGIN_SECONDS={given}: a number of seconds, 0 for no limit")
    return seconds


def _authoring() -> bool:
    return os.environ.get("VPBENCH_PLUGIN_ERRORS") == "raise"


# ------------------------------------------------------------------------------------------------- models from a file


def is_file_reference(name: str) -> bool:
    """Whether a model is named by a file, ``"path/to/file.py:Class"``; names of models contain none of these signs."""
    return name.endswith(".py") or any(sign in name for sign in (":", "/", os.sep))


def model_from_file(reference: str) -> Provided[ModelSpec]:
    """The model that ``"path/to/file.py:Class"`` names, for research code that is no package yet.

    The class may carry ``spec = ModelSpec(...)``, whose factory is taken to be the class. Without one:

    name          the class name in kebab case: ``ConvLSTM`` is ``conv-lstm``
    learns        "weights" if the class has `loss`, "statistics" if it has `fit`, else "nothing"
    capabilities  the class attribute of that name, if any
    prefix_stable False, the choice that is never wrong: each horizon gets a rollout of its own
    config        the class attribute ``Config``, if any (also beside a spec)

    The version contains a hash of the file, so an edit never passes for the model it was before. For the same reason
    the file has to be all there is: its folder is not put on the import path.

    Raises `UsageError` with one line for whatever is wrong with the reference, the file or the class.
    """
    file, _, name = reference.rpartition(":")
    if not file or not name.isidentifier():
        raise UsageError(f"model {reference!r}: write a model that is in a file as path/to/file.py:Class")
    path = Path(file).expanduser()
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UsageError(f"model {reference!r}: cannot read {file}: {error.strerror}") from error
    digest = hashlib.sha256(source).hexdigest()[:12]
    module = _import_file(path, source)
    found = getattr(module, name, None)
    if not isinstance(found, type) or not callable(getattr(found, "predict", None)):
        own = [each for each in vars(module).values() if getattr(each, "__module__", None) == module.__name__]
        models = [each.__name__ for each in own if isinstance(each, type) and hasattr(each, "predict")]
        raise UsageError(
            f"model {reference!r}: {path.name} has no class {name!r} with a predict method; "
            f"{did_you_mean(name, models)}found there: {', '.join(models) or 'none'}"
        )
    try:
        spec = spec_of_class(found, version=digest, file=path.name)
    except (TypeError, ValueError) as error:
        raise UsageError(f"model {reference!r}: {_one_line(error)}") from error
    return Provided(spec, path.name, digest, name)


class _SourceLoader(SourceFileLoader):
    """Runs the very bytes that were hashed: no bytecode of an older edit, no race with an editor that saves."""

    source = b""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.source, self.path)


def _import_file(path: Path, source: bytes) -> ModuleType:
    """The module of these bytes, under a name of its own in sys.modules, so that ``"module:Class.Config"`` resolves."""
    path = path.resolve()
    identity = os.fsencode(path) + b"\0" + source
    name = f"{PREFIX}file_{hashlib.sha256(identity).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    loader = _SourceLoader(name, str(path))
    loader.source = source
    module_spec = spec_from_file_location(name, path, loader=loader)
    assert module_spec is not None  # it is None only where no loader is given
    module = module_from_spec(module_spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt) or (_authoring() and isinstance(error, Exception)):
            raise
        hint = ""
        if isinstance(error, ModuleNotFoundError) and error.name and _beside(path, error.name):
            hint = " (a model given as a file must be one file; make a plugin of several, or set PYTHONPATH)"
        raise UsageError(f"{path.name}{_line(error, path)}: {_one_line(error)}{hint}") from error
    return module


def _beside(path: Path, module: str) -> bool:
    top = path.parent / module.partition(".")[0]
    return top.is_dir() or top.with_suffix(".py").is_file()


def _line(error: BaseException, path: Path) -> str:
    """ ", line 3" of the file where the error comes from, if it can be told; a SyntaxError says so itself."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == str(path)]
    return f", line {lines[-1]}" if lines else ""


def spec_of_class(model_class: type[Any], *, version: str, file: str) -> ModelSpec:
    """The spec a class carries, or that follows from it as `model_from_file` says. Raises TypeError, ValueError."""
    config = f"{model_class.__module__}:{model_class.__qualname__}.Config" if hasattr(model_class, "Config") else None
    given = getattr(model_class, "spec", None)
    if given is not None:
        if not isinstance(given, ModelSpec):
            raise TypeError(f"spec of {model_class.__name__} is {_described(given)}, not a ModelSpec")
        version = f"{given.version}+{version}"
        return dataclasses.replace(given, factory=model_class, config=config or given.config, version=version)
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])|_+", "-", model_class.__name__)
    return ModelSpec(
        name=words.strip("-").lower(),
        factory=model_class,
        summary=next(iter((model_class.__doc__ or "").strip().splitlines()), f"{model_class.__name__} of {file}"),
        version=version,
        config=config,
        learns=_learns(model_class),
        capabilities=frozenset(getattr(model_class, "capabilities", ())),
        prefix_stable=False,
    )


def _learns(model_class: type[Any]) -> Learns:
    if hasattr(model_class, "loss"):
        return "weights"
    return "statistics" if hasattr(model_class, "fit") else "nothing"
