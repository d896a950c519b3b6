"""The dataset as the core sees it: clips, times, fingerprints, what is left out."""

from __future__ import annotations

import os
import pickle
import shutil
import threading

import h5py
import numpy as np
import pytest
import zarr
from PIL import Image
from vpbench_clips import index
from vpbench_clips import video as videos
from vpbench_clips.config import Config
from vpbench_clips.dataset import Clips
from vpbench_clips.memory import Memory

from vpbench.errors import DataError


def opened(path, **settings):
    return Clips(Config(path=str(path), **{"splits": "test", **settings}))


def read(dataset, clip, n, split="test"):
    """The first n frames of a clip, (n, C, H, W)."""
    return dataset.clips(split, [clip], np.arange(float(n))[None]).frames[0]


@pytest.fixture
def three(folder, video, movie):
    """Three lossless videos of 12, 30 and 7 frames."""
    for k, n in enumerate((12, 30, 7)):
        video(folder / f"v{k}.mkv", movie(n, seed=k), gop=5)
    return folder


def test_clips_are_the_files_in_natural_order_and_their_frames(three, movie):
    dataset = opened(three)
    assert dataset.info.frame_shape == (3, 16, 24)
    assert dataset.info.max_length == 30
    assert dataset.info.frame_period_s == pytest.approx(0.04)
    for k, n in enumerate((12, 30, 7)):
        assert np.array_equal(read(dataset, k, n), movie(n, seed=k).transpose(0, 3, 1, 2))
    both = dataset.clips("test", [1, 0], np.array([[3.0, 1.0, 3.0], [0.0, 11.0, 2.0]]))
    assert np.array_equal(both.frames[0], movie(30, seed=1).transpose(0, 3, 1, 2)[[3, 1, 3]])
    assert np.array_equal(both.frames[1], movie(12).transpose(0, 3, 1, 2)[[0, 11, 2]])
    assert list(both.ids) == [1, 0]


def test_short_clips_are_left_out_and_counted(three):
    dataset = opened(three)
    assert sorted(dataset.ids("test", n_frames=7)) == [0, 1, 2]
    assert sorted(dataset.ids("test", n_frames=12)) == [0, 1]
    assert len(dataset.ids("test", n_frames=31)) == 0
    assert dataset.left_out("test", n_frames=7) == ""
    assert dataset.left_out("test", n_frames=20) == "2 of 3 test videos have fewer than 20 frames"


def test_long_videos_are_cut_and_what_is_left_over_is_counted(three, movie):
    dataset = opened(three, cut=8, stride=1)
    frames = movie(30, seed=1).transpose(0, 3, 1, 2)
    assert len(dataset.ids("test", n_frames=8)) == 1 + 3
    for cut in range(3):
        assert np.array_equal(read(dataset, 1 + cut, 8), frames[8 * cut : 8 * cut + 8])
    assert dataset.left_out("test", n_frames=8) == (
        "1 of 3 test videos have fewer than 8 frames; 10 frames at the ends of 2 test videos make no whole clip of 8"
    )


def test_a_stride_takes_every_so_manieth_frame(three, movie):
    dataset = opened(three, stride=4)
    frames = movie(30, seed=1).transpose(0, 3, 1, 2)
    assert np.array_equal(read(dataset, 1, 8), frames[::4])
    assert dataset.info.max_length == 8
    assert dataset.info.frame_period_s == pytest.approx(0.16)
    assert "2 of 3 test videos have fewer than 5 frames (every 4th counts)" in dataset.left_out("test", n_frames=5)
    cut = opened(three, stride=3, cut=4)
    assert np.array_equal(read(cut, 2, 4), frames[12:24:3])


def test_the_order_of_evaluation_is_one_that_names_decide_and_that_mixes_them(folder):
    for k in range(30):
        np.save(folder / f"{k:02d}.npy", np.full((3, 8, 8), k, dtype=np.uint8))
    order = list(opened(folder).ids("test", n_frames=2))
    assert sorted(order) == list(range(30))
    assert order != sorted(order)
    (folder / "29.npy").unlink()
    assert list(opened(folder).ids("test", n_frames=2)) == [clip for clip in order if clip != 29]


def test_frames_are_those_of_numpy_whatever_the_batch(three):
    dataset = opened(three)
    alone = [read(dataset, k, 7) for k in range(3)]
    together = opened(three).clips("test", [2, 0, 1], np.tile(np.arange(7.0), (3, 1))).frames
    assert np.array_equal(together, np.stack([alone[2], alone[0], alone[1]]))


