"""Which clips an update sees, beyond what tests/test_training.py shows through the trainer."""

from __future__ import annotations

import pytest

from vpbench.sampling import ENDLESS, ClipOrder

TRAIN = range(2**31)  # of moving-mnist


@pytest.mark.parametrize("seed", [0, 1, 127])
def test_the_first_seeds_of_an_endless_split_walk_through_stretches_of_their_own(seed):
    assert ClipOrder(TRAIN, 4, seed)[2] == [seed * ENDLESS + k for k in (8, 9, 10, 11)]


def test_no_two_of_many_seeds_start_at_the_same_clip():
    starts = [ClipOrder(TRAIN, 1, seed)[0][0] for seed in range(1000)]
    assert len(set(starts)) == len(starts)
    assert all(start in TRAIN for start in starts)
