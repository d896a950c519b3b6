"""What boards say of how rows were trained: whether all had the same budget, and what they had learnt on the way."""

import csv
import io
import json
import math
import re

import pytest

from vpbench.comparison import boards
from vpbench.leaderboard import RENDERERS

DATA = {"name": "balls", "version": "1", "config": {"size": 8}, "fingerprint": "f00d"}
XEON, H100 = "Intel(R) Xeon(R) Processor @ 2.20GHz", "NVIDIA H100"


def validations(psnrs, *, every=100, batch=32, pace=0.1):
    """A history with these scores, one after each `every` updates."""
    return [
        {
            "update": update,
            "sequences": update * batch,
            "seconds": round(update * pace, 1),
            "loss": 0.5 / update,
            "val_mse": 10 ** (-psnr / 10),
            "val_mse_first_10": 0.01,
        }
        for update, psnr in zip(range(every, 10**6, every), psnrs, strict=False)
    ]


def training(updates=1000, *, batch=32, pace=0.1, psnrs=(), **more):
    """What a record says of a training, as the trainer writes it."""
    return {
        "updates": updates,
        "total_updates": updates,
        "sequences": updates * batch,
        "seconds": updates * pace,
        "device": XEON,
        "threads": 2,
        "seed": 0,
        "batch_size": batch,
        "precision": "float32",
        "budget": f"{updates * batch}sequences",
        "context": 10,
        "horizon": 10,
        "dataset": DATA,
        "history": validations(psnrs, batch=batch, pace=pace),
    } | more


@pytest.fixture
def trained(make):
    """A record of trained weights; what it says of its training by name."""

    def trained(name, level=1.0, *, role="contender", steps=10, elsewhere=False, weights=None, **said):
        about = {"role": role, "learns": "weights", "trained": True, "elsewhere": elsewhere}
        return make(name, level, horizon=steps, weights=weights, training=training(**said), **about)

    return trained


def sentence(board, form="text"):
    """The sentences about budgets; in a terminal each remark has a line."""
    said = re.split(r"\n|(?<=\.) ", RENDERERS[form]([board]))
    return [line for line in said if re.search("trained contenders|training budget|whose training", line)]


def tables(board):
    """Caption -> {model: cells} of the folded budget curves in Markdown."""
    text = RENDERERS["markdown"]([board]).partition("<summary>Budget curves</summary>")[2].partition("</details>")[0]
    found = {}
    for caption, table in re.findall(r"^(Validation PSNR.*):\n\n((?:\|.*\n)+)", text, re.MULTILINE):
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        found[caption] = {cells[0]: cells[1:] for cells in lines if not cells[0].startswith(":-")}
    return found


# -------------------------------------------------------------------------------------------------------------- budgets


def test_equal_sequences_are_said_with_the_times_they_took(trained, one_board):
    board = one_board(trained("a"), trained("b", 2.0, updates=500, batch=64, pace=0.6))
    said = "All trained contenders saw 32,000 sequences each, in 1.7 min to 5 min on Intel Xeon."
    assert sentence(board) == [said]
    for form in ("markdown", "latex"):
        assert RENDERERS[form]([board]).count(said) == 1
    told = json.loads(RENDERERS["json"]([board]))["boards"][0]["training_budgets"]
    assert told == {"equal_sequences": True, "equal_seconds": False, "sentence": said}


def test_equal_times_are_said_with_the_sequences_seen(trained, one_board):
    one, other = {"updates": 1800, "budget": "180s"}, {"updates": 600, "pace": 0.3, "budget": "180s"}
    board = one_board(trained("a", **one), trained("b", 2.0, **other))
    assert sentence(board) == [
        "All trained contenders were trained for 3 min each on Intel Xeon: 19,200 to 57,600 sequences."
    ]
    slow = one_board(trained("a", **one), trained("b", 2.0, **other | {"pace": 0.5}))
    assert sentence(slow) == [
        "All trained contenders were given 3 min each on Intel Xeon, and took 3 min to 5 min: "
        "19,200 to 57,600 sequences."
    ]


def test_different_times_are_not_equal_however_alike_their_sequences_per_second(trained, one_board):
    board = one_board(trained("a", updates=1800, budget="180s"), trained("b", 2.0, updates=3600, budget="360s"))
    assert sentence(board) == [
        "Contenders differ in training budget: 57.6 k to 115 k sequences, 3 min to 6 min on Intel Xeon."
    ]


