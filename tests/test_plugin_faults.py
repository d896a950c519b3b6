"""What plugins give is held to the contract: each fault ends in one line that names the culprit and the contract."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vpbench.specs import DatasetSpec

PLUGIN = Path(__file__).parent / "data" / "faultyplugin"
SOURCE = "faulty 1.0 (faulty)"
LEFT_OUT = f"plugin left out: {SOURCE}: "


@pytest.fixture
def run(bench, monkeypatch: pytest.MonkeyPatch):
    """Run the model of the faulty plugin on its dataset with its metric."""
    monkeypatch.syspath_prepend(PLUGIN)
    monkeypatch.setenv("VPBENCH_PLUGINS", "faulty")

    def go(fault: str):
        monkeypatch.setenv("VPBENCH_TEST_FAULT", fault)
        for module in ("faulty", "faulty_parts"):
            sys.modules.pop(module, None)
        return bench.run("plain", "--context", 2, dataset="plain-data")

    yield go
    for module in ("faulty", "faulty_parts"):
        sys.modules.pop(module, None)


def test_without_a_fault_it_runs(run, bench) -> None:
    result = run("")
    assert (result.exit_code, result.stderr) == (0, "")
    assert bench.record("plain")["scores"]["plain-error"]["value"] == 0


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("metric statistics='abc'", "statistics of 'plain-error' is 'abc', the contract is tuple[str, ...]"),
        ("metric statistics=['abc']", "statistics of 'plain-error' is ['abc'], the contract is tuple[str, ...]"),
        ("metric needs=['raw']", "needs of 'plain-error' is ['raw'], the contract is frozenset[str]"),
        ("metric version=1", "version of 'plain-error' is 1, the contract is str"),
        ("metric unit=None", "unit of 'plain-error' is None, the contract is str"),
        ("metric higher_is_better=1", "higher_is_better of 'plain-error' is 1, the contract is bool"),
        ("metric definition=None", "definition of 'plain-error' is None, the contract is str"),
        ("metric min_size=True", "min_size of 'plain-error' is True, the contract is int"),
        ("model capabilities=['samples']", "capabilities of 'plain' is ['samples'], the contract is frozenset[str]"),
        ("model cites='Me, 2020'", "cites of 'plain' is 'Me, 2020', the contract is tuple[str, ...]"),
        ("model datasets='plain-data'", "datasets of 'plain' is 'plain-data', the contract is tuple[str, ...]"),
        ("model factory=None", "factory of 'plain' is None, the contract is str | Callable[..., Any]"),
        ("model weights=('a.safetensors',)", "weights of 'plain' is ('a.safetensors',), the contract is"),
        ("model role='floors'", "role 'floors' of 'plain': one of contender, floor, ceiling"),
        ("dataset truth=('place',)", "truth of 'plain-data' is ('place',), the contract is tuple[TruthField, ...]"),
        ("dataset reads=('.gif',)", "'plain-data' reads .gif: give reads and reader, or none"),
        ("dataset fetch='get'", "fetch 'get' of 'plain-data': write it as 'module:attribute'"),
    ],
)
def test_a_field_of_another_type_leaves_the_hook_out(run, fault: str, says: str) -> None:
    result = run(f"spec {fault}")
    first, second = result.stderr.splitlines()
    kind = fault.split()[0]
    assert first.startswith(f"vpbench: {LEFT_OUT}vpbench_{kind}s: ValueError: {says}")
    assert "no " in second  # model, dataset or metric of this name is left
    assert result.exit_code == 2


@pytest.mark.parametrize("ending", ["GIF", "gif", ".GIF", "*.gif", "."])
def test_an_ending_has_its_dot_and_lower_case(ending: str) -> None:
    with pytest.raises(ValueError, match=r"an ending in lower case with its dot, like '\.gif'"):
        DatasetSpec(name="a", factory="m:D", summary="-", version="1", license="-", reads=(ending,), reader="m:read")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("info none", "opening of plain-data: its info is None, the contract is a vpbench.DatasetInfo"),
        ("info shape list", "opening of plain-data: ValueError: frame_shape is [1, 16, 16], the contract is (channels"),
        ("info shape 2", "opening of plain-data: ValueError: frame_shape is (16, 16), the contract is (channels"),
        ("info shape 0", "opening of plain-data: ValueError: frame_shape is (1, 0, 16), the contract is (channels"),
        ("info length text", "opening of plain-data: ValueError: max_length is '20', the contract is a number"),
        ("info length negative", "opening of plain-data: ValueError: max_length is -1, the contract is a number"),
        ("ids generator", "ids of plain-data: it gave a generator, the contract is a sequence of whole numbers"),
        ("ids none", "ids of plain-data: it gave None, the contract is a sequence of whole numbers"),
        ("ids a text", "ids of plain-data: it gave a str, the contract is a sequence of whole numbers"),
        ("ids text", "ids of plain-data: it gave a str for an id, the contract is whole numbers"),
        ("fingerprint none", "fingerprint of plain-data: it gave None, the contract is a non-empty string"),
        ("fingerprint number", "fingerprint of plain-data: it gave 3, the contract is a non-empty string"),
        ("fingerprint empty", "fingerprint of plain-data: it gave '', the contract is a non-empty string"),
        ("left out none", "left_out() of plain-data: it gave None, the contract is text, empty where there is nothing"),
        ("why not number", "why_not() of plain-error: it gave 3, the contract is text, empty where there is nothing"),
    ],
)
def test_a_dataset_that_cannot_be_planned_with_ends_the_run(run, ends_with, fault: str, says: str) -> None:
    ends_with(run(fault), 1, f"{SOURCE}: {says}")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("clips none", "data: the dataset gave a NoneType, the contract is vpbench.Clips"),
        ("clips tuple", "data: the dataset gave a tuple, the contract is vpbench.Clips"),
        ("clips list", "data: the dataset gave frames as a list, the contract is an array or tensor"),
        ("clips others", "data: the dataset gave clips [9, 9, 9], asked for [0, 1, 2]"),
        ("truth short", "data: the dataset gave truth place as shape (1,), the contract is an array (3,) and on"),
        ("truth list", "data: the dataset gave truth place as a list, the contract is an array (3,) and on"),
        ("truth none", "data: the dataset gave truth as a NoneType, the contract is a mapping"),
        ("statistics none", f"score: {SOURCE}: statistics of plain-error: it gave a NoneType, the contract is a map"),
        ("statistics list", f"score: {SOURCE}: statistics of plain-error: it gave a list, the contract is a mapping"),
        ("statistics array", "it gave absolute as ndarray, the contract is a real tensor (3, 1)"),
        ("statistics other", "it gave no absolute, the contract is a real tensor (3, 1)"),
        ("statistics number", "it gave absolute as float, the contract is a real tensor (3, 1)"),
        ("statistics complex", "it gave absolute as Tensor, the contract is a real tensor (3, 1)"),
        ("score none", f"score: {SOURCE}: score of plain-error: it gave None, the contract is a numpy array"),
        ("score list", f"score: {SOURCE}: score of plain-error: it gave a list, the contract is a numpy array"),
        ("score text", f"score: {SOURCE}: score of plain-error: it gave a str, the contract is a numpy array"),
        ("score number", "it gave shape () for means of shape (1,), the contract is the same"),
        ("predict unspeakable", "predict: Unspeakable"),
    ],
)
def test_a_fault_at_work_fails_the_cell(run, bench, ends_with, fault: str, says: str) -> None:
    ends_with(run(fault), 1, "FAILED plain on plain-data 2→1: ", says)
    assert bench.record("plain")["status"] == "failed"


@pytest.mark.parametrize(
    ("fault", "says"),
    [("left out lines", "one of two files is too short"), ("why not lines", "no weights: set path")],
)
def test_what_a_plugin_says_on_two_lines_is_said_on_one(run, fault: str, says: str) -> None:
    assert says in run(fault).output
