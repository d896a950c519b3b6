"""FVD: the Fréchet video distance of Unterthiner et al. 2018, from a detector file that the user gives.

The detector is not ours to ship: an I3D network trained on Kinetics-400, as the TorchScript file i3d_torchscript.pt
that StyleGAN-V (Skorokhodov et al. 2022) published and most code has used since. Without it the metric is not computed;
nothing else ever goes by its name.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from vpbench.errors import WeightsError

from .frechet import frechet_distance
from .weights_file import check_sha256, read_checked

if TYPE_CHECKING:
    from torch import Tensor, device

#: Stretches that go through the detector at a time: it works at 224x224 pixels.
_STRETCHES_AT_ONCE = 8


@dataclass(frozen=True)
class FVDConfig:
    """The detector and which one is meant; where it lies is no part of what was measured."""

    detector: str = field(default="", metadata={"identity": False})  #: a TorchScript file
    detector_sha256: str = ""

    def __post_init__(self) -> None:
        check_sha256("detector_sha256", self.detector_sha256)


class FVD:
    """Fréchet video distance of the clamped prediction (Unterthiner et al. 2018); no unit, from 0 upwards.

    Stretches of 16 frames, without the context, are given to the detector as
    ``detector(x, rescale=True, resize=True, return_features=True)`` with x (B, 3, 16, H, W) in [0, 255], grey as three
    equal channels and not rounded to whole levels; it scales them to [-1, 1] and to 224x224 pixels itself and returns
    400 features. The distance is that of `frechet_distance`, between all predicted and all true stretches at once.

    - It depends on the number of stretches N, as covariances are estimated: fewer give more, so only values of equal N
      compare. The original has N at least 2,048.
    - With N no larger than the number of features the covariances are singular, and the distance mostly says how few
      stretches there were: NaN.
    - Published values differ in what they cut from a video (context included or not, one stretch or all), in the way
      they resize, and in the detector.
    """

    def __init__(self, config: FVDConfig | None = None) -> None:
        self._config = config or FVDConfig()
        self._detectors: dict[device, Any] = {}

    def why_not(self) -> str:
        """Which settings are missing. Raises WeightsError where the file is not what the settings say."""
        given = self._config
        settings = {"fvd.detector=FILE": given.detector, "fvd.detector_sha256=SHA256": given.detector_sha256}
        if missing := [f"--set {setting}" for setting, value in settings.items() if not value]:
            return f"needs the I3D detector i3d_torchscript.pt: {' '.join(missing)}"
        import torch

        self._detector(torch.device("cpu"))  # now, not after the first prediction
        return ""

    def features(self, frames: Tensor) -> Tensor:
        """float32 (B, 16, C, H, W) in [0, 1], C 1 or 3, to (B, D) on the device of the frames.

        Raises WeightsError, see `why_not`, and for a detector that answers with anything else.
        """
        import torch

        from .full_precision import full_float32

        if missing := self.why_not():
            raise WeightsError(f"fvd {missing}")
        if frames.ndim != 5 or frames.shape[2] not in (1, 3):
            raise ValueError(f"fvd takes stretches (B, T, C, H, W) of 1 or 3 channels, not {tuple(frames.shape)}")
        detector = self._detector(frames.device)
        stretches = (frames.float() * 255).expand(-1, -1, 3, -1, -1).transpose(1, 2)
        with torch.no_grad(), full_float32():
            found = [self._asked(detector, some.contiguous()) for some in stretches.split(_STRETCHES_AT_ONCE)]
        return torch.cat(found)

    def distance(self, predicted: np.ndarray, target: np.ndarray) -> float:
        """float64 (N, D) twice; NaN where N is no larger than D."""
        return frechet_distance(predicted, target) if len(predicted) > predicted.shape[1] else math.nan

    def _asked(self, detector: Any, stretches: Tensor) -> Tensor:
        import torch

        try:
            found = detector(stretches, rescale=True, resize=True, return_features=True)
        except RuntimeError as error:  # of a script: wrong arguments, and what fails inside
            if isinstance(error, torch.cuda.OutOfMemoryError):
                raise
            why = str(error).strip().splitlines()[-1][:200]
            raise WeightsError(
                f"fvd.detector: {self._config.detector} failed on {tuple(stretches.shape)} ({why}): it is called as "
                "detector(x, rescale=True, resize=True, return_features=True)"
            ) from error
        if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != len(stretches):
            shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise WeightsError(
                f"fvd.detector: {self._config.detector} gave {shape} for {len(stretches)} stretches, not a row each"
            )
        return found

    def _detector(self, device: device) -> Any:
        """Read at first use, and kept."""
        if device not in self._detectors:
            import torch

            given = self._config
            content = read_checked("fvd.detector", given.detector, given.detector_sha256)
            try:
                self._detectors[device] = torch.jit.load(io.BytesIO(content), map_location=device).eval()
            except (RuntimeError, ValueError) as error:
                why = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
                raise WeightsError(f"fvd.detector: {given.detector} is no TorchScript file ({why})") from error
        return self._detectors[device]