def test_size_and_channels_make_unlike_files_alike(folder, video, movie, image_folder):
    video(folder / "a.mkv", movie(5))
    video(folder / "b.mkv", movie(5, 20, 20)[..., 0])
    image_folder(folder / "c", movie(5, 16, 16))
    with pytest.raises(DataError, match=r"a\.mkv has 3 channels, .*b\.mkv has 1: --set channels=1"):
        opened(folder)
    with pytest.raises(
        DataError, match=r"a\.mkv has frames of 16×24, .*b\.mkv of 20×20: --set size=16,16 makes them alike"
    ):
        opened(folder, channels=1)
    dataset = opened(folder, channels=1, size=8)
    assert dataset.info.frame_shape == (1, 8, 8)
    assert read(dataset, 2, 5).shape == (5, 1, 8, 8)
    with pytest.raises(DataError, match=r"which cannot become 2: only RGB and grey are"):
        opened(folder, channels=2, size=8)


def test_floats_and_bytes_side_by_side_are_all_floats(folder):
    values = np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8)
    np.save(folder / "a.npy", values)
    np.save(folder / "b.npy", (values / 255).astype(np.float32))
    dataset = opened(folder)
    frames = [read(dataset, k, 4) for k in (0, 1)]
    assert frames[0].dtype == np.float32
    assert np.abs(frames[0] - frames[1]).max() < 1e-6


# --------------------------------------------------------------------------------------------------------------- times


def test_a_video_of_uneven_times_is_irregular_if_asked(folder, video, movie):
    video(folder / "a.mkv", movie(6), times=[0, 40, 100, 140, 300, 340])
    video(folder / "b.mkv", movie(6, seed=1), times=[80, 120, 160, 200, 240, 290])
    assert not opened(folder).info.irregular
    dataset = opened(folder, times="file", period=0.04)
    assert dataset.info.irregular
    times = dataset.times("test", [1, 0], n_frames=6)
    assert times == pytest.approx(np.array([[0, 1, 2, 3, 4, 5.25], [0, 1, 2.5, 3.5, 7.5, 8.5]]))
    found = dataset.clips("test", [1, 0], times[:, [0, 2, 5]]).frames
    frames = [movie(6, seed=k).transpose(0, 3, 1, 2)[[0, 2, 5]] for k in (1, 0)]
    assert np.array_equal(found, np.stack(frames))


def test_the_period_is_the_usual_spacing_and_dropped_frames_do_not_change_it(folder, video, movie):
    video(folder / "a.mkv", movie(6), times=[0, 33, 67, 100, 300, 333])  # 30 per second, in whole milliseconds
    dataset = opened(folder, times="file")
    assert dataset.info.frame_period_s == pytest.approx(1 / 30, rel=0.01)
    assert dataset.times("test", [0], n_frames=6)[0] == pytest.approx([0, 1, 2, 3, 9, 10], abs=0.1)


def test_even_times_are_a_regular_clip(folder, video, movie):
    video(folder / "a.mkv", movie(6), times=[0, 33, 67, 100, 133, 167])
    dataset = opened(folder, times="file")
    assert not dataset.info.irregular
    assert np.array_equal(read(dataset, 0, 6), movie(6).transpose(0, 3, 1, 2))


def test_two_frame_rates_are_one_clock(folder, video, movie):
    video(folder / "a.mkv", movie(9), times=list(range(0, 360, 40)))
    video(folder / "b.mkv", movie(3, seed=1), times=[0, 80, 160])
    dataset = opened(folder, times="file", period=0.04)
    assert dataset.info.irregular
    assert dataset.times("test", [0, 1], n_frames=3) == pytest.approx(np.array([[0, 1, 2], [0, 2, 4]]))


@pytest.mark.parametrize("where", ["beside", "inside"])
@pytest.mark.parametrize("per", ["file", "clip"])
def test_arrays_bring_times_along(folder, where, per):
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 8, 8), dtype=np.uint8)
    seconds = np.array([[10.0, 10.5, 11.5, 13.5], [0.0, 0.5, 1.0, 1.5], [0.0, 0.25, 0.75, 1.25]])
    given = seconds if per == "clip" else seconds[0]
    settings = {"layout": "NTHW", "times": "file" if where == "beside" else "seconds", "period": 0.5}
    if where == "beside":
        np.save(folder / "a.npy", frames)
        np.save(folder / "a.times.npy", given)
    else:
        np.savez(folder / "a.npz", frames=frames, seconds=given)
    dataset = opened(folder, **settings)
    expected = np.array([[0, 1, 3, 7], [0, 1, 2, 3], [0, 0.5, 1.5, 2.5]])
    assert dataset.info.irregular
    times = dataset.times("test", [0, 1, 2], n_frames=4)
    assert times == pytest.approx(expected if per == "clip" else np.tile(expected[0], (3, 1)))
    assert np.array_equal(dataset.clips("test", [0, 1, 2], times).frames[:, :, 0], frames)


