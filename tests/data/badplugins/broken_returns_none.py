import vpbench


@vpbench.hookimpl
def vpbench_models():
    pass
