"""latentode-small keeps the contract of vpbench: on small frames, and with the weights it ships."""

from __future__ import annotations

import pytest

from vpbench.testing import checks_for, installed


@pytest.mark.parametrize("check", checks_for(installed("model", "latentode-small", frame_shape=(1, 16, 16))), ids=str)
def test_it_keeps_the_contract(check):
    check()
