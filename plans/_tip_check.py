"""What counts as a changed tip: settings, and the rules by which two spectra of one place are compared."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from bluesky_stm.measurements import Quality, Spectrum
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.settings import Positive, Settings

SUSPICIOUS = Quality.TIP_CHANGED | Quality.LOST_CONTACT
"""Flags of a spectrum after which the tip is looked at."""


class TipCheck(Settings):
    """When and how the tip is looked at.

    Attributes
    ----------
    every : int
        Spectra between two checks; after a suspicious spectrum there is one at once.
    at : (float, float), optional
        Place of reference on the topograph, in nm; by default the smoothest one.
    onset : float
        How far a band edge may move, in V.
    shape : float
        How far the current may have changed, as the median absolute logarithm over the biases beyond the edges.
    leak : float
        How far the current inside the gap may rise, in its standard deviations in the reference.
    contrast : float
        How much rougher or smoother images may become, as a factor.
    pulse : (float, float), optional
        Condition a changed tip with pulses of that bias and width, V and s; None for not.
    aside : float
        How far outside the frame the tip is pulsed, in nm, since a pulse leaves something where it is fired.
    attempts : int
        Pulses after which that is given up.
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
    """Why ``now`` was taken with another tip than ``reference``, at the same place; empty when it was not."""
    if now.quality & (SUSPICIOUS | Quality.INCOMPLETE):
        return f"the spectrum is marked: {now.quality.words}"
    moved = _moved_edges(reference, now, check.onset)
    return moved or _leaks(reference, now, check.leak) or _reshaped(reference, now, check.shape)


def _moved_edges(reference: Spectrum, now: Spectrum, allowed: float) -> str:
    for name in ("valence_edge", "conduction_edge"):
        before, after = (make_scalarizer(name)(spectrum) for spectrum in (reference, now))
        if not isinstance(before, float):  # it has no such edge, here
            continue
        if not isinstance(after, float):
            return f"no {name.replace('_', ' ')} any more: {after.reason}"
        if abs(after - before) > allowed:
            return f"the {name.replace('_', ' ')} moved by {after - before:+.3f} V, {allowed:g} V are allowed"
    return ""


def _leaks(reference: Spectrum, now: Spectrum, allowed: float) -> str:
    gap = _gap(reference)
    if gap.sum() < 5:
        return ""
    noise = max(float(np.std(reference.current[gap])), 1e-5)
    excess = float(np.sqrt(np.mean((now.current[gap] - np.median(reference.current[gap])) ** 2))) / noise
    return f"the current in the gap is {excess:.0f} times its noise, {allowed:g} are allowed" if excess > allowed else ""


def _reshaped(reference: Spectrum, now: Spectrum, allowed: float) -> str:
    before, after = np.abs(reference.current), np.abs(now.current)
    seen = (before > 0.05 * reference.setpoint.current) & ~_gap(reference) & np.isfinite(before) & np.isfinite(after)
    if seen.sum() < 5:
        return ""
    change = float(np.median(np.abs(np.log(np.maximum(after[seen], 1e-6) / before[seen]))))
    return f"the current changed by a factor {np.exp(change):.2f}, {np.exp(allowed):.2f} is allowed" if change > allowed else ""


def _gap(spectrum: Spectrum) -> np.ndarray:
    """Which samples lie inside the gap, a fifth of it away from both edges."""
    low, high = (make_scalarizer(name)(spectrum) for name in ("valence_edge", "conduction_edge"))
    if not (isinstance(low, float) and isinstance(high, float)):
        return np.zeros(len(spectrum.bias), dtype=bool)
    away = 0.2 * (high - low)
    return (spectrum.bias > low + away) & (spectrum.bias < high - away)
