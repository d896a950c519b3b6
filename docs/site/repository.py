"""What of the repository is a page besides docs/, and where links between its files lead on the site.

Links are written as they work in the repository, ``../plugins/vpbench-metrics/README.md``. On the site they lead to the
page that file has become; a source file that somebody links to becomes a page with its text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]

#: File of the repository -> its page, beside those of docs/ and the README files of plugins.
PAGES = {
    "README.md": "readme.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
    "results/board.md": "board.md",
    "results/equal-seconds.md": "equal-seconds.md",
    "results/equal-sequences.md": "equal-sequences.md",
    "results/published/README.md": "results/published.md",
}

#: What a link to a file as a whole means on the site, where it is told there in another way.
INSTEAD = {
    "README.md": "index.md",
    "vpbench/specs.py": "contract.md#specs",
    "vpbench/hookspecs.py": "contract.md#hooks",
    "vpbench/protocols.py": "contract.md#protocols",
    "vpbench/errors.py": "contract.md#errors",
}

#: In a page: the first board of the README.
BOARD = "<!-- the first board -->"

LANGUAGES = {".py": "python", ".toml": "toml", ".sh": "sh", ".json": "json", ".yml": "yaml"}

_LINK = re.compile(r"(?P<before>!?\[[^\]\n]*(?:\n[^\]\n]*)?\]\()(?P<target>[^)\s]+)(?P<after>\))")
_IMAGE_LINK = re.compile(r"(?P<before>\[!\[[^\]]*\]\([^)]*\)\]\()(?P<target>[^)\s]+)(?P<after>\))")
_FENCE = re.compile(r"^```.*?^```", flags=re.MULTILINE | re.DOTALL)

#: Page -> the file of the repository that it is made of.
_origins: dict[str, str] = {}
#: The other way round.
_pages: dict[str, str] = {}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    _origins.clear()
    _pages.clear()
    for file in files.documentation_pages():
        _register(f"docs/{file.src_uri}", file.src_uri)
    plugins = {
        path.relative_to(ROOT).as_posix(): f"plugins/{path.parent.name}.md" for path in ROOT.glob("plugins/*/README.md")
    }
    for origin, uri in {**PAGES, **plugins}.items():
        text = (ROOT / origin).read_text(encoding="utf-8")
        if origin == "README.md":  # all of it is said elsewhere on the site too
            text = f"---\nsearch:\n  exclude: true\n---\n{text}"
        if origin == "results/board.md":
            text = f"# All boards\n\n{text}"
        _add(files, config, origin, uri, text)
    linked = {path for origin in list(_pages) if (ROOT / origin).is_file() for path in _links_of(origin)}
    for path in sorted(linked - _pages.keys() - INSTEAD.keys()):
        source = ROOT / path
        if source.is_file() and not path.startswith("docs/") and source.suffix != ".md":
            text = source.read_text(encoding="utf-8")
            language = LANGUAGES.get(source.suffix, "text")
            page = f"---\nsearch:\n  exclude: true\n---\n# {source.name}\n\n`{path}`\n\n````{language}\n{text}\n````\n"
            _add(files, config, path, f"source/{path}.md", page, in_nav=False)
    return files


def _add(files: Files, config: MkDocsConfig, origin: str, uri: str, text: str, *, in_nav: bool = True) -> None:
    file = File.generated(config, uri, content=text)
    if not in_nav:
        from mkdocs.structure.files import InclusionLevel

        file.inclusion = InclusionLevel.NOT_IN_NAV
    files.append(file)
    _register(origin, uri)


def _register(origin: str, uri: str) -> None:
    _origins[uri] = origin
    _pages[origin] = uri


def _links_of(origin: str) -> set[str]:
    """Files and folders of the repository that a markdown file links to."""
    if not origin.endswith(".md"):
        return set()
    text = _FENCE.sub("", (ROOT / origin).read_text(encoding="utf-8"))
    targets = [match["target"] for pattern in (_LINK, _IMAGE_LINK) for match in pattern.finditer(text)]
    return {_path(origin, target.partition("#")[0]) for target in targets if _is_local(target)}


def _is_local(target: str) -> bool:
    return not re.match(r"[a-z]+:|#|/", target)


def _path(origin: str, target: str) -> str:
    """A target relative to a file, from the root of the repository; of a folder, its README."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
    return f"{path}/README.md" if (ROOT / path / "README.md").is_file() else path


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to pages, and put the board where it is asked for."""
    uri = page.file.src_uri
    if BOARD in markdown:
        markdown = markdown.replace(BOARD, _led(_first_board(), "README.md", uri))
    # Markdown inside of HTML is markdown on GitHub, and here only where it is told so.
    markdown = markdown.replace("<details>", "<details markdown>")
    origin = _origins.get(uri)
    return _led(markdown, origin, uri) if origin else markdown


def _led(markdown: str, origin: str, uri: str) -> str:
    """The text of a file with its links as they are on the site, outside of code."""

    def led(match: re.Match[str]) -> str:
        target = match["target"]
        if not _is_local(target):
            return match[0]
        file, _, anchor = target.partition("#")
        path = _path(origin, file)
        to = None if anchor else INSTEAD.get(path)
        to = to or _pages.get(path)
        if to is None and path.startswith("docs/"):
            to = path.removeprefix("docs/")  # pictures, and what is not there: mkdocs says so
        if to is None:
            raise PluginError(f"{origin} links to {target}, which is no page and no file of the repository")
        to, _, place = to.partition("#")
        relative = posixpath.relpath(to, posixpath.dirname(uri) or ".")
        anchor = anchor or place
        return f"{match['before']}{relative}{'#' + anchor if anchor else ''}{match['after']}"

    parts, end = [], 0
    for fence in [*_FENCE.finditer(markdown), None]:
        start = fence.start() if fence else len(markdown)
        parts.append(_IMAGE_LINK.sub(led, _LINK.sub(led, markdown[end:start])))
        if fence:
            parts.append(fence[0])
            end = fence.end()
    return "".join(parts)


def _first_board() -> str:
    """Of the boards in the README the first one, without its folded tables."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    board = text.partition("<!-- vpbench:leaderboard -->")[2].partition("<details>")[0]
    if "|" not in board:
        raise PluginError("README.md has no board between its markers: run make board")
    return board.strip()
