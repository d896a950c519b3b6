"""state-rmse: errors in the units of the data; and runs on both datasets through the front door."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from vpbench_physics.state_metric import StateRMSE
from vpbench_physics.trajectory import Config, Trajectory

from vpbench import Scored

Bench = Callable[[str], Result]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The command line with this plugin, the floors and the metrics; its records go to tmp_path."""
    monkeypatch.setenv("VPBENCH_PLUGINS", "physics,baselines,metrics")
    from vpbench.cli import main

    def run(line: str) -> Result:
        return CliRunner().invoke(main, [*line.split(), "--device", "cpu", "--results", str(tmp_path)])

    return run


def record(folder: Path, pattern: str) -> dict[str, Any]:
    """The only one of these."""
    (path,) = folder.glob(f"{pattern}.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_it_is_the_root_of_the_mean_square_in_units() -> None:
    generator = np.random.default_rng(0)
    predicted, target = generator.random((2, 3, 5, 2, 1, 1)).astype(np.float32)
    scale = np.array([4.2, 1.0, 0.5])
    metric = StateRMSE()
    scored = Scored(torch.from_numpy(predicted), torch.from_numpy(target), truth={"scale": scale})
    squares = metric.statistics(scored)["state_squared_error"].numpy()
    for clip in range(3):
        for step in range(5):
            x, y = (float(predicted[clip, step, c, 0, 0]) - float(target[clip, step, c, 0, 0]) for c in (0, 1))
            assert squares[clip, step] == pytest.approx(scale[clip] ** 2 * (x**2 + y**2) / 2, rel=1e-12)
    score = metric.score({"state_squared_error": squares})
    np.testing.assert_allclose(score**2, squares, rtol=1e-12)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_a_run_measures_it_against_what_is_true(bench: Bench, tmp_path: Path, noise: float) -> None:
    """copy-last predicts the last point it was shown, a noisy one, for 200 steps that have no noise."""
    result = bench(
        "run --model copy-last --dataset trajectory --context 800 --horizon 200 --clips 1 --metric state-rmse "
        f"--set trajectory.noise={noise}"
    )
    assert result.exit_code == 0, result.output
    clips = Trajectory(Config(noise=noise)).clips("test", [0], np.arange(1000.0)[None])
    positions, (low, high) = clips.truth["positions"][0], Trajectory(Config(noise=noise)).info.value_range
    last = np.asarray(clips.frames if clips.shown is None else clips.shown)[0, 799, :, 0, 0].astype(np.float64)
    expected = np.sqrt(np.mean((low + (high - low) * last - positions[800:]) ** 2))
    found = record(tmp_path, "trajectory/copy-last/*-200-*")
    assert found["scores"]["state-rmse"]["value"] == pytest.approx(expected, rel=1e-5)
    if noise == 0:  # a chord of the unit circle about (0, 1), of 0 to 2 radians
        angle = 10 * np.arange(1, 201) * 0.001
        assert expected == pytest.approx(np.sqrt(np.mean((2 * np.sin(angle / 2)) ** 2) / 2), rel=1e-6)


def test_metrics_that_need_pictures_say_so_on_states(bench: Bench) -> None:
    result = bench("run --model copy-last --dataset trajectory --context 4 --horizon 2 --clips 1")
    assert result.exit_code == 0, result.output
    assert "ssim not computed: needs frames of 11 pixels a side, trajectory has 1" in result.output
    assert "state-rmse (units)" in result.output


def test_a_run_on_the_ball_has_its_floors(bench: Bench, tmp_path: Path) -> None:
    result = bench("run --model copy-last --dataset gaussian-ball --context 2 --horizon 5 --clips 4 --metric mse")
    assert result.exit_code == 0, result.output
    mse = {
        floor: record(tmp_path, f"gaussian-ball/{floor}/*-5-*")["scores"]["mse"]["value"]
        for floor in ("black", "copy-last", "train-mean")
    }
    assert mse["copy-last"] < mse["train-mean"] < mse["black"]
    # nearly all of a ball of sigma 3 is inside, wherever it is: π σ² of 28² pixels
    assert mse["black"] == pytest.approx(np.pi * 9 / 28**2, rel=0.01)


def test_the_ball_is_not_measured_in_units(bench: Bench) -> None:
    result = bench(
        "run --model copy-last --dataset gaussian-ball --horizon 1 --clips 2 --metric state-rmse --metric mse"
    )
    assert result.exit_code == 0, result.output
    assert "state-rmse not computed: needs truth:scale" in result.output


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ("gaussian-ball --set sigma=0", 2, "gaussian-ball config: sigma must be from 0.4 to frame_size, 28, got 0"),
        ("trajectory --set dynamics=square", 2, "'square' is not one of circle, spiral, damped-rotation, spring"),
        ("trajectory --set trajectory.points=300 --context 800", 3, "needs 802 frames, trajectory has 300"),
        ("trajectory --set noise=0.1 --task fractional", 3, "asks for frames between frames, trajectory has none"),
        ("gaussian-ball --set scheme=euler --task fractional", 3, "frames between frames, gaussian-ball has none"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(bench: Bench, options: str, code: int, message: str) -> None:
    result = bench(f"run --model copy-last --horizon 2 --clips 2 --dataset {options}")
    assert result.exit_code == code
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
