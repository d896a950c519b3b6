"""A plugin as it should be. Its factories do not exist, which only the one who uses them finds out."""

import vpbench


@vpbench.hookimpl
def vpbench_models():
    yield vpbench.ModelSpec(name="good-model", factory="no_such_module:Model", summary="A model", version="1")


@vpbench.hookimpl
def vpbench_datasets():
    yield vpbench.DatasetSpec(
        name="good-dataset", factory="no_such_module:Dataset", summary="A dataset", version="2", license="CC0"
    )


@vpbench.hookimpl
def vpbench_metrics():
    yield vpbench.MetricSpec(
        name="good-metric",
        factory="no_such_module:Metric",
        summary="A metric",
        version="3",
        higher_is_better=True,
        definition="always 1",
        statistics=("one",),
    )


def __getattr__(name):
    raise AssertionError(f"{name}: attributes of an entry module may be costly, so nobody but its hooks is looked at")


def __dir__():
    return [*globals(), "costly"]
