"""Linear maps from codes to truth, in float64: ridge regression in closed form, and multinomial logistic regression.

How strongly a map is held back is chosen on clips it was not fitted on, and which it is not tested on either.

Hoerl and Kennard, Ridge regression: biased estimation for nonorthogonal problems, Technometrics 12, 1970; Hastie,
Tibshirani and Friedman, The Elements of Statistical Learning, 2009, equations 3.47 (ridge by the singular value
decomposition) and 4.19, 18.11 (penalised multinomial likelihood).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Penalties per example on weights of standardised codes, from weak to strong.
RIDGE_STRENGTHS: tuple[float, ...] = tuple(10.0**power for power in range(-8, 4))

#: The same for classes, from strong to weak: each fit starts where the one before ended.
LOGISTIC_STRENGTHS: tuple[float, ...] = tuple(10.0**power for power in range(1, -5, -1))

_ITERATIONS = 1000
_GRADIENT = 1e-7  # largest entry of the gradient of the mean loss at the end, in nats

#: A code that varies by less than this share of its size is a constant.
CONSTANT = 1e-12


@dataclass(frozen=True)
class LinearMap:
    """What a probe came to: codes (..., K) to values, or logits of classes, (..., C)."""

    weights: np.ndarray  #: float64 (K, C)
    intercept: np.ndarray  #: float64 (C,)
    strengths: tuple[float, ...]  #: chosen penalties: of ridge regression one per value, of classes one for all
    converged: bool = True  #: whether the optimiser came to its end; of a closed form it always has

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        return codes @ self.weights + self.intercept


class Codes:
    """Codes to fit on, float64 (N, K), and others to choose the strength by: decomposed once for all that is probed.

    Each is standardised by mean and standard deviation of the codes to fit on; one that is constant there has no part.
    """

    def __init__(self, train: np.ndarray, val: np.ndarray) -> None:
        self._mean, spread = train.mean(axis=0), train.std(axis=0)
        varies = spread > CONSTANT * np.maximum(np.abs(self._mean), np.finfo(np.float64).tiny)
        self._scale = np.where(varies, spread, 1.0)
        left, singular, right = np.linalg.svd(self._standardised(train) * varies, full_matrices=False)
        floor = singular.max(initial=0.0) * max(train.shape) * np.finfo(np.float64).eps
        kept = singular > floor
        self._left, self._singular, self._axes = left[:, kept], singular[kept], right[kept]
        self._val = self._standardised(val) * varies @ self._axes.T

    def _standardised(self, codes: np.ndarray) -> np.ndarray:
        return (codes - self._mean) / self._scale

    def _map(self, on_axes: np.ndarray, intercept: np.ndarray, strengths: Sequence[float], **facts: bool) -> LinearMap:
        """The map that weights (r, C) on the principal axes of standardised codes come to."""
        weights = (self._axes.T @ on_axes) / self._scale[:, None]
        return LinearMap(weights, intercept - self._mean @ weights, tuple(map(float, strengths)), **facts)

    def ridge(self, train: np.ndarray, val: np.ndarray) -> LinearMap:
        """Regression on values, float64 (N, C) and those of the others (M, C).

        Minimises mean squared error + strength · |weights|² of each value; the strength is that of the least squared
        error on the others, where several are as good the strongest.
        """
        centre = train.mean(axis=0)
        along = self._left.T @ (train - centre)
        best = np.zeros_like(along)
        least, chosen = np.full(len(centre), np.inf), np.zeros(len(centre))
        for strength in reversed(RIDGE_STRENGTHS):
            shrunk = self._singular / (self._singular**2 + len(train) * strength)
            on_axes = shrunk[:, None] * along
            errors = np.square(val - centre - self._val @ on_axes).mean(axis=0)
            better = errors < least
            best[:, better] = on_axes[:, better]
            least, chosen = np.where(better, errors, least), np.where(better, strength, chosen)
        return self._map(best, centre, list(chosen))

    def logistic(self, train: np.ndarray, val: np.ndarray, classes: int) -> LinearMap:
        """Multinomial regression on classes, whole numbers (N,) below `classes`, each there, and those of the others.

        Minimises mean cross-entropy + strength / 2 · |weights|², the intercept being free; the strength is that of the
        least cross-entropy on the others. Of those, classes that are not in `train`, -1, have no part in the choice.
        """
        from scipy.optimize import minimize  # at the moment of use: probes of values need no scipy

        examples, wanted = self._left * self._singular, np.eye(classes)[train]
        known = val >= 0
        held_out, answers = self._val[known], val[known]
        parameters = np.zeros((examples.shape[1] + 1, classes))
        parameters[-1] = np.log(wanted.mean(axis=0))
        best, least, chosen, converged = parameters, np.inf, LOGISTIC_STRENGTHS[0], True
        for strength in LOGISTIC_STRENGTHS:
            found = minimize(
                _penalised_loss,
                parameters.ravel(),
                args=(examples, wanted, strength),
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": _ITERATIONS, "maxfun": 2 * _ITERATIONS, "gtol": _GRADIENT, "ftol": 1e-13},
            )
            parameters = found.x.reshape(parameters.shape)
            logits = held_out @ parameters[:-1] + parameters[-1]
            loss = -float(np.mean(_log_softmax(logits)[np.arange(len(answers)), answers])) if len(answers) else np.inf
            if loss >= least:  # it falls, then rises: what is weaker still remembers more
                break
            best, least, chosen, converged = parameters, loss, strength, bool(found.success)
        return self._map(best[:-1], best[-1], [chosen], converged=converged)


def _penalised_loss(
    flat: np.ndarray, examples: np.ndarray, wanted: np.ndarray, strength: float
) -> tuple[float, np.ndarray]:
    """Mean cross-entropy of logits ``examples @ weights + intercept`` with the penalty on weights, and its gradient."""
    parameters = flat.reshape(-1, wanted.shape[1])
    weights = parameters[:-1]
    logs = _log_softmax(examples @ weights + parameters[-1])
    wrong = (np.exp(logs) - wanted) / len(wanted)
    gradient = np.concatenate([examples.T @ wrong + strength * weights, wrong.sum(axis=0)[None]])
    loss = -float(np.sum(logs * wanted)) / len(wanted) + strength / 2 * float(np.sum(np.square(weights)))
    return loss, gradient.ravel()


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted: np.ndarray = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
