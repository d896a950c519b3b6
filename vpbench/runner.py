"""The grid: plan it, refuse what cannot work, skip what is done, run the rest, write each record once it is true."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import torch

from . import device as devices
from . import evaluate
from .config import did_you_mean, make_config, parse_setting
from .errors import Busy, CellFailed, ConfigError, ExitCode, RecordError, Refused, UsageError
from .evaluate import Cell, Evaluation, Partial
from .progress import Progress, seconds
from .protocols import Dataset
from .registry import Provided, Registry
from .results import Record, claim, read_record, record_path, write_record, write_sidecar
from .specs import DatasetSpec, MetricSpec, ModelSpec, Spec
from .tasks import Task, reported
from .weights import WeightsFile

Rerun = Literal["missing", "failed", "all"]
Metrics = Mapping[str, tuple[Provided[MetricSpec], Any]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `vpbench run` was asked for; a grid file has the same names."""

    models: tuple[str, ...]
    horizons: tuple[int, ...]
    datasets: tuple[str, ...] = ()  #: none: the one the model's weights name
    seeds: tuple[int, ...] = (0,)
    metrics: tuple[str, ...] = ()  #: none: all installed that are on by default
    context: int = 10
    clips: int = 100
    batch_size: int = 16
    device: str = "auto"
    precision: str = "float32"
    weights: tuple[Path, ...] = ()
    settings: tuple[str, ...] = ()  #: key=value or name.key=value
    results: Path = Path("runs")
    rerun: Rerun = "missing"
    keep_predictions: int = 0
    allow_untrained: bool = False


@dataclass
class Planned:
    """A cell and what is to become of it."""

    cell: Cell
    path: Path
    action: Literal["run", "done", "failed before", "refused"]
    reason: str = ""
    asked: bool = True  #: False for floors and ceilings that the runner adds


@dataclass
class Plan:
    """All cells of a request, in the order they will run."""

    request: Request
    device: torch.device
    cells: list[Planned]
    metrics: Metrics
    datasets: dict[str, Dataset]
    not_computed: dict[str, dict[str, str]] = field(default_factory=dict)  #: dataset -> metric -> why not
    notes: list[str] = field(default_factory=list)

    def count(self, action: str) -> int:
        return sum(planned.action == action for planned in self.cells)

    def groups(self) -> Iterator[list[Planned]]:
        """Cells to run that one rollout serves: same model, weights, dataset and seed, prefix-stable."""
        groups: dict[Any, list[Planned]] = defaultdict(list)
        for place, planned in enumerate(self.cells):
            if planned.action == "run":
                alone = None if planned.cell.model.spec.prefix_stable else place
                identity = {**planned.cell.identity, "task": None}
                groups[str(identity), alone].append(planned)
        for group in groups.values():
            yield sorted(group, key=lambda planned: planned.cell.task.horizon)


@dataclass
class Outcome:
    """How a run ended."""

    exit_code: ExitCode
    records: list[Path]


# ---------------------------------------------------------------------------------------------------------------- plan


