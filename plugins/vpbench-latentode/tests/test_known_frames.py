"""Which context frames are used where some are missing, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from vpbench_latentode.known_frames import first_known, last_known, last_known_before

from vpbench import Context
from vpbench.errors import ModelFailed

GENERATOR = np.random.default_rng(0)


def context(observed: np.ndarray | None) -> Context:
    """Clips of 6 frames at times of their own."""
    times = torch.from_numpy(np.random.default_rng(1).random((5, 6)).cumsum(axis=1))
    told = None if observed is None else torch.from_numpy(observed)
    return Context(torch.zeros(5, 6, 1, 2, 2), times, torch.arange(5), told)


SOME = GENERATOR.random((5, 6)) < 0.6
SOME[:, [1, 4]] = True


@pytest.mark.parametrize("observed", [None, SOME], ids=["all", "some"])
def test_the_first_and_the_last_that_were_observed(observed: np.ndarray | None) -> None:
    asked = context(observed)
    there = [[k for k in range(6) if observed is None or observed[clip, k]] for clip in range(5)]
    assert first_known(asked, 2).tolist() == [places[:2] for places in there]
    assert last_known(asked, 2).tolist() == [places[-2:] for places in there]


@pytest.mark.parametrize("observed", [None, SOME], ids=["all", "some"])
def test_the_last_one_at_or_before_a_time_or_else_the_first(observed: np.ndarray | None) -> None:
    asked = context(observed)
    wanted = torch.cat([asked.times, asked.times + 0.05, asked.times[:, :1] - 1, asked.times[:, -1:] + 9], dim=1)
    found = last_known_before(asked, wanted)
    for clip in range(5):
        there = [k for k in range(6) if observed is None or observed[clip, k]]
        for place, time in zip(found[clip].tolist(), wanted[clip].tolist(), strict=True):
            before = [k for k in there if asked.times[clip, k] <= time]
            assert place == (before[-1] if before else there[0])


def test_too_few_observed_frames_are_said_in_one_line() -> None:
    few = SOME.copy()
    few[3] = [False, False, True, False, False, False]
    assert first_known(context(few), 1)[3] == 2
    for choose in (first_known, last_known):
        with pytest.raises(ModelFailed, match="needs 2 observed context frames of each clip, one clip has 1"):
            choose(context(few), 2)
