"""How boards are written down: from real files, in every form, and between markers."""

import csv
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
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from vpbench.cli import main
from vpbench.comparison import boards
from vpbench.errors import ExitCode, RecordError, UsageError
from vpbench.leaderboard import END, RENDERERS, START, render, update_between_markers
from vpbench.protocols import Score
from vpbench.results import Record, cell_id, encode, write_record
from vpbench.stats import interval

GOLDEN = Path(__file__).parents[1] / "data" / "results" / "v1"
BOARD = Path(__file__).with_name("v1.md")
N = 40


def psnr(means):
    return -10 * np.log10(means["squared_error"])


def ssim(means):
    return means["ssim"]


SCORERS = {"psnr-pooled": psnr, "ssim": ssim}


def read_csv(text):
    return list(csv.DictReader(io.StringIO(text)))


def trainings(board):
    """The last column by model."""
    table = [line.split("|")[2:-1] for line in RENDERERS["markdown"]([board]).splitlines() if line.startswith("|")]
    return {cells[0].strip(): cells[-1].strip() for cells in table[2:]}


# ---------------------------------------------------------------------------------------------------- what a table says


def test_a_header_says_the_unit_the_direction_and_what_tells_definitions_apart(make, one_board):
    lower = make("e")
    lower.scores["ssim"]["higher_is_better"] = False
    records = [make("a"), make("b", 2.0), make("c", metric_version="2"), make("d", convention="openstl"), lower]
    text = RENDERERS["text"]([one_board(*records)])
    for header in ("psnr-pooled openstl (dB) ↑", "psnr-pooled vpbench v1 (dB) ↑", "psnr-pooled vpbench v2 (dB) ↑"):
        assert header in text, text
    assert "ssim vpbench v1 ↓" in text


def test_floors_and_what_is_below_them_are_marked(make, one_board):
    text = RENDERERS["markdown"]([one_board(make("train-mean", 1.5, role="floor"), make("poor", 2.0))])
    assert "| poor ▼ below floor " in text
    assert "| train-mean (floor) " in text
    assert (
        "- **▼ below floor**: significantly worse in psnr-pooled than the best floor, by the test of the ranks.\n"
    ) in text
    assert "not above floor" not in text


def test_what_no_test_tells_from_the_floor_is_marked_as_such(make, one_board):
    board = one_board(make("train-mean", 1.0, role="floor"), make("like-it", 1.001), make("good", 0.5))
    text = RENDERERS["markdown"]([board])
    assert "| like-it ▽ not above floor " in text
    assert "| good  " in text
    assert "- **▽ not above floor**: not significantly better in psnr-pooled than the best floor, nor" in text
    assert "below floor" not in text
    assert r"like-it $\triangledown$ not above floor" in RENDERERS["latex"]([board])


def test_headroom_is_a_column_where_there_is_a_floor_and_a_ceiling(make, one_board):
    floor, ceiling = make("black", 2.0, role="floor"), make("bayes", 0.5, role="ceiling")
    assert "headroom (%) ↑" in RENDERERS["text"]([one_board(floor, ceiling, make("a"))])
    assert "headroom" not in RENDERERS["markdown"]([one_board(floor, make("a"))])


def test_the_legend_names_the_metric_that_ranks(make, one_board):
    board = one_board(make("a", scorers=("ssim",)), make("b", 2.0, scorers=("ssim",)))
    assert "significantly better in ssim (" in RENDERERS["markdown"]([board])


def test_titles_tell_boards_apart(make):
    data = {"name": "balls", "version": "1", "config": {}, "fingerprint": "beef"}
    others = [{}, {"version": "2"}, {"config": {"digits": 3}}, {"fingerprint": "f00d"}]
    found, _ = boards([make("a", dataset=data | other) for other in others] + [make("a", horizon=5)], SCORERS)
    headings = [text.split("\n\n")[:2] for text in RENDERERS["markdown"](found).split("### ")[1:]]
    assert len({tuple(heading) for heading in headings}) == 5
    assert ["balls, 10→10", "40 clips of the test split; version 1, digits=3, fingerprint beef."] in headings


