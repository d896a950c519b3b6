"""The report, as experiments: files ask for what there is, gates hold in committed records, small versions of them go
the same way, and its figures are drawn from what is trained."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from vpbench import Context, TrainBatch, registry
from vpbench.grid import read_grids
from vpbench.inference import Inference
from vpbench.instances import configured, open_dataset
from vpbench.plan import Request
from vpbench.settings import Settings
from vpbench.weights import WeightsFile

ROOT = Path(__file__).parents[1]
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.toml"))
RESULTS = ROOT / "results" / "report"
FIGURES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14)


# --------------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("path", [*EXPERIMENTS, ROOT / "results" / "figure-9.toml"], ids=lambda path: path.name)
def test_experiments_ask_for_what_there_is(path: Path) -> None:
    """Every part is a request, and its settings are of the models and the dataset it names."""
    installed = registry.load()
    for name, fields in read_grids(path).items():
        request = Request(**fields)
        lines = Settings(request.settings)
        for model in request.models:
            configured(installed.model(model), lines.of(installed.model(model)))
        for dataset in request.datasets:
            provided = installed.dataset(dataset)
            opened = open_dataset(provided, configured(provided, lines.of(provided)))
            for horizon in request.horizons:
                assert len(opened.ids("test", n_frames=request.task_of(horizon).n_frames)), name
        lines.check_all_used()


# --------------------------------------------------------------------------------------------------------------- gates


def records(dataset: str, model: str, kind: str, horizon: int, **config: Any) -> list[dict[str, Any]]:
    """Committed records whose model or dataset has these settings."""
    found = []
    for path in sorted(RESULTS.glob(f"{dataset}/{model}/{kind}-*-{horizon}-*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        identity = record["identity"]
        there = {**identity["dataset"]["config"], **identity["model"]["config"]}
        if record["status"] == "ok" and all(there.get(key) == value for key, value in config.items()):
            found.append(record)
    return found


def records_of(folder: Path, model: str, task: str) -> list[dict[str, Any]]:
    """Records of a task, in any config."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"{model}/{task}-*.json"))]


def score(record: dict[str, Any], metric: str) -> dict[str, float]:
    found: dict[str, float] = record["scores"][metric]
    return found


@pytest.mark.parametrize(
    ("dynamics", "noise", "bound"),
    [("circle", 0.0, 0.02), ("spiral", 0.0, 0.02), ("circle", 0.3, 0.1), ("spiral", 0.1, 0.1)],
)
def test_trajectories_are_continued(dynamics: str, noise: float, bound: float) -> None:
    found = records("trajectory", "node", "extrapolate", 200, dynamics=dynamics, noise=noise)
    assert len(found) == 3
    assert all(score(each, "state-rmse")["value"] < bound for each in found)


def test_a_family_needs_the_velocity() -> None:
    (first,) = records("trajectory", "node", "extrapolate", 50, structure="first-order")
    (second,) = records("trajectory", "node", "extrapolate", 50, structure="second-order")
    assert score(second, "state-rmse")["high"] < 0.1 * score(first, "state-rmse")["low"]


def test_between_frames_the_ball_is_as_right_as_at_them() -> None:
    whole, between = (
        records("gaussian-ball", "latentode-entangled", kind, 20, structure="second-order")[0]
        for kind in ("extrapolate", "fractional")
    )
    assert score(between, "mse")["value"] <= 1.2 * score(whole, "mse")["value"]


def test_the_place_of_the_ball_is_linear_in_its_code() -> None:
    probe = json.loads((ROOT / "results" / "probes" / "ball-ode.json").read_text(encoding="utf-8"))
    assert probe["identity"]["model"]["name"] == "latentode-entangled"
    (found,) = (each for each in probe["probes"] if (each["code"], each["field"]) == ("dynamics", "positions"))
    assert found["low"] > 0.95
    assert found["shuffled"]["high"] < 0.1


PRINTED = {"norm": "density1d", "sigma": 3.0, "learning_rate": 0.01, "latent": 10}


def of_the_ball(**config: Any) -> list[dict[str, Any]]:
    """Records of auto-encoders of the ball, which start as drawn."""
    found = records("gaussian-ball", "cae", "reconstruct", 1, **config)
    return [each for each in found if "start" not in each["about"]["training"]]


@pytest.mark.parametrize("norm", ["density1d", "peak"])
@pytest.mark.parametrize("encoded", [False, True])
def test_from_a_grey_frame_the_ball_is_black_with_coordinates_as_without(encoded: bool, norm: str) -> None:
    """The gate asks for black without coordinates, which holds, and for none with them, which does not."""
    found = of_the_ball(**PRINTED | {"norm": norm, "output_bias": 0.0, "spatial_encoding": encoded})
    (black,) = records("gaussian-ball", "black", "reconstruct", 1, norm=norm, sigma=3.0)
    assert len(found) == 5
    assert all(score(each, "mse")["value"] == pytest.approx(score(black, "mse")["value"], rel=1e-6) for each in found)


