"""The model's promises: what a prediction depends on, and what it does not."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor
from torch.nn import functional as F
from vpbench_latentode import model as model_module
from vpbench_latentode.config import ADAPTIVE_SOLVERS, FIXED_SOLVERS, Config
from vpbench_latentode.model import LatentODE

from vpbench import Context, TrainBatch
from vpbench.cli import main
from vpbench.config import make_config
from vpbench.errors import ConfigError, ModelFailed, Refused
from vpbench.protocols import Swappable, Trainable
from vpbench.registry import load

SIDE, CONTEXT = 16, 3
SMALL = {"dynamics": 4, "appearance": 3, "hidden": 8}


def make(**config: Any) -> LatentODE:
    """A small model in eval mode whose weights are random, but whose states move and whose frames differ."""
    torch.manual_seed(0)
    model = LatentODE(Config(**{**SMALL, **config}), frame_shape=(1, SIDE, SIDE), context_length=CONTEXT)
    with torch.no_grad():
        for parameter in model.field.layers[-1].parameters():
            parameter.mul_(30)
        norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        model.train().predict(contexts(8, seed=9), at([0.0, 3.0, 9.0], 8))
        for norm in norms:
            norm.momentum = 0.1
    return model.eval()


def contexts(clips: int = 3, *, seed: int = 1) -> Context:
    generator = torch.Generator().manual_seed(seed)
    frames = torch.rand(clips, CONTEXT, 1, SIDE, SIDE, generator=generator)
    times = torch.arange(float(CONTEXT), dtype=torch.float64).expand(clips, -1)
    return Context(frames, times, torch.arange(clips))


def at(times: list[float], clips: int = 3) -> Tensor:
    return torch.tensor(times, dtype=torch.float64).expand(clips, -1)


def ask(model: LatentODE, context: Context, times: Tensor) -> Tensor:
    with torch.inference_mode():
        return model.predict(context, times)


def decoded(model: LatentODE, context: Context, times: Tensor) -> Tensor:
    """What the decoder was given by a prediction: (B, Tt, dynamics + appearance)."""
    seen: list[Tensor] = []
    handle = model.decoder.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    ask(model, context, times)
    handle.remove()
    return torch.cat(seen).unflatten(0, times.shape)


# ----------------------------------------------------------------------------------------------------------- contract


def test_prediction_is_as_the_protocol_says() -> None:
    model, context, times = make(), contexts(), at([3.0, 4.0, 5.0, 9.0])
    before = context.frames.clone(), context.times.clone(), times.clone()
    frames = ask(model, context, times)
    assert frames.shape == (3, 4, 1, SIDE, SIDE)
    assert frames.dtype == torch.float32
    assert frames.min() >= 0
    assert frames.max() <= 1
    assert frames.std(dim=1).mean() > 0.01  # something moves, so that the tests below can see it
    assert frames.std(dim=0).mean() > 0.01
    assert not frames.requires_grad
    assert all(torch.equal(*pair) for pair in zip(before, (context.frames, context.times, times), strict=True))


def test_the_spec_says_what_the_class_can_do() -> None:
    spec = load().model("latentode").spec
    assert spec.load() is LatentODE
    assert spec.load_config() is Config
    assert isinstance(make(), Trainable)
    assert isinstance(make(), Swappable) == ("swap" in spec.capabilities)
    assert spec.capabilities == {"fractional", "before-context-end", "swap"}
    assert spec.learns == "weights"


def test_times_may_be_fractional_and_before_the_last_context_frame() -> None:
    model, context = make(), contexts()
    times = [-1.5, 0.0, 0.3, 1.0, 2.0, 2.25, 3.0, 40.75]
    frames = ask(model, context, at(times))
    assert frames.shape == (3, len(times), 1, SIDE, SIDE)
    assert frames.isfinite().all()
    near = ask(model, context, at([2.25, 2.2501]))
    assert (near[:, 0] - near[:, 1]).abs().max() < 1e-3  # continuous in time


def test_asking_for_more_or_less_changes_nothing() -> None:
    model, context = make(), contexts()
    times = [-0.4, 1.0, 2.0, 2.7, 3.0, 4.0, 4.1, 7.0]
    together = ask(model, context, at(times))
    codes = decoded(model, context, at(times))
    for asked in ([3.0], [2.0, 7.0], [4.1, 2.7, 4.1], [-3.0, 4.0, 60.0]):
        frames, states = ask(model, context, at(asked)), decoded(model, context, at(asked))
        for place, time in enumerate(asked):
            if time in times:
                assert torch.equal(states[:, place], codes[:, times.index(time)])
                torch.testing.assert_close(frames[:, place], together[:, times.index(time)], rtol=0, atol=1e-5)


def test_a_longer_horizon_leaves_the_earlier_frames_alone() -> None:
    assert load().model("latentode").spec.prefix_stable
    model, context = make(), contexts()
    long = ask(model, context, at([float(k) for k in range(3, 43)]))
    for horizon in (1, 5, 10):
        short = ask(model, context, at([float(k) for k in range(3, 3 + horizon)]))
        torch.testing.assert_close(short, long[:, :horizon], rtol=0, atol=1e-5)


def test_other_clips_in_the_batch_do_not_matter() -> None:
    model, context = make(), contexts(5)
    times = torch.tensor([[3.0, 4.0], [2.5, 9.0], [-1.0, 3.5], [3.0, 30.0], [3.0, 4.0]], dtype=torch.float64)
    together = ask(model, context, times)
    for clip in range(5):
        rows = slice(clip, clip + 1)
        alone = ask(model, Context(context.frames[rows], context.times[rows], context.seeds[rows]), times[rows])
        torch.testing.assert_close(alone, together[rows], rtol=0, atol=1e-5)


def test_only_time_since_the_last_context_frame_counts() -> None:
    model, context = make(), contexts()
    later = dataclasses.replace(context, times=context.times + 17)
    assert torch.equal(ask(model, context, at([3.0, 4.5])), ask(model, later, at([20.0, 21.5])))


def test_decoding_in_pieces_equals_decoding_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, context, times = make(), contexts(), at([3.0, 4.0, 5.0, 6.0, 7.0])
    whole = ask(model, context, times)
    monkeypatch.setattr(model_module, "DECODE_CHUNK", 4)
    torch.testing.assert_close(ask(model, context, times), whole, rtol=0, atol=1e-5)


# ---------------------------------------------------------------------------------------------------------- structure


@pytest.mark.parametrize(("anchor", "time"), [("last-input", 2.0), ("first-output", 3.0)])
def test_at_the_anchor_the_state_is_the_encoders(anchor: Any, time: float) -> None:
    model, context = make(anchor=anchor), contexts()
    state, _ = model.encoder(context.frames)
    codes = decoded(model, context, at([time - 1, time, time + 1]))
    assert torch.equal(codes[:, 1, :4], state[:, :4])
    assert (codes[:, 0, :4] - state[:, :4]).abs().max() > 0.01


def test_the_two_anchors_are_one_frame_apart() -> None:
    one, other, context = make(anchor="last-input"), make(anchor="first-output"), contexts()
    other.load_state_dict(one.state_dict())
    assert torch.equal(ask(one, context, at([2.0, 5.5])), ask(other, context, at([3.0, 6.5])))


@pytest.mark.parametrize("solver", ["rk4-hermite", "dopri5", "rk4"])
def test_positions_move_at_exactly_the_velocities(solver: Any) -> None:
    model = make(solver=solver, dyn_readout="full", dynamics=8, rtol=1e-7, atol=1e-7)  # the decoder sees both halves
    h, frame_dt = 0.01, model.config.frame_dt
    for time in (1.3, 2.5, 5.1):
        before, now, after = decoded(model, contexts(), at([time - h, time, time + h])).unbind(1)
        speed = (after - before)[:, :4] / (2 * h * frame_dt)
        torch.testing.assert_close(speed, now[:, 4:8], rtol=0.02, atol=0.02)
        assert now[:, 4:8].abs().max() > 0.2


def test_appearance_does_not_change_in_time() -> None:
    model, context = make(), contexts()
    _, appearance = model.encoder(context.frames)
    codes = decoded(model, context, at([-2.0, 2.0, 3.3, 50.0]))
    assert torch.equal(codes[:, :, 4:], appearance.unsqueeze(1).expand(-1, 4, -1))
    assert codes[:, :, :4].std(dim=1).min() > 0


def test_a_swap_takes_motion_from_one_and_looks_from_the_other() -> None:
    model, mover, looker, times = make(), contexts(seed=1), contexts(seed=2), at([1.0, 3.0, 4.5])
    seen: list[Tensor] = []
    handle = model.decoder.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].unflatten(0, (3, 3))))
    with torch.inference_mode():
        swapped = model.swap(mover, looker, times)
    handle.remove()
    assert torch.equal(seen[0][..., :4], decoded(model, mover, times)[..., :4])
    assert torch.equal(seen[0][..., 4:], decoded(model, looker, times)[..., 4:])
    for other in (mover, looker):
        assert (swapped - ask(model, other, times)).abs().max() > 0.01


def test_a_swap_with_itself_is_the_prediction() -> None:
    model, context, times = make(), contexts(), at([2.5, 3.0, 9.0])
    with torch.inference_mode():
        assert torch.equal(model.swap(context, context, times), model.predict(context, times))


def test_a_swap_goes_by_the_clock_of_the_motion() -> None:
    model, mover, looker = make(), contexts(seed=1), contexts(seed=2)
    shifted = dataclasses.replace(looker, times=looker.times + 5)
    with torch.inference_mode():
        assert torch.equal(model.swap(mover, looker, at([4.0])), model.swap(mover, shifted, at([4.0])))


# ------------------------------------------------------------------------------------------------- solvers, precision


def test_stats_count_the_evaluations_of_the_last_prediction() -> None:
    model, context = make(), contexts()
    for times, steps in (
        ([3.0], 1),
        ([4.0], 1),
        ([4.001], 2),
        ([float(k) for k in range(3, 93)], 45),
        ([0.0, 92.0], 46),
    ):
        ask(model, context, at(times))
        assert model.stats() == {"nfe": 4 * steps + 1}
    model = make(solver="dopri5")
    ask(model, context, at([3.0, 12.0]))
    assert model.stats()["nfe"] > 7
    assert "nfe" not in str(model.state_dict().keys())


@pytest.mark.parametrize("solver", [*ADAPTIVE_SOLVERS, *FIXED_SOLVERS])
def test_every_solver_predicts_the_same_frames(solver: Any) -> None:
    context, times = contexts(), at([0.0, 1.7, 2.0, 3.0, 5.5, 8.0])
    fine = 0.1 if solver in FIXED_SOLVERS else 2.0
    expected = ask(make(), context, times)
    found = ask(make(solver=solver, rtol=1e-6, atol=1e-6, frames_per_step=fine), context, times)
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-2 if solver == "euler" else 2e-3)


def test_a_solver_that_gives_up_is_a_failure_in_one_line() -> None:
    for broken in ("weight", "bias"):
        model = make(solver="dopri5")
        with torch.no_grad():
            getattr(model.field.layers[0], broken).fill_(math.nan)
        with pytest.raises(ModelFailed, match=r"^dopri5 gave up: [^\n]{5,100}$"):
            ask(model, contexts(), at([3.0]))
    model = make(solver="bosh3")
    with torch.no_grad():
        model.encoder.code.bias.fill_(math.inf)
    with pytest.raises(ModelFailed, match=r"^bosh3 gave up: [^\n]{5,100}$"):
        ask(model, contexts(), at([3.0]))


def test_under_autocast_the_state_is_still_integrated_in_float32() -> None:
    model, context, times = make(), contexts(), at([1.0, 3.0, 12.0])
    seen: dict[str, set[torch.dtype]] = {"field": set(), "encoder": set(), "decoder": set()}
    for name, layer in (
        ("field", model.field.layers[0]),
        ("encoder", model.encoder.layers[0]),
        ("decoder", model.decoder.layers[1]),
    ):
        layer.register_forward_hook(lambda _, __, output, name=name: seen[name].add(output.dtype))
    full = ask(model, context, times)
    assert seen == {name: {torch.float32} for name in seen}
    seen = {name: set() for name in seen}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = ask(model, context, times)
    assert seen == {"field": {torch.float32}, "encoder": {torch.bfloat16}, "decoder": {torch.bfloat16}}
    assert half.dtype == torch.float32
    assert (half - full).abs().mean() < 0.05


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_predicts_what_a_cpu_does() -> None:
    model, context, times = make(), contexts(), at([0.5, 3.0, 8.0])
    expected = ask(model, context, times)
    found = ask(model.cuda(), dataclasses.replace(context, frames=context.frames.cuda()), times)
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=1e-3)


# ----------------------------------------------------------------------------------------------------------- training


def blobs(clips: int, frames: int, side: int = SIDE) -> Tensor:
    """Gaussian blobs of different widths in uniform motion, float32 (B, T, 1, side, side)."""
    generator = torch.Generator().manual_seed(0)
    start = (0.3 + 0.4 * torch.rand(clips, 2, 1, generator=generator)) * side
    speed = (torch.rand(clips, 2, 1, generator=generator) - 0.5) * 0.08 * side
    width = (0.08 + 0.08 * torch.rand(clips, 1, 1, 1, generator=generator)) * side
    x, y = (start + speed * torch.arange(frames)).unbind(1)
    pixel = torch.arange(side)
    distance = (pixel - x[:, :, None]).square()[:, :, None, :] + (pixel - y[:, :, None]).square()[:, :, :, None]
    return torch.exp(-distance / (2 * width**2)).unsqueeze(2)


def batch(clips: int = 4, side: int = SIDE) -> TrainBatch:
    """Context frames 0, 1, 2; targets 1 (which is one of them), 3, 4, 6."""
    frames = blobs(clips, 7, side)
    times = torch.arange(7, dtype=torch.float64).expand(clips, -1)
    wanted = [1, 3, 4, 6]
    context = Context(frames[:, :CONTEXT], times[:, :CONTEXT], torch.arange(clips))
    return TrainBatch(context, times[:, wanted], frames[:, wanted])


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"dyn_readout": "full", "decoder_tail": "author", "anchor": "first-output", "structure": "first-order"},
        {"solver": "dopri5", "activation": "softplus", "spatial_frequencies": 2},
    ],
)
def test_loss_is_a_finite_scalar_that_depends_on_every_parameter(config: dict[str, Any]) -> None:
    model = make(**config).train()
    losses = model.loss(batch(), progress=0.0)
    assert losses["loss"].shape == ()
    assert losses["loss"].isfinite()
    losses["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_loss_is_the_error_of_the_prediction_and_a_small_penalty() -> None:
    model, given = make(latent_penalty=0.01), batch()
    with torch.no_grad():
        losses = model.loss(given, progress=0.5)
    mse = F.mse_loss(ask(model, given.context, given.target_times), given.target)
    positions = decoded(model, given.context, given.target_times)[..., :4]
    norm = positions.norm(dim=-1).mean()
    torch.testing.assert_close(losses["mse"], mse, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(losses["loss"], mse + 0.01 * norm, rtol=1e-4, atol=1e-7)


def test_four_clips_can_be_learnt_by_heart() -> None:
    torch.manual_seed(0)
    given = batch(side=28)
    model = LatentODE(Config(**SMALL, learning_rate=2e-3), frame_shape=(1, 28, 28), context_length=CONTEXT).train()
    (optimiser,) = model.optimisers().values()
    for _ in range(40):
        optimiser.zero_grad()
        loss = model.loss(given, progress=0.0)["loss"]
        loss.backward()
        optimiser.step()
    mean_frame = given.target.mean(dim=(0, 1))
    assert loss.item() < 0.2 * F.mse_loss(mean_frame.expand_as(given.target), given.target).item()


def test_sampling_follows_the_config() -> None:
    task = make(train_targets=5, target_emphasis=0.5).sampling(0.3)
    assert (task.context, task.first, task.targets, task.emphasis) == (CONTEXT, 1 - CONTEXT, 5, 0.5)
    assert make(train_past=False).sampling(0.0).first == 1


# ---------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("shape", [(1, 7, 64), (1, 64, 7), (3, 4, 4)])
def test_frames_that_are_too_small_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(Refused, match=f"at least 8 pixels a side, got {shape[1]}×{shape[2]}"):
        LatentODE(Config(**SMALL), frame_shape=shape, context_length=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dynamics": "0"}, "dynamics must be at least 1, got 0"),
        ({"appearance": "-3"}, "appearance must not be negative"),
        ({"hidden": "0"}, "hidden must be at least 1"),
        ({"train_targets": "0"}, "train_targets must be at least 1"),
        ({"frames_per_step": "0"}, "frames_per_step must be positive and finite, got 0.0"),
        ({"frame_dt": "inf"}, "frame_dt must be positive and finite, got inf"),
        ({"rtol": "-1e-3"}, "rtol must be positive"),
        ({"learning_rate": "0"}, "learning_rate must be positive"),
        ({"weight_decay": "-1"}, "weight_decay must be finite and not negative"),
        ({"output_bias": "inf"}, "output_bias must be finite"),
        ({"dyn_readout": "full", "dynamics": "5"}, "dyn_readout=full halves dynamics, so it must be even, got 5"),
        ({"spatial_frequencies": "-1"}, "spatial_frequencies must be from 0 to 16, got -1"),
        ({"spatial_frequencies": "2000"}, "spatial_frequencies must be from 0 to 16, got 2000"),
        ({"frames_per_step": "1e-6"}, "frames_per_step must be from 0.001 to 10000, got 1e-06"),
        ({"frame_dt": "1e308"}, "frame_dt must be from 0.001 to 10000, got 1e+308"),
        ({"solver": "rk5"}, "'rk5' is not one of rk4-hermite, dopri5"),
        ({"anchors": "x"}, "did you mean anchor"),
    ],
)
def test_config_values_without_sense_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(Config, settings, owner="latentode")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------- through the harness


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`vpbench run` of two small clips on this plugin's dependencies alone."""
    monkeypatch.setenv("VPBENCH_PLUGINS", "latentode,movingmnist,metrics")

    def run(*options: str) -> Result:
        line = "run --model latentode --dataset moving-mnist --set moving-mnist.frame_size=28 --context 3 --horizon 2"
        line += f" --clips 2 --device cpu --metric mse --results {tmp_path} --set hidden=16"
        return CliRunner().invoke(main, [*line.split(), *options])

    return run


@pytest.mark.parametrize("solver", ["rk4-hermite", "dopri5"])
def test_the_solver_is_chosen_on_the_command_line(run: Any, solver: str, tmp_path: Path) -> None:
    result = run("--allow-untrained", "--set", f"solver={solver}")
    assert result.exit_code == 0, result.output
    records = [path.read_text() for path in tmp_path.glob("moving-mnist/latentode/*.json")]
    assert records
    for record in records:
        assert f'"solver": "{solver}"' in record
        assert '"nfe": ' in record


def test_without_weights_the_line_to_train_them_is_told(run: Any) -> None:
    result = run()
    assert result.exit_code == 3, result.output
    assert "vpbench train --model latentode --dataset moving-mnist" in result.output
