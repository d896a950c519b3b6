"""How far a predicted state is from the true one, in units. Boards call `score` alone, so no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from vpbench import Scored


class StateRMSE:
    """Root mean squared error of a state that is shown as a frame, in the units of the data; 0 is perfect."""

    def __init__(self, config: None = None) -> None:
        del config  # a metric with options would be another metric

    def statistics(self, scored: Scored) -> Mapping[str, Tensor]:
        """state_squared_error: float64 (B, Tt), units²: mean over channels and pixels."""
        import torch

        error = (scored.predicted.double() - scored.target.double()).square().mean(dim=(2, 3, 4))
        units = torch.from_numpy(np.asarray(scored.truth["scale"], dtype=np.float64)).to(error.device)
        return {"state_squared_error": error * units[:, None] ** 2}

    def score(self, means: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.sqrt(np.asarray(means["state_squared_error"], dtype=np.float64))
