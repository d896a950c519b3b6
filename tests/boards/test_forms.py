"""Each form holds what the others hold: wide boards shared out, scores per step, seeds, flags, JSON, and real LaTeX."""

import csv
import io
import json
import re
import shutil
import subprocess
from itertools import pairwise

import numpy as np
import pytest

from vpbench.comparison import boards
from vpbench.leaderboard import RENDERERS, render
from vpbench.stats import interval, seeds_interval


def psnr(means):
    return -10 * np.log10(means["squared_error"])


SCORERS = {"psnr-pooled": psnr, "ssim": lambda means: means["ssim"]}
STEPS = np.linspace(20.0, 11.0, 90).tolist()
CURVE = {"per_step": STEPS, "per_step_stderr": [0.1] * 90}


def with_metrics(record, count, convention="vpbench", **facts):
    """The record with more columns, each the ssim under another name."""
    for index in range(count):
        name = f"{'m' if convention == 'vpbench' else convention}-{index}"
        record.scores[name] = record.scores["ssim"] | {"convention": convention} | facts
    return record


def markdown_tables(text):
    """The header cells of each pipe table."""
    lines = text.splitlines()
    return [
        [cell.strip() for cell in before.strip("|").split("|")]
        for before, line in pairwise(lines)
        if re.match(r"\|[-:|]+\|$", line)
    ]


def document(*records, **options):
    found, problems = boards(records, SCORERS, **options)
    assert problems == []
    return json.loads(RENDERERS["json"](found))


# --------------------------------------------------------------------------------------------------------- wide boards


def test_few_metrics_stay_in_one_table(make, one_board):
    text = RENDERERS["markdown"]([one_board(with_metrics(make("a"), 5))])
    assert len(markdown_tables(text)) == 1
    assert "More metrics" not in text


def test_many_metrics_are_shared_out_with_the_leading_ones_first(make, one_board):
    record = with_metrics(with_metrics(make("a"), 12), 3, "openstl")
    text = RENDERERS["markdown"]([one_board(record)])
    main, *more = markdown_tables(text)
    assert main[:4] == ["rank", "model", "psnr-pooled (dB) ↑", "ssim ↑"]
    assert main[-3:] == ["frames/s", "parameters", "training"]
    assert len(main) == 2 + 5 + 3
    assert [len(table) for table in more] == [2 + 4, 2 + 5, 2 + 3]
    assert [header for table in more for header in table[2:]][-3:] == ["openstl-0 ↑", "openstl-1 ↑", "openstl-2 ↑"]
    names = [re.escape(line) for line in ("Other metrics:", "Other metrics, continued:", "Convention openstl:")]
    assert re.search(f"<details><summary>More metrics</summary>.*{'.*'.join(names)}.*</details>", text, re.DOTALL)
    for form in ("text", "latex"):
        assert "Convention openstl" in RENDERERS[form]([one_board(record)])


def test_a_warning_exhibit_is_marked_where_it_stands_and_explained(make, one_board):
    record = make("a", facts={"ssim": {"ranks": False}})
    text = RENDERERS["markdown"]([one_board(record)])
    assert markdown_tables(text)[0][2:4] == ["psnr-pooled (dB) ↑", "ssim ⚠"]
    assert "- **⚠**: warning exhibit: a number that others publish and nobody should compare" in text


def test_a_ratio_says_what_is_perfect(make, one_board):
    text = RENDERERS["markdown"]([one_board(make("a", facts={"ssim": {"ranks": False, "ideal": 1.0}}))])
    assert "ssim → 1" in markdown_tables(text)[0]
    assert "- **→ 1**: a perfect prediction has this score; more is as wrong as less, so nothing is ranked" in text
    assert r"ssim $\rightarrow$ 1" in RENDERERS["latex"]([one_board(make("a", facts={"ssim": {"ideal": 1.0}}))])


def test_what_tells_two_columns_of_one_metric_apart_is_in_their_names(make, one_board):
    seven, summed = {"config": {"window": 7}}, {"over_steps": "sum"}
    board = one_board(make("a"), make("b", facts={"ssim": seven}), make("c", facts={"ssim": summed}))
    headers = markdown_tables(RENDERERS["markdown"]([board]))[0]
    assert {"ssim (sum over steps) ↑", "ssim (mean over steps) window=7 ↑"} < set(headers)


# ----------------------------------------------------------------------------------------------------------- per step


def test_scores_at_single_steps_are_those_of_the_longest_horizon(make):
    records = [
        make("a", horizon=horizon, facts={"psnr-pooled": {key: values[:horizon] for key, values in CURVE.items()}})
        for horizon in (10, 90)
    ]
    text = RENDERERS["markdown"](boards(records, SCORERS)[0])
    assert text.count("Scores at single steps") == 1
    table = markdown_tables(text)[-1]
    assert table == ["model", *(f"step {step}" for step in (1, 5, 10, 20, 40, 90))]
    shown = re.search(r"^\| a +\|(.*11\.00 ±0\.20 +\|)$", text, re.MULTILINE)[1]
    assert [float(cell.split("±")[0]) for cell in shown.strip(" |").split("|")] == pytest.approx(
        [STEPS[step - 1] for step in (1, 5, 10, 20, 40, 90)], abs=0.006
    )


