"""Presets: what the code bases that published most tables compute, each a group of metrics named after it.

``--metrics openstl`` measures the group. All are off by default: they exist so that a number can be put beside a
published one, and no board ranks rows of different conventions together.

Each definition says what the code does, and where we depart from it, which is where it gives no usable number (an
infinite PSNR), weighs clips by the batch they fell into, or leaves clips out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from vpbench import MetricSpec

_METRICS = "vpbench_metrics.metrics"
_OWN = "vpbench_metrics.convention_metrics"
_RAW = frozenset({"raw"})

# ----------------------------------------------------------------------------------------- words that definitions share

_UNCLAMPED = "the prediction as the model gave it, unclamped, and the truth in [0, 1]"
_CLAMPED = "the clamped prediction and the truth, both in [0, 1]"
_FRAME_SUM = "sum over the channels and pixels of a frame, then mean over clips and steps"
_FRAME_MEAN = "mean over the channels and pixels of a frame, then over clips and steps"
_UNIFORM_7 = "uniform window 7x7, sample covariance, K1 .01, K2 .03"
_GAUSSIAN_11 = "Gaussian window 11x11 with sigma 1.5, population covariance, K1 .01, K2 .03"
_INSIDE = "mean over the windows that lie wholly inside the frame"
_THEN_MEAN = "then mean over clips and steps"
_CAP = "capped at 100 dB where the original is infinite"
_TRUNCATED = "the clamped prediction and the truth as uint8(255 x), rounded down"
_ROUNDED = "the clamped prediction and the truth as 8-bit images, rounded to the nearest level"


def specs() -> Iterator[MetricSpec]:
    """The metrics of all conventions."""
    for convention in (_openstl, _phydnet, _predrnn, _vidode, _ignite, _vpsuite, _simvp_v1, _valid_gauss):
        yield from convention()


def _openstl() -> Iterator[MetricSpec]:
    spec = partial(
        MetricSpec,
        convention="openstl",
        version="1",
        default=False,
        cites=("Tan et al., OpenSTL: A comprehensive benchmark of spatio-temporal predictive learning, NeurIPS 2023",),
    )
    yield spec(
        name="openstl-mse",
        factory=f"{_OWN}:UnclampedMSESum",
        summary="Squared error per frame as OpenSTL sums it",
        higher_is_better=False,
        statistics=("squared_error_sum_unclamped",),
        needs=_RAW,
        mean_optimal=True,
        definition=f"Squared difference of {_UNCLAMPED}: {_FRAME_SUM}.",
    )
    yield spec(
        name="openstl-mae",
        factory=f"{_OWN}:UnclampedMAESum",
        summary="Absolute error per frame as OpenSTL sums it",
        higher_is_better=False,
        statistics=("absolute_error_sum_unclamped",),
        needs=_RAW,
        definition=f"Absolute difference of {_UNCLAMPED}: {_FRAME_SUM}.",
    )
    yield spec(
        name="openstl-rmse",
        factory=f"{_OWN}:UnclampedRMSESum",
        summary="Root of OpenSTL's squared error per frame",
        higher_is_better=False,
        statistics=("squared_error_sum_unclamped",),
        needs=_RAW,
        mean_optimal=True,
        definition=f"Squared difference of {_UNCLAMPED}: {_FRAME_SUM}, and of that mean the root.",
    )
    yield spec(
        name="openstl-ssim",
        factory=f"{_OWN}:SSIMUniform7Range2",
        summary="SSIM 7x7 with value range 2, as OpenSTL's tables have it",
        higher_is_better=True,
        statistics=("ssim_uniform7_range2",),
        min_size=7,
        definition=f"Structural similarity of {_CLAMPED}, {_UNIFORM_7}, value range 2 (what scikit-image took for "
        f"float images that it was told no range of): {_INSIDE}, then over channels, clips and steps.",
    )
    yield spec(
        name="openstl-psnr",
        factory=f"{_METRICS}:PSNR",
        summary="Mean of per-frame PSNR as OpenSTL takes it",
        higher_is_better=True,
        unit="dB",
        statistics=("psnr",),
        definition="10 log10(1 / MSE) of each frame, MSE of the clamped prediction over its channels and pixels, value "
        f"range 1, {_CAP}; {_THEN_MEAN}.",
    )


def _phydnet() -> Iterator[MetricSpec]:
    spec = partial(
        MetricSpec,
        convention="phydnet",
        version="1",
        default=False,
        needs=_RAW,
        cites=(
            "Le Guen and Thome, Disentangling physical dynamics from unknown factors for unsupervised video "
            "prediction, CVPR 2020",
        ),
    )
    departs = "all clips alike where the original averages its batches"
    for name, what, mean_optimal in (("mse", "squared", True), ("mae", "absolute", False)):
        yield spec(
            name=f"phydnet-{name}",
            factory=f"{_OWN}:Unclamped{name.upper()}PerChannel",
            summary=f"{what.capitalize()} error per frame as PhyDNet sums it",
            higher_is_better=False,
            statistics=(f"{what}_error_sum_per_channel_unclamped",),
            mean_optimal=mean_optimal,
            definition=f"{what.capitalize()} difference of {_UNCLAMPED}: sum over the pixels of a frame, mean over its "
            f"channels, {_THEN_MEAN}, {departs}.",
        )
    yield spec(
        name="phydnet-ssim",
        factory=f"{_OWN}:UnclampedSSIMUniform7Range2",
        summary="SSIM 7x7 with value range 2, before clamping, as PhyDNet's",
        higher_is_better=True,
        statistics=("ssim_uniform7_range2_first_channel_unclamped",),
        min_size=7,
        definition=f"Structural similarity of {_UNCLAMPED}, first channel only, {_UNIFORM_7}, value range 2 (what "
        f"scikit-image took for float images that it was told no range of): {_INSIDE}, {_THEN_MEAN}, {departs}.",
    )


def _predrnn() -> Iterator[MetricSpec]:
    spec = partial(
        MetricSpec,
        convention="predrnn",
        version="1",
        default=False,
        cites=("Wang et al., PredRNN: A recurrent neural network for spatiotemporal predictive learning, TPAMI 2022",),
    )
    departs = "over all clips where the original leaves out the last batch"
    yield spec(
        name="predrnn-mse-seq",
        factory=f"{_OWN}:SequenceMSESum",
        summary="PredRNN's headline 'mse per seq', summed over all steps",
        higher_is_better=False,
        statistics=("squared_error_sum_of_sequence",),
        over_steps="sum",
        mean_optimal=True,
        definition=f"Squared difference of {_CLAMPED}: sum over the channels and pixels of a frame and over all "
        "predicted frames of a clip, then mean over clips, so that it grows with the horizon, its value at one of the "
        f"steps being that of one frame; not a mean over clips and steps, and {departs}.",
    )
    yield spec(
        name="predrnn-mse",
        factory=f"{_METRICS}:MSESum",
        summary="Squared error per frame as PredRNN sums it",
        higher_is_better=False,
        statistics=("squared_error_sum",),
        mean_optimal=True,
        definition=f"Squared difference of {_CLAMPED}: {_FRAME_SUM}, {departs}.",
    )
    yield spec(
        name="predrnn-ssim",
        factory=f"{_OWN}:TruncatedSSIM",
        summary="SSIM 7x7 of uint8 images, as PredRNN's",
        higher_is_better=True,
        statistics=("ssim_uniform7_truncated",),
        min_size=7,
        definition=f"Structural similarity of {_TRUNCATED}, {_UNIFORM_7}, value range 255: {_INSIDE}, then over "
        f"channels, clips and steps, {departs}.",
    )
    yield spec(
        name="predrnn-psnr",
        factory=f"{_OWN}:TruncatedPSNR",
        summary="Mean of per-frame PSNR of uint8 images, as PredRNN's",
        higher_is_better=True,
        unit="dB",
        statistics=("psnr_truncated",),
        definition=f"10 log10(255² / MSE) of each frame, MSE of {_TRUNCATED}, over its channels and pixels, without "
        f"overflow, {_CAP}; {_THEN_MEAN}, {departs}.",
    )


def _vidode() -> Iterator[MetricSpec]:
    spec = partial(
        MetricSpec,
        convention="vidode",
        version="1",
        default=False,
        cites=(
            "Park et al., Vid-ODE: Continuous-time video generation with neural ordinary differential equation, "
            "AAAI 2021",
        ),
    )
    yield spec(
        name="vidode-mse",
        factory=f"{_OWN}:RoundedMSE",
        summary="Mean squared error of 8-bit images, as Vid-ODE's",
        higher_is_better=False,
        statistics=("squared_error_rounded",),
        definition=f"Squared difference of {_ROUNDED} and taken as fractions of 255: {_FRAME_MEAN}.",
    )
    yield spec(
        name="vidode-psnr",
        factory=f"{_OWN}:RoundedPooledPSNR",
        summary="PSNR of the mean squared error of 8-bit images, as Vid-ODE's",
        higher_is_better=True,
        unit="dB",
        statistics=("squared_error_rounded",),
        definition=f"10 log10(1 / MSE) of the mean MSE of {_ROUNDED} and taken as fractions of 255, over channels, "
        f"pixels, clips and steps, {_CAP}.",
    )
    yield spec(
        name="vidode-ssim",
        factory=f"{_OWN}:RoundedLumaSSIM",
        summary="SSIM 11x11 Gaussian of 8-bit grey images, as Vid-ODE's",
        higher_is_better=True,
        statistics=("ssim_gaussian11_rounded_luma",),
        min_size=11,
        definition=f"Structural similarity of {_ROUNDED} and colour then turned to grey (ITU-R 601, 8-bit), "
        f"{_GAUSSIAN_11}, value range 255: {_INSIDE}, {_THEN_MEAN}.",
    )


def _ignite() -> Iterator[MetricSpec]:
    spec = partial(
        MetricSpec,
        convention="ignite",
        version="1",
        default=False,
        needs=_RAW,
        cites=(
            "Fomin et al., High-level library to help with training and evaluating neural networks in PyTorch, 2020",
        ),
    )
    yield spec(
        name="ignite-mse",
        factory=f"{_OWN}:UnclampedMSE",
        summary="Mean squared error per pixel, before clamping",
        higher_is_better=False,
        statistics=("squared_error_unclamped",),
        mean_optimal=True,
        definition=f"Squared difference of {_UNCLAMPED}: {_FRAME_MEAN}.",
    )
    yield spec(
        name="ignite-psnr",
        factory=f"{_OWN}:UnclampedPSNR",
        summary="Mean of per-frame PSNR, before clamping",
        higher_is_better=True,
        unit="dB",
        statistics=("psnr_unclamped",),
        definition=f"10 log10(1 / MSE) of each frame, MSE of {_UNCLAMPED}, over channels and pixels, value range 1, "
        f"{_CAP}; {_THEN_MEAN}.",
    )
    yield spec(
        name="ignite-ssim",
        factory=f"{_OWN}:UnclampedReflectSSIM",
        summary="SSIM 11x11 Gaussian with mirrored edges, as pytorch-ignite's",
        higher_is_better=True,
        statistics=("ssim_gaussian11_reflect_unclamped",),
        min_size=6,
        definition=f"Structural similarity of {_UNCLAMPED}, {_GAUSSIAN_11}, value range 1, frames mirrored by 5 pixels "
        "at each edge so that there is a window around every pixel: mean over all of them, then over channels, clips "
        "and steps.",
    )


def _vpsuite() -> Iterator[MetricSpec]:
    spec = partial(
        MetricSpec,
        convention="vpsuite",
        version="1",
        default=False,
        needs=_RAW,
        cites=("Boltres, vp-suite: A framework for training and evaluating video prediction models, 2022",),
    )
    grey = "grey taken as three equal channels, as its Moving MNIST is stored"
    yield spec(
        name="vpsuite-mse",
        factory=f"{_OWN}:UnclampedMSESumOfThreeChannels",
        summary="Squared error per frame of three channels: 3 times that of grey",
        higher_is_better=False,
        statistics=("squared_error_sum_of_three_channels_unclamped",),
        mean_optimal=True,
        definition=f"Squared difference of {_UNCLAMPED}, {grey} (so 3 times the usual number): {_FRAME_SUM}.",
    )
    yield spec(
        name="vpsuite-psnr",
        factory=f"{_OWN}:UnclampedPSNR",
        summary="Mean of per-frame PSNR, before clamping",
        higher_is_better=True,
        unit="dB",
        statistics=("psnr_unclamped",),
        definition=f"10 log10(1 / MSE) of each frame, MSE of {_UNCLAMPED}, over channels and pixels, value range 1, "
        f"{_CAP}; {_THEN_MEAN}.",
    )
    yield spec(
        name="vpsuite-ssim",
        factory=f"{_OWN}:HalvedSSIM",
        summary="SSIM 11x11 Gaussian of frames squeezed into [.5, 1], as vp-suite's",
        higher_is_better=True,
        statistics=("ssim_gaussian11_halved_unclamped",),
        min_size=11,
        definition=f"Structural similarity of x -> (x + 1) / 2, then clamped to [0, 1], of {_UNCLAMPED} (a step meant "
        f"for frames in [-1, 1], which leaves these half their contrast), {grey}, {_GAUSSIAN_11}, value range 1: "
        f"{_INSIDE}, then over channels, clips and steps.",
    )


def _simvp_v1() -> Iterator[MetricSpec]:
    spec = partial(
        MetricSpec,
        convention="simvp-v1",
        version="1",
        default=False,
        cites=("Gao et al., SimVP: Simpler yet better video prediction, CVPR 2022",),
    )
    yield spec(
        name="simvp-v1-mse",
        factory=f"{_OWN}:UnclampedMSESum",
        summary="Squared error per frame as SimVP sums it",
        higher_is_better=False,
        statistics=("squared_error_sum_unclamped",),
        needs=_RAW,
        mean_optimal=True,
        definition=f"Squared difference of {_UNCLAMPED}: {_FRAME_SUM}.",
    )
    yield spec(
        name="simvp-v1-mae",
        factory=f"{_OWN}:UnclampedMAESum",
        summary="Absolute error per frame as SimVP sums it",
        higher_is_better=False,
        statistics=("absolute_error_sum_unclamped",),
        needs=_RAW,
        definition=f"Absolute difference of {_UNCLAMPED}: {_FRAME_SUM}.",
    )
    yield spec(
        name="simvp-v1-ssim",
        factory=f"{_OWN}:SSIMUniform7Range2",
        summary="SSIM 7x7 with value range 2, as SimVP's first code has it",
        higher_is_better=True,
        statistics=("ssim_uniform7_range2",),
        min_size=7,
        definition=f"Structural similarity of {_CLAMPED}, {_UNIFORM_7}, value range 2 (what scikit-image took for "
        f"float images that it was told no range of): {_INSIDE}, then over channels, clips and steps.",
    )
    yield spec(
        name="simvp-v1-psnr",
        factory=f"{_OWN}:OverflowPSNR",
        summary="A warning, not a measure: PSNR with uint8 overflow",
        higher_is_better=True,
        unit="dB",
        statistics=("psnr_truncated_overflow",),
        exhibit=True,
        definition=f"Not to be compared: 10 log10(255² / MSE) of each frame, MSE of {_TRUNCATED}, with differences and "
        f"their squares modulo 256 as uint8 arithmetic leaves them, so never below 24.16 dB, {_CAP}; {_THEN_MEAN}.",
    )


def _valid_gauss() -> Iterator[MetricSpec]:
    spec = partial(
        MetricSpec,
        convention="valid-gauss",
        version="1",
        default=False,
        cites=("Hu, common_metrics_on_video_quality, 2023",),
    )
    range_1 = "the original takes frames in [0, 1] as they are given"
    yield spec(
        name="valid-gauss-ssim",
        factory=f"{_METRICS}:SSIM",
        summary="SSIM 11x11 Gaussian, windows inside the frame: the default's",
        higher_is_better=True,
        statistics=("ssim",),
        min_size=11,
        definition=f"Structural similarity of {_CLAMPED} ({range_1}), {_GAUSSIAN_11}, value range 1: {_INSIDE}, then "
        "over channels, clips and steps.",
    )
    yield spec(
        name="valid-gauss-psnr",
        factory=f"{_METRICS}:PSNR",
        summary="Mean of per-frame PSNR: the default's",
        higher_is_better=True,
        unit="dB",
        statistics=("psnr",),
        definition="10 log10(1 / MSE) of each frame, MSE of the clamped prediction over its channels and pixels "
        f"({range_1}), value range 1, 100 dB where that is below 1e-10; {_THEN_MEAN}.",
    )
