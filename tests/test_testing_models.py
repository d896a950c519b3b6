"""The rules for models: good ones hold them all, and of every rule there is a fake that breaks it and no other."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vpbench
from vpbench.errors import ConfigError, UnknownName, UsageError
from vpbench.registry import Provided, load
from vpbench.testing import Finding, Violation, checks_for, given, installed, overfitting
from vpbench.testing.model_checks import MODEL_RULES
from vpbench.testing.model_subject import ModelSubject
from vpbench.testing.moving_patterns import Config, MovingPatterns
from vpbench.testing.overfitting import check_overfits_four_clips
from vpbench.weights import save, sha256_of

FAKES = Path(__file__).parent / "fakes"
RULES = [rule.__name__ for rule in MODEL_RULES]

_LEARNING = {
    "check_can_be_trained",
    "check_sampling",
    "check_loss",
    "check_optimisers_have_all_parameters",
    "check_weights_keep_all_it_learns",
}
_TIMES = {
    "check_query_invariance",
    "check_before_context_end",
    "check_irregular_context",
    "check_any_context_length",
}
_SHIPPED = {"check_light_entry_module", "check_bundled_weights"}  # of what is not installed there are none
_IMPORTED = "check_importer_makes_up_nothing"
_SWAPS = (
    "check_swap",
    "check_swap_of_a_clip_with_itself",
    "check_the_same_swap_twice",
    "check_swap_batch_invariance",
    "check_swap_inputs_unchanged",
)

#: Which rules say nothing of the good ones, so that it is seen when one no longer looks at anything.
NOT_APPLICABLE: dict[str, set[str]] = {
    "Fading": {*_SHIPPED, _IMPORTED, *_LEARNING, "check_eval_mode", "check_fits_in_one_pass"},
    "Coded": {*_SHIPPED, _IMPORTED, *_LEARNING, "check_eval_mode", "check_fits_in_one_pass"},
    "WrapsAsItGoes": {*_SHIPPED, _IMPORTED, *_LEARNING, "check_eval_mode", "check_fits_in_one_pass"},
    "SaysItCannotMiss": {
        *_SHIPPED,
        _IMPORTED,
        *_LEARNING,
        "check_eval_mode",
        "check_fits_in_one_pass",
        "check_missing_frames",
    },
    "FitsAtTest": {
        *(*_SHIPPED, _IMPORTED, *_LEARNING, "check_config_can_be_written_down", "check_stats_are_numbers"),
        *("check_samples", *_SWAPS, "check_fits_in_one_pass"),
    },
    "Fitted": {*_SHIPPED, _IMPORTED, *_LEARNING, "check_eval_mode", "check_samples", *_SWAPS},
    "Net": {
        *(*_SHIPPED, _IMPORTED, "check_config_can_be_written_down", "check_range", "check_stats_are_numbers"),
        *("check_samples", *_SWAPS, "check_fits_in_one_pass"),
    },
    "NetOfOthers": {
        *(*_SHIPPED, "check_config_can_be_written_down", "check_range", "check_stats_are_numbers"),
        *("check_samples", *_SWAPS, "check_fits_in_one_pass"),
    },
    "Knowing": {
        *(*_SHIPPED, _IMPORTED, *_LEARNING, *_TIMES, "check_config_can_be_written_down", "check_eval_mode"),
        *("check_stats_are_numbers", "check_any_number_of_channels", "check_samples", *_SWAPS),
        "check_fits_in_one_pass",
    },
}
NOT_APPLICABLE["KnowingOfSwaps"] = NOT_APPLICABLE["Knowing"]
for _name in NOT_APPLICABLE.keys() - {"Coded"}:
    NOT_APPLICABLE[_name] = NOT_APPLICABLE[_name] | {"check_codes"}

#: Rule -> the class of tests/fakes/checked_models.py that breaks it and no other, and what is said of it.
WRONG: list[tuple[str, str, str]] = [
    ("check_config_can_be_written_down", "WithNaNDefault", "scale = nan cannot be written down as float"),
    (_IMPORTED, "ImporterIsNotThere", "has no attribute 'import_nets'"),
    (_IMPORTED, "ImporterFillsIn", "given no tensors it gave rate"),
    (_IMPORTED, "ImporterTakesTheFirst", "it raised StopIteration"),
    (_IMPORTED, "ImporterForgetsToReturn", "it gave NoneType"),
    ("check_is_made", "CannotBeMade", "load: TypeError: a layer of the wrong size (checked_models.py, line "),
    ("check_is_made", "ExitsWhenMade", "load: SystemExit: usage: train.py"),
    ("check_is_made", "NetCannotBeMade", "load: RuntimeError: The size of tensor a"),
    ("check_is_made", "RaisesInFit", "fit: RuntimeError: singular matrix (checked_models.py, line "),
    ("check_is_made", "CannotFit", "must have fit(clips)"),
    ("check_has_what_it_declares", "CannotSample", "its spec says that it has sample()"),
    ("check_has_what_it_declares", "CannotSwap", "its spec says that it has swap()"),
    ("check_predicts", "RaisesInPredict", "ValueError: first line second line (checked_models.py, line "),
    ("check_predicts", "ExitsInPredict", "SystemExit: 3"),
    ("check_predicts", "HasNoAnswer", "ModelFailed: step size underflow at t=1.3"),
    ("check_predicts", "FitsAtTestUnsaid", "does not require grad"),
    ("check_predicts", "GivesNumpy", "it gave a ndarray, the contract is a torch tensor"),
    ("check_predicts", "GivesNothing", "it gave None"),
    ("check_shape", "TimeFirst", "it gave shape (6, 3, 1, 16, 16), asked for (3, 6, 1, 16, 16)"),
    ("check_shape", "OneTooMany", "it gave shape (3, 7, 1, 16, 16)"),
    ("check_dtype", "GivesBytes", "it gave torch.uint8, the contract is floating point"),
    ("check_finite", "GivesNaN", "first for clip 3 of 3 at step 6"),
    ("check_range", "From0To255", "of the values are outside [0, 1] by more than 0.1"),
    ("check_inputs_unchanged", "WritesOnFrames", "context.frames is changed"),
    ("check_inputs_unchanged", "ShiftsTimes", "target_times is changed"),
    ("check_inputs_unchanged", "WritesOnTruth", "truth of corner is changed"),
    ("check_memory_of_its_own", "GivesAViewOfItsInput", "lies in the memory of context.frames"),
    ("check_memory_of_its_own", "KeepsItsAnswer", "lies in the memory of its memory"),
    ("check_memory_of_its_own", "KeepsItsAnswerInAList", "a prediction changes when the next one is made"),
    ("check_memory_of_its_own", "GivesItsOwnMean", "lies in the memory of its mean"),
    ("check_no_graph", "CarriesAGraph", "requires gradients"),
    ("check_eval_mode", "HidesAPart", "a Conv2d is in train mode"),
    ("check_eval_mode", "TrainsOn", "is in train mode"),
    ("check_eval_mode", "ForgetsInTrainMode", "in eval mode again, after train mode is another one"),
    ("check_stats_are_numbers", "TalksInStats", "stats() gave 'many' for 'calls'"),
    ("check_stats_are_numbers", "ListsStats", "the contract is a mapping"),
    ("check_stats_are_numbers", "RaisesInStats", "RuntimeError: not yet"),
    ("check_the_same_call_twice", "Draws", "when it is asked again is another one"),
    ("check_the_same_call_twice", "DropsOut", "when it is asked again is another one"),
    ("check_the_same_call_twice", "LooksAtTheClock", "an hour later is another one"),
    ("check_the_same_call_twice", "Counts", "when it is asked again is another one"),
    ("check_the_same_call_twice", "RemembersOthers", "after others were asked for is another one"),
    ("check_another_instance_answers_alike", "DrawsWithNumpy", "of another instance is another one"),
    ("check_another_instance_answers_alike", "SeededByTheClock", "of another instance is another one"),
    ("check_batch_of_one", "SqueezesTheBatch", "asked for one clip, it raised IndexError"),
    ("check_batch_invariance", "ComparesWithTheBatch", "alone (clip 1) is another one"),
    ("check_batch_invariance", "LooksAtItsPlace", "is another one"),
    ("check_prefix_stability", "DependsOnTheHorizon", "where 1 frames are asked for, not 6, is another one"),
    ("check_query_invariance", "DependsOnTheQuery", "is another one"),
    ("check_query_invariance", "OnTheGridOnly", "asked for frames between the frames, it raised ValueError"),
    ("check_before_context_end", "NothingBefore", "negative time"),
    ("check_irregular_context", "NeedsAGrid", "given context frames at odd times, it raised ValueError"),
    ("check_irregular_context", "SharesTimes", "alone (clip 2) is another one"),
    ("check_any_context_length", "NeedsItsContext", "given a context of 1, built for 4, it raised RuntimeError"),
    ("check_missing_frames", "CannotMiss", "it raised NotImplementedError: missing frames"),
    ("check_missing_frames", "CannotTellMissing", "told that all context frames are there, is another one"),
    ("check_no_access_to_the_future", "LooksUpTheStack", "where the frames after the context are noise is another"),
    ("check_any_number_of_channels", "GreyOnly", "given frames of 3 channels"),
    ("check_any_number_of_channels", "CannotBeMadeInColour", "it cannot be made: ValueError: 3 channels"),
    ("check_samples", "SamplesAnyHow", "drawn again with the same seeds is another one"),
    ("check_samples", "SamplesTheBatch", "alone (clip 2) is another one"),
    ("check_samples", "SamplesInTheSecondPlace", "asked for 3 futures, it gave shape"),
    ("check_swap", "SwapsOneFrame", "asked for a swap, it gave shape (3, 1, 1, 16, 16)"),
    ("check_the_same_swap_twice", "SwapsByLot", "of a swap that is asked for again is another one"),
    ("check_swap_batch_invariance", "SwapsWithTheBatch", "of a swap alone (clip 1) is another one"),
    (
        "check_swap_inputs_unchanged",
        "SwapsAwayWhatItIsShown",
        "context.frames of the appearance is changed by the swap",
    ),
    ("check_swap_inputs_unchanged", "SwapsTimes", "context.times of the dynamics is changed by the swap"),
    ("check_swap_of_a_clip_with_itself", "SwapsBrighter", "the prediction of clips swapped with themselves is another"),
    ("check_codes", "CodesWithoutNames", "asked for codes, it returned a Tensor, the contract is a mapping of names"),
    ("check_codes", "CodesAsTheyAre", "asked for codes, appearance has shape (3, 1, 16, 16), the contract is (3, K)"),
    ("check_codes", "CodesThatRanAway", "asked for codes, dynamics holds NaN or infinity"),
    ("check_codes", "CodesOfAllTimes", "codes at one target time are dynamics (B, 1), else dynamics (B, 6)"),
    ("check_codes", "CodesOfTheBatch", "the code appearance of a clip alone is another one than in a batch"),
    ("check_codes", "RaisesInCodes", "asked for codes, it raised RuntimeError: no state"),
    ("check_fits_in_one_pass", "FitsTwice", "could read its clips only once is another one"),
    ("check_can_be_trained", "NoModule", "it must be a torch Module with loss()"),
    ("check_can_be_trained", "StartsInfinite", "mask is not finite from the start"),
    ("check_can_be_trained", "OptimisersInAList", "must return a mapping of parts to optimisers"),
    ("check_can_be_trained", "RaisesInOptimisers", "AttributeError: no such layer"),
    ("check_sampling", "SamplesTooFar", "at progress 0: "),
    ("check_sampling", "SamplesTooFarLater", "at progress 0.5: "),
    ("check_sampling", "SamplesANumber", "must return a TrainTask, got a int"),
    ("check_loss", "LossOfNothing", "it must return a mapping with 'loss'"),
    ("check_loss", "LossPerClip", "'loss' must be a scalar tensor, got a tensor (3,)"),
    ("check_loss", "LossWithoutGradient", "does not depend on any parameter"),
    ("check_loss", "LossIsNaN", "at progress 0, it gave nan"),
    ("check_loss", "LossBreaksLater", "at progress 0.9, it gave inf"),
    ("check_loss", "LossOfTheOtherPart", "it depends on no parameter of the optimiser 'rate'"),
    ("check_loss", "GradientIsNaN", "its gradient is not finite"),
    ("check_loss", "RaisesInLoss", "it raised RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
    ("check_optimisers_have_all_parameters", "ForgetsAParameter", "rate is in no optimiser"),
    ("check_weights_keep_all_it_learns", "LearnsOutside", "is there something outside of parameters and buffers?"),
    ("check_weights_keep_all_it_learns", "DrawsOutside", "with the weights of a file is another one"),
]

#: How weights that a plugin ships can be wrong: what is changed of the spec or of the file, and what is said of it.
WRONG_WEIGHTS: list[tuple[str, dict[str, Any], str]] = [
    ("missing", {"file": "shipped:weights/elsewhere.safetensors"}, "are not installed"),
    ("another file", {"sha256": "0" * 64}, "is not the file its plugin shipped (sha256 differs)"),
    ("of another model", {"header": {"model": {"name": "other"}}}, "holds weights of 'other'"),
    ("of other frames", {"header": {"frame_shape": [1, 32, 32]}}, "is (1, 16, 16) in the spec and (1, 32, 32)"),
    ("of another context", {"header": {"context": 7}}, "context of shipped:weights/net.safetensors is 4 in the spec"),
    (
        "of other data",
        {"header": {"dataset": {"name": "lamps"}}},
        "is moving-patterns in the spec and lamps in the file",
    ),
    ("of another net", {"tensors": {"rate": torch.zeros(3)}}, "do not fit the model and its config"),
    ("with other options", {"header": {"model": {"name": "checked", "config": {"depth": 3}}}}, "depth"),
]


@pytest.fixture(autouse=True)
def fakes_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FAKES)
    monkeypatch.setenv("VPBENCH_PLUGINS", "fakes")


def subject_of(name: str, *settings: str, **options: Any) -> ModelSubject:
    """A class of tests/fakes/checked_models.py."""
    import checked_models

    subject = given(getattr(checked_models, name), settings, **options)
    assert isinstance(subject, ModelSubject)
    return subject


def findings(subject: ModelSubject) -> dict[str, Finding]:
    return {check.name: check.finding() for check in checks_for(subject)}


def assert_broken_alone(found: Mapping[str, Finding], rule: str, says: str) -> None:
    assert {check: each for check, each in found.items() if not each.holds}.keys() == {rule}
    assert says in found[rule].detail
    assert "\n" not in found[rule].detail


@pytest.mark.parametrize("name", NOT_APPLICABLE)
def test_a_good_model_holds_every_rule(name: str) -> None:
    found = findings(subject_of(name))
    assert not {check: each for check, each in found.items() if not each.holds}
    assert {check for check, each in found.items() if each.status == "not applicable"} == NOT_APPLICABLE[name]
    assert all(each.detail for each in found.values() if each.status == "not applicable")


@pytest.mark.parametrize(("rule", "name", "says"), WRONG, ids=[f"{rule}-{name}" for rule, name, _ in WRONG])
def test_one_rule_alone_is_broken(rule: str, name: str, says: str) -> None:
    assert_broken_alone(findings(subject_of(name)), rule, says)


def test_defaults_that_do_not_work_are_seen_where_settings_hide_them() -> None:
    with pytest.raises(ConfigError, match="rate must not be negative"):
        subject_of("WithBadDefault")
    found = findings(subject_of("WithBadDefault", "rate=0.5"))
    assert_broken_alone(found, "check_config_can_be_written_down", "rate must not be negative, got -1.0")


def test_an_entry_module_that_imports_numpy_breaks_one_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FAKES / "heavy")
    provided = dataclasses.replace(
        subject_of("Fading").provided, distribution="vpbench-heavy", version="0.1", entry_point="heavy"
    )
    found = findings(ModelSubject.of(provided))
    assert_broken_alone(found, "check_light_entry_module", "vpbench_heavy imports numpy: name factory and config")


def shipped(folder: Path, monkeypatch: pytest.MonkeyPatch, changes: Mapping[str, Any]) -> Provided[vpbench.ModelSpec]:
    """`Net` with weights in an importable package, changed."""
    import checked_models

    (folder / "shipped" / "weights").mkdir(parents=True)
    (folder / "shipped" / "__init__.py").touch()
    monkeypatch.syspath_prepend(folder)
    sys.modules.pop("shipped", None)
    file = folder / "shipped" / "weights" / "net.safetensors"
    torch.manual_seed(0)
    state = checked_models.Net(None, frame_shape=(1, 16, 16), context_length=4).state_dict()
    header = {
        "model": {"name": "checked"},
        "dataset": {"name": "moving-patterns"},
        "frame_shape": [1, 16, 16],
        "context": 4,
        **changes.get("header", {}),
    }
    save(file, {**state, **changes.get("tensors", {})}, header, half=False)
    fields = {
        "file": "shipped:weights/net.safetensors",
        "sha256": sha256_of(file),
        "dataset": "moving-patterns",
        "frame_shape": (1, 16, 16),
        "context": 4,
        **{key: value for key, value in changes.items() if key in ("file", "sha256")},
    }
    provided = subject_of("Net").provided
    return dataclasses.replace(provided, spec=dataclasses.replace(provided.spec, weights=(vpbench.Weights(**fields),)))


def test_weights_that_are_shipped_are_what_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = ModelSubject.of(shipped(tmp_path, monkeypatch, {}))
    found = findings(subject)
    assert not {check: each for check, each in found.items() if not each.holds}
    assert found["check_bundled_weights"].status == "passed"
    assert found["check_range"].status == "passed"
    assert subject.tried_on.endswith("weights net.safetensors")
    assert subject.trained


@pytest.mark.parametrize(("fault", "changes", "says"), WRONG_WEIGHTS, ids=[fault for fault, _, _ in WRONG_WEIGHTS])
def test_weights_that_do_not_fit_break_one_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, changes: dict[str, Any], says: str
) -> None:
    found = findings(ModelSubject.of(shipped(tmp_path, monkeypatch, changes)))
    assert_broken_alone(found, "check_bundled_weights", says)


def test_every_rule_can_be_broken_and_is_one_sentence() -> None:
    broken = {rule for rule, _, _ in WRONG} | {"check_light_entry_module", "check_bundled_weights"}
    assert broken == set(RULES)
    assert len(set(RULES)) == len(RULES)
    for rule in (*MODEL_RULES, check_overfits_four_clips):
        sentence = " ".join((rule.__doc__ or "").split())
        assert sentence.endswith(".")
        assert ". " not in sentence


# -------------------------------------------------------------------------------------------------------------- overfit


@pytest.fixture(scope="module")
def by_heart() -> Mapping[str, Finding]:
    """What becomes of a model that is to learn four clips in few updates, by what its loss is about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FAKES)
        patch.setattr(overfitting, "UPDATES", 200)
        found = {}
        for learns in ("the targets", "nothing", "the first context frame"):
            *_, last = checks_for(subject_of("ByHeart", f"learns={learns}"), overfit=True)
            found[learns] = last.finding()
        return found


