import time

import vpbench


@vpbench.hookimpl
def vpbench_models():
    yield vpbench.ModelSpec(name="before-it-hangs", factory="m:M", summary="The first is given", version="1")
    time.sleep(600)
