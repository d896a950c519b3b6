"""The metrics of vpbench, by name. Importing this costs nothing but `vpbench`.

Every metric of the default convention measures the prediction clamped to [0, 1] against the truth in [0, 1], frame by
frame, in float64. What other code bases compute is in `vpbench_metrics.conventions`.
"""

from __future__ import annotations

from collections.abc import Iterator

from vpbench import MetricSpec, hookimpl

from . import conventions

_WANG_2004 = (
    "@article{wang2004ssim, author={Wang, Zhou and Bovik, Alan C. and Sheikh, Hamid R. and Simoncelli, Eero P.}, "
    "title={Image quality assessment: from error visibility to structural similarity}, "
    "journal={IEEE Transactions on Image Processing}, volume={13}, number={4}, pages={600--612}, year={2004}}"
)
_SUBBARAO_1993 = "Subbarao, Choi and Nikzad, Focusing techniques, Optical Engineering 32(11), 1993"

_MILLETARI_2016 = (
    "Milletari, Navab and Ahmadi, V-Net: Fully convolutional neural networks for volumetric medical image "
    "segmentation, 3DV 2016"
)
_ZHANG_2018 = (
    "@inproceedings{zhang2018lpips, author={Zhang, Richard and Isola, Phillip and Efros, Alexei A. and Shechtman, Eli "
    "and Wang, Oliver}, title={The unreasonable effectiveness of deep features as a perceptual metric}, "
    "booktitle={CVPR}, year={2018}}"
)
_KRIZHEVSKY_2014 = "Krizhevsky, One weird trick for parallelizing convolutional neural networks, arXiv:1404.5997, 2014"
_UNTERTHINER_2018 = (
    "@article{unterthiner2018fvd, author={Unterthiner, Thomas and van Steenkiste, Sjoerd and Kurach, Karol and "
    "Marinier, Raphael and Michalski, Marcin and Gelly, Sylvain}, title={Towards accurate generative models of video: "
    "a new metric and challenges}, journal={arXiv:1812.01717}, year={2018}}"
)
_SKOROKHODOV_2022 = (
    "Skorokhodov, Tulyakov and Elhoseiny, StyleGAN-V: A continuous video generator with the price, image quality and "
    "perks of StyleGAN2, CVPR 2022"
)


