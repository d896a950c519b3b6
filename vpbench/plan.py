"""The plan of a run: which cells there are, which are done, and which cannot work and why. Nothing is computed here."""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch

from . import device as devices
from . import errors
from .config import config_to_dict, did_you_mean
from .contamination import seen
from .errors import (
    ConfigError,
    DataError,
    PluginError,
    RecordError,
    StorageError,
    UnknownName,
    UsageError,
    VpbenchError,
    WeightsError,
)
from .evaluation import Cell, fitted_on
from .in_time import BLENDS, BRIDGED, Blend
from .instances import Made, Metrics, blaming, configured, fingerprint_of, ids_of, make_metric, one_line, open_dataset
from .protocols import Dataset
from .questions import why_no_truth
from .registry import Provided, Registry
from .results import Record, read_record, record_path
from .settings import Settings
from .specs import CAPABILITIES, DatasetSpec, ModelSpec, Weights
from .suitability import config_of, misfit, shape_text, shipped, small_sibling, unsuited
from .tasks import Task, fixed_horizon, read_task, reported
from .trained import Training, TrainRequest, looked_up, weights_folder, weights_name
from .training import Budget, TrainingRun, unfit, untrainable
from .weights import WeightsFile

Rerun = Literal["missing", "failed", "all"]
Action = Literal["run", "done", "failed before", "refused"]

