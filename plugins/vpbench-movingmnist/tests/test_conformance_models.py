"""The ceilings keep the contract of vpbench."""

from __future__ import annotations

import pytest

from vpbench.testing import checks_for, installed

CEILINGS = ("bayes", "bayes-sample")

CHECKS = [
    pytest.param(check, id=f"{name}-{check}") for name in CEILINGS for check in checks_for(installed("model", name))
]


@pytest.mark.parametrize("check", CHECKS)
def test_it_keeps_the_contract(check):
    check()
