"""The ceilings as models: what they are told, what they give, and that nothing else matters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import vpbench_movingmnist
from click.testing import CliRunner
from torch import Tensor
from vpbench_movingmnist.bayes import Bayes, BayesSample
from vpbench_movingmnist.dataset import Config, MovingMNIST

from vpbench import Context
from vpbench.cli import main
from vpbench.errors import ModelFailed

BOTH = pytest.mark.parametrize("model", [Bayes, BayesSample])
Ceiling = type[Bayes] | type[BayesSample]
Truth = dict[str, np.ndarray]


def clips(
    n: int, context: int, horizon: int, *, size: int = 64, n_digits: int = 2, looks: int = 0, **config: float
) -> tuple[Context, Tensor, Truth, Tensor]:
    """What a ceiling is told of the first test clips, the target times, and what is to come.

    looks  each clip has the digits of the one so many further on
    """
    times = np.tile(np.arange(float(context + horizon)), (n, 1))
    dataset = MovingMNIST(Config(frame_size=size, digits=n_digits, **config))
    read = dataset.swapped("test", range(n), range(looks, looks + n), times)
    frames = torch.from_numpy(read.frames).float() / 255
    given = Context(frames[:, :context], torch.from_numpy(times[:, :context]), torch.arange(n) + 7)
    cut = ("positions", "velocities", "angles", "scales")
    truth = {name: value[:, :context] if name in cut else value for name, value in read.truth.items()}
    return given, torch.from_numpy(times[:, context:]), truth, frames[:, context:]


def ask(model: Ceiling, context: Context, times: Tensor, truth: Truth) -> Tensor:
    shape = tuple(context.frames.shape[2:])
    return model(None, frame_shape=shape, context_length=context.frames.shape[1]).predict_knowing(
        context, times, truth=truth
    )


def squared_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Per frame, (B, Tt)."""
    return (predicted.double() - target.double()).square().sum(dim=(2, 3, 4))


@BOTH
@pytest.mark.parametrize(
    ("size", "n_digits", "speed"),
    [(64, 1, 1.0), (64, 2, 1.0), (64, 3, 1.0), (32, 2, 1.0), (28, 2, 1.0), (64, 2, 0.5), (64, 2, 2.0), (32, 3, 1.5)],
)
@pytest.mark.parametrize("context", [1, 5])
def test_beats_repeating_the_last_frame_on_all_variants(
    model: Ceiling, size: int, n_digits: int, speed: float, context: int
) -> None:
    given, times, truth, target = clips(12, context, 4, size=size, n_digits=n_digits, speed=speed)
    predicted = ask(model, given, times, truth)
    assert (predicted.shape, predicted.dtype) == (target.shape, torch.float32)
    assert 0 <= float(predicted.min()) <= float(predicted.max()) <= 1
    copied = given.frames[:, -1:].expand_as(target)
    assert squared_error(predicted, target).mean() < squared_error(copied, target).mean()


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
def test_the_mean_has_half_the_squared_error_of_a_sample(speed: float) -> None:
    """E|s - x|² = 2 E|m - x|² where s and x are drawn from one distribution of mean m."""
    given, times, truth, target = clips(100, 3, 8, speed=speed)
    mean, sample = (squared_error(ask(model, given, times, truth), target).mean(1) for model in (Bayes, BayesSample))
    difference = (sample - 2 * mean).numpy()
    assert abs(difference.mean()) < 4 * difference.std() / len(difference) ** 0.5
    assert mean.mean() < 0.7 * sample.mean()


def test_many_samples_have_the_mean() -> None:
    n, each = 64, 16
    given, times, truth, _ = clips(each, 2, 3)
    many = Context(given.frames.repeat(n, 1, 1, 1, 1), given.times.repeat(n, 1), torch.arange(n * each))
    told = {name: np.concatenate([values] * n) for name, values in truth.items()}
    samples = ask(BayesSample, many, times.repeat(n, 1), told).unflatten(0, (n, each)).double()
    # The mean of n draws is off by their variance over n, in sum over pixels.
    expected = samples.var(dim=0).sum() / n
    found = squared_error(samples.mean(0), ask(Bayes, given, times, truth)).sum()
    assert 0.5 < found / expected < 1.6  # four standard deviations of 16 clips


