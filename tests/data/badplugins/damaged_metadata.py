import vpbench


@vpbench.hookimpl
def vpbench_models():
    yield vpbench.ModelSpec(name="of-a-damaged-install", factory="m:M", summary="No METADATA file", version="1")
