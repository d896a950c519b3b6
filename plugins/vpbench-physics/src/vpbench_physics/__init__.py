"""Motion with closed forms for vpbench. This entry module names things and imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

import vpbench

#: Bump one when a frame or a truth value of its dataset changes; it goes into the fingerprint.
TRAJECTORY_VERSION = "1"
BALL_VERSION = "1"

STATE_RMSE_VERSION = "1"

REPORT = "Continuous motion interpolation with neural differential equations (report, 2022)"


@vpbench.hookimpl
def vpbench_datasets() -> Iterable[vpbench.DatasetSpec]:
    yield vpbench.DatasetSpec(
        name="trajectory",
        factory="vpbench_physics.trajectory:Trajectory",
        config="vpbench_physics.trajectory:Config",
        summary="A point that moves in the plane, as two numbers: circle, spiral, damped rotation, spring",
        version=TRAJECTORY_VERSION,
        license="Apache-2.0 (generated)",
        truth=(
            vpbench.TruthField(name="positions", per="frame", unit="units"),
            vpbench.TruthField(name="velocities", per="frame", unit="units/s"),
            vpbench.TruthField(name="scale", per="clip", unit="units"),
        ),
        cites=(REPORT,),
    )
    yield vpbench.DatasetSpec(
        name="gaussian-ball",
        factory="vpbench_physics.gaussian_ball:GaussianBall",
        config="vpbench_physics.gaussian_ball:Config",
        summary="A soft ball that moves along a trajectory: any length, any time, exact positions",
        version=BALL_VERSION,
        license="Apache-2.0 (generated)",
        truth=(
            vpbench.TruthField(name="positions", per="frame", unit="px"),
            vpbench.TruthField(name="velocities", per="frame", unit="px/frame"),
        ),
        cites=(REPORT,),
    )


@vpbench.hookimpl
def vpbench_metrics() -> Iterable[vpbench.MetricSpec]:
    yield vpbench.MetricSpec(
        name="state-rmse",
        factory="vpbench_physics.state_metric:StateRMSE",
        summary="How far a predicted state is from the true one, in the units of the data",
        version=STATE_RMSE_VERSION,
        higher_is_better=False,
        unit="units",
        statistics=("state_squared_error",),
        needs=frozenset({"truth:scale"}),
        definition="Root of the mean squared error of the clamped prediction over channels, steps and clips, times the "
        "number of units that an intensity of 1 stands for.",
    )