def test_a_model_that_learns_overfits_four_clips(by_heart: Mapping[str, Finding]) -> None:
    assert by_heart["the targets"] == Finding("check_overfits_four_clips", "passed")


def test_a_loss_that_does_not_fall_is_shown(by_heart: Mapping[str, Finding]) -> None:
    finding = by_heart["nothing"]
    assert finding.status == "failed"
    assert (
        "after 200 updates on 4 clips the loss has gone from 1 to 1, at most 0.2 shows that it learns" in finding.detail
    )
    assert "loss on the way: 1, 1, " in finding.detail


def test_a_loss_that_is_not_of_the_targets_does_not_beat_the_simplest(by_heart: Mapping[str, Finding]) -> None:
    finding = by_heart["the first context frame"]
    assert finding.status == "failed"
    assert "its prediction of them has mean squared error" in finding.detail
    assert "the mean of the clips has" in finding.detail


def test_overfitting_is_asked_for_and_says_nothing_of_what_learns_no_weights() -> None:
    assert "check_overfits_four_clips" not in findings(subject_of("Fading"))
    (check,) = checks_for(subject_of("Fading"), overfit=True)[len(MODEL_RULES) :]
    assert check.finding() == Finding("check_overfits_four_clips", "not applicable", "it learns no weights")


