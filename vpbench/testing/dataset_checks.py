"""What the contract asks of a dataset: `vpbench.protocols.Dataset`, rule by rule.

They are tried on a few clips of a few frames of each split that has some, so they can find faults and cannot prove that
there are none. Frames are compared to the last bit: a number is only worth what the frames below it are.
"""

from __future__ import annotations

import dataclasses
import time
import types
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations, pairwise
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from ..instances import open_dataset
from ..protocols import Dataset
from ..specs import resolve
from .check import NotApplicable, Rule, Violation
from .clock import an_hour_later
from .dataset_subject import CLIPS, Answer, DatasetSubject, Sample, copied, digest, same
from .network import no_network

_SOME_IDS = 10_000  # of a split that may have billions
_LONG = 10_000  # frames: what "any length" is tried with
_COMPARED_CLIPS = 256  # of each split, in search of clips that two splits share
_COMPARING_S = 1.0  # for each split: frames of some datasets take long
_NOWHERE = "no-such-split"

# ------------------------------------------------------------------------------------------------------------- frames


def check_frames_have_the_asked_shape(subject: DatasetSubject) -> None:
    """Frames are (B, T, C, H, W): a row per clip asked for, one per time, each of info.frame_shape."""
    for sample in subject.samples:
        asked = (*sample.times.shape, *subject.dataset.info.frame_shape)
        given = tuple(subject.ask(sample).frames.shape)
        if given != asked:
            raise Violation(f"{sample.split}: frames of shape {given}, asked for {asked}")


def check_frames_are_bytes_or_within_0_and_1(subject: DatasetSubject) -> None:
    """Frames are uint8, or float32 from 0 to 1, finite."""
    for split, answer in subject.answers.items():
        _require_values(answer.frames, f"{split}: frames")


def check_what_was_asked_for_comes_back(subject: DatasetSubject) -> None:
    """Clips.ids and Clips.times are those that were asked for, in their order."""
    for sample in subject.samples:
        clips = subject.ask(sample)
        if list(map(int, clips.ids)) != sample.ids:
            raise Violation(f"{sample.split}: asked for clips {sample.ids}, the answer says {list(clips.ids)}")
        times = np.asarray(clips.times)
        if times.dtype != np.float64 or not same(times, sample.times):
            raise Violation(
                f"{sample.split}: asked for float64 times {_brief(sample.times)}, the answer says {times.dtype} "
                f"{_brief(times)}"
            )


def check_info_stays_the_same(subject: DatasetSubject) -> None:
    """info makes sense, and stays the same when frames are read and when another instance is made."""
    dataset = subject.open()
    info = dataset.info
    if info.fractional and info.irregular:
        raise Violation("info says fractional and irregular: frames at any time, or at times of their own only")
    if info.frame_period_s is not None and not info.frame_period_s > 0:
        raise Violation(f"info.frame_period_s is {info.frame_period_s}: seconds above 0, or None")
    if len(info.value_range) != 2 or info.value_range[0] == info.value_range[1]:
        raise Violation(f"info.value_range is {info.value_range}: what 0 stands for, then what 1 stands for")
    for sample in subject.samples:
        subject.ask(sample, dataset)
    for when, again in {"after reading": dataset.info, "of another instance": subject.open().info}.items():
        if again != info:
            raise Violation(f"info is {info} at first, and {again} {when}")


def check_ids_name_each_clip_once(subject: DatasetSubject) -> None:
    """No clip is listed twice."""
    for sample in subject.samples:
        ids = _some_ids(subject.dataset, sample.split, 1)
        if len(set(ids)) < len(ids):
            twice = next(clip for clip in ids if ids.count(clip) > 1)
            raise Violation(f"{sample.split}: clip {twice} is listed {ids.count(twice)} times")


def check_ids_stay_the_same(subject: DatasetSubject) -> None:
    """Ids are the same, in the same order, when asked for again, and from another instance."""
    for sample in subject.samples:
        first = _some_ids(subject.dataset, sample.split, 1)
        for dataset, who in ((subject.dataset, "when asked again"), (subject.open(), "from another instance")):
            if (again := _some_ids(dataset, sample.split, 1)) != first:
                raise Violation(f"{sample.split}: clips {_brief(first)}, {who} {_brief(again)}")


