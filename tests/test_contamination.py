"""Has a model seen what it is tested on: refused where it has, said where nobody can know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from vpbench.contamination import joined, overlap

ranges = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 10)).map(lambda pair: [pair[0], sum(pair)]), min_size=1, max_size=4
)


@given(ranges, ranges)
def test_overlap_counts_the_items_that_are_in_both(learnt: list[list[int]], tested: list[list[int]]) -> None:
    one, other = ({item for start, stop in each for item in range(start, stop)} for each in (learnt, tested))
    found = overlap({"stones": learnt}, {"stones": tested})
    if one & other:
        assert found.startswith(f"{len(one & other)} of the {len(other)} items of stones it is made of (")
    else:
        assert found == ""


@given(ranges, ranges)
def test_what_weights_started_from_is_joined_to_what_they_learnt_from(
    one: list[list[int]], two: list[list[int]]
) -> None:
    found = joined({"stones": one, "bones": [[0, 2]]}, {"stones": two})
    assert found is not None
    items = [item for start, stop in found["stones"] for item in range(start, stop)]
    assert sorted(set(items)) == items == sorted({i for a, b in [*one, *two] for i in range(a, b)})
    assert found["bones"] == [[0, 2]]


@pytest.mark.parametrize("unknown", [None, "stones", {"stones": [[3, 1]]}])
def test_joined_to_what_nobody_knows_it_is_not_known(unknown: object) -> None:
    assert joined({"stones": [[0, 5]]}, unknown) is None
    assert joined(unknown, {}) is None


def test_many_ranges_are_not_all_listed() -> None:
    single = [[item, item + 1] for item in range(0, 2000, 2)]
    found = overlap({"files": [[0, 2000]]}, {"files": single})
    assert found == "1000 of the 1000 items of files it is made of (0..0, 2..2, 4..4, ...)"


def test_other_collections_do_not_overlap() -> None:
    assert overlap({"stones": [[0, 5]]}, {"bones": [[0, 5]]}) == ""


@pytest.fixture
def weights(bench) -> Path:
    """Weights trained on squares that are made of stones 0..59."""
    options = ["--dataset", "squares", "--set", "made_of=stones", "--context", 3, "--horizon", 2]
    result = bench(
        "train", "--model", bench.model("Tiny"), *options, "--budget", "2updates", "--output", "w.safetensors"
    )
    assert result.exit_code == 0, result.output
    return bench.folder / "w.safetensors"


def redeclared(path: Path, **header: object) -> Path:
    """The same weights with another header; a value of None takes the key out."""
    with safe_open(path, framework="pt") as file:
        document = json.loads(file.metadata()["vpbench"]) | header
    document = {key: value for key, value in document.items() if value is not None}
    other = path.with_name("other.safetensors")
    save_file(load_file(path), other, {"vpbench": json.dumps(document)})
    return other


def run(bench, path: Path, *options: object, clips: int = 3):
    return bench.run("Tiny", "--context", 3, "--weights", path, *options, clips=clips)


def test_weights_declare_what_they_were_trained_on(weights: Path) -> None:
    with safe_open(weights, framework="pt") as file:
        assert json.loads(file.metadata()["vpbench"])["learnt_from"] == {"stones": [[0, 60]]}


def test_on_the_test_split_of_the_same_dataset_nothing_was_seen(bench, weights: Path) -> None:
    result = run(bench, weights, "--set", "made_of=stones")
    assert result.exit_code == 0, result.output
    assert bench.record("tiny")["about"]["caveat"] == "made up"


def test_weights_that_have_seen_the_test_items_are_refused(bench, weights: Path, ends_with) -> None:
    path = redeclared(weights, learnt_from={"stones": [[90, 95], [93, 200]]})
    result = run(bench, path, "--set", "made_of=stones")
    ends_with(result, 3, "were trained on what squares tests with: 10 of the 20 items of stones it is made of (90..99)")
    assert bench.records() == {} or bench.record("tiny")["status"] == "skipped"


def test_weights_that_declare_nothing_are_judged_by_the_dataset_they_name(bench, weights: Path) -> None:
    result = run(bench, redeclared(weights, learnt_from=None), "--set", "made_of=stones")
    assert result.exit_code == 0, result.output
    assert "not known" not in bench.record("tiny")["about"]["caveat"]


def test_elsewhere_a_row_is_marked_zero_shot_and_what_nobody_knows_is_said(bench, weights: Path) -> None:
    assert run(bench, weights).exit_code == 0  # squares that do not say what they are made of
    caveat = bench.record("tiny")["about"]["caveat"]
    assert "zero-shot: trained on squares 1" in caveat
    assert "whether it has seen these clips is not known" in caveat
    path = bench.record("tiny")["path"]
    assert bench("verify", path, "--weights", weights, "--model", bench.model("Tiny")).exit_code == 0


@pytest.mark.parametrize("ranges", ["many", [[5, 2]], [[0, 0]], [[1]], [[0, 1.5]]])
def test_a_declaration_that_cannot_be_read_is_refused(bench, weights: Path, ends_with, ranges) -> None:
    """A range that ends before it starts would overlap with nothing, and so be cleared."""
    result = run(bench, redeclared(weights, learnt_from={"stones": ranges}), "--set", "made_of=stones")
    ends_with(result, 4, "learnt_from", "train anew")


def test_a_dataset_that_tells_nonsense_is_named(bench, weights: Path, ends_with) -> None:
    ends_with(run(bench, weights, "--set", "made_of=nonsense"), 1, "sources() of squares", "stones (5, 2)")
