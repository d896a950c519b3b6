"""What models, datasets and metrics look like from the outside. Typing only: nothing here imports torch.

Shapes: B clips, T frames, Tc context frames, Tt target frames, C channels, H height, W width.
Times are in frame periods: frame k of a regular clip is at time k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Split = str  # "train" | "val" | "test"


# ------------------------------------------------------------------------------------------------- what flows through


@dataclass(frozen=True)
class Context:
    """All a model is ever told about a clip."""

    frames: Tensor  #: float32 (B, Tc, C, H, W) in [0, 1], on the model's device; black where not observed
    times: Tensor  #: float64 (B, Tc) on the CPU, strictly increasing
    seeds: Tensor  #: int64 (B,) on the CPU: the only source of randomness, so batches and shards do not matter
    observed: Tensor | None = None  #: bool (B, Tc) on the CPU, False where a frame is missing; None: all are there


@dataclass(frozen=True)
class Clips:
    """Clips as a dataset gives them; numpy arrays or torch tensors."""

    frames: np.ndarray | Tensor  #: (B, T, C, H, W): uint8 in 0..255, or float32 in [0, 1]
    times: np.ndarray  #: float64 (B, T), those asked for
    ids: Sequence[int]  #: B ids, those asked for
    truth: Mapping[str, np.ndarray] = field(default_factory=dict)  #: per TruthField: (B, ...) or (B, T, ...)
    shown: np.ndarray | Tensor | None = None  #: like frames: what a model is given of these (noisy ones); None: frames
    observed: np.ndarray | None = None  #: bool (B, T), False where a model is given no frame; None: all are there


@dataclass(frozen=True)
class DatasetInfo:
    """Facts about a dataset that are known without reading a frame."""

    frame_shape: tuple[int, int, int]  #: (C, H, W)
    max_length: int | None  #: frames in the longest clip; None: any length
    fractional: bool = False  #: frames exist between the integer times
    irregular: bool = False  #: frames exist at times of their own only, which `Dataset.times` tells
    frame_period_s: float | None = None  #: seconds; None: the clips are not tied to physical time
    value_range: tuple[float, float] = (0.0, 1.0)  #: what 0 and 1 stand for in value_unit
    value_unit: str = "intensity"

    def __post_init__(self) -> None:
        shape, longest = self.frame_shape, self.max_length
        if not isinstance(shape, tuple) or len(shape) != 3 or not all(type(n) is int and n > 0 for n in shape):
            raise ValueError(f"frame_shape is {shape!r}, the contract is (channels, height, width), whole numbers")
        if longest is not None and (type(longest) is not int or longest < 0):
            raise ValueError(f"max_length is {longest!r}, the contract is a number of frames or None")

    @property
    def needs(self) -> frozenset[str]:
        """Capabilities that a model must have for such frames, whatever the task."""
        return frozenset({"irregular-context", "fractional"}) if self.irregular else frozenset()


@dataclass(frozen=True)
class TrainTask:
    """What one training update asks for; `Trainable.sampling` may change it as training goes on."""

    context: int  #: number of context frames
    horizon: int | None = None  #: targets: steps first..horizon; 0: none after the context; None: as the command says
    first: int = 1  #: step 0 is the last context frame, 1 - context the first one
    targets: int | None = None  #: how many per clip, drawn without replacement; None: all steps, in order
    emphasis: float = 0.0  #: step k is drawn with weight max(|k|, 1)^-emphasis; 0: all alike


@dataclass(frozen=True)
class TrainBatch:
    """Clips to learn from, split into what is given and what is to be predicted."""

    context: Context
    target_times: Tensor  #: float64 (B, Tt) on the CPU, increasing
    target: Tensor  #: float32 (B, Tt, C, H, W) in [0, 1], on the model's device
    update: int = 0  #: number of the update, from 0; for schedules that count updates and not shares of the way


@dataclass(frozen=True)
class Scored:
    """A batch of predictions and what they are held against, all on one device."""

    predicted: Tensor  #: float32 (B, Tt, C, H, W), clamped to [0, 1]
    target: Tensor  #: float32 (B, Tt, C, H, W) in [0, 1]
    raw: Tensor | None = None  #: the prediction before clamping, for metrics that need it
    context: Context | None = None
    truth: Mapping[str, np.ndarray] = field(default_factory=dict)  #: of the target rows
    samples: Tensor | None = None  #: float32 (n, B, Tt, C, H, W), clamped


# ------------------------------------------------------------------------------------------------------------- models


class Model(Protocol):
    """Made by ``factory(config, *, frame_shape, context_length)``. A `torch.nn.Module` is moved to the device and put
    into eval mode by the harness; anything else finds the device at ``context.frames.device``."""

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """Frames at the target times. Never sees the targets.

        context       see Context; inputs must be left unchanged
        target_times  float64 (B, Tt) on the CPU, strictly increasing per clip; on the frame grid and after the last
                      context frame unless the spec's capabilities say more
        returns       (B, Tt, C, H, W) floating point, on the device of context.frames, nominally in [0, 1]; in memory
                      of its own, which the next call leaves alone, and without a graph

        What is predicted of a clip follows from what is given of it: not from the clips beside it in the batch, nor
        from earlier calls. `vpbench check` holds a model to this, and to what its spec says.

        Raise `vpbench.errors.ModelFailed` where there is no answer: it becomes a failed cell with that reason.
        """
        ...

    # Optional: stats() -> Mapping[str, float], what the last prediction took ("nfe": calls of the vector field).


@runtime_checkable
class Sampler(Protocol):
    """A model that can give several futures (capability "samples"). Reserved: no command asks for it yet."""

    def sample(self, context: Context, target_times: Tensor, *, n: int) -> Tensor:
        """(n, B, Tt, C, H, W); randomness from context.seeds alone."""
        ...


@runtime_checkable
class Swappable(Protocol):
    """A model that separates what moves from how it looks (capability "swap"), for `--task swap`."""

    def swap(self, dynamics: Context, appearance: Context, target_times: Tensor) -> Tensor:
        """(B, Tt, C, H, W): the motion of `dynamics` with the looks of `appearance`, at times of `dynamics`."""
        ...


@runtime_checkable
class Coded(Protocol):
    """A model whose codes can be looked at, for `vpbench probe`: how much of the truth lies in each, linearly."""

    def codes(self, context: Context, target_times: Tensor) -> Mapping[str, Tensor]:
        """What it has encoded, by name: floating point (B, K) of a clip, or (B, Tt, K) at the target times.

        "appearance" and "dynamics" are the usual names. context and target_times are as of `Model.predict`.
        """
        ...


@runtime_checkable
class Oracle(Protocol):
    """A ceiling that knows how the data are made: it gets the truth of the context frames, never of the targets."""

    def predict_knowing(self, context: Context, target_times: Tensor, *, truth: Mapping[str, np.ndarray]) -> Tensor:
        """As `Model.predict`; truth holds the dataset's fields, those per frame cut to the context rows."""
        ...


