"""The digit metrics on frames whose scores are known, and that a black frame does not win."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import vpbench_movingmnist
from scipy.ndimage import gaussian_filter
from vpbench_movingmnist import digits, poses
from vpbench_movingmnist.dataset import Config, MovingMNIST
from vpbench_movingmnist.digit_network import trained_network
from vpbench_movingmnist.generator import render

import vpbench
from vpbench.errors import PluginError

SPECS = {spec.name: spec for spec in vpbench_movingmnist.vpbench_metrics()}
NAMES = ["digit-position-error", "digit-identity", "digit-feature-distance"]
STEPS = 12


class Clips:
    """Test clips, and what is predicted for them."""

    def __init__(self, count: int = 2, size: int = 64, clips: int = 6, **config: float) -> None:
        self.size = size
        made = MovingMNIST(Config(digits=count, frame_size=size, **config)).clips(
            "test", range(clips), np.tile(np.arange(float(STEPS)), (clips, 1))
        )
        self.frames = (np.asarray(made.frames) / 255).astype(np.float32)
        self.truth = made.truth

    def scored(self, predicted: np.ndarray, steps: slice = slice(None)) -> vpbench.Scored:
        return vpbench.Scored(
            predicted=torch.from_numpy(np.ascontiguousarray(predicted, dtype=np.float32)),
            target=torch.from_numpy(self.frames[:, steps].copy()),
            truth={
                name: value[:, steps] if name in ("positions", "velocities", "angles", "scales") else value
                for name, value in self.truth.items()
            },
        )

    def drawn(self, numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Frames of these digits at these positions, as the dataset would draw them."""
        glyphs = digits.images()[numbers]
        return render(glyphs if self.size == 64 else digits.half_size(glyphs), positions, size=self.size) / 255


def measured(name: str, scored: vpbench.Scored) -> np.ndarray:
    """The score of each clip and step."""
    metric = SPECS[name].load()(None)
    statistics = {key: value.numpy() for key, value in metric.statistics(scored).items()}
    assert set(statistics) == set(SPECS[name].statistics)
    values = metric.score(statistics)
    assert values.shape == scored.target.shape[:2]
    assert values.dtype == np.float64
    return values


@pytest.fixture(scope="module")
def clips() -> Clips:
    return Clips()


def better(name: str, one: float, other: float) -> bool:
    return one > other if SPECS[name].higher_is_better else one < other


@pytest.mark.parametrize("name", NAMES)
def test_black_is_behind_all_that_shows_something_and_behind_noise(name: str, clips: Clips) -> None:
    rng = np.random.default_rng(0)
    black = measured(name, clips.scored(0 * clips.frames)).mean()
    mean_frame = np.broadcast_to(clips.frames.mean((0, 1)), clips.frames.shape)
    for other in (
        clips.frames,
        0.3 * clips.frames,
        gaussian_filter(clips.frames, (0, 0, 0, 3, 3)),
        np.roll(clips.frames, 1, axis=0),  # another clip
        clips.drawn(np.roll(clips.truth["digits"], 1, axis=0), clips.truth["positions"]),  # other digits
        np.broadcast_to(clips.frames.mean(1, keepdims=True), clips.frames.shape),  # the mean of the clip
        mean_frame,
        rng.random(clips.frames.shape),
    ):
        assert better(name, measured(name, clips.scored(other)).mean(), black)
    for late in (1, 5, 10):
        stale = measured(name, clips.scored(clips.frames[:, :-late], slice(late, None))).mean()
        assert better(name, stale, black)


@pytest.mark.parametrize("size", [64, 32, 28])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_truth_is_perfect_but_where_digits_hide_each_other(count: int, size: int) -> None:
    made = Clips(count, size, clips=4)
    scored = made.scored(made.frames)
    assert not measured("digit-position-error", scored).any()
    assert not measured("digit-feature-distance", scored).any()
    identity = measured("digit-identity", scored)
    assert identity.mean() > (0.95 if count == 1 else 0.7)
    assert set(np.round(identity * count, 9).ravel()) <= set(range(count + 1))


