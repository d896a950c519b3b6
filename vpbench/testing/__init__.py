"""The conformance kit of plugin authors: what the contract asks of a model, a dataset or a metric, as checks.

The whole conformance test of a plugin::

    import pytest
    from vpbench.testing import checks_for, installed

    EXPECTED_FAILURES = {"check_batch_invariance": "one step size serves the whole batch"}

    @pytest.mark.parametrize("check", checks_for(installed("model", "my-model"), EXPECTED_FAILURES), ids=str)
    def test_it_keeps_the_contract(check):
        check()

`vpbench check my-model` does the same without pytest. Importing this costs neither torch nor pytest.
"""

from .check import Check, Finding, NotApplicable, Violation
from .subjects import checks_for, given, installed

__all__ = ["Check", "Finding", "NotApplicable", "Violation", "checks_for", "given", "installed"]
