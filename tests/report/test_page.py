"""What is on the page: facts, escaping, the same bytes, what cannot be read, and what is in the wheel."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from vpbench.cli import main
from vpbench.errors import ExitCode, UsageError
from vpbench.report import page
from vpbench.results import write_record

ROOT = Path(__file__).parents[2]
#: Elements that have no end.
VOID = {"meta", "link", "input", "br", "img", "line"}


class Elements(HTMLParser):
    """All elements with their attributes, the text inside, and a complaint about each that is not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.wrong: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(filter(None, self.texts))


def data_of(html: str, name: str = "data"):
    (text,) = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', html, flags=re.DOTALL)
    return json.loads(text)


def test_a_page_is_well_formed_and_its_ids_are_unique(some_page):
    elements = Elements(some_page.read_text())
    assert elements.wrong == []
    assert elements.open == []
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for tag, attributes in elements.found if tag == "a"}
    assert targets <= set(ids)


def test_every_row_and_fact_of_a_board_is_in_the_text_without_scripts(some_page):
    text = Elements(some_page.read_text()).text
    for said in ("alpha", "beta, 2 seeds", "Knows the generator.", "f00d" * 16, "10→20", "epsilon: failed in predict"):
        assert said in text, said
    assert "alpha is first in psnr-pooled" in text
    assert "Significantly worse than the best trivial baseline: delta." in text


def test_a_page_opens_at_the_usual_task_where_a_contender_is(written, make):
    def given(record, context):
        return replace(record, identity={**record.identity, "task": {**record.task, "context": context}})

    def opened(*records):
        html = written(records).read_text()
        data = data_of(html)
        return data["boards"][data["first"]]["name"]

    floors = [make("black", 3.0, role="floor", horizon=horizon) for horizon in (10, 20, 40)]
    of_two_frames = [given(floors[0], 2), given(make("a"), 2)]
    assert opened(*floors, make("a"), make("a", horizon=20), *of_two_frames) == "balls 10→10"
    assert opened(*floors, make("a", horizon=20)) == "balls 10→20"  # none is on the usual one


def test_contenders_come_before_floors_even_where_the_first_board_has_none(written, make):
    floors = [make("black", 3.0, role="floor", horizon=horizon) for horizon in (5, 10)]
    oracle, a = make("oracle", 0.2, role="ceiling"), make("a")
    elements = Elements(written([*floors, oracle, a]).read_text())
    models = data_of(written([*floors, oracle, a]).read_text())["models"]
    chips = [attributes["data-model"] for tag, attributes in elements.found if "data-chip" in attributes]
    assert [models[key]["label"] for key in chips] == ["oracle", "a", "black"]
    assert chips == sorted(chips)  # clips are in the order of these keys


def test_the_findings_name_roles_and_in_what_the_headroom_is(written, make):
    records = [make("black", 3.0, role="floor"), make("oracle", 0.2, role="ceiling"), make("a")]
    text = Elements(written(records).read_text()).text
    assert "Next is black (floor), " in text
    assert re.search(r"a covers \d\S* % of the way from the best floor to the ceiling in squared error\.", text)


def test_a_leaking_row_is_marked_and_not_praised(written, make, scorers):
    records = [make("black", 3.0, role="floor"), make("oracle", 0.5, role="ceiling"), make("cheat", 0.2), make("fair")]
    path = written(records)
    text = Elements(path.read_text()).text
    assert "Probable leakage: cheat" in text
    (line,) = page(path.parent / "results", scorers).warnings
    assert line.startswith("balls 10→10: Probable leakage: cheat")
    assert "▲ above ceiling" in text
    assert "with a score that no honest prediction can have" in text


