"""What the digit metrics measure of each frame. `Scored` in, float64 (B, Tt) out, on the CPU.

The search for the digits runs on the CPU, on as many threads as torch may use; the network runs where the frames are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vpbench import Scored
from vpbench.errors import PluginError

from . import digits, poses
from .dataset import GLYPHS
from .digit_network import TILE, trained_network
from .digit_places import distances, find_digits, paired

#: Feature vectors are divided by a length of at least about this, as lengths go: 1 is usual where there is a digit. So
#: what is next to nothing stays next to nothing, and is not blown up to the length of all others.
LEAST_LENGTH = 0.1

#: Pixels that go through the network at a time, so that memory does not grow with the batch. Eight frames on a CPU,
#: whose cache holds their features.
_PIXELS_AT_ONCE = {"cpu": 2**15, "gpu": 2**22}


def places_and_identities(scored: Scored) -> Mapping[str, Tensor]:
    """How far the digits of the predicted frame are from the true ones, and whether they can be read there.

    digit_position_error  px: mean distance, over the digits of a frame, from where each was found (`digit_places`) to
                          the true whole-pixel place of the digit it was paired with
    digit_identity        share of the digits that were found, and whose window the network gives the true class of the
                          digit it was paired with

    Where digits turn or change size, both are told how: the glyphs looked for are those of the time, and what is read
    is turned upright and brought to full size first.
    """
    numbers, true = scored.truth["digits"], scored.truth["positions"].astype(np.int64)  # truncated, as they are drawn
    angles, scales = _poses(scored)
    size, glyph = _sizes(scored)
    glyphs = poses.glyphs(numbers, angles, scales, size=glyph)
    frames = scored.predicted[:, :, 0]
    places = find_digits(frames.cpu().numpy(), glyphs, threads=torch.get_num_threads())
    apart = distances(places, true, canvas=size - glyph)
    pairs = paired(apart)
    error = np.take_along_axis(apart, pairs[..., None], axis=-1).mean((-2, -1))
    true_classes = np.take_along_axis(digits.labels()[numbers][:, None], pairs, axis=-1)
    windows = _windows(frames, places.positions, glyph)
    posed = (np.take_along_axis(each, pairs, axis=-1) for each in (angles, scales))
    recognised = (_read(windows, *posed) == true_classes) & (places.brightness > 0)
    return {
        "digit_position_error": torch.from_numpy(error),
        "digit_identity": torch.from_numpy(recognised.mean(-1)),
    }


def digit_feature_distance(scored: Scored) -> Tensor:
    """Distance of the features of the whole frames, relative to what there is of them; 0 is alike, black has 1.

    A feature vector f of one place becomes f / sqrt(|f|² + 0.1²), less the same of a black frame, so that it is 0 where
    there is nothing. Of each layer: the sum over space and channels of the squared difference, over that of the squares
    of both; then mean over the five layers. Frames with digits of 14 pixels are doubled first.
    """
    _, glyph = _sizes(scored)
    clips, times = scored.predicted.shape[:2]
    predicted, target = (
        _enlarged(frames.flatten(0, 1), digits.SIZE // glyph) for frames in (scored.predicted, scored.target)
    )
    network = trained_network(predicted.device)
    black = [_unit_length(each) for each in network.features(predicted.new_zeros(1, *predicted.shape[1:]))]
    apart = [
        torch.stack([_apart(*maps) for maps in zip(network.features(p), network.features(t), black, strict=True)])
        for p, t in zip(_parts(predicted), _parts(target), strict=True)
    ]
    return torch.cat([each.mean(0) for each in apart]).reshape(clips, times)


def _sizes(scored: Scored) -> tuple[int, int]:
    """Side of a frame and of a glyph, px."""
    channels, height, width = scored.predicted.shape[2:]
    if channels != 1 or height != width or height not in GLYPHS:
        sizes = ", ".join(f"{side}×{side}" for side in GLYPHS)
        raise PluginError(f"it measures frames of one channel and {sizes} pixels, got {channels}×{height}×{width}")
    return height, GLYPHS[height]


def _poses(scored: Scored) -> tuple[np.ndarray, np.ndarray]:
    """Angles, degrees, and scales of the digits, float64 (B, T, D); upright and full where the truth has none."""
    shape = scored.truth["positions"].shape[:-1]
    return scored.truth.get("angles", np.zeros(shape)), scored.truth.get("scales", np.ones(shape))


def _windows(frames: Tensor, corners: np.ndarray, side: int) -> Tensor:
    """(B, T, D, side, side): what frames (B, T, S, S) show from corners int64 (B, T, D, 2) on."""
    corner, reach = torch.from_numpy(corners).to(frames.device), torch.arange(side, device=frames.device)
    rows, columns = corner[..., 0, None] + reach, corner[..., 1, None] + reach
    clip = torch.arange(frames.shape[0], device=frames.device).view(-1, 1, 1, 1, 1)
    time = torch.arange(frames.shape[1], device=frames.device).view(-1, 1, 1, 1)
    return frames[clip, time, rows[..., :, None], columns[..., None, :]]


def _read(windows: Tensor, angles: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The class that the network gives to each of (B, T, D, side, side): int64 (B, T, D).

    angles, scales  float64 (B, T, D): how a digit there would have turned and shrunk, which is undone first
    """
    tiles = _enlarged(windows.flatten(0, 2)[:, None], TILE // windows.shape[-1])
    if angles.any() or (scales != 1).any():
        tiles = _upright(tiles, angles.ravel(), scales.ravel())
    network = trained_network(tiles.device)
    return torch.cat([network(part).argmax(1) for part in _parts(tiles)]).reshape(windows.shape[:3]).cpu().numpy()


def _upright(tiles: Tensor, angles: np.ndarray, scales: np.ndarray) -> Tensor:
    """Tiles (N, 1, S, S), each turned back by its angle, degrees, and brought to full size, about their middle."""
    turns = np.radians(angles)
    cosine, sine, zero = scales * np.cos(turns), scales * np.sin(turns), np.zeros_like(turns)
    # where in the tile an upright pixel is, as torch has it: of (x, y, 1), from -1 to 1
    maps = np.stack([np.stack([cosine, sine, zero], axis=-1), np.stack([-sine, cosine, zero], axis=-1)], axis=-2)
    grid = functional.affine_grid(
        torch.from_numpy(maps).float().to(tiles.device), list(tiles.shape), align_corners=False
    )
    return functional.grid_sample(tiles, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _enlarged(frames: Tensor, factor: int) -> Tensor:
    """Frames (N, 1, H, W) with their sides times a whole number, bilinear."""
    return frames if factor == 1 else functional.interpolate(frames, scale_factor=factor, mode="bilinear")


def _parts(frames: Tensor) -> tuple[Tensor, ...]:
    """(N, 1, H, W) in pieces to be worked on one after the other."""
    pixels = _PIXELS_AT_ONCE["cpu" if frames.device.type == "cpu" else "gpu"]
    return frames.split(max(1, pixels // frames[0].numel())) if len(frames) else (frames,)


def _apart(one: Tensor, other: Tensor, black: Tensor) -> Tensor:
    """Relative squared distance of one layer's features (n, K, h, w): float64 (n,) on the CPU, 0 for two blanks."""
    one, other = _unit_length(one).sub_(black), _unit_length(other).sub_(black)
    there = _energy(one) + _energy(other)
    return torch.where(there > 0, _energy(one.sub_(other)) / there, 0.0)


def _energy(features: Tensor) -> Tensor:
    return torch.linalg.vector_norm(features, dim=(1, 2, 3)).cpu().double().square()


def _unit_length(features: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features * (length.square_() + LEAST_LENGTH**2).rsqrt_()
