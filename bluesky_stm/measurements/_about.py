"""What a file says beside its measurement, and how its dI/dV was calibrated."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import nan

import numpy as np

from bluesky_stm.data import JSON
from bluesky_stm.geometry import Floats


@dataclass(frozen=True)
class Calibration:
    """Calibration of a lock-in channel: dI/dV is ``(X - offset) / gain``, with X turned by ``phase``.

    Attributes
    ----------
    channel : str
        Name of the channel in its file; empty where there is none.
    gain, gain_std : float
        Gain and its standard deviation, in V; negative where X falls as dI/dV grows.
    offset, offset_std : float
        Value of X at no conductance, and its standard deviation, in nA.
    phase : float
        Angle by which X and Y are turned, in degrees: X becomes X cos(phase) + Y sin(phase).
    explained : float
        Share, 0 to 1, of the bend of the current that the integral of the lock-in explains, noise apart.
    uncertainty : float
        Standard deviation of dI/dV by those of gain and offset, as a share of dI/dV.
    refused : str
        The reason why dI/dV is not taken from the channel; empty where it is.
    """

    channel: str = ""
    gain: float = nan
    gain_std: float = nan
    offset: float = nan
    offset_std: float = nan
    phase: float = 0.0
    explained: float = nan
    uncertainty: float = nan
    refused: str = ""

    def didv(self, x: Floats, y: Floats | None = None) -> Floats:
        """Return the differential conductance, in nS.

        Parameters
        ----------
        x : ndarray of shape (...)
            Lock-in channel, in nA.
        y : ndarray of shape (...), optional
            The channel in quadrature, in nA; needed where the phase is not 0.
        """
        angle = np.radians(self.phase if y is not None else 0.0)
        conductance = x * float(np.cos(angle) / self.gain)  # in place from here on: a grid is large
        if y is not None and self.phase:
            conductance += y * float(np.sin(angle) / self.gain)
        conductance -= self.offset / self.gain
        return np.asarray(conductance)

    def __str__(self) -> str:
        if self.refused:
            return self.refused
        if not self.channel:
            return "dI/dV is the derivative of the current: no lock-in was recorded"
        if np.isnan(self.gain):
            return f"dI/dV is the channel {self.channel!r} as it was recorded"
        turned = f", turned by {self.phase:.1f} degrees" if self.phase else ""
        gain = f"gain {self.gain:.4g} V within {abs(self.gain_std / self.gain):.1%}"
        offset = f"offset {self.offset:.3g} nA within {self.offset_std:.2g} nA"
        return f"dI/dV is the channel {self.channel!r}{turned}: {gain}, {offset}; {self.explained:.1%} of the current explained"


@dataclass(frozen=True)
class About:
    """What a file says beside its measurement.

    Attributes
    ----------
    comment, sample, operator : str
        As a person wrote it; empty where nobody did.
    temperature : float
        In K; NaN where it is not known.
    amplitude, frequency : float
        Modulation of the lock-in, in V and Hz; NaN where it is not known.
    kept : str
        What is missing of a file that ended early; empty for a whole one.
    calibration : Calibration or None
        Where dI/dV comes from; None without spectra.
    channels : tuple of str
        Names of all channels with their units, as the file has them.
    further : dict
        What else a person may ask for, by name.
    """

    comment: str = ""
    sample: str = ""
    operator: str = ""
    temperature: float = nan
    amplitude: float = nan
    frequency: float = nan
    kept: str = ""
    calibration: Calibration | None = None
    channels: tuple[str, ...] = ()
    further: JSON = field(default_factory=dict)

    def as_dict(self) -> JSON:
        """Return what is known, as JSON-able values; what is not known is left out."""
        known = {name: value for name, value in asdict(self).items() if value not in ("", None, (), {}) and value == value}
        if self.calibration:
            known["calibration"] = {
                name: value for name, value in asdict(self.calibration).items() if value == value and value != ""
            }
            known["calibration"]["didv"] = str(self.calibration)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in known.items()}
