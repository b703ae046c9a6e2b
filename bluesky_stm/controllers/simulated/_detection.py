"""Preamplifier and lock-in, which turn a current into what is recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.controllers.simulated._noise import current_noise
from bluesky_stm.controllers.simulated._profile import Profile
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import LockInSettings

PICOFARAD: float = 1e-3
"""``2 pi f C V`` in nA for f in Hz, C in pF and V in V."""


@dataclass(frozen=True, eq=False)
class Reading:
    """Spectra of n places at J biases: arrays (n, J) in nA, the tip height (n,) in nm, and where the preamplifier was full.

    With a way back the arrays are the average of both ways, and ``backward`` is that one by itself. ``jumped`` (n, J) is the
    truth about changes of the tip, the factor by which they have changed the current of this way so far: a microscope can't
    tell.
    """

    current: Floats
    lockin_x: Floats
    lockin_y: Floats
    height: Floats
    clipped: NDArray[np.bool_]
    jumped: Floats
    backward: Reading | None = None

    def averaged(self, back: Reading) -> Reading:
        """Return the average with the way back, and the way back by itself."""
        current, x, y = ((getattr(self, name) + getattr(back, name)) / 2 for name in ("current", "lockin_x", "lockin_y"))
        return Reading(current, x, y, self.height, self.clipped | back.clipped, self.jumped, back)

    def change(self, done: int) -> Floats:
        """Logarithm (n,) of the factor by which changes of the tip have changed the current after ``done`` points."""
        if done < self.jumped.shape[1]:
            return np.log(self.jumped[:, done - 1]) if done else np.zeros(len(self.jumped))
        return np.log(self.jumped[:, -1] if self.backward is None else self.backward.jumped[:, 0])

    @property
    def quality(self) -> Quality:
        """Clipped if any point is."""
        return Quality.CLIPPED if self.clipped.any() else Quality.GOOD


@dataclass(frozen=True)
class Detection:
    """Preamplifier and lock-in as they are today.

    Attributes
    ----------
    profile : Profile
    lockin : LockInSettings
    averaging : float
        Time spent on a point, in units of the 10 ms for which the profile is given.
    """

    profile: Profile
    lockin: LockInSettings
    averaging: float = 1.0

    def read(
        self, current: Floats, modulated: Floats, height: Floats, jumped: Floats, rng: np.random.Generator | None
    ) -> Reading:
        """Return the channels of spectra as the electronics record them.

        Parameters
        ----------
        current : ndarray of shape (n, J)
            Tunneling current, in nA.
        modulated : ndarray of shape (n, J)
            Part of the current in phase with the modulation of the bias, in nA.
        height : ndarray of shape (n,)
            Height of the tip, in nm.
        jumped : ndarray of shape (n, J)
            Factor by which changes of the tip have changed the current; it is in ``current`` and ``modulated``.
        rng : Generator or None
            Draws the noise; None for none.
        """
        x, y = self._demodulated(np.abs(current), modulated)
        if rng is not None:
            current, x, y = self._noisy(rng, current, x, y)
        full = self.profile.preamp_range
        clipped = np.abs(current) >= full
        x[clipped] = y[clipped] = 0.0
        return Reading(np.clip(current, -full, full), x, y, height, clipped, jumped)

    def _demodulated(self, magnitude: Floats, modulated: Floats) -> tuple[Floats, Floats]:
        """X and Y, offset included: what is in phase with the bias, and the displacement current ahead of it, turned.

        Both pass the preamplifier on their way, which makes them smaller and late.
        """
        profile, lockin = self.profile, self.lockin
        if not lockin.modulated:
            return np.zeros_like(modulated), np.zeros_like(modulated)
        growth = 1 + np.minimum(profile.lockin_growth * magnitude, profile.lockin_growth_limit)
        displaced = 2 * np.pi * lockin.frequency * profile.capacitance * lockin.amplitude * PICOFARAD
        scale = lockin.response * lockin.passed(lockin.frequency)
        read = scale * np.exp(-1j * np.radians(lockin.turned())) * (growth * modulated + 1j * displaced)
        return read.real + profile.lockin_offset, read.imag

    def _noisy(self, rng: np.random.Generator, current: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
        profile, magnitude = self.profile, np.abs(current)
        current = current + current_noise(rng, current, profile, self.averaging)
        if not self.lockin.modulated:
            return current, x, y
        white = profile.lockin_noise / np.sqrt(self.averaging)
        x = x + (white + profile.lockin_junction * magnitude / np.sqrt(self.averaging)) * rng.standard_normal(x.shape)
        return current, x, y + white * rng.standard_normal(y.shape)
