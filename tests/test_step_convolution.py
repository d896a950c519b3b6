"""Convolutions that are learnt from once per clip: the gradients are those of autograd, whatever is asked of them."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from vpbench.recurrent import StepConvolution, fused_convolution, learnt_at_once

STEPS = 4


class Net(nn.Module):
    """h' = tanh(conv [x, h]), and a strided, grouped convolution with biases reads it: more than the models need."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.move = fused_convolution([2, 4], 4, 3)
        self.read = StepConvolution(4, 6, 3, stride=2, padding=1, groups=2)
        self.double()

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        h = x.new_zeros(len(x), 4, *x.shape[2:])
        found = []
        for _ in range(STEPS):
            h = torch.tanh(self.move(torch.cat([x, h], dim=1)))
            found.append(self.read(h))
        return torch.stack([each.square().mean() for each in found]).sum(), found


@pytest.fixture
def net() -> Net:
    return Net()


@pytest.fixture
def x() -> Tensor:
    return torch.rand(3, 2, 8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def by_autograd(net: Net, x: Tensor) -> dict[str, Tensor]:
    """The gradients without any of this: of plain convolutions with the same weights."""
    plain = Net()
    plain.load_state_dict(net.state_dict())
    for name, each in list(plain.named_children()):
        conv = nn.Conv2d(
            each.in_channels,
            each.out_channels,
            each.kernel_size,
            stride=each.stride,
            padding=each.padding,
            groups=each.groups,
            bias=each.bias is not None,
        ).double()
        conv.load_state_dict(each.state_dict())
        setattr(plain, name, conv)
    plain(x)[0].backward()
    return {name: each.grad for name, each in plain.named_parameters()}


def assert_gradients(net: Net, x: Tensor) -> None:
    expected = by_autograd(net, x)
    for name, each in net.named_parameters():
        torch.testing.assert_close(each.grad, expected[name], rtol=1e-12, atol=1e-14)


class Counted(TorchDispatchMode):
    """How often the gradients of weights are taken."""

    of_weights = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ == "convolution_backward":
            self.of_weights += args[-1][1]
        return func(*args, **(kwargs or {}))


def test_gradients_are_those_of_autograd_and_taken_once(net: Net, x: Tensor) -> None:
    with learnt_at_once(net):
        loss, _ = net(x)
    with Counted() as counted:
        loss.backward()
    assert counted.of_weights == 2
    assert_gradients(net, x)
    with Counted() as counted:
        net(x)[0].backward()
    assert counted.of_weights == 2 * STEPS, "outside of it, it is a convolution like any other"


def test_gradients_of_the_input_are_those_of_autograd(net: Net, x: Tensor) -> None:
    found = []
    for how in (learnt_at_once(net), learnt_at_once(nn.Module())):
        given = x.clone().requires_grad_()
        with how:
            loss, _ = net(given)
        found.append(torch.autograd.grad(loss, given)[0])
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-14)


def test_updates_add_up(net: Net, x: Tensor) -> None:
    for _ in range(2):
        with learnt_at_once(net):
            loss, _ = net(x)
        loss.backward()
    for each in net.parameters():
        each.grad /= 2
    assert_gradients(net, x)


def test_a_pass_through_a_part_of_the_graph_leaves_nothing_behind(net: Net, x: Tensor) -> None:
    given = x.clone().requires_grad_()
    with learnt_at_once(net):
        loss, found = net(given)
    torch.autograd.grad(found[-1].sum(), given, retain_graph=True)  # notes all calls of `move`, and takes no weights
    torch.autograd.grad(found[0].sum(), given, retain_graph=True)
    first = torch.autograd.grad(found[0].square().mean(), net.move.weight, retain_graph=True)[0]
    loss.backward(retain_graph=True)
    assert_gradients(net, x)
    net.zero_grad()
    loss.backward()
    assert_gradients(net, x)
    h = torch.tanh(nn.functional.conv2d(nn.functional.pad(x, (0, 0, 0, 0, 0, 4)), net.move.weight, padding=1))
    expected = torch.autograd.grad(net.read(h).square().mean(), net.move.weight)[0]
    torch.testing.assert_close(first, expected, rtol=1e-12, atol=1e-14)


def test_what_is_frozen_has_no_gradient(net: Net, x: Tensor) -> None:
    expected = by_autograd(net, x)
    net.move.weight.requires_grad_(False)
    net.read.bias.requires_grad_(False)
    with learnt_at_once(net):
        loss, _ = net(x)
    loss.backward()
    assert net.move.weight.grad is None
    assert net.read.bias.grad is None
    torch.testing.assert_close(net.read.weight.grad, expected["read.weight"], rtol=1e-12, atol=1e-14)


def test_bfloat16_rounds_the_gradient_once(net: Net) -> None:
    """Autograd rounds it after each frame."""
    conv = StepConvolution(8, 8, 3, padding=1, bias=False)
    frames = torch.rand(64, 2, 8, 8, 8, generator=torch.Generator().manual_seed(2))
    errors = {}
    for how, gathered in (("each", False), ("once", True)):
        conv.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16), learnt_at_once(conv if gathered else nn.Module()):
            total = sum(conv(frame).float().sum() for frame in frames)
        total.backward()
        assert conv.weight.grad.dtype == torch.float32
        exact = torch.autograd.grad(conv(frames.flatten(0, 1)).sum(), conv.weight)[0]
        errors[how] = float((conv.weight.grad - exact).abs().max() / exact.abs().max())
    assert errors["once"] < 4e-3
    assert errors["once"] < errors["each"] / 3


def test_nothing_is_kept_of_an_update_that_was_not_made(net: Net, x: Tensor) -> None:
    with learnt_at_once(net):
        loss, _ = net(x)
        kept = weakref.ref(net.move._gathering)
    del loss, _
    gc.collect()
    assert kept() is None
    assert net.move._gathering is None


def test_it_ends_where_an_update_fails(net: Net) -> None:
    with pytest.raises(RuntimeError), learnt_at_once(net):
        net(torch.rand(3, 1, 8, 6, dtype=torch.float64))
    assert net.move._gathering is None


def test_gradients_of_gradients_are_refused(net: Net, x: Tensor) -> None:
    given = x.clone().requires_grad_()
    with learnt_at_once(net):
        loss, _ = net(given)
    (gradient,) = torch.autograd.grad(loss, given, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_weights_that_change_before_the_gradient_is_taken_are_an_error(net: Net, x: Tensor) -> None:
    with learnt_at_once(net):
        loss, _ = net(x)
    with torch.no_grad():
        net.move.weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
