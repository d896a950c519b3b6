"""A plugin for tests: a dataset whose future can be changed, and metrics that misbehave when asked for by name."""

import vpbench


@vpbench.hookimpl
def vpbench_datasets():
    yield vpbench.DatasetSpec(
        name="squares",
        factory="fake_datasets:Squares",
        config="fake_datasets:SquaresConfig",
        summary="A grey square that moves on a torus",
        version="1",
        license="none",
        truth=(vpbench.TruthField(name="corner", per="frame", unit="px"),),
        caveat="made up",
    )
    yield vpbench.DatasetSpec(
        name="ramps",
        factory="fake_datasets:Ramps",
        config="fake_datasets:RampsConfig",
        summary="Brightness grows with time; frames at odd times, noisy or missing ones",
        version="1",
        license="none",
    )
    yield vpbench.DatasetSpec(
        name="broken-dataset",
        factory="fake_datasets:Broken",
        fetch="fake_datasets:fetch",
        config="fake_datasets:BrokenConfig",
        summary="Fails where it is told to",
        version="1",
        license="none",
    )


@vpbench.hookimpl
def vpbench_metrics():
    for name, factory in (
        ("error", "AbsoluteError"),  # fine
        ("infinite-score", "InfiniteScore"),
        ("wrong-shape", "WrongShape"),
        ("raising", "Raising"),
        ("fails-later", "FailsLater"),
        ("not-makeable", "NotMakeable"),
    ):
        yield vpbench.MetricSpec(
            name=name,
            factory=f"fake_metrics:{factory}",
            summary=f"For tests: {factory}",
            version="1",
            higher_is_better=False,
            statistics=("absolute",),
            definition="absolute difference, mean over pixels",
            default=False,
        )
    yield vpbench.MetricSpec(
        name="of-samples",
        factory="fake_metrics:AbsoluteError",
        summary="Needs what no run gives",
        version="1",
        higher_is_better=False,
        statistics=("absolute",),
        definition="-",
        needs=frozenset({"samples"}),
        default=False,
    )
    yield vpbench.MetricSpec(
        name="error-of-clip",
        factory="fake_metrics:Summed",
        summary="Summed over the steps of a clip",
        version="1",
        convention="summed",
        higher_is_better=False,
        statistics=("absolute_sum",),
        over_steps="sum",
        definition="absolute difference, mean over pixels, sum over steps",
        default=False,
    )
    yield vpbench.MetricSpec(
        name="brightness-distance",
        factory="fake_metrics:BrightnessDistance",
        config="fake_metrics:BrightnessConfig",
        summary="Distance between mean brightnesses of stretches of two frames",
        version="1",
        convention="sets",
        higher_is_better=False,
        window=2,
        definition="absolute difference of the mean brightness of all stretches of two frames, times a scale",
        default=False,
    )
