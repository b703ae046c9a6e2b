"""Training targets of the net: many scalars of the spectra, so that none is preferred.

They are principal components of the spectra of a scene, and scalars drawn at random of the kinds that people use: dI/dV in a
window of the bias, its share in the whole, and the width of the gap. The drawn scalars carry noise and are warped as an agent
would warp them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.agents._spectra import LOG_ONSET
from bluesky_stm.agents._targets import TAILS, Warp
from bluesky_stm.geometry import Floats
from bluesky_stm.pretrain._scenes import BIAS

TASK_COMPONENTS = 4
"""Number of principal components of the spectra of a scene that serve as values."""

TASK_SCALARS = 6
"""Number of scalars that are drawn at random for a scene, as many of each of the three kinds."""

NOISE, LEVEL = 0.01, 0.05
"""Median standard deviation of the noise of dI/dV, and median level below which it counts as a gap; both in nS."""

CLIPPED_AT = 6.0
"""Magnitude, in standard deviations, at which warped values are clipped."""


def components(didv: Floats) -> Floats:
    """Return the first principal components of spectra.

    Parameters
    ----------
    didv : ndarray of shape (n, K)
        In nS.

    Returns
    -------
    ndarray of shape (n, c)
        Unit variance each; c is less than `TASK_COMPONENTS` where the spectra hardly differ.
    """
    curves = np.arcsinh(didv / LOG_ONSET)
    curves = curves - curves.mean(axis=0)
    scores, sizes, _ = np.linalg.svd(curves, full_matrices=False)
    kept = sizes[:TASK_COMPONENTS] > 0.03 * sizes[0] if sizes[0] > 1e-9 else np.zeros(TASK_COMPONENTS, dtype=bool)
    return scores[:, :TASK_COMPONENTS][:, kept] * math.sqrt(len(didv))


def scalars(didv: Floats, rng: np.random.Generator) -> Floats:
    """Return scalars of spectra, drawn at random and measured with noise.

    Parameters
    ----------
    didv : ndarray of shape (n, K)
        In nS, on the bias axis of the scenes.
    rng : numpy.random.Generator
        Source of the choice and of the noise.

    Returns
    -------
    ndarray of shape (n, c)
        Warped, centred, with unit variance; c is less than `TASK_SCALARS` where a scalar does not vary.
    """
    found = []
    for i in range(TASK_SCALARS):
        noise = NOISE * np.exp(0.5 * rng.standard_normal())
        values = (_inside, _share, _gap)[i % 3](didv + noise * rng.standard_normal(didv.shape), rng)
        if values.std() > 1e-6:
            warped = Warp.fitted(values, float(rng.choice(TAILS)))(values)
            found.append(np.clip(warped, -CLIPPED_AT, CLIPPED_AT))
    return np.array(found).reshape(-1, len(didv)).T


def _inside(didv: Floats, rng: np.random.Generator) -> Floats:
    return didv[:, _window(rng, -1.5, 1.5)].mean(axis=1)


def _share(didv: Floats, rng: np.random.Generator) -> Floats:
    return didv[:, _window(rng, -1.1, 0.6)].sum(axis=1) / np.maximum(np.abs(didv).sum(axis=1), 1e-3)


def _gap(didv: Floats, rng: np.random.Generator) -> Floats:
    level = LEVEL * np.exp(0.7 * rng.standard_normal())
    smooth = (didv[:, :-2] + didv[:, 1:-1] + didv[:, 2:]) / 3
    return (np.abs(smooth) < level).mean(axis=1)


def _window(rng: np.random.Generator, low: float, high: float) -> NDArray[np.bool_]:
    """Return a part of the sweep, at least 0.1 V wide, drawn between ``low`` and ``high``, in V, as a mask (K,)."""
    first, last = np.sort(rng.uniform(low, high, 2))
    return (BIAS.bias >= first - 0.03) & (BIAS.bias <= max(last, first + 0.1) + 0.03)
