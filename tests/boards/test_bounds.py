"""Floor and ceiling: headroom in mean squared error, and rows that are where no honest prediction can be."""

import re

import numpy as np
import pytest

from vpbench.comparison import boards
from vpbench.errors import UsageError
from vpbench.stats import bootstrap_weights

FLAGGED = "Probable leakage: cheat is better than bayes, the posterior mean that knows the generator, which no honest"


def error(record):
    return np.array(record.statistics["d/squared_error"], dtype=np.float64)


def by_label(board):
    return {row.label: row for row in board.rows}


# ------------------------------------------------------------------------------------------------------------- headroom


def test_headroom_is_the_share_of_the_way_in_mse_with_all_three_resampled_together(make, one_board):
    floor, ceiling, model = make("black", 2.0, role="floor"), make("bayes", 0.5, role="ceiling"), make("a")
    board = one_board(floor, ceiling, model)
    found = by_label(board)["a"].headroom

    def share(weights):
        f, c, m = (float(weights @ error(record)) for record in (floor, ceiling, model))
        return (f - m) / (f - c)

    n = len(error(model))
    assert found.value == pytest.approx(share(np.ones(n)))
    draws = sorted(share(weights) for weights in bootstrap_weights(n))
    assert found.low == pytest.approx(draws[50], rel=2e-3)
    assert found.high == pytest.approx(draws[-50], rel=2e-3)
    assert board.headroom_in.metric == "psnr-pooled"
    assert by_label(board)["bayes"].headroom is None
    assert by_label(board)["black"].headroom is None


def test_headroom_is_in_mse_whatever_ranks(make, one_board):
    records = [make("black", 2.0, role="floor"), make("bayes", 0.5, role="ceiling"), make("a")]
    first, second = one_board(*records), one_board(*records, metric="ssim")
    assert second.ranking.metric == "ssim"
    assert by_label(first)["a"].headroom == by_label(second)["a"].headroom


def test_the_best_floor_and_ceiling_are_those_of_least_error(make, one_board):
    floors = [make("black", 2.0, role="floor"), make("mean", 1.5, role="floor", ssim_level=9.0)]
    ceilings = [make("bayes", 0.5, role="ceiling", ssim_level=4.0), make("bayes-sample", 0.9, role="ceiling")]
    model = make("a")
    found = by_label(one_board(*floors, *ceilings, model, metric="ssim"))["a"].headroom
    f, c, m = (error(record).mean() for record in (floors[1], ceilings[0], model))
    assert found.value == pytest.approx((f - m) / (f - c))


def test_a_row_worse_than_the_floor_has_negative_headroom(make, one_board):
    board = one_board(make("black", 2.0, role="floor"), make("bayes", 0.5, role="ceiling"), make("b", 3.0))
    assert by_label(board)["b"].headroom.high < 0
    assert by_label(board)["b"].below_floor


@pytest.mark.parametrize(
    "records",
    [
        [("black", {"level": 0.5, "role": "floor"}), ("bayes", {"level": 0.5, "role": "ceiling"})],
        [("black", {"level": 0.4, "role": "floor"}), ("bayes", {"level": 0.5, "role": "ceiling"})],
        [("black", {"level": 2.0, "role": "floor", "n": 1}), ("bayes", {"level": 0.5, "role": "ceiling"})],
        [("black", {"level": 2.0, "role": "floor"})],
        [("bayes", {"level": 0.5, "role": "ceiling"})],
    ],
    ids=["no way", "floor above ceiling", "one clip", "no ceiling", "no floor"],
)
def test_headroom_that_is_not_defined_is_none(records, make, one_board):
    board = one_board(make("a"), *(make(name, **changes) for name, changes in records))
    assert board.headroom_in is None
    assert by_label(board)["a"].headroom is None


