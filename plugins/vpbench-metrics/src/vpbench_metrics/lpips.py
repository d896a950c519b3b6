"""LPIPS: the learned perceptual distance of Zhang et al. 2018, from weights files that the user gives.

Neither file is ours to ship: AlexNet's weights were trained on ImageNet, and the heads on human judgements. Without
them the metric is not computed; nothing else ever goes by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vpbench.errors import WeightsError

from .metrics import MetricByName
from .weights_file import check_sha256, read_tensors

if TYPE_CHECKING:
    from torch import Tensor, device

    from vpbench import Scored

    from .lpips_network import LPIPSNetwork

#: Of the heads for AlexNet, version 0.1, as their authors published them (weights/v0.1/alex.pth of their package).
PUBLISHED_HEADS = "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"


@dataclass(frozen=True)
class LPIPSConfig:
    """The weights files, .safetensors or .pth, and which ones are meant; where they lie is not part of the identity."""

    backbone: str = field(default="", metadata={"identity": False})  #: AlexNet, tensors named as torchvision names them
    backbone_sha256: str = ""  #: torchvision's file has the first 8 digits in its name: alexnet-owt-7be5be79.pth
    heads: str = field(default="", metadata={"identity": False})  #: tensors lin0.model.1.weight to lin4.model.1.weight
    heads_sha256: str = PUBLISHED_HEADS

    def __post_init__(self) -> None:
        check_sha256("backbone_sha256", self.backbone_sha256)
        check_sha256("heads_sha256", self.heads_sha256)


class LPIPS(MetricByName):
    """Learned perceptual distance (Zhang et al. 2018), version 0.1 with AlexNet; no unit, from 0 upwards.

    Of the clamped prediction and the truth, frame by frame: values scaled to [-1, 1], grey as three equal channels, the
    size unchanged (H and W at least 31, for the two poolings of AlexNet), then shifted and scaled per colour. The
    activations of AlexNet after each of its five rectifiers are brought to length 1 at every place; their squared
    differences are weighted with one weight per channel, summed over channels, averaged over places and summed over
    layers. Mean over clips and steps. The computation is that of the authors' ``lpips.LPIPS(net="alex")``.
    """

    names = ("lpips",)

    def __init__(self, config: LPIPSConfig | None = None) -> None:
        self._config = config or LPIPSConfig()
        self._networks: dict[device, LPIPSNetwork] = {}

    def why_not(self) -> str:
        """Which settings are missing. Raises WeightsError where the files are not what the settings say."""
        given = self._config
        settings = {
            "lpips.backbone=FILE": given.backbone,
            "lpips.backbone_sha256=SHA256": given.backbone_sha256,
            "lpips.heads=FILE": given.heads,
            "lpips.heads_sha256=SHA256": given.heads_sha256,
        }
        if missing := [f"--set {setting}" for setting, value in settings.items() if not value]:
            return f"needs the weights of AlexNet and of the heads of LPIPS: {' '.join(missing)}"
        import torch

        self._network(torch.device("cpu"))  # now, not after the first prediction
        return ""

    def statistics(self, scored: Scored) -> Mapping[str, Tensor]:
        """Raises WeightsError, see `why_not`."""
        from .frames import checked

        if missing := self.why_not():
            raise WeightsError(f"lpips {missing}")
        predicted, target = checked(scored)
        network = self._network(predicted.device)
        return {"lpips": network.distance(predicted.flatten(0, 1), target.flatten(0, 1)).reshape(target.shape[:2])}

    def _network(self, device: device) -> LPIPSNetwork:
        """Read at first use, and kept."""
        from .lpips_network import LPIPSNetwork

        if device not in self._networks:
            given = self._config
            self._networks[device] = LPIPSNetwork.of(
                read_tensors("lpips.backbone", given.backbone, given.backbone_sha256),
                read_tensors("lpips.heads", given.heads, given.heads_sha256),
                backbone_path=given.backbone,
                heads_path=given.heads,
            ).to(device)
        return self._networks[device]