@pytest.mark.parametrize(("count", "size"), [(1, 64), (2, 64), (1, 28)])
@pytest.mark.parametrize("config", [{"rotation": 20.0}, {"scaling": 0.5}, {"rotation": 20.0, "scaling": 0.5}])
def test_the_truth_is_perfect_where_digits_turn_and_change_size(count: int, size: int, config: dict) -> None:
    made = Clips(count, size, clips=8, **config)
    scored = made.scored(made.frames)
    assert not measured("digit-position-error", scored).any()
    identity = measured("digit-identity", scored)
    assert identity.mean() > 0.8
    assert identity[:, 6:].mean() > identity[:, :6].mean() - 0.1  # not only while they are all but upright


def test_a_digit_that_stands_as_another_would_is_hardly_read() -> None:
    """It is how the truth stands that is undone, not whatever the prediction shows."""
    one = Clips(1, clips=20, rotation=20)
    upright = measured("digit-identity", one.scored(one.drawn(one.truth["digits"], one.truth["positions"])))
    turned = abs((one.truth["angles"][:, :, 0] + 180) % 360 - 180) > 60
    assert turned.sum() > 40
    assert upright[turned].mean() < 0.6
    assert measured("digit-identity", one.scored(one.frames))[turned].mean() > 0.9


def test_two_turning_digits_that_change_places_are_read_as_the_ones_that_should_be_there() -> None:
    made = Clips(2, clips=12, rotation=20)
    turned = poses.glyphs(made.truth["digits"], made.truth["angles"], made.truth["scales"], size=28)
    other_way_round = render(turned, np.ascontiguousarray(made.truth["positions"][:, :, ::-1]), size=64) / 255
    scored = made.scored(other_way_round)
    assert measured("digit-position-error", scored).mean() < 0.5
    apart = np.hypot(*np.moveaxis(np.diff(made.truth["positions"], axis=2)[:, :, 0], -1, 0)) > 28
    differ = made.truth["labels"][:, 0] != made.truth["labels"][:, 1]
    assert measured("digit-identity", scored)[apart & differ[:, None]].mean() < 0.2


# --------------------------------------------------------------------------------------------------- position error


def test_black_is_as_bad_as_not_looking_and_not_the_worst_there_is(clips: Clips) -> None:
    rng = np.random.default_rng(0)
    anywhere = clips.drawn(clips.truth["digits"], rng.uniform(0, 37, clips.truth["positions"].shape).clip(0, 36))
    corners = clips.drawn(clips.truth["digits"], np.where(clips.truth["positions"] < 18, 36.0, 0.0))
    black, random, far = (
        measured("digit-position-error", clips.scored(each)).mean() for each in (0 * clips.frames, anywhere, corners)
    )
    assert random < black + 1  # the pairing takes the better of two
    assert far > black + 5


@pytest.mark.parametrize("level", [0.11, 0.2, 1.0])
def test_a_grey_frame_scores_what_the_centre_does_and_so_less_than_black(level: float, clips: Clips) -> None:
    one = Clips(count=1)
    away = np.floor(one.truth["positions"][:, :, 0]) - 18
    found = measured("digit-position-error", one.scored(np.full_like(one.frames, level)))
    np.testing.assert_allclose(found, np.hypot(away[..., 0], away[..., 1]), rtol=1e-12)
    grey, black = (
        measured("digit-position-error", clips.scored(np.full_like(clips.frames, each))).mean() for each in (level, 0)
    )
    assert grey < black - 2


