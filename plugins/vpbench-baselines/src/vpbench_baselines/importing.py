"""Tensors that others publish, as those of this package.

ConvLSTM comes from OpenSTL, which has one convolution per input and makes some that it never uses; PhyDNet from its
authors (vincent-leguen/PhyDNet) or from OpenSTL, which holds the authors' modules twice.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def import_convlstm(state: dict[str, Tensor], config: Any) -> dict[str, Tensor]:
    """OpenSTL's ConvLSTM as `convlstm`. Raises KeyError for a tensor that is not there.

    `conv_o` and `conv_last` of the cells, which no prediction depends on, are left out.
    """
    found = {"readout.weight": state.pop("conv_last.weight")}
    for layer in range(config.layers):
        theirs = f"cell_list.{layer}"
        gates = [state.pop(f"{theirs}.conv_{part}.0.weight") for part in "xh"]
        found[f"cells.{layer}.gates.weight"] = torch.cat(gates, dim=1)
        for unused in ("conv_o.0.weight", "conv_last.weight"):
            state.pop(f"{theirs}.{unused}")
    return found


#: The authors' modules -> ours. A block is a Sequential `main` of convolution, norm and activation there.
_BLOCKS = {
    "encoder_E.c1.main": "encoder.0",
    "encoder_E.c2.main": "encoder.1",
    "encoder_E.c3.main": "encoder.2",
    "encoder_Ep.c1.main": "to_physical.0",
    "encoder_Ep.c2.main": "to_physical.1",
    "encoder_Er.c1.main": "to_residual.0",
    "encoder_Er.c2.main": "to_residual.1",
    "decoder_Dp.upc1.main": "from_physical.0",
    "decoder_Dp.upc2.main": "from_physical.1",
    "decoder_Dr.upc1.main": "from_residual.0",
    "decoder_Dr.upc2.main": "from_residual.1",
    "decoder_D.upc1.main": "decoder.0",
    "decoder_D.upc2.main": "decoder.1",
}
_PHYSICAL = {"F.conv1": "derivatives", "F.bn1": "norm", "F.conv2": "combine", "convgate": "gain"}
_ENDS = ("weight", "bias")


def import_phydnet(state: dict[str, Tensor], config: Any) -> dict[str, Tensor]:
    """The authors' PhyDNet, or OpenSTL's, as `phydnet`. Raises KeyError for a tensor that is not there."""
    if any(name.startswith("encoder.encoder_E.") for name in state):
        _leave_the_encoder_alone(state)
    names = {"decoder_D.upc3": "decoder.2"}
    names |= {f"phycell.cell_list.0.{theirs}": f"physical.{ours}" for theirs, ours in _PHYSICAL.items()}
    for theirs, ours in _BLOCKS.items():
        names |= {f"{theirs}.{place}": f"{ours}.{place}" for place in (0, 1)}
    found = {f"{ours}.{end}": state.pop(f"{theirs}.{end}") for theirs, ours in names.items() for end in _ENDS}
    for layer in range(config.layers):
        for end in _ENDS:
            i, f, o, g = state.pop(f"convcell.cell_list.{layer}.conv.{end}").chunk(4)
            found[f"residual.{layer}.gates.{end}"] = torch.cat([i, f, g, o])
    return found


def _leave_the_encoder_alone(state: dict[str, Tensor]) -> None:
    """Of OpenSTL's names keep what is below `encoder.`: both cells are there and beside it, as the same tensors.

    The matrices of the moment loss (`k2m.`) are constants.
    """
    for name in list(state):
        value = state.pop(name)
        if name.startswith("encoder."):
            state[name.removeprefix("encoder.")] = value
        elif not name.startswith(("phycell.", "convcell.", "k2m.")):
            state[name] = value
