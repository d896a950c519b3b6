"""The three hooks. A plugin is a module, named by an entry point of group ``vpbench``, that implements some of them.

The module must import nothing but `vpbench`: everything heavy is named by a string and imported when used.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from .specs import DatasetSpec, MetricSpec, ModelSpec

hookspec = pluggy.HookspecMarker("vpbench")
hookimpl = pluggy.HookimplMarker("vpbench")


@hookspec
def vpbench_models() -> Iterable[ModelSpec]:  # type: ignore[empty-body]
    """Yield the models this plugin provides.

    Called once per command that needs models::

        @vpbench.hookimpl
        def vpbench_models():
            yield vpbench.ModelSpec(name="last-frame", factory="my_package.model:LastFrame",
                                    summary="Repeat the last context frame", version="1")
    """


@hookspec
def vpbench_datasets() -> Iterable[DatasetSpec]:  # type: ignore[empty-body]
    """Yield the datasets this plugin provides.

    Called once per command that needs datasets::

        @vpbench.hookimpl
        def vpbench_datasets():
            yield vpbench.DatasetSpec(name="bouncing-ball", factory="my_package.data:BouncingBall",
                                      summary="One ball in a box", version="1", license="Apache-2.0")
    """


@hookspec
def vpbench_metrics() -> Iterable[MetricSpec]:  # type: ignore[empty-body]
    """Yield the metrics this plugin provides.

    Called once per command that needs metrics::

        @vpbench.hookimpl
        def vpbench_metrics():
            yield vpbench.MetricSpec(name="mse", factory="my_package.metrics:MSE", summary="Mean squared error",
                                     version="1", higher_is_better=False, statistics=("squared_error",),
                                     definition="squared difference, mean over pixels, frames and clips; range [0, 1]")
    """
