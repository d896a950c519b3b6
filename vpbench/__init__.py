"""vpbench: the video-prediction benchmark whose numbers can be trusted.

The public names of a plugin author. Importing this costs no torch and no numpy.
"""

from .hookspecs import hookimpl
from .protocols import Clips, Context, DatasetInfo, Scored, TrainBatch, TrainTask
from .specs import DatasetSpec, MetricSpec, ModelSpec, TruthField, Weights

__all__ = [
    "Clips",
    "Context",
    "DatasetInfo",
    "DatasetSpec",
    "MetricSpec",
    "ModelSpec",
    "Scored",
    "TrainBatch",
    "TrainTask",
    "TruthField",
    "Weights",
    "hookimpl",
]