class Settings:
    """`--set` lines, given to whom they are for: a bare key goes to every asked-for model and dataset that has it."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._bare: dict[str, str] = {}
        self._named: dict[str, dict[str, str]] = defaultdict(dict)
        for line in lines:
            name, key, value = parse_setting(line)
            (self._named[name] if name else self._bare)[key] = value
        self._owners: dict[str, set[str]] = {}  # whom was asked about -> the keys it has

    def of(self, spec: Spec, *, bare: bool = True) -> dict[str, str]:
        """The settings meant for a model or dataset; bare=False for one that the user did not ask for."""
        config = spec.load_config()
        keys = {each.name for each in dataclasses.fields(config)} if config else set()
        self._owners.setdefault(spec.name, set()).update(keys if bare else ())
        mine = {key: value for key, value in self._bare.items() if key in keys} if bare else {}
        return {**mine, **self._named.get(spec.name, {})}

    def check_all_used(self) -> None:
        """Raise ConfigError for a setting that nobody took."""
        for name in self._named:
            if name not in self._owners:
                hint = did_you_mean(name, self._owners)
                raise ConfigError(f"--set {name}.…: no {name!r} takes part; {hint}there is: {', '.join(self._owners)}")
        known = {key: name for name, keys in self._owners.items() for key in keys}
        for key in self._bare:
            if key not in known:
                there = "; ".join(f"{name}: {', '.join(sorted(keys))}" for name, keys in self._owners.items() if keys)
                raise ConfigError(f"no config key {key!r}; {did_you_mean(key, known)}there is: {there or 'none'}")


def make_plan(request: Request, registry: Registry) -> Plan:
    """What will be run, what is done, what cannot work and why. Raises VpbenchError for a request without sense."""
    device = devices.resolve(request.device)
    asked = [registry.model(name) for name in dict.fromkeys(request.models)]
    weights = _weights_by_model([WeightsFile.open(path) for path in request.weights], asked)
    settings = Settings(request.settings)
    metrics = _metrics(request, registry)
    plan = Plan(request=request, device=device, cells=[], metrics=metrics, datasets={})
    extra = [each for each in registry.models().values() if each.spec.role != "contender" and each not in asked]
    for dataset in _datasets(request, registry, asked, weights):
        _plan_dataset(plan, dataset, asked, extra, weights, settings)
    settings.check_all_used()
    return plan


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


def _metrics(request: Request, registry: Registry) -> Metrics:
    if request.metrics:
        chosen = [registry.metric(name) for name in request.metrics]
    else:
        chosen = [each for each in registry.metrics().values() if each.spec.default]
    if not chosen:
        raise UsageError("no metric is installed: pip install vpbench-metrics")
    made = {}
    for each in chosen:
        config = make_config(each.spec.load_config(), {}, owner=each.spec.name)
        made[each.spec.name] = (each, each.spec.load()(config))
    return made


def _datasets(
    request: Request, registry: Registry, asked: Sequence[Provided[ModelSpec]], weights: Mapping[str, WeightsFile]
) -> list[Provided[DatasetSpec]]:
    if request.datasets:
        return [registry.dataset(name) for name in dict.fromkeys(request.datasets)]
    named = {file.header.get("dataset", {}).get("name") for file in weights.values()} - {None}
    named |= {each.dataset for model in asked if model.spec.name not in weights for each in model.spec.weights}
    if len(named) == 1:
        return [registry.dataset(named.pop())]
    there = ", ".join(registry.datasets()) or "none"
    why = "the weights name several datasets" if named else "the model's weights name no dataset"
    raise UsageError(f"which dataset? {why}; add --dataset NAME, installed: {there}")


def _plan_dataset(
    plan: Plan,
    dataset: Provided[DatasetSpec],
    asked: Sequence[Provided[ModelSpec]],
    extra: Sequence[Provided[ModelSpec]],
    weights: Mapping[str, WeightsFile],
    settings: Settings,
) -> None:
    request, name = plan.request, dataset.spec.name
    config = make_config(dataset.spec.load_config(), settings.of(dataset.spec), owner=name)
    opened: Dataset = dataset.spec.load()(config)
    plan.datasets[name] = opened
    longest = opened.info.max_length
    fits = [h for h in reported(request.horizons) if longest is None or request.context + h <= longest]
    horizons = sorted({*fits, *request.horizons})
    fingerprint = opened.fingerprint("test")
    plan.not_computed[name] = _not_computable(plan.metrics, dataset.spec, opened)
    for horizon in horizons:
        task = Task(context=request.context, horizon=horizon)
        too_long = longest is not None and task.n_frames > longest
        available = 0 if too_long else len(opened.ids("test", n_frames=task.n_frames))
        clips = min(request.clips, available)
        if 0 < available < request.clips:
            note = f"{name} has {available} test clips of {task.n_frames} frames; all of them are used"
            plan.notes.append(note)
        for model, own in [*((each, True) for each in asked), *((each, False) for each in extra)]:
            for seed in request.seeds if own else request.seeds[:1]:
                if too_long:
                    refusal = f"horizon {horizon} needs {task.n_frames} frames, {name} has {longest}"
                else:
                    refusal = "" if available else f"{name} has no test clip of {task.n_frames} frames"
                chosen = weights.get(model.spec.name)
                bare = settings.of(model.spec, bare=own)
                try:
                    chosen = chosen or _bundled(model.spec, name, opened.info.frame_shape, task)
                    problem = refusal or _refusal(model.spec, chosen, opened, task, request, dataset)
                    values = {**(chosen.config if chosen else {}), **bare}
                except Refused as error:
                    problem, values = str(error), dict(bare)
                model_config = make_config(model.spec.load_config(), values, owner=model.spec.name)
                cell = Cell(
                    model=model,
                    config=model_config,
                    weights=chosen,
                    dataset=dataset,
                    dataset_config=config,
                    fingerprint=fingerprint,
                    task=task,
                    clips=clips or request.clips,
                    seed=seed,
                    precision=request.precision,
                )
                plan.cells.append(_planned(plan, cell, problem, own))


def _bundled(spec: ModelSpec, dataset: str, frame_shape: tuple[int, ...], task: Task) -> WeightsFile | None:
    """The weights a plugin ships for this task, if it does."""
    for each in spec.weights:
        if each.dataset == dataset and tuple(each.frame_shape) == tuple(frame_shape) and each.context == task.context:
            return WeightsFile.bundled(each)
    return None


def _refusal(
    spec: ModelSpec,
    weights: WeightsFile | None,
    dataset: Dataset,
    task: Task,
    request: Request,
    provided: Provided[DatasetSpec],
) -> str:
    """Why this model cannot do this task on this dataset; empty if it can."""
    shape = tuple(dataset.info.frame_shape)
    if spec.channels is not None and spec.channels != shape[0]:
        return f"{spec.name} takes {spec.channels} channels, {provided.spec.name} has {shape[0]}"
    if missing := sorted(task.needs - spec.capabilities):
        return f"{spec.name} cannot do {', '.join(missing)}"
    if weights is not None:
        file, name = weights.path, provided.spec.name
        if weights.frame_shape != shape:
            return f"weights {file} are for frames {_shape(weights.frame_shape)}, {name} has {_shape(shape)}"
        if weights.context != task.context and "any-context-length" not in spec.capabilities:
            return f"weights {file} are for context {weights.context}, asked for {task.context}"
    elif spec.learns == "weights" and not request.allow_untrained:
        wanted = f"{provided.spec.name} {_shape(shape)} with context {task.context}"
        return f"{spec.name} has no weights for {wanted}; train them: " + train_line(request, spec, provided.spec.name)
    return ""


def train_line(request: Request, spec: ModelSpec, dataset: str) -> str:
    """The exact command that makes the missing weights, and the option that then uses them."""
    name = next((given for given in request.models if given == spec.name), None) or next(
        (given for given in request.models if ".py:" in given), spec.name
    )
    output = f"{spec.name}-{dataset}-{request.context}.safetensors"
    settings = "".join(f" --set {line}" for line in request.settings)
    return (
        f"vpbench train --model {name} --dataset {dataset}{settings} --context {request.context} "
        f"--horizon {max(request.horizons)} "
        f"--budget 20m --output {output}   then add --weights {output} (or --allow-untrained)"
    )


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _not_computable(metrics: Metrics, spec: DatasetSpec, dataset: Dataset) -> dict[str, str]:
    """Metrics that make no sense on a dataset, with the reason."""
    reasons = {}
    truth = {f"truth:{each.name}" for each in spec.truth}
    side = min(dataset.info.frame_shape[1:])
    for name, (provided, _) in metrics.items():
        missing = sorted(provided.spec.needs - {"raw", "context"} - truth)
        if missing:
            reasons[name] = f"needs {', '.join(missing)}"
        elif side < provided.spec.min_size:
            reasons[name] = f"needs frames of {provided.spec.min_size} pixels a side, {spec.name} has {side}"
    return reasons


def _planned(plan: Plan, cell: Cell, refusal: str, asked: bool) -> Planned:
    path = record_path(plan.request.results, cell.identity)
    if refusal:
        return Planned(cell, path, "refused", refusal, asked)
    if plan.request.rerun == "all" or not path.exists():
        return Planned(cell, path, "run", asked=asked)
    try:
        record = read_record(path)
    except RecordError as error:
        plan.notes.append(f"{error}: it will be computed again")
        return Planned(cell, path, "run", asked=asked)
    if record.status == "failed":
        if plan.request.rerun == "failed":
            return Planned(cell, path, "run", asked=asked)
        reason = record.reason or {}
        return Planned(cell, path, "failed before", f"{reason.get('phase')}: {reason.get('message')}", asked)
    done = record.status == "ok" and _measured(record, plan, cell.dataset.spec.name)
    return Planned(cell, path, "done" if done else "run", asked=asked)


def _measured(record: Record, plan: Plan, dataset: str) -> bool:
    """Whether a record holds every metric of the plan at the installed version."""
    return all(
        name in plan.not_computed[dataset]
        or (name in record.scores and record.scores[name]["version"] == provided.spec.version)
        for name, (provided, _) in plan.metrics.items()
    )


def describe(plan: Plan) -> list[str]:
    """The plan in lines for people."""
    total = len(plan.cells)
    counts = [
        (plan.count("run"), "to run"),
        (plan.count("done"), "done"),
        (plan.count("failed before"), "failed before"),
    ]
    counts.append((plan.count("refused"), "refused"))
    lines = [f"{total} cells on {plan.device}: " + ", ".join(f"{n} {what}" for n, what in counts if n)]
    for group in plan.groups():
        cell = group[-1].cell
        horizons = ", ".join(str(planned.cell.task.horizon) for planned in group)
        weights = f", weights {cell.weights.path.name}" if cell.weights else ("" if cell.trained else ", untrained")
        seed = f", seed {cell.seed}" if len(plan.request.seeds) > 1 else ""
        lines.append(
            f"  run  {cell.model.spec.name} on {cell.dataset.spec.name}, context {cell.task.context}, "
            f"horizon {horizons}, {cell.clips} clips{seed}{weights}"
        )
    refusals: dict[str, list[Planned]] = defaultdict(list)
    for planned in plan.cells:
        if planned.action in ("refused", "failed before"):
            refusals[f"{planned.action}: {planned.reason}"].append(planned)
    for reason, cells in refusals.items():
        names = ", ".join(dict.fromkeys(f"{planned.cell}" for planned in cells))
        remedy = " (--rerun failed tries again)" if cells[0].action == "failed before" else ""
        lines.append(f"  {names}: {reason}{remedy}")
    for dataset, reasons in plan.not_computed.items():
        lines += [f"  {name} is not computed on {dataset}: {why}" for name, why in reasons.items()]
    return lines + [f"  {note}" for note in dict.fromkeys(plan.notes)]


# ----------------------------------------------------------------------------------------------------------------- run


def estimate(plan: Plan) -> float:
    """Seconds the cells to run will take on this machine, from a short probe of each model; a failing one counts 0."""
    total = 0.0
    for group in plan.groups():
        try:
            # Settled here and not later: fitting is part of the time, and a model that cannot be loaded costs none.
            total += _ready(plan, group[-1].cell).probe() * group[-1].cell.clips
        except CellFailed:
            continue
    return total


def run_plan(plan: Plan, *, say: Callable[[str], None], quiet: bool = False) -> Outcome:
    """Run the cells of a plan. A failed cell is recorded and the others go on; Ctrl-C keeps what is finished."""
    written = []
    failed = plan.count("failed before")
    busy = 0
    for planned in plan.cells:
        if planned.action == "refused" and not _holds_better(planned.path):
            written.append(_write_refusal(plan, planned))
    # Nothing that was asked for can run: floors alone would be a board about nothing.
    if any(planned.asked and planned.action == "run" for planned in plan.cells) or not _asked_only_refused(plan):
        for group in plan.groups():
            paths, failures, held = _run_group(plan, group, say=say, quiet=quiet)
            written += paths
            failed += failures
            busy += held
    if failed:
        return Outcome(ExitCode.FAILED, written)
    if busy:
        return Outcome(ExitCode.BUSY, written)
    return Outcome(ExitCode.NOTHING_TO_RUN if _asked_only_refused(plan) else ExitCode.OK, written)


def _asked_only_refused(plan: Plan) -> bool:
    return all(planned.action == "refused" for planned in plan.cells if planned.asked)


def _holds_better(path: Path) -> bool:
    """Whether there is already a finished record: a refusal must not replace it."""
    try:
        return path.exists() and read_record(path).status == "ok"
    except RecordError:
        return False


def _ready(plan: Plan, cell: Cell) -> Evaluation:
    name = cell.dataset.spec.name
    metrics = {each: made for each, made in plan.metrics.items() if each not in plan.not_computed[name]}
    request = plan.request
    return Evaluation(
        cell,
        plan.datasets[name],
        metrics,
        device=plan.device,
        batch_size=request.batch_size,
        keep=request.keep_predictions,
    )


def _run_group(
    plan: Plan, group: list[Planned], *, say: Callable[[str], None], quiet: bool
) -> tuple[list[Path], int, int]:
    """One rollout at the largest horizon serves the group; where it fails, the shorter horizons get their own chance.

    Returns (records written, cells failed, cells held by another process).
    """
    written: list[Path] = []
    failures = 0
    while group:
        largest = group[-1]
        try:
            with claim(plan.request.results, largest.cell.identity):
                started = _now()
                try:
                    evaluation, partial = _rollout(plan, largest.cell, quiet=quiet)
                except CellFailed as failure:
                    say(f"  FAILED {largest.cell}: {failure}")
                    written.append(_write(plan, largest.cell, started, status="failed", reason=failure.reason()))
                    failures += 1
                    group = group[:-1]
                    continue
                for note in evaluation.said:
                    say(f"  {largest.cell.model.spec.name}: {note}")
                paths, failed = _write_scores(plan, group, evaluation, partial, started, say)
                return written + paths, failures + failed, 0
        except Busy as error:
            say(f"  {error}")
            return written, failures, len(group)
    return written, failures, 0


def _rollout(plan: Plan, cell: Cell, *, quiet: bool) -> tuple[Evaluation, Partial]:
    evaluation = _ready(plan, cell)
    ids = plan.datasets[cell.dataset.spec.name].ids(cell.split, n_frames=cell.task.n_frames)[: cell.clips]
    with Progress(f"{cell.model.spec.name} {cell.task}", len(ids), unit="clips", quiet=quiet) as progress:
        return evaluation, evaluation(ids, progress)


def _write_scores(
    plan: Plan,
    group: list[Planned],
    evaluation: Evaluation,
    partial: Partial,
    started: str,
    say: Callable[[str], None],
) -> tuple[list[Path], int]:
    written, failed = [], 0
    for planned in group:
        cell, horizon = planned.cell, planned.cell.task.horizon
        try:
            scores, per_clip = evaluate.summarise(partial, evaluation.metrics, horizon)
            path = _write(
                plan,
                cell,
                started,
                status="ok",
                scores=scores,
                statistics={name: values.tolist() for name, values in per_clip.items()},
                cost=evaluation.cost(partial, horizon),
            )
        except CellFailed as failure:
            say(f"  FAILED {cell}: {failure}")
            path = _write(plan, cell, started, status="failed", reason=failure.reason())
            failed += 1
        else:
            cut = {name.replace("/", "."): values[:, :horizon] for name, values in partial.statistics.items()}
            write_sidecar(path.with_suffix(".npz"), {**cut, "ids": partial.ids})
            if partial.kept and planned is group[-1]:
                write_sidecar(path.with_suffix(".predictions.npz"), partial.kept)
            say(f"  ok   {cell}: {headline(scores)}")
        written.append(path)
    return written, failed


def headline(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """The first scores of a record in a few words."""
    names = [name for name in ("psnr-pooled", "ssim", "mse") if name in scores] or list(scores)[:3]
    return ", ".join(f"{name} {scores[name]['value']:.4g} {scores[name]['unit']}".strip() for name in names)


def _write_refusal(plan: Plan, planned: Planned) -> Path:
    reason = {"phase": "plan", "type": "Refused", "message": planned.reason}
    return _write(plan, planned.cell, _now(), status="skipped", reason=reason)


def _write(plan: Plan, cell: Cell, started: str, **content: Any) -> Path:
    metrics = [provided for provided, _ in plan.metrics.values()]
    record = Record(
        identity=cell.identity,
        about=_about(cell, plan.not_computed.get(cell.dataset.spec.name, {})),
        software=evaluate.software(cell.model, cell.dataset, *metrics),
        machine=devices.describe(plan.device),
        started=started,
        finished=_now(),
        **content,
    )
    return write_record(plan.request.results, record)


def _about(cell: Cell, not_computed: Mapping[str, str]) -> dict[str, Any]:
    spec = cell.model.spec
    training = None
    if cell.weights:
        skip = ("history", "model", "frame_shape")
        training = {key: value for key, value in cell.weights.header.items() if key not in skip}
    return {
        "role": spec.role,
        "summary": spec.summary,
        "assumptions": spec.assumptions,
        "learns": spec.learns,
        "trained": cell.trained,
        "caveat": cell.dataset.spec.caveat,
        "training": training,
        "not_computed": dict(not_computed),
        "cites": [*spec.cites, *cell.dataset.spec.cites],
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def estimate_line(plan: Plan) -> str:
    """The estimate of time, for people."""
    return f"about {seconds(estimate(plan))} on this machine" if plan.count("run") else "nothing left to compute"


def with_defaults(request: Request, **changes: Any) -> Request:
    """The request with some fields replaced; None leaves a field as it is."""
    return dataclasses.replace(request, **{key: value for key, value in changes.items() if value is not None})
