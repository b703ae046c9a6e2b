"""The lock-in of a Nanonis controller: modulator and demodulator 1."""

from __future__ import annotations

from typing import Final

from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.controllers.nanonis._guard import NanonisPart
from bluesky_stm.controllers.nanonis._links import confirm
from bluesky_stm.controllers.nanonis_wire._commands import Switch
from bluesky_stm.protocols import LockInCalibration, LockInControl, LockInSettings

FIRST: Final = 1
"""Number of the modulator and of the demodulator."""


class NanonisLockIn(NanonisPart, LockInControl):
    """Fulfils `protocols.LockInControl`.

    Amplitude, frequency, phase and switch are the instrument's and read there each time; the calibration is kept here, for the
    protocol knows none. The bias is modulated in a sweep when the modulator is on, or when the bias spectroscopy module
    switches it on ("lock-in run"), as most people have it.
    """

    _calibration = LockInCalibration()
    _reference = 0.0

    @override
    def get_lockin(self) -> LockInSettings:
        """Return how modulator and demodulator 1 are set, and the calibration that is kept here.

        It is ``on`` when the modulator is, or when the bias spectroscopy module is set to switch it on for its sweeps.
        """
        return LockInSettings(
            **vars(self._calibration),
            amplitude=self._watch.ask("LockIn.ModAmpGet", FIRST)[0],
            frequency=self._watch.ask("LockIn.ModPhasFreqGet", FIRST)[0],
            phase=self._watch.ask("LockIn.DemodPhasGet", FIRST)[0],
            reference=self._reference,
            on=self._modulates(),
        )

    @override
    def set_lockin(self, settings: LockInSettings) -> None:
        """Set modulator and demodulator 1, and keep the calibration here.

        A modulator that runs during sweeps only is left so. Switched off, the lock-in run of the bias spectroscopy module is
        switched off, too.

        Parameters
        ----------
        settings : LockInSettings
            Amplitude (V), frequency (Hz), phase (degrees) and switch are sent and read back; calibration and reference are
            kept.

        Raises
        ------
        NanonisError
            When amplitude, frequency, phase or switch does not read back as it was set.
        """
        before = self.get_lockin()
        with self._guard.act():
            self._work.ask("LockIn.ModAmpSet", FIRST, settings.amplitude)
            self._work.ask("LockIn.ModPhasFreqSet", FIRST, settings.frequency)
            self._work.ask("LockIn.DemodPhasSet", FIRST, settings.phase)
            # A modulator that is on during sweeps only is left so: nothing else has to be on to measure dI/dV.
            if settings.on != before.on:
                self._work.ask("LockIn.ModOnOffSet", FIRST, settings.on)
            if not settings.on:
                self._work.ask("BiasSpectr.AdvPropsSet", Switch.KEEP, Switch.KEEP, Switch.KEEP, Switch.OFF)
            self._calibration, self._reference = settings.calibration, settings.reference
            read = self.get_lockin()
            confirm("The modulation", settings.amplitude, read.amplitude, units.BIAS, 1e-7)
            confirm("The frequency of the modulation", settings.frequency, read.frequency, units.FREQUENCY, 1e-3)
            turned = (read.phase - settings.phase + 180) % 360 - 180
            confirm("The phase of the demodulator", settings.phase, settings.phase + turned, units.ANGLE, 1e-3)
            confirm("The modulation's switch", settings.on, read.on, "(1 on, 0 off)", 0.0)

    def harmonics(self) -> dict[int, float]:
        """Return the phase, in degrees, of the demodulator of each further harmonic that is measured.

        The n-th harmonic is that of demodulator n, where the instrument has it and where it is set to that harmonic. Both its
        harmonic and its phase are asked each time, as those of demodulator 1 are: a person may have changed them, and a phase
        of before would turn the signal out of what is taken for d2I/dV2.
        """
        numbers = [n for n in self._links.channels.harmonics if self._watch.ask("LockIn.DemodHarmonicGet", n)[0] == n]
        return {n: self._watch.ask("LockIn.DemodPhasGet", n)[0] for n in numbers}

    def calibrate(self, calibration: LockInCalibration, reference: float | None) -> None:
        """Keep the calibration.

        Parameters
        ----------
        calibration : LockInCalibration
            What preamplifier and lock-in make of a current.
        reference : float or None
            Reference of the phase, in degrees; for None the phase that stands in the instrument is taken to be right.
        """
        self._calibration = calibration
        lockin = self.get_lockin()
        self._reference = lockin.phase + lockin.lag(lockin.frequency) if reference is None else reference

    def _modulates(self) -> bool:
        return bool(self._watch.ask("LockIn.ModOnOffGet", FIRST)[0] or self._watch.ask("BiasSpectr.AdvPropsGet")[3])
