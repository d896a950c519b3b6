"""`latentode-small`: the model of vpbench-latentode at the size of the other small models, with trained weights.

Nothing of vpbench-latentode is imported: the spec names its model and its config by strings, and whoever uses the model
imports them.
"""

from collections.abc import Iterable

import vpbench


@vpbench.hookimpl
def vpbench_models() -> Iterable[vpbench.ModelSpec]:
    yield vpbench.ModelSpec(
        name="latentode-small",
        factory="vpbench_latentode.model:LatentODE",
        config="vpbench_latentode.config:SmallConfig",
        summary="latentode for frames of 32×32, with as many multiply-adds as the other small models",
        version="1",
        learns="weights",
        prefix_stable=True,
        weights=(
            vpbench.Weights(
                file="vpbench_latentode_small:weights/latentode-small-moving-mnist-10.safetensors",
                sha256="a887775d1af96c2531b88e7631d977a7370e76682eba39cae1629e7b669e4a6a",
                dataset="moving-mnist",
                frame_shape=(1, 32, 32),
                context=10,
            ),
        ),
        capabilities=frozenset({"fractional", "before-context-end", "swap"}),
        cites=("Continuous motion interpolation with neural differential equations (report, 2022)",),
    )
