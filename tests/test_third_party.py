"""What strangers write, built into wheels, installed, checked, tested and run outside the tree.

That is what `vpbench new` writes, and the plugins that README.md and docs/plugins.md show. The environment is one of
its own that borrows the packages of this one, so that torch is not installed again; `.ci/third-party` takes an empty
one.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from vpbench import registry
from vpbench.specs import CAPABILITIES
from vpbench.testing.subjects import checks_for, installed

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")


def shown_files(page: str) -> dict[str, str]:
    """The files that a page shows: name -> text."""
    return dict(re.findall(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL))


@dataclass
class Elsewhere:
    """An environment of its own, and a folder with the packages that were written and installed there."""

    folder: Path
    python: Path

    def __call__(self, *command: object, code: int = 0) -> str:
        """The output of a command of this environment, which has to end with this code."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("VPBENCH_", "PYTHON"))}
        environment |= {"OMP_NUM_THREADS": "1", "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            [*map(str, command)], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, f"{shlex.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def vpbench(self, *arguments: object, code: int = 0) -> str:
        return self(self.python, "-c", "from vpbench.cli import main; main()", *arguments, code=code)


#: What `vpbench new` is asked for: name -> kind, options.
WRITTEN = {
    "slow-motion": ("model", ()),
    "tiny-net": ("model", ("--trainable", "--author", "Ada Lovelace <ada@example.org>")),
    "ball-in-a-box": ("dataset", ()),
    "root-error": ("metric", ()),
}


#: What the documentation shows: name of its distribution -> the page.
SHOWN = {"fading-memory": README, "three-plugins": PAGE}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Elsewhere:
    """The packages, written, built into wheels and installed."""
    folder = tmp_path_factory.mktemp("outside")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    # addsitedir, not a bare path: what is installed here from a checkout is found by .pth files of its own
    borrowed = sysconfig.get_path("purelib")
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "env"), "platbase": str(folder / "env")}))
    (own / "borrowed.pth").write_text(f"import site; site.addsitedir({borrowed!r})\n")
    there = Elsewhere(folder, python)
    for name, (kind, options) in WRITTEN.items():
        there.vpbench("new", kind, name, *options)
    for name, page in SHOWN.items():
        for path, text in shown_files(page).items():
            (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / path).write_text(text)
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet")
    there(
        python, "-m", "pip", "wheel", *offline, "--wheel-dir", "wheels", *(f"./{name}" for name in [*WRITTEN, *SHOWN])
    )
    for name in WRITTEN:  # what is tested is the wheel: neither the sources nor what building left there
        (folder / name / "src").rename(folder / name / "not-importable")
    wheels = sorted(str(path) for path in (folder / "wheels").glob("*.whl"))
    assert len(wheels) == len(WRITTEN) + len(SHOWN)
    there(python, "-m", "pip", "install", *offline[:1], *offline[2:], *wheels)
    return there


def test_what_was_written_is_listed_with_what_else_is_installed(elsewhere):
    lines = elsewhere.vpbench("plugins").splitlines()
    listed = {(row[0], row[1]): row[3:5] for row in map(str.split, lines[1:])}
    for name, (kind, _) in WRITTEN.items():
        assert listed[kind, name] == [name, "0.1.0"]
    assert ("model", "copy-last") in listed


def test_what_was_written_is_what_is_imported(elsewhere):
    code = "import slow_motion, vpbench; print(slow_motion.__file__, vpbench.__file__, sep='\\n')"
    theirs, ours = map(Path, elsewhere(elsewhere.python, "-c", code).splitlines())
    assert theirs.is_relative_to(elsewhere.folder / "env")
    assert ours.is_relative_to(Path(registry.__file__).parent)


#: Several commands in one process, which imports torch once.
CHECKING = """
import sys
from vpbench.cli import main
for name in sys.argv[1:]:
    try:
        main(["check", name])
    except SystemExit as end:
        if end.code:
            raise
"""


def test_what_was_written_and_what_the_page_shows_passes_the_check(elsewhere):
    kinds = {name: kind for name, (kind, _) in WRITTEN.items()}
    kinds |= {"dimming": "model", "drifting-noise": "dataset", "worst-pixel": "metric", "fading-memory": "model"}
    told = elsewhere(elsewhere.python, "-c", CHECKING, *kinds)
    counts = dict(re.findall(r"^(\w+ [\w-]+): (\d+ passed, \d+ failed)", told, flags=re.MULTILINE))
    assert counts.keys() == {f"{kind} {name}" for name, kind in kinds.items()}
    for count in counts.values():
        passed, failed = map(int, re.findall(r"\d+", count))
        assert (passed >= 10, failed) == (True, 0), told


