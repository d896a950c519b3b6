"""What models that predict frame by frame are made with: patches, roll-outs, and when training shows them the truth."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench import Context, TrainBatch
from vpbench.errors import ModelFailed, Refused
from vpbench.recurrent import (
    at_steps,
    depth_to_space,
    draw_given,
    fused_convolution,
    next_frame_error,
    predict_next,
    published_update,
    require_divisible,
    reverse_scheduled_sampling,
    roll_out,
    scheduled_sampling,
    space_to_depth,
    steps_of,
    whole_clip,
)

# ------------------------------------------------------------------------------------------------------------- patches


def test_patches_hold_rows_then_columns_then_channels() -> None:
    frames = torch.rand(2, 3, 2, 8, 12)
    patches = space_to_depth(frames, 4)
    assert patches.shape == (2, 3, 32, 2, 3)
    for clip, frame, channel, row, column in [(0, 0, 0, 0, 0), (1, 2, 1, 7, 11), (0, 1, 1, 5, 6), (1, 0, 0, 3, 9)]:
        depth = ((row % 4) * 4 + column % 4) * 2 + channel
        assert patches[clip, frame, depth, row // 4, column // 4] == frames[clip, frame, channel, row, column]


@pytest.mark.parametrize("patch", [1, 2, 4])
@pytest.mark.parametrize("lead", [(), (3,), (2, 5)])
def test_patches_are_put_together_again(patch: int, lead: tuple[int, ...]) -> None:
    frames = torch.rand(*lead, 3, 8, 4)
    assert torch.equal(depth_to_space(space_to_depth(frames, patch), patch), frames)


def test_grey_patches_are_those_of_torch() -> None:
    frames = torch.rand(5, 1, 8, 12)
    assert torch.equal(space_to_depth(frames, 4), F.pixel_unshuffle(frames, 4))


def test_sides_that_are_no_multiple_are_refused_with_those_that_are() -> None:
    require_divisible("net", (1, 32, 64), 4)
    with pytest.raises(Refused, match=r"net needs .* multiples of 4 \(its patch\), got 30×64: 32 or 64 would do"):
        require_divisible("net", (1, 30, 64), 4)
    with pytest.raises(Refused, match=r"multiples of 8 \(its stride\), got 3×3: 8 would do"):
        require_divisible("net", (1, 3, 3), 8, "stride")


# ------------------------------------------------------------------------------------------------- fused convolutions


@pytest.mark.parametrize("bias", [False, True])
def test_a_fused_convolution_is_the_sum_of_one_per_input(bias: bool) -> None:
    fused = fused_convolution((2, 3), 4, 5, bias=bias).double()
    inputs = [torch.rand(1, channels, 6, 7, dtype=torch.float64) for channels in (2, 3)]
    shares = fused.weight.split([2, 3], dim=1)
    apart = sum(F.conv2d(x, weight, padding=2) for x, weight in zip(inputs, shares, strict=True))
    if fused.bias is not None:
        apart = apart + fused.bias[:, None, None]
    torch.testing.assert_close(fused(torch.cat(inputs, dim=1)), apart)


def test_a_fused_convolution_starts_as_one_per_input_would() -> None:
    torch.manual_seed(0)
    fused = fused_convolution((4, 64), 256, 3)
    for channels, share in zip((4, 64), fused.weight.detach().split([4, 64], dim=1), strict=True):
        alone = nn.Conv2d(channels, 256, 3).weight.detach()
        assert float(share.abs().max()) <= 1 / math.sqrt(channels * 9)
        assert float(share.std()) == pytest.approx(float(alone.std()), rel=0.03)


# ------------------------------------------------------------------------------------------------------------ roll-out


def halving(frame: Tensor, state: Any) -> tuple[Tensor, Any]:
    """Half the frame plus how many it has seen: no two ways of feeding it give the same."""
    seen = 1 if state is None else state + 1
    return 0.5 * frame + seen, seen


def clips(*values: float, n: int = 1) -> Tensor:
    return torch.tensor([values] * n)[:, :, None, None, None]


def values(frames: Tensor, clip: int = 0) -> list[float]:
    return frames[clip].flatten().tolist()


def test_a_roll_out_feeds_the_context_then_what_it_predicted() -> None:
    assert values(roll_out(halving, clips(2.0, 4.0), 3)) == [0.5 * 4 + 2, 0.5 * 4 + 3, 0.5 * 5 + 4]


def test_in_place_of_a_missing_frame_its_prediction_is_fed() -> None:
    frames = clips(2.0, 0.0, 4.0, n=2)
    observed = torch.tensor([[True, False, True], [True, True, True]])
    found = roll_out(halving, frames, 1, observed=observed)
    assert values(found, 0) == [0.5 * 4 + 3]
    memory: list[list[float]] = []

    def remembering(frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        memory.append(frame.flatten().tolist())
        return halving(frame, state)

    roll_out(remembering, frames, 1, observed=observed)
    assert memory == [[2.0, 2.0], [0.5 * 2 + 1, 0.0], [4.0, 4.0]]


def test_a_missing_first_frame_stays_as_it_is_given() -> None:
    found = roll_out(halving, clips(0.0, 4.0), 1, observed=torch.tensor([[False, True]]))
    assert values(found) == [0.5 * 4 + 2]


def test_training_feeds_the_truth_or_the_prediction_clip_by_clip() -> None:
    frames = clips(2.0, 4.0, 8.0, 16.0, n=2)
    given = torch.tensor([[True, True], [True, False], [False, True]])
    found = predict_next(halving, frames, given)
    assert values(found, 0) == [2.0, 4.0, 0.5 * 4 + 3]
    assert values(found, 1) == [2.0, 0.5 * 2 + 2, 0.5 * 8 + 3]


def test_no_prediction_of_training_depends_on_the_frame_that_it_predicts_or_on_later_ones() -> None:
    frames = clips(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, n=2).requires_grad_()
    found = predict_next(halving, frames, torch.ones(5, 2, dtype=torch.bool))
    for step in range(5):
        (gradient,) = torch.autograd.grad(found[:, step].sum(), frames, retain_graph=True)
        assert not gradient[:, step + 1 :].any()
        assert gradient[:, step].all()


def test_gradients_flow_through_what_is_fed_back() -> None:
    frames = clips(1.0, 2.0, 3.0, 4.0).requires_grad_()
    found = predict_next(halving, frames, torch.tensor([[True], [False], [False]]))
    (gradient,) = torch.autograd.grad(found[:, 2].sum(), frames)
    assert values(gradient) == [0.125, 0.0, 0.0, 0.0]


class Reading:
    """What `halving` does with frames that are all there; notes which, and whether all it says is wanted."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[list[float]], bool]] = []

    def __call__(self, frames: Tensor, every: bool) -> tuple[Tensor, int]:
        self.calls.append((frames.flatten(1).tolist(), every))
        after = 0.5 * frames + torch.arange(1, frames.shape[1] + 1)[None, :, None, None, None]
        return (after if every else after[:, -1:]), frames.shape[1]


