"""What is wrong with a request by its names alone, before anything is opened: its turn may come after hours."""

from __future__ import annotations

from typing import Any

from ..registry import Provided, Registry
from ..settings import Settings
from .entrants import check_learners
from .metrics import named_metrics
from .request import Request


def check_names(request: Request, registry: Registry) -> None:
    """Raise UnknownName for a model, dataset or metric that is not installed, UsageError for a model to train that is
    not asked for, ConfigError for a setting that nobody takes."""
    models = {name: registry.model(name) for name in request.models}
    datasets = [registry.dataset(name) for name in request.datasets]
    named_metrics(request.metrics, registry)
    if request.train:
        check_learners(request.train, models)
    if not datasets:  # which one it is follows from weights
        return
    settings = Settings(request.settings)
    asked: list[Provided[Any]] = [*models.values(), *datasets]
    others: list[Provided[Any]] = [*registry.models().values(), *registry.metrics().values()]
    for each in asked:
        settings.of(each)
    for each in others:
        if each not in asked:
            settings.of(each, bare=False)
    settings.check_all_used()
