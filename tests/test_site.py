"""The site of the documentation: it builds without a warning, holds all there is to know, and needs no network."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

import vpbench
from vpbench import specs
from vpbench.cli import main
from vpbench.errors import VpbenchError

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mkdocs") is None, reason="MkDocs is not installed: pip install -r requirements-docs.txt"
)


def build(root: Path, to: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(to)],
        cwd=root,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


def text_of(page: Path) -> str:
    """The text of a page, as a reader sees it."""
    article = page.read_text(encoding="utf-8").partition("<article")[2].partition("</article>")[0]
    return " ".join(unescape(re.sub(r"<[^>]+>", "", article)).split())


def module(name: str) -> ModuleType:
    """A module of docs/site, which is no package."""
    spec = importlib.util.spec_from_file_location(f"site_{name}", ROOT / "docs" / "site" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


class TestWhatIsOnIt:
    def test_every_page_of_the_docs_and_every_readme(self, site: Path) -> None:
        wanted = [path.relative_to(ROOT / "docs").with_suffix(".html") for path in ROOT.glob("docs/*.md")]
        wanted += [Path("plugins", f"{path.parent.name}.html") for path in ROOT.glob("plugins/*/README.md")]
        wanted += map(Path, ["contributing.html", "changelog.html", "board.html", "commands.html", "readme.html"])
        assert not [path for path in wanted if not (site / path).is_file()]

    def test_every_command_and_every_option_with_its_help(self, site: Path) -> None:
        text = text_of(site / "commands.html")
        for name, command in commands():
            assert name in text
            for option in command.params:
                if isinstance(option, click.Option) and option.help:
                    assert option.opts[0] in text, f"{option.opts[0]} of {name}"
                    assert " ".join(option.help.replace("`", "").split()) in text, f"{option.opts[0]} of {name}"

    @pytest.mark.parametrize("name", [name for name in vpbench.__all__ if name != "hookimpl"])
    def test_every_public_name(self, name: str, site: Path) -> None:
        pages = (site / "contract.html").read_text() + (site / "api.html").read_text()
        assert re.search(rf'id="vpbench\.[\w.]*\.{name}"', pages)

    def test_every_error(self, site: Path) -> None:
        page = (site / "contract.html").read_text()
        missing = [each.__name__ for each in errors(VpbenchError) if f'id="vpbench.errors.{each.__name__}"' not in page]
        assert not missing

    @pytest.mark.parametrize("record", [specs.ModelSpec, specs.DatasetSpec, specs.MetricSpec, specs.Weights])
    def test_every_field_of_a_spec_is_explained(self, record: Any, site: Path) -> None:
        page = (site / "contract.html").read_text()
        section = page.partition(f'id="vpbench.specs.{record.__name__}"')[2].partition('<h3 id="')[0]
        explained = dict(re.findall(r"<td><code>(\w+)</code></td>\s*<td>(.+?)</td>", section))
        fields = [field.name for field in dataclasses.fields(record)]
        assert not [name for name in fields if not explained.get(name)]

    def test_every_rule_of_the_checks(self, site: Path) -> None:
        from vpbench.testing.dataset_checks import DATASET_RULES
        from vpbench.testing.metric_checks import METRIC_RULES
        from vpbench.testing.model_checks import MODEL_RULES

        text = text_of(site / "checks.html")
        assert not [
            rule.__name__ for rule in (*MODEL_RULES, *DATASET_RULES, *METRIC_RULES) if rule.__name__ not in text
        ]

    def test_the_board_of_the_readme(self, site: Path) -> None:
        board = re.search(r"### (moving-mnist, 10→10)\n", (ROOT / "README.md").read_text())
        assert board is not None
        for page in ("index.html", "read-a-board.html"):
            assert board[1] in text_of(site / page)
            assert "bayes (ceiling)" in text_of(site / page)


def commands(group: click.Group = main, prefix: str = "vpbench") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def errors(of: type[VpbenchError]) -> Iterator[type[VpbenchError]]:
    yield of
    for each in of.__subclasses__():
        if each.__module__ == "vpbench.errors":
            yield from errors(each)


class TestItNeedsNoNetwork:
    def test_no_page_names_anything_to_fetch_elsewhere(self, site: Path) -> None:
        pages = list(site.rglob("*.html"))
        assert len(pages) > 20
        for page in pages:
            tags = re.findall(r"<(?:script|img|link|iframe|source)\b[^>]*>", page.read_text(encoding="utf-8"))
            assert not [tag for tag in tags if re.search(r"""(src|href)=["']?(https?:)?//""", tag)], page.name

    def test_what_would_be_fetched_ends_the_build(self) -> None:
        hook = module("without_network")
        with pytest.raises(Exception, match="put it beside the page"):
            hook.on_post_template('<script src="https://cdn.example/x.js"></script>', "404.html", None)
        with pytest.raises(Exception, match="put it beside the page"):
            hook.on_post_template('<link rel="stylesheet" href="//fonts.example/x.css">', "404.html", None)
        kept = '<a href="https://example.org">there</a><link rel="canonical" href="https://example.org">'
        assert hook.on_post_template(kept, "404.html", None) == kept

    def test_a_browser_opens_it_from_the_disk_and_finds_a_page(self, site: Path, browser: Any) -> None:
        asked: list[str] = []
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: asked.append(f"error: {error}"))
        for name in ("index", "commands", "contract", "board", "plugins/vpbench-metrics"):
            page.goto(f"file://{site}/{name}.html")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, f"{name} is wider than a phone"
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"file://{site}/index.html")
        page.get_by_placeholder("Search").first.fill("resampled")
        page.locator(".md-search-result__link").first.wait_for(timeout=10_000)
        page.close()
        assert not [url for url in asked if not url.startswith(("file:", "blob:", "data:"))]