@pytest.mark.parametrize("away", [1, 2, 3, 4, 5])
def test_digits_that_are_off_by_pixels_score_these_pixels(away: int) -> None:
    one = Clips(count=1)
    places = np.floor(one.truth["positions"])
    shifted = places.copy()
    shifted[..., 1] += np.where(places[..., 1] > 18, -away, away)
    scored = one.scored(one.drawn(one.truth["digits"], shifted))
    assert (measured("digit-position-error", scored) == away).all()
    assert away < measured("digit-position-error", one.scored(0 * one.frames)).min()


def test_a_wrong_digit_in_the_right_place_is_about_right(clips: Clips) -> None:
    other = clips.drawn(np.roll(clips.truth["digits"], 1, axis=0), clips.truth["positions"])
    assert measured("digit-position-error", clips.scored(other)).mean() < 5


def test_digits_that_change_places_are_at_the_true_places(clips: Clips) -> None:
    swapped = clips.drawn(clips.truth["digits"], clips.truth["positions"][:, :, ::-1])
    scored = clips.scored(swapped)
    assert not measured("digit-position-error", scored).any()
    apart = np.hypot(*np.moveaxis(np.diff(clips.truth["positions"], axis=2)[:, :, 0], -1, 0)) > 28
    differ = clips.truth["labels"][:, 0] != clips.truth["labels"][:, 1]
    assert measured("digit-identity", scored)[apart & differ[:, None]].mean() < 0.1


def test_positions_are_truncated_as_they_are_drawn() -> None:
    one = Clips(count=1, clips=3)
    one.truth = {**one.truth, "positions": np.floor(one.truth["positions"]) + 0.999}
    assert not measured("digit-position-error", one.scored(one.frames)).any()


def test_a_lost_digit_costs_what_a_random_place_would() -> None:
    one = Clips(count=1, clips=2)
    everywhere = np.stack(np.meshgrid(np.arange(37), np.arange(37), indexing="ij"), axis=-1).reshape(-1, 2)
    true = np.floor(one.truth["positions"][:, :, 0])
    expected = np.hypot(*np.moveaxis(true[:, :, None] - everywhere, -1, 0)).mean(-1)
    np.testing.assert_allclose(measured("digit-position-error", one.scored(0 * one.frames)), expected, rtol=1e-12)


# --------------------------------------------------------------------------------------------------------- identity


def test_identity_is_that_of_the_digits_drawn_not_of_those_meant() -> None:
    one = Clips(count=1, clips=20)
    changed = np.roll(one.truth["digits"], 1, axis=0)
    scored = one.scored(one.drawn(changed, one.truth["positions"]))
    same = (digits.labels()[changed] == one.truth["labels"])[:, 0]
    values = measured("digit-identity", scored)
    assert values[~same].mean() < 0.1
    assert values[same].mean() > 0.9
    assert not measured("digit-identity", one.scored(0 * one.frames)).any()


def test_identity_fades_with_the_digits(clips: Clips) -> None:
    levels = [measured("digit-identity", clips.scored(level * clips.frames)).mean() for level in (1, 0.03, 0)]
    assert levels[0] > 0.85
    assert levels[0] > levels[1] + 0.5
    assert levels[2] == 0


# -------------------------------------------------------------------------------------------------- feature distance


@pytest.mark.parametrize("size", [64, 32])
def test_feature_distance_is_that_of_a_plain_loop(size: int) -> None:
    made = Clips(size=size, clips=1)
    predicted = gaussian_filter(made.frames, (0, 0, 0, 1, 1))[:, :2]
    network = trained_network(torch.device("cpu"))

    def vectors(frame: np.ndarray) -> list[np.ndarray]:
        """Per layer, the unit-length vector of each place, float64 (places, K)."""
        image = torch.from_numpy(frame.copy())[None]
        if size == 32:
            image = torch.nn.functional.interpolate(image, size=(64, 64), mode="bilinear", align_corners=False)
        layers = []
        for features in network.features(image):
            columns = features[0].double().numpy().reshape(features.shape[1], -1).T
            layers.append(np.array([v / np.sqrt(sum(v * v) + 0.01) for v in columns]))
        return layers

    black = vectors(np.zeros((1, size, size), dtype=np.float32))
    for step in range(2):
        shares = []
        for p, t, b in zip(vectors(predicted[0, step]), vectors(made.frames[0, step]), black, strict=True):
            shares.append(((p - t) ** 2).sum() / (((p - b) ** 2).sum() + ((t - b) ** 2).sum()))
        found = measured("digit-feature-distance", made.scored(predicted, slice(0, 2)))[0, step]
        assert found == pytest.approx(sum(shares) / 5, rel=1e-4)


