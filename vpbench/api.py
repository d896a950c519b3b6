"""What a notebook calls: `evaluate` one model, `run` many. (`load_results` is in `tables`: it needs no torch.)

The command line does the same: `vpbench run` and `run` both carry a plan out by `perform`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import display, leaderboard, registry, tables
from .arguments import request_of, requests_of, several, text, whole
from .comparison import Board, boards
from .device import random_numbers_kept
from .errors import Busy, CellFailed, ModelFailed, Refused, UsageError, VpbenchWarning
from .evaluation import Evaluation, rows_of
from .in_memory import InMemory, in_memory, lent, where_raised
from .perform import perform, scorers_of
from .plan import Plan, Planned, look_up, make_plan
from .registry import Registry
from .results import Record, iter_records, question_of, read_record
from .runner import run_plan
from .tasks import Task

if TYPE_CHECKING:
    import pandas as pd
    import torch

Settings = Mapping[str, Any] | Sequence[str] | str


# ------------------------------------------------------------------------------------------------------------ evaluate


def evaluate(
    model: Any,
    *,
    horizon: int | None = None,
    dataset: str | None = None,
    context: int = 10,
    task: str = "extrapolate",
    in_time: str = "refuse",
    clips: int = 100,
    metrics: str | Sequence[str] = (),
    name: str | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    batch_size: int = 16,
    precision: str = "float32",
    settings: Settings = (),
    weights: str | Path | None = None,
    results: str | Path = "runs",
    exhibit: bool = True,
    progress: bool = True,
) -> Result:
    """Evaluate one model on the test clips of a dataset, beside the floors and ceilings.

    model       the name of an installed model; "file.py:Class"; an object with ``predict(context, target_times)``
                (`vpbench.protocols.Model`); or a torch module or function, ``f(frames)`` or ``f(frames, horizon)``:
                frames float32 (B, Tc, C, H, W) in [0, 1] on the device, to (B, T, C, H, W). A function of frames alone
                may return fewer than asked for: it is then given its own predictions to go on
    horizon     frames to predict; may be left out where it follows from the task and the context
    dataset     of the test clips; None: the one the model's weights are for
    context     frames that are given
    task        kind of task, with options: "fractional", "interpolate,spacing=1"; docs/tasks.md
    in_time     what becomes of a model that knows whole steps only: "refuse", "nearest", "linear"
    clips       the first so many of the test split
    metrics     of metrics, of conventions, or "default"; none: all that are on by default
    name        of a model that is an object, on boards; by default that of its class or function
    settings    config of the model and the dataset: {"digits": 3}, or lines "moving-mnist.digits=3"
    weights     a file that `vpbench train` wrote
    results     folder of records, where finished floors and ceilings are taken from
    exhibit     keep a few clips beside the record, for pictures
    progress    show how far it is

    The rest is as in `vpbench run`. An object is computed again each time, as nobody can see whether it has changed;
    its modules come back as they were: device, train mode, gradients; and so do torch's random numbers.

    Raises VpbenchError, one line: a request without sense, a model that cannot work there or failed. The record of a
    failure is written all the same.
    """
    own = None if isinstance(model, str) else in_memory(model, name)
    if own is None and name is not None:
        raise UsageError(f"name is for models that are objects, {model} has one: leave it out")
    request = request_of(
        models=own.name if own else model,
        horizons=() if horizon is None else whole("horizon", horizon),
        datasets=None if dataset is None else text("dataset", dataset),
        seeds=whole("seed", seed),
        metrics=metrics,
        context=context,
        task=task,
        in_time=in_time,
        clips=clips,
        batch_size=batch_size,
        device=device,
        precision=precision,
        weights=weights,
        settings=settings,
        results=results,
        rerun="failed",
        exhibit=exhibit,
    )
    installed = _installed([own] if own else [])
    if own and dataset is None:
        raise UsageError(
            f"which dataset? name one, dataset=...; installed: {', '.join(installed.datasets()) or 'none'}"
        )
    plan = make_plan(request, installed, shorter=False)  # one question, one answer
    (asked,) = (planned for planned in plan.cells if planned.asked)
    said: list[str] = []
    with _lent([own] if own else [], plan):
        # Its own row first: what does not work should not wait for the floors.
        _carry_out(plan, asked, own, said, quiet=not progress)
    rest = [planned for planned in plan.cells if planned is not asked]
    with random_numbers_kept(plan.device):
        run_plan(dataclasses.replace(plan, cells=rest), say=_ignored, warn=_warn, quiet=not progress)
    record = read_record(asked.path)
    return Result(record, _board_of(record, plan), tuple(dict.fromkeys([*plan.notes, *said])))


def _carry_out(plan: Plan, asked: Planned, own: InMemory | None, said: list[str], *, quiet: bool) -> None:
    """Compute one cell. Raises VpbenchError where there is no result, for whatever reason."""
    if asked.action == "refused":
        run_plan(dataclasses.replace(plan, cells=[asked]), say=_ignored, warn=_ignored, quiet=True)
        raise Refused(asked.reason)
    outcome = run_plan(dataclasses.replace(plan, cells=[asked]), say=said.append, warn=said.append, quiet=quiet)
    if why := outcome.why_failed.get(asked.path):
        raised = own.raised if own else None
        raise ModelFailed(f"{asked.cell} failed in {why}{where_raised(raised)}") from raised
    if outcome.busy or outcome.failed:
        raise (Busy if outcome.busy else ModelFailed)(said[-1].strip())
    said[:] = [line.strip() for line in said if not line.startswith("  ok ")]


def _board_of(record: Record, plan: Plan) -> Board:
    """The board of the record's question, of all in its folder that have at least its clips."""
    task = Task(**record.task)
    records, problems = iter_records(plan.request.results)
    alike = [
        each
        for each in records
        if question_of(each.identity) == question_of(record.identity)
        and each.identity["clips"] >= record.identity["clips"]
    ]
    (board,), more = boards(alike, scorers_of(plan), horizons=[task.horizon], contexts=[task.context])
    for problem in [*problems, *more]:
        _warn(str(problem))
    return board


