"""The modules Osci1T, Osci2T, SpectrumAnlzr and SignalChart: signals as they go on, and what is in their noise.

Each sample is a reading of the signal, with the noise of a reading.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_server._signals import SIGNALS
from bluesky_stm.controllers.nanonis_server._util import REAL_TIME_RATE
from bluesky_stm.controllers.nanonis_wire._commands import CURRENT, HEIGHT
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.geometry import Floats

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis_server._software import Software

SAMPLES: Final = 256
"""Of a trace."""

TIMEBASES: Final = tuple(SAMPLES * 2**n / REAL_TIME_RATE for n in range(10))
"""Lengths of a trace, in s."""

LEVEL, AUTO = 1, 2
"""Modes of a trigger beside 0, which takes a trace at once."""

PATIENCE: Final = 8
"""Traces that are looked through for a trigger."""

OVERSAMPLED: Final = (50, 20, 10, 5, 2, 1)
"""Readings that a sample of the oscilloscope with two traces is the mean of, by the index of the oversampling."""


def triggered(trace: Floats, level: float, hysteresis: float, rising: bool) -> int | None:
    """Return where a trace crosses a level, having been beyond it by the hysteresis before; None where it does not.

    Parameters
    ----------
    trace : ndarray of shape (n,)
        Readings, one after the other.
    level, hysteresis : float
        In the unit of the trace.
    rising : bool
        True for a crossing upwards.
    """
    sign = 1 if rising else -1
    values, level = sign * trace, sign * level
    armed = False
    for index, value in enumerate(values.tolist()):
        if value < level - hysteresis:
            armed = True
        elif armed and value >= level:
            return index
    return None


def caught(take: Callable[[], Floats], mode: int, slope: int, level: float, hysteresis: float, triggers: int) -> Floats:
    """Return a trace as a trigger catches it.

    Parameters
    ----------
    take : callable
        Returns a trace of shape (n, traces), twice as long as what is shown; the first column is triggered on.
    mode : int
        0 for at once, `LEVEL` or `AUTO`.
    slope : int
        1 for a crossing upwards.
    level, hysteresis : float
        In the unit of the signal.
    triggers : int
        Number of triggers that are waited for; 0 for what is there now.

    Raises
    ------
    NanonisError
        When nothing crosses the level; with `AUTO` what is there is shown then.
    """
    trace = take()
    half = len(trace) // 2
    if mode == 0 or not triggers:
        return trace[:half]
    left = triggers
    for _ in range(PATIENCE):
        at = triggered(trace[:half, 0], level, hysteresis, bool(slope))
        left -= at is not None
        if at is not None and left <= 0:
            return trace[at : at + half]
        trace = take()
    if mode == AUTO:
        return trace[:half]
    raise NanonisError(f"The signal has not crossed {level:g} in {PATIENCE} traces: nothing was triggered.")


class OscilloscopeModule(Module):
    """An oscilloscope; it runs once it was started, as the vendor's does.

    Attributes
    ----------
    timebase : int
        Index among `TIMEBASES`.
    running : bool
    """

    timebase, running = 0, False

    def _run(self) -> None:
        """Answer a ``Run``.

        From now on there are data.
        """
        self.running = True

    def _timebase_set(self, index: int) -> None:
        """Answer a ``TimebaseSet``.

        Parameters
        ----------
        index : int
            Of the list that ``TimebaseGet`` gives.
        """
        if not 0 <= index < len(TIMEBASES):
            raise NanonisError(f"There is no timebase {index}, only 0 to {len(TIMEBASES) - 1}.")
        self.timebase = index

    def _timebase_get(self) -> Answer:
        """Answer a ``TimebaseGet``: index of the timebase, and all there are (s)."""
        return [self.timebase, list(TIMEBASES)]

    def traces(self, channels: Sequence[int], averaged: int = 1) -> Floats:
        """Return readings of channels one after the other, of shape (2 * SAMPLES, channels).

        Parameters
        ----------
        channels : sequence of int
            Indexes of signals.
        averaged : int
            Readings that a sample is the mean of.
        """
        if not self.running:
            raise NanonisError(f"The oscilloscope {self.name} does not run: start it first.")
        read = self.software.signals.fresh
        many = [[np.mean([read(channel) for _ in range(averaged)]) for channel in channels] for _ in range(2 * SAMPLES)]
        return np.array(many, dtype=float)


class Osci1TModule(OscilloscopeModule):
    """The oscilloscope with one trace."""

    name = "Osci1T"

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        self.registers.set("Osci1T.Ch", [SIGNALS.index(CURRENT)])

    def _ch_set(self, channel: int) -> None:
        """Answer ``Osci1T.ChSet``.

        Parameters
        ----------
        channel : int
            Index of the signal.
        """
        _check(channel)
        self.registers.set("Osci1T.Ch", [channel])

    def _data_get(self, what: int) -> Answer:
        """Answer ``Osci1T.DataGet``: now (0), or at the next trigger (1) or the one after it (2).

        Returns
        -------
        list
            Begin and step (s) of the trace, and its values.
        """
        mode, slope, level, hysteresis = self.registers.get("Osci1T.Trig")
        trace = caught(lambda: self.traces(self.registers.get("Osci1T.Ch")), mode, slope, level, hysteresis, what)
        return [self.controller.now(), TIMEBASES[self.timebase] / SAMPLES, trace[:, 0]]


class Osci2TModule(OscilloscopeModule):
    """The oscilloscope with two traces."""

    name = "Osci2T"

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        self.registers.set("Osci2T.Chs", [SIGNALS.index(CURRENT), SIGNALS.index(HEIGHT)])
        self.registers.set("Osci2T.Oversampl", [len(OVERSAMPLED) - 1])

    def _chs_set(self, one: int, other: int) -> None:
        """Answer ``Osci2T.ChsSet``.

        Parameters
        ----------
        one, other : int
            Indexes of both signals.
        """
        _check(one, other)
        self.registers.set("Osci2T.Chs", [one, other])

    def _oversampl_set(self, index: int) -> None:
        """Answer ``Osci2T.OversamplSet``.

        Parameters
        ----------
        index : int
            Of `OVERSAMPLED`: of how many readings each sample is the mean.
        """
        if not 0 <= index < len(OVERSAMPLED):
            raise NanonisError(f"There is no oversampling {index}, only 0 to {len(OVERSAMPLED) - 1}.")
        self.registers.set("Osci2T.Oversampl", [index])

    def _data_get(self, what: int) -> Answer:
        """Answer ``Osci2T.DataGet``: begin and step (s) of the traces, and the values of both."""
        channels = self.registers.get("Osci2T.Chs")
        mode, channel, slope, level, hysteresis, position = self.registers.get("Osci2T.Trig")
        averaged = OVERSAMPLED[self.registers.get("Osci2T.Oversampl")[0]]
        order = slice(None, None, -1 if channel else 1)  # what is triggered on comes first
        trace = caught(lambda: self.traces(channels, averaged)[:, order], mode, slope, level, hysteresis, what)[:, order]
        return [self.controller.now() - position, TIMEBASES[self.timebase] / SAMPLES, trace[:, 0], trace[:, 1]]


class SignalChartModule(Module):
    """The chart of two signals, which shows them to whoever sits there; over the wire only its channels are set."""

    name = "SignalChart"

    def _open(self) -> None:
        """There is no window to open."""

    def _chs_set(self, one: int, other: int) -> None:
        """Answer ``SignalChart.ChsSet``."""
        _check(one, other)
        self.registers.set("SignalChart.Chs", [one, other])


WINDOWS: Final = {0: (1.0,), 1: (0.5, -0.5), 2: (0.54, -0.46), 5: (0.42, -0.5, 0.08)}
"""Weights of the cosines of the windows that are simulated, by their codes: none, Hanning, Hamming, Blackman."""

INSTANCES: Final = (1, 2)
"""Numbers of the spectrum analyzers."""

RESOLUTIONS: Final = (128, 256, 512, 1024)
"""Samples of a spectrum."""

RANGES: Final = tuple(REAL_TIME_RATE / 2 / 2**n for n in range(8))
"""Highest frequencies, in Hz."""


class SpectrumAnlzrModule(Module):
    """The spectrum analyzers: the amplitude spectral density of a signal."""

    name = "SpectrumAnlzr"

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        self.running: set[int] = set()
        self.ranges, self.resolutions = dict.fromkeys(INSTANCES, 0), dict.fromkeys(INSTANCES, 1)
        self.cursors: dict[int, tuple[float, float]] = dict.fromkeys(INSTANCES, (0.0, RANGES[0]))
        self.means = dict.fromkeys(INSTANCES, 0.0)

    def _run(self, which: int) -> None:
        """Answer ``SpectrumAnlzr.Run``: from now on there are data."""
        _check_instance(which)
        self.running.add(which)

    def spectrum(self, which: int) -> tuple[float, Floats]:
        """Return the distance of the frequencies (Hz) and the density at each, from 0 Hz, in the unit of the signal by root Hz.

        Parameters
        ----------
        which : int
            Number of the analyzer.
        """
        _check_instance(which)
        if which not in self.running:
            raise NanonisError("Cannot access the Spectrum Analyzer. Please make sure it is running.")
        number, rate = RESOLUTIONS[self.resolutions[which]], 2 * RANGES[self.ranges[which]]
        (channel,), (coupled,) = (
            self.registers.get("SpectrumAnlzr.Ch", which),
            self.registers.get("SpectrumAnlzr.ACCoupling", which),
        )
        (window,) = self.registers.get("SpectrumAnlzr.FFTWindow", which)
        mode, _, count = self.registers.get("SpectrumAnlzr.Averag", which)
        phases = 2 * np.pi * np.arange(number) / number
        weights = sum(part * np.cos(order * phases) for order, part in enumerate(WINDOWS.get(window, WINDOWS[1])))
        powers = []
        for _ in range(max(int(count), 1) if mode else 1):
            trace = np.array([self.software.signals.fresh(channel) for _ in range(number)])
            self.means[which] = float(trace.mean())
            parts = np.abs(np.fft.rfft((trace - (trace.mean() if coupled else 0.0)) * weights)) ** 2
            density = parts / (rate * float(np.sum(np.square(weights))))
            density[1 : -1 if number % 2 == 0 else None] *= 2  # what stands at the negative frequencies
            powers.append(density)
        return rate / number, np.sqrt(np.max(powers, axis=0) if mode == PEAK_HOLD else np.mean(powers, axis=0))

    def _data_get(self, which: int) -> Answer:
        """Answer ``SpectrumAnlzr.DataGet``: first frequency, distance of the frequencies (Hz), density at each."""
        step, density = self.spectrum(which)
        return [0.0, step, density]

    def _band_rms_get(self, which: int) -> Answer:
        """Answer ``SpectrumAnlzr.BandRMSGet``: root mean square between the cursors, and their frequencies (Hz)."""
        step, density = self.spectrum(which)
        low, high = sorted(self.cursors[which])
        within = (np.arange(len(density)) * step >= low) & (np.arange(len(density)) * step <= high)
        return [math.sqrt(float(np.sum(density[within] ** 2) * step)), low, high]

    def _dc_get(self, which: int) -> Answer:
        """Answer ``SpectrumAnlzr.DCGet`` with the mean of the signal in the last spectrum, which an AC coupling leaves out."""
        _check_instance(which)
        return [self.means[which]]

    def _ch_set(self, which: int, channel: int) -> None:
        """Answer ``SpectrumAnlzr.ChSet``."""
        _check_instance(which)
        _check(channel)
        self.registers.set("SpectrumAnlzr.Ch", [channel], which)

    def _freq_range_set(self, which: int, index: int) -> None:
        """Answer ``SpectrumAnlzr.FreqRangeSet`` with an index of the list that ``FreqRangeGet`` gives."""
        _check_instance(which, index, RANGES)
        self.ranges[which] = index

    def _freq_range_get(self, which: int) -> Answer:
        """Answer ``SpectrumAnlzr.FreqRangeGet``: index of the range, and all there are (Hz)."""
        _check_instance(which)
        return [self.ranges[which], list(RANGES)]

    def _freq_res_set(self, which: int, index: int) -> None:
        """Answer ``SpectrumAnlzr.FreqResSet`` with an index of the list that ``FreqResGet`` gives."""
        _check_instance(which, index, RESOLUTIONS)
        self.resolutions[which] = index

    def _freq_res_get(self, which: int) -> Answer:
        """Answer ``SpectrumAnlzr.FreqResGet``: index of the resolution, and all there are (Hz)."""
        _check_instance(which)
        return [self.resolutions[which], [2 * RANGES[self.ranges[which]] / number for number in RESOLUTIONS]]

    def _cursor_pos_set(self, which: int, kind: int, one: float, other: float) -> None:
        """Answer ``SpectrumAnlzr.CursorPosSet``.

        Parameters
        ----------
        which : int
            Number of the analyzer.
        kind : int
            Of the cursors, which is only shown.
        one, other : float
            Their frequencies, in Hz.
        """
        _check_instance(which)
        self.cursors[which] = (one, other)

    def _cursor_pos_get(self, which: int, kind: int) -> Answer:
        """Answer ``SpectrumAnlzr.CursorPosGet``: frequencies of both cursors (Hz), and the density at the first one."""
        step, density = self.spectrum(which)
        one, other = self.cursors[which]
        return [one, other, density[min(max(round(one / step), 0), len(density) - 1)]]


PEAK_HOLD: Final = 3
"""Mode of averaging that keeps the largest."""


def _check(*channels: int) -> None:
    if not all(0 <= channel < len(SIGNALS) for channel in channels):
        raise NanonisError(f"Channels {list(channels)} are not all among the {len(SIGNALS)} signals.")


def _check_instance(which: int, index: int = 0, those: Sequence[object] = (None,)) -> None:
    if which not in INSTANCES:
        raise NanonisError(f"There is no spectrum analyzer {which}, only 1 and 2.")
    if not 0 <= index < len(those):
        raise NanonisError(f"There is no choice {index}, only 0 to {len(those) - 1}.")
