"""`vpbench compare`: numbers against naive loops, words against numbers, and every way a name can be wrong."""

import json
import math
import re

import numpy as np
import pytest
from scipy import stats as scipy_stats

from vpbench.comparison import boards
from vpbench.methods import find_method
from vpbench.results import Record, identity_of, iter_records, write_record
from vpbench.stats import bootstrap_weights

N = 60
CLIPS = np.random.default_rng(0).lognormal(-3, 0.4, 500)  # how hard each clip is, for every model
BALLS = {"name": "balls", "version": "1", "config": {}, "fingerprint": "f00d" * 16}


def six_digits(values):
    return np.array([float(f"{x:.6g}") for x in values])


def make_record(
    name,
    level=1.0,
    *,
    n=N,
    horizon=10,
    seed=0,
    config=None,
    weights=None,
    dataset=BALLS,
    split="test",
    status="ok",
    **changes,
):
    """A record of a model with about `level` times the usual error; weights: seed of the training."""
    noise = np.random.default_rng([*name.encode(), seed, weights or 0, horizon])
    error = six_digits(CLIPS[:n] * level * noise.lognormal(0, 0.1, len(CLIPS))[:n])
    statistics = {"squared_error": error, "ssim": six_digits(1 - 4 * error)}
    statistics |= {"foreground_intersection": six_digits(100 - 50 * error), "foreground_union": np.full(n, 200.0)}
    statistics = {key: changes.get(key, values) for key, values in statistics.items()}

    def score(metric, value, *names, **more):
        return {
            "version": "1",
            "definition": f"{metric} as we define it.",
            "unit": "dB" if metric == "psnr-pooled" else "",
            "convention": "vpbench",
            "higher_is_better": metric != "mse",
            "distribution": "vpbench-metrics",
            "statistics": [f"vpbench-metrics/{each}" for each in names],
            "value": None if math.isnan(value) else value,
            "low": None,
            "high": None,
            "n": n,
            "per_step": [],
            "per_step_stderr": [],
        } | more

    def mean(key):
        values = statistics[key][~np.isnan(statistics[key])]
        return float(values.mean()) if len(values) else math.nan

    scores = {
        "mse": score("mse", mean("squared_error"), "squared_error"),
        "psnr-pooled": score("psnr-pooled", -10 * math.log10(mean("squared_error")), "squared_error"),
        "ssim": score("ssim", mean("ssim"), "ssim"),
        "iou": score(
            "iou",
            mean("foreground_intersection") / mean("foreground_union"),
            "foreground_intersection",
            "foreground_union",
        ),
    }
    for metric, more in changes.get("scores", {}).items():
        if more is None:
            del scores[metric]
        else:
            scores[metric] = {**scores.get(metric, scores["mse"]), **more}
    about = {"learns": "nothing" if weights is None else "weights"}
    if weights is not None:
        about["training"] = {"seed": weights, "budget": "20m", "updates": 500}
    return Record(
        identity=identity_of(
            model={
                "name": name,
                "version": "1",
                "config": config or {},
                "weights_sha256": None if weights is None else f"{weights:064x}",
            },
            dataset=dataset,
            split=split,
            task={"kind": "extrapolate", "context": 10, "horizon": horizon},
            clips=n,
            seed=seed,
        ),
        status=status,
        reason=None if status == "ok" else {"phase": "predict", "type": "ModelFailed", "message": "no answer"},
        about=about,
        scores=scores if status == "ok" else {},
        statistics={f"vpbench-metrics/{key}": values for key, values in statistics.items()} if status == "ok" else {},
    )


@pytest.fixture
def compare(bench):
    """`vpbench compare` of records that are written into results/; the first two are compared unless named."""

    def run(*records, sides=None, options=(), folder="results"):
        paths = [write_record(bench.folder / folder, record) for record in records]
        sides = sides or (paths[0], paths[1])
        return bench("compare", *sides, "--results", folder, *options)

    return run


def in_json(result):
    assert result.exit_code in (0, 4), result.stderr
    return json.loads(result.stdout)


