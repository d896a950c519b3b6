"""Checkpoints of training runs: read so that no damage passes for a state, and no code is run."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from .errors import WeightsError

CHECKPOINT_VERSION = 1


def read_checkpoint(path: Path, device: torch.device, *, tensors: bool = True) -> dict[str, Any]:
    """The content of a checkpoint. It cannot run code, and not a bit of it is wrong. Raises WeightsError.

    tensors  False: only what is said about them is read, and checked; they must not be used
    """
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not look at the checksums
            if tensors and (wrong := archive.testzip()):
                raise ValueError(f"wrong checksum of {wrong}")
            for name in archive.namelist():
                if name.endswith("/data.pkl"):
                    archive.read(name)  # which looks at its checksum
        content = torch.load(path, map_location=device, weights_only=True, mmap=not tensors)
        version = content["version"]
    except Exception as error:  # there is no end to what damaged bytes may raise
        raise damaged(path, error) from error
    if version != CHECKPOINT_VERSION:
        raise WeightsError(
            f"checkpoint {path} has version {version}, this vpbench reads {CHECKPOINT_VERSION}: "
            "use the vpbench that wrote it, or delete it to start anew"
        )
    try:
        identity, update = json.loads(content["identity"]), content["update"]
        if not isinstance(identity, dict) or type(update) is not int:
            raise ValueError("no identity, or no number of updates")
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, error) from error
    return content


def damaged(path: Path, error: Exception) -> WeightsError:
    if isinstance(error, pickle.UnpicklingError):  # whose text advises to read it unsafely
        why = "it holds something else than tensors and numbers"
    else:
        why = (str(error).splitlines() or [type(error).__name__])[0][:120]
    return WeightsError(f"checkpoint {path} is damaged ({why}): delete it to start anew")


def difference(before: Any, now: Any, where: str = "") -> str:
    """The first place where two nested mappings differ, in words; empty if they are equal."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in sorted(before.keys() | now.keys()):
            if found := difference(before.get(key), now.get(key), f"{where}.{key}" if where else key):
                return found
        return ""
    return "" if before == now else f"{where} was {before}, is {now}"
