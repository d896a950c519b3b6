import vpbench


@vpbench.hookimpl
def vpbench_models():
    return vpbench.ModelSpec(name="not-yielded", factory="m:M", summary="Returned", version="1")
