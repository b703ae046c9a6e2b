"""The module LockIn: modulator and demodulator 1 are the microscope's; what other demodulators read follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_server._signals import DEMODULATORS
from bluesky_stm.controllers.nanonis_wire._commands import demodulated
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import HARMONICS
from bluesky_stm.protocols import LockInSettings

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis_server._software import Software


class LockInModule(Module):
    """The lock-in."""

    name = "LockIn"

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        for number in DEMODULATORS:
            self.registers.set("LockIn.DemodHarmonic", [number], number)

    def _settings(self, number: int) -> LockInSettings:
        if number != 1:
            raise NanonisError(f"There is no lock-in {number}, only number 1.")
        return self.controller.get_lockin()

    def _mod_on_off_set(self, number: int, on: int) -> None:
        self.controller.set_lockin(replace(self._settings(number), on=bool(on)))

    def _mod_on_off_get(self, number: int) -> Answer:
        return [self._settings(number).on]

    def _mod_amp_set(self, number: int, amplitude: float) -> None:
        self.controller.set_lockin(replace(self._settings(number), amplitude=amplitude))

    def _mod_amp_get(self, number: int) -> Answer:
        return [self._settings(number).amplitude]

    def _mod_phas_freq_set(self, number: int, frequency: float) -> None:
        self.controller.set_lockin(replace(self._settings(number), frequency=frequency))

    def _mod_phas_freq_get(self, number: int) -> Answer:
        return [self._settings(number).frequency]

    def _demod_phas_set(self, number: int, phase: float) -> None:
        if number == 1:
            self.controller.set_lockin(replace(self._settings(number), phase=phase))
        else:
            self.registers.handle("LockIn.DemodPhasSet", [number, phase])

    def _demod_phas_get(self, number: int) -> Answer:
        return [self._settings(1).phase] if number == 1 else self.registers.handle("LockIn.DemodPhasGet", [number])

    def read(self, channels: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return X and Y of each demodulator by their names, in nA, from the channels of a sweep.

        A demodulator reads the harmonic that it is set to, turned by its phase; at first it is set to that of its number.
        """
        # as it was during the sweep: the module may have switched it on for that; without a modulation the channels are NaN
        lockin = replace(self.controller.get_lockin(), on=True)
        read: dict[str, Floats] = {}
        for number in DEMODULATORS:
            harmonic, phase = (self.registers.get(f"LockIn.Demod{what}", number)[0] for what in ("Harmonic", "Phas"))
            if number == harmonic == 1:
                pair = channels["lockin_x"], channels["lockin_y"]
            else:
                derivative = np.nan_to_num(channels.get(HARMONICS.get(harmonic, ""), 0 * channels["current"]))
                pair = lockin.demodulated(harmonic, derivative, lockin.phase if number == 1 else phase)
            read |= dict(zip(demodulated(number), pair, strict=True))
        return read
