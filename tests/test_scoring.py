"""What is measured and how it is asked for: conventions by name, sums over steps, distances between sets, reasons."""

from __future__ import annotations

import numpy as np
import pytest
import vpbench_metrics

from vpbench import registry
from vpbench.plan import Plan, Request, make_plan


def brightness(bench, model: str, horizon: int, clips: int) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true frames of a run that kept them, float64 (n, T, C, H, W)."""
    path = bench.record(model, horizon)["path"].with_suffix(".predictions.npz")
    with np.load(path) as kept:
        assert len(kept["ids"]) == clips
        return kept["predicted"].clip(0, 1).astype(np.float64), kept["target"].astype(np.float64)


class TestMetricsByName:
    def test_a_convention_stands_for_all_of_its_metrics(self, bench) -> None:
        assert bench.run("Last", "--metrics", "openstl").exit_code == 0
        scores = bench.record("last")["scores"]
        installed = {spec.name for spec in vpbench_metrics.vpbench_metrics() if spec.convention == "openstl"}
        assert set(scores) == installed
        assert len(installed) >= 4

    def test_default_comes_along_when_it_is_named(self, bench) -> None:
        assert bench.run("Last", "--metrics", "default", "--metrics", "summed").exit_code == 0
        assert set(bench.record("last")["scores"]) >= {"error-of-clip", "mse", "ssim", "psnr-pooled"}

    def test_a_grid_file_says_the_same(self, bench) -> None:
        (bench.folder / "grid.toml").write_text(
            f'models = ["{bench.model("Last")}"]\ndatasets = ["squares"]\nhorizons = [1]\nmetrics = ["summed", "mse"]\n'
            "clips = 2\n"
        )
        assert bench("run", "grid.toml").exit_code == 0
        assert set(bench.record("last")["scores"]) == {"error-of-clip", "mse"}

    def test_an_unknown_name_lists_metrics_and_conventions(self, bench, ends_with) -> None:
        result = bench.run("Last", "--metrics", "openstll")
        line = ends_with(result, 2, "no metric or convention 'openstll'; did you mean openstl?")
        assert "error-of-clip" in line
        assert "phydnet" in line


class TestOverSteps:
    def test_a_sum_over_steps_is_one_for_every_horizon_of_a_rollout(self, bench) -> None:
        result = bench.run("Counting", "--metrics", "summed", "--keep-predictions", 3, horizon=5)
        assert result.exit_code == 0
        predicted, target = brightness(bench, "counting", 5, 3)
        errors = np.abs(predicted - target).mean(axis=(2, 3, 4))  # (n, T)
        for horizon in (1, 5):
            record = bench.record("counting", horizon)
            score = record["scores"]["error-of-clip"]
            assert score["over_steps"] == "sum"
            assert score["value"] == pytest.approx(errors[:, :horizon].sum(axis=1).mean(), rel=1e-6)
            assert score["per_step"] == pytest.approx(errors[:, :horizon].mean(axis=0), rel=1e-5)
            (values,) = record["statistics"].values()
            assert values == pytest.approx(errors[:, :horizon].sum(axis=1), rel=1e-5)
        verdict = bench("verify", bench.record("counting", 5)["path"], "--clips", 3, "--model", bench.model("Counting"))
        assert verdict.exit_code == 0, verdict.output


class TestDistancesBetweenSets:
    def test_the_distance_is_of_all_stretches_of_all_clips(self, bench) -> None:
        options = ("--metric", "brightness-distance", "--set", "brightness-distance.scale=3")
        result = bench.run("Counting", *options, "--batch-size", 2, "--keep-predictions", 5, horizon=5, clips=5)
        assert result.exit_code == 0, result.output
        predicted, target = brightness(bench, "counting", 5, 5)
        score = bench.record("counting", 5)["scores"]["brightness-distance"]
        # two stretches of two frames; the fifth frame is left over
        assert score["value"] == pytest.approx(3 * abs(predicted[:, :4].mean() - target[:, :4].mean()), rel=1e-5)
        assert score["low"] is score["high"] is None
        assert score["statistics"] == score["per_step"] == []
        assert score["config"] == {"scale": 3.0}

    def test_a_horizon_that_is_too_short_has_it_not_computed(self, bench) -> None:
        options = ("--metric", "brightness-distance", "--set", "brightness-distance.scale=3", "--metric", "mse")
        result = bench.run("Counting", *options, horizon=5)
        assert result.exit_code == 0
        assert "brightness-distance is not computed on squares: needs 2 steps, the horizon is 1" in result.stdout
        short = bench.record("counting", 1)
        assert set(short["scores"]) == {"mse"}
        assert short["about"]["not_computed"] == {"brightness-distance": "needs 2 steps, the horizon is 1"}
        assert set(bench.record("counting", 5)["scores"]) == {"mse", "brightness-distance"}
        assert "2 done" in bench.run("Counting", *options, horizon=5).stdout

    def test_another_config_is_measured_anew(self, bench) -> None:
        for scale in (3, 4):
            options = ("--metric", "brightness-distance", "--set", f"brightness-distance.scale={scale}")
            assert bench.run("Last", *options, horizon=2).exit_code == 0
            assert bench.record("last", 2)["scores"]["brightness-distance"]["config"] == {"scale": float(scale)}

    def test_verify_measures_it_in_the_config_of_the_record(self, bench) -> None:
        options = ("--metric", "brightness-distance", "--metric", "mse", "--set", "brightness-distance.scale=3")
        assert bench.run("Other", *options, horizon=2).exit_code == 0
        path = bench.record("other", 2)["path"]
        assert bench("verify", path, "--clips", 3, "--model", bench.model("Other")).exit_code == 0
        path.write_text(path.read_text().replace('"scale": 3.0', '"scale": 3.5'))
        verdict = bench("verify", path, "--clips", 3, "--model", bench.model("Other"))
        assert verdict.exit_code == 1
        assert "score brightness-distance differs most" in verdict.output


class TestWhatIsNotComputed:
    def test_a_metric_says_what_it_lacks_and_the_others_go_on(self, bench) -> None:
        result = bench.run("Last", "--metric", "brightness-distance", "--metric", "mse", horizon=2)
        assert result.exit_code == 0
        why = "needs a scale: --set brightness-distance.scale=NUMBER"
        assert f"brightness-distance is not computed on squares: {why}" in result.stdout
        assert bench.record("last", 2)["about"]["not_computed"] == {"brightness-distance": why}

    def test_where_nothing_is_left_the_run_ends_in_one_line(self, bench, ends_with) -> None:
        result = bench.run("Last", "--metric", "brightness-distance", horizon=2)
        ends_with(result, 2, "no metric can be computed on squares: brightness-distance needs a scale")

    def test_an_unknown_key_of_a_metric_is_a_usage_error(self, bench, ends_with) -> None:
        result = bench.run("Last", "--metric", "brightness-distance", "--set", "brightness-distance.sale=3", horizon=2)
        ends_with(result, 2, "brightness-distance has no config key 'sale'; did you mean scale?")

    def test_the_list_of_keys_names_metrics_that_have_some(self, bench, ends_with) -> None:
        line = ends_with(bench.run("Last", "--set", "scale=3"), 2, "no config key 'scale'")
        assert "brightness-distance.scale" in line
        assert "mse" not in line


def plan_for(bench, dataset: str, **asked: object) -> Plan:
    request = Request(models=(bench.model("Last"),), datasets=(dataset,), horizons=(1,), clips=2, **asked)  # type: ignore[arg-type]
    return make_plan(request, registry.load())


class TestModelsOfOneDataset:
    def test_a_ceiling_is_planned_where_it_knows_the_generator_and_nowhere_else(self, bench, monkeypatch) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "fakes,metrics,movingmnist")
        names = {each.cell.model.spec.name for each in plan_for(bench, "moving-mnist").cells}
        assert names == {"last", "bayes", "bayes-sample"}
        assert {each.cell.model.spec.name for each in plan_for(bench, "squares").cells} == {"last"}

    def test_asked_for_elsewhere_it_is_refused_with_the_reason(self, bench, monkeypatch, ends_with) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "fakes,metrics,movingmnist")
        result = bench.run("bayes")
        ends_with(result, 3, "bayes makes sense on moving-mnist only, not on squares")
