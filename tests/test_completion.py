"""TAB in a shell: what is offered, by click's protocol and in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from vpbench import registry
from vpbench.cli import main
from vpbench.errors import ExitCode

HEAVY = {"torch", "numpy", "pandas", "numba", "torchdiffeq"}


def offered(line: str, kind: str = "plain") -> list[str]:
    """What bash is told when TAB is pressed at the end of a line; a blank there asks for the next word."""
    words = line.split(" ")
    environment = {"_VPBENCH_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    result = CliRunner().invoke(main, [], prog_name="vpbench", env=environment)
    assert not isinstance(result.exception, Exception), result.exception
    assert result.stderr == ""
    pairs = [each.partition(",") for each in result.stdout.splitlines()]
    return [name for of, _, name in pairs if of == kind]


class TestWhatIsOffered:
    def test_commands_and_options(self) -> None:
        assert {"run", "report", "rescore"} <= set(offered("vpbench r"))
        assert offered("vpbench data ") == ["get"]
        assert "--horizon" in offered("vpbench run --h")

    def test_models_and_files(self) -> None:
        assert set(offered("vpbench run --model ")) == set(registry.load().models())
        assert offered("vpbench run --model latent") == ["latentode", "latentode-entangled", "latentode-small"]
        assert offered("vpbench run --model my_", "file") == ["my_"]

    def test_datasets(self) -> None:
        assert set(offered("vpbench train --dataset ")) == set(registry.load().datasets())
        assert offered("vpbench data get moving") == ["moving-mnist-toronto"]  # the other needs no download

    def test_metrics_and_their_conventions(self) -> None:
        found = offered("vpbench run --metrics openstl")
        assert found[-1] == "openstl"
        assert "openstl-ssim" in found
        assert "default" in offered("vpbench run --metric d")
        assert "openstl" not in offered("vpbench leaderboard --metric openstl")  # no board is ranked by a group

    def test_devices(self) -> None:
        assert offered("vpbench run --device c") == ["cpu", "cuda"]

    def test_record_files_are_left_to_the_shell(self) -> None:
        assert offered("vpbench verify results/mov", "file") == ["results/mov"]
        assert offered("vpbench compare results/mov", "file") == ["results/mov"]

    def test_shells(self) -> None:
        assert offered("vpbench completion ") == ["bash", "zsh", "fish"]


def parameters(command: click.Command = main, path: str = "vpbench") -> Iterator[tuple[str, click.Parameter]]:
    """Every parameter of every command, as the words before its value."""
    for parameter in command.params:
        yield f"{path} {parameter.opts[-1]}" if parameter.param_type_name == "option" else path, parameter
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from parameters(each, f"{path} {name}")


NAMED = {"--model": "models", "--dataset": "datasets", "--metric": "metrics", "--metrics": "metrics"}
NAMING = [(line, parameter) for line, parameter in parameters() if set(parameter.opts) & NAMED.keys()]


@pytest.mark.parametrize(("line", "parameter"), NAMING, ids=[line for line, _ in NAMING])
def test_every_option_that_takes_a_name_offers_those_installed(line: str, parameter: click.Parameter) -> None:
    kind = next(NAMED[option] for option in parameter.opts if option in NAMED)
    if parameter.make_metavar(click.Context(main)) == "FILE.py:CLASS":
        assert offered(f"{line} ", "file") == [""]
    else:
        assert set(offered(f"{line} ")) >= set(getattr(registry.load(), kind)()), "give it shell_complete=names...."


class TestManners:
    def run(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        asked = {"_VPBENCH_COMPLETE": "bash_complete", "COMP_WORDS": "vpbench run --model ", "COMP_CWORD": "3"}
        return subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **asked, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def test_it_imports_nothing_heavy(self) -> None:
        code = (
            "import sys\nsys.argv = ['vpbench']\nfrom vpbench.cli import main\n"
            "try:\n    main(prog_name='vpbench')\nfinally:\n    print(*sys.modules, file=sys.stderr)"
        )
        done = self.run(code)
        assert "plain,latentode" in done.stdout.splitlines()
        assert not HEAVY & set(done.stderr.split())

    def test_plugins_that_fail_print_or_hang_cost_nothing_but_their_names(self, tmp_path: Path) -> None:
        info = tmp_path / "rude-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rude\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[vpbench]\nraises = raises\nprints = prints\nhangs = hangs\n")
        (tmp_path / "raises.py").write_text("raise RuntimeError")
        (tmp_path / "prints.py").write_text("import sys; print('plain,nonsense'); print('oh', file=sys.stderr)")
        (tmp_path / "hangs.py").write_text("import time; time.sleep(100)")
        code = "import sys; sys.argv = ['vpbench']; from vpbench.cli import main; main(prog_name='vpbench')"
        done = self.run(
            code,
            PYTHONPATH=str(tmp_path),
            VPBENCH_PLUGINS="raises,prints,hangs,baselines",
            VPBENCH_PLUGIN_ERRORS="raise",
        )
        assert done.stderr == ""
        assert done.stdout.split() == [
            "file,",
            "plain,black",
            "plain,context-mean",
            "plain,convlstm",
            "plain,convlstm-large",
            "plain,convlstm-small",
            "plain,copy-appearance",
            "plain,copy-last",
            "plain,linear-blend",
            "plain,phydnet",
            "plain,phydnet-small",
            "plain,train-mean",
        ]


class TestTheScript:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_it_says_how_to_install_it(self, shell: str) -> None:
        result = CliRunner().invoke(main, ["completion", shell], prog_name="vpbench")
        assert result.exit_code == ExitCode.OK
        assert f"_VPBENCH_COMPLETE={shell}_complete" in result.stdout
        assert result.stdout.splitlines()[-1].startswith("# To have it in every new shell, once:  ")
        assert f"vpbench completion {shell}" in result.stdout.splitlines()[-1]

    def test_another_shell_is_refused_in_one_line(self) -> None:
        result = CliRunner().invoke(main, ["completion", "tcsh"], prog_name="vpbench")
        assert result.exit_code == ExitCode.USAGE
        assert len(result.stderr.splitlines()) == 1
        assert "'bash', 'zsh', 'fish'" in result.stderr

    @pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
    def test_a_real_bash_completes_with_it(self, tmp_path: Path) -> None:
        """The script is evaluated as its installation line does, and bash's own function for `vpbench` is called."""
        command = tmp_path / "vpbench"
        command.write_text(f"#!{sys.executable}\nfrom vpbench.cli import main\nmain(prog_name='vpbench')\n")
        command.chmod(0o755)
        script = """
            eval "$(vpbench completion bash)"
            COMP_WORDS=(vpbench run --model laten); COMP_CWORD=3
            $(complete -p vpbench | sed 's/.*-F \\([^ ]*\\) .*/\\1/') vpbench
            echo "${COMPREPLY[@]}"
        """
        environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, check=False
        )
        # compopt is for functions that bash calls on TAB, and says so to others
        assert done.stdout.split() == ["latentode", "latentode-entangled", "latentode-small"], done.stderr
