"""The conformance kit of plugin authors: what the contract asks of a model, a dataset or a metric, as checks."""

from .check import Check, Finding, NotApplicable, Violation

__all__ = ["Check", "Finding", "NotApplicable", "Violation"]
