"""vpbench: the video-prediction benchmark whose numbers can be trusted.

The public names: of a plugin author, and of who evaluates from Python. Importing this costs no torch and no numpy: the
functions are looked up in their modules when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .hookspecs import hookimpl
from .protocols import Clips, Context, DatasetInfo, Scored, TrainBatch, TrainTask
from .specs import DatasetSpec, MetricSpec, ModelSpec, TruthField, Weights

if TYPE_CHECKING:
    from .api import Result, evaluate, run
    from .elsewhere import export_context, score
    from .forecast import predict
    from .probing import probe
    from .tables import load_results

#: What is imported on first use -> its module. No module may have the name of a function: it would hide it.
_ON_FIRST_USE = {
    "Result": "api",
    "evaluate": "api",
    "export_context": "elsewhere",
    "load_results": "tables",
    "predict": "forecast",
    "probe": "probing",
    "run": "api",
    "score": "elsewhere",
}

__all__ = [
    "Clips",
    "Context",
    "DatasetInfo",
    "DatasetSpec",
    "MetricSpec",
    "ModelSpec",
    "Result",
    "Scored",
    "TrainBatch",
    "TrainTask",
    "TruthField",
    "Weights",
    "evaluate",
    "export_context",
    "hookimpl",
    "load_results",
    "predict",
    "probe",
    "run",
    "score",
]


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ON_FIRST_USE[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
