"""What the contract asks of a metric: `vpbench.protocols.Metric` and `SetMetric`, rule by rule.

They are tried on a few clips of soft spots that drift, or of an installed dataset where the metric needs a truth of
it. So they can find faults and cannot prove that there are none: that a number is what its definition says needs a
reference that was written by somebody else.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..instances import configured
from .check import NotApplicable, Rule, Violation
from .metric_subject import MetricSubject, moving_patterns_of, sharing

if TYPE_CHECKING:
    from torch import Tensor

#: Standard deviations of noise, far enough apart for a metric that counts pixels or digits; and how often each.
LEVELS, SEEDS = (0.0, 0.1, 0.3, 0.9), 3

#: How far a value may move, of itself and of the usual size, when other clips are measured beside it: float32 sums.
_CLOSE = 1e-5

#: By how much of itself a score must exceed another to be better.
_ROUNDING = 1e-9

# --------------------------------------------------------------------------------------------------------- in the spec


def check_it_says_what_it_is(subject: MetricSubject) -> None:
    """A definition, a summary and a convention in one line each: a number without its definition is no result."""
    for what in ("definition", "summary", "convention", "unit"):
        said = getattr(subject.spec, what)
        if "\n" in said:
            raise Violation(f"its {what} is of several lines")
        if what != "unit" and not said.strip(" .-"):
            raise Violation(f"its {what} is {said!r}: say what is measured, in which range and order of averaging")


def check_why_not_is_a_reason(subject: MetricSubject) -> None:
    """why_not() gives text, empty where nothing is missing; score() works all the same where something is."""
    told = getattr(subject.metric, "why_not", None)
    if told is None:
        raise NotApplicable("it has no why_not()")
    reason = told()
    if not isinstance(reason, str) or "\n" in reason:
        raise Violation(f"why_not() gave {reason!r}, the contract is one line of text")
    if reason and subject.spec.window is None:
        means = {name: np.full((2, 3), 0.5) for name in subject.spec.statistics}
        _require_scores(subject.metric.score(means), (2, 3))


def check_light_entry_module(subject: MetricSubject) -> None:
    """The entry module of its plugin imports vpbench and nothing heavy, so that listing plugins stays quick."""
    from .entry_module import check_light_entry_module as hold

    hold(subject.provided)


# ----------------------------------------------------------------------------------------------------- what is measured


def check_statistics_are_as_declared(subject: MetricSubject) -> None:
    """statistics() gives each statistic of the spec and no other: floating point (B, Tt), finite or NaN."""
    if subject.spec.window is not None:
        raise NotApplicable("it compares sets and has no statistics")
    _require_form(subject)


def check_features_are_a_row_per_stretch(subject: MetricSubject) -> None:
    """features() gives a floating point row per stretch of the spec's window, (B, D), finite."""
    if subject.spec.window is None:
        raise NotApplicable("it compares clips one by one")
    _require_form(subject)


def check_the_same_batch_twice(subject: MetricSubject) -> None:
    """The same prediction measures the same, to the last bit, again and by another instance."""
    raw = subject.noisy(0.2)
    first = subject.measured(subject.reality.scored(raw))
    for who, metric in (("when measured again", subject.metric), ("by another instance", subject.make())):
        again = subject.measured(subject.reality.scored(raw), metric)
        for name, values in first.items():
            if not np.array_equal(values, again[name], equal_nan=True):
                raise Violation(f"{name} of the same prediction is {_apart(values, again[name])} {who}")


def check_clips_do_not_depend_on_their_company(subject: MetricSubject) -> None:
    """What is measured of a clip is the same in half a batch, alone, and in a batch of another order."""
    raw, reality = subject.noisy(0.2), subject.reality
    whole = subject.measured(reality.scored(raw))
    for how, rows in _companies(len(raw)).items():
        found = subject.measured(reality.rows(rows).scored(raw[rows]))
        for name, values in whole.items():
            if not _close(values[rows], found[name]):
                raise Violation(f"{name} of the same clips is {_apart(values[rows], found[name])} {how}")


def check_parts_make_the_whole(subject: MetricSubject) -> None:
    """Measured in two parts and put together, clips score as measured at once: a metric keeps nothing in between."""
    raw, reality = subject.noisy(0.2), subject.reality
    half = len(raw) // 2
    parts = [list(range(half)), list(range(half, len(raw)))]
    at_once = subject.measured(reality.scored(raw))
    for rows in parts:
        found = subject.measured(reality.rows(rows).scored(raw[rows]))
        if not all(_close(values[rows], found[name]) for name, values in at_once.items()):
            raise NotApplicable("what it measures of a clip depends on the batch, which is a rule of its own")
    whole = subject.score(reality.scored(raw), metric=subject.make())
    merged = subject.score(*(reality.rows(rows).scored(raw[rows]) for rows in parts), metric=subject.make())
    if not _close(np.array(whole), np.array(merged)):
        raise Violation(f"{len(raw)} clips score {whole:g} at once and {merged:g} in two parts")


