"""PredRNN, PredRNN++ and PredRNN-V2 keep the contract of vpbench; a tiny one learns four clips by heart."""

from __future__ import annotations

import pytest

from vpbench.testing import checks_for, installed

TINY = ("hidden=4", "layers=2", "kernel=3")
SUBJECTS = [
    ("predrnn", (*TINY, "reverse_input=true", "schedule=absolute")),
    ("predrnn-pp", TINY),
    ("predrnn-v2", TINY),
    ("predrnn-small", ("layers=2",)),
    ("predrnn-pp-small", ("layers=2",)),
    ("predrnn-v2-small", ("layers=2",)),
]
CHECKS = [
    pytest.param(check, id=f"{name}-{check}")
    for name, settings in SUBJECTS
    for check in checks_for(installed("model", name, settings, frame_shape=(1, 8, 8)))
]


@pytest.mark.parametrize("check", CHECKS)
def test_it_keeps_the_contract(check) -> None:
    check()


def test_it_overfits_four_clips() -> None:
    quick = ("hidden=12", "layers=2", "kernel=3", "train_horizon=3", "learning_rate=1e-2")
    *_, check = checks_for(installed("model", "predrnn-v2-small", quick, frame_shape=(1, 16, 16)), overfit=True)
    assert check.name == "check_overfits_four_clips"
    check()
