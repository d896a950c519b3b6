import vpbench


@vpbench.hookimpl
def vpbench_models():
    yield vpbench.ModelSpec(name="before-the-fall", factory="no_such_module:Model", summary="Kept", version="1")
    raise RuntimeError("the second\nmodel is gone")


@vpbench.hookimpl
def vpbench_datasets():
    yield vpbench.DatasetSpec(
        name="beside-the-fall", factory="no_such_module:Dataset", summary="Kept", version="1", license="CC0"
    )
