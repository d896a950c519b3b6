"""The latent Neural ODE of "Continuous motion interpolation with neural differential equations" as a vpbench plugin."""

from collections.abc import Iterable

import vpbench

REPORT = "Continuous motion interpolation with neural differential equations (report, 2022)"

DCEC = "Guo, Liu, Zhu, Yin, Deep clustering with convolutional autoencoders, 2017"

CAPABILITIES = frozenset({"fractional", "before-context-end", "swap"})
ANY_TIME = frozenset({"fractional", "before-context-end", "irregular-context", "any-context-length"})


@vpbench.hookimpl
def vpbench_models() -> Iterable[vpbench.ModelSpec]:
    yield vpbench.ModelSpec(
        name="latentode",
        factory="vpbench_latentode.model:LatentODE",
        config="vpbench_latentode.config:Config",
        summary="Latent Neural ODE with separate motion and appearance codes",
        version="1",
        learns="weights",
        prefix_stable=True,
        weights=(
            vpbench.Weights(
                file="vpbench_latentode:weights/moving-mnist-10.safetensors",
                sha256="ca7ba0f69d80f3d7d231638188485c50b95d849291958a95e640f3433189284b",
                dataset="moving-mnist",
                frame_shape=(1, 64, 64),
                context=10,
            ),
            vpbench.Weights(
                file="vpbench_latentode:weights/moving-mnist-2.safetensors",
                sha256="2f1614651495ec8396a1ed087a036ef5295c673e98465ecfb84edf77e38342b9",
                dataset="moving-mnist",
                frame_shape=(1, 64, 64),
                context=2,
            ),
        ),
        capabilities=CAPABILITIES,
        cites=(REPORT,),
    )
    yield vpbench.ModelSpec(
        name="node",
        factory="vpbench_latentode.node:NeuralODE",
        config="vpbench_latentode.node_config:NodeConfig",
        summary="Neural ODE of trajectories: the frame, of at most 16 numbers, is the state",
        version="1",
        learns="weights",
        prefix_stable=True,
        capabilities=ANY_TIME,
        cites=(REPORT,),
    )
    yield vpbench.ModelSpec(
        name="cae",
        factory="vpbench_latentode.cae:ConvolutionalAutoencoder",
        config="vpbench_latentode.cae_config:CAEConfig",
        summary="Convolutional auto-encoder of single frames; after the last one it knows, that one stays",
        version="1",
        learns="weights",
        prefix_stable=True,
        capabilities=ANY_TIME,
        cites=(REPORT, DCEC),
    )
    yield vpbench.ModelSpec(
        name="latentode-entangled",
        factory="vpbench_latentode.entangled:EntangledLatentODE",
        config="vpbench_latentode.entangled_config:EntangledConfig",
        summary="Latent Neural ODE with motion and appearance in one code, read off two frames",
        version="1",
        learns="weights",
        prefix_stable=True,
        capabilities=ANY_TIME,
        cites=(REPORT,),
    )
