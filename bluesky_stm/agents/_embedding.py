"""A feature space laid flat, for people: the two directions in which what an agent sees differs most."""

from __future__ import annotations

import numpy as np

from bluesky_stm.geometry import Floats


def principal_plane(features: Floats) -> Floats:
    """The first two principal components of features (n, d); shape (n, 2), centred, their order and sign always the same."""
    centred = features - features.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    flat = np.zeros((len(features), 2))
    flat[:, : axes.shape[1]] = centred @ axes
    return flat
