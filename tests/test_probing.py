"""Linear probes: fits against independent ones, planted truth that is found, and what is told apart and left out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from vpbench.errors import PluginError
from vpbench.probing.answers import ClipTruth, answers, order_of
from vpbench.probing.linear import LOGISTIC_STRENGTHS, RIDGE_STRENGTHS, Codes
from vpbench.probing.probes import Probes, never, probe_all
from vpbench.probing.reading import Encoded
from vpbench.specs import TruthField

SPLITS = {"train": 120, "val": 60, "test": 80}


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


# --------------------------------------------------------------------------------------------------------------- ridge


def by_normal_equations(codes: np.ndarray, values: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    """Ridge regression of one value on standardised codes, its intercept free: one equation after another."""
    n, size = codes.shape
    mean, spread = codes.mean(axis=0), codes.std(axis=0)
    left, right = np.zeros((size + 1, size + 1)), np.zeros(size + 1)
    for row, value in zip(codes, values, strict=True):
        example = np.append((row - mean) / spread, 1.0)
        left += np.outer(example, example)
        right += value * example
    penalty = np.diag([n * strength] * size + [0.0])
    found = np.linalg.solve(left + penalty, right)
    weights = found[:-1] / spread
    return weights, float(found[-1] - mean @ weights)


class TestRidge:
    def test_it_is_what_the_normal_equations_give_at_the_strength_that_is_best_on_other_clips(self) -> None:
        codes, other = drawn(50, 7) * [1, 100, 1e-3, 1, 1, 1, 1] + 3, drawn(30, 7, seed=1) + 3
        truth = np.stack([codes @ drawn(7, seed=2) + drawn(50, seed=3) * noise for noise in (0.1, 3, 30)], axis=1)
        wanted = np.stack([other @ drawn(7, seed=2) + drawn(30, seed=4) * noise for noise in (0.1, 3, 30)], axis=1)
        found = Codes(codes, other).ridge(truth, wanted)
        for column in range(3):
            errors = {}
            for strength in RIDGE_STRENGTHS:
                weights, intercept = by_normal_equations(codes, truth[:, column], strength)
                errors[strength] = np.mean((other @ weights + intercept - wanted[:, column]) ** 2)
            best = min(errors, key=lambda strength: errors[strength])
            assert found.strengths[column] == best
            weights, intercept = by_normal_equations(codes, truth[:, column], best)
            np.testing.assert_allclose(found.weights[:, column], weights, rtol=1e-8, atol=1e-12)
            np.testing.assert_allclose(found(other)[:, column], other @ weights + intercept, rtol=1e-8)

    def test_without_noise_it_is_least_squares(self) -> None:
        codes, truth = drawn(40, 5), drawn(40, 5) @ drawn(5, 2, seed=1) + [3, -2]
        found = Codes(codes, codes).ridge(truth, truth)
        by_lstsq = np.linalg.lstsq(np.c_[codes, np.ones(40)], truth, rcond=None)[0]
        np.testing.assert_allclose(np.r_[found.weights, found.intercept[None]], by_lstsq, atol=1e-6)

    def test_constant_and_repeated_codes_have_no_part_or_share_it(self) -> None:
        codes = drawn(40, 3)
        padded = np.c_[codes, np.full(40, 1e6), np.zeros(40), codes[:, 0]]
        truth = codes @ drawn(3, 1, seed=1)
        found = Codes(padded, padded).ridge(truth, truth)
        assert not found.weights[3:5].any()
        assert found.weights[0] == pytest.approx(found.weights[5])
        np.testing.assert_allclose(found(padded), truth, atol=1e-5)

    def test_more_codes_than_clips_still_have_an_answer(self) -> None:
        codes, truth = drawn(20, 50), drawn(20, 1, seed=1)
        found = Codes(codes, drawn(20, 50, seed=2)).ridge(truth, drawn(20, 1, seed=3))
        assert np.isfinite(found(codes)).all()

    def test_what_does_not_vary_at_all_is_answered_with_the_mean(self) -> None:
        truth = drawn(20, 1)
        found = Codes(np.ones((20, 4)), np.ones((5, 4))).ridge(truth, truth[:5])
        np.testing.assert_allclose(found(np.full((3, 4), 9.0)), truth.mean(), atol=1e-12)

    def test_of_strengths_that_are_as_good_it_is_the_strongest(self) -> None:
        found = Codes(drawn(20, 2), drawn(20, 2)).ridge(np.ones((20, 1)), np.ones((20, 1)))
        assert found.strengths == (max(RIDGE_STRENGTHS),)


# ------------------------------------------------------------------------------------------------------------- classes


class TestLogistic:
    @pytest.fixture
    def clouds(self) -> Callable[[int, int], tuple[np.ndarray, np.ndarray]]:
        def made(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
            classes = np.arange(n) % 3
            middles = np.array([[0.0, 0, 0], [2, 0, 0], [0, 2, 0]])
            return middles[classes] * 1.2 + drawn(n, 3, seed=seed), classes

        return made

    def test_it_is_the_minimum_of_the_penalised_likelihood(self, clouds) -> None:
        (codes, classes), (other, answers) = clouds(90, 1), clouds(60, 2)
        found = Codes(codes, other).logistic(classes, answers, 3)
        mean, spread = codes.mean(axis=0), codes.std(axis=0)
        # The same objective by torch's own functions, in terms of standardised codes; at a minimum it has no slope.
        weights = torch.tensor(found.weights * spread[:, None], requires_grad=True)
        intercept = torch.tensor(found.intercept + mean @ found.weights, requires_grad=True)
        logits = torch.tensor((codes - mean) / spread) @ weights + intercept
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(classes))
        (loss + found.strengths[0] / 2 * weights.square().sum()).backward()
        assert found.converged
        assert float(weights.grad.abs().max()) < 1e-5
        assert float(intercept.grad.abs().max()) < 1e-5

    def test_the_strength_is_the_best_on_other_clips(self, clouds, monkeypatch: pytest.MonkeyPatch) -> None:
        (codes, classes), (other, answers) = clouds(30, 3), clouds(300, 4)
        found = Codes(codes, other).logistic(classes, answers, 3)

        def loss(strengths: tuple[float, ...]) -> float:
            monkeypatch.setattr("vpbench.probing.linear.LOGISTIC_STRENGTHS", strengths)
            logits = torch.tensor(Codes(codes, other).logistic(classes, answers, 3)(other))
            return float(torch.nn.functional.cross_entropy(logits, torch.tensor(answers)))

        losses = {strength: loss((strength,)) for strength in LOGISTIC_STRENGTHS}
        assert min(losses, key=lambda strength: losses[strength]) == found.strengths[0]
        assert len(set(losses.values())) == len(losses)

    def test_a_class_between_others_is_found(self) -> None:
        """Where least squares on indicators finds none (Hastie et al. 2009, figure 4.2)."""
        codes = np.linspace(0, 3, 90, endpoint=False)[:, None]
        classes = codes[:, 0].astype(int)
        found = Codes(codes, codes).logistic(classes, classes, 3)
        assert (found(codes).argmax(axis=1) == classes).mean() > 0.95
        by_squares = np.c_[codes, np.ones(90)] @ np.linalg.lstsq(np.c_[codes, np.ones(90)], np.eye(3)[classes])[0]
        assert not (by_squares.argmax(axis=1) == 1).any()

    def test_codes_that_say_nothing_give_the_shares_of_classes(self) -> None:
        classes = np.array([0] * 30 + [1] * 10)
        found = Codes(np.ones((40, 2)), np.ones((4, 2))).logistic(classes, np.array([0, 0, 0, -1]), 2)
        shares = np.exp(found(np.ones((1, 2))))
        np.testing.assert_allclose(shares / shares.sum(), [[0.75, 0.25]], atol=1e-4)


# -------------------------------------------------------------------------------------------------------------- probes

PLACE = TruthField("place", "frame", "px")
KIND = TruthField("kind", "clip", "class")


def encoded(
    code: Callable[[dict[str, np.ndarray], int], np.ndarray], fields: dict[TruthField, tuple[int, ...]], steps: int = 4
) -> dict[str, Encoded]:
    """Three splits of clips with random truth and a code of it; shapes are those of a clip, or of a frame."""
    splits = {}
    for number, (split, n) in enumerate(SPLITS.items()):
        rng = np.random.default_rng(number)
        parts: dict[str, dict[str, np.ndarray]] = {"of_clip": {}, "context": {}, "targets": {}}
        for field, shape in fields.items():
            for part in ("context", "targets") if field.per == "frame" else ("of_clip",):
                own = (n, *shape) if part == "of_clip" else (n, steps, *shape)
                drawn = rng.integers(0, 4, own) if field.unit == "class" else rng.standard_normal(own) * 5 + 3
                parts[part][field.name] = drawn
        truth = ClipTruth(**parts)
        told = {**truth.of_clip, **{f"context {k}": v for k, v in truth.context.items()}, **truth.targets}
        splits[split] = Encoded({"code": code(told, n)}, truth)
    return splits


def noise(told: dict[str, np.ndarray], n: int) -> np.ndarray:
    return drawn(n, 6, seed=n)


class TestPlanted:
    def test_a_linear_map_of_the_last_context_frame_is_found_whole(self) -> None:
        mixing = drawn(2, 5, seed=9)
        splits = encoded(lambda told, n: told["context place"][:, -1] @ mixing + 1, {PLACE: (2,)})
        (probe,) = probe_all([PLACE], splits).probes
        assert (probe.measure, probe.per, probe.size) == ("r2", "clip", 5)
        assert probe.when == "the last context frame"
        assert probe.score.value == pytest.approx(1, abs=1e-9)
        assert probe.score.low == pytest.approx(1, abs=1e-9)
        assert probe.shuffled.value < 0.1

    def test_a_map_of_the_targets_is_found_at_every_step(self) -> None:
        splits = encoded(lambda told, n: told["place"] @ drawn(2, 2, seed=9), {PLACE: (2,)})
        (probe,) = probe_all([PLACE], splits).probes
        assert (probe.per, probe.when) == ("frame", "the target times")
        assert probe.score.value == pytest.approx(1, abs=1e-9)
        np.testing.assert_allclose(probe.per_step, np.ones(4), atol=1e-9)
        assert [component.index for component in probe.components] == [(0,), (1,)]

    def test_a_mean_over_the_context_is_found_where_it_is_asked_for(self) -> None:
        splits = encoded(lambda told, n: told["context place"].mean(axis=1), {PLACE: (2,)})
        (last,), (mean,) = (probe_all([PLACE], splits, at=at).probes for at in ("last", "mean"))
        assert mean.score.value == pytest.approx(1, abs=1e-9)
        assert mean.when == "the mean over the context"
        assert last.score.value < 0.5  # of four frames alike, the last one is a quarter

    def test_noise_finds_nothing(self) -> None:
        found = probe_all([PLACE, KIND], encoded(noise, {PLACE: (2,), KIND: ()})).probes
        place, kind = found
        assert -0.1 < place.score.value < 0.05
        assert kind.score.low < 1 / 4 < kind.score.high
        assert kind.score.value < kind.chance + 0.1

    def test_a_class_is_found_whole_and_not_where_it_is_shuffled(self) -> None:
        splits = encoded(lambda told, n: np.eye(4)[told["kind"]] + 0.01 * drawn(n, 4), {KIND: ()})
        (probe,) = probe_all([KIND], splits).probes
        assert probe.score.value == 1
        assert (probe.score.low, probe.score.high) == (1, 1)
        counts = np.bincount(splits["train"].truth.of_clip["kind"])
        assert probe.chance == counts.max() / counts.sum()
        assert probe.shuffled.low < probe.chance < probe.shuffled.high + 0.05

    def test_what_is_true_of_the_clip_is_asked_of_each_time(self) -> None:
        def half(told: dict[str, np.ndarray], n: int) -> np.ndarray:
            shown = np.eye(4)[told["kind"]][:, None].repeat(4, axis=1)
            shown[:, 2:] = 0  # nothing at the last two times
            return np.concatenate([shown, np.tile(np.eye(4), (n, 1, 1))], axis=2)

        (probe,) = probe_all([KIND], encoded(half, {KIND: (), PLACE: (2,)})).probes
        np.testing.assert_allclose(probe.per_step[:2], 1)
        assert (probe.per_step[2:] < 0.5).all()

    def test_a_class_that_no_train_clip_has_is_never_right(self) -> None:
        splits = encoded(lambda told, n: np.eye(9)[told["kind"]], {KIND: ()})
        kinds = splits["test"].truth.of_clip["kind"]
        known = np.mean(kinds != 2)
        kinds[kinds == 2] = 8
        splits["val"].truth.of_clip["kind"][:3] = 8
        (probe,) = probe_all([KIND], splits).probes
        assert probe.score.value == pytest.approx(known)

    def test_classes_may_be_texts(self) -> None:
        splits = encoded(lambda told, n: np.eye(4)[told["kind"]], {KIND: ()})
        for each in splits.values():
            each.truth.of_clip["kind"] = np.array(["ant", "bee", "cat", "dog"])[each.truth.of_clip["kind"]]
        assert probe_all([KIND], splits).probes[0].score.value == 1


def r2(found: np.ndarray, truth: np.ndarray) -> float:
    """As in a textbook, one value after the other."""
    mean = sum(truth.ravel()) / truth.size
    squares = sum((a - b) ** 2 for a, b in zip(found.ravel(), truth.ravel(), strict=True))
    return 1 - squares / sum((value - mean) ** 2 for value in truth.ravel())


class TestScores:
    @pytest.fixture
    def half_right(self) -> tuple[dict[str, Encoded], Any]:
        """A code of the targets with noise, so that R² is neither 0 nor 1."""
        splits = encoded(lambda told, n: told["place"] + 4 * drawn(n, 4, 2, seed=n), {PLACE: (2,)})
        return splits, probe_all([PLACE], splits).probes[0]

    def test_r2_is_that_of_a_textbook_over_all_clips_and_times(self, half_right) -> None:
        splits, probe = half_right
        flat = {split: each.codes["code"].reshape(-1, 2) for split, each in splits.items()}
        truth = {split: each.truth.targets["place"].reshape(-1, 2) for split, each in splits.items()}
        fitted = Codes(flat["train"], flat["val"]).ridge(truth["train"], truth["val"])
        wanted = [r2(fitted(flat["test"])[:, column], truth["test"][:, column]) for column in range(2)]
        assert [each.score.value for each in probe.components] == pytest.approx(wanted, rel=1e-9)
        assert probe.score.value == pytest.approx(np.mean(wanted), rel=1e-9)
        assert [each.strength for each in probe.components] == list(fitted.strengths)
        steps = fitted(flat["test"]).reshape(80, 4, 2)
        true = truth["test"].reshape(80, 4, 2)
        by_step = [np.mean([r2(steps[:, t, c], true[:, t, c]) for c in range(2)]) for t in range(4)]
        np.testing.assert_allclose(probe.per_step, by_step, rtol=1e-9)

    def test_the_interval_is_of_clips_drawn_with_their_times(self, half_right) -> None:
        """By a bootstrap of its own; rows of one clip are drawn together."""
        splits, probe = half_right
        flat = {split: each.codes["code"].reshape(-1, 2) for split, each in splits.items()}
        truth = {split: each.truth.targets["place"].reshape(-1, 2) for split, each in splits.items()}
        found = Codes(flat["train"], flat["val"]).ridge(truth["train"], truth["val"])(flat["test"]).reshape(80, 4, 2)
        true = truth["test"].reshape(80, 4, 2)
        rng = np.random.default_rng(5)
        values = []
        for _ in range(1000):
            rows = rng.integers(0, 80, 80)
            values.append(np.mean([r2_fast(found[rows, :, c], true[rows, :, c]) for c in range(2)]))
        low, high = np.quantile(values, [0.025, 0.975])
        assert probe.score.low == pytest.approx(low, abs=0.015)
        assert probe.score.high == pytest.approx(high, abs=0.015)

    def test_values_far_from_zero_lose_no_digits(self) -> None:
        splits = encoded(lambda told, n: told["context place"][:, -1] - 1e9, {PLACE: (2,)})
        near = probe_all([PLACE], splits).probes[0].score
        for each in splits.values():
            each.truth.context["place"] += 1e6
        far = probe_all([PLACE], splits).probes[0].score
        assert far == pytest.approx(near, abs=1e-6)

    def test_worse_than_the_mean_is_negative(self) -> None:
        splits = encoded(lambda told, n: told["context place"][:, -1], {PLACE: (1,)})
        test = splits["test"]
        splits["test"] = Encoded({"code": 6 - test.codes["code"]}, test.truth)
        assert probe_all([PLACE], splits).probes[0].score.value < -1

    def test_the_control_follows_from_its_seed(self) -> None:
        splits = encoded(noise, {PLACE: (2,)})
        one, same, other = (probe_all([PLACE], splits, seed=seed).probes[0].shuffled for seed in (1, 1, 2))
        assert one == same != other

    def test_one_test_clip_has_a_score_of_its_times_and_no_interval(self) -> None:
        splits = encoded(lambda told, n: told["place"], {PLACE: (1,)})
        test = splits["test"]
        first = ClipTruth({}, {"place": test.truth.context["place"][:1]}, {"place": test.truth.targets["place"][:1]})
        splits["test"] = Encoded({"code": test.codes["code"][:1]}, first)
        score = probe_all([PLACE], splits).probes[0].score
        assert score.value == pytest.approx(1)
        assert math.isnan(score.low)


def r2_fast(found: np.ndarray, truth: np.ndarray) -> float:
    return 1 - float(np.square(found - truth).sum() / np.square(truth - truth.mean()).sum())


# ------------------------------------------------------------------------------------------------------------- objects

WHERE = TruthField("where", "frame", "px", objects=True)
WHAT = TruthField("what", "clip", "class", objects=True)
NUMBER = TruthField("number", "clip", "index", objects=True)


def objects(context: list[Any], targets: list[Any], what: list[Any]) -> ClipTruth:
    return ClipTruth({"what": np.array(what)}, {"where": np.array(context, float)}, {"where": np.array(targets, float)})


class TestObjects:
    #: One clip, two context frames, two objects: at (y, x). They pass each other after the context.
    TRUTH = objects([[[[0, 9], [5, 2]], [[1, 6], [5, 4]]]], [[[[2, 3], [5, 8]]]], [[7, 3]])

    def test_they_are_sorted_by_the_last_component_at_the_last_context_frame_and_stay_so(self) -> None:
        order = order_of([WHERE, WHAT], self.TRUTH, "sorted")
        where, when = answers(WHERE, self.TRUTH, steps=1, at="last", order=order)
        assert where.tolist() == [[[[5, 8], [2, 3]]]]  # the one that was on the left, though it is not any more
        assert when == "the target times"
        assert answers(WHERE, self.TRUTH, steps=None, at="last", order=order)[0].tolist() == [[[[5, 4], [1, 6]]]]
        assert answers(WHERE, self.TRUTH, steps=None, at="mean", order=order)[0].tolist() == [[[[5, 3], [0.5, 7.5]]]]
        assert answers(WHAT, self.TRUTH, steps=None, at="last", order=order)[0].tolist() == [[[3, 7]]]
        assert answers(WHAT, self.TRUTH, steps=3, at="last", order=order)[0].tolist() == [[[3, 7]] * 3]
        assert str(order).startswith("the 2 objects of a clip in the order of where at the last context frame, last")

    def test_where_the_last_component_is_the_same_the_one_before_decides(self) -> None:
        truth = objects([[[[3, 1], [2, 1]]]], [[[[0, 0], [1, 1]]]], [[7, 3]])
        order = order_of([WHERE, WHAT], truth, "sorted")
        assert answers(WHAT, truth, steps=None, at="last", order=order)[0].tolist() == [[[3, 7]]]

    def test_their_mean_instead(self) -> None:
        order = order_of([WHERE], self.TRUTH, "mean")
        assert answers(WHERE, self.TRUTH, steps=None, at="last", order=order)[0].tolist() == [[[3, 5]]]
        assert str(order) == "the mean over the 2 objects of a clip"
        assert never(WHAT, "mean") == "classes of several objects have no mean"
        assert never(WHAT, "sorted") == ""

    def test_without_a_place_they_stay_in_the_order_of_the_dataset_and_that_is_said(self) -> None:
        order = order_of([WHAT], self.TRUTH, "sorted")
        assert answers(WHAT, self.TRUTH, steps=None, at="last", order=order)[0].tolist() == [[[7, 3]]]
        assert "in the order in which the dataset names them" in str(order)

    def test_one_object_needs_no_order(self) -> None:
        assert order_of([WHERE], objects([[[[0, 9]]]], [[[[0, 9]]]], [[7]]), "sorted") is None

    def test_an_axis_that_is_not_said_to_be_of_objects_is_left_alone(self) -> None:
        plain = TruthField("where", "frame", "px")
        assert order_of([plain], self.TRUTH, "sorted") is None
        found, _ = answers(plain, self.TRUTH, steps=None, at="last", order=None)
        assert found.tolist() == [[[[1, 6], [5, 4]]]]

    def test_fields_that_disagree_on_how_many_there_are_are_a_fault(self) -> None:
        with pytest.raises(PluginError, match="where has 2, what has 1"):
            order_of([WHERE, WHAT], objects([[[[0, 9], [1, 1]]]], [[[[0, 9]]]], [[7]]), "sorted")
        with pytest.raises(PluginError, match=r"said to count objects, and has shape \(1,\)"):
            order_of([WHAT], ClipTruth({"what": np.array([3])}, {}, {}), "sorted")

    def test_sorted_objects_are_found_where_given_ones_are_not(self) -> None:
        """A code that has the objects from left to right, of a dataset that names them in any order."""

        def code(told: dict[str, np.ndarray], n: int) -> np.ndarray:
            last = told["context where"][:, -1]
            order = last[:, :, 1].argsort(axis=1)
            return np.take_along_axis(last, order[:, :, None], axis=1).reshape(n, -1)

        splits = encoded(code, {WHERE: (2, 2)})
        plain = TruthField("where", "frame", "px")
        told_apart = probe_all([WHERE], splits).probes[0]
        assert told_apart.score.value == pytest.approx(1, abs=1e-9)
        assert [each.index for each in told_apart.components] == [(0, 0), (0, 1), (1, 0), (1, 1)]
        assert probe_all([plain], splits).probes[0].score.value < 0.6


# ------------------------------------------------------------------------------------------------------- without score


def reasons(found: Probes) -> list[str]:
    return [component.why for probe in found.probes for component in probe.components]


class TestWithoutScore:
    def test_a_component_that_does_not_vary_has_none_and_the_others_have(self) -> None:
        splits = encoded(lambda told, n: told["context place"][:, -1], {PLACE: (2,)})
        for each in splits.values():
            each.truth.context["place"][..., 0] = 0.1
        (probe,) = (found := probe_all([PLACE], splits)).probes
        assert reasons(found) == ["it does not vary among the train clips", ""]
        assert math.isnan(probe.components[0].score.value)
        assert probe.score.value == pytest.approx(1, abs=1e-9)

    def test_nothing_that_varies_is_no_score(self) -> None:
        splits = encoded(lambda told, n: told["place"], {PLACE: (1,)})
        splits["test"].truth.targets["place"][:] = 3
        (probe,) = (found := probe_all([PLACE], splits)).probes
        assert reasons(found) == ["it does not vary among the test clips"]
        assert math.isnan(probe.score.value)
        assert math.isnan(probe.shuffled.value)
        assert np.isnan(probe.per_step).all()

    def test_train_clips_of_one_class_teach_none(self) -> None:
        splits = encoded(noise, {KIND: ()})
        splits["train"].truth.of_clip["kind"][:] = 1
        found = probe_all([KIND], splits)
        assert reasons(found) == ["the train clips are all of one class"]
        assert found.probes[0].chance is None

    def test_indices_are_not_probed_for(self) -> None:
        assert never(NUMBER, "sorted") == "an index: numbers that are only names"

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (lambda values: np.where(values > 0, np.nan, values), "some of its values are not finite"),
            (lambda values: values.astype(str), "its values are no numbers"),
            (lambda values: values[..., :0], "it is empty"),
        ],
    )
    def test_truth_that_is_no_number_is_left_out_with_the_reason(self, change: Any, why: str) -> None:
        splits = encoded(noise, {PLACE: (2,)})
        for each in splits.values():
            each.truth.context["place"] = change(each.truth.context["place"])
        assert dict(probe_all([PLACE], splits).skipped) == {("code", "place"): why}

    def test_classes_have_no_mean_over_the_context(self) -> None:
        seen = TruthField("seen", "frame", "class")
        splits = encoded(noise, {seen: ()})
        assert probe_all([seen], splits, at="mean").skipped == {
            ("code", "seen"): "classes have no mean over the context"
        }
        assert len(probe_all([seen], splits).probes) == 1