def test_times_that_came_out_alike_are_equal_whatever_was_asked_for(trained, one_board):
    board = one_board(trained("a", updates=1000), trained("b", 2.0, updates=500, pace=0.202))
    assert sentence(board) == [
        "All trained contenders were trained for 1.7 min each on Intel Xeon: 16,000 to 32,000 sequences."
    ]


@pytest.mark.parametrize("elsewhere", [{"device": H100}, {"threads": 8}])
def test_equal_times_on_other_machines_are_no_equal_budgets(trained, one_board, elsewhere):
    timed = {"budget": "180s", "updates": 1800}
    board = one_board(trained("a", **timed), trained("b", 2.0, **timed | elsewhere | {"batch": 64}))
    (said,) = sentence(board)
    assert said.startswith("Contenders differ in training budget: 57.6 k to 115 k sequences, 3 min")
    assert said.endswith("on different machines.")


def test_what_differs_is_said_once_and_short(trained, one_board):
    board = one_board(trained("a"), trained("b", 2.0, updates=5000), trained("c", 3.0, updates=2000))
    assert sentence(board) == [
        "Contenders differ in training budget: 32 k to 160 k sequences, 1.7 min to 8.3 min on Intel Xeon."
    ]


def test_a_part_of_a_batch_is_no_difference(trained, one_board):
    board = one_board(trained("a"), trained("b", 2.0, updates=640, batch=51))
    (said,) = sentence(board)
    assert said.startswith("All trained contenders saw 32,000 to 32,640 sequences each, in ")


def test_with_one_trained_contender_there_is_nothing_to_compare(trained, make, one_board):
    floor = trained("floor", 3.0, role="floor", updates=7)
    assert sentence(one_board(trained("a"), make("b", 2.0), floor)) == []


def test_contenders_that_do_not_say_their_training_are_not_spoken_for(trained, one_board):
    known = [trained("a"), trained("b", 2.0)]
    unknown = trained("c", 3.0, elsewhere=True, sequences=None)
    assert sentence(one_board(*known, unknown))[0].startswith("Contenders whose training is known saw 32,000 sequences")
    assert sentence(one_board(known[0], unknown)) == []


def test_seeds_of_a_row_count_one_by_one(trained, one_board):
    seeds = [trained("a", weights=f"{seed}f" * 32, seed=seed, pace=0.1 + seed / 10) for seed in (0, 1)]
    board = one_board(*seeds, trained("b", 2.0))
    assert "a, 2 seeds" in [row.label for row in board.rows]
    assert sentence(board) == ["All trained contenders saw 32,000 sequences each, in 1.7 min to 3.3 min on Intel Xeon."]


def test_a_training_that_is_not_done_is_marked_and_has_not_had_its_budget(trained, one_board):
    timed = {"budget": "180s", "updates": 1800}
    board = one_board(trained("a", **timed), trained("b", 2.0, budget="180s", updates=900, total_updates=1800))
    text = RENDERERS["markdown"]([board])
    assert "28.8 k sequences (900 of 1,800 updates), 1.5 min, Intel Xeon |" in text
    assert "57.6 k sequences, 3 min, Intel Xeon  " in text
    assert sentence(board)[0].startswith("Contenders differ in training budget")


# --------------------------------------------------------------------------------------------------------------- curves


def test_the_tables_of_budget_curves_have_the_scores_at_shares_of_the_smallest_budget(trained, one_board):
    a = trained("a", psnrs=range(10, 20))  # 3.2 k .. 32 k sequences in 10 s .. 100 s
    b = trained("b", 2.0, updates=2000, psnrs=[15 + k / 2 for k in range(20)])
    found = tables(one_board(a, b))
    sequences, seconds = found.values()
    assert list(found) == [
        "Validation PSNR (dB) of balls 10→10, size=8 after so many sequences",
        "Validation PSNR (dB) of balls 10→10, size=8 after so much time on Intel Xeon",
    ]
    assert sequences["model"] == ["3.2 k", "8 k", "16 k", "32 k", "at its end"]
    assert seconds["model"] == ["10 s", "25 s", "50 s", "1.7 min", "at its end"]
    # 25 % is 250 updates, half way between two validations; the end of b is twice as far
    expected = {"a": ["10.00", "11.50", "14.00", "19.00", "19.00"], "b": ["15.00", "15.75", "17.00", "19.50", "24.50"]}
    for table in (sequences, seconds):
        assert {name: cells for name, cells in table.items() if name != "model"} == expected


