"""Preamplifier and lock-in, which turn a current into what is recorded.

Both are low-pass filters of first order. At the frequency of the modulation the preamplifier makes the current smaller and
late; from one bias of a sweep to the next, both still hold a part of what was there before, so that a hurried sweep lags behind
its bias, on the way back in the other direction. The step of the bias charges the junction, which a hurried sweep sees, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.controllers.simulated._noise import INTEGRATED, current_noise
from bluesky_stm.controllers.simulated._profile import Profile
from bluesky_stm.controllers.simulated._recursion import filtered
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import HARMONICS, Quality
from bluesky_stm.protocols import LockInSettings, SweepSettings, ZSweepSettings
from bluesky_stm.units import PICOFARAD

_FORGOTTEN: float = 1e-12
"""Share of what was there before, relative to it, that counts as none."""


@dataclass(frozen=True, eq=False)
class Reading:
    """Spectra of n places at J biases: arrays (n, J) in nA, tip height and gap (n,) in nm, and where the preamplifier was full.

    With a way back the arrays are the average of both ways, and ``backward`` is that one by itself. ``jumped`` (n, J) is the
    truth about changes of the tip, the factor by which they have changed the current of this way so far, and ``gap`` is the
    truth, too: a microscope can't tell. ``higher`` holds X and Y (2, n, J) of the harmonics from the second on.
    """

    current: Floats
    lockin_x: Floats
    lockin_y: Floats
    height: Floats
    gap: Floats
    clipped: NDArray[np.bool_]
    jumped: Floats
    backward: Reading | None = None
    higher: Mapping[int, Floats] = field(default_factory=dict)

    def averaged(self, back: Reading) -> Reading:
        """Return the average with the way back, and the way back by itself."""
        current, x, y = ((getattr(self, name) + getattr(back, name)) / 2 for name in ("current", "lockin_x", "lockin_y"))
        higher = {harmonic: (vector + back.higher[harmonic]) / 2 for harmonic, vector in self.higher.items()}
        return Reading(current, x, y, self.height, self.gap, self.clipped | back.clipped, self.jumped, back, higher)

    def channels(self, lockin: LockInSettings) -> dict[str, Floats]:
        """Return what is measured at each bias by its name: what was recorded, and the derivatives that follow from it."""
        x, y = self.lockin_x, self.lockin_y
        derived = {HARMONICS[n]: lockin.derivative(n, *vector) for n, vector in self.higher.items()}
        return {"current": self.current, "lockin_x": x, "lockin_y": y, HARMONICS[1]: lockin.didv(x, y), **derived}

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
    settings : SweepSettings or ZSweepSettings
        The sweep, whose times say how far they settle at each bias, and how much noise is averaged away.
    """

    profile: Profile
    lockin: LockInSettings
    settings: SweepSettings | ZSweepSettings

    def preamplified(self, current: Floats, rng: np.random.Generator) -> tuple[Floats, NDArray[np.bool_]]:
        """Return a current, nA of shape (n, J), as the preamplifier records it, point after point, and where it was full."""
        late = self._late(current, self.profile.response, back=False)
        noisy = late + current_noise(rng, late, self.profile, self._averaging)
        full = self.profile.preamp_range
        return np.clip(noisy, -full, full), np.abs(noisy) >= full

    def read(
        self,
        current: Floats,
        harmonics: Floats,
        at: tuple[Floats, Floats],
        jumped: Floats,
        rng: np.random.Generator | None,
        back: bool = False,
    ) -> Reading:
        """Return the channels of spectra as the electronics record them.

        Parameters
        ----------
        current : ndarray of shape (n, J)
            Tunneling current, in nA.
        harmonics : ndarray of shape (harmonics, n, J)
            Part of the current that the modulation makes at its frequency and at the multiples of it, in nA, each in the phase
            that it has for a small modulation.
        at : (ndarray, ndarray), each of shape (n,)
            Height of the tip, and its distance from the surface, in nm.
        jumped : ndarray of shape (n, J)
            Factor by which changes of the tip have changed the current; it is in ``current`` and ``harmonics``.
        rng : Generator or None
            Draws the noise; None for none.
        back : bool
            True when the biases were swept from the last to the first.
        """
        vectors = self._demodulated(np.abs(current), harmonics, back)
        current = self._late(current, self.profile.response, back) + self._charging(back)
        x, y = vectors[0]
        higher = dict(enumerate(vectors[1:], 2))
        if rng is not None:
            higher = self._noisy_harmonics(rng, higher)
            current, x, y = self._noisy(rng, current, x, y)
        full = self.profile.preamp_range
        clipped = np.abs(current) >= full
        if clipped.any():
            for channel in (x, y, *higher.values()):
                channel[..., clipped] = 0.0
            current = np.clip(current, -full, full)
        return Reading(current, x, y, *at, clipped, jumped, higher=higher)

    def _demodulated(self, magnitude: Floats, harmonics: Floats, back: bool) -> Floats:
        """X and Y of each harmonic, turned to the phase of the demodulator; shape (harmonics, 2, n, J).

        They hold what the modulation makes, the displacement current and the offset of X. All of a current passes the
        preamplifier on its way, which makes it smaller and late.
        """
        profile, lockin = self.profile, self.lockin
        if not lockin.modulated:
            return np.zeros((len(harmonics), 2, *magnitude.shape))
        growth = 1 + np.minimum(profile.lockin_growth * magnitude, profile.lockin_growth_limit)
        displaced = 2 * np.pi * lockin.frequency * profile.capacitance * lockin.amplitude * PICOFARAD
        orders = range(1, 1 + len(harmonics))
        scales = np.array([lockin.response * lockin.passed(n * lockin.frequency) for n in orders])
        angles = np.radians([lockin.turned(n) for n in orders])
        turns = (scales * [np.cos(angles), -np.sin(angles)]).T[..., None, None]
        vectors: Floats = self._late(growth * harmonics, profile.lockin_time, back)[:, None] * turns
        vectors[0] += displaced * np.array([-turns[0, 1], turns[0, 0]])
        vectors[0, 0] += profile.lockin_offset
        return vectors

    def _late(self, values: Floats, time_constant: float, back: bool) -> Floats:
        """Return what a low-pass filter averages at each bias (..., J); it remembers the bias before, but for the first one."""
        left = self._left(time_constant) if time_constant else 0.0
        if left < _FORGOTTEN:
            return values
        values = values[..., ::-1] if back else values
        kept, ends = math.exp(-self.settings.dwell / time_constant), values
        if kept > _FORGOTTEN:
            first = values[..., :1]
            ends = filtered(np.array([1 - kept]), np.array([1.0, -kept]), values - first) + first
        late = values.copy()
        late[..., 1:] += left * (ends[..., :-1] - values[..., 1:])
        return late[..., ::-1] if back else late

    def _left(self, time_constant: float) -> float:
        """Share of a step that is not there yet in the mean over the time of integration."""
        settle, over = self.settings.settle / time_constant, self.settings.integrate / time_constant
        return math.exp(-settle) * (-math.expm1(-over) / over if over else 1.0)

    def _charging(self, back: bool) -> Floats:
        """Mean current, in nA, that charges the junction at each step of the bias, as far as it flows while it is averaged."""
        assert isinstance(self.settings, SweepSettings)  # nothing charges the junction while the bias stands
        bias, integrate = self.settings.bias, self.settings.integrate
        charge = self.profile.capacitance * PICOFARAD * np.diff(bias)
        if self.profile.response:
            charge = charge * math.exp(-self.settings.settle / self.profile.response)
            charge = charge * -math.expm1(-integrate / self.profile.response)
        elif self.settings.settle:
            charge = 0 * charge
        mean = charge / integrate if integrate else 0 * charge
        return np.append(-mean, 0.0) if back else np.append(0.0, mean)

    @property
    def _averaging(self) -> float:
        """Time spent on a point, in units of that for which the profile is given."""
        return self.settings.integrate * self.settings.averages / INTEGRATED

    def _noisy(self, rng: np.random.Generator, current: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
        profile, magnitude = self.profile, np.abs(current)
        current = current + current_noise(rng, current, profile, self._averaging)
        if not self.lockin.modulated:
            return current, x, y
        white = profile.lockin_noise / np.sqrt(self._averaging)
        x = x + (white + profile.lockin_junction * magnitude / np.sqrt(self._averaging)) * rng.standard_normal(x.shape)
        return current, x, y + white * rng.standard_normal(y.shape)

    def _noisy_harmonics(self, rng: np.random.Generator, higher: Mapping[int, Floats]) -> dict[int, Floats]:
        """Noise of the further demodulators, from generators of their own: the other channels stay as they are without them."""
        if not self.lockin.modulated:
            return dict(higher)
        white, noisy = self.profile.lockin_noise / np.sqrt(self._averaging), {}
        for (n, vector), own in zip(higher.items(), rng.spawn(len(higher)), strict=True):
            noisy[n] = vector + white * own.standard_normal(vector.shape)
        return noisy
