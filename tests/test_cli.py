"""The front door: help, output, exit codes of each command."""

from __future__ import annotations

import contextlib
import csv
import http.server
import importlib
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from vpbench.cli import main
from vpbench.errors import ExitCode
from vpbench.leaderboard import END, START

COMMANDS = ("run", "train", "plugins", "leaderboard", "compare", "verify", "data", "data get")


class TestHelp:
    @pytest.mark.parametrize("command", ["", *COMMANDS])
    def test_every_command_explains_itself_and_names_the_exit_codes(self, bench, command: str) -> None:
        result = bench(*command.split(), "--help")
        assert result.exit_code == 0
        text = " ".join(result.stdout.split())
        assert all(f"{code.value} {code.name.lower().replace('_', ' ')}" in text for code in ExitCode)
        assert max(map(len, result.stdout.splitlines())) <= 80

    def test_every_option_has_a_help_text(self) -> None:
        def commands(group: click.Group) -> Iterator[click.Command]:
            for command in group.commands.values():
                yield from commands(command) if isinstance(command, click.Group) else (command,)

        silent = [
            f"{command.name} {option.opts[0]}"
            for command in commands(main)
            for option in command.params
            if isinstance(option, click.Option) and not option.help
        ]
        assert silent == []

    @pytest.mark.parametrize("args", [(), ("--help",), ("data",)], ids=" ".join)
    def test_no_command_is_a_question_for_help(self, bench, args: tuple[str, ...]) -> None:
        result = bench(*args)
        assert result.exit_code == 0
        assert "get  " in result.stdout if args == ("data",) else "Evaluate:" in result.stdout

    def test_every_command_is_listed_once_with_its_whole_summary(self, bench) -> None:
        lines = [line.split(maxsplit=1) for line in bench("--help").stdout.splitlines() if line.startswith("  ")]
        listed = [(line[0], line[1].strip()) for line in lines if len(line) == 2 and line[0] in main.commands]
        assert sorted(listed) == sorted((name, each.get_short_help_str(200)) for name, each in main.commands.items())

    def test_grid_files_take_what_the_help_says(self, bench) -> None:
        from vpbench.grid import FIELDS

        text = " ".join(bench("run", "--help").stdout.split())
        assert [key for key in FIELDS if key not in text] == []

    def test_the_version_is_that_of_the_distribution(self, bench) -> None:
        from importlib.metadata import version

        assert version("vpbench") in bench("--version").stdout


class TestPlugins:
    def test_what_is_installed_is_listed_with_its_origin(self, bench) -> None:
        result = bench("plugins")
        assert result.exit_code == 0
        assert result.stderr == ""
        rows = [line.split() for line in result.stdout.splitlines()]
        assert rows[0] == ["kind", "name", "version", "from", "summary"]
        assert ["dataset", "squares", "1", "vpbench-fakes", "0.1"] in [row[:5] for row in rows]
        assert {row[0] for row in rows[1:]} == {"dataset", "metric"}

    def test_problems_are_told_and_are_the_exit_code(self, bench, ends_with, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "fakes,no-such")
        result = bench("plugins")
        ends_with(result, 1, "plugin left out: VPBENCH_PLUGINS: selection: no entry point 'no-such'")
        assert "squares" in result.stdout


class TestLeaderboard:
    @pytest.fixture
    def ran(self, bench):
        assert bench.run("Last", "--model", bench.model("Other"), horizon=5).exit_code == 0
        return bench

    def test_prints_every_board_of_a_folder(self, ran) -> None:
        result = ran("leaderboard", "--results", "runs")
        assert result.exit_code == 0
        assert [line for line in result.stdout.splitlines() if line.startswith("squares, 10")] == [
            "squares, 10→1",
            "squares, 10→5",
        ]
        assert "squares, 10→1" not in ran("leaderboard", "--results", "runs", "--horizon", 5).stdout

    @pytest.mark.parametrize("name", ["board.md", "board.csv", "board.tex", "board.txt"])
    def test_writes_by_the_ending_and_checks(self, ran, ends_with, name: str) -> None:
        arguments = ("leaderboard", "--results", "runs", "--output", name)
        assert ran(*arguments, "--check").exit_code == 1
        assert ran(*arguments).stdout == f"board: {name}\n"
        path = ran.folder / name
        first = path.read_bytes()
        assert ran(*arguments).exit_code == 0
        assert path.read_bytes() == first
        assert ran(*arguments, "--check").exit_code == 0
        path.write_bytes(first.replace(b"last", b"past"))
        ends_with(ran(*arguments, "--check"), 1, f"{name} is not up to date")
        assert path.read_bytes() != first  # a check writes nothing

    def test_formats_are_what_they_say(self, ran) -> None:
        with open(ran.folder / "board.csv", "w", encoding="utf-8") as file:
            file.write(ran("leaderboard", "--results", "runs", "--format", "csv").stdout)
        with open(ran.folder / "board.csv", encoding="utf-8", newline="") as file:
            assert {row["model"] for row in csv.DictReader(file)} >= {"last", "other"}
        assert r"\begin{tabular}" in ran("leaderboard", "--results", "runs", "--format", "latex").stdout

    def test_goes_between_the_markers_of_a_file_and_leaves_the_rest(self, ran) -> None:
        readme = ran.folder / "README.md"
        readme.write_text(f"before\n{START}\nold\n{END}\nafter\n", encoding="utf-8")
        assert ran("leaderboard", "--results", "runs", "--output", "README.md").exit_code == 0
        text = readme.read_text(encoding="utf-8")
        assert text.startswith(f"before\n{START}\n")
        assert text.endswith(f"{END}\nafter\n")
        assert "old" not in text

    def test_a_file_without_markers_is_left_alone(self, ran, ends_with) -> None:
        readme = ran.folder / "README.md"
        readme.write_text("mine\n", encoding="utf-8")
        ends_with(ran("leaderboard", "--results", "runs", "--output", "README.md"), 2, START)
        assert readme.read_text(encoding="utf-8") == "mine\n"

    def test_check_needs_a_file(self, ran, ends_with) -> None:
        ends_with(ran("leaderboard", "--results", "runs", "--check"), 2, "--output")

    def test_a_folder_that_is_not_there_is_an_error_and_no_empty_board(self, bench, ends_with) -> None:
        ends_with(bench("leaderboard", "--results", "no-such"), 2, "no results folder no-such")

    def test_records_of_few_clips_can_be_left_out(self, bench, ends_with) -> None:
        assert bench.run("Last", clips=4).exit_code == bench.run("Other", clips=2).exit_code == 0
        everything = bench("leaderboard", "--results", "runs").stdout
        assert "\n2 clips of the test split" in everything
        assert "other" in everything
        longer = bench("leaderboard", "--results", "runs", "--clips", 3).stdout
        assert "\n4 clips of the test split" in longer
        assert "other" not in longer.partition("Other metrics")[0]
        ends_with(bench("leaderboard", "--results", "runs", "--clips", 5), 2, "no record has 5 clips or more", "is 4")

    def test_an_unknown_metric_is_an_error(self, ran, ends_with) -> None:
        ends_with(ran("leaderboard", "--results", "runs", "--metric", "psnr-poled"), 2, "psnr-poled")


