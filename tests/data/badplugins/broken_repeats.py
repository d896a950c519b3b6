import vpbench


@vpbench.hookimpl
def vpbench_models():
    yield vpbench.ModelSpec(name="repeated", factory="m:First", summary="One of two", version="1")
    yield vpbench.ModelSpec(name="repeated", factory="m:Second", summary="Two of two", version="1")
