"""Boards from real files: what is compared, what is ranked, and how it is written down."""

import io
import json
import math
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from vpbench.errors import RecordError, UsageError
from vpbench.leaderboard import END, RENDERERS, START, boards, frame, is_stale, render, update_between_markers
from vpbench.results import Record, cell_id, encode, identity_of, iter_records, write_record
from vpbench.stats import interval, paired_test, ranks

GOLDEN = Path(__file__).parent / "data" / "results" / "v1"
N = 40


def psnr(means):
    return -10 * np.log10(means["squared_error"])


def ssim(means):
    return means["ssim"]


SCORERS = {"psnr-pooled": psnr, "ssim": ssim}
CLIPS = np.random.default_rng(0).lognormal(-3, 0.4, 200)  # how hard each clip is, for every model


def make(
    name,
    level=1.0,
    *,
    n=N,
    horizon=10,
    seed=0,
    config=None,
    version="1",
    weights=None,
    dtype="float32",
    dataset=None,
    split="test",
    metric_version="1",
    convention="vpbench",
    scorers=("psnr-pooled", "ssim"),
    value=None,
    cost=None,
    machine=None,
    **about,
):
    """A record of a model with about `level` times the usual error."""
    noise = np.random.default_rng([*name.encode(), seed, horizon])
    error = (CLIPS * level * noise.lognormal(0, 0.05, len(CLIPS)))[:n]
    error = np.array([float(f"{x:.6g}") for x in error])
    statistics = {"d/squared_error": error, "d/ssim": 1 - 4 * error}
    scores = {}
    for metric, key in (("psnr-pooled", "squared_error"), ("ssim", "ssim")):
        if metric not in scorers:
            continue
        found = interval({key: statistics[f"d/{key}"]}, SCORERS[metric])
        scores[metric] = {
            "version": metric_version,
            "definition": f"{metric} as we\n define it.",
            "unit": "dB" if metric == "psnr-pooled" else "",
            "convention": convention,
            "higher_is_better": True,
            "distribution": "d",
            "statistics": [f"d/{key}"],
            "value": found.value if value is None else value,
            "low": found.low,
            "high": found.high,
            "n": n,
            "per_step": [],
            "per_step_stderr": [],
        }
    identity = identity_of(
        model={"name": name, "version": version, "config": config or {}, "weights_sha256": weights},
        dataset=dataset or {"name": "balls", "version": "1", "config": {}, "fingerprint": "f00d"},
        split=split,
        task={"kind": "extrapolate", "context": 10, "horizon": horizon},
        clips=n,
        seed=seed,
        dtype=dtype,
    )
    return Record(
        identity=identity,
        status="ok",
        about={"role": "contender", "learns": "nothing", "trained": False} | about,
        scores=scores,
        statistics=statistics,
        cost={"frames_per_s": 1234.5, "parameters": 0} if cost is None else cost,
        machine={"device": "cpu", "device_name": "Quiet CPU"} if machine is None else machine,
        started="2025-01-01T00:00:00Z",
        finished="2025-01-01T00:00:01Z",
    )


def failed(name, status="failed", message="no answer", **changes):
    reason = {"phase": "predict", "type": "ModelFailed", "message": message}
    return replace(make(name, **changes), status=status, reason=reason, scores={}, statistics={})


def one_board(*records, scorers=SCORERS, **options):
    (board,), problems = boards(records, scorers, **options)
    assert problems == []
    return board


def labels(board):
    return [row.label for row in board.rows]


def write(folder, *records):
    for record in records:
        write_record(folder, record)
    return folder


def score(row, metric="psnr-pooled"):
    (found,) = [value for column, value in row.scores.items() if column.metric == metric]
    return found


# ---------------------------------------------------------------------------------------------------- what is compared


def test_a_board_is_one_dataset_split_and_task():
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
    assert [
        len(board.rows) for board in found if board.subtitle.endswith("f00d") and "version 1," in board.subtitle
    ] == [
        *(1, 2, 1, 1),
    ]
    same = [board for board in found if board.dataset == records[0].dataset and board.split == "test"]
    assert [board.task["horizon"] for board in same] == [5, 10, 90]
    assert len({board.subtitle + board.title for board in found}) == 7


