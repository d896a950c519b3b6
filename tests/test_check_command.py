"""`vpbench check`: what it prints, how it ends, and one line for whatever a plugin does wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

FAKES = Path(__file__).parent / "fakes"
FAULTY = Path(__file__).parent / "data" / "faultyplugin"


def fake(name: str) -> str:
    return f"{FAKES / 'checked_models.py'}:{name}"


def statuses(output: str) -> dict[str, str]:
    """Check -> how it ended, of the lines in between."""
    found = {}
    for line in output.splitlines()[1:-1]:
        status, _, rest = line.partition("check_")
        found["check_" + rest.partition(":")[0]] = status.strip()
    return found


def test_a_good_model_has_a_line_per_check_and_ends_with_their_number(bench) -> None:
    result = bench("check", fake("Fading"))
    assert (result.exit_code, result.stderr) == (0, "")
    first, *_, last = result.stdout.splitlines()
    assert first.startswith("model checked, checked_models.py ")
    assert first.endswith(", tried on 3 clips of moving-patterns, 1×16×16, context 4, horizon 6")
    found = statuses(result.stdout)
    passed, rest = list(found.values()).count("passed"), list(found.values()).count("not applicable")
    assert last == f"model checked: {passed} passed, 0 failed, {rest} not applicable"
    assert passed + rest == len(found) > 30
    assert "not applicable  check_eval_mode: it has no torch modules" in result.stdout


def test_a_violation_is_one_line_and_the_exit_code_is_1(bench) -> None:
    result = bench("check", fake("ComparesWithTheBatch"))
    assert (result.exit_code, result.stderr) == (1, "")
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("failed ")]
    assert line.startswith(
        "failed          check_batch_invariance: the prediction alone (clip 1) is another one: off by"
    )
    assert ", 1 failed, " in result.stdout.splitlines()[-1]


def test_an_expected_failure_is_no_failure_and_keeps_its_reason(bench) -> None:
    result = bench("check", fake("ComparesWithTheBatch"), "--expect", "check_batch_invariance=it = a batch")
    assert result.exit_code == 0
    assert "failed as expected  check_batch_invariance: it = a batch\n" in result.stdout
    assert ", 0 failed, 1 failed as expected, " in result.stdout.splitlines()[-1]


def test_an_expected_failure_that_passes_is_a_failure(bench) -> None:
    result = bench("check", fake("Fading"), "--expect", "check_shape=not yet")
    assert result.exit_code == 1
    assert "passed against expectation  check_shape: it was expected to fail (not yet)" in result.stdout
    assert ", 0 failed, 1 passed against expectation, " in result.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--expect", "check_shap=x"], "no check 'check_shap'; did you mean check_shape?"),
        (["--expect", "check_shape"], "--expect 'check_shape': write it as CHECK=REASON"),
        (["--expect", "check_shape= "], "check_shape is expected to fail: say why"),
        (["--frame-shape", "1,16"], "--frame-shape '1,16': write it as channels,height,width: 1,32,32"),
        (["--frame-shape", "1,0,16"], "--frame-shape '1,0,16'"),
        (["--set", "rat=1"], "no config key 'rat'; did you mean rate?"),
        (["--set", "rate=fast"], "checked config key 'rate': 'fast' is not float"),
        (["--dataset", "square"], "no dataset 'square'; did you mean squares?"),
        (["--dataset", "squares", "--frame-shape", "1,8,8"], "squares decides the frame shape"),
        (["--dataset", "broken-dataset"], "opening of broken-dataset: "),
    ],
    ids=" ".join,
)
def test_what_cannot_be_asked_for_is_one_line(bench, ends_with, options: list[str], says: str) -> None:
    result = bench("check", fake("Fading"), *options)
    ends_with(result, 1 if "broken-dataset" in options else 2, says)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("squars", [], "nothing is called 'squars'; did you mean squares? models: none; datasets: "),
        ("mse", ["--kind", "model"], "no model 'mse'"),
        ("squares", ["--overfit"], "squares is a dataset: only a model can be trained on four clips"),
        ("mse", ["--dataset", "squares"], "mse is a metric: only a model is tried on"),
        ("nowhere.py:Model", [], "cannot read nowhere.py"),
    ],
)
def test_a_name_is_found_or_one_line_says_what_there_is(bench, ends_with, name, options, says) -> None:
    ends_with(bench("check", name, *options), 2, says)


def test_a_name_of_two_kinds_needs_its_kind(with_floors, monkeypatch: pytest.MonkeyPatch, ends_with) -> None:
    entry = with_floors.folder / "both"
    (entry / "both-1.dist-info").mkdir(parents=True)
    (entry / "both-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: both\nVersion: 1\n")
    (entry / "both-1.dist-info" / "entry_points.txt").write_text("[vpbench]\nboth = both\n")
    (entry / "both.py").write_text(
        "import vpbench\n\n@vpbench.hookimpl\ndef vpbench_datasets():\n"
        "    yield vpbench.DatasetSpec(name='black', factory='checked_datasets:Glow', summary='-', version='1',"
        " license='none')\n"
    )
    monkeypatch.syspath_prepend(entry)
    monkeypatch.setenv("VPBENCH_PLUGINS", "both,baselines")
    ends_with(with_floors("check", "black"), 2, "black is the name of a model and of a dataset: say which with --kind")
    result = with_floors("check", "black", "--kind", "dataset")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1].startswith("dataset black: ")


@pytest.mark.parametrize(("name", "kind"), [("ramps", "dataset"), ("mse", "metric")])
def test_datasets_and_metrics_are_checked_by_the_same_command(bench, name: str, kind: str) -> None:
    result = bench("check", name)
    assert result.stdout.splitlines()[-1].startswith(f"{kind} {name}: ")
    assert len(statuses(result.stdout)) > 15


def test_json_holds_every_check_with_its_rule_and_what_plugins_print_is_not_in_it(bench) -> None:
    file = bench.folder / "loud.py"
    file.write_text(
        "class Loud:\n"
        "    def __init__(self, config, *, frame_shape, context_length): print('made')\n"
        "    def predict(self, context, target_times):\n"
        "        print('predicting')\n"
        "        return context.frames[:, :1].repeat(1, target_times.shape[1], 1, 1, 1) * 3\n"
    )
    result = bench("check", "loud.py:Loud", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["kind"], found["name"], found["holds"]) == ("model", "loud", False)
    assert sum(found["counts"].values()) == len(found["checks"])
    (failed,) = [each for each in found["checks"] if each["status"] == "failed"]
    assert failed["check"] == "check_range"
    assert failed["rule"].startswith("A prediction is nominally in [0, 1]")
    assert "predicting" in result.stderr


def test_overfit_is_one_check_more(bench) -> None:
    result = bench("check", fake("ByHeart"), "--overfit")
    assert result.exit_code == 0, result.stdout
    assert result.stdout.splitlines()[-2] == "passed          check_overfits_four_clips"


# ----------------------------------------------------------------------------------------- whatever a plugin does wrong


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("CannotBeMade", "check_is_made: load: TypeError: a layer of the wrong size (checked_models.py, line "),
        ("ExitsWhenMade", "check_is_made: load: SystemExit: usage: train.py (checked_models.py, line "),
        ("RaisesInFit", "check_is_made: fit: RuntimeError: singular matrix (checked_models.py, line "),
        ("RaisesInPredict", "check_predicts: asked for the next frames, it raised ValueError: first line second line"),
        ("GivesNumpy", "check_predicts: it gave a ndarray, the contract is a torch tensor"),
        ("TimeFirst", "check_shape: it gave shape (6, 3, 1, 16, 16), asked for (3, 6, 1, 16, 16)"),
        ("GivesBytes", "check_dtype: it gave torch.uint8"),
        ("RaisesInOptimisers", "check_can_be_trained: checked_models.py "),
        ("RaisesInLoss", "check_loss: asked for the loss of part 'main' at progress 0, it raised RuntimeError: mat1"),
        ("RaisesInStats", "check_stats_are_numbers: after a prediction asked for its stats(), it raised RuntimeError"),
    ],
)
def test_a_model_that_fails_in_a_phase_costs_one_line(bench, name: str, says: str) -> None:
    result = bench("check", fake(name))
    assert (result.exit_code, result.stderr) == (1, "")
    failed = [line for line in result.stdout.splitlines() if line.startswith("failed ")]
    assert len(failed) == 1
    assert says in failed[0]


def test_a_plugin_that_cannot_be_imported_is_named_where_its_model_is_missed(
    bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(FAULTY)
    monkeypatch.setenv("VPBENCH_PLUGINS", "faulty")
    monkeypatch.setenv("VPBENCH_TEST_FAULT", "spec model role='floors'")
    monkeypatch.delitem(sys.modules, "faulty", raising=False)
    result = bench("check", "plain")
    monkeypatch.delitem(sys.modules, "faulty", raising=False)
    first, second = result.stderr.splitlines()
    assert result.exit_code == 2
    assert first.startswith("vpbench: plugin left out: faulty 1.0 (faulty): vpbench_models: ValueError: role 'floors'")
    assert second.startswith("vpbench: nothing is called 'plain'; did you mean plain-data?")
