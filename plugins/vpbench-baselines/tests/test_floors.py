"""The floors against naive numpy, and the properties that the harness relies on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from vpbench_baselines import floor_specs

from vpbench import Clips, Context, ModelSpec
from vpbench.errors import ModelFailed

SPECS = {spec.name: spec for spec in floor_specs()}
SHAPE = (3, 5, 7)  # channels, height, width: all different, so that a swapped axis shows


def build(name: str, *, shape: tuple[int, int, int] = SHAPE, context_length: int = 4):
    """A model as the harness makes it, fitted where it needs that."""
    spec = SPECS[name]
    model = spec.load()(None, frame_shape=shape, context_length=context_length)
    if spec.learns == "statistics":
        model.fit([clips(np.random.default_rng(7).random((3, 6, *shape), dtype=np.float32))])
    return model


def clips(frames: np.ndarray | torch.Tensor) -> Clips:
    n, length = frames.shape[:2]
    return Clips(frames=frames, times=np.tile(np.arange(length, dtype=np.float64), (n, 1)), ids=range(n))


def context(n: int = 2, length: int = 4, *, shape=SHAPE, observed=None, device="cpu", seed: int = 3) -> Context:
    frames = torch.rand(n, length, *shape, generator=torch.Generator().manual_seed(seed))
    times = torch.arange(length, dtype=torch.float64).expand(n, length)
    seeds = torch.arange(n)
    observed = None if observed is None else torch.tensor(observed)
    return Context(frames=frames.to(device), times=times, seeds=seeds, observed=observed)


def targets(n: int = 2, length: int = 6, *, start: int = 4) -> torch.Tensor:
    return torch.arange(start, start + length, dtype=torch.float64).expand(n, length)


def repeated(frame: np.ndarray, times: torch.Tensor) -> np.ndarray:
    return np.stack([frame] * times.shape[1], axis=1)


def test_specs_say_that_they_are_floors_that_take_any_time() -> None:
    assert list(SPECS) == ["black", "copy-last", "context-mean", "train-mean", "copy-appearance", "linear-blend"]
    for spec in SPECS.values():
        assert isinstance(spec, ModelSpec)
        assert (spec.role, spec.prefix_stable, spec.channels, spec.config) == ("floor", True, None, None)
        any_time = {"fractional", "before-context-end", "irregular-context", "any-context-length"}
        assert spec.capabilities == (any_time if spec.name == "linear-blend" else {*any_time, "swap"})
    assert {spec.name: spec.learns for spec in SPECS.values() if spec.learns != "nothing"} == {
        "train-mean": "statistics"
    }
    predictions = ("extrapolate", "fractional", "irregular", "interpolate", "swap")
    assert {spec.name: spec.tasks for spec in SPECS.values() if spec.tasks} == {
        "copy-last": predictions,  # of what is reconstructed it would be right, and say nothing
        "context-mean": predictions,
        "copy-appearance": ("swap",),
        "linear-blend": ("interpolate",),
    }


def test_black_is_zero() -> None:
    assert not build("black").predict(context(), targets()).any()


def test_copy_last_repeats_the_last_context_frame() -> None:
    given = context()
    predicted = build("copy-last").predict(given, targets())
    assert np.array_equal(predicted, repeated(given.frames[:, -1].numpy(), targets()))


def test_copy_last_skips_missing_frames() -> None:
    given = context(3, observed=[[True, True, True, True], [True, True, False, False], [True, False, True, False]])
    given.frames[1, 2:] = torch.nan  # whatever stands there must not matter
    predicted = build("copy-last").predict(given, targets(3))
    last = given.frames[[0, 1, 2], [3, 1, 2]].numpy()
    assert np.array_equal(predicted, repeated(last, targets(3)))


def test_a_swap_shows_the_clip_that_moves_and_copy_appearance_the_other_one() -> None:
    moves, looks, times = context(), context(seed=4), targets()
    for name in ("black", "copy-last", "context-mean", "train-mean"):
        model = build(name)
        assert torch.equal(model.swap(moves, looks, times), model.predict(moves, times))
    copied = build("copy-appearance").swap(moves, looks, times)
    assert np.array_equal(copied, repeated(looks.frames[:, -1].numpy(), times))
    assert not np.array_equal(copied, repeated(moves.frames[:, -1].numpy(), times))


def test_copy_appearance_skips_missing_frames_of_the_looks_and_is_copy_last_of_one_clip() -> None:
    moves, looks, times = context(), context(seed=4, observed=[[True] * 4, [True, True, False, False]]), targets()
    model = build("copy-appearance")
    expected = looks.frames[[0, 1], [3, 1]].numpy()
    assert np.array_equal(model.swap(moves, looks, times), repeated(expected, times))
    for swapped in (model.swap(looks, looks, times), model.predict(looks, times)):
        assert torch.equal(swapped, build("copy-last").predict(looks, times))


def test_linear_blend_is_numpys_interpolation_of_the_frames_that_are_there() -> None:
    mask = np.array([[True, True, True, True], [False, True, False, True], [True, False, False, False]])
    given = context(3, observed=mask)
    given.frames[1, 0] = given.frames[1, 2] = given.frames[2, 1:] = torch.nan  # whatever stands there must not matter
    irregular = Context(
        given.frames, torch.tensor([[0.0, 2, 3, 5.5]]).double().repeat(3, 1), given.seeds, given.observed
    )
    wanted = torch.tensor([[-1.0, 0, 0.5, 2, 2.25, 3, 4, 5.5, 7, 1e4]]).double().repeat(3, 1)
    found = build("linear-blend").predict(irregular, wanted).numpy()
    for b in range(3):
        times, frames = (
            irregular.times[b].numpy()[mask[b]],
            irregular.frames[b].numpy()[mask[b]].reshape(mask[b].sum(), -1),
        )
        naive = np.stack([np.interp(wanted[b].numpy(), times, pixel) for pixel in frames.T.astype(np.float64)], axis=1)
        np.testing.assert_allclose(found[b].reshape(10, -1), naive, rtol=0, atol=1e-6)


def test_linear_blend_gives_the_context_back_and_copies_the_last_frame_after_it() -> None:
    given = context()
    model = build("linear-blend")
    assert torch.equal(model.predict(given, given.times), given.frames)
    assert torch.equal(model.predict(given, targets()), build("copy-last").predict(given, targets()))


def test_context_mean_is_the_mean_of_the_frames_that_are_there() -> None:
    mask = np.array([[True, True, True, True], [False, True, False, False], [True, False, True, True]])
    given = context(3, observed=mask)
    given.frames[1, 0] = torch.nan
    naive = np.stack([given.frames[i].numpy()[mask[i]].astype(np.float64).mean(axis=0) for i in range(3)])
    predicted = build("context-mean").predict(given, targets(3))
    np.testing.assert_allclose(predicted, repeated(naive, targets(3)), rtol=0, atol=1e-7)
    assert torch.isfinite(predicted).all()


def test_context_mean_of_frames_that_are_all_there() -> None:
    given = context()
    naive = given.frames.numpy().astype(np.float64).mean(axis=1)
    predicted = build("context-mean").predict(given, targets())
    np.testing.assert_allclose(predicted, repeated(naive, targets()), rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", ["copy-last", "context-mean", "copy-appearance", "linear-blend"])
def test_a_clip_without_any_frame_has_no_answer(name: str) -> None:
    given = context(2, 2, observed=[[True, False], [False, False]])
    with pytest.raises(ModelFailed, match="all context frames of a clip are missing"):
        build(name).predict(given, targets())


@pytest.mark.parametrize("kind", ["uint8", "float32", "tensor of uint8", "tensor of float32"])
def test_train_mean_equals_the_float64_mean_over_uneven_batches(kind: str) -> None:
    whole = np.random.default_rng(0).integers(0, 256, (11, 6, *SHAPE), dtype=np.uint8)
    if "float32" in kind:
        whole = whole.astype(np.float32) / np.float32(255)
    naive = whole.astype(np.float64).mean(axis=(0, 1)) / (255 if whole.dtype == np.uint8 else 1)
    give = torch.from_numpy if "tensor" in kind else np.asarray
    model = SPECS["train-mean"].load()(None, frame_shape=SHAPE, context_length=4)
    model.fit(clips(give(batch)) for batch in np.split(whole, [1, 8]))
    assert np.array_equal(
        model.predict(context(), targets()), repeated(np.stack([naive] * 2), targets()).astype(np.float32)
    )


def test_train_mean_does_not_drift_over_many_frames() -> None:
    # One float32 running sum would stop growing at 2^24 times its step: 1e5 frames of 0.1 give 0.1 only in float64.
    frames = np.full((100, 1000, 1, 1, 2), 0.1, dtype=np.float32)
    model = SPECS["train-mean"].load()(None, frame_shape=(1, 1, 2), context_length=1)
    model.fit([clips(frames)])
    assert np.array_equal(model.mean, frames[0, 0])


def test_train_mean_forgets_what_it_was_fitted_to_before() -> None:
    model = build("train-mean")
    model.fit([clips(np.full((1, 2, *SHAPE), 255, dtype=np.uint8))])
    assert bool((model.predict(context(), targets()) == 1).all())


def test_train_mean_leaves_the_training_clips_alone() -> None:
    frames = np.random.default_rng(0).random((2, 3, *SHAPE), dtype=np.float32)
    before = frames.copy()
    build("train-mean").fit([clips(frames)])
    np.testing.assert_array_equal(frames, before)


def test_train_mean_says_what_is_missing() -> None:
    model = SPECS["train-mean"].load()(None, frame_shape=SHAPE, context_length=4)
    with pytest.raises(ModelFailed, match="fit has to see the training clips"):
        model.predict(context(), targets())
    with pytest.raises(ModelFailed, match="no training clips"):
        model.fit([])
    with pytest.raises(ModelFailed, match=r"training frames \(1, 5, 7\), expected \(3, 5, 7\)"):
        model.fit([clips(np.zeros((1, 2, 1, 5, 7), dtype=np.uint8))])


@pytest.mark.parametrize("name", [name for name in SPECS if name != "linear-blend"])
def test_the_times_do_not_matter(name: str) -> None:
    model, given = build(name), context()
    odd = torch.tensor([[-0.5, 0.25, 1.0, 3.0, 3.5, 1e4]], dtype=torch.float64).expand(2, 6)
    irregular = Context(given.frames, given.times * 1.7 + 0.1, given.seeds)
    assert torch.equal(model.predict(irregular, odd), model.predict(given, targets()))


@pytest.mark.parametrize("name", SPECS)
class TestEach:
    @pytest.mark.parametrize("shape", [(1, 1, 1), (1, 8, 8), (4, 3, 2)])
    @pytest.mark.parametrize("n", [1, 3])
    @pytest.mark.parametrize("length", [1, 4])
    @pytest.mark.parametrize("horizon", [1, 5])
    def test_any_shape(self, name: str, shape: tuple[int, int, int], n: int, length: int, horizon: int) -> None:
        # built for 4 context frames, given 1 or 4: "any-context-length"
        predicted = build(name, shape=shape).predict(context(n, length, shape=shape), targets(n, horizon))
        assert predicted.shape == (n, horizon, *shape)
        assert predicted.dtype == torch.float32
        assert bool(((predicted >= 0) & (predicted <= 1)).all())

    def test_inputs_stay_as_they_are_and_share_no_memory_with_the_answer(self, name: str) -> None:
        given, wanted = context(observed=[[True] * 4, [True, True, True, False]]), targets()
        before = [each.clone() for each in (given.frames, given.times, given.seeds, given.observed, wanted)]
        first = build(name).predict(given, wanted)
        first.fill_(0.5)  # a caller may write to it: neither the inputs nor the model may notice
        after = (given.frames, given.times, given.seeds, given.observed, wanted)
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))

    def test_an_answer_that_is_written_to_does_not_change_the_next_one(self, name: str) -> None:
        model, given = build(name), context()
        first = model.predict(given, targets())
        kept = first.clone()
        first.fill_(0.5)
        assert torch.equal(model.predict(given, targets()), kept)

    def test_a_clip_is_the_same_bits_in_any_batch(self, name: str) -> None:
        model = build(name, shape=(2, 16, 16))
        whole = context(9, 10, shape=(2, 16, 16), observed=np.random.default_rng(1).random((9, 10)) < 0.7)
        together = model.predict(whole, targets(9, 3))
        within = targets(9, 12, start=-1) * 0.93  # among the context frames, and beyond them
        between = model.predict(whole, within)
        for part in (slice(0, 1), slice(1, 4), slice(4, 9)):
            alone = Context(whole.frames[part], whole.times[part], whole.seeds[part], whole.observed[part])
            assert torch.equal(model.predict(alone, targets(9, 3)[part]), together[part])
            assert torch.equal(model.predict(alone, within[part]), between[part])

    def test_a_longer_horizon_leaves_the_earlier_frames_alone(self, name: str) -> None:
        model, given = build(name), context()
        assert torch.equal(model.predict(given, targets(2, 20))[:, :6], model.predict(given, targets(2, 6)))

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    def test_gpu_gives_the_bits_of_the_cpu(self, name: str) -> None:
        mask = [[True, True, False, True], [True, True, True, False]]
        model = build(name)
        predicted = model.predict(context(observed=mask, device="cuda"), targets())
        assert predicted.device.type == "cuda"
        assert torch.equal(predicted.cpu(), model.predict(context(observed=mask), targets()))
