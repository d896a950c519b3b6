"""For authors of models that predict frame by frame: patches, roll-outs, and how often training shows them the truth.

A step is a function ``step(frame, state) -> (next frame, state)`` with frames (B, C, H, W) of whatever the model works
on (patches, say); the first state is None. A model may also know how to read frames (B, T, C, H, W) that are all there,
which is worth it where parts of it need no state: ``read(frames, every) -> (predictions, state)``, as the steps would
from the first state on, with what follows each frame, (B, T, C, H, W), or, where not every, the last, (B, 1, C, H, W).

Everything here is free of waits for the device: what is random or decided per step is drawn and decided on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from .errors import ModelFailed, Refused
from .protocols import Context, TrainBatch
from .step_convolution import StepConvolution
from .step_convolution import learnt_at_once as learnt_at_once  # for plugins

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
Read = Callable[[Tensor, bool], tuple[Tensor, Any]]
Schedule = Literal["scaled", "absolute"]

SAMPLING_END = 50_000  # updates after which the published trainings show no truth any more
SAMPLING_TURN = 25_000  # updates after which reverse scheduled sampling begins to change


# ------------------------------------------------------------------------------------------------------------- patches


def require_divisible(name: str, frame_shape: Sequence[int], divisor: int, what: str = "patch") -> None:
    """Raise Refused, saying which sizes work, unless height and width of (C, H, W) are multiples of `divisor`."""
    height, width = frame_shape[-2:]
    if height % divisor or width % divisor:
        near = sorted({max(divisor, round(side / divisor) * divisor) for side in (height, width)})
        raise Refused(
            f"{name} needs frames whose sides are multiples of {divisor} (its {what}), got {height}×{width}: "
            f"{' or '.join(map(str, near))} would do"
        )


def space_to_depth(frames: Tensor, patch: int) -> Tensor:
    """(..., C, H, W) to (..., patch² · C, H / patch, W / patch).

    Channels in the order of the PredRNN family: row in the patch, column in the patch, channel of the frame. (Shi et
    al. 2015 cut frames into patches; `torch.nn.functional.pixel_unshuffle` has the frame's channel first.)
    """
    *lead, channels, height, width = frames.shape
    cut = frames.reshape(*lead, channels, height // patch, patch, width // patch, patch)
    n = len(lead)
    moved = cut.permute(*range(n), n + 2, n + 4, n, n + 1, n + 3)
    return moved.reshape(*lead, patch * patch * channels, height // patch, width // patch)


def depth_to_space(patches: Tensor, patch: int) -> Tensor:
    """The inverse of `space_to_depth`."""
    *lead, depth, height, width = patches.shape
    channels = depth // patch**2
    cut = patches.reshape(*lead, patch, patch, channels, height, width)
    n = len(lead)
    moved = cut.permute(*range(n), n + 2, n + 3, n, n + 4, n + 1)
    return moved.reshape(*lead, channels, height * patch, width * patch)


def fused_convolution(
    inputs: Sequence[int], outputs: int, kernel: int, *, bias: bool = False, padding: int | None = None
) -> StepConvolution:
    """One convolution of several concatenated inputs, in place of one convolution of each whose outputs are added.

    It starts as they would: torch's rule bounds first weights by the number of inputs of a convolution, so each input's
    share is drawn for itself, as if the others were not there.
    """
    padding = kernel // 2 if padding is None else padding
    fused = StepConvolution(sum(inputs), outputs, kernel, padding=padding, bias=bias)
    with torch.no_grad():
        for share, channels in zip(fused.weight.split(list(inputs), dim=1), inputs, strict=True):
            bound = 1 / math.sqrt(channels * kernel * kernel)
            share.uniform_(-bound, bound)
    return fused


# ------------------------------------------------------------------------------------------------------------ roll-out


def roll_out(step: Step, frames: Tensor, n: int, *, observed: Tensor | None = None, read: Read | None = None) -> Tensor:
    """The n frames after the context, (B, n, C, H, W): its frames (B, Tc, C, H, W) are fed in, then what is predicted.

    observed  bool (B, Tc) on the CPU, as in `Context`: in place of a frame that is missing a model is fed its own
              prediction of it. A missing first frame has none, and stays as it is given.
    read      what takes the place of steps through a context of which nothing is missing
    """
    state: Any = None
    if read is not None and (observed is None or bool(observed.all())):
        after, state = read(frames, False)
        predicted = after[:, -1]
    else:
        predicted = frames[:, 0]  # of frame 0 there is no prediction
        for at in range(frames.shape[1]):
            there = None if observed is None else observed[:, at]
            predicted, state = step(_chosen(frames[:, at], predicted, there), state)
    found = [predicted]
    for _ in range(n - 1):
        predicted, state = step(predicted, state)
        found.append(predicted)
    return torch.stack(found, dim=1)


def predict_next(step: Step, frames: Tensor, given: Tensor, *, read: Read | None = None) -> Tensor:
    """Predictions of frames 1 to T - 1 of a training clip, (B, T - 1, C, H, W), from frames (B, T, C, H, W).

    given  bool (T - 1, B) on the CPU: whether the step that predicts frame k + 1 is fed frame k, or the prediction of
           frame k. Row 0 must be true: nothing predicts the first frame. Gradients flow through what is fed back.
    read   what takes the place of the first steps, as long as they are given the frames of all clips

    The last frame is never fed.
    """
    if not bool(given[0].all()):
        raise ValueError("given[0] must be true: nothing predicts the first frame")
    state: Any = None
    predicted = frames[:, 0]
    found: list[Tensor] = []
    if read is not None:
        known = int(given.all(dim=1).long().cumprod(dim=0).sum())
        after, state = read(frames[:, :known], True)
        found += after.unbind(dim=1)
        predicted = found[-1]
    for at in range(len(found), frames.shape[1] - 1):
        predicted, state = step(_chosen(frames[:, at], predicted, given[at]), state)
        found.append(predicted)
    return torch.stack(found, dim=1)


def _chosen(truth: Tensor, predicted: Tensor, given: Tensor | None) -> Tensor:
    """The truth where given, else the prediction; which of them is decided on the CPU."""
    if given is None or bool(given.all()):
        return truth
    if not bool(given.any()):
        return predicted
    mask = given.to(truth.device, non_blocking=True)[:, None, None, None]
    return torch.where(mask, truth, predicted.to(truth.dtype))


def steps_of(context: Context, target_times: Tensor) -> Tensor:
    """How many frames after the context each target is, int64 (B, Tt) on the CPU; 1 is the next one.

    Raises ModelFailed for times that are not on the frame grid after the context: a model that predicts frame by frame
    has none there, and its spec must not say otherwise.
    """
    ahead = target_times - context.times[:, -1:]
    steps = ahead.round().long()
    if bool((steps < 1).any()) or bool(((ahead - steps).abs() > 1e-6).any()):
        raise ModelFailed("it predicts frame by frame: targets must be whole frame periods after the context")
    return steps


def at_steps(frames: Tensor, steps: Tensor) -> Tensor:
    """Of predictions of steps 1 to n, (B, n, C, H, W), those of the steps asked for, int64 (B, Tt) on the CPU."""
    n = frames.shape[1]
    if steps.shape[1] == n and bool((steps == torch.arange(1, n + 1)).all()):
        return frames
    clips = torch.arange(len(steps))[:, None]
    return frames[clips.to(frames.device), (steps - 1).to(frames.device)]


# ---------------------------------------------------------------------------------------------------- what is learnt


def whole_clip(batch: TrainBatch) -> tuple[Tensor, Tensor | None]:
    """Context and targets in one, (B, T, C, H, W), and which frames are there, bool (B, T) on the CPU; None: all.

    Raises ModelFailed if the targets are not the frames right after the context, all of them.
    """
    steps = steps_of(batch.context, batch.target_times)
    if not bool((steps == torch.arange(1, steps.shape[1] + 1)).all()):
        raise ModelFailed("it is trained on the frames right after the context, all of them: sampling() asks for those")
    frames = torch.cat([batch.context.frames, batch.target], dim=1)
    observed = batch.context.observed
    if observed is None or bool(observed.all()):
        return frames, None
    return frames, torch.cat([observed, torch.ones(steps.shape, dtype=torch.bool)], dim=1)


def next_frame_error(predicted: Tensor, frames: Tensor, observed: Tensor | None) -> Tensor:
    """Mean squared error, a scalar, of predictions of frames 2 to T, (B, T - 1, C, H, W), against frames (B, T, ...).

    observed  bool (B, T) on the CPU: frames that are missing are not learnt; None: all are there
    """
    target = frames[:, 1:]
    if observed is None:
        return F.mse_loss(predicted, target)
    there = observed[:, 1:].to(target.device, target.dtype)
    per_frame = (predicted - target).square().mean(dim=(2, 3, 4))
    return (per_frame * there).sum() / there.sum()


# -------------------------------------------------------------------------------------------------- scheduled sampling


def published_update(schedule: Schedule, *, update: int, progress: float, of: int) -> float:
    """The update of the published training that this one stands for.

    schedule  "scaled": the same share of the way, so that a short training goes through the whole schedule;
              "absolute": the same number of updates since the start
    of        how many updates the published training had
    """
    return progress * of if schedule == "scaled" else float(update)


def scheduled_sampling(update: float) -> float:
    """Probability that a predicted frame is replaced by the truth before it is fed back.

    From 1 down by 2e-5 per update, 0 from update 50,000 on (Bengio et al. 2015, as PredRNN and its successors use it).
    """
    return 0.0 if update >= SAMPLING_END else max(0.0, 1.0 - 2e-5 * update)


def reverse_scheduled_sampling(update: float, *, alpha: float = 5000.0) -> tuple[float, float]:
    """Probabilities that the truth is fed: while the context is read, and after it (Wang et al. 2022, PredRNN-V2).

    Context: 0.5, from update 25,000 on 1 - 0.5 exp(-(update - 25,000) / alpha), from 50,000 on 1. After it: 0.5, from
    25,000 on along a line to 0 at 50,000. alpha is 5,000 in OpenSTL, 2,500 in the authors' script.
    """
    if update < SAMPLING_TURN:
        return 0.5, 0.5
    if update >= SAMPLING_END:
        return 1.0, 0.0
    since = update - SAMPLING_TURN
    return 1.0 - 0.5 * math.exp(-since / alpha), 0.5 * (1.0 - since / (SAMPLING_END - SAMPLING_TURN))


def draw_given(context: int, horizon: int, batch: int, *, in_context: float, after: float) -> Tensor:
    """What `predict_next` is given of clips of context + horizon frames: bool (context + horizon - 1, batch), CPU.

    in_context, after  probabilities that the truth is fed, drawn for each clip and step: of context frames after the
                       first, and of frames after the context; from torch's generator, which the trainer seeds
    """
    steps = context + horizon - 1
    chance = torch.full((steps, 1), after)
    chance[:context] = in_context
    chance[0] = 1.0
    return torch.rand(steps, batch) < chance