SEED_LIMIT = 2**63  # what torch takes
REFUSE = "refuse"  # what a model cannot be asked for in time
DEFAULT = "default"  # the metrics that are on by default, where others are asked for too


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `vpbench run` was asked for; a grid file has the same names. Raises UsageError for what makes no sense."""

    models: tuple[str, ...] = ()
    horizons: tuple[int, ...] = ()
    datasets: tuple[str, ...] = ()  #: none: the one the model's weights name
    seeds: tuple[int, ...] = (0,)
    metrics: tuple[str, ...] = ()  #: of metrics, of conventions, or "default"; none: all that are on by default
    context: int = 10
    task: str = "extrapolate"  #: kind of task, with options: "interpolate,spacing=1", see `tasks`
    in_time: str = "refuse"  #: of what a model cannot be asked for in time: refuse, nearest or linear, see `in_time`
    clips: int = 100
    batch_size: int = 16
    device: str = "auto"
    precision: str = "float32"
    weights: tuple[Path, ...] = ()
    settings: tuple[str, ...] = ()  #: key=value or name.key=value
    results: Path = Path("runs")
    rerun: Rerun = "missing"
    keep_predictions: int = 0
    exhibit: bool = True  #: write a few clips beside the record of the longest horizon, for pages and pictures
    allow_untrained: bool = False
    train: TrainRequest | None = None  #: train models before they are evaluated; each seed is one of training, too

    def __post_init__(self) -> None:
        asked = read_task(self.task)
        fixed = fixed_horizon(asked["kind"], self.context)
        if fixed is not None and not self.horizons:  # it follows from the context
            object.__setattr__(self, "horizons", (fixed,))
        for name, values in (("--model", self.models), ("--horizon", self.horizons), ("--seed", self.seeds)):
            if not values:
                raise UsageError(f"nothing to run: give at least one {name}")
        for name, least in (("horizons", 1), ("context", 1), ("clips", 1), ("batch_size", 1), ("keep_predictions", 0)):
            value = getattr(self, name)
            for each in value if isinstance(value, tuple) else (value,):
                if each < least:
                    raise UsageError(f"{name} must be at least {least}, got {each}")
        if bad := [seed for seed in self.seeds if not 0 <= seed < SEED_LIMIT]:
            raise UsageError(f"a seed must be between 0 and 2^63 - 1, got {bad[0]}")
        for horizon in self.horizons:
            self.task_of(horizon)
        in_time = (REFUSE, *get_args(Blend))
        for name, choices in (
            ("precision", devices.PRECISIONS),
            ("rerun", get_args(Rerun)),
            ("in_time", in_time),
        ):
            if getattr(self, name) not in choices:
                raise UsageError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if self.train is not None:
            self.train.check()

    def task_of(self, horizon: int) -> Task:
        """What is asked at a horizon. Raises UsageError."""
        return Task(context=self.context, horizon=horizon, **read_task(self.task))

    @property
    def blend(self) -> Blend | None:
        """The fallback that was asked for."""
        return None if self.in_time == REFUSE else cast(Blend, self.in_time)


@dataclass
class Planned:
    """A cell and what is to become of it."""

    cell: Cell
    path: Path  #: of its record
    action: Action
    reason: str = ""
    asked: bool = True  #: False for floors and ceilings that the runner adds
    again: bool = False  #: computed whatever is there: nobody can see whether it is the same model
    also: tuple[str, ...] = ()  #: metrics that the record holds beside those of the plan: they are measured again
    not_computed: Mapping[str, str] = field(default_factory=dict)  #: metric -> why it is not measured here
    broken: tuple[str, ...] = ()  #: metrics that failed when its record was made, and are not tried again
    left_out: str = ""  #: what of the dataset's files has no part in it, in words
    training: Training | None = None  #: what makes its weights first; until then its cell and path are without weights


@dataclass
class Plan:
    """All cells of a request, in the order they will run."""

    request: Request
    device: torch.device
    metrics: Metrics  #: those asked for
    others: Metrics  #: all others that are installed and work
    cells: list[Planned] = field(default_factory=list)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failures: list[VpbenchError] = field(default_factory=list)  #: of plugins that have no cells because of it
    shorter: bool = True  #: with the reporting horizons on the way to the longest
    #: By model, seed and frame shape: what is trained here, for datasets without clips to learn from.
    learnt: dict[tuple[str, int, tuple[int, ...]], Ready] = field(default_factory=dict)

    def count(self, action: Action) -> int:
        return sum(planned.action == action for planned in self.cells)

    @property
    def nothing_to_run(self) -> str:
        """Why nothing that was asked for can work, in one line; empty if something can."""
        if any(planned.action != "refused" for planned in self.cells if planned.asked):
            return ""
        reasons = list(dict.fromkeys(planned.reason for planned in self.cells))
        more = f" (and {len(reasons) - 1} more reasons above)" if len(reasons) > 1 else ""
        return f"nothing to run: {reasons[0]}{more}"

    def groups(self) -> Iterator[list[Planned]]:
        """Cells to run that one rollout serves, horizons ascending: all but the task alike, and prefix-stable."""
        groups: dict[Any, list[Planned]] = defaultdict(list)
        for place, planned in enumerate(self.cells):
            if planned.action == "run":
                alone = None if planned.cell.model.spec.prefix_stable else place
                identity = {**planned.cell.identity, "task": None}
                groups[str(identity), alone].append(planned)
        for group in groups.values():
            yield sorted(group, key=lambda planned: planned.cell.task.horizon)

    def trainings(self) -> list[Training]:
        """What is trained for the cells to run, in order, each once."""
        found = {group[0].training.run.output: group[0].training for group in self.groups() if group[0].training}
        return list(found.values())

    def metrics_for(self, group: Sequence[Planned]) -> Metrics:
        """What is measured for these cells: what was asked for, and what their records already hold."""
        also = {name: self.others[name] for planned in group for name in planned.also}
        wanted = {**self.metrics, **also}
        return {name: made for name, made in wanted.items() if any(name not in each.not_computed for each in group)}


# ---------------------------------------------------------------------------------------------------------------- plan


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """A model that takes part."""

    provided: Provided[ModelSpec]
    name: str  #: as the user wrote it, which for a model in a file is the file
    asked: bool  #: False for floors and ceilings that the runner adds
    weights: WeightsFile | None  #: given with --weights
    seeds: tuple[int, ...]
    learns_here: bool = False  #: is trained in this run

    @property
    def spec(self) -> ModelSpec:
        return self.provided.spec


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A dataset that takes part."""

    provided: Provided[DatasetSpec]
    config: Any
    dataset: Dataset
    fingerprint: str

    @property
    def name(self) -> str:
        return self.provided.spec.name

    @property
    def frame_shape(self) -> tuple[int, ...]:
        return tuple(self.dataset.info.frame_shape)

    @property
    def trains(self) -> bool:
        """Whether there are clips to learn from; a published test file has none."""
        try:
            return len(ids_of(self.provided, self.dataset, "train", 1)) > 0
        except VpbenchError:
            return False

    def left_out(self, task: Task) -> str:
        """What of its files has no part in a task, in words; empty if nothing."""
        told = getattr(self.dataset, "left_out", None)
        if told is None:
            return ""
        with blaming(self.provided, "left_out()"):
            return one_line(told("test", n_frames=task.n_frames))

    def why_not(self, task: Task) -> str:
        """Why it has no clip for a task; empty if it has some."""
        longest = self.dataset.info.max_length
        if longest is not None and task.n_frames > longest:
            what = f"horizon {task.horizon}" if task.kind == "extrapolate" else str(task)
            return f"{what} needs {task.n_frames} frames, {self.name} has {longest}"
        if why_not := why_no_truth(task, self.dataset, self.name):
            return why_not
        if len(self.ids(task)):
            return ""
        left_out = self.left_out(task)
        return f"{self.name} has no test clip of {task.n_frames} frames{left_out and f' ({left_out})'}"

    def ids(self, task: Task) -> Sequence[int]:
        """Test clips that are long enough for a task, each a row of its result."""
        return task.rows(ids_of(self.provided, self.dataset, "test", task.n_frames))


