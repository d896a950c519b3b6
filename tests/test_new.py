"""`vpbench new`: what it refuses and what it writes. tests/test_third_party.py builds, installs and runs that."""

from __future__ import annotations

import ast
import shlex
import subprocess
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from vpbench import registry
from vpbench.errors import UsageError
from vpbench.scaffold import KINDS, Author, names_for, render
from vpbench.scaffold.names import LONGEST

NOTHING_INSTALLED = registry.Registry([])

#: Every package that it writes: kind, options.
VARIANTS = [("model", ()), ("model", ("--trainable",)), ("dataset", ()), ("metric", ())]


def files_of(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


# ------------------------------------------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("SlowMotion", "name 'SlowMotion': use lower case letters, digits and single dashes (perhaps slow-motion)"),
        ("slow_motion", "(perhaps slow-motion)"),
        ("slow--motion", "(perhaps slow-motion)"),
        ("../slow", "(perhaps slow)"),
        ("ü", "use lower case letters"),
        ("", "name ''"),
        ("3d-net", "would be package '3d_net', which Python cannot import: begin with a letter"),
        ("lambda", "would be 'lambda' in Python, which means something else"),
        ("none", "would be 'None' in Python, which means something else"),
        ("config", "would be 'Config' in Python, which means something else"),
        ("random", "would be package 'random', a module of Python itself"),
        ("torch", "would be package 'torch', as is "),
        ("vpbench-metrics", "would be package 'vpbench_metrics', as is "),
        ("scikit-image", "name 'scikit-image' is that of an installed distribution ("),
        ("a" * (LONGEST + 1), f"has {LONGEST + 1} characters: at most {LONGEST}"),
    ],
)
def test_a_name_that_would_not_work_is_one_line_and_writes_nothing(bench, ends_with, name, says):
    ends_with(bench("new", "model", name), 2, says, "name ")
    assert list(bench.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "name", "source"),
    [
        ("model", "copy-last", "vpbench-baselines"),
        ("dataset", "squares", "vpbench-fakes"),
        ("metric", "mse", "vpbench"),
    ],
)
def test_a_name_that_is_taken_is_refused_with_whose_it_is(with_floors, ends_with, kind, name, source):
    ends_with(with_floors("new", kind, name), 2, f"{kind} '{name}' is provided by {source}", "take another name")
    assert list(with_floors.folder.iterdir()) == []


def test_a_metric_may_be_called_as_a_model_is(with_floors):
    assert with_floors("new", "metric", "copy-last").exit_code == 0


def test_what_is_there_is_never_written_over(bench, ends_with):
    taken = bench.folder / "slow-motion"
    taken.mkdir()
    (taken / "thesis.tex").write_text("ten years of work")
    ends_with(bench("new", "model", "slow-motion"), 2, "slow-motion is not empty, it holds thesis.tex", "--directory")
    (taken / "b.tex").write_text("")
    ends_with(bench("new", "model", "slow-motion"), 2, "it holds b.tex and 1 more")
    ends_with(bench("new", "model", "slow-motion", "--directory", taken / "b.tex"), 2, "b.tex is a file")
    assert files_of(taken) == {"thesis.tex": "ten years of work", "b.tex": ""}


def test_a_place_that_cannot_be_written_is_one_line(bench, ends_with):
    (bench.folder / "file").write_text("")
    ends_with(bench("new", "model", "slow-motion", "--directory", "file/inside"), 5, "file")


@pytest.mark.parametrize("author", ["", "<ada@example.org>", "Ada <ada>", "Ada <a@b> and more", "Ada\x1b[31m", "A\nB"])
def test_an_author_that_no_package_could_have_is_refused(bench, ends_with, author):
    ends_with(bench("new", "model", "slow-motion", "--author", author), 2, "write it as 'Ada Lovelace'")
    assert list(bench.folder.iterdir()) == []


def test_only_models_are_trainable(bench, ends_with):
    ends_with(bench("new", "metric", "root-error", "--trainable"), 2, "--trainable")


# ------------------------------------------------------------------------------------------------------- what it writes


def test_it_writes_a_package_and_says_what_to_type_next(bench):
    result = bench("new", "model", "slow-motion", "--directory", "my plugins/slow")
    assert (result.exit_code, result.stderr) == (0, "")
    assert sorted(files_of(bench.folder / "my plugins" / "slow")) == [
        *(".github/workflows/ci.yml", ".gitignore", "LICENSE", "README.md", "pyproject.toml"),
        *("src/slow_motion/__init__.py", "src/slow_motion/model.py", "src/slow_motion/py.typed"),
        "tests/test_slow_motion.py",
    ]
    assert result.stdout.splitlines()[-3:] == [
        "  pip install --editable './my plugins/slow[test]'",
        "  vpbench check slow-motion",
        "  vpbench run --model slow-motion --dataset moving-mnist --horizon 10",
    ]


def test_an_empty_folder_is_filled(bench):
    (bench.folder / "slow-motion").mkdir()
    assert bench("new", "model", "slow-motion").exit_code == 0
    assert (bench.folder / "slow-motion" / "pyproject.toml").is_file()