def of_metric(document, name):
    return next(each for each in document["metrics"] if each["metric"] == name)


# ------------------------------------------------------------------------------------------------------------- numbers


def test_every_number_is_that_of_a_naive_loop(compare):
    a, b = make_record("a", 1.0), make_record("b", 1.04)
    found = in_json(compare(a, b, options=("--format", "json")))
    error_a, error_b = (np.array(record.statistics["vpbench-metrics/squared_error"]) for record in (a, b))

    def difference(indices):
        return -10 * math.log10(error_a[indices].mean()) + 10 * math.log10(error_b[indices].mean())

    resampled = [difference(np.repeat(np.arange(N), weights.astype(int))) for weights in bootstrap_weights(N)]
    without = np.array([difference(np.delete(np.arange(N), index)) for index in range(N)])
    stderr = math.sqrt((N - 1) / N * ((without - without.mean()) ** 2).sum())
    psnr = of_metric(found, "psnr-pooled")
    low, high = np.quantile(resampled, [0.025, 0.975], method="nearest")
    assert psnr["difference"] == pytest.approx({"value": difference(np.arange(N)), "low": low, "high": high})
    assert psnr["p"] == 2 * (1 + min(np.sum(np.array(resampled) <= 0), np.sum(np.array(resampled) >= 0))) / 2001
    assert psnr["detectable"] == pytest.approx((1.959964 + 0.841621) * stderr, rel=1e-5)
    assert psnr["a"]["value"] == pytest.approx(-10 * math.log10(error_a.mean()))
    assert psnr["a"]["low"] < psnr["a"]["value"] < psnr["a"]["high"]
    assert (found["clips"], found["level"], found["a"]["label"]) == (N, "weights", "a")


def test_p_values_are_corrected_by_holm_over_the_metrics_shown(compare):
    """As R's p.adjust of the p values beside it."""
    records = make_record("a", 1.0), make_record("b", 1.03)
    found = in_json(compare(*records, options=("--format", "json")))
    raw = [metric["p"] for metric in found["metrics"]]
    order = np.argsort(raw)
    expected = np.empty(len(raw))
    expected[order] = np.minimum(1, np.maximum.accumulate([raw[i] * (len(raw) - rank) for rank, i in enumerate(order)]))
    assert [metric["p_adjusted"] for metric in found["metrics"]] == pytest.approx(list(expected))
    alone = in_json(compare(*records, options=("--format", "json", "--metric", "ssim")))
    assert [metric["metric"] for metric in alone["metrics"]] == ["ssim"]
    assert alone["metrics"][0]["p_adjusted"] == alone["metrics"][0]["p"]


def test_only_the_clips_that_both_have_are_compared(compare):
    a, b = make_record("a", 1.0, n=40), make_record("b", 1.2, n=60)
    b.statistics["vpbench-metrics/squared_error"][45] = 1e6
    b.scores["psnr-pooled"]["value"] = -10 * math.log10(b.statistics["vpbench-metrics/squared_error"].mean())
    found = in_json(compare(a, b, options=("--format", "json", "--metric", "psnr-pooled")))
    assert found["clips"] == 40
    expected = -10 * math.log10(b.statistics["vpbench-metrics/squared_error"][:40].mean())
    assert found["metrics"][0]["b"]["value"] == pytest.approx(expected)


