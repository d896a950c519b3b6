"""Files of trained weights that the user gives, each with the sha256 that says which one is meant.

A file is read once, and hashed before anything in it is looked at: what is used is what was checked.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vpbench.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_sha256(key: str, value: str) -> None:
    """Raise ValueError unless a config value is empty or a sha256."""
    if value and not _SHA256.fullmatch(value):
        raise ValueError(f"{key} is 64 lower case hex digits, as sha256sum prints them, not {value!r}")


def read_checked(setting: str, path: str, sha256: str) -> bytes:
    """The content of a file.

    setting  "lpips.heads": the config key that names it, for messages
    sha256   what it must be

    Raises WeightsError where the file cannot be read or is another one.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise WeightsError(f"{setting}: cannot read {path}: {error.strerror or error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise WeightsError(
            f"{setting}: {path} has sha256 {found}, not {sha256}: give the file that is meant, or "
            f"--set {setting}_sha256={found} if it is this one"
        )
    return content


def read_tensors(setting: str, path: str, sha256: str) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a .pth file that holds nothing but tensors: no code of it is run.

    Raises WeightsError as `read_checked` does, and for a file of another kind or a damaged one.
    """
    content = read_checked(setting, path, sha256)
    try:
        found = _parsed(content, Path(path).suffix)
    except WeightsError:
        raise
    except Exception as error:  # of every kind: parsers of damaged files raise whatever they trip over
        why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise WeightsError(f"{setting}: {path} cannot be read as a file of tensors ({why}): get it again") from error
    if found is None:
        raise WeightsError(f"{setting}: {path} is neither a .safetensors nor a .pth file: its name has to end in one")
    return found


def _parsed(content: bytes, suffix: str) -> dict[str, Tensor] | None:
    import torch
    from safetensors.torch import load

    if suffix == ".safetensors":
        return load(content)
    if suffix not in (".pth", ".pt"):
        return None
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise pickle.UnpicklingError("it holds something else than tensors by name")
    return dict(state)


def pick(setting: str, path: str, tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> list[Tensor]:
    """The tensors of these names, float32, in their order.

    Raises WeightsError where one is missing, of another shape or kind, or not finite.
    """
    found = []
    for name, shape in shapes.items():
        if name not in tensors:
            held = ", ".join(sorted(tensors)[:3]) or "nothing"
            raise WeightsError(f"{setting}: {path} has no tensor {name}; it holds {held}{', ...' * (len(tensors) > 3)}")
        value = tensors[name]
        if tuple(value.shape) != shape or not value.is_floating_point():
            kind = f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
            raise WeightsError(f"{setting}: {path} has {name} as {kind}, it must be floating point {shape}")
        if not value.isfinite().all():
            raise WeightsError(f"{setting}: {path} is damaged: {name} holds NaN or infinity; get it again")
        found.append(value.detach().float())
    return found
