"""The floors keep the contract of vpbench."""

from __future__ import annotations

import pytest

from vpbench.testing import checks_for, installed

FLOORS = ("black", "copy-last", "context-mean", "train-mean")

CHECKS = [
    pytest.param(check, id=f"{name}-{check}") for name in FLOORS for check in checks_for(installed("model", name))
]


@pytest.mark.parametrize("check", CHECKS)
def test_it_keeps_the_contract(check):
    check()