def test_horizons_can_be_chosen(tmp_path, make, write):
    write(tmp_path, make("a", horizon=5), make("a", horizon=10), make("a", horizon=90))
    text = render(tmp_path, SCORERS, horizons=[90, 5]).text
    assert re.findall(r"^### balls, (.*)$", text, re.MULTILINE) == ["10→5", "10→90"]
    with pytest.raises(UsageError, match="no record has horizon 7; there is: 5, 10, 90"):
        render(tmp_path, SCORERS, horizons=[7])


def test_failed_and_skipped_cells_are_one_line_each(make, failed, one_board, labels):
    board = one_board(make("a"), failed("m", message="line one\nline | two"), failed("l", status="skipped"))
    assert labels(board) == ["a"]
    text = RENDERERS["markdown"]([board])
    assert (
        "Without a result:\n\n"
        "- l: skipped in predict (ModelFailed): no answer\n"
        "- m: failed in predict (ModelFailed): line one line \\| two\n"
    ) in text


def test_a_group_where_all_failed_is_still_reported(failed, one_board):
    board = one_board(failed("m"))
    assert (board.rows, board.n) == ((), 0)
    for name in ("markdown", "text", "latex"):
        assert "m: failed in predict (ModelFailed): no answer" in RENDERERS[name]([board])
    (line,) = read_csv(RENDERERS["csv"]([board]))
    assert line["reason"] == "m: failed in predict (ModelFailed): no answer"


def test_one_clip_has_a_value_without_interval(make, one_board, score):
    board = one_board(make("a", n=1), make("b", 2.0, n=1))
    assert [row.rank for row in board.rows] == [1, 1]
    assert math.isnan(score(board.rows[0]).low)
    assert "±" not in RENDERERS["text"]([board])


def test_several_folders_are_one_board_labelled_by_folder(tmp_path, make, write):
    committed, mine = tmp_path / "results", tmp_path / "runs"
    write(committed, make("a", n=40), make("b", 2.0, n=40))
    write(mine, make("a", n=12), make("new", 0.5, n=12))
    rendered = render([committed, mine], SCORERS, format="csv")
    assert rendered.problems == []
    table = read_csv(rendered.text)
    assert {line["label"] for line in table} == {"a, in results", "a, in runs", "b", "new"}
    assert {line["n"] for line in table} == {"12"}
    same = [line for line in table if line["metric"] == "psnr-pooled" and line["model"] == "a"]
    assert len({(line["value"], line["rank"]) for line in same}) == 1  # the same cell on the same clips
    assert {line["source"] for line in table if line["label"] == "new"} == {"runs"}


def test_folders_of_one_name_are_told_apart(tmp_path, make, write):
    for folder in ("x/results", "y/results"):
        write(tmp_path / folder, make("a"))
    text = render([tmp_path / "x/results", tmp_path / "y/results"], SCORERS).text
    assert "a, in x/results" in text
    assert "a, in y/results" in text
    assert text.count("| a") == 2
    assert render([tmp_path / "x/results"] * 2, SCORERS).text.count("| a ") == 1


def test_what_a_model_is_told_is_a_footnote_and_what_holds_for_all_is_said_once(make, one_board):
    caveat = "digits may be shared with training"
    board = one_board(
        make("a", caveat=caveat, assumptions="knows the speed"),
        make("b", 2.0, caveat=caveat),
        make("c", 3.0, caveat=caveat, assumptions="knows the speed."),
    )
    text = RENDERERS["markdown"]([board])
    assert re.findall(r"\| ([abc])(<sup>.*?</sup>)? +\|", text) == [
        ("a", "<sup>1</sup>"),
        ("b", ""),
        ("c", "<sup>1</sup>"),
    ]
    assert re.findall(r"^<sup>.*", text, re.MULTILINE) == ["<sup>1</sup> Knows the speed.  "]
    assert text.count("Digits may be shared with training.") == 1