# -------------------------------------------------------------------------------------------------- what it is tried on


@pytest.mark.parametrize("settings", [("irregular=true",), ("missing=1",), ("shown=dimmed",)], ids=" ".join)
def test_a_dataset_of_odd_times_missing_and_noisy_frames_will_do(settings: tuple[str, ...]) -> None:
    subject = subject_of("Fading", *settings, dataset="ramps")
    assert subject.data.spec.name == "ramps"
    found = findings(subject)
    assert not {check: each for check, each in found.items() if not each.holds}
    assert found["check_irregular_context"].status == "passed"
    assert found["check_missing_frames"].status == "passed"


def test_odd_times_are_asked_only_of_a_model_that_says_it_can() -> None:
    on_the_grid = dataclasses.replace(subject_of("Fading").provided.spec, capabilities=frozenset())
    with pytest.raises(UsageError, match=r"ramps has frames at times of their own, checked does not say .* irregular"):
        given(on_the_grid, ("irregular=true",), dataset="ramps")


def test_frames_are_those_of_the_dataset_or_of_the_shape_asked_for() -> None:
    assert subject_of("Fading").frame_shape == (1, 16, 16)
    assert subject_of("Fading", frame_shape=(3, 20, 24)).frame_shape == (3, 20, 24)
    assert subject_of("Fading", "size=12", dataset="squares").frame_shape == (1, 12, 12)
    with pytest.raises(UsageError, match="squares decides the frame shape"):
        subject_of("Fading", dataset="squares", frame_shape=(1, 8, 8))


