"""What a plugin offers: frozen records that name things without importing them.

A hook (`vpbench.hookspecs`) yields these. Strings of the form ``"module:attribute"`` are resolved only at the moment of
use, so listing a hundred plugins costs no import of torch. All checks of form happen here, at construction, where the
registry can attribute them to the plugin that is at fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

#: The contracts this core speaks, and the release of vpbench that ends each: None where none is announced. A spec
#: that asks for another one is refused, alone. docs/compatibility.md says what raises the number.
APIS: Mapping[int, str | None] = {1: None}
API = max(APIS)

Role = Literal["contender", "floor", "ceiling"]
Learns = Literal["nothing", "statistics", "weights"]
Need = Literal["raw", "context", "samples"]
OverSteps = Literal["mean", "sum"]

#: What a model may be able to do beyond "these context frames on the grid, the next frames on the grid".
CAPABILITIES: Mapping[str, str] = {
    "fractional": "targets between frames",
    "before-context-end": "targets at or before the last context frame",
    "irregular-context": "context frames that are not one period apart",
    "any-context-length": "another number of context frames than it was built for",
    "samples": "several futures for one context (protocol Sampler)",
    "swap": "dynamics of one clip with the appearance of another (protocol Swappable)",
}

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST = 100
_RESERVED = re.compile(r"con|prn|aux|nul|com\d|lpt\d")  # by Windows
_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_ENDING = re.compile(r"(\.[a-z0-9]+)+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def resolve(reference: str) -> Any:
    """The object that ``"module:attribute"`` names. The only place where plugin code is imported."""
    module, _, attribute = reference.partition(":")
    found: Any = import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value is of a type as the fields of specs have them."""
    origin, members = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(member, value) for member in members)
    if origin is Literal:
        return isinstance(value, str)  # which text is checked where it can be explained
    if origin is Callable:
        return callable(value)
    if origin is tuple:
        within = members[:1] * len(value) if members[1:] == (...,) and isinstance(value, tuple) else members
        return isinstance(value, tuple) and len(value) == len(within) and all(map(_fits, within, value))
    if origin is frozenset:
        return isinstance(value, frozenset) and all(_fits(members[0], each) for each in value)
    if origin is Mapping:
        return isinstance(value, Mapping)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One thing a plugin offers."""

    name: str  #: "latentode": lower case letters, digits, dashes
    factory: (
        str | Callable[..., Any]
    )  #: "vpbench_latentode.model:LatentODE" (a callable only for models given as a file)
    summary: str  #: one line for `vpbench plugins`
    version: str  #: bump when the output changes: frames, statistics or predictions
    api: int = 1  #: the contract it was written for; 1 for ever where nothing is said, which must never change meaning
    config: str | None = None  #: "module:Config", a frozen dataclass; `--set key=value` fills it
    cites: tuple[str, ...] = ()  #: BibTeX entries or "Author, Title, year"

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for each in fields(self):
            value = getattr(self, each.name)
            if not _fits(hints[each.name], value):
                raise ValueError(f"{each.name} of {self.name!r} is {value!r:.80}, the contract is {each.type}")
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name {self.name!r}: use lower case letters, digits and single dashes")
        if len(self.name) > _LONGEST or _RESERVED.fullmatch(self.name):  # folders of records have it
            raise ValueError(
                f"name {self.name!r}: not every system can have a folder of that name; at most {_LONGEST} letters, "
                "not con, nul and the like"
            )
        for what, reference in (("factory", self.factory), ("config", self.config)):
            if isinstance(reference, str) and not _REFERENCE.fullmatch(reference):
                raise ValueError(f"{what} {reference!r} of {self.name!r}: write it as 'module:attribute'")
        if not isinstance(self.version, str) or not self.version:
            raise ValueError(f"version {self.version!r} of {self.name!r}: a non-empty string")
        if self.api > API:
            raise ValueError(
                f"{self.name!r} was written for plugin api {self.api}, this vpbench speaks {API}: upgrade vpbench"
            )
        if self.api not in APIS:
            spoken = ", ".join(map(str, APIS))
            raise ValueError(
                f"{self.name!r} was written for plugin api {self.api}, this vpbench speaks {spoken}: upgrade the plugin"
            )

    def load(self) -> Any:
        """Import and return the factory."""
        return resolve(self.factory) if isinstance(self.factory, str) else self.factory

    def load_config(self) -> type | None:
        """Import and return the config dataclass, None where there is nothing to configure."""
        return resolve(self.config) if self.config else None


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Trained weights that ship inside a plugin's wheel, and what they were trained for."""

    file: str  #: "package:path/inside/it.safetensors"
    sha256: str  #: of the file; the identity of the weights
    dataset: str  #: name of the dataset they were trained on
    frame_shape: tuple[int, int, int]  #: (channels, height, width)
    context: int  #: number of context frames
    config: Mapping[str, Any] = field(default_factory=dict)  #: config values that differ from the model's defaults

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256 {self.sha256!r} of weights {self.file!r}: 64 lower case hex digits")
        if ":" not in self.file:
            raise ValueError(f"weights file {self.file!r}: write it as 'package:path/inside/it.safetensors'")


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Spec):
    """A model: `factory(config, *, frame_shape, context_length) -> vpbench.protocols.Model`."""

    role: Role = "contender"  #: floors and ceilings are planned for every board
    posterior_mean: bool = False  #: a ceiling that is the mean of all futures: no expected squared error is less
    learns: Learns = "nothing"  #: "statistics": `fit` before each run; "weights": `vpbench train`, then a weights file
    capabilities: frozenset[str] = (
        frozenset()
    )  #: keys of CAPABILITIES; a model is never asked for what it does not list
    prefix_stable: bool = False  #: a longer horizon leaves the earlier frames alone: one rollout serves all horizons
    fits_at_test: bool = False  #: it runs gradient steps inside `predict`, so no inference mode
    channels: int | None = None  #: the only number of channels it can take, None for any
    assumptions: str = ""  #: one line: what it is told beyond the frames; boards print it
    elsewhere: str = ""  #: sha256 of predictions that another program made: neither speed nor size is claimed then
    datasets: tuple[str, ...] = ()  #: the only datasets it makes sense on (an oracle knows one generator); (): any
    tasks: tuple[str, ...] = ()  #: the only kinds of task it makes sense for (a floor for swaps); (): any
    weights: tuple[Weights, ...] = ()  #: trained ones in its wheel; a run takes those for its dataset, size and context
    importer: str | None = (
        None  #: "module:function" for `vpbench weights import`: tensors that others published to those of this model
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.role not in get_args(Role):
            raise ValueError(f"role {self.role!r} of {self.name!r}: one of {', '.join(get_args(Role))}")
        if self.learns not in get_args(Learns):
            raise ValueError(f"learns {self.learns!r} of {self.name!r}: one of {', '.join(get_args(Learns))}")
        if unknown := sorted(self.capabilities - CAPABILITIES.keys()):
            raise ValueError(f"capabilities {unknown} of {self.name!r}: known are {', '.join(CAPABILITIES)}")
        if self.posterior_mean and self.role != "ceiling":
            raise ValueError(f"{self.name!r} is a posterior mean, so it must have the role of a ceiling")
        if (self.weights or self.importer) and self.learns != "weights":
            raise ValueError(f"{self.name!r} ships or imports weights, so it must say learns='weights'")
        if self.importer is not None and not _REFERENCE.fullmatch(self.importer):
            raise ValueError(f"importer {self.importer!r} of {self.name!r}: write it as 'module:attribute'")


@dataclass(frozen=True)
class TruthField:
    """Something a dataset knows about its clips beyond their pixels."""

    name: str  #: "positions"
    per: Literal["clip", "frame"]  #: first axes (B, ...) or (B, T, ...)
    unit: str  #: "px", "px/frame"; "class" of what is told apart, "index" of what is only numbered
    objects: bool = False  #: the next axis counts the things of a clip, in an order that its frames do not tell


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """A dataset: `factory(config) -> vpbench.protocols.Dataset`. Making one never downloads."""

    license: str  #: of the frames, as an SPDX expression or in words
    truth: tuple[TruthField, ...] = ()  #: what it knows beyond pixels, for oracles and for metrics that need it
    fetch: str | None = (
        None  #: "module:function", `function(report) -> Path`, run by `vpbench data get`; report(done, total)
    )
    caveat: str = ""  #: one line that travels in every record made on it
    reads: tuple[str, ...] = ()  #: endings of the files that `reader` takes, ".gif": for `vpbench predict --input`
    reader: str | None = (
        None  #: "module:function", `function(path, *, frame_shape, last) -> Clips`: a file's last frames as one clip
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for what, reference in (("fetch", self.fetch), ("reader", self.reader)):
            if reference is not None and not _REFERENCE.fullmatch(reference):
                raise ValueError(f"{what} {reference!r} of {self.name!r}: write it as 'module:attribute'")
        if bool(self.reads) != bool(self.reader):
            raise ValueError(
                f"{self.name!r} reads {', '.join(self.reads) or 'nothing'}: give reads and reader, or none"
            )
        if bad := [each for each in self.reads if not _ENDING.fullmatch(each)]:
            raise ValueError(f"reads {bad[0]!r} of {self.name!r}: an ending in lower case with its dot, like '.gif'")


@dataclass(frozen=True, kw_only=True)
class MetricSpec(Spec):
    """A metric: `factory(config) -> vpbench.protocols.Metric`.

    Statistics are named per distribution: two metrics of one distribution that name the same statistic mean the same
    values, which are then computed and stored once.
    """

    higher_is_better: bool  #: whether more is better; says nothing where there is an `ideal`
    definition: str  #: one sentence: pixel sum or mean, value range, window, order of averaging
    unit: str = ""  #: of the score: "dB", "px"
    convention: str = "vpbench"  #: whose definition it is; rows of different conventions never share a column
    statistics: tuple[str, ...] = ()  #: keys that `Metric.statistics` returns
    needs: frozenset[str] = frozenset()  #: of "raw", "context", "samples", "truth:<field>", beyond predicted and target
    default: bool = True  #: measured when the user names no metric
    min_size: int = 1  #: smallest frame side it is defined for, pixels
    over_steps: OverSteps = "mean"  #: what a clip's statistic is of its steps; "sum" for errors "per sequence"
    ideal: float | None = None  #: the score of a perfect prediction where more is as wrong as less (1 for a ratio)
    exhibit: bool = False  #: shown as a warning only: a number that others publish and nobody should compare
    mean_optimal: bool = False  #: a function of the mean squared error alone, so nothing beats the posterior mean
    window: int | None = None  #: a distance between sets of stretches of so many frames (protocol SetMetric)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window is None and not self.statistics:
            raise ValueError(f"metric {self.name!r} names no statistics: score() has nothing to be computed from")
        if self.window is not None and (self.statistics or self.window < 1):
            raise ValueError(f"metric {self.name!r} compares sets: give a window of at least 1 and no statistics")
        if self.over_steps not in get_args(OverSteps):
            known = ", ".join(get_args(OverSteps))
            raise ValueError(f"over_steps {self.over_steps!r} of {self.name!r}: one of {known}")
        for need in self.needs:
            if need not in get_args(Need) and not need.startswith("truth:"):
                raise ValueError(f"needs {need!r} of {self.name!r}: one of {', '.join(get_args(Need))}, truth:<field>")

    @property
    def ranks(self) -> bool:
        """Whether rows may be ordered by it: not where both more and less are worse, nor by an exhibit."""
        return self.ideal is None and not self.exhibit
