"""`vpbench cite`: BibTeX of what a board used, read back by another program's parser."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bibtexparser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpbench.citations import bibliography, works_of
from vpbench.registry import Registry
from vpbench.results import Record, cell_id

ROOT = Path(__file__).parents[1]

LECUN = "@article{lecun1998, title={Gradient-based learning}, author={LeCun, Yann}, year={1998}}"


def parsed(text: str) -> dict[str, dict[str, str]]:
    """The entries of a .bib file by key, as bibtexparser reads it: no block it cannot read, no key twice."""
    library = bibtexparser.parse_string(text)
    assert library.failed_blocks == []
    return {
        entry.key: {"type": entry.entry_type, **{each.key: each.value for each in entry.fields}}
        for entry in library.entries
    }


def comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.startswith("%"))


def changed(path: Path, **about: Any) -> None:
    """Change what a record says beside numbers."""
    document = json.loads(path.read_text())
    document["about"] |= about
    path.write_text(json.dumps(document))


@pytest.fixture
def cite(bench, monkeypatch: pytest.MonkeyPatch):
    """`vpbench cite` of records of a small run; the text and its entries."""
    assert bench.run("Last", "--metric", "ssim", "--metric", "mse", "--metric", "openstl", clips=2).exit_code == 0

    def cited(*args: object) -> tuple[str, Mapping[str, Mapping[str, str]]]:
        result = bench("cite", "--results", "runs", *args)
        assert result.exit_code == 0, result.stderr
        return result.stdout, parsed(result.stdout)

    return cited


class TestCommand:
    def test_the_committed_board_is_cited(self, bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("VPBENCH_PLUGINS")
        result = bench("cite", "--results", ROOT / "results")
        assert result.exit_code == 0, result.stderr
        entries = parsed(result.stdout)
        assert next(iter(entries)) == "vpbench"
        assert {"srivastava2015unsupervised", "lecun1998gradient", "wang2004ssim", "milletari2016"} <= entries.keys()
        assert entries["wang2004ssim"]["type"] == "article"
        assert entries["wang2004ssim"]["year"] == "2004"
        assert entries["milletari2016"]["type"] == "misc"
        assert entries["milletari2016"]["note"].startswith("Milletari, Navab and Ahmadi, V-Net: ")
        assert "% for metric foreground-ssim, metric ssim\n@article{wang2004ssim" in result.stdout
        assert "model black" in comments(result.stdout)
        assert bench("cite", "--results", ROOT / "results").stdout == result.stdout

    def test_a_work_is_listed_once_however_many_use_it(self, cite) -> None:
        text, entries = cite()
        assert "% for metric openstl-mae, metric openstl-mse, " in text
        titles = [" ".join(entry.get("note", entry.get("title", "")).split()).lower() for entry in entries.values()]
        assert len(titles) == len(set(titles))
        assert sum("openstl" in title for title in titles) == 1

    def test_the_versions_of_vpbench_are_those_of_the_records(self, bench, cite) -> None:
        path = bench.record("last")["path"]
        document = json.loads(path.read_text())
        document["software"]["vpbench"] = "9.8.7"
        path.write_text(json.dumps(document))
        assert cite()[1]["vpbench"]["note"] == "Version 9.8.7"

    def test_what_models_and_datasets_cite_is_taken_from_the_record(self, bench, cite) -> None:
        changed(bench.record("last")["path"], cites=[LECUN, "Nobody & Sons, 100% of {it}, 2021"])
        text, entries = cite()
        assert entries["lecun1998"]["author"] == "LeCun, Yann"
        assert entries["nobody2021"]["note"] == r"Nobody \& Sons, 100\% of (it), 2021"
        assert entries["nobody2021"]["year"] == "2021"
        assert "% for model last\n@article{lecun1998" in text

    def test_new_records_hold_what_their_metrics_cite(self, bench, cite, monkeypatch: pytest.MonkeyPatch) -> None:
        _, entries = cite()
        monkeypatch.setenv("VPBENCH_PLUGINS", "fakes")  # the metrics are gone
        text, without = cite()
        assert without == entries
        assert "not installed" not in text

    def test_what_is_not_installed_and_left_no_citation_is_said(self, bench, cite, monkeypatch) -> None:
        changed(bench.record("last")["path"], metric_cites=None)
        assert "wang2004ssim" in cite()[1]  # of the installed metric
        monkeypatch.setenv("VPBENCH_PLUGINS", "fakes")
        text, entries = cite()
        assert "wang2004ssim" not in entries
        said = [line for line in text.splitlines() if line.startswith("% not installed here, and their records")]
        assert len(said) == 1
        assert "metric ssim of vpbench-metrics" in said[0]

    def test_a_dataset_and_a_model_can_be_named(self, with_floors, ends_with) -> None:
        assert with_floors.run("Last", "--metric", "mse", clips=2).exit_code == 0
        assert with_floors.run("Last", "--metric", "ssim", clips=2, dataset="ramps").exit_code == 0
        whole, part = (
            with_floors("cite", "--results", "runs", *args).stdout for args in ((), ("--dataset", "squares"))
        )
        assert "wang2004ssim" in parsed(whole)
        assert "wang2004ssim" not in parsed(part)
        alone = with_floors("cite", "--results", "runs", "--model", "black").stdout
        assert "model black" in alone
        assert "model last" not in alone
        result = with_floors("cite", "--results", "runs", "--model", "blck")
        ends_with(result, 2, "no finished record of model 'blck' in runs; did you mean black?")

    def test_folders_without_records_and_bad_records_are_said(self, bench, cite, ends_with) -> None:
        ends_with(bench("cite", "--results", "nowhere"), 2, "there is no results folder nowhere")
        Path("empty").mkdir()
        ends_with(bench("cite", "--results", "empty"), 2, "no finished record in empty")
        path = bench.record("last")["path"]
        (path.parent / "half.json").write_text("{")
        result = bench("cite", "--results", "runs")
        ends_with(result, 4, "half.json", "not a whole JSON file")
        assert "wang2004ssim" in parsed(result.stdout)


def record(cites: Any, name: str = "m") -> Record:
    """A finished record that says it cites this."""
    identity = {
        "model": {"name": name, "version": "1", "config": {}, "weights_sha256": None},
        "dataset": {"name": "d", "version": "1", "config": {}, "fingerprint": "f"},
        "task": {"kind": "extrapolate", "context": 1, "horizon": 1},
        "split": "test",
        "clips": 1,
        "seed": 0,
        "dtype": "float32",
    }
    assert cell_id(identity)
    return Record(identity=identity, status="ok", about={"cites": cites})


class TestEntries:
    def test_keys_are_unique_also_to_a_reader_that_knows_no_case(self) -> None:
        other = LECUN.replace("Gradient-based learning", "Another work")
        cites = [LECUN, other, other.replace("Another", "A third").replace("lecun", "LeCun")]
        entries = parsed(bibliography([record(cites)], Registry([])))
        assert len({key.lower() for key in entries}) == len(entries) == 4
        assert {entry["title"] for entry in entries.values()} >= {"Gradient-based learning", "Another work"}

    def test_one_work_in_two_spellings_is_one(self) -> None:
        again = '@Article{LeCun:98,\n  year = 1998,\n  title = "Gradient-Based {Learning}"\n}'
        text = bibliography([record([LECUN]), record([again], name="n")], Registry([]))
        assert set(parsed(text)) == {"vpbench", "lecun1998"}
        assert "% for model m on d, model n on d\n" in text

    def test_another_year_is_another_work(self) -> None:
        again = LECUN.replace("1998", "2001")
        assert len(parsed(bibliography([record([LECUN, again])], Registry([])))) == 3

    def test_several_entries_in_one_text_are_several_works(self) -> None:
        two = f"{LECUN}\n\n{LECUN.replace('1998', '2001')}"
        assert [work.key for work in works_of(two)] == ["lecun1998", "lecun2001"]

    @pytest.mark.parametrize(
        "text",
        [
            LECUN[:-1],
            f"{LECUN} and more",
            "@article{no title here}",
            "@string{jan = {January}}",
            "LeCun, @misc{x, title={y}}, 1998",
            "100 % sure, ~40 $ & {a_b^c} #1 \\relax, 2020",
            "\x1b[31mred\x1b[0m, 1999",
            "2004",
        ],
    )
    def test_what_is_no_whole_bibtex_is_a_note_that_breaks_nothing(self, text: str) -> None:
        after = "After, a work that must still be found, 2024"
        entries = parsed(bibliography([record([text, after])], Registry([])))
        assert len(entries) == 3
        assert [entry["type"] for entry in entries.values()] == ["misc"] * 3
        assert any(entry.get("note") == after for entry in entries.values())

    def test_what_a_record_should_not_say_is_no_work(self) -> None:
        for cites in ([], [""], ["  "], "text", None, {"a": 1}):
            assert set(parsed(bibliography([record(cites)], Registry([])))) == {"vpbench"}

    def test_a_record_that_failed_used_nothing(self) -> None:
        reason = {"phase": "predict", "type": "X", "message": "y"}
        failed = Record(identity=record([]).identity, status="failed", reason=reason, about={"cites": [LECUN]})
        text = bibliography([failed, record([], name="n")], Registry([]))
        assert set(parsed(text)) == {"vpbench"}

    @given(st.lists(st.text(min_size=1, max_size=60), max_size=4))
    def test_whatever_is_cited_the_file_can_be_read(self, cites: list[str]) -> None:
        works = {work.identity for text in cites for work in works_of(text)}
        assert len(parsed(bibliography([record(cites)], Registry([])))) == len(works) + 1
