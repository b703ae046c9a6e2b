"""The rules by which two spectra of one place are compared to find out whether the tip has changed."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from bluesky_stm.measurements import Quality, Spectrum
from bluesky_stm.protocols import Observation
from bluesky_stm.robust import normal_deviation
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.settings import Positive, Settings

SUSPICIOUS = Quality.TIP_CHANGED | Quality.LOST_CONTACT
"""Flags of a spectrum after which the tip is checked at once."""


class TipCheck(Settings):
    """Settings with which the tip is checked during an exploration.

    Attributes
    ----------
    every : int
        Number of spectra between two checks; a suspicious spectrum calls for one at once.
    at : (float, float), optional
        Place of reference on the topograph, in nm; the smoothest one if not given.
    onset : float
        Largest shift of a band edge, in V.
    shape : float
        Largest change of the current, as the median absolute logarithm over the biases beyond the edges.
    leak : float
        Largest change of the current inside the gap, in standard deviations of its noise in the reference: one tip stays below
        4, a conductance of 0.05 nS comes to 49 or more (a bad day at twelve places).
    contrast : float
        Largest factor by which images may become rougher or smoother.
    pulse : (float, float), optional
        Bias (V) and width (s) of the pulses that condition a changed tip; None for no pulses.
    aside : float
        Distance outside the frame at which the tip is pulsed, in nm, since a pulse leaves something where it is fired.
    attempts : int
        Number of pulses after which conditioning is given up.
    then : {"pause", "renew", "stop"}
        What to do with a tip that stays changed: let a person decide, go on with it as the new reference, or end the run.
    """

    every: int = Field(10, ge=1)
    at: tuple[float, float] | None = None
    onset: Positive = 0.15
    shape: Positive = 0.5
    leak: Positive = 12.0
    contrast: float = Field(2.0, gt=1)
    pulse: tuple[float, Positive] | None = None
    aside: Positive = 30.0
    attempts: int = Field(3, ge=1)
    then: Literal["pause", "renew", "stop"] = "pause"


def judge(reference: Spectrum, now: Spectrum, check: TipCheck) -> str:
    """Compare two spectra of the same place; return why they were taken with different tips, or an empty string.

    Parameters
    ----------
    reference : Spectrum
        Spectrum taken with the good tip.
    now : Spectrum
        Spectrum taken now.
    check : TipCheck
        Limits of what counts as the same tip.

    Returns
    -------
    str
        The first reason found: quality flags, current inside the gap, a shifted band edge, or a changed shape.
    """
    if now.quality & (SUSPICIOUS | Quality.INCOMPLETE):
        return f"the spectrum is marked: {now.quality.words}"
    # A leak first: it is a conductance inside the gap, and so moves the edges as well.
    leaks = _leaks(reference, now, check.leak)
    return leaks or _moved_edges(reference, now, check.onset) or _reshaped(reference, now, check.shape)


def _moved_edges(reference: Spectrum, now: Spectrum, allowed: float) -> str:
    for name in ("valence_edge", "conduction_edge"):
        before, after = (Observation.of(spectrum, make_scalarizer(name)) for spectrum in (reference, now))
        if not before.has_value:  # it has no such edge, here
            continue
        if not after.has_value:
            return f"no {name.replace('_', ' ')} any more: {after.reason}"
        if abs(moved := after.number - before.number) > allowed:
            return f"the {name.replace('_', ' ')} moved by {moved:+.3f} V, {allowed:g} V are allowed"
    return ""


def _leaks(reference: Spectrum, now: Spectrum, allowed: float) -> str:
    gap = _gap(reference)
    if gap.sum() < 5:  # no edges were found, as in a spectrum that is marked: where hardly any current flows
        gap = np.abs(reference.current) < 0.05 * reference.setpoint.current
    if gap.sum() < 5:
        return ""
    # From sample to sample: states that the good tip has near its edges, too, are no noise.
    noise = max(normal_deviation(np.diff(reference.current[gap])) / np.sqrt(2), 1e-5)
    excess = float(np.sqrt(np.mean((now.current[gap] - reference.current[gap]) ** 2))) / noise
    return f"the current in the gap is {excess:.0f} times its noise, {allowed:g} are allowed" if excess > allowed else ""


def _reshaped(reference: Spectrum, now: Spectrum, allowed: float) -> str:
    before, after = np.abs(reference.current), np.abs(now.current)
    seen = (before > 0.05 * reference.setpoint.current) & ~_gap(reference) & np.isfinite(before) & np.isfinite(after)
    # Of fewer samples the median says nothing.
    if seen.sum() < 5:
        return ""
    change = float(np.median(np.abs(np.log(np.maximum(after[seen], 1e-6) / before[seen]))))
    return (
        f"the current changed by a factor {np.exp(change):.3g}, more than the {np.exp(allowed):.3g} that is allowed"
        if change > allowed
        else ""
    )


def _gap(spectrum: Spectrum) -> np.ndarray:
    """Return a mask of the samples inside the gap, a fifth of the gap away from both edges."""
    edges = [Observation.of(spectrum, make_scalarizer(name)) for name in ("valence_edge", "conduction_edge")]
    low, high = (edge.number for edge in edges)  # nothing lies beyond NaN, where there is no such edge
    away = 0.2 * (high - low)
    return (spectrum.bias > low + away) & (spectrum.bias < high - away)
