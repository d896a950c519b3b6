import vpbench


@vpbench.hookimpl
def vpbench_models(config):
    yield vpbench.ModelSpec(name="asks-too-much", factory="m:M", summary=str(config), version="1")
