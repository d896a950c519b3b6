"""A plugin whose offers look well and do not work."""

import vpbench


@vpbench.hookimpl
def vpbench_models():
    yield vpbench.ModelSpec(
        name="broken-floor",
        factory="no_such_module:Floor",
        config="no_such_module:Config",
        summary="A floor that cannot be configured",
        version="1",
        role="floor",
    )


@vpbench.hookimpl
def vpbench_metrics():
    yield vpbench.MetricSpec(
        name="broken-metric",
        factory="no_such_module:Metric",
        summary="A metric that cannot be made",
        version="1",
        higher_is_better=True,
        statistics=("x",),
        definition="-",
    )