def test_seeds_of_both_make_it_a_statement_on_the_methods(compare):
    seeds_a = [make_record("a", level, weights=seed) for seed, level in ((1, 0.9), (2, 1.0), (3, 1.1))]
    seeds_b = [make_record("b", level, weights=seed) for seed, level in ((1, 2.0), (2, 2.3))]
    sides = ("a", "b")
    found = in_json(compare(*seeds_a, *seeds_b, sides=sides, options=("--format", "json", "--metric", "psnr-pooled")))
    assert found["level"] == "methods"
    assert (found["a"]["seeds"], found["b"]["seeds"]) == ([1, 2, 3], [1, 2])
    errors = [np.array(record.statistics["vpbench-metrics/squared_error"]) for record in (*seeds_a, *seeds_b)]
    scores = [-10 * math.log10(error.mean()) for error in errors]
    resampled = []
    for weights in bootstrap_weights(N):
        drawn = [-10 * math.log10(weights @ error / N) for error in errors]
        resampled.append(np.mean(drawn[:3]) - np.mean(drawn[3:]))
    value = np.mean(scores[:3]) - np.mean(scores[3:])
    margins = [scipy_stats.t.ppf(0.975, len(part) - 1) * scipy_stats.sem(part) for part in (scores[:3], scores[3:])]
    low, high = np.quantile(resampled, [0.025, 0.975], method="nearest")
    expected = {
        "value": value,
        "low": value - math.hypot(value - low, *margins),
        "high": value + math.hypot(high - value, *margins),
    }
    assert found["metrics"][0]["difference"] == pytest.approx(expected)
    assert "what training again would give, from 3 of a and 2 of b seeds" in found["verdict"][-1]


# --------------------------------------------------------------------------------------------------------------- words


def test_the_verdict_says_who_is_better_by_how_much_and_what_that_covers(compare):
    result = compare(make_record("a", 2.0, weights=1), make_record("b", 1.0, weights=1))
    assert result.exit_code == 0
    assert result.stderr == ""
    document = in_json(
        compare(make_record("a", 2.0, weights=1), make_record("b", 1.0, weights=1), options=("--format", "json"))
    )
    found = of_metric(document, "psnr-pooled")["difference"]
    said = result.stdout.splitlines()
    by = f"{-found['value']:.2f} dB (95 % interval {-found['high']:.2f} to {-found['low']:.2f}, p < 0.001, or 0.004"
    assert (
        f"b is better than a in psnr-pooled by {by} corrected for 4 metrics) on 60 clips; differences down to"
        in said[-3]
    )
    assert said[-2] == "By the other metrics, corrected together: b is better in ssim, iou, mse."
    assert said[-1] == (
        "The intervals cover the choice of clips, for these weights; with one seed each, nothing is known about "
        "training again."
    )
    assert said[0] == "a and b: balls extrapolate-10-10, 60 clips of the test split"


def test_no_difference_is_not_called_one(compare):
    text = compare(make_record("a", 1.0), make_record("b", 1.0), options=("--metric", "psnr-pooled")).stdout
    assert "No difference between a and b was found in psnr-pooled: a minus b is " in text
    assert "better than" not in text
    assert text.splitlines()[-1] == "The intervals cover the choice of clips; neither is trained."


def test_what_one_seed_of_one_side_leaves_open_is_said(compare):
    records = [make_record("a", 1.0, weights=seed) for seed in (1, 2)]
    text = compare(*records, make_record("b", 1.5, weights=9), sides=("a", "b")).stdout
    assert text.startswith("a (2 seeds) and b: ")
    assert "for these weights; with one seed of b, nothing is known about training it again." in text


def test_so_few_clips_that_nothing_could_be_found_are_said_to_be(compare):
    text = compare(make_record("a", 1.0, n=4), make_record("b", 5.0, n=4)).stdout
    assert "No difference between a and b was found in psnr-pooled" in text
    assert "on 4 clips; so few clips could not have shown any difference." in text


def test_where_more_and_less_are_both_worse_nobody_is_better(compare):
    ratio = {"iou": {"ideal": 0.4, "ranks": False}}
    records = make_record("a", 1.0, scores=ratio), make_record("b", 3.0, scores=ratio)
    text = compare(*records, options=("--metric", "iou")).stdout
    assert "a has more iou than b, of which 0.4 is ideal, by " in text
    assert "iou → 0.4" in text
    assert of_metric(in_json(compare(*records, options=("--format", "json"))), "iou")["better"] is None


def test_markdown_is_not_broken_by_what_records_say(compare):
    a, b = (make_record("a", level, config={"mode": mode}) for level, mode in ((1.0, "x|y"), (2.0, "<b>")))
    text = compare(a, b, options=("--format", "markdown")).stdout
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 4
    assert {line.replace("\\|", "").count("|") for line in table} == {10}
    assert r"a, mode=x\|y" in text
    assert "<b>" not in text


