"""From Python: any module, function or object evaluated as a model, many of them run, records loaded as tables."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import math
import re
import subprocess
import sys
import threading
import warnings
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import torch
import torch.fx
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import vpbench
from vpbench.arguments import setting_lines
from vpbench.errors import ModelFailed, Refused, UnknownName, UsageError, VpbenchError, VpbenchWarning
from vpbench.in_memory import in_memory, lent
from vpbench.in_memory.introspection import digest
from vpbench.reach import modules_in
from vpbench.results import iter_records, read_record

CHEAP = ("mse", "psnr-pooled")


def evaluate(model, *, horizon=3, clips=3, dataset="squares", metrics=CHEAP, **options):
    options = {"exhibit": False, "progress": False, "device": "cpu", **options}
    return vpbench.evaluate(model, dataset=dataset, horizon=horizon, clips=clips, metrics=metrics, **options)


def copy_last(frames, horizon):
    return frames[:, -1:].repeat(1, horizon, 1, 1, 1)


class Scaled(nn.Module):
    """The last frame, scaled."""

    def __init__(self, scale=0.5, block=1):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
        self.block = block

    def forward(self, frames):
        return frames[:, -1:].repeat(1, self.block, 1, 1, 1) * self.scale


def traced(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(module, torch.rand(1, 10, 1, 16, 16))


def hooked(factor):
    net = nn.Identity()
    net.register_forward_hook(lambda module, given, answer: answer * factor)
    return net


def halved(model):
    @functools.wraps(model)
    def wrapper(*given):
        return model(*given) * 0.5

    return wrapper


def brightened(model):
    @functools.wraps(model)
    def wrapper(*given):
        return model(*given) * 1.1

    return wrapper


def squares(clips, steps, *, context=10):
    """Frames of the test dataset as float64 in [0, 1]: (clips, context + steps, 1, 16, 16), by its own definition."""
    frames = np.zeros((clips, context + steps, 1, 16, 16))
    for clip in range(clips):
        rng = np.random.default_rng(clip)
        start, velocity = rng.integers(0, 16, 2), rng.integers(-2, 3, 2)
        for time in range(context + steps):
            top, left = (start + velocity * time) % 16
            for row in range(4):
                for column in range(4):
                    frames[clip, time, 0, (top + row) % 16, (left + column) % 16] = (100 + clip) / 255
    return frames


def same(found, recorded):
    """Of a table and of a record, where null stands for no number."""
    return math.isnan(found) if recorded is None else found == recorded


# ---------------------------------------------------------------------------------------------------------- what counts


class TestNumbers:
    def test_a_function_is_scored_on_the_frames_it_predicted(self, bench):
        truth = squares(3, 4)
        wanted = ((truth[:, 9:10] - truth[:, 10:]) ** 2).mean(axis=(2, 3, 4))
        result = evaluate(copy_last, horizon=4)
        scores = result.scores.set_index("metric")
        assert scores.loc["mse", "value"] == pytest.approx(wanted.mean(), rel=1e-5)
        assert scores.loc["psnr-pooled", "value"] == pytest.approx(-10 * math.log10(wanted.mean()), rel=1e-5)
        assert result.per_step["mse"].to_numpy() == pytest.approx(wanted.mean(axis=0), rel=1e-5)
        assert result.per_step.index.tolist() == [1, 2, 3, 4]

    def test_what_is_better_and_in_what_unit_is_said(self, bench):
        scores = evaluate(copy_last, metrics=["mse", "psnr-pooled", "sharpness"]).scores.set_index("metric")
        assert scores["better"].to_dict() == {"mse": "lower", "psnr-pooled": "higher", "sharpness": "near 1"}
        assert scores.loc["psnr-pooled", "unit"] == "dB"
        assert (scores["low"] <= scores["value"]).all()
        assert (scores["value"] <= scores["high"]).all()

    def test_predictions_are_fed_back_as_the_context_slides(self, bench):
        """f gives the two means of the last three frames, and of the two before: by hand, in float64."""
        truth = squares(3, 5)
        given = truth[:, :10].copy()
        predicted = np.empty((3, 0, 1, 16, 16))
        while predicted.shape[1] < 5:
            block = np.stack([given[:, -3:].mean(axis=1), given[:, -5:-3].mean(axis=1)], axis=1)
            predicted = np.concatenate([predicted, block], axis=1)
            given = np.concatenate([given, block], axis=1)[:, -10:]
        wanted = ((predicted[:, :5] - truth[:, 10:]) ** 2).mean(axis=(0, 2, 3, 4))

        def means(frames):
            assert frames.shape[1] == 10
            return torch.stack([frames[:, -3:].mean(dim=1), frames[:, -5:-3].mean(dim=1)], dim=1)

        result = evaluate(means, horizon=5)
        assert result.per_step["mse"].to_numpy() == pytest.approx(wanted, rel=1e-5)
        said = "predicts 2 frames at a time, and is given its own predictions to go on"
        assert result.record.about["assumptions"] == said
        assert said in str(result).replace("Predicts", "predicts")
        assert said in result._repr_html_().replace("Predicts", "predicts")

    def test_a_model_that_writes_into_what_it_is_given_is_fed_what_it_should_be(self, bench):
        def blurs_in_place(frames):
            frames.mul_(2).sub_(1)
            return (frames.mean(dim=1, keepdim=True) + 1) / 2

        wanted = evaluate(lambda frames: frames.mean(dim=1, keepdim=True), horizon=5).per_step["mse"].to_numpy()
        assert evaluate(blurs_in_place, horizon=5).per_step["mse"].to_numpy() == pytest.approx(wanted, rel=1e-5)

    @pytest.mark.parametrize("kind", ["tensor", "array"])
    def test_a_model_that_answers_in_the_same_memory_each_time_is_read_in_time(self, bench, kind):
        """As CUDA graphs do: a frame that is kept must not become the next one."""
        memory = torch.empty(3, 1, 1, 16, 16)

        def fading(frames):
            memory.copy_(frames[:, -1:] * 0.5)
            return memory if kind == "tensor" else memory.numpy()

        truth = squares(3, 4)
        wanted = [((truth[:, 9] * 0.5**k - truth[:, 9 + k]) ** 2).mean() for k in (1, 2, 3, 4)]
        assert evaluate(fading, horizon=4, batch_size=3).per_step["mse"].to_numpy() == pytest.approx(wanted, rel=1e-5)

    def test_a_horizon_with_a_default_is_told_the_horizon(self, bench):
        def by_place(frames, horizon=2):
            return copy_last(frames, horizon)

        def by_name(frames, *, horizon):
            return copy_last(frames, horizon)

        for model in (by_place, by_name):
            result = evaluate(model, horizon=5)
            assert result.record.about["assumptions"] == ""
        settled = evaluate(functools.partial(by_place, horizon=2), horizon=5, name="settled")
        assert settled.record.about["assumptions"].startswith("predicts 2 frames at a time")

    def test_a_module_that_wraps_another_takes_what_the_other_takes(self, bench):
        class Repeats(nn.Module):
            def forward(self, frames, horizon):
                return copy_last(frames, horizon)

        wanted = evaluate(Repeats()).scores["value"].tolist()
        for wrapped in (nn.DataParallel(Repeats()), torch.compile(Repeats(), backend="eager")):
            result = evaluate(wrapped)
            assert result.record.model["name"] == "repeats"
            assert result.scores["value"].tolist() == wanted

    def test_too_many_frames_are_cut_and_nothing_is_fed_back(self, bench):
        result = evaluate(lambda frames: copy_last(frames, 9), horizon=4)
        assert result.scores["value"].tolist() == evaluate(copy_last, horizon=4).scores["value"].tolist()
        assert result.record.about["assumptions"] == ""

    @pytest.mark.parametrize(
        "model",
        [
            lambda frames, horizon: copy_last(frames, horizon).numpy().astype(np.float64),
            lambda frames: frames[:, -1:].numpy(),
            lambda frames: frames[:, -1:].double(),
            lambda *given: given[0][:, -1:],
            functools.partial(lambda factor, frames, horizon: copy_last(frames, horizon) * factor, 1.0),
            Scaled(1.0),
            traced(Scaled(1.0, block=2)),
        ],
        ids=["numpy", "numpy, fed back", "float64", "any arguments", "partial", "module", "traced module"],
    )
    def test_functions_of_many_kinds_are_models(self, bench, model):
        wanted = evaluate(copy_last).scores["value"].tolist()
        assert evaluate(model, name="kind").scores["value"].tolist() == pytest.approx(wanted, rel=1e-6)

    def test_an_object_that_keeps_to_the_contract_is_told_the_times(self, bench):
        class Fading:
            """Fades out."""

            def predict(self, context, target_times):
                fade = 0.9 ** (target_times - context.times[:, -1:])
                return context.frames[:, -1:] * fade.float()[:, :, None, None, None]

            def stats(self):
                return {"nfe": 7}

        truth = squares(3, 3)
        wanted = [((truth[:, 9] * 0.9**k - truth[:, 9 + k]) ** 2).mean() for k in (1, 2, 3)]
        result = evaluate(Fading())
        assert result.per_step["mse"].to_numpy() == pytest.approx(wanted, rel=1e-5)
        assert result.record.about["summary"] == "Fades out."
        assert result.record.cost["model_stats"] == {"nfe": 7}

    def test_a_model_by_name_or_file_is_what_the_command_line_runs(self, bench):
        by_api = evaluate(bench.model("Last"), metrics=()).record
        assert bench.run("Last", "--results", "cli", horizon=3).exit_code == 0
        by_command = bench.record("last", 3, results="cli")
        assert by_api.cell == by_command["cell"]
        assert {name: score["value"] for name, score in by_api.scores.items()} == {
            name: score["value"] for name, score in by_command["scores"].items()
        }

    def test_one_question_is_answered_and_no_shorter_one(self, bench):
        evaluate(copy_last, horizon=7)
        assert [record.task["horizon"] for record in iter_records("runs")[0]] == [7]

    def test_nor_is_anything_said_of_a_shorter_one(self, bench):
        notes = evaluate(copy_last, horizon=7, clips=9, settings="clips=4").notes
        assert notes == ("squares has 4 test clips of 17 frames; all are used",)

    def test_floors_come_along_once(self, with_floors):
        first = evaluate(copy_last, name="mine")
        floors = {row.label: row.record.started for row in first.compared.rows if row.role == "floor"}
        assert {"black", "copy-last", "context-mean", "train-mean"} == floors.keys()
        files = {row.record.path: row.record.path.stat().st_mtime_ns for row in first.compared.rows}
        second = evaluate(Scaled(0.9), name="other")
        kept = {row.record.path: row.record.path.stat().st_mtime_ns for row in second.compared.rows}
        assert {path: kept[path] for path in files} == files

    def test_the_board_is_on_the_clips_that_were_asked_for(self, bench):
        evaluate(copy_last, clips=2, name="few")
        board = evaluate(Scaled(0.9), clips=5).compared
        assert board.n == 5
        assert [row.label for row in board.rows] == ["scaled"]

    def test_settings_may_hold_numbers_of_numpy(self):
        lines = setting_lines({"size": np.int64(12), "speeds": [np.float64(0.5), np.int64(2)], "none": None})
        assert lines == ("size=12", "speeds=[0.5, 2]", "none=none")

    def test_settings_are_a_mapping_or_lines(self, bench):
        for given_as in ({"size": 12}, "size=12", ["squares.size=12"]):
            assert evaluate(copy_last, settings=given_as).record.dataset["config"]["size"] == 12


# ------------------------------------------------------------------------------------------------------------- versions


class TestVersions:
    def test_other_weights_are_another_record(self, bench):
        net = Scaled(0.5)
        first = evaluate(net)
        with torch.no_grad():
            net.scale.fill_(0.75)
        second = evaluate(net)
        assert first.path != second.path
        assert first.record.model["version"] != second.record.model["version"]
        assert len(second.compared.rows) == 2
        with torch.no_grad():
            net.scale.fill_(0.5)
        assert evaluate(net).path == first.path

    def test_it_is_computed_again_each_time(self, bench):
        asked = []

        def model(frames, horizon):
            asked.append(len(frames))
            return copy_last(frames, horizon)

        counts = []
        for _ in range(2):
            evaluate(model, name="mine")
            counts.append(sum(asked))
        assert counts[0] >= 3
        assert counts[1] >= counts[0] + 3

    def test_a_failure_does_not_cost_the_record_that_is_there(self, bench):
        broken = threading.Event()  # what an object other than the model holds is not seen, so it stays the same model

        def model(frames, horizon):
            if broken.is_set():
                raise RuntimeError("broken since")
            return copy_last(frames, horizon)

        path = evaluate(model).path
        before = path.read_bytes()
        broken.set()
        with pytest.raises(ModelFailed, match="broken since"):
            evaluate(model)
        assert path.read_bytes() == before
        assert len(iter_records("runs")[0]) == 1

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (Scaled(0.5), Scaled(0.6)),
            (Scaled(0.5, block=1), Scaled(0.5, block=2)),
            (nn.Dropout(0.1), nn.Dropout(0.2)),
            (lambda frames: frames * 0.5, lambda frames: frames * 0.6),
            (functools.partial(copy_last, horizon=1), functools.partial(copy_last, horizon=2)),
            (np.float32, np.float64),
            (functools.partial(copy_last, horizon=np.float32(1)), functools.partial(copy_last, horizon=np.float32(2))),
            (functools.partial(copy_last, range(3)), functools.partial(copy_last, range(4))),
            (hooked(0.5), hooked(0.6)),
            (halved(copy_last), brightened(copy_last)),
            (torch.no_grad()(halved(copy_last)), torch.no_grad()(brightened(copy_last))),
            (traced(Scaled(0.5, block=1)), traced(Scaled(0.5, block=2))),
            (torch.fx.symbolic_trace(Scaled(0.5, block=1)), torch.fx.symbolic_trace(Scaled(0.5, block=2))),
        ],
        ids=[
            *("weights", "an attribute", "a setting of a layer", "lambdas", "partial", "classes"),
            *("numpy scalars", "ranges", "hooks", "decorators", "decorated decorators", "jit", "fx"),
        ],
    )
    def test_what_differs_has_another_digest(self, one, other):
        assert digest(one) != digest(other)
        assert digest(one) == digest(one)

    def test_what_a_function_captures_counts(self):
        def made(factor, net):
            return lambda frames: net(frames) * factor

        net = Scaled(0.5)
        before = digest(made(1.0, net))
        assert digest(made(1.0, net)) == before
        assert digest(made(2.0, net)) != before
        with torch.no_grad():
            net.scale.fill_(0.6)
        assert digest(made(1.0, net)) != before

    def test_globals_that_a_function_uses_count_and_others_do_not(self):
        space = {"factor": 1.0, "unused": 1}
        exec("def f(frames):\n    return (lambda x: x * factor)(frames)", space)
        before = digest(space["f"])
        space["unused"] = 2
        assert digest(space["f"]) == before
        space["factor"] = 2.0
        assert digest(space["f"]) != before

    def test_circles_end(self):
        def f(frames):
            return g(frames)

        def g(frames):
            return f(frames)

        assert digest(f) != digest(g)

    def test_a_digest_is_the_same_in_another_process(self, tmp_path):
        source = (
            inspect.getsource(Scaled) + "\nparts = {'b': {3, 1, 2}, 'a': (1, 2.5)}\ndef f(x):\n    return x, parts\n"
        )
        (tmp_path / "model_of_a_test.py").write_text(f"import torch\nfrom torch import nn\n{source}")
        code = (
            "from vpbench.in_memory.introspection import digest\nfrom model_of_a_test import Scaled, f\n"
            "print(digest(Scaled()), digest(f))"
        )
        seen = {
            subprocess.run(
                [sys.executable, "-c", code],
                env={"PYTHONPATH": str(tmp_path), "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(seen) == 1

    def test_what_weights_in_memory_have_seen_is_said_to_be_unknown(self, bench):
        about = evaluate(Scaled()).record.about
        assert about["assumptions"].startswith("its weights were in memory, and what they were trained on is not known")
        assert evaluate(copy_last).record.about["assumptions"] == ""


# ------------------------------------------------------------------------------------------------------ left as it was


class Cached(nn.Module):
    """Keeps what it made in its first call, as positional encodings are kept."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(16))
        self.kept = {}

    def forward(self, frames):
        if "ramp" not in self.kept:
            self.kept["ramp"] = torch.linspace(0, 1, 16)
        return frames[:, -1:] * (self.weight * self.kept["ramp"])