@runtime_checkable
class Fittable(Protocol):
    """A model with ``learns="statistics"``: one pass over training clips, no gradients, no weights file."""

    def fit(self, clips: Iterable[Clips]) -> None:
        """Called once before evaluation with a fixed selection of training clips, the same whatever the horizon."""
        ...


@runtime_checkable
class Trainable(Protocol):
    """A `torch.nn.Module` with ``learns="weights"``; the loop is the harness's (`vpbench.training`).

    What changes in training belongs in parameters, buffers and optimisers: those are saved, and so resume exactly.

    Optional beside it:
    ``optimisers() -> Mapping[str, torch.optim.Optimizer]``: one per part (a GAN has several), each stepped on the loss
    of its part; absent: AdamW. The harness warms their learning rates up and lets them fall along a cosine;
    ``sampling(progress) -> TrainTask``: what to draw now; absent: context and horizon of the command, all steps.
    """

    def loss(self, batch: TrainBatch, *, progress: float, part: str = "main") -> Mapping[str, Tensor]:
        """{"loss": scalar to minimise}, and any other scalars worth having at hand.

        progress  0 at the first update, towards 1 at the last
        part      which optimiser is about to step
        """
        ...


# ----------------------------------------------------------------------------------------------------------- datasets


class Dataset(Protocol):
    """Made by ``factory(config)``, cheap, never downloads: a missing file is a `DataError` that says how to get it.

    Clip i of a split is a function of (split, i) only; a longer clip extends a shorter one; splits share no clip.
    """

    info: DatasetInfo

    def ids(self, split: Split, *, n_frames: int) -> Sequence[int]:
        """Ids of the clips of a split that have at least n_frames frames, in evaluation order."""
        ...

    def clips(self, split: Split, ids: Sequence[int], times: np.ndarray) -> Clips:
        """Frames of these clips at these times, float64 (B, T), in frame periods from the start of each clip."""
        ...

    def fingerprint(self, split: Split) -> str:
        """Hash of all that decides the frames of a split, whatever number of clips or frames is asked for."""
        ...

    # Where info.irregular, also: times(split, ids, *, n_frames) -> float64 (B, n_frames), the times of the first frames
    # of each clip, strictly increasing, in frame periods from its start. A task is then asked at these times.

    # Optional: left_out(split, *, n_frames) -> str, what of its files is not used and why, with numbers; "" if nothing.

    # Optional: swapped(split, dynamics, appearance, times) -> Clips, for `--task swap`: ids (B,) of two clips each and
    # times (B, T) of the first; frames and truth of a clip that moves as the first and looks like the second; its ids
    # are those of the first. swapped(split, ids, ids, times) is clips(split, ids, times).

    # Optional: sources(split) -> {collection: [(first, last + 1), ...]}, what the clips of a split are made of: items
    # of collections that other datasets may be made of too ("mnist": the digits, by number). Weights keep that of
    # their training, and a model that has seen items of a test split is refused there.