def check_longer_clips_are_among_the_shorter(subject: DatasetSubject) -> None:
    """Asking for more frames leaves clips out; it never brings others in, and never changes their order."""
    longest = subject.dataset.info.max_length
    lengths = sorted({1, 2, 4, 8, longest or 100})
    for sample in subject.samples:
        for fewer, more in pairwise(lengths):
            short, long = (_some_ids(subject.dataset, sample.split, n) for n in (fewer, more))
            place = {clip: k for k, clip in enumerate(short)}
            if len(short) < _SOME_IDS and (new := [clip for clip in long if clip not in place]):
                raise Violation(f"{sample.split}: clip {new[0]} has {more} frames, but not {fewer}")
            places = [place[clip] for clip in long if clip in place]
            if places != sorted(places):
                raise Violation(
                    f"{sample.split}: the clips of {fewer} frames come in the order {_brief(short)}, those of {more} "
                    f"in the order {_brief(long)}"
                )


def check_max_length_is_kept(subject: DatasetSubject) -> None:
    """No clip is longer than info.max_length, one is as long, and a frame beyond the end is an error; None: any."""
    longest = subject.dataset.info.max_length
    if longest is None:
        for sample in subject.samples:
            short, long = (subject.dataset.ids(sample.split, n_frames=n) for n in (1, _LONG))
            if len(short) != len(long):
                raise Violation(
                    f"{sample.split}: max_length is None, any length, but {len(short)} clips have a frame and "
                    f"{len(long)} have {_LONG}"
                )
        return
    if not any(len(subject.dataset.ids(sample.split, n_frames=longest)) for sample in subject.samples):
        raise Violation(f"max_length is {longest}, and no split has a clip of {longest} frames")
    for sample in subject.samples:
        if too_long := len(subject.dataset.ids(sample.split, n_frames=longest + 1)):
            raise Violation(f"{sample.split}: max_length is {longest}, and {too_long} clips have {longest + 1} frames")
        if subject.dataset.info.irregular:
            continue  # what is asked for between its own times is a rule of its own
        clips = {*subject.first_ids(sample.split, 1), *subject.first_ids(sample.split, longest)}
        whole = subject.dataset.ids(sample.split, n_frames=longest)
        for clip in sorted(clips):
            beyond = float(longest if clip in whole else longest - 1)
            _require_error(
                f"{sample.split}: clip {clip} has no frame at time {beyond:g}, and gave one",
                *(subject.dataset.clips, sample.split, [clip], np.array([[beyond]])),
            )


# ------------------------------------------------------------------------------------------------------- the same again


def check_the_same_request_twice(subject: DatasetSubject) -> None:
    """The same clips at the same times are the same frames when asked for again."""
    for sample in subject.samples:
        first, again = subject.read(sample), subject.read(sample)
        _require_same_frames(sample, first, again, "when asked for again")
        _require_same_frames(sample, subject.answers[sample.split], again, "after others were read")


def check_clips_do_not_depend_on_their_company(subject: DatasetSubject) -> None:
    """A clip is the same alone, and in a batch of another order."""
    for sample in subject.larger_samples():
        answer = subject.answers[sample.split]
        turned = _rows(subject.read(sample.turned()), slice(None, None, -1))
        _require_same_frames(sample, answer, turned, "in a batch of the opposite order")
        for row in range(len(sample.ids)):
            one = slice(row, row + 1)
            _require_same_frames(sample.alone(row), _rows(answer, one), subject.read(sample.alone(row)), "alone")


def check_longer_clips_extend_shorter_ones(subject: DatasetSubject) -> None:
    """The first frames of a clip are the same, however many are asked for: all horizons see the same clips."""
    for sample in subject.longer_samples(2):
        half = sample.times.shape[1] // 2
        short, order = sample.beginning(half)
        first = _at(subject.answers[sample.split], order)
        _require_same_frames(short, first, subject.read(short), f"of {half} frames, not {sample.times.shape[1]},")


