"""The specs of SimVP, SimVP with gSTA, and TAU."""

from __future__ import annotations

import vpbench

SIMVP = (
    "@inproceedings{gao2022simvp, title={SimVP: Simpler yet Better Video Prediction}, "
    "author={Gao, Zhangyang and Tan, Cheng and Wu, Lirong and Li, Stan Z.}, booktitle={CVPR}, year={2022}}"
)
SIMVP2 = (
    "@article{tan2022simvpv2, title={SimVPv2: Towards Simple yet Powerful Spatiotemporal Predictive Learning}, "
    "author={Tan, Cheng and Gao, Zhangyang and Li, Siyuan and Li, Stan Z.}, journal={arXiv:2211.12509}, year={2022}}"
)
TAU = (
    "@inproceedings{tan2023tau, title={Temporal Attention Unit: Towards Efficient Spatiotemporal Predictive Learning}, "
    "author={Tan, Cheng and Gao, Zhangyang and Wu, Lirong and Xu, Yongjie and Xia, Jun and Li, Siyuan and "
    "Li, Stan Z.}, booktitle={CVPR}, year={2023}}"
)


def _pair(
    name: str, factory: str, config: str, summary: str, importer: str, cites: tuple[str, ...]
) -> list[vpbench.ModelSpec]:
    """The full size and the small one."""
    return [
        vpbench.ModelSpec(
            name=name + suffix,
            factory=f"vpbench_zoo.{factory}",
            config=f"vpbench_zoo.simvp_config:{prefix}{config}",
            summary=summary + told,
            version="1",
            learns="weights",
            prefix_stable=True,
            importer=f"vpbench_zoo.simvp_importing:{importer}",
            cites=cites,
        )
        for suffix, prefix, told in (("", "", ""), ("-small", "Small", ", for frames of 32×32"))
    ]


SPECS: list[vpbench.ModelSpec] = [
    *_pair(
        "simvp",
        "simvp:SimVP",
        "IncepUConfig",
        "SimVP: blocks of frames by convolutions alone, Inception U-net as translator",
        "import_simvp",
        (SIMVP,),
    ),
    *_pair(
        "simvp-gsta",
        "simvp:SimVPGSTA",
        "GSTAConfig",
        "SimVPv2: SimVP with gated spatiotemporal attention as translator",
        "import_simvp_gsta",
        (SIMVP, SIMVP2),
    ),
    *_pair(
        "tau",
        "tau:TAU",
        "TAUConfig",
        "SimVP with the temporal attention unit, trained on frame differences too",
        "import_tau",
        (TAU, SIMVP),
    ),
]