def test_training_says_how_much_and_untrained_weights_are_marked(make, one_board):
    training = {"sequences": 1_280_000, "seconds": 5400.0, "device": "H100", "updates": 40000}
    on_cpu = {"updates": 5000, "batch_size": 32, "sequences": 160_000, "seconds": 4712.3, "threads": 1, "seed": 0}
    on_cpu |= {"device": "Intel(R) Xeon(R) Processor @ 2.20GHz", "precision": "float32", "dataset": "balls"}
    board = one_board(
        make("a", 1.0, learns="weights", trained=True, training=training, cost={"parameters": 12_345_678}),
        make("b", 2.0, learns="weights"),
        make("c", 3.0, learns="statistics", cost={"fit_s": 100.0, "frames_per_s": 7.25}),
        make("d", 4.0),
        make("e", 5.0, trained=True),  # as a run records it: there is nothing left to train
        make("f", 6.0, learns="weights", trained=True, training=on_cpu),
        make("g", 7.0, learns="weights", trained=True),
    )
    assert trainings(board) == {
        "a": "1.28 M sequences, 1.5 h, H100",
        "b": "untrained",
        "c": "fitted in 1.7 min",
        "d": "–",
        "e": "–",
        "f": "160 k sequences, 1.3 h, Intel Xeon",
        "g": "trained",
    }


@pytest.mark.parametrize(
    ("parameters", "seconds", "expected"),
    [
        (999, 59.4, "999 59 s"),
        (999_499, 0.125, "999 k 0.12 s"),
        (999_999, 90, "1 M 1.5 min"),
        (1_834_625, 5399, "1.83 M 1.5 h"),
        (7_000_000_000, 36_000_000, "7 G 10000 h"),
    ],
)
def test_large_numbers_are_short(parameters, seconds, expected, make, one_board):
    training = {"seconds": seconds}
    about = {"learns": "weights", "trained": True, "training": training}
    text = RENDERERS["text"]([one_board(make("a", cost={"parameters": parameters}, **about))])
    assert f" {expected}\n" in re.sub(" +", " ", text)


def test_devices_are_named_once_or_where_they_differ(make, one_board):
    same = RENDERERS["text"]([one_board(make("a"), make("b"))])
    assert same.count("on Quiet (1 thread).") == 1
    mixed = RENDERERS["text"]([one_board(make("a"), make("b", machine={"device": "cuda:0"}))])
    assert "1.2 k, cuda:0" in mixed
    assert "1.2 k, Quiet (1 thread)" in mixed
    assert "frames/s over the whole rollout on the device named." in mixed


def rolled_out(steps, batch=16):
    return {"frames_per_s": 1234.5, "rollout_horizon": steps, "batch_size": batch}


def test_a_speed_is_that_of_the_rollout_whatever_the_horizon_of_the_board(make, one_board):
    same = RENDERERS["text"](
        [one_board(make("a", cost=rolled_out(90)), make("b", cost=rolled_out(90)), make("c", cost={}))]
    )
    assert "frames/s over the whole rollout (90 steps, batches of 16) on Quiet (1 thread)." in same
    assert "this horizon" not in same
    mixed = RENDERERS["text"]([one_board(make("a", cost=rolled_out(90)), make("b", cost=rolled_out(1, 8)), make("c"))])
    assert "1.2 k (90 steps, batches of 16)" in mixed
    assert "1.2 k (1 step, batches of 8)" in mixed
    assert "1.2 k (rollout unknown)" in mixed
    assert "frames/s over the whole rollout, whose length is named, on Quiet (1 thread)." in mixed
    assert "frames/s over" not in RENDERERS["text"]([one_board(make("a", cost={}))])


@pytest.mark.parametrize(
    ("value", "half", "expected"),
    [
        (15.0163, 0.0721, "15.02 ±0.07"),
        (15.0163, 0.0213, "15.016 ±0.021"),
        (0.97764, 0.03072, "0.978 ±0.031"),
        (42.9, 13.2, "43 ±13"),
        (-0.0004, 0.07, "0.00 ±0.07"),
        (3.1e-9, 2e-10, "3.1e-09 ±2e-10"),
        (0.0, 0.0, "0"),
        (0.722843, 0.0, "0.7228"),
        (13.678, math.nan, "13.68"),
        (math.inf, math.nan, "inf"),
        (math.nan, math.nan, "–"),
    ],
)
def test_a_value_has_the_decimals_of_its_interval(value, half, expected, make, one_board):
    board = one_board(make("a", scorers=("ssim",)))
    row = replace(board.rows[0], scores={board.columns[0]: Score(value, value - half, value + half)})
    text = RENDERERS["text"]([replace(board, rows=(row,))])
    assert re.search(r"1  a +(\S+(?: ±\S+)?) ", text)[1] == expected


