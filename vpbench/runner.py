"""A plan carried out: each cell computed once, each record written as soon as it is true, failures too."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from . import device as devices
from . import exhibits
from .errors import Busy, CellFailed, ExitCode, MetricFailed, RecordError, VpbenchError
from .evaluation import FIT_CLIPS, Cell, Evaluation, rows_of
from .exhibits import Exhibit, ExhibitClip
from .instances import Metrics, blaming, failing_in
from .plan import Plan, Planned, failed_at, look_up
from .progress import Progress
from .protocols import SetMetric
from .registry import IN_MEMORY
from .results import Record, cell_id, claim, read_record, record_path, write_record, write_sidecar
from .scoring import Partial, over_steps, summarise
from .software import software
from .tolerance import alike
from .trained import Training, carry_out
from .weights import WeightsFile

PROBE_CLIPS, PROBE_HORIZON, PROBE_FIT_CLIPS = 2, 10, 20
OUT_OF_RANGE_TRACE = 1e-3  # a share of predicted values below this is not worth a line

Say = Callable[[str], None]


@dataclass
class Outcome:
    """How a run ended."""

    records: list[Path] = field(default_factory=list)  #: written
    failed: int = 0  #: cells, also those that failed in an earlier run and were not tried again
    busy: int = 0  #: cells that another process holds
    broken: dict[str, str] = field(default_factory=dict)  #: metric that failed, now or before -> why, where first seen
    why_failed: dict[Path, str] = field(default_factory=dict)  #: by the path of the record: cells that failed now

    @property
    def exit_code(self) -> ExitCode:
        if self.failed or self.broken:
            return ExitCode.FAILED
        return ExitCode.BUSY if self.busy else ExitCode.OK


# ------------------------------------------------------------------------------------------------------------ estimate


def estimate(plan: Plan) -> float:
    """Seconds that the cells to run will take here, from a short trial of each model; one that fails counts 0."""
    paces: dict[str, tuple[float, float]] = {}
    total = 0.0
    for group in plan.groups():
        cell = group[-1].cell
        # One trial for all horizons and seeds of a model.
        tried = str({**cell.identity, "task": None, "seed": None, "clips": None})
        if tried not in paces:
            paces[tried] = _trial(plan, group)
        fit_s, per_frame_s = paces[tried]
        total += fit_s + per_frame_s * cell.task.horizon * cell.clips
    return total


def _trial(plan: Plan, group: list[Planned]) -> tuple[float, float]:
    """Seconds to fit a model, and seconds per frame, from two clips."""
    cell = group[-1].cell
    task = cell.task.shortened(PROBE_HORIZON)
    ids = _ids(plan, cell)[:PROBE_CLIPS]
    short = dataclasses.replace(cell, task=task, clips=len(ids))
    try:
        evaluation = _evaluation(plan, short, plan.metrics_for(group), fit_clips=PROBE_FIT_CLIPS)
        evaluation(ids)  # what is compiled or loaded on first use happens once
        start = time.perf_counter()
        evaluation(ids)
        spent = time.perf_counter() - start
    except CellFailed:
        return 0.0, 0.0
    return evaluation.fit_s * FIT_CLIPS / PROBE_FIT_CLIPS, spent / len(ids) / task.horizon


def _ids(plan: Plan, cell: Cell) -> list[int]:
    return rows_of(cell, plan.datasets[cell.dataset.spec.name])


def _evaluation(plan: Plan, cell: Cell, metrics: Metrics, **options: Any) -> Evaluation:
    dataset = plan.datasets[cell.dataset.spec.name]
    batch_size = plan.request.batch_size
    return Evaluation(cell, dataset, metrics, device=plan.device, batch_size=batch_size, **options)


# ----------------------------------------------------------------------------------------------------------------- run


def run_plan(plan: Plan, *, say: Say, warn: Say, quiet: bool = False) -> Outcome:
    """Run the cells of a plan. A failed cell is recorded and the others go on; Ctrl-C keeps what is finished.

    say    gets a line per finished cell
    warn   gets a line per cell that failed or that another process holds
    """
    run = _Run(plan, say, warn, quiet)
    for failure in plan.failures:
        warn(str(failure))
    run.outcome.failed = plan.count("failed before") + len(plan.failures)
    for planned in plan.cells:
        run.outcome.broken |= dict.fromkeys(planned.broken, "it failed before")
    for planned in plan.cells:
        if planned.action == "refused":
            run.record_refusal(planned)
    for group in plan.groups():
        run.group(run.with_weights(group))
    return run.outcome


@dataclass(frozen=True)
class Rollout:
    """What one rollout gave, for all cells it serves."""

    partial: Partial
    metrics: Metrics
    cost: Mapping[str, Any]
    said: list[str]
    evaluation: Evaluation  #: that made it


class _Run:
    """A run under way."""

    def __init__(self, plan: Plan, say: Say, warn: Say, quiet: bool) -> None:
        self.plan, self.say, self.warn, self.quiet = plan, say, warn, quiet
        self.outcome = Outcome()
        self.trained: dict[Path, WeightsFile | CellFailed | Busy] = {}  #: by the path of weights: what training gave

    def with_weights(self, group: list[Planned]) -> list[Planned]:
        """Those cells that are to be computed once the weights of all of them, which are the same, are there."""
        training = group[0].training
        if training is None:
            return group
        place, started = training.run.output, _now()
        if place not in self.trained:
            self.trained[place] = self.training(training)
        came = self.trained[place]
        if isinstance(came, Busy):
            self.outcome.busy += len(group)
            return []
        for planned in group:
            if isinstance(came, CellFailed):
                self.record_failure(planned, started, came)
                continue
            planned.cell = dataclasses.replace(planned.cell, weights=came)
            planned.path = record_path(self.plan.request.results, planned.cell.identity)
            look_up(self.plan, planned)
            if planned.action == "failed before":
                self.outcome.failed += 1
        return [planned for planned in group if planned.action == "run" and planned.cell.weights]

    def training(self, training: Training) -> WeightsFile | CellFailed | Busy:
        """Train. What keeps it from weights is given back, for all cells that wait for them."""
        self.say(f"  train {training}")
        try:
            with failing_in("train"):
                return carry_out(training, quiet=self.quiet)
        except CellFailed as failure:
            # Made anew: what was raised holds the model and its optimisers, and is kept until the run ends.
            if isinstance(busy := failure.__cause__, Busy):
                self.warn(str(busy))
                return Busy(str(busy))
            return CellFailed(failure.phase, failure.__cause__ or failure)

    def group(self, group: list[Planned]) -> None:
        """One rollout at the largest horizon serves all; where it fails, the shorter ones get their own chance."""
        with ExitStack() as held:
            group = [planned for planned in group if self.claimed(planned, held)]
            while group:
                started = _now()
                try:
                    rollout = self.rollout(group)
                except CellFailed as failure:
                    # A model that cannot be made ready cannot be so for any horizon.
                    lost = group if failure.phase in ("load", "fit") else group[-1:]
                    for planned in lost:
                        self.record_failure(planned, started, failure)
                    group = group[: -len(lost)]
                else:
                    self.record_scores(group, started, rollout)
                    return

    def claimed(self, planned: Planned, held: ExitStack) -> bool:
        """Whether a cell is ours to compute: nobody else does, nor has done since the plan was made."""
        try:
            held.enter_context(claim(self.plan.request.results, planned.cell.identity))
        except Busy as error:
            self.warn(str(error))
            self.outcome.busy += 1
            return False
        look_up(self.plan, planned)
        if planned.action == "done":
            self.say(f"  done {planned.cell}: by another run")
        elif planned.action == "failed before":
            self.say(f"  {planned.cell} failed in another run: {planned.reason}")
            self.outcome.failed += 1
        return planned.action == "run"

    def rollout(self, group: list[Planned]) -> Rollout:
        cell = group[-1].cell
        metrics = self.plan.metrics_for(group)
        evaluation = _evaluation(self.plan, cell, metrics, keep=self.plan.request.keep_predictions)
        ids = _ids(self.plan, cell)
        with Progress(f"{cell.model.spec.name} {cell.task}", len(ids), unit="clips", quiet=self.quiet) as progress:
            partial = evaluation(ids, progress)
        return Rollout(partial, evaluation.metrics, evaluation.cost(partial), evaluation.said, evaluation)

    # --------------------------------------------------------------------------------------------------------- records

    def record_scores(self, group: list[Planned], started: str, rollout: Rollout) -> None:
        for planned in group:
            try:
                path = self.record_score(planned, started, rollout)
            except CellFailed as failure:
                self.record_failure(planned, started, failure)
                continue
            if planned is not group[-1]:
                continue
            if rollout.partial.kept:
                write_sidecar(path.with_suffix(".predictions.npz"), rollout.partial.kept)
            if self.plan.request.exhibit:
                self.exhibit(path, planned.cell, rollout)
        name = group[-1].cell.model.spec.name
        for note in rollout.said:
            self.say(f"  {name}: {note}")
        share = rollout.cost["out_of_range_share"]
        if share > OUT_OF_RANGE_TRACE:
            self.say(f"  {name}: {share:.1%} of the predicted values were outside [0, 1] and were clamped")

    def record_score(self, planned: Planned, started: str, rollout: Rollout) -> Path:
        """Write one record of a rollout. Raises CellFailed where its scores cannot be made or written down."""
        horizon = planned.cell.task.horizon
        measured = {name: made for name, made in rollout.metrics.items() if name not in planned.not_computed}
        broken = dict(rollout.evaluation.broken)
        while True:
            try:
                scores, per_clip = summarise(rollout.partial, measured, horizon)
                break
            except MetricFailed as failure:
                if len(measured) == 1:
                    raise
                broken[failure.metric] = failure
                del measured[failure.metric]
        self.leave_out(planned, broken)
        statistics = {name: values.tolist() for name, values in per_clip.items()}
        content = {"scores": scores, "statistics": statistics, "cost": rollout.cost}
        try:
            path = self.write(planned, started, measured, status="ok", **content)
        except RecordError as error:
            raise CellFailed("score", error) from error
        exhibits.exhibit_path(path).unlink(missing_ok=True)  # of an earlier run: pictures of other predictions
        cut = {name.replace("/", "."): values[:, :horizon] for name, values in rollout.partial.statistics.items()}
        write_sidecar(path.with_suffix(".npz"), {**cut, "ids": np.array(rollout.partial.ids)})
        self.forget_missing_weights(planned.cell)
        self.say(f"  ok   {planned.cell}: {headline(scores)}")
        return path

    def leave_out(self, planned: Planned, broken: Mapping[str, MetricFailed]) -> None:
        """Say and note which metrics failed. Raises the failure of one whose finished score would be lost."""
        held = _scores_of(planned.path)
        for name, failure in broken.items():
            if name in held:
                raise failure
            if name not in self.outcome.broken:
                self.warn(f"{name} is left out, first on {planned.cell}: {failure}")
            self.outcome.broken.setdefault(name, str(failure))
            version = {**self.plan.others, **self.plan.metrics}[name].spec.version
            planned.not_computed = {**planned.not_computed, name: failed_at(version, failure.message)}

    def exhibit(self, path: Path, cell: Cell, rollout: Rollout) -> None:
        """Write some clips beside a record, predicted again: which ones is known only now. Never at its cost."""
        try:
            exhibits.write(path, _exhibit(cell, rollout))
        except Exception as error:  # whatever it is: a picture is not worth a record
            told = isinstance(error, VpbenchError | ValueError)
            self.say(f"  {cell}: no exhibit: {error if told else f'{type(error).__name__}: {error}'}")

    def forget_missing_weights(self, cell: Cell) -> None:
        """Remove the record that says there are no weights, or that training failed: boards would go on saying so."""
        if cell.weights is None:
            return
        before = record_path(self.plan.request.results, dataclasses.replace(cell, weights=None).identity)
        with suppress(RecordError):
            if not before.exists():
                return
            record = read_record(before)
            if record.status == "skipped" or (record.reason or {}).get("phase") == "train":
                before.unlink()

    def record_failure(self, planned: Planned, started: str, failure: CellFailed) -> None:
        self.outcome.failed += 1
        self.outcome.why_failed[planned.path] = str(failure)
        kept = _is_finished(planned.path)
        self.warn(f"FAILED {planned.cell}: {failure}{' (its finished record is kept)' if kept else ''}")
        if not kept:
            self.write(planned, started, self.plan.metrics, status="failed", reason=failure.reason())

    def record_refusal(self, planned: Planned) -> None:
        reason = {"phase": "plan", "type": "Refused", "message": planned.reason}
        # Where another process holds the cell it can work there, and that is the better record.
        with suppress(Busy), claim(self.plan.request.results, planned.cell.identity):
            if not _is_finished(planned.path):
                self.write(planned, _now(), self.plan.metrics, status="skipped", reason=reason)

    def write(self, planned: Planned, started: str, metrics: Metrics, **content: Any) -> Path:
        cell = planned.cell
        record = Record(
            identity=cell.identity,
            about=_about(planned) | {"metric_cites": {name: [*made.spec.cites] for name, made in metrics.items()}},
            software=software(cell.model, cell.dataset, *(made.provided for made in metrics.values())),
            machine=devices.describe(self.plan.device),
            started=started,
            finished=_now(),
            **content,
        )
        path = write_record(self.plan.request.results, record)
        self.outcome.records.append(path)
        return path


def _exhibit(cell: Cell, rollout: Rollout) -> Exhibit:
    """The clips to show. Raises ValueError where they are not what was scored, CellFailed where they cannot be had."""
    partial = rollout.partial
    name = first_of(rollout.metrics)
    if not name:
        raise ValueError("no metric has a value per clip")
    made = rollout.metrics[name]
    assert not isinstance(made.metric, SetMetric)
    per_clip = over_steps(partial, {name: made}, partial.steps)
    with failing_in("score"), blaming(made.provided, "score"), np.errstate(all="ignore"):
        values = made.score({bare: per_clip[key] for bare, key in made.statistics.items()})
    why = exhibits.chosen(partial.ids, -values if made.spec.higher_is_better else values)
    rollout.evaluation.keep = len(why)
    again = rollout.evaluation(list(why))
    places = [partial.ids.index(clip) for clip in why]
    for key, measured in over_steps(again, {name: made}, partial.steps).items():
        if not alike(measured, per_clip[key][places]):
            raise ValueError("predicted again, these clips come out otherwise")
    kept = {key: exhibits.as_levels(again.kept[key]) for key in ("context", "target", "predicted")}
    truth = np.concatenate([kept["context"], kept["target"]], axis=1)
    chosen_by = [float(values[place]) if np.isfinite(values[place]) else None for place in places]
    shown = [
        ExhibitClip(clip, why[clip], chosen_by[row], truth[row], kept["predicted"][row]) for row, clip in enumerate(why)
    ]
    return Exhibit(cell_id(cell.identity), cell.task.context, cell.task.horizon, name, tuple(shown))


def _scores_of(path: Path) -> frozenset[str]:
    """The metrics that a finished record holds; none where there is no such record."""
    try:
        return frozenset(read_record(path).scores) if path.exists() else frozenset()
    except RecordError:
        return frozenset()


def _is_finished(path: Path) -> bool:
    """Whether there is a finished record: neither a failure nor a refusal may take its place."""
    try:
        return path.exists() and read_record(path).status == "ok"
    except RecordError:
        return False


def _about(planned: Planned) -> dict[str, Any]:
    """What a record says beside numbers: what the model is and what it was told."""
    cell, spec = planned.cell, planned.cell.model.spec
    training: dict[str, Any] | None = None
    if planned.training and not cell.weights:
        training = planned.training.identity
    if cell.weights:
        said_elsewhere = ("model", "frame_shape")
        training = {key: value for key, value in cell.weights.header.items() if key not in said_elsewhere}
        training["model_version"] = cell.weights.header["model"].get("version")
    return {
        "role": spec.role,
        "posterior_mean": spec.posterior_mean,
        "summary": spec.summary,
        "assumptions": spec.assumptions,
        "elsewhere": spec.elsewhere,
        "in_memory": cell.model.distribution == IN_MEMORY,
        "learns": spec.learns,
        "trained": cell.trained,
        "caveat": cell.caveat,
        "training": training,
        "not_computed": dict(planned.not_computed),
        "left_out": planned.left_out,
        "cites": [*spec.cites, *cell.dataset.spec.cites],
    }


#: What a line about a record tells, where it has them; the first one chooses the clips to show.
HEADLINE = ("psnr-pooled", "ssim", "mse")


def first_of(metrics: Metrics) -> str:
    """The metric that says how good a clip is: of those with a value per clip the first."""
    of_clips = [name for name, made in metrics.items() if made.spec.window is None]
    return next((name for name in (*HEADLINE, *of_clips) if name in of_clips), "")


def headline(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """The first scores of a record in a few words."""
    names = [name for name in HEADLINE if name in scores] or list(scores)[:3]
    return ", ".join(f"{name} {scores[name]['value']:.4g} {scores[name]['unit']}".strip() for name in names)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
