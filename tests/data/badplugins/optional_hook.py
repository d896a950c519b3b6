"""How a plugin uses a hook of a newer vpbench and still works with this one."""

import vpbench


@vpbench.hookimpl(optionalhook=True)
def vpbench_boards():
    raise AssertionError("nobody calls a hook that is unknown")