def test_differences_are_those_of_a_plain_bootstrap(written, make, scorers):
    a, b = make("a", 1.0), make("b", 1.3)
    html = written([a, b]).read_text()
    (sentence,) = set(re.findall(r'data-sentence="(a − b: [^"]*)"', html))
    errors = [np.array(record.statistics["d/squared_error"]) for record in (a, b)]
    difference = -10 * np.log10(errors[0].mean()) + 10 * np.log10(errors[1].mean())
    draws = np.random.default_rng(1).integers(0, 30, (20_000, 30))
    resampled = -10 * np.log10(errors[0][draws].mean(1)) + 10 * np.log10(errors[1][draws].mean(1))
    low, high = np.quantile(resampled, [0.025, 0.975])
    told = [float(number.replace("−", "-")) for number in re.findall(r"[+−]\d+\.\d+", sentence)]
    assert told == pytest.approx([difference, low, high], abs=0.01)
    assert "a is significantly better" in sentence


def test_curves_hold_what_the_records_hold(some_page, some_records):
    data = data_of(some_page.read_text())
    models = {model["label"]: key for key, model in data["models"].items()}
    (record,) = [r for r in some_records() if r.model["name"] == "alpha" and r.task["horizon"] == 20]
    (board,) = [board for board in data["boards"].values() if board["name"] == "balls 10→20"]
    for curve in board["curves"]:
        (line,) = [line for line in curve["lines"] if line["model"] == models["alpha"]]
        score = record.scores[curve["title"]]
        assert line["value"] == pytest.approx(score["per_step"], rel=1e-5)
        assert line["stderr"] == pytest.approx(score["per_step_stderr"], rel=1e-2)
        # a line per seed
        assert sum(line["model"] == models["beta, 2 seeds"] for line in curve["lines"]) == 2


def test_the_same_records_give_the_same_bytes_in_any_order(tmp_path, some_records, scorers):
    for name, records in (("one", some_records()), ("two", some_records()[::-1])):
        for record in records:
            write_record(tmp_path / name / "results", record)
    one, two = (page(tmp_path / name / "results", scorers).html for name in ("one", "two"))
    assert one == two