def test_frames_have_the_channels_that_the_model_takes() -> None:
    colour = dataclasses.replace(subject_of("Fading").provided.spec, channels=3)
    subject = given(colour)
    assert isinstance(subject, ModelSubject)
    assert subject.frame_shape == (3, 16, 16)
    assert findings(subject)["check_any_number_of_channels"].detail == "its spec says that it takes 3 channels only"
    with pytest.raises(UsageError, match="checked takes frames of 3 channels, those of moving-patterns have 1"):
        given(colour, frame_shape=(1, 16, 16))


def test_any_frame_shape_is_held_to_the_rules() -> None:
    found = findings(subject_of("Net", frame_shape=(2, 5, 9)))
    assert not {check: each for check, each in found.items() if not each.holds}


def test_a_model_for_one_dataset_is_tried_on_that() -> None:
    assert subject_of("Knowing").data.spec.name == "squares"
    with pytest.raises(UsageError, match="checked is for squares only"):
        subject_of("Knowing", dataset="ramps")
    with pytest.raises(UsageError, match="checked is for squares only"):
        subject_of("Knowing", frame_shape=(1, 8, 8))


def test_short_clips_make_a_short_horizon_and_too_short_ones_an_error() -> None:
    assert subject_of("Fading", "length=6", dataset="squares").horizon == 2
    found = findings(subject_of("Fading", "length=6", dataset="squares"))
    assert not {check: each for check, each in found.items() if not each.holds}
    with pytest.raises(UsageError, match="clips of squares have 4 frames"):
        subject_of("Fading", "length=4", dataset="squares")