def test_a_context_that_is_all_there_may_be_read_at_once() -> None:
    frames, read = clips(2.0, 4.0, 3.0), Reading()
    assert torch.equal(roll_out(halving, frames, 3, read=read), roll_out(halving, frames, 3))
    assert read.calls == [([[2.0, 4.0, 3.0]], False)]
    observed = torch.tensor([[True, False, True]])
    found = roll_out(halving, frames, 3, observed=observed, read=read)
    assert torch.equal(found, roll_out(halving, frames, 3, observed=observed))
    assert len(read.calls) == 1


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ([[1, 1], [1, 1], [1, 1]], 3),
        ([[1, 1], [1, 1], [0, 0]], 2),
        ([[1, 1], [1, 0], [1, 1]], 1),
        ([[1, 1], [0, 0], [1, 1]], 1),
    ],
)
def test_training_may_read_at_once_what_is_given_of_all_clips(given: list[list[int]], known: int) -> None:
    frames, read, mask = clips(2.0, 4.0, 8.0, 16.0, n=2), Reading(), torch.tensor(given).bool()
    assert torch.equal(predict_next(halving, frames, mask, read=read), predict_next(halving, frames, mask))
    assert read.calls == [([[2.0, 4.0, 8.0][:known]] * 2, True)]


def test_the_first_frame_cannot_be_predicted() -> None:
    with pytest.raises(ValueError, match="nothing predicts the first frame"):
        predict_next(halving, clips(1.0, 2.0, 3.0), torch.tensor([[False], [True]]))


def test_only_the_steps_that_are_asked_for_are_given_clip_by_clip() -> None:
    times = torch.tensor([[0.0, 1.0, 2.0], [5.0, 6.0, 7.0]], dtype=torch.float64)
    context = Context(torch.zeros(2, 3, 1, 1, 1), times, torch.zeros(2, dtype=torch.int64))
    steps = steps_of(context, torch.tensor([[3.0, 5.0], [9.0, 10.0]], dtype=torch.float64))
    assert steps.tolist() == [[1, 3], [2, 3]]
    frames = torch.arange(6.0).reshape(2, 3, 1, 1, 1)
    assert at_steps(frames, steps).flatten().tolist() == [0.0, 2.0, 4.0, 5.0]
    assert torch.equal(at_steps(frames, torch.tensor([[1, 2, 3]] * 2)), frames)


@pytest.mark.parametrize("time", [2.0, 3.5, -1.0])
def test_times_off_the_grid_or_in_the_past_have_no_answer(time: float) -> None:
    context = Context(torch.zeros(1, 3, 1, 1, 1), torch.tensor([[0.0, 1.0, 2.0]]).double(), torch.zeros(1).long())
    with pytest.raises(ModelFailed, match="whole frame periods after the context"):
        steps_of(context, torch.tensor([[time]], dtype=torch.float64))


