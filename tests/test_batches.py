"""Clips in, batches out."""

from __future__ import annotations

import hashlib
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vpbench.batches import in_parts, prefetched, read_batch, stream, to_frames
from vpbench.errors import PluginError
from vpbench.protocols import Clips, DatasetInfo

CPU = torch.device("cpu")


class Ramp:
    """Frame t of clip i is 10 i + t everywhere; `spoil` changes what is given."""

    info = DatasetInfo(frame_shape=(2, 3, 4), max_length=None)

    def __init__(self, spoil: Any = None) -> None:
        self.spoil = spoil or (lambda frames: frames)

    def ids(self, split: str, *, n_frames: int) -> Sequence[int]:
        return range(5)

    def clips(self, split: str, ids: Sequence[int], times: np.ndarray) -> Clips:
        values = (10 * np.asarray(ids)[:, None] + times).astype(np.uint8)
        frames = np.broadcast_to(values[:, :, None, None, None], (*times.shape, 2, 3, 4)).copy()
        truth = {"place": times[:, :, None], "kind": np.asarray(ids)}
        return Clips(frames=self.spoil(frames), times=times, ids=ids, truth=truth)

    def fingerprint(self, split: str) -> str:
        return split


def read(spoil: Any = None, steps: Any = ((1, 2), (3, 7)), **options: Any) -> Any:
    given = {"split": "test", "ids": [4, 2], "context": 3, "device": CPU, "seed": 0} | options
    return read_batch(Ramp(spoil), steps=torch.tensor(steps), **given)


class TestReadBatch:
    def test_splits_clips_into_what_is_given_and_what_is_wanted(self) -> None:
        batch = read()
        assert batch.context.frames.shape == (2, 3, 2, 3, 4)
        assert batch.context.times.tolist() == [[0, 1, 2]] * 2
        assert batch.target_times.tolist() == [[3, 4], [5, 9]]  # step 1 follows the context
        assert (batch.context.frames[:, :, 0, 0, 0] * 255).round().tolist() == [[40, 41, 42], [20, 21, 22]]
        assert (batch.target[:, :, 1, 2, 3] * 255).round().tolist() == [[43, 44], [25, 29]]
        assert batch.context.observed is None

    def test_types_are_those_of_the_contract(self) -> None:
        batch = read()
        assert batch.context.frames.dtype == batch.target.dtype == torch.float32
        assert batch.context.times.dtype == batch.target_times.dtype == torch.float64
        assert batch.context.seeds.dtype == torch.int64

    def test_steps_may_reach_into_the_past(self) -> None:
        assert read(steps=((-2, 0), (-1, 1))).target_times.tolist() == [[0, 2], [1, 3]]

    def test_truth_per_frame_is_cut_as_the_frames_are(self) -> None:
        batch = read(per_frame=frozenset({"place"}))
        assert batch.context_truth["place"][:, :, 0].tolist() == [[0, 1, 2]] * 2
        assert batch.target_truth["place"][:, :, 0].tolist() == [[3, 4], [5, 9]]
        assert batch.context_truth["kind"].tolist() == batch.target_truth["kind"].tolist() == [4, 2]

    def test_a_clip_has_the_same_seed_in_any_batch(self) -> None:
        seeds = dict(zip([4, 2], read().context.seeds.tolist(), strict=True))
        alone = read(ids=[2], steps=((1,),)).context.seeds.tolist()
        assert alone == [seeds[2]]
        assert seeds[2] != seeds[4]
        assert read(ids=[2], steps=((1,),), seed=1).context.seeds.tolist() != alone
        assert read(ids=[2], steps=((1,),), split="val").context.seeds.tolist() != alone

    @pytest.mark.parametrize(
        ("spoil", "says"),
        [
            (lambda f: f[:1], "shape (1, 5, 2, 3, 4), asked for (2, 5, 2, 3, 4)"),
            (lambda f: f[:, 1:], "shape (2, 4, 2, 3, 4)"),
            (lambda f: f[:, :, :, :, 0], "shape (2, 5, 2, 3)"),
            (lambda f: f.astype(np.float64) / 255, "type float64"),
            (lambda f: f.astype(np.int16), "type int16"),
            (lambda f: torch.from_numpy(f).half(), "type torch.float16"),
            (lambda f: f.astype(np.float32), "float frames from 20 to 44, the contract is [0, 1]"),
            (lambda f: f.astype(np.float32) / -255, "the contract is [0, 1]"),
            (lambda f: torch.from_numpy(f).float(), "float frames from 20 to 44"),
            (lambda f: np.where(f == 41, np.nan, 0).astype(np.float32), "float frames from nan to nan"),
        ],
    )
    def test_frames_against_the_contract_are_refused(self, spoil: Any, says: str) -> None:
        with pytest.raises(PluginError) as refused:
            read(spoil)
        assert says in str(refused.value)


