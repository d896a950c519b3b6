"""What one layer of the PredRNN family does with one frame: the cells, and the gradient highway between two of them.

All maps are (B, maps, H, W). Convolutions have no biases and keep the sides; those whose outputs the papers add up are
one convolution of the concatenated inputs. What adds up over time stays float32 under autocast: c, PredRNN's m, the
highway's z. (PredRNN++ puts m through a convolution and a tanh in each step.)
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vpbench.recurrent import StepConvolution, fused_convolution

FORGET_BIAS = 1.0
HIGHWAY_START = 0.001  # bound of the highway's first weights


class Updated(NamedTuple):
    """What an ST-LSTM cell gives."""

    h: Tensor  #: what the layer above is shown
    c: Tensor  #: the memory that stays in the layer
    m: Tensor  #: the memory that goes to the layer above
    added_to_c: Tensor  #: what is new in c: its input gate times its candidate
    added_to_m: Tensor  #: the same of m


class STLSTMCell(nn.Module):
    """Spatiotemporal LSTM (Wang et al. 2017, "PredRNN", equation 3)::

    i, f, g    of x, h    c' = σ(f + 1)·c + σ(i)·tanh(g)
    i', f', g' of x, m    m' = σ(f' + 1)·m + σ(i')·tanh(g')
    o of x, h, c', m'     h' = σ(o)·tanh(W [c', m']),  W 1×1
    """

    def __init__(self, inputs: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.temporal = fused_convolution([inputs, hidden], 4 * hidden, kernel)  # i, f, g, o
        self.spatial = fused_convolution([inputs, hidden], 3 * hidden, kernel)  # i', f', g'
        self.output = StepConvolution(2 * hidden, hidden, kernel, padding=kernel // 2, bias=False)
        self.merge = StepConvolution(2 * hidden, hidden, 1, bias=False)

    def forward(self, x: Tensor, h: Tensor, c: Tensor, m: Tensor) -> Updated:
        """x (B, inputs, H, W); h, c and m (B, hidden, H, W)."""
        i, f, g, o = self.temporal(torch.cat([x, h], dim=1)).chunk(4, dim=1)
        added_to_c = torch.sigmoid(i) * torch.tanh(g)
        c = torch.sigmoid(f + FORGET_BIAS) * c + added_to_c
        i, f, g = self.spatial(torch.cat([x, m], dim=1)).chunk(3, dim=1)
        added_to_m = torch.sigmoid(i) * torch.tanh(g)
        m = torch.sigmoid(f + FORGET_BIAS) * m + added_to_m
        memories = torch.cat([c, m], dim=1)
        h = torch.sigmoid(o + self.output(memories)) * torch.tanh(self.merge(memories))
        return Updated(h, c, m, added_to_c, added_to_m)


class CausalLSTMCell(nn.Module):
    """Causal LSTM (Wang et al. 2018, "PredRNN++", equation 2): m is updated by what c has become::

    i, f, g of x, h, c                   c' = σ(f + 1)·c + σ(i)·tanh(g)
    i', f' of x, m, c';  g' of x, c'     m' = σ(f' + 1)·tanh(W m) + σ(i')·tanh(g')
    o of x, h, c', m'                    h' = tanh(o)·tanh(W₁ [c', m']),  W₁ 1×1
    """

    def __init__(self, inputs: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.temporal = fused_convolution([inputs, hidden, hidden], 3 * hidden, kernel)  # i, f, g of x, h, c
        self.cascade = fused_convolution([inputs, hidden], 4 * hidden, kernel)  # i', f', g', o of x, c'
        self.spatial = fused_convolution([hidden], 3 * hidden, kernel)  # i', f', W m of m
        self.output = fused_convolution([hidden, hidden], hidden, kernel)  # o of h, m'
        self.merge = StepConvolution(2 * hidden, hidden, 1, bias=False)

    def forward(self, x: Tensor, h: Tensor, c: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, inputs, H, W); h, c and m (B, hidden, H, W): the new h, c and m."""
        i, f, g = self.temporal(torch.cat([x, h, c], dim=1)).chunk(3, dim=1)
        c = torch.sigmoid(f + FORGET_BIAS) * c + torch.sigmoid(i) * torch.tanh(g)
        i, f, g, o = self.cascade(torch.cat([x, c], dim=1)).chunk(4, dim=1)
        i_m, f_m, carried = self.spatial(m).chunk(3, dim=1)
        m = torch.sigmoid(f + f_m + FORGET_BIAS) * torch.tanh(carried) + torch.sigmoid(i + i_m) * torch.tanh(g)
        o = o + self.output(torch.cat([h, m], dim=1))
        h = torch.tanh(o) * torch.tanh(self.merge(torch.cat([c, m], dim=1)))
        return h, c, m


class GradientHighway(nn.Module):
    """Gradient highway unit (Wang et al. 2018, equation 3): z' = u·p + (1 - u)·z; tanh of maps of x, z is p, σ is u.

    Where u is near 0, z comes from long ago unchanged, and gradients go back to it as unchanged.
    """

    def __init__(self, hidden: int, kernel: int) -> None:
        super().__init__()
        self.gates = StepConvolution(2 * hidden, 2 * hidden, kernel, padding=kernel // 2, bias=False)  # p, u of x, z
        nn.init.uniform_(self.gates.weight, -HIGHWAY_START, HIGHWAY_START)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """x and z (B, hidden, H, W): the new z."""
        p, u = self.gates(torch.cat([x, z], dim=1)).chunk(2, dim=1)
        u = torch.sigmoid(u)
        return u * torch.tanh(p) + (1 - u) * z