def test_weights_that_draw_digits_learn_the_ball_without_coordinates() -> None:
    found = records("gaussian-ball", "cae", "reconstruct", 1, **PRINTED | {"spatial_encoding": False})
    started = [each for each in found if "start" in each["about"]["training"]]
    (mean,) = records("gaussian-ball", "train-mean", "reconstruct", 1, norm="density1d", sigma=3.0)
    assert len(started) == 5
    assert all(score(each, "mse")["value"] < 0.01 * score(mean, "mse")["value"] for each in started)


def test_two_frames_are_predicted_as_well_as_the_page_says() -> None:
    """The gate asks for 16.0 dB at least, and for no more than the best that can be expected."""
    (found,) = records_of(ROOT / "results" / "moving-mnist", "latentode", "extrapolate-2-18")
    (ceiling,) = records_of(ROOT / "results" / "moving-mnist", "bayes", "extrapolate-2-18")
    psnr = score(found, "psnr")
    page = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    assert f"{psnr['value']:.2f} dB [{psnr['low']:.2f}, {psnr['high']:.2f}]" in page
    assert psnr["high"] < score(ceiling, "psnr")["low"]


def test_swaps_are_above_chance() -> None:
    config = {"digits": 1, "frame_size": 28}
    swaps = records("moving-mnist", "latentode", "swap", 18, **config)
    (swap,) = (each for each in swaps if "width" not in each["identity"]["model"]["config"])
    (still,) = records("moving-mnist", "copy-last", "swap", 18, **config)
    (other,) = records("moving-mnist", "copy-appearance", "swap", 18, **config)
    assert score(swap, "digit-identity")["low"] > score(still, "digit-identity")["high"]
    assert score(swap, "digit-position-error")["high"] < score(other, "digit-position-error")["low"]


# ------------------------------------------------------------------------------------------------------ small versions


@pytest.fixture
def everything(bench, monkeypatch):
    monkeypatch.setenv("VPBENCH_PLUGINS", "metrics,baselines,physics,latentode")
    return bench


def test_a_small_training_goes_on_beyond_what_it_learnt_from(everything) -> None:
    settings = ("--set", "trajectory.dt=0.01", "--set", "trajectory.points=100", "--set", "frame_dt=0.1")
    (everything.folder / "grid.toml").write_text(
        'models = ["node"]\ndatasets = ["trajectory"]\ncontext = 80\nhorizons = [20]\nclips = 1\n'
        'metrics = ["state-rmse"]\n[train]\nbudget = "120updates"\ncontext = 1\nhorizon = 8\nbatch_size = 16\n'
    )
    result = everything("run", "grid.toml", *settings, "--set", "frames_per_step=2", "--set", "learning_rate=0.01")
    assert result.exit_code == 0, result.output
    rmse = {model: everything.record(model, 20)["scores"]["state-rmse"]["value"] for model in ("node", "copy-last")}
    assert rmse["node"] < 0.5 * rmse["copy-last"]


def test_a_small_auto_encoder_goes_black_from_a_grey_frame_and_for_good(everything) -> None:
    """At the report's rate no parameter has a gradient left after 40 updates; gently, from a dark frame, it learns."""
    mse = {}
    for name, updates, settings in (
        ("black", 40, ("cae.learning_rate=0.01", "cae.output_bias=0")),
        ("learns", 150, ("cae.learning_rate=0.001",)),
    ):
        command = ["--context", 1, "--task", "reconstruct", "--clips", 10, "--metric", "mse", "--results", name]
        lines = [part for setting in settings for part in ("--set", setting)]
        args = (*command, "--train", f"{updates}updates", *lines)
        result = everything("run", "--model", "cae", "--dataset", "gaussian-ball", *args)
        assert result.exit_code == 0, result.output
        for path in (everything.folder / name).glob("gaussian-ball/*/*.json"):
            mse[name, path.parent.name] = json.loads(path.read_text())["scores"]["mse"]["value"]
    assert mse["black", "cae"] == pytest.approx(mse["black", "black"], rel=1e-6)
    assert mse["learns", "cae"] < 0.5 * mse["learns", "train-mean"]

    installed = registry.load()
    weights = WeightsFile.open(everything.folder / "black/weights/cae-gaussian-ball-1-seed0.safetensors")
    cae, ball = installed.model("cae"), installed.dataset("gaussian-ball")
    inference = Inference(
        cae,
        configured(cae, weights.config),
        weights,
        frame_shape=weights.frame_shape,
        context_length=1,
        seed=0,
        device=torch.device("cpu"),
    )
    frames = open_dataset(ball, configured(ball, {})).clips("train", range(8), np.zeros((8, 1))).frames
    given = Context(frames=torch.as_tensor(frames), times=torch.zeros(8, 1), seeds=torch.arange(8))
    batch = TrainBatch(context=given, target_times=given.times, target=given.frames)
    inference.model.requires_grad_(True).loss(batch, progress=0.5)["loss"].backward()
    assert all((each.grad == 0).all() for each in inference.model.parameters() if each.grad is not None)