def test_a_metric_that_the_posterior_mean_does_not_bound_gives_no_headroom(make, one_board):
    not_bounded = {"psnr-pooled": {"mean_optimal": False}}
    records = [("black", 2.0, "floor"), ("bayes", 0.5, "ceiling"), ("a", 1.0, "contender")]
    board = one_board(*(make(name, level, role=role, facts=not_bounded) for name, level, role in records))
    assert board.headroom_in is None


def test_headroom_of_several_seeds_covers_the_seeds_too(make, one_board):
    bounds = [make("black", 2.0, role="floor"), make("bayes", 0.5, role="ceiling")]
    one = by_label(one_board(*bounds, make("a", 1.0, seed=0)))["a"].headroom
    several = by_label(one_board(*bounds, make("a", 1.0, seed=0), make("a", 1.2, seed=1)))["a, 2 seeds"].headroom
    assert several.high - several.low > 3 * (one.high - one.low)
    f, c = (error(record).mean() for record in bounds)
    shares = [(f - error(make("a", level, seed=seed)).mean()) / (f - c) for seed, level in enumerate((1.0, 1.2))]
    assert several.value == pytest.approx(np.mean(shares))


# -------------------------------------------------------------------------------------------------------------- leakage


def test_a_row_better_than_the_posterior_mean_is_probable_leakage(make, one_board):
    board = one_board(make("bayes", 0.5, role="ceiling"), make("honest", 0.8), make("cheat", 0.3))
    assert {row.label: bool(row.above_ceiling) for row in board.rows} == {
        "bayes": False,
        "cheat": True,
        "honest": False,
    }
    (said,) = board.warnings
    assert said.startswith(FLAGGED)
    gain = 10 * np.log10(error(make("bayes", 0.5)).mean() / error(make("cheat", 0.3)).mean())
    assert by_label(board)["cheat"].above_ceiling.difference == pytest.approx(gain)
    told = re.search(r"by ([\d.]+) dB in psnr-pooled \(p (?:=|<) ([\d.]+), paired test on the same clips\)\.$", said)
    assert float(told[1]) == pytest.approx(gain, rel=0.01)
    assert float(told[2]) < 0.05


def test_a_floor_can_leak_too(make, one_board):
    board = one_board(make("bayes", 0.5, role="ceiling"), make("cheat", 0.3, role="floor"), make("a"))
    assert by_label(board)["cheat"].above_ceiling
    assert FLAGGED in board.warnings[0]


def test_an_honest_row_equal_to_the_ceiling_or_a_hair_better_is_no_leak(make, one_board):
    ceiling = make("bayes", 0.5, role="ceiling")
    twin = make("bayes", 0.5, config={"k": 1})  # the same predictions by a contender
    hair = make("hair", 0.499)
    board = one_board(ceiling, twin, hair)
    assert error(twin).tolist() == error(ceiling).tolist()
    assert not any(row.above_ceiling for row in board.rows)
    assert board.warnings == ()


def test_a_ceiling_that_is_no_posterior_mean_bounds_nothing(make, one_board):
    """A sample of the posterior has twice its error: an honest prediction may well have less."""
    sample, floor = make("bayes-sample", 0.9, role="ceiling"), make("black", 2.0, role="floor")
    board = one_board(sample, floor, make("honest", 0.7))
    assert not board.warnings
    assert board.headroom_in is None
    assert by_label(board)["honest"].headroom is None


def test_a_row_that_beats_the_ceiling_only_in_ssim_is_no_leak(make, one_board):
    """A sharp guess may be more similar than the mean image: of SSIM the ceiling is a line for reference."""
    board = one_board(make("bayes", 0.5, role="ceiling", ssim_level=3.0), make("sharp", 0.8), metric="ssim")
    scores = {row.label: row.scores[board.ranking] for row in board.rows}
    assert scores["sharp"].low > scores["bayes"].high
    assert not by_label(board)["sharp"].above_ceiling
    assert board.warnings == ()


