"""The network of LPIPS: AlexNet's five convolutions, and one weight per channel of what each of them gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vpbench.errors import WeightsError

from .full_precision import full_float32
from .weights_file import pick

#: Frames that go through the network at a time: its activations take about 1 MB for each of 64x64 pixels.
_FRAMES_AT_ONCE = 64

#: Of the input in [-1, 1], per channel: the mean and standard deviation of ImageNet's images in [0, 1], on that scale.
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)

#: Keeps a channel vector that is all zero from being divided by zero.
_EPSILON = 1e-10


class _Convolution(NamedTuple):
    """One of AlexNet's, in the variant with one tower (Krizhevsky 2014); a rectifier follows."""

    place: int  #: in the sequence of layers, which is its name in torchvision's files: features.<place>.weight
    channels: int
    kernel: int
    stride: int
    padding: int
    pooled: bool  #: max-pooling 3x3 with stride 2 comes before it


CONVOLUTIONS = (
    _Convolution(0, channels=64, kernel=11, stride=4, padding=2, pooled=False),
    _Convolution(3, channels=192, kernel=5, stride=1, padding=2, pooled=True),
    _Convolution(6, channels=384, kernel=3, stride=1, padding=1, pooled=True),
    _Convolution(8, channels=256, kernel=3, stride=1, padding=1, pooled=False),
    _Convolution(10, channels=256, kernel=3, stride=1, padding=1, pooled=False),
)


def backbone_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that are used of torchvision's AlexNet."""
    shapes: dict[str, tuple[int, ...]] = {}
    for inputs, layer in zip((3, *(each.channels for each in CONVOLUTIONS)), CONVOLUTIONS, strict=False):
        shapes[f"features.{layer.place}.weight"] = (layer.channels, inputs, layer.kernel, layer.kernel)
        shapes[f"features.{layer.place}.bias"] = (layer.channels,)
    return shapes


def head_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of the heads, as published: 1x1 convolutions to one channel, without bias."""
    return {f"lin{k}.model.1.weight": (1, layer.channels, 1, 1) for k, layer in enumerate(CONVOLUTIONS)}


class LPIPSNetwork:
    """LPIPS v0.1 with AlexNet. Source: Zhang, Isola, Efros, Shechtman and Wang 2018, section 3 and equation 1."""

    def __init__(self, parameters: Sequence[Tensor], heads: Sequence[Tensor]) -> None:
        """
        parameters  weight and bias of each convolution, in the order of `backbone_shapes`
        heads       in the order of `head_shapes`
        """
        self._parameters, self._heads = list(parameters), list(heads)

    @classmethod
    def of(
        cls, backbone: Mapping[str, Tensor], heads: Mapping[str, Tensor], *, backbone_path: str, heads_path: str
    ) -> LPIPSNetwork:
        """From the tensors of two files. Raises WeightsError where they are not what the names promise."""
        parameters = pick("lpips.backbone", backbone_path, backbone, backbone_shapes())
        weights = pick("lpips.heads", heads_path, heads, head_shapes())
        for name, weight in zip(head_shapes(), weights, strict=True):
            if (weight < 0).any():
                raise WeightsError(f"lpips.heads: {heads_path} has negative weights in {name}; LPIPS has none")
        return cls(parameters, weights)

    def to(self, device: torch.device) -> LPIPSNetwork:
        """A copy on a device."""
        return LPIPSNetwork([each.to(device) for each in self._parameters], [each.to(device) for each in self._heads])

    def distance(self, predicted: Tensor, target: Tensor) -> Tensor:
        """LPIPS of frames, float64 (N,).

        predicted, target  (N, 1 or 3, H, W) in [0, 1], on the device of the network; grey is repeated, size unchanged
        """
        if predicted.shape != target.shape or predicted.ndim != 4 or predicted.shape[1] not in (1, 3):
            raise ValueError(
                f"lpips compares frames of 1 or 3 channels one by one: {tuple(predicted.shape)}, {tuple(target.shape)}"
            )
        parts = zip(predicted.split(_FRAMES_AT_ONCE), target.split(_FRAMES_AT_ONCE), strict=True)
        with torch.no_grad(), full_float32():
            return torch.cat([self._distance(x, y) for x, y in parts])

    def _distance(self, predicted: Tensor, target: Tensor) -> Tensor:
        total = predicted.new_zeros(len(predicted), dtype=torch.float64)
        for x, y, head in zip(self._activations(predicted), self._activations(target), self._heads, strict=True):
            difference = (_unit(x) - _unit(y)).square_()
            total += (difference * head.double()).sum(dim=1).mean(dim=(-2, -1))
        return total

    def _activations(self, frames: Tensor) -> list[Tensor]:
        """What each rectifier gives for frames in [0, 1]."""
        shift, scale = (frames.new_tensor(values, dtype=torch.float32)[:, None, None] for values in (_SHIFT, _SCALE))
        x = ((2 * frames.float() - 1) - shift) / scale  # a grey frame becomes three channels here
        found = []
        weights, biases = self._parameters[::2], self._parameters[1::2]
        for layer, weight, bias in zip(CONVOLUTIONS, weights, biases, strict=True):
            if layer.pooled:
                x = functional.max_pool2d(x, kernel_size=3, stride=2)
            x = functional.conv2d(x, weight, bias, stride=layer.stride, padding=layer.padding).relu_()
            found.append(x)
        return found


def _unit(activations: Tensor) -> Tensor:
    """Float64, each channel vector at length 1."""
    activations = activations.double()
    return activations / (activations.square().sum(dim=1, keepdim=True).sqrt_() + _EPSILON)
