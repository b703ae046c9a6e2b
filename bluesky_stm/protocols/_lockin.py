"""The lock-in amplifier: how it is set, what it makes of a current, and how dI/dV follows from what it reads.

Choices that were made here:

- The amplitude is a peak: the bias is ``V + amplitude * sin(2 pi f t)``. X and Y are peaks, too, so a small modulation makes an
  in-phase current of ``amplitude * dI/dV``. Nanonis counts in the same way.
- What belongs to the electronics (response, offset, preamplifier, reference phase) is calibrated once and kept. What a person
  changes from one sweep to the next (amplitude, frequency, phase) enters the gain by what is known of it, so that dI/dV
  does not depend on it.
- The preamplifier is a low-pass filter of first order: it passes ``1 / (1 + 2 pi i f tau)`` of a current at the frequency f,
  which makes it smaller and late.
- dI/dV comes from X and Y together: they are turned back to the phase of the bias, so that the displacement current of the
  junction does not enter, whatever the phase of the demodulator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from bluesky_stm import units
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats


@dataclass(frozen=True, kw_only=True)
class LockInCalibration:
    """The factor and offset with which preamplifier and lock-in answer a current, however the lock-in is set.

    Attributes
    ----------
    response : float
        Reading of the lock-in for a current in phase, both in nA, apart from what the preamplifier takes; without unit.
    offset : float
        Reading of X without a current, in nA.
    preamplifier : float
        Time constant of the preamplifier, in s; 0 for one that is fast at every frequency.
    """

    response: float = 1.0
    offset: float = 0.0
    preamplifier: float = 0.0

    def __post_init__(self) -> None:
        if self.response == 0 or self.preamplifier < 0:
            raise SettingsError(
                f"A lock-in with a response of {self.response:g} behind a preamplifier with a time constant of "
                f"{self.preamplifier:g} {units.TIME} gives no dI/dV. Nothing has changed. The response must not be 0, and the "
                "time not negative."
            )

    def lag(self, frequency: float) -> float:
        """Return the angle by which the preamplifier is late, in degrees from 0 to 90.

        Parameters
        ----------
        frequency : float
            In Hz.
        """
        return math.degrees(math.atan(2 * math.pi * frequency * self.preamplifier))

    def passed(self, frequency: float) -> float:
        """Return the share of a current that the preamplifier passes on, from 0 to 1.

        It is that of a low-pass filter of first order, ``1 / sqrt(1 + (2 pi f tau)**2)``.

        Parameters
        ----------
        frequency : float
            In Hz.
        """
        return math.cos(math.radians(self.lag(frequency)))


@dataclass(frozen=True, kw_only=True)
class LockInSettings(LockInCalibration):
    """Lock-in on the bias, and what turns its reading into dI/dV.

    Attributes
    ----------
    amplitude : float
        Amplitude (peak) of the modulation of the bias, in V.
    frequency : float
        In Hz.
    phase : float
        Phase of the demodulator, in degrees.
    reference : float
        Phase of the demodulator, in degrees, at which X would hold all of a current that is in phase with the bias, were the
        preamplifier infinitely fast.
    on : bool
        True when the bias is modulated during a sweep.
    """

    amplitude: float
    frequency: float
    phase: float = 0.0
    reference: float = 0.0
    on: bool = True

    @property
    def calibration(self) -> LockInCalibration:
        """The part that stays the same when amplitude, frequency and phase change."""
        return LockInCalibration(**{field.name: getattr(self, field.name) for field in fields(LockInCalibration)})

    @property
    def modulated(self) -> bool:
        """True when there is a modulation, without which there is no dI/dV."""
        return self.on and self.amplitude != 0

    @property
    def gain(self) -> float:
        """X for a dI/dV of 1 nS, in nA: a voltage, in V; 0 when the bias is not modulated.

        It has the sign of the response, and turns with the phase: at 90 degrees from the right one X holds nothing of dI/dV.
        """
        return self.length() * math.cos(math.radians(self.turned())) if self.modulated else 0.0

    def length(self, harmonic: int = 1) -> float:
        """Return the length of the vector (X, Y) of a harmonic, in nA, where the derivative that it measures is 1.

        The n-th harmonic measures the n-th derivative: of ``sin(w t)**n`` it holds ``2**(1 - n)``, of a Taylor series a
        part ``1 / n!``. The first is in nA per nS, a voltage in V; the second in nA per nS/V, its square.
        """
        series = self.amplitude**harmonic / (2 ** (harmonic - 1) * math.factorial(harmonic))
        return self.response * series * self.passed(harmonic * self.frequency)

    def turned(self, harmonic: int = 1, phase: float | None = None) -> float:
        """Return the angle, in degrees, from the phase at which X would hold all of a harmonic.

        Parameters
        ----------
        harmonic : int
            The n-th harmonic of a sine is n - 1 quarters of a period late.
        phase : float, optional
            Phase of its demodulator, in degrees, where that is another one.
        """
        asked = self.phase if phase is None else phase
        return asked - self.reference + self.lag(harmonic * self.frequency) + 90 * (harmonic - 1)

    def didv(self, lockin_x: ArrayLike, lockin_y: ArrayLike = math.nan) -> Floats:
        """Return the differential conductance.

        Parameters
        ----------
        lockin_x, lockin_y : array_like
            Raw lock-in, in nA. Y may be left out where the phase is right.

        Returns
        -------
        ndarray
            In nS; NaN when the bias was not modulated.
        """
        return self.derivative(1, np.asarray(lockin_x, dtype=float) - self.offset, lockin_y)

    def derivative(self, harmonic: int, x: ArrayLike, y: ArrayLike = math.nan, phase: float | None = None) -> Floats:
        """Return the derivative of the current with bias that a harmonic measures.

        Parameters
        ----------
        harmonic : int
            1 for dI/dV, 2 for the second derivative.
        x, y : array_like
            Demodulated current, in nA, less its offset. Y may be left out where the phase is right.
        phase : float, optional
            Phase of the demodulator, in degrees, where that is another one than `phase`.

        Returns
        -------
        ndarray
            In nS, or nS/V, and so on; NaN when the bias was not modulated.
        """
        x, turned = np.asarray(x, dtype=float), math.radians(self.turned(harmonic, phase))
        if not self.modulated:
            return np.full(x.shape, math.nan)
        if abs(math.sin(turned)) > _STRAIGHT:
            x = x * math.cos(turned) - np.asarray(y, dtype=float) * math.sin(turned)
        elif math.cos(turned) < 0:
            x = -x
        return x / self.length(harmonic)

    def demodulated(self, harmonic: int, derivative: ArrayLike, phase: float | None = None) -> tuple[Floats, Floats]:
        """Return what the lock-in reads of a derivative, the inverse of `derivative`.

        Parameters
        ----------
        harmonic : int
            1 for dI/dV, 2 for the second derivative.
        derivative : array_like
            In nS, or nS/V, and so on.
        phase : float, optional
            Phase of the demodulator, in degrees, where that is another one than `phase`.

        Returns
        -------
        x, y : ndarray
            In nA; 0 when the bias is not modulated.
        """
        turned = math.radians(self.turned(harmonic, phase))
        vector = np.asarray(derivative, dtype=float) * (self.length(harmonic) if self.modulated else 0.0)
        return vector * math.cos(turned), -vector * math.sin(turned)

    def check_dwell(self, dwell: float) -> None:
        """Refuse to stay at each bias of a sweep for less than one period of the modulation.

        Parameters
        ----------
        dwell : float
            Time for settling and averaging at each bias, in s.

        Raises
        ------
        SettingsError
        """
        if self.modulated and dwell * self.frequency < 1:
            raise SettingsError(
                f"The dwell time of {dwell:g} {units.TIME} at each bias holds only {dwell * self.frequency:.2g} of a period of "
                f"the modulation at {self.frequency:g} {units.FREQUENCY}: the lock-in would read nonsense. Nothing was swept. "
                f"Let settle and integrate last {1 / self.frequency:.2g} {units.TIME} at least, or switch the lock-in off."
            )


_STRAIGHT = 1e-9
"""Sine of an angle below which the phase counts as right."""
