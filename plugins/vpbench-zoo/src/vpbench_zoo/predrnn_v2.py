"""`predrnn-v2`: PredRNN trained so that its two memories learn different things, and so that it reads its context."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench.recurrent import predict_next, reverse_scheduled_sampling

from .predrnn import PredRNN
from .predrnn_config import PredRNNV2Config
from .predrnn_family import Config, State


class PredRNNV2(PredRNN):
    """PredRNN-V2 (Wang et al. 2022, TPAMI): PredRNN with a decoupling loss and reverse scheduled sampling.

    It predicts as `predrnn` does; the adapter of the decoupling loss is used in training alone. At the defaults
    23,855,104 parameters at (1, 64, 64), those of PredRNN and the adapter's 16,384.
    """

    name = "predrnn-v2"

    def make_further_parts(self, config: Config) -> None:
        assert isinstance(config, PredRNNV2Config)
        self.adapter = nn.Conv2d(config.hidden, config.hidden, 1, bias=False)
        self.decoupling, self.alpha = config.decoupling, config.alpha
        self._advance_telling = torch.compile(self.advance_telling) if config.compile else self.advance_telling

    def advance_telling(self, patches: Tensor, state: State) -> tuple[Tensor, State, Tensor, Tensor]:
        """As `advance`, and what was added to c and to m in all layers, (layers · B, hidden, H, W)."""
        predicted, state, updates = self.through_layers(patches, state)
        added_to_c = torch.cat([each.added_to_c for each in updates])
        added_to_m = torch.cat([each.added_to_m for each in updates])
        return predicted, state, added_to_c, added_to_m

    def training_roll_out(self, patches: Tensor, given: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        if not self.decoupling:
            return super().training_roll_out(patches, given)
        all_added_to_c, all_added_to_m = [], []

        def step(frame: Tensor, state: State | None) -> tuple[Tensor, State]:
            predicted, state, added_to_c, added_to_m = self._advance_telling(frame, state or self.first_state(frame))
            all_added_to_c.append(added_to_c)
            all_added_to_m.append(added_to_m)
            return predicted, state

        predicted = predict_next(step, patches, given)
        alike = self.alikeness(torch.cat(all_added_to_c), torch.cat(all_added_to_m))
        return predicted, {"decoupling": self.decoupling * alike}

    def alikeness(self, added_to_c: Tensor, added_to_m: Tensor) -> Tensor:
        """Mean |cos| of the angle between the two, map by map after the adapter (Wang et al. 2022, equation 5).

        (N, hidden, H, W) each, of any number of layers, frames and clips, to a scalar. The cosine is over pixels.
        """
        adapted = (self.adapter(added).flatten(2).float() for added in (added_to_c, added_to_m))
        c, m = (F.normalize(maps, dim=2) for maps in adapted)
        return (c * m).sum(dim=2).abs().mean()

    def probabilities(self, update: float) -> tuple[float, float]:
        return reverse_scheduled_sampling(update, alpha=self.alpha)
