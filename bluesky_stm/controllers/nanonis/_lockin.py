"""The lock-in of a Nanonis controller: modulator and demodulator 1."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.controllers.nanonis._guard import NanonisPart
from bluesky_stm.controllers.nanonis._links import confirm
from bluesky_stm.controllers.nanonis._witness import differences
from bluesky_stm.controllers.nanonis_wire._commands import Switch
from bluesky_stm.controllers.nanonis_wire._si import ours
from bluesky_stm.errors import SettingsError
from bluesky_stm.protocols import LockInCalibration, LockInControl, LockInSettings

FIRST: Final = 1
"""Number of the modulator and of the demodulator."""


RECENT: Final = 10.0
"""Time, in s, for which what was seen of the lock-in after a sweep is taken to hold before the next one."""

READINGS, SEEN = 5, 3.0
"""Readings of the displacement current, and their mean in standard deviations from which on it says a phase."""

SETTLED: Final = 3.0
"""Time constants of a low-pass filter that a dwell time has to last: then 5 % of the step from the bias before are left."""


@dataclass(frozen=True)
class Look:
    """The lock-in as it stood at one moment.

    Attributes
    ----------
    settings : LockInSettings
        Of modulator and demodulator 1.
    harmonics : dict of int to float
        Phase, in degrees, of the demodulator of each further harmonic that is measured.
    harmonic : int
        Which demodulator 1 demodulates.
    demodulated, modulated : int
        Indexes of the signal that demodulator 1 demodulates, and of the output that modulator 1 modulates.
    order : int
        Of the low-pass filter of demodulator 1; 0 for none.
    cutoff : float
        Of the same, in Hz.
    """

    settings: LockInSettings
    harmonics: dict[int, float]
    harmonic: int
    demodulated: int
    modulated: int
    order: int
    cutoff: float

    @property
    def lag(self) -> float:
        """Time constant of the low-pass filter, in s, all its poles together; 0 where it is off."""
        return self.order / (2 * math.pi * self.cutoff) if self.order > 0 and self.cutoff > 0 else 0.0

    @property
    def numbers(self) -> dict[str, float]:
        """Everything by what a person calls it, to be compared with how it stood before."""
        settings = {
            "modulation (V)": self.settings.amplitude,
            "frequency of the modulation (Hz)": self.settings.frequency,
            "phase of demodulator 1": self.settings.phase,
            "modulation on": self.settings.on,
            "harmonic of demodulator 1": self.harmonic,
            "signal of demodulator 1": self.demodulated,
            "output of modulator 1": self.modulated,
            "order of the low-pass filter": self.order,
            "cut-off of the low-pass filter (Hz)": self.cutoff,
        }
        return {**settings, **{f"phase of demodulator {n}": phase for n, phase in self.harmonics.items()}}

    def settles(self, dwell: float) -> bool:
        """Return True when the low-pass filter settles within the dwell time, in s, or when nothing is modulated."""
        return not self.settings.modulated or dwell >= SETTLED * self.lag

    def check_filter(self, dwell: float) -> None:
        """Refuse a dwell time within which the low-pass filter does not settle.

        Parameters
        ----------
        dwell : float
            Time at each bias, in s.

        Raises
        ------
        SettingsError
            Nothing was swept.
        """
        if not self.settles(dwell):
            raise SettingsError(
                f"The low-pass filter of demodulator 1, order {self.order} at {self.cutoff:g} Hz, settles within "
                f"{SETTLED * self.lag:.2g} s, and {dwell:g} s are spent at each bias: dI/dV would lag behind it. Nothing was "
                "swept. Raise the cut-off, or let settle and integrate last longer."
            )

    def faults(self, bias: int, current: int) -> str:
        """Return in words why this lock-in measures no dI/dV, empty where it does.

        Parameters
        ----------
        bias, current : int
            Indexes of the signals of bias and current.
        """
        wrong = []
        if self.harmonic != 1:
            wrong.append(f"demodulator 1 is on harmonic {self.harmonic}")
        if self.demodulated != current:
            wrong.append(f"demodulator 1 demodulates signal {self.demodulated}, not the current")
        if self.modulated != bias:
            wrong.append(f"modulator 1 modulates signal {self.modulated}, not the bias")
        return "; ".join(wrong)


class NanonisLockIn(NanonisPart, LockInControl):
    """Fulfils `protocols.LockInControl`.

    Amplitude, frequency, phase and switch are the instrument's and read there each time; the calibration is kept here, for the
    protocol knows none. The bias is modulated in a sweep when the modulator is on, or when the bias spectroscopy module
    switches it on ("lock-in run"), as most people have it.
    """

    known_reference = False
    """True when somebody gave the reference of the phase, or a calibration found it; else the phase is taken to be right."""

    _calibration = LockInCalibration()
    _reference = 0.0
    _seen: tuple[Look, float, int] | None = None
    meddled = ""
    """What others had changed since it was seen last, in words, as it was found before a sweep."""

    @override
    def get_lockin(self) -> LockInSettings:
        """Return how modulator and demodulator 1 are set, and the calibration that is kept here.

        It is ``on`` when the modulator is, or when the bias spectroscopy module is set to switch it on for its sweeps.
        """
        return self._settings(on=self._modulates())

    def _settings(self, *, on: bool) -> LockInSettings:
        return LockInSettings(
            **vars(self._calibration),
            amplitude=self._watch.ask("LockIn.ModAmpGet", FIRST)[0],
            frequency=self._watch.ask("LockIn.ModPhasFreqGet", FIRST)[0],
            phase=self._watch.ask("LockIn.DemodPhasGet", FIRST)[0],
            reference=self._reference,
            on=on,
        )

    def always(self) -> bool:
        """Return True when the modulator is on by itself, whatever the bias spectroscopy module does for its sweeps."""
        return bool(self._watch.ask("LockIn.ModOnOffGet", FIRST)[0])

    def displaced(self, lockin: LockInSettings) -> float | None:
        """Return how far the demodulator is off, in degrees, as the displacement current of a withdrawn tip tells.

        That current is a quarter of a period ahead of the bias: at the right phase it lies in Y alone, with either sign.

        Parameters
        ----------
        lockin : LockInSettings
            As the lock-in stands.

        Returns
        -------
        float or None
            Between -90 and 90; None where no modulation is on, or where noise is as large.
        """
        channels = self._links.channels
        if not self.always():
            return None
        read = [self._watch.ask("Signals.ValsGet", [channels.lockin_x, channels.lockin_y], 1)[0] for _ in range(READINGS)]
        x, y = np.array([[ours(value, units.CURRENT) for value in pair] for pair in read]).T
        x -= lockin.offset
        if not math.hypot(x.mean(), y.mean()) > SEEN * math.hypot(x.std(), y.std()):
            return None
        return (math.degrees(math.atan2(x.mean(), y.mean())) + 90.0) % 180.0 - 90.0

    def known(self, run: bool, dwell: float) -> Look:
        """Return the lock-in as it stands before a sweep.

        What people turn between two sweeps, and what the numbers of a spectrum follow from, is read each time: the amplitude,
        the phases, the switch. Where it stands as it was seen after the sweep of before, the rest is taken to stand, too: one
        whole look at the lock-in, after the sweep, tells what else has changed during the sweep or before it.

        Parameters
        ----------
        run : bool
            True when the bias spectroscopy module runs the lock-in for its sweeps.
        dwell : float
            Time at each bias of the sweep, in s.

        Raises
        ------
        SettingsError
            When a period or the low-pass filter does not pass within the dwell time. Nothing was swept.
        """
        before, look, self.meddled = self._seen, self._recent(), ""
        if look is None or not look.settles(dwell) or not self._stands(look, run):  # a person may have mended it since
            look = self.look(run)
            self.meddled = differences(before[0].numbers, look.numbers) if before else ""
        look.settings.check_dwell(dwell)
        look.check_filter(dwell)
        return look

    def _stands(self, look: Look, run: bool) -> bool:
        """Return True when amplitude, phases and switch read as they did in that look."""
        ask = self._watch.ask
        return (
            look.settings.on == (run or bool(ask("LockIn.ModOnOffGet", FIRST)[0]))
            and ask("LockIn.ModAmpGet", FIRST)[0] == look.settings.amplitude
            and ask("LockIn.DemodPhasGet", FIRST)[0] == look.settings.phase
            and all(ask("LockIn.DemodPhasGet", n)[0] == phase for n, phase in look.harmonics.items())
        )

    def _recent(self) -> Look | None:
        if self._seen:
            look, when, losses = self._seen
            if losses == self._links.watch.losses and time.monotonic() - when < RECENT:
                return look
        return None

    def look(self, run: bool) -> Look:
        """Read the lock-in whole, as a sweep depends on it.

        Parameters
        ----------
        run : bool
            True when the bias spectroscopy module runs the lock-in for its sweeps: then its own switch does not matter.
        """
        order, cutoff = self._watch.ask("LockIn.DemodLPFilterGet", FIRST)
        look = Look(
            self._settings(on=run or bool(self._watch.ask("LockIn.ModOnOffGet", FIRST)[0])),
            harmonics=self.harmonics(),
            harmonic=self._watch.ask("LockIn.DemodHarmonicGet", FIRST)[0],
            demodulated=self._watch.ask("LockIn.DemodSignalGet", FIRST)[0],
            modulated=self._watch.ask("LockIn.ModSignalGet", FIRST)[0],
            order=order,
            cutoff=cutoff,
        )
        self._seen = look, time.monotonic(), self._links.watch.losses
        return look

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
        self._seen = None
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
            self.known_reference = True
            read = self.get_lockin()
            confirm("The modulation", settings.amplitude, read.amplitude, units.BIAS, 1e-7)
            confirm("The frequency of the modulation", settings.frequency, read.frequency, units.FREQUENCY, 1e-3)
            turned = (read.phase - settings.phase + 180) % 360 - 180
            confirm("The phase of the demodulator", settings.phase, settings.phase + turned, units.ANGLE, 1e-3)
            confirm("The modulation's switch", settings.on, read.on, "(1 on, 0 off)", 0.0)

    @property
    def further(self) -> list[int]:
        """Further harmonics that are recorded: those that were measured when the lock-in was seen last."""
        look = self._recent()
        return list(look.harmonics if look else self.harmonics())

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
        self._calibration, self.known_reference = calibration, reference is not None
        lockin = self.get_lockin()
        self._reference = lockin.phase + lockin.lag(lockin.frequency) if reference is None else reference

    def _modulates(self) -> bool:
        # In this order the modulator's own switch costs no request where the module runs it for its sweeps anyway.
        return bool(self._watch.ask("BiasSpectr.AdvPropsGet")[3] or self._watch.ask("LockIn.ModOnOffGet", FIRST)[0])
