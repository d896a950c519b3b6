"""The rules for datasets: good ones hold them all, and of every rule there is a fake that breaks it and no other."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import vpbench
from vpbench.errors import DataError, PluginError
from vpbench.instances import configured
from vpbench.registry import Provided
from vpbench.testing import moving_patterns
from vpbench.testing.another_process import ProcessFailed, in_another_process
from vpbench.testing.check import Finding, bound
from vpbench.testing.dataset_checks import DATASET_RULES
from vpbench.testing.dataset_subject import DatasetSubject
from vpbench.testing.network import no_network

FAKES = Path(__file__).parent / "fakes"
RULES = [rule.__name__ for rule in DATASET_RULES]

_ONLY_FRAMES = {
    "check_test_clips_are_made_of_other_things",
    "check_what_a_model_is_shown",
    "check_truth_is_as_declared",
    "check_swapped",
    "check_what_is_left_out_is_one_line",
    "check_named_functions_are_there",
    "check_fingerprint_tells_configs_apart",
}

#: Which rules say nothing of the good ones, so that it is seen when one no longer looks at anything.
NOT_APPLICABLE = {
    "Sparkles": {"check_irregular_times", "check_swapped"},
    "Swapping": {"check_irregular_times"},
    "Glow": {"check_irregular_times", "check_fingerprint_tells_splits_apart", *_ONLY_FRAMES},
    "Ticks": {"check_times_between_frames", *_ONLY_FRAMES},
}

#: Rule -> the class of tests/fakes/checked_datasets.py that breaks it and no other, and fields of its spec.
WRONG: list[tuple[str, str, dict[str, Any]]] = [
    ("check_frames_have_the_asked_shape", "Narrow", {}),
    ("check_frames_are_bytes_or_within_0_and_1", "Doubles", {}),
    ("check_frames_are_bytes_or_within_0_and_1", "TooBright", {}),
    ("check_what_was_asked_for_comes_back", "TellsOtherTimes", {}),
    ("check_what_was_asked_for_comes_back", "TellsOtherIds", {}),
    ("check_info_stays_the_same", "LearnsItsUnit", {}),
    ("check_ids_name_each_clip_once", "ListsAClipTwice", {}),
    ("check_ids_stay_the_same", "ListsAnew", {}),
    ("check_longer_clips_are_among_the_shorter", "LongOnesComeInLate", {}),
    ("check_longer_clips_are_among_the_shorter", "LongOnesComeFirst", {}),
    ("check_max_length_is_kept", "ListsTooLongOnes", {}),
    ("check_max_length_is_kept", "StaysOnTheLastFrame", {}),
    ("check_max_length_is_kept", "EndsSoonerThanItSays", {}),
    ("check_max_length_is_kept", "EndsThoughItSaysItDoesNot", {}),
    ("check_the_same_request_twice", "RemembersWrongly", {}),
    ("check_clips_do_not_depend_on_their_company", "MarksTheRow", {}),
    ("check_clips_do_not_depend_on_their_company", "NeedsCompany", {}),
    ("check_longer_clips_extend_shorter_ones", "DependsOnLength", {}),
    ("check_times_may_come_in_any_order", "ReadsInOrder", {}),
    ("check_another_instance_gives_the_same", "AnotherEachTimeItIsMade", {}),
    ("check_another_instance_gives_the_same", "AnotherEachHour", {}),
    ("check_another_thread_gives_the_same", "StaysInItsThread", {}),
    ("check_another_process_gives_the_same", "HashedFrames", {}),
    ("check_given_frames_stay", "UsesMemoryAgain", {}),
    ("check_splits_share_no_clip", "TestsOnATrainingClip", {}),
    ("check_splits_share_no_clip", "TestsOnTheLastTrainingClips", {}),
    ("check_test_clips_are_made_of_other_things", "TestsOnTrainingSparks", {}),
    ("check_an_unknown_split_is_refused", "TakesAnySplitForTest", {}),
    ("check_an_unknown_split_is_refused", "ReadsAnySplitAsTest", {}),
    ("check_an_unknown_clip_is_refused", "CountsFromTheEnd", {}),
    ("check_times_between_frames", "RoundsTimes", {}),
    ("check_times_between_frames", "GlowsWronglyBetween", {}),
    ("check_times_between_frames", "GlowsOtherwiseAmongOthers", {}),
    ("check_irregular_times", "TicksAtAnyTime", {}),
    ("check_irregular_times", "TicksWithItsCompany", {}),
    ("check_what_a_model_is_shown", "ShownByTheRow", {}),
    ("check_what_a_model_is_shown", "ShownInTheOrderOfTimes", {}),
    ("check_what_a_model_is_shown", "ShownTooBright", {}),
    ("check_what_a_model_is_shown", "ObservedAsNumbers", {}),
    ("check_truth_is_as_declared", "NoTruth", {}),
    ("check_truth_is_as_declared", "TruthOfTheBatch", {}),
    ("check_truth_is_as_declared", "TruthSinceTheFirstTime", {}),
    ("check_truth_is_as_declared", "TruthPerClipOnly", {}),
    (
        "check_truth_is_as_declared",
        "TruthOfNoObjects",
        {"truth": (vpbench.TruthField("brightness", "frame", "level", objects=True),)},
    ),
    ("check_swapped", "SwapsToOthers", {}),
    ("check_swapped", "SwapsTruth", {}),
    ("check_swapped", "SwapsWithoutTruth", {}),
    ("check_swapped", "SwapsNames", {}),
    ("check_swapped", "SwapsOneFrame", {}),
    ("check_swapped", "SwapsWhatIsShown", {}),
    ("check_what_is_left_out_is_one_line", "LeavesOutAList", {}),
    ("check_named_functions_are_there", "Sparkles", {"fetch": "json:lodas"}),
    ("check_fingerprint_stays_the_same", "CountsWhatWasRead", {}),
    ("check_fingerprint_is_the_same_in_another_process", "HashedFingerprint", {}),
    ("check_fingerprint_tells_splits_apart", "OneFingerprint", {}),
    ("check_fingerprint_tells_configs_apart", "FingerprintWithoutSeed", {}),
    ("check_no_network", "Telephones", {}),
    ("check_light_entry_module", "Sparkles", {"entry_point": "heavy"}),
]

#: Those that have to be made in another process too, and so by name.
BY_NAME = {"HashedFrames", "HashedFingerprint"}


@pytest.fixture(autouse=True)
def fakes_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FAKES / "heavy")
    monkeypatch.syspath_prepend(FAKES)


def subject_of(name: str, *, by_name: bool = False, entry_point: str = "not installed", **spec: Any) -> DatasetSubject:
    """A class of tests/fakes/checked_datasets.py as a dataset of the plugin of tests/fakes, or of another one there."""
    import checked_datasets

    made = getattr(checked_datasets, name)
    sparkles = issubclass(made, checked_datasets.Sparkles)
    fields = (vpbench.TruthField("brightness", "frame", "level"), vpbench.TruthField("first", "clip", "level"))
    provided = Provided(
        vpbench.DatasetSpec(
            name="checked",
            config="checked_datasets:SparklesConfig" if sparkles else None,
            summary="For tests",
            version="1",
            license="none",
            **{
                "truth": fields if sparkles else (),
                "factory": f"checked_datasets:{name}" if by_name else made,
                "fetch": "json:loads" if sparkles else None,
                **spec,
            },
        ),
        "vpbench-heavy" if entry_point == "heavy" else "vpbench-fakes",
        "0.1",
        entry_point,
    )
    return DatasetSubject.of(provided, configured(provided, {}))


def findings(subject: DatasetSubject) -> dict[str, Finding]:
    return {check.name: check.finding() for check in bound(DATASET_RULES, subject, {})}


@pytest.mark.parametrize("name", NOT_APPLICABLE)
def test_a_good_dataset_holds_every_rule(name: str) -> None:
    found = findings(subject_of(name, by_name=True, entry_point="fakes"))
    assert not {check: each for check, each in found.items() if not each.holds}
    assert {check for check, each in found.items() if each.status == "not applicable"} == NOT_APPLICABLE[name]


def test_what_models_and_metrics_are_tried_on_is_a_good_dataset_itself() -> None:
    found = findings(DatasetSubject.of(moving_patterns.PROVIDED, moving_patterns.Config()))
    assert not {check: each for check, each in found.items() if not each.holds}
    assert sum(each.status == "passed" for each in found.values()) > 20


@pytest.mark.parametrize(("rule", "name", "spec"), WRONG, ids=[f"{rule}-{name}" for rule, name, _ in WRONG])
def test_one_rule_alone_is_broken(rule: str, name: str, spec: dict[str, Any]) -> None:
    found = findings(subject_of(name, by_name=name in BY_NAME, **spec))
    assert {check: each for check, each in found.items() if not each.holds}.keys() == {rule}
    assert found[rule].detail
    assert "\n" not in found[rule].detail


def test_every_rule_can_be_broken_and_is_one_sentence() -> None:
    assert {rule for rule, _, _ in WRONG} == set(RULES)
    assert len(set(RULES)) == len(RULES)
    for rule in DATASET_RULES:
        sentence = " ".join((rule.__doc__ or "").split())
        assert sentence.endswith(".")
        assert ". " not in sentence


lengths = st.lists(st.integers(1, 12), max_size=5)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(train=lengths, val=lengths, test=lengths, seed=st.integers(0, 99))
def test_no_rule_minds_how_many_clips_of_which_lengths_there_are(
    train: list[int], val: list[int], test: list[int], seed: int
) -> None:
    """A fault that is none would make authors turn rules off. Any lengths are as good as those of the good ones."""
    assume(train or val or test)
    import checked_datasets

    class OfLengths(checked_datasets.Sparkles):
        LENGTHS: ClassVar = {"train": train, "val": val, "test": test}

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.seed += seed
            self.info = dataclasses.replace(self.info, max_length=max(train + val + test))

    found = findings(subject_of("Sparkles", factory=OfLengths))
    assert not {check: each for check, each in found.items() if not each.holds}


# --------------------------------------------------------------------------------------------- what is not looked at


def test_missing_files_are_one_error_before_any_rule(tmp_path: Path) -> None:
    missing = Provided(
        vpbench.DatasetSpec(
            name="checked", factory="checked_datasets:NotThere", summary="For tests", version="1", license="none"
        ),
        *("vpbench-fakes", "0.1", "fakes"),
    )
    with pytest.raises(DataError, match="sparks are missing: buy some"):
        DatasetSubject.of(missing, None)


def test_a_dataset_that_cannot_be_made_is_blamed_on_its_plugin() -> None:
    with pytest.raises(
        PluginError, match=r"vpbench-fakes 0\.1 \(not installed\): opening of checked: .*NetworkForbidden"
    ):
        subject_of("OpensByTelephone")


def test_a_dataset_without_clips_holds_no_rule_about_clips() -> None:
    found = findings(subject_of("Empty"))
    failed = {check for check, each in found.items() if each.status == "failed"}
    assert "check_frames_have_the_asked_shape" in failed
    assert "none of the splits train, val, test has a clip" in found["check_frames_have_the_asked_shape"].detail


def test_a_violation_says_which_clip_when_and_by_how_much() -> None:
    found = findings(subject_of("MarksTheRow"))["check_clips_do_not_depend_on_their_company"]
    assert "train: clip 0 at time 0 in a batch of the opposite order is off by up to" in found.detail


# -------------------------------------------------------------------------------------------------- what it stands on


def test_without_network_sockets_are_refused_and_noted() -> None:
    with no_network() as asked:
        for reach in (
            lambda: socket.create_connection(("127.0.0.1", 9)),
            lambda: socket.socket().connect(("192.0.2.1", 80)),
            lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)),
            lambda: socket.gethostbyname("example.org"),
        ):
            with pytest.raises(OSError, match="there is no network here"):
                reach()
    assert asked == ["127.0.0.1", "192.0.2.1:80", "192.0.2.1:53", "example.org"]


def test_afterwards_the_network_is_back() -> None:
    with no_network() as asked, pytest.raises(ZeroDivisionError):
        _ = 1 / 0
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        assert not asked


def test_another_process_has_other_hashes_and_finds_the_same_modules() -> None:
    there = in_another_process("checked_datasets:hash_and_place", "a text")
    import checked_datasets

    here = checked_datasets.hash_and_place("a text")
    assert there[0] != here[0]
    assert there[1] == here[1]


def test_what_goes_wrong_in_another_process_is_said() -> None:
    with pytest.raises(ProcessFailed, match="ModuleNotFoundError: No module named 'no_such_module'"):
        in_another_process("no_such_module:function", None)


def test_the_rules_import_neither_torch_nor_pytest() -> None:
    code = "import sys, vpbench.testing.dataset_checks; print(*{'torch', 'pytest'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
