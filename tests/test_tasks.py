"""What is asked of a model: kinds of task, their options, and where their frames lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vpbench.errors import UsageError
from vpbench.questions import places
from vpbench.tasks import KINDS, REPORTING_HORIZONS, Task, read_task, reported


def test_a_task_says_what_it_needs_and_what_it_is() -> None:
    task = Task(context=10, horizon=90)
    assert task.n_frames == 100
    assert task.needs == frozenset()
    assert task.identity() == {"kind": "extrapolate", "context": 10, "horizon": 90}
    assert Task(**task.identity()) == task
    assert str(task) == "10→90"


#: A task, the places of what is given and of what is wanted, and the frames that a clip must have.
ASKED: list[tuple[dict[str, Any], list[float], list[float], int]] = [
    ({"context": 2, "horizon": 3}, [0, 1], [2, 3, 4], 5),
    ({"context": 2, "horizon": 3, "kind": "fractional"}, [0, 1], [1.5, 2.5, 3.5], 5),
    ({"context": 2, "horizon": 2, "kind": "fractional", "offset": 0.25}, [0, 1], [1.25, 2.25], 4),
    ({"context": 3, "horizon": 2, "kind": "interpolate"}, [0, 2, 4], [1, 3], 5),
    ({"context": 3, "horizon": 2, "kind": "interpolate", "spacing": 1}, [0, 1, 2], [0.5, 1.5], 3),
    ({"context": 2, "horizon": 3, "kind": "swap"}, [0, 1], [2, 3, 4], 5),
    ({"context": 3, "horizon": 3, "kind": "reconstruct"}, [0, 1, 2], [0, 1, 2], 3),
]


@pytest.mark.parametrize(("asked", "given", "wanted", "n_frames"), ASKED, ids=lambda value: str(value))
def test_frames_lie_where_the_kind_says(asked, given, wanted, n_frames) -> None:
    task = Task(**asked)
    found = places(task, [7, 3])
    assert [each.tolist() for each in found] == [[given, given], [wanted, wanted]]
    assert task.n_frames == n_frames
    assert Task(**task.identity()) == task
    last = max(given + wanted)
    assert int(np.ceil(last)) < n_frames, "a clip of n_frames holds all of them"


class TestIrregular:
    task = Task(context=6, horizon=5, kind="irregular", seed=4)

    def test_one_of_every_two_frames_is_drawn(self) -> None:
        given, wanted = places(self.task, range(200))
        drawn = np.concatenate([given, wanted], axis=1)
        assert np.array_equal(drawn // 2, np.tile(np.arange(11), (200, 1)))
        assert 0.45 < (drawn % 2).mean() < 0.55
        assert self.task.n_frames == 22 > drawn.max()

    def test_which_ones_follows_from_the_seed_and_the_clip_alone(self) -> None:
        given, wanted = places(self.task, [5, 9])
        alone = places(self.task, [9])
        assert np.array_equal(given[1:], alone[0])
        assert np.array_equal(wanted[1:], alone[1])
        other = places(Task(context=6, horizon=5, kind="irregular", seed=5), range(20))[0]
        assert not np.array_equal(other, places(self.task, range(20))[0])

    def test_a_longer_horizon_adds_to_a_shorter_one(self) -> None:
        longer = Task(context=6, horizon=40, kind="irregular", seed=4)
        assert np.array_equal(places(longer, range(9))[1][:, :5], places(self.task, range(9))[1])
        assert longer.shortened(5) == self.task


@pytest.mark.parametrize(
    ("kind", "needs"),
    [
        ("fractional", {"fractional"}),
        ("irregular", {"irregular-context"}),
        ("interpolate", {"before-context-end", "irregular-context"}),
        ("interpolate,spacing=1", {"before-context-end", "fractional"}),
        ("swap", {"swap"}),
        ("reconstruct", {"before-context-end"}),
    ],
)
def test_each_kind_needs_what_it_asks_beyond_the_next_frames(kind: str, needs: set[str]) -> None:
    horizon = {"interpolate": 3, "reconstruct": 4}.get(kind.partition(",")[0], 9)
    assert Task(context=4, horizon=horizon, **read_task(kind)).needs == needs


def test_every_kind_is_explained() -> None:
    for kind in KINDS:
        horizon = {"interpolate": 3, "reconstruct": 4}.get(kind, 9)
        task = Task(context=4, horizon=horizon, kind=kind)
        assert task.identity()["kind"] == kind


def test_a_swap_is_of_pairs_and_has_a_row_for_each() -> None:
    task = Task(context=2, horizon=3, kind="swap")
    assert list(task.rows([4, 7, 1, 9, 5])) == [4, 1]
    assert list(Task(context=2, horizon=3).rows([4, 7, 1])) == [4, 7, 1]


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({"context": 0, "horizon": 5}, "context must be at least 1"),
        ({"context": 10, "horizon": 0}, "horizon must be at least 1"),
        ({"context": 10, "horizon": -1}, "horizon must be at least 1"),
        ({"context": 5, "horizon": 5, "kind": "interpolate"}, "interpolate with 5 frames given has horizon 4, got 5"),
        ({"context": 1, "horizon": 1, "kind": "interpolate"}, "nothing to interpolate"),
        ({"context": 5, "horizon": 4, "kind": "reconstruct"}, "reconstruct with 5 frames given has horizon 5, got 4"),
        ({"context": 5, "horizon": 4, "kind": "guess"}, "no kind of task 'guess'"),
        ({"context": 5, "horizon": 4, "offset": 0.5}, "offset is an option of the task fractional"),
        ({"context": 5, "horizon": 4, "kind": "fractional", "offset": 1}, "offset must be from 0.001 to 0.999"),
        ({"context": 5, "horizon": 4, "kind": "fractional", "offset": 1e-17}, "offset must be from 0.001 to 0.999"),
        ({"context": 5, "horizon": 4, "kind": "interpolate", "spacing": 3}, "spacing must be 1 or 2"),
        ({"context": 5, "horizon": 4, "kind": "irregular", "seed": -1}, "seed of a task must be between"),
    ],
)
def test_what_makes_no_sense_is_refused(asked: dict[str, Any], wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        Task(**asked)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("guess", "no kind of task 'guess'; there are extrapolate, fractional"),
        ("swap,seed=1", "the task swap has no option 'seed=1'; its options: none"),
        ("interpolate,spacing", "has no option 'spacing'; its options: spacing=2"),
        ("interpolate,spacing=two", "spacing of the task interpolate must be a number, got 'two'"),
        ("fractional,offset=nan", "offset of the task fractional must be finite"),
        ("fractional,offset=0.5,offset=0.9", "the task fractional is given offset twice: leave out one"),
    ],
)
def test_a_task_that_cannot_be_read_is_one_line(text: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        read_task(text)


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ((90,), REPORTING_HORIZONS),
        ((7,), (1, 5, 7)),
        ((1,), (1,)),
        ((100, 3), (1, 3, 5, 10, 20, 40, 90, 100)),
        ((5, 5), (1, 5)),
        ((), ()),
    ],
)
def test_reporting_horizons_below_the_largest_come_along(asked: tuple[int, ...], written: tuple[int, ...]) -> None:
    assert reported(asked) == written
