"""The small network that reads digits: five convolutions and a linear layer, 103 thousand parameters.

Trained by training/train_digit_classifier.py of this plugin on digits of the train split alone, and shipped with it.
Without normalisation layers, so what it says of one place depends neither on the batch nor on the rest of a frame
beyond its receptive field; the convolutions apply to frames of any size.
"""

from __future__ import annotations

import functools
import hashlib
import json
from importlib import resources
from itertools import pairwise
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from vpbench.errors import WeightsError

FILE = "digit-classifier.safetensors"
#: sha256 of the weights file, printed by the training script.
SHA256 = "fd72abe9d1face23c857349d4aacb55fdc4f6a6e5f0e355ca1f3146d0067b528"
HEADER_KEY = "digit-classifier"  #: of the JSON object in the file's metadata that says how it was made

TILE = 28  #: pixels a side of what `forward` reads
CLASSES = 10


class DigitNetwork(nn.Module):
    """3×3 convolutions with 16, 32, 64, 64, 64 channels, ReLU after each, 2×2 maximum after the first three."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 16, 32, 64, 64, 64)
        self.convolutions = nn.ModuleList(nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(widths))
        self.classes = nn.Linear(64 * 9, CLASSES)

    def features(self, frames: Tensor) -> list[Tensor]:
        """What each convolution answers, after its ReLU: five maps (N, K, h, w) of frames (N, 1, H, W) in [0, 1].

        The sides are H, H/2, H/4, H/8, H/8, rounded down: the last maps of a tile are 3×3.
        """
        maps, x = [], frames.contiguous(memory_format=torch.channels_last)
        with torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False):  # float32 everywhere
            for number, convolution in enumerate(self.convolutions):
                x = functional.relu(convolution(x))
                maps.append(x)
                if number in (0, 1, 2):
                    x = functional.max_pool2d(x, 2)
        return maps

    def forward(self, tiles: Tensor) -> Tensor:
        """Scores of the ten classes before the softmax, (N, 10), of tiles (N, 1, 28, 28) in [0, 1]."""
        return self.classes(self.features(tiles)[-1].flatten(1))


@functools.cache
def trained_network(device: torch.device) -> DigitNetwork:
    """The network that ships in this package, on a device, in evaluation mode. Raises WeightsError if it is damaged."""
    with torch.inference_mode(False):  # made while a metric is measured, used by whoever asks next
        with torch.device("meta"):  # no first weights: drawing them would move the random numbers of others
            network = DigitNetwork()
        try:
            network.load_state_dict(load(_checked_file()), assign=True)
        except (SafetensorError, RuntimeError) as error:
            raise WeightsError(
                f"{FILE} of vpbench-movingmnist does not fit its network: reinstall the package"
            ) from error
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network.requires_grad_(False).eval().to(device)


def provenance() -> dict[str, Any]:
    """How the weights were made: data, split, fingerprint, updates, seed, accuracy."""
    _checked_file()
    with resources.as_file(resources.files(__package__).joinpath("data", FILE)) as path, safe_open(path, "pt") as file:
        return dict(json.loads(file.metadata()[HEADER_KEY]))


def _checked_file() -> bytes:
    try:
        content = resources.files(__package__).joinpath("data", FILE).read_bytes()
    except OSError as error:
        raise WeightsError(f"{FILE} of vpbench-movingmnist cannot be read ({error}): reinstall the package") from error
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        raise WeightsError(
            f"{FILE} of vpbench-movingmnist is damaged (sha256 {found[:12]}…, expected {SHA256[:12]}…): "
            "reinstall the package"
        )
    return content
