"""Train the digit network of this package on train-split digits, and write it where the package reads it.

    python training/train_digit_classifier.py [--updates N] [--seed S] [--output FILE] [--test]

Minutes on one core. It learns from tiles as the metrics cut them from predicted frames: a digit somewhat off the
centre, often with a part of another digit, blurred, faded, noisy, or at half the resolution, that of frames of 32 and
28 pixels. Validation tiles are made alike of digits of the val split. With --test the accuracy on test digits is
measured and stored as well; nothing was chosen by it. The sha256 that is printed stands in digit_network.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional
from vpbench_movingmnist import digit_network, digits
from vpbench_movingmnist.dataset import MovingMNIST
from vpbench_movingmnist.digit_network import TILE, DigitNetwork

OUTPUT = Path(digit_network.__file__).parent / "data" / digit_network.FILE
BATCH = 128
PEAK_RATE, WARM_UP, DECAY = 3e-3, 200, 1e-2
OFF_CENTRE = 4  #: px, how far a digit is from where the metrics think it is, at most
APART = 7  #: px in one direction at least: digits nearer than that are one blot
BLURS = (0.0, 0.0, 0.8, 1.6)  #: px, standard deviations; each for a quarter of a batch
HELD_OUT = 5_000  #: tiles that an accuracy is measured on


def tiles_of(pool: range, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Tiles as they may be cut from predictions, float32 (count, 1, 28, 28) in [0, 1], and their classes."""

    def integers(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high + 1, shape, generator=generator)

    def uniform(low: float, high: float, share: float, otherwise: float) -> Tensor:
        """One number per tile: U(low, high) for a share of them, the same for the others."""
        drawn = low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator)
        return torch.where(torch.rand(count, 1, 1, 1, generator=generator) < share, drawn, otherwise)

    own, other = pool.start + integers(0, len(pool) - 1, 2, count).numpy()
    shift = integers(-OFF_CENTRE, OFF_CENTRE, count, 2)
    away = integers(-TILE, TILE, count, 2)
    away = torch.where(away.abs().amax(1, keepdim=True) < APART, TILE, away)  # too near: not there
    away = torch.where(torch.rand(count, 1, generator=generator) < 0.5, TILE + OFF_CENTRE, away)
    tiles = torch.maximum(
        uniform(0.3, 1.0, 0.5, 1.0) * shifted(own, shift), uniform(0.3, 1.0, 0.5, 1.0) * shifted(other, shift + away)
    )
    for part, sigma in zip(tiles.chunk(len(BLURS)), BLURS, strict=True):
        if sigma:
            part.copy_(blurred(part, sigma))
    coarse = functional.interpolate(functional.avg_pool2d(tiles, 2), scale_factor=2, mode="bilinear")
    tiles = torch.where(torch.rand(count, 1, 1, 1, generator=generator) < 0.15, coarse, tiles)
    noise = torch.randn(tiles.shape, generator=generator) * uniform(0.0, 0.1, 0.25, 0.0)
    return (tiles + noise).clamp_(0, 1), torch.from_numpy(digits.labels()[own])


def shifted(numbers: np.ndarray, offsets: Tensor) -> Tensor:
    """Digits moved by (y, x) whole pixels, what leaves the tile is cut off: float32 (N, 1, 28, 28)."""
    margin = TILE + OFF_CENTRE
    padded = functional.pad(torch.from_numpy(digits.images()[numbers]), [margin] * 4)
    rows = margin - offsets[:, :1] + torch.arange(TILE)
    columns = margin - offsets[:, 1:] + torch.arange(TILE)
    chosen = padded[torch.arange(len(padded))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return chosen[:, None].float() / 255


def plain(numbers: range) -> Tensor:
    """Digits as they are, float32 (N, 1, 28, 28)."""
    return torch.from_numpy(digits.images()[numbers.start : numbers.stop].copy())[:, None].float() / 255


def blurred(tiles: Tensor, sigma: float) -> Tensor:
    """Tiles under a Gaussian of this standard deviation in pixels, cut off at 3 of them."""
    radius = int(3 * sigma + 0.5)
    weights = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (weights / weights.sum()).view(1, 1, -1, 1)
    return functional.conv2d(functional.conv2d(tiles, kernel, padding="same"), kernel.mT, padding="same")


def train(updates: int, seed: int) -> DigitNetwork:
    """AdamW, its rate warmed up and lowered along a cosine."""
    torch.manual_seed(seed)  # of the first weights
    generator = torch.Generator().manual_seed(seed)
    network = DigitNetwork().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=PEAK_RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda update: min(1.0, (update + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * update / updates))
    )
    start = time.perf_counter()
    for update in range(updates):
        tiles, classes = tiles_of(digits.POOLS["train"], BATCH, generator)
        loss = functional.cross_entropy(network(tiles), classes, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (update + 1) % 500 == 0:
            print(f"update {update + 1}: loss {loss.item():.3f}, {time.perf_counter() - start:.0f} s", flush=True)
    return network.requires_grad_(False).eval()


def calibrate(network: DigitNetwork) -> None:
    """Scale the layers so that the features of each have a root-mean-square length of 1 over tiles of train digits.

    A ReLU lets factors through, so each layer passes its own on to the next, which takes it back: the scores stay.
    """
    tiles = plain(digits.POOLS["train"][:HELD_OUT])
    before = 1.0
    lengths = [float(each.square().sum(1).mean().sqrt()) for each in network.features(tiles)]
    for convolution, length in zip(network.convolutions, lengths, strict=True):
        convolution.weight *= before / length
        convolution.bias /= length
        before = length
    network.classes.weight *= before


def accuracy(network: DigitNetwork, tiles: Tensor, classes: Tensor) -> float:
    """Share of tiles whose class has the highest score."""
    return float((network(tiles).argmax(1) == classes).double().mean())


def accuracies(network: DigitNetwork, split: str) -> dict[str, float]:
    """On plain digits of a split, and on tiles made of them as in training."""
    pool = digits.POOLS[split]
    return {
        f"{split}_digits": accuracy(network, plain(pool), torch.from_numpy(digits.labels()[pool.start : pool.stop])),
        f"{split}_tiles": accuracy(network, *tiles_of(pool, HELD_OUT, torch.Generator().manual_seed(0))),
    }


def main(updates: int, seed: int, output: Path, test: bool) -> None:
    torch.set_num_threads(1)  # more would add up the gradients in another order
    network = train(updates, seed)
    calibrate(network)
    measured = accuracies(network, "val") | (accuracies(network, "test") if test else {})
    header: dict[str, Any] = {
        "dataset": "moving-mnist",
        "split": "train",
        "digits": [digits.POOLS["train"].start, digits.POOLS["train"].stop],
        "fingerprint": MovingMNIST().fingerprint("train"),
        "images_sha256": digits.IMAGES_SHA256,
        "updates": updates,
        "batch": BATCH,
        "seed": seed,
        "torch": torch.__version__,
        "parameters": sum(p.numel() for p in network.parameters()),
        "accuracy": measured,
    }
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    content = save(state, {digit_network.HEADER_KEY: json.dumps(header, sort_keys=True)})
    output.write_bytes(content)
    print(json.dumps(measured))
    print(f"{output}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=6_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--test", action="store_true", help="measure the accuracy on test digits as well")
    options = parser.parse_args()
    main(options.updates, options.seed, options.output, options.test)
