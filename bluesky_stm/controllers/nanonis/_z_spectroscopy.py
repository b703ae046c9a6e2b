"""I(z) of a Nanonis controller, by its module ZSpectr: it holds the feedback open and brings tip and feedback back itself.

What the module says it is set to is read back before each sweep; of what can't be read, the answer is judged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from typing_extensions import override

from bluesky_stm.controllers.base import SLEW
from bluesky_stm.controllers.nanonis._answer import plain
from bluesky_stm.controllers.nanonis._bias import NanonisBias
from bluesky_stm.controllers.nanonis._drift import NanonisDrift
from bluesky_stm.controllers.nanonis._guard import ARRIVED, NanonisPart, TipGuard
from bluesky_stm.controllers.nanonis._module import END_SETTLE, FIRST_SETTLE, Z_AVERAGE, Z_CONTROL, Setting, bring_about
from bluesky_stm.controllers.nanonis._passage import Before, Passage, left, patience
from bluesky_stm.controllers.nanonis._rescue import rescued
from bluesky_stm.controllers.nanonis._spectroscopy import HANGS_FREE
from bluesky_stm.controllers.nanonis._tip import MOMENT, NanonisTip
from bluesky_stm.controllers.nanonis._witness import Standing, disturbed
from bluesky_stm.controllers.nanonis._z import NanonisZ
from bluesky_stm.controllers.nanonis_wire._commands import Comparison, DigSync, Switch
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import Quality, Setpoint, ZSpectrum
from bluesky_stm.protocols import Progress, ZSpectroscopy, ZSweepSettings
from bluesky_stm.units import CURRENT, LENGTH, from_si


class NanonisZSpectroscopy(NanonisPart, ZSpectroscopy):
    """Fulfils `protocols.ZSpectroscopy`.

    Parameters
    ----------
    guard : TipGuard
    bias, drift, tip, z
        The other parts, which know where and at which set point it is swept.
    """

    def __init__(self, guard: TipGuard, *, bias: NanonisBias, drift: NanonisDrift, tip: NanonisTip, z: NanonisZ) -> None:
        super().__init__(guard)
        self._drift, self._tip, self._z = drift, tip, z
        self._passage = Passage(guard, bias, z)

    @override
    def z_sweep(self, settings: ZSweepSettings, progress: Progress | None = None) -> ZSpectrum:
        """Sweep the height where the tip stands, with the auto retract of the module set to the largest current.

        Parameters
        ----------
        settings : ZSweepSettings
            Range (nm), points, times (s), set point and largest current.
        progress : callable, optional
            Called once, with the number of points that came back.

        Returns
        -------
        ZSpectrum
            Ended by `stop` or by the auto retract it is INCOMPLETE, padded with NaN.

        Raises
        ------
        TipCrashError
            When Safe Tip withdrew the tip meanwhile: the spectrum is not to be used.
        NanonisError
            When what was set does not read back, the tip would leave the range of z or did not follow, or what came back is
            not what was asked for. Bias, set point and feedback are as before, or the tip is withdrawn.
        """
        guard, passage = self._guard, self._passage
        with guard.act(sweeping=True) as act:
            state = guard.check_contact("swept")
            before = Before(self._z.get_setpoint(), state.on)
            with rescued(lambda: passage.leave_as(before)):
                held = passage.hold(before, settings.setpoint)
                self._set_up(settings, held)
                stood = Standing(held, self._tip.place(MOMENT), self._drift.known())
                spectrum = self._sweep(settings, before.feedback, stood, progress)
                read, state = self._z.get_setpoint(), guard.check_tip()
                stands = Standing(read, self._tip.place(), self._drift.read())
                act.checked = passage.bring_back(before, left(before, held, read), read, closed=state.on)
        changes = stood.changes(stands, state.status)
        lost = not state.on and guard.is_away(state.status)
        quality = spectrum.quality | disturbed(changes) | (Quality.LOST_CONTACT if lost else Quality.GOOD)
        return replace(spectrum, quality=quality, disturbed=changes)

    def _set_up(self, settings: ZSweepSettings, held: Setpoint) -> None:
        """Set up the module where it reads otherwise; points and sweeps can't be read back, so that the answer is judged.

        Parameters
        ----------
        settings : ZSweepSettings
            Range (nm), points, times (s) and largest current (nA).
        held : Setpoint
            Where the feedback holds the tip: the sign of its bias says on which side of zero the largest current lies.
        """
        channels = self._links.channels
        most = self._links.full_scale() if settings.most is None else settings.most
        threshold = si(float(np.copysign(most, held.bias)), CURRENT)
        above = Comparison.ABOVE if held.bias > 0 else Comparison.BELOW
        span = (si(settings.start, LENGTH), si(settings.stop - settings.start, LENGTH))
        timing = (Z_AVERAGE, FIRST_SETTLE, SLEW, settings.settle, settings.integrate, END_SETTLE, Z_CONTROL)
        retract, recorded = (1, threshold, channels.current, above), [channels.current, channels.height]
        wanted = [
            Setting("range", "Range", span, span, module="ZSpectr"),
            Setting("timing", "Timing", timing, timing, module="ZSpectr"),
            Setting("auto retract", "Retract", retract, retract, module="ZSpectr"),
            Setting(
                "reset of z", "AdvProps", (0.0, Switch.KEEP, Switch.KEEP, Switch.ON), (1,), lambda r: r[3:], module="ZSpectr"
            ),
            Setting("synchronisation", "DigSync", (DigSync.OFF,), (DigSync.OFF - 1,), module="ZSpectr"),
            Setting("channels", "Chs", (recorded,), recorded, lambda read: read[0], module="ZSpectr"),
        ]

        def of(setting: Setting) -> list[float]:
            return [float(value) for value in setting.read(self._work.ask(f"ZSpectr.{setting.name}Get"))]

        bring_about(self._links, wanted, of)
        # Forth only, and no dialog that would wait for a person at the end.
        props = (Switch.OFF, settings.points, settings.averages, Switch.KEEP, Switch.OFF, Switch.OFF)
        self._work.ask("ZSpectr.PropsSet", *props)

    def _sweep(self, settings: ZSweepSettings, closed: bool, stood: Standing, progress: Progress | None) -> ZSpectrum:
        started, channels = self._links.clock.now(), self._links.channels
        ((current, height),) = self._watch.ask("Signals.ValsGet", [channels.current, channels.height], 1)
        self._check_room(settings, ours(height, LENGTH))
        hanging = closed and abs(ours(current, CURRENT)) < HANGS_FREE * stood.setpoint.current
        names, data = self._start(settings)
        measured = self._measured(settings, names, data, height)
        done = int(np.isfinite(measured).sum())
        if progress and done:
            progress(done, settings.points)
        full = np.nanmax(np.abs(measured), initial=0.0) >= self._links.full_scale() * (1 - 1e-6)
        quality = Quality.LOST_CONTACT if hanging else Quality.GOOD
        quality |= Quality.CLIPPED if full else Quality.GOOD
        return ZSpectrum(
            position=stood.place or self._tip.place(),
            distance=settings.distance,
            current=measured,
            setpoint=stood.setpoint,
            time=started,
            z=ours(height, LENGTH),
            quality=quality | (Quality.GOOD if done == settings.points else Quality.INCOMPLETE),
        )

    def _start(self, settings: ZSweepSettings) -> tuple[list[str], Floats]:
        """Let the module sweep, and return names and rows of what came back; nothing where a stop came before.

        Parameters
        ----------
        settings : ZSweepSettings
            They say how long an answer may take.
        """
        if self._links.stopped.is_set():
            return [], np.empty((0, 0))
        self._links.own.add("z sweep")
        names, data, _ = self._work.ask("ZSpectr.Start", 1, "", timeout=patience(self._links, settings))
        self._links.own.discard("z sweep")
        return names, data

    def _check_room(self, settings: ZSweepSettings, here: float) -> None:
        """Refuse a sweep that the z limits of the software would cut without a word.

        Parameters
        ----------
        settings : ZSweepSettings
            The sweep.
        here : float
            Height of the tip, in nm.
        """
        high, low = (ours(end, LENGTH) for end in self._watch.ask("ZCtrl.LimitsGet"))
        ends = (here + settings.start, here + settings.stop)
        if not low <= min(ends) <= max(ends) <= high:
            raise NanonisError(
                f"A z sweep from {ends[0]:.4g} to {ends[1]:.4g} nm leaves the range of z, {low:.4g} to {high:.4g} nm. Nothing "
                "was swept. Ask for a shorter one."
            )

    def _measured(self, settings: ZSweepSettings, names: list[str], data: Floats, height: float) -> Floats:
        """Return the current at each distance, in nA of shape (points,); NaN where the sweep had ended.

        Raises
        ------
        NanonisError
            When it is not what was asked for, or the tip did not follow.
        """
        current = np.full(settings.points, np.nan)
        if not data.size:
            if not (self._links.stopped.is_set() or self._guard.withdrawing or self._guard.is_withdrawn() or len(names)):
                raise NanonisError("A z sweep that nobody stopped gave nothing. Look at the Z spectroscopy module.")
            return current
        rows = dict(zip(plain(names)[1:], data[1:], strict=True))
        asked = {self._links.names.current, self._links.names.height}
        count = data.shape[1]
        if not asked <= rows.keys() or count > settings.points:
            raise NanonisError(f"A z sweep of {settings.points} points gave {names} and {data.shape} values. It was not used.")
        went = from_si(rows[self._links.names.height] - height, LENGTH)
        off = float(np.abs(went - settings.distance[:count]).max())
        if off > max(ARRIVED, abs(settings.distance[1] - settings.distance[0]) / 2):
            raise NanonisError(
                f"In a z sweep from {settings.start:g} to {settings.stop:g} nm the tip was up to {off:.3g} nm elsewhere: from "
                f"{went[0]:.3g} to {went[-1]:.3g} nm. It was not used. Look at the z limits and the Z spectroscopy module."
            )
        current[:count] = from_si(rows[self._links.names.current], CURRENT)
        return current
