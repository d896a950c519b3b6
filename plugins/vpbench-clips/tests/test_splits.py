"""Who belongs to which split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vpbench_clips.config import SPLITS, Config
from vpbench_clips.dataset import Clips
from vpbench_clips.splits import by_name, position

from vpbench.config import make_config
from vpbench.errors import ConfigError, DataError, UsageError


def split_of(dataset):
    """Recording -> split."""
    return {each.name: split for split in SPLITS for each in dataset.recordings[split]}


@pytest.fixture
def people(folder):
    """A folder as KTH has it: six people, two actions."""
    for k, action in enumerate(("walking", "running")):
        (folder / action).mkdir()
        for person in range(1, 7):
            frames = np.random.default_rng(10 * person + k).integers(0, 256, (5, 8, 8), dtype=np.uint8)
            np.save(folder / action / f"person{person:02d}_{action}_d1.npy", frames)
    return folder


def test_a_pattern_says_who_is_tested(people):
    found = split_of(Clips(Config(path=str(people), test_if="person0[56]", val_if="person04")))
    assert all((split == "test") == ("person05" in name or "person06" in name) for name, split in found.items())
    assert all((split == "val") == ("person04" in name) for name, split in found.items())
    assert len(found) == 12


def test_what_no_pattern_names_is_in_no_split_where_all_three_are_given(people):
    dataset = Clips(Config(path=str(people), train_if="person01", val_if="person02", test_if="person03"))
    assert len(split_of(dataset)) == 6
    assert "6 recordings are in no split, train_if=person01, " in dataset.left_out("test", n_frames=2)


def test_a_name_that_two_patterns_match_is_refused(people):
    with pytest.raises(DataError, match=r"running/person01_.* is matched by train_if and test_if"):
        Clips(Config(path=str(people), train_if="person0", test_if="running"))


def test_folders_say_it(folder, people):
    for split, action in (("train", "walking"), ("test", "running")):
        (people / action).rename(people / split)
    found = split_of(Clips(Config(path=str(people))))
    assert all(name.startswith(split) for name, split in found.items())
    assert len(found) == 12


def write_lists(folder, **lists):
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")


def test_lists_say_it_with_or_without_endings(people):
    write_lists(
        people,
        train=["# who walks", "walking/person01_walking_d1.npy", "", "./walking/person02_walking_d1"],
        test=["running/person01_running_d1"],
    )
    dataset = Clips(Config(path=str(people)))
    assert split_of(dataset) == {
        "walking/person01_walking_d1.npy": "train",
        "walking/person02_walking_d1.npy": "train",
        "running/person01_running_d1.npy": "test",
    }
    assert "9 recordings are in no split, by train.txt, test.txt" in dataset.left_out("test", n_frames=1)


def test_one_table_says_it(people):
    (people / "splits.csv").write_text(
        "name,split\nwalking/person01_walking_d1,train\nrunning/person01_running_d1,test\n"
    )
    assert sorted(split_of(Clips(Config(path=str(people)))).values()) == ["test", "train"]


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ({"test.txt": "walking/nobody.npy\n"}, r"test\.txt, line 1: there is no walking/nobody\.npy"),
        (
            {"train.txt": "walking/person01_walking_d1\n", "test.txt": "\nwalking/person01_walking_d1.npy\n"},
            r"test\.txt, line 2: .* is in split train already, by train\.txt, line 1",
        ),
        ({"splits.csv": "name,split\nwalking/person01_walking_d1,tset\n"}, r"splits\.csv, line 2: no split 'tset'"),
        ({"splits.csv": "file,part\na,b\n"}, "must begin with the line name,split"),
        ({"test.txt": b"\xff\xfe\x00"}, "a list of names in UTF-8 is expected"),
    ],
)
def test_lists_that_do_not_fit_are_named_with_their_line(people, lists, said):
    for name, content in lists.items():
        (people / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=said):
        Clips(Config(path=str(people)))


@pytest.mark.parametrize("splits", ["folders", "lists"])
def test_what_was_asked_for_and_is_not_there_is_said(people, splits):
    with pytest.raises(DataError, match=r"has no .* --set splits=shares"):
        Clips(Config(path=str(people), splits=splits))


def test_everything_may_be_test(people):
    assert set(split_of(Clips(Config(path=str(people), splits="test"))).values()) == {"test"}


def test_a_split_that_is_none_is_refused(people):
    dataset = Clips(Config(path=str(people)))
    for ask in (lambda: dataset.ids("tets", n_frames=1), lambda: dataset.fingerprint("tets")):
        with pytest.raises(UsageError, match="clips has no split 'tets': one of train, val, test"):
            ask()


@given(st.sets(st.text(st.characters(codec="ascii"), min_size=1), min_size=1), st.text(min_size=1))
def test_a_name_keeps_its_split_whoever_else_is_there(names, name):
    config = Config()
    assert by_name(name, config) in SPLITS
    assert [by_name(each, config) for each in sorted(names)] == [by_name(each, Config()) for each in sorted(names)]


def test_shares_are_those_asked_for():
    config = Config(shares=(0.5, 0.2, 0.3))
    found = [by_name(f"video{k}", config) for k in range(4000)]
    for split, share in zip(SPLITS, config.shares, strict=True):
        assert found.count(split) / 4000 == pytest.approx(share, abs=0.03)  # four standard deviations
    assert {by_name(f"video{k}", Config(shares=(1.0, 0.0, 0.0))) for k in range(50)} == {"train"}


def test_a_larger_test_share_keeps_who_was_tested():
    small, large = Config(shares=(0.8, 0.1, 0.1)), Config(shares=(0.5, 0.2, 0.3))
    tested = [k for k in range(500) if by_name(f"video{k}", small) == "test"]
    assert tested
    assert all(by_name(f"video{k}", large) == "test" for k in tested)


def test_positions_are_spread_evenly():
    found = np.histogram([position(f"{k}") for k in range(5000)], bins=10, range=(0, 1))[0]
    assert ((found - 500) ** 2 / 500).sum() < 27.9  # chi-squared of nine degrees of freedom, p = 0.001


def test_the_same_clip_in_two_splits_is_refused(folder):
    frames = np.zeros((5, 8, 8), dtype=np.uint8)
    for split in ("train", "test"):
        (folder / split).mkdir()
        np.save(folder / split / f"{split}-clip.npy", frames)
    with pytest.raises(DataError, match=r"train-clip\.npy \(train\) and .*test-clip\.npy \(test\) are the same clip"):
        Clips(Config(path=str(folder)))


def test_cuts_of_one_recording_are_in_one_split(folder):
    for k in range(12):
        np.save(folder / f"{k}.npy", np.random.default_rng(k).integers(0, 256, (9, 8, 8), dtype=np.uint8))
    dataset = Clips(Config(path=str(folder), cut=3, shares=(0.4, 0.3, 0.3)))
    names = {split: {each.name for each in dataset.recordings[split]} for split in SPLITS}
    assert all(names.values())
    assert sum(map(len, names.values())) == len(set().union(*names.values())) == 12
    for split in SPLITS:
        assert len(dataset.ids(split, n_frames=3)) == 3 * len(names[split])
    assert sum(len(dataset.ids(split, n_frames=3)) for split in SPLITS) == 36


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"shares": "0.5,0.2,0.2"}, "must add up to 1"),
        ({"test_if": "person(0"}, "regular expressions"),
        ({"splits": "test", "test_if": "a"}, "splits=test leaves nothing to test_if"),
        ({"size": "0,64"}, "two sides of 1..8192"),
        ({"layout": "NTXY"}, "one letter per axis"),
        ({"layout": "NHW"}, "one letter per axis"),
        ({"value_range": "1,0"}, "black before white"),
        ({"value_range": "0,inf"}, "black before white"),
        ({"period": "-1"}, "positive"),
        ({"stride": "0"}, "at least 1"),
        ({"cut": "0"}, "at least 1"),
        ({"channels": "0"}, "at least 1"),
        ({"fit": "zoom"}, "one of crop, stretch, pad"),
        ({"path": ""}, "path must name"),
        ({"keys": ""}, "keys must name arrays"),
    ],
)
def test_settings_without_sense_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        make_config(Config, settings, owner="clips")


def test_one_number_is_a_square():
    assert make_config(Config, {"size": "64"}, owner="clips") == make_config(Config, {"size": "64,64"}, owner="clips")
