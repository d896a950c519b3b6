"""The floors, ConvLSTM and PhyDNet keep the contract of vpbench; what learns, learns four clips by heart."""

from __future__ import annotations

import pytest

from vpbench.testing import checks_for, installed

FLOORS = ("black", "copy-last", "context-mean", "train-mean")
LEARNERS = ("convlstm-small", "phydnet-small")

CHECKS = [
    *((name, check) for name in FLOORS for check in checks_for(installed("model", name))),
    *((name, check) for name in LEARNERS for check in checks_for(installed("model", name, frame_shape=(1, 16, 16)))),
]


@pytest.mark.parametrize("check", [pytest.param(check, id=f"{name}-{check}") for name, check in CHECKS])
def test_it_keeps_the_contract(check):
    check()


@pytest.mark.parametrize("name", LEARNERS)
def test_it_overfits_four_clips(name):
    *_, check = checks_for(installed("model", name, frame_shape=(1, 16, 16)), overfit=True)
    assert check.name == "check_overfits_four_clips"
    check()
