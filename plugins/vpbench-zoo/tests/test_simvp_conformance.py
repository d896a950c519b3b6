"""SimVP, SimVPv2 and TAU keep the contract of vpbench, and learn four clips by heart."""

from __future__ import annotations

import pytest

from vpbench.testing import checks_for, installed

TINY = ("hid_s=8", "hid_t=16", "n_s=2", "n_t=2")
SUBJECTS = [
    ("simvp", (*TINY, "groups=4", "block=5")),
    ("simvp-small", (*TINY, "groups=4")),
    ("simvp-gsta", (*TINY, "mlp_ratio=2", "block=3")),
    ("simvp-gsta-small", TINY),
    ("tau", (*TINY, "mlp_ratio=2", "block=7")),
    ("tau-small", TINY),
]
CHECKS = [
    pytest.param(check, id=f"{name}-{check}")
    for name, settings in SUBJECTS
    for check in checks_for(installed("model", name, settings, frame_shape=(1, 16, 16)))
]


@pytest.mark.parametrize("check", CHECKS)
def test_it_keeps_the_contract(check):
    check()


def test_it_overfits_four_clips():
    narrow = ("hid_s=16", "hid_t=32", "n_t=2")
    *_, check = checks_for(installed("model", "tau-small", narrow, frame_shape=(1, 16, 16)), overfit=True)
    assert check.name == "check_overfits_four_clips"
    check()