def test_a_curve_over_other_clips_than_the_boards_is_not_shown(make):
    records = [make("a", n=40, horizon=90, facts={"psnr-pooled": CURVE}), make("b", n=30, horizon=90)]
    assert "Scores at single steps" not in RENDERERS["markdown"](boards(records, SCORERS)[0])


# --------------------------------------------------------------------------------------------------- floors, ceilings


def test_leakage_is_told_in_words_in_every_form(tmp_path, make, write):
    write(tmp_path, make("bayes", 0.5, role="ceiling"), make("cheat", 0.3), make("a"))
    sentence = "Probable leakage: cheat is better than bayes, the posterior mean that knows the generator, which no"
    for form in ("markdown", "text", "latex"):
        text = render(tmp_path, SCORERS, format=form).text
        assert sentence in text
        assert "cheat $\\blacktriangle$ above ceiling" in text or "cheat ▲ above ceiling" in text
    assert render(tmp_path, SCORERS).warnings[0].startswith(f"balls 10→10: {sentence}")
    lines = list(csv.DictReader(io.StringIO(render(tmp_path, SCORERS, format="csv").text)))
    assert {line["model"]: line["above_ceiling"] for line in lines} == {"bayes": "False", "cheat": "True", "a": "False"}
    rows = json.loads(render(tmp_path, SCORERS, format="json").text)["boards"][0]["rows"]
    assert [row["label"] for row in rows if row["above_ceiling"]] == ["cheat"]


def test_the_legend_says_of_which_metrics_a_ceiling_is_a_bound(make, one_board):
    board = one_board(make("bayes", 0.5, role="ceiling"), make("a"))
    assert (
        "- **ceiling**: told what no contender is, so not ranked. The posterior mean is the best that can be expected "
        "in psnr-pooled; in the other metrics ceilings are lines for reference.\n"
    ) in RENDERERS["markdown"]([board])


# -------------------------------------------------------------------------------------------------------------- seeds


def seeds(make):
    training = {"sequences": 160_000, "device": "H100", "updates": 5}
    about = {"learns": "weights", "trained": True}
    return [
        make("a", level, weights=f"{seed}f" * 32, training=training | {"seed": seed, "seconds": 3600.0 * seed}, **about)
        for seed, level in ((1, 1.0), (2, 1.1), (3, 0.9))
    ]


def test_several_seeds_are_one_line_and_stay_available(make, one_board):
    board = one_board(*seeds(make), make("b", 2.0))
    text = RENDERERS["markdown"]([board])
    assert "| a, 3 seeds " in text
    assert "3 × (160 k sequences, 2 h, H100)" in text
    assert "Rows of several seeds are tested as methods" in text
    assert "trained with seed" not in text
    lines = list(csv.DictReader(io.StringIO(RENDERERS["csv"]([board]))))
    members = [line for line in lines if line["member_of"] == "a, 3 seeds" and line["metric"] == "psnr-pooled"]
    assert [(line["label"], line["training_seed"], line["rank"]) for line in members] == [
        (f"a, trained with seed {seed}", str(seed), "") for seed in (1, 2, 3)
    ]
    (whole,) = [line for line in lines if line["label"] == "a, 3 seeds" and line["metric"] == "psnr-pooled"]
    assert (whole["seeds"], whole["cell"]) == ("3", "")


# --------------------------------------------------------------------------------------------------------------- json


def test_json_has_every_number_and_flag(make):
    training = {"sequences": 1000, "seconds": 10.5, "device": "H100", "seed": 0}
    curve = {"psnr-pooled": {"per_step": [1.0, None, 3.25], "per_step_stderr": [0.1, None, 0.3]}}
    floor, ceiling = make("black", 3.0, role="floor"), make("bayes", 0.2, role="ceiling")
    about = {"learns": "weights", "trained": True, "assumptions": "told the speed"}
    cost = {"frames_per_s": 12.5, "rollout_horizon": 90, "batch_size": 16, "parameters": 7}
    model = make("a", 1.0, facts=curve, training=training, cost=cost, **about)
    told = document(floor, ceiling, model)
    assert told["schema"] == 1
    (board,) = told["boards"]
    assert [row["label"] for row in board["rows"]] == ["bayes", "a", "black"]
    row, column = board["rows"][1], board["columns"][board["ranking"]]
    expected = interval({"squared_error": np.array(model.statistics["d/squared_error"])}, psnr)
    score = row["scores"][board["ranking"]]
    assert [score[key] for key in ("value", "low", "high")] == pytest.approx(list(expected), rel=1e-5)
    assert (score["n"], score["per_step"], score["per_step_stderr"]) == (40, [1.0, None, 3.25], [0.1, None, 0.3])
    assert (row["rank"], row["below_floor"], row["not_above_floor"], row["above_ceiling"]) == (1, False, False, None)
    errors = [np.mean(record.statistics["d/squared_error"]) for record in (floor, ceiling, model)]
    assert row["headroom"]["value"] == pytest.approx((errors[0] - errors[2]) / (errors[0] - errors[1]), rel=1e-5)
    assert row["training"]["sequences"] == 1000
    assert row["training"]["seconds"] == 10.5
    assert row["training"]["device"] == "H100"
    assert row["speed"] == {
        **{key: cost[key] for key in ("frames_per_s", "rollout_horizon", "batch_size")},
        "device": "Quiet(R) CPU @ 2.20GHz",
        "threads": 1,
    }
    assert (row["parameters"], row["assumptions"], row["cells"]) == (7, "told the speed", [model.cell])
    assert column["definition"] == "psnr-pooled as we define it."
    assert (column["mean_optimal"], column["ranks"], column["exhibit"], column["config"]) == (True, True, False, {})
    assert board["headroom_in"] == board["ranking"]