def test_values_are_shown_with_the_digits_their_interval_deserves(make, one_board, score):
    board = one_board(make("a"), make("b", 2.0))
    value, low, high = score(board.rows[0])
    half = (high - low) / 2
    shown = re.search(r"(\d+\.\d+) ±(\d+\.\d+)", RENDERERS["text"]([board]))
    assert float(shown[1]) == pytest.approx(value, abs=0.5 * 10 ** -len(shown[1].split(".")[1]))
    assert float(shown[2]) == pytest.approx(half, rel=0.15)
    assert len(shown[1].split(".")[1]) == len(shown[2].split(".")[1]) <= 2


# ---------------------------------------------------------------------------------------------------------------- forms


@pytest.mark.parametrize("form", RENDERERS)
def test_the_same_records_give_the_same_bytes_whatever_the_order(form, some_records):
    records = some_records()
    expected = RENDERERS[form](boards(records, SCORERS)[0])
    for seed in range(3):
        random.Random(seed).shuffle(records)
        assert RENDERERS[form](boards(records, SCORERS)[0]) == expected


def test_the_same_files_give_the_same_bytes_in_another_process_and_folder(tmp_path, write, some_records):
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
    assert rendered.text == BOARD.read_text(encoding="utf-8")


def test_markdown_cells_cannot_break_the_table(make, one_board):
    record = make("a", config={"note": "x | y * [z](w) <!-- /vpbench:leaderboard -->"})
    other = make("a", config={"note": "`plain`"})
    text = RENDERERS["markdown"]([one_board(record, other)])
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert "<!--" not in text
    assert r"x \| y \* \[z](w) &lt;!-- /vpbench:leaderboard --&gt;" in text


def test_latex_special_characters_are_escaped(make, one_board):
    record = make("a", config={"note": r"100% of $x_1^2 & {#~\}"})
    text = RENDERERS["latex"]([one_board(record, make("a", 2.0, assumptions="told 50% & more"))])
    assert r"note=100\% of \$x\_1\textasciicircum{}2 \& \{\#\textasciitilde{}\textbackslash{}\}" in text
    assert r"\textsuperscript{1} Told 50\% \& more." in text
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {6}
    assert r"psnr-pooled (dB) $\uparrow$" in text
    assert all(text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") for name in ("table", "tabular"))


def test_csv_is_one_line_per_record_and_metric_with_all_digits(make, failed, one_board):
    records = [make("a", cost={"parameters": 1_834_625}), make("b", 2.0), failed("m")]
    table = read_csv(RENDERERS["csv"]([one_board(*records)]))
    assert len(table) == 2 * 2 + 1
    first = table[0]
    expected = interval({"squared_error": np.array(records[0].statistics["d/squared_error"])}, psnr)
    value, low, high = (float(first[key]) for key in ("value", "low", "high"))
    assert (value, low, high) == pytest.approx(expected, rel=1e-5)
    assert low < value < high
    assert (first["n"], first["rank"], first["version"], first["metric"]) == (str(N), "1", "1", "psnr-pooled")
    assert (first["parameters"], first["cell"]) == ("1834625", records[0].cell)
    assert (table[-1]["status"], table[-1]["value"]) == ("failed", "")
    assert table[-1]["reason"].startswith("m: failed")


def test_the_legend_defines_every_metric_once(some_records):
    found, _ = boards(some_records(), SCORERS)
    text = RENDERERS["markdown"](found)
    assert text.count("- **ssim**: ssim as we define it (version 1, convention vpbench, d).") == 1
    assert text.count("- **ssim**: ssim as we define it (version 2, convention vpbench, d).") == 1
    assert text.count("What the columns mean") == 1
    (one,), _ = boards(some_records()[:3], SCORERS)
    text = RENDERERS["markdown"]([one])
    assert "- **ssim**: ssim as we define it.\n" in text
    assert text.count("version 1, convention vpbench, d") == 1


def test_an_unknown_format_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no format 'pdf'; there is: markdown, text, csv, latex, json"):
        render(tmp_path, SCORERS, format="pdf")


# ------------------------------------------------------------------------------------------------------ damaged folders


def test_a_record_cut_in_half_does_not_stop_a_board(tmp_path, make, write):
    write(tmp_path, make("a"), make("b"))
    cut = write_record(tmp_path, make("c"))
    cut.write_text(cut.read_text()[:500])
    rendered = render(tmp_path, SCORERS)
    assert "| a " in rendered.text
    assert "| c " not in rendered.text
    assert [str(cut) in str(problem) for problem in rendered.problems] == [True]


def test_a_folder_without_records_is_not_an_error(tmp_path):
    assert render(tmp_path / "none", SCORERS)[:2] == (f"No records in {tmp_path / 'none'}.\n", [])
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
def test_odd_observations_do_not_stop_a_board(form, about, make, one_board):
    """Only identity and scores are checked when read; the rest is for people."""
    odd = replace(make("a", cost={"parameters": "?", "frames_per_s": None}, machine={"x": 1}), about=about)
    assert Record.from_dict(odd.to_dict())
    assert RENDERERS[form]([one_board(odd, make("b"))])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-1, 1) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_can_be_read_can_be_shown(data, make):
    """Any value of any key of a record, but for those that reading refuses."""
    training = {"sequences": 1, "seconds": 2.0, "device": "x", "dataset": {"name": "balls", "config": {"size": 8}}}
    training |= {"history": [{"update": 1, "sequences": 1, "seconds": 2.0, "val_mse": 0.1}]}
    document = json.loads(encode(make("a", n=6, learns="weights", trained=True, training=training)))
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
    seeds = [make("a", n=6, seed=seed, learns="weights", trained=True, training=training) for seed in (7, 8)]
    shown, _ = boards([record, *seeds, make("b", n=6), make("c", n=6, seed=1, config={"k": 1})], SCORERS)
    for renderer in RENDERERS.values():
        assert renderer(shown)


