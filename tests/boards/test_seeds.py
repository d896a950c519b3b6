"""Records that differ in their seed alone are one row, over clips and seeds; what else differs is a row of its own."""

from dataclasses import replace

import numpy as np
import pytest

from vpbench.comparison import boards, ranking
from vpbench.results import iter_records
from vpbench.stats import holm, ranks, seeds_difference, seeds_interval


def psnr(means):
    return -10 * np.log10(means["squared_error"])


SCORERS = {"psnr-pooled": psnr, "ssim": lambda means: means["ssim"]}
TRAINING = {"seed": 0, "updates": 500, "batch_size": 8, "dataset": {"name": "balls"}, "seconds": 12.5, "device": "H100"}


def error(record, n=None):
    return {"squared_error": np.array(record.statistics["d/squared_error"][:n])}


def trained(make, trained_with, level=1.0, **changes):
    """A record of weights of their own, trained with this seed."""
    training = TRAINING | {"seed": trained_with, "seconds": 10.0 + trained_with} | changes.pop("training", {})
    about = {"learns": "weights", "trained": True, "training": training}
    return make(changes.pop("name", "a"), level, **({"weights": f"{trained_with:02x}" * 32} | about | changes))


def test_seeds_of_one_method_are_one_row_over_clips_and_seeds(make, one_board, score):
    seeds = [trained(make, seed, level) for seed, level in enumerate((1.0, 1.1, 0.95))]
    (row,) = one_board(*seeds).rows
    assert row.label == "a, 3 seeds"
    assert score(row) == seeds_interval([error(record) for record in seeds], psnr)
    assert [member.record for member in row.members] == list(row.records) == seeds
    assert [member.label for member in row.members] == [f"a, trained with seed {seed}" for seed in range(3)]
    for member, record in zip(row.members, seeds, strict=True):
        assert score(member).value == pytest.approx(record.scores["psnr-pooled"]["value"])
        assert member.rank is None


def test_models_without_weights_are_merged_by_the_seed_of_the_run(make, one_board):
    (row,) = one_board(make("a", seed=4), make("a", seed=11)).rows
    assert row.label == "a, 2 seeds"
    assert [member.label for member in row.members] == ["a, seed 4", "a, seed 11"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"training": {"updates": 900, "budget": "900updates"}}, ["a, trained for 900updates", "a"]),
        ({"training": {"batch_size": 4}}, ["a, trained with seed 0", "a, trained with seed 1"]),
        ({"version": "2"}, ["a, version 1", "a, version 2"]),
        ({"config": {"k": 2}}, ["a", "a, k=2"]),
        ({"dtype": "bfloat16"}, ["a, float32", "a, bfloat16"]),
        ({"training": {"seed": 0}}, ["a, weights 00000000", "a, weights 01010101"]),
        ({"training": {"seed": None}, "seed": 1}, ["a, seed 0", "a, seed 1"]),
    ],
)
def test_whatever_else_differs_is_a_row_of_its_own(make, one_board, labels, change, expected):
    board = one_board(trained(make, 0), trained(make, 1, **change))
    assert sorted(labels(board)) == sorted(expected)
    assert not any(row.members for row in board.rows)


def test_the_same_weights_run_with_another_seed_are_no_second_training(make, one_board, labels):
    board = one_board(trained(make, 0), trained(make, 0, seed=1))
    assert sorted(labels(board)) == ["a, seed 0", "a, seed 1"]


def test_seeds_are_gathered_from_several_folders_unless_one_cell_is_in_two(tmp_path, make, write, one_board, labels):
    write(tmp_path / "results", trained(make, 0))
    write(tmp_path / "runs", trained(make, 1))
    folders = [tmp_path / "results", tmp_path / "runs"]
    (row,) = one_board(*(record for folder in folders for record in iter_records(folder)[0])).rows
    assert (row.label, row.source) == ("a, 2 seeds", "results, runs")
    write(tmp_path / "runs", trained(make, 0))
    board = one_board(*(record for folder in folders for record in iter_records(folder)[0]))
    assert sorted(labels(board)) == ["a, 2 seeds", "a, trained with seed 0"]