def test_rows_are_compared_on_the_clips_they_all_have():
    long, short = make("long", 1.0, n=60), make("short", 1.1, n=25)
    board = one_board(long, short)
    assert board.n == 25
    expected = interval({"squared_error": np.array(long.statistics["d/squared_error"][:25])}, psnr)
    assert score(board.rows[0]) == expected
    assert score(board.rows[1]).value == pytest.approx(short.scores["psnr-pooled"]["value"])
    assert board.remarks[0] == (
        "Compared on the first 25 clips, which all rows have: short has no more (others up to 60)."
    )


def test_ranks_are_those_of_the_common_clips():
    records = [make("a", 1.0, n=60), make("b", 1.01, n=30), make("c", 2.0, n=60), make("d", 1.0, n=45)]
    board = one_board(*records)
    rows = [{"squared_error": np.array(row.record.statistics["d/squared_error"][:30])} for row in board.rows]
    assert tuple(row.rank for row in board.rows) == ranks(rows, psnr, higher_is_better=True).ranks
    assert board.rows[-1].label == "c"
    assert board.rows[-1].rank == 4


def test_a_smaller_run_of_the_same_cell_does_not_shrink_the_board():
    board = one_board(make("a", n=40), make("a", n=4), make("b", 2.0, n=40))
    assert board.n == 40
    assert labels(board) == ["a", "b"]


def test_missing_values_are_left_out_of_a_score():
    record = make("a")
    values = [None if i < 5 else value for i, value in enumerate(record.statistics["d/squared_error"])]
    value = float(psnr({"squared_error": np.mean(values[5:])}))
    scores = {"psnr-pooled": record.scores["psnr-pooled"] | {"value": value}}
    board = one_board(replace(record, statistics={"d/squared_error": values}, scores=scores), make("b"))
    assert score(board.rows[labels(board).index("a")]).value == pytest.approx(value)
    assert board.n == N


def test_one_definition_is_one_column_and_others_are_never_ranked_with_it():
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
    assert "Without rank, because psnr-pooled is by another definition than in other rows: c, d." in board.remarks
    text = RENDERERS["text"]([board])
    assert "psnr-pooled openstl v1 [dB] ↑" in text or "psnr-pooled openstl [dB] ↑" in text
    assert "psnr-pooled vpbench v2 [dB] ↑" in text


def test_without_a_scorer_recorded_values_stand_only_for_the_same_clips():
    board = one_board(make("a", n=30), make("b", n=40), scorers={"psnr-pooled": psnr})
    by_label = {row.label: row for row in board.rows}
    assert score(by_label["a"], "ssim").value == by_label["a"].record.scores["ssim"]["value"]
    assert not [column for column in by_label["b"].scores if column.metric == "ssim"]
    assert by_label["a"].rank == 1


def test_without_a_scorer_for_the_ranking_metric_nothing_is_ranked():
    board = one_board(make("a"), make("b", 2.0), scorers={})
    assert [row.rank for row in board.rows] == [None, None]
    assert labels(board) == ["a", "b"]
    assert "The metric psnr-pooled is not installed here: values as recorded, no ranks." in board.remarks


def test_a_value_that_its_statistics_do_not_give_is_left_out_and_reported(tmp_path):
    """Edited by hand, or by another definition than the installed one: either way not to be trusted."""
    write(tmp_path, make("honest", 2.0), make("liar", 1.9, value=99.0, scorers=("psnr-pooled",)))
    records, _ = iter_records(tmp_path)
    (board,), problems = boards(records, SCORERS)
    assert {row.label: row.rank for row in board.rows} == {"honest": 1, "liar": None}
    (problem,) = problems
    assert isinstance(problem, RecordError)
    assert re.search(r"liar.*psnr-pooled version 1 is recorded as 99, but its statistics give 1\d\.\d+", str(problem))