def test_cuts_and_strides_start_at_zero(folder):
    np.save(folder / "a.npy", np.arange(8 * 64, dtype=np.uint8).reshape(8, 8, 8))
    np.save(folder / "a.times.npy", [0.0, 1, 2, 4, 8, 9, 11, 15])
    dataset = opened(folder, times="file", stride=2, cut=2, period=2.0)
    assert dataset.times("test", [0, 1], n_frames=2).tolist() == [[0, 1], [0, 1.5]]


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([0, 1, 1, 2], r"a\.times\.npy: times must increase, frame 2 is at 1, frame 1 at 1"),
        ([0, 2, 1, 3], "frame 2 is at 1, frame 1 at 2"),
        ([0, 1, np.nan, 3], "frame 2 is at nan"),
        ([0, 1, 2], r"int64 \(3,\), the times of these frames are numbers \(4,\)"),
        (["a", "b", "c", "d"], "the times of these frames are numbers"),
    ],
)
def test_times_that_do_not_increase_are_named(folder, times, said):
    np.save(folder / "a.npy", np.zeros((4, 8, 8), dtype=np.uint8))
    np.save(folder / "a.times.npy", np.array(times))
    with pytest.raises(DataError, match=said):
        opened(folder, times="file")


def test_times_that_are_not_there_are_said(folder, video, movie):
    np.savez(folder / "a.npz", frames=np.zeros((4, 8, 8), dtype=np.uint8))
    with pytest.raises(DataError, match=r"a\.npz has no array 'seconds' of times; it has frames"):
        opened(folder, times="seconds")
    with pytest.raises(DataError, match=r"a\.times\.npy is not there: times=file reads the times of a\.npz from it"):
        opened(folder, times="file")
    (folder / "a.npz").unlink()
    video(folder / "b.mkv", movie(3))
    with pytest.raises(DataError, match=r"a video has no array 'seconds' of times; --set times=file are its own"):
        opened(folder, times="seconds")


def test_a_time_without_a_frame_is_refused(three):
    dataset = opened(three)
    for times in ([[0.5]], [[-1.0]], [[12.0]], [[np.nan]]):
        with pytest.raises(ValueError, match="no frame at time"):
            dataset.clips("test", [0], np.array(times))
    with pytest.raises(ValueError, match="no clip 3"):
        dataset.clips("test", [3], np.array([[0.0]]))
    with pytest.raises(ValueError, match="has 7 frames, not 9"):
        dataset.times("test", [2], n_frames=9)


# --------------------------------------------------------------------------------------------------------- fingerprint


def test_the_fingerprint_is_of_the_content_wherever_it_is(three, tmp_path):
    before = opened(three).fingerprint("test")
    shutil.copytree(three, tmp_path / "elsewhere")
    for path in (tmp_path / "elsewhere").iterdir():
        os.utime(path, (1, 1))
    assert opened(tmp_path / "elsewhere").fingerprint("test") == before


def test_a_changed_pixel_is_another_dataset(folder):
    frames = np.zeros((5, 8, 8), dtype=np.uint8)
    np.save(folder / "a.npy", frames)
    before = opened(folder).fingerprint("test")
    frames[4, 7, 7] = 1
    np.save(folder / "a.npy", frames)
    assert opened(folder).fingerprint("test") != before


def test_whatever_changes_the_frames_changes_the_fingerprint(three):
    settings = [{}, {"size": 8}, {"size": 8, "fit": "pad"}, {"channels": 1}, {"stride": 2}, {"cut": 4}]
    found = [opened(three, **each).fingerprint("test") for each in settings]
    assert len(set(found)) == len(settings)
    assert opened(three, memory_mb=1).fingerprint("test") == found[0]