def check_times_may_come_in_any_order(subject: DatasetSubject) -> None:
    """Times may come in any order, some of them twice, others for each clip, and give the frames that are there."""
    for sample in subject.longer_samples(2):
        shuffled, order = sample.shuffled()
        answer = _at(subject.answers[sample.split], order)
        _require_same_frames(shuffled, answer, subject.read(shuffled), "asked for out of order and twice")


def check_another_instance_gives_the_same(subject: DatasetSubject) -> None:
    """A dataset made anew from the same config gives the same frames, in whatever order its splits are read."""
    with an_hour_later():
        other = subject.open()
        for sample in reversed(subject.samples):
            answer = subject.read(sample, other)
            _require_same_frames(sample, subject.answers[sample.split], answer, "of another instance")


def check_another_thread_gives_the_same(subject: DatasetSubject) -> None:
    """Frames can be read from another thread than the dataset was made in: the next batch is, while one is used."""
    with ThreadPoolExecutor(1) as pool:
        for sample in subject.samples:
            answer = pool.submit(subject.read, sample).result()
            _require_same_frames(sample, subject.answers[sample.split], answer, "in another thread")


def check_another_process_gives_the_same(subject: DatasetSubject) -> None:
    """The same frames come in another process."""
    for split, found in subject.told_elsewhere["frames"].items():
        if digest(subject.answers[split].frames) != found:
            raise Violation(f"{split}: the same clips have other frames in another process")


def check_given_frames_stay(subject: DatasetSubject) -> None:
    """Frames that were given stay as they are when others are read: no memory is used again."""
    for sample in subject.samples:
        given = subject.ask(sample)
        before = copied(given.frames)
        for other in subject.samples:
            subject.ask(other.turned())
            subject.ask(other.alone(0))
        if not same(before, copied(given.frames)):
            raise Violation(f"{sample.split}: frames that were given changed when others were read")


# ------------------------------------------------------------------------------------------------------------- splits


def check_splits_share_no_clip(subject: DatasetSubject) -> None:
    """No clip of one split is a clip of another."""
    length = min(sample.times.shape[1] for sample in subject.samples)
    found: dict[str, tuple[str, int]] = {}
    for sample in subject.samples:
        here = {}
        for clip, frames in _many_clips(subject, sample.split, length):
            here[digest(frames)] = (sample.split, clip)
        if shared := found.keys() & here.keys():
            (split, clip), (other, twin) = found[min(shared)], here[min(shared)]
            raise Violation(f"clip {clip} of {split} has the frames of clip {twin} of {other}")
        found |= here


