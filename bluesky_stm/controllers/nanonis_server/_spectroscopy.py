"""The module BiasSpectr: one act that holds the feedback, sweeps, and restores what stood before."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from bluesky_stm import units
from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_server._signals import SIGNALS
from bluesky_stm.controllers.nanonis_wire._commands import (
    BIAS,
    CURRENT,
    HEIGHT,
    LOCKIN_X,
    LOCKIN_Y,
    SWEPT,
    Comparison,
    SafeLogic,
)
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.files import write_dat
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import CHANNELS, Setpoint, Spectrum
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.validated import JSON

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis_server._software import Software

PARAMETERS: Final = ["Sweep Start", "Sweep End"]
FIXED_PARAMETERS: Final = ["X (m)", "Y (m)", "Z (m)", "Integration time (s)", "Settling time (s)"]
LONGEST, SLOWEST = 100_000, 3600.0
"""Points and sweeps, and time for a point in s, that are still simulated."""

BACKWARD: Final = " [bwd]"


class BiasSpectrModule(Module):
    """The bias spectroscopy.

    Attributes
    ----------
    channels : list of int
        Indexes of the signals that are recorded.
    base_name : str
        What the files of spectra begin with.
    """

    name = "BiasSpectr"
    base_name = "spectrum"

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        self.channels = [SIGNALS.index(name) for name in (CURRENT, LOCKIN_X, LOCKIN_Y)]

    def _open(self) -> None:
        """Nothing to open."""

    def _start(self, get_data: int, base_name: str) -> Answer:
        """Answer ``BiasSpectr.Start``: sweep the bias as the module is set.

        Parameters
        ----------
        get_data : int
            1 to answer with the data when the sweep is over, 0 to answer at once with nothing.
        base_name : str
            Beginning of the name of the file, kept for later sweeps; empty to keep the present one.

        Returns
        -------
        list
            Names of the channels; their rows, in SI, of shape (channels, points), the bias first; parameters of the sweep.

        Raises
        ------
        NanonisError
            While another sweep is running, or for a name that would leave the session path.
        """
        if self.software.is_doing("sweep") or self.software.is_doing("z sweep"):
            raise NanonisError("A sweep is running: stop it first.")
        if set(base_name) & set("/\\:"):
            raise NanonisError(f"{base_name!r} is no name of a file.")
        self.base_name = base_name or self.base_name
        if not get_data:
            self.software.begin("sweep", self._measure)
            return [[], np.empty((0, 0)), []]
        spectrum = self._measure()
        names, rows = self.table(spectrum)
        return [names, rows, self._parameters(spectrum)]

    def _stop(self) -> None:
        """Answer ``BiasSpectr.Stop``: end a sweep under way, which is then shorter.

        The answer comes when it has ended; without a sweep nothing is done.
        """
        self.software.halt("sweep")

    def _status_get(self) -> Answer:
        """Answer ``BiasSpectr.StatusGet`` with 1 while a sweep is under way, whoever began it.

        A sweep that nobody waits for counts until its spectrum is saved.
        """
        return [self.software.is_doing("sweep")]

    # ---- settings ----

    def _chs_set(self, channels: list[int]) -> None:
        """Answer ``BiasSpectr.ChsSet``: set which signals the next sweep records.

        Parameters
        ----------
        channels : list of int
            Indexes of the signals; a signal other than current and demodulators reads 0.

        Raises
        ------
        NanonisError
            For an index that is not there.
        """
        if not all(0 <= channel < len(SIGNALS) for channel in channels):
            raise NanonisError(f"Channels {list(channels)} are not all among the {len(SIGNALS)} signals.")
        self.channels = [int(channel) for channel in channels]

    def _chs_get(self) -> Answer:
        """Answer ``BiasSpectr.ChsGet``.

        Returns
        -------
        list
            Indexes of the signals that are recorded, and their names.
        """
        return [self.channels, [SIGNALS[channel] for channel in self.channels]]

    def _props_get(self) -> Answer:
        """Answer ``BiasSpectr.PropsGet``.

        Returns
        -------
        list
            1 where each single sweep is saved; sweeps to average; 1 where it is swept back, too; points; names of the
            parameters and of the fixed parameters; 1 where spectra are saved; 1 where a dialog would ask at the end.
        """
        save_all, sweeps, backward, points, _, autosave, dialog = self.registers.get("BiasSpectr.Props")
        return [save_all, sweeps, backward, points, PARAMETERS, FIXED_PARAMETERS, autosave, dialog]

    def _timing_set(self, *asked: float) -> None:
        """Answer ``BiasSpectr.TimingSet``. The z offset stands in two places of the module, and is one value.

        Parameters
        ----------
        *asked : float
            Averaging time of z (s), z offset (m), settling time of the first point (s), slew rate (V/s), settling and averaging
            time of a point, settling time of the last point, time for the z controller to recover (s). Only z offset, settling
            and averaging time of a point have an effect here.
        """
        self.registers.set("BiasSpectr.Timing", asked)
        self.registers.set("BiasSpectr.Props", (0, 0, 0, 0, asked[1], 0, 0))

    def _props_set(self, *asked: float) -> None:
        """Answer ``BiasSpectr.PropsSet``. The z offset stands in two places of the module, and is one value.

        Parameters
        ----------
        *asked : float
            Save each sweep (0 keep, 1 on, 2 off), sweeps to average (0 keep), sweep back (0, 1, 2), points (0 keep), z offset
            (m), save spectra (0, 1, 2), ask in a dialog (0, 1, 2).
        """
        self.registers.set("BiasSpectr.Props", asked)
        self.registers.set("BiasSpectr.Timing", (math.nan, asked[4], *(math.nan,) * 6))

    def _settings(self) -> SweepSettings:
        """Return what the module is set to, as our sweep.

        The lift of an opened feedback adds to the z offset, for the microscope behind it does not know of the lift. With an
        alternate set point the tip is held at that before the sweep.

        Raises
        ------
        NanonisError
            For more than `LONGEST` points or sweeps, or more than `SLOWEST` for a point.
        """
        _, averages, backward, points, z_offset, *_ = self.registers.get("BiasSpectr.Props")
        start, stop = self.registers.get("BiasSpectr.Limits")
        *_, settle, integrate, _, _ = self.registers.get("BiasSpectr.Timing")
        if not (points <= LONGEST and averages <= LONGEST and settle + integrate <= SLOWEST):
            raise NanonisError(f"A sweep of {points} points, {averages} times, {settle + integrate:g} s each is too long.")
        lift = self.software.z.lift + ours(z_offset, units.LENGTH)
        alternate, current, _ = self.registers.get("BiasSpectr.AltZCtrl")
        other = Setpoint(self.controller.get_bias(), ours(current, units.CURRENT)) if alternate else None
        return SweepSettings(start, stop, points, settle, integrate, averages, bool(backward), other, z_offset=lift)

    # ---- the sweep ----

    def _measure(self) -> Spectrum:
        """Sweep once, in the order of the real module, and return the spectrum.

        After the sweep a safe condition cuts it, Safe Tip looks at its largest current, the bias stays at its end where it is
        not to be reset, and the spectrum is saved as a file ``.dat`` where the module is set to save.
        """
        settings, software = self._settings(), self.software
        with software.doing("sweep"):
            if software.z.withdrawn:
                spectrum = self._nothing_but_air(settings)
            elif software.segments.on:
                spectrum = software.segments.sweep(settings, self._swept)
            else:
                spectrum = self._swept(settings, bool(self.registers.get("BiasSpectr.AdvProps")[3]))
        spectrum = self._ended_early(spectrum)
        overload = software.safe_tip.overload
        largest = software.signals.full_scale if overload else np.nanmax(np.abs(spectrum.current), initial=0.0)
        software.safe_tip.check_current(float(largest))
        if not self.registers.get("BiasSpectr.AdvProps")[0]:
            self.controller.ramp_bias(float(spectrum.bias[-1]))
        if self.registers.get("BiasSpectr.Props")[5]:
            write_dat(software.util.saved_path(self.base_name, ".dat"), replace(spectrum, time=time.time()))
        return spectrum

    def measure(self, name: str | None) -> Spectrum:
        """Sweep as the module is set, where the tip stands: a grid experiment does it at each place.

        Parameters
        ----------
        name : str or None
            What the name of its own file begins with; None where no file of its own is written.
        """
        before, saving = self.base_name, self.registers.get("BiasSpectr.Props")
        self.base_name = name or before
        self.registers.set("BiasSpectr.Props", (0, 0, 0, 0, math.nan, 1 if name else 2, 0))
        try:
            return self._measure()
        finally:
            self.base_name = before
            self.registers.set("BiasSpectr.Props", (0, 0, 0, 0, math.nan, 1 if saving[5] else 2, 0))

    def _swept(self, settings: SweepSettings, run: bool) -> Spectrum:
        """Sweep with the microscope behind it.

        The modulator is switched on meanwhile where the lock-in is to run, and off again also after a fault.

        Parameters
        ----------
        settings : SweepSettings
            What is swept.
        run : bool
            True to run the lock-in.
        """
        controller, before = self.controller, self.controller.get_lockin()
        if before.on or not run:
            return controller.sweep(settings)
        controller.set_lockin(replace(before, on=True))
        try:
            return controller.sweep(settings)
        finally:
            controller.set_lockin(replace(controller.get_lockin(), on=False))

    def _nothing_but_air(self, settings: SweepSettings) -> Spectrum:
        """Return the spectrum of a withdrawn tip, in which nothing flows.

        Nanonis sweeps wherever the tip is, and says nothing of it; no time passes for it here.

        Parameters
        ----------
        settings : SweepSettings
            The sweep that the module is set to.
        """
        tip, nothing = self.controller.get_tip(), np.zeros(settings.points)
        return Spectrum(
            position=tip.point,
            bias=settings.bias,
            current=nothing,
            lockin_x=nothing,
            lockin_y=nothing,
            didv=nothing,
            setpoint=self.controller.get_setpoint(),
            z=tip.z,
        )

    def _ended_early(self, spectrum: Spectrum) -> Spectrum:
        """Return what is left of a sweep that a safe condition on the current ended; from there on it is NaN.

        Parameters
        ----------
        spectrum : Spectrum
            The whole sweep, as the microscope measured it.
        """
        current = spectrum.current
        action, *first = self.registers.get("BiasSpectr.SafeCond1")
        logic, *second = self.registers.get("BiasSpectr.SafeCond2")
        one, two = self._crossed(spectrum, *first), self._crossed(spectrum, *second)
        met = {SafeLogic.OR: one | two, SafeLogic.AND: one & two, SafeLogic.THEN: two & np.logical_or.accumulate(one)}
        crossed: list[int] = np.flatnonzero(met.get(logic, one)).tolist() if action else []
        ends = min([len(current), *crossed])
        kept = np.arange(len(current)) < ends
        channels: JSON = {c.name: np.where(kept, getattr(spectrum, c.name), np.nan) for c in CHANNELS}
        return replace(spectrum, **channels)

    def _crossed(self, spectrum: Spectrum, threshold: float, signal: int, below: int) -> NDArray[np.bool_]:
        """Return where a signal has crossed the threshold of a safe condition.

        Parameters
        ----------
        spectrum : Spectrum
            The whole sweep.
        threshold : float
            In SI.
        signal : int
            Index of the signal; one that a sweep does not measure is never across.
        below : int
            A `Comparison`.
        """
        known = {**self._read({c.name: getattr(spectrum, c.name) for c in CHANNELS}), BIAS: spectrum.bias}
        name = SIGNALS[signal]
        if name not in known:
            return np.zeros(len(spectrum.bias), dtype=bool)
        values = known[name] if name == BIAS else units.to_si(known[name], units.CURRENT)
        return values < threshold if below == Comparison.BELOW else values > threshold

    # ---- the answer ----

    def table(self, spectrum: Spectrum) -> tuple[list[str], Floats]:
        """Return names and rows of the channels, in SI, as far as they were measured, forth and, where it was swept, back."""
        measured = int(np.isfinite(spectrum.current).sum())
        names = [SIGNALS[channel] for channel in self.channels]
        both: dict[str, Floats] = {channel.name: getattr(spectrum, channel.name) for channel in CHANNELS}
        mean, back = self._read(both), self._read({**both, **spectrum.backward})
        forth: dict[str, Floats] = {name: 2 * mean[name] - back[name] for name in mean}
        if self.software.safe_tip.overload:
            forth[CURRENT] = back[CURRENT] = np.full_like(spectrum.current, self.software.signals.full_scale)
        rows = [_of_channel(forth, name, spectrum) for name in names]
        if self.registers.get("BiasSpectr.Props")[2]:
            rows += [_of_channel(back, name, spectrum) for name in names]
            names += [f"{name[:-4]}{BACKWARD}{name[-4:]}" for name in names]
        return [SWEPT, *names], np.array([spectrum.bias, *rows])[:, :measured]

    def _read(self, channels: dict[str, Floats]) -> dict[str, Floats]:
        """Current and demodulators by their names, in nA, from the channels of one way."""
        return {CURRENT: channels["current"], **self.software.lockin.read(channels)}

    def _parameters(self, spectrum: Spectrum) -> list[float]:
        """Return the parameters that follow the data: ends (V), place and height (m), averaging and settling time (s).

        Parameters
        ----------
        spectrum : Spectrum
            Gives place and height.
        """
        settings = self._settings()
        place = (si(value, units.LENGTH) for value in (*spectrum.position, spectrum.z))
        return [settings.start, settings.stop, *place, settings.integrate, settings.settle]


def _of_channel(known: dict[str, Floats], name: str, spectrum: Spectrum) -> Floats:
    si_values = {
        BIAS: spectrum.bias,
        HEIGHT: np.full(len(spectrum.bias), si(spectrum.z, units.LENGTH)),
        "X (m)": np.full(len(spectrum.bias), si(spectrum.position.x, units.LENGTH)),
        "Y (m)": np.full(len(spectrum.bias), si(spectrum.position.y, units.LENGTH)),
    }
    return si_values[name] if name in si_values else units.to_si(known.get(name, np.zeros_like(spectrum.bias)), units.CURRENT)
