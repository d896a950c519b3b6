"""A check: one rule of the contract, held against one model, dataset or metric.

A rule is a function ``check_x(subject)`` whose docstring says it in one sentence. It returns where the rule holds,
raises `Violation` with the values that break it, or `NotApplicable` with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Any, Literal

from ..config import did_you_mean
from ..errors import UsageError, VpbenchError, message_of

Status = Literal["passed", "failed", "failed as expected", "passed against expectation", "not applicable"]

#: What a rule looks like. The subject is a ModelSubject, a DatasetSubject or a MetricSubject.
Rule = Callable[[Any], None]

#: Folders of packages inside which many errors are raised and few are made.
_LIBRARIES = frozenset({"torch", "numpy"})


class Violation(AssertionError):
    """A rule does not hold; the message says what was found and what the contract is."""


class NotApplicable(Exception):
    """A rule says nothing about this subject; the message says why."""


@dataclass(frozen=True)
class Finding:
    """What became of a check."""

    check: str
    status: Status
    detail: str = ""  #: the violation, the reason of an expected failure, or why it is not applicable

    @property
    def holds(self) -> bool:
        """Whether it is as it should be."""
        return self.status in ("passed", "failed as expected", "not applicable")


@dataclass(frozen=True)
class Check:
    """A rule and what it is held against; called by a test, it passes, fails or is skipped."""

    rule: Rule
    subject: Any
    expected_failure: str = ""  #: why the rule is known to be broken; then it must be

    @property
    def name(self) -> str:
        """``"check_batch_invariance"``."""
        return self.rule.__name__

    @property
    def sentence(self) -> str:
        """The rule in words."""
        return " ".join((self.rule.__doc__ or "").split())

    def finding(self) -> Finding:
        """Hold the rule against the subject. Whatever the subject's code raises is a failure of the check."""
        try:
            self.rule(self.subject)
        except NotApplicable as reason:
            return Finding(self.name, "not applicable", str(reason))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: research code calls sys.exit
            if self.expected_failure:
                return Finding(self.name, "failed as expected", self.expected_failure)
            return Finding(self.name, "failed", in_words(error))
        if self.expected_failure:
            return Finding(
                self.name,
                "passed against expectation",
                f"it was expected to fail ({self.expected_failure}) and does not: drop the expectation",
            )
        return Finding(self.name, "passed")

    def __call__(self) -> None:
        """For pytest: fail with the finding, or skip with the reason."""
        finding = self.finding()
        if finding.status == "not applicable":
            import pytest

            pytest.skip(finding.detail)
        if not finding.holds:
            raise Violation(f"{finding.check}: {finding.detail}\n  the rule: {self.sentence}")

    def __str__(self) -> str:
        return self.name


def bound(rules: Sequence[Rule], subject: Any, expected_failures: Mapping[str, str]) -> list[Check]:
    """A check per rule, in their order. Raises UsageError for an expectation without a reason or of no such rule."""
    names = [rule.__name__ for rule in rules]
    for name, reason in expected_failures.items():
        if name not in names:
            raise UsageError(f"no check {name!r}; {did_you_mean(name, names)}there are: {', '.join(names)}")
        if not reason.strip():
            raise UsageError(f"{name} is expected to fail: say why")
    return [Check(rule, subject, expected_failures.get(rule.__name__, "")) for rule in rules]


def in_words(error: BaseException) -> str:
    """What was raised, on one line; of what is neither a violation nor one of our errors, also where."""
    message = " ".join(message_of(error).split())
    if isinstance(error, Violation | VpbenchError):
        return message or type(error).__name__
    cause = f"{type(error).__name__}: {message}" if message else type(error).__name__
    frames = extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _LIBRARIES.intersection(Path(frame.filename).parts)] or frames
    return f"{cause} ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else cause


def tally(findings: Iterable[Finding]) -> dict[Status, int]:
    """How many checks ended how."""
    counts: dict[Status, int] = {}
    for finding in findings:
        counts[finding.status] = counts.get(finding.status, 0) + 1
    return counts
