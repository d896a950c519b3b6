"""The floors of every board: predictions that take no thought. A model that does not beat them has learnt nothing."""

from collections.abc import Iterator

import vpbench

#: None of them looks at the time that is asked for, so any time will do.
ANY_TIME = frozenset({"fractional", "before-context-end", "irregular-context", "any-context-length"})


@vpbench.hookimpl
def vpbench_models() -> Iterator[vpbench.ModelSpec]:
    """The four floors."""
    yield vpbench.ModelSpec(
        name="black",
        factory="vpbench_baselines.models:Black",
        summary="Black frames: what sparse bright objects on black give away for nothing",
        version="1",
        role="floor",
        prefix_stable=True,
        capabilities=ANY_TIME,
    )
    yield vpbench.ModelSpec(
        name="copy-last",
        factory="vpbench_baselines.models:CopyLast",
        summary="Repeat the last context frame",
        version="1",
        role="floor",
        prefix_stable=True,
        capabilities=ANY_TIME,
    )
    yield vpbench.ModelSpec(
        name="context-mean",
        factory="vpbench_baselines.models:ContextMean",
        summary="Repeat the mean of the context frames",
        version="1",
        role="floor",
        prefix_stable=True,
        capabilities=ANY_TIME,
    )
    yield vpbench.ModelSpec(
        name="train-mean",
        factory="vpbench_baselines.models:TrainMean",
        summary="Repeat the mean training frame: the best answer that ignores the context",
        version="1",
        role="floor",
        prefix_stable=True,
        learns="statistics",
        capabilities=ANY_TIME,
        assumptions="the mean frame of training clips",
    )
