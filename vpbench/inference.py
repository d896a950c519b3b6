"""A model made ready, asked, and its answer held to the contract: the same wherever a model predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import device as devices
from .errors import ModelFailed, PluginError, WeightsError
from .instances import make_model
from .protocols import Context, Oracle, Swappable
from .reach import modules_in
from .registry import Provided
from .specs import ModelSpec
from .weights import WeightsFile, load_into


class Inference:
    """A model on a device, with its weights, in eval mode.

    `failing_in` or `blaming` around its calls says whose code it was that failed.
    """

    def __init__(
        self,
        provided: Provided[ModelSpec],
        config: Any,
        weights: WeightsFile | None,
        *,
        frame_shape: tuple[int, int, int],
        context_length: int,
        seed: int,
        device: torch.device,
        precision: str = "float32",
    ) -> None:
        """
        seed       of untrained weights, where those are allowed
        precision  of `device.PRECISIONS`

        Raises WeightsError for weights that do not fit, and whatever the model raises.
        """
        self.provided, self.device, self.precision = provided, device, precision
        torch.manual_seed(seed)
        self.model = make_model(provided.spec, config, frame_shape=frame_shape, context_length=context_length)
        if weights:
            if not isinstance(self.model, nn.Module):
                raise WeightsError(f"{provided.spec.name} is no torch Module, so it can take no weights")
            load_into(self.model, weights.path, sha256=weights.sha256)
        for module in modules_in(self.model):
            module.to(device).eval()

    def __call__(
        self,
        context: Context,
        target_times: Tensor,
        *,
        truth: Mapping[str, np.ndarray],
        appearance: Context | None = None,
    ) -> Tensor:
        """float32 (B, Tt, C, H, W), finite, on the device; not clamped.

        context, target_times  for the model to keep: what it writes there must not matter to who asks
        truth                  of the context frames: told to a ceiling, and to nobody else; of a swap, of the clip
                               that moves as the one and looks like the other
        appearance             for a swap: what the frames are to look like

        Raises ModelFailed for an answer that is not what the contract says, and whatever the model raises.
        """
        wanted = (*target_times.shape, *context.frames.shape[2:])
        return self._checked(self._asked(context, target_times, truth, appearance), wanted)

    def _asked(
        self, context: Context, target_times: Tensor, truth: Mapping[str, np.ndarray], appearance: Context | None
    ) -> Any:
        spec = self.provided.spec
        mode = torch.enable_grad() if spec.fits_at_test else torch.inference_mode()
        with mode, devices.precision(self.device, self.precision):
            if isinstance(self.model, Oracle) and spec.role == "ceiling":
                own = {name: np.array(values) for name, values in truth.items()}
                return self.model.predict_knowing(context, target_times, truth=own)
            if appearance is not None:
                if not isinstance(self.model, Swappable):
                    raise PluginError(f"{spec.name} says that it can swap, so it must have swap()")
                return self.model.swap(context, appearance, target_times)
            return self.model.predict(context, target_times)

    def _checked(self, predicted: Any, wanted: tuple[int, ...]) -> Tensor:
        name = self.provided.spec.name
        if not isinstance(predicted, Tensor):
            raise ModelFailed(f"{name} returned a {type(predicted).__name__}, the contract is a torch tensor")
        if predicted.shape != wanted:
            raise ModelFailed(f"{name} returned shape {tuple(predicted.shape)}, asked for {wanted}")
        if not predicted.is_floating_point():
            raise ModelFailed(f"{name} returned {predicted.dtype}, the contract is a floating point tensor in [0, 1]")
        predicted = predicted.detach().to(self.device, torch.float32)
        finite = predicted.isfinite().flatten(2).all(dim=2).all(dim=0)
        if not finite.all():
            step = int((~finite).nonzero()[0]) + 1
            raise ModelFailed(f"{name} predicted NaN or infinity, first at step {step} of {len(finite)}")
        return predicted
