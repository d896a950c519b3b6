"""The specs of PredRNN, PredRNN++ and PredRNN-V2."""

from __future__ import annotations

import vpbench

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


def _pair(
    name: str, factory: str, config: str, summary: str, importer: str, cites: tuple[str, ...]
) -> list[vpbench.ModelSpec]:
    """The full size and the small one."""
    return [
        vpbench.ModelSpec(
            name=name + suffix,
            factory=f"vpbench_zoo.{factory}",
            config=f"vpbench_zoo.predrnn_config:{prefix}{config}",
            summary=summary + told,
            version="1",
            learns="weights",
            prefix_stable=True,
            importer=f"vpbench_zoo.predrnn_importing:{importer}",
            capabilities=frozenset({"any-context-length"}),
            cites=cites,
        )
        for suffix, prefix, told in (("", "", ""), ("-small", "Small", ", for frames of 32×32"))
    ]


SPECS: list[vpbench.ModelSpec] = [
    *_pair(
        "predrnn",
        "predrnn:PredRNN",
        "PredRNNConfig",
        "PredRNN: a memory that zig-zags through the layers of a spatiotemporal LSTM",
        "import_predrnn",
        (PREDRNN,),
    ),
    *_pair(
        "predrnn-pp",
        "predrnn_pp:PredRNNPP",
        "PredRNNPPConfig",
        "PredRNN++: causal LSTM with two memories in cascade, and a gradient highway",
        "import_predrnn_pp",
        (PREDRNN_PP,),
    ),
    *_pair(
        "predrnn-v2",
        "predrnn_v2:PredRNNV2",
        "PredRNNV2Config",
        "PredRNN-V2: PredRNN with decoupled memories and reverse scheduled sampling",
        "import_predrnn_v2",
        (PREDRNN_V2, PREDRNN),
    ),
]
