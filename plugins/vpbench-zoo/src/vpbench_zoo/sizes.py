"""Each model comes in two sizes: as published, and small, with trained weights for frames of 32×32."""

from __future__ import annotations

from collections.abc import Iterator

import vpbench


def both_sizes(
    name: str,
    *,
    factory: str,
    config: str,
    summary: str,
    importer: str,
    cites: tuple[str, ...],
    small_weights: str,
    capabilities: frozenset[str] = frozenset(),
) -> Iterator[vpbench.ModelSpec]:
    """The specs of `name` and of `name`-small.

    factory, config, importer  "module:attribute" in this package; the config of the small one is called Small<config>
    small_weights              sha256 of what the wheel has for the small one
    """
    module, _, options = config.partition(":")
    weights = vpbench.Weights(
        file=f"vpbench_zoo:weights/{name}-small-moving-mnist-10.safetensors",
        sha256=small_weights,
        dataset="moving-mnist",
        frame_shape=(1, 32, 32),
        context=10,
    )
    for suffix, size, told in (("", "", ""), ("-small", "Small", ", for frames of 32×32")):
        yield vpbench.ModelSpec(
            name=name + suffix,
            factory=f"vpbench_zoo.{factory}",
            config=f"vpbench_zoo.{module}:{size}{options}",
            summary=summary + told,
            version="1",
            learns="weights",
            prefix_stable=True,
            weights=(weights,) if suffix else (),
            importer=f"vpbench_zoo.{importer}",
            capabilities=capabilities,
            cites=cites,
        )