def test_a_score_function_that_fails_costs_its_own_scores():
    def broken(means):
        raise KeyError("squared_error_sum")

    (board,), problems = boards([make("a"), make("b")], {"psnr-pooled": psnr, "ssim": broken})
    assert [len(row.scores) for row in board.rows] == [1, 1]
    assert all("ssim version 1: KeyError" in str(problem) for problem in problems)
    assert len(problems) == 2


def test_score_functions_see_bare_names_and_any_shape():
    shapes = set()

    def watching(means):
        assert set(means) == {"squared_error"}
        shapes.add(means["squared_error"].ndim)
        return psnr(means)

    one_board(make("a"), make("b"), scorers={"psnr-pooled": watching, "ssim": ssim})
    assert shapes == {1, 2}


def test_rank_by_another_metric_and_lower_is_better():
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
    assert "ssim ↓" in RENDERERS["text"]([board])


def test_a_metric_that_nobody_has_is_a_usage_error():
    with pytest.raises(UsageError, match="no record holds the metric 'fvd'; there is: psnr-pooled, ssim"):
        boards([make("a")], SCORERS, metric="fvd")


def test_a_board_without_the_ranking_metric_says_so():
    found, _ = boards([make("a", scorers=("ssim",)), make("b", horizon=90)], SCORERS, metric="psnr-pooled")
    assert found[0].ranking is None
    assert "No row has psnr-pooled, so there are no ranks." in found[0].remarks


def test_a_board_without_the_default_metric_is_ranked_by_its_first():
    board = one_board(make("a", scorers=("ssim",)), make("b", 2.0, scorers=("ssim",)))
    assert (board.metric, board.ranking.metric) == ("ssim", "ssim")
    assert [row.rank for row in board.rows] == [1, 2]
    assert "significantly better in ssim:" in RENDERERS["markdown"]([board])


def test_horizons_can_be_chosen(tmp_path):
    write(tmp_path, make("a", horizon=5), make("a", horizon=10), make("a", horizon=90))
    text = render(tmp_path, SCORERS, horizons=[90, 5]).text
    assert re.findall(r"^### balls, (.*)$", text, re.MULTILINE) == ["10→5", "10→90"]
    with pytest.raises(UsageError, match="no record has horizon 7; there is: 5, 10, 90"):
        render(tmp_path, SCORERS, horizons=[7])


# ------------------------------------------------------------------------------------------- floors, ceilings, failures


def test_contenders_below_the_best_floor_are_marked():
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
    text = RENDERERS["markdown"]([board])
    assert "| poor ▼ below floor " in text
    assert "| train-mean (floor) " in text
    assert "- **▼ below floor**: a lower place in psnr-pooled" in text


def test_a_ceiling_comes_first_and_takes_no_rank():
    board = one_board(make("a"), make("bayes", 0.2, role="ceiling"), make("b", 2.0))
    assert [(row.label, row.rank) for row in board.rows] == [("bayes", None), ("a", 1), ("b", 2)]


def test_headroom_is_the_share_of_the_way_in_mean_squared_error():
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
    assert "headroom [%] ↑" in RENDERERS["text"]([board])
    without = one_board(make("black", 2.0, role="floor"), make("a"))
    assert "headroom" not in RENDERERS["markdown"]([without])


def test_failed_and_skipped_cells_are_one_line_each():
    board = one_board(make("a"), failed("m", message="line one\nline | two"), failed("l", status="skipped"))
    assert labels(board) == ["a"]
    text = RENDERERS["markdown"]([board])
    assert (
        "Without a result:\n\n"
        "- l: skipped in predict (ModelFailed): no answer\n"
        "- m: failed in predict (ModelFailed): line one line \\| two\n"
    ) in text


def test_a_group_where_all_failed_is_still_reported():
    board = one_board(failed("m"))
    assert (board.rows, board.n) == ((), 0)
    for name in ("markdown", "text", "latex"):
        assert "m: failed in predict (ModelFailed): no answer" in RENDERERS[name]([board])
    assert frame([board])["reason"].tolist() == ["m: failed in predict (ModelFailed): no answer"]