def test_feature_distance_of_black_is_one_and_two_black_frames_are_alike(clips: Clips) -> None:
    black = clips.scored(0 * clips.frames)
    np.testing.assert_allclose(measured("digit-feature-distance", black), 1, rtol=1e-6)
    both = vpbench.Scored(predicted=black.predicted, target=black.predicted, truth=clips.truth)
    assert not measured("digit-feature-distance", both).any()


def test_feature_distance_may_exceed_one_where_features_run_against_the_truth() -> None:
    """Gradient ascent on two frames: black is not the worst there is, as the definition never says."""
    clips = Clips(clips=1)
    network = trained_network(torch.device("cpu"))
    target = torch.from_numpy(clips.frames[:, :2]).flatten(0, 1)

    def features(frames: torch.Tensor) -> list[torch.Tensor]:
        return [each * (each.square().sum(1, keepdim=True) + 0.01).rsqrt() for each in network.features(frames)]

    black = features(torch.zeros_like(target))
    true = [each - dark for each, dark in zip(features(target), black, strict=True)]
    frames = (0.1 * torch.rand(target.shape, generator=torch.Generator().manual_seed(0))).requires_grad_()
    optimiser = torch.optim.Adam([frames], lr=0.03)
    for _ in range(40):
        shown = [each - dark for each, dark in zip(features(frames), black, strict=True)]
        apart = [(a - b).square().sum() / (a.square() + b.square()).sum() for a, b in zip(shown, true, strict=True)]
        optimiser.zero_grad()
        (-torch.stack(apart).sum()).backward()
        optimiser.step()
        frames.data.clamp_(0, 1)
    predicted = frames.detach().numpy()[None]
    assert measured("digit-feature-distance", clips.scored(predicted, slice(0, 2)))[0].min() > 1


def test_feature_distance_grows_with_the_error_and_knows_no_direction(clips: Clips) -> None:
    blurred = [gaussian_filter(clips.frames, (0, 0, 0, s, s)) for s in (0.5, 1, 2, 3)]
    values = [measured("digit-feature-distance", clips.scored(each)).mean() for each in blurred]
    assert values == sorted(values)
    assert 0 < values[0] < 0.05 < 0.2 < values[-1] < 1
    there = clips.scored(blurred[-1])
    back = vpbench.Scored(predicted=there.target, target=there.predicted, truth=clips.truth)
    np.testing.assert_allclose(
        measured("digit-feature-distance", back), measured("digit-feature-distance", there), rtol=1e-5
    )


def test_what_nobody_sees_is_no_distance(clips: Clips) -> None:
    faint = np.clip(clips.frames + 0.002 * np.random.default_rng(0).random(clips.frames.shape), 0, 1)
    assert measured("digit-feature-distance", clips.scored(faint)).max() < 0.005


# ---------------------------------------------------------------------------------------------- as the core sees them


@pytest.mark.parametrize("name", NAMES)
def test_clips_do_not_depend_on_their_batch_and_inputs_are_left_alone(name: str, clips: Clips) -> None:
    predicted = gaussian_filter(clips.frames, (0, 0, 0, 2, 2))
    whole = clips.scored(predicted)
    before = whole.predicted.clone(), whole.target.clone()
    values = measured(name, whole)
    assert torch.equal(whole.predicted, before[0])
    assert torch.equal(whole.target, before[1])
    part = vpbench.Scored(
        predicted=whole.predicted[3:5],
        target=whole.target[3:5],
        truth={key: value[3:5] for key, value in whole.truth.items()},
    )
    np.testing.assert_allclose(measured(name, part), values[3:5], atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 2, 3, 64, 64), (1, 2, 1, 48, 48), (1, 2, 1, 64, 32)])
