"""Recursive filters along lines: what a loop, an amplifier or a noise with a memory makes of what comes in."""

from __future__ import annotations

import numpy as np

from bluesky_stm.geometry import Floats


def filtered(numerator: Floats, denominator: Floats, values: Floats) -> Floats:
    """Return lines passed through a recursive filter that starts at rest, as ``scipy.signal.lfilter`` does, to rounding.

    A recursion is a set of equations with a band of coefficients below the diagonal, which LAPACK solves line by line. The
    function of scipy would load all of scipy.signal and scipy.stats, which takes longer than a short run.

    Parameters
    ----------
    numerator, denominator : ndarray
        Coefficients of what comes in and of what comes out, the newest first; the first one of the denominator is 1.
    values : ndarray of shape (..., n)
        Lines.
    """
    from scipy.linalg.lapack import dtbtrs

    driven = numerator[0] * values
    for late, factor in enumerate(numerator[1:], 1):
        driven[..., late:] += factor * values[..., :-late]
    count = values.shape[-1]
    if not driven.size:
        return driven
    band = np.repeat(np.asarray(denominator, dtype=float)[:count, None], count, axis=1)
    # The lines are columns for LAPACK, which overwrites them: nothing is copied.
    passed, _ = dtbtrs(band, driven.reshape(-1, count).T, uplo="L", diag="U", overwrite_b=1)
    return passed.T.reshape(values.shape)
