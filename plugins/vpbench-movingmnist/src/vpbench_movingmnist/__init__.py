"""Moving MNIST for vpbench. This entry module names things and imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

import vpbench

#: Bump one when a frame or a truth value of its dataset changes; it goes into the fingerprint.
MOVING_MNIST_VERSION = "1"
TORONTO_VERSION = "1"

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
            vpbench.TruthField(name="positions", per="frame", unit="px"),
            vpbench.TruthField(name="velocities", per="frame", unit="px/frame"),
            vpbench.TruthField(name="digits", per="clip", unit="index"),
            vpbench.TruthField(name="labels", per="clip", unit="class"),
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
        prefix_stable=True,
        capabilities=frozenset({"any-context-length"}),
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
        capabilities=frozenset({"any-context-length"}),
        assumptions=told,
        datasets=("moving-mnist",),
    )