def test_the_tests_that_were_written_and_the_one_that_the_page_shows_pass(elsewhere):
    files = ["three-plugins/tests/test_contract.py"]
    files += [f"{name}/tests/test_{name.replace('-', '_')}.py" for name in WRITTEN]
    quiet = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--rootdir=.")
    told = elsewhere(elsewhere.python, "-m", "pytest", *quiet, "--junit-xml=report.xml", *files)
    report = (elsewhere.folder / "report.xml").read_text(encoding="utf-8")
    ran = {file: len(re.findall(rf'classname="[^"]*{Path(file).stem}"', report)) for file in files}
    assert min(ran.values()) >= 10, f"{ran}\n{told}"


def test_what_was_written_is_trained_run_and_ranked(elsewhere):
    small = ["--context", 4, "--horizon", 3]
    elsewhere.vpbench(
        *("train", "--model", "tiny-net", "--dataset", "ball-in-a-box", *small, "--budget", "12updates"),
        *("--batch-size", 4, "--output", "net.safetensors"),
    )
    asked = ["--model", "slow-motion", "--model", "tiny-net", "--weights", "net.safetensors", *small, "--clips", 4]
    asked += ["--dataset", "ball-in-a-box", "--dataset", "moving-mnist", "--metric", "mse", "--metric", "root-error"]
    shown = elsewhere.vpbench("run", *asked, "--set", "frame_size=32")  # as large as those it was trained on
    assert not re.search("failed|refused|skipped", shown), shown
    board = elsewhere.vpbench("leaderboard", "--results", "runs", "--metric", "root-error")
    of_balls = board[board.index("ball-in-a-box") : board.index("moving-mnist")]
    for row in ("slow-motion", "tiny-net", "black", "copy-last", "context-mean", "train-mean"):
        assert row in of_balls
    assert "root-error" in of_balls
    of_digits = board[board.index("moving-mnist") :]
    assert "slow-motion" in of_digits
    assert "tiny-net" in of_digits


# ------------------------------------------------------------------------------------------------- as the pages show it


def commands(page: str, beginning: str) -> list[str]:
    """The command lines in a page's blocks that begin so."""
    return re.findall(rf"^{re.escape(beginning)}[^\n#`]*", page, flags=re.MULTILINE)


def test_the_plugins_of_the_pages_run_together(elsewhere):
    (line,) = commands(PAGE, "vpbench run --model dimming")
    asked = [*shlex.split(line)[1:], "--model", "fading-memory", "--clips", 4, "--results", "page"]
    told = elsewhere.vpbench("run", *asked[1:])
    assert not re.search("failed|refused|skipped", told), told
    for model in ("dimming", "fading-memory", "copy-last"):
        assert f"ok   {model} on drifting-noise 10→10: " in told
    assert "worst-pixel ↓" in told[told.index("drifting-noise, 10→10") :]


def test_the_model_of_the_page_that_is_trained_learns(bench, monkeypatch):
    monkeypatch.delenv("VPBENCH_PLUGINS")
    (bench.folder / "brightening.py").write_text(shown_files(PAGE)["brightening.py"])
    (line,) = commands(PAGE, "vpbench train")
    given = line.replace("--budget 2m", "--budget 10updates --batch-size 2 --output brightening.safetensors")
    result = bench(*shlex.split(given)[1:])
    assert result.exit_code == 0, result.output
    assert (bench.folder / "brightening.safetensors").is_file()


def test_the_model_of_the_page_takes_20_lines():
    model = shown_files(PAGE)["dimming.py"]
    assert len([line for line in model.splitlines() if line]) <= 20


# --------------------------------------------------------------------------------------- what the page says of the code


def rows(page: str, block: str) -> list[tuple[str, ...]]:
    """The rows of the table between two markers of a page."""
    (text,) = re.findall(rf"<!-- {block} -->\n(.*?)<!-- /{block} -->", page, flags=re.DOTALL)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in re.split(r"(?<!\\\\)\|", line.strip("|"))) for line in lines[2:]]


def test_the_page_lists_the_capabilities_there_are():
    assert rows(PAGE, "capabilities") == [(f"`{name}`", says) for name, says in CAPABILITIES.items()]


def checks_of(kind: str) -> list[tuple[str, str]]:
    """Name and rule of each check there is for a kind of plugin, as the page is to have them."""
    example = {"model": "copy-last", "dataset": "moving-mnist", "metric": "mse"}[kind]
    checks = checks_for(installed(kind, example), overfit=kind == "model")
    return [(f"`{each.name}`", each.sentence.rstrip(".").replace("|", "\\|")) for each in checks]


@pytest.mark.parametrize("kind", ["model", "dataset", "metric"])
def test_the_page_lists_every_check_with_its_rule(kind):
    expected = checks_of(kind)
    table = "\n".join(["| check | rule |", "|---|---|", *(f"| {name} | {rule} |" for name, rule in expected)])
    assert rows(PAGE, f"{kind} checks") == expected, f"put this between the markers of docs/plugins.md:\n{table}"


def test_the_page_names_every_variable_for_authors():
    read = set(re.findall(r'"(VPBENCH_PLUGIN\w*)"', Path(registry.__file__).read_text(encoding="utf-8")))
    assert read == set(re.findall(r"^\| `(VPBENCH_PLUGIN\w*)=", PAGE, flags=re.MULTILINE))
