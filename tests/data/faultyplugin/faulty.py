"""One model, one dataset and one metric that are as they should be, but for what VPBENCH_TEST_FAULT names."""

import os

import vpbench

FAULT = os.environ.get("VPBENCH_TEST_FAULT", "")


def spoilt(kind, fields):
    """The fields of a spec, one of them replaced where the fault is "spec <kind> <field>=<python>"."""
    _, _, wanted = FAULT.partition(f"spec {kind} ")
    if wanted:
        field, _, value = wanted.partition("=")
        fields[field] = eval(value)
    return fields


@vpbench.hookimpl
def vpbench_models():
    fields = {"name": "plain", "factory": "faulty_parts:Model", "summary": "Copies", "version": "1"}
    yield vpbench.ModelSpec(**spoilt("model", fields))


@vpbench.hookimpl
def vpbench_datasets():
    fields = {"name": "plain-data", "factory": "faulty_parts:Data", "summary": "Black", "version": "1", "license": "-"}
    yield vpbench.DatasetSpec(**spoilt("dataset", fields))


@vpbench.hookimpl
def vpbench_metrics():
    fields = {"name": "plain-error", "factory": "faulty_parts:Error", "summary": "Error", "version": "1"}
    fields |= {"higher_is_better": False, "definition": "mean absolute difference", "statistics": ("absolute",)}
    yield vpbench.MetricSpec(**spoilt("metric", fields))
