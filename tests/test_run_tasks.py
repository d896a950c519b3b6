"""`vpbench run --task`: what models are given and asked, what is scored, who is refused, and the fallback in time."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vpbench.in_time import blended

MODELS = '''
import json, os
import torch, vpbench

def log(**what):
    with open(os.environ["VPBENCH_TEST_LOG"], "a") as file:
        file.write(json.dumps(what) + "\\n")

class Ramp:
    """Continues the ramp of each clip to any time, from the first and the last frame and their times."""
    spec = vpbench.ModelSpec(
        name="ramp", factory="m:M", summary="Continues", version="1", prefix_stable=True,
        capabilities=frozenset({"fractional", "before-context-end", "irregular-context"}),
    )
    def __init__(self, config, *, frame_shape, context_length):
        pass
    def predict(self, context, target_times):
        log(given=context.times.tolist(), wanted=target_times.tolist())
        slope = context.frames[:, -1:] / context.times[:, -1:, None, None, None].float()
        return slope * target_times[:, :, None, None, None].float()

class Whole(Ramp):
    """The same, for whole steps after a regular context."""
    spec = vpbench.ModelSpec(name="whole", factory="m:M", summary="Whole steps", version="1", prefix_stable=True)

class Past(Ramp):
    """Declares that it knows the past, and must not be given a score without being asked."""
    spec = vpbench.ModelSpec(
        name="past", factory="m:M", summary="Past", version="1", capabilities=frozenset({"before-context-end"}),
    )
    def predict(self, context, target_times):
        raise RuntimeError("nobody asks me")

class Counts(Ramp):
    """Shows how many frames it was asked for, as whoever is not prefix-stable may."""
    spec = vpbench.ModelSpec(name="counts", factory="m:M", summary="Counts", version="1")
    def predict(self, context, target_times):
        count = target_times.shape[1]
        return torch.full((len(context.frames), count, *context.frames.shape[2:]), count / 100)

class Swapper(Ramp):
    """Swaps by the book: it shows what it was told."""
    spec = vpbench.ModelSpec(
        name="swapper", factory="m:M", summary="Swaps", version="1", prefix_stable=True,
        capabilities=frozenset({"swap"}),
    )
    def swap(self, dynamics, appearance, target_times):
        log(**{name: each.frames.sum((1, 2, 3, 4)).tolist()
               for name, each in (("dynamics", dynamics), ("appearance", appearance))})
        return appearance.frames[:, -1:].repeat(1, target_times.shape[1], 1, 1, 1)

class Liar(Ramp):
    spec = vpbench.ModelSpec(
        name="liar", factory="m:M", summary="No swap", version="1", capabilities=frozenset({"swap"}),
    )
'''


@pytest.fixture
def ask(bench, monkeypatch):
    """`vpbench run --task` of a model above on ramps."""
    (bench.folder / "m.py").write_text(MODELS)

    def run(model: str, task: str, *args: object, dataset: str = "ramps"):
        clips = ("--clips", 3, "--metric", "mse")
        return bench("run", "--model", f"m.py:{model}", "--dataset", dataset, "--task", task, *clips, *args)

    monkeypatch.setenv("VPBENCH_PLUGINS", "fakes,metrics,movingmnist")
    return run


FRACTIONAL = ("--set", "ramps.fractional=true")


@pytest.mark.parametrize(
    ("task", "args", "given", "wanted"),
    [
        ("fractional", (*FRACTIONAL, "--horizon", 2), [0, 1, 2], [2.5, 3.5]),
        ("fractional,offset=0.75", (*FRACTIONAL, "--horizon", 1), [0, 1, 2], [2.75]),
        ("interpolate", (), [0, 2, 4], [1, 3]),
        ("interpolate,spacing=1", FRACTIONAL, [0, 1, 2], [0.5, 1.5]),
        ("reconstruct", (), [0, 1, 2], [0, 1, 2]),
    ],
)
def test_a_model_is_told_times_and_scored_at_them(bench, ask, task, args, given, wanted) -> None:
    """A ramp continued by its own closed form has no error: so frames, times and targets belong together."""
    result = ask("Ramp", task, "--context", 3, *args)
    assert result.exit_code == 0, result.output
    told = bench.log()
    assert all(each["given"] == [given] * 3 for each in told if len(each["given"]) == 3)
    assert max((each["wanted"][0] for each in told), key=len) == wanted
    record = bench.record("ramp", len(wanted))
    assert record["scores"]["mse"]["value"] < 1e-9
    assert record["identity"]["task"]["kind"] == task.partition(",")[0]
    path = record["path"]
    verified = bench("verify", path, "--clips", 3, "--model", "m.py:Ramp")
    assert verified.exit_code == 0, verified.output


def test_irregular_frames_are_scored_where_they_were_drawn(bench, ask) -> None:
    assert ask("Ramp", "irregular,seed=3", "--context", 4, "--horizon", 6).exit_code == 0
    record = bench.record("ramp", 6)
    assert record["identity"]["task"] == {"kind": "irregular", "context": 4, "horizon": 6, "seed": 3}
    assert record["scores"]["mse"]["value"] < 1e-9
    told = max(bench.log(), key=lambda each: len(each["wanted"]) * len(each["wanted"][0]))
    assert [int(time) // 2 for time in told["given"][0] + told["wanted"][0]] == list(range(10))
    assert told["given"][0] != told["given"][1]
    assert bench.record("ramp", 5)["scores"]["mse"]["per_step"] == record["scores"]["mse"]["per_step"][:5]


def test_frames_at_times_of_their_own_are_interpolated_there(bench, ask) -> None:
    assert ask("Ramp", "interpolate", "--context", 3, "--set", "ramps.irregular=true").exit_code == 0
    assert bench.record("ramp", 2)["scores"]["mse"]["value"] < 1e-9
    own = [k + k**2 / 100 for k in range(5)]
    told = bench.log()[-1]
    assert told["given"][0] == pytest.approx(own[::2])
    assert told["wanted"][0] == pytest.approx(own[1::2])


@pytest.mark.parametrize(
    ("model", "task", "args", "why"),
    [
        ("Whole", "fractional", (*FRACTIONAL, "--horizon", 2), "--in-time linear or nearest approximates"),
        ("Whole", "interpolate", (), "cannot do before-context-end (targets at or before the last context frame)"),
        ("Past", "interpolate,spacing=1", (*FRACTIONAL, "--in-time", "linear"), "past cannot do fractional"),
        ("Past", "interpolate", ("--in-time", "nearest"), "past cannot do irregular-context"),
        ("Ramp", "fractional", ("--horizon", 2), "ramps has none there"),
        ("Swapper", "swap", ("--horizon", 2), "nothing to score swap 3→2 by"),
        ("Ramp", "swap", ("--horizon", 2), "does not know how a clip looks with the looks of another"),
    ],
)
def test_who_cannot_is_refused_with_the_reason(ask, ends_with, model, task, args, why) -> None:
    result = ask(model, task, "--context", 3, *args)
    ends_with(result, 3, why)


def test_a_horizon_that_the_context_decides_need_not_be_given_nor_may_be_another(ask, ends_with) -> None:
    ends_with(ask("Ramp", "interpolate", "--context", 3, "--horizon", 5), 2, "has horizon 2, got 5")


@pytest.mark.parametrize("task", ["extrapolate", "irregular"])
def test_clips_that_are_too_short_for_a_longer_horizon_are_still_those_of_the_shorter(bench, ask, task) -> None:
    """Alone or beside a longer horizon, a record is of the same clips: all that are long enough for its own."""
    args = ("--context", 2, "--set", "ramps.short=6", "--clips", 2)

    def clips() -> list[int]:
        path = str(bench.record("ramp", 1)["path"])
        return np.load(path[: -len("json")] + "npz")["ids"].tolist()

    assert ask("Ramp", task, *args, "--horizon", 1).exit_code == 0
    alone = bench.record("ramp", 1)
    assert clips() == [0, 1]
    assert ask("Ramp", task, *args, "--horizon", 1, "--horizon", 5, "--rerun", "all").exit_code == 0
    beside = bench.record("ramp", 1)
    assert clips() == [0, 1]
    assert beside["path"] == alone["path"]
    assert beside["statistics"] == alone["statistics"]
    assert bench("verify", beside["path"], "--model", "m.py:Ramp").exit_code == 0
    assert "ids" in np.load(str(bench.record("ramp", 5)["path"])[: -len("json")] + "npz")


class TestInTime:
    @pytest.mark.parametrize(("blend", "error"), [("linear", 0.0), ("nearest", 0.5)])
    def test_whole_steps_are_blended_and_the_row_says_so(self, bench, ask, blend: str, error: float) -> None:
        """A ramp is linear in time, so its linear blend is exact; the nearest of two frames is half a step behind."""
        result = ask("Whole", "fractional", *FRACTIONAL, "--context", 3, "--horizon", 2, "--in-time", blend)
        assert result.exit_code == 0, result.output
        assert f"whole ({blend} in time)" in result.stdout
        record = bench.record("whole", 2)
        assert record["identity"]["model"]["in_time"] == blend
        slopes = (np.arange(3) + 1) / 255
        assert record["scores"]["mse"]["value"] == pytest.approx(np.mean((error * slopes) ** 2), rel=1e-4, abs=1e-12)
        assert "blended" in record["about"]["caveat"] or "nearest" in record["about"]["caveat"]
        assert all(float(time).is_integer() for each in bench.log() for row in each["wanted"] for time in row)
        assert bench("verify", record["path"], "--clips", 3, "--model", "m.py:Whole").exit_code == 0

    def test_an_irregular_context_is_made_regular(self, bench, ask) -> None:
        assert ask("Whole", "irregular", "--context", 4, "--horizon", 2, "--in-time", "linear").exit_code == 0
        told = bench.log()
        assert all(np.allclose(np.diff(row), 1) for each in told for row in each["given"])
        assert bench.record("whole", 2)["scores"]["mse"]["value"] < 1e-9

    def test_who_can_do_it_is_asked_as_is(self, bench, ask) -> None:
        result = ask("Ramp", "fractional", *FRACTIONAL, "--context", 3, "--horizon", 2, "--in-time", "linear")
        assert "in time)" not in result.stdout
        assert "in_time" not in bench.record("ramp", 2)["identity"]["model"]

    def test_a_missing_frame_is_not_blended_in_as_a_black_one(self, bench, ask) -> None:
        """Of frames 0, 1, 2 the last is missing: 2.5 is between frame 1 and frame 3, which the model says is black."""
        args = (*FRACTIONAL, "--set", "ramps.missing=2", "--context", 3, "--horizon", 1, "--in-time", "linear")
        assert ask("Whole", "fractional", *args).exit_code == 0
        slopes = (np.arange(3) + 1) / 255
        expected = np.mean(((2.5 - 0.25) * slopes) ** 2)
        assert bench.record("whole", 1)["scores"]["mse"]["value"] == pytest.approx(expected, rel=1e-4)

    def test_what_a_clip_gets_does_not_follow_from_those_beside_it(self, bench, ask) -> None:
        args = ("irregular,seed=0", "--context", 2, "--horizon", 3, "--in-time", "nearest")
        found = []
        for size in (1, 3):
            assert ask("Counts", *args, "--batch-size", size, "--rerun", "all").exit_code == 0
            found.append(bench.record("counts", 3)["statistics"])
        assert found[0] == found[1]

    @pytest.mark.parametrize("blend", ["linear", "nearest"])
    def test_blends_agree_with_a_loop(self, blend: str) -> None:
        import torch

        rng = np.random.default_rng(0)
        times = np.sort(rng.uniform(0, 9, (3, 5)), axis=1)
        wanted = np.concatenate([rng.uniform(-1, 10, (3, 7)), times[:, 1:3]], axis=1)
        frames = rng.random((3, 5, 1, 2, 2))
        found = blended(*map(torch.from_numpy, (frames, times, wanted)), blend).numpy()  # type: ignore[arg-type]
        for b in range(3):
            for w, time in enumerate(wanted[b]):
                if blend == "nearest":
                    expected = frames[b, int(np.argmin(np.abs(times[b] - time)))]
                else:
                    expected = np.array([np.interp(time, times[b], frames[b].reshape(5, 4)[:, p]) for p in range(4)])
                assert np.allclose(found[b, w].ravel(), np.ravel(expected))

    @pytest.mark.parametrize("blend", ["linear", "nearest"])
    def test_blends_of_known_frames_agree_with_a_loop_over_these(self, blend: str) -> None:
        import torch

        rng = np.random.default_rng(1)
        times, wanted = np.sort(rng.uniform(0, 9, (4, 6)), axis=1), rng.uniform(-1, 10, (4, 7))
        frames, known = rng.random((4, 6, 1, 1, 1)), rng.random((4, 6)) < 0.6
        known[0], known[1] = False, [True, *[False] * 5]
        given = [torch.from_numpy(each) for each in (frames, times, wanted)]
        found = blended(*given, blend, torch.from_numpy(known)).numpy()  # type: ignore[arg-type]
        known[0] = True  # where none is, all are black ones
        for b in range(4):
            own_times, own = times[b][known[b]], frames[b, :, 0, 0, 0][known[b]]
            if blend == "nearest":
                expected = own[np.abs(own_times - wanted[b][:, None]).argmin(axis=1)]
            else:
                expected = np.interp(wanted[b], own_times, own)
            assert np.allclose(found[b].ravel(), expected)

    def test_one_frame_is_all_there_is(self) -> None:
        import torch

        frames, times = torch.rand(1, 1, 1, 2, 2), torch.zeros(1, 1, dtype=torch.float64)
        wanted = torch.tensor([[-1.0, 0.0, 3.0]], dtype=torch.float64)
        assert torch.equal(blended(frames, times, wanted, "linear"), frames.expand(1, 3, 1, 2, 2))


class TestSwap:
    args = ("--context", 2, "--horizon", 3, "--set", "frame_size=28")

    def test_pairs_are_told_apart_and_scored_against_the_swapped_clip(self, bench, ask) -> None:
        import vpbench
        from vpbench import registry

        assert ask("Swapper", "swap", *self.args, dataset="moving-mnist").exit_code == 0
        record = bench.record("swapper", 3)
        provided = registry.load().dataset("moving-mnist")
        dataset = provided.spec.load()(provided.spec.load_config()(frame_size=28))
        times = np.tile(np.arange(5.0), (3, 1))
        movers, looks = [0, 2, 4], [1, 3, 5]
        swapped = dataset.swapped("test", movers, looks, times)
        appearance = dataset.clips("test", looks, times)
        dynamics = dataset.clips("test", movers, times)
        assert isinstance(swapped, vpbench.Clips)
        error = (appearance.frames[:, 1:2].astype(float) - swapped.frames[:, 2:].astype(float)) / 255
        assert record["scores"]["mse"]["value"] == pytest.approx((error**2).mean(), rel=1e-5)
        told = bench.log()[-1]
        for name, clips in (("dynamics", dynamics), ("appearance", appearance)):
            expected = clips.frames[:, :2].astype(float).sum((1, 2, 3, 4)) / 255
            assert np.allclose(sorted(told[name]), sorted(expected[: len(told[name])]), rtol=1e-5), name

    def test_one_clip_is_too_few_and_that_is_said(self, ask, ends_with, monkeypatch) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "fakes,metrics,physics")
        result = ask("Swapper", "swap", "--context", 2, "--horizon", 3, dataset="trajectory")
        ends_with(result, 3, "a swap is of two clips, trajectory has one test clip of 5 frames")

    def test_of_an_odd_number_of_clips_the_last_one_is_left(self, ask, bench) -> None:
        result = ask("Swapper", "swap", *self.args, dataset="moving-mnist")
        assert "3 clips" in result.stdout
        ids = np.load(str(bench.record("swapper", 3)["path"])[: -len("json")] + "npz")["ids"]
        assert ids.tolist() == [0, 2, 4]

    def test_a_model_without_the_method_it_declares_fails_in_one_line(self, bench, ask) -> None:
        result = ask("Liar", "swap", *self.args, dataset="moving-mnist")
        assert result.exit_code != 0
        record = bench.record("liar", 3)
        assert record["status"] == "failed"
        assert "must have swap()" in json.dumps(record["reason"])
