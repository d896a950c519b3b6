"""`tau`: SimVP with the temporal attention unit, trained on the differences between frames too."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench import TrainBatch
from vpbench.errors import Refused

from .simvp import BlockModel
from .simvp_config import GSTAConfig, IncepUConfig, TAUConfig
from .simvp_gsta import LargeKernel, MetaTranslator

REDUCTION, LEAST_REDUCTION = 16, 4


class TemporalAttentionUnit(nn.Module):
    """s · k(x) · x: large kernels within the maps, and one weight per map across them; (B, C, H, W) to the same shape.

    The maps are those of all frames of a block, so the weights s, which are of the mean of each map, are what tells
    frames apart (Tan et al. 2023, "Temporal attention unit", section 3.3). The hidden layer of s has C // r numbers,
    r = max(C // 16, 4).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.kernel = LargeKernel(width, width)
        hidden = width // max(width // REDUCTION, LEAST_REDUCTION)
        self.squeeze = nn.Linear(width, hidden, bias=False)
        self.excite = nn.Linear(hidden, width, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        weights = torch.sigmoid(self.excite(F.relu(self.squeeze(maps.mean(dim=(2, 3))))))
        return weights[:, :, None, None] * self.kernel(maps) * maps


class TAU(BlockModel):
    """The temporal attention unit (Tan et al. 2023, CVPR) in place of SimVPv2's gated attention; else as `simvp-gsta`.

    44,656,001 parameters at (1, 64, 64) and 10 context frames, all of which are used; OpenSTL reports 44.7 M. Its
    loss is of differences between frames, so a block has at least two: Refused otherwise.
    """

    name = "tau"

    def __init__(self, config: TAUConfig, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        if (config.block or context_length) < 2:
            raise Refused(
                "tau learns from differences between the frames of a block, and a block is as long as the context, "
                "1 frame: set block=2 or more, or give 2 context frames"
            )
        super().__init__(config, "openstl", frame_shape, context_length)
        self.alpha, self.temperature = config.alpha, config.temperature

    def make_translator(self, config: IncepUConfig | GSTAConfig, stacked: int) -> nn.Module:
        assert isinstance(config, TAUConfig)
        return MetaTranslator(stacked, config.hid_t, config.n_t, config.mlp_ratio, TemporalAttentionUnit)

    def loss(self, batch: TrainBatch, *, progress: float, part: str = "main") -> Mapping[str, Tensor]:
        """Mean squared error + alpha times the divergence of the differences; that is 0 where there is one target."""
        predicted = self._predicted_targets(batch)
        mse = F.mse_loss(predicted, batch.target)
        divergence = difference_divergence(predicted, batch.target, self.temperature)
        return {"loss": mse + self.alpha * divergence, "mse": mse, "divergence": divergence}


def difference_divergence(predicted: Tensor, target: Tensor, temperature: float) -> Tensor:
    """How unlike the changes from frame to frame are: of (B, T, C, H, W) float32 twice, a scalar; 0 if T is 1.

    Each difference of consecutive frames, divided by the temperature, goes through a softmax over all its pixels and
    channels. What is summed in Kullback and Leibler's divergence of the predicted distribution from the true one is
    averaged, as in OpenSTL: over differences, clips, and pixels too (Tan et al. 2023, equations 9-11).
    """
    if predicted.shape[1] < 2:
        return predicted.new_zeros(())
    ours, theirs = (
        F.log_softmax(frames.diff(dim=1).flatten(2) / temperature, dim=-1) for frames in (predicted, target)
    )
    return (ours.exp() * (ours - theirs)).mean()
