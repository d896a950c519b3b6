"""`vpbench probe`: planted codes through the whole of it, what it writes, and what it refuses."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vpbench
from vpbench.cli import main
from vpbench.errors import Refused, UsageError
from vpbench.registry import load
from vpbench.weights import save

FEW = ("--clips", 20, "--train-clips", 40)


@pytest.fixture
def probe(bench) -> Callable[..., Any]:
    """`vpbench probe` of a model of tests/fakes/coded_models.py on squares, few clips."""

    def run(model: str, *args: object, dataset: str = "squares") -> Any:
        named = f"{Path(__file__).parent / 'fakes' / 'coded_models.py'}:{model}" if model[0].isupper() else model
        return bench("probe", "--model", named, "--dataset", dataset, *FEW, *args)

    return run


def document(probe: Callable[..., Any], *args: object, **options: Any) -> dict[str, Any]:
    """What `--json` writes."""
    result = probe(*args, "--json", "out.json", **options)
    assert result.exit_code == 0, result.stderr
    return json.loads(Path("out.json").read_text(encoding="utf-8"))


def by_code(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["code"]: each for each in found["probes"]}


class TestPlanted:
    def test_codes_that_are_the_truth_have_all_of_it_at_the_right_times(self, probe) -> None:
        """The square's corner at the last context frame, and at each target time: one frame off would be below 1."""
        found = by_code(document(probe, "Seeing"))
        assert found["appearance"]["of"] == "the last context frame"
        assert found["dynamics"]["of"] == "the target times"
        for each in found.values():
            assert each["value"] == pytest.approx(1, abs=1e-9)
            assert each["low"] == pytest.approx(1, abs=1e-9)
            assert each["shuffled"]["value"] < 0.1
        assert found["dynamics"]["per_step"] == pytest.approx([1] * 10, abs=1e-9)
        assert "per_step" not in found["appearance"]

    def test_codes_at_the_context_frames_themselves(self, probe) -> None:
        found = document(probe, "Seeing", "--task", "reconstruct", "--context", 4)
        assert by_code(found)["dynamics"]["value"] == pytest.approx(1, abs=1e-9)
        assert found["identity"]["task"] == {"kind": "reconstruct", "context": 4, "horizon": 4}

    def test_codes_that_say_nothing_have_nothing(self, probe) -> None:
        found = document(probe, "Blind")["probes"][0]
        assert -0.3 < found["value"] < 0.1
        assert found["low"] < 0.05

    def test_the_batch_size_changes_nothing(self, probe) -> None:
        one, other = (document(probe, "Blind", "--batch-size", size)["probes"] for size in (3, 16))
        assert one == other

    def test_a_seed_is_of_all_that_is_drawn(self, probe) -> None:
        one, other = (document(probe, "Blind", "--seed", seed) for seed in (0, 1))
        assert one["probes"] != other["probes"]
        assert (one["identity"]["seed"], other["identity"]["seed"]) == (0, 1)

    def test_a_model_that_learns_statistics_has_learnt_them(self, probe) -> None:
        assert document(probe, "Averaging")["probes"][0]["value"] > 0.1

    def test_untrained_weights_are_probed_where_that_is_asked_for(self, probe, ends_with) -> None:
        ends_with(probe("Learner"), 3, "learner has no weights for squares")
        result = probe("Learner", "--allow-untrained")
        assert result.exit_code == 0
        assert "learner, untrained on squares" in result.stdout
        assert document(probe, "Learner", "--allow-untrained")["probes"][0]["value"] == pytest.approx(1, abs=1e-6)


class TestBundledWeights:
    def test_the_model_is_probed_on_what_its_weights_are_for(self, bench, monkeypatch, ends_with) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "latentode,movingmnist,metrics")
        few = ("--clips", 6, "--train-clips", 24, "--device", "cpu")
        result = bench("probe", "--model", "latentode", *few, "--json", "out.json")
        assert result.exit_code == 0, result.stderr
        assert "truth of objects: the 2 objects of a clip in the order of positions at the last" in result.stdout
        assert "digits: not probed, an index" in result.stdout
        found = json.loads(Path("out.json").read_text(encoding="utf-8"))
        identity, told = found["identity"], {(each["code"], each["field"]): each for each in found["probes"]}
        assert (identity["dataset"]["name"], identity["dataset"]["config"]["digits"]) == ("moving-mnist", 2)
        assert identity["model"]["weights_sha256"] in {each.sha256 for each in load().model("latentode").spec.weights}
        assert told["appearance", "positions"]["of"] == "the last context frame"
        assert len(told["appearance", "positions"]["components"]) == 4
        assert len(told["dynamics", "positions"]["per_step"]) == 10
        assert told["appearance", "labels"]["measure"] == "accuracy"
        assert told["appearance", "stride"]["value"] is None
        assert told["appearance", "stride"]["components"][0]["why"] == "it does not vary among the train clips"
        refused = bench("probe", "--model", "latentode", *few, "--set", "frame_size=32")
        ends_with(refused, 3, "latentode has no weights for moving-mnist 1×32×32 with context 10")


