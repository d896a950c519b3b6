"""What is compared: rows on common clips, columns of one definition, ranks, floors, ceilings and labels."""

import re
from dataclasses import replace

import numpy as np
import pytest

from vpbench.comparison import boards
from vpbench.errors import RecordError, UsageError
from vpbench.results import encode, iter_records
from vpbench.stats import interval, paired_test, ranks

N = 40


def psnr(means):
    return -10 * np.log10(means["squared_error"])


def ssim(means):
    return means["ssim"]


SCORERS = {"psnr-pooled": psnr, "ssim": ssim}


# ----------------------------------------------------------------------------------------------------- what is compared


def test_a_board_is_one_dataset_split_and_task(make):
    other = {"name": "balls", "version": "1", "config": {}, "fingerprint": "beef"}
    records = [
        make("a"),
        make("b"),
        make("a", horizon=90),
        make("a", horizon=5),
        make("a", split="val"),
        make("a", dataset=other),
        make("a", dataset=other | {"version": "2", "fingerprint": "f00d"}),
        make("a", dataset=other | {"config": {"digits": 3}, "fingerprint": "f00d"}),
    ]
    found, _ = boards(records, SCORERS)
    assert len(found) == 7
    assert sorted(len(board.rows) for board in found) == [1, 1, 1, 1, 1, 1, 2]
    same = [board for board in found if board.dataset == records[0].dataset and board.split == "test"]
    assert [board.task["horizon"] for board in same] == [5, 10, 90]


def test_rows_are_compared_on_the_clips_they_all_have(make, one_board, score):
    long, short = make("long", 1.0, n=60), make("short", 1.1, n=25)
    board = one_board(long, short)
    assert board.n == 25
    expected = interval({"squared_error": np.array(long.statistics["d/squared_error"][:25])}, psnr)
    assert score(board.rows[0]) == expected
    assert score(board.rows[1]).value == pytest.approx(short.scores["psnr-pooled"]["value"])
    assert board.remarks[0] == ("Compared on the first 25 clips: short has no more (others up to 60).")


def test_ranks_are_those_of_the_common_clips(make, one_board):
    records = [make("a", 1.0, n=60), make("b", 1.01, n=30), make("c", 2.0, n=60), make("d", 1.0, n=45)]
    board = one_board(*records)
    rows = [{"squared_error": np.array(row.record.statistics["d/squared_error"][:30])} for row in board.rows]
    assert tuple(row.rank for row in board.rows) == ranks(rows, psnr, higher_is_better=True).ranks
    assert board.rows[-1].label == "c"
    assert board.rows[-1].rank == 4


def test_a_smaller_run_of_the_same_cell_does_not_shrink_the_board(make, one_board, labels):
    board = one_board(make("a", n=40), make("a", n=4), make("b", 2.0, n=40))
    assert board.n == 40
    assert labels(board) == ["a", "b"]


def test_missing_values_are_left_out_of_a_score(make, one_board, labels, score):
    record = make("a")
    values = [None if i < 5 else value for i, value in enumerate(record.statistics["d/squared_error"])]
    value = float(psnr({"squared_error": np.mean(values[5:])}))
    scores = {"psnr-pooled": record.scores["psnr-pooled"] | {"value": value}}
    board = one_board(replace(record, statistics={"d/squared_error": values}, scores=scores), make("b"))
    assert score(board.rows[labels(board).index("a")]).value == pytest.approx(value)
    assert board.n == N


def test_one_definition_is_one_column_and_others_are_never_ranked_with_it(make, one_board, labels):
    ours = [make("a", 1.0), make("b", 2.0)]
    theirs = make("c", 0.1, metric_version="2")
    board = one_board(*ours, theirs, make("d", convention="openstl"))
    assert [(column.metric, column.convention, column.version) for column in board.columns] == [
        ("psnr-pooled", "openstl", "1"),
        ("psnr-pooled", "vpbench", "1"),
        ("psnr-pooled", "vpbench", "2"),
        ("ssim", "openstl", "1"),
        ("ssim", "vpbench", "1"),
        ("ssim", "vpbench", "2"),
    ]
    assert (board.ranking.convention, board.ranking.version) == ("vpbench", "1")
    assert {row.label: row.rank for row in board.rows} == {"a": 1, "b": 2, "c": None, "d": None}
    assert labels(board) == ["a", "b", "c", "d"]
    assert all(len(row.scores) == 2 for row in board.rows)
    assert "Without rank, having no psnr-pooled by the definition of the other rows: c, d." in board.remarks