@dataclass(frozen=True, repr=False)
class Result:
    """What an evaluation came to. Print it for the board; a notebook shows board, curve and frames."""

    record: Record
    compared: Board  #: the board of its question: what is in the results folder, on the clips that all rows have
    notes: tuple[str, ...] = ()  #: what is to be known beside the numbers

    @property
    def path(self) -> Path:
        """The file of the record."""
        assert self.record.path is not None
        return self.record.path

    @cached_property
    def scores(self) -> pd.DataFrame:
        """A row per metric: metric, value, low, high (95 % interval over clips), unit, better."""
        return tables.scores_of(self.record)

    @cached_property
    def per_step(self) -> pd.DataFrame:
        """The scores at each step from 1, a column per metric."""
        return tables.steps_of(self.record)

    @cached_property
    def board(self) -> str:
        """The board for a terminal."""
        return leaderboard.RENDERERS["text"]([self.compared])

    def __str__(self) -> str:
        return "\n".join([display.headline(self.record, self.compared), *self.notes, "", self.board])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return display.as_html(self.record, self.compared, self.notes, strip=self._strip)

    def _repr_markdown_(self) -> str:
        return display.as_markdown(self.record, self.compared, self.notes)

    @cached_property
    def _strip(self) -> bytes | None:
        """Read when it is first shown, and kept: a later evaluation may put other frames beside the record."""
        return display.picture_of(self.record)


# ----------------------------------------------------------------------------------------------------------------- run