class TestLinks:
    @pytest.fixture
    def copy(self, tmp_path: Path) -> Path:
        """As much of the repository as the site is made of, to break something in."""
        root = tmp_path / "repository"
        shutil.copytree(ROOT / "docs", root / "docs")
        shutil.copytree(ROOT / "results" / "published", root / "results" / "published")
        (root / "vpbench").symlink_to(ROOT / "vpbench")
        listed = ["mkdocs.yml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"]
        listed += ["benchmarks/README.md", "benchmarks/gpu/run.sh"]
        listed += [path.relative_to(ROOT).as_posix() for path in ROOT.glob("results/*.md")]
        listed += [path.relative_to(ROOT).as_posix() for path in ROOT.glob("plugins/*/README.md")]
        for name in listed:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
        for path in ROOT.glob("plugins/*/src"):
            (root / path.relative_to(ROOT)).symlink_to(path)
        return root

    @pytest.mark.parametrize(
        ("link", "told"),
        [
            ("../vpbench/nothing.py", "which is no page and no file of the repository"),
            ("metrics.md#no-such-heading", "does not contain an anchor '#no-such-heading'"),
        ],
    )
    def test_a_link_that_leads_nowhere_ends_the_build(self, copy: Path, tmp_path: Path, link: str, told: str) -> None:
        (copy / "docs" / "page.md").write_text(f"# The page\n\nSee [this]({link}).\n")
        done = build(copy, tmp_path / "site")
        assert done.returncode != 0
        assert told in done.stderr

    def test_links_of_the_repository_lead_to_pages(self, site: Path) -> None:
        assert 'href="contract.html#specs"' in (site / "plugins.html").read_text()
        assert 'href="../metrics.html' in (site / "plugins" / "vpbench-metrics.html").read_text()
        assert (site / "source" / "benchmarks" / "gpu" / "run.sh.html").is_file()


class TestDocstrings:
    def test_comments_on_fields(self) -> None:
        comment = module("docstrings").comment
        lines = [
            "#: above,",
            "#: two lines",
            "A = 1",
            "b: int  #: beside",
            "c: (",
            "    int",
            ")  #: after",
            "#: below",
        ]
        assert comment(lines, 3, 3) == "above, two lines"
        assert comment(lines, 4, 4) == "beside"
        assert comment(lines, 5, 7) == "after below"
        assert comment(["d = 1  # not for readers"], 1, 1) == ""

    def test_names_and_what_they_are_become_a_list(self) -> None:
        text = "Frames.\n\ncontext  what is given,\n         and more\ntimes    when\n\nRaises nothing."
        assert module("docstrings").as_markdown(text) == (
            "Frames.\n\n- `context`: what is given, and more\n- `times`: when\n\nRaises nothing."
        )

    def test_indented_lines_after_two_colons_become_code(self) -> None:
        text = "Like this::\n\n    import vpbench\n\n    def f():\n        pass\n\nand so on."
        assert module("docstrings").as_markdown(text) == (
            "Like this:\n\n```python\nimport vpbench\n\ndef f():\n    pass\n```\n\nand so on."
        )
