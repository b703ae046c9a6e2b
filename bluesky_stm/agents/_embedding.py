"""The two principal directions of a feature space, for display."""

from __future__ import annotations

import numpy as np

from bluesky_stm.geometry import Floats


def principal_plane(features: Floats) -> Floats:
    """Return the first two principal components of features (n, d).

    Returns
    -------
    ndarray of shape (n, 2)
        Centred. Order and sign of the components do not depend on the order of the features.
    """
    centred = features - features.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    flat = np.zeros((len(features), 2))
    flat[:, : axes.shape[1]] = centred @ axes
    return flat