class TestToFrames:
    @pytest.mark.parametrize("as_tensor", [False, True])
    @pytest.mark.parametrize("kind", [np.uint8, np.float32])
    def test_are_float32_from_0_to_1(self, kind: Any, as_tensor: bool) -> None:
        values = np.arange(256) if kind is np.uint8 else np.arange(256, dtype=np.float32) / np.float32(255)
        given: Any = values.astype(kind)
        frames = to_frames(torch.from_numpy(given) if as_tensor else given, CPU)
        assert frames.dtype == torch.float32
        assert torch.equal(frames, torch.arange(256) / 255)

    @pytest.mark.parametrize("kind", [np.uint8, np.float32])
    def test_never_change_what_the_dataset_keeps(self, kind: Any) -> None:
        kept = np.ones((2, 3), dtype=kind)
        before = kept.copy()
        to_frames(kept, CPU)
        assert np.array_equal(kept, before)

    def test_may_be_mirrored_or_mapped_from_a_file(self, tmp_path: Path) -> None:
        frames = np.arange(12, dtype=np.uint8).reshape(3, 4)
        np.save(tmp_path / "frames.npy", frames)
        mapped = np.load(tmp_path / "frames.npy", mmap_mode="r")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert torch.equal(to_frames(mapped, CPU), torch.from_numpy(frames) / 255)
            assert torch.equal(to_frames(frames[:, ::-1], CPU), torch.from_numpy(frames[:, ::-1].copy()) / 255)


class TestPrefetched:
    def test_keeps_the_order(self) -> None:
        assert list(prefetched(lambda key: key * key, range(20))) == [key * key for key in range(20)]

    def test_of_nothing_is_nothing(self) -> None:
        assert list(prefetched(str, [])) == []

    def test_reads_one_ahead_and_no_more(self) -> None:
        read: list[int] = []
        values = prefetched(lambda key: read.append(key) or key, range(10))  # type: ignore[func-returns-value]
        for key in range(4):
            assert next(values) == key
            deadline = time.monotonic() + 5
            while len(read) < key + 2 and time.monotonic() < deadline:
                time.sleep(0.001)
            assert read == list(range(key + 2))
        values.close()

    def test_takes_keys_as_they_are_wanted(self) -> None:
        taken: list[int] = []

        def keys() -> Any:
            for key in range(10**9):
                taken.append(key)
                yield key

        values = prefetched(str, keys())
        assert [next(values), next(values)] == ["0", "1"]
        assert len(taken) == 3
        values.close()

    def test_raises_an_error_where_its_value_would_have_come(self) -> None:
        def half(key: int) -> float:
            return 1 / (3 - key)

        values = prefetched(half, range(10))
        assert [next(values) for _ in range(3)] == [1 / 3, 1 / 2, 1.0]
        with pytest.raises(ZeroDivisionError):
            next(values)
        with pytest.raises(StopIteration):
            next(values)

    def test_closed_early_leaves_no_thread(self) -> None:
        before = threading.active_count()
        values = prefetched(str, range(10))
        next(values)
        values.close()
        assert threading.active_count() == before


class TestStream:
    def test_is_a_function_of_its_parts(self) -> None:
        assert stream("update", 0, 1) == stream("update", 0, 1)
        parts = [("update", 0, 1), ("update", 1, 0), ("update", 0, 11), ("update", 0), ("update",), ()]
        assert len({stream(*each) for each in parts}) == len(parts)
        assert stream("a", "bc") != stream("ab", "c")

    def test_is_the_same_in_every_process_and_release(self) -> None:
        """Checkpoints and records rely on it: these numbers must never change."""
        digest = hashlib.sha256(b'["update", 0, 1]').digest()
        assert stream("update", 0, 1) == int.from_bytes(digest[:8], "little") // 2 == 5_054_155_395_489_377_403

    def test_fits_into_what_generators_take(self) -> None:
        assert all(0 <= stream("a", k) < 2**63 for k in range(1000))


def test_parts_hold_all_ids_in_order() -> None:
    assert in_parts(range(7), 3) == [[0, 1, 2], [3, 4, 5], [6]]
    assert in_parts([], 3) == []
    assert in_parts([5], 3) == [[5]]
