import vpbench


@vpbench.hookimpl
def vpbench_models():
    yield vpbench.ModelSpec(name="CapitalLetters", factory="m:M", summary="Not a name", version="1")
