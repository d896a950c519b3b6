"""A plugin whose entry module imports numpy: every command waits for it."""

import numpy as np

import vpbench


@vpbench.hookimpl
def vpbench_models():
    yield vpbench.ModelSpec(
        name="heavy", factory="no_such_module:Model", summary=f"Made with numpy {np.__version__}", version="1"
    )
