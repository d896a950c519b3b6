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
PICKLE_SIGNS = (b"PK\x03\x04", b"\x80")  # torch.save's zip archive, and a bare pickle


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
    def frame_shape(self) -> tuple[int, ...]:
        return tuple(self.header["frame_shape"])

    @property
    def context(self) -> int:
        return self.header["context"]

    @classmethod
    def open(cls, path: Path) -> WeightsFile:
        """Read the header of a file. Raises WeightsError, see `read_header`."""
        header = read_header(path)
        return cls(path, sha256_of(path), header)

    @classmethod
    def bundled(cls, weights: Weights) -> WeightsFile:
        """The file that a plugin ships. Raises WeightsError if it is missing or not the one the plugin named."""
        found = cls.open(bundled_path(weights))
        if found.sha256 != weights.sha256:
            raise WeightsError(
                f"{found.path} is not the file its plugin shipped (sha256 differs): reinstall the plugin"
            )
        return found


def bundled_path(weights: Weights) -> Path:
    """Where the weights of an installed plugin lie. Raises WeightsError if the file is not there."""
    package, _, inside = weights.file.partition(":")
    try:
        with as_file(files(package).joinpath(inside)) as path:
            if not path.is_file():
                raise FileNotFoundError(path)
            return path
    except (ModuleNotFoundError, FileNotFoundError) as error:
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
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError as error:
        raise WeightsError(f"cannot read weights {path}: {error.strerror or error}") from error
    if start.startswith(PICKLE_SIGNS):
        raise WeightsError(f"{path} is a pickle, and reading a pickle runs its code: give a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} is not a readable safetensors file ({error}): copy it again or train anew"
        ) from error
    if HEADER_KEY not in metadata:
        raise WeightsError(
            f"{path} has no vpbench header, so what it was trained for is unknown: write it with vpbench train"
        )
    try:
        header = json.loads(metadata[HEADER_KEY])
        header["model"]["name"], header["frame_shape"], header["context"]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"the vpbench header of {path} is damaged ({error!r}): train anew") from error
    return header


def load_into(model: nn.Module, path: Path) -> None:
    """Fill a model with the tensors of a file whose header has been read. Raises WeightsError if they do not fit."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} is not a readable safetensors file ({error}): copy it again or train anew"
        ) from error
    own = model.state_dict()
    missing, foreign = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    misshapen = [
        f"{name} is {tuple(state[name].shape)}, needs {tuple(own[name].shape)}"
        for name in sorted(own.keys() & state.keys())
        if state[name].shape != own[name].shape
    ]
    if missing or foreign or misshapen:
        found = [f"no {name}" for name in missing] + [f"unknown {name}" for name in foreign] + misshapen
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise WeightsError(f"weights {path} do not fit the model and its config: {found[0]}{more}")
    model.load_state_dict(state)


def save(path: Path, state: Mapping[str, Tensor], header: Mapping[str, Any], *, half: bool) -> None:
    """Write weights and their provenance, whole or not at all.

    half: store matrices and kernels as float16; vectors (biases, running statistics) always keep their precision.
    """
    import torch
    from safetensors.torch import save as serialise

    tensors = {
        name: (value.half() if half and value.is_floating_point() and value.ndim > 1 else value).contiguous().cpu()
        for name, value in state.items()
    }
    if any(not torch.isfinite(value).all() for value in tensors.values() if value.is_floating_point()):
        raise WeightsError(f"{path} is not written: some weights are not finite")
    write_atomically(path, serialise(tensors, {HEADER_KEY: json.dumps(header, sort_keys=True)}))
