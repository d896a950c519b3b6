"""`vpbench check`: hold a plugin against the contract."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, get_args

import click

from ..errors import ExitCode, UnknownName, UsageError
from . import names
from .group import EPILOG, main, several, warn_of_problems

if TYPE_CHECKING:
    from ..registry import Registry
    from ..testing import Check, Finding
    from ..testing.subjects import Kind

_ALWAYS_SAID = ("passed", "failed")


@main.command(epilog=EPILOG)
@click.argument("name", metavar="NAME|FILE.py:CLASS", shell_complete=names.anything_installed)
@click.option(
    "--kind",
    type=click.Choice(["model", "dataset", "metric"]),
    help="What NAME is.  [default: whatever goes by that name]",
)
@several("--set", "settings", metavar="KEY=VALUE", help="Change its config; NAME.KEY=VALUE of it or of its dataset.")
@click.option(
    "--dataset",
    metavar="NAME",
    shell_complete=names.datasets,
    help="Try a model on this dataset.  [default: patterns that move]",
)
@click.option(
    "--frame-shape",
    metavar="C,H,W",
    help="Channels, height and width of those patterns.  [default: that of its weights, or 1,16,16]",
)
@several("--expect", "expected", metavar="CHECK=REASON", help="This check is known to fail, and then has to.")
@click.option(
    "--overfit", is_flag=True, help="Also train a model on four clips, to see that it learns; takes a minute."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the rules in words.")
def check(
    name: str,
    kind: Kind | None,
    settings: tuple[str, ...],
    dataset: str | None,
    frame_shape: str | None,
    expected: tuple[str, ...],
    overfit: bool,
    as_json: bool,
) -> int:
    """Check a plugin against the contract.

    \b
      vpbench check latentode
      vpbench check my_model.py:MyModel --frame-shape 3,32,32 --overfit
      vpbench check my-model --expect check_batch_invariance="one step size for the whole batch"

    A line per check of the model, dataset or metric: passed, failed and why, failed as expected, or not applicable and
    why. The exit code is 1 if a check fails, or passes that was expected to fail.
    """
    from .. import registry
    from ..testing import checks_for, installed

    there = registry.load()
    warn_of_problems(there)
    kind = kind or _kind(name, there)
    subject = installed(kind, name, settings, dataset=dataset, frame_shape=_frame_shape(frame_shape), registry=there)
    checks = checks_for(subject, dict(_expectation(each) for each in expected), overfit=overfit)
    provided, tried_on = subject.provided, getattr(subject, "tried_on", "")
    if not as_json:
        click.echo(f"{kind} {provided.spec.name}, {provided.source}" + (f", tried on {tried_on}" if tried_on else ""))
    findings = []
    for each, finding in _findings(checks):
        findings.append((each, finding))
        if not as_json:
            click.echo(f"{finding.status:<14}  {finding.check}" + (f": {finding.detail}" if finding.detail else ""))
    counts = _counts(finding for _, finding in findings)
    holds = all(finding.holds for _, finding in findings)
    if as_json:
        said = {"kind": kind, "name": provided.spec.name, "source": provided.source, "tried_on": tried_on or None}
        click.echo(
            json.dumps({**said, "holds": holds, "counts": counts, "checks": [_plain(*each) for each in findings]})
        )
    else:
        click.echo(f"{kind} {provided.spec.name}: {', '.join(f'{n} {status}' for status, n in counts.items())}")
    return ExitCode.OK if holds else ExitCode.FAILED


def _kind(name: str, there: Registry) -> Kind:
    """What goes by this name. Raises UsageError, UnknownName."""
    from ..config import did_you_mean
    from ..registry import is_file_reference

    if is_file_reference(name):
        return "model"
    known: dict[Kind, Any] = {"model": there.models(), "dataset": there.datasets(), "metric": there.metrics()}
    found = [kind for kind, each in known.items() if name in each]
    if len(found) > 1:
        raise UsageError(f"{name} is the name of a {' and of a '.join(found)}: say which with --kind")
    if found:
        return found[0]
    everything = [each for names_of_kind in known.values() for each in names_of_kind]
    listed = "; ".join(f"{kind}s: {', '.join(each) or 'none'}" for kind, each in known.items())
    not_loaded = "".join(f"\nnot loaded: {problem}" for problem in there.problems)
    raise UnknownName(f"nothing is called {name!r}; {did_you_mean(name, everything)}{listed}{not_loaded}")


def _frame_shape(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"--frame-shape {text!r}: write it as channels,height,width: 1,32,32")
    channels, height, width = map(int, parts)
    return channels, height, width


def _expectation(text: str) -> tuple[str, str]:
    name, equals, reason = text.partition("=")
    if not equals:
        raise UsageError(f"--expect {text!r}: write it as CHECK=REASON")
    return name.strip(), reason


def _findings(checks: Iterable[Check]) -> Iterator[tuple[Check, Finding]]:
    """What becomes of each check. What plugins print goes where it does not pass for a finding."""
    for each in checks:
        with contextlib.redirect_stdout(sys.stderr):
            finding = each.finding()
        yield each, finding


def _counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many checks ended how; passed and failed are always said, so that it is seen how many were run."""
    from ..testing.check import Status, tally

    found = tally(findings)
    return {status: found.get(status, 0) for status in get_args(Status) if status in found or status in _ALWAYS_SAID}


def _plain(each: Check, finding: Finding) -> dict[str, Any]:
    return {"check": each.name, "status": finding.status, "detail": finding.detail, "rule": each.sentence}