@pytest.mark.parametrize(
    ("little", "then_not_applicable"),
    [
        ({"context": 1}, {"check_missing_frames"}),
        ({"horizon": 1}, {"check_prefix_stability"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["Fading", "Fitted"])
def test_one_frame_is_enough_to_be_tried_on(name: str, little: dict[str, int], then_not_applicable: set[str]) -> None:
    found = findings(dataclasses.replace(subject_of(name), **little))  # type: ignore[arg-type]
    assert not {check: each for check, each in found.items() if not each.holds}
    left_out = {check for check, each in found.items() if each.status == "not applicable"}
    assert left_out == NOT_APPLICABLE[name] | then_not_applicable


def test_one_clip_says_nothing_of_its_company() -> None:
    found = findings(subject_of("Fitted", "clips=1", dataset="squares"))
    assert not {check: each for check, each in found.items() if not each.holds}
    assert found["check_batch_invariance"].detail == "squares has one clip that is long enough"


def test_patterns_move_and_any_time_is_there() -> None:
    dataset = MovingPatterns(Config(channels=2, height=12, width=10))
    whole = dataset.clips("test", [288, 290], np.array([[0.0, 1.0, 2.0]] * 2)).frames
    between = dataset.clips("test", [288, 290], np.array([[0.0, 0.5, 1.0]] * 2)).frames
    assert whole.shape == (2, 3, 2, 12, 10)
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(whole[:, :2], between[:, ::2])
    assert np.abs(np.diff(whole.astype(int), axis=1)).max(axis=(2, 3, 4)).min() > 5
    assert np.abs(np.diff(between.astype(int), axis=1)).max(axis=(2, 3, 4)).min() > 2
    assert whole.max() > 100
    with pytest.raises(ValueError, match="no clip 0 in split 'test'"):
        dataset.clips("test", [0], np.array([[0.0]]))


def test_the_kits_own_dataset_keeps_the_contract_too() -> None:
    from vpbench.testing.moving_patterns import PROVIDED

    found = {check.name: check.finding() for check in checks_for(given(PROVIDED))}
    assert not {check: each for check, each in found.items() if not each.holds}


# ----------------------------------------------------------------------------------------------------- what is expected


def test_a_failure_that_is_expected_holds_and_says_why() -> None:
    (check,) = [
        check
        for check in checks_for(subject_of("ComparesWithTheBatch"), {"check_batch_invariance": "it normalises"})
        if check.name == "check_batch_invariance"
    ]
    assert check.finding() == Finding("check_batch_invariance", "failed as expected", "it normalises")
    check()


def test_an_expected_failure_that_passes_is_a_failure() -> None:
    (check,) = [
        check for check in checks_for(subject_of("Fading"), {"check_shape": "once it did"}) if check.expected_failure
    ]
    finding = check.finding()
    assert finding.status == "passed against expectation"
    assert not finding.holds
    with pytest.raises(Violation, match=r"expected to fail \(once it did\) and does not: drop the expectation"):
        check()


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        (
            {"check_batch_invarianse": "it normalises"},
            "no check 'check_batch_invarianse'; did you mean check_batch_inv",
        ),
        ({"check_overfits_four_clips": "small"}, "no check 'check_overfits_four_clips'"),
        ({"check_shape": "  "}, "check_shape is expected to fail: say why"),
    ],
)
def test_expectations_name_a_check_and_a_reason(expected: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        checks_for(subject_of("Fading"), expected)


def test_in_pytest_a_check_passes_fails_or_is_skipped() -> None:
    checks = {check.name: check for check in checks_for(subject_of("TimeFirst"))}
    checks["check_is_made"]()
    with pytest.raises(
        Violation, match=r"check_shape: it gave shape .*\n  the rule: A prediction is \(B, Tt, C, H, W\)"
    ):
        checks["check_shape"]()
    with pytest.raises(pytest.skip.Exception, match="which is a rule of its own"):
        checks["check_finite"]()
    assert str(checks["check_shape"]) == "check_shape"


# ---------------------------------------------------------------------------------------------------- what can be named


def test_what_is_installed_is_found_by_kind_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VPBENCH_PLUGINS", "fakes,baselines,metrics")
    assert installed("model", "black").provided.distribution == "vpbench-baselines"
    assert installed("dataset", "squares", ("size=20",)).config.size == 20
    assert installed("metric", "mse", registry=load()).provided.spec.name == "mse"
    assert installed("model", f"{FAKES / 'models.py'}:Last").provided.spec.name == "last"
    with pytest.raises(UnknownName, match="no model 'blacc'; did you mean black"):
        installed("model", "blacc")
    with pytest.raises(UsageError, match="kind 'models': one of model, dataset, metric"):
        installed("models", "black")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no config key 'sise'"):
        installed("dataset", "squares", ("sise=20",))
    with pytest.raises(UsageError, match="squares is a dataset: only a model is tried on"):
        installed("dataset", "squares", frame_shape=(1, 8, 8))
    with pytest.raises(UsageError, match="mse is a metric: only a model can be trained on four clips"):
        checks_for(installed("metric", "mse"), overfit=True)


def test_a_class_that_is_no_plugin_is_refused() -> None:
    class Stranger:
        pass

    for thing, says in (
        (Stranger, "Stranger has neither spec = vpbench.DatasetSpec"),
        (Stranger(), "to be checked is a class or a spec"),
        ("black", "to be checked is a class or a spec of a model, dataset or metric, got 'black'"),
    ):
        with pytest.raises(UsageError, match=says):
            given(thing)


def test_a_dataset_or_metric_is_checked_by_its_class() -> None:
    from checked_datasets import Sparkles

    class Shining(Sparkles):
        spec = vpbench.DatasetSpec(
            name="shining", factory="m:D", summary="-", version="1", license="none", config="m:Config"
        )

    Shining.spec = dataclasses.replace(Shining.spec, config="checked_datasets:SparklesConfig")
    subject = given(Shining, ("seed=3",))
    assert subject.config.seed == 3
    assert all(check.finding().holds for check in checks_for(subject))


def test_importing_the_kit_costs_neither_torch_nor_pytest() -> None:
    code = (
        "import sys, vpbench.testing, vpbench.testing.entry_module as light;"
        "print(*light.HEAVY & sys.modules.keys(), *{'pytest'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
