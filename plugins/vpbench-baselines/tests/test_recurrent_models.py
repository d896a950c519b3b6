"""ConvLSTM and PhyDNet have the published parameters, losses and schedules, and never see what they predict."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from vpbench_baselines import convlstm_config, phydnet_config
from vpbench_baselines.convlstm import ConvLSTM
from vpbench_baselines.moments import kernel_moments, moment_loss
from vpbench_baselines.phydnet import PhyCell, PhyDNet, teacher_forcing

from vpbench import Context, TrainBatch
from vpbench.errors import Refused
from vpbench.recurrent import scheduled_sampling

TINY_CONVLSTM = convlstm_config.Config(hidden=3, layers=2, kernel=3, patch=2)
TINY_PHYDNET = phydnet_config.Config(width=16, hidden=8, layers=2)
TINY: list[tuple[type, Any]] = [(ConvLSTM, TINY_CONVLSTM), (PhyDNet, TINY_PHYDNET)]
both = pytest.mark.parametrize(("model", "config"), TINY, ids=["convlstm", "phydnet"])


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def context_of(frames: Tensor, observed: Tensor | None = None) -> Context:
    clips, length = frames.shape[:2]
    times = torch.arange(length, dtype=torch.float64).expand(clips, -1)
    return Context(frames, times, torch.arange(clips), observed)


def batch_of(frames: Tensor, context: int, *, update: int = 0) -> TrainBatch:
    times = torch.arange(frames.shape[1], dtype=torch.float64).expand(len(frames), -1)
    return TrainBatch(context_of(frames[:, :context]), times[:, context:], frames[:, context:], update)


def following(context: Context, n: int) -> Tensor:
    return context.times[:, -1:] + torch.arange(1, n + 1, dtype=torch.float64)


def test_where_the_gain_is_one_the_physical_state_is_what_is_seen_and_where_it_is_zero_what_was_predicted() -> None:
    cell = PhyCell(4, 3)
    u, h = torch.randn(2, 4, 6, 6), torch.randn(2, 4, 6, 6)
    with torch.no_grad():
        cell.gain.weight.zero_()
        cell.gain.bias.fill_(50.0)
        torch.testing.assert_close(cell(u, h), u)
        cell.gain.bias.fill_(-50.0)
        torch.testing.assert_close(cell(u, h), h + cell.combine(cell.norm(cell.derivatives(h))))


# --------------------------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("model", "config", "used", "reported"),
    [
        (ConvLSTM, convlstm_config.Config(), 11_675_648, 15_083_520),
        (ConvLSTM, convlstm_config.LargeConfig(), 26_115_072, 33_782_784),
        (PhyDNet, phydnet_config.Config(), 3_091_732, 3_091_732),
    ],
    ids=["convlstm", "convlstm-large", "phydnet"],
)
def test_parameters_are_those_of_the_published_code_less_what_it_never_uses(
    model: Any, config: Any, used: int, reported: int
) -> None:
    with torch.device("meta"):
        made = model(config, frame_shape=(1, 64, 64), context_length=10)
    assert sum(parameter.numel() for parameter in made.parameters()) == used
    if model is ConvLSTM:
        hidden = config.hidden
        unused = config.layers * (hidden * 2 * hidden * config.kernel**2 + hidden * 2 * hidden)
        assert used + unused == reported
    for text in (f"{used:,}", f"{reported:,}"):
        assert text in (model.__doc__ or "")


@both
def test_every_parameter_has_a_gradient(model: Any, config: Any) -> None:
    made = model(config, frame_shape=(1, 8, 8), context_length=3)
    made.loss(batch_of(torch.rand(2, 6, 1, 8, 8), 3), progress=0.9)["loss"].backward()
    assert [name for name, value in made.named_parameters() if value.grad is None or not value.grad.any()] == []


# ------------------------------------------------------------------------------------------------------- moment loss


def test_moments_are_sums_over_taps() -> None:
    kernels = torch.randn(2, 3, 7, 7)
    found = kernel_moments(kernels)
    assert found.dtype == torch.float64
    for first, second in ((0, 0), (1, 2)):
        kernel = kernels[first, second].double().numpy()
        for i in range(7):
            for j in range(7):
                total = sum(
                    (row - 3) ** i / math.factorial(i) * (column - 3) ** j / math.factorial(j) * kernel[row, column]
                    for row in range(7)
                    for column in range(7)
                )
                assert float(found[first, second, i, j]) == pytest.approx(total, rel=1e-9, abs=1e-9)


def test_the_moment_loss_is_its_formula() -> None:
    weight = torch.randn(9, 4, 3, 3)
    total = 0.0
    for channel in range(4):
        squares = []
        for filter_ in range(9):
            moments = kernel_moments(weight[filter_, channel])
            for i in range(3):
                for j in range(3):
                    wanted = 1.0 if (i, j) == (filter_ // 3, filter_ % 3) else 0.0
                    squares.append((float(moments[i, j]) - wanted) ** 2)
        total += sum(squares) / len(squares)
    assert float(moment_loss(weight)) == pytest.approx(total, rel=1e-6)


def test_the_moment_loss_pulls_the_filters_of_the_model_by_its_gradient_under_autocast_too() -> None:
    made = PhyDNet(TINY_PHYDNET, frame_shape=(1, 8, 8), context_length=3)
    weight = made.physical.derivatives.weight
    with torch.autocast("cpu", torch.bfloat16):
        moment = made.loss(batch_of(torch.rand(1, 4, 1, 8, 8), 3), progress=0.0)["moment"]
    moment.backward()
    powers = np.array([[(u - 3.0) ** i / math.factorial(i) for u in range(7)] for i in range(7)])
    for filter_, channel in ((0, 0), (24, 5), (48, 31)):
        off = powers @ weight[filter_, channel].detach().double().numpy() @ powers.T
        off[filter_ // 7, filter_ % 7] -= 1
        expected = powers.T @ off @ powers * 2 / (49 * 7 * 7)  # of the mean over filters and moments
        np.testing.assert_allclose(weight.grad[filter_, channel].numpy(), expected, rtol=1e-4, atol=1e-6)


def test_filters_that_take_derivatives_have_no_moment_loss_and_take_them() -> None:
    powers = torch.tensor([[(u - 3.0) ** i / math.factorial(i) for u in range(7)] for i in range(7)]).double()
    inverse = torch.linalg.inv(powers)
    units = torch.eye(49, dtype=torch.float64).reshape(49, 7, 7)
    filters = (inverse @ units @ inverse.T).unsqueeze(1)
    assert float(moment_loss(filters)) < 1e-12
    # Of x²y: filter (1, 2) is d/dy d²/dx², which is 2 everywhere.
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(9.0), indexing="ij")
    taken = torch.nn.functional.conv2d((x**2 * y).double()[None, None], filters)
    torch.testing.assert_close(taken[0, 9], torch.full((3, 3), 2.0, dtype=torch.float64))


# -------------------------------------------------------------------------------------------------------------- loss


def published_mse(model: Any, frames: Tensor, given: list[list[bool]]) -> float:
    """Of frames 2 to the last, from the model's own steps, clip by clip in float64; given[k][clip]: is frame k fed?"""
    squares = []
    for clip in range(len(frames)):
        state, predicted = None, frames[clip : clip + 1, 0]
        for at in range(frames.shape[1] - 1):
            fed = frames[clip : clip + 1, at] if given[at][clip] else predicted
            if isinstance(model, ConvLSTM):
                patches, state = model.step(model._cut(fed[:, None])[:, 0], state)
                side = model.config.patch
                predicted = torch.zeros_like(fed)
                for depth in range(patches.shape[1]):
                    predicted[:, 0, depth // side :: side, depth % side :: side] = patches[:, depth]
            else:
                predicted, state = model.step(fed, state)
            squares += (predicted - frames[clip, at + 1]).double().square().flatten().tolist()
    return sum(squares) / len(squares)


@both
@pytest.mark.parametrize("progress", [0.0, 1.0])
def test_the_loss_is_the_error_of_every_next_frame(model: Any, config: Any, progress: float) -> None:
    made = model(config, frame_shape=(1, 8, 8), context_length=3).eval()
    frames = torch.rand(2, 6, 1, 8, 8)
    with torch.no_grad():
        losses = made.loss(batch_of(frames, 3), progress=progress)
        given = [[True] * 2] * 3 + [[progress == 0.0] * 2] * 2
        expected = published_mse(made, frames, given)
        assert float(losses["mse"]) == pytest.approx(expected, rel=1e-5)
        whole = expected
        if model is PhyDNet:
            whole = 5 * expected + float(moment_loss(made.physical.derivatives.weight))
        assert float(losses["loss"]) == pytest.approx(whole, rel=1e-5)
        # Frames that come one too early, or stand still, are another loss.
        for wrong in (frames.roll(1, dims=1), frames[:, :1].expand_as(frames)):
            other = batch_of(torch.cat([frames[:, :3], wrong[:, 3:]], dim=1), 3)
            assert abs(float(made.loss(other, progress=progress)["mse"]) - expected) > 1e-3


@both
def test_the_gradient_is_that_of_the_loss(model: Any, config: Any) -> None:
    """Along the gradient the loss rises by the gradient's length, through what is fed back too."""
    made = model(config, frame_shape=(1, 8, 8), context_length=2)
    batch = batch_of(torch.rand(1, 5, 1, 8, 8), 2)
    made.loss(batch, progress=1.0)["mse"].backward()
    weight = made.cells[0].gates.weight if model is ConvLSTM else made.physical.combine.weight
    length = weight.grad.norm()
    sides = []
    with torch.no_grad():
        for reach in (0.002, -0.002):
            weight.add_(weight.grad / length, alpha=reach)
            sides.append(float(made.loss(batch, progress=1.0)["mse"]))
            weight.sub_(weight.grad / length, alpha=reach)
    assert (sides[0] - sides[1]) / 0.004 == pytest.approx(float(length), rel=0.03)


@both
@pytest.mark.parametrize("progress", [0.0, 1.0])
def test_the_last_target_is_never_fed(model: Any, config: Any, progress: float) -> None:
    made = model(config, frame_shape=(1, 8, 8), context_length=3)
    frames = torch.rand(1, 6, 1, 8, 8).requires_grad_()
    batch = batch_of(frames, 3)
    fed: list[Tensor] = []
    step = made.step

    def watched(frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        fed.append(frame)
        return step(frame, state)

    def watched_read(frames: Tensor, every: bool) -> tuple[Tensor, Any]:
        fed.extend(frames.unbind(dim=1))
        return read(frames, every)

    made.step = watched
    if read := getattr(made, "_reads", None):
        made._reads = watched_read
    made.loss(batch, progress=progress)
    for at, frame in enumerate(fed):
        (gradient,) = torch.autograd.grad(frame.sum(), frames, retain_graph=True)
        assert not gradient[:, at + 1 :].any(), f"what is fed at step {at} holds a frame that is yet to come"
    assert len(fed) == 5


@pytest.mark.parametrize("progress", [0.0, 1.0])
def test_phydnet_reads_known_frames_at_once_as_it_does_one_by_one(progress: float) -> None:
    found = []
    for at_once in (True, False):
        torch.manual_seed(0)
        made = PhyDNet(TINY_PHYDNET, frame_shape=(1, 8, 8), context_length=3)
        made._reads = made.read if at_once else None
        frames = torch.rand(2, 6, 1, 8, 8)
        made.loss(batch_of(frames, 3), progress=progress)["loss"].backward()
        context = context_of(frames[:, :3])
        with torch.no_grad():
            predicted = made.predict(context, following(context, 4))
        found.append([predicted, *(parameter.grad for parameter in made.parameters())])
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


@both
@pytest.mark.parametrize("k", [1, 3, 5])
def test_what_is_predicted_of_a_frame_does_not_depend_on_it_nor_on_later_ones(
    model: Any, config: Any, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All frames are fed as they are, which is when most could leak: those of k and later are no numbers."""
    made = model(config, frame_shape=(1, 8, 8), context_length=3)
    predicted: list[Tensor] = []

    def spy(found: Tensor, frames: Tensor, observed: Tensor | None) -> Tensor:
        predicted.append(found)
        return found.mean()

    monkeypatch.setattr(f"{model.__module__}.next_frame_error", spy)
    frames = torch.rand(2, 6, 1, 8, 8)
    blind = frames.clone()
    blind[:, k:] = torch.nan
    with torch.no_grad():
        for each in (frames, blind):
            made.loss(batch_of(each, 3), progress=0.0)
    assert torch.equal(predicted[1][:, :k], predicted[0][:, :k])  # those of frames 1 to k
    assert k == 5 or predicted[1][:, k:].isnan().any(dim=(2, 3, 4)).all()  # all frames but the last are fed


# -------------------------------------------------------------------------------------------------------- schedules


@pytest.mark.parametrize(
    ("update", "chance"), [(0, 1.0), (624, 1.0), (625, 0.997), (100 * 625, 0.7), (334 * 625, 0.0), (2000 * 625, 0.0)]
)
def test_teacher_forcing_falls_by_epochs_of_625_updates(update: int, chance: float) -> None:
    assert teacher_forcing(update) == pytest.approx(chance, abs=1e-12)


def shares_given(made: Any, monkeypatch: pytest.MonkeyPatch, *, update: int, progress: float) -> Tensor:
    """Over many losses: which frames were fed as they are, bool (losses, steps, clips)."""
    module = __import__(type(made).__module__, fromlist=["predict_next"])
    seen: list[Tensor] = []

    def spy(step: Any, frames: Tensor, given: Tensor, **_: Any) -> Tensor:
        seen.append(given)
        return frames[:, 1:]

    monkeypatch.setattr(module, "predict_next", spy)
    monkeypatch.setattr(module, "moment_loss", torch.sum, raising=False)  # it takes long, and is not what is looked at
    frames = torch.rand(4, 8, 1, 8, 8)
    for _ in range(400):
        made.loss(batch_of(frames, 3, update=update), progress=progress)
    return torch.stack(seen)


@pytest.mark.parametrize(("schedule", "update", "progress"), [("scaled", 0, 0.1), ("absolute", 12_500, 0.0)])
def test_convlstm_samples_each_clip_and_step_by_the_published_schedule(
    monkeypatch: pytest.MonkeyPatch, schedule: Any, update: int, progress: float
) -> None:
    config = dataclasses.replace(TINY_CONVLSTM, schedule=schedule)
    made = ConvLSTM(config, frame_shape=(1, 8, 8), context_length=3)
    given = shares_given(made, monkeypatch, update=update, progress=progress)
    assert given[:, :3].all()
    assert given[:, 3:].double().mean() == pytest.approx(scheduled_sampling(12_500), abs=0.02)
    assert not torch.equal(given[:, 3:, :1].expand(-1, -1, 4), given[:, 3:])


@pytest.mark.parametrize(("schedule", "update", "progress"), [("scaled", 0, 100 / 2001), ("absolute", 100 * 625, 0.0)])
def test_phydnet_teaches_whole_batches(
    monkeypatch: pytest.MonkeyPatch, schedule: Any, update: int, progress: float
) -> None:
    config = dataclasses.replace(TINY_PHYDNET, schedule=schedule)
    made = PhyDNet(config, frame_shape=(1, 8, 8), context_length=3)
    given = shares_given(made, monkeypatch, update=update, progress=progress + 1e-9)
    assert given[:, :3].all()
    after = given[:, 3:].flatten(1)
    assert torch.equal(after.all(dim=1), after.any(dim=1))
    assert after.double().mean() == pytest.approx(0.7, abs=0.08)


@both
def test_training_asks_for_ten_frames_whatever_the_command_does(model: Any, config: Any) -> None:
    task = model(config, frame_shape=(1, 8, 8), context_length=3).sampling(0.5)
    assert (task.context, task.horizon, task.first, task.targets) == (3, 10, 1, None)


# --------------------------------------------------------------------------------------------------- in other settings


@both
def test_autocast_trains_and_is_near_full_precision(model: Any, config: Any) -> None:
    made = model(config, frame_shape=(1, 8, 8), context_length=3)
    batch = batch_of(torch.rand(2, 6, 1, 8, 8), 3)
    exact = made.loss(batch, progress=1.0)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = made.loss(batch, progress=1.0)
    rounded["loss"].backward()
    assert rounded["loss"].dtype == torch.float32
    assert rounded["mse"].item() == pytest.approx(exact["mse"].item(), rel=0.03)
    assert all(torch.isfinite(value.grad).all() for value in made.parameters())


@both
def test_compiled_it_is_the_same_model(model: Any, config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Traced as for any compiler, in one graph or not at all, and run without one: that takes a second and not a minute.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager", fullgraph=True))
    plain = model(config, frame_shape=(1, 8, 8), context_length=3)
    fast = model(dataclasses.replace(config, compile=True), frame_shape=(1, 8, 8), context_length=3)
    assert fast._advance != fast.advance
    assert fast.state_dict().keys() == plain.state_dict().keys()
    fast.load_state_dict(plain.state_dict())
    batch = batch_of(torch.rand(2, 6, 1, 8, 8), 3)
    with torch.no_grad():
        predicted, expected = (each.predict(batch.context, batch.target_times) for each in (fast, plain))
        torch.testing.assert_close(predicted, expected)
        torch.testing.assert_close(fast.loss(batch, progress=1.0), plain.loss(batch, progress=1.0))


@both
def test_a_missing_frame_is_replaced_by_its_prediction_and_not_learnt(model: Any, config: Any) -> None:
    made = model(config, frame_shape=(1, 8, 8), context_length=3).eval()
    frames = torch.rand(1, 6, 1, 8, 8)
    observed = torch.tensor([[True, False, True]])
    losses = []
    for hidden in (0.0, 1.0):
        given = frames.clone()
        given[:, 1] = hidden
        batch = batch_of(given, 3)
        batch = dataclasses.replace(batch, context=context_of(given[:, :3], observed))
        with torch.inference_mode():
            losses.append(float(made.loss(batch, progress=0.0)["mse"]))
            found = made.predict(batch.context, following(batch.context, 2))
        if hidden == 0.0:
            first = found
    torch.testing.assert_close(found, first, rtol=0, atol=0)
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("model", "config", "frame_shape", "context", "message"),
    [
        (ConvLSTM, TINY_CONVLSTM, (1, 9, 8), 3, r"convlstm .* multiples of 2 \(its patch\), got 9×8: 8 would do"),
        (PhyDNet, TINY_PHYDNET, (1, 30, 30), 3, r"phydnet .* multiples of 4 \(its stride\), got 30×30: 32 would do"),
        (PhyDNet, TINY_PHYDNET, (1, 8, 8), 1, r"phydnet needs 2 context frames .*, got 1: give a context of 2 or more"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_what_can(
    model: Any, config: Any, frame_shape: Any, context: int, message: str
) -> None:
    with pytest.raises(Refused, match=message):
        model(config, frame_shape=frame_shape, context_length=context)


@pytest.mark.parametrize(
    ("make", "key", "value"),
    [
        (convlstm_config.Config, "hidden", 0),
        (convlstm_config.Config, "kernel", 4),
        (convlstm_config.Config, "learning_rate", math.inf),
        (phydnet_config.Config, "width", 24),
        (phydnet_config.Config, "derivatives", 2),
        (phydnet_config.Config, "moments", -1.0),
        (phydnet_config.Config, "layers", 0),
    ],
)
def test_options_without_sense_are_refused_by_name(make: Any, key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{key} must .* got {value}"):
        make(**{key: value})
