"""Whatever goes wrong is one line on stderr and a documented exit code, and nothing that is finished is lost.

`ends_with(result, code, *texts)` asserts both: exactly one line that starts with "vpbench: ", no traceback.
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from vpbench.errors import ExitCode
from vpbench.results import iter_records

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are POSIX's")


@pytest.fixture
def tiny_weights(bench) -> Path:
    """Weights of Tiny for squares of 16 × 16, context 10."""
    model = ("--model", bench.model("Tiny"), "--dataset", "squares")
    result = bench("train", *model, "--budget", "1updates", "--batch-size", 2, "--output", "tiny.safetensors")
    assert result.exit_code == 0, result.stderr
    return bench.folder / "tiny.safetensors"


def left_behind(folder: Path) -> list[str]:
    """Locks and temporary files."""
    return [path.name for path in folder.rglob("*") if path.suffix in (".tmp", ".lock")]


class TestNames:
    @pytest.mark.parametrize(
        ("args", "texts"),
        [
            (("--model", "coppy-last"), ("no model 'coppy-last'; did you mean copy-last? installed: black",)),
            (("--model", "models.py:Last"), ("models.py:Last", "No such file")),
            (("--dataset", "sqares"), ("no dataset 'sqares'; did you mean squares?",)),
            (("--metric", "ssimm"), ("no metric or convention 'ssimm'; did you mean ssim?",)),
            (("--set", "sise=12"), ("no config key 'sise'; did you mean size?", "squares (channels, clips")),
            (("--set", "squares.sise=12"), ("squares has no config key 'sise'; did you mean size?",)),
            (("--set", "sqares.size=12"), ("--set sqares.size: no 'sqares' takes part; did you mean squares?",)),
            (("--set", "size=big"), ("squares config key 'size': 'big' is not int",)),
            (("--set", "size"), ("--set 'size': write it as key=value",)),
            (("--device", "cuda:99"), ("no device 'cuda:99' here; there is:", "cpu")),
            (("--device", "tpu"), ("no device 'tpu' here",)),
            (("--precision", "float16"), ("--precision", "float16")),
            (("--rerun", "some"), ("--rerun",)),
            (("--seed", "x"), ("--seed", "'x' is not a valid integer")),
            (("--seed", "-1"), ("a seed must be between 0 and",)),
            (("--no-such-option",), ("--no-such-option",)),
            (("grid.toml", "extra"), ("extra",)),
            (("no-such-grid.toml",), ("cannot read grid file no-such-grid.toml: No such file",)),
        ],
    )
    def test_unknown_names_and_values_say_what_there_is(
        self, with_floors, ends_with, args: tuple[str, ...], texts: tuple[str, ...]
    ) -> None:
        asked = {"--model": "copy-last", "--dataset": "squares", "--horizon": "1", "--clips": "2"}
        if args[0] in asked:
            asked.pop(args[0])
        words = [word for pair in asked.items() for word in pair]
        ends_with(with_floors("run", *words, *args), ExitCode.USAGE, *texts)
        assert not (with_floors.folder / "runs").exists()

    def test_a_plugin_that_failed_costs_its_own_line_and_the_error_one(self, bench, monkeypatch) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "fakes,metrics,gone")
        lines = bench.run("no-such").stderr.splitlines()
        assert len(lines) == 2
        assert lines[0].startswith("vpbench: plugin left out: VPBENCH_PLUGINS: selection: no entry point 'gone'")
        assert lines[1].startswith("vpbench: no model 'no-such'; installed: none")

    def test_a_broken_plugin_costs_a_line_and_not_the_run(self, bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(Path(__file__).parent / "data" / "badplugins")
        monkeypatch.setenv("VPBENCH_PLUGINS", "fakes,metrics,import-error,raises-midway")
        result = bench.run("Last")
        assert result.exit_code == 0
        assert bench.record("last")["status"] == "ok"
        lines = result.stderr.splitlines()
        assert len(lines) == 2
        assert all(line.startswith("vpbench: plugin left out: broken-plugins 2.0 (") for line in lines)

    def test_offers_that_do_not_work_cost_a_line_of_the_plan_unless_they_were_asked_for(
        self, bench, ends_with, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "fakes,metrics,fakes_broken")
        result = bench.run("Last")
        assert result.exit_code == ExitCode.OK
        assert result.stdout.count("left out: vpbench-fakes 0.1 (fakes_broken): config of broken-floor: ModuleNot") == 1
        assert result.stdout.count("left out: vpbench-fakes 0.1 (fakes_broken): making of broken-metric: ModuleN") == 1
        assert "1 done" in bench.run("Last").stdout
        ends_with(bench.run("broken-floor"), ExitCode.FAILED, "config of broken-floor: ModuleNotFoundError")
        ends_with(bench.run("Last", "--metric", "broken-metric"), ExitCode.FAILED, "making of broken-metric")
        monkeypatch.setenv("VPBENCH_PLUGINS", "fakes_broken,fakes")
        ends_with(bench.run("Last"), ExitCode.USAGE, "making of broken-metric", "pip install vpbench-metrics")


class TestHorizons:
    @pytest.mark.parametrize("horizon", ["0", "-5", "ten", "1.5", ""])
    def test_a_horizon_that_is_no_number_of_frames(self, bench, ends_with, horizon: str) -> None:
        ends_with(bench.run("Last", horizon=horizon), ExitCode.USAGE, "'--horizon'")

    @pytest.mark.parametrize("option", ["--context", "--clips", "--batch-size"])
    def test_nothing_of_anything_is_refused(self, bench, ends_with, option: str) -> None:
        ends_with(bench.run("Last", option, 0), ExitCode.USAGE, f"'{option}'")

    def test_a_horizon_longer_than_the_data_is_a_recorded_skip(self, bench, ends_with) -> None:
        result = bench.run("Last", "--set", "length=20", horizon=90)
        ends_with(result, ExitCode.NOTHING_TO_RUN, "horizon 90 needs 100 frames, squares has 20")
        assert {h: record["status"] for (_, h), record in bench.records().items()} == {90: "skipped"}

    def test_a_context_longer_than_the_data_is_too(self, bench, ends_with) -> None:
        result = bench.run("Last", "--set", "length=20", "--context", 20)
        ends_with(result, ExitCode.NOTHING_TO_RUN, "needs 21 frames, squares has 20")

    def test_nothing_asked_is_said(self, bench, ends_with) -> None:
        ends_with(bench("run"), ExitCode.USAGE, "give at least one --model")
        ends_with(bench("run", "--model", "x"), ExitCode.USAGE, "give at least one --horizon")


class Boom:
    """Runs when it is unpickled."""

    def __reduce__(self) -> Any:
        return (os.system, ("touch pwned",))


class TestWeights:
    def run(self, bench, path: object, *args: object) -> Any:
        return bench.run("Tiny", "--weights", path, *args)

    @pytest.mark.parametrize("how", ["torch", "pickle"])
    def test_a_pickle_is_refused_and_not_run(self, bench, ends_with, how: str) -> None:
        path = bench.folder / "model.pt"
        if how == "torch":
            torch.save({"boom": Boom()}, path)
        else:
            path.write_bytes(pickle.dumps(Boom()))
        ends_with(self.run(bench, path), ExitCode.DATA, "model.pt is a pickle")
        assert not (bench.folder / "pwned").exists()

    def test_a_file_cut_short_is_refused(self, bench, ends_with, tiny_weights: Path) -> None:
        tiny_weights.write_bytes(tiny_weights.read_bytes()[:-3])
        ends_with(self.run(bench, tiny_weights), ExitCode.DATA, "is not a readable safetensors file")

    @pytest.mark.parametrize("content", [b"", b"hello", b"\xff" * 100])
    def test_something_else_is_refused(self, bench, ends_with, content: bytes) -> None:
        (bench.folder / "w.safetensors").write_bytes(content)
        ends_with(self.run(bench, "w.safetensors"), ExitCode.DATA, "is not a readable safetensors file")

    def test_a_file_that_is_not_there(self, bench, ends_with) -> None:
        ends_with(self.run(bench, "no.safetensors"), ExitCode.DATA, "cannot read weights no.safetensors: No such file")
        ends_with(self.run(bench, "."), ExitCode.DATA, "Is a directory")

    @pytest.mark.parametrize(
        "header",
        [
            None,
            "[]",
            "{",
            '{"model": {"name": "tiny"}}',
            '{"model": {"name": "tiny", "config": 3}, "dataset": {"name": "squares"}, "frame_shape": [1, 16, 16], '
            '"context": 10}',
            '{"model": {"name": "tiny"}, "dataset": "squares", "frame_shape": [1, 16, 16], "context": 10}',
            '{"model": {"name": "tiny"}, "dataset": {"name": "squares"}, "frame_shape": 16, "context": "10"}',
        ],
    )
    def test_foreign_or_damaged_headers_are_refused(self, bench, ends_with, header: str | None) -> None:
        from safetensors.torch import save_file

        metadata = {} if header is None else {"vpbench": header}
        save_file({"scale": torch.zeros(4)}, bench.folder / "w.safetensors", metadata)
        ends_with(self.run(bench, "w.safetensors"), ExitCode.DATA, "w.safetensors", "header")

    def test_weights_of_another_model(self, bench, ends_with, tiny_weights: Path) -> None:
        result = bench.run("Last", "--weights", tiny_weights)
        ends_with(result, ExitCode.USAGE, "holds weights of tiny, this run asks for last")

    def test_two_files_for_one_model(self, bench, ends_with, tiny_weights: Path) -> None:
        result = self.run(bench, tiny_weights, "--weights", tiny_weights)
        ends_with(result, ExitCode.USAGE, "two weights files of tiny")

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            (("--set", "size=12"), "are for frames 1×16×16, squares has 1×12×12"),
            (("--set", "channels=3"), "are for frames 1×16×16, squares has 3×16×16"),
            (("--context", 5), "are for context 10, asked for 5"),
        ],
    )
    def test_weights_for_other_frames_are_refused_before_compute(
        self, bench, ends_with, tiny_weights: Path, args: tuple[object, ...], message: str
    ) -> None:
        ends_with(self.run(bench, tiny_weights, *args), ExitCode.NOTHING_TO_RUN, "nothing to run: weights", message)
        assert bench.record("tiny")["status"] == "skipped"

    def test_weights_that_do_not_fit_the_config(self, bench, ends_with, tiny_weights: Path) -> None:
        result = self.run(bench, tiny_weights, "--set", "tiny.width=9")
        ends_with(result, ExitCode.FAILED, "FAILED tiny on squares 10→1: load: weights", "scale is (4,), needs (9,)")

    def test_weights_with_a_config_that_the_model_no_longer_has(self, bench, ends_with, tiny_weights: Path) -> None:
        from safetensors.torch import load_file, save_file

        from vpbench.weights import read_header

        header = read_header(tiny_weights)
        header["model"]["config"]["depth"] = 3
        save_file(load_file(tiny_weights), tiny_weights, {"vpbench": json.dumps(header)})
        result = self.run(bench, tiny_weights)
        ends_with(result, ExitCode.NOTHING_TO_RUN, "of another version of tiny", "no config key 'depth'")


class TestModels:
    @pytest.mark.parametrize(
        ("fault", "phase", "message"),
        [
            ("nan", "predict", "faulty predicted NaN or infinity, first at step 1 of 1"),
            ("inf", "predict", "faulty predicted NaN or infinity, first at step 1 of 1"),
            ("shape", "predict", "faulty returned shape (3, 1, 1, 15, 16), asked for (3, 1, 1, 16, 16)"),
            ("steps", "predict", "faulty returned shape (3, 2, 1, 16, 16), asked for (3, 1, 1, 16, 16)"),
            ("integers", "predict", "faulty returned torch.uint8, the contract is a floating point tensor in [0, 1]"),
            ("numpy", "predict", "faulty returned a ndarray, the contract is a torch tensor"),
            ("none", "predict", "faulty returned a NoneType, the contract is a torch tensor"),
            ("raises", "predict", "ValueError: first line"),
            ("silent", "predict", "RuntimeError"),
            ("exit", "predict", "SystemExit: 0"),
            ("recursion", "predict", "RecursionError: maximum recursion depth exceeded"),
            ("torch", "predict", "RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
            ("memory", "predict", "MemoryError"),
            ("says-so", "predict", "step size underflow at t=1.3"),
            ("base-exception", "predict", "CancelledError: cancelled"),
            ("init", "load", "TypeError: missing 1 required argument"),
            ("init-exit", "load", "SystemExit: usage: train.py"),
            ("stats", "score", "ValueError: could not convert string to float: 'many'"),
        ],
    )
    def test_whatever_a_model_does_is_a_record_and_a_line(
        self, bench, ends_with, fault: str, phase: str, message: str
    ) -> None:
        result = bench.run("Faulty", "--set", f"fault={fault}")
        ends_with(result, ExitCode.FAILED, f"FAILED faulty on squares 10→1: {phase}: {message}")
        record = bench.record("faulty")
        assert record["status"] == "failed"
        assert record["reason"]["phase"] == phase
        assert record["reason"]["message"].startswith(re.sub(r"^\w+: ", "", message))

    def test_a_model_that_cannot_be_built_fails_once_for_all_horizons(self, bench) -> None:
        result = bench.run("Faulty", "--set", "fault=init", horizon=10)
        assert result.exit_code == ExitCode.FAILED
        assert {record["status"] for record in bench.records().values()} == {"failed"}
        assert len(bench.records()) == len(result.stderr.splitlines()) == 3

    def test_a_class_with_another_constructor_is_told_which_one(self, bench, ends_with) -> None:
        source = "class Model:\n    def __init__(self, width): ...\n    def predict(self, context, target_times): ..."
        (bench.folder / "mine.py").write_text(source, encoding="utf-8")
        result = bench("run", "--model", "mine.py:Model", "--dataset", "squares", "--horizon", 1)
        wanted = "must be made with (config, *, frame_shape, context_length), and takes (width)"
        ends_with(result, ExitCode.FAILED, "FAILED model on squares 10→1: load: ", wanted)

    def test_an_author_can_ask_for_the_traceback(self, bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VPBENCH_PLUGIN_ERRORS", "raise")
        assert isinstance(bench.run("Faulty", "--set", "fault=raises").exception, ValueError)

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("class Model(: pass", "SyntaxError"),
            ("import no_such_library", "No module named 'no_such_library'"),
            ("raise SystemExit(3)", "SystemExit"),
            ("class Other:\n    def predict(self): ...", "no class 'Model' with a predict method"),
            ("class Model:\n    spec = 3\n    def predict(self): ...", "not a ModelSpec"),
        ],
    )
    def test_a_file_that_holds_no_model(self, bench, ends_with, source: str, message: str) -> None:
        (bench.folder / "mine.py").write_text(source, encoding="utf-8")
        result = bench("run", "--model", "mine.py:Model", "--dataset", "squares", "--horizon", 1)
        ends_with(result, ExitCode.USAGE, "mine.py", message)


class TestOtherPlugins:
    @pytest.mark.parametrize("fails", ["opening", "fingerprint", "ids"])
    def test_a_dataset_that_cannot_be_planned_with_is_named(self, bench, ends_with, fails: str) -> None:
        result = bench.run("Last", "--set", f"fails={fails}", dataset="broken-dataset")
        ends_with(result, ExitCode.FAILED, f"vpbench-fakes 0.1 (fakes): {fails} of broken-dataset: OSError: no disk")

    @pytest.mark.parametrize(("fails", "message"), [("shape", "frames of shape"), ("dtype", "frames of type float64")])
    def test_a_dataset_that_gives_something_else_fails_the_cell(
        self, bench, ends_with, fails: str, message: str
    ) -> None:
        result = bench.run("Last", "--set", f"fails={fails}", dataset="broken-dataset")
        ends_with(result, ExitCode.FAILED, "FAILED last on broken-dataset 10→1: data: ", message)

    def test_a_dataset_that_names_a_clip_twice_fails_the_cell(self, bench, ends_with) -> None:
        result = bench.run("Last", "--set", "order=twice")
        ends_with(result, ExitCode.FAILED, "data: vpbench-fakes 0.1 (fakes) names no clips, or the same clip twice")

    @pytest.mark.parametrize(
        ("metric", "message"),
        [
            ("infinite-score", "vpbench-fakes 0.1 (fakes): score of infinite-score: it gave an infinite score"),
            ("wrong-shape", "vpbench-fakes 0.1 (fakes): statistics of wrong-shape: it gave absolute of shape (3, 1)"),
            ("raising", "vpbench-fakes 0.1 (fakes): statistics of raising: ZeroDivisionError: division by zero"),
        ],
    )
    def test_a_metric_that_fails_fails_the_cell_and_is_named(self, bench, metric: str, message: str) -> None:
        result = bench.run("Last", "--metric", metric, horizon=2)
        assert result.exit_code == ExitCode.FAILED
        assert f"FAILED last on squares 10→2: score: {message}" in result.stderr
        assert "Traceback" not in result.stderr

    def test_a_metric_that_cannot_be_made_is_named_when_asked_for_and_harmless_otherwise(
        self, bench, ends_with
    ) -> None:
        result = bench.run("Last", "--metric", "not-makeable")
        ends_with(result, ExitCode.FAILED, "making of not-makeable: ImportError: No module named 'a_library'")
        assert bench.run("Last").stderr == ""


class TestDisk:
    def test_results_that_are_a_file(self, bench, ends_with) -> None:
        (bench.folder / "runs").write_text("mine")
        ends_with(bench.run("Last"), ExitCode.STORAGE, "results folder runs is a file")
        ends_with(bench.run("Last", "--results", "runs/below"), ExitCode.STORAGE, "runs/below")
        assert (bench.folder / "runs").read_text() == "mine"

    def test_a_folder_that_cannot_be_written_ends_the_run_before_compute(self, bench, ends_with) -> None:
        folder = bench.folder / "locked"
        folder.mkdir(mode=0o555)
        if os.access(folder, os.W_OK):  # permissions do not bind root, but nobody can make folders in /proc
            folder = Path("/proc")
            if not folder.is_dir():
                pytest.skip("no folder that cannot be written")
        ends_with(bench.run("Counting", "--results", folder / "runs"), ExitCode.STORAGE, f"cannot write {folder}")
        assert {each["clips"] for each in bench.log()} <= {2}  # the trial for the estimate

    def test_a_full_disk_keeps_what_is_finished(self, bench, ends_with, monkeypatch: pytest.MonkeyPatch) -> None:
        sync, left = os.fsync, [3]  # records and sidecars that still fit

        def full(descriptor: int) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            result = bench.run("Last", "--model", bench.model("Other"))
        ends_with(result, ExitCode.STORAGE, "No space left on device", "free some space")
        records, problems = iter_records(bench.folder / "runs")
        assert [record.status for record in records] == ["ok"]
        assert problems == []
        assert left_behind(bench.folder) == []
        again = bench.run("Last", "--model", bench.model("Other"))
        assert again.exit_code == ExitCode.OK
        assert "1 to run, 1 done" in again.stdout

    def test_a_real_limit_on_writing_keeps_what_is_finished(self, bench) -> None:
        """The system itself refuses: files of more than 20 kB, which the records of 4,000 clips are."""
        assert bench.run("Last", "--metric", "mse").exit_code == ExitCode.OK
        before = bench.record("last")["path"].read_bytes()
        code = (
            "import resource; from vpbench.cli import main;"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY)); main(prog_name='vpbench')"
        )
        args = ("--dataset", "squares", "--set", "clips=4000", "--clips", 4000, "--batch-size", 500, "--metric", "mse")
        process = bench.start_python(code, "run", "--model", bench.model("Last"), "--horizon", 1, *args)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == ExitCode.STORAGE, errors
        assert errors.splitlines()[0].startswith("vpbench: cannot write runs/squares/last/extrapolate-10-1-")
        assert len(errors.splitlines()) == 1
        assert [path.read_bytes() for path in (bench.folder / "runs").glob("*/*/*.json")] == [before]
        assert left_behind(bench.folder) == []

    def test_a_full_disk_behind_stdout_is_a_line_too(self, bench) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("no /dev/full")
        code = (
            "import sys; from vpbench.cli import main;"
            "sys.stdout = open('/dev/full', 'w', buffering=1); main(['plugins'], prog_name='vpbench')"
        )
        process = bench.start_python(code)
        _, errors = process.communicate(timeout=60)
        assert errors.splitlines()[0] == "vpbench: No space left on device"
        assert "Traceback" not in errors


class TestHalfRecords:
    def test_a_record_cut_in_half_is_computed_again_and_the_others_are_kept(self, bench) -> None:
        assert bench.run("Last", horizon=5).exit_code == ExitCode.OK
        whole, half = (bench.record("last", horizon)["path"] for horizon in (1, 5))
        before, original = whole.read_bytes(), half.read_bytes()
        half.write_bytes(original[: len(original) // 2])
        result = bench.run("Last", horizon=5)
        assert result.exit_code == ExitCode.OK
        assert "1 to run, 1 done" in result.stdout
        assert f"{half.relative_to(bench.folder)}: not a whole JSON file" in result.stdout
        assert whole.read_bytes() == before
        assert json.loads(half.read_bytes())["scores"] == json.loads(original)["scores"]

    def test_a_board_goes_on_without_it_and_says_so(self, bench, ends_with) -> None:
        assert bench.run("Last", "--model", bench.model("Other")).exit_code == ExitCode.OK
        half = bench.record("other")["path"]
        half.write_bytes(half.read_bytes()[:500])
        result = bench("leaderboard", "--results", "runs")
        ends_with(result, ExitCode.DATA, str(half.relative_to(bench.folder)), "not a whole JSON file")
        assert "last" in result.stdout
        assert not re.search(r"\bother\b", result.stdout)


class TestInterruption:
    """Slow has a record of horizon 1 at once; its rollout of horizon 5 waits for the file `open` beside its log."""

    ARGS = ("--dataset", "squares", "--horizon", 5, "--clips", 3, "--metric", "mse")

    @pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
    def test_what_is_finished_is_kept_and_the_same_command_goes_on(self, bench, signum: int) -> None:
        command = ("run", "--model", bench.model("Slow"), *self.ARGS)
        process = bench.start(*command)
        wait_for(bench.log_path, process)
        process.send_signal(signum)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == ExitCode.INTERRUPTED, errors
        assert errors.splitlines() == [
            "vpbench: interrupted; what is finished is kept, and the same command goes on from there"
        ]
        assert left_behind(bench.folder) == []
        assert {h: record["status"] for (_, h), record in bench.records().items()} == {1: "ok"}
        assert "slow" in bench("leaderboard", "--results", "runs").stdout
        gate(bench).touch()
        again = bench(*command)
        assert again.exit_code == ExitCode.OK
        assert "1 to run, 1 done" in again.stdout
        assert {h: record["status"] for (_, h), record in bench.records().items()} == {1: "ok", 5: "ok"}

    def test_a_process_that_is_killed_leaves_no_half_record_and_no_lock_that_holds(self, bench) -> None:
        command = ("run", "--model", bench.model("Slow"), *self.ARGS)
        process = bench.start(*command)
        wait_for(bench.log_path, process)
        process.kill()
        process.communicate(timeout=60)
        assert set(bench.records()) == {("slow", 1)}
        gate(bench).touch()
        assert bench(*command).exit_code == ExitCode.OK
        assert left_behind(bench.folder) == []


class TestTwoRunsAtOnce:
    ARGS = TestInterruption.ARGS

    def test_a_cell_that_is_being_computed_is_left_to_the_other(self, bench, ends_with) -> None:
        command = ("run", "--model", bench.model("Slow"), *self.ARGS)
        first = bench.start(*command)
        wait_for(bench.log_path, first)
        second = bench(*command)
        line = ends_with(second, ExitCode.BUSY, "of slow is being worked on by process ", "wait for it")
        assert str(first.pid) in line
        assert "1 to run, 1 done" in second.stdout
        gate(bench).touch()
        _, errors = first.communicate(timeout=60)
        assert first.returncode == ExitCode.OK, errors
        assert "2 done" in bench(*command).stdout

    def test_a_cell_that_the_other_has_finished_meanwhile_is_not_computed_again(self, bench) -> None:
        first = bench.start("run", "--model", bench.model("Slow"), "--model", bench.model("Last"), *self.ARGS)
        wait_for(bench.log_path, first)
        assert bench("run", "--model", bench.model("Last"), *self.ARGS).exit_code == ExitCode.OK
        before = bench.record("last", 5)["path"].read_bytes()
        gate(bench).touch()
        out, errors = first.communicate(timeout=60)
        assert first.returncode == ExitCode.OK, errors
        assert "done last on squares 10→5: by another run" in out
        assert bench.record("last", 5)["path"].read_bytes() == before

    def test_two_that_start_together_leave_whole_records(self, bench) -> None:
        models = ("--model", bench.model("Last"), "--model", bench.model("Other"))
        runs = [bench.start("run", *models, *self.ARGS) for _ in range(2)]
        for run in runs:
            _, errors = run.communicate(timeout=60)
            assert run.returncode in (ExitCode.OK, ExitCode.BUSY), errors
            assert "Traceback" not in errors
        records, problems = iter_records(bench.folder / "runs")
        assert problems == []
        assert {record.status for record in records} == {"ok"}
        assert len(records) == 4
        assert left_behind(bench.folder) == []
        assert "4 done" in bench("run", *models, *self.ARGS).stdout


def gate(bench) -> Path:
    """The file that Slow waits for."""
    return bench.log_path.with_name("open")


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)
