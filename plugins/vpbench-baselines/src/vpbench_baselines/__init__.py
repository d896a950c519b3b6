"""What everybody compares with: the floors of every board, ConvLSTM and PhyDNet.

Floors are predictions that take no thought: a model that does not beat them has learnt nothing.
"""

from collections.abc import Iterator

import vpbench

#: Any time will do: but for linear-blend, none of them looks at the time that is asked for.
ANY_TIME = frozenset({"fractional", "before-context-end", "irregular-context", "any-context-length"})
ANY_TASK = ANY_TIME | {"swap"}
#: Of what is reconstructed, whoever hands it back is right and says nothing.
PREDICTIONS = ("extrapolate", "fractional", "irregular", "interpolate", "swap")

CONVLSTM = (
    "@inproceedings{shi2015convolutional, title={Convolutional {LSTM} Network: A Machine Learning Approach for "
    "Precipitation Nowcasting}, author={Shi, Xingjian and Chen, Zhourong and Wang, Hao and Yeung, Dit-Yan and "
    "Wong, Wai-kin and Woo, Wang-chun}, booktitle={NeurIPS}, year={2015}}",
)
PHYDNET = (
    "@inproceedings{leguen2020disentangling, title={Disentangling Physical Dynamics from Unknown Factors for "
    "Unsupervised Video Prediction}, author={Le Guen, Vincent and Thome, Nicolas}, booktitle={CVPR}, year={2020}}",
)


@vpbench.hookimpl
def vpbench_models() -> Iterator[vpbench.ModelSpec]:
    """The floors, then what learns."""
    yield from floor_specs()
    yield from recurrent_specs()


def recurrent_specs() -> Iterator[vpbench.ModelSpec]:
    """ConvLSTM and PhyDNet, each at its published size and for small frames."""
    convlstm_small = _weights("convlstm-small", "cafded90bbb0515b39c945b66f6b4074ca56f45181d6b1fa9877e2d4f4140bdc")
    phydnet_small = _weights("phydnet-small", "3c76744e6035de4237b79ccd77d79e076e709d18b0c52480c557d9553a3d4935")
    for name, config, weights, summary in (
        ("convlstm", "Config", (), "ConvLSTM: four layers of convolutional LSTMs predict the next frame"),
        ("convlstm-large", "LargeConfig", (), "ConvLSTM with half as many maps again"),
        ("convlstm-small", "SmallConfig", (convlstm_small,), "ConvLSTM, for frames of 32×32"),
    ):
        yield vpbench.ModelSpec(
            name=name,
            factory="vpbench_baselines.convlstm:ConvLSTM",
            config=f"vpbench_baselines.convlstm_config:{config}",
            summary=summary,
            version="1",
            learns="weights",
            prefix_stable=True,
            weights=weights,
            importer="vpbench_baselines.importing:import_convlstm",
            capabilities=frozenset({"any-context-length"}),
            cites=CONVLSTM,
        )
    for name, config, weights, summary in (
        ("phydnet", "Config", (), "PhyDNet: learnt derivatives move the frame, a ConvLSTM adds what they do not know"),
        ("phydnet-small", "SmallConfig", (phydnet_small,), "PhyDNet, for frames of 32×32"),
    ):
        yield vpbench.ModelSpec(
            name=name,
            factory="vpbench_baselines.phydnet:PhyDNet",
            config=f"vpbench_baselines.phydnet_config:{config}",
            summary=summary,
            version="1",
            learns="weights",
            prefix_stable=True,
            weights=weights,
            importer="vpbench_baselines.importing:import_phydnet",
            capabilities=frozenset({"any-context-length"}),
            cites=PHYDNET,
        )


def _weights(name: str, sha256: str) -> vpbench.Weights:
    """What the wheel has for a small model."""
    return vpbench.Weights(
        file=f"vpbench_baselines:weights/{name}-moving-mnist-10.safetensors",
        sha256=sha256,
        dataset="moving-mnist",
        frame_shape=(1, 32, 32),
        context=10,
    )


def floor_specs() -> Iterator[vpbench.ModelSpec]:
    """Predictions that take no thought."""
    yield vpbench.ModelSpec(
        name="black",
        factory="vpbench_baselines.floors:Black",
        summary="Black frames: what sparse bright objects on black give away for nothing",
        version="1",
        role="floor",
        prefix_stable=True,
        capabilities=ANY_TASK,
    )
    yield vpbench.ModelSpec(
        name="copy-last",
        factory="vpbench_baselines.floors:CopyLast",
        summary="Repeat the last context frame",
        version="1",
        role="floor",
        prefix_stable=True,
        capabilities=ANY_TASK,
        tasks=PREDICTIONS,
    )
    yield vpbench.ModelSpec(
        name="context-mean",
        factory="vpbench_baselines.floors:ContextMean",
        summary="Repeat the mean of the context frames",
        version="1",
        role="floor",
        prefix_stable=True,
        capabilities=ANY_TASK,
        tasks=PREDICTIONS,
    )
    yield vpbench.ModelSpec(
        name="train-mean",
        factory="vpbench_baselines.floors:TrainMean",
        summary="Repeat the mean training frame: the best answer that ignores the context",
        version="1",
        role="floor",
        prefix_stable=True,
        learns="statistics",
        capabilities=ANY_TASK,
        assumptions="the mean frame of training clips",
    )
    yield vpbench.ModelSpec(
        name="copy-appearance",
        factory="vpbench_baselines.floors:CopyAppearance",
        summary="Repeat the last frame of the clip whose looks are wanted: places are right by chance",
        version="1",
        role="floor",
        prefix_stable=True,
        capabilities=ANY_TASK,
        tasks=("swap",),
    )
    yield vpbench.ModelSpec(
        name="linear-blend",
        factory="vpbench_baselines.floors:LinearBlend",
        summary="Blend the two context frames around a time, linear in time; copy-last after the last one",
        version="1",
        role="floor",
        prefix_stable=True,
        capabilities=ANY_TIME,
        tasks=("interpolate",),  # after the context it is copy-last, which is on the board as it is
    )
