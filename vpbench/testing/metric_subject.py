"""A metric as the checks look at it: made, with predictions of several kinds and what they are held against."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import registry
from ..errors import DataError, PluginError, VpbenchError
from ..instances import Made, blaming, configured, ids_of, open_dataset
from ..protocols import Context, Scored, SetMetric
from ..registry import Provided, Registry
from ..specs import DatasetSpec, MetricSpec
from . import moving_patterns
from .another_process import in_another_process, made_from, recipe
from .check import NotApplicable

if TYPE_CHECKING:
    from torch import Tensor

CLIPS, CONTEXT, STEPS = 4, 2, 3
SIDE = 32  #: pixels, of clips that no installed dataset has to give
STRETCHES = 2  #: per clip, for distances between sets
SET_CLIPS = 8


class Reality(NamedTuple):
    """What predictions are held against."""

    target: Tensor  #: float32 (B, Tt, C, H, W) in [0, 1]
    context: Context
    truth: Mapping[str, np.ndarray]

    def scored(self, raw: Tensor) -> Scored:
        """A prediction beside it, as the core gives them to a metric; all in memory of its own."""
        return Scored(
            predicted=raw.clamp(0, 1),
            target=self.target.clone(),
            raw=raw.clone(),
            context=dataclasses.replace(self.context, frames=self.context.frames.clone()),
            truth={name: values.copy() for name, values in self.truth.items()},
        )

    def rows(self, rows: Sequence[int]) -> Reality:
        """Some of the clips."""
        chosen = list(rows)
        context = self.context
        observed = None if context.observed is None else context.observed[chosen]
        return Reality(
            target=self.target[chosen],
            context=Context(context.frames[chosen], context.times[chosen], context.seeds[chosen], observed),
            truth={name: values[chosen] for name, values in self.truth.items()},
        )


@dataclass(frozen=True)
class MetricSubject:
    """A metric that is held against the rules, with one config."""

    provided: Provided[MetricSpec]
    config: Any
    metric: Any  #: for all rules that do not ask for one of their own
    installed: Registry | None = field(default=None, repr=False)  #: where it is one of several; None: what is installed

    @classmethod
    def of(cls, provided: Provided[MetricSpec], config: Any, installed: Registry | None = None) -> MetricSubject:
        """Make it. Raises PluginError where that fails.

        installed  where to look for datasets that have the truth it needs, and for metrics that share its statistics
        """
        return cls(provided, config, _made(provided, config), installed)

    @property
    def spec(self) -> MetricSpec:
        return self.provided.spec

    def make(self) -> Any:
        """One that nobody has asked anything yet."""
        return _made(self.provided, self.config)

    @cached_property
    def registry(self) -> Registry:
        return self.installed or registry.load()

    @cached_property
    def why_not(self) -> str:
        try:
            return Made(self.provided, self.metric, self.config).why_not
        except PluginError:
            return ""  # that it gives no text is a rule of its own

    # ---------------------------------------------------------------------------------------------------- what is there

    @cached_property
    def reality(self) -> Reality:
        """A few clips. NotApplicable where the metric cannot be computed: by its own word, or as no clips will do."""
        if self.why_not:
            raise NotApplicable(self.why_not)
        if "samples" in self.spec.needs:
            raise NotApplicable("it needs samples, which no command asks a model for yet")
        fields = {need.removeprefix("truth:") for need in self.spec.needs if need.startswith("truth:")}
        if fields:
            return self._with_truth(fields)
        side = max(SIDE, self.spec.min_size)
        return moving_patterns_of(self.clips_tried, self.steps_tried, (1, side, side))

    @property
    def clips_tried(self) -> int:
        return SET_CLIPS if self.spec.window else CLIPS

    @property
    def steps_tried(self) -> int:
        return STRETCHES * self.spec.window if self.spec.window else STEPS

    def _with_truth(self, fields: set[str]) -> Reality:
        """Clips of the first installed dataset that has these fields and can be opened."""
        why: list[str] = []
        for name, provided in self.registry.datasets().items():
            if fields <= {each.name for each in provided.spec.truth}:
                try:
                    return _read(provided, {}, self.clips_tried, self.steps_tried)
                except VpbenchError as error:  # its files are not here, say
                    why.append(f"{name}: {error}")
        reason = "; ".join(why) or "no installed dataset has it"
        raise NotApplicable(f"it needs the truth of {', '.join(sorted(fields))} ({reason})")

    def noisy(self, level: float, seed: int = 0) -> Tensor:
        """The target and Gaussian noise of this standard deviation: not clamped."""
        import torch

        target = self.reality.target
        return target + level * torch.randn(target.shape, generator=torch.Generator().manual_seed(seed))

    # ------------------------------------------------------------------------------------------------- what is measured

    def measured(self, scored: Scored, metric: Any = None) -> dict[str, np.ndarray]:
        """Statistics by name, float64 (B, Tt), or the features of the prediction and of the truth, (B, stretches, D).

        NotApplicable where they are not of the contract's form, which is a rule of its own.
        """
        given = self.asked(scored, metric)
        if wrong := self.form_of(given, scored):
            raise NotApplicable(wrong)
        return {name: values.detach().double().cpu().numpy() for name, values in given.items()}

    def asked(self, scored: Scored, metric: Any = None) -> Any:
        """What the metric answers, as it is; features stacked over the stretches."""
        import torch

        metric = metric or self.metric
        with torch.inference_mode():
            if self.spec.window is None:
                return metric.statistics(scored)
            window = self.spec.window
            starts = range(0, scored.target.shape[1] - window + 1, window)
            frames = {"predicted": scored.predicted, "target": scored.target}
            return {
                name: torch.stack([metric.features(given[:, start : start + window]) for start in starts], dim=1)
                for name, given in frames.items()
            }

    def form_of(self, given: Any, scored: Scored) -> str:
        """What is wrong with the form of an answer, empty if nothing is."""
        import torch

        if not isinstance(given, Mapping):
            return f"it gave a {type(given).__name__}, the contract is a mapping of names to tensors"
        shape = tuple(scored.target.shape[:2])
        if self.spec.window is None and set(given) != set(self.spec.statistics):
            return f"it gave {_listed(given)}, the spec names {_listed(self.spec.statistics)}"
        for name, values in given.items():
            if not isinstance(values, torch.Tensor) or not values.is_floating_point():
                what = values.dtype if isinstance(values, torch.Tensor) else type(values).__name__
                return f"it gave {name} as {what}, the contract is a tensor of floating point numbers"
            if self.spec.window is None and tuple(values.shape) != shape:
                return f"it gave {name} of shape {tuple(values.shape)}, the contract is {shape}"
            if self.spec.window is not None and (values.ndim != 3 or len(values) != shape[0]):
                stretch = (len(values), *values.shape[2:])
                return f"it gave features of shape {stretch}, the contract is ({shape[0]}, D)"
            if values.isinf().any():
                return f"it gave an infinite {name}"
            if self.spec.window is not None and values.isnan().any():
                return "it gave features that are NaN"
        return ""

    def score(self, *parts: Scored, metric: Any = None) -> float:
        """The score of clips, measured in these parts and put together by the core."""
        from ..scoring import Partial, merge, summarise

        metric = metric or self.metric
        made = Made(self.provided, metric, self.config)
        partials, done = [], 0
        for scored in parts:
            found = self.measured(scored, metric)
            clips, steps = scored.target.shape[:2]
            ids = tuple(range(done, done := done + clips))
            if self.spec.window is None:
                statistics = {made.statistics[name]: values for name, values in found.items()}
                partials.append(Partial(ids=ids, steps=steps, statistics=statistics))
            else:
                features = np.stack([found["predicted"], found["target"]], axis=2).astype(np.float32)
                partials.append(Partial(ids=ids, steps=steps, statistics={}, features={made.key: features}))
        scores, _ = summarise(merge(partials, range(done)), {self.spec.name: made}, steps)
        return float(scores[self.spec.name]["value"])

    def means(self) -> dict[str, np.ndarray]:
        """Means as `Metric.score` gets them, {name: (B, Tt)}: those of noisy predictions. NotApplicable for sets."""
        if self.spec.window is not None:
            raise NotApplicable("it compares sets and has no score() of means")
        return self.measured(self.reality.scored(self.noisy(0.2)))

    def scored_elsewhere(self, means: Mapping[str, np.ndarray]) -> Mapping[str, Any]:
        """What score() gives in a process that has no torch until somebody imports it, see `tell`."""
        request = {
            "made": recipe(self.spec, self.config),
            "means": {name: values.tolist() for name, values in means.items()},
        }
        found: Mapping[str, Any] = in_another_process(f"{__name__}:tell", request)
        return found


def tell(request: Mapping[str, Any]) -> dict[str, Any]:
    """Make a metric and score means; tell the scores and whether torch came with it. Called in another process."""
    metric = made_from(request["made"])
    means = {name: np.array(values, dtype=np.float64) for name, values in request["means"].items()}
    scores = np.asarray(metric.score(means)).tolist() if means else None
    return {"scores": scores, "torch": "torch" in sys.modules}


def moving_patterns_of(clips: int, steps: int, frame_shape: tuple[int, int, int]) -> Reality:
    """Clips of patterns that move, made for the purpose: something to see in every frame."""
    channels, height, width = frame_shape
    settings = {"channels": channels, "height": height, "width": width}
    return _read(moving_patterns.PROVIDED, settings, clips, steps)


def _read(provided: Provided[DatasetSpec], settings: Mapping[str, Any], clips: int, steps: int) -> Reality:
    """The first test clips of a dataset. Raises VpbenchError where it has none, or they cannot be read."""
    import torch

    from ..batches import read_batch

    dataset = open_dataset(provided, configured(provided, settings))
    ids = list(ids_of(provided, dataset, "test", CONTEXT + steps)[:clips])
    if not ids:
        raise DataError(f"{provided.spec.name} has no test clip of {CONTEXT + steps} frames")
    at = torch.arange(1, steps + 1).expand(len(ids), -1)
    per_frame = frozenset(each.name for each in provided.spec.truth if each.per == "frame")
    with blaming(provided, "clips()"):
        batch = read_batch(dataset, "test", ids, CONTEXT, at, torch.device("cpu"), 0, per_frame)
    return Reality(batch.target, batch.context, batch.target_truth)


def sharing(subject: MetricSubject) -> list[Provided[MetricSpec]]:
    """Other metrics of the same distribution that name one of its statistics."""
    names = set(subject.spec.statistics)
    return [
        other
        for other in subject.registry.metrics().values()
        if other.distribution == subject.provided.distribution
        and other.spec.name != subject.spec.name
        and names & set(other.spec.statistics)
    ]


def _made(provided: Provided[MetricSpec], config: Any) -> Any:
    with blaming(provided, "making"):
        metric = provided.spec.load()(config)
        if provided.spec.window is not None and not isinstance(metric, SetMetric):
            raise PluginError("it has a window, so the contract is features() and distance() (protocol SetMetric)")
        return metric


def _listed(names: Any) -> str:
    return ", ".join(sorted(map(str, names))) or "nothing"