def test_json_holds_the_single_seeds(make):
    records = seeds(make)
    (row,) = document(*records)["boards"][0]["rows"]
    expected = seeds_interval([{"squared_error": np.array(r.statistics["d/squared_error"])} for r in records], psnr)
    assert row["scores"][0]["value"] == pytest.approx(expected.value, rel=1e-5)
    assert row["seeds"] == [1, 2, 3]
    assert row["model"]["weights_sha256"] is None
    assert [member["model"]["weights_sha256"] for member in row["members"]] == [f"{seed}f" * 32 for seed in (1, 2, 3)]
    assert [member["cells"] for member in row["members"]] == [[record.cell] for record in records]


def test_json_of_nothing_is_a_document(tmp_path):
    told = json.loads(render(tmp_path, SCORERS, format="json").text)
    assert told == {"schema": 1, "boards": [], "published": [], "apart": []}


def test_json_has_null_where_there_is_no_number(make, failed):
    told = document(make("a", n=1), failed("m"))
    (row,) = told["boards"][0]["rows"]
    assert row["scores"][0]["low"] is None
    assert told["boards"][0]["not_run"][0]["reason"]["message"] == "no answer"


# -------------------------------------------------------------------------------------------------------------- latex

HOSTILE = '100% $x_1^2$ & {#~\\} "q" <b> | [x] — … ² ÿ ½ 数 \u202e \x07 🙂 a/b'


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles_whatever_names_hold(tmp_path, make, failed):
    facts = {"psnr-pooled": CURVE, "ssim": {"unit": HOSTILE, "definition": HOSTILE, "ranks": False}}
    latin = "".join(map(chr, range(0xA0, 0x100)))
    history = [{"sequences": 32 * k, "seconds": k, "val_mse": 0.1 / k} for k in (1, 2)]
    training = {"sequences": 64, "seconds": 2, "device": HOSTILE, "history": history}
    training |= {"dataset": {"name": HOSTILE, "config": {HOSTILE: HOSTILE}}, "context": 10, "horizon": 10}
    about = {"assumptions": HOSTILE, "learns": "weights", "trained": True, "training": training}
    records = [
        with_metrics(make("a", horizon=90, facts=facts, **about), 9, "y"),
        make("b", 2.0, horizon=90, config={"note": HOSTILE, "latin": latin}),
        make("b", 2.0, horizon=90, config={"note": "plain"}, role="floor"),
        make("c", 0.5, horizon=90, role="ceiling"),
        make("d", 0.1, horizon=90),
        failed("m", horizon=90, message=HOSTILE),
    ]
    body = RENDERERS["latex"](boards(records, SCORERS)[0])
    assert "Validation PSNR (dB) of 100\\%" in body
    packages = re.findall(r"\\usepackage(?:\[\w+\])?\{\w+\}", body.splitlines()[0])
    assert len(packages) == 4
    source = ["\\documentclass{article}", *packages, "\\begin{document}", body, "\\end{document}"]
    (tmp_path / "board.tex").write_text("\n".join(source), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "board.tex"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert ran.returncode == 0, ran.stdout[-2000:]
    assert (tmp_path / "board.pdf").stat().st_size > 10_000


def test_wide_latex_tables_tell_the_cost_apart(make, one_board):
    text = RENDERERS["latex"]([one_board(with_metrics(make("a"), 5))])
    assert re.findall(r"\\begin\{tabular\}\{(\w+)\}", text) == ["rl" + "r" * 7, "rlrrl"]
    assert r"balls, 10$\rightarrow$10: Cost}" in text


def test_nothing_in_a_name_reaches_a_terminal_as_a_command(make, one_board):
    board = one_board(make("a", config={"note": "\x1b[31mred\x07"}), make("a", config={"note": "x"}))
    text = RENDERERS["text"]([board])
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "note=\ufffd[31mred\ufffd" in text