def test_one_clip_has_a_value_without_interval():
    board = one_board(make("a", n=1), make("b", 2.0, n=1))
    assert [row.rank for row in board.rows] == [1, 1]
    assert math.isnan(score(board.rows[0]).low)
    assert "±" not in RENDERERS["text"]([board])


# ------------------------------------------------------------------------------------------------------ labels, notes


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([make("a"), make("b", seed=3)], {"a", "b"}),
        ([make("a"), make("a", seed=3)], {"a, seed 0", "a, seed 3"}),
        ([make("a"), make("a", dtype="bfloat16")], {"a, float32", "a, bfloat16"}),
        ([make("a", version="1"), make("a", version="2")], {"a, version 1", "a, version 2"}),
        (
            [make("a", config={"k": 1, "z": 0}), make("a", config={"k": 2, "z": 0}), make("b", config={"k": 3})],
            {"a, k=1", "a, k=2", "b"},
        ),
        (
            [make("a"), make("a", config={"k": 2}), make("a", config={"k": 2}, seed=1)],
            {"a", "a, k=2, seed 0", "a, k=2, seed 1"},
        ),
        ([make("a", weights="ab" * 32), make("a", weights="cd" * 32)], {"a, weights abababab", "a, weights cdcdcdcd"}),
    ],
)
def test_labels_say_what_tells_rows_apart_and_no_more(records, expected):
    assert set(labels(one_board(*records))) == expected


def test_several_folders_are_one_board_labelled_by_folder(tmp_path):
    committed, mine = tmp_path / "results", tmp_path / "runs"
    write(committed, make("a", n=40), make("b", 2.0, n=40))
    write(mine, make("a", n=12), make("new", 0.5, n=12))
    rendered = render([committed, mine], SCORERS, format="csv")
    assert rendered.problems == []
    table = pd.read_csv(io.StringIO(rendered.text))
    assert set(table["label"]) == {"a, in results", "a, in runs", "b", "new"}
    assert set(table["n"]) == {12}
    same = table[(table.metric == "psnr-pooled") & (table.model == "a")]
    assert same["value"].nunique() == 1  # the same cell on the same clips
    assert same["rank"].nunique() == 1
    assert dict(zip(table["label"], table["source"], strict=True))["new"] == "runs"


def test_folders_of_one_name_are_told_apart(tmp_path):
    for folder in ("x/results", "y/results"):
        write(tmp_path / folder, make("a"))
    text = render([tmp_path / "x/results", tmp_path / "y/results"], SCORERS).text
    assert "a, in x/results" in text
    assert "a, in y/results" in text
    assert text.count("| a") == 2
    assert render([tmp_path / "x/results"] * 2, SCORERS).text.count("| a ") == 1


def test_what_a_model_is_told_is_a_footnote_and_what_holds_for_all_is_said_once():
    caveat = "digits may be shared with training"
    board = one_board(
        make("a", caveat=caveat, assumptions="knows the speed"),
        make("b", 2.0, caveat=caveat),
        make("c", 3.0, caveat=caveat, assumptions="knows the speed."),
    )
    assert board.footnotes == ("Knows the speed.",)
    assert [row.notes for row in board.rows] == [(1,), (), (1,)]
    assert board.remarks[-1] == "Digits may be shared with training."
    text = RENDERERS["markdown"]([board])
    assert "| a<sup>1</sup> |" in text
    assert "<sup>1</sup> Knows the speed.  \n" in text


def test_what_the_interval_covers_is_said_under_each_board():
    assert (
        one_board(make("a"), make("b", seed=5)).remarks[0].startswith("One seed per model: intervals cover the choice")
    )
    assert one_board(make("a"), make("a", seed=5)).remarks[0].startswith("Every seed is a row of its own")


