"""The scalarizer that the spectra of a recording can support, found by trying some of them.

Scalarizers are made by their names (`parts.scalarizers`), as this room knows none of their classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from bluesky_stm.measurements import About, Quality, Spectrum
from bluesky_stm.parts import scalarizers
from bluesky_stm.protocols import Failed
from bluesky_stm.settings import SOUGHT
from bluesky_stm.validated import JSON

PRISTINE_GAP: Final = 1.5
"""Gap of EuZn2As2, in V; a sweep that does not span it can't show a gap."""

SUPERCONDUCTING: Final = 0.02
"""Distance from zero bias, in V, beyond which a sweep is not taken to look for a superconductor."""

RESONANT: Final = 0.1
"""Distance from zero bias, in V, beyond which a sweep is not taken to look for a resonance there."""

TRIED: Final = 12
"""Number of spectra on which a scalarizer is tried, spread over all of them."""

ENOUGH: Final = 0.5
"""Share of them that must have a value."""

CLEAR: Final = 4.0
"""Standard deviations by which a share of the spectra must differ from 0, so that there is something at zero bias."""


def supported_scalarizer(spectra: Sequence[Spectrum], about: About | None = None) -> str | JSON:
    """Return the scalarizer, by its name and settings, that suits the sweep and has a value for most of the spectra.

    A sweep that spans the gap of a pristine semiconductor is asked for the gap (`settings.SOUGHT`). A narrow one is asked for
    a superconducting gap, where temperature and modulation are known, or for its coherence peaks; then for a dip or peak at
    zero bias. What is left is the conductance at zero bias, or in the middle of a sweep that does not pass it.

    Parameters
    ----------
    spectra : sequence of Spectrum
        The spectra, with one bias axis.
    about : About, optional
        Says temperature and modulation where the file did.
    """
    bias = spectra[0].bias[np.isfinite(spectra[0].bias)] if spectra else np.empty(0)
    if not len(bias):
        return {"name": "conductance", "bias": 0.0}
    tried = [spectra[i] for i in np.unique(np.linspace(0, len(spectra) - 1, TRIED).round().astype(int))]
    reach = float(min(bias.max(), -bias.min()))
    if np.ptp([*bias, 0.0]) > PRISTINE_GAP and _values(tried, SOUGHT):
        return SOUGHT
    if 0 < reach <= SUPERCONDUCTING:
        known = _resolution(tried[0], about)
        if known and _values(tried, choice := {"name": "superconducting_gap", **known}):
            return choice
        if _values(tried, "coherence_peaks"):
            return "coherence_peaks"
    if 0 < reach <= RESONANT and _something_at_zero(tried):
        return "zero_bias_anomaly"
    return {"name": "conductance", "bias": 0.0 if reach > 0 else float(bias.mean())}


def _resolution(spectrum: Spectrum, about: About | None) -> JSON:
    """Return temperature (K) and modulation (V) for a fit; empty where they are not known."""
    if about is None or not about.temperature > 0:
        return {}
    if spectrum.quality & Quality.DERIVED:
        return {"temperature": about.temperature, "modulation": 0.0}
    return {"temperature": about.temperature, "modulation": about.amplitude} if about.amplitude >= 0 else {}


def _values(tried: Sequence[Spectrum], choice: str | JSON) -> bool:
    """Return True when enough of the spectra have a value."""
    scalarizer = scalarizers.make(choice)
    return sum(not isinstance(scalarizer(one), Failed) for one in tried) >= ENOUGH * len(tried)


def _something_at_zero(tried: Sequence[Spectrum]) -> bool:
    """Return True when dI/dV at zero bias differs from its surroundings in some of the spectra."""
    scalarizer = scalarizers.make("zero_bias_anomaly")
    values = [(one, value) for one in tried if not isinstance(value := scalarizer(one), Failed)]
    clear = sum(abs(value) > CLEAR * scalarizer.deviation(one) and abs(value) > 0.05 for one, value in values)
    return len(values) >= ENOUGH * len(tried) and clear >= max(1, len(tried) // 4)