def check_inputs_are_left_alone(subject: MetricSubject) -> None:
    """Nothing of what a metric is given is written to: others measure the same tensors."""
    given, before = (subject.reality.scored(subject.noisy(0.2)) for _ in range(2))
    subject.measured(given)
    for what, was in _tensors(before).items():
        now = _tensors(given)[what]
        if not np.array_equal(now, was, equal_nan=True):
            raise Violation(f"it changed {what}")


def check_it_uses_only_what_it_needs(subject: MetricSubject) -> None:
    """What is not among the needs of its spec may be missing, or anything, and changes nothing."""
    raw = subject.noisy(0.2)
    whole = subject.measured(subject.reality.scored(raw))
    for what, scored in _deprived(subject, raw).items():
        try:
            found = subject.measured(scored)
        except NotApplicable:
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            raise Violation(f"{what}, it fails ({said}): needs of its spec do not name that") from error
        for name, values in whole.items():
            if not _close(values, found[name]):
                raise Violation(f"{what}, {name} is {_apart(values, found[name])}: needs of its spec do not name that")


def check_frames_of_any_size(subject: MetricSubject) -> None:
    """Frames of min_size pixels are measured, and oblong ones, of one channel and of three; one clip is enough."""
    if any(need.startswith("truth:") for need in subject.spec.needs):
        raise NotApplicable("the truth it needs comes with frames of one size")
    subject.measured(subject.reality.scored(subject.noisy(0.2)))  # frames of the usual size, or why not even those
    least = subject.spec.min_size
    for shape in ((1, least, least), (1, least + 1, least + 4), (3, least + 4, least + 1)):
        reality = moving_patterns_of(1, subject.spec.window or 1, shape)
        scored = reality.scored(reality.target * 0.9)
        try:
            wrong = subject.form_of(subject.asked(scored), scored)
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            raise Violation(f"frames of {_times(shape)} fail ({said}), and min_size is {least}") from error
        if wrong:
            raise Violation(f"frames of {_times(shape)}: {wrong}")


# ---------------------------------------------------------------------------------------------------------- the score


def check_the_truth_is_the_best_prediction(subject: MetricSubject) -> None:
    """A perfect prediction has a finite score, the ideal one, and nothing that is tried has a better one."""
    target = subject.reality.target
    perfect = subject.score(subject.reality.scored(target))
    if not math.isfinite(perfect):
        _without_enough_stretches(subject, perfect)
        raise Violation(f"a perfect prediction scores {perfect}, and it must be a number")
    ideal = subject.spec.ideal
    if ideal is not None:
        if not math.isclose(perfect, ideal, rel_tol=_CLOSE, abs_tol=_CLOSE):
            raise Violation(f"a perfect prediction scores {perfect:g}, and the spec says that {ideal:g} is ideal")
        return
    for what, raw in _imperfect(subject).items():
        if _better(score := subject.score(subject.reality.scored(raw)), perfect, subject):
            raise Violation(
                f"{what} scores {score:g}, better than a perfect prediction with {perfect:g} {_order(subject)}"
            )


def check_more_noise_is_never_better(subject: MetricSubject) -> None:
    """More noise never has a better score on average, and much of it has a worse one than none."""
    if not subject.spec.ranks:
        raise NotApplicable("nothing is ranked by it")
    means = []
    for level in LEVELS:
        seeds = range(SEEDS if level else 1)
        scores = [subject.score(subject.reality.scored(subject.noisy(level, seed))) for seed in seeds]
        if not np.isfinite(scores).all():
            _without_enough_stretches(subject, scores[0])
            raise Violation(f"noise of {level:g} scores {scores}, and it must be a number")
        means.append(float(np.mean(scores)))
    said = ", ".join(f"{mean:.6g} with noise of {level:g}" for level, mean in zip(LEVELS, means, strict=True))
    for less, more in pairwise(means):
        if _better(more, less, subject):
            raise Violation(f"more noise is better: {said} {_order(subject)}")
    if not _better(means[0], means[-1], subject):
        raise Violation(f"much noise is as good as none: {said} {_order(subject)}")


