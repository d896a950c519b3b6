"""Modules of a program lent to an evaluation, which leaves them as they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..device import random_numbers_kept
from ..reach import OF_EVERY_MODULE


@contextmanager
def lent(modules: Sequence[nn.Module], device: torch.device) -> Iterator[None]:
    """Modules and random numbers that an evaluation uses, as they were again afterwards, whatever happens.

    Of every submodule the training flag, the buffers and plain attributes (what it counts and keeps as it is called);
    of every parameter the device, the gradient, and whether it wants one. Random numbers are torch's own, of the CPU
    and of the device.
    """
    parts = {id(part): part for module in modules for part in module.modules()}.values()
    parameters = {id(each): each for module in modules for each in module.parameters() if not is_lazy(each)}.values()
    with random_numbers_kept(device), ExitStack() as kept:
        for parameter in parameters:
            kept.enter_context(_parameter_kept(parameter))
        for part in parts:
            kept.enter_context(_part_kept(part))
        yield


@contextmanager
def _part_kept(module: nn.Module) -> Iterator[None]:
    """Of one module, but for its parameters and its parts."""
    training, attributes, buffers = module.training, _attributes(module), dict(module._buffers)
    values = [(each, each.detach().clone()) for each in buffers.values() if each is not None and _has_values(each)]
    try:
        yield
    finally:
        module.training = training
        for name, buffer in buffers.items():
            module._buffers[name] = buffer
        for each, value in values:
            if not torch.equal(each, value):  # writing what is there already would spoil a backward() that is due
                each.detach().copy_(value)
        registered = {*module._parameters.keys(), *module._buffers.keys(), *module._modules.keys()}
        for name in _attributes(module).keys() - attributes.keys():
            del vars(module)[name]
        vars(module).update({name: value for name, value in attributes.items() if name not in registered})


def _attributes(module: nn.Module) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if name not in OF_EVERY_MODULE}


def _has_values(buffer: Tensor) -> bool:
    return not is_lazy(buffer) and buffer.device.type != "meta"


@contextmanager
def _parameter_kept(parameter: nn.Parameter) -> Iterator[None]:
    """Of a parameter all but its values, which nobody changes who only predicts."""
    data, wants, gradient = parameter.data, parameter.requires_grad, parameter.grad
    memory = None if gradient is None else gradient.data
    try:
        yield
    finally:
        if parameter.device != data.device:
            parameter.data = data
        parameter.requires_grad_(wants)
        if gradient is not None and memory is not None:
            gradient.data = memory
        parameter.grad = gradient
