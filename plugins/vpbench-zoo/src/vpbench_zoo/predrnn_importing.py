"""Tensors that the authors (thuml/predrnn-pytorch) and OpenSTL publish, as those of this package.

Their cells have one convolution per input, `conv_x`, `conv_h` and so on, whose outputs they add up; here those are one
convolution of all inputs. Both name the tensors alike. What they create and never use is taken out and left out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def import_predrnn(state: dict[str, Tensor], config: Any) -> dict[str, Tensor]:
    """Those of `predrnn`. Raises KeyError for a tensor that is not there."""
    found = {"readout.weight": state.pop("conv_last.weight")}
    for layer in range(config.layers):
        found |= _st_lstm(state, f"cell_list.{layer}", f"cells.{layer}")
    return found


def import_predrnn_v2(state: dict[str, Tensor], config: Any) -> dict[str, Tensor]:
    """Those of `predrnn-v2`. Raises KeyError for a tensor that is not there."""
    return import_predrnn(state, config) | {"adapter.weight": state.pop("adapter.weight")}


def import_predrnn_pp(state: dict[str, Tensor], config: Any) -> dict[str, Tensor]:
    """Those of `predrnn-pp`, which OpenSTL publishes. Raises KeyError for a tensor that is not there.

    `conv_o` of the cells, which no prediction depends on, is left out.
    """
    gates = [state.pop(f"gradient_highway.{part}.0.weight") for part in ("x_concat", "z_concat")]
    found = {"readout.weight": state.pop("conv_last.weight"), "highway.gates.weight": torch.cat(gates, dim=1)}
    for layer in range(config.layers):
        found |= _causal_lstm(state, f"cell_list.{layer}", f"cells.{layer}")
    return found


def _st_lstm(state: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    x, h, m, o = (state.pop(f"{theirs}.conv_{part}.0.weight") for part in "xhmo")
    i_x, f_x, g_x, *spatial_x, o_x = x.chunk(7)
    return {
        f"{ours}.temporal.weight": torch.cat([torch.cat([i_x, f_x, g_x, o_x]), h], dim=1),
        f"{ours}.spatial.weight": torch.cat([torch.cat(spatial_x), m], dim=1),
        f"{ours}.output.weight": o,
        f"{ours}.merge.weight": state.pop(f"{theirs}.conv_last.weight"),
    }


def _causal_lstm(state: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    x, h, c, m, c2m, om, _ = (state.pop(f"{theirs}.conv_{part}.0.weight") for part in [*"xhcm", "c2m", "om", "o"])
    *temporal_x, i_x, f_x, g_x, o_x = x.chunk(7)
    *temporal_h, o_h = h.chunk(4)
    i_c, g_c, f_c, o_c = c2m.chunk(4)
    cascade_x, cascade_c = torch.cat([i_x, f_x, g_x, o_x]), torch.cat([i_c, f_c, g_c, o_c])
    return {
        f"{ours}.temporal.weight": torch.cat([torch.cat(temporal_x), torch.cat(temporal_h), c], dim=1),
        f"{ours}.cascade.weight": torch.cat([cascade_x, cascade_c], dim=1),
        f"{ours}.spatial.weight": m,
        f"{ours}.output.weight": torch.cat([o_h, om], dim=1),
        f"{ours}.merge.weight": state.pop(f"{theirs}.conv_last.weight"),
    }
