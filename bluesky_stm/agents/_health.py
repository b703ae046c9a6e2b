"""How far a fit can be trusted, and signs that an agent is caught."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bluesky_stm.geometry import Floats

RECENT = 10
"""Spectra that are looked at for a trap."""

STUCK_WITHIN = 0.03
"""Share of the frame inside which the recent places count as one place."""

ON_THE_EDGE = 0.6
"""Share of recent places on the outermost candidates that is a warning: few of the candidates lie there."""

USELESS = 1.1
"""Leave-one-out error, in standard deviations, from which a constant would do better."""

TOO_NARROW = 0.7
"""Leave-one-out coverage of the 90 % interval below which the error bars are not to be believed."""

SAME_APPEARANCE = 0.1
"""Distance, in length scales of the prior, within which places look alike: what a kernel makes of them then differs by an
eighth of its own standard deviation, less than any noise that is expected."""

NEARLY_ALL = 0.99
"""Share of places that have to look alike before a warning: the rare ones are what is looked for."""

IN_USE = 0.1
"""Share of the prior variance from which a part of the kernel is in use."""

FEW_VALUES = 12


def coverage(residual: Floats, std: Floats) -> float:
    """Share of residuals inside the 90 % interval."""
    return float(np.mean(np.abs(residual) <= 1.6449 * std))


def alike(appearance: Floats) -> bool:
    """Whether nearly all places look like the most ordinary one; ``appearance`` (n, d) are in length scales of the prior.

    None does where there is one place, or none; all do where there is nothing to see, d = 0.
    """
    if len(appearance) < 2:
        return False
    apart = np.linalg.norm(appearance - np.median(appearance, axis=0), axis=1)
    return bool(np.quantile(apart, NEARLY_ALL) < SAME_APPEARANCE)


def warnings(
    error: float, covered: float, count: int, recent: Floats, candidates: Floats, failed: int, more: Sequence[str] = ()
) -> str:
    """What a person should look at; empty when all is well.

    Parameters
    ----------
    error, covered : float
        Leave-one-out error, in standard deviations, and coverage.
    count, failed : int
        Spectra with a value, and the failed ones among the last `RECENT`.
    recent : ndarray of shape (k, 2)
        The places chosen last, seed points left out, in nm.
    candidates : ndarray of shape (n, 2)
    more : sequence of str
        What else was found.
    """
    found = [*more]
    if count >= FEW_VALUES and error > USELESS:
        found.append(f"the model predicts worse than a constant (leave-one-out error {error:.2f} sd)")
    if count >= FEW_VALUES and covered < TOO_NARROW:
        found.append(f"error bars too narrow ({covered:.0%} of the values in their 90 % interval)")
    if failed > RECENT // 2:
        found.append(f"{failed} of the last {RECENT} spectra have no value")
    return "; ".join(found + _traps(recent, candidates))


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
