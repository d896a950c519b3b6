"""What the documentation says is what the program does."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from vpbench.cli import main
from vpbench.errors import ExitCode

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")])


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def command_lines():
    for page in PAGES:
        for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("vpbench "):
                    yield pytest.param(line, id=f"{page.parent.name}/{page.name}: {line[:60]}")


@pytest.mark.parametrize("line", list(command_lines()))
def test_every_command_in_the_docs_is_one_the_program_has(line):
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = main
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words)  # parses, and raises click.UsageError for what it does not know


def test_the_docs_show_commands():
    assert len(list(command_lines())) > 10


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