def test_it_asks_for_a_vpbench_that_keeps_its_contract():
    def range_for(version: str) -> Requirement:
        texts = render("model", names_for("model", "slow-motion", NOTHING_INSTALLED), version=version)
        (found,) = (
            requirement
            for each in tomllib.loads(texts["pyproject.toml"])["project"]["dependencies"]
            if (requirement := Requirement(each)).name == "vpbench"
        )
        return found.specifier

    early, late = range_for("0.3.2"), range_for("2.1.0rc1")
    assert [each for each in ("0.2.9", "0.3.0", "0.3.2", "0.12", "1.0") if each in early] == ["0.3.0", "0.3.2", "0.12"]
    assert [each for each in ("1.9", "2.0.9", "2.1.0", "2.9", "3.0") if each in late] == ["2.1.0", "2.9"]


@pytest.mark.parametrize(
    ("text", "author"),
    [
        ("Ada Lovelace", {"name": "Ada Lovelace"}),
        ('Ada "Countess" Lovelace <ada@example.org>', {"name": 'Ada "Countess" Lovelace', "email": "ada@example.org"}),
        (" Çelik & \\Söhne ", {"name": "Çelik & \\Söhne"}),
    ],
)
def test_the_author_is_named_as_given(bench, text, author):
    assert bench("new", "dataset", "balls", "--author", text).exit_code == 0
    written = files_of(bench.folder / "balls")
    assert tomllib.loads(written["pyproject.toml"])["project"]["authors"] == [author]
    assert f"Copyright (c) {author['name']}\n" in written["LICENSE"]


def test_without_an_author_nobody_is_named(bench):
    assert bench("new", "dataset", "balls").exit_code == 0
    written = files_of(bench.folder / "balls")
    assert "authors" not in tomllib.loads(written["pyproject.toml"])["project"]
    assert "Copyright (c) the authors of balls\n" in written["LICENSE"]


words = st.from_regex(r"[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,8}){0,4}", fullmatch=True)


@settings(max_examples=40, deadline=None)
@given(name=words, kind=st.sampled_from(KINDS), trainable=st.booleans())
def test_any_name_that_is_allowed_gives_python_and_toml_that_say_it(name, kind, trainable):
    try:
        names = names_for(kind, name, NOTHING_INSTALLED)
    except UsageError:
        return
    texts = render(kind, names, version="0.1.0", trainable=trainable and kind == "model")
    project = tomllib.loads(texts["pyproject.toml"])["project"]
    assert project["entry-points"]["vpbench"] == {name: names.package}
    assert project["name"] == name
    implementations = [path for path in texts if path.startswith(f"src/{names.package}/") and path.endswith(".py")]
    assert len(implementations) == 2
    classes = {
        node.name
        for path in [*implementations, f"tests/test_{names.package}.py"]
        for node in ast.walk(ast.parse(texts[path]))
        if isinstance(node, ast.ClassDef)
    }
    assert names.class_name in classes
    assert not any("{{" in text or "{%" in text for text in texts.values())


@given(text=st.text(max_size=30))
def test_an_author_is_read_or_refused_and_never_changed(text):
    try:
        author = Author.parse(text)
    except UsageError:
        return
    assert text.strip() in (author.name, f"{author.name} <{author.mail}>") or author.mail
    assert author.name.strip() == author.name != ""


def test_what_it_writes_is_linted_and_formatted_whatever_the_length_of_the_name(tmp_path):
    names = ["a", "mid-length-name", "-".join(["long"] * (LONGEST // 5))]
    for name in names:
        for kind, options in VARIANTS:
            texts = render(kind, names_for(kind, name, NOTHING_INSTALLED), version="0.1.0", trainable=bool(options))
            for path, text in texts.items():
                target = tmp_path / f"{name}-{kind}{len(options)}" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
    ruff = Path(sysconfig.get_path("scripts")) / "ruff"
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([ruff, *command, "--no-cache", "."], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_ci_file_checks_tests_and_builds(bench):
    assert bench("new", "metric", "root-error").exit_code == 0
    workflow = yaml.safe_load((bench.folder / "root-error" / ".github" / "workflows" / "ci.yml").read_text())
    steps = workflow["jobs"]["test"]["steps"]
    assert [each["uses"].partition("@")[0] for each in steps if "uses" in each] == [
        *("actions/checkout", "actions/setup-python")
    ]
    assert [each["run"].split()[:4] for each in steps if "run" in each][2:] == [
        *(["python", "-m", "pytest"], ["vpbench", "plugins"], ["vpbench", "check", "root-error"]),
        *(["python", "-m", "build"], ["python", "-m", "twine", "check"]),
    ]


def test_every_command_in_what_it_writes_is_one_the_program_has(tmp_path):
    from vpbench.cli import main

    for kind, options in VARIANTS:
        names = names_for(kind, "slow-motion", NOTHING_INSTALLED)
        texts = render(kind, names, version="0.1.0", trainable=bool(options))
        shown = [
            line.removeprefix("- run:").strip()
            for path in ("README.md", ".github/workflows/ci.yml")
            for line in map(str.strip, texts[path].splitlines())
            if line.removeprefix("- run:").strip().startswith("vpbench ")
        ]
        assert len(shown) >= 5
        for line in shown:
            first, *rest = shlex.split(line, comments=True)[1:]
            if rest:
                main.commands[first].make_context(first, rest)
            assert first in main.commands