def test_the_ceiling_of_least_error_is_the_bound_and_not_a_sample(make, one_board):
    board = one_board(
        make("bayes", 0.5, role="ceiling"), make("bayes-sample", 0.9, role="ceiling"), make("honest", 0.7)
    )
    assert board.warnings == ()


def test_leaks_are_held_to_holm_over_all_rows_tested(make, one_board):
    """Of many honest rows some are a little better by chance: alone significant, among many not."""
    ceiling = make("bayes", 0.5, role="ceiling", n=20)
    lucky = next(
        record
        for level in np.arange(0.499, 0.47, -0.0005)
        if (record := make("lucky", float(level), n=20)) and one_board(ceiling, record).warnings
    )
    others = [make(f"m{index}", 0.6, n=20) for index in range(25)]
    assert one_board(ceiling, lucky).warnings
    assert not one_board(ceiling, lucky, *others).warnings


def test_without_the_installed_metric_there_is_no_test_and_no_accusation(make, one_board):
    board = one_board(make("bayes", 0.5, role="ceiling"), make("cheat", 0.3), scorers={})
    assert board.warnings == ()


# ------------------------------------------------------------------------------------------- metrics that rank nothing


EXHIBIT = {"ssim": {"ranks": False}}
RATIO = {"ssim": {"ranks": False, "ideal": 1.0}}


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (EXHIBIT, "nothing is ranked by 'ssim': it is a warning exhibit, a number that nobody should compare; rank by"),
        (RATIO, "nothing is ranked by 'ssim': it is best at 1, and more is as wrong as less; rank by: psnr-pooled"),
    ],
)
def test_a_metric_that_ranks_nothing_cannot_rank_a_board(make, facts, why):
    with pytest.raises(UsageError, match=re.escape(why)):
        boards([make("a", facts=facts), make("b", 2.0, facts=facts)], {}, metric="ssim")


def test_a_board_of_nothing_but_exhibits_has_no_ranks(make, one_board):
    board = one_board(make("a", facts=EXHIBIT, scorers=("ssim",)), make("b", facts=EXHIBIT, scorers=("ssim",)))
    assert board.ranking is None
    assert [row.rank for row in board.rows] == [None, None]
    assert "No row has psnr-pooled, so there are no ranks." in board.remarks


def test_exhibits_come_last_and_conventions_stay_together(make, one_board):
    record = make("a")
    score = record.scores["ssim"]
    named = {"x-psnr": "x", "b-ssim": "b", "y-bad": "y", "x-mae": "x", "ours": "vpbench", "y-ssim": "y"}
    record.scores.update({name: score | {"convention": convention} for name, convention in named.items()})
    record.scores["y-bad"] = record.scores["y-bad"] | {"ranks": False}
    assert [column.metric for column in one_board(record, scorers={}).columns] == [
        *("psnr-pooled", "ssim", "ours"),
        *("b-ssim", "x-mae", "x-psnr", "y-ssim", "y-bad"),
    ]


def test_another_configuration_or_another_sum_over_steps_is_another_column(make, one_board):
    records = [
        make("a", facts={"ssim": {"config": {"window": 7}}}),
        make("b", facts={"ssim": {"over_steps": "sum"}}),
        make("c"),
    ]
    board = one_board(*records)
    assert [column.metric for column in board.columns].count("ssim") == 3
    assert all(len(row.scores) == 2 for row in board.rows)


def test_a_fact_that_an_older_record_does_not_tell_is_taken_from_the_others(make, one_board):
    old, new = make("old"), make("new", 0.9, facts={"ssim": {"ideal": 1.0, "ranks": False}})
    for score in old.scores.values():
        for key in ("ranks", "ideal", "mean_optimal", "over_steps", "config"):
            del score[key]
    board = one_board(old, new)
    facts = {column.metric: (column.ranks, column.ideal, column.mean_optimal) for column in board.columns}
    assert facts == {"psnr-pooled": (True, None, True), "ssim": (False, 1.0, False)}
