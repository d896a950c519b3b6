"""Entry module of the fake distribution."""

import vpbench


@vpbench.hookimpl
def vpbench_datasets():
    yield vpbench.DatasetSpec(
        name="squares",
        factory="training_fake_data:Squares",
        config="training_fake_data:Config",
        summary="A square that moves to the right; asking for the test split is an error",
        version="1",
        license="CC0",
    )
    yield vpbench.DatasetSpec(
        name="not-importable",
        factory="no_such_module:Data",
        summary="Its module is missing",
        version="1",
        license="CC0",
    )


@vpbench.hookimpl
def vpbench_models():
    yield vpbench.ModelSpec(
        name="nothing-to-learn", factory="no_such_module:Model", summary="A model without weights", version="1"
    )
    yield vpbench.ModelSpec(
        name="for-colour",
        factory="no_such_module:Model",
        summary="Takes three channels",
        version="1",
        learns="weights",
        channels=3,
    )
