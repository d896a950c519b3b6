"""What is asked of a model."""

from __future__ import annotations

import pytest

from vpbench.errors import UsageError
from vpbench.tasks import REPORTING_HORIZONS, Task, reported


def test_a_task_says_what_it_needs_and_what_it_is() -> None:
    task = Task(context=10, horizon=90)
    assert task.n_frames == 100
    assert task.needs == frozenset()
    assert task.identity() == {"kind": "extrapolate", "context": 10, "horizon": 90}
    assert Task(**task.identity()) == task
    assert str(task) == "10→90"


@pytest.mark.parametrize(("context", "horizon", "wrong"), [(0, 5, "context"), (10, 0, "horizon"), (10, -1, "horizon")])
def test_nothing_given_and_nothing_asked_are_refused(context: int, horizon: int, wrong: str) -> None:
    with pytest.raises(UsageError, match=f"^{wrong} must be at least 1"):
        Task(context=context, horizon=horizon)


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