def test_training_says_how_much_and_untrained_weights_are_marked():
    training = {"sequences": 1_280_000, "seconds": 5400.0, "device": "H100", "updates": 40000}
    board = one_board(
        make("a", 1.0, learns="weights", trained=True, training=training, cost={"parameters": 12_345_678}),
        make("b", 2.0, learns="weights"),
        make("c", 3.0, learns="statistics", cost={"fit_s": 100.0, "frames_per_s": 7.25}),
        make("d", 4.0),
    )
    lines = RENDERERS["text"]([board]).splitlines()[5:9]
    assert re.search(r"a +12\.3 M +1\.28 M sequences, 1\.5 h, H100 ", lines[0])
    assert re.search(r"b +0 +untrained ", lines[1])
    assert re.search(r"c +– +fitted in 1\.67 min .* 7\.25$", lines[2])
    assert re.search(r"d +0 +– ", lines[3])


@pytest.mark.parametrize(
    ("parameters", "seconds", "expected"),
    [
        (999, 89, "999 89 s"),
        (999_999, 90, "1 M 1.5 min"),
        (1_834_625, 5399, "1.83 M 90 min"),
        (7_000_000_000, 36_000_000, "7 G 10000 h"),
    ],
)
def test_large_numbers_are_short(parameters, seconds, expected):
    training = {"seconds": seconds}
    about = {"learns": "weights", "trained": True, "training": training}
    text = RENDERERS["text"]([one_board(make("a", cost={"parameters": parameters}, **about))])
    assert f" a {expected} " in " ".join(text.split())


def test_devices_are_named_once_or_where_they_differ():
    same = RENDERERS["text"]([one_board(make("a"), make("b"))])
    assert same.count("Quiet CPU") == 1
    mixed = RENDERERS["text"]([one_board(make("a"), make("b", machine={"device": "cuda:0"}))])
    assert "1.23 k, cuda:0" in mixed
    assert "1.23 k, Quiet CPU" in mixed


# ----------------------------------------------------------------------------------------------------------- rendering


def test_values_are_shown_with_the_digits_their_interval_deserves():
    board = one_board(make("a"), make("b", 2.0))
    value, low, high = score(board.rows[0])
    half = (high - low) / 2
    shown = re.search(r"(\d+\.\d+) ±(\d+\.\d+)", RENDERERS["text"]([board]))
    assert float(shown[1]) == pytest.approx(value, abs=0.5 * 10 ** -len(shown[1].split(".")[1]))
    assert float(shown[2]) == pytest.approx(half, rel=0.1)
    assert len(shown[1].split(".")[1]) == len(shown[2].split(".")[1]) <= 2


def some_records():
    training = {"sequences": 1000, "seconds": 10, "device": "H100"}
    return [
        make("black", 3.0, role="floor"),
        make("bayes", 0.2, role="ceiling", assumptions="knows the generator"),
        make("a", 1.0, learns="weights", trained=True, training=training),
        make("b", 1.001, seed=1),
        make("b", 1.001, seed=2, n=35),
        make("b", 5.0, horizon=90),
        make("c", 2.0, metric_version="2"),
        failed("m"),
        failed("l", status="skipped", horizon=90),
    ]


@pytest.mark.parametrize("form", RENDERERS)
def test_the_same_records_give_the_same_bytes_whatever_the_order(form):
    records = some_records()
    expected = RENDERERS[form](boards(records, SCORERS)[0])
    for seed in range(3):
        random.Random(seed).shuffle(records)
        assert RENDERERS[form](boards(records, SCORERS)[0]) == expected


def test_the_same_files_give_the_same_bytes_in_another_process_and_folder(tmp_path):
    one, two = write(tmp_path / "1" / "results", *some_records()), tmp_path / "2" / "results"
    write(two, *reversed(some_records()))
    code = (
        "import sys, numpy as np; from vpbench.leaderboard import render;"
        "S = {'psnr-pooled': lambda m: -10 * np.log10(m['squared_error']), 'ssim': lambda m: m['ssim']};"
        "sys.stdout.buffer.write(render(sys.argv[1], S).text.encode())"
    )
    there = subprocess.run([sys.executable, "-c", code, str(two)], capture_output=True, check=True).stdout
    assert there.decode() == render(one, SCORERS).text


