import vpbench


@vpbench.hookimpl
def vpbench_models():
    yield vpbench.ModelSpec(name="from-the-future", factory="m:M", summary="Too new", version="1", api=99)
