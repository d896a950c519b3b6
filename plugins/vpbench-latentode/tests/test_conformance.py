"""latentode keeps the contract of vpbench: with the weights it ships, and when it is trained."""

from __future__ import annotations

import pytest

from vpbench.testing import checks_for, installed

EXPECTED_FAILURES: dict[str, str] = {}


@pytest.mark.parametrize("check", checks_for(installed("model", "latentode"), EXPECTED_FAILURES), ids=str)
def test_it_keeps_the_contract(check):
    check()


def test_an_adaptive_solver_lets_the_clips_of_a_batch_change_each_other():
    expected = {"check_batch_invariance": "one step size serves all clips of a batch"}
    subject = installed("model", "latentode", ("solver=dopri5", "rtol=1e-2", "atol=1e-2"))
    (check,) = [check for check in checks_for(subject, expected) if check.expected_failure]
    check()


def test_it_overfits_four_clips():
    *_, check = checks_for(installed("model", "latentode", frame_shape=(1, 16, 16)), overfit=True)
    assert check.name == "check_overfits_four_clips"
    check()
