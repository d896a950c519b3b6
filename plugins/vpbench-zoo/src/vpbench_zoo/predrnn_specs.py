"""The specs of PredRNN, PredRNN++ and PredRNN-V2."""

from __future__ import annotations

import vpbench

from .sizes import both_sizes

PREDRNN = (
    "@inproceedings{wang2017predrnn, title={{PredRNN}: Recurrent Neural Networks for Predictive Learning using "
    "Spatiotemporal {LSTMs}}, author={Wang, Yunbo and Long, Mingsheng and Wang, Jianmin and Gao, Zhifeng and "
    "Yu, Philip S.}, booktitle={NeurIPS}, year={2017}}"
)
PREDRNN_PP = (
    "@inproceedings{wang2018predrnnpp, title={{PredRNN++}: Towards A Resolution of the Deep-in-Time Dilemma in "
    "Spatiotemporal Predictive Learning}, author={Wang, Yunbo and Gao, Zhifeng and Long, Mingsheng and "
    "Wang, Jianmin and Yu, Philip S.}, booktitle={ICML}, year={2018}}"
)
PREDRNN_V2 = (
    "@article{wang2022predrnn, title={{PredRNN}: A Recurrent Neural Network for Spatiotemporal Predictive Learning}, "
    "author={Wang, Yunbo and Wu, Haixu and Zhang, Jianjin and Gao, Zhifeng and Wang, Jianmin and Yu, Philip S. and "
    "Long, Mingsheng}, journal={IEEE Transactions on Pattern Analysis and Machine Intelligence}, year={2022}}"
)


SPECS: list[vpbench.ModelSpec] = [
    *both_sizes(
        "predrnn",
        factory="predrnn:PredRNN",
        config="predrnn_config:PredRNNConfig",
        summary="PredRNN: a memory that zig-zags through the layers of a spatiotemporal LSTM",
        importer="predrnn_importing:import_predrnn",
        cites=(PREDRNN,),
        small_weights="6aa72d58d3b0d3b27f1cd85ba730bff952431a6fb9f24d5fbad5c5be17e485d6",
        capabilities=frozenset({"any-context-length"}),
    ),
    *both_sizes(
        "predrnn-pp",
        factory="predrnn_pp:PredRNNPP",
        config="predrnn_config:PredRNNPPConfig",
        summary="PredRNN++: causal LSTM with two memories in cascade, and a gradient highway",
        importer="predrnn_importing:import_predrnn_pp",
        cites=(PREDRNN_PP,),
        small_weights="660750326e460af5bbb012df8bf509286f556c23efa2f2b0c9c4aa26cabd3e8e",
        capabilities=frozenset({"any-context-length"}),
    ),
    *both_sizes(
        "predrnn-v2",
        factory="predrnn_v2:PredRNNV2",
        config="predrnn_config:PredRNNV2Config",
        summary="PredRNN-V2: PredRNN with decoupled memories and reverse scheduled sampling",
        importer="predrnn_importing:import_predrnn_v2",
        cites=(PREDRNN_V2, PREDRNN),
        small_weights="65c9d2586e4ec1f0798094b2ca73286a78ef4608431cbfeca42ba2848ce1355b",
        capabilities=frozenset({"any-context-length"}),
    ),
]
