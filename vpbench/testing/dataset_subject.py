"""A dataset as the checks look at it: opened, and a few clips of a few frames of every split that has some."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..errors import PluginError, VpbenchError
from ..instances import open_dataset
from ..protocols import Clips, Dataset
from ..registry import Provided
from ..specs import DatasetSpec
from .another_process import in_another_process, made_from, recipe
from .check import NotApplicable, Violation
from .network import no_network

SPLITS = ("train", "val", "test")

#: What is tried: enough for a batch to have an order and a clip to have a beginning, few enough to be read at once.
CLIPS = 3
LENGTHS = (8, 4, 2, 1)  #: frames, the first of which there are clips


class Sample(NamedTuple):
    """A request that a dataset is to answer, as `Dataset.clips` takes it."""

    split: str
    ids: list[int]
    times: np.ndarray  #: float64 (B, T)

    def turned(self) -> Sample:
        """The same clips in the opposite order."""
        return self._replace(ids=self.ids[::-1], times=self.times[::-1])

    def alone(self, row: int) -> Sample:
        """One of the clips."""
        return self._replace(ids=[self.ids[row]], times=self.times[row : row + 1])

    def beginning(self, n_frames: int) -> tuple[Sample, np.ndarray]:
        """The first frames of the clips; and which of the times those are, int (B, n_frames)."""
        order = np.tile(np.arange(n_frames), (len(self.ids), 1))
        return self._replace(times=self.times[:, :n_frames]), order

    def shuffled(self) -> tuple[Sample, np.ndarray]:
        """As many times of the same ones: backwards, one of them twice, of each clip others; and which: int (B, T)."""
        length = self.times.shape[1]
        order = np.stack([np.roll(np.arange(length)[::-1], row) for row in range(len(self.ids))])
        order[:, -1] = order[:, 0]
        return self._replace(times=np.take_along_axis(self.times, order, axis=1)), order


class Answer(NamedTuple):
    """What a dataset answered, in arrays of our own: nothing that happens in the dataset later changes them."""

    frames: np.ndarray
    truth: Mapping[str, np.ndarray]
    shown: np.ndarray | None
    observed: np.ndarray | None

    @classmethod
    def of(cls, clips: Clips) -> Answer:
        """Copies of all that is there, torch tensors as arrays."""
        return cls(
            frames=copied(clips.frames),
            truth={name: copied(values) for name, values in clips.truth.items()},
            shown=None if clips.shown is None else copied(clips.shown),
            observed=None if clips.observed is None else copied(clips.observed),
        )


@dataclass(frozen=True)
class DatasetSubject:
    """A dataset that is held against the rules, with one config."""

    provided: Provided[DatasetSpec]
    config: Any
    dataset: Dataset  #: for all rules that do not ask for one of their own

    @classmethod
    def of(cls, provided: Provided[DatasetSpec], config: Any) -> DatasetSubject:
        """Open it, without network. Raises DataError where its files are not here, PluginError where that fails."""
        with no_network():
            return cls(provided, config, open_dataset(provided, config))

    @property
    def spec(self) -> DatasetSpec:
        return self.provided.spec

    def open(self) -> Dataset:
        """One that nobody has asked anything yet."""
        return open_dataset(self.provided, self.config)

    # ---------------------------------------------------------------------------------------------------- what is asked

    def first_ids(self, split: str, n_frames: int, n_clips: int = CLIPS) -> list[int]:
        """The first clips of a split of so many frames; none where the split is not there."""
        try:
            found = self.dataset.ids(split, n_frames=n_frames)
        except (VpbenchError, LookupError, ValueError):  # how a dataset says that it has no such split
            return []
        return [int(clip) for clip in found[:n_clips]]

    def sample(self, split: str, n_clips: int = CLIPS) -> Sample | None:
        """The first clips of a split, None where it has none."""
        longest = self.dataset.info.max_length
        for length in LENGTHS:
            if longest is not None and length > longest:
                continue
            if ids := self.first_ids(split, length, n_clips):
                return Sample(split, ids, self.first_times(split, ids, length))
        return None

    def first_times(self, split: str, ids: list[int], n_frames: int) -> np.ndarray:
        """When the first frames of clips are, float64 (B, n_frames)."""
        from ..batches import first_times

        try:
            return first_times(self.dataset, split, ids, n_frames)
        except PluginError as error:
            raise NotApplicable(f"without its times no frame can be asked for ({error})") from error

    @cached_property
    def samples(self) -> list[Sample]:
        """One of each split that has clips."""
        found = [sample for split in SPLITS if (sample := self.sample(split))]
        if not found:
            raise Violation(f"none of the splits {', '.join(SPLITS)} has a clip of any length")
        return found

    def longer_samples(self, n_frames: int) -> list[Sample]:
        """The samples with so many frames. NotApplicable where there are none."""
        found = [sample for sample in self.samples if sample.times.shape[1] >= n_frames]
        if not found:
            raise NotApplicable(f"no clip has {n_frames} frames")
        return found

    def larger_samples(self) -> list[Sample]:
        """The samples of several clips. NotApplicable where there are none."""
        found = [sample for sample in self.samples if len(sample.ids) > 1]
        if not found:
            raise NotApplicable("no split has two clips")
        return found

    # ------------------------------------------------------------------------------------------------- what is answered

    def ask(self, sample: Sample, dataset: Dataset | None = None) -> Clips:
        """What the dataset answers, as it is."""
        return (dataset or self.dataset).clips(sample.split, list(sample.ids), sample.times.copy())

    def read(self, sample: Sample, dataset: Dataset | None = None) -> Answer:
        """What the dataset answers. NotApplicable where that is not of the asked shape, which is a rule of its own."""
        answer = Answer.of(self.ask(sample, dataset))
        asked = (*sample.times.shape, *self.dataset.info.frame_shape)
        if answer.frames.shape != asked:
            raise NotApplicable(f"its frames are of shape {answer.frames.shape}, asked for {asked}")
        return answer

    @cached_property
    def answers(self) -> dict[str, Answer]:
        """By split, to its sample: what all other answers are held against."""
        return {sample.split: self.read(sample) for sample in self.samples}

    @cached_property
    def told_elsewhere(self) -> dict[str, Any]:
        """What the same dataset tells in another process, see `tell`."""
        request = {
            "made": recipe(self.spec, self.config),
            "samples": [[sample.split, sample.ids, sample.times.tolist()] for sample in self.samples],
        }
        found: dict[str, Any] = in_another_process(f"{__name__}:tell", request)
        return found


def tell(request: Mapping[str, Any]) -> dict[str, Any]:
    """Open a dataset and tell hashes of its frames, and its fingerprints, by split. Called in another process."""
    dataset = made_from(request["made"])
    samples = [Sample(split, ids, np.array(times, dtype=np.float64)) for split, ids, times in request["samples"]]
    return {
        "frames": {s.split: digest(copied(dataset.clips(s.split, s.ids, s.times).frames)) for s in samples},
        "fingerprint": {s.split: dataset.fingerprint(s.split) for s in samples},
    }


def copied(values: Any) -> np.ndarray:
    """An array or tensor as an array in memory of its own."""
    return np.array(values.numpy(force=True) if hasattr(values, "numpy") else values)


def digest(values: np.ndarray) -> str:
    """sha256 of an array: of its values, type and shape."""
    return hashlib.sha256(f"{values.dtype} {values.shape} ".encode() + values.tobytes()).hexdigest()


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays hold the same values, to the last bit; NaN is NaN."""
    return one.shape == other.shape and np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")