def make_plan(request: Request, registry: Registry, *, shorter: bool = True) -> Plan:
    """What will be run, what is done, what cannot work and why.

    shorter  the reporting horizons on the way to the longest come along

    Raises VpbenchError for a request without sense.
    """
    if request.results.exists() and not request.results.is_dir():
        raise StorageError(f"results folder {request.results} is a file: name another place")
    device = devices.resolve(request.device)
    entrants = _entrants(request, registry)
    settings = Settings(request.settings)
    datasets = _datasets(request, registry, entrants, settings)
    metrics, others, notes = _metrics(request, registry, settings)
    plan = Plan(request=request, device=device, metrics=metrics, others=others, notes=notes, shorter=shorter)
    plan.notes += [each.note for each in datasets if each.note]
    there: list[Opened] = []
    for each in datasets:
        try:
            there.append(_open(each, settings))
        except (PluginError, DataError) as error:
            plan.failures.append(error)
    if request.train is not None:  # what is learnt from comes first: the others may need its weights
        there.sort(key=lambda opened: not opened.trains)
    for opened in there:
        try:
            plan.cells += _cells_with(plan, opened, entrants, settings, registry)
        except (PluginError, DataError) as error:
            plan.failures.append(error)
    if plan.failures and not any(planned.asked for planned in plan.cells):
        raise plan.failures[0]
    settings.check_all_used()
    if request.keep_predictions and plan.count("done"):
        plan.notes.append("of cells that are done no predictions are kept now; --rerun all computes them again")
    return plan


def _cells_with(
    plan: Plan, opened: Opened, entrants: Sequence[Entrant], settings: Settings, registry: Registry
) -> list[Planned]:
    """The cells of one dataset."""
    plan.datasets[opened.name] = opened.dataset
    longest = max(plan.request.horizons)
    told = {name: not_computable(made, opened.provided, opened.dataset, longest) for name, made in plan.metrics.items()}
    reasons = {name: why for name, why in told.items() if why}
    if reasons.keys() == plan.metrics.keys():
        why = "; ".join(f"{name} {why}" for name, why in reasons.items())
        raise UsageError(f"no metric can be computed on {opened.name}: {why}")
    return _cells_on(plan, opened, entrants, settings, registry)


def _entrants(request: Request, registry: Registry) -> list[Entrant]:
    """The models asked for, then the floors and ceilings that belong on every board."""
    asked = {name: registry.model(name) for name in dict.fromkeys(request.models)}
    weights = _weights_by_model([WeightsFile.open(path) for path in request.weights], list(asked.values()))
    learners = _learners(request.train, asked, weights) if request.train else ()
    entrants = [
        Entrant(
            provided=each,
            name=name,
            asked=True,
            weights=weights.get(each.spec.name),
            seeds=_unique(request.seeds),
            learns_here=name in learners,
        )
        for name, each in asked.items()
    ]
    for name, each in registry.models().items():
        if each.spec.role != "contender" and each not in asked.values():
            # One seed, and always the same: a floor is one row of a board, whatever seeds the others have.
            entrants.append(Entrant(provided=each, name=name, asked=False, weights=None, seeds=(0,)))
    return entrants


def _learners(
    train: TrainRequest, asked: Mapping[str, Provided[ModelSpec]], weights: Mapping[str, WeightsFile]
) -> list[str]:
    """The names of the models to be trained. Raises UsageError where that makes no sense."""
    for name in train.models:
        if name not in asked:
            raise UsageError(
                f"train models: {name!r} is not asked for; {did_you_mean(name, asked)}{', '.join(asked)} is"
            )
        if why_not := untrainable(asked[name].spec):
            raise UsageError(f"train models: {why_not}")
    learners = list(train.models) or [name for name, each in asked.items() if not untrainable(each.spec)]
    if not learners:
        raise UsageError(f"nothing to train: {', '.join(asked)} learns no weights; leave out train")
    for name in learners:
        if file := weights.get(asked[name].spec.name):
            raise UsageError(
                f"{name} is given weights ({file.path}) and is to be trained: leave out one of them "
                "(in a grid file, train.models says which models are trained)"
            )
    return learners