@BOTH
def test_only_digits_and_whole_pixels_matter(model: Ceiling) -> None:
    given, times, truth, _ = clips(4, 5, 6)
    fraction = np.random.default_rng(0).uniform(0, 0.999, truth["positions"].shape)
    whole = np.floor(truth["positions"])
    told = {
        "digits": truth["digits"],
        "labels": np.full_like(truth["labels"], -1),
        "positions": np.where(whole < 36, whole + fraction, whole),
        "velocities": np.full_like(truth["velocities"], np.nan),
        "angles": np.full_like(truth["angles"], np.nan),
        "scales": np.full_like(truth["scales"], np.nan),
        **{name: truth[name] for name in ("stride", "spins", "phases", "scaling")},
    }
    noise = Context(torch.rand_like(given.frames), given.times, given.seeds)
    assert torch.equal(ask(model, noise, times, told), ask(model, given, times, truth))


@BOTH
def test_batch_horizon_and_times_asked_for_do_not_matter(model: Ceiling) -> None:
    given, times, truth, _ = clips(4, 3, 12)
    whole = ask(model, given, times, truth)
    for row in range(4):
        alone = Context(given.frames[row : row + 1], given.times[row : row + 1], given.seeds[row : row + 1])
        told = {name: values[row : row + 1] for name, values in truth.items()}
        assert torch.equal(ask(model, alone, times[row : row + 1], told)[0], whole[row])
    assert torch.equal(ask(model, given, times[:, :4], truth), whole[:, :4])
    assert torch.equal(ask(model, given, times[:, [2, 7, 11]], truth), whole[:, [2, 7, 11]])


def test_samples_follow_from_the_seeds_alone() -> None:
    given, times, truth, _ = clips(6, 2, 3)
    torch.manual_seed(1)
    np.random.seed(1)
    first = ask(BayesSample, given, times, truth)
    assert torch.equal(ask(BayesSample, given, times, truth), first)
    other = ask(BayesSample, Context(given.frames, given.times, given.seeds + 1), times, truth)
    assert not torch.equal(other, first)
    assert torch.equal(
        ask(Bayes, Context(given.frames, given.times, given.seeds + 1), times, truth), ask(Bayes, given, times, truth)
    )


@BOTH
def test_what_it_is_told_stays_as_it_was(model: Ceiling) -> None:
    given, times, truth, _ = clips(2, 3, 2)
    frames, told = given.frames.clone(), {name: values.copy() for name, values in truth.items()}
    ask(model, given, times, truth)
    assert torch.equal(given.frames, frames)
    assert all(np.array_equal(truth[name], told[name]) for name in told)


def test_missing_frames_are_not_looked_at() -> None:
    given, times, truth, target = clips(3, 6, 2)
    observed = torch.tensor([[True, True, False, True, True, False]] * 3)
    told = {**truth, "positions": np.where(observed.numpy()[..., None, None], truth["positions"], np.nan)}
    masked = Context(given.frames, given.times, given.seeds, observed)
    assert torch.equal(ask(Bayes, masked, times, told), ask(Bayes, masked, times, truth))
    kept = [0, 1, 3, 4]
    dropped = Context(given.frames[:, kept], given.times[:, kept], given.seeds)
    told = {**truth, "positions": truth["positions"][:, kept]}
    torch.testing.assert_close(ask(Bayes, masked, times, truth), ask(Bayes, dropped, times, told), atol=2e-3, rtol=0)
    assert squared_error(ask(Bayes, masked, times, truth), target).mean() < 60


TURNING = {"rotation": 25.0, "scaling": 0.5}


