"""Two objectives at once: the Pareto front, the hypervolume (an area) that it covers, and the expected gain of a candidate.

The area lies between a reference point and the front; larger is better in both objectives. With two independent normal
predictions its expected gain is a sum over the steps of the front, each a product of two expected improvements [1]_, so that
no sampling is needed.

References
----------
.. [1] M. Emmerich, A. Deutz, J. W. Klinkenberg, "Hypervolume-based expected improvement: monotonicity properties and exact
   computation", IEEE CEC (2011), doi:10.1109/CEC.2011.5949880
"""

from __future__ import annotations

import numpy as np

from bluesky_stm.agents._acquisition import log_expected_improvement
from bluesky_stm.geometry import Floats


def front(values: Floats) -> Floats:
    """Return the Pareto front of pairs (n, 2): those that no other pair exceeds in both objectives.

    Returns
    -------
    ndarray of shape (k, 2)
        Sorted: the first objective increases, the second decreases.
    """
    falling = values[np.lexsort((-values[:, 1], -values[:, 0]))]
    highest = np.maximum.accumulate(falling[:, 1])
    new = np.append(True, falling[1:, 1] > highest[:-1])
    return falling[new][::-1]


def hypervolume(values: Floats, reference: Floats) -> float:
    """Return the area that pairs cover above a reference point.

    Parameters
    ----------
    values : ndarray of shape (n, 2)
        Pairs; larger is better in both.
    reference : ndarray of shape (2,)
        Pairs that do not exceed it in both objectives do not count.
    """
    above = values[(values > reference).all(axis=1)]
    if not len(above):
        return 0.0
    edge = front(above)
    return float(np.diff(edge[:, 0], prepend=reference[0]) @ (edge[:, 1] - reference[1]))


def log_expected_gain(mean: Floats, std: Floats, known: Floats, reference: Floats) -> Floats:
    """Return the logarithm of the area that a measurement is expected to add.

    Parameters
    ----------
    mean, std : ndarray of shape (m, 2)
        Normal predictions of both objectives at each candidate, independent of each other.
    known : ndarray of shape (n, 2)
        Pairs that were measured.
    reference : ndarray of shape (2,)
        Reference point: a pair that does not exceed it in both objectives covers nothing.

    Returns
    -------
    ndarray of shape (m,)
    """
    from scipy.special import logsumexp

    above = known[(known > reference).all(axis=1)]
    edge = front(above) if len(above) else np.empty((0, 2))
    starts, heights = np.append(reference[0], edge[:, 0]), np.append(edge[:, 1], reference[1])
    along = np.stack([log_expected_improvement(mean[:, 0], std[:, 0], start) for start in starts])
    upward = np.stack([log_expected_improvement(mean[:, 1], std[:, 1], height) for height in heights])
    beyond = np.exp(np.minimum(along[1:] - along[:-1], 0.0))  # of the improvement over a step, what lies over the next ones
    along[:-1] += np.log1p(-np.minimum(beyond, 1.0 - 1e-16))
    return np.asarray(logsumexp(along + upward, axis=0))