def test_without_a_scorer_recorded_values_stand_only_for_the_same_clips(make, one_board, score):
    board = one_board(make("a", n=30), make("b", n=40), scorers={"psnr-pooled": psnr})
    by_label = {row.label: row for row in board.rows}
    assert score(by_label["a"], "ssim").value == by_label["a"].record.scores["ssim"]["value"]
    assert not [column for column in by_label["b"].scores if column.metric == "ssim"]
    assert by_label["a"].rank == 1


def test_without_a_scorer_for_the_ranking_metric_nothing_is_ranked(make, one_board, labels):
    board = one_board(make("a"), make("b", 2.0), scorers={})
    assert [row.rank for row in board.rows] == [None, None]
    assert labels(board) == ["a", "b"]
    assert "The metric psnr-pooled is not installed here: values as recorded, no ranks." in board.remarks


def test_a_value_that_its_statistics_do_not_give_is_left_out_and_reported(tmp_path, make, write):
    """Edited by hand, or by another definition than the installed one: either way not to be trusted."""
    write(tmp_path, make("honest", 2.0), make("liar", 1.9, value=99.0, scorers=("psnr-pooled",)))
    records, _ = iter_records(tmp_path)
    (board,), problems = boards(records, SCORERS)
    assert {row.label: row.rank for row in board.rows} == {"honest": 1, "liar": None}
    (problem,) = problems
    assert isinstance(problem, RecordError)
    assert re.search(r"liar.*psnr-pooled version 1 is recorded as 99, but its statistics give 1\d\.\d+", str(problem))


def test_a_score_function_that_fails_costs_its_own_scores(make):
    def broken(means):
        raise KeyError("squared_error_sum")

    (board,), problems = boards([make("a"), make("b")], {"psnr-pooled": psnr, "ssim": broken})
    assert [len(row.scores) for row in board.rows] == [1, 1]
    assert all("ssim version 1: KeyError" in str(problem) for problem in problems)
    assert len(problems) == 2


def test_score_functions_see_bare_names_and_any_shape(make, one_board):
    shapes = set()

    def watching(means):
        assert set(means) == {"squared_error"}
        shapes.add(means["squared_error"].ndim)
        return psnr(means)

    one_board(make("a"), make("b"), scorers={"psnr-pooled": watching, "ssim": ssim})
    assert shapes == {1, 2}


def test_rank_by_another_metric_and_lower_is_better(make, one_board, labels):
    a, b = make("a", 1.0), make("b", 2.0)
    flipped = [
        replace(
            r, scores={"ssim": r.scores["ssim"] | {"higher_is_better": False}, "psnr-pooled": r.scores["psnr-pooled"]}
        )
        for r in (a, b)
    ]
    board = one_board(*flipped, metric="ssim")
    assert board.columns[0].metric == "ssim"
    assert labels(board) == ["b", "a"]
    assert [row.rank for row in board.rows] == [1, 2]


def test_a_metric_that_nobody_has_is_a_usage_error(make):
    with pytest.raises(UsageError, match="no record holds the metric 'fvd'; there is: psnr-pooled, ssim"):
        boards([make("a")], SCORERS, metric="fvd")


def test_a_board_without_the_ranking_metric_says_so(make):
    found, _ = boards([make("a", scorers=("ssim",)), make("b", horizon=90)], SCORERS, metric="psnr-pooled")
    assert found[0].ranking is None
    assert "No row has psnr-pooled, so there are no ranks." in found[0].remarks


def test_a_board_without_the_default_metric_is_ranked_by_its_first(make, one_board):
    board = one_board(make("a", scorers=("ssim",)), make("b", 2.0, scorers=("ssim",)))
    assert (board.metric, board.ranking.metric) == ("ssim", "ssim")
    assert [row.rank for row in board.rows] == [1, 2]


# ----------------------------------------------------------------------------------------------------- floors, ceilings


