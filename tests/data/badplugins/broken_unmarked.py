import vpbench


def vpbench_models():
    yield vpbench.ModelSpec(name="unmarked", factory="m:M", summary="No @vpbench.hookimpl", version="1")