def test_markdown_of_the_frozen_records_reads_as_it_should():
    rendered = render(GOLDEN, SCORERS)
    assert rendered.problems == []
    assert rendered.text == (GOLDEN / "board.md").read_text(encoding="utf-8")


def test_markdown_cells_cannot_break_the_table():
    record = make("a", config={"note": "x | y * [z](w) <!-- /vpbench:leaderboard -->"})
    other = make("a", config={"note": "`plain`"})
    text = RENDERERS["markdown"]([one_board(record, other)])
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert "<!--" not in text
    assert r"x \| y \* \[z](w) &lt;!-- /vpbench:leaderboard --&gt;" in text


def test_latex_special_characters_are_escaped():
    record = make("a", config={"note": r"100% of $x_1^2 & {#~\}"})
    text = RENDERERS["latex"]([one_board(record, make("a", 2.0, assumptions="told 50% & more"))])
    assert r"note=100\% of \$x\_1\textasciicircum{}2 \& \{\#\textasciitilde{}\textbackslash{}\}" in text
    assert r"\textsuperscript{1} Told 50\% \& more." in text
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {6}
    assert r"psnr-pooled [dB] $\uparrow$" in text
    assert all(text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") for name in ("table", "tabular"))


def test_csv_is_one_line_per_record_and_metric_with_all_digits():
    records = [make("a", cost={"parameters": 1_834_625}), make("b", 2.0), failed("m")]
    table = pd.read_csv(io.StringIO(RENDERERS["csv"]([one_board(*records)])))
    assert len(table) == 2 * 2 + 1
    first = table.iloc[0]
    expected = interval({"squared_error": np.array(records[0].statistics["d/squared_error"])}, psnr)
    assert (first["value"], first["low"], first["high"]) == pytest.approx(expected, rel=1e-5)
    assert first["low"] < first["value"] < first["high"]
    assert (first["n"], first["rank"], first["version"], first["metric"]) == (N, 1, 1, "psnr-pooled")
    assert (first["parameters"], first["cell"]) == (1_834_625, records[0].cell)
    assert table.iloc[-1]["status"] == "failed"
    assert table.iloc[-1]["reason"].startswith("m: failed")


def test_the_legend_defines_every_metric_once():
    found, _ = boards(some_records(), SCORERS)
    text = RENDERERS["markdown"](found)
    assert text.count("- **ssim**: ssim as we define it (version 1, convention vpbench, d).") == 1
    assert text.count("- **ssim**: ssim as we define it (version 2, convention vpbench, d).") == 1
    assert text.count("What the columns mean:") == 1


def test_an_unknown_format_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no format 'pdf'; there is: markdown, text, csv, latex"):
        render(tmp_path, SCORERS, format="pdf")


# ------------------------------------------------------------------------------------------------------ damaged folders


def test_a_record_cut_in_half_does_not_stop_a_board(tmp_path):
    write(tmp_path, make("a"), make("b"))
    cut = write_record(tmp_path, make("c"))
    cut.write_text(cut.read_text()[:500])
    rendered = render(tmp_path, SCORERS)
    assert "| a " in rendered.text
    assert "| c " not in rendered.text
    assert [str(cut) in str(problem) for problem in rendered.problems] == [True]


def test_a_folder_without_records_is_not_an_error(tmp_path):
    assert render(tmp_path / "none", SCORERS) == (f"No records in {tmp_path / 'none'}.\n", [])
    (tmp_path / "d" / "m").mkdir(parents=True)
    (tmp_path / "d" / "m" / "x.json").write_text("{")
    assert len(render(tmp_path, SCORERS).problems) == 1


@pytest.mark.parametrize("form", RENDERERS)
@pytest.mark.parametrize(
    "about",
    [
        {},
        {"training": "long", "trained": True, "learns": "weights"},
        {"training": {"sequences": "many", "seconds": None}},
        {"role": None, "caveat": 7},
    ],
)
def test_odd_observations_do_not_stop_a_board(form, about):
    """Only identity and scores are checked when read; the rest is for people."""
    odd = replace(make("a", cost={"parameters": "?", "frames_per_s": None}, machine={"x": 1}), about=about)
    assert Record.from_dict(odd.to_dict())
    assert RENDERERS[form]([one_board(odd, make("b"))])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-1, 1) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


