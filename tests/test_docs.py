"""What the documentation says is what the program does."""

import dataclasses
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from vpbench import registry
from vpbench.cli import main
from vpbench.errors import ExitCode, UsageError
from vpbench.plan import Request

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]
)


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


FENCED = re.compile(r"^```\w*\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)

#: A fenced block, and the file it is the content of, where the line before it says so: "`name.py`:" for all to read, or
#: a comment that only this test reads.
BLOCK = re.compile(
    r"(?:^(?:<!-- file: (?P<hidden>\S+) -->|`(?P<shown>[\w./-]+)`:)\n+)?^```(?P<language>\w+)\n(?P<text>.*?)^```",
    flags=re.MULTILINE | re.DOTALL,
)


def command_lines():
    for page in PAGES:
        text = page.read_text()
        fenced = [line for block in FENCED.findall(text) for line in block.replace("\\\n", " ").splitlines()]
        inline = [" ".join(code.split()) for code in re.findall(r"`(vpbench\s[^`]+)`", FENCED.sub("", text))]
        for line in fenced + inline:
            if line.startswith("vpbench "):
                yield pytest.param(line, id=f"{page.parent.name}/{page.name}: {line[:60]}")


def parsed(line):
    """The click context of a command line, and what is not known raises click.UsageError; None: a name, no command."""
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = main
    while isinstance(command, click.Group) and words:
        command = command.commands[words.pop(0)]
    return command.make_context(command.name, words) if words or not has_to_be_told(command) else None


def has_to_be_told(command):
    return isinstance(command, click.Group) or command.name == "run" or any(each.required for each in command.params)


def run_request(line):
    """What a `vpbench run` asks for without its grid file, as the program does it; None: not such a line."""
    context = parsed(line)
    if context is None or context.command.name != "run" or context.params["grid"]:
        return None
    names = {each.name for each in dataclasses.fields(Request)}
    return Request(**{key: value for key, value in context.params.items() if key in names and value not in (None, ())})


@pytest.mark.parametrize("line", list(command_lines()))
def test_every_command_in_the_docs_is_one_the_program_has(line):
    parsed(line)


@pytest.mark.parametrize("line", list(command_lines()))
def test_every_run_in_the_docs_says_all_that_a_run_needs(line):
    request = run_request(line)  # raises UsageError for what makes no sense
    if request is not None and not request.datasets and not request.weights:
        models = registry.load().models()
        if parsed(line).params["train_budget"]:  # then it is the one that all installed weights are for
            assert len({each.dataset for model in models.values() for each in model.spec.weights}) == 1
            return
        assert any(models[name].spec.weights for name in request.models if name in models), "which dataset?"


@pytest.mark.parametrize(
    "line",
    ["vpbench run --model my-model", "vpbench run --dataset moving-mnist --set digits=3", "vpbench run --clips 3"],
)
def test_a_run_that_says_too_little_would_be_found(line):
    with pytest.raises(UsageError, match="nothing to run"):
        run_request(line)


def test_the_docs_show_commands():
    lines = [each.values[0] for each in command_lines()]
    assert len(lines) > 10
    assert "vpbench run --model fading-memory --dataset moving-mnist --horizon 90" in lines  # in running text


def test_every_exit_code_is_documented():
    rows = [row.split("|") for row in (ROOT / "docs" / "exit-codes.md").read_text().splitlines()]
    documented = {int(row[1]): row[2].strip() for row in rows if len(row) > 2 and row[1].strip().isdigit()}
    assert documented == {code.value: code.name for code in ExitCode}


def test_the_plugin_of_the_readme_is_installed_and_runs(tmp_path):
    """As it stands there: its files, an entry point as pip would write it, the command of the README on few clips."""
    (pyproject,) = (text for text in blocks(ROOT / "README.md", "toml") if "entry-points" in text)
    (module,) = (text for text in blocks(ROOT / "README.md", "python") if "vpbench_models" in text)
    (tmp_path / "fading_memory.py").write_text(module)
    info = tmp_path / "fading_memory-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fading-memory\nVersion: 0.1.0\n")
    entry = re.search(r"\[project.entry-points.vpbench\]\n(.*)", pyproject)[1].replace('"', "")
    (info / "entry_points.txt").write_text(f"[vpbench]\n{entry}\n")
    command = ["run", "--model", "fading-memory", "--dataset", "moving-mnist", "--horizon", "3", "--clips", "2"]
    done = subprocess.run(
        [sys.executable, "-c", "from vpbench.cli import main; main()", *command, "--results", str(tmp_path / "runs")],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "fading-memory" in done.stdout


# ------------------------------------------------------------------------------------------------- blocks of Python


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of Python in a page."""

    file: str | None  # what it is the content of; None: it is run
    text: str
    line: int  # of the page, where its first line stands

    @property
    def code(self):
        """With as many empty lines before it as the page has, so that a traceback names the line of the page."""
        return "\n" * (self.line - 1) + self.text


def python_blocks(text):
    for match in BLOCK.finditer(text):
        if match["language"] == "python":
            line = text.count("\n", 0, match.start("text")) + 1
            yield Block(match["hidden"] or match["shown"], match["text"], line)


def run_page(page, folder):
    """Run the blocks of a page in order, in one namespace, as a reader would type them; files are put in the folder."""
    namespace = {"__name__": "__main__"}
    for block in python_blocks(page.read_text()):
        code = compile(block.code, str(page), "exec")
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        else:
            exec(code, namespace)


WITH_PYTHON = [page for page in PAGES if any(python_blocks(page.read_text()))]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_the_python_of_every_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    run_page(page, tmp_path)


def test_a_block_that_fails_is_found_with_its_line(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "`mine.py`:\n\n```python\nVALUE = 3\n```\n\n```python\nimport sys\n```\n\n```python\nassert sys is None\n```\n"
    )
    with pytest.raises(AssertionError) as failure:
        run_page(page, tmp_path)
    assert failure.traceback[-1].lineno + 1 == 12
    assert (tmp_path / "mine.py").read_text() == "VALUE = 3\n"


def test_what_is_a_file_and_what_is_run():
    shown = "`a/b.py`:\n\n```python\n1\n```\n\n"
    hidden = "<!-- file: c.py -->\n```python\n2\n```\ntext\n\n"
    run = "```python\n3\n```\n```sh\n4\n```\n"
    assert [(each.file, each.text, each.line) for each in python_blocks(shown + hidden + run)] == [
        ("a/b.py", "1\n", 4),
        ("c.py", "2\n", 9),
        (None, "3\n", 14),
    ]