def test_before_the_first_validation_there_is_no_score_and_equal_ends_are_told_once(trained, one_board):
    a = trained("a", updates=300, psnrs=(10, 11, 13))
    (table, _) = tables(one_board(a)).values()
    assert table == {"model": ["4.8 k", "9.6 k"], "a": ["10.50", "13.00"]}
    often = validations(range(10, 40), every=10)
    (table, _) = tables(one_board(a, trained("b", 2.0, updates=300, history=often))).values()
    assert table["model"] == ["960", "2.4 k", "4.8 k", "9.6 k"]
    assert table["a"] == ["–", "–", "10.50", "13.00"]
    assert table["b"] == ["12.00", "16.50", "24.00", "39.00"]


def test_weights_from_before_seconds_were_written_down_have_a_curve_over_sequences(trained, one_board):
    history = [{"update": 100 * k, "loss": 0.1, "val_mse": 0.1**k, "val_mse_first_10": 0.1} for k in (1, 2)]
    board = one_board(trained("a", updates=200, batch=8, history=history))
    (caption, table), *others = tables(board).items()
    assert "sequences" in caption
    assert not others
    assert table == {"model": ["800", "1.6 k"], "a": ["10.00", "20.00"]}
    told = json.loads(RENDERERS["json"]([board]))["boards"][0]["rows"][0]["training"]["history"]
    assert [(each["sequences"], each["seconds"]) for each in told] == [(800, None), (1600, None)]


def test_a_score_is_the_pooled_psnr_of_the_recorded_error(trained, one_board):
    history = validations([0])
    history[0]["val_mse"] = 0.0123456
    (table, _) = tables(one_board(trained("a", updates=100, history=history))).values()
    assert table["a"][-1] == f"{-10 * math.log10(0.0123456):.2f}"


def test_records_without_history_draw_nothing(trained, make, one_board):
    board = one_board(trained("a"), make("b", 2.0))
    for form in ("markdown", "latex"):
        assert "udget curves" not in RENDERERS[form]([board])
        assert "Validation PSNR" not in RENDERERS[form]([board])


@pytest.mark.parametrize("other", [{"horizon": 20}, {"context": 2}, {"dataset": DATA | {"config": {"size": 16}}}])
def test_what_was_validated_on_something_else_is_a_table_of_its_own(trained, one_board, other):
    found = tables(one_board(trained("a", psnrs=(10, 11)), trained("b", 2.0, psnrs=(12, 13), **other)))
    assert len(found) == 4
    assert [sorted(table) for table in found.values()] == [["a", "model"]] * 2 + [["b", "model"]] * 2


def test_seconds_of_different_devices_do_not_share_a_table(trained, one_board):
    found = tables(one_board(trained("a", psnrs=(10, 11)), trained("b", 2.0, psnrs=(12, 13), device=H100)))
    assert [caption.split(" after ")[1] for caption in found] == ["so many sequences"]


def test_every_seed_has_a_line(trained, one_board):
    seeds = [trained("a", weights=f"{seed}f" * 32, seed=seed, psnrs=(10 + seed, 12 + seed)) for seed in (0, 1)]
    table = next(iter(tables(one_board(*seeds)).values()))
    assert {name: cells[-1] for name, cells in table.items() if name != "model"} == {
        "a, trained with seed 0": "12.00",
        "a, trained with seed 1": "13.00",
    }


def test_a_curve_is_shown_with_the_first_board_that_has_it(trained):
    records = [trained("a", steps=horizon, psnrs=(10, 11)) for horizon in (10, 90)]
    sections = RENDERERS["markdown"](boards(records, {})[0]).split("\n### ")
    assert ["Validation PSNR" in section for section in sections] == [True, False]
    records.append(trained("b", steps=90, psnrs=(12, 13)))
    sections = RENDERERS["markdown"](boards(records, {})[0]).split("\n### ")
    assert ["Validation PSNR" in section for section in sections] == [True, True]