# ------------------------------------------------------------------------------------------------------------ left out


def test_scores_of_other_definitions_are_left_out_and_named(compare):
    changes = {"ssim": {"version": "2"}, "iou": None, "made-up": {}}
    document = in_json(compare(make_record("a"), make_record("b", scores=changes), options=("--format", "json")))
    assert [metric["metric"] for metric in document["metrics"]] == ["psnr-pooled", "mse"]
    assert document["left_out"] == [
        "ssim: defined differently: version 1 and 2",
        "iou: not in any record of b",
        "made-up: not in any record of a",
    ]


def test_what_has_no_paired_test_or_no_scorer_is_left_out_and_named(compare):
    changes = {"fvd": {"statistics": []}, "made-up": {}, "psnr-v1": {"ranks": False}}
    text = compare(make_record("a", scores=changes), make_record("b", scores=changes)).stdout
    assert "left out: fvd: it has no value per clip, so no paired test" in text
    assert "left out: made-up: the metric is not installed here" in text
    assert "left out: psnr-v1: an exhibit, a number nobody should compare" in text


def test_a_metric_without_score_is_named_and_never_averaged(compare):
    nothing = np.full(N, np.nan)
    a, b = make_record("a", ssim=nothing), make_record("b")
    assert "left out: ssim: a has no score: nothing on these clips that it applies to" in compare(a, b).stdout
    seeds = [make_record("c", weights=1), make_record("c", weights=2, ssim=nothing)]
    assert "left out: ssim: c has no score" in compare(b, *seeds, sides=("c", "b")).stdout


def test_a_seed_that_failed_is_told_and_not_passed_over(compare):
    seeds = [make_record("a", seed=seed) for seed in (0, 1)]
    text = compare(*seeds, make_record("a", seed=2, status="failed"), make_record("b"), sides=("a", "b")).stdout
    assert text.splitlines()[-1] == "1 more seed of a gave no result: all this is of those that did."


def test_a_failed_record_of_another_method_is_no_seed_of_this_one(compare):
    """Of one name, but not differing in the seed alone."""
    other = make_record("a", config={"size": 128}, status="failed")
    records = make_record("a", config={"size": 64}), other, make_record("b")
    document = in_json(compare(*records, sides=("a", "b"), options=("--format", "json")))
    assert document["a"]["without_result"] == []
    assert not any("no result" in sentence for sentence in document["verdict"])


def test_few_clips_are_told(compare):
    told = "Fewer than 50 clips: intervals are too narrow and tests alarm too often, see docs/statistics.md."
    assert told in compare(make_record("a", n=49), make_record("b", n=49)).stdout.splitlines()
    assert "ewer than" not in compare(make_record("c", n=50), make_record("d", n=50)).stdout


def test_one_clip_has_no_interval(compare):
    text = compare(make_record("a", n=1), make_record("b", n=1), options=("--metric", "mse")).stdout
    assert "unknown to unknown" not in text
    assert "(no interval, p = 1) on 1 clip" in text
    assert "Of fewer than two clips there are no intervals and no tests." in text


def test_seeds_of_what_is_not_trained_say_nothing_of_training(compare):
    records = [make_record(name, level, seed=seed) for name, level in (("a", 1.0), ("b", 2.0)) for seed in (0, 1)]
    text = compare(*records, sides=("a", "b")).stdout
    assert "The intervals cover the choice of clips and what another seed would give, from 2 of a and 2 of b" in text


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_models_may_be_called_as_columns_are(compare, form):
    text = compare(make_record("p"), make_record("difference", 2.0), options=("--format", form)).stdout
    header = next(line for line in text.splitlines() if "metric" in line)
    assert (header.count("difference"), len(re.findall(r"\bp\b", header))) == (2, 3)


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_nothing_in_a_record_commands_the_terminal(compare, form):
    scores = {"mse": {"unit": "\x1b[31m\u202e"}, "\x1b[2J": {}}
    records = make_record("a", scores=scores), make_record("b", scores=scores)
    assert "\x1b" not in compare(*records, options=("--format", form)).stdout


