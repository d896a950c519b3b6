"""Make the network that `perceptual_weight` looks through: python train_perceptual.py [--updates N]

It learns to read the one digit of a frame of Moving MNIST's train split, at both sizes of digits, from what its three
stages see anywhere in the frame; the stages are kept, the head is not. Prints the share of digits it reads on the val
split, and the sha256 that `vpbench_latentode.perceptual` asks for.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F
from vpbench_latentode.perceptual import CLASSES, FILE, WIDTHS, DigitFeatures

from vpbench.instances import configured, open_dataset
from vpbench.registry import load

SIZES = (64, 28)  # frames with digits of 28 and of 14 pixels
BATCH, SEED, VAL_FRAMES = 64, 0, 1000
PATH = Path(__file__).parents[1] / "src" / "vpbench_latentode" / FILE


class Reader(nn.Module):
    """The features, and a head that says which digit is there, wherever it is."""

    def __init__(self) -> None:
        super().__init__()
        self.features = DigitFeatures()
        self.head = nn.Sequential(
            nn.Conv2d(WIDTHS[-1], 64, 5, padding=2), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()
        )
        self.verdict = nn.Linear(64, CLASSES)

    def forward(self, frames: Tensor) -> Tensor:
        return self.verdict(self.head(self.features(frames)[-1]).amax(dim=(2, 3)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=1200)
    updates = parser.parse_args().updates
    torch.manual_seed(SEED)
    provided = load().dataset("moving-mnist")
    datasets = [open_dataset(provided, configured(provided, {"digits": 1, "frame_size": size})) for size in SIZES]

    def frames_of(split: str, size: int, ids: range) -> tuple[Tensor, Tensor]:
        clips = datasets[size].clips(split, ids, np.full((len(ids), 1), 3.0))
        frames = torch.from_numpy(np.asarray(clips.frames)).float().div(255)[:, 0]
        return frames, torch.from_numpy(clips.truth["labels"][:, 0])

    reader = Reader()
    optimiser = torch.optim.AdamW(reader.parameters(), 2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=updates)
    for update in range(updates):
        frames, labels = frames_of("train", update % 2, range(update * BATCH, (update + 1) * BATCH))
        loss = F.cross_entropy(reader(frames), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if update % 100 == 0:
            print(f"update {update}  loss {loss.item():.3f}", flush=True)
    reader.eval()
    read = {}
    with torch.inference_mode():
        for index, size in enumerate(SIZES):
            frames, labels = frames_of("val", index, range(VAL_FRAMES))
            correct = sum(int((reader(part).argmax(1) == truth).sum()) for part, truth in in_parts(frames, labels))
            read[str(size)] = correct / VAL_FRAMES
            print(f"frames of {size}: {read[str(size)]:.3f} of {VAL_FRAMES} val digits read")
    content = content_of(reader.features, updates, read)
    PATH.write_bytes(content)
    print(f"{PATH.name}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


def in_parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """A hundred rows at a time: all at once take too much memory."""
    return zip(*(tensor.split(100) for tensor in tensors), strict=True)


def content_of(features: DigitFeatures, updates: int, read: dict[str, float]) -> bytes:
    """The file: the features as float16, and in its header what they were made of.

    read  share of the digits of the val split that were read, by frame size
    """
    header = {
        "what": "features for latentode's perceptual_weight, of a network that reads digits",
        "dataset": {"name": "moving-mnist", "split": "train", "digits": 1, "frame_size": SIZES},
        "updates": updates,
        "frames": updates * BATCH,
        "seed": SEED,
        "val_digits_read": read,
        "torch": str(torch.__version__),
    }
    tensors = {name: value.half().contiguous() for name, value in features.state_dict().items()}
    return save(tensors, {"vpbench": json.dumps(header)})


if __name__ == "__main__":
    main()
