"""Whether a model suits frames, and with which weights and config: the same for the cells of a run and for videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import ConfigError, WeightsError
from .instances import configured
from .registry import Provided
from .specs import ModelSpec, Weights
from .weights import WeightsFile


def shipped(spec: ModelSpec, *, frame_shape: Sequence[int] | None, context: int | None) -> list[Weights]:
    """The weights in a model's wheel that are for frames (C, H, W) and so many of them given; None: for any."""
    any_context = context is None or "any-context-length" in spec.capabilities
    return [
        each
        for each in spec.weights
        if (frame_shape is None or tuple(each.frame_shape) == tuple(frame_shape))
        and (any_context or each.context == context)
    ]


def small_sibling(spec: ModelSpec, models: Mapping[str, Provided[ModelSpec]]) -> str:
    """That a smaller form of a model, NAME-small, ships weights, in words; empty if there is none."""
    sibling = models.get(f"{spec.name}-small")
    if sibling is None or not sibling.spec.weights:
        return ""
    shapes = dict.fromkeys(shape_text(each.frame_shape) for each in sibling.spec.weights)
    return f"{sibling.spec.name} has weights, for frames {' and '.join(shapes)}"


def config_of(provided: Provided[ModelSpec], weights: WeightsFile | None, settings: Mapping[str, Any]) -> Any:
    """The config of a model: settings win over what its weights were trained with, and that over its defaults.

    Raises WeightsError where the installed model does not know the config of the weights, ConfigError for settings.
    """
    if weights is None:
        return configured(provided, settings)
    try:
        configured(provided, weights.config)
    except ConfigError as error:
        raise WeightsError(f"weights {weights.path} are of another version of {provided.spec.name}: {error}") from error
    return configured(provided, {**weights.config, **settings})


def config_to_start_with(provided: Provided[ModelSpec], start: WeightsFile | None, settings: Mapping[str, Any]) -> Any:
    """The config of a model that is trained: as `config_of` for weights of its own that it starts from."""
    own = start is not None and start.model == provided.spec.name  # of another model's is said elsewhere
    return config_of(provided, start if own else None, settings)


def unsuited(spec: ModelSpec, dataset: str, frame_shape: Sequence[int], source: str) -> str:
    """Why a model can do nothing with such frames, whatever its weights; empty if it can.

    dataset  that they are of; "": of none
    source   what they are of, for the message
    """
    if spec.datasets and dataset not in spec.datasets:
        return f"{spec.name} makes sense on {', '.join(spec.datasets)} only, not on {source}"
    if spec.channels is not None and spec.channels != frame_shape[0]:
        return f"{spec.name} takes {spec.channels} channels, {source} has {frame_shape[0]}"
    return ""


def misfit(spec: ModelSpec, weights: WeightsFile, frame_shape: Sequence[int], context: int, source: str) -> str:
    """Why weights are not for such frames and so many of them given; empty if they are."""
    if weights.frame_shape != tuple(frame_shape):
        what = f"frames {shape_text(weights.frame_shape)}"
        return f"weights {weights.path} are for {what}, {source} has {shape_text(frame_shape)}"
    if weights.context != context and "any-context-length" not in spec.capabilities:
        return f"weights {weights.path} are for context {weights.context}, asked for {context}"
    return ""


def shape_text(frame_shape: Sequence[int]) -> str:
    """``"1×64×64"``"""
    return "×".join(map(str, frame_shape))
