"""`predrnn-pp`: PredRNN++, a stack of causal LSTMs with a gradient highway above the first of them."""

from __future__ import annotations

import torch
from torch import Tensor

from .predrnn_cells import CausalLSTMCell, GradientHighway
from .predrnn_family import Config, Family, State


class PredRNNPP(Family):
    """PredRNN++ (Wang et al. 2018, ICML), as OpenSTL has it for Moving MNIST: 128 maps in each of 4 layers.

    At the defaults 35,307,520 parameters at (1, 64, 64). OpenSTL reports 38,584,320: its cells have a convolution of c
    and m, `conv_o`, that is never used and is left out here. The authors' first code has 128, 64, 64 and 64 maps.
    """

    name = "predrnn-pp"

    def make_further_parts(self, config: Config) -> None:
        self.highway = GradientHighway(config.hidden, config.kernel)

    def make_cell(self, inputs: int, hidden: int, kernel: int) -> CausalLSTMCell:
        return CausalLSTMCell(inputs, hidden, kernel)

    def first_state(self, patches: Tensor) -> State:
        state = super().first_state(patches)
        return state._replace(z=torch.zeros_like(state.m))

    def advance(self, patches: Tensor, state: State) -> tuple[Tensor, State]:
        x, m, z = patches, state.m, state.z
        assert z is not None
        hs, cs = [], []
        for layer, cell in enumerate(self.cells):
            h, c, m = cell(x, state.h[layer], state.c[layer], m)
            hs.append(h)
            cs.append(c)
            if layer == 0:
                x = z = self.highway(h, z)
            else:
                x = h
        return self.readout(x).float(), State(tuple(hs), tuple(cs), m, z)