@BOTH
@pytest.mark.parametrize(("size", "n_digits"), [(64, 1), (64, 2), (28, 2)])
def test_digits_that_turn_and_change_size_are_predicted_as_they_will_stand(
    model: Ceiling, size: int, n_digits: int
) -> None:
    given, times, truth, target = clips(12, 5, 6, size=size, n_digits=n_digits, **TURNING)
    predicted = ask(model, given, times, truth)
    upright = ask(model, given, times, {**truth, **{name: 0 * truth[name] for name in ("spins", "scaling")}})
    assert squared_error(predicted, target).mean() < 0.5 * squared_error(upright, target).mean()
    assert torch.equal(ask(model, given, times[:, [1, 4]], truth), predicted[:, [1, 4]])


def test_the_mean_has_half_the_squared_error_of_a_sample_of_turning_digits() -> None:
    given, times, truth, target = clips(100, 3, 8, **TURNING)
    mean, sample = (squared_error(ask(model, given, times, truth), target).mean(1) for model in (Bayes, BayesSample))
    difference = (sample - 2 * mean).numpy()
    assert abs(difference.mean()) < 4 * difference.std() / len(difference) ** 0.5


@BOTH
@pytest.mark.parametrize("config", [{"rotation": 5.0}, {"scaling": 0.1}])
def test_one_frame_does_not_tell_how_digits_turn_or_change_size(model: Ceiling, config: dict[str, float]) -> None:
    given, times, truth, _ = clips(2, 1, 1, **config)
    with pytest.raises(ModelFailed, match=f"{model.name} needs two context frames of each clip to see how digits turn"):
        ask(model, given, times, truth)
    given, times, truth, _ = clips(2, 3, 1, **config)
    missing = Context(given.frames, given.times, given.seeds, torch.tensor([[True, True, False], [True, False, False]]))
    with pytest.raises(ModelFailed, match="needs two context frames"):
        ask(model, missing, times, truth)


@BOTH
@pytest.mark.parametrize("n_digits", [1, 2])
def test_of_a_swapped_clip_it_knows_the_motion_of_the_one_and_the_digits_of_the_other(
    model: Ceiling, n_digits: int
) -> None:
    given, times, truth, target = clips(12, 5, 6, n_digits=n_digits, looks=50)
    predicted = squared_error(ask(model, given, times, truth), target).mean()
    _, _, other, as_the_one = clips(12, 5, 6, n_digits=n_digits)
    assert predicted < 0.5 * squared_error(ask(model, given, times, other), target).mean()
    assert predicted < 0.5 * squared_error(as_the_one, target).mean()
    frames = Context(torch.rand_like(given.frames), given.times, given.seeds)  # of which clip they are does not matter
    assert torch.equal(ask(model, frames, times, truth), ask(model, given, times, truth))


@BOTH
def test_frames_alone_are_no_use(model: Ceiling) -> None:
    given, times, _, _ = clips(1, 2, 1)
    with pytest.raises(ModelFailed, match=f"{model.name} needs the digits and positions of the context"):
        model(None, frame_shape=(1, 64, 64), context_length=2).predict(given, times)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 48, 48), (1, 64, 32)])
def test_frames_of_another_dataset_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ModelFailed, match="bayes knows frames of moving-mnist only"):
        Bayes(None, frame_shape=shape, context_length=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"digits": None}, "needs truth digits of the context"),
        ({"spins": None, "scaling": None}, "needs truth scaling, spins of the context"),
        ({"stride": None}, "needs truth stride of the context"),
        ({"stride": np.array([0.1, 0.1])}, "stride must be a share of the canvas for each of 1 clips"),
        ({"stride": np.array([np.nan])}, "stride must be a share of the canvas for each of 1 clips"),
        ({"stride": np.array([0.05])}, "digit . of clip 1 .*no trajectory"),
        ({"digits": np.array([[1, 2, 3]])}, "do not fit 1 clips of 3 context frames"),
        ({"positions": np.full((1, 3, 2, 2), np.nan)}, "digits of frames of 64 pixels are at 0..36"),
        ({"positions": np.full((1, 3, 2, 2), 36.5)}, "digits of frames of 64 pixels are at 0..36"),
        ({"positions": np.zeros((1, 3, 2, 2)) + np.array([5.0, 30.0])}, "digit 1 of clip 1 .*no trajectory"),
    ],
)
def test_truth_that_cannot_be_is_one_clear_line(change: dict[str, np.ndarray | None], message: str) -> None:
    given, times, truth, _ = clips(1, 3, 1)
    told = {name: values for name, values in {**truth, **change}.items() if values is not None}
    with pytest.raises(ModelFailed, match=message):
        ask(Bayes, given, times, told)


