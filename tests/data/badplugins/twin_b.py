import vpbench


@vpbench.hookimpl
def vpbench_models():
    yield vpbench.ModelSpec(name="twin", factory="twin_b:Model", summary="Of b", version="1")
    yield vpbench.ModelSpec(name="only-b", factory="twin_b:Model", summary="Of b", version="1")
