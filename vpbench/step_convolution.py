"""Convolutions of models that predict frame by frame: applied once per frame, learnt from once per clip.

The gradient of a convolution's weights is a sum over frames. Autograd takes it frame by frame, and each time reads and
writes as much memory as the weights have, which for wide layers and few clips is what an update spends much of its time
on; under bfloat16 it also rounds after each frame. Here it is taken of all frames of a roll-out at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class StepConvolution(nn.Conv2d):
    """`torch.nn.Conv2d`, whose gradient is taken once for all calls within `learnt_at_once`."""

    _gathering: _Gathering | None = None

    def forward(self, maps: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H', W'), as `torch.nn.Conv2d`."""
        if torch.compiler.is_compiling() or self._gathering is None or not torch.is_grad_enabled():
            return super().forward(maps)
        return self._gathering.convolve(maps)


@contextlib.contextmanager
def learnt_at_once(model: nn.Module) -> Iterator[None]:
    """Within, all calls of a `StepConvolution` of the model share one gradient of its weights: a roll-out in training.

    Gradients are what they would be, but for rounding; they cannot be differentiated again. What is compiled (and so
    fused by other means) is left as it is.
    """
    gatherings = [_Gathering(part) for part in model.modules() if isinstance(part, StepConvolution)]
    for each in gatherings:
        each.convolution._gathering = each
    try:
        yield
    finally:
        for each in gatherings:
            each.close()


class _Gathering:
    """What the calls of a convolution within one roll-out share."""

    def __init__(self, convolution: StepConvolution) -> None:
        self.convolution = convolution
        self.seen: dict[int, tuple[Tensor, Tensor]] = {}  # call -> its input, and the gradient of its output
        self.backward_pass = -1  # that they are of
        self.calls = 0
        self.before_all: Tensor | None = None  # what all calls hang on, in the graph
        self.weight: Tensor
        self.bias: Tensor | None

    def close(self) -> None:
        """No more calls. The graph needs what is kept here, so nothing here may keep the graph."""
        self.convolution._gathering = None
        self.before_all = None

    def convolve(self, maps: Tensor) -> Tensor:
        kind = maps.device.type
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
            maps = maps.to(torch.get_autocast_dtype(kind))
        if self.before_all is None:
            own = self.convolution
            self.weight = own.weight.detach().to(maps.dtype)
            self.bias = None if own.bias is None else own.bias.detach().to(maps.dtype)
            self.before_all = _Weights.apply(own.weight, own.bias, self)
        self.calls += 1
        return _Call.apply(maps, self.before_all, self, self.calls)

    def note(self, call: int, maps: Tensor, gradient: Tensor) -> None:
        now = torch._C._current_graph_task_id()
        if now != self.backward_pass:  # an earlier pass that did not get to the weights
            self.seen.clear()
            self.backward_pass = now
        self.seen[call] = maps, gradient

    def gradients(
        self, maps: Tensor, weight: Tensor, gradient: Tensor, wanted: list[bool]
    ) -> tuple[Tensor | None, ...]:
        """Of maps, weights and bias."""
        own = self.convolution
        sizes = None if self.bias is None else list(self.bias.shape)
        return torch.ops.aten.convolution_backward(
            gradient, maps, weight, sizes, own.stride, own.padding, own.dilation, False, [0, 0], own.groups, wanted
        )


class _Weights(torch.autograd.Function):
    """Stands before all calls, so that its backward comes after all of theirs."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor | None, gathering: _Gathering) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.gathering = gathering
        return weight.new_empty(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: None) -> tuple[Tensor | None, Tensor | None, None]:
        gathering: _Gathering = ctx.gathering
        maps, gradients = zip(*gathering.seen.values(), strict=True)
        gathering.seen.clear()
        wanted = [False, *ctx.needs_input_grad[:2]]
        _unasked, weight, bias = gathering.gradients(torch.cat(maps), gathering.weight, torch.cat(gradients), wanted)
        own = gathering.convolution
        return (
            None if weight is None else weight.to(own.weight.dtype),
            None if bias is None or own.bias is None else bias.to(own.bias.dtype),
            None,
        )


class _Call(torch.autograd.Function):
    """One call: a convolution that knows the gradient of its input, and notes what the weights need."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weights: Tensor, gathering: _Gathering, call: int) -> Tensor:
        ctx.gathering, ctx.call = gathering, call
        ctx.save_for_backward(maps, gathering.weight)  # which sees if somebody changes them
        own = gathering.convolution
        return F.conv2d(maps, gathering.weight, gathering.bias, own.stride, own.padding, own.dilation, own.groups)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None, None]:
        maps, weight = ctx.saved_tensors
        gathering: _Gathering = ctx.gathering
        if ctx.needs_input_grad[1]:
            gathering.note(ctx.call, maps, gradient)
        if not ctx.needs_input_grad[0]:
            return None, None, None, None
        return gathering.gradients(maps, weight, gradient, [True, False, False])[0], None, None, None