def test_seeds_of_fewer_clips_are_compared_on_the_clips_all_have(make, one_board, score):
    seeds = [trained(make, 0), trained(make, 1, n=15)]
    board = one_board(*seeds, make("b", 2.0))
    assert board.n == 15
    assert score(board.rows[0]) == seeds_interval([error(record, 15) for record in seeds], psnr)
    assert "a, 2 seeds has no more (others up to 40)" in board.remarks[0]


def test_methods_of_several_seeds_are_ranked_over_clips_and_seeds(make, one_board):
    """Against another method with seeds it is the test of methods, against one set of weights that of these weights."""
    a = [trained(make, seed, level) for seed, level in enumerate((1.0, 1.3))]
    b = [trained(make, seed, level, name="b") for seed, level in enumerate((1.2, 1.5))]
    c = [make("c", 3.0)]
    board = one_board(*a, *b, *c)
    methods = [[error(record) for record in group] for group in (a, b, c)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    p = holm([seeds_difference(methods[i], methods[j], psnr).p for i, j in pairs])
    assert p[0] > 0.05 > max(p[1:])  # the seeds of a and b are too few and too far apart
    assert {row.label: row.rank for row in board.rows} == {"a, 2 seeds": 1, "b, 2 seeds": 1, "c": 3}
    one_seed = one_board(a[0], b[0])
    assert [row.rank for row in one_seed.rows] == [1, 2]  # which one seed of each would have claimed


def test_rows_of_one_seed_are_ranked_as_ever(make, one_board):
    records = [make("a", 1.0), make("b", 1.002), make("c", 2.0)]
    expected = ranks([error(record) for record in records], psnr, higher_is_better=True).ranks
    assert tuple(row.rank for row in one_board(*records).rows) == expected == (1, 1, 3)


def test_so_many_rows_that_resamples_would_not_fit_are_tested_for_these_weights_and_that_is_said(
    make, one_board, monkeypatch
):
    monkeypatch.setattr(ranking, "_WEIGHTS", 1000)
    board = one_board(*(trained(make, seed, level) for seed, level in enumerate((1.0, 1.3))), make("c", 3.0))
    assert [row.rank for row in board.rows] == [1, 2]
    assert board.remarks[-1].startswith("So many rows are tested for these weights only")


def test_a_seed_whose_score_is_not_to_be_trusted_takes_the_row_out_of_that_column(make):
    honest, edited = trained(make, 0), trained(make, 1, facts={"psnr-pooled": {"value": 99.0}})
    (board,), problems = boards([honest, edited], SCORERS)
    (row,) = board.rows
    assert [column.metric for column in row.scores] == ["ssim"]
    assert row.rank is None
    assert "is recorded as 99" in str(problems[0])


def test_a_curve_over_seeds_is_their_mean(make, one_board):
    curves = ([20.0, 10.0], [22.0, 12.0])
    seeds = [
        trained(make, seed, facts={"psnr-pooled": {"per_step": curve, "per_step_stderr": [1.0, 2.0]}})
        for seed, curve in enumerate(curves)
    ]
    board = one_board(*seeds)
    (row,) = board.rows
    assert row.curve(board.ranking, board.n).values.tolist() == [21.0, 11.0]
    assert np.isnan(row.curve(board.ranking, board.n).stderr).all()
    assert row.members[0].curve(board.ranking, board.n).stderr.tolist() == [1.0, 2.0]
    assert row.curve(board.ranking, board.n - 1) is None  # a curve over other clips than the board's
    longer = replace(seeds[0], scores={m: s | {"per_step": [1.0]} for m, s in seeds[0].scores.items()})
    assert one_board(longer).rows[0].curve(board.ranking, board.n) is None