def test_contenders_below_the_best_floor_are_marked(make, one_board):
    board = one_board(
        make("black", 3.0, role="floor"),
        make("train-mean", 1.5, role="floor"),
        make("good", 1.0),
        make("poor", 2.0),
        make("awful", 4.0),
    )
    assert [(row.label, row.below_floor) for row in board.rows] == [
        ("good", False),
        ("train-mean", False),
        ("poor", True),
        ("black", False),
        ("awful", True),
    ]
    assert not any(row.not_above_floor for row in board.rows)


def test_a_bare_difference_to_the_floor_is_no_mark(make, one_board):
    """Worse and better by a hair: the paired test cannot tell, so neither is below the floor, nor above it."""
    floor, rows = make("floor", 1.0, role="floor"), [make("b", 1.001), make("c", 0.999), make("good", 0.5)]
    board = one_board(floor, *rows, make("awful", 4.0))
    marks = {row.label: (row.below_floor, row.not_above_floor) for row in board.rows}
    values = {row.label: row.scores[board.ranking].value for row in board.rows}
    assert min(values["b"], values["c"]) < values["floor"]
    assert marks == {
        "floor": (False, False),
        "b": (False, True),
        "c": (False, True),
        "good": (False, False),
        "awful": (True, False),
    }


def test_without_a_test_nothing_is_said_of_the_floor(make, one_board):
    board = one_board(make("black", 1.0, role="floor"), make("awful", 4.0), scorers={})
    assert not any(row.below_floor or row.not_above_floor for row in board.rows)


def placed(tmp_path, make, write, **folders):
    """Records as read from folders, each a list of records."""
    for name, records in folders.items():
        write(tmp_path / name, *records)
    return [record for name in folders for record in iter_records(tmp_path / name)[0]]


@pytest.mark.parametrize("n", [N, 30])
def test_a_cell_in_two_folders_is_ranked_once(tmp_path, make, write, one_board, monkeypatch, n):
    committed = [make("a", 1.0), make("b", 1.3), make("c", 2.0)]
    mine = [make("a", 1.0, n=n), make("b", 1.3, n=n)]
    tested = []
    monkeypatch.setattr(
        "vpbench.comparison.ranking.ranks", lambda rows, *a, **k: tested.append(len(rows)) or ranks(rows, *a, **k)
    )
    board = one_board(*placed(tmp_path, make, write, results=committed, runs=mine))
    assert tested == [3]  # so three pairs for Holm, not ten
    assert [row.label for row in board.rows] == ["a, in results", "a, in runs", "b, in results", "b, in runs", "c"]
    assert [row.rank for row in board.rows] == [1, 1, 2, 2, 3]
    assert "Records of one cell in several folders are tested once and share a rank." in board.remarks


def test_a_cell_that_two_folders_tell_differently_is_a_problem(tmp_path, make, write):
    def changed(by):
        error = np.array(make("a").statistics["d/squared_error"][:30]) * by
        means = {"squared_error": error}
        value, low, high = interval(means, psnr)
        scores = {"psnr-pooled": make("a", n=30).scores["psnr-pooled"] | {"value": value, "low": low, "high": high}}
        return replace(make("a", n=30), statistics={"d/squared_error": error}, scores=scores)

    records = placed(tmp_path, make, write, results=[make("a")], near=[changed(1.001)], far=[changed(0.98)])
    (board,), problems = boards(records, SCORERS)
    assert [row.rank for row in board.rows] == [1, 1, 1]
    (told,) = map(str, problems)
    assert " are of the same cell, but differ in d/squared_error on clips that both have" in told
    assert "/far/" in told
    assert "/results/" in told  # which has more clips, so it counts


def test_a_ceiling_comes_first_and_takes_no_rank(make, one_board):
    board = one_board(make("a"), make("bayes", 0.2, role="ceiling"), make("b", 2.0))
    assert [(row.label, row.rank) for row in board.rows] == [("bayes", None), ("a", 1), ("b", 2)]


def test_headroom_is_the_share_of_the_way_in_mean_squared_error(make, one_board):
    board = one_board(make("black", 2.0, role="floor"), make("bayes", 0.5, role="ceiling"), make("a"), make("b", 3.0))
    by_label = {row.label: row for row in board.rows}

    def error(label):
        return np.mean(by_label[label].record.statistics["d/squared_error"])

    expected = (error("black") - error("a")) / (error("black") - error("bayes"))
    found = by_label["a"].headroom
    assert found.value == pytest.approx(expected)
    assert found.low < expected < found.high
    assert by_label["b"].headroom.value < 0
    assert by_label["bayes"].headroom is None
    without = one_board(make("black", 2.0, role="floor"), make("a"))
    assert [row.headroom for row in without.rows] == [None, None]


