"""Dataset "clips": videos, image folders and arrays as they are on the disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

import vpbench
from vpbench.errors import DataError, UsageError

from . import CLIPS_VERSION, splits
from .config import SPLITS, Config
from .files import on_one_line
from .memory import Memory
from .pixels import with_channels, with_size
from .recordings import Recording, recordings
from .video import Video

#: Times are those of a clip if they differ by less, in frame periods.
_SAME_TIME = 1e-6

#: Frames at times that are this near to a grid, in frame periods, are on it: containers round times to milliseconds.
_ON_GRID = 0.05

#: What of the config decides who is in which split, and nothing about the frames of those who are.
_ABOUT_SPLITS = ("path", "memory_mb", "skip_unreadable", "splits", "shares", "train_if", "val_if", "test_if")

#: Clips of recordings named by the first digits of their sha256, as numbers that JSON holds exactly.
_BY_CONTENT = "files by the first 13 digits of their sha256"


@dataclass(frozen=True)
class Clip:
    """Some frames of a recording that follow each other."""

    recording: Recording
    first: int  #: number of its first frame in the recording, whatever the stride
    length: int  #: frames

    @property
    def place(self) -> float:
        """Where it comes in the order of evaluation: at a place that its name decides."""
        return splits.position(f"{self.recording.name}@{self.first}")


class Clips:
    """Clips of one's own files, as `Config` says. Frames are uint8, or float32 where any array is not.

    Clip i of a split is the i-th in natural order of names. They are evaluated in an order that only their names decide
    and that mixes them, so that the first hundred are a fair sample of all. Files are looked at when it is made, which
    for those that were not seen before means decoding them once; later frames are decoded when they are asked for.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        root = _root(self.config)
        found = recordings(root, self.config)
        rule = splits.rule(root, self.config, found.recordings, [source for source, _ in found.unreadable])
        self._said = rule.said
        self.recordings: dict[str, list[Recording]] = {split: [] for split in SPLITS}  #: split -> what is in it
        self._in_no_split = 0
        for each in found.recordings:
            split = rule.of(each.source, each.name, each.named_split)
            if split is None:
                self._in_no_split += 1
            else:
                self.recordings[split].append(each)
        self._unreadable = [(rule.of(source, source, None), source) for source, _ in found.unreadable]
        self._noun = "videos" if all(isinstance(each.reader, Video) for each in found.recordings) else "recordings"
        splits.check_disjoint(self.recordings)
        used = [each for split in SPLITS for each in self.recordings[split]] or found.recordings
        self._shape = _common_shape(used, self.config)
        self._floats = any(each.floats for each in used)
        self._period, irregular = _period(used, self.config)
        self._clips = {split: self._cut(split) for split in SPLITS}
        self._order = {split: _order(clips) for split, clips in self._clips.items()}
        self._memory = Memory(self.config.memory_mb << 20)
        self.info = vpbench.DatasetInfo(
            frame_shape=self._shape,
            max_length=max((clip.length for clips in self._clips.values() for clip in clips), default=None),
            irregular=irregular,
            frame_period_s=_seconds(used, self.config, self._period),
            value_range=self.config.value_range or (0.0, 1.0),
        )

    # ------------------------------------------------------------------------------------------------------- contract

    def ids(self, split: str, *, n_frames: int) -> Sequence[int]:
        """Clips of at least n_frames frames, mixed by their names."""
        clips = self._clips_of(split)
        return [i for i in self._order[split] if clips[i].length >= n_frames]

    def times(self, split: str, ids: Sequence[int], *, n_frames: int) -> np.ndarray:
        """When the first frames of these clips are, float64 (B, n_frames), in frame periods from each one's first."""
        return np.stack([self._times(clip)[:n_frames] for clip in self._chosen(split, ids, n_frames)])

    def clips(self, split: str, ids: Sequence[int], times: np.ndarray) -> vpbench.Clips:
        """Frames (B, T, C, H, W) of these clips at these times, float64 (B, T), which must be those of frames."""
        times = np.asarray(times, dtype=np.float64)
        chosen = self._chosen(split, ids, 0)
        if times.ndim != 2 or len(chosen) != len(times):
            raise ValueError(f"ids (B,) and times (B, T) do not fit: got {len(chosen)} ids and shape {times.shape}")
        frames = np.empty((*times.shape, *self._shape), dtype=np.float32 if self._floats else np.uint8)
        for row, clip in enumerate(chosen):
            self._read(clip, self._numbers(clip, times[row]), frames[row])
        return vpbench.Clips(frames=frames, times=times, ids=ids)

    def fingerprint(self, split: str) -> str:
        """sha256 of names and contents of the recordings of a split, and of what is made of them."""
        clips = self._clips_of(split)
        config = {
            each.name: getattr(self.config, each.name)
            for each in fields(Config)  # those that are set: a key that is added later leaves fingerprints alone
            if each.name not in _ABOUT_SPLITS and getattr(self.config, each.name) != each.default
        }
        identity = {
            "name": "clips",
            "version": CLIPS_VERSION,
            "config": config,
            "split": split,
            "frame_shape": self._shape,
            "floats": self._floats,
            "period": self._period,
            "clips": [(clip.recording.name, clip.recording.identity, clip.first, clip.length) for clip in clips],
            "times": hashlib.sha256(b"".join(self._times(clip).tobytes() for clip in clips)).hexdigest(),
        }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def left_out(self, split: str, *, n_frames: int) -> str:
        """What of the files has no part in tasks of n_frames frames on a split, and why."""
        clips, found = self._clips_of(split), self.recordings[split]
        what = self._noun
        said = []
        if lost := [source for of, source in self._unreadable if of in (split, None)]:
            named = f"{on_one_line(lost[0])}{', ...' * (len(lost) > 1)}"
            said.append(f"{len(lost)} of {len(found) + len(lost)} {split} {what} cannot be read ({named})")
        if not found:
            everything = sum(map(len, self.recordings.values())) + self._in_no_split
            remedy = "" if self.config.splits == "test" else "; --set splits=test makes all of them test clips"
            said.append(f"none of {everything} {what} is in the {split} split, {self._said}{remedy}")
        enough = {clip.recording.name for clip in clips if clip.length >= n_frames}
        if short := len(found) - len(enough):
            every = f" (every {self.config.stride}th counts)" if self.config.stride > 1 else ""
            said.append(f"{short} of {len(found)} {split} {what} have fewer than {n_frames} frames{every}")
        if cut := self.config.cut:
            rests = [self._strided(each) % cut for each in found if self._strided(each) >= cut]
            if any(rests):
                where = f"at the ends of {sum(rest > 0 for rest in rests)} {split} {what}"
                said.append(f"{sum(rests)} frames {where} make no whole clip of {cut}")
        if self._in_no_split and found:
            said.append(f"{self._in_no_split} {what} are in no split, {self._said}")
        return "; ".join(said)

    def sources(self, split: str) -> dict[str, list[tuple[int, int]]]:
        """The files and the rows of arrays that the clips of a split are from, by content."""
        self._clips_of(split)
        found: dict[str, set[int]] = {}
        for each in self.recordings[split]:
            collection, number = each.items or (_BY_CONTENT, int(each.identity[:13], 16))
            found.setdefault(collection, set()).add(number)
        return {collection: _ranges(sorted(numbers)) for collection, numbers in found.items()}

    # ---------------------------------------------------------------------------------------------------------- clips

    def _clips_of(self, split: str) -> list[Clip]:
        if split not in self._clips:
            raise UsageError(f"clips has no split {split!r}: one of {', '.join(SPLITS)}")
        return self._clips[split]

    def _chosen(self, split: str, ids: Sequence[int], n_frames: int) -> list[Clip]:
        clips = self._clips_of(split)
        for i in ids:
            if not 0 <= int(i) < len(clips):
                raise ValueError(f"no clip {i} in split {split!r}: ids are 0..{len(clips) - 1}")
            if clips[int(i)].length < n_frames:
                raise ValueError(f"clip {i} of split {split!r} has {clips[int(i)].length} frames, not {n_frames}")
        return [clips[int(i)] for i in ids]

    def _strided(self, recording: Recording) -> int:
        """Frames of a recording that count."""
        return -(-recording.length // self.config.stride)

    def _cut(self, split: str) -> list[Clip]:
        stride, cut = self.config.stride, self.config.cut
        clips = []
        for each in self.recordings[split]:
            length = self._strided(each)
            size = cut or length
            clips += [Clip(each, first * stride, size) for first in range(0, length - size + 1, size)]
        return clips

    def _times(self, clip: Clip) -> np.ndarray:
        """float64 (length,): from 0 on, in frame periods."""
        if not self.info.irregular:
            return np.arange(float(clip.length))
        assert clip.recording.times is not None
        stride = self.config.stride
        times = clip.recording.times[clip.first : clip.first + clip.length * stride : stride]
        return (times - times[0]) / self._period

    def _numbers(self, clip: Clip, times: np.ndarray) -> np.ndarray:
        """Numbers in the recording of the frames at these times."""
        there = self._times(clip)
        after = np.searchsorted(there, times).clip(1, max(1, clip.length - 1))
        before = after - 1
        after = after.clip(max=clip.length - 1)
        nearest = np.where(np.abs(there[before] - times) <= np.abs(there[after] - times), before, after)
        off = ~(np.abs(there[nearest] - times) <= _SAME_TIME)
        if off.any():
            raise ValueError(
                f"no frame at time {times[off][0]} in {clip.recording.name}: {clip.length} frames at 0..{there[-1]:g}"
            )
        return clip.first + nearest * self.config.stride

    def _read(self, clip: Clip, numbers: np.ndarray, out: np.ndarray) -> None:
        """Frames of a recording by number into (T, C, H, W)."""
        places: dict[int, list[int]] = {}
        for place, number in enumerate(numbers.tolist()):
            kept = self._memory[clip.recording.name, number]
            if kept is None:
                places.setdefault(number, []).append(place)
            else:
                out[place] = kept
        if not places:
            return
        for number, picture in clip.recording.reader.read(sorted(places)):
            frame = self._frame(picture)
            self._memory[clip.recording.name, number] = frame
            out[places.pop(number)] = frame
        if places:
            raise DataError(f"{clip.recording.path} has no frame {min(places)} any more: did it change?")

    def _frame(self, picture: np.ndarray) -> np.ndarray:
        """(H, W, C) as it is in a file to (C, H, W) in memory of its own."""
        channels = self._shape[0]
        if channels < picture.shape[2]:  # grey first: less to scale
            picture = with_channels(picture, channels)
        picture = with_channels(with_size(picture, self.config.frame_size, self.config.fit), channels)
        if self._floats and picture.dtype == np.uint8:
            picture = picture.astype(np.float32) / np.float32(255)
        return np.array(picture.transpose(2, 0, 1), order="C")


def _root(config: Config) -> Path:
    named = config.path or os.environ.get("VPBENCH_CLIPS")
    if not named:
        raise DataError(
            "clips: where are they? --set path=FOLDER names them, or $VPBENCH_CLIPS where nothing can be set"
        )
    return Path(named).expanduser()


def _order(clips: Sequence[Clip]) -> list[int]:
    places = [(clip.place, i) for i, clip in enumerate(clips)]
    return [i for _, i in sorted(places)]


def _ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Rising numbers as half-open ranges."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number:
            found[-1] = (found[-1][0], number + 1)
        else:
            found.append((number, number + 1))
    return found


def _common_shape(used: Sequence[Recording], config: Config) -> tuple[int, int, int]:
    """(C, H, W) of all frames. Raises DataError where files differ, naming two and what makes them alike."""
    first = used[0]
    for each in used[1:]:
        if config.channels is None and each.shape[2] != first.shape[2]:
            raise DataError(
                f"{first.path} has {first.shape[2]} channels, {each.path} has {each.shape[2]}: --set channels=1 makes "
                "all of them grey, channels=3 RGB"
            )
        if config.frame_size is None and each.shape[:2] != first.shape[:2]:
            least = [min(recording.shape[axis] for recording in used) for axis in (0, 1)]
            raise DataError(
                f"{first.path} has frames of {_size(first)}, {each.path} of {_size(each)}: --set "
                f"size={least[0]},{least[1]} makes them alike (height, width)"
            )
    channels = config.channels or first.shape[2]
    for each in used:
        if each.shape[2] not in (1, channels) and (each.shape[2], channels) != (3, 1):
            raise DataError(
                f"{each.path} has {each.shape[2]} channels, which cannot become {channels}: only RGB and grey are "
                f"changed; drop channels, or --set channels={each.shape[2]}"
            )
    height, width = config.frame_size or first.shape[:2]
    return channels, height, width


def _size(recording: Recording) -> str:
    return f"{recording.shape[0]}×{recording.shape[1]}"


def _period(used: Sequence[Recording], config: Config) -> tuple[float, bool]:
    """One frame period in the unit of the times, and whether frames are off that grid.

    Of the spacings within half of the median, the mean: dropped frames do not count, rounding does not add up.
    """
    timed = [each.times[:: config.stride] for each in used if each.times is not None]
    if not timed:
        return 1.0, False
    spacings = np.concatenate([np.diff(times) for times in timed])
    if not spacings.size:
        return config.period or 1.0, False
    median = np.median(spacings)
    period = config.period or float(spacings[np.abs(spacings - median) <= median / 2].mean())
    regular = all(
        bool((np.abs((times - times[0]) / period - np.arange(len(times))) <= _ON_GRID).all()) for times in timed
    )
    return period, not regular


def _seconds(used: Sequence[Recording], config: Config, period: float) -> float | None:
    """Seconds per frame, where all files tell and agree within a hundredth; None otherwise."""
    told = [each.period_s * config.stride for each in used if each.period_s is not None]
    if len(told) != len(used) or not told:
        return None
    if config.times == "file":
        return period
    return told[0] if max(told) <= 1.01 * min(told) else None