def check_score_works_element_by_element(subject: MetricSubject) -> None:
    """score() gives as many numbers as it gets means, in arrays of any shape, each made of the means at its place."""
    means = subject.means()
    metric = subject.metric
    shape = next(iter(means.values())).shape
    whole = _require_scores(metric.score(_copies(means)), shape)
    for other in ((shape[0] * shape[1],), (1, *shape), (*shape, 1)):
        again = _require_scores(metric.score({name: v.reshape(other) for name, v in _copies(means).items()}), other)
        if not _close(whole.reshape(other), again):
            raise Violation(f"the same means score {_apart(whole.reshape(other), again)} in shape {other}")
    for place in np.ndindex(shape):
        alone = _require_scores(metric.score({name: values[place][None] for name, values in means.items()}), (1,))
        if not _close(whole[place], alone[0]):
            raise Violation(f"means that score {whole[place]:g} among others score {alone[0]:g} alone")


def check_score_of_nothing_is_nothing(subject: MetricSubject) -> None:
    """Where no clip has a value the mean is NaN, and so is the score: it never counts as good or as bad."""
    means = {name: values[:1] for name, values in subject.means().items()}
    _require_scores(subject.metric.score(_copies(means)), next(iter(means.values())).shape)
    missing = {name: np.full_like(values, np.nan) for name, values in means.items()}
    found = np.asarray(subject.metric.score(missing), dtype=np.float64)
    if not np.isnan(found).all():
        raise Violation(f"means that are NaN score {found.ravel()[0]:g}")


def check_score_needs_no_torch(subject: MetricSubject) -> None:
    """Importing the metric, making it and score() load no torch: boards of records do without."""
    means = {} if subject.spec.window is not None or subject.why_not else subject.means()
    found = subject.scored_elsewhere(means)
    if found["torch"]:
        raise Violation("importing its module, making it, or score() imports torch: import it inside statistics()")
    if means and not _close(np.asarray(subject.metric.score(means)), np.array(found["scores"], dtype=np.float64)):
        raise Violation("the same means have other scores in another process")


def check_shared_statistics_are_the_same(subject: MetricSubject) -> None:
    """Metrics of one distribution that name the same statistic give the same values: it is measured once."""
    others = sharing(subject)
    if not others:
        raise NotApplicable("no other metric of its distribution names its statistics")
    raw = subject.noisy(0.2)
    mine = subject.measured(subject.reality.scored(raw))
    for other in others:
        scored = subject.reality.scored(raw)
        theirs = MetricSubject.of(other, configured(other, {}), subject.registry).asked(scored)
        for name in set(subject.spec.statistics) & set(other.spec.statistics):
            values = theirs[name].double().cpu().numpy()
            if not _close(mine[name], values):
                raise Violation(f"{name} is {_apart(mine[name], values)} for {other.spec.name}, which names it too")


# ------------------------------------------------------------------------------------------------------ of whole sets


def check_the_order_of_stretches_does_not_matter(subject: MetricSubject) -> None:
    """distance() compares two sets: it does not pair the stretches of one with those of the other."""
    predicted, target = _sets(subject)
    here, turned = subject.metric.distance(predicted, target), subject.metric.distance(predicted[::-1].copy(), target)
    if not _close(np.array(here), np.array(turned)):
        raise Violation(f"the distance is {here:g}, and {turned:g} with the predicted stretches in another order")


def check_few_stretches_are_no_error(subject: MetricSubject) -> None:
    """distance() of too few stretches is NaN, of any number it is one number, and never an error."""
    predicted, target = _sets(subject)
    for n in (1, 2, len(predicted)):
        try:
            found = subject.metric.distance(predicted[:n], target[:n])
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            raise Violation(
                f"the distance of {n} stretches fails ({said}): it must be NaN where that is few"
            ) from error
        if not isinstance(found, int | float | np.floating) or math.isinf(found):
            raise Violation(f"the distance of {n} stretches is {found!r}, the contract is a finite number or NaN")


METRIC_RULES: tuple[Rule, ...] = (
    check_it_says_what_it_is,
    check_why_not_is_a_reason,
    check_statistics_are_as_declared,
    check_features_are_a_row_per_stretch,
    check_the_same_batch_twice,
    check_clips_do_not_depend_on_their_company,
    check_parts_make_the_whole,
    check_inputs_are_left_alone,
    check_it_uses_only_what_it_needs,
    check_frames_of_any_size,
    check_the_truth_is_the_best_prediction,
    check_more_noise_is_never_better,
    check_score_works_element_by_element,
    check_score_of_nothing_is_nothing,
    check_score_needs_no_torch,
    check_shared_statistics_are_the_same,
    check_the_order_of_stretches_does_not_matter,
    check_few_stretches_are_no_error,
    check_light_entry_module,
)


