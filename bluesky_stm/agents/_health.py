"""Measures of how far a fit can be trusted, and warnings that an agent is trapped."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from bluesky_stm.geometry import Floats

RECENT = 10
"""Number of recent spectra that are checked for a trap."""

STUCK_WITHIN = 0.03
"""Share of the frame inside which the recent places count as one place."""

ON_THE_EDGE = 0.6
"""Share of recent places on the outermost candidates that causes a warning; few of the candidates lie there."""

USELESS = 1.1
"""Leave-one-out error, in standard deviations, beyond which a constant would predict better."""

TOO_NARROW = 0.7
"""Leave-one-out coverage of the 90 % interval below which the error bars are too narrow."""

CHOSEN = 20
"""Number of chosen places, the last ones, at which predictions are compared with what was measured there afterwards."""

OFF = 0.75
"""Mean of these misses, in predicted standard deviations, that causes a warning: 3.4 of its own where predictions are right."""

INSIDE = 1.6449
"""Half the 90 % interval of a normal distribution, in standard deviations."""

SAME_APPEARANCE = 0.1
"""Distance, in length scales of the prior, within which places look alike. The values of a kernel at two such places differ by
an eighth of its standard deviation, less than any noise that is expected."""

NEARLY_ALL = 0.99
"""Share of places that have to look alike before a warning; it is high since rare places are what is searched for."""

IN_USE = 0.1
"""Share of the prior variance from which a part of the kernel counts as in use."""

FEW_VALUES = 12
"""Number of values below which neither error nor coverage causes a warning."""


def coverage(residual: Floats, std: Floats, weights: Floats | None = None) -> float:
    """Return the share of residuals inside the 90 % interval.

    Parameters
    ----------
    residual, std : ndarray of shape (n,)
        Residuals, and their standard deviations under a normal distribution.
    weights : ndarray of shape (n,), optional
        How much each residual counts; all of them alike by default.

    Returns
    -------
    float
        About 0.9 where the error bars are right.
    """
    return float(np.average(np.abs(residual) <= INSIDE * std, weights=weights))


def ahead(missed: Floats) -> tuple[float, float, list[str]]:
    """Judge the predictions of chosen places by what was measured there afterwards.

    Parameters
    ----------
    missed : ndarray of shape (n,)
        Value less what the values before it predict, in predicted standard deviations, of the chosen places in their order.
        Only the last `CHOSEN` count.

    Returns
    -------
    inside : float
        Share in the 90 % interval; NaN for fewer than `CHOSEN`.
    off : float
        Mean; NaN for fewer than `CHOSEN`.
    warnings : list of str
        Empty where predictions hold.
    """
    last = missed[-CHOSEN:]
    if len(last) < CHOSEN:
        return math.nan, math.nan, []
    hits, off, found = int(np.count_nonzero(np.abs(last) <= INSIDE)), float(last.mean()), []
    if hits < TOO_NARROW * CHOSEN:
        found.append(f"predictions of chosen places fail ({hits} of the last {CHOSEN} values lie in their 90 % interval)")
    if abs(off) > OFF:
        side = "more" if off > 0 else "less"
        found.append(f"chosen places give {side} than predicted (by {abs(off):.2f} sd, mean of the last {CHOSEN})")
    return hits / CHOSEN, off, found


def alike(appearance: Floats) -> bool:
    """Return True when nearly all places look like the most ordinary one, which is the median.

    Parameters
    ----------
    appearance : ndarray of shape (n, d)
        Features of the places, in length scales of the prior. Without features (d = 0) all places look alike.

    Returns
    -------
    bool
        False for fewer than two places.
    """
    if len(appearance) < 2:
        return False
    apart = np.linalg.norm(appearance - np.median(appearance, axis=0), axis=1)
    return bool(np.quantile(apart, NEARLY_ALL) < SAME_APPEARANCE)


def without_value(reasons: Sequence[str]) -> list[str]:
    """Return the warning that spectra have no value, or an empty list.

    Parameters
    ----------
    reasons : sequence of str
        One for each spectrum, in the order taken: why it has no value, else empty.
    """
    failed = sum(map(bool, reasons[-RECENT:]))
    if len(reasons) > RECENT // 2 and all(reasons):
        return [f"none of {len(reasons)} spectra has a value, mostly because: {Counter(reasons).most_common(1)[0][0]}"]
    return [f"{failed} of the last {RECENT} spectra have no value"] if failed > RECENT // 2 else []


def warnings(
    error: float,
    covered: float,
    count: int,
    recent: Floats,
    candidates: Floats,
    reasons: Sequence[str],
    more: Sequence[str] = (),
) -> str:
    """Return what a person should look at; empty when all is well.

    Parameters
    ----------
    error : float
        Leave-one-out error, in standard deviations of the values.
    covered : float
        Share of the values inside their leave-one-out 90 % interval.
    count : int
        Number of spectra with a value.
    recent : ndarray of shape (k, 2)
        Places chosen last, seed points left out, in nm.
    candidates : ndarray of shape (n, 2)
        All places that may be chosen, in nm.
    reasons : sequence of str
        One for each spectrum: why it has no value, else empty.
    more : sequence of str
        Warnings found elsewhere.

    Returns
    -------
    str
        Warnings, separated by semicolons.
    """
    found = [*more]
    if count >= FEW_VALUES and error > USELESS:
        found.append(f"the model predicts worse than a constant (leave-one-out error {error:.2f} sd)")
    if count >= FEW_VALUES and covered < TOO_NARROW:
        found.append(f"error bars too narrow ({covered:.0%} of the values in their 90 % interval)")
    return "; ".join(found + without_value(reasons) + _traps(recent, candidates))


def _traps(recent: Floats, candidates: Floats) -> list[str]:
    if len(recent) < RECENT:
        return []
    low, high = candidates.min(axis=0), candidates.max(axis=0)
    side = float(max((high - low).max(), 1e-12))
    found = []
    if np.ptp(recent, axis=0).max() < STUCK_WITHIN * side:
        found.append(f"stuck: the last {len(recent)} places lie within {np.ptp(recent, axis=0).max():.3g} nm")
    edge = np.isclose(recent, low, atol=1e-6 * side) | np.isclose(recent, high, atol=1e-6 * side)
    if edge.any(axis=1).mean() >= ON_THE_EDGE:
        found.append(f"picking edges: {edge.any(axis=1).mean():.0%} of the last {len(recent)} places lie on the rim")
    return found
