"""What is to be checked: from a name, a spec or a class to a subject, and to the checks there are for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from .. import registry as registries
from ..errors import UsageError
from ..registry import Provided, Registry, spec_of_class
from ..specs import DatasetSpec, MetricSpec, ModelSpec, Spec
from .check import Check, Rule, bound

if TYPE_CHECKING:
    from .dataset_subject import DatasetSubject
    from .metric_subject import MetricSubject
    from .model_subject import FrameShape, ModelSubject

    Subject: TypeAlias = ModelSubject | DatasetSubject | MetricSubject

Kind = Literal["model", "dataset", "metric"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_SPECS: Mapping[Kind, type[Spec]] = {"model": ModelSpec, "dataset": DatasetSpec, "metric": MetricSpec}


def installed(
    kind: Kind,
    name: str,
    settings: Sequence[str] = (),
    *,
    dataset: str | None = None,
    frame_shape: FrameShape | None = None,
    registry: Registry | None = None,
) -> Subject:
    """What a plugin offers under a name, to be checked.

    kind         "model", "dataset" or "metric"
    name         as `vpbench plugins` lists it; a model may be ``"path/to/file.py:Class"``
    settings     as of `--set`: ``("key=value",)``
    dataset      of a model: the dataset it is tried on, by name; default: patterns that move, made for the purpose, or
                 the first of those that its spec is bound to
    frame_shape  of a model: (channels, height, width) of those patterns
    registry     where to look; default: all that is installed

    Raises UnknownName, UsageError, ConfigError, PluginError or DataError, each with one line.
    """
    if kind not in KINDS:
        raise UsageError(f"kind {kind!r}: one of {', '.join(KINDS)}")
    there = registry or registries.load()
    ways: Mapping[Kind, Callable[[str], Provided[Any]]]
    ways = {"model": there.model, "dataset": there.dataset, "metric": there.metric}
    return _subject(ways[kind](name), settings, dataset, frame_shape, there)


def given(
    thing: Any,
    settings: Sequence[str] = (),
    *,
    dataset: str | None = None,
    frame_shape: FrameShape | None = None,
    registry: Registry | None = None,
) -> Subject:
    """What is not installed, to be checked: a class, or a spec. The rest as of `installed`.

    thing  a class with ``spec = vpbench.ModelSpec(...)``, `DatasetSpec` or `MetricSpec`, whose factory is taken to be
           the class, and whose config is its nested class ``Config``, if it has one (a model needs no spec, see
           ``file.py:Class`` in `vpbench run --help`); or such a spec
    """
    return _subject(_provided(thing), settings, dataset, frame_shape, registry)


def checks_for(
    subject: Subject, expected_failures: Mapping[str, str] | None = None, *, overfit: bool = False
) -> list[Check]:
    """The checks of a subject, each a callable for one test::

        @pytest.mark.parametrize("check", checks_for(installed("model", "my-model")), ids=str)
        def test_it_keeps_the_contract(check):
            check()

    expected_failures  name of a check -> why it fails; it then must fail, and a reason is needed
    overfit            of a model that learns weights: also train it on four clips, which takes a minute

    Raises UsageError for an expectation of no such check or without a reason.
    """
    return bound(rules_for(subject, overfit=overfit), subject, expected_failures or {})


def rules_for(subject: Subject, *, overfit: bool = False) -> Sequence[Rule]:
    """The rules for a model, a dataset or a metric."""
    kind = kind_of(subject.provided)
    if overfit and kind != "model":
        raise UsageError(f"{subject.provided.spec.name} is a {kind}: only a model can be trained on four clips")
    if kind == "model":
        from .model_checks import MODEL_RULES
        from .overfitting import check_overfits_four_clips

        return (*MODEL_RULES, check_overfits_four_clips) if overfit else MODEL_RULES
    if kind == "dataset":
        from .dataset_checks import DATASET_RULES

        return DATASET_RULES
    from .metric_checks import METRIC_RULES

    return METRIC_RULES


def kind_of(provided: Provided[Any]) -> Kind:
    """ "model", "dataset" or "metric"."""
    return next(kind for kind, spec in _SPECS.items() if isinstance(provided.spec, spec))


def _subject(
    provided: Provided[Any],
    settings: Sequence[str],
    dataset: str | None,
    frame_shape: FrameShape | None,
    registry: Registry | None,
) -> Subject:
    kind = kind_of(provided)
    if kind == "model":
        from .model_subject import ModelSubject

        if bound_to := provided.spec.datasets:
            if frame_shape is not None or dataset not in (None, *bound_to):
                raise UsageError(f"{provided.spec.name} is for {' and '.join(bound_to)} only: try it on that")
            dataset = dataset or bound_to[0]
        data = (registry or registries.load()).dataset(dataset) if dataset else None
        return ModelSubject.of(provided, settings, dataset=data, frame_shape=frame_shape)
    if dataset is not None or frame_shape is not None:
        raise UsageError(f"{provided.spec.name} is a {kind}: only a model is tried on a dataset or frames of a shape")
    from ..instances import configured
    from ..settings import Settings

    lines = Settings(settings)
    config = configured(provided, lines.of(provided))
    lines.check_all_used()
    if kind == "dataset":
        from .dataset_subject import DatasetSubject

        return DatasetSubject.of(provided, config)
    from .metric_subject import MetricSubject

    return MetricSubject.of(provided, config, registry)


def _provided(thing: Any) -> Provided[Any]:
    if isinstance(thing, Provided):
        return thing
    if isinstance(thing, type):
        return Provided(_spec_of(thing), thing.__module__, "not installed", thing.__qualname__)
    if isinstance(thing, ModelSpec | DatasetSpec | MetricSpec):
        return Provided(thing, "a spec", "not installed", thing.name)
    raise UsageError(f"to be checked is a class or a spec of a model, dataset or metric, got {thing!r:.80}")


def _spec_of(made: type[Any]) -> Spec:
    carried = getattr(made, "spec", None)
    if isinstance(carried, DatasetSpec | MetricSpec):
        config = f"{made.__module__}:{made.__qualname__}.Config" if hasattr(made, "Config") else carried.config
        return dataclasses.replace(carried, factory=made, config=config)
    if not hasattr(made, "predict") and not isinstance(carried, ModelSpec):
        raise UsageError(f"{made.__name__} has neither spec = vpbench.DatasetSpec(...) or MetricSpec(...), nor predict")
    try:
        found = spec_of_class(made, version="0", file=f"module {made.__module__}")
    except (TypeError, ValueError) as error:
        raise UsageError(f"{made.__name__}: {error}") from error
    return dataclasses.replace(found, version=carried.version) if carried else found