# ------------------------------------------------------------------------------------------------------------ metrics


class Metric(Protocol):
    """Made by ``factory(config)``. The module must be importable without torch: boards call `score` alone."""

    def statistics(self, scored: Scored) -> Mapping[str, Tensor]:
        """Per clip and step: {name: (B, Tt)}, names as in the spec; NaN where not applicable. The core averages."""
        ...

    def score(self, means: Mapping[str, np.ndarray]) -> np.ndarray:
        """The score of mean statistics: element-wise numpy over arrays of any one shape (steps, bootstrap draws)."""
        ...

    # Optional: why_not() -> str, why it cannot be computed as it is configured ("" if it can): a weights file that it
    # needs is not given, say. It is then "not computed", with this reason, and the others go on. Making it, and
    # score(), must work all the same.


class Score(NamedTuple):
    """A score with its interval."""

    value: float
    low: float
    high: float


@runtime_checkable
class SetMetric(Protocol):
    """A distance between two sets (Fréchet type), for a spec with a `window`; made by ``factory(config)``.

    The targets of a clip are cut into stretches of `window` frames, one after another, what is left over is not used.
    Features of all stretches of all clips are collected, and their distance is taken once.
    """

    def features(self, frames: Tensor) -> Tensor:
        """float32 (B, window, C, H, W) in [0, 1] to (B, D): of predictions, and of the truth."""
        ...

    def distance(self, predicted: np.ndarray, target: np.ndarray) -> float:
        """float64 (N, D) and (N, D) to a distance; NaN where N is too small for one."""
        ...

    # Optional: why_not() -> str, as of Metric.


Report = Callable[[int, "int | None"], None]
Config = Any