class TestTrain:
    def test_prints_a_line_that_uses_the_weights(self, bench) -> None:
        settings = ("--set", "size=12", "--set", "tiny.width=2", "--context", 7, "--horizon", 3)
        model = ("--model", bench.model("Tiny"), "--dataset", "squares")
        trained = bench("train", *model, "--budget", "1updates", "--batch-size", 2, *settings)
        assert trained.exit_code == 0, trained.stderr
        use = trained.stdout.partition("use them: vpbench ")[2]
        assert "size=12" in use
        assert "width" not in use  # the weights know
        assert bench(*shlex.split(use), "--clips", 2).exit_code == 0

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            (("--budget", "soon"), "budget 'soon'"),
            (("--budget", "1updates", "--set", "widht=3"), "did you mean width"),
            (("--budget", "1updates", "--context", 0), "--context"),
            ((), "Missing option '--budget'"),
        ],
    )
    def test_what_makes_no_sense_is_said(self, bench, ends_with, args: tuple[object, ...], message: str) -> None:
        ends_with(bench("train", "--model", bench.model("Tiny"), "--dataset", "squares", *args), 2, message)


class TestDataGet:
    def test_says_where_the_data_are(self, bench) -> None:
        result = bench("data", "get", "broken-dataset")
        assert result.exit_code == 0
        assert result.stdout == f"broken-dataset: {bench.log_path}\n"

    def test_a_plugin_that_fails_is_named(self, bench, ends_with, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VPBENCH_TEST_LOG", "fetch-fails")
        ends_with(bench("data", "get", "broken-dataset"), 1, "vpbench-fakes 0.1 (fakes): fetch of broken-dataset:")

    def test_what_needs_no_download_and_what_is_not_there(self, bench, ends_with) -> None:
        ends_with(bench("data", "get", "squares"), 2, "squares needs no download")
        ends_with(bench("data", "get", "sqares"), 2, "no dataset 'sqares'; did you mean squares?")

    @pytest.mark.skipif(not importlib.util.find_spec("vpbench_movingmnist"), reason="vpbench-movingmnist is not here")
    def test_faults_of_a_download_have_their_exit_codes(
        self, bench, ends_with, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "movingmnist")
        monkeypatch.setenv("VPBENCH_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("VPBENCH_DATA", str(tmp_path / "data"))
        with serving(b"not the file") as url:
            monkeypatch.setenv("VPBENCH_TORONTO_URL", f"{url}/missing")
            ends_with(bench("data", "get", "moving-mnist-toronto"), 4, "HTTP 404")
            monkeypatch.setenv("VPBENCH_TORONTO_URL", f"{url}/mnist_test_seq.npy")
            ends_with(bench("data", "get", "moving-mnist-toronto"), 4, "is another file: 12 bytes")
            (tmp_path / "file").write_text("")
            monkeypatch.setenv("VPBENCH_DATA", str(tmp_path / "file"))
            ends_with(bench("data", "get", "moving-mnist-toronto"), 5, "cannot be written")
        monkeypatch.setenv("VPBENCH_PLUGINS", "movingmnist,metrics")
        missing = bench("run", "--model", bench.model("Last"), "--dataset", "moving-mnist-toronto", "--horizon", 5)
        ends_with(missing, 4, "run `vpbench data get moving-mnist-toronto`")


@contextlib.contextmanager
def serving(content: bytes) -> Iterator[str]:
    """A server on loopback that has one file."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            there = self.path.endswith(".npy")
            self.send_response(200 if there else 404)
            self.send_header("Content-Length", str(len(content) if there else 0))
            self.end_headers()
            if there:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_console_that_knows_no_arrows_costs_no_run(bench) -> None:
    arguments = ["run", "--model", bench.model("Last"), "--dataset", "squares", "--horizon", "1", "--clips", "2"]
    result = CliRunner(charset="cp1252").invoke(main, arguments)
    assert result.exit_code == 0, result.exception
    assert "last on squares 10?1" in result.stdout