def test_the_caption_says_what_was_measured_and_what_a_point_on_the_way_is(trained, one_board):
    board = one_board(trained("a", psnrs=(10, 11)))
    text = RENDERERS["markdown"]([board])
    assert "a score on the way is below what a whole training of that length would reach." in text
    legend = "PSNR in dB during training, pooled over all clips and steps, measured on clips of the val split at the"
    assert f"- **budget curves**: {legend}" in text
    assert legend in RENDERERS["latex"]([board])


# ------------------------------------------------------------------------------------------------------------- machines


def test_json_and_csv_hold_the_whole_training(trained, one_board):
    record = trained("a", psnrs=(10, 11.5), total_updates=2000, seed=3)
    said = record.about["training"]
    board = one_board(record)
    (row,) = json.loads(RENDERERS["json"]([board]))["boards"][0]["rows"]
    for key in (
        "sequences",
        "seconds",
        "device",
        "threads",
        "seed",
        "updates",
        "total_updates",
        "batch_size",
        "budget",
    ):
        assert row["training"][key] == said[key]
    assert [list(each) for each in row["training"]["history"]] == [list(each) for each in said["history"]]
    for told, written in zip(row["training"]["history"], said["history"], strict=True):
        assert told == pytest.approx(written, rel=1e-5)
    first, *others = csv.DictReader(io.StringIO(RENDERERS["csv"]([board])))
    assert (first["training_seed"], first["training_updates"], first["training_total_updates"]) == ("3", "1000", "2000")
    told = json.loads(first["training_history"])
    assert told["sequences"] == [3200, 6400]
    assert told["val_mse"] == [each["val_mse"] for each in said["history"]]
    assert [line["training_history"] for line in others] == [""] * len(others)


ODD = [
    "long",
    {"update": 1},
    [None, 3, "x", [], {}],
    [{"update": 100, "val_mse": value} for value in (None, "x", -1.0, 0.0, True, 10**400, {})],
    [{"update": 10**308, "val_mse": 0.1}, {"sequences": 10**400, "val_mse": 0.1}],
    [
        {"sequences": 1e308, "seconds": 1e308, "val_mse": 1e-308},
        {"sequences": 1.7e308, "seconds": 1.7e308, "val_mse": 0.1},
    ],
    [{"sequences": -5, "val_mse": 0.1}, {"sequences": 0, "val_mse": 0.1}],
    [
        {"sequences": 9, "seconds": 9, "val_mse": 0.1},
        {"sequences": 9, "seconds": 8, "val_mse": 0.2},
        {"sequences": 10, "seconds": 1, "val_mse": 0.2},
    ],
]


@pytest.mark.parametrize("history", ODD, ids=range(len(ODD)))
def test_whatever_a_history_holds_a_board_can_be_written(history, trained, one_board):
    board = one_board(trained("odd", history=history), trained("b", 2.0, psnrs=(10, 11)))
    assert all("odd" in renderer([board]) for renderer in RENDERERS.values())
    assert "nan" not in RENDERERS["text"]([board])


@pytest.mark.parametrize("odd", [None, [], "x", 10**400, -1, {"name": ["n"], "config": {"a|b": "<i>"}}], ids=range(6))
def test_whatever_a_training_says_of_itself_a_board_can_be_written(odd, trained, one_board):
    for key in training():
        record = trained("odd", psnrs=(10, 11))
        record.about["training"][key] = odd
        board = one_board(record, trained("b", 2.0, psnrs=(10, 11)))
        assert all("odd" in renderer([board]) for renderer in RENDERERS.values()), key
        assert "<i>" not in RENDERERS["markdown"]([board])


def test_points_that_do_not_go_on_are_left_out(trained, one_board):
    history = validations((10, 11, 12))
    board = one_board(trained("a", updates=300, history=[history[0], *history, history[1]]))
    assert tables(board) == tables(one_board(trained("a", updates=300, history=history)))


def test_a_budget_that_is_no_time_is_not_taken_for_one(trained, one_board):
    record = trained("a", updates=1800, budget="180s")
    other = trained("b", 2.0, updates=100, budget="180s" * 2)
    assert sentence(one_board(record, other))[0].startswith("Contenders differ in training budget")
