"""Training, through `vpbench train`: real files, real signals, real processes; models and data of training_plugin/."""

from __future__ import annotations

import itertools
import json
import math
import os
import pickle
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file

from vpbench.batches import stream
from vpbench.checkpoints import read_checkpoint
from vpbench.cli import main
from vpbench.config import make_config
from vpbench.errors import ExitCode, UsageError, WeightsError
from vpbench.protocols import TrainTask
from vpbench.registry import Registry
from vpbench.registry import load as load_registry
from vpbench.sampling import ClipOrder, draw_steps
from vpbench.training import Budget, Trainer, TrainingRun, updates_within
from vpbench.weights import WeightsFile, load_into, read_header

PLUGIN = Path(__file__).parent / "training_plugin"
MODELS = PLUGIN / "models.py"
CONTEXT, HORIZON, BATCH = 2, 3, 4
VPBENCH = [sys.executable, "-c", "from vpbench.cli import main; main()"]

Train = Callable[..., Result]
Tensors = dict[str, torch.Tensor]


def arguments(output: Path, model: str = "Tiny", budget: str = "30updates", **options: Any) -> list[str]:
    """The command line of a small training; set_foo=1 is --set foo=1."""
    given = {"dataset": "squares", "context": CONTEXT, "horizon": HORIZON, "batch_size": BATCH, "device": "cpu"}
    given |= {"model": f"{MODELS}:{model}" if model[:1].isupper() else model, "budget": budget, "output": output}
    line = ["train"]
    for name, value in {**given, **options}.items():
        line += ["--set", f"{name[4:]}={value}"] if name.startswith("set_") else [f"--{name.replace('_', '-')}={value}"]
    return line


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The fake distribution is installed, and the process is afterwards as it was: threads, signals, environment."""
    monkeypatch.syspath_prepend(PLUGIN)
    monkeypatch.setenv("VPBENCH_PLUGINS", "training-fakes")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of subprocesses
    monkeypatch.delenv("VPBENCH_PLUGIN_ERRORS", raising=False)
    threads, on_term = torch.get_num_threads(), signal.getsignal(signal.SIGTERM)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    signal.signal(signal.SIGTERM, on_term)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "weights.safetensors"


@pytest.fixture
def train(output: Path) -> Train:
    """Run `vpbench train` in this process."""

    def run(model: str = "Tiny", *, to: Path = output, **options: Any) -> Result:
        return CliRunner().invoke(main, arguments(to, model, **options))

    return run


@pytest.fixture
def asked() -> Iterator[list[tuple[str, tuple[int, ...], np.ndarray]]]:
    """What the dataset has been asked for, call by call."""
    from training_fake_data import Squares

    Squares.asked.clear()
    yield Squares.asked
    Squares.asked.clear()


def model_class(name: str) -> Any:
    """The very class that training a model of this file uses: what it writes down can be read here."""
    return Registry([]).model(f"{MODELS}:{name}").spec.factory


def succeeded(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def failed(result: Result, code: ExitCode) -> str:
    """The one line that a command ended with."""
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("vpbench: ")]
    assert len(lines) == 1, result.stderr
    assert result.stderr.splitlines()[-1] == lines[0]
    return lines[0]


def checkpoint_of(output: Path) -> Path:
    return output.with_name(output.name + ".checkpoint")


def left_behind(output: Path) -> set[str]:
    return {path.name for path in output.parent.iterdir()}


def same_weights(a: Path, b: Path) -> bool:
    """Bit for bit, and as to all that the headers say but for time."""
    one, other = load_file(a), load_file(b)
    headers = [{k: v for k, v in read_header(path).items() if k != "seconds"} for path in (a, b)]
    for header in headers:
        header["history"] = [{k: v for k, v in entry.items() if k != "seconds"} for entry in header["history"]]
    return (
        one.keys() == other.keys()
        and all(torch.equal(one[k], other[k]) and one[k].dtype == other[k].dtype for k in one)
        and headers[0] == headers[1]
    )


def build(model: str, weights: Path) -> Any:
    """The model of a weights file."""
    file = WeightsFile.open(weights)
    cls = model_class(model)
    built = cls(
        make_config(cls.Config, file.config, owner=model), frame_shape=file.frame_shape, context_length=file.context
    )
    load_into(built, weights)
    return built.eval()


# ------------------------------------------------------------------------------------------------------ what is made


class TestWeights:
    def test_carry_their_provenance(self, train: Train, output: Path) -> None:
        result = succeeded(train(seed=7, set_width=5))
        header = read_header(output)
        assert header["model"] == {
            "name": "tiny",
            "version": Registry([]).model(f"{MODELS}:Tiny").spec.version,
            "config": {"width": 5, "learning_rate": 0.02},
        }
        assert header["dataset"]["name"] == "squares"
        assert header["dataset"]["fingerprint"] == "squares-train-0"
        assert header["dataset"]["config"]["clips"] == 24
        assert (header["context"], header["horizon"], header["frame_shape"]) == (CONTEXT, HORIZON, [1, 8, 8])
        assert (header["seed"], header["batch_size"], header["precision"]) == (7, BATCH, "float32")
        assert (header["updates"], header["sequences"], header["budget"]) == (30, 30 * BATCH, "30updates")
        assert 0 <= header["seconds"] < 60
        assert header["threads"] == 1
        assert header["device"]
        assert header["code_version"] == {
            "vpbench": version("vpbench"),
            "torch": torch.__version__,
            "models.py": Registry([]).model(f"{MODELS}:Tiny").version,
            "training-fakes": "1.0",
        }
        assert [entry["update"] for entry in header["history"]] == [30]
        assert f"weights: {output}" in result.stdout
        assert f"--weights {output}" in result.stdout

    def test_are_all_that_is_left(self, train: Train, output: Path) -> None:
        succeeded(train())
        assert left_behind(output) == {output.name}

    def test_predict_better_than_those_it_started_from(self, train: Train, output: Path, tmp_path: Path) -> None:
        succeeded(train(budget="1update", to=tmp_path / "start"))
        succeeded(train(budget="300updates", set_endless=True, set_width=32))
        (start,), history = (read_header(path)["history"] for path in (tmp_path / "start", output))
        assert [entry["update"] for entry in history] == [100, 200, 300]
        assert history[-1]["val_mse"] < history[0]["val_mse"] < 0.2 * start["val_mse"]
        assert history[-1]["loss"] < history[0]["loss"]

    def test_can_be_started_from(self, train: Train, output: Path, tmp_path: Path) -> None:
        """Begun where another training ended, one update on: near those, and not near what the seed draws."""
        first = tmp_path / "first.safetensors"
        succeeded(train(to=first))
        succeeded(train(budget="1update", start=first))
        succeeded(train(budget="1update", to=tmp_path / "drawn.safetensors"))
        began, went_on, drawn = (load_file(each) for each in (first, output, tmp_path / "drawn.safetensors"))

        def apart(one: Tensors, other: Tensors) -> float:
            return max(float((one[k].double() - other[k].double()).abs().max()) for k in one)

        assert 0 < apart(began, went_on) < 0.1 * apart(drawn, began)
        assert read_header(output)["start"] == WeightsFile.open(first).sha256
        assert "start" not in read_header(first)

    def test_started_from_others_are_not_those_that_were_drawn(
        self, train: Train, output: Path, tmp_path: Path
    ) -> None:
        """The same command without --start finds the weights of another run in its place, and the other way round."""
        first = tmp_path / "first.safetensors"
        succeeded(train(to=first))
        succeeded(train(budget="1update", start=first))
        assert "holds the weights of another run (start was" in failed(train(budget="1update"), ExitCode.USAGE)
        line = failed(train(to=first, start=output), ExitCode.USAGE)
        assert "holds the weights of another run (start was None" in line

    def test_go_on_with_the_config_of_those_they_start_from(self, train: Train, output: Path, tmp_path: Path) -> None:
        first = tmp_path / "first.safetensors"
        succeeded(train(to=first, set_width=5))
        succeeded(train(budget="1update", start=first, set_learning_rate=0.003))
        assert read_header(output)["model"]["config"] == {"width": 5, "learning_rate": 0.003}

    def test_of_another_model_cannot_be_started_from(self, train: Train, output: Path, tmp_path: Path) -> None:
        first = tmp_path / "first.safetensors"
        succeeded(train(to=first))
        line = failed(train("Normed", start=first), ExitCode.NOTHING_TO_RUN)
        assert "weights" in line
        assert "of tiny, " in line
        line = failed(train(start=first, set_width=5), ExitCode.DATA)
        assert "do not fit the model and its config" in line
        assert not output.exists()

    def test_validation_error_is_that_of_the_written_weights(self, train: Train, output: Path) -> None:
        """Held against a plain loop over the val split."""
        from training_fake_data import Config, Squares

        succeeded(train(budget="150updates"))
        model, data = build("Tiny", output), Squares(Config())
        times = np.arange(float(CONTEXT + HORIZON))[None]
        errors = []
        for clip in data.ids("val", n_frames=CONTEXT + HORIZON):
            frames = torch.from_numpy(data.clips("val", [clip], times).frames).float() / 255
            context = type("Context", (), {"frames": frames[:, :CONTEXT]})
            with torch.no_grad():
                predicted = model.predict(context, torch.from_numpy(times[:, CONTEXT:]))
            errors.append(float((predicted - frames[:, CONTEXT:]).square().mean()))
        assert read_header(output)["history"][-1]["val_mse"] == pytest.approx(np.mean(errors), rel=2e-3)

    def test_are_the_moving_average_of_the_parameters(self, train: Train, output: Path) -> None:
        """avg_k = d_k avg_{k-1} + (1 - d_k) p_k with d_k = min(0.999, (1 + k) / (10 + k)), in float64."""
        seen = model_class("Remembers").seen
        seen.clear()
        succeeded(train("Remembers", budget="40updates"))
        states = [each["parameters"] for each in seen] + [dict(seen[-1]["model"].named_parameters())]
        average = {name: value.double() for name, value in states[0].items()}
        for k, state in enumerate(states[1:], start=1):
            decay = min(0.999, (1 + k) / (10 + k))
            average = {name: decay * average[name] + (1 - decay) * state[name].double() for name in average}
        for name, value in load_file(output).items():
            assert torch.allclose(value.double(), average[name], rtol=1e-6 if value.ndim == 1 else 1e-3, atol=1e-6)
            assert not torch.allclose(value.double(), states[-1][name].double(), atol=1e-3)

    def test_of_batch_normalisation_keep_statistics_and_counts(self, train: Train, output: Path) -> None:
        succeeded(train("Normed", budget="50updates"))
        found = load_file(output)
        assert found["norm.num_batches_tracked"].dtype == torch.int64
        assert found["norm.num_batches_tracked"].item() == 50
        assert found["norm.running_var"].dtype == torch.float32
        assert not torch.allclose(found["norm.running_mean"], torch.zeros(8), atol=1e-3)
        assert build("Normed", output).norm.num_batches_tracked.item() == 50

    def test_train_without_optimisers_of_the_models_own(self, train: Train, output: Path) -> None:
        succeeded(train("Plain"))
        assert read_header(output)["updates"] == 30

    def test_of_a_model_that_fits_at_test_are_validated_with_gradients(self, train: Train, output: Path) -> None:
        succeeded(train("FitsAtTest"))
        assert math.isfinite(read_header(output)["history"][-1]["val_mse"])

    def test_without_any_error_are_no_trouble(
        self, train: Train, output: Path, recwarn: pytest.WarningsRecorder
    ) -> None:
        succeeded(train("SeesBlack", set_black=True))
        assert read_header(output)["history"][-1]["val_mse"] == 0
        assert not [each for each in recwarn if issubclass(each.category, RuntimeWarning)]


class TestHalfPrecision:
    def test_is_used_where_nothing_is_lost(self, train: Train, output: Path) -> None:
        succeeded(train(budget="100updates"))
        assert read_header(output)["stored_as"] == "float16"
        types = {name: value.dtype for name, value in load_file(output).items()}
        assert types == {
            "first.weight": torch.float16,
            "last.weight": torch.float16,
            "first.bias": torch.float32,
            "last.bias": torch.float32,
        }

    def test_is_not_used_where_predictions_would_change(self, train: Train, output: Path) -> None:
        succeeded(train("NeedsPrecision"))
        assert read_header(output)["stored_as"] == "float32"
        assert {value.dtype for value in load_file(output).values()} == {torch.float32}

    def test_leaves_alone_what_it_cannot_hold(self, train: Train, output: Path) -> None:
        succeeded(train("HasHugeWeights"))
        found = load_file(output)
        assert found["only_for_training"].dtype == torch.float32
        assert found["only_for_training"].eq(1e6).all()
        assert found["first.weight"].dtype == torch.float16


class TestPrecision:
    def test_bfloat16_reaches_training_and_validation(self, train: Train, output: Path) -> None:
        types = model_class("Bfloat").types
        types.clear()
        succeeded(train("Bfloat", precision="bfloat16"))
        assert types == {("train", False, torch.bfloat16), ("eval", True, torch.bfloat16)}
        assert read_header(output)["precision"] == "bfloat16"

    def test_float32_is_the_default(self, train: Train) -> None:
        types = model_class("Bfloat").types
        types.clear()
        succeeded(train("Bfloat"))
        assert {each[2] for each in types} == {torch.float32}

    def test_bfloat16_resumes_exactly_too(
        self, train: Train, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        succeeded(train(precision="bfloat16", to=tmp_path / "whole.safetensors"))
        monkeypatch.setenv("MODEL_SIGNAL", "loss 0.5 SIGINT")
        assert train(precision="bfloat16").exit_code == ExitCode.INTERRUPTED
        succeeded(train(precision="bfloat16"))
        assert same_weights(output, tmp_path / "whole.safetensors")


# ------------------------------------------------------------------------------------------------- what an update is


class TestData:
    def test_test_split_is_never_touched(self, train: Train, asked: list[Any]) -> None:
        """The dataset raises for it, whatever it is asked; so does no other test of this file."""
        succeeded(train(budget="120updates"))
        assert {split for split, _, _ in asked} == {"train", "val"}

    def test_validation_clips_do_not_change_the_weights(self, train: Train, tmp_path: Path) -> None:
        found = []
        for variant in (0, 1):
            path = tmp_path / f"{variant}.safetensors"
            succeeded(train(to=path, set_val_variant=variant))
            found.append((load_file(path), read_header(path)["history"]))
        (a, history_a), (b, history_b) = found
        assert all(torch.equal(a[name], b[name]) for name in a)
        assert history_a != history_b

    def test_training_clips_do(self, train: Train, tmp_path: Path) -> None:
        for variant in (0, 1):
            succeeded(train(to=tmp_path / f"{variant}.safetensors", set_train_variant=variant))
        a, b = load_file(tmp_path / "0.safetensors"), load_file(tmp_path / "1.safetensors")
        assert not torch.equal(a["first.weight"], b["first.weight"])

    def test_each_epoch_sees_each_clip_once_in_another_order(self, train: Train, asked: list[Any]) -> None:
        succeeded(train(budget="12updates"))
        ids = [i for split, batch, _ in asked if split == "train" for i in batch]
        first, second = ids[:24], ids[24:]
        assert sorted(first) == sorted(second) == list(range(24))
        assert first != second
        assert first != sorted(first)

    def test_batches_may_be_larger_than_the_split(self, train: Train, asked: list[Any]) -> None:
        succeeded(train(budget="6updates", set_clips=3))
        ids = [i for split, batch, _ in asked if split == "train" for i in batch]
        assert Counter(ids) == {0: 8, 1: 8, 2: 8}
        assert all(sorted(ids[k : k + 3]) == [0, 1, 2] for k in range(0, 24, 3))

    def test_endless_splits_are_walked_through(self, train: Train, asked: list[Any]) -> None:
        succeeded(train(budget="5updates", set_endless=True))
        ids = [i for split, batch, _ in asked if split == "train" for i in batch]
        assert ids == list(range(20))

    @pytest.mark.parametrize("endless", [False, True])
    def test_seeds_see_different_clips(self, train: Train, asked: list[Any], tmp_path: Path, endless: bool) -> None:
        orders = []
        for seed in (0, 1):
            asked.clear()
            succeeded(train(to=tmp_path / f"{seed}.safetensors", seed=seed, set_endless=endless, budget="6updates"))
            orders.append([i for split, batch, _ in asked if split == "train" for i in batch])
        assert orders[0] != orders[1]
        assert bool(set(orders[0]) & set(orders[1])) is not endless

    def test_batch_holds_what_the_dataset_gives_at_its_times(self, train: Train) -> None:
        """Each drawn target is the frame of that clip at that time, also in the past of the last context frame."""
        from training_fake_data import Config, Squares

        seen = model_class("Curriculum").seen
        seen.clear()
        Squares.asked.clear()
        succeeded(train("Curriculum"))
        ids = [batch for split, batch, _ in Squares.asked if split == "train"]
        data = Squares(Config())
        for each, clips in zip(seen, ids, strict=True):
            batch = each["batch"]
            for row, clip in enumerate(clips):
                whole = data.clips("train", [clip], np.arange(8.0)[None]).frames[0] / np.float32(255)
                assert np.array_equal(batch.context.frames[row].numpy(), whole[:CONTEXT])
                assert np.array_equal(batch.target[row].numpy(), whole[batch.target_times[row].long().numpy()])
            assert batch.context.times.tolist() == [[0.0, 1.0]] * BATCH
            assert batch.target_times.dtype == torch.float64

    def test_sampling_changes_the_task_as_training_goes_on(self, train: Train) -> None:
        seen = model_class("Curriculum").seen
        seen.clear()
        succeeded(train("Curriculum"))
        farthest = []
        for k, each in enumerate(seen):
            assert each["progress"] == k / 30
            times = each["batch"].target_times
            horizon = min(HORIZON, 1 + int(4 * k / 30))
            assert times.shape == (BATCH, 2)
            assert (times.diff(dim=1) > 0).all()
            assert times.min() >= 0  # step -1 is time 0, two before the first frame that is not given
            assert times.max() <= CONTEXT - 1 + horizon
            farthest.append(float(times.max()))
        assert max(farthest[:7]) == CONTEXT
        assert max(farthest) == CONTEXT - 1 + HORIZON
        assert min(float(each["batch"].target_times.min()) for each in seen) == 0

    def test_all_steps_in_order_are_the_default(self, train: Train) -> None:
        seen = model_class("Remembers").seen
        seen.clear()
        succeeded(train("Remembers"))
        expected = [[CONTEXT + k for k in range(HORIZON)]] * BATCH
        assert all(each["batch"].target_times.tolist() == expected for each in seen)

    def test_a_horizon_of_nothing_asks_for_the_context_alone(self, train: Train) -> None:
        seen = model_class("Repeats").seen
        seen.clear()
        succeeded(train("Repeats"))
        assert len(seen) == 30
        assert all(each["batch"].target_times.tolist() == [[0.0, 1.0]] * BATCH for each in seen)


class TestClipOrder:
    def test_is_a_function_of_the_update(self) -> None:
        one, other = ClipOrder(range(10), 4, seed=3), ClipOrder(range(10), 4, seed=3)
        forwards = [one[k] for k in range(20)]
        assert [other[k] for k in reversed(range(20))] == forwards[::-1]

    def test_stretches_of_seeds_do_not_overlap(self) -> None:
        ids = range(2**40)
        orders = [ClipOrder(ids, 64, seed=seed) for seed in (0, 1, 2)]
        starts = [order[0][0] for order in orders]
        assert sorted(abs(a - b) for a, b in itertools.combinations(starts, 2))[0] >= 2**24

    def test_an_endless_split_starts_again_at_its_end(self) -> None:
        n = 2**24 + 3
        order = ClipOrder(range(n), 4, seed=0)
        assert order[n // 4] == [n - 3, n - 2, n - 1, 0]


class TestDrawnSteps:
    def test_are_all_without_a_number_of_targets(self) -> None:
        steps = draw_steps(TrainTask(context=4, first=-1), 5, 3, torch.Generator())
        assert steps.tolist() == [[-1, 0, 1, 2, 3, 4, 5]] * 3
        assert steps.dtype == torch.int64

    def test_are_all_where_there_are_fewer_than_wanted(self) -> None:
        assert draw_steps(TrainTask(context=2, targets=9), 3, 2, torch.Generator()).tolist() == [[1, 2, 3]] * 2

    @pytest.mark.parametrize("emphasis", [0.0, 1.0, 2.5])
    def test_are_drawn_in_proportion_to_their_weights_without_replacement(self, emphasis: float) -> None:
        """Pairs of steps against the closed form P({a, b}) = p_a p_b / (1 - p_a) + p_b p_a / (1 - p_b)."""
        n, generator = 60_000, torch.Generator().manual_seed(1)
        task = TrainTask(context=3, first=-1, targets=2, emphasis=emphasis)
        steps = draw_steps(task, 3, n, generator)
        assert (steps[:, 0] < steps[:, 1]).all()
        found = Counter(map(tuple, steps.tolist()))
        weights = {k: max(abs(k), 1) ** -emphasis for k in range(-1, 4)}
        p = {k: weight / sum(weights.values()) for k, weight in weights.items()}
        pairs = list(itertools.combinations(p, 2))
        expected = [n * (p[a] * p[b] / (1 - p[a]) + p[b] * p[a] / (1 - p[b])) for a, b in pairs]
        assert sum(expected) == pytest.approx(n)
        chi2 = sum((found[pair] - e) ** 2 / e for pair, e in zip(pairs, expected, strict=True))
        assert chi2 < 27.9  # 0.1 % of the chi-square distribution with 9 degrees of freedom lie above

    def test_differ_between_clips_and_repeat_with_the_generator(self) -> None:
        task = TrainTask(context=2, targets=3)
        one, two = (draw_steps(task, 50, 8, torch.Generator().manual_seed(5)) for _ in range(2))
        assert torch.equal(one, two)
        assert len({tuple(row) for row in one.tolist()}) == 8


class TestOptimisers:
    def test_learning_rate_rises_on_a_line_and_falls_along_a_cosine(self, train: Train) -> None:
        log = model_class("Tiny").optimisers.__globals__["Watched"].log
        log.clear()
        succeeded(train(budget="200updates"))
        rates = [rate for rate, _ in log]
        assert len(rates) == 200
        for k, rate in enumerate(rates):
            if k < 10:  # 5 % of the run
                assert rate == pytest.approx(0.02 * (k + 1) / 10)
            else:
                share = (k - 10) / 190
                assert rate == pytest.approx(0.02 * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2))
        assert rates[10] == max(rates) == pytest.approx(0.02)
        assert rates[-1] == pytest.approx(0.0002, rel=0.02)

    def test_gradients_are_clipped_to_norm_one_and_not_stretched(self, train: Train, tmp_path: Path) -> None:
        norms = []
        for model in ("Tiny", "SteepLoss"):
            log = model_class(model).optimisers.__globals__["Watched"].log
            log.clear()
            succeeded(train(model, to=tmp_path / model))
            norms.append([norm for _, norm in log])
        assert max(norms[0]) < 0.9
        assert norms[1] == pytest.approx([1.0] * 30, rel=1e-3)

    def test_each_part_steps_in_turn(self, train: Train) -> None:
        calls = model_class("Adversary").calls
        calls.clear()
        succeeded(train("Adversary", budget="10updates"))
        assert calls == ["generator", "critic"] * 10

    def test_parts_do_not_move_each_other(self, train: Train, output: Path) -> None:
        """The critic's bias drops out of its own loss, a difference, but not out of the generator's: it must stay."""
        succeeded(train("Adversary"))
        cls = model_class("Adversary")
        torch.manual_seed(stream("init", 0))
        started = cls(cls.Config(), frame_shape=(1, 8, 8), context_length=CONTEXT)
        trained = load_file(output)
        assert torch.allclose(trained["critic.bias"], started.critic.bias, atol=1e-6)
        assert not torch.allclose(trained["critic.weight"].float(), started.critic.weight, atol=1e-3)

    def test_several_parts_resume_exactly(
        self, train: Train, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        succeeded(train("Adversary", to=tmp_path / "whole.safetensors"))
        monkeypatch.setenv("READ_SIGNAL", "SIGINT")
        assert train("Adversary").exit_code == ExitCode.INTERRUPTED
        succeeded(train("Adversary"))
        assert same_weights(output, tmp_path / "whole.safetensors")


class TestSeeds:
    def test_same_seed_same_bits(self, train: Train, tmp_path: Path) -> None:
        for name in ("a", "b"):
            succeeded(train("Dice", to=tmp_path / name))
            random.random(), np.random.rand(), torch.rand(3)  # the state a process happens to be in does not matter
        assert same_weights(tmp_path / "a", tmp_path / "b")

    def test_other_seed_other_weights(self, train: Train, tmp_path: Path) -> None:
        for seed in (0, 1, -1):
            succeeded(train(to=tmp_path / str(seed), seed=seed))
        found = [load_file(tmp_path / str(seed))["first.weight"] for seed in (0, 1, -1)]
        assert not any(torch.equal(a, b) for a, b in itertools.combinations(found, 2))


# ----------------------------------------------------------------------------------------------------------- budgets


class TestBudget:
    @pytest.mark.parametrize(
        ("text", "updates", "seconds"),
        [
            ("5000updates", 5000, None),
            ("1update", 1, None),
            ("12u", 12, None),
            (" 3 updates ", 3, None),
            ("90s", None, 90),
            ("20m", None, 1200),
            ("1.5h", None, 5400),
        ],
    )
    def test_is_updates_or_time(self, text: str, updates: int | None, seconds: float | None) -> None:
        budget = Budget.parse(text)
        assert (budget.updates, budget.seconds) == (updates, seconds)
        assert Budget.parse(str(budget)) == budget

    @pytest.mark.parametrize(
        "text", ["0", "-5", "abc", "1.5updates", "", "20", "0m", "0updates", "-5m", "1e3s", "nan s", "5 parsecs", "m"]
    )
    def test_nonsense_is_refused(self, train: Train, output: Path, text: str) -> None:
        line = failed(train(budget=text), ExitCode.USAGE)
        assert f"budget {text!r}" in line
        assert left_behind(output) == set()
        with pytest.raises(UsageError):
            Budget.parse(text)

    def test_of_time_becomes_updates_that_fit(
        self, train: Train, output: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MODEL_PAUSE", "0.002")
        result = succeeded(train(budget="1s"))
        header = read_header(output)
        assert f"are {header['updates']} updates" in result.stderr
        assert 1 <= header["updates"] <= 500  # 2 ms each at the least
        assert header["budget"] == "1s"
        assert header["sequences"] == header["updates"] * BATCH

    def test_of_time_leaves_room_for_validation(self) -> None:
        assert updates_within(100.0, 0.01, 0.0) == 10_000
        assert updates_within(100.0, 0.01, 1.0) == 10_000 - 100 * (20 + 3)
        assert updates_within(1.0, 0.01, 0.1) == round((1 - 0.1 * 4) / 0.01)
        assert updates_within(1.0, 2.0, 0.1) < 1

    def test_of_too_little_time_is_refused(self, train: Train, output: Path) -> None:
        assert "too short" in failed(train(budget="0.001s"), ExitCode.USAGE)
        assert left_behind(output) == set()

    def test_of_time_is_frozen_by_the_first_checkpoint(
        self, train: Train, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Calibrated once, resumed with that number, equal to a run that was told the number."""
        monkeypatch.setenv("MODEL_SIGNAL", "loss 0.5 SIGTERM")
        first = train(budget="1s")
        assert first.exit_code == ExitCode.INTERRUPTED, first.output
        total = read_checkpoint(checkpoint_of(output), torch.device("cpu"))["total"]
        second = succeeded(train(budget="1s"))
        assert " s an update: " in first.stderr
        assert " s an update: " not in second.stderr
        assert read_header(output)["updates"] == total
        told = tmp_path / "told.safetensors"
        succeeded(train(budget=f"{total}updates", to=told))
        a, b = load_file(output), load_file(told)
        assert all(torch.equal(a[name], b[name]) for name in a)