def run(
    models: Any = None,
    horizons: int | Iterable[int] | None = None,
    datasets: str | Iterable[str] | None = None,
    *,
    grid: str | Path | None = None,
    part: str | Iterable[str] = (),
    progress: bool = True,
    **request: Any,
) -> pd.DataFrame:
    """Evaluate models on every combination of dataset, horizon and seed, as `vpbench run` does: a row per record.

    models    one or several, as `evaluate` takes them; a mapping gives objects their names: {"mine": net}
    horizons  one or several; of 1, 5, 10, 20, 40, 90 the smaller ones come along
    datasets  one or several; None: the one the models' weights are for
    grid      a TOML file that says the same; what is given here wins
    part      of a grid file with several parts, those to run; none: all, one after the other
    progress  print the plan, a line per finished cell, and bars
    request   seeds, metrics, weights, settings (one or several each), context, task, in_time, clips, batch_size,
              device, precision, results, rerun, keep_predictions, exhibit, allow_untrained: see `vpbench.plan.Request`;
              train: how long to train the models that learn weights first, "20m", or a mapping of what the table
              [train] of a grid holds

    The columns are those of ``load_results(per="record")``. A failed cell is a row with its reason, and a warning; the
    others go on. Raises VpbenchError for a request without sense, and where nothing can work.
    """
    asked = None if models is None else [_named(*each) for each in _items(models)]
    objects = [each for each in asked or () if isinstance(each, InMemory)]
    names = None if asked is None else [each.name if isinstance(each, InMemory) else each for each in asked]
    wanted = requests_of(grid, part, models=names, horizons=horizons, datasets=datasets, **request)
    installed = _installed(objects)
    paths: dict[Path, None] = {}
    for each in wanted.values():
        plan = make_plan(each, installed)
        with _lent(objects, plan):
            perform(plan, say=print if progress else _ignored, warn=_warn, quiet=not progress)
        paths |= dict.fromkeys(planned.path for planned in plan.cells if planned.path.exists())
    return tables.per_record([read_record(path) for path in paths])


def _items(models: Any) -> Iterable[tuple[str | None, Any]]:
    return models.items() if isinstance(models, Mapping) else ((None, each) for each in several(models))


def _named(name: str | None, model: Any) -> str | InMemory:
    if not isinstance(model, str):
        return in_memory(model, name)
    if name is not None and name != model:
        raise UsageError(f"only objects can be given a name, {model!r} has one: not {name!r}")
    return model


# -------------------------------------------------------------------------------------------------------------- common


def _installed(objects: Sequence[InMemory]) -> Registry:
    """What is installed, and these."""
    found = registry.load()
    for problem in found.problems:
        _warn(f"plugin left out: {problem}")
    for each in objects:
        found = found.including(each.provided)
    return found


@contextlib.contextmanager
def _lent(objects: Sequence[InMemory], plan: Plan) -> Iterator[None]:
    """Objects whose cells are about to be computed; afterwards they are as they were."""
    with lent([module for each in objects for module in each.modules], plan.device):
        for each in objects:
            _prepare(each, plan)
        yield


def _prepare(own: InMemory, plan: Plan) -> None:
    """Have the cells of an object computed whatever is there, and said what is known of it when it was asked once."""
    cells = [each for each in plan.cells if each.cell.model == own.provided and each.action != "refused"]
    if cells and own.to_be_asked:
        _ask_once(cells[0], plan)
    for planned in cells:
        planned.cell = dataclasses.replace(planned.cell, model=own.told(planned.cell.task.horizon))
        planned.again = True
        look_up(plan, planned)


def _ask_once(planned: Planned, plan: Plan) -> None:
    """Have one frame of one clip predicted. What fails here will fail again, and be recorded then."""
    cell = planned.cell
    dataset = plan.datasets[cell.dataset.spec.name]
    short = dataclasses.replace(cell, task=cell.task.shortened(1), clips=1)
    with contextlib.suppress(CellFailed):
        Evaluation(short, dataset, {}, device=plan.device, batch_size=1)(rows_of(short, dataset))


def _warn(message: str) -> None:
    warnings.warn(message.strip(), VpbenchWarning, stacklevel=3)


def _ignored(_: str) -> None:
    pass