def test_frames_of_another_kind_are_refused_in_one_line(name: str, shape: tuple[int, ...]) -> None:
    truth = {"positions": np.zeros((1, 2, 2, 2)), "digits": np.array([[0, 1]])}
    scored = vpbench.Scored(predicted=torch.zeros(shape), target=torch.zeros(shape), truth=truth)
    with pytest.raises(PluginError, match=r"frames of one channel and 64×64, 32×32, 28×28 pixels, got \d×\d\d×\d\d$"):
        SPECS[name].load()(None).statistics(scored)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_measures_the_same(name: str, clips: Clips) -> None:
    here = clips.scored(gaussian_filter(clips.frames, (0, 0, 0, 1, 1)))
    there = vpbench.Scored(predicted=here.predicted.cuda(), target=here.target.cuda(), truth=here.truth)
    np.testing.assert_allclose(measured(name, there), measured(name, here), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_measuring_draws_no_random_numbers(name: str, clips: Clips) -> None:
    trained_network.cache_clear()
    before = torch.random.get_rng_state()
    measured(name, clips.scored(clips.frames))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_means_of_any_shape(name: str) -> None:
    means = {statistic: np.arange(6.0).reshape(2, 3) + k for k, statistic in enumerate(SPECS[name].statistics)}
    own = means[name.replace("-", "_")]
    assert (SPECS[name].load()(None).score(means) == own).all()


def test_boards_need_no_torch_for_the_scores() -> None:
    code = (
        "import sys, numpy as np, vpbench_movingmnist as plugin\n"
        "for spec in plugin.vpbench_metrics():\n"
        "    spec.load()(None).score({name: np.ones(3) for name in spec.statistics})\n"
        "print(*{'torch', 'numba', 'scipy'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


LAST = """
import vpbench

class Last:
    def __init__(self, config, *, frame_shape, context_length):
        pass

    def predict(self, context, target_times):
        return context.frames[:, -1:].expand(-1, target_times.shape[1], -1, -1, -1)
"""


def test_a_run_measures_them_by_default_and_searches_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner
    from vpbench_movingmnist import digit_statistics

    from vpbench.cli import main

    calls = []

    def counted(name: str) -> None:
        function = getattr(digit_statistics, name)
        monkeypatch.setattr(digit_statistics, name, lambda *a, **k: calls.append(name) or function(*a, **k))

    counted("find_digits")
    counted("digit_feature_distance")
    monkeypatch.setenv("VPBENCH_PLUGINS", "movingmnist")
    (tmp_path / "last.py").write_text(LAST)
    command = ["run", "--model", f"{tmp_path / 'last.py'}:Last", "--dataset", "moving-mnist", "--horizon", "3"]
    ran = CliRunner().invoke(main, [*command, "--clips", "4", "--results", str(tmp_path / "runs"), "--device", "cpu"])
    assert ran.exit_code == 0, ran.output
    assert calls.count("find_digits") == calls.count("digit_feature_distance") > 0  # once per batch
    (record,) = tmp_path.glob("runs/moving-mnist/last/extrapolate-10-3-*.json")
    scores = json.loads(record.read_text())["scores"]
    assert set(scores) == set(NAMES)
    assert scores["digit-position-error"]["per_step"][0] == pytest.approx(3.5, abs=0.5)  # 3.6 px, in whole pixels
    assert 0 < scores["digit-feature-distance"]["value"] < 1
    assert scores["digit-identity"]["per_step"][0] > 0.7