@pytest.mark.parametrize(("option", "value"), [("--horizon", "90"), ("--dataset", "squares")])
def test_a_record_file_that_is_not_of_what_was_asked_for_is_refused(compare, ends_with, option, value):
    line = ends_with(compare(make_record("a"), make_record("b"), options=(option, value)), 2)
    assert f"has no record with {option[2:]} {value}; there is: " in line


def test_nothing_in_a_message_commands_the_terminal(compare, ends_with):
    one, other = ({**BALLS, "fingerprint": f"\x1b[2J\n{name}"} for name in "ab")
    line = ends_with(compare(make_record("a", dataset=one), make_record("b", dataset=other)), 2)
    assert line.endswith("dataset fingerprint \ufffd[2J a and \ufffd[2J b; name records of one dataset, split and task")


def test_a_record_whose_identity_was_edited_is_refused(compare, bench, ends_with):
    paths = [write_record(bench.folder / "results", make_record(name)) for name in ("a", "b")]
    paths[1].write_text(paths[1].read_text().replace('"horizon": 10', '"horizon": 5'))
    ends_with(bench("compare", *paths), 4, str(paths[1]), "its identity hashes to")
    result = bench("compare", "a", "b", "--results", "results")  # the folder is read, and the record named
    assert result.exit_code == 2
    assert [text in result.stderr for text in ("its identity hashes to", "no record is named 'b'; there is: a")] == [
        True
    ] * 2


def test_a_score_that_was_edited_is_left_out_and_is_the_exit_code(compare):
    a, b = make_record("a"), make_record("b", scores={"ssim": {"value": 0.99}})
    result = compare(a, b)
    assert result.exit_code == 4
    assert len(result.stderr.splitlines()) == 1
    assert "ssim version 1 is recorded as 0.99, but its statistics give 0." in result.stderr
    assert "left out: ssim: a record of b does not follow from its own statistics" in result.stdout
    assert compare(a, b, options=("--metric", "mse")).exit_code == 0


# --------------------------------------------------------------------------------------------------------------- names


def test_records_of_other_questions_are_not_compared(compare, ends_with):
    line = ends_with(compare(make_record("a", horizon=10), make_record("b", horizon=90)), 2)
    assert line == (
        "vpbench: a and b answer different questions: horizon 10 and 90; name records of one dataset, split and task"
    )
    other = {**BALLS, "fingerprint": "beef" * 16}
    ends_with(
        compare(make_record("a"), make_record("c", dataset=other, split="val")),
        2,
        "different questions: dataset fingerprint f00df00df00d... and beefbeefbeef...; split test and val",
    )


def test_unknown_names_are_told_what_there_is(compare, ends_with):
    records = make_record("a"), make_record("b", horizon=5), make_record("b", horizon=20)
    ends_with(compare(*records, sides=("a", "nobody")), 2, "no record is named 'nobody'; there is: a, b")
    ends_with(
        compare(*records, sides=("a", "b"), options=("--horizon", 10)),
        2,
        "'b' has no record with horizon 10; there is: 5, 20",
    )
    ends_with(
        compare(*records, sides=("a", "b"), options=("--dataset", "cubes")),
        2,
        "'a' has no record with dataset cubes; there is: balls",
    )
    ends_with(compare(*records, sides=("a", "a"), options=("--metric", "nil")), 2, "both sides are the record")
    ends_with(
        compare(*records, make_record("c"), sides=("a", "c"), options=("--metric", "nil")),
        2,
        "no record here holds the metric 'nil'; there is: iou, mse, psnr-pooled, ssim",
    )


def test_a_name_of_several_questions_asks_which(compare, ends_with):
    records = [make_record(name, horizon=horizon) for name in ("a", "b") for horizon in (20, 5, 10)]
    ends_with(
        compare(*records, sides=("a", "b")),
        2,
        "'a' has records of 3 questions: balls extrapolate-10-5, balls extrapolate-10-10, balls extrapolate-10-20; "
        "say which with --horizon",
    )
    assert compare(*records, sides=("a", "b"), options=("--horizon", 5)).exit_code == 0
    assert compare(*records, sides=("a", "b"), options=("--horizon", 5, "--context", 10)).exit_code == 0
    ends_with(compare(*records, sides=("a", "b"), options=("--context", 3)), 2, "'a'", "context 3")


