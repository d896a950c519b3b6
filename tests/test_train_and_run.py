"""Training as part of a run: one grid file and one command train every model and evaluate it."""

from __future__ import annotations

import json
import re
import signal
import tomllib
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import vpbench
from vpbench import registry
from vpbench.checkpoints import read_checkpoint
from vpbench.errors import ExitCode, UsageError
from vpbench.grid import read_grids
from vpbench.methods import find_method
from vpbench.plan import Request, make_plan
from vpbench.registry import Provided
from vpbench.results import iter_records
from vpbench.trained import TrainRequest
from vpbench.training import Budget
from vpbench.weights import read_header, save, sha256_of

#: Two models that scale the last frame by what they learn. FAULT="nan 7" says what happens at which update.
MODELS = '''
import os
import signal

import torch
from torch import nn


class Learner(nn.Module):
    """Scales the last frame."""

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(3, 2))

    def predict(self, context, target_times):
        frames = context.frames[:, -1:].repeat(1, target_times.shape[1], 1, 1, 1)
        return frames * self.scale.sigmoid().mean()

    def loss(self, batch, *, progress, part="main"):
        loss = (self.predict(batch.context, batch.target_times) - batch.target).square().mean()
        fault, _, update = os.environ.get("FAULT", "").partition(" ")
        if fault and batch.update == int(update):
            loss = self.go_wrong(fault, loss)
        return {"loss": loss}

    def go_wrong(self, fault, loss):
        if fault.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, fault))
        if fault == "memory":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 TiB")
        if fault == "raises":
            raise ValueError("shapes do not fit")
        return loss * float("nan") if fault == "nan" else loss


class Second(Learner):
    """The same by another name, to which nothing happens."""

    def go_wrong(self, fault, loss):
        return loss
'''


class Runs:
    """`vpbench run` of a grid file, in a folder with these models."""

    def __init__(self, bench: Any) -> None:
        self.bench, self.folder = bench, bench.folder
        (self.folder / "learners.py").write_text(MODELS, encoding="utf-8")

    def grid(self, *more: str, models: str = "Learner", train: str = 'budget = "6updates"', **changes: Any) -> Path:
        """A small grid file; train: the lines of its table [train], "" for none."""
        names = [f"learners.py:{name}" if name[:1].isupper() else name for name in models.split()]
        given: dict[str, Any] = {"models": names, "datasets": ["squares"], "horizons": [2], "context": 3}
        given |= {"clips": 2, "metrics": ["mse"], "exhibit": False, "device": "cpu", **changes}
        lines = [f"{key} = {json.dumps(value)}" for key, value in given.items() if value is not None]
        lines += ["[train]", "batch_size = 4", train] if train else []
        path = self.folder / "grid.toml"
        path.write_text("\n".join([*lines, *more]), encoding="utf-8")
        assert tomllib.loads(path.read_text())
        return path

    def __call__(self, *options: object, **changes: Any) -> Any:
        return self.bench("run", self.grid(**changes), *options)

    def weights(self, model: str = "learner", seed: int = 0, results: str = "runs") -> Path:
        return self.folder / results / "weights" / f"{model}-squares-3-seed{seed}.safetensors"

    def header(self, model: str = "learner", seed: int = 0, results: str = "runs") -> dict[str, Any]:
        return read_header(self.weights(model, seed, results))

    def records(self, results: str = "runs") -> list[dict[str, Any]]:
        """Those of the horizon that is asked for, by what they say of their training."""
        every = [json.loads(path.read_text()) for path in sorted((self.folder / results).glob("*/*/*.json"))]
        return [each for each in every if each["identity"]["task"]["horizon"] == 2]


