"""Context files: all that a model is told about the clips of a task, for one that runs in another program.

An ``.npz`` of plain arrays, which `numpy.load` reads without pickle:

frames        uint8 or float32 (N, Tc, C, H, W), as the dataset has them; black where not observed
times         float64 (N, Tc), in frame periods
target_times  float64 (N, Tt): when the frames asked for are
ids           int64 (N,)
seeds         int64 (N,): the only source of randomness, as `Context.seeds`
observed      bool (N, Tc), where frames are missing: False for those
request       a text: what is asked, as JSON; it goes back with the predictions, as it is

Of the targets it holds when they are, and nothing more.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from ..batches import first_times, in_parts, read_batch
from ..config import config_to_dict
from ..errors import ConfigError, DataError, PluginError, UsageError
from ..instances import blaming, failing_in
from ..plan import Opened
from ..progress import Progress
from ..results import canonical
from ..storage import replacing
from ..tasks import Task

SCHEMA = 1
SPLIT, SEED = "test", 0  #: a model asked elsewhere is asked once, as a run asks it by default

_KEYS = {"dataset": dict, "split": str, "task": dict, "clips": int, "ids_sha256": str, "vpbench": str, "sha256": str}
_DATASET_KEYS = {"name": str, "version": str, "config": dict, "fingerprint": str}
_BATCH = 16
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Asked:
    """What a context file asks for; the `request` in it says the same."""

    dataset: dict[str, Any]  #: name, version, config, fingerprint of the test split
    task: Task
    clips: int
    ids_sha256: str  #: of the clips, see `ids_digest`
    vpbench: str  #: version that asked

    def __str__(self) -> str:
        return f"{self.clips} test clips of {self.dataset['name']}, {self.task}"

    def to_json(self) -> str:
        """The text of the request, with a digest that shows whether it was changed on its way."""
        content = self._content()
        return canonical({**content, "sha256": _digest(content)})

    def _content(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "dataset": self.dataset,
            "split": SPLIT,
            "task": self.task.identity(),
            "clips": self.clips,
            "ids_sha256": self.ids_sha256,
            "vpbench": self.vpbench,
        }

    @classmethod
    def from_json(cls, text: str) -> Asked:
        """What a request asks for. Raises DataError, without the file's name, for one that is damaged or was edited."""
        again = "copy it from the context file as it is, or give that with --asked"
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f"its request is no JSON ({error}): {again}") from error
        schema = document.get("schema") if isinstance(document, dict) else None
        if type(schema) is int and schema > SCHEMA:
            raise DataError(f"its request has schema {schema}, this vpbench reads up to {SCHEMA}: upgrade vpbench")
        if schema != SCHEMA or not _holds(document, _KEYS) or not _holds(document["dataset"], _DATASET_KEYS):
            raise DataError(f"its request is none of vpbench export-context: {again}")
        content = {key: value for key, value in document.items() if key != "sha256"}
        if _digest(content) != document["sha256"]:
            raise DataError(f"its request was edited: {again}")
        try:
            task = Task(**document["task"])
        except (ConfigError, UsageError, TypeError) as error:
            raise DataError("its request has a task that this vpbench does not know: upgrade vpbench") from error
        return cls(
            dataset=document["dataset"],
            task=task,
            clips=document["clips"],
            ids_sha256=document["ids_sha256"],
            vpbench=document["vpbench"],
        )


def _holds(document: Any, keys: Mapping[str, type]) -> bool:
    return isinstance(document, dict) and all(type(document.get(key)) is kind for key, kind in keys.items())


def _digest(content: Any) -> str:
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def ids_digest(ids: Sequence[int]) -> str:
    """sha256 of clip ids in their order."""
    return hashlib.sha256(np.asarray(ids, dtype="<i8").tobytes()).hexdigest()


# ------------------------------------------------------------------------------------------------------------- writing


def write_context(path: Path, opened: Opened, task: Task, clips: int, *, quiet: bool = False) -> Asked:
    """Write the context of the first test clips of a dataset, whole or not at all; memory does not grow with them.

    clips  how many at most: all that are long enough, where there are fewer

    Raises UsageError where no clip is long enough, StorageError, CellFailed (phase data) for a dataset that fails.
    """
    from importlib.metadata import version

    if why_not := opened.why_not(task):
        raise UsageError(f"nothing to export: {why_not}")
    ids = [int(clip) for clip in opened.ids(task)[:clips]]
    dataset = {
        "name": opened.name,
        "version": opened.provided.spec.version,
        "config": config_to_dict(opened.config),
        "fingerprint": opened.fingerprint,
    }
    asked = Asked(dataset, task, len(ids), ids_digest(ids), version("vpbench"))
    told: dict[str, list[np.ndarray]] = {"times": [], "target_times": [], "seeds": [], "observed": []}
    with failing_in("data"), blaming(opened.provided, "clips()"):
        in_levels = _in_levels(opened, task, ids)
    with (
        replacing(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        Progress(f"context of {opened.name} {task}", len(ids), unit="clips", quiet=quiet) as progress,
    ):
        shape = (len(ids), task.context, *opened.frame_shape)
        with _array(archive, "frames", np.dtype(np.uint8 if in_levels else np.float32), shape) as member:
            for part in in_parts(ids, _BATCH):
                with failing_in("data"):
                    frames = _given(opened, task, part, told, in_levels)
                member.write(np.ascontiguousarray(frames).tobytes())
                progress.advance(len(part))
        arrays = {name: np.concatenate(parts) for name, parts in told.items() if parts}
        for name, array in {**arrays, "ids": np.array(ids), "request": np.array(asked.to_json())}.items():
            with _array(archive, name, array.dtype, array.shape) as member:
                member.write(array.tobytes())
    return asked


def _in_levels(opened: Opened, task: Task, ids: Sequence[int]) -> bool:
    """Whether what a model is shown of this dataset has 256 levels; `read_batch` no longer tells."""
    times = first_times(opened.dataset, SPLIT, ids[:1], task.context)
    clips = opened.dataset.clips(SPLIT, ids[:1], times)
    shown = clips.frames if clips.shown is None else clips.shown
    return str(shown.dtype).removeprefix("torch.") == "uint8"


def _given(
    opened: Opened, task: Task, ids: Sequence[int], told: dict[str, list[np.ndarray]], in_levels: bool
) -> np.ndarray:
    """The context frames of some clips as a model in a run is given them; what else it is told is added to `told`."""
    first = torch.ones((len(ids), 1), dtype=torch.int64)
    context = read_batch(opened.dataset, SPLIT, ids, task.context, first, _CPU, SEED).context
    times = first_times(opened.dataset, SPLIT, ids, task.n_frames)
    told["times"].append(context.times.numpy())
    told["target_times"].append(times[:, task.context :])
    told["seeds"].append(context.seeds.numpy())
    if context.observed is not None:
        told["observed"].append(context.observed.numpy())
    if not in_levels:
        return context.frames.numpy()
    levels = (context.frames * 255).round().to(torch.uint8)
    if not torch.equal(levels.float().div_(255), context.frames):
        raise PluginError(f"{opened.name} gave uint8 frames for one clip and float ones for another")
    return levels.numpy()


@contextmanager
def _array(archive: zipfile.ZipFile, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Iterator[IO[bytes]]:
    """A member of an ``.npz`` whose values, in C order, are written part by part."""
    member = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))  # no clock: the same request gives the same bytes
    member.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(member, "w", force_zip64=True) as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        yield file