def _many_clips(subject: DatasetSubject, split: str, length: int) -> Iterator[tuple[int, np.ndarray]]:
    """Clips of a split and their first frames, as many as can be read quickly.

    The first ones, of which two splits have the same where all count from 0, and some of all, where ranges overlap.
    """
    ids = subject.dataset.ids(split, n_frames=length)
    half = min(len(ids), _COMPARED_CLIPS // 2)
    spread = [round(k * (len(ids) - 1) / half) for k in range(half, 0, -1)]
    chosen = [int(ids[place]) for place in dict.fromkeys([*range(half), *spread])]
    began = time.monotonic()
    for start in range(0, len(chosen), CLIPS):
        some = chosen[start : start + CLIPS]
        yield from zip(
            some, subject.read(Sample(split, some, subject.first_times(split, some, length))).frames, strict=True
        )
        if time.monotonic() - began > _COMPARING_S:
            return


def check_test_clips_are_made_of_other_things(subject: DatasetSubject) -> None:
    """What sources() says the test clips are made of is nothing that the training clips are made of."""
    from ..contamination import overlap, sources_of

    told = {s.split: sources_of(subject.provided, subject.dataset, s.split) for s in subject.samples}
    train, test = told.get("train"), told.get("test")
    if train is None or test is None:
        raise NotApplicable("it does not say what both its train and its test split are made of")
    if shared := overlap(train, test):
        raise Violation(f"the train split is made of {shared} too")


def check_an_unknown_split_is_refused(subject: DatasetSubject) -> None:
    """A split that is not there is an error: never another split's clips, and never nothing."""
    sample = subject.samples[0]
    split, dataset = _NOWHERE, subject.dataset
    _require_error(
        f"ids({split!r}) gave an answer, and there is no such split", partial(dataset.ids, n_frames=1), split
    )
    _require_error(
        f"clips({split!r}) gave frames, and there is no such split", dataset.clips, split, sample.ids, sample.times
    )


def check_an_unknown_clip_is_refused(subject: DatasetSubject) -> None:
    """A clip that is not there is an error: neither another clip nor, for -1, the last one."""
    for sample in subject.samples:
        ids = subject.dataset.ids(sample.split, n_frames=1)
        known = _some_ids(subject.dataset, sample.split, 1)
        for clip in (-1, max(*known, int(ids[-1])) + 1):
            if clip not in ids:
                _require_error(
                    f"{sample.split}: ids() lists no clip {clip}, and clips() gave frames of it",
                    *(subject.dataset.clips, sample.split, [clip], sample.times[:1]),
                )


# -------------------------------------------------------------------------------------------------------------- times


def check_times_between_frames(subject: DatasetSubject) -> None:
    """Where info says fractional there are frames between the whole times, which they leave alone; else an error."""
    info = subject.dataset.info
    if info.irregular:
        raise NotApplicable("its frames are at times of their own")
    if not info.fractional:
        sample = subject.samples[0]
        between = sample.times[:, :1] + 0.5
        _require_error(
            f"{sample.split}: info does not say fractional, and time 0.5 gave frames",
            *(subject.dataset.clips, sample.split, sample.ids, between),
        )
        return
    for sample in subject.longer_samples(2):
        whole = sample.times[:, : sample.times.shape[1] // 2]
        both = sample._replace(times=np.stack([whole, whole + 0.5], axis=2).reshape(len(whole), -1))
        answer = subject.read(both)
        _require_values(answer.frames, f"{sample.split}: frames between the whole times")
        first = subject.answers[sample.split]
        at_whole = answer._replace(frames=answer.frames[:, ::2])
        first = first._replace(frames=first.frames[:, : whole.shape[1]])
        _require_same_frames(sample._replace(times=whole), first, at_whole, "asked for among times between frames")


def check_irregular_times(subject: DatasetSubject) -> None:
    """Where info says irregular, times() rise, begin alike for any length, stay the same, and no others have frames."""
    if not subject.dataset.info.irregular:
        raise NotApplicable("its frames are at whole times")
    from ..batches import first_times

    dataset, other = subject.dataset, subject.open()
    splits = [split for split in ("train", "val", "test") if subject.first_ids(split, 2)]
    if not splits:
        raise NotApplicable("no clip has 2 frames")
    for split in splits:
        ids = subject.first_ids(split, 2)
        times = first_times(dataset, split, ids, 2)
        for who, found in (
            ("when asked for again", first_times(dataset, split, ids, 2)),
            ("of another instance", first_times(other, split, ids, 2)),
            ("in the opposite order", first_times(dataset, split, ids[::-1], 2)[::-1]),
        ):
            if not same(times, found):
                raise Violation(f"{split}: times {_brief(times)}, {who} {_brief(found)}")
        if not same(times[:, :1], first_times(dataset, split, ids, 1)):
            raise Violation(f"{split}: the first time is another one when one frame is asked for than when two are")
        between = times[:, :1] + np.diff(times) / 2
        _require_error(
            f"{split}: there is no frame at time {between[0, 0]:g} of clip {ids[0]}, and clips() gave one",
            *(dataset.clips, split, ids, between),
        )


# ------------------------------------------------------------------------------------------------- what else is told


def check_what_a_model_is_shown(subject: DatasetSubject) -> None:
    """Clips.shown is like frames, Clips.observed bool (B, T), both decided by clip and time alone."""
    if not any(_shows(answer) for answer in subject.answers.values()):
        raise NotApplicable("a model is shown the frames themselves, all of them")
    other = subject.open()
    for sample in subject.samples:
        answer = subject.answers[sample.split]
        _require_shown(answer, sample)
        for how, wanted, found in _asked_otherwise(subject, sample, other):
            for what, (first, again) in {
                "shown frames": (_shown(wanted), _shown(found)),
                "observed": (_observed(wanted), _observed(found)),
            }.items():
                if not same(first, again):
                    raise Violation(f"{sample.split}: {what} of the same clips at the same times differ {how}")


def check_truth_is_as_declared(subject: DatasetSubject) -> None:
    """Each truth field of the spec is there, finite, a row per clip or per clip and time, and always the same."""
    if not subject.spec.truth:
        raise NotApplicable("its spec declares no truth")
    per_frame = [field.name for field in subject.spec.truth if field.per == "frame"]
    other = subject.open()
    for sample in subject.samples:
        answer = subject.answers[sample.split]
        for field in subject.spec.truth:
            if field.name not in answer.truth:
                raise Violation(f"{sample.split}: no truth {field.name!r}, which the spec declares")
            values = answer.truth[field.name]
            rows = sample.times.shape if field.per == "frame" else (len(sample.ids),)
            if values.shape[: len(rows)] != rows:
                raise Violation(
                    f"{sample.split}: {field.name} is of shape {values.shape}, one row per {field.per} is "
                    f"{(*rows, '...')}"
                )
            if values.dtype.kind in "fc" and not np.isfinite(values).all():
                raise Violation(f"{sample.split}: {field.name} is not finite everywhere")
            if field.objects and values.ndim == len(rows):
                raise Violation(
                    f"{sample.split}: {field.name} is said to count objects, and has no axis for them: it is of shape "
                    f"{values.shape}"
                )
        for how, wanted, found in _asked_otherwise(subject, sample, other, per_frame):
            for field in subject.spec.truth:
                if not same(wanted.truth[field.name], found.truth[field.name]):
                    raise Violation(f"{sample.split}: {field.name} of the same clips at the same times differs {how}")


def check_swapped(subject: DatasetSubject) -> None:
    """swapped() gives clips with the ids of those that move; of clips with themselves it is clips(), truth included."""
    swapped = getattr(subject.dataset, "swapped", None)
    if swapped is None:
        raise NotApplicable("it has no swapped()")
    for sample in subject.samples:
        for what, looks in {"with themselves": sample.ids, "with others": sample.ids[::-1]}.items():
            clips = swapped(sample.split, list(sample.ids), list(looks), sample.times.copy())
            wanted, found = subject.answers[sample.split], Answer.of(clips)
            if list(map(int, clips.ids)) != sample.ids:
                raise Violation(
                    f"{sample.split}: clips {sample.ids} swapped {what} say that they are {list(clips.ids)}: the "
                    "contract is the ids of those that move"
                )
            if (found.frames.shape, found.frames.dtype) != (wanted.frames.shape, wanted.frames.dtype):
                raise Violation(
                    f"{sample.split}: clips swapped {what} have frames {found.frames.dtype} {found.frames.shape}, "
                    f"those of clips() are {wanted.frames.dtype} {wanted.frames.shape}"
                )
            if found.truth.keys() != wanted.truth.keys():
                raise Violation(
                    f"{sample.split}: clips swapped {what} have truth of {', '.join(found.truth) or 'nothing'}, those "
                    f"of clips() of {', '.join(wanted.truth) or 'nothing'}"
                )
            if looks is sample.ids:
                _require_same_frames(sample, wanted, found, "swapped with itself")
                for name, values in wanted.truth.items():
                    if not same(values, found.truth[name]):
                        raise Violation(f"{sample.split}: {name} of clips swapped with themselves is another one")
                if not _alike(wanted, found):
                    raise Violation(f"{sample.split}: of clips swapped with themselves a model is shown something else")


def check_what_is_left_out_is_one_line(subject: DatasetSubject) -> None:
    """left_out() says in one line what of the files is not used, or nothing."""
    told = getattr(subject.dataset, "left_out", None)
    if told is None:
        raise NotApplicable("it has no left_out()")
    for sample in subject.samples:
        said = told(sample.split, n_frames=sample.times.shape[1])
        if not isinstance(said, str) or "\n" in said:
            raise Violation(f"{sample.split}: left_out() gave {said!r}, the contract is one line of text")


def check_named_functions_are_there(subject: DatasetSubject) -> None:
    """The functions that the spec names, fetch and reader, can be imported and called."""
    named = {"fetch": subject.spec.fetch, "reader": subject.spec.reader}
    if not any(named.values()):
        raise NotApplicable("its spec names no fetch and no reader")
    for what, reference in named.items():
        if reference and not callable(found := resolve(reference)):
            raise Violation(f"{what} {reference!r} is a {type(found).__name__}, not a function")


# -------------------------------------------------------------------------------------------------------- fingerprint


def check_fingerprint_stays_the_same(subject: DatasetSubject) -> None:
    """A fingerprint is text, the same when asked for again, of another instance, and whatever was read before."""
    for sample in subject.samples:
        fresh = subject.open()
        found = {"at first": fresh.fingerprint(sample.split)}
        first = found["at first"]
        if not isinstance(first, str) or not first:
            raise Violation(f"{sample.split}: the fingerprint is {first!r}, the contract is a text")
        found["when asked for again"] = fresh.fingerprint(sample.split)
        fresh.ids(sample.split, n_frames=1)
        for other in subject.samples:
            subject.ask(other, fresh)
        found["after reading"] = fresh.fingerprint(sample.split)
        found["of another instance"] = subject.open().fingerprint(sample.split)
        for when, again in found.items():
            if again != first:
                raise Violation(f"{sample.split}: fingerprint {_brief(first)} at first, {_brief(again)} {when}")


def check_fingerprint_is_the_same_in_another_process(subject: DatasetSubject) -> None:
    """A fingerprint is the same in another process: records of two machines can be put side by side."""
    for split, found in subject.told_elsewhere["fingerprint"].items():
        if found != (here := subject.dataset.fingerprint(split)):
            raise Violation(f"{split}: fingerprint {_brief(here)}, in another process {_brief(found)}")


def check_fingerprint_tells_splits_apart(subject: DatasetSubject) -> None:
    """Each split has a fingerprint of its own."""
    found = {sample.split: subject.dataset.fingerprint(sample.split) for sample in subject.samples}
    if len(found) < 2:
        raise NotApplicable(f"it has only a {next(iter(found))} split")
    for one, other in combinations(found, 2):
        if found[one] == found[other]:
            raise Violation(f"{one} and {other} have the same fingerprint {_brief(found[one])}")


def check_fingerprint_tells_configs_apart(subject: DatasetSubject) -> None:
    """A config that changes frames, or what a model is shown of them, changes the fingerprint."""
    sample = subject.samples[-1]
    here = subject.dataset.fingerprint(sample.split)
    tried = []
    for config, said in _other_configs(subject.config):
        try:
            dataset = open_dataset(subject.provided, config)
            answer = Answer.of(subject.ask(sample, dataset))
        except Exception:  # a config that does not fit the others, or clips that are not there with it
            continue
        if _alike(answer, subject.answers[sample.split]):
            continue
        tried.append(said)
        if dataset.fingerprint(sample.split) == here:
            raise Violation(f"{sample.split}: {said} changes the clips and leaves the fingerprint {_brief(here)}")
    if not tried:
        raise NotApplicable(
            "no other value of a yes/no, number or choice in its config that was tried changes the clips"
        )


# --------------------------------------------------------------------------------------------------------- behaviour


def check_no_network(subject: DatasetSubject) -> None:
    """Making it, and reading from it, reaches for no network: only `vpbench data get` downloads."""
    failed: Exception | None = None
    with no_network() as asked:
        try:
            dataset = subject.open()
            for sample in subject.samples:
                dataset.ids(sample.split, n_frames=1)
                subject.ask(sample, dataset)
                dataset.fingerprint(sample.split)
        except Exception as error:
            failed = error
    if asked:
        raise Violation(f"it asked the network for {asked[0]}") from failed
    if failed:
        raise failed


def check_light_entry_module(subject: DatasetSubject) -> None:
    """The entry module of its plugin imports vpbench and nothing heavy, so that listing plugins stays quick."""
    from .entry_module import check_light_entry_module as hold

    hold(subject.provided)


DATASET_RULES: tuple[Rule, ...] = (
    check_frames_have_the_asked_shape,
    check_frames_are_bytes_or_within_0_and_1,
    check_what_was_asked_for_comes_back,
    check_info_stays_the_same,
    check_ids_name_each_clip_once,
    check_ids_stay_the_same,
    check_longer_clips_are_among_the_shorter,
    check_max_length_is_kept,
    check_the_same_request_twice,
    check_clips_do_not_depend_on_their_company,
    check_longer_clips_extend_shorter_ones,
    check_times_may_come_in_any_order,
    check_another_instance_gives_the_same,
    check_another_thread_gives_the_same,
    check_another_process_gives_the_same,
    check_given_frames_stay,
    check_splits_share_no_clip,
    check_test_clips_are_made_of_other_things,
    check_an_unknown_split_is_refused,
    check_an_unknown_clip_is_refused,
    check_times_between_frames,
    check_irregular_times,
    check_what_a_model_is_shown,
    check_truth_is_as_declared,
    check_swapped,
    check_what_is_left_out_is_one_line,
    check_named_functions_are_there,
    check_fingerprint_stays_the_same,
    check_fingerprint_is_the_same_in_another_process,
    check_fingerprint_tells_splits_apart,
    check_fingerprint_tells_configs_apart,
    check_no_network,
    check_light_entry_module,
)


# -------------------------------------------------------------------------------------------------- looking and saying


def _require_values(frames: np.ndarray, what: str) -> None:
    if frames.dtype not in (np.uint8, np.float32):
        raise Violation(f"{what} are {frames.dtype}, the contract is uint8 or float32")
    if frames.dtype == np.float32 and frames.size:
        low, high = float(frames.min()), float(frames.max())
        if not (low >= 0 and high <= 1):  # also where one is NaN
            raise Violation(f"{what} are float32 from {low:g} to {high:g}, the contract is 0 to 1")


def _require_same_frames(sample: Sample, first: Answer, again: Answer, how: str) -> None:
    """Raises Violation with the first clip and time that differ, and by how much."""
    if same(first.frames, again.frames):
        return
    if first.frames.shape != again.frames.shape:
        raise Violation(f"{sample.split}: frames of shape {first.frames.shape} are {again.frames.shape} {how}")
    unlike = (first.frames != again.frames).any(axis=(2, 3, 4))
    clip, step = np.argwhere(unlike)[0]
    apart = np.abs(first.frames[clip, step].astype(np.float64) - again.frames[clip, step]).max()
    raise Violation(
        f"{sample.split}: clip {sample.ids[clip]} at time {sample.times[clip, step]:g} {how} is off by up to {apart:g} "
        f"({first.frames.dtype}); {unlike.sum()} of {unlike.size} frames differ"
    )


def _require_error(said: str, ask: Callable[..., Any], *arguments: Any) -> None:
    """Whatever is raised will do: the words are the dataset's affair."""
    try:
        ask(*arguments)
    except Exception:
        return
    raise Violation(f"{said}: it must be an error")


def _require_shown(answer: Answer, sample: Sample) -> None:
    if answer.shown is not None:
        if answer.shown.shape != answer.frames.shape:
            raise Violation(f"{sample.split}: shown is of shape {answer.shown.shape}, frames of {answer.frames.shape}")
        _require_values(answer.shown, f"{sample.split}: shown frames")
    if answer.observed is not None and (answer.observed.shape != sample.times.shape or answer.observed.dtype != bool):
        raise Violation(
            f"{sample.split}: observed is {answer.observed.dtype} {answer.observed.shape}, the contract is bool "
            f"{sample.times.shape}"
        )


def _shows(answer: Answer) -> bool:
    return answer.shown is not None or answer.observed is not None


def _shown(answer: Answer) -> np.ndarray:
    return answer.frames if answer.shown is None else answer.shown


def _observed(answer: Answer) -> np.ndarray:
    return np.ones(answer.frames.shape[:2], dtype=bool) if answer.observed is None else answer.observed


def _alike(one: Answer, other: Answer) -> bool:
    """Whether a model is shown the same and held against the same."""
    pairs = [(get(one), get(other)) for get in (lambda answer: answer.frames, _shown, _observed)]
    return all(same(first, second) for first, second in pairs)


def _rows(answer: Answer, rows: slice) -> Answer:
    """Some clips of an answer, or all in another order."""
    return Answer(
        frames=answer.frames[rows],
        truth={name: values[rows] for name, values in answer.truth.items()},
        shown=None if answer.shown is None else answer.shown[rows],
        observed=None if answer.observed is None else answer.observed[rows],
    )


def _at(answer: Answer, order: np.ndarray, per_frame: Collection[str] = ()) -> Answer:
    """An answer at these of its times, int (B, n); of the truth, the fields that have a row per frame."""
    clips = np.arange(len(order))[:, None]
    return Answer(
        frames=answer.frames[clips, order],
        truth={name: v[clips, order] if name in per_frame else v for name, v in answer.truth.items()},
        shown=None if answer.shown is None else answer.shown[clips, order],
        observed=None if answer.observed is None else answer.observed[clips, order],
    )


def _asked_otherwise(
    subject: DatasetSubject, sample: Sample, other: Dataset, per_frame: Collection[str] = ()
) -> Iterator[tuple[str, Answer, Answer]]:
    """What was asked for, asked for in other ways: how, what it was the first time, and what it is now."""
    answer = subject.answers[sample.split]
    yield "when asked for again", answer, subject.read(sample)
    yield "of another instance", answer, subject.read(sample, other)
    yield "in the opposite order", answer, _rows(subject.read(sample.turned()), slice(None, None, -1))
    length = sample.times.shape[1]
    if length > 1:
        for how, (request, order) in {
            "of fewer frames": sample.beginning(length // 2),
            "at times out of order": sample.shuffled(),
        }.items():
            yield how, _at(answer, order, per_frame), subject.read(request)


def _some_ids(dataset: Dataset, split: str, n_frames: int) -> list[Any]:
    return list(dataset.ids(split, n_frames=n_frames)[:_SOME_IDS])


def _other_configs(config: Any) -> Iterator[tuple[Any, str]]:
    """Configs with one other value each, and that value in words."""
    if config is None:
        return
    hints = get_type_hints(type(config))
    for field in dataclasses.fields(config):
        now = getattr(config, field.name)
        for value in _other_values(hints[field.name], now) if field.init else ():
            try:
                yield dataclasses.replace(config, **{field.name: value}), f"{field.name}={value}, not {now},"
            except ValueError:  # what its __post_init__ does not take
                continue


def _other_values(hint: Any, now: Any) -> Sequence[Any]:
    """Values of a type that are not the one there is; none for texts, which name files."""
    if get_origin(hint) in (Union, types.UnionType):
        found = [value for member in get_args(hint) for value in _other_values(member, now)]
    elif get_origin(hint) is Literal:
        found = list(get_args(hint))
    elif hint is bool:
        found = [True, False]
    elif hint is int and type(now) is int:
        found = [now + 1, now - 1, 2 * now, now // 2]
    elif hint is float and isinstance(now, int | float):
        found = [2.0 * now, now / 2, now + 0.1, now - 0.1]
    elif hint in (int, float):  # now it is None
        found = [hint(2)]
    else:
        found = []
    return [value for value in dict.fromkeys(found) if value != now]


def _brief(value: Any) -> str:
    """At most 60 characters of it, on one line."""
    text = " ".join(str(value.tolist() if isinstance(value, np.ndarray) else value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