@pytest.fixture
def runs(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    monkeypatch.delenv("FAULT", raising=False)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    yield Runs(bench)
    signal.signal(signal.SIGINT, before)


def ok(result: Any) -> Any:
    assert result.exit_code == 0, result.output
    return result


def same_tensors(a: Path, b: Path) -> bool:
    one, other = load_file(a), load_file(b)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# ------------------------------------------------------------------------------------------------------- one command


class TestOneCommand:
    def test_trains_each_seed_and_evaluates_it_with_its_own_weights(self, runs: Runs) -> None:
        result = ok(runs(seeds=[0, 1]))
        for seed in (0, 1):
            assert runs.header(seed=seed)["seed"] == seed
        records = {record["identity"]["seed"]: record for record in runs.records()}
        assert records.keys() == {0, 1}
        for seed, record in records.items():
            assert record["status"] == "ok"
            assert record["identity"]["model"]["weights_sha256"] == sha256_of(runs.weights(seed=seed))
            assert record["about"]["training"]["seed"] == seed
            assert record["about"]["trained"] is True
        assert "learner, 2 seeds" in result.stdout  # one row of the board
        assert not same_tensors(runs.weights(seed=0), runs.weights(seed=1))
        assert not list(runs.folder.glob("runs/weights/*.checkpoint"))

    def test_says_in_each_record_what_the_training_took(self, runs: Runs) -> None:
        ok(runs(train='budget = "110updates"'))
        (record,), header = runs.records(), runs.header()
        training = record["about"]["training"]
        assert (training["updates"], training["total_updates"], training["sequences"]) == (110, 110, 440)
        assert (training["budget"], training["batch_size"], training["precision"]) == ("110updates", 4, "float32")
        assert (training["context"], training["horizon"], training["threads"]) == (3, 2, torch.get_num_threads())
        assert training["device"]
        assert training["dataset"]["name"] == "squares"
        assert [(entry["update"], entry["sequences"]) for entry in training["history"]] == [(100, 400), (110, 440)]
        for entry in training["history"]:
            assert entry.keys() == {"update", "sequences", "seconds", "loss", "val_mse", "val_mse_first_10"}
        seconds = [entry["seconds"] for entry in training["history"]]
        assert 0 <= seconds[0] <= seconds[1] <= training["seconds"] + 0.1
        assert training == {k: v for k, v in header.items() if k not in ("model", "frame_shape")} | {
            "model_version": header["model"]["version"]
        }

    def test_makes_the_weights_that_vpbench_train_makes(self, runs: Runs) -> None:
        ok(runs(seeds=[3]))
        line = "train --model learners.py:Learner --dataset squares --context 3 --horizon 2 --budget 6updates"
        ok(runs.bench(*line.split(), "--batch-size", 4, "--seed", 3, "--device", "cpu", "--output", "alone"))
        assert same_tensors(runs.weights(seed=3), runs.folder / "alone")

    def test_given_again_keeps_what_is_there(self, runs: Runs) -> None:
        ok(runs())
        before = runs.weights().read_bytes()
        result = ok(runs())
        assert "2 cells on cpu: 2 done" in result.stdout
        assert "train " not in result.stdout
        assert runs.weights().read_bytes() == before
        ok(runs(clips=3))  # another question to the same weights
        assert {record["identity"]["clips"] for record in runs.records()} == {2, 3}
        assert runs.weights().read_bytes() == before

    def test_takes_the_weights_that_vpbench_train_has_put_there(self, runs: Runs) -> None:
        line = "train --model learners.py:Learner --dataset squares --context 3 --horizon 2 --budget 6updates"
        ok(runs.bench(*line.split(), "--batch-size", 4, "--device", "cpu", "--output", runs.weights()))
        result = ok(runs())
        assert "train " not in result.stdout

    def test_leaves_alone_models_that_are_not_named(self, runs: Runs) -> None:
        train = 'budget = "6updates"\nmodels = ["learners.py:Second"]'
        result = ok(runs(models="Learner Second", train=train))
        assert "learner on squares, horizons 1, 2: refused: learner has no weights" in result.stdout
        statuses = {record["identity"]["model"]["name"]: record["status"] for record in runs.records()}
        assert statuses == {"learner": "skipped", "second": "ok"}
        ok(runs(models="Learner Second"))  # now both: the record that said there were no weights is gone
        assert {record["status"] for record in runs.records()} == {"ok"}

    def test_can_be_said_in_options_which_win_over_the_file(self, runs: Runs) -> None:
        ok(runs("--train", "5updates", "--train-horizon", 1))
        header = runs.header()
        assert (header["budget"], header["horizon"], header["batch_size"]) == ("5updates", 1, 4)
        ok(runs("--train", "4updates", "--results", "without", train=""))
        header = runs.header(results="without")
        assert (header["budget"], header["horizon"], header["batch_size"]) == ("4updates", 2, 32)

    def test_can_be_said_in_python(self, runs: Runs) -> None:
        grid = runs.grid(train="")
        torch.manual_seed(5)
        found = vpbench.run(grid=grid, train={"budget": "5updates", "batch_size": 2}, progress=False)
        drawn = torch.rand(())
        torch.manual_seed(5)
        assert torch.equal(drawn, torch.rand(()))  # random numbers go on as if nothing had been
        assert set(found["status"]) == {"ok"}
        assert (runs.header()["updates"], runs.header()["sequences"]) == (5, 10)
        vpbench.run(grid=grid, train="6updates", results="other", progress=False)
        assert runs.header(results="other")["updates"] == 6

    def test_a_dry_run_says_what_would_be_trained_and_writes_nothing(self, runs: Runs) -> None:
        result = ok(runs("--dry-run", seeds=[0, 1], train='budget = "20m"\nweights = "elsewhere"'))
        place = Path("elsewhere/learner-squares-3-seed1.safetensors")
        assert f"  train learner on squares 3→2, seed 1: 20 min, batches of 4, weights {place}\n" in result.stdout
        assert "about 40 min on this machine, of which training 40 min" in result.stdout
        assert sorted(path.name for path in runs.folder.iterdir()) == ["grid.toml", "learners.py"]
        result = ok(runs("--dry-run", train='budget = "48000sequences"'))
        assert "seed 0: 48000 sequences, batches of 4" in result.stdout
        assert "and 1 training whose budget is no time" in result.stdout

    def test_data_without_training_clips_is_evaluated_with_what_the_others_teach(self, runs: Runs) -> None:
        changes = {"datasets": ["squares", "ramps"], "set": ["squares.size=12", "squares.train=false"]}
        result = ok(runs(**changes))
        assert "learner on squares: with weights trained on ramps" in result.stdout
        names = [path.name for path in runs.weights().parent.iterdir()]
        assert names == ["learner-ramps-3-seed0.safetensors"]
        by_data = {record["identity"]["dataset"]["name"]: record for record in runs.records()}
        shas = {record["identity"]["model"]["weights_sha256"] for record in by_data.values()}
        assert (len(by_data), len(shas)) == (2, 1)
        assert "zero-shot: trained on ramps" in by_data["squares"]["about"]["caveat"]
        assert "zero-shot" not in by_data["ramps"]["about"]["caveat"]

    def test_a_record_verifies_and_its_history_is_held_against_the_weights(self, runs: Runs) -> None:
        ok(runs())
        (path,) = runs.folder.glob("runs/squares/learner/*-2-*.json")
        line = ("verify", path, "--model", "learners.py:Learner", "--weights", runs.weights())
        ok(runs.bench(*line))
        document = json.loads(path.read_text())
        document["about"]["training"]["history"][0]["val_mse"] /= 2
        path.write_text(json.dumps(document))
        result = runs.bench(*line)
        assert result.exit_code == ExitCode.FAILED
        assert "DOES NOT HOLD: about.training.history is" in result.stdout
        del document["about"]["training"]["history"]  # as in records from before it was kept there
        path.write_text(json.dumps(document))
        ok(runs.bench(*line))


class TestBudgets:
    @pytest.mark.parametrize(("sequences", "batch", "updates"), [(10, 4, 3), (12, 4, 3), (1, 4, 1), (10, 5, 2)])
    def test_sequences_are_as_many_whatever_the_batch(self, sequences: int, batch: int, updates: int) -> None:
        budget = Budget.parse(f"{sequences}sequences")
        assert budget.updates_of(batch) == updates
        assert Budget.parse(str(budget)) == budget

    def test_sequences_are_what_a_model_sees(self, runs: Runs) -> None:
        ok(runs(train='budget = "10sequences"'))
        assert (runs.header()["updates"], runs.header()["sequences"]) == (3, 12)

    def test_seeds_of_one_model_get_as_many_updates_from_a_time(
        self, runs: Runs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They would be different methods otherwise: the time of the first one settles the number."""
        settled = iter([7, 9, 11])
        monkeypatch.setattr("vpbench.training.Trainer._calibrate", lambda self: next(settled))
        result = ok(runs(seeds=[4, 1], train='budget = "1h"'))
        assert [runs.header(seed=seed)["updates"] for seed in (4, 1)] == [7, 7]
        assert "learner, 2 seeds" in result.stdout
        ok(runs(seeds=[2], train='budget = "1h"'))
        assert runs.header(seed=2)["updates"] == 7
        ok(runs(seeds=[3], train='budget = "2h"\nweights = "others"'))
        assert read_header(runs.folder / "others" / runs.weights(seed=3).name)["updates"] == 9

    @pytest.mark.parametrize(
        ("asked", "expected"), [([10, 90], 10), ([1, 5], 5), ([90, 20], 20), ([3], 3), ([1, 10, 11], 10)]
    )
    def test_what_is_learnt_is_the_longest_horizon_up_to_ten_or_the_shortest(
        self, asked: list[int], expected: int
    ) -> None:
        assert TrainRequest(budget="1m").horizon_among(asked) == expected
        assert TrainRequest(budget="1m", horizon=7).horizon_among(asked) == 7


# ---------------------------------------------------------------------------------------------- failures, interruptions


class TestFailures:
    @pytest.mark.parametrize(
        ("fault", "kind", "message"),
        [
            ("nan 4", "ModelFailed", "the loss is nan at update 4: lower the learning rate"),
            ("memory 3", "ModelFailed", "out of GPU memory: give a smaller batch size"),
            ("raises 2", "PluginError", "ValueError: shapes do not fit"),
        ],
    )
    def test_are_recorded_and_the_other_models_go_on(
        self, runs: Runs, monkeypatch: pytest.MonkeyPatch, fault: str, kind: str, message: str
    ) -> None:
        monkeypatch.setenv("FAULT", fault)
        result = runs(models="Learner Second")
        assert result.exit_code == ExitCode.FAILED
        by_name = {record["identity"]["model"]["name"]: record for record in runs.records()}
        assert by_name["second"]["status"] == "ok"
        record = by_name["learner"]
        assert (record["status"], record["reason"]["phase"], record["reason"]["type"]) == ("failed", "train", kind)
        assert message in record["reason"]["message"]
        assert record["about"]["training"]["budget"] == "6updates"
        assert f"FAILED learner on squares 3→2: train: {record['reason']['message']}" in result.stderr

    def test_are_tried_again_when_asked_or_with_another_training(
        self, runs: Runs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FAULT", "nan 4")
        assert runs().exit_code == ExitCode.FAILED
        monkeypatch.delenv("FAULT")
        again = runs()
        assert again.exit_code == ExitCode.FAILED
        assert "failed before: train: the loss is nan at update 4" in again.stdout
        assert not runs.weights().exists()
        ok(runs("--train", "3updates", "--results", "runs", train='weights = "short"'))
        (record,) = runs.records()  # the one that said that training failed is gone
        assert (record["status"], record["about"]["training"]["updates"]) == ("ok", 3)
        ok(runs("--rerun", "failed"))
        assert runs.header()["updates"] == 6


class TestInterruptions:
    def test_ctrl_c_leaves_a_checkpoint_from_which_the_same_command_goes_on(
        self, runs: Runs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ok(runs("--results", "whole", models="Second Learner"))
        monkeypatch.setenv("FAULT", "SIGINT 3")
        result = runs(models="Second Learner")
        assert result.exit_code == ExitCode.INTERRUPTED
        assert "the same command goes on" in result.stderr
        checkpoint = runs.weights().with_name(runs.weights().name + ".checkpoint")
        assert read_checkpoint(checkpoint, torch.device("cpu"))["update"] == 4  # the update it came in was finished
        assert {record["identity"]["model"]["name"] for record in runs.records()} == {"second"}
        monkeypatch.delenv("FAULT")
        result = ok(runs(models="Second Learner"))
        assert "from update 4 of 6 on" in result.stdout
        assert "resuming at update 4 of 6" in result.stderr
        assert same_tensors(runs.weights(), runs.weights(results="whole"))
        assert not checkpoint.exists()

    def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(
        self, runs: Runs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        budget = 'budget = "130updates"'
        runs.bench.environment["FAULT"] = "SIGKILL 120"
        process = runs.bench.start("run", runs.grid(train=budget))
        process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL
        assert not runs.weights().exists()
        assert not runs.records()
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            result = ok(runs(train=budget))
            assert "resuming at update 100 of 130" in result.stderr
            ok(runs("--results", "whole", train=budget))
        finally:
            torch.set_num_threads(before)
        assert same_tensors(runs.weights(), runs.weights(results="whole"))
        assert [record["status"] for record in runs.records()] == ["ok"]


# --------------------------------------------------------------------------------------------------------------- slices


class TestSlices:
    SLICED = 'budget = "10updates"\nslice = "4updates"'

    def test_each_run_trains_a_slice_of_every_model_and_evaluates_it(self, runs: Runs) -> None:
        shown = []
        for done in (4, 8, 10):
            result = ok(runs(models="Learner Second", train=self.SLICED))
            steps = re.findall(r"^  (train|ok  ) (learner|second) on squares 3→2", result.stdout, re.MULTILINE)
            carried_out = steps[2:]  # after the plan
            expected = [("train", "learner"), ("ok  ", "learner"), ("train", "second"), ("ok  ", "second")]
            assert carried_out == expected
            shown.append(result.stdout)
            for model in ("learner", "second"):
                header = runs.header(model)
                assert (header["updates"], header["total_updates"], header["sequences"]) == (done, 10, 4 * done)
                assert header["history"][-1]["update"] == done
        assert "4 updates of 10 updates, batches of 4" in shown[0]
        assert "from update 8 of 10 on" in shown[2]
        assert [entry["update"] for entry in runs.header()["history"]] == [4, 8, 10]
        last = ok(runs(models="Learner Second", train=self.SLICED))
        assert "train " not in last.stdout
        assert len([record for record in runs.records() if record["identity"]["model"]["name"] == "learner"]) == 3

    def test_slices_end_where_one_training_would_have_ended(self, runs: Runs) -> None:
        """The learning rate is that of the whole budget in every slice."""
        for _ in range(3):
            ok(runs(train=self.SLICED))
        ok(runs("--results", "whole", train='budget = "10updates"'))
        assert same_tensors(runs.weights(), runs.weights(results="whole"))

    def test_boards_show_the_latest_snapshot_and_what_was_before_stays_a_record(self, runs: Runs) -> None:
        for done in (4, 8, 10):
            result = ok(runs(train=self.SLICED))
            board = result.stdout[result.stdout.index("squares, 3→2") :]
            rows = [line for line in board.splitlines() if re.match(r"\s+\d\s+learner", line)]
            assert len(rows) == 1
            assert ("updates" in rows[0]) == (done < 10)
            assert not re.match(r"\s+\d\s+learner, ", rows[0])  # nothing has to tell it from another one
        assert [record["about"]["training"]["updates"] for record in runs.records()].count(4) == 1
        every, _ = iter_records(runs.folder / "runs")
        (named,) = find_method("learner", every, horizon=2).records
        assert named.about["training"]["updates"] == 10

    def test_other_trainings_of_the_model_keep_their_rows(self, runs: Runs) -> None:
        ok(runs(train=self.SLICED))
        ok(runs(train='budget = "20updates"\nslice = "5updates"\nweights = "longer"'))
        result = ok(runs(seeds=[0, 1], train=self.SLICED))
        board = result.stdout[result.stdout.index("squares, 3→2") :]
        rows = [line for line in board.splitlines() if re.match(r"\s+\d\s+learner", line)]
        # seed 0 at update 8, seed 1 at update 4, and the other budget
        assert len(rows) == 3

    def test_a_slice_of_time_ends_in_time(self, runs: Runs) -> None:
        ok(runs(train='budget = "1000000updates"\nslice = "0.2s"'))
        header = runs.header()
        assert 1 <= header["updates"] < 1_000_000
        assert header["total_updates"] == 1_000_000
        assert header["seconds"] >= 0.1

    def test_without_slices_the_rest_is_trained_to_the_end(self, runs: Runs) -> None:
        ok(runs(train=self.SLICED))
        ok(runs(train='budget = "10updates"'))
        assert runs.header()["updates"] == 10

    def test_a_lost_checkpoint_is_said_and_training_starts_anew(self, runs: Runs) -> None:
        ok(runs(train=self.SLICED))
        runs.weights().with_name(runs.weights().name + ".checkpoint").unlink()
        result = ok(runs(train=self.SLICED))
        assert "is gone: training starts anew" in result.stderr
        assert runs.header()["updates"] == 4
        assert runs.header()["history"][-1]["update"] == 4

    def test_a_snapshot_can_be_used_like_any_weights(self, runs: Runs) -> None:
        ok(runs(train=self.SLICED))
        ok(runs("--weights", runs.weights(), "--results", "used", train=""))
        (record,) = runs.records("used")
        assert (record["about"]["training"]["updates"], record["about"]["training"]["total_updates"]) == (4, 10)


def test_the_grids_of_the_guide_are_grids(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "docs" / "training.md").read_text(encoding="utf-8")
    grids = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(grids) == 3
    for grid in grids:
        (path := tmp_path / "grid.toml").write_text(grid, encoding="utf-8")
        for fields_of_part in read_grids(path).values():
            assert Request(**fields_of_part).train is not None
    rows = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert rows == [each.name for each in fields(TrainRequest)]  # the table has every key


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("budgt = '3m'", "train has no key 'budgt'; did you mean budget? known: budget, slice, context, horizon"),
        ("budget = '3 parsecs'", "budget '3 parsecs': give a time like 20m or 1.5h, or a number like 5000updates"),
        ("budget = '1.5sequences'", "budget '1.5sequences': a whole number of sequences"),
        ("budget = '0updates'", "budget '0updates'"),
        ("budget = 3", "train budget must be str, got 3"),
        ("slice = '2m'", "how long is to be trained? give a budget, like 20m or 48000sequences"),
        ("budget = '3m'\nslice = 'often'", "train slice: budget 'often'"),
        ("budget = '3m'\nhorizon = 0", "train horizon must be at least 1, got 0"),
        ("budget = '3m'\nhorizon = true", "train horizon must be int, got True"),
        ("budget = '3m'\nprecision = 'float16'", "train precision must be one of float32, bfloat16, got 'float16'"),
        ("budget = '3m'\nmodels = [3]", "train models must be a list of str, got [3]"),
        ("budget = '3m'\nmodels = ['second']", "train models: 'second' is not asked for; learners.py:Learner is"),
        ("budget = '3m'\nweights = 'learners.py'", "weights folder learners.py is a file: name another place"),
    ],
)
def test_what_is_wrong_with_the_table_is_said_before_anything_is_done(
    runs: Runs, ends_with: Any, table: str, message: str
) -> None:
    path = runs.grid(train="")
    path.write_text(path.read_text() + "\n[train]\n" + table)
    code = ExitCode.STORAGE if "weights folder" in message else ExitCode.USAGE
    ends_with(runs.bench("run", path), code, message)
    assert not (runs.folder / "runs").exists()


def test_a_batch_of_nothing_is_refused(runs: Runs, ends_with: Any) -> None:
    path = runs.grid()
    path.write_text(path.read_text().replace("batch_size = 4", "batch_size = 0"))
    ends_with(runs.bench("run", path), ExitCode.USAGE, "train batch_size must be at least 1, got 0")


def test_a_horizon_to_train_for_without_a_budget_is_refused(runs: Runs, ends_with: Any) -> None:
    ends_with(runs("--train-horizon", 3, train=""), ExitCode.USAGE, "how long is to be trained? give a budget")


def test_a_model_cannot_be_given_weights_and_be_trained(runs: Runs, ends_with: Any) -> None:
    ok(runs())
    result = runs("--weights", runs.weights(), "--results", "other")
    ends_with(result, ExitCode.USAGE, "learners.py:Learner is given weights", "leave out one of them")


def test_what_learns_no_weights_cannot_be_trained(with_floors: Any, ends_with: Any) -> None:
    runs = Runs(with_floors)
    result = runs("--dry-run", models="copy-last")
    ends_with(result, ExitCode.USAGE, "nothing to train: copy-last learns no weights; leave out train")
    named = runs("--dry-run", models="copy-last Learner", train='budget = "3m"\nmodels = ["copy-last"]')
    ends_with(named, ExitCode.USAGE, "train models: copy-last learns nothing: there is nothing to train")


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"train": 'budget = "7updates"'}, "budget was 6updates, is 7updates"),
        ({"set": ["squares.size=12"]}, "dataset.config.size was 16, is 12"),
        ({"train": 'budget = "6updates"\nhorizon = 1'}, "horizon was 2, is 1"),
    ],
)
def test_weights_of_another_training_in_the_folder_are_refused_and_kept(
    runs: Runs, ends_with: Any, change: dict[str, Any], difference: str
) -> None:
    ok(runs())
    before = runs.weights().read_bytes()
    result = runs(**change)
    ends_with(
        result,
        ExitCode.USAGE,
        "holds the weights of another run",
        difference,
        "name another folder of weights in [train]",
    )
    assert runs.weights().read_bytes() == before


def test_what_is_no_weights_file_is_refused_and_kept(runs: Runs, ends_with: Any) -> None:
    runs.weights().parent.mkdir(parents=True)
    runs.weights().write_text("my diary")
    ends_with(runs(), ExitCode.USAGE, "is there and no weights file of ours: name another folder of weights")
    assert runs.weights().read_text() == "my diary"


def test_a_checkpoint_of_another_training_is_refused(
    runs: Runs, ends_with: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULT", "SIGINT 3")
    assert runs().exit_code == ExitCode.INTERRUPTED
    ends_with(runs(train='budget = "9updates"'), ExitCode.USAGE, "is of another run (budget was 6updates, is 9updates)")


def test_clips_too_short_to_learn_from_are_refused_before_training(runs: Runs, ends_with: Any) -> None:
    result = runs(train='budget = "6updates"\nhorizon = 9', set=["squares.length=8"])
    ends_with(result, ExitCode.NOTHING_TO_RUN, "context 3 + horizon 9 needs 12 frames, squares has 8")


def test_data_without_training_clips_is_refused(runs: Runs, ends_with: Any) -> None:
    result = runs(set=["squares.train=false"])
    ends_with(result, ExitCode.NOTHING_TO_RUN, "squares has no training clips")


# ------------------------------------------------------------------------------------------- the dataset nobody named


class TestDatasetOfTheWeights:
    def train(self, runs: Runs, model: str, size: int) -> Path:
        path = runs.folder / f"{model}-{size}.safetensors"
        line = f"train --model learners.py:{model} --dataset squares --context 3 --horizon 2 --budget 2updates"
        line += f" --batch-size 2 --device cpu --set squares.size={size} --output {path}"
        ok(runs.bench(*line.split()))
        return path

    def test_is_configured_as_it_was_when_they_were_trained(self, runs: Runs) -> None:
        weights = self.train(runs, "Learner", 12)
        result = ok(runs("--weights", weights, train="", datasets=None))
        assert "  squares with size=12, as the weights of learners.py:Learner were trained on\n" in result.stdout
        (record,) = runs.records()
        assert record["identity"]["dataset"]["config"]["size"] == 12
        assert record["about"]["caveat"] == "made up"  # not zero-shot

    def test_keeps_what_the_user_sets(self, runs: Runs, ends_with: Any) -> None:
        weights = self.train(runs, "Learner", 12)
        ok(runs("--weights", weights, "--set", "squares.clips=50", train="", datasets=None))
        (record,) = runs.records()
        config = record["identity"]["dataset"]["config"]
        assert (config["size"], config["clips"]) == (12, 50)
        result = runs("--weights", weights, "--set", "size=16", train="", datasets=None)
        ends_with(result, ExitCode.NOTHING_TO_RUN, "are for frames 1×12×12, squares has 1×16×16")

    def test_named_has_its_own_defaults(self, runs: Runs, ends_with: Any) -> None:
        weights = self.train(runs, "Learner", 12)
        result = runs("--weights", weights, train="")
        ends_with(result, ExitCode.NOTHING_TO_RUN, "are for frames 1×12×12, squares has 1×16×16")

    def test_of_default_config_is_nothing_to_speak_of(self, runs: Runs) -> None:
        weights = self.train(runs, "Learner", 16)
        assert "squares with" not in ok(runs("--weights", weights, train="", datasets=None)).stdout

    def test_must_be_the_same_for_all_models(self, runs: Runs, ends_with: Any) -> None:
        a, b = self.train(runs, "Learner", 12), self.train(runs, "Second", 16)
        result = runs("--weights", a, "--weights", b, models="Learner Second", train="", datasets=None)
        ends_with(
            result,
            ExitCode.USAGE,
            "which dataset? the weights of learners.py:Learner are for squares size=12; "
            "the weights of learners.py:Second are for squares size=16; add --dataset NAME, with --set KEY=VALUE",
        )

    def test_is_taken_from_weights_that_ship_with_a_model(self, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
        installed, small = self.with_shipped(runs, monkeypatch)
        request = Request(models=(small,), horizons=(2,), context=3, clips=2, metrics=("mse",), device="cpu")
        plan = make_plan(request, installed)
        assert {planned.cell.dataset_config.size for planned in plan.cells} == {12}
        assert {planned.action for planned in plan.cells} == {"run"}
        assert "squares with size=12, as the weights of learner-small were trained on" in plan.notes

    def test_of_a_model_without_weights_is_asked_for_with_all_ways_to_have_some(
        self, runs: Runs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        installed, _ = self.with_shipped(runs, monkeypatch)
        request = Request(models=("learner",), horizons=(2,), context=3, clips=2, metrics=("mse",), device="cpu")
        with pytest.raises(UsageError) as caught:
            make_plan(request, installed)
        ways = ["vpbench train --model learner", "--train 20m", "learner-small has weights, for frames 1×12×12"]
        for text in ("which dataset?", "add --dataset NAME", *ways):
            assert text in str(caught.value)
        (planned, *_) = make_plan(replace(request, datasets=("squares",)), installed).cells
        assert planned.action == "refused"
        for text in ("learner has no weights for squares 1×16×16", *ways):
            assert text in planned.reason

    def test_of_a_training_is_the_one_that_all_installed_weights_are_for(
        self, runs: Runs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        installed, _ = self.with_shipped(runs, monkeypatch)
        train = TrainRequest(budget="6updates")
        request = Request(models=("learner",), horizons=(2,), context=3, clips=2, metrics=("mse",), train=train)
        plan = make_plan(request, installed)
        assert {planned.cell.dataset.spec.name for planned in plan.cells} == {"squares"}
        assert {planned.cell.dataset_config.size for planned in plan.cells} == {16}
        assert any(
            note.startswith("on squares, which the weights of all installed models are for") for note in plan.notes
        )
        with pytest.raises(UsageError, match="which dataset"):
            make_plan(replace(request, models=("learners.py:Learner",)), registry.load())
        again = make_plan(replace(request, models=("learner-small",)), installed)  # on what its own are for
        assert {planned.cell.dataset_config.size for planned in again.cells} == {12}
        assert len(again.trainings()) == 1

    def with_shipped(self, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> tuple[registry.Registry, str]:
        """What is installed with two models more: learner, and learner-small that ships weights for 12 pixels."""
        package = runs.folder / "shipping"
        package.mkdir()
        (package / "__init__.py").write_text(MODELS)
        model = {"name": "learner-small", "version": "1", "config": {}}
        trained = load_file(weights := self.train(runs, "Learner", 12))
        header = {**read_header(weights), "model": model}
        save(package / "small.safetensors", trained, header, half=False)
        monkeypatch.syspath_prepend(runs.folder)
        shipped = vpbench.Weights(
            file="shipping:small.safetensors",
            sha256=sha256_of(package / "small.safetensors"),
            dataset="squares",
            frame_shape=(1, 12, 12),
            context=3,
        )
        installed = registry.load()
        for name, files in (("learner", ()), ("learner-small", (shipped,))):
            spec = vpbench.ModelSpec(
                name=name, factory="shipping:Learner", summary="Learns", version="1", learns="weights", weights=files
            )
            installed = installed.including(Provided(spec, "shipping", "1", "shipping"))
        return installed, "learner-small"


class TestPartsThatStartFromParts:
    """A part that starts from the weights of a part before it."""

    ONE = "runs/weights/one/learner-squares-3-seed0.safetensors"

    def parts(self, *more: str, budget: str = "6updates") -> list[str]:
        first = ["[[grid]]", 'name = "one"']
        second = ["[[grid]]", 'name = "two"', "[grid.train]", f'start = "{self.ONE}"', *more]
        return [*first, *second]

    def run(self, runs: Runs, *options: object, train: str = 'budget = "6updates"', more: tuple[str, ...] = ()) -> Any:
        return runs.bench("run", runs.grid(*self.parts(*more), train=train), *options)

    def test_are_trained_in_order(self, runs: Runs) -> None:
        ok(self.run(runs))
        two = read_header(runs.folder / "runs/weights/two/learner-squares-3-seed0.safetensors")
        assert two["start"] == sha256_of(runs.folder / self.ONE)

    def test_a_dry_run_says_what_is_not_there_yet(self, runs: Runs) -> None:
        result = ok(self.run(runs, "--dry-run"))
        assert f"starts from {self.ONE}, which a part before it trains" in result.stdout
        assert not (runs.folder / "runs").exists()

    def test_wait_for_weights_that_are_not_finished(self, runs: Runs) -> None:
        sliced = 'budget = "6updates"\nslice = "4updates"'
        result = self.run(runs, train=sliced)
        assert "is a snapshot of 4 of 6 updates: finish that training first" in result.stdout + result.stderr
        assert not (runs.folder / "runs/weights/two/learner-squares-3-seed0.safetensors").exists()
        self.run(runs, train=sliced)
        ok(self.run(runs, train=sliced))
        two = read_header(runs.folder / "runs/weights/two/learner-squares-3-seed0.safetensors")
        assert two["start"] == sha256_of(runs.folder / self.ONE)
        assert two["updates"] == 6

    def test_without_the_start_their_weights_are_those_of_another_run(self, runs: Runs) -> None:
        ok(self.run(runs))
        grid = runs.grid("[[grid]]", 'name = "one"', "[[grid]]", 'name = "two"')
        result = runs.bench("run", grid)
        assert result.exit_code == ExitCode.USAGE
        assert "holds the weights of another run (start was" in result.stderr

    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ('models = ["copy-lasst"]', "part two: no model 'copy-lasst'"),
            ('metrics = ["mze"]', "part two: no metric or convention 'mze'"),
            ('datasets = ["squarez"]', "part two: no dataset 'squarez'"),
            ('set = ["widht=3"]', "part two: no config key 'widht'"),
            ("horizons = [0]", "part two: horizons must be at least 1, got 0"),
        ],
    )
    def test_what_is_wrong_with_a_later_part_is_said_before_the_first_one_is_trained(
        self, runs: Runs, line: str, why: str
    ) -> None:
        grid = runs.grid("[[grid]]", 'name = "one"', "[[grid]]", 'name = "two"', line)
        result = runs.bench("run", grid)
        assert result.exit_code == ExitCode.USAGE
        assert why in result.stderr
        assert not (runs.folder / "runs").exists()

    def test_a_threshold_that_is_none_is_refused_before_the_first_one_is_trained(self, runs: Runs) -> None:
        result = self.run(runs, "--fail-under", "ssim")
        assert result.exit_code == ExitCode.USAGE
        assert not (runs.folder / "runs").exists()