def test_each_split_has_its_own_and_what_others_hold_does_not_matter(three, video, movie):
    def fingerprints(**settings):
        dataset = Clips(Config(path=str(three), **settings))
        return {split: dataset.fingerprint(split) for split in ("train", "val", "test")}

    before = fingerprints(train_if="v0", val_if="v2", test_if="v1")
    assert len(set(before.values())) == 3
    video(three / "v0b.mkv", movie(12, seed=9))
    after = fingerprints(train_if="v0", val_if="v2", test_if="v1")
    assert (before["train"] != after["train"], before["test"] == after["test"]) == (True, True)


def test_what_the_clips_are_made_of_is_told_by_content(three, tmp_path):
    (numbers,) = opened(three).sources("test").values()
    shutil.copytree(three, tmp_path / "again")
    (tmp_path / "again" / "v0.mkv").rename(tmp_path / "again" / "other.mkv")
    assert list(opened(tmp_path / "again").sources("test").values()) == [numbers]
    assert len(numbers) == 3
    assert opened(three).sources("train") == {}
    np.save(tmp_path / "a.npy", np.zeros((5, 3, 8, 8), dtype=np.uint8))
    assert list(opened(tmp_path / "a.npy", layout="NTHW").sources("test").values()) == [[(0, 5)]]


# ------------------------------------------------------------------------------------------- looked at once, read often


def counting(monkeypatch):
    """How often a video is decoded from its start to its end."""
    looked, examine = [], videos.examine
    monkeypatch.setattr(videos, "examine", lambda path: looked.append(path.name) or examine(path))
    return looked


def test_files_are_looked_at_once_for_as_long_as_they_stay(three, video, movie, monkeypatch):
    looked = counting(monkeypatch)
    first = opened(three).fingerprint("test")
    assert sorted(looked) == ["v0.mkv", "v1.mkv", "v2.mkv"]
    looked.clear()
    assert opened(three, size=8).info.frame_shape == (3, 8, 8)
    assert looked == []
    video(three / "v1.mkv", movie(5))
    assert opened(three).fingerprint("test") != first
    assert looked == ["v1.mkv"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: b"",
        lambda kept: kept[: len(kept) // 2],
        lambda kept: b'{"format": "old", "files": {}}',
        lambda kept: kept.replace(b'"shape"', b'"forms"'),
        lambda kept: kept.replace(b'"ticks": [', b'"ticks": [1, '),
        lambda kept: kept[:-1] + b" }",
    ],
    ids=["empty", "cut off", "older", "another key", "another value", "a space"],
)
def test_a_damaged_index_is_made_again(three, cache, monkeypatch, damage):
    before = opened(three).fingerprint("test")
    (kept,) = (cache / "clips").iterdir()
    kept.write_bytes(damage(kept.read_bytes()))
    looked = counting(monkeypatch)
    assert opened(three).fingerprint("test") == before
    assert len(looked) == 3


def test_many_files_are_kept_in_one_go(folder, monkeypatch):
    for k in range(20):
        np.save(folder / f"{k}.npy", np.full((6, 8, 8), k, dtype=np.uint8))
    written, save = [], index.written_whole
    monkeypatch.setattr(index, "written_whole", lambda path: written.append(path) or save(path))
    opened(folder)
    assert len(written) == 1
    opened(folder)
    assert len(written) == 1


def test_a_file_replaced_by_one_of_the_same_age_and_size_is_looked_at_again(folder):
    path = folder / "a.npy"
    np.save(path, np.zeros((6, 8, 8), dtype=np.uint8))
    os.utime(path, (0, 0))  # as archives with reproducible times unpack
    before = opened(folder).fingerprint("test")
    np.save(path, np.ones((6, 8, 8), dtype=np.uint8))
    os.utime(path, (0, 0))
    assert opened(folder).fingerprint("test") != before


@pytest.mark.parametrize("kind", ["a.npy", "a.npz", "a.h5", "a.zarr", "pictures"])
def test_what_is_written_while_it_is_used_does_not_pass_for_what_it_was(folder, kind):
    def write(value):
        frames = np.full((6, 8, 8), value, dtype=np.uint8)
        match kind.partition(".")[2]:
            case "npy":
                np.save(folder / kind, frames)
            case "npz":
                np.savez_compressed(folder / kind, frames=frames)
            case "h5":
                with h5py.File(folder / kind, "w") as file:
                    file["frames"] = frames
            case "zarr":
                zarr.open_group(folder / kind, mode="w").create_array("frames", data=frames)
            case _:
                (folder / kind).mkdir(exist_ok=True)
                for k, frame in enumerate(frames):
                    Image.fromarray(frame).save(folder / kind / f"{k}.png")

    write(1)
    dataset = opened(folder)
    write(2)
    with pytest.raises(DataError, match=r"changed since it was first looked at"):
        read(dataset, 0, 6)


