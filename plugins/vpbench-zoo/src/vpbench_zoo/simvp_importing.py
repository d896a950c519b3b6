"""Where the tensors of published checkpoints go: OpenSTL's (simvp, simvp-gsta, tau) and the authors' first (simvp)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor

from .simvp_config import GSTAConfig, IncepUConfig, TAUConfig
from .simvp_incepu import KERNELS

State = dict[str, Tensor]
Places = Iterable[tuple[str, str]]  # of modules: published name, name here

AFFINE = ("weight", "bias")
BATCH_NORM = (*AFFINE, "running_mean", "running_var", "num_batches_tracked")


def import_simvp(state: State, config: IncepUConfig) -> State:
    """Tensors of chengtan9907/OpenSTL with model_type "IncepU"; of A4Bio/SimVP with `edition=original`.

    The authors' first release has hid_t=256 (and hid_s=64), which the config has to say.
    """
    found = _moved(state, _coders(config, shuffled=config.edition == "openstl"), AFFINE)
    return found | _moved(state, _incepu(config), AFFINE)


def import_simvp_gsta(state: State, config: GSTAConfig) -> State:
    """Tensors of chengtan9907/OpenSTL with model_type "gSTA"."""
    return _meta(state, config)


def import_tau(state: State, config: TAUConfig) -> State:
    """Tensors of chengtan9907/OpenSTL with model_type "tau"."""
    found = _meta(state, config)
    for at in range(config.n_t):
        unit = f"hid.enc.{at}.block.attn.spatial_gating_unit.fc"
        for published, here in (("0", "squeeze"), ("2", "excite")):
            found[f"translator.blocks.{at}.attention.unit.{here}.weight"] = state.pop(f"{unit}.{published}.weight")
    return found


def _meta(state: State, config: GSTAConfig) -> State:
    found = _moved(state, _coders(config, shuffled=True), AFFINE)
    for at in range(config.n_t):
        theirs, ours = f"hid.enc.{at}.", f"translator.blocks.{at}."
        convolutions = [each for each in _CONVOLUTIONS if f"{theirs}{each[0]}.weight" in state or each != _RESIZE]
        found |= _moved(state, ((theirs + published, ours + here) for published, here in convolutions), AFFINE)
        norms = ((f"{theirs}block.norm{n}", f"{ours}norm{n}") for n in (1, 2))
        found |= _moved(state, norms, BATCH_NORM)
        for n in (1, 2):
            found[f"{ours}scale{n}"] = state.pop(f"{theirs}block.layer_scale_{n}")
    return found


_RESIZE = ("reduction", "resize")  # only in a block that changes the width
_CONVOLUTIONS = (
    ("block.attn.proj_1", "attention.before"),
    ("block.attn.spatial_gating_unit.conv0", "attention.unit.kernel.near"),
    ("block.attn.spatial_gating_unit.conv_spatial", "attention.unit.kernel.far"),
    ("block.attn.spatial_gating_unit.conv1", "attention.unit.kernel.mix"),
    ("block.attn.proj_2", "attention.after"),
    ("block.mlp.fc1", "mlp.widen"),
    ("block.mlp.dwconv.dwconv", "mlp.depthwise"),
    ("block.mlp.fc2", "mlp.narrow"),
    _RESIZE,
)


def _coders(config: IncepUConfig | GSTAConfig, *, shuffled: bool) -> Iterator[tuple[str, str]]:
    """shuffled: a convolution that doubles the sides is the first of two modules, the second being the shuffle."""
    for at in range(config.n_s):
        yield f"enc.enc.{at}.conv.conv", f"encoder.blocks.{at}.conv"
        yield f"enc.enc.{at}.conv.norm", f"encoder.blocks.{at}.norm"
        doubling = ".0" if shuffled and at % 2 == 0 else ""
        yield f"dec.dec.{at}.conv.conv{doubling}", f"decoder.blocks.{at}.conv"
        yield f"dec.dec.{at}.conv.norm", f"decoder.blocks.{at}.norm"
    yield "dec.readout", "decoder.readout"


def _incepu(config: IncepUConfig) -> Iterator[tuple[str, str]]:
    for side, here in (("enc", "down"), ("dec", "up")):
        for at in range(config.n_t):
            theirs, ours = f"hid.{side}.{at}", f"translator.{here}.{at}"
            yield f"{theirs}.conv1", f"{ours}.reduce"
            for branch in range(len(KERNELS)):
                for part in ("conv", "norm"):
                    yield f"{theirs}.layers.{branch}.{part}", f"{ours}.branches.{branch}.{part}"


def _moved(state: State, places: Places, names: tuple[str, ...]) -> State:
    return {f"{ours}.{name}": state.pop(f"{theirs}.{name}") for theirs, ours in places for name in names}
