"""Models "bayes" and "bayes-sample": what is the best to be predicted by one who knows how Moving MNIST is made.

They are told which digits a clip shows and at which whole pixels they are in the context frames: all that its pixels
can tell, and somewhat more where digits cover each other. From that, and from the speed that all digits have, follows
what is possible and how probable (`bayes_posterior`). Noise on what is shown does not touch them; of frames that are
missing they are told nothing. Where digits turn or change size, how they stand in two context frames says how they will
stand at any time (`poses`), so that is known to them.

Of a swapped clip they are told its digits, those of the one clip, and its places, those of the other: nothing that
differs from a clip of the generator.

bayes          the mean of all possible futures, of all predictions the one of least expected squared error. A bound for
               metrics of the mean squared error; for others (SSIM, PSNR averaged over frames) a reference.
bayes-sample   one of the possible futures, drawn by its probability: as sharp as the truth, with about twice the
               squared error.

B clips, Tc context frames, Tt target frames, D digits, S frame size, M moves made when the last context frame is shown.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vpbench import Context
from vpbench.errors import ModelFailed

from . import generator, poses
from .bayes_image import mean_overlay
from .bayes_posterior import UNKNOWN, Posterior, condition, draw, forecast
from .dataset import GLYPHS

#: Key of the Philox stream that samples are drawn from, beside the clip's seed; generating clips has others.
_STREAM = np.uint64(int.from_bytes(b"bayes-sa", "little"))


class _Told(NamedTuple):
    """What a ceiling takes in of one clip."""

    seed: int
    glyphs: np.ndarray  #: uint8 (D, G, G), or (Tt, D, G, G) where they change with time
    observed: np.ndarray  #: int64 (D, M, 2): place after each move, px, UNKNOWN where no frame shows it
    moves: np.ndarray  #: int64 (Tt,): made when each target frame is shown
    stride: float  #: how far the digits move per frame, share of the canvas


class _Ceiling(ABC):
    """What both have in common: reading what they are told, and clips one by one, shared out among threads."""

    name: ClassVar[str]

    def __init__(self, config: None, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        channels, height, self.size = frame_shape
        if channels != 1 or height != self.size or self.size not in GLYPHS:
            sizes = ", ".join(f"(1, {size}, {size})" for size in GLYPHS)
            raise ModelFailed(f"{self.name} knows frames of moving-mnist only, {sizes}: these are {tuple(frame_shape)}")
        self.canvas = self.size - GLYPHS[self.size]

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """ModelFailed: frames alone do not say which digits and places are behind them."""
        raise ModelFailed(f"{self.name} needs the digits and positions of the context: it runs as a ceiling only")

    def predict_knowing(self, context: Context, target_times: Tensor, *, truth: Mapping[str, np.ndarray]) -> Tensor:
        """float32 (B, Tt, 1, S, S) at whole times after the last context frame; the same bits in any batch.

        truth  of the context frames: `digits`, int (B, D), `positions`, float (B, Tc, D, 2), px, of which only the
               whole pixels are looked at, `stride`, float (B,), canvas/frame, and what `poses.Poses` has, `spins`,
               `phases` and `scaling`; nothing else is

        Raises ModelFailed for times between frames, where no trajectory of the generator fits the positions, and where
        digits turn or change size and fewer than two context frames show how.
        """
        clips = _told(context, target_times, truth, self.size, self.name)
        frames = np.empty((*target_times.shape, 1, self.size, self.size), dtype=np.float32)

        def predict(b: int) -> None:
            posteriors = []
            for d, places in enumerate(clips[b].observed):
                try:
                    posteriors.append(condition(places, canvas=self.canvas, stride=clips[b].stride))
                except ValueError as error:
                    raise ModelFailed(f"{self.name}: digit {d + 1} of clip {b + 1} of the batch: {error}") from None
            frames[b, :, 0] = self._predict_clip(clips[b], posteriors)

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(predict, range(len(clips))))
        return torch.from_numpy(frames).to(context.frames.device)

    @abstractmethod
    def _predict_clip(self, clip: _Told, posteriors: list[Posterior]) -> np.ndarray:
        """float32 (Tt, S, S), given the posterior of each digit."""


class Bayes(_Ceiling):
    """The mean of all possible futures."""

    name = "bayes"

    def _predict_clip(self, clip: _Told, posteriors: list[Posterior]) -> np.ndarray:
        maps = np.stack([forecast(each, clip.moves) for each in posteriors], axis=1)
        if clip.glyphs.ndim == 3:
            return mean_overlay(clip.glyphs, maps)
        return np.concatenate([mean_overlay(glyphs, at[None]) for glyphs, at in zip(clip.glyphs, maps, strict=True)])


class BayesSample(_Ceiling):
    """One possible future, drawn with `context.seeds`."""

    name = "bayes-sample"

    def _predict_clip(self, clip: _Told, posteriors: list[Posterior]) -> np.ndarray:
        drawn = [draw(posterior, _uniform(clip.seed, d)) for d, posterior in enumerate(posteriors)]
        start, velocity = (np.stack(each)[None] for each in zip(*drawn, strict=True))
        times = clip.moves[None] - 1.0
        positions, _ = generator.move(start, velocity, times, canvas=self.canvas, stride=clip.stride)
        return generator.render(clip.glyphs[None], positions, size=self.size)[0, :, 0] / np.float32(255)


def _uniform(seed: int, digit: int) -> np.ndarray:
    """float64 (3,) in [0, 1) for a digit of the clip with this seed: Philox, counter (digit, 0, 0, 0)."""
    zero = np.uint64(0)
    words = generator.philox(np.uint64(digit), zero, zero, zero, np.uint64(seed), _STREAM)
    return np.array([(int(word) >> 11) * 2.0**-53 for word in words[:3]])


# ------------------------------------------------------------------------------------------------- what they are told


def _told(context: Context, target_times: Tensor, truth: Mapping[str, np.ndarray], size: int, name: str) -> list[_Told]:
    """What there is to know of each clip. Raises ModelFailed where it is not what moving-mnist gives."""
    if missing := sorted({"digits", "positions", "stride", *poses.Poses._fields} - truth.keys()):
        raise ModelFailed(f"{name} needs truth {', '.join(missing)} of the context, which only moving-mnist has")
    chosen, positions, strides = (np.asarray(truth[field]) for field in ("digits", "positions", "stride"))
    n_clips, n_frames = context.times.shape
    if chosen.shape[:1] != (n_clips,) or positions.shape != (n_clips, n_frames, *chosen.shape[1:], 2):
        raise ModelFailed(
            f"{name}: truth digits {chosen.shape} and positions {positions.shape} do not fit "
            f"{n_clips} clips of {n_frames} context frames"
        )
    if strides.shape != (n_clips,) or not ((strides > 0) & (strides <= 1)).all():
        raise ModelFailed(f"{name}: truth stride must be a share of the canvas for each of {n_clips} clips: {strides}")
    canvas = size - GLYPHS[size]
    shown = np.ones((n_clips, n_frames), dtype=bool) if context.observed is None else context.observed.numpy()
    if not ((positions[shown] >= 0) & (positions[shown] <= canvas)).all():  # also where one is NaN
        raise ModelFailed(f"{name}: digits of frames of {size} pixels are at 0..{canvas}, not all these positions are")
    posed = poses.Poses(*(np.asarray(truth[field]) for field in poses.Poses._fields))
    if (posed.spins.any() or posed.scaling.any()) and shown.sum(axis=1).min() < 2:
        raise ModelFailed(f"{name} needs two context frames of each clip to see how digits turn and change size")
    glyphs = poses.glyphs(chosen, *posed.at(target_times.numpy()), size=GLYPHS[size])
    before, after = _moves(context.times, name), _moves(target_times, name)
    if (after <= before[:, -1:]).any():
        raise ModelFailed(f"{name} predicts frames after the last context frame: no others are possible")
    told = []
    for b in range(n_clips):
        observed = np.full((chosen.shape[1], before[b, -1], 2), UNKNOWN, dtype=np.int64)
        observed[:, before[b, shown[b]] - 1] = positions[b, shown[b]].astype(np.int64).swapaxes(0, 1)
        told.append(_Told(int(context.seeds[b]), glyphs[b], observed, after[b], float(strides[b])))
    return told


def _moves(times: Tensor, name: str) -> np.ndarray:
    """How many moves were made when the frames at these times are shown: frame 0 shows the digits after one."""
    if not (times == times.floor()).all():
        raise ModelFailed(f"{name} knows whole times only, not {float(times[times != times.floor()][0]):g}")
    return times.numpy().astype(np.int64) + 1
