"""The module LockIn: modulator and demodulator 1 are the microscope's lock-in; of the others the settings are kept."""

from __future__ import annotations

from dataclasses import replace

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.protocols import LockInSettings


class LockInModule(Module):
    """The lock-in."""

    name = "LockIn"

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
        self.controller.set_lockin(replace(self._settings(number), phase=phase))

    def _demod_phas_get(self, number: int) -> Answer:
        return [self._settings(number).phase]
