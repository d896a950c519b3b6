"""The tensors in a checkpoint that others published, by the names they have there. Reading one never runs its code."""

from __future__ import annotations

import hashlib
import pickle
import re
import tarfile
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from ..errors import WeightsError
from ..weights import HEADER_KEY

#: Where training programs keep the state dict beside counters and optimisers: Lightning and OpenSTL, the usual example
#: of torch, predrnn-pytorch, many others. The first that is there counts.
CONTAINERS = ("state_dict", "model_state_dict", "net_param", "model")
_DEEPEST = 4  # containers within containers

#: What wrappers put before the name of every tensor: DataParallel, a LightningModule that holds the model, compile.
PREFIXES = ("module.", "model.", "_orig_mod.")

_ARCHIVE, _PICKLE = b"PK\x03\x04", b"\x80"  # how the files of torch.save begin, since 1.6 and before
_LISTED = 3  # names in a message
_GUIDE = "docs/published-weights.md"


@dataclass(frozen=True)
class PublishedFile:
    """A checkpoint that has been read."""

    path: Path
    sha256: str
    state: Mapping[str, Tensor]  #: by name, without what all names begin with because of a wrapper; on the CPU

    @classmethod
    def read(cls, path: Path) -> PublishedFile:
        """Read a file of `torch.save` or of safetensors. Raises WeightsError for what is none, damaged or unsafe."""
        try:
            with open(path, "rb") as file:  # once: what is hashed is what is read
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                file.seek(0)
                content = _content(file, path)
        except OSError as error:
            raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
        return cls(path, digest, without_prefix(state_in(content, path)))


def listed(names: Iterable[str]) -> str:
    """``"a, b, c and 4 more"``, in one line whatever the names are."""
    shown = [" ".join(str(name).split())[:80] or "''" for name in names]
    more = len(shown) - _LISTED
    return ", ".join(shown[:_LISTED]) + (f" and {more} more" if more > 0 else "")


# --------------------------------------------------------------------------------------------------- what is in a file


def _content(file: IO[bytes], path: Path) -> Any:
    start = file.read(len(_ARCHIVE))
    file.seek(0)
    if start == _ARCHIVE:
        _check_archive(file, path)
        return _unpickled(file, path)
    if (found := _safetensors(file)) is not None:
        tensors, metadata = found
        if HEADER_KEY in metadata:
            raise WeightsError(f"{path} is a weights file of vpbench: use it as it is, with vpbench run --weights")
        return tensors
    file.seek(0)
    if start.startswith(_PICKLE):
        return _unpickled(file, path)
    if _is_tar(file):
        raise WeightsError(f"{path} is a tar archive: unpack it, and name the checkpoint in it")
    raise WeightsError(
        f"{path} is neither a file of torch.save nor of safetensors: download it again, by the link to the file itself"
    )


def _safetensors(file: IO[bytes]) -> tuple[dict[str, Tensor], Mapping[str, str]] | None:
    """Tensors and metadata; None for another kind of file."""
    import json

    from safetensors import SafetensorError
    from safetensors.torch import load

    content = file.read()
    try:
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError, OverflowError):  # the latter for types that torch does not have
        return None
    length = int.from_bytes(content[:8], "little")  # of the JSON that follows, which has been found well-formed
    return tensors, json.loads(content[8 : 8 + length]).get("__metadata__") or {}


def _check_archive(file: IO[bytes], path: Path) -> None:
    """Raises WeightsError for a zip that is damaged, or no checkpoint: torch looks at no checksum."""
    try:
        with zipfile.ZipFile(file) as archive:
            wrong, names = archive.testzip(), archive.namelist()
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise _damaged(path, error) from error
    if wrong:
        raise _damaged(path, ValueError(f"wrong checksum of {wrong}"))
    if not any(Path(name).name == "data.pkl" for name in names):
        raise WeightsError(f"{path} is a zip archive and no checkpoint: unpack it, and name the checkpoint in it")
    if any(Path(name).name == "constants.pkl" for name in names):
        raise WeightsError(f"{path} is a TorchScript program, {_resave()}")
    file.seek(0)


def _unpickled(file: IO[bytes], path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old files, about classes inside torch
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # its text advises to read the file unsafely
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = named[1] if named else "objects of Python"
        raise WeightsError(
            f"{path} holds {what} beside tensors, and reading that would run code that the file names: {_resave()}"
        ) from error
    except Exception as error:  # there is no end to what damaged bytes may raise
        raise _damaged(path, error) from error


def _resave() -> str:
    return f"where you trust it, save its state dict as safetensors and import that, see {_GUIDE}"


def _damaged(path: Path, error: Exception) -> WeightsError:
    why = next(iter(str(error).splitlines()), "")[:120] or type(error).__name__
    return WeightsError(f"{path} is damaged ({why}): download it again")


def _is_tar(file: IO[bytes]) -> bool:
    try:
        with tarfile.open(fileobj=file):
            return True
    except (tarfile.TarError, EOFError, OSError, ValueError):
        return False


# ---------------------------------------------------------------------------------------------- what is around tensors


def state_in(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in what a file holds. Raises WeightsError where there is none, or not of tensors alone."""
    for _ in range(_DEEPEST):
        inside = next((key for key in CONTAINERS if _is_mapping(content) and _is_mapping(content.get(key))), None)
        if inside is None:
            break
        content = content[inside]
    if not _is_mapping(content):
        raise WeightsError(f"{path} holds a {type(content).__name__}: a state dict is wanted, tensors by name")
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor) and isinstance(name, str)}
    if not tensors:
        what = f"there is {listed(content)}" if content else "it is empty"
        raise WeightsError(f"{path} has no tensors by name, nor under {' or '.join(CONTAINERS)}: {what}")
    if others := [name for name in content if name not in tensors]:
        raise WeightsError(f"{path} holds {listed(others)} among its tensors, which is none: {_resave()}")
    if odd := [name for name, value in tensors.items() if not _is_plain(value)]:
        raise WeightsError(f"{path} holds {listed(odd)} without values, sparse or quantised: save it as plain tensors")
    return tensors


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_plain(value: Tensor) -> bool:
    return value.layout == torch.strided and not value.is_quantized and not value.is_meta


def without_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, without what wrappers put before the name of each."""
    found = dict(state)
    while prefix := next((each for each in PREFIXES if all(_goes_on_after(each, name) for name in found)), ""):
        found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _goes_on_after(prefix: str, name: str) -> bool:
    return name.startswith(prefix) and name != prefix
