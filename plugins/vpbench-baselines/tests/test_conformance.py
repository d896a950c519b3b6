"""The floors, ConvLSTM and PhyDNet keep the contract of vpbench; a narrow ConvLSTM learns four clips by heart.

`vpbench check NAME --overfit` does that with the others too: PhyDNet takes too long at it for every push.
"""

from __future__ import annotations

import pytest

from vpbench.testing import checks_for, installed

FLOORS = ("black", "copy-last", "context-mean", "train-mean", "copy-appearance", "linear-blend")
NARROW = ("hidden=4", "layers=2", "kernel=3")
LEARNERS = [
    ("convlstm", (*NARROW, "patch=2", "schedule=absolute")),
    ("convlstm-large", NARROW),
    ("convlstm-small", ()),
    ("phydnet", ("width=16", "hidden=4", "layers=1", "derivatives=3", "schedule=absolute")),
    ("phydnet-small", ()),
]

CHECKS = [
    *((name, check) for name in FLOORS for check in checks_for(installed("model", name))),
    *(
        (name, check)
        for name, settings in LEARNERS
        for check in checks_for(installed("model", name, settings, frame_shape=(1, 16, 16)))
    ),
]


@pytest.mark.parametrize("check", [pytest.param(check, id=f"{name}-{check}") for name, check in CHECKS])
def test_it_keeps_the_contract(check):
    check()


def test_it_overfits_four_clips():
    narrow = ("hidden=16", "layers=2", "kernel=3", "learning_rate=0.003")
    *_, check = checks_for(installed("model", "convlstm-small", narrow, frame_shape=(1, 16, 16)), overfit=True)
    assert check.name == "check_overfits_four_clips"
    check()