def test_the_policy_lists_just_the_scripts_and_styles_that_are_there(some_page):
    html = some_page.read_text()
    (policy,) = [a["content"] for tag, a in Elements(html).found if a.get("http-equiv") == "Content-Security-Policy"]
    directives = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert directives["default-src"] == ["'none'"]
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        inside = re.findall(rf"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inside]
        assert directives[directive] == [f"'sha256-{each}'" for each in hashes]
    assert not re.search(
        r"(?:src|href)=[\"']?(?:https?:)?//", re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    )


def test_no_attribute_is_a_style_or_a_handler(some_page):
    for tag, attributes in Elements(some_page.read_text()).found:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag


def test_headings_go_down_one_at_a_time_and_every_control_has_a_name(some_page):
    html = some_page.read_text()
    levels = [int(tag[1]) for tag, _ in Elements(html).found if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for tag, attributes in Elements(html).found:
        if tag == "th":
            assert attributes.get("scope") in ("col", "row", "colgroup")


def test_a_metric_that_nobody_ranks_by_leaves_no_matrix(written, make):
    html = written([make("a"), make("b")], scorers={}).read_text()
    assert "Is the difference real?" not in html
    assert "no ranks" in Elements(html).text


def test_conventions_are_columns_of_their_own_folded_in(written, make):
    html = written([make("a", extra=("openstl-mse",)), make("b", extra=("openstl-mse",))]).read_text()
    elements = Elements(html)
    assert "convention openstl" in elements.text
    boxes = [a for tag, a in elements.found if tag == "input" and a.get("class") == "toggle-column"]
    assert [("checked" in box) for box in boxes] == [True, True, True, False]


# ----------------------------------------------------------------------------------------------------- the command line


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(main, ["report", *map(str, args)], prog_name="vpbench")


def test_report_writes_a_page_of_the_committed_results(run, tmp_path):
    done = run("--results", ROOT / "results", "--context", 10, "--horizon", 10, "--output", "deep/board.html")
    assert done.exit_code == ExitCode.OK, done.output
    assert "page: deep/board.html" in done.output
    html = (tmp_path / "deep/board.html").read_text()
    text = Elements(html).text
    assert "moving-mnist" in text
    assert "latentode" in text
    assert [board["name"] for board in data_of(html)["boards"].values()] == ["moving-mnist 10→10"]


def test_an_unreadable_record_is_named_on_stderr_and_on_the_page(run, tmp_path, make):
    write_record("results", make("good"))
    bad = write_record("results", make("bad"))
    bad.write_text(bad.read_text()[:100])
    done = run()
    assert done.exit_code == ExitCode.DATA
    assert str(bad) in done.stderr
    text = Elements((tmp_path / "report.html").read_text()).text
    assert "1 thing could not be used" in text
    assert str(bad) in text
    assert "good" in text


def test_where_no_record_can_be_read_the_page_says_why(run, tmp_path, make):
    bad = write_record("results", make("bad"))
    bad.write_text("{")
    done = run()
    assert done.exit_code == ExitCode.DATA
    assert str(bad) in Elements((tmp_path / "report.html").read_text()).text


def test_without_records_there_is_no_page(run, tmp_path):
    (tmp_path / "results").mkdir()
    done = run()
    assert done.exit_code == ExitCode.USAGE
    assert done.stderr.strip() == (
        "vpbench: no records in results: make some with vpbench run, or name another folder with --results"
    )
    assert not (tmp_path / "report.html").exists()


def test_a_folder_that_is_not_there_is_named(run):
    done = run("--results", "nowhere")
    assert done.exit_code == ExitCode.USAGE
    assert "there is no results folder nowhere" in done.stderr


def test_an_output_that_cannot_be_written_is_one_line(run, make, tmp_path):
    write_record("results", make("good"))
    (tmp_path / "file").write_text("")
    done = run("--output", "file/report.html")
    assert done.exit_code == ExitCode.STORAGE
    assert len(done.stderr.strip().splitlines()) == 1
    assert "cannot write file/report.html" in done.stderr


def test_a_metric_that_no_record_holds_is_an_error(tmp_path, make, scorers):
    write_record(tmp_path, make("good"))
    with pytest.raises(UsageError, match="no record holds the metric 'beauty'"):
        page(tmp_path, scorers, metric="beauty")


def test_published_rows_beside_the_records_have_tables_of_their_own(tmp_path, make, scorers):
    write_record(tmp_path, make("good"))
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "paper.toml").write_text(
        """
        schema = 1
        caveats = { wrapped = "Eight bits <wrapped> around." }
        source = { title = "A & B", document = "A paper", evidence = "read" }
        protocol = { dataset = "cubes", split = "test", context = 10, horizon = 10, convention = "theirs" }
        [[row]]
        model = "<b>Bold</b>"
        scores = { mse = 29.8, psnr = 38.35 }
        wrong = { psnr = "wrapped" }
        """
    )
    html = page(tmp_path, scorers).html
    text = Elements(html).text
    assert "Published elsewhere" in text
    assert "<b>Bold</b>" in text
    assert "Eight bits <wrapped> around." in text
    assert "<del>38.35</del>" in html
    assert "<del>29.8</del>" not in html


# ------------------------------------------------------------------------------------------------------------ packaging


def test_what_the_page_is_made_of_goes_into_the_wheel():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["vpbench"]
    core = ROOT / "vpbench"
    packed = {path for pattern in patterns for path in core.glob(pattern) if path.is_file()}
    there = {path for path in (core / "report").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert there
    assert there <= packed


def test_the_chart_library_is_the_one_its_note_says():
    vendor = ROOT / "vpbench/report/vendor/uplot"
    from vpbench.report.page import CHARTS

    version = CHARTS.split()[1]
    assert (
        (vendor / "uPlot.iife.min.js").read_text().startswith(f"/*! https://github.com/leeoniya/uPlot (v{version}) */")
    )
    assert f"uPlot {version} " in (vendor / "README.md").read_text()
    assert "MIT License" in (vendor / "LICENSE").read_text()
