"""`predrnn`: a stack of spatiotemporal LSTMs whose second memory zig-zags through the layers."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from .predrnn_cells import STLSTMCell, Updated
from .predrnn_family import Family, State


class PredRNN(Family):
    """PredRNN (Wang et al. 2017, NeurIPS), as the authors' and OpenSTL's code have it for Moving MNIST.

    At the defaults 23,838,720 parameters at (1, 64, 64), all of which are used.
    """

    name = "predrnn"

    def make_cell(self, inputs: int, hidden: int, kernel: int) -> STLSTMCell:
        return STLSTMCell(inputs, hidden, kernel)

    def advance(self, patches: Tensor, state: State) -> tuple[Tensor, State]:
        predicted, state, _ = self.through_layers(patches, state)
        return predicted, state

    def through_layers(self, patches: Tensor, state: State) -> tuple[Tensor, State, list[Updated]]:
        """As `advance`, and what each cell gave."""
        updates: list[Updated] = []
        x, m = patches, state.m
        for layer, cell in enumerate(self.cells):
            updates.append(cast(Updated, cell(x, state.h[layer], state.c[layer], m)))
            x, m = updates[-1].h, updates[-1].m
        state = State(tuple(each.h for each in updates), tuple(each.c for each in updates), m)
        return self.readout(x).float(), state, updates
