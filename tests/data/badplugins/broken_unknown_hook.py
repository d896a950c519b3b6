import vpbench


@vpbench.hookimpl
def vpbench_boards():
    raise AssertionError("nobody calls a hook that is unknown")


@vpbench.hookimpl
def vpbench_models():
    yield vpbench.ModelSpec(name="beside-an-unknown-hook", factory="m:M", summary="Kept", version="1")