@pytest.mark.parametrize(
    ("time", "message"), [(3.5, "whole times only, not 3.5"), (2.0, "after the last context frame")]
)
def test_times_it_does_not_claim_are_refused(time: float, message: str) -> None:
    given, _, truth, _ = clips(1, 3, 1)
    with pytest.raises(ModelFailed, match=message):
        ask(Bayes, given, torch.tensor([[time]], dtype=torch.float64), truth)


def test_a_run_puts_both_on_the_board_as_ceilings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VPBENCH_PLUGINS", "movingmnist,metrics,baselines")
    arguments = (
        "run --model copy-last --dataset moving-mnist --context 2 --horizon 3 --clips 4 --metric mse --device cpu"
    )
    result = CliRunner().invoke(main, arguments.split(), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    records = {}
    for name in ("bayes", "bayes-sample"):
        (found,) = Path("runs").glob(f"**/{name}/extrapolate-2-3-*.json")
        records[name] = record = json.loads(found.read_text())
        assert (record["status"], record["about"]["role"]) == ("ok", "ceiling")
        assert "whole-pixel positions" in record["about"]["assumptions"]
    given, times, truth, target = clips(4, 2, 3)
    expected = squared_error(ask(Bayes, given, times, truth), target).mean() / 64**2
    assert records["bayes"]["scores"]["mse"]["value"] == pytest.approx(float(expected), rel=1e-4)


def test_a_run_of_swaps_scores_places_of_the_one_clip_and_digits_of_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VPBENCH_PLUGINS", "movingmnist,metrics,baselines")
    arguments = (
        "run --model copy-appearance --dataset moving-mnist --set digits=1 --set frame_size=28 --task swap --context 2 "
        "--horizon 3 --clips 20 --metric digit-position-error --metric digit-identity --device cpu"
    )
    result = CliRunner().invoke(main, arguments.split(), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    position, identity = {}, {}
    for name in ("bayes", "bayes-sample", "copy-last", "copy-appearance", "train-mean"):
        (found,) = Path("runs").glob(f"**/{name}/swap-2-3-*.json")
        scores = json.loads(found.read_text())["scores"]
        position[name], identity[name] = (scores[f"digit-{what}"]["value"] for what in ("position-error", "identity"))
    dataset, times = MovingMNIST(Config(digits=1, frame_size=28)), np.tile(np.arange(5.0), (20, 1))
    moves, looks = (dataset.clips("test", range(first, 40, 2), times).truth for first in (0, 1))
    to_come = np.floor(moves["positions"][:, 2:, 0])
    # The digit that is looked for is found where it was drawn; another one, of the clip that moves, about there.
    for name, last, tolerance in (("copy-appearance", looks, 1e-9), ("copy-last", moves, 0.5)):
        away = np.floor(last["positions"][:, 1:2, 0]) - to_come
        assert position[name] == pytest.approx(np.hypot(away[..., 0], away[..., 1]).mean(), abs=tolerance)
    assert identity["copy-last"] <= (moves["labels"] == looks["labels"]).mean() + 0.1
    assert identity["copy-appearance"] == identity["bayes-sample"] > 0.9
    assert position["bayes"] < 0.5 * position["copy-last"]
    assert position["bayes-sample"] < 0.5 * position["copy-appearance"]


def test_the_specs_name_what_is_there() -> None:
    specs = {spec.name: spec for spec in vpbench_movingmnist.vpbench_models()}
    assert (specs["bayes"].load(), specs["bayes-sample"].load()) == (Bayes, BayesSample)
    for spec in specs.values():
        assert spec.datasets == ("moving-mnist",)
        assert spec.prefix_stable
