"""Videos continued after their end, with nothing to hold the prediction against.

`forecaster` asks a model, `readers` finds the plugin that reads a file, `continuation` is one file in and one file out.
"""

from .forecaster import Forecast, Forecaster, forecaster, predict

__all__ = ["Forecast", "Forecaster", "forecaster", "predict"]
