"""The specs of SimVP, SimVP with gSTA, and TAU."""

from __future__ import annotations

import vpbench

from .sizes import both_sizes

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


SPECS: list[vpbench.ModelSpec] = [
    *both_sizes(
        "simvp",
        factory="simvp:SimVP",
        config="simvp_config:IncepUConfig",
        summary="SimVP: blocks of frames by convolutions alone, Inception U-net as translator",
        importer="simvp_importing:import_simvp",
        cites=(SIMVP,),
        small_weights="82356feba740a8c6ea8c4ae388bb17106f9eec1c7ff742164a2b1a8192a23d54",
    ),
    *both_sizes(
        "simvp-gsta",
        factory="simvp:SimVPGSTA",
        config="simvp_config:GSTAConfig",
        summary="SimVPv2: SimVP with gated spatiotemporal attention as translator",
        importer="simvp_importing:import_simvp_gsta",
        cites=(SIMVP, SIMVP2),
        small_weights="3416253863a3ccd5324f92a8274792732edf8e838387bcfc7e77e562275900a6",
    ),
    *both_sizes(
        "tau",
        factory="tau:TAU",
        config="simvp_config:TAUConfig",
        summary="SimVP with the temporal attention unit, trained on frame differences too",
        importer="simvp_importing:import_tau",
        cites=(TAU, SIMVP),
        small_weights="fb0f5261997b4d8c9c2e56770a5aa9593b885de88f1125b7628db7d5f81bf829",
    ),
]