# ------------------------------------------------------------------------------------------------------ labels, remarks


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([("a", {}), ("b", {"seed": 3})], {"a", "b"}),
        ([("a", {}), ("a", {"seed": 3})], {"a, 2 seeds"}),
        ([("a", {}), ("a", {"dtype": "bfloat16"})], {"a, float32", "a, bfloat16"}),
        ([("a", {"version": "1"}), ("a", {"version": "2"})], {"a, version 1", "a, version 2"}),
        (
            [("a", {"config": {"k": 1, "z": 0}}), ("a", {"config": {"k": 2, "z": 0}}), ("b", {"config": {"k": 3}})],
            {"a, k=1", "a, k=2", "b"},
        ),
        (
            [("a", {}), ("a", {"config": {"k": 2}}), ("a", {"config": {"k": 2}, "seed": 1})],
            {"a", "a, k=2, 2 seeds"},
        ),
        (
            [("a", {"weights": "ab" * 32}), ("a", {"weights": "cd" * 32})],
            {"a, weights abababab", "a, weights cdcdcdcd"},
        ),
    ],
)
def test_labels_say_what_tells_rows_apart_and_no_more(records, expected, make, one_board, labels):
    assert set(labels(one_board(*(make(name, **changes) for name, changes in records)))) == expected


def test_what_the_interval_covers_is_said_under_each_board(make, one_board):
    a, again, b = (make(name, seed=seed, learns="weights") for name, seed in (("a", 0), ("a", 5), ("b", 5)))
    one, two = one_board(a, b), one_board(a, again)
    assert "of the weights and not of the method" in one.remarks[0]
    assert one.remarks[0].startswith("One seed per row: intervals cover the choice of test clips for these weights.")
    assert two.remarks[0].startswith("Intervals cover the choice of clips and of seeds")
    both = one_board(a, again, b)
    assert both.remarks[0].startswith("Where a row has several seeds its interval covers the choice of clips and of")
    assert both.remarks[0].endswith("and so the weights and not the method.")


def test_where_nothing_is_trained_nothing_is_said_of_training_again(make, one_board):
    boards = one_board(make("a"), make("b")), one_board(make("a"), make("a", seed=5), make("b", learns="statistics"))
    assert boards[0].remarks[0] == "One seed per row, and no trained weights: intervals cover the choice of test clips."
    assert boards[1].remarks[0] == (
        "Where a row has several seeds its interval covers the choice of clips and of seeds; where it has one, the "
        "choice of test clips."
    )


@pytest.mark.parametrize(
    ("n", "said"),
    [
        (1, "Of fewer than two clips there are no intervals and no tests."),
        (5, "Fewer than 6 clips: intervals are too narrow, and no test can find anything, see docs/statistics.md."),
        (6, "Fewer than 50 clips: intervals are too narrow and tests alarm too often, see docs/statistics.md."),
        (49, "Fewer than 50 clips: intervals are too narrow and tests alarm too often, see docs/statistics.md."),
        (50, None),
    ],
)
def test_few_clips_are_told(make, one_board, n, said):
    """docs/statistics.md has the coverage and the size that simulations find; with 5 clips p is at least 2^-4."""
    board = one_board(make("a", n=n), make("b", 3.0, n=n))
    assert [text for text in board.remarks if "ewer than" in text] == ([said] if said else [])
    assert [row.rank for row in board.rows] == ([1, 2] if n > 5 else [1, 1])


def test_rows_that_a_paired_test_cannot_tell_apart_share_a_rank(make, one_board):
    a, b = make("a", 1.0), make("b", 1.001)
    board = one_board(a, b, make("c", 3.0))
    p = paired_test(
        {"squared_error": np.array(a.statistics["d/squared_error"])},
        {"squared_error": np.array(b.statistics["d/squared_error"])},
        psnr,
    ).p
    assert p > 0.05
    assert [row.rank for row in board.rows] == [1, 1, 3]


def test_making_a_board_does_not_change_the_records(some_records):
    records = some_records()
    before = [encode(record) for record in records]
    boards(records, SCORERS)
    assert [encode(record) for record in records] == before