@hookimpl
def vpbench_metrics() -> Iterator[MetricSpec]:
    yield MetricSpec(
        name="mse",
        factory="vpbench_metrics.metrics:MSE",
        summary="Mean squared error per pixel",
        version="1",
        higher_is_better=False,
        statistics=("squared_error",),
        mean_optimal=True,
        definition="Squared difference of the clamped prediction and the truth, both in [0, 1]: mean over the channels "
        "and pixels of a frame, then over clips and steps.",
    )
    yield MetricSpec(
        name="mae",
        factory="vpbench_metrics.metrics:MAE",
        summary="Mean absolute error per pixel",
        version="1",
        higher_is_better=False,
        statistics=("absolute_error",),
        definition="Absolute difference of the clamped prediction and the truth, both in [0, 1]: mean over the "
        "channels and pixels of a frame, then over clips and steps.",
    )
    yield MetricSpec(
        name="mse-sum",
        factory="vpbench_metrics.metrics:MSESum",
        summary="Squared error summed over each frame",
        version="1",
        higher_is_better=False,
        statistics=("squared_error_sum",),
        default=False,  # mse times the number of values in a frame: the same information
        mean_optimal=True,
        definition="Squared difference of the clamped prediction and the truth, both in [0, 1]: sum over the channels "
        "and pixels of a frame, then mean over clips and steps.",
    )
    yield MetricSpec(
        name="mae-sum",
        factory="vpbench_metrics.metrics:MAESum",
        summary="Absolute error summed over each frame",
        version="1",
        higher_is_better=False,
        statistics=("absolute_error_sum",),
        default=False,  # mae times the number of values in a frame: the same information
        definition="Absolute difference of the clamped prediction and the truth, both in [0, 1]: sum over the channels "
        "and pixels of a frame, then mean over clips and steps.",
    )
    yield MetricSpec(
        name="psnr",
        factory="vpbench_metrics.metrics:PSNR",
        summary="Peak signal-to-noise ratio, mean over frames",
        version="1",
        higher_is_better=True,
        unit="dB",
        statistics=("psnr",),
        definition="10 log10(1 / MSE) of each frame, MSE of the clamped prediction over its channels and pixels, value "
        "range 1, capped at 100 dB; then mean over clips and steps, so near-perfect frames weigh most.",
    )
    yield MetricSpec(
        name="psnr-pooled",
        factory="vpbench_metrics.metrics:PooledPSNR",
        summary="Peak signal-to-noise ratio of the mean squared error",
        version="1",
        higher_is_better=True,
        unit="dB",
        statistics=("squared_error",),
        mean_optimal=True,
        definition="10 log10(1 / MSE) of the mean MSE of the clamped prediction over channels, pixels, clips and "
        "steps, value range 1, capped at 100 dB; per step it is of the mean MSE of that step.",
    )
    yield MetricSpec(
        name="ssim",
        factory="vpbench_metrics.metrics:SSIM",
        summary="Structural similarity, Gaussian window",
        version="1",
        higher_is_better=True,
        statistics=("ssim",),
        min_size=11,
        cites=(_WANG_2004,),
        definition="Structural similarity of the clamped prediction and the truth, Gaussian window 11x11 with sigma "
        "1.5, population covariance, K1 .01, K2 .03, value range 1: mean over the windows that lie wholly inside the "
        "frame, then over channels, clips and steps.",
    )
    yield MetricSpec(
        name="iou",
        factory="vpbench_metrics.metrics:IoU",
        summary="Intersection over union of the foreground",
        version="1",
        higher_is_better=True,
        statistics=("foreground_intersection", "foreground_union"),
        definition="Foreground is every value > 0.5, each channel by itself: values that are foreground in the clamped "
        "prediction and in the truth, over values that are in either, both summed over clips and steps before the "
        "division; NaN where neither has any.",
    )
    yield MetricSpec(
        name="sharpness",
        factory="vpbench_metrics.metrics:Sharpness",
        summary="Edge strength over that of the truth, 1 is alike",
        version="1",
        higher_is_better=True,
        ideal=1.0,
        statistics=("gradient_energy_predicted", "gradient_energy_target"),
        min_size=2,
        cites=(_SUBBARAO_1993,),
        definition="Root-mean-square difference of neighbouring pixels of the clamped prediction over that of the "
        "truth, both pooled over clips and steps before the division: 1 is as sharp as the truth, below 1 is blurred "
        "or faded, above 1 is noisier or sharper than the truth, where more is not better; NaN where the truth has no "
        "edge.",
    )
    yield MetricSpec(
        name="foreground-mse",
        factory="vpbench_metrics.foreground:ForegroundMSE",
        summary="Squared error per energy of the foreground, 1 is what black has",
        version="1",
        higher_is_better=False,
        statistics=("squared_error", "energy"),
        cites=(_MILLETARI_2016,),
        definition="Squared difference of the clamped prediction and the truth, both in [0, 1], over predicted² + "
        "target², both summed over channels, pixels, clips and steps before the division: the foreground is the soft "
        "union of what either shows, 1 is nothing in common, as black has, NaN where neither shows anything.",
    )
    yield MetricSpec(
        name="foreground-ssim",
        factory="vpbench_metrics.foreground:ForegroundSSIM",
        summary="Structural similarity where there is something, Gaussian window",
        version="1",
        higher_is_better=True,
        statistics=("energy_weighted_ssim", "window_energy"),
        min_size=11,
        cites=(_WANG_2004,),
        definition="Structural similarity of the clamped prediction and the truth with the windows and constants of "
        "ssim (Gaussian 11x11, sigma 1.5, value range 1, inside the frame), negative ones as 0, each window "
        "weighted with its Gaussian mean of predicted² + target²: weighted mean over all windows, channels, clips and "
        "steps at once, NaN where neither shows anything.",
    )
    yield MetricSpec(
        name="ink-mass",
        factory="vpbench_metrics.foreground:InkMass",
        summary="Intensity over that of the truth, 1 is alike",
        version="1",
        higher_is_better=True,
        ideal=1.0,
        statistics=("intensity_predicted", "intensity_target"),
        definition="Sum of the clamped prediction over the sum of the truth, over channels, pixels, clips and steps: 1 "
        "is as much ink, below 1 it has faded or got lost, above 1 it has multiplied, NaN where the truth has none.",
    )
    yield MetricSpec(
        name="lpips",
        factory="vpbench_metrics.lpips:LPIPS",
        config="vpbench_metrics.lpips:LPIPSConfig",
        summary="Learned perceptual distance (AlexNet, v0.1); needs weights files",
        version="1",
        higher_is_better=False,
        statistics=("lpips",),
        default=False,  # the weights are not ours to ship
        min_size=31,
        cites=(_ZHANG_2018, _KRIZHEVSKY_2014),
        definition="LPIPS v0.1 with AlexNet, by the weights files given: clamped prediction and truth are scaled "
        "to [-1, 1], grey as three equal channels, size unchanged; squared differences of the unit-normalised "
        "activations of five layers are weighted by the heads, mean over places and sum over layers, then mean over "
        "clips and steps.",
    )
    yield MetricSpec(
        name="fvd",
        factory="vpbench_metrics.fvd:FVD",
        config="vpbench_metrics.fvd:FVDConfig",
        summary="Fréchet video distance, stretches of 16 frames; needs a weights file",
        version="1",
        higher_is_better=False,
        window=16,
        default=False,  # the weights are not ours to ship
        cites=(_UNTERTHINER_2018, _SKOROKHODOV_2022),
        definition="Fréchet distance between Gaussians fitted to the features of all predicted and of all true "
        "stretches of 16 frames, context left out, sample covariance, in float64, once over all clips and steps: "
        "features are what the detector given (TorchScript I3D of Kinetics-400) returns with rescale, resize and "
        "return_features for the clamped frames times 255, not rounded, grey as three equal channels; it falls with "
        "the number of stretches, so compare at equal numbers only, and is NaN with no more stretches than features.",
    )
    yield from conventions.specs()