# --------------------------------------------------------------------------------------------------- what is predicted


def _imperfect(subject: MetricSubject) -> dict[str, Tensor]:
    """Predictions that are not the truth."""
    import torch

    target = subject.reality.target
    return {
        "black": torch.zeros_like(target),
        "grey": torch.full_like(target, 0.5),
        "the truth at four fifths of its brightness": target * 0.8,
        "the truth three pixels aside": target.roll(3, dims=-1),
        "the truth with noise": subject.noisy(0.1),
    }


def _deprived(subject: MetricSubject, raw: Tensor) -> dict[str, Any]:
    """The same prediction without what the metric does not say it needs."""
    needs, found = subject.spec.needs, {}

    def scored(**otherwise: Any) -> Any:
        return dataclasses.replace(subject.reality.scored(raw), **otherwise)

    if "raw" not in needs:
        found["without the raw prediction"] = scored(raw=None)
        found["with another raw prediction"] = scored(raw=raw + 1)
    if "context" not in needs:
        found["without the context"] = scored(context=None)
    truth = subject.reality.scored(raw).truth
    named = {name: values for name, values in truth.items() if f"truth:{name}" in needs}
    found["without other fields of the truth"] = scored(truth=named)
    return found


def _companies(clips: int) -> dict[str, list[int]]:
    """How clips may be put together, in words."""
    return {
        "in the first half of the batch": list(range(clips // 2)),
        "in the second half of the batch": list(range(clips // 2, clips)),
        "in the opposite order": list(range(clips))[::-1],
        "alone": [clips - 1],
    }


def _sets(subject: MetricSubject) -> tuple[np.ndarray, np.ndarray]:
    """Features of a noisy prediction and of the truth, float64 (N, D) each, as the core collects them."""
    if subject.spec.window is None:
        raise NotApplicable("it compares clips one by one")
    found = subject.measured(subject.reality.scored(subject.noisy(0.2)))
    predicted, target = (found[name].reshape(-1, found[name].shape[-1]) for name in ("predicted", "target"))
    return predicted, target


# -------------------------------------------------------------------------------------------------- looking and saying


def _require_form(subject: MetricSubject) -> None:
    scored = subject.reality.scored(subject.noisy(0.2))
    if wrong := subject.form_of(subject.asked(scored), scored):
        raise Violation(wrong)


def _require_scores(found: Any, shape: tuple[int, ...]) -> np.ndarray:
    if not isinstance(found, np.ndarray | np.floating) or found.dtype.kind != "f":
        raise Violation(
            f"score() gave a {type(found).__name__}, the contract is a numpy array of floating point numbers"
        )
    if found.shape != shape:
        raise Violation(f"score() gave shape {found.shape} for means of shape {shape}, the contract is the same")
    return np.asarray(found, dtype=np.float64)


def _without_enough_stretches(subject: MetricSubject, score: float) -> None:
    if subject.spec.window is not None and math.isnan(score):
        raise NotApplicable("the stretches that are tried are too few for a distance")


def _better(one: float, other: float, subject: MetricSubject) -> bool:
    """Whether a score is better than another, by more than rounding."""
    gain = one - other if subject.spec.higher_is_better else other - one
    return gain > _ROUNDING * max(abs(one), abs(other))


def _order(subject: MetricSubject) -> str:
    return f"({'higher' if subject.spec.higher_is_better else 'lower'} is better)"


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    there = np.abs(one[np.isfinite(one)])
    usual = float(there.mean()) if there.size else 0.0
    return np.allclose(one, other, rtol=_CLOSE, atol=_CLOSE * usual + 1e-12, equal_nan=True)


def _apart(one: np.ndarray, other: np.ndarray) -> str:
    """Where two arrays differ most: ``"0.25 and 0.5"``."""
    if one.shape != other.shape:
        return f"of shape {one.shape} and {other.shape}"
    place = np.nanargmax(np.abs(np.nan_to_num(one) - np.nan_to_num(other)))
    return f"{one.ravel()[place]:g} and {other.ravel()[place]:g}"


def _tensors(scored: Any) -> dict[str, np.ndarray]:
    """All that a metric is given, as arrays."""
    found = {name: getattr(scored, name).numpy() for name in ("predicted", "target", "raw")}
    found["the context"] = scored.context.frames.numpy()
    return found | {f"truth {name}": values for name, values in scored.truth.items()}


def _copies(means: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: values.copy() for name, values in means.items()}


def _times(shape: tuple[int, int, int]) -> str:
    return " x ".join(map(str, shape))
