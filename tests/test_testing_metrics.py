"""The rules for metrics: good ones hold them all, and of every rule there is a fake that breaks it and no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vpbench
from vpbench.errors import PluginError
from vpbench.instances import configured
from vpbench.registry import Provided, Registry
from vpbench.testing.check import Finding, bound
from vpbench.testing.metric_checks import METRIC_RULES
from vpbench.testing.metric_subject import MetricSubject, moving_patterns_of

FAKES = Path(__file__).parent / "fakes"
RULES = [rule.__name__ for rule in METRIC_RULES]

#: What the good ones are declared as; a fake that is made from one of them is declared alike.
DECLARED: dict[str, dict[str, Any]] = {
    "Error": {"higher_is_better": False, "statistics": ("error",)},
    "Overlap": {"higher_is_better": True, "statistics": ("common", "light")},
    "Brightness": {"higher_is_better": True, "statistics": ("predicted", "target"), "ideal": 1.0},
    "Offset": {"higher_is_better": False, "statistics": ("offset",), "needs": frozenset({"truth:brightness"})},
    "Spread": {"higher_is_better": False, "window": 2},
}

_ALONE = {"check_why_not_is_a_reason", "check_shared_statistics_are_the_same"}
_OF_SETS = {
    "check_features_are_a_row_per_stretch",
    "check_the_order_of_stretches_does_not_matter",
    "check_few_stretches_are_no_error",
}
_OF_CLIPS = {
    "check_statistics_are_as_declared",
    "check_score_works_element_by_element",
    "check_score_of_nothing_is_nothing",
}

#: Which rules say nothing of the good ones, so that it is seen when one no longer looks at anything.
NOT_APPLICABLE = {
    "Error": {*_ALONE, *_OF_SETS},
    "Overlap": {*_ALONE, *_OF_SETS},
    "Brightness": {*_ALONE, *_OF_SETS, "check_more_noise_is_never_better"},
    "Offset": {*_ALONE, *_OF_SETS, "check_frames_of_any_size"},
    "Spread": {*_ALONE, *_OF_CLIPS},
}

#: Rule -> the class of tests/fakes/checked_metrics.py that breaks it and no other, and fields of its spec.
WRONG: list[tuple[str, str, dict[str, Any]]] = [
    ("check_it_says_what_it_is", "Error", {"definition": "-"}),
    ("check_it_says_what_it_is", "Error", {"definition": "absolute error,\nmean"}),
    ("check_why_not_is_a_reason", "NoReason", {}),
    ("check_why_not_is_a_reason", "FailsWithoutItsFile", {}),
    ("check_statistics_are_as_declared", "OtherNames", {}),
    ("check_statistics_are_as_declared", "MoreNames", {}),
    ("check_statistics_are_as_declared", "OfClips", {}),
    ("check_statistics_are_as_declared", "WholeNumbers", {}),
    ("check_statistics_are_as_declared", "Infinite", {}),
    ("check_features_are_a_row_per_stretch", "Flat", {}),
    ("check_features_are_a_row_per_stretch", "Missing", {}),
    ("check_the_same_batch_twice", "Jitters", {}),
    ("check_clips_do_not_depend_on_their_company", "TimesTheBatch", {}),
    ("check_clips_do_not_depend_on_their_company", "FirstOfTheBatch", {}),
    ("check_parts_make_the_whole", "CountsItsBatches", {}),
    ("check_inputs_are_left_alone", "WorksInPlace", {}),
    ("check_inputs_are_left_alone", "ForgetsTheContext", {"needs": frozenset({"context"})}),
    ("check_it_uses_only_what_it_needs", "UsesRaw", {}),
    ("check_it_uses_only_what_it_needs", "UsesRawIfItIsThere", {}),
    ("check_it_uses_only_what_it_needs", "UsesContext", {}),
    ("check_it_uses_only_what_it_needs", "UsesOtherTruth", {}),
    ("check_frames_of_any_size", "NeedsNinePixels", {"min_size": 8}),
    ("check_frames_of_any_size", "NeedsGrey", {}),
    ("check_frames_of_any_size", "NeedsSquares", {}),
    ("check_the_truth_is_the_best_prediction", "LikesItDim", {}),
    ("check_the_truth_is_the_best_prediction", "TwiceTheBrightness", {}),
    ("check_more_noise_is_never_better", "LikesNoise", {}),
    ("check_more_noise_is_never_better", "TellsNothing", {}),
    ("check_score_works_element_by_element", "TimesTheirNumber", {}),
    ("check_score_of_nothing_is_nothing", "NothingIsPerfect", {}),
    ("check_score_needs_no_torch", "ScoresWithTorch", {}),
    ("check_shared_statistics_are_the_same", "Error", {"beside": "TwiceTheError"}),
    ("check_the_order_of_stretches_does_not_matter", "Paired", {}),
    ("check_few_stretches_are_no_error", "NeedsThree", {}),
    ("check_few_stretches_are_no_error", "InfinitelyFar", {}),
    ("check_light_entry_module", "Error", {"entry_point": "heavy"}),
]

#: Those that have to be made in another process too, and so by name.
BY_NAME = {"ScoresWithTorch"}


@pytest.fixture(autouse=True)
def fakes_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FAKES / "heavy")
    monkeypatch.syspath_prepend(FAKES)


def provided(name: str, *, by_name: bool = False, entry_point: str = "not installed", **spec: Any) -> Provided[Any]:
    """A class of tests/fakes/checked_metrics.py as a metric of the plugin of tests/fakes, or of another one there."""
    import checked_metrics

    made = getattr(checked_metrics, name)
    (kind,) = (good for good in DECLARED if issubclass(made, getattr(checked_metrics, good)))
    fields = {
        "factory": f"checked_metrics:{name}" if by_name else made,
        "definition": "of all frames, for tests.",
        **DECLARED[kind],
        **spec,
    }
    metric = vpbench.MetricSpec(name=name.lower(), summary="For tests", version="1", **fields)
    return Provided(metric, "vpbench-heavy" if entry_point == "heavy" else "vpbench-fakes", "0.1", entry_point)


def installed(*others: Provided[Any]) -> Registry:
    """What is installed: the random frames of tests/fakes/checked_datasets.py, with their brightness, and others."""
    import checked_datasets

    sparkles = vpbench.DatasetSpec(
        name="sparkles",
        factory=checked_datasets.Sparkles,
        summary="For tests",
        version="1",
        license="none",
        truth=(vpbench.TruthField("brightness", "frame", "level"), vpbench.TruthField("first", "clip", "level")),
    )
    return Registry([Provided(sparkles, "vpbench-fakes", "0.1", "fakes"), *others])


def subject_of(name: str, *, beside: str = "", **spec: Any) -> MetricSubject:
    metric = provided(name, **spec)
    return MetricSubject.of(metric, configured(metric, {}), installed(*([provided(beside)] if beside else [])))


def findings(subject: MetricSubject) -> dict[str, Finding]:
    return {check.name: check.finding() for check in bound(METRIC_RULES, subject, {})}


@pytest.mark.parametrize("name", NOT_APPLICABLE)
def test_a_good_metric_holds_every_rule(name: str) -> None:
    found = findings(subject_of(name, by_name=True, entry_point="fakes"))
    assert not {check: each for check, each in found.items() if not each.holds}
    assert {check for check, each in found.items() if each.status == "not applicable"} == NOT_APPLICABLE[name]


@pytest.mark.parametrize(("rule", "name", "spec"), WRONG, ids=[f"{rule}-{name}" for rule, name, _ in WRONG])
def test_one_rule_alone_is_broken(rule: str, name: str, spec: dict[str, Any]) -> None:
    found = findings(subject_of(name, by_name=name in BY_NAME, **spec))
    assert {check: each for check, each in found.items() if not each.holds}.keys() == {rule}
    assert found[rule].detail
    assert "\n" not in found[rule].detail


def test_every_rule_can_be_broken_and_is_one_sentence() -> None:
    assert {rule for rule, _, _ in WRONG} == set(RULES)
    assert len(set(RULES)) == len(RULES)
    for rule in METRIC_RULES:
        sentence = " ".join((rule.__doc__ or "").split())
        assert sentence.endswith(".")
        assert ". " not in sentence


def test_metrics_that_share_a_statistic_and_agree_hold_the_rule() -> None:
    found = findings(subject_of("Error", beside="CountsItsBatches"))["check_shared_statistics_are_the_same"]
    assert found.status == "passed"


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scale=st.floats(1e-6, 1e6),
    offset=st.floats(-100, 100),
    higher_is_better=st.booleans(),
    min_size=st.integers(1, 40),
)
def test_no_rule_minds_the_scale_of_a_metric(
    scale: float, offset: float, higher_is_better: bool, min_size: int
) -> None:
    """A fault that is none would make authors turn rules off. Whatever falls linearly with the error is as good."""
    import checked_metrics

    sign = -1 if higher_is_better else 1

    class Scaled(checked_metrics.Error):
        def score(self, means: Any) -> Any:
            return offset + sign * scale * means["error"]

    metric = provided("Error", factory=Scaled, higher_is_better=higher_is_better, min_size=min_size)
    found = findings(MetricSubject.of(metric, None, installed()))
    assert not {check: each for check, each in found.items() if not each.holds}


# ----------------------------------------------------------------------------------------------- what cannot be judged


def test_without_its_file_a_metric_is_not_computed_and_says_why() -> None:
    found = findings(subject_of("FailsWithoutItsFile"))["check_more_noise_is_never_better"]
    assert (found.status, found.detail) == ("not applicable", "needs a file: --set error.file=FILE")


def test_a_truth_that_no_dataset_has_is_named() -> None:
    found = findings(subject_of("Offset", needs=frozenset({"truth:mood"})))["check_statistics_are_as_declared"]
    assert (found.status, found.detail) == (
        "not applicable",
        "it needs the truth of mood (no installed dataset has it)",
    )


def test_samples_are_not_there_yet() -> None:
    found = findings(subject_of("Error", needs=frozenset({"samples"})))["check_statistics_are_as_declared"]
    assert found.status == "not applicable"
    assert "samples" in found.detail


def test_an_exhibit_may_like_noise() -> None:
    found = findings(subject_of("LikesNoise", exhibit=True))["check_more_noise_is_never_better"]
    assert found.status == "not applicable"


def test_a_metric_that_cannot_be_made_is_blamed_on_its_plugin() -> None:
    with pytest.raises(PluginError, match=r"vpbench-fakes 0\.1 \(not installed\): making of error: .*no_such_module"):
        subject_of("Error", factory="no_such_module:Metric")


def test_a_window_needs_features_and_a_distance() -> None:
    with pytest.raises(PluginError, match=r"protocol SetMetric"):
        subject_of("Error", window=2, statistics=())


# -------------------------------------------------------------------------------------------------- what it stands on


def test_the_clips_have_light_edges_and_motion_in_every_frame() -> None:
    target = moving_patterns_of(4, 3, (3, 32, 32)).target.numpy()
    assert target.min() >= 0
    assert target.max() <= 1
    assert (target > 0.5).any(axis=(3, 4)).all()
    assert ((target < 0.1).mean(axis=(3, 4)) > 0.2).all()
    assert (np.abs(np.diff(target, axis=1)).max(axis=(2, 3, 4)) > 0.02).all()
    assert len(np.unique(target[:, 0].reshape(4, -1), axis=0)) == 4


def test_noise_that_is_asked_for_is_there() -> None:
    subject = subject_of("Error")
    raw = subject.noisy(0.3) - subject.reality.target
    assert float(raw.std()) == pytest.approx(0.3, rel=0.05)
    assert float(raw.mean()) == pytest.approx(0, abs=0.02)


def test_the_score_is_that_of_plain_means() -> None:
    subject = subject_of("Overlap")
    scored = subject.reality.scored(subject.noisy(0.2))
    predicted, target = (frames.numpy().astype(np.float64) for frames in (scored.predicted, scored.target))
    expected = 2 * np.minimum(predicted, target).sum() / (predicted + target).sum()
    assert subject.score(scored) == pytest.approx(expected, rel=1e-6)


def test_the_rules_import_neither_torch_nor_pytest() -> None:
    code = "import sys, vpbench.testing.metric_checks; print(*{'torch', 'pytest'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
