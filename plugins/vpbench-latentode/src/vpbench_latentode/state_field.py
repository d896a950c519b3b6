"""The right-hand side of an ODE on a small state: a multilayer perceptron, with or without positions and velocities."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from .network import ACTIVATIONS

Structure = Literal["first-order", "second-order"]
Activation = Literal["relu", "tanh", "softplus", "celu", "silu"]


class StateField(nn.Module):
    """f in dZ/dt = f(Z), autonomous, with two hidden layers (report, sections 5.1.2, 5.1.3 and 5.3).

    first-order   Z' = f(Z), where nothing ties any part of Z to another (the author's code)
    second-order  Z = (X, V): X' = V, V' = g(X, V), of which only g is learnt (report, equation 6)
    """

    def __init__(self, state: int, hidden: int, *, structure: Structure, activation: Activation) -> None:
        """state: numbers in Z, even for second order; hidden: width of both hidden layers."""
        super().__init__()
        if structure == "second-order" and state % 2:
            raise ValueError(f"a second-order state is half positions, half velocities: {state} numbers cannot be")
        self.second_order = structure == "second-order"
        smooth = ACTIVATIONS[activation]
        self.layers = nn.Sequential(
            nn.Linear(state, hidden),
            smooth(),
            nn.Linear(hidden, hidden),
            smooth(),
            nn.Linear(hidden, state // 2 if self.second_order else state),
        )

    def forward(self, state: Tensor) -> Tensor:
        """(B, state) to its derivative in time, same shape."""
        change: Tensor = self.layers(state)
        if not self.second_order:
            return change
        return torch.cat([state[:, state.shape[1] // 2 :], change], dim=1)