class TestWhatIsWritten:
    def test_the_table_says_what_was_done(self, probe) -> None:
        result = probe("Seeing")
        assert result.exit_code == 0, result.stderr
        first, *lines = result.stdout.splitlines()
        assert first == (
            "seeing on squares 10→10: linear probes on 20 test clips, fitted on 40 train clips, "
            "strength chosen on 20 val clips"
        )
        row = next(line for line in lines if line.startswith("appearance"))
        assert row.split()[:4] == ["appearance", "2", "corner", "px"]
        assert "R²" in row
        assert "1.000  [1.000, 1.000]" in row
        assert "[95 % interval over test clips]; shuffled: the same with the truth of another clip" in lines

    def test_the_document_says_all_that_decides_the_numbers(self, probe) -> None:
        found = document(probe, "Seeing", "--set", "size=12", "--horizon", 3, "--at", "mean")
        identity = found["identity"]
        assert identity["model"]["name"] == "seeing"
        assert identity["model"]["weights_sha256"] is None
        assert identity["dataset"]["config"]["size"] == 12
        assert {split: text.split()[0] for split, text in identity["dataset"]["fingerprints"].items()} == {
            "train": "train",
            "val": "val",
            "test": "test",
        }
        assert identity["clips"] == {"train": 40, "val": 20, "test": 20}
        assert (identity["at"], identity["objects"]) == ("mean", "sorted")
        assert identity["task"] == {"kind": "extrapolate", "context": 10, "horizon": 3}
        assert found["about"]["caveat"] == "made up"
        assert set(found["software"]) >= {"vpbench", "torch", "numpy", "plugins"}
        assert (found["schema"], found["kind"]) == (1, "probe")
        components = by_code(found)["dynamics"]["components"]
        assert [each["index"] for each in components] == [[0], [1]]
        assert all(each["strength"] > 0 and each["converged"] and each["why"] is None for each in components)

    def test_nothing_else_is_written_and_no_record_is_read(self, probe, bench) -> None:
        (bench.folder / "runs").write_text("a file where records would be")
        assert probe("Seeing").exit_code == 0
        assert [each.name for each in bench.folder.iterdir()] == ["runs"]

    def test_a_place_that_cannot_be_written_is_one_line(self, probe, ends_with) -> None:
        Path("file").write_text("")
        ends_with(probe("Seeing", "--json", "file/out.json"), 5, "cannot write file/out.json")

    def test_fewer_clips_than_asked_for_are_all_used(self, probe) -> None:
        result = probe("Seeing", "--train-clips", 5000, "--clips", 5000)
        assert "on 200 test clips, fitted on 40 train clips, strength chosen on 40 val clips" in result.stdout

    def test_from_python(self, bench) -> None:
        model = f"{Path(__file__).parent / 'fakes' / 'coded_models.py'}:Seeing"
        found = vpbench.probe(model, dataset="squares", clips=20, train_clips=40, settings={"size": 12}, progress=False)
        assert found["appearance", "corner"].score.value == pytest.approx(1, abs=1e-9)
        assert found.to_dict()["identity"]["dataset"]["config"]["size"] == 12
        with pytest.raises(KeyError):
            found["appearance", "weight"]
        with pytest.raises(UsageError, match="at must be one of last, mean, got 'first'"):
            vpbench.probe(model, dataset="squares", at="first")
        with pytest.raises(Refused, match="ramps tells no truth that could be probed for"):
            vpbench.probe(model, dataset="ramps")

    def test_its_defaults_are_those_that_the_help_says(self) -> None:
        told = {each.name: each.help for each in main.commands["probe"].params if hasattr(each, "help")}
        defaults = {name: each.default for name, each in inspect.signature(vpbench.probe).parameters.items()}
        for name in ("context", "task", "clips", "train_clips", "at", "objects", "seed", "batch_size", "precision"):
            assert told[name].endswith(f"[default: {defaults[name]}]"), name


