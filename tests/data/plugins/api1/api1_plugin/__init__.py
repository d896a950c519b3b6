"""Models, a dataset and metrics that use all that `api` 1 has."""

import vpbench


@vpbench.hookimpl
def vpbench_models():
    yield vpbench.ModelSpec(
        name="api1-fade",
        factory="api1_plugin.models:Fade",
        config="api1_plugin.models:FadeConfig",
        summary="The last frame, fading out",
        version="1",
        api=1,
        cites=("A. Author, Fading, 2026",),
        prefix_stable=True,
        channels=1,
        capabilities=frozenset({"fractional", "before-context-end", "irregular-context", "any-context-length"}),
    )
    yield vpbench.ModelSpec(
        name="api1-mean",
        factory="api1_plugin.models:Mean",
        summary="The mean of the training frames",
        version="1",
        api=1,
        role="floor",
        learns="statistics",
        prefix_stable=True,
        assumptions="the mean of the training frames",
    )
    yield vpbench.ModelSpec(
        name="api1-knowing",
        factory="api1_plugin.models:Knowing",
        summary="Is told the brightness, and knows how it grows",
        version="1",
        api=1,
        role="ceiling",
        posterior_mean=True,
        prefix_stable=True,
        datasets=("api1-growing",),
    )
    yield vpbench.ModelSpec(
        name="api1-slope",
        factory="api1_plugin.models:Slope",
        config="api1_plugin.models:SlopeConfig",
        summary="The last frame, and a learnt number more with each step",
        version="1",
        api=1,
        learns="weights",
        prefix_stable=False,
        weights=(
            vpbench.Weights(
                file="api1_plugin:weights/slope.safetensors",
                sha256="cb9439f56b381e8e652e7b9e811524f9c6a1e29e4d3b373ed7d1ef75bf0601c4",
                dataset="api1-growing",
                frame_shape=(1, 4, 4),
                context=2,
                config={"first": 0.0},
            ),
        ),
    )


@vpbench.hookimpl
def vpbench_datasets():
    yield vpbench.DatasetSpec(
        name="api1-growing",
        factory="api1_plugin.data:Growing",
        config="api1_plugin.data:Config",
        summary="Frames of one brightness, which grows",
        version="1",
        api=1,
        license="CC0-1.0",
        truth=(
            vpbench.TruthField("brightness", "frame", "255 grey levels"),
            vpbench.TruthField("number", "clip", "class"),
        ),
        fetch="api1_plugin.data:fetch",
        caveat="flat frames",
    )


@vpbench.hookimpl
def vpbench_metrics():
    yield vpbench.MetricSpec(
        name="api1-error",
        factory="api1_plugin.metrics:Error",
        config="api1_plugin.metrics:ErrorConfig",
        summary="Scaled root of the mean squared error",
        version="1",
        api=1,
        higher_is_better=False,
        definition="root of the squared difference of the clamped frames, mean over pixels, clips and steps; scaled",
        convention="api1",
        statistics=("squared",),
        mean_optimal=True,
    )
    yield vpbench.MetricSpec(
        name="api1-beyond-range",
        factory="api1_plugin.metrics:BeyondRange",
        summary="How far predictions leave the range, and whether the truth is the truth",
        version="1",
        api=1,
        higher_is_better=False,
        definition="distance of the raw prediction from [0, 1], sum over steps, mean over pixels and clips",
        convention="api1",
        statistics=("beyond", "disagreement"),
        needs=frozenset({"raw", "context", "truth:brightness"}),
        over_steps="sum",
        ideal=0.0,
        min_size=2,
        exhibit=True,
    )
    yield vpbench.MetricSpec(
        name="api1-set",
        factory="api1_plugin.metrics:MeanDistance",
        summary="Distance of the mean brightness of two sets of stretches",
        version="1",
        api=1,
        higher_is_better=False,
        definition="absolute difference of the mean brightness of predicted and true stretches of 2 frames",
        convention="api1",
        window=2,
    )
