import vpbench


@vpbench.hookimpl
def vpbench_models():
    yield {"name": "a-dict"}
    yield vpbench.DatasetSpec(name="a-dataset", factory="m:D", summary="Not a model", version="1", license="CC0")
    yield vpbench.ModelSpec(name="after-the-wrong-ones", factory="m:M", summary="Kept", version="1")
