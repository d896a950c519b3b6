"""Parts of grid files, carried out on demand, and what they trained as models again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import vpbench
from vpbench.grid import read_grids
from vpbench.inference import Inference
from vpbench.instances import configured, open_dataset
from vpbench.plan import Request, make_plan
from vpbench.progress import seconds
from vpbench.protocols import Clips, Context, Dataset
from vpbench.registry import Registry, load
from vpbench.specs import Weights
from vpbench.weights import WeightsFile

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "docs" / "figures" / "training-seconds.json"


@dataclass(frozen=True)
class Part:
    """A part of a grid file of experiments/."""

    file: str
    name: str

    @property
    def fields(self) -> dict[str, Any]:
        """What it asks `vpbench run` for."""
        return read_grids(ROOT / "experiments" / self.file, [self.name])[self.name]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.fields.get("seeds", (0,)))

    def weights(self, seed: int = 0) -> Path | None:
        """The finished weights of a seed; None where they are still to be trained, as the file has it now."""
        folder = ROOT / self.fields["train"].weights
        if not sorted(folder.glob(f"*-seed{seed}.safetensors")):
            return None
        planned = make_plan(Request(**self.fields | {"seeds": (seed,)}), installed(), shorter=False)
        found = [each.cell.weights for each in planned.cells if each.asked and each.cell.weights]
        return found[0].path if found else None

    @property
    def missing(self) -> list[int]:
        return [seed for seed in self.seeds if self.weights(seed) is None]

    def carry_out(self) -> None:
        """Train and evaluate what is not there yet; what is interrupted goes on from its checkpoint."""
        if self.missing:
            vpbench.run(grid=ROOT / "experiments" / self.file, part=self.name)
        note_seconds(self)

    def __str__(self) -> str:
        return f"{self.file} {self.name}"


def note_seconds(part: Part) -> None:
    """Keep how long the training of a part took, for those who are to be told before."""
    known = measured()
    took = [WeightsFile.open(path).header["seconds"] for seed in part.seeds if (path := part.weights(seed))]
    if took and str(part) not in known:
        known[str(part)] = round(float(np.mean(took)), 1)
        MEASURED.parent.mkdir(parents=True, exist_ok=True)
        MEASURED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def measured() -> dict[str, float]:
    """Seconds that one seed of a part took where it was trained before, by the part."""
    found: dict[str, float] = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    return found


def needed(parts: Sequence[Part]) -> str:
    """What is still to be trained and how long that takes, in words."""
    told = []
    for part in _missing(parts):
        each = measured().get(str(part))
        how_long = "not measured" if each is None else f"about {seconds(each * len(part.missing))}"
        told.append(f"{part}, {len(part.missing)} seed{'s' * (len(part.missing) > 1)}: {how_long}")
    return "to train: " + "; ".join(told) if told else "all weights are there"


def needed_in_all(parts: Sequence[Part]) -> str:
    """How long all that is still to be trained takes, each part once, in words."""
    missing, known = _missing(parts), measured()
    if not missing:
        return "nothing to train"
    total = sum(known.get(str(part), 0.0) * len(part.missing) for part in missing)
    unknown = sum(str(part) not in known for part in missing)
    return f"about {seconds(total)} of training" + (f", and {unknown} parts that were not measured" if unknown else "")


def _missing(parts: Sequence[Part]) -> list[Part]:
    return [part for part in dict.fromkeys(parts) if part.missing]


@cache
def installed() -> Registry:
    return load()


@dataclass(frozen=True)
class Trained:
    """A model with its weights, and the dataset it was trained on."""

    inference: Inference
    dataset: Dataset
    sha256: str
    header: dict[str, Any]

    @property
    def model(self) -> Any:
        return self.inference.model

    def clips(self, split: str, ids: Sequence[int], times: np.ndarray) -> Clips:
        """Clips at the same times (T,) each."""
        return self.dataset.clips(split, list(ids), np.tile(np.asarray(times, dtype=np.float64), (len(ids), 1)))

    def predict(self, frames: np.ndarray | Tensor, given: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Frames (B, Tt, C, H, W) at times (Tt,), from frames (B, Tc, C, H, W) at times (Tc,)."""
        context, times = question(frames, given, wanted)
        return self.inference(context, times, truth={}).numpy()


def question(frames: np.ndarray | Tensor, given: np.ndarray, wanted: np.ndarray) -> tuple[Context, Tensor]:
    """What a model is asked, from arrays as `Trained.predict` has them."""
    shown = torch.as_tensor(np.ascontiguousarray(frames))
    shown = shown.float() / 255 if shown.dtype == torch.uint8 else shown.float()
    count = len(shown)
    context = Context(
        frames=shown,
        times=torch.from_numpy(np.tile(np.asarray(given, dtype=np.float64), (count, 1))),
        seeds=torch.arange(count),
    )
    return context, torch.from_numpy(np.tile(np.asarray(wanted, dtype=np.float64), (count, 1)))


def trained(part: Part, seed: int = 0) -> Trained:
    """The model of a part that is carried out."""
    path = part.weights(seed)
    assert path is not None, f"{part} is not trained"
    return _opened(WeightsFile.open(path))


def bundled(model: str, context: int) -> Trained:
    """A model with the weights that ship for Moving MNIST and so many frames given."""
    found: list[Weights] = [each for each in installed().model(model).spec.weights if each.context == context]
    return _opened(WeightsFile.bundled(found[0]))


def _opened(weights: WeightsFile) -> Trained:
    registry, header = installed(), weights.header
    model, dataset = registry.model(weights.model), registry.dataset(header["dataset"]["name"])
    inference = Inference(
        model,
        configured(model, weights.config),
        weights,
        frame_shape=weights.frame_shape,
        context_length=weights.context,
        seed=0,
        device=torch.device("cpu"),
    )
    opened = open_dataset(dataset, configured(dataset, header["dataset"]["config"]))
    return Trained(inference, opened, weights.sha256, dict(header))
