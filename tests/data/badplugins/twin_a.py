import vpbench


@vpbench.hookimpl
def vpbench_models():
    yield vpbench.ModelSpec(name="twin", factory="twin_a:Model", summary="Of a", version="1")
    yield vpbench.ModelSpec(name="only-a", factory="twin_a:Model", summary="Of a", version="1")