def test_whole_numbers_are_as_good_as_others(folder):
    np.save(folder / "a.npy", np.zeros((6, 8, 8), dtype=np.float32))
    written = opened(folder, value_range=(-1, 1)).fingerprint("test")
    assert opened(folder, value_range=(-1.0, 1.0)).fingerprint("test") == written


def test_a_name_with_a_line_break_is_said_on_one_line(three):
    (three / "bro\nken.mkv").write_bytes(b"no video")
    with pytest.raises(DataError) as refused:
        opened(three)
    assert "\n" not in str(refused.value)
    assert "bro\\nken.mkv" in opened(three, skip_unreadable=True).left_out("test", n_frames=5)
    assert "\n" not in opened(three, skip_unreadable=True).left_out("test", n_frames=5)


def test_without_a_place_for_the_index_it_works_and_says_so(three, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VPBENCH_CACHE", str(tmp_path / "file"))
    assert opened(three).info.max_length == 30
    assert "cannot keep what was found out" in caplog.text


def test_frames_at_hand_are_bounded_and_used(three, movie, monkeypatch):
    dataset = opened(three, memory_mb=1)
    read(dataset, 1, 30)
    monkeypatch.setattr(videos.Video, "read", None)  # nothing is read again
    assert np.array_equal(read(dataset, 1, 30), movie(30, seed=1).transpose(0, 3, 1, 2))
    assert 0 < dataset._memory.used <= 1 << 20


def test_memory_never_holds_more_than_its_limit():
    memory = Memory(100)
    for key in range(10):
        memory[key] = np.zeros(30, dtype=np.uint8)
        assert memory.used <= 100
    assert [key for key in range(10) if memory[key] is not None] == [7, 8, 9]
    memory["large"] = np.zeros(101, dtype=np.uint8)
    assert memory["large"] is None
    memory[9] = np.zeros(90, dtype=np.uint8)
    assert memory.used == 90
    assert pickle.loads(pickle.dumps(memory)).used == 0


def test_threads_and_copies_read_the_same(three, movie):
    dataset = pickle.loads(pickle.dumps(opened(three)))
    found = {}

    def work(k):
        found[k] = read(dataset, k % 3, 7)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[k], movie(7, seed=k % 3).transpose(0, 3, 1, 2)) for k in range(9))


# ----------------------------------------------------------------------------------------------------------- bad input


def test_one_unreadable_file_is_named_with_what_to_do(three):
    (three / "broken.mp4").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"broken\.mp4 cannot be read .* --set skip_unreadable=true"):
        opened(three)
    dataset = opened(three, skip_unreadable=True)
    assert len(dataset.ids("test", n_frames=1)) == 3
    assert dataset.left_out("test", n_frames=1) == "1 of 4 test videos cannot be read (broken.mp4)"


def test_where_nothing_can_be_read_skipping_is_no_way_out(folder):
    (folder / "a.mp4").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a\.mp4 cannot be read"):
        opened(folder, skip_unreadable=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read_is_named(three):
    (three / "v0.mkv").chmod(0)
    with pytest.raises(DataError, match=r"v0\.mkv cannot be read \(Permission denied\)"):
        opened(three)


def test_a_link_to_nowhere_is_named(three):
    (three / "gone.mp4").symlink_to(three / "nowhere")
    with pytest.raises(DataError, match=r"gone\.mp4 cannot be read \(No such file"):
        opened(three)


def test_where_they_are_must_be_said(monkeypatch, three):
    with pytest.raises(DataError, match=r"clips: where are they\? --set path=FOLDER"):
        Clips(Config())
    monkeypatch.setenv("VPBENCH_CLIPS", str(three))
    assert Clips(Config(splits="test")).info.max_length == 30


def test_a_split_without_clips_says_why(three):
    dataset = Clips(Config(path=str(three), test_if="nobody", train_if=".", val_if="nobody"))
    assert dataset.left_out("test", n_frames=5) == (
        "none of 3 videos is in the test split, train_if=., val_if=nobody, test_if=nobody; "
        "--set splits=test makes all of them test clips"
    )
    assert len(dataset.ids("test", n_frames=1)) == 0
    assert dataset.fingerprint("test") != dataset.fingerprint("val")