class TestRefused:
    @pytest.mark.parametrize(
        ("fault", "why"),
        [
            ("nothing", "it returned a NoneType, the contract is a mapping of names to codes"),
            ("empty", "it returned no codes"),
            ("name", "3 is no name of a code"),
            ("array", "code is a ndarray, the contract is a torch tensor"),
            ("integers", "code is torch.int64, the contract is floating point"),
            ("clips", "code has shape (1, 4), the contract is (16, K) of clips or (16, 10, K) at the target times"),
            ("steps", "code has shape (16, 11, 4), the contract is"),
            ("axes", "code has shape (16, 4, 1, 1), the contract is"),
            ("no-numbers", "code has shape (16, 0), the contract is"),
            ("nan", "code holds NaN or infinity"),
            ("moody", "it returned code (B, 2) after code (B, 1): codes must be the same of all"),
            ("raises", "ValueError: no idea (coded_models.py, line"),
        ],
    )
    def test_codes_against_the_contract_name_whose_they_are(self, probe, ends_with, fault: str, why: str) -> None:
        ends_with(probe("Wrong", "--set", f"fault={fault}"), 1, "coded_models.py", "codes() of wrong: ", why)

    def test_a_model_without_codes_is_told_which_have_them(self, probe, ends_with, monkeypatch) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "fakes,metrics,baselines")
        line = ends_with(probe("copy-last"), 2, "copy-last has no codes(context, target_times)")
        assert line.endswith("no installed model has them")
        black = "vpbench_baselines.floors.Black.codes"
        monkeypatch.setattr(black, lambda self, context, target_times: {}, raising=False)
        assert ends_with(probe("copy-last"), 2).endswith("installed models that have them: black")
        ends_with(probe("Wrong", "--set", "fault=absent"), 2, "wrong has no codes(context, target_times)")

    def test_a_dataset_without_truth(self, probe, ends_with) -> None:
        ends_with(probe("Seeing", dataset="ramps"), 3, "ramps tells no truth that could be probed for (none)")

    def test_a_dataset_without_clips_to_learn_from(self, probe, ends_with) -> None:
        line = "squares has no two train clips of 20 frames, which probes are fitted on"
        ends_with(probe("Seeing", "--set", "train=false"), 3, line)

    def test_clips_that_are_too_short(self, probe, ends_with) -> None:
        ends_with(probe("Seeing", "--set", "length=15"), 3, "horizon 10 needs 20 frames, squares has 15")

    def test_a_task_of_two_clips(self, probe, ends_with) -> None:
        ends_with(probe("Seeing", "--task", "swap"), 2, "codes are of one clip, and the task swap is of two")

    def test_a_task_that_the_model_cannot_do(self, probe, ends_with) -> None:
        ends_with(probe("Blind", "--task", "reconstruct"), 3, "blind cannot do before-context-end")

    def test_weights_that_do_not_fit_or_have_seen_what_is_tested_on(self, probe, bench, ends_with) -> None:
        header = {
            "model": {"name": "learner", "config": {}},
            "dataset": {"name": "squares", "config": {"made_of": "stones"}},
            "frame_shape": [1, 16, 16],
            "context": 10,
        }
        path, mixing = Path("w.safetensors"), {"weight": torch.tensor([[1.0, 2, 3], [3, 2, 1]])}
        save(path, mixing, {**header, "learnt_from": {"stones": [[0, 60]]}}, half=False)
        used = ("--weights", path)
        found = document(probe, "Learner", *used, "--set", "made_of=stones")
        assert found["identity"]["model"]["weights_sha256"] == sha256(path.read_bytes()).hexdigest()
        assert found["probes"][0]["value"] == pytest.approx(1, abs=1e-9)
        ends_with(probe("Learner", *used, "--context", 5), 3, "w.safetensors are for context 10, asked for 5")
        ends_with(probe("Learner", *used, "--set", "size=12"), 3, "are for frames 1×16×16, squares has 1×12×12")
        ends_with(probe("Seeing", *used), 2, "w.safetensors holds weights of learner")
        save(path, mixing, {**header, "learnt_from": {"stones": [[90, 95]]}}, half=False)
        seen = "were trained on what squares tests with: 5 of the 20 items of stones"
        ends_with(probe("Learner", *used, "--set", "made_of=stones"), 3, seen)

    @pytest.mark.parametrize(
        ("args", "why"),
        [
            (("--set", "sise=3"), "no config key 'sise'"),
            (("--train-clips", 1), "--train-clips"),
            (("--dataset", "sqares"), "no dataset 'sqares'"),
            (("--task", "guess"), "no kind of task 'guess'"),
            (("--device", "tpu"), "no device 'tpu' here"),
        ],
    )
    def test_what_makes_no_sense(self, probe, ends_with, args: tuple[object, ...], why: str) -> None:
        ends_with(probe("Seeing", *args), 2, why)

    def test_truth_that_clips_do_not_hold(self, probe, ends_with, monkeypatch) -> None:
        import fake_datasets

        told = fake_datasets.Squares.clips

        def without(self: Any, split: str, ids: Any, times: np.ndarray) -> vpbench.Clips:
            found = told(self, split, ids, times)
            return vpbench.Clips(frames=found.frames, times=found.times, ids=found.ids)

        monkeypatch.setattr(fake_datasets.Squares, "clips", without)
        ends_with(probe("Seeing"), 1, "its clips hold no truth corner, which its spec names; there is: none")