def test_a_file_says_which_question_a_name_is_looked_up_for(compare, bench):
    records = [make_record(name, horizon=horizon) for name in ("a", "b") for horizon in (5, 10)]
    path = write_record(bench.folder / "elsewhere", make_record("mine", horizon=5))
    assert compare(*records, sides=(path, "b")).stdout.startswith("mine and b: balls extrapolate-10-5")


def test_a_name_of_several_methods_asks_which(compare, ends_with):
    records = [make_record("a", config={"solver": solver, "size": 3}) for solver in ("rk4", "euler")]
    line = ends_with(compare(*records, make_record("b"), sides=("a", "b")), 2)
    assert "'a' is 2 methods: a, solver=" in line
    assert records[0].cell in line
    for name in ("a, solver=rk4", "a, solver=rk4 size=3", records[0].cell):
        document = in_json(compare(sides=(name, "b"), options=("--format", "json")))
        assert document["a"]["cells"] == [records[0].cell]
    both = compare(sides=("a, solver=rk4", "a, solver=euler"))
    assert both.stdout.startswith("a, solver=rk4 and a, solver=euler: ")


def test_the_same_weights_run_twice_are_not_two_trainings(compare, ends_with):
    records = [make_record("a", seed=seed, weights=7) for seed in (0, 1)]
    ends_with(compare(*records, make_record("b"), sides=("a", "b")), 2, "'a' is 2 methods: a, seed 0", "a, seed 1")


def test_one_cell_in_two_folders_asks_which(compare, ends_with, bench):
    for folder in ("results", "others"):
        write_record(bench.folder / folder, make_record("a"))
    result = compare(make_record("b"), sides=("a", "b"), options=("--results", "others"))
    ends_with(result, 2, "'a' is 2 methods: a, in others", "a, in results")
    assert compare(sides=("a, in others", "b"), options=("--results", "others")).exit_code == 0


def test_every_label_of_a_board_is_a_name(bench):
    records = [
        make_record("plain"),
        *(make_record("several", weights=seed) for seed in (1, 2)),
        *(make_record("tuned", config={"solver": "rk4", "steps": [1, 2]}, seed=seed) for seed in (0, 1)),
        make_record("tuned", config={"solver": "euler", "steps": [1, 2]}),
        *(make_record("rerun", seed=seed, weights=7) for seed in (0, 1)),
    ]
    for record in records:
        write_record(bench.folder / "results", record)
    read, problems = iter_records(bench.folder / "results")
    assert problems == []
    (board,) = boards(read, {})[0]
    assert {"several, 2 seeds", "rerun, seed 1"} < {row.label for row in board.rows}
    for row in board.rows:
        found = find_method(row.label, read)
        assert {record.cell for record in found.records} == {record.cell for record in row.records}, row.label


def test_the_record_with_most_clips_counts(compare):
    records = [make_record("a", n=n) for n in (20, 60)]
    assert in_json(compare(*records, make_record("b"), sides=("a", "b"), options=("--format", "json")))["clips"] == 60


@pytest.mark.parametrize(
    ("sides", "options", "code", "text"),
    [
        (("nowhere.json", "a"), (), 4, "nowhere.json: cannot be read: No such file or directory"),
        (("a", "b"), ("--results", "nowhere"), 2, "there is no results folder nowhere: name one with --results"),
        (("a", "failed"), (), 2, "failed in predict: no answer: nothing to compare"),
        (("a", "a"), ("--format", "html"), 2, "'html' is not one of 'text', 'markdown', 'json'"),
    ],
)
def test_what_cannot_be_asked_is_one_line(compare, ends_with, sides, options, code, text):
    records = make_record("a"), make_record("failed", status="failed")
    ends_with(compare(*records, sides=sides, options=options), code, text)
