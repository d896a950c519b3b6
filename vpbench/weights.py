"""Weights files: safetensors with their provenance in the header. Pickles are refused: reading one runs its code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import WeightsError
from .storage import write_atomically

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .specs import Weights

HEADER_KEY = "vpbench"
PICKLE_SIGNS = (b"PK\x03\x04", b"\x80")  # torch.save's zip archive, and a bare pickle (of protocol 2 or later)


@dataclass(frozen=True)
class WeightsFile:
    """A weights file whose header has been read."""

    path: Path
    sha256: str
    header: Mapping[str, Any]

    @property
    def model(self) -> str:
        """Name of the model they are for."""
        return self.header["model"]["name"]

    @property
    def config(self) -> Mapping[str, Any]:
        """Config values of the model they were trained with."""
        return self.header["model"].get("config", {})

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.header["frame_shape"]
        return channels, height, width

    @property
    def part_of_training(self) -> str:
        """``"200 of 1000"`` updates, of a snapshot; empty for weights whose training is finished."""
        done, total = self.header.get("updates"), self.header.get("total_updates")
        return "" if total is None or done == total else f"{done} of {total}"

    @property
    def context(self) -> int:
        return self.header["context"]

    @property
    def imported_from(self) -> Mapping[str, Any]:
        """Of published weights: file, sha256, source, and what they were trained on as told; else {}."""
        return self.header.get("imported_from", {})

    @classmethod
    def open(cls, path: Path) -> WeightsFile:
        """Read the header of a file. Raises WeightsError, see `read_header`."""
        return cls(path, sha256_of(path), read_header(path))

    @classmethod
    def bundled(cls, weights: Weights) -> WeightsFile:
        """The file that a plugin ships. Raises WeightsError if it is missing or not the one the plugin named."""
        path = bundled_path(weights)
        if sha256_of(path) != weights.sha256:
            raise WeightsError(f"{path} is not the file its plugin shipped (sha256 differs): reinstall the plugin")
        return cls(path, weights.sha256, read_header(path))


def bundled_path(weights: Weights) -> Path:
    """Where the weights of an installed plugin lie. Raises WeightsError if the file is not there."""
    package, _, inside = weights.file.partition(":")
    try:
        with as_file(files(package).joinpath(inside)) as path:
            if not path.is_file():
                raise FileNotFoundError(path)
            return path
    except (ModuleNotFoundError, FileNotFoundError, TypeError) as error:  # TypeError: no package
        raise WeightsError(
            f"bundled weights {weights.file} are not installed ({error}); reinstall the plugin"
        ) from error


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise WeightsError(f"cannot read weights {path}: {error.strerror or error}") from error
    return digest.hexdigest()


def read_header(path: Path) -> dict[str, Any]:
    """The provenance of a weights file, without reading its tensors.

    Raises WeightsError for a missing file, a pickle, a damaged file, or one that `vpbench train` did not write.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb") as start_of_file:
            start = start_of_file.read(4)
    except OSError as error:
        raise WeightsError(f"cannot read weights {path}: {error.strerror or error}") from error
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        # Not before: the length that a safetensors file begins with may happen to look like the sign of a pickle.
        if start.startswith(PICKLE_SIGNS):
            raise WeightsError(
                f"{path} is a pickle, and reading a pickle runs its code: give a .safetensors file, "
                "as vpbench weights import makes of a published checkpoint"
            ) from error
        raise _unreadable(path, error) from error
    if HEADER_KEY not in metadata:
        raise WeightsError(
            f"{path} has no vpbench header, so what it was trained for is unknown: write it with vpbench train, "
            "or say what it is to vpbench weights import"
        )
    try:
        header = json.loads(metadata[HEADER_KEY])
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"the vpbench header of {path} is damaged ({type(error).__name__}): train anew") from error
    if fault := _fault_of(header):
        raise WeightsError(f"the vpbench header of {path} is damaged ({fault}): train anew")
    return header


def _unreadable(path: Path, error: Exception) -> WeightsError:
    return WeightsError(f"{path} is not a readable safetensors file ({error}): copy it again or train anew")


def _fault_of(header: Any) -> str:
    """What is wrong with the fields that others rely on; empty if nothing is."""
    if not isinstance(header, dict):
        return "it is no JSON object"
    model, dataset, shape, context = (header.get(key) for key in ("model", "dataset", "frame_shape", "context"))
    if not isinstance(model, dict) or not isinstance(model.get("name"), str):
        return "no name of a model"
    if not isinstance(model.get("config", {}), dict):
        return "the config of the model is no JSON object"
    if not isinstance(dataset, dict) or not isinstance(dataset.get("name"), str):
        return "no name of a dataset"
    if not isinstance(shape, list) or len(shape) != 3 or not all(map(_is_count, shape)):
        return "frame_shape is not three numbers"
    origin = header.get("imported_from", {"source": ""})
    if not isinstance(origin, dict) or not isinstance(origin.get("source"), str):
        return "imported_from does not say the source"
    return "" if _is_count(context) else "context is no number of frames"


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0  # not bool, which is an int


def load_into(model: nn.Module, path: Path, *, sha256: str | None = None) -> None:
    """Fill a model with the tensors of a file whose header has been read.

    sha256  what the file must still be: training may have replaced it since

    Raises WeightsError if they do not fit, or are not finite (which `save` never writes).
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = path.read_bytes()
        state = load(content)
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise WeightsError(f"weights {path} have been replaced since they were first read: run again")
    if wrong := misfits(model.state_dict(), state):
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise WeightsError(f"weights {path} do not fit the model and its config: {wrong[0]}{more}")
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise WeightsError(f"weights {path} are damaged: {name} holds NaN or infinity; copy them again")
    model.load_state_dict(state)


def misfits(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """How the tensors of a file differ from those of a model in names, shapes and kind of number."""
    missing = [f"no {name}" for name in sorted(own.keys() - state.keys())]
    foreign = [f"unknown {name}" for name in sorted(state.keys() - own.keys())]
    shared = sorted(own.keys() & state.keys())
    shapes = [
        f"{name} is {tuple(state[name].shape)}, needs {tuple(own[name].shape)}"
        for name in shared
        if state[name].shape != own[name].shape
    ]
    kinds = [
        f"{name} is {state[name].dtype}, needs {own[name].dtype}"
        for name in shared
        if state[name].is_floating_point() != own[name].is_floating_point()
    ]
    return missing + foreign + shapes + kinds


def as_stored(state: Mapping[str, Tensor], *, half: bool) -> dict[str, Tensor]:
    """The tensors of a state as a file holds them.

    half: matrices and kernels as float16, where none of their values is too large for it; vectors (biases, running
    statistics) always keep their precision.
    """

    def stored(value: Tensor) -> Tensor:
        if not half or not value.is_floating_point() or value.ndim < 2:
            return value
        halved = value.half()
        return halved if bool(halved.isfinite().all()) else value

    return {name: stored(value) for name, value in state.items()}


def save(path: Path, state: Mapping[str, Tensor], header: Mapping[str, Any], *, half: bool) -> None:
    """Write weights and their provenance, whole or not at all; half as in `as_stored`."""
    import torch
    from safetensors.torch import save as serialise

    tensors = {name: value.contiguous().cpu() for name, value in as_stored(state, half=half).items()}
    if any(not torch.isfinite(value).all() for value in tensors.values() if value.is_floating_point()):
        raise WeightsError(f"{path} is not written: some weights are not finite")
    write_atomically(path, serialise(tensors, {HEADER_KEY: json.dumps(header, sort_keys=True)}))