# ------------------------------------------------------------------------------------------------------------ resume


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a run that nothing interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PLUGIN)
        patch.setenv("VPBENCH_PLUGINS", "training-fakes")
        torch.set_num_threads(1)
        on_term = signal.getsignal(signal.SIGTERM)
        path = tmp_path_factory.mktemp("whole") / "whole.safetensors"
        succeeded(CliRunner().invoke(main, arguments(path, "Dice", budget="130updates")))
        signal.signal(signal.SIGTERM, on_term)
    return path


MOMENTS = ["loss", "backward", "step", "average", "predict"]  #: of an update, as models.py knows them


class TestInterrupted:
    """Ctrl-C and SIGTERM, at every kind of moment: stopped at once, nothing lost, resumed to the same bits."""

    @pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM"])
    @pytest.mark.parametrize("moment", MOMENTS)
    def test_run_goes_on_as_if_it_had_not_been(
        self, train: Train, output: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, moment: str, signal_name: str
    ) -> None:
        monkeypatch.setenv("MODEL_SIGNAL", f"{moment} 0.9 {signal_name}")
        stopped = train("Dice", budget="130updates")
        assert "interrupted" in failed(stopped, ExitCode.INTERRUPTED)
        assert left_behind(output) == {checkpoint_of(output).name}
        # update 117, which is nine tenths of the way, is finished first
        assert "stopped at update 118 of 130" in stopped.stderr
        resumed = succeeded(train("Dice", budget="130updates"))
        assert "resuming at update 118 of 130" in resumed.stderr
        assert same_weights(output, whole)
        assert left_behind(output) == {output.name}

    def test_during_validation_it_is_made_up_for(
        self, train: Train, output: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MODEL_SIGNAL", "validate 0.7 SIGINT")
        stopped = train("Dice", budget="130updates")
        assert "stopped at update 100 of 130" in stopped.stderr
        assert read_checkpoint(checkpoint_of(output), torch.device("cpu"))["history"] == []
        succeeded(train("Dice", budget="130updates"))
        assert same_weights(output, whole)

    def test_while_clips_are_read(
        self, train: Train, output: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("READ_SIGNAL", "SIGINT")  # from the thread that reads ahead
        assert train("Dice", budget="130updates").exit_code == ExitCode.INTERRUPTED
        succeeded(train("Dice", budget="130updates"))
        assert same_weights(output, whole)

    @pytest.mark.parametrize("times", [1, 2])
    @pytest.mark.parametrize("write", [1, 2, 3])
    def test_while_a_checkpoint_is_written(
        self,
        train: Train,
        output: Path,
        whole: Path,
        monkeypatch: pytest.MonkeyPatch,
        write: int,
        times: int,
    ) -> None:
        fsync, calls = os.fsync, itertools.count(1)

        def interrupted(descriptor: int) -> None:
            if next(calls) == 2 * write - 1:  # each write syncs the file, then the folder
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(0)
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", interrupted)
        assert train("Dice", budget="130updates").exit_code == ExitCode.INTERRUPTED
        monkeypatch.setattr(os, "fsync", fsync)
        assert left_behind(output) <= {checkpoint_of(output).name}
        succeeded(train("Dice", budget="130updates"))
        assert same_weights(output, whole)

    @pytest.mark.parametrize("moment", ["loss", "backward", "step", "average"])
    def test_twice_in_one_update_stops_at_once_and_keeps_the_last_checkpoint(
        self, train: Train, output: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, moment: str
    ) -> None:
        monkeypatch.setenv("MODEL_SIGNAL", f"{moment} 0.9 SIGINT 2")
        assert train("Dice", budget="130updates").exit_code == ExitCode.INTERRUPTED
        assert read_checkpoint(checkpoint_of(output), torch.device("cpu"))["update"] == 100
        succeeded(train("Dice", budget="130updates"))
        assert same_weights(output, whole)

    def test_outside_the_main_thread_training_works_without_signals(self, output: Path, whole: Path) -> None:
        results: list[Path] = []

        def body() -> None:
            registry = load_registry()
            model, data = registry.model(f"{MODELS}:Dice"), registry.dataset("squares")
            run = TrainingRun(
                model=model,
                config=make_config(model.spec.load_config(), {}, owner="dice"),
                dataset=data,
                dataset_config=make_config(data.spec.load_config(), {}, owner="squares"),
                context=CONTEXT,
                horizon=HORIZON,
                budget=Budget(updates=130),
                output=output,
                batch_size=BATCH,
            )
            results.append(Trainer(run, quiet=True).train())

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        assert results == [output]
        assert same_weights(output, whole)

    def test_again_and_again(self, train: Train, output: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for share in (0.0, 0.1, 0.11, 0.47, 0.99):
            monkeypatch.setenv("MODEL_SIGNAL", f"step {share} SIGINT")
            assert train("Dice", budget="130updates").exit_code == ExitCode.INTERRUPTED
        succeeded(train("Dice", budget="130updates"))
        assert same_weights(output, whole)

    def test_while_a_budget_is_calibrated_leaves_nothing(
        self, train: Train, output: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MODEL_SIGNAL", "step 0.0 SIGTERM")
        failed(train(budget="20m"), ExitCode.INTERRUPTED)
        assert left_behind(output) == set()

    def test_before_the_end_of_the_first_update_may_become_another_run(self, train: Train, output: Path) -> None:
        """A checkpoint without an update is nobody's loss, so whoever edits a model need not delete it."""
        assert failed(train("LossNotScalar"), ExitCode.FAILED)
        assert checkpoint_of(output).exists()
        succeeded(train())


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    """Runs `vpbench train` in processes of their own, without importing torch for each."""
    environment = {**os.environ, "PYTHONPATH": str(PLUGIN), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(PLUGIN / "doomed.py")]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


class TestKilled:
    """SIGKILL: no handler runs."""

    @pytest.fixture
    def killed(self, server: subprocess.Popen[str], output: Path) -> Callable[..., int]:
        """Run `vpbench train` in a process of its own, which dies at the given moment; returns its exit code."""

        def run(*, model_signal: str = "", write: int = 0) -> int:
            environment = {"VPBENCH_PLUGINS": "training-fakes", "MODEL_SIGNAL": model_signal}
            line = arguments(output, "Dice", budget="130updates")
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write(json.dumps({"line": line, "environment": environment, "write": write}) + "\n")
            server.stdin.flush()
            return int(server.stdout.readline())

        return run

    @pytest.mark.parametrize("moment", [*MOMENTS, "validate"])
    def test_run_goes_on_from_its_last_checkpoint(
        self, train: Train, output: Path, whole: Path, killed: Callable[..., int], moment: str
    ) -> None:
        assert killed(model_signal=f"{moment} 0.9 SIGKILL") == -signal.SIGKILL
        assert not output.exists()
        resumed = succeeded(train("Dice", budget="130updates"))
        assert moment == "validate" or "resuming at update 100 of 130" in resumed.stderr
        assert same_weights(output, whole)

    @pytest.mark.parametrize("write", [1, 3, 7, 8])
    def test_while_writing_leaves_the_old_checkpoint_and_no_rubbish(
        self, train: Train, output: Path, whole: Path, killed: Callable[..., int], write: int
    ) -> None:
        assert killed(write=write) == -signal.SIGKILL
        succeeded(train("Dice", budget="130updates"))
        assert same_weights(output, whole)
        assert left_behind(output) == {output.name}

    def test_command_of_a_user_at_any_moment(self, train: Train, output: Path, tmp_path: Path) -> None:
        """The console command: killed, told to end, interrupted, finished; and nobody else gets in between."""
        line = arguments(output, "Dice", budget="500updates")
        environment = {**os.environ, "PYTHONPATH": str(PLUGIN), "MODEL_PAUSE": "0.008"}
        delay = random.SystemRandom().uniform(0, 2)
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            before = checkpoint_of(output).stat().st_mtime_ns if checkpoint_of(output).exists() else 0
            process = subprocess.Popen([*VPBENCH, *line], env=environment, stderr=subprocess.PIPE, text=True)
            try:
                deadline = time.monotonic() + 60
                while time.monotonic() < deadline and process.poll() is None:
                    if checkpoint_of(output).exists() and checkpoint_of(output).stat().st_mtime_ns != before:
                        break
                    time.sleep(0.01)
                time.sleep(delay)
                if number == signal.SIGTERM:
                    busy = failed(train("Dice", budget="500updates"), ExitCode.BUSY)
                    assert f"process {process.pid}@" in busy
                process.send_signal(number)
                _, stderr = process.communicate(timeout=60)
            finally:
                process.kill()
            expected = -number if number == signal.SIGKILL else ExitCode.INTERRUPTED
            assert process.returncode == expected, (delay, stderr)
        last = read_checkpoint(checkpoint_of(output), torch.device("cpu"))["update"]
        resumed = succeeded(train("Dice", budget="500updates"))
        assert f"resuming at update {last} of 500" in resumed.stderr
        undisturbed = tmp_path / "undisturbed.safetensors"
        succeeded(train("Dice", budget="500updates", to=undisturbed))
        assert same_weights(output, undisturbed), delay


def test_what_a_killed_writer_left_is_swept_up_and_nothing_else(train: Train, tmp_path: Path) -> None:
    output = tmp_path / "w[1].safetensors"
    stale = tmp_path / ".w[1].safetensors.checkpoint.1234-abcd.tmp"
    other = tmp_path / ".w1.safetensors.checkpoint.1234-abcd.tmp"
    stale.touch()
    other.touch()
    succeeded(train(to=output))
    assert not stale.exists()
    assert other.exists()


class TestFinished:
    def test_run_is_not_run_again(self, train: Train, output: Path) -> None:
        succeeded(train())
        before = output.stat()
        result = succeeded(train())
        assert "trained already" in result.stderr
        assert f"weights: {output}" in result.stdout
        after = output.stat()
        assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)

    @pytest.mark.parametrize(
        ("options", "what"),
        [
            ({"seed": 1}, "seed was 0, is 1"),
            ({"set_width": 9}, "model.config.width was 8, is 9"),
            ({"budget": "31updates"}, "budget was 30updates, is 31updates"),
            ({"set_train_variant": 1}, "dataset.config.train_variant was 0, is 1"),
        ],
    )
    def test_weights_of_another_run_are_not_overwritten(
        self, train: Train, output: Path, options: dict[str, Any], what: str
    ) -> None:
        succeeded(train())
        before = output.read_bytes()
        assert what in failed(train(**options), ExitCode.USAGE)
        assert output.read_bytes() == before

    def test_file_that_is_something_else_is_not_overwritten(self, train: Train, output: Path) -> None:
        output.write_text("my thesis")
        assert "no weights file of ours" in failed(train(), ExitCode.USAGE)
        assert output.read_text() == "my thesis"


# -------------------------------------------------------------------------------------------------------- checkpoints


@pytest.fixture
def stopped(train: Train, output: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkpoint of a run that was interrupted after 16 of 30 updates."""
    monkeypatch.setenv("MODEL_SIGNAL", "loss 0.5 SIGINT")
    assert train().exit_code == ExitCode.INTERRUPTED
    return checkpoint_of(output)


class Exploit:
    """What a hostile file would do."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.proof),)


class TestCheckpoint:
    @pytest.mark.parametrize("kept", [0, 1, 100, 0.5, -1])
    def test_cut_short_is_refused(self, train: Train, stopped: Path, kept: float) -> None:
        whole = stopped.read_bytes()
        stopped.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
        line = failed(train(), ExitCode.DATA)
        assert f"checkpoint {stopped} is damaged" in line
        assert "delete it" in line

    def test_with_one_bit_of_a_weight_flipped_is_refused(self, train: Train, stopped: Path) -> None:
        content = bytearray(stopped.read_bytes())
        with zipfile.ZipFile(stopped) as archive:
            largest = max(archive.infolist(), key=lambda info: info.file_size)
        content[largest.header_offset + 200 + largest.file_size // 2] ^= 4
        stopped.write_bytes(content)
        assert "is damaged (wrong checksum" in failed(train(), ExitCode.DATA)

    def test_with_any_bit_flipped_is_refused_or_harmless(self, stopped: Path) -> None:
        good = stopped.read_bytes()
        draw = random.Random(1)
        refusals = []
        for _ in range(60):
            content = bytearray(good)
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            stopped.write_bytes(content)
            try:
                read = read_checkpoint(stopped, torch.device("cpu"))
            except WeightsError as error:
                refusals.append(str(error))
            else:  # in what fills the gaps between the parts of the archive
                stopped.write_bytes(good)
                assert str(read) == str(read_checkpoint(stopped, torch.device("cpu")))
        assert len(refusals) > 20
        assert all(line.startswith(f"checkpoint {stopped} ") for line in refusals)

    @pytest.mark.parametrize("kind", ["bare pickle", "archive"])
    def test_runs_no_code(self, train: Train, stopped: Path, tmp_path: Path, kind: str) -> None:
        proof = tmp_path / "code ran"
        if kind == "bare pickle":
            stopped.write_bytes(pickle.dumps(Exploit(proof)))
        else:
            torch.save({"version": 1, "identity": "{}", "update": Exploit(proof)}, stopped)
        assert f"checkpoint {stopped} is damaged" in failed(train(), ExitCode.DATA)
        assert not proof.exists()
        if kind == "archive":  # it would have
            torch.load(stopped, weights_only=False)
            assert proof.exists()

    @pytest.mark.parametrize(
        "change",
        [
            {"version": None},
            {"identity": None},
            {"identity": "{"},
            {"identity": "[]"},
            {"identity": 3},
            {"total": None},
            {"total": "many"},
            {"total": 3},
            {"update": None},
            {"update": -1},
            {"update": "16"},
            {"model": None},
            {"model": {"first.weight": torch.zeros(1)}},
            {"model": 5},
            {"average": None},
            {"average": {}},
            {"average": 7},
            {"optimisers": None},
            {"optimisers": {}},
            {"optimisers": {"main": {}}},
            {"history": None},
            {"history": 4},
            {"spent_s": None},
        ],
        ids=str,
    )
    def test_that_lacks_something_is_refused(self, train: Train, stopped: Path, change: dict[str, Any]) -> None:
        ((key, value),) = change.items()
        content = torch.load(stopped, weights_only=True)
        content[key] = value
        if value is None:
            del content[key]
        torch.save(content, stopped)
        assert f"checkpoint {stopped} is damaged" in failed(train(), ExitCode.DATA)

    def test_that_is_no_mapping_is_refused(self, train: Train, stopped: Path) -> None:
        torch.save([1, 2], stopped)
        assert "is damaged" in failed(train(), ExitCode.DATA)

    def test_that_is_a_folder_is_refused(self, train: Train, stopped: Path) -> None:
        stopped.unlink()
        stopped.mkdir()
        assert f"checkpoint {stopped}" in failed(train(), ExitCode.DATA)

    def test_of_a_newer_version_is_refused(self, train: Train, stopped: Path) -> None:
        torch.save({"version": 2}, stopped)
        line = failed(train(), ExitCode.DATA)
        assert "has version 2, this vpbench reads 1" in line

    @pytest.mark.parametrize(
        ("options", "what"),
        [
            ({"seed": 1}, "seed was 0, is 1"),
            ({"set_learning_rate": 0.1}, "model.config.learning_rate was 0.02, is 0.1"),
            ({"model": "Dice"}, "model.name was tiny, is dice"),
            ({"budget": "20m"}, "budget was 30updates, is 1200s"),
            ({"horizon": 4}, "horizon was 3, is 4"),
            ({"precision": "bfloat16"}, "precision was float32, is bfloat16"),
        ],
    )
    def test_of_another_run_is_refused_and_kept(
        self, train: Train, stopped: Path, options: dict[str, Any], what: str
    ) -> None:
        before = stopped.read_bytes()
        line = failed(train(**options), ExitCode.USAGE)
        assert what in line
        assert "--output" in line
        assert stopped.read_bytes() == before

    def test_from_before_there_were_surroundings_and_smooth_loss_is_resumed(
        self, train: Train, output: Path, stopped: Path, whole_tiny: Path
    ) -> None:
        content = torch.load(stopped, weights_only=True)
        del content["smooth_loss"], content["surroundings"]
        torch.save(content, stopped)
        succeeded(train())
        a, b = load_file(output), load_file(whole_tiny)
        assert all(torch.equal(a[name], b[name]) for name in a)

    def test_of_other_threads_is_resumed_with_a_word(self, train: Train, stopped: Path) -> None:
        torch.set_num_threads(2)
        assert "surroundings" not in (stderr := succeeded(train()).stderr)
        assert "not be the uninterrupted one to the last bit: threads was 1, is 2" in stderr

    def test_is_not_poisoned_by_a_loss_that_is_not_finite(self, train: Train, output: Path) -> None:
        failed(train("LossNaN", budget="200updates"), ExitCode.FAILED)
        content = read_checkpoint(checkpoint_of(output), torch.device("cpu"))
        assert content["update"] == 0
        assert all(torch.isfinite(value).all() for value in content["average"].values())

    def test_that_cannot_be_written_costs_no_older_one(
        self, train: Train, output: Path, stopped: Path, whole_tiny: Path
    ) -> None:
        before = stopped.read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))  # as a full disk: half fits
        try:
            line = failed(train(), ExitCode.STORAGE)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert f"cannot write {stopped}" in line
        assert stopped.read_bytes() == before
        assert left_behind(output) == {stopped.name}
        succeeded(train())
        assert same_weights(output, whole_tiny)

    def test_weights_that_cannot_be_written_cost_no_training(
        self, train: Train, output: Path, whole_tiny: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replace = os.replace

        def full(source: Any, target: Any) -> None:
            if Path(target) == output:
                raise OSError(28, "No space left on device")
            replace(source, target)

        monkeypatch.setattr(os, "replace", full)
        assert f"cannot write {output}" in failed(train(), ExitCode.STORAGE)
        monkeypatch.setattr(os, "replace", replace)
        assert read_checkpoint(checkpoint_of(output), torch.device("cpu"))["update"] == 30
        succeeded(train())
        assert same_weights(output, whole_tiny)


@pytest.fixture
def whole_tiny(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "weights.safetensors"
    succeeded(train(to=path))
    return path


# ---------------------------------------------------------------------------------------------------------- bad input


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "code", "parts"),
        [
            ({"model": "tinyy"}, ExitCode.USAGE, ["no model 'tinyy'"]),
            ({"model": f"{MODELS}:Tinyy"}, ExitCode.USAGE, ["no class 'Tinyy'", "did you mean Tiny?"]),
            ({"model": "no_such_file.py:Tiny"}, ExitCode.USAGE, ["no_such_file.py"]),
            ({"dataset": "square"}, ExitCode.USAGE, ["no dataset 'square'", "did you mean squares?"]),
            ({"set_widht": "3"}, ExitCode.USAGE, ["'widht'", "did you mean width?"]),
            ({"set_width": "wide"}, ExitCode.USAGE, ["width", "'wide' is not int"]),
            ({"horizon": 0}, ExitCode.USAGE, ["--horizon"]),
            ({"horizon": -3}, ExitCode.USAGE, ["--horizon"]),
            ({"context": "ten"}, ExitCode.USAGE, ["--context"]),
            ({"batch_size": 0}, ExitCode.USAGE, ["--batch-size"]),
            ({"precision": "float8"}, ExitCode.USAGE, ["--precision"]),
            ({"device": "cuda:99"}, ExitCode.USAGE, ["no device 'cuda:99' here", "cpu"]),
            ({"device": "tpu"}, ExitCode.USAGE, ["no device 'tpu' here"]),
            ({"horizon": 19}, ExitCode.NOTHING_TO_RUN, ["context 2 + horizon 19 needs 21 frames, squares has 20"]),
            ({"set_clips": 0}, ExitCode.NOTHING_TO_RUN, ["squares has no clip of 5 frames in its train split"]),
            ({"set_val_clips": 0}, ExitCode.NOTHING_TO_RUN, ["squares has no clip of 5 frames in its val split"]),
            ({"model": "nothing-to-learn"}, ExitCode.NOTHING_TO_RUN, ["learns nothing", "nothing to train"]),
            ({"model": "for-colour"}, ExitCode.NOTHING_TO_RUN, ["for-colour takes frames of 3 channels", "has 1"]),
            ({"dataset": "not-importable"}, ExitCode.FAILED, ["training-fakes 1.0", "no_such_module"]),
            ({"set_fault": "opening"}, ExitCode.FAILED, ["training-fakes 1.0", "opening of squares", "frames.bin"]),
        ],
        ids=lambda value: str(value)[:50] if isinstance(value, dict) else "",
    )
    def test_what_cannot_work_is_said_before_any_update(
        self, train: Train, output: Path, options: dict[str, Any], code: ExitCode, parts: list[str]
    ) -> None:
        result = train(**{"model": "Tiny", **options})
        line = failed(result, code)
        assert all(part in line for part in parts), line
        assert left_behind(output) == set()

    @pytest.mark.parametrize("name", [".", "/", "folder"])
    def test_a_folder_is_no_output(
        self, train: Train, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "folder").mkdir()
        assert "is a folder" in failed(train(to=Path(name)), ExitCode.USAGE)

    @pytest.mark.parametrize("name", ["file/weights.safetensors", "x" * 250, "x" * 300])
    def test_a_place_that_cannot_be_written_is_said_at_once(self, train: Train, tmp_path: Path, name: str) -> None:
        (tmp_path / "file").touch()
        assert str(tmp_path / name) in failed(train(to=tmp_path / name), ExitCode.STORAGE)
        assert {path.name for path in tmp_path.iterdir()} == {"file"}


#: Class of models.py -> what its error line must say.
FAULTS: dict[str, list[str]] = {
    "LossNaN": ["the loss is nan at update 12"],
    "LossInfinite": ["the loss is inf at update 12"],
    "GradientNaN": ["the norm of the gradient is nan at update 12"],
    "CriticNaN": ["the loss is nan at update 0"],
    "LossRaises": ["loss() of loss-raises at update 12: ValueError: shapes (3,) and (4,) (models.py, line "],
    "LossExits": ["loss() of loss-exits at update 12: SystemExit: licence expired"],
    "LossNotScalar": ["loss() of loss-not-scalar at update 0: 'loss' must be a scalar tensor, got a tensor (3,)"],
    "LossNotMapping": ["loss() of loss-not-mapping at update 0: it must return a mapping with 'loss', got tensor("],
    "LossWithoutKey": ["it must return a mapping with 'loss', got {'mse': tensor("],
    "LossNumber": ["'loss' must be a scalar tensor, got a float"],
    "LossDetached": ["'loss' does not depend on any parameter"],
    "LossOfOthers": ["it depends on no parameter of the optimiser 'main'"],
    "NoParameters": ["making of no-parameters", "has no parameters"],
    "NotModule": ["not-module learns weights, so it must be a torch Module with loss()"],
    "MakingRaises": ["making of making-raises: ValueError: needs frames of 64 pixels, got (8, 8)"],
    "OptimisersList": ["optimisers() of optimisers-list: it must return a mapping of parts to optimisers, got ["],
    "OptimisersEmpty": ["it must return a mapping of parts to optimisers, got {}"],
    "OptimisersWrong": ["part 'main' is a generator, not a torch optimiser"],
    "OptimiserRaises": ["optimiser 'main' of optimiser-raises at update 0: TypeError"],
    "PredictShape": ["predict() of predict-shape: it returned (2, 1, 1, 8, 8), asked for a tensor (2, 3, 1, 8, 8)"],
    "PredictRaises": ["predict() of predict-raises: KeyError: 'cache'"],
    "PredictNaN": ["NaN predicted for the val split after update 30, first at step 2"],
    "SamplingWrong": ["sampling() of sampling-wrong: it must return a TrainTask, got a dict"],
    "SamplingTooFar": ["context 100 and horizon 3 do not fit into 5 frames"],
    "SamplingTooEarly": ["first=-2 must be from -1 to the horizon, 3"],
    "SamplingNothing": ["targets=0 must be at least 1"],
    "InfiniteMask": [
        "making of infinite-mask: mask is not finite from the start (a mask? register it with persistent="
    ],
    "ExtraState": ["the state of extra-state must hold tensors only, _extra_state is none"],
}
HARMLESS_SOURCE = {"LossNaN", "LossInfinite", "GradientNaN", "CriticNaN", "PredictNaN"}  # the model works, it diverges


class TestModelFaults:
    @pytest.mark.parametrize("model", FAULTS)
    def test_are_one_line_that_says_whose_and_what(self, train: Train, output: Path, model: str) -> None:
        line = failed(train(model), ExitCode.FAILED)
        assert all(part in line for part in FAULTS[model]), line
        if model not in HARMLESS_SOURCE:
            assert re.search(rf"models\.py [0-9a-f]{{12}} \({model}\): ", line), line
        assert not output.exists()
        assert left_behind(output) <= {checkpoint_of(output).name}

    def test_weights_that_overflow_in_the_last_update_are_not_kept(self, train: Train, output: Path) -> None:
        line = failed(train("WeightsOverflow", budget="4updates"), ExitCode.FAILED)
        assert "growing is not finite after update 4" in line
        assert not output.exists()
        assert read_checkpoint(checkpoint_of(output), torch.device("cpu"))["update"] == 0

    def test_a_broken_predict_costs_no_update(self, train: Train, output: Path) -> None:
        failed(train("PredictRaises", budget="20m"), ExitCode.FAILED)
        assert left_behind(output) == set()

    def test_authors_get_the_traceback(self, train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VPBENCH_PLUGIN_ERRORS", "raise")
        result = train("LossRaises")
        assert isinstance(result.exception, ValueError)
        assert any("loss() of loss-raises at update 12" in note for note in result.exception.__notes__)

    def test_no_signal_handler_stays_behind(self, train: Train, output: Path) -> None:
        before = signal.getsignal(signal.SIGINT)
        failed(train("LossRaises"), ExitCode.FAILED)
        assert signal.getsignal(signal.SIGINT) is before


class TestDatasetFaults:
    @pytest.mark.parametrize("after", [0, 7])
    @pytest.mark.parametrize(
        ("fault", "says"),
        [
            ("raises", "OSError: the disk has gone (training_fake_data.py, line "),
            ("exits", "SystemExit: no licence for these frames"),
            ("shape", "the dataset gave frames of shape (4, 4, 1, 8, 8), asked for (4, 5, 1, 8, 8)"),
            ("float64", "the dataset gave frames of type float64, the contract is uint8 or float32"),
            ("range", "the dataset gave float frames from 0 to 2"),
            ("nan", "the dataset gave float frames from nan to nan, the contract is [0, 1]"),
        ],
    )
    def test_are_one_line_that_says_whose_and_what(
        self, train: Train, output: Path, fault: str, says: str, after: int
    ) -> None:
        """They happen in the thread that reads ahead."""
        line = failed(train(set_fault=fault, set_fault_at=after), ExitCode.FAILED)
        assert "training-fakes 1.0 (training-fakes): reading train clips of squares: " + says in line
        assert not output.exists()


def test_json_of_the_header_is_strict(train: Train, output: Path) -> None:
    succeeded(train())
    length = int.from_bytes(output.read_bytes()[:8], "little")
    text = json.loads(output.read_bytes()[8 : 8 + length])["__metadata__"]["vpbench"]
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
