"""One cell: numbers against plain loops, shards that merge, memory that stays, and a future that nobody sees."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vpbench
from vpbench import registry
from vpbench.evaluation import Evaluation
from vpbench.plan import Plan, Request, make_plan
from vpbench.scoring import Partial, merge, summarise


def planned(model: str) -> Plan:
    """The plan of a model for eight clips of the squares; its last cell has horizon 5."""
    request = Request(models=(model,), datasets=("squares",), horizons=(5,), clips=8)
    return make_plan(request, registry.load())


def evaluation(plan: Plan, *, batch_size: int = 3, keep: int = 0) -> Evaluation:
    """The cell of the largest horizon, ready."""
    last = plan.cells[-1]
    return Evaluation(
        last.cell,
        plan.datasets["squares"],
        plan.metrics_for([last]),
        device=torch.device("cpu"),
        batch_size=batch_size,
        keep=keep,
    )


def frames_of(clips: int, n: int, **config: Any) -> np.ndarray:
    """float64 (clips, n, H, W): frames of the squares as the fake dataset draws them."""
    from fake_datasets import Squares, SquaresConfig  # type: ignore[import-not-found]

    times = np.tile(np.arange(float(n)), (clips, 1))
    return Squares(SquaresConfig(**config)).clips("test", range(clips), times).frames[:, :, 0].astype(np.float64) / 255


class TestNumbers:
    def test_record_holds_what_a_plain_loop_measures(self, bench) -> None:
        assert bench.run("Other", horizon=3, clips=5).exit_code == 0
        record = bench.record("other", 3)
        frames = frames_of(5, 13)
        per_clip, per_step = [], np.zeros(3)
        for clip in frames:
            errors = [float(np.mean((clip[9] / 2 - clip[10 + k]) ** 2)) for k in range(3)]
            per_clip.append(np.mean(errors))
            per_step += np.array(errors) / 5
        mse, pooled = record["scores"]["mse"], record["scores"]["psnr-pooled"]
        np.testing.assert_allclose(record["statistics"]["vpbench-metrics/squared_error"], per_clip, rtol=1e-5)
        np.testing.assert_allclose(mse["value"], np.mean(per_clip), rtol=1e-5)
        np.testing.assert_allclose(mse["per_step"], per_step, rtol=1e-5)
        np.testing.assert_allclose(pooled["value"], -10 * np.log10(np.mean(per_clip)), rtol=1e-5)
        assert mse["low"] <= mse["value"] <= mse["high"]
        assert mse["n"] == 5

    def test_batch_size_changes_no_number(self, bench) -> None:
        plan = planned(bench.model("Counting"))
        whole = evaluation(plan, batch_size=8)(range(8))
        for size in (1, 3):
            pieces = evaluation(plan, batch_size=size)(range(8))
            for name, values in whole.statistics.items():
                np.testing.assert_allclose(pieces.statistics[name], values, rtol=1e-6, atol=1e-9)

    def test_rows_follow_the_clips_as_the_dataset_orders_them(self, bench) -> None:
        """The first n clips of one record are the first n of another: boards compare and verify runs these."""
        assert bench.run("Last", "--set", "order=down", clips=6).exit_code == 0
        many = bench.record("last")["statistics"]["vpbench-metrics/squared_error"]
        assert bench.run("Last", "--set", "order=down", "--results", "few", clips=2).exit_code == 0
        few = bench.record("last", results="few")["statistics"]["vpbench-metrics/squared_error"]
        assert many[:2] == few
        with np.load(bench.record("last")["path"].with_suffix(".npz")) as sidecar:
            assert sidecar["ids"].tolist() == [199, 198, 197, 196, 195, 194]

    def test_seed_changes_the_model_and_not_the_clips(self, bench) -> None:
        for seed in (0, 1):
            args = ("--seed", seed, "--keep-predictions", 2, "--results", f"seed{seed}")
            assert bench.run("Random", *args).exit_code == 0
        kept = [
            np.load(bench.record("random", results=f"seed{seed}")["path"].with_suffix(".predictions.npz"))
            for seed in (0, 1)
        ]
        np.testing.assert_array_equal(kept[0]["target"], kept[1]["target"])
        np.testing.assert_array_equal(kept[0]["context"], kept[1]["context"])
        assert not np.array_equal(kept[0]["predicted"], kept[1]["predicted"])

    def test_values_out_of_range_are_clamped_counted_and_said(self, bench) -> None:
        result = bench.run("Unnormal", horizon=2)
        assert result.exit_code == 0
        record = bench.record("unnormal", 2)
        assert record["cost"]["out_of_range_share"] == pytest.approx(2 / 256)
        (line,) = [line for line in result.stdout.splitlines() if "clamped" in line and "0.8%" in line]
        assert "unnormal" in line
        frames = frames_of(3, 12)
        wrong = np.repeat(frames[:, 9:10], 2, axis=1)
        wrong[..., 0, 0], wrong[..., 0, 1] = 1, 0
        expected = np.mean((wrong - frames[:, 10:]) ** 2)
        assert record["scores"]["mse"]["value"] == pytest.approx(expected, rel=1e-5)

    def test_what_a_model_says_of_itself_does_not_pass_for_a_measurement(self, bench) -> None:
        assert bench.run("Counting").exit_code == 0
        cost = bench.record("counting")["cost"]
        assert cost["model_stats"] == {"nfe": 12, "frames_per_s": 1e9, "strange": None}
        assert cost["frames_per_s"] < 1e9

    def test_kept_predictions_are_those_of_the_first_clips_and_stay_as_they_were(self, bench) -> None:
        # Vandal writes over what it returned before; five clips in batches of two.
        assert bench.run("Vandal", "--keep-predictions", 5, "--batch-size", 2, horizon=2, clips=6).exit_code == 0
        with np.load(bench.record("vandal", 2)["path"].with_suffix(".predictions.npz")) as kept:
            frames = frames_of(6, 12)
            assert kept["ids"].tolist() == [0, 1, 2, 3, 4]
            np.testing.assert_allclose(kept["context"][:, :, 0], frames[:5, :10], atol=1e-7)
            np.testing.assert_allclose(kept["target"][:, :, 0], frames[:5, 10:], atol=1e-7)
            np.testing.assert_allclose(kept["predicted"][:, :, 0], np.repeat(frames[:5, 9:10], 2, axis=1), atol=1e-7)
            assert kept["target_times"].tolist() == [[10, 11]] * 5


class TestNobodySeesTheFuture:
    def test_predictions_do_not_depend_on_the_frames_to_come(self, bench) -> None:
        kept = {}
        for future in ("true", "noise"):
            args = ("--set", f"future={future}", "--keep-predictions", 3, "--results", future)
            assert bench.run("Counting", *args, horizon=4).exit_code == 0
            path = bench.record("counting", 4, results=future)["path"]
            kept[future] = np.load(path.with_suffix(".predictions.npz"))
        np.testing.assert_array_equal(kept["true"]["predicted"], kept["noise"]["predicted"])
        assert not np.array_equal(kept["true"]["target"], kept["noise"]["target"])

    @pytest.mark.parametrize("floats", [False, True], ids=["uint8", "float32"])
    def test_no_memory_that_a_model_is_given_leads_to_the_targets(self, bench, floats: bool) -> None:
        assert bench.run("Spy", "--set", f"floats={floats}", horizon=4).exit_code == 0
        for seen in bench.log():
            for name in ("frames", "times", "seeds"):
                assert seen[name] == seen[f"{name} told"]

    @pytest.mark.parametrize("floats", [False, True], ids=["uint8", "float32"])
    def test_a_model_that_writes_over_its_inputs_harms_nobody(self, bench, floats: bool) -> None:
        for model in ("Vandal", "Honest"):
            # twice in one process, on the dataset's own memory
            result = bench.run(model, "--set", f"floats={floats}", "--batch-size", 2, horizon=3, clips=5)
            assert result.exit_code == 0
        vandal, honest = (bench.record(name, 3)["statistics"] for name in ("vandal", "honest"))
        assert vandal == honest

    def test_frames_to_come_that_are_no_numbers_fail_the_cell_and_are_not_left_out_in_silence(self, bench) -> None:
        result = bench.run("Last", "--set", "future=nan")
        assert result.exit_code == 1
        reason = bench.record("last")["reason"]
        assert reason["phase"] == "data"
        assert "the contract is [0, 1]" in reason["message"]


class TestShards:
    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_merging_is_free_of_order_and_equals_the_whole(self, data: st.DataObject) -> None:
        n, steps = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4))
        ids = data.draw(st.permutations([3 * k for k in range(n)]))
        values = {name: np.random.default_rng(n).random((n, steps)) for name in ("a/x", "b/y")}
        features = np.random.default_rng(n).random((n, 2, 2, 3))
        kept_clips = data.draw(st.integers(0, n))
        rows = {clip: row for row, clip in enumerate(ids)}

        def part(clips: list[int]) -> Partial:
            chosen = [rows[clip] for clip in clips]
            kept = [clip for clip in clips if rows[clip] < kept_clips]
            return Partial(
                ids=tuple(clips),
                steps=steps,
                statistics={name: each[chosen] for name, each in values.items()},
                predict_s=0.1 * len(clips),
                out_of_range=len(clips),
                kept={"ids": np.array(kept), "predicted": np.array(kept) * 2.0} if kept else {},
                features={"c/z": features[chosen]},
            )

        shuffled = data.draw(st.permutations(ids))
        cuts = sorted(data.draw(st.sets(st.integers(1, n - 1), max_size=n - 1))) if n > 1 else []
        pieces = [list(shuffled[a:b]) for a, b in zip([0, *cuts], [*cuts, n], strict=True)]
        merged = merge([part(piece) for piece in data.draw(st.permutations(pieces))], ids)
        assert merged.ids == tuple(ids)
        for name, each in values.items():
            np.testing.assert_array_equal(merged.statistics[name], each)
        np.testing.assert_array_equal(merged.features["c/z"], features)
        assert merged.predict_s == pytest.approx(0.1 * n)
        assert merged.out_of_range == n
        assert merged.kept.get("ids", np.array([])).tolist() == list(ids[:kept_clips])
        assert merged.kept.get("predicted", np.array([])).tolist() == [2.0 * clip for clip in ids[:kept_clips]]

    def test_shards_of_a_cell_give_the_record_of_the_whole(self, bench) -> None:
        plan = planned(bench.model("Random"))
        whole = evaluation(plan)(range(8))
        shards = [evaluation(plan, batch_size=size)(ids) for size, ids in ((2, [5, 0, 7]), (1, [3]), (8, [1, 2, 4, 6]))]
        merged = merge(shards[::-1], range(8))
        metrics = plan.metrics_for(plan.cells[-1:])
        assert json.dumps(summarise(merged, metrics, 5)[0]) == json.dumps(summarise(whole, metrics, 5)[0])

    @pytest.mark.parametrize(
        ("parts", "ids"),
        [
            ([[0, 1], [1]], [0, 1]),  # a clip twice
            ([[0], [2]], [0, 1, 2]),  # a shard is missing
            ([[0], [1]], [0]),  # a clip too many
            ([[0]], [0, 0]),
            ([], []),
        ],
    )
    def test_parts_that_are_not_the_whole_are_refused(self, parts: list[list[int]], ids: list[int]) -> None:
        with pytest.raises(ValueError, match="needed once"):
            merge([Partial(tuple(part), 1, {"a/x": np.zeros((len(part), 1))}) for part in parts], ids)

    def test_parts_of_different_statistics_or_steps_are_refused(self) -> None:
        one = Partial((0,), 2, {"a/x": np.zeros((1, 2))})
        for other in (
            replace(one, ids=(1,), statistics={"a/y": np.zeros((1, 2))}),
            replace(one, ids=(1,), steps=3, statistics={"a/x": np.zeros((1, 3))}),
            replace(one, ids=(1,), features={"a/x": np.zeros((1, 1, 2, 4))}),
        ):
            with pytest.raises(ValueError, match="different statistics or steps"):
                merge([one, other], [0, 1])


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory by resource")
def test_memory_does_not_grow_with_the_number_of_clips(bench) -> None:
    """120 clips more, of 70 predicted and 70 true frames of 48 × 48 as float32, would be 155 MB."""
    common = ["run", "--model", bench.model("Last"), "--dataset", "squares", "--set", "size=48", "--horizon", "70"]
    common += ["--metric", "mse", "--batch-size", "4", "--clips"]
    code = (
        "import sys; from click.testing import CliRunner; from vpbench.cli import main\n"
        f"for n in ('8', '128'): CliRunner().invoke(main, [*{common!r}, n, '--results', n], catch_exceptions=False)"
    )
    process = bench.start_python(code)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    peaks = [bench.record("last", 70, results=n)["cost"]["peak_memory_mb"] for n in ("8", "128")]
    assert peaks[1] - peaks[0] < 40, peaks


class TestWhatDecidesANumber:
    @pytest.mark.parametrize(("model", "name"), [("Wrapped", "wrapped"), ("WrappedDeep", "wrapped-deep")])
    def test_a_module_inside_a_plain_class_is_in_eval_mode_so_the_batch_does_not_matter(
        self, bench, model: str, name: str
    ) -> None:
        for batch_size in (1, 4):
            args = ("--batch-size", batch_size, "--results", f"batch{batch_size}")
            assert bench.run(model, *args, clips=4).exit_code == 0
        one, four = (bench.record(name, results=f"batch{n}") for n in (1, 4))
        assert one["statistics"] == four["statistics"]
        assert one["cost"]["parameters"] == 2

    def test_what_a_model_is_fitted_on_is_part_of_its_identity(self, bench) -> None:
        assert bench.run("Fitted").exit_code == 0
        assert bench.run("Last").exit_code == 0
        fit = bench.record("fitted")["identity"]["model"]["fit"]
        assert fit["fingerprint"] != bench.record("fitted")["identity"]["dataset"]["fingerprint"]
        assert fit["clips"] > 0
        assert fit["frames"] > 0
        assert "fit" not in bench.record("last")["identity"]["model"]

    def test_prefix_stability_is_claimed_by_a_spec_and_not_assumed(self) -> None:
        spec = vpbench.ModelSpec(name="new", factory="m:M", summary="New", version="1")
        assert not spec.prefix_stable