# ---------------------------------------------------------------------------------------------------- what is learnt


def batch_of(observed: Tensor | None, target_times: list[float]) -> TrainBatch:
    times = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    context = Context(clips(1.0, 2.0), times, torch.zeros(1).long(), observed)
    asked = torch.tensor([target_times], dtype=torch.float64)
    return TrainBatch(context, asked, clips(*[10 * time for time in target_times]))


def test_context_and_targets_are_one_clip() -> None:
    frames, observed = whole_clip(batch_of(None, [2.0, 3.0, 4.0]))
    assert values(frames) == [1.0, 2.0, 20.0, 30.0, 40.0]
    assert observed is None
    _, observed = whole_clip(batch_of(torch.tensor([[True, False]]), [2.0, 3.0]))
    assert observed is not None
    assert observed.tolist() == [[True, False, True, True]]


@pytest.mark.parametrize("target_times", [[3.0, 4.0], [2.0, 4.0]])
def test_targets_with_a_gap_are_no_clip(target_times: list[float]) -> None:
    with pytest.raises(ModelFailed, match="right after the context, all of them"):
        whole_clip(batch_of(None, target_times))


def test_the_error_is_of_every_next_frame_that_is_there() -> None:
    frames, predicted = clips(1.0, 2.0, 4.0, 8.0, n=2), clips(2.5, 4.0, 7.0, n=2)
    assert float(next_frame_error(predicted, frames, None)) == pytest.approx((0.25 + 0 + 1) / 3)
    observed = torch.tensor([[True, True, True, False], [True, False, True, True]])
    assert float(next_frame_error(predicted, frames, observed)) == pytest.approx((0.25 + 0 + 0 + 1) / 4)


# -------------------------------------------------------------------------------------------------- scheduled sampling


def test_scheduled_sampling_falls_along_a_line_and_ends_at_fifty_thousand() -> None:
    assert [scheduled_sampling(update) for update in (0, 10_000, 25_000, 49_999.0, 50_000, 80_000)] == pytest.approx(
        [1.0, 0.8, 0.5, 2e-5, 0.0, 0.0], abs=1e-9
    )


@pytest.mark.parametrize("alpha", [2500.0, 5000.0])
def test_reverse_scheduled_sampling_turns_the_context_to_the_truth_and_the_rest_away_from_it(alpha: float) -> None:
    assert reverse_scheduled_sampling(0, alpha=alpha) == (0.5, 0.5)
    assert reverse_scheduled_sampling(24_999, alpha=alpha) == (0.5, 0.5)
    in_context, after = reverse_scheduled_sampling(35_000, alpha=alpha)
    assert in_context == pytest.approx(1 - 0.5 * math.exp(-10_000 / alpha))
    assert after == pytest.approx(0.5 - 0.5 / 25_000 * 10_000)
    assert reverse_scheduled_sampling(50_000, alpha=alpha) == (1.0, 0.0)


def test_a_scaled_schedule_goes_by_the_share_of_the_way_an_absolute_one_by_updates() -> None:
    assert published_update("scaled", update=7, progress=0.25, of=80_000) == 20_000
    assert published_update("absolute", update=7, progress=0.25, of=80_000) == 7
    # However short it is, a scaled training goes through the whole schedule.
    for total in (10, 1000, 80_000):
        way = [published_update("scaled", update=k, progress=k / total, of=80_000) for k in range(total)]
        assert scheduled_sampling(way[0]) == 1
        assert scheduled_sampling(way[-1]) == 0


def test_what_is_given_is_drawn_for_each_clip_and_step() -> None:
    torch.manual_seed(0)
    given = draw_given(10, 10, 20_000, in_context=0.7, after=0.2)
    assert given.shape == (19, 20_000)
    assert given.dtype == torch.bool
    assert given[0].all()
    share = given.double().mean(dim=1)
    # Row k is whether frame k is given: frames 1 to 9 are context, 10 to 18 come after it.
    assert share[1:10].tolist() == pytest.approx([0.7] * 9, abs=0.02)
    assert share[10:].tolist() == pytest.approx([0.2] * 9, abs=0.02)
    together = (given[12] & given[13]).double().mean()
    assert float(together) == pytest.approx(0.04, abs=0.01)


def test_certain_draws_are_certain_and_repeat_with_the_seed() -> None:
    assert draw_given(3, 4, 50, in_context=1.0, after=0.0).tolist() == [[True] * 50] * 3 + [[False] * 50] * 3
    torch.manual_seed(5)
    first = draw_given(3, 4, 50, in_context=0.5, after=0.5)
    torch.manual_seed(5)
    assert torch.equal(first, draw_given(3, 4, 50, in_context=0.5, after=0.5))