def test_any_statistic_of_nothing_is_a_dash(tmp_path, make, one_board):
    record = make("a")
    nothing = {name: [None] * N for name in record.statistics}
    scores = {name: s | {"value": None, "low": None, "high": None} for name, s in record.scores.items()}
    board = one_board(replace(record, statistics=nothing, scores=scores), make("b"))
    assert {row.label: row.rank for row in board.rows} == {"a": None, "b": 1}
    assert re.search(r"– +a .* – +– ", RENDERERS["text"]([board]))


# -------------------------------------------------------------------------------------------------------------- markers


def test_a_board_goes_between_the_markers_and_nowhere_else():
    text = f"# Title\n\n{START}\nold\n{END}\n\nThe end.\n"
    new = update_between_markers(text, "new board\n")
    assert new == f"# Title\n\n{START}\nnew board\n{END}\n\nThe end.\n"
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


# -------------------------------------------------------------------------------------------------------------- imports


def test_a_board_needs_no_torch():
    code = (
        "import sys; from vpbench.leaderboard import render;"
        f"render({str(GOLDEN)!r}, {{}});"
        "print([m for m in ('torch', 'vpbench.registry') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("ending", ["csv", "tex"])
def test_no_records_are_no_table(tmp_path, ending):
    (tmp_path / "runs").mkdir()
    output = tmp_path / f"board.{ending}"
    result = CliRunner().invoke(main, ["leaderboard", "--results", str(tmp_path / "runs"), "--output", str(output)])
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr == f"vpbench: No records in {tmp_path / 'runs'}.\n"
    assert not output.exists()


def test_boards_of_one_context_leave_others_out(tmp_path, make, write):
    two = make("a")
    two = replace(two, identity={**two.identity, "task": {**two.task, "context": 2}})
    write(tmp_path, make("a"), two)
    context = make("a").task["context"]
    command = ["leaderboard", "--results", str(tmp_path), "--context"]
    shown = CliRunner().invoke(main, [*command, "2"])
    assert shown.exit_code == 0, shown.output
    assert "2→10" in shown.stdout
    assert f"{context}→10" not in shown.stdout
    assert "no record has context 3; there is: 2, 10" in CliRunner().invoke(main, [*command, "3"]).stderr
