"""The floors. Shapes: B clips, Tc context frames, Tt target frames, C channels, H height, W width.

All predictions are new float32 tensors on the device of the context, and clip by clip the same bits in any batch.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from vpbench import Clips, Context
from vpbench.errors import ModelFailed


class Black:
    """Black frames."""

    def __init__(self, config: None, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        pass

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """Zeros (B, Tt, C, H, W)."""
        return context.frames.new_zeros((*target_times.shape, *context.frames.shape[2:]))

    def swap(self, dynamics: Context, appearance: Context, target_times: Tensor) -> Tensor:
        """Black, whatever moves and whatever it looks like."""
        return self.predict(dynamics, target_times)


class CopyLast:
    """The last context frame, or the last that is not missing, at every time."""

    def __init__(self, config: None, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        pass

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """(B, Tt, C, H, W); ModelFailed where all context frames of a clip are missing."""
        observed = _observed(context)
        steps = torch.arange(observed.shape[1]).expand_as(observed)
        last = torch.where(observed, steps, -1).amax(dim=1).to(context.frames.device)
        clips = torch.arange(len(last), device=last.device)
        return _at_all_times(context.frames[clips, last], target_times)

    def swap(self, dynamics: Context, appearance: Context, target_times: Tensor) -> Tensor:
        """The last frame of the clip that moves: the places are right for a moment, the looks by chance."""
        return self.predict(dynamics, target_times)


class CopyAppearance(CopyLast):
    """A floor for swaps: the last frame of the clip whose looks are wanted. The looks are right, the places by chance.

    Of one clip that is its own looks, it is `CopyLast`.
    """

    def swap(self, dynamics: Context, appearance: Context, target_times: Tensor) -> Tensor:
        """As `CopyLast.predict` of the appearance."""
        return self.predict(appearance, target_times)


class ContextMean:
    """The mean of the context frames that are not missing, at every time."""

    def __init__(self, config: None, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        pass

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """(B, Tt, C, H, W); ModelFailed where all context frames of a clip are missing."""
        frames = context.frames
        observed = _observed(context).to(frames.device)[:, :, None, None, None]
        # Frame by frame: the order in which torch.mean adds depends on the shape, so on the batch.
        total = torch.zeros_like(frames[:, 0])
        for step in range(frames.shape[1]):
            total += torch.where(observed[:, step], frames[:, step], 0.0)
        return _at_all_times(total / observed.sum(dim=1), target_times)

    def swap(self, dynamics: Context, appearance: Context, target_times: Tensor) -> Tensor:
        """The mean of the frames of the clip that moves."""
        return self.predict(dynamics, target_times)


class LinearBlend:
    """A floor for interpolation: at each time the blend of the two context frames around it, linear in time.

    Frames that are missing are left out, as if they had never been asked for. At the time of a frame it is that frame;
    before the first and after the last there is nothing to blend, so it is that one.
    """

    def __init__(self, config: None, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        pass

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """(B, Tt, C, H, W); ModelFailed where all context frames of a clip are missing."""
        before, after, share = _around(context.times, _observed(context), target_times)
        frames = context.frames
        clips = torch.arange(len(frames), device=frames.device)[:, None]
        shares = share.float().to(frames.device)[:, :, None, None, None]
        start, end = (frames[clips, place.to(frames.device)] for place in (before, after))
        return start + shares * (end - start)


class TrainMean:
    """The mean training frame at every time: of all answers that ignore the context, the one of least squared error."""

    def __init__(self, config: None, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        self.frame_shape = frame_shape
        self.mean: Tensor | None = None  #: (C, H, W) on the CPU, after `fit`

    def fit(self, clips: Iterable[Clips]) -> None:
        """Take the mean over all clips and frames; ModelFailed for no clips and for frames of another shape."""
        total = np.zeros(self.frame_shape)  # of values 0..255, where sums of uint8 frames are exact in any order
        count = 0
        for batch in clips:
            frames = batch.frames.cpu().numpy() if isinstance(batch.frames, Tensor) else batch.frames
            if frames.shape[2:] != self.frame_shape:
                raise ModelFailed(f"train-mean: training frames {frames.shape[2:]}, expected {self.frame_shape}")
            scale = 1 if frames.dtype == np.uint8 else 255
            total += scale * frames.sum(axis=(0, 1), dtype=np.float64)
            count += frames.shape[0] * frames.shape[1]
        if count == 0:
            raise ModelFailed("train-mean: no training clips to take the mean of")
        self.mean = torch.from_numpy((total / (255 * count)).astype(np.float32))

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """(B, Tt, C, H, W); ModelFailed before `fit`."""
        if self.mean is None:
            raise ModelFailed("train-mean: fit has to see the training clips before predict")
        mean = self.mean.to(context.frames.device)
        return _at_all_times(mean.expand(len(context.frames), *mean.shape), target_times)

    def swap(self, dynamics: Context, appearance: Context, target_times: Tensor) -> Tensor:
        """The mean frame: neither clip is looked at."""
        return self.predict(dynamics, target_times)


def _observed(context: Context) -> Tensor:
    """bool (B, Tc) on the CPU: which context frames are there; at least one of each clip, or ModelFailed."""
    if context.observed is None:
        return torch.ones(context.frames.shape[:2], dtype=torch.bool)
    if not context.observed.any(dim=1).all():
        raise ModelFailed("all context frames of a clip are missing")
    return context.observed


def _around(times: Tensor, observed: Tensor, target_times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The observed frames before and after each target time, int64 (B, Tt), and how far it is from one to the other.

    All on the CPU. Where there are none on one side both are the nearest on the other, and the share, float64 (B, Tt)
    in [0, 1], is 0.
    """
    wanted = target_times[:, :, None]
    steps = torch.arange(times.shape[1])
    there = observed[:, None]
    before = torch.where(there & (times[:, None] <= wanted), steps, -1).amax(dim=2)
    after = torch.where(there & (times[:, None] >= wanted), steps, len(steps)).amin(dim=2)
    before, after = torch.where(before < 0, after, before), torch.where(after == len(steps), before, after)
    start, end = times.gather(1, before), times.gather(1, after)
    apart = end - start
    return before, after, torch.where(apart > 0, (target_times - start) / torch.where(apart > 0, apart, 1.0), 0.0)


def _at_all_times(frame: Tensor, target_times: Tensor) -> Tensor:
    """(B, C, H, W) to a new (B, Tt, C, H, W): real memory, which a caller may write to."""
    return frame[:, None].repeat(1, target_times.shape[1], 1, 1, 1)
