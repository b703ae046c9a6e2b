"""The module LockIn: modulator and demodulator 1 are the microscope's; what other demodulators read follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_server._signals import DEMODULATORS, SIGNALS
from bluesky_stm.controllers.nanonis_wire._commands import BIAS, CURRENT, demodulated
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import HARMONICS
from bluesky_stm.protocols import LockInSettings, SweepSettings
from bluesky_stm.units import PICOFARAD

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis_server._software import Software


SETTLED = 1e-2
"""Part of a step that a filter may leave of it and still count as settled."""


class LockInModule(Module):
    """The module LockIn: modulator and demodulator 1 are those of the microscope, further ones are read out of its sweeps.

    Each demodulator begins with the harmonic of its number.
    """

    name = "LockIn"

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        for number in DEMODULATORS:
            self.registers.set("LockIn.DemodHarmonic", [number], number)

    def _settings(self, number: int) -> LockInSettings:
        """Return how the lock-in of the microscope is set.

        Parameters
        ----------
        number : int
            Number of the modulator or demodulator; only number 1 is there.

        Raises
        ------
        NanonisError
            For another number.
        """
        if number != 1:
            raise NanonisError(f"There is no lock-in {number}, only number 1.")
        return self.controller.get_lockin()

    def _mod_on_off_set(self, number: int, on: int) -> None:
        """Answer ``LockIn.ModOnOffSet``: switch the modulation of the bias on or off.

        Parameters
        ----------
        number : int
            Number of the modulator, 1.
        on : int
            1 for on, 0 for off.
        """
        self.controller.set_lockin(replace(self._settings(number), on=bool(on)))

    def _mod_on_off_get(self, number: int) -> Answer:
        """Answer ``LockIn.ModOnOffGet`` with 1 for a modulator that is on, 0 for one that is off.

        Parameters
        ----------
        number : int
            Number of the modulator, 1.
        """
        return [self._settings(number).on]

    def _mod_amp_set(self, number: int, amplitude: float) -> None:
        """Answer ``LockIn.ModAmpSet``: set the amplitude of the modulation.

        Parameters
        ----------
        number : int
            Number of the modulator, 1.
        amplitude : float
            Peak amplitude, in V.
        """
        self.controller.set_lockin(replace(self._settings(number), amplitude=amplitude))

    def _mod_amp_get(self, number: int) -> Answer:
        """Answer ``LockIn.ModAmpGet`` with the amplitude of the modulation, in V.

        Parameters
        ----------
        number : int
            Number of the modulator, 1.
        """
        return [self._settings(number).amplitude]

    def _mod_phas_freq_set(self, number: int, frequency: float) -> None:
        """Answer ``LockIn.ModPhasFreqSet``: set the frequency of the modulation.

        Parameters
        ----------
        number : int
            Number of the modulator, 1.
        frequency : float
            In Hz.
        """
        self.controller.set_lockin(replace(self._settings(number), frequency=frequency))

    def _mod_phas_freq_get(self, number: int) -> Answer:
        """Answer ``LockIn.ModPhasFreqGet`` with the frequency of the modulation, in Hz.

        Parameters
        ----------
        number : int
            Number of the modulator, 1.
        """
        return [self._settings(number).frequency]

    def _demod_phas_set(self, number: int, phase: float) -> None:
        """Answer ``LockIn.DemodPhasSet``: set the phase of a demodulator.

        That of number 1 is the phase of the microscope's lock-in; those of further ones are kept, and turn what `read` returns.

        Parameters
        ----------
        number : int
            Number of the demodulator, from 1.
        phase : float
            In degrees.
        """
        if number == 1:
            self.controller.set_lockin(replace(self._settings(number), phase=phase))
        else:
            self.registers.handle("LockIn.DemodPhasSet", [number, phase])

    def _demod_phas_get(self, number: int) -> Answer:
        """Answer ``LockIn.DemodPhasGet`` with the phase of a demodulator, in degrees.

        Parameters
        ----------
        number : int
            Number of the demodulator, from 1.
        """
        return [self._settings(1).phase] if number == 1 else self.registers.handle("LockIn.DemodPhasGet", [number])

    def standing(self, name: str) -> float:
        """Return what X or Y of a demodulator reads where the tip stands, in nA; 0 without a modulation.

        Parameters
        ----------
        name : str
            Name of the signal, as in ``"LI Demod 1 X (A)"``.
        """
        return float(self.standing_at(np.array([self.controller.get_tip().point]), name)[0])

    def standing_at(self, places: Floats, name: str) -> Floats:
        """Return what X or Y of a demodulator reads where the feedback holds the tip at each of some places, (n,), in nA.

        Parameters
        ----------
        places : ndarray of shape (n, 2)
            In nm.
        name : str
            Name of the signal, as in ``"LI Demod 1 X (A)"``.
        """
        controller = self.controller
        lockin, spectra = controller.get_lockin(), getattr(controller, "spectra", None)
        if not lockin.on or spectra is None:
            return np.zeros(len(places))
        if self.software.z.withdrawn:
            return np.full(len(places), self.read(self._displaced(lockin)).get(name, np.zeros(3))[1])
        bias, dwell = controller.get_bias(), max(0.02, 2 / lockin.frequency)
        around = SweepSettings(bias - 0.01, bias + 0.01, 3, settle=0.0, integrate=dwell)
        found = spectra(places, around).channels(lockin)
        each = ({key: values[number] for key, values in found.items()} for number in range(len(places)))
        return np.array([self.read(one).get(name, np.zeros(3))[1] for one in each])

    def _displaced(self, lockin: LockInSettings) -> dict[str, Floats]:
        """Return what is left of the channels of a sweep far from the surface: the displacement current, and the offset of X.

        Parameters
        ----------
        lockin : LockInSettings
            As it stands.
        """
        profile = getattr(self.controller, "profile", None)
        conductance = 2 * np.pi * lockin.frequency * (profile.capacitance if profile else 0.0) * PICOFARAD
        in_phase, late = lockin.demodulated(1, np.full(3, conductance))
        return {"current": np.zeros(3), "lockin_x": lockin.offset - late, "lockin_y": in_phase}  # ahead by a quarter

    def read(self, channels: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return X and Y of each demodulator by their names, in nA.

        A demodulator reads the harmonic that it is set to, turned by its phase and that of the modulator. Of a harmonic
        that the microscope behind it does not measure it reads 0, as it does in another phase register than the modulator's.

        Parameters
        ----------
        channels : mapping of str to ndarray of shape (points,)
            Channels of a sweep by the names of `Spectrum`: nA, and nS, nS/V for the derivatives.

        Returns
        -------
        dict of str to ndarray of shape (points,)
            By the names of the signals, as in ``"LI Demod 1 X (A)"``.
        """
        # as it was during the sweep: the module may have switched it on for that; without a modulation the channels are NaN
        lockin = replace(self.controller.get_lockin(), on=True)
        read: dict[str, Floats] = {}
        for number in DEMODULATORS:
            (harmonic,) = self.registers.get("LockIn.DemodHarmonic", number)
            (phase,) = self.registers.get("LockIn.DemodPhas", number)
            if number == harmonic == 1:
                pair = channels["lockin_x"], channels["lockin_y"]
            else:
                derivative = np.nan_to_num(channels.get(HARMONICS.get(harmonic, ""), 0 * channels["current"]))
                pair = lockin.demodulated(harmonic, derivative, lockin.phase if number == 1 else phase)
            right = self._on_the_current(number)
            turn = np.exp(1j * harmonic * np.radians(self.registers.get("LockIn.ModPhas", 1)[0]))
            turned = turn * (pair[0] + 1j * pair[1]) if turn != 1 else None
            pair = pair if turned is None else (turned.real, turned.imag)
            for key, values in zip(demodulated(number), pair, strict=True):
                read[key] = self._filtered(number, values) if right else 0 * values
        return read

    def _on_the_current(self, number: int) -> bool:
        """Return True when a demodulator sees the current, and modulator 1 drives the bias, in the same phase register."""
        (signal,), (output,) = self.registers.get("LockIn.DemodSignal", number), self.registers.get("LockIn.ModSignal", 1)
        in_step = self.registers.get("LockIn.DemodPhasReg", number) == self.registers.get("LockIn.ModPhasReg", 1)
        return SIGNALS[signal] == CURRENT and SIGNALS[output] == BIAS and in_step

    def _filtered(self, number: int, values: Floats) -> Floats:
        """Return what the low-pass filter of a demodulator leaves of the values at one bias after the other.

        Parameters
        ----------
        number : int
            Number of the demodulator.
        values : ndarray of shape (points,)
            In nA.
        """
        order, cutoff = self.registers.get("LockIn.DemodLPFilter", number)
        *_, settle, integrate, _, _ = self.registers.get("BiasSpectr.Timing")
        left = float(np.exp(-2 * np.pi * cutoff * (settle + integrate))) if order and cutoff else 0.0
        for _ in range(int(order) if left > SETTLED else 0):
            out = np.array(values)
            for point in range(1, len(out)):
                out[point] += left * (out[point - 1] - out[point])
            values = out
        return values
