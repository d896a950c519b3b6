"""Records that cannot be trusted are named on stderr and left out, through the front door; nothing is averaged."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from vpbench.cli import main
from vpbench.errors import ExitCode
from vpbench.results import cell_id, write_record


@pytest.fixture
def folder(tmp_path, make, write):
    return write(tmp_path / "results", make("good"), make("other", 1.5))


def board(folder, *options):
    result = CliRunner().invoke(main, ["leaderboard", "--results", str(folder), "--format", "json", *options])
    return result, (json.loads(result.stdout)["boards"] if result.stdout.startswith("{") else [])


def labels(boards):
    return [row["label"] for each in boards for row in each["rows"]]


def edited(folder, record, change):
    """The file of a record, changed by hand."""
    path = write_record(folder, record)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path


def test_good_records_are_no_news(folder):
    result, boards = board(folder)
    assert (result.exit_code, result.stderr) == (ExitCode.OK, "")
    assert labels(boards) == ["good", "other"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d.update(schema=99), "it has schema 99, this vpbench reads up to 1: upgrade vpbench"),
        (lambda d: d.update(schema="one"), "schema is 'one', it must be a number from 1"),
        (lambda d: d["identity"].update(clips=7), "but its identity hashes to"),
        (lambda d: d["identity"]["model"].update(name="mine"), "but its identity hashes to"),
        (lambda d: d.pop("scores"), "the record lacks scores"),
        (lambda d: d["scores"]["ssim"].update(value="high"), "scores['ssim'].value is a string"),
        (lambda d: d["scores"]["ssim"].update(value=float("nan")), "NaN is not a JSON number"),
        (lambda d: d["statistics"]["d/ssim"].__setitem__(3, 10**400), "must be a list of finite numbers and nulls"),
        (lambda d: d["statistics"]["d/ssim"].append(0.1), "has n 40 but statistics['d/ssim'] has 41 values"),
    ],
)
def test_a_record_that_is_not_what_it_claims_is_named_and_left_out(folder, make, change, why):
    path = edited(folder, make("bad", 0.1), change)
    result, boards = board(folder)
    assert result.exit_code == ExitCode.DATA
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"vpbench: {path}: ")
    assert why in line
    assert labels(boards) == ["good", "other"]


def test_a_number_that_is_read_as_infinity_is_none(folder, make):
    path = write_record(folder, make("bad"))
    path.write_text(re.sub(r'("d/ssim": \[)[^,]+', r"\g<1>1e400", path.read_text()))
    result, boards = board(folder)
    assert result.exit_code == ExitCode.DATA
    assert f"{path}: statistics['d/ssim'] must be a list of finite numbers and nulls" in result.stderr
    assert labels(boards) == ["good", "other"]


@pytest.mark.parametrize("form", ["text", "markdown", "csv", "latex", "json"])
@pytest.mark.parametrize("huge", [10**400, -(10**400)], ids=["above", "below"])
def test_costs_beyond_all_bounds_do_not_end_the_board(folder, make, form, huge):
    costs = {"parameters": huge, "frames_per_s": huge, "fit_s": huge}
    training = {"seconds": huge, "sequences": huge}
    write_record(folder, make("huge", cost=costs, learns="weights", trained=True, training=training))
    result = CliRunner().invoke(main, ["leaderboard", "--results", str(folder), "--format", form])
    assert result.exit_code == ExitCode.OK, result.exception
    assert "huge" in result.stdout


def test_a_score_edited_by_hand_is_named_and_left_out(folder, make):
    """Its hash is of the identity, so only its own statistics can tell."""
    path = edited(folder, make("liar", 1.2), lambda d: d["scores"]["psnr-pooled"].update(value=60.0))
    result, (found,) = board(folder)
    assert result.exit_code == ExitCode.DATA
    assert re.search(rf"{re.escape(str(path))}: psnr-pooled version 1 is recorded as 60, but its stat", result.stderr)
    liar = next(row for row in found["rows"] if row["label"] == "liar")
    assert (liar["scores"][found["ranking"]], liar["rank"]) == (None, None)


def test_a_null_score_that_its_statistics_could_give_is_named_and_left_out(folder, make):
    edited(folder, make("null", 1.2), lambda d: d["scores"]["psnr-pooled"].update(value=None))
    result, (found,) = board(folder)
    assert result.exit_code == ExitCode.DATA
    assert "psnr-pooled version 1 is recorded as nan, but its statistics give" in result.stderr
    assert next(row for row in found["rows"] if row["label"] == "null")["scores"][found["ranking"]] is None


def test_a_score_of_nothing_is_named_on_the_board_and_never_averaged(folder, make):
    def change(document):
        document["statistics"]["d/ssim"] = [None] * 40
        document["scores"]["ssim"].update(value=None, low=None, high=None)

    edited(folder, make("nothing", 1.2), change)
    result, (found,) = board(folder)
    assert (result.exit_code, result.stderr) == (ExitCode.OK, "")  # "not applicable" is an answer
    assert "No value, so left out and never averaged: ssim for nothing." in found["remarks"]
    row = next(row for row in found["rows"] if row["label"] == "nothing")
    column = [column["metric"] for column in found["columns"]].index("ssim")
    assert row["scores"][column]["value"] is None
    assert row["rank"] is not None


def test_one_seed_without_a_value_leaves_the_row_without_one(tmp_path, make, write):
    def change(document):
        document["statistics"]["d/ssim"] = [None] * 40
        document["scores"]["ssim"].update(value=None, low=None, high=None)

    write(tmp_path, make("a", seed=0))
    edited(tmp_path, make("a", seed=1), change)
    result, (found,) = board(tmp_path)
    column = [column["metric"] for column in found["columns"]].index("ssim")
    (row,) = found["rows"]
    assert row["scores"][column]["value"] is None
    assert row["members"][0]["scores"][column]["value"] == pytest.approx(1 - 4 * error(row), abs=1e-3)
    assert "No value, so left out and never averaged: ssim for a, seed 1." in found["remarks"]
    assert result.exit_code == ExitCode.OK


def error(row):
    """The mean squared error of the first seed, from its PSNR."""
    return 10 ** (-row["members"][0]["scores"][0]["value"] / 10)


def test_definitions_that_do_not_agree_are_columns_of_their_own_and_that_is_said(folder, make, write):
    write(folder, make("newer", 0.5, metric_version="2"), make("theirs", 0.4, convention="openstl"))
    result, (found,) = board(folder)
    assert result.exit_code == ExitCode.OK
    for metric in ("psnr-pooled", "ssim"):
        line = f"balls 10→10: {metric} is recorded by 3 definitions: a column each, never ranked together"
        assert line in result.stderr
    assert {row["label"]: row["rank"] for row in found["rows"]} == {
        "good": 1,
        "other": 2,
        "newer": None,
        "theirs": None,
    }


def test_two_texts_for_one_version_of_a_metric_are_said(folder, make):
    edited(folder, make("c", 2.0), lambda d: d["scores"]["ssim"].update(definition="something else"))
    result, (found,) = board(folder)
    assert re.search(r"ssim version 1 is defined in 2 texts, as by .*: one was edited, or the version", result.stderr)
    assert len(found["columns"]) == 2


def test_an_exhibit_cannot_rank_a_board(tmp_path, make, write):
    write(tmp_path, make("a", facts={"ssim": {"ranks": False}}))
    result, _ = board(tmp_path, "--metric", "ssim")
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr == (
        "vpbench: nothing is ranked by 'ssim': it is a warning exhibit, a number that nobody should compare; "
        "rank by: psnr-pooled\n"
    )


def test_a_set_metric_has_a_value_without_interval_and_no_rank(tmp_path, make, write):
    fvd = {"statistics": [], "value": 123.4, "low": None, "high": None, "higher_is_better": False}
    write(tmp_path, make("a", facts={"ssim": fvd}), make("b", 2.0, facts={"ssim": fvd | {"value": 99.0}}))
    result, (found,) = board(tmp_path, "--metric", "ssim")
    assert result.exit_code == ExitCode.OK
    assert [(row["label"], row["rank"], row["scores"][0]["value"]) for row in found["rows"]] == [
        ("b", None, 99.0),
        ("a", None, 123.4),
    ]
    assert found["rows"][0]["scores"][0]["low"] is None
    assert "ssim has no value per clip, so there are no ranks." in found["remarks"]


def test_the_cell_id_alone_does_not_make_a_record_right(folder, make):
    """An identity edited together with its hash is another cell: its name says so, and its scores must still hold."""

    def change(document):
        document["identity"]["model"]["name"] = "renamed"
        document["cell"] = cell_id(document["identity"])
        document["scores"]["psnr-pooled"]["value"] += 5

    edited(folder, make("bad", 1.1), change)
    result, boards = board(folder)
    assert result.exit_code == ExitCode.DATA
    assert "but its statistics give" in result.stderr
    assert "renamed" in labels(boards)
    assert np.isfinite([row["scores"][0]["value"] for row in boards[0]["rows"] if row["scores"][0]]).all()