def _unique(seeds: Sequence[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(seeds))


def _weights_by_model(files: Sequence[WeightsFile], asked: Sequence[Provided[ModelSpec]]) -> dict[str, WeightsFile]:
    names = [each.spec.name for each in asked]
    found: dict[str, WeightsFile] = {}
    for file in files:
        if file.model not in names:
            raise UsageError(f"{file.path} holds weights of {file.model}, this run asks for {', '.join(names)}")
        if file.model in found:
            raise UsageError(f"two weights files of {file.model}: {found[file.model].path} and {file.path}; give one")
        found[file.model] = file
    return found


def _metrics(request: Request, registry: Registry, settings: Settings) -> tuple[Metrics, Metrics, list[str]]:
    """The metrics asked for (by default those that are on), all others, and notes on those that do not work."""
    asked = named_metrics(request.metrics, registry)
    chosen: dict[str, Made] = {}
    others: dict[str, Made] = {}
    notes: list[str] = []
    for name, provided in registry.metrics().items():
        on = name in asked or (provided.spec.default and not request.metrics)
        try:
            (chosen if on else others)[name] = make_metric(provided, settings.of(provided, bare=False))
        except ConfigError:
            raise
        except Exception as error:  # where nobody asked for it, it must not cost the run
            if name in asked:
                raise
            notes += [f"left out: {error}"] * on
    if not chosen:
        raise UsageError("; ".join([*notes, "no metric is installed: pip install vpbench-metrics"]))
    return {name: chosen[name] for name in asked or chosen}, others, notes


def named_metrics(names: Sequence[str], registry: Registry) -> list[str]:
    """The metrics that these are, in their order: each is a metric, a convention (all of its metrics) or "default".

    Raises UnknownName.
    """
    installed = registry.metrics()
    conventions = sorted({each.spec.convention for each in installed.values()})
    found: dict[str, None] = {}
    for name in names:
        if name == DEFAULT:
            group = [key for key, each in installed.items() if each.spec.default]
        elif name in installed:
            group = [name]
        else:
            group = [key for key, each in installed.items() if each.spec.convention == name]
        if not group:
            known = [*installed, *conventions]
            raise UnknownName(
                f"no metric or convention {name!r}; {did_you_mean(name, known)}"
                f"metrics: {', '.join(installed) or 'none'}; conventions: {', '.join(conventions) or 'none'}"
            )
        found |= dict.fromkeys(group)
    return list(found)


# ------------------------------------------------------------------------------------------------------------ datasets


@dataclass(frozen=True, kw_only=True)
class DatasetAsked:
    """A dataset that is to be evaluated on, or that nobody named and weights lead to."""

    provided: Provided[DatasetSpec]
    config: Mapping[str, Any] = field(default_factory=dict)  #: where no setting says otherwise
    note: str = ""  #: how it came to be chosen, where there is something to say


def _datasets(
    request: Request, registry: Registry, entrants: Sequence[Entrant], settings: Settings
) -> list[DatasetAsked]:
    """The datasets asked for; where none is, the one that all weights were trained on, configured as it was then."""
    if request.datasets:
        return [DatasetAsked(provided=registry.dataset(name)) for name in dict.fromkeys(request.datasets)]
    asked = [each for each in entrants if each.asked]
    found = {
        each.name: trained_on
        for each in asked
        if (trained_on := _trained_on(each, request.context, registry, settings))
    }
    if not found:
        return [_dataset_nobody_names(asked, registry)]
    shared = [each for each in next(iter(found.values())) if all(each in others for others in found.values())]
    if not shared:
        raise UsageError(f"which dataset? {_disagreement(found)}; add --dataset NAME, with --set KEY=VALUE as needed")
    default = [each for each in shared if each.config == each.default]
    chosen = default[0] if default else shared[0]
    changed = {key: value for key, value in chosen.config.items() if chosen.default.get(key) != value}
    said = " ".join(f"{key}={json.dumps(value)}" for key, value in changed.items())
    note = f"{chosen.name} with {said}, as the weights of {', '.join(found)} were trained on" if said else ""
    return [DatasetAsked(provided=registry.dataset(chosen.name), config=chosen.config, note=note)]


@dataclass(frozen=True)
class TrainedOn:
    """What weights were trained on, but for what the user sets otherwise."""

    name: str
    config: Mapping[str, Any]
    default: Mapping[str, Any] = field(compare=False)  #: what it would be if the weights said nothing


def _trained_on(entrant: Entrant, context: int, registry: Registry, settings: Settings) -> list[TrainedOn]:
    """The datasets that a model has weights for: those given, else those in its wheel; none if it has none."""
    if entrant.weights is not None:
        named = [entrant.weights.header["dataset"]]
    else:
        own = shipped(entrant.spec, frame_shape=None, context=context) or entrant.spec.weights
        named = [_dataset_of_bundled(each) for each in own]
    found: list[TrainedOn] = []
    for was in named:
        provided = registry.dataset(was["name"])
        given = settings.of(provided)
        default = config_to_dict(configured(provided, given))
        try:
            config = config_to_dict(configured(provided, {**(was.get("config") or {}), **given}))
        except ConfigError as error:
            raise UsageError(
                f"which dataset? that of the weights of {entrant.name} is of another version ({error}); "
                "add --dataset NAME"
            ) from error
        each = TrainedOn(was["name"], config, default)
        found += [each] if each not in found else []
    return found


def _dataset_of_bundled(weights: Weights) -> Mapping[str, Any]:
    """Name and config of the dataset of weights that ship with a model; that they cannot be read is said elsewhere."""
    try:
        return WeightsFile.bundled(weights).header["dataset"]
    except WeightsError:
        return {"name": weights.dataset}


def _disagreement(found: Mapping[str, Sequence[TrainedOn]]) -> str:
    """Which weights are for what, as far as that differs."""
    every = [each for several in found.values() for each in several]
    keys = sorted({key for each in every for key in each.config})
    differing = [key for key in keys if len({json.dumps(each.config.get(key)) for each in every}) > 1]

    def told(each: TrainedOn) -> str:
        return " ".join(
            [each.name, *(f"{key}={json.dumps(each.config[key])}" for key in differing if key in each.config)]
        )

    return "; ".join(f"the weights of {name} are for {' or '.join(map(told, each))}" for name, each in found.items())


def _dataset_nobody_names(asked: Sequence[Entrant], registry: Registry) -> DatasetAsked:
    """For what is trained here the dataset that all installed weights are for. Raises UsageError."""
    there = ", ".join(registry.datasets()) or "none"
    if any(each.learns_here for each in asked):
        named = {weights.dataset for each in registry.models().values() for weights in each.spec.weights}
        if len(named) == 1:
            (name,) = named
            note = f"on {name}, which the weights of all installed models are for (--dataset names another)"
            return DatasetAsked(provided=registry.dataset(name), note=note)
    why = "the model has no weights that name one"
    for each in asked:
        if each.spec.learns == "weights" and not each.learns_here:
            sibling = small_sibling(each.spec, registry.models())
            why = f"{each.name} has no weights that name one: make some with vpbench train --model {each.name} ..., or "
            why += f"here with --train 20m{sibling and f'; {sibling}'}"
            break
    raise UsageError(f"which dataset? {why}; add --dataset NAME, installed: {there}")


def _open(asked: DatasetAsked, settings: Settings) -> Opened:
    provided = asked.provided
    config = configured(provided, {**asked.config, **settings.of(provided)})
    dataset = open_dataset(provided, config)
    fingerprint = fingerprint_of(provided, dataset, "test")
    return Opened(provided=provided, config=config, dataset=dataset, fingerprint=fingerprint)


def not_computable(made: Made, provided: Provided[DatasetSpec], dataset: Dataset, horizon: int) -> str:
    """Why a metric cannot be computed on a dataset; empty if it can."""
    truth = {f"truth:{each.name}" for each in provided.spec.truth}
    spec, side = made.spec, min(dataset.info.frame_shape[1:])
    if missing := sorted(spec.needs - {"raw", "context"} - truth):
        return f"needs {', '.join(missing)}"
    if side < spec.min_size:
        return f"needs frames of {spec.min_size} pixels a side, {provided.spec.name} has {side}"
    if spec.window is not None and horizon < spec.window:
        return f"needs {spec.window} steps, the horizon is {horizon}"
    return made.why_not


def _cells_on(
    plan: Plan, opened: Opened, entrants: Sequence[Entrant], settings: Settings, registry: Registry
) -> list[Planned]:
    """The cells of one dataset. Floors come along where something asked for can work: alone they say nothing."""
    cells: list[Planned] = []
    tasks = _tasks(plan, opened)
    for entrant in entrants:
        if not entrant.asked and not _made_for(entrant.spec, opened, tasks[0], plan.request.blend):
            continue
        try:
            cells += _cells_of(plan, opened, entrant, settings, registry)
        except VpbenchError as error:
            if entrant.asked and isinstance(error, PluginError):
                plan.failures.append(error)  # of other models there may be cells all the same
                continue
            if entrant.asked:
                raise
            plan.notes.append(f"left out: {error}")  # nobody asked for it, so it must not cost the run
    works = {planned.cell.task for planned in cells if planned.asked and planned.action != "refused"}
    return [planned for planned in cells if planned.asked or planned.cell.task in works]


def _made_for(spec: ModelSpec, opened: Opened, task: Task, blend: Blend | None) -> bool:
    """Whether a model that nobody asked for makes sense here: an oracle knows one generator, and not all times."""
    return (not spec.datasets or opened.name in spec.datasets) and not _able(spec, task, opened, blend)[0]


def _cells_of(
    plan: Plan, opened: Opened, entrant: Entrant, settings: Settings, registry: Registry
) -> Iterator[Planned]:
    """The cells of one model on one dataset."""
    request = plan.request
    ready = _made_ready_by_seed(plan, opened, entrant, settings, registry)
    for task in _tasks(plan, opened):
        cannot = opened.why_not(task)
        available = 0 if cannot else len(opened.ids(task))
        reasons = {
            name: not_computable(made, opened.provided, opened.dataset, task.horizon)
            for name, made in plan.metrics.items()
        }
        left_out = opened.left_out(task)
        if left_out and not cannot:
            plan.notes.append(f"{opened.name} {task}: {left_out}")
        if 0 < available < request.clips:
            plan.notes.append(f"{opened.name} has {available} test clips of {task.n_frames} frames; all are used")
        for seed, made in ready.items():
            why_not, blend = _able(entrant.spec, task, opened, request.blend)
            why_not = cannot or made.refusal or why_not
            cell = Cell(
                model=entrant.provided,
                config=made.config,
                weights=made.weights,
                dataset=opened.provided,
                dataset_config=opened.config,
                fingerprint=opened.fingerprint,
                fitted_on=None if why_not else fitted_on(entrant.provided, opened.provided, opened.dataset),
                task=task,
                clips=min(request.clips, available or request.clips),
                seed=seed,
                precision=request.precision,
                seen=made.seen,
                in_time=None if why_not else blend,
            )
            if cell.in_time:
                plan.notes.append(f"{cell}: frames at these times are {BLENDS[cell.in_time]}")
            if cell.zero_shot:
                plan.notes.append(f"{cell}: {cell.zero_shot}")
            planned = Planned(cell, record_path(request.results, cell.identity), "run", asked=entrant.asked)
            planned.left_out = left_out
            planned.not_computed = {name: why for name, why in reasons.items() if why}
            planned.training = made.training
            if why_not:
                planned.action, planned.reason = "refused", why_not
            else:
                look_up(plan, planned)
            yield planned


def _tasks(plan: Plan, opened: Opened) -> list[Task]:
    """What is asked for, and the reporting horizons on the way to the longest that the dataset has."""
    request, asked = plan.request, plan.request.horizons
    works = [h for h in asked if not opened.why_not(request.task_of(h)) and request.task_of(h).grows]
    return [request.task_of(h) for h in sorted({*asked, *(reported(works) if plan.shorter else ())})]


def look_up(plan: Plan, planned: Planned) -> None:
    """Settle what is to become of a cell by the record that is there now."""
    planned.action, planned.reason, planned.also, planned.broken = "run", "", (), ()
    try:
        record = read_record(planned.path) if planned.path.exists() else None
    except RecordError as error:
        plan.notes.append(f"{error}: it is computed again")
        return
    if record is None:
        return
    if planned.training and planned.cell.weights is None:  # of its records there is only that of this training failing
        same = record.about.get("training") == planned.training.identity
        if record.status != "failed" or not same:
            return
    if record.status == "ok":
        planned.also = _also_held(plan, record)
        planned.broken = _broken_in(record, plan.metrics) if plan.request.rerun == "missing" else ()
        without = planned.not_computed.keys() | set(planned.broken)
        if plan.request.rerun != "all" and not planned.again and _holds_all(record, plan.metrics, without):
            planned.action = "done"
            for name in planned.broken:
                plan.notes.append(f"{name} failed on {planned.cell} before (--rerun failed tries again)")
    elif record.status == "failed" and plan.request.rerun == "missing" and not planned.again:
        planned.action, planned.reason = "failed before", _told(record.reason or {})


def _told(reason: Mapping[str, Any]) -> str:
    """The reason of a record as it was said when it happened; our own errors need no type."""
    kind = "" if hasattr(errors, str(reason.get("type"))) else f"{reason.get('type')}: "
    return f"{reason.get('phase')}: {kind}{reason.get('message')}"


def failed_at(version: str, why: str = "") -> str:
    """What a record says of a metric that failed when the others were measured."""
    return f"version {version} failed: {why}"


def _broken_in(record: Record, metrics: Metrics) -> tuple[str, ...]:
    """Metrics that failed when the record was made, at the version that is installed."""
    told = record.about.get("not_computed", {})
    return tuple(name for name, made in metrics.items() if str(told.get(name)).startswith(failed_at(made.spec.version)))


def _holds_all(record: Record, metrics: Metrics, without: Collection[str]) -> bool:
    """Whether a record holds every metric but these, at the installed version and in this config."""
    return all(
        name in record.scores
        and record.scores[name]["version"] == made.spec.version
        and record.scores[name].get("config", {}) == made.settings
        for name, made in metrics.items()
        if name not in without
    )


def _also_held(plan: Plan, record: Record) -> tuple[str, ...]:
    """What a record holds beside the metrics of the plan: computing it anew must not lose them."""
    names = sorted(record.scores.keys() - plan.metrics.keys())
    held = tuple(name for name in names if name in plan.others and not plan.others[name].why_not)
    for name in names:
        if name not in held:
            why = plan.others[name].why_not if name in plan.others else "is not installed"
            plan.notes.append(f"{record.path} holds {name}, which {why}: it is lost if the cell is computed again")
    return held


# ------------------------------------------------------------------------------------------------------------- weights


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What a model is evaluated with."""

    config: Any
    weights: WeightsFile | None
    refusal: str  #: why it cannot do what is asked; empty: it can
    seen: str | None  #: of the test split by its weights, in words; None: not known
    training: Training | None = None  #: what makes its weights, where they are not there or not finished


def _made_ready_by_seed(
    plan: Plan, opened: Opened, entrant: Entrant, settings: Settings, registry: Registry
) -> dict[int, Ready]:
    """What each seed of a model is evaluated with on a dataset."""
    if entrant.learns_here:
        return {seed: _trained(plan, opened, entrant, settings, registry, seed) for seed in entrant.seeds}
    config, weights, refusal = _made_ready(plan, opened, entrant, settings, registry)
    known = seen(weights.header, opened.provided, opened.dataset, "test", registry) if weights else ""
    if weights and known and not refusal:
        refusal = f"weights {weights.path} were trained on what {opened.name} tests with: {known}"
    return dict.fromkeys(entrant.seeds, Ready(config=config, weights=weights, refusal=refusal, seen=known))


def _trained(plan: Plan, opened: Opened, entrant: Entrant, settings: Settings, registry: Registry, seed: int) -> Ready:
    """A model with the weights of its training, or with the training that will make them."""
    request, asked = plan.request, plan.request.train
    assert asked is not None
    config = configured(entrant.provided, settings.of(entrant.provided))
    context = asked.context or request.context
    name = weights_name(entrant.spec.name, opened.name, context, seed)
    run = TrainingRun(
        model=entrant.provided,
        config=config,
        dataset=opened.provided,
        dataset_config=opened.config,
        context=context,
        horizon=asked.horizon_among(request.horizons),
        budget=Budget.parse(asked.budget),
        output=weights_folder(asked, request.results) / name,
        batch_size=asked.batch_size,
        seed=seed,
        precision=asked.precision,
        device=plan.device,
        start=WeightsFile.open(asked.start) if asked.start else None,
        slice=asked.parsed_slice,
        remedy="name another folder of weights in [train]",
    )
    place = (entrant.name, seed, opened.frame_shape)
    why_not = unsuited(entrant.spec, opened.name, opened.frame_shape, opened.name)
    if not why_not and not opened.trains and place in plan.learnt:
        return _learnt_elsewhere(plan, opened, entrant, plan.learnt[place], registry)
    if not why_not and not opened.trains:
        why_not = (
            f"{opened.name} has no training clips, and {entrant.spec.name} is trained on no other frames of this size"
        )
    if not why_not and context != request.context and "any-context-length" not in entrant.spec.capabilities:
        why_not = (
            f"{entrant.spec.name} is of one context length: it cannot learn from {context} frames for {request.context}"
        )
    if why_not := why_not or unfit(run, opened.dataset):
        return Ready(config=config, weights=None, refusal=why_not, seen="")
    training = looked_up(run, opened.dataset)
    made = Ready(config=config, weights=training.weights, refusal="", seen="", training=training)
    plan.learnt.setdefault(place, made)
    return _unseen(made, opened, entrant, registry)


def _learnt_elsewhere(plan: Plan, opened: Opened, entrant: Entrant, made: Ready, registry: Registry) -> Ready:
    """For a dataset with nothing to learn from: what is trained on another one of the run, with frames of its size."""
    assert made.training is not None
    plan.notes.append(
        f"{entrant.spec.name} on {opened.name}: with weights trained on {made.training.run.dataset.spec.name}"
    )
    return _unseen(made, opened, entrant, registry)


def _unseen(made: Ready, opened: Opened, entrant: Entrant, registry: Registry) -> Ready:
    """What is trained here, refused where it would be tested on what it has learnt from."""
    training = made.training
    assert training is not None
    known = seen(training.header, opened.provided, opened.dataset, "test", registry)
    refusal = f"{entrant.spec.name} would be trained on what {opened.name} tests with: {known}" if known else ""
    return replace(made, seen=known, refusal=refusal, training=None if made.weights else training)


def _made_ready(
    plan: Plan, opened: Opened, entrant: Entrant, settings: Settings, registry: Registry
) -> tuple[Any, WeightsFile | None, str]:
    """Config and weights of a model for a dataset, and why it cannot do what is asked there (empty: it can)."""
    given = settings.of(entrant.provided, bare=entrant.asked)
    try:
        weights = entrant.weights or _bundled(plan, opened, entrant)
        config = config_of(entrant.provided, weights, given)
    except WeightsError as error:
        return configured(entrant.provided, given), None, str(error)
    if weights:
        _note_on(plan, entrant, weights)
    return config, weights, _refusal(plan.request, opened, entrant, weights, settings, registry)


def _bundled(plan: Plan, opened: Opened, entrant: Entrant) -> WeightsFile | None:
    """The weights a plugin ships for this dataset; where nothing can be trained on it, any for such frames."""
    spec = entrant.spec
    fitting = shipped(spec, frame_shape=opened.frame_shape, context=plan.request.context)
    own = [each for each in fitting if each.dataset == opened.name]
    if not own and fitting and not opened.trains:
        plan.notes.append(f"{spec.name} on {opened.name}: with weights trained on {fitting[0].dataset}")
        return WeightsFile.bundled(fitting[0])
    return WeightsFile.bundled(own[0]) if own else None


def _note_on(plan: Plan, entrant: Entrant, weights: WeightsFile) -> None:
    """What is to be known about weights that work."""
    name, version = entrant.spec.name, weights.header["model"].get("version")
    if version is not None and version != entrant.spec.version:
        plan.notes.append(
            f"weights {weights.path} were trained with {name} {version}, now it is {entrant.spec.version}"
        )
    if len(entrant.seeds) > 1 and "samples" not in entrant.spec.capabilities:
        plan.notes.append(f"{name}: all seeds use the same weights, so they are no sign of what training again gives")


# ------------------------------------------------------------------------------------------------------------ refusals


def _able(spec: ModelSpec, task: Task, opened: Opened, blend: Blend | None) -> tuple[str, Blend | None]:
    """Why a model cannot do a task (empty: it can), and the fallback that it takes for that."""
    if spec.tasks and task.kind not in spec.tasks:
        return f"{spec.name} makes sense for {', '.join(spec.tasks)} only, not for {task.kind}", None
    missing = task.needs - spec.capabilities
    own = opened.dataset.info.needs - spec.capabilities
    if blend and spec.role != "ceiling" and missing | own <= BRIDGED:  # of a ceiling it would be none
        return "", blend if missing | own else None
    if own:
        names = ", ".join(sorted(own))
        return f"{opened.name} has frames at times of their own, {spec.name} cannot do {names}{_bridge(own)}", None
    if missing:
        what = "; ".join(f"{name} ({CAPABILITIES[name]})" for name in sorted(missing))
        return f"{spec.name} cannot do {what}, which the task {task.kind} needs{_bridge(missing)}", None
    return "", None


def _bridge(missing: Collection[str]) -> str:
    """The way round, where there is one."""
    if not set(missing) <= BRIDGED:
        return ""
    return "; --in-time linear or nearest makes do with whole steps, and the row says so"


def _refusal(
    request: Request,
    opened: Opened,
    entrant: Entrant,
    weights: WeightsFile | None,
    settings: Settings,
    registry: Registry,
) -> str:
    """Why this model cannot work on this dataset; empty if it can."""
    spec, shape, context = entrant.spec, opened.frame_shape, request.context
    if why_not := unsuited(spec, opened.name, shape, opened.name):
        return why_not
    if spec.learns == "statistics" and not opened.trains:
        return f"{spec.name} learns from training clips, {opened.name} has none"
    if weights is not None:
        return misfit(spec, weights, shape, context, opened.name)
    if spec.learns == "weights" and not request.allow_untrained:
        remedy = _remedy(request, opened, entrant, settings)
        sibling = small_sibling(spec, registry.models())
        lacking = f"{spec.name} has no weights for {opened.name} {shape_text(shape)} with context {context}"
        return "; ".join(filter(None, [lacking, sibling, remedy]))
    return ""


def _remedy(request: Request, opened: Opened, entrant: Entrant, settings: Settings) -> str:
    """How to come by weights: the exact command, and the option that then uses them."""
    if not opened.trains:
        return "it has no training clips: give weights trained on other clips of this size with --weights FILE"
    words = ["vpbench", "train", "--model", entrant.name, "--dataset", opened.name]
    for line in settings.lines_for(entrant.spec.name, opened.name):
        words += ["--set", line]
    output = f"{entrant.spec.name}-{opened.name}-{request.context}.safetensors"
    words += ["--context", str(request.context), "--horizon", str(max(request.horizons))]
    words += ["--budget", "20m", "--output", output]
    return (
        f"train them: {shlex.join(words)}   then add --weights {output} "
        "(or train them in this run with --train 20m, or --allow-untrained)"
    )


# -------------------------------------------------------------------------------------------------------------- saying


def describe(plan: Plan) -> list[str]:
    """The plan in lines for people."""
    counts = {action: plan.count(action) for action in get_args(Action)}
    named = ", ".join(f"{n} {'to run' if action == 'run' else action}" for action, n in counts.items() if n)
    lines = [f"{len(plan.cells)} cells on {plan.device}: {named}"]
    lines += [f"  train {training}" for training in plan.trainings()]
    for group in plan.groups():
        cell, training = group[-1].cell, group[-1].training
        weights = f", weights {cell.weights.path.name}" if cell.weights else ("" if cell.trained else ", untrained")
        weights = f", weights {training.run.output.name}" if training else weights
        seed = f", seed {cell.seed}" if len(plan.request.seeds) > 1 else ""
        lines.append(f"  run  {_where(group)}, context {cell.task.context}, {cell.clips} clips{seed}{weights}")
    alike: dict[tuple[str, str, str], list[Planned]] = defaultdict(list)
    for planned in plan.cells:
        if planned.action in ("refused", "failed before"):
            alike[planned.action, planned.reason, planned.cell.dataset.spec.name].append(planned)
    for (action, reason, _), cells in alike.items():
        remedy = " (--rerun failed tries again)" if action == "failed before" else ""
        lines.append(f"  {_where(cells)}: {action}: {reason}{remedy}")
    lines += dict.fromkeys(
        f"  {name} is not computed on {planned.cell.dataset.spec.name}: {why}"
        for planned in plan.cells
        for name, why in planned.not_computed.items()
    )
    return lines + [f"  {note}" for note in dict.fromkeys(plan.notes)]


def _where(cells: Sequence[Planned]) -> str:
    """ "latentode on moving-mnist, horizons 1, 5": cells of one dataset in a few words."""
    models = dict.fromkeys(planned.cell.model.spec.name for planned in cells)
    horizons = sorted({planned.cell.task.horizon for planned in cells})
    many = "s" if len(horizons) > 1 else ""
    where = f"{', '.join(models)} on {cells[0].cell.dataset.spec.name}"
    return f"{where}, horizon{many} {', '.join(map(str, horizons))}"