def test_a_small_ball_is_followed_between_frames(everything) -> None:
    size = ("--set", "gaussian-ball.frame_size=16", "--set", "gaussian-ball.sigma=2", "--set", "gaussian-ball.margin=3")
    train = ("--train", "150updates", "--train-horizon", "4", "--clips", 8, "--metric", "mse")
    mse = {}
    for task in ("extrapolate", "fractional"):
        args = ("--context", 2, "--horizon", 4, "--task", task, *size, *train)
        result = everything("run", "--model", "latentode-entangled", "--dataset", "gaussian-ball", *args)
        assert result.exit_code == 0, result.output
        found = {
            json.loads(path.read_text())["identity"]["model"]["name"]: json.loads(path.read_text())
            for path in (everything.folder / "runs").glob(f"gaussian-ball/*/{task}-2-4-*.json")
        }
        mse[task] = found["latentode-entangled"]["scores"]["mse"]["value"]
        assert mse[task] < found["black"]["scores"]["mse"]["value"]
    assert mse["fractional"] < 1.2 * mse["extrapolate"]

    (weights,) = (everything.folder / "runs" / "weights").glob("*.safetensors")
    args = (
        "--context",
        2,
        "--horizon",
        4,
        "--weights",
        weights,
        *size,
        "--clips",
        60,
        "--train-clips",
        300,
        "--json",
        "probe.json",
    )
    result = everything("probe", "--model", "latentode-entangled", "--dataset", "gaussian-ball", *args)
    assert result.exit_code == 0, result.output
    probes = json.loads((everything.folder / "probe.json").read_text())["probes"]
    (found,) = (each for each in probes if (each["code"], each["field"]) == ("dynamics", "positions"))
    assert found["value"] > 0.9


# ------------------------------------------------------------------------------------------------------------- figures


class TestFigures:
    def test_each_is_committed_and_on_the_page_with_its_numbers(self) -> None:
        page = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
        numbers = json.loads((ROOT / "docs" / "figures" / "figures.json").read_text(encoding="utf-8"))
        for number in FIGURES:
            path = ROOT / "docs" / "figures" / f"figure-{number}.png"
            assert path.stat().st_size < 150_000
            assert f"(figures/{path.name})" in page
            assert str(number) in numbers
        assert "@" not in re.sub(r"`[^`]*`", "", page), "a number is still to be filled in"

    def test_it_is_said_what_each_needs(self) -> None:
        pytest.importorskip("matplotlib")
        main = pytest.importorskip("experiments.figures.__main__").main
        result = CliRunner().invoke(main, ["--list"])
        assert result.exit_code == 0
        *each, total = result.stdout.splitlines()
        assert len(each) == len(FIGURES)
        assert all("all weights are there" in line or "to train: " in line for line in each)
        assert re.fullmatch(r"in all: (nothing to train|about .+ of training.*)", total)

    def test_one_that_there_is_not_is_one_line(self) -> None:
        pytest.importorskip("matplotlib")
        main = pytest.importorskip("experiments.figures.__main__").main
        result = CliRunner().invoke(main, ["10"])
        assert result.exit_code == 2
        assert "the report has no figure 10 that is drawn here" in result.stderr

    def test_it_is_drawn_where_the_weights_are_kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("matplotlib")
        main = pytest.importorskip("experiments.figures.__main__").main
        monkeypatch.chdir(tmp_path)
        result = CliRunner().invoke(main, ["8"])
        assert result.exit_code == 2
        assert "run this from" in result.stderr

    def test_principal_components_are_those_of_the_covariance(self) -> None:
        pytest.importorskip("matplotlib")
        style = pytest.importorskip("experiments.figures.style")
        values = np.random.default_rng(0).normal(size=(50, 4)) * [3, 1, 2, 0.1]
        mean, directions, share = style.principal(values)
        spread, vectors = np.linalg.eigh(np.cov(values.T))
        assert np.allclose(mean, values.mean(axis=0))
        assert np.allclose(share, spread[::-1][:2] / spread.sum())
        assert np.allclose(np.abs(directions @ vectors[:, ::-1][:, :2]), np.eye(2), atol=1e-9)

    def test_a_picture_says_what_it_was_made_of(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        style = pytest.importorskip("experiments.figures.style")
        figure, _ = style.panels(1)
        style.save(figure, tmp_path / "one.png", "abc")
        assert style.made_of(tmp_path / "one.png") == "abc"
        assert style.made_of(tmp_path / "none.png") == ""


def test_the_setups_of_figure_9_are_one_file() -> None:
    table = tomllib.loads((ROOT / "results" / "figure-9.toml").read_text(encoding="utf-8"))
    assert [(part["context"], max(part["horizons"])) for part in table["grid"]] == [(10, 90), (2, 38)]
