"""The Fréchet distance between Gaussians fitted to two sets of feature vectors. Knows numpy alone."""

from __future__ import annotations

import numpy as np


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Squared Fréchet (2-Wasserstein) distance between Gaussians with the means and covariances of two sets.

    first, second  (N, D) and (M, D), one vector a row; N and M at least 2
    returns        |m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½) (Dowson and Landau 1982), with sample covariances (N - 1);
                   at least 0

    Raises ValueError for sets of another shape.

    The root of the product is not taken: with R a root of C (C = Rᵀ R, from a QR decomposition of the centred vectors)
    its trace is the sum of the singular values of R1 R2ᵀ. Covariances are never formed, so small eigenvalues keep their
    digits (the root of an eigenvalue that is off by 1e-16 is off by 1e-8), and singular ones need no offset.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise ValueError(
            f"the Fréchet distance compares two sets (N, D) of at least 2 vectors of one length: "
            f"{first.shape} and {second.shape}"
        )
    root_1, root_2 = _covariance_root(first), _covariance_root(second)
    means = np.sum((first.mean(axis=0) - second.mean(axis=0)) ** 2)
    shared = np.linalg.svd(root_1 @ root_2.T, compute_uv=False).sum()
    return max(0.0, float(means + np.sum(root_1**2) + np.sum(root_2**2) - 2 * shared))  # rounding may give -1e-16


def _covariance_root(vectors: np.ndarray) -> np.ndarray:
    """A matrix R with Rᵀ R the sample covariance, (min(N, D), D)."""
    centred = vectors - vectors.mean(axis=0)
    return np.linalg.qr(centred, mode="r") / np.sqrt(len(vectors) - 1)