class Stateful(nn.Module):
    """Remembers each call in a buffer, an attribute, and one that it makes as it goes."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))
        self.calls = 0

    def forward(self, frames):
        self.seen += frames.sum()
        self.calls += 1
        self.hidden = frames[:, -1:]
        return self.hidden


class TestLeftAsItWas:
    def net(self):
        net = nn.Sequential(nn.Sequential(nn.BatchNorm3d(10), nn.Dropout(0.5)), nn.Flatten(1, 1))
        net[0][0].eval()  # frozen by hand, while the rest is in train mode
        net[0][0].weight.requires_grad_(False)
        return net

    def state(self, net):
        flags = [module.training for module in net.modules()]
        wants = [parameter.requires_grad for parameter in net.parameters()]
        return flags, wants, {name: value.clone() for name, value in net.state_dict().items()}, net[0][0].bias.grad

    def check(self, net, before):
        flags, wants, values, grad = self.state(net)
        assert flags == before[0]
        assert wants == before[1]
        assert all(torch.equal(values[name], before[2][name]) for name in values)
        assert grad is before[3]

    def test_train_mode_gradients_and_statistics_of_a_module(self, bench):
        net = self.net()
        net(torch.rand(2, 10, 1, 16, 16)).sum().backward()
        before = self.state(net)
        evaluate(net)
        self.check(net, before)

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt], ids=lambda error: error.__name__)
    def test_also_where_it_fails_or_is_interrupted(self, bench, error):
        net = self.net()

        def model(frames):
            assert not any(module.training for module in net.modules())
            raise error("here")

        before = self.state(net)
        with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else ModelFailed):
            evaluate(model)
        self.check(net, before)

    def test_it_is_in_eval_mode_meanwhile_also_behind_a_function(self, bench):
        seen = []
        net = nn.Dropout(0.5)

        class Holder:
            def __init__(self):
                self.net = net

            def go(self, frames):
                seen.append(self.net.training)
                return self.net(frames[:, -1:])

        holder = Holder()
        for model in (lambda frames: holder.go(frames), holder.go, functools.partial(Holder.go, holder)):
            evaluate(model, name="held")
        assert seen
        assert not any(seen)
        assert net.training

    def test_training_goes_on_after_it(self, bench):
        """A tensor made in inference mode would end backward() with an error."""
        net = Cached()
        evaluate(net)
        assert net.kept
        net(torch.rand(1, 10, 1, 16, 16)).sum().backward()

    def test_what_it_keeps_of_a_call_is_as_before_and_so_it_is_the_same_model(self, bench):
        net = Stateful()
        paths = {evaluate(net).path for _ in range(2)}
        assert net.seen.item() == 0
        assert net.calls == 0
        assert not hasattr(net, "hidden")
        assert len(paths) == 1

    def test_a_backward_that_is_due_can_go_on_after_it(self, bench):
        net = nn.Sequential(nn.BatchNorm3d(10), nn.Flatten(1, 1)).eval()
        loss = net(torch.rand(2, 10, 1, 16, 16)).sum()
        evaluate(net, name="net")
        loss.backward()
        assert net[0].bias.grad.tolist() == [2 * 16 * 16] * 10  # as many as each bias is added to

    def test_random_numbers_go_on_as_if_nothing_had_been(self, with_floors):
        """Floors are computed too, which seed and draw of their own."""
        torch.manual_seed(5)
        wanted = torch.rand(3)
        torch.manual_seed(5)
        evaluate(lambda frames: torch.rand_like(frames[:, -1:]))
        assert torch.equal(torch.rand(3), wanted)

    def test_buffers_and_gradients_come_back(self):
        """Buffers from the meta device, which every machine has: what is moved there loses its values."""
        net = Scaled(0.25)
        net.register_buffer("ramp", torch.arange(3.0))
        net(torch.ones(1, 1, 1, 2, 2)).sum().backward()
        parameter, gradient, ramp = net.scale, net.scale.grad, net.ramp
        with lent([net], torch.device("cpu")):
            net.scale.grad = None
            net.scale.requires_grad_(False)
            net._buffers["ramp"] = net.ramp.to("meta")
            net.eval()
        assert net.scale is parameter
        assert net.scale.requires_grad
        assert net.scale.grad is gradient
        assert net.ramp is ramp
        assert net.training

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    def test_a_module_comes_back_from_the_gpu(self, bench):
        net = Scaled(0.5)
        net.register_buffer("ramp", torch.arange(3.0))
        net(torch.ones(1, 1, 1, 2, 2)).sum().backward()
        on_cpu = evaluate(net).scores["value"].tolist()
        on_gpu = evaluate(net, device="cuda", results="gpu")
        assert on_gpu.record.machine["device"].startswith("cuda")
        assert on_gpu.scores["value"].tolist() == pytest.approx(on_cpu, rel=1e-4)
        assert {net.scale.device.type, net.ramp.device.type, net.scale.grad.device.type} == {"cpu"}

    def test_modules_are_found_where_they_are(self):
        net, other = Scaled(), Scaled()

        class Holder:
            def __init__(self):
                self.net = net

            def predict(self, context, target_times):
                return other(context.frames)

        assert modules_in(net) == [net]
        assert modules_in(Holder()) == [net, other]
        assert modules_in(Holder().predict) == [net, other]
        assert modules_in(lambda frames, using=net: using(frames)) == [net]
        assert modules_in(functools.partial(copy_last, net)) == [net]
        assert modules_in(copy_last) == []

    def test_modules_are_found_in_what_holds_them(self):
        net, other = Scaled(), Scaled()
        nets, table = [net, (other,)], {"a": {"b": net}}

        class Inner:
            __slots__ = ("nets",)

            def __init__(self):
                self.nets = nets

        class Outer:
            def __init__(self):
                self.inner = Inner()

            def __call__(self, frames):
                return self.named(frames)

            def named(self, frames):
                return table["a"]["b"](frames)

            def loss(self, frames):
                return unused(frames)

        unused = Scaled()
        hiding = Scaled()
        hiding.twin = [other, hiding]
        assert modules_in(nets) == [net, other]
        assert modules_in(lambda frames: sum(each(frames) for each in nets)) == [net, other]
        assert modules_in(functools.partial(lambda nets, frames: frames, nets)) == [net, other]
        assert modules_in(Outer()) == [net, other]
        assert modules_in(hiding) == [hiding, other]
        assert modules_in([net, nn.Sequential(net)])[0][0] is net
        assert len(modules_in([net, nn.Sequential(net)])) == 1

    def test_modules_are_found_behind_decorators_and_in_other_files(self, tmp_path, monkeypatch):
        """In a file that is imported: what decorates is torch's and functools', what it decorates is not."""
        (tmp_path / "nets_of_a_test.py").write_text("from torch import nn\nnet, unused = nn.Dropout(), nn.Dropout()\n")
        (tmp_path / "functions_of_a_test.py").write_text(
            "import functools\nimport nets_of_a_test\nimport torch\n"
            "def plain(frames):\n    return nets_of_a_test.net(frames[:, -1:])\n"
            "no_grad = torch.no_grad()(plain)\ninference = torch.inference_mode()(plain)\n"
            "compiled = torch.compile(plain, backend='eager')\ncached = functools.lru_cache(plain)\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        functions = importlib.import_module("functions_of_a_test")
        net = importlib.import_module("nets_of_a_test").net
        for name in ("plain", "no_grad", "inference", "compiled", "cached"):
            assert modules_in(getattr(functions, name)) == [net], name

    @pytest.mark.parametrize("deep", [10, 5000])
    def test_however_deep_they_are_held(self, deep):
        net = held = Scaled()
        for _ in range(deep):
            held = [held]
        assert modules_in(held) == [net]

    def test_none_of_them_drops_or_normalises_by_its_batch_meanwhile(self, bench):
        nets = [nn.Dropout(0.5), nn.Dropout(0.5)]

        @torch.no_grad()
        def ensemble(frames):
            return sum(each(frames[:, -1:]) for each in nets) / len(nets)

        wanted = evaluate(copy_last).scores["value"].tolist()
        assert evaluate(ensemble).scores["value"].tolist() == pytest.approx(wanted, rel=1e-6)
        assert all(net.training for net in nets)


# --------------------------------------------------------------------------------------------------------------- errors


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "texts"),
        [
            ({"horizon": "ten"}, ["horizon must be a whole number, got 'ten'"]),
            ({"horizon": [1, 2]}, ["horizon must be a whole number, got [1, 2]"]),
            ({"horizon": True}, ["horizon must be a whole number, got True"]),
            ({"horizon": 0}, ["at least 1"]),
            ({"clips": 2.5}, ["clips must be a whole number, got 2.5"]),
            ({"clips": None, "context": "x"}, ["context must be a whole number"]),
            ({"seed": -1}, ["seed must be between"]),
            ({"dataset": "squars"}, ["no dataset 'squars'", "did you mean squares"]),
            ({"dataset": 3}, ["dataset must be text, got 3"]),
            ({"dataset": None}, ["which dataset", "squares"]),
            ({"metrics": "psnr-poled"}, ["did you mean psnr-pooled"]),
            ({"metrics": [1]}, ["metrics must be text, got 1"]),
            ({"device": "tpu"}, ["no device 'tpu'"]),
            ({"precision": "float16"}, ["precision must be one of"]),
            ({"results": 3}, ["results must be a path, got 3"]),
            ({"exhibit": "yes"}, ["exhibit must be True or False"]),
            ({"settings": {"sise": 3}}, ["no config key 'sise'", "did you mean size"]),
            ({"settings": [3]}, ["settings must be text, got 3"]),
            ({"settings": "size"}, ["write it as key=value"]),
            ({"name": "Not A Name"}, ["use lower case letters"]),
            ({"name": 3}, ["name must be text"]),
            ({"name": "nul"}, ["not every system can have a folder of that name"]),
            ({"name": "x" * 101}, ["at most 100 letters"]),
            ({"weights": "none.safetensors"}, ["none.safetensors"]),
        ],
        ids=lambda value: re.sub(r" at 0x\w+", "", str(value)),  # an address would be another one in each worker
    )
    def test_a_request_without_sense_is_one_line(self, bench, options, texts):
        with pytest.raises(VpbenchError) as caught:
            evaluate(copy_last, **options)
        message = str(caught.value)
        assert len(message.splitlines()) == 1
        for text in texts:
            assert text in message

    @pytest.mark.parametrize(
        ("model", "text"),
        [
            (3, "a model must be a name"),
            (None, "a model must be a name"),
            (Scaled, "Scaled is a class: give an object of it, Scaled(...)"),
            ("no-such-model", "no model 'no-such-model'"),
            ("nowhere.py:Model", "cannot read nowhere.py"),
            (lambda: None, "lambda takes no frames; a model is f(frames) or f(frames, horizon)"),
            (lambda a, b, c: a, "takes a, b, c; a model is f(frames) or f(frames, horizon)"),
        ],
        ids=lambda value: getattr(value, "__name__", str(value))[:20],
    )
    def test_what_is_no_model_is_one_line(self, bench, model, text):
        with pytest.raises(VpbenchError) as caught:
            evaluate(model)
        assert len(str(caught.value).splitlines()) == 1
        assert text in str(caught.value)

    def test_predict_of_frames_alone_is_not_the_contract(self, bench):
        class Model:
            def predict(self, frames):
                return frames

        with pytest.raises(UsageError, match=r"takes one argument.*model\.predict"):
            evaluate(Model())
        assert evaluate(Model().predict).record.status == "ok"

    @pytest.mark.parametrize(
        ("model", "text"),
        [
            (lambda frames: None, "returned None, wanted is a tensor or array (3, any number of frames, 1, 16, 16)"),
            (lambda frames: [frames], "returned a list"),
            (lambda frames: frames[:, 0], "returned shape (3, 1, 16, 16), wanted is (3, any number of frames"),
            (lambda frames: frames[:, :0], "returned shape (3, 0, 1, 16, 16)"),
            (lambda frames: frames[..., :-1], "returned shape (3, 10, 1, 16, 15)"),
            (lambda frames: (frames * 255).to(torch.uint8), "returned torch.uint8, wanted are floating point"),
            (lambda frames, horizon: frames[:, :2], "was asked for 3 frames and returned 2"),
            (lambda frames: frames / 0 * 0, "NaN or infinity, first at step 1 of 3"),
            (lambda frames: frames @ torch.zeros(7, 7), "RuntimeError"),
        ],
    )
    def test_a_wrong_answer_is_one_line_and_a_record(self, bench, model, text):
        with pytest.raises(ModelFailed) as caught:
            evaluate(model, name="wrong")
        message = str(caught.value)
        assert len(message.splitlines()) == 1
        assert message.startswith("wrong on squares 10→3 failed in predict: ")
        assert text in message
        (record,), _ = iter_records("runs")
        assert record.status == "failed"
        assert record.reason["phase"] == "predict"

    def test_it_says_where_in_the_users_code_it_failed(self, bench):
        def model(frames):
            raise ValueError("no such frame")

        with pytest.raises(ModelFailed, match=r"ValueError: no such frame \(test_api\.py, line \d+\)$") as caught:
            evaluate(model)
        line = int(re.search(r"line (\d+)", str(caught.value))[1])
        assert line == inspect.getsourcelines(model)[1] + 1
        assert isinstance(caught.value.__cause__, ValueError)

    def test_where_no_line_of_the_user_led_to_it_none_is_named(self, bench):
        with pytest.raises(ModelFailed, match=r"cannot be multiplied \(480x16 and 7x7\)$"):
            evaluate(nn.Linear(7, 7))

    def test_it_names_the_users_line_not_that_of_torch(self, bench):
        def model(frames):
            return nn.functional.conv2d(frames, torch.zeros(1))

        with pytest.raises(ModelFailed, match=r"\(test_api\.py, line \d+\)$") as caught:
            evaluate(model)
        line = int(re.search(r"line (\d+)", str(caught.value))[1])
        assert line == inspect.getsourcelines(model)[1] + 1

    def test_what_failed_is_said_before_the_floors_are_computed(self, with_floors):
        with pytest.raises(ModelFailed):
            evaluate(lambda frames: None)
        assert {record.model["name"] for record in iter_records("runs")[0]} == {"lambda"}

    def test_a_refusal_says_why(self, bench):
        with pytest.raises(Refused, match="needs 13 frames, squares has 12"):
            evaluate(copy_last, settings={"length": 12})
        with pytest.raises(Refused, match="ramps has frames at times of their own, copy-last cannot do"):
            evaluate(copy_last, dataset="ramps", settings={"irregular": True})

    def test_a_name_that_a_plugin_has_is_refused(self, with_floors):
        with pytest.raises(UsageError, match="model 'copy-last' is provided by vpbench-baselines"):
            evaluate(copy_last)
        assert evaluate(copy_last, name="my-copy-last").record.model["name"] == "my-copy-last"

    def test_names_of_models_by_name_stay(self, bench):
        with pytest.raises(UsageError, match="leave it out"):
            evaluate(bench.model("Last"), name="mine")

    @pytest.mark.parametrize(
        ("model", "name"),
        [
            (Scaled(), "scaled"),
            (nn.Conv2d(1, 1, 1), "conv2d"),
            (copy_last, "copy-last"),
            (lambda frames: frames, "lambda"),
            (functools.partial(copy_last, horizon=2), "copy-last"),
            (Scaled().forward, "forward"),
        ],
    )
    def test_names_come_from_the_code(self, model, name):
        assert in_memory(model).name == name

    def test_a_broken_plugin_and_a_broken_record_are_warnings(self, bench, monkeypatch):
        path = evaluate(copy_last).path
        (path.parent / "extrapolate-10-3-000000000000.json").write_text("{")
        with pytest.warns(VpbenchWarning, match="not a whole JSON file"):
            assert evaluate(copy_last).record.status == "ok"


class TestRecordsOfObjects:
    """What else is done with records: boards may not say more of an object than is known."""

    def test_a_board_does_not_say_that_it_was_not_trained(self, bench):
        assert "no trained weights" in str(evaluate(copy_last, results="functions"))
        shown = str(evaluate(Scaled()))
        assert "no trained weights" not in shown
        assert "training again gives different ones" in shown
        assert re.search(r"scaled .*not known$", shown, flags=re.MULTILINE)

    def test_it_cannot_be_made_again_and_that_is_said(self, bench):
        done = bench("verify", evaluate(copy_last).path)
        assert done.exit_code != 0
        assert "its model was an object in a program's memory" in done.stderr

    def test_the_leaderboard_shows_it(self, bench):
        evaluate(copy_last)
        done = bench("leaderboard", "--results", "runs")
        assert "copy-last" in done.stdout


# ------------------------------------------------------------------------------------------------------------------ run


class TestRun:
    def test_a_frame_of_the_records_of_this_plan(self, bench, capsys):
        evaluate(Scaled(), results="runs")  # of another plan
        frame = vpbench.run(
            [bench.model("Last"), copy_last], [1, 3], "squares", clips=3, metrics=CHEAP, device="cpu", exhibit=False
        )
        assert sorted(zip(frame["model"], frame["horizon"], strict=True)) == [
            ("copy-last", 1),
            ("copy-last", 3),
            ("last", 1),
            ("last", 3),
        ]
        assert frame["status"].tolist() == ["ok"] * 4
        same = frame.groupby("horizon")["mse"].nunique()  # both repeat the last frame
        assert same.tolist() == [1, 1]
        assert "4 cells on cpu: 4 to run" in capsys.readouterr().out

    def test_it_writes_the_board_as_the_command_does(self, bench):
        vpbench.run(bench.model("Last"), 1, "squares", clips=3, metrics="mse", progress=False)
        assert "last" in (bench.folder / "runs" / "board.md").read_text()

    def test_quiet_is_quiet(self, bench, capfd):
        vpbench.run(bench.model("Last"), 1, "squares", clips=3, metrics="mse", progress=False)
        assert capfd.readouterr() == ("", "")

    def test_a_mapping_gives_names(self, bench):
        frame = vpbench.run({"a": Scaled(0.5), "b": Scaled(0.9)}, 1, "squares", clips=2, metrics="mse", progress=False)
        assert frame["model"].tolist() == ["a", "b"]
        assert frame["mse"].nunique() == 2

    def test_a_grid_file_says_the_rest(self, bench):
        (bench.folder / "grid.toml").write_text(
            'horizons = [3]\ndatasets = ["squares"]\nclips = 5\nmetrics = ["mse"]\n'
        )
        frame = vpbench.run(bench.model("Last"), grid="grid.toml", clips=2, progress=False)
        assert set(frame["clips"]) == {2}
        assert 3 in set(frame["horizon"])

    def test_a_failed_cell_is_a_row_and_a_warning_and_the_others_go_on(self, bench):
        def broken(frames):
            raise ValueError("not today")

        with pytest.warns(VpbenchWarning, match="FAILED broken on squares 10→1: predict: ValueError: not today"):
            frame = vpbench.run([broken, bench.model("Last")], 1, "squares", clips=2, metrics="mse", progress=False)
        by_model = frame.set_index("model")
        assert by_model.loc["broken", "status"] == "failed"
        assert by_model.loc["broken", "reason"] == "predict: not today"
        assert math.isnan(by_model.loc["broken", "mse"])
        assert by_model.loc["last", "status"] == "ok"

    def test_nothing_that_can_work_is_an_error(self, bench):
        with pytest.raises(Refused, match="nothing to run"):
            vpbench.run(bench.model("Last"), 9, "squares", settings={"length": 12}, progress=False)

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ({"horizons": "ten"}, "horizons must be a whole number, got 'ten'"),
            ({"horizons": []}, "nothing to run: give at least one --horizon"),
            ({"models": []}, "nothing to run: give at least one --model"),
            ({"clip": 3}, "no argument 'clip'; did you mean clips?"),
            ({"rerun": "never"}, "rerun must be one of missing, failed, all"),
            ({"models": {"other": "black"}}, "only objects can be given a name"),
            ({"models": [copy_last, copy_last]}, "give yours another name"),
        ],
        ids=lambda value: re.sub(r" at 0x\w+", "", str(value)),  # an address would be another one in each worker
    )
    def test_a_request_without_sense_is_one_line(self, bench, arguments, text):
        with pytest.raises(UsageError) as caught:
            vpbench.run(**{"models": copy_last, "horizons": 1, "datasets": "squares", "progress": False, **arguments})
        assert text in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


# --------------------------------------------------------------------------------------------------------- load_results


class TestLoadResults:
    @pytest.fixture
    def results(self, bench):
        assert bench.run("Last", "--seed", 0, horizon=5).exit_code == 0
        bench.run("Faulty", "--set", "fault=nan", horizon=1)
        return bench.records()

    def test_a_row_per_record_with_what_it_says(self, results):
        frame = vpbench.load_results("runs")
        assert len(frame) == len(results) == 3
        for _, row in frame.iterrows():
            record = results[row["model"], row["horizon"]]
            assert row["path"] == str(record["path"].relative_to(record["path"].parents[3]))
            assert row["status"] == record["status"]
            for metric, score in record["scores"].items():
                assert same(row[metric], score["value"])
                assert same(row[f"{metric} low"], score["low"])
                assert same(row[f"{metric} high"], score["high"])
            for key in ("frames_per_s", "parameters", "predict_s"):
                assert row[key] == record["cost"][key] if record["cost"] else pd.isna(row[key])
        failed = frame[frame["status"] == "failed"].iloc[0]
        assert failed["model"] == "faulty"
        assert "NaN or infinity" in failed["reason"]
        assert failed["model_config"] == "fault=nan step=1"
        assert pd.isna(failed["mse"])

    def test_a_row_per_step(self, results):
        frame = vpbench.load_results("runs", per="step")
        for (model, horizon), record in results.items():
            for metric, score in record["scores"].items():
                part = frame[(frame.model == model) & (frame.horizon == horizon) & (frame.metric == metric)]
                assert part["step"].tolist() == list(range(1, horizon + 1))
                assert all(map(same, part["value"], score["per_step"]))
                assert all(map(same, part["stderr"], score["per_step_stderr"]))

    def test_a_row_per_clip_from_which_scores_can_be_made(self, results):
        frame = vpbench.load_results("runs", per="clip")
        part = frame[(frame.horizon == 5) & (frame.statistic == "vpbench-metrics/squared_error")]
        assert part["clip"].tolist() == [0, 1, 2]
        assert part["value"].mean() == pytest.approx(results["last", 5]["scores"]["mse"]["value"], rel=1e-5)

    def test_a_record_that_cannot_be_read_costs_itself_and_a_warning(self, results):
        results["last", 1]["path"].write_text("{")
        with pytest.warns(VpbenchWarning, match="not a whole JSON file") as caught:
            frame = vpbench.load_results("runs")
        assert len(frame) == 2
        assert caught[0].filename == __file__

    def test_definitions_of_one_metric_have_a_column_each(self, results):
        path = results["last", 1]["path"]
        document = json.loads(path.read_text())
        document["scores"]["mse"]["version"] = "2"
        path.write_text(json.dumps(document))
        frame = vpbench.load_results("runs").set_index("horizon")
        assert {"mse v1", "mse v2"} <= set(frame.columns)
        assert "mse" not in frame.columns
        ok = frame[frame.status == "ok"]
        assert ok["mse v1"].notna().to_dict() == {1: False, 5: True}

    def test_several_folders_together_and_an_empty_one(self, results, tmp_path):
        empty = tmp_path / "empty"
        empty.mkdir()
        assert len(vpbench.load_results(["runs", empty])) == 3
        for per in ("record", "step", "clip"):
            frame = vpbench.load_results(empty, per=per)
            assert frame.empty
            assert "model" in frame.columns

    def test_no_folder_and_no_such_form_are_one_line(self, bench):
        with pytest.raises(UsageError, match="there is no results folder nowhere"):
            vpbench.load_results("nowhere")
        with pytest.raises(UsageError, match="per must be one of record, step, clip, got 'frame'"):
            vpbench.load_results("runs", per="frame")

    def test_it_needs_no_torch_and_no_plugin(self, results, bench):
        code = "import sys, vpbench; print(len(vpbench.load_results('runs')), 'torch' in sys.modules)"
        process = bench.start_python(f"import os; os.environ['VPBENCH_PLUGINS'] = ''; {code}")
        out, err = process.communicate(timeout=60)
        assert out.split() == ["3", "False"], err

    def test_the_committed_records_are_all_there(self, request):
        folder = request.config.rootpath / "results"
        frame = vpbench.load_results(folder)
        paths = {str(path) for path in folder.glob("*/*/*.json")}
        assert set(frame["path"]) == paths
        row = frame.iloc[0]
        assert read_record(row["path"]).scores["mse"]["value"] == row["mse"]


# ------------------------------------------------------------------------------------------------------------- display


class Balanced(HTMLParser):
    """Every tag that opens closes, in order; texts and tags are kept."""

    EMPTY = frozenset({"img", "meta", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def parsed(html):
    parser = Balanced()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


class TestDisplay:
    def test_text_is_the_board_under_a_headline(self, with_floors):
        result = evaluate(Scaled(), metrics=())
        lines = str(result).splitlines()
        assert lines[0].startswith("scaled on squares 10→3, 3 clips: psnr-pooled ")
        assert re.search(r"rank \d of 5", lines[0])
        assert result.board in str(result)
        assert repr(result) == str(result)
        for name in ("scaled", "black (floor)", "train-mean (floor)"):
            assert name in result.board

    def test_html_marks_the_own_row_and_shows_curve_and_frames(self, with_floors):
        result = evaluate(Scaled(), exhibit=True, metrics=())
        html = result._repr_html_()
        page = parsed(html)
        own = re.findall(r'<tr class="vpb-own">(.*?)</tr>', html)
        assert len(own) == html.count("<table>") > 1
        assert all("scaled" in row for row in own)
        (picture,) = (attrs for tag, attrs in page.tags if tag == "img")
        assert picture["src"].startswith("data:image/png;base64,iVBOR")
        (svg,) = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
        texts = [each.text for each in ElementTree.fromstring(svg).iter("text")]
        assert {"scaled", "black", "copy-last", "train-mean", "psnr-pooled (dB) ↑ at each step"} <= set(texts)

    def test_the_curve_is_where_the_scores_are(self, bench):
        """The ends of the own line, read back through the ticks of the axis."""
        result = evaluate(copy_last, horizon=4, clips=4)
        (svg,) = re.findall(r"<svg.*?</svg>", result._repr_html_(), flags=re.DOTALL)
        drawing = ElementTree.fromstring(svg)
        ticks = [each for each in drawing.iter("text") if each.get("text-anchor") == "end"]
        places = np.array([(float(each.text), float(each.get("y")) - 4) for each in ticks])
        slope, offset = np.polyfit(places[:, 1], places[:, 0], 1)
        (line,) = (each.get("d") for each in drawing.iter("path") if each.get("stroke-width") == "2.6")
        points = [tuple(map(float, point.split())) for point in line[1:].split("L")]
        values = [slope * y + offset for _, y in points]
        assert values == pytest.approx(result.per_step["psnr-pooled"].tolist(), abs=0.02)
        assert np.diff([x for x, _ in points]) == pytest.approx(np.full(3, points[1][0] - points[0][0]), abs=0.2)

    def test_it_asks_nothing_of_anyone_and_runs_nothing(self, bench):
        page = parsed(evaluate(copy_last, exhibit=True)._repr_html_())
        assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
        for _, attributes in page.tags:
            assert not [key for key in attributes if key.startswith("on")]
            assert all(attributes.get(key, "data:").startswith("data:") for key in ("src", "href"))

    def test_texts_of_models_are_never_markup(self, bench):
        class Model:
            """<script>alert(1)</script>"""

            spec = vpbench.ModelSpec(
                name="marked-up",
                factory="m:M",
                summary="-",
                version="<b>1",
                assumptions="<img src=x onerror=alert(1)> & *stars* | pipes",
            )

            def predict(self, context, target_times):
                return copy_last(context.frames, target_times.shape[1])

        result = evaluate(Model(), exhibit=True)
        html = result._repr_html_()
        page = parsed(html)
        assert "onerror" not in str([attrs for _, attrs in page.tags])
        assert any("<img src=x onerror=alert(1)> & *stars* | pipes" in text for text in page.texts)
        assert "<img" not in result._repr_markdown_()

    def test_one_step_has_no_curve_and_no_exhibit_no_frames(self, bench):
        html = evaluate(copy_last, horizon=1)._repr_html_()
        assert "<svg" not in html
        assert "<img" not in html
        parsed(html)

    def test_markdown_holds_headline_and_board(self, bench):
        text = evaluate(copy_last)._repr_markdown_()
        assert text.startswith("**copy-last on squares 10→3, 3 clips: psnr-pooled")
        assert "| copy-last" in text

    def test_it_shows_what_was_measured_then_whatever_comes_later(self, bench):
        result = evaluate(Scaled(0.5), name="mine")
        before = str(result)
        evaluate(copy_last, name="later")
        assert str(result) == before
        assert "later" not in result._repr_html_()

    def test_it_can_be_shown_where_nothing_ranks(self, bench):
        result = evaluate(copy_last, metrics="sharpness")
        assert "sharpness" in str(result)
        parsed(result._repr_html_())


# ----------------------------------------------------------------------------------------------------------- the front


@settings(max_examples=60, deadline=None)
@given(
    context=st.integers(1, 6),
    block=st.integers(1, 8),
    horizon=st.integers(1, 20),
    seed=st.integers(0, 2**31),
)
def test_however_many_come_at_once_each_frame_follows_from_those_before(context, block, horizon, seed):
    """The weights of a linear model over its context; by hand, a sequence that grows by a block at a time."""
    rng = np.random.default_rng(seed)
    weights = rng.random((block, context)) / context
    given = rng.random((2, context, 1, 2, 3))
    sequence = given
    while sequence.shape[1] < context + horizon:
        sequence = np.concatenate([sequence, np.einsum("kt,btchw->bkchw", weights, sequence[:, -context:])], axis=1)

    def model(frames):
        assert frames.shape[1] == context
        return torch.einsum("kt,btchw->bkchw", torch.from_numpy(weights).float(), frames)

    made = in_memory(model)
    times = torch.arange(float(context + horizon)).expand(2, -1)
    shown = vpbench.Context(torch.from_numpy(given).float(), times[:, :context], torch.zeros(2, dtype=torch.long))
    predicted = made.model.predict(shown, times[:, context:])
    assert predicted.numpy() == pytest.approx(sequence[:, context : context + horizon], abs=1e-5)
    assert bool(made.model.fed_back(horizon)) == (block < horizon)


class TestNames:
    def test_every_public_name_is_there_and_listed(self):
        for name in vpbench.__all__:
            assert getattr(vpbench, name) is not None
            assert name in dir(vpbench)

    def test_no_module_hides_a_function(self):
        import vpbench.perform

        for name in vpbench._ON_FIRST_USE:
            assert not inspect.ismodule(getattr(vpbench, name)), name

    def test_an_unknown_name_is_an_attribute_error(self):
        with pytest.raises(AttributeError, match="no attribute 'evaluat'"):
            vpbench.evaluat  # noqa: B018

    def test_unknown_names_of_plugins_are_the_registrys(self, bench):
        with pytest.raises(UnknownName):
            evaluate("nobody")

    def test_nothing_warns_where_all_is_well(self, bench):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            evaluate(Scaled())