FUZZED = make("a", n=6, learns="weights", trained=True, training={"sequences": 1, "seconds": 2.0, "device": "x"})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_can_be_read_can_be_shown(data):
    """Any value of any key of a record, but for those that reading refuses."""
    document = json.loads(encode(FUZZED))
    node, path = document, []
    while isinstance(node, dict) and node and (not path or data.draw(st.integers(0, 3))):
        key = data.draw(st.sampled_from(sorted(node)))
        path.append((node, key))
        node = node[key]
    parent, key = path[-1]
    parent[key] = data.draw(JSON)
    assume(isinstance(document["identity"], dict))
    document["cell"] = cell_id(document["identity"])
    try:
        record = Record.from_dict(document)
    except RecordError:
        return
    shown, _ = boards([record, make("b", n=6), make("c", n=6, seed=1, config={"k": 1})], SCORERS)
    for renderer in RENDERERS.values():
        assert renderer(shown)


def test_any_statistic_of_nothing_is_a_dash(tmp_path):
    record = make("a")
    nothing = {name: [None] * N for name in record.statistics}
    scores = {name: s | {"value": None, "low": None, "high": None} for name, s in record.scores.items()}
    board = one_board(replace(record, statistics=nothing, scores=scores), make("b"))
    assert {row.label: row.rank for row in board.rows} == {"a": None, "b": 1}
    assert re.search(r"– +a .* – +– ", RENDERERS["text"]([board]))


# ------------------------------------------------------------------------------------------------------------- markers


def test_a_board_goes_between_the_markers_and_nowhere_else():
    text = f"# Title\n\n{START}\nold\n{END}\n\nThe end.\n"
    new = update_between_markers(text, "new board\n")
    assert new == f"# Title\n\n{START}\nnew board\n{END}\n\nThe end.\n"
    assert is_stale(text, "new board\n")
    assert not is_stale(new, "new board\n")
    assert update_between_markers(new, "new board\n") == new
    assert update_between_markers(f"{START}{END}", "x") == f"{START}\nx\n{END}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nothing", f"{START} must be there once, found 0 times"),
        (f"{START} alone", f"{END} must be there once, found 0 times"),
        (f"{START}{END}{START}{END}", f"{START} must be there once, found 2 times"),
        (f"{END}{START}", f"{END} must come after"),
    ],
)
def test_missing_markers_are_named(text, why):
    with pytest.raises(UsageError, match=re.escape(why)):
        update_between_markers(text, "board")
    with pytest.raises(UsageError):
        is_stale(text, "board")


# ------------------------------------------------------------------------------------------------------------- imports


def test_a_board_needs_no_torch_and_markdown_no_pandas():
    code = (
        "import sys; from vpbench.leaderboard import render;"
        f"render({str(GOLDEN)!r}, {{}});"
        "print([m for m in ('torch', 'pandas', 'vpbench.registry') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_rows_that_a_paired_test_cannot_tell_apart_share_a_rank():
    a, b = make("a", 1.0), make("b", 1.001)
    board = one_board(a, b, make("c", 3.0))
    p = paired_test(
        {"squared_error": np.array(a.statistics["d/squared_error"])},
        {"squared_error": np.array(b.statistics["d/squared_error"])},
        psnr,
    ).p
    assert p > 0.05
    assert [row.rank for row in board.rows] == [1, 1, 3]


def test_making_a_board_does_not_change_the_records():
    records = some_records()
    before = [encode(record) for record in records]
    boards(records, SCORERS)
    assert [encode(record) for record in records] == before
