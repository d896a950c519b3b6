"""Moving MNIST for vpbench. This entry module names things and imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

import vpbench

#: Bump one when a frame or a truth value of its dataset changes; it goes into the fingerprint.
MOVING_MNIST_VERSION = "1"
TORONTO_VERSION = "1"

#: As above, for what the digit metrics measure: the search for digits, and the network with its weights.
DIGIT_METRICS_VERSION = "1"

#: As above, for the frames that the ceilings predict.
BAYES_VERSION = "1"

_SRIVASTAVA = """@inproceedings{srivastava2015unsupervised,
  title = {Unsupervised Learning of Video Representations using {LSTM}s},
  author = {Srivastava, Nitish and Mansimov, Elman and Salakhutdinov, Ruslan},
  booktitle = {International Conference on Machine Learning},
  year = {2015}
}"""
_LECUN = """@article{lecun1998gradient,
  title = {Gradient-based learning applied to document recognition},
  author = {LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick},
  journal = {Proceedings of the IEEE},
  volume = {86},
  number = {11},
  pages = {2278--2324},
  year = {1998}
}"""
_MALLAT = """@article{mallat1993matching,
  title = {Matching pursuits with time-frequency dictionaries},
  author = {Mallat, St{\\'e}phane G. and Zhang, Zhifeng},
  journal = {IEEE Transactions on Signal Processing},
  volume = {41},
  number = {12},
  pages = {3397--3415},
  year = {1993}
}"""
_ZHANG = """@inproceedings{zhang2018unreasonable,
  title = {The Unreasonable Effectiveness of Deep Features as a Perceptual Metric},
  author = {Zhang, Richard and Isola, Phillip and Efros, Alexei A. and Shechtman, Eli and Wang, Oliver},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition},
  year = {2018}
}"""


@vpbench.hookimpl
def vpbench_datasets() -> Iterable[vpbench.DatasetSpec]:
    yield vpbench.DatasetSpec(
        name="moving-mnist",
        factory="vpbench_movingmnist.dataset:MovingMNIST",
        config="vpbench_movingmnist.dataset:Config",
        summary="Bouncing MNIST digits, generated: any length, digits disjoint by split",
        version=MOVING_MNIST_VERSION,
        license="CC BY-SA 3.0 (MNIST digits: LeCun, Cortes, Burges)",
        truth=(
            vpbench.TruthField(name="positions", per="frame", unit="px", objects=True),
            vpbench.TruthField(name="velocities", per="frame", unit="px/frame", objects=True),
            vpbench.TruthField(name="digits", per="clip", unit="index", objects=True),
            vpbench.TruthField(name="labels", per="clip", unit="class", objects=True),
            vpbench.TruthField(name="stride", per="clip", unit="canvas/frame"),
            vpbench.TruthField(name="angles", per="frame", unit="degrees", objects=True),
            vpbench.TruthField(name="scales", per="frame", unit="of full size", objects=True),
            vpbench.TruthField(name="spins", per="clip", unit="degrees/frame", objects=True),
            vpbench.TruthField(name="phases", per="clip", unit="turns", objects=True),
            vpbench.TruthField(name="scaling", per="clip", unit="of full size"),
        ),
        cites=(_SRIVASTAVA, _LECUN),
    )
    yield vpbench.DatasetSpec(
        name="moving-mnist-toronto",
        factory="vpbench_movingmnist.toronto:MovingMNISTToronto",
        config="vpbench_movingmnist.toronto:Config",
        summary="The published test file of Moving MNIST: 10,000 clips of 20 frames",
        version=TORONTO_VERSION,
        license="none stated; made from MNIST digits (CC BY-SA 3.0: LeCun, Cortes, Burges)",
        fetch="vpbench_movingmnist.toronto:fetch",
        caveat="its digits are probably MNIST training digits, so models trained on those have seen them",
        cites=(_SRIVASTAVA, _LECUN),
    )


@vpbench.hookimpl
def vpbench_models() -> Iterable[vpbench.ModelSpec]:
    told = "is told the digits and their whole-pixel positions in the context frames"
    yield vpbench.ModelSpec(
        name="bayes",
        factory="vpbench_movingmnist.bayes:Bayes",
        summary="The mean of all futures the generator allows: of all predictions the least expected squared error",
        version=BAYES_VERSION,
        role="ceiling",
        posterior_mean=True,
        prefix_stable=True,
        capabilities=frozenset({"any-context-length", "swap"}),
        assumptions=told,
        datasets=("moving-mnist",),
    )
    yield vpbench.ModelSpec(
        name="bayes-sample",
        factory="vpbench_movingmnist.bayes:BayesSample",
        summary="One of the futures the generator allows, drawn by its probability: sharp, twice the squared error",
        version=BAYES_VERSION,
        role="ceiling",
        prefix_stable=True,
        capabilities=frozenset({"any-context-length", "swap"}),
        assumptions=told,
        datasets=("moving-mnist",),
    )


@vpbench.hookimpl
def vpbench_metrics() -> Iterable[vpbench.MetricSpec]:
    found = ("digit_position_error", "digit_identity")  # of one search: both metrics name both, so it is made once
    yield vpbench.MetricSpec(
        name="digit-position-error",
        factory="vpbench_movingmnist.digit_metrics:DigitPositionError",
        summary="How far the digits are from where they should be",
        version=DIGIT_METRICS_VERSION,
        higher_is_better=False,
        unit="px",
        statistics=found,
        needs=frozenset({"truth:positions", "truth:digits"}),
        min_size=28,
        cites=(_MALLAT, "Kuhn, The Hungarian method for the assignment problem, Naval Research Logistics 2, 1955"),
        definition="The true glyphs are looked for in the clamped prediction by a matched filter of free brightness, "
        "one explained away after the other, then each moved in turn to where the overlay fits best; paired with the "
        "true whole-pixel places by the Hungarian method: mean distance over digits, then clips and steps; a digit of "
        "which nothing is seen has its mean distance to all places; of equal places the one nearest the centre counts.",
    )
    yield vpbench.MetricSpec(
        name="digit-identity",
        factory="vpbench_movingmnist.digit_metrics:DigitIdentity",
        summary="Share of the digits that can be read where they were found",
        version=DIGIT_METRICS_VERSION,
        higher_is_better=True,
        statistics=found,
        needs=frozenset({"truth:positions", "truth:digits"}),
        min_size=28,
        definition="Share of the digits that a bundled network reads as their true class from the window of the "
        "clamped prediction where digit-position-error found them, mean over digits, clips and steps; a digit of which "
        "nothing is seen is wrong, chance is 0.1, and digits that overlap keep the truth itself below 1.",
    )
    yield vpbench.MetricSpec(
        name="digit-feature-distance",
        factory="vpbench_movingmnist.digit_metrics:DigitFeatureDistance",
        summary="Distance in the features of a network that reads digits",
        version=DIGIT_METRICS_VERSION,
        higher_is_better=False,
        statistics=("digit_feature_distance",),
        needs=frozenset({"truth:digits"}),  # it takes no more than frames, but frames of such digits
        min_size=28,
        cites=(_ZHANG,),
        definition="Features f of the bundled network as f / sqrt(|f|² + 0.01), less those of a black frame: squared "
        "difference of the clamped prediction and the truth over the squares of both, sums over space and channels, "
        "mean over the five layers, clips and steps; black scores 1; neither LPIPS nor FVD.",
    )
