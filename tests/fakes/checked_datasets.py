"""Datasets for the conformance kit: good ones, and of every rule some that break it and no other."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import socket
import threading
import time
from typing import Any, ClassVar

import numpy as np

import vpbench
from vpbench.errors import DataError

# ---------------------------------------------------------------------------------------------------------- good ones


@dataclasses.dataclass(frozen=True)
class SparklesConfig:
    seed: int = 0
    folder: str = ""


class Sparkles:
    """Random frames of 5 x 6 pixels; clips of 12 and of 9 frames, of which a model is shown half and misses some."""

    LENGTHS: ClassVar = {"train": [12, 9, 12, 12, 9], "val": [9, 12], "test": [12, 12, 9, 9]}

    def __init__(self, config: SparklesConfig | None) -> None:
        self.seed = config.seed if config else 0
        self.info = vpbench.DatasetInfo(frame_shape=(1, 5, 6), max_length=12)

    def ids(self, split: str, *, n_frames: int) -> list[int]:
        return [clip for clip, length in enumerate(self.LENGTHS[split]) if length >= n_frames]

    def whole(self, split: str, clip: int) -> np.ndarray:
        """All frames of a clip."""
        if not 0 <= clip < len(self.LENGTHS[split]):
            raise IndexError(f"no clip {clip} in {split}")
        rng = np.random.default_rng([self.seed, list(self.LENGTHS).index(split), clip])
        return rng.integers(0, 256, (self.LENGTHS[split][clip], 1, 5, 6), dtype=np.uint8)

    def frames(self, split: str, ids: list[int], times: np.ndarray) -> np.ndarray:
        if (times != np.floor(times)).any() or (times < 0).any():
            raise ValueError("frames are at whole times")
        return np.stack([self.whole(split, clip)[row.astype(int)] for clip, row in zip(ids, times, strict=True)])

    def shown(self, frames: np.ndarray, times: np.ndarray) -> np.ndarray | None:
        return frames // 2

    def observed(self, ids: list[int], times: np.ndarray) -> np.ndarray | None:
        return (np.array(ids)[:, None] + times) % 4 != 3

    def truth(self, split: str, ids: list[int], frames: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "brightness": frames.mean(axis=(2, 3, 4)),
            "first": np.array([self.whole(split, clip)[0, 0, 0, 0] for clip in ids]),
        }

    def clips(self, split: str, ids: list[int], times: np.ndarray) -> vpbench.Clips:
        frames = Sparkles.frames(self, split, ids, times)  # what is made of them stays right where a fake's are wrong
        return vpbench.Clips(
            frames=self.frames(split, ids, times),
            times=times,
            ids=ids,
            truth=self.truth(split, ids, frames),
            shown=self.shown(frames, times),
            observed=self.observed(ids, times),
        )

    def sources(self, split: str) -> dict[str, list[tuple[int, int]]]:
        return {"sparks": [{"train": (0, 60), "val": (60, 80), "test": (80, 99)}[split]]}

    def left_out(self, split: str, *, n_frames: int) -> str:
        return "2 clips are shorter"

    def fingerprint(self, split: str) -> str:
        return f"sparkles {split} {self.seed}"


class Glow:
    """Brightness that rises with time, at any time; one split, and torch tensors."""

    clips_there = 2**31

    def __init__(self, config: None) -> None:
        self.info = vpbench.DatasetInfo(frame_shape=(3, 4, 4), max_length=None, fractional=True)

    def ids(self, split: str, *, n_frames: int) -> range:
        if split != "test":
            raise KeyError(split)
        return range(self.clips_there)

    def brightness(self, ids: list[int], times: np.ndarray) -> np.ndarray:
        return ((np.array(ids)[:, None] + 1) / 8 + times / 1000).astype(np.float32)

    def clips(self, split: str, ids: list[int], times: np.ndarray) -> vpbench.Clips:
        import torch

        if split != "test" or not all(0 <= clip < self.clips_there for clip in ids):
            raise KeyError((split, ids))
        levels = torch.from_numpy(self.brightness(ids, times))
        return vpbench.Clips(levels[:, :, None, None, None].expand(-1, -1, 3, 4, 4), times, ids)

    def fingerprint(self, split: str) -> str:
        return f"glow {split}"


class Ticks:
    """Frames at times of their own: 0, 0.7 + clip / 10, twice that, and so on."""

    def __init__(self, config: None) -> None:
        self.info = vpbench.DatasetInfo(frame_shape=(1, 3, 3), max_length=9, irregular=True)

    def ids(self, split: str, *, n_frames: int) -> range:
        return {"train": range(2), "test": range(2, 5)}[split] if n_frames <= 9 else range(0)

    def times(self, split: str, ids: list[int], *, n_frames: int) -> np.ndarray:
        return np.array([(0.7 + clip / 10) * np.arange(n_frames) for clip in ids])

    def clips(self, split: str, ids: list[int], times: np.ndarray) -> vpbench.Clips:
        known = [clip in self.ids(split, n_frames=1) for clip in ids]
        own = Ticks.times(self, split, ids, n_frames=9)
        there = (times[:, :, None] == own[:, None]).any(axis=2)
        if not all(known) or not there.all():
            raise ValueError("no such clip, or no frame at such a time")
        levels = 10 * np.array(ids)[:, None] + (times[:, :, None] == own[:, None]).argmax(axis=2)
        return vpbench.Clips(np.tile(levels.astype(np.uint8)[:, :, None, None, None], (1, 1, 1, 3, 3)), times, ids)

    def fingerprint(self, split: str) -> str:
        return f"ticks {split}"


# --------------------------------------------------------------------------------------------------------- wrong ones


class Narrow(Sparkles):
    def frames(self, split, ids, times):
        return super().frames(split, ids, times)[..., :-1]


class Doubles(Sparkles):
    def frames(self, split, ids, times):
        return super().frames(split, ids, times) / 255


class TooBright(Sparkles):
    def frames(self, split, ids, times):
        return (super().frames(split, ids, times) / 250).astype(np.float32)


class TellsOtherTimes(Sparkles):
    def clips(self, split, ids, times):
        return dataclasses.replace(super().clips(split, ids, times), times=times + 1)


class TellsOtherIds(Sparkles):
    def clips(self, split, ids, times):
        return dataclasses.replace(super().clips(split, ids, times), ids=sorted(ids, reverse=True))


class LearnsItsUnit(Sparkles):
    def clips(self, split, ids, times):
        self.info = dataclasses.replace(self.info, value_unit="found out while reading")
        return super().clips(split, ids, times)


class ListsAClipTwice(Sparkles):
    def ids(self, split, *, n_frames):
        found = super().ids(split, n_frames=n_frames)
        return [found[0], *found] if found else []


class ListsAnew(Sparkles):
    """Each instance lists the clips in another order."""

    instances: ClassVar = itertools.count()

    def __init__(self, config):
        super().__init__(config)
        self.turned = next(self.instances) % 2 == 1

    def ids(self, split, *, n_frames):
        found = super().ids(split, n_frames=n_frames)
        return found[::-1] if self.turned else found


class LongOnesComeInLate(Sparkles):
    def ids(self, split, *, n_frames):
        return [clip for clip in super().ids(split, n_frames=n_frames) if clip or n_frames > 2]


class LongOnesComeFirst(Sparkles):
    def ids(self, split, *, n_frames):
        found = super().ids(split, n_frames=n_frames)
        return found[::-1] if n_frames > 8 else found


class ListsTooLongOnes(Sparkles):
    def ids(self, split, *, n_frames):
        return super().ids(split, n_frames=min(n_frames, 12))


class StaysOnTheLastFrame(Sparkles):
    def whole(self, split, clip):
        found = super().whole(split, clip)
        return np.concatenate([found, np.repeat(found[-1:], 20, axis=0)])


class EndsSoonerThanItSays(Sparkles):
    def __init__(self, config):
        super().__init__(config)
        self.info = dataclasses.replace(self.info, max_length=14)


class EndsThoughItSaysItDoesNot(Glow):
    clips_there = 8

    def ids(self, split, *, n_frames):
        return super().ids(split, n_frames=n_frames)[: 4 if n_frames > 1000 else 8]


class RemembersWrongly(Sparkles):
    """What is asked for twice in a row comes from a memory that is off by one."""

    last: Any = None

    def frames(self, split, ids, times):
        asked, found = (split, tuple(ids), times.tobytes()), super().frames(split, ids, times)
        again, self.last = asked == self.last, asked
        return found ^ 1 if again else found


class MarksTheRow(Sparkles):
    def frames(self, split, ids, times):
        found = super().frames(split, ids, times)
        return found ^ np.arange(len(ids), dtype=np.uint8)[:, None, None, None, None]


class NeedsCompany(Sparkles):
    def frames(self, split, ids, times):
        found = super().frames(split, ids, times)
        return found if len(ids) > 1 else found ^ 1


class DependsOnLength(Sparkles):
    def frames(self, split, ids, times):
        return super().frames(split, ids, times) ^ np.uint8(times.shape[1])


class ReadsInOrder(Sparkles):
    def frames(self, split, ids, times):
        return super().frames(split, ids, np.sort(times, axis=1))


class AnotherEachTimeItIsMade(Sparkles):
    instances: ClassVar = itertools.count()

    def __init__(self, config):
        super().__init__(config)
        self.mark = np.uint8(next(self.instances))

    def frames(self, split, ids, times):
        return super().frames(split, ids, times) ^ self.mark


class AnotherEachHour(AnotherEachTimeItIsMade):
    def __init__(self, config):
        super().__init__(config)
        self.mark = np.uint8(int(time.time() // 3600) % 256)


class StaysInItsThread(Sparkles):
    def __init__(self, config):
        super().__init__(config)
        self.home = threading.get_ident()

    def frames(self, split, ids, times):
        if threading.get_ident() != self.home:
            raise RuntimeError("opened in another thread")
        return super().frames(split, ids, times)


class UsesMemoryAgain(Sparkles):
    def __init__(self, config):
        super().__init__(config)
        self.memory = np.zeros((16, 40, 1, 5, 6), dtype=np.uint8)

    def frames(self, split, ids, times):
        given = self.memory[: len(ids), : times.shape[1]]
        given[:] = super().frames(split, ids, times)
        return given


class TestsOnATrainingClip(Sparkles):
    def whole(self, split, clip):
        return super().whole(*(("train", 0) if (split, clip) == ("test", 1) else (split, clip)))


class TestsOnTheLastTrainingClips(Sparkles):
    """The test range begins before the training range ends."""

    LENGTHS: ClassVar = {"train": [12] * 900, "val": [12] * 2, "test": [12] * 200}

    def whole(self, split, clip):
        return super().whole(*(("train", 800 + clip) if split == "test" and 0 <= clip < 100 else (split, clip)))


class TestsOnTrainingSparks(Sparkles):
    def sources(self, split):
        return {"sparks": [(0, 99)]}


class TakesAnySplitForTest(Sparkles):
    def ids(self, split, *, n_frames):
        return super().ids(split if split in self.LENGTHS else "test", n_frames=n_frames)


class ReadsAnySplitAsTest(Sparkles):
    def clips(self, split, ids, times):
        return super().clips(split if split in self.LENGTHS else "test", ids, times)


class CountsFromTheEnd(Sparkles):
    def whole(self, split, clip):
        return super().whole(split, clip % len(self.LENGTHS[split]))


class RoundsTimes(Sparkles):
    def clips(self, split, ids, times):
        return dataclasses.replace(super().clips(split, ids, np.floor(times)), times=times)


class GlowsWronglyBetween(Glow):
    def brightness(self, ids, times):
        return np.where(times % 1, np.nan, super().brightness(ids, times)).astype(np.float32)


class GlowsOtherwiseAmongOthers(Glow):
    def brightness(self, ids, times):
        return super().brightness(ids, times) / (2 if (times % 1).any() else 1)


class TicksAtAnyTime(Ticks):
    def clips(self, split, ids, times):
        own = self.times(split, ids, n_frames=9)
        nearest = np.abs(times[:, :, None] - own[:, None]).argmin(axis=2)
        return dataclasses.replace(super().clips(split, ids, np.take_along_axis(own, nearest, axis=1)), times=times)


class TicksWithItsCompany(Ticks):
    def times(self, split, ids, *, n_frames):
        found = super().times(split, ids, n_frames=n_frames)
        found[0] = super().times(split, [min(ids)], n_frames=n_frames)[0]
        return found


class ShownByTheRow(Sparkles):
    def shown(self, frames, times):
        return np.random.default_rng(0).permuted(frames, axis=1) if len(frames) > 1 else frames


class ShownInTheOrderOfTimes(Sparkles):
    def shown(self, frames, times):
        return np.sort(frames, axis=1)


class ShownTooBright(Sparkles):
    def shown(self, frames, times):
        return frames * np.float32(10)


class ObservedAsNumbers(Sparkles):
    def observed(self, ids, times):
        return super().observed(ids, times).astype(int)


class NoTruth(Sparkles):
    def truth(self, split, ids, frames):
        return {"first": super().truth(split, ids, frames)["first"]}


class TruthOfTheBatch(Sparkles):
    def truth(self, split, ids, frames):
        return {**super().truth(split, ids, frames), "first": np.arange(len(ids))}


class TruthSinceTheFirstTime(Sparkles):
    def truth(self, split, ids, frames):
        found = super().truth(split, ids, frames)
        return {**found, "brightness": found["brightness"] - found["brightness"][:, :1]}


class TruthPerClipOnly(Sparkles):
    def truth(self, split, ids, frames):
        found = super().truth(split, ids, frames)
        return {**found, "brightness": found["brightness"].mean(axis=1)}


class TruthOfNoObjects(Sparkles):
    """Its spec says that `brightness` counts objects."""


class Swapping(Sparkles):
    """The upper rows of one clip and the lower ones of another; the truth is that of the first."""

    def swapped(self, split, dynamics, appearance, times):
        moving, looking = (self.clips(split, ids, times) for ids in (dynamics, appearance))
        frames = moving.frames.copy()
        frames[..., 3:, :] = looking.frames[..., 3:, :]
        return dataclasses.replace(moving, frames=frames)


class SwapsToOthers(Swapping):
    def swapped(self, split, dynamics, appearance, times):
        return super().swapped(split, dynamics, appearance[::-1], times)


class SwapsTruth(Swapping):
    def swapped(self, split, dynamics, appearance, times):
        swapped = super().swapped(split, dynamics, appearance, times)
        return dataclasses.replace(swapped, truth={**swapped.truth, "first": swapped.truth["first"] + 1})


class SwapsWithoutTruth(Swapping):
    def swapped(self, split, dynamics, appearance, times):
        return dataclasses.replace(super().swapped(split, dynamics, appearance, times), truth={})


class SwapsNames(Swapping):
    def swapped(self, split, dynamics, appearance, times):
        return dataclasses.replace(super().swapped(split, dynamics, appearance, times), ids=appearance)


class SwapsOneFrame(Swapping):
    def swapped(self, split, dynamics, appearance, times):
        return super().swapped(split, dynamics, appearance, times[:, :1])


class SwapsWhatIsShown(Swapping):
    def swapped(self, split, dynamics, appearance, times):
        return dataclasses.replace(super().swapped(split, dynamics, appearance, times), shown=None)


class LeavesOutAList(Sparkles):
    def left_out(self, split, *, n_frames):
        return ["clip 4"]


class HashedFrames(Sparkles):
    def frames(self, split, ids, times):
        return super().frames(split, ids, times) ^ np.uint8(hash(split) % 256)


class HashedFingerprint(Sparkles):
    def fingerprint(self, split):
        return f"{super().fingerprint(split)} {hash(split)}"


class CountsWhatWasRead(Sparkles):
    read = 0

    def clips(self, split, ids, times):
        self.read += 1
        return super().clips(split, ids, times)

    def fingerprint(self, split):
        return f"{super().fingerprint(split)} {self.read}"


class OneFingerprint(Sparkles):
    def fingerprint(self, split):
        return f"sparkles {self.seed}"


class FingerprintWithoutSeed(Sparkles):
    def fingerprint(self, split):
        return f"sparkles {split}"


class Telephones(Sparkles):
    def clips(self, split, ids, times):
        with contextlib.suppress(OSError):  # it works without, and says nothing of it
            socket.create_connection(("127.0.0.1", 9), timeout=0.1).close()
        return super().clips(split, ids, times)


# ------------------------------------------------------------------------------------------------ those not looked at


class NotThere(Sparkles):
    def __init__(self, config):
        raise DataError("the sparks are missing: buy some")


class OpensByTelephone(Sparkles):
    def __init__(self, config):
        super().__init__(config)
        socket.create_connection(("127.0.0.1", 9), timeout=0.1)


class Empty(Sparkles):
    LENGTHS: ClassVar = {"train": [], "val": [], "test": []}


def hash_and_place(text):
    return [hash(text), __file__]
