"""What a run is asked for: `Request`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from .. import device as devices
from ..errors import UsageError
from ..in_time import Blend
from ..tasks import Task, fixed_horizon, read_task
from ..trained import TrainRequest

Rerun = Literal["missing", "failed", "all"]
SEED_LIMIT = 2**63  # what torch takes
REFUSE = "refuse"  # what a model cannot be asked for in time


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
